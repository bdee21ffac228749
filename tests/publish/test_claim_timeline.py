"""The timeline of a claim: a mark for each work, at its year, inside the drawing."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from evidence.publish import claim_timeline

YEARS = st.integers(1974, 2026)
MARKS = st.lists(st.tuples(YEARS, st.sampled_from([*claim_timeline.KINDS, "cited", "cited-retracted"])), max_size=60)
SHAPES = {"review": 1, "retracted": 2, "cited-retracted": 3}
"""How many strokes begin in one mark: a cross has two, one in a ring three, any other shape one."""


def begins(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"M(-?[\d.]+) (-?[\d.]+)", path)]


def strokes(path: str) -> int:
    return len(re.findall(r"[Mm]", path))


@given(MARKS, YEARS)
@settings(max_examples=150)
def test_each_work_has_one_mark_of_its_kind_within_the_drawing(marks: list[tuple[int, str]], since: int) -> None:
    counted = [(year, kind, 1) for year, kind in marks]
    axis = claim_timeline.axis_of(counted)
    if axis is None:
        assert marks == []
        return
    drawn = claim_timeline.draw(counted, since, axis)
    assert drawn is not None
    kinds = [kind for _, kind in marks]
    for kind, path in drawn.paths:
        bars = drawn.most is not None and kind in claim_timeline.KINDS
        expected = len({year for year, of in marks if of == kind}) if bars else kinds.count(kind) * SHAPES.get(kind, 1)
        assert strokes(path) == expected, kind
        for x, y in begins(path):
            assert 0 <= x <= drawn.width and 0 <= y <= drawn.height
    assert {kind for kind, _ in drawn.paths} == set(kinds)
    assert [words.partition(":")[0] for _, words in drawn.years] == [str(y) for y in sorted({y for y, _ in marks})]


def test_marks_stand_at_their_year_and_what_is_newer_right_of_the_line() -> None:
    marks = [
        (2016, "cited", 1),
        (2012, "earlier", 1),
        (2018, "trial", 1),
        (2018, "review", 1),
        (2017, "retracted", 1),
    ]
    axis = claim_timeline.Axis(1990, 2026)
    drawn = claim_timeline.draw(marks, 2016, axis)
    assert drawn is not None and drawn.newer_from is not None and drawn.most is None
    at = {kind: begins(path)[0][0] for kind, path in drawn.paths}
    assert at["earlier"] < at["cited"] < drawn.newer_from < at["retracted"] < at["trial"]
    assert abs(at["review"] - axis.x(2018)) < 0.02
    assert drawn.said == "Timeline. cited: 2016; newer: 3, 2017 to 2018; other works: 1; retracted: 1"
    assert dict(drawn.years)[round(axis.x(2018) - axis.step / 2, 2)] == "2018: 1 newer trial, 1 newer review"


def test_a_year_with_many_works_is_a_bar_true_to_the_number() -> None:
    marks = [(2020, "newer", 300), (2021, "newer", 150), (2020, "trial", 100)]
    drawn = claim_timeline.draw(marks, 2016, claim_timeline.Axis(2016, 2021))
    assert drawn is not None and drawn.most == 400
    heights = {kind: [float(h) for h in re.findall(r"v-([\d.]+)", path)] for kind, path in drawn.paths}
    assert abs(heights["newer"][0] / heights["newer"][1] - 2) < 0.01
    assert abs(heights["newer"][0] / heights["trial"][0] - 3) < 0.01


def test_years_are_written_as_often_as_can_be_read() -> None:
    for first, last in ((1974, 2026), (2010, 2026), (2024, 2026), (2020, 2020), (1700, 2026)):
        ticks = claim_timeline.Axis(first, last).ticks()
        assert 1 <= len(ticks) <= 7, (first, last)
