"""One verdict per citation: believed only when the record agrees, and none dropped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import pytest

from benchmarks import reference_lists
from evidence import doi as dois
from evidence.crossref.client import CrossrefClient
from evidence.data_model import Citation, CitationStatus, Doi, Message, Resolution
from evidence.errors import RejectedError
from evidence.export import sync_summary
from evidence.harvest.reference_lists import PART, _Lookups, citations_of, resolve
from evidence.harvest.sources import ReferenceList
from tests.builders import FONAGY, LIPSITZ, MALARIA, MARKOWITZ, STANGIER, FakeRecordSource, message
from tests.loopback import LoopbackCrossref

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


def verdict(citation: Citation, crossref: FakeRecordSource | None = None) -> Resolution:
    (settled,) = resolve([citation], crossref or FakeRecordSource(), {})
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
    crossref = FakeRecordSource()
    (settled,) = resolve([cite(MARKOWITZ_TEXT, str(MALARIA["DOI"]))], crossref, {})
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
    crossref = FakeRecordSource()
    crossref.agencies["10.5281/zenodo.1234567"] = "DataCite"
    found = verdict(cite("Somebody A. A data set about sleep. Zenodo; 2019.", "10.5281/zenodo.1234567"), crossref)
    assert (found.status, found.doi) == ("not-in-crossref", None)
    assert found.problem is not None
    assert "DataCite" in found.problem


def test_a_doi_that_leads_nowhere_is_not_found() -> None:
    found = verdict(cite("Nobody X. A work that is not there at all. J None. 1999;1:1-2.", "10.5555/not.there"))
    assert (found.status, found.doi) == ("not-found", None)


def test_a_doi_printed_in_the_text_that_leads_nowhere_is_named() -> None:
    """It is not passed over in silence, as if the citation stated none; nor is its agency left unasked."""
    text = "Nobody X. A work that is not there at all. J None. 1999;1:1-2. doi:10.5555/not.there"
    found = verdict(cite(text))
    assert (found.status, found.doi) == ("not-found", None)
    assert "10.5555/not.there" in (found.problem or "")
    crossref = FakeRecordSource()
    crossref.agencies["10.5555/not.there"] = "DataCite"
    assert verdict(cite(text), crossref).status == "not-in-crossref"


def test_a_stated_doi_that_cannot_be_read_is_named() -> None:
    found = verdict(cite("Nobody X. A work that is not there at all. J None. 1999;1:1-2.", "see the journal"))
    assert (found.status, found.doi) == ("not-found", None)
    assert "see the journal" in (found.problem or "")


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
    crossref = FakeRecordSource()
    crossref.aliases["10.1002/old.1774"] = str(MARKOWITZ["DOI"])
    (settled,) = resolve([cite(MARKOWITZ_TEXT, "10.1002/old.1774")], crossref, {})
    assert settled.resolutions[0].doi == MARKOWITZ["DOI"]
    assert settled.aliases == (("10.1002/old.1774", MARKOWITZ["DOI"]),)
    assert [m["DOI"] for m in settled.messages] == [MARKOWITZ["DOI"]]


def test_a_doi_inside_the_text_is_read() -> None:
    assert verdict(cite(MARKOWITZ_TEXT + " doi:10.1002/cpp.1774.")).status == "resolved"


def test_an_accepted_verdict_stands_without_a_new_question_until_the_line_changes() -> None:
    citation = cite(LIPSITZ_TEXT, "10.1016/j.cpr.2013.09.002")
    before = Resolution(citation, "resolved", Doi(LIPSITZ["DOI"]), None, 1.0)
    crossref = FakeRecordSource()
    (settled,) = resolve([citation], crossref, {1: before})
    assert settled.resolutions == (before,)
    assert [call for call in crossref.asked if call[1]] == []
    (settled,) = resolve([cite(LIPSITZ_TEXT + " Edited.", "10.1016/j.cpr.2013.09.002")], crossref, {1: before})
    assert any(call[0] == "lookup" and call[1] for call in crossref.asked)


def deposited(references: Sequence[dict[str, str]]) -> FakeRecordSource:
    review = message("10.1176/appi.ajp.2015.15091141", "Interpersonal psychotherapy: a meta-analysis", 2016)
    return FakeRecordSource([review | {"reference": list(references)}, STANGIER, MARKOWITZ])


def test_a_deposited_list_is_followed() -> None:
    crossref = deposited(
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
    citations = citations_of(source, crossref)
    (settled,) = resolve(citations, crossref, {}, deposited=True)
    assert [r.status for r in settled.resolutions] == ["resolved", "matched", "no-doi"]
    assert [r.doi for r in settled.resolutions] == [STANGIER["DOI"], MARKOWITZ["DOI"], None]


def test_a_work_without_a_deposited_list_is_said() -> None:
    source = ReferenceList("of", "Of", (), Doi("10.1176/appi.ajp.2015.15091141"))
    with pytest.raises(RejectedError, match="no reference list"):
        citations_of(source, deposited([]))
    with pytest.raises(RejectedError, match="no record"):
        citations_of(source, FakeRecordSource([]))


ODD = ["a b", "a:", "x%7ey", "a\\b", "a|b", "{a}", "a`b", "a^b", "a_b.", "a/"]


def over_http(citations: Sequence[Citation], works: Sequence[Message]) -> tuple[Resolution, ...]:
    """Verdicts over HTTP, from a server that has these works."""
    with LoopbackCrossref(works) as server, CrossrefClient(server.url, sleep=lambda _: None) as crossref:
        return tuple(r for settled in resolve(citations, crossref, {}) for r in settled.resolutions)


def other_works(suffix: str) -> list[Message]:
    """Other works under every DOI that the cleaned readings of an odd one name."""
    cleaned = dois.candidates(f"10.5555/{suffix}")
    return [message(doi, f"Vaccination in district {n}", 1970 + n) for n, doi in enumerate(cleaned)]


@pytest.mark.parametrize("suffix", ODD)
@pytest.mark.parametrize("label", ["", "https://doi.org/", "doi: "])
def test_an_odd_doi_is_asked_for_as_it_stands_before_it_is_called_another_work(label: str, suffix: str) -> None:
    odd = message(f"10.5555/{suffix}", "Interpersonal psychotherapy: past, present, and future", 2012)
    odd |= {key: value for key, value in MARKOWITZ.items() if key not in ("DOI", "title", "issued")}
    citation = cite(MARKOWITZ_TEXT, f"{label}10.5555/{suffix}")
    others = [m for m in other_works(suffix) if m["DOI"] != odd["DOI"]]
    assert others or suffix == "a:"
    for works in ([odd], [odd, *others]):
        (found,) = over_http([citation], works)
        assert (found.status, found.doi, found.problem) == ("resolved", odd["DOI"], None)


@pytest.mark.parametrize("suffix", ODD)
def test_what_an_odd_doi_states_is_verified_too(suffix: str) -> None:
    odd = message(f"10.5555/{suffix}", "Sleep in shift workers", 2001)
    (found,) = over_http([cite(MARKOWITZ_TEXT, f"10.5555/{suffix}")], [odd])
    assert (found.status, found.doi) == ("mismatch", None)


@pytest.mark.parametrize("suffix", ["x%7ey", "a\\b", "a|b", "{a}", "a`b", "a^b"])
def test_an_odd_doi_inside_the_text_is_asked_for_as_it_stands(suffix: str) -> None:
    odd = MARKOWITZ | {"DOI": f"10.5555/{suffix}"}
    (found,) = over_http([cite(f"{MARKOWITZ_TEXT} https://doi.org/10.5555/{suffix}.")], [odd, *other_works("a")])
    assert (found.status, found.doi) == ("resolved", odd["DOI"])


def test_a_deposited_odd_doi_is_asked_for_as_it_stands() -> None:
    odd = MARKOWITZ | {"DOI": "10.5555/a_b."}
    crossref = deposited([{"key": "1", "DOI": "10.5555/A_B.", "unstructured": MARKOWITZ_TEXT}])
    for record in (odd, message("10.5555/a_b", "Vaccination in district 9", 1970)):
        crossref.messages[Doi(record["DOI"])] = record
    citations = citations_of(ReferenceList("of", "Of", (), Doi("10.1176/appi.ajp.2015.15091141")), crossref)
    (settled,) = resolve(citations, crossref, {})
    assert [(r.status, r.doi) for r in settled.resolutions] == [("resolved", "10.5555/a_b.")]


@pytest.mark.parametrize("registered", ["10.1000/ÅBC.1", "10.1000/åbc.1"])
def test_a_doi_with_a_capital_beyond_ascii_is_settled_and_stored_as_registered(registered: str) -> None:
    record = MARKOWITZ | {"DOI": registered}
    with LoopbackCrossref([record]) as server, CrossrefClient(server.url, sleep=lambda _: None) as crossref:
        (settled,) = resolve([cite(MARKOWITZ_TEXT, "10.1000/ÅBC.1")], crossref, {})
    (found,) = settled.resolutions
    assert (found.status, found.doi) == ("resolved", dois.lower(registered))
    assert settled.messages == (record,)
    assert settled.aliases == (() if registered == "10.1000/ÅBC.1" else (("10.1000/Åbc.1", "10.1000/åbc.1"),))


@pytest.mark.parametrize(
    ("text", "stated"),
    [
        ("https://doi.org/10.1002/cpp.1774", None),
        ("doi:10.1002/CPP.1774", None),
        ("10.1002/cpp.1774", "10.1002/cpp.1774"),
        ("DOI 10.1002/cpp.1774.", "https://doi.org/10.1002/cpp.1774"),
    ],
)
def test_a_citation_that_is_only_a_doi_is_resolved_and_says_so(text: str, stated: str | None) -> None:
    crossref = FakeRecordSource()
    found = verdict(cite(text, stated), crossref)
    assert (found.status, found.doi, found.score) == ("resolved", MARKOWITZ["DOI"], None)
    assert found.problem == "nothing to compare: the citation is only a DOI"
    assert [call for call in crossref.asked if call[0] != "lookup"] == []


def test_a_repaired_doi_is_not_believed_where_nothing_can_confirm_it() -> None:
    found = verdict(cite("1017/S0033291719000928", "1017/S0033291719000928"))
    assert (found.status, found.doi) == ("ambiguous", None)
    assert str(FONAGY["DOI"]) in (found.problem or "")


def test_two_works_under_the_readings_of_a_lone_doi_are_for_a_person() -> None:
    works = [message("10.5555/a_b", "One", 2001), message("10.5555/a_b.", "Two", 2002)]
    (found,) = over_http([cite("10.5555/a_b.", "10.5555/a_b.")], works)
    assert (found.status, found.doi) == ("ambiguous", None)
    (found,) = over_http([cite("10.5555/a_b.", "10.5555/a_b.")], works[1:])
    assert (found.status, found.doi) == ("resolved", "10.5555/a_b.")


def test_a_text_that_is_another_doi_than_the_stated_one_is_no_lone_doi() -> None:
    found = verdict(cite("https://doi.org/10.1016/j.cpr.2013.09.002", "10.1002/cpp.1774"))
    assert found.doi is None


def test_a_lone_doi_that_nobody_registered_is_not_found() -> None:
    crossref = FakeRecordSource()
    found = verdict(cite("https://doi.org/10.5555/not.there"), crossref)
    assert (found.status, found.doi) == ("not-found", None)
    assert [call for call in crossref.asked if call[0] == "scan"] == []


WEB_PAGE = "International Society of Interpersonal Psychotherapy. Overview of IPT."


def test_a_work_is_asked_for_once_in_a_list_and_handed_over_in_the_part_that_accepts_it() -> None:
    """The first part meets every work as a candidate and accepts none; the third accepts what the second did."""
    crossref = FakeRecordSource()
    citations = [cite(WEB_PAGE, position=n) for n in range(1, PART + 1)]
    citations += [cite(MARKOWITZ_TEXT, position=PART + n) for n in range(1, 2 * PART + 1)]
    parts = list(resolve(citations, crossref, {}))
    assert [{r.status for r in part.resolutions} for part in parts] == [{"no-doi"}, {"matched"}, {"matched"}]
    assert [part.messages for part in parts] == [(), (MARKOWITZ,), ()]
    asked = [doi for call in crossref.asked if call[0] == "lookup" for doi in call[1]]
    assert asked == [str(MARKOWITZ["DOI"])]  # candidates are compared as the search gives them


def test_works_kept_for_comparing_are_few_and_the_last_used() -> None:
    crossref, answers = FakeRecordSource(), _Lookups(limit=2)
    first, second, third = (Doi(str(m["DOI"])) for m in (LIPSITZ, FONAGY, MARKOWITZ))
    for doi in (first, second, first, third):
        answers.look_up(crossref, [doi])
        assert answers.work(doi) is not None
    assert list(answers.works) == [first, third]
    answers.found.clear()
    answers.look_up(crossref, [second])
    assert answers.work(second) is not None


def test_every_verdict_has_words_in_the_summary() -> None:
    assert set(sync_summary.CITATION_STATUSES) == set(get_args(CitationStatus))


def test_the_index_of_files_finds_what_comparing_with_every_record_finds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["reference_lists", "--citations", "40", "--records", "60", "--every", "2"]
    monkeypatch.setattr("sys.argv", words)
    reference_lists.main()
    assert "20 of 20 verdicts compared are the same" in capsys.readouterr().out
