"""The claims on the fact-check page: each claim of the article, what is cited for it, and what this database has on it.

Claims are read from sources.yaml (`EVIDENCE_SOURCES`, else the file in the working folder); without that file there are none.
What is counted, and how it is said, is `evidence.publish.claim_evidence`'s and `evidence.export.claim_wording`'s; this file
gives the numbers their addresses. It does not judge whether a claim is true.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from datasette import hookimpl

from evidence.errors import ConfigError
from evidence.export import claim_wording
from evidence.harvest import sources
from evidence.publish import bitset_counts, claim_evidence, claim_timeline, site_topic
from evidence.publish.query_cache import CACHE

NAME = "evidence"


@hookimpl
def extra_template_vars(datasette: Any) -> dict[str, Any]:
    works = datasette.urls.table(NAME, "works")

    async def claims_of(source: str) -> dict[str, Any]:
        return await claims_of_list(datasette, source)

    def list_of(filters: claim_wording.Filters) -> str:
        return f"{works}?{urlencode(filters)}"

    return {"claims_of": claims_of, "list_of": list_of, "about_label": claim_wording.about_label}


async def claims_of_list(datasette: Any, source: str) -> dict[str, Any]:
    """The articles that use the reference list `source`, with what is shown of each claim. `problem` is set when sources.yaml
    cannot be read."""
    path = Path(os.environ.get("EVIDENCE_SOURCES") or "sources.yaml")
    try:
        modified = path.stat().st_mtime_ns
        articles = [article for article in load_articles(path, modified) if article.references == source]
    except FileNotFoundError:
        return {"articles": [], "problem": None}
    except ConfigError:
        return {
            "articles": [],
            "problem": "The claims cannot be shown because sources.yaml has an error. Run `evidence check` for details.",
        }
    db = datasette.get_database(NAME)
    sets, noticed = await bitset_counts.of_database(db), await bitset_counts.by_notice(db)
    topic = await site_topic.of_database(db)

    def read(conn: Any) -> list[dict[str, Any]]:
        return [shown(*found) for found in claim_evidence.read(conn, articles, sets, noticed, topic)]

    found = await CACHE.get(db.path, ("claims", source, path, modified), lambda: db.execute_fn(read))
    titles_only = claim_wording.titles_only(*claim_evidence.untexted(sets))
    return {"articles": found, "titles_only": titles_only, "problem": None}


@lru_cache(maxsize=4)
def load_articles(path: Path, modified: int) -> tuple[sources.Article, ...]:
    """The articles of sources.yaml. `modified` (ns) is part of the cache key, so a changed file is read again."""
    return sources.load(path).articles


def shown(title: str, claims: list[claim_wording.ClaimEvidence]) -> dict[str, Any]:
    """An article's claims for the template: the sentences and the timelines."""
    axis = claim_timeline.axis_of(mark for claim in claims for mark in claim.marks)
    return {
        "title": title,
        "summary": claim_wording.summary(claims),
        "claims": [
            {
                "evidence": claim,
                "sentence": claim_wording.capital(claim_wording.sentence(claim.counts)),
                "in_all": claim_wording.in_all(claim.counts),
                "newer": claim_wording.newer_meaning(claim.counts),
                "not_known": claim_wording.not_known(claim.counts),
                "timeline": axis and claim_timeline.draw(claim.marks, claim.counts.since, axis),
            }
            for claim in claims
        ],
    }
