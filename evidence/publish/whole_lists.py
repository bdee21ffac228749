"""Every row of a list of a published copy as CSV, without Datasette's pages, which cost more than the rows.

Datasette streams a list page by page: it sorts each anew, looks at each cell several times and prepares what only a page shows.
Here the numbers of the rows are read once, in the list's order, and then the rows a few hundred at a time. The text is that of
Datasette's own stream, byte for byte; what it does otherwise for a list (labels, links in place of bytes, a limit of the file) is
left to it. A database that changes is left to it too: there, each page is read in one state. It only reads, and knows no page.
"""

from __future__ import annotations

import json
import sqlite3
from array import array
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from datasette.database import QueryInterrupted
from datasette.utils import escape_sqlite, sqlite_timelimit

from evidence.export.csv_files import csv_block

ROWS: Final = 200
"""Rows that are read and sent at once."""

OTHERWISE: Final = frozenset({"_labels", "_label", "_trace", "_timelimit", "_next"})
"""Parameters that make another file, or none."""

PLAIN_TYPES: Final = frozenset({"TEXT", "INTEGER", "INT", "REAL"})
"""Types of columns that hold no bytes, given that the table is strict."""

BATCH: Final = "select {columns} from json_each(:numbers) as n cross join {table} as l on l.rowid = n.value"
"""`cross join` keeps this order: that of the numbers, which is the list's."""


@dataclass(frozen=True, slots=True)
class WholeList:
    """A list: the numbers of its rows in their order, and the statement for some of them."""

    numbers: array[int]
    statement: str

    async def blocks(self, db: Any, *, guarded: bool) -> AsyncGenerator[str, None]:
        """The rows as lines of CSV, many at a time. datasette.database.QueryInterrupted where reading takes too long."""
        limit = db.ds.sql_time_limit_ms
        for start in range(0, len(self.numbers), ROWS):
            numbers = json.dumps(self.numbers[start : start + ROWS].tolist())

            def block(conn: sqlite3.Connection, numbers: str = numbers) -> str:
                rows = read(conn, self.statement, {"numbers": numbers}, limit)
                return csv_block(rows, guarded=guarded)

            yield await db.execute_fn(block)


async def has_numbers(db: Any, table: str) -> bool:
    """Whether the rows of this table can be read by their numbers, and have no bytes in them."""

    def look(conn: sqlite3.Connection) -> bool:
        found = conn.execute("select wr, strict from pragma_table_list where name = ? and type = 'table'", (table,))
        if [tuple(row) for row in found] != [(0, 1)]:
            return False
        columns = conn.execute("select name, type from pragma_table_xinfo(?)", (table,)).fetchall()
        return all(kind in PLAIN_TYPES and name.lower() != "rowid" for name, kind in columns)

    return not db.is_mutable and bool(await db.execute_fn(look))


async def find(
    db: Any, table: str, columns: Sequence[str], keys: Sequence[str], page: Mapping[str, Any]
) -> WholeList | None:
    """The list of which Datasette made this page: `columns` as the page has them, `keys` the table's primary key, `page` its
    statement (`sql`) and parameters (`params`). None where the statement is not one of those that are known, or takes too long:
    then the pages are read as ever."""
    named = ", ".join(map(escape_sqlite, columns))
    head = f"select {named} from {escape_sqlite(table)} "  # noqa: S608 - compared, here; below as Datasette wrote it
    if not page["sql"].startswith(head):
        return None
    rest, _, limit = page["sql"].removeprefix(head).rpartition(" limit ")
    if not rest.startswith(("where ", "order by ")) or not limit.isdecimal():
        return None
    # Datasette's pages after the first break ties by the key, and so does the site's first.
    ties = "".join(f", {escape_sqlite(key)}" for key in keys or ["rowid"])
    sql = f"select rowid from {escape_sqlite(table)} {rest}{ties}"  # noqa: S608 - as Datasette wrote it

    def numbers(conn: sqlite3.Connection) -> array[int]:
        cursor = conn.cursor()
        cursor.row_factory = None
        with sqlite_timelimit(conn, db.ds.sql_time_limit_ms):
            return array("q", (number for (number,) in cursor.execute(sql, page["params"])))

    try:
        found = await db.execute_fn(numbers)
    except sqlite3.OperationalError:
        return None
    of_list = ", ".join(f"l.{escape_sqlite(column)}" for column in columns)
    return WholeList(found, BATCH.format(columns=of_list, table=escape_sqlite(table)))


def read(conn: sqlite3.Connection, sql: str, params: Mapping[str, Any], limit_ms: int) -> list[tuple[Any, ...]]:
    """Rows as tuples. Texts are decoded by SQLite's own code, and only where one is no UTF-8 by Datasette's, which takes longer
    and puts a mark in place of what it cannot read."""
    cursor = conn.cursor()
    cursor.row_factory = None
    of_datasette = conn.text_factory
    try:
        with sqlite_timelimit(conn, limit_ms):
            try:
                conn.text_factory = str
                return cursor.execute(sql, params).fetchall()
            except sqlite3.OperationalError as error:
                if "decode" not in str(error):
                    raise
            conn.text_factory = of_datasette
            return cursor.execute(sql, params).fetchall()
    except sqlite3.OperationalError as error:
        if error.args == ("interrupted",):
            raise QueryInterrupted(error, sql, params) from None
        raise
    finally:
        conn.text_factory = of_datasette
