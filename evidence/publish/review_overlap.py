"""Overlap of reviews from their lists of studies: the corrected covered area (CCA), for all reviews and for each pair.

Sets in, numbers out; it knows no work, no list and no database. CCA is Pieper's (J Clin Epidemiol 2014;67(4):368-375). A pair
of a review and a study that appeared after it is a structural zero: no review can list a later study. The adjusted CCA leaves
those pairs out of the area, as the R package ccaR does (Bougioukas et al., J Clin Epidemiol 2021;132:34-45).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from fractions import Fraction
from itertools import combinations
from typing import TypeVar

from evidence.export.currency_values import Overlap, Pair

Key = TypeVar("Key", bound=Hashable)
Span = tuple[str, str]
"""The first and the last day (ISO) that a date may mean."""


def span_of(date: str | None) -> Span | None:
    """`2019` → 2019-01-01 to 2019-12-31, `2019-05` → its days, a full date → that day; None without a date. Days are only
    compared, so that every month may have 31."""
    if not date:
        return None
    return f"{date}{'-01-01'[len(date) - 4 :]}", f"{date}{'-12-31'[len(date) - 4 :]}"


def earliest(spans: Iterable[Span | None]) -> Span | None:
    """When the first of several things happened."""
    known = [span for span in spans if span]
    return (min(first for first, _ in known), min(last for _, last in known)) if known else None


def after(one: Span | None, other: Span | None) -> bool:
    """Whether one date is certainly later than the other."""
    return one is not None and other is not None and one[0] > other[1]


def overlap(lists: Sequence[tuple[Span | None, AbstractSet[Key]]], dates: Mapping[Key, Span | None]) -> Overlap:
    """The overlap of reviews, each with its date and the studies that it lists. `dates` are those of the studies. Reviews
    without a study are left out, and so are studies that no review lists."""
    lists = [(date, studies) for date, studies in lists if studies]
    union = frozenset[Key]().union(*(studies for _, studies in lists))
    starts = sorted(date[0] for study in union if (date := dates.get(study)))
    later = 0
    for date, studies in lists:
        if date:
            later += len(starts) - bisect_right(starts, date[1])
            later -= sum(1 for study in studies if after(dates.get(study), date))
    c, r, n = len(lists), len(union), sum(len(studies) for _, studies in lists)
    area = r * c - r
    return Overlap(c, r, n, later, ratio(n - r, area), ratio(n - r, area - later))


def ratio(part: int, whole: int) -> Fraction | None:
    """A share; None of nothing."""
    return Fraction(part, whole) if whole > 0 else None


def pairs(lists: Sequence[tuple[Span | None, AbstractSet[Key]]], dates: Mapping[Key, Span | None]) -> list[Pair]:
    """Every pair of reviews; each of them lists a study."""
    found = []
    for (first, (one_date, one)), (second, (other_date, other)) in combinations(enumerate(lists), 2):
        later = sum(1 for study in one - other if after(dates.get(study), other_date))
        later += sum(1 for study in other - one if after(dates.get(study), one_date))
        found.append(Pair(first, second, len(one & other), len(one | other), later))
    return found
