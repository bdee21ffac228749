"""A text as somebody gave it → the text that the tracker would store, and offsets in the one → offsets in the other.

What is stored has no tags, entities, double blanks or combining accents (`plain_text`), so its offsets are others than those
of the text as given. It may not know what the text is about.

Time grows in proportion to the text: a difference is looked for in the next `_FAR` characters only.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from evidence.plain_text import markup_places, plain_text
from evidence.unicode_repair import unescape

_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});?")
_PASSES = 3
"""How often entities and tags are taken out, as in `plain_text`."""
_SAME = 6
"""Characters that must agree for two texts to be taken to agree again."""
_NEAR, _FAR = 8, 4000
"""How many characters may differ before a longer piece is looked for, and how far that is looked for."""
_LONGER = 12

_Char = tuple[str, int, int]
"""A character that is no blank, and where it stands in the text as given: start and stop."""


class GivenText:
    """A field as given, and what is `stored` of it (None: nothing)."""

    def __init__(self, given: str, *, one_line: bool = False) -> None:
        self.given = given
        self.stored = _stored(given, one_line)
        self._places: list[tuple[int, int] | None] | None = None
        self._moved = 0

    def span(self, start: int, stop: int) -> tuple[int, int]:
        """Where `stored[start:stop]` stands in the text as given, without blanks at its ends."""
        stored = self.stored or ""
        if stored == self.given:
            return start, stop
        if self._places is None:
            at = self.given.find(stored)
            if at >= 0:
                self._moved, self._places = at, []
            else:
                self._places = _places(self.given, stored)
        if not self._places:
            return start + self._moved, stop + self._moved
        found = [place for place in self._places[start:stop] if place is not None]
        return (found[0][0], found[-1][1]) if found else (0, 0)


def _stored(given: str, one_line: bool) -> str | None:
    """The text as a harvest would store it. The lines of a text without tags are kept, as the blocks of one with tags are."""
    lined = "\n" in given and next(markup_places(given), None) is None
    text = plain_text("<br/>".join(given.splitlines()) if lined else given)
    return text.replace("\n", " ") if text and one_line else text


def _places(given: str, stored: str) -> list[tuple[int, int] | None]:
    """For each character of the stored text its place in the text as given; None for blanks and for what was added."""
    left = _expanded(given)
    right = [place for place, char in enumerate(stored) if not char.isspace()]
    ours, theirs = "".join(char for char, _, _ in left), "".join(stored[place] for place in right)
    places: list[tuple[int, int] | None] = [None] * len(stored)
    i = j = 0
    while j < len(theirs):
        if i < len(ours) and ours[i] == theirs[j]:
            places[right[j]] = left[i][1:]
            i, j = i + 1, j + 1
            continue
        skipped, added = _difference(ours, theirs, i, j)
        if skipped and not added:  # the end of a word may stand before and after what was left out: keep words together
            while j and right[j] == right[j - 1] + 1 and ours[i + skipped - 1] == theirs[j - 1]:
                i, j = i - 1, j - 1
        elif skipped:
            replaced = left[i][1], left[i + skipped - 1][2]
            for place in right[j : j + added]:
                places[place] = replaced
        i, j = i + skipped, j + added
    return places


def _difference(ours: str, theirs: str, i: int, j: int) -> tuple[int, int]:
    """How many characters of either text to pass until they agree again."""
    for size in range(1, _NEAR + 1):
        for added in range(min(size, 3) + 1):
            skipped = size - added
            ahead = theirs[j + added : j + added + _SAME]
            if i + skipped <= len(ours) and ours[i + skipped : i + skipped + _SAME] == ahead:
                return skipped, added
    for added in range(3):
        ahead = theirs[j + added : j + added + _LONGER]
        at = ours.find(ahead, i, i + _FAR) if ahead else -1
        if at >= 0:
            return at - i, added
    return (1, 1) if i < len(ours) else (0, 1)


def _expanded(given: str) -> list[_Char]:
    """The characters of a text but its blanks, with tags taken out, entities replaced and accents joined to their letters."""
    text: list[_Char] = [(char, place, place + 1) for place, char in enumerate(given)]
    for _ in range(_PASSES):
        line = "".join(char for char, _, _ in text)
        tags = list(markup_places(line))
        if not tags and not _ENTITY.search(line):
            break
        text = list(_without(tags, line, text))
    return [char for char in _joined(text) if not char[0].isspace()]


def _without(tags: Iterable[tuple[int, int]], line: str, text: list[_Char]) -> Iterable[_Char]:
    at = 0
    for start, stop in (*tags, (len(line), len(line))):
        for found in _ENTITY.finditer(line, at, start):
            yield from text[at : found.start()]
            for char in unescape(found[0]):
                yield char, text[found.start()][1], text[found.end() - 1][2]
            at = found.end()
        yield from text[at:start]
        at = stop


def _joined(text: Iterable[_Char]) -> Iterable[_Char]:
    """Each letter with the combining marks after it as Unicode composes them."""
    held = ""
    start = stop = 0
    for char, first, last in text:
        if held and unicodedata.combining(char):
            held, stop = held + char, last
            continue
        yield from ((one, start, stop) for one in unicodedata.normalize("NFC", held))
        held, start, stop = char, first, last
    yield from ((one, start, stop) for one in unicodedata.normalize("NFC", held))
