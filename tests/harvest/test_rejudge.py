"""After an edit of the taxonomy: what the quick way leaves in the database is what judging everything anew would."""

from __future__ import annotations

import gzip
import json
import shutil
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import evidence
from evidence.database.connection import open_evidence
from evidence.harvest import reader_processes, sources
from evidence.harvest import rejudge as rejudge_module
from evidence.harvest.chosen_providers import ChosenProviders
from evidence.harvest.locked_run import FileInput, rejudge_database, run_enrich, run_sync
from evidence.harvest.progress import NoProgress
from evidence.rules import taxonomy, topic
from evidence.rules.taxonomy import Taxonomy
from tests.edited_topic import Edit, add, drop, edited, of
from tests.provider_records import pubmed

SHIPPED = Path(evidence.__file__).parents[1] / "sources.yaml"
TABLES = ("works", "tags", "reasons", "facets", "rule_marks", "duplicates")
APART = {"first_run", "changed_run"}
WORKS = 120
TYPES = ("Randomized Controlled Trial", "Meta-Analysis", "Journal Article", "Review")
MESH = (("Depressive Disorder, Major", True), ("Depressive Disorder, Major", False), ("Humans", False))
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def halve(file: Any) -> None:
    """Take every second word, scale and loose word from every value that has several."""
    for entry in file["values"]:
        for key in ("words", "instruments", "loose"):
            if len(entry.get(key, ())) > 1:
                entry[key] = entry[key][::2]


def remove_cost(file: Any) -> None:
    file["values"] = [entry for entry in file["values"] if entry["id"] != "cost"]


def ungroup_cost(file: Any) -> None:
    for facet in file["facets"]:
        for group in facet.get("groups", ()):
            group["values"] = [value for value in group["values"] if value != "cost"]


def contents(db: Path) -> dict[str, list[Any]]:
    conn = sqlite3.connect(db)
    found = {}
    for table in TABLES:
        names = [row[1] for row in conn.execute(f"pragma table_info({table})") if row[1] not in APART]
        found[table] = sorted(conn.execute(f"select {', '.join(names)} from {table}"), key=repr)
    conn.close()
    return found


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bundled records. Every second one gets an abstract, made of the titles that follow it: the words of the field."""
    lines = gzip.decompress(topic.load().records_path.read_bytes()).decode().splitlines()
    found = [json.loads(line) for line in lines[:WORKS]]
    titles = [record["title"][0] for record in found]
    for place, record in enumerate(found[::2]):
        record["abstract"] = "<jats:p>" + ". ".join(titles[2 * place + 1 : 2 * place + 7]) + ".</jats:p>"
    path = tmp_path_factory.mktemp("records") / "records.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in found), encoding="utf-8")
    articles = [
        pubmed(
            record["DOI"],
            record["title"][0],
            str(n),
            abstract=(),
            types=(TYPES[n % len(TYPES)],),
            mesh=(MESH[n % len(MESH)],),
        )
        for n, record in enumerate(found[::3], start=1)
    ]
    path.with_suffix(".xml").write_text(f"<PubmedArticleSet>{''.join(articles)}</PubmedArticleSet>", encoding="utf-8")
    return path


def harvest(folder: Path, records: Path, book: Taxonomy) -> Path:
    folder.mkdir(exist_ok=True)
    db = folder / "evidence.db"
    files = FileInput("files", (records,))
    ledger, progress = folder / "decisions.db", NoProgress()
    run_sync(db, ledger, sources.load(SHIPPED), book, lambda: NOW, progress, files=files)
    run_enrich(db, ledger, book, lambda: NOW, progress, ChosenProviders(files=(records.with_suffix(".xml"),)))
    return db


@pytest.fixture(scope="module")
def harvested(tmp_path_factory: pytest.TempPathFactory, records: Path) -> Path:
    return harvest(tmp_path_factory.mktemp("harvested"), records, taxonomy.load())


@pytest.fixture
def db(harvested: Path, tmp_path: Path) -> Path:
    """A database of its own, judged by the bundled taxonomy."""
    return Path(shutil.copytree(harvested.parent, tmp_path / "review")) / harvested.name


def rejudge(db: Path, book: Taxonomy) -> int:
    return rejudge_database(db, db.with_name("decisions.db"), book, lambda: NOW)[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    "edits",
    [
        {"format": add("group", "words", "schizophreni*")},
        {"format": lambda file: of(file, "group").update(words=["in groups"])},
        {"condition": add("depression", "not", "major depression", "postpartum depression")},
        {"outcome": add("cost", "loose", "effectiveness"), "design": add("rct", "words", "follow-up")},
        {"outcome": drop("depressive-symptoms", "instruments")},
        {"population": lambda file: of(file, "older-adults").update(ages={"from": 30, "to": 90})},
        {"variant": lambda file: of(file, "ipt-g").update(gives_way_to=["ipt-a"])},
        {"variant": drop("ipt-a", "with")},
        {"variant": lambda file: file.pop("general") and [entry.pop("with", None) for entry in file["values"]]},
        {"comparator": lambda file: file.update(about="treatment")},
        {"outcome": remove_cost, "topic": ungroup_cost},
        {"variant": lambda file: of(file, "ipt").update(label="A new label")},
        {"format": lambda file: of(file, "group")["counterexamples"].append("A new one that says nothing")},
        {"design": lambda file: of(file, "rct").pop("publication_types")},
        {"design": lambda file: of(file, "narrative-review").update(publication_types=["Journal Article"])},
        {"screen": lambda file: of(file, "include")["rules"][0].update(any=["interpersonal psychotherap*"])},
        {"shared_phrases": lambda file: file["lists"].update(therapy=["therapy"])},
        *({facet: halve} for facet in topic.load().facet_ids),
    ],
    ids=[
        "words more",
        "nearly no words",
        "words that do not count",
        "words of two facets",
        "no scales",
        "other ages",
        "a value gives way",
        "a value is not made of another",
        "no value is general",
        "words about something else",
        "a value less",
        "a label",
        "a counterexample",
        "no publication type",
        "another publication type",
        "screening narrower",
        "shared phrases fewer",
        *(f"half of {facet}" for facet in topic.load().facet_ids),
    ],
)
def test_the_quick_way_ends_where_the_whole_way_does(
    edits: dict[str, Edit], tmp_path: Path, db: Path, records: Path
) -> None:
    after = edited(tmp_path / "rules", **edits)
    rejudge(db, after)
    assert contents(db) == contents(harvest(tmp_path / "anew", records, after))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("processes", "edits"),
    [
        (1, {}),
        (3, {"screen": lambda file: of(file, "include")["rules"][0].update(any=["interpersonal psychotherap*"])}),
    ],
    ids=["one beside", "three beside, and edited screening"],
)
def test_several_processes_leave_the_same_database_as_one(
    processes: int, edits: dict[str, Edit], tmp_path: Path, harvested: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    after = edited(tmp_path / "rules", outcome=halve, **edits)
    found = []
    for folder, others in (("one", 0), ("several", processes)):
        db = Path(shutil.copytree(harvested.parent, tmp_path / folder)) / harvested.name
        monkeypatch.setattr(reader_processes, "FROM_WORKS", 1)
        monkeypatch.setattr(reader_processes, "CHUNK", 9)
        monkeypatch.setattr(rejudge_module, "TOUCHED_PART", 50)
        monkeypatch.setattr(reader_processes, "_processes", lambda others=others: others)
        judged = rejudge(db, after)
        found.append((judged, contents(db)))
    assert found[0][0] > 40
    assert found[0] == found[1]


def test_a_comment_changes_nothing(tmp_path: Path, db: Path) -> None:
    folder = Path(shutil.copytree(topic.load().folder, tmp_path / "rules"))
    path = folder / "outcome.yaml"
    path.write_text("# A comment.\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    before = contents(db)
    assert rejudge(db, taxonomy.load(folder)) == 0
    assert contents(db) == before


def test_only_works_that_say_something_else_are_written(tmp_path: Path, db: Path, book: Taxonomy) -> None:
    after = edited(tmp_path / "rules", format=add("group", "words", "obesity"))
    assert after.values_changed_since(book.value_marks) == {("format", "group")}
    judged = rejudge(db, after)
    conn = open_evidence(db)
    assert conn.execute("select count(*) from works").fetchone()[0] > 80
    last = conn.execute("select max(run) from runs").fetchone()[0]
    written = conn.execute("select title || coalesce(abstract, '') from works where changed_run = ?", (last,))
    texts = [text for (text,) in written]
    conn.close()
    assert 1 <= len(texts) <= judged <= 20
    assert all("obesity" in text.lower() for text in texts)


def test_another_strength_alone_is_written_too(tmp_path: Path, db: Path) -> None:
    said = "select doi, strength, certainty from tags where facet = 'format' and value = 'group' order by doi"
    conn = sqlite3.connect(db)
    before = conn.execute(said).fetchall()
    with conn:
        sql = "update tags set strength = 'implied', certainty = 0.2, how = 'so' where facet = 'format' and value = 'group'"
        assert conn.execute(sql).rowcount > 0
    assert conn.execute(said).fetchall() != before
    # Another label: the tags are what they were, but their works are looked at again.
    rejudge(db, edited(tmp_path / "rules", format=lambda file: of(file, "group").update(label="In a group")))
    assert conn.execute(said).fetchall() == before
    how = conn.execute("select how from tags where facet = 'format' and value = 'group'").fetchall()
    assert all(sentence.startswith("In a group: ") for (sentence,) in how)
    conn.close()
