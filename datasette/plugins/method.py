"""How the tracker works, in its own numbers: the PRISMA 2020 flow as it stands or stood on a day, and the method page.

The flow is `evidence.database.prisma_flow`'s. Page, CSV, JSON and SVG show the same boxes, and each number leads
to the list it counts. Numbers come from the tables; nothing is estimated.
"""

from __future__ import annotations

import csv
import io
import json
from typing import Any
from urllib.parse import urlencode

from datasette import hookimpl
from datasette.utils.asgi import BadRequest, Response

from evidence.database import prisma_flow
from evidence.evaluation import accuracy
from evidence.export import as_of_date, report
from evidence.export.formats import guard
from evidence.publish import work_sets
from evidence.publish.cache import MEMORY
from evidence.rules import taxonomy

NAME = "evidence"

DESIGNED = """
    select count(*) from works
    where verdict = 'include' and doi in (select doi from tags where facet = 'design'
        and value in (select value from json_each(:designs)))
"""
REASONS_SHOWN = 8
SEARCHES = """
    select o.source, o.label, o.spec, o.bookmark, coalesce(o.trouble || '; ' || o.warning, o.trouble, o.warning) as trouble,
        (select max(q.asked_at) from requests q where q.source = o.source) as asked,
        (select count(*) from sightings s where s.source = o.source and s.last_run is null) as works
    from sources o where o.kind = 'search' and o.retired is null order by o.source
"""
DEPTHS = "select * from searches_read order by source"
TAXONOMY = "select facet, value, label, meaning from facets order by facet, position, value"
TEXTS = "select judged_on, verdict, count(*) as n from works group by judged_on, verdict order by judged_on, verdict"

LEFT, RIGHT, GAP, LINE = (50, 430), (540, 400), 40, 22
"""The columns of the diagram (x, width), the space between its rows and the height of a line, in SVG units."""
FIRST = 94
"""The height at least of the first row's text: the name of its stage, the longest, stands upright beside it."""


@hookimpl
def register_routes() -> list[tuple[str, Any]]:
    return [
        (r"^/prisma$", prisma),
        (r"^/prisma\.csv$", prisma_csv),
        (r"^/prisma\.json$", prisma_json),
        (r"^/prisma\.svg$", prisma_svg),
        (r"^/method$", method),
    ]


async def prisma(datasette: Any, request: Any) -> Response:
    day, found, designs = await read(datasette, request)
    where = Addresses(datasette, found.run, day)
    context = {
        "day": day,
        "flow": found,
        "diagram": diagram(found, designs, where),
        "sources": [{**source, "address": where.source(source)} for source in found.sources],
        "reasons": [(why, n, where.reason(why)) for why, n in found.reasons(REASONS_SHOWN)],
        "query": f"?as_of={day}" if day else "",
    }
    return Response.html(await datasette.render_template("prisma.html", context, request=request))


async def prisma_csv(datasette: Any, request: Any) -> Response:
    """The boxes, and below them the sources: `data` is the box's name in the PRISMA2020 R package."""
    day, found, _ = await read(datasette, request)
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["key", "box", "n", "part_of", "data"])
    for box in found.boxes:
        writer.writerow([box["key"], box["box"], box["n"], box["part_of"], box["data"]])
    for source in found.sources:
        part = {"search": "searches", "list": "lists"}.get(source["found_by"], "others")
        writer.writerow([f"source:{source['source'] or ''}", guard(source["label"]), source["n"], part, None])
    name = f"prisma-{day}.csv" if day else "prisma.csv"
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(out.getvalue(), content_type="text/csv; charset=utf-8", headers=headers)


async def prisma_json(datasette: Any, request: Any) -> Response:
    day, found, _ = await read(datasette, request)
    reasons = [{"why": why, "n": n} for why, n in found.excluded]
    return Response.json(
        {"as_of": day or None, "run": found.run, "boxes": found.boxes, "sources": found.sources, "excluded": reasons}
    )


async def prisma_svg(datasette: Any, request: Any) -> Response:
    day, found, designs = await read(datasette, request)
    context = {"diagram": diagram(found, designs, None), "day": day, "alone": True}
    text = await datasette.render_template("_flow.svg", context, request=request)
    return Response(text, content_type="image/svg+xml; charset=utf-8")


async def read(datasette: Any, request: Any) -> tuple[str, prisma_flow.Flow, dict[str, int]]:
    """The day asked for (empty: now), the flow as it stood then, and how many of the included works are trials and reviews,
    which is known of now alone."""
    db = datasette.get_database(NAME)
    day = request.args.get("as_of") or ""
    if day and not as_of_date.is_day(day):
        raise BadRequest(f"as_of={day!r} is no day; write it like 2026-01-31")
    run = await db.execute_fn(lambda conn: prisma_flow.run_of(conn, day)) if day else None
    found = await MEMORY.get(db.path, ("flow", run), lambda: db.execute_fn(lambda conn: prisma_flow.read(conn, run)))
    return day, found, {} if day else await MEMORY.get(db.path, "designs", lambda: designed(db))


async def designed(db: Any) -> dict[str, int]:
    return {
        what: (await db.execute(DESIGNED, {"designs": json.dumps(values)})).single_value()
        for what, values in (("trials", work_sets.TRIALS), ("reviews", work_sets.REVIEWS))
    }


class Addresses:
    """Where the records are that a number counts: the lists of now, or as they stood after `run`, at the end of `day`."""

    def __init__(self, datasette: Any, run: int | None, day: str) -> None:
        self._run, self._day = run, day
        self._past = datasette.urls.path("/past")
        self._table = lambda name: datasette.urls.table(NAME, name)

    def box(self, key: str) -> str | None:
        """The list that a box counts; None for one that is only a sum."""
        found = {"identified": {}, "searches": {"found_by": "search"}, "lists": {"found_by": "list"},
                 "others": {"found_by": "other"}, "again": {"found": "again"}, "unusable": {"doi__isnull": "1"}}  # fmt: skip
        stood: dict[str, dict[str, str]] = {
            "screened": {"verdict__in": "include,exclude,unsure"}, "same_work": {"verdict": "duplicate"},
            "excluded": {"verdict": "exclude"}, "excluded_by_rule": {"verdict": "exclude", "decided": "rule"},
            "excluded_by_person": {"verdict": "exclude", "decided": "person"}, "waiting": {"verdict": "unsure"},
            "included": {"verdict": "include"},
        }  # fmt: skip
        if key in found:
            return self._records(found[key])
        if key in stood:
            return self._works(stood[key])
        if key in ("not_understood", "aliases"):
            return self._then({"verdict": "alias" if key == "aliases" else "not-understood"})
        if key == "decisions_to_check":
            if self._run is None:
                return str(self._table("decisions_to_check"))
            return self._then({"verdict__in": "include,exclude", "conflict": "1"})
        if key in ("trials", "reviews"):
            designs = work_sets.TRIALS if key == "trials" else work_sets.REVIEWS
            return self._works({"verdict": "include", "_tag": f"design:{','.join(designs)}"})
        return None

    def source(self, source: dict[str, Any]) -> str:
        """The records identified through one source."""
        named = {"source": source["source"]} if source["source"] else {"source__isnull": "1"}
        return self._records({**named, "found_by": source["found_by"]})

    def reason(self, why: str | None) -> str | None:
        """The works excluded for one reason."""
        if why is None:
            return None
        if why == prisma_flow.BY_PERSON:
            return self._works({"verdict": "exclude", "decided": "person"})
        return self._works({"verdict": "exclude", "decided": "rule", "why": why})

    def _records(self, filters: dict[str, str]) -> str:
        until = {} if self._run is None else {"first_run__lte": str(self._run)}
        return self._address("prisma_records", {**filters, **until})

    def _works(self, filters: dict[str, str]) -> str:
        return self._address("works", filters) if self._run is None else self._then(filters)

    def _then(self, filters: dict[str, str]) -> str:
        if self._run is None:
            return self._address("verdict_history", {**filters, "last_run__isnull": "1"})
        verdicts = filters.pop("verdict__in", filters.pop("verdict", "")).split(",")
        pairs = [("as_of", self._day), *(("verdict", verdict) for verdict in verdicts), *filters.items()]
        return f"{self._past}?{urlencode(pairs)}"

    def _address(self, table: str, filters: dict[str, str]) -> str:
        return f"{self._table(table)}?{urlencode(filters)}" if filters else str(self._table(table))


def diagram(found: prisma_flow.Flow, designs: dict[str, int], where: Addresses | None) -> dict[str, Any]:
    """The boxes with their places and lines (words, number, address, indent), the stages beside them, and the arrows."""

    def lines(key: str) -> list[tuple[str, int, str | None, int]]:
        parts = [line for box in found.boxes if box["part_of"] == key and box["n"] for line in lines(box["key"])]
        label = next(box["box"] for box in found.boxes if box["key"] == key)
        return [(label, found[key], where.box(key) if where else None, found.depth(key)), *parts]

    names = {"trials": "randomised trials", "reviews": "systematic reviews and meta-analyses"}
    tagged = [(names[what], n, where.box(what) if where else None, 1) for what, n in designs.items()]
    rows = (
        ("Identification", lines("identified"), lines("removed")),
        ("Screening", lines("screened"), lines("excluded")),
        ("Screening", [], lines("waiting")),
        ("Included", [*lines("included"), *tagged], lines("decisions_to_check")),
    )
    middle = LEFT[0] + LEFT[1] // 2
    y, boxes, arrows, stages, above = 10, [], [], [], 0
    for number, (stage, left, right) in enumerate(rows):
        height = max(LINE * len(left), LINE * len(right), FIRST if number == 0 else 0) + 18
        beside = number < len(rows) - 1  # what is to be looked at again is no step of the flow
        if left:
            boxes.append({"x": LEFT[0], "y": y, "w": LEFT[1], "h": height, "lines": left, "aside": False})
            if above:
                arrows.append(f"M{middle} {above}V{y - 6}")
            above = y + height
        boxes.append({"x": RIGHT[0], "y": y, "w": RIGHT[1], "h": height, "lines": right, "aside": not beside})
        if beside:
            arrows.append(f"M{LEFT[0] + LEFT[1] if left else middle} {y + height // 2}H{RIGHT[0] - 6}")
        if stages and stages[-1]["name"] == stage:
            stages[-1]["h"] = y + height - stages[-1]["y"]
        else:
            stages.append({"name": stage, "y": y, "h": height})
        y += height + GAP
    return {
        "boxes": boxes,
        "arrows": arrows,
        "stages": stages,
        "width": RIGHT[0] + RIGHT[1] + 10,
        "height": y - GAP + 10,
    }


async def method(datasette: Any, request: Any) -> Response:
    db = datasette.get_database(NAME)
    context = await MEMORY.get(db.path, "method", lambda: describe(db))
    return Response.html(await datasette.render_template("method.html", context, request=request))


async def describe(db: Any) -> dict[str, Any]:
    """The searches, the taxonomy with its uses, and what there was to read."""
    depths = {row["source"]: dict(row) for row in await db.execute(DEPTHS)}
    searches = [
        {**dict(row), "spec": json.loads(row["spec"]), "ended": depths[row["source"]]["ended"],
         "depth": report.depth(depths[row["source"]])}
        for row in await db.execute(SEARCHES)
    ]  # fmt: skip
    facets: dict[str, list[dict[str, Any]]] = {}
    known = await work_sets.kept(db)
    included = known.columns["verdict"].get("include", 0)
    for row in await db.execute(TAXONOMY):
        works = (known.either(row["facet"], row["value"]) & included).bit_count()
        facets.setdefault(row["facet"], []).append({**dict(row), "works": works})
    texts: dict[str, dict[str, int]] = {}
    for text, verdict, n in await db.execute(TEXTS):
        texts.setdefault(text, {})[verdict] = n
    figures = accuracy.read()
    return {
        "searches": searches,
        "facets": facets,
        "texts": texts,
        "figures": [figure for figure in figures if figure.question not in facets or not figure.value],
        "values_measured": {(figure.question, figure.value): figure for figure in figures if figure.value},
        "measured_with_these_rules": {figure.rules for figure in figures} == {taxonomy.load().digest},
    }
