"""Agreement between reviewers, against published examples and another program."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence.data_model import Decision, Doi
from evidence.review import agreement
from evidence.review.agreement import VERDICTS, coefficients, pairwise_agreement


def answers(table: Sequence[Sequence[int]]) -> tuple[list[tuple[str, str]], list[str]]:
    """The pairs of answers of a table, and its categories."""
    names = [str(n) for n in range(len(table))]
    return [(names[i], names[j]) for i, row in enumerate(table) for j, n in enumerate(row) for _ in range(n)], names


@pytest.mark.parametrize(
    ("table", "kappa", "ac1", "pabak"),
    [
        # Gwet 2002: two readers who nearly always agree, and a kappa below 0.
        ([[118, 5], [2, 0]], -0.0234, 0.9408, 0.888),
        # Observed .70, chance .50.
        ([[20, 5], [10, 15]], 0.4, 0.4059, 0.4),
        # Three categories, one of them not used; irrCAC 0.4.4, and scikit-learn 1.9 for kappa.
        ([[80, 3, 2], [5, 40, 4], [1, 2, 9]], 0.7864, 0.8400, 0.8253),
        ([[44, 1, 0], [2, 3, 0], [0, 0, 0]], 0.6341, 0.9346, 0.9100),
    ],
)
def test_the_coefficients_are_those_of_published_examples_and_of_other_programs(
    table: list[list[int]], kappa: float, ac1: float, pabak: float
) -> None:
    _, found, *others = coefficients(*answers(table))
    assert found is not None
    assert [found.value, *(other.value for other in others)] == pytest.approx([kappa, ac1, pabak], abs=5e-5)


def test_the_intervals_are_those_of_wilson_and_not_empty_for_perfect_agreement() -> None:
    observed, kappa, ac1, pabak = coefficients(*answers([[10, 0], [0, 0]]))
    assert (round(observed.low, 3), round(observed.high, 9)) == (0.722, 1)  # Wilson 1927: n / (n + z**2)
    assert kappa is None
    assert ac1.value == pabak.value == 1
    assert (round(ac1.low, 3), round(pabak.low, 3)) == (0.722, 0.445)
    _, kappa, *_ = coefficients(*answers([[5, 0], [0, 5]]))
    assert kappa is not None
    assert (kappa.value, round(kappa.low, 3), round(kappa.high, 9)) == (1, 0.445, 1)


@given(st.lists(st.tuples(st.sampled_from(VERDICTS), st.sampled_from(VERDICTS)), min_size=1))
def test_every_figure_is_inside_its_interval_and_at_most_one(pairs: list[tuple[str, str]]) -> None:
    for found in coefficients(pairs, VERDICTS):
        if found is not None:
            assert -1 <= found.low <= found.value + 1e-9
            assert found.value - 1e-9 <= found.high <= 1 + 1e-9
            assert all(a == b for a, b in pairs) == (found.value > 1 - 1e-9)
    mirrored = coefficients([(b, a) for a, b in pairs], VERDICTS)
    for one, other in zip(coefficients(pairs, VERDICTS), mirrored, strict=True):
        assert (one is None) == (other is None)
        assert one is None or other is None or one.value == pytest.approx(other.value)


def test_only_works_that_both_gave_a_verdict_on_count() -> None:
    def said(reviewer: str, doi: str, verdict: str | None) -> Decision:
        facet = None if verdict else "outcome"
        return Decision(
            Doi(f"10.1/{doi}"), "verdict" if verdict else "tag", verdict, facet, facet, "x", reviewer, "2026-11-24T09:30:00Z",  # type: ignore[arg-type]
            None, None,
        )  # fmt: skip

    decisions = [
        said("A", "x", "include"), said("B", "x", "include"), said("A", "y", "exclude"), said("B", "z", "exclude"),
        said("C", "x", None), said("B", "y", "unsure"),
    ]  # fmt: skip
    (pair,) = pairwise_agreement(decisions)
    assert (pair.first, pair.second, pair.works, pair.observed.value) == ("A", "B", 2, 0.5)
    assert agreement.in_words(pair.observed) == "0.50 (0.09 to 0.91)"
    assert agreement.in_words(None) == "not defined"
