"""Taking a copy of `evidence.db` back to a version: its records are cut back to the version's run, and what is then derived from
them anew is brought to what the histories say of that run.

`CUTS` says of every record table how it is cut back; a new table has to choose. `unknown_of_then` says what a later run has
written over: then there is no copy. Called by `writer` alone, inside its transactions; nothing here begins or ends one.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from evidence.database import write_changes, write_works
from evidence.database.sql_helpers import TRUE_AFTER, Row
from evidence.database.values_for_writer import BOOKMARK_OVERLAP
from evidence.linkage.retraction_notices import GRAVITY

_BEGUN = "delete from {0} where first_run > :run"
_NOT_ENDED = "update {0} set last_run = null where last_run > :run"


def _periods(table: str) -> tuple[str, ...]:
    return (_BEGUN.format(table), _NOT_ENDED.format(table))


_SPEC_OF_THEN = """(
                select r.spec from requests r where r.source = o.source and r.run = (
                    select max(run) from runs where run <= :run and door not in ('judge', 'providers', 'import'))
                order by r.request desc limit 1)"""
"""What a search looked for: what the last sync by then asked. Every sync asks for all searches."""

CUTS: Final[Mapping[str, tuple[str, ...]]] = {
    "runs": ("delete from runs where run > :run",),
    # The history of a source has its kind, label and method. It was read at least as far as the last complete run by then;
    # what troubled it is not known.
    "sources": (
        f"""
        delete from sources where not exists (select 1 from source_history h
            where h.source = sources.source and {TRUE_AFTER.format("h", "run")})
        """,  # noqa: S608 - our own conditions
        f"""
        update sources set kind = h.kind, label = h.label, method = h.method,
            retired = case when h.retired then min(coalesce(sources.retired, h.first_run), h.first_run) end,
            first_run = iif(sources.first_run <= :run, sources.first_run, null)
        from source_history h where h.source = sources.source and {TRUE_AFTER.format("h", "run")}
        """,  # noqa: S608 - our own conditions
        f"""
        update sources set trouble = null, warning = null, bookmark = (
            select date(r.started, '-{BOOKMARK_OVERLAP.days} days') from runs r
            where method is null and r.run between sources.first_run and :run and r.door = 'crossref' and r.outcome = 'complete'
            order by r.run desc limit 1)
        where :later
        """,  # noqa: S608 - our own conditions
        f"""
        update sources as o set spec = {_SPEC_OF_THEN}
        where kind = 'search' and coalesce(first_run > :run, 1) and {_SPEC_OF_THEN} is not null
        """,  # noqa: S608 - our own conditions
        """
        update sources set spec = json_set(spec, '$.imports', json('[]'))
        where method is not null and exists (select 1 from imported_records i
            where i.source = sources.source and i.first_run > :run)
        """,
    ),
    "requests": ("delete from requests where run > :run",),
    # A line that led to a DOI which moved since led to its own DOI.
    "citations": (
        "delete from citations where first_run > :run",
        "update citations set retired = null where retired > :run",
        """
        update citations set doi = stated_doi, problem = null where status = 'resolved'
            and exists (select 1 from aliases a where a.alias = citations.stated_doi and a.doi = citations.doi
                and a.first_run > :run)
        """,
    ),
    "snapshots": _periods("snapshots"),
    "aliases": _periods("aliases"),
    "absences": _periods("absences"),
    # What Crossref counted since stands in place of what it had counted: the number in the record of then is left.
    "counters": (_BEGUN.format("counters"),),
    # A sighting that ended and is current again has one row: it ended where a gap holds the run.
    "sightings": (
        *_periods("sightings"),
        """
        update sightings set last_run = g.first_run from sighting_gaps g
        where g.source = sightings.source and g.doi = sightings.doi and g.first_run <= :run and g.last_run > :run
        """,
    ),
    "rejects": (_BEGUN.format("rejects"),),
    "verdict_history": _periods("verdict_history"),
    "notice_history": _periods("notice_history"),
    "source_history": _periods("source_history"),
    "sighting_gaps": ("delete from sighting_gaps where last_run > :run",),
    "changes": ("delete from changes where run > :run",),
    "announced": ("delete from announced",),  # written anew: at a version, all that is shown has been announced
    "provider_records": _periods("provider_records"),
    # Of an answer that was asked for again only a record tells that there was one before.
    "provider_answers": (
        """
        delete from provider_answers as a where run > :run and not exists (select 1 from provider_records p
            where (p.provider, p.subject) = (a.provider, a.subject) and p.first_run <= :run)
        """,
        """
        update provider_answers as a set state = 'asked', found = 1, problem = null, failed_since = null, next_try = null,
            asked_at = p.fetched_at, run = p.first_run
        from (select provider, subject, max(first_run) as first_run, fetched_at from provider_records
            where first_run <= :run group by provider, subject) p
        where a.run > :run and (p.provider, p.subject) = (a.provider, a.subject)
        """,
    ),
    "provider_requests": ("delete from provider_requests where run > :run",),
    # A record that was asked about since was waiting then, under its stated DOI or its local id: where its source found it.
    "imported_records": (
        _BEGUN.format("imported_records"),
        f"""
        update imported_records set status = 'not-asked', problem = 'Crossref was not asked yet', score = null, asked_run = null,
            doi = coalesce((select s.doi from sightings s where s.source = imported_records.source
                and {TRUE_AFTER.format("s", "run")} and s.doi in (json_extract(message, '$.local-id'), stated_doi)), doi)
        where asked_run > :run
        """,  # noqa: S608 - our own conditions
    ),
    "backfilled_files": ("delete from backfilled_files where :later",),
    # Times are in seconds: of one and the same second the run tells.
    "exports": ("delete from exports where made_at > :made_at or run > :run or unfinished > :run",),
    "exported_works": (
        "delete from exported_works where first_export not in (select export from exports)",
        "update exported_works set last_export = null where last_export not in (select export from exports)",
    ),
    "versions": ("delete from versions where version > :version",),
    "version_tags": (
        "delete from version_tags where first_version > :version",
        "update version_tags set last_version = null where last_version > :version",
    ),
    "capsules": ("delete from capsules where made_at > :made_at or run > :run",),
    "watches": (_BEGUN.format("watches"),),
    "watched": _periods("watched"),
}
"""Record table → the statements that cut it back, of `:run`, `:version`, `:made_at`; `:later` is whether a run came since."""

_FIRST = ("sources", "citations", "imported_records", "sightings")
"""Tables whose cuts read other tables as they were: cut before these, `sightings` last of all."""

_LIST_MAY_DIFFER = """(exists (select 1 from runs where run > :run and door not in ('judge', 'providers', 'import')) and (
                json_extract(o.spec, '$.of') is not null
                or exists (select 1 from citations c where c.source = o.source and (c.first_run > :run or c.retired > :run))
                or (select json_group_array(json_array(text, stated_doi)) from (select text, stated_doi from citations c
                    where c.source = o.source and c.retired is null order by position))
                    is not json(json_extract(o.spec, '$.citations'))))"""
"""Whether a reference list may have been another: it was not read to its end since it was last changed, and its lines are not
those of then."""

_UNKNOWN: Final[Mapping[str, str]] = {
    "the lines of the reference list {0} were read anew since": """
        select distinct c.source from citations c where c.first_run > :run and (
            exists (select 1 from citations e where e.source = c.source and e.first_run <= :run)
            or exists (select 1 from sightings s where s.source = c.source and s.first_run <= :run)
            or exists (select 1 from sources o where o.source = c.source and o.first_run <= :run))
    """,
    "works that the reference list {0} cites moved to other DOIs since": """
        select distinct c.source from citations c join aliases a on a.doi = c.doi and a.first_run > :run
        where c.first_run <= :run and c.stated_doi is not c.doi
            and not (c.status = 'resolved' and exists (
                select 1 from aliases o where o.alias = c.stated_doi and o.doi = c.doi and o.first_run > :run))
    """,
    "what the source {0} looks for was changed since": f"""
        select o.source from sources o join source_history h on h.source = o.source and {TRUE_AFTER.format("h", "run")}
        where not h.retired and coalesce(o.first_run > :run, 1) and case when o.kind <> h.kind then 1 else case o.kind
            when 'search' then {_SPEC_OF_THEN} is not o.spec and {_SPEC_OF_THEN} is null and exists (
                select 1 from requests r where r.source = o.source and r.run <= :run)
            when 'references' then {_LIST_MAY_DIFFER} and exists (
                select 1 from citations c where c.source = o.source and c.first_run <= :run)
            end end
    """,  # noqa: S608 - our own conditions
    "the DOI {0} led elsewhere": f"""
        select a.alias from aliases a join verdict_history h on h.doi = a.alias and h.verdict = 'alias'
            and {TRUE_AFTER.format("h", "run")} where a.first_run > :run
        union
        select a.alias from aliases a where a.first_run <= :run and coalesce(a.last_run > :run, 1)
            and exists (select 1 from aliases b where b.doi = a.doi and b.first_run > :run)
    """,  # noqa: S608 - our own conditions
    "what the imported record {0} was found to be is not known": f"""
        select i.place from imported_records i where i.first_run <= :run and i.asked_run > :run and (
            select count(*) from sightings s where s.source = i.source and {TRUE_AFTER.format("s", "run")}
                and s.doi in (json_extract(i.message, '$.local-id'), i.stated_doi)) <> 1
    """,  # noqa: S608 - our own conditions
}
"""A sentence → what it is true of. Such rows have no history."""


def unknown_of_then(conn: sqlite3.Connection, run: int) -> Iterator[str]:
    """What cannot be brought back to this run, because a later one has written over it; one sentence each."""
    for sentence, sql in _UNKNOWN.items():
        for (named,) in conn.execute(f"{sql} order by 1", {"run": run}):
            yield sentence.format(named)


def cut(conn: sqlite3.Connection, version: Row) -> None:
    """Cut all records back to a version (a row of `read_versions.versions`). Foreign keys are off: tables are cut one by one."""
    (later,) = conn.execute("select exists (select 1 from runs where run > ?)", (version["run"],)).fetchone()
    values = {key: version[key] for key in ("run", "version", "made_at")} | {"later": later}
    triggers = dict(conn.execute("select name, sql from sqlite_master where type = 'trigger'").fetchall())
    for name in triggers:  # a row is cut as it is, and nothing is noted of it
        conn.execute(f"drop trigger {name}")
    for table in (*_FIRST, *(table for table in CUTS if table not in _FIRST)):
        for sql in CUTS[table]:
            conn.execute(sql, {key: value for key, value in values.items() if f":{key}" in sql})
    for sql in triggers.values():
        conn.execute(sql)


# ---------------------------------------------------------------------- what is derived


def restore(conn: sqlite3.Connection, version: Row) -> list[str]:
    """Bring what was judged anew to what the attached database `cut` says of then; returns the works that cannot be (today's
    program reads their records otherwise), of which nothing must be left."""
    missing = [
        doi
        for (doi,) in conn.execute(
            """
            select h.doi from cut.verdict_history h left join works w on w.doi = h.doi
            where h.last_run is null and h.verdict not in ('alias', 'not-understood') and w.doi is null
            """
        )
    ]
    if missing:
        return missing
    not_of_then = conn.execute(
        """
        select w.doi from works w left join cut.verdict_history h on h.doi = w.doi and h.last_run is null
        where coalesce(h.verdict in ('alias', 'not-understood'), 1)
        """
    ).fetchall()
    for (doi,) in not_of_then:
        write_works.delete_work(conn, doi)
    _restore_verdicts(conn)
    _restore_tags(conn, version["version"])
    _restore_notices(conn)
    for table in ("verdict_history", "notice_history", "source_history", "changes", "sighting_gaps", "sightings"):
        conn.execute(f"delete from {table}")  # noqa: S608 - our own names, here and below
        conn.execute(f"insert into {table} select * from cut.{table}")  # noqa: S608
    _restore_runs(conn, version["run"])
    _restore_places(conn)
    write_changes.announce_all(conn)
    return []


def _restore_verdicts(conn: sqlite3.Connection) -> None:
    now = "select * from cut.verdict_history where last_run is null"
    conn.execute(
        f"""
        update works set same_as = h.same_as, decided = h.decided,
            why = case when (works.decided, works.verdict) is (h.decided, h.verdict)
                and (h.why is null or h.decided = 'person') then works.why
                else coalesce(h.why, iif(works.verdict = h.verdict, works.why, 'The reason of then is not known.')) end,
            conflict = iif(h.conflict, coalesce(works.conflict, 'The decisions on this work need a second look.'), null),
            screened = iif(h.verdict = 'duplicate', works.screened, h.verdict), verdict = h.verdict
        from ({now}) h where h.doi = works.doi and (works.verdict, works.decided, works.same_as, works.conflict is not null,
            iif(h.decided = 'rule' and h.why is not null, works.why, null)) is not
            (h.verdict, h.decided, h.same_as, h.conflict, iif(h.decided = 'rule', h.why, null))
        """  # noqa: S608 - our own text
    )


def _restore_tags(conn: sqlite3.Connection, version: int) -> None:
    """Tags, strengths and who decided as the version keeps them. How sure a tag was, and by which words, stays where today's
    rules give it with the same strength, and is not known else."""
    conn.execute("create temp table then_tags (doi text, facet text, value text, strength text, decided text,"
                 " primary key (doi, facet, value)) without rowid")  # fmt: skip
    rows = conn.execute(
        """
        select doi, tags from cut.version_tags
        where first_version <= :version and coalesce(last_version > :version, 1)
        """,
        {"version": version},
    )
    conn.executemany("insert into then_tags values (?, ?, ?, ?, ?)", _kept_tags(rows.fetchall()))
    conn.execute(
        """
        insert into facets (facet, value, label, meaning, position)
        select distinct facet, value, value, '', 1000 from then_tags where true on conflict do nothing
        """
    )
    same = "select doi, facet, value, strength, decided from {}"
    conn.execute(
        f"delete from tags where (doi, facet, value, strength, decided) not in ({same.format('then_tags')})"  # noqa: S608
    )
    conn.execute(
        """
        insert into tags (doi, facet, value, strength, decided)
        select doi, facet, value, strength, decided from then_tags where true on conflict do nothing
        """
    )
    conn.execute(
        "delete from reasons where facet <> 'verdict' and (doi, facet, value) not in (select doi, facet, value from tags)"
    )
    conn.execute("drop table then_tags")
    conn.execute(
        "delete from reasons where facet = 'verdict' and value <> (select screened from works w where w.doi = reasons.doi)"
    )


def _kept_tags(rows: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str, str, str, str]]:
    for doi, text in rows:
        lists = json.loads(text)
        by_person = set(lists.pop("person", ()))
        for strength, tags in lists.items():
            for tag in tags:
                facet, _, value = tag.partition(":")
                yield doi, facet, value, strength, "person" if tag in by_person else "rule"


def _restore_notices(conn: sqlite3.Connection) -> None:
    columns = "doi, kind, notice_doi, stands_on, relation, issued, source, evidence, undone, notice_id"
    conn.execute("delete from notices")
    conn.execute(
        f"insert into notices ({columns}) select {columns} from cut.notice_history where last_run is null"  # noqa: S608
    )
    gravest = """(select n.kind from notices n join json_each(:gravity) g on g.value = n.kind
        where n.doi = works.doi and n.undone = 0 and n.relation <> 'preprint' order by g.key limit 1)"""
    conn.execute(
        f"update works set notice = {gravest} where notice is not {gravest}",  # noqa: S608 - our own text
        {"gravity": json.dumps(GRAVITY)},
    )


def _restore_runs(conn: sqlite3.Connection, run: int) -> None:
    """The runs that brought and changed each work, where no later run has written over them, else by the histories."""
    conn.execute(
        """
        update works set
            first_run = case when b.first_run <= :run and not exists (
                    select 1 from main.aliases a where a.doi = works.doi and a.first_run > :run) then b.first_run
                else (select min(h.first_run) from verdict_history h where h.doi = works.doi) end,
            changed_run = case when b.changed_run <= :run then b.changed_run
                else (select max(run) from (
                    select max(h.first_run) as run from verdict_history h where h.doi = works.doi
                    union all select max(s.first_run) from snapshots s where s.doi = works.doi
                    union all select max(c.run) from changes c where c.doi = works.doi)) end
        from (select w.doi, k.first_run, k.changed_run from works w left join cut.works k on k.doi = w.doi) b
        where b.doi = works.doi
        """,
        {"run": run},
    )
    conn.execute("delete from runs where run > ?", (run,))


def _restore_places(conn: sqlite3.Connection) -> None:
    """Works stand in the order in which they came, which decides between equal ones in lists and searches; those that are no
    works any more come last. Records are known from the day on which their tables were made."""
    (last,) = conn.execute(
        "select max(n) from (select max(rowid) as n from works union all select max(rowid) from cut.works)"
    ).fetchone()
    conn.execute("update works set rowid = -rowid")
    conn.execute(
        "update works set rowid = k.rowid from (select rowid, doi from cut.works) k where k.doi = works.doi",
    )
    left = conn.execute("select doi from works where rowid < 0 order by doi").fetchall()
    conn.executemany("update works set rowid = ? where doi = ?", [(last + n, doi) for n, (doi,) in enumerate(left, 1)])
    conn.execute("insert into works_fts (works_fts) values ('rebuild')")
    conn.execute(
        """
        update main._sqlite_migrations as m set applied_at = k.applied_at
        from cut._sqlite_migrations k where (k.migration_set, k.name) = (m.migration_set, m.name)
        """
    )
