"""The net change of the included studies between two states of the review, each study counted once however often it changed.

A state is what `verdict_history` says after a run. `before + came - left` is `now`, and both are what the PRISMA flow counts as
included after these runs. It may not write.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from evidence.database.prisma_flow import SINCE_UPGRADE
from evidence.database.sql_helpers import TRUE_AFTER, dict_rows

Row = dict[str, Any]

_DIFFERENT = f"""
    with before as (select h.doi from verdict_history h where h.verdict = 'include' and {TRUE_AFTER.format("h", "since")}),
        now as (select h.doi from verdict_history h where h.verdict = 'include' and {TRUE_AFTER.format("h", "until")})
    select d.doi, d.came, h.verdict, h.why, h.same_as, w.title, w.authors, w.year, w.rowid as number,
        (select a.doi from aliases a where a.alias = d.doi and a.last_run is null) as moved_to
    from (
        select doi, 1 as came from now where doi not in (select doi from before)
        union all
        select doi, 0 from before where doi not in (select doi from now)
    ) d
    left join verdict_history h on h.doi = d.doi and (
        (d.came and {TRUE_AFTER.format("h", "since")}) or (not d.came and {TRUE_AFTER.format("h", "until")}))
    left join works w on w.doi = d.doi
    order by w.year desc, d.doi
"""  # noqa: S608 - our own conditions
"""The studies that are included in one of the two states: `verdict`, `why` and `same_as` are those of the other state, null
where it had no record of them."""

_COUNT = f"select count(*) from verdict_history h where h.verdict = 'include' and {TRUE_AFTER.format('h', 'run')}"  # noqa: S608

_CHAIN = 20
"""Records that one record may lead to, one after another; a ring would have no end."""


@dataclass(frozen=True, slots=True)
class NetChange:
    """`before` and `now` are how many studies are included in the two states. `came` and `left` are rows of the studies that are
    included in one of them only: `was` (None: it was not here) or `is_now`, the verdict in the other, and `reason`. `moved` are
    studies that are included in both, under another DOI or another record: (DOI before, DOI now). `recorded_from` is when
    verdicts began to be recorded, where the earlier state is of before that."""

    since: int
    until: int
    before: int
    now: int
    came: tuple[Row, ...]
    left: tuple[Row, ...]
    moved: tuple[tuple[str, str], ...]
    recorded_from: str | None = None

    @property
    def signed(self) -> str:
        """`+12, −1`."""
        return f"+{len(self.came):,}, −{len(self.left):,}"


def last_finished_run(conn: sqlite3.Connection) -> int:
    """The last run that ended: what it and all earlier ones say does not change any more. 0 before the first."""
    row: tuple[int] = conn.execute(
        "select coalesce(max(run), 0) from runs where outcome in ('complete', 'partial')"
    ).fetchone()
    return row[0]


def run_before_day(conn: sqlite3.Connection, day: str) -> int:
    """The last run that had started before this day (ISO, UTC): changes since the day are those of later runs."""
    row: tuple[int] = conn.execute("select coalesce(max(run), 0) from runs where started < ?", (day,)).fetchone()
    return row[0]


def net_change(conn: sqlite3.Connection, since: int, until: int) -> NetChange:
    """The included studies that came and that left between the states after the runs `since` and `until`."""
    states = {"since": since, "until": until}
    rows = list(dict_rows(conn, _DIFFERENT, states))
    came = {row["doi"]: row for row in rows if row["came"]}
    left = {row["doi"]: row for row in rows if not row["came"]}
    moved = []
    for doi, target in _targets(conn, left, until).items():
        if target in came:  # one study under another name: each name stands for one only
            moved.append((doi, target))
            del came[target], left[doi]
    return NetChange(
        since,
        until,
        _count(conn, since),
        _count(conn, until),
        tuple(_shown(row, "was") for row in came.values()),
        tuple(_shown(row, "is_now") for row in left.values()),
        tuple(moved),
        conn.execute(SINCE_UPGRADE, {"run": since}).fetchone()[0],
    )


def included_in(conn: sqlite3.Connection, run: int) -> list[str]:
    """The DOIs of the studies that were included after a run."""
    sql = f"select h.doi from verdict_history h where h.verdict = 'include' and {TRUE_AFTER.format('h', 'run')} order by h.doi"  # noqa: S608
    return [doi for (doi,) in conn.execute(sql, {"run": run})]


def row_numbers(conn: sqlite3.Connection, dois: Iterable[str]) -> list[int]:
    """The row numbers of these works, for sets of works."""
    sql = "select w.rowid from json_each(:dois) j cross join works w on w.doi = j.value"
    return [number for (number,) in conn.execute(sql, {"dois": json.dumps(sorted(dois))})]


def source_changes(conn: sqlite3.Connection, since: int, until: int) -> list[Row]:
    """Searches, reference lists and files that were added or are no longer used: label, kind, and `retired`."""
    sql = """
        select n.source, n.label, n.kind, n.retired from source_history n
        where n.first_run > :since and n.first_run <= :until and (n.last_run is null or n.last_run > :until)
            and n.retired is not coalesce((select b.retired from source_history b where b.source = n.source
                and b.first_run <= :since and coalesce(b.last_run > :since, 1)), 1)
        order by n.kind, n.source
    """
    return list(dict_rows(conn, sql, {"since": since, "until": until}))


def program_versions(conn: sqlite3.Connection, since: int, until: int) -> tuple[str | None, str | None]:
    """The version of the program that made the run `since`, and that of the run `until`."""
    found = dict(conn.execute("select run, version from runs where run in (?, ?)", (since, until)).fetchall())
    return found.get(since), found.get(until)


def sync_days(conn: sqlite3.Connection, since: int, until: int) -> list[str]:
    """The days on which records were asked for after the run `since`, oldest first (ISO)."""
    sql = """
        select distinct substr(started, 1, 10) from runs
        where run > ? and run <= ? and door not in ('judge', 'providers', 'import') order by 1
    """
    return [day for (day,) in conn.execute(sql, (since, until))]


def _targets(conn: sqlite3.Connection, left: dict[str, Row], until: int) -> dict[str, str]:
    """For each study that is no longer included under its DOI, the DOI that stands for it in the later state, if any does."""
    first = {doi: row["moved_to"] or row["same_as"] for doi, row in left.items()}
    found = {doi: target for doi, target in first.items() if target}
    sql = f"""
        select j.value, coalesce((select a.doi from aliases a where a.alias = j.value and a.last_run is null), h.same_as)
        from json_each(:dois) j left join verdict_history h on h.doi = j.value and {TRUE_AFTER.format("h", "until")}
    """  # noqa: S608
    for _ in range(_CHAIN):
        wanted = json.dumps(sorted(set(found.values())))
        onwards = {a: b for a, b in conn.execute(sql, {"dois": wanted, "until": until}) if b}
        if not any(target in onwards for target in found.values()):
            break
        found = {doi: onwards.get(target, target) for doi, target in found.items()}
    return found


def _count(conn: sqlite3.Connection, run: int) -> int:
    row: tuple[int] = conn.execute(_COUNT, {"run": run}).fetchone()
    return row[0]


def _shown(row: Row, name: str) -> Row:
    reason = row["same_as"] or row["moved_to"] if row["verdict"] in ("duplicate", "alias") else row["why"]
    return {
        "doi": row["doi"],
        "title": row["title"],
        "authors": row["authors"],
        "year": row["year"],
        "number": row["number"],
        name: row["verdict"],
        "reason": reason,
    }
