"""Values out of a provider's JSON record, whatever their shape: a value of the wrong type is as good as none.

Pure: parsed JSON in, text and facts out. It may not know a provider's fields.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from typing import Any

from evidence.data_model import Fact, FactKind, ProviderName
from evidence.errors import RecordError
from evidence.http.json_body import parse_json
from evidence.plain_text import plain_line

MAX_FACTS = 300
"""Facts of one kind that are taken from a record: none has as many, unless it is no record of one work."""

_DATE = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?(?![\d-])", re.ASCII)


def read_object(text: str) -> dict[str, Any]:
    """The JSON object in a text; RecordError for anything else."""
    try:
        value = parse_json(text.encode("utf-8", "replace"))
    except (ValueError, RecursionError) as error:
        raise RecordError("the record is not JSON, or cut short") from error
    if not isinstance(value, dict):
        raise RecordError("the record is not a JSON object")
    return value


def at(value: Any, *names: str) -> Any:
    """What stands under these names, one below the other; None where one of them is missing."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def objects(value: Any) -> list[dict[str, Any]]:
    """The objects of a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def texts(value: Any) -> list[str]:
    """The texts of a list."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def line(value: Any) -> str | None:
    """A text on one line, without markup."""
    return plain_line(value) if isinstance(value, str) else None


def link(value: Any) -> str | None:
    """The address of a web page."""
    found = value.strip() if isinstance(value, str) else ""
    return found if re.fullmatch(r"https?://[^\s<>\"]+", found) else None


def iso_date(value: Any) -> str | None:
    """The day, month or year at the beginning of a text, as ISO date; of a range, its first day."""
    match = _DATE.match(value.strip()) if isinstance(value, str) else None
    if match is None:
        return None
    year, month, day = match.groups()
    try:
        date(int(year), int(month or 1), int(day or 1))
    except ValueError:
        return None
    return match[0]


def facts(kind: FactKind, source: ProviderName, values: Iterable[str | None]) -> tuple[Fact, ...]:
    """Facts of one kind in the order of `values`, each once whatever its case."""
    found: dict[str, str] = {}
    for value in values:
        if value:
            found.setdefault(value.lower(), value)
    return tuple(Fact(kind, value, source) for value in list(found.values())[:MAX_FACTS])
