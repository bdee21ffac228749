"""What `evidence capsule` prints: the capsule that was written, and the list of all.

Values in, text out; no files, no SQL, no clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from evidence.export.wording import count_noun


@dataclass(frozen=True, slots=True)
class Capsule:
    """A capsule that was written: its folder, the number of files and of bytes, the digest of its second manifest, the works and
    decisions in it, the abstracts that may not be passed on (which a public one leaves out), and which state it is. `unrecorded`
    says why the database does not know of it."""

    folder: Path
    kind: Literal["whole", "public"]
    digest: str
    files: int
    size: int
    works: int
    withheld: int
    decisions: int
    state: str
    unrecorded: str | None


def written(capsule: Capsule) -> str:
    """What a capsule holds, and its digest."""
    works, abstracts = count_noun(capsule.works, "work"), count_noun(capsule.withheld, "abstract")
    lines = [
        f"{works}: {count_noun(capsule.files, 'file')}, {capsule.size / 1e6:.1f} MB, written to {capsule.folder}.",
        capsule.state,
    ]
    if capsule.kind == "whole":
        ledger = f"the ledger of {count_noun(capsule.decisions, 'decision')}"
        lines.append(
            f"It is for yourself: it has the raw records, {abstracts} that may not be passed on, and {ledger}."
        )
        lines.append("To write one to be passed on: --public.")
    else:
        left_out = (
            f"raw records, the ledger of decisions, the contact address and {abstracts} that may not be passed on"
        )
        lines += [f"It may be passed on as far as its licence says. Left out: {left_out}."]
    lines += [
        f"Digest: {capsule.digest}",
        f"Keep the digest elsewhere, too. To check the capsule: evidence replay {capsule.folder} --expect DIGEST",
    ]
    return "\n".join(lines)


def listed(rows: Sequence[Mapping[str, Any]]) -> str:
    """All capsules, the newest first."""
    kinds = {"whole": "for oneself", "public": "to be passed on"}
    lines = [
        f"{row['made_at']}  {row['name']}  {kinds[row['kind']]}, {count_noun(row['files'], 'file')}, "
        f"{row['bytes'] / 1e6:.1f} MB, {_state(row)}, evidence {row['program']}\n  {row['digest']}"
        for row in rows
    ]
    return "\n".join(lines) or "No capsule was written from this database."


def _state(row: Mapping[str, Any]) -> str:
    return f"version {row['version']}, after run {row['run']}" if row["version"] else f"after run {row['run']}"
