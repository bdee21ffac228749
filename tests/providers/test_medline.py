"""What PubMed's and Europe PMC's records have in common."""

from __future__ import annotations

import pytest

from evidence.data_model import Fact, Notice
from evidence.linkage.retraction_notices import GRAVITY
from evidence.providers import medline
from evidence.providers.medline import Link
from evidence.providers.record_values import facts


@pytest.mark.parametrize(
    ("reference", "issued"),
    [
        ("Lancet. 2019 Mar 1;393(10175):1001. doi: 10.1016/S0140-6736(19)30001-1.", "2019-03-01"),
        ("Atherosclerosis. 2016 Mar;246:385", "2016-03"),
        ("Lancet. 2019;393:1001", "2019"),
        ("J Appl Physiol (1985). 2019 Mar 1;126(3):800", "2019-03-01"),
        ("N Engl J Med. 2020 Jan-Feb;382(1):9", "2020"),
        ("N Engl J Med. 2020 Feb 3-9;382(1):9", "2020-02"),
        ("JAMA. 2021 Feb 31;1(1):9", "2021-02"),
        ("medRxiv. 2023 Apr 05:2023.03.21.23286947. doi: 10.1101/2023.03.21.23286947.", "2023-04-05"),
        ("Retraction in: Lancet", None),
        ("", None),
        (None, None),
    ],
)
def test_the_date_of_a_citation_is_as_precise_as_it_stands_there(reference: str | None, issued: str | None) -> None:
    assert medline.date_of(reference) == issued


@pytest.mark.parametrize(
    ("relation", "kind"),
    [
        ("Retraction in", "retraction"),
        ("RetractionIn", "retraction"),
        ("RetractedandRepublishedIn", "retraction"),
        ("Partial retraction in", "partial-retraction"),
        ("PartialRetractionIn", "partial-retraction"),
        ("Expression of concern in", "expression-of-concern"),
        ("ExpressionOfConcernIn", "expression-of-concern"),
        ("Corrected and republished in", "correction"),
        ("CorrectedandRepublishedIn", "correction"),
        ("Erratum in", "erratum"),
        ("ErratumIn", "erratum"),
    ],
)
def test_what_was_done_to_a_record_is_a_notice(relation: str, kind: str) -> None:
    (notice,) = medline.notices([Link(relation, "Lancet. 2019 Mar 1;1:2. doi: 10.5555/N.", "17")], (), "PubMed")
    assert notice == Notice(kind, notice.notice_doi, "2019-03-01", "PubMed", "comments-corrections", "PMID:17")
    assert notice.notice_doi == "10.5555/n"
    assert kind in GRAVITY


@pytest.mark.parametrize(
    "relation",
    [
        "Retraction of", "RetractionOf", "Erratum for", "ErratumFor", "Comment on", "CommentIn", "ExpressionOfConcernFor",
        "CorrectedandRepublishedFrom", "Update in", "UpdateOf", "ReprintIn", "Cites", "", "Preprint of",
    ],
)  # fmt: skip
def test_a_link_in_the_other_direction_is_no_notice(relation: str) -> None:
    assert medline.notices([Link(relation, "Lancet. 2019", "17")], ["Retraction Notice"], "PubMed") == ()


def test_the_publication_type_counts_where_no_link_names_the_retraction() -> None:
    types = ["Journal Article", "Retracted Publication"]
    by_type = Notice("retraction", None, None, "PubMed", "publication-type")
    assert medline.notices([], types, "PubMed") == (by_type,)
    assert by_type in medline.notices([Link("ErratumIn", None, "1")], types, "PubMed")
    named = medline.notices([Link("RetractionIn", None, None)], types, "PubMed")
    assert named == (Notice("retraction", None, None, "PubMed", "comments-corrections"),)
    assert medline.notices([], ["Retraction of Publication", "Retraction Notice"], "PubMed") == ()


def test_a_notice_that_is_listed_twice_is_one() -> None:
    assert len(medline.notices([Link("ErratumIn", "A. 2019", "1")] * 2, (), "PubMed")) == 1


def test_facts_are_there_once_whatever_their_case() -> None:
    found = facts("publication-type", "europepmc", ["Journal Article", None, "journal article", ""])
    assert found == (Fact("publication-type", "Journal Article", "europepmc"),)


@pytest.mark.parametrize(
    ("raw", "pmid"),
    [("12345", "12345"), (" 7 ", "7"), ("0", None), ("PMC7", None), ("", None), (None, None), ("١", None)],
)
def test_a_pubmed_identifier_is_a_number_that_is_not_zero(raw: str | None, pmid: str | None) -> None:
    assert medline.pmid(raw) == pmid
