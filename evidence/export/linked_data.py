"""What the formats of linked data share: who gave a tag, its concept, and how a JSON-LD document is written work by work.

Pure: rows in, values out. It may not read a database, a file or the clock.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from evidence.export import concept_iris
from evidence.export.columns import Layout, Row

RULES = "evidence (rules)"
"""Who gave a tag that no reviewer gave."""
REVIEWER = "a reviewer"
"""A reviewer whose name is not known."""

_MAIL = re.compile(r"[^\s<>()@,;:]+@[^\s<>()@,;:]+")
_EMPTY_BRACKETS = re.compile(r"\s*[<(]\s*[>)]")

Key = tuple[str, str]


class Concepts:
    """The tags of one export as SKOS concepts: their names and labels."""

    def __init__(self, layout: Layout | None) -> None:
        self._labels = layout.labels if layout else {}
        topic = layout.topic if layout else None
        self.base = concept_iris.base(topic.id if topic else "topic", layout.address if layout else None)

    def iri(self, key: Key) -> str:
        """The name of the concept."""
        return concept_iris.value(self.base, *key)

    def label(self, key: Key) -> str | None:
        """What it is called; None where that is not known."""
        return self._labels.get(key)


def without_addresses(text: str, instead: str = "") -> str:
    """A text that a reviewer wrote, without e-mail addresses."""
    if "@" not in text:
        return text
    return " ".join(_EMPTY_BRACKETS.sub("", _MAIL.sub(instead, text)).split())


def reviewer(row: Row, key: Key) -> str:
    """The name of the reviewer who gave a tag or verdict, without an e-mail address."""
    decided = row.get("tag_decisions", {}).get(key)
    return without_addresses(decided.reviewer) or REVIEWER if decided else REVIEWER


def known(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts without those that are absent."""
    return {name: fact for name, fact in facts.items() if fact not in (None, "", [], ())}


def one_or_all(values: Iterable[str]) -> str | list[str] | None:
    """One value as it is, several as a list, each once; None where there are none."""
    found = list(dict.fromkeys(values))
    return found[0] if len(found) == 1 else found or None


def document(head: str, members: Iterable[Any], tail: str) -> Iterator[str]:
    """A document with these members of one array, each on its own line. Broken off, it is no valid JSON: nobody takes a part for
    the whole."""
    import orjson  # most commands do without

    before = head + "\n"
    for member in members:
        yield before + orjson.dumps(member).decode()
        before = ",\n"
    yield (head + "\n" if before != ",\n" else "\n") + tail + "\n"
