"""RIS and PubMed's format (.nbib): lines of a tag, a hyphen and a value.

Reference managers disagree on the details: spaces around the hyphen, a missing end of record, values that continue on the next
line, with or without an indent. rispy, the usual reader, stops at the first such line; this one takes them as they come.

Pure: text in, records out. It may not guess a tag that is not there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Literal

from evidence.references.given_reference import Fields

Record = Mapping[str, Sequence[str]]
"""The values of each tag, in order."""

_RIS = re.compile(r"^\ufeff?\s{0,3}([A-Z][A-Z0-9])\s{1,3}-(?:\s(.*))?$")
_NBIB = re.compile(r"^\ufeff?([A-Z]{2,4})\s{0,2}-\s(.*)$")
_KNOWN_OF_PUBMED = re.compile(r"^\ufeff?(?:PMID|B?TI|AID|LID|SO)\s{0,2}-\s")
_ABSENT: Sequence[str] = ()
_DOI_OF_PUBMED = re.compile(r"^(\S+)\s*\[doi\]$", re.IGNORECASE)


def ris_records(text: str) -> Iterator[Record]:
    """The records of a RIS file: from TY to ER, or to the next TY where ER is missing."""
    return _records(text, _RIS, start="TY", end="ER")


def nbib_records(text: str) -> Iterator[Record]:
    """The records of a file in PubMed's format: from one PMID to the next, or to the empty line after which one without a PMID
    begins."""
    return _records(text, _NBIB, start="PMID", end=None)


def _records(text: str, line_form: re.Pattern[str], *, start: str, end: str | None) -> Iterator[Record]:
    for lines in _groups(text.splitlines(), line_form, start=start, end=end):
        record: dict[str, list[str]] = {}
        last: list[str] | None = None
        for line in lines:
            tagged = line_form.match(line)
            if tagged is None:
                if last is not None and line.strip():  # the value continues
                    last[-1] = f"{last[-1]} {line.strip()}".strip()
            elif tagged.group(1) != end:
                last = record.setdefault(tagged.group(1), [])
                last.append((tagged.group(2) or "").strip())
        if record:
            yield record


def _groups(lines: Iterable[str], line_form: re.Pattern[str], *, start: str, end: str | None) -> Iterator[list[str]]:
    """The lines of each record, those between two records with the record before them."""
    group: list[str] = []
    ended = False
    for line in lines:
        tagged = line_form.match(line)
        tag = tagged.group(1) if tagged else None
        if group and ((tag == start and any(map(line_form.match, group))) or (ended and tag)):
            yield group
            group = []
        if end is None:  # an empty line ends a record that says which work it is; text that follows belongs to it
            ended = not line.strip() and (ended or any(map(_KNOWN_OF_PUBMED.match, group)))
        else:
            ended = (ended and tag is None) or tag == end
        group.append(line)
    if group:
        yield group


def with_corrections(
    text: str, kind: Literal["ris", "nbib"], corrections: Mapping[int, Mapping[str, Sequence[str]]]
) -> str:
    """The file with other values: by number of the record (from 1) and field (a key of `TAGS`). Every other line stays as it
    is. A field that the record does not have is added as its last line."""
    form, start, end = (_RIS, "TY", "ER") if kind == "ris" else (_NBIB, "PMID", None)
    number, out = 0, []
    for lines in _groups(text.splitlines(keepends=True), form, start=start, end=end):
        if any((tagged := form.match(line)) and tagged.group(1) != end for line in lines):
            number += 1
            lines = _corrected(lines, kind, form, end, corrections.get(number, {}))
        out += lines
    return "".join(out)


def _corrected(
    lines: list[str],
    kind: Literal["ris", "nbib"],
    form: re.Pattern[str],
    end: str | None,
    wanted: Mapping[str, Sequence[str]],
) -> list[str]:
    tags = [found.group(1) if (found := form.match(line)) else None for line in lines]
    for field, values in wanted.items():
        tag = next((tag for tag in TAGS[kind][field] if tag in tags), TAGS[kind][field][0])
        newline = "\r\n" if lines and lines[0].endswith("\r\n") else "\n"
        new = [f"{tag}  - {value}{newline}" if kind == "ris" else f"{tag:<4}- {value}{newline}" for value in values]
        at = tags.index(tag) if tag in tags else None
        if at is None:
            filled = [n for n, line in enumerate(lines) if line.strip() and tags[n] != end]
            at = filled[-1] + 1 if filled else len(lines)
            kept = list(range(len(lines)))
        else:
            if field == "year" and (found := form.match(lines[at])):  # month and day stay
                rest = re.sub(r"\d{4}", values[0], (found.group(2) or "").strip(), count=1)
                new = [f"{tag}  - {rest}{newline}" if kind == "ris" else f"{tag:<4}- {rest}{newline}"]
            owner: str | None = None
            kept = []
            for n, each in enumerate(tags):
                owner = each or owner
                if owner != tag or not lines[n].strip():
                    kept.append(n)
        before, after = [n for n in kept if n < at], [n for n in kept if n >= at]
        lines = [*(lines[n] for n in before), *new, *(lines[n] for n in after)]
        tags = [found.group(1) if (found := form.match(line)) else None for line in lines]
    return lines


TAGS: Mapping[str, Mapping[str, Sequence[str]]] = {
    "ris": {"author": ("AU", "A1"), "year": ("PY", "Y1", "DA"), "volume": ("VL",), "page": ("SP",), "last_page": ("EP",),
            "doi": ("DO",)},
    "nbib": {"author": ("FAU",), "year": ("DP",), "volume": ("VI",), "page": ("PG",), "doi": ("LID",)},
}  # fmt: skip
"""The tags of each field, the usual one first."""


def ris_fields(record: Record) -> Fields:
    """The fields of a RIS record, whichever of several tags the program that wrote it uses."""
    first = partial(_first, record)
    begin, finish = first("SP"), first("EP")
    pages = f"{begin}-{finish}" if begin and finish and "-" not in begin and finish != begin else begin
    return Fields(
        authors=tuple(name for tag in ("AU", "A1") for name in record.get(tag, _ABSENT) if name),
        year=_year(first("PY", "Y1", "DA")),
        title=first("TI", "T1", "CT", "BT"),
        container=first("JF", "T2", "JO", "JA", "BT"),
        volume=first("VL"),
        issue=first("IS"),
        pages=pages,
        publisher=first("PB"),
        doi=first("DO") or next((link for link in record.get("UR", _ABSENT) if "doi.org/" in link), None),
    )


def nbib_fields(record: Record) -> Fields:
    """The fields of a record in PubMed's format."""
    first = partial(_first, record)
    ids = (*record.get("LID", _ABSENT), *record.get("AID", _ABSENT))
    return Fields(
        authors=tuple(record.get("FAU") or record.get("AU") or record.get("CN", _ABSENT)),
        year=_year(first("DP")),
        title=first("TI", "BTI"),
        container=first("JT", "TA"),
        volume=first("VI"),
        issue=first("IP"),
        pages=first("PG"),
        publisher=first("PB"),
        doi=next((found.group(1) for each in ids if (found := _DOI_OF_PUBMED.match(each))), None),
    )


def _first(record: Record, *tags: str) -> str | None:
    """The first value that is not empty, of the first tag that has one."""
    return next((each for tag in tags for each in record.get(tag, _ABSENT) if each), None)


def _year(date: str | None) -> str | None:
    found = re.search(r"\d{4}", date or "")
    return found.group() if found else None
