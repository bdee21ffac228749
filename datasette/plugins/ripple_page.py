"""What a work touches (`/ripple/10.…`, and as files `/ripple.csv?doi=…`, `.json`, `.md`): the works, claims, cells of the map,
exports and decisions that its retraction would concern. Gives templates `ripple_address`, the address of that page.

What is read is `evidence.publish.ripple`'s, and the sentences are `evidence.export.ripple_report`'s; this file gives both their
addresses. An alias leads to the page of the DOI that the work is kept under.
"""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import unquote, urlencode

from datasette import hookimpl
from datasette.utils.asgi import BadRequest, NotFound, Response

from evidence import doi as dois
from evidence.data_model import Doi
from evidence.export import ripple_report
from evidence.export.page_citation import ripple_path
from evidence.export.ripple_report import Ripple, TouchedCell
from evidence.publish import ripple, site_topic
from evidence.publish.evidence_map import View

NAME = "evidence"
PATH = "/ripple"
FIRST, SHOWN = 20, 200
"""Works in each list of the page that are seen at once, and with those that unfold; the files have all."""

FILES = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/json; charset=utf-8",
    "md": "text/markdown; charset=utf-8",
}
LABELS = {"csv": "CSV", "json": "JSON", "md": "Markdown"}
REPORTS = {"csv": "csv", "json": "json", "md": "markdown"}


@hookimpl
def register_routes() -> list[tuple[str, Any]]:
    return [(rf"^{PATH}/(?P<doi>(?:10\.|{dois.LOCAL}).+)$", page), (rf"^{PATH}\.(?P<form>csv|json|md)$", as_file)]


@hookimpl
def extra_template_vars(datasette: Any) -> dict[str, Any]:
    return {"ripple_address": lambda doi: address_of(datasette, doi)}


def address_of(datasette: Any, doi: str) -> str:
    """The page of what a work touches."""
    return str(datasette.urls.path(ripple_path(doi)))


async def page(datasette: Any, request: Any) -> Response:
    asked = dois.lower(unquote(request.url_vars["doi"]))
    found = await touched(datasette, Doi(asked))
    if found.doi != asked:
        return Response.redirect(address_of(datasette, found.doi))
    topic = await site_topic.of_database(datasette.get_database(NAME))

    def cell_address(cell: TouchedCell) -> str:
        view = View(*topic.map, filters={}, row=cell.row, column=cell.column)
        return f"{datasette.urls.path('/map')}?{urlencode(view.pairs(topic))}"

    context = {
        "found": found,
        "say": ripple_report,
        "first": FIRST,
        "shown": SHOWN,
        "cells": [(cell, cell_address(cell)) for cell in found.cells],
        "files": [
            (LABELS[form], f"{datasette.urls.path(PATH)}.{form}?{urlencode({'doi': found.doi})}") for form in FILES
        ],
    }
    return Response.html(await datasette.render_template("ripple.html", context, request=request))


async def as_file(datasette: Any, request: Any) -> Response:
    form = request.url_vars["form"]
    asked = dois.parse_key(request.args.get("doi") or "")
    if asked is None:
        raise BadRequest(f"Name a work by its DOI: {PATH}.{form}?doi=10.…")
    found = await touched(datasette, asked)
    text = "".join(ripple_report.REPORTS[REPORTS[form]](found))
    headers = {"content-disposition": f'attachment; filename="ripple.{form}"'}
    return Response(text, content_type=FILES[form], headers=headers)


async def touched(datasette: Any, doi: Doi) -> Ripple:
    """What the work touches; NotFound when nothing here has this DOI or cites it."""
    found = await ripple.of_site(datasette.get_database(NAME), os.environ, doi)
    if found is None:
        raise NotFound(f"{doi} is not in this database, and nothing here cites it")
    return found
