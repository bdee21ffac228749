"""Links in the cells of tables and query results: a title or DOI to the work's page, any other DOI to doi.org. Templates link a
DOI with the filter `doi_url`.

Everything else is left to Datasette's own rendering (None). Values are untrusted text: only `Markup.format`, which escapes, may
put them into HTML.
"""

from __future__ import annotations

import re
from typing import Any

from datasette import hookimpl
from datasette.utils import tilde_encode
from markupsafe import Markup

from evidence import doi
from evidence.data_model import Doi

DOI_COLUMNS = frozenset({"doi", "notice_doi", "stands_on", "said_by", "cited", "alias", "other"})
DOI = re.compile(r"10\.\d{4,9}/\S+")
TABLES_OF_WORKS = frozenset(
    {"tags", "reasons", "work_authors", "funders", "licences", "notices", "relations", "studies", "to_check"}
    | {"decisions_to_check", "citations", "history", "shown_tags"}
)
"""Tables and views whose column `doi` holds DOIs of works in this database."""

TITLE_LENGTH = 300


@hookimpl
def prepare_jinja2_environment(env: Any) -> None:
    env.filters["doi_url"] = doi.url
    env.tests["local_id"] = doi.is_local


@hookimpl
def render_cell(row: Any, value: Any, column: str, table: str | None, datasette: Any) -> Markup | None:
    if not isinstance(value, str):
        return None
    has_page = table is None or table in TABLES_OF_WORKS
    columns = list(row.keys())
    if column == "title" and has_page and "doi" in columns and isinstance(row["doi"], str):
        shown = value if len(value) <= TITLE_LENGTH else f"{value[:TITLE_LENGTH]}…"
        address = work_address(datasette, row["doi"])
        return Markup('<a class="work-title" href="{}"><bdi>{}</bdi></a>').format(address, shown)
    is_local = column in DOI_COLUMNS and doi.parse_key(value) == value and doi.is_local(value)
    if column not in DOI_COLUMNS or not (is_local or DOI.fullmatch(value)):
        return None
    if is_local or (column == "doi" and has_page):
        return Markup('<a href="{}">{}</a>').format(work_address(datasette, value), value)
    return Markup('<a href="{}" rel="noreferrer">{}</a>').format(doi.url(Doi(value)), value)


def work_address(datasette: Any, doi: str) -> str:
    """Address of the page of a work."""
    return f"{datasette.urls.table('evidence', 'works')}/{tilde_encode(doi)}"
