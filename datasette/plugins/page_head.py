"""What the head of a page says to search engines and to those who are sent a link: description, canonical address, OpenGraph,
JSON-LD of the whole; and the title of a list of works.

The canonical address is given only if sources.yaml has the site's public address. Values are plain text; only templates write
HTML, and they escape.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from datasette import hookimpl
from datasette.utils.asgi import Response

from evidence.database import rewound, tag_filter
from evidence.errors import ConfigError
from evidence.publish import bitset_counts, list_titles, listed_works, share_picture, site_details, site_topic
from evidence.publish.query_cache import CACHE

NAME = "evidence"
LONGEST = 300
"""Characters of a description; search engines show about 160, link previews up to 300."""

DESCRIPTIONS = {
    "/map": "What has been studied, by {rows} and {columns}: the number of included works in each cell, with the list behind it.",
    "/currency": "For each cell of the evidence map: its newest review, the trials that are newer or missing from it, and the "
    "overlap of its reviews.",
    "/article": "Each citation of the article, checked: does it exist, is its DOI right, was it retracted?",
    "/changes": "What each sync found: new works, retractions, corrections and changed verdicts.",
    "/method": "The searches as run, what they miss, the rules of screening and tagging, and how accurate they are.",
    "/prisma": "The PRISMA 2020 flow of this review, from records identified to studies included, on any past day.",
    "/search": "Search the works by words, author and year, DOI, PMID or a pasted reference.",
    "/about": "Who publishes this site, how to cite it, its licence, its data and privacy.",
    "/api": "The data of this site as JSON and CSV, with examples in curl, Python and R.",
}
SAME_PAGE = frozenset(
    ("_next", "_size", "_labels", "_facet_size", "_nofacet", "_nocount", "_hide_sql", "_show_sql", "_trace", "_shape")
)
"""Parameters that do not make another page of it."""

LABELS = "select facet, value, label from facets"
PICTURE = "/share.png"


@hookimpl
def register_routes() -> list[tuple[str, Any]]:
    return [(r"^/share\.png$", picture), (r"^/favicon\.ico$", icon)]


@hookimpl
def extra_template_vars(datasette: Any, request: Any, template: str) -> dict[str, Any]:
    async def page_head(**shown: Any) -> dict[str, Any]:
        return await head(datasette, request, template, shown)

    async def title_of_list(sort: str | None, descending: str | None) -> str:
        return await list_title(datasette, request, sort, descending)

    path = datasette.get_database(NAME).path if NAME in datasette.databases else None
    shown = rewound.shown_version(Path(path)) if path else None
    return {"page_head": page_head, "title_of_list": title_of_list, "shown_version": shown}


async def head(datasette: Any, request: Any, template: str, shown: dict[str, Any]) -> dict[str, Any]:
    """`shown` has what the template knows of its page: rows, number of rows, the metadata of a table or query."""
    site = site_details.of_environment(os.environ)
    own = str(datasette.absolute_url(request, datasette.urls.path("/"))).rstrip("/") if request else ""
    base = site.address or own
    path = path_within(datasette, request.path) if request else "/"
    return {
        "description": shorten(await description(datasette, path, shown)),
        "canonical": f"{site.address}{path}{canonical_query(request)}" if site.address and request else None,
        "picture": f"{base}{PICTURE}",
        "kind": "article" if shown.get("work") else "website",
        "json_ld": await dataset(datasette, site, base) if template in ("index.html", "about.html") else None,
    }


def path_within(datasette: Any, path: str) -> str:
    """The path without the prefix of the site."""
    prefix = datasette.setting("base_url").rstrip("/")
    return path.removeprefix(prefix) or "/"


def canonical_query(request: Any) -> str:
    """The parameters that make another page, in one order."""
    kept = sorted(
        (key, text)
        for key, text in parse_qsl(request.query_string)
        if key not in SAME_PAGE and not key.startswith(("_facet", "_filter_", "_col", "_nocol"))
    )
    return f"?{urlencode(kept)}" if kept else ""


async def description(datasette: Any, path: str, shown: dict[str, Any]) -> str:
    if work := shown.get("work"):
        known = dict(work)
        if not known.get("abstract"):  # reference managers take a description for the abstract where there is none
            return ""
        where = ", ".join(str(known[part]) for part in ("container", "year") if known.get(part))
        return " ".join([*(f"{part}." for part in (known.get("authors"), where) if part), known["abstract"]])
    if shown.get("list_title"):
        return f"{shown['list_title']}: {shown['number']}, each with its verdict, tags and the text behind them."
    if path in DESCRIPTIONS and NAME in datasette.databases:
        topic = await site_topic.of_database(datasette.get_database(NAME))
        rows, columns = (topic.facet(facet).name for facet in topic.map)
        return DESCRIPTIONS[path].format(rows=rows, columns=columns)
    of_page = shown.get("about")
    return str(of_page or datasette.metadata("description") or "")


def shorten(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST].rpartition(' ')[0] or text[:LONGEST]}…"


async def dataset(datasette: Any, site: Any, base: str) -> str:
    """The whole as JSON-LD."""
    db = datasette.get_database(NAME)
    topic = await site_topic.of_database(db)
    facts = site_details.dataset(
        datasette.metadata("title") or NAME,
        datasette.metadata("description") or "",
        site,
        await site_details.edition_of(db),
        base=base,
        metadata_licence=datasette.metadata("license_url") or "",
        keywords=[topic.about, "living systematic review", "evidence map"],
    )
    return site_details.as_script(facts)


async def list_title(datasette: Any, request: Any, sort: str | None, descending: str | None) -> str:
    """The title of the list of works at the request's address, as plain text."""
    db = datasette.get_database(NAME)
    labels = await CACHE.get(db.path, "titles of tags", lambda: all_labels(db))
    topic = await site_topic.of_database(db)
    try:
        tags = tag_filter.parse_checked([text for text in request.args.getlist("_tag") if text], labels)
    except ConfigError:
        tags = []
    pairs = [(key, text) for key in request.args for text in request.args.getlist(key)]
    columns = [(key, text) for key, text in pairs if not key.startswith("_") or "__" in key]
    others = [
        listed_works.filter_label(key, text)
        for key, text in pairs
        if text and key in listed_works.SPECIAL_FILTERS and key not in ("_tag", "_search", "_searchmode")
    ]
    return list_titles.list_title(
        tags,
        columns,
        others,
        labels=labels,
        design=topic.design,
        intervention=topic.intervention,
        search=request.args.get("_search") or "",
        sort=sort,
        descending=descending,
    )


async def all_labels(db: Any) -> dict[tuple[str, str], str]:
    return {(facet, value): label for facet, value, label in await db.execute(LABELS)}


async def icon() -> Response:
    """The site's sign for browsers that look for it at its old address."""
    data = (Path(__file__).parents[1] / "static" / "favicon.png").read_bytes()
    return Response(data, content_type="image/png", headers={"cache-control": "max-age=86400"})


async def picture(datasette: Any) -> Response:
    """The picture of the site for link previews: its evidence map as discs."""
    db = datasette.get_database(NAME)
    known = await bitset_counts.of_database(db)
    topic = await site_topic.of_database(db)

    async def drawn() -> bytes:
        return await asyncio.to_thread(share_picture.draw, known, topic)

    data = await CACHE.get(db.path, "share picture", drawn)
    return Response(data, content_type="image/png", headers={"cache-control": "max-age=3600"})
