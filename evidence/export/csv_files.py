"""Rows → CSV, for spreadsheets, statistics programs and ASReview.

A file is an iterator of lines, so that memory use does not grow with the number of works. This module may not read a database, a
file or the clock, and does not decide which works or columns are exported.

Spreadsheets run cells that begin with `= + - @` and some control characters as formulas. Every CSV puts a `'` before such a
cell, and before a cell that already begins with `'` and such a character, so that `unguard` restores every value.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Iterator, Sequence
from types import NoneType
from typing import Any

from evidence.author_names import full_names
from evidence.export.columns import Column, Layout, Row
from evidence.export.ris_bibtex_csl import joined, keywords

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


def guard_row(cells: Iterable[Any]) -> list[Any]:
    """The cells of a row; those that are text are guarded."""
    return [guard(cell) if type(cell) is str and cell[:1] in _BEGINS else cell for cell in cells]


def unguard(cell: str) -> str:
    """The cell that was given to `guard`."""
    return cell[1:] if cell.startswith("'") and _GUARDED.match(cell) else cell


def csv_rows(rows: Iterable[Row], layout: Layout | None = None) -> Iterator[str]:
    """RFC 4180 lines (CRLF), the header first even when there are no rows; absent facts are empty cells.

    With `layout.excel`, a byte order mark comes first, without which Excel misreads UTF-8, and an en dash stands between the
    numbers of volume, issue, pages and of a date without a day, without which Excel turns `3-15` into the 15th of March and
    `2019-05` into 1 May 2019. Other programs need neither.
    """
    layout = layout or Layout()
    return csv_table(layout.columns(), layout.rows(rows), excel=layout.excel)


def asreview(rows: Iterable[Row], layout: Layout | None = None) -> Iterator[str]:
    """The columns that ASReview reads, as CSV; `included` is 1 for include, 0 for exclude, else empty."""
    labels = {"include": "1", "exclude": "0", "unsure": ""}
    wanted = ("record_id", "title", "abstract", "authors", "year", "doi", "url", "keywords", "included")
    shaped = (
        {
            **row,
            "record_id": row["doi"] or row["local_id"],
            "authors": _names(row),
            "keywords": keywords(row),
            "included": labels.get(row["verdict"], ""),
        }
        for row in rows
    )
    return csv_table([Column(name, "") for name in wanted], shaped)


def _names(row: Row) -> str:
    """The contributors; a name with a semicolon, at which ASReview would split it, has a comma instead."""
    return "; ".join(full_names([person]).replace(";", ",") for person in row["authors_full"])


def csv_table(wanted: Sequence[Column], rows: Iterable[Row], *, excel: bool = False) -> Iterator[str]:
    """The lines of a table with these columns; `rows` have a value for the key of each."""
    keys = [column.key for column in wanted]
    people = "authors_full" in keys
    values_of = operator.itemgetter(*keys) if len(keys) > 1 else lambda row: (row[keys[0]],)
    misread = [place for place, key in enumerate(keys) if excel and key in _EXCEL_MISREADS]
    yield (BOM if excel else "") + csv_line(column.name for column in wanted)
    for row in rows:
        values = row
        if people and type(row["authors_full"]) is not str:
            values = {**row, "authors_full": full_names(row["authors_full"])}
        cells = list(map(_cell, values_of(values)))
        for place in misread:
            cells[place] = _undated(cells[place])
        yield (",".join(cells) or '""') + "\r\n"  # an empty line would be no row


def csv_block(rows: Sequence[Sequence[Any]], *, guarded: bool = True) -> str:
    """Rows of one width as lines, each cell as csv.writer writes it (None, text and numbers; a test compares the two).

    Cells are looked at by column: most columns hold nothing, numbers or short texts without a comma, and then no cell of theirs
    needs a look. For rows of 50 columns this takes a quarter of csv.writer's time.
    """
    if not rows:
        return ""
    columns = [_csv_column(cells, guarded) for cells in zip(*rows, strict=True)]
    if len(columns) == 1:  # an empty line would be no row
        columns = [[cell or '""' for cell in columns[0]]]
    return "\r\n".join(map(",".join, zip(*columns, strict=True))) + "\r\n"


def _csv_column(cells: Sequence[Any], guarded: bool) -> Sequence[str]:
    absent = cells.count(None)
    if absent == len(cells):
        return [""] * absent
    kinds = set(map(type, cells))
    if str not in kinds:
        return ["" if cell is None else str(cell) for cell in cells] if absent else list(map(str, cells))
    if kinds - {str, NoneType}:
        return [_csv_column([cell], guarded)[0] for cell in cells]
    texts: Sequence[str] = [cell or "" for cell in cells] if absent else cells
    if guarded and not _BEGINS.isdisjoint([text[:1] for text in texts]):
        texts = guard_row(texts)
    together = "\0".join(texts)
    if '"' in together or "," in together or "\n" in together or "\r" in together:
        return [
            '"' + text.replace('"', '""') + '"' if '"' in text or "," in text or "\n" in text or "\r" in text else text
            for text in texts
        ]
    return texts


def csv_line(cells: Iterable[Any]) -> str:
    """A line of a table (RFC 4180) with its cells guarded; None is an empty cell."""
    return ",".join(map(_cell, cells)) + "\r\n"


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
