"""Writing history: the verdict of each record and the kind of each source, from which run on.

Called by `writer` inside its transactions; nothing here begins or ends one. `write_notices` keeps the history of notices.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from evidence.database.prisma_flow import REASON_GIVEN

_COLUMNS = "verdict, decided, why, same_as, conflict"

_CURRENT = f"""
    with now as (
        select doi, verdict, decided, case when verdict <> 'exclude' then null when decided = 'rule' then why
            else ({REASON_GIVEN.format(doi="works.doi")}) end as why, same_as, conflict is not null as conflict
        from works where doi in (select value from json_each(:dois))
        union all
        select s.doi, 'not-understood', 'rule', null, null, 0
        from snapshots s where s.last_run is null and s.doi in (select value from json_each(:dois))
            and not exists (select 1 from works w where w.doi = s.doi)
        union all
        select a.alias, 'alias', 'rule', null, null, 0
        from aliases a where a.last_run is null and a.alias in (select value from json_each(:dois))
            and exists (select 1 from snapshots s where s.doi = a.alias)
            and not exists (select 1 from works w where w.doi = a.alias)
    )
"""  # noqa: S608 - our own text


# The plus sign keeps SQLite on the primary key: one run has more rows than a few works have.
_NOTE_VERDICTS = (
    "delete from verdict_history where +first_run = :run and doi in (select value from json_each(:dois))",
    "update verdict_history set last_run = null where +last_run = :run and doi in (select value from json_each(:dois))",
    f"""
    {_CURRENT} update verdict_history set last_run = :run
    where +last_run is null and doi in (select value from json_each(:dois)) and not exists (
        select 1 from now s where s.doi = verdict_history.doi
            and (s.verdict, s.decided, s.why, s.same_as, s.conflict) is
                (verdict_history.verdict, verdict_history.decided, verdict_history.why, verdict_history.same_as,
                verdict_history.conflict))
    """,  # noqa: S608 - our own column names, here and below
    f"""
    {_CURRENT} insert into verdict_history (doi, {_COLUMNS}, first_run)
    select doi, {_COLUMNS}, :run from now s
    where not exists (select 1 from verdict_history h where h.doi = s.doi and +h.last_run is null)
    """,  # noqa: S608
)
"""Forget what this same run noted earlier, close what is no longer so, and add what is new."""

_NOTE_SOURCES = (
    "delete from source_history where first_run = :run",
    "update source_history set last_run = null where last_run = :run",
    """
    update source_history set last_run = :run where last_run is null and not exists (
        select 1 from sources o where o.source = source_history.source and (o.kind, o.label, o.method, o.retired is not null) is
            (source_history.kind, source_history.label, source_history.method, source_history.retired))
    """,
    """
    insert into source_history (source, first_run, kind, label, method, retired)
    select source, :run, kind, label, method, retired is not null from sources o
    where not exists (select 1 from source_history h where h.source = o.source and h.last_run is null)
    """,
)
"""As `_NOTE_VERDICTS`, for all sources: they are few."""


def note_verdicts(conn: sqlite3.Connection, run: int, dois: Sequence[str]) -> None:
    """Note in `verdict_history` the verdicts of these records, where they are not those last noted. Called in the transaction
    that may have changed them. A run notes at most one verdict of a work, its last."""
    values = {"run": run, "dois": json.dumps(dois)}
    for sql in _NOTE_VERDICTS:
        conn.execute(sql, values)


def note_sources(conn: sqlite3.Connection, run: int) -> None:
    """Note in `source_history` what the sources are now, where that is not what was last noted; of a run, its last."""
    for sql in _NOTE_SOURCES:
        conn.execute(sql, {"run": run})
