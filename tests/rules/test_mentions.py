"""Where the words of a taxonomy stand in a title and an abstract, and what the text's own abbreviations mean."""

from __future__ import annotations

import pytest

from evidence.rules.mentions import AGE, FAMILIES, INSTRUMENT, LOOSE, NAME, Mention, Vocabulary, Words
from evidence.rules.normal_forms import Normalised


def value(facet: str, name: str, **words: object) -> Words:
    empty: dict[str, object] = {"words": (), "instruments": (), "loose": (), "never": (), "ages": None}
    return Words(facet, name, **(empty | words))  # type: ignore[arg-type]


VOCABULARY = Vocabulary(
    [
        value("therapy", "ipt", words=("interpersonal psychotherapy",)),
        value("therapy", "ipc", words=("interpersonal counselling",)),
        value("therapy", "group", words=("group interpersonal psychotherapy", "IPT-G")),
        value("outcome", "depression", instruments=("Beck depression",), loose=("depression",)),
        value("outcome", "mood", words=("mood",), never=("mood disorder", "mood stabiliser")),
        value("outcome", "pain", words=("pain", "PAIN")),
        value("condition", "depression", words=("major depression", "depression", "MDD")),
        value("people", "adolescents", words=("teenager",), ages=(12, 17)),
        value("people", "adults", words=("adults",), ages=(18, 64)),
    ]
)

Found = tuple[str, str, str]


def mentions(*fields: str) -> list[list[tuple[Mention, Found]]]:
    """For each field its mentions, with (facet:value, kind of word, the text)."""
    texts = [Normalised(field) for field in fields]
    found = []
    for text, of_field in zip(texts, VOCABULARY.mentions(texts), strict=True):
        found.append([(m, _found(text, m)) for m in of_field])
    return found


def _found(text: Normalised, mention: Mention) -> Found:
    named = VOCABULARY.values[mention.value]
    words = text.text[text.starts[mention.first] : text.stops[mention.last - 1]]
    return f"{named.facet}:{named.value}", FAMILIES[mention.family], words


def found(*fields: str) -> list[Found]:
    return [told for of_field in mentions(*fields) for _, told in of_field]


def test_a_mention_names_value_kind_and_place() -> None:
    assert found("Mood and pain, a study of teenagers") == [
        ("outcome:mood", "words", "Mood"),
        ("outcome:pain", "words", "pain"),
        ("people:adolescents", "words", "teenagers"),
    ]
    assert found("Nothing of it") == []
    assert found("", "Mood") == [("outcome:mood", "words", "Mood")]


def test_a_longer_word_of_the_facet_hides_a_shorter_one() -> None:
    assert found("Group interpersonal psychotherapy") == [
        ("therapy:group", "words", "Group interpersonal psychotherapy")
    ]


def test_a_word_inside_a_word_of_another_facet_says_so() -> None:
    ((mention, told), (inside, word)) = mentions("Beck Depression Inventory")[0]
    assert (mention.family, told[2]) == (INSTRUMENT, "Beck Depression")
    assert (inside.family, word) == (NAME, ("condition:depression", "words", "Depression"))
    assert VOCABULARY.values[inside.inside] == VOCABULARY.values[mention.value]
    assert inside.inside_family == INSTRUMENT


def test_one_word_may_name_a_value_of_each_facet() -> None:
    told = found("Depression")
    assert {(name, kind) for name, kind, _ in told} == {
        ("condition:depression", "words"),
        ("outcome:depression", "loose"),
    }


def test_nothing_counts_inside_a_phrase_of_not() -> None:
    assert found("A mood disorder and mood stabilizers") == []
    assert [words for _, _, words in found("Mood in a mood disorder")] == ["Mood"]


@pytest.mark.parametrize(
    "abstract",
    [
        "Interpersonal counselling (IPC) was given. IPC helped.",
        "Interpersonal counselling [IPC] was given. IPC helped.",
        "Interpersonal counselling (IPC; 6 sessions) was given. IPC helped.",
    ],
)
def test_an_abbreviation_means_what_the_text_defines(abstract: str) -> None:
    told = [entry for entry in mentions(abstract)[0] if entry[1][2] == "IPC"]
    assert [(name, mention.short) for mention, (name, _, _) in told] == [("therapy:ipc", True)] * 2


def test_an_abbreviation_defined_in_the_abstract_counts_in_the_title() -> None:
    title, _ = mentions("IPC for grief", "We gave interpersonal counselling (IPC).")
    assert [told for _, told in title] == [("therapy:ipc", "words", "IPC")]


def test_an_abbreviation_that_the_text_defines_as_something_else_is_no_word() -> None:
    assert found("MDD was treated") == [("condition:depression", "words", "MDD")]
    assert found("Maximal drug dose (MDD) was reached. MDD was high.") == []
    assert found("The IPC of a firm (IPC) is a number.") == []


def test_an_abbreviation_of_one_value_is_not_the_like_of_another() -> None:
    told = found("Interpersonal psychotherapy (IPT-G) was given. IPT-G helped.")
    assert [entry for entry in told if entry[2] == "IPT-G"] == [("therapy:ipt", "words", "IPT-G")] * 2


def test_ages_are_mentions_of_the_people_they_fit() -> None:
    assert found("Youths aged 13 to 17 years") == [("people:adolescents", "ages", "aged 13 to 17")]
    ((mention, _),) = mentions("Patients (mean age 34.5 years)")[0]
    assert VOCABULARY.values[mention.value].value == "adults"
    assert mention.family == AGE
    assert found("For 16 weeks, 120 patients") == []


def test_the_kinds_of_words_are_in_the_order_of_how_surely_they_name_a_value() -> None:
    assert [FAMILIES[kind] for kind in (NAME, INSTRUMENT, LOOSE, AGE)] == ["words", "instruments", "loose", "ages"]


def test_hyphens_number_spelling_and_case_do_not_matter() -> None:
    for text in ("INTERPERSONAL COUNSELING", "inter-personal counselling", "Interpersonal–counselling"):
        told = found(text)
        assert [name for name, _, _ in told] == ["therapy:ipc"] or text.startswith("inter-"), text
    assert [name for name, _, _ in found("the pains of a teenager")] == ["outcome:pain", "people:adolescents"]
