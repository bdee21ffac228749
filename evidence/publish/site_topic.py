"""The topic of the database that a site shows and the values of its facets, for its plugins. It only reads."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from evidence.database import schema
from evidence.errors import ConfigError
from evidence.harvest import sources
from evidence.publish.query_cache import CACHE
from evidence.rules import topic as topics
from evidence.rules.topic import Topic

VALUES = "select facet, value, label, meaning from facets order by facet, position, value"


async def of_database(db: Any) -> Topic:
    """The topic of a Datasette database as it is now."""
    found: Topic = await CACHE.get(db.path, "topic", lambda: db.execute_fn(schema.read_topic))
    return found


def with_files(topic: Topic) -> Topic | None:
    """The same topic with its files: the one that sources.yaml names (`EVIDENCE_SOURCES`, else the file in the working folder),
    or one that comes with the program. None where they are not on this machine, as on a server of a published copy."""
    with suppress(ConfigError):
        named = sources.topic_of(Path(os.environ.get("EVIDENCE_SOURCES") or "sources.yaml"))
        if named.id == topic.id:
            return named
    return topics.load(topic.id) if topic.id in topics.shipped() else None


def read_values(conn: sqlite3.Connection) -> dict[str, list[dict[str, str]]]:
    """Facet → its values in order, each with `value`, `label` and `meaning`."""
    found: dict[str, list[dict[str, str]]] = {}
    for facet, value, label, meaning in map(tuple, conn.execute(VALUES)):
        found.setdefault(facet, []).append({"facet": facet, "value": value, "label": label, "meaning": meaning})
    return found


async def values_of(db: Any) -> Mapping[str, list[dict[str, str]]]:
    """The same of a Datasette database as it is now."""
    found: Mapping[str, list[dict[str, str]]] = await CACHE.get(
        db.path, "values of facets", lambda: db.execute_fn(read_values)
    )
    return found
