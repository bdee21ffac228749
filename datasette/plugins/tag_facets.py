"""Tags as a facet and as a filter: `?_facet_tags=variant` counts, `?_tag=variant:ipt-a` narrows.

`?_tag=design:rct,cluster-rct` means either value; several `_tag` must all match. Both look at stated and likely tags;
`?_strength=stated` narrows them and `?_strength=stated,likely,implied` widens them. Facets are counted from sets of works
(`evidence.publish.bitset_counts`). Datasette's own `_through` filter is not enough: it compares one column, and the same
value can exist in two facets (`grief` is a condition and a problem area, `none` a condition and a comparator). Works on the
table `works` and on any view with a column `doi`.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

from datasette import hookimpl
from datasette.database import QueryInterrupted
from datasette.facets import Facet
from datasette.filters import FilterArguments
from datasette.utils import path_with_added_args, path_with_removed_args
from datasette.utils.asgi import BadRequest

from evidence.data_model import Strength
from evidence.database import tag_filter
from evidence.errors import ConfigError
from evidence.publish import bitset_counts
from evidence.publish.query_cache import CACHE

ONLY_DOI = re.compile(r"^select .*? from ", re.DOTALL)
"""The columns in a list's SQL. Replaced by `doi`, so that a view's costly columns are not computed."""

OF_WORKS = re.compile(r"^select .*? from works (?:where (?P<where>.*) )?$", re.DOTALL)
"""The SQL of a list of works."""

BY_DOI = "doi in (select doi from ({sql}))"

LABELS = "select facet, value, label from facets"


class TagFacet(Facet):  # type: ignore[misc]
    """Counts of one facet's values among the works of the list."""

    type = "tags"

    async def facet_results(self) -> tuple[list[dict[str, Any]], list[str]]:
        results: list[dict[str, Any]] = []
        timed_out: list[str] = []
        for config in self.get_configs():
            facet = config["config"]["simple"]
            try:
                results.append(await self._count(facet, hideable=config["source"] != "metadata"))
            except QueryInterrupted:
                timed_out.append(facet)
        return results, timed_out

    async def _count(self, facet: str, *, hideable: bool) -> dict[str, Any]:
        size = self.get_facet_size()
        db = self.ds.get_database(self.database)
        works = await self._works(db)
        rows = (await bitset_counts.of_database(db)).by_tag(facet, works, strengths_of(self.request))[: size + 1]
        labels = await CACHE.get(db.path, "labels", lambda: labels_of(db))
        chosen = self.request.args.getlist("_tag")
        values = []
        for value, count in rows[:size]:
            tag = f"{facet}:{value}"
            change = path_with_removed_args if tag in chosen else path_with_added_args
            toggle = self.ds.absolute_url(self.request, self.ds.urls.path(change(self.request, {"_tag": tag})))
            values.append(
                {
                    "value": value,
                    "label": labels.get((facet, value), value),
                    "count": count,
                    "toggle_url": toggle,
                    "selected": tag in chosen,
                }
            )
        hide = self.ds.urls.path(path_with_removed_args(self.request, {"_facet_tags": facet}))
        return {
            "name": facet,
            "type": self.type,
            "hideable": hideable,
            "toggle_url": hide,
            "results": values,
            "truncated": len(rows) > size,
        }

    async def _works(self, db: Any) -> int:
        """The set of the list's works."""
        found = OF_WORKS.match(self.sql)
        where = (
            (found["where"] or "") if found else BY_DOI.format(sql=ONLY_DOI.sub("select doi from ", self.sql, count=1))
        )
        if where and "_where" in self.request.args:
            where = f"({where})"  # somebody's own SQL may hold an `or`
        limit = self.ds.setting("facet_time_limit_ms")
        return await bitset_counts.of_list(db, where, dict(self.params or {}), limit_ms=limit)


async def labels_of(db: Any) -> dict[tuple[str, str], str]:
    """(facet, value) → label."""
    return {(facet, value): label for facet, value, label in await db.execute(LABELS)}


@hookimpl
def register_facet_classes() -> list[type[Facet]]:
    return [TagFacet]


@hookimpl
def filters_from_request(
    request: Any, database: str, table: str, datasette: Any
) -> Callable[[], Awaitable[FilterArguments | None]]:
    async def inner() -> FilterArguments | None:
        strengths_of(request)  # an unknown strength is refused, with tags or without
        wanted = await tag_filters(datasette.get_database(database), request)
        if not wanted:
            return None
        clauses, params = tag_filter.sql_conditions(wanted, strengths=strengths_of(request))
        descriptions = [f"tagged {tag.facet}: {' or '.join(tag.values)}" for tag in wanted]
        return FilterArguments(clauses, params, descriptions)

    return inner


async def tag_filters(db: Any, request: Any) -> list[tag_filter.TagFilter]:
    """The tag filters in the address, as `evidence export --tag` reads them; BadRequest for an unknown tag."""
    texts = [text for text in request.args.getlist("_tag") if text]
    if not texts:
        return []
    known = await CACHE.get(db.path, "labels", lambda: labels_of(db))
    try:
        return tag_filter.parse_checked(texts, known)
    except ConfigError as error:
        raise BadRequest(str(error)) from None


def strengths_of(request: Any) -> tuple[Strength, ...]:
    """The strengths of tags that the address asks for, as `evidence export --strength` reads them; BadRequest for an unknown
    one."""
    try:
        return tag_filter.parse_strengths(",".join(request.args.getlist("_strength")))
    except ConfigError as error:
        raise BadRequest(str(error)) from None


@hookimpl
def extra_template_vars() -> dict[str, Any]:
    return {"strengths_of": strengths_of}
