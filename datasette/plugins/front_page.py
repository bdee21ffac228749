"""The front page, and what every page shows (the reference lists, the last sync).

Each number is linked to the list it counts, and a test follows each link. This file only reads the database.
"""

from __future__ import annotations

from typing import Any

from datasette import hookimpl

from evidence.publish import bitset_counts, charts, site_charts, site_topic
from evidence.publish.query_cache import CACHE

NAME = "evidence"

COUNTS = """
    select count(*) filter (where verdict = 'unsure') as waiting,
        count(*) filter (where conflict is not null and verdict in ('include', 'exclude')) as again,
        count(*) filter (where verdict = 'exclude') as excluded,
        count(*) filter (where verdict = 'include' and notice is not null) as noticed
    from works
"""

LISTS = """
    select o.source, o.label, count(*) as citations,
        count(*) filter (where c.status in ('resolved', 'repaired', 'matched')) as verified
    from sources o join citations c on c.source = o.source and c.retired is null
    where o.retired is null
    group by o.source order by o.first_run, o.source
"""

CITATIONS = """
    select source, status, count(*) as n from citations where retired is null
    group by source, status order by n desc, status
"""

LAST_RUN = """
    select r.run, r.started, r.finished, r.outcome, r.door, r.version,
        (select count(*) from changes c where c.run = r.run and c.what = 'new') as new_works,
        (select count(*) from changes c where c.run = r.run and c.what not in ('new', 'tags')) as changed_works,
        (select count(distinct q.source) from requests q where q.run = r.run and q.truncated = 1) as truncated,
        json_extract(r.counts, '$.known[0]') as known_found, json_extract(r.counts, '$.known[1]') as known
    from runs r where r.outcome <> 'running' and r.door not in ('judge', 'providers', 'import') order by r.run desc limit 1
"""

PROBLEMS = """
    select o.source, o.label, coalesce(o.trouble || '; ' || o.warning, o.trouble, o.warning, 'not yet read to the end') as problem
    from sources o left join searches_read d on d.source = o.source
    where (coalesce(o.trouble, o.warning) is not null or d.ended = 'unfinished') and o.retired is null order by o.source
"""

RECENTLY_ADDED = """
    select w.doi, w.title, w.authors, w.container, w.year, w.notice from works w
    where w.verdict = 'include' and w.first_run = (select max(first_run) from works where verdict = 'include')
    order by w.year desc, w.doi limit 5
"""

DESIGNS = ("randomised trials", "systematic reviews and meta-analyses", "other designs")
"""The parts of a bar, from the bottom."""

LABELS = "select value, label from facets where facet = :facet order by position, value"


@hookimpl
async def extra_template_vars(datasette: Any, template: str) -> dict[str, Any]:
    if NAME not in datasette.databases:
        return {"site": None}
    db = datasette.get_database(NAME)
    found = {"site": await CACHE.get(db.path, "site", lambda: site(datasette, db))}
    if template == "index.html":
        found["front"] = await CACHE.get(db.path, "front", lambda: front(datasette, db))
    return found


async def site(datasette: Any, db: Any) -> dict[str, Any]:
    """What every page shows: the reference lists and the last sync."""
    return {
        "lists": [dict(row) for row in await db.execute(LISTS)],
        "last_run": next((dict(row) for row in await db.execute(LAST_RUN)), None),
        "works": datasette.urls.table(NAME, "works"),
        "database": datasette.urls.database(NAME),
    }


async def front(datasette: Any, db: Any) -> dict[str, Any]:
    """Everything the front page shows except the map."""
    counts = dict((await db.execute(COUNTS)).first())
    known = await bitset_counts.of_database(db)
    included = known.columns["verdict"].get("include", 0)
    topic = await site_topic.of_database(db)
    labels = {row["value"]: row["label"] for row in await db.execute(LABELS, {"facet": topic.intervention})}
    trials = included & known.either(topic.design, *topic.trials)
    reviews = included & known.either(topic.design, *topic.reviews)
    designs = {"trials": trials, "reviews": reviews}
    statuses: dict[str, list[tuple[str, int]]] = {}
    for source, status, n in await db.execute(CITATIONS):
        statuses.setdefault(source, []).append((status, n))
    works, again = (datasette.urls.table(NAME, name) for name in ("works", "decisions_to_check"))
    return {
        "numbers": [
            (included.bit_count(), "works included", f"{works}?verdict=include"),
            *(
                (designs[key].bit_count(), label, f"{works}?verdict=include&_tag={filter_}")
                for key, label, filter_ in topic.designs
            ),
            (counts["noticed"], "retracted or corrected", f"{works}?verdict=include&notice__notblank=1"),
            (counts["waiting"], "waiting for a decision", datasette.urls.query(NAME, "waiting")),
            *([(counts["again"], "decisions to look at again", again)] if counts["again"] else []),
            (counts["excluded"], "excluded", f"{works}?verdict=exclude"),
        ],
        "statuses": statuses,
        "problems": [dict(row) for row in await db.execute(PROBLEMS)],
        "recently_added": [dict(row) for row in await db.execute(RECENTLY_ADDED)],
        "years_key": charts.key(DESIGNS, of_bars=True, name="years-key"),
        "years": site_charts.years(known, topic, works),
        "trials": site_charts.trials_over_time(known, topic, labels, works),
    }
