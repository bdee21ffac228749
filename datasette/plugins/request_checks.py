"""Refuses requests that another site made a browser send or that cannot be read, limits tries at a password, and keeps raw
records from visitors.

The rules are in `evidence.publish.site_access`; `evidence serve` says in the environment which host names the site answers to,
and whether it is public. This file does not know who a request is from: that is Datasette's cookie, and the desk.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from datasette import hookimpl
from datasette.utils.asgi import Base400, Response
from datasette.views.base import DatasetteError

from evidence.publish import site_access

App = Callable[[Any, Any, Any], Awaitable[None]]

READING = ("GET", "HEAD", "OPTIONS", "TRACE")
"""Methods that change nothing."""
PASSWORD_FORMS = ("/-/login", "/-/password-tool")
OWN_CODE = frozenset({"evidence", *(path.stem for path in Path(__file__).parent.glob("*.py"))})
"""The package, and the site's plugins."""
LARGEST_LOGIN = 10_000
"""Bytes."""

OTHER_HOST = (
    "This site does not answer to that host name; open it at the address that `evidence serve` printed, or allow the name with "
    "--allow-host."
)
OTHER_ORIGIN = "The form was not sent from a page of this site, so nothing was saved."
UNREADABLE = "A parameter in this address cannot be read."
NO_FORMS = "This page only shows what is here; it takes no forms. Ask for it with GET, and put filters in the address."
TOO_MANY = "Too many tries at a password; wait {minutes} before the next."


@hookimpl(trylast=True)  # outermost, so that no other plugin sees a request that is refused
def asgi_wrapper() -> Callable[[App], App]:
    allowed = site_access.hosts_in(os.environ)
    attempts = site_access.Attempts()

    def wrap(app: App) -> App:
        async def wrapped(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] not in ("http", "websocket"):
                await app(scope, receive, send)
                return
            hosts = header(scope, b"host")
            if allowed and not (len(hosts) == 1 and site_access.host_is_allowed(hosts[0], allowed)):
                await refuse(send, 421, OTHER_HOST)
                return
            send = with_safe_cookies(scope, send)
            if scope.get("method") in READING:
                await app(scope, receive, send)
                return
            origin, referer = (next(iter(header(scope, name)), None) for name in (b"origin", b"referer"))
            if not site_access.sent_from_here(origin, referer, next(iter(hosts), None)):
                await refuse(send, 403, OTHER_ORIGIN)
                return
            scope = without_bearer_token(scope)
            if scope["path"].endswith(PASSWORD_FORMS):
                await try_password(app, scope, receive, send, attempts)
                return
            await app(scope, receive, send)

        return wrapped

    return wrap


@hookimpl
def handle_exception(datasette: Any, request: Any, exception: Exception) -> Any:
    """An answer 400 where Datasette fails to read a parameter in the address, and 405 where it fails because somebody sent a form
    to a list or a query; its own would be 500. An error in the site's own code stays an error, but for what SQLite does not
    take. Datasette prints the traceback as before."""
    of_a_list = {"database", "table"} <= request.url_vars.keys() and "/-/" not in request.path
    worded = isinstance(exception, (Base400, DatasetteError))
    if of_a_list and request.method not in READING and not worded and not in_own_code(exception):
        return refusal(datasette, request, NO_FORMS, 405, {"allow": "GET, HEAD"})
    refused = isinstance(exception, DatasetteError) and exception.status == 500  # such as an unknown column in `_sort`
    too_odd = isinstance(exception, OverflowError) or "null character" in str(exception)  # for SQLite
    said = str(exception) if refused else UNREADABLE
    unreadable = (
        refused
        or too_odd
        or (isinstance(exception, (ValueError, TypeError, KeyError, IndexError)) and not in_own_code(exception))
    )
    return refusal(datasette, request, said, 400, {}) if request.query_string and unreadable else None


async def refusal(datasette: Any, request: Any, said: str, status: int, headers: dict[str, str]) -> Response:
    page = {"title": None, "error": said, "status": status, "ok": False}
    if request.path.endswith(".json"):
        return Response.json(page, status=status, headers=headers)
    html = await datasette.render_template("error.html", page, request=request)
    return Response.html(html, status=status, headers=headers)


def in_own_code(exception: BaseException) -> bool:
    """Whether the site's code raised it, or called what raised it, and not Datasette."""
    packages = []
    frame = exception.__traceback__
    while frame is not None:
        packages.append(str(frame.tb_frame.f_globals.get("__name__", "")).partition(".")[0])
        frame = frame.tb_next
    deepest = [package for package in packages if package == "datasette" or package in OWN_CODE]
    return bool(deepest) and deepest[-1] in OWN_CODE


@hookimpl(trylast=True)  # SQLite has one authorizer for each connection: the last one set
def prepare_connection(conn: sqlite3.Connection) -> None:
    if os.environ.get(site_access.PUBLIC):
        site_access.hide_raw_records(conn)


@hookimpl(tryfirst=True)
def permission_allowed(action: str, resource: Any) -> bool | None:
    closed = action == "view-table" and resource[1] in site_access.CLOSED_TABLES
    return False if closed and os.environ.get(site_access.PUBLIC) else None


def header(scope: Any, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name]


def without_bearer_token(scope: Any) -> Any:
    """The request without its bearer token, if a cookie says who it is from: with any bearer token, Datasette would not ask for
    the token of the form."""
    if not header(scope, b"cookie"):
        return scope
    kept = [pair for pair in scope["headers"] if pair[0].lower() != b"authorization"]
    return {**scope, "headers": kept}


def with_safe_cookies(scope: Any, send: Any) -> Any:
    """No script reads the cookie that says who somebody is, and over https it is never sent without."""

    def flagged(value: bytes) -> bytes:
        given = value.lower()
        value += b"" if b"httponly" in given else b"; HttpOnly"
        return value if b"secure" in given or scope.get("scheme") != "https" else value + b"; Secure"

    async def sending(message: Any) -> None:
        if message["type"] == "http.response.start":
            headers = [
                (name, flagged(value) if name.lower() == b"set-cookie" and value.startswith(b"ds_actor=") else value)
                for name, value in message.get("headers", ())
            ]
            message = {**message, "headers": headers}
        await send(message)

    return sending


async def try_password(app: App, scope: Any, receive: Any, send: Any, attempts: site_access.Attempts) -> None:
    body = b""
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > LARGEST_LOGIN:
            await refuse(send, 413, "The form is too large.")
            return
    name = parse_qs(body.decode("utf-8", "replace")).get("username", [""])[-1]
    keys = [f"address {(scope.get('client') or ('',))[0]}", *([f"name {name}"] if name else [])]
    seconds = attempts.start(keys, time.monotonic())
    if seconds:
        minutes = -(-seconds // 60)
        said = TOO_MANY.format(minutes="a minute" if minutes == 1 else f"{minutes} minutes")
        await refuse(send, 429, said, (b"retry-after", str(seconds).encode()))
        return

    async def again() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def watching(message: Any) -> None:
        if message["type"] == "http.response.start" and message["status"] == 302:
            attempts.succeeded(keys)
        await send(message)

    await app(scope, again, watching)


async def refuse(send: Any, status: int, sentence: str, *headers: tuple[bytes, bytes]) -> None:
    start = [(b"content-type", b"text/plain; charset=utf-8"), (b"x-content-type-options", b"nosniff"), *headers]
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": f"{sentence}\n".encode()})
