"""What other tools read: for each, the format, the columns, the tags and the size of a file that it takes.

A preset changes nothing about works; it picks a format and says what the tool makes of it. This module may not read a database, a
file or the clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from evidence.export.columns import Column, Layout, Row, columns_of_facets
from evidence.export.csv_files import csv_table
from evidence.export.file_formats import FORMATS, Format
from evidence.export.ris_bibtex_csl import RisReader, ris


@dataclass(frozen=True, slots=True)
class Preset:
    """How to write for a tool: the name of its format, and the format as the tool reads it. `most_records` and `most_bytes` are
    what one file may have (None: any number)."""

    format: str
    file: Format
    description: str
    most_records: int | None = None
    most_bytes: int | None = None


def _ris_for(reader: RisReader) -> Format:
    def write(rows: Iterable[Row], layout: Layout | None = None) -> Iterator[str]:
        return ris(rows, layout, reader)

    return replace(FORMATS["ris"], write=write)


EXTRACTED = (
    ("condition_arm1", "Condition in the first trial arm, such as ipt or cbt."),
    ("condition_arm2", "Condition in the second trial arm, such as wl or cau."),
    ("multi_arm1", "What tells the first arm from another of the same condition in the trial."),
    ("multi_arm2", "What tells the second arm from another of the same condition in the trial."),
    ("outcome_type", "Type of the outcome, such as msd or response."),
    ("instrument", "Instrument with which the outcome was measured."),
    ("time", "Time of the assessment: post or FU."),
    ("time_weeks", "Weeks after randomisation."),
    ("rating", "Who rated: self-report or clinician."),
    ("mean_arm1", "Mean in the first arm."),
    ("mean_arm2", "Mean in the second arm."),
    ("sd_arm1", "Standard deviation in the first arm."),
    ("sd_arm2", "Standard deviation in the second arm."),
    ("n_arm1", "Participants in the first arm."),
    ("n_arm2", "Participants in the second arm."),
    ("event_arm1", "Events in the first arm."),
    ("event_arm2", "Events in the second arm."),
    ("totaln_arm1", "Participants in the first arm, of whom events were counted."),
    ("totaln_arm2", "Participants in the second arm, of whom events were counted."),
)
"""What `checkDataFormat` of the R package metapsyTools asks for beside `study`, and only a person can extract."""

_ABOUT_STUDY = ("doi", "local_id", "pmid", "registrations", "year", "title", "authors", "notice", "url")


def metapsy(rows: Iterable[Row], layout: Layout | None = None) -> Iterator[str]:
    """A sheet for data extraction in the Metapsy data standard: a row a study, with `study` filled in (`Smith, 2011`; a second
    one of the same name is `Smith, 2011b`), what is extracted left empty, and what the tracker knows behind it."""
    facets = columns_of_facets((layout or Layout()).topic)
    wanted = [Column(name, "") for name in ("study", *(name for name, _ in EXTRACTED), *_ABOUT_STUDY, *facets)]
    return csv_table(wanted, _studies(rows, tuple(facets)))


def _studies(rows: Iterable[Row], facets: tuple[str, ...]) -> Iterator[Row]:
    extracted: Row = dict.fromkeys(name for name, _ in EXTRACTED)
    counts: dict[str, int] = {}
    for row in rows:
        people = row["authors_full"]
        first = (
            next((p.get("family") or p.get("name") or p.get("given") for p in people), None)
            or row["doi"]
            or row["local_id"]
        )
        name = f"{first}, {row['year'] or 'n.d.'}"
        counts[name] = count = counts.get(name, 0) + 1
        study = name if count == 1 else name + _letters(count)
        yield {"local_id": None, **row, **dict.fromkeys(facets), **row["tags"], **extracted, "study": study}


def _letters(count: int) -> str:
    """2 → b, 26 → z, 27 → aa."""
    letters = ""
    while count:
        count, place = divmod(count - 1, 26)
        letters = chr(ord("a") + place) + letters
    return letters


PRESETS: dict[str, Preset] = {
    "rayyan": Preset(
        "ris",
        # Its reader takes A1 to A4 for authors, and its CSV reader splits authors at every “and”.
        _ris_for(RisReader(editor="", book_editor="")),
        "RIS; editors and translators are in the notes, because Rayyan takes them for authors",
    ),
    "covidence": Preset(
        "ris",
        FORMATS["ris"],
        "RIS in files of at most 15,000 records and 50 MB",
        most_records=15_000,
        most_bytes=50_000_000,
    ),
    "asreview": Preset(
        "asreview", FORMATS["asreview"], "CSV with ASReview's headings and `included` as 1, 0 or nothing"
    ),
    "zotero": Preset("ris", FORMATS["ris"], "RIS; tags become tags, the verdict a note"),
    "eppi": Preset(
        "ris",
        # Its import filter for RIS: A2 or ED for all editors, U1 or ID for the identifier in another program.
        _ris_for(RisReader(book_editor="A2", record_id="ID")),
        "RIS; the DOI is also in ID, which EPPI-Reviewer keeps as the record's identifier elsewhere",
    ),
    "metapsy": Preset(
        "csv",
        Format(metapsy, "csv", "text/csv", "a sheet for data extraction"),
        "CSV for data extraction with the columns of the Metapsy data standard, `study` filled in",
    ),
}
"""The tools, by the names that `--for` takes."""
