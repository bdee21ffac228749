"""The topic of the database that a site shows, and the values of its facets, for its plugins. It only reads."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from evidence.database import read_queries, schema
from evidence.errors import ConfigError
from evidence.harvest import sources
from evidence.publish.evidence_map import Values
from evidence.publish.query_cache import CACHE
from evidence.rules import topic as topics
from evidence.rules.topic import Topic


async def of_database(db: Any) -> Topic:
    """The topic of a Datasette database as it is now."""
    found: Topic = await CACHE.get(db.path, "topic", lambda: db.execute_fn(schema.read_topic))
    return found


async def values_of(db: Any) -> Values:
    """Facet → its values in order, with labels and meanings."""
    found: Values = await CACHE.get(db.path, "values of facets", lambda: db.execute_fn(read_queries.labelled_values))
    return found


def with_files(topic: Topic) -> Topic | None:
    """The same topic with its files: the one that sources.yaml names (`EVIDENCE_SOURCES`, else the file in the working folder),
    or one that comes with the program. None where they are not on this machine, as on a server of a published copy."""
    with suppress(ConfigError):
        named = sources.topic_of(Path(os.environ.get("EVIDENCE_SOURCES") or "sources.yaml"))
        if named.id == topic.id:
            return named
    return topics.load(topic.id) if topic.id in topics.shipped() else None
