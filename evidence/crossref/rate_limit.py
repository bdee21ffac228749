"""How fast Crossref may be asked, how long to pause after a refusal, and when to stop asking: arithmetic on headers, clock
and sleep.

Two route classes are paced apart, because Crossref limits them apart: `list` (`/works?…`) and `single`
(`/works/{doi}` and what hangs below it). Requests are sequential, so one minimum interval per class is the whole of it:

* An answer's `x-rate-limit-limit` and `x-rate-limit-interval` (or the spelling of 2022, `x-ratelimit-…`) set the interval
  of the class that was asked. The numbers moved three times in four years, so none of them is written here.
* While a class has not answered with headers it is asked gently (`GENTLE`), whatever the host: a loopback server that
  sends no headers is paced like Crossref. A test that does not want to wait hands the client a fake `sleep`.
* A 429 doubles the interval of its class (up to `SLOWEST` times); every good answer eases it back a little.

`Breaker` limits what an outage costs: once one question's tries have all met a fault of the server, each later question
is tried once, and after `STOP_AFTER` given up in a row no more are asked.

Jitter is a digest of the question and the try, not a random number: runs can be repeated exactly, yet two users who were
refused together do not come back together. May not open a connection or know an HTTP library.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, Literal

Route = Literal["list", "single"]

GENTLE: Final[Mapping[Route, float]] = {"list": 1.0, "single": 0.25}
"""Seconds between requests before any header was seen: under the public pool's limits of July 2026 (1/s and 5/s)."""

HEADROOM: Final = 1.1
"""The announced interval is stretched by this much: the server counts arrivals, and the network bunches them (for a limit
per second, arrivals may be a tenth of a second early or late). A 429 costs more than the tenth."""

SLOWEST: Final = 8.0
"""How many times the announced interval a class may be slowed after repeated 429s."""

LONGEST_INTERVAL: Final = 60.0
"""Seconds; an announced interval beyond this is taken for nonsense and cut to it."""

FIRST_PAUSE: Final = 2.0
"""Seconds before the first retry (less jitter); doubles with each further try."""

TOO_MANY_PAUSE: Final = 5.0
"""Seconds before the first retry of a 429 without `Retry-After`: Crossref's own advice is "take a pause"."""

LONGEST_PAUSE: Final = 60.0
"""Seconds; the exponential back-off is capped here."""

SHORTEST_PAUSE: Final = 1.0
"""Seconds; a `Retry-After: 0` still means that the server was in trouble."""

LONGEST_WAIT: Final = 300.0
"""Seconds; a server that asks for a longer `Retry-After` is not waited for: the run ends honestly instead."""

Fault = Literal["unreachable", "timeout", "server error", "not JSON"]
"""Failures that are the server's, or the way's to it, and not the question's: the next question will likely meet it too."""

STOP_AFTER: Final = 3
"""Questions given up in a row, by one fault of the server, after which a run asks no more."""

_DURATION = re.compile(r"\s*(\d{1,9}(?:\.\d+)?)\s*(ms|s|m|h)?\s*", re.IGNORECASE)
_UNIT = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_POOLS = ("polite", "public", "plus")


class Pace:
    """Keeps requests of one route class apart by the interval the server announced. Not for use by several threads."""

    def __init__(self, sleep: Callable[[float], None], clock: Callable[[], float]) -> None:
        self.pool: str | None = None
        self.date: datetime | None = None
        self._sleep = sleep
        self._clock = clock
        self._interval: dict[Route, float] = dict(GENTLE)
        self._slowed: dict[Route, float] = {"list": 1.0, "single": 1.0}
        self._last: dict[Route, float] = {}

    def interval(self, route: Route) -> float:
        """Seconds that must lie between two requests of this class as things stand."""
        return min(self._interval[route] * self._slowed[route], LONGEST_INTERVAL)

    def wait(self, route: Route) -> None:
        """Sleeps until the class may be asked again, and counts the coming request as sent."""
        now = self._clock()
        if route in self._last:
            due = self._last[route] + self.interval(route)
            if due > now:
                self._sleep(due - now)
                now = max(due, self._clock())
        self._last[route] = now

    def learn(self, route: Route, headers: Mapping[str, str]) -> None:
        """Takes the limits, the pool and, from the first answer, the server's time from the headers (a case-insensitive
        mapping); absent ones change nothing."""
        self.date = self.date or _moment(headers.get("date"))
        limit = _number(headers.get("x-rate-limit-limit") or headers.get("x-ratelimit-limit"))
        span = duration(headers.get("x-rate-limit-interval") or headers.get("x-ratelimit-interval") or "1s")
        if limit and span:
            self._interval[route] = min(span / limit * HEADROOM, LONGEST_INTERVAL)
        if pool := headers.get("x-api-pool"):
            # `polite` became `polite-single` and `polite-array` in July 2026; the prefix is what lasts.
            self.pool = next((known for known in _POOLS if pool.strip().lower().startswith(known)), pool.strip())

    def refused(self, route: Route) -> None:
        """The server said 429: ask this class half as often."""
        self._slowed[route] = min(self._slowed[route] * 2, SLOWEST)

    def answered(self, route: Route) -> None:
        """The server answered: come a tenth of the way back to the announced pace."""
        self._slowed[route] = max(self._slowed[route] * 0.9, 1.0)


class Breaker:
    """A circuit breaker: how often a question is worth trying while the server is in trouble.

    Closed, a question has all its tries. When all of one question's tries have met such a fault, it opens, and every later
    question is tried once until one is answered, which closes it again: a server that comes back is used at once. When
    `STOP_AFTER` questions in a row were given up so, it stops the run's questions for good.

    The two classes of route may fail apart (`/works?…` answers 500 while single works are served), so an answer of the other
    class proves nothing about this one, except that the server can be reached.
    """

    def __init__(self) -> None:
        self._open: dict[Route, Fault] = {}
        self._doubted: set[Route] = set()
        self._given_up: dict[Route, int] = {}

    def once(self, route: Route) -> bool:
        """Whether a question of this class is tried only once as things stand."""
        return route in self._open or route in self._doubted

    def stopped(self, route: Route) -> bool:
        """Whether no question of this class is asked any more."""
        return self._given_up.get(route, 0) >= STOP_AFTER

    def answered(self, route: Route) -> None:
        """The server has answered a question of this class."""
        self._given_up[route] = 0
        self._open.pop(route, None)
        for other in [other for other, fault in self._open.items() if fault == "unreachable"]:
            self._given_up[other] = 0
            del self._open[other]
        self._doubted.discard(route)
        if not self._open:
            self._doubted.clear()

    def gave_up(self, route: Route, faults: Collection[Fault | None]) -> None:
        """A question has had its tries, which met these faults (None: one that is the question's own)."""
        if not faults or None in faults:
            return
        self._given_up[route] = self._given_up.get(route, 0) + 1
        if route not in self._open:
            self._doubted |= set(GENTLE) - {route}
        self._open[route] = "unreachable" if set(faults) == {"unreachable"} else "server error"
        if self._open[route] == "unreachable":
            # There is no network: the other class of route is no way round it.
            self._given_up = dict.fromkeys(GENTLE, max(self._given_up.values()))


def back_off(attempt: int, first: float, key: str) -> float:
    """Seconds to pause after the failed try number `attempt` (from 0): doubling from `first`, capped, less up to half of
    it as jitter drawn from `key`."""
    full = min(first * 2.0**attempt, LONGEST_PAUSE)
    spread = zlib.crc32(f"{key}#{attempt}".encode()) / 2**32
    return float(full * (1 - spread / 2))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds the server asks to wait, from `Retry-After` as seconds or as an HTTP date (read against the answer's own
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
