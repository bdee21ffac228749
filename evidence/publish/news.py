"""What is new of a review, for the report, the mail and the watches: reads sources.yaml, prisma-s.yaml and the database."""

from __future__ import annotations

from pathlib import Path

from evidence.database.connection import reading
from evidence.export.change_note import Note
from evidence.harvest import review_statements
from evidence.publish import ripple, version_note


def of_now(db: Path, sources: Path, since: str | None, *, tags: bool = False) -> Note:
    """What changed since the state that `since` names (see `version_note.since_named`)."""
    stated = review_statements.beside(sources)
    with reading(db) as conn:
        conn.execute("begin")  # one state of the database for all parts
        found = version_note.since_named(conn, since)
        return version_note.read(conn, found, ripple.articles_of(sources), stated, tags=tags)
