"""Screening, judging and people's decisions: what a verdict is made of and how it is told."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence.data_model import Decision, Doi, VerdictName, Work
from evidence.rules import taxonomy
from evidence.rules.judge import judge
from evidence.rules.screen import screen

BOOK = taxonomy.load()
DOI = Doi("10.1000/one")
SILENT = "We followed outpatients for a year and rated their symptoms; nothing in the care they had was changed. " * 2


def work(title: str | None = None, abstract: str | None = None) -> Work:
    return Work(doi=DOI, title=title, abstract=abstract, kind="journal-article")


@pytest.mark.parametrize(
    ("title", "abstract", "verdict", "basis"),
    [
        ("Interpersonal psychotherapy for depression", None, "include", "title"),
        ("Interpersonal psychotherapy for depression", SILENT, "include", "title+abstract"),
        (
            "Psychotherapies for adult depression",
            f"{SILENT} Some had interpersonal psychotherapy.",
            "include",
            "title+abstract",
        ),
        ("Change during a psychotherapy", SILENT, "exclude", "title+abstract"),
        ("Change during a psychotherapy", None, "unsure", "title"),
        ("Change during a psychotherapy", "No abstract available.", "unsure", "title+abstract"),
        (None, None, "unsure", "nothing"),
        ("Completion of isoniazid preventive therapy (IPT)", None, "exclude", "title"),
        (
            "IPT and birth weight",
            f"{SILENT} Intermittent preventive treatment (IPT) was given.",
            "exclude",
            "title+abstract",
        ),
        ("Interpersonal psychotherapy", "The ipt gene codes for isopentenyl transferase.", "exclude", "title+abstract"),
        (
            "Telephone care",
            f"{SILENT} Depressed patients were randomised to IPT or usual care.",
            "include",
            "title+abstract",
        ),
        ("Telephone care", f"{SILENT} IPT was 3 ms in all runs.", "exclude", "title+abstract"),
        ("IPT in ordinary practice", SILENT, "unsure", "title+abstract"),
    ],
)
def test_a_verdict(title: str | None, abstract: str | None, verdict: str, basis: str) -> None:
    said = screen(work(title, abstract), BOOK)
    assert (said.verdict, said.judged_on) == (verdict, basis)


def test_the_letters_alone_never_include() -> None:
    for text in ("IPT", "IPT (IPT)", "IPT, a review", "On IPT"):
        assert screen(work(text), BOOK).verdict != "include"
        assert screen(work("A report", f"{text}. {SILENT}"), BOOK).verdict != "include"


@pytest.mark.parametrize(
    "beside",
    [
        "Therapists describe how IPT was learnt under supervision.",
        "Adherence to IPT was rated for research and training purposes.",
        "Clients valued the sessions of IPT.",
        "Implementing IPT in several countries met barriers.",
        "IPT and the interpersonal psychological theory of suicide are compared.",
        "IPT was given to depressed people with TB.",
    ],
)
def test_the_letters_beside_words_of_therapy_never_exclude(beside: str) -> None:
    assert screen(
        work("A report", f"{beside} It was done over one year in three places by a small team of people."), BOOK
    ).verdict in (
        "unsure",
        "include",
    )


@pytest.mark.parametrize(
    "beside",
    [
        "Completion of IPT among people with TB.",
        "IPT of malaria was given to pregnant women at antenatal visits.",
        "Isoniazid preventive therapy (IPT) was taken by patients with depression.",
        "The ipt gene of isopentenyl transferase was cloned.",
    ],
)
def test_other_meanings_of_the_letters_exclude(beside: str) -> None:
    assert screen(
        work("A report", f"{beside} It was done over one year in three places by a small team of people."), BOOK
    ).verdict == ("exclude")


def test_the_name_in_full_outweighs_other_meanings_of_the_letters() -> None:
    text = "Interpersonal psychotherapy (IPT) was given to depressed patients on isoniazid preventive therapy. " * 2
    assert screen(work("A trial in Peru", text), BOOK).verdict == "include"


@pytest.mark.parametrize("dash", "-\u2010\u2011\u2012\u2013\u2014\u2212")
def test_every_dash_joins(dash: str) -> None:
    assert screen(work(f"Interpersonal{dash}psychotherapy"), BOOK).verdict == "include"
    assert screen(work(f"Inter{dash}personal counselling"), BOOK).verdict == "include"


def test_why_is_one_sentence_with_the_words_that_decided() -> None:
    said = screen(work("Brief Interpersonal Psychotherapy"), BOOK)
    assert said.why == "Included: it names the therapy: “Interpersonal Psychotherapy” in the title."
    assert [(m.field, m.quote) for m in said.matches] == [("title", "Interpersonal Psychotherapy")]
    excluded = screen(work("Isoniazid preventive therapy"), BOOK)
    assert excluded.why.startswith("Excluded: its IPT is isoniazid preventive therapy: “")


def test_a_notice_is_not_the_study() -> None:
    notice = Work(
        doi=DOI, title="Retraction: Interpersonal psychotherapy", notice_of=(("retraction", Doi("10.1000/two")),)
    )
    said = judge(notice, BOOK)
    assert said.verdict == "exclude"
    assert said.why == "This is a notice (retraction) about 10.1000/two, not the study itself."
    assert said.tags == ()


def decided(
    action: Literal["verdict", "tag", "untag"], at: str, verdict: VerdictName | None = None, tag: str = ":"
) -> Decision:
    facet, value = (part or None for part in tag.split(":"))
    return Decision(DOI, action, verdict, facet, value, "Read in full", "rk", at, None, None)


def test_a_persons_newest_word_wins() -> None:
    decisions = [
        decided("verdict", "2026-03-01T10:00:00Z", "exclude"),
        decided("verdict", "2026-01-01T10:00:00Z", "include"),
    ]
    said = judge(work("Interpersonal psychotherapy for depression"), BOOK, decisions)
    assert (said.verdict, said.decided, said.tags) == ("exclude", "person", ())
    assert said.why == "rk decided this on 2026-03-01: Read in full."
    back = judge(work("Change during a psychotherapy"), BOOK, decisions[1:])
    assert (back.verdict, back.decided) == ("include", "person")


def test_people_add_and_take_away_tags() -> None:
    title = "Interpersonal psychotherapy for depression"
    before = {(t.facet, t.value): t for t in judge(work(title), BOOK).tags}
    assert before["condition", "depression"].decided == "rule"
    decisions = [
        decided("untag", "2026-01-01", tag="condition:depression"),
        decided("tag", "2026-01-01", tag="format:telephone"),
        decided("tag", "2026-01-02", tag="variant:ipt"),
    ]
    after = {(t.facet, t.value): t for t in judge(work(title), BOOK, decisions).tags}
    assert ("condition", "depression") not in after
    assert (after["format", "telephone"].decided, after["format", "telephone"].matches) == ("person", ())
    assert after["variant", "ipt"].decided == "person"
    assert after["variant", "ipt"].matches == before["variant", "ipt"].matches
    again = judge(work(title), BOOK, [*decisions, decided("tag", "2026-01-03", tag="condition:depression")])
    assert ("condition", "depression") in {(t.facet, t.value) for t in again.tags}


PIECES = [
    "interpersonal psychotherapy", "IPT", "depressed", "malaria", "ß", "İ", "–", "randomised to", "usual care", "psicoterapia",
    "interpersonelle Psychotherapie", "人际心理治疗", "𝔘nsicher", "n = 5", "(", "</p>", "&amp;", ".", "\n", "Ｗide",
]  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=12), st.lists(st.sampled_from(PIECES), max_size=40))
def test_every_quote_is_the_text_it_points_at(title: list[str], abstract: list[str]) -> None:
    judged = work(" ".join(title) or None, " ".join(abstract) or None)
    said = judge(judged, BOOK)
    for match in (*said.matches, *(match for tag in said.tags for match in tag.matches)):
        text = getattr(judged, match.field)
        assert text[match.start : match.stop] == match.quote != ""
    assert said.why.endswith(".")
    assert said.verdict != "exclude" or said.tags == ()
