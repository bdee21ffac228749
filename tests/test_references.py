"""One verdict per citation: believed only when the record agrees, and none dropped."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from evidence.config import ReferenceList
from evidence.errors import RejectedError
from evidence.model import Citation, Doi, Resolution
from evidence.references import listed, settle
from tests.records import FONAGY, LIPSITZ, MALARIA, MARKOWITZ, STANGIER, DictDoor, message

LIPSITZ_TEXT = (
    "Lipsitz J, Markowitz J. Mechanisms of change in interpersonal therapy (IPT). Clin Psychol Rev. 2013;33(8):1134-47."
)
FONAGY_TEXT = (
    "Fonagy P, Lemma A, Target M, et al. Dynamic interpersonal therapy for moderate to severe depression: a pilot "
    "randomized controlled and feasibility trial. Psychol Med. 2020;50(6):1010-1019."
)
MARKOWITZ_TEXT = (
    "Markowitz J, Weissman M. Interpersonal psychotherapy: past, present, and future. "
    "Clin Psychol Psychother. 2012;19(2):99-105."
)


def cite(text: str, doi: str | None = None, position: int = 1) -> Citation:
    return Citation("article", position, text, doi)


def verdict(citation: Citation, door: DictDoor | None = None) -> Resolution:
    (settled,) = settle([citation], door or DictDoor(), {})
    return settled.resolutions[0]


def test_a_stated_doi_whose_record_agrees_is_resolved() -> None:
    found = verdict(cite(LIPSITZ_TEXT, "https://doi.org/10.1016/J.CPR.2013.09.002"))
    assert (found.status, found.doi, found.problem) == ("resolved", LIPSITZ["DOI"], None)


def test_a_malformed_doi_is_repaired_with_before_and_after() -> None:
    found = verdict(cite(FONAGY_TEXT, "1017/S0033291719000928"))
    assert (found.status, found.doi) == ("repaired", FONAGY["DOI"])
    assert found.problem is not None
    assert "1017/S0033291719000928" in found.problem
    assert "10.1017/s0033291719000928" in found.problem


def test_the_doi_of_another_work_is_a_mismatch_and_never_accepted() -> None:
    door = DictDoor()
    (settled,) = settle([cite(MARKOWITZ_TEXT, str(MALARIA["DOI"]))], door, {})
    (found,) = settled.resolutions
    assert (found.status, found.doi) == ("mismatch", None)
    assert settled.messages == ()
    assert found.problem is not None
    assert str(MARKOWITZ["DOI"]) in found.problem  # what the text fits is suggested


def test_a_citation_without_a_doi_is_matched_by_its_text() -> None:
    found = verdict(cite(MARKOWITZ_TEXT))
    assert (found.status, found.doi) == ("matched", MARKOWITZ["DOI"])


def test_a_web_page_has_no_doi_and_is_kept() -> None:
    found = verdict(cite("International Society of Interpersonal Psychotherapy. Overview of IPT."))
    assert (found.status, found.doi) == ("no-doi", None)


def test_another_registration_agency_is_asked_and_named() -> None:
    door = DictDoor()
    door.agencies["10.5281/zenodo.1234567"] = "DataCite"
    found = verdict(cite("Somebody A. A data set about sleep. Zenodo; 2019.", "10.5281/zenodo.1234567"), door)
    assert (found.status, found.doi) == ("not-in-crossref", None)
    assert found.problem is not None
    assert "DataCite" in found.problem


def test_a_doi_that_leads_nowhere_is_not_found() -> None:
    found = verdict(cite("Nobody X. A work that is not there at all. J None. 1999;1:1-2.", "10.5555/not.there"))
    assert (found.status, found.doi) == ("not-found", None)


def test_a_doi_that_leads_nowhere_is_repaired_when_the_text_finds_the_work() -> None:
    found = verdict(cite(MARKOWITZ_TEXT, "10.1002/cpp.17740"))
    assert (found.status, found.doi) == ("repaired", MARKOWITZ["DOI"])
    assert found.problem is not None
    assert "leads nowhere" in found.problem


def test_a_short_doi_asks_for_the_full_one() -> None:
    found = verdict(cite("Nobody X. A work that is not there at all. J None. 1999;1:1-2.", "10/gf4gqc"))
    assert found.status == "not-found"
    assert "short DOI" in (found.problem or "")


def test_an_alias_is_resolved_and_recorded() -> None:
    door = DictDoor()
    door.aliases["10.1002/old.1774"] = str(MARKOWITZ["DOI"])
    (settled,) = settle([cite(MARKOWITZ_TEXT, "10.1002/old.1774")], door, {})
    assert settled.resolutions[0].doi == MARKOWITZ["DOI"]
    assert settled.aliases == (("10.1002/old.1774", MARKOWITZ["DOI"]),)
    assert [m["DOI"] for m in settled.messages] == [MARKOWITZ["DOI"]]


def test_a_doi_inside_the_text_is_read() -> None:
    assert verdict(cite(MARKOWITZ_TEXT + " doi:10.1002/cpp.1774.")).status == "resolved"


def test_an_accepted_verdict_stands_without_a_new_question_until_the_line_changes() -> None:
    citation = cite(LIPSITZ_TEXT, "10.1016/j.cpr.2013.09.002")
    before = Resolution(citation, "resolved", Doi(LIPSITZ["DOI"]), None, 1.0)
    door = DictDoor()
    (settled,) = settle([citation], door, {1: before})
    assert settled.resolutions == (before,)
    assert [call for call in door.asked if call[1]] == []
    (settled,) = settle([cite(LIPSITZ_TEXT + " Edited.", "10.1016/j.cpr.2013.09.002")], door, {1: before})
    assert any(call[0] == "lookup" and call[1] for call in door.asked)


def deposited(references: Sequence[dict[str, str]]) -> DictDoor:
    review = message("10.1176/appi.ajp.2015.15091141", "Interpersonal psychotherapy: a meta-analysis", 2016)
    return DictDoor([review | {"reference": list(references)}, STANGIER, MARKOWITZ])


def test_a_deposited_list_is_followed() -> None:
    door = deposited(
        [
            {
                "key": "1",
                "DOI": str(STANGIER["DOI"]),
                "doi-asserted-by": "publisher",
                "author": "Stangier",
                "year": "2011",
            },
            {"key": "2", "unstructured": MARKOWITZ_TEXT},
            {"key": "3"},
        ]
    )
    source = ReferenceList("of", "Of", (), Doi("10.1176/appi.ajp.2015.15091141"))
    citations = listed(source, door)
    (settled,) = settle(citations, door, {}, deposited=True)
    assert [r.status for r in settled.resolutions] == ["resolved", "matched", "no-doi"]
    assert [r.doi for r in settled.resolutions] == [STANGIER["DOI"], MARKOWITZ["DOI"], None]


def test_a_work_without_a_deposited_list_is_said() -> None:
    source = ReferenceList("of", "Of", (), Doi("10.1176/appi.ajp.2015.15091141"))
    with pytest.raises(RejectedError, match="no reference list"):
        listed(source, deposited([]))
    with pytest.raises(RejectedError, match="no record"):
        listed(source, DictDoor([]))
