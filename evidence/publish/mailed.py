"""Up to which run each address has been mailed the news, in a file beside the database.

It is no table: the database can be read by visitors of a site, and an address is nobody else's business. The file is written
after a mail was handed over. So no news is lost when a mail fails; a process that is killed between the two sends the same mail
again, with the same Message-ID, of which mail programs show one.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from evidence.errors import BusyError, StoreError
from evidence.export import atomic_output

PATIENCE = 60.0
"""Seconds that a second mail waits for the first."""


def file_of(db: Path) -> Path:
    """The file of a database."""
    return db.with_name(f"{db.name}.mailed.json")


@contextmanager
def one_at_a_time(db: Path, patience: float = PATIENCE) -> Iterator[None]:
    """One mail at a time: two programs that mail at once would both send the same news."""
    lock = FileLock(f"{file_of(db)}.lock")
    try:
        lock.acquire(timeout=patience)
    except Timeout:
        raise BusyError(f"{db}: another program is mailing the news of this database; try again later") from None
    except OSError as error:
        raise StoreError(
            f"{lock.lock_file}: cannot be made ({error.strerror}); check the folder's permissions"
        ) from None
    try:
        yield
    finally:
        lock.release()


def last_run(db: Path, conn: sqlite3.Connection, recipient: str, watch: str | None) -> int | None:
    """The run up to which this address has the news (of this watch); None before the first mail, and where the database is
    another one than that of the mails."""
    held = _read(db)
    if held.get("database") != identity(conn):
        return None
    run = held.get("mailed", {}).get(_key(recipient, watch))
    return run if isinstance(run, int) else None


def remember(db: Path, database: str, recipient: str, watch: str | None, run: int) -> None:
    """Note that this address has the news up to a run. `database` is its `identity`."""
    held = _read(db)
    known = held.get("mailed", {}) if held.get("database") == database else {}
    text = json.dumps(
        {"database": database, "mailed": known | {_key(recipient, watch): run}}, ensure_ascii=False, indent=2
    )
    atomic_output.write_whole(file_of(db), [f"{text}\n".encode()])


def identity(conn: sqlite3.Connection) -> str:
    """What tells one database from another: when its first run began."""
    row = conn.execute("select started from runs order by run limit 1").fetchone()
    return str(row[0]) if row else ""


def _key(recipient: str, watch: str | None) -> str:
    return f"{recipient.lower()} {watch}" if watch is not None else recipient.lower()


def _read(db: Path) -> dict[str, Any]:
    path = file_of(db)
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise StoreError(
            f"{path}: cannot be read ({error}); remove it, and the next mail begins with the last sync"
        ) from None
    return held if isinstance(held, dict) else {}
