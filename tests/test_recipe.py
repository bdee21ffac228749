"""The recipe for GitHub Actions in the docs, run step by step: a bare repository is the remote, a loopback Crossref answers.

What runs is what the page says: its YAML is parsed and its shell steps are carried out. Whatever fails, nothing that was
harvested or decided is lost.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.builders import FONAGY, SMALL_YAML, STANGIER, WORKS
from tests.loopback import Fault, LoopbackCrossref

ROOT = Path(__file__).parents[1]
FIRST_WORD = f"{STANGIER['DOI']},verdict,exclude,,,a comparator only,A. Reader,2026-11-20T12:00:00Z"
SECOND_WORD = f"{FONAGY['DOI']},verdict,exclude,,,another therapy,A. Reader,2026-11-21T12:00:00Z"
WORD = "doi,action,verdict,facet,value,reason,reviewer,made_at"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),  # each run is six commands, each a process of its own
    pytest.mark.skipif(not shutil.which("git"), reason="git is not here, and the recipe is made of it"),
    pytest.mark.skipif(not shutil.which("bash"), reason="bash is not here, and runs the recipe's steps"),
]


def recipe() -> dict[str, Any]:
    """The job as the docs have it."""
    page = (ROOT / "docs" / "schedule.md").read_text(encoding="utf-8")
    (block,) = [
        part.partition("```")[0] for part in page.split("```yaml\n")[1:] if "runs-on:" in part.partition("```")[0]
    ]
    job: dict[str, Any] = yaml.safe_load(block)["jobs"]["publish"]
    return job


class Machine:
    """A runner: fresh for each run, with our own `evidence`, and programs that do nothing where the recipe would install."""

    def __init__(self, folder: Path, remote: Path, crossref: str) -> None:
        self.folder, self.remote, self.crossref = folder, remote, crossref
        self.programs = folder / "programs"
        self.programs.mkdir(parents=True)
        self.program("pip", "exit 0")
        self.program("flyctl", "exit 0")
        self.program("python", f'exec {shlex.quote(sys.executable)} "$@"')
        self.program("evidence", 'exec python -m evidence "$@"')
        self.runs = 0

    def program(self, name: str, text: str) -> None:
        path = self.programs / name
        path.write_text(f"#!/bin/bash\n{text}\n", encoding="utf-8")
        path.chmod(0o755)

    def sh(self, line: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        said = {
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "HOME": str(self.folder),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "EVIDENCE_CROSSREF_URL": self.crossref,
            "EVIDENCE_ENRICH": "no",
        }
        return subprocess.run(
            ["bash", "-e", "-c", line], cwd=cwd, env=said | environment, capture_output=True, text=True, check=False
        )

    def checkout(self) -> Path:
        self.runs += 1
        place = self.folder / f"run-{self.runs}"
        done = self.sh(f"git clone --quiet --depth 1 --branch main file://{self.remote} {place}", self.folder)
        assert done.returncode == 0, done.stderr
        return place

    def run(
        self, *, without: tuple[str, ...] = ("Publish",), before: Mapping[str, Callable[[Path], object]] | None = None
    ) -> tuple[str | None, str]:
        """The name of the step that failed (None: none), and everything that was said. `before`: what happens just then."""
        job, place = recipe(), self.checkout()
        outputs, said, failed = self.folder / f"outputs-{self.runs}", "", None
        outputs.touch()
        for step in job["steps"]:
            if "run" not in step or step["name"] in without:
                continue
            told = dict(line.split("=", 1) for line in outputs.read_text().splitlines())
            if failed or ("if" in step and not wanted(step["if"], told)):
                continue
            if before and step["name"] in before:
                before[step["name"]](place)
            environment = {k: str(v) for k, v in {**job["env"], **step.get("env", {})}.items() if "${{" not in str(v)}
            done = self.sh(step["run"], place, GITHUB_OUTPUT=str(outputs), **environment)
            said += f"== {step['name']}\n{done.stdout}{done.stderr}"
            failed = step["name"] if done.returncode else None
        return failed, said

    def git(self, line: str) -> str:
        done = self.sh(f"git -C {self.remote} {line}", self.folder)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def kept(self, name: str = "evidence.db", at: str = "data") -> Path:
        """A file of the branch, as it stands in the remote."""
        path = self.folder / f"{at.replace('~', '-')}-{name}"
        done = self.sh(f"git -C {self.remote} show {at}:{name} > {path}", self.folder)
        assert done.returncode == 0, done.stderr
        return path

    def ask(self, sql: str, name: str = "evidence.db", at: str = "data") -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.kept(name, at))) as conn:
            return conn.execute(sql).fetchall()

    def commit(self, name: str, text: str) -> None:
        """Somebody pushes a file to the main branch."""
        place = self.checkout()
        (place / name).write_text(text, encoding="utf-8")
        line = (
            f"git add {name} && git -c user.name=a -c user.email=a@example.org commit -qm x && git push -q origin main"
        )
        done = self.sh(line, place)
        assert done.returncode == 0, done.stderr


def wanted(condition: str, outputs: dict[str, str]) -> bool:
    """The one kind of condition that the recipe has."""
    name, sign, value = condition.split()
    assert name.startswith("steps.sync.outputs.") and sign == "!="
    return outputs.get(name.rpartition(".")[2]) != value.strip("'")


@pytest.fixture(scope="module")
def crossref() -> Iterator[LoopbackCrossref]:
    with LoopbackCrossref() as server:
        yield server


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory, crossref: LoopbackCrossref) -> Path:
    """A remote after the first run of all, when the branch is really absent; the ledger as text has a word already."""
    folder = tmp_path_factory.mktemp("begun")
    crossref.works = {str(work["DOI"]): dict(work) for work in WORKS}
    machine = empty(folder, crossref)
    machine.commit("decisions.csv", f"{WORD}\n{FIRST_WORD}\n")
    failed, said = machine.run(without=())
    assert failed is None, said
    assert len(machine.git("log --format=%h data").split()) == 1
    assert sorted(machine.git("ls-tree --name-only data").split()) == ["decisions.csv", "decisions.db", "evidence.db"]
    assert (folder / f"run-{machine.runs}" / "site" / "current" / "start").is_file()
    assert words(machine) == [(STANGIER["DOI"], "exclude", "A. Reader")]
    return machine.remote


def empty(folder: Path, crossref: LoopbackCrossref) -> Machine:
    """A machine whose remote has sources.yaml and no branch `data`."""
    remote, first = folder / "remote.git", folder / "first"
    first.mkdir()
    (first / "sources.yaml").write_text(SMALL_YAML, encoding="utf-8")
    machine = Machine(folder, remote, crossref.url)
    line = (
        f"git init -q --bare {remote} && git -C {remote} symbolic-ref HEAD refs/heads/main && cd {first} && git init -q"
        " && git checkout -q -b main && git add . && git -c user.name=a -c user.email=a@example.org commit -qm first"
        f" && git push -q {remote} main"
    )
    done = machine.sh(line, folder)
    assert done.returncode == 0, done.stderr
    return machine


@pytest.fixture
def machine(tmp_path: Path, begun: Path, crossref: LoopbackCrossref) -> Machine:
    """A machine with a remote of its own, that is as `begun` left it."""
    crossref.works = {str(work["DOI"]): dict(work) for work in WORKS}
    crossref.forget()
    shutil.copytree(begun, tmp_path / "remote.git")
    return Machine(tmp_path, tmp_path / "remote.git", crossref.url)


QUICK = ("Publish", "Read the decisions", "Sync")
"""Steps that are left out where what follows them is what is looked at."""


def words(machine: Machine) -> list[tuple[Any, ...]]:
    return machine.ask("select doi, verdict, reviewer from decisions", "decisions.db")


def assert_untouched(machine: Machine, tip: str) -> None:
    """The branch is as it was."""
    assert machine.git("rev-parse data") == tip
    assert machine.ask("pragma integrity_check") == [("ok",)]


def assert_goes_on(machine: Machine, tip: str) -> None:
    """The branch is as it was, and the next run goes on from there."""
    assert_untouched(machine, tip)
    failed, said = machine.run()
    assert failed is None, said
    assert machine.git("rev-parse data~1") == tip
    assert words(machine) == [(STANGIER["DOI"], "exclude", "A. Reader")]
    assert machine.ask("select count(*) from runs where outcome = 'complete' and door = 'crossref'") == [(2,)]


def test_week_after_week_nothing_is_lost_and_nothing_is_called_changed(machine: Machine) -> None:
    first = machine.ask("select doi, first_run from works order by doi")
    machine.commit("decisions.csv", f"{WORD}\n{FIRST_WORD}\n{SECOND_WORD}\n")
    for week in (1, 2):
        if week == 2:
            machine.commit("decisions.csv", f"{WORD}\n")  # a word that has left the text stays in the ledger
        failed, said = machine.run()
        assert failed is None, said
        assert "Nothing new" in said
        ((run,),) = machine.ask("select max(run) from runs where door = 'crossref'")
        assert machine.ask(f"select doi from works where changed_run = {run} or first_run = {run}") == []
    assert machine.ask("select doi, first_run from works order by doi") == first
    assert sorted(words(machine)) == [(work["DOI"], "exclude", "A. Reader") for work in (STANGIER, FONAGY)]
    decided = machine.ask("select doi, verdict from works where decided = 'person' order by doi")
    assert decided == [(work["DOI"], "exclude") for work in (STANGIER, FONAGY)]
    assert str(FONAGY["DOI"]) in machine.kept("decisions.csv").read_text()
    assert len(machine.git("log --format=%h data").split()) == 3
    assert machine.ask("select count(*) from decisions", "decisions.db", "data~2") == [(1,)]


def test_the_remote_cannot_be_reached(machine: Machine) -> None:
    tip = machine.git("rev-parse data")
    away = {"Fetch the databases": lambda place: machine.sh("git remote set-url origin file:///nowhere/at.git", place)}
    failed, said = machine.run(before=away)
    assert (failed, "== Sync" in said) == ("Fetch the databases", False)
    assert_goes_on(machine, tip)


@pytest.mark.parametrize("verb", ["fetch", "ls-remote", "worktree"])
def test_git_fails_on_the_way(machine: Machine, verb: str) -> None:
    tip = machine.git("rev-parse data")
    real = shutil.which("git")
    machine.program("git", f'[ "$1" != {verb} ] || exit 128\nexec {real} "$@"')
    failed, said = machine.run()
    assert (failed, "== Sync" in said) == ("Fetch the databases", False)
    assert_untouched(machine, tip)


def test_somebody_else_pushes_in_the_meantime(machine: Machine) -> None:
    """Our push is refused; theirs stands."""

    def theirs(place: Path) -> None:
        with closing(sqlite3.connect(place / "kept" / "evidence.db")) as conn:
            conn.execute("pragma user_version = 7")  # what our run has to keep
        line = (
            f"git clone -q --branch data file://{machine.remote} other && cd other && "
            "git -c user.name=b -c user.email=b@example.org commit -q --allow-empty -m theirs && git push -q origin data"
        )
        done = machine.sh(line, machine.folder)
        assert done.returncode == 0, done.stderr

    tip = machine.git("rev-parse data")
    failed, said = machine.run(without=QUICK, before={"Keep the databases": theirs})
    assert failed == "Keep the databases" and "rejected" in said
    assert machine.git("log -1 --format=%s data") == "theirs" and machine.git("rev-parse data~1") == tip


def test_a_source_that_stopped_is_kept_and_told(machine: Machine, crossref: LoopbackCrossref) -> None:
    crossref.script([Fault("403", when=lambda request: request.route == "list") for _ in range(50)])
    tip = machine.git("rev-parse data")
    failed, said = machine.run()
    assert failed == "Report that a source stopped", said
    assert machine.git("rev-parse data~1") == tip
    assert machine.ask("select outcome from runs order by run desc limit 1") == [("partial",)]
    assert len(words(machine)) == 1


def test_the_sync_is_killed_in_the_middle(machine: Machine, crossref: LoopbackCrossref) -> None:
    tip = machine.git("rev-parse data")
    crossref.script([Fault("timeout", when=lambda request: request.route == "list") for _ in range(5)])
    machine.program(
        "evidence",
        '[ "$1" = sync ] || exec python -m evidence "$@"\npython -m evidence "$@" & pid=$!\n'
        "for _ in $(seq 200); do [ -s kept/evidence.db-wal ] && break; sleep 0.1; done\n"
        'sleep 0.2; kill -9 "$pid"; exit 137',
    )
    failed, _ = machine.run()
    assert failed == "Sync"
    assert_untouched(machine, tip)


def test_a_damaged_database_is_not_pushed(machine: Machine) -> None:
    def damage(place: Path) -> None:
        path = place / "kept" / "evidence.db"
        with path.open("r+b") as file:
            file.seek(path.stat().st_size // 2)
            file.write(b"\xff" * 8192)

    tip = machine.git("rev-parse data")
    failed, _ = machine.run(without=QUICK, before={"Check the databases": damage})
    assert failed == "Check the databases"
    assert_untouched(machine, tip)


def test_a_line_without_sense_ends_the_run_before_the_sync(machine: Machine, crossref: LoopbackCrossref) -> None:
    tip = machine.git("rev-parse data")
    machine.commit("decisions.csv", f"{WORD}\n{FIRST_WORD}\n10.1/x,verdict,maybe,,,r,b,2026-11-20T12:00:00Z\n")
    asked = len(crossref.requests)
    failed, said = machine.run()
    assert failed == "Read the decisions" and "decisions.csv:3" in said
    assert len(crossref.requests) == asked
    assert_untouched(machine, tip)


def test_nothing_is_ever_forced() -> None:
    """What the shell steps say, whoever edits them: no forced push, no failure that is passed over."""
    text = json.dumps(recipe())
    assert "--force-with-lease" not in text and "push -f" not in text and "push --force" not in text
    assert "|| true" not in text and "continue-on-error" not in text
