"""Writing sources: what sources.yaml names, how far each was harvested, and what is wrong with it.

Called by `writer` inside its transactions; nothing here begins or ends one.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence

from evidence.data_model import Doi
from evidence.database import write_history
from evidence.database.values_for_writer import SourceRow, SourceState


def register(conn: sqlite3.Connection, run: int, entries: Sequence[SourceRow]) -> dict[str, SourceState]:
    """Make `sources` agree with sources.yaml. Returns the state of every source.

    A changed spec makes it another search: its bookmark is forgotten and it is harvested from the beginning. A source that
    is no longer named is retired, never deleted. One that was imported by command is not in the file, and stays.
    """
    conn.executemany(
        """
        insert into sources (source, kind, label, spec, method) values (?, ?, ?, ?, ?)
        on conflict (source) do update set
            bookmark = case when (kind, spec) is (excluded.kind, excluded.spec) then bookmark end,
            first_run = case when (kind, spec) is (excluded.kind, excluded.spec) then first_run end,
            kind = excluded.kind, label = excluded.label, spec = excluded.spec,
            method = excluded.method, retired = null
        where (kind, label, spec, method, retired) is not
            (excluded.kind, excluded.label, excluded.spec, excluded.method, null)
        """,
        [(e.source, e.kind, e.label, e.spec, e.method) for e in entries],
    )
    names = json.dumps([entry.source for entry in entries])
    conn.execute(
        """
        update sources set retired = :run
        where retired is null and source not in (select value from json_each(:names))
            and (method is null or json_extract(spec, '$.by') is not 'command')
        """,
        {"run": run, "names": names},
    )
    conn.execute(
        """
        update citations set retired = :run
        where retired is null and source in (select source from sources where retired is not null)
        """,
        {"run": run},
    )
    write_history.note_sources(conn, run)
    rows = conn.execute("select source, bookmark, warning from sources").fetchall()
    return {source: SourceState(bookmark, warning) for source, bookmark, warning in rows}


def register_import(conn: sqlite3.Connection, run: int, entry: SourceRow) -> None:
    """Add the source of imported files, or bring its label, method and searches up to date; all other sources stay."""
    conn.execute(
        """
        insert into sources (source, kind, label, spec, method, first_run) values (?, ?, ?, ?, ?, ?)
        on conflict (source) do update set label = excluded.label, spec = excluded.spec, method = excluded.method, retired = null
        where (label, spec, method, retired) is not (excluded.label, excluded.spec, excluded.method, null)
        """,
        (entry.source, entry.kind, entry.label, entry.spec, entry.method, run),
    )
    write_history.note_sources(conn, run)


def forget_bookmark(conn: sqlite3.Connection, source: str) -> None:
    """A source is read from the beginning: it has no bookmark until some run has read it to its end."""
    conn.execute(
        "update sources set bookmark = null where source = :source and bookmark is not null", {"source": source}
    )


def complete(conn: sqlite3.Connection, run: int, source: str, bookmark: str, warning: str | None) -> None:
    """This source was harvested to its end: move its bookmark. `warning` is what a person should look at."""
    conn.execute(
        """
        update sources set bookmark = :bookmark, trouble = null, warning = :warning,
            first_run = coalesce(first_run, :run)
        where source = :source and (bookmark, trouble, warning, first_run) is not
            (:bookmark, null, :warning, coalesce(first_run, :run))
        """,
        {"bookmark": bookmark, "warning": warning, "run": run, "source": source},
    )


def set_trouble(conn: sqlite3.Connection, source: str, trouble: str) -> None:
    """Note why the source stopped; its bookmark stays where it was."""
    conn.execute(
        "update sources set trouble = :trouble where source = :source and trouble is not :trouble",
        {"trouble": trouble, "source": source},
    )


def end_sightings(conn: sqlite3.Connection, run: int, source: str, seen: Iterable[Doi]) -> int:
    """After a complete harvest: end the sightings of all works but `seen`; the works are kept. Returns how many ended."""
    cursor = conn.execute(
        """
        update sightings set last_run = :run
        where source = :source and last_run is null and doi not in (select value from json_each(:seen))
        """,
        {"run": run, "source": source, "seen": json.dumps(sorted(seen))},
    )
    return cursor.rowcount


def retire_citations(conn: sqlite3.Connection, run: int, source: str, length: int) -> None:
    """A reference list has become shorter: retire the lines after `length`."""
    conn.execute(
        "update citations set retired = :run where source = :source and position > :length and retired is null",
        {"run": run, "source": source, "length": length},
    )
