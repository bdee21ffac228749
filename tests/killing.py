"""kill −9 at an exact write: the worker of `test_killed`, and by hand for more points.

    python -m tests.killing SHIM FOLDER sync --torn --points 200

SHIM is tests/kill_at_write.c, compiled; the worker starts itself again under LD_PRELOAD. It kills a forked child at one
system call after the other that changes a database file, does again what the child was to do, and compares the databases
with those of a child that nobody killed. What differs is printed, as JSON.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from evidence import strict_yaml
from evidence.data_model import Doi
from evidence.database import backup
from evidence.database.writer import open_store
from evidence.errors import EvidenceError
from evidence.harvest import sources
from evidence.harvest.backfill import run_backfill
from evidence.harvest.chosen_providers import ChosenProviders
from evidence.harvest.locked_run import FileInput, rejudge_database, run_enrich, run_sync
from evidence.harvest.progress import NoProgress
from evidence.review.record_decision import add_decisions, read_existing_ledger
from evidence.rules import taxonomy
from tests.builders import MARKOWITZ, SMALL_YAML, WORKS, message
from tests.provider_records import pubmed
from tests.whole.test_crash import contents

COMPILER = next((found for name in ("cc", "gcc", "clang") if (found := shutil.which(name))), None)


def built(source: Path, folder: Path) -> str:
    """A shim for LD_PRELOAD, compiled into `folder`; skips the test where that is not possible."""
    if sys.platform != "linux":
        pytest.skip("needs LD_PRELOAD")
    if COMPILER is None:
        pytest.skip("needs a C compiler")
    made = folder / f"{source.stem}.so"
    line = [COMPILER, "-shared", "-fPIC", "-O1", "-o", str(made), str(source), "-ldl"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"the C compiler cannot make the shim: {done.stderr.strip()[-200:]}")
    return str(made)


MORE = tuple(
    message(f"10.5555/work.{n}", f"Interpersonal psychotherapy for group {n}", 2000 + n % 20) for n in range(25)
)
COPIES = ("copy.db", "copy-decisions.db")
WORK = Doi(str(MARKOWITZ["DOI"]))
BOOK = taxonomy.load()


def now() -> datetime:
    """One moment, so that dates in reasons are the same in every run."""
    return datetime(2026, 11, 24, 12, tzinfo=UTC)


def create(folder: Path) -> None:
    """Only make the two databases."""
    open_store(folder / "evidence.db").close()


def sync(folder: Path) -> None:
    """Make the databases and harvest a file into them."""
    small = sources.check(strict_yaml.parse(SMALL_YAML, "s.yaml"))
    files = FileInput("files", (folder.parent / "works.jsonl",))
    run_sync(folder / "evidence.db", folder / "decisions.db", small, BOOK, now, NoProgress(), files=files)


def backfill(folder: Path) -> None:
    """Read three files of Crossref's public data file."""
    small = sources.check(strict_yaml.parse(SMALL_YAML, "s.yaml"))
    paths = [folder.parent / "public"]
    run_backfill(folder / "evidence.db", folder / "decisions.db", small, BOOK, now, NoProgress(), paths, workers=1)


def enrich(folder: Path) -> None:
    """Read what PubMed has on the works from a file."""
    chosen = ChosenProviders(files=(folder.parent / "pubmed.xml",))
    run_enrich(folder / "evidence.db", folder / "decisions.db", BOOK, now, NoProgress(), chosen)


def decide(folder: Path) -> None:
    """A person's first word, which makes the ledger; as they do who see that it failed, only where it is not kept yet."""
    db, ledger = folder / "evidence.db", folder / "decisions.db"
    if not (ledger.exists() and read_existing_ledger(ledger)):
        add_decisions(db, ledger, BOOK, now, WORK, "exclude", [], [], "Not it", "A. Reader")
    rejudge_database(db, ledger, BOOK, now)


def back_up(folder: Path) -> None:
    """Copy both databases over an earlier copy."""
    backup.backup(folder / "evidence.db", folder / "decisions.db", folder / "copy.db")


JOBS: dict[str, Callable[[Path], None]] = {
    "create": create,
    "sync": sync,
    "backfill": backfill,
    "enrich": enrich,
    "decide": decide,
    "backup": back_up,
}
BEFORE: dict[str, tuple[Callable[[Path], None], ...]] = {
    "enrich": (sync,),
    "decide": (sync,),
    "backup": (sync, back_up, decide),
}
"""What is done in the folder, undisturbed, before the job."""


def everything(folder: Path) -> dict[str, Any]:
    """The rows of both databases; None where there is no ledger."""
    rows = contents(folder)
    ledger = sqlite3.connect(folder / "decisions.db")
    rows["words"] = ledger.execute("select doi, verdict, reason, reviewer from decisions").fetchall()
    ledger.close()
    for name in COPIES:
        if (folder / name).exists():
            rows[name] = dumped(folder / name)
    return rows


def dumped(path: Path) -> list[str]:
    """A whole database as SQL, but for when it was made; an error where it is not whole."""
    with closing(sqlite3.connect(path)) as conn:
        assert conn.execute("pragma integrity_check").fetchone() == ("ok",)
        return [line for line in conn.iterdump() if "_sqlite_migrations" not in line]


class Killer:
    """Does one job in fresh folders, killed at one call after the other."""

    def __init__(self, shim: str, folder: Path, job: str) -> None:
        self._shim = ctypes.CDLL(shim)
        self._folder, self._job = folder, JOBS[job]
        self._before = BEFORE.get(job, ())
        self._whole: dict[str, list[list[str]]] = {}
        lines = [json.dumps(work) for work in (*WORKS, *MORE)]
        (folder / "works.jsonl").write_text("\n".join(lines))
        (folder / "public").mkdir()
        for part in range(3):
            (folder / "public" / f"{part}.jsonl").write_text("\n".join(lines[part::3]))
        articles = (
            pubmed(str(work["DOI"]), work["title"][0], str(n))
            for n, work in enumerate((*WORKS, *MORE), start=1)
            if n % 3
        )
        (folder / "pubmed.xml").write_text(f"<PubmedArticleSet>{''.join(articles)}</PubmedArticleSet>")
        self._start = folder / "start"
        self._start.mkdir()
        for step in self._before:
            step(self._start)
        if self._job is decide:
            (self._start / "decisions.db").unlink()

    def fresh(self, name: str) -> Path:
        """A folder as it is before the job: a copy, for every database in it is closed."""
        return Path(shutil.copytree(self._start, self._folder / name))

    def clean(self) -> tuple[int, dict[str, Any]]:
        """How many calls the job makes, and what it leaves."""
        folder = self.fresh("clean")
        for name in COPIES if self._job is back_up else ():
            self._whole[name] = [dumped(folder / name)]
        self._shim.kill_arm(str(folder).encode(), ctypes.c_long(0), 0)
        self._job(folder)
        calls = int(self._shim.kill_counted())
        self._shim.kill_arm(b"", ctypes.c_long(0), 0)
        for name, whole in self._whole.items():
            whole.append(dumped(folder / name))
        return calls, everything(folder)

    def killed(self, number: int, torn: bool) -> dict[str, Any] | str:
        """What stands after a kill at this call and the job done again; else what went wrong."""
        folder = self.fresh(f"{number}-{int(torn)}")
        child = os.fork()
        if child == 0:
            self._shim.kill_arm(str(folder).encode(), ctypes.c_long(number), int(torn))
            self._job(folder)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL):
            return "was not killed"
        if self._job is back_up and (wrong := [n for n in COPIES if dumped(folder / n) not in self._whole[n]]):
            return f"{wrong[0]} is neither the copy before nor the copy after"
        try:
            self._job(folder)
        except (EvidenceError, sqlite3.Error) as error:
            return f"{type(error).__name__}: {error}"
        return everything(folder)


def main(arguments: Sequence[str] | None = None) -> None:
    """Kill at every call, or at `--points` of them, and print what differs."""
    parser = argparse.ArgumentParser(description="kill -9 at an exact write")
    parser.add_argument("shim")
    parser.add_argument("folder", type=Path)
    parser.add_argument("job", choices=JOBS)
    parser.add_argument("--torn", action="store_true", help="half of the write is made")
    parser.add_argument("--points", type=int, help="so many, drawn at random")
    chosen = parser.parse_args(arguments)
    if os.environ.get("LD_PRELOAD") != chosen.shim:
        os.environ["LD_PRELOAD"] = chosen.shim
        os.execv(sys.executable, [sys.executable, "-m", "tests.killing", *(arguments or sys.argv[1:])])
    chosen.folder.mkdir(parents=True, exist_ok=True)
    killer = Killer(chosen.shim, chosen.folder.resolve(), chosen.job)
    calls, clean = killer.clean()
    numbers = list(range(1, calls + 1))
    if chosen.points is not None and chosen.points < calls:
        numbers = sorted(random.Random(7).sample(numbers, chosen.points))
    wrong = {}
    for number in numbers:
        found = killer.killed(number, chosen.torn)
        if isinstance(found, str):
            wrong[number] = found
        elif found != clean:
            wrong[number] = ", ".join(sorted(name for name in clean if found[name] != clean[name])) + " differ"
    sys.stdout.write(json.dumps({"calls": calls, "killed": len(numbers), "wrong": wrong}) + "\n")


if __name__ == "__main__":
    main()
