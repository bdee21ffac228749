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
        value("outcome", "sleep", instruments=("PSQI",)),
        value("format", "internet", words=("ICBT",)),
        value("design", "rct", words=("randomised controlled",)),
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


def test_an_abbreviation_may_stand_for_a_word_and_for_therapy_after_it() -> None:
    """Names of treatments often stand in a taxonomy without the word that ends them: "acceptance and commitment"."""
    told = found("Interpersonal counselling therapy (ICT) was given. ICT helped.")
    assert [entry for entry in told if entry[2] == "ICT"] == [("therapy:ipc", "words", "ICT")] * 2
    told = found("Teenager training (TT) was given. TT helped.")
    assert [name for name, _, text in told if text == "TT"] == ["people:adolescents"] * 2
    assert not [text for _, _, text in found("Teenager survey (TS) was sent. TS was short.") if text == "TS"]
    told = found("Interpersonal counselling and yoga therapy (YT) was given.")
    assert not [text for _, _, text in told if text == "YT"], "the letters are those of other words"


def test_an_abbreviation_keeps_its_meaning_where_other_words_explain_it() -> None:
    told = found("Clinical depression of the major kind, a disorder (MDD), was treated. MDD was severe.")
    assert [entry for entry in told if entry[2] == "MDD"] == [("condition:depression", "words", "MDD")] * 2
    told = found("We used the Pittsburgh Sleep Quality Index (PSQI). The PSQI fell.")
    assert told == [("outcome:sleep", "instruments", "PSQI")] * 2
    assert found("Pieces of a sequence queued in disks (PSQI) were long. The PSQI fell.") == []


def test_an_abbreviation_that_the_text_explains_by_words_of_another_facet_is_theirs() -> None:
    told = found("Internet counselling and interpersonal counselling (ICBT) was given. ICBT helped.")
    assert {name for name, _, text in told if text == "ICBT"} == {"therapy:ipc"}


@pytest.mark.parametrize(
    "text",
    [
        "Major (depression and others)",
        "They were major: depression and others",
        "It was major. Depression and others",
        "Several majors, depression among them",
        "The major, depression was severe",
    ],
)
def test_no_term_goes_on_beyond_a_mark_that_ends_a_phrase(text: str) -> None:
    assert ("condition:depression", "words", "depression") in [(n, k, t.lower()) for n, k, t in found(text)]
    assert not [told for _, _, told in found(text) if "ajor" in told]


def test_a_comma_may_stand_between_adjectives() -> None:
    assert found("A randomised, controlled trial") == [("design:rct", "words", "randomised, controlled")]


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
