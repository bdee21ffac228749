"""The Crossref client: which requests are sent, and how it is checked that no record is lost or mixed up.

`evidence/http/transport.py` sends, retries and classifies, its `rate_limit.py` waits, `responses` parses. Every request is
idempotent: one page, by offset; no cursor.

* A DOI goes into a batch where a filter can carry it, else into a path of its own, every character encoded. The record must
  have the requested DOI, or list it as an alias; another work's record is never returned.
* `check` asks for the status of known works, a hundred in one request. Nothing is known of a DOI that its response leaves
  out: it has to be looked up.
* A DOI that a batch did not return is requested by itself. It may be an alias, whose 301 is followed by hand (encoded again,
  at most `MAX_ALIASES` times); or there is no such record, which is an answer (404).
* A batch that is refused, too large or makes the server fail is repeated DOI by DOI before it counts as failed.

A final failure is a `RejectedError` or an `UnavailableError` that says what happened, where, and what to do.

May not look inside a record beyond its DOI, its aliases, the day it was indexed and how often it is cited, and may not write
anything. `bibliography` and `count` go through habanero, for single interactive requests. A harvest never does: habanero has
no retries and no rate limit, and fetches another work for a DOI with `#` or `?`.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote

from evidence import doi as spelling
from evidence.crossref import responses
from evidence.crossref.normalise import cited_by, indexed_at
from evidence.data_model import Doi, LookupResult, Page, Query, RecordStatus, Window
from evidence.errors import RejectedError, UnavailableError
from evidence.http.failures import AttemptError
from evidence.http.json_body import error_text, is_web_page
from evidence.http.transport import Params, Redirect, Service, Transport

API_URL: Final = "https://api.crossref.org"
SERVICE: Final = Service(
    "Crossref",
    API_URL,
    # Before any header was seen: under the public pool's limits of July 2026 (1/s and 5/s), which change every other year.
    intervals={"list": 1.0, "single": 0.25},
    absent_routes=frozenset({"single"}),
    redirect_routes=frozenset({"single"}),
    announces_rate=True,
)
"""Crossref limits two routes separately: `list` (`/works?…`) and `single` (`/works/{doi}` and below)."""

RESOLVER: Final = "https://doi.org"
"""Where formatted citations come from: it redirects a DOI to the agency that registered it."""

SCAN_FIELDS: Final = (
    "DOI,title,subtitle,abstract,container-title,type,score,indexed,created,"
    "issued,published,published-print,published-online,posted,content-created"
)
"""The fields that `scan` requests: enough to test a search's phrases and years. `language`, `subtype` and `published-other`
cannot be selected."""

CITATION_FIELDS: Final = (
    "DOI,title,subtitle,container-title,short-container-title,author,editor,volume,issue,page,article-number,type,score,"
    "issued,published,published-print,published-online"
)
"""The fields that `scan` requests for a citation: those that it is compared with."""

CHECK_FIELDS: Final = "DOI,indexed,is-referenced-by-count"
"""The fields that `check` requests. The aliases of a record cannot be selected."""

CHECK_BATCH: Final = 100
"""DOIs in one request of `check`; `LONGEST_FILTER` may allow fewer."""

LOOKUP_BATCH: Final = 50
"""DOIs in one request of `lookup`: the fastest of those measured."""

LONGEST_FILTER: Final = 6000
"""Encoded characters of one DOI filter; servers of Crossref's kind (Jetty) refuse request heads beyond 8 kB."""

MAX_ALIASES: Final = 5
"""How many aliases in a row are followed."""

INTERACTIVE_TIMEOUT: Final = 30.0
"""Seconds until `count` or `bibliography` times out; habanero's own 5 are too few for Crossref."""

_FILTERABLE = re.compile(r"10\.[0-9]{4,}/[\x21-\x2b\x2d-\x7e]+(?<!:)", re.ASCII)
"""DOIs that the `doi:` filter can carry. The server splits at commas, drops a colon at the end, ends a DOI at white space
and fails on a prefix with further dots (`get-filters` and `extract-long-doi` in Crossref's published source); what it
does to non-ASCII is not known."""

_SPLIT_ON: Final = frozenset({400, 413, 414, 431, 500})
"""Statuses after which a batch is repeated DOI by DOI: one of its DOIs, or their number, may be the cause."""

T = TypeVar("T")


class CrossrefClient:
    """A client of one Crossref API with rate limit and retries; a context manager, and a `data_model.RecordSource`.

    `base_url` points at a mirror or a test server (no proxy is used for a loopback address). `mailto` is sent with every
    request, for the polite pool. `timeout` is seconds for a connection and for each wait for bytes. `sleep` and `clock` are
    those of rate limit and pauses; the deadline of a body is real time, because a socket is. `on_wait` gets one sentence
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
        service = replace(SERVICE, private_params=(("mailto", mailto),)) if mailto else SERVICE
        self._transport = Transport(
            service, base_url, mailto, sleep=sleep, clock=clock, timeout=timeout, tries=tries, on_wait=on_wait
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the counters stay."""
        self._transport.close()

    @property
    def requests(self) -> int:
        """Requests sent so far, retries too."""
        return self._transport.requests

    @property
    def bytes(self) -> int:
        """Bytes of responses received so far, compressed."""
        return self._transport.bytes

    @property
    def seconds(self) -> float:
        """Seconds spent sending and receiving so far; pauses are not counted."""
        return self._transport.seconds

    @property
    def date(self) -> datetime | None:
        """See `data_model.RecordSource.date`: the `Date` of the first response."""
        return self._transport.rate_limiter.date

    @property
    def pool(self) -> str | None:
        """`polite`, `public` or `plus`: the last pool that a response named."""
        return self._transport.rate_limiter.pool

    def lookup(self, dois: Sequence[Doi], since: str | None = None) -> Iterator[tuple[LookupResult, ...]]:
        """Whole records in the order requested, one tuple per 50 DOIs; a DOI given twice is requested once.

        Without `since` every DOI gets exactly one `LookupResult`: `message` None when Crossref has no such record, `record_doi`
        the DOI of the record (another one for an alias). With `since` (ISO date) only records indexed
        that day or later come back and the rest are left out, so a tuple may be empty; aliases are not followed then,
        save for the few DOIs that no filter can carry.
        """
        by_spelling: dict[str, Doi] = {}
        for doi in dois:
            by_spelling.setdefault(spelling.lower(doi), doi)
        unique = tuple(by_spelling.values())
        for start in range(0, len(unique), LOOKUP_BATCH):
            yield self._lookup_batch(unique[start : start + LOOKUP_BATCH], since)

    def check(self, dois: Sequence[Doi]) -> Iterator[tuple[RecordStatus, ...]]:
        """The status of these DOIs, one request for each tuple: a hundred DOIs, fewer where they are long.

        A DOI is left out when no filter can carry it, when the list does not have it (it may be an alias or gone), when its
        row is missing, or when the request is refused because of one of its DOIs: absence proves nothing here.
        """
        wanted = [doi for doi in dict.fromkeys(map(spelling.lower, dois)) if _FILTERABLE.fullmatch(doi)]
        for group in _groups(wanted, CHECK_BATCH):
            page = self._list_dois(group, None, CHECK_FIELDS)
            rows = {responses.doi_of(item): item for item in page.items} if page else {}
            yield tuple(RecordStatus(doi, indexed_at(rows[doi]), cited_by(rows[doi])) for doi in group if doi in rows)

    def scan(self, query: Query, window: Window | None = None, offset: int = 0, *, by_creation: bool = False) -> Page:
        """`query.rows` records after the first `offset`: best first, or `by_creation` oldest first. They have the fields of
        `SCAN_FIELDS` only, or those of `CITATION_FIELDS` if the query is for a citation. One page; `total` is the server's, so
        a page with fewer rows than are due is never `complete`."""
        filters = [f"{name}:{value}" for name, values in query.filters for value in values] + _limits(window)
        params = [("query" if name == "query" else f"query.{name}", text) for name, text in query.fields]
        if filters:
            params.append(("filter", ",".join(filters)))
        if offset:
            params.append(("offset", str(offset)))
        if by_creation:
            params += [("sort", "created"), ("order", "asc")]
        params += [("rows", str(query.rows)), ("select", CITATION_FIELDS if query.for_citation else SCAN_FIELDS)]
        try:
            return self._get_list(params, query.rows, offset)
        except responses.ShortPageError as failure:
            return failure.page
        except AttemptError as failure:
            failure.raise_source_error()

    def agency(self, doi: Doi) -> str | None:
        """The name of the agency that registered a DOI (`DataCite`, `mEDRA`, `Crossref`, …), or None if none did."""
        return self._get_following_aliases(doi, "/agency", responses.parse_agency)

    def _lookup_batch(self, dois: tuple[Doi, ...], since: str | None) -> tuple[LookupResult, ...]:
        found: dict[Doi, LookupResult] = {}
        singly = {doi for doi in dois if not _FILTERABLE.fullmatch(doi)}
        for group in _groups([doi for doi in dois if doi not in singly]):
            if len(group) == 1 and since is None:
                singly.update(group)
                continue
            page = self._list_dois(group, since)
            records = {responses.doi_of(item): item for item in page.items} if page else {}
            for doi in group:
                if (answered := spelling.lower(doi)) in records:
                    found[doi] = LookupResult(doi, answered, records[answered])
            # A page with missing rows, or with other rows, proves nothing about the absent: they are not "unchanged".
            trusted = page is not None and page.complete and records.keys() <= set(map(spelling.lower, group))
            if since is None or not trusted:
                singly.update(doi for doi in group if doi not in found)
        for doi in dois:
            if doi in singly:
                one = self._get_work(doi)
                if since is None or (one.message is not None and responses.indexed_since(one.message, since)):
                    found[doi] = one
        return tuple(found[doi] for doi in dois if doi in found)

    def _list_dois(self, dois: Sequence[Doi], since: str | None, select: str | None = None) -> Page | None:
        """One page with the records of many DOIs, or None when they must be requested one by one."""
        filters = [f"doi:{doi}" for doi in dois] + ([f"from-index-date:{since}"] if since else [])
        fields = [("select", select)] if select else []
        try:
            # Any number of rows will do: what is missing is requested by itself.
            return self._get_list([("filter", ",".join(filters)), ("rows", str(len(dois))), *fields], 0)
        except AttemptError as failure:
            if failure.attempts and (failure.status in _SPLIT_ON or failure.too_large):
                return None
            failure.raise_source_error()

    def _get_work(self, doi: Doi) -> LookupResult:
        # The record's own spelling is kept: a server may have folded more than ASCII on the way to it.
        try:
            found = self._get_following_aliases(doi, "", responses.parse_record)
        except UnavailableError as error:
            failure = error.__cause__
            if isinstance(failure, responses.NoDoiError):
                return LookupResult(doi, None, failure.record)
            raise
        return LookupResult(doi, None, None) if found is None else LookupResult(doi, responses.doi_of(found), found)

    def _get_list(self, params: Params, due: int, offset: int = 0) -> Page:
        read = _in_envelope(partial(responses.parse_page, due, offset=offset))
        page = self._transport.request("list", "/works", params, read)
        if not isinstance(page, Page):
            raise AssertionError("a list is neither redirected nor absent: the transport has raised")
        return page

    def _get_following_aliases(self, doi: Doi, suffix: str, read: Callable[[str, Any], T]) -> T | None:
        """The response to `/works/{doi}{suffix}`, after following the redirects of aliases by hand."""
        chain = [spelling.lower(doi)]
        try:
            while True:
                path = f"/works/{quote(chain[-1], safe='', errors='replace')}{suffix}"
                answer = self._transport.request("single", path, (), _in_envelope(partial(read, chain[-1])))
                if not isinstance(answer, Redirect):
                    return answer
                chain.append(responses.redirect_target(answer.location, suffix))
                if chain[-1] in chain[:-1] or len(chain) > MAX_ALIASES + 1:
                    trail = " → ".join(chain)
                    moved = "" if answer.location.startswith("/") else "; has the address of the API itself moved?"
                    raise AttemptError(f"sent on without an end: {trail}{moved}").at(
                        self._transport.base + path, len(chain) - 1
                    )
        except AttemptError as failure:
            failure.raise_source_error()


def _in_envelope(read: Callable[[Any], T]) -> Callable[[bytes], T]:
    """What reads a message → what reads the body that it comes in."""
    return lambda body: read(responses.parse_message(body))


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


def _groups(dois: Sequence[Doi], size: int = LOOKUP_BATCH) -> Iterator[list[Doi]]:
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
    """How many records one search matches, as Crossref counts (any shared word counts); through habanero, in one request.

    habanero works with any `base_url`, but has neither rate limit nor retries: for single interactive requests only.
    """
    from habanero import Crossref as Habanero

    filters = {name: list(values) for name, values in query.filters}
    fields = {"query" if name == "query" else f"query_{name}".replace("-", "_"): text for name, text in query.fields}
    with _habanero(base_url or API_URL):
        client = Habanero(base_url=(base_url or API_URL).rstrip("/"), mailto=mailto, timeout=INTERACTIVE_TIMEOUT)
        total = client.works(filter=filters or None, limit=0, **fields)["message"]["total-results"]
        return int(total)


def bibliography(doi: Doi, style: str = "apa", base_url: str | None = None) -> str:
    """One formatted citation, in a CSL style such as `apa` or `vancouver`; through habanero's content negotiation.

    From doi.org, which knows every agency, or from `base_url`'s own `/works/{doi}/transform`. habanero puts what it is given
    into a URL as it is and splits it at spaces, so the DOI is encoded first.
    """
    from habanero import cn

    if not re.fullmatch(r"[A-Za-z0-9-]+", style):
        raise RejectedError(
            f"{style!r} is no name of a citation style; write it like apa, vancouver, chicago-author-date"
        )
    encoded = quote(doi, safe="")
    where, path = (RESOLVER, encoded) if base_url is None else (f"{base_url.rstrip('/')}/works", f"{encoded}/transform")
    with _habanero(f"{where}/{path}", style):
        text = cn.content_negotiation(path, format="text", style=style, url=where, timeout=INTERACTIVE_TIMEOUT)
    if not isinstance(text, str) or not text.strip() or is_web_page(text.encode()):
        raise UnavailableError(
            f"{where}/{path} answered without a citation; try again, or another style than {style!r}"
        )
    return text.strip()


@contextmanager
def _habanero(where: str, style: str | None = None) -> Iterator[None]:
    """Turn the errors of habanero into ours: its own two classes, those of httpx2 (unrelated to httpx), a bare RuntimeError
    for transport faults, and Python's when a body does not have the expected shape."""
    import httpx2
    from habanero.exceptions import RequestError

    try:
        yield
    except (RequestError, httpx2.HTTPStatusError) as error:
        status = error.status_code if isinstance(error, RequestError) else error.response.status_code
        said = error.error if isinstance(error, RequestError) else error_text(error.response.content)
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
