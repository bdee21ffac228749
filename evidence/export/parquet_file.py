"""Rows → Parquet, for R, pandas, DuckDB and Arrow: typed columns, lists as lists, people and tags as lists of structures.

It is written by pyarrow, which the program does without otherwise (`pip install` with the extra `parquet`). Rows are written in
groups, so that memory use does not grow with the number of works. This module reads no database.
"""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Iterable, Iterator
from datetime import date
from typing import Any

from evidence.errors import ConfigError
from evidence.export.columns import LONG, Column, Kind, Layout, Row, structured
from evidence.export.json_lines import PERSON, people

GROUP = 2_000
"""The rows that are written together, and are in memory at once."""


def available() -> bool:
    """Whether pyarrow is installed."""
    return importlib.util.find_spec("pyarrow") is not None


def parquet(rows: Iterable[Row], layout: Layout | None = None) -> Iterator[bytes]:
    """The file, a group of rows at a time. ConfigError where pyarrow is missing."""
    if not available():
        raise ConfigError(
            "Parquet is written by pyarrow, which is not installed: run `pip install pyarrow` in the environment of this "
            "program, or export csv or jsonl"
        )
    import pyarrow as pa
    from pyarrow import parquet as files

    layout = layout or Layout()
    wanted = layout.columns()
    with_tags = layout.shape == "lists" and not layout.names
    schema = _schema(pa, wanted, with_tags)
    sink = _Sink()
    with files.ParquetWriter(pa.PythonFile(sink, mode="w"), schema, compression="zstd") as writer:
        for part in _parts(layout.rows(rows)):
            writer.write_table(pa.Table.from_pylist([_values(row, wanted, with_tags) for row in part], schema=schema))
            yield sink.take()
    yield sink.take()


class _Sink:
    """The file that pyarrow writes to: it knows how long the file is, and keeps only what has not been taken yet."""

    closed = False

    def __init__(self) -> None:
        self._waiting: list[bytes] = []
        self._written = 0

    def take(self) -> bytes:
        """What was written since this was last asked."""
        taken = b"".join(self._waiting)
        self._waiting.clear()
        return taken

    def write(self, data: Any) -> int:
        """Called by pyarrow."""
        self._waiting.append(bytes(data))
        self._written += len(self._waiting[-1])
        return len(self._waiting[-1])

    def tell(self) -> int:
        """Called by pyarrow: where the next byte of the file will be."""
        return self._written

    def flush(self) -> None:
        """Called by pyarrow."""

    def close(self) -> None:
        """Called by pyarrow; the last bytes are still to be taken out."""

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False


def _schema(pa: Any, wanted: tuple[Column, ...], with_tags: bool) -> Any:
    text = pa.string()
    person = pa.list_(pa.struct([(key, text) for key in PERSON]))
    tag = pa.list_(pa.struct([(column.name, pa.float64() if column.kind == "number" else text) for column in LONG]))
    types: dict[Kind, Any] = {
        "integer": pa.int64(),
        "number": pa.float64(),
        "year": pa.int32(),
        "flag": pa.bool_(),
        "date": pa.date32(),
        "list": pa.list_(text),
        "parts": pa.list_(text),
        "people": person,
    }
    fields = [
        pa.field(column.name, types.get(column.kind, text), metadata={"description": column.description})
        for column in wanted
    ]
    return pa.schema([*fields, pa.field("tags", tag)] if with_tags else fields)


def _values(row: Row, wanted: tuple[Column, ...], with_tags: bool) -> dict[str, Any]:
    found = {column.name: _value(row[column.key], column.kind) for column in wanted}
    if "authors_full" in found:
        found["authors_full"] = people(row)
    return found | {"tags": row["tag_rows"]} if with_tags else found


def _value(value: Any, kind: Kind) -> Any:
    if kind == "date" and value:
        return date.fromisoformat(value)
    return bool(value) if kind == "flag" else structured(value, kind)


def _parts(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    rows = iter(rows)
    while part := list(itertools.islice(rows, GROUP)):
        yield part
