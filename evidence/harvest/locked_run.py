"""What the commands that harvest do with lock, databases and source: lock, open, choose the source, run, close.

It decides nothing about records (`sync` has the order of the stages) and prints nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from evidence import __version__
from evidence.crossref import client
from evidence.crossref.entries_of_files import RawLine
from evidence.crossref.records_from_files import RecordFiles
from evidence.data_model import SAME_WORK, Citation, Clock, Doi, RecordSource, iso_time
from evidence.database import read_queries, writer
from evidence.database.changes_since_last_run import RunChanges
from evidence.database.connection import open_evidence
from evidence.database.run_lock import locked
from evidence.database.sql_helpers import Row
from evidence.errors import RejectedError
from evidence.harvest import enrich, import_files, reference_lists, rejudge
from evidence.harvest import sync as stages
from evidence.harvest.chosen_providers import NO_PROVIDERS, ChosenProviders
from evidence.harvest.chosen_providers import opened as opened_providers
from evidence.harvest.deduplicate import pairs_need_update
from evidence.harvest.ingest import ingest_unreadable
from evidence.harvest.progress import NoProgress, Progress
from evidence.harvest.read_ahead import look_ahead
from evidence.harvest.reader_processes import RecordReaders, reduce_garbage_collection
from evidence.harvest.run_outcome import Outcome, SyncRun
from evidence.harvest.sources import Config, FileSource, ReferenceList, Search
from evidence.harvest.standing_searches import expected_queries
from evidence.harvest.stored_records import StoredRecords
from evidence.rules.tag import why_without
from evidence.rules.taxonomy import Taxonomy

log = logging.getLogger(__name__)

COUNT_PAUSE = 1.0
"""Seconds between list requests, as the public pool wants it."""


@dataclass(frozen=True, slots=True)
class FileInput:
    """Record files to read instead of asking Crossref: their name in the database, the files, and whether every record is
    wanted."""

    name: str
    paths: tuple[Path, ...]
    everything: bool = False


def run_sync(
    db: Path,
    ledger: Path,
    config: Config,
    taxonomy: Taxonomy,
    now: Clock,
    progress: Progress,
    *,
    files: FileInput | None,
    url: str | None = None,
    mailto: str | None = None,
    full: bool = False,
    sleep: Callable[[float], None] | None = None,
    chosen: ChosenProviders = NO_PROVIDERS,
) -> Outcome:
    """A whole sync under the lock, from files or (files None) over HTTP. BusyError when another one is running. `chosen` are
    the other providers to ask about the works."""
    with ExitStack() as stack:
        stack.enter_context(locked(db))
        opened = stack.enter_context(writer.open_store(db, ledger))
        wait = sleep or time.sleep
        asked = stack.enter_context(opened_providers(chosen, sleep=wait, on_wait=log.info)) if chosen.any else ()
        if files is None:
            crossref = stack.enter_context(client.CrossrefClient(url, mailto, sleep=wait, on_wait=log.info))
            return stages.sync(
                config, opened, crossref, taxonomy, now=now, progress=progress, full=full, providers=asked
            )
        readers = stack.enter_context(RecordReaders(taxonomy, searches_of(config)))
        records = stack.enter_context(record_files(files, config, opened, readers))
        taken = records.kept_records if files.everything else ()
        outcome = stages.sync(
            config,
            opened,
            records,
            taxonomy,
            now=now,
            progress=progress,
            full=full,
            take=taken,
            readers=readers,
            providers=asked,
        )
        ingest_unreadable(opened, outcome, records.unreadable)
        outcome.read = records.read_count
        return outcome


def run_enrich(
    db: Path,
    ledger: Path,
    taxonomy: Taxonomy,
    now: Clock,
    progress: Progress,
    chosen: ChosenProviders,
    *,
    again: bool = False,
    sleep: Callable[[float], None] | None = None,
) -> Outcome:
    """Ask other providers about the works, in a run of its own under the lock. A run is opened only where anything is due.
    BusyError when another run is going on; ConfigError when there is no database."""
    open_evidence(db, older=True).close()
    with ExitStack() as stack:
        stack.enter_context(locked(db))
        opened = stack.enter_context(writer.open_store(db, ledger))
        asked = stack.enter_context(opened_providers(chosen, sleep=sleep or time.sleep, on_wait=log.info))
        _judge_stale(opened, taxonomy, now, progress)
        if not any(enrich.due(opened, provider, now(), again=again) for provider in asked):
            return Outcome(0, verdicts=read_queries.verdict_counts(opened.conn))
        reduce_garbage_collection()
        outcome = Outcome(opened.start_run("providers", __version__, iso_time(now())))
        outcome.outcome = "crashed"
        try:
            run = enrich.EnrichRun(outcome.run, opened, taxonomy, now, progress, outcome)
            outcome.rejudged = enrich.ask_providers(run, asked, again=again)
            opened.set_facets(rejudge.facet_rows(taxonomy))
            outcome.verdicts = read_queries.verdict_counts(opened.conn)
            outcome.outcome = "partial" if outcome.provider_problems else "complete"
        finally:
            if opened.finish_run(outcome.run, outcome.outcome, outcome.counts(), iso_time(now())):
                outcome.changes = read_queries.run_changes(opened.conn, outcome.run)
        return outcome


def run_import(
    db: Path,
    ledger: Path,
    taxonomy: Taxonomy,
    now: Clock,
    progress: Progress,
    source: FileSource,
    *,
    ask: bool = True,
    url: str | None = None,
    mailto: str | None = None,
    sleep: Callable[[float], None] | None = None,
) -> tuple[Outcome, import_files.ImportCounts]:
    """Import the files of a source, in a run of its own under the lock. With `ask`, Crossref is asked about what the database
    does not know. A run is opened only where anything is new, or where a killed run left changes to announce. ConfigError, and
    nothing written, where a file is damaged or the source is one of another kind; BusyError when another run is going on."""
    with ExitStack() as stack:
        files = stack.enter_context(import_files.ReadFiles(source.paths))
        stack.enter_context(locked(db))
        opened = stack.enter_context(writer.open_store(db, ledger))
        held = read_queries.source_row(opened.conn, source.id)
        source = import_files.continued(source, held)
        opened.set_topic(taxonomy.topic)
        new = import_files.anything_new(opened.conn, source, files, held["spec"] if held else None)
        if not new and not opened.any_unannounced():
            counts = import_files.ImportCounts(read=files.count + len(files.rejects), known=files.count)
            return Outcome(0, verdicts=read_queries.verdict_counts(opened.conn)), counts
        wait = sleep or time.sleep
        crossref = (
            stack.enter_context(client.CrossrefClient(url, mailto, sleep=wait, on_wait=log.info)) if ask else None
        )
        reduce_garbage_collection()
        started = now()
        outcome = Outcome(opened.start_run("import", __version__, iso_time(started)))
        outcome.outcome = "crashed"
        try:
            opened.set_facets(rejudge.facet_rows(taxonomy))
            records = StoredRecords(opened.conn)
            decisions = rejudge.decisions_by_work(opened)
            run = SyncRun(outcome.run, opened, records, taxonomy, now, started, decisions, progress, False, outcome)
            counts = import_files.import_read(run, source, files, crossref)
            opened.show_decisions()
            outcome.rejudged += rejudge.rejudge_and_deduplicate(opened, taxonomy, outcome.run, progress, moved=True)[0]
            opened.set_facets(rejudge.facet_rows(taxonomy))
            outcome.verdicts = read_queries.verdict_counts(opened.conn)
            outcome.requests, outcome.bytes = (crossref.requests, crossref.bytes) if crossref else (0, 0)
            if counts.trouble:
                outcome.troubles.append((source.id, counts.trouble))
            outcome.outcome = "partial" if outcome.troubles else "complete"
        finally:
            if opened.finish_run(outcome.run, outcome.outcome, outcome.counts(), iso_time(now())):
                outcome.changes = read_queries.run_changes(opened.conn, outcome.run)
        return outcome, counts


def rejudge_database(
    db: Path, ledger: Path, taxonomy: Taxonomy, now: Clock, progress: Progress | None = None
) -> tuple[int, RunChanges]:
    """Judge the works again whose rules or decisions changed; returns how many, and the changes this made, with
    those of tags. A run is opened only if there are any, or if a killed run left changes to announce."""
    open_evidence(db, older=True).close()
    with locked(db), writer.open_store(db, ledger) as opened:
        return _judge_stale(opened, taxonomy, now, progress or NoProgress())


def rejudge_with_tags(
    db: Path, ledger: Path, taxonomy: Taxonomy, now: Clock, progress: Progress | None = None
) -> tuple[int, RunChanges, list[Row], list[Row], dict[tuple[str, str, str], str]]:
    """As `rejudge_database`, and all tags before and after it (rows of `read_queries.all_tags`), and for each tag that has gone
    (DOI, facet, value) why. The tags of an older database count as stated before."""
    open_evidence(db, older=True).close()
    with locked(db), writer.open_store(db, ledger) as opened:
        before = read_queries.all_tags(opened.conn)
        count, changes = _judge_stale(opened, taxonomy, now, progress or NoProgress())
        after = read_queries.all_tags(opened.conn)
        return count, changes, before, after, _why_gone(opened, taxonomy, before, after)


def _why_gone(
    opened: writer.Store, taxonomy: Taxonomy, before: list[Row], after: list[Row]
) -> dict[tuple[str, str, str], str]:
    kept = {(row["doi"], row["facet"], row["value"]) for row in after}
    gone = [key for row in before if (key := (row["doi"], row["facet"], row["value"])) not in kept]
    dois = sorted({doi for doi, _, _ in gone})
    texts = {doi: (title, abstract) for doi, title, abstract in read_queries.texts_of(opened.conn, dois)}
    excluded = {
        doi for doi, verdict in read_queries.screening_verdicts(opened.conn, dois).items() if verdict == "exclude"
    }
    return {
        (doi, facet, value): "The work is excluded."
        if doi in excluded
        else why_without(*texts[doi], (facet, value), taxonomy)
        for doi, facet, value in gone
        if doi in texts
    }


def count_matches(
    config: Config, url: str | None, mailto: str | None, sleep: Callable[[float], None] = time.sleep
) -> Iterator[tuple[str, int]]:
    """How many records each search matches at Crossref: (label, count). habanero has no rate limit, so it is kept here."""
    for source in config.sources:
        if isinstance(source, Search):
            yield source.label, client.count(source.query, url, mailto)
            sleep(COUNT_PAUSE)


def _judge_stale(opened: writer.Store, taxonomy: Taxonomy, now: Clock, progress: Progress) -> tuple[int, RunChanges]:
    opened.set_topic(taxonomy.topic)
    decisions = rejudge.decisions_by_work(opened)
    opened.show_decisions()
    unannounced = opened.any_unannounced()
    if not rejudge.any_stale(opened, taxonomy, decisions) and not pairs_need_update(opened) and not unannounced:
        return 0, RunChanges()
    reduce_garbage_collection()
    opened.set_facets(rejudge.facet_rows(taxonomy))
    run_id = opened.start_run("judge", __version__, iso_time(now()))
    count = sum(rejudge.rejudge_and_deduplicate(opened, taxonomy, run_id, progress, moved=unannounced))
    opened.set_facets(rejudge.facet_rows(taxonomy))  # drops a value that no tag has any more
    found = opened.finish_run(run_id, "complete", {"rejudged": count}, iso_time(now()))
    return count, read_queries.run_changes(opened.conn, run_id, tags=True) if found else RunChanges()


@contextmanager
def record_files(
    files: FileInput,
    config: Config,
    opened: writer.Store,
    readers: RecordReaders,
    lines: Callable[[], Iterator[RawLine]] | None = None,
) -> Iterator[RecordFiles]:
    """The files as a record source with everything that this run will ask for; `readers` know its searches. `lines` gives their
    records, where these were read before."""
    with RecordFiles(
        files.paths,
        name=files.name,
        questions=expected_queries(searches_of(config)),
        dois=wanted_dois(config, opened),
        citations=[c.text for c in _printed(config, opened)],
        everything=files.everything,
        lines=lines,
        looks=partial(look_ahead, readers=readers, everything=files.everything),
    ) as records:
        followed = [s for s in config.sources if isinstance(s, ReferenceList) and s.of]
        cited = [citation for source in followed for citation in followed_citations(source, records)]
        if cited:
            records.keep_also(set().union(*map(reference_lists.possible_dois, cited)), [c.text for c in cited])
        if not files.everything:  # nothing more is read by others
            readers.close()
        yield records


def searches_of(config: Config) -> tuple[Search, ...]:
    """The searches among the sources."""
    return tuple(source for source in config.sources if isinstance(source, Search))


def wanted_dois(config: Config, opened: writer.Store) -> set[Doi]:
    """The DOIs that a run looks up: of known works, of works that people decided on, and those that citations may state."""
    wanted = set(read_queries.current_dois(opened.conn))
    wanted |= {s.of for s in config.sources if isinstance(s, ReferenceList) and s.of}
    for decision in opened.decisions():
        wanted |= {decision.doi} | ({Doi(decision.value)} if decision.facet == SAME_WORK and decision.value else set())
    return wanted.union(*map(reference_lists.possible_dois, _printed(config, opened)))


def _printed(config: Config, opened: writer.Store) -> list[Citation]:
    """The citations of sources.yaml, and of imported records that are still to be found."""
    imported = read_queries.imported_to_ask_about(opened.conn)
    printed = [c for s in config.sources if isinstance(s, ReferenceList) for c in s.citations]
    printed += [Citation(row.source, 0, row.citation, row.stated_doi) for row in imported]
    printed += [c for s in config.sources if isinstance(s, FileSource) for c in import_files.citations_in(s)]
    return printed


def followed_citations(source: ReferenceList, records: RecordSource) -> tuple[Citation, ...]:
    """The citations of a deposited list that is among the records; none where it is not, which the run reports itself."""
    try:
        return reference_lists.citations_of(source, records)
    except RejectedError:
        return ()
