"""The weights of the signs → probability and strength; and the shipped weights themselves."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence.data_model import STRENGTHS
from evidence.rules import decide
from evidence.rules.decide import FULL, RIVAL_SIGNS, TITLE, Model, ValueWeights, log_odds, models, weights_digest
from evidence.rules.signs import KINDS, NAMES

ALONE = (0.0, 1.0, *(0.0 for _ in RIVAL_SIGNS[1:]))
"""A last step in which rivals count nothing."""
MODEL = Model(-1.0, (2.0, -3.0, 0.5), ALONE, {"stated": 0.9, "likely": 0.7, "implied": 0.4})

MODEL_WITHOUT_BIAS = replace(MODEL, bias=0.0)


def mask(*numbers: int) -> int:
    """The signs with these numbers."""
    return sum(1 << number for number in numbers)


def test_signs_add_up() -> None:
    assert MODEL.first(mask()) == pytest.approx(0.269, abs=0.001)
    assert MODEL.first(mask(0)) == pytest.approx(0.731, abs=0.001)
    assert MODEL.first(mask(0, 1)) == pytest.approx(0.119, abs=0.001)
    assert MODEL.first(mask(0, 2)) > MODEL.first(mask(0)) > MODEL.first(mask(0, 1))


@pytest.mark.parametrize(
    ("probability", "strength"),
    [(1.0, "stated"), (0.9, "stated"), (0.89, "likely"), (0.7, "likely"), (0.4, "implied"), (0.39, None), (0.0, None)],
)
def test_strength_follows_probability(probability: float, strength: str | None) -> None:
    assert MODEL.strength(probability) == strength


def test_a_model_may_leave_a_strength_out() -> None:
    """Where no probability is precise enough, nothing is stated."""
    model = replace(MODEL, least={"likely": 0.7})
    assert (model.strength(0.99), model.strength(0.5)) == ("likely", None)


@given(st.floats(-1e6, 1e6), st.lists(st.floats(-1e6, 1e6), max_size=5))
def test_a_probability_is_one_whatever_the_weights(bias: float, weights: list[float]) -> None:
    assert 0 <= Model(bias, tuple(weights), ALONE, {}).first(mask(*range(len(weights)))) <= 1


def test_without_rivals_nothing_changes() -> None:
    first = {3: 0.2, 5: 0.9}
    assert MODEL.beside_rivals(first, {}) == pytest.approx(first)
    assert MODEL.beside_rivals({}, {}) == {}


def weighing(**weights: float) -> Model:
    """A model whose last step counts the own score and these."""
    by_name = {name.replace("_", " "): weight for name, weight in weights.items()}
    return replace(MODEL, rivals=(0.0, 1.0, *(by_name.get(name, 0.0) for name in RIVAL_SIGNS[1:])))


def test_a_likelier_rival_counts() -> None:
    found = weighing(a_rival_is_likelier=-2.0).beside_rivals({1: 0.6, 2: 0.8}, {})
    assert found[1] < 0.5 < found[2] == pytest.approx(0.8)


def test_a_value_gives_way_to_one_that_applies() -> None:
    """A protocol of a trial is no trial; that it gives way to, and a review does not."""
    model = weighing(a_value_that_it_gives_way_to_is_likelier_than_not=-4.0)
    trial, protocol, review = 1, 2, 3
    found = model.beside_rivals({trial: 0.9, protocol: 0.8, review: 0.7}, {trial: [protocol]})
    assert found[trial] < 0.5
    assert (found[protocol], found[review]) == pytest.approx((0.8, 0.7))
    assert model.beside_rivals({trial: 0.9, protocol: 0.2}, {trial: [protocol]})[trial] == pytest.approx(0.9)
    assert model.beside_rivals({trial: 0.9}, {trial: [protocol]})[trial] == pytest.approx(0.9)


def value_weights(**learnt: dict[int, dict[str, float]] | dict[int, dict[int, float]]) -> ValueWeights:
    """Weights beside a model for which one value without signs is as likely as not."""
    return ValueWeights(replace(MODEL, bias=0.0), 0.0, 1.0, **{"words": {}, **learnt})  # type: ignore[arg-type]


def test_a_word_without_a_weight_counts_nothing() -> None:
    own = value_weights(words={1: {"distress": -2.0}})
    known = own.probability(1, mask(0), [], [])
    assert known == pytest.approx(MODEL_WITHOUT_BIAS.first(mask(0)))
    assert own.probability(1, mask(0), ["new word"], []) == pytest.approx(known)
    assert own.probability(2, mask(0), ["distress"], []) == pytest.approx(known), "the word of another value"
    assert own.probability(1, mask(0), ["distress", "new word"], []) < known - 0.3


def test_a_sign_may_say_more_of_one_value_than_of_others() -> None:
    own = value_weights(signs={1: {0: 3.0}})
    assert own.probability(1, mask(0, 1), [], []) > 0.8
    assert own.probability(2, mask(0, 1), [], []) == pytest.approx(MODEL_WITHOUT_BIAS.first(mask(0, 1)))
    assert own.probability(1, mask(1), [], []) == pytest.approx(MODEL_WITHOUT_BIAS.first(mask(1))), (
        "the sign is not there"
    )


def test_a_word_of_the_title_speaks_for_a_value() -> None:
    own = value_weights(title_words={1: {"versus": 2.0}})
    assert own.probability(1, mask(), [], ["versus", "a"]) > 0.8
    assert own.probability(2, mask(), [], ["versus"]) == own.probability(1, mask(), [], ["a"]) == 0.5


def test_a_facet_may_know_which_of_its_values_go_together() -> None:
    """A pilot study may be a randomised trial; what has no weight beside another value is judged as elsewhere."""
    trial, pilot, review = 1, 2, 3
    rivals = (0.0, 1.0, *(0.0 for _ in RIVAL_SIGNS[1:]))
    first = {trial: 0.4, pilot: 0.9, review: 0.4}
    alone = value_weights().beside_rivals(first, {})
    assert alone == replace(MODEL, bias=0.0).beside_rivals(first, {})
    own = replace(value_weights(), rivals=rivals, beside={trial: {pilot: 2.0}, review: {4: 2.0}})
    found = own.beside_rivals(first, {})
    assert log_odds(found[trial]) == pytest.approx(log_odds(0.4) + 2.0 * 0.9)
    assert (found[pilot], found[review]) == pytest.approx((0.9, 0.4))


def test_the_score_of_the_signs_counts_as_learnt() -> None:
    half = replace(value_weights(), score=0.5, bias=1.0, of=MODEL)
    assert log_odds(half.probability(1, mask(0), [], [])) == pytest.approx(1.0 + 0.5 * (-1.0 + 2.0))


def test_there_is_a_model_for_whatever_a_facet_is_about() -> None:
    """And for titles alone: where a kind has no model for them, the one for abstracts judges them."""
    shipped = models()
    assert set(shipped) == {(about, text) for about in KINDS for text in (FULL, TITLE)}
    for model in shipped.values():
        assert len(model.weights) == len(NAMES)
        assert len(model.rivals) == 1 + len(RIVAL_SIGNS)
        assert set(model.least) <= set(STRENGTHS)
        in_order = [model.least[strength] for strength in STRENGTHS if strength in model.least]
        assert in_order == sorted(in_order, reverse=True) and in_order


def test_weights_are_small_and_name_signs() -> None:
    assert decide.FILE.stat().st_size <= 500_000
    written = json.loads(decide.FILE.read_text(encoding="utf-8"))
    assert all(len(entry["weights"]) == len(written["signs"]) for entry in written["models"])


def test_the_digest_changes_with_the_weights(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("weights")
    for file in decide.FILE.parent.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    monkeypatch.setattr(decide, "FILE", folder / decide.FILE.name)
    fresh = weights_digest.__wrapped__
    assert fresh() == weights_digest() and len(fresh()) == 16
    (folder / decide.FILE.name).write_text("{}", encoding="utf-8")
    assert fresh() != weights_digest()
