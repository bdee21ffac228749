"""Small helpers for SQL: rows as dictionaries, and queries over many DOIs at once. No table is named here."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

Row = dict[str, Any]
"""Column name → value."""

TRUE_AFTER = "{0}.first_run <= :{1} and coalesce({0}.last_run > :{1}, 1)"
"""SQL condition on a row of a history table, by its alias and the name of a value: it was true after that run."""

VARIABLES = 500
"""Values bound in one `in (…)`: below SQLite's oldest limit of 999."""


def dict_rows(conn: sqlite3.Connection | sqlite3.Cursor, sql: str, values: Any = ()) -> Iterator[Row]:
    """The rows of a query as dictionaries, one at a time."""
    cursor = conn.execute(sql, values)
    names = [column[0] for column in cursor.description]
    for row in cursor:
        yield dict(zip(names, row, strict=True))


def chunks(items: Sequence[Any]) -> Iterator[list[Any]]:
    """The items in parts that can be bound in one query."""
    for start in range(0, len(items), VARIABLES):
        yield list(items[start : start + VARIABLES])


def placeholders(items: Sequence[Any]) -> str:
    """`?, ?, …`: one for each item."""
    return ", ".join("?" * len(items))


def in_chunks(conn: sqlite3.Connection, sql: str, items: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    """The rows of a query whose `in ({})` takes the items, asked in parts."""
    for part in chunks(items):
        yield from conn.execute(sql.format(placeholders(part)), part).fetchall()


def rows_for(conn: sqlite3.Connection, sql: str, dois: Sequence[str]) -> list[tuple[Any, ...]]:
    """The rows of a query that begins with `{j} join …`: `j.value` is each of the DOIs."""
    # Without `cross`, SQLite may scan a whole table for each page that is written.
    sql = sql.replace("{j} join", "json_each(:dois) j cross join")
    return conn.execute(sql, {"dois": json.dumps(list(dois))}).fetchall()
