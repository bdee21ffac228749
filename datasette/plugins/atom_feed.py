"""The Atom feed (`/feed.atom`): the latest changes of the works of a list. It takes every filter of the list, as its address has
it: `/feed.atom?_tag=variant:ipt-a&_tag=design:rct&year__gte=2010`. Without one on the verdict, it is about included works. The
entry of a notice says what its work touches.

The feed of a watch of sources.yaml (`/watch/NAME.atom`) is that of its list, with an entry for each work that came into the list
without a change that is announced, such as by another tag.

Gives every page `follow`, the address of the feed of a list. It reads the table `changes`, as the updates page does, and the
database only.
"""

from __future__ import annotations

import json
import os
from typing import Any
from urllib.parse import parse_qsl, urlencode

from datasette import hookimpl
from datasette.utils import tilde_encode
from datasette.utils.asgi import Response

from evidence.database.changes_since_last_run import OF_STANDING
from evidence.errors import ConfigError
from evidence.export import page_citation
from evidence.harvest.sources import Watch
from evidence.publish import (
    atom_feed,
    bitset_counts,
    listed_works,
    ripple,
    search_works,
    site_details,
    site_topic,
    watching,
)
from evidence.publish.query_cache import CACHE

NAME = "evidence"
FEED_LENGTH = 100
NOT_NAMED = (("verdict", "include"), ("verdict__notnull", "1"))
"""Filters that the title of a feed leaves out: what most are about, and none."""
FEW = 2_000
"""Works up to which their changes are looked up; of more, changes are read from the latest back until there are enough."""
VERDICTS = ("include", "unsure", "exclude", "duplicate")

ENTRIES = """
    select c.change, c.run, c.what, c.before, c.after, c.doi as announced, w.doi, w.title, w.authors, w.container, w.year,
        r.started, coalesce(r.finished, r.started) as updated,
        (select group_concat(t.facet || ': ' || t.value, '; ') from shown_tags t where t.doi = w.doi) as tags
    from changes c cross join runs r on r.run = c.run
    left join aliases a on a.alias = c.doi and a.last_run is null cross join works w on w.doi = coalesce(a.doi, c.doi)
    where c.what <> 'tags' and {verdict} {listed}
    order by c.change desc limit :limit
"""
"""Changes of works that had one of the wanted verdicts before or after the change, latest first."""

VERDICT = """
    (c.verdict in (select value from json_each(:verdicts)) or c.before in (select value from json_each(:verdicts)))
"""
AMONG_MANY = "and substr(:works, w.rowid + 1, 1) = x'31'"
AMONG_FEW = """
    and c.change in (
        with listed as (select w.doi from json_each(:works) j cross join works w on w.rowid = j.value)
        select change from changes where doi in (
            select doi from listed union select a.alias from listed l join aliases a on a.doi = l.doi and a.last_run is null))
"""

ENTERED = """
    select 'watch' as change, d.first_run as run, 'now in “' || d.watch || '”' as what, null as before, null as after,
        d.doi as announced, w.doi,
        w.title, w.authors, w.container, w.year, r.started, coalesce(r.finished, r.started) as updated,
        (select group_concat(t.facet || ': ' || t.value, '; ') from shown_tags t where t.doi = w.doi) as tags
    from watches n cross join watched d on d.watch = n.watch and d.first_run > n.first_run
    join runs r on r.run = d.first_run and r.outcome in ('complete', 'partial') cross join works w on w.doi = d.doi
    where n.watch = :watch order by d.first_run desc, d.doi limit :limit
"""
"""The works that came into the list of a watch after it began, latest first; of a run that has ended."""

MOMENTS = """
    select min(started) as first, max(coalesce(finished, started)) as last from runs where outcome <> 'running'
"""


@hookimpl
def register_routes() -> list[tuple[str, Any]]:
    return [(r"^/feed\.atom$", feed), (r"^/watch/(?P<slug>[a-z0-9-]+)\.atom$", watch_feed)]


@hookimpl
def extra_template_vars(datasette: Any, request: Any) -> dict[str, Any]:
    def follow(query: str | None = None) -> str:
        """The path of the feed of the list of works with this query string; of the list that is shown without one."""
        return feed_path(datasette, parse_qsl((request.query_string if request else "") if query is None else query))

    def absolute(path: str) -> str:
        return str(datasette.absolute_url(request, path))

    watches = [
        {"name": watch.name, "feed": str(datasette.urls.path(f"/watch/{watch.slug}.atom"))}
        for watch in site_details.watches(os.environ)
    ]
    return {"follow": follow, "absolute": absolute, "watches": watches}


def feed_path(datasette: Any, pairs: listed_works.Pairs) -> str:
    """The path of the feed that follows the list of works with these parameters."""
    kept = listed_works.filters(pairs)
    # What the feed takes an address without a verdict for must not narrow a list of all works.
    every = [] if listed_works.says_verdict(kept) else [("verdict__notnull", "1")]
    return str(datasette.urls.path(f"/feed.atom?{urlencode([*kept, *every])}"))


async def feed(datasette: Any, request: Any) -> Response:
    return await answer(datasette, request, listed_works.filters(parse_qsl(request.query_string)))


async def watch_feed(datasette: Any, request: Any) -> Response:
    slug = request.url_vars["slug"]
    watch = next((each for each in site_details.watches(os.environ) if each.slug == slug), None)
    if watch is None:
        return Response.text("There is no watch with this name.", status=404)
    try:
        asked = watching.pairs_of(watch)
    except ConfigError as error:
        return Response.text(str(error), status=404)
    return await answer(datasette, request, asked, watch)


async def answer(datasette: Any, request: Any, asked: listed_works.Pairs, watch: Watch | None = None) -> Response:
    """The feed of the list with these filters, or of the watch that has them."""
    db = datasette.get_database(NAME)
    try:
        works, verdicts = await followed(datasette, db, asked)
    except listed_works.RefusedError as error:
        return Response.text(str(error), status=error.status)
    rows = await changes(db, works, verdicts)
    if watch is not None:
        rows = with_entered(
            rows, [dict(row) for row in await db.execute(ENTERED, {"watch": watch.name, "limit": FEED_LENGTH})]
        )
    touched = await ripple.touches_of_site(db, os.environ, (row["doi"] for row in rows if row["what"] in OF_STANDING))
    moments = (await CACHE.get(db.path, "moments", lambda: db.execute(MOMENTS))).first()
    first, last = moments["first"] or "1970-01-01T00:00:00Z", moments["last"] or "1970-01-01T00:00:00Z"

    def absolute(path: str) -> str:
        return str(datasette.absolute_url(request, datasette.urls.path(path)))

    for row in rows:
        if row["what"] in OF_STANDING and row["doi"] in touched:
            row |= {"touches": touched[row["doi"]], "ripple": absolute(page_citation.ripple_path(row["doi"]))}
    query = f"?{urlencode(asked)}" if asked else ""
    labels = [listed_works.filter_label(*pair) for pair in asked if pair not in NOT_NAMED]
    about = atom_feed.About(
        title=" · ".join([datasette.metadata("title") or NAME, *([watch.name] if watch else labels)]),
        subtitle=f"What is new or has changed: {'; '.join(labels) or 'included works'}. The latest {FEED_LENGTH} changes.",
        identity=f"{(await site_topic.of_database(db)).id} {first}",
        filters=[("watch", watch.slug)] if watch else asked,
        address=absolute(f"/watch/{watch.slug}.atom" if watch else f"/feed.atom{query}"),
        page=absolute(f"/{NAME}/works{query}" if asked else "/changes"),
        updated=first,
    )
    pages = [absolute(f"/{NAME}/works/{tilde_encode(row['doi'])}") for row in rows]
    body = atom_feed.feed(about, rows, pages)
    headers = atom_feed.validators(body, last)
    if atom_feed.not_modified(headers, *map(request.headers.get, ("if-none-match", "if-modified-since"))):
        return Response("", status=304, headers=headers, content_type=atom_feed.CONTENT_TYPE)
    return Response(body, headers=headers, content_type=atom_feed.CONTENT_TYPE)


def with_entered(rows: list[dict[str, Any]], entered: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The changes with the works that came into a watch, the latest first; a work that an announced change of the same run
    brought is there already."""
    told = {(row["doi"], row["run"]) for row in rows if row["what"] in ("new", "verdict", "duplicate")}
    more = [row for row in entered if (row["doi"], row["run"]) not in told]
    both = sorted([*rows, *more], key=lambda row: row["run"], reverse=True)  # stable: the order within a run stays
    return both[:FEED_LENGTH]


async def followed(datasette: Any, db: Any, asked: listed_works.Pairs) -> tuple[int | None, tuple[str, ...]]:
    """The set of the works to follow (None: all), and the verdicts that the list is about. Works that had such a verdict and lost
    it are followed too: that a work was excluded is news of the list of the included works."""
    if not asked:
        return None, ("include",)
    wanted = await listed_works.query(datasette, asked)
    said = dict(asked)
    scope = search_works.scope_named(said.get("_scope")).verdicts if "_q" in said else VERDICTS
    on_verdict, on_others = listed_works.split_verdicts(wanted.where)
    verdicts: tuple[str, ...] = ("include",)
    if listed_works.says_verdict(asked):
        rows = await db.execute(*listed_works.verdicts_sql(on_verdict, wanted.params, scope))
        verdicts = tuple(value for (value,) in rows)
    works = await listed_works.works(datasette, wanted, on_others) if on_others else None
    if works is not None and "_q" in said:
        # A search is among the works of its scope; those that left it are found in another.
        elsewhere = [(key, text) for key, text in asked if key != "_scope"]
        wider = await listed_works.query(datasette, [*elsewhere, ("_scope", search_works.EVERYTHING)])
        left = await listed_works.works(datasette, wider, listed_works.split_verdicts(wider.where)[1])
        sets = await bitset_counts.of_database(db)
        works |= left & ~sets.with_column("verdict", scope)
    return works, verdicts


async def changes(db: Any, works: int | None, verdicts: tuple[str, ...]) -> list[dict[str, Any]]:
    """The latest changes of these works."""
    params: dict[str, Any] = {"limit": FEED_LENGTH, "verdicts": json.dumps(verdicts)}
    verdict = VERDICT if set(verdicts) != set(VERDICTS) else "true"
    listed = ""
    if works is not None and works.bit_count() <= FEW:
        listed, params["works"] = AMONG_FEW, json.dumps(bitset_counts.rowids_of(works))
    elif works is not None:
        listed, params["works"] = AMONG_MANY, bitset_counts.flags_of(works)
    return [dict(row) for row in await db.execute(ENTRIES.format(verdict=verdict, listed=listed), params)]
