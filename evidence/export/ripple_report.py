"""What a work touches, as text: the report of `evidence report ripple` in its formats, and the sentence in summaries and feeds.

A `Ripple` in, text out; `publish/ripple.py` reads one. The command, the page, the summary of a sync and the feed say it with
these words. No SQL, no terminal, no clock.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evidence.database.changes_since_last_run import parse_notice
from evidence.export.changes_report import RELATIONS
from evidence.export.csv_files import csv_line
from evidence.export.wording import count_noun, in_words, notice_participle, verdict_label

Row = Mapping[str, Any]

MEANING_OF_CELLS = (
    "With: the included works that the evidence map counts in the cell, this one among them. The map counts a retracted work "
    "like any other and marks the cell, so a retraction alone changes no number. Without: what remains when this work is taken "
    "out."
)


@dataclass(frozen=True, slots=True)
class Numbers:
    """Works of a cell; of them randomised trials, reviews that are no trials, and retracted ones."""

    works: int
    trials: int
    reviews: int
    retracted: int


@dataclass(frozen=True, slots=True)
class TouchedCell:
    """A cell of the evidence map: the values of its row and column, their labels, and its numbers with and without the work."""

    row: str
    column: str
    row_label: str
    column_label: str
    with_work: Numbers
    without: Numbers


@dataclass(frozen=True, slots=True)
class TouchedClaim:
    """A claim of an article that the work is cited for: how many citations it rests on, and at which places the work is."""

    article: str
    source: str
    claim: str
    says: str
    citations: int
    positions: tuple[int, ...]

    @property
    def alone(self) -> bool:
        """Whether nothing else is cited for it."""
        return self.citations == len(self.positions)


@dataclass(frozen=True, slots=True)
class TouchedList:
    """A reference list that cites the work: its source and label, and the lines as printed by their places."""

    source: str
    label: str
    lines: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class Lists:
    """Of the included works and of the reviews among them: how many there are, and of how many no reference list is known, so
    that it is not known whether they cite the work."""

    works: int
    works_unknown: int
    reviews: int
    reviews_unknown: int


@dataclass(frozen=True, slots=True)
class Ripple:
    """What a work touches.

    `doi` is the DOI it is kept under and `names` all that lead to it; `work` is None for one that is not here but is cited.
    `notices` are those it shows, with `stated_by`; `announced` those that were announced or withdrawn; `witnesses` who was asked
    about it. `reviews` and `others` are the included works that cite it, `not_included` counts the other works that do, by
    verdict. `related` are its preprints or the articles it is a preprint of, which show its notices. `claims` is None where the
    claims of articles are not known. `exports` are those that had the work, `other_exports` counts the others, and
    `recorded_since` is the day since which they are known (`earlier`: there were syncs before it).
    """

    doi: str
    names: tuple[str, ...]
    work: Row | None
    notices: tuple[Row, ...]
    announced: tuple[Row, ...]
    witnesses: tuple[Row, ...]
    reviews: tuple[Row, ...]
    others: tuple[Row, ...]
    not_included: Mapping[str, int]
    lists_known: Lists
    related: tuple[Row, ...]
    lists: tuple[TouchedList, ...]
    claims: tuple[TouchedClaim, ...] | None
    cells: tuple[TouchedCell, ...]
    exports: tuple[Row, ...]
    other_exports: int
    recorded_since: str | None
    earlier: bool
    published_only: bool
    decisions: tuple[Row, ...]

    @property
    def in_force(self) -> tuple[Row, ...]:
        """The notices on the work itself that no reinstatement reversed."""
        return tuple(n for n in self.notices if not n["undone"] and n["relation"] != "preprint")

    @property
    def emptied(self) -> int:
        """How many cells would be empty without the work."""
        return sum(cell.without.works == 0 for cell in self.cells)


# ---------------------------------------------------------------------- sentences


def touches(found: Ripple) -> str:
    """All that a work touches in one sentence: `It touches 2 included reviews and 1 other included work that cite it, …`."""
    reviews, others = len(found.reviews), len(found.others)
    citing = [count_noun(reviews, "included review")] if reviews else []
    if others:
        citing.append(count_noun(others, "other included work" if reviews else "included work"))
    parts = [f"{in_words(citing)} that {'cites' if reviews + others == 1 else 'cite'} it"] if citing else []
    if found.lists:
        parts.append(count_noun(len(found.lists), "reference list"))
    if found.claims:
        alone, n = sum(claim.alone for claim in found.claims), len(found.claims)
        rest = f"{alone} of them" if alone < n else "it" if n == 1 else "all of them"
        parts.append(count_noun(n, "claim") + (f" (for {rest} nothing else is cited)" if alone else ""))
    if found.cells:
        empty = f" ({found.emptied} would be empty without it)" if found.emptied else ""
        parts.append(f"{count_noun(len(found.cells), 'cell')} of the evidence map{empty}")
    parts += _counted_exports(found)
    if found.decisions:
        parts.append(count_noun(len(found.decisions), "decision"))
    return f"It touches {in_words(parts)}." if parts else "It touches nothing that is known here."


def _counted_exports(found: Ripple) -> list[str]:
    counts = [sum(row["kind"] == kind for row in found.exports) for kind in ("export", "publish")]
    named = ((counts[0], "export", "exports"), (counts[1], "published copy", "published copies"))
    return [f"{n:,} {one if n == 1 else many}" for n, one, many in named if n]


def standing(found: Ripple) -> list[str]:
    """Where the work stands, in sentences: its notices, those that were withdrawn, or that none is known."""
    said = [_notice(row, found.doi) for row in found.notices]
    named = {(row["kind"], row["notice_doi"]) for row in found.notices}
    for row in found.announced:
        if row["what"] == "notice-ended":
            ended = parse_notice(row["before"], row["doi"])
            if (ended.kind, ended.notice_doi) not in named:
                kind = _kind(ended.kind).capitalize()
                said.append(f"{kind} withdrawn, announced on {row['day']}: no record states it any more.")
    if found.in_force:
        return said
    if found.work is None:
        said.append("It is not in this database, so nobody is asked about notices on it.")
    elif not found.notices:
        said.append("No retraction, expression of concern or correction of it is known.")
    return [*said, "If it were retracted, this is what it would touch."]


def _kind(kind: str) -> str:
    return kind.replace("-", " ")


def _notice(row: Row, doi: str) -> str:
    where = "" if row["stands_on"] == doi else f" (issued for {row['stands_on']}, {RELATIONS[row['relation']]})"
    day = f", {row['issued']}" if row["issued"] else ""
    undone = ", reversed by a later reinstatement" if row["undone"] else ""
    own = f": {row['notice_doi']}" if row["notice_doi"] not in (doi, row["stands_on"]) else ""
    return f"{_kind(row['kind']).capitalize()}{where}{day}{undone}, stated by {row['stated_by']}{own}."


def lists_sentence(known: Lists) -> str:
    """For how many included works it is not known whether they cite the work."""
    if not known.works_unknown:
        return "Reference lists as deposited with Crossref; every included work has one."
    among = f" ({known.reviews_unknown:,} of the {count_noun(known.reviews, 'review')})" if known.reviews else ""
    return (
        "Only reference lists that were deposited with Crossref can be read, and their entries with a DOI. No list is known of "
        f"{known.works_unknown:,} of the {count_noun(known.works, 'included work')}{among}: whether they cite it cannot be said."
    )


def not_included_sentence(counts: Mapping[str, int]) -> str:
    """How many works cite it that are not included; empty without any."""
    if not counts:
        return ""
    n = sum(counts.values())
    parts = [f"{count:,} {verdict_label(verdict)}" for verdict, count in counts.items()]
    are, cite = ("is", "cites") if n == 1 else ("are", "cite")
    return f"{count_noun(n, 'work')} that {are} not included {cite} it, too: {in_words(parts)}."


def claims_sentence(found: Ripple) -> str:
    """What is said where no claim is listed; empty where there are some."""
    if found.claims is None:
        return "Which claims of articles cite it is not known: no sources.yaml could be read."
    return "" if found.claims else "No claim of an article in sources.yaml cites it."


def cells_sentence(found: Ripple) -> str:
    """What is said where the work counts in no cell; empty where it counts in one."""
    if found.cells:
        return ""
    if found.work is None or found.work["verdict"] != "include":
        return "It is not included, so the evidence map does not count it."
    return "It has no tag on one of the axes of the evidence map, so it counts in no cell."


def exports_sentences(found: Ripple) -> list[str]:
    """How many recorded exports did not have it, and of which exports nothing is known."""
    return [*_exports_without(found), *_exports_unknown(found)]


def _exports_without(found: Ripple) -> list[str]:
    what = "published copies" if found.published_only else "exports and published copies"
    if found.exports:
        return [f"It was not in {found.other_exports:,} more recorded {what}."] if found.other_exports else []
    if found.other_exports:
        return [f"It was in none of the {found.other_exports:,} recorded {what}."]
    return [f"No {what} are recorded."]


def _exports_unknown(found: Ripple) -> list[str]:
    said = []
    if found.earlier:
        since = f"before {found.recorded_since}" if found.recorded_since else "so far"
        said.append(
            f"Exports and published copies made {since} were not recorded: whether it was in them is not known."
        )
    said.append("Files that visitors downloaded from the site are not recorded.")
    if found.published_only:
        said.append("Exported files are the reviewers’ own and are not listed here.")
    return said


def unknown(found: Ripple) -> list[str]:
    """What cannot be known, in sentences."""
    said = [lists_sentence(found.lists_known)] if found.lists_known.works_unknown else []
    said += [claims_sentence(found)] if found.claims is None else []
    return said + _exports_unknown(found)


def export_line(row: Row, notices: Sequence[Row]) -> str:
    """One export: when, what, of which works, and whether the notices of today were known then."""
    what = "Published copy" if row["kind"] == "publish" else f"Export as {row['format']}"
    name = f" “{row['name']}”" if row["name"] else " to standard output" if row["kind"] == "export" else ""
    asked = f" ({filters_in_words(row['filters'])})" if row["filters"] else ""
    works = f"{row['works']:,} {'included ' if row['kind'] == 'publish' else ''}work{'' if row['works'] == 1 else 's'}"
    state = f"state of run {row['run']}" if row["run"] else "before the first run had ended"
    going = f", while run {row['unfinished']} had not ended" if row["unfinished"] else ""
    return f"{row['made_at'][:16].replace('T', ' ')} {what}{name}{asked}: {works}, {state}{going}. {known_then(row, notices)}"


def known_then(row: Row, notices: Sequence[Row]) -> str:
    """Whether the notices on the work were known when an export was made: `Retraction not known then.`"""
    kinds = list(dict.fromkeys(notice["kind"] for notice in notices))
    if row["knew"] is None:
        return "Whether the notice was known then cannot be said."
    said = []
    if known := [kind for kind in kinds if kind in row["knew"]]:
        said.append(f"{in_words([_kind(kind) for kind in known]).capitalize()} known then.")
    if unknown := [kind for kind in kinds if kind not in row["knew"]]:
        said.append(f"{in_words([_kind(kind) for kind in unknown]).capitalize()} not known then.")
    if gone := [kind for kind in row["knew"] if kind not in kinds]:
        said.append(f"A {in_words([_kind(kind) for kind in gone])} was known then that no longer stands.")
    return " ".join(said) or "No notice was known then."


def filters_in_words(filters: Row) -> str:
    """`verdict include; tag design:rct and outcome:anxiety`."""
    return "; ".join(
        f"{name} {in_words(value) if isinstance(value, list) else value}" for name, value in sorted(filters.items())
    )


def decision_line(row: Row) -> str:
    """One decision: day, reviewer, what was decided and why."""
    if row["action"] == "verdict":
        what = verdict_label(row["verdict"])
    elif row["action"] == "withdraw":
        what = f"withdrew {row['facet'] + ':' + (row['value'] or '') if row['facet'] else 'the verdict'}"
    else:
        what = f"{'+' if row['action'] == 'tag' else '−'}{row['facet']}:{row['value']}"
    return f"{row['made_at'][:10]} {row['reviewer']}: {what} — {row['reason']}"


def work_line(row: Row) -> str:
    """A work in one line, with its notice."""
    where = " ".join(str(part) for part in (row["container"], row["year"]) if part)
    notice = f" [{notice_participle(row['notice'])}]" if row["notice"] else ""
    return f"{row['doi']}: {row['title'] or 'no title'}{f'. {where}' if where else ''}{notice}"


def claim_line(claim: TouchedClaim) -> str:
    """A claim with what it rests on."""
    places = in_words([f"no. {position}" for position in claim.positions])
    rests = "it rests on this work alone" if claim.alone else f"it rests on {count_noun(claim.citations, 'citation')}"
    return f"{claim.article}: “{claim.says}” (cites it as {places}; {rests})"


def cell_line(cell: TouchedCell) -> str:
    """`IPT × Depressive symptoms: 40 → 39 works, 12 → 11 randomised trials, 3 reviews, 1 retracted`."""
    with_work, without = cell.with_work, cell.without
    parts = [f"{change(with_work.works, without.works)} works"]
    for name, label in (("trials", "randomised trials"), ("reviews", "reviews"), ("retracted", "retracted")):
        before, after = getattr(with_work, name), getattr(without, name)
        if before:
            parts.append(f"{change(before, after)} {label}")
    return f"{cell.row_label} × {cell.column_label}: {', '.join(parts)}"


def change(before: int, after: int) -> str:
    """A number with and without the work: `40 → 39`, or `40` where it makes no difference."""
    return f"{before:,}" if before == after else f"{before:,} → {after:,}"


# ---------------------------------------------------------------------- reports


def sections(found: Ripple) -> list[tuple[str, list[str], list[str]]]:
    """The parts of the report in order: heading, lines of the list, sentences below it."""
    return [
        (f"Included reviews that cite it ({len(found.reviews):,})", [*map(work_line, found.reviews)], []),
        (
            f"Other included works that cite it ({len(found.others):,})",
            [*map(work_line, found.others)],
            [*filter(None, [not_included_sentence(found.not_included)]), lists_sentence(found.lists_known)],
        ),
        *([("Its preprint or published article", [*map(work_line, found.related)], [])] if found.related else []),
        (
            f"Reference lists that cite it ({len(found.lists):,})",
            [f"{one.label}, no. {position}: {text}" for one in found.lists for position, text in one.lines],
            [],
        ),
        (
            f"Claims that cite it ({len(found.claims or ()):,})",
            [*map(claim_line, found.claims or ())],
            [*filter(None, [claims_sentence(found)])],
        ),
        (
            f"Cells of the evidence map, with it → without it ({len(found.cells):,})",
            [*map(cell_line, found.cells)],
            [MEANING_OF_CELLS if found.cells else cells_sentence(found)],
        ),
        (
            f"Exports and published copies that had it ({len(found.exports):,})",
            [export_line(row, found.in_force) for row in found.exports],
            exports_sentences(found),
        ),
        (f"Decisions on it ({len(found.decisions):,})", [*map(decision_line, found.decisions)], []),
    ]


def title_lines(found: Ripple) -> list[str]:
    """What the work is, and under which DOIs it is known."""
    work = found.work
    title = f"{found.doi}: {work['title'] or 'no title'}" if work else f"{found.doi}: not in this database"
    about = " ".join(str(part) for part in (work["authors"], work["container"], work["year"]) if part) if work else ""
    also = in_words([name for name in found.names if name != found.doi])
    return [title, *filter(None, [about, f"Also known here as {also}." if also else ""])]


def as_text(found: Ripple) -> Iterator[str]:
    """A page to read."""
    yield "\n".join([*title_lines(found), *standing(found), *_witness_lines(found), touches(found)]) + "\n"
    for heading, lines, below in sections(found):
        yield f"\n{heading}{':' if lines or below else ''}\n"
        yield from (f"  {line}\n" for line in lines)
        yield from (f"{sentence}\n" for sentence in below)


def _witness_lines(found: Ripple) -> list[str]:
    told = [f"{row['label']} ({row['asked']}): {row['says']}" for row in found.witnesses]
    return [f"About retractions: {'; '.join(told)}."] if told else []


def as_markdown(found: Ripple) -> Iterator[str]:
    """The same for an issue, an e-mail or a notebook; the cells are a table."""
    first, *rest = title_lines(found)
    yield f"# {_escaped(first)}\n\n"
    yield "\n\n".join(map(_escaped, (*rest, *standing(found), *_witness_lines(found), touches(found)))) + "\n"
    for heading, lines, below in sections(found):
        yield f"\n## {_escaped(heading)}\n\n"
        if heading.startswith("Cells") and found.cells:
            yield from _cell_table(found.cells)
        else:
            yield from (f"- {_escaped(line)}\n" for line in lines)
        yield from (f"\n{_escaped(sentence)}\n" for sentence in below)


def _cell_table(cells: Sequence[TouchedCell]) -> Iterator[str]:
    names = ("works", "trials", "reviews", "retracted")
    yield f"| cell | {' | '.join(names)} |\n|---|{'---|' * len(names)}\n"
    for cell in cells:
        changes = [change(getattr(cell.with_work, name), getattr(cell.without, name)) for name in names]
        yield f"| {_escaped(f'{cell.row_label} × {cell.column_label}')} | {' | '.join(changes)} |\n"


def _escaped(text: str) -> str:
    return "".join(f"\\{c}" if c in "\\`*_[]<>|#" else c for c in text)


def as_dict(found: Ripple) -> dict[str, Any]:
    """What JSON has: everything, with the sentence of `touches`."""
    return {
        "doi": found.doi,
        "names": list(found.names),
        "work": _shown(found.work) if found.work else None,
        "standing": standing(found),
        "touches": touches(found),
        "notices": [dict(row) for row in found.notices],
        "announced": [dict(row) for row in found.announced],
        "asked": [dict(row) for row in found.witnesses],
        "reviews": [*map(_shown, found.reviews)],
        "other_included_works": [*map(_shown, found.others)],
        "not_included": dict(found.not_included),
        "reference_lists_known": {
            "included_works": found.lists_known.works,
            "included_works_without": found.lists_known.works_unknown,
            "reviews": found.lists_known.reviews,
            "reviews_without": found.lists_known.reviews_unknown,
        },
        "related": [*map(_shown, found.related)],
        "reference_lists": [
            {"source": one.source, "label": one.label, "citations": [{"n": n, "text": text} for n, text in one.lines]}
            for one in found.lists
        ],
        "claims": None
        if found.claims is None
        else [
            {
                "article": claim.article,
                "source": claim.source,
                "claim": claim.claim,
                "says": claim.says,
                "citations": claim.citations,
                "cites_it_as": list(claim.positions),
            }
            for claim in found.claims
        ],
        "cells": [
            {
                "row": cell.row,
                "column": cell.column,
                "with": _numbers(cell.with_work),
                "without": _numbers(cell.without),
            }
            for cell in found.cells
        ],
        "exports": [dict(row) for row in found.exports],
        "other_exports": found.other_exports,
        "exports_recorded_since": found.recorded_since,
        "earlier_exports_unknown": found.earlier,
        "decisions": [dict(row) for row in found.decisions],
    }


def _shown(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in ("doi", "title", "authors", "container", "year", "verdict", "notice")}


def _numbers(numbers: Numbers) -> dict[str, int]:
    return {
        "works": numbers.works,
        "trials": numbers.trials,
        "reviews": numbers.reviews,
        "retracted": numbers.retracted,
    }


def as_json(found: Ripple) -> Iterator[str]:
    """One object."""
    yield json.dumps(as_dict(found), ensure_ascii=False, indent=1) + "\n"


COLUMNS = ("touched", "doi", "title", "year", "detail", "works_with", "works_without", "date")


def as_csv(found: Ripple) -> Iterator[str]:
    """A row for each thing that is touched, named in the first column; no cell starts a formula."""
    yield csv_line(COLUMNS)
    for kind, works in (("review", found.reviews), ("included work", found.others), ("related work", found.related)):
        for work in works:
            yield _csv_row(kind, doi=work["doi"], title=work["title"], year=work["year"], detail=work["notice"])
    for one in found.lists:
        for position, text in one.lines:
            yield _csv_row("reference list", title=one.label, detail=f"no. {position}: {text}")
    for claim in found.claims or ():
        yield _csv_row("claim", title=claim.article, detail=f"{claim.claim}: {claim.says}")
    for cell in found.cells:
        yield _csv_row(
            "cell",
            title=f"{cell.row_label} × {cell.column_label}",
            detail=f"{cell.row}; {cell.column}",
            works_with=cell.with_work.works,
            works_without=cell.without.works,
        )
    for row in found.exports:
        detail = f"{filters_in_words(row['filters'])}; {known_then(row, found.in_force)}".lstrip("; ")
        kind = "published copy" if row["kind"] == "publish" else "export"
        yield _csv_row(kind, title=row["name"], detail=detail, works_with=row["works"], date=row["made_at"])
    for sentence in unknown(found):
        yield _csv_row("not known", detail=sentence)
    for row in found.decisions:
        yield _csv_row("decision", detail=decision_line(row), date=row["made_at"])


def _csv_row(touched: str, **values: object) -> str:
    cells = {"touched": touched, **values}
    return csv_line(cells.get(name) for name in COLUMNS)


REPORTS: dict[str, Callable[[Ripple], Iterator[str]]] = {
    "text": as_text,
    "json": as_json,
    "csv": as_csv,
    "markdown": as_markdown,
}
