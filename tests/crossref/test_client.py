"""The client against a loopback Crossref: the right record for every DOI, one answer to every question, honest failures."""

from __future__ import annotations

import gzip
import json
import re
import socket
import string
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from evidence import doi as dois
from evidence.crossref import client
from evidence.crossref.client import LOOKUP_BATCH, SCAN_FIELDS, CrossrefClient
from evidence.data_model import Doi, LookupResult, Query, RecordSource, RecordStatus, Window
from evidence.errors import ConfigError, EvidenceError, RejectedError, SourceError, UnavailableError
from evidence.http import transport
from tests.loopback import Fault, LoopbackCrossref, Request

MAILTO = "reader@loopback.invalid"
LIPSITZ = Doi("10.1016/j.cpr.2013.09.002")
WHISMAN = Doi("10.1002/jclp.21857")
MARKOWITZ = Doi("10.1002/cpp.1774")
SICI = Doi("10.1002/(sici)1099-0879(199706)4:2<91::aid-cpp126>3.0.co;2-#")

NASTY = [
    "10.5555/a#b",
    "10.5555/a?b=c",
    "10.5555/a%b",
    "10.5555/a%2fb",
    "10.5555/a%252fb",
    "10.5555/a<b>c",
    "10.5555/(a)[b]{c}",
    "10.5555/a;b=c",
    "10.5555/a,b",
    "10.5555/a,doi:10.5555/b",
    "10.5555/a/b",
    "10.5555/a/",
    "10.5555//a",
    "10.5555/a/../b",
    "10.5555/..",
    "10.5555/.",
    "10.5555/a b",
    "10.5555/ a",
    "10.5555/a:",
    "10.5555/a:b:",
    "10.5555/a&rows=0",
    "10.5555/a+b",
    '10.5555/a"b',
    "10.5555/a'b\\c|d^e`f",
    "10.5555/größe",
    "10.5555/αβγ",
    "10.5555/a—b",
    "10.5555/a/agency",
    "10.5555/a/transform",
    "10.1234.5/a",
    "10.13/a",
    str(SICI),
]


def work(doi: str, title: str = "Interpersonal psychotherapy", year: int = 2012, **more: Any) -> dict[str, Any]:
    day = more.pop("indexed", "2026-01-10")
    return {
        "DOI": doi,
        "title": [title],
        "type": "journal-article",
        "issued": {"date-parts": [[year]]},
        "indexed": {"date-time": f"{day}T08:00:00Z"},
        "publisher": "Not asked for",
    } | more


@pytest.fixture
def server() -> Iterator[LoopbackCrossref]:
    works = [work(LIPSITZ, "Mechanisms of change in interpersonal therapy (IPT)", 2013), work(WHISMAN), work(MARKOWITZ)]
    with LoopbackCrossref([*works, *(work(f"10.5555/w{number}") for number in range(130))]) as running:
        yield running


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def crossref(server: LoopbackCrossref, waits: list[float]) -> Iterator[CrossrefClient]:
    with CrossrefClient(server.url, MAILTO, sleep=waits.append, clock=lambda: 0.0, timeout=5.0) as client:
        yield client


def one(crossref: RecordSource, doi: str, since: str | None = None) -> LookupResult:
    ((found,),) = crossref.lookup([Doi(doi)], since)
    return found


def flat(crossref: RecordSource, dois: list[Doi], since: str | None = None) -> list[LookupResult]:
    return [found for batch in crossref.lookup(dois, since) for found in batch]


# Looking up DOIs


def test_is_a_record_source(crossref: CrossrefClient) -> None:
    checked: RecordSource = crossref
    assert checked.name == "crossref"


def test_dois_are_asked_fifty_at_a_time_and_answered_in_order(
    server: LoopbackCrossref, crossref: CrossrefClient
) -> None:
    dois = [Doi(f"10.5555/w{number}") for number in reversed(range(120))]
    batches = list(crossref.lookup(dois))
    assert [len(batch) for batch in batches] == [50, 50, 20]
    assert [found.requested for batch in batches for found in batch] == dois
    assert all(found.requested == found.record_doi for batch in batches for found in batch)
    assert all(found.message == server.works[found.requested] for batch in batches for found in batch)
    assert [(request.route, len(request.dois), request.params["rows"]) for request in server.requests] == [
        ("list", 50, "50"),
        ("list", 50, "50"),
        ("list", 20, "20"),
    ]
    assert crossref.requests == 3


def test_a_doi_given_twice_is_asked_once(server: LoopbackCrossref, crossref: CrossrefClient) -> None:
    dois = [WHISMAN, LIPSITZ, WHISMAN, Doi(LIPSITZ.upper()), Doi("10.5555/none"), Doi("10.5555/none")]
    assert [found.requested for found in flat(crossref, dois)] == [WHISMAN, LIPSITZ, "10.5555/none"]
    assert len(server.requests) == 2


def test_no_dois_no_request(server: LoopbackCrossref, crossref: CrossrefClient) -> None:
    assert list(crossref.lookup([])) == []
    assert server.requests == []


def test_a_single_doi_goes_to_its_own_path(server: LoopbackCrossref, crossref: CrossrefClient) -> None:
    assert one(crossref, LIPSITZ).message == server.works[LIPSITZ]
    assert [request.route for request in server.requests] == ["single"]


def test_what_a_batch_leaves_out_is_asked_by_itself(server: LoopbackCrossref, crossref: CrossrefClient) -> None:
    server.aliases["10.5555/old"] = MARKOWITZ
    found = flat(crossref, [Doi("10.5555/old"), LIPSITZ, Doi("10.5555/none")])
    assert found == [
        LookupResult(Doi("10.5555/old"), MARKOWITZ, server.works[MARKOWITZ]),
        LookupResult(LIPSITZ, LIPSITZ, server.works[LIPSITZ]),
        LookupResult(Doi("10.5555/none"), None, None),
    ]
    assert [request.route for request in server.requests] == ["list", "single", "single", "single"]


@pytest.mark.parametrize("doi", NASTY)
@pytest.mark.parametrize("company", [False, True])
def test_nasty_dois_get_their_own_record(
    server: LoopbackCrossref, crossref: CrossrefClient, doi: str, company: bool
) -> None:
    neighbours = ["10.5555/a", "10.5555/b", "10.5555", "10.5555/", "10.5555/c", "10.5555/a%20b", "10.5555/a/b/"]
    server.works |= {other: work(other, "Another work") for other in neighbours}
    server.works[doi] = work(doi, "The work asked for")
    found = flat(crossref, [LIPSITZ, Doi(doi), WHISMAN] if company else [Doi(doi)])
    assert LookupResult(Doi(doi), Doi(doi), server.works[doi]) in found
    assert len(found) == (3 if company else 1)


@pytest.mark.parametrize("doi", NASTY)
def test_nasty_dois_that_nobody_registered_are_nobodys(
    server: LoopbackCrossref, crossref: CrossrefClient, doi: str
) -> None:
    others = ["10.5555/a", "10.5555/b", "10.5555/c", "10.5555/a%20b", "10.5555/a b c"]
    server.works |= {other: work(other) for other in others if other != doi}
    assert flat(crossref, [LIPSITZ, Doi(doi), WHISMAN])[1] == LookupResult(Doi(doi), None, None)


SUFFIX = st.text(
    st.one_of(st.sampled_from("#?%<>();,/.: &=+[]{}\"'\\|^~`-_"), st.sampled_from(string.ascii_lowercase + "0149éßж…")),
    min_size=1,
    max_size=12,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(suffixes=st.lists(SUFFIX, min_size=1, max_size=4, unique_by=str.lower), known=st.integers(0, 15))
@example(suffixes=["a", "a,doi:10.5555/a", "a:", "a/.."], known=5)
def test_every_doi_gets_exactly_its_own_answer(
    server: LoopbackCrossref, crossref: CrossrefClient, suffixes: list[str], known: int
) -> None:
    dois = [Doi(f"10.5555/{suffix}".lower()) for suffix in suffixes]
    server.works = {doi: work(doi) for place, doi in enumerate(dois) if known >> place & 1}
    found = flat(crossref, dois)
    assert [one.requested for one in found] == dois
    assert [one.message for one in found] == [server.works.get(doi) for doi in dois]


def test_only_filterable_dois_travel_in_a_filter(server: LoopbackCrossref, crossref: CrossrefClient) -> None:
    server.works |= {doi: work(doi) for doi in NASTY}
    flat(crossref, [Doi(doi) for doi in NASTY])
    carried = {doi for request in server.requests for doi in request.dois}
    refused = {"10.5555/a,b", "10.5555/a,doi:10.5555/b", "10.5555/a b", "10.5555/ a", "10.5555/a:", "10.5555/a:b:"}
    refused |= {"10.1234.5/a", "10.13/a", "10.5555/größe", "10.5555/αβγ", "10.5555/a—b"}
    assert carried == set(NASTY) - refused


def test_a_filter_never_outgrows_a_request_line(server: LoopbackCrossref, crossref: CrossrefClient) -> None:
    dois = [Doi(f"10.1002/(sici){'<::>' * 25}{number}") for number in range(40)]
    server.works = {doi: work(doi) for doi in dois}
    assert [found.record_doi for found in flat(crossref, dois)] == dois
    assert [request.route for request in server.requests] == ["list"] * len(server.requests)
    assert 1 < len(server.requests) < 10
    # The longest request line that stays clear of the 8 kB a server of Crossref's kind reads for the whole head.
    assert all(len(request.params["filter"]) < 6500 for request in server.requests)


@pytest.mark.parametrize("registered", ["10.1000/ÅBC.1", "10.1000/åbc.1"])
def test_case_beyond_ascii_is_kept_for_storing_and_set_aside_for_comparing(
    server: LoopbackCrossref, crossref: CrossrefClient, registered: str
) -> None:
    server.works["10.1000/åbc.1"] = work(registered)
    server.agencies["10.1000/åbc.1"] = "Crossref"
    stored = dois.lower(registered)
    for asked in ("10.1000/Åbc.1", "10.1000/åbc.1"):
        assert one(crossref, asked) == LookupResult(Doi(asked), stored, work(registered))
        assert crossref.agency(Doi(asked)) == "Crossref"
    both = [Doi("10.1000/Åbc.1"), Doi("10.1000/åbc.1")]
    assert [found.requested for found in flat(crossref, both)] == both


# Aliases


@pytest.mark.parametrize("target", [doi for doi in NASTY if not doi.startswith("10.5555/ ")])
def test_an_alias_leads_to_its_prime_record(server: LoopbackCrossref, crossref: CrossrefClient, target: str) -> None:
    server.works |= {"10.5555/a": work("10.5555/a"), target: work(target)}
    server.aliases["10.26434/chemrxiv.5406907"] = target
    assert one(crossref, "10.26434/chemrxiv.5406907") == LookupResult(
        Doi("10.26434/chemrxiv.5406907"), Doi(target), server.works[target]
    )


def test_aliases_of_aliases_are_followed(server: LoopbackCrossref, crossref: CrossrefClient) -> None:
    server.aliases |= {"10.5555/v1": "10.5555/V2", "10.5555/v2": "10.5555/v3", "10.5555/v3": "10.5555/W1"}
    assert one(crossref, "10.5555/v1").record_doi == "10.5555/w1"


def test_an_alias_of_nothing_is_nothing(server: LoopbackCrossref, crossref: CrossrefClient) -> None:
    server.aliases["10.5555/v1"] = "10.5555/gone"
    assert one(crossref, "10.5555/v1") == LookupResult(Doi("10.5555/v1"), None, None)


@pytest.mark.parametrize("ring", [1, 2, 3, 20])
def test_aliases_without_an_end_are_given_up(server: LoopbackCrossref, crossref: CrossrefClient, ring: int) -> None:
    server.aliases |= {f"10.5555/v{number}": f"10.5555/v{(number + 1) % ring}" for number in range(ring)}
    with pytest.raises(UnavailableError, match="sent on without an end") as caught:
        one(crossref, "10.5555/v0")
    asked = len(server.requests)
    assert asked == min(ring, client.MAX_ALIASES + 1)
    assert f", {'once' if asked == 1 else f'{asked} times'})" in str(caught.value)


@pytest.mark.parametrize(
    ("location", "answered"),
    [
        ("/works/10.5555%2Fw1", "10.5555/w1"),
        ("https://api.crossref.org/works/10.5555/w1", "10.5555/w1"),
        ("/v1/works/10.5555/w1", "10.5555/w1"),
        ("/works/10.5555/w1?mailto=reader%40loopback.invalid", "10.5555/w1"),
        ("/works/10.5555/W1", "10.5555/w1"),
    ],
)
def test_other_spellings_of_a_redirect(
    server: LoopbackCrossref, crossref: CrossrefClient, location: str, answered: str
) -> None:
    server.script([Fault("raw", status=301, headers={"Location": location, "Content-Length": "0"})])
    assert one(crossref, "10.5555/old").record_doi == answered
    assert server.requests[-1].path == "/works/10.5555%2Fw1"


@pytest.mark.parametrize("location", ["https://login.example/portal", "/works/", "/works/nothing", "/members/98"])
def test_a_redirect_to_no_work_is_no_answer(server: LoopbackCrossref, crossref: CrossrefClient, location: str) -> None:
    server.script([Fault("raw", status=302, headers={"Location": location, "Content-Length": "0"}, times=None)])
    with pytest.raises(UnavailableError, match="no work"):
        one(crossref, "10.5555/old")


def test_a_record_that_lists_the_doi_as_its_alias_answers_for_it(
    server: LoopbackCrossref, crossref: CrossrefClient
) -> None:
    record = work(MARKOWITZ, aliases=["10.5555/OLD"])
    server.works["10.5555/old"] = record
    assert one(crossref, "10.5555/old") == LookupResult(Doi("10.5555/old"), MARKOWITZ, record)
    server.works["10.5555/other"] = record
    with pytest.raises(UnavailableError, match="another work"):
        one(crossref, "10.5555/other")


# A light check


def test_a_hundred_known_works_are_checked_in_one_light_request(
    server: LoopbackCrossref, crossref: CrossrefClient
) -> None:
    server.works["10.5555/w3"] |= {"is-referenced-by-count": 7}
    dois = [Doi(f"10.5555/W{number}") for number in range(130)]
    batches = list(crossref.check(dois))
    assert [len(batch) for batch in batches] == [100, 30]
    assert batches[0][3] == RecordStatus(Doi("10.5555/w3"), "2026-01-10T08:00:00Z", 7)
    assert batches[0][4] == RecordStatus(Doi("10.5555/w4"), "2026-01-10T08:00:00Z", None)
    assert [request.route for request in server.requests] == ["list", "list"]
    assert {request.params["select"] for request in server.requests} == {"DOI,indexed,is-referenced-by-count"}
    assert {request.params["rows"] for request in server.requests} == {"100", "30"}


def test_a_check_leaves_out_what_it_cannot_know(server: LoopbackCrossref, crossref: CrossrefClient) -> None:
    """Aliases, works that are gone, DOIs that no filter carries, and rows held back: none is asked again, none is invented."""
    server.works["10.5555/a,b"] = work("10.5555/a,b")
    server.aliases["10.5555/old"] = MARKOWITZ
    asked = [LIPSITZ, Doi("10.5555/a,b"), Doi("10.5555/old"), Doi("10.5555/none"), Doi("10.5555/w1")]
    assert [seen.doi for batch in crossref.check(asked) for seen in batch] == [LIPSITZ, "10.5555/w1"]
    body = {"status": "ok", "message": {"total-results": 4, "items": [work(LIPSITZ), work(MARKOWITZ)]}}
    server.script([Fault("raw", body=json.dumps(body).encode())])
    assert [seen.doi for batch in crossref.check(asked) for seen in batch] == [LIPSITZ]
    server.script([Fault("500", times=None, when=lambda request: request.route == "list")])
    assert [seen.doi for batch in crossref.check(asked) for seen in batch] == []
    assert [request.route for request in server.requests if request.route != "list"] == []


def test_a_check_bears_rows_that_are_no_records(server: LoopbackCrossref, crossref: CrossrefClient) -> None:
    rows = [
        None,
        "10.5555/w1",
        {},
        {"DOI": 7, "indexed": {"date-time": "2026-01-10T08:00:00Z"}},
        {"DOI": "10.5555/w1", "indexed": ["2026"], "is-referenced-by-count": 2**70},
        {"DOI": "10.5555/w2", "indexed": {"date-time": 7}, "is-referenced-by-count": "many"},
        {"DOI": "10.5555/w3", "indexed": {"date-time": "2026-01-10T08:00:00Z"}, "is-referenced-by-count": 3},
    ]
    body = {"status": "ok", "message": {"total-results": 7, "items": rows}}
    server.script([Fault("raw", body=json.dumps(body).encode())])
    asked = [Doi(f"10.5555/w{number}") for number in range(5)]
    assert [seen for batch in crossref.check(asked) for seen in batch] == [
        RecordStatus(Doi("10.5555/w1"), None, None),
        RecordStatus(Doi("10.5555/w2"), None, None),
        RecordStatus(Doi("10.5555/w3"), "2026-01-10T08:00:00Z", 3),
    ]


def test_a_check_of_long_dois_never_outgrows_a_request_line(server: LoopbackCrossref, crossref: CrossrefClient) -> None:
    dois = [Doi(f"10.1002/(sici){'<::>' * 25}{number}") for number in range(40)]
    server.works = {doi: work(doi) for doi in dois}
    assert [seen.doi for batch in crossref.check(dois) for seen in batch] == dois
    assert all(len(request.params["filter"]) < 6500 for request in server.requests)


# What changed since a day


def test_since_leaves_out_the_unchanged_without_asking(server: LoopbackCrossref, crossref: CrossrefClient) -> None:
    server.works["10.5555/w7"] = work("10.5555/w7", "RETRACTED: Interpersonal psychotherapy", indexed="2026-11-02")
    dois = [Doi(f"10.5555/w{number}") for number in range(100)]
    batches = list(crossref.lookup(dois, since="2026-11-01"))
    assert [[found.requested for found in batch] for batch in batches] == [["10.5555/w7"], []]
    assert [request.route for request in server.requests] == ["list", "list"]


def test_since_asks_by_itself_what_no_filter_can_carry(server: LoopbackCrossref, crossref: CrossrefClient) -> None:
    old, new = Doi("10.5555/old,1"), Doi("10.5555/new,1")
    server.works |= {old: work(old, indexed="2026-10-31"), new: work(new, indexed="2026-11-01")}
    assert [found.requested for found in flat(crossref, [old, LIPSITZ, new], "2026-11-01")] == [new]


def test_since_does_not_take_a_cut_page_for_silence(server: LoopbackCrossref, crossref: CrossrefClient) -> None:
    dois = [LIPSITZ, WHISMAN, MARKOWITZ]
    for doi in dois:
        server.works[doi]["indexed"] = {"date-time": "2026-11-02T00:00:00Z"}
    message = {"total-results": 3, "items": [server.works[WHISMAN]], "items-per-page": 1}
    body = json.dumps({"status": "ok", "message-type": "work-list", "message": message}).encode()
    server.script([Fault("raw", body=body, headers={"Content-Length": str(len(body))})])
    assert [found.requested for found in flat(crossref, dois, "2026-11-01")] == dois


# Batches that fail


@pytest.mark.parametrize("status", [400, 413, 414, 500])
def test_a_refused_batch_is_asked_doi_by_doi(server: LoopbackCrossref, crossref: CrossrefClient, status: int) -> None:
    server.script([Fault("raw", status=status, headers={"Content-Length": "0"}, when=in_list, times=None)])
    assert [found.record_doi for found in flat(crossref, [LIPSITZ, Doi("10.5555/none"), WHISMAN])] == [
        LIPSITZ,
        None,
        WHISMAN,
    ]


@pytest.mark.slow
def test_a_batch_too_large_is_asked_doi_by_doi(server: LoopbackCrossref, crossref: CrossrefClient) -> None:
    server.script([Fault("bomb", size=transport.MAX_BODY + 1, when=in_list, times=None)])
    assert [found.record_doi for found in flat(crossref, [LIPSITZ, WHISMAN])] == [LIPSITZ, WHISMAN]
    assert crossref.bytes < 1_000_000


def test_a_gateway_down_is_not_asked_doi_by_doi(server: LoopbackCrossref, crossref: CrossrefClient) -> None:
    server.script([Fault("504", times=None)])
    with pytest.raises(UnavailableError, match="504"):
        list(crossref.lookup([LIPSITZ, WHISMAN]))
    assert {request.route for request in server.requests} == {"list"}


def test_a_failure_keeps_what_came_before(server: LoopbackCrossref, crossref: CrossrefClient) -> None:
    dois = [Doi(f"10.5555/w{number}") for number in range(LOOKUP_BATCH + 1)]
    server.script([Fault("504", when=lambda request: request.route == "single", times=None)])
    batches = crossref.lookup(dois)
    assert len(next(batches)) == LOOKUP_BATCH
    with pytest.raises(UnavailableError):
        next(batches)


# Another work's record


def test_another_works_record_is_never_returned(server: LoopbackCrossref, crossref: CrossrefClient) -> None:
    server.script([Fault("wrong", doi=WHISMAN, times=None)])
    with pytest.raises(UnavailableError, match=rf"another work \({WHISMAN} instead of {LIPSITZ}\)"):
        one(crossref, LIPSITZ)


def test_another_works_record_once_is_asked_again(server: LoopbackCrossref, crossref: CrossrefClient) -> None:
    server.script([Fault("wrong", doi=WHISMAN)])
    assert one(crossref, LIPSITZ).message == server.works[LIPSITZ]


def test_a_batch_with_another_works_record_is_completed(server: LoopbackCrossref, crossref: CrossrefClient) -> None:
    server.script([Fault("wrong", doi=MARKOWITZ)])
    assert [found.record_doi for found in flat(crossref, [LIPSITZ, WHISMAN])] == [LIPSITZ, WHISMAN]


def test_a_record_in_capitals_is_the_same_record(server: LoopbackCrossref, crossref: CrossrefClient) -> None:
    server.works["10.5555/abc"] = work("10.5555/ABC")
    assert one(crossref, "10.5555/abc").record_doi == "10.5555/abc"
    assert [found.record_doi for found in flat(crossref, [Doi("10.5555/abc"), WHISMAN])] == ["10.5555/abc", WHISMAN]


# Scanning a search


def test_a_scan_is_one_bounded_ranked_page(server: LoopbackCrossref, crossref: CrossrefClient) -> None:
    server.works = {
        f"10.5555/{n}": work(
            f"10.5555/{n}",
            f"Interpersonal {'psychotherapy' * (n % 2)}",
            1000 + n,
            created={"date-time": f"{2000 + n}-12-31T23:59:59Z"},
            **{"published-print": {"date-parts": [[2030]]}},
        )
        for n in range(9)
    }
    fields = (("bibliographic", "interpersonal psychotherapy"), ("title", "interpersonal & more"))
    filters = (("type", ("journal-article", "book-chapter")), ("has-abstract", ("false",)))
    page = crossref.scan(Query(fields, filters, rows=3), Window("2001-01-01", "2007-12-31", "2026-01-01"))
    assert (page.total, len(page.items), page.complete) == (7, 3, False)
    assert all("psychotherapy" in item["title"][0] for item in page.items)
    assert set(page.items[0]) == {"DOI", "title", "type", "issued", "published-print", "created", "indexed", "score"}
    (request,) = server.requests
    assert request.params == {
        "query.bibliographic": "interpersonal psychotherapy",
        "query.title": "interpersonal & more",
        "filter": "type:journal-article,type:book-chapter,has-abstract:false,"
        "from-created-date:2001-01-01,until-created-date:2007-12-31,from-index-date:2026-01-01",
        "rows": "3",
        "select": SCAN_FIELDS,
        "mailto": MAILTO,
    }


def test_a_scan_of_an_indexed_window(server: LoopbackCrossref, crossref: CrossrefClient) -> None:
    server.works["10.5555/w7"]["indexed"] = {"date-time": "2026-11-02T23:59:59Z"}
    page = crossref.scan(Query((("bibliographic", "interpersonal"),)), Window(indexed_from="2026-11-01"))
    assert [item["DOI"] for item in page.items] == ["10.5555/w7"]
    assert page.complete
    assert server.requests[0].params["filter"] == "from-index-date:2026-11-01"


def test_pages_by_offset_hold_every_record_once_in_either_order(
    server: LoopbackCrossref, crossref: CrossrefClient
) -> None:
    for n, (doi, held) in enumerate(sorted(server.works.items())):
        server.works[doi] = held | {"created": {"date-time": f"2020-01-{n % 28 + 1:02d}T00:00:00Z"}}
    query = Query((("bibliographic", "interpersonal"),), rows=40)
    for by_creation in (False, True):
        server.forget()
        first = crossref.scan(query, by_creation=by_creation)
        pages = [crossref.scan(query, None, offset, by_creation=by_creation) for offset in range(0, first.total, 40)]
        items = [item for page in pages for item in page.items]
        assert len({item["DOI"] for item in items}) == len(items) == first.total > 80
        assert ("sort" in server.requests[-1].params) is by_creation
        if by_creation:
            assert [i["created"]["date-time"] for i in items] == sorted(i["created"]["date-time"] for i in items)
    assert crossref.scan(query, None, first.total).items == ()


def test_a_scan_without_hits_is_a_complete_empty_page(crossref: CrossrefClient) -> None:
    page = crossref.scan(Query((("bibliographic", "xylophone"),)))
    assert (page.items, page.total, page.complete) == ((), 0, True)


def short_page(items: list[dict[str, Any]], total: int) -> Fault:
    body = json.dumps({"status": "ok", "message": {"total-results": total, "items": items}}).encode()
    return Fault("raw", body=body, headers={"Content-Length": str(len(body))})


def test_an_empty_page_that_claims_results_is_no_answer(server: LoopbackCrossref, crossref: CrossrefClient) -> None:
    server.script([short_page([], 12)])
    assert len(crossref.scan(Query((("bibliographic", "interpersonal"),), rows=2)).items) == 2
    server.script([again(short_page([], 12), None)])
    with pytest.raises(UnavailableError, match="0 works on a page where 2 are due"):
        crossref.scan(Query((("bibliographic", "interpersonal"),), rows=2))


def test_a_short_page_is_asked_again_and_never_passes_for_complete(
    server: LoopbackCrossref, crossref: CrossrefClient
) -> None:
    query = Query((("bibliographic", "interpersonal"),), rows=100)
    server.script([short_page([work(LIPSITZ)], 12)])
    assert len(crossref.scan(query).items) == 100
    server.script([again(short_page([work(LIPSITZ)], 12), None)])
    page = crossref.scan(query)
    assert (page.items, page.total, page.complete) == ((work(LIPSITZ),), 12, False)
    assert len(server.requests) == 4


def test_an_unknown_filter_is_shown_in_crossrefs_words(server: LoopbackCrossref, crossref: CrossrefClient) -> None:
    with pytest.raises(RejectedError, match="Filter 'has-abstrct' specified but there is no such filter") as caught:
        crossref.scan(Query((("bibliographic", "x"),), (("has-abstrct", ("true",)),)))
    assert len(server.requests) == 1
    assert server.url in str(caught.value)


# Agencies


def test_agencies(server: LoopbackCrossref, crossref: CrossrefClient) -> None:
    server.agencies |= {"10.5284/1011335": "DataCite", "10.5555/a#b": "mEDRA"}
    assert crossref.agency(Doi("10.5284/1011335")) == "DataCite"
    assert crossref.agency(Doi("10.5555/a#b")) == "mEDRA"
    assert crossref.agency(LIPSITZ) == "Crossref"
    assert crossref.agency(Doi("10.5555/none")) is None


# Failures that may pass

TRANSIENT = {
    "429": Fault("429"),
    "429 with seconds": Fault("429", retry_after="7"),
    "408": Fault("raw", status=408, headers={"Content-Length": "0"}),
    "500 JSON": Fault("500"),
    "502 empty": Fault("raw", status=502, headers={"Content-Length": "0"}),
    "503": Fault("503"),
    "504 HTML": Fault("504"),
    "silence": Fault("timeout", seconds=5.0),
    "headers only": Fault("headers-only", seconds=5.0),
    "dropped": Fault("drop"),
    "reset": Fault("reset"),
    "cut short under its length": Fault("truncated"),
    "cut short without a length": Fault("truncated", seconds=1),
    "HTML under 200": Fault("html"),
    "nothing under 200": Fault("empty"),
    "without an end": Fault("drip", seconds=0.01),
    "oversized": Fault("oversized", size=transport.MAX_BODY + 1),
    "gzip bomb": Fault("bomb", size=transport.MAX_BODY + 1),
    "204": Fault("raw", status=204),
    "gzip that is none": Fault("raw", body=b"plain", headers={"Content-Encoding": "gzip", "Content-Length": "5"}),
    "gzip cut short": Fault("raw", body=gzip.compress(b"{}")[:-6], headers={"Content-Encoding": "gzip", "Content-Length": "16"}),
    "gzip in gzip": Fault("raw", body=b"", headers={"Content-Encoding": "gzip, gzip", "Content-Length": "0"}),
    "brotli": Fault("raw", body=b"x", headers={"Content-Encoding": "br", "Content-Length": "1"}),
    "JSON of another kind": Fault("raw", body=b'["ok"]', headers={"Content-Length": "6"}),
    "JSON without a message": Fault("raw", body=b'{"status":"ok"}', headers={"Content-Length": "15"}),
    "failure under 200": Fault("raw", body=b'{"status":"error","message":{}}', headers={"Content-Length": "31"}),
    "not a number": Fault("raw", body=b'{"status":"ok","message":NaN}', headers={"Content-Length": "29"}),
    "bottomless JSON": Fault("raw", body=b"[" * 200_000, headers={"Content-Length": "200000"}),
    "a page under 404": Fault("raw", status=404, body=b"<html>Not here</html>", headers={"Content-Length": "21"}),
    "304": Fault("raw", status=304, headers={}),
}  # fmt: skip


def in_list(request: Request) -> bool:
    return request.route == "list"


SLOW = ("silence", "headers only", "without an end", "oversized", "gzip bomb")
QUICK = {name: fault for name, fault in TRANSIENT.items() if name not in SLOW} | {
    "wrong": Fault("wrong", doi=MARKOWITZ)
}


def again(fault: Fault, times: int | None, when: Callable[[Request], bool] | None = None) -> Fault:
    """A fresh copy: a fault counts down as it is met."""
    return replace(fault, times=times, when=when or fault.when)


@pytest.mark.slow
@pytest.mark.parametrize("fault", TRANSIENT)
@pytest.mark.parametrize("verb", ["lookup", "scan"])
def test_one_failure_is_forgiven(server: LoopbackCrossref, waits: list[float], fault: str, verb: str) -> None:
    server.script([again(TRANSIENT[fault], 1)])
    with CrossrefClient(
        server.url, sleep=waits.append, clock=lambda: 0.0, timeout=0.3 if fault in SLOW else 5.0
    ) as crossref:
        if verb == "lookup":
            assert one(crossref, LIPSITZ).message == server.works[LIPSITZ]
        else:
            assert crossref.scan(Query((("bibliographic", "mechanisms"),))).items[0]["DOI"] == LIPSITZ
        assert crossref.requests == 2
    assert max(waits) >= 1.0


@pytest.mark.slow
@pytest.mark.parametrize("fault", TRANSIENT)
def test_failures_without_an_end_are_given_up_honestly(server: LoopbackCrossref, fault: str) -> None:
    said: list[str] = []
    server.script([again(TRANSIENT[fault], None)])
    with CrossrefClient(
        server.url, MAILTO, sleep=lambda _: None, clock=lambda: 0.0, timeout=0.05, tries=2, on_wait=said.append
    ) as crossref:
        with pytest.raises(UnavailableError) as caught:
            one(crossref, LIPSITZ)
        assert crossref.requests == 2
    text = str(caught.value)
    assert f"{server.url}/works/10.1016%2Fj.cpr.2013.09.002, 2 times" in text
    assert "run again" in text
    assert len(said) == 1
    assert said[0].endswith("then try 2")
    # Errors are kept in the database and may be published with it.
    assert "mailto" not in text
    assert "reader" not in text


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    storm=st.lists(st.sampled_from(sorted(QUICK)), max_size=9),
    spread=st.integers(1, 3),
    since=st.sampled_from([None, "2026-01-01", "2026-06-01"]),
)
def test_in_any_storm_the_answer_is_right_or_a_failure(
    server: LoopbackCrossref, storm: list[str], spread: int, since: str | None
) -> None:
    dois = [LIPSITZ, Doi("10.5555/old"), Doi("10.5555/a,b"), Doi("10.5555/none"), WHISMAN, Doi("10.5555/w3")]
    server.forget()
    server.works["10.5555/a,b"] = work("10.5555/a,b")
    server.works["10.5555/w3"] = work("10.5555/w3", indexed="2026-07-01")
    server.aliases["10.5555/old"] = MARKOWITZ
    met = iter(range(10**6))
    server.script([again(QUICK[name], 1, lambda _: next(met) % spread == 0) for name in storm])
    with CrossrefClient(server.url, sleep=lambda _: None, clock=lambda: 0.0, timeout=5.0) as crossref:
        try:
            found = flat(crossref, dois, since)
        except UnavailableError:
            return
    if since is None:
        assert [one.record_doi for one in found] == [LIPSITZ, MARKOWITZ, "10.5555/a,b", None, WHISMAN, "10.5555/w3"]
    else:
        fresh = {"2026-01-01": {LIPSITZ, "10.5555/a,b", WHISMAN, "10.5555/w3"}, "2026-06-01": {"10.5555/w3"}}[since]
        # A batch that had to be asked one by one may find an alias changed as well; nothing changed is ever missing.
        assert fresh <= {one.requested for one in found} <= fresh | {"10.5555/old"}
    assert all(one.message == server.works.get(one.record_doi or "") for one in found)


def test_an_exception_of_crossrefs_is_shown(server: LoopbackCrossref, crossref: CrossrefClient) -> None:
    server.script([Fault("500", times=None)])
    with pytest.raises(UnavailableError, match=r"500 \(clojure.lang.ExceptionInfo: Response Exception\)"):
        one(crossref, LIPSITZ)
    assert crossref.requests == 5


@pytest.mark.slow
def test_an_oversized_answer_is_fetched_twice_at_most(server: LoopbackCrossref, crossref: CrossrefClient) -> None:
    server.script([Fault("bomb", size=transport.MAX_BODY + 1, times=None)])
    with pytest.raises(UnavailableError, match="larger than 64 MB"):
        one(crossref, LIPSITZ)
    assert crossref.requests == 2


def test_gzip_is_asked_for_and_counted_as_it_crossed_the_wire(
    server: LoopbackCrossref, crossref: CrossrefClient
) -> None:
    server.works[LIPSITZ]["abstract"] = "therapy " * 10_000
    server.script([Fault("gzip")])
    assert one(crossref, LIPSITZ).message == server.works[LIPSITZ]
    assert 0 < crossref.bytes < 10_000
    assert server.requests[0].headers["accept-encoding"] == "gzip"


def test_pauses_grow_and_differ_between_questions(server: LoopbackCrossref) -> None:
    def pauses(doi: str) -> list[float]:
        waits: list[float] = []
        server.script([Fault("503", times=6)])
        with CrossrefClient(
            server.url, sleep=waits.append, clock=iter(range(0, 10**6, 100)).__next__, tries=7
        ) as crossref:
            one(crossref, doi)
        return waits

    first, second = pauses(LIPSITZ), pauses(WHISMAN)
    assert first != second
    assert first == pauses(LIPSITZ)
    assert first == sorted(first)
    assert all(0.5 * 2.0**n * 2 <= pause <= min(60, 2.0**n * 2) for n, pause in enumerate(first[:5]))


def test_retry_after_in_seconds(server: LoopbackCrossref, crossref: CrossrefClient, waits: list[float]) -> None:
    server.script([Fault("429", retry_after="17")])
    one(crossref, LIPSITZ)
    assert 17.0 in waits


def test_retry_after_as_a_date_is_read_against_the_servers_clock(
    server: LoopbackCrossref, crossref: CrossrefClient, waits: list[float]
) -> None:
    headers = {
        "Retry-After": "Tue, 16 Jun 2026 13:05:22 GMT",
        "Date": "Tue, 16 Jun 2026 13:04:52 GMT",
        "Content-Length": "0",
    }
    server.script([Fault("raw", status=429, headers=headers)])
    one(crossref, LIPSITZ)
    assert 30.0 in waits


def test_a_429_without_words_pauses_longer_than_other_failures(
    server: LoopbackCrossref, crossref: CrossrefClient, waits: list[float]
) -> None:
    server.script([Fault("429")])
    one(crossref, LIPSITZ)
    assert 2.5 <= max(waits) <= 5.0


def test_a_wait_beyond_reason_is_not_waited(
    server: LoopbackCrossref, crossref: CrossrefClient, waits: list[float]
) -> None:
    server.script([Fault("429", retry_after="86400", times=None)])
    with pytest.raises(UnavailableError, match="asks to wait 86400 s, run again after that"):
        one(crossref, LIPSITZ)
    assert (crossref.requests, waits) == (1, [])


def test_a_server_that_is_not_there_names_offline(waits: list[float]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with CrossrefClient(url, sleep=waits.append, clock=lambda: 0.0, tries=3) as crossref:
            with pytest.raises(UnavailableError, match=r"cannot be reached.*3 times.*--offline"):
                one(crossref, LIPSITZ)
            assert crossref.requests == 3


def test_a_server_never_seen_gets_fewer_tries(waits: list[float]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with CrossrefClient(url, sleep=waits.append, clock=lambda: 0.0) as crossref:
            with pytest.raises(UnavailableError):
                one(crossref, LIPSITZ)
            assert crossref.requests == transport.MAX_TRIES_UNREACHED
            with pytest.raises(UnavailableError):
                one(crossref, LIPSITZ)
            assert crossref.requests == transport.MAX_TRIES_UNREACHED + 1


def test_an_outage_is_waited_out_once(server: LoopbackCrossref, crossref: CrossrefClient) -> None:
    server.script([Fault("503", times=None)])
    spent = []
    for _ in range(2):
        before = crossref.requests
        with pytest.raises(UnavailableError):
            one(crossref, LIPSITZ)
        spent.append(crossref.requests - before)
    assert spent == [5, 1]
    server.forget()
    assert one(crossref, LIPSITZ).message is not None
    server.script([Fault("503", times=4)])
    assert one(crossref, LIPSITZ).message is not None


def test_trouble_with_one_question_costs_the_next_no_tries(server: LoopbackCrossref, crossref: CrossrefClient) -> None:
    server.script([Fault("wrong", doi=WHISMAN, times=5), Fault("503", times=4)])
    with pytest.raises(UnavailableError, match="another work"):
        one(crossref, LIPSITZ)
    assert one(crossref, LIPSITZ).message is not None


def test_dois_too_long_to_share_a_request_lose_no_other(server: LoopbackCrossref, crossref: CrossrefClient) -> None:
    long = [f"10.5555/{letter}{'<' * 1800}" for letter in "ab"]
    server.works |= {doi: work(doi) for doi in long}
    (batch,) = crossref.lookup([Doi(doi) for doi in (*long, LIPSITZ, MARKOWITZ)])
    assert [found.record_doi for found in batch] == [*long, LIPSITZ, MARKOWITZ]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (httpx.ConnectTimeout("timed out"), "no connection within 10 s"),
        (httpx.PoolTimeout("timed out"), "no connection within 10 s"),
        (httpx.ReadTimeout("timed out"), "no answer within 60 s"),
        (httpx.ConnectError("no route"), "the server cannot be reached (no route)"),
        (httpx.ProxyError("refused"), "the server cannot be reached (refused)"),
        (httpx.ReadError("reset"), "the connection broke (reset)"),
        (httpx.RemoteProtocolError(""), "the connection broke (RemoteProtocolError)"),
    ],
)
def test_what_broke_is_said_in_words(error: httpx.TransportError, words: str) -> None:
    assert transport._describe(error, 60.0) == words


@pytest.mark.parametrize("status", [408, 425, 429])
def test_a_server_that_went_on_asking_to_slow_down_is_tried_twice_until_it_answers(
    server: LoopbackCrossref, status: int
) -> None:
    fault = Fault("raw", status=status, headers={"Content-Length": "0"}, times=5 + 2)
    server.script([fault])
    with CrossrefClient(server.url, sleep=lambda _: None, clock=lambda: 0.0) as crossref:
        for requests in (5, 5 + 2):
            with pytest.raises(UnavailableError):
                one(crossref, LIPSITZ)
            assert crossref.requests == requests
        assert one(crossref, LIPSITZ).message == server.works[LIPSITZ]
        server.script([again(fault, 4)])
        assert one(crossref, LIPSITZ).message == server.works[LIPSITZ]


def test_a_long_pause_asked_for_is_kept_for_every_question(server: LoopbackCrossref) -> None:
    clock = Clock()
    server.script([Fault("429", retry_after="3600")])
    with CrossrefClient(server.url, sleep=clock.sleep, clock=clock.now) as crossref:
        for _ in range(3):
            with pytest.raises(UnavailableError, match=r"asks to wait 3\d\d\d s"):
                one(crossref, LIPSITZ)
        assert len(server.requests) == 1
        clock.time += 3500
        assert one(crossref, LIPSITZ).message is not None
        assert clock.time == pytest.approx(3600)


# Failures that will not pass


def test_403_stops_everything_at_once(server: LoopbackCrossref, crossref: CrossrefClient, waits: list[float]) -> None:
    server.script([Fault("403")])
    with pytest.raises(RejectedError, match="blocked: stop"):
        one(crossref, LIPSITZ)
    later: list[Callable[[], object]] = [
        lambda: one(crossref, WHISMAN),
        lambda: list(crossref.lookup([LIPSITZ, WHISMAN])),
        lambda: crossref.scan(Query((("title", "x"),))),
        lambda: crossref.agency(LIPSITZ),
    ]
    for ask in later:
        with pytest.raises(RejectedError, match="blocked: stop"):
            ask()
    assert (len(server.requests), crossref.requests, waits) == (1, 1, [])


def test_403_in_the_middle_of_a_batch_is_not_asked_doi_by_doi(
    server: LoopbackCrossref, crossref: CrossrefClient
) -> None:
    server.script([Fault("403", when=in_list)])
    with pytest.raises(RejectedError, match="blocked: stop"):
        list(crossref.lookup([LIPSITZ, WHISMAN]))
    assert len(server.requests) == 1


def test_403_whose_words_never_end_is_still_403(server: LoopbackCrossref, crossref: CrossrefClient) -> None:
    head = {"Content-Length": "1000000", "Connection": "close"}
    server.script([Fault("raw", status=403, headers=head, body=b"Go")])
    with pytest.raises(RejectedError, match="blocked: stop"):
        one(crossref, LIPSITZ)


@pytest.mark.parametrize("status", [400, 401, 405, 410, 414, 422])
def test_other_refusals_are_not_repeated(server: LoopbackCrossref, crossref: CrossrefClient, status: int) -> None:
    body = b'{"status":"failed","message-type":"validation-failure","message":[{"type":"t","value":"v","message":"Not so."}]}'
    server.script([Fault("raw", status=status, body=body, headers={"Content-Length": str(len(body))})])
    with pytest.raises(RejectedError, match=rf"{status}: Not so\."):
        crossref.scan(Query((("title", "x"),)))
    assert len(server.requests) == 1


def test_a_list_that_has_moved_is_a_wrong_address(server: LoopbackCrossref, crossref: CrossrefClient) -> None:
    location = "https://api.crossref.org:443/works?query.title=x"
    server.script([Fault("raw", status=301, headers={"Location": location, "Content-Length": "0"})])
    with pytest.raises(RejectedError, match=r"has moved to https://api\.crossref\.org:443: correct its address"):
        crossref.scan(Query((("title", "x"),)))


def test_an_api_that_has_moved_says_so_for_single_works(server: LoopbackCrossref, crossref: CrossrefClient) -> None:
    location = f"https://api.crossref.org:443/works/{LIPSITZ}"
    server.script([Fault("raw", status=301, headers={"Location": location, "Content-Length": "0"})])
    with pytest.raises(SourceError, match="address of the API itself moved"):
        one(crossref, LIPSITZ)


def test_the_address_is_crossrefs_unless_told_otherwise() -> None:
    for url, base in ((None, "https://api.crossref.org"), ("http://[::1]:8080/mirror/", "http://[::1]:8080/mirror")):
        with CrossrefClient(url) as crossref:
            crossref._transport._blocked = "blocked: stop"  # nothing may be sent from here
            with pytest.raises(RejectedError, match=re.escape(f"(asked {base}/works/10.5555%2Fa)")):
                one(crossref, "10.5555/a")


@pytest.mark.parametrize("url", ["api.crossref.org", "ftp://api.crossref.org", "http://", "https://x/?a=b", "/works"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(ConfigError, match="no address of a Crossref API"):
        CrossrefClient(url)


# Manners


def test_one_connection_and_who_is_asking(server: LoopbackCrossref, crossref: CrossrefClient) -> None:
    flat(crossref, [LIPSITZ, Doi("10.5555/none"), WHISMAN])
    crossref.agency(LIPSITZ)
    assert server.connections == 1
    for request in server.requests:
        assert request.headers["user-agent"].startswith("evidence/")
        assert request.headers["user-agent"].endswith(f"(living evidence tracker; mailto:{MAILTO})")
        assert request.params["mailto"] == MAILTO
    assert crossref.pool == "polite"


def test_without_an_address_nothing_is_made_up(server: LoopbackCrossref, waits: list[float]) -> None:
    with CrossrefClient(server.url, sleep=waits.append) as crossref:
        one(crossref, LIPSITZ)
        assert crossref.pool == "public"
    (request,) = server.requests
    assert request.headers["user-agent"].endswith("(living evidence tracker)")
    assert "mailto" not in request.params


def test_an_address_cannot_break_out_of_its_header(server: LoopbackCrossref) -> None:
    with CrossrefClient(server.url, "ä@b.invalid)\r\nX-Evil: 1") as crossref:
        one(crossref, LIPSITZ)
    (request,) = server.requests
    assert "x-evil" not in request.headers
    assert request.headers["user-agent"].endswith("mailto:%C3%A4@b.invalid%29%0D%0AX-Evil%3A%201)")


def test_loopback_goes_through_no_proxy(server: LoopbackCrossref, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with CrossrefClient(server.url) as crossref:
        assert one(crossref, LIPSITZ).record_doi == LIPSITZ


def test_classes_are_paced_apart_from_their_headers(server: LoopbackCrossref) -> None:
    clock = Clock()
    server.rate = ("4", "2s")
    with CrossrefClient(server.url, sleep=clock.sleep, clock=clock.now) as crossref:
        for _ in range(3):
            one(crossref, LIPSITZ)
            crossref.scan(Query((("title", "x"),)))
        # The first of each class goes at once; each later one waits out the announced half second and its headroom.
        assert clock.slept == pytest.approx([0.55, 0.55])


def test_without_headers_the_start_is_gentle_even_here(server: LoopbackCrossref) -> None:
    server.rate = None
    singles, lists = Clock(), Clock()
    with CrossrefClient(server.url, sleep=singles.sleep, clock=singles.now) as crossref:
        for _ in range(3):
            one(crossref, LIPSITZ)
        assert singles.slept == pytest.approx([0.25, 0.25])
        assert crossref.pool is None
    with CrossrefClient(server.url, sleep=lists.sleep, clock=lists.now) as crossref:
        for _ in range(3):
            crossref.scan(Query((("title", "x"),)))
        assert lists.slept == pytest.approx([1.0, 1.0])


def test_the_pace_is_kept_on_a_real_clock(server: LoopbackCrossref) -> None:
    server.rate = ("10", "0.2s")
    with CrossrefClient(server.url, timeout=5) as crossref:
        started = time.monotonic()
        for _ in range(21):
            one(crossref, LIPSITZ)
        # Twenty intervals of a fiftieth of a second and its headroom; a busy machine can only make it longer.
        assert time.monotonic() - started >= 20 * 0.022 - 0.001


def test_a_429_halves_the_pace_of_its_class(server: LoopbackCrossref) -> None:
    clock = Clock()
    server.rate = ("1", "1s")
    with CrossrefClient(server.url, sleep=clock.sleep, clock=clock.now) as crossref:
        one(crossref, LIPSITZ)
        server.script([Fault("429", retry_after="1")])
        one(crossref, LIPSITZ)
        clock.slept.clear()
        one(crossref, LIPSITZ)
        assert clock.slept == pytest.approx([1.1 * 2 * 0.9])
        for _ in range(30):
            one(crossref, LIPSITZ)
        assert clock.slept[-1] == pytest.approx(1.1)


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.time = 0.0
        self.slept: list[float] = []

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds


def test_counters(server: LoopbackCrossref, crossref: CrossrefClient) -> None:
    assert (crossref.requests, crossref.bytes, crossref.seconds, crossref.pool) == (0, 0, 0.0, None)
    one(crossref, LIPSITZ)
    assert crossref.requests == 1
    assert crossref.bytes > 100
    assert 0 < crossref.seconds < 5


# Through habanero: a count and a citation


def test_count(server: LoopbackCrossref) -> None:
    query = Query(
        (("bibliographic", "interpersonal mechanisms"), ("container-title", "clinical")),
        (("type", ("journal-article", "book-chapter")), ("from-pub-date", ("2010",))),
    )
    server.works[LIPSITZ]["container-title"] = ["Clinical Psychology Review"]
    assert client.count(query, server.url) == 1
    (request,) = server.requests
    assert request.params["rows"] == "0"
    assert request.params["filter"] == "type:journal-article,type:book-chapter,from-pub-date:2010"


@pytest.mark.slow
@pytest.mark.parametrize("doi", [LIPSITZ, *NASTY[::3]])
def test_bibliography_is_the_citation_of_the_doi_asked_for(server: LoopbackCrossref, doi: str) -> None:
    author = [{"family": "Lipsitz", "given": "J"}]
    server.works |= {"10.5555/a": work("10.5555/a"), doi: work(doi, "Mechanisms of change", 2013, author=author)}
    text = client.bibliography(Doi(doi), "vancouver", server.url)
    assert text == f"Lipsitz (2013). Mechanisms of change. https://doi.org/{doi}"
    assert server.requests[-1].headers["accept"].startswith("text/x-bibliography; style = vancouver")


def ask_habanero(verb: str, url: str) -> None:
    if verb == "count":
        client.count(Query((("title", "x"),)), url)
    else:
        client.bibliography(LIPSITZ, "apa", url)


@pytest.mark.parametrize("verb", ["count", "cite"])
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault("403"), RejectedError),
        (Fault("429"), UnavailableError),
        (Fault("500"), UnavailableError),
        (Fault("504"), UnavailableError),
        (Fault("html"), UnavailableError),
        (Fault("empty"), UnavailableError),
        (Fault("truncated"), UnavailableError),
        (Fault("drop"), UnavailableError),
        (Fault("reset"), UnavailableError),
        (Fault("raw", status=429, body=b'{"message":"slow down"}', headers={"Content-Length": "23"}), UnavailableError),
        (
            Fault("raw", status=400, body=b'{"message":[{"message":"No."}]}', headers={"Content-Length": "31"}),
            RejectedError,
        ),
        (
            Fault("raw", body=b'{"message":[]}', headers={"Content-Type": "application/json", "Content-Length": "14"}),
            None,
        ),
    ],
)
def test_what_habanero_lets_through_is_named(
    server: LoopbackCrossref, verb: str, fault: Fault, error: type[EvidenceError] | None
) -> None:
    server.script([again(fault, 1)])
    if error is None and verb == "cite":
        assert client.bibliography(LIPSITZ, "apa", server.url) == '{"message":[]}'  # any text may be a citation
        return
    with pytest.raises(error or UnavailableError, match=server.url):
        ask_habanero(verb, server.url)


@pytest.mark.parametrize("verb", ["count", "cite"])
def test_habanero_and_no_server(verb: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(UnavailableError, match="--offline"):
            ask_habanero(verb, f"http://127.0.0.1:{taken.getsockname()[1]}")


def test_a_citation_that_cannot_be(server: LoopbackCrossref) -> None:
    with pytest.raises(RejectedError, match="no agency knows this DOI"):
        client.bibliography(Doi("10.5555/none"), "apa", server.url)
    with pytest.raises(UnavailableError, match="is 'no-such-style' a style Crossref knows"):
        client.bibliography(LIPSITZ, "no-such-style", server.url)
    with pytest.raises(RejectedError, match="no name of a citation style"):
        client.bibliography(LIPSITZ, "apa; locale=x\r\n", server.url)
    with pytest.raises(RejectedError, match="habanero knows no such question"):
        client.count(Query((("nonsense", "x"),)), server.url)
