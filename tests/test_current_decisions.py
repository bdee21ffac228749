"""Ledgers as sets: merging gives the same result in any order, and a later decision of a reviewer replaces those it has seen."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence.current_decisions import (
    CurrentDecisions,
    at_current_dois,
    contradictions,
    current_decisions,
    current_ids_on_subject,
    decision_id,
    ids_on_subject,
    infer_seen,
    merged,
    parse_time,
    subject,
)
from evidence.data_model import SAME_WORK, Decision, Doi
from tests.builders import decision, tagging

WORK, TWIN, OTHER = Doi("10.1/a"), Doi("10.1/b"), Doi("10.1/c")
START = datetime(2026, 11, 1, tzinfo=UTC)


def decided(verdict: str | None, at: str = "2026-11-01T00:00:00Z", by: str = "A", **more: object) -> Decision:
    return decision(WORK, verdict, by, made_at=at, **more)


def after(held: list[Decision], new: Decision) -> Decision:
    """`new`, made by somebody who has these decisions before them."""
    return replace(new, seen=current_ids_on_subject(held, subject(new)))


def test_a_correction_counts_though_the_clock_was_a_day_ahead() -> None:
    slip = decided("include", "2026-11-28T09:00:00Z")
    mended = after([slip], decided("exclude", "2026-11-27T09:00:00Z"))
    for ledger in ([slip, mended], [mended, slip]):
        assert current_decisions(ledger) == [mended]
        assert contradictions(ledger) == []


def test_what_others_decided_is_seen_too() -> None:
    theirs = decided("include", "2026-11-28T09:00:00Z", by="B")
    mine = after([theirs], decided("exclude", "2026-11-27T09:00:00Z"))
    assert [d.verdict for d in current_decisions([mine, theirs])] == ["include", "exclude"]  # the last one counts
    again = after([theirs, mine], decided("include", "2026-11-27T09:00:01Z"))
    assert current_decisions([again, mine, theirs]) == [theirs, again]


@pytest.mark.parametrize("reason", [f"reason {n}" for n in range(8)])
def test_the_last_of_three_that_saw_each_other_counts_whatever_the_clocks_say(reason: str) -> None:
    """Whatever the identifiers, too: these depend on the reason."""
    first = decided("include", "2026-11-28T09:00:00Z", by="A")
    second = after([first], decided("exclude", "2026-11-28T10:00:00Z", by="B", reason=reason))
    third = replace(decided("include", "2026-11-27T09:00:00Z", by="C", reason=reason), seen=(decision_id(second),))
    for ledger in itertools.permutations([first, second, third]):
        assert [d.reviewer for d in current_decisions(ledger)] == ["A", "B", "C"]


def test_two_copies_that_did_not_see_each_other_come_to_the_same_end_and_say_so() -> None:
    here, there = decided("include", "2026-11-02T00:00:00Z"), decided("exclude", "2026-11-03T00:00:00Z")
    assert current_decisions([here, there]) == current_decisions([there, here]) == [there]
    assert contradictions([here, there]) == [(here, there)]
    assert contradictions([here, replace(here, reason="the same verdict", made_at="2026-11-04T00:00:00Z")]) == []


def test_decisions_on_two_records_of_one_work_meet() -> None:
    one, two = decided("include"), decided("exclude", "2026-11-03T00:00:00Z", doi=TWIN)
    assert current_decisions([one, two]) == [one, two]
    assert current_decisions([one, two], {TWIN: WORK}) == [two]
    assert contradictions([one, two], {TWIN: WORK}) == [(one, two)]


def test_a_pair_is_one_subject_from_either_side() -> None:
    same = tagging(WORK, SAME_WORK, TWIN, by="A", made_at="2026-11-01T00:00:00Z")
    apart = replace(
        same, doi=TWIN, value=WORK, action="untag", made_at="2026-11-02T00:00:00Z", seen=(decision_id(same),)
    )
    assert subject(same) == subject(apart)
    assert current_decisions([apart, same]) == [apart]


def test_a_pair_is_shown_from_either_side_until_it_has_become_one_record() -> None:
    pair = tagging(WORK, SAME_WORK, OTHER, untag=True, by="A", made_at="2026-11-01T00:00:00Z")
    back = replace(pair, doi=OTHER, value=WORK)
    assert at_current_dois([pair, back], {}) == (pair, back)
    assert at_current_dois([pair, back], {WORK: TWIN}) == (replace(pair, doi=TWIN), replace(back, value=TWIN))
    assert at_current_dois([pair, back], {OTHER: WORK}) == ()


def test_a_new_decision_has_seen_all_on_its_subject() -> None:
    one = decided("include")
    two = after([one], decided("exclude"))
    other = decided("unsure", doi=OTHER)
    assert ids_on_subject([one, two, other], subject(one)) == tuple(sorted([decision_id(one), decision_id(two)]))
    assert current_ids_on_subject([one, two, other], subject(one)) == (decision_id(two),)


def test_a_time_that_is_none_comes_before_every_other() -> None:
    old = decided("include", "31/12/2019", seen=())
    new = decided("exclude", "2026-11-01T00:00:00Z")
    assert current_decisions([new, old]) == [new]
    assert parse_time("2026-11-01T01:00:00+01:00") == parse_time("2026-11-01T00:00:00Z")


def test_a_ledger_of_before_is_read_as_it_was() -> None:
    first, undone, again = (
        decided("include"),
        decided(None),
        decided("unsure"),
    )  # all in one second: the ledger's order counts
    assert current_decisions(list(infer_seen([first, undone]))) == []
    assert [d.verdict for d in current_decisions(list(infer_seen([first, undone, again])))] == ["unsure"]
    assert contradictions(list(infer_seen([first, undone, again]))) == []


def test_one_decision_held_with_different_pasts_is_one_decision() -> None:
    one = decided("include", seen=("a",))
    assert merged([one, replace(one, seen=("b",))]) == (replace(one, seen=("a", "b")),)


def test_a_cycle_that_only_an_edited_file_can_hold_ends() -> None:
    one, two = decided("include"), decided("exclude")
    one, two = replace(one, seen=(decision_id(two),)), replace(two, seen=(decision_id(one),))
    assert current_decisions([one, two]) == current_decisions([two, one]) != []


copies = st.lists(
    st.tuples(
        st.integers(0, 2),  # which copy
        st.sampled_from(["include", "exclude", "unsure", None]),
        st.sampled_from(["A", "B"]),
        st.integers(-3, 3),  # by how many days this clock is wrong
        st.one_of(st.none(), st.integers(0, 2)),  # which other copy's ledger is merged in before
    ),
    max_size=14,
)


@given(copies, st.randoms(use_true_random=False))
def test_merging_is_a_union_whatever_the_order_the_clocks_and_the_exchanges(history: list[Any], chance: Random) -> None:
    ledgers: list[list[Decision]] = [[], [], []]
    made: list[tuple[Decision, frozenset[str]]] = []
    for step, (copy, verdict, reviewer, days, other) in enumerate(history):
        if other is not None:
            ledgers[copy] = list(merged([*ledgers[copy], *ledgers[other]]))
        at = (START + timedelta(days=days, seconds=step)).strftime("%Y-%m-%dT%H:%M:%SZ")
        new = after(ledgers[copy], decided(verdict, at, reviewer))
        ledgers[copy].append(new)
        made.append((new, frozenset(map(decision_id, ledgers[copy]))))
    everything = list(merged(itertools.chain(*ledgers)))
    expected = current_decisions(everything)
    for _ in range(3):
        shuffled = list(everything)
        chance.shuffle(shuffled)
        assert current_decisions(shuffled) == expected
        assert current_decisions([*shuffled, *shuffled]) == expected
    for order in itertools.permutations(range(3)):
        union: list[Decision] = []
        for copy in order:
            union = list(merged([*union, *ledgers[copy]]))
        assert current_decisions(union) == expected
    # A reviewer's decision never gives way to one of their own that they had before them.
    for made_one, held in made:
        for stands in expected:
            if stands.reviewer == made_one.reviewer and decision_id(stands) != decision_id(made_one):
                assert decision_id(stands) not in held


@given(copies, st.randoms(use_true_random=False))
def test_decisions_added_one_by_one_are_those_added_at_once(history: list[Any], chance: Random) -> None:
    ledger: list[Decision] = []
    for step, (_, verdict, reviewer, days, other) in enumerate(history):
        at = (START + timedelta(days=days, seconds=step)).strftime("%Y-%m-%dT%H:%M:%SZ")
        made = decided(verdict, at, reviewer)
        ledger.append(after(ledger, made) if other is None else replace(made, doi=TWIN))
    chance.shuffle(ledger)
    for moved in ({}, {TWIN: WORK}):
        known = CurrentDecisions()
        for number, added in enumerate(ledger, start=1):
            known.add([added], moved)
            assert known.current() == current_decisions(ledger[:number], moved)
