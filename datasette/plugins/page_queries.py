"""What Datasette's own pages ask of a database, changed in five places. The only code here that knows Datasette's SQL.

Why: Datasette 0.65 (and 1.0a41) sorts the first page of a table by the chosen column alone, and the pages after it by column
and key. Rows with equal values then come in no fixed order, and CSV, JSON and pages lose some rows and repeat others. It
also evaluates the filter of a page once for its rows, once for their number and once for each facet, and prepares thousands
of rows of a ready-made query of which the page shows 500. Without what follows a search takes up to 0.5 s of processor at
100,000 works, and a ready-made query 0.4 s at 10,000 (`benchmarks/page_times.py` measures each page; docs/publishing.md). So:

* the first page of every table and view is sorted by column and key, as the others are;
* the works on a list are found once, as a set (`evidence.publish.bitset_counts`): rows are read when it is known which are shown,
  and numbers are counted from the set. A published copy has the numbers of other tables counted (`precomputed_counts`);
* the numbers beside facets are those of the whole list on each of its pages, not of the rows from there on;
* of a ready-made query, a page gets the rows it shows, and the number of the others. Files get all;
* a condition of a visitor's own (`_where`) stays one condition, even with an `or` in it.

How: at `startup` each database is replaced (`datasette.add_database`) by one whose `execute` does this, and
`filters_from_request`, which runs for table pages and nothing else, says which table a page shows. A statement that is not
recognised runs as Datasette wrote it: it is slower, never wrong. Tests walk every page in every order, and fail when a
new Datasette writes its statements differently.
"""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable, Generator
from contextvars import ContextVar
from typing import Any

from datasette import hookimpl
from datasette.database import Database, Results
from datasette.utils import await_me_maybe, escape_sqlite
from datasette.views.database import MagicParameters

from evidence.publish import bitset_counts, precomputed_counts
from evidence.publish.query_cache import CACHE

NAME = "evidence"

ROWS = re.compile(
    r"select (?P<columns>.*?) from (?:\[[^\]]*\]|\S+)\s+(?:where (?P<where>.*?)\s+)?(?:order by (?P<order>.*?)\s+)?"
    r"limit (?P<limit>\d+)(?: offset \d+)?",
    re.DOTALL,
)
"""A page's statement for its rows, …"""

COUNT = re.compile(r"select count\(\*\) from (?P<table>\w+) (?:where (?P<where>.*) )?", re.DOTALL)
"""… for their number, …"""

FACET = re.compile(
    r"\s*select (?P<column>\w+) as value, count\(\*\) as count from \("
    r"\s*select .*? from (?P<table>\w+) (?:where (?P<where>.*?) )?\s*\)\s*where (?P=column) is not null"
    r"\s*group by (?P=column) order by count desc, value limit (?P<limit>\d+)\s*",
    re.DOTALL,
)
"""… and for the values of a column and how many rows have each."""

ONE_COLUMN = re.compile(r" order by (?:\[[^\]]*\]|\"[^\"]*\"|\w+)(?: desc)?(?= limit \d+(?: offset \d+)?$)")
"""The order of a page that is sorted by one column and nothing else."""

CONDITION = re.compile(r"\"(\w+)\" = :(p\d+)")

FOR_PEOPLE = 1001
"""Rows up to which a statement is a page for people. More are a part of a file, where each row is read once anyway."""

PAGE = "select {columns} from works where rowid in ({shown}) order by {order} limit {limit}"
ONE_OF = "select rowid from works {where} order by {order} limit {limit}"
PART = "select * from ({})"
"""Sorted by what an index holds; texts are read of the rows that are shown."""

IN_SET = "substr(:_works, rowid + 1, 1) = x'31'"
"""Whether a work is in a set, given `bitset_counts.flags_of`."""

SHOWN = 300
"""Rows that the page of a ready-made query shows (query.html)."""

FIRST = "select * from (\n{sql}\n) limit {limit}"
NUMBER = "select count(*) from (select 1 from (\n{sql}\n) limit {limit})"


class TablePage:
    """The page of a table or view that this request asked for: the table, whether a visitor's own SQL is in its filter, whether
    its rows were asked for already, and whether its numbers may be counted from sets."""

    def __init__(self, table: str, own_sql: bool) -> None:
        self.table, self.own_sql = table, own_sql
        self.rows_asked = False
        self.counted = False


_page: ContextVar[TablePage | None] = ContextVar("page", default=None)


@hookimpl(hookwrapper=True)
def filters_from_request(request: Any, table: str) -> Generator[None, Any, None]:
    own_sql = "_where" in request.args
    _page.set(TablePage(table, own_sql))
    found = yield
    if own_sql:
        found.force_result([bracketed(each) for each in found.get_result()])


def bracketed(filters: Any) -> Callable[[], Awaitable[Any]]:
    """The filters of a hook with a visitor's own SQL (`_where`) in brackets. Datasette joins it with `and`: with an `or` in it,
    the other filters would not hold, nor the place where the next page begins, and a CSV would never end."""

    async def inner() -> Any:
        arguments = await await_me_maybe(filters)
        if arguments is not None and "extra_wheres_for_ui" in arguments.extra_context:
            # A comment at the end of the SQL ends with its line.
            arguments.where_clauses = [f"({clause}\n)" for clause in arguments.where_clauses]
        return arguments

    return inner


@hookimpl(trylast=True)
def startup(datasette: Any) -> Callable[[], Awaitable[None]]:
    async def inner() -> None:
        for name, known in list(datasette.databases.items()):
            if known.path is not None:
                datasette.remove_database(name)
                ours = PageDatabase(datasette, path=known.path, is_mutable=known.is_mutable)
                datasette.add_database(ours, name=name, route=known.route)

    return inner


class PageDatabase(Database):  # type: ignore[misc]
    """A Datasette database that answers pages as the module says."""

    async def execute(self, sql: str, params: Any = None, *args: Any, **options: Any) -> Results:
        # Datasette gives these parameters to ready-made queries and to nothing else.
        if isinstance(params, MagicParameters) and not params._request.url_vars.get("format"):
            return await self._first_rows(sql, params, *args, **options)
        page = _page.get()
        if page is not None and (not params or isinstance(params, dict)):
            if not page.rows_asked and (rows := ROWS.fullmatch(sql)):
                page.rows_asked = True  # what looks like it later in this request is not the page's
                sql, params = await self._rows(page, rows, params or {}, options)
            elif found := COUNT.fullmatch(sql) or FACET.fullmatch(sql):
                values = await self._counts(page, found, params or {}, options)
                if values is not None and "column" in found.groupdict():
                    limit = int(found["limit"])
                    return Results([{"value": value, "count": n} for value, n in values[:limit]], False, None)
                if values is not None:
                    return Results([(sum(n for _, n in values),)], False, None)
                if not page.own_sql:
                    sql = _of_all_pages(sql, found["where"] or "")
        return await super().execute(sql, params, *args, **options)

    async def _rows(
        self, page: TablePage, found: re.Match[str], params: dict[str, Any], options: dict[str, Any]
    ) -> tuple[str, dict[str, Any]]:
        """The statement for a page's rows with the key at the end of its order, and its parameters."""
        sql = found.string
        if by := ONE_COLUMN.search(sql):
            key = "".join(f", {escape_sqlite(column)}" for column in await self._key_of(page.table))
            sql = sql[: by.end()] + key + sql[by.end() :]
            found = ROWS.fullmatch(sql) or found
        if (page.table, self.name) != ("works", NAME) or page.own_sql or int(found["limit"]) > FOR_PEOPLE:
            return sql, params
        where = found["where"] or ""
        conditions = bitset_counts.conditions(where)
        after = next(filter(None, map(bitset_counts.AFTER.fullmatch, conditions)), None)
        try:
            works = await bitset_counts.of_list(self, where, params, limit_ms=self._limit_ms(options))
        except sqlite3.Error:
            return sql, params  # a filter that SQLite does not take: Datasette says so
        page.counted = True
        there = [IN_SET] if len(conditions) > (after is not None) else []
        wanted = [" and ".join((*there, one)) for one in _ranges(after)] if after else there
        parts = [
            ONE_OF.format(where=f"where {one}" if one else "", order=found["order"], limit=found["limit"])
            for one in wanted or [""]
        ]
        shown = " union all ".join(map(PART.format, parts)) if len(parts) > 1 else parts[0]
        sql = PAGE.format(columns=found["columns"], shown=shown, order=found["order"], limit=found["limit"])
        return sql, {**params, "_works": bitset_counts.flags_of(works)} if there else params

    async def _counts(
        self, page: TablePage, found: re.Match[str], params: dict[str, Any], options: dict[str, Any]
    ) -> list[tuple[Any, int]] | None:
        """(value, number of rows), most first, for FACET; for COUNT with one value; None where SQLite has to count."""
        column, where = found.groupdict().get("column"), found["where"] or ""
        if found["table"] != "works":
            return None if self.is_mutable else await self._counted_before(found["table"], column, where, params)
        if not page.counted or column not in (None, *bitset_counts.COLUMNS):
            return None
        works = await bitset_counts.of_list(self, where, params, limit_ms=self._limit_ms(options))
        if column is None:
            return [(None, works.bit_count())]
        return (await bitset_counts.of_database(self)).by_column(column, works)

    async def _counted_before(
        self, table: str, column: str | None, where: str, params: dict[str, Any]
    ) -> list[tuple[Any, int]] | None:
        """The same from the numbers in a published copy, for a filter that says which values some columns have."""
        known = await CACHE.get(self.path, "values", lambda: self.execute_fn(precomputed_counts.values))
        columns, rows = known.get(table, ([], []))
        conditions = CONDITION.findall(where)
        if where != " and ".join(f'"{name}" = :{param}' for name, param in conditions):
            return None
        wanted = {name: params[param] for name, param in conditions}
        asked = wanted.keys() | ({column} if column else set())
        if not columns or not asked <= set(columns) or not all(type(value) is str for value in wanted.values()):
            return None
        counts = Counter[Any]()
        for values, n in rows:
            row = dict(zip(columns, values, strict=True))
            if all(row[name] == value for name, value in wanted.items()) and (
                column is None or row[column] is not None
            ):
                counts[column and row[column]] += n
        return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))

    async def _first_rows(self, sql: str, params: Any, *args: Any, **options: Any) -> Results:
        """The rows of a ready-made query that its page shows, and an empty row for each of the others."""
        first = await super().execute(FIRST.format(sql=sql, limit=SHOWN + 1), params, *args, **options)
        if len(first.rows) <= SHOWN:
            return Results(first.rows, False, first.description)
        most = self.ds.max_returned_rows
        (n,) = (await super().execute(NUMBER.format(sql=sql, limit=most + 1), params, *args, **options)).rows[0]
        return Results([*first.rows[:SHOWN], *[()] * (min(n, most) - SHOWN)], n > most, first.description)

    async def _key_of(self, table: str) -> list[str]:
        """What tells the rows of a table or view apart: its primary key, its rowid; of a view its DOI, else all columns."""
        columns: list[str] = await self.table_columns(table)
        if await self.get_view_definition(table):
            return ["doi"] if "doi" in columns else columns
        return await self.primary_keys(table) or ["rowid"]

    def _limit_ms(self, options: dict[str, Any]) -> int:
        most: int = self.ds.sql_time_limit_ms
        return min(options.get("custom_time_limit") or most, most)


def _ranges(after: re.Match[str]) -> list[str]:
    """What an index can find of the rows after the last one shown (`bitset_counts.AFTER`), in two parts if need be."""
    column, than, value = after["column"], after["than"], after["value"]
    if column is None:
        return [after[0]]
    ranges = [f"{column} {than}= {value} and {after[0]}"]
    return [*ranges, f"{column} is null"] if after["or_null"] else ranges


def _of_all_pages(sql: str, where: str) -> str:
    """A statement that counts rows, without the condition that leaves out those of the pages before (`bitset_counts.AFTER`)."""
    conditions = bitset_counts.conditions(where)
    kept = [one for one in conditions if not bitset_counts.AFTER.fullmatch(one)]
    return sql if kept == conditions else sql.replace(where, " and ".join(kept) or "true", 1)
