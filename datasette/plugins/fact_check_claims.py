"""The claims on the fact-check page: each claim of the article, the works cited for it, and the evidence in this database.

Claims are read from sources.yaml (`EVIDENCE_SOURCES`, else the file in the working folder); without that file there are none.
This file counts included works with the tags that a claim names, and links each count to its list. It does not judge whether a
claim is true.
"""

from __future__ import annotations

import json
import os
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from datasette import hookimpl

from evidence.errors import ConfigError
from evidence.harvest import sources
from evidence.linkage.retraction_notices import RETRACTIONS
from evidence.publish import bitset_counts, site_topic

NAME = "evidence"

CITED = """
    select c.position, c.status, w.doi, w.title, w.authors, w.container, w.year, w.verdict, w.notice,
        (select group_concat(coalesce(f.label, t.value), ', ') from shown_tags t left join facets f on f.facet = t.facet
            and f.value = t.value where t.doi = w.doi and t.facet = :design) as design
    from citations c left join works w on w.doi = c.doi
    where c.source = :source and c.retired is null
"""
LATEST = """
    select doi, title, authors, container, year, notice from works where rowid in (select value from json_each(:works))
    order by year desc, doi limit 1
"""
LABELS = "select facet, value, label from facets"


@hookimpl
def extra_template_vars(datasette: Any) -> dict[str, Any]:
    async def claims_of(source: str) -> dict[str, Any]:
        return await claims_of_list(datasette, source)

    return {"claims_of": claims_of}


async def claims_of_list(datasette: Any, source: str) -> dict[str, Any]:
    """The articles that use the reference list `source`, with each claim's citations and counts. `problem` is set when
    sources.yaml cannot be read."""
    path = Path(os.environ.get("EVIDENCE_SOURCES") or "sources.yaml")
    try:
        articles = [article for article in load_articles(path, path.stat().st_mtime_ns) if article.references == source]
    except FileNotFoundError:
        return {"articles": [], "problem": None}
    except ConfigError:
        return {
            "articles": [],
            "problem": "The claims cannot be shown because sources.yaml has an error. Run `evidence check` for details.",
        }
    db = datasette.get_database(NAME)
    topic = await site_topic.of_database(db)
    cited = {row["position"]: dict(row) for row in await db.execute(CITED, {"source": source, "design": topic.design})}
    labels = {(row["facet"], row["value"]): row["label"] for row in await db.execute(LABELS)}
    shown = [
        {
            "title": article.title,
            "claims": [await evidence_for(datasette, claim, cited, labels) for claim in article.claims],
        }
        for article in articles
    ]
    return {"articles": [article for article in shown if article["claims"]], "problem": None}


@lru_cache(maxsize=4)
def load_articles(path: Path, modified: int) -> tuple[sources.Article, ...]:
    """The articles of sources.yaml. `modified` (ns) is part of the cache key, so a changed file is read again."""
    return sources.load(path).articles


async def evidence_for(
    datasette: Any, claim: sources.Claim, cited: dict[int, Any], labels: dict[Any, str]
) -> dict[str, Any]:
    """One claim for the template: the cited works, and counts of included works with its tags, by design, by year (after the
    latest cited work), and those that are retracted. `cited` maps position → citation, `labels` (facet, value) → label."""
    db = datasette.get_database(NAME)
    works = [cited[position] for position in claim.cites if position in cited]
    years = [work["year"] for work in works if work["year"] is not None]
    since = max(years, default=None)
    known = await bitset_counts.of_database(db)
    about = known.columns["verdict"].get("include", 0)
    for facet, values in claim.looks_at:
        about &= known.either(facet, *values)
    topic = await site_topic.of_database(db)
    reviews = about & known.either(topic.design, *topic.reviews)
    newer = sum(n for year, n in known.by_column("year", about) if since is not None and year > since)
    pairs = [("verdict", "include"), *(("_tag", f"{facet}:{','.join(values)}") for facet, values in claim.looks_at)]

    def number(n: int, one: str, many: str, *more: tuple[str, str]) -> tuple[int, str, str]:
        return n, one if n == 1 else many, f"{datasette.urls.table(NAME, 'works')}?{urlencode([*pairs, *more])}"

    trials = about & known.either(topic.design, *topic.trials)
    retracted = (about & await bitset_counts.retracted(db)).bit_count()
    later = f"published after {since}"

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
            number(about.bit_count(), "study in total", "studies in total"),
            *(
                number(trials.bit_count(), "randomised trial", "randomised trials", ("_tag", tag))
                for tag in filter(None, [topic.trial_filter])
            ),
            *(
                number(reviews.bit_count(), "review", "reviews", ("_tag", tag))
                for tag in filter(None, [topic.review_filter])
            ),
            *(
                [number(retracted, "retracted", "retracted", ("notice__in", ",".join(RETRACTIONS)))]
                if retracted
                else []
            ),
            *([number(newer, later, later, ("year__gt", str(since)))] if since else []),
        ],
        "review": await latest(db, known, reviews),
    }


async def latest(db: Any, known: bitset_counts.WorkSets, works: int) -> dict[str, Any] | None:
    """The most recent of these works; None if there are none."""
    latest_year = max((year for year, _ in known.by_column("year", works)), default=None)
    if latest_year is not None:
        works &= known.columns["year"][latest_year]
    found = (await db.execute(LATEST, {"works": json.dumps(bitset_counts.rowids_of(works))})).first()
    return dict(found) if found else None
