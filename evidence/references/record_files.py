"""A file of records from a database, a reference manager or a screening tool → its records, one at a time.

Read are RIS, PubMed's format, Web of Science's, BibTeX, CSL-JSON, EndNote's XML, and tables (CSV and TSV). The format follows
from the content. The file is read twice: once to find its encoding and what is wrong with it, then record by record, so that
memory does not grow with its size. It may not ask anybody what a record means, and it never repairs silently: ConfigError names
file, line and remedy."""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from html import unescape
from typing import BinaryIO, Literal, TextIO

from evidence.errors import ConfigError
from evidence.references import endnote_xml, table_fields, tagged_lines
from evidence.references.given_reference import Fields
from evidence.references.read_references import bibtex_entries, bibtex_fields, csl_fields, csl_items

RecordFormat = Literal["ris", "nbib", "wos", "bibtex", "csl-json", "endnote-xml", "csv"]

LONGEST_RECORD = 8_000_000
"""Characters of one record; the longest real ones, with all references of a work, have a tenth of them."""

_PART = 1 << 20
_UNREAD = (
    (b"PK\x03\x04", "a ZIP archive or a workbook (.xlsx, .docx); unpack it, or save the sheet as “CSV UTF-8”"),
    (b"\x1f\x8b", "packed with gzip; unpack it first"),
    (b"%PDF", "a PDF; export the records as RIS or CSV"),
    (b"SQLite format 3\x00", "a database; export its records as RIS or CSV"),
    (b"\xd0\xcf\x11\xe0", "an old Office file (.xls, .doc); save the sheet as “CSV UTF-8”"),
    (b"{\\rtf", "a text with formatting (.rtf); export the records as RIS or CSV"),
)
_WHAT = "give RIS, PubMed (.nbib), BibTeX, CSL-JSON, EndNote XML, Web of Science, CSV or TSV"
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_MULTIBYTE = re.compile(rb"[\xc2-\xf4][\x80-\xbf]")


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One record of a file. `line` is where it begins (from 1); `row` has the cells of a table by heading as written; `doubts`
    are sentences on values that could not be used."""

    fields: Fields
    line: int
    row: Mapping[str, str] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()


def read_records(stream: BinaryIO, name: str) -> tuple[RecordFormat, Iterator[FileRecord]]:
    """The format of a file that can be read twice, and its records. ConfigError at once where the file is not text or its format
    is not known; while they are read, where a record is damaged."""
    encoding = text_encoding(stream, name)
    stream.seek(0)
    start = _start(stream, encoding)
    kind = _format(start, name)
    stream.seek(0)
    if kind == "endnote-xml":
        parts = iter(lambda: stream.read(_PART), b"")
        return kind, (FileRecord(fields, line) for line, fields in endnote_xml.records(parts, name))
    return kind, _records(stream, encoding, kind, name)


def text_encoding(stream: BinaryIO, name: str) -> str:
    """The encoding of a file, found by reading all of it: UTF-8 with or without a byte order mark, UTF-16, or Windows-1252.
    ConfigError with the line for a file that is not text, or not in one encoding."""
    first = stream.read(_PART)
    if not first.strip():
        raise ConfigError(f"{name} is empty; export it again")
    for magic, what in _UNREAD:
        if first.startswith(magic):
            raise ConfigError(f"{name} is {what}")
    if first[:2] in _UTF16:
        return _checked(stream, first, "utf-16", name)
    if b"\0" in first[:200]:
        if first[:200].count(b"\0") < len(first[:200]) // 3:
            raise ConfigError(f"{name} is not text; {_WHAT}")
        return _checked(stream, first, "utf-16-le" if first[1:2] == b"\0" else "utf-16-be", name)
    bad, multibyte = _first_not_utf8(stream, first, name)
    if bad is None:
        return "utf-8-sig"
    if multibyte:
        raise ConfigError(
            f"{name}:{bad}: a character is not in UTF-8 although others are; save the file as UTF-8, or export it again"
        )
    stream.seek(0)
    return _checked(stream, stream.read(_PART), "cp1252", name)


def _first_not_utf8(stream: BinaryIO, first: bytes, name: str) -> tuple[int | None, bool]:
    """The line of the first byte that is not UTF-8 (None: there is none), and whether any characters are UTF-8 of several bytes.
    ConfigError for a NUL, and for a file that ends inside a character."""
    decoder, line, bad, multibyte = codecs.getincrementaldecoder("utf-8-sig")(), 1, None, False
    part = first
    while True:
        if (nul := part.find(b"\0")) >= 0:
            line += part[:nul].count(b"\n")
            raise ConfigError(f"{name}:{line}: there is a NUL in the text, so the file is damaged; export it again")
        try:
            if bad is None:
                decoder.decode(part, final=not part)
        except UnicodeDecodeError as error:
            bad = line + error.object[: error.start].count(b"\n")
            if not part:
                raise ConfigError(
                    f"{name}:{bad}: the file ends inside a character, so it is cut short; export it again"
                ) from None
        multibyte = multibyte or bool(_MULTIBYTE.search(part))
        line += part.count(b"\n")
        if not part:
            return bad, multibyte
        part = stream.read(_PART)


def _checked(stream: BinaryIO, first: bytes, encoding: str, name: str) -> str:
    """The encoding, when all of the file can be read in it."""
    decoder, line, part = codecs.getincrementaldecoder(encoding)(), 1, first
    while True:
        try:
            line += decoder.decode(part, final=not part).count("\n")
        except UnicodeDecodeError:
            raise ConfigError(
                f"{name}:{line}: the text is not in {encoding.upper()}, or cut short; save the file as UTF-8, or export it again"
            ) from None
        if not part:
            return encoding
        part = stream.read(_PART)


def _start(stream: BinaryIO, encoding: str) -> str:
    text = codecs.getincrementaldecoder(encoding)().decode(stream.read(1 << 16))
    return text.lstrip("\ufeff \t\r\n")


def _format(start: str, name: str) -> RecordFormat:
    if start.startswith("<"):
        if re.match(r"<!doctype html|<html", start, re.IGNORECASE):
            raise ConfigError(f"{name} is a web page: was the export refused, or the session over? {_WHAT}")
        return "endnote-xml"
    if re.search(r"^\ufeff?\s{0,3}TY\s{1,3}-", start, re.MULTILINE) or re.search(
        r"\A(?:[A-Z][A-Z0-9]\s{1,3}-(?: .*)?\n)+", start
    ):
        return "ris"
    if re.match(r"PMID\s?-\s", start):
        return "nbib"
    if re.match(r"(?:FN|VR|PT) \S", start):
        return "wos"
    if re.match(r"[\[{]\s*[\]{\"]", start):
        return "csl-json"
    if re.search(r"^\s*@[A-Za-z]+\s*[{(]", start, re.MULTILINE) and not re.match(r"[^\n@]*[,;\t][^\n@]*\n", start):
        return "bibtex"
    known = table_fields.columns(next(csv.reader([_first_line(start)], delimiter=_delimiter(start))))
    if known.places.keys() & {"title", "doi", "abstract", "pmid"}:
        return "csv"
    raise ConfigError(
        f"{name}:1: the format is not known: neither records of a reference manager nor a table with a column such as “Title”, "
        f"“DOI” or “Abstract”; {_WHAT}"
    )


def _first_line(start: str) -> str:
    """The line of the headings: after Excel's `sep=;`."""
    lines = start.splitlines()
    return lines[1] if len(lines) > 1 and re.fullmatch(r"\"?sep=.\"?", lines[0], re.IGNORECASE) else lines[0]


def _delimiter(start: str) -> str:
    line = _first_line(start)
    bare = re.sub(r'"[^"]*"', "", line)
    return max(",;\t", key=lambda each: (bare.count(each), each == ","))


def _records(stream: BinaryIO, encoding: str, kind: RecordFormat, name: str) -> Iterator[FileRecord]:
    text = io.TextIOWrapper(stream, encoding=encoding, newline="" if kind == "csv" else None)
    try:
        yield from _records_in(text, kind, name)
    finally:
        text.detach()  # the stream stays open for whoever opened it


def _records_in(text: io.TextIOWrapper, kind: RecordFormat, name: str) -> Iterator[FileRecord]:
    if kind == "csv":
        yield from _table(text, name)
    elif kind == "bibtex":
        yield from _bibtex(text, name)
    elif kind == "csl-json":
        yield from _csl(text, name)
    else:
        tagged: tagged_lines.TaggedFormat = kind  # type: ignore[assignment]
        ends = tagged_lines.EndWatch(tagged, name, LONGEST_RECORD)
        for line, record in tagged_lines.numbered_records(ends.watch(_limited(text, name)), tagged):
            if ends.cut_at == line:
                raise ConfigError(f"{name}:{line}: this record has no end, so the file is cut short; export it again")
            yield FileRecord(tagged_lines.fields_of(record, tagged), line)


def _limited(text: TextIO, name: str, before: int = 0) -> Iterator[str]:
    """The lines of a text, of which so many were read before. No line is read whole that is longer than any record."""
    number = before
    while line := text.readline(LONGEST_RECORD + 1):
        number += 1
        if len(line) > LONGEST_RECORD:
            raise ConfigError(
                f"{name}:{number}: the line has more than {LONGEST_RECORD:,} characters, so the file is damaged; export it again"
            )
        yield line


# ---------------------------------------------------------------------- tables


def _table(text: io.TextIOWrapper, name: str) -> Iterator[FileRecord]:
    start = text.read(1 << 16)
    limit = csv.field_size_limit(LONGEST_RECORD)  # of the whole program, so it is set back
    rest = _Rejoined(start, text, name)
    reader = csv.reader(_unmarked(rest), delimiter=_delimiter(start.lstrip("\ufeff")), strict=True)
    last = _LastLine()
    try:
        headings = next(reader)
        if re.fullmatch(r"sep=.?", "".join(headings), re.IGNORECASE) or headings == ["sep=", ""]:
            headings = next(reader)
        if twice := table_fields.ambiguous(headings):
            raise ConfigError(f"{name}:{reader.line_num}: two columns are called {twice!r}; rename or remove one")
        known = table_fields.columns(headings)
        before = reader.line_num
        for row in reader:
            line, before = before + 1, reader.line_num
            if not any(cell.strip() for cell in row):
                continue
            while len(row) > len(headings) and not row[-1].strip():
                row.pop()
            if len(row) > len(headings):
                raise ConfigError(
                    f"{name}:{line}: the row has {len(row)} cells and the table {len(headings)} columns: a cell with a comma or "
                    "semicolon needs quotation marks; export the table again"
                )
            last.missing = len(headings) - len(row)
            last.line = line
            row += [""] * last.missing
            fields, doubts = table_fields.fields_of(row, known)
            yield FileRecord(fields, line, dict(zip(headings, row, strict=True)), doubts)
    except StopIteration:
        return
    except csv.Error as error:
        said = "a quotation mark is not closed, or the file is cut short" if "end of data" in str(error) else str(error)
        if "field larger" in str(error):
            said = "a cell never ends: a quotation mark is not closed"
        raise ConfigError(f"{name}:{reader.line_num}: {said}; export the table again") from None
    finally:
        csv.field_size_limit(limit)
    if last.missing and not rest.ends_with_newline:
        raise ConfigError(
            f"{name}:{last.line}: the last row lacks {last.missing} cells, so the file is cut short; export it again"
        )


@dataclass(slots=True)
class _LastLine:
    missing: int = 0
    line: int = 0


class _Rejoined:
    """The lines of a text of which the beginning was read already."""

    def __init__(self, start: str, text: TextIO, name: str) -> None:
        self._start, self._text, self._name = start, text, name
        self.ends_with_newline = False

    def __iter__(self) -> Iterator[str]:
        rest = "" if self._start[-1:] == "\n" else self._text.readline(LONGEST_RECORD + 1)
        before = 0
        for source in (io.StringIO(self._start + rest, newline=""), self._text):
            for line in _limited(source, self._name, before):
                before += 1
                self.ends_with_newline = line.endswith(("\n", "\r"))
                yield line


def _unmarked(lines: Iterable[str]) -> Iterator[str]:
    """The lines, without a byte order mark that a program wrote twice or in the middle."""
    for number, line in enumerate(lines):
        yield line.lstrip("\ufeff") if number == 0 else line


# ---------------------------------------------------------------------- BibTeX


_ENTRY_START = re.compile(r"\s*@\s*([A-Za-z]+)\s*[{(]")
_STRING = re.compile(r"\s*@\s*string\b", re.IGNORECASE)
_NO_ENTRY = frozenset({"string", "preamble", "comment"})
MOST_STRINGS = 10_000


def _bibtex(text: TextIO, name: str) -> Iterator[FileRecord]:
    """Entry by entry: an entry ends where the next one begins, so that an unclosed brace costs one entry and not the file."""
    strings: list[str] = []
    for line, chunk in _bibtex_chunks(_limited(text, name), name):
        kind = _ENTRY_START.match(chunk)
        if kind and kind[1].lower() == "string" and len(strings) < MOST_STRINGS:
            strings.append(chunk)
        if kind is None or kind[1].lower() in _NO_ENTRY:
            continue
        read = [
            entry for _, _, entry in bibtex_entries("".join((*strings, _TEX_SPECIAL.sub(r"\\\1", unescape(chunk)))))
        ]
        if read and None not in read:
            yield from (FileRecord(bibtex_fields(entry), line) for entry in read)
            continue
        damaged = bibtex_fields(_entry_by_lines(kind[1], chunk))
        if not damaged.has_content:
            raise ConfigError(f"{name}:{line}: this entry is damaged: a brace or a comma is missing; correct it there")
        yield FileRecord(damaged, line, doubts=("the entry is damaged, so its fields were read line by line",))


_TEX_SPECIAL = re.compile(r"(?<!\\)([&%])")
"""Characters that databases do not escape and that LaTeX would take for a comment or a column."""
_FIELD_LINE = re.compile(r"^\s*([A-Za-z][\w-]*)\s*=\s*([{\"].*)$")


@dataclass(frozen=True, slots=True)
class _Value:
    value: str


@dataclass(frozen=True, slots=True)
class _DamagedEntry:
    """What `bibtex_fields` reads of an entry that bibtexparser cannot read."""

    entry_type: str
    key: str
    fields_dict: Mapping[str, _Value]


def _entry_by_lines(kind: str, chunk: str) -> _DamagedEntry:
    """The fields that begin a line of a damaged entry, each up to the next one."""
    held: dict[str, str] = {}
    last = None
    lines = chunk.splitlines()
    key = lines[0].partition("{")[2].strip(" ,")
    for line in lines[1:]:
        if begun := _FIELD_LINE.match(line):
            last = begun[1].lower()
            held[last] = begun[2]
        elif last is not None:
            held[last] = f"{held[last]} {line.strip()}"
    return _DamagedEntry(kind, key, {name: _Value(text.strip(' ,{}"')) for name, text in held.items()})


def _bibtex_chunks(lines: Iterable[str], name: str) -> Iterator[tuple[int, str]]:
    held: list[str] = []
    begins, size = 1, 0
    for number, line in enumerate(lines, start=1):
        if _ENTRY_START.match(line):
            if held:
                yield begins, "".join(held)
            held, begins, size = [], number, 0
        size += len(line)
        if size > LONGEST_RECORD:
            raise ConfigError(f"{name}:{begins}: this entry never ends: a brace is missing; correct it there")
        if held or _ENTRY_START.match(line):
            held.append(line)
    if held:
        yield begins, "".join(held)


# ---------------------------------------------------------------------- CSL-JSON


def _csl(text: io.TextIOWrapper, name: str) -> Iterator[FileRecord]:
    """A list item by item; any other document whole."""
    for line, item in _json_items(text, name):
        if not isinstance(item, dict):
            raise ConfigError(f"{name}:{line}: not CSL-JSON: a list of references, each an object; export it again")
        yield FileRecord(csl_fields(item), line)


def _json_items(text: io.TextIOWrapper, name: str) -> Iterator[tuple[int, object]]:
    decoder, held, line = json.JSONDecoder(), text.read(_PART).lstrip("\ufeff \t\r\n"), 1
    if not held.startswith("["):
        whole = held + text.read(LONGEST_RECORD * 10)
        try:
            document = json.loads(whole)
        except (ValueError, RecursionError) as error:
            raise _json_error(name, getattr(error, "lineno", 1), error) from None
        yield from ((1, item) for item in csl_items(document))
        return
    held, ended = held[1:], False
    while True:
        stripped = held.lstrip(" \t\r\n,")
        line += held[: len(held) - len(stripped)].count("\n")
        held = stripped
        if held.startswith("]"):
            return
        try:
            item, stop = decoder.raw_decode(held)
        except (ValueError, RecursionError) as error:
            if ended or len(held) > LONGEST_RECORD:
                raise _json_error(name, line, error) from None
            more = text.read(max(_PART, len(held)))
            ended = not more
            held += more
            continue
        yield line, item
        line += held[:stop].count("\n")
        held = held[stop:]


def _json_error(name: str, line: int, error: Exception) -> ConfigError:
    return ConfigError(
        f"{name}:{line}: the JSON is damaged or cut short ({error}); export the references again as CSL-JSON"
    )
