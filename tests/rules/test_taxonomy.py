"""The taxonomy's files are checked as they are read, and every complaint names file, line and remedy."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from evidence.data_model import Doi, Work
from evidence.errors import ConfigError
from evidence.rules import taxonomy, taxonomy_file, topic, topic_file
from evidence.rules.judge import judge
from evidence.rules.taxonomy import TouchedTexts, Value
from tests.rules.small_topic import write_topic

BUNDLED = topic.load().folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(BUNDLED, tmp_path / "ipt"))


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return write_topic(tmp_path / "small")


def edit(folder: Path, name: str, before: str, after: str) -> None:
    path = folder / name
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), encoding="utf-8")


def test_the_bundled_taxonomy_is_the_default() -> None:
    rules = taxonomy.load()
    assert rules.digest == taxonomy.load(BUNDLED).digest
    assert len(rules.digest) == 16 and int(rules.digest, 16)
    assert [facet.facet for facet in rules.facets] == list(rules.topic.facet_ids)
    assert all(facet.label and value.label and value.means for facet in rules.facets for value in facet.values)


def test_facets_are_found_by_name() -> None:
    rules = taxonomy.load()
    design = rules.facet("design")
    assert design is not None and {value.id for value in design.values} >= {"rct", "protocol"}
    assert rules.facet("screen") is rules.verdicts
    assert rules.facet("colour") is None


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("shared_phrases.yaml", "- psycho-therap*", "- psycho-therapies"),
        ("therapy_variant.yaml", "IPT-CM", "IPT-CMX"),
        ("screen.yaml", "because: it names the therapy\n", "because: the therapy is named\n"),
        ("study_design.yaml", "means: The results", "means: All the results"),
    ],
)
def test_the_digest_changes_with_any_edit(folder: Path, name: str, before: str, after: str) -> None:
    edit(folder, name, before, after)
    assert taxonomy.load(folder).digest != taxonomy.load().digest


def test_a_comment_is_no_edit(folder: Path) -> None:
    edit(folder, "therapy_variant.yaml", "facet: variant", "# a remark\nfacet: variant")
    assert taxonomy.load(folder).digest == taxonomy.load().digest


@pytest.mark.parametrize(
    ("name", "before", "after", "complaint"),
    [
        ("therapy.yaml", "facet: therapy", "facet: variation", "write `facet: therapy`"),
        ("therapy.yaml", "label: therapy\n", "", "`label:` is missing; write it like"),
        ("therapy.yaml", "  means: ipt.\n", "  meens: ipt.\n", "unknown key 'meens'; did you mean 'means'?"),
        ("therapy.yaml", "  id: ipt-group\n", "  id: IPT G\n", "is not a valid id; write"),
        ("therapy.yaml", "id: ipt-group", "id: ipt", "is already on line"),
        ("therapy.yaml", "- IPT\n", "- (IPT\n", "a bracket is not closed"),
        ("therapy.yaml", "- IPT\n", "- IPT <3> therapy\n", "a term is plain words"),
        ("therapy.yaml", "- IPT\n", "- psycho*therapy\n", "`*` is allowed only at the end"),
        ("therapy.yaml", "people:adolescents", "people:adolescent", "did you mean 'people:adolescents'?"),
        ("therapy.yaml", "people:adolescents", "therapy:ipt-group", "names a value of another facet"),
        ("therapy.yaml", "general: ipt\n", "", "`with` needs `general:`"),
        ("therapy.yaml", "general: ipt\n", "general: ipd\n", "there is no value 'ipd'; did you mean 'ipt'?"),
        ("therapy.yaml", "about: treatment", "about: treatments", "`about:`"),
        ("people.yaml", "from: 12", "from: twelve", "`from:`"),
        ("people.yaml", "from: 12", "from: 20", "`from:` is greater than `to:`"),
        ("people.yaml", "  words:\n  - older adults\n", "", None),
        ("outcome.yaml", "  words:\n  - cost*\n", "", "the value 'cost' has no words; give it `words:`, `instruments:`"),
        ("outcome.yaml", "  examples:\n  - a\n", "  examples:\n", "needs at least 2"),
        ("outcome.yaml", "- counterexamples:\n", "- counterexample:\n", "unknown key 'counterexample'"),
        ("outcome.yaml", "label: Cost", "publication_types: Review\n  label: Cost", "`publication_types:`"),
        ("outcome.yaml", "label: Cost", "publication_types: [[Review]]\n  label: Cost", "`publication_types:`"),
        ("outcome.yaml", "label: Cost", "mesh: {a: b}\n  label: Cost", "`mesh:`"),
        ("outcome.yaml", "label: Cost", "mesh: ['']\n  label: Cost", "`mesh:`"),
        ("outcome.yaml", "label: Cost", "mesh: [' ']\n  label: Cost", "this is empty"),
        ("outcome.yaml", "label: Cost", "mesh: [Cost of Illness/trends]\n  label: Cost", "write 'Cost of Illness'"),
        ("outcome.yaml", "label: Cost", "publication_type: [Review]\n  label: Cost", "did you mean 'publication_types'?"),
        ("outcome.yaml", "label: Cost", "publication_types: [Review, review]\n  label: Cost", "'review' already states a value"),
        ("screen.yaml", "- id: named\n", "- id: named\n        fields: [author]\n", "there is no field 'author'"),
        ("screen.yaml", "- id: named\n", "- id: named\n        colour: red\n", "unknown key 'colour'; the known names are all"),
        ("screen.yaml", "      - id: named\n", "      - id: empty\n      - id: named\n", "requires nothing"),
    ],
)  # fmt: skip
def test_a_complaint_names_file_line_and_remedy(
    small: Path, name: str, before: str, after: str, complaint: str | None
) -> None:
    edit(small, name, before, after)
    if complaint is None:  # ages alone are enough
        assert taxonomy.load(small).digest
        return
    with pytest.raises(ConfigError) as caught:
        taxonomy.load(small)
    message = str(caught.value)
    assert f"{name}:" in message
    assert int(message.split(f"{name}:")[1].split(":")[0]) > 0
    assert complaint in message


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ("- psycho-therap*", "- psycho*therap", "must be at the end of a word"),
        ("lists:", "list:", "unknown key 'list'; did you mean 'lists'?"),
    ],
)
def test_shared_phrases_are_checked_too(folder: Path, before: str, after: str, complaint: str) -> None:
    edit(folder, "shared_phrases.yaml", before, after)
    with pytest.raises(ConfigError, match=re.escape(complaint)):
        taxonomy.load(folder)


@pytest.mark.parametrize("key", ["records", "publication_types", "mesh"])
def test_one_fact_states_one_value_of_a_facet(small: Path, key: str) -> None:
    edit(small, "outcome.yaml", "label: Anxiety", f"{key}: [Meta-Analysis]\n  label: Anxiety")
    line = (small / "outcome.yaml").read_text(encoding="utf-8").splitlines().index(f"  {key}: [Meta-Analysis]") + 1
    assert taxonomy.load(small).digest
    edit(small, "disorder.yaml", "label: Depression", f"{key}: [Meta-Analysis]\n  label: Depression")
    assert taxonomy.load(small).digest, "values of two facets may share it"
    edit(small, "outcome.yaml", "label: Cost", f"{key}: [meta-analysis]\n  label: Cost")
    with pytest.raises(ConfigError, match=rf"outcome\.yaml:\d+: 'meta-analysis' already states .* on line {line};"):
        taxonomy.load(small)


def test_facts_alone_are_enough_for_a_value(small: Path) -> None:
    edit(small, "outcome.yaml", "  words:\n  - cost*\n", "  publication_types: [Review]\n")
    book = taxonomy.load(small)
    assert book.of_facts == {("publication-type", "review"): (book.keys.index(("outcome", "cost")),)}


def test_a_value_says_what_its_words_are(small: Path) -> None:
    book = taxonomy.load(small)
    facet = book.facet("outcome")
    assert facet is not None
    depression = next(value for value in facet.values if value.id == "depression")
    assert isinstance(depression, Value)
    assert depression.terms == (
        "depressive symptoms", "Hamilton depression", "HAM-D", "depression", "depression clinic",
    )  # fmt: skip
    ages = {value.id: value.ages for value in book.values if value.ages}
    assert ages == {"adolescents": (12, 17), "older": (60, 120)}
    assert book.keys.index(("outcome", "depression")) == book.values.index(depression)
    assert {book.keys[number] for number in book.studied} == {
        ("therapy", name) for name in ("ipt", "ipt-group", "ipt-young")
    }


EDITS: dict[str, tuple[str, str, str, set[tuple[str, str]]]] = {
    "a word": ("outcome.yaml", "- anxiety\n", "- anxiety\n  - worry\n", {("outcome", "anxiety")}),
    "a scale": ("outcome.yaml", "- BAI\n", "- BAI\n  - GAD-7\n", {("outcome", "anxiety")}),
    "ages": ("people.yaml", "from: 12", "from: 13", {("people", "adolescents")}),
    "a type of record": ("outcome.yaml", "label: Cost", "records: [dataset]\n  label: Cost", {("outcome", "cost")}),
    "a publication type": (
        "outcome.yaml",
        "label: Cost",
        "publication_types: [Review]\n  label: Cost",
        {("outcome", "cost")},
    ),
    "a heading": ("outcome.yaml", "label: Cost", "mesh: [Health Care Costs]\n  label: Cost", {("outcome", "cost")}),
    "a label": ("outcome.yaml", "label: Anxiety", "label: Worry", {("outcome", "anxiety")}),
    "a meaning": ("outcome.yaml", "means: anxiety.", "means: Worry.", set()),
    "what words are about": ("design.yaml", "about: design", "about: theme", {("design", "rct")}),
    "another value to be made with": ("therapy.yaml", "people:adolescents", "people:older", {("therapy", "ipt-young")}),
}


@pytest.mark.parametrize("name", EDITS)
def test_a_mark_changes_with_what_a_value_depends_on(small: Path, name: str) -> None:
    before = taxonomy.load(small)
    file, old, new, expected = EDITS[name]
    edit(small, file, old, new)
    after = taxonomy.load(small)
    assert after.values_changed_since(before.value_marks) == expected
    assert after.digest != before.digest
    assert after.values_changed_since(after.value_marks) == frozenset()


def test_another_studied_intervention_is_another_reading_of_every_value(small: Path) -> None:
    before = taxonomy.load(small)
    edit(small, "topic.yaml", "intervention: therapy", "intervention: versus")
    after = taxonomy.load(small)
    assert after.digest != before.digest
    assert after.values_changed_since(before.value_marks) == after.tags


def test_only_texts_with_a_word_of_an_edited_value_are_touched(small: Path) -> None:
    before = taxonomy.load(small).value_marks
    edit(small, "outcome.yaml", "- anxiety\n", "- worries\n")
    after = taxonomy.load(small).value_marks
    texts = TouchedTexts({("outcome", "anxiety")}, before, after)
    assert texts.touched("Anxiety disorders", None), "a word that was taken out"
    assert texts.touched(None, "Much worry was seen."), "a word that is new, in another form"
    assert not texts.touched("A note", "The BAI was used."), "a word that stayed"
    assert not texts.touched("Depressive symptoms", "The HAM-D was used.")
    assert not TouchedTexts(set(), before, after).touched("Anxiety", "Worry")


def test_all_words_of_a_value_count_where_it_is_read_differently(small: Path) -> None:
    before = taxonomy.load(small).value_marks
    edit(small, "outcome.yaml", "about: measure", "about: theme")
    edit(small, "outcome.yaml", "- anxiety\n", "- worries\n")
    after = taxonomy.load(small).value_marks
    texts = TouchedTexts({("outcome", "anxiety")}, before, after)
    assert texts.touched("A note", "The BAI was used.")
    assert texts.touched("Anxiety", None) and texts.touched("Worry", None)


def test_every_text_is_touched_where_ages_or_another_tag_can_make_the_value(small: Path) -> None:
    marks = taxonomy.load(small).value_marks
    for key in (("people", "older"), ("therapy", "ipt-young")):
        assert TouchedTexts({key}, marks, marks).touched("A note on trains", None)
    assert not TouchedTexts({("screen", "include")}, marks, marks).touched("A note on trains", None)


@pytest.mark.parametrize("key", ["records", "publication_types", "mesh"])
def test_every_text_is_touched_where_a_fact_of_the_value_comes_or_goes(small: Path, key: str) -> None:
    cost = {("outcome", "cost")}
    without = taxonomy.load(small).value_marks
    edit(small, "outcome.yaml", "label: Cost", f"{key}: [Dataset]\n  label: Cost")
    one = taxonomy.load(small).value_marks
    edit(small, "outcome.yaml", f"{key}: [Dataset]", f"{key}: [Dataset, Letter]")
    two = taxonomy.load(small).value_marks
    for before, after in ((without, one), (one, without), (one, two), (two, one)):
        assert TouchedTexts(cost, before, after).touched("A note on trains", None)
    gone = {name: mark for name, mark in one.items() if name not in cost}
    assert TouchedTexts(cost, one, gone).touched("A note on trains", None), "a value that is gone"
    assert TouchedTexts(cost, gone, one).touched("A note on trains", None), "a value that is new"
    edit(small, "outcome.yaml", "- cost*\n", "- price\n")
    words = TouchedTexts(cost, two, taxonomy.load(small).value_marks)
    assert words.touched("The price", None) and words.touched("The costs", None)
    assert not words.touched("A note on trains", None), "a fact that stayed gives what it gave"


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "outcome.yaml").unlink()
    with pytest.raises(ConfigError, match=r"outcome\.yaml"):
        taxonomy.load(folder)


def forget() -> None:
    """What follows reads as a new process would."""
    taxonomy._taxonomy.cache_clear()
    topic._topic.cache_clear()


@pytest.fixture
def keeping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder in which taxonomies are kept from one process to the next."""
    monkeypatch.setenv("EVIDENCE_CACHE", str(tmp_path / "cache" / "answers.db"))
    forget()
    yield tmp_path / "cache" / "taxonomies"
    forget()


def test_a_kept_taxonomy_is_the_one_that_was_made(folder: Path, keeping: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = taxonomy.load(folder)
    assert len(list(keeping.iterdir())) == 1
    forget()
    for module in (taxonomy_file, topic_file):
        monkeypatch.setattr(module, "read", None)  # whatever is read anew fails
    kept = taxonomy.load(folder)
    assert kept is not made
    assert (kept.digest, kept.facets, kept.verdicts, kept.topic) == (
        made.digest,
        made.facets,
        made.verdicts,
        made.topic,
    )
    assert kept.topic.folder == folder
    assert kept.value_marks == made.value_marks
    assert kept.value_weights == made.value_weights
    title = "Interpersonal psychotherapy for depressed adolescents: a randomised trial"
    abstract = "METHODS: 48 adolescents had IPT-A or usual care. RESULTS: Depressive symptoms (HAM-D) fell."
    work = Work(Doi("10.5555/x"), title=title, abstract=abstract)
    assert judge(work, kept) == judge(work, made)
    assert judge(work, kept).tags


def test_an_edit_of_any_file_is_seen_beside_a_kept_taxonomy(folder: Path, keeping: Path) -> None:
    digests = [taxonomy.load(folder).digest]
    for name in ("shared_phrases.yaml", "screen.yaml", "outcome.yaml", "value_weights.json"):
        with (folder / name).open("a", encoding="utf-8") as file:
            file.write("\n")
        forget()
        digests.append(taxonomy.load(folder).digest)
    assert len(set(digests)) == 1, "blank lines change no rule"
    assert len(list(keeping.iterdir())) == 5
    edit(folder, "outcome.yaml", "words: [", "words: [wellness, ")
    assert taxonomy.load(folder).digest != digests[0]


def test_a_mistake_is_told_each_time(folder: Path, keeping: Path) -> None:
    taxonomy.load(folder)
    edit(folder, "outcome.yaml", "label: ", "lable: ")
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"outcome\.yaml:\d+: unknown key 'lable'"):
            taxonomy.load(folder)


def test_an_edit_of_the_topic_or_of_one_it_borrows_from_is_seen_beside_a_kept_one(
    tmp_path: Path, keeping: Path
) -> None:
    lenders = Path(shutil.copytree(topic.SHIPPED, tmp_path / "lenders"))
    mine = Path(shutil.copytree(topic.SHIPPED / "mindfulness", tmp_path / "mine"))
    before = taxonomy.load(topic.load_kept(mine, lenders)).topic
    edit(mine, topic.FILE, "title: Living", "title: Lively")
    assert topic.load_kept(mine, lenders).title != before.title
    holds = before.facet("outcome").holds
    edit(lenders / "ipt", topic.FILE, holds, "What was measured and read")
    for _ in range(2):
        found = taxonomy.load(topic.load_kept(mine, lenders)).topic
        assert found.title.startswith("Lively")
        assert found.facet("outcome").holds == "What was measured and read"
        forget()
    (lenders / "ipt" / topic.FILE).unlink()
    with pytest.raises(ConfigError, match="no topic 'ipt' comes with the program"):
        topic.load_kept(mine, lenders)


@pytest.mark.parametrize("harm", [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:-9] + b"something")])
def test_what_is_kept_may_be_lost_or_damaged(folder: Path, keeping: Path, harm: Callable[[Path], object]) -> None:
    made = taxonomy.load(folder)
    there = sorted(keeping.parent.glob("*/*.pickle"))
    assert {path.parent.name for path in there} == {"taxonomies", "topic_files"}
    for path in there:
        harm(path)
    forget()
    again = taxonomy.load(folder)
    assert (again.digest, again.value_marks, again.topic) == (made.digest, made.value_marks, made.topic)
    assert sorted(keeping.parent.glob("*/*.pickle")) == there


LOADING = """if True:
    import sys
    from evidence.rules import judge, taxonomy
    loaded = taxonomy.load()
    print(loaded.digest, *sorted({"pydantic", "pydantic_core", "yaml", "difflib", "evidence.harvest"} & set(sys.modules)))
"""
NO_ROOM = """if True:
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))  # a file can have 100 bytes
"""


def loading(cache: str, before: str = "") -> subprocess.Popen[str]:
    """A process that loads the taxonomy and says its digest and which modules it had to import for that."""
    environment = {**os.environ, "EVIDENCE_CACHE": cache, "PYTHONDONTWRITEBYTECODE": "1"}
    words = [sys.executable, "-c", before + LOADING]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def said(process: subprocess.Popen[str]) -> list[str]:
    out, error = process.communicate()
    assert (process.returncode, error) == (0, "")
    return out.split()


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="files have no owners here, so nothing is kept")
def test_rules_that_are_kept_are_had_without_pydantic_and_yaml(tmp_path: Path) -> None:
    cache, digest = str(tmp_path / "answers.db"), taxonomy.load().digest
    at_once = [loading(cache) for _ in range(2)]
    assert {said(process)[0] for process in at_once} == {digest}
    there = sorted(path.parent.name for path in tmp_path.rglob("*") if path.is_file())
    assert there == ["cue_words", "taxonomies", "topic_files"], "each is kept once, and no unfinished file is left"
    assert said(loading(cache)) == [digest]
    assert {"pydantic", "yaml"} < set(said(loading("no")))


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="files have no owners here, so nothing is kept")
def test_rules_are_read_where_nothing_can_be_kept(tmp_path: Path) -> None:
    assert said(loading(str(tmp_path / "answers.db"), NO_ROOM))[0] == taxonomy.load().digest
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
