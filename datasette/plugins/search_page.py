"""The search page (`/search?q=…`), where the search boxes lead: the works that fit best, and how the search was read.

An identifier leads to the page of its work. This file only reads the database.
"""

from __future__ import annotations

import json
import sqlite3
from typing import Any
from urllib.parse import urlencode

from datasette import hookimpl
from datasette.utils import tilde_encode
from datasette.utils.asgi import Response

from evidence.publish import search_works, site_topic
from evidence.publish.query_cache import CACHE
from evidence.rules import taxonomy

NAME = "evidence"
SHOWN = 50
SCOPES = {
    "include": ("included works", ("include",)),
    "waiting": ("included works and those waiting for a decision", ("include", "unsure")),
    "all": ("all works, excluded ones and duplicate records too", ("include", "unsure", "exclude", "duplicate")),
}
"""What can be searched: its name in the address, its name for people, the verdicts."""

WORKS = """
    select w.rowid as number, w.doi, w.title, w.authors, w.container, w.year, w.verdict, w.notice
    from json_each(:rows) r cross join works w on w.rowid = r.value order by r.key
"""


@hookimpl
def register_routes() -> list[tuple[str, Any]]:
    return [(r"^/search$", search_page)]


async def search_page(datasette: Any, request: Any) -> Response:
    text = " ".join((request.args.get("q") or "").replace("\0", " ").split())[: search_works.LONGEST]
    scope = request.args.get("scope") if request.args.get("scope") in SCOPES else "include"
    db = datasette.get_database(NAME)
    context: dict[str, Any] = {
        "search": text,
        "scope": scope,
        "scopes": {key: name for key, (name, _) in SCOPES.items()},
    }
    if text:
        named = await db.execute_fn(lambda conn: search_works.works_named(conn, text))
        if len(named) == 1:
            return Response.redirect(f"{datasette.urls.table(NAME, 'works')}/{tilde_encode(named[0])}")
        if named:
            return Response.redirect(
                f"{datasette.urls.table(NAME, 'works')}?{urlencode({'doi__in': json.dumps(named)})}"
            )
        context |= await found_works(datasette, db, text, scope)
    return Response.html(await datasette.render_template("search.html", context, request=request))


async def found_works(datasette: Any, db: Any, text: str, scope: str) -> dict[str, Any]:
    """What the page shows of a search."""
    vocabulary = await CACHE.get(db.path, "vocabulary", lambda: db.execute_fn(search_works.read_vocabulary))
    files = site_topic.with_files(await site_topic.of_database(db))
    verdicts = SCOPES[scope][1]

    def search(conn: sqlite3.Connection) -> tuple[search_works.Found, dict[int, str]]:
        words = taxonomy.load(files) if files else None
        found = search_works.search(conn, text, vocabulary, words, verdicts)
        return found, search_works.contexts(conn, found)

    found, contexts = await db.execute_fn(search)
    rows = await db.execute(WORKS, {"rows": json.dumps(found.rowids[:SHOWN])})
    works = [dict(row) | {"context": contexts.get(row["number"], "").split(search_works.MARK)} for row in rows]
    dois = await db.execute(
        "select doi from works where rowid in (select value from json_each(?))", [json.dumps(found.rowids)]
    )
    missing = [unit.typed for unit in found.units if unit.unknown]
    return {
        "count": len(found.rowids),
        "most": search_works.MOST_FOUND,
        "works": works,
        "corrected": found.corrected,
        "partial": found.partial,
        "missing": missing,
        "without": " ".join(unit.typed for unit in found.units if not unit.unknown) if missing else "",
        "list_address": f"{datasette.urls.table(NAME, 'works')}?{urlencode({'doi__in': json.dumps([d for (d,) in dois])})}",
    }
