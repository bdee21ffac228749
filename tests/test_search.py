"""Windows: one request for a rare query, halves while the tail is loud, and what stays cut off is said."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from evidence.config import Search
from evidence.model import Message, Page, Query, Window
from evidence.search import Matcher, sweep
from tests.records import MALARIA, MARKOWITZ, STANGIER, DictDoor, message

TODAY = date(2026, 11, 24)


def a_search(rows: int = 1000, years: tuple[int | None, int | None] = (1974, None), **more: Any) -> Search:
    query = Query((("bibliographic", "interpersonal psychotherapy"),), rows=rows)
    return Search("s", "S", query, ("interpersonal psychotherap*",), years, **more)


class RankedDoor(DictDoor):
    """Hits first, then noise, as a relevance ranking has them."""

    def scan(self, query: Query, window: Window | None = None) -> Page:
        page = super().scan(Query(query.fields, query.filters, 10**6), window)
        ranked = sorted(page.items, key=lambda m: "psychotherapy" not in m["title"][0].lower())
        return Page(ranked[: query.rows], len(ranked))


def on(day: str, number: int, title: str = "Interpersonal psychotherapy for depression") -> Message:
    parts = [int(part) for part in day.split("-")]
    return message(f"10.5555/{day}.{number}", title, parts[0], issued={"date-parts": [parts]})


def test_a_rare_query_costs_one_request() -> None:
    door = DictDoor([MARKOWITZ, STANGIER, MALARIA])
    (only,) = sweep(a_search(), door, None, TODAY)
    assert {hit.doi for hit in only.hits} == {MARKOWITZ["DOI"], STANGIER["DOI"]}
    assert only.window is None
    assert not only.truncated
    assert len(door.asked) == 1


def test_years_are_kept_and_a_record_without_a_date_is_found() -> None:
    undated = message(
        "10.5555/undated", "Interpersonal psychotherapy", 0, issued={"date-parts": [[None]]}, published={}
    )
    old = message("10.5555/old", "Interpersonal psychotherapy", 1970)
    (only,) = sweep(a_search(years=(1974, 2012)), DictDoor([MARKOWITZ, undated, old]), None, TODAY)
    assert {hit.doi for hit in only.hits} == {MARKOWITZ["DOI"], "10.5555/undated"}


def test_an_incremental_search_asks_by_index_date_and_keeps_its_years() -> None:
    fresh = {"date-time": "2026-11-23T00:00:00Z"}
    late = message("10.5555/late", "Interpersonal psychotherapy", 2024, indexed=fresh)
    early = message("10.5555/early", "Interpersonal psychotherapy", 2015, indexed=fresh)
    door = DictDoor([MARKOWITZ, late, early])
    (only,) = sweep(a_search(years=(1974, 2020)), door, "2026-11-20", TODAY)
    assert only.window == Window("indexed", "2026-11-20", "2026-11-24")
    assert [hit.doi for hit in only.hits] == ["10.5555/early"]


def test_a_quiet_tail_ends_the_search_however_much_noise_follows() -> None:
    noise = [on(f"20{year:02d}-05-01", n, "Interpersonal violence") for year in range(10, 20) for n in range(30)]
    door = RankedDoor([*noise, *(on("2015-06-01", n) for n in range(50))])
    sweeps = list(sweep(a_search(rows=100), door, None, TODAY))
    assert len(sweeps) == 1
    assert len(sweeps[0].hits) == 50


def test_a_loud_tail_splits_until_every_hit_is_found() -> None:
    works = [on(f"20{year:02d}-{month:02d}-01", n) for year in range(20) for month in (1, 7) for n in range(5)]
    door = RankedDoor(works)
    sweeps = list(sweep(a_search(rows=20), door, None, TODAY))
    found = {hit.doi for s in sweeps for hit in s.hits}
    assert found == {w["DOI"] for w in works}
    assert not any(s.truncated for s in sweeps)


def test_a_day_with_more_than_a_page_is_said_to_be_truncated_and_does_not_split_for_ever() -> None:
    works = [on("2019-01-01", n) for n in range(45)]
    door = RankedDoor(works)
    sweeps = list(sweep(a_search(rows=20), door, None, TODAY))
    cut = [s for s in sweeps if s.truncated]
    assert [s.window for s in cut] == [Window("published", "2019-01-01", "2019-01-01")]
    assert len(door.asked) < 40


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.dates(date(1980, 1, 1), date(2025, 12, 31)), st.booleans()), max_size=120),
    st.integers(5, 30),
)
def test_nothing_is_lost_without_being_said(days: Sequence[tuple[date, bool]], rows: int) -> None:
    works = [
        on(day.isoformat(), n, "Interpersonal psychotherapy" if hit else "Interpersonal violence")
        for n, (day, hit) in enumerate(days)
    ]
    sweeps = list(sweep(a_search(rows=rows), RankedDoor(works), None, TODAY))
    found = {hit.doi for s in sweeps for hit in s.hits}
    cut = {s.window.since for s in sweeps if s.truncated and s.window}
    missing = {w["DOI"] for w, (_, hit) in zip(works, days, strict=True) if hit} - found
    assert all(any(day in doi for day in cut) for doi in missing)


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
