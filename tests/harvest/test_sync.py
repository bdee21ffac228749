"""A whole sync over records in memory: what lands, what a second run costs, and what each failure stops."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from evidence import strict_yaml
from evidence.data_model import SAME_WORK, Doi, LookupResult, Message, Page, Query, Window
from evidence.database import read_queries
from evidence.database.select_works import Selection, selected_works
from evidence.database.values_for_writer import SourceRow
from evidence.database.writer import Store, open_store
from evidence.errors import UnavailableError
from evidence.export import prisma_report, status_report, sync_summary
from evidence.harvest import sources
from evidence.harvest.ingest import ingest
from evidence.harvest.progress import NoProgress
from evidence.harvest.rejudge import facet_rows
from evidence.harvest.run_outcome import Outcome, SyncRun
from evidence.harvest.sources import FILES_SOURCE, Config, ReferenceList, Search
from evidence.harvest.sync import sync
from evidence.rules.taxonomy import Taxonomy
from tests.builders import (
    FONAGY,
    LIPSITZ,
    MALARIA,
    MARKOWITZ,
    SMALL_YAML,
    STANGIER,
    WORKS,
    FakeRecordSource,
    decision,
    message,
    tagging,
    texts,
)
from tests.database.test_writer import dump
from tests.harvest.test_standing_searches import a_world, hits

Clock = Callable[[], datetime]


@pytest.fixture
def go(store: Store, small: Config, book: Taxonomy, clock: Clock) -> Callable[..., Outcome]:
    """Run a sync; `go(crossref, take=…, full=…)`."""

    def run(crossref: FakeRecordSource, config: Config = small, take: Sequence[Message] = (), **more: Any) -> Outcome:
        return sync(config, store, crossref, book, now=clock, take=texts(take), **more)

    return run


def rows(store: Store, sql: str) -> list[tuple[Any, ...]]:
    return store.conn.execute(sql).fetchall()


def test_the_whole_way(store: Store, go: Callable[..., Outcome]) -> None:
    outcome = go(FakeRecordSource())
    assert outcome.outcome == "complete"
    assert dict(outcome.citations) == {"resolved": 1, "no-doi": 1, "repaired": 1}
    landed = {doi for (doi,) in rows(store, "select doi from works")}
    assert landed == {LIPSITZ["DOI"], FONAGY["DOI"], MARKOWITZ["DOI"], STANGIER["DOI"]}
    assert rows(store, "select distinct verdict from works") == [("include",)]
    assert ("variant", "dit") in rows(store, f"select facet, value from tags where doi = '{FONAGY['DOI']}'")
    assert rows(store, "select outcome, json_extract(counts, '$.changes.new') from runs") == [("complete", 4)]
    assert rows(store, "select source, bookmark from sources where kind = 'search'") == [("by-name", "2026-11-22")]
    assert (outcome.known_found, outcome.known_total) == (1, 1)


def test_every_quote_is_where_it_says(store: Store, go: Callable[..., Outcome]) -> None:
    go(FakeRecordSource())
    said = rows(store, "select r.field, r.start, r.stop, r.quote, w.title from reasons r join works w using (doi)")
    assert said
    assert all(title[start:stop] == quote for field, start, stop, quote, title in said if field == "title")


def test_a_second_run_with_nothing_new_changes_no_row_and_says_so(store: Store, go: Callable[..., Outcome]) -> None:
    go(FakeRecordSource())
    before = dump(store, leave=("runs", "requests"))
    crossref = FakeRecordSource()
    outcome = go(crossref)
    assert dump(store, leave=("runs", "requests")) == before
    assert "Nothing new" in sync_summary.sync_summary(outcome)
    windows = [call[2] for call in crossref.asked if call[0] == "scan" and call[2]]
    assert windows == [Window(indexed_from="2026-11-22")]
    known = tuple(sorted(str(w["DOI"]) for w in WORKS[:4]))
    assert not [
        call for call in crossref.asked[crossref.asked.index(("check", known)) :] if call[0] == "lookup" and call[1]
    ]


def test_a_changed_record_is_noticed_wherever_it_was_found_and_a_retraction_is_said_first(
    store: Store, go: Callable[..., Outcome]
) -> None:
    go(FakeRecordSource())
    retracted = STANGIER | {
        "indexed": {"date-time": "2026-11-24T09:00:00Z"},
        "updated-by": [{"DOI": "10.5555/retraction", "type": "retraction", "source": "retraction-watch"}],
    }
    outcome = go(FakeRecordSource([LIPSITZ, FONAGY, MARKOWITZ, retracted]))
    assert outcome.written.changed == 1
    assert rows(store, "select doi from snapshots where version = 2") == [(STANGIER["DOI"],)]
    assert sync_summary.sync_summary(outcome).startswith(f"NOTICE retraction of included work {STANGIER['DOI']}")
    assert rows(store, "select doi, notice from works where notice is not null") == [(STANGIER["DOI"], "retraction")]
    assert rows(store, "select count(*) from snapshots") == [(5,)]
    again = go(FakeRecordSource([LIPSITZ, FONAGY, MARKOWITZ, retracted]))
    assert again.changes.counts == {}


def test_a_retraction_of_an_excluded_work_is_shown_and_is_no_news_for_the_front_page(
    store: Store, go: Callable[..., Outcome]
) -> None:
    go(FakeRecordSource(), take=[MALARIA])
    retracted = MALARIA | {
        "indexed": {"date-time": "2026-11-24T09:00:00Z"},
        "updated-by": [{"DOI": "10.5555/retraction", "type": "retraction", "source": "retraction-watch"}],
    }
    outcome = go(FakeRecordSource([*WORKS[:4], retracted]))
    assert outcome.changes.counts == {}
    assert rows(store, "select doi, notice from works where notice is not null") == [(MALARIA["DOI"], "retraction")]


def test_progress_names_each_source_and_comes_to_its_end(small: Config, go: Callable[..., Outcome]) -> None:
    class Heard:
        def __init__(self) -> None:
            self.steps: list[tuple[str, int, int | None]] = []

        def step(self, label: str, done: int, total: int | None) -> None:
            self.steps.append((label, done, total))

    heard = Heard()
    go(FakeRecordSource(), progress=heard)
    cited = next(s for s in small.sources if isinstance(s, ReferenceList))
    assert (cited.id, 3, 3) in heard.steps
    assert ("by-name", 1, None) in heard.steps
    assert {label for label, _, _ in heard.steps} >= {source.id for source in small.sources}


class FaultySource(FakeRecordSource):
    """Fails every search, or every look-up."""

    def __init__(self, messages: tuple[Message, ...] = WORKS, fail: str = "scan") -> None:
        super().__init__(messages)
        self.fail = fail

    def scan(self, query: Query, window: Window | None = None, offset: int = 0, *, by_creation: bool = False) -> Page:
        if self.fail == "scan" and query.rows == Query(()).rows:  # a search, and not a citation looked up by its text
            raise UnavailableError("Crossref kept failing")
        return super().scan(query, window, offset, by_creation=by_creation)

    def lookup(self, dois: Any, since: str | None = None) -> Iterator[tuple[LookupResult, ...]]:
        if self.fail == "lookup":
            raise UnavailableError("Crossref kept failing")
        return super().lookup(dois, since)


def test_since_means_new_or_changed_since(store: Store, go: Callable[..., Outcome]) -> None:
    go(FakeRecordSource(WORKS))
    later = {"indexed": {"date-time": "2026-11-24T12:00:00Z"}}
    changed = {**STANGIER, "volume": "69", **later}
    new = message("10.5555/new", "Interpersonal psychotherapy for grief", 2020, **later)
    go(FakeRecordSource([changed if m is STANGIER else m for m in WORKS] + [new]))
    (started,) = rows(store, "select started from runs where run = 2")[0]
    shown = Selection(("include", "exclude", "unsure"), since=started)
    assert {row["doi"] for row in selected_works(store.conn, shown)} == {STANGIER["DOI"], "10.5555/new"}
    assert len(list(selected_works(store.conn, replace(shown, since="2000-01-01")))) > 2


def test_a_source_that_fails_stops_alone_and_keeps_its_bookmark(store: Store, go: Callable[..., Outcome]) -> None:
    outcome = go(FaultySource(fail="scan"))
    assert outcome.outcome == "partial"
    assert outcome.troubles == [("by-name", "Crossref kept failing")]
    assert rows(store, "select count(*) from works") == [(2,)]
    assert rows(store, "select bookmark, trouble from sources where source = 'by-name'") == [
        (None, "Crossref kept failing")
    ]
    assert "Stopped, by-name: Crossref kept failing" in sync_summary.sync_summary(outcome)
    healed = go(FakeRecordSource())
    assert healed.outcome == "complete"
    assert rows(store, "select trouble from sources where source = 'by-name'") == [(None,)]
    assert rows(store, "select count(*) from works") == [(4,)]


def test_a_bug_leaves_the_run_crashed_and_is_not_hidden(store: Store, go: Callable[..., Outcome]) -> None:
    class Broken(FakeRecordSource):
        def scan(
            self, query: Query, window: Window | None = None, offset: int = 0, *, by_creation: bool = False
        ) -> Page:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        go(Broken())
    assert rows(store, "select outcome from runs") == [("crashed",)]


def test_what_a_search_no_longer_finds_is_kept_and_said(store: Store, go: Callable[..., Outcome]) -> None:
    go(FakeRecordSource())
    outcome = go(FakeRecordSource([LIPSITZ, FONAGY, MARKOWITZ]), full=True)
    assert outcome.gone == 1
    assert "no longer found" in sync_summary.sync_summary(outcome)
    assert rows(store, f"select verdict from works where doi = '{STANGIER['DOI']}'") == [("include",)]


def test_a_record_that_states_only_the_day_it_was_indexed_is_as_old_as_that(
    store: Store, go: Callable[..., Outcome]
) -> None:
    record = MARKOWITZ | {"indexed": {"date-parts": [[2021, 5, 6]], "timestamp": 1620259200000}}
    go(FakeRecordSource([], name="files"), take=[record])
    older = record | {"title": ["Poorer"], "indexed": {"date-parts": [[2020, 1, 1]]}}
    for again in (record, older):
        outcome = go(FakeRecordSource([], name="files"), take=[again])
        assert (outcome.written.changed, rows(store, "select * from counters")) == (0, [])
    assert rows(store, "select title from works") == [(MARKOWITZ["title"][0],)]


def test_a_file_never_replaces_what_was_indexed_later(store: Store, go: Callable[..., Outcome]) -> None:
    go(FakeRecordSource())
    older = MARKOWITZ | {"title": ["Poorer"], "indexed": {"date-time": "2020-01-01T00:00:00Z"}}
    undated = {key: value for key, value in older.items() if key != "indexed"}
    for record in (older, undated):
        outcome = go(FakeRecordSource([], name="files"), take=[record])
        assert outcome.written.changed == 0
    assert rows(store, f"select title from works where doi = '{MARKOWITZ['DOI']}'") == [(MARKOWITZ["title"][0],)]


def test_decisions_beat_rules_and_survive_every_run(store: Store, go: Callable[..., Outcome], book: Taxonomy) -> None:
    go(FakeRecordSource())
    doi = Doi(STANGIER["DOI"])
    store.append_decisions(
        [
            decision(doi, reason="comparator only", rules=book.digest),
            tagging(doi, "variant", "ipt-g", rules=book.digest),
        ]
    )
    outcome = go(FakeRecordSource())
    assert outcome.rejudged == 1
    for _ in range(2):
        assert rows(store, f"select verdict, decided from works where doi = '{doi}'") == [("exclude", "person")]
        assert ("variant", "ipt-g", "person") in rows(
            store, f"select facet, value, decided from tags where doi = '{doi}'"
        )
        changed = STANGIER | {"indexed": {"date-time": "2026-11-24T10:00:00Z"}, "volume": "69"}
        go(FakeRecordSource([LIPSITZ, FONAGY, MARKOWITZ, changed]))


def test_a_record_that_cannot_be_understood_goes_to_rejects_and_the_run_goes_on(
    store: Store, book: Taxonomy, clock: Clock
) -> None:
    odd: Message = {"title": ["Without a DOI"], "indexed": {"date-time": "2026-11-01T00:00:00Z"}}
    source, outcome = FakeRecordSource([], name="files"), Outcome(store.start_run("files", "1", "2026-11-24T12:00:00Z"))
    run = SyncRun(outcome.run, store, source, book, clock, clock(), {}, NoProgress(), False, outcome)
    store.register_sources(outcome.run, [SourceRow(FILES_SOURCE, "files", "Files", "{}")])
    store.set_facets(facet_rows(book))
    ingest(run, FILES_SOURCE, [odd, MARKOWITZ])
    assert outcome.written.new == 1
    assert rows(store, "select doi from works") == [(MARKOWITZ["DOI"],)]
    assert outcome.written.rejects == 1
    assert rows(store, "select reason from rejects") == [("the record has no DOI",)]


def test_an_entry_removed_from_the_file_is_retired_and_its_works_stay(
    store: Store, go: Callable[..., Outcome], small: Config
) -> None:
    go(FakeRecordSource())
    go(FakeRecordSource(), Config(None, small.sources[1:], (), ()))
    assert rows(store, "select source from sources where retired is not null") == [("article",)]
    assert rows(store, "select count(*) from citations where retired is null") == [(0,)]
    assert rows(store, "select count(*) from works") == [(4,)]


def test_a_search_that_finds_nothing_shrinks_or_jumps_is_flagged_and_the_flag_stays(
    store: Store, go: Callable[..., Outcome]
) -> None:
    many = tuple(message(f"10.5555/{n}", f"Interpersonal psychotherapy {n}", 2000) for n in range(60))
    assert go(FakeRecordSource([LIPSITZ, FONAGY])).warnings == []
    only = go(FakeRecordSource([MARKOWITZ]), full=True)
    assert [source for source, _ in only.warnings] == ["by-name"]
    assert "no longer found" in only.warnings[0][1]
    nothing = go(FakeRecordSource([]), full=True)
    assert "no work at all" in nothing.warnings[0][1]
    incremental = go(FakeRecordSource([]))
    assert "no work at all" in rows(store, "select warning from sources where source = 'by-name'")[0][0]
    assert incremental.outcome == "complete"
    go(FakeRecordSource(many[:20]), full=True)
    assert "finds 60 works after 20" in go(FakeRecordSource(many), full=True).warnings[0][1]
    go(FakeRecordSource(many), full=True)
    assert rows(store, "select warning from sources where source = 'by-name'") == [(None,)]


def one_search(small: Config, rows: int = 10, **more: Any) -> Config:
    """The search of the small file alone, with small pages."""
    search = small.sources[1]
    assert isinstance(search, Search)
    return Config(None, (replace(search, query=replace(search.query, rows=rows), **more),), (), ())


def stands(store: Store) -> tuple[Any, ...]:
    """Bookmark and trouble of the search, and how many works it leads to."""
    sql = """
        select bookmark, trouble, (select count(*) from sightings s where s.source = o.source and s.last_run is null)
        from sources o where source = 'by-name'
    """
    return rows(store, sql)[0]


def said_of_depth(store: Store) -> str:
    return prisma_report.search_depth(read_queries.search_depths(store.conn)[0])


def on_one_day(count: int, indexed: str = "2026-11-01") -> list[Message]:
    stamp = {"date-time": f"{indexed}T00:00:00Z"}
    return [message(f"10.5555/{n}", f"Interpersonal psychotherapy {n}", 2019, indexed=stamp) for n in range(count)]


def test_a_search_that_cannot_be_read_to_its_end_is_not_complete_until_it_is(
    store: Store, go: Callable[..., Outcome], small: Config
) -> None:
    tight = one_search(small)
    missing = "not complete: 30 records created on 2015-06-01 match the query and were not read"
    for _ in range(2):
        run = go(FakeRecordSource(on_one_day(130)), tight)
        assert run.outcome == "partial"
        assert run.troubles == [("by-name", missing)]
        assert missing in sync_summary.sync_summary(run)
        assert stands(store) == (None, missing, 100)
        assert missing in status_report.status_report(read_queries.status(store.conn))
        assert said_of_depth(store).endswith("not complete: 30 that match the query were not read")
    assert rows(store, "select run, count(*) from requests where truncated = 1 group by run") == [(1, 1), (2, 1)]
    healed = go(FakeRecordSource(on_one_day(90)), tight)
    assert healed.outcome == "complete"
    assert healed.gone > 0
    assert stands(store) == ("2026-11-22", None, 90)
    assert said_of_depth(store).endswith("all were read")


def test_an_increment_that_is_cut_keeps_the_bookmark_and_what_it_led_to(
    store: Store, go: Callable[..., Outcome], small: Config
) -> None:
    tight = one_search(small)
    go(FakeRecordSource(on_one_day(20)), tight)
    assert stands(store) == ("2026-11-22", None, 20)
    fresh = [*on_one_day(20), *on_one_day(150, "2026-11-23")[20:]]
    run = go(FakeRecordSource(fresh), tight)
    missing = (
        "not complete: 30 records created on 2015-06-01 and indexed since 2026-11-22 match the query and were not read"
    )
    assert run.troubles == [("by-name", missing)]
    assert stands(store) == ("2026-11-22", missing, 120)


class CutSource(FakeRecordSource):
    """A Crossref whose searches fail from the page numbered `at` on (from 1); None: never."""

    def __init__(
        self, messages: Sequence[Message], at: int | None = None, error: type[BaseException] = UnavailableError
    ):
        super().__init__(messages)
        self.at, self.error, self.pages = at, error, 0

    def scan(self, query: Query, window: Window | None = None, offset: int = 0, *, by_creation: bool = False) -> Page:
        self.pages += 1
        if self.at is not None and self.pages >= self.at:
            raise self.error("Crossref kept failing")
        return super().scan(query, window, offset, by_creation=by_creation)


@pytest.mark.slow
@pytest.mark.parametrize("error", [UnavailableError, ZeroDivisionError])
def test_an_increment_after_a_full_run_that_was_cut_finds_all(
    store: Store, go: Callable[..., Outcome], small: Config, error: type[Exception]
) -> None:
    """1,650 records, 50 of them known; 1,600 that no index date since leads to. `--full` is cut after its first page."""
    whole = one_search(small, 1000)
    go(FakeRecordSource(on_one_day(50)), whole)
    works = on_one_day(1650)
    works = [*works[50:], *works[:50]]
    if error is UnavailableError:
        assert go(CutSource(works, 2), whole, full=True).outcome == "partial"
    else:
        with pytest.raises(ZeroDivisionError):
            go(CutSource(works, 2, error), whole, full=True)
    assert 1000 <= stands(store)[2] <= 1050
    assert stands(store)[0] is None
    assert said_of_depth(store) == "not yet read completely: 1,000 of 1,650 ranked records so far"
    assert "not yet read completely" in status_report.status_report(read_queries.status(store.conn))
    healed = go(FakeRecordSource(works), whole)
    assert healed.outcome == "complete"
    assert stands(store) == ("2026-11-22", None, 1650)


def test_each_search_says_how_deep_it_was_read(store: Store, go: Callable[..., Outcome], small: Config) -> None:
    tight = one_search(small)
    assert read_queries.search_depths(store.conn) == []
    crossref = CutSource([], 1)
    go(crossref, tight)
    assert said_of_depth(store) == "not yet read completely at Crossref"
    noise = [message(f"10.5555/z{n}", f"Psychotherapy {n}", 2019) for n in range(70)]
    go(FakeRecordSource([*on_one_day(7), *noise]), tight)
    deep = (
        "read 30 of 77 ranked records; last match at rank 7; 7 of the last 1,000 matched; "
        "reading stopped because matches had become rare; a match further down would be missed"
    )
    assert said_of_depth(store) == deep
    assert f"depth: {deep}" in prisma_report.searches_report(read_queries.searches_as_run(store.conn))
    assert f"Source by-name: 7 works — {deep}" in status_report.status_report(read_queries.status(store.conn))
    go(FakeRecordSource([*on_one_day(7), *noise]), tight)
    assert said_of_depth(store) == deep  # an increment that was complete adds nothing
    fresh = {"date-time": "2026-11-23T00:00:00Z"}
    go(FakeRecordSource([*on_one_day(7), *(m | {"indexed": fresh} for m in noise)]), tight)
    assert said_of_depth(store) == f"{deep}; 1 later update stopped for the same reason"
    go(FakeRecordSource([*on_one_day(7), *noise]), tight, full=True)
    assert said_of_depth(store).startswith("read 50 of 77 ranked records")
    go(FakeRecordSource([]), one_search(small, years=(1990, None)))
    assert said_of_depth(store) == "read 0 of 0 ranked records; none matched; all were read"


def test_a_search_that_was_split_sums_its_windows(store: Store, go: Callable[..., Outcome], small: Config) -> None:
    works = [
        message(
            f"10.5555/{n}", f"Interpersonal psychotherapy {n}", 2019, created={"date-time": f"20{n % 20 + 3:02d}-05-01"}
        )
        for n in range(120)
    ]
    go(FakeRecordSource(works), one_search(small))
    (depth,) = read_queries.search_depths(store.conn)
    assert (depth["ended"], depth["windows"], depth["reached"], depth["total"]) == ("complete", 2, 120, 120)
    assert said_of_depth(store).startswith(
        "read 120 of 120 ranked records in 2 parts by date of creation; last match at rank 10 of its part; 10 of the last 1,000"
    )


def test_files_say_nothing_of_how_deep_crossref_was_read(
    store: Store, go: Callable[..., Outcome], small: Config
) -> None:
    tight = one_search(small)
    go(FakeRecordSource(on_one_day(5), name="snapshot"), tight)
    assert said_of_depth(store) == "not yet read completely at Crossref"
    assert "depth" not in prisma_report.searches_report(read_queries.searches_as_run(store.conn))


def test_what_ranks_below_the_quiet_is_still_found_and_what_no_longer_matches_is_not(
    store: Store, go: Callable[..., Outcome], small: Config
) -> None:
    """An increment led to works that a whole read does not reach: they are not called gone while their records match."""
    therapy = one_search(small, phrases=("interpersonal therap*",))
    deep = [message(f"10.5555/z{n}", f"On psychotherapy: an interpersonal therapy {n}", 2019) for n in range(3)]
    noise = [message(f"10.5555/{n}", f"Interpersonal psychotherapy {n}", 2019) for n in range(60)]
    go(FakeRecordSource(deep), therapy)
    assert stands(store)[2] == 3
    run = go(FakeRecordSource([*noise, *deep]), therapy, full=True)
    assert "would be missed" in said_of_depth(store)
    assert (run.gone, stands(store)[2]) == (0, 3)
    run = go(FakeRecordSource([*noise, *deep]), one_search(small, phrases=("interpersonal counsel*",)), full=True)
    assert (run.gone, stands(store)[2]) == (3, 0)


def test_a_file_moves_no_bookmark_ends_no_sighting_and_takes_back_no_verdict(
    store: Store, go: Callable[..., Outcome]
) -> None:
    """A demo first, or offline between two syncs: Crossref is still asked for everything."""
    poor = {key: value for key, value in MARKOWITZ.items() if key not in ("indexed", "volume", "page")}
    go(FakeRecordSource([poor], name="snapshot"))
    assert rows(store, "select count(*) from sources where bookmark is not null") == [(0,)]
    first = go(FakeRecordSource())
    assert (first.written.new, first.written.changed) == (3, 1)  # a real record replaces the file's
    assert rows(store, "select doi from works where first_run = 1 and changed_run = 2") == [(MARKOWITZ["DOI"],)]
    before = dump(store, leave=("runs", "requests"))
    offline = go(FakeRecordSource([poor], name="snapshot"))
    assert (offline.gone, offline.written.changed, offline.warnings) == (0, 0, [])
    assert dict(offline.citations) == {"resolved": 1, "no-doi": 1, "repaired": 1}
    assert dump(store, leave=("runs", "requests")) == before


def test_a_record_from_a_file_is_asked_for_as_it_is_now(store: Store, go: Callable[..., Outcome]) -> None:
    """It may be years old: what changed since our last run is the wrong question."""
    go(FakeRecordSource())
    old = message(
        "10.5555/old", "Interpersonal psychotherapy and sleep", 2001, indexed={"date-time": "2015-01-01T00:00:00Z"}
    )
    go(FakeRecordSource([], name="files"), take=[old])
    retracted = old | {
        "indexed": {"date-time": "2020-01-01T00:00:00Z"},
        "updated-by": [{"DOI": "10.5555/r", "type": "retraction"}],
    }
    found = go(FakeRecordSource([*WORKS, retracted])).changes.named
    assert [(c["what"], c["doi"], c["after"].split()[0]) for c in found] == [("notice", "10.5555/old", "retraction")]


SECOND = STANGIER | {"DOI": "10.5555/second.registration"}


def test_two_records_of_one_work_count_once_and_a_person_can_part_them(
    store: Store, go: Callable[..., Outcome]
) -> None:
    go(FakeRecordSource([*WORKS, SECOND]))
    pair = "select doi, other, verdict, decided from duplicates"
    assert rows(store, pair) == [(STANGIER["DOI"], SECOND["DOI"], "same", "rule")]
    assert rows(store, "select doi, same_as, screened from works where verdict = 'duplicate'") == [
        (SECOND["DOI"], STANGIER["DOI"], "include")
    ]
    assert SECOND["DOI"] not in {doi for (doi,) in rows(store, "select doi from studies")}
    before = dump(store, leave=("runs", "requests"))
    assert "Nothing new" in sync_summary.sync_summary(go(FakeRecordSource([*WORKS, SECOND])))
    assert dump(store, leave=("runs", "requests")) == before
    word = tagging(SECOND["DOI"], SAME_WORK, STANGIER["DOI"], untag=True)
    store.append_decisions([word])
    go(FakeRecordSource([*WORKS, SECOND]))
    assert rows(store, pair) == [(STANGIER["DOI"], SECOND["DOI"], "apart", "person")]
    assert rows(store, "select count(*) from works where verdict = 'duplicate'") == [(0,)]
    store.append_decisions([replace(word, action="tag")])
    go(FakeRecordSource([*WORKS, SECOND]))
    assert rows(store, "select doi from works where verdict = 'duplicate'") == [(SECOND["DOI"],)]


def test_a_person_joins_what_the_rules_keep_apart(store: Store, go: Callable[..., Outcome]) -> None:
    go(FakeRecordSource())
    first, second = sorted((str(MARKOWITZ["DOI"]), str(STANGIER["DOI"])))
    store.append_decisions([tagging(first, SAME_WORK, second)])
    go(FakeRecordSource())
    assert rows(store, "select doi, other, verdict, decided from duplicates") == [(first, second, "same", "person")]
    assert rows(store, "select count(*) from works where verdict = 'duplicate'") == [(1,)]


# ---------------------------------------------------------------------- a search through any history

HISTORIES = st.lists(
    st.tuples(st.booleans(), st.sampled_from(["ends", "refused", "killed"]), st.integers(1, 12)), max_size=3
)


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    records=st.integers(0, 90),
    share=st.sampled_from([0.1, 0.5, 1.0]),
    spread=st.sampled_from([1, 30, 9000]),
    order=st.sampled_from(["true", "turning", "wild"]),
    history=HISTORIES,
)
@example(seed=5, records=80, share=1.0, spread=9000, order="true", history=[(False, "ends", 1), (True, "killed", 2)])
@example(seed=6, records=80, share=1.0, spread=1, order="wild", history=[(True, "refused", 3), (False, "ends", 1)])
def test_after_any_history_a_search_has_all_or_says_that_it_has_not(
    seed: int, records: int, share: float, spread: int, order: str, history: list[tuple[bool, str, int]], book: Taxonomy
) -> None:
    """Runs that end, that Crossref refuses in the middle or that are killed there; then one that nothing disturbs."""
    crossref = a_world(seed, records, share, spread, order)
    world_goes_on = crossref.meanwhile
    tight = one_search(sources.check(strict_yaml.parse(SMALL_YAML, "s.yaml")), 5)
    with tempfile.TemporaryDirectory() as folder, open_store(Path(folder) / "evidence.db") as store:
        for full, fate, after in [*history, (False, "ends", 1)]:
            there = hits(crossref)
            last = len(crossref.pages) + after

            def meanwhile(asked: int, fate: str = fate, last: int = last) -> None:
                world_goes_on(asked)
                if asked >= last and fate != "ends":
                    raise UnavailableError("refused") if fate == "refused" else KeyboardInterrupt

            crossref.meanwhile = meanwhile
            try:
                run = sync(tight, store, crossref, book, now=lambda: datetime(2026, 11, 24, 12, tzinfo=UTC), full=full)
            except KeyboardInterrupt:
                continue
            missing = there - {doi for (doi,) in rows(store, "select doi from sightings where last_run is null")}
            bookmark, trouble, _ = stands(store)
            (depth,) = read_queries.search_depths(store.conn)
            assert (run.outcome == "partial") is bool(run.troubles) is (trouble is not None)
            assert not missing or trouble or depth["ended"] == "quiet" or depth["quiet_increments"]
            assert (bookmark is not None) or trouble
            assert depth["ended"] != "cut" or trouble
