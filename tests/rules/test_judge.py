"""People's decisions over the rules: they win, they stay, and they come back as a conflict when the ground has moved."""

from __future__ import annotations

import contextlib
import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evidence.crossref.normalise import normalise
from evidence.current_decisions import decision_id, infer_seen
from evidence.data_model import SAME_WORK, Decision, Doi, Fact, Tag, Work
from evidence.errors import RecordError
from evidence.evaluation.screening_and_tagging_accuracy import labelled_records
from evidence.rules import rule_matches
from evidence.rules.judge import judge, judge_changed_values, text_digest
from evidence.rules.judge import said as said_by_rules
from evidence.rules.phrase_matching import Text
from evidence.rules.taxonomy import Taxonomy
from tests.builders import decision
from tests.data import SAMPLES, find, json_lines

WORK = Work(Doi("10.1002/cpp.1774"), title="Interpersonal psychotherapy: past, present, and future")


def said(
    action: str = "verdict", verdict: str | None = "include", by: str = "A", at: str = "2026-01-01", **more: object
) -> Decision:
    of_today: dict[str, object] = {"record": text_digest(WORK)}
    return decision(WORK.doi, verdict, by, action=action, made_at=at, **of_today | more)


def test_a_decision_wins_and_the_newest_counts(book: Taxonomy) -> None:
    old, new = said(verdict="include", at="2025-01-01"), said(verdict="exclude", at="2026-01-01")
    new = replace(new, seen=(decision_id(old),))
    for order in ((old, new), (new, old)):
        judged = judge(WORK, book, order)
        assert (judged.verdict, judged.decided, judged.conflict) == ("exclude", "person", None)
    assert judge(WORK, book).decided == "rule"


def test_the_rule_that_was_confirmed_and_changed_is_a_conflict_and_the_person_still_wins(book: Taxonomy) -> None:
    assert judge(WORK, book, [said(rule_said="include")]).conflict is None
    changed = judge(WORK, book, [said(verdict="exclude", rule_said="exclude")])
    assert changed.verdict == "exclude"
    assert "now say include" in (changed.conflict or "")
    assert judge(WORK, book, [said(verdict="exclude", rule_said="include")]).conflict is None  # overruled knowingly


TRIAL = Fact("publication-type", "Randomized Controlled Trial", "pubmed")


def test_facts_give_no_tags_to_excluded_works(book: Taxonomy) -> None:
    about = replace(WORK, facts=(TRIAL,))
    assert ("design", "rct") in {(t.facet, t.value) for t in judge(about, book).tags}
    assert judge(about, book, [said(verdict="exclude")]).tags == ()
    other = replace(about, title="Sleep in trains", abstract="We counted how many passengers slept. " * 5)
    judged = judge(other, book)
    assert (judged.verdict, judged.tags) == ("exclude", ())


def test_facts_count_where_only_some_values_were_edited(book: Taxonomy) -> None:
    about = replace(WORK, facts=(TRIAL,))
    judged = judge(about, book)
    again = judge_changed_values(about, judged.verdict, judged.why, book, frozenset({("design", "rct")}))
    assert again is not None and again.tags == judged.tags
    excluded = judge_changed_values(about, "exclude", "", book, frozenset({("design", "rct")}))
    assert excluded is not None and excluded.tags == ()


def test_a_person_takes_away_a_tag_of_a_fact(book: Taxonomy) -> None:
    about = replace(WORK, facts=(TRIAL,))
    untagged = judge(about, book, [said("untag", None, facet="design", value="rct")])
    assert ("design", "rct") not in {(t.facet, t.value) for t in untagged.tags}


def test_what_a_person_confirms_is_stated_and_what_is_only_implied_was_not_said(
    book: Taxonomy, monkeypatch: pytest.MonkeyPatch
) -> None:
    implied = Tag("outcome", "anxiety", (), "rule", "implied", 0.4, "Anxiety: title.")
    monkeypatch.setattr("evidence.rules.judge.tag", lambda *_: (implied,))
    assert judge(WORK, book).tags == (implied,)
    assert said_by_rules([implied, replace(implied, strength="likely", value="cost")]) == {("outcome", "cost")}
    about: dict[str, Any] = {"verdict": None, "facet": "outcome", "value": "anxiety"}
    confirmed = judge(WORK, book, [said("tag", rule_said="unsaid", **about)])
    assert (confirmed.tags, confirmed.conflict) == ((Tag("outcome", "anxiety", (), "person"),), None)
    refused = judge(WORK, book, [said("untag", rule_said="unsaid", **about)])
    assert (refused.tags, refused.conflict) == ((), None)
    assert "now say unsaid" in (judge(WORK, book, [said("tag", rule_said="said", **about)]).conflict or "")


def test_a_changed_text_is_a_conflict_and_a_changed_volume_is_not(book: Taxonomy) -> None:
    assert judge(replace(WORK, volume="20"), book, [said()]).conflict is None
    assert "has changed" in (judge(replace(WORK, abstract="New."), book, [said()]).conflict or "")


def test_tags_conflict_by_themselves(book: Taxonomy) -> None:
    tag: dict[str, Any] = {"verdict": None, "facet": "variant", "value": "ipt-g"}
    judged = judge(WORK, book, [said("tag", by="A", **tag), said("untag", by="B", at="2027-01-01", **tag)])
    assert "variant:ipt-g" in (judged.conflict or "")
    assert ("variant", "ipt-g") not in {(t.facet, t.value) for t in judged.tags}
    judged = judge(WORK, book, [said("tag", **tag)])
    assert [t.decided for t in judged.tags if t.value == "ipt-g"] == ["person"]


def test_a_work_reports_all_its_conflicts_in_a_fixed_order(book: Taxonomy) -> None:
    tag: dict[str, Any] = {"verdict": None, "facet": "variant", "value": "ipt-g", "record": "another"}
    gone: dict[str, Any] = {"verdict": None, "facet": "variant", "value": "none-such"}
    decided = [
        said("tag", by="B", **tag),
        said("tag", by="B", **gone),
        said(by="B", verdict="exclude", rule_said="exclude"),
        said(by="A", at="2025-01-01"),
        said("untag", by="B", facet=SAME_WORK, value="10.1002/x", verdict=None),
    ]
    expected = (
        "B decided on variant:none-such: this value no longer exists. "
        "B decided that 10.1002/cpp.1774 and 10.1002/x are two works: both DOIs lead to one record now. "
        "People disagree on this work (A: include, B: exclude). "
        "The rules agreed with B on this work, and now say include. "
        "The title or abstract has changed since B decided on variant:ipt-g."
    )
    for order in itertools.permutations(decided):
        assert judge(WORK, book, order).conflict == expected
    twice = [said(at="2025-01-01"), said(verdict="exclude"), said(by="B")]
    assert judge(WORK, book, twice).conflict == (
        "A decided twice on this work, without having seen the other: include (10.1002/cpp.1774, 2025-01-01), "
        "exclude (10.1002/cpp.1774, 2026-01-01). People disagree on this work (A: exclude, B: include)."
    )


def test_a_word_that_was_taken_back_is_as_if_never_said(book: Taxonomy) -> None:
    tag: dict[str, Any] = {"verdict": None, "facet": "variant", "value": "ipt-g"}
    first, tagged = said(verdict="exclude", at="2025-01-01"), said("tag", at="2025-01-01", **tag)
    back, untagged = said("withdraw", None, at="2026-01-01"), said("withdraw", at="2026-01-01", **tag)
    assert judge(WORK, book, list(infer_seen([first, tagged, back, untagged]))) == judge(WORK, book)
    only_tag = judge(WORK, book, list(infer_seen([first, tagged, back])))
    assert only_tag.decided == "rule"
    assert [t.decided for t in only_tag.tags if t.value == "ipt-g"] == ["person"]
    again = judge(WORK, book, list(infer_seen([first, back, said(verdict="unsure", at="2026-01-01")])))
    assert again.verdict == "unsure"
    others = judge(WORK, book, list(infer_seen([said(verdict="include", by="B", at="2024-01-01"), first, back])))
    assert (others.verdict, others.conflict) == ("include", None)


def test_each_field_is_prepared_once_for_screening_and_tagging(book: Taxonomy, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared: list[str] = []

    class CountedText(Text):
        def __init__(self, text: str) -> None:
            prepared.append(text)
            super().__init__(text)

    monkeypatch.setattr(rule_matches, "Text", CountedText)
    work = replace(WORK, abstract="Interpersonal psychotherapy for depression.", kind="journal-article")
    judge(work, book, [said("tag", None, facet="format", value="group")])
    assert len(prepared) == len(set(prepared)) >= 2


def test_a_verdict_turns_no_rule_on_tags(book: Taxonomy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Excluding a work is no reason to look at its tags again."""
    silent = replace(WORK, title="Unresolved grief of teenagers")
    monkeypatch.setattr("evidence.rules.judge.tag", lambda *_: (Tag("problem_area", "grief", ()),))
    tag: dict[str, Any] = {"verdict": None, "facet": "problem_area", "value": "grief", "record": text_digest(silent)}
    for verdict in ("include", "exclude", "unsure"):
        decided = [said(verdict=verdict, record=text_digest(silent)), said("tag", rule_said="said", **tag)]
        assert judge(silent, book, decided).conflict is None


def test_every_quote_on_every_real_record_is_where_it_says(data: Path, book: Taxonomy) -> None:
    """The collected records of every field, and the labelled ones with their abstracts: offsets are exact on all.

    The sample has no abstracts. There, the titles that follow a work stand for its abstract: texts of much the same words.
    """
    works = []
    for row in json_lines(data, "crossref-works.jsonl"):
        with contextlib.suppress(RecordError):
            works.append(normalise(row["work"]))
    labelled = [
        row.work
        for name in ("ipt-labelled.csv", "ipt-bibliography.jsonl")
        for row in labelled_records(find(data, name))
    ]
    if data == SAMPLES:
        following = zip(
            *(itertools.islice(itertools.cycle(labelled), skip, None) for skip in range(1, 7)), strict=False
        )
        labelled = [
            replace(work, abstract=". ".join(str(other.title) for other in others))
            for work, others in zip(labelled, following, strict=False)
        ]
    works += labelled
    seen = 0
    for work in works:
        judged = judge(work, book)
        for match in (*judged.matches, *(m for t in judged.tags for m in t.matches)):
            text = getattr(work, match.field)
            assert text[match.start : match.stop] == match.quote
            seen += 1
    assert len(works) > (500 if data == SAMPLES else 4000)
    assert seen > (2000 if data == SAMPLES else 5000)
