"""Known works, checked again in every sync: corrections and retractions, moved DOIs, works that Crossref no longer has.

No SQL here; what is found is written by `ingest`.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Sequence
from itertools import chain

from evidence.data_model import Doi, LookupResult
from evidence.database import read_queries
from evidence.database.values_for_writer import Counted
from evidence.doi import is_local
from evidence.harvest.ingest import aliases_of, ingest, look_up, messages_of
from evidence.harvest.run_outcome import SyncRun
from evidence.harvest.sources import REFRESH_SOURCE

REFRESH_PART = 500
"""Known works checked, and those that changed fetched and written, at once."""

LOOK_UP_GONE_EVERY = 10
"""Every so many syncs a work that is gone from Crossref, or a DOI that only a notice names, is looked up again: it may have
become an alias. That a record is back is seen by the light check of every sync."""


def fetch_decided(run: SyncRun) -> None:
    """Look up the works that people decided on and that are not in the database. In a new database no source may find them
    any more, and an old DOI of a work is known from its decisions alone."""
    run.store.show_decisions()
    wanted = [doi for doi in read_queries.decided_but_not_here(run.store.conn) if not is_local(doi)]
    if wanted:
        results = list(chain.from_iterable(run.records.lookup(wanted)))
        ingest(run, REFRESH_SOURCE, messages_of(results), aliases=aliases_of(results))


def refresh(run: SyncRun, known: Sequence[Doi]) -> None:
    """Check every work known before this run, so that a retraction is noticed whichever source found the work.

    A light check says which records were indexed since we read them: these are fetched whole. A work that the check leaves
    out is looked up by itself: it leads to another DOI now, or Crossref no longer has it (404), or no list can carry it.
    """
    gone = {row["doi"] for row in read_queries.gone_works(run.store.conn)}
    due = _due_for_lookup(run, gone) if run.records.authoritative else set()
    # The old DOI of a known work is checked too: it may have a record of its own again.
    dois = list(dict.fromkeys([*known, *read_queries.former_dois(run.store.conn)]))
    # What is known from imported files alone has its own turn (`import_files.ask_again`), and a DOI that such a file stated
    # wrongly was never that of a known work.
    alone = read_queries.never_at_crossref(run.store.conn, dois)
    dois = [doi for doi in dois if doi not in alone and not is_local(doi)]
    for start in range(0, len(dois), REFRESH_PART):
        part = dois[start : start + REFRESH_PART]
        run.progress.step(REFRESH_SOURCE, start, len(dois))
        listed = {status.doi: status for batch in run.records.check(part) for status in batch}
        held = read_queries.indexed_times(run.store.conn, part)
        changed = [d for d, s in listed.items() if d in held and (s.indexed is None or s.indexed != held[d])]
        results, rejects = look_up(run, changed)
        single: list[LookupResult] = []
        counted: list[Counted] = []
        if run.records.authoritative:
            left_out = [d for d in part if (d in held) != (d in listed) and (d not in gone or d in listed or d in due)]
            for doi in left_out:
                found, unusable = look_up(run, [doi])
                single += found
                rejects += unusable
            counted = [(s.doi, None, s.cited_by) for s in listed.values() if s.doi in held]
        run.outcome.refreshed += len(part)
        ingest(
            run,
            REFRESH_SOURCE,
            messages_of([*results, *single]),
            aliases=aliases_of([*results, *single]),
            rejects=rejects,
            counted=counted,
            absent=[r.requested for r in single if r.message is None],
            present=[doi for doi in listed if doi in gone],
            confirmed={r.requested for r in single if r.record_doi == r.requested},
        )
    if run.records.authoritative:
        _look_up_notice_targets(run)
        run.store.complete_source(run.number, REFRESH_SOURCE, run.bookmark, None)


def _look_up_notice_targets(run: SyncRun) -> None:
    """A notice may name its study by an old DOI that was never known here. So a DOI that a new notice names and no work has is
    looked up, and again every tenth sync. If it is an alias of a known work, it is written, and the notice shows there."""
    targets = read_queries.unknown_notice_targets(run.store.conn)
    due = _due_for_lookup(run, targets.keys())
    before = read_queries.last_complete_run(run.store.conn, run.number)
    wanted = [doi for doi, named_in in targets.items() if named_in > before or doi in due]
    aliases = aliases_of(chain.from_iterable(run.records.lookup(wanted))) if wanted else []
    known = read_queries.indexed_times(run.store.conn, [doi for _, doi in aliases])
    if of_known := [pair for pair in aliases if pair[1] in known]:
        ingest(run, REFRESH_SOURCE, aliases=of_known)


def _due_for_lookup(run: SyncRun, dois: Collection[Doi]) -> set[Doi]:
    """Those of the DOIs, all missing from lists, that are looked up one by one in this run: a tenth, or all in a full one."""
    number = read_queries.sync_count(run.store.conn)
    return {d for d in dois if run.full or (zlib.crc32(d.encode()) + number) % LOOK_UP_GONE_EVERY == 0}
