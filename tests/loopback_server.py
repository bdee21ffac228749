"""A server on 127.0.0.1 with scripted faults: what the loopback Crossref and the loopback providers share.

class Echo(LoopbackServer):
    def answer(self, request: Request) -> Reply:
        return Reply(200, json.dumps(request.params).encode())

with Echo() as server:
    server.script([Fault("500"), Fault("429", retry_after="3", when=lambda request: request.path == "/a")])
    ...                                               # ask server.url
    server.requests                                   # every request, parsed
"""

from __future__ import annotations

import gzip
import json
import socket
import struct
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import parse_qsl, urlsplit

from tests.loopback_works import parse_filter

Route = Literal["list", "single", "agency", "transform", "other"]
Kind = Literal[
    "raw", "429", "403", "500", "504", "503", "timeout", "drop", "reset", "truncated", "html", "drip", "gzip",
    "bomb", "oversized", "wrong", "empty", "headers-only", "short",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Request:
    """One request as received. `path` is encoded as sent; `params` and `form` keep the last of repeated keys. `route` and `doi`
    (decoded) are those of Crossref's routes below /works/."""

    method: str
    path: str
    params: dict[str, str]
    headers: dict[str, str]
    route: Route
    doi: str | None
    at: float
    form: dict[str, str] = field(default_factory=dict)

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
    | `wrong` | the record `doi` (of a provider: the answer to that path) instead of the one asked for |
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


class LoopbackServer:
    """The server; a context manager. Subclasses override `answer`, and what else of theirs is special.

    `requests` logs what came, `connections` counts TCP connections; `compress` gzips honest answers.
    """

    server_version = "Loopback"

    def __init__(self, *, compress: bool = False, port: int = 0) -> None:
        self.compress = compress
        self.requests: list[Request] = []
        self.connections = 0
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.loopback = self
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
            return Fault("429") if self.too_many(request) else None

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stopping.is_set()

    def pause(self, seconds: float) -> None:
        """Sleeps, unless the server is stopped meanwhile."""
        self._stopping.wait(seconds)

    def answer(self, request: Request) -> Reply:
        """The honest answer."""
        raise NotImplementedError

    def wrong(self, request: Request, fault: Fault) -> Reply:
        """What the fault `wrong` answers."""
        raise NotImplementedError

    def classify(self, path: str) -> tuple[Route, str | None]:
        """The route of a path (encoded) and the DOI in it."""
        return "other", None

    def elsewhere(self, request: Request) -> Reply | None:
        """An answer that another server gives: no fault meets it and it is not logged."""
        return None

    def limits(self, request: Request) -> dict[str, str]:
        """Headers about the rate limit."""
        return {}

    def too_many(self, request: Request) -> bool:
        """Whether this request comes too soon after the others; called once for each."""
        return False


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    loopback: LoopbackServer

    def process_request(self, request: Any, client_address: Any) -> None:
        self.loopback.connections += 1
        super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up in the middle is part of the game; anything else is shown."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    sys_version = ""
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing on stderr: `requests` is the log."""

    def do_GET(self) -> None:
        loopback = self.server.loopback
        request = self._parsed()
        if (other := loopback.elsewhere(request)) is not None:
            self._send(request, other)
            return
        fault = loopback.receive(request)
        if fault is None or fault.kind == "gzip":
            self._send(request, loopback.answer(request), compress=fault is not None or loopback.compress)
        else:
            self._fail(request, fault)

    do_HEAD = do_GET  # noqa: N815
    do_POST = do_GET  # noqa: N815

    def _parsed(self) -> Request:
        parts = urlsplit(self.path)
        params = dict(parse_qsl(parts.query, keep_blank_values=True))
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", "0")))
        form = dict(parse_qsl(body.decode(), keep_blank_values=True))
        route, doi = self.server.loopback.classify(parts.path)
        return Request(self.command, parts.path, params, headers, route, doi, time.monotonic(), form)

    def _head(self, request: Request, reply: Reply, length: int | None) -> bytes:
        lines = [f"HTTP/1.1 {reply.status} {self.responses.get(reply.status, ('Unknown',))[0]}"]
        headers = {
            "Date": self.date_time_string(),
            "Server": self.server.loopback.server_version,
        } | self.server.loopback.limits(request)
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
        honest = self.server.loopback.answer(request)
        match fault.kind:
            case "timeout":
                self.server.loopback.pause(fault.seconds)
            case "reset":
                self.wfile.write(self._head(request, honest, len(honest.body)) + honest.body[:1])
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            case "truncated":
                length = None if fault.seconds else len(honest.body)
                head = self._head(request, Reply(200, b"", honest.kind, {"Connection": "close"}), length)
                self.wfile.write(head + honest.body[: len(honest.body) // 2])
            case "headers-only":
                self.wfile.write(self._head(request, honest, len(honest.body) + 1))
                self.server.loopback.pause(fault.seconds)
            case "drip":
                self._drip(request, honest, fault.seconds, fault.size)
            case "bomb" | "oversized":
                self._flood(request, fault)
            case "short":
                answer = json.loads(honest.body)
                answer["message"]["items"] = answer["message"]["items"][: fault.size]
                self._send(request, Reply(200, json.dumps(answer).encode(), "application/json"))
            case "wrong":
                self._send(request, self.server.loopback.wrong(request, fault))

    def _drip(self, request: Request, honest: Reply, seconds: float, size: int) -> None:
        self.wfile.write(self._head(request, Reply(200, b"", honest.kind, {"Connection": "close"}), None))
        self.wfile.write(honest.body)
        sent = 0
        while not self.server.loopback.stopping and (not size or sent < size):
            self.wfile.write(b" ")
            self.server.loopback.pause(seconds)
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


GATEWAY = (
    b"<html>\r\n<head><title>504 Gateway Time-out</title></head>\r\n<body>\r\n"
    b"<center><h1>504 Gateway Time-out</h1></center>\r\n</body>\r\n</html>\r\n"
)


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
            return exception("clojure.lang.ExceptionInfo: Response Exception")
        case "503":
            return Reply(503, b"<h1>503 Service Temporarily Unavailable</h1>", "text/html", after)
        case "504":
            return Reply(504, GATEWAY, "text/html")
        case "html":
            return Reply(200, b"<!DOCTYPE html><html><body>Log in to the network</body></html>", "text/html")
        case "empty":
            return Reply(200, b"", "application/json")
    return None


def exception(description: str) -> Reply:
    """A 500 as Crossref sends it."""
    problem = {"name": "class " + description.partition(":")[0], "description": description, "stack": []}
    envelope = {"status": "error", "message-type": "exception", "message-version": "1.0.0", "message": problem}
    return Reply(500, json.dumps(envelope).encode(), "application/json")
