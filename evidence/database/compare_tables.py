"""Two copies of `evidence.db`, row by row: in which rows do their derived tables differ?

Used to say whether a rebuilt database is the same as the one it was rebuilt from. It only reads, needs memory for the rows that
differ alone, and decides nothing about works.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from evidence.database import schema

HISTORY_TABLES: Final = ("unannounced",)
HISTORY_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {"works": ("first_run", "changed_run")}
"""What derived tables hold of the history of runs. Records do not tell it, so it is not rebuilt."""

OF_THE_PROGRAM: Final[Mapping[str, tuple[str, ...]]] = {
    "works": ("basis",),
    "rule_marks": ("basis", "version"),
    "unread": ("version",),
}
"""Columns that name the program and the rules that judged, and so differ wherever another program rebuilds."""

FULL_TEXT: Final = "works_fts"
VIEWS: Final = "views"

_LENGTH = 80
_VIEWS_OF = "(select name, sql from {}.sqlite_master where type = 'view')"


@dataclass(frozen=True, slots=True)
class Difference:
    """How a table differs: how many rows were compared, how many of them differ, and the first of these as sentences."""

    table: str
    rows: int
    differ: int
    first: tuple[str, ...] = ()


def compare_derived(kept: Path, rebuilt: Path, *, same_program: bool, show: int) -> Iterator[Difference]:
    """For each derived table that can be rebuilt, then the full-text index and the views: in how many rows `kept` differs from
    `rebuilt`, and the first `show` of them. Without `same_program`, what names the program, and the views, are left out."""
    with closing(sqlite3.connect("", isolation_level=None)) as conn:
        conn.execute("attach ? as kept", (str(kept),))
        conn.execute("attach ? as rebuilt", (str(rebuilt),))
        for table in schema.DERIVED_TABLES:
            left_out = HISTORY_COLUMNS.get(table, ()) + (() if same_program else OF_THE_PROGRAM.get(table, ()))
            there = _columns(conn, "kept", table)
            columns = [name for name in _columns(conn, "rebuilt", table) if name in there and name not in left_out]
            if columns and table not in HISTORY_TABLES:
                yield _compare(conn, table, columns, _key(conn, table), show)
        for side in ("kept", "rebuilt"):
            conn.execute(f"create virtual table temp.{side}_words using fts5vocab({side}, {FULL_TEXT}, row)")
        words = ["term", "doc", "cnt"]
        yield _compare(conn, FULL_TEXT, words, ["term"], show, sides=("temp.kept_words", "temp.rebuilt_words"))
        if same_program:
            kept_views, rebuilt_views = (_VIEWS_OF.format(side) for side in ("kept", "rebuilt"))
            yield _compare(conn, VIEWS, ["name", "sql"], ["name"], show, sides=(kept_views, rebuilt_views))


def records_with_digests(conn: sqlite3.Connection) -> Iterator[tuple[str, str, str, str]]:
    """Every record as it was supplied: (table, what it is about, its text, the digest that was noted when it came)."""
    yield from conn.execute("select 'snapshots', doi || ', version ' || version, message, digest from snapshots")
    yield from conn.execute(
        "select 'provider_records', provider || ' on ' || subject || ', version ' || version, message, digest"
        " from provider_records"
    )


def _compare(
    conn: sqlite3.Connection,
    table: str,
    columns: Sequence[str],
    key: Sequence[str],
    show: int,
    *,
    sides: tuple[str, str] | None = None,
) -> Difference:
    kept, rebuilt = sides or (f'kept."{table}"', f'rebuilt."{table}"')
    key = key or columns
    names, of_key = ", ".join(_quoted(columns)), ", ".join(_quoted(key))
    # Rows of a table without a key may be equal, so a row is compared with how often it is there.
    counted = f"select {names}, count(*) as copies from {{}} group by {names}"  # noqa: S608 - our own names, here and below
    only = (f"kept_{table}", f"rebuilt_{table}")
    for name, here, there in zip(only, (kept, rebuilt), (rebuilt, kept), strict=True):
        conn.execute(f"create temp table {name} as {counted.format(here)} except {counted.format(there)}")
    rows = max(conn.execute(f"select count(*) from {side}").fetchone()[0] for side in (kept, rebuilt))  # noqa: S608
    both = " union ".join(f"select {of_key} from temp.{name}" for name in only)  # noqa: S608
    differ = conn.execute(f"select count(*) from ({both})").fetchone()[0]  # noqa: S608
    first = conn.execute(f"select * from ({both}) order by {of_key} limit ?", (show,)).fetchall()  # noqa: S608
    return Difference(table, rows, differ, tuple(_sentence(conn, only, columns, key, row) for row in first))


def _sentence(
    conn: sqlite3.Connection, only: Sequence[str], columns: Sequence[str], key: Sequence[str], named: Sequence[Any]
) -> str:
    """One row that differs: its key, and what it is on each side."""
    where = " and ".join(f"{name} is ?" for name in _quoted(key))
    names = ", ".join((*_quoted(columns), "copies"))
    kept, rebuilt = (
        conn.execute(f"select {names} from temp.{side} where {where}", named).fetchone()  # noqa: S608 - our own names
        for side in only
    )
    what = " ".join(_short(value) for value in named)
    if kept is None or rebuilt is None:
        return f"{what}: {'only rebuilt' if kept is None else 'only in the capsule'}"
    others = (
        f"{name} is {_short(before)} in the capsule and {_short(after)} rebuilt"
        for name, before, after in zip((*columns, "copies"), kept, rebuilt, strict=True)
        if before != after
    )
    return f"{what}: {'; '.join(others)}"


def _short(value: Any) -> str:
    if value is None:
        return "empty"
    text = " ".join(str(value).split())
    return text if len(text) <= _LENGTH else f"{text[: _LENGTH - 1]}…"


def _columns(conn: sqlite3.Connection, side: str, table: str) -> list[str]:
    return [name for _, name, *_ in conn.execute(f"pragma {side}.table_info({table})")]


def _key(conn: sqlite3.Connection, table: str) -> list[str]:
    placed = [(place, name) for _, name, _, _, _, place in conn.execute(f"pragma rebuilt.table_info({table})") if place]
    return [name for _, name in sorted(placed)]


def _quoted(names: Sequence[str]) -> list[str]:
    return [f'"{name}"' for name in names]
