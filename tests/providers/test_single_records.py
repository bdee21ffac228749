"""The clients that ask for one record at a time, against a loopback provider: each fault, for each provider."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from evidence.errors import ConfigError
from evidence.providers.answers import Answer, Wanted
from evidence.providers.clinicaltrials import ClinicalTrialsClient
from evidence.providers.datacite import DataCiteClient
from evidence.providers.openalex import OpenAlexClient
from evidence.providers.single_records import STEP, SingleRecordClient
from tests.loopback_server import Fault, Reply
from tests.provider_loopback import ProviderLoopback
from tests.providers.asking import PASSING, answers, copy, patience

KEY, MAILTO = "s3cret+key", "reader@loopback.invalid"


@dataclass(frozen=True)
class Kind:
    """One provider: its client, how a path and a record of a subject look, and subjects to ask for."""

    client: type[SingleRecordClient]
    path: Callable[[str], str]
    record: Callable[[str], dict[str, Any]]
    subjects: tuple[str, ...]
    other: str


DOIS = tuple(f"10.5555/a{number}" for number in range(STEP + 3))
KINDS = {
    "openalex": Kind(
        OpenAlexClient,
        lambda doi: f"/works/doi:{doi}",
        lambda doi: {"id": "https://openalex.org/W1", "doi": f"https://doi.org/{doi}"},
        DOIS,
        "10.5555/other",
    ),
    "datacite": Kind(
        DataCiteClient,
        lambda doi: f"/dois/{doi}",
        lambda doi: {"data": {"id": doi, "type": "dois", "attributes": {"doi": doi}}},
        DOIS,
        "10.5555/other",
    ),
    "clinicaltrials": Kind(
        ClinicalTrialsClient,
        lambda number: f"/api/v2/studies/{number}",
        lambda number: {"protocolSection": {"identificationModule": {"nctId": number}}},
        tuple(f"NCT0000{number:04}" for number in range(STEP + 3)),
        "NCT99999999",
    ),
}


@pytest.fixture(params=sorted(KINDS))
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


@pytest.fixture
def server(kind: Kind) -> Iterator[ProviderLoopback]:
    with ProviderLoopback() as running:
        running.routes = {kind.path(subject): kind.record(subject) for subject in (*kind.subjects, kind.other)}
        yield running


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def client(
    kind: Kind, server: ProviderLoopback, waits: list[float], request: pytest.FixtureRequest
) -> Iterator[SingleRecordClient]:
    private = {"key": KEY} if kind.client is OpenAlexClient else {}
    make: Any = kind.client
    with make(
        server.url, MAILTO, **private, sleep=waits.append, clock=lambda: 0.0, timeout=patience(request), tries=3
    ) as running:
        yield running


def test_each_subject_is_answered_in_steps(kind: Kind, server: ProviderLoopback, client: SingleRecordClient) -> None:
    wanted = [Wanted(subject) for subject in (*kind.subjects, kind.subjects[0])]
    batches = list(client.ask(wanted))
    assert [len(batch.answers) for batch in batches] == [STEP, 3]
    assert [batch.requests for batch in batches] == [STEP, 3]
    assert [answer.subject for batch in batches for answer in batch.answers] == list(kind.subjects)
    assert {answer.state for batch in batches for answer in batch.answers} == {"found"}
    assert (client.requests, server.connections) == (STEP + 3, 1)
    assert client.bytes > 0
    for batch in batches:
        assert "…" in batch.asked
        assert KEY not in batch.asked
        assert MAILTO not in batch.asked


def test_a_record_is_kept_as_it_was_sent(kind: Kind, server: ProviderLoopback, client: SingleRecordClient) -> None:
    subject = kind.subjects[0]
    sent = str(kind.record(subject)).replace("'", '"').replace("{", "{ ", 1) + "\n"
    server.routes[kind.path(subject)] = sent
    answer = answers(client, [subject])[subject]
    assert answer == Answer(subject, "found", record=sent)
    assert client.describe(sent).provider == client.name


def test_no_record_is_none(kind: Kind, server: ProviderLoopback, client: SingleRecordClient) -> None:
    del server.routes[kind.path(kind.subjects[0])]
    found = answers(client, kind.subjects[:2])
    assert found[kind.subjects[0]] == Answer(kind.subjects[0], "none")
    assert found[kind.subjects[1]].state == "found"
    assert len(server.requests) == 2


def test_another_record_is_refused_and_said(kind: Kind, server: ProviderLoopback, client: SingleRecordClient) -> None:
    server.script([Fault("wrong", doi=kind.path(kind.other))])
    answer = answers(client, kind.subjects[:1])[kind.subjects[0]]
    assert (answer.state, answer.record) == ("refused", None)
    assert answer.problem is not None
    assert f"{kind.other} instead of {kind.subjects[0]}" in answer.problem


@pytest.mark.slow
@pytest.mark.parametrize("name", PASSING)
def test_what_passes_is_asked_again(
    kind: Kind, server: ProviderLoopback, client: SingleRecordClient, name: str
) -> None:
    server.script([copy(PASSING[name], 1)])
    assert answers(client, kind.subjects[:1])[kind.subjects[0]].state == "found"
    assert client.requests == (1 if name == "gzip" else 2)
    assert client.bytes < 100_000 or name == "huge"


@pytest.mark.parametrize("name", sorted(set(PASSING) - {"gzip", "hang", "huge", "gzip bomb"}))
def test_what_lasts_is_a_failure_and_never_none(
    kind: Kind, server: ProviderLoopback, client: SingleRecordClient, name: str
) -> None:
    server.script([copy(PASSING[name], None)])
    for subject, answer in answers(client, kind.subjects[:6]).items():
        assert (answer.state, answer.record) == ("failed", None)
        assert answer.problem
        assert subject in kind.subjects
    assert client.requests <= 9
    server.forget()


def test_a_wait_of_hours_stops_the_rest(
    kind: Kind, server: ProviderLoopback, client: SingleRecordClient, waits: list[float]
) -> None:
    server.script(
        [Fault("429", retry_after="30000", when=lambda request: kind.subjects[1] in request.path.replace("%2F", "/"))]
    )
    found = answers(client, kind.subjects)
    assert found[kind.subjects[0]].state == "found"
    assert [(answer.state, answer.retry_after) for answer in found.values()][1:] == [("failed", 30000.0)] * (STEP + 2)
    assert client.requests == 2
    assert max(waits, default=0.0) < 60


@pytest.mark.parametrize("status", [400, 410])
def test_a_refusal_is_a_failure_with_the_providers_words(
    kind: Kind, server: ProviderLoopback, client: SingleRecordClient, status: int
) -> None:
    server.routes[kind.path(kind.subjects[0])] = Reply(status, b'{"errors":[{"title":"Not so."}]}')
    found = answers(client, kind.subjects[:2])
    problem = found[kind.subjects[0]].problem
    assert found[kind.subjects[0]].state == "failed"
    assert problem is not None
    assert problem.startswith(f"{status}: Not so. (asked {server.url}")
    assert found[kind.subjects[1]].state == "found"


def test_after_a_block_nothing_more_is_asked(kind: Kind, server: ProviderLoopback, client: SingleRecordClient) -> None:
    server.script([Fault("403", times=None)])
    found = answers(client, kind.subjects)
    assert {answer.state for answer in found.values()} == {"failed"}
    assert all("blocked: stop" in str(answer.problem) for answer in found.values())
    assert client.requests == 1


@pytest.mark.parametrize("sent", [b"[]", b"{}", b'"text"', b"7", b'{"data": null}', b'{"id": 5, "doi": []}'])
def test_json_of_another_shape_is_a_failure(
    kind: Kind, server: ProviderLoopback, client: SingleRecordClient, sent: bytes
) -> None:
    server.routes[kind.path(kind.subjects[0])] = sent
    answer = answers(client, kind.subjects[:1])[kind.subjects[0]]
    assert answer.state == "failed"
    assert str(answer.problem).startswith("200, but the record is no")
    assert client.requests == 3


def test_an_address_that_is_none(kind: Kind) -> None:
    make: Any = kind.client
    with pytest.raises(ConfigError, match="is no address of a"):
        make("ftp://somewhere")
