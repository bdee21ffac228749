"""Works as OpenURL ContextObjects (ANSI/NISO Z39.88, key/encoded-value), which a page carries in COinS spans: Zotero and library
browsers find the works of a list by them and save many at once.

Zotero reads `+` as a blank even when it is encoded; that is lost. Pure: rows in, text out, not escaped for HTML.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from evidence import page_ranges
from evidence.doi import is_local
from evidence.export.embedded_metadata import BOOKS, CHAPTERS, parts, written_name

Row = Mapping[str, Any]

MOST_AUTHORS, LONGEST = 100, 1_000
"""Authors, and characters of a value: there is a ContextObject for each row of a list. The downloads have all."""

_FORMAT = "info:ofi/fmt:kev:mtx:"
_OTHERS = {"posted-content": "preprint", "dataset": "dataset"}
"""Types of Crossref that OpenURL has no format for, as Zotero names them."""


def context_object(work: Row, people: Sequence[Row]) -> str:
    """The ContextObject of one work (`read_work_page.rows_of`) with its contributors (`read_work_page.credited`)."""
    named = None if is_local(work["doi"]) else f"info:doi/{work['doi']}"
    pairs = [("ctx_ver", "Z39.88-2004"), ("rft_id", named), *_referent(work)]
    authors = [person for person in people if person["role"] == "author"][:MOST_AUTHORS]
    first = authors[0] if authors else None
    if first and first["kind"] != "group" and first["family"] and first["given"]:
        pairs += [("rft.aulast", first["family"]), ("rft.aufirst", first["given"])]
    pairs += [("rft.au", written_name(person)) for person in authors]
    return "&".join(f"{key}={quote(str(value)[:LONGEST], safe='')}" for key, value in pairs if value)


def _referent(work: Row) -> Iterator[tuple[str, Any]]:
    kind = work["kind"] or ""
    first, last = page_ranges.first_last(work["pages"])
    where = (
        ("rft.volume", work["volume"]),
        ("rft.issue", work["issue"]),
        ("rft.pages", page_ranges.formatted(work["pages"], "-")),
        ("rft.spage", first),
        ("rft.epage", last),
    )
    if kind == "dissertation":
        yield "rft_val_fmt", f"{_FORMAT}dissertation"
        yield "rft.title", work["title"]
        yield "rft.inst", work["institution"] or work["publisher"]
    elif kind in _OTHERS:
        yield "rft_val_fmt", f"{_FORMAT}dc"
        yield "rft.type", _OTHERS[kind]
        yield "rft.title", work["title"]
        yield "rft.source", work["container"]
        yield "rft.publisher", work["publisher"]
    elif kind in BOOKS or kind in CHAPTERS or kind in ("proceedings-article", "report"):
        part = kind in CHAPTERS or kind == "proceedings-article"
        genres = {"proceedings-article": "proceeding", "report": "report"}
        yield "rft_val_fmt", f"{_FORMAT}book"
        yield "rft.genre", genres.get(kind, "bookitem" if part else "book")
        yield ("rft.atitle" if part else "rft.btitle"), work["title"]
        yield ("rft.btitle" if part else "rft.series"), work["container"]
        yield "rft.pub", work["publisher"] or work["institution"]
        yield "rft.place", work["publisher_place"]
        yield "rft.edition", work["edition"]
        yield "rft.isbn", next(iter(parts(work["isbn"])), None)
        yield from where
    else:
        yield "rft_val_fmt", f"{_FORMAT}journal"
        yield "rft.genre", "article"
        yield "rft.atitle", work["title"]
        yield "rft.jtitle", work["container"]
        yield "rft.stitle", work["short_container"]
        yield from where
        yield "rft.artnum", work["article_number"]
        yield "rft.issn", next(iter(parts(work["issn"])), None)
    yield "rft.date", work["issued"]
    yield "rft.language", work["language"]
