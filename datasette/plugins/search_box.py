"""Makes every text in a search box a valid full-text search (FTS5). An empty search lists everything.

Datasette quotes each word for FTS5. Blanks or a single quotation mark leave nothing to search for, and a null character or a
line break splits a quotation; each would be a syntax error. In raw mode (`?_searchmode=raw`, for `or` and `near`), an expression
that FTS5 rejects is searched word by word. Only the query string of the address is changed, before Datasette reads it.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from typing import Any
from urllib.parse import parse_qsl, urlencode

from datasette import hookimpl

App = Callable[[Any, Any, Any], Awaitable[None]]

SEARCH_QUERY = re.compile(r"/evidence/search(\.\w+)?$")
"""The ready-made query whose parameter `q` is a search."""

EMPTY = re.compile(r'[\s"]*')
INDEX_LIKE_OURS = "create virtual table works using fts5 (title, abstract, authors, container)"


@hookimpl
def asgi_wrapper() -> Callable[[App], App]:
    def wrap(app: App) -> App:
        async def wrapped(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http" and (query := scope["query_string"]):
                scope = {**scope, "query_string": valid_search(scope["path"], query)}
            await app(scope, receive, send)

        return wrapped

    return wrap


def valid_search(path: str, query: bytes) -> bytes:
    """The query string with valid searches; unchanged if it has no search."""
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    searches = [key == "q" if SEARCH_QUERY.search(path) else is_search(key) for key, _ in pairs]
    if not any(searches):
        return query
    cleaned = [(key, one_line(text) if search else text) for (key, text), search in zip(pairs, searches, strict=True)]
    kept = [pair for pair, search in zip(cleaned, searches, strict=True) if not search or not EMPTY.fullmatch(pair[1])]
    if ("_searchmode", "raw") in kept and not all(is_valid(text) for key, text in kept if is_search(key)):
        kept.remove(("_searchmode", "raw"))
    return urlencode(kept).encode("ascii") if kept != pairs else query


def is_search(key: str) -> bool:
    """Whether this parameter of a table page is a search."""
    return key == "_search" or key.startswith("_search_")


def one_line(text: str) -> str:
    """The text on one line, with single blanks."""
    return " ".join(text.replace("\0", " ").split())


def is_valid(expression: str) -> bool:
    """Whether FTS5 accepts this expression."""
    with closing(sqlite3.connect(":memory:")) as conn:
        conn.execute(INDEX_LIKE_OURS)
        try:
            conn.execute("select rowid from works where works match ?", (expression,)).fetchall()
        except sqlite3.OperationalError:
            return False
    return True
