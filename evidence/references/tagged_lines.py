"""RIS and PubMed's format (.nbib): lines of a tag, a hyphen and a value.

Reference managers disagree on the details: spaces around the hyphen, a missing end of record, values that continue on the next
line, with or without an indent. rispy, the usual reader, stops at the first such line; this one takes them as they come.

Pure: text in, records out. It may not guess a tag that is not there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from evidence.references.given_reference import Fields

Record = Mapping[str, Sequence[str]]
"""The values of each tag, in order."""

_RIS = re.compile(r"^\ufeff?\s{0,3}([A-Z][A-Z0-9])\s{1,3}-(?:\s(.*))?$")
_NBIB = re.compile(r"^\ufeff?([A-Z]{2,4})\s{0,2}-\s(.*)$")
_ABSENT: Sequence[str] = ()
_DOI_OF_PUBMED = re.compile(r"^(\S+)\s*\[doi\]$", re.IGNORECASE)


def ris_records(text: str) -> Iterator[Record]:
    """The records of a RIS file: from TY to ER, or to the next TY where ER is missing."""
    return _records(text, _RIS, start="TY", end="ER")


def nbib_records(text: str) -> Iterator[Record]:
    """The records of a file in PubMed's format: from one PMID to the next."""
    return _records(text, _NBIB, start="PMID", end=None)


def _records(text: str, line_form: re.Pattern[str], *, start: str, end: str | None) -> Iterator[Record]:
    record: dict[str, list[str]] = {}
    last: list[str] | None = None
    for line in text.splitlines():
        tagged = line_form.match(line)
        if tagged is None:
            if last is not None and line.strip():  # the value continues
                last[-1] = f"{last[-1]} {line.strip()}".strip()
            continue
        tag, value = tagged.group(1), (tagged.group(2) or "").strip()
        if tag in (start, end) and record:
            yield record
            record, last = {}, None
        if tag == end:
            continue
        last = record.setdefault(tag, [])
        last.append(value)
    if record:
        yield record


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
