"""Changes of works as text: the lines of a report and of a summary, the labels on the site.

Rows of `read_queries.changes` in, text out; no SQL, no terminal, no clock. `database/changes_since_last_run.py` decides
what a change is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from evidence.database import changes_since_last_run
from evidence.export.wording import abstract_source_label, count_noun, first_few, verdict_label, work_name

RELATIONS = {
    "own": "an earlier DOI of this work",
    "record": "another record of this work",
    "article": "the published article of this preprint",
    "preprint": "a preprint of this work",
}
"""How the DOI that a notice was issued for is related to the work that shows it (`notices.Relation`)."""

_COUNTED = {
    "notice": ("notice", "notices"),
    "notice-ended": ("withdrawn notice", "withdrawn notices"),
    "reopened": ("decision to look at again", "decisions to look at again"),
    "gone": ("no longer in Crossref", "no longer in Crossref"),
    "back": ("in Crossref again", "in Crossref again"),
    "verdict": ("changed verdict", "changed verdicts"),
    "duplicate": ("new duplicate", "new duplicates"),
    "moved": ("changed DOI", "changed DOIs"),
    "content": ("changed record", "changed records"),
    "new": ("new work", "new works"),
    "abstract": ("new abstract", "new abstracts"),
    "tags": ("with changed tags", "with changed tags"),
}
"""What follows a count of each kind of change: of one, and of more."""

HEADINGS = {
    "notice": "Retractions, corrections and expressions of concern",
    "notice-ended": "Withdrawn notices",
    "reopened": "Decisions to look at again",
    "gone": "No longer in Crossref",
    "back": "In Crossref again",
    "verdict": "Changed verdicts",
    "duplicate": "New duplicates",
    "moved": "Changed DOIs",
    "content": "Changed title, abstract, authors, journal, date or type",
    "new": "New works",
    "abstract": "New abstracts",
    "tags": "Changed tags",
}
"""The heading of each kind of change."""


def notable_changes(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Lines on the changes that a summary names, most serious kind first: one line per notice and per work that disappeared,
    came back or got another DOI; one line for all works with the same change of verdict, and one for all decisions to look at
    again. Changed records, new works and tags are left out."""
    lines: list[str] = []
    for what, group in groupby(rows, lambda row: row["what"]):
        found = list(group)
        if what == "verdict":
            lines += _verdict_lines(found)
        elif what == "reopened":
            again = count_noun(len(found), "decision")
            lines.append(
                f"{again} to look at again (`evidence decisions conflicts`): {first_few([row['doi'] for row in found])}."
            )
        elif what == "duplicate":
            names = [f"{work_name(row['doi'], row['title'])} (of {row['after']})" for row in found]
            lines.append(f"{count_noun(len(found), 'new duplicate')}: {first_few(names)}.")
        elif what not in changes_since_last_run.ONLY_COUNTED:
            lines += [line for row in found for line in _lines(row)]
    return lines


def _lines(row: Mapping[str, Any]) -> list[str]:
    """A change as a sentence and, of a notice, what its work touches (`touches`, where `publish/ripple.py` added it)."""
    return [change_sentence(row), *([f"  {row['touches']}"] if row.get("touches") else [])]


def change_counts(counts: Mapping[str, int]) -> str:
    """`1 notice, 2 changed verdicts, 9 new works`: the number of each kind, most serious first; `nothing` where there is none."""
    phrases = [
        f"{counts[what]:,} {_COUNTED[what][counts[what] != 1]}"
        for what in changes_since_last_run.KINDS
        if counts.get(what)
    ]
    return ", ".join(phrases) or "nothing"


def change_sentence(row: Mapping[str, Any]) -> str:
    """One change of a work as a sentence."""
    work, before, after = work_name(row["doi"], row["title"]), row["before"], row["after"]
    match row["what"]:
        case "notice":
            return _notice_sentence(row)
        case "notice-ended":
            return f"{_kind(changes_since_last_run.parse_notice(before, row['doi'])).capitalize()} withdrawn: {work}"
        case "reopened":
            return f"{work} — {after}"
        case "gone":
            return f"No longer in Crossref since {after}: {work} (kept and marked)."
        case "back":
            return f"In Crossref again: {work}."
        case "verdict":
            return f"{verdict_label(before)} → {verdict_label(after)}: {work}"
        case "duplicate":
            return f"Duplicate of {after} (before: {verdict_label(before)}): {work}"
        case "moved":
            return f"{before} is now {work}."
        case "tags":
            return f"{'; '.join(_tag_changes(before, after))}: {work}"
        case "new":
            return f"{verdict_label(after.partition(' ')[0])}: {work}"
        case "abstract":
            return f"A{_abstract_change(before, after)[1:]}: {work}"
    return work


def change_label(row: Mapping[str, Any]) -> str:
    """A change in a few words, for use beside the work's title: `retraction`, `included → excluded`, `changed`."""
    before, after = row["before"], row["after"]
    match row["what"]:
        case "notice":
            notice = changes_since_last_run.parse_notice(after, row["doi"])
            return f"{_kind(notice)}{' of its preprint' if notice.relation == 'preprint' else ''}"
        case "notice-ended":
            return f"{_kind(changes_since_last_run.parse_notice(before, row['doi']))} withdrawn"
        case "reopened":
            return "decision to look at again"
        case "gone":
            return f"no longer in Crossref since {after}"
        case "back":
            return "in Crossref again"
        case "verdict":
            return f"{verdict_label(before)} → {verdict_label(after)}"
        case "duplicate":
            return f"duplicate of {after}"
        case "moved":
            return f"earlier DOI: {before}"
        case "content":
            return "changed"
        case "abstract":
            return _abstract_change(before, after)
        case "tags":
            return "; ".join(_tag_changes(before, after))
    return str(row["what"])


def _kind(notice: changes_since_last_run.WorkNotice) -> str:
    return notice.kind.replace("-", " ")


def _abstract_change(before: str | None, after: str | None) -> str:
    if after is None:
        return f"abstract of {abstract_source_label(before)} no longer there"
    return f"abstract from {abstract_source_label(after)}"


def _tag_changes(removed: str | None, added: str | None) -> list[str]:
    """`+facet:value` for each added tag, then `−facet:value` for each removed one."""
    return [f"{sign}{tag}" for sign, tags in (("+", added), ("−", removed)) for tag in (tags or "").split("; ") if tag]


def _verdict_lines(rows: Sequence[dict[str, Any]]) -> list[str]:
    """`2 works changed from included to excluded: …`, a line for each pair of verdicts, included works first."""
    by_verdicts: dict[tuple[str, str], list[str]] = {}
    for row in sorted(rows, key=lambda row: "include" not in (row["before"], row["after"])):
        by_verdicts.setdefault((row["before"], row["after"]), []).append(work_name(row["doi"], row["title"]))
    return [
        f"{count_noun(len(names), 'work')} changed from {verdict_label(before)} to {verdict_label(after)}: {first_few(names)}."
        for (before, after), names in by_verdicts.items()
    ]


def _notice_sentence(row: Mapping[str, Any]) -> str:
    """`NOTICE retraction of included work 10.1000/x: Title`, with the DOI it was issued for where that is another."""
    doi, notice = row["doi"], changes_since_last_run.parse_notice(row["after"], row["doi"])
    work = {"include": "included work", "unsure": "a work waiting for a decision:"}.get(row["verdict"], "work")
    if notice.relation == "preprint":
        return f"NOTICE {notice.kind} of {notice.stands_on}, a preprint of {work} {work_name(doi, row['title'])}"
    where = "" if notice.stands_on == doi else f" (issued for {notice.stands_on}, {RELATIONS[notice.relation]})"
    return f"NOTICE {notice.kind} of {work} {work_name(doi, row['title'])}{where}"
