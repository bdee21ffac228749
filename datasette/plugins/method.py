"""How the tracker works, in its own numbers: the PRISMA 2020 flow for any day, and the method page.

The flow counts records as they were first seen up to that day, with today's verdicts: yesterday's verdicts are not kept.
Numbers come from the tables; nothing is estimated.
"""

from __future__ import annotations

import json
import re
from typing import Any

from datasette import hookimpl
from datasette.utils.asgi import Response

from evidence import accuracy, rulebook
from evidence.remember import MEMORY

NAME = "evidence"
DAY = re.compile(r"\d{4}-\d{2}-\d{2}")

RUN_OF_DAY = """
    select max(run) from runs where outcome <> 'running' and (:day is null or substr(started, 1, 10) <= :day)
"""
FLOW = """
    select
        (select count(*) from sightings s join sources o on o.source = s.source
            where o.kind = 'search' and s.first_run <= :run) as searches,
        (select count(*) from sightings s join sources o on o.source = s.source
            where o.kind = 'references' and s.first_run <= :run) as lists,
        (select count(*) from sightings s join sources o on o.source = s.source
            where o.kind not in ('search', 'references') and s.first_run <= :run) as others,
        (select count(*) - count(distinct doi) from sightings where first_run <= :run) as duplicates,
        (select count(*) from rejects where first_run <= :run) as rejects,
        (select count(*) from works where first_run <= :run) as screened,
        (select count(*) from works where first_run <= :run and verdict = 'exclude') as excluded,
        (select count(*) from works where first_run <= :run and verdict = 'unsure') as waiting,
        (select count(*) from works where first_run <= :run and verdict = 'include') as included,
        (select count(*) from works where first_run <= :run and verdict = 'include' and exists (select 1 from tags t
            where t.doi = works.doi and t.facet = 'design' and t.value in ('rct', 'cluster-rct'))) as trials,
        (select count(*) from works where first_run <= :run and verdict = 'include' and exists (select 1 from tags t
            where t.doi = works.doi and t.facet = 'design' and t.value in ('meta-analysis', 'systematic-review'))
            ) as reviews
"""
REASONS = """
    select why, count(*) as n from works where verdict = 'exclude' and first_run <= :run
    group by why order by n desc, why limit 8
"""
SEARCHES = """
    select o.source, o.label, o.spec, o.bookmark, coalesce(o.trouble || '; ' || o.warning, o.trouble, o.warning) as trouble,
        max(q.asked_at) as asked, count(q.request) as requests,
        sum(q.matched) as matched, sum(q.truncated) as truncated
    from sources o left join requests q on q.source = o.source
    where o.kind = 'search' and o.retired is null group by o.source order by o.source
"""
TAXONOMY = """
    with used as (
        select facet, value, count(*) as works from tags
        where doi in (select doi from works where verdict = 'include') group by facet, value
    )
    select f.facet, f.value, f.label, f.meaning, coalesce(u.works, 0) as works
    from facets f left join used u on u.facet = f.facet and u.value = f.value
    order by f.facet, f.position, f.value
"""
TEXTS = "select judged_on, verdict, count(*) as n from works group by judged_on, verdict order by judged_on, verdict"


@hookimpl
def register_routes() -> list[tuple[str, Any]]:
    return [(r"^/prisma$", prisma), (r"^/method$", method)]


async def prisma(datasette: Any, request: Any) -> Response:
    db = datasette.get_database(NAME)
    day = request.args.get("as_of") or ""
    day = day if DAY.fullmatch(day) else ""
    run = (await db.execute(RUN_OF_DAY, {"day": day or None})).single_value() or 0

    async def count() -> dict[str, Any]:
        return {
            "flow": dict((await db.execute(FLOW, {"run": run})).first()),
            "reasons": [dict(row) for row in await db.execute(REASONS, {"run": run})],
        }

    until = f"&first_run__lte={run}" if day else ""
    works = datasette.urls.table(NAME, "works")
    context = {
        **await MEMORY.get(db.path, ("flow", run), count),
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


async def method(datasette: Any, request: Any) -> Response:
    db = datasette.get_database(NAME)
    context = await MEMORY.get(db.path, "method", lambda: describe(db))
    return Response.html(await datasette.render_template("method.html", context, request=request))


async def describe(db: Any) -> dict[str, Any]:
    """The searches, the taxonomy with its uses, and what there was to read."""
    searches = [{**dict(row), "spec": json.loads(row["spec"])} for row in await db.execute(SEARCHES)]
    facets: dict[str, list[dict[str, Any]]] = {}
    for row in await db.execute(TAXONOMY):
        facets.setdefault(row["facet"], []).append(dict(row))
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
