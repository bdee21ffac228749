"""Every value of the bundled taxonomy does what its own examples say, and says nothing of its counterexamples."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from evidence.data_model import Doi, Work
from evidence.rules import taxonomy
from evidence.rules.rule_matches import RuleMatches, WorkTexts
from evidence.rules.tag import tag
from evidence.rules.taxonomy import Taxonomy, Value

RULES = taxonomy.load()


def works(text: str) -> Iterator[Work]:
    """An example stands for a title; rules that read abstracts only get it as an abstract under a title that says nothing."""
    yield Work(doi=Doi("10.1000/example"), title=text)
    yield Work(doi=Doi("10.1000/example"), title="Research note", abstract=f"{text}.")


def values_of(rules: Taxonomy, facet: str, work: Work) -> set[str]:
    if facet == taxonomy.SCREEN:
        return {value for _, value in RuleMatches(WorkTexts(work), rules.screening).values()}
    return {found.value for found in tag(work, rules.tagging) if found.facet == facet}


def cases(kind: str) -> list[tuple[str, Value, str]]:
    found = []
    for facet in (RULES.verdicts, *RULES.facets):
        for value in facet.values:
            found += [(facet.facet, value, text) for text in getattr(value, kind)]
    return found


@pytest.mark.parametrize(
    ("facet", "value", "text"), cases("examples"), ids=lambda part: getattr(part, "id", str(part))[:40]
)
def test_an_example_earns_its_value(facet: str, value: Value, text: str) -> None:
    assert any(value.id in values_of(RULES, facet, work) for work in works(text)), (
        f"{facet}:{value.id} is not given to {text!r}"
    )


@pytest.mark.parametrize(
    ("facet", "value", "text"), cases("counterexamples"), ids=lambda part: getattr(part, "id", str(part))[:40]
)
def test_a_counterexample_does_not(facet: str, value: Value, text: str) -> None:
    title = next(works(text))
    assert value.id not in values_of(RULES, facet, title), f"{facet}:{value.id} is given to {text!r}"


def test_the_facets_and_slugs_are_those_of_the_published_scheme() -> None:
    assert [facet.facet for facet in RULES.facets] == list(RULES.topic.facet_ids)
    assert [value.id for value in RULES.verdicts.values] == ["include", "exclude", "unsure"]
    slugs = {facet.facet: {value.id for value in facet.values} for facet in RULES.facets}
    assert {len(slugs["variant"]), len(slugs["problem_area"])} == {20, 4}
    for facet, values in SOME_SLUGS.items():
        assert set(values.split()) <= slugs[facet]


SOME_SLUGS = {
    "variant": "ipt ipt-a ipt-ast ipt-ap fb-ipt ipt-g ipc ipt-b ipt-m ipsrt dit pit mit ipt-couple ipt-perinatal ipt-late-life "
    "ipt-ptsd ipt-ed ipt-bpd ipt-other",
    "outcome": "depressive-symptoms remission-response relapse-recurrence onset-prevention anxiety "
    "ptsd-symptoms eating-pathology mania-mood-stability suicidality grief-symptoms social-functioning "
    "general-functioning quality-of-life relationship-quality interpersonal-problems "
    "social-support-loneliness emotion-alexithymia reflective-functioning personality-pathology alliance-process "
    "attrition-acceptability cost child-parenting substance-use physical-health biological-neural",
    "format": "individual group couple family telephone internet-video in-person inpatient combined-medication",
    "population": "children adolescents adults older-adults perinatal couples students veterans refugees-conflict prisoners "
    "primary-care low-income-lmic medical-illness caregivers-parents therapists",
    "condition": "depression persistent-depression bipolar ptsd anxiety-disorder eating-disorder bpd-personality substance-use "
    "grief somatic-functional psychosis insomnia none",
    "comparator": "cbt pharmacotherapy combined tau waitlist supportive psychodynamic other-psychotherapy placebo none",
    "design": "rct cluster-rct pilot-feasibility protocol secondary-analysis open-trial cohort case-report-series qualitative "
    "meta-analysis systematic-review narrative-review economic-evaluation guideline commentary book-chapter "
    "measure-development implementation-training",
    "problem_area": "grief role-dispute role-transition interpersonal-deficits",
}


def test_every_rule_says_why_in_the_screening() -> None:
    assert all(rule.because for value in RULES.verdicts.values for rule in value.rules)
