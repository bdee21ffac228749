"""Reports on the searches of a review, as text: the PRISMA 2020 flow, the searches as run (PRISMA-S), and works found
through citations.

Values in, text out; no SQL, no terminal, no clock. `database.prisma_flow` counts the boxes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from evidence import doi
from evidence.database.prisma_flow import Column, Flow, Split, most_first
from evidence.export.wording import count_noun

_RECORD_SOURCES = {
    "crossref": "Crossref REST API",
    "snapshot": "the bundled snapshot of Crossref records",
    "backfill": "Crossref's public data file",
}

_MOST_REASONS = 8
"""How many reasons for exclusion the report names."""


def flow_report(flow: Flow) -> str:
    """The text of `evidence report prisma`: the boxes of the PRISMA 2020 flow diagram; parts are indented, and parts without a
    record are left out."""
    lines = [
        f"{box['n']:>7}  {'  ' * flow.depth(box['key'])}{box['box']}"
        for box in flow.boxes
        if box["n"] or box["part_of"] is None
    ]
    lines += ["", "Records identified per source:"] if flow.sources else []
    lines += [f"{s['n']:>7}  {s['label']}{' (no longer used)' if s['retired'] else ''}" for s in flow.sources]
    lines += ["", "Reasons for exclusion:"] if flow["excluded"] else []
    lines += [f"{n:>7}  {why or 'other reasons'}" for why, n in flow.reasons(_MOST_REASONS)]
    if flow.recorded_from:
        since = f"Verdicts have been recorded since {flow.recorded_from[:10]}."
        lines += ["", f"{since} For an earlier day, the verdicts of that date are used."]
    return "\n".join(lines)


def title(as_of: str | None, since: str | None) -> str:
    """The title of a drawing of the flow."""
    return "PRISMA 2020 flow" + (f", {as_of}" if as_of else "") + (f", since {since}" if since else "")


def as_json(flow: Flow, split: Split, as_of: str | None, since: str | None) -> dict[str, Any]:
    """The flow for programs: the boxes, the sources, the reasons for exclusion, and the numbers of the two columns."""
    columns = {"databases": split.databases, "other_methods": split.others}
    return {
        "as_of": as_of or None,
        "since": since or None,
        "run": flow.run,
        "since_run": flow.since,
        "boxes": flow.boxes,
        "sources": flow.sources,
        "excluded": [{"why": why, "n": n} for why, n in flow.excluded],
        "columns": {name: _column(column) for name, column in columns.items()},
    }


def _column(column: Column) -> dict[str, Any]:
    return {
        "identified": dict(column.identified),
        "duplicates": column.duplicates,
        "removed_otherwise": column.removed_otherwise,
        "anew": column.anew,
        "screened": column.screened,
        "excluded": column.excluded,
        "waiting": column.waiting,
        "included": column.included,
        "reasons": dict(most_first(column.reasons)),
    }


def searches_report(rows: Sequence[dict[str, Any]], imports: Sequence[dict[str, Any]] = ()) -> str:
    """The text of `evidence report prisma-s`: each search as it was run. `rows` are of `read_queries.searches_as_run`,
    `imports` of `read_queries.imports_as_run`."""
    lines = []
    for row in rows:
        contains = ", ".join(json.loads(row["phrases"] or "[]"))
        if also := ", ".join(json.loads(row["also"] or "[]")):
            contains += f"; and also: {also}"
        if row.get("backfill"):
            lines += _searched_whole(row, contains)
            continue
        requests, records = count_noun(row["requests"], "request"), count_noun(row["scanned"], "record")
        lines += [
            f"{row['label']} ({row['source']})",
            f"  database: {_RECORD_SOURCES.get(row['door'], row['door'])}",
            f"  query: {row['query']}",
            f"  limits: {row['filters'] or 'no filter'}; years {_years(row['years'])}",
            f"  title or abstract contains: {contains}",
            f"  run: {row['first_asked']} to {row['last_asked']}, {requests}, {records} read",
            f"  works found: {row['works']}",
            *([f"  depth: {search_depth(row['depth'])}"] if row["depth"] else []),
        ]
    for row in imports:
        lines.append(f"{row['label']} ({row['source']})")
        lines.append(f"  method: {row['method']}, imported files")
        lines += [] if row["imports"] else ["  files: not known for then, because more were imported since"]
        for each in row["imports"]:
            lines += [
                f"  database: {each['database'] or 'not stated'}",
                f"  search: {each['search'] or 'not stated'}",
                f"  date of the search: {each['date'] or 'not stated'}; files: {', '.join(each['files'])}",
            ]
        lines.append(f"  records: {row['records']}; works found: {row['works']}")
    return "\n".join(lines) or "No search has been run yet."


def _searched_whole(row: dict[str, Any], contains: str) -> list[str]:
    """A search over Crossref's public data file, of which every record is read: no query ranks them."""
    said = row["backfill"]
    files, records = count_noun(said["files"], "file"), count_noun(said["records"], "record")
    return [
        f"{row['label']} ({row['source']})",
        f"  database: Crossref's public data file of {said['dated']}",
        "  query: none; every record was read",
        f"  limits: {row['filters'] or 'no filter'}; years {_years(row['years'])}",
        f"  title or abstract contains: {contains}",
        f"  run: {row['first_asked']} to {row['last_asked']}, {files}, {records} read",
        f"  works found: {row['works']}",
    ]


def search_depth(row: dict[str, Any]) -> str:
    """How much of its ranked list a search has read, and what it may have missed. `row` is of the view `searches_read`."""
    if row["ended"] == "unread":
        return "not yet read completely at Crossref"
    read = f"{row['reached']:,} of {row['total']:,} ranked records"
    if row["ended"] == "unfinished":
        return f"not yet read completely: {read} so far"
    part = ""
    if row["windows"] > 1:
        read, part = f"{read} in {row['windows']} parts by date of creation", " of its part"
    if row["last_match"] is None:
        last = "none matched"
    else:
        last = f"last match at rank {row['last_match']:,}{part}; {row['recent']:,} of the last 1,000 matched"
    missed = {
        "complete": "all were read",
        "quiet": "reading stopped because matches had become rare; a match further down would be missed",
        "cut": f"not complete: {row['unread']:,} that match the query were not read",
    }
    later = row["quiet_increments"]
    return f"read {read}; {last}; {missed[row['ended']]}" + (
        f"; {count_noun(later, 'later update')} stopped for the same reason" if later else ""
    )


def cited_works_report(rows: Sequence[dict[str, Any]], least: int) -> str:
    """The text of `evidence snowball`: how many included works cite each work, and its link. `rows` are of
    `read_queries.cited_but_not_here`, asked for at least `least` citing works."""
    if not rows:
        works = "one included work" if least == 1 else f"{least} included works"
        return f"No work outside the database is cited by at least {works}."
    return "\n".join(f"{row['cited_by']:>5}  {doi.url(row['doi'])}" for row in rows)


def _years(spec: str | None) -> str:
    first, last = json.loads(spec or "[null, null]")
    return f"{first or ''}–{last or ''}" if first or last else "any"
