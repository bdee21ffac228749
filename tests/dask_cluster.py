"""A Dask cluster of processes on this machine, and what its workers do in tests: end themselves, or be slow.

The functions are sent to the workers by name. `FOLDER` in the environment is where they and the test leave marks for each other.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from evidence.crossref.public_data_file import Part
from evidence.harvest import scan_cluster
from evidence.harvest.scan_parts import ScannedPart, Wanted

FOLDER = "EVIDENCE_TEST_CLUSTER"
ROOT = Path(__file__).parents[1]
LONGEST = 60.0
"""Seconds after which something that was waited for is missing: the test fails then."""


@dataclass(frozen=True)
class Cluster:
    """`address` is for `--dask`."""

    address: str
    scheduler: subprocess.Popen[bytes]
    workers: tuple[subprocess.Popen[bytes], ...]


@contextmanager
def running(folder: Path, workers: int = 3) -> Iterator[Cluster]:
    """A scheduler and workers with one thread each, which end with the test. `folder` gets their logs and marks."""
    folder.mkdir(exist_ok=True)
    about = folder / "scheduler.json"
    about.unlink(missing_ok=True)
    started: list[subprocess.Popen[bytes]] = []

    def start(module: str, *arguments: str) -> subprocess.Popen[bytes]:
        environment = {**os.environ, FOLDER: str(folder), "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
        command = [sys.executable, "-m", f"distributed.cli.{module}", "--scheduler-file", str(about), "--no-dashboard"]
        with (folder / f"log-{len(started)}.txt").open("wb") as log:
            started.append(
                subprocess.Popen(
                    [*command, *arguments], cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
                )
            )
        return started[-1]

    try:
        scheduler = start("dask_scheduler", "--host", "127.0.0.1", "--port", "0")
        wait_for(about.exists)
        for _ in range(workers):
            start(
                "dask_worker", "--no-nanny", "--nthreads", "1", "--host", "127.0.0.1", "--local-directory", str(folder)
            )
        import distributed

        with distributed.Client(json.loads(about.read_text())["address"], set_as_default=False) as client:
            client.wait_for_workers(workers, timeout=LONGEST)
        (folder / "scheduler.pid").write_text(str(scheduler.pid))
        yield Cluster(str(about), scheduler, tuple(started[1:]))
    finally:
        for process in started:
            process.kill()
        for process in started:
            process.wait()


def wait_for(happened: Callable[[], bool]) -> None:
    """Wait until something has happened; AssertionError when it does not."""
    until = time.monotonic() + LONGEST
    while not happened():
        if time.monotonic() > until:
            raise AssertionError(f"it did not happen in {LONGEST} seconds")
        time.sleep(0.02)


def _folder() -> Path:
    return Path(os.environ[FOLDER])


def killed_once(part: Part, wanted: Wanted, here: Mapping[str, str]) -> ScannedPart:
    """The first worker that has a part ends itself, as `kill -9` does."""
    try:
        (_folder() / "deadly").unlink()
    except FileNotFoundError:
        return scan_cluster.scan_on_worker(part, wanted, here)
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def slow_with_the_first(part: Part, wanted: Wanted, here: Mapping[str, str]) -> ScannedPart:
    """The worker with the first part is back with it after another one has read another part."""
    if part.name == "0.jsonl.gz":
        wait_for((_folder() / "another").exists)
    scanned = scan_cluster.scan_on_worker(part, wanted, here)
    (_folder() / ("first" if part.name == "0.jsonl.gz" else "another")).touch()
    return scanned


def scheduler_killed_at_the_fourth(part: Part, wanted: Wanted, here: Mapping[str, str]) -> ScannedPart:
    """When the first three parts are in the database, the scheduler is ended, as `kill -9` does."""
    if part.name == "3.json":
        wait_for(lambda: _kept(_folder() / "evidence.db") == 3)
        os.kill(int((_folder() / "scheduler.pid").read_text()), signal.SIGKILL)
    return scan_cluster.scan_on_worker(part, wanted, here)


def _kept(db: Path) -> int:
    with closing(sqlite3.connect(db.resolve().as_uri() + "?mode=ro", uri=True)) as conn:
        return int(conn.execute("select count(*) from backfilled_files").fetchone()[0])
