"""Identifiers as people type them and as records state them."""

from __future__ import annotations

import pytest

from evidence.linkage.identifiers import identifier_url, read_identifier


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("PMID:22018333", ("pmid", "22018333")),
        ("pmid 22018333", ("pmid", "22018333")),
        (" PMID: 022018333. ", ("pmid", "22018333")),
        ("PubMed ID 8056733", ("pmid", "8056733")),
        ("https://pubmed.ncbi.nlm.nih.gov/22018333/", ("pmid", "22018333")),
        ("pubmed.ncbi.nlm.nih.gov/22018333/?format=pubmed", ("pmid", "22018333")),
        ("http://www.ncbi.nlm.nih.gov/pubmed/22018333", ("pmid", "22018333")),
        ("https://europepmc.org/article/MED/22018333", ("pmid", "22018333")),
        ("PMC3308108", ("pmcid", "PMC3308108")),
        ("PMCID: PMC3308108", ("pmcid", "PMC3308108")),
        ("pmc3308108.2", ("pmcid", "PMC3308108")),
        ("PMCID: 3308108", ("pmcid", "PMC3308108")),
        ("https://www.ncbi.nlm.nih.gov/pmc/articles/PMC3308108/", ("pmcid", "PMC3308108")),
        ("https://pmc.ncbi.nlm.nih.gov/articles/PMC3308108/#s2", ("pmcid", "PMC3308108")),
        ("https://pmc.ncbi.nlm.nih.gov/articles/PMC3308108.1/", ("pmcid", "PMC3308108")),
        ("https://www.ncbi.nlm.nih.gov/pmc/articles/PMC3308108/pdf/main.pdf", ("pmcid", "PMC3308108")),
        ("https://europepmc.org/articles/PMC3308108", ("pmcid", "PMC3308108")),
        ("W2741809807", ("openalex", "W2741809807")),
        ("https://openalex.org/W2741809807", ("openalex", "W2741809807")),
        ("https://openalex.org/works/w2741809807", ("openalex", "W2741809807")),
        ("nct 03797326", ("registration", "NCT03797326")),
        ("ClinicalTrials.gov Identifier: NCT03797326", ("registration", "NCT03797326")),
        ("https://clinicaltrials.gov/study/NCT03797326", ("registration", "NCT03797326")),
        ("https://www.isrctn.com/ISRCTN10804772?q=x", ("registration", "ISRCTN10804772")),
        ("JPRN-UMIN000024722", ("registration", "UMIN000024722")),
        ("2022-500024-30-00", ("registration", "CTIS2022-500024-30-00")),
        ("EudraCT number: 2004-002714-11", ("registration", "EUDRACT2004-002714-11")),
    ],
)
def test_each_way_of_writing_leads_to_one_form(text: str, read: tuple[str, str]) -> None:
    assert read_identifier(text) == read
    assert read_identifier(read[1] if read[0] != "pmid" else f"PMID:{read[1]}") == read


@pytest.mark.parametrize(
    "text",
    [
        "",
        "22018333",
        "PMID",
        "PMID:0",
        "PMID:000",
        "PMID:123456789",
        "PMID:12a",
        "PMID:１２３",
        "PMC",
        "PMC0",
        "W12",
        "WISC-IV",
        "NCT0379732",
        "a trial, NCT03797326, of two treatments",
        "https://example.org/NCT03797326/ISRCTN10804772",
        "10.1186/ar3496",
        "https://pubmed.ncbi.nlm.nih.gov/?term=interpersonal",
        "PMID:1" * 100,
    ],
)
def test_anything_else_is_none(text: str) -> None:
    assert read_identifier(text) is None


def test_digits_alone_are_a_pmid_only_where_one_is_expected() -> None:
    assert read_identifier("22018333", bare_pmid=True) == ("pmid", "22018333")
    assert read_identifier("0", bare_pmid=True) is None
    assert read_identifier("123456789", bare_pmid=True) is None
    assert read_identifier("PMC3308108", bare_pmid=True) == ("pmcid", "PMC3308108")


@pytest.mark.parametrize(
    ("kind", "value", "url"),
    [
        ("pmid", "22018333", "https://pubmed.ncbi.nlm.nih.gov/22018333/"),
        ("pmcid", "PMC3308108", "https://pmc.ncbi.nlm.nih.gov/articles/PMC3308108/"),
        ("openalex", "W2741809807", "https://openalex.org/W2741809807"),
        ("registration", "NCT03797326", "https://clinicaltrials.gov/study/NCT03797326"),
        ("registration", "ISRCTN10804772", "https://www.isrctn.com/ISRCTN10804772"),
        ("registration", "DRKS00005115", "https://drks.de/search/en/trial/DRKS00005115"),
        ("registration", "ACTRN12605000057684", "https://www.anzctr.org.au/ACTRN12605000057684.aspx"),
        (
            "registration",
            "EUDRACT2004-002714-11",
            "https://www.clinicaltrialsregister.eu/ctr-search/search?query=eudract_number:2004-002714-11",
        ),
        ("registration", "CTIS2022-500024-30-00", "https://euclinicaltrials.eu/ctis-public/view/2022-500024-30-00"),
        ("registration", "UMIN000024722", "https://trialsearch.who.int/Trial2.aspx?TrialID=JPRN-UMIN000024722"),
        ("registration", "CTRI/2017/11/010405", "https://trialsearch.who.int/Trial2.aspx?TrialID=CTRI/2017/11/010405"),
        ("registration", "U1111-1189-6165", None),
        ("registration", "A-7 & more", None),
        ("mesh", "D003863", None),
    ],
)
def test_the_page_of_an_identifier(kind: str, value: str, url: str | None) -> None:
    assert identifier_url(kind, value) == url
    if url and kind in {"pmid", "pmcid", "openalex"}:
        assert read_identifier(url) == (kind, value)


def test_a_pasted_page_of_text_is_no_identifier() -> None:
    assert read_identifier("PMID: 0" + "0" * 1_000_000) is None
