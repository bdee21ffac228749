"""Rows of a table (Rayyan, Covidence, ASReview, Zotero, Embase, PsycINFO, Scopus, PubMed, Web of Science, this tracker) → fields.

The columns are known by their headings, whatever their order; capitals, accents and punctuation in a heading do not matter.
Pure: cells in, values out. What a spreadsheet has changed beyond recognition is left out and named, never guessed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from evidence import doi as dois
from evidence.references import field_values
from evidence.references.given_reference import Fields

HEADINGS: Mapping[str, Sequence[str]] = {
    "title": ("title", "primary title", "article title", "document title", "item title", "titles", "ti", "t1"),
    "authors": (
        "authors full", "author full names", "authors", "author", "author s", "author names", "first authors", "author list",
        "af", "au", "creators",
    ),
    "editors": ("editors", "editor", "book editors", "be"),
    "year": ("year", "publication year", "published year", "year of publication", "pub year", "py", "yr", "y1"),
    "month": ("month", "published month"),
    "day": ("day",),
    "date": ("issued", "date", "publication date", "date of publication", "pubdate", "da", "pd"),
    "container": (
        "container", "journal", "journal title", "journal name", "journal book", "publication title", "source title",
        "pubtitle", "secondary title", "so", "jf", "source", "publication",
    ),
    "volume": ("volume", "vol", "vl"),
    "issue": ("issue", "number", "issue number", "is", "no"),
    "pages": ("pages", "page s", "page range", "pg"),
    "first_page": ("first page", "start page", "page start", "startpage", "bp", "sp"),
    "last_page": ("last page", "end page", "page end", "endpage", "ep"),
    "article_number": ("article number", "art no", "ar"),
    "publisher": ("publisher", "book publisher", "pu", "pb"),
    "place": ("publisher place", "place", "place published", "location", "publisher city", "pi"),
    "doi": ("doi", "digital object identifier", "digitalobjectidentifier", "article doi", "doi link", "di", "do"),
    "abstract": ("abstract", "notes abstract", "abstract note", "abstracts", "ab", "n2"),
    "kind": (
        "kind", "item type", "type of reference", "document type", "publication type", "doctype", "type", "articletype",
        "reference type", "dt", "pt",
    ),
    "language": ("language", "language of article", "language of original document", "la"),
    "url": ("url", "urls", "link", "documenturl", "plink", "permalink", "item url", "embase link", "ur"),
    "issn": ("issn", "issns", "print issn", "eissn", "sn", "ei"),
    "isbn": ("isbn", "isbns", "bn"),
    "keywords": (
        "keywords", "author keywords", "index keywords", "subjects", "manual tags", "mesh", "emtree index terms",
        "emtree index terms major focus", "mesh headings", "de", "kw",
    ),
    "notes": ("notes", "note", "extra", "comments"),
    "edition": ("edition", "et"),
    "pmid": ("pmid", "pubmed id", "pubmedid", "medline pmid", "pubmed identifier", "pm"),
    "pmcid": ("pmcid", "pmc id", "pmc"),
    "accession": (
        "accession number", "accessionnumber", "pui", "ut unique wos id", "ut", "eid", "covidence", "covidence number",
        "itemid", "key", "record id", "an", "ui",
    ),
    "citation": ("citation",),
}  # fmt: skip
"""The headings of each field, as `heading` folds them, the surest first."""

_BY_HEADING = {name: field for field, names in HEADINGS.items() for name in names}
_SEVERAL = frozenset({"keywords", "notes", "issn", "isbn", "url"})
"""Fields that several columns may fill."""
_DATABASES = frozenset(
    {"scopus", "pubmed", "medline", "embase", "psycinfo", "web of science", "wos", "cinahl", "crossref"}
)
_DATE_OF_NUMBERS = re.compile(r"(?:(\d{1,4})-([A-Z][a-z]{2})|([A-Z][a-z]{2})-(\d{1,4}))")
_MONTHS = {m: n for n, m in enumerate("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), start=1)}  # noqa: SIM905
_SCIENTIFIC = re.compile(r"\d(?:[.,]\d+)?E[+-]?\d+", re.IGNORECASE)
_GUARDED = re.compile(r"'+[=+\-@\t\r\n\0＝＋－＠]")
_AUTHOR_NUMBER = re.compile(r"\s*\(\d+\)")
_INITIALS = re.compile(r"(?:[A-Z]\.?[ -]?){1,4}")
_NAME_AND_INITIALS = re.compile(r"[^\W\d_][^,]*\s(?:[A-Z]\.?-?){1,4}")
_PLACE_OF_PUBMED = re.compile(r";(?P<volume>[\w ]+)?(?:\((?P<issue>[^)]+)\))?:(?P<pages>[\w-]+)")


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns of a table hold which field: field → the positions of its columns, the surest first."""

    places: Mapping[str, Sequence[int]]

    def cell(self, row: Sequence[str], field: str) -> str | None:
        """The first cell of a field that is not empty."""
        return next(iter(self.cells(row, field)), None)

    def cells(self, row: Sequence[str], field: str) -> list[str]:
        """Every cell of a field that is not empty."""
        held = (_plain_cell(row[place]) for place in self.places.get(field, ()) if place < len(row))
        return [cell for cell in held if cell]


def heading(text: str) -> str:
    """A heading folded: lower case, words only."""
    return " ".join(re.findall(r"[^\W_]+", text.strip("\ufeff").lower()))


def columns(headings: Sequence[str]) -> Columns:
    """The known columns of a table."""
    found: dict[str, list[tuple[int, int]]] = {}
    for place, text in enumerate(headings):
        name = heading(text)
        if (field := _BY_HEADING.get(name)) is not None:
            found.setdefault(field, []).append((HEADINGS[field].index(name), place))
    return Columns({field: [place for _, place in sorted(places)] for field, places in found.items()})


def ambiguous(headings: Sequence[str]) -> str | None:
    """A heading that two columns share and that only one may have; None where there is none."""
    seen: set[str] = set()
    for text in headings:
        name = heading(text)
        if name in seen and _BY_HEADING.get(name) not in (None, *_SEVERAL):
            return text
        seen.add(name)
    return None


def fields_of(row: Sequence[str], known: Columns) -> tuple[Fields, tuple[str, ...]]:
    """The fields of a row, and a sentence on each cell that cannot be used."""
    doubts = list(_doubts(row, known))

    def cell(*names: str) -> str | None:
        return next((value for name in names if (value := known.cell(row, name))), None)

    doi = cell("doi")
    pmid = cell("pmid")
    notes = known.cells(row, "notes")
    citation = _PLACE_OF_PUBMED.search(cell("citation") or "")
    printed = citation.groupdict() if citation else {}
    issue, volume = _undated(cell("issue")) or printed.get("issue"), _undated(cell("volume")) or printed.get("volume")
    year, dates = cell("year"), known.cells(row, "date")
    when = " ".join(filter(None, (year, cell("month"), cell("day") if cell("month") else None)))
    fields = Fields(
        authors=names(cell("authors")),
        year=field_values.year(year, *dates),
        title=cell("title"),
        container=_container(row, known),
        volume=volume.strip() if volume else None,
        issue=issue,
        pages=_pages(row, known) or printed.get("pages"),
        publisher=cell("publisher"),
        doi=doi if doi and dois.candidates(doi) else next((url for url in known.cells(row, "url") if "doi.org/" in url), None),
        date=field_values.date(_numbered(when), *dates, year),
        kind=next((kind for stated in known.cells(row, "kind") if (kind := field_values.kind(stated))), None),
        abstract=field_values.abstract(*known.cells(row, "abstract")),
        language=field_values.language(cell("language")),
        url=field_values.web_address(*known.cells(row, "url")),
        editors=names(cell("editors")),
        issn=field_values.issns(known.cells(row, "issn")),
        isbn=field_values.isbns(known.cells(row, "isbn")),
        keywords=field_values.keywords([";".join(listed(text)) for text in known.cells(row, "keywords")]),
        notes=tuple(notes),
        edition=cell("edition"),
        place=cell("place"),
        pmid=pmid if pmid and pmid.isdigit() else field_values.pmid(*notes),
        pmcid=field_values.pmcid(cell("pmcid"), *notes),
        accession=cell("accession"),
    )  # fmt: skip
    return fields, tuple(doubts)


def names(text: str | None) -> tuple[str, ...]:
    """The names in a cell: separated by semicolons, by “and”, as a Python list, or by commas where each part has its initials."""
    if not text:
        return ()
    if text.startswith("["):
        return field_values.names(listed(text))
    text = _AUTHOR_NUMBER.sub("", text)
    if ";" in text:
        return field_values.names([text])
    if "|" in text:
        return field_values.names(text.split("|"))
    if re.search(r"\s(?:and|&)\s", text):
        parts = re.split(r",?\s+(?:and|&)\s+", text)
        return tuple(name for part in parts for name in _by_commas(part))
    return tuple(_by_commas(text))


def _by_commas(text: str) -> list[str]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if len(parts) > 1 and all(_NAME_AND_INITIALS.fullmatch(part) for part in parts):
        return parts
    if len(parts) > 2 and len(parts) % 2 == 0 and all(_INITIALS.fullmatch(part) for part in parts[1::2]):
        return [f"{family}, {given}" for family, given in zip(parts[::2], parts[1::2], strict=True)]
    return [text.strip(" ,")] if parts else []


def listed(text: str) -> list[str]:
    """The values of a cell that ASReview wrote as a Python list; any other cell is one value."""
    if text.startswith("[") and text.endswith("]"):
        try:
            found = ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return [text]
        if isinstance(found, list) and all(isinstance(each, str) for each in found):
            return found
    return [text]


def _doubts(row: Sequence[str], known: Columns) -> Iterator[str]:
    doi, pmid = known.cell(row, "doi"), known.cell(row, "pmid")
    if doi and not dois.candidates(doi):
        why = (
            "a spreadsheet changed it"
            if _SCIENTIFIC.fullmatch(doi) or _DATE_OF_NUMBERS.fullmatch(doi)
            else "none is in it"
        )
        yield f"the DOI {doi[:60]!r} is no DOI ({why}); take it from the original export"
    if pmid and not pmid.isdigit():
        yield f"the PubMed identifier {pmid[:30]!r} is no number; take it from the original export"


def _plain_cell(cell: str) -> str:
    """A cell without blanks around it, and without the quotation mark that keeps a spreadsheet from running it."""
    cell = cell.strip().strip("\ufeff")
    return cell[1:] if _GUARDED.match(cell) else cell


def _container(row: Sequence[str], known: Columns) -> str | None:
    """Scopus has the name of the database in a column `Source`."""
    return next((cell for cell in known.cells(row, "container") if cell.lower() not in _DATABASES), None)


def _pages(row: Sequence[str], known: Columns) -> str | None:
    if pages := known.cell(row, "pages"):
        return _undated(pages)
    first, last = known.cell(row, "first_page"), known.cell(row, "last_page")
    if first and last and first != last and "-" not in first:
        return f"{first}-{last}"
    return first or known.cell(row, "article_number")


def _undated(cell: str | None) -> str | None:
    """`3-15` that a spreadsheet took for a date (`15-Mar`, `Mar-15`); en dashes become hyphens."""
    if cell and (found := _DATE_OF_NUMBERS.fullmatch(cell)):
        day, month, month_first, other = found.groups()
        number = _MONTHS.get(month or month_first)
        return f"{number}-{day or other}" if number else cell
    return cell.replace("–", "-") if cell else None


def _numbered(when: str) -> str:
    """`2012 5 3` as an ISO date; anything else is left to be read as a date in words."""
    numbers = when.split()
    return "-".join(numbers) if all(part.isdigit() for part in numbers) else when
