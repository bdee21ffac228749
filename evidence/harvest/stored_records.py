"""The works of the database as a record source: what is here already answers first, and without a network.

It may not be asked whether a DOI exists: it is not authoritative. Records that are known from imported files alone are left out
unless asked for, because nothing has confirmed them.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator, Sequence

from evidence.data_model import Doi, LookupResult, Page, Query, RecordStatus, Window
from evidence.database import read_queries
from evidence.plain_text import fold
from evidence.references.imported_record import is_imported

_MOST_WORDS = 8
_WORD = re.compile(r"[^\W\d_]{4,}")


class StoredRecords:
    """See `data_model.RecordSource`. `everything`: also works that are known from imported files alone."""

    name = "database"
    authoritative = False
    requests = bytes = 0
    date = None

    def __init__(self, conn: sqlite3.Connection, *, everything: bool = False) -> None:
        self._conn = conn
        self._everything = everything

    def lookup(self, dois: Sequence[Doi], since: str | None = None) -> Iterator[tuple[LookupResult, ...]]:
        """The current records of these DOIs, also under an alias."""
        asked = list(dict.fromkeys(dois))
        moved = read_queries.alias_targets(self._conn, asked)
        wanted = sorted({moved.get(doi, doi) for doi in asked})
        held = {doi: json.loads(text) for doi, _, text in read_queries.current_records(self._conn, wanted)}
        held = {doi: message for doi, message in held.items() if self._everything or not is_imported(message)}
        found = (
            LookupResult(doi, at if at in held else None, held.get(at))
            for doi in asked
            for at in (moved.get(doi, doi),)
        )
        yield tuple(found)

    def check(self, dois: Sequence[Doi]) -> Iterator[tuple[RecordStatus, ...]]:
        """Nothing: only the provider of a record knows whether it has changed."""
        return iter(())

    def scan(self, query: Query, window: Window | None = None, offset: int = 0, *, by_creation: bool = False) -> Page:
        """The works whose titles share the longest words of the query."""
        words = dict.fromkeys(_WORD.findall(fold(" ".join(value for _, value in query.fields))))
        longest = sorted(words, key=len, reverse=True)[:_MOST_WORDS]
        held = map(json.loads, read_queries.records_like(self._conn, longest, query.rows))
        items = [message for message in held if self._everything or not is_imported(message)]
        return Page(items, len(items))

    def agency(self, doi: Doi) -> str | None:
        """None: the database does not know who registers a DOI."""
        return None
