"""People's decisions: checked, appended to the ledger, and shown on the works they are about.

The ledger is written first, before `evidence.db` is opened for writing, so no decision is lost. Prints nothing.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from evidence import __version__
from evidence import current_decisions as deciding
from evidence.crossref.normalise import normalise
from evidence.data_model import SAME_WORK, Clock, Decision, Doi, VerdictName, Work, iso_time
from evidence.database import read_queries, rewound, tag_filter, writer
from evidence.database.connection import open_evidence, reading
from evidence.database.read_decisions import read_ledger
from evidence.database.run_lock import locked
from evidence.errors import BusyError, ConfigError, StoreError
from evidence.harvest import rejudge
from evidence.harvest.progress import NoProgress
from evidence.providers.combine import combine
from evidence.rules.judge import said, text_digest
from evidence.rules.screen import screen
from evidence.rules.tag import tag
from evidence.rules.taxonomy import Taxonomy

log = logging.getLogger(__name__)

DECIDE_PATIENCE = 10.0
"""Seconds that a decision waits for a running sync before it is left to the next `judge`."""


@dataclass(frozen=True, slots=True)
class OnWork:
    """What a person decides on one work: a verdict, tags added and removed, and the subjects (a tag, or None for the verdict) on
    which they withdraw what they decided before. A tag of the facet `data_model.SAME_WORK` names the DOI that is, or is not,
    another record of this work."""

    doi: Doi
    verdict: VerdictName | None = None
    tags: tuple[tuple[str, str], ...] = ()
    untags: tuple[tuple[str, str], ...] = ()
    withdrawn: tuple[tuple[str, str] | None, ...] = ()


def add_decisions(
    db: Path,
    ledger: Path,
    taxonomy: Taxonomy,
    now: Clock,
    doi: Doi,
    verdict: VerdictName | None,
    tags: Sequence[tuple[str, str]],
    untags: Sequence[tuple[str, str]],
    reason: str,
    reviewer: str,
    *,
    patience: float = DECIDE_PATIENCE,
    withdrawn: Sequence[tuple[str, str] | None] = (),
) -> tuple[tuple[Decision, ...], bool]:
    """Append a person's decisions on one work to the ledger, then judge that work again: `add_together` with one work."""
    on_work = OnWork(doi, verdict, tuple(tags), tuple(untags), tuple(withdrawn))
    return add_together(db, ledger, taxonomy, now, [on_work], reason, reviewer, patience=patience)


def add_together(
    db: Path,
    ledger: Path,
    taxonomy: Taxonomy,
    now: Clock,
    on_works: Sequence[OnWork],
    reason: str,
    reviewer: str,
    *,
    patience: float = DECIDE_PATIENCE,
) -> tuple[tuple[Decision, ...], bool]:
    """Append a person's decisions on one or several works to the ledger, all or none, then judge these works again.

    Returns the decisions that were added, and whether they show already: False when a sync, or another program, has held
    the database for more than `patience` seconds. Decisions on several works have one time, to the microsecond
    (`made_in_one_act`). ConfigError when there is no such work, tag or decision to undo.
    """
    reason, reviewer = reason.strip(), reviewer.strip()
    if not all(on.verdict or on.tags or on.untags or on.withdrawn for on in on_works):
        raise ConfigError(
            "nothing to decide: give a verdict (include, exclude, unsure), --tag, --untag, --same, --apart or --withdraw"
        )
    if not reason or not reviewer:
        raise ConfigError("--because and --by must not be empty: a decision needs a reason and a name")
    known = tag_filter.values_by_facet(taxonomy.tags)
    for on in on_works:
        if both := sorted(set(on.tags) & set(on.untags)):
            raise ConfigError(f"{both[0][0]}:{both[0][1]} cannot be added and removed at once")
        for facet, value in (*on.tags, *on.untags):
            if facet != SAME_WORK:
                tag_filter.check_tag(facet, value, known)
    moment = _moment_of_several(now()) if len(on_works) > 1 else iso_time(now())
    with reading(db) as conn:
        on_works = [_at_current_doi(conn, on, db) for on in on_works]
        paired = [Doi(value) for on in on_works for facet, value in _pairs_of(on) if facet == SAME_WORK]
        held = read_ledger(ledger, works=read_queries.all_dois(conn, [*(on.doi for on in on_works), *paired]))
        # A decision on one record of a work is a decision on the work: `seen` includes those on its other records.
        moved = read_queries.representatives(conn, sorted({*(on.doi for on in on_works), *(d.doi for d in held)}))
        aliases = read_queries.alias_targets(conn, [doi for d in held for doi in (d.doi, Doi(d.value or ""))])
        made = [
            decision
            for on in on_works
            for decision in _made(on, _stored_work(conn, on.doi, db), taxonomy, reason, reviewer, moment)
        ]
    with_seen = []
    for decision in made:
        dois = aliases if decision.facet == SAME_WORK else moved  # a pair is of records, also of those in one cluster
        seen = deciding.ids_on_subject(held, deciding.subject(decision, dois), dois)
        with_seen.append(_with_own_time(replace(decision, seen=seen), held))
    new = _without_repetitions(with_seen, held, reviewer, moved, aliases)
    return new, _append(db, ledger, taxonomy, now, new, patience)


def rehearse(db: Path, dois: Sequence[Doi], taxonomy: Taxonomy) -> None:
    """Apply the rules to stored works as a decision on them does, and keep nothing. The first work that needs a pattern of the
    rules compiles it."""
    with reading(db) as conn:
        for doi in dois:
            _rule_statements(_stored_work(conn, doi, db), taxonomy, on_tags=True)


def made_in_one_act(decisions: Sequence[Decision]) -> bool:
    """Whether decisions of one reviewer with one time, on different works, are one act of `add_together`. Decisions on single
    works have a time in whole seconds, or a few microseconds later (`_with_own_time`): of these each is an act."""
    several = all(deciding.parse_time(d.made_at).microsecond >= _FEW_MICROSECONDS for d in decisions)
    return several and len({(d.action, d.verdict, d.reason) for d in decisions}) == 1


_FEW_MICROSECONDS = 1000


def _moment_of_several(now: datetime) -> str:
    """The time of decisions on several works, by which `made_in_one_act` knows them."""
    return now.replace(microsecond=max(now.microsecond, _FEW_MICROSECONDS)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _at_current_doi(conn: sqlite3.Connection, on: OnWork, db: Path) -> OnWork:
    """The same with the DOIs that its work, and the works of its pairs, are kept under. ConfigError when a pair has no other
    work."""
    doi = read_queries.alias_targets(conn, [on.doi]).get(on.doi, on.doi)
    tags, untags = (
        tuple(
            (facet, read_queries.canonical_doi(conn, Doi(value)) if facet == SAME_WORK else value)
            for facet, value in pairs
        )
        for pairs in (on.tags, on.untags)
    )
    for facet, other in (*tags, *untags):
        if facet == SAME_WORK and (other == doi or not list(read_queries.current_records(conn, [Doi(other)]))):
            raise ConfigError(f"{other}: no other work in {db}; a pair needs two works that were harvested")
    return replace(on, doi=doi, tags=tags, untags=untags)


def _pairs_of(on: OnWork) -> Iterator[tuple[str, str]]:
    """The tags that a person adds, removes or withdraws their decision on."""
    yield from (pair for pair in (*on.tags, *on.untags, *on.withdrawn) if pair is not None)


def _stored_work(conn: sqlite3.Connection, doi: Doi, db: Path) -> Work:
    """The work as its records describe it; ConfigError when it was not harvested."""
    message = next((message for _, _, message in read_queries.current_records(conn, [doi])), None)
    if message is None:
        raise ConfigError(f"{doi}: no such work in {db}; a decision needs a work that was harvested")
    added = read_queries.provider_records(conn, [doi]).get(doi, ())
    return replace(combine(normalise(json.loads(message)), added), notice_of=read_queries.notice_of(conn, doi))


def _made(on: OnWork, work: Work, taxonomy: Taxonomy, reason: str, reviewer: str, moment: str) -> Iterator[Decision]:
    """The decisions on one work, without what they had `seen`."""
    rule_says = _rule_statements(work, taxonomy, on_tags=bool(on.tags or on.untags or on.withdrawn))
    text = text_digest(work)

    def decision(action: str, facet: str | None = None, value: str | None = None) -> Decision:
        return Decision(
            on.doi, action, on.verdict if action == "verdict" else None, facet, value, reason, reviewer, moment,  # type: ignore[arg-type]
            taxonomy.digest, text, rule_says(facet, value),
        )  # fmt: skip

    if on.verdict:
        yield decision("verdict")
    yield from (decision("tag", *pair) for pair in on.tags)
    yield from (decision("untag", *pair) for pair in on.untags)
    yield from (decision("withdraw", *(pair or ())) for pair in on.withdrawn)


def _rule_statements(work: Work, taxonomy: Taxonomy, *, on_tags: bool) -> Callable[[str | None, str | None], str]:
    """What the rules alone say of a work today, for `Decision.rule_said`: of the verdict (None, None), or of a tag. The rules
    for tags run only if asked for (`on_tags`)."""
    verdict = screen(work, taxonomy).verdict
    tags = said(tag(work, taxonomy)) if on_tags else set()
    return lambda facet, value: verdict if facet is None else "said" if (facet, value) in tags else "unsaid"


def _without_repetitions(
    made: Sequence[Decision],
    held: Sequence[Decision],
    reviewer: str,
    moved: Mapping[Doi, Doi],
    aliases: Mapping[Doi, Doi],
) -> tuple[Decision, ...]:
    """The decisions that differ from their reviewer's current one on the same subject. ConfigError when one undoes a decision
    that is not current. `moved` leads the DOIs of works, `aliases` those of pairs, to the DOIs they are kept under."""
    of_works = [d for d in held if d.facet != SAME_WORK]
    of_pairs = [d for d in held if d.facet == SAME_WORK]
    current = {
        deciding.subject(d, moved): d for d in deciding.current_decisions(of_works, moved) if d.reviewer == reviewer
    }
    current |= {
        deciding.subject(d, aliases): d for d in deciding.current_decisions(of_pairs, aliases) if d.reviewer == reviewer
    }
    before = [current.get(deciding.subject(d, aliases if d.facet == SAME_WORK else moved)) for d in made]
    _check_withdrawn(made, before)
    own = {deciding.decision_id(d) for d in held if d.reviewer == reviewer}

    def resolves_contradiction(decision: Decision) -> bool:
        """Whether its reviewer has several current decisions on its subject (made on copies that had not seen each other):
        then a repetition counts too."""
        dois = aliases if decision.facet == SAME_WORK else moved
        ids = deciding.current_ids_on_subject(held, deciding.subject(decision, dois), dois)
        return len(own.intersection(ids)) > 1

    def answers(decision: Decision, earlier: Decision | None) -> bool:
        """Whether something was said on its subject that its reviewer did not know when they decided the same earlier: then the
        repetition says that they hold to it."""
        return earlier is not None and not {deciding.decision_id(earlier), *earlier.seen}.issuperset(decision.seen)

    return tuple(
        d for d, b in zip(made, before, strict=True) if resolves_contradiction(d) or answers(d, b) or not _repeats(d, b)
    )


def _check_withdrawn(made: Sequence[Decision], before: Sequence[Decision | None]) -> None:
    """ConfigError when the reviewer has no decision to undo."""
    for decision, current in zip(made, before, strict=True):
        if decision.action == "withdraw" and current is None:
            about = f"{decision.facet}:{decision.value}" if decision.facet else "its verdict"
            raise ConfigError(
                f"{decision.doi}: {decision.reviewer} has no decision on {about}, so there is nothing to undo"
            )


def _repeats(decision: Decision, before: Decision | None) -> bool:
    """Whether a decision equals its reviewer's current one, with the same reason and of the same text."""
    return before is not None and (
        (decision.action, decision.verdict, decision.reason, decision.record, decision.rule_said)
        == (before.action, before.verdict, before.reason, before.record, before.rule_said)
    )


def _with_own_time(decision: Decision, held: Sequence[Decision]) -> Decision:
    """The decision, moved by microseconds where an equal one was made in the same second (decided, undone, decided again)."""
    taken = {deciding.decision_id(d) for d in held if d.doi == decision.doi}
    made = datetime.fromisoformat(decision.made_at)
    while deciding.decision_id(decision) in taken:
        made += timedelta(microseconds=1)
        decision = replace(decision, made_at=made.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
    return decision


def read_existing_ledger(ledger: Path) -> tuple[Decision, ...]:
    """The whole ledger, oldest first; ConfigError when there is none."""
    if not ledger.exists():
        raise ConfigError(f"{ledger}: there are no decisions yet; `evidence decide` makes the first")
    return read_ledger(ledger)


def all_and_current_decisions(db: Path, decisions: Sequence[Decision]) -> tuple[tuple[Decision, ...], list[Decision]]:
    """All these decisions, and the current ones among them, with the DOIs that their works are kept under now. Without a
    database the DOIs are as written."""
    moved: Mapping[Doi, Doi] = {}
    if db.exists():
        with reading(db) as conn:
            moved = read_queries.alias_targets(conn, [doi for d in decisions for doi in (d.doi, Doi(d.value or ""))])
    current = deciding.current_decisions(decisions, moved)
    return deciding.at_current_dois(decisions, moved), list(deciding.at_current_dois(current, moved))


def import_decisions(db: Path, ledger: Path, taxonomy: Taxonomy, now: Clock, entries: Sequence[Decision]) -> int:
    """Append the decisions that the ledger does not hold yet; returns how many. All or none."""
    open_evidence(db).close()
    held = {deciding.decision_id(d): set(d.seen) for d in deciding.merged(read_ledger(ledger))}
    new = []
    for decision in deciding.merged(entries):
        known = held.get(deciding.decision_id(decision))
        if known is None or not known.issuperset(decision.seen):
            new.append(decision)
    if new:
        _append(db, ledger, taxonomy, now, new, DECIDE_PATIENCE)
    return len(new)


def import_on_known_works(db: Path, ledger: Path, taxonomy: Taxonomy, now: Clock, entries: Sequence[Decision]) -> int:
    """As `import_decisions`, but only of the decisions on works that the database has: a decision on any other work would make
    the next sync look for it."""
    with reading(db) as conn:
        known = read_queries.known_dois(conn, [decision.doi for decision in entries])
    return import_decisions(db, ledger, taxonomy, now, [decision for decision in entries if decision.doi in known])


def _append(db: Path, ledger: Path, taxonomy: Taxonomy, now: Clock, new: Sequence[Decision], patience: float) -> bool:
    """Append to the ledger, then judge the works decided on at once; or, where the database is held (False), leave that to the
    running sync, the next decision or `evidence judge`. The ledger comes first: a decision must not be lost."""
    rewound.refuse(db)  # the ledger may be that of the review
    if new:
        writer.append_to_ledger(ledger, new)
    try:
        with locked(db, patience), writer.open_store(db, ledger, wait=patience) as opened:
            unshown = opened.unshown_decisions()
            dois = sorted({read_queries.canonical_doi(opened.conn, doi) for doi in unshown.works})
            if not new and not dois:  # decided and shown before; after a restore it may not be shown
                return True
            opened.set_topic(taxonomy.topic)
            opened.show_decisions(unshown)
            opened.set_facets(rejudge.facet_rows(taxonomy))
            # What a killed sync left to announce is for the next sync: a person waits for this decision alone.
            unannounced = opened.unannounced()
            run_id = opened.start_run("judge", __version__, iso_time(now()))
            decisions = rejudge.decisions_by_work(opened, of=dois)
            count = rejudge.rejudge_works(opened, taxonomy, run_id, decisions, dois, NoProgress())
            opened.finish_run(run_id, "complete", {"rejudged": count}, iso_time(now()), apart=unannounced)
    except BusyError:
        log.warning("A sync is running: the decision is kept, and shows when the sync is done.")
        return False
    except StoreError as error:
        log.warning("The decision is kept in %s, and shows after the next one or `evidence judge`: %s", ledger, error)
        return False
    return True
