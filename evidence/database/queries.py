"""Reading the database: rows for `sync`, `explain`, `export`, `status` and reports. It never writes.

Every function takes an open connection, so readers and the writer share one view of a run in progress.
"""

from __future__ import annotations

import json
import re
import sqlite3
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from sqlite_utils import Database, Migrations

from evidence.database import change_log, connection, schema, tag_filter
from evidence.database.prisma_flow import Flow, run_of
from evidence.database.prisma_flow import read as read_flow
from evidence.database.tag_filter import TagFilter
from evidence.errors import ConfigError, StoreError
from evidence.model import Citation, Decision, Doi, Resolution

Row = dict[str, Any]

_SHOWN = "case w.verdict when 'include' then 0 when 'unsure' then 1 else 2 end"
_SCAN = 500

_AUTHORS = """
    select doi, family, given, suffix, case when family is null and given is null then credited end as name, role, orcid,
        affiliation
    from work_authors where doi in ({marks}) order by doi, position
"""
_NAME = """case when family is null and given is null then credited
            else coalesce(nullif(family, '') || ', ' || nullif(given, ''), nullif(family, ''), nullif(given, ''), '')
                || coalesce(', ' || nullif(suffix, ''), '')
            end"""
_MARK = (
    "case role when 'editor' then ' (ed.)' when 'translator' then ' (trans.)' when 'chair' then ' (chair)' else '' end"
)
_NAMES = f"""
    select doi, group_concat(said, '; ') from (
        select doi, {_NAME} || {_MARK} as said from work_authors where doi in ({{marks}}) order by doi, position)
    group by doi
"""  # noqa: S608 - our own column names, here and below
_OF_PEOPLE = {
    "orcids": f"""
        select doi, group_concat(said, '; ') from (
            select doi, {_NAME} || ': ' || orcid as said from work_authors
            where orcid is not null and doi in ({{marks}}) order by doi, position)
        group by doi
    """,  # noqa: S608
    "affiliations": f"""
        select doi, group_concat(said, ' | ') from (
            select doi, {_NAME} || ': ' || affiliation as said from work_authors
            where affiliation is not null and doi in ({{marks}}) order by doi, position)
        group by doi
    """,  # noqa: S608
}
_FUNDERS = """
    select doi, name, funder_doi, awards from funders where doi in ({marks}) order by doi, position
"""
"""Authors one by one, and as the text that `reference_formats.names` makes of them; a test compares the two."""

NOTICES = """
    select doi, group_concat(said, '; ') from (
        select doi, kind || coalesce(' ' || issued, '') || iif(notice_doi in (doi, stands_on), '', ' ' || notice_doi)
            || iif(stands_on = doi, '', case relation when 'record' then ' (on another record, '
                when 'article' then ' (on the article, ' when 'preprint' then ' (on its preprint, '
                else ' (on an earlier DOI, ' end || stands_on || ')') || iif(undone, ' (taken back)', '') as said
        from {notices} where doi {among} order by doi, undone, issued, kind, notice_doi)
    group by doi
"""
_ONE_TEXT = {**_OF_PEOPLE, "notice_details": NOTICES.format(notices="notices", among="in ({marks})")}
"""Columns of an export that hold several facts of a work on one line."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which works an export or a report is about. All of `tags` must hold; `since` is an ISO date: works first landed, or
    whose record changed, on or after it; `text` is plain words, all of which must stand in the work."""

    verdicts: tuple[str, ...] = ("include",)
    tags: tuple[TagFilter, ...] = ()
    since: str | None = None
    text: str | None = None


def connect(path: Path, *, older: bool = False) -> sqlite3.Connection:
    """A read-only connection to an evidence database; ConfigError when there is none, StoreError when it is not ours or, but
    for `older`, when an older version made it and nothing has brought it up to date."""
    missing = ConfigError(f"{path}: there is no database yet; `evidence demo` or `evidence sync` makes one")
    if not path.exists():
        raise missing
    conn, state = _examined(path, schema.evidence)
    if state == "current" or (state == "behind" and older):
        return conn
    conn.close()
    if state == "new":
        raise missing
    raise StoreError(f"{path}: made by an older version of evidence; `evidence judge` brings it up to date")


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """`connect` for a while; StoreError too when the database turns out to be damaged on the way."""
    with closing(connect(path)) as conn:
        try:
            yield conn
        except sqlite3.DatabaseError as error:
            raise StoreError(
                f"{path}: cannot be read ({error}); restore a backup, or move it away and run `evidence sync`: "
                "everything but decisions.db can be harvested again"
            ) from error


def words(ledger: Path) -> tuple[Decision, ...]:
    """The whole ledger, oldest first; nothing when there is none yet. It waits for no writer."""
    if not ledger.exists():
        return ()
    columns = ", ".join(field.name for field in fields(Decision))
    rows = _ask_ledger(ledger, f"select {columns} from decisions order by decision")  # noqa: S608
    return tuple(replace(Decision(*row[:-1]), seen=tuple(json.loads(row[-1]))) for row in rows)


def newest_word(ledger: Path) -> tuple[int, int]:
    """Which ledger it is, and the number of its newest word (0 when it has none): words are only ever added, so two that are
    alike in this are alike."""
    if not ledger.exists():
        return (0, 0)
    number = max((n for (n,) in _ask_ledger(ledger, "select max(decision) from decisions")), default=0) or 0
    return (ledger.stat().st_ino, number)


def check_ledger(ledger: Path) -> None:
    """StoreError when there is a file in the ledger's place that this version cannot read."""
    if ledger.exists():
        _examined(ledger, schema.decisions)[0].close()


def _ask_ledger(ledger: Path, sql: str) -> list[Any]:
    conn, state = _examined(ledger, schema.decisions)
    with closing(conn):
        try:
            return [] if state == "new" else conn.execute(sql).fetchall()
        except sqlite3.Error as error:
            raise StoreError(f"{ledger}: cannot be read ({error}); name the ledger with --decisions") from None


def _examined(path: Path, migrations: Migrations) -> tuple[sqlite3.Connection, connection.State]:
    """A read-only connection, and how the file stands to today's schema; StoreError when it is none of ours."""
    try:
        conn = connection.read_only(path)
        try:
            return conn, connection.examine(conn, path, migrations)
        except BaseException:
            conn.close()
            raise
    except sqlite3.Error as error:
        option = "--decisions" if migrations is schema.decisions else "--db"
        raise StoreError(f"{path}: cannot be read ({error}); name another file with {option}") from None


# ---------------------------------------------------------------------- for sync


def dois(conn: sqlite3.Connection) -> list[Doi]:
    """Every work with a standing record, in order."""
    return [d for (d,) in conn.execute("select doi from snapshots where last_run is null order by doi")]


def bases(conn: sqlite3.Connection) -> Iterator[tuple[Doi, str, str | None]]:
    """Every standing record with the basis of its judgement (`""` when it has none), and the version of the code that last
    tried in vain to understand it."""
    yield from conn.execute(
        """
        select s.doi, coalesce(w.basis, ''), u.version from snapshots s
        left join works w on w.doi = s.doi left join unread u on u.doi = s.doi
        where s.last_run is null order by s.doi
        """
    )


def earlier(conn: sqlite3.Connection, doi: Doi) -> Iterator[tuple[str, str]]:
    """(digest, message JSON) of a work's records before the one that stands, the newest first."""
    sql = "select digest, message from snapshots where doi = ? and last_run is not null order by version desc"
    yield from conn.execute(sql, (doi,)).fetchall()


def standing(conn: sqlite3.Connection, wanted: Sequence[Doi]) -> Iterator[tuple[Doi, str, str]]:
    """(doi, digest, message JSON) of the records that stand for these works."""
    yield from _in_chunks(
        conn, "select doi, digest, message from snapshots where last_run is null and doi in ({})", wanted
    )


def indexed(conn: sqlite3.Connection, wanted: Sequence[Doi]) -> dict[Doi, str | None]:
    """When Crossref had last indexed the records we hold, as far as it has told us, for those of `wanted` that we hold; None
    where nothing says."""
    sql = """
        select s.doi, coalesce(c.indexed, case when json_type(s.message, '$.indexed."date-time"') = 'text'
            and json_extract(s.message, '$.indexed."date-time"') glob '[12][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*'
            then json_extract(s.message, '$.indexed."date-time"') end)
        from snapshots s left join counters c on c.doi = s.doi
        where s.last_run is null and s.doi in ({})
    """
    return dict(_in_chunks(conn, sql, wanted))


def resolutions(conn: sqlite3.Connection, source: str) -> list[Resolution]:
    """The verdicts on a reference list that stand, in order."""
    rows = conn.execute(
        """
        select source, position, text, stated_doi, status, doi, problem, score from citations
        where source = ? and retired is null order by position
        """,
        (source,),
    )
    return [Resolution(Citation(*row[:4]), *row[4:]) for row in rows]


def notice_of(conn: sqlite3.Connection, doi: Doi) -> tuple[tuple[str, Doi | None], ...]:
    """What a record is taken to be a notice of: (kind, DOI or None where it is not known); nothing for a study."""
    row = conn.execute("select notice_of from works where doi = ?", (doi,)).fetchone()
    if row is None or row[0] is None:
        return ()
    kind, _, about = row[0].partition(":")
    return ((kind, Doi(about) if about else None),)


def unsettled(conn: sqlite3.Connection) -> list[Doi]:
    """The works that were judged as what they are not, or have still to be: study or notice."""
    sql = """
        select w.doi from works w join snapshots s on s.doi = w.doi and s.last_run is null where w.basis = '' order by w.doi
    """
    return [doi for (doi,) in conn.execute(sql)]


def gone(conn: sqlite3.Connection) -> list[Row]:
    """The works that Crossref has no record of any more, the latest first: doi, title, verdict, and the day (ISO) it was
    first noticed as `gone`."""
    sql = """
        select a.doi, w.title, w.verdict, substr(r.started, 1, 10) as gone
        from absences a join runs r on r.run = a.first_run left join works w on w.doi = a.doi
        where a.last_run is null order by a.first_run desc, a.doi
    """
    return list(_rows(conn, sql, {}))


def titles(conn: sqlite3.Connection, wanted: Sequence[Doi]) -> dict[Doi, str]:
    """DOI → title, of those that are here and have one."""
    sql = "select doi, title from works where title is not null and doi in ({})"
    return dict(_in_chunks(conn, sql, wanted))


def moved(conn: sqlite3.Connection, wanted: Sequence[Doi]) -> dict[Doi, Doi]:
    """Old DOI → the DOI it leads to, of those of `wanted` that are aliases."""
    sql = "select alias, doi from aliases where last_run is null and alias in ({})"
    return dict(_in_chunks(conn, sql, wanted))


def aliases_stamp(conn: sqlite3.Connection) -> tuple[int, int, int]:
    """Two stamps that are alike mean the same aliases: how many stand, how many there ever were, the last run that added one."""
    sql = "select count(*) filter (where last_run is null), count(*), coalesce(max(first_run), 0) from aliases"
    stamp: tuple[int, int, int] = conn.execute(sql).fetchone()
    return stamp


def once_works(conn: sqlite3.Connection) -> list[Doi]:
    """The aliases under which works were known here once."""
    sql = """
        select alias from aliases a where last_run is null and exists (select 1 from snapshots s where s.doi = a.alias)
        order by alias
    """
    return [alias for (alias,) in conn.execute(sql)]


def stated_targets(conn: sqlite3.Connection) -> dict[Doi, int]:
    """The DOIs that notices here are about and that no work here has, known as no alias either: each with the run in which the
    latest record that names it landed."""
    sql = """
        select u.doi, max(s.first_run) from updates u join snapshots s on s.doi = u.said_by and s.last_run is null
        where u.evidence = 'update-to' and u.doi <> u.said_by
            and not exists (select 1 from works w where w.doi = u.doi)
            and not exists (select 1 from aliases a where a.alias = u.doi and a.last_run is null)
        group by u.doi order by u.doi
    """
    return dict(conn.execute(sql).fetchall())


def last_complete(conn: sqlite3.Connection, run: int) -> int:
    """The last run before this one that harvested Crossref to its end; 0 when there is none."""
    sql = "select coalesce(max(run), 0) from runs where run < ? and outcome = 'complete' and door = 'crossref'"
    return int(conn.execute(sql, (run,)).fetchone()[0])


def syncs(conn: sqlite3.Connection) -> int:
    """How many times Crossref itself was harvested, this time among them."""
    return int(conn.execute("select count(*) from runs where door = 'crossref'").fetchone()[0])


def lost_sight_of(conn: sqlite3.Connection, run: int) -> list[Doi]:
    """The works that some source led to until this run and does not any more; a work that moved to another DOI is none."""
    sql = """
        select distinct doi from sightings
        where last_run = ? and doi not in (select alias from aliases where last_run is null) order by doi
    """
    return [doi for (doi,) in conn.execute(sql, (run,))]


def found_by_search(conn: sqlite3.Connection, wanted: Sequence[Doi]) -> set[Doi]:
    """Which of these works a standing search leads to."""
    sql = """
        select distinct s.doi from sightings s join sources o on o.source = s.source
        where o.kind = 'search' and s.last_run is null and o.retired is null and s.doi in ({})
    """
    return {d for (d,) in _in_chunks(conn, sql, wanted)}


def sighted(conn: sqlite3.Connection, source: str) -> list[Doi]:
    """The works a source leads to."""
    sql = "select doi from sightings where source = ? and last_run is null order by doi"
    return [Doi(found) for (found,) in conn.execute(sql, (source,))]


def led_to(conn: sqlite3.Connection, source: str) -> int:
    """How many works a source leads to."""
    sql = "select count(*) from sightings where source = ? and last_run is null"
    return int(conn.execute(sql, (source,)).fetchone()[0])


def marks(conn: sqlite3.Connection, version: str) -> tuple[dict[tuple[str, str], str], str | None]:
    """The marks of the rules that the works were last judged by with this version, and the basis they gave."""
    rows = conn.execute("select facet, value, mark, basis from rule_marks where version = ?", (version,)).fetchall()
    return {(facet, value): mark for facet, value, mark, _ in rows}, rows[0][3] if rows else None


def judged(conn: sqlite3.Connection, wanted: Sequence[Doi], said: Sequence[tuple[str, str]]) -> Iterator[Row]:
    """What these works were judged on, their verdict, and which of the values `said` they have, with the words."""
    sql = """
        select doi, title, abstract, kind, container, notice_of, screened, why from works where doi in ({})
    """
    names = ("doi", "title", "abstract", "kind", "container", "notice_of", "screened", "why")
    rows = {
        row[0]: dict(zip(names, row, strict=True)) | {"tags": set(), "reasons": set()}
        for row in _in_chunks(conn, sql, wanted)
    }
    values = set(said)
    for doi, facet, value in _in_chunks(conn, "select doi, facet, value from tags where doi in ({})", wanted):
        if (facet, value) in values:
            rows[doi]["tags"].add((facet, value))
    sql = "select doi, facet, value, rule, field, start, stop, quote from reasons where doi in ({})"
    for doi, facet, value, *words in _in_chunks(conn, sql, wanted):
        if (facet, value) in values:
            rows[doi]["reasons"].add((facet, value, *words))
    yield from rows.values()


def candidates(conn: sqlite3.Connection) -> Iterator[Row]:
    """Every work that is not excluded by rule, with the fields by which duplicates are found, and what screening said of it.
    A work that a person excluded may have another record, which is excluded with it."""
    yield from _rows(
        conn,
        """
        select w.doi, w.title, w.year, w.container, w.volume, w.issue, w.pages, w.abstract,
            iif(w.notice_of is null, w.kind, 'notice') as kind, w.issn, w.screened,
            (select group_concat(credited, '; ') from
                (select credited from work_authors a where a.doi = w.doi and a.role = 'author' order by position)) as authors,
            (select substr(json_extract(message, '$.created."date-time"'), 1, 10) from snapshots s
                where s.doi = w.doi and s.last_run is null) as registered
        from works w where w.screened <> 'exclude' or w.decided = 'person' order by w.doi
        """,
        {},
    )


def screened(conn: sqlite3.Connection, wanted: Sequence[Doi]) -> dict[Doi, str]:
    """What screening said of these works."""
    return dict(_in_chunks(conn, "select doi, screened from works where doi in ({})", wanted))


def paired(conn: sqlite3.Connection, wanted: Sequence[Doi]) -> bool:
    """Whether any of these works is known as, or taken for, another record of one."""
    pairs = ("select 1 from duplicates where doi in ({})", "select 1 from duplicates where other in ({})")
    return any(next(iter(_in_chunks(conn, sql, wanted)), None) is not None for sql in pairs)


def crashed_before(conn: sqlite3.Connection, run: int) -> bool:
    """Whether the run before this one did not come to its end."""
    row = conn.execute("select outcome from runs where run < ? order by run desc limit 1", (run,)).fetchone()
    return row is not None and row[0] == "crashed"


def paired_by_people(conn: sqlite3.Connection) -> dict[tuple[str, str], tuple[str, str]]:
    """The pairs on which a person's word stands: (doi, other) → verdict, reason."""
    sql = "select doi, other, verdict, reason from duplicates where decided = 'person'"
    return {(doi, other): (verdict, reason) for doi, other, verdict, reason in conn.execute(sql)}


def verdicts(conn: sqlite3.Connection) -> dict[str, int]:
    """How many works there are by verdict."""
    return dict(conn.execute("select verdict, count(*) from works group by verdict order by verdict").fetchall())


# ---------------------------------------------------------------------- for people


def canonical(conn: sqlite3.Connection, doi: Doi) -> Doi:
    """The DOI a work is kept under: `doi` itself, or the one it is an alias of."""
    row = conn.execute("select doi from aliases where alias = ? and last_run is null", (doi,)).fetchone()
    return Doi(row[0]) if row else doi


def representatives(
    conn: sqlite3.Connection, wanted: Sequence[Doi], moving: Mapping[Doi, Doi] | None = None
) -> dict[Doi, Doi]:
    """The works these DOIs belong to: each of them, and every other record of its work, → the DOI that represents the work.
    A work with one record and no alias is left out. `moving` are aliases about to land."""
    moving = moving or {}
    aliases = {old: moving.get(new, new) for old, new in moved(conn, wanted).items()}
    aliases |= {doi: moving[doi] for doi in wanted if doi in moving}
    here = [aliases.get(doi, doi) for doi in wanted]
    heads = dict(_in_chunks(conn, "select doi, same_as from works where same_as is not null and doi in ({})", here))
    found = {doi: Doi(heads.get(aliases.get(doi, doi), aliases.get(doi, doi))) for doi in wanted}
    members = _in_chunks(conn, "select doi, same_as from works where same_as in ({})", sorted(set(found.values())))
    found |= {Doi(doi): Doi(head) for doi, head in members}
    grouped = {head for doi, head in found.items() if doi != head}
    return {doi: head for doi, head in (found | {head: head for head in grouped}).items() if head in grouped}


def work(conn: sqlite3.Connection, doi: Doi) -> Row | None:
    """One row of `works` with its tags, reasons, sources, notices and citations; None when it is not here."""
    rows = list(_rows(conn, "select * from works where doi = :doi", {"doi": doi}))
    if not rows:
        return None
    found = rows[0]
    found["tags"] = list(
        _rows(conn, "select facet, value, decided from tags where doi = :doi order by 1, 2", {"doi": doi})
    )
    found["reasons"] = list(
        _rows(
            conn,
            """
            select facet, value, rule, field, start, stop, quote from reasons where doi = :doi
            order by facet = 'verdict' desc, facet, value, field, start
            """,
            {"doi": doi},
        )
    )
    found["sources"] = list(
        _rows(
            conn,
            """
            select s.source, o.label, s.via, s.rank, r.started as since, s.last_run is not null as gone
            from sightings s join sources o on o.source = s.source join runs r on r.run = s.first_run
            where s.doi = :doi order by s.source
            """,
            {"doi": doi},
        )
    )
    found["notices"] = list(_rows(conn, "select * from notices where doi = :doi order by issued, kind", {"doi": doi}))
    found["citations"] = list(
        _rows(
            conn, "select * from citations where doi = :doi and retired is null order by source, position", {"doi": doi}
        )
    )
    found["duplicates"] = list(
        _rows(conn, "select * from duplicates where :doi in (doi, other) order by doi, other", {"doi": doi})
    )
    found["aliases"] = [
        alias
        for (alias,) in conn.execute(
            "select alias from aliases where doi = ? and last_run is null order by alias", (doi,)
        )
    ]
    found["versions"] = list(_rows(conn, "select * from history where doi = :doi order by version", {"doi": doi}))
    return found


def selected(conn: sqlite3.Connection, selection: Selection) -> Iterator[Row]:
    """The works of a selection, newest first, as `export` takes them; few are in memory at once."""
    where = ["w.verdict in (select value from json_each(:verdicts))"]
    clauses, tags = tag_filter.conditions(selection.tags, "w.doi")
    where += clauses
    values: Row = {"verdicts": json.dumps(selection.verdicts), **tags}
    if selection.since:
        where.append("w.changed_run in (select run from runs where started >= :since)")
        values["since"] = selection.since
    if selection.text is not None:
        where.append("w.rowid in (select rowid from works_fts where works_fts match :text)")
        values["text"] = fts_query(selection.text)
    keys = [
        d
        for (d,) in conn.execute(
            f"select w.doi from works w where {' and '.join(where)} order by w.year desc, w.doi",  # noqa: S608
            values,
        )
    ]
    yield from whole(conn, keys)


def whole(conn: sqlite3.Connection, wanted: Sequence[Doi], *, flat: bool = False) -> Iterator[Row]:
    """These works in this order, as `export` takes them; few are in memory at once. A DOI that is not here is a KeyError.

    `flat`: authors as one text, for files that have a cell for all of them; it saves a third of the time.
    """
    for start in range(0, len(wanted), _SCAN):
        yield from _complete(conn, wanted[start : start + _SCAN], flat)


def check(conn: sqlite3.Connection, selection: Selection) -> None:
    """ConfigError when a selection asks for a tag that could not be said, or for words where there are none."""
    tag_filter.check(selection.tags, _taxonomy(conn))
    if selection.text is not None:
        fts_query(selection.text)


def _taxonomy(conn: sqlite3.Connection) -> dict[str, list[str]]:
    """Facet → its values in their order."""
    return tag_filter.by_facet(conn.execute("select facet, value from facets order by facet, position"))


def cited_elsewhere(conn: sqlite3.Connection, least: int) -> list[Row]:
    """Works that at least so many included works cite and that are not here, most cited first."""
    return list(
        _rows(
            conn,
            """
            select c.cited as doi, count(*) as cited_by, group_concat(c.doi, ' ') as citing
            from cites c join works w on w.doi = c.doi and w.verdict = 'include'
            where not exists (select 1 from snapshots s where s.doi = c.cited)
                and not exists (select 1 from aliases a where a.alias = c.cited and a.last_run is null)
            group by c.cited having count(*) >= :least order by cited_by desc, c.cited
            """,
            {"least": least},
        )
    )


def conflicts(conn: sqlite3.Connection) -> list[Row]:
    """The works whose decisions people should look at again, and why."""
    sql = "select doi, title, verdict, conflict from works where conflict is not null order by doi"
    return list(_rows(conn, sql, {}))


def without_work(conn: sqlite3.Connection) -> list[Doi]:
    """The DOIs that people decided on and that no work here has: never harvested here, or not yet."""
    sql = """
        select doi from (select doi from decisions_without_work
            union select value from decisions_without_work where facet = 'same-work') d
        where not exists (select 1 from works w where w.doi = d.doi) and not exists
            (select 1 from aliases a join works w on w.doi = a.doi where a.alias = d.doi and a.last_run is null)
        order by doi
    """
    return [doi for (doi,) in conn.execute(sql)]


def to_check(conn: sqlite3.Connection) -> list[Doi]:
    """The works that wait for a person, the likeliest first."""
    return [found for (found,) in conn.execute("select doi from to_check")]


def waiting(conn: sqlite3.Connection) -> set[Doi]:
    """The works of `to_check`, found without looking at any other work."""
    sql = f"select doi from works where ({schema.WAITING}) and verdict = 'unsure'"  # noqa: S608 - our own condition
    return {found for (found,) in conn.execute(sql)}


def to_look_at_again(conn: sqlite3.Connection) -> set[Doi]:
    """The works with a decision to look at again, whatever their verdict; duplicates do not count."""
    sql = f"select doi from works where ({schema.WAITING}) and conflict is not null"  # noqa: S608 - our own condition
    return {found for (found,) in conn.execute(sql)}


def last_sync(conn: sqlite3.Connection) -> int | None:
    """The number of the last run that asked for records."""
    row: tuple[int | None] = conn.execute("select max(run) from runs where door <> 'judge'").fetchone()
    return row[0]


def pairs_to_check(conn: sqlite3.Connection) -> list[Row]:
    """The pairs of records that may be one work."""
    return list(_rows(conn, "select * from pairs_to_check order by doi, other", {}))


def searches_as_run(conn: sqlite3.Connection) -> list[Row]:
    """Every search as run, one row for each query and door: what PRISMA-S asks to report. `depth` is how deep the search as
    it stands was last read whole (a row of `searches_read`), on its newest row."""
    found = list(
        _rows(
            conn,
            """
            select o.source, o.label, q.query, q.filters, json_extract(o.spec, '$.phrases') as phrases,
                json_extract(o.spec, '$.also') as also, json_extract(o.spec, '$.years') as years,
                min(q.asked_at) as first_asked, max(q.asked_at) as last_asked, count(*) as requests,
                sum(q.scanned) as scanned, r.door,
                (select count(*) from sightings s where s.source = o.source and s.last_run is null) as works
            from requests q join sources o on o.source = q.source join runs r on r.run = q.run
            group by o.source, q.query, q.filters, r.door order by o.source, first_asked
            """,
            {},
        )
    )
    depths = {row["source"]: row for row in search_depths(conn)}
    for row in reversed(found):
        row["depth"] = depths.pop(row["source"], None) if row["door"] == "crossref" else None
    return found


def search_depths(conn: sqlite3.Connection) -> list[Row]:
    """How deep each search was last read whole: the rows of the view `searches_read`."""
    return list(_rows(conn, "select * from searches_read order by source", {}))


def flow(conn: sqlite3.Connection, day: str | None = None) -> Flow:
    """The PRISMA 2020 flow as it stands, or as it stood at the end of a day (ISO)."""
    return read_flow(conn, run_of(conn, day) if day else None)


def changes(
    conn: sqlite3.Connection, since: str | None = None, *, run: int | None = None, tags: bool = False
) -> list[Row]:
    """Changes of works as they were announced, gravest first (see `news`): since a day (ISO), in one run, or (neither) in the
    last sync that ended and in what was judged after it. Changes of tags only with `tags`.

    Each has its number `change`, run, day `announced`, doi (the one its work is kept under now), what, before, after, and the
    `verdict` the work had after it; title and year are today's.
    """
    sql = f"""
        select c.change, c.run, substr(r.started, 1, 10) as announced, coalesce(a.doi, c.doi) as doi, c.what, c.before,
            c.after, c.verdict, w.title, w.year
        from changes c join runs r on r.run = c.run left join aliases a on a.alias = c.doi and a.last_run is null
            left join works w on w.doi = coalesce(a.doi, c.doi)
        where {"c.run = :run" if run is not None else "r.started >= :since" if since else "c.run >= :last"}
            and (:tags or c.what <> :aside)
        order by (select key from json_each(:kinds) where value = c.what), c.verdict is not 'include', c.verdict is not 'unsure',
            w.year desc, c.doi, c.change
    """  # noqa: S608 - our own conditions
    last = None if run is not None or since else last_ended_sync(conn)
    values = {"run": run, "since": since, "last": last or 0, "tags": tags, "aside": change_log.ASIDE}
    return list(_rows(conn, sql, values | {"kinds": json.dumps(change_log.KINDS)}))


def last_ended_sync(conn: sqlite3.Connection) -> int | None:
    """The number of the last run that asked for records and came to its end, in whole or in part."""
    sql = "select max(run) from runs where door <> 'judge' and outcome in ('complete', 'partial')"
    row: tuple[int | None] = conn.execute(sql).fetchone()
    return row[0]


def without_content(conn: sqlite3.Connection) -> bool:
    """Whether there are works whose content is not known yet: an older version judged them last."""
    sql = "select 1 from works w where w.content is null and not exists (select 1 from unread u where u.doi = w.doi) limit 1"
    return conn.execute(sql).fetchone() is not None


def status(conn: sqlite3.Connection) -> Row:
    """What `evidence status` shows: last run, works by verdict, sources with trouble, citations that need a person."""
    runs = list(_rows(conn, "select * from runs where door <> 'judge' order by run desc limit 1", {}))
    last = runs[0] if runs else None
    if last:
        last["counts"] = json.loads(last["counts"])
    return {
        "last_run": last,
        "works": verdicts(conn),
        "waiting": len(waiting(conn)),
        "decisions_to_check": conn.execute("select count(*) from decisions_to_check").fetchone()[0],
        "notices": dict(
            conn.execute(
                """
                select notice, count(*) from works where notice is not null and verdict in ('include', 'unsure')
                group by 1
                """
            ).fetchall()
        ),
        "rejects": conn.execute("select count(*) from rejects").fetchone()[0],
        "gone": gone(conn),
        "sources": list(
            _rows(
                conn,
                """
                select o.source, o.kind, o.label, o.bookmark, o.trouble, o.warning, count(s.doi) as works
                from sources o left join sightings s on s.source = o.source and s.last_run is null
                where o.retired is null group by o.source order by o.kind, o.source
                """,
                {},
            )
        ),
        "searches": search_depths(conn),
        "citations": list(_rows(conn, "select * from citations_to_check order by source, position", {})),
        "decisions_without_work": without_work(conn),
    }


def _complete(conn: sqlite3.Connection, keys: Sequence[Doi], flat: bool) -> Iterator[Row]:
    marks = ", ".join("?" * len(keys))
    rows = {r["doi"]: r for r in _rows(conn, f"select * from works where doi in ({marks})", keys)}  # noqa: S608
    for row in rows.values():
        row |= {"authors_full": "" if flat else [], "tags": {}, "sources": (), "reasons": None}
        row |= {"funders": (), "funders_full": [], **dict.fromkeys(_ONE_TEXT)}
    if flat:
        for doi, names in conn.execute(_NAMES.format(marks=marks), keys):
            rows[doi]["authors_full"] = names
    else:
        for author in _rows(conn, _AUTHORS.format(marks=marks), keys):
            rows[author.pop("doi")]["authors_full"].append(author)
    for name, sql in _ONE_TEXT.items():
        for doi, said in conn.execute(sql.format(marks=marks), keys):
            rows[doi][name] = said
    for doi, name, funder, listed in conn.execute(_FUNDERS.format(marks=marks), keys):
        row, awards = rows[doi], json.loads(listed)
        row["funders"] = (*row["funders"], funder_text(name, funder, awards))
        row["funders_full"].append({"name": name, "doi": funder, "awards": awards})
    for doi, facet, value in conn.execute(
        f"select doi, facet, value from tags where doi in ({marks}) order by 1, 2, 3",  # noqa: S608
        keys,
    ):
        tags = rows[doi]["tags"]
        tags[facet] = (*tags[facet], value) if facet in tags else (value,)
    for doi, source in conn.execute(
        f"select doi, source from sightings where last_run is null and doi in ({marks}) order by 1, 2",  # noqa: S608
        keys,
    ):
        row = rows[doi]
        row["sources"] = (*row["sources"], source)
    # One row for each work: every row that comes out of SQLite costs a stream as much as making it.
    for doi, words in conn.execute(
        f"""
        select doi, json_group_array(facet || ':' || value || ' “' || quote || '”') from reasons
        where doi in ({marks}) group by doi
        """,  # noqa: S608
        keys,
    ):
        rows[doi]["reasons"] = "; ".join(sorted(set(json.loads(words))))
    for key in keys:
        yield rows[key]


def funder_text(name: str | None, doi: str | None, awards: Sequence[str]) -> str:
    """`Name (DOI; awards: numbers)`."""
    about = "; ".join(filter(None, (doi if name else None, f"awards: {', '.join(awards)}" if awards else None)))
    return f"{name or doi or 'Funder not named'}{f' ({about})' if about else ''}"


def _rows(conn: sqlite3.Connection, sql: str, values: Any) -> Iterator[Row]:
    cursor = conn.execute(sql, values)
    names = [column[0] for column in cursor.description]
    for row in cursor:
        yield dict(zip(names, row, strict=True))


def _in_chunks(conn: sqlite3.Connection, sql: str, wanted: Sequence[Doi]) -> Iterator[tuple[Any, ...]]:
    for start in range(0, len(wanted), _SCAN):
        part = list(wanted[start : start + _SCAN])
        yield from conn.execute(sql.format(", ".join("?" * len(part))), part).fetchall()


def fts_query(text: str) -> str:
    """The text as a query of SQLite's full-text search, as the site's search box takes it: each word quoted, so that `IPT-A` or
    `or` is looked for and not read as an operator, and what stands in quotation marks as a phrase.

    ConfigError when there is no word in it; the full-text index knows letters and digits alone.
    """
    # NUL ends a query, and half a surrogate pair (a byte of the command line that is no UTF-8) is no text.
    words = " ".join(re.sub("[\0\ud800-\udfff]", " ", text).split())
    if not any(map(_in_words, words)):
        raise ConfigError(
            f"--query {text!r}: there is no word in it; write the words to look for, such as --query 'grief'"
        )
    with closing(sqlite3.connect(":memory:")) as conn:
        return str(Database(conn, execute_plugins=False).quote_fts(words))


def _in_words(character: str) -> bool:
    """Whether the tokenizer (unicode61) takes the character for a part of a word."""
    category = unicodedata.category(character)
    return category[0] in "LN" or category == "Co"
