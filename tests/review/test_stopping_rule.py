"""The stopping rule: the published test, and that what is stated of it holds in simulated reviews."""

from __future__ import annotations

import itertools
import math
import random
from pathlib import Path
from typing import Any

import pytest

from evidence.review.stopping_rule import (
    ERROR,
    Screening,
    Together,
    at_least,
    buscar,
    in_words,
    stated_error,
    works_until_stated,
)
from tests.module_from_file import module_from_file

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "stopping_rule.py"


def test_the_tail_of_the_hypergeometric_distribution_is_exact() -> None:
    for works, relevant, drawn in itertools.product(range(1, 13), range(13), range(13)):
        if relevant <= works and drawn <= works:
            ways = [math.comb(relevant, k) * math.comb(works - relevant, drawn - k) for k in range(drawn + 1)]
            for count in range(drawn + 2):
                expected = sum(ways[count:]) / math.comb(works, drawn)
                assert at_least(count, works, relevant, drawn) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("relevant", "works", "p"),
    [
        # buscarpy 0.0.2, calculate_h0 with its defaults.
        ([1] * 5 + [0] * 40, 60, 0.2727272727),
        ([1, 1, 0, 1, 0, 0, 1] + [0] * 60, 80, 0.1780821918),
        ([1, 0] * 20 + [0] * 100, 200, 0.1374223602),
    ],
)
def test_the_test_is_buscar(relevant: list[int], works: int, p: float) -> None:
    assert buscar(Screening(tuple(map(bool, relevant)), works - len(relevant))) == pytest.approx(p, abs=1e-9)


def test_no_point_but_those_after_a_relevant_work_is_the_least_probable() -> None:
    chance = random.Random(1)
    for _ in range(60):
        relevant = tuple(chance.random() < 0.2 for _ in range(chance.randint(1, 60)))
        left = chance.randint(1, 60)
        screening = Screening(relevant, left)
        hidden = screening.may_be_missed + 1
        every = min(
            at_least(hidden, len(relevant) - start + left, hidden + sum(relevant[start:]), left)
            for start in range(len(relevant))
        )
        assert buscar(screening) == pytest.approx(min(1.0, every), abs=1e-12)


def test_what_is_stated_is_never_less_than_the_p_of_the_test() -> None:
    chance = random.Random(2)
    for _ in range(200):
        screening = Screening(
            tuple(chance.random() < 0.1 for _ in range(chance.randint(1, 200))), chance.randint(0, 99)
        )
        assert buscar(screening) <= stated_error(screening) <= 1


def test_works_that_may_be_relevant_count_as_not_found() -> None:
    found = (*[True] * 40, *[False] * 300)
    errors = [stated_error(Screening(found, 30, unsettled=n)) for n in range(5)]
    assert Screening(found, 30).may_be_missed == 2
    assert errors == sorted(errors)
    assert errors[0] < ERROR
    assert errors[3] == errors[4] == 1  # the three alone are more than may be missed


def test_works_decided_together_do_not_count_as_drawn_from_the_list() -> None:
    found = (*[True] * 40, *[False] * 60)
    one_by_one = stated_error(Screening((*found, *[False] * 200), 30))
    together = stated_error(Screening(found, 30, (Together(len(found), 200, 0),)))
    assert one_by_one < ERROR < together
    before = Screening((True,), 30, (Together(0, 200, 0),))
    assert buscar(before) == buscar(Screening((True,), 30))  # what was taken out before was not left
    relevant = Screening(found, 30, (Together(50, 10, 10),))
    assert relevant.found == 50


def test_the_works_to_go_are_as_many_as_are_needed() -> None:
    screening = Screening((*[True] * 40, *[False] * 60), 200)
    more = works_until_stated(screening)
    assert more is not None
    for n, stated in ((more - 1, False), (more, True)):
        assert (stated_error(Screening((*screening.relevant, *[False] * n), 200 - n)) <= ERROR) == stated
    assert works_until_stated(Screening((*[True] * 40, *[False] * 600), 5)) == 0
    assert works_until_stated(Screening((True, False), 20, unsettled=1)) is None
    assert works_until_stated(Screening((True, False), 0, unsettled=1)) is None


@pytest.mark.parametrize(
    ("error", "words"),
    [(0.0312, "p = .04"), (0.04, "p = .04"), (0.009, "p < .01"), (0.3, "p = .30"), (1.0, "p = 1.00")],
)
def test_an_error_is_rounded_up(error: float, words: str) -> None:
    assert in_words(error) == words


@pytest.mark.slow
@pytest.mark.parametrize("review", range(5))
def test_simulated_reviews_stop_too_early_no_more_often_than_stated(simulation: Any, review: int) -> None:
    """150 seeds of each; `benchmarks/stopping_rule.py` has 1,000 of more reviews."""
    reviews = [
        simulation.Review(200, 57), simulation.Review(500, 76), simulation.Review(200, 57, unsure=0.05),
        simulation.Review(300, 57, 3), simulation.Review(300, 57, batch=5),
    ]  # fmt: skip
    found = [simulation.stops(reviews[review], seed) for seed in range(150)]
    stopped = [stop for stop in found if stop]
    assert len(stopped) > 10
    assert sum(recall < 0.95 - 1e-9 for _, recall in stopped) <= ERROR * len(found)
    if reviews[review].bias > 1:
        assert sum(place for place, _ in stopped) / len(stopped) < 0.97 * reviews[review].works  # and it spares work


@pytest.mark.slow
def test_the_published_test_would_stop_too_early_where_the_order_is_no_better_than_chance(simulation: Any) -> None:
    """Why `stated_error` is more than the p of the test."""
    found = [simulation.stops(simulation.Review(500, 76), seed, buscar) for seed in range(150)]
    assert sum(stop is not None and stop[1] < 0.95 - 1e-9 for stop in found) > 2 * ERROR * len(found)


@pytest.fixture(scope="module")
def simulation() -> Any:
    """The module of the benchmark."""
    return module_from_file(BENCHMARK, "simulated_reviews")
