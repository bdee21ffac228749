"""Statements of age: what they say, and whom they fit."""

from __future__ import annotations

import math

import pytest

from evidence.rules.ages import AgeStatement, age_statements, fits
from evidence.rules.normal_forms import Normalised


def stated(text: str) -> list[tuple[float, float]]:
    return [(found.youngest, found.oldest) for found in age_statements(Normalised(text))]


@pytest.mark.parametrize(
    ("text", "ages"),
    [
        ("adolescents aged 12 to 18", [(12, 18)]),
        ("adolescents aged 12–18 years", [(12, 18)]),
        ("aged between 12 and 18", [(12, 18)]),
        ("(age range: 18-65)", [(18, 65)]),
        ("13 to 17 years old", [(13, 17)]),
        ("adults 60 years and older", [(60, math.inf)]),
        ("aged 65 or over", [(65, math.inf)]),
        ("patients over 60 years of age", [(60, math.inf)]),
        ("at least 18 years", [(18, math.inf)]),
        ("people ≥ 60 years", [(60, math.inf)]),
        ("mean age 45.2 years", [(45, 45)]),
        ("mean age was 15.4", [(15, 15)]),
        ("Mean age was 15.4", [(15, 15)]),
        ("mean (SD) age, 45.2 (3) years", [(45, 45)]),
        ("college students (M age = 21.8)", [(21, 21)]),
        ("12- to 17-year-olds", [(12, 17)]),
        ("Aged 12 to 18", [(12, 18)]),
        ("a 34-year-old woman", [(34, 34)]),
        ("over 16 weekly sessions", []),
        ("for 12 to 16 weeks", []),
        ("120 of 233 patients", []),
        ("scores fell by 12.3 to 8.1", []),
        ("since 1999", []),
    ],
)
def test_a_statement_of_age(text: str, ages: list[tuple[float, float]]) -> None:
    assert stated(text) == ages


def test_the_place_is_that_of_the_statement() -> None:
    text = "Youths aged 13 to 17 years took part."
    (found,) = age_statements(Normalised(text))
    assert text[found.start : found.stop] == "aged 13 to 17"


def test_a_statement_is_read_once() -> None:
    assert len(stated("women aged 18 to 45 years, mean age 30")) == 2


@pytest.mark.parametrize(
    ("ages", "of", "fit"),
    [
        ((12, 18), (12, 17), True),
        ((12, 18), (18, 64), False),
        ((18, 65), (18, 64), True),
        ((18, 65), (60, 120), False),
        ((60, math.inf), (60, 120), True),
        ((60, math.inf), (18, 64), True),  # a lower bound inside the range
        ((18, math.inf), (60, 120), False),
        ((15, 15), (12, 17), True),
        ((17.5, 17.5), (12, 17), True),  # seventeen until the birthday
        ((45, 45), (12, 17), False),
        ((7, 17), (12, 17), True),
        ((7, 17), (2, 11), True),
    ],
)
def test_ages_fit_a_range_that_holds_much_of_them(
    ages: tuple[float, float], of: tuple[float, float], fit: bool
) -> None:
    assert fits(AgeStatement(*ages, 0, 0), *of) is fit
