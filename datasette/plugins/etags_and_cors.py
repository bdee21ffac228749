"""ETags of whole answers, with 304 for who has one already, and the header that lets scripts of other sites read data (CORS).

An ETag is a fingerprint of the body, so an answer 304 is always right, whatever the page depends on. Streamed files have none.
CORS is given only on a site that is for everybody (`evidence.publish.site_access.is_shared`), only to reading, and never for the
desk. `datasette-cors` is not used: it opens every path or none.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Awaitable, Callable
from typing import Any

from datasette import hookimpl

from evidence.publish import site_access

App = Callable[[Any, Any, Any], Awaitable[None]]

DATA = re.compile(r"\.(json|csv|jsono|geojson|atom)$|/download/[a-z-]+$|/past/[a-z-]+$")
"""Paths of data, as opposed to pages."""
NOT_DATA = re.compile(r"/desk(/|\.|$)|/-/(?!metadata)")
"""What scripts of other sites never read."""

CORS = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"Link, ETag, Content-Disposition"),
)


@hookimpl
def asgi_wrapper(datasette: Any) -> Callable[[App], App]:
    shared = site_access.is_shared(os.environ)

    def wrap(app: App) -> App:
        async def wrapped(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
                await app(scope, receive, send)
                return
            if shared and may_be_read(scope["path"]):
                send = with_cors(send)
            await app(scope, receive, with_etag(scope, send))

        return wrapped

    return wrap


def may_be_read(path: str) -> bool:
    """Whether scripts of other sites may read this path on a site that is for everybody."""
    return bool(DATA.search(path)) and not NOT_DATA.search(path)


def with_cors(send: Any) -> Any:
    async def sending(message: Any) -> None:
        if message["type"] == "http.response.start":
            kept = [pair for pair in message.get("headers", ()) if not pair[0].lower().startswith(b"access-control-")]
            message = {**message, "headers": [*kept, *CORS]}
        await send(message)

    return sending


def with_etag(scope: Any, send: Any) -> Any:
    """`send` that waits for the body and answers 304 where the reader has it. An answer in several parts, one for a person who is
    logged in, and one that sets a cookie pass unchanged."""
    start: Any = None

    async def sending(message: Any) -> None:
        nonlocal start
        if message["type"] == "http.response.start" and may_have_etag(scope, message):
            start = message
            return
        if start is None:
            await send(message)
            return
        first, start = start, None
        body = message.get("body", b"")
        if message.get("more_body") or (
            scope["method"] == "HEAD" and not body
        ):  # whose body is that of GET, which is not known
            await send(first)
            await send(message)
            return
        etag = f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'
        headers = [*first.get("headers", ()), (b"etag", etag.encode("ascii"))]
        if has_it(scope, etag):
            kept = [pair for pair in headers if pair[0].lower() not in (b"content-type", b"content-length")]
            await send({**first, "status": 304, "headers": kept})
            await send({"type": "http.response.body", "body": b""})
            return
        await send({**first, "headers": headers})
        await send(message)

    return sending


def may_have_etag(scope: Any, start: Any) -> bool:
    names = {name.lower(): value for name, value in start.get("headers", ())}
    personal = b"no-store" in names.get(b"cache-control", b"") or b"set-cookie" in names or b"etag" in names
    return bool(start["status"] == 200 and not personal)


def has_it(scope: Any, etag: str) -> bool:
    """Whether the reader sent this ETag; a proxy that compressed the answer may have marked it as weak."""
    sent = [value.decode("latin-1") for name, value in scope["headers"] if name.lower() == b"if-none-match"]
    known = [tag.strip().removeprefix("W/") for value in sent for tag in value.split(",")]
    return etag in known or "*" in known
