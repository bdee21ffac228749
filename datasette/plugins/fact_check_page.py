"""The fact-check page of an article: each citation as printed, its DOI as printed and as verified, and the cited work.

`/article/<source>` shows one reference list; `/article` redirects to the first. It shows what the tables hold and checks
nothing itself. The claims above the citations come from `fact_check_claims.py`.
"""

from __future__ import annotations

from typing import Any

from datasette import hookimpl
from datasette.utils.asgi import NotFound, Response

from evidence.publish import site_topic

NAME = "evidence"

FIRST_LIST = """
    select c.source from citations c join sources o on o.source = c.source
    where c.retired is null order by o.first_run, c.source limit 1
"""
SOURCE = "select source, label, kind, trouble from sources where source = :source"
CITATIONS = """
    select c.position, c.text, c.stated_doi, c.doi, c.status, c.problem, c.score, w.doi as known, w.title, w.authors,
        w.container, w.year, w.verdict, w.why, w.notice,
        (select group_concat(coalesce(f.label, t.value), ', ') from shown_tags t left join facets f on f.facet = t.facet
            and f.value = t.value where t.doi = w.doi and t.facet = :design) as design,
        (select group_concat(coalesce(f.label, t.value), ', ') from shown_tags t left join facets f on f.facet = t.facet
            and f.value = t.value where t.doi = w.doi and t.facet = :intervention) as intervention
    from citations c left join works w on w.doi = c.doi
    where c.source = :source and c.retired is null order by c.position
"""

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


@hookimpl
def register_routes() -> list[tuple[str, Any]]:
    return [(r"^/article$", first_list), (r"^/article/(?P<source>[a-z0-9-]+)$", fact_check_page)]


@hookimpl
def extra_template_vars() -> dict[str, Any]:
    return {"citation_meanings": STATUS_MEANINGS}


async def first_list(datasette: Any) -> Response:
    found = (await datasette.get_database(NAME).execute(FIRST_LIST)).first()
    if found is None:
        raise NotFound("No reference list has been read yet")
    return Response.redirect(datasette.urls.path(f"/article/{found[0]}"))


async def fact_check_page(datasette: Any, request: Any) -> Response:
    db = datasette.get_database(NAME)
    params = {"source": request.url_vars["source"]}
    source = (await db.execute(SOURCE, params)).first()
    topic = await site_topic.of_database(db)
    about = {"design": topic.design, "intervention": topic.intervention}
    citations = [dict(row) for row in await db.execute(CITATIONS, params | about)]
    if source is None or not citations:
        raise NotFound("No such reference list")
    counts: dict[str, int] = {}
    for citation in citations:
        counts[citation["status"]] = counts.get(citation["status"], 0) + 1
    context = {"article": dict(source), "citations": citations, "counts": sorted(counts.items())}
    return Response.html(await datasette.render_template("fact_check.html", context, request=request))
