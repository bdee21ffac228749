"""What a page may do and what a query may cost: response headers and limits on every connection.

Titles and abstracts are strangers' text. Templates escape them; these headers are the second wall. Nothing here decides who
may see what.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any

from datasette import handle_exception, hookimpl

INLINE_SCRIPTS = (
    "sha256-DMtesc2dB3xCZhCWIkDIjRY30AJia2dU9R83J/BG2Y4=",
    "sha256-fyi5q99UcdjzV8X7vfr/UYD4dsV4ViDDhotcy8GQ6PM=",
    "sha256-uEjwHx6B6TylDkwnKXY5NeNNPyI38FvghD4BDhzZMRc=",
)
"""Datasette 0.65's own inline scripts (menus, facet menu, SQL editor). We have none; a test recomputes these."""

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self' " + " ".join(f"'{digest}'" for digest in INLINE_SCRIPTS),
        "style-src 'self' 'unsafe-inline'",  # Datasette's tables carry style attributes; styles cannot run anything
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)

HEADERS = (
    (b"content-security-policy", POLICY.encode("ascii")),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
_OURS = frozenset(name for name, _ in HEADERS)

LENGTH_LIMIT = 10_000_000
"""Bytes of one text or blob. Without it `zeroblob(400000000)` takes 2 GB and cannot be interrupted."""

App = Callable[[Any, Any, Any], Awaitable[None]]


@hookimpl
def startup() -> None:
    # Where `rich` happens to be installed, Datasette prints every variable of every frame for each mistyped address, and
    # fails outright (rich wants an active exception) where no route matches at all.
    handle_exception.rich = None


@hookimpl
def prepare_connection(conn: sqlite3.Connection) -> None:
    conn.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LENGTH_LIMIT)
    conn.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)


@hookimpl
def asgi_wrapper() -> Callable[[App], App]:
    def wrap(app: App) -> App:
        async def wrapped(scope: Any, receive: Any, send: Any) -> None:
            async def send_with_headers(message: Any) -> None:
                if message["type"] == "http.response.start":
                    kept = [pair for pair in message.get("headers", []) if pair[0].lower() not in _OURS]
                    message = {**message, "headers": [*kept, *HEADERS]}
                await send(message)

            await app(scope, receive, send_with_headers)

        return wrapped

    return wrap
