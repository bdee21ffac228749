"""What the PRISMA-S report says of a review, read from its database and from prisma-s.yaml. It may not write."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from evidence import __version__
from evidence.database import read_queries, read_searches
from evidence.database.connection import reading
from evidence.database.schema import read_topic
from evidence.export.search_report import Appendix, strategies
from evidence.harvest import review_statements

PROGRAM = f"evidence {__version__}"


def read(db: Path, sources: Path, now: datetime) -> Appendix:
    """The appendix of the database `db`, with the statements beside the sources.yaml at `sources`."""
    stated = review_statements.beside(sources)
    with reading(db) as conn:
        return Appendix(
            read_topic(conn).title,
            PROGRAM,
            now.date().isoformat(),
            strategies(
                read_searches.search_windows(conn), read_searches.works_found(conn), read_queries.search_depths(conn)
            ),
            tuple(read_queries.imports_as_run(conn)),
            tuple(read_searches.reference_lists(conn)),
            tuple(read_searches.providers_asked(conn)),
            read_searches.pairs_decided(conn),
            read_queries.flow(conn),
            stated,
        )
