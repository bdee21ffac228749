"""An article's page: each line of its reference list with its verdict, the DOI before and after, and the work behind it.

`/article` leads to the first list; `/article/<source>` is one list. Deterministic: only what the tables say.
"""

from __future__ import annotations

from typing import Any

from datasette import hookimpl
from datasette.utils.asgi import NotFound, Response

NAME = "evidence"

FIRST = """
    select c.source from citations c join sources o on o.source = c.source
    where c.retired is null order by o.first_run, c.source limit 1
"""
LIST = "select source, label, kind, trouble from sources where source = :source"
CITATIONS = """
    select c.position, c.text, c.stated_doi, c.doi, c.status, c.problem, c.score, w.doi as known, w.title, w.authors,
        w.container, w.year, w.verdict, w.why, w.notice,
        (select group_concat(coalesce(f.label, t.value), ', ') from tags t left join facets f on f.facet = t.facet
            and f.value = t.value where t.doi = w.doi and t.facet = 'design') as design,
        (select group_concat(coalesce(f.label, t.value), ', ') from tags t left join facets f on f.facet = t.facet
            and f.value = t.value where t.doi = w.doi and t.facet = 'variant') as variant
    from citations c left join works w on w.doi = c.doi
    where c.source = :source and c.retired is null order by c.position
"""

MEANINGS = {
    "resolved": ("The DOI is right", "good"),
    "repaired": ("The DOI was faulty and is repaired", "look"),
    "matched": ("No DOI was printed; found by its text", "good"),
    "mismatch": ("The DOI is some other work", "bad"),
    "ambiguous": ("Several works could be meant", "look"),
    "not-in-crossref": ("Registered elsewhere than Crossref", "look"),
    "not-found": ("The DOI does not exist", "bad"),
    "not-in-files": ("The DOI is not in the files read; Crossref was not asked", "none"),
    "no-doi": ("No DOI is printed", "none"),
}


@hookimpl
def register_routes() -> list[tuple[str, Any]]:
    return [(r"^/article$", first), (r"^/article/(?P<source>[a-z0-9-]+)$", page)]


@hookimpl
def extra_template_vars() -> dict[str, Any]:
    return {"citation_meanings": MEANINGS}


async def first(datasette: Any) -> Response:
    found = (await datasette.get_database(NAME).execute(FIRST)).first()
    if found is None:
        raise NotFound("No reference list has been read yet")
    return Response.redirect(datasette.urls.path(f"/article/{found[0]}"))


async def page(datasette: Any, request: Any) -> Response:
    db = datasette.get_database(NAME)
    params = {"source": request.url_vars["source"]}
    source = (await db.execute(LIST, params)).first()
    citations = [dict(row) for row in await db.execute(CITATIONS, params)]
    if source is None or not citations:
        raise NotFound("No such reference list")
    counts: dict[str, int] = {}
    for citation in citations:
        counts[citation["status"]] = counts.get(citation["status"], 0) + 1
    context = {"article": dict(source), "citations": citations, "counts": sorted(counts.items())}
    return Response.html(await datasette.render_template("fact_check.html", context, request=request))
