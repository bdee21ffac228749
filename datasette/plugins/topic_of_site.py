"""The topic on the site: fills in metadata.yaml when the server starts, and gives every page the topic as `topic`.

The topic is that of the database, so a published copy knows it too. This file only reads it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from weakref import WeakKeyDictionary

from datasette import hookimpl

from evidence.database import schema
from evidence.publish import site_metadata, site_topic
from evidence.rules import topic as topics

NAME = "evidence"
_filled: WeakKeyDictionary[Any, dict[str, Any]] = WeakKeyDictionary()
"""The site's metadata filled in, for each server."""


@hookimpl
def startup(datasette: Any) -> Callable[[], Awaitable[None]]:
    async def inner() -> None:
        topic = topics.load()
        for database in datasette.databases.values():
            if database.path is not None and await database.table_exists("topic"):
                topic = await database.execute_fn(schema.read_topic)
        _filled[datasette] = site_metadata.fill(datasette._metadata_local, topic)
        # There is no public way to change what --metadata read, and a plugin's own metadata would come second to it.
        datasette._metadata_local = site_metadata.permissions(_filled[datasette])

    return inner


@hookimpl(trylast=True)
def get_metadata(datasette: Any, key: str | None) -> dict[str, Any]:
    """The site's metadata, but for permissions, which stay where Datasette read them.

    Whenever Datasette asks who may see a table, it asks for `tables` and copies all it gets. With the descriptions among it, that
    would be more than half of the time of the front page and of the page of the database.
    """
    return {} if key == "tables" else dict(_filled.get(datasette, {}))


@hookimpl
async def extra_template_vars(datasette: Any) -> dict[str, Any]:
    if NAME not in datasette.databases:
        return {"topic": None}
    return {"topic": await site_topic.of_database(datasette.get_database(NAME))}
