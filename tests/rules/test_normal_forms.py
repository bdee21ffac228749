"""Words that mean the same have one normal form, and the place of each in the text is exact."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence.rules.normal_forms import Normalised, normal_form, normal_line, stem_forms


@pytest.mark.parametrize(
    "words",
    [
        "therapy therapies",
        "woman women",
        "child children",
        "diagnosis diagnoses",
        "crisis crises",
        "analysis analyses",
        "case cases",
        "dose doses",
        "use uses",
        "bias biases",
        "randomised randomized",
        "randomisation randomization",
        "behaviour behavior behaviours",
        "behavioural behavioral",
        "counselling counseling",
        "counsellor counselor",
        "centre center centres",
        "centred centered",
        "ageing aging",
        "enrolment enrollment",
        "defence defense defences",
        "programme program programmes",
        "paediatric pediatric",
        "foetus fetus",
        "foetal fetal",
        "oedema edema",
        "oesophagus esophagus",
        "oestrogen oestrogens estrogen",
        "diarrhoea diarrhea",
        "apnoea apnea",
        "headache headaches",
        "analyse analyze",
        "RCT RCTs rct",
        "couple couples",
        "class classes",
    ],
)
def test_spelling_and_number_do_not_matter(words: str) -> None:
    assert len({normal_form(word) for word in words.split()}) == 1, [normal_form(word) for word in words.split()]


@pytest.mark.parametrize(
    "words",
    [
        "cost cause",
        "distress distressed",
        "this the",
        "exercise exercises exert",
        "our or",
        "four for",
        "mania manic",
        "was wait",
    ],
)
def test_different_words_stay_different(words: str) -> None:
    first, *_, last = words.split()
    assert normal_form(first) != normal_form(last)


def test_accents_case_hyphens_and_possessives_do_not_matter() -> None:
    assert Normalised("Psychothérapie").words == Normalised("psychotherapie").words
    assert Normalised("IPT–A").words == Normalised("IPT-A").words == ["ipt", "a"]
    assert Normalised("Hamilton's scale").words == Normalised("Hamilton’s scales").words == ["hamilton", "scale"]
    assert Normalised("PHQ9").words == Normalised("PHQ-9").words == ["phq", "9"]


def test_chinese_is_read_character_by_character() -> None:
    assert Normalised("人际心理").words == list("人际心理")


def test_each_word_knows_its_place() -> None:
    text = "The randomised trials (RCTs) — of women’s health."
    read = Normalised(text)
    assert [text[start:stop] for start, stop in zip(read.starts, read.stops, strict=True)] == [
        "The", "randomised", "trials", "RCTs", "of", "women", "health",
    ]  # fmt: skip
    for place, word in zip(read.places, read.words, strict=True):
        assert read.line.startswith(f" {word} ", place)


@given(st.text())
def test_places_are_in_the_text_and_in_order(text: str) -> None:
    read = Normalised(text)
    assert len(read.words) == len(read.starts) == len(read.stops) == len(read.places)
    assert all(0 <= start < stop <= len(text) for start, stop in zip(read.starts, read.stops, strict=True))
    assert read.starts == sorted(read.starts)
    assert Normalised("").line == ""


@given(st.one_of(st.text(), st.text(alphabet="as' S1’人—")))
def test_the_line_alone_is_the_same(text: str) -> None:
    assert normal_line(text) == Normalised(text).line


@given(st.text(alphabet=st.characters(categories=["L"]), min_size=1))
def test_a_normal_form_is_never_empty(word: str) -> None:
    assert normal_form(word)


@pytest.mark.parametrize("word", ["psychoeducation", "coexist", "poetic", "socioeconomic", "bioethics"])
def test_letters_that_meet_where_two_parts_of_a_word_join_are_not_a_british_spelling(word: str) -> None:
    assert normal_form(word) == word.removesuffix("s")


@pytest.mark.parametrize(
    ("stem", "words"),
    [
        ("behaviour", "behaviour behavioural behaviourally behavioral behaviors"),
        ("supervis", "supervise supervised supervising supervision supervisory"),
        ("psychoeducat", "psychoeducation psychoeducational psychoeducative"),
        ("psychoanaly", "psychoanalysis psychoanalytic psychoanalysed"),
        ("desensiti", "desensitisation desensitized"),
    ],
)
def test_a_stem_is_the_beginning_of_the_normal_form_of_every_word_that_it_begins(stem: str, words: str) -> None:
    for word in words.split():
        assert normal_form(word).startswith(stem_forms(stem)), (normal_form(word), stem_forms(stem))
