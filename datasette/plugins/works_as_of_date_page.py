"""The list of works as of a past day, run or version: `/past?as_of=2026-03-31&verdict=include`, as a page, as JSON and as files.

The PRISMA numbers of a past day link to this list, and `/evidence/works?as_of=…` redirects to it, because that table only
holds the works of today. `evidence.export.works_as_of_date` reconstructs the list; this file reads the filters and formats
the result.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode

from datasette import hookimpl
from datasette.utils import tilde_encode
from datasette.utils.asgi import BadRequest, NotFound, Response

from evidence.database import tag_filter
from evidence.database.read_versions import PastState, state_named
from evidence.errors import ConfigError
from evidence.export import abstract_rights, file_formats, works_as_of_date
from evidence.publish import downloads, site_details

NAME = "evidence"
PAGE_SIZE = 100
"""Records on one page."""

LISTS_OF_TODAY = re.compile(rf"/(?:{NAME}/works(?P<end>\.json|\.csv)?|download/(?P<format>[a-z-]+))$")
"""Addresses of the list of works of today, as a page or a file."""

OF_PAST_STATES = re.compile(r"/(?:prisma[^/]*|past(?:\.json|/[^/]+)?)$")
"""The pages that show past states."""
ONLY_TODAY = (
    "This page has only the state of today, so it is not shown as of another. The PRISMA flow (/prisma?as_of=…) and lists of "
    "works (/past?as_of=…) show past states; `evidence rewind` makes a database of a version, for every page.\n"
)

TAXONOMY = "select facet, value from facets order by facet, position"
JSON_KEYS = (
    "doi",
    "local_id",
    "title",
    "authors",
    "container",
    "year",
    "verdict",
    "decided",
    "same_as",
    "why",
    "conflict",
    "notice",
    "gone",
)
PARAMETERS = frozenset({"as_of", "verdict", "decided", "why", "conflict", "_tag", "_strength", "page"})

App = Callable[[Any, Any, Any], Awaitable[None]]


@hookimpl
def register_routes() -> list[tuple[str, Any]]:
    return [(r"^/past$", works_page), (r"^/past\.json$", as_json), (r"^/past/(?P<format>[a-z-]+)$", download)]


@hookimpl
def asgi_wrapper(datasette: Any) -> Callable[[App], App]:
    """Redirects a list of works with `as_of` to the list of that day: the table ignores `as_of` and would show today. Other
    pages would ignore it, too, so they are refused."""

    def wrap(app: App) -> App:
        async def wrapped(scope: Any, receive: Any, send: Any) -> None:
            of_a_day = scope["type"] == "http" and b"as_of=" in scope.get("query_string", b"")
            if of_a_day and (found := LISTS_OF_TODAY.search(scope["path"])):
                format_ = "csv" if found["end"] == ".csv" else found["format"]
                target = datasette.urls.path(f"/past/{format_}" if format_ else f"/past{found['end'] or ''}")
                query = scope["query_string"].decode("latin-1")
                await Response.redirect(f"{target}?{query}").asgi_send(send)
                return
            if of_a_day and not OF_PAST_STATES.search(scope["path"]):
                await Response.text(ONLY_TODAY, status=400).asgi_send(send)
                return
            await app(scope, receive, send)

        return wrapped

    return wrap


async def works_page(datasette: Any, request: Any) -> Response:
    state, wanted = await requested_filter(datasette, request.query_string)
    number = request.args.get("page") or "1"
    if not number.isdecimal() or not 0 < int(number) < 10**6:
        raise BadRequest(f"page={number!r} is not a page number; pages are counted from 1")
    start = (int(number) - 1) * PAGE_SIZE
    count, rows = await rows_of(datasette, state, wanted, start, PAGE_SIZE)
    pairs = [(key, text) for key, text in parse_qsl(request.query_string) if key != "page"]
    context = {
        "state": state,
        "as_of": dict(pairs)["as_of"],
        "wanted": wanted,
        "tags": [str(tag) for tag in wanted.tags],
        "count": count,
        "rows": [
            {**row, "address": f"{datasette.urls.table(NAME, 'works')}/{tilde_encode(row['doi'] or row['local_id'])}"}
            for row in rows
        ],
        "query": urlencode(pairs),
        "last": f"?{urlencode([*pairs, ('page', int(number) - 1)])}" if start else None,
        "next": f"?{urlencode([*pairs, ('page', int(number) + 1)])}" if start + PAGE_SIZE < count else None,
        "formats": tuple(downloads.offered(past=True)),
    }
    return Response.html(await datasette.render_template("works_as_of_date.html", context, request=request))


async def as_json(datasette: Any, request: Any) -> Response:
    """All records of the list, with the facts of that day."""
    state, wanted = await requested_filter(datasette, request.query_string)
    _, rows = await rows_of(datasette, state, wanted, 0, None)
    return Response.json(
        {"as_of": state.name or state.day, "rows": [{key: row[key] for key in JSON_KEYS} for row in rows]}
    )


async def download(datasette: Any, request: Any) -> Response:
    """The list in one of the export formats."""
    formats = downloads.offered(past=True)
    if (offer := formats.get(request.url_vars["format"])) is None:
        raise NotFound(f"Files come in these formats: {', '.join(formats)}")
    form = offer.file
    state, wanted = await requested_filter(datasette, request.query_string)
    address = site_details.of_environment(os.environ).address
    of_version = state.version is not None
    layout = await datasette.get_database(NAME).execute_fn(
        lambda conn: downloads.layout(conn, offer, past=True, past_tags=of_version, address=address)
    )
    _, rows = await rows_of(datasette, state, wanted, 0, None, tag_rows=form.needs_tag_rows(layout))
    chunks = form(rows, layout)
    name = re.sub(r"[^A-Za-z0-9.-]+", "-", state.name or state.day)
    headers = {"content-disposition": f'attachment; filename="works-{name}.{form.extension}"'}
    return Response(b"".join(file_formats.encode(chunks)), content_type=form.content_type, headers=headers)


async def requested_filter(datasette: Any, query: str) -> tuple[PastState, works_as_of_date.AsOfFilter]:
    """The state and the filters in an address; BadRequest names the parameter that is not valid."""
    pairs = parse_qsl(query, keep_blank_values=True)
    one = dict(pairs)
    if unknown := sorted({key for key, _ in pairs} - PARAMETERS):
        raise BadRequest(
            f"a list of a past day has no parameter {unknown[0]!r}; it takes {', '.join(sorted(PARAMETERS))}"
        )
    verdicts = tuple(text for key, text in pairs if key == "verdict")
    for text in verdicts:
        if text not in works_as_of_date.VERDICTS:
            raise BadRequest(f"verdict={text!r} is not valid; choose one of {', '.join(works_as_of_date.VERDICTS)}")
    if one.get("decided") not in (None, "rule", "person") or one.get("conflict") not in (None, "1"):
        raise BadRequest("decided must be rule or person, and conflict must be 1")
    texts = [text for key, text in pairs if key == "_tag" and text]
    rows = await datasette.get_database(NAME).execute(TAXONOMY) if texts else ()
    try:
        tags = tag_filter.parse_checked(texts, [tuple(row) for row in rows])
        strengths = tag_filter.parse_strengths(",".join(text for key, text in pairs if key == "_strength"))
        as_of = one.get("as_of", "")
        state = await datasette.get_database(NAME).execute_fn(lambda conn: state_named(conn, as_of, "as_of"))
    except ConfigError as error:
        raise BadRequest(str(error)) from None
    chosen = verdicts or ("include", "exclude", "unsure", "duplicate")
    return state, works_as_of_date.AsOfFilter(
        chosen, one.get("decided"), one.get("why"), "conflict" in one, tuple(tags), strengths=strengths
    )


async def rows_of(
    datasette: Any,
    state: PastState,
    wanted: works_as_of_date.AsOfFilter,
    start: int,
    most: int | None,
    *,
    tag_rows: bool = False,
) -> tuple[int, list[dict[str, Any]]]:
    """The number of records in the list, and up to `most` of them (None: all) from index `start`, without abstracts that may not
    be passed on."""

    def query(conn: sqlite3.Connection) -> tuple[int, list[dict[str, Any]]]:
        matching = works_as_of_date.verdicts_as_of(conn, state.run, wanted, state.version)
        shown = matching[start:] if most is None else matching[start : start + most]
        found = works_as_of_date.rows_as_of(
            conn, state.run, shown, state.day, wanted.strengths, tag_rows=tag_rows, version=state.version
        )
        return len(matching), list(abstract_rights.LeavingOut().rows(found))

    answer: tuple[int, list[dict[str, Any]]] = await datasette.get_database(NAME).execute_fn(query)
    return answer
