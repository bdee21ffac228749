"""How often does the stopping rule stop before 95 % of the relevant works are found? Simulated reviews, in orders from no better
than chance to a good ranking, with a look after every work.

    python benchmarks/stopping_rule.py [--seeds 1000] [--published]

`--published` simulates BUSCAR as published instead. Each line: works, relevant ones, how much likelier a relevant work comes
early, and what the reviewer does besides; then the share of reviews that stopped too early, and the works screened at the stop.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable
from dataclasses import dataclass

from evidence.review.stopping_rule import ERROR, TARGET, Screening, Together, buscar, stated_error, works_until_stated


@dataclass(frozen=True, slots=True)
class Review:
    """A simulated review. Of the relevant works a share `unsure` is left unsure. After each tenth work the reviewer excludes
    `batch` irrelevant ones from the end of the list together."""

    works: int
    relevant: int
    bias: float = 1.0
    unsure: float = 0.0
    batch: int = 0


REVIEWS = (
    Review(60, 10), Review(200, 10), Review(200, 57), Review(500, 76), Review(1000, 19), Review(1000, 76), Review(2000, 95),
    Review(2000, 19, 1.5), Review(1000, 76, 1.5), Review(1000, 76, 3), Review(1000, 76, 10), Review(200, 57, unsure=0.05),
    Review(500, 76, batch=5), Review(500, 76, 3, batch=5),
)  # fmt: skip


def stops(review: Review, seed: int, error: Callable[[Screening], float] = stated_error) -> tuple[int, float] | None:
    """Works decided on one by one, and the share of the relevant works found, when the rule first says that the target is
    reached. None when it never does before all are screened."""
    chance = random.Random(seed)
    order = in_order(review, chance)
    screened: list[bool] = []
    together: list[Together] = []
    unsure = 0
    while order:
        relevant = order.pop(0)
        if relevant and chance.random() < review.unsure:
            unsure += 1
        else:
            screened.append(relevant)
        if review.batch and len(screened) % 10 == 0:
            irrelevant = [n for n, found in enumerate(order) if not found][-review.batch :]
            order = [found for n, found in enumerate(order) if n not in irrelevant]
            together.append(Together(len(screened), len(irrelevant), 0))
        # The error falls with each irrelevant work, so it is enough to look before a relevant one, and at the end.
        last = not any(order)
        if last or order[0]:
            state = Screening(tuple(screened), len(order), tuple(together), unsure)
            if last:
                more = works_until_stated(state) if error is stated_error else 0
                return None if more is None else (len(screened) + unsure + more, state.found / review.relevant)
            if state.found and error(state) <= ERROR:
                return len(screened) + unsure, state.found / review.relevant
    return None


def in_order(review: Review, chance: random.Random) -> list[bool]:
    """Whether each work is relevant, in the order of a ranking with the bias of the review."""
    weighted = [
        (chance.expovariate(review.bias if n < review.relevant else 1.0), n < review.relevant)
        for n in range(review.works)
    ]
    return [relevant for _, relevant in sorted(weighted)]


def main() -> None:
    """Print a line for each review."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--published", action="store_true")
    given = parser.parse_args()
    error = buscar if given.published else stated_error
    for review in REVIEWS:
        found = [stops(review, seed, error) for seed in range(given.seeds)]
        stopped = [stop for stop in found if stop]
        early = sum(recall * 100 < TARGET - 1e-9 for _, recall in stopped) / given.seeds
        screened = sum(place for place, _ in stopped) / len(stopped) / review.works if stopped else 1.0
        print(f"{review}: {early:.3f} too early; {len(stopped)} stopped, after {screened:.0%} on average", flush=True)


if __name__ == "__main__":
    main()
