"""Known works, asked again: unchanged at little cost, counted anew, moved to another DOI, gone from Crossref and back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evidence import strict_yaml
from evidence.crossref.normalise import serialise
from evidence.current_decisions import decision_id
from evidence.data_model import SAME_WORK, Author, Decision, Doi, Message, Work
from evidence.database import prisma_flow, read_queries
from evidence.database.select_works import Selection, selected_works
from evidence.database.values_for_writer import HarvestedPage
from evidence.database.writer import Store, open_store
from evidence.export import explanation, status_report, sync_summary
from evidence.harvest import rejudge, sources
from evidence.harvest.known_works import LOOK_UP_GONE_EVERY
from evidence.harvest.locked_run import rejudge_database, run_sync
from evidence.harvest.progress import NoProgress
from evidence.harvest.run_outcome import Outcome
from evidence.harvest.sources import Config, ReferenceList
from evidence.harvest.sync import sync
from evidence.review.record_decision import add_decisions
from evidence.rules.taxonomy import Taxonomy
from tests.builders import (
    FONAGY,
    LIPSITZ,
    MARKOWITZ,
    STANGIER,
    WORKS,
    FakeRecordSource,
    changes_text,
    decision,
    message,
    tagging,
    texts,
)
from tests.database.test_writer import JUDGED, dump, record
from tests.database.test_writer import run as start
from tests.loopback import LoopbackCrossref

Clock = Callable[[], datetime]
OLD, NEW = Doi(STANGIER["DOI"]), Doi("10.5555/new.address")
MOVED = STANGIER | {"DOI": NEW, "URL": f"https://doi.org/{NEW}"}
OTHERS = tuple(w for w in WORKS if w is not STANGIER)
KEPT = ("runs", "requests")


@pytest.fixture
def go(store: Store, small: Config, book: Taxonomy, clock: Clock) -> Callable[..., Outcome]:
    def run(crossref: FakeRecordSource, config: Config = small, take: Sequence[Message] = (), **more: Any) -> Outcome:
        return sync(config, store, crossref, book, now=clock, take=texts(take), **more)

    return run


def rows(store: Store, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    return store.conn.execute(sql, values).fetchall()


def leads(*messages: Message, **aliases: str) -> FakeRecordSource:
    crossref = FakeRecordSource(messages)
    crossref.aliases = aliases or {str(OLD): str(NEW)}
    return crossref


def verdict(doi: Doi, verdict: str = "exclude", by: str = "A. Reader", at: str = "2026-01-01T00:00:00Z") -> Decision:
    return decision(doi, verdict, by, reason="comparator only", made_at=at)


def told(outcome: Outcome) -> list[tuple[str, str, str | None, str | None]]:
    """What the run announced, nothing that is only counted: (what, doi, before, after)."""
    assert sum(outcome.changes.counts.values()) == len(outcome.changes.named)
    return [(c["what"], c["doi"], c["before"], c["after"]) for c in outcome.changes.named]


# ---------------------------------------------------------------------- a DOI that leads to another


def test_a_work_whose_doi_leads_to_another_is_kept_under_that_one(store: Store, go: Callable[..., Outcome]) -> None:
    go(FakeRecordSource())
    before = rows(store, "select source, via, rank, score from sightings where doi = ?", OLD)
    versions = rows(store, "select count(*) from snapshots where doi = ?", OLD)
    outcome = go(leads(*OTHERS, MOVED))
    assert outcome.written.moved == [(OLD, NEW)]
    assert outcome.written.new == 0
    assert rows(store, "select doi from works where doi in (?, ?)", OLD, NEW) == [(NEW,)]
    assert rows(store, "select alias, doi, last_run from aliases") == [(OLD, NEW, None)]
    assert rows(store, "select count(*) from snapshots where doi = ? and last_run is not null", OLD) == versions
    assert (
        rows(store, "select source, via, rank, score from sightings where doi = ? and last_run is null", NEW) == before
    )
    assert rows(store, "select count(*) from sightings where doi = ? and last_run is null", OLD) == [(0,)]
    assert read_queries.canonical_doi(store.conn, OLD) == NEW
    text = sync_summary.sync_summary(outcome)
    assert f"{OLD} is now {NEW}: {STANGIER['title'][0]}." in text
    assert "Nothing new" not in text
    assert "no longer found" not in text
    assert told(outcome) == [("moved", NEW, OLD, None)]
    assert read_queries.changes(store.conn) == outcome.changes.named
    found = prisma_flow.read_flow(store.conn)
    assert (found["screened"], found["aliases"]) == (4, 1)
    assert found["identified"] - found["removed"] == found["screened"]
    store.conn.execute("insert into works_fts (works_fts) values ('integrity-check')")
    kept = dump(store, leave=KEPT)
    assert "Nothing new" in sync_summary.sync_summary(go(leads(*OTHERS, MOVED)))
    assert dump(store, leave=KEPT) == kept


@pytest.mark.parametrize("known", [False, True], ids=["a new record", "a record that stands, too"])
def test_a_record_that_lists_an_alias_moves_the_work(store: Store, go: Callable[..., Outcome], known: bool) -> None:
    go(FakeRecordSource([*WORKS, MOVED] if known else WORKS))
    listing = MOVED | {"aliases": [OLD.upper(), NEW], "indexed": {"date-time": "2026-11-24T09:00:00Z"}}
    outcome = go(FakeRecordSource([*OTHERS, listing]))
    assert outcome.written.moved == [(OLD, NEW)]
    assert rows(store, "select doi, verdict, same_as from works where doi in (?, ?)", OLD, NEW) == [
        (NEW, "include", None)
    ]
    assert rows(store, "select * from duplicates") == []


def test_a_list_that_shows_the_alias_for_a_while_brings_no_second_work(
    store: Store, go: Callable[..., Outcome]
) -> None:
    go(FakeRecordSource())
    listing = MOVED | {"aliases": [OLD], "indexed": {"date-time": "2026-11-24T09:00:00Z"}}

    class Slow(FakeRecordSource):
        """Single requests are sent on; lists still have the old record."""

        def lookup(self, dois: Any, since: str | None = None) -> Iterator[tuple[Any, ...]]:
            self.aliases = {str(OLD): str(NEW)} if len(dois) == 1 else {}
            yield from super().lookup(dois, since)
            self.aliases = {}

    for _ in range(3):
        go(Slow([*WORKS, listing]))
        assert rows(store, "select doi from works where doi in (?, ?)", OLD, NEW) == [(NEW,)]


@pytest.mark.parametrize("order", [1, -1])
def test_an_alias_and_its_work_on_one_page_are_one_work(store: Store, go: Callable[..., Outcome], order: int) -> None:
    listing = MOVED | {"aliases": [OLD]}
    outcome = go(FakeRecordSource([*OTHERS, *[STANGIER, listing][::order]]))
    assert rows(store, "select doi from works where doi in (?, ?)", OLD, NEW) == [(NEW,)]
    assert rows(store, "select count(*) from sightings where doi = ?", OLD) == [(0,)]
    assert rows(store, "select count(*) from works where first_run = ?", outcome.run) == [(outcome.written.new,)]
    odd = message("10.5555/odd", "Interpersonal psychotherapy, odd", 2001, aliases=["10.5555/fine"], author="none")
    fine = message("10.5555/fine", "Interpersonal psychotherapy, fine", 2001)
    go(FakeRecordSource([*OTHERS, listing, *[odd, fine][::order]]), full=True)
    assert rows(store, "select doi from works where doi = '10.5555/fine'") == [("10.5555/fine",)]


def test_what_people_said_of_the_old_doi_holds_for_the_work(
    store: Store, go: Callable[..., Outcome], book: Taxonomy
) -> None:
    go(FakeRecordSource())
    words = [
        verdict(OLD),
        tagging(OLD, "variant", "ipt-g"),
        tagging(MARKOWITZ["DOI"], SAME_WORK, OLD, untag=True),
    ]
    store.append_decisions(words)
    go(FakeRecordSource())
    go(leads(*OTHERS, MOVED))
    assert store.decisions() == tuple(words)
    assert rows(store, "select verdict, decided from works where doi = ?", NEW) == [("exclude", "person")]
    assert ("ipt-g",) in rows(store, "select value from tags where doi = ? and decided = 'person'", NEW)
    pair = sorted((MARKOWITZ["DOI"], NEW))
    assert rows(store, "select doi, other, verdict from duplicates") == [(*pair, "apart")]
    assert {doi for (doi,) in rows(store, "select doi from decisions")} == {NEW, MARKOWITZ["DOI"]}
    # A later word on the new DOI is the same person's word on the same work.
    store.append_decisions([replace(verdict(NEW, "include", at="2026-02-01T00:00:00Z"), seen=(decision_id(words[0]),))])
    go(leads(*OTHERS, MOVED))
    assert rows(store, "select verdict, conflict from works where doi = ?", NEW) == [("include", None)]


def test_the_words_hold_from_the_moment_the_work_moves(store: Store, go: Callable[..., Outcome]) -> None:
    """Were the run killed after the page is written, an excluded work must not stand as included."""
    go(FakeRecordSource())
    store.append_decisions([verdict(OLD)])
    go(FakeRecordSource())
    seen: list[Any] = []

    class Watching(FakeRecordSource):
        def check(self, dois: Any) -> Iterator[Any]:
            yield from super().check(dois)
            store.conn.set_trace_callback(look)

    def look(sql: str) -> None:
        if sql.strip().lower() == "commit":
            seen.extend(rows(store, "select verdict from works where doi = ?", NEW))

    crossref = Watching([*OTHERS, MOVED])
    crossref.aliases = {str(OLD): str(NEW)}
    go(crossref)
    store.conn.set_trace_callback(None)
    assert set(seen) == {("exclude",)}


def test_citations_follow(store: Store, go: Callable[..., Outcome]) -> None:
    go(FakeRecordSource())
    old, new = str(LIPSITZ["DOI"]), "10.5555/lipsitz"
    crossref = FakeRecordSource([FONAGY, MARKOWITZ, STANGIER, LIPSITZ | {"DOI": new}])
    crossref.aliases = {old: new}
    for _ in range(2):
        outcome = go(crossref)
        assert rows(store, "select doi, status, problem from citations where position = 1") == [
            (new, "resolved", f"this DOI now leads to {new}")
        ]
        assert outcome.citations["resolved"] == 1
    assert rows(store, "select doi from sightings where source = 'article' and last_run is null order by 1") == [
        (FONAGY["DOI"],),
        (new,),
    ]


def test_an_older_file_does_not_lead_a_citation_back_to_the_old_doi(
    store: Store, small: Config, go: Callable[..., Outcome]
) -> None:
    go(FakeRecordSource())
    old, new = str(LIPSITZ["DOI"]), "10.5555/lipsitz"
    crossref = FakeRecordSource([FONAGY, MARKOWITZ, STANGIER, LIPSITZ | {"DOI": new}])
    crossref.aliases = {old: new}
    go(crossref)
    (cited,) = (source for source in small.sources if isinstance(source, ReferenceList))
    edited = replace(cited, citations=tuple(replace(c, text=f"{c.text} Print.") for c in cited.citations))
    go(FakeRecordSource(name="files"), replace(small, sources=(edited,)))
    assert rows(store, "select doi, status from citations where position = 1") == [(new, "resolved")]
    assert rows(store, "select doi from works where doi in (?, ?)", old, new) == [(new,)]


def test_cited_works_are_cited_under_the_doi_they_are_kept_under(store: Store, go: Callable[..., Outcome]) -> None:
    citing = MARKOWITZ | {"reference": [{"key": "1", "DOI": OLD, "doi-asserted-by": "publisher"}]}
    rest = [LIPSITZ, FONAGY, citing]
    go(FakeRecordSource([*rest, STANGIER]))
    assert rows(store, "select cited from cites") == [(OLD,)]
    go(leads(*rest, MOVED))
    assert rows(store, "select cited from cites") == [(NEW,)]
    # Judged anew from the records, it is the same.
    store.conn.execute("update works set basis = ''")
    store.conn.commit()
    go(leads(*rest, MOVED))
    assert rows(store, "select cited from cites") == [(NEW,)]
    # And when the old DOI has a record of its own again, the citation is read again.
    go(FakeRecordSource([*rest, STANGIER, MOVED]))
    assert rows(store, "select cited from cites") == [(OLD,)]


def test_chains_end_at_the_last_doi_and_the_latest_word_wins(store: Store, go: Callable[..., Outcome]) -> None:
    go(FakeRecordSource())
    go(leads(*OTHERS, MOVED))
    third = MOVED | {"DOI": "10.5555/third"}
    go(leads(*OTHERS, third, **{str(OLD): "10.5555/third", str(NEW): "10.5555/third"}))
    assert rows(store, "select alias, doi from aliases order by 1") == [(OLD, third["DOI"]), (NEW, third["DOI"])]
    # The other way round: the old DOI is the one that stands, and the others lead to it.
    crossref = leads(*OTHERS, STANGIER, **{str(NEW): str(OLD), "10.5555/third": str(OLD)})
    go(crossref)
    go(crossref)
    assert rows(store, "select alias, doi from aliases where last_run is null order by 1") == [
        (NEW, OLD),
        ("10.5555/third", OLD),
    ]
    assert rows(store, "select count(*) from works where title = ?", STANGIER["title"][0]) == [(1,)]


def test_a_doi_with_a_record_of_its_own_again_is_no_alias(store: Store, go: Callable[..., Outcome]) -> None:
    go(FakeRecordSource())
    first = rows(store, "select source from sightings where doi = ? and last_run is null", OLD)
    go(leads(*OTHERS, MOVED))
    go(FakeRecordSource([*WORKS, MOVED]))
    assert rows(store, "select count(*) from aliases where last_run is null") == [(0,)]
    assert rows(store, "select version, last_run is null from snapshots where doi = ? order by 1", OLD) == [
        (1, 0),
        (2, 1),
    ]
    assert rows(store, "select source from sightings where doi = ? and last_run is null", OLD) == first
    assert read_queries.canonical_doi(store.conn, OLD) == OLD


def test_a_file_does_not_bring_the_old_doi_back(store: Store, go: Callable[..., Outcome]) -> None:
    go(FakeRecordSource())
    go(leads(*OTHERS, MOVED))
    before = dump(store, leave=("runs", "requests", "sightings"))
    go(FakeRecordSource([STANGIER], name="files"), take=[STANGIER])
    assert dump(store, leave=("runs", "requests", "sightings")) == before
    assert rows(store, "select doi from sightings where source = 'files'") == [(NEW,)]


def test_a_work_is_never_lost_to_a_record_that_cannot_be_understood(store: Store, go: Callable[..., Outcome]) -> None:
    go(FakeRecordSource())
    odd = MOVED | {"author": "not a list"}
    outcome = go(leads(*OTHERS, odd))
    assert outcome.written.rejects == 1
    assert rows(store, "select doi from works where doi in (?, ?)", OLD, NEW) == [(OLD,)]
    go(leads(*OTHERS, MOVED | {"indexed": {"date-time": "2026-11-24T09:00:00Z"}}))
    assert rows(store, "select doi from works where doi in (?, ?)", OLD, NEW) == [(NEW,)]


def test_a_person_decides_and_explains_under_the_old_doi(
    tmp_path: Path, store: Store, go: Callable[..., Outcome], book: Taxonomy, clock: Clock
) -> None:
    go(FakeRecordSource())
    go(leads(*OTHERS, MOVED))
    ledger = tmp_path / "decisions.db"

    def decide(**more: Any) -> Decision:
        said: dict[str, Any] = {"verdict": None, "tags": (), "untags": ()} | more
        words, shows = add_decisions(
            store.path, ledger, book, clock, OLD, said["verdict"], said["tags"], said["untags"], "because", "A",
            withdrawn=said.get("withdrawn", ()),
        )  # fmt: skip
        assert shows
        return words[0]

    store.append_decisions([verdict(OLD, by="A")])
    assert decide(verdict="include").doi == NEW
    assert rows(store, "select verdict, conflict from works where doi = ?", NEW) == [("include", None)]
    decide(withdrawn=[None])
    assert rows(store, "select decided from works where doi = ?", NEW) == [("rule",)]
    assert decide(untags=[(SAME_WORK, str(MARKOWITZ["DOI"]))]).doi == NEW
    found = read_queries.work_details(store.conn, read_queries.canonical_doi(store.conn, OLD))
    assert found
    assert f"Other DOIs of this record: {OLD}." in explanation.work_explanation(found)


# ---------------------------------------------------------------------- gone


def test_a_work_gone_from_crossref_is_marked_said_once_and_kept(
    store: Store, go: Callable[..., Outcome], book: Taxonomy
) -> None:
    go(FakeRecordSource())
    outcome = go(FakeRecordSource(OTHERS))
    title = STANGIER["title"][0]
    assert told(outcome) == [("gone", OLD, None, "2026-11-24")]
    assert f"No longer in Crossref since 2026-11-24: {OLD}: {title}" in sync_summary.sync_summary(outcome)
    assert rows(store, "select verdict, gone from works where doi = ?", OLD) == [("include", "2026-11-24")]
    listed = read_queries.changes(store.conn)
    assert listed == outcome.changes.named
    assert f"No longer in Crossref since 2026-11-24: {OLD}: {title}" in changes_text(listed)
    assert f"since 2026-11-24: {OLD}: {title}" in status_report.status_report(read_queries.status(store.conn))
    (exported,) = (r for r in selected_works(store.conn, Selection()) if r["doi"] == OLD)
    assert exported["gone"] == "2026-11-24"
    # Nothing is said again, and judging anew forgets nothing.
    store.conn.execute("update works set basis = ''")
    store.conn.commit()
    again = go(FakeRecordSource(OTHERS))
    assert (again.changes.counts, again.written.gone, read_queries.changes(store.conn)) == ({}, [], [])
    assert rows(store, "select gone from works where doi = ?", OLD) == [("2026-11-24",)]
    # Back again, which is said too.
    back = go(FakeRecordSource())
    assert back.written.back == [OLD]
    assert f"In Crossref again: {OLD}: {title}." in sync_summary.sync_summary(back)
    assert rows(store, "select gone from works where doi = ?", OLD) == [(None,)]
    assert told(back) == [("back", OLD, "2026-11-24", None)]
    assert rows(store, "select doi, last_run is null from absences") == [(OLD, 0)]


def test_a_file_that_lacks_a_work_says_nothing_of_it(store: Store, go: Callable[..., Outcome]) -> None:
    go(FakeRecordSource())
    assert go(FakeRecordSource([], name="files")).changes.counts == {}
    go(FakeRecordSource(OTHERS))
    go(FakeRecordSource(name="files"), take=[STANGIER])
    assert rows(store, "select count(*) from works where gone is not null") == [(1,)]


def test_gone_works_are_asked_by_themselves_every_tenth_sync_only(store: Store, go: Callable[..., Outcome]) -> None:
    go(FakeRecordSource())
    crossref = FakeRecordSource(OTHERS)
    for _ in range(1 + LOOK_UP_GONE_EVERY):
        go(crossref)
    assert len([call for call in crossref.asked if call[0] == "lookup" and call[1] == (OLD,)]) == 2
    go(crossref, full=True)
    assert len([call for call in crossref.asked if call[0] == "lookup" and call[1] == (OLD,)]) == 3
    crossref = leads(*OTHERS, MOVED)
    for _ in range(LOOK_UP_GONE_EVERY):
        go(crossref)
    assert rows(store, "select doi, gone from works where doi in (?, ?)", OLD, NEW) == [(NEW, None)]


@pytest.mark.parametrize("known", [False, True], ids=["a new record", "a record announced before"])
def test_a_gone_work_that_leads_to_a_new_record_is_announced_as_back(
    store: Store, go: Callable[..., Outcome], known: bool
) -> None:
    """Readers were told that the work is gone, and the new record goes on from there. A record that was announced by itself
    never was gone."""
    beside = [MOVED] if known else []
    go(FakeRecordSource([*WORKS, *beside]))
    assert ("gone", OLD, None, "2026-11-24") in told(go(FakeRecordSource([*OTHERS, *beside])))
    found = [change for change in told(go(leads(*OTHERS, MOVED), full=True)) if change[0] != "verdict"]
    assert found == [*([] if known else [("back", NEW, "2026-11-24", None)]), ("moved", NEW, OLD, None)]
    assert rows(store, "select doi, gone from works where doi in (?, ?)", OLD, NEW) == [(NEW, None)]
    assert told(go(leads(*OTHERS, MOVED), full=True)) == []


def test_what_a_search_no_longer_finds_is_named(store: Store, go: Callable[..., Outcome]) -> None:
    many = [message(f"10.5555/ipt.{n}", f"Interpersonal psychotherapy in setting {n}", 2000 + n) for n in range(7)]
    go(FakeRecordSource([*WORKS, *many]))
    other = [m | {"title": ["Something else"], "indexed": {"date-time": "2026-11-24T09:00:00Z"}} for m in many]
    text = sync_summary.sync_summary(go(FakeRecordSource([*WORKS, *other]), full=True))
    assert "7 works changed from included to waiting for a decision: " in text
    text = next(line for line in text.splitlines() if "no longer found" in line)
    assert "7 works no longer found by a source that found them before (kept and marked): 10.5555/ipt.0: " in text
    assert "10.5555/ipt.4: Something else and 2 more." in text
    assert "10.5555/ipt.5" not in text
    assert "No longer in Crossref" not in text


# ---------------------------------------------------------------------- counted and indexed anew


def cited(count: int, **more: Any) -> FakeRecordSource:
    return FakeRecordSource([*OTHERS, STANGIER | {"is-referenced-by-count": count} | more])


def test_a_count_is_kept_whenever_it_was_asked_and_is_no_change(
    store: Store, go: Callable[..., Outcome], tmp_path: Path, book: Taxonomy, clock: Clock
) -> None:
    go(cited(10))
    outcome = go(cited(12))
    assert (outcome.written.changed, outcome.written.new) == (0, 0)
    row = "select cited_by, first_run = changed_run from works where doi = ?"
    assert rows(store, row, OLD) == [(12, 1)]
    assert rows(store, "select count(*) from snapshots where doi = ?", OLD) == [(1,)]
    before = dump(store, leave=KEPT)
    assert "Nothing new" in sync_summary.sync_summary(go(cited(12)))
    assert dump(store, leave=KEPT) == before
    store.conn.execute("update works set basis = ''")
    store.conn.commit()
    rejudge_database(store.path, tmp_path / "decisions.db", book, clock)
    assert rows(store, row, OLD) == [(12, 1)]
    # A new record says its own count, and the next check another.
    go(cited(13, volume="99", indexed={"date-time": "2026-11-24T09:00:00Z"}))
    assert rows(store, "select cited_by from works where doi = ?", OLD) == [(13,)]
    go(cited(0, volume="99", indexed={"date-time": "2026-11-24T09:00:00Z"}))
    assert rows(store, "select cited_by from works where doi = ?", OLD) == [(0,)]
    # A file is no newer than what it says of itself.
    go(FakeRecordSource([], name="files"), take=[STANGIER | {"is-referenced-by-count": 5}])
    assert rows(store, "select cited_by from works where doi = ?", OLD) == [(0,)]


def test_a_record_indexed_again_without_a_change_is_fetched_once(
    store: Store, go: Callable[..., Outcome], small: Config
) -> None:
    alone = Config(None, small.sources[1:], (), ())  # a citation without a DOI asks for candidates at every sync
    go(FakeRecordSource(), alone)
    again = STANGIER | {"indexed": {"date-time": "2026-11-24T09:00:00Z"}, "is-referenced-by-count": 4}
    first = FakeRecordSource([*OTHERS, again])
    go(first, alone)
    assert [call[1] for call in first.asked if call[0] == "lookup" and call[1]] == [(OLD,)]
    second = FakeRecordSource([*OTHERS, again])
    before = dump(store, leave=KEPT)
    go(second, alone)
    go(second, alone, full=True)
    assert not [call for call in second.asked if call[0] == "lookup" and call[1]]
    assert dump(store, leave=KEPT) == before
    assert rows(store, "select cited_by from works where doi = ?", OLD) == [(4,)]


def test_records_from_files_are_fetched_once_and_not_at_every_sync(
    store: Store, go: Callable[..., Outcome], small: Config
) -> None:
    alone = Config(None, small.sources[1:], (), ())  # a citation without a DOI asks for candidates at every sync
    go(FakeRecordSource(name="files"), alone)
    go(FakeRecordSource([], name="files"), alone, take=[{k: v for k, v in STANGIER.items() if k != "indexed"}])
    fetched = []
    for _ in range(3):
        crossref = FakeRecordSource()
        go(crossref, alone)
        fetched.append([call[1] for call in crossref.asked if call[0] == "lookup" and call[1]])
    assert fetched[1:] == [[], []]


def test_a_score_is_no_part_of_a_record(store: Store, go: Callable[..., Outcome]) -> None:
    for score in (1.5, 2.5):
        go(FakeRecordSource([], name="files"), take=[MARKOWITZ | {"score": score}])
    go(FakeRecordSource([MARKOWITZ | {"score": 9}]))
    assert [("score" in json.loads(text)) for (text,) in rows(store, "select message from snapshots")] == [False]
    assert serialise(MARKOWITZ | {"score": 1}) == serialise(MARKOWITZ)


# ---------------------------------------------------------------------- records that cannot be understood


def test_a_record_that_cannot_be_understood_is_tried_once(
    store: Store, go: Callable[..., Outcome], tmp_path: Path, book: Taxonomy, clock: Clock
) -> None:
    odd = STANGIER | {"author": "not a list"}
    outcome = go(FakeRecordSource([*OTHERS, odd]))
    assert rows(store, "select count(*) from works where first_run = ?", outcome.run) == [(outcome.written.new,)]
    assert rows(store, "select count(*) from works where doi = ?", OLD) == [(0,)]
    assert outcome.written.rejects == 1
    assert not rejudge.any_stale(store, book, {})
    runs = rows(store, "select count(*) from runs")
    assert rejudge_database(store.path, tmp_path / "decisions.db", book, clock)[0] == 0
    assert rows(store, "select count(*) from runs") == runs
    before = dump(store, leave=KEPT)
    again = go(FakeRecordSource([*OTHERS, odd]))
    assert (again.rejudged, again.written.rejects) == (0, 0)
    assert dump(store, leave=KEPT) == before
    # Other code tries again, and once.
    store.conn.execute("update unread set version = '0'")
    store.conn.commit()
    assert len(list(rejudge.stale_works(store, book, {}))) == 1
    rejudge_database(store.path, tmp_path / "decisions.db", book, clock)
    assert not rejudge.any_stale(store, book, {})
    # Mended at Crossref, it is a new work.
    mended = go(FakeRecordSource([*OTHERS, STANGIER | {"indexed": {"date-time": "2026-11-24T09:00:00Z"}}]))
    assert mended.written.new == 1
    assert rows(store, "select doi from works where first_run = ?", mended.run) == [(OLD,)]
    assert rows(store, "select * from unread") == []


def test_the_last_record_that_was_understood_stands_for_one_that_is_not(
    store: Store, go: Callable[..., Outcome], tmp_path: Path, book: Taxonomy, clock: Clock
) -> None:
    go(FakeRecordSource())
    odd = STANGIER | {"author": "not a list", "indexed": {"date-time": "2026-11-24T09:00:00Z"}}
    outcome = go(FakeRecordSource([*OTHERS, odd]))
    assert (outcome.written.changed, outcome.written.rejects) == (0, 1)
    store.append_decisions([verdict(OLD)])
    rejudge_database(store.path, tmp_path / "decisions.db", book, clock)
    assert rows(store, "select verdict, authors from works where doi = ?", OLD) == [
        ("exclude", "Stangier U, Schramm E")
    ]
    runs = rows(store, "select count(*) from runs")
    rejudge_database(store.path, tmp_path / "decisions.db", book, clock)
    assert rows(store, "select count(*) from runs") == runs


# ---------------------------------------------------------------------- names


ORCID = "0000-0002-1825-0097"
PEOPLE = st.sampled_from(
    [
        Author("Castaño", "J", orcid=ORCID),
        Author("Castaño", "Josefina", orcid=ORCID),
        Author("Castano", "Josefina", orcid=ORCID),
        Author("Castaño, J", None, orcid=ORCID),
        Author(name="Castaño, Josefina", orcid=ORCID),
        Author("Weissman", "M"),
        Author("Weissman, M", None),
        Author(name="Weissman, M"),
        Author(name="IPT Group"),
    ]
)
HISTORY = st.lists(st.tuples(st.integers(0, 2), st.lists(PEOPLE, max_size=3, unique=True)), min_size=1, max_size=7)


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=HISTORY, data=st.data())
def test_authors_are_called_as_the_records_that_stand_call_them(
    tmp_path_factory: pytest.TempPathFactory, history: list[tuple[int, list[Author]]], data: st.DataObject
) -> None:
    def named(number: int, authors: list[Author]) -> Any:
        work = Work(Doi(f"10.5555/{number}"), title="T", authors=tuple(authors))
        return record(work, replace(JUDGED, matches=(), tags=()), digest=repr(authors))

    tables = "select * from authors order by author", "select * from work_authors order by doi, position"
    folder = tmp_path_factory.mktemp("names")
    with (
        open_store(folder / "one.db", folder / "d1.db") as store,
        open_store(folder / "two.db", folder / "d2.db") as anew,
    ):
        for number, authors in history:
            store.write_page(start(store), "s", HarvestedPage([named(number, authors)]))
        last = data.draw(st.permutations(sorted(dict(history).items())))
        anew.write_page(start(anew), "s", HarvestedPage([named(number, authors) for number, authors in last]))
        assert [rows(store, sql) for sql in tables] == [rows(anew, sql) for sql in tables]


# ---------------------------------------------------------------------- over HTTP


@pytest.mark.slow
def test_a_second_sync_asks_at_most_twice_for_a_hundred_works_and_changes_no_row(
    tmp_path: Path, book: Taxonomy, clock: Clock
) -> None:
    works = [
        message(f"10.5555/ipt.{n}", f"Interpersonal psychotherapy in setting {n}", 1990 + n % 30) for n in range(300)
    ]
    text = (
        "sources:\n  - {id: s, kind: search, label: S, query: {title: interpersonal psychotherapy}, "
        "phrases: ['interpersonal psychotherap*']}\n"
    )
    checked = sources.check(strict_yaml.parse(text, "s.yaml"))
    db = tmp_path / "evidence.db"
    with LoopbackCrossref(works) as server:

        def go() -> Outcome:
            return run_sync(db, tmp_path / "d.db", checked, book, clock, NoProgress(), files=None, url=server.url)

        assert go().written.new == 300
        server.works["10.5555/ipt.7"] = works[7] | {"is-referenced-by-count": 3}
        del server.works["10.5555/ipt.8"]
        server.aliases["10.5555/ipt.9"] = "10.5555/elsewhere"
        server.works["10.5555/elsewhere"] = server.works.pop("10.5555/ipt.9") | {"DOI": "10.5555/elsewhere"}
        second = go()
        assert second.written.moved == [("10.5555/ipt.9", "10.5555/elsewhere")]
        assert [doi for what, doi, *_ in told(second) if what == "gone"] == ["10.5555/ipt.8"]
        with open_store(db, tmp_path / "d.db") as store:
            before = dump(store, leave=KEPT)
            assert rows(store, "select cited_by from works where doi = '10.5555/ipt.7'") == [(3,)]
        server.forget()
        third = go()
        asked = [r for r in server.requests if not any(name.startswith("query") for name in r.params)]
        assert third.outcome == "complete"
        assert len(asked) <= 2 * 3
        with open_store(db, tmp_path / "d.db") as store:
            assert dump(store, leave=KEPT) == before


# ---------------------------------------------------------------------- any history

STEPS = st.lists(
    st.tuples(st.sampled_from(["move", "back", "remove", "restore", "change", "merge", "file"]), st.integers(0, 2)),
    max_size=6,
)


class World:
    """A small Crossref: three works, each under one DOI at a time, in the list or not; old DOIs lead to new ones."""

    def __init__(self) -> None:
        self.at = {n: f"10.5555/{n}.0" for n in range(3)}
        self.names = {n: [self.at[n]] for n in range(3)}
        self.removed: set[int] = set()
        self.merged: set[int] = set()
        self.edits = 0

    def step(self, what: str, n: int) -> None:
        self.edits += 1
        if n in self.merged:
            return
        if what == "move" and n not in self.removed:
            self.at[n] = f"10.5555/{n}.{self.edits}"
            self.names[n].append(self.at[n])
        elif what == "back" and n not in self.removed:
            self.at[n] = self.names[n][0]
        elif what == "remove":
            self.removed.add(n)
        elif what == "restore":
            self.removed.discard(n)
        elif what == "merge" and not {n, (n + 1) % 3} & (self.removed | self.merged):
            self.merged.add(n)
            self.names[(n + 1) % 3] += self.names[n]

    def crossref(self) -> FakeRecordSource:
        here = set(self.at) - self.removed - self.merged
        stamp = f"2026-11-01T00:00:{self.edits:02d}Z"
        crossref = FakeRecordSource(
            [
                message(
                    self.at[n], f"Interpersonal psychotherapy, study {n}", 2000 + n, volume=str(self.edits),
                    indexed={"date-time": stamp}, **{"is-referenced-by-count": self.edits},
                )
                for n in here
            ]
        )  # fmt: skip
        crossref.aliases = {name: self.at[n] for n in here for name in self.names[n] if name != self.at[n]}
        return crossref


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_after_any_history_each_work_is_here_once_under_its_doi(
    tmp_path_factory: pytest.TempPathFactory, small: Config, book: Taxonomy, clock: Clock, steps: list[tuple[str, int]]
) -> None:
    alone = Config(None, small.sources[1:], (), ())
    world = World()
    with open_store(tmp_path_factory.mktemp("world") / "evidence.db") as store:

        def go(crossref: FakeRecordSource, **more: Any) -> Outcome:
            return sync(alone, store, crossref, book, now=clock, **more)

        go(world.crossref())
        store.append_decisions([verdict(Doi(world.at[n])) for n in range(3)])
        for what, n in steps:
            if what == "file":
                taken = list(world.crossref().messages.values())
                go(FakeRecordSource(taken, name="files"), take=texts(taken))
                continue
            world.step(what, n)
            go(world.crossref(), full=True)
        expected = {world.at[n]: n in world.removed for n in set(world.at) - world.merged}
        go(world.crossref(), full=True)
        assert dict(rows(store, "select doi, gone is not null from works")) == expected
        assert rows(store, "select distinct decided, verdict from works") == [("person", "exclude")]
        assert rows(
            store, "select count(*) from aliases where last_run is null and alias in (select doi from works)"
        ) == [(0,)]
        counts = rows(store, "select cited_by from works where gone is null")
        assert counts == [(world.edits or 0,)] * len(counts)
        found = prisma_flow.read_flow(store.conn)
        counting = rows(store, "select count(*) from works where verdict <> 'duplicate'")[0][0]
        assert found["identified"] - found["removed"] == found["screened"] == counting
        store.conn.execute("insert into works_fts (works_fts) values ('integrity-check')")
        before = dump(store, leave=KEPT)
        go(world.crossref())
        assert dump(store, leave=KEPT) == before


def test_a_notice_about_an_old_doi_that_was_never_known_here_shows_on_the_work(
    store: Store, go: Callable[..., Outcome]
) -> None:
    """The DOI that a notice names is asked for when the notice is new, and in turn after that."""
    older = "10.5555/older.address"
    retraction = message(
        "10.5555/notice", "Retraction: Cognitive therapy vs interpersonal psychotherapy in social anxiety disorder", 2026,
        **{"update-to": [{"DOI": older, "type": "retraction", "source": "publisher"}]},
        indexed={"date-time": "2026-11-24T00:00:00Z"},
    )  # fmt: skip
    go(FakeRecordSource())
    crossref = FakeRecordSource([*WORKS, retraction])
    crossref.aliases[older] = STANGIER["DOI"]
    outcome = go(crossref)
    assert rows(store, "select notice from works where doi = ?", STANGIER["DOI"]) == [("retraction",)]
    assert "NOTICE retraction of included work" in sync_summary.sync_summary(outcome)
    again = FakeRecordSource([*WORKS, retraction])
    go(again)
    assert not [call for call in again.asked if call[0] == "lookup" and older in call[1]]


def test_a_time_of_indexing_that_is_none_does_not_keep_a_record_for_ever(
    store: Store, go: Callable[..., Outcome]
) -> None:
    odd = STANGIER | {"indexed": {"date-time": "zzz"}}
    go(FakeRecordSource([*OTHERS, odd]))
    go(FakeRecordSource([*OTHERS, STANGIER | {"title": ["Interpersonal psychotherapy, corrected"]}]))
    assert rows(store, "select title from works where doi = ?", OLD) == [("Interpersonal psychotherapy, corrected",)]
