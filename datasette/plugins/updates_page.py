"""The updates page (`/changes`) and the Atom feed (`/feed.atom`), both of what each run changed.

The feed takes the tag filters of the list of works: `/feed.atom?_tag=variant:ipt-a&_tag=design:rct`. Both read the table
`changes`, as the summary of a sync and `evidence report changes` do, so all show the same changes. Reviewers' decisions are
listed separately. This file only reads the database.
"""

from __future__ import annotations

import json
import re
import uuid
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

from datasette import hookimpl
from datasette.utils import tilde_encode
from datasette.utils.asgi import BadRequest, Response

from evidence.database import changes_since_last_run, tag_filter
from evidence.errors import ConfigError
from evidence.export import changes_report
from evidence.publish.query_cache import CACHE

NAME = "evidence"
RUNS_SHOWN = 12
WORKS_SHOWN = 15
DECISIONS_SHOWN = 10
FEED_LENGTH = 100
ATOM = "http://www.w3.org/2005/Atom"
NOT_XML = re.compile("[^\\t\\n\\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 forbids, even escaped."""
DIRECTION_MARKS = re.compile("[\u202a-\u202e\u2066-\u2069]")
"""Unicode direction marks: in a feed reader, an unclosed one would reverse the text after it."""

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
TAXONOMY = "select facet, value from facets order by facet, position"
ENTRIES = """
    select c.change, c.what, c.before, c.after, w.doi, w.title, w.authors, w.container, w.year, r.started,
        coalesce(r.finished, r.started) as updated,
        (select group_concat(t.facet || ': ' || t.value, '; ') from shown_tags t where t.doi = w.doi) as tags
    from changes c cross join runs r on r.run = c.run
    left join aliases a on a.alias = c.doi and a.last_run is null cross join works w on w.doi = coalesce(a.doi, c.doi)
    where c.what <> 'tags' and (c.verdict = 'include' or c.before = 'include') {tagged}
    order by c.change desc limit :limit
"""
"""Changes of works that were included before or after the change, latest first."""


@hookimpl
def register_routes() -> list[tuple[str, Any]]:
    return [(r"^/changes$", updates_page), (r"^/feed\.atom$", feed)]


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


async def feed(datasette: Any, request: Any) -> Response:
    """The latest changes of included works as an Atom feed; each `_tag` in the address is a filter."""
    tags = [tag for tag in request.args.getlist("_tag") if tag]
    strength = ",".join(request.args.getlist("_strength"))
    db = datasette.get_database(NAME)
    try:
        wanted = tag_filter.parse_checked(tags, [tuple(row) for row in await db.execute(TAXONOMY)] if tags else [])
        strengths = tag_filter.parse_strengths(strength)
    except ConfigError as error:
        raise BadRequest(str(error)) from None
    clauses, params = tag_filter.sql_conditions(wanted, "w.doi", strengths)
    tagged = " ".join(f"and {clause}" for clause in clauses)
    rows = await db.execute(ENTRIES.format(tagged=tagged), {"limit": FEED_LENGTH, **params})
    filters = urlencode([*(("_tag", tag) for tag in tags), *([("_strength", strength)] if strength else [])])
    query = f"?{filters}" if filters else ""

    def absolute(path: str) -> str:
        return str(datasette.absolute_url(request, datasette.urls.path(path)))

    title = " · ".join([datasette.metadata("title") or NAME, *tags])
    root = element("feed")
    root.append(element("id", absolute(f"/feed.atom{query}")))
    root.append(element("title", title))
    root.append(element("link", rel="self", type="application/atom+xml", href=absolute(f"/feed.atom{query}")))
    root.append(element("link", rel="alternate", type="text/html", href=absolute("/changes")))
    root.append(element("updated", max((row["updated"] for row in rows), default="1970-01-01T00:00:00Z")))
    author = element("author")
    author.append(element("name", "evidence"))
    root.append(author)
    for row in rows:
        root.append(entry(row, absolute(f"/{NAME}/works/{tilde_encode(row['doi'])}")))
    ElementTree.register_namespace("", ATOM)
    return Response(
        ElementTree.tostring(root, encoding="unicode", xml_declaration=True),
        content_type="application/atom+xml; charset=utf-8",
    )


def entry(row: Any, address: str) -> ElementTree.Element:
    """One change as an Atom entry: what happened and the title, a short citation as summary, the tags as categories. Its id
    depends neither on the site's address nor on later changes."""
    found = element("entry")
    parts = (row["started"], str(row["change"]), row["doi"], row["what"], row["before"] or "", row["after"] or "")
    found.append(element("id", uuid.uuid5(uuid.NAMESPACE_OID, "|".join(parts)).urn))
    happened = "" if row["what"] == "new" else f"[{changes_report.change_label(row)}] "
    found.append(element("title", happened + (row["title"] or row["doi"])))
    found.append(element("link", rel="alternate", type="text/html", href=address))
    found.append(element("published", row["updated"]))
    found.append(element("updated", row["updated"]))
    author = element("author")
    author.append(element("name", row["authors"] or "no authors in Crossref"))
    found.append(author)
    where = " ".join(str(part) for part in (row["container"], row["year"]) if part)
    found.append(element("summary", ". ".join(part for part in (where, row["tags"], f"doi:{row['doi']}") if part)))
    for tag in (row["tags"] or "").split("; "):
        if tag:
            found.append(element("category", term=tag))
    return found


def element(name: str, text: str | None = None, **attributes: str) -> ElementTree.Element:
    """An Atom element, with characters removed that XML forbids or that would disturb a feed reader."""
    made = ElementTree.Element(f"{{{ATOM}}}{name}", {key: NOT_XML.sub("", value) for key, value in attributes.items()})
    if text is not None:
        made.text = DIRECTION_MARKS.sub("", NOT_XML.sub("\ufffd", text))
    return made
