"""Sentences of abstracts and their roles: headings of every form, abstracts without any, and what must not split a sentence."""

from __future__ import annotations

import hashlib
import sys
from importlib.resources import files
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence.rules.sentence_roles import ROLES, headings, read_sentences, split_sentences

WEIGHTS = files("evidence.rules").joinpath("weights/sentence_roles.txt")


def sentences(text: str) -> list[str]:
    """The sentences of `text` as words."""
    return [text[start:stop] for start, stop in split_sentences(text)]


def roles(text: str) -> list[str]:
    """The role of each sentence."""
    return [sentence.role for sentence in read_sentences(text)]


def by_heading(text: str) -> list[tuple[str, str]]:
    """Role and text of the sentences whose role a heading decided."""
    return [(said.role, text[said.start : said.stop]) for said in read_sentences(text) if said.heading]


# Sentences


@pytest.mark.parametrize(
    "text",
    [
        "Scores fell by 3.5 points (d = .42).",
        "We compared IPT vs. CBT, i.e. two therapies, in U.S. clinics.",
        "Beck et al. Reported the same in Fig. 2 of their paper.",
        "Dr. Weissman and J. C. Markowitz wrote the manual.",
        "Symptoms (e.g. Insomnia) were rated with the HAM-D-17 at 0.05.",
        "Wir untersuchten z. B. 40 Frauen bzw. 12 Männer.",
        "The effect was small, p <.001, in both arms",
        "the scores fell in both\ngroups of the trial.",
    ],
)
def test_a_stop_inside_a_sentence_does_not_end_it(text: str) -> None:
    assert sentences(text) == [text]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("It fell. It rose.", ["It fell.", "It rose."]),
        ("Did it fall? Yes! It did.", ["Did it fall?", "Yes!", "It did."]),
        ("They took vitamin D. We measured it.", ["They took vitamin D.", "We measured it."]),
        ("We treated Smith et al. This was new.", ["We treated Smith et al.", "This was new."]),
        ("Usual care.Forty women took part.", ["Usual care.", "Forty women took part."]),
        ("Women improved (p = .03).Men did not.", ["Women improved (p = .03).", "Men did not."]),
        ("One line\nAnother line", ["One line", "Another line"]),
        ("one line\n\nanother paragraph", ["one line", "another paragraph"]),
        ("Measures:\n- depression\n- anxiety", ["Measures:", "- depression", "- anxiety"]),
        ("He said: “It helped.” She agreed.", ["He said: “It helped.”", "She agreed."]),
    ],
)
def test_where_sentences_end(text: str, parts: list[str]) -> None:
    assert sentences(text) == parts


# Headings


@pytest.mark.parametrize(
    "text",
    [
        "Background: {} Objective: {} Methods: {} Results: {} Conclusions: {}",
        "BACKGROUND: {} AIMS: {} METHOD: {} FINDINGS: {} DISCUSSION: {}",
        "BACKGROUND {} AIMS {} METHODS {} RESULTS {} CONCLUSIONS {}",
        "Background{}Objective{}Methods{}Results{}Conclusions{}",
        "BACKGROUND{}OBJECTIVES{}METHODS{}RESULTS{}CONCLUSIONS{}",
        "Background\n{}\nPurpose\n{}\nMethods\n{}\nResults\n{}\nConclusions\n{}",
        "Background\n      {}\n\n      Aims\n      {}\n\n   Methods\n   {}\n\n   Results\n {}\n\n  Conclusion\n {}",
        "Introduction. {} Aim. {} Materials and Methods. {} Results. {} Conclusion. {}",
        "Background {} Objective {} Methods {} Results {} Conclusions {}",
        "Abstract Background: {} Study objectives: {} Patients and methods: {} Main results: {} Interpretation: {}",
        "Importance: {} Objective: {} Design, Setting, and Participants: {} Results: {} Conclusions and Relevance: {}",
        "Hintergrund: {} Ziel: {} Methodik: {} Ergebnisse: {} Schlussfolgerungen: {}",
        "Antecedentes: {} Objetivo: {} Métodos: {} Resultados: {} Conclusiones: {}",
        "Introdução: {} Objetivos: {} Métodos: {} Resultados: {} Conclusão: {}",
        "Contexte : {} Objectif : {} Méthodes : {} Résultats : {} Conclusions : {}",
    ],
)
def test_headings_of_every_form_decide(text: str) -> None:
    bodies = (
        "Depression is common.",
        "To test a therapy.",
        "Forty women took part.",
        "Approximately 10% recovered.",
        "Therapy helps.",
    )
    full = text.format(*bodies)
    said = [sentence for sentence in read_sentences(full) if sentence.heading]
    assert [sentence.role for sentence in said] == list(ROLES)
    assert all(full[: sentence.stop].endswith(body) for sentence, body in zip(said, bodies, strict=True))


def test_a_glued_heading_before_a_number_or_an_article_is_one() -> None:
    text = (
        "ObjectiveTo test IPT.METHODSA total of 40 took part.Results479 were screened.ConclusionA larger trial is due."
    )
    assert [role for role, _ in by_heading(text)] == ["aim", "methods", "results", "conclusions"]


def test_glued_headings_of_design_and_setting_count_beside_others() -> None:
    text = (
        "ObjectivesTo test IPT.DesignRandomised trial.SettingPrimary care.Participants148 women."
        "Main outcome measuresHAM-D.ResultsScores fell.ConclusionIt helped.Trial registrationISRCTN1."
    )
    said = by_heading(text)
    assert [role for role, _ in said] == ["aim", *["methods"] * 4, "results", "conclusions", "methods"]
    assert said[3][1] == "Participants148 women."


def test_every_sentence_under_a_heading_has_its_role() -> None:
    text = (
        "Methods: We chose women. Results were rated blindly. It took a year. Results: Scores fell. No harm was seen."
    )
    assert roles(text) == ["methods"] * 3 + ["results"] * 2


def test_a_heading_of_two_roles_leaves_each_sentence_one_of_them() -> None:
    text = (
        "Background and aims: Depression is common in mothers. The aim of this study was to test IPT. Methods and Results: Forty"
        " women were randomised to IPT or usual care. Depression fell more with IPT (p < 0.01). Conclusions: IPT helps."
    )
    said = by_heading(text)
    assert [role for role, _ in said[2:]] == ["methods", "results", "conclusions"]
    assert {role for role, _ in said[:2]} <= {"background", "aim"}


@pytest.mark.parametrize(
    "text",
    [
        "Results showed that methods matter. Methods of therapy differ.",
        "Participants improved. Outcomes were better in women.",
        "Background noise was measured. Objective measures of sleep improved.",
        "The authors discuss Results and Methods of earlier trials.",
        "PatientsLikeMe is a website. We used it.",
    ],
)
def test_a_word_of_headings_inside_prose_is_none(text: str) -> None:
    assert not headings(text)
    assert not any(sentence.heading for sentence in read_sentences(text))


def test_a_text_of_headings_alone_keeps_all_of_it() -> None:
    text = "Background: Methods: Results:"
    said = read_sentences(text)
    assert said[0].start == 0
    assert said[-1].stop == len(text)


# Without headings


def test_an_abstract_without_headings_is_read_by_its_words() -> None:
    text = (
        "Depression is a common disorder among mothers and is often left untreated. Little is known about the effects of"
        " psychotherapy in this population. The aim of this study was to examine the efficacy of interpersonal psychotherapy."
        " Participants were randomly assigned to twelve sessions of therapy or to usual care. Depression was assessed at baseline"
        " and at six months using the Hamilton scale. Mean scores were significantly lower in the therapy group (8.1 vs 12.3,"
        " p < 0.001). There was no significant difference in anxiety (p = 0.41). These findings suggest that interpersonal"
        " psychotherapy may be an effective treatment for mothers. Further research is needed."
    )
    said = read_sentences(text)
    assert [sentence.role for sentence in said][3:] == ["methods"] * 2 + ["results"] * 2 + ["conclusions"] * 2
    assert {sentence.role for sentence in said[:3]} <= {"background", "aim"}
    assert not any(sentence.heading for sentence in said)


@pytest.mark.parametrize("text", ["", " ", "\n\t \n"])
def test_nothing_gives_nothing(text: str) -> None:
    assert read_sentences(text) == ()
    assert split_sentences(text) == []


# Offsets and cost


@given(
    st.lists(
        st.sampled_from(
            [
                "Methods",
                "RESULTS",
                "Aim",
                ":",
                ". ",
                ".",
                "\n",
                " ",
                "a",
                "We",
                "3.5",
                "é",
                "😀",
                "(",
                ")",
                "”",
                "e.g.",
                "A",
                "-",
            ]
        ),
        max_size=40,
    ).map("".join)
    | st.text(max_size=80)
)
def test_sentences_cover_the_text_in_order(text: str) -> None:
    said = read_sentences(text)
    at = 0
    for sentence in said:
        assert text[at : sentence.start].strip() == ""
        assert sentence.start < sentence.stop
        assert text[sentence.start : sentence.stop].strip() == text[sentence.start : sentence.stop]
        at = sentence.stop
    assert text[at:].strip() == ""


def test_offsets_count_code_points() -> None:
    text = "😀 Zoë improved. Methods: 🙂 we asked."
    assert text[slice(*split_sentences(text)[1])] == "Methods: 🙂 we asked."


def steps(text: str) -> int:
    """The lines of Python that reading `text` takes."""
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        read_sentences(text)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize(
    "unit", ["word ", "We did it. ", ". ", "Methods: ", "Methods", "METHODS", "\n", " ", "A a. ", "Aim and "]
)
def test_the_work_grows_with_the_text_and_no_faster(unit: str) -> None:
    """Four times the text takes at most about four times the steps (twice the proportion would be quadratic)."""
    read_sentences("Warm.")
    assert steps(unit * 800) <= 6 * steps(unit * 200) + 500


@pytest.mark.parametrize("unit", ["\n", " ", " \t", "word ", ".", "A", "''", "   \n   x", "METHODS "])
@pytest.mark.timeout(20)
def test_a_long_text_of_one_kind_is_read_at_all(unit: str) -> None:
    """Regular expressions take no steps that can be counted; one that is quadratic takes minutes here."""
    text = (unit * 200_000)[:200_000] + "x"
    assert read_sentences(text)[-1].stop == len(text)


# Weights


def test_the_weights_are_those_that_their_header_names() -> None:
    packed = WEIGHTS.read_bytes()
    assert len(packed) <= 500_000
    header, _, rest = packed.partition(b"# sha256 of what follows this line: ")
    digest, _, weights = rest.partition(b"\n")
    assert hashlib.sha256(weights).hexdigest() == digest.decode()
    assert b"sentence-roles.jsonl.gz" in header
    assert b"cross-validation" in header


def test_the_weights_hold_no_more_than_two_words_in_a_row() -> None:
    for line in WEIGHTS.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            _, feature, numbers = line.split("\t")
            assert len(feature.split(" ")) <= 2
            assert len(numbers.split(" ")) == len(ROLES)
