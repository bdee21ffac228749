"""The file of Retraction Watch: reads the CSV, finds the entries about a work, and tells what they say as notices.

The file has a row for each notice (https://gitlab.com/crossref/retraction-watch-data). Columns come in any order, dates are
American (`1/25/2019 0:00`), a DOI may be `unavailable`, a PMID 0, and one cell may hold several reasons (`+Error in Data;+…;`).
A row that cannot be read is listed with its line, so that it is never taken for "no notice".

It may not open a connection or decide which works are asked about.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import hashlib
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import IO, Any, cast

from evidence import doi as dois
from evidence.data_model import Doi, Notice
from evidence.errors import ConfigError, RecordError
from evidence.linkage.identifiers import read_identifier
from evidence.providers.answers import Described

SOURCE = "Retraction Watch"
_REMEDY = "give the file retraction_watch.csv of https://gitlab.com/crossref/retraction-watch-data"
_NEEDED = (
    "Record ID",
    "RetractionDate",
    "RetractionDOI",
    "OriginalPaperDOI",
    "OriginalPaperPubMedID",
    "RetractionNature",
)
_CHUNK = 1 << 20
_MARKS = ("\ufeff", "ï»¿")
"""The byte-order mark of UTF-8, read as UTF-8 and as Windows' encoding."""
_DATE = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})(?:\s.*)?", re.ASCII)
_ISO_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?:[T\s].*)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the file: `line` is where it begins (1-based), `doi` and `pmid` are those of the work that the notice is about,
    None where it has none; `title` is the work's; `cells` are in the order of `columns`."""

    record_id: str
    doi: Doi | None
    pmid: str | None
    title: str | None
    line: int
    columns: tuple[str, ...] = field(repr=False)
    cells: tuple[str, ...] = field(repr=False)

    @property
    def record(self) -> str:
        """The row as a JSON object: the cells as they are, by the names of their columns."""
        return json.dumps(
            {name: cell for name, cell in zip(self.columns, self.cells, strict=True) if name}, ensure_ascii=False
        )


@dataclass(frozen=True, slots=True)
class RetractionWatchFile:
    """The rows of the file. `digest` is the SHA-256 of the unpacked bytes; `unread` has the line (1-based) of each row that
    cannot be read, and why."""

    entries: tuple[Entry, ...]
    digest: str
    unread: tuple[tuple[int, str], ...]
    _unread_text: Mapping[int, str] = field(repr=False)
    _by_doi: Mapping[str, tuple[Entry, ...]] = field(repr=False)
    _by_pmid: Mapping[str, tuple[Entry, ...]] = field(repr=False)

    def about(self, doi: str, pmids: Iterable[str] = ()) -> tuple[Entry, ...]:
        """The entries about the work with this DOI: those that state it, and those that state one of its PMIDs and no DOI."""
        found = dict.fromkeys(self._by_doi.get(dois.caseless(doi), ()))
        found |= dict.fromkeys(entry for entry in self._with(pmids) if entry.doi is None)
        return tuple(found)

    def refused(self, doi: str, pmids: Iterable[str]) -> tuple[tuple[Entry, str], ...]:
        """The entries that state one of these PMIDs and the DOI of another work, each with the reason."""
        return tuple(
            (entry, f"{SOURCE}'s entry {entry.record_id} states PMID {entry.pmid}, but is about {entry.doi}, not {doi}")
            for entry in dict.fromkeys(self._with(pmids))
            if entry.doi is not None and dois.caseless(entry.doi) != dois.caseless(doi)
        )

    def unread_about(self, doi: str, pmids: Iterable[str] = ()) -> int | None:
        """The line of a row that names this DOI or one of these PMIDs and cannot be read; None without one."""
        names = [re.compile(rf"(?<!\w){re.escape(name)}(?!\w)") for name in (dois.caseless(doi), *pmids)]
        return next(
            (line for line, text in self._unread_text.items() if any(name.search(text) for name in names)), None
        )

    def _with(self, pmids: Iterable[str]) -> Iterator[Entry]:
        for pmid in pmids:
            yield from self._by_pmid.get(pmid, ())


def read_file(path: Path) -> RetractionWatchFile:
    """The file, plain or gzipped, in UTF-8 or Windows' encoding. ConfigError when it cannot be read, is not the CSV, lacks a
    needed column, or has no row that can be read."""
    try:
        digest, encoding = _digest_and_encoding(path)
        with _open(path) as raw, io.TextIOWrapper(raw, encoding, errors="replace", newline="") as text:
            entries, unread, unread_text = _rows(text, path)
    except (EOFError, gzip.BadGzipFile) as error:
        raise ConfigError(f"{path}: the gzip file is cut off or damaged ({error}); get it again") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror or error}); check the path") from None
    if not entries:
        raise ConfigError(f"{path}: has no row that can be read ({len(unread)} cannot); {_REMEDY}")
    by_doi: dict[str, list[Entry]] = {}
    by_pmid: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.doi:
            by_doi.setdefault(dois.caseless(entry.doi), []).append(entry)
        if entry.pmid:
            by_pmid.setdefault(entry.pmid, []).append(entry)
    return RetractionWatchFile(
        tuple(entries),
        digest,
        tuple(unread),
        unread_text,
        {doi: tuple(found) for doi, found in by_doi.items()},
        {pmid: tuple(found) for pmid, found in by_pmid.items()},
    )


def describe(text: str) -> Described:
    """The notices in a JSON list of rows about one work, in their order. RecordError for anything else."""
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"rows of {SOURCE} are not JSON ({error})") from None
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise RecordError(f"rows of {SOURCE} are not a list of objects")
    cells = [{_key(name): cell for name, cell in row.items() if isinstance(cell, str)} for row in rows]
    first = cells[0]
    return Described(
        "retraction-watch",
        record_id=f"RW:{first['recordid'].strip()}" if first.get("recordid", "").strip() else None,
        doi=_doi(first.get("originalpaperdoi")),
        title=" ".join(first.get("title", "").split()) or None,
        notices=tuple(dict.fromkeys(_notice(row) for row in cells)),
    )


def _notice(row: Mapping[str, str]) -> Notice:
    kind, record_id = _kind(row.get("retractionnature")), row.get("recordid", "").strip()
    if kind is None or not record_id:
        raise RecordError(f"a row of {SOURCE} has no {'Record ID' if kind else 'RetractionNature'}")
    about, notice = _doi(row.get("originalpaperdoi")), _doi(row.get("retractiondoi"))
    if notice and about and dois.caseless(notice) == dois.caseless(about):
        notice = None
    return Notice(kind, notice, _iso(row.get("retractiondate")), SOURCE, "retraction-watch", f"RW:{record_id}")


def _kind(nature: str | None) -> str | None:
    """The kind of a notice in the words of `linkage.retraction_notices`: `Expression of concern` → `expression-of-concern`."""
    return "-".join(re.findall(r"[a-z]+", (nature or "").lower())) or None


def _doi(cell: str | None) -> Doi | None:
    """The DOI in a cell; None for an empty one, `unavailable` and what is not a DOI."""
    text = (cell or "").strip()
    return dois.parse(text) if "10." in text else None


def _pmid(cell: str | None) -> str | None:
    """The PMID in a cell; None for an empty one and 0. A spreadsheet may have made it `12345.0`."""
    text = (cell or "").strip().removesuffix(".0")
    found = read_identifier(text, bare_pmid=True) if text not in ("", "0") else None
    return found[1] if found and found[0] == "pmid" else None


def _iso(cell: str | None) -> str | None:
    """The ISO date in a cell with month, day and year, or None."""
    text = (cell or "").strip()
    if match := _DATE.fullmatch(text):
        month, day, year = match.groups()
    elif match := _ISO_DATE.fullmatch(text):
        year, month, day = match.groups()
    else:
        return None
    try:
        return date(int(year), int(month), int(day)).isoformat()
    except ValueError:
        return None


def _key(name: str) -> str:
    """The name of a column without blanks, marks and case."""
    return re.sub(r"[\W_]", "", name.lower())


def _open(path: Path) -> IO[bytes]:
    """The unpacked bytes of the file."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return cast(IO[bytes], gzip.open(path, "rb")) if packed else path.open("rb")


def _digest_and_encoding(path: Path) -> tuple[str, str]:
    """The digest of the unpacked bytes, and the encoding that they are in."""
    digest, decoder, encoding = hashlib.sha256(), codecs.getincrementaldecoder("utf-8")(), "utf-8-sig"
    with _open(path) as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            if encoding == "utf-8-sig":
                try:
                    decoder.decode(chunk)
                except UnicodeDecodeError:
                    encoding = "cp1252"
    return digest.hexdigest(), encoding


def _rows(text: IO[str], path: Path) -> tuple[list[Entry], list[tuple[int, str]], dict[int, str]]:
    """The rows of the file, the lines that cannot be read and why, and their text in small letters, as far as it is known."""
    reader = csv.reader(text)
    columns = _columns(reader, path)
    at = {_key(name): index for index, name in enumerate(columns) if name}
    wanted = tuple(
        at[_key(name)] for name in ("Record ID", "OriginalPaperDOI", "OriginalPaperPubMedID", "RetractionNature")
    )
    entries: list[Entry] = []
    unread: list[tuple[int, str]] = []
    unread_text: dict[int, str] = {}
    for line, row in _lines(reader, unread):
        if problem := _problem(row, len(columns), wanted[0], wanted[3]):
            unread.append((line, problem))
            unread_text[line] = "\n".join(row).lower()
            continue
        cells = (*row[: len(columns)], *[""] * (len(columns) - len(row)))
        record_id, doi, pmid = (cells[index] for index in wanted[:3])
        title = " ".join(cells[at["title"]].split()) if "title" in at else ""
        entries.append(Entry(record_id.strip(), _doi(doi), _pmid(pmid), title or None, line, columns, cells))
    return entries, unread, unread_text


def _columns(reader: Any, path: Path) -> tuple[str, ...]:
    """The names in the first row. ConfigError when a needed one is missing."""
    try:
        names = tuple(next(reader, ()))
    except csv.Error as error:
        raise ConfigError(f"{path}:1: not a CSV file ({error}); {_REMEDY}") from None
    for mark in _MARKS:
        names = tuple(name.removeprefix(mark).strip() for name in names)
    known = {_key(name) for name in names}
    if missing := [name for name in _NEEDED if _key(name) not in known]:
        raise ConfigError(f"{path}:1: the columns {', '.join(missing)} are missing; {_REMEDY}")
    while names and not names[-1]:
        names = names[:-1]
    return names


def _lines(reader: Any, unread: list[tuple[int, str]]) -> Iterator[tuple[int, Sequence[str]]]:
    """Each row that is not empty, with the line on which it begins; rows that are no CSV go to `unread`."""
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            unread.append((line, f"not CSV ({error})"))
            continue
        if any(cell.strip() for cell in row):
            yield line, row


def _problem(row: Sequence[str], width: int, record_id: int, nature: int) -> str | None:
    """Why a row cannot be read: its cells are not those of the columns, or it does not say what happened."""
    if len(row) < width or any(cell.strip() for cell in row[width:]):
        return f"has {len(row)} cells instead of {width}"
    if not row[record_id].strip().isalnum():
        return "has no Record ID"
    return None if _kind(row[nature]) else "has no RetractionNature"
