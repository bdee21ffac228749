"""Copying the records of another database into a new one, so that what is derived from them can be made anew.

Called by `writer` inside its transaction; nothing here begins or ends one. The other database is attached as `copied`, and is
only read.
"""

from __future__ import annotations

import sqlite3

from evidence.database import schema


def copy_records(conn: sqlite3.Connection) -> None:
    """Copy the rows of all record tables of the attached database `copied`. What came later than that database has no rows."""
    for table in schema.RECORD_TABLES:
        columns = [name for _, name, *_ in conn.execute(f"pragma copied.table_info({table})")]
        if columns:
            names = ", ".join(f'"{name}"' for name in columns)
            conn.execute(f"insert into main.{table} ({names}) select {names} from copied.{table}")  # noqa: S608 - our own names
