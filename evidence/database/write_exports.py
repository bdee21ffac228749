"""Writing exports: what left the tracker as a file, a published copy or a capsule, and which works were in it.

Called by `writer` inside its transaction; nothing here begins or ends one.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import astuple

from evidence.database.values_for_writer import CapsuleRow, Export

_ADD = """
    insert into exports (made_at, kind, name, format, filters, list, works, run, unfinished, version)
    values (:made_at, :kind, :name, :format, :filters,
        coalesce((select min(list) from exports where kind = :kind and filters = :filters),
            (select coalesce(max(export), 0) + 1 from exports)),
        :works, (select max(run) from runs where outcome <> 'running'), (select max(run) from runs where outcome = 'running'),
        :version)
    returning export, list
"""
"""The first statement that reads the database writes it, so that two exports at once are numbered one after the other."""


def add_export(conn: sqlite3.Connection, entry: Export) -> None:
    """Add an export. Of its works, only those are written that the last export of the same list did not have, or that it had and
    this one has not."""
    conn.execute("create temp table if not exists now_exported (doi text primary key) without rowid")
    conn.execute("delete from now_exported")
    conn.executemany("insert or ignore into now_exported values (?)", ((doi,) for doi in entry.dois))
    values = {
        "made_at": entry.made_at,
        "kind": entry.kind,
        "name": entry.name,
        "format": entry.format,
        "filters": json.dumps(entry.filters, ensure_ascii=False, sort_keys=True),
        "works": conn.execute("select count(*) from now_exported").fetchone()[0],
        "version": entry.version,
    }
    number, listed = conn.execute(_ADD, values).fetchone()
    conn.execute(
        """
        update exported_works set last_export = :number
        where list = :list and last_export is null and doi not in (select doi from now_exported)
        """,
        {"number": number, "list": listed},
    )
    conn.execute(
        """
        insert into exported_works (doi, list, first_export)
        select doi, :list, :number from now_exported n
        where not exists (select 1 from exported_works x where x.list = :list and x.last_export is null and x.doi = n.doi)
        order by doi
        """,
        {"number": number, "list": listed},
    )


def add_capsule(conn: sqlite3.Connection, entry: CapsuleRow) -> None:
    """Add a capsule."""
    conn.execute(
        "insert into capsules (made_at, kind, name, digest, files, bytes, run, version, program)"
        " values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        astuple(entry),
    )
