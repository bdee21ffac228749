"""Rate limit, retry pauses and circuit breaker: how fast to send, how long to pause after a failure, and when to stop.

A service limits its routes separately (Crossref: lists and single works). Requests are sequential, so one minimum interval
per route is all there is:

* Where a service announces its pace, as Crossref does, a response's `x-rate-limit-limit` and `x-rate-limit-interval` (or the
  spelling of 2022, `x-ratelimit-…`) set the interval of its route. Other services count the quota of a day in headers of
  these names; theirs are not read.
* Until a route's first headers, the intervals that the service is described with apply, whatever the host: a loopback server
  that sends no headers is treated like the service. A test that does not want to wait gives the client a fake `sleep`.
* A 429 doubles the interval of its route (up to `MAX_SLOWDOWN` times); every good response shortens it a little.

`CircuitBreaker` limits what an outage costs: once all tries of one request have met a server fault, each later request gets
one try, and after `STOP_AFTER` failed requests in a row no more are sent.

Jitter is a digest of the request and the try, not a random number: runs can be repeated exactly, yet two users who failed
together do not retry together. May not open a connection or know an HTTP library.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from evidence.http.failures import Fault

HEADROOM: Final = 1.1
"""Factor on the announced interval: the server counts arrivals, and on the network these may come a tenth of a second early
or late. A 429 costs more than the tenth."""

MAX_SLOWDOWN: Final = 8.0
"""Largest factor on the announced interval after repeated 429s."""

MAX_INTERVAL: Final = 60.0
"""Seconds; a longer announced interval is implausible and cut to this."""

FIRST_PAUSE: Final = 2.0
"""Seconds before the first retry (less jitter); doubles with each further try."""

THROTTLED_PAUSE: Final = 5.0
"""Seconds before the first retry of a 429 without `Retry-After`: Crossref's advice is "take a pause"."""

MAX_PAUSE: Final = 60.0
"""Seconds; the exponential back-off is capped here."""

MIN_PAUSE: Final = 1.0
"""Seconds; a `Retry-After: 0` still means that the server was in trouble."""

STOP_AFTER: Final = 3
"""Requests failed in a row by server faults, after which a run sends no more."""

_DURATION = re.compile(r"\s*(\d{1,9}(?:\.\d+)?)\s*(ms|s|m|h)?\s*", re.IGNORECASE)
_UNIT = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_POOLS = ("polite", "public", "plus")


class RateLimiter:
    """Keeps requests of one route apart. `intervals`: route → seconds between its requests; `announced`: whether the server's
    headers may change them. Not thread-safe."""

    def __init__(
        self,
        sleep: Callable[[float], None],
        clock: Callable[[], float],
        intervals: Mapping[str, float],
        *,
        announced: bool,
    ) -> None:
        self.pool: str | None = None
        self.date: datetime | None = None
        self._sleep = sleep
        self._clock = clock
        self._interval = dict(intervals)
        self._announced = announced
        self._slowed = dict.fromkeys(intervals, 1.0)
        self._last: dict[str, float] = {}

    def interval(self, route: str) -> float:
        """Seconds between two requests of this route at present."""
        return min(self._interval[route] * self._slowed[route], MAX_INTERVAL)

    def wait(self, route: str) -> None:
        """Sleep until the next request of this route may be sent, and count it as sent."""
        now = self._clock()
        if route in self._last:
            due = self._last[route] + self.interval(route)
            if due > now:
                self._sleep(due - now)
                now = max(due, self._clock())
        self._last[route] = now

    def read_headers(self, route: str, headers: Mapping[str, str]) -> None:
        """Take the limits, the pool and, from the first response, the server's time from the headers (a case-insensitive
        mapping); absent ones change nothing."""
        self.date = self.date or _moment(headers.get("date"))
        if self._announced:
            limit = _number(headers.get("x-rate-limit-limit") or headers.get("x-ratelimit-limit"))
            span = duration(headers.get("x-rate-limit-interval") or headers.get("x-ratelimit-interval") or "1s")
            if limit and span:
                self._interval[route] = min(span / limit * HEADROOM, MAX_INTERVAL)
        if pool := headers.get("x-api-pool"):
            # `polite` became `polite-single` and `polite-array` in July 2026; the prefix is what lasts.
            self.pool = next((known for known in _POOLS if pool.strip().lower().startswith(known)), pool.strip())

    def slow_down(self, route: str) -> None:
        """After a 429: double the interval of this route."""
        self._slowed[route] = min(self._slowed[route] * 2, MAX_SLOWDOWN)

    def ease_back(self, route: str) -> None:
        """After a good response: shorten the interval by a tenth, down to the announced one."""
        self._slowed[route] = max(self._slowed[route] * 0.9, 1.0)


class CircuitBreaker:
    """How many tries a request gets while the server fails.

    While it is closed, a request gets all its tries. When all tries of one request have met a server fault, it opens: every
    later request gets one try, until one succeeds and closes it. After `STOP_AFTER` failed requests in a row it stops all
    requests for the rest of the run.

    The routes may fail separately (Crossref's lists answer 500 while single works are served), so a response on another
    route proves only that the server can be reached.
    """

    def __init__(self, routes: Collection[str]) -> None:
        self._routes = frozenset(routes)
        self._open: dict[str, Fault] = {}
        self._doubted: set[str] = set()
        self._given_up: dict[str, int] = {}

    def single_try(self, route: str) -> bool:
        """Whether a request of this route gets only one try at present."""
        return route in self._open or route in self._doubted

    def stopped(self, route: str) -> bool:
        """Whether no request of this route is sent any more."""
        return self._given_up.get(route, 0) >= STOP_AFTER

    def succeeded(self, route: str) -> None:
        """The server has answered a request of this route."""
        self._given_up[route] = 0
        self._open.pop(route, None)
        for other in [other for other, fault in self._open.items() if fault == "unreachable"]:
            self._given_up[other] = 0
            del self._open[other]
        self._doubted.discard(route)
        if not self._open:
            self._doubted.clear()

    def failed(self, route: str, faults: Collection[Fault | None]) -> None:
        """A request has failed after tries that met these faults (None: not a server fault)."""
        if not faults or None in faults:
            return
        self._given_up[route] = self._given_up.get(route, 0) + 1
        if route not in self._open:
            self._doubted |= self._routes - {route}
        self._open[route] = "unreachable" if set(faults) == {"unreachable"} else "server error"
        if self._open[route] == "unreachable":
            # There is no network: the other routes cannot work either.
            self._given_up = dict.fromkeys(self._routes, max(self._given_up.values()))


def back_off(attempt: int, first: float, key: str) -> float:
    """Seconds to pause after the failed try number `attempt` (from 0): doubling from `first`, capped, less up to half of
    it as jitter drawn from `key`."""
    full = min(first * 2.0**attempt, MAX_PAUSE)
    spread = zlib.crc32(f"{key}#{attempt}".encode()) / 2**32
    return float(full * (1 - spread / 2))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds the server asks to wait, from `Retry-After` as seconds or as an HTTP date (compared with the response's own
    `Date` where it has one, so a wrong clock here does no harm); None when absent or unreadable."""
    value = headers.get("retry-after")
    if value is None:
        return None
    seconds = _number(value)
    if seconds is not None:
        return seconds
    until = _moment(value)
    if until is None:
        return None
    now = _moment(headers.get("date")) or datetime.now(UTC)
    return max(0.0, (until - now).total_seconds())


def duration(text: str) -> float | None:
    """Seconds in an interval such as `1s`, `500ms`, `1m` or a bare number of seconds; None when it is none of these."""
    match = _DURATION.fullmatch(text)
    return float(match[1]) * _UNIT[(match[2] or "s").lower()] if match else None


def _number(text: str | None) -> float | None:
    match = re.fullmatch(r"\s*(\d{1,9}(?:\.\d+)?)\s*", text or "", re.ASCII)
    return float(match[1]) if match else None


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
