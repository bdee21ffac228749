"""Writing the records of imported files, and which works they were found to describe.

Called by `writer` inside its transactions; nothing here begins or ends one. A record is added once and never rewritten; what it
was resolved to is brought up to date when it is asked about again.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import astuple

from evidence.database.values_for_writer import ImportedRow


def add(conn: sqlite3.Connection, run: int, rows: Sequence[ImportedRow], asked: bool) -> None:
    """Keep these records. `asked`: Crossref was asked about them in this run."""
    conn.executemany(
        """
        insert into imported_records (source, record, doi, stated_doi, status, problem, score, citation, message, place,
            first_run, asked_run) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        """,
        [(*astuple(row), run, run if asked and row.status != "not-asked" else None) for row in rows],
    )
    _unsettle(conn, (row.doi for row in rows))


def resolve(conn: sqlite3.Connection, run: int, rows: Sequence[ImportedRow]) -> None:
    """Write what these records are resolved to now, where that has changed. Only the works of those are judged again: a record
    that is asked about again, with the same result, tells nothing new of its work."""
    held = {
        (source, record): tuple(result)
        for source, record, *result in conn.execute(
            """
            select i.source, i.record, i.doi, i.status, i.problem, i.score from json_each(:keys) k
            join imported_records i on i.source = json_extract(k.value, '$[0]') and i.record = json_extract(k.value, '$[1]')
            """,
            {"keys": json.dumps([(row.source, row.record) for row in rows])},
        )
    }
    changed = [
        row for row in rows if held.get((row.source, row.record)) != (row.doi, row.status, row.problem, row.score)
    ]
    conn.executemany(
        """
        update imported_records set doi = :doi, status = :status, problem = :problem, score = :score, asked_run = :run
        where (source, record) = (:source, :record)
        """,
        [
            {"source": r.source, "record": r.record, "doi": r.doi, "status": r.status, "problem": r.problem, "score": r.score,
             "run": run}
            for r in changed
        ],
    )  # fmt: skip
    # What a source no longer has under a DOI or local id, it did not find there.
    conn.execute(
        """
        update sightings set last_run = :run where last_run is null and source in (select value from json_each(:sources))
            and exists (select 1 from sources o where o.source = sightings.source and o.method is not null)
            and not exists (select 1 from imported_records i where i.source = sightings.source
                and (i.doi = sightings.doi or exists (select 1 from aliases a
                    where a.alias = i.doi and a.doi = sightings.doi and a.last_run is null)))
        """,
        {"run": run, "sources": json.dumps(sorted({row.source for row in rows}))},
    )
    _unsettle(conn, (row.doi for row in changed))


def _unsettle(conn: sqlite3.Connection, dois: Iterable[str]) -> None:
    conn.execute(
        """
        update works set basis = '' where basis <> '' and doi in (
            select value from json_each(:dois) union
            select a.doi from json_each(:dois) j join aliases a on a.alias = j.value where a.last_run is null)
        """,
        {"dois": json.dumps(sorted(set(dois)))},
    )
