"""Why a work is included or excluded, as text. A row in, text out; no SQL, no terminal, no clock."""

from __future__ import annotations

from typing import Any

from evidence import doi
from evidence.export.changes_report import RELATIONS
from evidence.export.phrases import decided_by

_CONTEXT = 40
"""Characters shown before and after the text behind a tag."""


def work_explanation(work: dict[str, Any]) -> str:
    """The text of `evidence explain`: the verdict and tags of a work, each with the text behind it, and how the work was found.
    `work` is of `queries.work_details`."""
    lines = [work["title"] or "(no title deposited)", _source_line(work), work["url"] or work["doi"], ""]
    lines.append(
        f"Verdict: {work['verdict']} ({decided_by(work['decided'])}, judged on {work['judged_on']}). {work['why']}"
    )
    lines += [f"  {_quotation(work, r)}" for r in work["reasons"] if r["facet"] == "verdict"]
    if work["gone"]:
        lines.append(f"No longer in Crossref since {work['gone']}; kept as last deposited.")
    if work["aliases"]:
        lines.append(f"Other DOIs of this record: {', '.join(work['aliases'])}.")
    if work["same_as"]:
        lines.append(f"A duplicate of {doi.url(work['same_as'])}, which is the record that counts.")
    lines += [
        f"  {pair['verdict']} ({decided_by(pair['decided'])}): {_other_doi(pair, work['doi'])}: {pair['reason']}"
        for pair in work["duplicates"]
    ]
    if work["notices"]:
        lines.append("Notices:")
        lines += [f"  {_notice_line(notice)}" for notice in work["notices"]]
    lines.append("Tags:" if work["tags"] else "Tags: none.")
    for tag in work["tags"]:
        lines.append(f"  {tag['facet']}: {tag['value']} ({decided_by(tag['decided'])})")
        lines += [
            f"      {_quotation(work, r)}"
            for r in work["reasons"]
            if (r["facet"], r["value"]) == (tag["facet"], tag["value"])
        ]
    lines.append("Found through:")
    lines += [
        f"  {s['label']} ({s['via']}{', rank ' + str(s['rank']) if s['rank'] else ''}), since {s['since'][:10]}"
        + (", no longer" if s["gone"] else "")
        for s in work["sources"]
    ]
    return "\n".join(lines)


def _source_line(work: dict[str, Any]) -> str:
    return ". ".join(str(part) for part in (work["authors"], work["container"], work["issued"]) if part)


def _quotation(work: dict[str, Any], reason: dict[str, Any]) -> str:
    """The text behind a tag: the quoted words in brackets, with a little of the text before and after, and the rule."""
    text = work.get(reason["field"])
    if not isinstance(text, str) or text[reason["start"] : reason["stop"]] != reason["quote"]:
        return f"{reason['field']}: “{reason['quote']}” [{reason['rule']}]"
    before = text[max(0, reason["start"] - _CONTEXT) : reason["start"]]
    after = text[reason["stop"] : reason["stop"] + _CONTEXT]
    return f"{reason['field']}: …{before}[{reason['quote']}]{after}… [{reason['rule']}]"


def _other_doi(pair: dict[str, Any], own: str) -> str:
    return str(pair["other"] if pair["doi"] == own else pair["doi"])


def _notice_line(notice: dict[str, Any]) -> str:
    """A notice: its kind, date, DOI and source; which DOI it was issued for, if not the work's own; whether it was withdrawn."""
    elsewhere = notice["stands_on"] != notice["doi"]
    issued_for = f"issued for {notice['stands_on']}, {RELATIONS[notice['relation']]}" if elsewhere else ""
    details = "; ".join(filter(None, (issued_for, "withdrawn by a reinstatement" if notice["undone"] else "")))
    parts = (notice["kind"], notice["issued"], notice["notice_doi"], f"(from {notice['evidence']})", details)
    return " ".join(filter(None, parts))
