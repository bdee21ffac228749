"""The evidence map: variant × outcome, split by design, with filters; as a page, as SVG and as CSV.

A cell counts the included works that carry both tags. Empty cells are kept: they are the message. Every cell's address is
the list of its works, with the same filters.
"""

from __future__ import annotations

import csv
import io
from typing import Any
from urllib.parse import urlencode

from datasette import hookimpl
from datasette.utils.asgi import Response

from evidence.remember import MEMORY

NAME = "evidence"
FILTERS = ("population", "condition", "format", "comparator", "problem_area")

CHOSEN = """
    with design as (
        select doi, max(value in ('rct', 'cluster-rct')) as trial,
            max(value in ('meta-analysis', 'systematic-review')) as review
        from tags where facet = 'design' group by doi
    ),
    chosen as (
        select w.doi, coalesce(d.trial, 0) as trial, coalesce(d.review, 0) as review
        from works w left join design d on d.doi = w.doi
        where w.verdict = 'include' and (:since is null or w.year >= :since) and (:until is null or w.year <= :until)
        {tagged}
    )
"""

CELLS = """
    select v.value as variant, o.value as outcome, count(*) as works, sum(c.trial) as trials,
        sum(case when c.trial = 0 then c.review else 0 end) as reviews
    from chosen c
    join tags v on v.doi = c.doi and v.facet = 'variant'
    join tags o on o.doi = c.doi and o.facet = 'outcome'
    group by v.value, o.value
"""

TOTALS = """
    select t.facet, t.value, count(*) as works
    from chosen c join tags t on t.doi = c.doi and t.facet in ('variant', 'outcome')
    group by t.facet, t.value
    union all select null, null, count(*) from chosen
"""

TAGGED = "and exists (select 1 from tags t where t.doi = w.doi and t.facet = :facet_{i} and t.value = :value_{i})"

VALUES = """
    select f.facet, f.value, f.label, f.meaning, exists (select 1 from tags t where t.facet = f.facet
        and t.value = f.value) as used
    from facets f order by f.facet, f.position, f.value
"""

CELL = 34
"""Side of a cell in the SVG; the largest mark is four fifths of it."""


@hookimpl
def register_routes() -> list[tuple[str, Any]]:
    return [(r"^/map$", page), (r"^/map\.csv$", as_csv), (r"^/map\.svg$", as_svg)]


@hookimpl
def extra_template_vars(datasette: Any, template: str) -> dict[str, Any]:
    async def evidence_map() -> dict[str, Any]:
        return await make(datasette, {})

    return {"evidence_map": evidence_map} if template == "index.html" else {}


async def page(datasette: Any, request: Any) -> Response:
    chart = await make(datasette, chosen(request))
    return Response.html(await datasette.render_template("map.html", {"map": chart}, request=request))


async def as_csv(datasette: Any, request: Any) -> Response:
    chart = await make(datasette, chosen(request))
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["variant", "outcome", "works", "trials", "reviews"])
    for row in chart["rows"]:
        for cell in row["cells"]:
            writer.writerow([row["value"], cell["outcome"], cell["works"], cell["trials"], cell["reviews"]])
    return Response(
        out.getvalue(),
        content_type="text/csv; charset=utf-8",
        headers={"content-disposition": 'attachment; filename="evidence-map.csv"'},
    )


async def as_svg(datasette: Any, request: Any) -> Response:
    chart = await make(datasette, chosen(request))
    text = await datasette.render_template("map.svg", {"map": chart, "cell": CELL}, request=request)
    return Response(text, content_type="image/svg+xml; charset=utf-8")


def chosen(request: Any) -> dict[str, str]:
    """The filters in the address that mean something: facets by value, years by number."""
    wanted = {name: request.args.get(name) or "" for name in (*FILTERS, "since", "until")}
    return {name: value for name, value in wanted.items() if value and (name in FILTERS or value.isdecimal())}


async def make(datasette: Any, wanted: dict[str, str]) -> dict[str, Any]:
    """The map with these filters, counted once until the database changes."""
    key = ("map", tuple(sorted(wanted.items())))
    return await MEMORY.get(datasette.get_database(NAME).path, key, lambda: count(datasette, wanted))


async def count(datasette: Any, wanted: dict[str, str]) -> dict[str, Any]:
    """Rows of cells, with labels, totals, addresses and the choices for the form."""
    db = datasette.get_database(NAME)
    facets = [(facet, value) for facet, value in wanted.items() if facet in FILTERS]
    params: dict[str, Any] = {year: int(wanted[year][:6]) if year in wanted else None for year in ("since", "until")}
    for i, (facet, value) in enumerate(facets):
        params |= {f"facet_{i}": facet, f"value_{i}": value}
    chosen_works = CHOSEN.format(tagged=" ".join(TAGGED.format(i=i) for i in range(len(facets))))
    found = {(row["variant"], row["outcome"]): row for row in await db.execute(chosen_works + CELLS, params)}
    totals = {(row["facet"], row["value"]): row["works"] for row in await db.execute(chosen_works + TOTALS, params)}
    values: dict[str, list[dict[str, Any]]] = {}
    for row in await db.execute(VALUES):
        values.setdefault(row["facet"], []).append(dict(row))
    most = max((row["works"] for row in found.values()), default=0)
    base = address(datasette, wanted)
    rows = [
        {
            **variant,
            "works": totals.get(("variant", variant["value"]), 0),
            "address": f"{base}&{urlencode({'_tag': 'variant:' + variant['value']})}",
            "cells": [cell(found, variant["value"], outcome, most, base) for outcome in values.get("outcome", [])],
        }
        for variant in values.get("variant", [])
    ]
    outcomes = [
        {
            **outcome,
            "works": totals.get(("outcome", outcome["value"]), 0),
            "address": f"{base}&{urlencode({'_tag': 'outcome:' + outcome['value']})}",
        }
        for outcome in values.get("outcome", [])
    ]
    choices = {facet: [v for v in values.get(facet, []) if v["used"]] for facet in FILTERS}
    return {
        "rows": rows,
        "outcomes": outcomes,
        "most": most,
        "works": totals[None, None],
        "wanted": wanted,
        "query": urlencode(wanted),
        "choices": choices,
        "works_address": base,
    }


def cell(found: Any, variant: str, outcome: dict[str, Any], most: int, base: str) -> dict[str, Any]:
    """One cell: counts, a mark whose area goes with the count, and the address of its works."""
    row = found.get((variant, outcome["value"]))
    works, trials, reviews = (row["works"], row["trials"], row["reviews"]) if row else (0, 0, 0)
    tags = urlencode([("_tag", f"variant:{variant}"), ("_tag", f"outcome:{outcome['value']}")])
    return {
        "outcome": outcome["value"],
        "label": outcome["label"],
        "works": works,
        "trials": trials,
        "reviews": reviews,
        "others": works - trials - reviews,
        "side": round((works / most) ** 0.5, 3) if works else 0,
        "address": f"{base}&{tags}",
    }


def address(datasette: Any, wanted: dict[str, str]) -> str:
    """The list of included works with the map's filters."""
    pairs = [("verdict", "include")]
    pairs += [("_tag", f"{facet}:{value}") for facet, value in wanted.items() if facet in FILTERS]
    pairs += [("year__gte", wanted["since"])] if "since" in wanted else []
    pairs += [("year__lte", wanted["until"])] if "until" in wanted else []
    return f"{datasette.urls.table(NAME, 'works')}?{urlencode(pairs)}"
