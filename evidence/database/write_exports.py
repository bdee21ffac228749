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
"""The first statement writes, so that two exports at once are numbered one after the other."""


def add_export(conn: sqlite3.Connection, entry: Export) -> None:
    """Add an export. Of its works, only those are written that the last export of the same list did not have, or that it had and
    this one has not."""
    filters = json.dumps(entry.filters, ensure_ascii=False, sort_keys=True)
    wanted = set(entry.dois)
    values = {
        "made_at": entry.made_at,
        "kind": entry.kind,
        "name": entry.name,
        "format": entry.format,
        "filters": filters,
        "works": len(wanted),
        "version": entry.version,
    }
    number, listed = conn.execute(_ADD, values).fetchone()
    held = {
        doi
        for (doi,) in conn.execute("select doi from exported_works where list = ? and last_export is null", (listed,))
    }
    conn.executemany(
        "update exported_works set last_export = ? where doi = ? and list = ? and last_export is null",
        [(number, doi, listed) for doi in sorted(held - wanted)],
    )
    conn.executemany(
        "insert into exported_works (doi, list, first_export) values (?, ?, ?)",
        [(doi, listed, number) for doi in sorted(wanted - held)],
    )


def add_capsule(conn: sqlite3.Connection, entry: CapsuleRow) -> None:
    """Add a capsule."""
    conn.execute(
        "insert into capsules (made_at, kind, name, digest, files, bytes, run, version, program)"
        " values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        astuple(entry),
    )
