"""Checked references in the format in which they were given, with only the wrong fields corrected, and a list of the changes.

It corrects what was found with errors, nothing else: a reference that leads to another work, or with which nothing agrees,
stays as it is, because nobody knows which part of it is wrong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from evidence.data_model import Author, CitationError, Work
from evidence.harvest.check_references import CheckedReference
from evidence.references import bibtex_corrections, read_references, tagged_lines
from evidence.references.given_reference import GivenReference


def correct(data: bytes, name: str, checked: Sequence[CheckedReference]) -> tuple[str, tuple[str, ...]]:
    """The corrected references, and a sentence for each change and for each error that was left.

    Word documents, web pages and text come back as text, one reference a paragraph.
    """
    kind, given, _ = read_references.read(data, name)
    text = "" if kind == "docx" else read_references.decoded(data, name)
    wrong = {each.given.number: each for each in checked if each.work and each.errors}
    if kind == "bibtex":
        return _bibtex(text, given, wrong), _changes(wrong)
    if kind == "ris" or kind == "nbib":
        values = {number: _tagged(each, kind) for number, each in wrong.items()}
        return tagged_lines.with_corrections(text, kind, values), _changes(wrong)
    if kind == "csl-json":
        return _csl_json(text, wrong), _changes(wrong)
    return _plain(checked, wrong)


def _changes(wrong: Mapping[int, CheckedReference]) -> tuple[str, ...]:
    return tuple(
        f"reference {_label(each.given)}: {error.field} {error.given or '(none)'} → {_shown(error, each)}"
        for each in wrong.values()
        for error in each.errors
    )


def _label(given: GivenReference) -> str:
    return f"{given.number} ({given.key})" if given.key else str(given.number)


def _shown(error: CitationError, checked: CheckedReference) -> str:
    return "; ".join(_names(checked.work)) if error.field == "author" and checked.work else error.found


def _names(work: Work | None) -> list[str]:
    """`Frank, Ellen` for each author of a work."""
    return [", ".join(filter(None, (author.family, author.given))) or author.name or "" for author in _authors(work)]


def _authors(work: Work | None) -> Sequence[Author]:
    """The authors of a work; of one that has only editors or the like, these."""
    people = work.authors if work else ()
    return [author for author in people if author.role == "author"] or people


def _bibtex(text: str, given: Sequence[GivenReference], wrong: Mapping[int, CheckedReference]) -> str:
    at = 0
    for reference in given:
        raw = reference.raw
        start = text.find(raw, at) if raw else -1
        if start < 0:
            continue
        new = raw
        if each := wrong.get(reference.number):
            values = {e.field: e.found for e in each.errors}
            if "author" in values:
                values["author"] = " and ".join(_names(each.work))
            if "page" in values:
                values["page"] = values["page"].replace("-", "--")
            new = bibtex_corrections.corrected(raw, values)
        text = text[:start] + new + text[start + len(raw) :]
        at = start + len(new)
    return text


def _tagged(checked: CheckedReference, kind: str) -> dict[str, Sequence[str]]:
    values: dict[str, Sequence[str]] = {error.field: [error.found] for error in checked.errors}
    if "author" in values:
        values["author"] = _names(checked.work)
    if "page" in values and kind == "ris":
        first, dash, last = values["page"][0].partition("-")
        values["page"] = [first]
        if dash:
            values["last_page"] = [last]
    if "doi" in values and kind == "nbib":
        values["doi"] = [f"{values['doi'][0]} [doi]"]
    return values


def _csl_json(text: str, wrong: Mapping[int, CheckedReference]) -> str:
    document = json.loads(text)
    items = read_references.csl_items(document)
    for number, item in enumerate(items, start=1):
        if each := wrong.get(number):
            for error in each.errors:
                _correct_item(item, error, each.work)
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def _correct_item(item: dict[str, Any], error: CitationError, work: Work | None) -> None:
    if error.field == "author":
        item["author"] = [
            {"literal": a.name} if a.name else {k: v for k, v in (("family", a.family), ("given", a.given)) if v}
            for a in _authors(work)
        ]
    elif error.field == "year":
        item["issued"] = {"date-parts": [[int(error.found)]]}
    else:
        item[{"volume": "volume", "page": "page", "doi": "DOI"}[error.field]] = error.found


def _plain(checked: Sequence[CheckedReference], wrong: Mapping[int, CheckedReference]) -> tuple[str, tuple[str, ...]]:
    paragraphs, changes = [], []
    for each in checked:
        text = each.given.text
        for error in each.errors if each.given.number in wrong else ():
            new = _replaced(text, error)
            did = f"{error.field} {error.given or '(none)'} → {error.found}"
            changes.append(
                f"reference {_label(each.given)}: {did}{'' if new else ' (not changed: correct it yourself)'}"
            )
            text = new or text
        paragraphs.append(f"{each.given.key}. {text}" if each.given.key else text)
    return "\n\n".join(paragraphs) + "\n", tuple(changes)


def _replaced(text: str, error: CitationError) -> str | None:
    """The text with one value replaced; None where its place is not certain. A list of authors is never rewritten."""
    if error.field == "author" or not error.given:
        return None
    places = list(re.finditer(rf"(?<!\w){re.escape(error.given)}(?!\w)", text))
    if len(places) != 1:
        return None
    start, stop = places[0].span()
    if error.field == "page":  # the last page goes with the first
        rest = re.compile(r"\s?[-–—]\s?\w+").match(text, stop)
        stop = rest.end() if rest else stop
    return text[:start] + error.found + text[stop:]
