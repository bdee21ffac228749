"""A standing query → the records that count as found, window by window, page by page.

Crossref ranks a bag of words and knows no phrases, so each page is completed here by the search's phrases and years. How a
window is read:

* Pages are read best first. When as many different records were seen as match, the window is `complete`.
* Whole pages without a match are quiet. After `QUIET` of them in a row the window ends there, `quiet`: a guess, because
  a match may rank further down. How deep it was read is kept for people to see.
* Matches in the last tenth of a page run on into the next one, and a relevance ranking may change between two requests.
  Such a window is read whole in order of creation, which does not change, where it holds at most ten pages; else it is
  `split` into two halves by the day the records were created. Every record has one such day, and keeps it.
* What cannot be read in any of these ways is counted: the window is `cut`, and its source is not complete.

This module is given its record source and writes nothing.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Literal

from evidence.crossref import normalise
from evidence.errors import RecordError
from evidence.harvest.sources import Search
from evidence.model import Doi, Message, Page, RecordSource, Window
from evidence.rules.terms import Phrases

EARLIEST = date(2002, 1, 1)
"""Crossref's first deposits: where the halves of a window that is open downwards are measured from."""

PAGES = 10
"""How many pages of one window can be read: Crossref gives no record beyond 10,000 (ten pages of 1,000)."""

QUIET, QUIET_FULL = 2, 4
"""How many whole pages in a row without a match end a window; `sync --full` reads twice as far."""

RECENT = 1000
"""Of how many of the ranks read last it is kept how many matched."""

PART = 500
"""Records handled at once; a page from files can be of any length and is handed on in parts, so memory does not grow."""

WindowEnd = Literal["complete", "quiet", "split", "cut"]
"""How a window ended; see above."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A record that said one of the phrases: its place in the ranking (1-based; None where it was read in order of
    creation) and Crossref's relevance score."""

    doi: Doi
    rank: int | None
    score: float | None
    indexed: str | None


@dataclass(frozen=True, slots=True)
class UnusableItem:
    """An item of a page that cannot be asked for, because it has no usable DOI or is no record: its number in the order that
    was read, why, and the item. It counts as seen and never as a match."""

    number: int
    reason: str
    item: object


@dataclass(frozen=True, slots=True)
class SearchPage:
    """What one page, or part of a page, brought, and how the reading of its window stands after it.

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
    """The local half of a search: does a record say one of its phrases?"""

    def __init__(self, search: Search) -> None:
        self.search = search
        self._needed = [Phrases(search.phrases), *([Phrases(search.also)] if search.also else [])]

    def says(self, title: str | None, abstract: str | None) -> bool:
        """True when the title or the abstract holds a phrase (and, where `also` is given, one of these)."""
        return all(p.first_hit(title) is not None or p.first_hit(abstract) is not None for p in self._needed)

    def accepts(self, message: Message, title: str | None, abstract: str | None) -> bool:
        """For records from files, which no server has filtered: phrases, years and the filters a record can answer."""
        return self.says(title, abstract) and self.in_years(message) and self._passes(message)

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


def read_pages(
    search: Search, records: RecordSource, since: str | None, today: date, quiet: int = QUIET
) -> Iterator[SearchPage]:
    """Every page of every window of a search. `since` (ISO date) asks only for records indexed that day or later; None asks
    for all. `quiet` is how many whole pages without a match end a window."""
    matcher = Matcher(search)
    windows = [Window(indexed_from=since)]
    while windows:
        reading = _WindowReader(search, records, matcher, windows.pop(), today, quiet)
        halves = yield from reading.pages()
        windows.extend(reversed(halves))


def unread_sentence(sweep: SearchPage) -> str:
    """What a `cut` window left out, in words for a person."""
    one = sweep.unread == 1
    records, match, were = ("record", "matches", "was") if one else ("records", "match", "were")
    return f"{sweep.unread:,} {records}{_limits(sweep.window)} {match} the query and {were} not read"


def place_sentence(search: Search, sweep: SearchPage, number: int | None) -> str:
    """Where an item of a page stood, in words for a person; `number` is None for a hit that was read in order of creation."""
    where = f"rank {number}" if not sweep.by_creation else f"number {number}" if number else "a record"
    limits = f" of the records{found}" if (found := _limits(sweep.window)) else ""
    return f"search {search.id}, {where}{limits}{' in order of creation' if sweep.by_creation else ''}"


def _limits(window: Window) -> str:
    """What records a window is limited to, in words that follow the word `records`; nothing for all of them."""
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
        self.offset = self.asked = self.silent = self.total = self.pass_due = 0
        self.pass_seen: set[str] = set()

    def pages(self) -> Generator[SearchPage, None, tuple[Window, ...]]:
        """Asks for page after page until the window ended; returns its halves if it was split."""
        ended: WindowEnd | None = None
        while ended is None:
            offset, by_creation = self.offset, self.by_creation
            page = self.records.scan(self.search.query, self.window, offset, by_creation=by_creation)
            self.asked += 1
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
        """The matches of a page, whose first record stands after `before` others, and what has no usable DOI; what was seen is
        noted."""
        hits, unusable = [], []
        for rank, message in enumerate(items, start=before + 1):
            doi = normalise.doi_of(message)
            # Without a DOI an item is known again by its content in another pass, and in its own pass by its rank.
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
        """A record whose text cannot be read counts as a match: it is fetched, and kept with the reason."""
        if not self.matcher.in_years(message):
            return False
        try:
            return self.matcher.says(*normalise.title_and_abstract(message))
        except RecordError:
            return True

    def _recent(self) -> int:
        return sum(1 for rank in self.matched if rank > self.ranked - RECENT)

    def _after(self, length: int, matches: int) -> WindowEnd | None:
        """What is known after a page of this length: how the window ended, or None, and where the next page begins."""
        read = self.offset + length
        everything, last = read >= self.total, self.asked >= PAGES
        if everything and self._whole():
            return "complete"
        if self.by_creation or self.to_the_last:
            if everything or last:
                return self._part()
        else:
            self.silent = 0 if matches else self.silent + 1
            if everything or length < self.rows or self._loud(read, length):
                return self._doubt(read)
            if self.silent >= self.quiet:
                return "quiet"
            if last:
                return self._doubt(read)
        self.offset = read
        return None

    def _whole(self) -> bool:
        """As many different records were seen as match: in this pass, or in all of them."""
        return len(self.pass_seen) >= self.pass_due or len(self.seen) >= self.due

    def _loud(self, read: int, length: int) -> bool:
        """Matches in the last tenth of a page that left something behind: more may follow, on either side of its end."""
        return bool(self.matched) and self.matched[-1] > read - max(1, length // 10)

    def _doubt(self, read: int) -> WindowEnd | None:
        """The ranking cannot be trusted here. Ten pages are read whole, in order of creation; more are split."""
        if self.due <= PAGES * self.rows:
            self._begin()
            self.by_creation = True
            return None
        ended = self._part()
        if ended == "cut" and self.asked < PAGES:  # a single day of more than ten pages: its best ones at least
            self.to_the_last, self.offset = True, read
            return None
        return ended

    def _part(self) -> WindowEnd:
        self.halves = _halves(self.window, self.today)
        return "split" if self.halves else "cut"


def _parts(page: Page, rows: int) -> Iterator[tuple[int, Sequence[Message], bool]]:
    """(records before, records, is it the last): a page that Crossref answered is one part, a longer one is from files."""
    size = max(1, len(page.items) if len(page.items) <= rows else PART)
    starts = range(0, max(len(page.items), 1), size)
    for start in starts:
        yield start, page.items[start : start + size], start == starts[-1]


def _halves(window: Window, today: date) -> tuple[Window, ...]:
    """Both halves of a window by date of creation, the earlier first; adjacent, and open where the window is. Nothing when
    it is a single day already."""
    start = date.fromisoformat(window.created_from) if window.created_from else EARLIEST
    stop = date.fromisoformat(window.created_until) if window.created_until else today
    if start >= stop:
        return ()
    middle = start + (stop - start) // 2
    return (
        replace(window, created_until=middle.isoformat()),
        replace(window, created_from=(middle + timedelta(days=1)).isoformat()),
    )
