"""kill −9 while the databases are made, and later: the next run ends where one that nobody disturbed does.

Exact to the system call where a C compiler can make the shim of `tests.killing`; to the call of SQLite everywhere else.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from sqlite_utils import Database

from evidence.database import schema
from evidence.database.connection import open_evidence
from evidence.database.writer import open_store
from evidence.errors import ConfigError, StoreError
from tests import killing
from tests.killing import JOBS, everything

pytestmark = pytest.mark.slow

SOURCE = Path(__file__).parents[1] / "kill_at_write.c"


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> str:
    return killing.built(SOURCE, tmp_path_factory.mktemp("shim"))


EVERYWHERE = bool(os.environ.get("EVIDENCE_KILL_EVERYWHERE"))
"""Kill at every write and every call, not at a sample of them: some minutes more."""


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("job", "options", "points"),
    [
        ("create", () if EVERYWHERE else ("--points", "40"), 1000 if EVERYWHERE else 40),
        ("create", ("--torn", "--points", "25"), 25),
        ("sync", ("--points", "20"), 20),
        ("backfill", ("--points", "30"), 30),
        ("enrich", ("--points", "20"), 20),
        ("decide", ("--points", "30"), 30),
        ("backup", ("--points", "20"), 20),
    ],
)
def test_killed_at_an_exact_write(shim: str, tmp_path: Path, job: str, options: tuple[str, ...], points: int) -> None:
    line = [sys.executable, "-m", "tests.killing", shim, str(tmp_path / job), job, *options]
    done = subprocess.run(line, cwd=SOURCE.parents[1], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["wrong"] == {}
    assert said["killed"] == min(points, said["calls"])
    assert said["calls"] > 30


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.timeout(900)
def test_killed_before_any_call_that_makes_the_databases(tmp_path: Path) -> None:
    create = JOBS["create"]
    clean = tmp_path / "clean"
    clean.mkdir()
    create(clean)
    for number in range(1, 5000, 1 if EVERYWHERE else 6):
        folder = tmp_path / str(number)
        folder.mkdir()
        child = os.fork()
        if child == 0:
            _kill_at_call(number)
            create(folder)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            assert status == 0
            break
        assert os.WTERMSIG(status) == signal.SIGKILL
        create(folder)
        assert everything(folder) == everything(clean), f"killed at call {number}"
    assert number > 50


def _kill_at_call(number: int) -> None:
    """Kill this process before the call with this number of a SQLite connection or cursor, whoever has opened it."""
    count = 0

    def profile(_: FrameType, event: str, called: Any) -> None:
        nonlocal count
        owner = getattr(called, "__self__", None)
        if event == "c_call" and isinstance(owner, sqlite3.Connection | sqlite3.Cursor):
            count += 1
            if count == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(profile)


# What earlier versions left


def unfinished(path: Path, *, stop_before: str | None) -> None:
    """As an earlier version left a file that was killed before it said whose it is."""
    migrations = schema.decisions if path.name == "decisions.db" else schema.evidence
    made = Database(path)
    made.conn.execute("pragma journal_mode = wal")
    if stop_before is None:
        migrations.apply(made)
    else:
        migrations.apply(made, stop_before=stop_before)
    made.close()


@pytest.mark.parametrize("stop_before", ["m001_first_schema", "m002_decisions_shown", None])
def test_an_unfinished_file_of_an_earlier_version_is_finished(tmp_path: Path, stop_before: str | None) -> None:
    for folder in ("clean", "left"):
        (tmp_path / folder).mkdir()
    unfinished(tmp_path / "left" / "evidence.db", stop_before=stop_before)
    unfinished(tmp_path / "left" / "decisions.db", stop_before=stop_before and stop_before.replace("m00", "d00"))
    with pytest.raises(ConfigError, match="no database yet"):
        open_evidence(tmp_path / "left" / "evidence.db")
    shapes = {}
    for folder in ("clean", "left"):
        open_store(tmp_path / folder / "evidence.db").close()
        for name in ("evidence.db", "decisions.db"):
            conn = sqlite3.connect(tmp_path / folder / name)
            sql = "select type, name, sql from sqlite_master order by 1, 2"
            shapes[folder, name] = [conn.execute("pragma application_id").fetchone(), *conn.execute(sql).fetchall()]
            conn.close()
    for name in ("evidence.db", "decisions.db"):
        assert shapes["left", name] == shapes["clean", name]


LISTED = "create table _sqlite_migrations (id integer primary key, migration_set text, name text, applied_at text)"
INSERTED = "insert into _sqlite_migrations values (1, '{}', 'm001_first_schema', '')"


@pytest.mark.parametrize(
    "sql",
    [
        "create table mine (a)",
        "create view mine as select 1",
        "pragma user_version = 3",
        "pragma application_id = 77",
        f"{LISTED}; {INSERTED.format('mine')}",
        f"{LISTED}; {INSERTED.format('evidence')}; create table works (doi)",
    ],
)
def test_what_only_looks_unfinished_is_a_strangers(tmp_path: Path, sql: str) -> None:
    path = tmp_path / "evidence.db"
    conn = sqlite3.connect(path)
    conn.executescript(sql)
    conn.close()
    before = path.read_bytes()
    for opening in (open_store, open_evidence):
        with pytest.raises(StoreError, match="not made by evidence"):
            opening(path)
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["evidence.db"]
