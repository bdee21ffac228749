"""Pages as publishers deposit them → first and last page, for every export format and for the site.

A dash separates the ends of a range, the parts of an article number (`e0-12`), or a page from its chapter (`E12-34`); the two
sides tell which. A placeholder (`n/a-n/a`) is not a page. It may not change a record: the column `pages` keeps what was
deposited. For comparing records, `linkage.field_comparison` has a more lenient reader.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_DASHES = re.compile(r"\s*(?:[-‐‑‒–—−]|&[mn]dash;)+\s*")
_BEFORE = re.compile(r"(?:pp\.?\s*|(?:pgs?|pages?|p)(?:\.\s*|\s+))(?=\w)", re.IGNORECASE)
_NO_PAGE = frozenset({"no", "n/a", "na", "none", "null", "nil", "unknown", "tbd", "tba"})
_LABEL = re.compile(r"([A-Za-z]{0,4}\.?)(\d+)([A-Za-z]?(?:\.?e\d+)?)(?:_\d+)?")
"""Letters, number, and what may follow: `S12`, `511a`, `240.e2`. An underscore (`128_1`) distinguishes items on one page."""
_LONGEST = 99
"""Pages of a range with letters and an abbreviated end at most; `e2017-123` is the number of one article."""
_ROMAN = re.compile(r"(?=[ivxlcdm])m{0,3}(?:cm|cd|d?c{0,4})(?:xc|xl|l?x{0,4})(?:ix|iv|v?i{0,4})", re.IGNORECASE)
_ROMAN_VALUES = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100, "d": 500, "m": 1000}


@dataclass(frozen=True, slots=True)
class Span:
    """A range of pages, or one page or article number (`last` is None)."""

    first: str
    last: str | None = None


def spans(raw: str | None) -> tuple[Span, ...]:
    """`12, 34-36` → 12, and 34 to 36. Abbreviated ends are completed (`1134–47` → 1134 to 1147). Empty when there is no page."""
    text = _DASHES.sub("-", _BEFORE.sub("", (raw or "").strip(), count=1)).strip("-,;. ")
    found = (_span(" ".join(part.split()).strip("-")) for part in re.split(r"[,;&]", text))
    return tuple(span for span in found if span is not None)


def first_last(raw: str | None) -> tuple[str | None, str | None]:
    """The first and the last page of a work; the last is None for a single page or an article number."""
    found = spans(raw)
    if not found:
        return None, None
    return found[0].first, found[-1].last or (found[-1].first if len(found) > 1 else None)


def formatted(raw: str | None, dash: str) -> str | None:
    """All pages on one line, with `dash` in ranges; article numbers keep their hyphen. None when there is no page."""
    return ", ".join(span.first + (dash + span.last if span.last else "") for span in spans(raw)) or None


def _span(text: str) -> Span | None:
    parts = text.split("-")
    if all(part.lower() in _NO_PAGE or not part.strip("0") for part in parts):
        return None
    # The dash in the middle first: in `E12-34-E12-40` the others belong to the page labels.
    middle = len(parts) / 2
    for at in sorted(range(1, len(parts)), key=lambda place: (abs(place - middle), -place)):
        last = _end("-".join(parts[:at]), "-".join(parts[at:]))
        if last is not None:
            return Span(_plain("-".join(parts[:at])), last)
    return Span(_plain(text))


def _plain(label: str) -> str:
    """A page label without the suffix that distinguishes items on one page."""
    return re.sub(r"(?<=\d)_\d+$", "", label)


def _end(first: str, last: str) -> str | None:
    """The last page in full, if the two can be the ends of a range; else None."""
    if (
        "-" in first and "-" in last
    ):  # pages numbered by chapter: the same chapter on both sides, and then a range of its pages
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
    end_letters, digits, rest = end.groups()
    if end_letters and end_letters.lower() != letters.lower():
        return None
    if letters and not end_letters and not int(number):
        return None  # no page has the number 0: `e0-12` is the number of one article
    whole = number[: max(0, len(number) - len(digits))] + digits
    if int(whole) < int(number):
        # Two full numbers in the wrong order are an error; a shorter one is the second part of an article number.
        return _plain(last) if not letters and len(digits) >= len(number) else None
    if letters and not end_letters and len(digits) < len(number) and int(whole) - int(number) > _LONGEST:
        return None
    return (end_letters or letters) + whole + rest


def _roman(text: str) -> int | None:
    if not text or not _ROMAN.fullmatch(text):
        return None
    values = [_ROMAN_VALUES[letter] for letter in text.lower()]
    return sum(-one if one < two else one for one, two in zip(values, [*values[1:], 0], strict=True))
