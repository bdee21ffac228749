"""Versions of the review as text and as JSON. Values in, text out; no SQL, no terminal, no clock.

Rows are of `read_versions.versions`.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evidence.export.wording import count_noun


def made(row: dict[str, Any], *, new: bool) -> str:
    """What `evidence version NAME` prints."""
    if not new:
        return f"Version {row['name']} is this state already: {_state(row)}. Nothing was changed."
    lines = [f"Version {row['name']}: {_state(row)}."]
    if row["outcome"] == "partial":
        lines.append(f"Run {row['run']} was partial: a source could not be read to its end (`evidence status`).")
    lines.append(f"To see it later: `evidence report prisma --as-of {_quoted(row['name'])}`.")
    return "\n".join(lines)


def listed(rows: Sequence[dict[str, Any]]) -> str:
    """What `evidence version` prints: a line a version, and its note below."""
    lines = []
    for row in rows:
        by = f", by {row['made_by']}" if row["made_by"] else ""
        lines.append(f"{row['name']}: {_state(row)}{by}.")
        if row["note"]:
            lines.append(f"  {row['note']}")
    return "\n".join(lines) or "No version has been named yet; `evidence version NAME` names the state of now."


def rewound(row: dict[str, Any], db: Path, *, same_rules: bool) -> str:
    """What `evidence rewind` prints."""
    lines = [f"Version {row['name']}: {_state(row)}, written to {db}."]
    if not same_rules:
        lines.append(
            "Rules or program have changed since: verdicts and tags are those of then; where today's rules would give "
            "others, the words behind them are not known."
        )
    lines.append(f"To ask it: `evidence --db {shlex.quote(str(db))} report claims`, `… serve`.")
    return "\n".join(lines)


def as_json(rows: Sequence[dict[str, Any]]) -> str:
    """The same as JSON."""
    return json.dumps(list(rows), ensure_ascii=False)


def _state(row: dict[str, Any]) -> str:
    return (
        f"{row['made_at'][:10]}, after run {row['run']}, {row['included']:,} included, {row['excluded']:,} excluded, "
        f"{row['unsure']:,} waiting for a decision, {count_noun(row['decisions'], 'decision')}"
    )


def _quoted(name: str) -> str:
    return name if name.isascii() and name.replace("-", "").replace(".", "").isalnum() else f"'{name}'"
