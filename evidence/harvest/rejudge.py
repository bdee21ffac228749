"""What stands in the database, judged again: after an edit of the rules, a person's word, or a harvest.

It asks no record source and reads no clock: everything needed is in the database, the taxonomy and the ledger. Works are judged
again only where what their judgement stands on has changed; where few rules did, only what these may say is asked. The
records of one work are clustered here too.
"""

from __future__ import annotations

import gc
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from evidence import __version__
from evidence.crossref.normalise import normalise
from evidence.database import queries
from evidence.database.rows import JudgedRecord, TagUpdate
from evidence.database.store import Store
from evidence.decisions import decision_id, merged, subject
from evidence.errors import RecordError
from evidence.harvest.deduplicate import find_duplicates
from evidence.harvest.progress import Progress
from evidence.model import SAME_WORK, Decision, Doi, Message, Work
from evidence.rules.judge import PartialJudgement, judge, judge_changed_values
from evidence.rules.taxonomy import SCREEN, Taxonomy, ValueKey

GC_EVERY = 50_000
"""Objects made before a collection is tried (Python's own: 700)."""

ROUNDS = 4
"""How often judging and clustering follow each other at most: each may move the other once, and then they agree."""

JUDGE_PART = 500
NOTICE_ROUNDS = 2
"""How often works are judged again that another record, read after them, shows to be notices or not."""
CHANGED_VALUES_PART = 5_000


def reduce_garbage_collection() -> None:
    """For a run over many works: the rules' objects stay as long as the program, and records are no cycles, so neither is
    worth a walk every few pages."""
    gc.freeze()
    gc.set_threshold(GC_EVERY)


def read_and_judge(
    message: Message,
    doi: Doi,
    checksum: str,
    raw: str,
    taxonomy: Taxonomy,
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
    return JudgedRecord(doi, checksum, raw, work, judge(work, taxonomy, said), basis(taxonomy, said))


def rejudge_and_deduplicate(
    store: Store, taxonomy: Taxonomy, run: int, progress: Progress, *, moved: bool
) -> tuple[int, int]:
    """Judge again what is stale, then cluster the records of one work, until neither moves the other: a decision on one
    record of a work holds for all of them. `moved`: works have come or changed. Returns how many works were judged again,
    and how many changed their cluster."""
    judged = clustered = 0
    for _ in range(ROUNDS):
        count, turned = rejudge_stale(store, taxonomy, run, decisions_by_work(store), progress)
        judged += count
        changed = find_duplicates(store, run, moved=moved or turned)
        clustered += changed
        if not changed:
            break
        moved = False
    return judged, clustered


def rejudge_stale(
    store: Store,
    taxonomy: Taxonomy,
    run: int,
    decisions: Mapping[Doi, tuple[Decision, ...]],
    progress: Progress,
) -> tuple[int, bool]:
    """Judge again, offline, every work whose judgement stands on other rules, code or decisions. Returns how many, and
    whether the verdict of any may have turned.

    Where only rules were edited, a work is asked only what these rules may say otherwise, and written only if they do.
    """
    stale = dict(stale_works(store, taxonomy, decisions))
    ours = basis(taxonomy, ())
    marks, stood_on = queries.rule_digests(store.conn, __version__)
    quick = [doi for doi, before in stale.items() if before == stood_on and doi not in decisions]
    turned = (
        _rejudge_changed_values(store, taxonomy, run, ours, taxonomy.values_changed_since(marks), quick, progress)
        if quick
        else []
    )
    whole = [doi for doi in stale if stale[doi] != stood_on or doi in decisions] + turned
    judged = len(quick) - len(turned) + _rejudge_fully(store, taxonomy, run, decisions, whole, progress)
    for _ in range(NOTICE_ROUNDS):
        _rejudge_fully(store, taxonomy, run, decisions, left := queries.works_to_judge_again(store.conn), progress)
        whole += left
    if stood_on != ours:
        store.set_rule_digests(ours, __version__, taxonomy.value_digests)
    return judged, bool(whole)


def rejudge_works(
    store: Store,
    taxonomy: Taxonomy,
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
    count = _rejudge_fully(store, taxonomy, run, decisions, dois, progress)
    after = queries.screening_verdicts(store.conn, dois)
    back = any(verdict == "exclude" and after.get(doi) != "exclude" for doi, verdict in before.items())
    clustered = find_duplicates(store, run, moved=back or queries.any_paired(store.conn, dois))
    return (
        count
        + clustered
        + (sum(rejudge_and_deduplicate(store, taxonomy, run, progress, moved=False)) if clustered else 0)
    )


def _rejudge_fully(
    store: Store,
    taxonomy: Taxonomy,
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
            record = read_and_judge(json.loads(message), doi, checksum, message, taxonomy, decisions, taken)
            if record.work is None:
                unread.append(record)
                record = _last_understood(store, taxonomy, decisions, doi, taken) or record
            if record.work is not None:
                records.append(record)
        store.write_judgements(run, records, unread)
        count += len(records)
    return count


def _last_understood(
    store: Store,
    taxonomy: Taxonomy,
    decisions: Mapping[Doi, tuple[Decision, ...]],
    doi: Doi,
    taken: Mapping[Doi, tuple[tuple[str, Doi], ...]],
) -> JudgedRecord | None:
    """The last record of this work that today's code understands: it stands in for a later one that nobody can read."""
    for checksum, message in queries.earlier_records(store.conn, doi):
        record = read_and_judge(json.loads(message), doi, checksum, message, taxonomy, decisions, taken)
        if record.work is not None:
            return record
    return None


def _rejudge_changed_values(
    store: Store,
    taxonomy: Taxonomy,
    run: int,
    ours: str,
    touched: frozenset[ValueKey],
    dois: Sequence[Doi],
    progress: Progress,
) -> list[Doi]:
    """Ask these works what the touched values say of them now; returns those whose verdict turns."""
    part = taxonomy.tagging.restricted_to(touched)
    screening = any(facet == SCREEN for facet, _ in touched)
    asked = sorted(touched | {("verdict", verdict) for verdict in ("include", "exclude", "unsure") if screening})
    turned: list[Doi] = []
    for start in range(0, len(dois), CHANGED_VALUES_PART):
        progress.step("judging", start, len(dois))
        judged, changed = [], []
        for row in queries.judged_works(store.conn, dois[start : start + CHANGED_VALUES_PART], asked):
            notice = row["notice_of"].partition(":") if row["notice_of"] else None
            texts = {name: row[name] for name in ("title", "abstract", "kind", "container")}
            work = Work(row["doi"], **texts, notice_of=((notice[0], Doi(notice[2]) or None),) if notice else ())
            again = judge_changed_values(work, row["screened"], row["why"], taxonomy, part, touched)
            if again is None:
                turned.append(row["doi"])
                continue
            judged.append(row["doi"])
            now = _tag_update(row, again)
            if (set(now.tags), set(now.reasons), now.why) != (row["tags"], row["reasons"], row["why"]):
                changed.append(now)
        store.update_tags(run, ours, asked, judged, changed)
    return turned


def _tag_update(row: Mapping[str, Any], again: PartialJudgement) -> TagUpdate:
    words = [("verdict", row["screened"], match) for match in again.matches]
    words += [(tag.facet, tag.value, match) for tag in again.tags for match in tag.matches]
    reasons = {(facet, value, m.rule, m.field, m.start, m.stop, m.quote) for facet, value, m in words}
    return TagUpdate(row["doi"], again.why, [(t.facet, t.value) for t in again.tags], sorted(reasons))


def stale_works(
    store: Store, taxonomy: Taxonomy, decisions: Mapping[Doi, tuple[Decision, ...]]
) -> list[tuple[Doi, str]]:
    """The works that `rejudge` would judge again, with the basis they stand on. A record that cannot be understood is tried
    again by other code only: rules and people have nothing to say of it."""
    ours = basis(taxonomy, ())
    return [
        (doi, stands_on)
        for doi, stands_on, unread in queries.judgement_bases(store.conn)
        if unread not in (None, __version__)
        or (
            (stands_on or unread is None)
            and stands_on != (basis(taxonomy, decisions[doi]) if doi in decisions else ours)
        )
    ]


def basis(taxonomy: Taxonomy, decisions: Sequence[Decision]) -> str:
    """What a judgement stands on: code version, rules and the people's decisions about that work."""
    said = repr(decisions) if decisions else ""
    return hashlib.sha256(f"{__version__}|{taxonomy.digest}|{said}".encode()).hexdigest()[:16]


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


def facet_rows(taxonomy: Taxonomy) -> list[tuple[str, str, str, str, int]]:
    """The rows of `facets`: what can be said."""
    return [
        (facet.facet, value.id, value.label, value.means, position)
        for facet in taxonomy.facets
        for position, value in enumerate(facet.values, start=1)
    ]
