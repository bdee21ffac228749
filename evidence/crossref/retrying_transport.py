"""Sends one request at a time, retrying transient failures.

The only module that sends bytes: one `httpx.Client`, one connection, under `rate_limit`. Every request is idempotent (one
page, no cursor), so a failure that may pass is retried, up to `tries` times; `responses` parses the bodies:

| what happened | what is done |
|---|---|
| 404 from Crossref | an answer: there is no such record |
| 301 on a single work | returned as `Redirect`: an alias, which the client follows |
| 400 and other 4xx | refused, with Crossref's message; never retried |
| 403 | refused: we are blocked; not retried, and nothing more is sent |
| 429, 408, 425 | retried after `Retry-After` (seconds or date), else after a growing pause; the rate is halved |
| 5xx, JSON or HTML | retried, `Retry-After` honoured |
| no connection, reset, timeout | retried |
| not JSON, cut short, not the expected shape, another work's record, an empty page where works match | retried |
| a page with fewer works than are due | retried once; the failure keeps the page |
| a body that does not end (`BODY_TIMEOUTS` timeouts), or over `MAX_BODY` bytes decoded | retried (too large: once) |

A server that has never answered gets `MAX_TRIES_UNREACHED` tries. When all tries of one request have met a server fault (no
connection, timeout, 5xx, not JSON), `rate_limit.CircuitBreaker` allows each later request one try until one succeeds; after
three failed requests in a row no more are sent. After a request failed with 429, later ones get `MAX_TRIES_THROTTLED`.
Every failure is an `AttemptError`; the client decides whether there is another way before it becomes a `SourceError`.
May not know what a DOI or a search is.
"""

from __future__ import annotations

import ipaddress
import ssl
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import httpx

from evidence import __version__
from evidence.crossref import responses
from evidence.crossref.rate_limit import (
    MAX_WAIT,
    MIN_PAUSE,
    THROTTLED_PAUSE,
    CircuitBreaker,
    Fault,
    RateLimiter,
    Route,
    back_off,
    retry_after,
)
from evidence.crossref.responses import AttemptError
from evidence.errors import ConfigError

MAX_BODY: Final = 64 * 1024 * 1024
"""Bytes of one decoded response. A page of 1,000 scan rows is 1–3 MB, 50 whole records mostly below 2 MB."""

MAX_ERROR_BODY: Final = 256 * 1024
"""Bytes read of the body of a failure: only its message is wanted."""

BODY_TIMEOUTS: Final = 3
"""A body may take this many timeouts in all; the timeout itself only limits the wait for its next bytes."""

MAX_TRIES_UNREACHED: Final = 3
"""Tries for a server that has never answered this client: most likely there is no network, and a person is waiting."""

MAX_TRIES_THROTTLED: Final = 2
"""Tries for each request after one failed because the server asked to slow down, until it answers again."""

CONNECT_TIMEOUT: Final = 10.0
"""Seconds to connect: long enough to notice a firewall that drops packets."""

Params = Sequence[tuple[str, str]]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Redirect:
    """A redirect on a single work, its `Location` as sent."""

    location: str


@dataclass(frozen=True, slots=True)
class _Response:
    status: int
    headers: httpx.Headers
    body: bytes


class Transport:
    """The connection, with rate limit and retries. `requests` sent (retries too), body `bytes` received (compressed),
    `seconds` spent sending and receiving (without pauses)."""

    def __init__(
        self,
        base_url: str,
        mailto: str | None,
        *,
        sleep: Callable[[float], None],
        clock: Callable[[], float],
        timeout: float,
        tries: int,
        on_wait: Callable[[str], None] | None,
    ) -> None:
        self.base, loopback = _base(base_url)
        self.rate_limiter = RateLimiter(sleep, clock)
        self.requests = 0
        self.bytes = 0
        self.seconds = 0.0
        self._mailto = mailto
        self._sleep = sleep
        self._timeout = timeout
        self._tries = tries
        self._on_wait = on_wait
        self._clock = clock
        self._blocked: str | None = None
        self._resume: float | None = None
        self._reached = False
        self._throttled = False
        self._breaker = CircuitBreaker()
        self._gave_up: dict[Route, AttemptError] = {}
        self._client = httpx.Client(
            headers={"User-Agent": user_agent(mailto), "Accept": "application/json", "Accept-Encoding": "gzip"},
            timeout=httpx.Timeout(timeout, connect=min(timeout, CONNECT_TIMEOUT)),
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=60.0),
            trust_env=not loopback,
            # Loading the trusted certificates takes 20–40 ms; a plain address on this machine needs none of them.
            verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if loopback and self.base.startswith("http:") else True,
        )

    def close(self) -> None:
        """Close the connection; the counters stay."""
        self._client.close()

    def get(self, route: Route, path: str, params: Params, read: Callable[[Any], T]) -> T | Redirect | None:
        """Request until there is a response: what `read` makes of the message, a redirect, or None for a 404.

        `path` is percent-encoded already; `read` raises `AttemptError` for a message that is no valid response.
        """
        # The address in errors leaves out the user's e-mail: errors are kept in the database and may be published.
        shown = _address(self.base + path, params)
        url = _address(self.base + path, (*params, ("mailto", self._mailto)) if self._mailto else params)
        attempt = 0
        faults: list[Fault | None] = []
        while True:
            self._check_allowed(route, shown, attempt)
            self.rate_limiter.wait(route)
            try:
                value = self._interpret(route, self._send(url, route), read)
            except AttemptError as failure:
                attempt += 1
                faults.append(failure.fault)
                pause = self._pause(route, failure.at(shown, attempt), url)
                if pause is None:
                    self._breaker.failed(route, faults)
                    if failure.fault is not None:
                        self._gave_up[route] = failure
                    raise
                if self._on_wait:
                    self._on_wait(f"{failure.text}; waiting {pause:.3g} s, then try {attempt + 1}")
                self._sleep(pause)
            else:
                self._throttled = False
                self._breaker.succeeded(route)
                return value

    def _check_allowed(self, route: Route, shown: str, tried: int) -> None:
        """Raise, without sending anything, when the server has blocked us, asked for a longer pause than we wait, or failed too
        often in a row."""
        if self._blocked:
            raise AttemptError(self._blocked, status=403, refused=True).at(shown, tried)
        if self._breaker.stopped(route):
            # Where there is no network, the route that was never used stops with the other.
            raise (self._gave_up.get(route) or next(iter(self._gave_up.values()))).for_unsent(shown)
        if self._resume is None:
            return
        left = self._resume - self._clock()
        if left > MAX_WAIT:
            raise AttemptError("the server asked for a long pause", status=429, pause=left).at(shown, tried)
        self._resume = None
        if left > 0:
            self._sleep(left)

    def _pause(self, route: Route, failure: AttemptError, key: str) -> float | None:
        """Seconds until the next try, or None when there is none: this request, or the server, has used up its tries."""
        if failure.fault is None and not failure.throttled:
            self._breaker.succeeded(route)  # whatever is wrong with the response, the server is there
        if failure.refused:
            return None
        most = min(failure.tries or self._tries, self._tries)
        if failure.no_response and not self._reached:
            most = min(most, MAX_TRIES_UNREACHED)
        if failure.throttled and self._throttled:
            most = min(most, MAX_TRIES_THROTTLED)
        if failure.fault is not None and self._breaker.single_try(route):
            most = 1
        asked = failure.pause
        pause = back_off(failure.attempts - 1, failure.first_pause, key) if asked is None else max(asked, MIN_PAUSE)
        if failure.attempts < most and pause <= MAX_WAIT:
            return pause
        self._throttled = self._throttled or failure.throttled
        if asked is not None:
            self._resume = self._clock() + asked
        return None

    def _send(self, url: str, route: Route) -> _Response:
        """One request and its whole body, within the deadline and the size cap."""
        started = time.monotonic()
        deadline = started + BODY_TIMEOUTS * self._timeout
        self.requests += 1
        try:
            with self._client.stream("GET", url) as response:
                self._reached = True
                self.rate_limiter.read_headers(route, response.headers)
                if response.status_code in (200, 404):
                    return _Response(response.status_code, response.headers, self._body(response, deadline, MAX_BODY))
                return _Response(response.status_code, response.headers, self._error_body(response, deadline))
        except httpx.TransportError as error:
            silent = isinstance(error, httpx.TimeoutException) and not isinstance(error, httpx.ConnectTimeout)
            fault: Fault = "timeout" if silent else "unreachable"
            raise AttemptError(_describe(error, self._timeout), fault=fault) from error
        finally:
            self.seconds += time.monotonic() - started

    def _error_body(self, response: httpx.Response, deadline: float) -> bytes:
        """The body of a failure as far as it can be read; the status alone decides what it means."""
        try:
            return self._body(response, deadline, MAX_ERROR_BODY)
        except (AttemptError, httpx.TransportError) as error:
            return f"its body could not be read: {error}".encode()

    def _body(self, response: httpx.Response, deadline: float, most: int) -> bytes:
        # Not decoded by httpx, which inflates whatever arrives, stacked encodings included, before its size can be limited.
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("", "identity", "gzip", "x-gzip"):
            raise AttemptError(
                f"the answer came in the encoding {encoding!r}, which was not asked for", fault="not JSON"
            )
        inflate = zlib.decompressobj(wbits=31) if "gzip" in encoding else None
        parts: list[bytes] = []
        size = received = 0
        for raw in response.iter_raw():
            self.bytes += len(raw)
            received += len(raw)
            part = raw if inflate is None else _decompress(inflate, raw, most - size + 1)
            size += len(part)
            if max(size, received) > most:
                raise AttemptError(f"the answer is larger than {most / 2**20:g} MB", tries=2, too_large=True)
            if time.monotonic() > deadline:
                text = f"the answer was still coming after {BODY_TIMEOUTS * self._timeout:g} s"
                raise AttemptError(text, fault="timeout")
            parts.append(part)
        if inflate is not None and received and not inflate.eof:
            raise AttemptError("the answer is gzip cut short", fault="not JSON")
        return b"".join(parts)

    def _interpret(self, route: Route, answer: _Response, read: Callable[[Any], T]) -> T | Redirect | None:
        """The value of a response; raises `AttemptError` for a failure."""
        status, headers = answer.status, answer.headers
        if status == 200:
            value = read(responses.parse_message(answer.body))
            self.rate_limiter.ease_back(route)
            return value
        if status in (301, 302, 303, 307, 308) and "location" in headers:
            if route == "single":
                return Redirect(headers["location"])
            where = headers["location"].partition("/works")[0]
            raise AttemptError(f"{status}, the API has moved to {where}: correct its address", refused=True)
        if status == 404 and responses.is_web_page(answer.body):
            text = "404, but a web page: something stands between us and Crossref"
            raise AttemptError(text, status=404, fault="not JSON")
        if status == 404 and route == "single":
            return None
        said = responses.error_text(answer.body)
        if status == 403:
            self._blocked = f"blocked: stop; Crossref answered 403 ({said}). Write to its support before asking again"
            raise AttemptError(self._blocked, status=status, refused=True)
        if status in (408, 425, 429):
            self.rate_limiter.slow_down(route)
            pause = retry_after(headers)
            raise AttemptError(f"{status}, asked to slow down", status=status, pause=pause, first_pause=THROTTLED_PAUSE)
        if 400 <= status < 500:
            raise AttemptError(f"{status}: {said}", status=status, refused=True)
        text = f"{status} ({said})"
        raise AttemptError(text, status=status, pause=retry_after(headers), fault="server error")


def user_agent(mailto: str | None) -> str:
    """The User-Agent that Crossref asks for; nothing in an address can break out of the header."""
    reach = f"; mailto:{quote(mailto, safe='@!#$&*+/=?^_`{|}~.-')}" if mailto else ""
    return f"evidence/{__version__} (living evidence tracker{reach})"


def _address(url: str, params: Params) -> str:
    return f"{url}?{urlencode(params, errors='replace')}" if params else url


def _base(url: str) -> tuple[str, bool]:
    """The address without its last slash, and whether it is this machine's own."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ConfigError(f"{url!r} is no address of a Crossref API; write it like https://api.crossref.org")
    try:
        loopback = parts.hostname == "localhost" or ipaddress.ip_address(parts.hostname).is_loopback
    except ValueError:
        loopback = False
    return url.rstrip("/"), loopback


def _decompress(inflate: zlib._Decompress, raw: bytes, most: int) -> bytes:
    try:
        return b"" if inflate.eof else inflate.decompress(raw, most)
    except zlib.error as error:
        raise AttemptError(f"the answer is damaged gzip ({error})", fault="not JSON") from error


def _describe(error: httpx.TransportError, timeout: float) -> str:
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        return f"no connection within {min(timeout, CONNECT_TIMEOUT):g} s"
    if isinstance(error, httpx.TimeoutException):
        return f"no answer within {timeout:g} s"
    if isinstance(error, httpx.ConnectError | httpx.ProxyError):
        return f"the server cannot be reached ({error})"
    return f"the connection broke ({str(error) or type(error).__name__})"
