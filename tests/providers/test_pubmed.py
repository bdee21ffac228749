"""The client of PubMed against a loopback: what it sends, and that a missing record never reads as "none" by mistake."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from evidence.providers.answers import Answer, Wanted
from evidence.providers.pubmed import INTERVAL, INTERVAL_WITH_KEY, STEP, PubmedClient
from evidence.providers.pubmed_records import describe, split
from tests.loopback_server import Fault, Reply, Request
from tests.provider_loopback import ProviderLoopback
from tests.provider_records import pubmed
from tests.provider_services import pub_med
from tests.providers import recorded
from tests.providers.asking import PASSING, answers, copy

TITLE = "A trial of interpersonal psychotherapy for grief"
A, B, C, D = "10.5555/a", "10.5555/B(2),x", "10.5555/c", "10.5555/d"
KEY, MAILTO = "s3cret+key", "reader@loopback.invalid"


def wanted(doi: str, pmid: str | None = None, kind: str = "journal-article") -> Wanted:
    return Wanted(doi, TITLE, 2019, kind, pmid)


ALL = [wanted(A, "1"), wanted(B), wanted(C, "3"), wanted(D)]
"""Two by PMID, two by DOI; there is no record of the last."""
FOUND = ["found", "found", "found", "none"]


@pytest.fixture
def records() -> list[str]:
    return [pubmed(doi, TITLE, str(number)) for number, doi in enumerate((A, B.lower(), C), start=1)]


@pytest.fixture
def server(records: list[str]) -> Iterator[ProviderLoopback]:
    with ProviderLoopback(pub_med(records)) as running:
        yield running


def opened(server: ProviderLoopback, key: str | None = KEY, **options: Any) -> PubmedClient:
    settings: dict[str, Any] = {"sleep": lambda _: None, "clock": lambda: 0.0, "timeout": 0.5} | options
    return PubmedClient(server.url, MAILTO, key, **settings)


@pytest.fixture
def client(server: ProviderLoopback) -> Iterator[PubmedClient]:
    with opened(server) as running:
        yield running


def asks_at(path: str, request: Request) -> bool:
    return request.path == path


def states(found: dict[str, Answer]) -> list[str]:
    return [answer.state for answer in found.values()]


def test_by_pmid_and_by_doi(server: ProviderLoopback, client: PubmedClient, records: list[str]) -> None:
    found = answers(client, ALL)
    assert states(found) == FOUND
    assert [found[doi].record for doi in (A, B, C)] == records
    assert [request.path for request in server.requests] == ["/efetch.fcgi", "/esearch.fcgi", "/efetch.fcgi"]


def test_key_and_address_are_sent_and_not_told(server: ProviderLoopback, client: PubmedClient) -> None:
    server.script(
        [Fault("raw", None, status=400, body=f"no {KEY}, {MAILTO}".encode(), headers={"Connection": "close"})]
    )
    batches = list(client.ask(ALL))
    forms = [request.form for request in server.requests]
    assert {(form["tool"], form["email"], form["api_key"]) for form in forms} == {("evidence", MAILTO, KEY)}
    told = " ".join(str(batch) for batch in batches)
    assert "400" in told
    assert KEY not in told
    assert MAILTO not in told


def test_the_pace_of_those_with_and_without_a_key(server: ProviderLoopback) -> None:
    for key, interval in ((None, INTERVAL), (KEY, INTERVAL_WITH_KEY)):
        waits: list[float] = []
        with opened(server, key, sleep=waits.append) as client:
            answers(client, ALL)
        assert waits
        assert min(waits) >= interval


@pytest.mark.slow
@pytest.mark.parametrize("name", PASSING)
def test_what_passes_is_asked_again(server: ProviderLoopback, client: PubmedClient, name: str) -> None:
    for path in ("/efetch.fcgi", "/esearch.fcgi"):
        fault = copy(PASSING[name], 1)
        fault.when = partial(asks_at, path)
        server.script([fault])
    assert states(answers(client, ALL)) == FOUND


@pytest.mark.parametrize("name", sorted(set(PASSING) - {"gzip", "huge", "gzip bomb", "hang"}))
def test_what_lasts_is_a_failure_and_never_none(server: ProviderLoopback, client: PubmedClient, name: str) -> None:
    server.script([copy(PASSING[name], None)])
    found = answers(client, [*ALL, *(wanted(f"10.5555/m{number}") for number in range(2 * STEP))])
    assert set(states(found)) == {"failed"}
    assert all(answer.problem for answer in found.values())
    assert client.requests <= 15


@pytest.mark.parametrize("name", sorted(set(PASSING) - {"gzip", "huge", "gzip bomb", "hang"}))
def test_a_search_without_its_records_is_a_failure(server: ProviderLoopback, client: PubmedClient, name: str) -> None:
    fault = copy(PASSING[name], None)
    fault.when = partial(asks_at, "/efetch.fcgi")
    server.script([fault])
    found = answers(client, [wanted(A), wanted(B)])
    assert states(found) == ["failed", "failed"]


def test_the_limit_of_requests_is_told(server: ProviderLoopback, client: PubmedClient) -> None:
    limit = b'{"error":"API rate limit exceeded","api-key":"x","count":"4","limit":"3"}'
    server.script([Fault("raw", None, status=429, body=limit, headers={"Connection": "close"})])
    found = answers(client, ALL)
    assert states(found) == ["failed"] * 4
    assert "429, asked to slow down" in str(found[A].problem)


@pytest.mark.parametrize(
    "body",
    [
        '{"esearchresult": {"ERROR": "Search Backend failed"}}',
        '{"error": "API rate limit exceeded", "count": "4"}',
        '{"esearchresult": {"count": "0"}}',
        '{"esearchresult": {"count": "many", "idlist": []}}',
        '{"esearchresult": {"count": "1", "idlist": ["x"]}}',
        "[]",
    ],
)
def test_an_error_under_200_is_no_empty_search(server: ProviderLoopback, client: PubmedClient, body: str) -> None:
    server.routes["/esearch.fcgi"] = body
    found = answers(client, ALL)
    assert states(found) == ["found", "failed", "found", "failed"]
    assert "200, but the answer is no search" in str(found[D].problem)


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE PubmedArticleSet [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    "<PubmedArticleSet>&b;</PubmedArticleSet>"
)


@pytest.mark.parametrize(
    "body",
    [
        BOMB,
        "<eFetchResult><ERROR>Unable to obtain query</ERROR></eFetchResult>",
        "<PubmedArticleSet><PubmedArticle>",
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><PubmedArticleSet>&x;</PubmedArticleSet>',
    ],
)
def test_xml_that_is_no_list_is_a_failure(server: ProviderLoopback, client: PubmedClient, body: str) -> None:
    server.routes["/efetch.fcgi"] = body
    assert (
        states(answers(client, ALL)) == ["failed", "failed", "failed", "none"]
        or states(answers(client, ALL)) == ["failed"] * 4
    )


def test_a_record_that_does_not_come_is_searched_for(records: list[str], client: PubmedClient) -> None:
    found = answers(client, [wanted(A, "99"), wanted(D, "98")])
    assert states(found) == ["found", "none"]


def test_a_search_whose_records_do_not_come_is_no_none(server: ProviderLoopback, client: PubmedClient) -> None:
    honest = server.routes["/efetch.fcgi"]
    server.routes["/efetch.fcgi"] = lambda request: (
        "".join(honest(request).split("<PubmedArticle>")[:1]) + "</PubmedArticleSet>"
    )
    assert states(answers(client, [wanted(A), wanted(B), wanted(D)])) == ["failed", "failed", "none"]


def test_a_search_that_tells_not_all_is_split(server: ProviderLoopback, client: PubmedClient) -> None:
    honest = server.routes["/esearch.fcgi"]

    def cut(request: Request) -> Any:
        answer = honest(request)
        answer["esearchresult"]["idlist"] = answer["esearchresult"]["idlist"][:1]
        return answer

    server.routes["/esearch.fcgi"] = cut
    assert states(answers(client, [wanted(A), wanted(B), wanted(C), wanted(D)])) == FOUND


def test_records_of_other_works_are_refused(server: ProviderLoopback, client: PubmedClient) -> None:
    other = pubmed("10.5555/other", TITLE, "9")
    server.routes["/efetch.fcgi"] = f"<PubmedArticleSet>{other}</PubmedArticleSet>"
    server.routes["/esearch.fcgi"] = {"esearchresult": {"count": "1", "idlist": ["9"]}}
    found = answers(client, ALL)
    assert states(found) == ["refused"] * 4
    assert found[D].problem == f"the record is about another DOI (10.5555/other instead of {D})"


def test_a_wrong_pmid_and_another_title_are_refused(records: list[str], client: PubmedClient) -> None:
    records[2] = pubmed(C, "Sleep and shift work in nurses", "3")
    found = answers(client, [wanted(A, "2"), wanted(C, "3")])
    assert states(found) == ["refused", "refused"]
    assert found[A].problem == f"the record is about another DOI ({B.lower()} instead of {A})"


def test_an_old_record_without_doi_is_taken_by_its_pmid_and_title(records: list[str], client: PubmedClient) -> None:
    records[0] = records[0].replace(f'<ArticleId IdType="doi">{A}</ArticleId>', "")
    assert answers(client, ALL)[A] == Answer(A, "found", records[0])
    records[0] = records[0].replace(TITLE, f"{TITLE} in rats")
    found = answers(client, ALL)[A]
    assert (found.state, found.record) == ("refused", None)


def test_a_preprint_of_the_article_is_refused(records: list[str], client: PubmedClient) -> None:
    records[0] = pubmed(A, TITLE, "1", types=("Preprint",))
    assert answers(client, ALL)[A].state == "refused"
    assert answers(client, [wanted(A, "1", "posted-content")])[A].state == "found"


def test_a_doi_with_a_quotation_mark_cannot_be_searched_for(server: ProviderLoopback, client: PubmedClient) -> None:
    found = answers(client, [wanted('10.5555/"e"'), wanted(B)])
    assert states(found) == ["failed", "found"]
    assert "quotation mark" in str(found['10.5555/"e"'].problem)


@pytest.mark.slow
@pytest.mark.parametrize(("known", "requests"), [(True, 5), (False, 15)])
def test_a_thousand_works(server: ProviderLoopback, records: list[str], known: bool, requests: int) -> None:
    works = [wanted(f"10.5555/w{number}", str(number) if known else None) for number in range(1, 1001)]
    records[:] = [pubmed(one.subject, TITLE, str(number)) for number, one in enumerate(works, start=1)]
    with opened(server, timeout=20.0) as client:
        assert set(states(answers(client, works))) == {"found"}
        assert client.requests == requests


def test_after_a_refusal_nothing_is_taken_for_none(server: ProviderLoopback, client: PubmedClient) -> None:
    server.routes["/efetch.fcgi"] = Reply(400, b'{"error": "ID list is empty! Possibly it has no correct IDs."}')
    assert states(answers(client, [wanted(A, "1"), wanted(B)])) == ["failed", "failed"]


@pytest.mark.slow
def test_recorded_records_come_through() -> None:
    """Genuine records, served again by the loopback."""
    texts = [text for body in recorded.pubmed() for text in split(body)]
    said = {one.doi: one for one in map(describe, texts) if one.doi}
    works = [Wanted(doi, one.title, None, "posted-content", one.record_id) for doi, one in said.items()]
    with ProviderLoopback(pub_med(texts)) as server, opened(server, timeout=20.0) as client:
        assert set(states(answers(client, works[:60]))) == {"found"}
        assert client.requests == 1
        unknown = [Wanted(one.subject, one.title, None, one.kind) for one in works[:60]]
        assert set(states(answers(client, unknown))) == {"found"}
