"""Export of works: a selection is read from the database and written to a file in one of the formats."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from evidence.data_model import Doi
from evidence.database import schema
from evidence.database.connection import reading
from evidence.database.select_works import Selection, check_selection, selected_works
from evidence.export import abstract_rights, atomic_output, file_formats, works_as_of_date


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export wrote: the works, and the number of abstracts that were left out because they may not be passed on."""

    dois: tuple[Doi, ...]
    abstracts_left_out: int

    @property
    def works(self) -> int:
        """How many works were written."""
        return len(self.dois)


def export_works(
    db: Path,
    selection: Selection,
    format_: str,
    excel: bool,
    encoding: str,
    output: Path | None,
    as_of: str | None = None,
    *,
    with_abstracts: bool = False,
) -> Exported:
    """Write the selected works to a file (completely or not at all), or with None to stdout.

    `as_of` is a date (ISO): the works as of the end of that day. `with_abstracts` keeps the abstracts that may not be passed on
    (`abstract_rights`), for the reader's own screening. ConfigError when the selection names an unknown tag or the file
    cannot be written.
    """
    dois: list[Doi] = []
    leaving_out = abstract_rights.LeavingOut()

    def counted_rows() -> Iterator[dict[str, object]]:
        for row in (
            works_as_of_date.selected_as_of(conn, selection, as_of) if as_of else selected_works(conn, selection)
        ):
            dois.append(row["doi"] or row["local_id"])
            yield row

    with reading(db) as conn:
        check_selection(conn, selection)
        writer = file_formats.FORMATS[format_]
        rows = counted_rows() if with_abstracts else leaving_out.rows(counted_rows())
        chunks = (
            file_formats.csv_rows(rows, excel=excel, topic=schema.read_topic(conn), past=as_of is not None)
            if format_ == "csv"
            else writer(rows)
        )
        atomic_output.write(output, file_formats.encode(chunks, encoding))
    return Exported(tuple(dois), leaving_out.count)
