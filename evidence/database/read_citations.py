"""Reading a reference list with the works that it cites, their notices, and who was asked about retractions of them.

For the fact-check, on the site and on the command line, and for comparing citations anew. Every function takes an open connection
and asks about the whole list at once; only works that have a notice are asked about one by one. It never writes, and judges
nothing.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from evidence.data_model import Author, Doi, Work
from evidence.database import read_queries
from evidence.database.select_works import asked_days
from evidence.database.sql_helpers import Row, dict_rows, rows_for
from evidence.linkage.retraction_notices import ShownNotice

_CITATIONS = """
    select c.position, c.text, c.stated_doi, c.doi, c.status, c.problem, c.score,
        w.doi as known, w.title, w.authors, w.container, w.year, w.verdict, w.why, w.notice, w.abstract_source,
        r.rowid as number, r.doi as record, r.year as record_year, r.verdict as record_verdict, r.judged_on,
        exists (select 1 from tags t where t.doi = r.doi and t.decided = 'person') as read_by_person,
        (select group_concat(coalesce(f.label, t.value), ', ') from shown_tags t left join facets f on f.facet = t.facet
            and f.value = t.value where t.doi = r.doi and +t.facet = :design) as design,
        (select group_concat(coalesce(f.label, t.value), ', ') from shown_tags t left join facets f on f.facet = t.facet
            and f.value = t.value where t.doi = r.doi and +t.facet = :intervention) as intervention
    from citations c left join aliases a on a.alias = c.doi and a.last_run is null
    left join works w on w.doi = coalesce(a.doi, c.doi)
    left join works r on r.doi = coalesce(w.same_as, w.doi)
    where c.source = :source and c.retired is null order by c.position
"""
"""`+t.facet`: SQLite would else go through all tags of the facet for each citation, and not through those of the work."""
_NOTICES = """
    select n.doi, n.kind, n.notice_doi, n.notice_id, n.issued, n.source, n.evidence, n.stands_on, n.relation, n.undone,
        w.doi as known
    from json_each(:dois) j cross join notices n on n.doi = j.value left join works w on w.doi = n.stands_on
    order by n.doi, n.undone, n.issued, n.kind, n.notice_doi
"""
_ASKED = """
    select provider, count(*) as works, min(substr(asked_at, 1, 10)) as day
    from provider_answers where subject in (select value from json_each(:dois)) and asked_at is not null
        and (found = 1 or provider = 'retraction-watch')
    group by provider
"""
_CITED = """
    select distinct c.doi, coalesce(a.doi, c.doi) from citations c
    left join aliases a on a.alias = c.doi and a.last_run is null
    where c.source = :source and c.doi is not null and c.retired is null
"""
_CITED_AUTHORS = """
    select doi, family, given, suffix, case when family is null and given is null then credited end, role
    from {j} join work_authors w on w.doi = j.value order by doi, position
"""
_CITED_WORKS = """
    select doi, title, container, issued, year, kind, volume, issue, pages, published_print, published_online
    from {j} join works w on w.doi = j.value
"""
_AT_DATACITE = """
    select distinct d.doi, d.title, d.container, d.published from citations c
    join datacite_works d on d.doi = lower(c.stated_doi)
    where c.source = :source and c.retired is null and c.status = 'not-in-crossref'
"""
_DOIS = "select w.rowid, w.doi from json_each(:numbers) j cross join works w on w.rowid = j.value"
_WORKS = """
    select w.rowid as number, w.doi, w.title, w.authors, w.container, w.year, w.notice
    from json_each(:numbers) j cross join works w on w.rowid = j.value
"""


def citations(conn: sqlite3.Connection, source: str, *, design: str = "", intervention: str = "") -> list[Row]:
    """The lines of a reference list in order, each with the work it cites (`known` is its DOI; None where there is none) and with
    the record that stands for that work (`record`, `number` its rowid, `record_…`), whose tags count. `design` and
    `intervention` are facets: the labels of the record's tags."""
    return list(dict_rows(conn, _CITATIONS, {"source": source, "design": design, "intervention": intervention}))


def notices(conn: sqlite3.Connection, dois: Sequence[str]) -> list[Row]:
    """The notices of these works, each with `statements` (what single records state of it) and `answers` (who was asked about the
    work), as `provider_wording.notice_witnesses` takes them."""
    rows = list(dict_rows(conn, _NOTICES, {"dois": json.dumps(list(dois))}))
    for doi in {row["doi"] for row in rows}:
        statements = read_queries.notice_statements(conn, doi)
        crossref = read_queries.crossref_answer(conn, doi)
        answers = [*filter(None, [crossref]), *read_queries.provider_answers(conn, doi)]
        for row in rows:
            if row["doi"] == doi:
                row |= {"statements": statements, "answers": answers}
    return rows


def asked_about(conn: sqlite3.Connection, dois: Sequence[str]) -> dict[str, tuple[int, str]]:
    """Provider → about how many of these works it was asked and could tell, and the day (ISO) of the oldest answer. A provider
    without a record of a work cannot tell, but for the file of Retraction Watch, which lists all that it knows."""
    found = {
        row["provider"]: (row["works"], row["day"]) for row in dict_rows(conn, _ASKED, {"dois": json.dumps(list(dois))})
    }
    days = [day for asked in asked_days(conn, dois).values() if (day := asked["asked_crossref"])]
    return found | ({"crossref": (len(days), min(days))} if days else {})


def dois_by_number(conn: sqlite3.Connection, numbers: Sequence[int]) -> dict[int, str]:
    """Rowid → DOI of these works."""
    return dict(map(tuple, conn.execute(_DOIS, {"numbers": json.dumps(list(numbers))})))


def works_by_number(conn: sqlite3.Connection, numbers: Sequence[int]) -> dict[int, Row]:
    """Rowid → what is shown of these works."""
    return {row["number"]: row for row in dict_rows(conn, _WORKS, {"numbers": json.dumps(list(numbers))})}


def cited_works(conn: sqlite3.Connection, source: str) -> dict[Doi, Work]:
    """DOI of a citation in this list → its work, with the fields that a citation is compared with. From the tables and not from
    the record, which a published copy does not have. A DOI that became an alias has the work it leads to."""
    cited = dict(map(tuple, conn.execute(_CITED, {"source": source})))
    wanted = list(dict.fromkeys(cited.values()))
    authors: dict[str, list[Author]] = {}
    for doi, family, given, suffix, name, role in rows_for(conn, _CITED_AUTHORS, wanted):
        authors.setdefault(doi, []).append(Author(family, given, suffix, name, role=role))
    works = {
        row[0]: Work(
            Doi(row[0]),
            title=row[1],
            container=row[2],
            issued=row[3],
            year=row[4],
            kind=row[5],
            volume=row[6],
            issue=row[7],
            pages=row[8],
            published_print=row[9],
            published_online=row[10],
            authors=tuple(authors.get(row[0], ())),
        )
        for row in rows_for(conn, _CITED_WORKS, wanted)
    }
    return {Doi(doi): works[under] for doi, under in cited.items() if under in works}


def works_at_datacite(conn: sqlite3.Connection, source: str) -> dict[Doi, Work]:
    """DOI stated in this list → what DataCite says about it, of those that it was asked about. Authors are not kept."""
    return {
        Doi(doi): Work(
            Doi(doi), title=title, container=container, issued=issued, year=int(issued[:4]) if issued else None
        )
        for doi, title, container, issued in conn.execute(_AT_DATACITE, {"source": source})
    }


def notices_by_work(conn: sqlite3.Connection, dois: Sequence[str]) -> dict[str, list[ShownNotice]]:
    """DOI → the notices that the work shows, of these works."""
    found: dict[str, list[ShownNotice]] = {}
    for row in dict_rows(conn, _NOTICES, {"dois": json.dumps(list(dois))}):
        notice = ShownNotice(
            row["doi"], row["kind"], row["notice_doi"], row["stands_on"], row["relation"], row["issued"], row["source"],
            row["evidence"], bool(row["undone"]), row["notice_id"],
        )  # fmt: skip
        found.setdefault(row["doi"], []).append(notice)
    return found


def follows_a_deposited_list(conn: sqlite3.Connection, source: str) -> bool:
    """Whether a list is the one that a publisher deposited for a work."""
    row = conn.execute("select json_extract(spec, '$.of') from sources where source = ?", (source,)).fetchone()
    return row is not None and row[0] is not None
