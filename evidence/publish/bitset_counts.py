"""Bitsets of works by tag and column value, for counting works without joins in SQLite.

A set is one integer with a bit for each work at its rowid, 12.5 kB at 100,000 works: `&` is what two sets have in common,
`.bit_count()` how many works that is. The sets of the tags and columns are read from the database once for each of its
states (two thirds of a second at 100,000 works), and so is the set of a list that a page shows; the cache keeps both. SQLite
decides which works are in a list. This module shows no page and judges nothing.
"""

from __future__ import annotations

import json
import re
import sqlite3
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from datasette.database import QueryInterrupted
from datasette.utils import sqlite_timelimit

from evidence.data_model import SHOWN_STRENGTHS, Strength
from evidence.linkage.retraction_notices import RETRACTIONS
from evidence.publish.query_cache import CACHE, Cache

COLUMNS = ("verdict", "year", "judged_on")
"""Columns of `works` with few values, by which every list is counted."""

TAGS = "select w.rowid, t.facet, t.value, t.strength from works w cross join tags t on t.doi = w.doi"
"""`cross join` keeps this order: one look-up for each work instead of one for each tag."""


RETRACTED = """
    select w.rowid from json_each(?) j join notices n on n.kind = j.value join works w on w.doi = n.doi and w.notice = n.kind
"""
"""From the table of notices, which is short."""

ROWID_IN = re.compile(r"rowid in \((select rowid from works_fts where [^()]*(?:\([^()]*\)[^()]*)?)\)")
"""A search, as Datasette writes it. Its rowids are the works' own."""

PARAMETER = re.compile(r":(\w+)")

CONDITIONS = Cache()
"""A cache of their own: there are as many as readers think of, and they must not push out what every page needs."""


@dataclass(frozen=True, slots=True)
class WorkSets:
    """`tags`: (facet, value) → the set of the works with this tag, stated or likely; `columns`: column → value → the set of works
    with it (works where it is null are in none); `works`: all of them; `top`: the highest rowid; `by_strength`: strength →
    (facet, value) → the set of the works with this tag at this strength."""

    tags: Mapping[tuple[str, str], int]
    columns: Mapping[str, Mapping[Any, int]]
    works: int
    top: int
    by_strength: Mapping[Strength, Mapping[tuple[str, str], int]]

    def tagged(self, strengths: Sequence[Strength] = SHOWN_STRENGTHS) -> Mapping[tuple[str, str], int]:
        """(facet, value) → the set of the works with this tag at one of these strengths."""
        return self.tags if strengths == SHOWN_STRENGTHS else _union(self.by_strength, strengths)

    def either(self, facet: str, *values: str) -> int:
        """The works with any of these values, stated or likely."""
        return either(self.tags, facet, *values)

    def by_tag(self, facet: str, works: int, strengths: Sequence[Strength] = SHOWN_STRENGTHS) -> list[tuple[str, int]]:
        """(value, how many of `works` have it at one of these strengths), most first; values that none has are left out."""
        tagged = self.tagged(strengths)
        return _counted(((value, mask) for (name, value), mask in tagged.items() if name == facet), works)

    def by_column(self, column: str, works: int) -> list[tuple[Any, int]]:
        """(value, how many of `works` have it), most first; nulls and values that none has are left out."""
        return _counted(self.columns[column].items(), works)

    def set_of(self, rowids: Iterable[tuple[int]]) -> int:
        """The set of these works, from rows of one number (a cursor is fine); numbers of no work are left out."""
        top = self.top
        return _set((number for (number,) in rowids if 0 < number <= top), top) & self.works


def either(tagged: Mapping[tuple[str, str], int], facet: str, *values: str) -> int:
    """The works with any of these values; `tagged` as `WorkSets.tagged`."""
    works = 0
    for value in values:
        works |= tagged.get((facet, value), 0)
    return works


async def of_database(db: Any) -> WorkSets:
    """The sets of a Datasette database as it is now."""
    found: WorkSets = await CACHE.get(db.path, "work sets", lambda: db.execute_fn(read_sets))
    return found


async def retracted(db: Any) -> int:
    """The works that anyone who was asked calls retracted, withdrawn or removed, unless a later reinstatement undoes it."""
    sets = await of_database(db)
    found: int = await CACHE.get(
        db.path,
        "retracted",
        lambda: db.execute_fn(
            lambda conn: sets.set_of(map(tuple, conn.execute(RETRACTED, (json.dumps(RETRACTIONS),))))
        ),
    )
    return found


async def of_list(db: Any, where: str, params: Mapping[str, Any], *, limit_ms: int) -> int:
    """The works for which `where` holds: conditions joined by `and` (empty: all works). An `or` must be in brackets.

    datasette.database.QueryInterrupted after `limit_ms` for a condition; sqlite3.Error for one that SQLite does not take.
    """
    works = (await of_database(db)).works
    # One by one they are found in indexes, and kept for other lists that have them too.
    for condition in conditions(where):
        works &= await _of_condition(db, condition, params, limit_ms)
    return works


def conditions(where: str) -> list[str]:
    """A where clause split at each ` and ` that is not in brackets."""
    found: list[str] = []
    depth = 0
    for part in where.split(" and ") if where else ():
        if depth:
            found[-1] += f" and {part}"
        else:
            found.append(part)
        depth += part.count("(") - part.count(")")
    return found


async def _of_condition(db: Any, condition: str, params: Mapping[str, Any], limit_ms: int) -> int:
    sets = await of_database(db)
    # What is in a subquery of rowids need not be looked up in `works` again.
    rowids = ROWID_IN.fullmatch(condition)
    sql = rowids[1] if rowids else f"select rowid from works where {condition}"  # noqa: S608 - as Datasette wrote it
    used = {name: params[name] for name in PARAMETER.findall(condition) if name in params}

    def find(conn: sqlite3.Connection) -> int:
        cursor = conn.cursor()
        cursor.row_factory = None  # a server's connection may make costlier rows than tuples
        with sqlite_timelimit(conn, limit_ms):
            return sets.set_of(cursor.execute(sql, used))

    try:
        found: int = await CONDITIONS.get(db.path, (sql, tuple(sorted(used.items()))), lambda: db.execute_fn(find))
    except sqlite3.OperationalError as error:
        if error.args == ("interrupted",):
            raise QueryInterrupted(error, sql, used) from None
        raise
    return found


def read_sets(conn: sqlite3.Connection) -> WorkSets:
    """The sets of all tags and of `COLUMNS`."""
    cursor = conn.cursor()
    cursor.row_factory = None
    (top,) = cursor.execute("select coalesce(max(rowid), 0) from works").fetchone()
    columns: dict[str, dict[Any, array[int]]] = {column: {} for column in COLUMNS}
    works = array("q")
    for number, *values in cursor.execute(f"select rowid, {', '.join(COLUMNS)} from works"):  # noqa: S608 - our names
        works.append(number)
        for column, value in zip(columns.values(), values, strict=True):
            if value is not None:
                column.setdefault(value, array("q")).append(number)
    tags: dict[tuple[str, str, Strength], array[int]] = {}
    for number, facet, value, strength in cursor.execute(TAGS):
        tags.setdefault((facet, value, strength), array("q")).append(number)
    # A work that was stored between two of these statements has a number beyond the first one's answer.
    top = max(top, *(max(numbers, default=0) for numbers in (works, *tags.values())))
    by_strength: dict[Strength, dict[tuple[str, str], int]] = {}
    for (facet, value, strength), numbers in tags.items():
        by_strength.setdefault(strength, {})[facet, value] = _set(numbers, top)
    return WorkSets(
        _union(by_strength, SHOWN_STRENGTHS),
        {
            column: {value: _set(numbers, top) for value, numbers in values.items()}
            for column, values in columns.items()
        },
        _set(works, top),
        top,
        by_strength,
    )


def flags_of(works: int) -> bytes:
    """A byte for each rowid from 0: `1` where it is in the set."""
    return format(works, "b")[::-1].encode("ascii")


def rowids_of(works: int) -> list[int]:
    """The rowids in a set, rising."""
    return [number for number, flag in enumerate(flags_of(works)) if flag == ord("1")]


def _set(numbers: Iterable[int], top: int) -> int:
    flags = bytearray(b"0") * (top + 1)
    for number in numbers:
        flags[number] = ord("1")
    flags.reverse()
    return int(flags, 2)  # of a base that is a power of two, this takes linear time


def _union(
    by_strength: Mapping[Strength, Mapping[tuple[str, str], int]], strengths: Sequence[Strength]
) -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for strength in strengths:
        for tag, works in by_strength.get(strength, {}).items():
            found[tag] = found.get(tag, 0) | works
    return found


def _counted(sets: Iterable[tuple[Any, int]], works: int) -> list[tuple[Any, int]]:
    found = ((value, (mask & works).bit_count()) for value, mask in sets)
    return sorted(((value, n) for value, n in found if n), key=lambda pair: (-pair[1], pair[0]))
