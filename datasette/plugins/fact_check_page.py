"""The fact-check page of an article: each citation as printed, its DOI as printed and as verified, the cited work, its notices.

`/article/<source>` shows one reference list; `/article` redirects to the first. It shows what the tables hold and checks
nothing itself. The claims come from `fact_check_claims.py`.
"""

from __future__ import annotations

from collections import Counter
from typing import Any
from urllib.parse import urlencode

from datasette import hookimpl
from datasette.utils.asgi import NotFound, Response

from evidence.database import read_citations
from evidence.export import claim_wording, provider_wording
from evidence.export.wording import short_citation
from evidence.linkage.retraction_notices import GRAVE
from evidence.publish import site_topic
from evidence.rules.topic import Topic

NAME = "evidence"

FIRST_LIST = """
    select c.source from citations c join sources o on o.source = c.source
    where c.retired is null order by o.first_run, c.source limit 1
"""
SOURCE = "select source, label, kind, trouble from sources where source = :source"
STATUS_MEANINGS = {
    "resolved": ("The DOI is correct", "good"),
    "repaired": ("The printed DOI had an error and was repaired", "look"),
    "matched": ("No DOI is printed; identified by its text", "good"),
    "mismatch": ("The DOI belongs to another work", "bad"),
    "ambiguous": ("More than one work fits the citation", "look"),
    "not-in-crossref": ("The DOI is registered with another agency than Crossref", "look"),
    "not-found": ("The DOI does not exist", "bad"),
    "not-in-files": ("The DOI is not in the files read; Crossref was not queried", "none"),
    "no-doi": ("No DOI is printed", "none"),
}
"""Citation status → what it means, and the class of its label in evidence.css (`status-good`, …)."""

GLYPHS = {
    "resolved": "✓",
    "repaired": "✎",
    "matched": "✓",
    "mismatch": "≠",
    "ambiguous": "?",
    "not-in-crossref": "?",
    "not-found": "!",
    "not-in-files": "?",
    "no-doi": "–",
}
"""Citation status → the sign of its square in the strip, so that colour is not all that tells them apart."""

STRIP_WORDS = {
    "resolved": "DOI correct",
    "repaired": "DOI repaired",
    "matched": "found by its text",
    "mismatch": "DOI of another work",
    "ambiguous": "more than one work fits",
    "not-in-crossref": "not in Crossref",
    "not-found": "DOI does not exist",
    "not-in-files": "not looked up",
    "no-doi": "no DOI",
}
"""Citation status → the words in its square."""

MOST_NAMED = 40
"""Citations up to which each square of the strip has the name of the cited work; the squares of longer lists have numbers."""


@hookimpl
def register_routes() -> list[tuple[str, Any]]:
    return [(r"^/article$", first_list), (r"^/article/(?P<source>[a-z0-9-]+)$", fact_check_page)]


@hookimpl
def extra_template_vars() -> dict[str, Any]:
    return {"citation_meanings": STATUS_MEANINGS, "strip_words": STRIP_WORDS}


async def first_list(datasette: Any) -> Response:
    found = (await datasette.get_database(NAME).execute(FIRST_LIST)).first()
    if found is None:
        raise NotFound("No reference list has been read yet")
    return Response.redirect(datasette.urls.path(f"/article/{found[0]}"))


async def fact_check_page(datasette: Any, request: Any) -> Response:
    db = datasette.get_database(NAME)
    source = (await db.execute(SOURCE, {"source": request.url_vars["source"]})).first()
    if source is None:
        raise NotFound("No such reference list")
    topic = await site_topic.of_database(db)
    rows, notices, asked = await db.execute_fn(lambda conn: read_list(conn, source["source"], topic))
    if not rows:
        raise NotFound("No such reference list")
    counts = Counter(row["status"] for row in rows)
    table = datasette.urls.table(NAME, "citations")
    citations = [
        {
            **row,
            "short": short_citation(row["authors"], row["year"], row["title"] or row["text"]),
            "glyph": GLYPHS[row["status"]],
            "grave": row["notice"] in GRAVE,
            "notices": notices.get(row["known"], []),
        }
        for row in rows
    ]
    context = {
        "article": dict(source),
        "citations": citations,
        "named": len(citations) <= MOST_NAMED,
        "counts": [
            (status, n, f"{table}?{urlencode({'source': source['source'], 'status': status, 'retired__isnull': 1})}")
            for status, n in counts.most_common()
        ],
        "cited_works": claim_wording.cited_works(rows),
        "asked": asked,
    }
    return Response.html(await datasette.render_template("fact_check.html", context, request=request))


def read_list(
    conn: Any, source: str, topic: Topic
) -> tuple[list[dict[str, Any]], dict[str, list[dict[str, Any]]], str]:
    """The citations of a list, the notices of the cited works by DOI, and who was asked about retractions of them."""
    rows = read_citations.citations(conn, source, design=topic.design, intervention=topic.intervention)
    dois = list({row["known"]: None for row in rows if row["known"]})
    notices: dict[str, list[dict[str, Any]]] = {}
    for notice in read_citations.notices(conn, [row["known"] for row in rows if row["notice"]]):
        statements, answers = notice.pop("statements"), notice.pop("answers")
        said = provider_wording.notice_witnesses(notice, statements, answers)
        notices.setdefault(notice["doi"], []).append({**notice, **said, "ids": []})
    asked = provider_wording.asked_sentence(read_citations.asked_about(conn, dois), len(dois)) if dois else ""
    return rows, notices, asked
