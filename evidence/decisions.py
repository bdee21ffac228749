"""People's decisions as a set: which of them stand, and in what order.

Copies of a review exchange their ledgers at any time and in any order. So nothing here depends on where or when a decision
was stored: a ledger is a set, merging is its union, and two copies that hold the same decisions come to the same result.

* A decision names the decisions on the same subject that its reviewer had before them (`Decision.seen`). It replaces those
  of their own, whatever the clocks say: a person's later word on what they had seen always stands.
* Where nobody had seen the other (two copies, exchanged later), the later time counts, then the identifier.
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

from evidence.model import SAME_WORK, Decision, Doi

Subject = tuple[str, str | None, str | None]
"""What a decision is about: a work's DOI with None, None (its verdict) or facet and value; or the two DOIs of a pair,
smaller first, with `SAME_WORK` between them."""

_UNKNOWN_TIME = datetime.min.replace(tzinfo=UTC)


def identify(decision: Decision) -> str:
    """16 hex digits of everything a decision says. Two decisions alike in all of it are one decision."""
    said = [
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
    return hashlib.sha256(json.dumps(said, ensure_ascii=True).encode()).hexdigest()[:16]


def merged(decisions: Iterable[Decision]) -> tuple[Decision, ...]:
    """Each decision once, in the order first met; one that is held with different `seen` has all of them."""
    found: dict[str, Decision] = {}
    for decision in decisions:
        key = identify(decision)
        before = found.get(key)
        if before is None:
            found[key] = decision
        elif before.seen != decision.seen:
            found[key] = replace(before, seen=tuple(sorted({*before.seen, *decision.seen})))
    return tuple(found.values())


def chained(decisions: Iterable[Decision]) -> Iterator[Decision]:
    """Decisions of before they named what they had seen, in the ledger's order: each is taken to have seen the one of its
    reviewer on its subject before it, by the time given, as such a ledger was read."""
    before: dict[tuple[Subject, str], str] = {}
    for decision in sorted(decisions, key=lambda decision: moment(decision.made_at)):
        key = (subject(decision), decision.reviewer)
        yield replace(decision, seen=(before[key],)) if key in before else decision
        before[key] = identify(decision)


def subject(decision: Decision, moved: Mapping[Doi, Doi] | None = None) -> Subject:
    """What a decision is about, under the DOIs that stand for its works today."""
    moved = moved or {}
    doi = moved.get(decision.doi, decision.doi)
    if decision.facet == SAME_WORK and decision.value:
        other = Doi(decision.value)
        first, second = sorted((str(doi), str(moved.get(other, other))))
        return first, SAME_WORK, second
    return doi, decision.facet, decision.value


def standing(decisions: Sequence[Decision], moved: Mapping[Doi, Doi] | None = None) -> list[Decision]:
    """The decisions that stand, oldest first: of each reviewer the last one on each subject, unless it is a withdrawal."""
    return [last for *_, last in _last(decisions, moved) if last.action != "withdraw"]


def followed(decisions: Iterable[Decision], moved: Mapping[Doi, Doi]) -> tuple[Decision, ...]:
    """The same decisions, for showing: at the DOIs that their works are kept under now. The ledger stays as it was written,
    and identifiers are of what is written there. What was said of a pair that has become one record is left out."""
    led = []
    for decision in decisions:
        doi, value = moved.get(decision.doi, decision.doi), decision.value
        if decision.facet == SAME_WORK and value:
            value = moved.get(Doi(value), Doi(value))
            if value == doi:
                continue
        here = (doi, value) == (decision.doi, decision.value)
        led.append(decision if here else replace(decision, doi=doi, value=value))
    return tuple(led)


def divided(decisions: Sequence[Decision], moved: Mapping[Doi, Doi] | None = None) -> list[tuple[Decision, ...]]:
    """The subjects on which one reviewer said different things without having seen the other: on two copies of the review,
    or on two records that turned out to be one work. Oldest first; the last of each is the one that stands."""
    heads = (tuple(found) for found in _last(decisions, moved))
    return [found for found in heads if len({(d.action, d.verdict) for d in found}) > 1]


def known(decisions: Iterable[Decision], about: Subject, moved: Mapping[Doi, Doi] | None = None) -> tuple[str, ...]:
    """The identifiers of all decisions on a subject: what a new one on it has before it. All, not only those that count so
    far: the subject may come apart again (two records that turn out to be two works), and what is between is then missing."""
    return tuple(sorted(identify(d) for d in merged(decisions) if subject(d, moved) == about))


def latest(decisions: Sequence[Decision], about: Subject, moved: Mapping[Doi, Doi] | None = None) -> tuple[str, ...]:
    """The identifiers of the decisions on a subject that count so far, one or more of each reviewer."""
    group = [d for d in merged(decisions) if subject(d, moved) == about]
    return tuple(sorted(identify(decision) for _, heads in _heads(group) for decision in heads))


def moment(text: str) -> datetime:
    """The time a decision was made; one that is no ISO time (an old ledger took any text) is before all others."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return _UNKNOWN_TIME
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _last(decisions: Sequence[Decision], moved: Mapping[Doi, Doi] | None) -> list[list[Decision]]:
    """By subject and reviewer, the decisions that none of the reviewer's own has replaced, oldest first; these groups in
    the order of their last decision."""
    if len(decisions) == 1:
        return [list(decisions)]
    groups: dict[Subject, list[Decision]] = {}
    for decision in merged(decisions):
        groups.setdefault(subject(decision, moved), []).append(decision)
    found: list[tuple[tuple[datetime, int, str], list[Decision]]] = []
    for group in groups.values():
        found += _heads(group)
    return [heads for _, heads in sorted(found, key=lambda pair: pair[0])]


def _heads(group: Sequence[Decision]) -> Iterator[tuple[tuple[datetime, int, str], list[Decision]]]:
    order = _order(group)
    by_reviewer: dict[str, dict[str, Decision]] = {}
    for decision in group:
        by_reviewer.setdefault(decision.reviewer, {})[identify(decision)] = decision
    for own in by_reviewer.values():
        replaced = {key for decision in own.values() for key in decision.seen}
        # A cycle, which only an edited file can hold, would leave nothing: then all of them count.
        keys = sorted(own.keys() - replaced or own, key=order.__getitem__)
        yield order[keys[-1]], [own[key] for key in keys]


def _order(group: Sequence[Decision]) -> dict[str, tuple[datetime, int, str]]:
    """A place for each decision, by its identifier: after everything it had seen, then by time, then by identifier."""
    pending = {identify(decision): decision for decision in group}
    places: dict[str, tuple[datetime, int, str]] = {}
    while pending:
        ready = [key for key, d in pending.items() if not any(k in pending and k != key for k in d.seen)]
        # Only an edited file can hold a cycle; it is broken at a place that does not depend on any order.
        for key in ready or [min(pending)]:
            decision = pending.pop(key)
            before = [places[k] for k in decision.seen if k in places]
            time = max([moment(decision.made_at), *(place[0] for place in before)])
            places[key] = (time, 1 + max((place[1] for place in before if place[0] == time), default=-1), key)
    return places
