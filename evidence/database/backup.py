"""Backing up both databases, while a sync, the site or a reviewer uses them.

SQLite's own online backup gives each file one consistent state. A copy is made next to its target and checked there (SQLite's
integrity check, and the number of rows of every table), and only then gets the target's name: a backup that fails leaves the
earlier one as it was. It may not write to the databases it copies.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout
from sqlite_utils import Migrations

from evidence.database import connection, rewound, schema
from evidence.errors import BusyError, ConfigError, StoreError

MARK: Final = 0x49505442
"""`pragma user_version` of a backup (ASCII "IPTB")."""

_WAL_HEADER: Final = 2
"""What bytes 18 and 19 of a database in WAL mode say; a backup that was opened for writing since is one."""

_BESIDE = ("-wal", "-shm", "-journal")


@dataclass(frozen=True, slots=True)
class BackedUp:
    """One file that was backed up: what it is a copy of, the number of rows of each table, its size in bytes, and the number of
    the run that was in progress (None: none)."""

    source: Path
    file: Path
    rows: dict[str, int]
    size: int
    unfinished: int | None


def backup(db: Path, ledger: Path, target: Path, *, force: bool = False) -> tuple[BackedUp, ...]:
    """Copy the harvest to `target` and the ledger, where there is one, beside it; `target_files` has their names.

    BusyError when another backup to this target is at work. ConfigError when there is no database, or when a target holds
    something that is not a backup (with `force` it is overwritten). StoreError when a database is not ours or
    damaged, or the copy cannot be written or is not what was copied. Then both targets are as they were.
    """
    rewound.refuse(db)
    if not _holds(db, schema.evidence):
        raise ConfigError(f"{db}: there is no database yet; `evidence demo` or `evidence sync` makes one")
    first, second = target_files(target)
    jobs = [(db, first)]
    if _holds(ledger, schema.decisions):
        jobs.append((ledger, second))
    elif second.exists() and not force:
        raise ConfigError(
            f"{second}: is a backup of decisions, but {ledger} does not exist; restore it, or name another FILE "
            "(--force: continue without)"
        )
    for _, file in jobs:
        _may_replace(file, (db, ledger), force)
    with _alone(first), ExitStack() as drafts:
        # The harvest first: decisions made meanwhile are then in the copy of the ledger at least, and are judged when restored.
        made = [(*_copied(source, file, drafts.enter_context(_draft(file))), file) for source, file in jobs]
        # The ledger first: if killed between the two, no copy of the harvest shows a decision that no copy of the ledger has.
        for draft, _, file in reversed(made):
            _put(draft, file)
    return tuple(copied for _, copied, _ in made)


def target_files(target: Path) -> tuple[Path, Path]:
    """The files that a backup to `target` writes: in a folder `evidence.db` and `decisions.db`, which `--db` finds together;
    for a file of another name, that file and one called `NAME-decisions`."""
    file = (target / "evidence.db" if target.is_dir() else target).resolve()
    other = "decisions.db" if file.name == "evidence.db" else f"{file.stem}-decisions{file.suffix}"
    return file, file.with_name(other).resolve()


def _holds(path: Path, migrations: Migrations) -> bool:
    """Whether there is such a database with tables; StoreError when it is another's, newer or damaged."""
    if not path.exists():
        return False
    try:
        with closing(connection.open_read_only(path)) as conn:
            return connection.examine(conn, path, migrations) != "new"
    except sqlite3.Error as error:
        raise connection.store_error(path, error) from error


def _may_replace(file: Path, sources: tuple[Path, ...], force: bool) -> None:
    if any(source.exists() and file.exists() and source.samefile(file) for source in sources):
        raise ConfigError(f"{file}: is the database itself; name another FILE")
    if file.exists() and not file.is_file():
        raise ConfigError(f"{file}: is not a file; name another FILE")
    if file.exists() and not force and not _is_backup(file):
        raise ConfigError(
            f"{file}: already exists and is not a backup; name another FILE, or overwrite it with --force"
        )


def _is_backup(file: Path) -> bool:
    """Whether a file was written here and not opened for writing since: its header tells."""
    with file.open("rb") as opened:
        head = opened.read(100)
    numbers = {at: int.from_bytes(head[at : at + 4], "big") for at in (60, 68)}
    ours = head[:16] == b"SQLite format 3\x00" and numbers == {60: MARK, 68: schema.APPLICATION_ID}
    return ours and _WAL_HEADER not in head[18:20] and not any(_beside(file))


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Hold the target as the only backup to it, so that drafts found there were left by one that was killed."""
    lock = FileLock(file.with_name(f".{file.name}.lock"))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise BusyError(f"{file}: another evidence backup is writing there; try again when it has finished") from None
    except OSError as error:
        raise StoreError(
            f"{file}: cannot be written ({error.strerror}); name a FILE in a folder that you may write to"
        ) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _draft(file: Path) -> Iterator[Path]:
    """A new empty file beside `file`, gone afterwards unless it was renamed."""
    draft = file.with_name(f".{file.name}.draft")
    for left in (draft, *_beside(draft)):
        left.unlink(missing_ok=True)
    draft.touch(0o600)
    try:
        yield draft
    finally:
        for left in (draft, *_beside(draft)):
            left.unlink(missing_ok=True)


def _copied(source: Path, file: Path, draft: Path) -> tuple[Path, BackedUp]:
    """Copy one consistent state of `source` to `draft` and check it."""
    try:
        with closing(connection.open_read_only(source)) as conn, closing(sqlite3.connect(draft)) as copy:
            conn.execute("begin")
            rows = _counted(conn)
            run = (
                conn.execute("select max(run) from runs where outcome = 'running'").fetchone()[0]
                if "runs" in rows
                else None
            )
            conn.backup(copy)
            copy.execute("pragma journal_mode = delete")
            copy.execute(f"pragma user_version = {MARK}")
            problems = [text for (text,) in copy.execute("pragma integrity_check")]
            if problems != ["ok"]:
                raise StoreError(
                    f"{source}: the database is damaged ({problems[0]}); the earlier backup was left as it is"
                )
            if _counted(copy) != rows:
                raise StoreError(f"{file}: the copy differs from {source}; nothing was written. Please report this")
        shutil.copymode(source, draft)
        with draft.open("rb") as opened:
            os.fsync(opened.fileno())
    except sqlite3.Error as error:
        about = file if "full" in str(error) or "I/O" in str(error) else source
        raise connection.store_error(about, error) from error
    except OSError as error:
        raise StoreError(
            f"{file}: cannot be written ({error.strerror}); the earlier backup was left as it is"
        ) from error
    return draft, BackedUp(source, file, rows, draft.stat().st_size, run)


def _counted(conn: sqlite3.Connection) -> dict[str, int]:
    names = [name for (name,) in conn.execute("select name from sqlite_master where type = 'table' order by name")]
    return {name: conn.execute(f'select count(*) from "{name}"').fetchone()[0] for name in names}  # noqa: S608 - its own names


def _put(draft: Path, file: Path) -> None:
    """Give the copy its name, so that a power cut leaves the old file or the new one."""
    try:
        for left in _beside(file):
            left.unlink(missing_ok=True)  # a log of what is overwritten would be read into the copy
        draft.replace(file)
        if os.name == "posix":
            folder = os.open(file.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    except OSError as error:
        raise StoreError(
            f"{file}: cannot be written ({error.strerror}); check that its folder exists and may be written to"
        ) from error


def _beside(file: Path) -> list[Path]:
    """What SQLite keeps beside a database that is open, or was when its program was killed."""
    return [found for end in _BESIDE if (found := file.with_name(f"{file.name}{end}")).exists()]
