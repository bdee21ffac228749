"""OpenAlex: its records read, recorded and made up, and what its client sends."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence.data_model import Fact, Identifier
from evidence.errors import RecordError
from evidence.linkage.title_similarity import compare_titles, read_title
from evidence.providers.agreement import why_not_about
from evidence.providers.answers import Described, Wanted
from evidence.providers.openalex import MAX_WORDS, OpenAlexClient, abstract_text, describe
from tests.data import PROVIDERS, recorded
from tests.loopback_server import Fault, Reply
from tests.provider_loopback import ProviderLoopback
from tests.providers.asking import answers

WORK = {
    "id": "https://openalex.org/W42",
    "doi": "https://doi.org/10.5555/A(1)2",
    "title": "A trial of <scp>IPT</scp> &amp; talking",
    "type": "article",
    "ids": {"pmid": "https://pubmed.ncbi.nlm.nih.gov/123", "pmcid": "https://www.ncbi.nlm.nih.gov/pmc/articles/456"},
    "open_access": {"is_oa": True, "oa_url": "https://example.org/a.pdf"},
    "best_oa_location": {"license": "cc-by", "landing_page_url": "https://example.org/a"},
    "authorships": [
        {"countries": ["DE", "US"], "institutions": [{"country_code": "DE"}, {"country_code": "XX"}]},
        {"institutions": [{"country_code": "ug"}, {"country_code": None}, 7]},
        None,
    ],
    "abstract_inverted_index": {"were": [1], "We": [0], "asked.": [2]},
    "is_retracted": True,
}


def read(**changed: Any) -> Described:
    return describe(json.dumps(WORK | changed))


def test_a_work_is_read() -> None:
    assert read() == Described(
        "openalex",
        record_id="W42",
        doi="10.5555/a(1)2",
        title="A trial of IPT & talking",
        abstract="We were asked.",
        identifiers=(
            Identifier("openalex", "W42", "openalex"),
            Identifier("pmid", "123", "openalex"),
            Identifier("pmcid", "PMC456", "openalex"),
        ),
        facts=(
            Fact("open-access", "https://example.org/a.pdf", "openalex"),
            Fact("licence", "cc-by", "openalex"),
            Fact("country", "Germany", "openalex"),
            Fact("country", "United States", "openalex"),
            Fact("country", "XX", "openalex"),
            Fact("country", "Uganda", "openalex"),
        ),
    )


def test_a_preprint_is_one() -> None:
    assert read(type="preprint").preprint
    assert not read(type=["preprint"]).preprint


def test_that_openalex_calls_a_work_retracted_is_no_notice() -> None:
    assert read(is_retracted=True).notices == ()


@pytest.mark.parametrize(
    ("changed", "links"),
    [
        ({"open_access": None}, ["https://example.org/a"]),
        ({"open_access": {"oa_url": "javascript:alert(1)"}}, ["https://example.org/a"]),
        ({"open_access": {}, "best_oa_location": {"pdf_url": "http://example.org/p"}}, ["http://example.org/p"]),
        ({"open_access": {"oa_url": None}, "best_oa_location": None}, []),
        ({"open_access": {"oa_url": "https://a b"}, "best_oa_location": 7}, []),
    ],
)
def test_the_link_to_an_open_copy(changed: dict[str, Any], links: list[str]) -> None:
    assert [fact.value for fact in read(**changed).facts if fact.kind == "open-access"] == links


@pytest.mark.parametrize(
    ("ids", "kinds"),
    [
        ({"pmid": "123", "pmcid": "PMC9"}, {"pmid": "123", "pmcid": "PMC9"}),
        ({"pmid": 123, "pmcid": "https://pmc.ncbi.nlm.nih.gov/articles/PMC9/"}, {"pmid": "123", "pmcid": "PMC9"}),
        ({"pmid": "0", "pmcid": "none"}, {}),
        ({"pmid": "https://evil.example/123", "pmcid": None}, {}),
        ([], {}),
    ],
)
def test_identifiers(ids: Any, kinds: dict[str, str]) -> None:
    own = {one.kind: one.value for one in read(ids=ids).identifiers}
    assert own == {"openalex": "W42"} | kinds


@pytest.mark.parametrize(
    ("index", "text"),
    [
        ({"b": [1], "a": [0], "c": [5]}, "a b c"),
        ({"a": [0, 2], "b": [1, 3]}, "a b a b"),
        ({"a": [0], "b": [0, 1]}, "a b"),
        ({"a": [-1, "2", None, True, 1.0], "b": [10**30]}, "b"),
        ({"a": 0, "b": None, "c": {"0": 1}}, None),
        ({"a": list(range(MAX_WORDS + 1))}, None),
        ({}, None),
        (None, None),
        ([["a", [0]]], None),
    ],
)
def test_an_inverted_index_becomes_its_text(index: Any, text: str | None) -> None:
    assert abstract_text(index) == text


def test_the_longest_index_that_is_read() -> None:
    text = abstract_text({"a": list(range(MAX_WORDS))})
    assert text is not None
    assert len(text.split()) == MAX_WORDS


@pytest.mark.parametrize(
    "text", ["", "[", "null", "[]", "{}", '{"title": "A"}', '{"id": "A5", "doi": null}', '{"doi": 7}']
)
def test_what_is_no_work_is_said(text: str) -> None:
    with pytest.raises(RecordError, match="the record is"):
        describe(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.slow
@settings(max_examples=150)
@given(st.dictionaries(st.sampled_from(sorted(WORK)), JSON))
def test_no_shape_of_a_field_breaks_the_reading(changed: dict[str, Any]) -> None:
    try:
        found = describe(json.dumps(WORK | changed))
    except RecordError:
        assert {"id", "doi"} <= changed.keys()
    else:
        assert found.provider == "openalex"


def test_recorded_works_are_read_and_about_their_doi() -> None:
    if not PROVIDERS.is_dir():
        pytest.skip("the recorded answers are not here")
    seen = 0
    for _, body in recorded("openalex", "api.openalex.org"):
        found = describe(body)
        assert found.doi is not None
        assert found.title
        assert found.record_id is not None
        assert why_not_about(Wanted(found.doi, found.title), found.doi, found.title) is None
        assert compare_titles(read_title(found.title), read_title(json.loads(body)["title"])) in ("same", "spelling")
        if json.loads(body)["abstract_inverted_index"]:
            assert found.abstract is not None
            assert len(found.abstract) > 100
        seen += 1
    assert seen >= 6


def test_recorded_indexes_of_abstracts_are_whole() -> None:
    if not PROVIDERS.is_dir():
        pytest.skip("the recorded answers are not here")
    seen = 0
    for path in sorted((PROVIDERS / "openalex").glob("*.json")):
        index = json.loads(path.read_text()).get("abstract_inverted_index")
        if index:
            text = abstract_text(index)
            assert text is not None
            assert len(text.split(" ")) == sum(map(len, index.values()))
            seen += 1
    assert seen >= 3


def test_a_doi_that_openalex_cuts_off_is_refused() -> None:
    """A recorded work of 2006: OpenAlex drops what follows the semicolon of its DOI."""
    asked = "10.1890/0012-9658(2006)87[2832:tiopma]2.0.co;2"
    record = {"id": "https://openalex.org/W2030857676", "doi": f"https://doi.org/{asked.removesuffix(';2')}"}
    with ProviderLoopback({f"/works/doi:{asked}": record}) as server, OpenAlexClient(server.url) as client:
        answer = answers(client, [asked])[asked]
    assert answer.state == "refused"


def test_a_work_with_another_title_is_refused() -> None:
    route = {"/works/doi:10.5555/A(1)2": WORK}
    with ProviderLoopback(route) as server, OpenAlexClient(server.url, sleep=lambda _: None) as client:
        same = Wanted("10.5555/A(1)2", "A trial of IPT and talking")
        assert answers(client, [same])[same.subject].state == "found"
        other = Wanted("10.5555/A(1)2", "Soil temperature in northern peatlands")
        answer = answers(client, [other])[other.subject]
        assert answer.state == "refused"
        assert "another title" in str(answer.problem)


def test_key_and_address_are_sent_and_shown_nowhere() -> None:
    key, mailto = "s3cret+key/2", "reader@loopback.invalid"
    echo = Reply(400, f"no such key: {key}, {mailto}, s3cret%2Bkey%2F2".encode())
    said: list[str] = []
    with (
        ProviderLoopback(missing=echo) as server,
        OpenAlexClient(server.url, mailto, key, sleep=lambda _: None, on_wait=said.append, tries=2) as client,
    ):
        server.script([Fault("raw", status=500, body=key.encode(), headers={"Content-Length": str(len(key))})])
        batch = next(client.ask([Wanted("10.5555/a#b?c")]))
        (request,) = {(one.path, one.params["api_key"], one.params["mailto"]) for one in server.requests}
        assert request == ("/works/doi:10.5555%2Fa%23b%3Fc", key, mailto)
        assert all(mailto in one.headers["user-agent"] for one in server.requests)
    shown = [str(batch.answers[0].problem), batch.asked, *said, repr(client._transport.service)]
    assert len(said) == 1
    assert "no such key: …" in shown[0]
    for text in shown:
        assert not any(secret in text for secret in ("s3cret", mailto))


def test_a_wrong_key_stops_the_asking() -> None:
    with (
        ProviderLoopback(missing=Reply(401, b'{"error": "Invalid key"}')) as server,
        OpenAlexClient(server.url) as client,
    ):
        found = answers(client, ["10.5555/a", "10.5555/b"])
        assert {answer.state for answer in found.values()} == {"failed"}
        assert "Invalid key" in str(found["10.5555/b"].problem)
        assert "Check its API key" in str(found["10.5555/b"].problem)
        assert client.requests == 1


def test_the_credit_of_a_day_is_no_pace() -> None:
    waits: list[float] = []
    headers = {"X-RateLimit-Limit": "100000", "X-RateLimit-Remaining": "99999"}
    with (
        ProviderLoopback(headers=headers) as server,
        OpenAlexClient(server.url, sleep=waits.append, clock=lambda: 0.0) as client,
    ):
        answers(client, ["10.5555/a", "10.5555/b"])
    assert waits == [pytest.approx(0.12)]
