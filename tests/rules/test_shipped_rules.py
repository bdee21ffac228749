"""Every value of the shipped topics gets its own examples, and does not claim its counterexamples."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from evidence.data_model import Doi, Work
from evidence.rules import taxonomy, topic
from evidence.rules.rule_matches import RuleMatches, WorkTexts
from evidence.rules.taxonomy import Taxonomy, Verdict
from evidence.rules.value_examples import mistaken_examples

DOI = Doi("10.1000/example")
TOPICS = topic.shipped()


def works(text: str) -> Iterator[Work]:
    """An example stands for a title, or for an abstract under a title that says nothing."""
    yield Work(doi=DOI, title=text)
    yield Work(doi=DOI, title="Research note", abstract=f"{text}.")


def verdicts_of(book: Taxonomy, work: Work) -> set[str]:
    return {value for _, value in RuleMatches(WorkTexts(work), book.screening).values()}


def verdict_cases(kind: str) -> list[tuple[str, Verdict, str]]:
    return [
        (name, value, text)
        for name in TOPICS
        for value in taxonomy.load(name).verdicts.values
        for text in getattr(value, kind)
    ]


@pytest.mark.parametrize(
    ("name", "value", "text"), verdict_cases("examples"), ids=lambda part: getattr(part, "id", str(part))[:40]
)
def test_an_example_earns_its_verdict(name: str, value: Verdict, text: str) -> None:
    book = taxonomy.load(name)
    assert any(value.id in verdicts_of(book, work) for work in works(text))


@pytest.mark.parametrize(
    ("name", "value", "text"), verdict_cases("counterexamples"), ids=lambda part: getattr(part, "id", str(part))[:40]
)
def test_a_counterexample_does_not(name: str, value: Verdict, text: str) -> None:
    assert value.id not in verdicts_of(taxonomy.load(name), next(works(text)))


@pytest.mark.parametrize("name", TOPICS)
def test_examples_get_their_value_and_counterexamples_do_not(name: str) -> None:
    failures = mistaken_examples(taxonomy.load(name))
    assert not failures, "\n".join(failures)


def test_the_facets_and_slugs_are_those_of_the_published_scheme() -> None:
    book = taxonomy.load()
    assert [facet.facet for facet in book.facets] == list(book.topic.facet_ids)
    assert [value.id for value in book.verdicts.values] == ["include", "exclude", "unsure"]
    slugs = {facet.facet: {value.id for value in facet.values} for facet in book.facets}
    assert (len(slugs["variant"]), len(slugs["problem_area"])) == (20, 4)
    for facet, values in SLUGS.items():
        assert set(values.split()) <= slugs[facet]


SLUGS = {
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
"""The values that databases and reviewers' decisions hold. An id may be added, never changed or taken away."""


def test_every_rule_says_why_in_the_screening() -> None:
    assert all(rule.because for name in TOPICS for value in taxonomy.load(name).verdicts.values for rule in value.rules)


@pytest.mark.parametrize("name", TOPICS)
def test_a_value_is_no_longer_than_a_screen(name: str) -> None:
    long = []
    for facet in topic.load(name).facets:
        if not facet.borrowed:
            lines = facet.path.read_text(encoding="utf-8").splitlines()
            starts = [place for place, line in enumerate(lines) if line.lstrip().startswith("- id:")]
            for start, stop in itertools.pairwise([*starts, len(lines)]):
                if stop - start > SCREEN_LINES:
                    long.append(f"{facet.id}: {lines[start].strip()} has {stop - start} lines")
    assert not long, "\n".join(long)


SCREEN_LINES = 40
