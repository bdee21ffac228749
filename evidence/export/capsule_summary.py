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
    """A capsule that was written: its folder, the number of files and of bytes, the digest of its second manifest, and the
    works, abstracts that may not be passed on and decisions in it. `left_out` are such abstracts that are not in it;
    `unrecorded` says why the database does not know of it."""

    folder: Path
    kind: Literal["whole", "public"]
    digest: str
    files: int
    size: int
    works: int
    abstracts: int
    left_out: int
    decisions: int
    unrecorded: str | None


def written(capsule: Capsule) -> str:
    """What a capsule holds, and its digest."""
    works = count_noun(capsule.works, "work")
    lines = [f"{works}: {count_noun(capsule.files, 'file')}, {capsule.size / 1e6:.1f} MB, written to {capsule.folder}."]
    if capsule.kind == "whole":
        abstracts, decisions = count_noun(capsule.abstracts, "abstract"), count_noun(capsule.decisions, "decision")
        lines += [
            f"It is for yourself: it has the raw records, {abstracts} that may not be passed on, and {decisions} of reviewers.",
            "To write one to be passed on: --public.",
        ]
    else:
        left_out = count_noun(capsule.left_out, "abstract")
        lines += [f"It may be passed on: raw records, the ledger of decisions and {left_out} are left out."]
    lines += [
        f"Digest: {capsule.digest}",
        f"Keep it elsewhere, too. To check the capsule: evidence replay {capsule.folder} --expect DIGEST",
    ]
    return "\n".join(lines)


def listed(rows: Sequence[Mapping[str, Any]]) -> str:
    """All capsules, the newest first."""
    kinds = {"whole": "for oneself", "public": "to be passed on"}
    lines = [
        f"{row['made_at']}  {row['name']}  {kinds[row['kind']]}, {count_noun(row['files'], 'file')}, "
        f"{row['bytes'] / 1e6:.1f} MB, state after run {row['run'] or 'none'}, evidence {row['version']}\n  {row['digest']}"
        for row in rows
    ]
    return "\n".join(lines) or "No capsule was written from this database."
