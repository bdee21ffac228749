"""Paging that neither loses nor repeats a row, in whatever order a list is sorted.

Datasette 0.65 (and 1.0a41) sorts the first page of a table by the chosen column alone and the pages after it by column and
key. Rows that tie on the column come in the order SQLite happens to meet them, so on a table whose rowids do not follow its
key, as `works` with its DOIs, rows between two pages are skipped or shown twice; CSV and JSON inherit it. Here the key is
added to the first page's order too. Only the statements of Datasette's own table pages are touched: `filters_from_request`
runs nowhere else, and it leaves the table's name where the statement can be recognised.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

from datasette import hookimpl
from datasette.utils import escape_sqlite

ONE_COLUMN = re.compile(r" order by (\[[^\]]*\]|\"[^\"]*\"|\w+)( desc)?(?= limit \d+( offset \d+)?$)")
"""The end of a table page's statement that is sorted by one column and nothing else."""

PAGE = re.compile(r" limit \d+( offset \d+)?$")
"""The end of a table page's statement, sorted or not."""

_listed: ContextVar[str | None] = ContextVar("listed", default=None)


@hookimpl(trylast=True)
def startup(datasette: Any) -> Callable[[], Awaitable[None]]:
    async def inner() -> None:
        for database in datasette.databases.values():
            database.execute = completing(database)

    return inner


@hookimpl
def filters_from_request(table: str) -> None:
    _listed.set(table)


def completing(database: Any) -> Callable[..., Awaitable[Any]]:
    """`database.execute`, but that a table page's order ends in the table's key."""
    execute = database.execute

    async def completed(sql: str, *args: Any, **options: Any) -> Any:
        table = _listed.get()
        if table is not None and PAGE.search(sql):
            _listed.set(None)  # the page's one statement: what follows in this request is somebody else's
            if found := ONE_COLUMN.search(sql):
                key = "".join(f", {escape_sqlite(column)}" for column in await key_of(database, table))
                sql = sql[: found.end()] + key + sql[found.end() :]
        return await execute(sql, *args, **options)

    return completed


async def key_of(database: Any, table: str) -> list[str]:
    """What tells the rows of a table or view apart: its primary key, its rowid; of a view its DOI, else all columns."""
    columns = await database.table_columns(table)
    if await database.get_view_definition(table):
        return ["doi"] if "doi" in columns else columns
    return await database.primary_keys(table) or ["rowid"]
