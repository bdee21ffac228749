"""One use of the program: lock, open, choose the door, run, close. What commands share and none should repeat.

It decides nothing about records (`sync` has the order of the stages) and prints nothing.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from filelock import FileLock, Timeout

from evidence import __version__
from evidence import decisions as deciding
from evidence.crossref import client, record_files
from evidence.crossref.normalise import normalise
from evidence.crossref.record_files import Archive, Question
from evidence.database import queries, store, tag_filter
from evidence.errors import BusyError, ConfigError, RejectedError, StoreError
from evidence.export import as_of_date, formats
from evidence.export import output_file as writing
from evidence.harvest import references, rejudge
from evidence.harvest import sync as stages
from evidence.harvest.rejudge import Progress
from evidence.harvest.search import Matcher
from evidence.harvest.sources import Config, ReferenceList, Search
from evidence.harvest.sync import Outcome, Quiet
from evidence.model import SAME_WORK, Citation, Decision, Doi, Door, Query, VerdictName
from evidence.rules import judge as judging
from evidence.rules.tag import tag
from evidence.rules.taxonomy import Rulebook

Clock = Callable[[], datetime]

log = logging.getLogger(__name__)

COUNT_PAUSE = 1.0
"""Seconds between list questions that the public pool asks for."""

DECIDE_PATIENCE = 10.0
"""Seconds that a decision waits for a running sync before it is left to the next `judge`."""


@dataclass(frozen=True, slots=True)
class Files:
    """A door over files: its name in the database, the files, and whether every record is wanted."""

    name: str
    paths: tuple[Path, ...]
    everything: bool = False


def run(
    db: Path,
    ledger: Path,
    config: Config,
    book: Rulebook,
    now: Clock,
    progress: Progress,
    *,
    door: Files | None,
    url: str | None = None,
    mailto: str | None = None,
    full: bool = False,
    sleep: Callable[[float], None] | None = None,
) -> Outcome:
    """A whole sync under the lock, over files or (door None) over HTTP. BusyError when another one is running."""
    with ExitStack() as stack:
        stack.enter_context(locked(db))
        opened = stack.enter_context(store.open_store(db, ledger))
        if door is None:
            http = stack.enter_context(client.Crossref(url, mailto, sleep=sleep or time.sleep, on_wait=log.info))
            return stages.sync(config, opened, http, book, now=now, progress=progress, full=full)
        files = stack.enter_context(_archive(door, config, opened))
        taken = files.kept if door.everything else ()
        outcome = stages.sync(config, opened, files, book, now=now, progress=progress, full=full, take=taken)
        stages.reject(outcome, opened, files.unreadable)
        outcome.read = files.read
        return outcome


def judge(db: Path, ledger: Path, book: Rulebook, now: Clock, progress: Progress | None = None) -> int:
    """`judge_again`, for whom the number of works is enough."""
    return judge_again(db, ledger, book, now, progress)[0]


def judge_again(
    db: Path, ledger: Path, book: Rulebook, now: Clock, progress: Progress | None = None
) -> tuple[int, list[queries.Row]]:
    """Judge again what changed rules or decisions touch; returns how many works, and what changed by it (as
    `catalogue.changes`, with tags). A run is opened only if there are any, or if a run that was killed left something to
    announce."""
    queries.connect(db, older=True).close()
    with locked(db), store.open_store(db, ledger) as opened:
        return _judge(opened, book, now, progress or Quiet())


def decide(
    db: Path,
    ledger: Path,
    book: Rulebook,
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
    known = tag_filter.by_facet(book.values)
    for facet, value in (*tags, *untags):
        if facet != SAME_WORK:
            tag_filter.check_tag(facet, value, known)
    with queries.reading(db) as conn:
        doi = queries.moved(conn, [doi]).get(doi, doi)
        message = next((message for _, _, message in queries.standing(conn, [doi])), None)
        if message is None:
            raise ConfigError(f"{doi}: no such work in {db}; a decision needs a work that was harvested")
        tags, untags = (
            [(facet, queries.canonical(conn, Doi(value)) if facet == SAME_WORK else value) for facet, value in said]
            for said in (tags, untags)
        )
        for facet, other in (*tags, *untags):
            if facet == SAME_WORK and (other == doi or not list(queries.standing(conn, [Doi(other)]))):
                raise ConfigError(f"{other}: no other work in {db}; a pair needs two works that were harvested")
        taken = queries.notice_of(conn, doi)
        # A decision on one record of a work is a decision on the work: what was decided on its other records is seen too.
        held = queries.words(ledger)
        moved = queries.representatives(conn, [doi, *sorted({d.doi for d in held})])
        aliases = queries.moved(conn, [d for w in held for d in (w.doi, Doi(w.value or ""))])
    work = replace(normalise(json.loads(message)), notice_of=taken)
    ruled = judging.judge(work, book)
    by_rule = {(said.facet, said.value) for said in tag(work, book)}
    read, moment = judging.text_digest(work), _moment(now)

    def said(action: str, facet: str | None = None, value: str | None = None) -> Decision:
        rule_said = ruled.verdict if facet is None else "said" if (facet, value) in by_rule else "unsaid"
        word = verdict if action == "verdict" else None
        new = Decision(doi, action, word, facet, value, reason, reviewer, moment, book.digest, read, rule_said)  # type: ignore[arg-type]
        leading = aliases if facet == SAME_WORK else moved  # a pair is one of records, which clusters do not make one
        return _named(replace(new, seen=deciding.known(held, deciding.subject(new, leading), leading)), held)

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
    would undo what does not stand. `moved` and `aliases` are as in `decide`."""
    of_works = [d for d in held if d.facet != SAME_WORK]
    of_pairs = [d for d in held if d.facet == SAME_WORK]
    stands = {deciding.subject(d, moved): d for d in deciding.standing(of_works, moved) if d.reviewer == reviewer}
    stands |= {deciding.subject(d, aliases): d for d in deciding.standing(of_pairs, aliases) if d.reviewer == reviewer}
    before = [stands.get(deciding.subject(w, aliases if w.facet == SAME_WORK else moved)) for w in words]
    _check_withdrawn(words, before)
    own = {deciding.identify(d) for d in held if d.reviewer == reviewer}

    def settles(word: Decision) -> bool:
        """Whether its reviewer has said several things, none knowing of the others: then even a repetition decides."""
        leading = aliases if word.facet == SAME_WORK else moved
        return len(own.intersection(deciding.latest(held, deciding.subject(word, leading), leading))) > 1

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
    taken = {deciding.identify(d) for d in held if d.doi == word.doi}
    made = datetime.fromisoformat(word.made_at)
    while deciding.identify(word) in taken:
        made += timedelta(microseconds=1)
        word = replace(word, made_at=made.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
    return word


def decisions(ledger: Path) -> tuple[Decision, ...]:
    """The whole ledger, oldest first; ConfigError when there is none."""
    if not ledger.exists():
        raise ConfigError(f"{ledger}: there are no decisions yet; `evidence decide` makes the first")
    return queries.words(ledger)


def current(db: Path, words: Sequence[Decision]) -> tuple[tuple[Decision, ...], list[Decision]]:
    """The decisions at the DOIs that their works are kept under now, and those of them that stand; as they are without a
    database."""
    moved: Mapping[Doi, Doi] = {}
    if db.exists():
        with queries.reading(db) as conn:
            moved = queries.moved(conn, [d for w in words for d in (w.doi, Doi(w.value or ""))])
    return deciding.followed(words, moved), list(deciding.followed(deciding.standing(words, moved), moved))


def import_decisions(db: Path, ledger: Path, book: Rulebook, now: Clock, entries: Sequence[Decision]) -> int:
    """Append the decisions that the ledger does not hold yet; returns how many. All or none."""
    queries.connect(db).close()
    held = {deciding.identify(d): set(d.seen) for d in deciding.merged(queries.words(ledger))}
    new = []
    for decision in deciding.merged(entries):
        known = held.get(deciding.identify(decision))
        if known is None or not known.issuperset(decision.seen):
            new.append(decision)
    if new:
        _append(db, ledger, book, now, new, DECIDE_PATIENCE)
    return len(new)


def export_works(
    db: Path,
    selection: queries.Selection,
    format_: str,
    excel: bool,
    encoding: str,
    output: Path | None,
    as_of: str | None = None,
) -> int:
    """Write a selection to a file (whole or not at all) or, with None, to stdout. Returns the number of works. `as_of` is a day
    (ISO): the works as they stood at its end."""
    count = 0

    def counted() -> Iterator[dict[str, object]]:
        nonlocal count
        for row in as_of_date.selected(conn, selection, as_of) if as_of else queries.selected(conn, selection):
            count += 1
            yield row

    with queries.reading(db) as conn:
        queries.check(conn, selection)
        writer = formats.FORMATS[format_]
        of_a_day = as_of is not None
        chunks = formats.csv_rows(counted(), excel=excel, past=of_a_day) if format_ == "csv" else writer(counted())
        writing.write(output, formats.encode(chunks, encoding))
    return count


def counts(
    config: Config, url: str | None, mailto: str | None, sleep: Callable[[float], None] = time.sleep
) -> Iterator[tuple[str, int]]:
    """How many records Crossref says each search matches: (label, count). habanero knows no pace, so it is kept here."""
    for source in config.sources:
        if isinstance(source, Search):
            yield source.label, client.count(source.query, url, mailto)
            sleep(COUNT_PAUSE)


def lines(path: Path) -> Iterator[str]:
    """The lines of a text file, plain or gzipped; ConfigError when it cannot be read."""
    with record_files.opened(path) as file:
        yield from (line.decode(errors="replace") for line in file)


@contextmanager
def locked(db: Path, patience: float = 0.0) -> Iterator[None]:
    """Hold the lock that one sync holds at a time; BusyError after `patience` seconds."""
    lock = FileLock(f"{db}.lock")
    try:
        lock.acquire(timeout=patience)
    except Timeout:
        raise BusyError(
            f"{db}: another evidence sync is at work on this database; try again when it has finished"
        ) from None
    except OSError as error:
        raise StoreError(
            f"{db}: cannot be locked ({error.strerror}); check that its folder exists and may be written to"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _judge(opened: store.Store, book: Rulebook, now: Clock, progress: Progress) -> tuple[int, list[queries.Row]]:
    said = rejudge.decisions_by_work(opened)
    opened.show_decisions()
    waiting = bool(opened.unannounced())
    if not rejudge.stale_works(opened, book, said) and not rejudge.pairs_moved(opened) and not waiting:
        return 0, []
    rejudge.collect_seldom()
    opened.set_facets(rejudge.facet_rows(book))
    run_id = opened.start_run("judge", __version__, _moment(now))
    count = sum(rejudge.settle(opened, book, run_id, progress, moved=waiting))
    opened.set_facets(rejudge.facet_rows(book))  # a value that no tag has any more goes
    found = opened.finish_run(run_id, "complete", {"rejudged": count}, _moment(now))
    return count, queries.changes(opened.conn, run=run_id, tags=True) if found else []


def _append(db: Path, ledger: Path, book: Rulebook, now: Clock, new: Sequence[Decision], patience: float) -> bool:
    """The ledger first, before the harvest is so much as opened: it is what must not be lost. The works decided on are
    judged at once, or (False) later: by the sync that is running, or with the next word or `judge`."""
    if new:
        store.append(ledger, new)
    try:
        with locked(db, patience), store.open_store(db, ledger, wait=patience) as opened:
            dois = sorted({queries.canonical(opened.conn, doi) for doi in opened.unshown()})
            if not new and not dois:  # said before, and shown; after a restore it may not be
                return True
            opened.show_decisions()
            opened.set_facets(rejudge.facet_rows(book))
            # What a killed sync left to announce is for the next sync: a person waits for this decision alone.
            waiting = opened.unannounced()
            run_id = opened.start_run("judge", __version__, _moment(now))
            said = rejudge.decisions_by_work(opened)
            count = rejudge.judge_decided(opened, book, run_id, said, dois, Quiet())
            opened.finish_run(run_id, "complete", {"rejudged": count}, _moment(now), apart=waiting)
    except BusyError:
        log.warning("A sync is running: the decision is kept, and shows when it is done.")
        return False
    except StoreError as error:
        log.warning("The decision is kept in %s, and shows after the next one or `evidence judge`: %s", ledger, error)
        return False
    return True


def _moment(now: Clock) -> str:
    return now().strftime("%Y-%m-%dT%H:%M:%SZ")


@contextmanager
def _archive(door: Files, config: Config, opened: store.Store) -> Iterator[Archive]:
    """The files as a door that holds whatever this run will ask for."""
    questions = [Question(s.query, Matcher(s).accepts) for s in config.sources if isinstance(s, Search)]
    lists = [s for s in config.sources if isinstance(s, ReferenceList)]
    followed = [s for s in lists if s.of]
    wanted = set(queries.dois(opened.conn)) | {s.of for s in followed if s.of}
    for decision in opened.decisions():
        wanted |= {decision.doi} | ({Doi(decision.value)} if decision.facet == SAME_WORK and decision.value else set())
    printed = [c for s in lists for c in s.citations]
    with Archive(
        door.paths,
        name=door.name,
        questions=_distinct(questions),
        dois=wanted.union(*map(references.possible, printed)),
        citations=[c.text for c in printed],
        everything=door.everything,
    ) as files:
        cited = [citation for source in followed for citation in _followed(source, files)]
        if cited:
            files.also(set().union(*map(references.possible, cited)), [c.text for c in cited])
        yield files


def _followed(source: ReferenceList, files: Archive) -> tuple[Citation, ...]:
    """The citations of a deposited list that is in the files; the run itself says when it is not."""
    try:
        return references.listed(source, files)
    except RejectedError:
        return ()


def _distinct(questions: Sequence[Question]) -> list[Question]:
    """Two searches may ask Crossref the same and differ in their phrases; the archive answers either for both."""
    by_query: dict[Query, list[Question]] = {}
    for question in questions:
        by_query.setdefault(question.query, []).append(question)
    return [
        group[0]
        if len(group) == 1
        else Question(query, lambda m, t, a, g=tuple(group): any(q.accepts(m, t, a) for q in g))  # type: ignore[misc]
        for query, group in by_query.items()
    ]


__all__ = [
    "Door",
    "Files",
    "counts",
    "decide",
    "decisions",
    "export_works",
    "import_decisions",
    "judge",
    "judge_again",
    "locked",
    "run",
]
