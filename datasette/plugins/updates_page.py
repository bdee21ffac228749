"""The updates page (`/changes`): what each run changed, by month, with the design of each work as a glyph.

It reads the table `changes`, as the Atom feed, the summary of a sync and `evidence report changes` do, so all show the same
changes. Beside a notice stands what its work touches. Reviewers' decisions and named versions of the review are listed
separately. This file only reads the database.
"""

from __future__ import annotations

import json
import os
from datetime import date
from itertools import groupby
from typing import Any
from urllib.parse import urlencode

from datasette import hookimpl
from datasette.utils.asgi import Response

from evidence.database import changes_since_last_run, read_versions
from evidence.database.changes_since_last_run import OF_STANDING
from evidence.export import changes_report
from evidence.publish import bitset_counts, ripple, site_topic
from evidence.publish.query_cache import CACHE

NAME = "evidence"
RUNS_SHOWN = 12
WORKS_SHOWN = 15
DECISIONS_SHOWN = 10

RUNS = """
    select r.run, r.started, r.finished, r.outcome, r.door from runs r
    where r.outcome <> 'running' and (r.door not in ('judge', 'providers')
        or exists (select 1 from changes c where c.run = r.run and c.what <> 'tags'))
    order by r.run desc limit :limit
"""
COUNTS = """
    select run, what, verdict, count(*) as n from changes
    where run in (select value from json_each(:runs)) and what <> 'tags' group by run, what, verdict
"""
DECISIONS = """
    select d.doi, w.title, d.action, d.verdict, d.facet, d.value, d.reason, d.reviewer, d.made_at
    from decisions d join works w on w.doi = d.doi order by d.decision desc limit :limit
"""
FIRST_OF_EACH = """
    select c.run, c.what, c.before, c.after, c.verdict, coalesce(a.doi, c.doi) as doi, w.title, w.authors, w.container, w.year
    from (
        select *, row_number() over (partition by run, what
            order by verdict is not 'include', verdict is not 'unsure', change) as place
        from changes where run in (select value from json_each(:runs)) and what <> 'tags'
            and (what <> 'new' or verdict in ('include', 'unsure'))
    ) c
    left join aliases a on a.alias = c.doi and a.last_run is null left join works w on w.doi = coalesce(a.doi, c.doi)
    where c.place <= :limit order by c.run, c.place
"""


MONTHS = """
    select substr(started, 1, 7) as month, min(run) as first, max(run) as last from runs
    where outcome <> 'running' group by month
"""
ADDED = "select rowid as number from works where first_run between :first and :last"
DESIGNS = """
    select t.doi, t.value, f.label from shown_tags t join facets f on f.facet = t.facet and f.value = t.value
    where t.facet = :facet and t.doi in (select value from json_each(:dois)) order by t.doi, f.position
"""


@hookimpl
def register_routes() -> list[tuple[str, Any]]:
    return [(r"^/changes$", updates_page)]


async def updates_page(datasette: Any, request: Any) -> Response:
    db = datasette.get_database(NAME)
    months = await CACHE.get(db.path, "changes", lambda: recent_months(datasette, db))
    decisions = [dict(row) for row in await db.execute(DECISIONS, {"limit": DECISIONS_SHOWN})]
    touched = await ripple.touches_of_site(db, os.environ, of_standing(months))
    versions = await db.execute_fn(read_versions.versions)
    context = {"months": months, "decisions": decisions, "touched": touched, "versions": versions[::-1]}
    return Response.html(await datasette.render_template("updates.html", context, request=request))


def of_standing(months: list[dict[str, Any]]) -> list[str]:
    """The works shown of which a notice came or went."""
    kinds = [kind for month in months for run in month["runs"] for kind in run["kinds"]]
    return [work["doi"] for kind in kinds if kind["what"] in OF_STANDING for work in kind["works"]]


async def recent_months(datasette: Any, db: Any) -> list[dict[str, Any]]:
    """The months of the last runs, newest first: their runs, and how many included works came in them, by design."""
    known = {row["month"]: dict(row) for row in await db.execute(MONTHS)}
    found: list[dict[str, Any]] = []
    for name, runs in groupby(await recent_runs(db), lambda run: run["started"][:7]):
        month = known[name]
        title = date.fromisoformat(f"{name}-01").strftime("%B %Y")
        added = await added_in(datasette, db, month["first"], month["last"])
        found.append({"month": name, "title": title, "added": added, "runs": list(runs)})
    return found


async def added_in(datasette: Any, db: Any, first: int, last: int) -> list[dict[str, Any]]:
    """How many included works came in these runs: all, and by design, each with its glyph, its name and the list of these works
    (None where a list has no filter for it)."""
    sets, topic = await bitset_counts.of_database(db), await site_topic.of_database(db)
    numbers = await db.execute_fn(
        lambda conn: list(bitset_counts.read_rowids(conn, ADDED, {"first": first, "last": last}))
    )
    works = sets.set_of_numbers(numbers) & sets.with_column("verdict", ["include"])
    filters = [("verdict", "include"), ("first_run__gte", first), ("first_run__lte", last)]
    base = f"{datasette.urls.table(NAME, 'works')}?{urlencode(filters)}"
    of_design = {"trials": ("trial", topic.trials), "reviews": ("review", topic.reviews)}
    parts: list[dict[str, Any]] = [{"glyph": None, "n": works.bit_count(), "name": "works", "address": base}]
    others = works
    for key, name, tags in topic.designs:
        glyph, values = of_design[key]
        having = works & sets.either(topic.design, *values)
        others &= ~having
        parts.append(
            {"glyph": glyph, "n": having.bit_count(), "name": name, "address": f"{base}&{urlencode({'_tag': tags})}"}
        )
    if topic.designs:
        known = 0
        for (facet, _), tagged in sets.tags.items():
            known |= tagged if facet == topic.design else 0
        for glyph, name, rest in (
            ("other", "of another design", others & known),
            ("unknown", "of unknown design", others & ~known),
        ):
            parts.append({"glyph": glyph, "n": rest.bit_count(), "name": name, "address": None})
    return [part for part in parts if part["n"] or part["glyph"] is None]


async def recent_runs(db: Any) -> list[dict[str, Any]]:
    """The last runs, newest first, each with its number of changes per kind and the first works of each kind."""
    runs = [dict(row) for row in await db.execute(RUNS, {"limit": RUNS_SHOWN})]
    params = {"runs": json.dumps([run["run"] for run in runs]), "limit": WORKS_SHOWN}
    counts: dict[int, dict[str, dict[str, int]]] = {}
    for row in await db.execute(COUNTS, params):
        counts.setdefault(row["run"], {}).setdefault(row["what"], {})[row["verdict"]] = row["n"]
    found: dict[tuple[int, str], list[dict[str, Any]]] = {}
    for row in await db.execute(FIRST_OF_EACH, params):
        change = dict(row) | {"label": changes_report.change_label(row)}
        if row["what"] == "notice":
            change["notice"] = changes_since_last_run.parse_notice(row["after"], row["doi"]).kind
        found.setdefault((row["run"], row["what"]), []).append(change)
    designs = await designs_of(db, [work for works in found.values() for work in works])
    for work in (work for works in found.values() for work in works):
        work |= designs.get(work["doi"], {"glyph": "unknown", "design": "design unknown"})
    for run in runs:
        by_kind = {what: sum(n.values()) for what, n in counts.get(run["run"], {}).items()}
        new = counts.get(run["run"], {}).get("new", {})
        run |= {
            "summary": changes_report.change_counts(by_kind),
            "included": new.get("include", 0),
            "waiting": new.get("unsure", 0),
            "kinds": [
                {
                    "what": what,
                    "title": changes_report.HEADINGS[what],
                    "n": by_kind[what],
                    "works": found[run["run"], what],
                }
                for what in changes_since_last_run.KINDS
                if found.get((run["run"], what))
            ],
        }
    return runs


async def designs_of(db: Any, works: list[dict[str, Any]]) -> dict[str, dict[str, str]]:
    """DOI → the glyph and the words for the design of a work. A trial that is a review, too, has the glyph of a trial, as in the
    map."""
    topic = await site_topic.of_database(db)
    params = {"facet": topic.design, "dois": json.dumps([work["doi"] for work in works])}
    labels: dict[str, dict[str, str]] = {}
    for doi, value, label in await db.execute(DESIGNS, params):
        labels.setdefault(doi, {})[value] = label
    found = {}
    for doi, values in labels.items():
        kinds = (("trial", topic.trials), ("review", topic.reviews))
        glyph = next((kind for kind, wanted in kinds if values.keys() & set(wanted)), "other")
        found[doi] = {"glyph": glyph, "design": ", ".join(values.values())}
    return found
