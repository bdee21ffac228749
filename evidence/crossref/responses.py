"""Parses Crossref's responses: its envelope, pages, single works, agencies and redirects.

Pure: bytes and parsed JSON in, values of `data_model` out, or an `AttemptError` that says what is wrong with the response and how
often to retry. May not open a connection, wait, or look inside a record beyond its DOI and the day it was indexed.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

from evidence import doi as dois
from evidence.data_model import Doi, Message, Page
from evidence.http.failures import AttemptError
from evidence.http.json_body import error_text, read_json


class ShortPageError(AttemptError):
    """A page with fewer works than are due. It is retried once; `page` keeps what it has."""

    def __init__(self, text: str, page: Page) -> None:
        super().__init__(text, tries=2)
        self.page = page


class NoDoiError(AttemptError):
    """An object in place of a record, without a DOI. It is retried once; `record` is that object."""

    def __init__(self, text: str, record: Message) -> None:
        super().__init__(text, tries=2)
        self.record = record


def parse_message(body: bytes) -> Any:
    """The `message` of Crossref's envelope under status 200."""
    envelope = read_json(body)
    if not isinstance(envelope, dict) or envelope.get("status", "ok") != "ok" or "message" not in envelope:
        raise AttemptError(f"200, but the answer is not Crossref's ({error_text(body)})", fault="unreadable")
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
        raise ShortPageError(text, page) if items else AttemptError(text)
    return page


def parse_record(doi: str, message: Any) -> Message:
    """A single work, if it is the requested one, or one that lists this DOI as its alias. A server may fold the case of other
    letters than ASCII's."""
    if not isinstance(message, dict) or not message:
        raise AttemptError("200, but the answer is no work")
    if (answered := doi_of(message)) is None:
        raise NoDoiError("200, but the answer is no work: it has no DOI", message)
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
