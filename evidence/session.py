"""One use of the program: lock, open, choose the door, run, close. What commands share and none should repeat.

It decides nothing about records (`sync` has the order of the stages) and prints nothing.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from evidence import __version__, archive, catalogue, crossref, export, reconsider, references, store
from evidence import judge as judging
from evidence import sync as stages
from evidence.archive import Archive, Question
from evidence.config import Config, ReferenceList, Search
from evidence.errors import BusyError, ConfigError, StoreError
from evidence.ledger import Entry
from evidence.model import SAME_WORK, Decision, Doi, Door, Query, VerdictName
from evidence.normalise import normalise
from evidence.reconsider import Progress
from evidence.rulebook import Rulebook
from evidence.search import Matcher
from evidence.sync import Outcome, Quiet
from evidence.tag import tag

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
            http = stack.enter_context(crossref.Crossref(url, mailto, sleep=sleep or time.sleep, on_wait=log.info))
            return stages.sync(config, opened, http, book, now=now, progress=progress, full=full)
        files = stack.enter_context(_archive(door, config, opened))
        taken = files.kept if door.everything else ()
        outcome = stages.sync(config, opened, files, book, now=now, progress=progress, full=full, take=taken)
        stages.reject(outcome, opened, files.unreadable)
        outcome.read = files.read
        return outcome


def judge(db: Path, ledger: Path, book: Rulebook, now: Clock, progress: Progress | None = None) -> int:
    """Judge again what changed rules or decisions touch; returns how many works. A run is opened only if there are any."""
    catalogue.connect(db, older=True).close()
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
    already: False when a sync is running, that has not ended after `patience` seconds. ConfigError when there is no such work.

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
    with catalogue.reading(db) as conn:
        doi = catalogue.canonical(conn, doi)
        message = next((message for _, _, message in catalogue.standing(conn, [doi])), None)
        if message is None:
            raise ConfigError(f"{doi}: no such work in {db}; a decision needs a work that was harvested")
        catalogue.check_tags(conn, [tag for tag in (*tags, *untags) if tag[0] != SAME_WORK])
        for facet, other in (*tags, *untags):
            if facet == SAME_WORK and (other == doi or not list(catalogue.standing(conn, [Doi(other)]))):
                raise ConfigError(f"{other}: no other work in {db}; a pair needs two works that were harvested")
    if withdrawn:
        _check_said(ledger, doi, reviewer, withdrawn)
    work = normalise(json.loads(message))
    ruled = judging.judge(work, book)
    by_rule = {(said.facet, said.value) for said in tag(work, book)}
    read, moment = judging.text_digest(work), _moment(now)

    def said(action: str, facet: str | None = None, value: str | None = None) -> Decision:
        rule_said = ruled.verdict if facet is None else "said" if (facet, value) in by_rule else "unsaid"
        word = verdict if action == "verdict" else None
        return Decision(doi, action, word, facet, value, reason, reviewer, moment, book.digest, read, rule_said)  # type: ignore[arg-type]

    words = (
        *((said("verdict"),) if verdict else ()),
        *(said("tag", *pair) for pair in tags),
        *(said("untag", *pair) for pair in untags),
        *(said("withdraw", *(pair or ())) for pair in withdrawn),
    )
    return words, _append(db, ledger, book, now, words, patience)


def _check_said(ledger: Path, doi: Doi, reviewer: str, withdrawn: Sequence[tuple[str, str] | None]) -> None:
    """ConfigError when there is nothing of the reviewer's to take back."""
    held = judging.standing(catalogue.words(ledger))
    mine = {(d.facet, d.value) if d.facet else None for d in held if (d.doi, d.reviewer) == (doi, reviewer)}
    for pair in withdrawn:
        if pair not in mine:
            about = ":".join(pair) if pair else "its verdict"
            raise ConfigError(
                f"{doi}: nothing that {reviewer} said of {about} stands, so there is nothing to take back"
            )


def decisions(ledger: Path) -> tuple[Decision, ...]:
    """The whole ledger, oldest first; ConfigError when there is none."""
    if not ledger.exists():
        raise ConfigError(f"{ledger}: there are no decisions yet; `evidence decide` makes the first")
    return catalogue.words(ledger)


def import_decisions(db: Path, ledger: Path, book: Rulebook, now: Clock, entries: Sequence[Entry]) -> int:
    """Append the decisions that the ledger does not hold yet; returns how many. All or none."""
    catalogue.connect(db).close()
    held = set(catalogue.words(ledger))
    new = tuple(dict.fromkeys(e.decision for e in entries if e.decision not in held))
    with catalogue.reading(db) as conn:
        for entry in entries:
            if entry.decision.facet not in (None, SAME_WORK) and entry.decision.value:
                try:
                    catalogue.check_tags(conn, [(entry.decision.facet, entry.decision.value)])
                except ConfigError as error:
                    raise ConfigError(f"{entry.where}: {error}") from None
    if new:
        _append(db, ledger, book, now, new, DECIDE_PATIENCE)
    return len(new)


def export_works(
    db: Path, selection: catalogue.Selection, format_: str, excel: bool, encoding: str, output: Path | None
) -> int:
    """Write a selection to a file (whole or not at all) or, with None, to stdout. Returns the number of works."""
    count = 0

    def counted() -> Iterator[dict[str, object]]:
        nonlocal count
        for row in catalogue.selected(conn, selection):
            count += 1
            yield row

    with catalogue.reading(db) as conn:
        catalogue.check_tags(conn, selection.tags)
        writer = export.FORMATS[format_]
        chunks = export.csv_rows(counted(), excel=excel) if format_ == "csv" else writer(counted())
        encoded = export.encode(chunks, encoding)
        if output is None:
            for chunk in encoded:
                sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
        else:
            _write_whole(output, encoded)
    return count


def counts(
    config: Config, url: str | None, mailto: str | None, sleep: Callable[[float], None] = time.sleep
) -> Iterator[tuple[str, int]]:
    """How many records Crossref says each search matches: (label, count). habanero knows no pace, so it is kept here."""
    for source in config.sources:
        if isinstance(source, Search):
            yield source.label, crossref.count(source.query, url, mailto)
            sleep(COUNT_PAUSE)


def lines(path: Path) -> Iterator[str]:
    """The lines of a text file, plain or gzipped; ConfigError when it cannot be read."""
    with archive.opened(path) as file:
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


def _judge(opened: store.Store, book: Rulebook, now: Clock, progress: Progress) -> int:
    said = reconsider.decisions_by_work(opened)
    opened.show_decisions()
    if not reconsider.stale_works(opened, book, said) and not reconsider.pairs_moved(opened):
        return 0
    reconsider.collect_seldom()
    opened.set_facets(reconsider.facet_rows(book))
    run_id = opened.start_run("judge", __version__, _moment(now))
    count, turned = reconsider.rejudge(opened, book, run_id, said, progress)
    count += reconsider.find_duplicates(opened, run_id, moved=turned)
    opened.finish_run(run_id, "complete", {"rejudged": count}, _moment(now))
    return count


def _append(db: Path, ledger: Path, book: Rulebook, now: Clock, new: Sequence[Decision], patience: float) -> bool:
    """The ledger first: it is what must not be lost. The works decided on are judged at once, or (False) when the sync that
    is running is done."""
    with store.open_store(db, ledger) as opened:
        opened.decide(new)
        try:
            with locked(db, patience):
                opened.show_decisions()
                opened.set_facets(reconsider.facet_rows(book))
                run_id = opened.start_run("judge", __version__, _moment(now))
                dois = sorted({decision.doi for decision in new if decision.facet != SAME_WORK})
                said = reconsider.decisions_by_work(opened)
                count = reconsider.judge_decided(opened, book, run_id, said, dois, Quiet())
                opened.finish_run(run_id, "complete", {"rejudged": count}, _moment(now))
        except BusyError:
            log.warning("A sync is running: the decision is kept, and shows when it is done.")
            return False
    return True


def _moment(now: Clock) -> str:
    return now().strftime("%Y-%m-%dT%H:%M:%SZ")


def _archive(door: Files, config: Config, opened: store.Store) -> Archive:
    questions = [Question(s.query, Matcher(s).accepts) for s in config.sources if isinstance(s, Search)]
    lists = [s for s in config.sources if isinstance(s, ReferenceList)]
    wanted = set(catalogue.dois(opened.conn)) | {s.of for s in lists if s.of}
    printed = [c for s in lists for c in s.citations]
    for citation in printed:
        wanted.update(references.readings(citation))
    return Archive(
        door.paths,
        name=door.name,
        questions=_distinct(questions),
        dois=wanted,
        citations=[c.text for c in printed],
        everything=door.everything,
    )


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


def _write_whole(output: Path, chunks: Iterator[bytes]) -> None:
    """Beside the target first, then renamed: a reader never sees half a file."""
    try:
        with tempfile.NamedTemporaryFile(dir=output.parent, prefix=f".{output.name}.", delete=False) as file:
            try:
                for chunk in chunks:
                    file.write(chunk)
                file.close()
                Path(file.name).chmod(0o666 & ~_umask())
                Path(file.name).replace(output)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise ConfigError(f"{output}: cannot be written ({error.strerror}); name another file with -o") from None


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


__all__ = [
    "Door",
    "Files",
    "counts",
    "decide",
    "decisions",
    "export_works",
    "import_decisions",
    "judge",
    "locked",
    "run",
]
