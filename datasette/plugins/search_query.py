"""What somebody writes into a search box, so that it is a search: an empty box lists everything, odd marks are words.

Datasette quotes each word for FTS5, but nothing is left of blanks or of a lone quotation mark, and a null or a line break cuts
a quotation in two; each is a syntax error then. In raw mode (`?_searchmode=raw`, for `or` and `near`) what FTS5 does not take
is looked for word by word. It changes the address before anybody reads it, and knows no work.
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

QUESTION = re.compile(r"/evidence/search(\.\w+)?$")
"""The ready-made question whose parameter `q` is searched for."""

EMPTY = re.compile(r'[\s"]*')
LIKE_OURS = "create virtual table words using fts5 (title, abstract, authors, container)"


@hookimpl
def asgi_wrapper() -> Callable[[App], App]:
    def wrap(app: App) -> App:
        async def wrapped(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http" and (asked := scope["query_string"]):
                scope = {**scope, "query_string": searchable(scope["path"], asked)}
            await app(scope, receive, send)

        return wrapped

    return wrap


def searchable(path: str, asked: bytes) -> bytes:
    """The query string of an address, with searches that FTS5 takes; as it was where it has none."""
    pairs = parse_qsl(asked.decode("latin-1"), keep_blank_values=True)
    ours = [key == "q" if QUESTION.search(path) else is_search(key) for key, _ in pairs]
    if not any(ours):
        return asked
    said = [(key, plain(text) if mine else text) for (key, text), mine in zip(pairs, ours, strict=True)]
    kept = [pair for pair, mine in zip(said, ours, strict=True) if not mine or not EMPTY.fullmatch(pair[1])]
    if ("_searchmode", "raw") in kept and not all(taken(text) for key, text in kept if is_search(key)):
        kept.remove(("_searchmode", "raw"))
    return urlencode(kept).encode("ascii") if kept != pairs else asked


def is_search(key: str) -> bool:
    return key == "_search" or key.startswith("_search_")


def plain(text: str) -> str:
    """On one line, with single blanks."""
    return " ".join(text.replace("\0", " ").split())


def taken(expression: str) -> bool:
    """Whether FTS5 understands this."""
    with closing(sqlite3.connect(":memory:")) as conn:
        conn.execute(LIKE_OURS)
        try:
            conn.execute("select rowid from words where words match ?", (expression,)).fetchall()
        except sqlite3.OperationalError:
            return False
    return True
