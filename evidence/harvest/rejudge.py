"""What stands in the database, judged again: after an edit of the rules, a person's word, or a harvest.

It asks no record source and reads no clock: everything needed is in the database, the taxonomy and the ledger. Works are judged
again only where what their judgement stands on has changed; where few rules did, only what these may say is asked. The
records of one work are clustered here too.
"""

from __future__ import annotations

import gc
import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from evidence import __version__
from evidence.crossref.normalise import normalise
from evidence.database import queries
from evidence.database.rows import JudgedRecord, TagUpdate
from evidence.database.store import Store
from evidence.decisions import Subject, contradictions, current_decisions, decision_id, merged, subject
from evidence.errors import RecordError
from evidence.linkage import duplicates
from evidence.model import SAME_WORK, Decision, Doi, Message, Work
from evidence.rules.judge import PartialJudgement, judge, judge_changed_values
from evidence.rules.taxonomy import SCREEN, Taxonomy, ValueKey

GC_EVERY = 50_000
"""Objects made before a collection is tried (Python's own: 700)."""

ROUNDS = 4
"""How often judging and clustering follow each other at most: each may move the other once, and then they agree."""

JUDGE_PART = 500
_SETTLING = 2
"""How often works are judged again that another record, read after them, shows to be notices or not."""
ASK_PART = 5_000


class Progress(Protocol):
    """Told what is being done; a bar on a terminal, nothing elsewhere."""

    def step(self, label: str, done: int, total: int | None) -> None:
        """`label` has done so many of so many (None: not known)."""
        ...


def collect_seldom() -> None:
    """For a run over many works: the rules' objects stay as long as the program, and records are no cycles, so neither is
    worth a walk every few pages."""
    gc.freeze()
    gc.set_threshold(GC_EVERY)


def read_and_judge(
    message: Message,
    doi: Doi,
    checksum: str,
    raw: str,
    book: Taxonomy,
    decisions: Mapping[Doi, tuple[Decision, ...]],
    taken: Mapping[Doi, tuple[tuple[str, Doi], ...]] | None = None,
) -> JudgedRecord:
    """Normalise and judge one message. A record that cannot be understood has no work, and its basis is the reason.

    `taken` is what records are notices of by all that the database holds, where one record alone may not tell.
    """
    said = decisions.get(doi, ())
    try:
        work = normalise(message)
    except RecordError as error:
        return JudgedRecord(doi, checksum, raw, None, None, str(error))
    if taken and doi in taken:
        work = replace(work, notice_of=taken[doi])
    return JudgedRecord(doi, checksum, raw, work, judge(work, book, said), basis(book, said))


def settle(store: Store, book: Taxonomy, run: int, progress: Progress, *, moved: bool) -> tuple[int, int]:
    """Judge again what is stale, then cluster the records of one work, until neither moves the other: a decision on one
    record of a work holds for all of them. `moved`: works have come or changed. Returns how many works were judged again,
    and how many changed their cluster."""
    judged = clustered = 0
    for _ in range(ROUNDS):
        count, turned = rejudge(store, book, run, decisions_by_work(store), progress)
        judged += count
        changed = find_duplicates(store, run, moved=moved or turned)
        clustered += changed
        if not changed:
            break
        moved = False
    return judged, clustered


def rejudge(
    store: Store,
    book: Taxonomy,
    run: int,
    decisions: Mapping[Doi, tuple[Decision, ...]],
    progress: Progress,
) -> tuple[int, bool]:
    """Judge again, offline, every work whose judgement stands on other rules, code or decisions. Returns how many, and
    whether the verdict of any may have turned.

    Where only rules were edited, a work is asked only what these rules may say otherwise, and written only if they do.
    """
    stale = dict(stale_works(store, book, decisions))
    ours = basis(book, ())
    marks, stood_on = queries.rule_digests(store.conn, __version__)
    quick = [doi for doi, before in stale.items() if before == stood_on and doi not in decisions]
    turned = _ask_again(store, book, run, ours, book.values_changed_since(marks), quick, progress) if quick else []
    whole = [doi for doi in stale if stale[doi] != stood_on or doi in decisions] + turned
    judged = len(quick) - len(turned) + _judge_whole(store, book, run, decisions, whole, progress)
    for _ in range(_SETTLING):
        _judge_whole(store, book, run, decisions, left := queries.works_to_judge_again(store.conn), progress)
        whole += left
    if stood_on != ours:
        store.set_rule_digests(ours, __version__, book.value_digests)
    return judged, bool(whole)


def judge_decided(
    store: Store,
    book: Taxonomy,
    run: int,
    decisions: Mapping[Doi, tuple[Decision, ...]],
    dois: Sequence[Doi],
    progress: Progress,
) -> int:
    """Judge these works again and no other, as a person waits for it; returns how many. Records are clustered anew only
    where the words can have changed a cluster: of pairs, of a work that stands in one, of one that was excluded."""
    members = queries.representatives(store.conn, dois)
    dois = sorted(doi for doi in {*dois, *members} if members.get(doi, doi) in {members.get(d, d) for d in dois})
    before = queries.screening_verdicts(store.conn, dois)
    count = _judge_whole(store, book, run, decisions, dois, progress)
    after = queries.screening_verdicts(store.conn, dois)
    back = any(verdict == "exclude" and after.get(doi) != "exclude" for doi, verdict in before.items())
    clustered = find_duplicates(store, run, moved=back or queries.any_paired(store.conn, dois))
    return count + clustered + (sum(settle(store, book, run, progress, moved=False)) if clustered else 0)


def _judge_whole(
    store: Store,
    book: Taxonomy,
    run: int,
    decisions: Mapping[Doi, tuple[Decision, ...]],
    dois: Sequence[Doi],
    progress: Progress,
) -> int:
    count = 0
    for start in range(0, len(dois), JUDGE_PART):
        progress.step("judging", start, len(dois))
        part = dois[start : start + JUDGE_PART]
        taken = store.notice_targets(part)
        records, unread = [], []
        for doi, checksum, message in queries.current_records(store.conn, part):
            record = read_and_judge(json.loads(message), doi, checksum, message, book, decisions, taken)
            if record.work is None:
                unread.append(record)
                record = _understood_before(store, book, decisions, doi, taken) or record
            if record.work is not None:
                records.append(record)
        store.write_judgements(run, records, unread)
        count += len(records)
    return count


def _understood_before(
    store: Store,
    book: Taxonomy,
    decisions: Mapping[Doi, tuple[Decision, ...]],
    doi: Doi,
    taken: Mapping[Doi, tuple[tuple[str, Doi], ...]],
) -> JudgedRecord | None:
    """The last record of this work that today's code understands: it stands in for a later one that nobody can read."""
    for checksum, message in queries.earlier_records(store.conn, doi):
        record = read_and_judge(json.loads(message), doi, checksum, message, book, decisions, taken)
        if record.work is not None:
            return record
    return None


def _ask_again(
    store: Store,
    book: Taxonomy,
    run: int,
    ours: str,
    touched: frozenset[ValueKey],
    dois: Sequence[Doi],
    progress: Progress,
) -> list[Doi]:
    """Ask these works what the touched values say of them now; returns those whose verdict turns."""
    part = book.tagging.restricted_to(touched)
    screening = any(facet == SCREEN for facet, _ in touched)
    asked = sorted(touched | {("verdict", verdict) for verdict in ("include", "exclude", "unsure") if screening})
    turned: list[Doi] = []
    for start in range(0, len(dois), ASK_PART):
        progress.step("judging", start, len(dois))
        judged, changed = [], []
        for row in queries.judged_works(store.conn, dois[start : start + ASK_PART], asked):
            notice = row["notice_of"].partition(":") if row["notice_of"] else None
            texts = {name: row[name] for name in ("title", "abstract", "kind", "container")}
            work = Work(row["doi"], **texts, notice_of=((notice[0], Doi(notice[2]) or None),) if notice else ())
            again = judge_changed_values(work, row["screened"], row["why"], book, part, touched)
            if again is None:
                turned.append(row["doi"])
                continue
            judged.append(row["doi"])
            now = _retagged(row, again)
            if (set(now.tags), set(now.reasons), now.why) != (row["tags"], row["reasons"], row["why"]):
                changed.append(now)
        store.update_tags(run, ours, asked, judged, changed)
    return turned


def _retagged(row: Mapping[str, Any], again: PartialJudgement) -> TagUpdate:
    words = [("verdict", row["screened"], match) for match in again.matches]
    words += [(tag.facet, tag.value, match) for tag in again.tags for match in tag.matches]
    reasons = {(facet, value, m.rule, m.field, m.start, m.stop, m.quote) for facet, value, m in words}
    return TagUpdate(row["doi"], again.why, [(t.facet, t.value) for t in again.tags], sorted(reasons))


def find_duplicates(store: Store, run: int, moved: bool) -> int:
    """Cluster the records of one work; returns how many works changed. Skipped when no work, no person's word and no crash
    can have changed anything."""
    if not moved and not pairs_moved(store) and not queries.previous_run_crashed(store.conn, run):
        return 0
    said = _pairs_by_people(store)
    apart = sorted(key for key, (verdict, _) in said.items() if verdict == "apart")
    rows = {row["doi"]: row for row in queries.duplicate_candidates(store.conn)}
    candidates = [_candidate(row) for row in rows.values()]
    ruled = [p for p in duplicates.find_pairs(candidates) if (p.first, p.second) not in said]
    clusters = duplicates.build_clusters(ruled, candidates, apart)
    waiting = set(duplicates.pairs_to_check(ruled, clusters))
    same_as: dict[str, str] = {}
    same = [key for key, (verdict, _) in said.items() if verdict == "same"]
    groups = _joined(clusters, same, apart, rows)
    for group in groups:
        best = next((m for m in group if rows[m]["screened"] == "include"), group[0])
        same_as |= {member: best for member in group if member != best}
    pairs = [(p.first, p.second, "doubtful" if p in waiting else "same", "rule", p.reason) for p in ruled]
    kept_apart = _not_joined(groups, same, apart, rows)
    pairs += [(*key, verdict, "person", reason + kept_apart.get(key, "")) for key, (verdict, reason) in said.items()]
    return store.set_duplicates(run, sorted(pairs), same_as)


def pairs_moved(store: Store) -> bool:
    """Whether people have said something of pairs that `duplicates` does not show yet."""
    shown = queries.pairs_decided_by_people(store.conn)
    return _pairs_by_people(store) != {key: (said, why.partition(_NOT_JOINED)[0]) for key, (said, why) in shown.items()}


def _joined(
    clusters: Iterable[duplicates.Cluster],
    same: Sequence[tuple[str, str]],
    apart: Collection[tuple[str, str]],
    rows: Mapping[str, Mapping[str, Any]],
) -> list[list[str]]:
    """The groups of records of one work, the preferred first. A person's decision joins what the rules would not; no group
    ever holds two records that a person set apart."""
    groups = [[c.preferred, *(m for m in c.members if m != c.preferred)] for c in clusters]
    for pair in same:
        if not all(doi in rows for doi in pair):
            continue
        touched = [group for group in groups if set(group) & set(pair)]
        joined = list(dict.fromkeys([*(m for group in touched for m in group), *pair]))
        if any(first in joined and second in joined for first, second in apart):
            continue
        groups = [*(group for group in groups if group not in touched), joined]
    return groups


_NOT_JOINED = " (Not joined: "


def _not_joined(
    groups: Sequence[Sequence[str]],
    same: Iterable[tuple[str, str]],
    apart: Iterable[tuple[str, str]],
    rows: Mapping[str, Mapping[str, Any]],
) -> dict[tuple[str, str], str]:
    """Of the pairs that a person says are one work and that are not shown as one: why not."""
    home = {doi: number for number, group in enumerate(groups) for doi in group}
    said = {}
    for pair in same:
        one, two = (home.get(doi, doi) for doi in pair)
        if one == two:
            continue
        if out := [doi for doi in pair if doi not in rows]:
            said[pair] = f"{_NOT_JOINED}{' and '.join(out)} {'is' if len(out) == 1 else 'are'} excluded.)"
            continue
        between = next(p for p in apart if {home.get(doi, doi) for doi in p} == {one, two})
        said[pair] = f"{_NOT_JOINED}{between[0]} and {between[1]} are two works, as people decided.)"
    return said


def _candidate(row: Mapping[str, Any]) -> duplicates.Candidate:
    fields = {
        name: row[name] for name in ("title", "authors", "container", "volume", "issue", "pages", "abstract", "kind")
    }
    year = str(row["year"]) if row["year"] is not None else None
    return duplicates.Candidate(
        key=row["doi"], doi=row["doi"], year=year, issn=row["issn"], registered=row["registered"], **fields
    )


def _pairs_by_people(store: Store) -> dict[tuple[str, str], tuple[str, str]]:
    """What people decided on pairs of records, the last decision on each: (doi, other) → (same or apart, reason). `doubtful`:
    what one said and took back, not knowing the one from the other. What is overruled is told in the reason."""
    of_pairs = [d for d in store.decisions() if d.facet == SAME_WORK and d.value]
    if not of_pairs:
        return {}
    moved = queries.alias_targets(store.conn, [Doi(doi) for d in of_pairs for doi in (d.doi, d.value) if doi])
    stand = current_decisions(of_pairs, moved)
    last = {subject(d, moved): d for d in stand}
    unknown = [d for words in contradictions(of_pairs, moved) for d in words[:-1] if d.action != "withdraw"]
    by_pair: dict[Subject, list[Decision]] = {}
    for decision in (*stand, *unknown):
        by_pair.setdefault(subject(decision, moved), []).append(decision)
    said = {
        (str(first), str(second)): _told(last.get((first, between, second)), words)
        for (first, between, second), words in by_pair.items()
        if first != second
    }
    known = store.digests_and_bases([Doi(doi) for pair in said for doi in pair])
    return {pair: words for pair, words in said.items() if all(Doi(doi) in known for doi in pair)}


_PAIR = {"tag": ("same", "one work"), "untag": ("apart", "two works")}


def _told(counts: Decision | None, words: Sequence[Decision]) -> tuple[str, str]:
    """What is shown of a pair: the verdict of the decision that counts (None: nobody's stands), with its reason and with
    what it overrules."""
    if counts is None:
        last = words[-1]
        said = f"said that they are {_PAIR[last.action][1]}, and took that back without knowing of it"
        return "doubtful", f"{last.reviewer}: {said}."
    others = sorted({f"{d.reviewer}: {_PAIR[d.action][1]}" for d in words if d.action != counts.action})
    disagree = f" (People disagree: {', '.join(others)}.)" if others else ""
    return _PAIR[counts.action][0], f"{counts.reviewer}: {counts.reason}{disagree}"


def stale_works(store: Store, book: Taxonomy, decisions: Mapping[Doi, tuple[Decision, ...]]) -> list[tuple[Doi, str]]:
    """The works that `rejudge` would judge again, with the basis they stand on. A record that cannot be understood is tried
    again by other code only: rules and people have nothing to say of it."""
    ours = basis(book, ())
    return [
        (doi, stands_on)
        for doi, stands_on, unread in queries.judgement_bases(store.conn)
        if unread not in (None, __version__)
        or ((stands_on or unread is None) and stands_on != (basis(book, decisions[doi]) if doi in decisions else ours))
    ]


def basis(book: Taxonomy, decisions: Sequence[Decision]) -> str:
    """What a judgement stands on: code version, rules and the people's decisions about that work."""
    said = repr(decisions) if decisions else ""
    return hashlib.sha256(f"{__version__}|{book.digest}|{said}".encode()).hexdigest()[:16]


def decisions_by_work(store: Store, moving: Mapping[Doi, Doi] | None = None) -> dict[Doi, tuple[Decision, ...]]:
    """The decisions on every work: under each DOI of the work, all that people decided on any of them; `moving` are aliases
    about to land. In an order that does not depend on the ledger's, because a judgement's basis is made of it. What was
    decided on pairs is `find_duplicates`' to read, but for those that have become one record: that is said of the work."""
    words = merged(store.decisions())
    in_pairs = [doi for d in words if d.facet == SAME_WORK for doi in (d.doi, Doi(d.value or ""))]
    aliases = (queries.alias_targets(store.conn, in_pairs) if in_pairs else {}) | dict(moving or {})
    said = [d for d in words if d.facet != SAME_WORK or len(set(subject(d, aliases)[::2])) == 1]
    represented = queries.representatives(store.conn, sorted({d.doi for d in said}), moving)
    by_work: dict[Doi, list[Decision]] = {}
    for decision in sorted(said, key=decision_id):
        by_work.setdefault(represented.get(decision.doi, decision.doi), []).append(decision)
    found = {work: tuple(decisions) for work, decisions in by_work.items()}
    return found | {doi: found[work] for doi, work in represented.items() if work in found}


def facet_rows(book: Taxonomy) -> list[tuple[str, str, str, str, int]]:
    """The rows of `facets`: what can be said."""
    return [
        (facet.facet, value.id, value.label, value.means, position)
        for facet in book.facets
        for position, value in enumerate(facet.values, start=1)
    ]
