"""The whole way over a door in memory: what lands, what a second run costs, and what each failure stops."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from evidence import config, report, yaml_text
from evidence.config import Config, Search
from evidence.errors import UnavailableError
from evidence.model import SAME_WORK, Decision, Doi, Found, Message, Page, Query, Window
from evidence.rulebook import Rulebook
from evidence.store import Store, open_store
from evidence.sync import Outcome, sync
from tests.records import FONAGY, LIPSITZ, MARKOWITZ, SMALL_YAML, STANGIER, WORKS, DictDoor, message
from tests.test_store import dump

Clock = Callable[[], datetime]


@pytest.fixture
def small() -> Config:
    return config.check(yaml_text.parse(SMALL_YAML, "s.yaml"))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "evidence.db") as opened:
        yield opened


@pytest.fixture
def go(store: Store, small: Config, book: Rulebook, clock: Clock) -> Callable[..., Outcome]:
    """Run a sync; `go(door, take=…, full=…)`."""

    def run(door: DictDoor, config: Config = small, **more: Any) -> Outcome:
        return sync(config, store, door, book, now=clock, **more)

    return run


def rows(store: Store, sql: str) -> list[tuple[Any, ...]]:
    return store.conn.execute(sql).fetchall()


def test_the_whole_way(store: Store, go: Callable[..., Outcome]) -> None:
    outcome = go(DictDoor())
    assert outcome.outcome == "complete"
    assert dict(outcome.citations) == {"resolved": 1, "no-doi": 1, "repaired": 1}
    landed = {doi for (doi,) in rows(store, "select doi from works")}
    assert landed == {LIPSITZ["DOI"], FONAGY["DOI"], MARKOWITZ["DOI"], STANGIER["DOI"]}
    assert rows(store, "select distinct verdict from works") == [("include",)]
    assert ("variant", "dit") in rows(store, f"select facet, value from tags where doi = '{FONAGY['DOI']}'")
    assert rows(store, "select outcome, json_extract(counts, '$.new') from runs") == [("complete", 4)]
    assert rows(store, "select source, bookmark from sources where kind = 'search'") == [("by-name", "2026-11-22")]
    assert (outcome.known_found, outcome.known_total) == (1, 1)


def test_every_quote_is_where_it_says(store: Store, go: Callable[..., Outcome]) -> None:
    go(DictDoor())
    said = rows(store, "select r.field, r.start, r.stop, r.quote, w.title from reasons r join works w using (doi)")
    assert said
    assert all(title[start:stop] == quote for field, start, stop, quote, title in said if field == "title")


def test_a_second_run_with_nothing_new_changes_no_row_and_says_so(store: Store, go: Callable[..., Outcome]) -> None:
    go(DictDoor())
    before = dump(store, leave=("runs", "requests"))
    door = DictDoor()
    outcome = go(door)
    assert dump(store, leave=("runs", "requests")) == before
    assert "Nothing new" in report.summary(outcome)
    windows = [call[2] for call in door.asked if call[0] == "scan" and call[2]]
    assert windows == [Window("indexed", "2026-11-22", "2026-11-24")]
    assert ("lookup", tuple(sorted(str(w["DOI"]) for w in WORKS[:4])), "2026-11-22") in door.asked


def test_a_changed_record_is_noticed_wherever_it_was_found_and_a_retraction_is_said_first(
    store: Store, go: Callable[..., Outcome]
) -> None:
    go(DictDoor())
    retracted = STANGIER | {
        "indexed": {"date-time": "2026-11-24T09:00:00Z"},
        "updated-by": [{"DOI": "10.5555/retraction", "type": "retraction", "source": "retraction-watch"}],
    }
    outcome = go(DictDoor([LIPSITZ, FONAGY, MARKOWITZ, retracted]))
    assert outcome.landed.changed == [STANGIER["DOI"]]
    assert report.summary(outcome).startswith(f"NOTICE retraction of included work {STANGIER['DOI']}")
    assert rows(store, "select doi, notice from works where notice is not null") == [(STANGIER["DOI"], "retraction")]
    assert rows(store, "select count(*) from snapshots") == [(5,)]
    again = go(DictDoor([LIPSITZ, FONAGY, MARKOWITZ, retracted]))
    assert again.notices == []


class FaultyDoor(DictDoor):
    """Fails every search, or every look-up."""

    def __init__(self, messages: tuple[Message, ...] = WORKS, fail: str = "scan") -> None:
        super().__init__(messages)
        self.fail = fail

    def scan(self, query: Query, window: Window | None = None) -> Page:
        if self.fail == "scan" and query.rows == Query(()).rows:  # a search, and not a citation looked up by its text
            raise UnavailableError("Crossref kept failing")
        return super().scan(query, window)

    def lookup(self, dois: Any, since: str | None = None) -> Iterator[tuple[Found, ...]]:
        if self.fail == "lookup":
            raise UnavailableError("Crossref kept failing")
        return super().lookup(dois, since)


def test_a_source_that_fails_stops_alone_and_keeps_its_bookmark(store: Store, go: Callable[..., Outcome]) -> None:
    outcome = go(FaultyDoor(fail="scan"))
    assert outcome.outcome == "partial"
    assert outcome.troubles == [("by-name", "Crossref kept failing")]
    assert rows(store, "select count(*) from works") == [(2,)]
    assert rows(store, "select bookmark, trouble from sources where source = 'by-name'") == [
        (None, "Crossref kept failing")
    ]
    assert "Stopped, by-name: Crossref kept failing" in report.summary(outcome)
    healed = go(DictDoor())
    assert healed.outcome == "complete"
    assert rows(store, "select trouble from sources where source = 'by-name'") == [(None,)]
    assert rows(store, "select count(*) from works") == [(4,)]


def test_a_bug_leaves_the_run_crashed_and_is_not_hidden(store: Store, go: Callable[..., Outcome]) -> None:
    class Broken(DictDoor):
        def scan(self, query: Query, window: Window | None = None) -> Page:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        go(Broken())
    assert rows(store, "select outcome from runs") == [("crashed",)]


def test_what_a_search_no_longer_finds_is_kept_and_said(store: Store, go: Callable[..., Outcome]) -> None:
    go(DictDoor())
    outcome = go(DictDoor([LIPSITZ, FONAGY, MARKOWITZ]), full=True)
    assert outcome.gone == 1
    assert "no longer found" in report.summary(outcome)
    assert rows(store, f"select verdict from works where doi = '{STANGIER['DOI']}'") == [("include",)]


def test_a_file_never_replaces_what_was_indexed_later(store: Store, go: Callable[..., Outcome]) -> None:
    go(DictDoor())
    older = MARKOWITZ | {"title": ["Poorer"], "indexed": {"date-time": "2020-01-01T00:00:00Z"}}
    undated = {key: value for key, value in older.items() if key != "indexed"}
    for record in (older, undated):
        outcome = go(DictDoor([], name="files"), take=[record])
        assert outcome.landed.changed == []
    assert rows(store, f"select title from works where doi = '{MARKOWITZ['DOI']}'") == [(MARKOWITZ["title"][0],)]


def test_decisions_beat_rules_and_survive_every_run(store: Store, go: Callable[..., Outcome], book: Rulebook) -> None:
    go(DictDoor())
    doi = Doi(STANGIER["DOI"])
    store.decide(
        [
            Decision(doi, "verdict", "exclude", None, None, "comparator only", "A. Reader", "2026", book.digest, None),
            Decision(doi, "tag", None, "variant", "ipt-g", "group", "A. Reader", "2026", book.digest, None),
        ]
    )
    outcome = go(DictDoor())
    assert outcome.rejudged == 1
    for _ in range(2):
        assert rows(store, f"select verdict, decided from works where doi = '{doi}'") == [("exclude", "person")]
        assert ("variant", "ipt-g", "person") in rows(
            store, f"select facet, value, decided from tags where doi = '{doi}'"
        )
        changed = STANGIER | {"indexed": {"date-time": "2026-11-24T10:00:00Z"}, "volume": "69"}
        go(DictDoor([LIPSITZ, FONAGY, MARKOWITZ, changed]))


def test_a_record_that_cannot_be_understood_goes_to_rejects_and_the_run_goes_on(
    store: Store, go: Callable[..., Outcome]
) -> None:
    odd: Message = {"title": ["Without a DOI"], "indexed": {"date-time": "2026-11-01T00:00:00Z"}}
    outcome = go(DictDoor([], name="files"), take=[odd, MARKOWITZ])
    assert outcome.landed.new == [MARKOWITZ["DOI"]]
    assert outcome.landed.rejects == 1
    assert rows(store, "select reason from rejects") == [("the record has no DOI",)]


def test_an_entry_removed_from_the_file_is_retired_and_its_works_stay(
    store: Store, go: Callable[..., Outcome], small: Config
) -> None:
    go(DictDoor())
    go(DictDoor(), Config(None, small.sources[1:], (), ()))
    assert rows(store, "select source from sources where retired is not null") == [("article",)]
    assert rows(store, "select count(*) from citations where retired is null") == [(0,)]
    assert rows(store, "select count(*) from works") == [(4,)]


def test_a_search_that_finds_nothing_shrinks_or_jumps_is_flagged_and_the_flag_stays(
    store: Store, go: Callable[..., Outcome]
) -> None:
    many = tuple(message(f"10.5555/{n}", f"Interpersonal psychotherapy {n}", 2000) for n in range(60))
    assert go(DictDoor([LIPSITZ, FONAGY])).warnings == []
    only = go(DictDoor([MARKOWITZ]), full=True)
    assert [source for source, _ in only.warnings] == ["by-name"]
    assert "no longer found" in only.warnings[0][1]
    nothing = go(DictDoor([]), full=True)
    assert "no work at all" in nothing.warnings[0][1]
    incremental = go(DictDoor([]))
    assert "no work at all" in rows(store, "select warning from sources where source = 'by-name'")[0][0]
    assert incremental.outcome == "complete"
    go(DictDoor(many[:20]), full=True)
    assert "leads to 60 works after 20" in go(DictDoor(many), full=True).warnings[0][1]
    go(DictDoor(many), full=True)
    assert rows(store, "select warning from sources where source = 'by-name'") == [(None,)]


def test_a_truncation_stays_on_its_source_through_later_runs(
    store: Store, go: Callable[..., Outcome], small: Config
) -> None:
    crowd = [message(f"10.5555/{n}", f"Interpersonal psychotherapy {n}", 2019) for n in range(30)]
    search = small.sources[1]
    assert isinstance(search, Search)
    tight = Config(None, (replace(search, query=replace(search.query, rows=10)),), (), ())
    first = go(DictDoor(crowd), tight)
    assert "2019-01-01" in first.warnings[0][1]
    assert "2019-01-01" in report.summary(first)
    assert rows(store, "select count(*) from requests where truncated = 1") == [(1,)]
    assert go(DictDoor(crowd), tight).outcome == "complete"
    assert "2019-01-01" in rows(store, "select warning from sources where source = 'by-name'")[0][0]


def test_a_file_moves_no_bookmark_ends_no_sighting_and_takes_back_no_verdict(
    store: Store, go: Callable[..., Outcome]
) -> None:
    """A demo first, or offline between two syncs: Crossref is still asked for everything."""
    poor = {key: value for key, value in MARKOWITZ.items() if key not in ("indexed", "volume", "page")}
    go(DictDoor([poor], name="snapshot"))
    assert rows(store, "select count(*) from sources where bookmark is not null") == [(0,)]
    first = go(DictDoor())
    assert set(first.landed.new) == {LIPSITZ["DOI"], FONAGY["DOI"], STANGIER["DOI"]}
    assert first.landed.changed == [MARKOWITZ["DOI"]]  # the real record replaces the file's
    before = dump(store, leave=("runs", "requests"))
    offline = go(DictDoor([poor], name="snapshot"))
    assert (offline.gone, offline.landed.changed, offline.warnings) == (0, [], [])
    assert dict(offline.citations) == {"resolved": 1, "no-doi": 1, "repaired": 1}
    assert dump(store, leave=("runs", "requests")) == before


def test_a_record_from_a_file_is_asked_for_as_it_is_now(store: Store, go: Callable[..., Outcome]) -> None:
    """It may be years old: what changed since our last run is the wrong question."""
    go(DictDoor())
    old = message(
        "10.5555/old", "Interpersonal psychotherapy and sleep", 2001, indexed={"date-time": "2015-01-01T00:00:00Z"}
    )
    go(DictDoor([], name="files"), take=[old])
    retracted = old | {
        "indexed": {"date-time": "2020-01-01T00:00:00Z"},
        "updated-by": [{"DOI": "10.5555/r", "type": "retraction"}],
    }
    assert [n[:2] for n in go(DictDoor([*WORKS, retracted])).notices] == [("10.5555/old", "retraction")]


SECOND = STANGIER | {"DOI": "10.5555/second.registration"}


def test_two_records_of_one_work_count_once_and_a_person_can_part_them(
    store: Store, go: Callable[..., Outcome]
) -> None:
    go(DictDoor([*WORKS, SECOND]))
    pair = "select doi, other, verdict, decided from duplicates"
    assert rows(store, pair) == [(STANGIER["DOI"], SECOND["DOI"], "same", "rule")]
    assert rows(store, "select doi, same_as, screened from works where verdict = 'duplicate'") == [
        (SECOND["DOI"], STANGIER["DOI"], "include")
    ]
    assert SECOND["DOI"] not in {doi for (doi,) in rows(store, "select doi from studies")}
    before = dump(store, leave=("runs", "requests"))
    assert "Nothing new" in report.summary(go(DictDoor([*WORKS, SECOND])))
    assert dump(store, leave=("runs", "requests")) == before
    word = Decision(
        Doi(SECOND["DOI"]), "untag", None, SAME_WORK, STANGIER["DOI"], "another paper", "A. Reader", "2026", None, None
    )
    store.decide([word])
    go(DictDoor([*WORKS, SECOND]))
    assert rows(store, pair) == [(STANGIER["DOI"], SECOND["DOI"], "apart", "person")]
    assert rows(store, "select count(*) from works where verdict = 'duplicate'") == [(0,)]
    store.decide([replace(word, action="tag")])
    go(DictDoor([*WORKS, SECOND]))
    assert rows(store, "select doi from works where verdict = 'duplicate'") == [(SECOND["DOI"],)]


def test_a_person_joins_what_the_rules_keep_apart(store: Store, go: Callable[..., Outcome]) -> None:
    go(DictDoor())
    first, second = sorted((str(MARKOWITZ["DOI"]), str(STANGIER["DOI"])))
    store.decide([Decision(Doi(first), "tag", None, SAME_WORK, second, "one study", "A. Reader", "2026", None, None)])
    go(DictDoor())
    assert rows(store, "select doi, other, verdict, decided from duplicates") == [(first, second, "same", "person")]
    assert rows(store, "select count(*) from works where verdict = 'duplicate'") == [(1,)]
