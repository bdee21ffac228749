"""Paging that neither loses nor repeats a row, in whatever order a list is sorted; and lists of works that are counted once.

Datasette 0.65 (and 1.0a41) sorts the first page of a table by the chosen column alone and the pages after it by column and
key. Rows that tie on the column come in the order SQLite happens to meet them, so on a table whose rowids do not follow its
key, as `works` with its DOIs, rows between two pages are skipped or shown twice; CSV and JSON inherit it. Here the key is
added to the first page's order too.

A page about works asks for the same list again and again: its rows, their number, each facet. Here the list is made once,
as a set of rowids (`evidence.publish.work_sets`); rows are looked up when it is known which are shown, and what counts is
read off the set. While somebody writes to the database, and where a list is not understood, the statement runs as Datasette
wrote it. Of other tables and of views, counts and facets are kept until the database changes, and of views the pages.

Only the statements of Datasette's own table pages are touched: `filters_from_request` runs nowhere else, and it leaves the
table's name where the statements can be recognised.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

from datasette import hookimpl
from datasette.database import QueryInterrupted, Results
from datasette.utils import escape_sqlite

from evidence.publish import precomputed, work_sets
from evidence.publish.cache import MEMORY, Memory

NAME = "evidence"

ONE_COLUMN = re.compile(r" order by (\[[^\]]*\]|\"[^\"]*\"|\w+)( desc)?(?= limit \d+( offset \d+)?$)")
"""The end of a table page's statement that is sorted by one column and nothing else."""

PAGE = re.compile(r" limit \d+( offset \d+)?$")
"""The end of a table page's statement, sorted or not."""

WORKS = re.compile(
    r"select (?P<columns>.*?) from works (?:where (?P<where>.*) )?order by (?P<order>.*?) limit (?P<limit>\d+)",
    re.DOTALL,
)
"""A page of works: the statement for its rows, …"""

COUNT = re.compile(r"select count\(\*\) from works (?:where (?P<where>.*) )?", re.DOTALL)
"""… for their number, …"""

FACET = re.compile(
    r"\s*select (?P<column>\w+) as value, count\(\*\) as count from \(\s*select .*? from works (?:where (?P<where>.*?) )?\s*\)"
    r"\s*where (?P=column) is not null\s*group by (?P=column) order by count desc, value limit (?P<limit>\d+)\s*",
    re.DOTALL,
)
"""… and for the values of a column with how many rows have them."""

COUNTED = re.compile(
    r"\s*select (?P<column>\w+) as value, count\(\*\) as count from \(\s*select [^()]*? from (?P<table>\w+)"
    r"(?: where (?P<where>\"\w+\" = :p\d+(?: and \"\w+\" = :p\d+)*))?\s*\)"
    r"\s*where (?P=column) is not null\s*group by (?P=column) order by count desc, value limit (?P<limit>\d+)\s*"
)
NUMBERED = re.compile(
    r"select count\(\*\) from (?P<table>\w+)(?: where (?P<where>\"\w+\" = :p\d+(?: and \"\w+\" = :p\d+)*))?\s*"
)
"""The same of another table, the whole or where columns have some values: a published copy has the numbers in a table
(`evidence.publish.precomputed`)."""

CONDITION = re.compile(r"\"(\w+)\" = :(p\d+)")

VALUES = re.compile(r"\s*select \S+ as value, count\(\*\) as count from \(")
LIMIT = re.compile(r" limit (\d+)( offset \d+)?\s*$")
"""The same for any table, whose answers are kept if they are short."""

SHORT = 201
"""Rows up to which an answer is kept."""

ANSWERS = Memory()
"""Where they are kept: apart from what every page needs."""

FOR_PEOPLE = 1001
"""Rows up to which a page is looked up late. Bigger ones are parts of a file, where each row is asked for once anyway."""

FEW = 1000
"""Works up to which a list is told to SQLite by number; one by one it would look for them in a longer one."""

LATE = """
    select {columns} from works where rowid in (select rowid from works {among} order by {order} limit {limit})
    order by {order}
"""


class Listed:
    """What this request lists: the table; whether somebody's own SQL is among the conditions; whether its rows were asked for
    already; and, when it is a list of works that is counted once, the conditions of those rows."""

    def __init__(self, table: str, own_sql: bool) -> None:
        self.table, self.own_sql = table, own_sql
        self.shown = False
        self.where: str | None = None


_listed: ContextVar[Listed | None] = ContextVar("listed", default=None)


@hookimpl(trylast=True)
def startup(datasette: Any) -> Callable[[], Awaitable[None]]:
    async def inner() -> None:
        for database in datasette.databases.values():
            database.execute = completing(database)

    return inner


@hookimpl
def filters_from_request(request: Any, table: str) -> None:
    _listed.set(Listed(table, own_sql="_where" in request.args))


def completing(database: Any) -> Callable[..., Awaitable[Any]]:
    """`database.execute`, but that a table page's order ends in the table's key, and that works are counted once."""
    execute = database.execute

    async def completed(sql: str, params: Any = None, *args: Any, **options: Any) -> Any:
        listed = _listed.get()
        if listed is not None and not listed.shown and PAGE.search(sql):
            listed.shown = True  # the page's one statement: what looks like it later in this request is somebody else's
            sql = await ordered(database, listed.table, sql)
            if (page := WORKS.fullmatch(sql)) and counted_once(database, listed):
                listed.where = page["where"] or ""
        # A page's own statements have their parameters by name, or none.
        if listed is not None and listed.where is not None and (not params or isinstance(params, dict)):
            try:
                answer = await shorter(database, listed, listed.where, sql, dict(params or {}), options)
            except sqlite3.Error as error:
                if error.args == ("interrupted",):
                    raise QueryInterrupted(error, sql, params) from None
                answer = None  # a filter that SQLite does not take: it says so of the statement itself
            if isinstance(answer, Results):
                return answer
            sql, params = answer or (sql, params)
        if listed is not None and not database.is_mutable and (read_off := await counted_before(database, sql, params)):
            return read_off
        if listed is not None and await asked_again(database, listed, sql, params):
            key = ("asked again", sql, tuple(sorted((params or {}).items())), tuple(sorted(options.items())))
            return await ANSWERS.get(database.path, key, lambda: execute(sql, params, *args, **options))
        return await execute(sql, params, *args, **options)

    return completed


async def counted_before(database: Any, sql: str, params: Any) -> Results | None:
    """The number of a table's rows, or of each value of a column, where a published copy has counted them; else None."""
    asked = COUNTED.fullmatch(sql) or NUMBERED.fullmatch(sql)
    if asked is None or (params and not isinstance(params, dict)):
        return None
    known = await MEMORY.get(database.path, "values", lambda: database.execute_fn(values_counted))
    columns, rows = known.get(asked["table"], ((), ()))
    wanted = {column: params[name] for column, name in CONDITION.findall(asked["where"] or "")}
    if not columns or not wanted.keys() <= set(columns) or not all(type(value) is str for value in wanted.values()):
        return None
    places = [(columns.index(column), value) for column, value in wanted.items()]
    met = [(said, n) for said, n in rows if all(said[place] == value for place, value in places)]
    if "column" not in asked.re.groupindex:
        return Results([(sum(n for _, n in met),)], False, None)
    if asked["column"] not in columns:
        return None
    place, counts = columns.index(asked["column"]), Counter[str]()
    for said, n in met:
        if said[place] is not None:
            counts[said[place]] += n
    best = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[: int(asked["limit"])]
    return Results([{"value": value, "count": n} for value, n in best], False, None)


def values_counted(conn: sqlite3.Connection) -> dict[str, tuple[list[str], list[tuple[list[Any], int]]]]:
    """Table → the columns it was counted by, and how many rows have each combination of their values."""
    found: dict[str, tuple[list[str], list[tuple[list[Any], int]]]] = {}
    if conn.execute("select 1 from sqlite_master where name = ?", (precomputed.VALUES,)).fetchone():
        for table, columns, said, n in conn.execute(
            f"select of_table, of_columns, said, n from {precomputed.VALUES}"  # noqa: S608 - our own name
        ):
            found.setdefault(table, (json.loads(columns), []))[1].append((json.loads(said), n))
    return found


async def asked_again(database: Any, listed: Listed, sql: str, params: Any) -> bool:
    """Whether this statement looks at a whole table or view for a short answer, so that the answer is worth keeping: a count,
    the values of a column, or a page of a view."""
    if params and not isinstance(params, dict):
        return False
    end = LIMIT.search(sql)
    if sql.startswith("select count(*) from "):
        return True
    if end is None or int(end[1]) > SHORT:
        return False
    if VALUES.match(sql):
        return True
    return PAGE.search(sql) is not None and await database.get_view_definition(listed.table) is not None


def counted_once(database: Any, listed: Listed) -> bool:
    """Whether this is a list of works, of a database that keeps still long enough to be counted once."""
    return listed.table == "works" and database.name == NAME and MEMORY.keeps(database.path)


async def ordered(database: Any, table: str, sql: str) -> str:
    """The statement with the table's key at the end of its order."""
    found = ONE_COLUMN.search(sql)
    if found is None:
        return sql
    key = "".join(f", {escape_sqlite(column)}" for column in await key_of(database, table))
    return sql[: found.end()] + key + sql[found.end() :]


async def shorter(
    database: Any, listed: Listed, shown: str, sql: str, params: dict[str, Any], options: dict[str, Any]
) -> Results | tuple[str, dict[str, Any]] | None:
    """The answer to one of the page's statements from the set of its works, or a statement that looks at fewer rows; None
    when it is no such statement. `shown` are the conditions of the page's rows."""
    limit = min(options.get("custom_time_limit") or database.ds.sql_time_limit_ms, database.ds.sql_time_limit_ms)

    async def works(where: str) -> int:
        return await work_sets.listed(database, where, params, limit_ms=limit, splits=not listed.own_sql)

    if page := WORKS.fullmatch(sql):
        if (page["where"] or "") != shown or int(page["limit"]) > FOR_PEOPLE:
            return None
        return late(page, await works(shown), params)
    if (count := COUNT.fullmatch(sql)) and shown.startswith(count["where"] or ""):
        return Results([((await works(count["where"] or "")).bit_count(),)], False, None)
    if (facet := FACET.fullmatch(sql)) and facet["column"] in work_sets.COLUMNS and (facet["where"] or "") == shown:
        values = (await work_sets.kept(database)).by_column(facet["column"], await works(shown))
        return Results([{"value": value, "count": n} for value, n in values[: int(facet["limit"])]], False, None)
    return None


def late(page: re.Match[str], works: int, params: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The statement of a page of these works: sorted by what an index holds, and only the rows that are shown looked up."""
    more: dict[str, Any] = {}
    if not page["where"]:
        among = ""
    elif works.bit_count() <= FEW:
        among = "where rowid in (select value from json_each(:_works))"
        more = {"_works": json.dumps(work_sets.numbers_of(works))}
    else:
        among = f"where {work_sets.IN_MARKS.format(name='_works', rowid='rowid')}"
        more = {"_works": work_sets.marks_of(works)}
    sql = LATE.format(columns=page["columns"], among=among, order=page["order"], limit=page["limit"])
    return sql, {**params, **more}


async def key_of(database: Any, table: str) -> list[str]:
    """What tells the rows of a table or view apart: its primary key, its rowid; of a view its DOI, else all columns."""
    columns = await database.table_columns(table)
    if await database.get_view_definition(table):
        return ["doi"] if "doi" in columns else columns
    return await database.primary_keys(table) or ["rowid"]
