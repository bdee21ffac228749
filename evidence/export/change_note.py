"""What changed between two states of a review, fit to paste as a version note: text, Markdown, HTML, JSON.

`evidence report changes` and the mail are made of it. Values in, text out: no SQL, no terminal, no clock. `publish.version_note`
reads the values. The items are those of PRISMA-LSR (Akl et al. 2024, doi:10.1136/bmj-2024-079183).
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from evidence import doi as dois
from evidence.database import changes_since_last_run
from evidence.database.prisma_flow import Flow
from evidence.database.read_net_change import NetChange
from evidence.export import changes_report, paste
from evidence.export.paste import Below, Block, Heading, Items, Link, Paragraph, Table, Words, words
from evidence.export.search_report import Strategy
from evidence.export.wording import count_noun, verdict_label, work_name
from evidence.harvest.review_statements import FILE, Statements

Row = dict[str, Any]

_FLOW = ("identified", "duplicates", "screened", "excluded", "waiting", "included", "reports")
"""The boxes of the flow that the note compares."""


_TELLS = ("new", "verdict", "duplicate")
"""Kinds of changes whose line says already that a study came or left."""


@dataclass(frozen=True, slots=True)
class CellChange:
    """What happened to a cell of the evidence map: studies before and now, and how many came, left and got a notice
    since."""

    row: str
    column: str
    before: int
    now: int
    came: int
    left: int
    notices: int


@dataclass(frozen=True, slots=True)
class ClaimChange:
    """What happened to the support of a claim of an article. `notices` are new notices on the works that it cites or that are
    about it."""

    article: str
    claim: str
    says: str
    before: int
    now: int
    came: int
    left: int
    notices: int


@dataclass(frozen=True, slots=True)
class WatchNews:
    """What is new for a saved question of sources.yaml: its works then and now, those that entered and left (rows with doi and
    title), and the changes of works that are or were in it. `started` is the day from which it is watched, where that is later
    than the earlier state."""

    name: str
    filter: str
    before: int
    now: int
    entered: tuple[Row, ...]
    left: tuple[Row, ...]
    changes: tuple[Row, ...]
    started: str | None = None

    @property
    def anything(self) -> bool:
        """Whether there is anything new for it."""
        return bool(self.entered or self.left or self.changes)


@dataclass(frozen=True, slots=True)
class Note:
    """Everything that the report says. `version` is the name of the version that the present state is, `since` how the earlier
    state is named, `since_day` its day; `changes` are rows of `read_queries.changes`; `then_tags` says whether the cells before
    were counted with the tags of then, `untagged` how many studies that left have no tags today. `only` is the name of the one
    watch that was asked for; `past` says that it is not about the present state."""

    title: str
    day: str
    version: str | None
    since: str
    since_day: str | None
    net: NetChange
    changes: tuple[Row, ...]
    cells: tuple[CellChange, ...]
    then_tags: bool
    untagged: int
    claims: tuple[ClaimChange, ...] | None
    searches: tuple[Strategy, ...]
    sync_days: tuple[str, ...]
    sources: tuple[Row, ...]
    programs: tuple[str | None, str | None]
    flows: tuple[Flow, Flow]
    stated: Statements
    watches: tuple[WatchNews, ...] = ()
    only: str | None = None
    past: bool = False

    @property
    def anything(self) -> bool:
        """Whether anything is new: an announced change, a study that came or left, or news of a watch."""
        if self.only is not None:
            return any(watch.anything for watch in self.watches)
        return bool(self.changes or self.net.came or self.net.left or any(watch.anything for watch in self.watches))

    @property
    def headline(self) -> str:
        """`Version 3, 2026-11-27: +12, −1`."""
        if self.only is not None:
            (watch,) = self.watches
            return f"{watch.name}, {self.day}: +{len(watch.entered):,}, −{len(watch.left):,}"
        name = f"Version {self.version}, {self.day}" if self.version else self.day
        return f"{name}: {self.net.signed}"


def escaped(text: str) -> str:
    """A text as it stands in HTML."""
    return html.escape(text)


def watch_summary(watch: WatchNews) -> str:
    """What is new for a watch in one line, for the summary of a sync."""
    counts = changes_since_last_run.counts_by_kind(watch.changes)
    more = f"; {changes_report.change_counts(counts)}" if counts else ""
    return f"Watch “{watch.name}”: +{len(watch.entered):,}, −{len(watch.left):,}, {count_noun(watch.now, 'work')} now{more}."


def blocks(note: Note) -> list[Block]:
    """The report as a document, its most important part first."""
    found: list[Block] = [Heading(1, note.headline)]
    if note.only is not None:
        return found + [block for watch in note.watches for block in _watch(watch, note, alone=True)]
    if not note.anything:
        return [*found, Paragraph(words("Nothing is new or changed."))]
    found += (changed(note.changes) if note.changes else [Paragraph(words("No announced change."))]) + _studies(note)
    for watch in note.watches:
        if watch.anything:
            found += _watch(watch, note)
    found += _cells(note) + _claims(note) + _searches(note) + _reporting(note)
    return found


def as_text(note: Note) -> Iterator[str]:
    """The report in plain text."""
    yield "\n".join(paste.as_text(blocks(note))) + "\n"


def as_markdown(note: Note) -> Iterator[str]:
    """The report in Markdown, for a manuscript, an issue or a page."""
    yield "\n".join(paste.as_markdown(blocks(note))) + "\n"


def as_html(note: Note) -> Iterator[str]:
    """The report as a part of a page in HTML."""
    yield "\n".join(paste.as_html(blocks(note))) + "\n"


def as_json(note: Note) -> Iterator[str]:
    """The report as one JSON object."""
    yield json.dumps(as_dict(note), ensure_ascii=False) + "\n"


def as_dict(note: Note) -> dict[str, Any]:
    """What JSON has. Its keys are documented in docs/what-changed.md, and keep their meaning."""
    net, (before, now) = note.net, note.flows
    return {
        "headline": note.headline,
        "anything_new": note.anything,
        "title": note.title,
        "version": note.version,
        "day": note.day,
        "run": net.until,
        "since": {"label": note.since, "day": note.since_day, "run": net.since},
        "included": {
            "before": net.before,
            "now": net.now,
            "came": [_study(row) for row in net.came],
            "left": [_study(row) for row in net.left],
            "moved": [{"from": old, "to": new} for old, new in net.moved],
        },
        "changes": list(note.changes),
        "cells": {
            "tags": "then" if note.then_tags else "today",
            "left_without_tags": note.untagged,
            "changed": [_fields(cell) for cell in note.cells],
        },
        "claims": None if note.claims is None else [_fields(claim) for claim in note.claims],
        "searches": [
            {
                "source": each.source,
                "label": each.label,
                "days": each.days,
                "requests": each.total("requests"),
                "rows_scanned": each.total("scanned"),
                "matched": each.total("matched"),
                "not_read": each.total("not_read"),
            }
            for each in note.searches
        ],
        "sources_changed": list(note.sources),
        "flow": {key: {"before": before[key], "now": now[key]} for key in _FLOW},
        "prisma_lsr": [
            {"item": item, "name": name, "known": list(known), "stated": said, "key": key}
            for item, name, known, said, key in reporting_items(note)
        ],
        "watches": [
            {
                "name": watch.name,
                "filter": watch.filter,
                "started": watch.started,
                "before": watch.before,
                "now": watch.now,
                "entered": list(watch.entered),
                "left": list(watch.left),
                "changes": list(watch.changes),
            }
            for watch in note.watches
        ],
    }


WRITERS = {"text": as_text, "markdown": as_markdown, "html": as_html, "json": as_json}


# ---------------------------------------------------------------------- the parts


def changed(rows: Sequence[Row]) -> list[Block]:
    """The number of changes of each kind, then a list for each kind, most serious first, with the words of the summary and the
    feed; rows of `read_queries.changes`."""
    counts = changes_report.change_counts(changes_since_last_run.counts_by_kind(rows))
    found: list[Block] = [Paragraph(words(f"{counts}."))]
    for what, group in groupby(rows, lambda row: row["what"]):
        of_kind = list(group)
        found.append(Heading(2, f"{changes_report.HEADINGS[what]} ({len(of_kind):,})"))
        lines: list[Words] = []
        for row in of_kind:
            below = [Below(row["touches"])] if row.get("touches") else []
            lines.append((*_linked(changes_report.change_sentence(row), row), *below))
        found.append(Items(tuple(lines), mark="  "))
    return found


def _linked(sentence: str, row: Mapping[str, Any]) -> Words:
    """The sentence with its work as a link, where the work has a DOI."""
    name = work_name(row["doi"], row["title"])
    if dois.is_local(row["doi"]) or name not in sentence:
        return words(sentence)
    before, _, after = sentence.partition(name)
    return words(*(part for part in (before, Link(name, dois.url(row["doi"])), after) if part))


def _studies(note: Note) -> list[Block]:
    net = note.net
    found: list[Block] = [Heading(2, "Included studies")]
    moved = f" {count_noun(len(net.moved), 'study')} is now kept under another DOI or record." if net.moved else ""
    if len(net.moved) > 1:
        moved = f" {len(net.moved):,} studies are now kept under another DOI or record."
    found.append(
        Paragraph(
            words(f"{_then(note)}: {net.before:,} included. Since then {net.signed}. Now: {net.now:,} included.{moved}")
        )
    )
    if net.recorded_from:
        found.append(
            Paragraph(
                words(
                    f"Verdicts have been recorded since {net.recorded_from[:10]}. For an earlier state, the verdicts of that "
                    "date are used."
                )
            )
        )
    told = {row["doi"] for row in note.changes if row["what"] in _TELLS}
    lines = tuple(
        _study_line(sign, row)
        for sign, rows in (("+", net.came), ("−", net.left))
        for row in rows
        if row["doi"] not in told
    )
    if lines:
        found.append(Items(lines))
    return found


def _then(note: Note) -> str:
    return note.since[:1].upper() + note.since[1:]


def _study_line(sign: str, row: Row) -> Words:
    name = work_name(row["doi"], row["title"])
    linked: str | Link = name if dois.is_local(row["doi"]) else Link(name, dois.url(row["doi"]))
    return words(f"{sign} ", linked, f" ({_why(row)})")


def _why(row: Row) -> str:
    if "was" in row:
        return {
            None: "new", "unsure": "was waiting for a decision", "exclude": "was excluded", "duplicate": "was a duplicate record",
        }.get(row["was"], "could not be used before")  # fmt: skip
    match row["is_now"]:
        case "duplicate" | "alias":
            return f"the same work as {row['reason']}" if row["reason"] else "another record of a work"
        case "exclude":
            return f"excluded: {row['reason'].rstrip('.')}" if row["reason"] else "excluded"
        case None:
            return "no longer here"
    return f"now {verdict_label(row['is_now'])}" if row["is_now"] != "not-understood" else "its record cannot be read"


def _cells(note: Note) -> list[Block]:
    found: list[Block] = [Heading(2, "Evidence map")]
    if note.past:
        return [
            *found,
            Paragraph(
                words(
                    "Cells and claims are counted for the present state only; `evidence rewind` writes a version’s own."
                )
            ),
        ]
    if not note.cells:
        return [
            *found,
            Paragraph(words("No cell of the evidence map has changed by studies that came, left or got a notice.")),
        ]
    basis = "with the tags of that version" if note.then_tags else "with today's tags"
    sentence = f"Included studies of each changed cell; the numbers before are counted {basis}."
    if note.untagged:
        sentence += (
            f" {count_noun(note.untagged, 'work')} that left {'has' if note.untagged == 1 else 'have'} no tags today and "
            f"{'is' if note.untagged == 1 else 'are'} in no cell."
        )
    rows = tuple(
        (
            f"{cell.row} × {cell.column}", f"{cell.before:,}", f"{cell.now:,}", f"+{cell.came:,}", f"−{cell.left:,}",
            f"{cell.notices:,}",
        )
        for cell in note.cells
    )  # fmt: skip
    return [*found, Paragraph(words(sentence)), Table(("cell", "before", "now", "came", "left", "new notices"), rows)]


def _claims(note: Note) -> list[Block]:
    if note.past:
        return []
    if note.claims is None:
        return [
            Heading(2, "Claims"),
            Paragraph(words("sources.yaml could not be read, so the claims of articles are not known.")),
        ]
    if not note.claims:
        return []
    lines = tuple(
        words(
            f"{claim.article}, “{claim.says}”: studies about it {claim.before:,} → {claim.now:,} (+{claim.came:,}, "
            f"−{claim.left:,})"
            + (
                f"; {count_noun(claim.notices, 'new notice')} on works that it cites or that are about it"
                if claim.notices
                else ""
            )
            + "."
        )
        for claim in note.claims
    )
    return [Heading(2, "Claims whose support changed"), Items(lines)]


def _searches(note: Note) -> list[Block]:
    if not note.searches:
        return [Heading(2, "Searches run since"), Paragraph(words("No search was run."))]
    rows = tuple(
        (
            f"{each.label} ({each.database})", each.days[0] if len(each.days) == 1 else f"{each.days[0]} to {each.days[-1]}",
            f"{each.total('scanned'):,}", f"{each.total('matched'):,}", f"{each.total('not_read'):,}",
        )
        for each in note.searches
    )  # fmt: skip
    return [
        Heading(2, "Searches run since"),
        Table(("search", "run on", "rows scanned", "matched", "not read"), rows),
    ]


def reporting_items(note: Note) -> list[tuple[str, str, tuple[str, ...], str | None, str | None]]:
    """The items of PRISMA-LSR: number, name, what is known, what prisma-s.yaml states, and the key that states it (None: nothing
    more is asked for)."""
    living = note.stated.living
    before, now = note.flows
    flow = "; ".join(f"{_box(now, key)} {before[key]:,} → {now[key]:,}" for key in _FLOW)
    ran = f"Searches ran on {', '.join(_some(note.sync_days))}." if note.sync_days else "No search ran."
    methods = [
        f"{'No longer used' if row['retired'] else 'Added'}: {row['label']} ({row['kind']})." for row in note.sources
    ]
    old, new = note.programs
    if old and new and old != new:
        methods.append(f"Program: evidence {old} → {new}.")
    if not methods:
        methods.append("No search, list or file was added or taken away, and the version of the program is the same.")
    version = (
        f"Version {note.version}."
        if note.version
        else "This state has no name as a version; evidence version NAME gives it one."
    )

    def item(number: str, name: str, known: Sequence[str], key: str | None) -> tuple[Any, ...]:
        return number, name, tuple(known), living.get(key) if key else None, key

    return [
        item("1", "Living, and the version", [version], None),
        item("3", "Why it is living", [], "reason"),
        item("3", "Preceding version", [f"{note.since}{f' ({note.since_day})' if _day_is_more(note) else ''}."], None),
        item("4", "Changes to the objectives", [], "changes_to_objectives"),
        item("L1", "Schedule of the searches", [ran], "schedule"),
        item("L1", "Next search", [], "next_search"),
        item("L1", "Schedule of the other steps", [], "other_steps"),
        item("L1", "Retirement from the living mode", [], "retirement"),
        item("L2", "Changes to the methods", methods, "changes_to_methods"),
        item("16", "What triggered this version", [], "trigger"),
        item("16", "Flow of records, before → now", [f"{flow}."], None),
        item("L3", "Changes to the results", [f"Included studies: {note.net.signed}."], "changes_to_results"),
        item("L4", "Authors and their roles", [], "authors"),
    ]


def _reporting(note: Note) -> list[Block]:
    lines, missing = [], []
    for number, name, known, said, key in reporting_items(note):
        sentences = [*known, *([said] if said else [])]
        if sentences:
            lines.append(words(f"{name} (item {number}): {' '.join(sentences)}"))
        if key and not said:
            missing.append(key)
    if missing:
        lines.append(words(f"Not stated: {', '.join(missing)}. Add them under “living:” in {FILE}."))
    return [Heading(2, "Reporting items for living reviews (PRISMA-LSR)"), Items(tuple(lines))]


def _watch(watch: WatchNews, note: Note, *, alone: bool = False) -> list[Block]:
    found: list[Block] = [] if alone else [Heading(2, f"Watch: {watch.name}")]
    if not watch.anything:
        return [*found, Paragraph(words(f"Nothing is new for “{watch.name}”. {count_noun(watch.now, 'work')} now."))]
    then = f"When it began to be watched, on {watch.started}" if watch.started else _then(note)
    found.append(
        Paragraph(
            words(
                f"{then}: {count_noun(watch.before, 'work')}. Since then +{len(watch.entered):,}, −{len(watch.left):,}. "
                f"Now: {watch.now:,}. Filter: {watch.filter}"
            )
        )
    )
    lines = [_watched_line(sign, row) for sign, rows in (("+", watch.entered), ("−", watch.left)) for row in rows]
    if lines:
        found.append(Items(tuple(lines)))
    if alone:
        found += changed(watch.changes) if watch.changes else []
    elif watch.changes:
        counts = changes_since_last_run.counts_by_kind(watch.changes)
        found.append(Paragraph(words(f"Changes of its works, listed above: {changes_report.change_counts(counts)}.")))
    return found


def _watched_line(sign: str, row: Row) -> Words:
    name = work_name(row["doi"], row["title"])
    return words(f"{sign} ", name if dois.is_local(row["doi"]) else Link(name, dois.url(row["doi"])))


def _box(flow: Flow, key: str) -> str:
    return str(next(box["box"] for box in flow.boxes if box["key"] == key)).lower()


def _some(days: Sequence[str]) -> list[str]:
    return [*days] if len(days) <= 4 else [days[0], f"{len(days) - 2} days between", days[-1]]


def _day_is_more(note: Note) -> bool:
    return note.since_day is not None and note.since_day not in note.since


def _study(row: Row) -> Row:
    return {key: value for key, value in row.items() if key != "number"}


def _fields(value: Any) -> Row:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}
