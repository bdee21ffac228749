"""Which mentions are negated: "no psychosis", "patients without anxiety"; and what only looks like it."""

from __future__ import annotations

import pytest

from evidence.rules.annotated_text import AnnotatedText
from evidence.rules.cues import cue_reader
from evidence.rules.mentions import Vocabulary, Words
from evidence.rules.negation import hypothetical_clauses, named_places, negated

NAMES = ("anxiety", "psychosis", "CBT", "IPT", "no treatment", "randomised")


def words_negated(text: str) -> set[str]:
    """The names in a text that are negated."""
    vocabulary = Vocabulary([Words("facet", name, (name,), (), (), (), None) for name in NAMES])
    field = AnnotatedText("abstract", text, cue_reader())
    mentions = vocabulary.mentions([field.normal])[0]
    assert mentions, text
    named = named_places(mentions)
    return {NAMES[m.value] for m in mentions if negated(field, m, named)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("No patients had psychosis or anxiety.", {"psychosis", "anxiety"}),
        ("Patients without anxiety were enrolled.", {"anxiety"}),
        ("There was no evidence of psychosis or anxiety at entry.", {"psychosis", "anxiety"}),
        ("Women with no history of anxiety took part.", {"anxiety"}),
        ("A non-randomised study of IPT.", {"randomised"}),
        ("They did not receive IPT or CBT.", {"IPT", "CBT"}),
        ("Patients had neither psychosis nor anxiety at entry.", {"psychosis", "anxiety"}),
        ("Participants were free of anxiety.", {"anxiety"}),
    ],
)
def test_a_negation_before_a_mention_in_its_clause_negates_it(text: str, expected: set[str]) -> None:
    assert words_negated(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "There was no difference in anxiety.",
        "There were no significant group differences in function or anxiety.",
        "IPT did not reduce anxiety.",
        "IPT did not affect stress or anxiety.",
        "IPT was not associated with anxiety.",
        "No improvement was found in anxiety.",
        "Neither psychosis nor anxiety improved.",
        "Non-inferiority of IPT was shown.",
        "IPT reduced not only psychosis but also anxiety.",
        "It improved health, but not in the CBT group.",
    ],
)
def test_a_negated_effect_is_a_finding_and_negates_no_mention(text: str) -> None:
    assert words_negated(text) == set()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("They were compared with no treatment or CBT.", set()),
        ("Adults without psychosis were randomised to IPT or CBT.", {"psychosis"}),
        ("Anxiety did not fall, but psychosis did.", set()),
        ("Nobody had psychosis. Anxiety was common.", set()),
        ("The words were related and non-attachment related anxiety words.", set()),
    ],
)
def test_a_negation_ends_with_its_phrase(text: str, expected: set[str]) -> None:
    assert words_negated(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Conclusions: It should be studied in patients with psychosis.", True),
        ("Conclusions: Further trials of anxiety are needed.", True),
        ("Conclusions: Whether it helps with anxiety remains to be seen.", True),
        ("Conclusions: IPT needs to be tested against CBT.", True),
        ("Conclusions: IPT reduced anxiety.", False),
        ("Conclusions: IPT reduced anxiety, but further research on safety is needed.", False),
        ("Background: Further trials of anxiety are needed.", False),
        ("Results: Further research on anxiety is needed.", False),
    ],
)
def test_what_is_yet_to_be_studied_is_hypothetical(text: str, expected: bool) -> None:
    vocabulary = Vocabulary([Words("facet", name, (name,), (), (), (), None) for name in NAMES])
    field = AnnotatedText("abstract", text, cue_reader())
    first = vocabulary.mentions([field.normal])[0][0].first
    assert (field.clause_of[first] in hypothetical_clauses(field)) is expected
