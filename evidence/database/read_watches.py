"""What is new for a watch: the works that its list has now and had after an earlier run. It may not write."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from evidence.database.sql_helpers import TRUE_AFTER, dict_rows

Row = dict[str, Any]


def started(conn: sqlite3.Connection, watch: str) -> int | None:
    """The run after which a watch began, None before it was compared with its list."""
    row = conn.execute("select first_run from watches where watch = ?", (watch,)).fetchone()
    return row[0] if row else None


def members(conn: sqlite3.Connection, watch: str, run: int) -> set[str]:
    """The works in the list of a watch after a run."""
    sql = f"select d.doi from watched d where d.watch = :watch and {TRUE_AFTER.format('d', 'run')}"  # noqa: S608 - our own condition
    return {doi for (doi,) in conn.execute(sql, {"watch": watch, "run": run})}


def titles(conn: sqlite3.Connection, dois: set[str]) -> list[Row]:
    """These works with title and year, the newest first."""
    sql = """
        select j.value as doi, w.title, w.year, w.verdict from json_each(:dois) j left join works w on w.doi = j.value
        order by w.year desc, j.value
    """
    return list(dict_rows(conn, sql, {"dois": json.dumps(sorted(dois))}))
