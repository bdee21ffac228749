"""One question to one server, asked until there is an answer or no hope of one.

The only room that sends bytes: one `httpx.Client`, one connection, one request at a time, paced by `pacing`. Every
question is idempotent (one page, no cursor, no offset), so whatever fails in a way that may pass is asked again, up to
`tries` times, after being classified; `answers` reads the bodies:

| what happened | what is done |
|---|---|
| 404 in Crossref's words | an answer: there is no such record |
| 301 on a single work | handed back: an alias, to be followed by hand |
| 400 and other 4xx | refused, with Crossref's own message; never retried |
| 403 | refused: we are blocked; nothing is retried and nothing more is ever sent |
| 429, 408, 425 | retried after `Retry-After` (seconds or date), else after a growing pause; the pace is halved |
| 5xx, JSON or HTML | retried, `Retry-After` honoured |
| no connection, reset, timeout | retried |
| not JSON, cut short, not the expected shape, another work's record, an empty page where works match | retried |
| a page with fewer works than are due | retried once; what it holds is kept in the failure |
| a body without an end (`PATIENCE` timeouts), or over `LARGEST` bytes decoded | retried (too large: once) |

A server that has never answered gets `TRIES_UNSEEN` tries. When the tries of one question have all met a fault of the server
(no connection, silence, 5xx, no JSON), `pacing.Breaker` lets each later question be tried once until one is answered, and after
three given up in a row none is asked any more. After a 429 was given up, later questions get `TRIES_HURRIED`.
Every failure is a `TroubleError`; `crossref` decides whether there is another way to ask before it becomes a `SourceError`.
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
    LONGEST_WAIT,
    SHORTEST_PAUSE,
    TOO_MANY_PAUSE,
    Breaker,
    Fault,
    Pace,
    Route,
    back_off,
    retry_after,
)
from evidence.crossref.responses import TroubleError
from evidence.errors import ConfigError

LARGEST: Final = 64 * 1024 * 1024
"""Bytes of one decoded answer. A page of 1,000 scan rows is 1–3 MB, 50 whole records mostly below 2 MB."""

LARGEST_REFUSAL: Final = 256 * 1024
"""Bytes read of the body of a failure: only its words are wanted."""

PATIENCE: Final = 3
"""A body may take this many timeouts in all; the timeout itself only limits the wait for its next bytes."""

TRIES_UNSEEN: Final = 3
"""Tries for a server that has never answered this client: most likely there is no network, and somebody is waiting."""

TRIES_HURRIED: Final = 2
"""Tries for the questions after one was given up because the server asked to slow down, until it answers again."""

CONNECTING: Final = 10.0
"""Seconds for a connection to come about: a host behind a wall that swallows packets is found out by then."""

Params = Sequence[tuple[str, str]]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Moved:
    """A redirect on a single work, its `Location` as sent."""

    location: str


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: httpx.Headers
    body: bytes


class Wire:
    """The connection and its manners. `requests` sent (retries too), body `bytes` as they crossed the wire, `seconds`
    spent sending and receiving (pauses not counted)."""

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
        self.pace = Pace(sleep, clock)
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
        self._hurried = False
        self._breaker = Breaker()
        self._gave_up: dict[Route, TroubleError] = {}
        self._client = httpx.Client(
            headers={"User-Agent": user_agent(mailto), "Accept": "application/json", "Accept-Encoding": "gzip"},
            timeout=httpx.Timeout(timeout, connect=min(timeout, CONNECTING)),
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=60.0),
            trust_env=not loopback,
            # Loading the trusted certificates takes 20–40 ms; a plain address on this machine needs none of them.
            verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if loopback and self.base.startswith("http:") else True,
        )

    def close(self) -> None:
        """Closes the connection; the counters stay."""
        self._client.close()

    def ask(self, route: Route, path: str, params: Params, read: Callable[[Any], T]) -> T | Moved | None:
        """Asks until there is an answer: what `read` makes of the message, where it moved, or None for a 404.

        `path` is percent-encoded already; `read` raises `TroubleError` for a message it cannot take for an answer.
        """
        # The address in errors leaves out the user's e-mail: errors are kept in the database and may be published.
        shown = _address(self.base + path, params)
        url = _address(self.base + path, (*params, ("mailto", self._mailto)) if self._mailto else params)
        attempt = 0
        faults: list[Fault | None] = []
        while True:
            self._may_ask(route, shown, attempt)
            self.pace.wait(route)
            try:
                value = self._judge(route, self._once(url, route), read)
            except TroubleError as trouble:
                attempt += 1
                faults.append(trouble.fault)
                pause = self._pause(route, trouble.at(shown, attempt), url)
                if pause is None:
                    self._breaker.gave_up(route, faults)
                    if trouble.fault is not None:
                        self._gave_up[route] = trouble
                    raise
                if self._on_wait:
                    self._on_wait(f"{trouble.text}; waiting {pause:.3g} s, then try {attempt + 1}")
                self._sleep(pause)
            else:
                self._hurried = False
                self._breaker.answered(route)
                return value

    def _may_ask(self, route: Route, shown: str, tried: int) -> None:
        """Raises, without sending anything, when the server has forbidden it for good or for longer than we wait, or has failed
        too often in a row."""
        if self._blocked:
            raise TroubleError(self._blocked, status=403, refused=True).at(shown, tried)
        if self._breaker.stopped(route):
            # Where there is no network, the class that was never asked stops with the other.
            raise (self._gave_up.get(route) or next(iter(self._gave_up.values()))).unasked(shown)
        if self._resume is None:
            return
        left = self._resume - self._clock()
        if left > LONGEST_WAIT:
            raise TroubleError("the server asked for a long pause", status=429, pause=left).at(shown, tried)
        self._resume = None
        if left > 0:
            self._sleep(left)

    def _pause(self, route: Route, trouble: TroubleError, key: str) -> float | None:
        """Seconds until the next try, or None when there is none: the question has had its tries, or the server has."""
        if trouble.fault is None and not trouble.hurried:
            self._breaker.answered(route)  # whatever is wrong with the answer, the server is there
        if trouble.refused:
            return None
        most = min(trouble.tries or self._tries, self._tries)
        if trouble.unreached and not self._reached:
            most = min(most, TRIES_UNSEEN)
        if trouble.hurried and self._hurried:
            most = min(most, TRIES_HURRIED)
        if trouble.fault is not None and self._breaker.once(route):
            most = 1
        asked = trouble.pause
        pause = back_off(trouble.tried - 1, trouble.first, key) if asked is None else max(asked, SHORTEST_PAUSE)
        if trouble.tried < most and pause <= LONGEST_WAIT:
            return pause
        self._hurried = self._hurried or trouble.hurried
        if asked is not None:
            self._resume = self._clock() + asked
        return None

    def _once(self, url: str, route: Route) -> _Answer:
        """One request and its whole body, within the deadline and the size cap."""
        started = time.monotonic()
        deadline = started + PATIENCE * self._timeout
        self.requests += 1
        try:
            with self._client.stream("GET", url) as response:
                self._reached = True
                self.pace.learn(route, response.headers)
                if response.status_code in (200, 404):
                    return _Answer(response.status_code, response.headers, self._body(response, deadline, LARGEST))
                return _Answer(response.status_code, response.headers, self._words(response, deadline))
        except httpx.TransportError as error:
            silent = isinstance(error, httpx.TimeoutException) and not isinstance(error, httpx.ConnectTimeout)
            fault: Fault = "timeout" if silent else "unreachable"
            raise TroubleError(_wording(error, self._timeout), fault=fault) from error
        finally:
            self.seconds += time.monotonic() - started

    def _words(self, response: httpx.Response, deadline: float) -> bytes:
        """The body of a failure as far as it can be read: the status has decided already, the words are a courtesy."""
        try:
            return self._body(response, deadline, LARGEST_REFUSAL)
        except (TroubleError, httpx.TransportError) as error:
            return f"its words could not be read: {error}".encode()

    def _body(self, response: httpx.Response, deadline: float, most: int) -> bytes:
        # Not decoded by httpx: it inflates whatever arrives, stacked encodings included, before anyone can count.
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("", "identity", "gzip", "x-gzip"):
            raise TroubleError(
                f"the answer came in the encoding {encoding!r}, which was not asked for", fault="not JSON"
            )
        inflate = zlib.decompressobj(wbits=31) if "gzip" in encoding else None
        parts: list[bytes] = []
        size = wire = 0
        for raw in response.iter_raw():
            self.bytes += len(raw)
            wire += len(raw)
            part = raw if inflate is None else _inflated(inflate, raw, most - size + 1)
            size += len(part)
            if max(size, wire) > most:
                raise TroubleError(f"the answer is larger than {most / 2**20:g} MB", tries=2, too_large=True)
            if time.monotonic() > deadline:
                text = f"the answer was still coming after {PATIENCE * self._timeout:g} s"
                raise TroubleError(text, fault="timeout")
            parts.append(part)
        if inflate is not None and wire and not inflate.eof:
            raise TroubleError("the answer is gzip cut short", fault="not JSON")
        return b"".join(parts)

    def _judge(self, route: Route, answer: _Answer, read: Callable[[Any], T]) -> T | Moved | None:
        """What an answer means; raises `TroubleError` for everything that is none."""
        status, headers = answer.status, answer.headers
        if status == 200:
            value = read(responses.message(answer.body))
            self.pace.answered(route)
            return value
        if status in (301, 302, 303, 307, 308) and "location" in headers:
            if route == "single":
                return Moved(headers["location"])
            where = headers["location"].partition("/works")[0]
            raise TroubleError(f"{status}, the API has moved to {where}: correct its address", refused=True)
        if status == 404 and responses.is_page(answer.body):
            text = "404, but a web page: something stands between us and Crossref"
            raise TroubleError(text, status=404, fault="not JSON")
        if status == 404 and route == "single":
            return None
        said = responses.said(answer.body)
        if status == 403:
            self._blocked = f"blocked: stop; Crossref answered 403 ({said}). Write to its support before asking again"
            raise TroubleError(self._blocked, status=status, refused=True)
        if status in (408, 425, 429):
            self.pace.refused(route)
            pause = retry_after(headers)
            raise TroubleError(f"{status}, asked to slow down", status=status, pause=pause, first=TOO_MANY_PAUSE)
        if 400 <= status < 500:
            raise TroubleError(f"{status}: {said}", status=status, refused=True)
        text = f"{status} ({said})"
        raise TroubleError(text, status=status, pause=retry_after(headers), fault="server error")


def user_agent(mailto: str | None) -> str:
    """Who is asking, as Crossref wants it; nothing in an address can break out of the header."""
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


def _inflated(inflate: zlib._Decompress, raw: bytes, most: int) -> bytes:
    try:
        return b"" if inflate.eof else inflate.decompress(raw, most)
    except zlib.error as error:
        raise TroubleError(f"the answer is damaged gzip ({error})", fault="not JSON") from error


def _wording(error: httpx.TransportError, timeout: float) -> str:
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        return f"no connection within {min(timeout, CONNECTING):g} s"
    if isinstance(error, httpx.TimeoutException):
        return f"no answer within {timeout:g} s"
    if isinstance(error, httpx.ConnectError | httpx.ProxyError):
        return f"the server cannot be reached ({error})"
    return f"the connection broke ({str(error) or type(error).__name__})"
