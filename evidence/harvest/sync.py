"""The order of the stages, and what each failure stops.

`sync` asks a record source, lets the pure stages interpret the answers, and hands whole pages to the store. Network never
happens inside a transaction. A source that fails stops alone: the others go on and the run ends `partial`. No SQL here,
no HTTP, no printing.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any

from evidence import __version__
from evidence.crossref.normalise import (
    cited_by,
    doi_of,
    indexed_at,
    missing_doi_reason,
    normalise,
    serialise,
    serialise_any,
    title_and_abstract,
)
from evidence.crossref.normalise import listed_aliases as listed_aliases
from evidence.crossref.record_files import Unreadable
from evidence.database import change_log, queries
from evidence.database.rows import (
    Counted,
    HarvestedPage,
    JudgedRecord,
    Reject,
    SearchRequest,
    Sighting,
    SourceState,
    Written,
)
from evidence.database.sql import Row
from evidence.database.store import Store
from evidence.errors import RecordError, SourceError, UnreadError
from evidence.harvest import references, rejudge, search
from evidence.harvest.rejudge import Progress
from evidence.harvest.sources import FILES_SOURCE, REFRESH_SOURCE, Config, ReferenceList, Search
from evidence.model import Decision, Doi, LookupResult, Message, RecordSource, Resolution, iso_time
from evidence.rules.taxonomy import Taxonomy

OVERLAP = timedelta(days=2)
"""A bookmark lies this far before the start of its run: index dates have day resolution and clocks differ."""

SHRINKAGE, JUMP, JUMP_FROM = 0.2, 2.0, 20
"""A search is odd when a whole harvest misses a fifth of what it led to, or doubles what was at least twenty works."""

REFRESH_PART = 500
"""Known works checked, and those that changed fetched and landed, at once."""

ASK_GONE_EVERY = 10
"""Every so many syncs a work that is gone from Crossref, or a DOI that only a notice names, is asked for by itself again: it may
have become an alias. That a record is back, the light check of every sync sees."""

NAMED_WINDOWS = 3
"""How many windows that were cut a source names."""


class Quiet:
    """Progress for scripts and tests: silence."""

    def step(self, label: str, done: int, total: int | None) -> None:
        """Say nothing."""


@dataclass(slots=True)
class Outcome:
    """What a run did, for the summary and the exit code.

    `gone` counts sightings that ended, and `unfound` are their works (doi, title). `changes` are what the run announced, as
    `catalogue.changes` gives them, but for tags.
    """

    run: int
    outcome: str = "complete"
    citations: Counter[str] = field(default_factory=Counter)
    matched: set[Doi] = field(default_factory=set)
    landed: Written = field(default_factory=Written)
    rejudged: int = 0
    gone: int = 0
    unfound: tuple[tuple[Doi, str | None], ...] = ()
    refreshed: int = 0
    read: int | None = None
    changes: list[Row] = field(default_factory=list)
    troubles: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[tuple[str, str]] = field(default_factory=list)
    verdicts: dict[str, int] = field(default_factory=dict)
    known_found: int = 0
    known_total: int = 0
    known_missing: tuple[str, ...] = ()
    requests: int = 0
    bytes: int = 0

    def counts(self) -> dict[str, Any]:
        """What the `runs` row keeps; `changes` are numbers by kind."""
        return {
            "citations": dict(sorted(self.citations.items())),
            "matched": len(self.matched),
            "changes": change_log.counts_by_kind(self.changes),
            "sightings": self.landed.sightings,
            "rejects": self.landed.rejects,
            "rejudged": self.rejudged,
            "gone": self.gone,
            "troubles": len(self.troubles),
            "verdicts": self.verdicts,
            "known": [self.known_found, self.known_total],
            "requests": self.requests,
            "bytes": self.bytes,
        }


@dataclass(frozen=True, slots=True)
class Bench:
    """What every stage of one run needs: where to write, whom to ask, by which rules, and when it is."""

    store: Store
    records: RecordSource
    book: Taxonomy
    run: int
    now: Callable[[], datetime]
    started: datetime
    decisions: Mapping[Doi, tuple[Decision, ...]]
    progress: Progress
    quiet: int = search.QUIET

    @property
    def today(self) -> date:
        """The day the run started, UTC."""
        return self.started.date()

    @property
    def bookmark(self) -> str:
        """Where a source harvested to its end in this run may begin next time. Index dates are the provider's, so its clock
        counts where ours is ahead of it."""
        began = min(self.started, self.records.date or self.started)
        return (began.date() - OVERLAP).isoformat()


def sync(
    config: Config,
    store: Store,
    records: RecordSource,
    book: Taxonomy,
    *,
    now: Callable[[], datetime],
    progress: Progress | None = None,
    full: bool = False,
    take: Iterable[Message] = (),
) -> Outcome:
    """Harvest every source of `config` from `records`, refresh known works, judge. The caller holds the lock.

    `full` forgets the bookmarks and reads searches twice as deep, so what a search no longer finds is noticed. `take` are
    records wanted whole, whichever source asks for them.
    """
    rejudge.collect_seldom()
    started = now()
    run = store.start_run(records.name, __version__, iso_time(started))
    outcome = Outcome(run)
    bench = Bench(store, records, book, run, now, started, rejudge.decisions_by_work(store), progress or Quiet(),
                  search.QUIET_FULL if full else search.QUIET)  # fmt: skip
    # What an earlier run did and could not announce, because it was killed, it could not cluster either.
    waiting = bool(store.unannounced())
    try:
        store.set_facets(rejudge.facet_rows(book))
        if queries.any_without_content(store.conn):
            outcome.rejudged += _know_contents(bench)
        known = queries.current_dois(store.conn)
        states = store.register_sources(run, _entries(config))
        for source in config.sources:
            state = states[source.id] if not full else SourceState(None, None)
            _guarded(bench, outcome, source.id, lambda s=source, b=state: _harvest(bench, outcome, s, b))  # type: ignore[misc]
        _guarded(bench, outcome, FILES_SOURCE, lambda: _take(bench, outcome, take))
        _guarded(bench, outcome, REFRESH_SOURCE, lambda: _decided(bench, outcome))
        _guarded(bench, outcome, REFRESH_SOURCE, lambda: _refresh(bench, outcome, known, full))
        store.show_decisions()
        # Decisions are read anew: people decide while a sync runs.
        landed = outcome.landed
        moved = bool(waiting or landed.new or landed.changed or landed.moved)
        outcome.rejudged += rejudge.settle(store, book, run, bench.progress, moved=moved)[0]
        store.set_facets(rejudge.facet_rows(book))  # a value that no tag has any more goes
        _health(bench, outcome, config)
        outcome.outcome = "partial" if outcome.troubles else "complete"
    except BaseException:
        outcome.outcome = "crashed"
        raise
    finally:
        outcome.requests, outcome.bytes = records.requests, records.bytes
        if store.finish_run(run, outcome.outcome, outcome.counts(), iso_time(now())):
            outcome.changes = queries.changes(store.conn, run=run)
    return outcome


def _know_contents(bench: Bench) -> int:
    """After an upgrade: judge the works again before anything is harvested, so that what each said until now is known and a
    correction that comes in is seen as one. Returns how many."""
    judged, _ = rejudge.settle(bench.store, bench.book, bench.run, bench.progress, moved=False)
    bench.store.announce_contents()
    return judged


def _entries(config: Config) -> list[tuple[str, str, str, str]]:
    return [
        *((s.id, s.kind, s.label, s.spec) for s in config.sources),
        (REFRESH_SOURCE, "refresh", "Known works, asked again for changes", "{}"),
        (FILES_SOURCE, "files", "Records taken whole from files", "{}"),
    ]


def _guarded(bench: Bench, outcome: Outcome, source: str, stage: Callable[[], None]) -> None:
    try:
        stage()
    except SourceError as error:
        outcome.troubles.append((source, str(error)))
        bench.store.set_trouble(source, str(error))


def _harvest(bench: Bench, outcome: Outcome, source: ReferenceList | Search, state: SourceState) -> None:
    if isinstance(source, ReferenceList):
        _harvest_references(bench, outcome, source)
    else:
        _harvest_search(bench, outcome, source, state)


# ---------------------------------------------------------------------- reference lists


def _harvest_references(bench: Bench, outcome: Outcome, source: ReferenceList) -> None:
    try:
        citations = references.listed(source, bench.records)
    except UnreadError as error:
        text, digest = serialise_any(error.message)
        place = error.place or f"asked for by {source.of}"
        of = Reject(digest, source.of, str(error), text, place)
        _land(bench, outcome, source.id, [], [], [], rejects=[of])
        raise
    before = {r.citation.position: r for r in queries.current_resolutions(bench.store.conn, source.id)}
    known = set(queries.current_dois(bench.store.conn))
    stands = {position: r for position, r in before.items() if r.doi in known}
    done = 0
    for settled in references.settle(citations, bench.records, stands, deposited=source.of is not None):
        done += len(settled.resolutions)
        bench.progress.step(source.id, done, len(citations))
        verdicts = [_kept(bench.records, before.get(r.citation.position), r) for r in settled.resolutions]
        sightings = [Sighting(r.doi, r.status) for r in verdicts if r.doi]
        unread = [_unread(bench, message, doi) for doi, message in settled.unread]
        _land(bench, outcome, source.id, settled.messages, sightings, settled.aliases, verdicts, rejects=unread)
        outcome.citations.update(r.status for r in verdicts)
    bench.store.retire_citations(bench.run, source.id, len(citations))
    accepted = [r.doi for r in queries.current_resolutions(bench.store.conn, source.id) if r.doi]
    outcome.gone += bench.store.end_sightings(bench.run, source.id, accepted)
    if bench.records.authoritative:
        bench.store.complete_source(bench.run, source.id, bench.bookmark, None)


def _kept(records: RecordSource, before: Resolution | None, now: Resolution) -> Resolution:
    """What Crossref said of a citation stands against a file that does not know the work."""
    if before is None or before.citation != now.citation or now.doi or records.authoritative:
        return now
    return before


# ---------------------------------------------------------------------- searches


def _harvest_search(bench: Bench, outcome: Outcome, source: Search, state: SourceState) -> None:
    """Read a search to its end. A search that could not be read to its end is not complete: it keeps the bookmark it had
    (after a whole read none, so the next run reads it whole), says what is missing, and ends no sighting."""
    since = state.bookmark if bench.records.authoritative else None
    if since is not None and since > bench.bookmark:
        since = None  # a clock that was ahead set it, and what was indexed before that day was never asked for
    if since is None and bench.records.authoritative:
        bench.store.forget_bookmark(source.id)
    before = queries.count_found_by(bench.store.conn, source.id)
    seen: set[Doi] = set()
    cut: list[search.Sweep] = []
    guessed = False
    for number, sweep in enumerate(search.sweep(source, bench.records, since, bench.today, bench.quiet), start=1):
        bench.progress.step(source.id, number, None)
        messages, aliases, held, rejects = _fetch(bench, sweep.hits)
        sightings = [Sighting(held[h.doi], "search", h.rank, h.score) for h in sweep.hits if h.doi in held]
        for odd in sweep.unusable:
            text, digest = serialise_any(odd.item)
            rejects.append(Reject(digest, None, odd.reason, text, search.place(source, sweep, odd.number)))
        places = {s.doi: search.place(source, sweep, s.rank) for s in sightings} if bench.records.authoritative else {}
        seen.update(sighting.doi for sighting in sightings)
        guessed |= sweep.ended == "quiet"
        cut += [sweep] if sweep.ended == "cut" else []
        asked = [_asked(bench, source, sweep)]
        _land(bench, outcome, source.id, messages, sightings, aliases, asked=asked, rejects=rejects, places=places)
    outcome.matched |= seen
    if not bench.records.authoritative:
        return
    if cut:
        raise SourceError(_incomplete(cut))
    gone = _close(bench, source, seen, guessed) if since is None else 0
    outcome.gone += gone
    said = _unhealthy(before, gone, queries.count_found_by(bench.store.conn, source.id))
    outcome.warnings += [(source.id, text) for text in said]
    # What is odd about a whole harvest stays odd until the next one.
    stays = [state.warning] if since is not None and state.warning else []
    bench.store.complete_source(bench.run, source.id, bench.bookmark, "; ".join(dict.fromkeys([*stays, *said])) or None)


def _incomplete(cut: Sequence[search.Sweep]) -> str:
    """What the windows that were cut left out; the first few by name."""
    said = [search.unread(sweep) for sweep in cut[:NAMED_WINDOWS]]
    if more := cut[NAMED_WINDOWS:]:
        said.append(f"{sum(sweep.unread for sweep in more):,} more in {len(more)} other windows")
    return f"not complete: {'; '.join(said)}"


def _close(bench: Bench, source: Search, seen: set[Doi], guessed: bool) -> int:
    """End the sightings of what a whole read no longer found; returns how many.

    Where the read ended at a guess (quiet pages), a work may only rank below them: its sighting stands as long as the
    record we hold says what the search looks for.
    """
    stands = set(seen)
    if guessed:
        matcher = search.Matcher(source)
        missed = [doi for doi in queries.works_found_by(bench.store.conn, source.id) if doi not in seen]
        for doi, _, text in queries.current_records(bench.store.conn, missed):
            message = json.loads(text)
            if matcher.accepts(message, *title_and_abstract(message)):
                stands.add(doi)
    return bench.store.end_sightings(bench.run, source.id, stands)


def _unhealthy(before: int, gone: int, now: int) -> list[str]:
    """What is odd about how many works a search leads to: nothing, far fewer, far more than before."""
    if now == 0:
        return ["it leads to no work at all; look at its phrases"]
    if gone > before * SHRINKAGE:
        return [f"{gone} of the {before} works it led to are no longer found; was it edited, or did Crossref change?"]
    if before >= JUMP_FROM and now > before * JUMP:
        return [f"it leads to {now} works after {before}; are its phrases too wide?"]
    return []


def _fetch(
    bench: Bench, hits: Sequence[search.Hit]
) -> tuple[list[Message], list[tuple[Doi, Doi]], dict[Doi, Doi], list[Reject]]:
    """Whole records of the hits that are new here or were indexed again since; aliases met; hit → DOI it is kept under; and
    what was answered instead of a record.

    A hit without a record (deleted between the two questions) is in none of them.
    """
    stamps = queries.indexed_times(bench.store.conn, [hit.doi for hit in hits])
    wanted = [h.doi for h in hits if h.doi not in stamps or h.indexed is None or h.indexed != stamps[h.doi]]
    found, rejects = _told(bench, (f for batch in bench.records.lookup(wanted) for f in batch))
    held = {doi: doi for doi in stamps}
    held |= {f.requested: f.record_doi for f in found if f.record_doi is not None}
    moved = queries.alias_targets(bench.store.conn, list(held.values()))
    messages = [f.message for f in found if f.message is not None]
    aliases = [pair for f in found for pair in _alias(f)]
    return messages, aliases, {hit: moved.get(doi, doi) for hit, doi in held.items()}, rejects


def _told(bench: Bench, answers: Iterable[LookupResult]) -> tuple[list[LookupResult], list[Reject]]:
    """The answers that are records or say that there is none, and what was answered instead of the record asked for: it has no
    usable DOI, so it proves nothing about that record."""
    found: list[LookupResult] = []
    rejects: list[Reject] = []
    for answer in answers:
        if answer.message is not None and (answer.record_doi is None or doi_of(answer.message) is None):
            rejects.append(_unread(bench, answer.message, answer.requested))
        else:
            found.append(answer)
    return found, rejects


def _alias(found: LookupResult) -> list[tuple[Doi, Doi]]:
    return [(found.requested, found.record_doi)] if found.record_doi and found.record_doi != found.requested else []


def _asked(bench: Bench, source: Search, sweep: search.Sweep) -> SearchRequest:
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
        asked_at=iso_time(bench.now()),
        total=sweep.total,
        scanned=sweep.scanned,
        matched=len(sweep.hits),
        reached=sweep.reached,
        last_match=sweep.last_match,
        recent=sweep.recent,
        ended=sweep.ended,
        unread=sweep.unread,
    )


# ---------------------------------------------------------------------- known works


def _decided(bench: Bench, outcome: Outcome) -> None:
    """Ask for the works that people decided on and that are not here: in a database that is made anew no source may lead to
    them any more, and an old DOI of a work is known from its decisions alone."""
    bench.store.show_decisions()
    wanted = queries.decided_but_not_here(bench.store.conn)
    if not wanted:
        return
    found = [f for batch in bench.records.lookup(wanted) for f in batch]
    _land(
        bench,
        outcome,
        REFRESH_SOURCE,
        [f.message for f in found if f.message is not None],
        [],
        [pair for f in found for pair in _alias(f)],
    )


def _refresh(bench: Bench, outcome: Outcome, known: Sequence[Doi], full: bool) -> None:
    """Ask for every work known before this run, so that a retraction is noticed wherever the work was found.

    A light check of all says which were indexed since we read them: those are fetched whole. A work that the check leaves
    out is asked for by itself: it leads to another DOI now, or Crossref has it no more (404), or no list can carry it.
    """
    gone = {row["doi"] for row in queries.gone_works(bench.store.conn)}
    turn = _whose_turn(bench, gone, full) if bench.records.authoritative else set()
    # The old DOI of a known work is looked at too: it may have a record of its own again.
    asked = list(dict.fromkeys([*known, *queries.former_dois(bench.store.conn)]))
    for start in range(0, len(asked), REFRESH_PART):
        part = asked[start : start + REFRESH_PART]
        bench.progress.step(REFRESH_SOURCE, start, len(asked))
        seen = {s.doi: s for batch in bench.records.check(part) for s in batch}
        held = queries.indexed_times(bench.store.conn, part)
        changed = [d for d, s in seen.items() if d in held and (s.indexed is None or s.indexed != held[d])]
        found, rejects = _told(bench, (f for batch in bench.records.lookup(changed) for f in batch))
        alone: list[LookupResult] = []
        counted: list[Counted] = []
        if bench.records.authoritative:
            left_out = [d for d in part if (d in held) != (d in seen) and (d not in gone or d in seen or d in turn)]
            alone, more = _told(bench, (f for doi in left_out for batch in bench.records.lookup([doi]) for f in batch))
            rejects += more
            counted = [(s.doi, None, s.cited_by) for s in seen.values() if s.doi in held]
        outcome.refreshed += len(part)
        _land(
            bench,
            outcome,
            REFRESH_SOURCE,
            [f.message for f in (*found, *alone) if f.message is not None],
            [],
            [pair for f in (*found, *alone) for pair in _alias(f)],
            rejects=rejects,
            counted=counted,
            absent=[f.requested for f in alone if f.message is None],
            present=[doi for doi in seen if doi in gone],
            confirmed={f.requested for f in alone if f.record_doi == f.requested},
        )
    if bench.records.authoritative:
        _ask_what_notices_are_about(bench, outcome, full)
        bench.store.complete_source(bench.run, REFRESH_SOURCE, bench.bookmark, None)


def _ask_what_notices_are_about(bench: Bench, outcome: Outcome, full: bool) -> None:
    """A notice may name its study by an old DOI that was never known here. So the DOI that a new notice names is asked for where
    no work has it, and later in turn; an alias of a known work lands, and with it the notice shows."""
    targets = queries.unknown_notice_targets(bench.store.conn)
    turn = _whose_turn(bench, targets.keys(), full)
    before = queries.last_complete_run(bench.store.conn, bench.run)
    wanted = [doi for doi, run in targets.items() if run > before or doi in turn]
    found = [f for batch in bench.records.lookup(wanted) for f in batch] if wanted else []
    moved = [pair for f in found for pair in _alias(f)]
    here = queries.indexed_times(bench.store.conn, [doi for _, doi in moved])
    if known := [pair for pair in moved if pair[1] in here]:
        _land(bench, outcome, REFRESH_SOURCE, [], [], known)


def _whose_turn(bench: Bench, dois: Collection[Doi], full: bool) -> set[Doi]:
    """Those of the DOIs, of which no list has anything to say, that are asked for by themselves in this run: every tenth, or
    all in a `full` one."""
    number = queries.sync_count(bench.store.conn)
    return {doi for doi in dois if full or (zlib.crc32(doi.encode()) + number) % ASK_GONE_EVERY == 0}


def _take(bench: Bench, outcome: Outcome, take: Iterable[Message]) -> None:
    for part in _parts(take, search.PART):
        sightings = [Sighting(d, "file") for m in part if (d := doi_of(m))]
        _land(bench, outcome, FILES_SOURCE, part, sightings, ())


# ---------------------------------------------------------------------- landing


def _land(
    bench: Bench,
    outcome: Outcome,
    source: str,
    messages: Sequence[Message],
    sightings: Sequence[Sighting],
    aliases: Sequence[tuple[Doi, Doi]],
    resolutions: Sequence[Resolution] = (),
    asked: Sequence[SearchRequest] = (),
    *,
    rejects: Sequence[Reject] = (),
    places: Mapping[Doi, str] | None = None,
    counted: Sequence[Counted] = (),
    absent: Sequence[Doi] = (),
    present: Sequence[Doi] = (),
    confirmed: Collection[Doi] = (),
) -> None:
    """Land what a page brought, and all that its aliases move, in one transaction.

    `rejects` were found on the way here; `places` says of a record where it stood, for those that turn out not to be
    understood. `counted` is what a light check said; `absent` are the known works that Crossref has no record of, `present`
    those that it lists. `confirmed` are DOIs that were asked for by themselves and answered under their own name.
    """
    listed = _listed(bench, messages, confirmed)
    moved = listed | _leading_elsewhere(bench, messages, sightings, resolutions, confirmed)
    moved = {alias: moved.get(doi, doi) for alias, doi in moved.items()}
    messages = [message for message in messages if doi_of(message) not in moved]
    sightings = [replace(s, doi=moved.get(s.doi, s.doi)) for s in sightings]
    resolutions = [replace(r, doi=moved.get(r.doi, r.doi)) if r.doi else r for r in resolutions]
    moving = listed | dict(aliases)
    arriving, joined, strange = _arriving(bench, messages, moving)
    records, unread, unchanged = _records(bench, [*messages, *arriving], moving if joined else {}, places or {})
    records += _joined(bench, joined - {record.doi for record in records}, moving)
    landing = HarvestedPage(
        records,
        sightings,
        list(moving.items()),
        [*rejects, *strange, *unread],
        resolutions,
        asked,
        counted=[*counted, *unchanged],
        absent=absent,
        present=[*present, *filter(None, map(doi_of, messages))] if bench.records.authoritative else (),
    )
    outcome.landed += bench.store.write_page(bench.run, source, landing)


def _leading_elsewhere(
    bench: Bench,
    messages: Sequence[Message],
    sightings: Sequence[Sighting],
    resolutions: Sequence[Resolution],
    confirmed: Collection[Doi],
) -> dict[Doi, Doi]:
    """The DOIs of a page that are aliases of works here. A file may be older than the alias, and a list may show it for a while:
    only a DOI that was asked for by itself has a record of its own again."""
    dois = {doi for message in messages if (doi := doi_of(message))} | {s.doi for s in sightings}
    dois |= {r.doi for r in resolutions if r.doi}
    moved = queries.alias_targets(bench.store.conn, sorted(dois.difference(confirmed)))
    here = queries.indexed_times(bench.store.conn, sorted(set(moved.values())))
    return {alias: doi for alias, doi in moved.items() if doi in here}


def _listed(bench: Bench, messages: Sequence[Message], confirmed: Collection[Doi]) -> dict[Doi, Doi]:
    """The aliases that records list, each with the DOI it leads to; of two records that list each other the first counts. A
    file does not speak against a record that was indexed after its own, nor a record that cannot be understood at all."""
    found: dict[Doi, Doi] = {}
    for message in messages:
        doi, names = doi_of(message), listed_aliases(message)
        if doi is None or not names or not _understood(message):
            continue
        held = {} if bench.records.authoritative else queries.indexed_times(bench.store.conn, names)
        indexed = indexed_at(message) or ""
        for name in names:
            if name not in confirmed and found.get(doi) != name and (held.get(name) or "") <= indexed:
                found[name] = doi
    return found


def _understood(message: Message) -> bool:
    try:
        normalise(message)
    except RecordError:
        return False
    return True


def _arriving(
    bench: Bench, messages: Sequence[Message], moving: Mapping[Doi, Doi]
) -> tuple[list[Message], set[Doi], list[Reject]]:
    """The works that aliases lead known ones to: their records where we have none yet, and their DOIs. They land together with
    the alias, so that a work is never lost between two DOIs. Also what was answered instead of a record."""
    conn = bench.store.conn
    ends = {moving.get(moving[doi], moving[doi]) for doi in queries.indexed_times(conn, sorted(moving))}
    ends = {queries.canonical_doi(conn, doi) for doi in ends}
    here = {doi_of(message) for message in messages} | queries.indexed_times(conn, sorted(ends)).keys()
    wanted = sorted(ends - here)
    batches = bench.records.lookup(wanted) if wanted else ()
    found, rejects = _told(bench, (f for batch in batches for f in batch))
    return [f.message for f in found if f.message is not None], ends, rejects


def _joined(bench: Bench, dois: Collection[Doi], moving: Mapping[Doi, Doi]) -> list[JudgedRecord]:
    """Works whose records stand, judged again with the words that were said of those that move to them."""
    decisions = rejudge.decisions_by_work(bench.store, moving) if dois else {}
    return [
        record
        for doi, checksum, raw in queries.current_records(bench.store.conn, sorted(dois))
        if (record := rejudge.read_and_judge(json.loads(raw), doi, checksum, raw, bench.book, decisions)).work
    ]


def _records(
    bench: Bench, messages: Sequence[Message], moving: Mapping[Doi, Doi], places: Mapping[Doi, str]
) -> tuple[list[JudgedRecord], list[Reject], list[Counted]]:
    """The messages whose content is new, normalised and judged; those that cannot be understood, with the reason; what is said
    anew of those whose content stands. `moving` are aliases about to land with them, and the words said of these count.
    Whatever a message holds, the others land."""
    latest: dict[Doi, Message] = {}
    rejects: list[Reject] = []
    for message in messages:
        if (doi := doi_of(message)) is None:
            text, digest = serialise_any(message)
            rejects.append(Reject(digest, None, missing_doi_reason(message), text))
        else:
            latest[doi] = message
    current = bench.store.digests_and_bases(list(latest))
    held = queries.indexed_times(bench.store.conn, list(latest))
    decisions = rejudge.decisions_by_work(bench.store, moving) if moving else bench.decisions
    records = []
    counted: list[Counted] = []
    for doi, message in latest.items():
        try:
            raw, checksum = serialise(message)
        except RecordError as error:
            text, digest = serialise_any(message)
            rejects.append(Reject(digest, doi, str(error), text, places.get(doi) or _place(bench.records, doi)))
            continue
        indexed, before = indexed_at(message), held.get(doi)
        if (indexed or "") < (before or ""):
            continue  # older than what stands (a file read after a harvest)
        if current.get(doi, ("", ""))[0] == checksum:
            anew = indexed if indexed != before else None
            if anew or bench.records.authoritative:
                counted.append((doi, anew, cited_by(message)))
            continue
        record = rejudge.read_and_judge(message, doi, checksum, raw, bench.book, decisions)
        if record.work is None:
            place = places.get(doi) or _place(bench.records, doi)
            rejects.append(Reject(checksum, doi, record.basis, record.message, place))
        records.append(record)
    return records, rejects, counted


def _unread(bench: Bench, message: object, asked: Doi) -> Reject:
    """What was answered when a record was asked for, and cannot be told to be that record, or cannot be understood."""
    text, digest = serialise_any(message)
    try:
        normalise(message)  # type: ignore[arg-type]  # it says what is wrong with anything
        reason = "the record has another DOI"
    except RecordError as error:
        reason = str(error)
    return Reject(digest, asked, reason, text, _place(bench.records, asked))


def _place(records: RecordSource, doi: Doi) -> str:
    """Where the record of this DOI stands: in a file, on a line; at Crossref, under the DOI it is asked for by."""
    found = next((f for batch in records.lookup([doi]) for f in batch), None) if not records.authoritative else None
    return found.place if found and found.place else f"asked for by {doi}"


def _health(bench: Bench, outcome: Outcome, config: Config) -> None:
    conn = bench.store.conn
    moved = queries.alias_targets(conn, config.known)
    found = queries.found_by_search(conn, sorted({moved.get(d, d) for d in config.known}))
    missing = tuple(d for d in config.known if moved.get(d, d) not in found)
    unfound = queries.works_no_longer_found(conn, bench.run)
    titles = queries.titles(conn, unfound)
    outcome.unfound = tuple((doi, titles.get(doi)) for doi in unfound)
    outcome.known_total, outcome.known_found, outcome.known_missing = len(config.known), len(found), missing
    outcome.verdicts = queries.verdict_counts(conn)


def reject(outcome: Outcome, store: Store, entries: Iterable[Unreadable]) -> None:
    """Keep the lines and entries of files that are no records."""
    rejects = [Reject(_sha(e.text), e.doi, e.reason, e.text, e.where) for e in entries]
    outcome.landed += store.write_page(outcome.run, FILES_SOURCE, HarvestedPage(rejects=rejects))


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:32]


def _parts(items: Iterable[Message], size: int) -> Iterator[list[Message]]:
    part: list[Message] = []
    for item in items:
        part.append(item)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part
