"""Rows → files for reference managers: RIS, BibTeX and CSL-JSON.

Each format is an iterator of chunks, one per work, so that memory use does not grow with the number of works. No spreadsheet
runs these files, so values are unchanged except for the escapes of the format; in RIS and BibTeX a line break becomes a space.
This module may not read a database, a file or the clock. Other modules import the formats from `file_formats`, which adds CSV.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from evidence import page_ranges
from evidence.author_names import full_name, full_names
from evidence.export.columns import Layout, Row
from evidence.export.wording import decided_by, screened_on


def joined(value: str | tuple[str, ...] | list[str] | int | None) -> str:
    """One str for a value that may be a list; empty when it is absent."""
    if value is None:
        return ""
    return "; ".join(value) if isinstance(value, (tuple, list)) else str(value)


def first_of(value: str | None) -> str | None:
    """The first of several values in one text, for a field that takes one."""
    return value.partition("; ")[0] if value else None


def keywords(row: Row) -> list[str]:
    """The tags as `facet:value`, the form that `--tag` takes."""
    return [f"{facet}:{value}" for facet, values in row["tags"].items() for value in values]


def as_of_sentence(row: Row) -> str | None:
    """Which past state a row is of, and whose tags it has; None for today."""
    if not row.get("as_of"):
        return None
    if version := row.get("as_of_version"):
        return f"As of version {version}, {row['as_of']}."
    return f"As of the end of {row['as_of']}; the tags are today's."


def notes(row: Row, layout: Layout | None = None) -> list[str]:
    """Verdict, tags, notices and sources of the work, as sentences for the notes of a reference manager; with
    `layout.with_reasons`, the text behind verdict and tags too."""
    verdict = f"Verdict: {row['verdict']} ({decided_by(row['decided'])}, screened on {screened_on(row['judged_on'])})."
    said = [f"{verdict} {row['why'] or ''}".rstrip()]
    if of_then := as_of_sentence(row):
        said.append(of_then)
    if row["tags"]:
        said.append(f"Tags: {joined(keywords(row))}")
    reasons = layout is not None and layout.with_reasons
    labels = {key: label for key, label in _NOTE_LABELS.items() if reasons or key != "reasons"}
    return said + [f"{label}: {joined(row[key])}" for key, label in labels.items() if row.get(key)]


_NOTE_LABELS = {
    "notice": "Notice",
    "notice_details": "Notices",
    "gone": "No longer in Crossref since",
    "likely_tags": "Of these tags, likely rather than stated",
    "implied_tags": "Of these tags, only implied",
    "reasons": "Text behind verdict and tags",
    "registrations": "Registrations",
    "sources": "Found through",
    "local_id": "Id in the tracker, for want of a DOI",
}


_BREAK = re.compile(r"\r\n|[\x00-\x1f\x7f-\x9f\u2028\u2029]")
"""Every character that a program may take for a line break, and the other control characters."""


def one_line(value: Any) -> str:
    """The value as one line of text: line breaks and control characters become spaces."""
    return _BREAK.sub(" ", str(value)).strip()


def _fields(pairs: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, str]]:
    """The pairs whose value is not empty, each value as one line of text."""
    return ((name, line) for name, value in pairs if value is not None and (line := one_line(value)))


# ---------------------------------------------------------------- RIS

_RIS_TYPES = {
    "journal-article": "JOUR",
    "book-chapter": "CHAP",
    "book-section": "CHAP",
    "book": "BOOK",
    "monograph": "BOOK",
    "edited-book": "BOOK",
    "reference-book": "BOOK",
    "reference-entry": "ENCYC",
    "proceedings-article": "CONF",
    "dissertation": "THES",
    "report": "RPRT",
    "posted-content": "UNPB",
    "dataset": "DATA",
    "standard": "STAND",
}


@dataclass(frozen=True, slots=True)
class RisReader:
    """What a program makes of RIS where programs differ: the tag under which it reads editors (of a book, and of any other work;
    empty: it would take them for authors, so they go to the notes), and the tag of a record's identifier in another program."""

    editor: str = "A2"
    book_editor: str = "A3"
    record_id: str = ""


def ris(rows: Iterable[Row], layout: Layout | None = None, reader: RisReader | None = None) -> Iterator[str]:
    """RIS as RevMan, EndNote, Zotero and others read it: two spaces before the hyphen, CRLF. KW has the tags as `facet:value`,
    N1 the verdict and the tags."""
    reader = reader or RisReader()
    for row in rows:
        kind = _RIS_TYPES.get(row["kind"] or "", "GEN")
        lines = [("TY", kind), *_fields(_ris_fields(row, layout, reader, kind))]
        yield "".join(f"{tag}  - {value}\r\n" for tag, value in lines) + "ER  - \r\n\r\n"


def _ris_fields(row: Row, layout: Layout | None, reader: RisReader, kind: str) -> Iterator[tuple[str, Any]]:
    if reader.record_id:
        yield reader.record_id, row["doi"] or row["local_id"]
    yield "TI", row["title"]
    yield "ST", row["short_title"]
    yield "TT", row["original_title"]
    editor = reader.book_editor if kind == "BOOK" else reader.editor
    roles = {"editor": editor, "chair": editor, "translator": editor and "A4"}
    for person in row["authors_full"]:
        if tag := roles.get(person.get("role") or "", "AU"):
            yield tag, full_name(person)
    yield "AD", _affiliations(row)
    yield "T2", row["container"]
    yield "J2", row["short_container"]
    yield "PB", row["publisher"]
    yield "CY", row["event_place"] if row["kind"] == "proceedings-article" else row["publisher_place"]
    yield "ET", row["edition"]
    yield "PY", row["year"]
    if row["issued"]:
        year, month, day = [*row["issued"].split("-"), "", ""][:3]
        yield "DA", f"{year}/{month}/{day}/"
    yield "VL", row["volume"]
    yield "IS", row["issue"]
    first, last = page_ranges.first_last(row["pages"])
    yield "SP", first
    yield "EP", last
    yield "SN", "; ".join(filter(None, (joined(row["isbn"]), joined(row["issn"]))))
    yield "DO", row["doi"]
    yield "AN", first_of(row["pmid"])
    if reader.record_id != "ID":
        yield "ID", row.get("local_id")
    # C2 is the PMCID of a journal article; of other types of reference it is another field.
    yield ("C2", first_of(row["pmcid"])) if row["kind"] == "journal-article" else ("N1", _labelled_pmcid(row))
    yield "UR", (row["url"] or "").replace(";", "%3B")  # in UR a semicolon separates two links
    yield "LA", row["language"]
    yield "AB", row["abstract"]
    yield from (("KW", keyword) for keyword in keywords(row))
    if not editor:
        others = [person for person in row["authors_full"] if (person.get("role") or "author") in roles]
        yield "N1", f"Contributors: {full_names(others)}" if others else None
    yield from (("N1", note) for note in notes(row, layout))
    yield from (("N1", f"{label}: {joined(row[key])}") for key, label in _RIS_NOTE_LABELS.items() if row[key])


_RIS_NOTE_LABELS = {
    "event": "Conference",
    "event_dates": "Conference dates",
    "funders": "Funding",
    "licence": "Licence",
}
"""Columns for which RIS has no tag."""


def _labelled_pmcid(row: Row) -> str | None:
    return f"PMCID: {first_of(row['pmcid'])}" if row["pmcid"] else None


def _affiliations(row: Row) -> str:
    """The affiliations of all contributors, each once, in order."""
    return "; ".join(
        dict.fromkeys(person["affiliation"] for person in row["authors_full"] if person.get("affiliation"))
    )


# ---------------------------------------------------------------- BibTeX

_BIBTEX_TYPES = {
    "journal-article": "article",
    "book-chapter": "incollection",
    "book-section": "incollection",
    "reference-entry": "incollection",
    "book": "book",
    "monograph": "book",
    "edited-book": "book",
    "reference-book": "book",
    "proceedings-article": "inproceedings",
    "dissertation": "phdthesis",
    "report": "techreport",
}
_BIBTEX_CONTAINERS = {"article": "journal", "incollection": "booktitle", "inproceedings": "booktitle"}
_BIBTEX_INSTITUTIONS = {"phdthesis": "school", "techreport": "institution"}
_TEX = {char: f"\\{char}" for char in "&%$#_"} | {
    "\\": "\\textbackslash{}",
    # BibTeX counts braces even behind a backslash, so a lone `\{` would swallow the rest of the file.
    "{": "\\textbraceleft{}",
    "}": "\\textbraceright{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
}
_SPECIAL = re.compile(r"[&%$#_\\{}~^]")
_LIGATURE = re.compile(r"-(?=-)|'(?=')|`(?=`)|,(?=,)|<(?=<)|>(?=>)|[?!](?=`)")
"""Pairs that TeX would print as one other character."""


def bibtex(rows: Iterable[Row], layout: Layout | None = None) -> Iterator[str]:
    """BibTeX in UTF-8; the special characters of LaTeX are escaped, except in `doi` and `url`, which styles expect verbatim.

    The key of an entry is the family name, the year and eight digits of the DOI's hash, so it is the same in every export.
    """
    for row in rows:
        kind = _BIBTEX_TYPES.get(row["kind"] or "", "misc")
        fields = [f"  {name} = {{{value}}}" for name, value in _bibtex_fields(row, kind, layout)]
        yield f"@{kind}{{{_key(row)},\n" + ",\n".join(fields) + "\n}\n\n"


def _bibtex_fields(row: Row, kind: str, layout: Layout | None) -> Iterator[tuple[str, str]]:
    people = row["authors_full"]
    for name, role in (("author", "author"), ("editor", "editor"), ("translator", "translator")):
        listed = " and ".join(_tex_name(p) for p in people if (p.get("role") or "author") == role)
        if listed:
            yield name, listed
    month = (row["issued"] or "").split("-")[1:2]
    plain = (
        ("title", row["title"]),
        (_BIBTEX_CONTAINERS.get(kind, "howpublished"), row["container"]),
        ("shorttitle", row["short_title"]),
        ("origtitle", row["original_title"]),
        ("shortjournal", row["short_container"] if kind == "article" else None),
        ("publisher", row["publisher"]),
        ("address", row["publisher_place"]),
        (_BIBTEX_INSTITUTIONS.get(kind, "organization"), row["institution"]),
        ("edition", row["edition"]),
        ("eventtitle", row["event"]),
        ("venue", row["event_place"]),
        ("eventdate", row["event_dates"]),
        ("eid", row["article_number"] if row["article_number"] != row["pages"] else None),
        ("year", row["year"]),
        ("month", int(month[0]) if month else None),
        ("volume", row["volume"]),
        ("number", row["issue"]),
        ("isbn", joined(row["isbn"])),
        ("issn", joined(row["issn"])),
        ("language", row["language"]),
        ("pmid", first_of(row["pmid"])),
        ("pmcid", first_of(row["pmcid"])),
        ("abstract", row["abstract"]),
        ("keywords", ", ".join(keywords(row))),
        ("note", " ".join(notes(row, layout))),
    )
    yield from ((name, _tex(value)) for name, value in _fields(plain))
    for name, value in _fields((("pages", page_ranges.formatted(row["pages"], "–")),)):
        yield name, _tex(value).replace("–", "--")
    yield from (
        (name, value if _balanced(value) else _tex(value))
        for name, value in _fields((("doi", row["doi"]), ("url", row["url"])))
    )


def _tex(text: str) -> str:
    return _LIGATURE.sub(r"\g<0>{}", _SPECIAL.sub(lambda special: _TEX[special[0]], text))


def _tex_name(person: Mapping[str, Any]) -> str:
    """`Family, Suffix, Given`, as BibTeX splits names; braces protect a part that BibTeX would split."""
    if not (person.get("family") and person.get("given")):
        return "{" + _tex(one_line(full_name(person))) + "}"
    parts = [one_line(person[key]) for key in ("family", "suffix", "given") if person.get(key)]
    return ", ".join(f"{{{_tex(p)}}}" if re.search(r",|\band\b", p) else _tex(p) for p in parts)


def _balanced(text: str) -> bool:
    return not re.search(r"[{}\\]", text)


def _key(row: Row) -> str:
    people = row["authors_full"]
    family = (people[0].get("family") or people[0].get("name") or "") if people else ""
    ascii_family = unicodedata.normalize("NFKD", family).encode("ascii", "ignore").decode()
    word = re.sub(r"[^a-z]", "", ascii_family.lower()) or "work"
    key = row["doi"] or row["local_id"]
    return f"{word}{row['year'] or ''}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"


# ---------------------------------------------------------------- CSL-JSON

_CSL_TYPES = {
    "journal-article": "article-journal",
    "book-chapter": "chapter",
    "book-section": "chapter",
    "reference-entry": "entry-encyclopedia",
    "book": "book",
    "monograph": "book",
    "edited-book": "book",
    "reference-book": "book",
    "proceedings-article": "paper-conference",
    "dissertation": "thesis",
    "report": "report",
    "posted-content": "article",
    "dataset": "dataset",
    "peer-review": "review",
    "standard": "standard",
}
_CSL_FIELDS = {
    "title": "title",
    "container": "container-title",
    "publisher": "publisher",
    "volume": "volume",
    "issue": "issue",
    "doi": "DOI",
    "url": "URL",
    "language": "language",
    "abstract": "abstract",
    "short_title": "title-short",
    "original_title": "original-title",
    "short_container": "container-title-short",
    "edition": "edition",
    "publisher_place": "publisher-place",
    "event": "event-title",
    "event_place": "event-place",
}
_CSL_DATES = {"issued": "issued", "event_dates": "event-date", "published_online": "available-date"}


def csl_json(rows: Iterable[Row], layout: Layout | None = None) -> Iterator[str]:
    """A JSON array of CSL 1.0 items, as citation processors, pandoc and Zotero read it; the DOI is the id, or the
    local id where there is none."""
    separator = "[\n"
    for row in rows:
        yield separator + json.dumps(_csl_item(row, layout), ensure_ascii=False)
        separator = ",\n"
    yield "\n]\n" if separator == ",\n" else "[]\n"


def _csl_item(row: Row, layout: Layout | None) -> dict[str, Any]:
    item: dict[str, Any] = {"id": row["doi"] or row["local_id"], "type": _CSL_TYPES.get(row["kind"] or "", "document")}
    item |= {field: row[key] for key, field in _CSL_FIELDS.items() if row[key] is not None}
    if pages := page_ranges.formatted(row["pages"], "-"):
        item["page"] = pages
    for role in ("author", "editor", "translator", "chair"):
        people = [_csl_name(p) for p in row["authors_full"] if (p.get("role") or "author") == role]
        if people:
            item[role] = people
    item |= {field: _csl_date(row[key]) for key, field in _CSL_DATES.items() if row[key]}
    item |= {field: joined(row[key]) for key, field in (("issn", "ISSN"), ("isbn", "ISBN")) if row[key]}
    item |= {field: first_of(row[key]) for key, field in (("pmid", "PMID"), ("pmcid", "PMCID")) if row[key]}
    if row["institution"] and not row["publisher"]:
        item["publisher"] = row["institution"]
    if row["tags"]:
        item["keyword"] = ", ".join(keywords(row))
    custom = {name: row[key] for key, name in _CSL_CUSTOM.items() if row.get(key)}
    return item | {"note": " ".join(notes(row, layout))} | ({"custom": custom} if custom else {})


_CSL_CUSTOM = {
    "licence": "licence",
    "funders_full": "funders",
    "orcids": "orcids",
    "affiliations": "affiliations",
    "institution": "institution",
    "article_number": "article-number",
    "published_print": "published-print",
    "likely_tags": "likely-tags",
    "implied_tags": "implied-tags",
    "registrations": "registrations",
    "openalex": "openalex",
    "publication_types": "publication-types",
    "mesh": "mesh",
    "open_access": "open-access",
    "abstract_source": "abstract-source",
}
"""Columns for which CSL has no variable; its schema has the field `custom` for them."""


def _csl_date(iso: str) -> dict[str, list[list[int]]]:
    """A CSL date or date range from one date, or two joined by a slash."""
    return {"date-parts": [[int(part) for part in day.split("-")] for day in iso.split("/")]}


def _csl_name(person: Mapping[str, Any]) -> dict[str, str]:
    if person.get("name"):
        return {"literal": person["name"]}
    return {key: person[key] for key in ("family", "given", "suffix") if person.get(key)}
