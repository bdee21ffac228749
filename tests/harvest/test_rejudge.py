"""After an edit of the rules: what the quick way leaves in the database is what judging everything anew would."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

import evidence
from evidence.database.connection import open_evidence
from evidence.harvest import sources
from evidence.harvest.locked_run import FileInput, rejudge_database, run_sync
from evidence.harvest.progress import NoProgress
from evidence.rules import taxonomy, topic
from evidence.rules.taxonomy import Taxonomy

SHIPPED = Path(evidence.__file__).parents[1] / "sources.yaml"
TABLES = ("works", "tags", "reasons", "facets", "rule_marks", "duplicates")
APART = {"first_run", "changed_run"}


def edited(folder: Path, **edits: Callable[[str], str]) -> Taxonomy:
    """The bundled rules with the text of some files edited: `study_design=lambda text: …`."""
    shutil.copytree(topic.load().folder, folder)
    for name, edit in edits.items():
        path = folder / f"{name}.yaml"
        text = path.read_text(encoding="utf-8")
        assert edit(text) != text
        path.write_text(edit(text), encoding="utf-8")
    return taxonomy.load(folder)


def contents(db: Path) -> dict[str, list[Any]]:
    conn = sqlite3.connect(db)
    found = {}
    for table in TABLES:
        names = [row[1] for row in conn.execute(f"pragma table_info({table})") if row[1] not in APART]
        found[table] = sorted(conn.execute(f"select {', '.join(names)} from {table}"), key=repr)
    conn.close()
    return found


def harvest(folder: Path, book: Taxonomy, clock: Callable[[], datetime]) -> Path:
    folder.mkdir()
    db = folder / "evidence.db"
    files = FileInput("snapshot", topic.load().snapshot())
    run_sync(db, folder / "decisions.db", sources.load(SHIPPED), book, clock, NoProgress(), files=files)
    return db


@pytest.mark.parametrize(
    "edits",
    [
        {"delivery_format": lambda t: t.replace("any: [", "any: [randomi*, ", 1)},
        {"shared_phrases": lambda t: t.replace("\n  ", "\n  # nothing but a comment\n  ", 1)},
        {"study_design": lambda t: t.replace("randomi", "randomly-not", 3)},
        {"screen": lambda t: t.replace("counterexamples:", "counterexamples:\n      - A new one that says nothing", 1)},
        {"screen": lambda t: t.replace('          - "{ipt-name}"\n', "          - interpersonal psychotherap*\n", 1)},
        {"therapy_variant": lambda t: t.replace("label: ", "label: New ", 2)},
        {"shared_phrases": lambda t: t.replace("    - grief\n", "    - griefless\n")},
    ],
    ids=[
        "a term more",
        "a comment",
        "a term less",
        "an example",
        "screening narrower",
        "a label",
        "an open title silent",
    ],
)
def test_the_quick_way_ends_where_the_whole_way_does(
    edits: dict[str, Callable[[str], str]], tmp_path: Path, book: Taxonomy, clock: Callable[[], datetime]
) -> None:
    after = edited(tmp_path / "rules", **edits)
    db = harvest(tmp_path / "a", book, clock)
    rejudge_database(db, tmp_path / "a" / "decisions.db", after, clock)
    anew = contents(harvest(tmp_path / "b", after, clock))
    assert contents(db) == anew


def test_only_works_that_say_something_else_are_written(
    tmp_path: Path, book: Taxonomy, clock: Callable[[], datetime]
) -> None:
    db = harvest(tmp_path / "a", book, clock)
    after = edited(tmp_path / "rules", delivery_format=lambda t: t.replace("any: [", "any: [parkinson*, ", 1))
    assert len(after.values_changed_since(book.value_digests)) >= 1
    assert rejudge_database(db, tmp_path / "a" / "decisions.db", after, clock)[0] == 258
    conn = open_evidence(db)
    last = conn.execute("select max(run) from runs").fetchone()[0]
    written = conn.execute("select title from works where changed_run = ?", (last,)).fetchall()
    assert 1 <= len(written) <= 5
    assert all("Parkinson" in title for (title,) in written)
    conn.close()


def test_what_asks_about_an_edited_value_is_touched_too(tmp_path: Path, book: Taxonomy) -> None:
    asking = {
        asked: said
        for said, value in book.tagging.values.items()
        for rule in value.rules
        for asked in rule.unless
        if asked != said
    }
    asked, said = next(iter(asking.items()))
    changed = dict(book.value_digests) | {asked: "another"}
    assert {asked, said} <= book.values_changed_since(changed)
    assert book.values_changed_since(book.value_digests) == frozenset()
    part = book.tagging.restricted_to([said])
    assert {asked, said} <= set(part.values)
    assert len(part.finder.terms) < len(book.tagging.finder.terms)
