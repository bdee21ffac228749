"""The works as they stood at the end of a past day: which verdict each had then, and what its record said then.

Read from what is appended and closed, never rewritten: `verdict_history`, `notice_history`, `snapshots`, `absences`, `sightings`.
A record of then is read by today's code. Tags, and the words that earned them, have no history: they are today's.

A published copy has no records (`snapshots.message`): titles and the other facts of a record are today's there.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

from evidence.crossref.normalise import normalise
from evidence.database import queries, tag_filter
from evidence.database.prisma_flow import run_of
from evidence.database.queries import Row, Selection
from evidence.database.store import content
from evidence.database.tag_filter import TagFilter
from evidence.errors import ConfigError, RecordError
from evidence.export.reference_formats import names
from evidence.linkage.notices import GRAVITY
from evidence.model import Author, Doi, Work

VERDICTS = ("include", "exclude", "unsure", "duplicate", "not-understood", "alias")
"""Every verdict that a record may have had."""

PART = 500
"""Works whose records are in memory at once."""

_STANDS = "{0}.first_run <= :run and coalesce({0}.last_run > :run, 1)"
"""The row was true after the run."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which works: those with one of these verdicts then, decided by `rule` or `person`, excluded by rules for the reason `why`,
    with a decision to look at again (`conflict`), and with all of these tags today. `since`: new, changed or judged otherwise on
    this day (ISO) or later."""

    verdicts: Sequence[str] = ("include",)
    decided: str | None = None
    why: str | None = None
    conflict: bool = False
    tags: tuple[TagFilter, ...] = ()
    since: str | None = None


@dataclass(frozen=True, slots=True)
class Stood:
    """How one record stood. `kept` is the DOI that its work is kept under today; `why` is empty where it was not recorded;
    `stands`: the verdict still stands."""

    doi: str
    kept: str
    verdict: str
    decided: str
    why: str | None
    same_as: str | None
    conflict: int
    stands: int


def is_day(text: str) -> bool:
    """Whether this is a day of the calendar, written as ISO writes it."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def check_day(text: str) -> str:
    """The day; ConfigError when it is none."""
    if not is_day(text):
        raise ConfigError(f"as_of={text!r} is no day; write it like 2026-01-31")
    return text


def listed(conn: sqlite3.Connection, run: int, wanted: Wanted) -> list[Stood]:
    """The records that stood so after the run, newest first by the year that is known today; none after run 0."""
    where = ["h.verdict in (select value from json_each(:verdicts))"]
    values: Row = {"run": run, "verdicts": json.dumps(list(wanted.verdicts))}
    clauses, tags = tag_filter.conditions(wanted.tags, "coalesce(a.doi, h.doi)")
    where += clauses
    values |= tags
    for column in ("decided", "why"):
        if (value := getattr(wanted, column)) is not None:
            where.append(f"h.{column} = :{column}")
            values[column] = value
    if wanted.conflict:
        where.append("h.conflict")
    if wanted.since:
        values["since"] = wanted.since
        where.append(
            f"""exists (select 1 from runs r where r.started >= :since and r.run <= :run and r.run in (h.first_run,
                (select max(s.first_run) from snapshots s where s.doi = h.doi and s.first_run <= :run),
                (select max(n.first_run) from notice_history n where n.doi = h.doi and {_STANDS.format("n")})))"""  # noqa: S608
        )
    columns = ", ".join(f"h.{field.name}" for field in fields(Stood)[2:-1])
    rows = _cursor(conn).execute(
        f"""
        select h.doi, coalesce(a.doi, h.doi), {columns}, h.last_run is null
        from verdict_history h left join aliases a on a.alias = h.doi and a.last_run is null
            left join works w on w.doi = coalesce(a.doi, h.doi)
        where {_STANDS.format("h")} and {" and ".join(where)} order by w.year desc, h.doi
        """,  # noqa: S608 - built from our own words
        values,
    )
    return [Stood(*row) for row in rows]


def whole(conn: sqlite3.Connection, run: int, stood: Sequence[Stood], day: str) -> Iterator[Row]:
    """These records in this order, as `export` takes them, with `as_of` (the day) and `same_as`; few are in memory."""
    for start in range(0, len(stood), PART):
        yield from _complete(_cursor(conn), run, stood[start : start + PART], day)


def selected(conn: sqlite3.Connection, selection: Selection, day: str) -> Iterator[Row]:
    """The works of a selection as they stood at the end of a day (ISO): verdicts and text of then, tags of today."""
    run = run_of(conn, day)
    wanted = Wanted(selection.verdicts, tags=selection.tags, since=selection.since)
    rows = whole(conn, run, listed(conn, run, wanted), day)
    yield from rows if selection.text is None else _saying(rows, queries.fts_query(selection.text))


def _saying(rows: Iterable[Row], words: str) -> Iterator[Row]:
    """The rows whose text of then has all of these words, found as the full-text index of today would find them."""
    with closing(sqlite3.connect(":memory:")) as index:
        index.execute(
            "create virtual table texts using fts5 (title, abstract, authors, container,"
            ' tokenize="porter unicode61 remove_diacritics 2")'
        )
        for row in rows:
            text = tuple(row[name] for name in ("title", "abstract", "authors", "container"))
            index.execute("insert into texts values (?, ?, ?, ?)", text)
            if index.execute("select 1 from texts where texts match ?", (words,)).fetchone():
                yield row
            index.execute("delete from texts")


def _complete(cursor: sqlite3.Cursor, run: int, part: Sequence[Stood], day: str) -> Iterator[Row]:
    values = {"run": run, "dois": json.dumps([one.doi for one in part]), "kept": json.dumps([one.kept for one in part])}

    def each(sql: str) -> list[Any]:
        return cursor.execute(sql, values).fetchall()

    works = {row[0]: row[1:] for row in each(_RECORDED)}
    today = {row["doi"]: row for row in _dicts(cursor, _TODAY, values)}
    details, gone = dict(each(_DETAILS)), dict(each(_GONE))
    kinds: dict[str, set[str]] = {}
    for doi, kind in each(_KINDS):
        kinds.setdefault(doi, set()).add(kind)
    sources: dict[str, tuple[str, ...]] = {}
    for doi, source in each(_SOURCES):
        sources[doi] = (*sources.get(doi, ()), source)
    tags: dict[str, dict[str, tuple[str, ...]]] = {}
    for doi, facet, value in each(_TAGS):
        of_work = tags.setdefault(doi, {})
        of_work[facet] = (*of_work.get(facet, ()), value)
    words = {doi: "; ".join(sorted(set(json.loads(said)))) for doi, said in each(_REASONS)}
    for one in part:
        now = today.get(one.doi)
        work, version = _record(cursor, run, one.doi)
        same = bool(one.stands and now and version == works.get(one.doi, (None,))[0])
        yield {
            **(_said(work) if work else _known(now or {})),
            "doi": one.doi,
            "as_of": day,
            "verdict": one.verdict,
            "decided": one.decided,
            "same_as": one.same_as,
            "why": one.why or (now["why"] if same and now else None),
            "conflict": one.conflict,
            "notice": next((kind for kind in GRAVITY if kind in kinds.get(one.doi, ())), None),
            "notice_details": details.get(one.doi),
            "gone": gone.get(one.doi),
            "sources": sources.get(one.doi, ()),
            "tags": tags.get(one.kept, {}),
            "reasons": words.get(one.doi) if same else None,
        }


def _record(cursor: sqlite3.Cursor, run: int, doi: str) -> tuple[Work | None, int | None]:
    """What the record said then: the last one that can be understood, for a later one changes nothing of a work; and the number
    of the version that had landed. No work where the database has no records."""
    newest = None
    sql = "select version, message from snapshots where doi = ? and first_run <= ? order by version desc"
    for version, message in cursor.execute(sql, (doi, run)).fetchall():
        newest = newest or version
        said = json.loads(message)
        if set(said) <= {"DOI"}:  # a published copy
            continue
        try:
            return normalise(said), newest
        except RecordError:
            continue
    return None, newest


def _said(work: Work) -> Row:
    """What a row says of its record, from the record."""
    people = [_person(author) for author in work.authors]
    return content(work) | {
        "judged_on": "title+abstract" if work.abstract else "title" if work.title else "nothing",
        "authors_full": people,
        "orcids": "; ".join(f"{_name(p)}: {p['orcid']}" for p in people if p["orcid"]) or None,
        "affiliations": " | ".join(f"{_name(p)}: {p['affiliation']}" for p in people if p["affiliation"]) or None,
        "funders": tuple(queries.funder_text(f.name, f.doi, f.awards) for f in work.funders),
        "funders_full": [{"name": f.name, "doi": f.doi, "awards": list(f.awards)} for f in work.funders],
    }


def _known(now: Row) -> Row:
    """The same where the record is not at hand: as it is today, or nothing for a work that is no longer here."""
    absent: Row = dict.fromkeys(_said(Work(Doi(""))))
    return absent | {"authors_full": [], "funders": (), "funders_full": [], "judged_on": "nothing"} | now


def _person(author: Author) -> Row:
    nobody = author.family is None and author.given is None
    return {
        "family": author.family,
        "given": author.given,
        "suffix": author.suffix,
        "name": author.name if nobody else None,
        "role": author.role,
        "orcid": author.orcid,
        "affiliation": author.affiliation,
    }


def _name(person: Row) -> str:
    return names([{**person, "role": None}])


def _cursor(conn: sqlite3.Connection) -> sqlite3.Cursor:
    cursor = conn.cursor()
    cursor.row_factory = None  # a server's connection makes rows of another kind
    return cursor


def _dicts(cursor: sqlite3.Cursor, sql: str, values: Row) -> list[Row]:
    cursor.execute(sql, values)
    columns = [column[0] for column in cursor.description]
    return [dict(zip(columns, row, strict=True)) for row in cursor]


_AMONG = "in (select value from json_each(:dois))"
_NOTICED = f"(select * from notice_history n where n.doi {_AMONG} and {_STANDS.format('n')})"  # noqa: S608 - our own words
_RECORDED = f"select doi, version from snapshots where last_run is null and doi {_AMONG}"  # noqa: S608
_TODAY = f"select * from works where doi {_AMONG}"  # noqa: S608
_DETAILS = queries.NOTICES.format(notices=_NOTICED, among=_AMONG)
_KINDS = f"select doi, kind from {_NOTICED} where undone = 0 and relation <> 'preprint'"  # noqa: S608
_GONE = f"""
    select a.doi, substr(r.started, 1, 10) from absences a join runs r on r.run = a.first_run
    where a.doi {_AMONG} and {_STANDS.format("a")}
"""  # noqa: S608
_SOURCES = f"""
    select s.doi, s.source from sightings s where s.doi {_AMONG} and {_STANDS.format("s")}
        and not exists (select 1 from sighting_gaps g where (g.source, g.doi) = (s.source, s.doi) and {_STANDS.format("g")})
    order by 1, 2
"""  # noqa: S608
_TAGS = """
    select doi, facet, value from tags where doi in (select value from json_each(:kept)) order by 1, 2, 3
"""
_REASONS = f"""
    select doi, json_group_array(facet || ':' || value || ' “' || quote || '”') from reasons
    where doi {_AMONG} group by doi
"""  # noqa: S608
