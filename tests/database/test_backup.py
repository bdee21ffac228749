"""`evidence backup`: both databases whole, checked, over nothing but an earlier backup."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from evidence import cli
from evidence.data_model import Decision, Doi
from evidence.database import read_queries, writer
from evidence.database.backup import backup, target_files
from evidence.database.connection import open_evidence, reading
from evidence.errors import BusyError, ConfigError, StoreError
from evidence.harvest.locked_run import rejudge_database
from evidence.review.record_decision import add_decisions
from evidence.rules.taxonomy import Taxonomy
from tests.builders import MARKOWITZ, decision
from tests.database.test_connection import harvest, newer, now
from tests.killing import dumped

WORK = Doi(str(MARKOWITZ["DOI"]))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, book: Taxonomy) -> Path:
    folder = tmp_path_factory.mktemp("made")
    db = harvest(folder, book)
    add_decisions(db, folder / "decisions.db", book, now, WORK, "exclude", [], [], "Not it", "A. Reader")
    return folder


@pytest.fixture
def db(made: Path, tmp_path: Path) -> Path:
    work = tmp_path / "work"
    work.mkdir()
    for name in ("evidence.db", "decisions.db"):
        shutil.copy(made / name, work)
    return work / "evidence.db"


@pytest.fixture
def ledger(db: Path) -> Path:
    return db.with_name("decisions.db")


def word(number: int) -> Decision:
    return decision(WORK, "unsure", "B", reason=f"reason {number}", made_at="2026-11-25T12:00:00Z")


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def test_a_copy_of_both_with_nothing_else_beside(db: Path, ledger: Path, tmp_path: Path) -> None:
    before = [db.read_bytes(), ledger.read_bytes()]
    safe = tmp_path / "safe"
    safe.mkdir()
    first, second = backup(db, ledger, safe)
    assert files(safe) == ["decisions.db", "evidence.db"]
    assert (first.file, second.file) == (safe / "evidence.db", safe / "decisions.db")
    assert dumped(first.file) == dumped(db)
    assert dumped(second.file) == dumped(ledger)
    assert (first.rows["works"], second.rows["decisions"], first.unfinished) == (4, 1, None)
    assert first.size == first.file.stat().st_size
    assert first.file.stat().st_mode == db.stat().st_mode
    assert [db.read_bytes(), ledger.read_bytes()] == before
    with reading(first.file) as conn:
        assert read_queries.status(conn)["works"] == {"exclude": 1, "include": 3}


def test_what_the_files_are_called(tmp_path: Path) -> None:
    assert target_files(tmp_path) == (tmp_path / "evidence.db", tmp_path / "decisions.db")
    assert target_files(tmp_path / "evidence.db") == (tmp_path / "evidence.db", tmp_path / "decisions.db")
    assert target_files(tmp_path / "2026-11.db") == (tmp_path / "2026-11.db", tmp_path / "2026-11-decisions.db")


def test_what_is_in_the_log_alone_is_copied_too(db: Path, ledger: Path, tmp_path: Path) -> None:
    """While the site reads and a sync writes."""
    with closing(open_evidence(db)) as reader, writer.open_store(db, ledger) as opened:
        reader.execute("select count(*) from works").fetchone()
        run = opened.start_run("crossref", "0", "2026-11-25T12:00:00Z")
        first, _ = backup(db, ledger, tmp_path / "copy.db")
        assert first.unfinished == run
        assert opened.conn.execute("select outcome from runs where run = ?", (run,)).fetchone() == ("running",)
    with closing(sqlite3.connect(first.file)) as conn:
        assert conn.execute("select max(run) from runs").fetchone() == (run,)


def test_an_earlier_backup_is_replaced_and_nothing_else(db: Path, ledger: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    backup(db, ledger, target)
    writer.append_to_ledger(ledger, [word(1)])
    assert backup(db, ledger, target)[1].rows["decisions"] == 2
    # It was used: a word in it is nowhere else.
    writer.append_to_ledger(target_files(target)[1], [word(2)])
    with pytest.raises(ConfigError, match=r"copy-decisions\.db: already exists and is not a backup.*--force"):
        backup(db, ledger, target)
    assert backup(db, ledger, target, force=True)[1].rows["decisions"] == 2
    assert files(tmp_path) == ["copy-decisions.db", "copy.db", "work"]


@pytest.mark.parametrize("kind", ["text", "empty", "stranger", "working", "published"])
def test_what_is_no_backup_is_left_alone(kind: str, db: Path, ledger: Path, tmp_path: Path) -> None:
    target = tmp_path / "target.db"
    if kind in ("working", "published"):
        shutil.copy(db, target)
    if kind == "published":
        with closing(sqlite3.connect(target)) as conn:
            conn.execute("pragma journal_mode = delete")
    if kind == "stranger":
        with closing(sqlite3.connect(target)) as conn:
            conn.execute("create table mine (a)")
    if kind in ("text", "empty"):
        target.write_text("notes\n" if kind == "text" else "")
    before = target.read_bytes()
    with pytest.raises(ConfigError, match="not a backup"):
        backup(db, ledger, target)
    assert target.read_bytes() == before
    assert files(tmp_path) == ["target.db", "work"]
    backup(db, ledger, target, force=True)
    assert dumped(target) == dumped(db)


def test_a_log_beside_what_is_overwritten_is_not_read_into_the_copy(db: Path, ledger: Path, tmp_path: Path) -> None:
    target = tmp_path / "evidence.db"
    shutil.copy(db, target)
    with closing(sqlite3.connect(target)) as conn:
        conn.execute("delete from works_fts")
        conn.execute("delete from works")
        conn.commit()
        log = target.with_name("evidence.db-wal").read_bytes()
    shutil.copy(db, target)
    target.with_name("evidence.db-wal").write_bytes(log)
    with pytest.raises(ConfigError):
        backup(db, ledger, target)
    backup(db, ledger, target, force=True)
    assert dumped(target) == dumped(db)


def test_the_databases_themselves_are_no_targets(db: Path, ledger: Path, tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(db)
    for target in (db, db.parent, tmp_path / "link.db"):
        with pytest.raises(ConfigError, match="is the database itself"):
            backup(db, ledger, target, force=True)
    moved = db.rename(db.with_name("other.db"))
    with pytest.raises(ConfigError, match=r"decisions\.db: is the database itself"):
        backup(moved, ledger, db, force=True)


def test_a_link_is_followed(db: Path, ledger: Path, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "latest.db").symlink_to(tmp_path / "disk" / "copy.db")
    assert [copied.file.parent for copied in backup(db, ledger, tmp_path / "latest.db")] == [tmp_path / "disk"] * 2
    assert (tmp_path / "latest.db").is_symlink()
    assert dumped(tmp_path / "latest.db") == dumped(db)


def test_a_harvest_without_a_ledger(db: Path, ledger: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    backup(db, ledger, target)
    before = target_files(target)[1].read_bytes()
    ledger.unlink()
    with pytest.raises(ConfigError, match=r"copy-decisions\.db: is a backup of decisions.*restore it"):
        backup(db, ledger, target)
    assert len(backup(db, ledger, target, force=True)) == 1
    assert target_files(target)[1].read_bytes() == before
    assert len(backup(db, ledger, tmp_path / "other.db")) == 1


def test_what_cannot_be_copied_leaves_the_earlier_backup(
    db: Path, ledger: Path, tmp_path: Path, book: Taxonomy
) -> None:
    target = tmp_path / "copy.db"
    backup(db, ledger, target)
    kept = {file: file.read_bytes() for file in target_files(target)}
    raw = bytearray(db.read_bytes())
    with closing(sqlite3.connect(db)) as conn:
        (page,) = conn.execute("select rootpage from sqlite_master where name = 'sightings_doi'").fetchone()
    raw[(page - 1) * 4096 + 8 : page * 4096] = os.urandom(4088)
    db.write_bytes(raw)
    with pytest.raises(StoreError, match="damaged"):
        backup(db, ledger, target)
    db.unlink()
    harvest(db.parent, book)
    newer(ledger, "decisions")
    with pytest.raises(StoreError, match="newer version"):
        backup(db, ledger, target)
    with pytest.raises(ConfigError, match="there is no database yet"):
        backup(tmp_path / "none.db", ledger, target)
    assert {file: file.read_bytes() for file in target_files(target)} == kept
    assert files(tmp_path) == ["copy-decisions.db", "copy.db", "work"]


def test_folders_another_backup_and_what_a_killed_one_left(db: Path, ledger: Path, tmp_path: Path) -> None:
    backup(db, ledger, tmp_path / "made" / "for" / "it.db")
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot be written .*folder"):
        backup(db, ledger, tmp_path / "file" / "copy.db")
    with FileLock(tmp_path / ".copy.db.lock"), pytest.raises(BusyError, match="another evidence backup"):
        backup(db, ledger, tmp_path / "copy.db")
    (tmp_path / ".copy.db.draft").write_text("half a copy")
    (tmp_path / ".copy.db.draft-journal").write_text("its journal")
    backup(db, ledger, tmp_path / "copy.db")
    assert files(tmp_path) == ["copy-decisions.db", "copy.db", "file", "made", "work"]


def test_restored_it_goes_on_as_before(db: Path, ledger: Path, tmp_path: Path, book: Taxonomy) -> None:
    """As docs/backup.md has it; and once it is used again it counts as no backup."""
    safe = tmp_path / "safe"
    safe.mkdir()
    backup(db, ledger, safe)
    for file in db.parent.glob("*.db*"):
        file.unlink()
    for copied in safe.glob("*.db"):
        shutil.copy(copied, db.parent)
    assert rejudge_database(db, ledger, book, now)[0] == 0
    harvest(db.parent, book)
    writer.append_to_ledger(ledger, [word(3)])
    assert rejudge_database(db, ledger, book, now)[0] == 1
    with pytest.raises(ConfigError, match="not a backup"):
        backup(safe / "evidence.db", safe / "decisions.db", db)


def test_the_command(
    db: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run: Callable[[], Any] = cli.main
    monkeypatch.setattr(sys, "argv", ["evidence", "--db", "work/evidence.db", "backup", "copy.db"])
    with pytest.raises(SystemExit, match="0"):
        run()
    said = capsys.readouterr()
    assert said.err == ""
    assert said.out.splitlines()[0].startswith("work/evidence.db: 4 works, 0.")
    assert said.out.splitlines()[1].startswith("work/decisions.db: 1 decision, 0.")
    assert f"copied to {tmp_path / 'copy-decisions.db'} and checked." in said.out
    (tmp_path / "copy.db").write_text("mine")
    with pytest.raises(SystemExit) as stopped:
        run()
    assert stopped.value.code == 2
    assert "--force" in capsys.readouterr().err
