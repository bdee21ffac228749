"""Rows → JSON lines: one object a row of the table, with lists where the CSV joins values, for programs and `jq`.

Pure: rows in, text out. It has the columns of `columns.Layout`; people and tags are objects.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from evidence.export.columns import Layout, Row, structured

PERSON = ("family", "given", "suffix", "name", "role", "orcid", "affiliation")


def json_lines(rows: Iterable[Row], layout: Layout | None = None) -> Iterator[str]:
    """A line for each row of the table. In the shape `lists`, `tags` has every tag with its strength and the words behind it."""
    import orjson  # most commands do without

    layout = layout or Layout()
    wanted = layout.columns()
    with_tags = layout.shape == "lists" and not layout.names
    for row in layout.rows(rows):
        found = {column.name: structured(row[column.key], column.kind) for column in wanted}
        if "authors_full" in found:
            found["authors_full"] = people(row)
        if with_tags:
            found["tags"] = row["tag_rows"]
        yield orjson.dumps(found).decode() + "\n"


def people(row: Row) -> list[dict[str, str | None]]:
    """The contributors of a work, each with every key of `PERSON`."""
    return [{key: person.get(key) for key in PERSON} for person in row["authors_full"]]
