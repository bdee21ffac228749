"""When can screening stop? The test of BUSCAR with bias 1, and what is stated of it. It may not open a database.

Works are screened in some order, the likelier ones first. BUSCAR (Callaghan and Müller-Hansen 2020, Systematic Reviews 9:273)
looks back from the last work screened: had the works after some point been drawn at random from all that were left at that point,
how probable is it to have found so few relevant ones, if so many are left that less than 95 % were found? It takes the point at
which that is least probable. Bias 1 means that a relevant work was no likelier to come early than any other; an order that is
better than chance errs on the safe side. Of fifteen rules it was the only one that never stopped too early on 81 data sets (Repke
2026).

It looks after every work and takes the best of many points, and where the order is no better than chance that shows: at p = .05
it stops too early in 14 % of simulated reviews of 1,000 works with 76 relevant ones (`benchmarks/stopping_rule.py`). So what is
stated here differs in two ways: a point counts only if at least as many works were screened after it as are left, and the error
is `FACTOR` times the p of the test. With both, no simulated order stops too early more often than stated.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace

TARGET = 95
"""Per cent of the relevant works that should be found."""
ERROR = 0.05
"""The largest error at which the target is said to be reached."""
FACTOR = 5
"""What the p of the test is multiplied by."""


@dataclass(frozen=True, slots=True)
class Together:
    """Works taken out of the order and decided in one act, when `after` others had been screened; so many were relevant."""

    after: int
    works: int
    relevant: int


@dataclass(frozen=True, slots=True)
class Screening:
    """How far a screening is.

    `relevant` says of each work screened, in that order, whether it is relevant; `left` is the number of works not screened.
    `unsettled` works may be relevant and count as relevant works that were not found: left unsure, decided differently by two
    reviewers, or passed over.
    """

    relevant: tuple[bool, ...]
    left: int
    together: tuple[Together, ...] = ()
    unsettled: int = 0

    @property
    def found(self) -> int:
        """Relevant works found."""
        return sum(self.relevant) + sum(act.relevant for act in self.together)

    @property
    def may_be_missed(self) -> int:
        """How many relevant works can be missing while the target is still reached."""
        return self.found * 100 // TARGET - self.found


def buscar(screening: Screening, *, long_urns: bool = False) -> float:
    """The p of BUSCAR with bias 1: how probable what was found would be, if less than the target were found. `long_urns`: look
    only from points after which at least as many works were screened as are left."""
    too_many = screening.may_be_missed + 1 - screening.unsettled
    if too_many <= 0:
        return 1.0
    screened, best = len(screening.relevant), 1.0
    found = list(itertools.accumulate(screening.relevant, initial=0))
    # Between two relevant works the earlier point is always the less probable one, so the others need no look.
    starts = {0, *(place + 1 for place, relevant in enumerate(screening.relevant) if relevant)}
    starts |= {act.after for act in screening.together}
    for start in starts:
        # What was decided together since then was not drawn from the order: it is part of what the order has left.
        since = [act for act in screening.together if act.after > start]
        left = screening.left + sum(act.works for act in since)
        hidden = too_many + sum(act.relevant for act in since)
        drawn = screened - start
        if drawn >= (left if long_urns else 1):
            best = min(best, at_least(hidden, drawn + left, hidden + found[-1] - found[start], left))
    return best


def stated_error(screening: Screening) -> float:
    """The error with which the target can be said to be reached (0 to 1)."""
    return min(1.0, FACTOR * buscar(screening, long_urns=True))


def works_until_stated(screening: Screening) -> int | None:
    """How many more works have to be screened, if none of them is relevant, until the target can be said to be reached; 0 when it
    can be now. None when it cannot even when one work is left."""

    def is_stated(more: int) -> bool:
        further = replace(screening, relevant=(*screening.relevant, *[False] * more), left=screening.left - more)
        return stated_error(further) <= ERROR

    if is_stated(0):
        return 0
    below, enough = 0, screening.left - 1
    if enough <= 0 or not is_stated(enough):
        return None
    while enough - below > 1:
        middle = (below + enough) // 2
        below, enough = (below, middle) if is_stated(middle) else (middle, enough)
    return enough


def at_least(count: int, works: int, relevant: int, drawn: int) -> float:
    """The probability of `count` or more relevant works among `drawn` at random from `works`, of which so many are relevant."""
    if count > min(relevant, drawn):
        return 0.0
    lowest = max(0, drawn - (works - relevant))
    if count <= lowest:
        return 1.0
    if count * works > relevant * drawn:  # above the mean: the terms get smaller from here on
        term = total = math.exp(_log_probability(count, works, relevant, drawn))
        for k in range(count, min(relevant, drawn)):
            term *= (relevant - k) * (drawn - k) / ((k + 1) * (works - relevant - drawn + k + 1))
            total += term
            if term < total * 1e-12:
                break
        return min(1.0, total)
    term = total = math.exp(_log_probability(count - 1, works, relevant, drawn))
    for k in range(count - 1, lowest, -1):
        term *= k * (works - relevant - drawn + k) / ((relevant - k + 1) * (drawn - k + 1))
        total += term
        if term < total * 1e-12:
            break
    return max(0.0, 1 - total)


def _log_probability(count: int, works: int, relevant: int, drawn: int) -> float:
    return _log_choose(relevant, count) + _log_choose(works - relevant, drawn - count) - _log_choose(works, drawn)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def in_words(error: float) -> str:
    """`p = .04`, rounded up; `p < .01`."""
    return "p < .01" if error < 0.01 else f"p = {math.ceil(error * 100 - 1e-9) / 100:.2f}".replace("0.", ".")
