"""The rule language: what each kind of term finds, where, and how a mistake is told."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence.rules.phrase_matching import Finder, Phrases, Text, fold_same_length, parse_term

LISTS = {
    "school": ["cognitive-behav*", "supportive", "brief", "CBT"],
    "ipt": ["inter-personal psycho-therap*", "IPT"],
    "nested": ["{ipt}", "{school} therapy"],
}


def found(term: str, text: str) -> str | None:
    """The first words of `text` that `term` finds."""
    hits = Finder([parse_term(term, LISTS)]).hits(Text(text)).get(0)
    if not hits:
        return None
    start, stop = min(hits)
    return text[start:stop]


@pytest.mark.parametrize(
    ("term", "text", "words"),
    [
        ("interpersonal therapy", "INTERPERSONAL THERAPY", "INTERPERSONAL THERAPY"),
        ("interpersonal therapy", "interpersonal  ‐ therapy", "interpersonal  ‐ therapy"),
        ("interpersonal therapy", "interpersonal\u2014therapy.", "interpersonal\u2014therapy"),
        ("interpersonal therapy", "interpersonal\u00a0therapy", "interpersonal\u00a0therapy"),
        ("interpersonal therapy", "impersonal therapy", None),
        ("interpersonal therapy", "interpersonal therapyish", None),
        ("interpersonal therapy", "interpersonal, therapy", None),
        ("therap*", "Therapies", "Therapies"),
        ("therap*", "psychotherapy", None),
        ("post-partum", "postpartum", "postpartum"),
        ("post-partum", "post–partum", "post–partum"),
        ("post-partum", "post partum mood", "post partum"),
        ("post-partum", "posts partum", None),
        ("IPT-A", "IPT‑A", "IPT‑A"),
        ("IPT-A", "ipt-a", None),
        ("ROSE", "a rose", None),
        ("(brief|short term) IPT", "short-term IPT", "short-term IPT"),
        ("(brief|short term) IPT", "Brief IPT", "Brief IPT"),
        ("[group|brief] IPT", "a group IPT", "group IPT"),
        ("IPT [group] sessions", "IPT sessions", "IPT sessions"),
        ("compared with <3> CBT", "compared with the new (group) CBT", "compared with the new (group) CBT"),
        ("compared with <3> CBT", "compared with one two three four CBT", None),
        ("compared with <3> CBT", "compared with it. Then CBT", None),
        ("compared with <3> CBT", "compared with waiting; CBT", None),
        ("IPT <2> CBT", "IPT vs. CBT", "IPT vs. CBT"),
        ("{ipt} for <2> couples", "interpersonal psychotherapy for married couples", None),
        ("{ipt} for <2> couples", "Interpersonal psychotherapy for married couples", None),
        (
            "{school}+ therapies",
            "cognitive-behavioural, supportive and brief therapies",
            "cognitive-behavioural, supportive and brief therapies",
        ),
        (
            "interpersonal {school}+ groups",
            "Interpersonal vs. supportive groups",
            "Interpersonal vs. supportive groups",
        ),
        ("{school} therapy", "CBT therapy", "CBT therapy"),
        ("{nested} works", "supportive therapy works", "supportive therapy works"),
        ("/dose.{0,9}\\bresponse/", "A DOSE and its response", "DOSE and its response"),
        ("Asberg", "Montgomery–Åsberg", "Åsberg"),
        ("psychotherapie", "La psychothérapie", "psychothérapie"),
        ("人际心理治疗", "用人际心理治疗的", "人际心理治疗"),
        ("children's", "their children's mood", "children's"),
        ("children's", "their children’s mood", "children’s"),
        ("theory & practice", "Theory & Practice", "Theory & Practice"),
    ],
)
def test_a_term_finds(term: str, text: str, words: str | None) -> None:
    if term == "{ipt} for <2> couples":
        words = text
    assert found(term, text) == words


@pytest.mark.parametrize(
    ("term", "complaint"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("[group]", "make at least one word required"),
        ("(group", "not closed"),
        ("group)", "closes no bracket"),
        ("a | b", "allowed only inside"),
        ("depress(ed|ion)", "put a space before"),
        ("<3> CBT", "both sides of a gap"),
        ("CBT <3>", "both sides of a gap"),
        ("CBT <40> IPT", "a gap is from"),
        ("{nowhere}", "there is no list"),
        ("{loop}", "contains itself"),
        ("ther*apy", "must be at the end"),
        ("*", "after at least one letter"),
        ("/(/", "not a regular expression"),
        ("/a*/", "matches empty text"),
        ("(|a) b", "into every alternative"),
        ("a > b", "means nothing here"),
    ],
)
def test_a_mistake_is_a_sentence(term: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(complaint)):
        parse_term(term, {**LISTS, "loop": ["{loop} x"]})


@pytest.mark.parametrize("text", ["sessions", "weekly sessions", "small weekly sessions", "small sessions"])
def test_two_optional_parts_may_each_be_there_alone(text: str) -> None:
    assert found("[small] [weekly] sessions", text) == text
    assert found("sessions [small] [weekly]", "sessions weekly") == "sessions weekly"
    assert found("sessions [small] [weekly]", "sessions then") == "sessions"


def test_phrases_give_the_first_and_longest_hit() -> None:
    phrases = Phrases(["interpersonal psychotherap*", "interpersonal", "IPT-A"])
    text = "On IPT‐A, or interpersonal psychotherapies"
    assert phrases.first_hit(text) == (3, 8)
    assert phrases.first_hit("Interpersonal psychotherapy") == (0, 27)
    assert phrases.first_hit("nothing of it") is None
    assert phrases.first_hit(None) is None
    assert phrases.first_hit("") is None


def test_a_wrong_phrase_says_so() -> None:
    with pytest.raises(ValueError, match="not closed"):
        Phrases(["(interpersonal"])


@given(st.text())
def test_folding_never_changes_the_length(text: str) -> None:
    assert len(fold_same_length(text)) == len(text)
    assert len(Text(text).lower) == len(text)


@settings(max_examples=60)
@given(st.text(alphabet="aeé Ö–-‐ß.İ", max_size=30), st.text(alphabet="xy é–İ.", max_size=30))
def test_offsets_point_at_the_words_whatever_stands_around(before: str, after: str) -> None:
    text = f"{before} Interpersonal—therapy {after}"
    span = Phrases(["interpersonal therapy"]).first_hit(text)
    assert span is not None
    assert text[slice(*span)] == "Interpersonal—therapy"


@settings(max_examples=60)
@given(
    st.lists(
        st.sampled_from(["ipt", "IPT", "for", "brief", "couples", "in", "–", ",", "supportive", "CBT", "."]),
        max_size=14,
    )
)
def test_searching_together_finds_what_searching_alone_finds(words: list[str]) -> None:
    sources = ["{ipt} for <2> couples", "IPT", "{school}+ couples", "brief [supportive] IPT", "in <3> CBT"]
    text = Text(" ".join(words))
    together = Finder([parse_term(source, LISTS) for source in sources]).hits(text)
    for number, source in enumerate(sources):
        alone = Finder([parse_term(source, LISTS)]).hits(text)
        pattern = parse_term(source, LISTS)
        subject = text.plain if pattern.cased else text.lower
        brute = [
            hit.span()
            for at in range(len(subject))
            if (at == 0 or not subject[at - 1].isalnum()) and (hit := pattern.regex.match(subject, at))
        ]
        assert sorted(together.get(number, [])) == sorted(alone.get(0, [])) == brute


@pytest.mark.parametrize(
    ("pattern", "literal"),
    [
        (r"/[:-]\s*(a )?protocol\b/", "protocol"),
        (r"/trials? of/", "of"),
        (r"/(?:reply|letter)\b/", ""),
        (r"/reply|letter/", ""),
        (r"/[a-z]+ed by \d{3}/", "ed"),
        (r"/colou?r/", "r"),
        (r"/Protocol(?! for)/", "protocol"),
        (r"/(a(b|c)*d)? e/", "e"),
    ],
)
def test_a_regular_expression_is_asked_only_where_its_letters_are(pattern: str, literal: str) -> None:
    assert parse_term(pattern).literal == literal
