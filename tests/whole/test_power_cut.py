"""A power cut at any moment of a command, and a full disk: the databases open, what was confirmed is kept, the next run ends as
an undisturbed one does, and nothing half written has a final name."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from evidence.database.read_decisions import read_ledger
from tests import killing
from tests.builders import MARKOWITZ, SMALL_YAML, WORKS, message
from tests.killing import MORE, dumped, everything
from tests.lost_writes import LOSSES, Disk, notes, run
from tests.year import command

SOURCE = Path(__file__).parents[1] / "record_writes.c"
EVERYWHERE = bool(os.environ.get("EVIDENCE_CUT_EVERYWHERE"))
"""Cut the power after every note, not after a sample of them: some minutes more."""
POINTS = 6
WORK = str(MARKOWITZ["DOI"])
SYNC = ("sync", "--from", "works.jsonl")
DECIDE = ("decide", WORK, "exclude", "--because", "Not it", "--by", "A. Reader")
TAG = ("decide", WORK, "--tag", "outcome:cost", "--because", "It says so", "--by", "A. Reader")
EXPORT = ("export", "-o", "out.ris", "--format", "ris", "--verdict", "include", "--verdict", "exclude")
OTHERS = tuple(message(f"10.5555/other.{n}", f"Interpersonal psychotherapy for others, {n}", 2010) for n in range(5))


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> str:
    return killing.built(SOURCE, tmp_path_factory.mktemp("shim"))


def made(folder: Path, *before: tuple[str, ...]) -> Path:
    """A folder with sources.yaml and records, in which these commands were run."""
    folder.mkdir()
    (folder / "sources.yaml").write_text(SMALL_YAML, encoding="utf-8")
    (folder / "works.jsonl").write_text("\n".join(json.dumps(work) for work in (*WORKS, *MORE)), encoding="utf-8")
    for words in before:
        here(folder, *words)
    return folder


def here(folder: Path, *words: str) -> str:
    """Run a command in this process."""
    paths = {"works.jsonl", "others.jsonl", "out.ris", "site", "capsule", "copy.db"}
    sources = ("--sources", str(folder / "sources.yaml")) if words[0] in ("sync", "capsule", "publish") else ()
    return command(
        folder / "evidence.db",
        *sources,
        words[0],
        *(str(folder / word) if word in paths else word for word in words[1:]),
    )


def others(folder: Path) -> None:
    """The records that a second sync finds."""
    (folder / "others.jsonl").write_text("\n".join(json.dumps(work) for work in OTHERS), encoding="utf-8")


def whole(path: Path) -> None:
    """The database, where there is one, is not damaged."""
    if path.exists():
        with closing(sqlite3.connect(path)) as conn:
            assert conn.execute("pragma integrity_check").fetchall() == [("ok",)], path.name


@dataclass
class Job:
    """A command, what was done before it, what repeats it after a cut, and what holds of the folder that is left and of the same
    folder after the repetition. Both look at the folder of an undisturbed run too, and at what was printed before the cut."""

    words: tuple[str, ...]
    before: tuple[tuple[str, ...], ...]
    left: Callable[[Path, Path, str], None]
    repeated: Callable[[Path, Path], None] | None = None
    prepare: Callable[[Path], None] = lambda folder: None
    watched: bool = False
    """The site reads meanwhile, which keeps the log from being written back."""


def sync_left(left: Path, clean: Path, said: str) -> None:
    if "works in the database" in said:
        assert everything(left) == everything(clean), "the summary was printed, and the run was lost"


def synced_again(words: tuple[str, ...]) -> Callable[[Path, Path], None]:
    def again(left: Path, clean: Path) -> None:
        here(left, *words)
        assert everything(left) == everything(clean)

    return again


def held(folder: Path) -> list[tuple[str, Any, Any]]:
    ledger = folder / "decisions.db"
    words = read_ledger(ledger) if ledger.exists() else ()
    return [(word.doi, word.verdict or word.value, word.reason) for word in words]


def decide_left(left: Path, clean: Path, said: str) -> None:
    now, then = held(left), held(clean)
    assert now in (then, then[:-1]), "a decision was lost"
    assert now == then or "stored in" not in said, "the decision was confirmed, and was lost"


def without_moments(folder: Path) -> dict[str, Any]:
    """Everything but when it was decided, which the basis of a judgement depends on too."""
    found = everything(folder)
    del found["decisions"]
    with closing(sqlite3.connect(folder / "evidence.db")) as conn:
        sql = "select doi, title, abstract, verdict, decided, why, same_as, conflict, notice, gone from works order by doi"
        found["works"] = conn.execute(sql).fetchall()
    return found


def decided_again(words: tuple[str, ...]) -> Callable[[Path, Path], None]:
    def again(left: Path, clean: Path) -> None:
        if len(held(left)) < len(held(clean)):
            here(left, *words)
        else:
            here(left, "judge")
        assert without_moments(left) == without_moments(clean)

    return again


def export_left(left: Path, clean: Path, said: str) -> None:
    old = b"an earlier export\n"
    assert (left / "out.ris").read_bytes() in (old, (clean / "out.ris").read_bytes())


def earlier_export(folder: Path) -> None:
    (folder / "out.ris").write_bytes(b"an earlier export\n")


def tree(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def publish_left(left: Path, clean: Path, said: str) -> None:
    """Visitors see the version before, or the new one, whole; the new one once it was said to be there."""
    versions = {path.name: tree(path) for path in (clean / "site" / "versions").iterdir()}
    shown = (left / "site" / "current").resolve()
    assert tree(shown) == versions[shown.name], {
        name for name, digest in versions[shown.name].items() if tree(shown).get(name) != digest
    }
    if "published in" in said:
        assert shown.name == (clean / "site" / "current").resolve().name


def capsule_left(left: Path, clean: Path, said: str) -> None:
    assert not (left / "capsule").exists() or tree(left / "capsule") == tree(clean / "capsule")
    assert (left / "capsule").exists() or "replay" not in said, "the capsule was confirmed, and was lost"


def backup_left(left: Path, clean: Path, said: str) -> None:
    for name in ("copy.db", "copy-decisions.db"):
        assert dumped(left / name) in (dumped(clean / name), dumped(clean / f"before-{name}"))
        assert "Wrote" not in said or dumped(left / name) == dumped(clean / name)


def keep_the_copies(folder: Path) -> None:
    for name in ("copy.db", "copy-decisions.db"):
        shutil.copyfile(folder / name, folder / f"before-{name}")


AGAIN = ("sync", "--from", "others.jsonl")
JOBS: dict[str, Job] = {
    "first sync": Job(SYNC, (), sync_left, synced_again(SYNC)),
    "sync": Job(AGAIN, (SYNC,), sync_left, synced_again(AGAIN), others),
    "sync under the site": Job(AGAIN, (SYNC,), sync_left, synced_again(AGAIN), others, watched=True),
    "first decision": Job(DECIDE, (SYNC,), decide_left, decided_again(DECIDE)),
    "decision": Job(TAG, (SYNC, DECIDE), decide_left, decided_again(TAG)),
    "export": Job(EXPORT, (SYNC,), export_left, None, earlier_export),
    "publish": Job(("publish", "site"), (SYNC, ("publish", "site"), DECIDE), publish_left),
    "capsule": Job(("capsule", "capsule"), (SYNC, DECIDE), capsule_left),
    "backup": Job(("backup", "copy.db"), (SYNC, DECIDE, ("backup", "copy.db"), TAG), backup_left, None, keep_the_copies),
}  # fmt: skip
QUICK = ("first decision", "decision", "export")


READ = """
import sqlite3, sys
conn = sqlite3.connect(sys.argv[1])
conn.execute("begin")
print(conn.execute("select count(*) from works").fetchone(), flush=True)
sys.stdin.read()
"""


@contextmanager
def reader(db: Path) -> Iterator[None]:
    """Another program reads the database. Not this one: whoever opens and closes a file takes its locks away from SQLite."""
    line = [sys.executable, "-c", READ, str(db)]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as reading:
        assert reading.stdin and reading.stdout and reading.stdout.readline()
        yield
        reading.stdin.close()


def cut_everywhere(shim: str, folder: Path, name: str, points: int) -> int:
    """Run the command of a job, and look at what cuts leave; how many were looked at."""
    job, dice = JOBS[name], random.Random(7)
    clean = made(folder / "clean", *job.before)
    job.prepare(clean)
    if name == "first decision":
        (clean / "decisions.db").unlink()
    log = folder / "log"
    with reader(clean / "evidence.db") if job.watched else nullcontext():
        disk = Disk(clean)
        done = run(shim, clean, job.words, log=log)
    assert done.returncode == 0, done.stderr
    noted = list(notes(log))
    at = [n for n, (kind, _, _) in enumerate(noted, 1) if kind != "write"]
    assert len(at) > 5
    chosen = at if EVERYWHERE else sorted({*dice.sample(at, min(points, len(at))), len(noted)})
    for number, note in enumerate(noted, 1):
        disk.play(*note)
        for loss in LOSSES if number in chosen else ():
            left = disk.leave(folder / f"{number}-{loss}", loss, dice)
            for file in ("evidence.db", "decisions.db"):
                whole(left / file)
            job.left(left, clean, disk.said)
            if job.repeated:
                job.repeated(left, clean)
            shutil.rmtree(left)
    return len(chosen) * len(LOSSES)


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
def test_a_power_cut(shim: str, tmp_path: Path, name: str) -> None:
    assert cut_everywhere(shim, tmp_path, name, 3) >= 9


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", JOBS)
def test_power_cuts(shim: str, tmp_path: Path, name: str) -> None:
    assert cut_everywhere(shim, tmp_path, name, POINTS) > POINTS


# ---------------------------------------------------------------------- a full disk


ROOMS = (0, 1, 5_000, 40_000, 130_000, 250_000, 600_000)
"""Bytes that there is room for; the last is enough for most commands."""
REMEDY = ("make room", "free disk space", "has room", "nothing was changed", "may be written to")


def filled_up(shim: str, folder: Path, name: str, rooms: tuple[int, ...]) -> int:
    """Run the command of a job on a disk that fills up, look at what it left, and run it again where there is room; how often it
    could not end."""
    job, failed = JOBS[name], 0
    start = made(folder / "start", *job.before)
    job.prepare(start)
    if name == "first decision":
        (start / "decisions.db").unlink()
    clean = Path(shutil.copytree(start, folder / "clean", symlinks=True))
    here(clean, *job.words)
    for room in rooms:
        left = Path(shutil.copytree(start, folder / f"{room}", symlinks=True))
        names = {path.name for path in start.iterdir()}
        done = run(shim, left, job.words, room=room)
        for file in ("evidence.db", "decisions.db"):
            whole(left / file)
        if done.returncode:
            failed += 1
            assert done.returncode in (1, 2), done
            (said,) = done.stderr.splitlines()
            assert any(remedy in said.lower() for remedy in REMEDY), said
            assert "Traceback" not in said and "None" not in said
            new = {path.name for path in left.iterdir()} - names
            assert all(name.startswith(("evidence.db", "decisions.db")) for name in new), (
                "something half written is there"
            )
            if name != "capsule":
                job.left(left, clean, "")
        elif name.endswith("decision"):
            assert held(left) == held(clean), "the decision was confirmed, and is not kept"
        if job.repeated:
            job.repeated(left, clean)
        shutil.rmtree(left)
    return failed


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
def test_a_full_disk(shim: str, tmp_path: Path, name: str) -> None:
    assert filled_up(shim, tmp_path, name, (40_000, 130_000)) >= 1


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", [name for name, job in JOBS.items() if not job.watched])
def test_full_disks(shim: str, tmp_path: Path, name: str) -> None:
    rooms = (0, 5_000, 500_000, 3_000_000, 5_000_000) if name == "publish" else ROOMS
    assert filled_up(shim, tmp_path, name, rooms) >= 3
