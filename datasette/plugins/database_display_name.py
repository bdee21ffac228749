"""Names the database `evidence` in every address, whatever its file is called, so that links to works do not break.

Only a database with our tables is renamed, and only one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from datasette import hookimpl

NAME = "evidence"
OUR_TABLES = frozenset({"runs", "works", "sightings", "tags"})


@hookimpl
def startup(datasette: Any) -> Callable[[], Awaitable[None]]:
    async def inner() -> None:
        if NAME in datasette.databases:
            return
        for name, database in list(datasette.databases.items()):
            if database.path is not None and set(await database.table_names()) >= OUR_TABLES:
                datasette.remove_database(name)
                datasette.add_database(database, name=NAME)
                return

    return inner
