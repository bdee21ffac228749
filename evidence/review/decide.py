"""People's decisions: checked, appended to the ledger, and shown on the works they are about.

The ledger is written first and the harvest never in the same step, so no decision is lost. It prints nothing.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from evidence import __version__
from evidence import decisions as deciding
from evidence.crossref.normalise import normalise
from evidence.database import queries, store, tag_filter
from evidence.database.connection import open_evidence, reading
from evidence.database.ledger import read_ledger
from evidence.database.lock import locked
from evidence.errors import BusyError, ConfigError, StoreError
from evidence.harvest import rejudge
from evidence.harvest.progress import NoProgress
from evidence.model import SAME_WORK, Clock, Decision, Doi, VerdictName, iso_time
from evidence.rules import judge as judging
from evidence.rules.tag import tag
from evidence.rules.taxonomy import Taxonomy

log = logging.getLogger(__name__)

DECIDE_PATIENCE = 10.0
"""Seconds that a decision waits for a running sync before it is left to the next `judge`."""


def add_decisions(
    db: Path,
    ledger: Path,
    book: Taxonomy,
    now: Clock,
    doi: Doi,
    verdict: VerdictName | None,
    tags: Sequence[tuple[str, str]],
    untags: Sequence[tuple[str, str]],
    reason: str,
    reviewer: str,
    *,
    withdrawn: Sequence[tuple[str, str] | None] = (),
    patience: float = DECIDE_PATIENCE,
) -> tuple[tuple[Decision, ...], bool]:
    """Append a person's words on one work to the ledger, then judge that work. Returns the words, and whether they show
    already: False when a sync, or another program, has held the database for more than `patience` seconds. ConfigError when
    there is no such work.

    A tag or untag of the facet `model.SAME_WORK` names the DOI that is, or is not, another record of this work. `withdrawn`
    are tags, or None for the verdict, on which the reviewer takes an earlier word back.
    """
    if not (verdict or tags or untags or withdrawn):
        raise ConfigError(
            "nothing to decide: give a verdict (include, exclude, unsure), --tag, --untag, --same, --apart or --withdraw"
        )
    reason, reviewer = reason.strip(), reviewer.strip()
    if not reason or not reviewer:
        raise ConfigError("--because and --by must not be empty: a decision without a reason or a name helps nobody")
    if both := sorted(set(tags) & set(untags)):
        raise ConfigError(f"{both[0][0]}:{both[0][1]} cannot be said and taken away at once")
    known = tag_filter.values_by_facet(book.tags)
    for facet, value in (*tags, *untags):
        if facet != SAME_WORK:
            tag_filter.check_tag(facet, value, known)
    with reading(db) as conn:
        doi = queries.alias_targets(conn, [doi]).get(doi, doi)
        message = next((message for _, _, message in queries.current_records(conn, [doi])), None)
        if message is None:
            raise ConfigError(f"{doi}: no such work in {db}; a decision needs a work that was harvested")
        tags, untags = (
            [(facet, queries.canonical_doi(conn, Doi(value)) if facet == SAME_WORK else value) for facet, value in said]
            for said in (tags, untags)
        )
        for facet, other in (*tags, *untags):
            if facet == SAME_WORK and (other == doi or not list(queries.current_records(conn, [Doi(other)]))):
                raise ConfigError(f"{other}: no other work in {db}; a pair needs two works that were harvested")
        taken = queries.notice_of(conn, doi)
        # A decision on one record of a work is a decision on the work: what was decided on its other records is seen too.
        held = read_ledger(ledger)
        moved = queries.representatives(conn, [doi, *sorted({d.doi for d in held})])
        aliases = queries.alias_targets(conn, [d for w in held for d in (w.doi, Doi(w.value or ""))])
    work = replace(normalise(json.loads(message)), notice_of=taken)
    ruled = judging.judge(work, book)
    by_rule = {(said.facet, said.value) for said in tag(work, book.tagging)}
    read, moment = judging.text_digest(work), iso_time(now())

    def said(action: str, facet: str | None = None, value: str | None = None) -> Decision:
        rule_said = ruled.verdict if facet is None else "said" if (facet, value) in by_rule else "unsaid"
        word = verdict if action == "verdict" else None
        new = Decision(doi, action, word, facet, value, reason, reviewer, moment, book.digest, read, rule_said)  # type: ignore[arg-type]
        leading = aliases if facet == SAME_WORK else moved  # a pair is one of records, which clusters do not make one
        return _named(replace(new, seen=deciding.ids_on_subject(held, deciding.subject(new, leading), leading)), held)

    words = (
        *((said("verdict"),) if verdict else ()),
        *(said("tag", *pair) for pair in tags),
        *(said("untag", *pair) for pair in untags),
        *(said("withdraw", *(pair or ())) for pair in withdrawn),
    )
    new = _not_said_before(words, held, reviewer, moved, aliases)
    return new, _append(db, ledger, book, now, new, patience)


def _not_said_before(
    words: Sequence[Decision],
    held: Sequence[Decision],
    reviewer: str,
    moved: Mapping[Doi, Doi],
    aliases: Mapping[Doi, Doi],
) -> tuple[Decision, ...]:
    """The decisions that say something else than what stands of their reviewer's on the same subject. ConfigError when one
    would undo what does not stand. `moved` and `aliases` are as in `add_decisions`."""
    of_works = [d for d in held if d.facet != SAME_WORK]
    of_pairs = [d for d in held if d.facet == SAME_WORK]
    stands = {
        deciding.subject(d, moved): d for d in deciding.current_decisions(of_works, moved) if d.reviewer == reviewer
    }
    stands |= {
        deciding.subject(d, aliases): d for d in deciding.current_decisions(of_pairs, aliases) if d.reviewer == reviewer
    }
    before = [stands.get(deciding.subject(w, aliases if w.facet == SAME_WORK else moved)) for w in words]
    _check_withdrawn(words, before)
    own = {deciding.decision_id(d) for d in held if d.reviewer == reviewer}

    def settles(word: Decision) -> bool:
        """Whether its reviewer has said several things, none knowing of the others: then even a repetition decides."""
        leading = aliases if word.facet == SAME_WORK else moved
        return (
            len(own.intersection(deciding.current_ids_on_subject(held, deciding.subject(word, leading), leading))) > 1
        )

    return tuple(w for w, b in zip(words, before, strict=True) if settles(w) or not _repeats(w, b))


def _check_withdrawn(words: Sequence[Decision], before: Sequence[Decision | None]) -> None:
    """ConfigError when there is nothing of the reviewer's to undo."""
    for word, stands in zip(words, before, strict=True):
        if word.action == "withdraw" and stands is None:
            about = f"{word.facet}:{word.value}" if word.facet else "its verdict"
            raise ConfigError(
                f"{word.doi}: no decision of {word.reviewer} on {about} stands, so there is nothing to undo"
            )


def _repeats(word: Decision, before: Decision | None) -> bool:
    """Whether a decision says again what its reviewer's decision that stands says, of the same text."""
    return before is not None and (
        (word.action, word.verdict, word.reason, word.record, word.rule_said)
        == (before.action, before.verdict, before.reason, before.record, before.rule_said)
    )


def _named(word: Decision, held: Sequence[Decision]) -> Decision:
    """The decision with a time that tells it from an equal one of the same second (decided, undone, decided again)."""
    taken = {deciding.decision_id(d) for d in held if d.doi == word.doi}
    made = datetime.fromisoformat(word.made_at)
    while deciding.decision_id(word) in taken:
        made += timedelta(microseconds=1)
        word = replace(word, made_at=made.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
    return word


def read_decisions(ledger: Path) -> tuple[Decision, ...]:
    """The whole ledger, oldest first; ConfigError when there is none."""
    if not ledger.exists():
        raise ConfigError(f"{ledger}: there are no decisions yet; `evidence decide` makes the first")
    return read_ledger(ledger)


def current_decisions(db: Path, words: Sequence[Decision]) -> tuple[tuple[Decision, ...], list[Decision]]:
    """The decisions at the DOIs that their works are kept under now, and those of them that stand; as they are without a
    database."""
    moved: Mapping[Doi, Doi] = {}
    if db.exists():
        with reading(db) as conn:
            moved = queries.alias_targets(conn, [d for w in words for d in (w.doi, Doi(w.value or ""))])
    return deciding.at_current_dois(words, moved), list(
        deciding.at_current_dois(deciding.current_decisions(words, moved), moved)
    )


def import_decisions(db: Path, ledger: Path, book: Taxonomy, now: Clock, entries: Sequence[Decision]) -> int:
    """Append the decisions that the ledger does not hold yet; returns how many. All or none."""
    open_evidence(db).close()
    held = {deciding.decision_id(d): set(d.seen) for d in deciding.merged(read_ledger(ledger))}
    new = []
    for decision in deciding.merged(entries):
        known = held.get(deciding.decision_id(decision))
        if known is None or not known.issuperset(decision.seen):
            new.append(decision)
    if new:
        _append(db, ledger, book, now, new, DECIDE_PATIENCE)
    return len(new)


def _append(db: Path, ledger: Path, book: Taxonomy, now: Clock, new: Sequence[Decision], patience: float) -> bool:
    """The ledger first, before the harvest is so much as opened: it is what must not be lost. The works decided on are
    judged at once, or (False) later: by the sync that is running, or with the next word or `judge`."""
    if new:
        store.append_to_ledger(ledger, new)
    try:
        with locked(db, patience), store.open_store(db, ledger, wait=patience) as opened:
            dois = sorted({queries.canonical_doi(opened.conn, doi) for doi in opened.works_with_unshown_decisions()})
            if not new and not dois:  # said before, and shown; after a restore it may not be
                return True
            opened.show_decisions()
            opened.set_facets(rejudge.facet_rows(book))
            # What a killed sync left to announce is for the next sync: a person waits for this decision alone.
            waiting = opened.unannounced()
            run_id = opened.start_run("judge", __version__, iso_time(now()))
            said = rejudge.decisions_by_work(opened)
            count = rejudge.rejudge_works(opened, book, run_id, said, dois, NoProgress())
            opened.finish_run(run_id, "complete", {"rejudged": count}, iso_time(now()), apart=waiting)
    except BusyError:
        log.warning("A sync is running: the decision is kept, and shows when it is done.")
        return False
    except StoreError as error:
        log.warning("The decision is kept in %s, and shows after the next one or `evidence judge`: %s", ledger, error)
        return False
    return True
