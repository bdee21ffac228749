"""Parses Crossref's responses: bodies, redirects, and how each failure is to be treated.

Pure: bytes and parsed JSON in, values of `data_model` out, or an `AttemptError` that says what is wrong with the response and how
often to retry. May not open a connection, wait, or look inside a record beyond its DOI and the day it was indexed.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final, NoReturn, Self
from urllib.parse import unquote

from evidence import doi as dois
from evidence.crossref.rate_limit import FIRST_PAUSE, MAX_WAIT, Fault
from evidence.data_model import Doi, Message, Page
from evidence.errors import RejectedError, UnavailableError

MAX_ERROR_TEXT: Final = 600
"""Characters of the server's message that go into an error."""

MAX_SHOWN_URL = 160
"""Characters of an address in an error."""

MAX_DIGITS: Final = 4_000
"""Digits of a whole number that is read as one; Python refuses some more."""

MAX_DEPTH: Final = 200
"""Levels of objects and lists that are read as such, where there are too many to read."""

_NESTING = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[\]{}]', re.DOTALL)
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<half>\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\."
)


class AttemptError(Exception):
    """One failed attempt. Internal to the client, which converts it with `raise_source_error`.

    `tries`: how many attempts in all to make, None for as many as the client allows. `pause`: seconds the server asked for;
    else the back-off starts at `first_pause`. `refused`: the server understood the request, and retrying will not help.
    `fault`: what is wrong with the server or the network, None when it is this request's own. `page`: the rows of a short page.
    `record_without_doi`: an object in place of a record, without a DOI. `url` and `attempts` are set by `at`.
    """

    def __init__(
        self,
        text: str,
        *,
        status: int | None = None,
        tries: int | None = None,
        pause: float | None = None,
        first_pause: float = FIRST_PAUSE,
        refused: bool = False,
        too_large: bool = False,
        fault: Fault | None = None,
        page: Page | None = None,
        record_without_doi: Message | None = None,
    ) -> None:
        super().__init__(text)
        self.text = text
        self.status = status
        self.tries = 1 if refused else tries
        self.pause = pause
        self.first_pause = first_pause
        self.refused = refused
        self.too_large = too_large
        self.fault = fault
        self.page = page
        self.record_without_doi = record_without_doi
        self.url = "nothing"
        self.attempts = 0

    @property
    def no_response(self) -> bool:
        """Whether no response came at all."""
        return self.fault in ("unreachable", "timeout")

    @property
    def throttled(self) -> bool:
        """Whether the server says that requests come too fast."""
        return self.status in (408, 425, 429)

    def for_unsent(self, url: str) -> AttemptError:
        """The same failure for a request that is not sent because it would fail too."""
        again = AttemptError(self.text, status=self.status, fault=self.fault, pause=self.pause, refused=self.refused)
        return again.at(url, 0)

    def at(self, url: str, attempts: int) -> Self:
        """Add the URL, and how many attempts have failed."""
        self.url, self.attempts = url, attempts
        return self

    def raise_source_error(self) -> NoReturn:
        """Raise what callers of the client see: what happened, at which URL, after how many attempts, and what to do."""
        if self.refused:
            raise RejectedError(f"{self.text} (asked {_short(self.url)})") from self
        times = "once" if self.attempts == 1 else f"{self.attempts} times"
        asked = f"asked {_short(self.url)}, {times}" if self.attempts else "not asked again in this run"
        if self.pause is not None and self.pause > MAX_WAIT:
            remedy = f"the server asks to wait {self.pause:.0f} s, run again after that"
        elif self.no_response:
            remedy = "check the network and run again, or work from files with --offline"
        else:
            remedy = "run again later"
        raise UnavailableError(f"{self.text} ({asked}); {remedy}") from self


def _short(address: str) -> str:
    """A URL cut to what a person can recognise: a batch of fifty DOIs fills a screen."""
    return address if len(address) <= MAX_SHOWN_URL else f"{address[:MAX_SHOWN_URL]}…"


def parse_message(body: bytes) -> Any:
    """The `message` of Crossref's envelope under status 200."""
    try:
        envelope = parse_json(body)
    except (ValueError, RecursionError) as error:
        kind = "empty" if not body.strip() else "a web page" if is_web_page(body) else "cut short or not JSON"
        raise AttemptError(f"200, but the answer is {kind}", fault="not JSON") from error
    if not isinstance(envelope, dict) or envelope.get("status", "ok") != "ok" or "message" not in envelope:
        raise AttemptError(f"200, but the answer is not Crossref's ({error_text(body)})", fault="not JSON")
    return envelope["message"]


def parse_page(rows: int, message: Any, offset: int = 0) -> Page:
    """A list of works. Where `rows` were requested after the first `offset`, a page with fewer than are due is a failure: it is
    retried, and an empty one is never accepted. `rows` 0 accepts any number."""
    items = message.get("items") if isinstance(message, dict) else None
    total = message.get("total-results") if isinstance(message, dict) else None
    if not isinstance(items, list) or type(total) is not int or not 0 <= total < 2**63:
        raise AttemptError("200, but the answer is no list of works")
    # An item that is no object is no reason to refuse the others; the caller keeps it as it is.
    page = Page(tuple(items), max(total, offset + len(items) if items else 0))
    due = max(0, min(rows, page.total - offset))
    if len(items) < due:
        text = f"200, but {len(items)} works on a page where {due} are due"
        raise AttemptError(text, tries=2, page=page) if items else AttemptError(text)
    return page


def parse_record(doi: str, message: Any) -> Message:
    """A single work, if it is the requested one, or one that lists this DOI as its alias. A server may fold the case of other
    letters than ASCII's."""
    if not isinstance(message, dict) or not message:
        raise AttemptError("200, but the answer is no work")
    if (answered := doi_of(message)) is None:
        raise AttemptError("200, but the answer is no work: it has no DOI", tries=2, record_without_doi=message)
    known_as = {dois.caseless(name) for name in (answered, *_aliases(message))}
    if dois.caseless(doi) not in known_as:
        raise AttemptError(f"the answer is the record of another work ({message['DOI']} instead of {doi})")
    return message


def parse_agency(doi: str, message: Any) -> str:
    """The name of the registration agency of the requested DOI."""
    agency = message.get("agency") if isinstance(message, dict) else None
    name = (agency.get("label") or agency.get("id")) if isinstance(agency, dict) else None
    if not isinstance(name, str):
        raise AttemptError("200, but the answer names no agency")
    if dois.caseless(doi_of(message) or "") != dois.caseless(doi):
        raise AttemptError(f"the answer is about another DOI ({message.get('DOI')} instead of {doi})")
    return name


def doi_of(item: object) -> Doi | None:
    """The record's DOI in its canonical case; None for what has none, or is no object."""
    doi = item.get("DOI") if isinstance(item, dict) else None
    return dois.lower(doi) if isinstance(doi, str) else None


def _aliases(item: Message) -> tuple[str, ...]:
    """The DOIs that a record lists as its own other names, as stated."""
    listed = item.get("aliases")
    return tuple(doi for doi in listed if isinstance(doi, str)) if isinstance(listed, list) else ()


def indexed_since(record: Message, since: str) -> bool:
    """Whether the record was indexed on that day (ISO) or later; True where the record does not say."""
    indexed = record.get("indexed")
    stamp = indexed.get("date-time") if isinstance(indexed, dict) else None
    return not isinstance(stamp, str) or stamp[: len(since)] >= since


def redirect_target(location: str, suffix: str) -> Doi:
    """The DOI a redirect from `/works/{doi}{suffix}` points at. Crossref sends it relative and un-encoded (recorded), so
    `#`, `?` and `%` in it are its own; a target without a bare slash was encoded after all."""
    _, works, doi = location.partition("/works/")
    doi = re.sub(r"\?mailto=[^?#]*$", "", doi).removesuffix(suffix)
    if "/" not in doi:
        doi = unquote(doi)
    if not works or not re.match(r"10\.[0-9.]+/", doi):
        raise AttemptError(f"sent on to {location}, which is no work: something stands between us and Crossref")
    return dois.lower(doi)


def is_web_page(body: bytes) -> bool:
    """Whether a body is HTML or XML: Crossref's responses on our routes never are."""
    return body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")


def error_text(body: bytes) -> str:
    """The server's message about a failure, on one line: Crossref's three JSON shapes (list at 400, object at 500, text), or
    the text of a web page."""
    try:
        words = json.loads(body)["message"]
    except (ValueError, RecursionError, KeyError, TypeError):
        words = re.sub(r"<[^>]*>", " ", body[:4000].decode("utf-8", "replace"))
    if isinstance(words, list):
        words = "; ".join(str(part.get("message", part)) if isinstance(part, dict) else str(part) for part in words)
    elif isinstance(words, dict):
        words = words.get("description") or words.get("message") or words
    return " ".join(str(words).split())[:MAX_ERROR_TEXT] or "no message"


def parse_json(body: bytes) -> Any:
    """JSON as a value that SQLite can hold; ValueError for what is none, RecursionError for what is nested too deep.

    A value that cannot be stored is replaced, so that the rest of the page is kept: a byte that is no UTF-8 becomes U+FFFD,
    `NaN`, `Infinity` and `1e999`, which JSON does not have, become null, a whole number of thousands of digits and
    what is nested deeper than `MAX_DEPTH` become their text.
    """
    text = _whole_characters(body).decode("utf-8-sig", "replace")
    try:
        return json.loads(text, parse_constant=_no_number, parse_float=_number)
    except RecursionError:
        text = _shallow(text)
    except ValueError as error:
        if isinstance(error, json.JSONDecodeError):
            raise
    return json.loads(text, parse_constant=_no_number, parse_float=_number, parse_int=_whole_number)


def _number(written: str) -> float | None:
    number = float(written)
    return number if math.isfinite(number) else None


def _no_number(_: str) -> None:
    """`NaN` and the like say that there is no number, which JSON writes as null."""


def _whole_number(written: str) -> int | str:
    return int(written) if len(written) < MAX_DIGITS else written


def _shallow(text: str) -> str:
    """JSON text in which every object or list deeper than `MAX_DEPTH` is a string that holds it."""
    parts, at, depth, start = [], 0, 0, 0
    for token in _NESTING.finditer(text):
        mark = token[0]
        if mark in "[{":
            depth += 1
            if depth == MAX_DEPTH + 1:
                start = token.start()
        elif mark in "]}":
            depth -= 1
            if depth == MAX_DEPTH:
                parts += [text[at:start], json.dumps(text[start : token.end()])]
                at = token.end()
    return "".join([*parts, text[at:]])


def _whole_characters(body: bytes) -> bytes:
    """Halves of surrogate pairs, as a text cut in the middle of one leaves them, become U+FFFD: alone they are legal JSON
    but no character, and neither UTF-8 nor SQLite can hold them."""
    if not _SURROGATE.search(body):
        return body
    return _ESCAPE.sub(lambda escape: rb"\ufffd" if escape["half"] else escape[0], body)
