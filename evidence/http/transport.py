"""Sends one request at a time to one service, retrying transient failures.

The only module that sends bytes: one `httpx.Client`, one connection, under `rate_limit`. A `Service` describes who is asked.
Every request is idempotent (it reads, by GET or by POST with a form), so a failure that may pass is retried, up to `tries`
times; the client gives the function that reads a body:

| what happened | what is done |
|---|---|
| 404 from the service, on one of its `absent_routes` | an answer: there is no such record |
| 301 on one of its `redirect_routes` | returned as `Redirect`: the client decides whether to follow |
| 400 and other 4xx | refused, with the service's message; never retried |
| 403 (or what the service answers instead) | refused: we are blocked; not retried, and nothing more is sent |
| 429, 408, 425 | retried after `Retry-After` (seconds or date), else after a growing pause; the rate is halved |
| 5xx, JSON or HTML | retried, `Retry-After` honoured |
| no connection, reset, timeout | retried |
| unreadable, cut short, not the expected shape, another work's record, an empty page where works match | retried |
| a page with fewer works than are due | retried once; the failure keeps the page |
| a body that does not end (`BODY_TIMEOUTS` timeouts), or over `MAX_BODY` bytes decoded | retried (too large: once) |

A server that has never answered gets `MAX_TRIES_UNREACHED` tries. When all tries of one request have met a server fault (no
connection, timeout, 5xx, unreadable), `rate_limit.CircuitBreaker` allows each later request one try until one succeeds; after
three failed requests in a row no more are sent. After a request failed with 429, later ones get `MAX_TRIES_THROTTLED`.
A `Retry-After` of more than `MAX_WAIT` seconds is not waited for: this request and those after it fail with that `pause`, and
nothing more is sent until it is over.

Every failure is an `AttemptError`; the client decides whether there is another way before it becomes a `SourceError` or an
answer. `private_params` (e-mail address, key) are sent, but no error and no log shows them. May not know what a DOI or a
search is.
"""

from __future__ import annotations

import ipaddress
import logging
import ssl
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Final, TypeVar
from urllib.parse import quote, quote_plus, urlencode, urlsplit

import httpx

from evidence import __version__
from evidence.errors import ConfigError
from evidence.http.failures import MAX_WAIT, AttemptError, Fault
from evidence.http.json_body import error_text, is_web_page
from evidence.http.rate_limit import (
    FIRST_PAUSE,
    MIN_PAUSE,
    THROTTLED_PAUSE,
    CircuitBreaker,
    RateLimiter,
    back_off,
    retry_after,
)

MAX_BODY: Final = 64 * 1024 * 1024
"""Bytes of one decoded response. A page of 1,000 scan rows of Crossref is 1–3 MB, 50 whole records mostly below 2 MB."""

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

HIDDEN: Final = "…"
"""What stands in an error in place of a private parameter."""

Params = Sequence[tuple[str, str]]
T = TypeVar("T")

# Both log whole addresses, keys included, for whoever turns logging on.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class Service:
    """A service as the transport needs to know it.

    `name` is used in messages; `url` is its address unless a client is given another. `intervals`: route → seconds between
    requests; a route is a name that the client chooses for requests that are limited, and fail, together. On `absent_routes` a
    404 that is no web page is an answer (None); on `redirect_routes` a redirect is one (`Redirect`). `private_params` are added
    to every request (to its form where it has one) and shown nowhere. `announces_rate`: the `x-rate-limit-…` headers say how
    fast to ask, not how much is left of a quota. After a status of `blocked_by` nothing more is sent; `when_blocked` says what to
    do then.
    """

    name: str
    url: str
    intervals: Mapping[str, float]
    absent_routes: frozenset[str] = frozenset()
    redirect_routes: frozenset[str] = frozenset()
    accept: str = "application/json"
    private_params: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    announces_rate: bool = False
    blocked_by: frozenset[int] = frozenset({403})
    when_blocked: str = "Write to its support before asking again"


@dataclass(frozen=True, slots=True)
class Redirect:
    """A redirect, its `Location` as sent."""

    location: str


@dataclass(frozen=True, slots=True)
class _Response:
    status: int
    headers: httpx.Headers
    body: bytes


class Transport:
    """The connection to one service, with rate limit and retries. `requests` sent (retries too), body `bytes` received
    (compressed), `seconds` spent sending and receiving (without pauses).

    `base_url` points at a mirror or a test server (no proxy is used for a loopback address). `mailto` goes into the User-Agent.
    `timeout` is seconds for a connection and for each wait for bytes. `sleep` and `clock` are those of rate limit and pauses;
    the deadline of a body is real time, because a socket is. `on_wait` gets one sentence before each pause that follows a
    failure. ConfigError for an address that is none.
    """

    def __init__(
        self,
        service: Service,
        base_url: str | None = None,
        mailto: str | None = None,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        timeout: float = 60.0,
        tries: int = 5,
        on_wait: Callable[[str], None] | None = None,
    ) -> None:
        self.service = service
        self.base, loopback = _base(base_url or service.url, service)
        self.rate_limiter = RateLimiter(sleep, clock, service.intervals, announced=service.announces_rate)
        self.requests = 0
        self.bytes = 0
        self.seconds = 0.0
        self._secrets = _spellings((*service.private_params, ("mailto", mailto or "")))
        self._sleep = sleep
        self._timeout = timeout
        self._tries = tries
        self._on_wait = on_wait
        self._clock = clock
        self._blocked: str | None = None
        self._resume: float | None = None
        self._reached = False
        self._throttled = False
        self._breaker = CircuitBreaker(service.intervals)
        self._gave_up: dict[str, AttemptError] = {}
        self._client = httpx.Client(
            headers={"User-Agent": user_agent(mailto), "Accept": service.accept, "Accept-Encoding": "gzip"},
            timeout=httpx.Timeout(timeout, connect=min(timeout, CONNECT_TIMEOUT)),
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=60.0),
            trust_env=not loopback,
            # Loading the trusted certificates takes 20–40 ms; a plain address on this machine needs none of them.
            verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if loopback and self.base.startswith("http:") else True,
        )

    def close(self) -> None:
        """Close the connection; the counters stay."""
        self._client.close()

    def request(
        self, route: str, path: str, params: Params, read: Callable[[bytes], T], form: Params | None = None
    ) -> T | Redirect | None:
        """Request until there is a response: what `read` makes of the body of a 200, a redirect, or None for a 404.

        GET, or POST where there is a `form`. `path` is percent-encoded already; `read` raises `AttemptError` for a body that is
        no valid response.
        """
        # The address in errors leaves out e-mail address and key: errors are kept in the database and may be published.
        shown = _address(self.base + path, (*params, *(form or ())))
        private = self.service.private_params
        if form is None:
            url, content = _address(self.base + path, (*params, *private)), None
        else:
            url, content = _address(self.base + path, params), _encoded((*form, *private))
        key = url if content is None else f"{url} {content}"
        attempt = 0
        faults: list[Fault | None] = []
        while True:
            self._check_allowed(route, shown, attempt)
            self.rate_limiter.wait(route)
            try:
                value = self._interpret(route, path, self._send(url, content, route), read)
            except AttemptError as failure:
                attempt += 1
                faults.append(failure.fault)
                failure.say(self._without_secrets(failure.text))
                pause = self._pause(route, failure.at(shown, attempt), key)
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

    def _without_secrets(self, text: str) -> str:
        """A text without the values of private parameters, which a server may repeat."""
        for value in self._secrets:
            text = text.replace(value, HIDDEN)
        return text

    def _check_allowed(self, route: str, shown: str, tried: int) -> None:
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

    def _pause(self, route: str, failure: AttemptError, key: str) -> float | None:
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
        first = FIRST_PAUSE if failure.first_pause is None else failure.first_pause
        pause = back_off(failure.attempts - 1, first, key) if asked is None else max(asked, MIN_PAUSE)
        if failure.attempts < most and pause <= MAX_WAIT:
            return pause
        self._throttled = self._throttled or failure.throttled
        if asked is not None:
            self._resume = self._clock() + asked
        return None

    def _send(self, url: str, content: str | None, route: str) -> _Response:
        """One request and its whole body, within the deadline and the size cap."""
        started = time.monotonic()
        deadline = started + BODY_TIMEOUTS * self._timeout
        self.requests += 1
        try:
            with self._stream(url, content) as response:
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

    def _stream(self, url: str, content: str | None) -> AbstractContextManager[httpx.Response]:
        if content is None:
            return self._client.stream("GET", url)
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._client.stream("POST", url, content=content, headers=kind)

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
                f"the answer came in the encoding {encoding!r}, which was not asked for", fault="unreadable"
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
            raise AttemptError("the answer is gzip cut short", fault="unreadable")
        return b"".join(parts)

    def _interpret(self, route: str, path: str, answer: _Response, read: Callable[[bytes], T]) -> T | Redirect | None:
        """The value of a response; raises `AttemptError` for a failure."""
        service, status, headers = self.service, answer.status, answer.headers
        if status == 200:
            value = read(answer.body)
            self.rate_limiter.ease_back(route)
            return value
        if status in (301, 302, 303, 307, 308) and "location" in headers:
            if route in service.redirect_routes:
                return Redirect(headers["location"])
            where = headers["location"].partition("?")[0].partition(path or "?")[0]
            raise AttemptError(f"{status}, the API has moved to {where}: correct its address", refused=True)
        if status == 404 and is_web_page(answer.body, xml="xml" in service.accept):
            text = f"404, but a web page: something stands between us and {service.name}"
            raise AttemptError(text, status=404, fault="unreadable")
        if status == 404 and route in service.absent_routes:
            return None
        said = self._without_secrets(error_text(answer.body))
        if status in service.blocked_by:
            self._blocked = f"blocked: stop; {service.name} answered {status} ({said}). {service.when_blocked}"
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
    """The User-Agent that Crossref and others ask for; nothing in an address can break out of the header."""
    reach = f"; mailto:{quote(mailto, safe='@!#$&*+/=?^_`{|}~.-')}" if mailto else ""
    return f"evidence/{__version__} (living evidence tracker{reach})"


def _address(url: str, params: Params) -> str:
    return f"{url}?{_encoded(params)}" if params else url


def _encoded(params: Params) -> str:
    return urlencode(params, errors="replace")


def _spellings(params: Params) -> tuple[str, ...]:
    """The values of these parameters as they may stand in a message or an address, the longest first."""
    values = {write(value) for _, value in params if value for write in (str, quote, quote_plus, _fully_quoted)}
    return tuple(sorted(values, key=lambda value: (-len(value), value)))


def _fully_quoted(value: str) -> str:
    return quote(value, safe="")


def _base(url: str, service: Service) -> tuple[str, bool]:
    """The address without its last slash, and whether it is this machine's own."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ConfigError(f"{url!r} is no address of a {service.name} API; write it like {service.url}")
    try:
        loopback = parts.hostname == "localhost" or ipaddress.ip_address(parts.hostname).is_loopback
    except ValueError:
        loopback = False
    return url.rstrip("/"), loopback


def _decompress(inflate: zlib._Decompress, raw: bytes, most: int) -> bytes:
    try:
        return b"" if inflate.eof else inflate.decompress(raw, most)
    except zlib.error as error:
        raise AttemptError(f"the answer is damaged gzip ({error})", fault="unreadable") from error


def _describe(error: httpx.TransportError, timeout: float) -> str:
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        return f"no connection within {min(timeout, CONNECT_TIMEOUT):g} s"
    if isinstance(error, httpx.TimeoutException):
        return f"no answer within {timeout:g} s"
    if isinstance(error, httpx.ConnectError | httpx.ProxyError):
        return f"the server cannot be reached ({error})"
    return f"the connection broke ({str(error) or type(error).__name__})"
