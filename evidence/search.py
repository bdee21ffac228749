"""A standing query → the records that count as found, window by window.

Crossref ranks a bag of words and knows no phrases, so each ranked page is completed here by the search's phrases. A
window whose tail is not quiet is split in half, down to a day; what is still cut off then is said, never hidden. This
module is handed its door and writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from evidence import normalise
from evidence.config import Search
from evidence.errors import RecordError
from evidence.model import Doi, Door, Message, Page, Window
from evidence.rules import Phrases

EARLIEST = date(1900, 1, 1)
YEARS_AHEAD = 2
"""Publishers register issues to come: an open span ends two years from now."""

PART = 500
"""Records handled at once; a larger (offline) page is handed on in parts, so memory does not grow with the file."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A record that said one of the phrases: its place in the ranking (1-based) and Crossref's relevance score."""

    doi: Doi
    rank: int
    score: float | None
    indexed: str | None


@dataclass(frozen=True, slots=True)
class Unread:
    """An item of a page that cannot be read, so that nobody can say whether it matches: its place and DOI (if it has one),
    why, and the item."""

    rank: int
    doi: Doi | None
    reason: str
    item: object


@dataclass(frozen=True, slots=True)
class Sweep:
    """What one page, or part of a page, brought. `truncated`: hits were still coming where the page ended. `unread` are
    items that could not be read."""

    window: Window | None
    total: int
    scanned: int
    hits: tuple[Hit, ...]
    truncated: bool
    unread: tuple[Unread, ...] = ()


class Matcher:
    """The local half of a search: does a record say one of its phrases?"""

    def __init__(self, search: Search) -> None:
        self.search = search
        self._needed = [Phrases(search.phrases), *([Phrases(search.also)] if search.also else [])]

    def says(self, title: str | None, abstract: str | None) -> bool:
        """True when the title or the abstract holds a phrase (and, where `also` is given, one of these)."""
        return all(p.find(title) is not None or p.find(abstract) is not None for p in self._needed)

    def accepts(self, message: Message, title: str | None, abstract: str | None) -> bool:
        """For records from files, which no server has filtered: phrases, years and the filters a record can answer."""
        return self.says(title, abstract) and self.in_years(message) and self._passes(message)

    def in_years(self, message: Message) -> bool:
        """True for a record of the search's years, and for one without a year."""
        first, last = self.search.years
        if first is None and last is None:
            return True
        year = normalise.year_of(message)
        return year is None or ((first is None or first <= year) and (last is None or year <= last))

    def _passes(self, message: Message) -> bool:
        kinds = [v for name, values in self.search.query.filters if name == "type" for v in values]
        return not kinds or message.get("type") in kinds


def sweep(search: Search, door: Door, since: str | None, today: date) -> Iterator[Sweep]:
    """Every window of a search. `since` (ISO date) asks only for records indexed since then; None asks for all.

    The first page of a whole harvest has no window: a record without a date is in none (one in a hundred has none).
    """
    matcher = Matcher(search)
    windows: list[Window | None] = [None if since is None else Window("indexed", since, today.isoformat())]
    while windows:
        window = windows.pop()
        page = door.scan(search.query, window)
        halves: tuple[Window, ...] = ()
        truncated = False
        for part in _parts(page):
            hits, unread = _hits(matcher, part.items, part.first)
            if part.last and not page.complete and _loud(hits, len(page.items), search.query.rows):
                halves = _halves(window, search, today)
                truncated = not halves
            yield Sweep(window, page.total, len(part.items), hits, truncated, unread)
        windows.extend(reversed(halves))


@dataclass(frozen=True, slots=True)
class _Part:
    items: Sequence[Message]
    first: int
    last: bool


def _parts(page: Page) -> Iterator[_Part]:
    """A page that Crossref answered is one part; only a page from files can be longer."""
    size = len(page.items) if not page.complete else PART
    starts = range(0, max(len(page.items), 1), max(size, 1))
    for start in starts:
        items = list(page.items[start : start + size])
        yield _Part(items, start + 1, start == starts[-1])


def _hits(matcher: Matcher, items: Sequence[Message], first: int) -> tuple[tuple[Hit, ...], tuple[Unread, ...]]:
    """The items that match, and those that cannot be read; neither keeps the others from being looked at."""
    hits, unread = [], []
    for rank, message in enumerate(items, start=first):
        doi = normalise.doi_of(message)
        try:
            if doi is None:
                raise RecordError(normalise.without_doi(message))
            if matcher.in_years(message) and matcher.says(*normalise.searchable(message)):
                hits.append(Hit(doi, rank, normalise.score_of(message), normalise.indexed_at(message)))
        except RecordError as error:
            unread.append(Unread(rank, doi, str(error), message))
    return tuple(hits), tuple(unread)


def _loud(hits: Sequence[Hit], length: int, rows: int) -> bool:
    """Phrase hits in the last tenth of a page that left something behind, or a page cut short: more may follow."""
    return length < rows or (bool(hits) and hits[-1].rank > length - max(1, length // 10))


def _span(search: Search, today: date) -> Window:
    first, last = search.years
    start = date(first, 1, 1) if first else EARLIEST
    return Window("published", start.isoformat(), date(last or today.year + YEARS_AHEAD, 12, 31).isoformat())


def _halves(window: Window | None, search: Search, today: date) -> tuple[Window, ...]:
    """Both halves of a window, earlier first; nothing when it is a single day already."""
    whole = window or _span(search, today)
    start, stop = date.fromisoformat(whole.since), date.fromisoformat(whole.until)
    if start >= stop:
        return ()
    middle = start + (stop - start) // 2
    return (
        replace(whole, until=middle.isoformat()),
        replace(whole, since=(middle + timedelta(days=1)).isoformat()),
    )
