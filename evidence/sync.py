"""The order of the stages, and what each failure stops.

`sync` asks a door, lets the pure stages make sense of the answers, and hands whole pages to the store. Network never
happens inside a transaction. A source that fails stops alone: the others go on and the run ends `partial`. No SQL here,
no HTTP, no printing.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from evidence import __version__, catalogue, reconsider, references, search
from evidence.config import FILES_SOURCE, REFRESH_SOURCE, Config, ReferenceList, Search
from evidence.errors import SourceError
from evidence.model import Decision, Doi, Door, Found, Message, Resolution
from evidence.normalise import doi_of, indexed_at, searchable, written
from evidence.reconsider import Progress
from evidence.rulebook import Rulebook
from evidence.store import Asked, Landed, Landing, Record, Reject, Sighting, SourceState, Store

OVERLAP = timedelta(days=2)
"""A bookmark lies this far before the start of its run: index dates have day resolution and clocks differ."""

SHRINKAGE, JUMP, JUMP_FROM = 0.2, 2.0, 20
"""A search is odd when a whole harvest misses a fifth of what it led to, or doubles what was at least twenty works."""

REFRESH_PART = 500

NAMED_WINDOWS = 3
"""How many windows that were cut a source names."""


class Quiet:
    """Progress for scripts and tests: silence."""

    def step(self, label: str, done: int, total: int | None) -> None:
        """Say nothing."""


@dataclass(slots=True)
class Outcome:
    """What a run did, for the summary and the exit code."""

    run: int
    outcome: str = "complete"
    citations: Counter[str] = field(default_factory=Counter)
    matched: set[Doi] = field(default_factory=set)
    landed: Landed = field(default_factory=Landed)
    rejudged: int = 0
    gone: int = 0
    refreshed: int = 0
    read: int | None = None
    notices: list[tuple[str, str, str, str]] = field(default_factory=list)
    reopened: tuple[Doi, ...] = ()
    troubles: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[tuple[str, str]] = field(default_factory=list)
    verdicts: dict[str, int] = field(default_factory=dict)
    known_found: int = 0
    known_total: int = 0
    known_missing: tuple[str, ...] = ()
    requests: int = 0
    bytes: int = 0

    def counts(self) -> dict[str, Any]:
        """What the `runs` row keeps."""
        return {
            "citations": dict(sorted(self.citations.items())),
            "matched": len(self.matched),
            "new": len(set(self.landed.new)),
            "changed": len(set(self.landed.changed)),
            "sightings": self.landed.sightings,
            "rejects": self.landed.rejects,
            "rejudged": self.rejudged,
            "gone": self.gone,
            "notices": len(self.notices),
            "noticed": sorted({(doi, kind) for doi, kind, _, verdict in self.notices if verdict != "exclude"}),
            "reopened": self.reopened,
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
    door: Door
    book: Rulebook
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
        """Where a source harvested to its end in this run may begin next time."""
        return (self.started.date() - OVERLAP).isoformat()


def sync(
    config: Config,
    store: Store,
    door: Door,
    book: Rulebook,
    *,
    now: Callable[[], datetime],
    progress: Progress | None = None,
    full: bool = False,
    take: Iterable[Message] = (),
) -> Outcome:
    """Harvest every source of `config` through `door`, refresh known works, judge. The caller holds the lock.

    `full` forgets the bookmarks and reads searches twice as deep, so what a search no longer finds is noticed. `take` are
    records wanted whole, whichever source asks for them.
    """
    reconsider.collect_seldom()
    started = now()
    run = store.start_run(door.name, __version__, _iso(started))
    outcome = Outcome(run)
    bench = Bench(store, door, book, run, now, started, reconsider.decisions_by_work(store), progress or Quiet(),
                  search.QUIET_FULL if full else search.QUIET)  # fmt: skip
    try:
        store.set_facets(reconsider.facet_rows(book))
        known = catalogue.dois(store.conn)
        in_conflict = {row["doi"] for row in catalogue.conflicts(store.conn)}
        states = store.register(run, _entries(config))
        for source in config.sources:
            state = states[source.id] if not full else SourceState(None, None)
            _guarded(bench, outcome, source.id, lambda s=source, b=state: _harvest(bench, outcome, s, b))  # type: ignore[misc]
        _guarded(bench, outcome, FILES_SOURCE, lambda: _take(bench, outcome, take))
        _guarded(bench, outcome, REFRESH_SOURCE, lambda: _refresh(bench, outcome, known, states[REFRESH_SOURCE]))
        store.show_decisions()
        # Read anew: people decide while a sync runs.
        outcome.rejudged, turned = reconsider.rejudge(
            store, book, run, reconsider.decisions_by_work(store), bench.progress
        )
        reconsider.find_duplicates(store, run, moved=turned or bool(outcome.landed.new or outcome.landed.changed))
        outcome.reopened = tuple(
            Doi(row["doi"]) for row in catalogue.conflicts(store.conn) if row["doi"] not in in_conflict
        )
        _health(bench, outcome, config)
        outcome.outcome = "partial" if outcome.troubles else "complete"
    except BaseException:
        outcome.outcome = "crashed"
        raise
    finally:
        outcome.requests, outcome.bytes = door.requests, door.bytes
        store.finish_run(run, outcome.outcome, outcome.counts(), _iso(now()))
    return outcome


def _is_crossref(door: Door) -> bool:
    """Only Crossref knows the whole of it and can be asked what changed since a day.

    A file's silence says nothing: reading files moves no bookmark, ends no sighting and takes back no verdict, so a
    `sync` after a demo still harvests everything.
    """
    return door.name == "crossref"


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
        bench.store.trouble_source(source, str(error))


def _harvest(bench: Bench, outcome: Outcome, source: ReferenceList | Search, state: SourceState) -> None:
    if isinstance(source, ReferenceList):
        _harvest_references(bench, outcome, source)
    else:
        _harvest_search(bench, outcome, source, state)


# ---------------------------------------------------------------------- reference lists


def _harvest_references(bench: Bench, outcome: Outcome, source: ReferenceList) -> None:
    citations = references.listed(source, bench.door)
    before = {r.citation.position: r for r in catalogue.resolutions(bench.store.conn, source.id)}
    known = set(catalogue.dois(bench.store.conn))
    stands = {position: r for position, r in before.items() if r.doi in known}
    done = 0
    for settled in references.settle(citations, bench.door, stands, deposited=source.of is not None):
        done += len(settled.resolutions)
        bench.progress.step(source.id, done, len(citations))
        verdicts = [_kept(bench.door, before.get(r.citation.position), r) for r in settled.resolutions]
        sightings = [Sighting(r.doi, r.status) for r in verdicts if r.doi]
        _land(bench, outcome, source.id, settled.messages, sightings, settled.aliases, verdicts)
        outcome.citations.update(r.status for r in verdicts)
    bench.store.retire_citations(bench.run, source.id, len(citations))
    accepted = [r.doi for r in catalogue.resolutions(bench.store.conn, source.id) if r.doi]
    outcome.gone += bench.store.close_sightings(bench.run, source.id, accepted)
    if _is_crossref(bench.door):
        bench.store.complete_source(bench.run, source.id, bench.bookmark, None)


def _kept(door: Door, before: Resolution | None, now: Resolution) -> Resolution:
    """What Crossref said of a citation stands against a file that does not know the work."""
    if before is None or before.citation != now.citation or now.doi or _is_crossref(door):
        return now
    return before


# ---------------------------------------------------------------------- searches


def _harvest_search(bench: Bench, outcome: Outcome, source: Search, state: SourceState) -> None:
    """Read a search to its end. A search that could not be read to its end is not complete: it keeps the bookmark it had
    (after a whole read none, so the next run reads it whole), says what is missing, and ends no sighting."""
    since = state.bookmark if _is_crossref(bench.door) else None
    if since is None and _is_crossref(bench.door):
        bench.store.begin_source(source.id)
    before = catalogue.led_to(bench.store.conn, source.id)
    seen: set[Doi] = set()
    cut: list[search.Sweep] = []
    guessed = False
    for number, sweep in enumerate(search.sweep(source, bench.door, since, bench.today, bench.quiet), start=1):
        bench.progress.step(source.id, number, None)
        messages, aliases, kept = _fetch(bench, sweep.hits)
        sightings = [Sighting(kept[h.doi], "search", h.rank, h.score) for h in sweep.hits if h.doi in kept]
        seen.update(sighting.doi for sighting in sightings)
        guessed |= sweep.ended == "quiet"
        cut += [sweep] if sweep.ended == "cut" else []
        _land(bench, outcome, source.id, messages, sightings, aliases, asked=[_asked(bench, source, sweep)])
    outcome.matched |= seen
    if not _is_crossref(bench.door):
        return
    if cut:
        raise SourceError(_incomplete(cut))
    gone = _close(bench, source, seen, guessed) if since is None else 0
    outcome.gone += gone
    said = _unhealthy(before, gone, catalogue.led_to(bench.store.conn, source.id))
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
        missed = [doi for doi in catalogue.sighted(bench.store.conn, source.id) if doi not in seen]
        for doi, _, text in catalogue.standing(bench.store.conn, missed):
            message = json.loads(text)
            if matcher.accepts(message, *searchable(message)):
                stands.add(doi)
    return bench.store.close_sightings(bench.run, source.id, stands)


def _unhealthy(before: int, gone: int, now: int) -> list[str]:
    """What is odd about how many works a search leads to: nothing, far fewer, far more than before."""
    if now == 0:
        return ["it leads to no work at all; look at its phrases"]
    if gone > before * SHRINKAGE:
        return [f"{gone} of the {before} works it led to are no longer found; was it edited, or did Crossref change?"]
    if before >= JUMP_FROM and now > before * JUMP:
        return [f"it leads to {now} works after {before}; are its phrases too wide?"]
    return []


def _fetch(bench: Bench, hits: Sequence[search.Hit]) -> tuple[list[Message], list[tuple[Doi, Doi]], dict[Doi, Doi]]:
    """Whole records of the hits that are new here or were indexed again since; aliases met; hit → DOI it is kept under.

    A hit without a record (deleted between the two questions) is in none of them.
    """
    stamps = catalogue.indexed(bench.store.conn, [hit.doi for hit in hits])
    wanted = [h.doi for h in hits if h.doi not in stamps or h.indexed is None or h.indexed != stamps[h.doi]]
    messages: list[Message] = []
    aliases: list[tuple[Doi, Doi]] = []
    kept = {doi: doi for doi in stamps}
    for batch in bench.door.lookup(wanted):
        for found in batch:
            if found.message is not None and found.answered is not None:
                messages.append(found.message)
                aliases += _alias(found)
                kept[found.asked] = found.answered
    return messages, aliases, kept


def _alias(found: Found) -> list[tuple[Doi, Doi]]:
    return [(found.asked, found.answered)] if found.answered and found.answered != found.asked else []


def _asked(bench: Bench, source: Search, sweep: search.Sweep) -> Asked:
    window = sweep.window
    return Asked(
        query="; ".join(f"query.{name}={value}" for name, value in source.query.fields),
        filters="; ".join(f"{name}:{value}" for name, values in source.query.filters for value in values),
        spec=source.spec,
        created_from=window.created_from,
        created_until=window.created_until,
        indexed_from=window.indexed_from,
        offset=sweep.offset,
        sort="created" if sweep.by_creation else "relevance",
        asked_at=_iso(bench.now()),
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


def _refresh(bench: Bench, outcome: Outcome, known: Sequence[Doi], state: SourceState) -> None:
    """Ask again for the works known before this run, so that a retraction is noticed wherever it was found.

    Crossref is asked what changed since the last time; but for a record that came from a file, whose age nobody knows,
    and for every record when no refresh has come to its end yet, it is asked for the record as it is now.
    """
    from_files = set(catalogue.from_files(bench.store.conn)) if state.bookmark else set(known)
    questions = [
        ([d for d in known if d in from_files], None),
        ([d for d in known if d not in from_files], state.bookmark),
    ]
    for dois, since in questions if _is_crossref(bench.door) else [(list(known), None)]:
        for start in range(0, len(dois), REFRESH_PART):
            part = dois[start : start + REFRESH_PART]
            bench.progress.step(REFRESH_SOURCE, start, len(dois))
            found = [f for batch in bench.door.lookup(part, since) for f in batch if f.message is not None]
            aliases = [pair for f in found for pair in _alias(f)]
            outcome.refreshed += len(part)
            _land(bench, outcome, REFRESH_SOURCE, [f.message for f in found if f.message], [], aliases)
    if _is_crossref(bench.door):
        bench.store.complete_source(bench.run, REFRESH_SOURCE, bench.bookmark, None)


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
    asked: Sequence[Asked] = (),
) -> None:
    records, rejects = _records(bench, messages)
    before = catalogue.notices(bench.store.conn, [r.doi for r in records])
    landing = Landing(records, sightings, aliases, rejects, resolutions, asked)
    outcome.landed += bench.store.land(bench.run, source, landing)
    after = catalogue.notices(bench.store.conn, [r.doi for r in records])
    outcome.notices += [after[key] for key in sorted(after.keys() - before.keys())]


def _records(bench: Bench, messages: Sequence[Message]) -> tuple[list[Record], list[Reject]]:
    """The messages whose content is new, normalised and judged; those that cannot be understood, with the reason."""
    latest: dict[Doi, Message] = {}
    rejects: list[Reject] = []
    for message in messages:
        if (doi := doi_of(message)) is None:
            text, _ = written(message)
            rejects.append(Reject(_sha(text), None, "this record has no usable DOI", text))
        else:
            latest[doi] = message
    current = bench.store.current(list(latest))
    held = catalogue.indexed(bench.store.conn, list(latest))
    records = []
    for doi, message in latest.items():
        raw, checksum = written(message)
        if current.get(doi, ("", ""))[0] == checksum or (indexed_at(message) or "") < (held.get(doi) or ""):
            continue  # the same content, or older than what stands (a file read after a harvest)
        record = reconsider.read_and_judge(message, doi, checksum, raw, bench.book, bench.decisions)
        if record.work is None:
            rejects.append(Reject(_sha(record.message), doi, record.basis, record.message))
        records.append(record)
    return records, rejects


def _health(bench: Bench, outcome: Outcome, config: Config) -> None:
    conn = bench.store.conn
    found = catalogue.found_by_search(conn, config.known)
    missing = tuple(d for d in config.known if d not in found)
    outcome.known_total, outcome.known_found, outcome.known_missing = len(config.known), len(found), missing
    outcome.verdicts = catalogue.verdicts(conn)


def reject(outcome: Outcome, store: Store, entries: Iterable[tuple[str, str, str]]) -> None:
    """Keep the lines of files that are no records: (where, reason, text)."""
    rejects = [Reject(_sha(text), None, f"{where}: {reason}", text) for where, reason, text in entries]
    outcome.landed += store.land(outcome.run, FILES_SOURCE, Landing(rejects=rejects))


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:32]


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _parts(items: Iterable[Message], size: int) -> Iterator[list[Message]]:
    part: list[Message] = []
    for item in items:
        part.append(item)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part
