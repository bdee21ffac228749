"""Reading the ledger of reviewers' decisions (`decisions.db`). It never writes; `writer` appends.

`evidence.current_decisions` says which decisions count.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from typing import Any

from evidence.data_model import Decision
from evidence.database import connection, schema
from evidence.errors import StoreError


def read_ledger(ledger: Path) -> tuple[Decision, ...]:
    """All decisions of the ledger, oldest first; none when there is no file yet. It waits for no writer."""
    if not ledger.exists():
        return ()
    columns = ", ".join(field.name for field in fields(Decision))
    rows = _query(ledger, f"select {columns} from decisions order by decision")  # noqa: S608
    return tuple(Decision(*(*row[:-1], tuple(json.loads(row[-1])))) for row in rows)


def ledger_stamp(ledger: Path) -> tuple[int, int]:
    """Inode of the ledger and number of its newest decision (0, 0 without a ledger). Decisions are only ever added, so equal
    stamps mean equal contents."""
    if not ledger.exists():
        return (0, 0)
    number = max((n for (n,) in _query(ledger, "select max(decision) from decisions")), default=0) or 0
    return (ledger.stat().st_ino, number)


def check_ledger(ledger: Path) -> None:
    """StoreError when there is a file at this path that is no ledger, or not one that this version can read."""
    if ledger.exists():
        connection.open_examined(ledger, schema.decisions)[0].close()


def _query(ledger: Path, sql: str) -> list[Any]:
    conn, state = connection.open_examined(ledger, schema.decisions)
    with closing(conn):
        try:
            return [] if state == "new" else conn.execute(sql).fetchall()
        except sqlite3.Error as error:
            raise StoreError(f"{ledger}: cannot be read ({error}); name the ledger with --decisions") from None
