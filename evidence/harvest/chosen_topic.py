"""Which topic a command works on: that of sources.yaml, or of the database where there is no sources.yaml.

It reads both files and writes neither.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from evidence.database import schema
from evidence.database.connection import open_evidence
from evidence.errors import ConfigError, StoreError
from evidence.harvest import sources
from evidence.rules import topic as topics
from evidence.rules.topic import Topic


def topic_of_review(sources_file: Path, db: Path) -> Topic:
    """The topic that sources.yaml names. Where that file is missing: the topic of the database, if it comes with the program,
    or the default one where there is no database either.

    ConfigError with the remedy for a topic that cannot be found, and when the database has works of another one.
    """
    stored = _stored(db)
    if not sources_file.exists():
        if stored is None or stored[0] in topics.shipped():
            return topics.load(stored[0] if stored else topics.DEFAULT)
        raise ConfigError(
            f"{db}: its topic {stored[0]!r} does not come with the program; name with --sources the sources.yaml that names it"
        )
    topic = sources.topic_of(sources_file)
    if stored is not None and stored[1] and stored[0] != topic.id:
        raise ConfigError(topics.another_topic(db, stored[0], topic.id))
    return topic


def _stored(db: Path) -> tuple[str, bool] | None:
    """The id of the database's topic and whether it has works; None without a database, and for one that cannot be read: who
    opens it for writing says why."""
    try:
        with closing(open_evidence(db, older=True)) as conn:
            any_work = bool(conn.execute("select exists (select 1 from works)").fetchone()[0])
            return schema.read_topic(conn).id, any_work
    except (ConfigError, StoreError, sqlite3.Error):
        return None
