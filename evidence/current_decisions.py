"""Reviewers' decisions as a set: which of them are current, and in what order.

Copies of a review exchange their ledgers at any time and in any order. So nothing here depends on where or when a decision
was stored: a ledger is a set, merging is its union, and two copies that hold the same decisions come to the same result.

* A decision names the decisions on the same subject that its reviewer had before them (`Decision.seen`). It replaces their
  own among these, whatever the clocks say.
* Of two decisions that were made without seeing each other (on two copies, exchanged later), the later time counts, then the
  identifier.
* A subject is a work's verdict, one tag of it, or a pair of records. A work may have several DOIs: `moved` says which DOI
  represents it today.

May not read a file, a database or a clock.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from operator import itemgetter

from evidence.data_model import SAME_WORK, Decision, Doi

Subject = tuple[str, str | None, str | None]
"""What a decision is about: a work's DOI with None, None (its verdict) or facet and value; or the two DOIs of a pair,
smaller first, with `SAME_WORK` between them."""

_Place = tuple[datetime, int, str]
_Heads = tuple[_Place, list[Decision]]

_UNKNOWN_TIME = datetime.min.replace(tzinfo=UTC)


@lru_cache(maxsize=1 << 16)
def decision_id(decision: Decision) -> str:
    """16 hex digits, the digest of all fields but `seen`. Two decisions with equal fields are one decision."""
    values = [
        decision.doi,
        decision.action,
        decision.verdict,
        decision.facet,
        decision.value,
        decision.reason,
        decision.reviewer,
        decision.made_at,
        decision.rules,
        decision.record,
        decision.rule_said,
    ]
    return hashlib.sha256(json.dumps(values, ensure_ascii=True).encode()).hexdigest()[:16]


def merged(decisions: Iterable[Decision]) -> tuple[Decision, ...]:
    """Each decision once, in the order first met. One that occurs with different `seen` gets the union of them."""
    found: dict[str, Decision] = {}
    for decision in decisions:
        key = decision_id(decision)
        before = found.get(key)
        if before is None:
            found[key] = decision
        elif before.seen != decision.seen:
            found[key] = replace(before, seen=tuple(sorted({*before.seen, *decision.seen})))
    return tuple(found.values())


def infer_seen(decisions: Iterable[Decision]) -> Iterator[Decision]:
    """Decisions of an old ledger, which do not say what they had seen, in the ledger's order: each is taken to have seen its
    reviewer's previous one on the subject, by the times given."""
    before: dict[tuple[Subject, str], str] = {}
    for decision in sorted(decisions, key=lambda decision: parse_time(decision.made_at)):
        key = (subject(decision), decision.reviewer)
        yield replace(decision, seen=(before[key],)) if key in before else decision
        before[key] = decision_id(decision)


def subject(decision: Decision, moved: Mapping[Doi, Doi] | None = None) -> Subject:
    """What a decision is about, with the DOIs that represent its works today."""
    moved = moved or {}
    doi = moved.get(decision.doi, decision.doi)
    if decision.facet == SAME_WORK and decision.value:
        other = Doi(decision.value)
        first, second = sorted((str(doi), str(moved.get(other, other))))
        return first, SAME_WORK, second
    return doi, decision.facet, decision.value


def current_decisions(decisions: Sequence[Decision], moved: Mapping[Doi, Doi] | None = None) -> list[Decision]:
    """The decisions that count, oldest first: each reviewer's latest one on each subject, unless it is a withdrawal."""
    return [last for *_, last in _unreplaced(decisions, moved) if last.action != "withdraw"]


def at_current_dois(decisions: Iterable[Decision], moved: Mapping[Doi, Doi]) -> tuple[Decision, ...]:
    """The same decisions with the DOIs that their works are kept under now, for display. Identifiers are those of the ledger,
    which stays as it was written. Decisions on a pair that has become one record are left out."""
    shown = []
    for decision in decisions:
        doi, value = moved.get(decision.doi, decision.doi), decision.value
        if decision.facet == SAME_WORK and value:
            value = moved.get(Doi(value), Doi(value))
            if value == doi:
                continue
        unchanged = (doi, value) == (decision.doi, decision.value)
        shown.append(decision if unchanged else replace(decision, doi=doi, value=value))
    return tuple(shown)


def contradictions(decisions: Sequence[Decision], moved: Mapping[Doi, Doi] | None = None) -> list[tuple[Decision, ...]]:
    """For each subject on which one reviewer made different decisions without having seen the other (on two copies of the review,
    or on two records that turned out to be one work): these decisions, oldest first. The last of each counts."""
    heads = (tuple(found) for found in _unreplaced(decisions, moved))
    return [found for found in heads if len({(d.action, d.verdict) for d in found}) > 1]


def ids_on_subject(
    decisions: Iterable[Decision], about: Subject, moved: Mapping[Doi, Doi] | None = None
) -> tuple[str, ...]:
    """The identifiers of all decisions on a subject, which a new decision has `seen`. All, not only those that count: when two
    records turn out to be two works after all, the decisions between them would be missing."""
    return tuple(sorted(decision_id(d) for d in merged(decisions) if subject(d, moved) == about))


def current_ids_on_subject(
    decisions: Sequence[Decision], about: Subject, moved: Mapping[Doi, Doi] | None = None
) -> tuple[str, ...]:
    """The identifiers of the decisions on a subject that none of the same reviewer has replaced, one or more of each."""
    group = [d for d in merged(decisions) if subject(d, moved) == about]
    return tuple(sorted(decision_id(decision) for _, heads in _heads(group) for decision in heads))


def parse_time(text: str) -> datetime:
    """The time of an ISO text, UTC where it has no zone. Text that is no ISO time (an old ledger took any) is before all
    others."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return _UNKNOWN_TIME
    return found if found.tzinfo else found.replace(tzinfo=UTC)


class CurrentDecisions:
    """Which of some decisions count, while more are made: only the subjects of those that are added are looked at again."""

    def __init__(self) -> None:
        self._on: dict[Subject, tuple[Decision, ...]] = {}
        self._heads: dict[Subject, list[_Heads]] = {}

    def add(self, decisions: Iterable[Decision], moved: Mapping[Doi, Doi] | None = None) -> None:
        """More decisions. `moved` are as for `current_decisions`, and the same for all that are added."""
        added: dict[Subject, list[Decision]] = {}
        for decision in decisions:
            added.setdefault(subject(decision, moved), []).append(decision)
        for about, new in added.items():
            group = self._on[about] = merged([*self._on.get(about, ()), *new])
            self._heads[about] = list(_heads(group))

    def unreplaced(self) -> list[list[Decision]]:
        """By subject and reviewer: the decisions that none of the same reviewer has replaced, oldest first. The groups are in the
        order of their last decision."""
        return [heads for _, heads in sorted((h for found in self._heads.values() for h in found), key=itemgetter(0))]

    def current(self) -> list[Decision]:
        """Those that count: see `current_decisions`."""
        return [last for *_, last in self.unreplaced() if last.action != "withdraw"]


def decisions_digest(counting: Iterable[Decision]) -> str:
    """16 hex digits of the decisions that count, whatever their order: what a version is known by."""
    ids = sorted(map(decision_id, counting))
    return hashlib.sha256("\n".join(ids).encode()).hexdigest()[:16]


def _unreplaced(decisions: Sequence[Decision], moved: Mapping[Doi, Doi] | None) -> list[list[Decision]]:
    """As `CurrentDecisions.unreplaced`."""
    if len(decisions) == 1:
        return [list(decisions)]
    found = CurrentDecisions()
    found.add(decisions, moved)
    return found.unreplaced()


def _heads(group: Sequence[Decision]) -> Iterator[_Heads]:
    """For each reviewer of one subject: the place of the last decision, and the decisions that none of their own replaced."""
    if len(group) == 1:  # as most are
        (alone,) = group
        yield (parse_time(alone.made_at), 0, decision_id(alone)), [alone]
        return
    order = _order(group)
    by_reviewer: dict[str, dict[str, Decision]] = {}
    for decision in group:
        by_reviewer.setdefault(decision.reviewer, {})[decision_id(decision)] = decision
    for own in by_reviewer.values():
        replaced = {key for decision in own.values() for key in decision.seen}
        # Only an edited file can have a cycle, which would leave nothing: then all of them count.
        keys = sorted(own.keys() - replaced or own, key=order.__getitem__)
        yield order[keys[-1]], [own[key] for key in keys]


def _order(group: Sequence[Decision]) -> dict[str, _Place]:
    """A place for each decision, by its identifier: after everything it had seen, then by time, then by identifier."""
    pending = {decision_id(decision): decision for decision in group}
    places: dict[str, _Place] = {}
    while pending:
        ready = [key for key, d in pending.items() if not any(k in pending and k != key for k in d.seen)]
        # Only an edited file can have a cycle; it is broken at a place that depends on no order.
        for key in ready or [min(pending)]:
            decision = pending.pop(key)
            before = [places[k] for k in decision.seen if k in places]
            time = max([parse_time(decision.made_at), *(place[0] for place in before)])
            places[key] = (time, 1 + max((place[1] for place in before if place[0] == time), default=-1), key)
    return places
