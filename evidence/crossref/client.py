"""Crossref over HTTP: the only way to the network.

The room for asking the right question and for never mistaking, losing or hiding an answer. Three rooms below do the
rest: `wire` sends, retries and classifies; `pacing` waits; `answers` reads. Every question is idempotent: one page, by
offset; no cursor.

* A DOI goes into a batch where a filter can carry it, else into a path of its own, every character encoded. The
  record's DOI must be the question's, or the question's DOI one of its aliases; another work's record is never returned.
* Whether known works still stand as we hold them is asked lightly, a hundred in one request (`check`); a DOI that is left
  out of its answer is nothing but a question, to be asked by itself.
* A DOI that a batch did not return is asked by itself: it may be an alias, whose 301 is read by hand, encoded again and
  asked, at most `HOPS` times; or it is in nobody's records, which is an answer (404).
* A batch that is refused, too large or makes the server throw is asked again DOI by DOI before it counts as failed.

What fails for good is a `RejectedError` or an `UnavailableError` that says what happened, where, and what to do.

May not look inside a record beyond its DOI, its aliases, the day it was indexed and how often it is cited, and may not
write anything. `bibliography` and
`count` go through habanero, for single interactive questions; a harvest never does (it has no retry and no pace, and
fetches another work for a DOI with `#` or `?`).
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote

from evidence import doi as spelling
from evidence.crossref import responses
from evidence.crossref.normalise import cited_by, indexed_at
from evidence.crossref.responses import TroubleError
from evidence.crossref.transport import Moved, Params, Wire
from evidence.errors import RejectedError, UnavailableError
from evidence.model import Doi, LookupResult, Page, Query, RecordStatus, Window

HOME: Final = "https://api.crossref.org"
RESOLVER: Final = "https://doi.org"
"""Where formatted citations come from: it sends a DOI on to the agency that registered it."""

SELECT: Final = (
    "DOI,title,subtitle,abstract,container-title,type,score,indexed,created,"
    "issued,published,published-print,published-online,posted,content-created"
)
"""The fields a scan asks for: enough to test a search's phrases and years. `language`, `subtype` and `published-other`
cannot be selected."""

LIGHT: Final = "DOI,indexed,is-referenced-by-count"
"""The fields a light check asks for. Which aliases a record has cannot be selected."""

LIGHT_BATCH: Final = 100
"""DOIs in one light check; `LONGEST_FILTER` may allow fewer."""

BATCH: Final = 50
"""DOIs in one list request: the measured sweet spot (CROSSREF.md §1.2)."""

LONGEST_FILTER: Final = 6000
"""Encoded characters of one DOI filter; servers of Crossref's kind (Jetty) refuse request heads beyond 8 kB."""

HOPS: Final = 5
"""How many aliases in a row are followed."""

INTERACTIVE: Final = 30.0
"""Seconds a person waits for `count` or `bibliography`; habanero's own 5 are too few for Crossref."""

_FILTERABLE = re.compile(r"10\.[0-9]{4,}/[\x21-\x2b\x2d-\x7e]+(?<!:)", re.ASCII)
"""DOIs the `doi:` filter can carry. The server splits at commas, drops a colon at the end, ends a DOI at white space
and fails on a prefix with further dots (`get-filters` and `extract-long-doi` in Crossref's published source); what it
does to non-ASCII is not known."""

_SPLIT_ON: Final = frozenset({400, 413, 414, 431, 500})
"""Statuses after which a batch is asked DOI by DOI: one of its DOIs, or their number, may be the cause."""

T = TypeVar("T")


class CrossrefClient:
    """A paced, patient client of one Crossref API; a context manager, and a `model.RecordSource`.

    `base_url` points at a mirror or a test server (no proxy is used for a loopback address). `mailto` is sent with every
    request, for the polite pool. `timeout` is seconds for a connection and for each wait for bytes. `sleep` and `clock`
    belong to pacing and pauses; the deadline of a body is real time, because a socket is. `on_wait` gets one sentence
    before each pause that follows a failure.
    """

    name = "crossref"
    authoritative = True

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
        self._wire = Wire(
            base_url or HOME, mailto, sleep=sleep, clock=clock, timeout=timeout, tries=tries, on_wait=on_wait
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection; the counters stay."""
        self._wire.close()

    @property
    def requests(self) -> int:
        """Requests sent so far, retries too."""
        return self._wire.requests

    @property
    def bytes(self) -> int:
        """Bytes of answers received so far, as they crossed the wire (compressed)."""
        return self._wire.bytes

    @property
    def seconds(self) -> float:
        """Seconds spent sending and receiving so far; pauses are not counted."""
        return self._wire.seconds

    @property
    def date(self) -> datetime | None:
        """See `model.RecordSource.date`: the `Date` of the first answer."""
        return self._wire.pace.date

    @property
    def pool(self) -> str | None:
        """`polite`, `public` or `plus`, as the last answer that named a pool said."""
        return self._wire.pace.pool

    def lookup(self, dois: Sequence[Doi], since: str | None = None) -> Iterator[tuple[LookupResult, ...]]:
        """Whole records in the order asked, one tuple per 50 DOIs; a DOI given twice is asked once.

        Without `since` every DOI gets exactly one `LookupResult`: `message` None when Crossref has no such record, `record_doi`
        the DOI of the record (another one for an alias). With `since` (ISO date) only records indexed
        that day or later come back and the rest are left out, so a tuple may be empty; aliases are not followed then,
        save for the few DOIs that no filter can carry.
        """
        asked: dict[str, Doi] = {}
        for doi in dois:
            asked.setdefault(spelling.lower(doi), doi)
        unique = tuple(asked.values())
        for start in range(0, len(unique), BATCH):
            yield self._batch(unique[start : start + BATCH], since)

    def check(self, dois: Sequence[Doi]) -> Iterator[tuple[RecordStatus, ...]]:
        """What Crossref's list says of these DOIs, one request for each tuple: a hundred DOIs, fewer where they are long.

        A DOI is left out when no filter can carry it, when the list does not have it (it may be an alias or gone), when its
        row is held back, or when the request is refused for one DOI of it: absence proves nothing here.
        """
        wanted = [doi for doi in dict.fromkeys(map(spelling.lower, dois)) if _FILTERABLE.fullmatch(doi)]
        for group in _groups(wanted, LIGHT_BATCH):
            page = self._many(group, None, LIGHT)
            rows = {responses.doi_of(item): item for item in page.items} if page else {}
            yield tuple(RecordStatus(doi, indexed_at(rows[doi]), cited_by(rows[doi])) for doi in group if doi in rows)

    def scan(self, query: Query, window: Window | None = None, offset: int = 0, *, by_creation: bool = False) -> Page:
        """`query.rows` records after the first `offset`, with the fields of `SELECT` only: best first, or `by_creation`
        oldest first. One page; `total` is the server's word, so a page that holds rows back, even one shorter than it
        should be, is never `complete`."""
        filters = [f"{name}:{value}" for name, values in query.filters for value in values] + _limits(window)
        params = [("query" if name == "query" else f"query.{name}", text) for name, text in query.fields]
        if filters:
            params.append(("filter", ",".join(filters)))
        if offset:
            params.append(("offset", str(offset)))
        if by_creation:
            params += [("sort", "created"), ("order", "asc")]
        try:
            return self._list([*params, ("rows", str(query.rows)), ("select", SELECT)], query.rows, offset)
        except TroubleError as trouble:
            if trouble.page is not None:
                return trouble.page
            trouble.surface()

    def agency(self, doi: Doi) -> str | None:
        """The name of the agency that registered a DOI (`DataCite`, `mEDRA`, `Crossref`, …), or None if none did."""
        return self._follow(doi, "/agency", responses.agency)

    def _batch(self, dois: tuple[Doi, ...], since: str | None) -> tuple[LookupResult, ...]:
        found: dict[Doi, LookupResult] = {}
        singly = {doi for doi in dois if not _FILTERABLE.fullmatch(doi)}
        for group in _groups([doi for doi in dois if doi not in singly]):
            if len(group) == 1 and since is None:
                singly.update(group)
                continue
            page = self._many(group, since)
            records = {responses.doi_of(item): item for item in page.items} if page else {}
            for doi in group:
                if (answered := spelling.lower(doi)) in records:
                    found[doi] = LookupResult(doi, answered, records[answered])
            # A page that holds rows back, or others' rows, proves nothing about the absent: they are not "unchanged".
            trusted = page is not None and page.complete and records.keys() <= set(map(spelling.lower, group))
            if since is None or not trusted:
                singly.update(doi for doi in group if doi not in found)
        for doi in dois:
            if doi in singly:
                one = self._single(doi)
                if since is None or (one.message is not None and responses.indexed_since(one.message, since)):
                    found[doi] = one
        return tuple(found[doi] for doi in dois if doi in found)

    def _many(self, dois: Sequence[Doi], since: str | None, select: str | None = None) -> Page | None:
        """One answer to many DOIs, or None when they must be asked one by one."""
        filters = [f"doi:{doi}" for doi in dois] + ([f"from-index-date:{since}"] if since else [])
        fields = [("select", select)] if select else []
        try:
            # Taken as it comes: whatever is missing from it is asked for by itself.
            return self._list([("filter", ",".join(filters)), ("rows", str(len(dois))), *fields], 0)
        except TroubleError as trouble:
            if trouble.tried and (trouble.status in _SPLIT_ON or trouble.too_large):
                return None
            trouble.surface()

    def _single(self, doi: Doi) -> LookupResult:
        # The record's own spelling is kept: a server may have folded more than ASCII on the way to it.
        try:
            found = self._follow(doi, "", responses.record)
        except UnavailableError as error:
            trouble = error.__cause__
            if isinstance(trouble, TroubleError) and trouble.unread is not None:
                return LookupResult(doi, None, trouble.unread)
            raise
        return LookupResult(doi, None, None) if found is None else LookupResult(doi, responses.doi_of(found), found)

    def _list(self, params: Params, due: int, offset: int = 0) -> Page:
        page = self._wire.ask("list", "/works", params, partial(responses.page, due, offset=offset))
        if not isinstance(page, Page):
            raise AssertionError("a list is neither moved nor absent: the wire has raised")
        return page

    def _follow(self, doi: Doi, below: str, read: Callable[[str, Any], T]) -> T | None:
        """Asks `/works/{doi}{below}`, going by hand where aliases point: what the last one answered."""
        way = [spelling.lower(doi)]
        try:
            while True:
                path = f"/works/{quote(way[-1], safe='', errors='replace')}{below}"
                answer = self._wire.ask("single", path, (), partial(read, way[-1]))
                if not isinstance(answer, Moved):
                    return answer
                way.append(responses.target(answer.location, below))
                if way[-1] in way[:-1] or len(way) > HOPS + 1:
                    trail = " → ".join(way)
                    moved = "" if answer.location.startswith("/") else "; has the address of the API itself moved?"
                    raise TroubleError(f"sent on without an end: {trail}{moved}").at(
                        self._wire.base + path, len(way) - 1
                    )
        except TroubleError as trouble:
            trouble.surface()


def _limits(window: Window | None) -> list[str]:
    """A window as Crossref's filters."""
    if window is None:
        return []
    limits = [
        ("from-created-date", window.created_from),
        ("until-created-date", window.created_until),
        ("from-index-date", window.indexed_from),
    ]
    return [f"{name}:{day}" for name, day in limits if day]


def _groups(dois: Sequence[Doi], size: int = BATCH) -> Iterator[list[Doi]]:
    """The DOIs in order, at most `size` at once, cut where their filter would make the request line too long."""
    group: list[Doi] = []
    length = 0
    for doi in dois:
        cost = len(quote(f"doi:{doi},", safe=""))
        if group and (length + cost > LONGEST_FILTER or len(group) == size):
            yield group
            group, length = [], 0
        group.append(doi)
        length += cost
    if group:
        yield group


def count(query: Query, base_url: str | None = None, mailto: str | None = None) -> int:
    """How many records one search matches, as Crossref counts (any shared word counts); through habanero, asked once.

    habanero works against any `base_url`, but has neither pace nor retry: for a person's single question only.
    """
    from habanero import Crossref as Habanero

    filters = {name: list(values) for name, values in query.filters}
    fields = {"query" if name == "query" else f"query_{name}".replace("-", "_"): text for name, text in query.fields}
    with _habanero(base_url or HOME):
        client = Habanero(base_url=(base_url or HOME).rstrip("/"), mailto=mailto, timeout=INTERACTIVE)
        total = client.works(filter=filters or None, limit=0, **fields)["message"]["total-results"]
        return int(total)


def bibliography(doi: Doi, style: str = "apa", base_url: str | None = None) -> str:
    """One formatted citation, in a CSL style such as `apa` or `vancouver`; through habanero's content negotiation.

    Asked of doi.org, which knows every agency, or of `base_url`'s own `/works/{doi}/transform`. habanero pastes what it
    is given into an address and splits it at spaces; so it is given the DOI encoded.
    """
    from habanero import cn

    if not re.fullmatch(r"[A-Za-z0-9-]+", style):
        raise RejectedError(
            f"{style!r} is no name of a citation style; write it like apa, vancouver, chicago-author-date"
        )
    encoded = quote(doi, safe="")
    where, path = (RESOLVER, encoded) if base_url is None else (f"{base_url.rstrip('/')}/works", f"{encoded}/transform")
    with _habanero(f"{where}/{path}", style):
        text = cn.content_negotiation(path, format="text", style=style, url=where, timeout=INTERACTIVE)
    if not isinstance(text, str) or not text.strip() or responses.is_page(text.encode()):
        raise UnavailableError(
            f"{where}/{path} answered without a citation; try again, or another style than {style!r}"
        )
    return text.strip()


@contextmanager
def _habanero(where: str, style: str | None = None) -> Iterator[None]:
    """Turns what habanero lets through into this room's errors: its own two classes, those of httpx2 (no kin of httpx),
    a bare RuntimeError for transport faults, and what Python says when a body has not the expected shape."""
    import httpx2
    from habanero.exceptions import RequestError

    try:
        yield
    except (RequestError, httpx2.HTTPStatusError) as error:
        status = error.status_code if isinstance(error, RequestError) else error.response.status_code
        said = error.error if isinstance(error, RequestError) else responses.said(error.response.content)
        text = f"{status}: {said} (asked {where})"
        if status == 404 and style:
            raise RejectedError(f"{text}; no agency knows this DOI") from error
        if 400 <= status < 500 and status not in (408, 425, 429):
            raise RejectedError(text) from error
        hint = f"; is {style!r} a style Crossref knows?" if status == 500 and style else "; run again later"
        raise UnavailableError(text + hint) from error
    except (httpx2.HTTPError, RuntimeError) as error:
        raise UnavailableError(
            f"no answer from {where} ({error}); check the network and run again, or work with --offline"
        ) from error
    except (json.JSONDecodeError, TypeError, KeyError, AttributeError) as error:
        raise UnavailableError(f"{where} answered, but not as Crossref does ({error!r}); run again later") from error
    except ValueError as error:
        raise RejectedError(f"habanero knows no such question: {error}") from error
