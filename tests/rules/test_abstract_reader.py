"""One reading of a work: sentences with roles, arms, mentions and the signs for each value."""

from __future__ import annotations

from pathlib import Path

import pytest

from evidence.rules.signs import NAMES
from evidence.rules.tag import read
from evidence.rules.taxonomy import Taxonomy
from tests.rules.small_topic import FACETS, small_taxonomy

TITLE = "Interpersonal psychotherapy versus usual care: a randomised trial"
ABSTRACT = (
    "BACKGROUND: Costs of depression are high. METHODS: Adults with major depression were randomised to interpersonal "
    "psychotherapy (IPT) or usual care. Depressive symptoms were measured with the HAM-D. RESULTS: IPT reduced depressive "
    "symptoms more. CONCLUSIONS: Anxiety should be studied."
)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Taxonomy:
    return small_taxonomy(tmp_path_factory.mktemp("small"))


def signs(book: Taxonomy, facet: str, value: str, title: str | None, abstract: str | None) -> set[str]:
    mask = read(title, abstract, book).signs[book.keys.index((facet, value))]
    return {name for number, name in enumerate(NAMES) if mask >> number & 1}


def test_every_field_is_read_once_with_its_sentences(small: Taxonomy) -> None:
    reading = read(TITLE, ABSTRACT, small)
    title, abstract = reading.fields
    assert (title.field, [sentence.role for sentence in title.sentences]) == ("title", ["aim"])
    roles = ["background", "methods", "methods", "results", "conclusions"]
    assert [sentence.role for sentence in abstract.sentences] == roles
    assert [field.field for field in read(None, ABSTRACT, small).fields] == ["abstract"]
    assert read(None, None, small).fields == ()


def test_values_without_words_have_neither_mentions_nor_signs(small: Taxonomy) -> None:
    reading = read(TITLE, ABSTRACT, small)
    there = {small.keys[number] for number in reading.mentions}
    assert there == {
        ("therapy", "ipt"), ("versus", "usual-care"), ("outcome", "depression"), ("outcome", "cost"), ("outcome", "anxiety"),
        ("disorder", "depression"), ("design", "rct"),
    }  # fmt: skip
    yet_to_be_studied = {small.keys.index(("outcome", "anxiety"))}
    assert reading.signs.keys() == reading.affirmed.keys() == reading.mentions.keys() - yet_to_be_studied


def test_the_signs_say_where_and_how_a_value_is_mentioned(small: Taxonomy) -> None:
    cost = signs(small, "outcome", "cost", TITLE, ABSTRACT)
    assert {"all mentions in the background", "one mention", "words in background"} <= cost
    depression = signs(small, "outcome", "depression", TITLE, ABSTRACT)
    assert {"instruments as measure", "words as finding"} <= depression
    assert "mentioned in title and abstract" in signs(small, "therapy", "ipt", TITLE, ABSTRACT)


def test_the_signs_of_the_whole_text(small: Taxonomy) -> None:
    with_abstract = signs(small, "therapy", "ipt", TITLE, ABSTRACT)
    assert {"people are assigned to arms", "a comparison is made", "another treatment is compared"} <= with_abstract
    alone = signs(small, "therapy", "ipt", TITLE, None)
    assert "title alone" in alone and "title alone" not in with_abstract
    assert "no treatment named" in signs(small, "outcome", "anxiety", "Anxiety in school", None)
    assert "no results" in signs(small, "outcome", "anxiety", None, "METHODS: Anxiety was measured.")


def test_a_rival_is_a_sign(small: Taxonomy) -> None:
    assert "a rival in the title" in signs(small, "outcome", "cost", "Anxiety of mothers", "RESULTS: Costs fell.")
    assert "the only value" in signs(small, "outcome", "cost", "A study of mothers", "RESULTS: Costs fell.")


def test_a_value_that_gives_way_says_to_what(small: Taxonomy) -> None:
    title = "Group interpersonal psychotherapy and interpersonal psychotherapy"
    assert "gives way to a value in the title" in signs(small, "therapy", "ipt", title, None)
    assert "gives way to a value in the title" not in signs(small, "therapy", "ipt-group", title, None)


def test_the_same_text_is_read_the_same(small: Taxonomy) -> None:
    first, second = (read(TITLE, ABSTRACT, small) for _ in range(2))
    assert (first.signs, first.mentions, first.arms) == (second.signs, second.mentions, second.arms)


def test_a_design_is_read_from_the_whole_text(small: Taxonomy) -> None:
    """What stands in any sentence of the abstract is a sign of the design, and of no other facet."""
    abstract = "AIM: We report a randomised trial of IPT. RESULTS: Symptoms improved. CONCLUSIONS: Research is needed."
    found = signs(small, "design", "rct", None, abstract)
    assert {"anywhere in results: change", "anywhere in conclusions: plan"} <= found
    assert "anywhere in methods: change" not in found, "there is no such sentence"
    assert not any(name.startswith("anywhere in") for name in signs(small, "therapy", "ipt", None, abstract))


def test_a_word_for_how_a_treatment_is_given_stands_in_the_arm_of_the_treatment(tmp_path: Path) -> None:
    """ "Fluoxetine" is a treatment, and the word for a therapy that is combined with it."""
    combined = {"combined": {"words": ["(with|plus) fluoxetine"], "loose": ["fluoxetine"]}}
    book = small_taxonomy(tmp_path, FACETS | {"format": {"about": "delivery", "values": combined}})
    together = signs(
        book, "format", "combined", None, "METHODS: Women were randomised to IPT plus fluoxetine or usual care."
    )
    assert "treatment with-studied in methods" in together
    apart = signs(book, "format", "combined", None, "METHODS: Women were randomised to IPT, fluoxetine or usual care.")
    assert "treatment with-studied in methods" not in apart
    assert "treatment other-arm in methods" in apart
