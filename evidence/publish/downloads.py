"""The files that the site offers for a list of works: the formats of an export, and the CSV in its other shapes.

It knows no page and writes nothing.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from evidence.database import schema
from evidence.database.select_works import labels_of_values, values_of_facets
from evidence.export import parquet_file
from evidence.export.columns import Layout, Shape
from evidence.export.file_formats import FORMATS, Format

_SHAPES: tuple[tuple[str, Shape, str], ...] = (
    ("csv-wide", "wide", "a column of 0 and 1 for each tag, for R, SPSS and pivot tables"),
    ("csv-long", "long", "a row a tag with its strength and the words behind it"),
)


@dataclass(frozen=True, slots=True)
class Offer:
    """A file that can be downloaded: its format and shape, and what it is for."""

    file: Format
    description: str
    shape: Shape = "lists"


def offered(*, past: bool = False) -> dict[str, Offer]:
    """The files by the names that addresses use; with `past`, those for a list of a past day. Parquet is one of them where the
    server can write it."""
    found = {}
    for name, form in FORMATS.items():
        if (name == "parquet" and not parquet_file.available()) or (past and not form.past):
            continue
        found[name] = Offer(form, form.description)
        if name == "csv":
            found |= {other: Offer(form, description, shape) for other, shape, description in _SHAPES}
    return found


def layout(
    conn: sqlite3.Connection, offer: Offer, *, past: bool = False, past_tags: bool = False, address: str | None = None
) -> Layout:
    """What the file has of each work, for the topic of this database. `address` is that of the site in sources.yaml, not that of
    a request: the names of tags in linked data do not depend on who asks."""
    labels = labels_of_values(conn) if offer.file.linked else {}
    return Layout(
        schema.read_topic(conn),
        values_of_facets(conn),
        past,
        offer.shape,
        labels=labels,
        address=address,
        past_tags=past_tags,
    )
