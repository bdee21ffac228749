"""What the PRISMA-S report says of a review, read from its database and from prisma-s.yaml. It may not write."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from evidence import __version__
from evidence.database import read_queries, read_searches, read_versions
from evidence.database.connection import reading
from evidence.database.prisma_flow import read_flow
from evidence.database.schema import read_topic
from evidence.export.search_report import Appendix, strategies
from evidence.harvest import review_statements

PROGRAM = f"evidence {__version__}"


def read(db: Path, sources: Path, now: datetime, as_of: str | None = None) -> Appendix:
    """The appendix of the database `db`, with the statements beside the sources.yaml at `sources`. `as_of` names a past state:
    the searches up to then, with the reference lists and other providers of today, which have no history."""
    stated = review_statements.beside(sources)
    with reading(db) as conn:
        run = read_versions.state_named(conn, as_of).run if as_of is not None else None
        return Appendix(
            read_topic(conn).title,
            PROGRAM,
            now.date().isoformat(),
            strategies(
                read_searches.search_windows(conn, until_run=run),
                read_searches.works_found(conn, run),
                read_queries.search_depths(conn) if run is None else (),
            ),
            tuple(read_queries.imports_as_run(conn, run)),
            tuple(read_searches.reference_lists(conn)),
            tuple(read_searches.providers_asked(conn)),
            read_searches.pairs_decided(conn),
            read_flow(conn, run),
            stated,
        )
