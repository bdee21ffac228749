"""What each sync brought, as a page and as an Atom feed that can be narrowed like the list of works.

`/changes` is the page; `/feed.atom?_tag=variant:ipt-a&_tag=design:rct` follows one filter. New means first seen in that
run; changed means that the record's content changed in it. What people decided between the syncs stands apart. Nothing is
judged here.
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

from datasette import hookimpl
from datasette.utils import tilde_encode
from datasette.utils.asgi import BadRequest, Response

from evidence import tag_filter
from evidence.errors import ConfigError
from evidence.remember import MEMORY

NAME = "evidence"
RUNS_SHOWN = 12
WORKS_SHOWN = 15
DECISIONS_SHOWN = 10
FEED_LENGTH = 100
ATOM = "http://www.w3.org/2005/Atom"
NOT_XML = re.compile("[^\\t\\n\\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot carry; no escape exists for them."""
DIRECTIONS = re.compile("[\u202a-\u202e\u2066-\u2069]")
"""Direction marks: in a feed reader, one left open would turn the text after it."""

RUNS = """
    with new as (
        select first_run as run, count(*) as new, count(*) filter (where verdict = 'include') as included,
            count(*) filter (where verdict = 'unsure') as waiting
        from works group by first_run
    ),
    changed as (
        select changed_run as run, count(*) as changed from works where changed_run > first_run group by changed_run
    )
    select r.run, r.started, r.finished, r.outcome, r.door, r.counts, coalesce(n.new, 0) as new,
        coalesce(n.included, 0) as included, coalesce(n.waiting, 0) as waiting, coalesce(c.changed, 0) as changed
    from runs r left join new n on n.run = r.run left join changed c on c.run = r.run
    where r.outcome <> 'running' and r.door <> 'judge' order by r.run desc limit :limit
"""
DECIDED = """
    select d.doi, w.title, d.action, d.verdict, d.facet, d.value, d.reason, d.reviewer, d.made_at
    from decisions d join works w on w.doi = d.doi order by d.decision desc limit :limit
"""
FIRST_OF_EACH = """
    select run, doi, title, authors, container, year, verdict, notice from (
        select w.doi, w.title, w.authors, w.container, w.year, w.verdict, w.notice, w.{column} as run,
            row_number() over (partition by w.{column}
                order by {first}, w.verdict <> 'include', w.year desc, w.doi) as place
        from works w where w.{column} >= :oldest and {which}
    ) where place <= :limit order by run, place
"""
KNOWN = """
    select doi, title, authors, container, year, verdict, notice, conflict from works
    where doi in (select value from json_each(:dois))
"""
NEW = FIRST_OF_EACH.format(column="first_run", first="0", which="w.verdict <> 'exclude'")
CHANGED = FIRST_OF_EACH.format(column="changed_run", first="w.notice is null", which="w.changed_run > w.first_run")
TAXONOMY = "select facet, value from facets order by facet, position"
ENTRIES = """
    select w.doi, w.title, w.authors, w.container, w.year, w.notice, f.started as published, c.started as updated,
        (select group_concat(t.facet || ': ' || t.value, '; ') from tags t where t.doi = w.doi) as tags
    from works w
    join runs f on f.run = w.first_run
    join runs c on c.run = max(w.changed_run, w.first_run)
    where w.verdict = 'include' {tagged}
    order by max(w.changed_run, w.first_run) desc, w.year desc, w.doi limit :limit
"""


@hookimpl
def register_routes() -> list[tuple[str, Any]]:
    return [(r"^/changes$", page), (r"^/feed\.atom$", feed)]


async def page(datasette: Any, request: Any) -> Response:
    db = datasette.get_database(NAME)
    runs = await MEMORY.get(db.path, "changes", lambda: recent(db))
    decided = [dict(row) for row in await db.execute(DECIDED, {"limit": DECISIONS_SHOWN})]
    shown = {"runs": runs, "decided": decided}
    return Response.html(await datasette.render_template("changes.html", shown, request=request))


async def recent(db: Any) -> list[dict[str, Any]]:
    """The last runs, newest first, each with the first of its new and changed works."""
    runs = [dict(row) for row in await db.execute(RUNS, {"limit": RUNS_SHOWN})]
    params = {"oldest": min((run["run"] for run in runs), default=0), "limit": WORKS_SHOWN}
    for key, sql in (("new_works", NEW), ("changed_works", CHANGED)):
        found: dict[int, list[dict[str, Any]]] = {}
        for row in await db.execute(sql, params):
            found.setdefault(row["run"], []).append(dict(row))
        for run in runs:
            run[key] = found.get(run["run"], [])
    for run in runs:
        counts = json.loads(run.pop("counts"))
        for key in ("noticed", "reopened", "left_crossref", "back_in_crossref"):
            said = [one if isinstance(one, list) else [one, None] for one in counts.get(key, ())][:FEED_LENGTH]
            works = {
                row["doi"]: dict(row) for row in await db.execute(KNOWN, {"dois": json.dumps([d for d, _ in said])})
            }
            run[key] = [works[doi] | {"kind": kind} for doi, kind in said if doi in works]
    return runs


async def feed(datasette: Any, request: Any) -> Response:
    """Included works, the latest new or changed first; every `_tag` of the address narrows."""
    tags = [tag for tag in request.args.getlist("_tag") if tag]
    db = datasette.get_database(NAME)
    try:
        wanted = tag_filter.read(tags, [tuple(row) for row in await db.execute(TAXONOMY)] if tags else [])
    except ConfigError as error:
        raise BadRequest(str(error)) from None
    clauses, params = tag_filter.conditions(wanted, "w.doi")
    tagged = " ".join(f"and {clause}" for clause in clauses)
    rows = await db.execute(ENTRIES.format(tagged=tagged), {"limit": FEED_LENGTH, **params})
    query = f"?{urlencode([('_tag', tag) for tag in tags])}" if tags else ""

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
    """One work: cited as a person would, its tags as categories, a notice first."""
    found = element("entry")
    found.append(element("id", address))
    notice = f"[{row['notice']}] " if row["notice"] else ""
    found.append(element("title", notice + (row["title"] or row["doi"])))
    found.append(element("link", rel="alternate", type="text/html", href=address))
    found.append(element("published", row["published"]))
    found.append(element("updated", row["updated"]))
    author = element("author")
    author.append(element("name", row["authors"] or "no author deposited"))
    found.append(author)
    where = " ".join(str(part) for part in (row["container"], row["year"]) if part)
    found.append(element("summary", ". ".join(part for part in (where, row["tags"], f"doi:{row['doi']}") if part)))
    for tag in (row["tags"] or "").split("; "):
        if tag:
            found.append(element("category", term=tag))
    return found


def element(name: str, text: str | None = None, **attributes: str) -> ElementTree.Element:
    """An Atom element whose text XML can carry and a feed reader can show."""
    made = ElementTree.Element(f"{{{ATOM}}}{name}", {key: NOT_XML.sub("", value) for key, value in attributes.items()})
    if text is not None:
        made.text = DIRECTIONS.sub("", NOT_XML.sub("\ufffd", text))
    return made
