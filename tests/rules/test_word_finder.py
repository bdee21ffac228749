"""Terms stand for literal phrases, and letters of an abbreviation keep their case."""

import re

import pytest

from evidence.rules.normal_forms import Normalised
from evidence.rules.word_finder import WordFinder


def found(term: str, text: str) -> list[str]:
    words = Normalised(text)
    return [text[words.starts[hit.first] : words.stops[hit.last - 1]] for hit in WordFinder([term]).hits(words)]


def test_the_letter_joined_to_an_abbreviation_is_not_the_article() -> None:
    assert found("IPT-A", "IPT-A and IPT‐A for teenagers") == ["IPT-A", "IPT‐A"]
    assert found("IPT-A", "Interpersonal psychotherapy (IPT), a brief therapy") == []


def test_brackets_may_stand_inside_a_word() -> None:
    assert found("depress(ed|ion)", "depressed, depression, depressive") == ["depressed", "depression"]
    assert found("(emotion|compassion)-focused therapy", "Emotion-focused therapy, compassion focused therapies") == [
        "Emotion-focused therapy",
        "compassion focused therapies",
    ]
    assert found("(symptom|drug)-free", "symptomfree and drug free") == ["symptomfree", "drug free"]
    assert found("[major] depression", "major depression") == ["major depression", "depression"]


@pytest.mark.parametrize(
    ("term", "text"),
    [
        ("psycho-educat*", "Psychoeducation, psycho-educational or psycho educative"),
        ("behaviour*", "behavioral, behaviourally"),
        ("supervis*", "supervised or supervision"),
    ],
)
def test_a_word_with_any_ending_is_found_in_every_spelling(term: str, text: str) -> None:
    assert found(term, text) == re.split(r", | or ", text)


def test_a_prefix_may_be_written_apart_though_the_term_joins_it() -> None:
    text = "Pre-treatment, pretreatment, pre treatment"
    assert found("pretreatment", text) == text.split(", ")
    assert found("psychoeducational group", "a psycho-educational group") == ["psycho-educational group"]
    assert found("dropout", "drop-out and dropouts") == ["drop-out", "dropouts"]


def test_what_only_looks_like_a_prefix_is_not_split() -> None:
    assert found("inpatient", "in patients, inpatients") == ["inpatients"]
    assert found("online", "on linezolid") == []


@pytest.mark.parametrize(
    ("term", "complaint"),
    [
        ("(IPT", "a bracket is not closed"),
        ("IPT <3> CBT", "a term is plain words"),
        ("{therapy}", "a term is plain words"),
        ("psycho*therapy", "only at the end"),
        ("--", "has no word"),
        ("", "stands for 0 phrases"),
        ("(a|b|c|d|e) (a|b|c|d|e) (a|b|c|d|e)", "stands for 125 phrases"),
    ],
)
def test_what_is_no_term_is_refused(term: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(complaint)):
        WordFinder([term])


def test_whether_any_term_occurs_is_told_without_places() -> None:
    finder = WordFinder(["self-compassion", "Neff's scale"])
    assert finder.any_hit("Self‐Compassion scores") and finder.any_hit("SELFCOMPASSION")
    assert finder.any_hit("the Neff scale") and not finder.any_hit("compassion for the self")


def test_a_capital_outside_an_abbreviation_is_like_any_letter() -> None:
    assert found("vitamin-D", "vitamin d") == ["vitamin d"]


def test_joined_letters_are_like_plain_ones() -> None:
    assert found("fluoxetine", "ﬂuoxetine or placebo") == ["ﬂuoxetine"]
