"""Cells of tables and queries that lead somewhere: a title or DOI to its work here, another DOI to doi.org.

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

DOI_COLUMNS = frozenset({"doi", "notice_doi", "stands_on", "said_by", "cited", "alias", "other"})
DOI = re.compile(r"10\.\d{4,9}/\S+")
TRACKED = frozenset(
    {"tags", "reasons", "work_authors", "funders", "licences", "notices", "relations", "studies", "to_check"}
    | {"decisions_to_check", "citations", "history"}
)
"""Tables and views where a DOI in the column `doi` is that of a work in the database (or asked for there)."""

TITLE_LENGTH = 300


@hookimpl
def render_cell(row: Any, value: Any, column: str, table: str | None, datasette: Any) -> Markup | None:
    if not isinstance(value, str):
        return None
    here = table is None or table in TRACKED
    columns = list(row.keys())
    if column == "title" and here and "doi" in columns and isinstance(row["doi"], str):
        shown = value if len(value) <= TITLE_LENGTH else f"{value[:TITLE_LENGTH]}…"
        address = work_address(datasette, row["doi"])
        return Markup('<a class="work-title" href="{}"><bdi>{}</bdi></a>').format(address, shown)
    if column not in DOI_COLUMNS or not DOI.fullmatch(value):
        return None
    if column == "doi" and here:
        return Markup('<a href="{}">{}</a>').format(work_address(datasette, value), value)
    return Markup('<a href="{}" rel="noreferrer">{}</a>').format(doi_address(value), value)


def work_address(datasette: Any, doi: str) -> str:
    """The page of a work in the database."""
    return f"{datasette.urls.table('evidence', 'works')}/{tilde_encode(doi)}"


def doi_address(doi: str) -> str:
    """Where doi.org sends a reader; every character that is special in an address is written out."""
    return "https://doi.org/" + quote(doi, safe="/:;().-_~")
