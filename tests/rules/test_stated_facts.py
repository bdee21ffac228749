"""Facts of providers → one form: each once, whoever states it, in whatever order."""

from __future__ import annotations

import itertools

import pytest

from evidence.data_model import Doi, Fact, Match, Work
from evidence.rules.stated_facts import FactField, FactKey, StatedFact, fact_key, said_by, stated_facts

DOI = Doi("10.1000/x")
TRIAL = ("publication-type", "randomized controlled trial")


def facts_of(*facts: Fact, kind: str | None = None) -> dict[FactKey, StatedFact]:
    return stated_facts(Work(DOI, kind=kind, facts=facts))


@pytest.mark.parametrize(
    ("field", "written", "expected"),
    [
        ("publication-type", "Randomized  Controlled Trial ", "randomized controlled trial"),
        ("publication-type", "systematic-review", "systematic review"),
        ("publication-type", "Letter/Reply", "letter/reply"),
        ("mesh", "Depressive Disorder, Major/therapy", "depressive disorder, major"),
        ("mesh", "Stress Disorders, Post-Traumatic", "stress disorders, post traumatic"),
        ("mesh", "/therapy", ""),
        ("kind", "book-chapter", "book chapter"),
    ],
)
def test_facts_are_compared_without_capitals_hyphens_and_qualifiers(
    field: FactField, written: str, expected: str
) -> None:
    assert fact_key(field, written) == (field, expected)


def test_several_sources_of_one_fact_are_named_once_and_pubmed_first() -> None:
    facts = (
        Fact("publication-type", "randomized controlled trial", "europepmc"),
        Fact("publication-type", "Randomized Controlled Trial", "pubmed"),
        Fact("publication-type", "Randomized Controlled Trial", "europepmc"),
        Fact("publication-type", "Randomized Controlled Trial", "openalex"),
    )
    expected = StatedFact("publication-type", "Randomized Controlled Trial", ("pubmed", "europepmc", "openalex"))
    for order in itertools.permutations(facts):
        assert facts_of(*order) == {TRIAL: expected}
    assert said_by([expected]) == ("PubMed, Europe PMC and OpenAlex's publication type (“Randomized Controlled Trial”)")


def test_the_order_of_the_facts_makes_no_difference() -> None:
    facts = (
        Fact("mesh", "Refugees", "pubmed"),
        Fact("publication-type", "Review", "pubmed"),
        Fact("publication-type", "Letter", "europepmc"),
    )
    orders = {tuple(facts_of(*order, kind="book").items()) for order in itertools.permutations(facts)}
    assert len(orders) == 1


def test_a_heading_is_a_main_topic_if_one_of_its_qualifiers_is() -> None:
    found = facts_of(
        Fact("mesh", "Depressive Disorder, Major/psychology", "pubmed"),
        Fact("mesh", "Depressive Disorder, Major/therapy", "pubmed", major=True),
        Fact("mesh", "Refugees", "europepmc"),
    )
    major, other = found["mesh", "depressive disorder, major"], found["mesh", "refugees"]
    assert (major.strength, other.strength) == ("stated", "likely")
    assert major.match == Match("fact", "mesh", 0, 26, "Depressive Disorder, Major")
    assert "Depressive Disorder, Major/therapy"[major.match.start : major.match.stop] == major.match.quote
    assert said_by([major, other]) == (
        "PubMed's main topic (“Depressive Disorder, Major”), Europe PMC's MeSH heading (“Refugees”)"
    )


def test_a_publication_type_is_stated_whether_or_not_it_is_a_main_topic() -> None:
    assert facts_of(Fact("publication-type", "Review", "pubmed"))["publication-type", "review"].strength == "stated"


def test_facts_of_other_kinds_state_no_value() -> None:
    assert facts_of(Fact("country", "Uganda", "europepmc"), Fact("licence", "cc by", "europepmc")) == {}
    assert facts_of(kind=None) == {}


def test_the_type_of_the_record_has_no_source() -> None:
    (book,) = facts_of(kind="book").values()
    assert (book, book.strength) == (StatedFact("kind", "book"), "stated")
    assert said_by([book]) == "the type of the record (“book”)"
