"""Writing notices: which retractions, corrections and other notices each work shows, derived from what records state.

`linkage/retraction_notices.py` decides; here its input is read and its result written. Called by `writer` inside its
transactions; nothing here begins or ends one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Sequence
from dataclasses import astuple
from typing import Any

from evidence.data_model import Doi
from evidence.database.sql_helpers import rows_for
from evidence.database.work_rows import notice_text
from evidence.linkage import retraction_notices
from evidence.linkage.retraction_notices import PREPRINT

_NOTICE_COLUMNS = "doi, kind, notice_doi, stands_on, relation, issued, source, evidence, undone, notice_id"

_CONNECTED = f"""
    select a.doi from {{j}} join aliases a on a.alias = j.value where a.last_run is null
    union select a.alias from {{j}} join aliases a on a.doi = j.value where a.last_run is null
    union select w.same_as from {{j}} join works w on w.doi = j.value where w.same_as is not null
    union select w.doi from {{j}} join works w on w.same_as = j.value
    union select u.doi from {{j}} join updates u on u.said_by = j.value
    union select u.notice_doi from {{j}} join updates u on u.said_by = j.value
    union select u.said_by from {{j}} join updates u on u.doi = j.value
    union select u.said_by from {{j}} join updates u on u.notice_doi = j.value
    union select r.other from {{j}} join relations r on r.doi = j.value where r.kind in {PREPRINT}
    union select r.doi from {{j}} join relations r on r.other = j.value where r.kind in {PREPRINT}
"""  # noqa: S608 - our own constants


def update_notices(conn: sqlite3.Connection, run: int, touched: Iterable[str]) -> None:
    """Bring the notices of these works, and of all works connected with them, to what the records say now.

    Call it inside the transaction that changed records, aliases, relations or clusters, with the DOIs connected before the
    change (`connected_dois`) and after it. The result does not depend on the order in which records came.
    """
    dois = connected_dois(conn, touched)
    known = _known_of(conn, dois)
    found = retraction_notices.notices_of_works(known) if known.statements else {}
    held: dict[str, set[tuple[Any, ...]]] = {}
    for row in rows_for(conn, "select n.* from {j} join notices n on n.doi = j.value", dois):
        held.setdefault(row[0], set()).add(row)
    gravest: list[tuple[Any, ...]] = []
    for doi in found.keys() | held.keys():
        rows = found.get(doi, [])
        wanted = {(*astuple(row)[:-2], int(row.undone), row.notice_id) for row in rows}
        if wanted != held.get(doi, set()):
            conn.execute("delete from notices where doi = ?", (doi,))
            conn.executemany(
                f"insert into notices ({_NOTICE_COLUMNS}) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
                sorted(wanted, key=repr),
            )
            note_notices(conn, run, doi, wanted)
        gravest.append((kind := retraction_notices.gravest_kind(rows), run, doi, kind))
    conn.executemany("update works set notice = ?, changed_run = ? where doi = ? and notice is not ?", gravest)
    # Another record may show that a record is a notice, or is none: it was judged as something else, and is judged again.
    corrected = [(text := notice_text(of), doi, text) for doi, of in retraction_notices.notice_targets(known).items()]
    conn.executemany("update works set notice_of = ?, basis = '' where doi = ? and notice_of is not ?", corrected)


def notice_targets(conn: sqlite3.Connection, dois: Sequence[Doi]) -> dict[Doi, tuple[tuple[str, Doi], ...]]:
    """Of the records that state an update of another work: what they are notices of, judged by all records in the database
    (empty for a study). Records that state no update are left out: they are judged by themselves."""
    stating = [
        doi
        for (doi,) in rows_for(conn, "select distinct said_by from {j} join updates on said_by = j.value"
                                 " where evidence = 'update-to' and doi <> said_by", dois)
    ]  # fmt: skip
    if not stating:
        return {}
    found = retraction_notices.notice_targets(_known_of(conn, connected_dois(conn, stating)))
    return {doi: tuple((kind, Doi(other)) for kind, other in found.get(doi, ())) for doi in stating}


def connected_dois(conn: sqlite3.Connection, dois: Iterable[str]) -> list[str]:
    """These DOIs and all that notices can reach from them: by alias, cluster, stated update, or as preprint and article."""
    found: set[str] = set()
    new = set(dois)
    while new:
        found |= new
        new = {doi for (doi,) in rows_for(conn, _CONNECTED, sorted(new))} - found
    return sorted(found)


def note_notices(conn: sqlite3.Connection, run: int, doi: str, wanted: Collection[tuple[Any, ...]]) -> None:
    """Note in `notice_history` which notices this work shows now; of a run, what it showed at its end."""
    conn.execute("delete from notice_history where doi = ? and first_run = ?", (doi, run))
    conn.execute("update notice_history set last_run = null where doi = ? and last_run = ?", (doi, run))
    sql = f"select {_NOTICE_COLUMNS} from notice_history where doi = ? and last_run is null"  # noqa: S608
    noted = set(conn.execute(sql, (doi,)))
    conn.executemany(
        "update notice_history set last_run = ? where (doi, kind, notice_doi) = (?, ?, ?) and last_run is null",
        [(run, *row[:3]) for row in noted - set(wanted)],
    )
    conn.executemany(
        f"insert into notice_history ({_NOTICE_COLUMNS}, first_run) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
        [(*row, run) for row in sorted(set(wanted) - noted, key=repr)],
    )


def _known_of(conn: sqlite3.Connection, dois: Sequence[str]) -> retraction_notices.RecordGroup:
    """What the database knows of these DOIs, which are all that are connected."""
    said, silent = [], set()
    for *row, present in rows_for(
        conn,
        """
        select u.said_by, u.doi, u.kind, u.notice_doi, u.issued, u.source, u.evidence, u.notice_id,
            exists (select 1 from snapshots s where s.doi = u.said_by and s.last_run is null)
                and not exists (select 1 from absences a where a.doi = u.said_by and a.last_run is null)
        from {j} join updates u on u.said_by = j.value
        """,
        dois,
    ):
        said.append(retraction_notices.Statement(*row))
        if not present:
            silent.add(row[0])
    if not said:
        return retraction_notices.RecordGroup({}, (), {}, ())
    works = {}
    for doi, title, kind, issued, same_as, notice_of in rows_for(
        conn, "select doi, title, kind, issued, same_as, notice_of from {j} join works on doi = j.value", dois
    ):
        what, _, about = (notice_of or "").partition(":")
        works[doi] = retraction_notices.Facts(
            doi, title, kind, issued, same_as, ((what, about or None),) if what else ()
        )
    aliases = dict(
        rows_for(conn, "select alias, doi from {j} join aliases on alias = j.value where last_run is null", dois)
    )
    preprints = {
        (doi, other) if kind == PREPRINT[0] else (other, doi)
        for doi, kind, other in rows_for(
            conn,
            f"select doi, kind, other from {{j}} join relations on doi = j.value where kind in {PREPRINT}",  # noqa: S608
            dois,
        )
    }
    return retraction_notices.RecordGroup(works, said, aliases, preprints, silent)
