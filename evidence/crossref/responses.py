"""What an answer of Crossref's means: the reading of bodies and redirects, and how each failure is to be treated.

Pure: bytes and parsed JSON in, values of `model` out, or a `TroubleError` that says what is wrong with the answer and how
often the question deserves another try. `crossref` does the asking. May not open a connection, wait, or look inside a
record beyond its DOI and the day it was indexed.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final, NoReturn, Self
from urllib.parse import unquote

from evidence import doi as dois
from evidence.crossref.rate_limit import FIRST_PAUSE, LONGEST_WAIT, Fault
from evidence.errors import RejectedError, UnavailableError
from evidence.model import Doi, Message, Page

LONGEST_WORDS: Final = 600
"""Characters of the server's own words that are carried into an error."""

LONGEST_SHOWN = 160
"""Characters of an address in an error."""

LONGEST_NUMBER: Final = 4_000
"""Digits of a whole number that is read as one; Python refuses some more."""

DEEPEST: Final = 200
"""Levels of objects and lists that are read as such, where there are too many to read."""

_NESTING = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[\]{}]', re.DOTALL)
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<half>\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\."
)


class TroubleError(Exception):
    """One failed try; never leaves the room of `crossref`, which turns it into a `SourceError` with `surface`.

    `tries`: how many tries in all the question deserves, None for as many as the client has. `pause`: seconds the server
    asked for; else the back-off starts at `first`. `refused`: the server understood and will say the same again.
    `fault`: what is wrong with the server or the way to it, None when it is this question's own trouble. `page`: what a short
    page did hold. `unread`: an object that stands where a record belongs and has no DOI.
    """

    def __init__(
        self,
        text: str,
        *,
        status: int | None = None,
        tries: int | None = None,
        pause: float | None = None,
        first: float = FIRST_PAUSE,
        refused: bool = False,
        too_large: bool = False,
        fault: Fault | None = None,
        page: Page | None = None,
        unread: Message | None = None,
    ) -> None:
        super().__init__(text)
        self.text = text
        self.status = status
        self.tries = 1 if refused else tries
        self.pause = pause
        self.first = first
        self.refused = refused
        self.too_large = too_large
        self.fault = fault
        self.page = page
        self.unread = unread
        self.where = "nothing"
        self.tried = 0

    @property
    def unreached(self) -> bool:
        """Whether no answer came at all."""
        return self.fault in ("unreachable", "timeout")

    @property
    def hurried(self) -> bool:
        """Whether the server says that it is asked too fast."""
        return self.status in (408, 425, 429)

    def unasked(self, where: str) -> TroubleError:
        """The same trouble for a question that is not sent, because it would meet it too."""
        again = TroubleError(self.text, status=self.status, fault=self.fault, pause=self.pause, refused=self.refused)
        return again.at(where, 0)

    def at(self, where: str, tried: int) -> Self:
        """Adds the address that was asked, and how many times, when the last try has failed."""
        self.where, self.tried = where, tried
        return self

    def surface(self) -> NoReturn:
        """Raises what callers of the client see: what happened, to which address, how often it was tried, what to do."""
        if self.refused:
            raise RejectedError(f"{self.text} (asked {_short(self.where)})") from self
        times = "once" if self.tried == 1 else f"{self.tried} times"
        asked = f"asked {_short(self.where)}, {times}" if self.tried else "not asked again in this run"
        if self.pause is not None and self.pause > LONGEST_WAIT:
            remedy = f"the server asks to wait {self.pause:.0f} s, run again after that"
        elif self.unreached:
            remedy = "check the network and run again, or work from files with --offline"
        else:
            remedy = "run again later"
        raise UnavailableError(f"{self.text} ({asked}); {remedy}") from self


def _short(address: str) -> str:
    """An address for a person to recognise: a batch of fifty DOIs fills a screen."""
    return address if len(address) <= LONGEST_SHOWN else f"{address[:LONGEST_SHOWN]}…"


def message(body: bytes) -> Any:
    """The `message` of Crossref's envelope under status 200."""
    try:
        envelope = parsed(body)
    except (ValueError, RecursionError) as error:
        kind = "empty" if not body.strip() else "a web page" if is_page(body) else "cut short or not JSON"
        raise TroubleError(f"200, but the answer is {kind}", fault="not JSON") from error
    if not isinstance(envelope, dict) or envelope.get("status", "ok") != "ok" or "message" not in envelope:
        raise TroubleError(f"200, but the answer is not Crossref's ({said(body)})", fault="not JSON")
    return envelope["message"]


def page(rows: int, message: Any, offset: int = 0) -> Page:
    """A list of works. Where `rows` were asked for after the first `offset`, a page with fewer than are due is a fault, not
    an answer: it is asked again, and an empty one is never taken. `rows` 0 takes what there is."""
    items = message.get("items") if isinstance(message, dict) else None
    total = message.get("total-results") if isinstance(message, dict) else None
    if not isinstance(items, list) or type(total) is not int or not 0 <= total < 2**63:
        raise TroubleError("200, but the answer is no list of works")
    # An item that is no object is no reason to refuse the others; whoever reads the page keeps it as it is.
    page = Page(tuple(items), max(total, offset + len(items) if items else 0))
    due = max(0, min(rows, page.total - offset))
    if len(items) < due:
        text = f"200, but {len(items)} works on a page where {due} are due"
        raise TroubleError(text, tries=2, page=page) if items else TroubleError(text)
    return page


def record(doi: str, message: Any) -> Message:
    """A single work, if it is the one that was asked for, or one that lists this DOI as its alias. A server may fold the case
    of other letters than ASCII's."""
    if not isinstance(message, dict) or not message:
        raise TroubleError("200, but the answer is no work")
    if (answered := doi_of(message)) is None:
        raise TroubleError("200, but the answer is no work: it has no DOI", tries=2, unread=message)
    known_as = {dois.caseless(name) for name in (answered, *_aliases(message))}
    if dois.caseless(doi) not in known_as:
        raise TroubleError(f"the answer is the record of another work ({message['DOI']} instead of {doi})")
    return message


def agency(doi: str, message: Any) -> str:
    """The name of the registration agency of the DOI that was asked about."""
    agency = message.get("agency") if isinstance(message, dict) else None
    name = (agency.get("label") or agency.get("id")) if isinstance(agency, dict) else None
    if not isinstance(name, str):
        raise TroubleError("200, but the answer names no agency")
    if dois.caseless(doi_of(message) or "") != dois.caseless(doi):
        raise TroubleError(f"the answer is about another DOI ({message.get('DOI')} instead of {doi})")
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
    """Whether the record was indexed on that day (ISO) or later; one that does not say is not held back."""
    indexed = record.get("indexed")
    stamp = indexed.get("date-time") if isinstance(indexed, dict) else None
    return not isinstance(stamp, str) or stamp[: len(since)] >= since


def target(location: str, below: str) -> Doi:
    """The DOI a redirect from `/works/{doi}{below}` points at. Crossref sends it relative and un-encoded (recorded), so
    `#`, `?` and `%` in it are its own; a target without a bare slash was encoded after all."""
    _, works, doi = location.partition("/works/")
    doi = re.sub(r"\?mailto=[^?#]*$", "", doi).removesuffix(below)
    if "/" not in doi:
        doi = unquote(doi)
    if not works or not re.match(r"10\.[0-9.]+/", doi):
        raise TroubleError(f"sent on to {location}, which is no work: something stands between us and Crossref")
    return dois.lower(doi)


def is_page(body: bytes) -> bool:
    """Whether a body is HTML or XML: Crossref's own answers on the routes we ask never are."""
    return body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")


def said(body: bytes) -> str:
    """The server's own words about a failure, in one line: Crossref's three JSON shapes (list at 400, object at 500, text),
    or the text of a page."""
    try:
        words = json.loads(body)["message"]
    except (ValueError, RecursionError, KeyError, TypeError):
        words = re.sub(r"<[^>]*>", " ", body[:4000].decode("utf-8", "replace"))
    if isinstance(words, list):
        words = "; ".join(str(part.get("message", part)) if isinstance(part, dict) else str(part) for part in words)
    elif isinstance(words, dict):
        words = words.get("description") or words.get("message") or words
    return " ".join(str(words).split())[:LONGEST_WORDS] or "no further words"


def parsed(body: bytes) -> Any:
    """JSON as a value that SQLite can hold; ValueError for what is none, RecursionError for what is nested too deep.

    What one record cannot be held by costs that place, not the page it came on: a byte that is no UTF-8 becomes U+FFFD,
    `NaN`, `Infinity` and `1e999`, which JSON does not have, become null, a whole number of thousands of digits and
    what is nested deeper than `DEEPEST` become their text.
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
    return int(written) if len(written) < LONGEST_NUMBER else written


def _shallow(text: str) -> str:
    """JSON text in which every object or list deeper than `DEEPEST` is a string that holds it."""
    parts, at, depth, start = [], 0, 0, 0
    for token in _NESTING.finditer(text):
        mark = token[0]
        if mark in "[{":
            depth += 1
            if depth == DEEPEST + 1:
                start = token.start()
        elif mark in "]}":
            depth -= 1
            if depth == DEEPEST:
                parts += [text[at:start], json.dumps(text[start : token.end()])]
                at = token.end()
    return "".join([*parts, text[at:]])


def _whole_characters(body: bytes) -> bytes:
    """Halves of surrogate pairs, as a text cut in the middle of one leaves them, become U+FFFD: alone they are legal JSON
    but no character, and neither UTF-8 nor SQLite can hold them."""
    if not _SURROGATE.search(body):
        return body
    return _ESCAPE.sub(lambda escape: rb"\ufffd" if escape["half"] else escape[0], body)
