"""habanero as an oracle: an independent client, asked the same questions of the same loopback server.

Where habanero 2.9.2 is right, both must give the same items. Where it is not, the tests here show what it does and that
our client does right, so that a new habanero (the pin is `<2.10`) which mends something is noticed here first.

| question | habanero 2.9.2 | ours |
|---|---|---|
| DOI with `#` or `?` | the record of what stands before it | its own record |
| DOI with `/../` | the record of the collapsed path | its own record |
| DOI ending in `/` | the record without it | its own record |
| DOI with a space | two requests, for the two halves | its own record |
| DOI with `%2F` in it | read as `/` | its own record |
| one unknown DOI among many | HTTPStatusError; what was fetched before is lost | `message` None for that one |
| `warn=True` | None for 404, 429 and 500 alike | 404 is an answer, the others are retried, then raised |
| alias (301) | HTTPStatusError | followed, both DOIs kept |
| 429, 503 | HTTPStatusError at once, Retry-After unread | waited for |
| 429 with JSON text | TypeError | waited for |
| timeout | RuntimeError on lists, httpx2.ReadTimeout on ids | retried, then UnavailableError |
| a body that drips | read for as long as it lasts | a deadline for the whole |
| HTML under 200 | RequestError(200, page) | retried, then UnavailableError |
| cursor over empty pages | asked for ever, without a pause | no cursor is ever sent |
| many DOIs | a request and a connection each | 50 a request, one connection |
| who is asking | two headers; `mailto=` is refused | User-Agent and `mailto` |
| limits in the headers | out of reach | obeyed |
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from habanero import Crossref as Habanero
from habanero.exceptions import RequestError

from evidence.crossref.client import SCAN_FIELDS, CrossrefClient
from evidence.data_model import Doi, Query, Window
from evidence.errors import UnavailableError
from tests.loopback import Fault, LoopbackCrossref

TITLES = [
    "Interpersonal psychotherapy: past, present, and future",
    "Mechanisms of change in interpersonal therapy (IPT)",
    "Couple therapy for depression",
    "Dynamic interpersonal therapy for moderate to severe depression",
    "The efficacy of psychotherapy, pharmacotherapy and their combination on functioning and quality of life in depression",
    "Unresolved grief and its consequences",
]
CREATED = Window("1995-01-01", "2005-12-31")
INDEXED = Window(indexed_from="2026-02-01")


def work(doi: str, place: int = 0) -> dict[str, Any]:
    return {
        "DOI": doi,
        "title": [f"{TITLES[place % len(TITLES)]} ({place})"],
        "type": "journal-article" if place % 3 else "book-chapter",
        "issued": {"date-parts": [[1990 + place % 30, 1 + place % 12]]},
        "created": {"date-time": f"{1990 + place % 30}-02-03T00:00:00Z"},
        "indexed": {"date-time": f"2026-{1 + place % 10:02}-05T00:00:00Z"},
        "container-title": ["Clinical Psychology Review"],
    }


@pytest.fixture
def server() -> Iterator[LoopbackCrossref]:
    with LoopbackCrossref([work(f"10.5555/w{place}", place) for place in range(60)]) as running:
        yield running


@pytest.fixture
def theirs(server: LoopbackCrossref) -> Habanero:
    return Habanero(base_url=server.url, mailto="reader@loopback.invalid", timeout=5)


@pytest.fixture
def ours(server: LoopbackCrossref) -> Iterator[CrossrefClient]:
    with CrossrefClient(server.url, "reader@loopback.invalid", sleep=lambda _: None, timeout=5) as crossref:
        yield crossref


def record(crossref: CrossrefClient, doi: str) -> dict[str, Any] | None:
    ((found,),) = crossref.lookup([Doi(doi)])
    return found.message


# Where it is right


@pytest.mark.parametrize(
    ("fields", "filters", "window"),
    [
        ((("bibliographic", "interpersonal psychotherapy depression"),), (), None),
        (
            (("title", "therapy"), ("container-title", "clinical")),
            (("type", ("journal-article", "book-chapter")),),
            None,
        ),
        ((("bibliographic", "interpersonal"),), (("type", ("book-chapter",)),), CREATED),
        ((("bibliographic", "grief & loss: (a+b)"),), (("has-abstract", ("false",)),), INDEXED),
        ((("query", "psychotherapy"),), (), None),
    ],
)
def test_the_same_search_gives_the_same_items(
    theirs: Habanero,
    ours: CrossrefClient,
    fields: tuple[tuple[str, str], ...],
    filters: tuple[tuple[str, tuple[str, ...]], ...],
    window: Window | None,
) -> None:
    page = ours.scan(Query(fields, filters, rows=25), window)
    asked = {"query" if name == "query" else f"query_{name.replace('-', '_')}": text for name, text in fields}
    chosen: dict[str, Any] = {name: list(values) for name, values in filters}
    if window:
        limits = {
            "from-created-date": window.created_from,
            "until-created-date": window.created_until,
            "from-index-date": window.indexed_from,
        }
        chosen |= {name: day for name, day in limits.items() if day}
    message = theirs.works(filter=chosen or None, limit=25, select=SCAN_FIELDS.split(","), **asked)["message"]
    assert page.items
    assert (list(page.items), page.total) == (message["items"], message["total-results"])


def test_the_same_batch_gives_the_same_records(theirs: Habanero, ours: CrossrefClient) -> None:
    dois = [Doi(f"10.5555/w{place}") for place in range(40)]
    items = theirs.works(filter={"doi": dois}, limit=50)["message"]["items"]
    records = [found.message for batch in ours.lookup(dois) for found in batch]
    assert records == items


@pytest.mark.parametrize(
    "doi", ["10.5555/w1", "10.1002/(sici)1:2<91::aid-3>3.0.co;2-k", "10.5555/größe", "10.5555/a+b"]
)
def test_tame_dois_give_the_same_record(
    server: LoopbackCrossref, theirs: Habanero, ours: CrossrefClient, doi: str
) -> None:
    server.works[doi] = work(doi)
    assert record(ours, doi) == theirs.works(ids=doi)["message"]


def test_agencies_agree(server: LoopbackCrossref, theirs: Habanero, ours: CrossrefClient) -> None:
    server.agencies["10.5284/1011335"] = "DataCite"
    for doi in ("10.5284/1011335", "10.5555/w1"):
        assert theirs.registration_agency(doi) == [ours.agency(Doi(doi))]


# Where it is not


@pytest.mark.parametrize(
    ("doi", "mistaken"),
    [
        ("10.5555/a#b", "10.5555/a"),
        ("10.5555/a?b=c", "10.5555/a"),
        ("10.5555/x/../a", "10.5555/a"),
        ("10.5555/a/", "10.5555/a"),
        ("10.5555/a%2fb", "10.5555/a/b"),
    ],
)
def test_it_takes_one_doi_for_another(
    server: LoopbackCrossref, theirs: Habanero, ours: CrossrefClient, doi: str, mistaken: str
) -> None:
    server.works |= {mistaken: work(mistaken), doi: work(doi)}
    assert theirs.works(ids=doi)["message"]["DOI"] == mistaken
    assert (record(ours, doi) or {})["DOI"] == doi
    del server.works[doi]
    assert record(ours, doi) is None


def test_it_splits_a_doi_at_a_space(server: LoopbackCrossref, theirs: Habanero, ours: CrossrefClient) -> None:
    server.works["10.5555/a b"] = work("10.5555/a b")
    with pytest.raises(httpx2.HTTPStatusError):
        theirs.works(ids="10.5555/a b")
    assert server.requests[-1].doi == "10.5555/a"
    assert record(ours, "10.5555/a b") == server.works["10.5555/a b"]


def test_one_unknown_doi_costs_it_all_the_others(
    server: LoopbackCrossref, theirs: Habanero, ours: CrossrefClient
) -> None:
    dois = ["10.5555/w1", "10.5555/none", "10.5555/w2"]
    with pytest.raises(httpx2.HTTPStatusError, match="404"):
        theirs.works(ids=dois)
    (batch,) = ours.lookup([Doi(doi) for doi in dois])
    assert [found.record_doi for found in batch] == ["10.5555/w1", None, "10.5555/w2"]


@pytest.mark.parametrize("kind", ["429", "500"])
def test_its_warning_hides_a_failure_as_an_absence(
    server: LoopbackCrossref, theirs: Habanero, ours: CrossrefClient, kind: str
) -> None:
    server.script([Fault("429" if kind == "429" else "500", times=2)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert theirs.works(ids="10.5555/w1", warn=True) is None
    assert record(ours, "10.5555/w1") == server.works["10.5555/w1"]


def test_it_stops_at_an_alias(server: LoopbackCrossref, theirs: Habanero, ours: CrossrefClient) -> None:
    server.aliases["10.5555/old"] = "10.5555/w1"
    with pytest.raises(httpx2.HTTPStatusError, match="Redirect"):
        theirs.works(ids="10.5555/old")
    assert record(ours, "10.5555/old") == server.works["10.5555/w1"]


def test_it_raises_where_waiting_helps(server: LoopbackCrossref, theirs: Habanero, ours: CrossrefClient) -> None:
    text = Fault("raw", times=2, status=429, body=b'{"message":"slow"}', headers={"Content-Length": "18"})
    for fault, error in ((Fault("429", times=2, retry_after="1"), httpx2.HTTPStatusError), (text, TypeError)):
        server.script([fault])
        with pytest.raises(error):
            theirs.works(query="grief", limit=1)
        assert ours.scan(Query((("query", "grief"),), rows=1)).items


def test_its_timeouts_have_two_faces_and_ours_one(server: LoopbackCrossref) -> None:
    theirs = Habanero(base_url=server.url, timeout=0.1)
    server.script([Fault("timeout", seconds=2, times=None)])
    with pytest.raises(RuntimeError, match="timed out"):
        theirs.works(query="grief")
    with pytest.raises(httpx2.ReadTimeout):
        theirs.works(ids="10.5555/w1")
    with CrossrefClient(server.url, sleep=lambda _: None, timeout=0.1, tries=1) as ours:
        with pytest.raises(UnavailableError, match=r"no answer within 0\.1 s"):
            ours.scan(Query((("query", "grief"),)))
        with pytest.raises(UnavailableError, match=r"no answer within 0\.1 s"):
            record(ours, "10.5555/w1")


def test_it_reads_a_dripping_body_for_as_long_as_it_lasts(server: LoopbackCrossref) -> None:
    server.script([Fault("drip", seconds=0.05, times=None, size=20)])
    started = time.monotonic()
    Habanero(base_url=server.url, timeout=0.1).works(ids="10.5555/w1")
    assert time.monotonic() - started > 0.8
    with (
        CrossrefClient(server.url, sleep=lambda _: None, timeout=0.1, tries=1) as ours,
        pytest.raises(UnavailableError, match=r"still coming after 0\.3 s"),
    ):
        record(ours, "10.5555/w1")


def test_it_calls_a_page_an_error_of_status_200(
    server: LoopbackCrossref, theirs: Habanero, ours: CrossrefClient
) -> None:
    server.script([Fault("html", times=2)])
    with pytest.raises(RequestError, match="200"):
        theirs.works(query="grief")
    assert ours.scan(Query((("query", "grief"),))).items


@pytest.mark.slow
def test_it_walks_a_cursor_over_empty_pages_without_an_end(server: LoopbackCrossref, theirs: Habanero) -> None:
    empty = b'{"status":"ok","message":{"total-results":9,"items":[],"next-cursor":"again"}}'
    head = {"Content-Type": "application/json", "Content-Length": str(len(empty))}
    server.script([Fault("raw", times=12, body=empty, headers=head), Fault("403")])
    with pytest.raises(httpx2.HTTPStatusError, match="403"):
        theirs.works(query="grief", cursor="*")
    assert len(server.requests) == 13


def test_no_cursor_and_no_sample_leave_our_client(server: LoopbackCrossref, ours: CrossrefClient) -> None:
    ours.scan(Query((("query", "interpersonal"),), rows=5), Window("1990-01-01", "2019-12-31"), 5, by_creation=True)
    list(ours.lookup([Doi(f"10.5555/w{place}") for place in range(70)]))
    assert {"cursor", "sample"}.isdisjoint({name for request in server.requests for name in request.params})


def test_many_dois_cost_it_a_connection_each(server: LoopbackCrossref, theirs: Habanero, ours: CrossrefClient) -> None:
    dois = [f"10.5555/w{place}" for place in range(10)]
    theirs.works(ids=dois)
    assert (len(server.requests), server.connections) == (10, 10)
    list(ours.lookup([Doi(doi) for doi in dois]))
    assert (len(server.requests), server.connections) == (11, 11)


def test_it_names_itself_in_headers_only(server: LoopbackCrossref, theirs: Habanero, ours: CrossrefClient) -> None:
    theirs.works(query="grief", limit=1)
    with pytest.raises(TypeError):
        theirs.works(query="grief", mailto="reader@loopback.invalid")
    ours.scan(Query((("query", "grief"),), rows=1))
    first, second = server.requests
    assert "mailto" not in first.params
    assert "mailto:reader@loopback.invalid" in first.headers["user-agent"]
    assert second.params["mailto"] == "reader@loopback.invalid"
