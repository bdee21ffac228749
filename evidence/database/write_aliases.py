"""Writing aliases: an old DOI leads to the DOI that a work is kept under now.

Called by `writer` inside its transactions; nothing here begins or ends one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from evidence.data_model import Doi
from evidence.database import write_history, write_notices, write_records, write_works
from evidence.database.sql_helpers import in_chunks
from evidence.database.values_for_writer import JudgedRecord, Written


def end_aliases(conn: sqlite3.Connection, run: int, records: Sequence[JudgedRecord]) -> None:
    """A DOI that has a record of its own again is no alias any more: the sightings that the alias closed are current again."""
    ended = "select alias, doi, first_run from aliases where alias in ({}) and last_run is null"
    for alias, target, since in list(in_chunks(conn, ended, [record.doi for record in records])):
        conn.execute("update aliases set last_run = ? where alias = ?", (run, alias))
        conn.execute("update sightings set last_run = null where doi = ? and last_run = ?", (alias, since))
        # Only their records tell which works cited this DOI and which the other: these are judged again.
        conn.execute("update works set basis = '' where doi in (select doi from cites where cited = ?)", (target,))


def follow_aliases(conn: sqlite3.Connection, run: int, pairs: Sequence[tuple[Doi, Doi]], written: Written) -> None:
    """Write the aliases, each with the DOI that it leads to in the end, and move what is known under them.

    An alias of a known work is left out until the work it leads to can be shown: a record that cannot be understood
    never replaces a work.
    """
    for alias, stated in pairs:
        doi = _target_of(conn, stated)
        known = conn.execute("select 1 from snapshots where doi = ? and last_run is null", (alias,)).fetchone()
        if doi == alias or (not known and _target_of(conn, alias) == doi):
            continue
        if known and not conn.execute("select 1 from works where doi = ?", (doi,)).fetchone():
            continue
        conn.execute(
            """
            insert into aliases (alias, doi, first_run) values (:alias, :doi, :run)
            on conflict (alias) do update set doi = excluded.doi, first_run = excluded.first_run, last_run = null
            """,
            {"alias": alias, "doi": doi, "run": run},
        )
        conn.execute("update aliases set doi = ? where doi = ? and last_run is null", (doi, alias))
        _move_links(conn, run, alias, doi)
        if known:
            # Each that this run brought was counted as a new work, and they are one.
            new = "select 1 from works where doi in (?, ?) and first_run = ? limit 1"
            written.new -= len(conn.execute(new, (alias, doi, run)).fetchall())
            _close_alias(conn, run, alias, doi)
            written.moved.append((alias, doi))


def _target_of(conn: sqlite3.Connection, doi: Doi) -> Doi:
    """The DOI that this one leads to; itself when it is no alias."""
    row = conn.execute("select doi from aliases where alias = ? and last_run is null", (doi,)).fetchone()
    return Doi(row[0]) if row else doi


def _move_links(conn: sqlite3.Connection, run: int, alias: Doi, doi: Doi) -> None:
    """Sightings, resolved citations and citation links of the alias become those of the work. Sightings are added and closed,
    not rewritten."""
    names = {"alias": alias, "doi": doi, "run": run}
    conn.execute(
        """
        insert into sightings (source, doi, via, rank, score, first_run)
        select source, :doi, via, rank, score, :run from sightings where doi = :alias and last_run is null
        on conflict (source, doi) do update set last_run = null where last_run is not null
        """,
        names,
    )
    conn.execute("update sightings set last_run = :run where doi = :alias and last_run is null", names)
    conn.execute(
        """
        update citations set doi = :doi,
            problem = case status when 'resolved' then 'this DOI now leads to ' || :doi
                else replace(problem, :alias, :doi) end
        where doi = :alias and retired is null
        """,
        names,
    )
    conn.execute(
        "insert or ignore into cites select doi, :doi, asserted_by from cites where cited = :alias and doi <> :doi",
        names,
    )
    conn.execute("delete from cites where cited = :alias", names)


def _close_alias(conn: sqlite3.Connection, run: int, alias: Doi, doi: Doi) -> None:
    """Keep the work under `doi` alone: the record under the alias is closed, its history stays."""
    names = {"alias": alias, "doi": doi, "run": run}
    conn.execute("update snapshots set last_run = :run where doi = :alias and last_run is null", names)
    write_records.end_absence(conn, run, alias)
    write_notices.note_notices(conn, run, alias, ())
    conn.execute("delete from unread where doi = :alias", names)
    conn.execute(
        """
        update works set changed_run = :run,
            first_run = min(first_run, coalesce((select first_run from works where doi = :alias), first_run))
        where doi = :doi
        """,
        names,
    )
    conn.execute("update works set same_as = null, verdict = screened where doi = :doi and same_as = :alias", names)
    members = [member for (member,) in conn.execute("select doi from works where same_as = ?", (alias,))]
    conn.execute("update works set same_as = :doi where same_as = :alias", names)
    write_works.delete_work(conn, alias)
    write_history.note_verdicts(conn, run, [doi, *members])
