"""The updates page (`/changes`) and the Atom feed (`/feed.atom`), both of what each run changed.

The feed takes the tag filters of the list of works: `/feed.atom?_tag=variant:ipt-a&_tag=design:rct`. Both read the table
`changes`, as the summary of a sync and `evidence report changes` do, so all show the same changes. Reviewers' decisions are
listed separately. This file only reads the database.
"""

from __future__ import annotations

import json
from typing import Any

from datasette import hookimpl
from datasette.utils.asgi import Response

from evidence.database import changes_since_last_run
from evidence.export import changes_report
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


@hookimpl
def register_routes() -> list[tuple[str, Any]]:
    return [(r"^/changes$", updates_page)]


async def updates_page(datasette: Any, request: Any) -> Response:
    db = datasette.get_database(NAME)
    runs = await CACHE.get(db.path, "changes", lambda: recent_runs(db))
    decisions = [dict(row) for row in await db.execute(DECISIONS, {"limit": DECISIONS_SHOWN})]
    context = {"runs": runs, "decisions": decisions}
    return Response.html(await datasette.render_template("updates.html", context, request=request))


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
