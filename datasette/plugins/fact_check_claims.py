"""The claim desk: what an article claims, in our words, beside the works it cites for it and the tracked evidence on it.

Claims stand in sources.yaml (`EVIDENCE_SOURCES`, else the working folder's); without that file there are none to show.
Deterministic: it counts included works in the cells of the map that a claim speaks of. It says nothing about whether the
claim is true, and every number leads to its works.
"""

from __future__ import annotations

import json
import os
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from datasette import hookimpl

from evidence import config, tallies
from evidence.errors import ConfigError

NAME = "evidence"

CITED = """
    select c.position, c.status, w.doi, w.title, w.authors, w.container, w.year, w.verdict, w.notice,
        (select group_concat(coalesce(f.label, t.value), ', ') from tags t left join facets f on f.facet = t.facet
            and f.value = t.value where t.doi = w.doi and t.facet = 'design') as design
    from citations c left join works w on w.doi = c.doi
    where c.source = :source and c.retired is null
"""
NEWEST = """
    select doi, title, authors, container, year from works where rowid in (select value from json_each(:works))
    order by year desc, doi limit 1
"""
LABELS = "select facet, value, label from facets"

TRIALS = "design:rct,cluster-rct"
REVIEWS = "design:meta-analysis,systematic-review"


@hookimpl
def extra_template_vars(datasette: Any) -> dict[str, Any]:
    async def claims_of(source: str) -> dict[str, Any]:
        return await desk(datasette, source)

    return {"claims_of": claims_of}


async def desk(datasette: Any, source: str) -> dict[str, Any]:
    """The articles whose reference list `source` is, with each claim's citations and counts; or why there are none."""
    path = Path(os.environ.get("EVIDENCE_SOURCES") or "sources.yaml")
    try:
        articles = [article for article in read(path, path.stat().st_mtime_ns) if article.references == source]
    except FileNotFoundError:
        return {"articles": [], "trouble": None}
    except ConfigError:
        return {
            "articles": [],
            "trouble": "The claims cannot be shown: `evidence check` says what is wrong with sources.yaml.",
        }
    db = datasette.get_database(NAME)
    cited = {row["position"]: dict(row) for row in await db.execute(CITED, {"source": source})}
    labels = {(row["facet"], row["value"]): row["label"] for row in await db.execute(LABELS)}
    shown = [
        {"title": article.title, "claims": [await weigh(datasette, claim, cited, labels) for claim in article.claims]}
        for article in articles
    ]
    return {"articles": [article for article in shown if article["claims"]], "trouble": None}


@lru_cache(maxsize=4)
def read(path: Path, changed: int) -> tuple[config.Article, ...]:
    """The articles of sources.yaml; read again when the file has changed."""
    return config.load(path).articles


async def weigh(datasette: Any, claim: config.Claim, cited: dict[int, Any], labels: dict[Any, str]) -> dict[str, Any]:
    """One claim: what it cites, and what the tracked evidence has in its cells, by design and since the citation."""
    db = datasette.get_database(NAME)
    works = [cited[position] for position in claim.cites if position in cited]
    years = [work["year"] for work in works if work["year"] is not None]
    since = max(years, default=None)
    known = await tallies.kept(db)
    about = known.columns["verdict"].get("include", 0)
    for facet, values in claim.looks_at:
        about &= known.either(facet, *values)
    reviews = about & known.either("design", *tallies.REVIEWS)
    newer = sum(n for year, n in known.by_column("year", about) if since is not None and year > since)
    pairs = [("verdict", "include"), *(("_tag", f"{facet}:{','.join(values)}") for facet, values in claim.looks_at)]

    def address(*more: tuple[str, str]) -> str:
        return f"{datasette.urls.table(NAME, 'works')}?{urlencode([*pairs, *more])}"

    return {
        "id": claim.id,
        "says": claim.says,
        "cites": works,
        "cells": [
            (facet.replace("_", " "), [labels.get((facet, value), value) for value in values])
            for facet, values in claim.looks_at
        ],
        "since": since,
        "numbers": [
            (about.bit_count(), "on this in all", address()),
            (
                (about & known.either("design", *tallies.TRIALS)).bit_count(),
                "randomised trials",
                address(("_tag", TRIALS)),
            ),
            (reviews.bit_count(), "reviews", address(("_tag", REVIEWS))),
            *([(newer, f"newer than {since}", address(("year__gt", str(since))))] if since else []),
        ],
        "review": await newest(db, known, reviews),
    }


async def newest(db: Any, known: tallies.Tallies, works: int) -> dict[str, Any] | None:
    """The newest of these works, if there is any."""
    last = max((year for year, _ in known.by_column("year", works)), default=None)
    if last is not None:
        works &= known.columns["year"][last]
    found = (await db.execute(NEWEST, {"works": json.dumps(tallies.numbers_of(works))})).first()
    return dict(found) if found else None
