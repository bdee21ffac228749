"""Statements of age in a text: "aged 13 to 17", "60 years and over", "mean age 45.2".

It may not know what an age means; the ranges of a taxonomy's values do (`ages: {from, to}`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import compress

from evidence.rules.normal_forms import Normalised, normal_form

_NUMBER = r"(\d{1,2})(?:\.\d{1,2})?"
_TO = r"\s{0,2}(?:-|to|and|through|–)\s{0,2}"
_YEARS = r"[\s-]{0,2}(?:years?|yrs?|year-olds?|yo)\b"
_SAYS = r"(?:(?:of|between|from|range|ranged|ranging|was|were|is)\s){0,2}"
_LEAST_WORD = r"over|older than|at least|minimum age"
_LEAST = r"(?:of |over |above |at least |>=? ?|≥ ?|⩾ ?){0,2}"
_AND_OLDER = rf"{_YEARS}(?: of age)?(?:,? (?:and|or) (?:over|older|above))?"
_MEAN = "(?:[Mm]ean|[Aa]verage|[Mm]edian)"
_STATEMENTS = (
    (re.compile(rf"\b[Aa](?:ged|ges?|ge range)\b[\s:(=]{{0,3}}{_SAYS}{_NUMBER}{_TO}{_NUMBER}\b"), "range", "ge"),
    (re.compile(rf"\b{_NUMBER}{_TO}{_NUMBER}{_YEARS}"), "range", "y"),
    (re.compile(rf"\b{_NUMBER}-\s(?:to|through)\s{_NUMBER}{_YEARS}"), "range", "y"),
    (re.compile(rf"\b{_MEAN}[\s-](?:\w+\s|[(\[]\w{{1,6}}[)\]],?\s)?ages?\b[^.;\d]{{0,25}}{_NUMBER}"), "mean", "age"),
    (re.compile(rf"\b{_NUMBER}(?:\s|-)?(?:years?|yrs?)?\s?(?:of age\s)?(?:and|or) (?:over|older|above|more)\b"), "from", "o"),
    (re.compile(rf"\b(?:aged?|ages|{_LEAST_WORD})[\s:(]{{0,3}}{_LEAST}{_NUMBER}(?:\+|{_AND_OLDER})"), "from", ""),
    (re.compile(rf"(?:≥|>=|⩾|>)\s?{_NUMBER}{_YEARS}"), "from", ""),
    (re.compile(rf"\b{_NUMBER}\+"), "from", "+"),
    (re.compile(rf"\bM(?:age)?\s?=\s?{_NUMBER}\s?(?:years|yrs)"), "mean", "M"),
    (re.compile(rf"\bM[\s-]?age\s?=\s?{_NUMBER}\b"), "mean", "M"),
    (re.compile(rf"\b{_NUMBER}[\s-]year[\s-]olds?\b"), "mean", "year"),
    (re.compile(rf"\baged (?:about |around )?{_NUMBER}\b"), "mean", "aged "),
)  # fmt: skip
"""Each with its kind, and with letters that it cannot do without: most parts of a text have none of them."""
_HINT_WORDS = frozenset(
    map(normal_form, ("age", "aged", "year", "years", "yr", "yrs", "yo", "over", "older", "above", "more", "least"))
)
_HINT_SIGNS = re.compile(r"\+(?<=\d\+)|≥|⩾|>|M(?<=\bM)[\s-]?(?:age)?\s?=")
"""Every statement has one of these words or signs. What must stand before a sign is asked afterwards: so `re` skips all other
characters."""
_DIGIT = re.compile(r"\d")
_AROUND = 80
"""Characters on either side of a hint; no statement is longer."""
OPEN = math.inf


@dataclass(frozen=True, slots=True)
class AgeStatement:
    """People are `youngest` to `oldest` years old (infinite: no upper bound; both equal: a mean); offsets in characters."""

    youngest: float
    oldest: float
    start: int
    stop: int


def age_statements(text: Normalised) -> Iterator[AgeStatement]:
    """The statements of age in reading order of their forms; overlapping ones once."""
    taken = bytearray(len(text.folded))
    windows = _windows(text)
    for pattern, form, letters in _STATEMENTS if windows else ():
        for first, last in windows:
            if text.folded.find(letters, first, last) < 0:
                continue
            for found in pattern.finditer(text.folded, first, last):
                start, stop = found.span()
                if any(taken[start:stop]):
                    continue
                low = float(found[1])
                high = float(found[2]) if form == "range" else OPEN if form == "from" else low
                if high >= low and low >= 2:
                    taken[start:stop] = b"\x01" * (stop - start)
                    yield AgeStatement(low, high, start, stop)


def _windows(text: Normalised) -> list[tuple[int, int]]:
    """The parts of a text that can hold a statement of age: those around a word or a sign that every statement has."""
    words = map(_HINT_WORDS.__contains__, text.words)
    hints = list(compress(zip(text.starts, text.stops, strict=True), words))
    # A plus is a hint with the digit before it.
    hints += [(sign.start() - (sign[0] == "+"), sign.end()) for sign in _HINT_SIGNS.finditer(text.folded)]
    hints.sort()
    windows: list[tuple[int, int]] = []
    for start, stop in hints:
        first, last = max(0, start - _AROUND), stop + _AROUND
        if windows and first <= windows[-1][1]:
            windows[-1] = windows[-1][0], last
        else:
            windows.append((first, last))
    return [window for window in windows if _DIGIT.search(text.folded, *window)]


def fits(statement: AgeStatement, youngest: float, oldest: float) -> bool:
    """Whether people of these ages are in the range: a mean or a lower bound inside it, or at least 40 % of the years stated."""
    if statement.oldest in (OPEN, statement.youngest):
        return youngest <= statement.youngest < oldest + 1
    shared = min(statement.oldest, oldest) - max(statement.youngest, youngest)
    return shared > 0 and shared >= 0.4 * (statement.oldest - statement.youngest)
