"""Agreement between reviewers: observed agreement and Cohen's kappa. It may not open a database."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from evidence.data_model import Decision, VerdictName

VERDICTS = get_args(VerdictName)


@dataclass(frozen=True, slots=True)
class PairAgreement:
    """How far two reviewers agree on the `works` (a number) that both gave a verdict on: `observed` is the share of works
    with the same verdict (0 to 1), `kappa` the agreement beyond chance."""

    first: str
    second: str
    works: int
    observed: float
    kappa: float | None


def pairwise_agreement(decisions: Sequence[Decision]) -> list[PairAgreement]:
    """The agreement of each two reviewers who gave a verdict on the same works. `decisions` are those that count
    (`decisions.current_decisions`).

    Cohen's kappa (Cohen 1960, Educational and Psychological Measurement 20:37-46) over include, exclude and unsure; None where
    chance alone would make them agree on everything.
    """
    verdicts: dict[str, dict[str, str]] = {}
    for decision in decisions:
        if decision.verdict:
            verdicts.setdefault(decision.reviewer, {})[decision.doi] = decision.verdict
    found = []
    for first, second in itertools.combinations(sorted(verdicts), 2):
        both = sorted(verdicts[first].keys() & verdicts[second].keys())
        if not both:
            continue
        pairs = [(verdicts[first][doi], verdicts[second][doi]) for doi in both]
        observed = sum(a == b for a, b in pairs) / len(both)
        shares = [Counter(side) for side in zip(*pairs, strict=True)]
        chance = sum(shares[0][v] * shares[1][v] for v in VERDICTS) / len(both) ** 2
        kappa = (observed - chance) / (1 - chance) if chance < 1 else None
        found.append(PairAgreement(first, second, len(both), observed, kappa))
    return found
