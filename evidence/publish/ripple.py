"""What a work touches: the one function behind `evidence report ripple`, the page `/ripple/DOI`, and the sentences in the summary
of a sync, in `evidence report changes`, on the updates page and in the feed.

Everything is counted anew from what the tables hold now, so it does not matter in which order notices arrived or went. It only
reads; the words are `export/ripple_report.py`'s.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evidence.data_model import Doi
from evidence.database import read_queries, read_ripple, schema
from evidence.database.changes_since_last_run import OF_STANDING
from evidence.database.sql_helpers import Row
from evidence.errors import ConfigError
from evidence.export import provider_wording, ripple_report
from evidence.export.ripple_report import Lists, Numbers, Ripple, TouchedCell, TouchedClaim, TouchedList
from evidence.harvest import sources
from evidence.harvest.sources import Article
from evidence.publish import bitset_counts, evidence_map, site_access, site_details, site_topic
from evidence.publish.bitset_counts import WorkSets
from evidence.publish.evidence_map import CellOfWork, Count, Values
from evidence.publish.query_cache import CACHE
from evidence.rules.topic import Topic


@dataclass(frozen=True, slots=True)
class Known:
    """What is read once for all works: sets of works, the retracted ones, those without a reference list, the topic and the
    values of its facets, and the articles of sources.yaml (None: it could not be read). `published_only`: of exports only
    published copies are told."""

    sets: WorkSets
    retracted: int
    unlisted: int
    topic: Topic
    values: Values
    articles: Sequence[Article] | None
    published_only: bool = False


def read(conn: sqlite3.Connection, doi: Doi, known: Known) -> Ripple | None:
    """What the work with this DOI, or an alias of it, touches; of records of one work, what all of them together touch. None for
    a DOI that is no work here and that nothing here cites."""
    head, names = read_ripple.names(conn, doi)
    work = read_ripple.work(conn, head)
    citing, printed = read_ripple.citing(conn, names), read_ripple.printed(conn, names)
    if work is None and not (citing or printed):
        return None
    exports = read_ripple.exports(conn, names, published_only=known.published_only)
    since, earlier = read_ripple.recorded_since(conn)
    reviews = known.sets.either(known.topic.design, *known.topic.reviews)
    included = [row for row in citing if row["verdict"] == "include"]
    notices, witnesses = _notices(conn, head) if work else ((), ())
    held = tuple(row for row in exports if row["held"])
    verdicts = Counter(row["verdict"] for row in citing if row["verdict"] != "include")
    return Ripple(
        doi=head,
        names=names,
        work=work,
        notices=notices,
        announced=tuple(read_ripple.announced(conn, names)),
        witnesses=witnesses,
        reviews=tuple(row for row in included if reviews >> row["number"] & 1),
        others=tuple(row for row in included if not reviews >> row["number"] & 1),
        not_included=dict(sorted(verdicts.items())),
        lists_known=_lists(known, reviews),
        related=tuple(read_ripple.related(conn, names)),
        lists=_by_list(printed),
        claims=None if known.articles is None else tuple(_claims(known.articles, printed)),
        cells=tuple(map(_cell, _cells(known, work))),
        exports=held,
        other_exports=len(exports) - len(held),
        recorded_since=since,
        earlier=earlier,
        published_only=known.published_only,
        decisions=tuple(read_ripple.decisions(conn, head)),
    )


def add_touches(conn: sqlite3.Connection, changes: Iterable[Row], articles: Sequence[Article] | None) -> None:
    """Add to the changes of a work's standing (rows of `read_queries.changes`) what the work touches, as `touches`: a sentence.
    Where there is no such change, nothing is read."""
    rows = [row for row in changes if row["what"] in OF_STANDING]
    if not rows:
        return
    known = known_of(conn, articles)
    said: dict[str, str] = {}
    for row in rows:
        if row["doi"] not in said:
            found = read(conn, Doi(row["doi"]), known)
            said[row["doi"]] = ripple_report.touches(found) if found else ""
        row["touches"] = said[row["doi"]]


def known_of(conn: sqlite3.Connection, articles: Sequence[Article] | None) -> Known:
    """What is read once, from a database of which nothing has been read yet."""
    sets = bitset_counts.read_sets(conn)
    retracted = bitset_counts.retracted_of(bitset_counts.read_notices(conn, sets))
    unlisted = sets.set_of_numbers(read_ripple.without_list(conn))
    return Known(sets, retracted, unlisted, schema.read_topic(conn), read_queries.labelled_values(conn), articles)


def articles_of(path: Path) -> tuple[Article, ...] | None:
    """The articles of sources.yaml; None where it is missing or has a mistake, which `evidence check` reports."""
    try:
        return sources.load(path).articles
    except ConfigError:
        return None


# ---------------------------------------------------------------------- on the site


async def known_of_site(db: Any, environment: Mapping[str, str]) -> Known:
    """The same of a Datasette database, kept until it changes."""
    sets = await bitset_counts.of_database(db)
    unlisted = await CACHE.get(
        db.path,
        "works without a reference list",
        lambda: db.execute_fn(lambda conn: sets.set_of_numbers(read_ripple.without_list(conn))),
    )
    values = await site_topic.values_of(db)
    return Known(
        sets,
        await bitset_counts.retracted(db),
        unlisted,
        await site_topic.of_database(db),
        values,
        site_details.articles(environment),
        published_only=site_access.is_public(environment),
    )


async def of_site(db: Any, environment: Mapping[str, str], doi: Doi) -> Ripple | None:
    """What a work of a Datasette database touches; None as `read`."""
    known = await known_of_site(db, environment)
    found: Ripple | None = await db.execute_fn(lambda conn: read(conn, doi, known))
    return found


async def touches_of_site(db: Any, environment: Mapping[str, str], dois: Iterable[str]) -> dict[str, str]:
    """DOI → what the work touches in one sentence, for those that are known; of exports only published copies, as feeds and
    updates are for everybody."""
    wanted = list(dict.fromkeys(dois))
    if not wanted:
        return {}
    known = await known_of_site(db, environment)
    public = replace(known, published_only=True)

    def read_all(conn: sqlite3.Connection) -> dict[str, str]:
        found = {doi: read(conn, Doi(doi), public) for doi in wanted}
        return {doi: ripple_report.touches(ripple) for doi, ripple in found.items() if ripple}

    key = ("touches", tuple(wanted), known.articles)
    said: dict[str, str] = await CACHE.get(db.path, key, lambda: db.execute_fn(read_all))
    return said


# ---------------------------------------------------------------------- parts


def _notices(conn: sqlite3.Connection, doi: Doi) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """The notices of a work with who states them, and who was asked about it."""
    notices = read_ripple.notices(conn, doi)
    statements = read_queries.notice_statements(conn, doi)
    crossref = read_queries.crossref_answer(conn, doi)
    answers = [*filter(None, [crossref]), *read_queries.provider_answers(conn, doi)]
    stated = tuple(
        {**row, "stated_by": provider_wording.notice_witnesses(row, statements, answers)["stated_by"]}
        for row in notices
    )
    return stated, tuple(provider_wording.witnesses(answers, statements, notices))


def _lists(known: Known, reviews: int) -> Lists:
    included = known.sets.columns["verdict"].get("include", 0)
    return Lists(
        included.bit_count(),
        (included & known.unlisted).bit_count(),
        (included & reviews).bit_count(),
        (included & reviews & known.unlisted).bit_count(),
    )


def _by_list(printed: Sequence[Row]) -> tuple[TouchedList, ...]:
    lines: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for row in printed:
        lines.setdefault((row["source"], row["label"]), []).append((row["position"], row["text"]))
    return tuple(TouchedList(source, label, tuple(found)) for (source, label), found in lines.items())


def _claims(articles: Sequence[Article], printed: Sequence[Row]) -> Iterable[TouchedClaim]:
    places: dict[str, set[int]] = {}
    for row in printed:
        places.setdefault(row["source"], set()).add(row["position"])
    for article in articles:
        for claim in article.claims:
            cited = dict.fromkeys(claim.cites)
            positions = tuple(place for place in cited if place in places.get(article.references, ()))
            if positions:
                yield TouchedClaim(article.title, article.references, claim.id, claim.says, len(cited), positions)


def _cells(known: Known, work: Row | None) -> tuple[CellOfWork, ...]:
    if work is None:
        return ()
    return evidence_map.cells_of_work(known.topic, known.sets, known.retracted, known.values, work["number"])


def _cell(cell: CellOfWork) -> TouchedCell:
    return TouchedCell(
        cell.row.key,
        cell.column.key,
        cell.row.label,
        cell.column.label,
        _numbers(cell.with_work),
        _numbers(cell.without),
    )


def _numbers(counted: Count) -> Numbers:
    return Numbers(counted.works, counted.trials, counted.reviews, counted.retracted)
