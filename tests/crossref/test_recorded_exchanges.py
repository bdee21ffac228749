"""Every exchange recorded with Crossref (2022–2026), replayed byte for byte: classified right, and never lost in silence.

A sample of each kind is in the repository; all of them are replayed where they are beside the checkout. Some bodies were
recorded cut off, which is exactly what a broken transfer looks like: they must be taken for trouble.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from evidence.crossref import responses
from evidence.crossref.client import SERVICE, CrossrefClient
from evidence.data_model import Doi, LookupResult, Query
from evidence.errors import RejectedError, UnavailableError
from evidence.http.failures import AttemptError
from evidence.http.rate_limit import HEADROOM
from evidence.http.transport import Redirect, Transport
from tests.data import FOLDERS, FULL, json_lines
from tests.loopback import Fault, LoopbackCrossref, Route

HOP_BY_HOP = {"transfer-encoding", "content-length", "content-encoding", "connection", "status"}
"""Headers that spoke of the recorded transfer, not of the answer: bodies were recorded decoded."""


@dataclass(frozen=True, slots=True)
class Exchange:
    uri: str
    status: int
    headers: dict[str, str]
    body: bytes
    cut: bool

    @property
    def path(self) -> str:
        return urlsplit(self.uri).path.removeprefix("/v1")

    @property
    def route(self) -> Route:
        return "list" if self.path == "/works" else "single"

    @property
    def fault(self) -> Fault:
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
        return Fault(
            "raw", None, status=self.status, headers=headers | {"Content-Length": str(len(self.body))}, body=self.body
        )


def exchanges() -> list[Exchange]:
    return [
        Exchange(row["uri"], row["status"], row["headers"], restored(row["body"]), row["body_truncated"])
        for folder in FOLDERS
        for row in json_lines(folder, "crossref-http-recorded.jsonl")
    ]


def restored(body: str) -> bytes:
    """Some bodies were recorded in Base64 with line ends; no JSON, XML or plain sentence reads as such."""
    if "\n" not in body and not body.startswith("eyJ"):
        return body.encode()
    try:
        return base64.b64decode(body.replace("\n", ""), validate=True)
    except ValueError:
        return body.encode()


EXCHANGES = exchanges()


@pytest.fixture(scope="module")
def server() -> Iterator[LoopbackCrossref]:
    with LoopbackCrossref() as running:
        yield running


@pytest.fixture
def transport(server: LoopbackCrossref) -> Iterator[Transport]:
    """A new one for each exchange: after failures it asks less."""
    client = Transport(SERVICE, server.url, sleep=lambda _: None, clock=lambda: 0.0, timeout=5.0, tries=2)
    yield client
    client.close()


def send(server: LoopbackCrossref, transport: Transport, exchange: Exchange) -> Any:
    server.forget()
    server.script([exchange.fault])
    path = "/works" if exchange.route == "list" else "/works/10.5555%2Fx"
    return transport.request(exchange.route, path, (), responses.parse_message)


def is_envelope(body: bytes) -> bool:
    try:
        return "message" in json.loads(body)
    except ValueError:
        return False


def test_the_recordings_hold_what_they_are_for() -> None:
    seen = Counter(exchange.status for exchange in EXCHANGES)
    assert {200, 301, 400, 404, 500, 504} <= set(seen)
    assert len(EXCHANGES) > (300 if FULL.is_dir() else 60)


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: f"{exchange.status}-{exchange.uri[:60]}")
def test_every_exchange_is_classified(server: LoopbackCrossref, transport: Transport, exchange: Exchange) -> None:
    match exchange.status:
        case 200 if is_envelope(exchange.body):
            assert send(server, transport, exchange) == json.loads(exchange.body)["message"]
            assert len(server.requests) == 1
        case 200:
            with pytest.raises(AttemptError, match="200, but the answer is") as caught:
                send(server, transport, exchange)
            assert (caught.value.refused, caught.value.attempts, len(server.requests)) == (False, 2, 2)
        case 301:
            assert send(server, transport, exchange) == Redirect(exchange.headers["location"])
        case 404 if exchange.route == "list":
            with pytest.raises(AttemptError, match="404: Cursor specified but it is invalid") as caught:
                send(server, transport, exchange)
            assert (caught.value.refused, len(server.requests)) == (True, 1)
        case 404:
            assert send(server, transport, exchange) is None
            assert len(server.requests) == 1
        case 400:
            said = "; ".join(part["message"].strip() for part in json.loads(exchange.body)["message"])
            with pytest.raises(AttemptError) as caught:
                send(server, transport, exchange)
            assert caught.value.refused
            assert caught.value.text == f"400: {' '.join(said.split())}"[: len(caught.value.text)]
            assert len(caught.value.text) > 30
            assert len(server.requests) == 1
            with pytest.raises(RejectedError):
                caught.value.raise_source_error()
        case 500 | 504:
            with pytest.raises(AttemptError, match=r"ExceptionInfo|Gateway Time-out") as caught:
                send(server, transport, exchange)
            assert (caught.value.refused, len(server.requests)) == (False, 2)
            with pytest.raises(UnavailableError):
                caught.value.raise_source_error()
        case status:
            raise AssertionError(f"no expectation for status {status}")


def test_no_cut_body_passes_for_an_answer(server: LoopbackCrossref, transport: Transport) -> None:
    cut = [exchange for exchange in EXCHANGES if exchange.cut and exchange.status == 200]
    assert len(cut) > (50 if FULL.is_dir() else 10)
    for exchange in cut:
        with pytest.raises(AttemptError):
            send(server, transport, exchange)


def test_pools_and_limits_are_read_in_every_recorded_spelling(server: LoopbackCrossref) -> None:
    for exchange in EXCHANGES:
        headers = {name.lower(): value for name, value in exchange.headers.items()}
        client = Transport(SERVICE, server.url, sleep=lambda _: None, clock=lambda: 0.0, timeout=5.0, tries=1)
        client.rate_limiter.read_headers("list", headers)
        limit = headers.get("x-rate-limit-limit") or headers.get("x-ratelimit-limit")
        assert client.rate_limiter.pool == headers.get("x-api-pool")
        assert client.rate_limiter.interval("list") == (pytest.approx(HEADROOM / int(limit)) if limit else 1.0)
        client.close()


def test_recorded_works_come_back_as_deposited(server: LoopbackCrossref) -> None:
    """Whole single records, asked for through the client by the DOI in their own address."""
    seen = 0
    with CrossrefClient(server.url, sleep=lambda _: None, clock=lambda: 0.0, tries=1) as crossref:
        for exchange in EXCHANGES:
            doi = unquote(exchange.path.removeprefix("/works/"))
            if not exchange.path.startswith("/works/10.") or exchange.status != 200 or not is_envelope(exchange.body):
                continue
            message = json.loads(exchange.body)["message"]
            server.forget()
            server.script([exchange.fault])
            if doi.endswith("/agency"):
                assert crossref.agency(Doi(doi.removesuffix("/agency").lower())) == message["agency"]["label"]
            elif message.get("DOI", "").lower() == doi.lower():
                ((found,),) = crossref.lookup([Doi(doi.lower())])
                assert found == LookupResult(Doi(doi.lower()), Doi(doi.lower()), message)
            else:
                with pytest.raises(UnavailableError):
                    list(crossref.lookup([Doi(doi.lower())]))
            seen += 1
    assert seen > (20 if FULL.is_dir() else 8)


def test_recorded_lists_come_back_as_pages(server: LoopbackCrossref) -> None:
    seen = 0
    with CrossrefClient(server.url, sleep=lambda _: None, clock=lambda: 0.0, tries=1) as crossref:
        for exchange in EXCHANGES:
            if exchange.route != "list" or exchange.status != 200 or not is_envelope(exchange.body):
                continue
            server.forget()
            server.script([exchange.fault])
            message = json.loads(exchange.body)["message"]
            page = crossref.scan(Query((("bibliographic", "x"),), rows=message["items-per-page"]))
            assert (list(page.items), page.total) == (message["items"], message["total-results"])
            seen += 1
    assert seen > (15 if FULL.is_dir() else 4)


def test_the_recorded_alias_is_followed(server: LoopbackCrossref) -> None:
    exchange = next(one for one in EXCHANGES if one.status == 301 and one.headers["location"].startswith("/"))
    old, prime = Doi("10.26434/chemrxiv.5406907"), Doi("10.26434/chemrxiv.5406907.v5")
    assert responses.redirect_target(exchange.headers["location"], "") == prime
    server.forget()
    server.works = {prime: {"DOI": prime, "title": ["The prime record"]}}
    fault = exchange.fault
    fault.times = 1
    server.script([fault])
    with CrossrefClient(server.url, sleep=lambda _: None) as crossref:
        assert list(crossref.lookup([old])) == [(LookupResult(old, prime, server.works[prime]),)]
    assert [request.path for request in server.requests] == [
        f"/works/{doi.replace('/', '%2F')}" for doi in (old, prime)
    ]
