"""A standing search → the records that match it, window by window, page by page.

Crossref ranks by words and has no phrase search, so each page is filtered here by the search's phrases and years. How a window
is read:

* Pages are read best first. When as many different records were seen as match the query, the window is `complete`.
* Whole pages without a match are quiet. After `QUIET` of them in a row the window ends there, `quiet`: a guess, because
  a match may rank further down. How deep it was read is kept and shown.
* Matches in the last tenth of a page run on into the next one, and a relevance ranking may change between two requests.
  Such a window is read whole in order of creation, which does not change, where it holds at most ten pages; else it is
  `split` into two halves by the day the records were created. Every record has one such day, and keeps it.
* What cannot be read in any of these ways is counted: the window is `cut`, and its search is not complete.

This module is given its record source and writes nothing.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Literal

from evidence.crossref import normalise
from evidence.crossref.entries_of_files import Accepts
from evidence.crossref.records_from_files import ExpectedQuery
from evidence.data_model import Doi, Message, Page, Query, RecordSource, Window
from evidence.errors import RecordError
from evidence.harvest.sources import Search
from evidence.rules.phrase_matching import Phrases

EARLIEST = date(2002, 1, 1)
"""Crossref's first deposits: the start of a window without one, when it is halved."""

PAGES = 10
"""How many pages of one window can be read: Crossref gives no record beyond 10,000 (ten pages of 1,000)."""

QUIET, QUIET_FULL = 2, 4
"""How many whole pages in a row without a match end a window; `sync --full` reads twice as far."""

RECENT = 1000
"""Among how many of the last ranks read the matches are counted."""

PART = 500
"""Records handled at once; a page from files can have any length and is passed on in parts, so memory does not grow."""

WindowEnd = Literal["complete", "quiet", "split", "cut"]
"""How a window ended; see above."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A record with one of the phrases: its place in the ranking (1-based; None where it was read in order of
    creation) and Crossref's relevance score."""

    doi: Doi
    rank: int | None
    score: float | None
    indexed: str | None


@dataclass(frozen=True, slots=True)
class UnusableItem:
    """An item of a page without a usable DOI, or that is no record: its number in the order of reading, the reason, and the item.
    It counts as seen and never as a match."""

    number: int
    reason: str
    item: object


@dataclass(frozen=True, slots=True)
class SearchPage:
    """What one page, or part of a page, brought, and how far its window is read after it.

    `reached` counts the different records of the window seen so far, `last_match` is the rank of the last match so far,
    `recent` how many of the last `RECENT` ranks read matched. `ended` is None while the window is read on; `unread` counts
    the records of a `cut` window that were not read.
    """

    window: Window
    offset: int
    by_creation: bool
    total: int
    scanned: int
    hits: tuple[Hit, ...]
    reached: int
    last_match: int | None
    recent: int
    ended: WindowEnd | None = None
    unread: int = 0
    unusable: tuple[UnusableItem, ...] = ()


class Matcher:
    """The local filter of a search: phrases, years and types."""

    def __init__(self, search: Search) -> None:
        self.search = search
        self._needed = [Phrases(search.phrases), *([Phrases(search.also)] if search.also else [])]

    def has_phrases(self, title: str | None, abstract: str | None) -> bool:
        """True when the title or the abstract holds a phrase (and, where `also` is given, one of these)."""
        return all(p.first_hit(title) is not None or p.first_hit(abstract) is not None for p in self._needed)

    def accepts(self, message: Message, title: str | None, abstract: str | None) -> bool:
        """For records from files, which no server has filtered: phrases, years and the filters a record can answer."""
        return self.has_phrases(title, abstract) and self.in_years(message) and self._passes(message)

    def in_years(self, message: Message) -> bool:
        """True for a record with a date of publication in the search's years, and for one without any date."""
        first, last = self.search.years
        if first is None and last is None:
            return True
        years = normalise.years_of(message)
        return not years or any((first is None or first <= y) and (last is None or y <= last) for y in years)

    def _passes(self, message: Message) -> bool:
        kinds = [v for name, values in self.search.query.filters if name == "type" for v in values]
        return not kinds or message.get("type") in kinds


def expected_queries(searches: Sequence[Search]) -> list[ExpectedQuery]:
    """What files are asked for these searches. Some may have the same query and differ in their phrases; the files answer them
    together."""
    by_query: dict[Query, list[Matcher]] = {}
    for search in searches:
        by_query.setdefault(search.query, []).append(Matcher(search))
    return [ExpectedQuery(query, _any_of(matchers)) for query, matchers in by_query.items()]


def _any_of(matchers: Sequence[Matcher]) -> Accepts:
    if len(matchers) == 1:
        return matchers[0].accepts
    return lambda message, title, abstract: any(each.accepts(message, title, abstract) for each in matchers)


def read_pages(
    search: Search, records: RecordSource, since: str | None, today: date, quiet: int = QUIET
) -> Iterator[SearchPage]:
    """Every page of every window of a search. `since` (ISO date) limits it to records indexed that day or later; None is no
    limit. `quiet` is how many whole pages without a match end a window."""
    matcher = Matcher(search)
    windows = [Window(indexed_from=since)]
    while windows:
        reading = _WindowReader(search, records, matcher, windows.pop(), today, quiet)
        halves = yield from reading.pages()
        windows.extend(reversed(halves))


def unread_sentence(sweep: SearchPage) -> str:
    """A sentence on what a `cut` window left out."""
    one = sweep.unread == 1
    records, match, were = ("record", "matches", "was") if one else ("records", "match", "were")
    return f"{sweep.unread:,} {records}{_limits(sweep.window)} {match} the query and {were} not read"


def place_sentence(search: Search, sweep: SearchPage, number: int | None) -> str:
    """Where an item was found, for people; `number` is None for a hit that was read in order of creation."""
    where = f"rank {number}" if not sweep.by_creation else f"number {number}" if number else "a record"
    limits = f" of the records{found}" if (found := _limits(sweep.window)) else ""
    return f"search {search.id}, {where}{limits}{' in order of creation' if sweep.by_creation else ''}"


def _limits(window: Window) -> str:
    """The limits of a window, to follow the word `records`; empty without limits."""
    if window.created_from is None and window.created_until is None:
        created = ""
    elif window.created_from == window.created_until:
        created = f" created on {window.created_from}"
    else:
        limits = [("since", window.created_from), ("until", window.created_until)]
        created = " created " + " and ".join(f"{word} {day}" for word, day in limits if day)
    indexed = f"{' and' if created else ''} indexed since {window.indexed_from}" if window.indexed_from else ""
    return created + indexed


class _WindowReader:
    """One window while it is read. A pass goes over its pages from the first one: best first, or in order of creation."""

    def __init__(
        self, search: Search, records: RecordSource, matcher: Matcher, window: Window, today: date, quiet: int
    ) -> None:
        self.search, self.records, self.matcher, self.window = search, records, matcher, window
        self.today, self.quiet = today, quiet
        self.rows = search.query.rows
        self.by_creation = self.to_the_last = False
        self.halves: tuple[Window, ...] = ()
        self.seen: set[str] = set()
        self.matched: list[int] = []
        self.ranked = self.due = 0
        self._begin()

    def _begin(self) -> None:
        """From the first page: what this pass has seen, how many records it should see, and the quiet pages in a row."""
        self.offset = self.requested = self.quiet_count = self.total = self.pass_due = 0
        self.pass_seen: set[str] = set()

    def pages(self) -> Generator[SearchPage, None, tuple[Window, ...]]:
        """Request page after page until the window ends; returns its halves if it was split."""
        ended: WindowEnd | None = None
        while ended is None:
            offset, by_creation = self.offset, self.by_creation
            page = self.records.scan(self.search.query, self.window, offset, by_creation=by_creation)
            self.requested += 1
            self.total = page.total
            self.due, self.pass_due = max(self.due, page.total), max(self.pass_due, page.total)
            matches = 0
            for start, items, last in _parts(page, self.rows):
                hits, unusable = self._hits(items, offset + start)
                matches += len(hits)
                if last:
                    ended = self._after(len(page.items), matches)
                missing = max(1, self.due - len(self.seen)) if ended == "cut" else 0
                yield SearchPage(
                    self.window, offset + start, by_creation, page.total, len(items), hits, len(self.seen),
                    self.matched[-1] if self.matched else None, self._recent(), ended if last else None, missing, unusable,
                )  # fmt: skip
        return self.halves

    def _hits(self, items: Sequence[Message], before: int) -> tuple[tuple[Hit, ...], tuple[UnusableItem, ...]]:
        """The matches of a page, which starts after `before` other records, and the items without a usable DOI. Notes what was
        seen."""
        hits, unusable = [], []
        for rank, message in enumerate(items, start=before + 1):
            doi = normalise.doi_of(message)
            # An item without a DOI is recognised by its content in another pass, and in its own pass by its rank.
            self.seen.add(doi or normalise.serialise_any(message)[1])
            self.pass_seen.add(doi or f"no DOI, {rank}")
            if doi is None:
                unusable.append(UnusableItem(rank, normalise.missing_doi_reason(message), message))
            elif self._matches(message):
                place = None if self.by_creation else rank
                hits.append(Hit(doi, place, normalise.score_of(message), normalise.indexed_at(message)))
        if not self.by_creation:
            self.ranked = max(self.ranked, before + len(items))
            self.matched += [hit.rank for hit in hits if hit.rank is not None]
        return tuple(hits), tuple(unusable)

    def _matches(self, message: Message) -> bool:
        """Whether a record matches. One whose text cannot be read does: it is fetched, and kept with the reason."""
        if not self.matcher.in_years(message):
            return False
        try:
            return self.matcher.has_phrases(*normalise.title_and_abstract(message))
        except RecordError:
            return True

    def _recent(self) -> int:
        return sum(1 for rank in self.matched if rank > self.ranked - RECENT)

    def _after(self, length: int, matches: int) -> WindowEnd | None:
        """How the window ended with a page of this length, or None; sets where the next page begins."""
        read = self.offset + length
        everything, last = read >= self.total, self.requested >= PAGES
        if everything and self._all_seen():
            return "complete"
        if self.by_creation or self.to_the_last:
            if everything or last:
                return self._split_or_cut()
        else:
            self.quiet_count = 0 if matches else self.quiet_count + 1
            if everything or length < self.rows or self._ends_with_matches(read, length):
                return self._change_reading(read)
            if self.quiet_count >= self.quiet:
                return "quiet"
            if last:
                return self._change_reading(read)
        self.offset = read
        return None

    def _all_seen(self) -> bool:
        """Whether as many different records were seen as match the query, in this pass or in all of them."""
        return len(self.pass_seen) >= self.pass_due or len(self.seen) >= self.due

    def _ends_with_matches(self, read: int, length: int) -> bool:
        """Whether there are matches in the last tenth of a page that is not the last: more may follow."""
        return bool(self.matched) and self.matched[-1] > read - max(1, length // 10)

    def _change_reading(self, read: int) -> WindowEnd | None:
        """The ranking cannot be relied on here. Up to ten pages are read whole, in order of creation; more are split."""
        if self.due <= PAGES * self.rows:
            self._begin()
            self.by_creation = True
            return None
        ended = self._split_or_cut()
        if ended == "cut" and self.requested < PAGES:  # a single day of more than ten pages: its best ones at least
            self.to_the_last, self.offset = True, read
            return None
        return ended

    def _split_or_cut(self) -> WindowEnd:
        self.halves = _halves(self.window, self.today)
        return "split" if self.halves else "cut"


def _parts(page: Page, rows: int) -> Iterator[tuple[int, Sequence[Message], bool]]:
    """(records before, records, whether it is the last part): a page of Crossref's is one part, a longer one is from files."""
    size = max(1, len(page.items) if len(page.items) <= rows else PART)
    starts = range(0, max(len(page.items), 1), size)
    for start in starts:
        yield start, page.items[start : start + size], start == starts[-1]


def _halves(window: Window, today: date) -> tuple[Window, ...]:
    """Both halves of a window by date of creation, the earlier first; adjacent, and open where the window is. None for a
    single day."""
    start = date.fromisoformat(window.created_from) if window.created_from else EARLIEST
    stop = date.fromisoformat(window.created_until) if window.created_until else today
    if start >= stop:
        return ()
    middle = start + (stop - start) // 2
    return (
        replace(window, created_until=middle.isoformat()),
        replace(window, created_from=(middle + timedelta(days=1)).isoformat()),
    )
