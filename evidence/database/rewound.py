"""The mark of a database that was taken back to a version by `evidence rewind`: it is only read, and says what it shows.

The mark is in the file's header, so that it can be read without opening the database. It may not write.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Final

from evidence.errors import StoreError

MARK: Final = 0x49505452
"""`pragma user_version` of the database and of its ledger (ASCII "IPTR"). The newest version in it is the one that it shows."""

_PLACE = 60
"""Where the header of a SQLite file has `user_version`: four bytes."""


def is_rewound(path: Path) -> bool:
    """Whether the file at this path is marked."""
    try:
        with path.open("rb") as file:
            head = file.read(_PLACE + 4)
    except OSError:
        return False
    return head[:6] == b"SQLite" and int.from_bytes(head[_PLACE:], "big") == MARK


def refuse(path: Path) -> None:
    """StoreError when the file shows a version as it was: nothing is written to it, or made of it."""
    if is_rewound(path):
        raise StoreError(
            f"{path}: is the review as it was in a version, and is only read; name the review's own database with --db"
        )


def shown_version(path: Path) -> str | None:
    """What a marked database shows, such as `version 3 (2026-03-31)`; None for any other file."""
    if not is_rewound(path):
        return None
    import sqlite3  # every command asks, and few databases are marked

    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as conn:
            found = conn.execute("select name, made_at from versions order by version desc limit 1").fetchone()
    except sqlite3.Error:
        return None  # whoever reads the database says what is wrong with it
    return f"version {found[0]} ({found[1][:10]})" if found else None
