"""Windows and pages: one request for a rare query, no lost day, no lost page, and what was not read is counted."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from evidence.crossref.client import CrossrefClient
from evidence.data_model import Doi, Message, Page, Query, Window
from evidence.harvest.sources import Search
from evidence.harvest.standing_searches import (
    PAGES,
    QUIET_FULL,
    Matcher,
    SearchPage,
    place_sentence,
    read_pages,
    unread_sentence,
)
from tests.builders import MALARIA, MARKOWITZ, STANGIER, FakeRecordSource, created, message, within
from tests.loopback import Fault, LoopbackCrossref

TODAY = date(2026, 11, 24)
HIT, NOISE = "Interpersonal psychotherapy for depression", "Interpersonal violence"


def a_search(rows: int = 1000, years: tuple[int | None, int | None] = (1974, None), **more: Any) -> Search:
    query = Query((("bibliographic", "interpersonal psychotherapy"),), rows=rows)
    return Search("s", "S", query, ("interpersonal psychotherap*",), years, **more)


class RankedSource(FakeRecordSource):
    """Ranks its records in the order they were given. `rearrange` changes that order with each request, `most` is how many
    rows a page holds at most, and `meanwhile` is called before each answer with how many pages were asked for."""

    def __init__(self, messages: Sequence[Message]) -> None:
        super().__init__(messages)
        self.rearrange: Callable[[list[Message]], list[Message]] = list
        self.meanwhile: Callable[[int], None] = lambda asked: None
        self.most = 10**6
        self.pages: list[tuple[Window | None, int, bool]] = []

    def scan(self, query: Query, window: Window | None = None, offset: int = 0, *, by_creation: bool = False) -> Page:
        self.pages.append((window, offset, by_creation))
        assert offset + query.rows <= PAGES * query.rows, "Crossref gives nothing beyond"
        self.meanwhile(len(self.pages))
        inside = [m for m in self.messages.values() if within(m, window)]
        ranked = sorted(inside, key=created) if by_creation else self.rearrange(inside)
        return Page(ranked[offset : offset + min(query.rows, self.most)], len(ranked))


def on(day: str, number: int, title: str = HIT, **more: Any) -> Message:
    return message(f"10.5555/{day}.{number}", title, 2012, created={"date-time": f"{day}T08:00:00Z"}, **more)


def ranked(*groups: tuple[int, str], day: str = "2015-01-01") -> RankedSource:
    """So many records of each title, in this order, all created on one day."""
    titles = [title for count, title in groups for _ in range(count)]
    return RankedSource([on(day, n, title) for n, title in enumerate(titles)])


def read(crossref: FakeRecordSource, rows: int, since: str | None = None, **more: Any) -> list[SearchPage]:
    return list(read_pages(a_search(rows), crossref, since, TODAY, **more))


def found(sweeps: Sequence[SearchPage]) -> set[str]:
    return {hit.doi for s in sweeps for hit in s.hits}


def hits(crossref: FakeRecordSource) -> set[str]:
    return {str(m["DOI"]) for m in crossref.messages.values() if m["title"][0] == HIT}


def test_a_rare_query_costs_one_request() -> None:
    crossref = FakeRecordSource([MARKOWITZ, STANGIER, MALARIA])
    (only,) = read_pages(a_search(), crossref, None, TODAY)
    assert found([only]) == {MARKOWITZ["DOI"], STANGIER["DOI"]}
    assert (only.window, only.ended, only.reached, only.total) == (Window(), "complete", 2, 2)
    assert len(crossref.asked) == 1


def test_a_query_without_a_record_is_complete() -> None:
    (only,) = read(FakeRecordSource([]), 10)
    assert (only.ended, only.total, only.last_match, only.recent) == ("complete", 0, None, 0)


def test_a_record_counts_by_any_of_its_dates_and_without_one() -> None:
    def dated(name: str, **dates: Any) -> Message:
        return message(f"10.5555/{name}", HIT, 0, **({"issued": {"date-parts": [[None]]}, "published": None} | dates))

    crossref = FakeRecordSource(
        [
            dated("undated"),
            dated("odd", issued={"date-parts": [["soon"]]}),
            dated("old", issued={"date-parts": [[1970]]}),
            dated("print", issued={"date-parts": [[1973]]}, **{"published-print": {"date-parts": [[1974]]}}),
            dated("new", issued={"date-parts": [[2013]]}),
            dated("online", issued={"date-parts": [[2013]]}, **{"published-online": {"date-parts": [[2012]]}}),
        ]
    )
    (only,) = read_pages(a_search(years=(1974, 2012)), crossref, None, TODAY)
    assert found([only]) == {f"10.5555/{name}" for name in ("undated", "odd", "print", "online")}


def test_an_incremental_search_asks_by_index_date_and_keeps_its_years() -> None:
    fresh = {"date-time": "2026-11-23T00:00:00Z"}
    late = message("10.5555/late", HIT, 2024, indexed=fresh)
    early = message("10.5555/early", HIT, 2015, indexed=fresh)
    (only,) = read_pages(a_search(years=(1974, 2020)), FakeRecordSource([MARKOWITZ, late, early]), "2026-11-20", TODAY)
    assert only.window == Window(indexed_from="2026-11-20")
    assert [hit.doi for hit in only.hits] == ["10.5555/early"]


def test_two_quiet_pages_end_a_search_and_it_says_how_deep_it_read() -> None:
    crossref = ranked((50, HIT), (5000, NOISE))
    sweeps = read(crossref, 100)
    assert found(sweeps) == hits(crossref)
    assert [s.offset for s in sweeps] == [0, 100, 200]
    last = sweeps[-1]
    assert (last.ended, last.reached, last.total, last.last_match, last.recent) == ("quiet", 300, 5050, 50, 50)
    assert [s.ended for s in sweeps[:-1]] == [None, None]


def test_only_the_last_thousand_ranks_are_recent() -> None:
    last = read(ranked((50, HIT), (5000, NOISE)), 700)[-1]
    assert (last.reached, last.last_match, last.recent) == (2100, 50, 0)
    last = read(ranked((199, NOISE), (2, HIT), (3000, NOISE)), 400)[-1]
    assert (last.reached, last.last_match, last.recent) == (1200, 201, 1)


def test_matches_behind_a_quiet_tenth_are_found() -> None:
    crossref = ranked((40, HIT), (80, NOISE), (40, HIT), (2000, NOISE))
    assert found(read(crossref, 100)) == hits(crossref)


def test_a_quiet_page_between_two_with_matches_ends_nothing() -> None:
    crossref = ranked((40, HIT), (160, NOISE), (40, HIT), (160, NOISE), (40, HIT), (600, NOISE))
    sweeps = read(crossref, 100)
    assert found(sweeps) == hits(crossref)
    assert sweeps[-1].reached == 700


def test_full_reads_twice_as_far() -> None:
    crossref = ranked((40, HIT), (360, NOISE), (5, HIT), (900, NOISE))
    assert len(found(read(crossref, 100))) == 40
    sweeps = read(crossref, 100, quiet=QUIET_FULL)
    assert found(sweeps) == hits(crossref)
    assert (sweeps[-1].ended, sweeps[-1].reached) == ("quiet", 900)


@pytest.mark.parametrize(("place", "loud"), [(90, False), (91, True), (95, True), (100, True)])
def test_a_match_in_the_last_tenth_of_a_page_is_a_loud_tail(place: int, loud: bool) -> None:
    crossref = ranked((place - 1, NOISE), (1, HIT), (500, NOISE))
    second = read(crossref, 100)[1]
    assert second.by_creation is loud
    assert second.offset == (0 if loud else 100)


def test_the_last_record_of_a_small_page_is_its_tail() -> None:
    assert read(ranked((4, NOISE), (1, HIT), (20, NOISE)), 5)[1].by_creation


def test_a_loud_tail_in_ten_pages_is_read_whole_in_order_of_creation() -> None:
    crossref = ranked((150, HIT))
    sweeps = read(crossref, 100)
    assert found(sweeps) == hits(crossref)
    assert [(s.by_creation, s.offset, s.ended) for s in sweeps] == [
        (False, 0, None), (True, 0, None), (True, 100, "complete"),
    ]  # fmt: skip
    assert {hit.rank for hit in sweeps[1].hits} == {None}  # a place in order of creation is no rank


@pytest.mark.slow
def test_a_loud_tail_of_more_is_split_and_no_day_is_lost() -> None:
    days = [(date(2001, 6, 1) + timedelta(days=n)).isoformat() for n in range(9350)]
    crossref = RankedSource([on(day, 0) for day in days])
    sweeps = read(crossref, 100)
    assert found(sweeps) == hits(crossref)
    assert {s.ended for s in sweeps} == {None, "split", "complete"}
    windows = [s.window for s in sweeps if s.ended == "complete"]
    assert windows[0].created_from is None
    assert windows[-1].created_until is None
    for before, after in itertools.pairwise(windows):
        last, first = date.fromisoformat(str(before.created_until)), date.fromisoformat(str(after.created_from))
        assert first - last == timedelta(days=1)
    assert sum(s.total for s in sweeps if s.ended == "complete") == len(days)


def test_the_halves_of_an_increment_keep_its_index_date() -> None:
    fresh = {"date-time": "2026-11-23T00:00:00Z"}
    crossref = RankedSource([on(f"20{n % 20 + 5:02d}-05-01", n, indexed=fresh) for n in range(120)])
    sweeps = read(crossref, 10, since="2026-11-22")
    assert found(sweeps) == hits(crossref)
    assert {s.window.indexed_from for s in sweeps} == {"2026-11-22"}
    assert len({s.window for s in sweeps}) > 2


def test_a_single_day_of_ten_pages_is_read_whole_though_its_ranking_changes() -> None:
    crossref = RankedSource([on("2016-05-01", n, HIT if n % 2 else NOISE) for n in range(100)])
    chance = random.Random(7)
    crossref.rearrange = lambda inside: chance.sample(inside, len(inside))
    sweeps = read(crossref, 10)
    assert found(sweeps) == hits(crossref)
    assert (sweeps[-1].ended, sweeps[-1].reached) == ("complete", 100)


def test_a_single_day_of_more_is_cut_and_what_was_not_read_is_counted() -> None:
    crossref = RankedSource([on("2016-05-01", n) for n in range(145)])
    sweeps = read(crossref, 10)
    cut = [s for s in sweeps if s.ended == "cut"]
    assert len(cut) == 1
    assert (cut[0].window, cut[0].unread) == (Window("2016-05-01", "2016-05-01"), 45)
    assert len(found(sweeps)) == 100  # the best ten pages
    assert unread_sentence(cut[0]) == "45 records created on 2016-05-01 match the query and were not read"
    assert len(crossref.pages) < 50


def test_a_single_day_of_more_whose_ranking_is_doubted_is_no_guess() -> None:
    """Quiet pages after a loud one prove nothing: ten pages are read, and what is left is counted."""
    crossref = ranked((9, NOISE), (1, HIT), (135, NOISE), day="2016-05-01")
    sweeps = read(crossref, 10)
    (cut,) = [s for s in sweeps if s.ended == "cut"]
    assert (cut.window, cut.offset, cut.reached, cut.unread) == (Window("2016-05-01", "2016-05-01"), 90, 100, 45)
    assert {s.ended for s in sweeps if s is not cut} == {None, "split", "complete"}


@pytest.mark.parametrize(
    ("window", "count", "words"),
    [
        (Window(), 2, "2 records match the query and were not read"),
        (Window(None, "2002-01-01"), 1, "1 record created until 2002-01-01 matches the query and was not read"),
        (Window("2026-11-24"), 1200, "1,200 records created since 2026-11-24 match the query and were not read"),
        (
            Window("2016-05-01", "2016-05-02", "2026-11-22"),
            3,
            "3 records created since 2016-05-01 and until 2016-05-02 and indexed since 2026-11-22 match the query and were not read",  # noqa: E501
        ),
        (Window(None, None, "2026-11-22"), 3, "3 records indexed since 2026-11-22 match the query and were not read"),
    ],
)
def test_what_was_not_read_in_words(window: Window, count: int, words: str) -> None:
    assert unread_sentence(SearchPage(window, 0, False, 9, 9, (), 9, None, 0, "cut", count)) == words


@pytest.mark.parametrize("day", ["1999-12-31", "2027-02-01"])
def test_days_beyond_the_ends_are_read_too(day: str) -> None:
    """Windows are open at both ends, whatever the clock says; a crowd beyond an end is counted."""
    few = RankedSource([on(day, n) for n in range(60)] + [on("2010-01-01", n) for n in range(60)])
    assert found(read(few, 10)) == hits(few)
    crowd = RankedSource([on(day, n) for n in range(130)])
    sweeps = read(crowd, 10)
    assert sum(s.unread for s in sweeps) == 30
    assert len(found(sweeps)) == 100


def test_a_page_cut_short_by_the_server_is_neither_quiet_nor_the_last() -> None:
    crossref = ranked((44, NOISE), (3, HIT), (40, NOISE))
    crossref.most = 10
    sweeps = read(crossref, 100)
    assert found(sweeps) == hits(crossref)
    assert sweeps[-1].ended == "complete"
    wide = ranked((44, NOISE), (3, HIT), (5000, NOISE))
    wide.most = 10
    sweeps = read(wide, 100)
    assert sweeps[0].ended == "split"
    assert found(sweeps) == hits(wide)
    assert [s.unread for s in sweeps if s.ended == "cut"] == [5047 - 100]


def test_records_seen_twice_mean_that_others_were_not_seen() -> None:
    """The ranking turns over between two pages: page two repeats page one. The count of different records shows it."""
    crossref = ranked((3, HIT), (97, NOISE), (40, NOISE), (3, HIT), (57, NOISE))
    crossref.rearrange = lambda inside: inside if len(crossref.pages) == 1 else [*inside[100:], *inside[:100]]
    sweeps = read(crossref, 100)
    assert found(sweeps) == hits(crossref)
    assert [s.by_creation for s in sweeps] == [False, False, True, True]


def test_a_record_that_leaves_while_pages_are_read_hides_no_other() -> None:
    """It moves what ranks behind it up by one, across the end of the page: as many are seen as match, but not the same."""
    crossref = ranked((1, NOISE), (99, NOISE), (1, HIT), (99, NOISE))
    first = next(iter(crossref.messages))

    def leave(asked: int) -> None:
        if asked == 2:
            crossref.messages.pop(first)

    crossref.meanwhile = leave
    sweeps = read(crossref, 100)
    assert found(sweeps) == hits(crossref)
    assert sweeps[-1].ended == "complete"


def test_a_record_that_leaves_unseen_is_not_waited_for() -> None:
    crossref = ranked((99, NOISE), (1, HIT), (1, HIT), (49, NOISE))
    last = list(crossref.messages)[-1]

    def leave(asked: int) -> None:
        if asked == 2:
            crossref.messages.pop(last)

    crossref.meanwhile = leave
    sweeps = read(crossref, 100)
    assert found(sweeps) == hits(crossref)
    assert (sweeps[-1].ended, sweeps[-1].reached, len(sweeps)) == ("complete", 149, 3)


@pytest.mark.parametrize(("second", "ended", "left"), [(range(5, 15), "cut", 5), (range(10, 20), "complete", 0)])
def test_what_either_order_brought_counts_as_read(second: range, ended: str, left: int) -> None:
    """Even the order of creation may turn over, where many were created in one moment."""

    class Unsteady(RankedSource):
        def scan(
            self, query: Query, window: Window | None = None, offset: int = 0, *, by_creation: bool = False
        ) -> Page:
            self.pages.append((window, offset, by_creation))
            held = list(self.messages.values())
            return Page([held[n] for n in (second if by_creation else range(10))], 20)

    crossref = Unsteady([on("2026-11-24", n) for n in range(20)])
    sweeps = list(read_pages(a_search(10), crossref, None, date(2002, 1, 1)))
    assert (sweeps[-1].ended, sweeps[-1].unread) == (ended, left)
    assert len(found(sweeps)) == 20 - left


class Strange(RankedSource):
    """Puts items that are no records, or have no DOI, in the places named."""

    def __init__(self, messages: Sequence[Message], strange: dict[int, Any]) -> None:
        super().__init__(messages)
        self.strange = strange

    def scan(self, query: Query, window: Window | None = None, offset: int = 0, *, by_creation: bool = False) -> Page:
        page = super().scan(query, window, offset, by_creation=by_creation)
        items = [self.strange.get(offset + number, item) for number, item in enumerate(page.items, start=1)]
        return Page(items, page.total)


def test_what_has_no_doi_is_seen_and_handed_on_and_is_no_match() -> None:
    items: dict[int, Any] = {
        149: None,
        150: {"title": [HIT]},
        151: {"title": [HIT]},
        152: {"DOI": ["x"], "title": [HIT]},
    }
    crossref = Strange([on("2015-01-01", n, HIT if n < 50 else NOISE) for n in range(1000)], items)
    sweeps = read(crossref, 100)
    assert (sweeps[-1].ended, sweeps[-1].reached, sweeps[-1].last_match) == ("quiet", 299, 50)  # two of them are alike
    odd = [(place_sentence(a_search(), s, u.number), u.reason) for s in sweeps for u in s.unusable]
    assert odd == [
        ("search s, rank 149", "the record is null, not a JSON object"),
        ("search s, rank 150", "the record has no DOI"),
        ("search s, rank 151", "the record has no DOI"),
        ("search s, rank 152", "its DOI is a list, not text"),
    ]


def test_what_has_no_doi_keeps_no_window_from_being_complete() -> None:
    """Two that are alike are two records. What is read once more in order of creation says so of its place."""
    crossref = Strange([on("2015-01-01", n) for n in range(150)], {99: None, 100: None})
    sweeps = read(crossref, 100)
    assert [(s.ended, s.by_creation) for s in sweeps] == [(None, False), (None, True), ("complete", True)]
    assert [place_sentence(a_search(), s, u.number) for s in sweeps for u in s.unusable] == [
        "search s, rank 99",
        "search s, rank 100",
        "search s, number 99 in order of creation",
        "search s, number 100 in order of creation",
    ]
    assert place_sentence(a_search(), sweeps[-1], None) == "search s, a record in order of creation"
    half = replace(sweeps[0], window=Window(created_until="2014-01-01", indexed_from="2013-01-01"))
    assert place_sentence(a_search(), half, 7) == (
        "search s, rank 7 of the records created until 2014-01-01 and indexed since 2013-01-01"
    )


def test_from_files_a_page_of_any_length_is_complete_and_handed_on_in_parts() -> None:
    class Files(FakeRecordSource):
        def scan(
            self, query: Query, window: Window | None = None, offset: int = 0, *, by_creation: bool = False
        ) -> Page:
            return Page(list(self.messages.values()), len(self.messages))

    crossref = Files([on("2016-05-01", n) for n in range(1200)])
    sweeps = read(crossref, 1000)
    assert [(s.offset, s.scanned, s.ended) for s in sweeps] == [
        (0, 500, None),
        (500, 500, None),
        (1000, 200, "complete"),
    ]
    assert len(found(sweeps)) == 1200
    assert sweeps[-1].hits[-1].rank == 1200


def test_from_files_a_search_applies_years_and_types_itself() -> None:
    matcher = Matcher(a_search(years=(2000, 2010)))
    title = "Interpersonal psychotherapy"
    assert matcher.accepts(message("10.5555/a", title, 2005), title, None)
    assert not matcher.accepts(message("10.5555/b", title, 1999), title, None)
    assert not matcher.accepts(message("10.5555/c", title, 2011), title, None)
    assert matcher.accepts(message("10.5555/d", title, 0, issued=None, published=None), title, None)
    assert not matcher.accepts(message("10.5555/e", "Other", 2005), "Other", None)
    typed = Search(
        "s", "S", Query((("title", "x"),), (("type", ("book-chapter",)),)), ("interpersonal*",), (None, None)
    )
    assert not Matcher(typed).accepts(message("10.5555/f", title, 2005), title, None)


def test_a_record_whose_text_cannot_be_read_is_fetched() -> None:
    (only,) = read(FakeRecordSource([message("10.5555/odd", HIT, 2012) | {"subtitle": [{"a": 1}]}]), 10)
    assert [hit.doi for hit in only.hits] == ["10.5555/odd"]


# ---------------------------------------------------------------------- over HTTP, at full size


def crowd(count: int, **dates: Any) -> list[Message]:
    """Records that match, created over many years, all with these dates of publication."""
    return [
        message(
            f"10.5555/{'-'.join(sorted(dates)) or 'dated'}.{n}",
            f"Interpersonal psychotherapy {n}",
            1976 + n % 50,
            created={"date-time": f"{2003 + n % 20}-{1 + n % 12:02d}-{1 + n % 28:02d}T08:00:00Z"},
            **dates,
        )
        for n in range(count)
    ]


def dated(year: int) -> dict[str, Any]:
    return {"issued": {"date-parts": [[year]]}, "published": {"date-parts": [[year]]}}


NO_DATE: dict[str, Any] = {"issued": {"date-parts": [[None]]}, "published": None}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("works", "years", "requests"),
    [
        pytest.param([*crowd(1500), *crowd(60, **NO_DATE, undated=1)], (1974, None), 3, id="undated"),
        pytest.param(
            [*crowd(1500), *(w for y in (*range(1890, 1895), 2027, 2031) for w in crowd(9, **dated(y), **{f"y{y}": 1}))],
            (None, None), 3, id="1890-94 and to come",
        ),
        pytest.param(crowd(1500, **dated(2014)), (1974, None), 3, id="all say 2014"),
        pytest.param([*crowd(1500), *crowd(40, **dated(1970), old=1)], (None, None), 3, id="dated"),
    ],
)  # fmt: skip
def test_whatever_their_dates_say_all_are_found(
    works: list[Message], years: tuple[int | None, int | None], requests: int
) -> None:
    with LoopbackCrossref(works) as server, CrossrefClient(server.url, sleep=lambda _: None) as crossref:
        assert found(list(read_pages(a_search(1000, years), crossref, None, TODAY))) == {w["DOI"] for w in works}
        assert len(server.requests) == requests


@pytest.mark.slow
def test_forty_matches_behind_a_quiet_tenth_are_found_over_the_wire() -> None:
    first, behind = crowd(600), crowd(40, behind=1)
    noise = [w | {"title": ["Interpersonal violence"], "DOI": f"{w['DOI']}.noise"} for w in crowd(3500)]
    order = {w["DOI"]: n for n, w in enumerate([*first, *noise[:600], *behind, *noise[600:]])}
    with (
        LoopbackCrossref([*first, *behind, *noise]) as server,
        CrossrefClient(server.url, sleep=lambda _: None) as crossref,
    ):
        server.rearrange = lambda ranked: sorted(ranked, key=lambda pair: order[pair[0]["DOI"]])
        sweeps = list(read_pages(a_search(1000), crossref, None, TODAY))
    assert found(sweeps) == {w["DOI"] for w in (*first, *behind)}
    last = sweeps[-1]
    assert (last.ended, last.reached, last.total, last.last_match, last.recent) == ("quiet", 4000, 4140, 1240, 0)


def test_a_server_that_cuts_a_page_short_loses_nothing() -> None:
    works = crowd(1500)
    with LoopbackCrossref(works) as server, CrossrefClient(server.url, sleep=lambda _: None) as crossref:
        server.script([Fault("short", times=2, size=300, when=lambda r: "offset" not in r.params)])
        assert found(list(read_pages(a_search(1000), crossref, None, TODAY))) == {w["DOI"] for w in works}


# ---------------------------------------------------------------------- random worlds


ODD_DATES: tuple[dict[str, Any], ...] = (
    {},
    {"issued": None, "published": None},
    NO_DATE,
    {"published-print": {"date-parts": [[1890]]}},
    {"issued": {"date-parts": [["soon"]]}, "published": "2031-01"},
)


def a_world(seed: int, records: int, share: float, spread: int, order: str) -> RankedSource:
    """`records` records, a `share` of which match, created within `spread` days or beyond both ends; the more `order` says,
    the less the ranking is worth: `true`, `blurred`, `turning` (blurred anew with each request), `wild`."""
    chance = random.Random(seed)
    start = date(2002, 1, 1) + timedelta(days=chance.randrange(9000))
    messages = []
    for n in range(records):
        day = start + timedelta(days=chance.randrange(spread))
        if chance.random() < 0.02:
            day = chance.choice([date(1999, 1, 1), date(2027, 3, 1)])
        dates = chance.choice(ODD_DATES)
        indexed = {"date-time": chance.choice(["2026-10-01", "2026-11-23"]) + "T00:00:00Z"}
        title = HIT if chance.random() < share else NOISE
        messages.append(on(day.isoformat(), n, title, indexed=indexed, **dates))
    blur = {"true": 0.0, "blurred": 1.2, "turning": 1.2, "wild": 50.0}[order]

    def rearrange(inside: list[Message]) -> list[Message]:
        noise = chance if order in ("turning", "wild") else random.Random(seed)
        return sorted(inside, key=lambda m: (m["title"][0] != HIT) + blur * noise.random())

    def meanwhile(asked: int) -> None:
        """Records are created, and records are indexed again."""
        if busy and chance.random() < 0.3:
            fresh = {"date-time": "2026-11-24T09:00:00Z"}
            new = on("2026-11-24", 10**6 + asked, chance.choice([HIT, NOISE]), indexed=fresh)
            crossref.messages[Doi(new["DOI"])] = new
            if crossref.messages and chance.random() < 0.5:
                old = chance.choice(list(crossref.messages.values()))
                crossref.messages[Doi(old["DOI"])] = old | {"indexed": fresh}

    busy = chance.random() < 0.5
    crossref = RankedSource(messages)
    crossref.rearrange, crossref.meanwhile = rearrange, meanwhile
    if chance.random() < 0.1:
        crossref.most = chance.randrange(3, 20)
    return crossref


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    records=st.one_of(st.integers(0, 60), st.integers(0, 700)),
    share=st.sampled_from([0.0, 0.01, 0.1, 0.5, 1.0]),
    spread=st.sampled_from([1, 2, 30, 9000]),
    order=st.sampled_from(["true", "blurred", "turning", "wild"]),
    since=st.sampled_from([None, "2026-11-22"]),
    quiet=st.sampled_from([2, 4]),
)
@example(seed=1, records=5000, share=1.0, spread=9000, order="wild", since=None, quiet=2)
@example(seed=2, records=5000, share=1.0, spread=1, order="true", since=None, quiet=2)
@example(seed=3, records=5000, share=0.01, spread=30, order="turning", since=None, quiet=4)
def test_all_that_matches_is_found_or_it_is_said_what_was_not_read(
    seed: int, records: int, share: float, spread: int, order: str, since: str | None, quiet: int
) -> None:
    crossref = a_world(seed, records, share, spread, order)
    asked_for = {
        doi: m for doi, m in crossref.messages.items() if m["title"][0] == HIT and within(m, Window(indexed_from=since))
    }
    sweeps = list(read_pages(a_search(20, (1974, None)), crossref, since, TODAY, quiet))
    ends = [s for s in sweeps if s.ended not in (None, "split")]
    missing = [m for doi, m in asked_for.items() if doi not in found(sweeps)]
    unsaid = []
    for lost in missing:
        (end,) = [s for s in ends if within(lost, s.window)]
        if end.ended == "complete" or end.reached >= end.total:
            unsaid.append((lost["DOI"], end.ended))
    assert unsaid == []
    for end in ends:
        lost_here = sum(1 for lost in missing if within(lost, end.window))
        assert end.ended != "cut" or lost_here <= end.unread
        assert end.ended != "quiet" or end.offset + end.scanned >= 20 * quiet
    assert sum(1 for s in sweeps if s.ended == "split") == len(ends) - 1
