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
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from evidence.data_model import REASON_NOTES
from evidence.database.sql_helpers import dict_rows

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
        select {_FOUND_BY}, r.source, r.first_run, count(*) from rejects r left join source_history o on {_WAS.format("r")}
            where r.doi is null or not exists (select 1 from verdict_history h where h.doi = r.doi) group by 1, 2, 3
        union all
        select 'unusable', null, r.first_run, count(*) from rejects r
            where r.doi is null or not exists (select 1 from verdict_history h where h.doi = r.doi) group by 3
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
        where c.part in ({_FOUND_LISTED}) and c.run <= :run
        group by c.part, c.source order by c.part = 'other', c.part in ('list', 'citation'),
            c.part in ('website', 'organisation'), c.part = 'register', n desc, c.source
"""
"""Records identified through each source; a source that sources.yaml no longer names keeps what it found."""

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

REASONS_SQL = f"""
        select case when h.decided = 'rule' then h.why
            else coalesce('{PERSONS_REASON}' || coalesce(h.why, ({_REASON_THEN})), '{BY_PERSON}') end, count(*) as n
        from verdict_history h
        where h.verdict = 'exclude' and h.first_run <= :run and (h.last_run is null or h.last_run > :run)
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


@dataclass(frozen=True, slots=True)
class Flow:
    """The flow after one run (None: as it is now). `boxes` and `sources` are rows of BOXES_SQL and SOURCES_SQL; `excluded` is
    (reason, n); `recorded_from` is when verdicts began to be recorded, where the flow is of before that."""

    run: int | None
    boxes: tuple[dict[str, Any], ...]
    sources: tuple[dict[str, Any], ...]
    excluded: tuple[tuple[str, int], ...]
    recorded_from: str | None

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
    until = {"run": int(LAST) if run is None else run}
    cursor = conn.cursor()
    cursor.row_factory = None  # the site's connection makes rows of another type
    boxes, sources = (tuple(dict_rows(cursor, sql, until)) for sql in (BOXES_SQL, SOURCES_SQL))
    excluded = tuple(cursor.execute(REASONS_SQL, until).fetchall())
    ((recorded_from,),) = cursor.execute(SINCE_UPGRADE, until).fetchall()
    return Flow(run, boxes, sources, excluded, recorded_from)


def run_of_day(conn: sqlite3.Connection, day: str) -> int:
    """The last run that had started by the end of this day (ISO, UTC); 0 when there was none."""
    cursor = conn.cursor()
    cursor.row_factory = None
    ((run,),) = cursor.execute(RUN_OF_DAY, {"day": day}).fetchall()
    return run or 0
