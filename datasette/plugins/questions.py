"""Ready-made questions: choices for their parameters, so that nobody has to know a slug by heart, and pages that come fast.

Datasette asks for every row of an answer and makes it ready for the page, thousands where the page shows the first 500. Here
the rows that no page shows are only counted, and left empty; files get them all. The page of a question as it stands, without
parameters, is asked of the database once for each of its states.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from datasette import hookimpl
from datasette.database import Results
from datasette.views.database import MagicParameters

from evidence.publish.cache import MEMORY

NAME = "evidence"
FACET_OF = {"variant": "variant", "outcome": "outcome"}

VALUES = """
    select f.value, f.label from facets f where f.facet = :facet
        and exists (select 1 from tags t where t.facet = f.facet and t.value = f.value)
    order by f.position, f.value
"""
FACETS = "select distinct facet, replace(facet, '_', ' ') from facets order by facet"
LISTS = "select source, label from sources where kind = 'references' and retired is null order by source"

SHOWN = 500
"""Rows of an answer that its page shows (query.html)."""

FIRST = "select * from (\n{sql}\n) limit {limit}"
NUMBER = "select count(*) from (select 1 from (\n{sql}\n) limit {limit})"
"""A question's first rows, and how many there are: SQLite leaves out what neither needs, such as the texts of the others."""


@hookimpl
def startup(datasette: Any) -> Callable[[], Awaitable[None]]:
    async def inner() -> None:
        for database in datasette.databases.values():
            database.execute = answering(database)

    return inner


def answering(database: Any) -> Callable[..., Awaitable[Any]]:
    """`database.execute`, but that the page of a ready-made question gets the rows it shows, and the others empty."""
    execute = database.execute

    async def answered(sql: str, params: Any = None, *args: Any, **options: Any) -> Any:
        # Datasette gives these parameters to ready-made questions and to nothing else.
        if not isinstance(params, MagicParameters) or params._request.url_vars.get("format"):
            return await execute(sql, params, *args, **options)

        async def ask() -> Results:
            first = await execute(FIRST.format(sql=sql, limit=SHOWN + 1), params, *args, **options)
            if len(first.rows) <= SHOWN:
                return Results(first.rows, False, first.description)
            most = database.ds.max_returned_rows
            (n,) = (await execute(NUMBER.format(sql=sql, limit=most + 1), params, *args, **options)).rows[0]
            return Results([*first.rows[:SHOWN], *[()] * (min(n, most) - SHOWN)], n > most, first.description)

        if any(params.values()):
            return await ask()
        return await MEMORY.get(database.path, ("question", sql), ask)

    return answered


@hookimpl
def extra_template_vars(datasette: Any, template: str) -> dict[str, Any]:
    async def parameter_choices(name: str) -> list[tuple[str, str]]:
        db = datasette.get_database(NAME)
        if name in FACET_OF:
            rows = await db.execute(VALUES, {"facet": FACET_OF[name]})
        elif name in ("facet", "rows", "columns"):
            rows = await db.execute(FACETS)
        elif name == "source":
            rows = await db.execute(LISTS)
        else:
            return []
        return [tuple(row) for row in rows]

    return {"parameter_choices": parameter_choices} if template == "query.html" else {}
