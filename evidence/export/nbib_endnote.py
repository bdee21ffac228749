"""Rows → PubMed's format (.nbib) and EndNote's XML, for programs that read these better than RIS.

Each format is an iterator of chunks, one per work. Values are unchanged but for the escapes of XML; a line break becomes a space,
and characters that XML cannot have are left out. This module may not read a database, a file or the clock.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from evidence import page_ranges
from evidence.author_names import full_name, full_names, initials
from evidence.export.columns import Layout, Row
from evidence.export.ris_bibtex_csl import first_of, joined, keywords, notes, one_line

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

# ---------------------------------------------------------------- PubMed

_PUBLICATION_TYPES = {
    "journal-article": "Journal Article",
    "book": "Book",
    "monograph": "Book",
    "edited-book": "Book",
    "reference-book": "Book",
    "book-chapter": "Book Chapter",
    "book-section": "Book Chapter",
    "reference-entry": "Book Chapter",
    "dissertation": "Dissertation",
    "report": "Technical Report",
    "posted-content": "Preprint",
    "dataset": "Dataset",
}
"""What a reader of the format takes for the type of a reference; PubMed's own publication types follow."""
_ISSN = re.compile(r"\d{4}-\d{3}[\dXx]")
_REGISTRIES = (
    ("NCT", "ClinicalTrials.gov"),
    ("ISRCTN", "ISRCTN"),
    ("ACTRN", "ANZCTR"),
    ("ChiCTR", "ChiCTR"),
    ("DRKS", "DRKS"),
)


def nbib(rows: Iterable[Row], layout: Layout | None = None) -> Iterator[str]:
    """PubMed's format: a tag of up to four letters, a hyphen, a value; an empty line between records.

    A record begins with its PMID, and one without a PMID with its next field: an empty PMID stops some readers, and an invented
    one would make all such records one. The DOI is in LID and AID, the tags are author's keywords (OT), verdict and notices are
    general notes (GN).
    """
    for row in rows:
        lines = [f"{tag:<4}- {line}\n" for tag, value in _nbib_fields(row, layout) if (line := one_line(value or ""))]
        yield "".join(lines) + "\n"


def _nbib_fields(row: Row, layout: Layout | None) -> Iterator[tuple[str, Any]]:
    yield "PMID", first_of(row["pmid"])
    own = _PUBLICATION_TYPES.get(row["kind"] or "")
    book = own == "Book"
    odd = []
    for number in _listed(row["issn"]):
        if _ISSN.fullmatch(number):
            # MEDLINE says after each whether it is of the printed or the electronic edition, or that this is not known.
            yield "IS", f"{number.upper()} (Undetermined)"
        else:
            odd.append(number)
    yield "GN", f"ISSN as deposited: {'; '.join(odd)}" if odd else None
    for number in _listed(row["isbn"]):
        yield "ISBN", number
    yield "VI", row["volume"]
    yield "IP", row["issue"]
    yield "DP", _pubmed_date(row)
    yield "TI", row["title"]
    yield "BTI", row["title"] if book else row["container"] if own == "Book Chapter" else None
    yield "TT", row["original_title"]
    yield "PG", page_ranges.formatted(row["pages"], "-")
    named = f"{row['doi']} [doi]" if row["doi"] else None
    yield "LID", named
    yield "AB", row["abstract"]
    for person in row["authors_full"]:
        yield from _nbib_person(person)
    yield "LA", row["language"]
    for number in _listed(row["registrations"]):
        registry = next((name for start, name in _REGISTRIES if number.startswith(start)), None)
        yield "SI", f"{registry}/{number}" if registry else number
    for funder in row.get("funders_full") or ():
        for award in funder["awards"] or ("",):
            yield "GR", "/".join(filter(None, (award, funder["name"] or funder["doi"])))
    stated = _listed(row["publication_types"])
    retracted = ("Retracted Publication",) if row["notice"] == "retraction" else ()
    for name in dict.fromkeys(filter(None, (own, *stated, *retracted))):
        yield "PT", name
    yield "PL", row["event_place"] if row["kind"] == "proceedings-article" else row["publisher_place"]
    yield "PB", row["publisher"] or row["institution"]
    yield "EN", row["edition"]
    yield "TA", row["short_container"]
    yield "JT", row["container"] if own != "Book Chapter" else None
    for heading in _listed(row["mesh"]):
        yield "MH", heading
    for keyword in keywords(row):
        yield "OT", keyword
    yield "PMC", first_of(row["pmcid"])
    yield "AID", named
    untagged = [person for person in row["authors_full"] if person.get("role") in ("translator", "chair")]
    yield "GN", f"Contributors: {full_names(untagged)}" if untagged else None
    for note in notes(row, layout):
        yield "GN", note
    yield "SO", _source(row)


def _nbib_person(person: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    """FAU and AU of an author, FED and ED of an editor, CN of a group; then what is known of them."""
    role = person.get("role") or "author"
    if role == "author" and not person.get("family"):
        yield "CN", full_name(person)
    elif role in ("author", "editor"):
        given, suffix = person.get("given") or "", person.get("suffix") or ""
        full, short = ("FAU", "AU") if role == "author" else ("FED", "ED")
        yield full, full_name(person)
        yield short, " ".join(filter(None, (person.get("family"), initials(given), suffix))) or full_name(person)
    else:
        return
    yield "AUID", f"ORCID: {person['orcid']}" if person.get("orcid") else None
    yield "AD", person.get("affiliation")


def _pubmed_date(row: Row) -> str | None:
    """`2019 May 3`, as precise as deposited."""
    if not row["issued"]:
        return str(row["year"]) if row["year"] else None
    year, month, day = [*row["issued"].split("-"), "", ""][:3]
    return " ".join(filter(None, (year, _MONTHS[int(month) - 1] if month else "", day.lstrip("0"))))


def _source(row: Row) -> str | None:
    """`J Affect Disord. 2019 May;12(3):101-110.`, PubMed's line on where a work appeared."""
    where = row["short_container"] or row["container"]
    if not where:
        return None
    issue, pages = row["issue"], page_ranges.formatted(row["pages"], "-")
    volume = (row["volume"] or "") + (f"({issue})" if issue else "")
    return f"{where}. {_pubmed_date(row) or ''}{volume and f';{volume}'}{f':{pages}' if pages else ''}."


def _listed(value: Any) -> list[str]:
    return [one for one in joined(value).split("; ") if one]


# ---------------------------------------------------------------- EndNote

_REFERENCE_TYPES = {
    "journal-article": ("Journal Article", 17),
    "book-chapter": ("Book Section", 5),
    "book-section": ("Book Section", 5),
    "book": ("Book", 6),
    "monograph": ("Book", 6),
    "reference-book": ("Book", 6),
    "edited-book": ("Edited Book", 28),
    "reference-entry": ("Encyclopedia", 53),
    "proceedings-article": ("Conference Proceedings", 10),
    "dissertation": ("Thesis", 32),
    "report": ("Report", 27),
    "posted-content": ("Unpublished Work", 34),
    "dataset": ("Dataset", 59),
    "standard": ("Standard", 58),
}
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_STYLE = '<style face="normal" font="default" size="100%">'


def endnote_xml(rows: Iterable[Row], layout: Layout | None = None) -> Iterator[str]:
    """EndNote's XML as EndNote itself writes it, in the order of elements that its document type asks for.

    The DOI is the electronic resource number, the PMID the accession number, the PMCID `custom2`; the tags are keywords, and
    verdict, tags and notices are in the notes.
    """
    yield '<?xml version="1.0" encoding="UTF-8"?>\n<xml><records>\n'
    for number, row in enumerate(rows, 1):
        yield "".join(_endnote_record(number, row, layout)) + "\n"
    yield "</records></xml>\n"


def _endnote_record(number: int, row: Row, layout: Layout | None) -> Iterator[str]:
    name, code = _REFERENCE_TYPES.get(row["kind"] or "", ("Generic", 13))
    book, conference = code in (6, 28), code == 10
    yield '<record><database name="evidence">evidence</database><source-app name="evidence">evidence</source-app>'
    yield f'<rec-number>{number}</rec-number><ref-type name="{name}">{code}</ref-type>'
    yield from _group("contributors", _contributors(row, book=book))
    yield _element("auth-address", "; ".join(_affiliations(row)))
    yield from _group(
        "titles",
        (
            _element("title", row["title"]),
            _element("secondary-title", None if book else row["container"]),
            _element("short-title", row["short_title"]),
            _element("translated-title", row["original_title"]),
        ),
    )
    yield from _group(
        "periodical", (_element("full-title", row["container"]), _element("abbr-1", row["short_container"]))
    )
    yield _element("pages", page_ranges.formatted(row["pages"], "-"))
    yield _element("volume", row["volume"])
    yield _element("number", row["issue"])
    yield _element("edition", row["edition"])
    yield from _group("keywords", (_element("keyword", keyword) for keyword in keywords(row)))
    dates = _element("date", row["issued"])
    yield from _group("dates", (_element("year", row["year"]), f"<pub-dates>{dates}</pub-dates>" if dates else ""))
    yield _element("pub-location", row["publisher_place"])
    yield _element("publisher", row["publisher"] or row["institution"])
    yield _element("isbn", "; ".join(filter(None, (joined(row["isbn"]), joined(row["issn"])))))
    yield _element("accession-num", first_of(row["pmid"]))
    yield _element("electronic-resource-num", row["doi"])
    yield _element("abstract", row["abstract"])
    yield _element("notes", "\n".join(notes(row, layout)))
    yield _element("language", row["language"])
    yield from _group("urls", _group("related-urls", (_element("url", row["url"]),)))
    yield _element("custom1", row["event_place"] if conference else None)
    yield _element("custom2", first_of(row["pmcid"]) if code == 17 else None)
    yield "</record>"


def _contributors(row: Row, *, book: bool) -> Iterator[str]:
    """Authors, editors and translators in the groups where EndNote and Zotero read them: editors of a book are `tertiary`."""
    groups: dict[str, list[str]] = {}
    editors = "tertiary-authors" if book else "secondary-authors"
    names = {"author": "authors", "editor": editors, "chair": editors, "translator": "subsidiary-authors"}
    for person in row["authors_full"]:
        groups.setdefault(names.get(person.get("role") or "author", "authors"), []).append(full_name(person))
    for name in ("authors", "secondary-authors", "tertiary-authors", "subsidiary-authors"):
        yield from _group(name, (_element("author", each) for each in groups.get(name, ())))


def _affiliations(row: Row) -> Iterable[str]:
    return dict.fromkeys(person["affiliation"] for person in row["authors_full"] if person.get("affiliation"))


def _group(name: str, parts: Iterable[str]) -> Iterator[str]:
    """An element around these, none where there is nothing in it."""
    inside = "".join(parts)
    if inside:
        yield f"<{name}>{inside}</{name}>"


def _element(name: str, value: Any) -> str:
    """An element with a text, empty where there is none. The `style` is what EndNote puts around every text."""
    if value is None or value == "":
        return ""
    # `xml.sax.saxutils` has the same function, but loads an HTTP client.
    text = html.escape(_NO_XML.sub("", str(value)).replace("\r\n", "\n").replace("\r", "\n"), quote=False)
    return f"<{name}>{_STYLE}{text}</style></{name}>"
