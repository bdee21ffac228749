"""The records of one work, found by rules and by reviewers' decisions, and written as clusters.

The rules compare pairs (`linkage/duplicate_clusters.py`); a person's decision on a pair beats them. It asks no record
source and reads no clock.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from evidence.current_decisions import Subject, contradictions, current_decisions, subject
from evidence.data_model import SAME_WORK, Decision, Doi
from evidence.database import read_queries
from evidence.database.writer import Store
from evidence.doi import is_local
from evidence.linkage import duplicate_clusters


def find_duplicates(store: Store, run: int, moved: bool) -> int:
    """Cluster the records of one work; returns how many works changed. Skipped when no work, no decision and no crashed run can
    have changed anything."""
    decided = _decided_pairs(store)
    if not moved and not _need_update(store, decided) and not read_queries.previous_run_crashed(store.conn, run):
        return 0
    apart = sorted(key for key, (verdict, _) in decided.items() if verdict == "apart")
    records = _StoredRecords(store.conn)
    ruled = [p for p in duplicate_clusters.find_pairs(records) if (p.first, p.second) not in decided]
    clusters = duplicate_clusters.build_clusters(ruled, records, apart)
    waiting = set(duplicate_clusters.pairs_to_check(ruled, clusters))
    same = [key for key, (verdict, _) in decided.items() if verdict == "same"]
    named = {*(doi for cluster in clusters for doi in cluster.members), *(doi for pair in same for doi in pair)}
    screened = read_queries.duplicate_candidates_among(store.conn, sorted(named))
    same_as: dict[str, str] = {}
    groups = _merge_clusters(clusters, same, apart, screened)
    for group in groups:
        best = next((member for member in group if screened[member] == "include"), group[0])
        same_as |= {member: best for member in group if member != best}
    by_rule = ((p.first, p.second, "doubtful" if p in waiting else "same", "rule", p.reason) for p in ruled)
    kept_apart = _reasons_not_joined(groups, same, apart, screened)
    by_people = [(*key, verdict, "person", why + kept_apart.get(key, "")) for key, (verdict, why) in decided.items()]
    return store.set_duplicates(run, chain(by_rule, by_people), same_as)


def pairs_need_update(store: Store) -> bool:
    """Whether people made decisions on pairs that `duplicates` does not show yet."""
    return _need_update(store, _decided_pairs(store))


def _need_update(store: Store, decided: Mapping[tuple[str, str], tuple[str, str]]) -> bool:
    shown = read_queries.pairs_decided_by_people(store.conn)
    return decided != {key: (verdict, why.partition(_NOT_JOINED)[0]) for key, (verdict, why) in shown.items()}


def _merge_clusters(
    clusters: Iterable[duplicate_clusters.Cluster],
    same: Sequence[tuple[str, str]],
    apart: Collection[tuple[str, str]],
    candidates: Container[str],
) -> list[list[str]]:
    """The groups of records of one work, the preferred first. A person's decision joins what the rules do not; no group holds
    two records that a person set apart."""
    groups = dict(enumerate([c.preferred, *(m for m in c.members if m != c.preferred)] for c in clusters))
    home = {doi: number for number, group in groups.items() for doi in group}
    for number, pair in enumerate(same, start=len(groups)):
        if not all(doi in candidates for doi in pair):
            continue
        touched = sorted({home[doi] for doi in pair if doi in home})
        joined = list(dict.fromkeys([*(doi for each in touched for doi in groups[each]), *pair]))
        within = set(joined)
        if any(first in within and second in within for first, second in apart):
            continue
        for each in touched:
            del groups[each]
        groups[number] = joined
        home |= dict.fromkeys(joined, number)
    return list(groups.values())


_NOT_JOINED = " (Not joined: "


def _reasons_not_joined(
    groups: Sequence[Sequence[str]],
    same: Iterable[tuple[str, str]],
    apart: Iterable[tuple[str, str]],
    candidates: Container[str],
) -> dict[tuple[str, str], str]:
    """Why pairs that a person decided are one work are not shown as one."""
    home = {doi: number for number, group in enumerate(groups) for doi in group}
    reasons = {}
    for pair in same:
        one, two = (home.get(doi, doi) for doi in pair)
        if one == two:
            continue
        if out := [doi for doi in pair if doi not in candidates]:
            reasons[pair] = f"{_NOT_JOINED}{' and '.join(out)} {'is' if len(out) == 1 else 'are'} excluded.)"
            continue
        between = next(p for p in apart if {home.get(doi, doi) for doi in p} == {one, two})
        reasons[pair] = f"{_NOT_JOINED}{between[0]} and {between[1]} are two works, as people decided.)"
    return reasons


class _StoredRecords(duplicate_clusters.Records):
    """The works of a database, read when they are compared: their abstracts alone would fill the memory."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn

    def outlines(self) -> Iterator[duplicate_clusters.Candidate]:
        return map(_candidate, read_queries.duplicate_outlines(self._conn))

    def read(self, key: str) -> duplicate_clusters.Candidate:
        row = read_queries.duplicate_candidate(self._conn, key)
        if row is None:
            raise KeyError(key)
        return _candidate(row)


def _candidate(row: Mapping[str, Any]) -> duplicate_clusters.Candidate:
    """A row of either query as a candidate, with the fields that it has."""
    doi, year = row["doi"], row["year"]
    fields = {name: value for name, value in row.items() if name not in ("doi", "year")}
    return duplicate_clusters.Candidate(
        key=doi, doi=None if is_local(doi) else doi, year=None if year is None else str(year), **fields
    )


def _decided_pairs(store: Store) -> dict[tuple[str, str], tuple[str, str]]:
    """People's latest decision on each pair of records: (doi, other) → (same or apart, reason). `doubtful`: one reviewer decided
    and undid it on copies that had not seen each other. The reason names the decisions that were overruled."""
    of_pairs = [d for d in store.decisions(facet=SAME_WORK) if d.value]
    if not of_pairs:
        return {}
    moved = read_queries.alias_targets(store.conn, [Doi(doi) for d in of_pairs for doi in (d.doi, d.value) if doi])
    current = current_decisions(of_pairs, moved)
    last = {subject(d, moved): d for d in current}
    contradicted = [d for group in contradictions(of_pairs, moved) for d in group[:-1] if d.action != "withdraw"]
    by_pair: dict[Subject, list[Decision]] = {}
    for decision in (*current, *contradicted):
        by_pair.setdefault(subject(decision, moved), []).append(decision)
    verdicts = {
        (str(first), str(second)): _verdict_on_pair(last.get((first, between, second)), decisions)
        for (first, between, second), decisions in by_pair.items()
        if first != second
    }
    known = store.digests_and_bases([Doi(doi) for pair in verdicts for doi in pair])
    return {pair: verdict for pair, verdict in verdicts.items() if all(Doi(doi) in known for doi in pair)}


_PAIR = {"tag": ("same", "one work"), "untag": ("apart", "two works")}


def _verdict_on_pair(counts: Decision | None, decisions: Sequence[Decision]) -> tuple[str, str]:
    """The verdict and reason shown for a pair: those of the decision that counts (None: there is none), and what it overrules."""
    if counts is None:
        last = decisions[-1]
        sentence = f"said that they are {_PAIR[last.action][1]}, and took that back without knowing of it"
        return "doubtful", f"{last.reviewer}: {sentence}."
    others = sorted({f"{d.reviewer}: {_PAIR[d.action][1]}" for d in decisions if d.action != counts.action})
    disagree = f" (People disagree: {', '.join(others)}.)" if others else ""
    return _PAIR[counts.action][0], f"{counts.reviewer}: {counts.reason}{disagree}"
