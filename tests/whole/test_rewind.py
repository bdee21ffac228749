"""A database taken back to a version shows, whatever came later, what was shown when the version was made: boxes, verdicts,
lists, tags, notices, claims, currency and the map."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from evidence.database.connection import reading
from evidence.database.schema import read_topic
from evidence.errors import StoreError
from evidence.export import claim_wording, currency_report
from evidence.harvest.progress import NoProgress
from evidence.harvest.rewind import rewind
from evidence.harvest.sources import Article, Claim
from evidence.publish import claim_evidence, currency
from tests.export.test_works_as_of_date import YEAR, World, books
from tests.whole.test_versions import DECISIVE, happen, more_steps, name_version, shown

CLAIMS = (Claim("a", "It helps.", (1, 3), (("outcome", ("depressive-symptoms",)),)), Claim("b", "Is.", (2,), ()))
ARTICLES = (Article("a", "An article", "article", CLAIMS),)


def everything(db: Path, world: World) -> dict[str, Any]:
    """What the database shows now, by reports that know nothing of versions."""
    there = World(db.parent, world.books)
    assert there.db == db
    with reading(db) as conn:
        found: dict[str, Any] = {
            "claims": claim_wording.report(claim_evidence.read_all(conn, ARTICLES)),
            "works": conn.execute(
                "select doi, title, abstract, authors, verdict, screened, decided, same_as, conflict is not null, notice,"
                " gone, language, first_run, judged_on from works order by doi"
            ).fetchall(),
            "tags": conn.execute("select doi, facet, value, decided, strength from tags order by 1, 2, 3").fetchall(),
            "found": conn.execute(
                "select w.doi from works_fts f join works w on w.rowid = f.rowid where works_fts match 'psychotherapy' order by 1"
            ).fetchall(),
            "map": conn.execute("select * from evidence_map order by 1, 2").fetchall(),
        }
        for table in ("notices", "citations", "aliases", "cites", "decisions", "absences", "sightings", "snapshots",
                      "announced", "changes", "verdict_history", "notice_history", "source_history", "sighting_gaps",
                      "runs", "versions", "version_tags", "updates", "duplicates", "work_authors"):  # fmt: skip
            found[table] = sorted(conn.execute(f"select * from {table}").fetchall(), key=repr)
        # A run that was killed is known to have crashed when the next one begins.
        found["runs"] = [tuple("crashed" if cell == "running" else cell for cell in row) for row in found["runs"]]
        found["sources"] = conn.execute(
            "select source, kind, label, method, iif(method is null, spec, null), retired from sources order by 1"
        ).fetchall()
        found["bookmarks"] = dict(conn.execute("select source, bookmark from sources").fetchall())
        found["answers"] = conn.execute("select provider, subject, asked_at from provider_answers").fetchall()
        loaded = currency.load(conn, read_topic(conn))
        view = currency.view_of_options(loaded.topic, loaded.values, None, None, [], None, None, implied=False)
        asked = currency.asked(loaded.topic, loaded.values, view)
        found["currency"] = list(currency_report.WRITERS["csv"][0](currency.of_cells(loaded, view), asked))
    return found | shown(there, None)


def play(history: list[list[tuple[Any, ...]]], *, whole: bool) -> int:
    """How many versions were brought back; with `whole` none may be refused."""
    back, differs = 0, False
    with TemporaryDirectory() as folder:
        world = World(Path(folder), books())
        world.sync()
        kept: dict[str, tuple[dict[str, Any], int]] = {}
        for number, steps in enumerate(history, start=1):
            for what in steps:
                happen(world, what)
            name = f"update {number}"
            if name_version(world, name):
                kept[name] = everything(world.db, world), world.rules
        for name, (before, rules) in kept.items():
            try:
                made = rewind(
                    world.db, world.folder / "decisions.db", world.book, name, Path(folder) / name, NoProgress()
                )
            except StoreError as error:
                assert not whole, error
                assert "cannot be brought back" in str(error)
                continue
            then = everything(made.db, world)
            # How far a source had been read, and who was asked, is known at least in part, and never more than it was.
            read, answers = before.pop("bookmarks"), {tuple(row[:2]): row[2] for row in before.pop("answers")}
            for source, day in then["bookmarks"].items():
                assert source in read
                assert day is None or day <= (read[source] or made.version["made_at"])
            assert all((at or "") <= answers[provider, subject] for provider, subject, at in then["answers"])
            for part, said in before.items():
                if part == "duplicates" and not made.same_rules:
                    continue
                assert then[part] == said, (name, part)
            differs |= any(everything(world.db, world)[part] != said for part, said in before.items())
            assert made.same_rules == (rules == world.rules)
            back += 1
    assert differs or not whole, "nothing came later, so nothing was tested"
    return back


@pytest.mark.slow
def test_a_database_taken_back_to_a_version_shows_what_was_shown_then() -> None:
    assert play(DECISIVE, whole=True) == len(DECISIVE)


@pytest.mark.slow
@pytest.mark.timeout(900)
@settings(max_examples=8, deadline=None)
@given(st.lists(st.lists(more_steps, max_size=5), min_size=2, max_size=4))
@example(YEAR)
def test_any_history_is_brought_back_exactly_or_refused(history: list[list[tuple[Any, ...]]]) -> None:
    play(history, whole=False)
