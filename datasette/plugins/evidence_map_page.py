"""The evidence map: the two facets that the topic names, split by design, with filters; as a page, as SVG and as CSV.

A cell counts the included works that have both tags, stated or likely, and links to the list of these works with the same
filters. Cells with retracted works are marked. With `implied=1`, works for which a tag is only implied are counted beside them
and drawn hollow. Empty cells are kept, because they show what has not been studied.
"""

from __future__ import annotations

import csv
import io
from typing import Any
from urllib.parse import urlencode

from datasette import hookimpl
from datasette.utils.asgi import Response

from evidence.data_model import STRENGTHS
from evidence.publish import bitset_counts, site_topic
from evidence.publish.query_cache import CACHE
from evidence.rules.topic import Topic

NAME = "evidence"
OTHER_FILTERS = ("since", "until", "implied")
"""Filters of the map that are no facets."""

VALUES = """
    select facet, value, label, meaning from facets order by facet, position, value
"""

CELL = 34
"""Side of a cell in the SVG; the largest square is four fifths of it."""


@hookimpl
def register_routes() -> list[tuple[str, Any]]:
    return [(r"^/map$", map_page), (r"^/map\.csv$", as_csv), (r"^/map\.svg$", as_svg)]


@hookimpl
def extra_template_vars(datasette: Any, template: str) -> dict[str, Any]:
    async def evidence_map() -> dict[str, Any]:
        return await map_data(datasette, {})

    return {"evidence_map": evidence_map} if template == "index.html" else {}


async def map_page(datasette: Any, request: Any) -> Response:
    chart = await map_data(datasette, await filters_of(datasette, request))
    return Response.html(await datasette.render_template("evidence_map.html", {"map": chart}, request=request))


async def as_csv(datasette: Any, request: Any) -> Response:
    chart = await map_data(datasette, await filters_of(datasette, request))
    out = io.StringIO()
    writer = csv.writer(out)
    columns = ["works", "trials", "reviews", "retracted", *(["implied"] if "implied" in chart["wanted"] else [])]
    writer.writerow([*chart["axes"], *columns])
    for row in chart["rows"]:
        for cell in row["cells"]:
            writer.writerow([row["value"], cell["value"], *(cell[column] for column in columns)])
    return Response(
        out.getvalue(),
        content_type="text/csv; charset=utf-8",
        headers={"content-disposition": 'attachment; filename="evidence-map.csv"'},
    )


async def as_svg(datasette: Any, request: Any) -> Response:
    chart = await map_data(datasette, await filters_of(datasette, request))
    text = await datasette.render_template("evidence_map.svg", {"map": chart, "cell": CELL}, request=request)
    return Response(text, content_type="image/svg+xml; charset=utf-8")


def filter_facets(topic: Topic) -> tuple[str, ...]:
    """The facets by which the map can be narrowed: those that are neither on it nor shown in its cells."""
    return tuple(facet for facet in topic.facet_ids if facet not in (*topic.map, topic.design))


async def filters_of(datasette: Any, request: Any) -> dict[str, str]:
    """The valid filters in the address: facet → value, `since` and `until` → year, `implied` → 1."""
    facets = filter_facets(await site_topic.of_database(datasette.get_database(NAME)))
    wanted = {name: request.args.get(name) or "" for name in (*facets, *OTHER_FILTERS)}
    found = {name: value for name, value in wanted.items() if value and (name in facets or value.isdecimal())}
    if found.get("implied") != "1":
        found.pop("implied", None)
    return found


async def map_data(datasette: Any, wanted: dict[str, str]) -> dict[str, Any]:
    """The map with these filters, cached until the database changes."""
    key = ("map", tuple(sorted(wanted.items())))
    return await CACHE.get(datasette.get_database(NAME).path, key, lambda: compute(datasette, wanted))


async def compute(datasette: Any, wanted: dict[str, str]) -> dict[str, Any]:
    """Rows of cells with labels, totals and addresses, and the options for the form."""
    db = datasette.get_database(NAME)
    known = await bitset_counts.of_database(db)
    topic = await site_topic.of_database(db)
    row_facet, column_facet = topic.map
    works = filtered_works(known, wanted)
    retracted = await bitset_counts.retracted(db)
    found = cells(topic, known, works, retracted)
    totals = {facet: dict(known.by_tag(facet, works)) for facet in topic.map}
    everything, all_found, all_totals = works, found, totals
    if "implied" in wanted:
        tagged = known.tagged(STRENGTHS)
        everything = filtered_works(known, wanted, tagged)
        all_found = cells(topic, known, everything, retracted, tagged)
        all_totals = {facet: dict(known.by_tag(facet, everything, STRENGTHS)) for facet in totals}
    values: dict[str, list[dict[str, Any]]] = {}
    for row in await db.execute(VALUES):
        values.setdefault(row["facet"], []).append(dict(row))
    by_value = {value["value"]: value for value in values.get(column_facet, [])}
    groups = topic.in_groups(column_facet, by_value)
    values[column_facet] = [by_value[value] for _, inside in groups for value in inside]
    most = max((n for n, *_ in all_found.values()), default=0)

    def counts(facet: str, value: str) -> dict[str, int]:
        n = totals[facet].get(value, 0)
        return {"works": n, "implied": all_totals[facet].get(value, 0) - n}

    base = address(datasette, wanted)
    rows = [
        {
            **row,
            **counts(row_facet, row["value"]),
            "address": f"{base}&{urlencode({'_tag': row_facet + ':' + row['value']})}",
            "cells": [
                cell(topic, found, all_found, row["value"], column, most, base)
                for column in values.get(column_facet, [])
            ],
        }
        for row in values.get(row_facet, [])
    ]
    columns = [
        {
            **column,
            **counts(column_facet, column["value"]),
            "address": f"{base}&{urlencode({'_tag': column_facet + ':' + column['value']})}",
        }
        for column in values.get(column_facet, [])
    ]
    choices = {
        facet: [v for v in values.get(facet, []) if (facet, v["value"]) in known.tags] for facet in filter_facets(topic)
    }
    return {
        "axes": topic.map,
        "names": tuple(topic.facet(facet).name for facet in topic.map),
        "all_rows": topic.facet(row_facet).names,
        "rows": rows,
        "columns": columns,
        "groups": [(label, len(inside)) for label, inside in groups] if len(groups) > 1 else [],
        "most": most,
        "works": works.bit_count(),
        "implied": everything.bit_count() - works.bit_count(),
        "retracted": any(marked for *_, marked in all_found.values()),
        "wanted": wanted,
        "query": urlencode(wanted),
        "choices": choices,
        "works_address": base,
    }


def filtered_works(known: bitset_counts.WorkSets, wanted: dict[str, str], tagged: Any = None) -> int:
    """The set of included works with these filters. `tagged` has the works of each tag (None: stated or likely)."""
    works = known.columns["verdict"].get("include", 0)
    for facet, value in wanted.items():
        if facet not in OTHER_FILTERS:
            works &= bitset_counts.either(known.tags if tagged is None else tagged, facet, value)
    if "since" in wanted or "until" in wanted:
        since, until = (int(wanted[year][:6]) if year in wanted else None for year in ("since", "until"))
        years = 0
        for year, in_year in known.columns["year"].items():
            if (since is None or year >= since) and (until is None or year <= until):
                years |= in_year
        works &= years
    return works


def cells(
    topic: Topic, known: bitset_counts.WorkSets, works: int, retracted: int, tagged: Any = None
) -> dict[tuple[str, str], tuple[int, int, int, int]]:
    """(row, column) → the number of works that have both tags, and of these the trials, the reviews and those in `retracted`.
    `tagged` has the works of each tag (None: stated or likely)."""
    trials = known.either(topic.design, *topic.trials)
    reviews = known.either(topic.design, *topic.reviews) & ~trials
    rows, columns = (
        [(value, tagging & works) for (facet, value), tagging in (tagged or known.tags).items() if facet == wanted]
        for wanted in topic.map
    )
    found: dict[tuple[str, str], Any] = {}
    for row, in_row in rows:
        for column, in_column in columns:
            if both := in_row & in_column:
                parts = (both, both & trials, both & reviews, both & retracted)
                found[row, column] = tuple(part.bit_count() for part in parts)
    return found


def cell(
    topic: Topic, found: Any, all_found: Any, row: str, column: dict[str, Any], most: int, base: str
) -> dict[str, Any]:
    """One cell: counts, the sides of its filled square and of the outline around it (0 to 1; area proportional to the count,
    without and with what is implied), and the address of its works."""
    works, trials, reviews, _ = found.get((row, column["value"]), (0, 0, 0, 0))
    together, _, _, retracted = all_found.get((row, column["value"]), (0, 0, 0, 0))
    pairs = zip(topic.map, (row, column["value"]), strict=True)
    tags = urlencode([("_tag", f"{facet}:{value}") for facet, value in pairs])
    return {
        "value": column["value"],
        "label": column["label"],
        "works": works,
        "trials": trials,
        "reviews": reviews,
        "others": works - trials - reviews,
        "implied": together - works,
        "retracted": retracted,
        "together": together,
        "side": round((works / most) ** 0.5, 3) if works else 0,
        "outline": round((together / most) ** 0.5, 3) if together > works else 0,
        "address": f"{base}&{tags}",
    }


def address(datasette: Any, wanted: dict[str, str]) -> str:
    """The list of included works with the map's filters."""
    pairs = [("verdict", "include")]
    pairs += [("_tag", f"{facet}:{value}") for facet, value in wanted.items() if facet not in OTHER_FILTERS]
    pairs += [("year__gte", wanted["since"])] if "since" in wanted else []
    pairs += [("year__lte", wanted["until"])] if "until" in wanted else []
    pairs += [("_strength", ",".join(STRENGTHS))] if "implied" in wanted else []
    return f"{datasette.urls.table(NAME, 'works')}?{urlencode(pairs)}"
