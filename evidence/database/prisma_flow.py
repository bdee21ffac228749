"""The PRISMA 2020 flow of records, defined once: command, page, CSV, JSON and SVG all take their numbers from here.

`RECORDS` lists every record that was identified: one row for each source that found it. `CHANGES` says how many records
entered (n > 0) or left (n < 0) each part of the flow in each run. A box is the sum of its parts over all runs, or over the
runs up to one of them, which gives the flow as it was then. The parts are disjoint, so the boxes add up:

    identified = searches + databases + registers + lists + websites + organisations + others
    identified - removed = screened = excluded + waiting + included

`VIEWS` are made by `schema`. Nothing is written here.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from evidence.data_model import REASON_NOTES
from evidence.database.sql_helpers import TRUE_AFTER, dict_rows

_FOUND_BY = """case when o.method is not null then o.method when o.kind = 'search' then 'search'
            when o.kind = 'references' then 'list' else 'other' end"""
_WAS = "o.source = {0}.source and o.first_run <= {0}.first_run and coalesce(o.last_run > {0}.first_run, 1)"
"""The kind that a source had when it found a record: sources.yaml may have given it another since."""

_IMPORTS = "(select source from sources where method is not null)"
"""The sources of imported files. Their records are counted, each once, whatever became of it: a local id may have got a DOI, and
two records of a file may be one work."""

_MOVED = """
            select h.doi, h.first_run, h.last_run from verdict_history h
            where h.verdict = 'alias' and exists (select 1 from imported_records)
                and exists (select 1 from sightings s where s.doi = h.doi)
                and not exists (select 1 from sightings s where s.doi = h.doi and s.first_run < h.first_run
                    and s.source not in (select source from sources where method is not null))
"""
"""The keys of imported records that lead to another one now: a local id to its DOI, or a DOI stated in error to a local id. They
are no records of their own, so they are not among the DOIs that redirect."""

_IMPORTED_BEFORE = f"""select 1 from sightings b where b.doi = h.doi and b.first_run <= h.first_run
                        and b.source in {_IMPORTS}"""
"""That a record came by an imported file: then its row of `imported_records` says whether it is a duplicate."""

RECORDS = f"""
        select s.doi, s.source, n.label, {_FOUND_BY} as found_by,
            case when exists (select 1 from sightings e where e.doi = s.doi and e.source not in {_IMPORTS}
                    and (e.first_run < s.first_run or (e.first_run = s.first_run and e.source < s.source)))
                or exists (select 1 from imported_records i left join aliases a on a.alias = i.doi and a.last_run is null
                    where coalesce(a.doi, i.doi) = s.doi and (i.first_run, i.source) < (s.first_run, s.source))
                or exists (select 1 from verdict_history h where h.doi = s.doi and h.first_run < s.first_run
                    and not exists ({_IMPORTED_BEFORE}))
                then 'again' else 'first' end as found, s.first_run
        from sightings s join sources n on n.source = s.source join source_history o on {_WAS.format("s")}
        where s.source not in {_IMPORTS}
        union all
        select coalesce(a.doi, i.doi), i.source, n.label, {_FOUND_BY},
            case when exists (select 1 from imported_records e left join aliases b on b.alias = e.doi and b.last_run is null
                    where coalesce(b.doi, e.doi) = coalesce(a.doi, i.doi)
                    and (e.first_run, e.source, e.record) < (i.first_run, i.source, i.record))
                or exists (select 1 from sightings e where e.doi = coalesce(a.doi, i.doi) and e.source not in {_IMPORTS}
                    and (e.first_run < i.first_run or (e.first_run = i.first_run and e.source < i.source)))
                or exists (select 1 from verdict_history h where h.doi = coalesce(a.doi, i.doi) and h.first_run < i.first_run
                    and not exists ({_IMPORTED_BEFORE}))
                then 'again' else 'first' end, i.first_run
        from imported_records i join sources n on n.source = i.source join source_history o on {_WAS.format("i")}
            left join aliases a on a.alias = i.doi and a.last_run is null
        union all
        select h.doi, null, 'Found through a known DOI', 'other', 'first', h.first_run
        from verdict_history h
        where not exists (select 1 from verdict_history e where e.doi = h.doi and e.first_run < h.first_run)
            and not exists (select 1 from sightings s where s.doi = h.doi and s.first_run <= h.first_run)
        union all
        select null, r.source, coalesce(n.label, r.source), {_FOUND_BY}, 'first', r.first_run
        from rejects r left join sources n on n.source = r.source left join source_history o on {_WAS.format("r")}
        where r.doi is null or not exists (select 1 from verdict_history h where h.doi = r.doi)
"""
"""A record is found `again` when another source, or another DOI, led to it before: it is a duplicate from the start. Every
record that is kept has a verdict from that run on (`not-understood` is one), so `verdict_history` says when it came."""

_REPORTS = """
            select max(h.first_run, i.first_run) as since,
                min(coalesce(h.last_run, i.last_run), coalesce(i.last_run, h.last_run)) as until
            from verdict_history h join verdict_history i on i.doi = h.same_as and i.verdict = 'include'
            where h.verdict = 'duplicate'
"""

_REJECTED = """
            select r.source, r.first_run, (select min(h.first_run) from verdict_history h where h.doi = r.doi) as landed
            from rejects r where not exists (
                select 1 from verdict_history h where h.doi = r.doi and h.first_run <= r.first_run)
"""
"""Entries that could not be used, until the run in which their record came after all."""

CHANGES = f"""
        with seen as materialized (
            select s.doi, min(s.first_run) as first,
                (select min(h.first_run) from verdict_history h where h.doi = s.doi) as landed
            from sightings s group by s.doi
        )
        select {_FOUND_BY} as part, s.source, s.first_run as run, count(*) as n
            from sightings s join source_history o on {_WAS.format("s")}
            where s.source not in {_IMPORTS} group by 1, s.source, s.first_run
        union all
        select {_FOUND_BY}, i.source, i.first_run, count(*)
            from imported_records i join source_history o on {_WAS.format("i")} group by 1, 2, 3
        union all
        select 'other', null, l.landed, count(*)
            from (select doi, min(first_run) as landed from verdict_history group by doi) l left join seen s on s.doi = l.doi
            where s.first is null or s.first > l.landed group by 3
        union all
        select {_FOUND_BY}, r.source, r.first_run, count(*) from ({_REJECTED}) r
            left join source_history o on {_WAS.format("r")} group by 1, 2, 3
        union all
        select {_FOUND_BY}, r.source, r.landed, -count(*) from ({_REJECTED}) r
            left join source_history o on {_WAS.format("r")} where r.landed is not null group by 1, 2, 3
        union all
        select 'unusable', null, first_run, count(*) from ({_REJECTED}) group by 3
        union all
        select 'unusable', null, landed, -count(*) from ({_REJECTED}) where landed is not null group by 3
        union all
        select 'again', null, first_run, count(*) from sightings where source not in {_IMPORTS} group by 3
        union all
        select 'again', null, first_run, count(*) from imported_records group by 3
        union all
        select 'again', null, first_run, count(*) from ({_MOVED}) group by 3
        union all
        select 'again', null, last_run, -count(*) from ({_MOVED}) where last_run is not null group by 3
        union all
        select 'alias:rule', null, first_run, -count(*) from ({_MOVED}) group by 3
        union all
        select 'alias:rule', null, last_run, count(*) from ({_MOVED}) where last_run is not null group by 3
        union all
        select 'again', null, first, -count(*) from seen where landed is null or landed >= first group by 3
        union all
        select 'pending', null, first, count(*) from seen where landed is null or landed > first group by 3
        union all
        select 'pending', null, landed, -count(*) from seen where landed > first group by 3
        union all
        select verdict || ':' || decided, null, first_run, count(*) from verdict_history group by 1, 3
        union all
        select verdict || ':' || decided, null, last_run, -count(*) from verdict_history
            where last_run is not null group by 1, 3
        union all
        select 'conflict', null, first_run, count(*) from verdict_history
            where conflict and verdict in ('include', 'exclude') group by 3
        union all
        select 'conflict', null, last_run, -count(*) from verdict_history
            where conflict and verdict in ('include', 'exclude') and last_run is not null group by 3
        union all
        select 'report', null, since, count(*) from ({_REPORTS}) where until is null or since < until group by 3
        union all
        select 'report', null, until, -count(*) from ({_REPORTS}) where since < until group by 3
"""
"""`again` counts all times a record was found but the first; `pending` is a DOI that was known before its record was here."""


@dataclass(frozen=True, slots=True)
class Box:
    """One number of the flow. `key` names it for programs, `data` is its name in the PRISMA2020 R package's template (None
    where that has no such box), `parts` are the parts of `CHANGES` that it sums, `of` is the box that contains it."""

    key: str
    label: str
    parts: tuple[str, ...]
    data: str | None = None
    of: str | None = None


def _by(verdict: str) -> tuple[str, str]:
    return (f"{verdict}:rule", f"{verdict}:person")


_FOUND = ("search", "database", "register", "list", "citation", "website", "organisation", "other")
_DUPLICATES = ("again", *_by("duplicate"))
_OTHERWISE = ("unusable", "pending", *_by("not-understood"), *_by("alias"))

BOXES = (
    Box("identified", "Records identified", _FOUND),
    Box("searches", "from databases: Crossref searches", ("search",), "database_results", "identified"),
    Box("databases", "from databases: imported records", ("database",), "database_results", "identified"),
    Box("registers", "from registers: imported records", ("register",), "register_results", "identified"),
    Box("lists", "from citation searching: reference lists", ("list", "citation"), "citations_results", "identified"),
    Box("websites", "from websites: imported records", ("website",), "website_results", "identified"),
    Box(
        "organisations", "from organisations: imported records", ("organisation",), "organisation_results", "identified"
    ),
    Box("others", "from other methods: files and known DOIs", ("other",), None, "identified"),
    Box("removed", "Records removed before screening", (*_DUPLICATES, *_OTHERWISE)),
    Box("duplicates", "duplicate records", _DUPLICATES, "duplicates", "removed"),
    Box("again", "found by several sources", ("again",), None, "duplicates"),
    Box("same_work", "other records of the same work", _by("duplicate"), None, "duplicates"),
    Box("removed_otherwise", "records removed for other reasons", _OTHERWISE, "excluded_other", "removed"),
    Box("unusable", "entries without a usable DOI", ("unusable",), None, "removed_otherwise"),
    Box("not_understood", "records that could not be read", _by("not-understood"), None, "removed_otherwise"),
    Box("aliases", "DOIs redirected to another record", _by("alias"), None, "removed_otherwise"),
    Box("pending", "DOIs without a record", ("pending",), None, "removed_otherwise"),
    Box("screened", "Records screened", (*_by("include"), *_by("exclude"), *_by("unsure")), "records_screened"),
    Box("excluded", "Records excluded", _by("exclude"), "records_excluded"),
    Box("excluded_by_rule", "by automation tools (rules)", ("exclude:rule",), None, "excluded"),
    Box("excluded_by_person", "by a human (reviewers)", ("exclude:person",), None, "excluded"),
    Box("waiting", "Records waiting for a decision", _by("unsure")),
    Box("included", "Studies included in review", _by("include"), "new_studies"),
    Box("reports", "Reports of included studies", (*_by("include"), "report"), "new_reports", "included"),
    Box("decisions_to_check", "Decisions to look at again", ("conflict",)),
)
"""The boxes in the order of the diagram. The last one is not part of the flow: included and excluded works whose decision a
person should look at again. They are counted among the included and excluded, too."""

LAST = "9223372036854775807"
"""Later than any run."""


def _values(rows: Iterable[tuple[object, ...]]) -> str:
    quoted = (", ".join("null" if cell is None else f"'{cell}'" for cell in row) for row in rows)
    return ", ".join(f"({row})" for row in quoted)


_LISTED = _values((f"{n:02}", b.key, b.label, b.data, b.of) for n, b in enumerate(BOXES, start=1))
_FED = _values((b.key, part) for b in BOXES for part in b.parts)

BOXES_SQL = f"""
        with boxes (position, key, box, data, part_of) as (values {_LISTED}),
            fed (key, part) as (values {_FED}),
            parts as (select part, sum(n) as n from prisma_changes where run <= :run group by part)
        select cast(b.position as integer) as position, b.key, b.box, coalesce(sum(p.n), 0) as n, b.part_of, b.data
        from boxes b join fed f on f.key = b.key left join parts p on p.part = f.part
        group by b.position order by b.position
"""
"""All boxes as they were after the run `:run`."""

_FOUND_LISTED = ", ".join(f"'{part}'" for part in _FOUND)

SOURCES_SQL = f"""
        select c.source, coalesce(o.label, 'Found through a known DOI') as label, c.part as found_by,
            coalesce(o.retired, 0) as retired, sum(c.n) as n
        from prisma_changes c left join source_history o
            on o.source = c.source and o.first_run <= :run and coalesce(o.last_run > :run, 1)
        where c.part in ({_FOUND_LISTED}) and c.run > :since and c.run <= :run
        group by c.part, c.source order by c.part = 'other', c.part in ('list', 'citation'),
            c.part in ('website', 'organisation'), c.part = 'register', n desc, c.source
"""
"""Records identified through each source after the run `:since`, up to `:run`; a source that sources.yaml no longer names keeps
what it found."""

BY_PERSON = "Decided by a reviewer."

PERSONS_REASON = "By a reviewer: "
"""How the reason of an exclusion by a reviewer begins, where one is known; what follows is the reason as they gave it."""

REASON_GIVEN = f"""
            select substr(d.reason, 1, instr(d.reason || '{REASON_NOTES}', '{REASON_NOTES}') - 1) from decisions d
            where d.doi = {{doi}} and d.action = 'verdict' and d.verdict = 'exclude'
            order by d.made_at desc, d.decision desc limit 1"""
"""The reason that a reviewer gave for excluding a work, without the notes beside it, as the decisions shown now have it. A run
notes it in `verdict_history`; of earlier verdicts (`why` is null) the reason is looked up."""

_REASON_THEN = REASON_GIVEN.format(doi="h.doi").replace(
    "order by", "and d.made_at < coalesce((select min(started) from runs where run > :run), '9999') order by"
)

_REASON = f"""case when h.decided = 'rule' then h.why
            else coalesce('{PERSONS_REASON}' || coalesce(h.why, ({_REASON_THEN})), '{BY_PERSON}') end"""

REASONS_SQL = f"""
        select {_REASON}, count(*) as n
        from verdict_history h
        where h.verdict = 'exclude' and {TRUE_AFTER.format("h", "run")}
        group by 1 order by n desc, 1
"""
"""Why records were excluded, most frequent first. A reviewer's notes beside the reason are left out."""

RUN_OF_DAY = """
        select max(run) from runs where substr(started, 1, 10) <= :day
"""
"""The last run that had started by the end of a day (UTC)."""

SINCE_UPGRADE = """
        select max(r.started) from verdict_history h join runs r on r.run = h.noted
        where h.noted is not null and h.first_run <= :run and (h.last_run is null or h.last_run > :run) and h.noted > :run
"""
"""When the recording of verdicts began, for a run before that; else null. For earlier runs the verdicts of that day are
taken."""

VIEWS = {
    "prisma_records": RECORDS,
    "prisma_changes": CHANGES,
    "prisma": BOXES_SQL.replace(":run", LAST),
}


_IS_REPORT = f"""({{0}}.verdict = 'include' or {{0}}.verdict = 'duplicate' and exists (select 1 from verdict_history i
            where i.doi = {{0}}.same_as and i.verdict = 'include' and {TRUE_AFTER.format("i", "{1}")}))"""
"""That a row of `verdict_history` is of a report of a study that was included after that run."""

_COLUMN = f"case when {_FOUND_BY} in ('search', 'database', 'register') then 0 else 1 end"
"""The column of PRISMA's diagram that a record belongs to: 0, databases and registers; 1, other methods."""

KEYS = f"""
        with sighted as materialized (
            select doi, min(first_run) as first from sightings group by doi
        ), finder as materialized (
            select s.doi, g.first, min({_COLUMN}) as col
            from sighted g cross join sightings s on s.doi = g.doi and s.first_run = g.first
                join sources n on n.source = s.source left join source_history o on {_WAS.format("s")}
            group by s.doi
        ), landed as materialized (
            select doi, min(first_run) as landed from verdict_history where first_run <= :run group by doi
        ), moved as materialized ({_MOVED})
        select l.doi, case when f.first <= l.landed then f.col else 1 end as col, min(l.landed, coalesce(f.first, l.landed)),
            h.verdict, h.same_as, h.decided, case when h.verdict = 'exclude' then {_REASON} end, {_IS_REPORT.format("h", "run")},
            h.verdict = 'alias' and (h.doi, h.first_run) in (select m.doi, m.first_run from moved m),
            t.verdict, {_IS_REPORT.format("t", "since")}
        from landed l left join finder f on f.doi = l.doi
            left join verdict_history h on h.doi = l.doi and {TRUE_AFTER.format("h", "run")}
            left join verdict_history t on t.doi = l.doi and {TRUE_AFTER.format("t", "since")}
"""
"""Every record that had come by the run `:run`: its DOI, its column, the run that identified it, what it was after `:run`
(verdict, the record that represented it, who decided, reason of an exclusion, whether it is a report of an included study,
whether its key only led to another one), and what it was after `:since`. A record belongs to the column of the method that found
it first; where several did in one run, databases and registers come first."""

_PENDING = f"""
        select {_COLUMN}, count(*) from (
            select s.doi, s.source, s.first_run from sightings s
            where not exists (select 1 from verdict_history h where h.doi = s.doi and h.first_run <= :run)
            group by s.doi having s.first_run = min(s.first_run) and s.first_run > :since and s.first_run <= :run
        ) s join source_history o on {_WAS.format("s")} group by 1
"""
"""The DOIs whose record had not come, by column."""

_IDENTIFIED = f"""
        select part, sum(n) from prisma_changes where part in ({_FOUND_LISTED}) and run > :since and run <= :run group by 1
"""
_UNUSABLE = f"""
        select {_COLUMN}, count(*) from ({_REJECTED}) r left join source_history o on {_WAS.format("r")}
        where r.first_run > :since and r.first_run <= :run and coalesce(r.landed > :run, 1) group by 1
"""
_ALIASES = f"select alias, doi from aliases a where {TRUE_AFTER.format('a', 'run')}"

_SCREENED = ("include", "exclude", "unsure")
DATABASES, OTHER_METHODS = 0, 1


@dataclass(slots=True)
class Column:
    """The numbers of one column of PRISMA's diagram: identified by method, removed before screening, screened. `anew` are records
    of the previous version that were decided anew (they were waiting, excluded or removed); `reasons` are those of the
    excluded."""

    identified: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0
    removed_otherwise: int = 0
    anew: int = 0
    excluded_by: Counter[str] = field(default_factory=Counter)
    waiting: int = 0
    included: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def excluded(self) -> int:
        """Records excluded, by rules and by reviewers."""
        return self.excluded_by.total()

    @property
    def screened(self) -> int:
        """Records screened: they were excluded, wait for a decision, or were included."""
        return self.excluded + self.waiting + self.included


@dataclass(frozen=True, slots=True)
class Split:
    """The flow in two columns, of the records after the run `since` (0: of all). `gone` says what became of the studies of the
    previous version that are not included any more, so that previous + new - gone = total, of studies and of reports."""

    databases: Column
    others: Column
    previous: int
    previous_reports: int
    gone: Counter[str]
    gone_reports: int
    new_reports: int
    total: int
    total_reports: int

    @property
    def new(self) -> int:
        """The studies that were not included in the previous version."""
        return self.databases.included + self.others.included

    @property
    def columns(self) -> tuple[Column, Column]:
        """Both."""
        return self.databases, self.others


class _Record(NamedTuple):
    """A row of KEYS: a record `now` and `then`."""

    doi: str
    column: int
    identified: int
    now: str | None
    same_as: str | None
    decided: str | None
    reason: str
    is_report: int | None
    moved: int
    then: str | None
    was_report: int | None


def read_split(conn: sqlite3.Connection, run: int | None = None, since: int = 0) -> Split:
    """The flow after `run` (None: now) in two columns: of all records, or of what came after the run `since`.

    A work whose record was merged, or whose DOI leads to another one now, stays the same study: it is neither gone nor new. Two
    included studies that turned out to be one are one less.
    """
    until = {"run": int(LAST) if run is None else run, "since": since}
    cursor = conn.cursor()
    cursor.row_factory = None
    records = [_Record(*row) for row in cursor.execute(KEYS, until)]
    before, moved_from = _known_before(records, dict(cursor.execute(_ALIASES, until).fetchall()), since)
    columns = (Column(), Column())
    found_again = _identified(cursor, until, columns)  # all times a record was found, but the first of each
    for record in records:
        if record.moved:
            continue
        column, then = columns[record.column], before.get(record.doi, ())
        arrived = record.identified > since and record.doi not in moved_from
        found_again[record.column] -= arrived
        if record.now in _SCREENED:
            _count_screened(column, record, then, arrived)
        elif arrived:
            column.duplicates += record.now == "duplicate"
            column.removed_otherwise += record.now != "duplicate"
    for column, again in zip(columns, found_again, strict=True):
        column.duplicates += again
    previous = sum(record.then == "include" for record in records)
    kept = sum(r.now == "include" and "include" in (r.then, *before.get(r.doi, ())) for r in records)
    reports = Counter((bool(record.was_report), bool(record.is_report)) for record in records)
    return Split(
        *columns,
        previous=previous,
        previous_reports=reports[True, True] + reports[True, False],
        gone=_gone(records, before, previous - kept),
        gone_reports=reports[True, False],
        new_reports=reports[False, True],
        total=kept + columns[0].included + columns[1].included,
        total_reports=reports[True, True] + reports[False, True],
    )


def _identified(cursor: sqlite3.Cursor, until: dict[str, int], columns: tuple[Column, Column]) -> list[int]:
    """Count what each method found, and what was no record; returns how many finds each column has left."""
    for part, n in cursor.execute(_IDENTIFIED, until).fetchall():
        columns[DATABASES if part in ("search", "database", "register") else OTHER_METHODS].identified[part] += n
    left = [column.identified.total() for column in columns]
    for sql in (_UNUSABLE, _PENDING):
        for col, n in cursor.execute(sql, until).fetchall():
            columns[col].removed_otherwise += n
            left[col] -= n
    return left


def _known_before(
    records: Sequence[_Record], aliases: Mapping[str, str], since: int
) -> tuple[dict[str, list[str]], set[str]]:
    """What other records of a work were then, by the record that represents the work now; and the records that only took over
    from a key that had been identified by then."""
    represented = {record.doi: record.same_as for record in records if record.now == "duplicate"}
    before: dict[str, list[str]] = {}
    moved_from = set()
    for record in records:
        if record.now in _SCREENED or record.identified > since:
            continue
        leads_to = aliases.get(record.doi, record.doi)
        if record.moved:
            moved_from.add(leads_to)
        if record.then in _SCREENED:
            before.setdefault(represented.get(leads_to) or leads_to, []).append(record.then or "")
    return before, moved_from


def _count_screened(column: Column, record: _Record, before: Sequence[str], arrived: bool) -> None:
    """Count a record that is included, excluded or waiting, unless that was so before. `before` is what other records of its work
    were."""
    if arrived and before:  # another record of a work that was here
        column.duplicates += 1
    if record.then == "include" or "include" in before:
        return  # a study of the previous version: it is still included, or gone
    was = record.then if record.then in _SCREENED else next((v for v in _SCREENED if v in before), None)
    if was == record.now:
        return
    column.anew += not arrived or bool(before)
    if record.now == "include":
        column.included += 1
    elif record.now == "unsure":
        column.waiting += 1
    else:
        column.excluded_by[record.decided or ""] += 1
        column.reasons[record.reason] += 1


def _gone(records: Sequence[_Record], before: Mapping[str, Sequence[str]], gone: int) -> Counter[str]:
    """What became of the `gone` studies of the previous version: excluded, waiting again, or merged with another study."""
    found: Counter[str] = Counter()
    for record in records:
        if record.now in ("exclude", "unsure"):
            found[record.now] += [record.then, *before.get(record.doi, ())].count("include")
    found["merged"] = gone - found.total()
    return +found


_PREVIOUS = (
    Box("previous_studies", "Studies included in previous version of review", (), "previous_studies"),
    Box(
        "previous_reports",
        "Reports of these studies",
        (),
        "previous_reports",
        "previous_studies",
    ),
)
_ANEW = Box("anew", "Records of previous version decided anew", ())
_NEW_LABELS = {"included": "New studies included in review", "reports": "New reports of included studies"}
_TOTAL = (
    Box("gone", "Studies of previous version no longer included", ()),
    Box("gone_excluded", "excluded since", (), None, "gone"),
    Box("gone_waiting", "waiting for a decision again", (), None, "gone"),
    Box("gone_merged", "found to be the same study as another", (), None, "gone"),
    Box("gone_reports", "Reports of previous version no longer counted", (), None, "gone"),
    Box("total_studies", "Total studies included in review", (), "total_studies"),
    Box("total_reports", "Reports of total included studies", (), "total_reports", "total_studies"),
)
_LEFT_OUT = ("again", "same_work", "unusable", "not_understood", "aliases", "pending", "decisions_to_check")
"""Boxes that the flow of an update does not have."""


def _boxes_of_update() -> Iterator[Box]:
    for box in BOXES:
        if box.key == "identified":
            yield from _PREVIOUS
        if box.key == "screened":
            yield _ANEW
        if box.key not in _LEFT_OUT:
            yield replace(box, label=_NEW_LABELS.get(box.key, box.label))
    yield from _TOTAL


def _numbers_of_update(split: Split) -> dict[str, int]:
    identified: Counter[str] = Counter()
    for column in split.columns:
        identified += column.identified

    def both(name: str) -> int:
        return sum(getattr(column, name) for column in split.columns)

    found = {box.key: sum(identified[part] for part in box.parts) for box in BOXES if set(box.parts) <= set(_FOUND)}
    return found | {
        "previous_studies": split.previous,
        "previous_reports": split.previous_reports,
        "removed": both("duplicates") + both("removed_otherwise"),
        "duplicates": both("duplicates"),
        "removed_otherwise": both("removed_otherwise"),
        "anew": both("anew"),
        "screened": both("screened"),
        "excluded": both("excluded"),
        "excluded_by_rule": sum(column.excluded_by["rule"] for column in split.columns),
        "excluded_by_person": sum(column.excluded_by["person"] for column in split.columns),
        "waiting": both("waiting"),
        "included": split.new,
        "reports": split.new_reports,
        "gone": split.gone.total(),
        "gone_excluded": split.gone["exclude"],
        "gone_waiting": split.gone["unsure"],
        "gone_merged": split.gone["merged"],
        "gone_reports": split.gone_reports,
        "total_studies": split.total,
        "total_reports": split.total_reports,
    }


@dataclass(frozen=True, slots=True)
class Flow:
    """The flow after one run (None: as it is now). `boxes` and `sources` are rows of BOXES_SQL and SOURCES_SQL; `excluded` is
    (reason, n); `recorded_from` is when verdicts began to be recorded, where the flow is of before that. `since` is the run of
    the previous version of the review, of whose flow only what came later is counted; None: all is counted."""

    run: int | None
    boxes: tuple[dict[str, Any], ...]
    sources: tuple[dict[str, Any], ...]
    excluded: tuple[tuple[str, int], ...]
    recorded_from: str | None
    since: int | None = None

    def __getitem__(self, key: str) -> int:
        """The number in a box."""
        return next(int(box["n"]) for box in self.boxes if box["key"] == key)

    def depth(self, key: str) -> int:
        """How many boxes contain this one."""
        above = next(box["part_of"] for box in self.boxes if box["key"] == key)
        return self.depth(above) + 1 if above else 0

    def reasons(self, most: int) -> list[tuple[str | None, int]]:
        """The most frequent reasons for exclusion; all others, if any, as one whose text is None. They add up to the
        excluded."""
        named: list[tuple[str | None, int]] = [*self.excluded[:most]]
        rest = sum(n for _, n in self.excluded[most:])
        return [*named, (None, rest)] if rest else named


def read_flow(conn: sqlite3.Connection, run: int | None = None) -> Flow:
    """The flow as it was after `run`, or (None) as it is now."""
    until = {"run": int(LAST) if run is None else run, "since": 0}
    cursor = conn.cursor()
    cursor.row_factory = None  # the site's connection makes rows of another type
    boxes, sources = (tuple(dict_rows(cursor, sql, until)) for sql in (BOXES_SQL, SOURCES_SQL))
    excluded = tuple(cursor.execute(REASONS_SQL, until).fetchall())
    ((recorded_from,),) = cursor.execute(SINCE_UPGRADE, until).fetchall()
    return Flow(run, boxes, sources, excluded, recorded_from)


def read_update(conn: sqlite3.Connection, run: int | None, since: int) -> Flow:
    """The flow of an update of the review: what the version after the run `since` had, what came after it up to `run` (None:
    now), and the total:

        identified - removed + anew = screened = excluded + waiting + included
        previous studies + included - gone = total studies
    """
    until = {"run": int(LAST) if run is None else run, "since": since}
    cursor = conn.cursor()
    cursor.row_factory = None
    split = read_split(conn, run, since)
    numbers = _numbers_of_update(split)
    boxes = tuple(
        {"position": n, "key": b.key, "box": b.label, "n": numbers[b.key], "part_of": b.of, "data": b.data}
        for n, b in enumerate(_boxes_of_update(), start=1)
    )
    reasons = split.databases.reasons + split.others.reasons
    sources = tuple(dict_rows(cursor, SOURCES_SQL, until))
    ((recorded_from,),) = cursor.execute(SINCE_UPGRADE, {"run": since}).fetchall()
    return Flow(run, boxes, sources, most_first(reasons), recorded_from, since)


def most_first(reasons: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    """Reasons with their numbers, the most frequent first, in the order of REASONS_SQL."""
    return tuple(sorted(reasons.items(), key=lambda found: (-found[1], found[0])))


def run_of_day(conn: sqlite3.Connection, day: str) -> int:
    """The last run that had started by the end of this day (ISO, UTC); 0 when there was none."""
    cursor = conn.cursor()
    cursor.row_factory = None
    ((run,),) = cursor.execute(RUN_OF_DAY, {"day": day}).fetchall()
    return run or 0
