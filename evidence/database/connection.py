"""Opening the two databases: checking that a file is one of them, creating it, migrating it, and connections for reading.

Every command that opens `evidence.db` or `decisions.db` calls `examine` first, so that a foreign file, the wrong one of the
two and a newer one are refused with the same message everywhere. A file is made in one transaction: a program that is killed
meanwhile leaves a file without tables, which counts as new. Opening a file that is up to date writes nothing to it.

It may not read or write any table but the list of migrations; `schema` has the tables.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

from sqlite_utils import Database, Migrations

from evidence import UPGRADE
from evidence.database import rewound, schema
from evidence.errors import ConfigError, LockedError, StoreError

State = Literal["new", "behind", "current"]
"""`new`: without tables, or left unfinished while it was made; `behind`: made by an older version."""

WAIT: Final = 30.0
"""Seconds that a writer waits for another program to release the file."""

CHECKPOINT_WAIT: Final = 1.0
"""Seconds that a checkpoint waits for readers: a page of the site is read in less."""

_CACHE_KIB, _LOG_PAGES = 65_536, 32_000
"""A harvest uses the same index pages again and again: they are kept in memory and written back less often."""

_HEAD = b"SQLite format 3\x00"
_MIGRATIONS = Migrations.migrations_table


def examine(conn: sqlite3.Connection, path: Path, migrations: Migrations) -> State:
    """Compare a file with today's schema; it only reads. StoreError when it is a foreign file, the other one of the two
    databases, or made by a newer version; sqlite3.Error when it cannot be read."""
    tables = {name for (name,) in conn.execute("select name from sqlite_master")}
    (number,) = conn.execute("pragma application_id").fetchone()
    (version,) = conn.execute("pragma user_version").fetchone()
    if not tables and version == 0 and number in (0, schema.APPLICATION_ID):
        return "new"
    applied = _applied(conn) if _MIGRATIONS in tables else {}
    if number == 0 and _unfinished(conn, migrations, applied):
        return "new"
    if number != schema.APPLICATION_ID or _MIGRATIONS not in tables:
        raise StoreError(
            f"{path}: this SQLite database was not made by evidence; name another file with {_option(migrations)}"
        )
    if migrations.name not in applied.values():
        raise StoreError(
            f"{path}: this is evidence's other database; --db is for the harvest, --decisions for people's"
        )
    refuse_newer(path, migrations, applied)
    return "current" if applied.keys() >= set(_known(migrations)) else "behind"


def refuse_newer(path: Path, migrations: Migrations, applied: Iterable[str]) -> None:
    """StoreError when this version does not know one of the migrations that were applied."""
    if newer := sorted(set(applied) - set(_known(migrations))):
        raise StoreError(f"{path}: made by a newer version of evidence (it has {newer[-1]}); {UPGRADE}")


def open_for_writing(path: Path, migrations: Migrations, wait: float = WAIT) -> Database:
    """Open a file for writing and examine it, without writing yet; `bring_up_to_date` must follow. StoreError as from `examine`,
    and when the file is not a database, is damaged or cannot be reached."""
    _check_head(path, migrations)
    rewound.refuse(path)
    try:
        conn = sqlite3.connect(path, timeout=wait)
    except sqlite3.Error as error:
        raise store_error(path, error) from error
    try:
        examine(conn, path, migrations)
        conn.execute("pragma foreign_keys = on")
        # A record can be harvested again after a power cut; a person's decision cannot.
        conn.execute(f"pragma synchronous = {'full' if migrations is schema.decisions else 'normal'}")
        conn.execute(f"pragma cache_size = -{_CACHE_KIB}")
        conn.execute(f"pragma wal_autocheckpoint = {_LOG_PAGES}")
    except sqlite3.Error as error:
        conn.close()
        raise store_error(path, error) from error
    except BaseException:
        conn.close()
        raise
    return Database(conn, execute_plugins=False)


def bring_up_to_date(db: Database, path: Path, migrations: Migrations) -> None:
    """Make the tables, or bring them to today's schema, in one transaction; a file that is up to date is left alone."""
    conn = db.conn
    try:
        if conn.execute("pragma journal_mode").fetchone()[0] != "wal":
            conn.execute("pragma journal_mode = wal")
        if _due(conn, path, migrations):
            conn.execute("begin immediate")
            with conn:
                if _due(conn, path, migrations):  # checked again: another program may have done it meanwhile
                    schema.migrate(db, migrations)
    except sqlite3.Error as error:
        raise store_error(path, error) from error


def open_read_only(path: Path) -> sqlite3.Connection:
    """A connection to any SQLite file that cannot write; the file is not examined. What a killed program left half written is
    rolled back first, as any other way of opening it would."""
    # On a read-only file system a database in WAL mode opens only as immutable, which is right where no log waits beside it.
    log, journal = (path.with_name(f"{path.name}{end}") for end in ("-wal", "-journal"))
    frozen = not os.access(path.parent, os.W_OK) and not (log.exists() and log.stat().st_size)
    if journal.exists() and not frozen:
        with closing(sqlite3.connect(path)) as conn:
            conn.execute("select 1 from sqlite_master").fetchone()
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if frozen else ''}", uri=True)


def open_evidence(path: Path, *, older: bool = False) -> sqlite3.Connection:
    """A read-only connection to `evidence.db`. ConfigError when there is none; StoreError when it is not ours, or was made by an
    older version and not brought up to date since (with `older` that is allowed)."""
    missing = ConfigError(f"{path}: there is no database yet; `evidence demo` or `evidence sync` makes one")
    if not path.exists():
        raise missing
    conn, state = open_examined(path, schema.evidence)
    if state == "current" or (state == "behind" and older):
        return conn
    conn.close()
    if state == "new":
        raise missing
    raise StoreError(f"{path}: made by an older version of evidence; `evidence judge` brings it up to date")


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """`open_evidence` as a context manager; StoreError also when the database turns out to be damaged."""
    with closing(open_evidence(path)) as conn:
        try:
            yield conn
        except sqlite3.DatabaseError as error:
            raise StoreError(
                f"{path}: cannot be read ({error}); restore a backup, or move it away and run `evidence sync`: "
                "everything but decisions.db can be harvested again"
            ) from error


def open_examined(path: Path, migrations: Migrations) -> tuple[sqlite3.Connection, State]:
    """A read-only connection to either database, and its state (see `examine`); StoreError when it is not ours."""
    try:
        conn = open_read_only(path)
        try:
            return conn, examine(conn, path, migrations)
        except BaseException:
            conn.close()
            raise
    except sqlite3.Error as error:
        if "disk I/O" in str(error) or "disk is full" in str(error):
            raise store_error(path, error) from None
        remedy = ", or make room on its disk" if path.exists() and "unable to open" in str(error) else ""
        raise StoreError(
            f"{path}: cannot be read ({error}); name another file with {_option(migrations)}{remedy}"
        ) from None


@contextmanager
def on_the_disk(conn: sqlite3.Connection) -> Iterator[None]:
    """What is committed in this context survives a power cut. Elsewhere a harvest leaves that to the next checkpoint, which a
    reader, such as the site, can put off."""
    (before,) = conn.execute("pragma synchronous").fetchone()
    if conn.in_transaction:  # then the pragma would do nothing
        yield
        return
    conn.execute("pragma synchronous = full")
    try:
        yield
    finally:
        conn.execute(f"pragma synchronous = {before}")


def checkpoint(conn: sqlite3.Connection) -> None:
    """Write the log back into the file and empty it, so that the one file is complete.

    What a reader still needs stays in the log until the next time. It never fails: what is in the log is safe.
    """
    (wait,) = conn.execute("pragma busy_timeout").fetchone()
    conn.execute(f"pragma busy_timeout = {min(wait, int(CHECKPOINT_WAIT * 1000))}")
    try:
        conn.execute("pragma wal_checkpoint(truncate)").fetchone()
    except sqlite3.Error:
        return
    finally:
        conn.execute(f"pragma busy_timeout = {wait}")


def store_error(path: Path, error: sqlite3.Error) -> StoreError:
    """An error of SQLite as a StoreError that names the remedy."""
    text = str(error)
    if "disk is full" in text:
        return StoreError(f"{path}: the disk is full; what was not complete is not kept. Make room and run it again")
    if "disk I/O" in text:  # what SQLite also says when the files beside the database find no room
        return StoreError(f"{path}: the disk is full or fails ({text}); make room, or check the disk, and run it again")
    if "readonly" in text or "read-only" in text:
        return StoreError(f"{path}: cannot be written (read-only); check the permissions of the file and its folder")
    if "unable to open" in text:
        return StoreError(f"{path}: cannot be opened or made; check that the folder exists and may be written to")
    if "locked" in text:
        return LockedError(f"{path}: another program holds this database; close it and run again")
    if "malformed" in text or "not a database" in text:
        return StoreError(
            f"{path}: the database is damaged ({text}); restore a backup, or move it away and run `evidence sync`: "
            "everything but decisions.db can be harvested again"
        )
    return StoreError(f"{path}: SQLite says: {text}")


def _due(conn: sqlite3.Connection, path: Path, migrations: Migrations) -> bool:
    behind = examine(conn, path, migrations) != "current"
    return behind or (migrations is schema.evidence and not schema.has_views(conn))


def _unfinished(conn: sqlite3.Connection, migrations: Migrations, applied: dict[str, str]) -> bool:
    """Whether an earlier version, which made a file in several transactions, was killed before the last one: then the file has
    what these migrations make, up to some statement."""
    known = _known(migrations)
    if set(applied.values()) - {migrations.name} or tuple(applied) != known[: len(applied)]:
        return False
    twin = Database(memory=True)
    migrations.apply(twin, stop_before=known[len(applied) :])
    ours, made = _shape(twin.conn), _shape(conn)
    twin.close()
    return made == ours if applied else bool(made) and made <= ours


def _applied(conn: sqlite3.Connection) -> dict[str, str]:
    """The migrations that were applied, in order: name → set of migrations."""
    return dict(conn.execute(f"select name, migration_set from {_MIGRATIONS} order by rowid").fetchall())  # noqa: S608


def _shape(conn: sqlite3.Connection) -> set[tuple[str, str, str | None]]:
    return set(conn.execute("select type, name, sql from sqlite_master").fetchall())


@lru_cache(maxsize=8)
def _known(migrations: Migrations) -> tuple[str, ...]:
    """The names of all migrations of a set, in order."""
    memory = Database(memory=True)
    names = tuple(migration.name for migration in migrations.pending(memory))
    memory.close()
    return names


def _check_head(path: Path, migrations: Migrations) -> None:
    """StoreError when the file is not a database: SQLite's own message would say less."""
    if not path.exists() or (path.is_file() and path.stat().st_size == 0):
        return
    try:
        with path.open("rb") as file:
            head = file.read(len(_HEAD))
    except OSError as error:
        option = _option(migrations)
        raise StoreError(f"{path}: cannot be read ({error.strerror}); name another file with {option}") from None
    # With a journal the first page may be missing: SQLite rolls back before it reads.
    if head != _HEAD and not path.with_name(f"{path.name}-journal").exists():
        raise StoreError(f"{path}: this file is not a SQLite database; name another with {_option(migrations)}")


def _option(migrations: Migrations) -> str:
    return "--decisions" if migrations is schema.decisions else "--db"
