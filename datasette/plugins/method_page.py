"""The method page, `/method`: the searches, what they cannot find, what other providers were asked, the accuracy of the rules,
and all tag definitions.

Every number comes from the tables or from the shipped accuracy measurements; this file estimates nothing.
"""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from datasette import hookimpl
from datasette.utils.asgi import Response

from evidence.data_model import STRENGTHS
from evidence.database import read_queries
from evidence.evaluation import published_accuracy
from evidence.export import prisma_report, provider_wording, taxonomy_files
from evidence.export.wording import abstract_source_label, count_noun
from evidence.publish import bitset_counts, charts, site_charts, site_topic
from evidence.publish.query_cache import CACHE
from evidence.rules import taxonomy

NAME = "evidence"

SEARCHES = """
    select o.source, o.label, o.spec, o.bookmark, coalesce(o.trouble || '; ' || o.warning, o.trouble, o.warning) as trouble,
        (select max(q.asked_at) from requests q where q.source = o.source) as asked,
        (select count(*) from sightings s where s.source = o.source and s.last_run is null) as works
    from sources o where o.kind = 'search' and o.retired is null order by o.source
"""
DEPTHS = "select * from searches_read order by source"
TAXONOMY = "select facet, value, label, meaning from facets order by facet, position, value"
TEXTS = "select judged_on, verdict, count(*) as n from works group by judged_on, verdict order by judged_on, verdict"

SUBJECTS = {
    "clinicaltrials": ("registration number", ""),
    "datacite": ("DOI", " that another agency than Crossref registered"),
}
"""What the providers are asked about that are not asked about works."""


@hookimpl
def register_routes() -> list[tuple[str, Any]]:
    return [(r"^/method$", method)]


async def method(datasette: Any, request: Any) -> Response:
    db = datasette.get_database(NAME)
    context = await CACHE.get(db.path, "method", lambda: describe(db))
    return Response.html(await datasette.render_template("method.html", context, request=request))


async def describe(db: Any) -> dict[str, Any]:
    """What method.html shows: searches with how far they were read, tag definitions with the number of included works, works
    by the text they were screened on, and precision and recall of the rules."""
    depths = {row["source"]: dict(row) for row in await db.execute(DEPTHS)}
    searches = [
        {**dict(row), "spec": json.loads(row["spec"]), "ended": depths[row["source"]]["ended"],
         "depth": prisma_report.search_depth(depths[row["source"]])}
        for row in await db.execute(SEARCHES)
    ]  # fmt: skip
    facets: dict[str, list[dict[str, Any]]] = {}
    known = await bitset_counts.of_database(db)
    included = known.columns["verdict"].get("include", 0)
    for row in await db.execute(TAXONOMY):
        works = (known.either(row["facet"], row["value"]) & included).bit_count()
        facets.setdefault(row["facet"], []).append({**dict(row), "works": works})
    texts: dict[str, dict[str, int]] = {}
    for text, verdict, n in await db.execute(TEXTS):
        texts.setdefault(text, {})[verdict] = n
    providers = await db.execute_fn(asked_providers)
    topic = await site_topic.of_database(db)
    files = site_topic.with_files(topic)
    figures = published_accuracy.read_table(files.accuracy_path) if files else ()
    questions = [figure for figure in figures if figure.question not in facets or not figure.value]
    # The first set in which a value was measured: the table begins with the text that nothing was learnt from.
    measured = {(figure.question, figure.value): figure for figure in reversed(figures) if figure.value}
    return {
        "searches": searches,
        **providers,
        "facets": topic.in_order(facets),
        "taxonomy_files": [form.extension for form in taxonomy_files.FORMATS.values()] if files else [],
        "texts": texts,
        "accuracy": site_charts.accuracy(questions),
        "accuracy_keys": {
            name: charts.key(series, of_bars=False, name=f"{name}-key")
            for name, series in (("shares", ("precision", "recall")), ("strengths", STRENGTHS))
        },
        "by_strength": site_charts.by_strength(questions, STRENGTHS),
        "values_measured": measured,
        "by_value": {
            facet: site_charts.by_value(facet, [(row["value"], row["label"]) for row in rows], measured)
            for facet, rows in facets.items()
        },
        "measured_earlier": published_accuracy.measured_earlier(figures, taxonomy.load(files).digest) if files else [],
    }


def asked_providers(conn: sqlite3.Connection) -> dict[str, Any]:
    """What each provider was asked about the included and unsure works (those never asked too), what the others were asked, and
    where abstracts are from."""
    counts = read_queries.verdict_counts(conn)
    concerned = counts.get("include", 0) + counts.get("unsure", 0)
    return {
        "concerned": concerned,
        "providers": [
            {**row, "label": provider_wording.provider_label(row["provider"])}
            for row in read_queries.provider_states(conn)
        ],
        "other_providers": [
            {
                **row,
                "label": provider_wording.provider_label(row["provider"]),
                "subjects": count_noun(row["asked"], SUBJECTS[row["provider"]][0]) + SUBJECTS[row["provider"]][1],
            }
            for row in read_queries.other_provider_states(conn)
        ],
        "abstracts": [
            {**row, "label": abstract_source_label(row["source"]) if row["source"] else "none"}
            for row in read_queries.abstract_sources(conn)
        ],
        "all_works": sum(counts.values()),
    }
