"""The order of the stages of a sync, and what each failure stops.

`sync` asks a record source, lets the pure stages interpret the results, and has `ingest` write whole pages. There is no
request inside a transaction. A source that fails stops alone: the others go on and the run ends `partial`. No SQL here, no
HTTP, no printing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from evidence import __version__
from evidence.crossref.normalise import serialise_any, title_and_abstract
from evidence.data_model import Clock, Doi, Message, RecordSource, RecordText, Resolution, iso_time
from evidence.database import read_citations, read_queries
from evidence.database.values_for_writer import Reject, SearchRequest, Sighting, SourceRow, SourceState
from evidence.database.writer import Store
from evidence.errors import SourceError, UnreadError
from evidence.harvest import enrich, import_files, known_works, reference_lists, rejudge, standing_searches
from evidence.harvest.ingest import aliases_of, ingest, look_up, messages_of, reject
from evidence.harvest.progress import NoProgress, Progress
from evidence.harvest.read_ahead import read_ahead
from evidence.harvest.reader_processes import RecordReaders, reduce_garbage_collection
from evidence.harvest.run_outcome import Outcome, SyncRun
from evidence.harvest.sources import FILES_SOURCE, REFRESH_SOURCE, Config, FileSource, ReferenceList, Search
from evidence.providers.answers import Provider
from evidence.rules.taxonomy import Taxonomy

SHRINKAGE, JUMP, JUMP_FROM = 0.2, 2.0, 20
"""There is a warning on a search when a whole harvest no longer finds a fifth of its works, or when their number doubles from
at least twenty."""

NAMED_WINDOWS = 3
"""How many of the windows that could not be read are named."""


def sync(
    config: Config,
    store: Store,
    records: RecordSource,
    taxonomy: Taxonomy,
    *,
    now: Clock,
    progress: Progress | None = None,
    full: bool = False,
    take: Iterable[RecordText] = (),
    readers: RecordReaders | None = None,
    providers: Sequence[Provider] = (),
    backfill: Mapping[str, Any] | None = None,
    partly: bool = False,
) -> Outcome:
    """Harvest every source of `config` from `records`, refresh known works, judge, ask other providers. The caller holds the
    lock.

    `full` forgets the bookmarks and reads searches twice as deep, so what a search no longer finds is noticed. `take` are
    records that are taken whole, whichever source finds them, read by `readers`. `providers` are asked about the works that are
    due. `backfill` is what was read of Crossref's public data file to find the records; `partly` says that some of it could not
    be read.
    """
    reduce_garbage_collection()
    store.set_topic(taxonomy.topic)
    started = now()
    number = store.start_run(records.name, __version__, iso_time(started))
    outcome = Outcome(number, backfill=dict(backfill or {}))
    decisions = rejudge.decisions_by_work(store)
    run = SyncRun(number, store, records, taxonomy, now, started, decisions, progress or NoProgress(), full, outcome)
    # What a run that was killed could not announce, it could not cluster either.
    unannounced = store.any_unannounced()
    try:
        store.set_facets(rejudge.facet_rows(taxonomy))
        if read_queries.any_without_content(store.conn):
            outcome.rejudged += _judge_before_harvest(run)
        known = read_queries.current_dois(store.conn)
        states = store.register_sources(number, _source_rows(config))
        for source in config.sources:
            with _continuing(run, source.id):
                _harvest(run, source, SourceState(None, None) if full else states[source.id])
        with _continuing(run, FILES_SOURCE), readers or RecordReaders(taxonomy) as opened:
            _take(run, take, opened)
        with _continuing(run, REFRESH_SOURCE):
            import_files.ask_again(run)
        with _continuing(run, REFRESH_SOURCE):
            known_works.fetch_decided(run)
        with _continuing(run, REFRESH_SOURCE):
            known_works.refresh(run, known)
        _compare_with_changed_records(run, config)
        store.show_decisions()
        # Decisions are read anew: people decide while a sync runs.
        written = outcome.written
        changed = bool(unannounced or written.new or written.changed or written.moved)
        outcome.rejudged += rejudge.rejudge_and_deduplicate(store, taxonomy, number, run.progress, moved=changed)[0]
        _check_known(run, config)
        if providers:
            enrich.ask_providers(enrich.EnrichRun(number, store, taxonomy, now, run.progress, outcome), providers)
        store.set_facets(rejudge.facet_rows(taxonomy))  # drops a value that no tag has any more
        outcome.outcome = "partial" if outcome.troubles or partly else "complete"
    except BaseException:
        outcome.outcome = "crashed"
        raise
    finally:
        outcome.requests, outcome.bytes = records.requests, records.bytes + outcome.bytes
        if store.finish_run(number, outcome.outcome, outcome.counts(), iso_time(now())):
            outcome.changes = read_queries.run_changes(store.conn, number)
    return outcome


@contextmanager
def _continuing(run: SyncRun, source: str) -> Iterator[None]:
    """A failure of the source ends this block and is noted; the run goes on with the next."""
    try:
        yield
    except SourceError as error:
        run.outcome.troubles.append((source, str(error)))
        run.store.set_trouble(source, str(error))


def _judge_before_harvest(run: SyncRun) -> int:
    """After an upgrade: judge the works again before anything is harvested, so that their content so far is known and a
    correction that arrives is recognised as one. Returns how many."""
    judged, _ = rejudge.rejudge_and_deduplicate(run.store, run.taxonomy, run.number, run.progress, moved=False)
    run.store.announce_contents()
    return judged


def _source_rows(config: Config) -> list[SourceRow]:
    return [
        *(
            SourceRow(s.id, s.kind, s.label, s.spec, s.method if isinstance(s, FileSource) else None)
            for s in config.sources
        ),
        SourceRow(REFRESH_SOURCE, "refresh", "Known works, asked again for changes", "{}"),
        SourceRow(FILES_SOURCE, "files", "Records taken whole from files", "{}"),
    ]


def _harvest(run: SyncRun, source: ReferenceList | Search | FileSource, state: SourceState) -> None:
    if isinstance(source, ReferenceList):
        _harvest_references(run, source)
    elif isinstance(source, FileSource):
        counts = import_files.harvest_files(run, source, run.records)
        run.outcome.warnings += [(source.id, text) for text in (*counts.unusable, *counts.doubts)[:NAMED_WINDOWS]]
        if counts.trouble:
            raise SourceError(counts.trouble)
        run.store.complete_source(run.number, source.id, run.bookmark, None)
    else:
        _harvest_search(run, source, state)


# ---------------------------------------------------------------------- reference lists


def _harvest_references(run: SyncRun, source: ReferenceList) -> None:
    try:
        citations = reference_lists.citations_of(source, run.records)
    except UnreadError as error:
        text, digest = serialise_any(error.message)
        place = error.place or f"asked for by {source.of}"
        ingest(run, source.id, rejects=[Reject(digest, source.of, str(error), text, place)])
        raise
    conn = run.store.conn
    before = {r.citation.position: r for r in read_queries.current_resolutions(conn, source.id)}
    known = set(read_queries.current_dois(conn))
    still_known = {position: r for position, r in before.items() if r.doi in known}
    done = 0
    held = read_citations.cited_works(conn, source.id)
    deposited = source.of is not None
    for part in reference_lists.resolve(citations, run.records, still_known, deposited=deposited, held=held):
        done += len(part.resolutions)
        run.progress.step(source.id, done, len(citations))
        resolutions = [_not_overruled(run.records, before.get(r.citation.position), r) for r in part.resolutions]
        sightings = [Sighting(r.doi, r.status) for r in resolutions if r.doi]
        rejects = [reject(run, message, doi) for doi, message in part.unread]
        ingest(run, source.id, part.messages, sightings, part.aliases, resolutions=resolutions, rejects=rejects)
        run.outcome.citations.update(r.status for r in resolutions)
        run.outcome.compared_anew += ((source.id, said) for said in _compared_anew(still_known, resolutions))
    run.store.retire_citations(run.number, source.id, len(citations))
    accepted = [r.doi for r in read_queries.current_resolutions(conn, source.id) if r.doi]
    run.outcome.gone += run.store.end_sightings(run.number, source.id, accepted)
    if run.records.authoritative:
        run.store.complete_source(run.number, source.id, run.bookmark, None)


def _compare_with_changed_records(run: SyncRun, config: Config) -> None:
    """Resolve the lists again of which an accepted citation does not agree any more with the record that this run fetched, so
    that a second sync has nothing left to find."""
    written = run.outcome.written
    if not (written.changed or written.moved):
        return
    conn = run.store.conn
    for source in config.sources:
        if not isinstance(source, ReferenceList):
            continue
        held = read_citations.cited_works(conn, source.id)
        current = read_queries.current_resolutions(conn, source.id)
        if all(
            one.doi is None
            or (work := held.get(one.doi)) is None
            or reference_lists.compared_again(one, work, source.of is not None) == one
            for one in current
        ):
            continue
        run.outcome.citations.subtract(one.status for one in current)
        with _continuing(run, source.id):
            _harvest_references(run, source)
        run.outcome.citations = +run.outcome.citations  # without those of which none is left


def _compared_anew(before: Mapping[int, Resolution], now: Iterable[Resolution]) -> Iterator[str]:
    """A sentence on each citation that was accepted, did not change, and has another result: the record that is held has changed
    since, or the program has."""
    for resolution in now:
        citation, earlier = resolution.citation, before.get(resolution.citation.position)
        if earlier is None or not earlier.doi or earlier.citation != citation:
            continue
        errors = reference_lists.named_errors(resolution)
        if not resolution.doi:
            yield f"citation {citation.position} no longer agrees with {earlier.doi}: {resolution.problem}"
        elif resolution.doi != earlier.doi:
            yield f"citation {citation.position} leads to {resolution.doi} and no longer to {earlier.doi}"
        elif errors != reference_lists.named_errors(earlier):
            yield f"citation {citation.position} ({resolution.doi}) is {errors or 'found without errors'}"


def _not_overruled(records: RecordSource, before: Resolution | None, now: Resolution) -> Resolution:
    """The resolution that counts: files that do not hold the work do not overrule what Crossref said of a citation."""
    if before is None or before.citation != now.citation or now.doi or records.authoritative:
        return now
    return before


# ---------------------------------------------------------------------- searches


def _harvest_search(run: SyncRun, source: Search, state: SourceState) -> None:
    """Read a search to its end. One that could not be read to its end is not complete: it keeps its bookmark (after a whole
    read it has none, so the next run reads it whole), names what is missing, and ends no sighting."""
    authoritative, conn, outcome = run.records.authoritative, run.store.conn, run.outcome
    since = state.bookmark if authoritative else None
    if since is not None and since > run.bookmark:
        since = None  # set by a clock that was ahead: what was indexed before that day was never requested
    if since is None and authoritative:
        run.store.forget_bookmark(source.id)
    before = read_queries.count_found_by(conn, source.id)
    found: set[Doi] = set()
    cut: list[standing_searches.SearchPage] = []
    ended_quiet = False
    for number, sweep in enumerate(
        standing_searches.read_pages(source, run.records, since, run.today, run.quiet_pages), start=1
    ):
        run.progress.step(source.id, number, None)
        messages, aliases, held, rejects = _fetch(run, sweep.hits)
        sightings = [Sighting(held[h.doi], "search", h.rank, h.score) for h in sweep.hits if h.doi in held]
        for item in sweep.unusable:
            text, digest = serialise_any(item.item)
            rejects.append(
                Reject(digest, None, item.reason, text, standing_searches.place_sentence(source, sweep, item.number))
            )
        places = (
            {s.doi: standing_searches.place_sentence(source, sweep, s.rank) for s in sightings} if authoritative else {}
        )
        found.update(sighting.doi for sighting in sightings)
        ended_quiet |= sweep.ended == "quiet"
        cut += [sweep] if sweep.ended == "cut" else []
        requests = [_request(run, source, sweep)]
        ingest(run, source.id, messages, sightings, aliases, requests=requests, rejects=rejects, places=places)
    outcome.matched |= found
    if not authoritative:
        return
    if cut:
        raise SourceError(_incomplete(cut))
    gone = _end_sightings(run, source, found, ended_quiet) if since is None else 0
    outcome.gone += gone
    warnings = _count_warnings(before, gone, read_queries.count_found_by(conn, source.id))
    outcome.warnings += [(source.id, text) for text in warnings]
    # A warning on a whole harvest stays until the next one.
    earlier = [state.warning] if since is not None and state.warning else []
    warning = "; ".join(dict.fromkeys([*earlier, *warnings])) or None
    run.store.complete_source(run.number, source.id, run.bookmark, warning)


def _incomplete(cut: Sequence[standing_searches.SearchPage]) -> str:
    """What the windows that were cut left out; the first few by name."""
    parts = [standing_searches.unread_sentence(sweep) for sweep in cut[:NAMED_WINDOWS]]
    if more := cut[NAMED_WINDOWS:]:
        parts.append(f"{sum(sweep.unread for sweep in more):,} more in {len(more)} other windows")
    return f"not complete: {'; '.join(parts)}"


def _end_sightings(run: SyncRun, source: Search, found: set[Doi], ended_quiet: bool) -> int:
    """End the sightings of what a whole read no longer found; returns how many.

    Where the read ended at a guess (quiet pages), a work may only rank below them: its sighting stays as long as the record
    we hold matches the search.
    """
    keep = set(found)
    if ended_quiet:
        matcher = standing_searches.Matcher(source)
        missed = [doi for doi in read_queries.works_found_by(run.store.conn, source.id) if doi not in found]
        for doi, _, text in read_queries.current_records(run.store.conn, missed):
            message = json.loads(text)
            if matcher.accepts(message, *title_and_abstract(message)):
                keep.add(doi)
    return run.store.end_sightings(run.number, source.id, keep)


def _count_warnings(before: int, gone: int, now: int) -> list[str]:
    """Warnings on the number of works that a search finds: none, far fewer, or far more than before."""
    if now == 0:
        return ["it finds no work at all; check its phrases"]
    if gone > before * SHRINKAGE:
        return [f"{gone} of the {before} works it found are no longer found; was it edited, or did Crossref change?"]
    if before >= JUMP_FROM and now > before * JUMP:
        return [f"it finds {now} works after {before}; are its phrases too wide?"]
    return []


def _fetch(
    run: SyncRun, hits: Sequence[standing_searches.Hit]
) -> tuple[list[Message], list[tuple[Doi, Doi]], dict[Doi, Doi], list[Reject]]:
    """Whole records of the hits that are new here or were indexed again since; aliases; hit → DOI it is kept under; and what
    came in place of a record.

    A hit without a record (deleted between the two requests) is in none of them.
    """
    stamps = read_queries.indexed_times(run.store.conn, [hit.doi for hit in hits])
    wanted = [h.doi for h in hits if h.doi not in stamps or h.indexed is None or h.indexed != stamps[h.doi]]
    results, rejects = look_up(run, wanted)
    held = {doi: doi for doi in stamps}
    held |= {r.requested: r.record_doi for r in results if r.record_doi is not None}
    moved = read_queries.alias_targets(run.store.conn, list(held.values()))
    kept_under = {hit: moved.get(doi, doi) for hit, doi in held.items()}
    return messages_of(results), aliases_of(results), kept_under, rejects


def _request(run: SyncRun, source: Search, sweep: standing_searches.SearchPage) -> SearchRequest:
    """One page of a search as PRISMA-S reports it."""
    window = sweep.window
    return SearchRequest(
        query="; ".join(f"query.{name}={value}" for name, value in source.query.fields),
        filters="; ".join(f"{name}:{value}" for name, values in source.query.filters for value in values),
        spec=source.spec,
        created_from=window.created_from,
        created_until=window.created_until,
        indexed_from=window.indexed_from,
        offset=sweep.offset,
        sort="created" if sweep.by_creation else "relevance",
        asked_at=iso_time(run.now()),
        total=sweep.total,
        scanned=sweep.scanned,
        matched=len(sweep.hits),
        reached=sweep.reached,
        last_match=sweep.last_match,
        recent=sweep.recent,
        ended=sweep.ended,
        unread=sweep.unread,
    )


# ---------------------------------------------------------------------- files and known works


def _take(run: SyncRun, take: Iterable[RecordText], readers: RecordReaders) -> None:
    for records in read_ahead(_parts(take, standing_searches.PART), run.store, readers):
        sightings = [Sighting(record.doi, "file") for record in records if record.doi]
        ingest(run, FILES_SOURCE, sightings=sightings, read=records)


def _parts(items: Iterable[RecordText], size: int) -> Iterator[list[RecordText]]:
    part: list[RecordText] = []
    for item in items:
        part.append(item)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part


def _check_known(run: SyncRun, config: Config) -> None:
    """Note which of the `known` studies of sources.yaml no search finds, and which works no source finds any more."""
    conn, outcome = run.store.conn, run.outcome
    moved = read_queries.alias_targets(conn, config.known)
    found = read_queries.found_by_search(conn, sorted({moved.get(d, d) for d in config.known}))
    missing = tuple(d for d in config.known if moved.get(d, d) not in found)
    unfound = read_queries.works_no_longer_found(conn, run.number)
    titles = read_queries.titles(conn, unfound)
    outcome.unfound = tuple((doi, titles.get(doi)) for doi in unfound)
    outcome.known_total, outcome.known_found, outcome.known_missing = len(config.known), len(found), missing
    outcome.verdicts = read_queries.verdict_counts(conn)
