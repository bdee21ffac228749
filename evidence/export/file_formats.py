"""Rows → the text of CSV, RIS, BibTeX, CSL-JSON and ASReview files.

A row is a mapping with the keys of `KEYS`, one per work. A file is an iterator of chunks, one per work, so that memory use does
not grow with the number of works. This module may not read a database, a file or the clock, and does not decide which works
are exported.

Spreadsheets run cells that begin with `= + - @` and some control characters as formulas. Both CSV formats put a `'` before such
a cell, and before a cell that already begins with `'` and such a character, so that `unguard` restores every value.
"""

from __future__ import annotations

import codecs
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evidence.author_names import full_names
from evidence.errors import ConfigError
from evidence.export.ris_bibtex_csl import Row, bibtex, csl_json, joined, keywords, ris

if TYPE_CHECKING:
    from evidence.rules.topic import Topic

__all__ = [
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


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the CSV: its name, a sentence on what it holds (the documentation prints it), and the key of its values in the
    rows if that is not the name."""

    name: str
    description: str
    row_key: str = ""

    @property
    def key(self) -> str:
        """The key of its values in a row."""
        return self.row_key or self.name


_BEFORE_TAGS = (
    Column("doi", "DOI in lower case, without https://doi.org/; empty for a work of an imported file that has none."),
    Column("title", "Title in plain text, as deposited."),
    Column("authors", "Authors in one line, as cited."),
    Column("year", "Year of first publication."),
    Column("container", "Journal, book or proceedings in which the work appeared."),
    Column("verdict", "include, exclude, unsure (waiting for a decision) or duplicate."),
)
_ASKED = tuple(
    Column(f"asked_{key}", f"Date on which {name} last answered about this work; empty if it never did.")
    for key, name in (
        ("crossref", "Crossref"),
        ("pubmed", "PubMed"),
        ("europepmc", "Europe PMC"),
        ("retraction_watch", "the file of Retraction Watch"),
    )
)
_AFTER_TAGS = (
    Column("likely_tags", "Which of the tags are likely rather than stated, as facet:value, joined by “; ”."),
    Column(
        "implied_tags", "Which of the tags are only implied, as facet:value, joined by “; ”; empty unless asked for."
    ),
    Column("why", "The reason for the verdict, in one sentence."),
    Column("decided", "Who decided the verdict: rule or person (a reviewer)."),
    Column("judged_on", "The text that was screened: title, title+abstract, or nothing."),
    Column("notice", "The most serious notice about the work, such as a retraction or a correction."),
    Column("gone", "Date since which Crossref has no record of the work; empty if it has one."),
    Column(
        "notice_details",
        "Every notice with its date, DOI or other number, the DOI it was issued for if that is another, and who states it; "
        "joined by “; ”.",
    ),
    *_ASKED,
    Column("reasons", "The text in title and abstract behind the verdict and the tags."),
    Column("kind", "Crossref's type of work, such as journal-article."),
    Column("issued", "Date of first publication, as precise as deposited: 2019, 2019-05 or 2019-05-03."),
    Column("volume", "Volume."),
    Column("issue", "Issue."),
    Column("pages", "Pages or article number."),
    Column("issn", "ISSNs of the journal, joined by “; ”."),
    Column("publisher", "Publisher."),
    Column("publisher_place", "Where the publisher is."),
    Column("isbn", "ISBNs of the book or proceedings, joined by “; ”."),
    Column("edition", "Edition of a book, as deposited."),
    Column("article_number", "Article number, for articles without pages."),
    Column("subtitle", "Subtitle as deposited; the title includes it."),
    Column("original_title", "Title in the original language, if the title is a translation."),
    Column("short_title", "Short title as deposited."),
    Column("short_container", "Abbreviated title of the journal."),
    Column("institution", "University of a thesis, institution of a report, or server of a preprint."),
    Column("event", "Conference at which the work was presented."),
    Column("event_place", "Place of the conference."),
    Column("event_dates", "Dates of the conference: one date, or the first and the last joined by a slash."),
    Column("published_print", "Date of print publication, as precise as deposited."),
    Column("published_online", "Date of online publication, as precise as deposited."),
    Column("licence", "Link to the licence of the text."),
    Column("funders", "Funders as “Name (DOI; awards: numbers)”, joined by “; ”."),
    Column("language", "Language of the work as deposited, such as en."),
    Column(
        "registrations",
        "Registration numbers of the study: deposited, listed by PubMed, or read in title and abstract; joined by “; ”.",
    ),
    Column("pmid", "PubMed identifier."),
    Column("pmcid", "Identifier in PubMed Central, such as PMC3308108."),
    Column("openalex", "OpenAlex identifier, such as W2741809807."),
    Column("publication_types", "Publication types in PubMed or Europe PMC, joined by “; ”."),
    Column("mesh", "MeSH headings, joined by “; ”."),
    Column("open_access", "Link to a freely readable copy."),
    Column("cited_by", "Number of works that cite this one, as last counted by Crossref."),
    Column("url", "Link to the work."),
    Column("sources", "Reference lists, searches and imported files that found the work, joined by “; ”."),
    Column("local_id", "Of a work without a DOI: its id in this tracker, by which commands and decisions name it."),
    Column(
        "authors_full",
        "All contributors as “Family, Given, Suffix”, joined by “; ”; editors are marked (ed.), translators (trans.), chairs of "
        "a conference (chair).",
    ),
    Column("orcids", "ORCID iDs as “Family, Given: number”, joined by “; ”."),
    Column("affiliations", "Affiliations as “Family, Given: affiliation”, joined by “ | ”."),
    Column(
        "abstract_source",
        "Where the abstract is from: publisher (deposited with Crossref), pubmed, europepmc, openalex or file (an imported one); "
        "also where the abstract itself is left out.",
    ),
    Column("abstract", "Abstract in plain text, if there is one that may be passed on."),
)


def columns(topic: Topic | None = None, *, past: bool = False) -> tuple[Column, ...]:
    """The columns of the CSV for a topic (None: the default one). `past` is for an export as of a past date: it adds that date,
    and the names of columns that hold today's values end in `_today`."""
    topic = topic or _default_topic()
    if past:
        of_today = (_PAST.get(column.name) or _tags_of_today(column, topic.facet_ids) for column in columns(topic))
        return (*_AS_OF, *of_today)
    tags = (Column(facet.id, f"{facet.holds}, joined by “; ”.") for facet in topic.facets)
    return (*_BEFORE_TAGS, *tags, *_AFTER_TAGS)


def _default_topic() -> Topic:
    from evidence.rules import topic as topics  # reads YAML, which most commands need not

    return topics.load()


_AS_OF = (
    Column("as_of", "The date of the export: the row shows the work at the end of that day."),
    Column("same_as", "For a duplicate on that date: the DOI of the record that represented the work."),
)
_PAST = {
    "why": Column(
        "why",
        "The reason for the verdict, if it is known for that date: for exclusions by rule, and for verdicts that are unchanged.",
    ),
    "likely_tags": Column(
        "likely_tags_today",
        "Which of the tags of today are likely rather than stated, as facet:value, joined by “; ”.",
        "likely_tags",
    ),
    "implied_tags": Column(
        "implied_tags_today",
        "Which of the tags of today are only implied, as facet:value, joined by “; ”; empty unless asked for.",
        "implied_tags",
    ),
    "cited_by": Column("cited_by", "Number of works that cite this one, in the record of that date."),
    "reasons": Column(
        "reasons_today",
        "The text behind the verdict and the tags today, if record and verdict are unchanged.",
        "reasons",
    ),
    **{
        column.name: Column(f"{column.name}_today", f"{column.description} As of today.", column.name)
        for column in _ASKED
    },
}


def _tags_of_today(column: Column, facets: Sequence[str]) -> Column:
    """A column of tags renamed to `…_today`, because tags have no history; any other column unchanged."""
    if column.name not in facets:
        return column
    return Column(f"{column.name}_today", f"{column.description} As of today.", column.name)


KEYS = (*(column.name for column in (*_BEFORE_TAGS, *_AFTER_TAGS) if column.name != "local_id"), "tags")
"""The keys that every row must have; an absent fact is None. A row without a DOI has a `local_id`."""

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
    """The cell that was given to `guard`."""
    return cell[1:] if cell.startswith("'") and _GUARDED.match(cell) else cell


def csv_rows(
    rows: Iterable[Row], *, excel: bool = False, topic: Topic | None = None, past: bool = False
) -> Iterator[str]:
    """RFC 4180 lines (CRLF), the header first even when there are no rows; absent facts are empty cells.

    `excel` writes a byte order mark first, without which Excel misreads UTF-8. It also writes an en dash between the numbers of
    volume, issue, pages and of a date without a day, without which Excel turns `3-15` into the 15th of March and `2019-05` into
    1 May 2019. Other programs need neither.
    """
    topic = topic or _default_topic()
    yield from _csv(columns(topic, past=past), rows, topic.facet_ids, excel)


def asreview(rows: Iterable[Row]) -> Iterator[str]:
    """The columns that ASReview reads, as CSV; `included` is 1 for include, 0 for exclude, else empty."""
    labels = {"include": "1", "exclude": "0", "unsure": ""}
    wanted = ("record_id", "title", "abstract", "authors", "year", "doi", "url", "keywords", "included")
    shaped = (
        {
            **row,
            "record_id": row["doi"] or row["local_id"],
            "authors": full_names(row["authors_full"]),
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
    yield (BOM if excel else "") + ",".join(_cell(column.name) for column in wanted) + "\r\n"
    for row in rows:
        tags, people = row["tags"], row["authors_full"]
        values = {
            "local_id": None,
            **row,
            **{facet: tags.get(facet) for facet in facets},
            "authors_full": people if type(people) is str else full_names(people),
        }
        cells = list(map(_cell, values_of(values)))
        for place in misread:
            cells[place] = _undated(cells[place])
        yield ",".join(cells) + "\r\n"


def _cell(value: Any) -> str:
    """A value guarded, and quoted as csv.writer quotes it (RFC 4180; a test compares the two). csv.writer looks at each character
    of an abstract for itself: with it, an export takes a third longer."""
    if value is None:
        return ""
    cell = value if type(value) is str else joined(value)
    if cell[:1] in _BEGINS:  # which saves a call for most
        cell = guard(cell)
    if '"' in cell:
        return '"' + cell.replace('"', '""') + '"'
    return f'"{cell}"' if "," in cell or "\n" in cell or "\r" in cell else cell


def _undated(cell: str) -> str:
    """Numbers joined by a dash or slash, so that Excel takes them for text; a whole date may be a date."""
    return re.sub("[-/]", "–", cell) if _DATE_LIKE.fullmatch(cell) and not _DAY.fullmatch(cell) else cell


@dataclass(frozen=True, slots=True)
class Format:
    """A file format; calling it with rows returns the text of the file in chunks. `description` says what it is for; a `flat`
    format accepts `authors_full` as one text too, ready for a cell."""

    write: Callable[[Iterable[Row]], Iterator[str]]
    extension: str
    media_type: str
    description: str
    flat: bool = False

    def __call__(self, rows: Iterable[Row], topic: Topic | None = None) -> Iterator[str]:
        """The file. Only CSV has columns that depend on the topic (None: the default one)."""
        return csv_rows(rows, topic=topic) if self.write is csv_rows else self.write(rows)


FORMATS: dict[str, Format] = {
    "csv": Format(csv_rows, "csv", "text/csv", "every column, for spreadsheets and scripts", flat=True),
    "ris": Format(ris, "ris", "application/x-research-info-systems", "for Rayyan, Covidence, RevMan, EndNote, Zotero"),
    "bibtex": Format(bibtex, "bib", "application/x-bibtex", "for LaTeX, JabRef, Zotero"),
    "csl-json": Format(csl_json, "json", "application/vnd.citationstyles.csl+json", "for citation processors, pandoc"),
    "asreview": Format(asreview, "csv", "text/csv", "a labelled data set for ASReview"),
}
"""The formats, by the names that `--format` and the links of the site use."""

_NO_CHARSETS = frozenset({"idna", "punycode", "undefined", "unicode-escape", "raw-unicode-escape", "mbcs", "oem"})
_MARKED = frozenset({"utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"})
"""Encodings that can hold a byte order mark and do not write one themselves."""


def encode(chunks: Iterable[str], encoding: str = "utf-8") -> Iterator[bytes]:
    """The chunks as bytes in an encoding that Python knows, such as `utf-8`, `cp1252`, `utf-16`.

    ConfigError when the encoding is unknown, or when it cannot write a character; the error names the character. The chunks
    before it have been yielded by then, so the caller writes to a temporary file. `NAME:replace` (`latin-1:replace`) writes `?`
    for such a character.
    """
    name, _, policy = encoding.partition(":")
    if policy not in ("", "strict", "replace"):
        raise ConfigError(f"encoding {encoding!r}: only `replace` may follow the colon; write {name}:replace")
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
