"""Writing what Crossref and files supplied: records, absences, counters, sightings, citations, rejects and search requests.

Called by `writer` inside its transactions; nothing here begins or ends one.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import astuple
from typing import Any

from evidence import __version__
from evidence.data_model import Doi, Resolution
from evidence.database.sql_helpers import chunks, in_chunks, placeholders
from evidence.database.values_for_writer import (
    Counted,
    HarvestedPage,
    JudgedRecord,
    Reject,
    SearchRequest,
    Sighting,
    Written,
)
from evidence.database.work_rows import CITED_BY

_ABSENT = "select doi from absences where doi in ({}) and last_run is null"


def add_requests(conn: sqlite3.Connection, run: int, source: str, requests: Sequence[SearchRequest]) -> None:
    """Keep what a search asked."""
    conn.executemany(
        """
        insert into requests (run, source, truncated, query, filters, spec, created_from, created_until,
            indexed_from, "offset", sort, asked_at, total, scanned, matched, reached, last_match, recent, ended, unread)
        values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        """,
        [(run, source, int(r.ended == "cut"), *astuple(r)) for r in requests],
    )


def add_records(conn: sqlite3.Connection, run: int, records: Sequence[JudgedRecord], written: Written) -> None:
    """Add the records whose content is new to `snapshots` and close the ones they replace; count in `written` which works
    are new and which changed."""
    current: dict[str, tuple[str | None, int]] = {}
    works: set[str] = set()
    for chunk in chunks([r.doi for r in records]):
        rows = conn.execute(
            f"""
            select doi, max(digest) filter (where last_run is null), max(version) from snapshots
            where doi in ({placeholders(chunk)}) group by doi
            """,  # noqa: S608
            chunk,
        )
        current.update({doi: (digest, version) for doi, digest, version in rows})
        held = conn.execute(f"select doi from works where doi in ({placeholders(chunk)})", chunk)  # noqa: S608
        works.update(doi for (doi,) in held)
    fresh: list[tuple[Any, ...]] = []
    closed: list[tuple[int, str]] = []
    for record in records:
        digest, version = current.get(record.doi, (None, 0))
        if digest == record.digest:
            continue
        if digest is not None:
            closed.append((run, record.doi))
        if record.rows is not None:  # one that cannot be understood is among the rejects, not the works
            known = record.doi in works
            written.changed += known
            written.new += not known
        fresh.append((record.doi, version + 1, record.digest, record.message, run))
    conn.executemany("update snapshots set last_run = ? where doi = ? and last_run is null", closed)
    conn.executemany("insert into snapshots (doi, version, digest, message, first_run) values (?, ?, ?, ?, ?)", fresh)
    # A new record states when it was indexed, and nearly always how often it is cited.
    added = {doi for doi, *_ in fresh}
    counts = [(r.doi,) for r in records if r.doi in added and r.rows is not None and r.rows.work[CITED_BY] is not None]
    conn.executemany("delete from counters where doi = ?", counts)
    conn.executemany(
        "update counters set indexed = null where doi = ? and indexed is not null", [(doi,) for doi in added]
    )


def update_absences(conn: sqlite3.Connection, run: int, page: HarvestedPage, written: Written) -> None:
    """A known work without a record at Crossref is absent from this run on; the absence of a work in `present` ends. A work
    that is known from an imported file alone was never there."""
    for doi in page.absent:
        cursor = conn.execute(
            """
            insert into absences (doi, first_run) select :doi, :run
            where exists (select 1 from snapshots where doi = :doi and last_run is null
                    and json_extract(message, '$.imported') is null)
                and not exists (select 1 from absences where doi = :doi and last_run is null)
            on conflict (doi, first_run) do update set last_run = null
            """,
            {"doi": doi, "run": run},
        )
        written.gone += [doi] * cursor.rowcount
    absent = {doi for (doi,) in in_chunks(conn, _ABSENT, page.present)}
    for doi in page.present:
        if doi in absent:
            written.back += [doi] * end_absence(conn, run, doi)


def end_absence(conn: sqlite3.Connection, run: int, doi: Doi) -> int:
    """Crossref has a record of this work again; returns 1 if it had none, else 0."""
    cursor = conn.execute("update absences set last_run = ? where doi = ? and last_run is null", (run, doi))
    return cursor.rowcount


def update_counters(conn: sqlite3.Connection, run: int, counted: Sequence[Counted]) -> None:
    """Keep what Crossref said of current records, where that is new. It does not count as a change of a work."""
    for chunk in chunks(counted):
        rows = json.dumps([list(item) for item in chunk])
        conn.execute(
            """
            insert into counters (doi, indexed, cited_by, first_run)
            select c.doi, c.indexed, c.cited_by, :run
            from (select json_extract(value, '$[0]') as doi, json_extract(value, '$[1]') as indexed,
                    json_extract(value, '$[2]') as cited_by from json_each(:rows)) c
            left join works w on w.doi = c.doi
            where c.indexed is not null or (w.doi is not null and c.cited_by is not null
                and c.cited_by is not w.cited_by)
            on conflict (doi) do update set first_run = excluded.first_run,
                indexed = coalesce(excluded.indexed, indexed), cited_by = coalesce(excluded.cited_by, cited_by)
            where (coalesce(excluded.indexed, indexed), coalesce(excluded.cited_by, cited_by)) is not
                (indexed, cited_by)
            """,
            {"rows": rows, "run": run},
        )
        conn.executemany(
            "update works set cited_by = :count where doi = :doi and cited_by is not :count",
            [{"doi": doi, "count": count} for doi, _, count in chunk if count is not None],
        )


def update_unread(conn: sqlite3.Connection, records: Sequence[JudgedRecord]) -> None:
    """Note which current records today's code cannot understand, and which it can."""
    conn.executemany(
        """
        insert into unread (doi, reason, version) values (?, ?, ?)
        on conflict (doi) do update set reason = excluded.reason, version = excluded.version
        where (reason, version) is not (excluded.reason, excluded.version)
        """,
        [(r.doi, r.basis, __version__) for r in records if r.rows is None],
    )
    conn.executemany("delete from unread where doi = ?", [(r.doi,) for r in records if r.rows is not None])


def add_sightings(conn: sqlite3.Connection, run: int, source: str, sightings: Sequence[Sighting]) -> int:
    """Note which works the source found; returns how many of these sightings are new."""
    # `rowcount` counts the rows of the statement alone, not what a trigger writes.
    cursor = conn.executemany(
        """
        insert into sightings (source, doi, via, rank, score, first_run) values (?, ?, ?, ?, ?, ?)
        on conflict (source, doi) do update set last_run = null where last_run is not null
        """,
        [(source, s.doi, s.via, s.rank, s.score, run) for s in sightings],
    )
    return max(cursor.rowcount, 0)


def add_rejects(conn: sqlite3.Connection, run: int, source: str, rejects: Sequence[Reject]) -> int:
    """Keep what could not be understood; returns how many rows that wrote."""
    cursor = conn.executemany(
        """
        insert into rejects (digest, doi, source, place, reason, message, first_run) values (?, ?, ?, ?, ?, ?, ?)
        on conflict (digest) do update set reason = excluded.reason where reason is not excluded.reason
        """,
        [(r.digest, r.doi, source, r.place, r.reason, r.message, run) for r in rejects],
    )
    return max(cursor.rowcount, 0)


def set_citations(conn: sqlite3.Connection, run: int, citations: Sequence[Resolution]) -> None:
    """Write what the lines of a reference list were resolved to, where that is not what is kept."""
    conn.executemany(
        """
        insert into citations (source, position, text, stated_doi, doi, status, problem, score, first_run)
        values (?, ?, ?, ?, ?, ?, ?, ?, ?)
        on conflict (source, position) do update set text = excluded.text, stated_doi = excluded.stated_doi,
            doi = excluded.doi, status = excluded.status, problem = excluded.problem, score = excluded.score,
            first_run = excluded.first_run, retired = null
        where (text, stated_doi, doi, status, problem, score, retired) is not (excluded.text, excluded.stated_doi,
            excluded.doi, excluded.status, excluded.problem, excluded.score, null)
        """,
        [
            (c.citation.source, c.citation.position, c.citation.text, c.citation.stated_doi, c.doi, c.status,
             c.problem, c.score, run)
            for c in citations
        ],
    )  # fmt: skip
