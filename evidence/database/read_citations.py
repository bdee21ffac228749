"""Reading a reference list with the works that it cites, their notices, and who was asked about retractions of them.

For the fact-check, on the site and on the command line. Every function takes an open connection and asks about the whole list
at once; only works that have a notice are asked about one by one. It never writes, and judges nothing.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from evidence.database import read_queries
from evidence.database.select_works import asked_days
from evidence.database.sql_helpers import Row, dict_rows

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
