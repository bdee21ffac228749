"""The page of one work, its short address (`/doi/10.1002/cpp.1774`), and the tags shown in the list of works.

The page gathers what the tables hold on one DOI and highlights the text behind verdict and tags in title and abstract. A DOI
that has become an alias redirects to the work's page. This file returns plain text; only templates write HTML, and they escape.
What the work says to other programs is `work_metadata`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlencode

from datasette import hookimpl
from datasette.utils import tilde_decode, tilde_encode
from datasette.utils.asgi import NotFound, Response

from evidence import doi as dois
from evidence.data_model import Doi, Strength
from evidence.database import read_work_page
from evidence.export import page_citation, provider_wording
from evidence.publish import citation_network, site_metadata, site_topic, work_page_text

NAME = "evidence"

ALIAS_OF = "select doi from aliases where alias = :doi and last_run is null"


@hookimpl
def register_routes() -> list[tuple[str, Any]]:
    return [(r"^/doi/(?P<doi>10\..+)$", short_address)]


async def short_address(datasette: Any, request: Any) -> Response:
    """Redirect a DOI or an alias to the work's page; NotFound when the database has neither."""
    db = datasette.get_database(NAME)
    doi = dois.lower(unquote(request.url_vars["doi"]))
    known = await db.execute("select doi from works where doi = :doi", {"doi": doi})
    if not known.rows:
        known = await db.execute(ALIAS_OF, {"doi": doi})
    if not known.rows:
        raise NotFound(f"{doi} is not in this database")
    return Response.redirect(work_address(datasette, known.rows[0][0]))


@hookimpl
def handle_exception(datasette: Any, request: Any, exception: Exception) -> Any:
    """Redirect a work's page from a DOI that has become an alias to the current DOI."""
    prefix = f"{datasette.urls.table(NAME, 'works')}/"
    if not isinstance(exception, NotFound) or not request.path.startswith(prefix):
        return None
    wanted, dot, form = request.path.removeprefix(prefix).partition(".")

    async def redirect() -> Response | None:
        found = await datasette.get_database(NAME).execute(ALIAS_OF, {"doi": tilde_decode(wanted).lower()})
        if not found.rows:
            return None
        return Response.redirect(f"{work_address(datasette, found.rows[0][0])}{dot}{form}")

    return redirect


@hookimpl
def extra_template_vars(datasette: Any, request: Any) -> dict[str, Any]:
    async def work_page(row: Any) -> dict[str, Any]:
        return await page_data(datasette, row)

    async def included_links(doi: Doi) -> list[dict[str, Any]]:
        """The included works that a work which was left out belongs to; for the desk."""
        db = datasette.get_database(NAME)
        found: list[dict[str, Any]] = await db.execute_fn(lambda conn: read_work_page.included_links(conn, doi))
        return found

    async def tags_of(rows: Iterable[Any], strengths: Sequence[Strength]) -> dict[str, dict[str, list[dict[str, str]]]]:
        return await tags_for_list(datasette, [row["doi"] for row in rows], strengths)

    def cite_page(row: Any, site_name: str, synced: str | None) -> str:
        """How to cite the page of a work today; `synced` is the time of the last sync."""
        path = datasette.urls.path(page_citation.short_path(row["doi"]))
        address = datasette.absolute_url(request, path)
        today = datetime.now(UTC).date().isoformat()
        return page_citation.cite_record(row["title"], row["doi"], site_name, address, synced=synced, today=today)

    return {
        "work_address": lambda doi: work_address(datasette, doi),
        "work_page": work_page,
        "included_links": included_links,
        "cite_page": cite_page,
        "tags_of": tags_of,
        "list_facets": site_metadata.counted_facets,
    }


def work_address(datasette: Any, doi: str) -> str:
    """Address of a work's page."""
    return f"{datasette.urls.table(NAME, 'works')}/{tilde_encode(doi)}"


async def page_data(datasette: Any, row: Any) -> dict[str, Any]:
    """Everything the page shows of the work in `row` (a row of `works`)."""
    db = datasette.get_database(NAME)
    cited = await citations(datasette, row["doi"])
    found = await db.execute_fn(lambda conn: read_work_page.read(conn, row["doi"]))
    text = work_page_text
    answers, statements, notices = found["answers"], found["statements"], found["notices"]
    all_answers = [*found["crossref"], *answers]
    identifiers = [text.identifier(each) for each in found["identifiers"]]
    reasons = found["reasons"]
    return {
        "title": text.highlighted(row["title"], text.of_field(reasons, "title")),
        "abstract": text.paragraphs(text.highlighted(row["abstract"], text.of_field(reasons, "abstract"))),
        "abstract_line": text.abstract_line(row, found["history"]),
        "no_abstract": provider_wording.no_abstract(answers, row["doi"]),
        "facets": (await site_topic.of_database(db)).in_order(text.tags_by_facet(found["tags"], reasons)),
        "verdict_reasons": text.by_field([reason for reason in reasons if reason["facet"] == "verdict"]),
        "publication": text.publication_facts(row, found["people"], found["funders"], found["licences"]),
        "notices": text.notices(notices, statements, all_answers),
        "witnesses": provider_wording.witnesses(all_answers, statements, notices),
        "identifiers": identifiers,
        "provider_facts": text.provider_facts(found["provider_facts"]),
        "registered_studies": [text.registered_study(each) for each in found["registered_studies"]],
        "sources": found["sources"],
        "cited_in": found["cited_in"],
        "relations": found["relations"],
        "registrations": [each for each in identifiers if each["kind"] == "registration"],
        "same_study": found["same_study"],
        "records": found["records"],
        "citations": cited,
        "cited_by": sorted(cited["links"].cited_by.works, key=lambda work: work["verdict"] != "include"),
        "aliases": found["aliases"],
        "history": found["history"],
        "decisions": found["decisions"],
        "free_full_text": row["open_access"] if text.is_web(row["open_access"] or "") else None,
        "abstract_elsewhere": text.abstract_elsewhere(row, found["abstract_page"]),
    }


async def citations(datasette: Any, doi: Doi) -> dict[str, Any]:
    """What a work cites and is cited by (`links`), the same as a drawing (`network`, or None), and the addresses of the whole
    lists (`cites_list`, `cited_by_list`)."""
    links, network = await datasette.get_database(NAME).execute_fn(lambda conn: citation_network.of_work(conn, doi))
    works = datasette.urls.table(NAME, "works")
    return {
        "links": links,
        "network": network,
        "cites_list": f"{works}?{urlencode({'_cited_by': doi})}",
        "cited_by_list": f"{works}?{urlencode({'_cites': doi})}",
    }


async def tags_for_list(
    datasette: Any, dois: list[str], strengths: Sequence[Strength]
) -> dict[str, dict[str, list[dict[str, str]]]]:
    """DOI → facet → tags of these strengths with labels, for the facets that the list of works shows."""
    marks = ", ".join(f":d{i}" for i in range(len(dois)))
    listed = site_metadata.counted_facets(await site_topic.of_database(datasette.get_database(NAME)))
    facets, sure = (", ".join(f"'{name}'" for name in names) for names in (listed, strengths))
    sql = f"""
        select t.doi, t.facet, t.value, t.strength, coalesce(f.label, t.value) as label from tags t
        left join facets f on f.facet = t.facet and f.value = t.value
        where t.doi in ({marks}) and t.facet in ({facets}) and t.strength in ({sure})
        order by t.doi, t.facet, t.strength = 'implied', f.position, t.value
    """  # noqa: S608 (parameter names, our own facets and strengths)
    found: dict[str, dict[str, list[dict[str, str]]]] = {}
    if dois:
        for row in await datasette.get_database(NAME).execute(sql, {f"d{i}": doi for i, doi in enumerate(dois)}):
            found.setdefault(row["doi"], {}).setdefault(row["facet"], []).append(
                {"value": row["value"], "label": row["label"], "strength": row["strength"]}
            )
    return found
