"""Exported files, read by other people's programs: what tests look at instead of the code that wrote them."""

from __future__ import annotations

import importlib.util
import io
import json
from typing import Any

import openpyxl
import pytest

HEAVY = "needs {} (pip install -e '.[formats]')"


def needs(*packages: str) -> None:
    """Skip the test where a package of the extra `formats` is missing."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            pytest.skip(HEAVY.format(package))


def sheet(data: bytes, name: str = "works") -> list[dict[str, Any]]:
    """The rows of a sheet of a workbook by its header, as openpyxl reads it."""
    book = openpyxl.load_workbook(io.BytesIO(data), read_only=True)
    head, *rows = book[name].iter_rows(values_only=True)
    return [dict(zip(map(str, head), row, strict=True)) for row in rows]


def parquet(data: bytes) -> list[dict[str, Any]]:
    """The rows of a Parquet file, as pyarrow reads it."""
    needs("pyarrow")
    from pyarrow import parquet as files

    rows: list[dict[str, Any]] = files.read_table(io.BytesIO(data)).to_pylist()
    return rows


def text_of(format_: str, data: bytes) -> str:
    """All that a file says, as text to look for words in."""
    if format_ == "xlsx":
        return "\n".join(str(cell) for row in sheet(data) for cell in row.values())
    if format_ == "parquet":
        return json.dumps(parquet(data), ensure_ascii=False, default=str)
    return data.decode()
