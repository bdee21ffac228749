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
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote

from tests.loopback_server import Fault, LoopbackServer, Reply, Request, Route, exception
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
    ranked,
    selected,
)


class LoopbackCrossref(LoopbackServer):
    """The server; a context manager. `works`, `aliases` and `agencies` may be changed, or replaced, while it runs.

    `meanwhile`, where set, is called with each list request before it is answered: the world may change then (records are
    added, index dates move). `rearrange`, where set, is given what a list ranked by relevance found, best first, and
    returns it in another order, as a ranking may change between two requests.

    `works` maps DOI → message (keys and look-ups in lower case). `rate` gives the `x-rate-limit-…` pair per class, or None
    for no such headers; the default is so high that a paced client does not wait. `enforce=True` answers 429 beyond it.
    """

    server_version = "Jetty(9.4.40.v20210413)"

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
        super().__init__(compress=compress, port=port)
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
        self.meanwhile: Callable[[Request], None] | None = None
        self.rearrange: Callable[[Ranked], Ranked] | None = None
        self.refused = 0
        self._arrivals: dict[str, deque[float]] = {"array": deque(), "single": deque()}

    def classify(self, path: str) -> tuple[Route, str | None]:
        """The route below /works, with or without the version before it."""
        path = path.removeprefix("/v1")
        if path.rstrip("/") == "/works":
            return "list", None
        if not path.startswith("/works/"):
            return "other", None
        raw = path.removeprefix("/works/")
        # Looked at before decoding: a DOI may itself end in an encoded "/agency".
        if raw.endswith("/agency"):
            return "agency", unquote(raw.removesuffix("/agency"))
        if "/transform" in raw:
            return "transform", unquote(raw.partition("/transform")[0])
        return "single", unquote(raw)

    def elsewhere(self, request: Request) -> Reply | None:
        """doi.org's part in content negotiation: on to the registration agency."""
        if request.path.startswith("/10."):
            return Reply(302, b"", "", {"Location": f"/v1/works{request.path}/transform"})
        return None

    def wrong(self, request: Request, fault: Fault) -> Reply:
        """The record of another work."""
        other = self.works[(fault.doi or "").lower()]
        return _ok("work", other) if request.route != "list" else _listed([other])

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
            return exception(str(breakdown))

    def too_many(self, request: Request) -> bool:
        """Whether this request is beyond `rate`, where that is enforced."""
        if not self.enforce:
            return False
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
__all__ = ["Fault", "LoopbackCrossref", "Reply", "Request", "Route", "read_works"]


def _ok(kind: str, message: Message) -> Reply:
    envelope = {"status": "ok", "message-type": kind, "message-version": "1.0.0", "message": message}
    return Reply(200, json.dumps(envelope, separators=(",", ":")).encode(), "application/json")


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
