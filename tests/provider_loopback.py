"""Providers on 127.0.0.1 for tests: paths with their answers, and the scripted faults of `tests/loopback_server.py`.

    with ProviderLoopback({"/works/doi:10.5555/a": {"id": "…"}}) as server:
        client = OpenAlexClient(server.url, sleep=waits.append)
        server.routes["/works/doi:10.5555/b"] = b"<html>"   # while it runs
        server.routes["/search"] = lambda request: {"hits": request.form.get("query")}
        server.script([Fault("429", retry_after="3"), Fault("wrong", doi="/works/doi:10.5555/b")])

A path is written decoded. Its answer is bytes or text (XML, or anything malformed), a `Reply` (status and headers of one's
own), any other value (sent as JSON), or a function that makes one of these from the request: `request.params` are the query,
`request.form` is the form of a POST. A path without an answer gets `missing`. The fault `wrong` answers with the route whose
path is its `doi`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

from tests.loopback_server import Fault, LoopbackServer, Reply, Request

Answer = Any | Callable[[Request], Any]
MISSING = Reply(404, b'{"errors":[{"status":"404","title":"There is no such record."}]}')


class ProviderLoopback(LoopbackServer):
    """The server; a context manager. `routes` and `missing` may be changed while it runs; `headers` go with every answer."""

    def __init__(
        self,
        routes: Mapping[str, Answer] | None = None,
        *,
        missing: Reply = MISSING,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self.routes: dict[str, Answer] = dict(routes or {})
        self.missing = missing
        self.headers = dict(headers or {})

    def answer(self, request: Request) -> Reply:
        """What `routes` has for the path."""
        return self._made(unquote(request.path), request)

    def wrong(self, request: Request, fault: Fault) -> Reply:
        """The answer to another path."""
        return self._made(fault.doi or "", request)

    def limits(self, request: Request) -> dict[str, str]:
        """The headers of every answer."""
        return self.headers

    def _made(self, path: str, request: Request) -> Reply:
        if path not in self.routes:
            return self.missing
        answer = self.routes[path]
        if callable(answer):
            answer = answer(request)
        if isinstance(answer, Reply):
            return answer
        if isinstance(answer, str):
            answer = answer.encode()
        return Reply(200, answer if isinstance(answer, bytes) else json.dumps(answer).encode())
