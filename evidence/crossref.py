"""Crossref over HTTP: the only door to the network.

The room for asking well and for never mistaking, losing or hiding an answer. One connection, one request at a time,
paced from the response headers (`pacing`). Every request is idempotent: one page, no cursor, no offset. So whatever
fails in a way that may pass is asked again, up to `tries` times, after being classified (`answers` reads the bodies):

| what happened | what is done |
|---|---|
| 404 in Crossref's words | an answer: there is no such record |
| 301 on a DOI | an alias: its target is read by hand, encoded again and asked; at most `HOPS` times |
| 400 and other 4xx | `RejectedError` with Crossref's own message, never retried |
| 403 | `RejectedError`: we are blocked; nothing is retried and this client sends nothing more |
| 429, 408, 425 | retried after `Retry-After` (seconds or date), else after a growing pause; the pace is halved |
| 5xx, JSON or HTML | retried |
| no connection, reset, timeout | retried |
| not JSON, cut short, not the expected shape, an empty page that claims results | retried |
| another work's record | retried, never returned |
| a body without an end (`PATIENCE` timeouts), or over `LARGEST` bytes decoded | retried (too large: once) |

What still fails is an `UnavailableError` that says what happened, where, and what to do. A DOI batch that is refused,
too large or makes the server throw is asked again DOI by DOI first.

May not look inside a record beyond its DOI and the day it was indexed, and may not write anything. `bibliography` and
`count` go through habanero, for single interactive questions; a harvest never does (it has no retry and no pace, and
fetches another work for a DOI with `#` or `?`).
"""

from __future__ import annotations

import ipaddress
import re
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import httpx

from evidence import __version__, answers
from evidence.answers import TroubleError
from evidence.errors import ConfigError
from evidence.model import Doi, Found, Page, Query, Window
from evidence.pacing import LONGEST_WAIT, TOO_MANY_PAUSE, Pace, Route, back_off, retry_after

HOME: Final = "https://api.crossref.org"
SELECT: Final = "DOI,title,subtitle,abstract,container-title,type,issued,score,indexed"
"""The fields a scan asks for: enough to test a search's phrases. `language` and `subtype` cannot be selected."""

BATCH: Final = 50
"""DOIs in one list request: the measured sweet spot (CROSSREF.md §1.2)."""

LONGEST_FILTER: Final = 6000
"""Encoded characters of one DOI filter; servers of Crossref's kind (Jetty) refuse request heads beyond 8 kB."""

LARGEST: Final = 64 * 1024 * 1024
"""Bytes of one decoded answer. A page of 1,000 scan rows is 1–3 MB, 50 whole records mostly below 2 MB."""

LARGEST_REFUSAL: Final = 256 * 1024
"""Bytes read of the body of a failure: only its words are wanted."""

PATIENCE: Final = 3
"""A body may take this many timeouts in all; the timeout itself only limits the wait for its next bytes."""

HOPS: Final = 5
"""How many aliases in a row are followed."""

_FILTERABLE = re.compile(r"10\.[0-9]{4,}/[\x21-\x2b\x2d-\x7e]+(?<!:)", re.ASCII)
"""DOIs the `doi:` filter can carry. The server splits at commas, drops a colon at the end, ends a DOI at white space
and fails on a prefix with further dots (`get-filters` and `extract-long-doi` in Crossref's published source); what it
does to non-ASCII is not known."""

_SPLIT_ON: Final = frozenset({400, 413, 414, 431, 500})
"""Statuses after which a batch is asked DOI by DOI: one of its DOIs, or their number, may be the cause."""

T = TypeVar("T")


class Crossref:
    """A paced, patient client of one Crossref API; a context manager, and a `model.Door`.

    `base_url` points at a mirror or a test server (no proxy is used for a loopback address). `timeout` is seconds for
    a connection and for each wait for bytes. `sleep` and `clock` belong to pacing and pauses; the deadline of a body
    is real time, because a socket is. `on_wait` gets one sentence before each pause that follows a failure.

    Counters: `requests` sent (retries too), body `bytes` as they crossed the wire, `seconds` spent sending and
    receiving (pauses not counted); `pool` as the server last named it, without its suffix.
    """

    name = "crossref"

    def __init__(
        self,
        base_url: str | None = None,
        mailto: str | None = None,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        timeout: float = 60.0,
        tries: int = 5,
        on_wait: Callable[[str], None] | None = None,
    ) -> None:
        self._base, loopback = _base(base_url or HOME)
        self._mailto = mailto
        self._sleep = sleep
        self._timeout = timeout
        self._tries = max(1, tries)
        self._on_wait = on_wait
        self._pace = Pace(sleep, clock)
        self._blocked: str | None = None
        self.requests = 0
        self.bytes = 0
        self.seconds = 0.0
        self._client = httpx.Client(
            headers={"User-Agent": user_agent(mailto), "Accept": "application/json", "Accept-Encoding": "gzip"},
            timeout=httpx.Timeout(timeout),
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=60.0),
            trust_env=not loopback,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection; the counters stay."""
        self._client.close()

    @property
    def pool(self) -> str | None:
        """`polite`, `public` or `plus`, as the last answer that named a pool said."""
        return self._pace.pool

    def lookup(self, dois: Sequence[Doi], since: str | None = None) -> Iterator[tuple[Found, ...]]:
        """Whole records in the order asked, one tuple per 50 DOIs; a DOI given twice is asked once.

        Without `since` every DOI gets exactly one `Found`: `message` None when Crossref has no such record, `answered`
        the DOI of the record that answered (another one for an alias). With `since` (ISO date) only records indexed
        that day or later come back and the rest are left out, so a tuple may be empty; aliases are not followed then,
        save for the few DOIs that no filter can carry.
        """
        asked: dict[str, Doi] = {}
        for doi in dois:
            asked.setdefault(doi.lower(), doi)
        unique = tuple(asked.values())
        for start in range(0, len(unique), BATCH):
            yield self._batch(unique[start : start + BATCH], since)

    def scan(self, query: Query, window: Window | None = None) -> Page:
        """The best `query.rows` records, best first, with the fields of `SELECT` only; one page. `total` is the server's
        word, so a page that holds rows back is never `complete`."""
        filters = [f"{name}:{value}" for name, values in query.filters for value in values]
        if window is not None:
            kind = "pub" if window.by == "published" else "index"
            filters += [f"from-{kind}-date:{window.since}", f"until-{kind}-date:{window.until}"]
        params = {("query" if name == "query" else f"query.{name}"): text for name, text in query.fields}
        if filters:
            params["filter"] = ",".join(filters)
        try:
            return self._list(params | {"rows": str(query.rows), "select": SELECT})
        except TroubleError as trouble:
            trouble.surface()

    def agency(self, doi: Doi) -> str | None:
        """The name of the agency that registered a DOI (`DataCite`, `mEDRA`, `Crossref`, …), or None if none did."""
        found = self._follow(doi, "/agency", answers.agency)
        return None if found is None else found[1]

    def _batch(self, dois: tuple[Doi, ...], since: str | None) -> tuple[Found, ...]:
        found: dict[Doi, Found] = {}
        singly = {doi for doi in dois if not _FILTERABLE.fullmatch(doi)}
        for group in _groups([doi for doi in dois if doi not in singly]):
            if len(group) == 1 and since is None:
                singly.update(group)
                continue
            page = self._many(group, since)
            records = {answers.doi_of(item): item for item in page.items} if page else {}
            for doi in group:
                if doi.lower() in records:
                    found[doi] = Found(doi, Doi(doi.lower()), records[doi.lower()])
            # A page that holds back rows proves nothing about the absent: they are not "unchanged", they are unknown.
            if page is None or since is None or not page.complete:
                singly.update(doi for doi in group if doi not in found)
        for doi in dois:
            if doi in singly:
                one = self._single(doi)
                if since is None or (one.message is not None and answers.indexed_since(one.message, since)):
                    found[doi] = one
        return tuple(found[doi] for doi in dois if doi in found)

    def _many(self, dois: Sequence[Doi], since: str | None) -> Page | None:
        """One answer to many DOIs, or None when they must be asked one by one."""
        filters = [f"doi:{doi}" for doi in dois] + ([f"from-index-date:{since}"] if since else [])
        try:
            return self._list({"filter": ",".join(filters), "rows": str(len(dois))})
        except TroubleError as trouble:
            if trouble.status in _SPLIT_ON or trouble.too_large:
                return None
            trouble.surface()

    def _single(self, doi: Doi) -> Found:
        found = self._follow(doi, "", answers.record)
        return Found(doi, None, None) if found is None else Found(doi, *found)

    def _list(self, params: dict[str, str]) -> Page:
        page = self._settle("list", "/works", params, answers.page)
        if not isinstance(page, Page):
            raise AssertionError("a list is neither moved nor absent: _judge has raised")
        return page

    def _follow(self, doi: Doi, below: str, read: Callable[[str, Any], T]) -> tuple[Doi, T] | None:
        """Asks `/works/{doi}{below}`, going by hand where aliases point: the DOI that answered and what it said."""
        way = [doi.lower()]
        try:
            while True:
                path = f"/works/{quote(way[-1], safe='')}{below}"
                answer = self._settle("single", path, {}, partial(read, way[-1]))
                if not isinstance(answer, _Moved):
                    return None if answer is None else (Doi(way[-1]), answer)
                way.append(answers.target(answer.location, below))
                if way[-1] in way[:-1] or len(way) > HOPS + 1:
                    trail = " → ".join(way)
                    moved = "" if answer.location.startswith("/") else "; has the address of the API itself moved?"
                    raise TroubleError(f"sent on without an end: {trail}{moved}").at(self._base + path, len(way) - 1)
        except TroubleError as trouble:
            trouble.surface()

    def _settle(self, route: Route, path: str, params: dict[str, str], read: Callable[[Any], T]) -> T | _Moved | None:
        """Asks until there is an answer: what `read` makes of the message, where it moved, or None for a 404."""
        # The address in errors leaves out the user's e-mail: errors are kept in the database and may be published.
        shown = self._base + path + ("?" + urlencode(params) if params else "")
        url = self._base + path + "?" + urlencode(params | ({"mailto": self._mailto} if self._mailto else {}))
        attempt = 0
        while True:
            if self._blocked:
                raise TroubleError(self._blocked, status=403, refused=True).at(shown, attempt)
            self._pace.wait(route)
            try:
                return self._judge(route, self._once(url.removesuffix("?"), route), read)
            except TroubleError as trouble:
                attempt += 1
                pause = trouble.pause if trouble.pause is not None else back_off(attempt - 1, trouble.first, url)
                if attempt >= min(trouble.tries or self._tries, self._tries) or pause > LONGEST_WAIT:
                    trouble.at(shown, attempt)
                    raise
                if self._on_wait:
                    self._on_wait(f"{trouble.text}; waiting {pause:.3g} s, then try {attempt + 1} of {self._tries}")
            self._sleep(pause)

    def _once(self, url: str, route: Route) -> _Answer:
        """One request and its whole body, within the deadline and the size cap."""
        started = time.monotonic()
        deadline = started + PATIENCE * self._timeout
        self.requests += 1
        try:
            with self._client.stream("GET", url) as response:
                self._pace.learn(route, response.headers)
                if response.status_code in (200, 404):
                    return _Answer(response.status_code, response.headers, self._body(response, deadline, LARGEST))
                return _Answer(response.status_code, response.headers, self._words(response, deadline))
        except httpx.TransportError as error:
            raise TroubleError(_wording(error, self._timeout), unreached=True) from error
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
            raise TroubleError(f"the answer came in the encoding {encoding!r}, which was not asked for")
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
                raise TroubleError(f"the answer was still coming after {PATIENCE * self._timeout:g} s")
            parts.append(part)
        if inflate is not None and wire and not inflate.eof:
            raise TroubleError("the answer is gzip cut short")
        return b"".join(parts)

    def _judge(self, route: Route, answer: _Answer, read: Callable[[Any], T]) -> T | _Moved | None:
        """What an answer means; raises `TroubleError` for everything that is none."""
        status, headers = answer.status, answer.headers
        if status == 200:
            value = read(answers.message(answer.body))
            self._pace.answered(route)
            return value
        if status in (301, 302, 303, 307, 308) and "location" in headers:
            if route == "single":
                return _Moved(headers["location"])
            where = headers["location"].partition("/works")[0]
            raise TroubleError(f"{status}, the API has moved to {where}: correct its address", refused=True)
        if status == 404:
            if route == "single" and not answers.is_page(answer.body):
                return None
            raise TroubleError("404, but not in Crossref's words: is this address a Crossref API?", status=404)
        said = answers.said(answer.body)
        if status == 403:
            self._blocked = f"blocked: stop; Crossref answered 403 ({said}). Write to its support before asking again"
            raise TroubleError(self._blocked, status=status, refused=True)
        if status in (408, 425, 429):
            self._pace.refused(route)
            pause = retry_after(headers)
            raise TroubleError(f"{status}, asked to slow down", status=status, pause=pause, first=TOO_MANY_PAUSE)
        if 400 <= status < 500:
            raise TroubleError(f"{status}: {said}", status=status, refused=True)
        raise TroubleError(f"{status} ({said})", status=status, pause=retry_after(headers))


def user_agent(mailto: str | None) -> str:
    """Who is asking, as Crossref wants it; nothing in an address can break out of the header."""
    reach = f"; mailto:{quote(mailto, safe='@!#$&*+/=?^_`{|}~.-')}" if mailto else ""
    return f"evidence/{__version__} (living evidence tracker{reach})"


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: httpx.Headers
    body: bytes


@dataclass(frozen=True, slots=True)
class _Moved:
    location: str


def _base(url: str) -> tuple[str, bool]:
    """The address without its last slash, and whether it is this machine's own."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ConfigError(f"{url!r} is no address of a Crossref API; write it like {HOME}")
    try:
        loopback = parts.hostname == "localhost" or ipaddress.ip_address(parts.hostname).is_loopback
    except ValueError:
        loopback = False
    return url.rstrip("/"), loopback


def _groups(dois: Sequence[Doi]) -> Iterator[list[Doi]]:
    """The DOIs in order, cut where their filter would make the request line too long."""
    group: list[Doi] = []
    length = 0
    for doi in dois:
        cost = len(quote(f"doi:{doi},", safe=""))
        if group and length + cost > LONGEST_FILTER:
            yield group
            group, length = [], 0
        group.append(doi)
        length += cost
    if group:
        yield group


def _inflated(inflate: zlib._Decompress, raw: bytes, most: int) -> bytes:
    try:
        return b"" if inflate.eof else inflate.decompress(raw, most)
    except zlib.error as error:
        raise TroubleError(f"the answer is damaged gzip ({error})") from error


def _wording(error: httpx.TransportError, timeout: float) -> str:
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        return f"no connection within {timeout:g} s"
    if isinstance(error, httpx.TimeoutException):
        return f"no answer within {timeout:g} s"
    if isinstance(error, httpx.ConnectError | httpx.ProxyError):
        return f"the server cannot be reached ({error})"
    return f"the connection broke ({str(error) or type(error).__name__})"
