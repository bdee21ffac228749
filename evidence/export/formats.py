"""Rows → the text of CSV, RIS, BibTeX, CSL-JSON and ASReview files.

A row is a mapping per work with the keys of `KEYS`; a file is an iterator of chunks, one per work, so memory stays flat
however many there are. This room may not read a database, a file or the clock, and may not decide who is exported.

Spreadsheets run cells that begin with `= + - @` and some control characters as formulas. Both CSV forms put one `'`
before such a cell, and before one that already looks so guarded, so `unguard` gets every value back.
"""

from __future__ import annotations

import codecs
import csv
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from evidence.errors import ConfigError
from evidence.export.reference_formats import Row, bibtex, csl_json, joined, keywords, names, ris

__all__ = [
    "COLUMNS",
    "FACETS",
    "FORMATS",
    "KEYS",
    "Column",
    "Format",
    "Row",
    "asreview",
    "bibtex",
    "columns",
    "csl_json",
    "csv_rows",
    "encode",
    "guard",
    "ris",
    "unguard",
]

FACETS = ("variant", "outcome", "problem_area", "format", "population", "condition", "comparator", "design")
"""The facets of the taxonomy as shipped, in the order of their columns."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the CSV and one sentence that says what is in it; the README and the site print both. `of` is what rows call
    its values, where that is not the name."""

    name: str
    says: str
    of: str = ""

    @property
    def key(self) -> str:
        """What its values are called in the rows."""
        return self.of or self.name


_BEFORE_TAGS = (
    Column("doi", "DOI in lower case without a prefix; it names the row."),
    Column("title", "Title in plain text, as deposited."),
    Column("authors", "Authors in one line, as cited."),
    Column("year", "Year of first publication."),
    Column("container", "Journal, book or proceedings in which the work appeared."),
    Column("verdict", "include, exclude, or unsure (waits for a person)."),
)
_TAGS = {
    "variant": "Variants of interpersonal psychotherapy studied, joined by “; ”.",
    "outcome": "Outcomes measured or reported, joined by “; ”.",
    "problem_area": "Interpersonal problem areas named, joined by “; ”.",
    "format": "Formats in which the therapy was given, joined by “; ”.",
    "population": "People studied, joined by “; ”.",
    "condition": "Disorders treated or prevented, joined by “; ”.",
    "comparator": "What the therapy was compared with, joined by “; ”.",
    "design": "Designs of the study or kinds of report, joined by “; ”.",
}
_AFTER_TAGS = (
    Column("why", "Why the verdict is what it is, in one sentence."),
    Column("decided", "Who decided the verdict: rule or person."),
    Column("judged_on", "The text there was to judge: title, title+abstract, or nothing."),
    Column("notice", "Retraction, correction or other notice about the work, where one is known."),
    Column("gone", "Day since which Crossref has no record of the work any more; empty while it has."),
    Column(
        "notice_details",
        "Every notice with its date and DOI, and on which DOI it stands where that is another; joined by “; ”.",
    ),
    Column("reasons", "The words in title and abstract that earned the verdict and the tags."),
    Column("kind", "Crossref's type of work, such as journal-article."),
    Column("issued", "Date of first publication as precise as deposited: 2019, 2019-05 or 2019-05-03."),
    Column("volume", "Volume."),
    Column("issue", "Issue."),
    Column("pages", "Pages or article number."),
    Column("issn", "ISSNs of the journal, joined by “; ”."),
    Column("publisher", "Publisher."),
    Column("publisher_place", "Where the publisher is."),
    Column("isbn", "ISBNs of the book or proceedings, joined by “; ”."),
    Column("edition", "Edition of a book, as deposited."),
    Column("article_number", "Article number, for articles that have no pages."),
    Column("subtitle", "Subtitle as deposited; the title includes it."),
    Column("original_title", "Title in the original language, where the title is a translation."),
    Column("short_title", "Short title as deposited."),
    Column("short_container", "Abbreviated title of the journal."),
    Column("institution", "Where a thesis was defended, a report written or a preprint is kept."),
    Column("event", "Conference at which the work was given."),
    Column("event_place", "Where the conference was held."),
    Column("event_dates", "When the conference was held: a date, or the first and last joined by a slash."),
    Column("published_print", "Date of print publication as precise as deposited."),
    Column("published_online", "Date of online publication as precise as deposited."),
    Column("licence", "Address of the licence of the text."),
    Column("funders", "Funders as “Name (DOI; awards: numbers)”, joined by “; ”."),
    Column("language", "Language of the work as deposited, such as en."),
    Column("registrations", "Trial registrations named in the record, joined by “; ”."),
    Column("cited_by", "Number of works that cite this one, as Crossref last counted."),
    Column("url", "Address of the work."),
    Column("sources", "Reference lists and searches of sources.yaml that led to the work, joined by “; ”."),
    Column(
        "authors_full",
        "Everyone credited as “Family, Given, Suffix”, joined by “; ”; editors are marked (ed.), translators (trans.), chairs of "
        "a conference (chair).",
    ),
    Column("orcids", "ORCID iDs as “Family, Given: number”, joined by “; ”."),
    Column("affiliations", "Affiliations as “Family, Given: affiliation”, joined by “ | ”."),
    Column("abstract", "Abstract in plain text, where one is deposited."),
)


def columns(facets: Sequence[str] = FACETS, *, past: bool = False) -> tuple[Column, ...]:
    """The columns of the CSV for a taxonomy with these facets. Those of a `past` day say which day, and which columns are not of
    that day."""
    if past:
        return (*_OF_A_DAY, *(_PAST.get(column.name) or _today(column, facets) for column in columns(facets)))
    tags = (Column(facet, _TAGS.get(facet, f"Values of the facet {facet}, joined by “; ”.")) for facet in facets)
    return (*_BEFORE_TAGS, *tags, *_AFTER_TAGS)


_OF_A_DAY = (
    Column("as_of", "The day at whose end the row stood so."),
    Column("same_as", "For a duplicate of that day: the DOI of the record that counted."),
)
_PAST = {
    "why": Column(
        "why", "Why, where the reason of that day is known: of exclusions by rule, and of verdicts that still stand."
    ),
    "cited_by": Column("cited_by", "Number of works that cite this one, as the record of that day said."),
    "reasons": Column(
        "reasons_today",
        "The words that earn verdict and tags today, where record and verdict are unchanged.",
        "reasons",
    ),
}


def _today(column: Column, facets: Sequence[str]) -> Column:
    """A column of tags, which have no history, with a name that says so; any other as it is."""
    return (
        Column(f"{column.name}_today", f"{column.says} As of today.", column.name) if column.name in facets else column
    )


COLUMNS: tuple[Column, ...] = columns()
KEYS = (*(column.name for column in (*_BEFORE_TAGS, *_AFTER_TAGS)), "tags")
"""What every row must hold; a missing key is a KeyError, an absent fact is None."""

BOM = "\ufeff"
_GUARDED = re.compile(r"'*[=+\-@\t\r\n\0\uff1d\uff0b\uff0d\uff20]")
"""How a dangerous cell begins (OWASP ASVS 5.0, 1.2.10; the full-width forms run in some East Asian settings)."""
_BEGINS = frozenset("'=+-@\t\r\n\0\uff1d\uff0b\uff0d\uff20")
_EXCEL_MISREADS = frozenset(
    [
        "issue",
        "issued",
        "pages",
        "volume",
        "edition",
        "article_number",
        "published_print",
        "published_online",
        "event_dates",
    ]
)
_DATE_LIKE = re.compile(r"\d+(?:[-/]\d+)+")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


def guard(cell: str) -> str:
    """The cell so that no spreadsheet runs it; most are returned as they are."""
    return "'" + cell if _GUARDED.match(cell) else cell


def unguard(cell: str) -> str:
    """What `guard` was given."""
    return cell[1:] if cell.startswith("'") and _GUARDED.match(cell) else cell


def csv_rows(
    rows: Iterable[Row], *, excel: bool = False, facets: Sequence[str] = FACETS, past: bool = False
) -> Iterator[str]:
    """RFC 4180 lines (CRLF), the header first even when there are no rows; absent facts are empty cells.

    `excel` writes a byte order mark first, without which Excel misreads UTF-8, and an en dash between the numbers of
    volume, issue, pages and of a date without a day, without which Excel turns `3-15` into the 15th of March and
    `2019-05` into its first day. Other readers want neither.
    """
    yield from _csv(columns(facets, past=past), rows, facets, excel)


def asreview(rows: Iterable[Row]) -> Iterator[str]:
    """The columns ASReview reads, as CSV; `included` is 1, 0, or empty for `unsure` and for what is no study of its own."""
    labels = {"include": "1", "exclude": "0", "unsure": ""}
    wanted = ("record_id", "title", "abstract", "authors", "year", "doi", "url", "keywords", "included")
    shaped = (
        {
            **row,
            "record_id": row["doi"],
            "authors": names(row["authors_full"]),
            "keywords": keywords(row),
            "included": labels.get(row["verdict"], ""),
        }
        for row in rows
    )
    yield from _csv([Column(name, "") for name in wanted], shaped, (), excel=False)


def _csv(wanted: Sequence[Column], rows: Iterable[Row], facets: Sequence[str], excel: bool) -> Iterator[str]:
    keys = [column.key for column in wanted]
    values_of = operator.itemgetter(*keys)
    misread = [place for place, key in enumerate(keys) if excel and key in _EXCEL_MISREADS]
    writer = csv.writer(_Line())
    yield (BOM if excel else "") + writer.writerow([column.name for column in wanted])
    for row in rows:
        tags, people = row["tags"], row["authors_full"]
        values = {
            **row,
            **{facet: tags.get(facet) for facet in facets},
            "authors_full": people if type(people) is str else names(people),
        }
        # Most cells are texts that need no guard: to call a function for each of them would double the time.
        cells = [
            value if type(value) is str and value[:1] not in _BEGINS else _cell(value) for value in values_of(values)
        ]
        for place in misread:
            cells[place] = _undated(cells[place])
        yield writer.writerow(cells)


class _Line:
    """What `csv.writer` writes to: it gives back the line, and `writerow` returns it."""

    def write(self, line: str) -> str:
        return line


def _cell(value: Any) -> str:
    return guard(value if type(value) is str else joined(value))


def _undated(cell: str) -> str:
    """Numbers joined by a dash or slash, so that Excel takes them for text; a whole date may be a date."""
    return re.sub("[-/]", "–", cell) if _DATE_LIKE.fullmatch(cell) and not _DAY.fullmatch(cell) else cell


@dataclass(frozen=True, slots=True)
class Format:
    """One way to write works; calling it with rows gives the file's text in chunks. `flat` formats take `authors_full` as one
    text too, ready for a cell."""

    write: Callable[[Iterable[Row]], Iterator[str]]
    extension: str
    media_type: str
    says: str
    flat: bool = False

    def __call__(self, rows: Iterable[Row]) -> Iterator[str]:
        return self.write(rows)


FORMATS: dict[str, Format] = {
    "csv": Format(csv_rows, "csv", "text/csv", "every column, for spreadsheets and scripts", flat=True),
    "ris": Format(ris, "ris", "application/x-research-info-systems", "for Rayyan, Covidence, RevMan, EndNote, Zotero"),
    "bibtex": Format(bibtex, "bib", "application/x-bibtex", "for LaTeX, JabRef, Zotero"),
    "csl-json": Format(csl_json, "json", "application/vnd.citationstyles.csl+json", "for citation processors, pandoc"),
    "asreview": Format(asreview, "csv", "text/csv", "a labelled data set for ASReview"),
}
"""The formats by the name that `--format` and the site's links use."""

_NO_CHARSETS = frozenset({"idna", "punycode", "undefined", "unicode-escape", "raw-unicode-escape", "mbcs", "oem"})
_MARKED = frozenset({"utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"})
"""Encodings that write no byte order mark of their own, but can hold one."""


def encode(chunks: Iterable[str], encoding: str = "utf-8") -> Iterator[bytes]:
    """The chunks as bytes in an encoding Python knows, such as `utf-8`, `cp1252`, `utf-16`.

    Text that the encoding cannot write is refused with a ConfigError that names the character, for a silent `?` in an
    author's name is damage; the chunks before it have been given out by then, so write to a file that is put in place
    at the end. `NAME:replace` (`latin-1:replace`) asks for the damage: `?` for each such character.
    """
    name, _, policy = encoding.partition(":")
    if policy not in ("", "strict", "replace"):
        raise ConfigError(f"encoding {encoding!r}: after the colon only `replace` is known; write {name}:replace")
    try:
        "".encode(name)
        codec = codecs.lookup(name)
    except (LookupError, UnicodeError, ValueError):
        raise _unknown(name) from None
    if codec.name.replace("_", "-") in _NO_CHARSETS:
        raise _unknown(name)
    return _encoded(chunks, codec, policy or "strict")


def _unknown(name: str) -> ConfigError:
    return ConfigError(f"unknown encoding {name!r}; write one such as utf-8, utf-16, cp1252 or latin-1")


def _encoded(chunks: Iterable[str], codec: codecs.CodecInfo, policy: str) -> Iterator[bytes]:
    encoder = codec.incrementalencoder(policy)
    for position, chunk in enumerate(chunks):
        text = chunk.removeprefix(BOM) if position == 0 and codec.name not in _MARKED else chunk
        try:
            yield encoder.encode(text)
        except UnicodeEncodeError as error:
            bad = error.object[error.start]
            raise ConfigError(
                f"{codec.name} cannot write {bad!r} (U+{ord(bad):04X}) in {text[:60]!r}…; "
                f"use utf-8, or {codec.name}:replace for a ? in its place"
            ) from None
    yield encoder.encode("", final=True)
