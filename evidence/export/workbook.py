"""Rows → an Excel workbook (.xlsx), written by XlsxWriter row by row, so that memory use does not grow with the number of works.

Every value is a text or a number and never a formula or a link, whatever it begins with, so no cell is changed as in a CSV. A
second sheet says what each column holds. The rows wait in a temporary file until the workbook is complete. This module reads no
database.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from evidence.author_names import full_names
from evidence.export.columns import Column, Layout, Row
from evidence.export.ris_bibtex_csl import joined

ROWS = 1_048_575
"""The rows below the header that a sheet can have; the next rows go to another sheet."""
LONGEST = 32_767
"""The characters that a cell can have; Excel calls a workbook damaged that has more."""
CUT = "… [cut here: a cell of a workbook holds no more; the CSV has all]"
_NUMBERS = frozenset({"integer", "number", "year", "flag"})
_WIDTHS = {"doi": 28, "title": 60, "abstract": 60, "reasons": 40, "why": 40, "authors": 30, "container": 30}
_BLOCK = 1 << 18


def workbook(rows: Iterable[Row], layout: Layout | None = None) -> Iterator[bytes]:
    """The workbook, in blocks of bytes, once all rows have been read."""
    import xlsxwriter  # takes a tenth of a second, which other commands need not wait for

    layout = layout or Layout()
    wanted = layout.columns()
    name = "tags" if layout.shape == "long" else "works"
    with tempfile.TemporaryDirectory(prefix="evidence-") as folder:
        path = Path(folder, "works.xlsx")
        book = xlsxwriter.Workbook(path, {"constant_memory": True, "tmpdir": folder})
        bold = book.add_format({"bold": True})
        sheet, line, number = _sheet(book, name, wanted, bold), 0, 1
        for row in layout.rows(rows):
            if line == ROWS:
                number += 1
                sheet.autofilter(0, 0, line, len(wanted) - 1)
                sheet, line = _sheet(book, f"{name} {number}", wanted, bold), 0
            line += 1
            _write_row(sheet, line, wanted, row)
        sheet.autofilter(0, 0, max(line, 1), len(wanted) - 1)
        _write_descriptions(book, wanted, bold)
        book.close()
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                yield block


def _sheet(book: Any, name: str, wanted: tuple[Column, ...], bold: Any) -> Any:
    sheet = book.add_worksheet(name)
    sheet.freeze_panes(1, 1)
    for place, column in enumerate(wanted):
        sheet.set_column(place, place, _WIDTHS.get(column.name, 14))
        sheet.write_string(0, place, column.name, bold)
    return sheet


def _write_row(sheet: Any, line: int, wanted: tuple[Column, ...], row: Row) -> None:
    for place, column in enumerate(wanted):
        value = row[column.key]
        if value is None:
            continue
        if column.kind in _NUMBERS:
            sheet.write_number(line, place, value)
            continue
        text = full_names(value) if column.kind == "people" and type(value) is not str else joined(value)
        if text:
            sheet.write_string(line, place, text if len(text) <= LONGEST else text[: LONGEST - len(CUT)] + CUT)


def _write_descriptions(book: Any, wanted: tuple[Column, ...], bold: Any) -> None:
    sheet = book.add_worksheet("columns")
    sheet.set_column(0, 0, 28)
    sheet.set_column(1, 1, 100)
    for line, pair in enumerate([("column", "content"), *((column.name, column.description) for column in wanted)]):
        for place, text in enumerate(pair):
            sheet.write_string(line, place, text, bold if line == 0 else None)
