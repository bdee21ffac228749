"""Checked references as text, JSON, CSV, Markdown, a web page, or SARIF for code review.

It may not judge a reference. The words for each verdict are here once, for the command and the site.
"""

from __future__ import annotations

import html
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from evidence import __version__
from evidence.data_model import CitationError, Work
from evidence.export.csv_files import csv_line
from evidence.export.wording import count_noun, notice_participle
from evidence.harvest.check_references import CheckedReference, ReferenceVerdict

VERDICT_WORDS: dict[ReferenceVerdict, str] = {
    "found": "found",
    "found-with-errors": "found, with errors",
    "retracted": "found, but a notice was published on it",
    "other-work": "the DOI leads to another work",
    "nothing-agrees": "nothing agrees",
    "could-not-ask": "could not ask",
}
SUMMARY_WORDS: dict[ReferenceVerdict, str] = VERDICT_WORDS | {
    "retracted": "found, with a notice on them",
    "other-work": "with the DOI of another work",
    "nothing-agrees": "with no matching record",
    "could-not-ask": "that could not be asked about",
}
NOT_INVENTED = (
    "That no record agrees does not mean that the reference is invented: books, reports and web pages often have none."
)


MOST_LEFT_OUT, LONGEST_LEFT_OUT = 100, 200
"""Lines that were not checked, up to which they are shown, and characters of one: somebody may paste a whole manuscript."""


def left_out_sentence(left_out: Sequence[str]) -> str:
    """How many lines of the text nobody checked, and why; nothing where there are none."""
    if not left_out:
        return ""
    one = len(left_out) == 1
    read = (
        "was read as a heading, page header or other text"
        if one
        else "were read as headings, page headers or other text"
    )
    return f"{count_noun(len(left_out), 'line')} {read}, and not checked:"


def left_out_lines(left_out: Sequence[str]) -> Iterator[str]:
    """These lines, as far as they are shown."""
    for line in left_out[:MOST_LEFT_OUT]:
        yield line if len(line) <= LONGEST_LEFT_OUT else f"{line[:LONGEST_LEFT_OUT]} …"
    if len(left_out) > MOST_LEFT_OUT:
        yield f"… and {len(left_out) - MOST_LEFT_OUT:,} more"


def verdict_words(checked: CheckedReference) -> str:
    """The verdict in words: `found, but retracted (2019-03-01)`."""
    if checked.verdict != "retracted":
        return VERDICT_WORDS[checked.verdict]
    first = checked.notices[0]
    return f"found, but {notice_participle(first.kind)}{f' ({first.issued})' if first.issued else ''}"


def exit_code(checked: Sequence[CheckedReference]) -> int:
    """0 when every reference is found as it is, 1 when one needs a look, 3 when one could not be asked about."""
    verdicts = {each.verdict for each in checked}
    if "could-not-ask" in verdicts:
        return 3
    return 0 if verdicts <= {"found"} else 1


def summary(checked: Sequence[CheckedReference]) -> str:
    """One sentence: how many references, and how many of each verdict."""
    counts = Counter(each.verdict for each in checked)
    parts = [f"{counts[verdict]} {words}" for verdict, words in SUMMARY_WORDS.items() if counts[verdict]]
    earlier = [each.asked_at for each in checked if each.asked_at]
    age = f" Crossref was asked about {len(earlier)} of them earlier, first on {min(earlier)[:10]}." if earlier else ""
    return f"{count_noun(len(checked), 'reference')}: {'; '.join(parts) or 'none'}.{age}"


def as_dict(checked: CheckedReference) -> dict[str, Any]:
    """One verdict as JSON has it."""
    return {
        "file": checked.given.file,
        "n": checked.given.number,
        "key": checked.given.key,
        "text": checked.given.text,
        "stated_doi": checked.given.doi,
        "verdict": checked.verdict,
        "doi": checked.work.doi if checked.work else None,
        "reason": checked.reason,
        "errors": [{"field": e.field, "given": e.given, "found": e.found} for e in checked.errors],
        "notices": [
            {
                "kind": n.kind,
                "date": n.issued,
                "source": n.source,
                "doi": None if n.notice_doi == n.doi else n.notice_doi,
            }
            for n in checked.notices
        ],
        "leads_to": _work_dict(checked.leads_to) if checked.leads_to else None,
        "candidates": [_work_dict(work) for work in checked.candidates],
        "asked_at": checked.asked_at,
    }


def _work_dict(work: Work) -> dict[str, Any]:
    return {"doi": work.doi, "title": work.title, "year": work.year, "citation": work_line(work)}


def work_line(work: Work) -> str:
    """A work in one line: `Whisman and Beach. Couple therapy for depression. J Clin Psychol 2012.`"""
    people = [author.family or author.name or author.given or "" for author in work.authors]
    names = f"{people[0]} and others" if len(people) > 2 else " and ".join(people)
    place = " ".join(filter(None, (work.container, str(work.year) if work.year else "")))
    return " ".join(f"{part.rstrip('.')}." for part in (names, work.title, place) if part)


def error_line(error: CitationError) -> str:
    """What a reference prints wrongly: `year: 2003 is printed, the record has 2013`."""
    printed = f"{error.given} is printed" if error.given else "it is not the one printed"
    return f"{error.field}: {printed}, the record has {error.found}"


def not_invented(checked: Sequence[CheckedReference]) -> str:
    """What must be said where no record agrees with a reference; nothing where there is none such."""
    return NOT_INVENTED if any(each.verdict == "nothing-agrees" for each in checked) else ""


def details(checked: CheckedReference) -> Iterator[str]:
    """What a person needs to know beside the verdict, a sentence each."""
    if checked.work:
        yield f"https://doi.org/{checked.work.doi}"
    yield from map(error_line, checked.errors)
    for notice in checked.notices:
        name = notice.kind.replace("-", " ")
        where = "" if notice.notice_doi == notice.doi else f", https://doi.org/{notice.notice_doi}"
        yield f"{name} of {notice.issued or 'an unknown date'}, according to {notice.source or 'the record'}{where}"
    if checked.leads_to:
        yield f"the DOI leads to: {work_line(checked.leads_to)} https://doi.org/{checked.leads_to.doi}"
    if checked.verdict in ("other-work", "nothing-agrees", "could-not-ask"):
        yield checked.reason
    for work in checked.candidates:
        if checked.work is None or work.doi != checked.work.doi:
            yield f"nearest: {work_line(work)} https://doi.org/{work.doi}"


def as_text(checked: Sequence[CheckedReference], left_out: Sequence[str] = ()) -> Iterator[str]:
    """A page to read: each reference with its verdict, then how many of each."""
    several = len({each.given.file for each in checked}) > 1
    for each in checked:
        where = f"{each.given.file}: " if several else ""
        yield f"{where}{each.given.number}. {verdict_words(each).upper()}\n"
        yield f"   {each.given.text[:300]}\n"
        for line in details(each):
            yield f"   - {line}\n"
        yield "\n"
    yield summary(checked) + "\n"
    if said := not_invented(checked):
        yield said + "\n"
    if left_out:
        yield f"{left_out_sentence(left_out)}\n"
        yield from (f"   {line}\n" for line in left_out_lines(left_out))


def as_json(checked: Sequence[CheckedReference], left_out: Sequence[str] = ()) -> Iterator[str]:
    """A list, one object for each reference. Lines that were not checked have no place in it; the command says them on stderr."""
    yield json.dumps([as_dict(each) for each in checked], ensure_ascii=False, indent=1) + "\n"


COLUMNS = (
    "file",
    "n",
    "key",
    "verdict",
    "doi",
    "text",
    "stated_doi",
    "errors",
    "notices",
    "leads_to",
    "candidates",
    "reason",
    "asked_at",
)


def as_csv(checked: Sequence[CheckedReference], left_out: Sequence[str] = ()) -> Iterator[str]:
    """A row for each reference. Several values in one cell are separated by `; `, and no cell starts a formula. As in JSON, the
    lines that were not checked have no place in it."""
    yield csv_line(COLUMNS)
    for each in checked:
        row = as_dict(each)
        row["errors"] = "; ".join(map(str, each.errors))
        row["notices"] = "; ".join(" ".join(filter(None, (n.kind, n.issued, n.source))) for n in each.notices)
        row["leads_to"] = each.leads_to.doi if each.leads_to else None
        row["candidates"] = "; ".join(work.doi for work in each.candidates)
        yield csv_line(row[name] for name in COLUMNS)


def as_markdown(checked: Sequence[CheckedReference], left_out: Sequence[str] = ()) -> Iterator[str]:
    """A list for an issue, an e-mail or a notebook."""
    yield f"{summary(checked)}\n\n"
    for each in checked:
        yield f"{each.given.number}. **{verdict_words(each)}**: {_escaped(each.given.text)}\n"
        for line in details(each):
            yield f"   - {_escaped(line)}\n"
    if said := not_invented(checked):
        yield f"\n{said}\n"
    if left_out:
        yield f"\n{left_out_sentence(left_out)}\n\n"
        yield from (f"- {_escaped(line)}\n" for line in left_out_lines(left_out))


def _escaped(text: str) -> str:
    return "".join(f"\\{c}" if c in "\\`*_[]<>|#" else c for c in text)


def as_html(checked: Sequence[CheckedReference], left_out: Sequence[str] = ()) -> Iterator[str]:
    """A page of its own, without scripts and without anything from another address."""
    yield '<!doctype html>\n<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">\n'
    yield "<title>References checked</title>\n<h1>References checked</h1>\n"
    yield f"<p>{html.escape(summary(checked))}</p>\n<ol>\n"
    for each in checked:
        yield f'<li value="{each.given.number}"><strong>{html.escape(verdict_words(each))}</strong>: '
        yield f"<bdi>{html.escape(each.given.text)}</bdi>\n<ul>\n"
        for line in details(each):
            yield f"<li>{html.escape(line)}</li>\n"
        yield "</ul></li>\n"
    yield "</ol>\n"
    if said := not_invented(checked):
        yield f"<p>{html.escape(said)}</p>\n"
    if left_out:
        yield f"<p>{left_out_sentence(left_out)}</p>\n<ul>\n"
        yield from (f"<li><bdi>{html.escape(line)}</bdi></li>\n" for line in left_out_lines(left_out))
        yield "</ul>\n"
    yield "</html>\n"


SARIF_LEVELS: dict[ReferenceVerdict, str] = {
    "found-with-errors": "warning",
    "retracted": "error",
    "other-work": "error",
    "nothing-agrees": "warning",
    "could-not-ask": "note",
}
"""How loudly each verdict is shown beside the line of the file. A retraction must not be missed."""


def as_sarif(checked: Sequence[CheckedReference], left_out: Sequence[str] = ()) -> Iterator[str]:
    """SARIF 2.1.0: a result for each reference that needs a look, at its line of its file. Lines that were not checked are notes
    of the run."""
    results = [
        {
            "ruleId": each.verdict,
            "level": SARIF_LEVELS[each.verdict],
            "message": {"text": f"{_label(each)}: {verdict_words(each)}. {'; '.join(details(each))}"},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": each.given.file or "references"},
                        "region": {"startLine": each.given.line or 1},
                    }
                }
            ],
        }
        for each in checked
        if each.verdict in SARIF_LEVELS
    ]
    rules = [{"id": verdict, "shortDescription": {"text": VERDICT_WORDS[verdict]}} for verdict in SARIF_LEVELS]
    driver = {"name": "evidence check-references", "version": __version__, "rules": rules}
    log: dict[str, Any] = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": results}],
    }
    if left_out:
        said = " ".join([left_out_sentence(left_out), "; ".join(left_out_lines(left_out))])
        note = {"level": "note", "message": {"text": said}}
        log["runs"][0]["invocations"] = [{"executionSuccessful": True, "toolExecutionNotifications": [note]}]
    yield json.dumps(log, ensure_ascii=False, indent=1) + "\n"


def _label(checked: CheckedReference) -> str:
    return checked.given.key or f"reference {checked.given.number}"


WITHOUT_LEFT_OUT = frozenset({"json", "csv"})
"""The formats that have no place for lines that were not checked."""

REPORTS: dict[str, Callable[[Sequence[CheckedReference], Sequence[str]], Iterator[str]]] = {
    "text": as_text,
    "json": as_json,
    "csv": as_csv,
    "markdown": as_markdown,
    "html": as_html,
    "sarif": as_sarif,
}
