"""Writing changes: what changed of each work since it was last announced.

`changes_since_last_run` decides what counts as a change; here its input is read and its result written. Called by `writer`
inside its transactions; nothing here begins or ends one.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from evidence.data_model import Doi
from evidence.database import changes_since_last_run
from evidence.database.sql_helpers import chunks, rows_for

_DIFFERS = """
    select coalesce(head.same_as, l.doi, u.doi), u.doi
    from unannounced u left join works w on w.doi = u.doi left join announced a on a.doi = u.doi
        left join aliases l on l.alias = u.doi and l.last_run is null
        left join works head on head.doi = coalesce(l.doi, u.doi)
    where w.doi is null or a.doi is null
        or (coalesce(w.content, a.content), w.verdict, w.same_as, w.gone, iif(w.verdict <> 'duplicate', w.conflict, null),
            w.abstract_source) is not (a.content, a.verdict, a.same_as, a.gone, a.conflict, a.abstract_source)
        or a.tags <> (select json_group_array(tag) from (
            select facet || ':' || value as tag from shown_tags t where t.doi = u.doi order by 1))
        or a.notices <> iif(w.verdict in ('include', 'unsure'), (
            select json_group_array(json_array(kind, notice_doi, stands_on, relation)) from (
                select * from notices n where n.doi = u.doi and n.undone = 0 order by kind, notice_doi)), '[]')
    order by 1, 2
"""
"""Of the works that were written, those that differ from what was announced: most that are judged again do not. One too many
costs only time, because `changes_since_last_run` compares them once more. Before each DOI stands the one under which all records
and aliases of its work are kept."""

PART = 2_000
"""About how many works are compared at once: a first run has hundreds of thousands."""

_ANNOUNCE = """
    insert into announced (doi, verdict, content, same_as, notices, gone, conflict, tags, abstract_source)
    values (?, ?, ?, ?, ?, ?, ?, ?, ?)
    on conflict (doi) do update set verdict = excluded.verdict, content = coalesce(excluded.content, content),
        same_as = excluded.same_as, notices = excluded.notices, gone = excluded.gone, conflict = excluded.conflict,
        tags = excluded.tags, abstract_source = excluded.abstract_source
    where (verdict, content, same_as, notices, gone, conflict, tags, abstract_source) is not (excluded.verdict,
        excluded.content, excluded.same_as, excluded.notices, excluded.gone, excluded.conflict, excluded.tags,
        excluded.abstract_source)
"""


def unannounced(conn: sqlite3.Connection) -> set[Doi]:
    """The works of which something may have changed since the last announcement."""
    return {doi for (doi,) in conn.execute("select doi from unannounced")}


def any_unannounced(conn: sqlite3.Connection) -> bool:
    """Whether there is any such work."""
    return conn.execute("select 1 from unannounced limit 1").fetchone() is not None


def announce_contents(conn: sqlite3.Connection) -> None:
    """After an upgrade: what was announced before contents were known is taken to have had today's content."""
    conn.execute(
        """
        update announced set content = w.content from works w
        where w.doi = announced.doi and announced.content is null and w.content is not null
        """
    )


def announce(conn: sqlite3.Connection, run: int, apart: Collection[str]) -> dict[str, int]:
    """Write what changed since the last announcement as changes of this run, but for the works `apart`; returns how many
    changes there are of each kind."""
    counts: Counter[str] = Counter()
    for dois in _parts(conn, frozenset(apart)):
        counts.update(change.what for change in _announce_part(conn, run, dois))
    conn.execute(
        "delete from unannounced where doi not in (select value from json_each(?))", (json.dumps(sorted(apart)),)
    )
    return changes_since_last_run.in_order(counts)


def _parts(conn: sqlite3.Connection, apart: Collection[str]) -> Iterator[list[str]]:
    """The DOIs of works that differ, in parts. All of one work are in one part, because what is announced of one record depends
    on what was announced of the others."""
    part: list[str] = []
    rows = (row for row in conn.execute(_DIFFERS) if row[1] not in apart)
    for _, work in groupby(rows, itemgetter(0)):
        if len(part) >= PART:
            yield part
            part = []
        part += (doi for _, doi in work)
    if part:
        yield part


def _announce_part(conn: sqlite3.Connection, run: int, dois: Sequence[str]) -> list[changes_since_last_run.Change]:
    """Write what changed of these works; returns the changes."""
    now = _current_states(conn, dois)
    targets = rows_for(conn, "select alias, doi from {j} join aliases on alias = j.value where last_run is null", dois)
    leading = rows_for(
        conn, "select a.alias, a.doi from {j} join aliases a on a.doi = j.value where a.last_run is null", dois
    )
    records = [doi for (doi,) in rows_for(conn, "select w.doi from {j} join works w on w.same_as = j.value", dois)]
    before = _announced_states(conn, {*dois, *records, *(alias for alias, _ in leading)})
    named = {state.same_as for state in before.values() if state.same_as}
    named |= {notice.notice_doi for state in before.values() for notice in state.notices}
    aliases = dict(targets) | dict(leading)
    aliases |= dict(
        rows_for(
            conn, "select alias, doi from {j} join aliases on alias = j.value where last_run is null", sorted(named)
        )
    )
    verdicts = dict(
        rows_for(conn, "select doi, verdict from {j} join works on doi = j.value", sorted({doi for _, doi in targets}))
    )
    found = changes_since_last_run.find_changes(before, now, aliases, verdicts)
    conn.executemany(
        "insert into changes (run, doi, what, before, after, verdict) values (?, ?, ?, ?, ?, ?)",
        [(run, c.doi, c.what, c.before, c.after, c.verdict) for c in found],
    )
    conn.executemany("delete from announced where doi = ?", [(d,) for d in dois if now[d] is None])
    conn.executemany(_ANNOUNCE, [_announced_row(doi, state.shown) for doi, state in now.items() if state is not None])
    return found


def announce_all(conn: sqlite3.Connection) -> None:
    """What all works are now counts as announced, in no run: for a database that was taken back to a version."""
    conn.execute("delete from announced")
    for part in chunks([doi for (doi,) in conn.execute("select doi from works order by doi")]):
        states = _current_states(conn, part)
        conn.executemany(_ANNOUNCE, [_announced_row(doi, state.shown) for doi, state in states.items() if state])
    conn.execute("delete from unannounced")


def _current_states(
    conn: sqlite3.Connection, dois: Sequence[str]
) -> dict[str, changes_since_last_run.WorkState | None]:
    """The state of these records; None for one that is not a work any more."""
    found: dict[str, changes_since_last_run.WorkState | None] = dict.fromkeys(dois)
    notices: dict[str, list[changes_since_last_run.WorkNotice]] = {}
    for doi, *notice in rows_for(
        conn,
        "select doi, kind, notice_doi, stands_on, relation from {j} join notices on doi = j.value where undone = 0",
        dois,
    ):
        notices.setdefault(doi, []).append(changes_since_last_run.WorkNotice(*notice))
    tags: dict[str, list[str]] = {}
    for doi, tag in rows_for(
        conn, "select t.doi, t.facet || ':' || t.value from {j} join shown_tags t on t.doi = j.value", dois
    ):
        tags.setdefault(doi, []).append(tag)
    for doi, verdict, content, same_as, gone, conflict, abstract_source in rows_for(
        conn,
        "select doi, verdict, content, same_as, gone, conflict, abstract_source from {j} join works on doi = j.value",
        dois,
    ):
        found[doi] = changes_since_last_run.WorkState(
            verdict,
            content,
            same_as,
            tuple(sorted(notices.get(doi, ()))),
            gone,
            conflict,
            tuple(sorted(tags.get(doi, ()))),
            abstract_source,
        )
    return found


def _announced_states(conn: sqlite3.Connection, dois: Iterable[str]) -> dict[str, changes_since_last_run.WorkState]:
    """What was last announced of these records; those that never were are left out."""
    return {
        doi: changes_since_last_run.WorkState(
            verdict,
            content,
            same_as,
            tuple(sorted(changes_since_last_run.WorkNotice(*notice) for notice in json.loads(notices))),
            gone,
            conflict,
            tuple(sorted(json.loads(tags))),
            abstract_source,
        )
        for doi, verdict, content, same_as, notices, gone, conflict, tags, abstract_source in rows_for(
            conn,
            "select doi, verdict, content, same_as, notices, gone, conflict, tags, abstract_source"
            " from {j} join announced on doi = j.value",
            sorted(dois),
        )
    }


def _announced_row(doi: str, state: changes_since_last_run.WorkState) -> tuple[Any, ...]:
    return (
        doi,
        state.verdict,
        state.content,
        state.same_as,
        _as_json(state.notices),
        state.gone,
        state.conflict,
        _as_json(state.tags),
        state.abstract_source,
    )


def _as_json(values: Sequence[object]) -> str:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")) if values else "[]"
