"""Titles: what databases add is read, what they misspell is told from what says something else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence.linkage import title_similarity


def grade(first: str, second: str) -> title_similarity.TitleGrade:
    """The grade, whichever title comes first."""
    one, two = title_similarity.read_title(first), title_similarity.read_title(second)
    assert title_similarity.compare_titles(one, two) == title_similarity.compare_titles(two, one)
    return title_similarity.compare_titles(one, two)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("Group interpersonal psychotherapy", "GROUP INTERPERSONAL PSYCHOTHERAPY.", "same"),
        ("Post-traumatic stress: a trial", "Posttraumatic stress: a trial", "same"),
        ("Theory &amp; practice of <i>psychotherapy</i>", "Theory & practice of psychotherapy", "same"),
        ("Effects on TNF-α in depression", "Effects on TNF-alpha in depression", "same"),
        ("IPT vs fluoxetine", "IPT versus fluoxetine", "same"),
        (
            "[Psychotherapie bei Depression im höheren Alter] LA: Ger",
            "Psychotherapie bei Depression im höheren Alter",
            "same",
        ),
        ("Behavioural activation for depression", "Behavioral activation for depression", "spelling"),
        ("Randomised trial of psychotherapy", "A randomized trial of the psychotherapy", "spelling"),
        ("Haemorrhage and oedema in women", "Hemorrhage and edema in women", "spelling"),
        ("Pleural effusions after chemotherapy", "Pleural effusing after chemotherapy", "spelling"),
        (
            "Mechanisms of change in interpersonal therapy (IPT)",
            "Mechanisms of change in interpersonal therapy",
            "spelling",
        ),
        ("A MICRO STUDY OF RELAPSE (IN WOMEN)", "A micro study of relapse", "shorter"),
        ("A trial of psychotherapy (women)", "A trial of psychotherapy", "shorter"),
        ("A micro arrays study of mood disorders", "A microarray study of mood disorders", "spelling"),
        ("Predictors of response: findings in a trial", "Predictors of response", "subtitle"),
        ("Thrombosis: can transplantation cure the disease?", "Can transplantation cure the disease?", "subtitle"),
        (
            "Psychotherapy for depressed adolescents",
            "Psychotherapy for depressed adolescents in rural Uganda",
            "shorter",
        ),
        ("Therapy-sensitive syndrome in adults", "Therapy-resistant syndrome in adults", "words"),
        ("Maintenance treatment in older men", "Maintenance treatment in older women", "words"),
        ("Hypertension after depression", "Hypotension after depression", "words"),
        ("Untreated depression in mothers", "Treated depression in mothers", "words"),
        ("IPT with fluoxetine for depression", "IPT without fluoxetine for depression", "words"),
        ("Depression in old rats", "Depression in old cats", "words"),
        ("Mood disorders, part 1", "Mood disorders, part 2", "words"),
        ("Social rhythms and bipolar disorder", "Couple therapy in primary care", "other"),
        ("UNKNOWN", "Couple therapy in primary care", "unknown"),
    ],
)
def test_grades(first: str, second: str, expected: title_similarity.TitleGrade) -> None:
    assert grade(first, second) == expected


@pytest.mark.parametrize(
    ("raw", "notice"),
    [
        ("Erratum: Couple therapy for depression", "correction"),
        ("Erratum to - Couple therapy for depression", "correction"),
        ("Author Correction: Couple therapy for depression", "correction"),
        ("Couple therapy for depression (vol 68, pg 526, 2012)", "correction"),
        ("Couple therapy for depression (Journal of Clinical Psychology (2012) 68:5 (526-535))", "correction"),
        ("Retraction notice to: Couple therapy for depression", "retraction"),
        ("Editorial Expression of Concern: Couple therapy for depression", "expression of concern"),
        ("Couple therapy for depression - Reply", "reply"),
        ("Authors' reply: Couple therapy for depression", "reply"),
        ("Couple therapy for depression: author's response", "reply"),
        ("Comment on Couple therapy for depression", "comment"),
        ("Book review: Couple therapy for depression", "book review"),
        ("RETRACTED: Couple therapy for depression", None),
        ("Couple therapy for depression.[Erratum appears in J Clin Psychol. 2012;68(9):1 Note: X, Y [added]]", None),
        ("Couple therapy for depression [Review] [31 refs] [Romanian]", None),
        ("Couple therapy for depression (multiple letters) [1]", None),
    ],
)
def test_notices_and_notes(raw: str, notice: str | None) -> None:
    title = title_similarity.read_title(raw)
    assert title is not None
    assert title.notice == notice
    assert title.words == ("couple", "therapy", "for", "depression")


def test_a_remark_that_the_field_cut_off_is_left_out() -> None:
    whole = "Mechanisms of change in interpersonal psychotherapy for depression"
    assert grade(f"{whole} (Clinical Psychology Rev", whole) == "same"
    assert grade(f"{whole} (", whole) == "same"
    assert grade(f"{whole} (IPT) in groups", whole) == "shorter"


@pytest.mark.parametrize("raw", [None, "", "  ", "UNKNOWN", "n/a", "[Not available].", "Untitled"])
def test_placeholders_are_no_titles(raw: str | None) -> None:
    assert title_similarity.read_title(raw) is None


def test_the_name_of_the_container_is_no_title() -> None:
    journal = "Communications of the Association for Information Systems"
    assert title_similarity.read_title(f"{journal} {journal} Volume 52 Paper 41", journal) is None
    assert title_similarity.read_title(journal, journal) is None
    assert title_similarity.read_title(journal, "Another journal") is not None


@pytest.mark.parametrize(
    ("raw", "numbers"),
    [
        ("Mood disorders. Part II", ("2",)),
        ("Mood disorders: part b", ("b",)),
        ("A phase two trial in CD4 cells", ("2", "4")),
        ("Vitamin D and type I disorders", ("1",)),
        ("What I know of vitamin C", ()),
        ("2-year follow-up of the 1989 cohort", ("2", "1989")),
    ],
)
def test_numbers_tell_parts_apart(raw: str, numbers: tuple[str, ...]) -> None:
    title = title_similarity.read_title(raw)
    assert title is not None
    assert title.numbers == numbers


@pytest.mark.parametrize(
    ("raw", "formula"),
    [
        ("Editorial", True),
        ("Editorial Introduction", True),
        ("Remarks from the Editor - Editor's Comments", True),
        ("Introduction to the Minitrack on Crowdsourcing", True),
        ("President's Message", True),
        ("In this issue", True),
        ("Introduction to interpersonal psychotherapy", False),
        ("Depression", False),
    ],
)
def test_formulas(raw: str, formula: bool) -> None:
    title = title_similarity.read_title(raw)
    assert title is not None
    assert title.formula is formula


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60), st.text(max_size=60))
def test_any_text_is_read_and_compared_both_ways(first: str, second: str) -> None:
    one, two = title_similarity.read_title(first), title_similarity.read_title(second)
    assert title_similarity.compare_titles(one, two) == title_similarity.compare_titles(two, one)
    assert title_similarity.compare_titles(one, one) == ("same" if one else "unknown")
