"""The fact-check page of an article: each citation as printed, its DOI as printed and as verified, the cited work, its notices.

`/article/<source>` shows one reference list; `/article` redirects to the first. Each citation has the verdict that
`evidence check-references` gives, told from what the tables hold: nobody is asked. `/article/<source>.json`, `.csv` and `.md` are
the same verdicts as files. The claims come from `fact_check_claims.py`.
"""

from __future__ import annotations

from collections import Counter
from typing import Any
from urllib.parse import urlencode

from datasette import hookimpl
from datasette.utils.asgi import NotFound, Response

from evidence.database import read_citations
from evidence.export import claim_wording, provider_wording, reference_report
from evidence.export.wording import short_citation
from evidence.harvest import stored_verdicts
from evidence.harvest.check_references import CheckedReference
from evidence.linkage.retraction_notices import GRAVE
from evidence.publish import site_topic
from evidence.publish.query_cache import CACHE
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
    return [
        (r"^/article$", first_list),
        (r"^/article/(?P<source>[a-z0-9-]+)$", fact_check_page),
        (r"^/article/(?P<source>[a-z0-9-]+)\.(?P<format>json|csv|md)$", verdicts_file),
    ]


@hookimpl
async def extra_template_vars(datasette: Any) -> dict[str, Any]:
    listed = NAME in datasette.databases and await first_source(datasette) is not None
    return {"citation_meanings": STATUS_MEANINGS, "strip_words": STRIP_WORDS, "has_reference_list": listed}


async def first_source(datasette: Any) -> str | None:
    """The first reference list that was read; None where there is none, as in a review of searches and files alone."""
    db = datasette.get_database(NAME)

    async def ask() -> str | None:
        found = (await db.execute(FIRST_LIST)).first()
        return found[0] if found else None

    source: str | None = await CACHE.get(db.path, "the first reference list", ask)
    return source


async def first_list(datasette: Any) -> Response:
    source = await first_source(datasette)
    if source is None:
        raise NotFound("No reference list has been read yet")
    return Response.redirect(datasette.urls.path(f"/article/{source}"))


VERDICT_CLASSES = {
    "found": "good",
    "found-with-errors": "look",
    "retracted": "bad",
    "other-work": "bad",
    "nothing-agrees": "look",
    "could-not-ask": "none",
}
"""Verdict → the class of its label in evidence.css."""

FILES = {
    "json": ("json", "application/json; charset=utf-8"),
    "csv": ("csv", "text/csv; charset=utf-8"),
    "md": ("markdown", "text/markdown; charset=utf-8"),
}
"""Suffix of a file of verdicts → its form in `reference_report`, and its type."""


async def verdicts_of(db: Any, source: str) -> tuple[CheckedReference, ...]:
    """The verdict on each citation of a list; kept until the database changes."""
    return await CACHE.get(
        db.path, ("verdicts", source), lambda: db.execute_fn(lambda conn: stored_verdicts.of_list(conn, source))
    )


def shown_verdict(checked: CheckedReference | None) -> dict[str, Any] | None:
    """A verdict for the template; the work and its notices are shown beside it."""
    if checked is None:
        return None
    return {
        "words": reference_report.verdict_words(checked),
        "class": VERDICT_CLASSES[checked.verdict],
        "errors": [reference_report.error_line(error) for error in checked.errors],
    }


async def verdicts_file(datasette: Any, request: Any) -> Response:
    source = request.url_vars["source"]
    verdicts = await verdicts_of(datasette.get_database(NAME), source)
    if not verdicts:
        raise NotFound("No such reference list")
    form, content_type = FILES[request.url_vars["format"]]
    headers = {"content-disposition": f'attachment; filename="{source}-checked.{request.url_vars["format"]}"'}
    return Response("".join(reference_report.REPORTS[form](verdicts, ())), headers=headers, content_type=content_type)


async def fact_check_page(datasette: Any, request: Any) -> Response:
    db = datasette.get_database(NAME)
    source = (await db.execute(SOURCE, {"source": request.url_vars["source"]})).first()
    if source is None:
        raise NotFound("No such reference list")
    topic = await site_topic.of_database(db)
    rows, notices, asked = await db.execute_fn(lambda conn: read_list(conn, source["source"], topic))
    if not rows:
        raise NotFound("No such reference list")
    verdicts = await verdicts_of(db, source["source"])
    by_position = {each.given.number: each for each in verdicts}
    counts = Counter(row["status"] for row in rows)
    table = datasette.urls.table(NAME, "citations")
    citations = [
        {
            **row,
            "short": short_citation(row["authors"], row["year"], row["title"] or row["text"]),
            "glyph": GLYPHS[row["status"]],
            "grave": row["notice"] in GRAVE,
            "notices": notices.get(row["known"], []),
            "checked": shown_verdict(by_position.get(row["position"])),
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
        "verdict_summary": reference_report.summary(verdicts),
        "not_invented": reference_report.not_invented(verdicts),
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
