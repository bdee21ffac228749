"""A Crossref on 127.0.0.1 for tests, benchmarks and crash tests: the routes, shapes and faults of the real one.

    with LoopbackCrossref(messages) as server:
        with CrossrefClient(server.url, sleep=waits.append) as crossref: ...
        server.requests                                   # every request, parsed
        server.works["10.5555/new"] = {...}               # while it runs
        server.script([Fault("500"), Fault("429", retry_after="3", when=lambda r: r.route == "list")])

Answers are shaped as recorded from Crossref between 2022 and 2026: envelope, 400 validation failures, 404 as plain text
labelled JSON, 301 with a relative un-encoded Location and no body, 500 exceptions, 504 pages of the load balancer.
Ranking is its own: a bag of words, scored by rarity, every record sharing one word counts; `query.x` are ANDed.

It does not pretend: a filter, sort or parameter outside its tables is refused as unknown, although Crossref knows more.
`python -m tests.loopback FILE.jsonl[.gz] --port 0` serves a file from a process of its own and prints the address.
"""

from __future__ import annotations

import argparse
import gzip
import json
import socket
import struct
import sys
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.loopback_works import (
    FIELDS,
    PARAMETERS,
    Breakdown,
    Message,
    Ranked,
    Refusal,
    filtered,
    first,
    in_order,
    integer,
    issued,
    parse_filter,
    ranked,
    selected,
)

Route = Literal["list", "single", "agency", "transform", "other"]
Kind = Literal[
    "raw", "429", "403", "500", "504", "503", "timeout", "drop", "reset", "truncated", "html", "drip", "gzip",
    "bomb", "oversized", "wrong", "empty", "headers-only", "short",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Request:
    """One request as received. `doi` is decoded, for the routes below /works/; `params` keeps the last of repeated keys."""

    method: str
    path: str
    params: dict[str, str]
    headers: dict[str, str]
    route: Route
    doi: str | None
    at: float

    @property
    def dois(self) -> tuple[str, ...]:
        """The DOIs of a `filter=doi:a,doi:b` batch, else empty."""
        return tuple(value for name, value in parse_filter(self.params.get("filter", "")) if name == "doi")


@dataclass(slots=True)
class Fault:
    """What goes wrong, instead of or upon the answer, for the next `times` requests that `when` accepts (None: for ever).

    | kind | what the client sees |
    |---|---|
    | `429` | HTML or nothing; `retry_after` as given (seconds or HTTP date) or absent |
    | `403` `500` `503` `504` | a plain refusal; Crossref's exception JSON; the load balancer's pages |
    | `raw` | `status`, `headers` and `body` exactly as given |
    | `timeout` | silence for `seconds`, then the connection closes |
    | `drop` `reset` | the connection closes before, or is reset amid, the answer |
    | `truncated` | the true answer cut in half under a full Content-Length (`seconds`>0: under none) |
    | `html` `empty` | a web page, or nothing, under 200 |
    | `drip` | the true answer with blanks behind it, `seconds` apart, without an end (or `size` of them) |
    | `gzip` | the true answer, gzipped (no fault: Crossref does this) |
    | `bomb` `oversized` | `size` bytes of white space inside JSON, gzipped or not |
    | `wrong` | the record `doi` instead of the one asked for |
    | `headers-only` | a Content-Length and then nothing for `seconds` |
    | `short` | a list with only the first `size` rows of its page under the true total |
    """

    kind: Kind
    times: int | None = 1
    when: Callable[[Request], bool] | None = None
    retry_after: str | None = None
    seconds: float = 0.0
    size: int = 0
    doi: str | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer before it is sent."""

    status: int
    body: bytes
    kind: str = "application/json;charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


class LoopbackCrossref:
    """The server; a context manager. `works`, `aliases` and `agencies` may be changed, or replaced, while it runs.

    `meanwhile`, where set, is called with each list request before it is answered: the world may change then (records are
    added, index dates move). `rearrange`, where set, is given what a list ranked by relevance found, best first, and
    returns it in another order, as a ranking may change between two requests.

    `works` maps DOI → message (keys and look-ups in lower case). `rate` gives the `x-rate-limit-…` pair per class, or None
    for no such headers; the default is so high that a paced client does not wait. `enforce=True` answers 429 beyond it.
    """

    def __init__(
        self,
        works: Iterable[Message] | Mapping[str, Message] = (),
        *,
        aliases: Mapping[str, str] | None = None,
        agencies: Mapping[str, str] | None = None,
        rate: tuple[str, str] | None = ("10000", "1s"),
        pool: str | None = None,
        enforce: bool = False,
        compress: bool = False,
        port: int = 0,
    ) -> None:
        self.works: dict[str, Message] = (
            {doi.lower(): work for doi, work in works.items()}
            if isinstance(works, Mapping)
            else {work["DOI"].lower(): work for work in works}
        )
        self.aliases: dict[str, str] = {old.lower(): new for old, new in (aliases or {}).items()}
        self.agencies: dict[str, str] = {doi.lower(): label for doi, label in (agencies or {}).items()}
        self.rate = rate
        self.pool = pool
        self.enforce = enforce
        self.compress = compress
        self.meanwhile: Callable[[Request], None] | None = None
        self.rearrange: Callable[[Ranked], Ranked] | None = None
        self.requests: list[Request] = []
        self.connections = 0
        self.refused = 0
        self._faults: list[Fault] = []
        self._arrivals: dict[str, deque[float]] = {"array": deque(), "single": deque()}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.crossref = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stops serving and frees the port; sleeping faults wake up."""
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def script(self, faults: Iterable[Fault]) -> None:
        """Appends faults: each request meets the first one left that accepts it."""
        with self._lock:
            self._faults.extend(faults)

    def forget(self) -> None:
        """Clears the request log and the faults not yet met."""
        with self._lock:
            self.requests.clear()
            self._faults.clear()

    # What the handler calls.

    def receive(self, request: Request) -> Fault | None:
        """Logs a request and picks the fault it meets."""
        with self._lock:
            self.requests.append(request)
            for fault in self._faults:
                if fault.times == 0 or (fault.when is not None and not fault.when(request)):
                    continue
                if fault.times is not None:
                    fault.times -= 1
                return fault
            return Fault("429") if self.enforce and self._too_many(request) else None

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stopping.is_set()

    def pause(self, seconds: float) -> None:
        """Sleeps, unless the server is stopped meanwhile."""
        self._stopping.wait(seconds)

    def limits(self, request: Request) -> dict[str, str]:
        """The rate headers of an answer, in the spelling of July 2026."""
        kind = "array" if request.route == "list" else "single"
        polite = "mailto" in request.params or "mailto:" in request.headers.get("user-agent", "")
        headers = {"x-api-pool": self.pool or f"{'polite' if polite else 'public'}-{kind}"}
        if self.rate is not None:
            headers |= {"x-rate-limit-limit": self.rate[0], "x-rate-limit-interval": self.rate[1]}
        return headers if self.rate is not None or self.pool else {}

    def answer(self, request: Request) -> Reply:
        """The honest answer."""
        try:
            if request.route == "list":
                if self.meanwhile is not None:
                    self.meanwhile(request)
                return self._list(request.params)
            if request.doi is None:
                return NOT_FOUND
            return self._single(request, request.doi.lower())
        except Refusal as refusal:
            envelope = {"status": "failed", "message-type": "validation-failure", "message": [refusal.failure]}
            return Reply(400, json.dumps(envelope).encode())
        except Breakdown as breakdown:
            return _exception(str(breakdown))

    def _too_many(self, request: Request) -> bool:
        limit, interval = self.rate or ("0", "1s")
        arrivals = self._arrivals["array" if request.route == "list" else "single"]
        while arrivals and arrivals[0] <= request.at - float(interval.removesuffix("s")):
            arrivals.popleft()
        arrivals.append(request.at)
        if len(arrivals) > int(limit):
            self.refused += 1
            return True
        return False

    def _single(self, request: Request, doi: str) -> Reply:
        if extra := sorted(name for name in request.params if name.startswith("query.")):
            raise Refusal(
                "parameter-not-allowed", "query.*", f"This route does not support field query parameters {extra}"
            )
        if request.route == "agency":
            label = self.agencies.get(doi) or ("Crossref" if doi in self.works or doi in self.aliases else None)
            if label is None:
                return NOT_FOUND
            return _ok("work-agency", {"DOI": doi, "agency": {"id": label.lower(), "label": label}})
        if doi in self.aliases:
            # As recorded: relative, un-encoded, no body. Raw UTF-8 goes into the header as latin-1 carries it.
            return Reply(301, b"", "", {"Location": f"/works/{self.aliases[doi]}".encode().decode("latin-1")})
        if doi not in self.works:
            return NOT_FOUND
        if request.route == "transform":
            return self._transform(request, self.works[doi])
        return _ok("work", self.works[doi])

    def _transform(self, request: Request, work: Message) -> Reply:
        accept = request.headers.get("accept", "")
        if not accept.startswith("text/x-bibliography"):
            return Reply(406, b"Not acceptable", "text/plain")
        if "style = no-such-style" in accept:
            return Reply(500, b"<h1>Internal Server Error</h1>", "text/html")
        names = ", ".join(author.get("family", author.get("name", "")) for author in work.get("author", ()))
        text = f"{names} ({issued(work)[:4]}). {first(work.get('title'))}. https://doi.org/{work['DOI']}\n"
        return Reply(200, text.encode(), "text/x-bibliography")

    def _list(self, params: Mapping[str, str]) -> Reply:
        for name in params:
            if name not in PARAMETERS and name.removeprefix("query.") not in FIELDS:
                raise Refusal("parameter-not-allowed", name, f"This route does not support {name}")
        rows, offset = integer(params, "rows", 20, 1000), integer(params, "offset", 0, 10000)
        sample = integer(params, "sample", 0, 100)
        if rows + offset > 10_000:
            raise Refusal("integer-not-valid", str(offset), "Offset and rows together must not be more than 10000.")
        found = ranked(params, filtered(self.works, params.get("filter", "")))
        if self.rearrange is not None and "sort" not in params:
            found = self.rearrange(found)
        found = in_order(found, params)
        cursor = params.get("cursor")
        if cursor is not None:
            # A scroll: every page names the same next cursor while the items advance (recorded).
            offset = self._scrolled(cursor, rows)
        if sample:
            found, rows = found[:sample], sample
        items = [work if score is None else work | {"score": score} for work, score in found[offset : offset + rows]]
        if "select" in params:
            items = [{name: item[name] for name in selected(params["select"]) if name in item} for item in items]
        message: Message = {"facets": {}} | ({"next-cursor": SCROLL} if cursor is not None else {})
        message |= {"total-results": len(found), "items": items, "items-per-page": rows}
        return _ok("work-list", message | {"query": {"start-index": offset, "search-terms": params.get("query")}})

    def _scrolled(self, cursor: str, rows: int) -> int:
        if cursor not in ("*", SCROLL):
            raise Refusal("cursor-invalid", cursor, "Cursor specified but it is invalid")
        position = 0 if cursor == "*" else getattr(self, "_scroll", 0)
        self._scroll = position + rows
        return position


SCROLL = "DnF1ZXJ5VGhlbkZldGNoAAAAAAAAAA=="
NOT_FOUND = Reply(404, b"Resource not found.")
GATEWAY = (
    b"<html>\r\n<head><title>504 Gateway Time-out</title></head>\r\n<body>\r\n"
    b"<center><h1>504 Gateway Time-out</h1></center>\r\n</body>\r\n</html>\r\n"
)


def _ok(kind: str, message: Message) -> Reply:
    envelope = {"status": "ok", "message-type": kind, "message-version": "1.0.0", "message": message}
    return Reply(200, json.dumps(envelope, separators=(",", ":")).encode(), "application/json")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    crossref: LoopbackCrossref

    def process_request(self, request: Any, client_address: Any) -> None:
        self.crossref.connections += 1
        super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up in the middle is part of the game; anything else is shown."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "Jetty(9.4.40.v20210413)"
    sys_version = ""
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing on stderr: `requests` is the log."""

    def do_GET(self) -> None:
        crossref = self.server.crossref
        request = self._parsed()
        if request.path.startswith("/10."):
            # doi.org's part in content negotiation: on to the registration agency.
            self._send(request, Reply(302, b"", "", {"Location": f"/v1/works{request.path}/transform"}))
            return
        fault = crossref.receive(request)
        if fault is None or fault.kind == "gzip":
            self._send(request, crossref.answer(request), compress=fault is not None or crossref.compress)
        else:
            self._fail(request, fault)

    do_HEAD = do_GET  # noqa: N815

    def _parsed(self) -> Request:
        parts = urlsplit(self.path)
        path = parts.path.removeprefix("/v1")
        params = dict(parse_qsl(parts.query, keep_blank_values=True))
        headers = {name.lower(): value for name, value in self.headers.items()}
        route: Route = "other"
        doi = None
        if path.rstrip("/") == "/works":
            route = "list"
        elif path.startswith("/works/"):
            raw, route = path.removeprefix("/works/"), "single"
            # Looked at before decoding: a DOI may itself end in an encoded "/agency".
            if raw.endswith("/agency"):
                raw, route = raw.removesuffix("/agency"), "agency"
            elif "/transform" in raw:
                raw, route = raw.partition("/transform")[0], "transform"
            doi = unquote(raw)
        return Request(self.command, parts.path, params, headers, route, doi, time.monotonic())

    def _head(self, request: Request, reply: Reply, length: int | None) -> bytes:
        lines = [f"HTTP/1.1 {reply.status} {self.responses.get(reply.status, ('Unknown',))[0]}"]
        headers = {"Date": self.date_time_string(), "Server": self.server_version} | self.server.crossref.limits(
            request
        )
        if reply.kind:
            headers["Content-Type"] = reply.kind
        if length is not None:
            headers["Content-Length"] = str(length)
        headers |= reply.headers
        return ("\r\n".join([*lines, *(f"{name}: {value}" for name, value in headers.items())]) + "\r\n\r\n").encode(
            "latin-1"
        )

    def _send(self, request: Request, reply: Reply, *, compress: bool = False) -> None:
        if compress and "gzip" in request.headers.get("accept-encoding", ""):
            headers = {**reply.headers, "Content-Encoding": "gzip"}
            reply = Reply(reply.status, gzip.compress(reply.body, 1), reply.kind, headers)
        head = self._head(request, reply, len(reply.body))
        # One send: head and body in two packets would wait for each other's acknowledgement.
        self.wfile.write(head if self.command == "HEAD" else head + reply.body)

    def _fail(self, request: Request, fault: Fault) -> None:
        self.close_connection = fault.kind in ("timeout", "drop", "reset", "truncated", "drip", "headers-only")
        plain = _plain(fault)
        if plain is not None:
            self.close_connection = fault.headers.get("Connection") == "close"
            self._send(request, plain)
            return
        honest = self.server.crossref.answer(request)
        match fault.kind:
            case "timeout":
                self.server.crossref.pause(fault.seconds)
            case "reset":
                self.wfile.write(self._head(request, honest, len(honest.body)) + honest.body[:1])
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            case "truncated":
                length = None if fault.seconds else len(honest.body)
                head = self._head(request, Reply(200, b"", honest.kind, {"Connection": "close"}), length)
                self.wfile.write(head + honest.body[: len(honest.body) // 2])
            case "headers-only":
                self.wfile.write(self._head(request, honest, len(honest.body) + 1))
                self.server.crossref.pause(fault.seconds)
            case "drip":
                self._drip(request, honest, fault.seconds, fault.size)
            case "bomb" | "oversized":
                self._flood(request, fault)
            case "short":
                answer = json.loads(honest.body)
                answer["message"]["items"] = answer["message"]["items"][: fault.size]
                self._send(request, Reply(200, json.dumps(answer).encode(), "application/json"))
            case "wrong":
                other = self.server.crossref.works[(fault.doi or "").lower()]
                self._send(request, _ok("work", other) if request.route != "list" else _listed([other]))

    def _drip(self, request: Request, honest: Reply, seconds: float, size: int) -> None:
        self.wfile.write(self._head(request, Reply(200, b"", honest.kind, {"Connection": "close"}), None))
        self.wfile.write(honest.body)
        sent = 0
        while not self.server.crossref.stopping and (not size or sent < size):
            self.wfile.write(b" ")
            self.server.crossref.pause(seconds)
            sent += 1

    def _flood(self, request: Request, fault: Fault) -> None:
        """`{` and then `size` blanks, without ever holding them; `bomb` sends them deflated."""
        squeeze = zlib.compressobj(wbits=31) if fault.kind == "bomb" else None
        headers = {"Connection": "close"} | ({"Content-Encoding": "gzip"} if squeeze else {})
        self.close_connection = True
        self.wfile.write(self._head(request, Reply(200, b"", "application/json", headers), None))
        block = b" " * 65536
        for count in range(fault.size // len(block) + 1):
            part = b"{" + block if count == 0 else block
            self.wfile.write(squeeze.compress(part) if squeeze else part)
        if squeeze:
            self.wfile.write(squeeze.flush())


def _plain(fault: Fault) -> Reply | None:
    """The faults that are an answer of their own."""
    after = {"Retry-After": fault.retry_after} if fault.retry_after is not None else {}
    match fault.kind:
        case "raw":
            return Reply(fault.status, fault.body, "", fault.headers)
        case "429":
            return Reply(429, b"<h1>429 Too Many Requests</h1>", "text/html", after)
        case "403":
            return Reply(403, b"Access denied. Please contact support.", "text/plain")
        case "500":
            return _exception("clojure.lang.ExceptionInfo: Response Exception")
        case "503":
            return Reply(503, b"<h1>503 Service Temporarily Unavailable</h1>", "text/html", after)
        case "504":
            return Reply(504, GATEWAY, "text/html")
        case "html":
            return Reply(200, b"<!DOCTYPE html><html><body>Log in to the network</body></html>", "text/html")
        case "empty":
            return Reply(200, b"", "application/json")
    return None


def _exception(description: str) -> Reply:
    problem = {"name": "class " + description.partition(":")[0], "description": description, "stack": []}
    envelope = {"status": "error", "message-type": "exception", "message-version": "1.0.0", "message": problem}
    return Reply(500, json.dumps(envelope).encode(), "application/json")


def _listed(items: list[Message]) -> Reply:
    return _ok(
        "work-list", {"facets": {}, "total-results": len(items), "items": items, "items-per-page": 20, "query": {}}
    )


def read_works(path: Path) -> list[Message]:
    """Crossref messages from a JSON Lines file, gzipped or not; a row may hold its message under `work`."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines if line.strip()]
    return [row.get("work", row) for row in rows]


def main(arguments: Sequence[str] | None = None) -> None:
    """Serves a file until the process is ended."""
    parser = argparse.ArgumentParser(description="A loopback Crossref over a file of records")
    parser.add_argument("file", type=Path)
    parser.add_argument("--port", type=int, default=0)
    chosen = parser.parse_args(arguments)
    with LoopbackCrossref(read_works(chosen.file), port=chosen.port) as server:
        sys.stdout.write(server.url + "\n")
        sys.stdout.flush()
        threading.Event().wait()


if __name__ == "__main__":
    main()
