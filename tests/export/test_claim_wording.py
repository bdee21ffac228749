"""The sentence on a claim: each combination of what is cited, what is newer and what is not known, in plain English."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from evidence.export import claim_wording, provider_wording
from evidence.export.claim_wording import ClaimCounts, Count
from evidence.export.wording import short_citation

NONE = Count(0)
ONE_CITED = ClaimCounts(
    citations=1, cited=Count(1), cited_about=Count(1), cited_unread=0, unidentified=0, notices=(), since=2016,
    works=Count(9), cited_among=1, trials=Count(5), reviews=Count(1), retracted=NONE, newer=Count(4), newer_trials=Count(4),
    newer_reviews=NONE, newer_others=0, newer_retracted=NONE, same_year=NONE, undated=NONE, untexted=NONE, waiting=NONE,
)  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, "The cited work is about this; 4 newer trials; no newer review"),
        (
            {"citations": 3, "cited": Count(3), "cited_about": Count(2)},
            "2 of 3 cited works are about this; 4 newer trials; no newer review",
        ),
        (
            {"citations": 3, "cited": Count(3), "cited_about": Count(1)},
            "1 of 3 cited works is about this; 4 newer trials; no newer review",
        ),
        (
            {"citations": 2, "cited": Count(2), "cited_about": NONE, "cited_unread": 1},
            "None of the 2 cited works is tagged with this; 4 newer trials; no newer review",
        ),
        (
            {"cited_about": NONE, "cited_unread": 1},
            (
                "It is not known whether the cited work is about this, because only its title could be read; "
                "4 newer trials; no newer review"
            ),
        ),
        ({"cited_about": NONE}, "The cited work is not tagged with this; 4 newer trials; no newer review"),
        (
            {"newer": Count(6), "newer_others": 2, "newer_reviews": Count(1), "newer_trials": Count(3)},
            "The cited work is about this; 3 newer trials; 1 newer review; 6 newer works in all",
        ),
        (
            {"newer": Count(1), "newer_others": 1, "newer_trials": NONE},
            "The cited work is about this; no newer trial; no newer review; 1 other newer work",
        ),
        (
            {"newer_retracted": Count(2)},
            "The cited work is about this; 4 newer trials; no newer review; 2 of the newer works were retracted",
        ),
        (
            {"notices": (("retraction", Count(1)),)},
            "The cited work was retracted; it is about this; 4 newer trials; no newer review",
        ),
        (
            {"notices": (("correction", Count(1)),)},
            "The cited work is about this; it was corrected; 4 newer trials; no newer review",
        ),
        (
            {
                "citations": 3, "cited": Count(3), "cited_about": Count(3),
                "notices": (("partial-retraction", Count(2)), ("expression-of-concern", Count(1)), ("erratum", Count(1))),
            },
            (
                "2 of 3 cited works were retracted in part; 1 of 3 cited works has an expression of concern; "
                "3 of 3 cited works are about this; 1 of 3 cited works was corrected; 4 newer trials; no newer review"
            ),
        ),
        (
            {"trials": None, "reviews": None, "newer_trials": None, "newer_reviews": None, "newer_others": 4},
            "The cited work is about this; 4 newer works",
        ),
        ({"works": NONE}, "The cited work is about this; no included work is tagged with this"),
        (
            {"citations": 2, "unidentified": 1},
            "The cited work is about this; 1 citation could not be identified; 4 newer trials; no newer review",
        ),
        (
            {"citations": 2, "cited": NONE, "cited_about": NONE, "unidentified": 2, "since": None, "reviews": NONE},
            "The 2 citations could not be identified; 5 trials here; no review here",
        ),
    ],
)  # fmt: skip
def test_the_sentence_reads_as_people_write(changed: dict[str, Any], said: str) -> None:
    assert claim_wording.plain(claim_wording.sentence(replace(ONE_CITED, **changed))) == said


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, []),
        ({"untexted": Count(7)}, ["Titles only: abstracts were not available for 7 of 9 works."]),
        ({"untexted": Count(9)}, ["Titles only: abstracts were not available for any of the 9 works."]),
        ({"untexted": Count(1), "works": Count(1)}, ["Title only: no abstract was available for 1 work."]),
        ({"waiting": Count(1)}, ["1 more work with these tags waits for a decision."]),
        ({"waiting": Count(2)}, ["2 more works with these tags wait for a decision."]),
        ({"same_year": Count(1)}, ["Whether 1 other work of 2016 is newer cannot be told by the year."]),
        ({"undated": Count(3)}, ["Whether 3 works without a year are newer cannot be told."]),
        ({"undated": Count(3), "since": None}, ["No cited work has a year, so nothing can be called newer."]),
    ],
)
def test_what_is_not_known_is_said(changed: dict[str, Any], said: list[str]) -> None:
    sentences = claim_wording.not_known(replace(ONE_CITED, **changed))
    assert [claim_wording.plain([one]) for one in sentences] == said


def test_the_works_here_are_never_counted_without_a_word_on_the_cited_ones() -> None:
    several: dict[str, Any] = {"citations": 3, "cited": Count(3)}
    said = {
        among: claim_wording.plain([claim_wording.in_all(replace(ONE_CITED, **several, cited_among=among))])
        for among in (0, 1, 3)
    }
    assert said == {
        0: "9 included works about this: 5 trials, 1 review; the cited works are not among them.",
        1: "9 included works about this: 5 trials, 1 review; 1 of the 3 cited works among them.",
        3: "9 included works about this: 5 trials, 1 review; the cited works among them.",
    }
    assert claim_wording.in_all(replace(ONE_CITED, works=NONE)) == ()


@pytest.mark.parametrize(
    ("authors", "year", "text", "said"),
    [
        ("Cuijpers P, Donker T", 2016, "", "Cuijpers 2016"),
        ("Bylund-Grenklo T", 2016, "", "Bylund-Grenklo 2016"),
        ("van der Berg A", None, "", "van der Berg"),
        ("STAR*D Group", 2006, "", "STAR*D Group 2006"),
        ("WHO", 2006, "", "WHO 2006"),
        (None, None, "International Society. Overview of IPT.", "International Society"),
        (
            None,
            None,
            "A very long beginning of a citation that never ends at all",
            "A very long beginning …",
        ),
        ("Óskarsdóttir ÁÞ", 2001, "", "Óskarsdóttir 2001"),
    ],
)
def test_a_citation_is_named_in_short(authors: str | None, year: int | None, text: str, said: str) -> None:
    assert short_citation(authors, year, text) == said


def test_who_was_asked_about_retractions_is_named_with_the_others() -> None:
    day = "2026-11-20"
    assert provider_wording.asked_sentence({"crossref": (8, day), "pubmed": (5, day)}, 8) == (
        "Asked about retractions: Crossref about all (20 November 2026) and PubMed about 5 of 8 (20 November 2026). "
        "Not asked: Europe PMC and Retraction Watch."
    )
    assert provider_wording.asked_sentence({"bundled": (1, day)}, 8).startswith(
        "Crossref, PubMed, Europe PMC and Retraction"
    )
