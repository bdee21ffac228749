"""`Link` headers on the page of a work and on lists of works, and the link set of a list (`/linkset.json?…`), for machines.

`evidence.publish.signposts` words them. A page's links are gathered while it is rendered, in a list that the request carries, and
sent with its headers. This file also mends the header in which Datasette names the JSON of a page, which lacks its brackets.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl, urlencode

from datasette import hookimpl
from datasette.utils import tilde_decode, tilde_encode
from datasette.utils.asgi import BadRequest, Response

from evidence import doi as dois
from evidence.export.file_formats import FORMATS
from evidence.publish import signposts, site_details
from evidence.publish.signposts import Link

App = Callable[[Any, Any, Any], Awaitable[None]]

NAME = "evidence"
CARRIED = "evidence_links"
"""Where a request carries its links."""

WORK = "select kind, licence from works where doi = :doi"
ORCIDS = """
    select coalesce(w.orcid, a.orcid) as orcid from work_authors w join authors a on a.author = w.author
    where w.doi = :doi and w.role = 'author' and coalesce(w.orcid, a.orcid) is not null order by w.position limit 20
"""
UNBRACKETED = re.compile(rb"(\S+); rel=\"alternate\"; type=\"application/json\+datasette\"")
ONLY_DOIS = (("_col", "doi"), ("_shape", "objects"), ("_nofacet", "1"), ("_nocount", "1"))
IGNORED = frozenset({"_col", "_nocol", "_size", "_shape", "_facet", "_facet_tags", "_labels"})


@hookimpl
def register_routes() -> list[tuple[str, Any]]:
    return [(r"^/linkset\.json$", link_set)]


@hookimpl
def asgi_wrapper() -> Callable[[App], App]:
    def wrap(app: App) -> App:
        async def wrapped(scope: Any, receive: Any, send: Any) -> None:
            links: list[Link] = []

            async def sending(message: Any) -> None:
                if message["type"] == "http.response.start":
                    message = {**message, "headers": with_links(message, links)}
                await send(message)

            await app({**scope, CARRIED: links}, receive, sending)

        return wrapped

    return wrap


def with_links(start: Any, links: list[Link]) -> list[tuple[bytes, bytes]]:
    headers = [
        (name, UNBRACKETED.sub(rb'<\1>; rel="alternate"; type="application/json"', value))
        if name.lower() == b"link"
        else (name, value)
        for name, value in start.get("headers", ())
    ]
    if links and start["status"] == 200:
        headers.append((b"link", signposts.header(links).encode("ascii")))
    return headers


@hookimpl
def extra_template_vars(datasette: Any, request: Any, database: str | None, table: str | None, view_name: str) -> Any:
    if request is None or database != NAME:
        return {}
    if table == "works" and view_name == "row":
        return lambda: gather_work(datasette, request)

    def signpost_list(rows: Iterable[Any], longer: bool) -> str:
        base = site_details.base_address(datasette, request, os.environ)
        works = [f"{base}/{NAME}/works/{tilde_encode(row['doi'])}" for row in rows]
        files = list_files(base, request.query_string)
        query = f"?{request.query_string}" if request.query_string else ""
        carry(request, signposts.of_list(works, f"{base}/linkset.json{query}", files, longer=longer))
        return ""

    return {"signpost_list": signpost_list}


async def gather_work(datasette: Any, request: Any) -> dict[str, Any]:
    db = datasette.get_database(NAME)
    doi = tilde_decode(request.url_vars["pks"])
    found = (await db.execute(WORK, {"doi": doi})).first()
    if found:
        orcids = [orcid for (orcid,) in await db.execute(ORCIDS, {"doi": doi})]
        base = site_details.base_address(datasette, request, os.environ)
        page = f"{base}/{NAME}/works/{tilde_encode(doi)}"
        carry(request, signposts.of_work(doi, found[0], found[1], orcids, page=page, download=f"{base}/download"))
    return {}


def carry(request: Any, links: list[Link]) -> None:
    carried = request.scope.get(CARRIED)
    if carried is not None:
        carried[:] = links  # a page is rendered once, or anew


def list_files(base: str, query: str) -> list[Link]:
    tail = f"?{query}" if query else ""
    return [
        Link(f"{base}/download/{name}{tail}", "describedby", FORMATS[name].media_type)
        for name in (*signposts.DATA_FORMATS, *signposts.CITATION_FORMATS)
    ]


async def link_set(datasette: Any, request: Any) -> Response:
    """The works of a list with what each is cited as; at most `SET_SIZE`, with the address of the next set."""
    pairs = [(key, text) for key, text in parse_qsl(request.query_string, keep_blank_values=True) if key not in IGNORED]
    asked = urlencode([*pairs, *ONLY_DOIS, ("_size", str(signposts.SET_SIZE))])
    answer = await datasette.client.get(f"{datasette.urls.table(NAME, 'works', format='json')}?{asked}")
    found = answer.json()
    if answer.status_code != 200:
        raise BadRequest(str(found.get("error")))
    base = site_details.base_address(datasette, request, os.environ)
    kept = [(key, text) for key, text in pairs if key != "_next"]
    anchor = f"{base}/{NAME}/works" + (f"?{urlencode(kept)}" if kept else "")
    works = [(row["doi"], f"{base}/{NAME}/works/{tilde_encode(row['doi'])}") for row in found["rows"]]
    links = [Link(page, "item", "text/html") for _, page in works]
    links += list_files(base, urlencode(kept))
    if found["next"]:
        links.append(
            Link(
                f"{base}/linkset.json?{urlencode([*kept, ('_next', found['next'])])}",
                "next",
                "application/linkset+json",
            )
        )
    sets = [
        (anchor, links),
        *((page, [Link(dois.url(doi), "cite-as")]) for doi, page in works if not dois.is_local(doi)),
    ]
    return Response(
        json.dumps(signposts.link_set(sets), ensure_ascii=False), content_type="application/linkset+json; charset=utf-8"
    )
