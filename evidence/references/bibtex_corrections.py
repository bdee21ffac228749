"""BibTeX with some values replaced, and every other character as it was.

A program that writes an entry anew changes braces, order and comments, which people have arranged with care.

Pure: text in, text out. It may not choose what is corrected.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

NAMES: Mapping[str, Sequence[str]] = {
    "author": ("author",),
    "year": ("year", "date"),
    "volume": ("volume",),
    "page": ("pages", "eid"),
    "doi": ("doi",),
}
"""The BibTeX fields of each field that may be corrected, the usual one first."""


def corrected(entry: str, values: Mapping[str, str]) -> str:
    """One entry, from `@` to its last brace, with other values: by field (a key of `NAMES`). A field that it does not have is
    added after the key."""
    for field, value in values.items():
        places = [place for name in NAMES[field] if (place := _value(entry, name)) is not None]
        if not places:
            entry = _added(entry, NAMES[field][0], value)
            continue
        start, stop = places[0]
        old = entry[start:stop]
        new = re.sub(r"\d{4}", value, old, count=1) if field == "year" and re.search(r"\d{4}", old) else f"{{{value}}}"
        entry = entry[:start] + new + entry[stop:]
    return entry


def _value(entry: str, name: str) -> tuple[int, int] | None:
    """The place of a field's value, its braces or quotes included; None without the field."""
    top = 1 if re.match(r"\s*@\w+\s*\{", entry) else 0  # BibTeX also allows `@article(…)`
    for found in re.finditer(rf"(?<![\w-]){name}\s*=\s*", entry, re.IGNORECASE):
        if entry.count("{", 0, found.start()) - entry.count("}", 0, found.start()) == top:
            return found.end(), _end(entry, found.end())
    return None


def _end(entry: str, start: int) -> int:
    if start >= len(entry):
        return start
    if entry[start] in '{"':
        depth = 0
        for at in range(start, len(entry)):
            depth += (entry[at] == "{") - (entry[at] == "}")
            if (entry[start] == "{" and depth == 0) or (
                entry[start] == '"' and at > start and entry[at] == '"' and depth == 0
            ):
                return at + 1
        return len(entry)
    bare = re.compile(r"[^\s,}]*").match(entry, start)
    return bare.end() if bare else start


def _added(entry: str, name: str, value: str) -> str:
    comma = entry.find(",")
    if comma < 0:
        return entry
    newline = "\r\n" if "\r\n" in entry else "\n"
    return f"{entry[: comma + 1]}{newline}  {name} = {{{value}}},{entry[comma + 1 :]}"
