"""The part that a word plays in a study: measured, found, who took part, who could, what came before."""

from __future__ import annotations

import pytest

from evidence.rules.mention_roles import ROLES
from evidence.rules.tag import read
from evidence.rules.taxonomy import Taxonomy
from tests.rules.small_topic import small_taxonomy


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Taxonomy:
    return small_taxonomy(tmp_path_factory.mktemp("small"))


def roles(book: Taxonomy, facet: str, value: str, abstract: str | None, title: str | None = None) -> list[str]:
    """The role of each mention of a value, in reading order."""
    reading = read(title, abstract, book)
    return [mention.role for mention in reading.mentions.get(book.keys.index((facet, value)), ())]


@pytest.mark.parametrize(
    ("abstract", "role"),
    [
        ("METHODS: Depressive symptoms were measured with the BAI.", "measure"),
        ("METHODS: The primary outcome was depressive symptoms.", "measure"),
        ("RESULTS: Depressive symptoms fell in both groups.", "finding"),
        ("BACKGROUND: Depressive symptoms after birth harm mothers.", "background"),
        ("BACKGROUND: Previous studies reported fewer depressive symptoms.", "other people's"),
        ("AIM: To study whether sessions reduce depressive symptoms.", "aim"),
        ("RESULTS: Baseline depressive symptoms predicted dropout.", "predictor or moderator"),
    ],
)
def test_an_outcome(small: Taxonomy, abstract: str, role: str) -> None:
    assert roles(small, "outcome", "depression", abstract) == [role]


@pytest.mark.parametrize(
    ("abstract", "role"),
    [
        ("METHODS: Eligible patients met criteria for major depression.", "eligibility"),
        ("METHODS: Patients with major depression had sixteen sessions.", "participants"),
        ("METHODS: Patients had a history of major depression.", "prior treatment"),
    ],
)
def test_a_condition(small: Taxonomy, abstract: str, role: str) -> None:
    assert roles(small, "disorder", "depression", abstract) == [role]


def test_people_take_part_or_are_eligible(small: Taxonomy) -> None:
    assert roles(small, "people", "adolescents", "METHODS: Sixty adolescents took part.") == ["participants"]
    assert roles(small, "people", "adolescents", "METHODS: Adolescents were eligible.") == ["eligibility"]
    assert roles(small, "people", "adolescents", "METHODS: Youths aged 12 to 17 years were eligible.") == [
        "eligibility"
    ]


def test_a_design_is_that_of_the_study_in_title_aim_and_methods(small: Taxonomy) -> None:
    assert roles(small, "design", "rct", None, "A randomised trial") == ["design"]
    assert roles(small, "design", "rct", "METHODS: This was a randomised trial.") == ["design"]
    assert roles(small, "design", "rct", "CONCLUSIONS: A randomised trial should follow.") == ["implication or plan"]
    assert roles(small, "design", "rct", "BACKGROUND: One randomised trial showed this.") != ["design"]


def test_a_treatment_of_the_past_is_prior_treatment(small: Taxonomy) -> None:
    abstract = "METHODS: Patients had previously received antidepressants."
    assert roles(small, "versus", "drug", abstract, "Interpersonal psychotherapy") == ["prior treatment"]


def test_a_title_states_an_aim(small: Taxonomy) -> None:
    assert roles(small, "outcome", "anxiety", None, "Effects on anxiety") == ["aim"]


def test_every_role_is_one_of_those_described(small: Taxonomy) -> None:
    abstract = (
        "Anxiety is common. We compared IPT with CBT. Adolescents with major depression were randomised to IPT or usual care. "
        "The HAM-D was used. Anxiety and costs fell. Antidepressants should be studied."
    )
    reading = read("IPT for teenagers: a randomised trial", abstract, small)
    assert {mention.role for found in reading.mentions.values() for mention in found} <= set(ROLES)
