"""One page of harvested records → the database: aliases followed, records normalised and judged, all in one transaction.

A record that cannot be understood is kept among the rejects and never stops the others. May not decide which records are
harvested; no SQL here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain

from evidence.crossref.entries_of_files import Unreadable
from evidence.crossref.normalise import doi_of, normalise, serialise_any
from evidence.data_model import Decision, Doi, LookupResult, Message, RecordSource, Resolution
from evidence.database import read_queries
from evidence.database.values_for_writer import Counted, HarvestedPage, JudgedRecord, Reject, SearchRequest, Sighting
from evidence.database.writer import Store
from evidence.doi import is_local
from evidence.errors import RecordError
from evidence.harvest import rejudge
from evidence.harvest.judge_records import RecordToJudge, judge_record, judged_record
from evidence.harvest.read_record import ReadRecord
from evidence.harvest.read_record import read as read_record
from evidence.harvest.run_outcome import Outcome, SyncRun
from evidence.harvest.sources import FILES_SOURCE
from evidence.providers.combine import ProviderRecord
from evidence.rules.taxonomy import Taxonomy


def ingest(
    run: SyncRun,
    source: str,
    messages: Sequence[Message] = (),
    sightings: Sequence[Sighting] = (),
    aliases: Sequence[tuple[Doi, Doi]] = (),
    *,
    resolutions: Sequence[Resolution] = (),
    requests: Sequence[SearchRequest] = (),
    rejects: Sequence[Reject] = (),
    places: Mapping[Doi, str] | None = None,
    counted: Sequence[Counted] = (),
    absent: Sequence[Doi] = (),
    present: Sequence[Doi] = (),
    confirmed: Collection[Doi] = (),
    read: Sequence[ReadRecord] = (),
) -> None:
    """Write what a page of `source` brought, and all that its aliases move, in one transaction.

    `rejects` were found on the way here; `places` says where a record was, in case it cannot be understood. `counted` are
    results of a light check; `absent` are the known works that Crossref has no record of, `present` those that it lists.
    `confirmed` are DOIs that were looked up one by one and have a record of their own. `read` are records of the page that
    were read before.
    """
    page_records = [*map(read_record, messages), *read]
    listed = _aliases_listed(run, page_records, confirmed)
    moved = listed | _known_aliases(run, page_records, sightings, resolutions, confirmed)
    moved = {alias: moved.get(doi, doi) for alias, doi in moved.items()}
    page_records = [record for record in page_records if record.doi not in moved]
    sightings = [replace(s, doi=moved[s.doi]) if s.doi in moved else s for s in sightings]
    resolutions = [replace(r, doi=moved[r.doi]) if r.doi in moved else r for r in resolutions]
    moving = listed | dict(aliases)
    arriving, targets, unusable = _alias_targets(run, page_records, moving)
    arrived = [*page_records, *map(read_record, arriving)]
    records, not_understood, unchanged = _judged(run, arrived, moving if targets else {}, places or {})
    records += _judged_again(run, targets - {record.doi for record in records}, moving)
    page = HarvestedPage(
        records,
        sightings,
        list(moving.items()),
        [*rejects, *unusable, *not_understood],
        resolutions,
        requests,
        counted=[*counted, *unchanged],
        absent=absent,
        present=[*present, *(record.doi for record in page_records if record.doi)] if run.records.authoritative else (),
    )
    run.outcome.written += run.store.write_page(run.number, source, page)


def ingest_unreadable(store: Store, outcome: Outcome, entries: Iterable[Unreadable]) -> None:
    """Keep the lines and entries of files that are no records among the rejects."""
    rejects = [Reject(_digest(e.text), e.doi, e.reason, e.text, e.where) for e in entries]
    outcome.written += store.write_page(outcome.run, FILES_SOURCE, HarvestedPage(rejects=rejects))


def look_up(run: SyncRun, dois: Sequence[Doi]) -> tuple[list[LookupResult], list[Reject]]:
    """The results for these DOIs: records, and answers that there is none; and apart from them what came in place of a
    requested record. That has no usable DOI, so it proves nothing about the record."""
    results: list[LookupResult] = []
    rejects: list[Reject] = []
    for result in chain.from_iterable(run.records.lookup(dois)):
        if result.message is not None and (result.record_doi is None or doi_of(result.message) is None):
            rejects.append(reject(run, result.message, result.requested))
        else:
            results.append(result)
    return results, rejects


def messages_of(results: Iterable[LookupResult]) -> list[Message]:
    """The records among the results."""
    return [result.message for result in results if result.message is not None]


def aliases_of(results: Iterable[LookupResult]) -> list[tuple[Doi, Doi]]:
    """(alias, DOI of its record) of the results for aliases."""
    return [(r.requested, r.record_doi) for r in results if r.record_doi and r.record_doi != r.requested]


def reject(run: SyncRun, message: object, requested: Doi) -> Reject:
    """What came when the record of a DOI was requested, and is not that record or cannot be understood."""
    text, digest = serialise_any(message)
    try:
        normalise(message)  # type: ignore[arg-type]  # RecordError for whatever is no record
        reason = "the record has another DOI"
    except RecordError as error:
        reason = str(error)
    return Reject(digest, requested, reason, text, _place(run.records, requested))


def _aliases_listed(run: SyncRun, records: Sequence[ReadRecord], confirmed: Collection[Doi]) -> dict[Doi, Doi]:
    """The aliases that records list, each with the DOI it leads to; of two records that list each other the first counts.
    A file does not overrule a record that was indexed after its own; a record that cannot be understood overrules none."""
    found: dict[Doi, Doi] = {}
    for record in records:
        if not (names := record.told.aliases) or (doi := record.doi) is None:
            continue
        held = {} if run.records.authoritative else read_queries.indexed_times(run.store.conn, names)
        indexed = record.told.indexed or ""
        for name in names:
            if name not in confirmed and found.get(doi) != name and (held.get(name) or "") <= indexed:
                found[name] = doi
    return found


def _known_aliases(
    run: SyncRun,
    records: Sequence[ReadRecord],
    sightings: Sequence[Sighting],
    resolutions: Sequence[Resolution],
    confirmed: Collection[Doi],
) -> dict[Doi, Doi]:
    """The DOIs of a page that are aliases of known works. A file may be older than the alias, and a list may show it for a
    while: only a DOI that was looked up by itself has a record of its own again."""
    dois = {record.doi for record in records if record.doi} | {s.doi for s in sightings}
    dois |= {r.doi for r in resolutions if r.doi}
    moved = read_queries.alias_targets(run.store.conn, sorted(dois.difference(confirmed)))
    known = read_queries.indexed_times(run.store.conn, sorted(set(moved.values())))
    # A DOI that an imported file stated wrongly leads to another work, and no record of Crossref follows it there.
    wrong = {doi for doi in read_queries.never_at_crossref(run.store.conn, sorted(moved)) if not is_local(doi)}
    return {alias: doi for alias, doi in moved.items() if doi in known and alias not in wrong}


def _alias_targets(
    run: SyncRun, records: Sequence[ReadRecord], moving: Mapping[Doi, Doi]
) -> tuple[list[Message], set[Doi], list[Reject]]:
    """The works to which aliases lead known ones: their records where we have none yet, and their DOIs. They are written
    together with the alias, so that a work is never lost between two DOIs. Also what came instead of a record."""
    conn = run.store.conn
    targets = {moving.get(moving[doi], moving[doi]) for doi in read_queries.indexed_times(conn, sorted(moving))}
    targets = {read_queries.canonical_doi(conn, doi) for doi in targets}
    known = {record.doi for record in records} | read_queries.indexed_times(conn, sorted(targets)).keys()
    wanted = sorted(targets - known)
    results, rejects = look_up(run, wanted) if wanted else ([], [])
    return messages_of(results), targets, rejects


def _judged(
    run: SyncRun, read: Sequence[ReadRecord], moving: Mapping[Doi, Doi], places: Mapping[Doi, str]
) -> tuple[list[JudgedRecord], list[Reject], list[Counted]]:
    """The records whose content is new, normalised and judged; those that cannot be understood, with the reason; and the
    new counts of those whose content did not change. `moving` are the aliases written with them, whose decisions count too."""
    latest: dict[Doi, ReadRecord] = {}
    rejects: list[Reject] = []
    for record in read:
        if record.doi is None:
            rejects.append(Reject(record.digest, None, record.problem or "", record.text))
        else:
            latest[record.doi] = record
    current = run.store.digests_and_bases(list(latest))
    held = read_queries.indexed_times(run.store.conn, list(latest))
    decisions = rejudge.decisions_by_work(run.store, moving) if moving else run.decisions
    added = _added(run, list(latest), moving)
    records = []
    counted: list[Counted] = []
    for doi, record in latest.items():
        if record.problem is not None:
            place = places.get(doi) or _place(run.records, doi)
            rejects.append(Reject(record.digest, doi, record.problem, record.text, place))
            continue
        indexed, before = record.told.indexed, held.get(doi)
        if (indexed or "") < (before or ""):
            continue  # older than the current record (a file read after a harvest)
        if current.get(doi, ("", ""))[0] == record.digest:
            newly_indexed = indexed if indexed != before else None
            if newly_indexed or run.records.authoritative:
                counted.append((doi, newly_indexed, record.told.cited_by))
            continue
        judged = _judged_with_others(record, doi, decisions.get(doi, ()), tuple(added.get(doi, ())), run.taxonomy)
        if judged.rows is None:
            place = places.get(doi) or _place(run.records, doi)
            rejects.append(Reject(judged.digest, doi, judged.basis, judged.message, place))
        records.append(judged)
    return records, rejects, counted


def _judged_with_others(
    record: ReadRecord, doi: Doi, decisions: tuple[Decision, ...], added: tuple[ProviderRecord, ...], taxonomy: Taxonomy
) -> JudgedRecord:
    """A record judged with what people decided on its work and what other providers have."""
    to_judge = RecordToJudge(doi, record.digest, record.text, decisions, added)
    if record.told.made is not None and not decisions and not added:
        return judged_record(to_judge, record.told.made)
    return judge_record(to_judge, taxonomy, record.message)


def _judged_again(run: SyncRun, dois: Collection[Doi], moving: Mapping[Doi, Doi]) -> list[JudgedRecord]:
    """Works whose records do not change, judged again with the decisions on the works that move to them."""
    decisions = rejudge.decisions_by_work(run.store, moving) if dois else {}
    added = _added(run, sorted(dois), moving) if dois else {}
    judged = (
        judge_record(RecordToJudge(doi, digest, text, decisions.get(doi, ()), tuple(added.get(doi, ()))), run.taxonomy)
        for doi, digest, text in read_queries.current_records(run.store.conn, sorted(dois))
    )
    return [record for record in judged if record.rows]


def _added(run: SyncRun, dois: Sequence[Doi], moving: Mapping[Doi, Doi]) -> dict[Doi, list[ProviderRecord]]:
    """What other providers have on these works, also under the aliases that are written with them."""
    held = read_queries.provider_records(run.store.conn, [*dois, *moving])
    for alias, doi in moving.items():
        held[doi] = [*held.get(doi, ()), *held.pop(alias, ())]
    return held


def _place(records: RecordSource, doi: Doi) -> str:
    """Where the record of this DOI is: file and line; at Crossref, the DOI it is asked for by."""
    found = next(chain.from_iterable(records.lookup([doi])), None) if not records.authoritative else None
    return found.place if found and found.place else f"asked for by {doi}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:32]
