"""What edited rules change in the tags: which tags appear, disappear or change their strength, as CSV and counted by value.

Tags before and after in, a file and a summary out. It may not read a database or judge a work.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from evidence.data_model import SHOWN_STRENGTHS, Strength
from evidence.export import atomic_output
from evidence.export.csv_files import csv_line

EXAMPLES = 3
"""Works named for each value and kind of change in the summary."""

COLUMNS = ("doi", "title", "facet", "value", "change", "before", "after", "how")

TagKey = tuple[str, str, str]
"""DOI, facet, value."""


class TagState(NamedTuple):
    """A tag as one judgement left it: its strength and the sentence that says how."""

    strength: Strength
    how: str | None


class TagChange(NamedTuple):
    """A tag that appeared, disappeared or changed its strength. `before` and `after` are strengths, None where there is no
    tag. `how` says how the text gives it, or why it does not any more."""

    doi: str
    facet: str
    value: str
    change: Literal["appeared", "disappeared", "strength"]
    before: Strength | None
    after: Strength | None
    how: str | None


def write_report(
    before: Sequence[Mapping[str, Any]],
    after: Sequence[Mapping[str, Any]],
    why_gone: Mapping[TagKey, str],
    file: Path,
) -> str:
    """Write the differences of two lists of tags (rows of `read_queries.all_tags`) to a CSV file; returns them counted by
    value. `why_gone` says why a tag has disappeared. ConfigError when the file cannot be written."""
    titles = {row["doi"]: row["title"] for row in (*before, *after)}
    old, new = (
        {(r["doi"], r["facet"], r["value"]): TagState(r["strength"], r["how"]) for r in rows}
        for rows in (before, after)
    )
    changes = [change._replace(how=why_gone.get(change[:3], change.how)) for change in tag_changes(old, new)]
    atomic_output.write_whole(file, [changes_csv(changes, titles).encode()])
    return changes_by_value(old, new, changes)


def tag_changes(before: Mapping[TagKey, TagState], after: Mapping[TagKey, TagState]) -> list[TagChange]:
    """The differences, by facet, value, kind of change and DOI. A changed certainty or sentence is none."""
    found = []
    for key in before.keys() | after.keys():
        old, new = before.get(key), after.get(key)
        if old is not None and new is not None and old.strength == new.strength:
            continue
        change: Literal["appeared", "disappeared", "strength"] = (
            "appeared" if old is None else "disappeared" if new is None else "strength"
        )
        how = new.how if new is not None else old.how if old is not None else None
        found.append(TagChange(*key, change, old.strength if old else None, new.strength if new else None, how))
    return sorted(found, key=lambda change: (change.facet, change.value, change.change, change.doi))


def changes_csv(changes: Iterable[TagChange], titles: Mapping[str, str | None]) -> str:
    """One row for each change (`COLUMNS`). `titles` are DOI → title."""
    rows = ((c.doi, titles.get(c.doi), c.facet, c.value, c.change, c.before, c.after, c.how) for c in changes)
    return "".join(map(csv_line, (COLUMNS, *rows)))


def changes_by_value(
    before: Mapping[TagKey, TagState], after: Mapping[TagKey, TagState], changes: Iterable[TagChange]
) -> str:
    """A line for each value that changed: the works that lists show with it before and after, and what changed, with examples."""
    by_value: dict[tuple[str, str], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for c in changes:
        by_value[c.facet, c.value][c.change].append(c.doi)
    counts: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for place, tags in enumerate((before, after)):
        for (_, facet, value), state in tags.items():
            counts[facet, value][place] += state.strength in SHOWN_STRENGTHS
    lines = []
    for (facet, value), kinds in sorted(by_value.items()):
        parts = [
            f"{len(dois)} {'with another strength' if change == 'strength' else change} ({', '.join(dois[:EXAMPLES])}"
            f"{', …' if len(dois) > EXAMPLES else ''})"
            for change, dois in sorted(kinds.items())
        ]
        was, now = counts[facet, value]
        lines.append(f"{facet}:{value}: {was} → {now} works; {'; '.join(parts)}")
    return "\n".join(lines) or "No tag has appeared, disappeared or changed its strength."
