"""Reading what the page of one work shows, in one visit to the database. It never writes, and makes no sentences.

Rows come as dictionaries in the order in which the page shows them. Citations between works are `citation_links`'s.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from evidence.data_model import Doi
from evidence.database import read_queries
from evidence.database.sql_helpers import Row, dict_rows

TAGS = """
    select t.facet, t.value, t.decided, t.strength, t.how, coalesce(f.label, t.value) as label, f.meaning, f.position
    from tags t left join facets f on f.facet = t.facet and f.value = t.value
    where t.doi = :doi order by t.facet, t.strength = 'implied', f.position, t.value
"""
REASONS = """
    select facet, value, rule, field, start, stop, quote from reasons where doi = :doi
    order by facet, value, field, start, stop, rule
"""
NOTICES = """
    select n.kind, n.notice_doi, n.notice_id, n.issued, n.source, n.evidence, n.stands_on, n.relation, n.undone, w.doi as known
    from notices n left join works w on w.doi = n.stands_on
    where n.doi = :doi order by n.undone, n.issued, n.kind, n.notice_doi
"""
SOURCES = """
    select s.source, coalesce(o.label, s.source) as label, o.kind, s.via, s.rank, s.score, s.first_run, s.last_run,
        r.started
    from sightings s left join sources o on o.source = s.source left join runs r on r.run = s.first_run
    where s.doi = :doi order by s.last_run is not null, o.kind, s.source
"""
CITED_IN = """
    select c.source, coalesce(o.label, c.source) as label, c.position, c.text, c.stated_doi, c.status
    from citations c left join sources o on o.source = c.source
    where c.doi = :doi and c.retired is null order by c.source, c.position
"""
RELATIONS = """
    select r.kind, r.other, r.asserted_by, w.title, w.doi as known
    from relations r left join aliases a on a.alias = r.other and a.last_run is null
    left join works w on w.doi = coalesce(a.doi, r.other)
    where r.doi = :doi order by r.kind, r.other
"""
SAME_STUDY = """
    select w.doi, w.title, w.authors, w.year, w.verdict, w.notice, group_concat(s.number, ', ') as numbers
    from (
        select distinct b.doi, b.identifier as number
        from identifiers a cross join identifiers b on b.identifier = a.identifier and b.kind = a.kind and b.doi <> a.doi
        where a.doi = :doi and a.kind = 'registration'
    ) s cross join works w on w.doi = s.doi
    where w.verdict <> 'duplicate'
    group by w.doi order by w.verdict <> 'include', w.year, w.doi limit 200
"""
"""`cross join`: from the numbers of this work. Asked of the view `registrations`, SQLite reads the numbers of all works."""

IDENTIFIERS = """
    select kind, identifier, json_group_array(source) as sources from
        (select * from identifiers where doi = :doi order by source)
    group by kind, identifier order by instr('pmid pmcid openalex registration', kind), identifier
"""
PROVIDER_FACTS = """
    select kind, fact, max(major) as major, json_group_array(source) as sources from
        (select * from facts where doi = :doi order by source)
    group by kind, fact order by kind, major desc, fact
"""
REGISTERED_STUDIES = """
    select s.number, s.title, s.status, s.enrolment, s.started, s.completed, s.primary_outcomes, s.source
    from registered_studies s
    where s.number in (select identifier from identifiers where doi = :doi and kind = 'registration') order by s.number
"""
INCLUDED_LINKS = "select included, included_title, link from linked_to_included where doi = :doi"
RECORDS = """
    select w.doi, w.title, w.container, w.year, w.notice, d.verdict, d.decided, d.reason
    from duplicates d join works w on w.doi = case when d.doi = :doi then d.other else d.doi end
    where :doi in (d.doi, d.other) order by d.verdict = 'apart', d.verdict, w.doi
"""
ALIASES = """
    select a.alias, substr(r.started, 1, 10) as since from aliases a left join runs r on r.run = a.first_run
    where a.doi = :doi and a.last_run is null order by a.alias
"""
HISTORY = """
    select s.version, s.first_run, s.last_run, r.started from snapshots s left join runs r on r.run = s.first_run
    where s.doi = :doi order by s.version desc
"""
DECISIONS = """
    with records as (select :doi as doi union select same_as from works where doi = :doi and same_as is not null
        union select m.doi from works w join works m on m.same_as = coalesce(w.same_as, w.doi) where w.doi = :doi)
    select action, verdict, facet, case when doi = :doi then value else doi end as value, reason, reviewer, made_at, rule_said
    from decisions
    where doi in (select doi from records union select alias from aliases join records using (doi))
        or (facet = 'same-work' and value = :doi)
    order by decision desc
"""
FUNDERS = "select name, funder_doi, awards from funders where doi = :doi order by position"
LICENCES = "select url, version, starts from licences where doi = :doi order by version = 'tdm', position"
ABSTRACT_PAGE = """
    select i.kind, i.identifier from works w join identifiers i on i.doi = w.doi
        and i.kind = iif(w.abstract_source = 'openalex', 'openalex', 'pmid')
    where w.doi = :doi and w.abstract is null and w.abstract_source is not null
    order by i.source = 'openalex', i.identifier limit 1
"""
"""The identifier of the record whose abstract is not in a published copy."""
PEOPLE = """
    select coalesce(nullif(concat_name, ''), credited) as name, role, suffix from (
        select credited, trim(coalesce(given, '') || ' ' || coalesce(family, '')) as concat_name, role, suffix, position
        from work_authors where doi = :doi and role <> 'author')
    order by position
"""
PMID = """
    select identifier from identifiers where doi = :doi and kind = 'pmid' order by source = 'openalex', identifier limit 1
"""
CREDITED = """
    select w.doi, w.credited || coalesce(', ' || w.suffix, '') as name, w.family, w.given, w.suffix,
        coalesce(w.orcid, a.orcid) as orcid, a.kind, w.role
    from json_each(:dois) j cross join work_authors w on w.doi = j.value
    join authors a on a.author = w.author order by j.key, w.position
"""
ROWS = """
    select w.doi, w.title, w.container, w.short_container, w.issued, w.year, w.kind, w.volume, w.issue, w.pages,
        w.article_number, w.issn, w.isbn, w.publisher, w.publisher_place, w.institution, w.edition, w.language
    from json_each(:dois) j cross join works w on w.doi = j.value order by j.key
"""


LISTS = {
    "tags": TAGS,
    "reasons": REASONS,
    "notices": NOTICES,
    "sources": SOURCES,
    "cited_in": CITED_IN,
    "relations": RELATIONS,
    "same_study": SAME_STUDY,
    "identifiers": IDENTIFIERS,
    "provider_facts": PROVIDER_FACTS,
    "registered_studies": REGISTERED_STUDIES,
    "records": RECORDS,
    "aliases": ALIASES,
    "history": HISTORY,
    "decisions": DECISIONS,
    "funders": FUNDERS,
    "licences": LICENCES,
    "abstract_page": ABSTRACT_PAGE,
    "people": PEOPLE,
}


def read(conn: sqlite3.Connection, doi: Doi) -> dict[str, list[Row]]:
    """The rows of `LISTS` on a work, what providers were asked (`answers`, Crossref's in `crossref`: one row or none) and what
    single records state of notices (`statements`)."""
    crossref = read_queries.crossref_answer(conn, doi)
    return {name: list(dict_rows(conn, sql, {"doi": doi})) for name, sql in LISTS.items()} | {
        "answers": read_queries.provider_answers(conn, doi),
        "crossref": [crossref] if crossref else [],
        "statements": read_queries.notice_statements(conn, doi),
    }


def included_links(conn: sqlite3.Connection, doi: Doi) -> list[Row]:
    """The included works that a work which was left out belongs to: rows of `linked_to_included`."""
    return list(dict_rows(conn, INCLUDED_LINKS, {"doi": doi}))


def pmid(conn: sqlite3.Connection, doi: Doi) -> str | None:
    """The work's PubMed identifier, the surest where several are stated."""
    found = conn.execute(PMID, {"doi": doi}).fetchone()
    return str(found[0]) if found else None


def credited(conn: sqlite3.Connection, dois: Sequence[str]) -> dict[str, list[Row]]:
    """DOI → the authors and other contributors of these works, in order: `name` as credited, family, given, suffix, orcid, kind
    (person or group) and role. Works without any are left out."""
    found: dict[str, list[Row]] = {}
    for row in dict_rows(conn, CREDITED, {"dois": json.dumps(list(dois))}):
        found.setdefault(row["doi"], []).append(row)
    return found


def rows_of(conn: sqlite3.Connection, dois: Sequence[str]) -> list[Row]:
    """The rows of `works` of these DOIs, without their abstracts, in this order; those that are not here are left out."""
    return list(dict_rows(conn, ROWS, {"dois": json.dumps(list(dois))}))
