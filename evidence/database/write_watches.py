"""Writing watches: which works the list of each saved question has, and from which run on.

Called by `writer` inside its transaction; nothing here begins or ends one.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection

_LED = """
    select j.value, coalesce((select a.doi from aliases a where a.alias = j.value and a.last_run is null), w.same_as)
    from json_each(:dois) j left join works w on w.doi = j.value
"""


def note(conn: sqlite3.Connection, watch: str, filters: str, dois: Collection[str]) -> None:
    """Note the works that the list of a watch has now. What differs counts from the latest run on, though it be going on: the
    works of a list that was read in the middle of a run are news when that run, or the one after it, has ended."""
    (run,) = conn.execute("select coalesce(max(run), 0) from runs").fetchone()
    known = conn.execute("select filter from watches where watch = ?", (watch,)).fetchone()
    if known is None:
        conn.execute("insert into watches (watch, filter, first_run) values (?, ?, ?)", (watch, filters, run))
    elif known[0] != filters:  # another question under the old name: what it begins with is no news
        conn.execute("update watches set filter = ?, first_run = ? where watch = ?", (filters, run, watch))
        conn.execute("update watched set last_run = ? where watch = ? and last_run is null", (run, watch))
    held = {doi for (doi,) in conn.execute("select doi from watched where watch = ? and last_run is null", (watch,))}
    wanted = set(dois)
    left, entered = held - wanted, wanted - held
    for doi, target in conn.execute(_LED, {"dois": json.dumps(sorted(left))}).fetchall():
        if target in entered:  # the same work under another DOI or record
            conn.execute(
                "update or replace watched set doi = ? where watch = ? and doi = ? and last_run is null",
                (target, watch, doi),
            )
            left.remove(doi)
            entered.remove(target)
    conn.executemany(
        "update watched set last_run = ? where watch = ? and doi = ? and last_run is null",
        [(run, watch, doi) for doi in sorted(left)],
    )
    conn.execute("delete from watched where watch = ? and last_run = first_run", (watch,))
    conn.executemany(
        "insert or replace into watched (watch, doi, first_run) values (?, ?, ?)",
        [(watch, doi, run) for doi in sorted(entered)],
    )
