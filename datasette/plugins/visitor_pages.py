"""What a site for visitors does not show (pages of Datasette about the server), what robots may read, and the sitemap.

Which pages those are is in `evidence.publish.site_access`. The sitemap has the included works and the public pages, with the
public address of sources.yaml; without one there is no sitemap, because its addresses must be absolute.
"""

from __future__ import annotations

import os
import re
from typing import Any

from datasette import hookimpl
from datasette.utils import tilde_encode
from datasette.utils.asgi import NotFound, Response

from evidence.publish import site_access, site_details, sitemap

NAME = "evidence"

NUMBER = "select count(*) from works where verdict = 'include'"
WORKS = """
    select w.doi, substr(r.started, 1, 10) as day from (
        select doi, changed_run from works where verdict = 'include' order by doi limit :size offset :start
    ) w left join runs r on r.run = w.changed_run order by w.doi
"""
LISTS = "select source from sources where retired is null and kind = 'references' order by source"
LAST_DAY = "select substr(max(coalesce(finished, started)), 1, 10) from runs where outcome <> 'running'"


@hookimpl(tryfirst=True)  # before the pages that it closes
def register_routes() -> list[tuple[str, Any]]:
    routes = [
        (r"^/robots\.txt$", robots),
        (r"^/sitemap\.xml$", sitemap_index),
        (r"^/sitemap-(?P<part>pages|works-[1-9][0-9]{0,5})\.xml$", sitemap_part),
    ]
    if site_access.is_public(os.environ):
        closed_pages = [
            *site_access.CLOSED_PAGES,
            *([site_access.LOGIN_PAGE] if site_access.is_shared(os.environ) else []),
        ]
        routes += [(rf"^{re.escape(page)}(\.json)?$", closed) for page in closed_pages]
    return routes


@hookimpl
def extra_template_vars(datasette: Any) -> dict[str, Any]:
    """`hidden_links` are entries of the menu that lead to a closed page."""
    login = str(datasette.urls.path(site_access.LOGIN_PAGE))
    return {"hidden_links": [login] if site_access.is_shared(os.environ) else []}


async def closed() -> Response:
    raise NotFound("This page is about the server. Visitors do not see it.")


async def robots(datasette: Any) -> Response:
    address = site_details.of_environment(os.environ).address
    text = sitemap.robots(shared=site_access.is_shared(os.environ), address=address, path=datasette.urls.path)
    return Response.text(text)


async def sitemap_index(datasette: Any) -> Response:
    address = public_address()
    works = (await datasette.get_database(NAME).execute(NUMBER)).single_value()
    return xml(sitemap.index(address, works))


async def sitemap_part(datasette: Any, request: Any) -> Response:
    address = public_address()
    db = datasette.get_database(NAME)
    kind, _, number = request.url_vars["part"].partition("-")
    if kind == "pages":
        lists = [f"/article/{tilde_encode(source)}" for (source,) in await db.execute(LISTS)]
        day = (await db.execute(LAST_DAY)).single_value()
        return xml(sitemap.urls(address, [(page, day) for page in (*sitemap.PAGES, *lists)]))
    start = (int(number) - 1) * sitemap.PART
    rows = await db.execute(WORKS, {"size": sitemap.PART, "start": start})
    if not rows.rows:
        raise NotFound("The sitemap has no part with this number.")
    return xml(sitemap.urls(address, [(f"/{NAME}/works/{tilde_encode(doi)}", day) for doi, day in rows]))


def public_address() -> str:
    """NotFound without a public address, and on a site that is not for everybody."""
    address = site_details.of_environment(os.environ).address
    if address is None or not site_access.is_shared(os.environ):
        raise NotFound("There is no sitemap: this site has no public address.")
    return address


def xml(text: str) -> Response:
    return Response(text, content_type="application/xml; charset=utf-8")
