"""The evidence map: two facets against each other, split by design, with filters; as a page, as SVG and as CSV.

A cell counts the included works that have both tags, and opens a panel beside the map: its newest works, its works by design
and year, and the list of them all. Everything a reader chooses is in the address, so that it can be shared and works without
JavaScript; `static/map.js` fetches the same addresses without a reload. `evidence.publish.evidence_map` counts; this file
writes addresses and sizes of marks.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from datasette import hookimpl
from datasette.utils.asgi import BadRequest, Response
from jinja2 import Environment
from markupsafe import Markup, escape

from evidence.publish import bitset_counts, evidence_map, site_topic
from evidence.publish.evidence_map import DesignLine, Detail, Line, Map, Values, View
from evidence.publish.query_cache import CACHE, Cache
from evidence.rules.topic import Topic

NAME = "evidence"

NEWEST = """
    select doi, title, authors, container, year, notice from works where rowid in (select value from json_each(?))
    order by year desc, doi limit ?
"""
BODIES = Cache(16)
"""Maps as HTML, half a megabyte each: writing one takes ten times as long as counting it."""

SHOWN = 5
"""Works in the panel."""

MARK, CELL_WIDTH, CELL_HEIGHT, NUMBER = 28, 38, 48, 42
"""In the SVG: the side of the largest mark, the size of a cell, and the baseline of its number below the mark."""

PICTURE = {"bar": 18, "line": 26, "label": 168, "plot": 150, "number": 34, "foot": 18, "step": 12}
"""Sizes of the picture of designs and years: the highest bar and a line of bars, labels, the width of all years and of the number
behind them, the axis, and the widest step of a year."""


@hookimpl
def register_routes() -> list[tuple[str, Any]]:
    return [(r"^/map$", map_page), (r"^/map/panel$", panel_alone), (r"^/map\.csv$", as_csv), (r"^/map\.svg$", as_svg)]


@hookimpl
def extra_template_vars(datasette: Any, template: str) -> dict[str, Any]:
    async def front_map() -> Markup:
        topic = await site_topic.of_database(datasette.get_database(NAME))
        view = View(*topic.map, filters={}, folded=(evidence_map.FOLD_ALL,))
        return await body_of(datasette, view, front=True)

    return {"evidence_map": front_map} if template == "index.html" else {}


async def map_page(datasette: Any, request: Any) -> Response:
    view = await view_of(datasette, request)
    panel = await panel_of(datasette, view)
    view = view if panel else view.counted()
    page = {"map": await about_map(datasette, view), "panel": panel, "body": await body_of(datasette, view)}
    return Response.html(await datasette.render_template("evidence_map.html", page, request=request))


async def body_of(datasette: Any, view: View, *, front: bool = False) -> Markup:
    """The map of a view as HTML, with the open cell marked."""
    db = datasette.get_database(NAME)
    topic = await site_topic.of_database(db)

    async def make() -> str:
        template = waiting_for_nothing(datasette).get_template("_map_body.html")
        text: str = template.render(map=await chart_of(datasette, view.counted()), front=front)
        return text

    text = await BODIES.get(db.path, (datasette.urls.path("/map"), front, *view.counted().pairs(topic)), make)
    if view.row and view.column:
        cell = f'href="{escape(cell_address(datasette, topic, view, view.row, view.column))}"'
        text = text.replace(cell, f'{cell} aria-current="true"')
    return Markup(text)  # noqa: S704 - a rendered template


@lru_cache(maxsize=1)
def waiting_for_nothing(datasette: Any) -> Environment:
    """The site's templates as they are rendered without waiting for anything: each of the many macros of a map is called at once,
    which takes two thirds of the time."""
    environment: Environment = datasette.jinja_env.overlay(enable_async=False)
    return environment


async def panel_alone(datasette: Any, request: Any) -> Response:
    """The panel of the page with the same parameters, without the page."""
    page = {"panel": await panel_of(datasette, await view_of(datasette, request))}
    return Response.html(await datasette.render_template("_map_panel.html", page, request=request))


async def as_csv(datasette: Any, request: Any) -> Response:
    """Every value of both facets, whatever is folded or hidden on the page."""
    view = replace(await view_of(datasette, request), folded=(), hide_empty=False)
    counted = await map_of(datasette, view)
    out = io.StringIO()
    writer = csv.writer(out)
    columns = ["works", "trials", "reviews", "retracted", *(["implied"] if view.implied else [])]
    writer.writerow([*view.axes, *columns, "empty_because"])
    for row in counted.rows:
        for line, cell in zip(counted.columns, row.cells, strict=True):
            why = EMPTY_IN_CSV[cell.nothing]
            writer.writerow([row.line.key, line.key, *(getattr(cell, column) for column in columns), why])
    return Response(
        out.getvalue(),
        content_type="text/csv; charset=utf-8",
        headers={"content-disposition": 'attachment; filename="evidence-map.csv"'},
    )


EMPTY_IN_CSV = {
    "studied": "",
    "none": "none found",
    "partly": "none found, some read by title only",
    "titles": "titles only",
}


async def as_svg(datasette: Any, request: Any) -> Response:
    chart = await chart_of(datasette, await view_of(datasette, request))
    text = await datasette.render_template("evidence_map.svg", {"map": chart, "svg": drawing(chart)}, request=request)
    return Response(text, content_type="image/svg+xml; charset=utf-8")


async def view_of(datasette: Any, request: Any) -> View:
    """What the address asks for; BadRequest for a facet that the topic has not."""
    topic = await site_topic.of_database(datasette.get_database(NAME))
    try:
        return evidence_map.read_view({name: request.args.getlist(name) for name in request.args}, topic)
    except KeyError as error:
        raise BadRequest(f"There is no facet {error}; the facets are {', '.join(topic.facet_ids)}.") from None


async def map_of(datasette: Any, view: View) -> Map:
    """The map of a view, cached until the database changes."""
    db = datasette.get_database(NAME)
    topic, known, values = (
        await site_topic.of_database(db),
        await bitset_counts.of_database(db),
        await site_topic.values_of(db),
    )
    retracted = await bitset_counts.retracted(db)

    async def make() -> Map:
        return evidence_map.count(topic, known, retracted, values, view.counted())

    return await CACHE.get(db.path, ("map", *view.counted().pairs(topic)), make)


async def about_map(datasette: Any, view: View) -> dict[str, Any]:
    """What the page says about the map and above it: numbers, addresses, and the options for the form."""
    db = datasette.get_database(NAME)
    topic, known, values = (
        await site_topic.of_database(db),
        await bitset_counts.of_database(db),
        await site_topic.values_of(db),
    )
    return {
        "view": view,
        "counted": await map_of(datasette, view),
        "names": tuple(topic.facet(facet).name for facet in view.axes),
        "folds": folds(datasette, topic, view),
        "facets": [(facet, topic.facet(facet).name) for facet in topic.facet_ids],
        "choices": {
            facet: [value for value in values.get(facet, ()) if (facet, value["value"]) in known.tags]
            for facet in evidence_map.filter_facets(topic, view.axes)
        },
        "design": topic.design,
        "filters_in_words": evidence_map.filters_in_words(topic, values, view),
        "query": urlencode(view.counted().pairs(topic)),
        "shown_at": page_address(datasette, topic, view),
        "works_address": list_address(datasette, view, []),
        "unread_address": list_address(datasette, view, [], [("judged_on__not", bitset_counts.READ)]),
    }


async def chart_of(datasette: Any, view: View) -> dict[str, Any]:
    """The same with rows and columns: labels, addresses and sizes of marks."""
    about = await about_map(datasette, view)
    topic = await site_topic.of_database(datasette.get_database(NAME))
    counted: Map = about["counted"]
    row_facet, column_facet = view.axes
    most = counted.most or 1
    rows = [
        {
            "line": row.line,
            "total": row.total,
            "address": list_address(datasette, view, [(row_facet, row.line)]),
            "cells": [
                {
                    "cell": cell,
                    "line": column,
                    "address": cell_address(datasette, topic, view, row.line.key, column.key),
                    "side": round((cell.works / most) ** 0.5, 3),
                    "outline": round((cell.together / most) ** 0.5, 3) if cell.implied else 0,
                }
                for column, cell in zip(counted.columns, row.cells, strict=True)
            ],
        }
        for row in counted.rows
    ]
    columns = [
        {"line": column, "total": total, "address": list_address(datasette, view, [(column_facet, column)])}
        for column, total in zip(counted.columns, counted.column_totals, strict=True)
    ]
    return {
        **about,
        "all_rows": topic.facet(row_facet).names,
        "rows": rows,
        "columns": columns,
        "most_in_row": max((row.total.together for row in counted.rows), default=0),
        "row_groups": any(row.line.group for row in counted.rows),
    }


def folds(datasette: Any, topic: Topic, view: View) -> dict[str, Any]:
    """For each group: whether it is folded and the address that changes that; `all`, `none`: the addresses that fold all or
    none."""
    labels = [group.label for facet in view.axes for group in topic.facet(facet).groups]
    if not labels:
        return {}

    def with_folded(folded: Iterable[str]) -> str:
        return page_address(datasette, topic, replace(view.counted(), folded=tuple(folded)))

    def toggled(label: str) -> list[str]:
        return [other for other in labels if view.is_folded(other) != (other == label)]

    return {
        "groups": {label: (view.is_folded(label), with_folded(toggled(label))) for label in labels},
        "all": with_folded([evidence_map.FOLD_ALL]) if not all(map(view.is_folded, labels)) else "",
        "none": with_folded([]) if any(map(view.is_folded, labels)) else "",
    }


async def panel_of(datasette: Any, view: View) -> dict[str, Any] | None:
    """What the panel shows of the cell that a view names; None without one."""
    db = datasette.get_database(NAME)
    topic, known, values = (
        await site_topic.of_database(db),
        await bitset_counts.of_database(db),
        await site_topic.values_of(db),
    )
    found = evidence_map.detail(topic, known, await bitset_counts.retracted(db), values, view)
    if found is None:
        return None
    named = [(facet, line) for facet, line in zip(view.axes, (found.row, found.column), strict=True) if line]
    newest = json.dumps(evidence_map.newest(known, found.works, SHOWN))
    return {
        "detail": found,
        "title": " × ".join(line.label for _, line in named),
        "address": list_address(datasette, view, named, [("_sort_desc", "year")]),
        "followed": list_address(datasette, view, named).partition("?")[2],
        "trials_address": list_address(datasette, view, named, [("_tag", topic.trial_filter)]),
        "reviews_address": list_address(datasette, view, named, [("_tag", topic.review_filter)]),
        "near": [
            (line, n, list_address(datasette, view, [each]), unread,
             list_address(datasette, view, [each], [("judged_on__not", bitset_counts.READ)]))
            for each, (line, n, unread) in zip(named, found.near, strict=True)
        ],
        "newest": [dict(row) for row in await db.execute(NEWEST, [newest, SHOWN])],
        "share": page_address(datasette, topic, view),
        "currency": currency_address(datasette, topic, view),
        "close": page_address(datasette, topic, view.counted()),
        "picture": picture(datasette, topic, view, found, values, named),
    }  # fmt: skip


def picture(
    datasette: Any, topic: Topic, view: View, found: Detail, values: Values, named: list[tuple[str, Line]]
) -> dict[str, Any] | None:
    """A line of bars for each design: how many works in each year. None without works."""
    if not found.works:
        return None
    labels = {value["value"]: value["label"] for value in values.get(topic.design, ())}
    years = [year for line in found.designs for year, _ in line.years]
    first, last = (min(years), max(years)) if years else (0, -1)
    most = max((n for line in found.designs for _, n in line.years), default=1)
    step = min(PICTURE["plot"] / (last - first + 1), PICTURE["step"]) if years else 0

    def address(line: DesignLine, year: tuple[str, str]) -> str:
        """The list of these works; empty where no filter finds them."""
        tag = [("_tag", f"{topic.design}:{line.value}")] if line.value else []
        return "" if topic.design and not tag else list_address(datasette, view, named, [*tag, year])

    def label(line: DesignLine) -> str:
        return labels.get(line.value, line.value) or ("Study design unknown" if topic.design else "All works")

    return {
        **PICTURE,
        "lines": [
            {
                "label": label(line), "kind": line.kind, "works": line.works,
                "bars": [
                    {"year": year, "works": n, "x": round(PICTURE["label"] + (year - first) * step, 2),
                     "height": round(PICTURE["bar"] * n / most, 2), "address": address(line, ("year", str(year)))}
                    for year, n in line.years
                ],
                "undated": line.undated, "undated_address": address(line, ("year__isnull", "1")),
            }
            for line in found.designs
        ],
        "first": first, "last": last, "thick": round(max(step - 1, step * 0.8), 2),
        "end": round(PICTURE["label"] + step * (last - first + 1), 2),
        "width": PICTURE["label"] + PICTURE["plot"] + PICTURE["number"],
        "height": PICTURE["line"] * len(found.designs) + PICTURE["foot"],
    }  # fmt: skip


def list_address(
    datasette: Any, view: View, lines: Iterable[tuple[str, Line]], more: Iterable[tuple[str, str]] = ()
) -> str:
    """The list of the included works with the map's filters and, of each of these facets, a value of the line."""
    pairs = evidence_map.list_pairs(view, lines)
    return f"{datasette.urls.table(NAME, 'works')}?{urlencode([*pairs, *more])}"


def cell_address(datasette: Any, topic: Topic, view: View, row: str, column: str) -> str:
    """The page of the map with this view and this cell open."""
    return page_address(datasette, topic, replace(view, row=row, column=column))


def page_address(datasette: Any, topic: Topic, view: View) -> str:
    """The page of the map with this view."""
    pairs = view.pairs(topic)
    address: str = datasette.urls.path("/map")
    return f"{address}?{urlencode(pairs)}" if pairs else address


def currency_address(datasette: Any, topic: Topic, view: View) -> str:
    """The page that says how current the reviews of the open cell are; empty for a whole row or column."""
    if not (view.row and view.column and topic.trials and topic.reviews):
        return ""
    return f"{datasette.urls.path('/currency')}?{urlencode(view.pairs(topic))}"


def drawing(chart: dict[str, Any]) -> dict[str, Any]:
    """Sizes of the SVG, with room for every label."""
    row_labels = [row["line"].label for row in chart["rows"]]
    column_labels = [column["line"].label for column in chart["columns"]]
    longest = max(map(evidence_map.width_of, column_labels), default=0)
    left = round(max(map(evidence_map.width_of, row_labels), default=0)) + 24
    top = 60 + round(0.87 * longest) + 12
    over = max(
        (0.5 * evidence_map.width_of(label) - CELL_WIDTH * (len(column_labels) - place - 0.5)
         for place, label in enumerate(column_labels)),
        default=0,
    )  # fmt: skip
    grid = CELL_WIDTH * len(column_labels)
    return {
        "mark": MARK, "cell_width": CELL_WIDTH, "cell_height": CELL_HEIGHT, "number": NUMBER, "left": left, "top": top,
        "width": max(left + grid + round(max(over, 0)) + 20, 760), "below": top + CELL_HEIGHT * len(row_labels),
        "height": top + CELL_HEIGHT * len(row_labels) + 120,
    }  # fmt: skip
