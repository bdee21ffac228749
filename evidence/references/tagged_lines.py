"""RIS, PubMed's format (.nbib) and Web of Science's: lines of a tag and a value.

Reference managers disagree on the details: spaces around the hyphen, a missing end of record, values that continue on the next
line, with or without an indent. rispy, the usual reader, stops at the first such line; this one takes them as they come, and
holds one record at a time.

Pure: text in, records out. It may not guess a tag that is not there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Literal

from evidence.errors import ConfigError
from evidence.references import field_values
from evidence.references.given_reference import Fields

Record = Mapping[str, Sequence[str]]
"""The values of each tag, in order."""

TaggedFormat = Literal["ris", "nbib", "wos"]

_RIS = re.compile(r"^\ufeff?\s{0,3}([A-Z][A-Z0-9]|PMID)\s{1,3}-(?:\s(.*))?$")
_NBIB = re.compile(r"^\ufeff?([A-Z]{2,4})\s{0,2}-\s(.*)$")
_KNOWN_OF_PUBMED = re.compile(r"^\ufeff?(?:PMID|B?TI|AID|LID|SO)\s{0,2}-\s")
_WOS = re.compile(r"^\ufeff?([A-Z][A-Z0-9])(?: (.*))?$")
_FORMS: Mapping[TaggedFormat, tuple[re.Pattern[str], str, str | None]] = {
    "ris": (_RIS, "TY", "ER"),
    "nbib": (_NBIB, "PMID", None),
    "wos": (_WOS, "PT", "ER"),
}
"""How a line with a tag looks, and the tags that begin and end a record."""

_ONE_A_LINE = frozenset({"KW", "AU", "AF", "BA", "BE", "BF", "A1"})
"""Tags of which each further line is a value of its own."""
_RIS_TITLES = frozenset({"TI", "T1", "CT", "BT", "T2", "JF", "AU", "A1"})
"""Tags of which a record has one; what follows a misplaced TY without any of them belongs to the record before."""
_ABSENT: Sequence[str] = ()
_DOI_OF_PUBMED = re.compile(r"^(\S+)\s*\[doi\]$", re.IGNORECASE)


def ris_records(text: str) -> Iterator[Record]:
    """The records of a RIS file: from TY to ER, or to the next TY where ER is missing."""
    return (record for _, record in numbered_records(text.splitlines(), "ris"))


def nbib_records(text: str) -> Iterator[Record]:
    """The records of a file in PubMed's format: from one PMID to the next, or to the empty line after which one without a PMID
    begins."""
    return (record for _, record in numbered_records(text.splitlines(), "nbib"))


def numbered_records(lines: Iterable[str], kind: TaggedFormat) -> Iterator[tuple[int, Record]]:
    """The records of a file, each with the number of the line (from 1) on which it begins."""
    form, start, end = _FORMS[kind]
    before = 0
    for group in _groups(lines, form, start=start, end=end):
        tagged = [number for number, line in enumerate(group) if form.match(line.rstrip("\r\n"))]
        record = _record(group, form, end)
        if record and (kind != "wos" or start in record):  # Web of Science's has a first and a last line of its own
            yield before + 1 + (tagged[0] if tagged else 0), record
        before += len(group)


class EndWatch:
    """Passes the lines of a file on and sees whether its last record lacks the end that others have, as in a file that is cut
    short. Files of programs that write no ends at all are whole."""

    def __init__(self, kind: TaggedFormat, name: str, longest: int) -> None:
        self._form, self._start, self._end = _FORMS[kind]
        self._name, self._longest = name, longest
        self._ends = 0
        self._begun: int | None = None

    def watch(self, lines: Iterable[str]) -> Iterator[str]:
        """The same lines; ConfigError when more than `longest` characters follow without the end of a record."""
        since, size = 1, 0
        for number, line in enumerate(lines, start=1):
            size += len(line)
            if tagged := self._form.match(line.rstrip("\r\n")):
                if tagged.group(1) == self._end:
                    self._ends, self._begun = self._ends + 1, None
                elif tagged.group(1) == self._start:
                    self._begun = number
                if tagged.group(1) in (self._start, self._end):
                    since, size = number, len(line)
            if size > self._longest:
                raise ConfigError(
                    f"{self._name}:{since}: this record never ends, so the file is damaged; export it again"
                )
            yield line

    @property
    def cut_at(self) -> int | None:
        """The line on which a record begins that does not end; None where the file is whole."""
        return self._begun if self._ends else None


def _record(lines: Iterable[str], line_form: re.Pattern[str], end: str | None) -> Record:
    record: dict[str, list[str]] = {}
    last: list[str] | None = None
    one_a_line = False
    for line in lines:
        line = line.rstrip("\r\n")
        tagged = line_form.match(line)
        if tagged is None:
            if last is not None and (more := line.strip()):  # the value continues
                if one_a_line:
                    last.append(more)
                else:
                    last[-1] = f"{last[-1]} {more}".strip()
        elif tagged.group(1) == end:
            last = None  # what stands between two records is no value
        else:
            last = record.setdefault(tagged.group(1), [])
            last.append((tagged.group(2) or "").strip())
            one_a_line = tagged.group(1) in _ONE_A_LINE
    return record


def _groups(lines: Iterable[str], line_form: re.Pattern[str], *, start: str, end: str | None) -> Iterator[list[str]]:
    """The lines of each record, those between two records with the record before them. A second TY inside a RIS record begins a
    new one only where a record follows it."""
    held: list[str] = []
    for group in _groups_by_start(lines, line_form, start=start, end=end):
        if held and (start != "TY" or _begins_record(held, group, line_form, end)):
            yield held
            held = []
        held += group
    if held:
        yield held


def _begins_record(before: list[str], group: list[str], line_form: re.Pattern[str], end: str | None) -> bool:
    """Whether a group of lines that begins with TY is a record, and not the rest of the one before, which has no ER."""
    tags = {found.group(1) for line in before if (found := line_form.match(line.rstrip("\r\n")))}
    following = {found.group(1) for line in group if (found := line_form.match(line.rstrip("\r\n")))}
    if not tags:
        return True
    if end in tags:  # some programs write further lines about a record behind its ER
        return "TY" in following or not following.isdisjoint(_RIS_TITLES)
    return tags != {"TY"} and not following.isdisjoint(_RIS_TITLES)


def _groups_by_start(
    lines: Iterable[str], line_form: re.Pattern[str], *, start: str, end: str | None
) -> Iterator[list[str]]:
    group: list[str] = []
    ended = has_tag = False
    for line in lines:
        tagged = line_form.match(line.rstrip("\r\n"))
        tag = tagged.group(1) if tagged else None
        if group and ((tag == start and has_tag) or (ended and tag)):
            yield group
            group, has_tag = [], False
        if end is None:  # an empty line ends a record that says which work it is; text that follows belongs to it
            ended = not line.strip() and (ended or any(map(_KNOWN_OF_PUBMED.match, group)))
        else:
            ended = (ended and tag is None) or tag == end
        has_tag = has_tag or tag is not None
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


def fields_of(record: Record, kind: TaggedFormat) -> Fields:
    """The fields of a record, whichever of several tags the program that wrote it uses."""
    return {"ris": ris_fields, "nbib": nbib_fields, "wos": wos_fields}[kind](record)


def ris_fields(record: Record) -> Fields:
    """The fields of a RIS record, whichever of several tags the program that wrote it uses."""
    first, every = partial(_first, record), partial(_every, record)
    begin, finish = first("SP"), first("EP")
    pages = f"{begin}-{finish}" if begin and finish and "-" not in begin and finish != begin else begin
    notes = every("N1", "M1", "M3", "U1", "U2", "C1", "C2", "C7", "L2", "L3", "UR")
    named = " ".join((*every("DB", "DP", "M2", "RN"), first("N1") or ""))
    number = first("AN", "ID") or ""
    is_article = field_values.kind(first("TY")) == "journal-article"
    return Fields(
        authors=field_values.names(every("AU", "A1")),
        year=field_values.year(*every("PY", "Y1", "DA")),
        title=first("TI", "T1", "CT", "BT"),
        container=first("JF", "T2", "JO", "JA", "J2", "BT"),
        volume=first("VL"),
        issue=first("IS"),
        pages=pages,
        publisher=first("PB"),
        doi=first("DO") or _doi_elsewhere(record),
        date=field_values.date(*every("PY", "Y1", "DA")),
        kind=field_values.kind(first("TY")),
        abstract=field_values.abstract(first("AB"), first("N2")),
        language=field_values.language(first("LA")),
        url=field_values.web_address(*every("UR", "L1", "L2")),
        editors=field_values.names(every("ED") if is_article else every("ED", "A2", "A3")),
        issn=field_values.issns(every("SN")),
        isbn=field_values.isbns(every("SN")),
        keywords=field_values.keywords(every("KW")),
        notes=tuple(every("N1", "M1")),
        edition=first("ET") if not is_article else None,
        place=first("CY", "PP"),
        pmid=first("PMID")
        or (number if number.isdigit() and _IS_PUBMED.search(named) and len(number) <= 9 else None)
        or field_values.pmid(*notes),
        pmcid=field_values.pmcid(number, *notes),
        accession=number or None,
    )


_IS_PUBMED = re.compile(r"\b(?:pubmed|medline|nlm)\b", re.IGNORECASE)
_DOI_ALONE = re.compile(r"\s*(?:doi\s*:?\s*)?(10\.\d{4,9}/\S+)\s*$", re.IGNORECASE)


def _doi_elsewhere(record: Record) -> str | None:
    """The DOI that a record without the tag DO has in a link, or alone in a note."""
    links = [link for tag in ("UR", "L1", "L2", "L3", "LK") for link in record.get(tag, _ABSENT)]
    if found := next((link for link in links if "doi.org/" in link), None):
        return found
    notes = (note for tag in ("M3", "N1", "C7") for note in record.get(tag, _ABSENT))
    if alone := next((match[1] for note in notes if (match := _DOI_ALONE.match(note))), None):
        return alone
    asked = (re.search(r"[?&]doi=(10\.[^&\s]+)", link) for link in links)
    return next((match[1] for match in asked if match), None)


def nbib_fields(record: Record) -> Fields:
    """The fields of a record in PubMed's format."""
    first, every = partial(_first, record), partial(_every, record)
    ids = every("LID", "AID")
    types = every("PT")
    return Fields(
        authors=tuple(record.get("FAU") or record.get("AU") or record.get("CN", _ABSENT)),
        year=field_values.year(first("DP")),
        title=first("TI", "BTI"),
        container=first("JT", "TA"),
        volume=first("VI"),
        issue=first("IP"),
        pages=first("PG"),
        publisher=first("PB"),
        doi=next((found.group(1) for each in ids if (found := _DOI_OF_PUBMED.match(each))), None),
        date=field_values.date(first("DP")),
        kind="posted-content" if "Preprint" in types else "journal-article" if first("JT", "TA") else None,
        abstract=field_values.abstract(first("AB")),
        language=field_values.language(first("LA")),
        editors=tuple(record.get("FED") or record.get("ED", _ABSENT)),
        issn=field_values.issns(every("IS")),
        isbn=field_values.isbns(every("ISBN")),
        keywords=field_values.keywords([heading.lstrip("*") for heading in every("MH", "OT")]),
        notes=tuple(every("GN")),
        place=first("PL") if not first("JT", "TA") else None,
        pmid=first("PMID"),
        pmcid=first("PMC"),
        accession=first("PMID"),
    )


def wos_fields(record: Record) -> Fields:
    """The fields of a record in Web of Science's plain text; its columns of tab-separated files have the same names."""
    first, every = partial(_first, record), partial(_every, record)
    begin, finish = first("BP"), first("EP")
    return Fields(
        authors=field_values.names(every("AF") or every("AU") or every("BF", "BA")),
        year=field_values.year(first("PY")),
        title=first("TI"),
        container=first("SO"),
        volume=first("VL"),
        issue=first("IS"),
        pages=f"{begin}-{finish}" if begin and finish and begin != finish else begin or first("AR"),
        publisher=first("PU"),
        doi=first("DI"),
        date=field_values.date(first("PY"), f"{first('PD') or ''} {first('PY') or ''}"),
        kind=_wos_kind(first("DT") or "", first("PT") or ""),
        abstract=field_values.abstract(first("AB")),
        language=field_values.language(first("LA")),
        editors=field_values.names(every("BE")),
        issn=field_values.issns(every("SN", "EI")),
        isbn=field_values.isbns(every("BN")),
        keywords=field_values.keywords(every("DE", "ID")),
        place=first("PI") if first("PT") != "J" else None,
        pmid=first("PM"),
        accession=first("UT"),
    )


def _wos_kind(document: str, publication: str) -> str | None:
    if "Proceedings" in document or "Meeting" in document:
        return "proceedings-article"
    if "Book" in document and "Review" not in document:
        return "book-chapter" if "Chapter" in document else "book"
    return field_values.kind(publication)


def _first(record: Record, *tags: str) -> str | None:
    """The first value that is not empty, of the first tag that has one."""
    return next((each for tag in tags for each in record.get(tag, _ABSENT) if each), None)


def _every(record: Record, *tags: str) -> list[str]:
    """The values of these tags that are not empty, in the order of the tags."""
    return [each for tag in tags for each in record.get(tag, _ABSENT) if each]
