"""How the tracker works, in its own numbers: the PRISMA 2020 flow for any day, and the method page.

The flow counts records as they were first seen up to that day, a work that moved to another DOI once, with today's verdicts:
yesterday's verdicts are not kept.
Numbers come from the tables; nothing is estimated.
"""

from __future__ import annotations

import json
import re
from typing import Any

from datasette import hookimpl
from datasette.utils.asgi import Response

from evidence import accuracy, report, rulebook, tallies
from evidence.remember import MEMORY

NAME = "evidence"
DAY = re.compile(r"\d{4}-\d{2}-\d{2}")

RUN_OF_DAY = """
    select max(run) from runs where outcome <> 'running' and (:day is null or substr(started, 1, 10) <= :day)
"""
SIGHTINGS = """
    select case o.kind when 'search' then 'searches' when 'references' then 'lists' else 'others' end as what,
        s.run, sum(s.n) as n
    from (
        select source, first as run, count(*) as n from (
            select s.source, min(s.first_run) as first from sightings s
            left join aliases a on a.alias = s.doi and a.last_run is null group by s.source, coalesce(a.doi, s.doi)
        ) group by source, first
    ) s
    join sources o on o.source = s.source group by what, s.run
"""
RECORDS = """
    select 'records' as what, first as run, count(*) as n
    from (
        select min(s.first_run) as first from sightings s
        left join aliases a on a.alias = s.doi and a.last_run is null group by coalesce(a.doi, s.doi)
    ) group by first
"""
REJECTS = "select 'rejects' as what, first_run as run, count(*) as n from rejects group by first_run"
SCREENED = """
    select case verdict when 'exclude' then 'excluded' when 'unsure' then 'waiting' when 'include' then 'included' else verdict
        end as what, first_run as run, count(*) as n
    from works group by verdict, first_run
"""
DESIGNED = """
    select :what as what, first_run as run, count(*) as n from works
    where verdict = 'include' and doi in (select doi from tags where facet = 'design'
        and value in (select value from json_each(:designs)))
    group by first_run
"""
REASONS = """
    select why, count(*) as n from works where verdict = 'exclude' and first_run <= :run
    group by why order by n desc, why limit 8
"""
SEARCHES = """
    select o.source, o.label, o.spec, o.bookmark, coalesce(o.trouble || '; ' || o.warning, o.trouble, o.warning) as trouble,
        (select max(q.asked_at) from requests q where q.source = o.source) as asked,
        (select count(*) from sightings s where s.source = o.source and s.last_run is null) as works
    from sources o where o.kind = 'search' and o.retired is null order by o.source
"""
DEPTHS = "select * from searches_read order by source"
TAXONOMY = "select facet, value, label, meaning from facets order by facet, position, value"
TEXTS = "select judged_on, verdict, count(*) as n from works group by judged_on, verdict order by judged_on, verdict"

BOXES = ("searches", "lists", "others", "rejects", "excluded", "waiting", "included", "trials", "reviews")
"""The numbers of the diagram that are counted as they stand; the others follow from them."""


@hookimpl
def register_routes() -> list[tuple[str, Any]]:
    return [(r"^/prisma$", prisma), (r"^/method$", method)]


async def prisma(datasette: Any, request: Any) -> Response:
    db = datasette.get_database(NAME)
    day = request.args.get("as_of") or ""
    day = day if DAY.fullmatch(day) else ""
    run = (await db.execute(RUN_OF_DAY, {"day": day or None})).single_value() or 0

    async def reasons() -> list[dict[str, Any]]:
        return [dict(row) for row in await db.execute(REASONS, {"run": run})]

    until = f"&first_run__lte={run}" if day else ""
    works = datasette.urls.table(NAME, "works")
    context = {
        "flow": flow(await MEMORY.get(db.path, "flow", lambda: seen(db)), run),
        "reasons": await MEMORY.get(db.path, ("reasons", run), reasons),
        "day": day,
        "run": run,
        "addresses": {
            "screened": f"{works}?{until.lstrip('&')}" if until else works,
            "excluded": f"{works}?verdict=exclude{until}",
            "waiting": f"{works}?verdict=unsure{until}",
            "included": f"{works}?verdict=include{until}",
            "trials": f"{works}?verdict=include&_tag=design:rct,cluster-rct{until}",
            "reviews": f"{works}?verdict=include&_tag=design:meta-analysis,systematic-review{until}",
        },
    }
    return Response.html(await datasette.render_template("prisma.html", context, request=request))


async def seen(db: Any) -> dict[str, dict[int, int]]:
    """What was counted → run → how much of it that run was the first to see. One answer serves every day."""
    counted: dict[str, dict[int, int]] = {}
    for sql in (SIGHTINGS, RECORDS, REJECTS, SCREENED):
        for what, run, n in await db.execute(sql):
            counted.setdefault(what, {})[run] = n
    for what, designs in (("trials", tallies.TRIALS), ("reviews", tallies.REVIEWS)):
        for _, run, n in await db.execute(DESIGNED, {"what": what, "designs": json.dumps(designs)}):
            counted.setdefault(what, {})[run] = n
    return counted


def flow(counted: dict[str, dict[int, int]], run: int) -> dict[str, int]:
    """The boxes of the diagram up to this run."""

    def until(*names: str) -> int:
        return sum(n for name in names for first, n in counted.get(name, {}).items() if first <= run)

    found = {name: until(name) for name in BOXES}
    return found | {
        "duplicates": until("searches", "lists", "others") - until("records"),
        "screened": until("excluded", "waiting", "included", "duplicate"),
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
    known = await tallies.kept(db)
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
        "measured_with_these_rules": {figure.rules for figure in figures} == {rulebook.load().digest},
    }
