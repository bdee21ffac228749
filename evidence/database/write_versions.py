"""Writing versions: named states of the review, and the tags of each.

Called by `writer` inside its transaction; nothing here begins or ends one, and nothing changes a version that is there.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict
from itertools import groupby
from operator import itemgetter

from evidence.database.values_for_writer import NewVersion

_TAGS = "select doi, facet || ':' || value, strength, decided from tags order by doi, facet, value"


def add(conn: sqlite3.Connection, version: NewVersion) -> None:
    """Add a version and the tags of now. Only works whose tags differ from those of the version before cost a row."""
    values = asdict(version)
    columns = ", ".join(values)
    (number,) = conn.execute(
        f"insert into versions ({columns}) values ({', '.join(f':{name}' for name in values)}) returning version",  # noqa: S608
        values,
    ).fetchone()
    held = dict(conn.execute("select doi, tags from version_tags where last_version is null"))
    ended, begun = [], []
    for doi, tags in _tags_by_work(conn):
        before = held.pop(doi, None)
        if before == tags:
            continue
        if before is not None:
            ended.append(doi)
        begun.append((doi, number, tags))
    conn.executemany(
        "update version_tags set last_version = ? where doi = ? and last_version is null",
        [(number, doi) for doi in (*ended, *held)],
    )
    conn.executemany("insert into version_tags (doi, first_version, tags) values (?, ?, ?)", begun)


def _tags_by_work(conn: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    """The tags of each work that has any: JSON with a list for each strength, and one of those that a person decided on."""
    for doi, rows in groupby(conn.execute(_TAGS), key=itemgetter(0)):
        lists: dict[str, list[str]] = {}
        for _, tag, strength, decided in rows:
            lists.setdefault(strength, []).append(tag)
            if decided == "person":
                lists.setdefault("person", []).append(tag)
        yield doi, json.dumps(lists, separators=(",", ":"), sort_keys=True)
