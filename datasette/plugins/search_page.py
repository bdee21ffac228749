"""The search page (`/search?q=…`), where the search boxes lead: the works that fit best, and how the search was read.

It takes the filters of the list of works, and counts for each value how many works of the search have it. An identifier leads to
the page of its work. This file only reads the database.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlencode

from datasette import hookimpl
from datasette.utils import tilde_encode
from datasette.utils.asgi import BadRequest, Response

from evidence.database import tag_filter
from evidence.errors import ConfigError
from evidence.publish import bitset_counts, listed_works, search_site, search_works, site_metadata, site_topic
from evidence.publish.query_cache import CACHE

NAME = "evidence"
YEARS = ("year__gte", "year__lte")

WORKS = """
    select w.rowid as number, w.doi, w.title, w.authors, w.container, w.year, w.verdict, w.notice
    from json_each(:rows) r cross join works w on w.rowid = r.value order by r.key
"""
VALUES = "select facet, value, label from facets order by facet, position, value"


@hookimpl
def register_routes() -> list[tuple[str, Any]]:
    return [(r"^/search$", search_page)]


@hookimpl
def extra_template_vars(datasette: Any, template: str) -> dict[str, Any]:
    """`search_form` gives the front page what its form shows."""
    if template != "index.html" or NAME not in datasette.databases:
        return {}

    async def search_form() -> dict[str, Any]:
        return await form_of(datasette, search_works.INCLUDED, [])

    return {"search_form": search_form}


async def search_page(datasette: Any, request: Any) -> Response:
    asked = parse_qsl(request.query_string, keep_blank_values=True)
    said = [pair for pair in asked if pair[1] and pair != ("scope", search_works.INCLUDED)]
    if len(asked) - len(said) > 1:  # a form sends its empty fields, too: people share the address without them
        return Response.redirect(f"{datasette.urls.path('/search')}{'?' if said else ''}{urlencode(said)}")
    text = text_of(request)
    db = datasette.get_database(NAME)
    if text:
        named = await db.execute_fn(lambda conn: search_works.works_named(conn, text))
        if len(named) == 1:
            return Response.redirect(f"{datasette.urls.table(NAME, 'works')}/{tilde_encode(named[0])}")
        if named:
            return Response.redirect(
                f"{datasette.urls.table(NAME, 'works')}?{urlencode({'doi__in': json.dumps(named)})}"
            )
    scope, filters = scope_of(request), filters_of(request, await db.table_columns("works"))
    # What the box at the top of this page takes along.
    context: dict[str, Any] = {"search": text, "scope": scope, "search_kept": [("scope", scope), *filters]}
    if text:
        context |= await found_works(datasette, db, text, scope, filters)
    else:
        context["form"] = await form_of(datasette, scope, filters)
    return Response.html(await datasette.render_template("search.html", context, request=request))


def text_of(request: Any) -> str:
    return " ".join((request.args.get("q") or "").replace("\0", " ").split())[: search_works.LONGEST]


def scope_of(request: Any) -> str:
    asked = request.args.get("scope") or ""
    return asked if asked in search_works.SCOPES else search_works.INCLUDED


def filters_of(request: Any, columns: list[str]) -> list[tuple[str, str]]:
    """The filters of the list of works in the address of a search. What is neither a column nor one of ours, such as what a
    newsletter adds to a link, is left out."""
    return [
        (key, text)
        for key, text in listed_works.filters(parse_qsl(request.query_string))
        if key not in ("_q", "_scope") and (key.startswith("_") or key.partition("__")[0] in columns)
    ]


async def found_works(datasette: Any, db: Any, text: str, scope: str, filters: list[tuple[str, str]]) -> dict[str, Any]:
    """What the page shows of a search."""
    among, without_each = await filtered(datasette, filters) if filters else (None, {})
    found, contexts = await search_site.found_with_contexts(db, text, scope, among)
    rows = await db.execute(WORKS, {"rows": json.dumps(found.rowids)})
    works = [dict(row) | {"context": contexts.get(row["number"], "").split(search_works.MARK)} for row in rows]
    missing = [unit.typed for unit in found.units if unit.unknown]
    query = urlencode([("_q", text), ("_scope", scope), *filters])
    address = f"{datasette.urls.path('/search')}?"
    return {
        "form": await form_of(datasette, scope, filters, found.works, among, without_each),
        "count": (found.works if among is None else found.works & among).bit_count(),
        "unfiltered": found.works.bit_count(),
        "works": works,
        "corrected": found.corrected,
        "partial": found.partial,
        "missing": missing,
        "reads_misspelt": await search_site.knows_words(db),
        "without": address
        + urlencode([("q", " ".join(u.typed for u in found.units if not u.unknown)), ("scope", scope), *filters])
        if missing and len(missing) < len(found.units)
        else "",
        "everywhere": address + urlencode([("q", text), ("scope", search_works.EVERYTHING), *filters]),
        "without_filters": address + urlencode([("q", text), ("scope", scope)]),
        "filter_labels": [
            (
                listed_works.filter_label(*pair),
                address + urlencode([("q", text), ("scope", scope), *(other for other in filters if other != pair)]),
            )
            for pair in filters
        ],
        "list_query": query,
        "list_address": f"{datasette.urls.table(NAME, 'works')}?{query}",
    }


async def filtered(datasette: Any, filters: list[tuple[str, str]]) -> tuple[int, dict[str, int]]:
    """The set of the works that filters let through, and for each facet that has filters, what the others let through."""

    async def through(pairs: list[tuple[str, str]]) -> int:
        try:
            wanted = await listed_works.query(datasette, pairs)
        except listed_works.RefusedError as error:
            raise BadRequest(str(error)) from None
        return await listed_works.works(datasette, wanted, wanted.where)

    facets = dict.fromkeys(text.partition(":")[0] for key, text in filters if key == "_tag")
    without = {
        facet: await through([pair for pair in filters if pair[0] != "_tag" or not pair[1].startswith(f"{facet}:")])
        for facet in facets
    }
    return await through(filters), without


async def form_of(
    datasette: Any,
    scope: str,
    filters: list[tuple[str, str]],
    found: int | None = None,
    among: int | None = None,
    without_each: dict[str, int] | None = None,
) -> dict[str, Any]:
    """The search form: scopes, and for each facet of the lists its values, with the number of works that the search would find
    with this value and the other filters. `found` are the works of the search (None: all of the scope); `among` and
    `without_each` are `filtered` of these filters."""
    db = datasette.get_database(NAME)
    topic, sets = await site_topic.of_database(db), await bitset_counts.of_database(db)
    base = sets.with_column("verdict", search_works.scope_named(scope).verdicts) if found is None else found
    if filters and among is None:
        among, without_each = await filtered(datasette, filters)
    works = sets.works if among is None else among
    labels: dict[str, list[tuple[str, str]]] = {}
    for facet, value, label in await CACHE.get(db.path, "search values", lambda: db.execute(VALUES)):
        labels.setdefault(facet, []).append((value, label))
    try:
        strengths = tag_filter.parse_strengths(",".join(text for key, text in filters if key == "_strength"))
    except ConfigError as error:
        raise BadRequest(str(error)) from None
    tagged = sets.tagged(strengths)
    facets: list[dict[str, Any]] = []
    for facet in site_metadata.counted_facets(topic):
        countable = base & (without_each or {}).get(facet, works)
        chosen = [text for key, text in filters if key == "_tag" and text.startswith(f"{facet}:")]
        options = [
            {"tag": f"{facet}:{value}", "label": label, "n": (tagged.get((facet, value), 0) & countable).bit_count()}
            for value, label in labels.get(facet, [])
        ]
        known = [option for option in options if option["n"] or option["tag"] in chosen]
        facets.append({"facet": facet, "name": topic.facet(facet).name, "chosen": chosen, "options": known})
    shown = {option["tag"] for facet in facets for option in facet["options"]}
    one_each = {facet["facet"] for facet in facets if len(facet["chosen"]) == 1}
    return {
        "scopes": {key: wanted.label for key, wanted in search_works.SCOPES.items()},
        "scope": scope,
        "facets": facets,
        "years": {key: next((text for name, text in filters if name == key), "") for key in YEARS},
        "filtered": bool(filters),
        # What the form has no field for is kept: several values of a facet, other columns.
        "kept": [
            (key, text)
            for key, text in filters
            if key not in YEARS and not (key == "_tag" and text in shown and text.partition(":")[0] in one_each)
        ],
    }
