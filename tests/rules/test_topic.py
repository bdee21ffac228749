"""A topic's folder is checked as it is read; the topics that come with the program are complete; a database keeps a copy."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from evidence.errors import ConfigError
from evidence.export import starter_files
from evidence.harvest import phrases_and_screening, sources
from evidence.rules import taxonomy, topic
from evidence.rules.topic import Topic, TopicFacet

EVERY = (*topic.shipped(), topic.BLANK)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(topic.SHIPPED / "mindfulness", tmp_path / "mine"))


def edit(folder: Path, before: str, after: str) -> None:
    path = folder / topic.FILE
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), encoding="utf-8")


def test_a_topic_is_found_by_name_by_folder_and_beside_a_file(folder: Path) -> None:
    assert topic.load() == topic.load("ipt")
    assert topic.load(folder) == topic.load("mindfulness") == topic.load("mine", beside=folder.parent)
    assert topic.load(folder).folder == folder


@pytest.mark.parametrize("name", ["mindfullness", "blank"])
def test_an_unknown_name_is_refused_with_the_list(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        topic.load(name)
    assert str(caught.value) == (
        f"'{name}' is not a topic that comes with the program; name one of ipt, mindfulness, or a folder with a topic.yaml"
    )


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ("title: Living", "titel: Living", "unknown key 'titel'; did you mean 'title'?"),
        ("id: mindfulness", "id: Mindful ness", "is not a valid id"),
        ("intervention: programme", "intervention: program", "there is no facet 'program'; did you mean 'programme'?"),
        ("columns: outcome", "columns: outcomes", "there is no facet 'outcomes'; did you mean 'outcome'?"),
        ("facet: design", "facet: designs", "there is no facet 'designs'; did you mean 'design'?"),
        ("trials: [rct, ", "trials: [rtc, ", "the facet 'design' has no value 'rtc'; did you mean 'rct'?"),
        ("{id: outcome, from: ipt}", "{id: outcome, from: itp}", "no topic 'itp' comes with the program"),
        ("{id: outcome, from: ipt}", "{id: outcom, from: ipt}", "the topic 'ipt' has no facet 'outcom'"),
        ("{id: outcome, from: ipt}", "{id: outcome}", "needs either `file:`, its file in this folder, or `from:`"),
        ("{id: condition, from", "{id: outcome, from", "the facet 'outcome' is there twice"),
        ("{id: programme,", "{id: title,", "'title' is reserved for the program"),
        ("{id: programme,", "{id: folded,", "'folded' is reserved for the program"),
        ("{id: programme,", "{id: Programme-name,", "cannot be a column's name"),
        ("  include: [About", "  included: [About", "there is no verdict 'included'; did you mean 'include'?"),
        ("file: programme.yaml", "file: programs.yaml", "programs.yaml: there is no such file"),
    ],
)
def test_a_complaint_names_file_line_and_remedy(folder: Path, before: str, after: str, complaint: str) -> None:
    edit(folder, before, after)
    with pytest.raises(ConfigError) as caught:
        taxonomy.load(folder)
    message = str(caught.value)
    assert complaint in message
    if "no such file" not in message:
        assert int(message.split(f"{topic.FILE}:")[1].split(":")[0]) > 0


def test_values_of_groups_are_checked(folder: Path) -> None:
    grouped = "{id: outcome, from: ipt, groups: [{label: Mood, values: [anxiety, %s]}]}"
    edit(folder, "{id: outcome, from: ipt}", grouped % "anxiety")
    with pytest.raises(ConfigError, match="'anxiety' is already in a group"):
        taxonomy.load(folder)
    edit(folder, "anxiety, anxiety", "anxiety, angst")
    with pytest.raises(ConfigError, match="the facet 'outcome' has no value 'angst'"):
        taxonomy.load(folder)


def test_values_come_in_groups_and_facets_in_order() -> None:
    ipt = topic.load()
    assert [label for label, _ in ipt.in_groups("outcome", ["cost", "anxiety", "new"])] == [
        "Symptoms", "Acceptability and cost", "",
    ]  # fmt: skip
    assert ipt.in_groups("design", ["rct"]) == [("", ["rct"])]
    assert list(ipt.in_order({"else": 1, "design": 2, "variant": 3})) == ["variant", "design", "else"]


@pytest.mark.parametrize(
    ("name", "one", "many"),
    [
        ("outcome", "an outcome", "outcomes"),
        ("problem_area", "a problem area", "problem areas"),
        ("therapy", "a therapy", "therapies"),
    ],
)
def test_a_facet_in_running_text(name: str, one: str, many: str) -> None:
    facet = TopicFacet(name, "Values")
    assert (facet.a_name, facet.names) == (one, many)


@pytest.mark.parametrize("name", topic.shipped())
def test_a_database_keeps_all_but_the_files(name: str) -> None:
    of_files = topic.load(name)
    kept = topic.from_json(of_files.to_json())
    assert kept == of_files
    assert kept.folder == Path() and {facet.path for facet in kept.facets} == {Path()}
    assert str(topic.SHIPPED) not in of_files.to_json()


def test_a_topic_without_designs_counts_neither(folder: Path) -> None:
    edit(
        folder,
        "designs:\n  facet: design\n  trials: [rct, cluster-rct]\n  reviews: [meta-analysis, systematic-review]\n",
        "",
    )
    bare = taxonomy.load(folder).topic
    assert bare.designs == () and bare.trial_filter == "" and bare.design == ""
    assert [key for key, _, _ in topic.load().designs] == ["trials", "reviews"]
    assert topic.load().trial_filter == "design:rct,cluster-rct"


@pytest.mark.parametrize("name", EVERY)
def test_a_topic_that_comes_with_the_program_is_complete(name: str) -> None:
    """Its rules load, its sources are accepted, and its searches speak of what its screening rules look for."""
    of_files = topic._load_folder(topic.SHIPPED / name)
    assert of_files.id == name or name == topic.BLANK
    book = taxonomy.load(of_files)
    path = starter_files.sources_of(of_files)
    phrases_and_screening.refuse_other_topics(sources.load(path), book, path)
    for verdict in ("include", "exclude", "unsure"):
        assert of_files.reasons_for(verdict)


def test_two_topics_differ(folder: Path) -> None:
    one, other = topic.load(), topic.load("mindfulness")
    assert one != other and replace(one, folder=folder) == one
    assert isinstance(other, Topic) and "variant" not in other.facet_ids
