"""Precision, recall and F1 from counts, and how they are printed. One definition for screening, tagging, matching and
duplicates. A figure over nothing is None, never 0 or 1."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Counts:
    """Answers of the program against labels. `right` and `wrong` are the answers it gave, `missed` those it should have given
    and did not."""

    right: int = 0
    wrong: int = 0
    missed: int = 0

    @property
    def given(self) -> int:
        """How many answers the program gave."""
        return self.right + self.wrong

    @property
    def expected(self) -> int:
        """How many answers the labels ask for."""
        return self.right + self.missed

    @property
    def precision(self) -> float | None:
        """The share of given answers that are right (0…1)."""
        return ratio(self.right, self.given)

    @property
    def recall(self) -> float | None:
        """The share of expected answers that were given (0…1)."""
        return ratio(self.right, self.expected)

    @property
    def f1(self) -> float | None:
        """The harmonic mean of precision and recall."""
        return f1(self.precision, self.recall)


def ratio(part: int, whole: int) -> float | None:
    """`part` of `whole` as a share (0…1); None where `whole` is 0."""
    return part / whole if whole else None


def wilson(part: int, whole: int) -> tuple[float, float] | None:
    """The 95 % confidence interval of a share, by Wilson's score (E. B. Wilson, 1927); None where `whole` is 0."""
    if not whole:
        return None
    z = 1.959964
    share = part / whole
    middle = share + z * z / (2 * whole)
    half = z * math.sqrt(share * (1 - share) / whole + z * z / (4 * whole * whole))
    below = 1 + z * z / whole
    return max(0.0, (middle - half) / below), min(1.0, (middle + half) / below)


def f1(precision: float | None, recall: float | None) -> float | None:
    """The harmonic mean; None where one of the two is None."""
    if precision is None or recall is None:
        return None
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def percent(share: float | None, decimals: int = 2) -> str:
    """`97.31%`, or `n/a`."""
    return "n/a" if share is None else f"{share:.{decimals}%}"


def decimal(share: float | None) -> str:
    """`0.973`, or a dash of the same width."""
    return "  –  " if share is None else f"{share:.3f}"


def rounded_down(share: float | None) -> str:
    """`0.973` for 0.9739: three decimals, never rounded up; empty for None."""
    return "" if share is None else f"{int(share * 1000) / 1000:.3f}"
