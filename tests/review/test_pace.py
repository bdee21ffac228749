"""The pace of a reviewer: said only when there is enough to tell, and of reading alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from evidence.review.pace import BREAK, ENOUGH, LATEST, in_words, pace

START = datetime(2026, 11, 24, 9, tzinfo=UTC)


def acts(gaps: Sequence[float], works: int = 1) -> list[tuple[datetime, int]]:
    times = [START]
    for gap in gaps:
        times.append(times[-1] + timedelta(seconds=gap))
    return [(time, works) for time in times]


def test_it_is_the_mean_time_between_decisions() -> None:
    found = pace(acts([10, 20, 60] * 4))
    assert found is not None
    assert (found.seconds, found.decisions) == (30, 12)
    assert found.minutes_for(160) == 80


def test_it_is_not_said_before_there_are_enough() -> None:
    assert pace([]) is None
    assert pace(acts([30] * (ENOUGH - 1))) is None
    assert pace(acts([30] * ENOUGH)) is not None


def test_breaks_imports_and_acts_on_several_works_are_left_out() -> None:
    slow = pace(acts([30] * ENOUGH + [BREAK + 1, 86_400]))
    assert slow is not None
    assert slow.seconds == 30
    assert pace(acts([0.0] * 200)) is None
    assert pace(acts([30] * 200, works=12)) is None
    mixed = acts([30] * 20)
    several = [(time + timedelta(seconds=1), 12) for time, _ in mixed[::2]]
    found = pace([*mixed, *several])
    assert found is not None
    assert 29 <= found.seconds <= 30  # the second that the twelve took is not one of reading a work


def test_the_latest_count_in_any_order() -> None:
    found = pace(acts([300] * 100 + [20] * LATEST)[::-1])
    assert found is not None
    assert (found.seconds, found.decisions) == (20, LATEST)


@pytest.mark.parametrize(
    ("minutes", "words"),
    [
        (1, "about a minute"), (2, "about 2 minutes"), (10, "about 10 minutes"), (12, "about 10 minutes"),
        (18, "about 20 minutes"), (57, "about 55 minutes"), (58, "about an hour"), (89, "about an hour"),
        (90, "about 1.5 hours"), (300, "about 5 hours"),
    ],
)  # fmt: skip
def test_it_is_rounded(minutes: int, words: str) -> None:
    assert in_words(minutes) == words
