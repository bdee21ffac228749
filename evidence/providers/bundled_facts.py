"""Reads the facts that come with the bundled snapshot: identifiers and publication types of its works, one JSON object a work.

They are bibliographic facts, for use without a network. Pure: a line in, a `Described` out.
"""

from __future__ import annotations

import json
from typing import Any, Final

from evidence.data_model import Fact, Identifier
from evidence.errors import RecordError
from evidence.providers.answers import Described

_KINDS: Final = frozenset(("pmid", "pmcid", "openalex", "registration"))


def describe(text: str) -> Described:
    """What one line of the file says; RecordError where it is no such line."""
    try:
        row: dict[str, Any] = json.loads(text)
        identifiers = tuple(
            Identifier(one["kind"], str(one["value"]), str(one["source"]))
            for one in row["identifiers"]
            if one["kind"] in _KINDS
        )
        types = tuple(Fact("publication-type", str(name), "pubmed") for name in row.get("publication_types", ()))
        return Described("bundled", doi=str(row["doi"]), identifiers=identifiers, facts=types)
    except (ValueError, KeyError, TypeError) as error:
        raise RecordError(f"not a line of bundled facts ({error!r})") from None
