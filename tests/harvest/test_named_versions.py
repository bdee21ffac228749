"""Naming a state of the review: what a version keeps, when it is refused, and that nothing later changes it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from evidence import strict_yaml
from evidence.data_model import Doi, VerdictName
from evidence.database import read_queries, read_versions
from evidence.database.connection import reading
from evidence.database.prisma_flow import read_flow
from evidence.database.tag_filter import TagFilter
from evidence.database.writer import open_store
from evidence.errors import ConfigError
from evidence.export import version_report
from evidence.harvest import sources
from evidence.harvest.named_versions import freeze
from evidence.harvest.sync import sync
from evidence.review.record_decision import add_decisions
from evidence.rules.taxonomy import Taxonomy
from tests.builders import LIPSITZ, MARKOWITZ, SMALL_YAML, STANGIER, FakeRecordSource
from tests.edited_topic import edited, only_psychotherapy


class Review:
    """A small review whose clock goes on by an hour at each look."""

    def __init__(self, folder: Path, book: Taxonomy) -> None:
        self.db, self.ledger, self.book = folder / "evidence.db", folder / "decisions.db", book
        self.now = datetime(2026, 1, 2, tzinfo=UTC)

    def clock(self) -> datetime:
        self.now += timedelta(hours=1)
        return self.now

    def sync(self, *messages: dict[str, object]) -> None:
        settings = sources.check(strict_yaml.parse(SMALL_YAML, "s.yaml"))
        with open_store(self.db, self.ledger) as store:
            sync(settings, store, FakeRecordSource(list(messages)), self.book, now=self.clock)

    def decide(
        self,
        doi: object,
        verdict: VerdictName | None,
        *,
        tag: tuple[str, str] | None = None,
        untag: tuple[str, str] | None = None,
        because: str = "read",
    ) -> None:
        tags, untags = [tag] if tag else [], [untag] if untag else []
        work = Doi(str(doi))
        add_decisions(self.db, self.ledger, self.book, self.clock, work, verdict, tags, untags, because, "Ann")

    def freeze(self, name: str, note: str | None = None) -> tuple[dict[str, object], bool]:
        return freeze(self.db, self.ledger, self.book, self.clock, name, note, "Ann")


@pytest.fixture
def review(tmp_path: Path, book: Taxonomy) -> Review:
    made = Review(tmp_path, book)
    made.sync(LIPSITZ, MARKOWITZ, STANGIER)
    return made


def test_a_version_keeps_what_the_state_was_and_who_named_it(review: Review) -> None:
    review.decide(STANGIER["DOI"], "exclude", because="not randomised")
    row, new = review.freeze(" 3 ", "sent to the journal")
    assert new
    assert (row["name"], row["run"], row["made_by"], row["note"], row["decisions"]) == (
        "3",
        2,
        "Ann",
        "sent to the journal",
        1,
    )
    assert row["rules"] == review.book.digest
    with reading(review.db) as conn:
        counts = read_queries.verdict_counts(conn)
        assert [row["included"], row["excluded"], row["unsure"]] == [
            counts.get(v, 0) for v in ("include", "exclude", "unsure")
        ]
        assert read_versions.versions(conn) == [row]
    assert version_report.made(row, new=True).startswith("Version 3: 2026-01-02, after run 2, ")
    assert "sent to the journal" in version_report.listed([row])


def test_the_same_name_is_said_for_the_same_state_and_refused_for_another(review: Review) -> None:
    first, _ = review.freeze("3")
    again, new = review.freeze("3", "another note")
    assert (again, new) == (first, False)
    assert "Nothing was changed" in version_report.made(again, new=new)
    review.decide(STANGIER["DOI"], "exclude")
    with pytest.raises(ConfigError, match="version 3 is the state after run 1"):
        review.freeze("3")
    assert review.freeze("4")[1]
    with closing(sqlite3.connect(review.db)) as conn:
        for sql in ("update versions set note = 'x'", "delete from versions"):
            with pytest.raises(sqlite3.IntegrityError, match="a version is never"):
                conn.execute(sql)


@pytest.mark.parametrize("name", ["", "   ", "2026-01-31", "run:3", "a\nb", "x" * 81])
def test_a_name_that_would_be_read_otherwise_is_refused(review: Review, name: str) -> None:
    with pytest.raises(ConfigError):
        review.freeze(name)


def test_a_state_that_the_database_does_not_show_is_not_named(
    review: Review, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    review.book = edited(tmp_path_factory.mktemp("topic") / "rules", screen=only_psychotherapy)
    with pytest.raises(ConfigError, match="`evidence judge` first"):
        review.freeze("3")
    with pytest.raises(ConfigError):  # no database
        freeze(tmp_path / "no.db", tmp_path / "d.db", review.book, review.clock, "3", None, None)
    with open_store(tmp_path / "new.db"):
        pass
    with pytest.raises(ConfigError, match="nothing was harvested yet"):
        freeze(tmp_path / "new.db", tmp_path / "d.db", review.book, review.clock, "3", None, None)


def test_what_a_person_types_is_a_date_a_run_or_a_version(review: Review) -> None:
    review.decide(STANGIER["DOI"], "exclude")
    review.freeze("1")
    review.now = datetime(2026, 2, 2, tzinfo=UTC)
    review.decide(STANGIER["DOI"], "include")
    with reading(review.db) as conn:

        def asked(text: str) -> tuple[int, str, str | None]:
            state = read_versions.state_named(conn, text)
            return state.run, state.day, state.name

        assert asked("2026-01-31") == (2, "2026-01-31", None)
        assert asked("2026-02-28") == (3, "2026-02-28", None)
        assert asked("2025-01-01") == (0, "2025-01-01", None)
        assert asked("1") == (2, "2026-01-02", "1")  # a version's name comes before a run's number
        assert asked("run:1") == (1, "2026-01-02", None)
        assert asked("3") == (3, "2026-02-02", None)
        for wrong in ("9", "run:9", "x", "2026-02-30", ""):
            with pytest.raises(ConfigError, match=r"the versions are: 1$"):
                read_versions.state_named(conn, wrong)


def test_a_run_that_is_going_on_is_no_past_state(review: Review) -> None:
    with open_store(review.db, review.ledger) as store:
        store.start_run("judge", "0", "2026-03-01T00:00:00Z")
        with pytest.raises(ConfigError, match="run 2 has not ended"):
            read_versions.state_named(store.conn, "run:2")
        with pytest.raises(ConfigError, match="no version has been named yet"):
            read_versions.state_named(store.conn, "x")


def test_the_tags_of_a_version_stay_as_they_were(review: Review) -> None:
    def tags(version: int) -> set[tuple[str, ...]]:
        with reading(review.db) as conn:
            return set(read_versions.tags_in_version(conn, version, read_queries.all_dois(conn, known)))

    def tagged(version: int, facet: str, value: str) -> set[str]:
        with reading(review.db) as conn:
            (clause,), values = read_versions.tag_conditions([TagFilter(facet, (value,))], "doi", version)
            return {doi for (doi,) in conn.execute(f"select doi from works where {clause}", values)}

    known = [Doi(str(m["DOI"])) for m in (LIPSITZ, MARKOWITZ, STANGIER)]
    with reading(review.db) as conn:
        now = set(conn.execute("select doi, facet, value, strength, decided from tags").fetchall())
    review.freeze("1")
    assert tags(1) == now and now
    review.decide(known[0], "include", tag=("outcome", "grief-symptoms"))
    review.freeze("2")
    review.freeze("3")
    review.decide(known[0], None, untag=("outcome", "grief-symptoms"))
    review.freeze("4")
    added = (known[0], "outcome", "grief-symptoms", "stated", "person")
    assert tags(1) == now
    assert tags(2) == tags(3) == {*(t for t in now if t[:3] != added[:3]), added}
    assert tags(4) == {t for t in now if t[:3] != added[:3]}
    assert known[0] in tagged(2, "outcome", "grief-symptoms") and known[0] not in tagged(4, "outcome", "grief-symptoms")
    with reading(review.db) as conn:  # a work whose tags stay the same costs one row, however many versions there are
        assert conn.execute("select count(*) from version_tags where doi <> ?", (known[0],)).fetchone()[0] == len(
            {t[0] for t in now} - {known[0]}
        )


def test_a_reason_given_later_is_not_that_of_an_earlier_run(review: Review) -> None:
    review.decide(STANGIER["DOI"], "exclude", because="wrong design | note: a long story")
    row, _ = review.freeze("1")
    # Made elsewhere before the version was named, and imported after it.
    review.now -= timedelta(hours=3)
    review.decide(STANGIER["DOI"], "exclude", because="another reason")
    review.now += timedelta(hours=30)
    review.decide(STANGIER["DOI"], "exclude", because="a third reason")
    with reading(review.db) as conn:
        assert ("By a reviewer: wrong design", 1) in read_flow(conn, int(str(row["run"]))).excluded
        assert ("By a reviewer: a third reason", 1) in read_flow(conn).excluded
