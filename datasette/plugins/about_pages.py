"""The pages about the site itself: `/about` (what, who, licence, how to cite, privacy) and `/api` (data for programs).

What they state is read from the database, from `site:` in sources.yaml and from the server's settings; what is not given is said
to be not given. The examples are in `evidence.publish.api_examples`, which a test runs.
"""

from __future__ import annotations

import os
from typing import Any

from datasette import hookimpl
from datasette.utils.asgi import Response

from evidence import __version__
from evidence.database.tag_filter import MOST_FILTERS
from evidence.export.wording import day_in_words
from evidence.publish import api_examples, downloads, site_access, site_details, site_topic
from evidence.publish.query_cache import CACHE

NAME = "evidence"

COUNTS = """
    select (select count(*) from works) as found, (select count(*) from works where verdict = 'include') as included,
        (select count(*) from works where verdict = 'unsure') as waiting
"""
COMMON_TAG = """
    select t.facet || ':' || t.value from shown_tags t join works w on w.doi = t.doi
    where t.facet = :facet and w.verdict = 'include' group by t.facet, t.value order by count(*) desc, t.value limit 1
"""


@hookimpl
def register_routes() -> list[tuple[str, Any]]:
    return [(r"^/about$", about_page), (r"^/api$", api_page)]


async def about_page(datasette: Any, request: Any) -> Response:
    db = datasette.get_database(NAME)
    site = site_details.of_environment(os.environ)
    edition = await site_details.edition_of(db)
    title = datasette.metadata("title") or NAME
    context = {
        "published": site,
        "edition": edition,
        "data_day": day_in_words(edition.day) if edition else None,
        "counts": dict((await CACHE.get(db.path, "about", lambda: db.execute(COUNTS))).first()),
        "citation": site_details.citation(title, site, edition),
        "bibtex": site_details.bibtex(title, site, edition),
        "version": __version__,
        "licence_text": datasette.metadata("license"),
        "licence_url": datasette.metadata("license_url"),
        "desk_open": not site_access.is_shared(os.environ),
    }
    return Response.html(await datasette.render_template("about.html", context, request=request))


async def api_page(datasette: Any, request: Any) -> Response:
    db = datasette.get_database(NAME)
    topic = await site_topic.of_database(db)
    asked = {"facet": topic.intervention}
    found = await CACHE.get(db.path, "common tag", lambda: db.execute(COMMON_TAG, asked))
    tag = found.single_value() if found.rows else f"{topic.intervention}:"
    base = site_details.base_address(datasette, request, os.environ)
    context = {
        "examples": api_examples.examples(topic, tag, base),
        "address": base,
        "formats": {name: offer.description for name, offer in downloads.offered().items()},
        "most_tags": MOST_FILTERS,
        "rows": datasette.setting("max_returned_rows"),
        "seconds": datasette.setting("sql_time_limit_ms") / 1000,
        "sql_allowed": datasette.setting("default_allow_sql"),
        "shared": site_access.is_shared(os.environ),
    }
    return Response.html(await datasette.render_template("api.html", context, request=request))
