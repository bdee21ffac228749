"""Choices for the parameters of ready-made queries, so that nobody has to know a slug by heart."""

from __future__ import annotations

from typing import Any

from datasette import hookimpl

from evidence.publish import site_topic

NAME = "evidence"

VALUES = """
    select f.value, f.label from facets f where f.facet = :facet
        and exists (select 1 from shown_tags t where t.facet = f.facet and t.value = f.value)
    order by f.position, f.value
"""
FACETS = "select distinct facet, replace(facet, '_', ' ') from facets order by facet"
LISTS = "select source, label from sources where kind = 'references' and retired is null order by source"


@hookimpl
def extra_template_vars(datasette: Any, template: str) -> dict[str, Any]:
    async def parameter_choices(name: str) -> list[tuple[str, str]]:
        db = datasette.get_database(NAME)
        topic = await site_topic.of_database(db)
        if name in (topic.intervention, *topic.map):
            rows = await db.execute(VALUES, {"facet": name})
        elif name in ("facet", "rows", "columns"):
            rows = await db.execute(FACETS)
        elif name == "source":
            rows = await db.execute(LISTS)
        else:
            return []
        return [tuple(row) for row in rows]

    return {"parameter_choices": parameter_choices} if template == "query.html" else {}
