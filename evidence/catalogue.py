"""Reading the database: rows for `sync`, `explain`, `export`, `status` and reports. It never writes.

Every function takes an open connection, so readers and the writer share one view of a run in progress.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from evidence import schema
from evidence.errors import ConfigError, StoreError
from evidence.model import Citation, Decision, Doi, Resolution

Row = dict[str, Any]

_SHOWN = "case w.verdict when 'include' then 0 when 'unsure' then 1 else 2 end"
_SCAN = 500

_AUTHORS = """
    select doi, family, given, case when family is null and given is null then credited end as name, role
    from work_authors where doi in ({marks}) order by doi, position
"""
_NAMES = """
    select doi, group_concat(said, '; ') from (
        select doi, case when family is null and given is null then credited
            else coalesce(nullif(family, '') || ', ' || nullif(given, ''), nullif(family, ''), nullif(given, ''), '')
            end || case role when 'editor' then ' (ed.)' else '' end as said
        from work_authors where doi in ({marks}) order by doi, position)
    group by doi
"""
"""Authors one by one, and as the text that `reference_formats.names` makes of them; a test compares the two."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which works an export or a report is about. `tags` are (facet, value) and all must hold; `since` is an ISO date:
    works first landed, or whose record changed, on or after it; `text` is a full-text query of plain words."""

    verdicts: tuple[str, ...] = ("include",)
    tags: tuple[tuple[str, str], ...] = ()
    since: str | None = None
    text: str | None = None


def connect(path: Path, *, older: bool = False) -> sqlite3.Connection:
    """A read-only connection to an evidence database; ConfigError when there is none, StoreError when it is not ours or, but
    for `older`, when an older version made it and nothing has brought it up to date."""
    if not path.exists():
        raise ConfigError(f"{path}: there is no database yet; `evidence demo` or `evidence sync` makes one")
    try:
        conn = _read_only(path)
        (application_id,) = conn.execute("pragma application_id").fetchone()
        known = conn.execute("select 1 from sqlite_master where name = 'works'").fetchone()
        behind = known and schema.evidence.pending(Database(conn, execute_plugins=False))
    except sqlite3.Error as error:
        raise StoreError(f"{path}: cannot be read ({error}); name another file with --db") from None
    if application_id != schema.APPLICATION_ID or known is None:
        conn.close()
        raise StoreError(f"{path}: this is not a database of evidence; name another with --db")
    if behind and not older:
        conn.close()
        raise StoreError(f"{path}: made by an older version of evidence; `evidence judge` brings it up to date")
    return conn


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
    return tuple(Decision(*row) for row in _ask_ledger(ledger, f"select {columns} from decisions order by decision"))  # noqa: S608


def newest_word(ledger: Path) -> tuple[int, int]:
    """Which ledger it is, and the number of its newest word (0 when it has none): words are only ever added, so two that are
    alike in this are alike."""
    if not ledger.exists():
        return (0, 0)
    ((number,),) = _ask_ledger(ledger, "select coalesce(max(decision), 0) from decisions")
    return (ledger.stat().st_ino, number)


def _ask_ledger(ledger: Path, sql: str) -> list[Any]:
    try:
        with closing(_read_only(ledger)) as conn:
            return conn.execute(sql).fetchall()
    except sqlite3.Error as error:
        raise StoreError(f"{ledger}: cannot be read ({error}); name the ledger with --decisions") from None


def _read_only(path: Path) -> sqlite3.Connection:
    # On a read-only file system a database in WAL mode opens only as immutable, which is right where no log waits beside it.
    log = path.with_name(f"{path.name}-wal")
    frozen = not os.access(path.parent, os.W_OK) and not (log.exists() and log.stat().st_size)
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if frozen else ''}", uri=True)


# ---------------------------------------------------------------------- for sync


def dois(conn: sqlite3.Connection) -> list[Doi]:
    """Every work with a standing record, in order."""
    return [d for (d,) in conn.execute("select doi from snapshots where last_run is null order by doi")]


def bases(conn: sqlite3.Connection) -> Iterator[tuple[Doi, str]]:
    """Every standing record with the basis of its judgement (`""` when it has none)."""
    yield from conn.execute(
        """
        select s.doi, coalesce(w.basis, '') from snapshots s left join works w on w.doi = s.doi
        where s.last_run is null order by s.doi
        """
    )


def standing(conn: sqlite3.Connection, wanted: Sequence[Doi]) -> Iterator[tuple[Doi, str, str]]:
    """(doi, digest, message JSON) of the records that stand for these works."""
    yield from _in_chunks(
        conn, "select doi, digest, message from snapshots where last_run is null and doi in ({})", wanted
    )


def indexed(conn: sqlite3.Connection, wanted: Sequence[Doi]) -> dict[Doi, str | None]:
    """When Crossref had last indexed the records we hold, for those of `wanted` that we hold; None where they do not say."""
    sql = """
        select doi, case json_type(message, '$.indexed."date-time"')
            when 'text' then json_extract(message, '$.indexed."date-time"') end from snapshots
        where last_run is null and doi in ({})
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


def notices(conn: sqlite3.Connection, wanted: Sequence[Doi]) -> dict[tuple[str, str, str], tuple[str, str, str, str]]:
    """Notices on these works: (doi, kind, notice DOI) → (doi, kind, title, verdict)."""
    sql = """
        select n.doi, n.kind, n.notice_doi, coalesce(w.title, ''), w.verdict
        from notices n join works w on w.doi = n.doi where n.doi in ({})
    """
    return {
        (doi, kind, by): (doi, kind, title, verdict) for doi, kind, by, title, verdict in _in_chunks(conn, sql, wanted)
    }


def from_files(conn: sqlite3.Connection) -> list[Doi]:
    """The works whose standing record came from a file and not from Crossref itself."""
    sql = """
        select s.doi from snapshots s join runs r on r.run = s.first_run
        where s.last_run is null and r.door <> 'crossref' order by s.doi
    """
    return [d for (d,) in conn.execute(sql)]


def found_by_search(conn: sqlite3.Connection, wanted: Sequence[Doi]) -> set[Doi]:
    """Which of these works a standing search leads to."""
    sql = """
        select distinct s.doi from sightings s join sources o on o.source = s.source
        where o.kind = 'search' and s.last_run is null and o.retired is null and s.doi in ({})
    """
    return {d for (d,) in _in_chunks(conn, sql, wanted)}


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
    """Every work that is not excluded, with the fields by which duplicates are found, and what screening said of it."""
    yield from _rows(
        conn,
        """
        select w.doi, w.title, w.year, w.container, w.volume, w.issue, w.pages, w.abstract, w.kind, w.issn, w.screened,
            (select group_concat(credited, '; ') from
                (select credited from work_authors a where a.doi = w.doi and a.role = 'author' order by position)) as authors,
            (select substr(json_extract(message, '$.created."date-time"'), 1, 10) from snapshots s
                where s.doi = w.doi and s.last_run is null) as registered
        from works w where w.screened <> 'exclude' order by w.doi
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


def paired_by_people(conn: sqlite3.Connection) -> set[tuple[str, str, str]]:
    """(doi, other, verdict) of the pairs on which a person's word stands."""
    return set(conn.execute("select doi, other, verdict from duplicates where decided = 'person'").fetchall())


def verdicts(conn: sqlite3.Connection) -> dict[str, int]:
    """How many works there are by verdict."""
    return dict(conn.execute("select verdict, count(*) from works group by verdict order by verdict").fetchall())


# ---------------------------------------------------------------------- for people


def canonical(conn: sqlite3.Connection, doi: Doi) -> Doi:
    """The DOI a work is kept under: `doi` itself, or the one it is an alias of."""
    row = conn.execute("select doi from aliases where alias = ?", (doi,)).fetchone()
    return Doi(row[0]) if row else doi


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
    found["versions"] = list(_rows(conn, "select * from history where doi = :doi order by version", {"doi": doi}))
    return found


def selected(conn: sqlite3.Connection, selection: Selection) -> Iterator[Row]:
    """The works of a selection, newest first, as `export` takes them; few are in memory at once."""
    where = ["w.verdict in (select value from json_each(:verdicts))"]
    values: Row = {"verdicts": json.dumps(selection.verdicts)}
    for number, (facet, value) in enumerate(selection.tags):
        where.append(
            f"exists (select 1 from tags t where t.doi = w.doi and t.facet = :f{number} and t.value = :v{number})"  # noqa: S608 - only numbers are pasted
        )
        values |= {f"f{number}": facet, f"v{number}": value}
    if selection.since:
        where.append("w.changed_run in (select run from runs where started >= :since)")
        values["since"] = selection.since
    if selection.text:
        where.append("w.rowid in (select rowid from works_fts where works_fts match :text)")
        values["text"] = _plain_words(selection.text)
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


def check_tags(conn: sqlite3.Connection, tags: Sequence[tuple[str, str]]) -> None:
    """ConfigError when a tag is none that could be said, naming those that can."""
    for facet, value in tags:
        known = [v for (v,) in conn.execute("select value from facets where facet = ? order by position", (facet,))]
        if not known:
            facets = [f for (f,) in conn.execute("select distinct facet from facets order by facet")]
            raise ConfigError(f"--tag {facet}:{value}: there is no facet {facet!r}; the facets are {', '.join(facets)}")
        if value not in known:
            raise ConfigError(f"--tag {facet}:{value}: {facet} has no {value!r}; it has {', '.join(known)}")


def cited_elsewhere(conn: sqlite3.Connection, least: int) -> list[Row]:
    """Works that at least so many included works cite and that are not here, most cited first."""
    return list(
        _rows(
            conn,
            """
            select c.cited as doi, count(*) as cited_by, group_concat(c.doi, ' ') as citing
            from cites c join works w on w.doi = c.doi and w.verdict = 'include'
            where not exists (select 1 from snapshots s where s.doi = c.cited)
                and not exists (select 1 from aliases a where a.alias = c.cited)
            group by c.cited having count(*) >= :least order by cited_by desc, c.cited
            """,
            {"least": least},
        )
    )


def conflicts(conn: sqlite3.Connection) -> list[Row]:
    """The works whose decisions people should look at again, and why."""
    sql = "select doi, title, verdict, conflict from works where conflict is not null order by doi"
    return list(_rows(conn, sql, {}))


def to_check(conn: sqlite3.Connection) -> list[Doi]:
    """The works that wait for a person, the likeliest first."""
    return [found for (found,) in conn.execute("select doi from to_check")]


def waiting(conn: sqlite3.Connection) -> dict[Doi, bool]:
    """The works of `to_check` in no order, found without looking at any other work: whether people should look again."""
    sql = f"select doi, conflict is not null from works where {schema.WAITING}"  # noqa: S608 - our own condition
    return {found: bool(again) for found, again in conn.execute(sql)}


def last_sync(conn: sqlite3.Connection) -> int | None:
    """The number of the last run that asked for records."""
    row: tuple[int | None] = conn.execute("select max(run) from runs where door <> 'judge'").fetchone()
    return row[0]


def pairs_to_check(conn: sqlite3.Connection) -> list[Row]:
    """The pairs of records that may be one work."""
    return list(_rows(conn, "select * from pairs_to_check order by doi, other", {}))


def searches_as_run(conn: sqlite3.Connection) -> list[Row]:
    """Every search as last run whole and since: what PRISMA-S asks to report, one row a source."""
    return list(
        _rows(
            conn,
            """
            select o.source, o.label, q.query, q.filters, json_extract(o.spec, '$.phrases') as phrases,
                json_extract(o.spec, '$.also') as also, json_extract(o.spec, '$.years') as years,
                min(q.since) as since, max(q.until) as until,
                min(q.asked_at) as first_asked, max(q.asked_at) as last_asked, count(*) as requests,
                sum(q.scanned) as scanned, sum(q.truncated) as truncated, r.door,
                (select count(*) from sightings s where s.source = o.source and s.last_run is null) as works
            from requests q join sources o on o.source = q.source join runs r on r.run = q.run
            group by o.source, q.query, q.filters, r.door order by o.source, first_asked
            """,
            {},
        )
    )


def flow(conn: sqlite3.Connection) -> list[Row]:
    """The boxes of the PRISMA 2020 flow diagram as they stand now: (box, n)."""
    return list(_rows(conn, "select box, n from prisma order by position", {}))


def changes(conn: sqlite3.Connection, since: str | None) -> list[Row]:
    """Works that are new, changed or judged otherwise since a day (None: in the last run), gravest first."""
    return list(
        _rows(
            conn,
            """
            select w.doi, w.title, w.year, w.verdict, w.notice, r.started,
                case when w.first_run = w.changed_run then 'new' else 'changed' end as what
            from works w join runs r on r.run = w.changed_run
            where case when :since is null
                then w.changed_run = (select max(run) from runs where door <> 'judge') else r.started >= :since end
            order by w.notice is null, w.verdict = 'exclude', what desc, w.year desc, w.doi
            """,
            {"since": since},
        )
    )


def status(conn: sqlite3.Connection) -> Row:
    """What `evidence status` shows: last run, works by verdict, sources with trouble, citations that need a person."""
    runs = list(_rows(conn, "select * from runs where door <> 'judge' order by run desc limit 1", {}))
    last = runs[0] if runs else None
    if last:
        last["counts"] = json.loads(last["counts"])
    return {
        "last_run": last,
        "works": verdicts(conn),
        "waiting": conn.execute("select count(*) from to_check").fetchone()[0],
        "notices": dict(
            conn.execute("select notice, count(*) from works where notice is not null group by 1").fetchall()
        ),
        "rejects": conn.execute("select count(*) from rejects").fetchone()[0],
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
        "citations": list(_rows(conn, "select * from citations_to_check order by source, position", {})),
    }


def _complete(conn: sqlite3.Connection, keys: Sequence[Doi], flat: bool) -> Iterator[Row]:
    marks = ", ".join("?" * len(keys))
    rows = {r["doi"]: r for r in _rows(conn, f"select * from works where doi in ({marks})", keys)}  # noqa: S608
    for row in rows.values():
        row |= {"authors_full": "" if flat else [], "tags": {}, "sources": (), "reasons": None}
    if flat:
        for doi, names in conn.execute(_NAMES.format(marks=marks), keys):
            rows[doi]["authors_full"] = names
    else:
        for author in _rows(conn, _AUTHORS.format(marks=marks), keys):
            rows[author.pop("doi")]["authors_full"].append(author)
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


def _rows(conn: sqlite3.Connection, sql: str, values: Any) -> Iterator[Row]:
    cursor = conn.execute(sql, values)
    names = [column[0] for column in cursor.description]
    for row in cursor:
        yield dict(zip(names, row, strict=True))


def _in_chunks(conn: sqlite3.Connection, sql: str, wanted: Sequence[Doi]) -> Iterator[tuple[Any, ...]]:
    for start in range(0, len(wanted), _SCAN):
        part = list(wanted[start : start + _SCAN])
        yield from conn.execute(sql.format(", ".join("?" * len(part))), part).fetchall()


def _plain_words(text: str) -> str:
    """Each word quoted, so that `IPT-A` or `or` is looked for and not read as an operator."""
    return " ".join(f'"{word}"' for word in text.replace('"', " ").split())
