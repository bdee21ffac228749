"""A selection of works → a file in one of the formats. It reads the database and writes the one file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from evidence.database import queries
from evidence.export import as_of_date, formats, output_file


def export_works(
    db: Path,
    selection: queries.Selection,
    format_: str,
    excel: bool,
    encoding: str,
    output: Path | None,
    as_of: str | None = None,
) -> int:
    """Write a selection to a file (whole or not at all) or, with None, to stdout. Returns the number of works. `as_of` is a day
    (ISO): the works as they stood at its end."""
    count = 0

    def counted() -> Iterator[dict[str, object]]:
        nonlocal count
        for row in as_of_date.selected_as_of(conn, selection, as_of) if as_of else queries.selected(conn, selection):
            count += 1
            yield row

    with queries.reading(db) as conn:
        queries.check(conn, selection)
        writer = formats.FORMATS[format_]
        of_a_day = as_of is not None
        chunks = formats.csv_rows(counted(), excel=excel, past=of_a_day) if format_ == "csv" else writer(counted())
        output_file.write(output, formats.encode(chunks, encoding))
    return count
