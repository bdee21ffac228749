"""Queries on how the searches of a review were run, for PRISMA-S and for a report of changes. It may not write."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from evidence.database.read_queries import FOUND_THEN
from evidence.database.sql_helpers import dict_rows

Row = dict[str, Any]


def search_windows(conn: sqlite3.Connection, since_run: int = 0, until_run: int | None = None) -> list[Row]:
    """Every search as it was run after `since_run` (and up to `until_run`): a row for each run, query and window of dates. The
    phrases and years are those of that run, also where sources.yaml has changed since.

    `total` is how many records the database had for the query, `scanned` how many were read, `matched` how many of them the
    phrases and years kept; `not_read` is how many were left unread because a limit was reached, and `cut` says so.
    """
    sql = """
        select o.source, o.label, o.retired is not null as retired, r.run, r.door, q.query, q.filters,
            coalesce(q.spec, o.spec) as spec, q.created_from, q.created_until, q.indexed_from,
            case when q.window_by is not null then q.since end as other_from,
            case when q.window_by is not null then q.until end as other_until, q.window_by,
            min(q.asked_at) as first_asked, max(q.asked_at) as last_asked, count(*) as requests, max(q.total) as total,
            sum(q.scanned) as scanned, sum(q.matched) as matched, max(q.ended) as ended,
            max(q.truncated = 1 or coalesce(q.ended = 'cut', 0)) as cut, coalesce(max(q.unread), 0) as not_read
        from requests q join sources o on o.source = q.source join runs r on r.run = q.run
        where q.run > :since and q.run <= :until
        group by o.source, r.run, q.query, q.filters, 8, q.created_from, q.created_until, q.indexed_from, q.window_by, q.since,
            q.until
        order by o.source, min(q.request)
    """
    values = {"since": since_run, "until": 2**62 if until_run is None else until_run}
    return [row | {"spec": json.loads(row["spec"])} for row in dict_rows(conn, sql, values)]


def works_found(conn: sqlite3.Connection, run: int | None = None) -> dict[str, int]:
    """Source → how many works it finds now, or found after a run."""
    found = "s.last_run is null" if run is None else FOUND_THEN
    sql = f"select s.source, count(*) from sightings s where {found} group by s.source"  # noqa: S608 - our own condition
    return dict(conn.execute(sql, {"run": run}).fetchall())


def reference_lists(conn: sqlite3.Connection) -> list[Row]:
    """Every reference list that was followed: its label, `of` (the DOI whose deposited list it is, or None), how many citations
    it has and how many of them have a record here, and the first and last day on which it was read."""
    sql = """
        select o.source, o.label, json_extract(o.spec, '$.of') as of, o.retired is not null as retired,
            (select count(*) from citations c where c.source = o.source and c.retired is null) as citations,
            (select count(*) from citations c where c.source = o.source and c.retired is null and c.doi is not null) as with_doi,
            (select count(*) from sightings s where s.source = o.source and s.last_run is null) as works,
            (select substr(min(r.started), 1, 10) from runs r where r.run in (
                select first_run from sightings s where s.source = o.source
                union select first_run from citations c where c.source = o.source)) as first_read
        from sources o where o.kind = 'references' order by o.source
    """
    return list(dict_rows(conn, sql, {}))


def providers_asked(conn: sqlite3.Connection) -> list[Row]:
    """Which other providers were asked about works that were found already: from when to when, and for how many subjects."""
    sql = """
        select provider, count(*) as asked, substr(min(asked_at), 1, 10) as first_asked,
            substr(max(asked_at), 1, 10) as last_asked
        from provider_answers where asked_at is not null group by provider order by provider
    """
    return list(dict_rows(conn, sql, {}))


def pairs_decided(conn: sqlite3.Connection) -> dict[tuple[str, str], int]:
    """How many pairs of records were compared with which result: (verdict, who decided) → pairs."""
    rows = conn.execute("select verdict, decided, count(*) from duplicates group by 1, 2").fetchall()
    return {(verdict, decided): count for verdict, decided, count in rows}
