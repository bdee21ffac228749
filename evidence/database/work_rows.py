"""A work and its judgement → the rows of the tables that hold it.

Other processes make them while one writes, so the values are plain. May not read a database: what only it knows of a work
(counts of later days, aliases, clusters) is added by `write_works`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from operator import attrgetter, itemgetter
from typing import Any

from evidence.author_names import cite_authors
from evidence.data_model import Author, Doi, Judgement, Work
from evidence.database import changes_since_last_run
from evidence.database.values_for_writer import WorkRows, tag_row
from evidence.linkage.trial_numbers import own_trial_numbers

WORK_COLUMNS = tuple(
    """
    title abstract authors container issued year kind verdict screened decided why judged_on conflict notice_of language
    publisher volume issue pages issn registrations url gone
    subtitle original_title short_title edition isbn article_number short_container publisher_place institution
    event event_place event_dates published_print published_online licence abstract_source abstract_at open_access
    references_deposited references_without_doi content cited_by basis
    """.split()  # noqa: SIM905 - one list to read beside the DDL
)
"""The columns of `works` that are written with a work, after its DOI."""
TEXT_COLUMNS = 4
"""So many of them, the first, are the text of the full-text index."""
CITED_BY, GONE = map(WORK_COLUMNS.index, ("cited_by", "gone"))
"""The places of these two among the columns."""
_in_order = itemgetter(*WORK_COLUMNS)

_COPIED = (
    "subtitle",
    "original_title",
    "short_title",
    "edition",
    "article_number",
    "short_container",
    "publisher_place",
    "institution",
    "published_print",
    "published_online",
    "references_deposited",
    "references_without_doi",
)
"""Columns of `works` that hold a field of the Work as it is."""
_copied = attrgetter(*_COPIED)

_VERSIONS = ("vor", "unspecified", "am")


def rows_of(work: Work, judgement: Judgement, basis: str) -> WorkRows:
    """The rows of a work. `basis` is the digest of what it was judged from."""
    doi = work.doi
    updates = [
        (doi, about, n.kind, n.notice_doi or doi, n.issued, n.source, n.evidence, n.notice_id)
        for about, n in [*((doi, notice) for notice in work.notices), *work.updates]
    ]
    own = own_trial_numbers(work.registrations, (work.title, work.abstract))
    reasons: list[tuple[Any, ...]] = [
        (doi, "verdict", judgement.verdict, m.rule, m.field, m.start, m.stop, m.quote) for m in judgement.matches
    ]
    reasons += [
        (doi, t.facet, t.value, m.rule, m.field, m.start, m.stop, m.quote) for t in judgement.tags for m in t.matches
    ]
    return WorkRows(
        _in_order(_columns(work, judgement, basis)),
        [_author_row(doi, position, author) for position, author in enumerate(work.authors, start=1)],
        [
            (doi, n, f.name, f.doi, json.dumps(f.awards, ensure_ascii=False) if f.awards else "[]")
            for n, f in enumerate(work.funders, 1)
        ],
        [
            (doi, n, licence.url, licence.version, licence.starts, licence.delay_days)
            for n, licence in enumerate(work.licences, 1)
        ],
        updates,
        [(doi, r.kind, r.other, r.asserted_by) for r in work.relations],
        [(doi, "registration", number, source) for number, source in own.items()]
        + [(doi, one.kind, one.value, one.source) for one in work.identifiers],
        [(doi, fact.kind, fact.value, fact.source, int(fact.major)) for fact in work.facts],
        work.cites,
        [(doi, t.decided, *tag_row(t)) for t in judgement.tags],
        reasons,
    )


def record_columns(work: Work) -> dict[str, Any]:
    """The columns of `works` that come from the record alone, for the table and for exports."""
    return {
        "title": work.title,
        "abstract": work.abstract,
        "authors": cite_authors(work.authors),
        "container": work.container,
        "issued": work.issued,
        "year": work.year,
        "kind": work.kind,
        "language": work.language,
        "publisher": work.publisher,
        "volume": work.volume,
        "issue": work.issue,
        "pages": work.pages,
        "issn": "; ".join(work.issn) or None,
        "registrations": "; ".join(work.registrations) or None,
        "url": work.url,
        "cited_by": work.cited_by,
        "isbn": "; ".join(work.isbn) or None,
        "event": work.event.name if work.event else None,
        "event_place": work.event.place if work.event else None,
        "event_dates": work.event.dates if work.event else None,
        "licence": _licence_of(work),
        "abstract_source": work.abstract_source,
        "abstract_at": work.abstract_at,
        "open_access": next((fact.value for fact in work.facts if fact.kind == "open-access"), None),
        "content": changes_since_last_run.content_digest(work),
        **dict(zip(_COPIED, _copied(work), strict=True)),
    }


def notice_text(notice_of: Sequence[tuple[str, str | None]]) -> str | None:
    """What `works.notice_of` holds: `retraction:10.1000/x`; `retraction:` where the study is not known; None for a study."""
    return f"{notice_of[0][0]}:{notice_of[0][1] or ''}" if notice_of else None


def _columns(work: Work, judgement: Judgement, basis: str) -> dict[str, Any]:
    return {
        "verdict": judgement.verdict,
        "screened": judgement.verdict,
        "decided": judgement.decided,
        "why": judgement.why,
        "judged_on": judgement.judged_on,
        "conflict": judgement.conflict,
        "notice_of": notice_text(work.notice_of),
        "gone": None,
        **record_columns(work),
        "basis": basis,
    }


def _author_row(doi: Doi, position: int, author: Author) -> tuple[Any, ...]:
    credited = author.name or ", ".join(p for p in (author.family, author.given) if p)
    return (
        doi, position, author.orcid or credited, credited, author.family, author.given, author.role, author.affiliation,
        author.suffix, author.orcid,
    )  # fmt: skip


def _licence_of(work: Work) -> str | None:
    """The URL of the licence that matters to a reader: of the version of record first, the latest to begin. A licence for text
    mining alone does not count."""
    for version in _VERSIONS:
        found = [licence for licence in work.licences if (licence.version or "unspecified") == version]
        if found:
            return max(found, key=lambda licence: licence.starts or "").url
    return None
