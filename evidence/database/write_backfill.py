"""Writing a backfill: which files were read to their end, and the records found in them until these have become works.

Called by `writer` inside its transactions; nothing here begins or ends one.
"""

from __future__ import annotations

import sqlite3
from dataclasses import astuple

from evidence.database.values_for_writer import BackfilledFile, FoundRecord


def add(conn: sqlite3.Connection, found: list[FoundRecord], file: BackfilledFile | None) -> None:
    """Keep the records found in a file, and that it was read to its end (None: it was not)."""
    conn.executemany("insert into backfill_records (place, message) values (?, ?)", map(astuple, found))
    if file is not None:
        conn.execute(
            """
            insert into backfilled_files (name, size, modified, asked, records, matched) values (?, ?, ?, ?, ?, ?)
            on conflict (name, size, modified) do update set
                asked = excluded.asked, records = excluded.records, matched = excluded.matched
            """,
            astuple(file),
        )


def forget_records(conn: sqlite3.Connection, last: int) -> None:
    """Remove the records up to this one: they have become works."""
    conn.execute("delete from backfill_records where record <= :last", {"last": last})
