"""Works in the database, judged again after an edit of the rules, a reviewer's decision, or a harvest.

A judgement has a basis: code version, rules and decisions. Works are judged again only where it has changed; where few rules
were edited, only those that hold a word of an edited value. May not ask a record source or read a clock: everything needed is
in the database, the taxonomy and the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, get_args

from evidence import __version__
from evidence.current_decisions import decision_id, merged, subject
from evidence.data_model import SAME_WORK, Decision, Doi, ProviderName, VerdictName, Work
from evidence.database import read_queries
from evidence.database.sql_helpers import Row
from evidence.database.values_for_writer import JudgedRecord, TagUpdate, tag_row
from evidence.database.writer import Store
from evidence.errors import RecordError
from evidence.harvest.deduplicate import find_duplicates
from evidence.harvest.judge_records import Made, RecordToJudge, basis, judge_record, judged_record
from evidence.harvest.progress import Progress
from evidence.harvest.reader_processes import Reader, Readers, ahead, readers
from evidence.providers.answers import Described, Registration
from evidence.providers.combine import describe
from evidence.rules.judge import PartialJudgement
from evidence.rules.taxonomy import Taxonomy, ValueKey

ROUNDS = 4
"""How often judging and clustering alternate at most: each may change the other once, and then they agree."""

JUDGE_PART = 500
NOTICE_ROUNDS = 2
"""How often works are judged again of which a record read after them shows that they are notices, or are not."""
TOUCHED_PART = 5_000


def rejudge_and_deduplicate(
    store: Store, taxonomy: Taxonomy, run: int, progress: Progress, *, moved: bool
) -> tuple[int, int]:
    """Judge stale works again, then cluster the records of one work, until neither changes the other: a decision on one record
    of a work holds for all of them. `moved`: works are new or have changed. Returns how many works were judged again, and how
    many changed their cluster."""
    judged = clustered = 0
    for _ in range(ROUNDS):
        count, verdicts_may_change = rejudge_stale(store, taxonomy, run, decisions_by_work(store), progress)
        judged += count
        changed = find_duplicates(store, run, moved=moved or verdicts_may_change)
        clustered += changed
        if not changed:
            break
        moved = False
    return judged, clustered


def read_provider_tables(store: Store) -> None:
    """Bring the tables on registered studies and on DOIs of DataCite to what today's code reads in the providers' records."""
    studies: list[Registration] = []
    for _, described in _described(store, "clinicaltrials"):
        if described.registration is not None:
            studies.append(described.registration)
    datacite = [(doi, d.title, d.kind, d.container, d.published) for doi, d in _described(store, "datacite")]
    store.set_provider_tables({"clinicaltrials": studies}, datacite)


def _described(store: Store, provider: ProviderName) -> Iterator[tuple[str, Described]]:
    for asked_for, message in read_queries.current_provider_records(store.conn, provider):
        try:
            yield asked_for, describe(provider, message)
        except RecordError:
            continue


def rejudge_stale(
    store: Store,
    taxonomy: Taxonomy,
    run: int,
    decisions: Mapping[Doi, tuple[Decision, ...]],
    progress: Progress,
) -> tuple[int, bool]:
    """Judge again, offline, every work whose judgement has another basis (rules, code or decisions). Returns how many, and
    whether the verdict of any may have changed.

    Where only rules were edited, a work is judged only if it holds a word of an edited value, and written only if its tags
    differ.
    """
    ours = basis(taxonomy, ())
    marks, last_basis = read_queries.rule_marks(store.conn, __version__)
    quick: list[Doi] = []
    whole: list[Doi] = []
    for doi, before in stale_works(store, taxonomy, decisions):
        (quick if before == last_basis and doi not in decisions else whole).append(doi)
    touched, to_judge_fully = _rejudge_touched(store, taxonomy, run, ours, marks, quick, progress) if quick else (0, [])
    whole += to_judge_fully
    judged = touched - len(to_judge_fully) + _rejudge_fully(store, taxonomy, run, decisions, whole, progress)
    for _ in range(NOTICE_ROUNDS):
        _rejudge_fully(store, taxonomy, run, decisions, left := read_queries.works_to_judge_again(store.conn), progress)
        whole += left
    if last_basis != ours:
        store.set_rule_marks(ours, __version__, taxonomy.value_marks)
        read_provider_tables(store)
    return judged, bool(whole)


def rejudge_works(
    store: Store,
    taxonomy: Taxonomy,
    run: int,
    decisions: Mapping[Doi, tuple[Decision, ...]],
    dois: Sequence[Doi],
    progress: Progress,
) -> int:
    """Judge only these works again, because a person waits for it; returns how many. `decisions` are those on these works.
    Records are clustered again only where decisions can have changed a cluster: on pairs, on a work in a cluster, on one that
    was excluded."""
    members = read_queries.representatives(store.conn, dois)
    dois = sorted(doi for doi in {*dois, *members} if members.get(doi, doi) in {members.get(d, d) for d in dois})
    before = read_queries.screening_verdicts(store.conn, dois)
    count = _rejudge_fully(store, taxonomy, run, decisions, dois, progress)
    after = read_queries.screening_verdicts(store.conn, dois)
    no_longer_excluded = any(verdict == "exclude" and after.get(doi) != "exclude" for doi, verdict in before.items())
    clustered = find_duplicates(store, run, moved=no_longer_excluded or read_queries.any_paired(store.conn, dois))
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
    count = done = 0
    parts = [dois[start : start + JUDGE_PART] for start in range(0, len(dois), JUDGE_PART)]
    with readers(taxonomy, None, len(dois)) as opened:
        for part, to_judge, answers in ahead(_begun(store, decisions, parts, opened)):
            progress.step("judging", done, len(dois))
            records, unread = [], []
            for asked, made in zip(to_judge, answers(), strict=True):
                record = judged_record(asked, made)
                if record.rows is None:
                    unread.append(record)
                    record = _last_understood(store, taxonomy, asked) or record
                if record.rows is not None:
                    records.append(record)
            store.write_judgements(run, records, unread)
            count += len(records)
            done += len(part)
    return count


Begun = tuple[Sequence[Doi], list[RecordToJudge], Callable[[], list[Made]]]
"""Works, their records, and what is made of these, to be waited for."""


def _begun(
    store: Store, decisions: Mapping[Doi, tuple[Decision, ...]], parts: Iterable[Sequence[Doi]], opened: Readers
) -> Iterator[Begun]:
    """For each part the records of its works, whose judging has begun."""
    for part in parts:
        notices = store.notice_targets(part)
        added = read_queries.provider_records(store.conn, part)
        to_judge = [
            RecordToJudge(doi, digest, message, decisions.get(doi, ()), tuple(added.get(doi, ())), notices.get(doi))
            for doi, digest, message in read_queries.current_records(store.conn, part)
        ]
        yield part, to_judge, opened.ask(Reader.made, to_judge)


def _last_understood(store: Store, taxonomy: Taxonomy, current: RecordToJudge) -> JudgedRecord | None:
    """The latest record of this work that today's code understands; it replaces a later one that cannot be understood."""
    for digest, message in read_queries.earlier_records(store.conn, current.doi):
        record = judge_record(replace(current, digest=digest, message=message), taxonomy)
        if record.rows is not None:
            return record
    return None


def _rejudge_touched(
    store: Store,
    taxonomy: Taxonomy,
    run: int,
    ours: str,
    before: Mapping[ValueKey, str],
    dois: Sequence[Doi],
    progress: Progress,
) -> tuple[int, list[Doi]]:
    """Judge again those of these works that an edit since `before` touches. Returns how many, and those whose verdict may
    change: they are still to be judged as a whole."""
    count = done = 0
    to_judge_fully: list[Doi] = []
    with readers(taxonomy, before, len(dois)) as opened:
        verdicts = [("verdict", verdict) for verdict in get_args(VerdictName) if opened.here.screening]
        compared = sorted({*opened.here.changed, *taxonomy.tags, *verdicts})
        parts = [dois[start : start + TOUCHED_PART] for start in range(0, len(dois), TOUCHED_PART)]
        progress.step("judging", 0, len(dois))
        for part, rows, judgements in ahead(_asked(store, compared, parts, opened)):
            progress.step("judging", done, len(dois))
            changed, left = [], []
            for row, again in zip(rows, judgements(), strict=True):
                if again is None:
                    left.append(row["doi"])
                    continue
                now = _tag_update(row, again)
                if (set(now.tags), set(now.reasons), now.why) != (row["tags"], row["reasons"], row["why"]):
                    changed.append(now)
            store.update_tags(run, ours, compared, sorted(set(part) - set(left)), changed)
            count += len(rows)
            to_judge_fully += left
            done += len(part)
    return count, to_judge_fully


Asked = tuple[Sequence[Doi], list[Row], Callable[[], list[PartialJudgement | None]]]
"""Works of which some are read again, the rows of those, and the judgements to be waited for."""


def _asked(
    store: Store, compared: Sequence[ValueKey], parts: Iterable[Sequence[Doi]], opened: Readers
) -> Iterator[Asked]:
    """For each part those of its works that the edit touches, and what is made of them. Of the part after it the texts are
    asked about already."""
    texts = ((part, opened.ask(Reader.touched, list(read_queries.texts_of(store.conn, part)))) for part in parts)
    for part, touched in ahead(texts):
        rows = list(read_queries.judged_works(store.conn, touched(), compared))
        yield part, rows, opened.ask(Reader.judged, [(as_read(row), row["screened"], row["why"]) for row in rows])


def as_read(row: Mapping[str, Any]) -> Work:
    """What the rules read of a work, from its row."""
    notice = row["notice_of"].partition(":") if row["notice_of"] else None
    fields = {name: row[name] for name in ("title", "abstract", "kind", "container")}
    notice_of = ((notice[0], Doi(notice[2]) or None),) if notice else ()
    return Work(row["doi"], **fields, notice_of=notice_of, facts=tuple(row["facts"]))


def _tag_update(row: Mapping[str, Any], again: PartialJudgement) -> TagUpdate:
    matches = [("verdict", row["screened"], match) for match in again.matches]
    matches += [(tag.facet, tag.value, match) for tag in again.tags for match in tag.matches]
    reasons = {(facet, value, m.rule, m.field, m.start, m.stop, m.quote) for facet, value, m in matches}
    return TagUpdate(row["doi"], again.why, [tag_row(t) for t in again.tags], sorted(reasons))


def any_stale(store: Store, taxonomy: Taxonomy, decisions: Mapping[Doi, tuple[Decision, ...]]) -> bool:
    """Whether `rejudge_stale` would judge any work again."""
    return any(True for _ in stale_works(store, taxonomy, decisions))


def stale_works(
    store: Store, taxonomy: Taxonomy, decisions: Mapping[Doi, tuple[Decision, ...]]
) -> Iterator[tuple[Doi, str]]:
    """The works that `rejudge_stale` would judge again, with the basis of their judgement. A record that cannot be understood
    is tried again only by another code version: rules and decisions make no difference to it."""
    ours = basis(taxonomy, ())
    for doi, stands_on, unread in read_queries.judgement_bases(store.conn):
        if unread not in (None, __version__) or (
            (stands_on or unread is None)
            and stands_on != (basis(taxonomy, decisions[doi]) if doi in decisions else ours)
        ):
            yield doi, stands_on


def decisions_by_work(
    store: Store, moving: Mapping[Doi, Doi] | None = None, *, of: Sequence[Doi] | None = None
) -> dict[Doi, tuple[Decision, ...]]:
    """The decisions on every work, or on the works `of` alone: under each DOI of the work, those on any of its DOIs. `moving` are
    aliases about to be written. The order does not depend on the ledger's, because a judgement's basis is made from it.
    Decisions on pairs are left to `find_duplicates`, but for pairs that have become one record: these are on the work."""
    decisions = merged(store.decisions(works=None if of is None else read_queries.all_dois(store.conn, of)))
    in_pairs = [doi for d in decisions if d.facet == SAME_WORK for doi in (d.doi, Doi(d.value or ""))]
    aliases = (read_queries.alias_targets(store.conn, in_pairs) if in_pairs else {}) | dict(moving or {})
    on_works = [d for d in decisions if d.facet != SAME_WORK or len(set(subject(d, aliases)[::2])) == 1]
    represented = read_queries.representatives(store.conn, sorted({d.doi for d in on_works}), moving)
    by_work: dict[Doi, list[Decision]] = {}
    for decision in sorted(on_works, key=decision_id):
        by_work.setdefault(represented.get(decision.doi, decision.doi), []).append(decision)
    found = {work: tuple(on_work) for work, on_work in by_work.items()}
    return found | {doi: found[work] for doi, work in represented.items() if work in found}


def facet_rows(taxonomy: Taxonomy) -> list[tuple[str, str, str, str, int]]:
    """The rows of `facets`: the tags that there are."""
    return [
        (facet.facet, value.id, value.label, value.means, position)
        for facet in taxonomy.facets
        for position, value in enumerate(facet.values, start=1)
    ]
