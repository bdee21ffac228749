"""Pacing as arithmetic: intervals from headers in every spelling, pauses that grow, Retry-After in both forms."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence.http.rate_limit import (
    FIRST_PAUSE,
    HEADROOM,
    MAX_INTERVAL,
    MAX_PAUSE,
    MAX_SLOWDOWN,
    STOP_AFTER,
    CircuitBreaker,
    RateLimiter,
    back_off,
    duration,
    retry_after,
)

INTERVALS = {"list": 1.0, "single": 0.25}


class Clock:
    """A clock that only sleeping moves, a little too far as real ones do."""

    def __init__(self, late: float = 0.0) -> None:
        self.time = 100.0
        self.slept: list[float] = []
        self.late = late

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds + self.late


def rate_limiter(clock: Clock | None = None, *, announced: bool = True) -> RateLimiter:
    clock = clock or Clock()
    return RateLimiter(clock.sleep, clock.now, INTERVALS, announced=announced)


@pytest.mark.parametrize(
    ("headers", "interval"),
    [
        ({"x-rate-limit-limit": "5", "x-rate-limit-interval": "1s"}, 0.2),
        ({"x-rate-limit-limit": "3", "x-rate-limit-interval": "1s", "x-concurrency-limit": "3"}, 1 / 3),
        ({"x-ratelimit-limit": "50", "x-ratelimit-interval": "1s"}, 0.02),
        ({"x-rate-limit-limit": "10", "x-rate-limit-interval": "2s"}, 0.2),
        ({"x-rate-limit-limit": "10", "x-rate-limit-interval": "500ms"}, 0.05),
        ({"x-rate-limit-limit": "30", "x-rate-limit-interval": "1m"}, 2.0),
        ({"x-rate-limit-limit": "4"}, 0.25),
        ({"x-rate-limit-limit": "2", "x-rate-limit-interval": "1"}, 0.5),
    ],
)
def test_intervals_from_headers(headers: dict[str, str], interval: float) -> None:
    limiter = rate_limiter()
    limiter.read_headers("list", headers)
    assert limiter.interval("list") == pytest.approx(interval * HEADROOM)
    assert limiter.interval("single") == INTERVALS["single"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-rate-limit-limit": "0", "x-rate-limit-interval": "1s"},
        {"x-rate-limit-limit": "-5", "x-rate-limit-interval": "1s"},
        {"x-rate-limit-limit": "many", "x-rate-limit-interval": "1s"},
        {"x-rate-limit-limit": "5", "x-rate-limit-interval": "soon"},
        {"x-rate-limit-limit": "5", "x-rate-limit-interval": "0s"},
        {"x-rate-limit-limit": "nan", "x-rate-limit-interval": "inf"},
        {"x-rate-limit-interval": "1s"},
        {"x-rate-limit-limit": "٥"},
    ],
)
def test_headers_that_say_nothing_change_nothing(headers: dict[str, str]) -> None:
    limiter = rate_limiter()
    limiter.read_headers("single", headers)
    assert limiter.interval("single") == INTERVALS["single"]


def test_headers_that_count_a_quota_set_no_pace() -> None:
    limiter = rate_limiter(announced=False)
    limiter.read_headers("list", {"x-ratelimit-limit": "100000", "x-ratelimit-remaining": "99990"})
    assert limiter.interval("list") == INTERVALS["list"]


def test_an_absurd_interval_is_cut() -> None:
    limiter = rate_limiter()
    limiter.read_headers("list", {"x-rate-limit-limit": "1", "x-rate-limit-interval": "24h"})
    assert limiter.interval("list") == MAX_INTERVAL


@pytest.mark.parametrize(
    ("header", "pool"),
    [
        ("public", "public"),
        ("polite", "polite"),
        ("polite-single", "polite"),
        ("polite-array", "polite"),
        ("public-array", "public"),
        ("Polite-Array", "polite"),
        ("plus", "plus"),
        ("plus-2027", "plus"),
        ("members-only", "members-only"),
    ],
)
def test_pools_are_known_by_their_beginning(header: str, pool: str) -> None:
    limiter = rate_limiter()
    limiter.read_headers("list", {"x-api-pool": header})
    assert limiter.pool == pool
    limiter.read_headers("list", {})
    assert limiter.pool == pool


def test_waiting_keeps_requests_of_a_class_apart() -> None:
    clock = Clock()
    limiter = rate_limiter(clock)
    for route in ("list", "list", "single", "single", "list"):
        limiter.wait(route)
    # The two classes are asked in between each other: the last list request waits only for what is left of its second.
    assert clock.slept == pytest.approx([1.0, 0.25, 0.75])


def test_time_spent_otherwise_counts_as_waiting() -> None:
    clock = Clock()
    limiter = rate_limiter(clock)
    limiter.wait("list")
    clock.time += 5
    limiter.wait("list")
    assert clock.slept == []


@settings(max_examples=50)
@given(
    gaps=st.lists(st.floats(0, 3), min_size=2, max_size=20),
    limit=st.integers(1, 50),
    late=st.floats(0, 0.1),
)
def test_no_two_requests_are_closer_than_the_interval(gaps: list[float], limit: int, late: float) -> None:
    clock = Clock(late)
    limiter = rate_limiter(clock)
    limiter.read_headers("single", {"x-rate-limit-limit": str(limit)})
    sent = []
    for gap in gaps:
        limiter.wait("single")
        sent.append(clock.time)
        clock.time += gap
    assert all(after - before >= 1 / limit for before, after in pairwise(sent))


@pytest.mark.parametrize("route", ["list", "single"])
def test_refusals_slow_and_answers_ease(route: str) -> None:
    limiter = rate_limiter()
    other = "single" if route == "list" else "list"
    for _ in range(10):
        limiter.slow_down(route)
    assert limiter.interval(route) == INTERVALS[route] * MAX_SLOWDOWN
    assert limiter.interval(other) == INTERVALS[other]
    limiter.ease_back(route)
    assert limiter.interval(route) < INTERVALS[route] * MAX_SLOWDOWN
    for _ in range(50):
        limiter.ease_back(route)
    assert limiter.interval(route) == INTERVALS[route]


@settings(max_examples=100)
@given(attempt=st.integers(0, 1000), key=st.text(), first=st.sampled_from([FIRST_PAUSE, 5.0]))
def test_back_off_is_bounded_and_repeatable(attempt: int, key: str, first: float) -> None:
    pause = back_off(attempt, first, key)
    full = min(first * 2.0 ** min(attempt, 50), MAX_PAUSE)
    assert full / 2 <= pause <= full
    assert pause == back_off(attempt, first, key)


def test_back_off_spreads_those_who_were_refused_together() -> None:
    pauses = [back_off(3, FIRST_PAUSE, f"https://api.crossref.org/works/10.5555/{number}") for number in range(100)]
    assert len(set(pauses)) > 90
    assert max(pauses) - min(pauses) > 6


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 3 ", 3.0),
        ("1.5", 1.5),
        ("Tue, 16 Jun 2026 13:05:52 GMT", 60.0),
        ("Tuesday, 16-Jun-26 13:05:52 GMT", 60.0),
        ("Tue Jun 16 13:05:52 2026", 60.0),
        ("Tue, 16 Jun 2026 14:05:52 +0100", 60.0),
        ("Mon, 15 Jun 2026 13:05:52 GMT", 0.0),
        ("soon", None),
        ("", None),
        ("-5", None),
        ("Tue, 99 Jun 2026 13:05:52 GMT", None),
        ("1e9", None),
    ],
)
def test_retry_after(value: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": value, "date": "Tue, 16 Jun 2026 13:04:52 GMT"}) == seconds


def test_retry_after_without_a_date_of_the_servers() -> None:
    until = datetime.now(UTC) + timedelta(seconds=90)
    seconds = retry_after({"retry-after": format_datetime(until, usegmt=True)})
    assert seconds is not None
    assert 80 < seconds <= 90
    assert retry_after({}) is None


@pytest.mark.parametrize(
    ("text", "seconds"), [("1s", 1), ("0.5s", 0.5), ("250ms", 0.25), ("2m", 120), ("1h", 3600), ("3", 3)]
)
def test_durations(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "1 day", "-1s", "1e3s", "one"])
def test_no_durations(text: str) -> None:
    assert duration(text) is None


# The breaker


def test_a_breaker_opens_closes_and_stops() -> None:
    breaker = CircuitBreaker(INTERVALS)
    assert not breaker.single_try("list")
    breaker.failed("list", ["server error"] * 5)
    assert breaker.single_try("list")
    assert breaker.single_try("single")
    assert not breaker.stopped("list")
    breaker.succeeded("list")
    assert not breaker.single_try("list")
    assert not breaker.single_try("single")
    for _ in range(STOP_AFTER):
        assert not breaker.stopped("list")
        breaker.failed("list", ["server error"])
    assert breaker.stopped("list")
    assert not breaker.stopped("single")


def test_a_breaker_minds_only_what_is_the_servers() -> None:
    breaker = CircuitBreaker(INTERVALS)
    breaker.failed("list", [None])
    breaker.failed("list", ["timeout", None, "timeout"])
    breaker.failed("list", [])
    assert not breaker.single_try("list")
    breaker.failed("list", ["timeout", "server error", "unreadable"])
    assert breaker.single_try("list")


def test_single_works_say_nothing_of_lists_but_that_the_server_can_be_reached() -> None:
    breaker = CircuitBreaker(INTERVALS)
    breaker.failed("list", ["unreadable"])
    breaker.succeeded("single")
    assert breaker.single_try("list")
    assert not breaker.single_try("single")
    breaker.failed("list", ["unreachable"])
    breaker.succeeded("single")
    assert not breaker.single_try("list")


def test_without_a_network_both_classes_stop() -> None:
    breaker = CircuitBreaker(INTERVALS)
    for route in ("list", "single", "list"):
        breaker.failed(route, ["unreachable"])
    assert breaker.stopped("list")
    assert breaker.stopped("single")
