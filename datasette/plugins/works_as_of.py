"""The works as they stood at the end of a past day: `/past?as_of=2026-03-31&verdict=include`, as a page, JSON and files.

PRISMA's numbers of a past day lead here. `/evidence/works?as_of=…` leads here too: that table itself is of today. What stood
is `evidence.past`'s to say.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode

from datasette import hookimpl
from datasette.utils import tilde_encode
from datasette.utils.asgi import BadRequest, NotFound, Response

from evidence import export, past, tag_filter
from evidence.errors import ConfigError
from evidence.flow import run_of

NAME = "evidence"
SHOWN = 100
"""Records on one page."""

TODAY = re.compile(rf"/(?:{NAME}/works(?P<end>\.json|\.csv)?|download/(?P<format>[a-z-]+))$")
"""The addresses of lists of today, as a page or a file."""

TAXONOMY = "select facet, value from facets order by facet, position"
KEYS = (
    "doi",
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
KNOWN = frozenset({"as_of", "verdict", "decided", "why", "conflict", "_tag", "page"})

App = Callable[[Any, Any, Any], Awaitable[None]]


@hookimpl
def register_routes() -> list[tuple[str, Any]]:
    return [(r"^/past$", page), (r"^/past\.json$", as_json), (r"^/past/(?P<format>[a-z-]+)$", download)]


@hookimpl
def asgi_wrapper(datasette: Any) -> Callable[[App], App]:
    """A list of works that asks for a day is one of the past: the table would not mind the question, and show today."""

    def wrap(app: App) -> App:
        async def wrapped(scope: Any, receive: Any, send: Any) -> None:
            of_a_day = scope["type"] == "http" and b"as_of=" in scope.get("query_string", b"")
            if of_a_day and (asked := TODAY.search(scope["path"])):
                format_ = "csv" if asked["end"] == ".csv" else asked["format"]
                leads_to = datasette.urls.path(f"/past/{format_}" if format_ else f"/past{asked['end'] or ''}")
                query = scope["query_string"].decode("latin-1")
                await Response.redirect(f"{leads_to}?{query}").asgi_send(send)
                return
            await app(scope, receive, send)

        return wrapped

    return wrap


async def page(datasette: Any, request: Any) -> Response:
    day, wanted = await read(datasette, request.query_string)
    number = request.args.get("page") or "1"
    if not number.isdecimal() or not 0 < int(number) < 10**6:
        raise BadRequest(f"page={number!r} is no page; pages are counted from 1")
    start = (int(number) - 1) * SHOWN
    count, rows = await rows_of(datasette, day, wanted, start, SHOWN)
    pairs = [(key, text) for key, text in parse_qsl(request.query_string) if key != "page"]
    context = {
        "day": day,
        "wanted": wanted,
        "tags": [str(tag) for tag in wanted.tags],
        "count": count,
        "rows": [
            {**row, "address": f"{datasette.urls.table(NAME, 'works')}/{tilde_encode(row['doi'])}"} for row in rows
        ],
        "query": urlencode(pairs),
        "last": f"?{urlencode([*pairs, ('page', int(number) - 1)])}" if start else None,
        "next": f"?{urlencode([*pairs, ('page', int(number) + 1)])}" if start + SHOWN < count else None,
        "formats": tuple(export.FORMATS),
    }
    return Response.html(await datasette.render_template("works_as_of.html", context, request=request))


async def as_json(datasette: Any, request: Any) -> Response:
    """All records of the list, with the facts of that day."""
    day, wanted = await read(datasette, request.query_string)
    _, rows = await rows_of(datasette, day, wanted, 0, None)
    return Response.json({"as_of": day, "rows": [{key: row[key] for key in KEYS} for row in rows]})


async def download(datasette: Any, request: Any) -> Response:
    """The list as a file."""
    form = export.FORMATS.get(request.url_vars["format"])
    if form is None:
        raise NotFound(f"There are files in these formats: {', '.join(export.FORMATS)}")
    day, wanted = await read(datasette, request.query_string)
    _, rows = await rows_of(datasette, day, wanted, 0, None)
    chunks = export.csv_rows(rows, past=True) if form.write is export.csv_rows else form(rows)
    headers = {"content-disposition": f'attachment; filename="works-{day}.{form.extension}"'}
    return Response("".join(chunks), content_type=f"{form.media_type}; charset=utf-8", headers=headers)


async def read(datasette: Any, query: str) -> tuple[str, past.Wanted]:
    """The day and the list that an address asks for; BadRequest says in a sentence what it cannot be asked."""
    pairs = parse_qsl(query, keep_blank_values=True)
    one = dict(pairs)
    if unknown := sorted({key for key, _ in pairs} - KNOWN):
        raise BadRequest(f"a list of a past day takes {', '.join(sorted(KNOWN))}; it has no {unknown[0]!r}")
    verdicts = tuple(text for key, text in pairs if key == "verdict")
    for text in verdicts:
        if text not in past.VERDICTS:
            raise BadRequest(f"verdict={text!r} is none; there are {', '.join(past.VERDICTS)}")
    if one.get("decided") not in (None, "rule", "person") or one.get("conflict") not in (None, "1"):
        raise BadRequest("decided is rule or person, and conflict is 1")
    texts = [text for key, text in pairs if key == "_tag" and text]
    rows = await datasette.get_database(NAME).execute(TAXONOMY) if texts else ()
    try:
        tags = tag_filter.read(texts, [tuple(row) for row in rows])
        day = past.check_day(one.get("as_of", ""))
    except ConfigError as error:
        raise BadRequest(str(error)) from None
    chosen = verdicts or ("include", "exclude", "unsure", "duplicate")
    return day, past.Wanted(chosen, one.get("decided"), one.get("why"), "conflict" in one, tuple(tags))


async def rows_of(
    datasette: Any, day: str, wanted: past.Wanted, start: int, most: int | None
) -> tuple[int, list[dict[str, Any]]]:
    """How many records the list has, and `most` of them from one on."""

    def found(conn: sqlite3.Connection) -> tuple[int, list[dict[str, Any]]]:
        run = run_of(conn, day)
        stood = past.listed(conn, run, wanted)
        shown = stood[start:] if most is None else stood[start : start + most]
        return len(stood), list(past.whole(conn, run, shown, day))

    answer: tuple[int, list[dict[str, Any]]] = await datasette.get_database(NAME).execute_fn(found)
    return answer
