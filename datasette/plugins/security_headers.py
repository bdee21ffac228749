"""Security headers on every response (Content-Security-Policy and others), and limits on every database connection.

Titles and abstracts are untrusted text. Templates escape them; these headers are a second line of defence. This file does not
decide who may see what.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any

from datasette import handle_exception, hookimpl

INLINE_SCRIPTS = (
    "sha256-fyi5q99UcdjzV8X7vfr/UYD4dsV4ViDDhotcy8GQ6PM=",
    "sha256-uEjwHx6B6TylDkwnKXY5NeNNPyI38FvghD4BDhzZMRc=",
)
"""Hashes of Datasette 0.65's inline scripts (facet menu, SQL editor). The site has none of its own."""

INLINE_STYLES = (
    "sha256-TXfZa2iEDh7RjLEkHF0hbLRi6v8RqRhS7It7YMbLtOE=",
    "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    "sha256-38xqj8N9cygggde3AvM+xVgS15DUXTOhM9fjk0hLOS0=",
    "sha256-r1FXztyXW/vLyxt4f02DmaAr7AjgbhiHt45+6+t3V3M=",
)
"""Hashes of the inline styles of Datasette 0.65's SQL editor (one of its page, two that its script adds, the first of them empty)
and of the login form of datasette-auth-passwords. The site has none of its own, and no style attributes."""

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self' " + " ".join(f"'{digest}'" for digest in INLINE_SCRIPTS),
        "style-src 'self' " + " ".join(f"'{digest}'" for digest in INLINE_STYLES),
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
    # Not no-referrer: then a browser sends the site's own forms with the origin null, which is what a foreign form has.
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
_HEADER_NAMES = frozenset(name for name, _ in HEADERS)

LENGTH_LIMIT = 10_000_000
"""Maximum size of one text or blob, in bytes. Without it `zeroblob(400000000)` takes 2 GB and cannot be interrupted."""

App = Callable[[Any, Any, Any], Awaitable[None]]


@hookimpl
def startup() -> None:
    # If `rich` is installed, Datasette prints every variable of every frame for each unknown address, and fails when no route
    # matches (rich needs an active exception).
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
                    kept = [pair for pair in message.get("headers", []) if pair[0].lower() not in _HEADER_NAMES]
                    message = {**message, "headers": [*kept, *HEADERS]}
                await send(message)

            await app(scope, receive, send_with_headers)

        return wrapped

    return wrap
