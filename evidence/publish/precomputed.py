"""What a published copy is asked that looks at every work, counted once when it is made: rows that stand for long waits.

A copy is never written to, so an answer that is right when it is made stays right. The views `to_check`, `evidence_map` and
`prisma_changes`, some ready-made questions, the values by which the big tables are counted, and the sets of `tallies` are
written into tables of the copy; views and questions then read those. Answers are those of the very same SQL, but for pairs of
tags, which are counted from the sets; tests compare each with the SQL it stands for. The working database, which changes, has
none of these tables and answers as ever.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Mapping
from typing import Any

from evidence.publish import work_sets

VIEWS = ("evidence_map", "to_check", "prisma_changes")
"""Views that look at every work or citation, written down whole and in their order."""

QUESTIONS: dict[str, dict[str, Any]] = {
    "rules_at_work": {},
    "yield_of_sources": {},
    # Most cited first and cut at its end: whoever asks for more citations than one gets the beginning of the same rows.
    "cited_but_missing": {"at_least": 1},
}
"""Ready-made questions that do, with the parameters of the answer that holds all others, …"""

NARROWED = {
    "cited_but_missing": "where included_works_citing >= coalesce(nullif(cast(:at_least as integer), 0), 2)",
}
"""… and how the others are read off it."""

VALUES = "published_values"
SETS = work_sets.STORED
PAIRS = "published_cooccurrence"
PAIRS_SQL = """
select row_value, column_value, works
from published_cooccurrence
where row_facet = coalesce(nullif(:rows, ''), 'condition') and column_facet = coalesce(nullif(:columns, ''), 'variant')
order by works desc, row_value, column_value
"""
"""The question `cooccurrence`, asked of the pairs of all facets."""

ABOUT = {
    VALUES: (
        "Values counted",
        {
            "of_table": "The table.",
            "of_columns": "The columns by which it is counted, as JSON.",
            "said": "A row's values in these columns, as JSON.",
            "n": "Rows with these values.",
        },
    ),
    PAIRS: (
        "Pairs of tags counted",
        {
            "row_facet": "A facet.",
            "row_value": "A value of it.",
            "column_facet": "Another facet, or the same.",
            "column_value": "A value of that.",
            "works": "Included works with both.",
        },
    ),
    SETS: (
        "Sets of works",
        {
            "kind": "tag, column or works.",
            "name": "The facet, or the column.",
            "value": "The value.",
            "works": "A bit for each work at its rowid, the lowest first; compressed (zlib).",
        },
    ),
}
_SAID = "Counted when this copy was published, so that nobody has to wait for it."
_COMMENT = f"-- {_SAID[0].lower()}{_SAID[1:-1]}"


def add(conn: sqlite3.Connection, about: Mapping[str, Any]) -> None:
    """Write the answers into a copy that is being made, inside the caller's transaction. `about` is what metadata.yaml says of
    the database: its questions' SQL, and the columns by which its tables are counted."""
    for name, values in QUESTIONS.items():
        conn.execute(f"create table {table_of(name)} as {about['queries'][name]['sql']}", values)
    for view in VIEWS:
        table = table_of(view)
        conn.execute(f"create table {table} as select * from {view}")  # noqa: S608 - our own names, here and below
        conn.execute(f"drop view {view}")
        conn.execute(f"create view {view} as select {_columns(conn, table)} from {table} order by rowid")  # noqa: S608
    conn.execute(
        f"create table {VALUES} (of_table text not null, of_columns text not null, said text not null, n integer)"
    )
    for table, columns in _counted_columns(conn, about["tables"]).items():
        names = ", ".join(columns)
        conn.execute(
            f"insert into {VALUES} select ?, ?, json_array({names}), count(*) from {table} group by {names}",  # noqa: S608
            (table, json.dumps(columns)),
        )


def add_sets(conn: sqlite3.Connection) -> None:
    """Write the sets of `tallies` into a finished copy, whose rowids are final, and how many works two tags have in common, which
    is read off them; inside the caller's transaction."""
    found = work_sets.read(conn)
    included = found.columns["verdict"].get("include", 0)
    ours = [(facet, value, both) for (facet, value), works in found.tags.items() if (both := works & included)]
    conn.execute(
        f"create table {PAIRS} (row_facet text not null, row_value text not null, column_facet text not null, "
        "column_value text not null, works integer not null)"
    )
    conn.executemany(
        f"insert into {PAIRS} values (?, ?, ?, ?, ?)",  # noqa: S608
        (
            (facet, value, other, its, n)
            for facet, value, works in ours
            for other, its, theirs in ours
            if (n := (works & theirs).bit_count())
        ),
    )
    conn.execute(f"create table {SETS} (kind text not null, name text, value, works blob not null)")
    rows: list[tuple[str, str | None, Any, int]] = [("works", None, found.top, found.works)]
    rows += [("tag", facet, value, works) for (facet, value), works in found.tags.items()]
    rows += [("column", name, value, works) for name, sets in found.columns.items() for value, works in sets.items()]
    size = found.top // 8 + 1
    conn.executemany(
        f"insert into {SETS} values (?, ?, ?, ?)",  # noqa: S608
        ((kind, name, value, zlib.compress(works.to_bytes(size, "little"), 1)) for kind, name, value, works in rows),
    )


def describe(conn: sqlite3.Connection, about: dict[str, Any]) -> None:
    """Change what metadata.yaml says of the database to what this copy has: the questions read what was counted, and the tables
    of answers are described and hidden."""
    for name in (*QUESTIONS, *VIEWS):
        source = about["queries"].get(name) or about["tables"][name]
        texts = about["tables"].get(name, {}).get("columns", {})
        columns = {column: texts.get(column, "As in the answer.") for column in _names(conn, table_of(name))}
        about["tables"][table_of(name)] = {
            "title": source["title"], "description": _SAID, "hidden": True, "columns": columns,
        }  # fmt: skip
    for table, (title, columns) in ABOUT.items():
        about["tables"][table] = {"title": title, "description": _SAID, "hidden": True, "columns": columns}
    for name in QUESTIONS:
        lines = (
            _COMMENT, f"select {_columns(conn, table_of(name))}", f"from {table_of(name)}",
            NARROWED.get(name, ""), "order by rowid",
        )  # fmt: skip
        about["queries"][name]["sql"] = "\n".join(line for line in lines if line)
    about["queries"]["cooccurrence"]["sql"] = f"{_COMMENT}{PAIRS_SQL.rstrip()}"


def table_of(name: str) -> str:
    """The table of the copy that holds a view's or a question's answer."""
    return f"published_{name}"


def _counted_columns(conn: sqlite3.Connection, tables: Mapping[str, Any]) -> dict[str, list[str]]:
    """Table → columns of the plain facets that metadata.yaml asks for, but for `works`, which `tallies` counts, and views."""
    ours = {name for (name,) in conn.execute("select name from sqlite_master where type = 'table'")}
    found = {
        table: [facet for facet in about.get("facets", ()) if isinstance(facet, str)]
        for table, about in tables.items()
        if table in ours and table != "works"
    }
    return {table: columns for table, columns in found.items() if columns}


def _names(conn: sqlite3.Connection, table: str) -> list[str]:
    return [name for _, name, *_ in conn.execute(f"pragma table_info({table})")]


def _columns(conn: sqlite3.Connection, table: str) -> str:
    return ", ".join(f'"{name}"' for name in _names(conn, table))
