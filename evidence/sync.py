"""The order of the stages, and what each failure stops.

`sync` asks a door, lets the pure stages make sense of the answers, and hands whole pages to the store. Network never
happens inside a transaction. A source that fails stops alone: the others go on and the run ends `partial`. No SQL here,
no HTTP, no printing.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from evidence import __version__, catalogue, reconsider, references, search
from evidence.archive import Unreadable
from evidence.config import FILES_SOURCE, REFRESH_SOURCE, Config, ReferenceList, Search
from evidence.errors import RecordError, SourceError, UnreadError
from evidence.model import Decision, Doi, Door, Found, Message, Resolution
from evidence.normalise import doi_of, indexed_at, kept, normalise, without_doi, written
from evidence.reconsider import Progress
from evidence.rulebook import Rulebook
from evidence.store import Asked, Landed, Landing, Record, Reject, Sighting, SourceState, Store

OVERLAP = timedelta(days=2)
"""A bookmark lies this far before the start of its run: index dates have day resolution and clocks differ."""

SHRINKAGE, JUMP, JUMP_FROM = 0.2, 2.0, 20
"""A search is odd when a whole harvest misses a fifth of what it led to, or doubles what was at least twenty works."""

REFRESH_PART = 500


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

    `full` forgets the bookmarks, so what a search no longer finds is noticed. `take` are records wanted whole,
    whichever source asks for them.
    """
    reconsider.collect_seldom()
    started = now()
    run = store.start_run(door.name, __version__, _iso(started))
    outcome = Outcome(run)
    bench = Bench(store, door, book, run, now, started, reconsider.decisions_by_work(store), progress or Quiet())
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
    try:
        citations = references.listed(source, bench.door)
    except UnreadError as error:
        text, digest = kept(error.message)
        place = error.place or f"asked for by {source.of}"
        of = Reject(digest, source.of, str(error), text, place)
        _land(bench, outcome, source.id, [], [], [], rejects=[of])
        raise
    before = {r.citation.position: r for r in catalogue.resolutions(bench.store.conn, source.id)}
    known = set(catalogue.dois(bench.store.conn))
    stands = {position: r for position, r in before.items() if r.doi in known}
    done = 0
    for settled in references.settle(citations, bench.door, stands, deposited=source.of is not None):
        done += len(settled.resolutions)
        bench.progress.step(source.id, done, len(citations))
        verdicts = [_kept(bench.door, before.get(r.citation.position), r) for r in settled.resolutions]
        sightings = [Sighting(r.doi, r.status) for r in verdicts if r.doi]
        unread = [_unread(bench, message, doi) for doi, message in settled.unread]
        _land(bench, outcome, source.id, settled.messages, sightings, settled.aliases, verdicts, rejects=unread)
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
    since = state.bookmark if _is_crossref(bench.door) else None
    before = catalogue.led_to(bench.store.conn, source.id)
    seen: set[Doi] = set()
    cut: list[str] = []
    for number, sweep in enumerate(search.sweep(source, bench.door, since, bench.today), start=1):
        bench.progress.step(source.id, number, None)
        messages, aliases, held, rejects = _fetch(bench, sweep.hits)
        sightings = [Sighting(held[h.doi], "search", h.rank, h.score) for h in sweep.hits if h.doi in held]
        rejects += [Reject(digest, u.doi, u.reason, text, f"rank {u.rank} of a page")
                    for u in sweep.unread for text, digest in [kept(u.item)]]  # fmt: skip
        places = {sighting.doi: f"rank {sighting.rank} of a page" for sighting in sightings}
        seen.update(sighting.doi for sighting in sightings)
        if sweep.truncated and sweep.window:
            cut.append(sweep.window.since)
        asked = [_asked(bench, source, sweep)]
        _land(bench, outcome, source.id, messages, sightings, aliases, asked=asked, rejects=rejects, places=places)
    outcome.matched |= seen
    if not _is_crossref(bench.door):
        return
    gone = bench.store.close_sightings(bench.run, source.id, seen) if since is None else 0
    outcome.gone += gone
    said = _unhealthy(before, gone, catalogue.led_to(bench.store.conn, source.id))
    if cut:
        days = ", ".join(cut)
        said.append(f"more records matched on {days} than Crossref gives at once, so some may be missing")
    outcome.warnings += [(source.id, text) for text in said]
    # What a whole harvest could not see, the increments after it cannot see either: its warning stays.
    stays = [state.warning] if since is not None and state.warning else []
    bench.store.complete_source(bench.run, source.id, bench.bookmark, "; ".join(dict.fromkeys([*stays, *said])) or None)


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
    stamps = catalogue.indexed(bench.store.conn, [hit.doi for hit in hits])
    wanted = [h.doi for h in hits if h.doi not in stamps or h.indexed is None or h.indexed != stamps[h.doi]]
    messages: list[Message] = []
    aliases: list[tuple[Doi, Doi]] = []
    rejects: list[Reject] = []
    held = {doi: doi for doi in stamps}
    for batch in bench.door.lookup(wanted):
        for found in batch:
            if found.message is not None and found.answered is not None:
                messages.append(found.message)
                aliases += _alias(found)
                held[found.asked] = found.answered
            elif found.message is not None:
                rejects.append(_unread(bench, found.message, found.asked))
    return messages, aliases, held, rejects


def _alias(found: Found) -> list[tuple[Doi, Doi]]:
    return [(found.asked, found.answered)] if found.answered and found.answered != found.asked else []


def _asked(bench: Bench, source: Search, sweep: search.Sweep) -> Asked:
    window = sweep.window
    return Asked(
        query="; ".join(f"query.{name}={value}" for name, value in source.query.fields),
        filters="; ".join(f"{name}:{value}" for name, values in source.query.filters for value in values),
        window_by=window.by if window else None,
        since=window.since if window else None,
        until=window.until if window else None,
        asked_at=_iso(bench.now()),
        total=sweep.total,
        scanned=sweep.scanned,
        matched=len(sweep.hits),
        truncated=sweep.truncated,
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
            messages = [f.message for f in found if f.message is not None and f.answered is not None]
            unread = [_unread(bench, f.message, f.asked) for f in found if f.answered is None]
            _land(bench, outcome, REFRESH_SOURCE, messages, [], aliases, rejects=unread)
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
    rejects: Sequence[Reject] = (),
    places: Mapping[Doi, str] | None = None,
) -> None:
    """Land one page. `rejects` were found on the way here; `places` says of a record where it stood, for those that turn
    out not to be understood."""
    records, unread = _records(bench, messages, places or {})
    before = catalogue.notices(bench.store.conn, [r.doi for r in records])
    landing = Landing(records, sightings, aliases, [*rejects, *unread], resolutions, asked)
    outcome.landed += bench.store.land(bench.run, source, landing)
    after = catalogue.notices(bench.store.conn, [r.doi for r in records])
    outcome.notices += [after[key] for key in sorted(after.keys() - before.keys())]


def _records(bench: Bench, messages: Sequence[Message], places: Mapping[Doi, str]) -> tuple[list[Record], list[Reject]]:
    """The messages whose content is new, normalised and judged; those that cannot be understood, with the reason. Whatever a
    message holds, the others land."""
    latest: dict[Doi, Message] = {}
    rejects: list[Reject] = []
    for message in messages:
        if (doi := doi_of(message)) is None:
            text, digest = kept(message)
            rejects.append(Reject(digest, None, without_doi(message), text))
        else:
            latest[doi] = message
    current = bench.store.current(list(latest))
    held = catalogue.indexed(bench.store.conn, list(latest))
    records = []
    for doi, message in latest.items():
        try:
            raw, checksum = written(message)
        except RecordError as error:
            text, digest = kept(message)
            rejects.append(Reject(digest, doi, str(error), text, places.get(doi) or _place(bench.door, doi)))
            continue
        if current.get(doi, ("", ""))[0] == checksum or (indexed_at(message) or "") < (held.get(doi) or ""):
            continue  # the same content, or older than what stands (a file read after a harvest)
        record = reconsider.read_and_judge(message, doi, checksum, raw, bench.book, bench.decisions)
        if record.work is None:
            place = places.get(doi) or _place(bench.door, doi)
            rejects.append(Reject(checksum, doi, record.basis, record.message, place))
        records.append(record)
    return records, rejects


def _unread(bench: Bench, message: object, asked: Doi) -> Reject:
    """What was answered when a record was asked for, and cannot be told to be that record, or cannot be understood."""
    text, digest = kept(message)
    try:
        normalise(message)  # type: ignore[arg-type]  # it says what is wrong with anything
        reason = "the record has another DOI"
    except RecordError as error:
        reason = str(error)
    return Reject(digest, asked, reason, text, _place(bench.door, asked))


def _place(door: Door, doi: Doi) -> str:
    """Where the record of this DOI stands: in a file, on a line; at Crossref, under the DOI it is asked for by."""
    found = next((f for batch in door.lookup([doi]) for f in batch), None) if not _is_crossref(door) else None
    return found.place if found and found.place else f"asked for by {doi}"


def _health(bench: Bench, outcome: Outcome, config: Config) -> None:
    conn = bench.store.conn
    found = catalogue.found_by_search(conn, config.known)
    missing = tuple(d for d in config.known if d not in found)
    outcome.known_total, outcome.known_found, outcome.known_missing = len(config.known), len(found), missing
    outcome.verdicts = catalogue.verdicts(conn)


def reject(outcome: Outcome, store: Store, entries: Iterable[Unreadable]) -> None:
    """Keep the lines and entries of files that are no records."""
    rejects = [Reject(_sha(e.text), e.doi, e.reason, e.text, e.where) for e in entries]
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
