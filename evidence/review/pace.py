"""How long the rest will take, from when one reviewer decided. It may not open a database or read a clock.

The estimate is honest about what it is: the reviewer's own mean time between decisions, breaks left out, times the works left. It
is not given before there are enough decisions.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

BREAK = 600.0
"""Seconds. Longer than this between two decisions is a break."""
LATEST = 50
"""How many of the latest decisions are looked at: a reviewer gets faster."""
ENOUGH = 10
"""Times between decisions below which no estimate is given."""


@dataclass(frozen=True, slots=True)
class Pace:
    """`seconds`: the mean time that a decision took, over `decisions` of them."""

    seconds: float
    decisions: int

    def minutes_for(self, works: int) -> int:
        """Whole minutes that this many works would take, at least 1."""
        return max(1, round(works * self.seconds / 60))


def pace(times: Sequence[tuple[datetime, int]]) -> Pace | None:
    """The pace of one reviewer; None when there are too few decisions to tell.

    `times` are when the reviewer decided, each with the number of works decided on in that act. An act on several works says
    nothing about the time for one. Decisions within one second were not made by reading: they were imported or sent by a script.
    """
    ordered = sorted(times)[-LATEST - 1 :]
    gaps = [
        seconds
        for (before, _), (after, works) in itertools.pairwise(ordered)
        if works == 1 and 1 <= (seconds := (after - before).total_seconds()) <= BREAK
    ]
    return Pace(sum(gaps) / len(gaps), len(gaps)) if len(gaps) >= ENOUGH else None


def in_words(minutes: int) -> str:
    """`about 20 minutes`, rounded as coarsely as an estimate deserves."""
    if minutes < 2:
        return "about a minute"
    if minutes <= 10:
        return f"about {minutes} minutes"
    if minutes < 58:
        return f"about {round(minutes / 5) * 5} minutes"
    if minutes < 90:
        return "about an hour"
    hours = round(minutes / 30) / 2
    return f"about {hours:g} hours"
