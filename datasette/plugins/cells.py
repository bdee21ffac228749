"""Cells of tables and queries that lead somewhere: a DOI to its work here, a link to the outside by its host.

Returns None (Datasette's own rendering) for everything else. Values are strangers' text: only `Markup.format`, which
escapes, puts them into HTML.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from datasette import hookimpl
from datasette.utils import tilde_encode
from markupsafe import Markup

DOI_COLUMNS = frozenset({"doi", "notice_doi", "cited", "alias", "other"})
DOI = re.compile(r"10\.\d{4,9}/\S+")
TRACKED = frozenset({"tags", "reasons", "work_authors", "notices", "relations", "studies", "to_check", "citations"})
"""Tables and views where a DOI in the column `doi` is that of a work in the database (or asked for there)."""


@hookimpl
def render_cell(value: Any, column: str, table: str | None, database: str, datasette: Any) -> Markup | None:
    if not isinstance(value, str) or column not in DOI_COLUMNS or not DOI.fullmatch(value):
        return None
    if column == "doi" and (table is None or table in TRACKED):
        address = f"{datasette.urls.table('evidence', 'works')}/{tilde_encode(value)}"
        return Markup('<a href="{}">{}</a>').format(address, value)
    return Markup('<a href="{}" rel="noreferrer">{}</a>').format(doi_address(value), value)


def doi_address(doi: str) -> str:
    """Where doi.org sends a reader; every character that is special in an address is written out."""
    return "https://doi.org/" + quote(doi, safe="/:;().-_~")
