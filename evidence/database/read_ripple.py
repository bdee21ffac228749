"""Reading what a work touches: who cites it, where it was printed, exported and decided on, and what was announced of it.

A work is all its records and all DOIs that lead to them: a list that names its preprint's copy, or a DOI that it has left, cites
it too. It never writes, and counts no cell of the map (`publish/ripple.py` does).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from evidence.data_model import Doi
from evidence.database import read_queries, read_work_page
from evidence.database.sql_helpers import Row, dict_rows

_RECORDS = "select doi from works where doi = :doi or same_as = :doi"
_ALIASES = """
    select a.alias from json_each(:dois) j cross join aliases a on a.doi = j.value where a.last_run is null
"""
_WORK = """
    select rowid as number, doi, title, authors, container, year, verdict, notice, gone from works where doi = :doi
"""
_CITING = """
    select distinct coalesce(w.same_as, w.doi) as doi
    from json_each(:dois) j cross join cites c on c.cited = j.value cross join works w on w.doi = c.doi
"""
_WORKS = """
    select w.rowid as number, w.doi, w.title, w.authors, w.container, w.year, w.verdict, w.notice
    from json_each(:dois) j cross join works w on w.doi = j.value order by w.year desc, w.doi
"""
_RELATED = """
    select distinct coalesce(w.same_as, w.doi) as doi from (
        select other as doi from json_each(:dois) j cross join relations r on r.doi = j.value
            where r.kind in ('is-preprint-of', 'has-preprint')
        union select r.doi from json_each(:dois) j cross join relations r on r.other = j.value
            where r.kind in ('is-preprint-of', 'has-preprint')
    ) o left join aliases a on a.alias = o.doi and a.last_run is null join works w on w.doi = coalesce(a.doi, o.doi)
"""
_PRINTED = """
    select c.source, o.label, c.position, c.text from json_each(:dois) j cross join citations c on c.doi = j.value
    join sources o on o.source = c.source
    where c.retired is null and o.retired is null order by o.first_run, c.source, c.position
"""
_NOTICES = """
    select kind, notice_doi, notice_id, issued, source, evidence, stands_on, relation, undone from notices where doi = :doi
    order by undone, issued, kind, notice_doi
"""
_ANNOUNCED = """
    select c.run, substr(r.started, 1, 10) as day, c.doi, c.what, c.before, c.after
    from json_each(:dois) j cross join changes c on c.doi = j.value join runs r on r.run = c.run
    where c.what in ('notice', 'notice-ended') order by c.change
"""
_EXPORTS = """
    select e.export, e.made_at, e.kind, e.name, e.format, e.filters, e.works, e.run, e.unfinished,
        exists (select 1 from json_each(:dois) j cross join exported_works x on x.doi = j.value and x.list = e.list
            where x.first_export <= e.export and (x.last_export is null or x.last_export > e.export)) as held
    from exports e where e.kind = 'publish' or :all order by e.export desc
"""
_KNOWN = """
    select distinct h.kind, h.notice_doi, h.first_run, h.last_run, h.undone
    from json_each(:dois) j cross join notice_history h on h.doi = j.value where h.relation <> 'preprint'
"""
_RECORDED_SINCE = """
    select substr(applied_at, 1, 10), exists (select 1 from runs where started < replace(applied_at, ' ', 'T'))
    from _sqlite_migrations where name = 'm017_exports'
"""
_WITHOUT_LIST = """
    select rowid as number from works w where verdict = 'include' and not exists (select 1 from cites c where c.doi = w.doi)
"""


def names(conn: sqlite3.Connection, doi: Doi) -> tuple[Doi, tuple[Doi, ...]]:
    """The DOI that a work is kept under (`doi` itself where it is no work here), and every DOI that names the work, this one
    first."""
    here = read_queries.canonical_doi(conn, doi)
    row = conn.execute("select coalesce(same_as, doi) from works where doi = ?", (here,)).fetchone()
    head = Doi(row[0]) if row else here
    records = [Doi(found) for (found,) in map(tuple, conn.execute(_RECORDS, {"doi": head}))] or [head]
    aliases = [Doi(found) for (found,) in map(tuple, conn.execute(_ALIASES, _listed(records)))]
    return head, tuple(dict.fromkeys((head, *sorted({*records, *aliases}))))


def work(conn: sqlite3.Connection, doi: Doi) -> Row | None:
    """What is shown of a work, with its rowid as `number` and its verdict; None when it is not here."""
    return next(dict_rows(conn, _WORK, {"doi": doi}), None)


def citing(conn: sqlite3.Connection, dois: Sequence[Doi]) -> list[Row]:
    """The works whose deposited reference list names one of these DOIs, of several records of a work the one that represents it;
    the work itself is left out. The newest first."""
    found = [doi for (doi,) in map(tuple, conn.execute(_CITING, _listed(dois))) if doi not in dois]
    return list(dict_rows(conn, _WORKS, _listed(found)))


def related(conn: sqlite3.Connection, dois: Sequence[Doi]) -> list[Row]:
    """The preprints of a work and the articles of which it is a preprint, as far as they are here and are works of their own."""
    found = [doi for (doi,) in map(tuple, conn.execute(_RELATED, _listed(dois))) if doi not in dois]
    return list(dict_rows(conn, _WORKS, _listed(found)))


def printed(conn: sqlite3.Connection, dois: Sequence[Doi]) -> list[Row]:
    """The lines of reference lists that were resolved to a work: source, label, position and text."""
    return list(dict_rows(conn, _PRINTED, _listed(dois)))


def notices(conn: sqlite3.Connection, doi: Doi) -> list[Row]:
    """The notices that a work shows, with `stated_by` left to `provider_wording`."""
    return list(dict_rows(conn, _NOTICES, {"doi": doi}))


def announced(conn: sqlite3.Connection, dois: Sequence[Doi]) -> list[Row]:
    """The notices on a work that were announced, and those that were withdrawn again: day, run, doi, what, before, after."""
    return list(dict_rows(conn, _ANNOUNCED, _listed(dois)))


def decisions(conn: sqlite3.Connection, doi: Doi) -> list[Row]:
    """The decisions that people made on a work, under any of its DOIs, the latest first."""
    return list(dict_rows(conn, read_work_page.DECISIONS, {"doi": doi}))


def exports(conn: sqlite3.Connection, dois: Sequence[Doi], *, published_only: bool) -> list[Row]:
    """The recorded exports and published copies, the latest first: a row of `exports` each, with `held` (whether the work was in
    it) and `knew` (the kinds of notices on the work that were known then; None where the run that brought or ended one had not
    ended). With `published_only`, published copies alone."""
    rows = list(dict_rows(conn, _EXPORTS, {**_listed(dois), "all": not published_only}))
    history = list(dict_rows(conn, _KNOWN, _listed(dois))) if rows else []
    for row in rows:
        row["held"], row["filters"] = bool(row["held"]), json.loads(row["filters"] or "{}")
        row["knew"] = _known_then(history, row["run"] or 0, row["unfinished"])
    return rows


def recorded_since(conn: sqlite3.Connection) -> tuple[str | None, bool]:
    """The day (ISO) since which exports are recorded, and whether there were syncs before, of which exports are not known."""
    row = conn.execute(_RECORDED_SINCE).fetchone()
    return (row[0], bool(row[1])) if row else (None, True)


def without_list(conn: sqlite3.Connection) -> list[int]:
    """The rowids of the included works with no deposited reference list, or with none that names a DOI: whom they cite is not
    known."""
    return [number for (number,) in map(tuple, conn.execute(_WITHOUT_LIST))]


def _known_then(history: Sequence[Row], run: int, unfinished: int | None) -> list[str] | None:
    if unfinished is not None and any(unfinished in (row["first_run"], row["last_run"]) for row in history):
        return None
    return sorted(
        {
            row["kind"]
            for row in history
            if row["first_run"] <= run and (row["last_run"] is None or row["last_run"] > run) and not row["undone"]
        }
    )


def _listed(dois: Sequence[str]) -> dict[str, str]:
    return {"dois": json.dumps(list(dois))}
