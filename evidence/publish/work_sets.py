"""Counts over sets of works without asking SQLite to join texts: a set is one integer, a bit a work at its rowid.

A tag's works, a verdict's, a list's are such integers (12.5 kB at 100,000 works): what two have in common is `&`, how many
that are is `.bit_count()`. They are read once for each state of the database, and kept by `remember`. A list that Datasette
asks for becomes such a set too, once, and every count of the page is taken from it. This room shows no page and judges
nothing; where it knows no short cut, SQLite decides what is in a list.
"""

from __future__ import annotations

import re
import sqlite3
import zlib
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from datasette.utils import sqlite_timelimit

from evidence.publish.cache import MEMORY, Memory

COLUMNS = ("verdict", "year")
"""Columns of `works` with few values, by which every list is counted."""

IN_MARKS = "substr(:{name}, {rowid} + 1, 1) = x'31'"
"""SQL for "is in the set", given `marks_of` as the parameter `name`: a look at one byte, in C and without a table."""

KNOWN = re.compile(
    r"""
    (?:^|\ and\ )
    (?:
        "verdict"\ =\ :(?P<verdict>p\d+)
        | rowid\ in\ \((?P<search>select\ rowid\ from\ works_fts\ where\ works_fts\ match\ (?:escape_fts\(:search\)|:search))\)
        | doi\ in\ \(select\ doi\ from\ tags\ where\ facet\ =\ :(?P<facet>tag_facet_\d+)\ and\ value\ in\ \((?P<values>[^()]*)\)\)
    )
    (?=\ and\ |$)
    """,
    re.VERBOSE,
)
"""Conditions of a list whose works are known without it: a verdict, a search of the full text, a tag (`tag_facets` writes it)."""

TAGS = "select w.rowid, t.facet, t.value from works w cross join tags t on t.doi = w.doi"
"""`cross join` keeps this order: one look-up for each work instead of one for each tag."""

STORED = "published_sets"
"""The table in which a published copy has all sets already (`counted` writes it)."""

LISTS = Memory(128)
"""Lists have a memory of their own: there are as many as readers think of, and they must not push out what every page needs."""


@dataclass(frozen=True, slots=True)
class Tallies:
    """`tags`: (facet, value) → the set of its works; `columns`: column → value → the set of works with it (works where it
    is null are in none); `works`: all of them; `top`: the highest rowid."""

    tags: Mapping[tuple[str, str], int]
    columns: Mapping[str, Mapping[Any, int]]
    works: int
    top: int

    def either(self, facet: str, *values: str) -> int:
        """The works with any of these values."""
        works = 0
        for value in values:
            works |= self.tags.get((facet, value), 0)
        return works

    def by_tag(self, facet: str, works: int) -> list[tuple[str, int]]:
        """(value, how many of `works` have it), most first; values that none has are left out."""
        return _counted(((value, mask) for (name, value), mask in self.tags.items() if name == facet), works)

    def by_column(self, column: str, works: int) -> list[tuple[Any, int]]:
        """(value, how many of `works` have it), most first; nulls and values that none has are left out."""
        return _counted(self.columns[column].items(), works)

    def set_of(self, rowids: Iterable[tuple[int]]) -> int:
        """The set of these works, from rows of one number (a cursor is fine); numbers of no work are left out."""
        top = self.top
        return _set((number for (number,) in rowids if 0 < number <= top), top) & self.works


async def kept(db: Any) -> Tallies:
    """The sets of a Datasette database as it is now, from memory if nothing has changed."""
    # A file that may be written to is counted: what is stored in it may be from before a change.
    found: Tallies = await MEMORY.get(db.path, "tallies", lambda: db.execute_fn(read if db.is_mutable else read_stored))
    return found


async def listed(db: Any, where: str, params: Mapping[str, Any], *, limit_ms: int, splits: bool = True) -> int:
    """The works on a list of Datasette's, by its conditions joined by `and` (no `where`; empty: all works).

    `splits` False when the conditions may hold text that somebody wrote as SQL: then they cannot be told apart, and are
    asked as they stand. sqlite3.Error, "interrupted" after `limit_ms` among them, as SQLite says it.
    """
    tallies = await kept(db)
    if not where:
        return tallies.works
    key = ("list", where, tuple(sorted(params.items())))
    found: int = await LISTS.get(
        db.path,
        key,
        lambda: db.execute_fn(lambda conn: _find(conn, tallies, where, params, limit_ms, splits)),
    )
    return found


def _find(
    conn: sqlite3.Connection, tallies: Tallies, where: str, params: Mapping[str, Any], limit_ms: int, splits: bool
) -> int:
    cursor = conn.cursor()
    cursor.row_factory = None
    works, rest = tallies.works, where
    with sqlite_timelimit(conn, limit_ms):
        for known in KNOWN.finditer(where) if splits else ():
            if known["verdict"]:
                works &= tallies.columns["verdict"].get(params[known["verdict"]], 0)
            elif known["search"]:
                works &= tallies.set_of(cursor.execute(known["search"], params))
            else:
                values = [params[name.strip(" :")] for name in known["values"].split(",")]
                works &= tallies.either(params[known["facet"]], *values)
        if splits:
            rest = KNOWN.sub("", where).removeprefix(" and ")
        if rest:
            works &= tallies.set_of(cursor.execute(f"select rowid from works where {rest}", params))  # noqa: S608
    return works


def read_stored(conn: sqlite3.Connection) -> Tallies:
    """The sets of a published copy, a tenth of a second at 1,000,000 works; counted where it has none."""
    cursor = conn.cursor()
    cursor.row_factory = None
    if not cursor.execute("select 1 from sqlite_master where name = ?", (STORED,)).fetchone():
        return read(conn)
    tags: dict[tuple[str, str], int] = {}
    columns: dict[str, dict[Any, int]] = {column: {} for column in COLUMNS}
    works = top = 0
    for kind, name, value, packed in cursor.execute(f"select kind, name, value, works from {STORED}"):  # noqa: S608
        mask = int.from_bytes(zlib.decompress(packed), "little")
        if kind == "tag":
            tags[name, value] = mask
        elif kind == "column":
            columns[name][value] = mask
        else:
            works, top = mask, value
    return Tallies(tags, columns, works, top)


def read(conn: sqlite3.Connection) -> Tallies:
    """Everything, in half a second at 100,000 works."""
    cursor = conn.cursor()
    cursor.row_factory = None  # a server's connection may make costlier rows than tuples
    (top,) = cursor.execute("select coalesce(max(rowid), 0) from works").fetchone()
    columns: dict[str, dict[Any, array[int]]] = {column: {} for column in COLUMNS}
    works = array("q")
    for number, *values in cursor.execute(f"select rowid, {', '.join(COLUMNS)} from works"):  # noqa: S608 - our names
        works.append(number)
        for column, value in zip(columns.values(), values, strict=True):
            if value is not None:
                column.setdefault(value, array("q")).append(number)
    tags: dict[tuple[str, str], array[int]] = {}
    for number, facet, value in cursor.execute(TAGS):
        tags.setdefault((facet, value), array("q")).append(number)
    # A work that landed between two of these statements has a number beyond the first one's answer.
    top = max(top, *(max(numbers, default=0) for numbers in (works, *tags.values())))
    return Tallies(
        {tag: _set(numbers, top) for tag, numbers in tags.items()},
        {
            column: {value: _set(numbers, top) for value, numbers in values.items()}
            for column, values in columns.items()
        },
        _set(works, top),
        top,
    )


def marks_of(works: int) -> bytes:
    """A byte for each number from 0: `1` where it is in the set."""
    return format(works, "b")[::-1].encode("ascii")


def numbers_of(works: int) -> list[int]:
    """The rowids in a set, rising."""
    return [number for number, mark in enumerate(marks_of(works)) if mark == ord("1")]


def _set(numbers: Iterable[int], top: int) -> int:
    marks = bytearray(b"0") * (top + 1)
    for number in numbers:
        marks[number] = 49  # "1"
    marks.reverse()
    return int(marks, 2)  # of a base that is a power of two, this takes linear time


def _counted(sets: Iterable[tuple[Any, int]], works: int) -> list[tuple[Any, int]]:
    found = ((value, (mask & works).bit_count()) for value, mask in sets)
    return sorted(((value, n) for value, n in found if n), key=lambda pair: (-pair[1], pair[0]))
