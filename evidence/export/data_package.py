"""The descriptions that go with the files of an export: a Data Package (Frictionless) and CSVW metadata.

Both say of each CSV what its columns hold, of which type they are, and what is the key; the Data Package also says of every file
how long it is, how many rows it has, and its SHA-256. Pure: facts about files in, JSON out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evidence.export.columns import Column, Kind

DATA_PACKAGE = "datapackage.json"
CSVW = "csv-metadata.json"
"""Where readers look for each: beside the data."""

GUARD = (
    "Spreadsheets run cells that begin with = + - @, their full-width forms, a tab, a line break or a NUL. Such a cell has a ' "
    "in front; so has one that already looks like this. To undo it, remove one ' from each cell that matches "
    "^'+[=+\\-@＝＋－＠\\t\\r\\n\\0]."
)
_PARTIAL_DATE = r"\d{4}(-\d{2}(-\d{2})?)?"


@dataclass(frozen=True, slots=True)
class File:
    """A file of an export: its name, what it holds, how many rows or records it has, and of a CSV its columns and keys."""

    name: str
    title: str
    media_type: str
    size: int
    sha256: str
    rows: int | None = None
    columns: tuple[Column, ...] = ()
    key: tuple[str, ...] = ()
    refers_to: str | None = None
    """The file whose `doi` its own refers to."""


def data_package(title: str, description: str, created: str, encoding: str, files: Sequence[File]) -> str:
    """The text of `datapackage.json`."""
    package = {
        "profile": "data-package",
        "name": "evidence-export",
        "title": title,
        "description": description,
        "created": created,
        "resources": [_resource(file, encoding) for file in files],
    }
    return json.dumps(package, ensure_ascii=False, indent=2) + "\n"


def _resource(file: File, encoding: str) -> dict[str, Any]:
    stem, _, extension = file.name.rpartition(".")
    resource: dict[str, Any] = {
        "name": stem.lower(),
        "path": file.name,
        "title": file.title,
        "format": extension,
        "mediatype": file.media_type,
        "encoding": encoding,
        "bytes": file.size,
        "hash": f"sha256:{file.sha256}",
    }
    if not file.columns:
        return resource | {"type": "file"} | ({} if file.rows is None else {"records": file.rows})
    return resource | {
        "profile": "tabular-data-resource",
        "type": "table",
        "rows": file.rows,
        "fields": len(file.columns),
        "description": GUARD,
        "dialect": {"lineTerminator": "\r\n"},
        "schema": _schema(file),
    }


def _schema(file: File) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "fields": [_field(column, column.name in file.key) for column in file.columns],
        "missingValues": [""],
    }
    if file.key:
        schema["primaryKey"] = list(file.key)
    if file.refers_to:
        there = {"resource": file.refers_to.rpartition(".")[0], "fields": ["doi"]}
        schema["foreignKeys"] = [{"fields": ["doi"], "reference": there}]
    return schema


_FRICTIONLESS: Mapping[Kind, Mapping[str, Any]] = {
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "year": {"type": "year"},
    "date": {"type": "date"},
    "flag": {"type": "boolean", "trueValues": ["1"], "falseValues": ["0"]},
}


def _field(column: Column, in_key: bool) -> dict[str, Any]:
    constraints: dict[str, Any] = {"required": True} if in_key else {}
    if column.allowed:
        constraints["enum"] = list(column.allowed)
    if column.kind == "partial-date":
        constraints["pattern"] = _PARTIAL_DATE
    field: dict[str, Any] = {"name": column.name, **_FRICTIONLESS.get(column.kind, {"type": "string"})}
    field["description"] = column.description
    return field | ({"constraints": constraints} if constraints else {})


def csvw(title: str, encoding: str, files: Sequence[File]) -> str:
    """The text of `csv-metadata.json`, about those of the files that are CSV."""
    group = {
        "@context": ["http://www.w3.org/ns/csvw", {"@language": "en"}],
        "dc:title": title,
        # Without `commentPrefix`, a row whose first cell begins with # would be a comment.
        "dialect": {"encoding": encoding, "commentPrefix": None, "lineTerminators": ["\r\n", "\n"]},
        "tables": [_table(file) for file in files if file.columns],
    }
    return json.dumps(group, ensure_ascii=False, indent=2) + "\n"


def _table(file: File) -> dict[str, Any]:
    schema: dict[str, Any] = {"columns": [_described(column, column.name in file.key) for column in file.columns]}
    if file.key:
        schema["primaryKey"] = list(file.key)
    if file.refers_to:
        there = {"resource": file.refers_to, "columnReference": "doi"}
        schema["foreignKeys"] = [{"columnReference": "doi", "reference": there}]
    return {"url": file.name, "dc:title": file.title, "dc:description": GUARD, "tableSchema": schema}


_DATATYPES: Mapping[Kind, Any] = {
    "integer": "integer",
    "number": "decimal",
    "year": "gYear",
    "date": "date",
    "flag": {"base": "boolean", "format": "1|0"},
    "partial-date": {"base": "string", "format": _PARTIAL_DATE},
}


def _described(column: Column, in_key: bool) -> dict[str, Any]:
    datatype = _DATATYPES.get(column.kind, "string")
    if column.allowed:
        datatype = {"base": "string", "format": "|".join(word.replace("+", "\\+") for word in column.allowed)}
    described: dict[str, Any] = {
        "name": column.name,
        "titles": column.name,
        "dc:description": column.description,
        "datatype": datatype,
    }
    if column.kind == "list":
        described["separator"] = "; "
    return described | ({"required": True} if in_key else {})
