"""Europe PMC's records, read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence.data_model import Fact, Identifier, Notice
from evidence.errors import RecordError
from evidence.providers.answers import Described
from evidence.providers.europepmc_records import describe
from evidence.rules.sentence_roles import read_sentences
from tests.providers import recorded

RECORD: dict[str, Any] = {
    "id": "12345",
    "source": "MED",
    "pmid": "12345",
    "pmcid": "PMC678",
    "doi": "10.5555/ABC",
    "title": "Talking <i>and</i> listening &amp; more.",
    "abstractText": "<h4>Background</h4>Loss is hard.<h4>Methods</h4>We asked 40 people.<h4>Results</h4>"
    "They felt better (p &lt; 0.05).<h4>Conclusions</h4>Talking helps.",
}


def read(**fields: Any) -> Described:
    return describe(json.dumps(RECORD | fields))


def test_identifiers_title_and_abstract() -> None:
    found = read()
    assert (found.provider, found.record_id, found.doi) == ("europepmc", "MED:12345", "10.5555/abc")
    assert found.title == "Talking and listening & more."
    assert found.identifiers == (
        Identifier("pmid", "12345", "europepmc"),
        Identifier("pmcid", "PMC678", "europepmc"),
    )
    assert found.abstract == (
        "Background: Loss is hard.\nMethods: We asked 40 people.\nResults: They felt better (p < 0.05).\n"
        "Conclusions: Talking helps."
    )
    assert not found.preprint
    assert found.facts == ()
    assert found.notices == ()


def test_the_headings_of_an_abstract_decide_the_roles_of_its_sentences() -> None:
    abstract = read().abstract
    assert abstract is not None
    roles = [(sentence.role, sentence.heading) for sentence in read_sentences(abstract)]
    assert roles == [("background", True), ("methods", True), ("results", True), ("conclusions", True)]


def test_a_record_without_anything_says_nothing() -> None:
    assert describe("{}") == Described("europepmc")
    assert read(abstractText="No abstract available", pmid=None, pmcid=None, source="PMC").identifiers == ()
    assert read(abstractText="No abstract available").abstract is None


def test_the_number_of_a_medline_record_is_its_pmid() -> None:
    assert read(pmid=None, pmcid=None).identifiers == (Identifier("pmid", "12345", "europepmc"),)
    assert read(pmid="0", source="AGR", id="IND1", pmcid="x").identifiers == ()


def test_a_preprint_says_so() -> None:
    found = read(source="PPR", id="PPR99", pmid=None, pmcid=None)
    assert found.preprint
    assert found.record_id == "PPR:PPR99"
    assert found.identifiers == ()


def test_facts() -> None:
    found = read(
        pubTypeList={"pubType": ["Randomized Controlled Trial", "research-article", "Research-Article"]},
        meshHeadingList={
            "meshHeading": [
                {"majorTopic_YN": "N", "descriptorName": "Humans"},
                {
                    "majorTopic_YN": "N",
                    "descriptorName": "Depressive Disorder",
                    "meshQualifierList": {"meshQualifier": [{"qualifierName": "therapy", "majorTopic_YN": "Y"}]},
                },
            ]
        },
        grantsList={"grant": [{"grantId": "R01 MH012345", "agency": "NIMH NIH HHS"}, {"agency": "Wellcome Trust"}]},
        license="cc by",
        isOpenAccess="Y",
        fullTextUrlList={
            "fullTextUrl": [
                {"availabilityCode": "S", "documentStyle": "doi", "url": "https://doi.org/10.5555/abc"},
                {"availabilityCode": "OA", "documentStyle": "pdf", "url": "https://example.org/678?pdf=render"},
                {"availabilityCode": "OA", "documentStyle": "html", "url": "https://example.org/678"},
            ]
        },
    )
    assert found.facts == (
        Fact("publication-type", "Randomized Controlled Trial", "europepmc"),
        Fact("publication-type", "research-article", "europepmc"),
        Fact("mesh", "Humans", "europepmc"),
        Fact("mesh", "Depressive Disorder/therapy", "europepmc", major=True),
        Fact("funder", "NIMH NIH HHS R01 MH012345", "europepmc"),
        Fact("funder", "Wellcome Trust", "europepmc"),
        Fact("open-access", "https://example.org/678", "europepmc"),
        Fact("licence", "cc by", "europepmc"),
    )


@pytest.mark.parametrize(
    ("flag", "code", "url"),
    [
        ("N", "OA", "https://example.org/678"),
        ("Y", "F", "https://example.org/678"),
        ("Y", "OA", "javascript:alert(1)"),
        ("Y", "OA", None),
    ],
)
def test_only_an_open_copy_at_a_web_address_is_one(flag: str, code: str, url: str | None) -> None:
    urls = [{"availabilityCode": code, "documentStyle": "html", "url": url}]
    assert read(isOpenAccess=flag, fullTextUrlList={"fullTextUrl": urls}).facts == ()


def test_notices_are_those_on_the_record_itself() -> None:
    links = [
        {
            "id": "222",
            "source": "MED",
            "type": "Retraction in",
            "reference": "Lancet. 2019 Mar 1;393(10175):1001. doi: 10.1016/S0140-6736(19)30001-1.",
        },
        {"id": "333", "source": "MED", "type": "Erratum for", "reference": "Lancet. 2018 Mar"},
        {"id": "PPR9", "source": "PPR", "type": "Expression of concern in"},
    ]
    found = read(commentCorrectionList={"commentCorrection": links}, pubTypeList={"pubType": ["Retracted Publication"]})
    kind, evidence = "retraction", "comments-corrections"
    first, second = found.notices
    assert first.notice_doi == "10.1016/s0140-6736(19)30001-1"
    assert first == Notice(kind, first.notice_doi, "2019-03-01", "Europe PMC", "comments-corrections", "PMID:222")
    assert second == Notice("expression-of-concern", None, None, "Europe PMC", evidence)  # type: ignore[arg-type]


def test_a_retracted_publication_without_a_named_notice() -> None:
    (notice,) = read(pubTypeList={"pubType": "Retracted Publication"}).notices
    assert notice == Notice("retraction", None, None, "Europe PMC", "publication-type")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        '"record"',
        "{",
        '{"title": 1.5}',
        '{"doi": ["10.5555/a"]}',
        '{"title": true}',
        '{"commentCorrectionList": []}',
        '{"commentCorrectionList": {"commentCorrection": ["Retraction in"]}}',
        '{"commentCorrectionList": {"commentCorrection": [{"type": {}}]}}',
        '{"pubTypeList": {"pubType": [{}]}}',
        '{"meshHeadingList": {"meshHeading": [{"meshQualifierList": 4}]}}',
        "[" * 100_000,
        '{"id": ' + "9" * 5_000 + "}",
        '{"title": "' + "x" * 9_000_000 + '"}',
    ],
    ids=lambda text: text[:40],
)
def test_what_is_no_record_is_said(text: str) -> None:
    with pytest.raises(RecordError, match=r"\w+ \w+"):
        describe(text)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_KEYS = st.sampled_from(
    ["id", "doi", "title", "abstractText", "pubTypeList", "meshHeadingList", "grantsList", "commentCorrectionList",
     "fullTextUrlList", "isOpenAccess", "license", "source", "pmcid"]
)  # fmt: skip


@pytest.mark.slow
@given(st.dictionaries(_KEYS, _JSON | st.dictionaries(st.sampled_from(["pubType", "meshHeading", "grant"]), _JSON)))
def test_nothing_else_than_a_record_error_is_raised(record: dict[str, Any]) -> None:
    try:
        found = describe(json.dumps(record))
    except RecordError:
        return
    assert found.provider == "europepmc"


def test_recorded_records_are_read() -> None:
    rows = recorded.europepmc("search_cancer_core.json")
    found = [describe(json.dumps(row)) for row in rows]
    assert len(found) == 25
    assert sum(one.doi is not None for one in found) == 24
    assert sum(one.abstract is not None for one in found) == 21
    assert not any(one.abstract and "<" in one.abstract and "h4" in one.abstract for one in found)
    assert sum(any(fact.kind == "mesh" for fact in one.facts) for one in found) == 13
    assert sum(any(fact.kind == "open-access" for fact in one.facts) for one in found) == 8
    assert not any(one.notices for one in found)  # two errata are there, and each is "for" another record
