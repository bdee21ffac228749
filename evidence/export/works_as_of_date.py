"""The works as of a past date, run or version: the verdict each had then, and its Crossref record of then.

The history tables are read: `verdict_history`, `notice_history`, `snapshots`, `absences`, `sightings`. Their rows are added and
ended, never rewritten. Today's code normalises the old records. Tags are kept of versions alone; as of a date or a run, tags are
today's. The text behind tags has no history: it is today's, and left out of a version.

A published copy has no records (`snapshots.message`). There, titles and the other facts of a record are today's.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, fields
from typing import Any

from evidence.author_names import full_name
from evidence.crossref.normalise import normalise
from evidence.data_model import SHOWN_STRENGTHS, Author, Doi, Strength, Work
from evidence.database import tag_filter
from evidence.database.read_versions import PastState, state_named, tag_conditions, tags_in_version
from evidence.database.select_works import (
    FACT_COLUMNS,
    IDENTIFIER_COLUMNS,
    NOTICES,
    TAG_ROW,
    TAGS_ONE_BY_ONE,
    Selection,
    add_identifiers_and_facts,
    add_tag_rows,
    add_tags,
    asked_days,
    full_text_query,
    funder_text,
    named,
    reasons_text,
)
from evidence.database.sql_helpers import TRUE_AFTER, Row
from evidence.database.tag_filter import TagFilter
from evidence.database.work_rows import record_columns
from evidence.errors import RecordError
from evidence.linkage.retraction_notices import GRAVITY
from evidence.linkage.trial_numbers import own_trial_numbers
from evidence.providers.combine import ProviderRecord, combine

VERDICTS = ("include", "exclude", "unsure", "duplicate", "not-understood", "alias")
"""Every verdict that a record can have."""

BATCH = 500
"""Number of works whose records are in memory at once."""


@dataclass(frozen=True, slots=True)
class AsOfFilter:
    """Which works to list; all conditions must hold.

    `verdicts`, `decided` (`rule` or `person`), `why` (the reason for an exclusion by rule) and `conflict` (a decision to look at
    again) are of the past date, `tags` and their `strengths` of the version, or of today. `since`: new, changed or with another
    verdict on this date (ISO) or later.
    """

    verdicts: Sequence[str] = ("include",)
    decided: str | None = None
    why: str | None = None
    conflict: bool = False
    tags: tuple[TagFilter, ...] = ()
    since: str | None = None
    strengths: tuple[Strength, ...] = SHOWN_STRENGTHS


@dataclass(frozen=True, slots=True)
class PastVerdict:
    """The verdict on one record at the end of a past day. `work_doi` is the DOI under which its work is stored today; `why` is
    None where no reason was recorded; `unchanged`: it is also the verdict of today."""

    doi: str
    work_doi: str
    verdict: str
    decided: str
    why: str | None
    same_as: str | None
    conflict: int
    unchanged: int


def verdicts_as_of(
    conn: sqlite3.Connection, run: int, wanted: AsOfFilter, version: int | None = None
) -> list[PastVerdict]:
    """The verdicts after the run that match the filter, newest work first (by today's year); none after run 0. With a `version`,
    its tags count."""
    where = ["h.verdict in (select value from json_each(:verdicts))"]
    values: Row = {"run": run, "verdicts": json.dumps(list(wanted.verdicts))}
    if version is None:
        clauses, tags = tag_filter.sql_conditions(wanted.tags, "coalesce(a.doi, h.doi)", wanted.strengths)
        values |= tags
    else:
        clauses, tags_then = tag_conditions(wanted.tags, "h.doi", version, wanted.strengths)
        values |= tags_then
    where += clauses
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
                (select max(n.first_run) from notice_history n where n.doi = h.doi and {TRUE_AFTER.format("n", "run")})))"""  # noqa: S608
        )
    columns = ", ".join(f"h.{field.name}" for field in fields(PastVerdict)[2:-1])
    rows = _cursor(conn).execute(
        f"""
        select h.doi, coalesce(a.doi, h.doi), {columns}, h.last_run is null
        from verdict_history h left join aliases a on a.alias = h.doi and a.last_run is null
            left join works w on w.doi = coalesce(a.doi, h.doi)
        where {TRUE_AFTER.format("h", "run")} and {" and ".join(where)} order by w.year desc, h.doi
        """,  # noqa: S608 - built from our own names
        values,
    )
    return [PastVerdict(*row) for row in rows]


def rows_as_of(
    conn: sqlite3.Connection,
    run: int,
    verdicts: Sequence[PastVerdict],
    day: str,
    strengths: Sequence[Strength] = SHOWN_STRENGTHS,
    *,
    tag_rows: bool = False,
    version: int | None = None,
) -> Iterator[Row]:
    """The export rows of these records, in this order, with `as_of` (the date) and `same_as`; `BATCH` are in memory at once. The
    tags are those of the `version`, or of today; with `tag_rows`, rows have them one by one."""
    for start in range(0, len(verdicts), BATCH):
        part = verdicts[start : start + BATCH]
        rows = _full_rows(_cursor(conn), run, part, day, strengths, version)
        if not tag_rows:
            yield from rows
        elif version is None:
            yield from _with_tag_rows(_cursor(conn), rows, part, strengths)
        else:
            yield from _with_tag_rows_of_version(conn, rows, part, strengths, version)


def _with_tag_rows(
    cursor: sqlite3.Cursor, rows: Iterable[Row], part: Sequence[PastVerdict], strengths: Sequence[Strength]
) -> Iterator[Row]:
    tags: dict[str, Row] = {one.work_doi: {} for one in part}
    add_tag_rows(cursor, tags, strengths)
    for one, row in zip(part, rows, strict=True):
        yield row | {name: tags[one.work_doi][name] for name in TAGS_ONE_BY_ONE}


def _with_tag_rows_of_version(
    conn: sqlite3.Connection,
    rows: Iterable[Row],
    part: Sequence[PastVerdict],
    strengths: Sequence[Strength],
    version: int,
) -> Iterator[Row]:
    """How sure a tag was and which words gave it is not kept of a version."""
    tags: dict[str, list[Row]] = {one.doi: [] for one in part}
    for doi, *tag in tags_in_version(conn, version, tags):
        if tag[2] in strengths:
            tags[doi].append(dict.fromkeys(TAG_ROW) | dict(zip(TAG_ROW, tag, strict=False)))
    for one, row in zip(part, rows, strict=True):
        yield row | {"tag_rows": tags[one.doi], "tag_places": {}, "tag_decisions": {}}


def selected_as_of(
    conn: sqlite3.Connection, selection: Selection, as_of: str | PastState, *, tag_rows: bool = False
) -> Iterator[Row]:
    """The export rows of a selection as of a date, run or version (as a person types it): verdicts and text of then, and the tags
    of the version, or of today."""
    state = state_named(conn, as_of) if isinstance(as_of, str) else as_of
    run, day, version = state.run, state.day, state.version
    wanted = AsOfFilter(selection.verdicts, tags=selection.tags, since=selection.since, strengths=selection.strengths)
    found = verdicts_as_of(conn, run, wanted, version)
    rows = rows_as_of(conn, run, found, day, wanted.strengths, tag_rows=tag_rows, version=version)
    if version is not None:
        rows = (row | {"as_of_version": state.name} for row in rows)
    yield from rows if selection.text is None else _with_words(rows, full_text_query(selection.text))


def _with_words(rows: Iterable[Row], words: str) -> Iterator[Row]:
    """The rows whose text of then has all of these words, found as the full-text index of today finds them."""
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


def _full_rows(
    cursor: sqlite3.Cursor,
    run: int,
    part: Sequence[PastVerdict],
    day: str,
    strengths: Sequence[Strength],
    version: int | None,
) -> Iterator[Row]:
    values = {
        "run": run,
        "dois": json.dumps([one.doi for one in part]),
        "work_dois": json.dumps([one.work_doi for one in part]),
    }

    def each(sql: str) -> list[Any]:
        return cursor.execute(sql, values).fetchall()

    versions = dict(each(_CURRENT_VERSIONS))
    today = {row["doi"]: row for row in _dicts(cursor, _WORKS_OF_TODAY, values)}
    add_identifiers_and_facts(cursor, today)
    asked = asked_days(cursor, [one.doi for one in part])
    details, gone = dict(each(_DETAILS)), dict(each(_GONE))
    kinds: dict[str, set[str]] = {}
    for doi, kind in each(_KINDS):
        kinds.setdefault(doi, set()).add(kind)
    sources: dict[str, tuple[str, ...]] = {}
    for doi, source in each(_SOURCES):
        sources[doi] = (*sources.get(doi, ()), source)
    keys = {one.doi: one.work_doi if version is None else one.doi for one in part}
    tags: dict[str, Row] = {key: {"tags": {}, "likely_tags": (), "implied_tags": ()} for key in keys.values()}
    if version is None:
        left_out = add_tags(tags, each(_TAGS), strengths)
    else:
        found = tags_in_version(cursor.connection, version, tags)
        left_out = add_tags(tags, (tag[:4] for tag in found), strengths)
    reasons = {doi: reasons_text(quotes, left_out.get(doi, ())) for doi, quotes in each(_REASONS)}
    for one in part:
        now = today.get(one.doi)
        work, number = _past_record(cursor, run, one.doi)
        same = bool(one.unchanged and now and number == versions.get(one.doi))
        yield {
            **(_record_columns(work, day) if work else _columns_of_today(now or {})),
            **named(one.doi),
            "as_of": day,
            "verdict": one.verdict,
            "decided": one.decided,
            "same_as": one.same_as,
            "why": (now["why"] if same and now else None) or one.why,
            "conflict": one.conflict,
            "notice": next((kind for kind in GRAVITY if kind in kinds.get(one.doi, ())), None),
            "notice_details": details.get(one.doi),
            "gone": gone.get(one.doi),
            "sources": sources.get(one.doi, ()),
            **tags[keys[one.doi]],
            **asked[one.doi],
            "reasons": reasons.get(one.doi) if same and version is None else None,
        }


def _past_record(cursor: sqlite3.Cursor, run: int, doi: str) -> tuple[Work | None, int | None]:
    """The record of a work after a run, and the number of its newest version then.

    The newest version that can be understood is taken, because one that cannot changes nothing about a work. The work is None
    where the database has no records.
    """
    newest = None
    sql = "select version, message from snapshots where doi = ? and first_run <= ? order by version desc"
    for version, message in cursor.execute(sql, (doi, run)).fetchall():
        newest = newest or version
        record = json.loads(message or "{}")  # null: hidden from visitors of a public site
        if set(record) <= {"DOI", "local-id", "imported"}:  # a published copy
            continue
        try:
            return combine(normalise(record), _past_additions(cursor, run, doi)), newest
        except RecordError:
            continue
    return None, newest


def _past_additions(cursor: sqlite3.Cursor, run: int, doi: str) -> list[ProviderRecord]:
    """What other providers had on a work after a run, under this DOI or one that leads to it today."""
    found = cursor.execute(_ADDITIONS, {"run": run, "doi": doi}).fetchall()
    return [ProviderRecord(*row) for row in found]


def _record_columns(work: Work, day: str) -> Row:
    """The columns of a row that come from its record, and from those of other providers."""
    people = [_author_row(author) for author in work.authors]
    return (
        record_columns(work)
        | _stated_columns(work, day)
        | {
            "judged_on": "title+abstract" if work.abstract else "title" if work.title else "nothing",
            "authors_full": people,
            "orcids": "; ".join(f"{full_name(p)}: {p['orcid']}" for p in people if p["orcid"]) or None,
            "affiliations": " | ".join(f"{full_name(p)}: {p['affiliation']}" for p in people if p["affiliation"])
            or None,
            "funders": tuple(funder_text(f.name, f.doi, f.awards) for f in work.funders),
            "funders_full": [{"name": f.name, "doi": f.doi, "awards": list(f.awards)} for f in work.funders],
        }
    )


def _stated_columns(work: Work, day: str) -> Row:
    """The columns that `add_identifiers_and_facts` reads from the tables, of a work as of a day."""
    own = own_trial_numbers(work.registrations, (work.title, work.abstract))
    named = [("registration", number, source) for number, source in own.items()]
    named += [(one.kind, one.value, one.source) for one in work.identifiers]
    ranks: dict[str, dict[str, bool]] = {}
    for kind, value, source in named:
        values = ranks.setdefault(kind, {})
        values[value] = values.get(value, True) and source == "openalex"
    columns: Row = {
        column: "; ".join(sorted(ranks.get(kind, ()), key=lambda value, of=kind: (ranks[of][value], value))) or None
        for kind, column in IDENTIFIER_COLUMNS.items()
    }
    for kind, column in FACT_COLUMNS.items():
        columns[column] = "; ".join(sorted({fact.value for fact in work.facts if fact.kind == kind})) or None
    deposited = {
        licence.url
        for licence in work.licences
        if licence.version in (None, "vor", "unspecified") and (licence.starts or "") <= day
    }
    stated = {fact.value for fact in work.facts if fact.kind == "licence"}
    return columns | {"stated_licences": tuple(sorted(stated | deposited))}


def _columns_of_today(now: Row) -> Row:
    """The same columns where there is no record of then: today's, or empty for a work that is no longer in the database."""
    absent: Row = dict.fromkeys(_record_columns(Work(Doi("")), ""))
    return (
        absent
        | {"authors_full": [], "stated_licences": (), "funders": (), "funders_full": [], "judged_on": "nothing"}
        | now
    )


def _author_row(author: Author) -> Row:
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


def _cursor(conn: sqlite3.Connection) -> sqlite3.Cursor:
    cursor = conn.cursor()
    cursor.row_factory = None  # Datasette's connections return sqlite3.Row
    return cursor


def _dicts(cursor: sqlite3.Cursor, sql: str, values: Row) -> list[Row]:
    cursor.execute(sql, values)
    columns = [column[0] for column in cursor.description]
    return [dict(zip(columns, row, strict=True)) for row in cursor]


_OF_THESE = "in (select value from json_each(:dois))"
_NOTICES_OF_THESE = f"(select * from notice_history n where n.doi {_OF_THESE} and {TRUE_AFTER.format('n', 'run')})"  # noqa: S608 - our own names
_ADDITIONS = f"""
    select provider, message, fetched_at from provider_records p
    where (subject = :doi or subject in (select alias from aliases where doi = :doi and last_run is null))
        and message <> '' and {TRUE_AFTER.format("p", "run")}
    union all
    select 'file', message, started from imported_records i join runs r on r.run = i.first_run
    where (doi = :doi or doi in (select alias from aliases where doi = :doi and last_run is null))
        and message <> '' and i.first_run <= :run
"""  # noqa: S608
_CURRENT_VERSIONS = f"select doi, version from snapshots where last_run is null and doi {_OF_THESE}"  # noqa: S608
_WORKS_OF_TODAY = f"select * from works where doi {_OF_THESE}"  # noqa: S608
_DETAILS = NOTICES.format(notices=_NOTICES_OF_THESE, among=_OF_THESE)
_KINDS = f"select doi, kind from {_NOTICES_OF_THESE} where undone = 0 and relation <> 'preprint'"  # noqa: S608
_GONE = f"""
    select a.doi, substr(r.started, 1, 10) from absences a join runs r on r.run = a.first_run
    where a.doi {_OF_THESE} and {TRUE_AFTER.format("a", "run")}
"""  # noqa: S608
_SOURCES = f"""
    select s.doi, s.source from sightings s where s.doi {_OF_THESE} and {TRUE_AFTER.format("s", "run")}
        and not exists
            (select 1 from sighting_gaps g where (g.source, g.doi) = (s.source, s.doi) and {TRUE_AFTER.format("g", "run")})
    order by 1, 2
"""  # noqa: S608
_TAGS = """
    select doi, facet, value, strength from tags where doi in (select value from json_each(:work_dois)) order by 1, 2, 3
"""
_REASONS = f"""
    select doi, json_group_array(facet || ':' || value || ' “' || quote || '”') from reasons
    where doi {_OF_THESE} group by doi
"""  # noqa: S608
