"""Pages as publishers deposit them → first and last page: one reader for every format and for the site.

A dash parts a range, an article number (`e0-12`), or a page from the chapter it is numbered in (`E12-34`); which of them, the
two sides tell. What is no page (`n/a-n/a`) is none. It changes no record: what was deposited stays in the column `pages`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_DASHES = re.compile(r"\s*(?:[-‐‑‒–—−]|&[mn]dash;)+\s*")
_BEFORE = re.compile(r"(?:pp\.?\s*|(?:pgs?|pages?|p)(?:\.\s*|\s+))(?=\w)", re.IGNORECASE)
_NO_PAGE = frozenset({"no", "n/a", "na", "none", "null", "nil", "unknown", "tbd", "tba"})
_LABEL = re.compile(r"([A-Za-z]{0,4}\.?)(\d+)([A-Za-z]?(?:\.?e\d+)?)(?:_\d+)?")
"""Letters, number, and what may follow: `S12`, `511a`, `240.e2`. An underscore (`128_1`) tells items on one page apart."""
_LONGEST = 99
"""Pages that a range with letters and an abbreviated end may take; `e2017-123` is the name of one article."""
_ROMAN = re.compile(r"(?=[ivxlcdm])m{0,3}(?:cm|cd|d?c{0,4})(?:xc|xl|l?x{0,4})(?:ix|iv|v?i{0,4})", re.IGNORECASE)
_ROMAN_VALUES = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100, "d": 500, "m": 1000}


@dataclass(frozen=True, slots=True)
class Span:
    """Pages that follow one another, or one page or article number (`last` is None)."""

    first: str
    last: str | None = None


def spans(raw: str | None) -> tuple[Span, ...]:
    """`12, 34-36` → 12, and 34 to 36; abbreviated ends whole (`1134–47` → 1134 to 1147); () when there is no page."""
    text = _DASHES.sub("-", _BEFORE.sub("", (raw or "").strip(), count=1)).strip("-,;. ")
    found = (_span(" ".join(part.split()).strip("-")) for part in re.split(r"[,;&]", text))
    return tuple(span for span in found if span is not None)


def first_last(raw: str | None) -> tuple[str | None, str | None]:
    """The page where a work begins and the one where it ends; the end is None for one page or an article number alone."""
    found = spans(raw)
    if not found:
        return None, None
    return found[0].first, found[-1].last or (found[-1].first if len(found) > 1 else None)


def formatted(raw: str | None, dash: str) -> str | None:
    """All pages in one line, ranges with `dash`, articles' numbers with the hyphen they have."""
    return ", ".join(span.first + (dash + span.last if span.last else "") for span in spans(raw)) or None


def _span(text: str) -> Span | None:
    parts = text.split("-")
    if all(part.lower() in _NO_PAGE or not part.strip("0") for part in parts):
        return None
    # The dash in the middle first: in `E12-34-E12-40` the others belong to the pages' own names.
    middle = len(parts) / 2
    for at in sorted(range(1, len(parts)), key=lambda place: (abs(place - middle), -place)):
        last = _end("-".join(parts[:at]), "-".join(parts[at:]))
        if last is not None:
            return Span(_plain("-".join(parts[:at])), last)
    return Span(_plain(text))


def _plain(label: str) -> str:
    """A page without what tells two items on it apart."""
    return re.sub(r"(?<=\d)_\d+$", "", label)


def _end(first: str, last: str) -> str | None:
    """The last page in full, when the two can be the ends of a range; else None."""
    if "-" in first and "-" in last:  # a page numbered in its chapter: the same chapter, and then a range of its pages
        (chapter, one), (other, two) = first.rsplit("-", 1), last.rsplit("-", 1)
        whole_end = _end(one, two) if chapter.lower() == other.lower() else None
        return None if whole_end is None else f"{other}-{whole_end}"
    if "-" in first:  # `198-a-198`: a letter after the page's number
        return last if re.fullmatch(r"\d+-[a-z]", first) and first.partition("-")[0] == last else None
    if (low := _roman(first)) and (high := _roman(last)):
        return last if low <= high else None
    begin, end = _LABEL.fullmatch(first), _LABEL.fullmatch(last)
    if begin is None or end is None:
        return None
    letters, number, _ = begin.groups()
    said, digits, rest = end.groups()
    if said and said.lower() != letters.lower():
        return None
    if letters and not said and not int(number):
        return None  # no page is numbered 0: `e0-12` is the name of one article
    whole = number[: max(0, len(number) - len(digits))] + digits
    if int(whole) < int(number):
        # Two whole numbers in the wrong order are somebody's slip; a shorter one is the second part of a name.
        return _plain(last) if not letters and len(digits) >= len(number) else None
    if letters and not said and len(digits) < len(number) and int(whole) - int(number) > _LONGEST:
        return None
    return (said or letters) + whole + rest


def _roman(text: str) -> int | None:
    if not text or not _ROMAN.fullmatch(text):
        return None
    values = [_ROMAN_VALUES[letter] for letter in text.lower()]
    return sum(-one if one < two else one for one, two in zip(values, [*values[1:], 0], strict=True))
