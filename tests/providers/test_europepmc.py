"""The client of Europe PMC against a loopback: what it sends, and that no list reads as "none" by mistake."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from evidence.providers.answers import Answer, Wanted
from evidence.providers.europepmc import STEP, EuropePmcClient
from tests.loopback_server import Fault, Request
from tests.provider_loopback import ProviderLoopback
from tests.provider_records import europepmc
from tests.provider_services import europe_pmc
from tests.providers import recorded
from tests.providers.asking import PASSING, answers, copy, patience

TITLE = "A trial of interpersonal psychotherapy for grief"
A, B, C, D = "10.5555/a", "10.5555/B(2),x", '10.5555/c"\\d', "10.5555/d"


def wanted(doi: str, title: str = TITLE, kind: str = "journal-article") -> Wanted:
    return Wanted(doi, title, 2019, kind)


ALL = [wanted(doi) for doi in (A, B, C, D)]


@pytest.fixture
def records() -> list[str]:
    """Records of all but the last."""
    return [europepmc(doi, TITLE, str(number)) for number, doi in enumerate((A, B.lower(), C), start=1)]


@pytest.fixture
def server(records: list[str]) -> Iterator[ProviderLoopback]:
    with ProviderLoopback(europe_pmc(records)) as running:
        yield running


@pytest.fixture
def client(server: ProviderLoopback, request: pytest.FixtureRequest) -> Iterator[EuropePmcClient]:
    with EuropePmcClient(
        server.url, "reader@loopback.invalid", sleep=lambda _: None, clock=lambda: 0.0, timeout=patience(request)
    ) as it:
        yield it


def states(found: dict[str, Answer]) -> list[str]:
    return [answer.state for answer in found.values()]


def test_found_and_none(client: EuropePmcClient, records: list[str]) -> None:
    found = answers(client, ALL)
    assert states(found) == ["found", "found", "found", "none"]
    assert [json.loads(found[doi].record or "") for doi in (A, B, C)] == list(map(json.loads, records))
    assert client.requests == 1


def test_no_record_of_any_is_none(client: EuropePmcClient) -> None:
    assert states(answers(client, [wanted(D), wanted("10.5555/e")])) == ["none", "none"]
    assert client.requests == 1


@pytest.mark.parametrize("name", PASSING)
def test_what_passes_is_asked_again(server: ProviderLoopback, client: EuropePmcClient, name: str) -> None:
    server.script([copy(PASSING[name], 1)])
    assert states(answers(client, ALL)) == ["found", "found", "found", "none"]


@pytest.mark.parametrize("name", sorted(set(PASSING) - {"gzip", "huge", "gzip bomb", "hang"}))
def test_what_lasts_is_a_failure_and_never_none(server: ProviderLoopback, client: EuropePmcClient, name: str) -> None:
    server.script([copy(PASSING[name], None)])
    found = answers(client, [*ALL, *(wanted(f"10.5555/m{number}") for number in range(5 * STEP))])
    assert set(states(found)) == {"failed"}
    assert all(answer.problem for answer in found.values())
    assert client.requests <= 15


def test_a_wait_of_hours_is_told(server: ProviderLoopback, client: EuropePmcClient) -> None:
    server.script([Fault("429", retry_after="30000")])
    assert {(one.state, one.retry_after) for one in answers(client, ALL).values()} == {("failed", 30000.0)}
    assert client.requests == 1


def lists(server: ProviderLoopback, change: Any) -> None:
    """Every list of the server, changed by this function."""
    honest = server.routes["/searchPOST"]

    def changed(request: Request) -> Any:
        answer = honest(request)
        change(answer, request)
        return answer

    server.routes["/searchPOST"] = changed


def test_a_list_that_is_cut_short_is_asked_again(server: ProviderLoopback, client: EuropePmcClient) -> None:
    def cut(answer: Any, request: Request) -> None:
        answer["resultList"]["result"] = answer["resultList"]["result"][:1]

    lists(server, cut)
    assert states(answers(client, ALL)) == ["found", "found", "found", "none"]
    assert client.requests <= 8


def test_a_list_that_announces_and_gives_nothing_is_a_failure(
    server: ProviderLoopback, client: EuropePmcClient
) -> None:
    lists(server, lambda answer, _: answer["resultList"].update(result=[]))
    assert states(answers(client, ALL)) == ["failed", "failed", "failed", "none"]


def test_a_list_in_pages(records: list[str]) -> None:
    with (
        ProviderLoopback(europe_pmc(records, page=1)) as server,
        EuropePmcClient(server.url, sleep=lambda _: None, clock=lambda: 0.0) as client,
    ):
        assert states(answers(client, ALL)) == ["found", "found", "found", "none"]
        assert client.requests == 3
        assert [request.form["cursorMark"] for request in server.requests] == ["*", "1", "2"]


def test_a_cursor_that_stands_still_ends(server: ProviderLoopback, client: EuropePmcClient) -> None:
    lists(server, lambda answer, _: answer.update(hitCount=answer["hitCount"] + 1, nextCursorMark="*"))
    assert states(answers(client, ALL)) == ["found", "found", "found", "failed"]


def test_records_of_other_works_are_refused(server: ProviderLoopback, client: EuropePmcClient) -> None:
    other = json.loads(europepmc("10.5555/other", TITLE))
    lists(server, lambda answer, _: answer.update(hitCount=1, resultList={"result": [other]}))
    found = answers(client, ALL)
    assert states(found) == ["refused"] * 4
    assert found[D].problem == f"the record is about another DOI (10.5555/other instead of {D})"


def test_another_title_is_refused(records: list[str], client: EuropePmcClient) -> None:
    records[0] = europepmc(A, "Sleep and shift work in nurses")
    found = answers(client, ALL)
    assert states(found) == ["refused", "found", "found", "none"]
    assert found[A].problem == "the record has another title (“Sleep and shift work in nurses.”)"


def test_a_preprint_beside_the_article(records: list[str], client: EuropePmcClient) -> None:
    records.insert(0, europepmc(A, TITLE, "PPR7", source="PPR", id="PPR7"))
    records.append(europepmc(D, TITLE, "PPR8", source="PPR", id="PPR8"))
    found = answers(client, [*ALL[:3], wanted(D)])
    assert json.loads(found[A].record or "")["source"] == "MED"
    assert (found[D].state, found[D].problem) == ("refused", "the record is one of a preprint of the work")
    assert answers(client, [wanted(D, kind="posted-content")])[D].state == "found"


def test_of_two_records_pubmeds_is_taken(records: list[str], client: EuropePmcClient) -> None:
    records.insert(0, europepmc(A, TITLE, source="PMC", id="PMC1"))
    assert json.loads(answers(client, ALL)[A].record or "")["source"] == "MED"


def test_a_record_that_cannot_be_read_is_a_failure(records: list[str], client: EuropePmcClient) -> None:
    records[0] = europepmc(A, TITLE, commentCorrectionList="Retraction in")
    found = answers(client, ALL)
    assert states(found) == ["failed", "found", "found", "none"]
    assert found[A].problem == "200, but `commentCorrectionList` is not an object"


@pytest.mark.parametrize(
    "body",
    [
        b'{"errCode": 500, "errMsg": "Something"}',
        b'{"hitCount": 0}',
        b'{"hitCount": "none", "resultList": {"result": []}}',
        b'{"hitCount": 0, "resultList": {"result": [null]}}',
        b"[]",
    ],
)
def test_an_answer_of_another_shape_is_a_failure(
    server: ProviderLoopback, client: EuropePmcClient, body: bytes
) -> None:
    server.routes["/searchPOST"] = body
    found = answers(client, ALL)
    assert states(found) == ["failed"] * 4
    assert str(found[A].problem).startswith("200, but the answer is no list of records")


def test_a_doi_that_spoils_the_query_fails_alone(server: ProviderLoopback, client: EuropePmcClient) -> None:
    server.script([Fault("raw", None, lambda request: B in request.form["query"], status=400)])
    found = answers(client, ALL)
    assert states(found) == ["found", "failed", "found", "none"]
    assert str(found[B].problem).startswith("400")


def test_a_thousand_works_take_ten_requests(
    server: ProviderLoopback, client: EuropePmcClient, records: list[str]
) -> None:
    works = [wanted(f"10.5555/w{number}") for number in range(1000)]
    records[:] = [europepmc(one.subject, TITLE, str(number)) for number, one in enumerate(works[::2], start=1)]
    found = answers(client, works)
    assert states(found) == ["found", "none"] * 500
    assert client.requests == 10
    assert {request.headers["user-agent"].count("reader@loopback.invalid") for request in server.requests} == {1}


def test_recorded_records_come_through() -> None:
    """Genuine records, served again by the loopback."""
    rows = [row for row in recorded.europepmc("search_cancer_core.json") if row.get("doi")]
    works = [
        Wanted(row["doi"].upper(), row["title"], None, "journal-article") for row in rows if row["source"] == "MED"
    ]
    with (
        ProviderLoopback(europe_pmc([json.dumps(row) for row in rows])) as server,
        EuropePmcClient(server.url, sleep=lambda _: None) as client,
    ):
        assert works
        assert set(states(answers(client, works))) == {"found"}
