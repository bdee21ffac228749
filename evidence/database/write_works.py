"""Writing works: the row of `works`, the tables that belong to it, its authors and its full text.

Called by `writer` inside its transactions; nothing here begins or ends one. `work_rows` makes the rows.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from evidence.data_model import Doi
from evidence.database.sql_helpers import chunks, in_chunks, placeholders
from evidence.database.values_for_writer import JudgedRecord, WorkRows
from evidence.database.work_rows import CITED_BY, GONE, TEXT_COLUMNS, WORK_COLUMNS

_COUNTED_AS_CHANGE = WORK_COLUMNS[: GONE + 1]
"""Columns that count as a change of a work. A work that is cited once more, or judged again with the same result, has not
changed (`cited_by`, `basis`). Columns kept only for readers and exports do not count either: an upgrade that fills them would
be a change of every work. Nor does a `content` that was not known before."""

_UPSERT_WORK = f"""
    insert into works (doi, {", ".join(WORK_COLUMNS)}, first_run, changed_run)
    values ({placeholders(("doi", *WORK_COLUMNS, "first_run", "changed_run"))})
    on conflict (doi) do update set {", ".join(f"{c} = excluded.{c}" for c in WORK_COLUMNS)},
        changed_run = case when ({", ".join(_COUNTED_AS_CHANGE)}, coalesce(content, excluded.content)) is
            ({", ".join("excluded." + c for c in _COUNTED_AS_CHANGE)}, excluded.content)
            then changed_run else excluded.changed_run end
    where ({", ".join(WORK_COLUMNS)}) is not ({", ".join("excluded." + c for c in WORK_COLUMNS)})
"""  # noqa: S608 - our own column names

_UPSERT_AUTHOR = """
    insert into authors (author, name, family, given, orcid, kind) values (?, ?, ?, ?, ?, ?)
    on conflict (author) do update set name = excluded.name, family = excluded.family, given = excluded.given,
        orcid = excluded.orcid, kind = excluded.kind
    where (name, family, given, orcid, kind) is not
        (excluded.name, excluded.family, excluded.given, excluded.orcid, excluded.kind)
"""
_ORCID = re.compile("[0-9]{4}-[0-9]{4}-[0-9]{4}-[0-9]{3}[0-9X]")

_INSERT = {
    "work_authors": "insert into work_authors values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    "funders": "insert into funders values (?, ?, ?, ?, ?)",
    "licences": "insert into licences values (?, ?, ?, ?, ?, ?)",
    "updates": "insert into updates values (?, ?, ?, ?, ?, ?, ?, ?)",
    "relations": "insert or ignore into relations values (?, ?, ?, ?)",
    "identifiers": "insert or ignore into identifiers values (?, ?, ?, ?)",
    "facts": "insert or ignore into facts values (?, ?, ?, ?, ?)",
    "tags": "insert into tags (doi, decided, facet, value, strength, certainty, how) values (?, ?, ?, ?, ?, ?, ?)",
    "reasons": "insert or ignore into reasons values (?, ?, ?, ?, ?, ?, ?, ?)",
}
"""How the rows of `WorkRows` are written, but for `cites`. They belong to one work each, and are replaced with it."""

Credit = tuple[str, str, str | None, str | None]
"""An author's key and the name in a work: whole, family name, given names."""
AuthorRow = tuple[str, str, str | None, str | None, str | None, str]
"""A row of `authors`: that of the name, then ORCID and kind."""


def write_works(conn: sqlite3.Connection, run: int, records: Sequence[JudgedRecord]) -> None:
    """Write the works of these records with all their child rows and their full text; unchanged rows are left alone. Records
    that cannot be understood are left out."""
    found = {r.doi: r.rows for r in records if r.rows is not None}
    dois = list(found)
    old = _indexed_text(conn, dois)
    facts = _counts_and_absences(conn, dois)
    new_text = {doi: rows.work[:TEXT_COLUMNS] for doi, rows in found.items()}
    stale = sorted((rowid, *text) for doi, (rowid, text) in old.items() if new_text[doi] != text)
    conn.executemany(
        "insert into works_fts (works_fts, rowid, title, abstract, authors, container)"
        " values ('delete', ?, ?, ?, ?, ?)",
        stale,
    )
    conn.executemany(_UPSERT_WORK, [(doi, *_as_today(rows, *facts[doi]), run, run) for doi, rows in found.items()])
    _replace_children(conn, found, set(old))
    _index_text(conn, [doi for doi in dois if doi not in old or new_text[doi] != old[doi][1]])


def _as_today(rows: WorkRows, counted: int | None, gone: str | None) -> Sequence[Any]:
    """The values of a work with what is known of later days than that of its record (see `_counts_and_absences`)."""
    if counted is None and gone is None:  # nearly every work
        return rows.work
    values = list(rows.work)
    values[GONE] = gone
    if counted is not None:
        values[CITED_BY] = counted
    return values


def show_absences(conn: sqlite3.Connection, run: int, dois: Sequence[Doi]) -> None:
    """Bring `works.gone` of these works up to date; it counts as a change of the work."""
    facts = _counts_and_absences(conn, dois)
    conn.executemany(
        "update works set gone = :gone, changed_run = :run where doi = :doi and gone is not :gone",
        [{"doi": doi, "gone": facts[doi][1], "run": run} for doi in dois],
    )


def delete_work(conn: sqlite3.Connection, doi: Doi) -> None:
    """Take one work out of the derived tables; its full text first, which is found by its rowid."""
    credits_before = _credits_of(conn, [doi])
    lost = _lost_names(conn, credits_before)
    for rowid, text in _indexed_text(conn, [doi]).values():
        conn.execute(
            "insert into works_fts (works_fts, rowid, title, abstract, authors, container)"
            " values ('delete', ?, ?, ?, ?, ?)",
            (rowid, *text),
        )
    conn.execute("delete from works where doi = ?", (doi,))
    _name_anew(conn, lost)
    _drop_unnamed(conn, credits_before)


def _counts_and_absences(conn: sqlite3.Connection, dois: Sequence[Doi]) -> dict[Doi, tuple[int | None, str | None]]:
    """Of each work: how often it is cited, where Crossref has counted since its record was written (else None), and the day (ISO)
    since which Crossref has no record of it (None: it has one)."""
    counts: dict[str, int | None] = {}
    gone: dict[str, str] = {}
    for chunk in chunks(dois):
        marks = placeholders(chunk)
        counts.update(conn.execute(f"select doi, cited_by from counters where doi in ({marks})", chunk))  # noqa: S608
        rows = conn.execute(
            f"""
            select a.doi, substr(r.started, 1, 10) from absences a join runs r on r.run = a.first_run
            where a.last_run is null and a.doi in ({marks})
            """,  # noqa: S608
            chunk,
        )
        gone.update(rows)
    return {doi: (counts.get(doi), gone.get(doi)) for doi in dois}


def _indexed_text(conn: sqlite3.Connection, dois: Sequence[Doi]) -> dict[Doi, tuple[int, tuple[Any, ...]]]:
    """DOI → rowid and the text of the full-text index, of the works that are here."""
    found: dict[Doi, tuple[int, tuple[Any, ...]]] = {}
    for chunk in chunks(dois):
        rows = conn.execute(
            f"select doi, rowid, title, abstract, authors, container from works where doi in ({placeholders(chunk)})",  # noqa: S608
            chunk,
        )
        found.update({doi: (rowid, tuple(text)) for doi, rowid, *text in rows})
    return found


def _index_text(conn: sqlite3.Connection, dois: Sequence[Doi]) -> None:
    # The index gathers words in memory, and writes what it has whenever a row comes before one that is there already.
    for chunk in chunks(dois):
        conn.execute(
            f"""
            insert into works_fts (rowid, title, abstract, authors, container)
            select rowid, title, abstract, authors, container from works where doi in ({placeholders(chunk)}) order by rowid
            """,  # noqa: S608
            chunk,
        )


def _replace_children(conn: sqlite3.Connection, found: Mapping[Doi, WorkRows], known: set[Doi]) -> None:
    """Write the rows of the tables that belong to a work; `known` are the works that have some."""
    again = [(doi,) for doi in sorted(known)]
    credits_before = _credits_of(conn, sorted(known))
    moved = dict(conn.execute("select alias, doi from aliases where last_run is null").fetchall())
    if again:
        for table in (*_INSERT, "cites"):
            work = "said_by" if table == "updates" else "doi"
            conn.executemany(f"delete from {table} where {work} = ?", again)  # noqa: S608 - our own table names
    credits_now: dict[Credit, None] = dict.fromkeys(row[2:6] for rows in found.values() for row in rows.work_authors)
    removed = credits_before - credits_now.keys()
    lost = _lost_names(conn, removed)
    _add_names(conn, [credit for credit in credits_now if credit[0] not in lost])  # `work_authors` refers to `authors`
    for table, sql in _INSERT.items():
        conn.executemany(sql, chain.from_iterable(getattr(rows, table) for rows in found.values()))
    cites = (row for doi, rows in found.items() for row in _cited(doi, rows.cites, moved))
    # In the order of the key: fewer pages of the file are touched.
    conn.executemany("insert into cites values (?, ?, ?)", sorted(cites))
    _name_anew(conn, lost)
    _drop_unnamed(conn, removed)


def _credits_of(conn: sqlite3.Connection, dois: Sequence[str]) -> set[Credit]:
    found: set[Credit] = set()
    for chunk in chunks(dois):
        sql = f"select author, credited, family, given from work_authors where doi in ({placeholders(chunk)})"  # noqa: S608
        found.update(conn.execute(sql, chunk))
    return found


def _lost_names(conn: sqlite3.Connection, removed: Collection[Credit]) -> set[str]:
    """The authors whose name is one of these, which works had and do not have any more."""
    return {
        author
        for author, *name in _authors(conn, sorted({one[0] for one in removed}))
        if (author, *name[:3]) in removed
    }


def _add_names(conn: sqlite3.Connection, added: Iterable[Credit]) -> None:
    """Give authors the best of the name that they have and those that works have now. The one they have is the best of all
    others: who wrote much is named in thousands of works, which are not read again."""
    named: dict[str, list[Credit]] = {}
    for credit in added:
        named.setdefault(credit[0], []).append(credit)
    here = {row[0]: row for row in _authors(conn, list(named))}
    for author, row in here.items():
        named[author].append(row[:4])
    conn.executemany(_UPSERT_AUTHOR, [row for row in map(_best_name, named.values()) if row != here.get(row[0])])


def _name_anew(conn: sqlite3.Connection, authors: Collection[str]) -> None:
    """Give these authors the best of the names that works have now."""
    named: dict[str, list[Credit]] = {}
    sql = "select author, credited, family, given from work_authors where author in ({})"
    for author, credited, family, given in in_chunks(conn, sql, sorted(authors)):
        named.setdefault(author, []).append((author, credited, family, given))
    conn.executemany(_UPSERT_AUTHOR, map(_best_name, named.values()))


def _drop_unnamed(conn: sqlite3.Connection, removed: Collection[Credit]) -> None:
    """Drop the authors of these names whom no work names any more."""
    conn.executemany(
        "delete from authors where author = ? and not exists (select 1 from work_authors w where w.author = authors.author)",
        [(author,) for author in sorted({author for author, *_ in removed})],
    )


def _authors(conn: sqlite3.Connection, authors: Sequence[str]) -> Iterator[AuthorRow]:
    """The rows of those of these authors who are here."""
    sql = "select author, name, family, given, orcid, kind from authors where author in ({})"
    return in_chunks(conn, sql, authors)


def _best_name(names: Sequence[Credit]) -> AuthorRow:
    """The row of an author: the fullest of these names, then the first in the alphabet, so that the order in which they were
    written does not matter."""
    author, name, family, given = names[0] if len(names) == 1 else min(names, key=_rank)
    orcid = author if _ORCID.fullmatch(author) else None
    return author, name, family, given, orcid, "group" if family is None and given is None else "person"


def _rank(credit: Credit) -> tuple[int, str, bool, str, bool, str]:
    _, name, family, given = credit
    return -len(name), name, family is not None, family or "", given is not None, given or ""


def _cited(
    doi: Doi, cites: Sequence[tuple[str, str | None]], moved: Mapping[str, str]
) -> list[tuple[str, str, str | None]]:
    """The rows of `cites`, under the DOIs that the cited works are kept under."""
    if moved.keys().isdisjoint(cited for cited, _ in cites):
        return [(doi, cited, asserted_by) for cited, asserted_by in cites if cited != doi]
    direct = {cited: asserted_by for cited, asserted_by in cites if cited not in moved}
    by_alias = {moved[cited]: asserted_by for cited, asserted_by in reversed(cites) if cited in moved}
    return [(doi, cited, asserted_by) for cited, asserted_by in (by_alias | direct).items() if cited != doi]
