"""The file formats of an export, by the names that `--format` and the links of the site use, and their encoding.

A row is a mapping with the keys of `columns.KEYS`, one per work. A file is an iterator of chunks, so that memory use does not
grow with the number of works. This module may not read a database, a file or the clock, and does not decide which works are
exported.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from evidence.errors import ConfigError
from evidence.export.columns import KEYS, Column, Layout, Row, columns
from evidence.export.csv_files import BOM, asreview, csv_rows, guard, unguard
from evidence.export.evidence_repository import json_ld
from evidence.export.json_lines import json_lines
from evidence.export.nbib_endnote import endnote_xml, nbib
from evidence.export.parquet_file import parquet
from evidence.export.ris_bibtex_csl import bibtex, csl_json, ris
from evidence.export.web_annotations import annotation_page
from evidence.export.workbook import workbook

__all__ = [
    "FORMATS",
    "KEYS",
    "Column",
    "Format",
    "Layout",
    "Row",
    "asreview",
    "bibtex",
    "columns",
    "csl_json",
    "csv_rows",
    "encode",
    "endnote_xml",
    "guard",
    "json_lines",
    "nbib",
    "parquet",
    "ris",
    "unguard",
    "workbook",
]


@dataclass(frozen=True, slots=True)
class Format:
    """A file format; calling it with rows returns the file in chunks of text, or of bytes.

    `description` says what it is for. A `table` has columns, which can be chosen, and a shape. A format with `notes` can have
    the text behind verdict and tags in them. A `flat` format accepts `authors_full` as one text too, ready for a cell. One that
    `lists_tags` needs `tag_rows`. A format that is `fixed` is UTF-8 or no text at all, so that it has no other encoding.
    `abstracts`: it has the abstract. `past`: it can show a past day. `linked`: tags have names (IRIs) in it. `records` says what
    its records are, where they are not works. `profile` names a dialect of the media type, for HTTP.
    """

    write: Callable[[Iterable[Row], Layout | None], Iterator[str] | Iterator[bytes]]
    extension: str
    media_type: str
    description: str
    table: bool = False
    notes: bool = False
    flat: bool = False
    lists_tags: bool = False
    fixed: bool = False
    abstracts: bool = True
    past: bool = True
    linked: bool = False
    records: str = "works"
    profile: str = ""

    def __call__(self, rows: Iterable[Row], layout: Layout | None = None) -> Iterator[str] | Iterator[bytes]:
        """The file."""
        return self.write(rows, layout)

    @property
    def content_type(self) -> str:
        """The media type for HTTP."""
        if self.profile:
            return f'{self.media_type}; profile="{self.profile}"'
        whole = self.extension in ("xlsx", "parquet", "jsonld")  # JSON-LD is always UTF-8, and its type has no charset
        return self.media_type if whole else f"{self.media_type}; charset=utf-8"

    def needs_tag_rows(self, layout: Layout) -> bool:
        """Whether the rows must have `tag_rows`."""
        return self.lists_tags or (self.table and layout.shape == "long")


_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

FORMATS: dict[str, Format] = {
    "csv": Format(csv_rows, "csv", "text/csv", "every column, for spreadsheets and scripts", table=True, flat=True),
    "xlsx": Format(workbook, "xlsx", _XLSX, "every column as a workbook, for Excel", table=True, flat=True, fixed=True),
    "ris": Format(
        ris, "ris", "application/x-research-info-systems", "for Rayyan, Covidence, RevMan, EndNote, Zotero", notes=True
    ),
    "bibtex": Format(bibtex, "bib", "application/x-bibtex", "for LaTeX, JabRef, Zotero", notes=True),
    "csl-json": Format(
        csl_json, "json", "application/vnd.citationstyles.csl+json", "for citation processors, pandoc", notes=True
    ),
    "nbib": Format(nbib, "nbib", "application/nbib", "PubMed's format, for EndNote, Zotero, Covidence", notes=True),
    "endnote-xml": Format(endnote_xml, "xml", "application/xml", "for EndNote, Covidence, Rayyan", notes=True, fixed=True),
    "jsonl": Format(
        json_lines, "jsonl", "application/jsonl", "every column and every tag, for programs", table=True, lists_tags=True,
        fixed=True,
    ),
    "parquet": Format(
        parquet, "parquet", "application/vnd.apache.parquet", "the same with types, for R, pandas, DuckDB", table=True,
        lists_tags=True, fixed=True,
    ),
    "jsonld": Format(
        json_ld, "jsonld", "application/ld+json", "linked data in the vocabulary of evidence-repository.org", lists_tags=True,
        fixed=True, abstracts=False, linked=True,
    ),
    "annotations": Format(
        annotation_page, "jsonld", "application/ld+json", "each tag with the quote behind it as W3C Web Annotations",
        lists_tags=True, fixed=True, abstracts=False, past=False, linked=True, records="annotations",
        profile="http://www.w3.org/ns/anno.jsonld",
    ),
    "asreview": Format(asreview, "csv", "text/csv", "a labelled data set for ASReview"),
}  # fmt: skip
"""The formats, by the names that `--format` and the links of the site use."""

_NO_CHARSETS = frozenset({"idna", "punycode", "undefined", "unicode-escape", "raw-unicode-escape", "mbcs", "oem"})
_MARKED = frozenset({"utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"})
"""Encodings that can hold a byte order mark and do not write one themselves."""


def encode(chunks: Iterable[str | bytes], encoding: str = "utf-8") -> Iterator[bytes]:
    """The chunks as bytes in an encoding that Python knows, such as `utf-8`, `cp1252`, `utf-16`. Chunks of bytes stay as they
    are.

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


def _encoded(chunks: Iterable[str | bytes], codec: codecs.CodecInfo, policy: str) -> Iterator[bytes]:
    encoder = codec.incrementalencoder(policy)
    for position, chunk in enumerate(chunks):
        if isinstance(chunk, bytes):
            yield chunk
            continue
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
