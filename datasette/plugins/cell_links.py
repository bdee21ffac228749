"""Links in the cells of tables and query results: a title or DOI to the work's page, any other DOI to doi.org. Templates link a
DOI with the filter `doi_url`.

Everything else is left to Datasette's own rendering (None). Values are untrusted text: only `Markup.format`, which escapes, may
put them into HTML.
"""

from __future__ import annotations

import re
from functools import lru_cache
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
    if column == "title":
        if not has_page or "doi" not in row.keys() or not isinstance(row["doi"], str):  # noqa: SIM118 - a row of SQLite
            return None
        shown = value if len(value) <= TITLE_LENGTH else f"{value[:TITLE_LENGTH]}…"
        address = work_address(datasette, row["doi"])
        return Markup('<a class="work-title" href="{}"><bdi>{}</bdi></a>').format(address, shown)
    if column not in DOI_COLUMNS:
        return None
    is_local = doi.parse_key(value) == value and doi.is_local(value)
    if not is_local and not DOI.fullmatch(value):
        return None
    if is_local or (column == "doi" and has_page):
        return Markup('<a href="{}">{}</a>').format(work_address(datasette, value), value)
    return Markup('<a href="{}" rel="noreferrer">{}</a>').format(doi.url(Doi(value)), value)


def work_address(datasette: Any, doi: str) -> str:
    """Address of the page of a work."""
    return f"{_list_of_works(datasette)}/{tilde_encode(doi)}"


@lru_cache(maxsize=1)  # asked for in every row
def _list_of_works(datasette: Any) -> str:
    return str(datasette.urls.table("evidence", "works"))
