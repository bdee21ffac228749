"""Which abstracts may be passed on: the one policy for exports, the downloads of the site, and published copies.

An abstract that its publisher deposited with Crossref is open metadata. The abstracts of PubMed, Europe PMC and OpenAlex belong
to their publishers: they are passed on only where an open licence is known for the work. Whoever screens may read all of them.
This module decides nothing but this and may not write to a database.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from evidence.data_model import Doi
from evidence.database.select_works import abstracts_of_providers
from evidence.database.sql_helpers import Row

Rule = Literal["always", "open licence"]

RULES: dict[str, Rule] = {
    "publisher": "always",
    "datacite": "always",
    "pubmed": "open licence",
    "europepmc": "open licence",
    "openalex": "open licence",
}
"""Where an abstract is from (`works.abstract_source`) → when it may be passed on. One from anywhere else never may. DataCite's
metadata are CC0."""

OPEN_LICENCES = (
    "CC0",
    "public domain",
    "CC BY",
    "CC BY-SA",
    "CC BY-NC",
    "CC BY-NC-SA",
    "CC BY-ND",
    "CC BY-NC-ND",
)
"""Licences under which an abstract is passed on, in any version. ND allows copies of a part, if it is unchanged."""

_DEED = re.compile(r"(?:https?://)?(?:www\.)?creativecommons\.org/(licenses|publicdomain)/([a-z-]+)(?:[/?#].*)?")
_CODE = re.compile(r"cc[ -]?(0|by(?:[ -](?:nc|nd|sa))*)(?:[ -]v?\d(?:\.\d)?)?(?:[ -](?:igo|[a-z]{2}))?")
_PUBLIC_DOMAIN = frozenset({"public domain", "public-domain", "pd", "publicdomain"})


def open_licence(stated: str) -> str | None:
    """The open licence that a statement names, as in `OPEN_LICENCES`; None for any other statement. It may be an address
    (`https://creativecommons.org/licenses/by/4.0/`) or a short name (`cc by-nc`, `cc-by-4.0`, `public-domain`)."""
    text = " ".join(stated.lower().split())
    if text in _PUBLIC_DOMAIN:
        return "public domain"
    if deed := _DEED.fullmatch(text):
        if deed[1] == "publicdomain":
            return {"zero": "CC0", "mark": "public domain"}.get(deed[2])
        parts = deed[2].split("-")
    elif code := _CODE.fullmatch(text):
        parts = re.split("[ -]", code[1])
    else:
        return None
    if parts == ["0"]:
        return "CC0"
    if parts[0] != "by":
        return None
    name = "-".join(["CC BY", *(part.upper() for part in ("nc", "nd", "sa") if part in parts[1:])])
    return name if name in OPEN_LICENCES else None


def may_redistribute(abstract_source: str | None, licences: Iterable[str]) -> bool:
    """Whether an abstract from this source (`works.abstract_source`) may be passed on, where these licences are stated for the
    work."""
    rule = RULES.get(abstract_source or "")
    return rule == "always" or (rule == "open licence" and any(map(open_licence, licences)))


@dataclass(slots=True)
class LeavingOut:
    """Takes abstracts that may not be passed on out of rows for export; `count` is how many so far."""

    count: int = 0

    def rows(self, rows: Iterable[Row]) -> Iterator[Row]:
        """The rows, without these abstracts. Everything else about the works stays."""
        for row in rows:
            if row["abstract"] is None or may_redistribute(row["abstract_source"], row["stated_licences"]):
                yield row
            else:
                self.count += 1
                yield {**row, "abstract": None}


def withheld(conn: sqlite3.Connection) -> list[Doi]:
    """The works of a database whose abstract may not be passed on."""
    return [doi for doi, source, licences in abstracts_of_providers(conn) if not may_redistribute(source, licences)]
