"""Writing what rules and clusters made of the works: tags of edited rules, the taxonomy, pairs and duplicates.

Called by `writer` inside its transactions; nothing here begins or ends one.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence

from evidence.data_model import Doi
from evidence.database import write_history, write_notices
from evidence.database.values_for_writer import TagUpdate


def set_duplicates(
    conn: sqlite3.Connection, run: int, pairs: Iterable[tuple[str, str, str, str, str]], same_as: Mapping[str, str]
) -> int:
    """Replace all pairs and clusters: pairs are (doi, other, verdict, decided, reason) with doi < other, `same_as` leads from a
    record to the one that represents its work. A represented record has the verdict `duplicate`; one that no longer is has
    its screening verdict again. Notices follow the clusters. Returns how many works changed."""
    before = dict(conn.execute("select doi, same_as from works where same_as is not null").fetchall())
    moved = {doi for doi in before.keys() | same_as.keys() if before.get(doi) != same_as.get(doi)}
    touched = write_notices.connected_dois(conn, [*moved, *(before[doi] for doi in moved if doi in before)])
    # In a table and not as a list: there may be hundreds of thousands.
    conn.execute(
        "create temp table paired (doi, other, verdict, decided, reason, primary key (doi, other)) without rowid"
    )
    conn.executemany("insert into paired values (?, ?, ?, ?, ?)", pairs)
    conn.execute("delete from duplicates where (doi, other) not in (select doi, other from paired)")
    conn.execute(
        """
        insert into duplicates (doi, other, verdict, decided, reason)
        select doi, other, verdict, decided, reason from paired where true order by doi, other
        on conflict (doi, other) do update set
            verdict = excluded.verdict, decided = excluded.decided, reason = excluded.reason
        where (verdict, decided, reason) is not (excluded.verdict, excluded.decided, excluded.reason)
        """
    )
    conn.execute("drop table paired")
    conn.execute("create temp table clustered (doi text primary key, same_as text not null) without rowid")
    conn.executemany("insert into clustered values (?, ?)", sorted(same_as.items()))
    cursor = conn.execute(
        """
        update works set same_as = s.same_as, verdict = case when s.same_as is null then screened else 'duplicate' end
        from (select w.doi, t.same_as from works w left join clustered t on t.doi = w.doi) s
        where s.doi = works.doi and (works.same_as, works.verdict) is not
            (s.same_as, case when s.same_as is null then works.screened else 'duplicate' end)
        returning doi
        """
    )
    changed = [doi for (doi,) in cursor]
    conn.execute("drop table clustered")
    write_notices.update_notices(conn, run, touched)
    write_history.note_verdicts(conn, run, changed)
    return len(changed)


def update_tags(
    conn: sqlite3.Connection,
    run: int,
    basis: str,
    touched: Collection[tuple[str, str]],
    judged: Sequence[Doi],
    changed: Sequence[TagUpdate],
) -> None:
    """After an edit of a few rules: the works `judged` have the basis `basis` now, and those `changed` have other tags or
    reasons among the values `touched`. No other row is written."""
    values = json.dumps([list(value) for value in sorted(touched)])
    for table in ("tags", "reasons"):
        conn.executemany(
            f"""
            delete from {table} where doi = ? and (facet, value) in
                (select json_extract(value, '$[0]'), json_extract(value, '$[1]') from json_each(?))
            """,  # noqa: S608 - our own table names
            [(work.doi, values) for work in changed],
        )
    conn.executemany(
        "insert into tags (doi, decided, facet, value, strength, certainty, how) values (?, 'rule', ?, ?, ?, ?, ?)",
        [(work.doi, *tag) for work in changed for tag in work.tags],
    )
    conn.executemany(
        "insert or ignore into reasons values (?, ?, ?, ?, ?, ?, ?, ?)",
        [(work.doi, *reason) for work in changed for reason in work.reasons],
    )
    conn.executemany("update works set why = ?, changed_run = ? where doi = ?", [(w.why, run, w.doi) for w in changed])
    conn.execute(
        "update works set basis = :basis where doi in (select value from json_each(:judged))",
        {"basis": basis, "judged": json.dumps(judged)},
    )
    write_history.note_verdicts(conn, run, [work.doi for work in changed])


def set_rule_marks(conn: sqlite3.Connection, basis: str, version: str, marks: Mapping[tuple[str, str], str]) -> None:
    """Note by which rules every work that no person decided on has been judged: (facet, value) → a text that changes with what
    its tags depend on."""
    conn.execute("delete from rule_marks")
    conn.executemany(
        "insert into rule_marks (facet, value, mark, basis, version) values (?, ?, ?, ?, ?)",
        [(*value, mark, basis, version) for value, mark in sorted(marks.items())],
    )


def set_facets(conn: sqlite3.Connection, rows: Sequence[tuple[str, str, str, str, int]]) -> None:
    """Replace the taxonomy: (facet, value, label, meaning, position). A value that is not in it stays while a tag has it."""
    conn.executemany(
        """
        insert into facets (facet, value, label, meaning, position) values (?, ?, ?, ?, ?)
        on conflict (facet, value) do update set
            label = excluded.label, meaning = excluded.meaning, position = excluded.position
        where (label, meaning, position) is not (excluded.label, excluded.meaning, excluded.position)
        """,
        rows,
    )
    keep = json.dumps([f"{row[0]}:{row[1]}" for row in rows])
    conn.execute(
        """
        delete from facets where facet || ':' || value not in (select value from json_each(:keep))
        and not exists (select 1 from tags t where t.facet = facets.facet and t.value = facets.value)
        """,
        {"keep": keep},
    )
