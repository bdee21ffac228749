"""The PRISMA 2020 flow diagram, of now or of a past day: `/prisma`, also as CSV, JSON and SVG.

`evidence.database.prisma_flow` counts the boxes. This file draws them and links each number to the list it counts. It counts
nothing itself, except the trials and reviews among the included works of today.
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
from evidence.export import works_as_of_date
from evidence.export.file_formats import guard
from evidence.publish import site_topic
from evidence.publish.query_cache import CACHE
from evidence.rules.topic import Topic

NAME = "evidence"

DESIGNED = """
    select count(*) from works
    where verdict = 'include' and doi in (select doi from shown_tags where facet = :facet
        and value in (select value from json_each(:designs)))
"""
REASONS_SHOWN = 8

PARTS = {
    "search": "searches",
    "database": "databases",
    "register": "registers",
    "list": "lists",
    "citation": "lists",
    "website": "websites",
    "organisation": "organisations",
}
"""How a record was found (`prisma_records.found_by`) → the box that counts it; all others are in `others`."""

Line = tuple[str, int, str | None, int]
"""A line in a box: label, number, address or None, indent level."""
Step = tuple[str, list[Line], list[Line], bool]
"""A row of the diagram: see `steps`."""
Designed = tuple[str, int, str]
"""Included works of some designs: what they are called, how many they are, and their tags as a filter."""
LEFT, RIGHT, GAP, LINE = (50, 430), (540, 400), 40, 22
"""SVG units: the columns of the diagram (x, width), the space between rows, the height of a line."""
FIRST = 94
"""Minimum height of the first row's text in SVG units, so that the vertical word "Identification" fits beside it."""


@hookimpl
def register_routes() -> list[tuple[str, Any]]:
    return [
        (r"^/prisma$", prisma),
        (r"^/prisma\.csv$", prisma_csv),
        (r"^/prisma\.json$", prisma_json),
        (r"^/prisma\.svg$", prisma_svg),
    ]


async def prisma(datasette: Any, request: Any) -> Response:
    day, found, by_design = await flow_of_request(datasette, request)
    where = Addresses(datasette, found.run, day)
    context = {
        "day": day,
        "flow": found,
        "diagram": diagram(found, by_design, where),
        "steps": steps(found, by_design, where),
        "sources": [{**source, "address": where.source(source)} for source in found.sources],
        "reasons": [(why, n, where.reason(why)) for why, n in found.reasons(REASONS_SHOWN)],
        "query": f"?as_of={day}" if day else "",
    }
    return Response.html(await datasette.render_template("prisma.html", context, request=request))


async def prisma_csv(datasette: Any, request: Any) -> Response:
    """The boxes, and below them the sources: `data` is the box's name in the PRISMA2020 R package."""
    day, found, _ = await flow_of_request(datasette, request)
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["key", "box", "n", "part_of", "data"])
    for box in found.boxes:
        writer.writerow([box["key"], box["box"], box["n"], box["part_of"], box["data"]])
    for source in found.sources:
        part = PARTS.get(source["found_by"], "others")
        writer.writerow([f"source:{source['source'] or ''}", guard(source["label"]), source["n"], part, None])
    name = f"prisma-{day}.csv" if day else "prisma.csv"
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(out.getvalue(), content_type="text/csv; charset=utf-8", headers=headers)


async def prisma_json(datasette: Any, request: Any) -> Response:
    day, found, _ = await flow_of_request(datasette, request)
    reasons = [{"why": why, "n": n} for why, n in found.excluded]
    return Response.json(
        {"as_of": day or None, "run": found.run, "boxes": found.boxes, "sources": found.sources, "excluded": reasons}
    )


async def prisma_svg(datasette: Any, request: Any) -> Response:
    day, found, by_design = await flow_of_request(datasette, request)
    context = {"diagram": diagram(found, by_design, None), "day": day, "alone": True}
    text = await datasette.render_template("_prisma_flow.svg", context, request=request)
    return Response(text, content_type="image/svg+xml; charset=utf-8")


async def flow_of_request(datasette: Any, request: Any) -> tuple[str, prisma_flow.Flow, list[Designed]]:
    """The requested day ("" for now), its flow, and the included trials and reviews (none for a past day: tags have no
    history). BadRequest when the day is not a valid date."""
    db = datasette.get_database(NAME)
    day = request.args.get("as_of") or ""
    if day and not works_as_of_date.is_date(day):
        raise BadRequest(f"as_of={day!r} is not a valid date; write it like 2026-01-31")
    run = await db.execute_fn(lambda conn: prisma_flow.run_of_day(conn, day)) if day else None
    found = await CACHE.get(
        db.path, ("flow", run), lambda: db.execute_fn(lambda conn: prisma_flow.read_flow(conn, run))
    )
    return day, found, [] if day else await CACHE.get(db.path, "designs", lambda: designed(db))


async def designed(db: Any) -> list[Designed]:
    topic: Topic = await site_topic.of_database(db)
    values = {"trials": topic.trials, "reviews": topic.reviews}
    found = []
    for key, label, tags in topic.designs:
        params = {"facet": topic.design, "designs": json.dumps(values[key])}
        found.append((label, (await db.execute(DESIGNED, params)).single_value(), tags))
    return found


class Addresses:
    """Addresses of the lists behind the numbers: of now (`run` is None), or of the end of `day`, after run `run`."""

    def __init__(self, datasette: Any, run: int | None, day: str) -> None:
        self._run, self._day = run, day
        self._past = datasette.urls.path("/past")
        self._urls = datasette.urls

    def box(self, key: str) -> str | None:
        """Address of the list that a box counts; None for a box that only sums others."""
        found = {"identified": {}, "others": {"found_by": "other"}, "again": {"found": "again"},
                 "unusable": {"doi__isnull": "1"}}  # fmt: skip
        for method, box in PARTS.items():
            held = found.get(box, {}).get("found_by")
            found[box] = {"found_by__in": f"{held},{method}"} if held else {"found_by": method}
        screened: dict[str, dict[str, str]] = {
            "screened": {"verdict__in": "include,exclude,unsure"}, "same_work": {"verdict": "duplicate"},
            "excluded": {"verdict": "exclude"}, "excluded_by_rule": {"verdict": "exclude", "decided": "rule"},
            "excluded_by_person": {"verdict": "exclude", "decided": "person"}, "waiting": {"verdict": "unsure"},
            "included": {"verdict": "include"},
        }  # fmt: skip
        if key in found:
            return self._records(found[key])
        if key in screened:
            return self._works(screened[key])
        if key in ("not_understood", "aliases"):
            return self._as_of({"verdict": "alias" if key == "aliases" else "not-understood"})
        if key == "decisions_to_check":
            if self._run is None:
                return self._address("decisions_to_check", {})
            return self._as_of({"verdict__in": "include,exclude", "conflict": "1"})
        return None

    def tagged(self, tags: str) -> str:
        """Address of the included works with these tags, written as a filter."""
        return self._works({"verdict": "include", "_tag": tags})

    def source(self, source: dict[str, Any]) -> str:
        """Address of the records identified through one source (a row of `prisma_flow.SOURCES_SQL`)."""
        named = {"source": source["source"]} if source["source"] else {"source__isnull": "1"}
        return self._records({**named, "found_by": source["found_by"]})

    def reason(self, why: str | None) -> str | None:
        """Address of the works excluded for one reason; None for "other reasons"."""
        if why is None:
            return None
        if why == prisma_flow.BY_PERSON or why.startswith(prisma_flow.PERSONS_REASON):
            return self._works({"verdict": "exclude", "decided": "person"})
        return self._works({"verdict": "exclude", "decided": "rule", "why": why})

    def _records(self, filters: dict[str, str]) -> str:
        until = {} if self._run is None else {"first_run__lte": str(self._run)}
        return self._address("prisma_records", {**filters, **until})

    def _works(self, filters: dict[str, str]) -> str:
        return self._address("works", filters) if self._run is None else self._as_of(filters)

    def _as_of(self, filters: dict[str, str]) -> str:
        if self._run is None:
            return self._address("verdict_history", {**filters, "last_run__isnull": "1"})
        verdicts = filters.pop("verdict__in", filters.pop("verdict", "")).split(",")
        pairs = [("as_of", self._day), *(("verdict", verdict) for verdict in verdicts), *filters.items()]
        return f"{self._past}?{urlencode(pairs)}"

    def _address(self, table: str, filters: dict[str, str]) -> str:
        address = str(self._urls.table(NAME, table))
        return f"{address}?{urlencode(filters)}" if filters else address


def steps(found: prisma_flow.Flow, by_design: list[Designed], where: Addresses | None) -> list[Step]:
    """The flow from above: the stage, the lines of its box (may be none), those of the box beside it, and whether that one is a
    step of the flow. Without `where` no number is a link."""

    def lines(key: str) -> list[Line]:
        parts = [line for box in found.boxes if box["part_of"] == key and box["n"] for line in lines(box["key"])]
        label = next(box["box"] for box in found.boxes if box["key"] == key)
        return [(label, found[key], where.box(key) if where else None, found.depth(key)), *parts]

    tagged = [(label, n, where.tagged(tags) if where else None, 1) for label, n, tags in by_design]
    return [
        ("Identification", lines("identified"), lines("removed"), True),
        ("Screening", lines("screened"), lines("excluded"), True),
        ("Screening", [], lines("waiting"), True),
        # Decisions to look at again are not a step of the flow.
        ("Included", [*lines("included"), *tagged], lines("decisions_to_check"), False),
    ]


def diagram(found: prisma_flow.Flow, by_design: list[Designed], where: Addresses | None) -> dict[str, Any]:
    """What `_prisma_flow.svg` draws: boxes with position and lines (label, number, address or None, indent level), the stages
    to their left, and arrows as SVG paths. All lengths in SVG units."""
    rows = steps(found, by_design, where)
    middle = LEFT[0] + LEFT[1] // 2
    boxes: list[dict[str, Any]] = []
    stages: list[dict[str, Any]] = []
    arrows: list[str] = []
    y, above = 10, 0
    for number, (stage, left, right, beside) in enumerate(rows):
        height = max(LINE * len(left), LINE * len(right), FIRST if number == 0 else 0) + 18
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
