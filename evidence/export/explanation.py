"""Why a work is included or excluded, as text. A row in, text out; no SQL, no terminal, no clock."""

from __future__ import annotations

from typing import Any

from evidence import doi
from evidence.export.changes_report import RELATIONS
from evidence.export.provider_wording import answer_sentence
from evidence.export.wording import abstract_source_label, decided_by, screened_on

_KINDS = {"pmid": "PMID ", "openalex": "OpenAlex "}
"""What comes before an identifier whose kind does not show in itself."""

_CONTEXT = 40
"""Characters shown before and after the text behind a tag."""


def work_explanation(work: dict[str, Any]) -> str:
    """The text of `evidence explain`: the verdict and tags of a work, each with the text behind it, and how the work was found.
    `work` is of `read_queries.work_details`."""
    lines = [work["title"] or "(no title deposited)", _source_line(work), work["url"] or work["doi"], ""]
    lines.append(
        f"Verdict: {work['verdict']} ({decided_by(work['decided'])}, screened on {screened_on(work['judged_on'])}). "
        f"{work['why']}"
    )
    lines += [f"  {line}" for line in _quotations(work, "verdict")]
    if work["gone"]:
        lines.append(f"No longer in Crossref since {work['gone']}; kept as last deposited.")
    if work["aliases"]:
        lines.append(f"Other DOIs of this record: {', '.join(work['aliases'])}.")
    if work["same_as"]:
        lines.append(f"Duplicate of {doi.shown(work['same_as'])}, the record that represents the work.")
    lines += [
        f"  {pair['verdict']} ({decided_by(pair['decided'])}): {_other_doi(pair, work['doi'])}: {pair['reason']}"
        for pair in work["duplicates"]
    ]
    if work["identifiers"]:
        named = [f"{_KINDS.get(one['kind'], '')}{one['identifier']}" for one in work["identifiers"]]
        lines.append(f"Also known as: {', '.join(named)}.")
    if work["abstract_source"]:
        fetched = f", {work['abstract_at'][:10]}" if work["abstract_at"] else ""
        lines.append(f"Abstract: {abstract_source_label(work['abstract_source'])}{fetched}.")
    lines += [f"{answer_sentence(row)}" for row in work["asked"]]
    if work["notices"]:
        lines.append("Notices:")
        lines += [f"  {_notice_line(notice)}" for notice in work["notices"]]
    lines.append("Tags:" if work["tags"] else "Tags: none.")
    for tag in work["tags"]:
        lines.append(f"  {tag['facet']}: {tag['value']} ({tag['strength']}, {decided_by(tag['decided'])})")
        lines += [f"      {tag['how']}"] if tag["how"] else []
        lines += [f"      {line}" for line in _quotations(work, tag["facet"], tag["value"])]
    lines.append("Found through:")
    lines += [
        f"  {s['label']} ({s['via']}{', rank ' + str(s['rank']) if s['rank'] else ''}), since {s['since'][:10]}"
        + (", no longer" if s["gone"] else "")
        for s in work["sources"]
    ]
    return "\n".join(lines)


def _source_line(work: dict[str, Any]) -> str:
    return ". ".join(str(part) for part in (work["authors"], work["container"], work["issued"]) if part)


def _quotations(work: dict[str, Any], facet: str, value: str | None = None) -> list[str]:
    """The text behind a tag or verdict: one line for each place in the title or abstract; for a verdict with the rules that
    matched there."""
    rules: dict[tuple[str, int, int, str], list[str]] = {}
    for r in work["reasons"]:
        if r["facet"] == facet and value in (None, r["value"]):
            rules.setdefault((r["field"], r["start"], r["stop"], r["quote"]), []).append(r["rule"])
    return [
        _quotation(work, *place) + (f" [{', '.join(dict.fromkeys(names))}]" if facet == "verdict" else "")
        for place, names in rules.items()
    ]


def _quotation(work: dict[str, Any], field: str, start: int, stop: int, quote: str) -> str:
    """The quoted text in brackets, with the text before and after it."""
    text = work.get(field)
    if not isinstance(text, str) or text[start:stop] != quote:  # a decision quotes its reason, which is in no field
        return f"{field}: “{quote}”"
    return f"{field}: …{text[max(0, start - _CONTEXT) : start]}[{quote}]{text[stop : stop + _CONTEXT]}…"


def _other_doi(pair: dict[str, Any], own: str) -> str:
    return str(pair["other"] if pair["doi"] == own else pair["doi"])


def _notice_line(notice: dict[str, Any]) -> str:
    """A notice: its kind, date, DOI and source; which DOI it was issued for, if not the work's own; whether it was withdrawn."""
    elsewhere = notice["stands_on"] != notice["doi"]
    issued_for = f"issued for {notice['stands_on']}, {RELATIONS[notice['relation']]}" if elsewhere else ""
    stated = f"stated by {notice['source']}" if notice["source"] else ""
    undone = "withdrawn by a reinstatement" if notice["undone"] else ""
    details = "; ".join(filter(None, (issued_for, undone, stated)))
    names = (notice["notice_doi"], notice["notice_id"])
    parts = (notice["kind"], notice["issued"], *names, f"(from {notice['evidence']})", details)
    return " ".join(filter(None, parts))
