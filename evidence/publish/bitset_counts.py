"""Bitsets of works by tag and column value, for counting works without joins in SQLite.

A set is one integer with a bit for each work at its rowid, 12.5 kB at 100,000 works: `&` is what two sets have in common,
`.bit_count()` how many works that is. The sets of the tags and columns are read from the database once for each of its
states (two thirds of a second at 100,000 works), and so is the set of a list that a page shows; the cache keeps both. SQLite
decides which works are in a list. This module shows no page and judges nothing.
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from datasette.database import QueryInterrupted
from datasette.utils import sqlite_timelimit

from evidence.data_model import SHOWN_STRENGTHS, STRENGTHS, Strength
from evidence.linkage.retraction_notices import RETRACTIONS
from evidence.publish.query_cache import CACHE, Cache

COLUMNS = ("verdict", "year", "judged_on")
"""Columns of `works` with few values, by which every list is counted."""

READ = "title+abstract"
"""`judged_on` of a work whose abstract could be read."""

_EACH = ", ".join(f"group_concat(ifnull({column}, ''))" for column in COLUMNS)
STORED_WORKS = f"select group_concat(rowid), {_EACH} from works"  # noqa: S608 - our own names, here and below
"""Numbers and values of all works, each as one text: as rows they take three times as long. No value of `COLUMNS` has a comma."""

_EACH = ", ".join(f"group_concat(w.rowid) filter (where t.strength = '{strength}')" for strength in STRENGTHS)
STORED_TAGS = f"select t.facet, t.value, {_EACH} from tags t cross join works w on w.doi = t.doi {{}} group by 1, 2"  # noqa: S608
"""`cross join` keeps this order, in which an index has the tags: nothing is sorted, and works are looked up by rising DOI."""
OF_ALL, OF_ONE = "", "where t.facet = ? and t.value = ?"

TAG_STATES = """
    select facet, value, count(*), cast(group_concat(doi, char(31)) as blob), cast(group_concat(strength) as blob)
    from tags group by facet, value
"""
"""What the set of each tag is made from. Where it is what it was, so is the set, and its works need not be looked up."""

PLACES = (
    "select cast(group_concat(doi, char(31)) as blob), cast(group_concat(rowid) as blob) from works where +rowid <= ?"
)
"""The row numbers of the works up to one. `+`: an index has them without the abstracts between."""

PLACE = ("", "")
"""Stands for all works among the digests of tags."""

LONGEST = 1_000_000_000
"""Bytes of a text that SQLite holds unless it is told otherwise."""

NOTICED = "select distinct n.kind, w.rowid from notices n cross join works w on w.doi = n.doi and w.notice = n.kind"
"""`cross join`: from the table of notices, which is short. In a database that was never analysed SQLite reads every work."""

ROWID_IN = re.compile(r"rowid in \((select rowid from works_fts where [^()]*(?:\([^()]*\)[^()]*)?)\)")
"""A search, as Datasette writes it. Its rowids are the works' own."""

PARAMETER = re.compile(r":(\w+)")

_ONE = ord("1")
LONG = 500
"""Characters of a parameter above which a digest of it stands for it among the keys of the cache."""

_LAST: WeakKeyDictionary[Any, WorkSets] = WeakKeyDictionary()
"""The sets that were read last, by Datasette's database."""

CONDITIONS = Cache()
"""A cache of their own: there are as many as readers think of, and they must not push out what every page needs."""


@dataclass(frozen=True, slots=True)
class WorkSets:
    """`tags`: (facet, value) → the set of the works with this tag, stated or likely; `columns`: column → value → the set of works
    with it (works where it is null are in none); `works`: all of them; `top`: the highest rowid; `by_strength`: strength →
    (facet, value) → the set of the works with this tag at this strength; `matched`: an expression for the full-text index → the
    set of the works that it finds, for a search to fill; `states`: (facet, value) → a digest of what the sets of this tag were
    made from, and `PLACE` → one of the row numbers of all works (only from `read_sets_again`)."""

    tags: Mapping[tuple[str, str], int]
    columns: Mapping[str, Mapping[Any, int]]
    works: int
    top: int
    by_strength: Mapping[Strength, Mapping[tuple[str, str], int]]
    matched: dict[str, int] = field(default_factory=dict)
    states: Mapping[tuple[str, str], bytes] = field(default_factory=dict)

    def tagged(self, strengths: Sequence[Strength] = SHOWN_STRENGTHS) -> Mapping[tuple[str, str], int]:
        """(facet, value) → the set of the works with this tag at one of these strengths."""
        return self.tags if strengths == SHOWN_STRENGTHS else _union(self.by_strength, strengths)

    def either(self, facet: str, *values: str) -> int:
        """The works with any of these values, stated or likely."""
        return either(self.tags, facet, *values)

    def with_column(self, column: str, values: Iterable[Any]) -> int:
        """The works with any of these values in a column."""
        works = 0
        for value in values:
            works |= self.columns[column].get(value, 0)
        return works

    def in_years(self, since: int | None, until: int | None) -> int:
        """The works of these years; an end that is None is open. Works without a year are in none."""
        return self.with_column(
            "year",
            [y for y in self.columns["year"] if (since is None or y >= since) and (until is None or y <= until)],
        )

    def by_tag(self, facet: str, works: int, strengths: Sequence[Strength] = SHOWN_STRENGTHS) -> list[tuple[str, int]]:
        """(value, how many of `works` have it at one of these strengths), most first; values that none has are left out."""
        tagged = self.tagged(strengths)
        return _counted(((value, mask) for (name, value), mask in tagged.items() if name == facet), works)

    def by_column(self, column: str, works: int) -> list[tuple[Any, int]]:
        """(value, how many of `works` have it), most first; nulls and values that none has are left out."""
        return _counted(self.columns[column].items(), works)

    def set_of(self, rowids: Iterable[tuple[int]]) -> int:
        """The set of these works, from rows of one number (a cursor is fine); numbers of no work are left out."""
        return self.set_of_numbers(number for (number,) in rowids)

    def set_of_numbers(self, numbers: Iterable[int]) -> int:
        """The same from numbers that are not in rows."""
        known = array("q", numbers)
        top = max(known, default=0)
        return _set(known, max(top, self.top)) & self.works


def either(tagged: Mapping[tuple[str, str], int], facet: str, *values: str) -> int:
    """The works with any of these values; `tagged` as `WorkSets.tagged`."""
    works = 0
    for value in values:
        works |= tagged.get((facet, value), 0)
    return works


async def of_database(db: Any) -> WorkSets:
    """The sets of a Datasette database as it is now."""
    if not db.is_mutable:
        kept: WorkSets = await CACHE.get(db.path, "work sets", lambda: db.execute_fn(read_sets))
        return kept
    before = _LAST.get(db)
    found: WorkSets = await CACHE.get(
        db.path, "work sets", lambda: db.execute_fn(lambda conn: read_sets_again(conn, before))
    )
    _LAST[db] = found
    return found


async def by_notice(db: Any) -> Mapping[str, int]:
    """Kind of notice → the set of the works of which it is the gravest."""
    sets = await of_database(db)
    found: Mapping[str, int] = await CACHE.get(
        db.path, "notices", lambda: db.execute_fn(lambda conn: read_notices(conn, sets))
    )
    return found


async def retracted(db: Any) -> int:
    """The works that anyone who was asked calls retracted, withdrawn or removed, unless a later reinstatement undoes it."""
    return retracted_of(await by_notice(db))


AFTER = re.compile(
    r"\((?P<column>\S+) (?P<than>[<>]) (?P<value>:p\d+)(?P<or_null> or (?P=column) is null)? or \(.*\)\)"
    r"|\((?P<null>\S+) (?:is not null or \((?P=null) )?is null and \(.*:p\d+\)+"
)
"""What Datasette's `_next` adds to the filter of a sorted page: the rows after the last one shown. Datasette itself counts the
values of a page without the rows of the pages before, so that the numbers of one list change from page to page."""


async def of_list(db: Any, where: str, params: Mapping[str, Any], *, limit_ms: int) -> int:
    """The works for which `where` holds: conditions joined by `and` (empty: all works). An `or` must be in brackets. A list is
    the same on each of its pages: what a later page adds (`AFTER`) does not count.

    datasette.database.QueryInterrupted after `limit_ms` for a condition; sqlite3.Error for one that SQLite does not take.
    """
    works = (await of_database(db)).works
    # One by one they are found in indexes, and kept for other lists that have them too.
    for condition in conditions(where):
        if AFTER.fullmatch(condition):
            continue
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
        with _one_state(conn) as cursor, sqlite_timelimit(conn, limit_ms):
            (text,) = cursor.execute(f"select group_concat(rowid) from ({sql})", used).fetchone()  # noqa: S608 - as above
        return sets.set_of_numbers(_numbers(text))

    try:
        key = (sql, tuple(sorted((name, _short(value)) for name, value in used.items())))
        found: int = await CONDITIONS.get(db.path, key, lambda: db.execute_fn(find))
    except sqlite3.OperationalError as error:
        if error.args == ("interrupted",):
            raise QueryInterrupted(error, sql, used) from None
        raise
    return found


def _short(value: Any) -> Any:
    long = isinstance(value, str) and len(value) > LONG
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).digest() if long else value


def read_sets(conn: sqlite3.Connection) -> WorkSets:
    """The sets of all tags and of `COLUMNS`."""
    with _one_state(conn) as cursor:
        columns, works, top = _read_columns(cursor)
        return _with_tags(columns, works, top, _read_tags(cursor, OF_ALL), {})


def read_sets_again(conn: sqlite3.Connection, before: WorkSets | None) -> WorkSets:
    """The same for a database that changes: sets of tags that are as they were `before` (the sets of an earlier state of it, read
    by this function) are not read again, which takes longest."""
    with _one_state(conn) as cursor:
        columns, works, top = _read_columns(cursor)
        tagged: dict[tuple[str, str], int] = {}
        states: dict[tuple[str, str], bytes] = {}
        for facet, value, number, *made_from in cursor.execute(TAG_STATES):
            tagged[facet, value], states[facet, value] = number, _digest(*made_from)
        states[PLACE] = _places(cursor, top)
        known: dict[tuple[str, str, Strength], int] = {}
        if before and before.states[PLACE] == (states[PLACE] if before.top == top else _places(cursor, before.top)):
            known = {
                (*tag, strength): some
                for strength, tags in before.by_strength.items()
                for tag, some in tags.items()
                if before.states.get(tag) == states.get(tag)
            }
        # A tag of a work that was not there may be one of a work by now: then there are more tags than works in its sets.
        for (facet, value, _), some in known.items():
            tagged[facet, value] -= some.bit_count()
        others = {tag for tag, number in tagged.items() if number}
        if len(others) > len(tagged) / 2:
            return _with_tags(columns, works, top, _read_tags(cursor, OF_ALL), states)
        for tag in others:
            known |= _read_tags(cursor, OF_ONE, tag)
        return _with_tags(columns, works, top, known, states)


def _places(cursor: sqlite3.Cursor, top: int) -> bytes:
    return _digest(*cursor.execute(PLACES, (top,)).fetchone())


def _read_columns(cursor: sqlite3.Cursor) -> tuple[dict[str, dict[Any, int]], int, int]:
    """The sets of `COLUMNS`, that of all works, and the highest rowid."""
    rowids, *texts = cursor.execute(STORED_WORKS).fetchone()
    numbers = _numbers(rowids)
    top = max(numbers, default=0)
    by_values: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    for number, values in zip(numbers, zip(*(text.split(",") for text in texts if numbers), strict=True), strict=True):
        by_values[values].append(number)
    found: list[defaultdict[str, list[int]]] = [defaultdict(list) for _ in COLUMNS]
    for values, some in by_values.items():
        for by_value, value in zip(found, values, strict=True):
            by_value[value] += some
    columns = {
        column: {
            int(value) if column == "year" else value: _set(some, top) for value, some in by_value.items() if value
        }
        for column, by_value in zip(COLUMNS, found, strict=True)
    }
    return columns, _set(numbers, top), top


def _read_tags(cursor: sqlite3.Cursor, which: str, params: Sequence[str] = ()) -> dict[tuple[str, str, Strength], int]:
    found: dict[tuple[str, str, Strength], int] = {}
    for facet, value, *texts in cursor.execute(STORED_TAGS.format(which), params):
        for strength, text in zip(STRENGTHS, texts, strict=True):
            if text:
                numbers = _numbers(text)
                found[facet, value, strength] = _set(numbers, max(numbers))
    return found


def _with_tags(
    columns: Mapping[str, Mapping[Any, int]],
    works: int,
    top: int,
    tags: Mapping[tuple[str, str, Strength], int],
    states: Mapping[tuple[str, str], bytes],
) -> WorkSets:
    by_strength: dict[Strength, dict[tuple[str, str], int]] = {}
    for (facet, value, strength), tagged in tags.items():
        by_strength.setdefault(strength, {})[facet, value] = tagged
    return WorkSets(_union(by_strength, SHOWN_STRENGTHS), columns, works, top, by_strength, states=states)


def read_notices(conn: sqlite3.Connection, sets: WorkSets) -> dict[str, int]:
    """Kind of notice → the set of the works of which it is the gravest, whoever states it."""
    cursor = conn.cursor()
    cursor.row_factory = None
    numbers: dict[str, list[tuple[int]]] = {}
    for kind, number in cursor.execute(NOTICED):
        numbers.setdefault(kind, []).append((number,))
    return {kind: sets.set_of(found) for kind, found in numbers.items()}


def retracted_of(noticed: Mapping[str, int]) -> int:
    """The retracted works; `noticed` as `read_notices` returns it."""
    works = 0
    for kind in RETRACTIONS:
        works |= noticed.get(kind, 0)
    return works


def flags_of(works: int) -> bytes:
    """A byte for each rowid from 0: `1` where it is in the set."""
    return format(works, "b")[::-1].encode("ascii")


def set_of(rowids: array[int]) -> int:
    """The set of these rowids."""
    return _set(rowids, max(rowids, default=0))


def rowids_of(works: int) -> list[int]:
    """The rowids in a set, rising."""
    return first_rowids(works, works.bit_count())


def first_rowids(works: int, most: int) -> list[int]:
    """The first of the rowids in a set, at most so many."""
    flags = flags_of(works)
    found: list[int] = []
    place = flags.find(b"1")
    while place >= 0 and len(found) < most:
        found.append(place)
        place = flags.find(b"1", place + 1)
    return found


def read_rowids(conn: sqlite3.Connection, sql: str, params: Mapping[str, Any]) -> Iterator[int]:
    """The rowids that a statement gives in its column `number`, in a quarter of the time that reading rows takes."""
    try:
        (text,) = conn.execute(f"select group_concat(number) from ({sql})", params).fetchone()  # noqa: S608 - of the caller
    except sqlite3.DataError:  # longer than a connection may hold a text: a million works and more
        return (number for (number,) in conn.execute(sql, params))
    return map(int, text.split(",")) if text else iter(())


@contextmanager
def _one_state(conn: sqlite3.Connection) -> Iterator[sqlite3.Cursor]:
    """A cursor whose statements all see one state of the database. It may hold long texts: a server's connection may not, lest a
    visitor's SQL uses up the memory, but these statements are our own. Its rows are tuples, which cost least."""
    cursor = conn.cursor()
    cursor.row_factory = None
    longest = conn.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST)
    reading = not conn.in_transaction
    try:
        if reading:
            conn.execute("begin")
        yield cursor
    finally:
        if reading:
            conn.rollback()
        conn.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, longest)


def _digest(*texts: bytes | None) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for text in texts:
        digest.update(str(len(text or b"")).encode("ascii"))
        digest.update(text or b"")
    return digest.digest()


def _numbers(text: str | None) -> array[int]:
    return array("q", json.loads(f"[{text or ''}]"))


def _set(numbers: Iterable[int], top: int) -> int:
    flags = bytearray(b"0") * (top + 1)
    for number in numbers:
        flags[number] = _ONE
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
