"""The lock on a database: one harvest, or one re-judging, at a time. Reading needs no lock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from evidence.errors import BusyError, StoreError


@contextmanager
def locked(db: Path, patience: float = 0.0) -> Iterator[None]:
    """Hold the lock on a database, a file beside it; BusyError when another program still holds it after `patience` seconds,
    StoreError when the lock file cannot be made."""
    lock = FileLock(f"{db}.lock")
    try:
        lock.acquire(timeout=patience)
    except Timeout:
        raise BusyError(
            f"{db}: another evidence sync is at work on this database; try again when it has finished"
        ) from None
    except OSError as error:
        raise StoreError(
            f"{db}: cannot be locked ({error.strerror}); check that its folder exists, may be written to and has room"
        ) from None
    try:
        yield
    finally:
        lock.release()
