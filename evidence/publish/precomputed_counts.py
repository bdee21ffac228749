"""Results of queries over all works or citations, computed once when a copy is published and stored as tables.

A copy is never written to, so an answer that is right when it is made stays right. At 100,000 works each of these takes
0.13 to 1.7 s from the tables themselves: the views `to_check`, `evidence_map` and `prisma_changes`, some ready-made queries,
and the number of rows with each value of the columns by which big tables are counted. Answers are those of the same SQL, but
for pairs of tags, which are counted from sets of works, and the words by which a search knows misspelt ones; tests compare each
with what it stands for. The working database, which changes, has none of these tables.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from evidence.publish import bitset_counts, serve, site_metadata, vocabulary
from evidence.rules.topic import Topic

VIEWS = ("evidence_map", "to_check", "prisma_changes")
"""Views that are stored whole and in their order."""

QUERIES: dict[str, dict[str, Any]] = {
    "rules_at_work": {},
    "yield_of_sources": {},
    "waiting": {},
    "trials": {},
    "reviews": {},
    # Most cited first and cut at its end: whoever asks for more citations than one gets the beginning of the same rows.
    "cited_but_missing": {"at_least": 1},
}
"""Ready-made queries that are, with the parameters (others are empty) of the answer that holds all others, …"""

_OF_AN_INTERVENTION = """
where :$intervention = '' or doi in (select doi from shown_tags where facet = '$intervention' and value = :$intervention)
""".strip()

NARROWED = {
    "cited_but_missing": "where included_works_citing >= coalesce(nullif(cast(:at_least as integer), 0), 2)",
    "trials": _OF_AN_INTERVENTION,
    "reviews": _OF_AN_INTERVENTION,
}
"""… and how the others are read from it."""

UNTAGGED = "untagged"
"""The ready-made query that is answered for each facet: the rows that a page or file of it can have."""
ANSWERED = (*QUERIES, UNTAGGED, *VIEWS)
"""Queries and views with a table of their own."""
_OF_A_FACET = "where facet = coalesce(nullif(:facet, ''), '$columns')"

VALUES = "published_values"
PAIRS = "published_cooccurrence"
PAIRS_SQL = """
select row_value, column_value, works
from published_cooccurrence
where row_facet = coalesce(nullif(:rows, ''), '$pair_rows') and column_facet = coalesce(nullif(:columns, ''), '$pair_columns')
order by works desc, row_value, column_value
"""
"""The query `cooccurrence`, asked of the pairs of all facets; `site_metadata` fills in the names."""

TABLES = {
    VALUES: (
        "Rows counted by value",
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
    vocabulary.TABLE: (
        "Words of titles, authors and journals",
        {
            "word": "A word, in small letters and without accents.",
            "form": "Its normal form, which other spellings share.",
            "works": "Works that have it.",
        },
    ),
}
"""Tables that are no answer of a view or query, with their titles and columns."""

_WHY = "Computed when this copy was published, so that nobody has to wait for it."
_COMMENT = f"-- {_WHY[0].lower()}{_WHY[1:-1]}"


def add(conn: sqlite3.Connection, metadata: Mapping[str, Any]) -> None:
    """Write the tables into a copy that is being made, inside the caller's transaction. `metadata` is what metadata.yaml says
    of the database: its queries' SQL, and the columns by which its tables are counted."""
    for name, params in QUERIES.items():
        query = metadata["queries"][name]
        given = dict.fromkeys(query.get("params", ()), "") | params
        conn.execute(f"create table {table_of(name)} as {query['sql']}", given)
    _add_untagged(conn, metadata["queries"][UNTAGGED]["sql"])
    for view in VIEWS:
        table = table_of(view)
        conn.execute(f"create table {table} as select * from {view}")  # noqa: S608 - our own names, here and below
        conn.execute(f"drop view {view}")
        conn.execute(f"create view {view} as select {_columns(conn, table)} from {table} order by rowid")  # noqa: S608
    conn.execute(
        f"create table {VALUES} (of_table text not null, of_columns text not null, said text not null, n integer)"
    )
    for table, columns in _counted_columns(conn, metadata["tables"]).items():
        names = ", ".join(columns)
        conn.execute(
            f"insert into {VALUES} select ?, ?, json_array({names}), count(*) from {table} group by {names}",  # noqa: S608
            (table, json.dumps(columns)),
        )
    _add_pairs(conn)
    conn.execute(f"create table {vocabulary.TABLE} (word text not null, form text not null, works integer not null)")
    conn.executemany(f"insert into {vocabulary.TABLE} values (?, ?, ?)", sorted(vocabulary.rows(conn)))  # noqa: S608


def _add_untagged(conn: sqlite3.Connection, sql: str) -> None:
    most = json.loads((serve.site_folder() / "settings.json").read_text(encoding="utf-8"))["max_returned_rows"] + 1
    # One row more than an answer has: Datasette knows by it that there are more.
    rows = f"select :facet as facet, * from ({sql}) limit {most}"  # noqa: S608 - our own SQL, here and below
    table = table_of(UNTAGGED)
    conn.execute(f"create table {table} as select * from ({rows}) where false", {"facet": ""})  # noqa: S608
    for (facet,) in conn.execute("select distinct facet from facets order by facet").fetchall():
        conn.execute(f"insert into {table} {rows}", {"facet": facet})


def _add_pairs(conn: sqlite3.Connection) -> None:
    sets = bitset_counts.read_sets(conn)
    included = sets.columns["verdict"].get("include", 0)
    tagged = [(facet, value, both) for (facet, value), works in sets.tags.items() if (both := works & included)]
    conn.execute(
        f"create table {PAIRS} (row_facet text not null, row_value text not null, column_facet text not null, "
        "column_value text not null, works integer not null)"
    )
    conn.executemany(
        f"insert into {PAIRS} values (?, ?, ?, ?, ?)",  # noqa: S608
        (
            (facet, value, other_facet, other_value, n)
            for facet, value, works in tagged
            for other_facet, other_value, other_works in tagged
            if (n := (works & other_works).bit_count())
        ),
    )


def values(conn: sqlite3.Connection) -> dict[str, tuple[list[str], list[tuple[list[Any], int]]]]:
    """Table → the columns it is counted by, and how many rows have each combination of their values; empty in a database
    that has none of it."""
    found: dict[str, tuple[list[str], list[tuple[list[Any], int]]]] = {}
    if conn.execute("select 1 from sqlite_master where name = ?", (VALUES,)).fetchone():
        for table, columns, said, n in conn.execute(f"select of_table, of_columns, said, n from {VALUES}"):  # noqa: S608
            found.setdefault(table, (json.loads(columns), []))[1].append((json.loads(said), n))
    return found


def describe(conn: sqlite3.Connection, metadata: dict[str, Any], topic: Topic) -> None:
    """Change what metadata.yaml says of the database to what this copy has: the queries read the stored answers, and the
    tables with them are described and hidden."""
    for name in ANSWERED:
        source = metadata["queries"].get(name) or metadata["tables"][name]
        texts = metadata["tables"].get(name, {}).get("columns", {})
        columns = {column: texts.get(column, "As in the answer.") for column in _names(conn, table_of(name))}
        metadata["tables"][table_of(name)] = {
            "title": source["title"], "description": _WHY, "hidden": True, "columns": columns,
        }  # fmt: skip
    for table, (title, columns) in TABLES.items():
        metadata["tables"][table] = {"title": title, "description": _WHY, "hidden": True, "columns": columns}
    for name in (*QUERIES, UNTAGGED):
        names = [column for column in _names(conn, table_of(name)) if (name, column) != (UNTAGGED, "facet")]
        lines = (
            _COMMENT, f"select {', '.join(map(_quoted, names))}", f"from {table_of(name)}",
            _OF_A_FACET if name == UNTAGGED else NARROWED.get(name, ""), "order by rowid",
        )  # fmt: skip
        metadata["queries"][name]["sql"] = site_metadata.fill("\n".join(line for line in lines if line), topic)
    metadata["queries"]["cooccurrence"]["sql"] = site_metadata.fill(f"{_COMMENT}{PAIRS_SQL.rstrip()}", topic)


def table_of(name: str) -> str:
    """The table of the copy that holds a view's or a query's answer."""
    return f"published_{name}"


def _counted_columns(conn: sqlite3.Connection, tables: Mapping[str, Any]) -> dict[str, list[str]]:
    """Table → columns of the plain facets that metadata.yaml asks for; without views, and without `works`, which is counted
    from sets."""
    stored = {name for (name,) in conn.execute("select name from sqlite_master where type = 'table'")}
    found = {
        table: [facet for facet in about.get("facets", ()) if isinstance(facet, str)]
        for table, about in tables.items()
        if table in stored and table != "works"
    }
    return {table: columns for table, columns in found.items() if columns}


def _names(conn: sqlite3.Connection, table: str) -> list[str]:
    return [name for _, name, *_ in conn.execute(f"pragma table_info({table})")]


def _columns(conn: sqlite3.Connection, table: str) -> str:
    return ", ".join(map(_quoted, _names(conn, table)))


def _quoted(name: str) -> str:
    return f'"{name}"'
