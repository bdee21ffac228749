"""What every command does alike: `-` for stdin and stdout, -o on reports, -q and -v after the command; completion; free ports."""

from __future__ import annotations

import gzip
import io
import json
import logging
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from evidence import cli, shell_completion
from evidence.export import columns, file_formats, tool_presets
from evidence.harvest import sources
from evidence.publish import serve
from tests import site_sample
from tests.builders import SMALL_YAML, WORKS
from tests.command_line import Run, runner

REPORTS = (
    "report prisma", "report prisma-s", "report changes", "report claims", "status", "snowball", "decisions conflicts",
    "decisions agreement", "explain 10.1002/cpp.1774", "completion bash",
)  # fmt: skip


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return site_sample.make_sample(tmp_path_factory.mktemp("sample") / "evidence.db")


@pytest.fixture
def run(sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Commands in an empty folder, on a copy of the sample."""
    shutil.copy(sample, tmp_path / "evidence.db")
    (tmp_path / "sources.yaml").write_text(SMALL_YAML)
    return runner(tmp_path, monkeypatch, capsys)


@pytest.mark.slow
@pytest.mark.parametrize("report", REPORTS)
def test_every_report_can_be_written_to_a_file(run: Run, report: str) -> None:
    run("decide", "10.1002/cpp.1774", "exclude", "--because", "a test", "--by", "A. Reader")
    printed = run(*report.split())
    assert printed.code == 0, printed.err
    assert run(*report.split(), "-o", "-").out == printed.out
    written = run(*report.split(), "-o", "report.txt")
    assert (written.code, written.out) == (0, "")
    assert Path("report.txt").read_text(encoding="utf-8") == printed.out


def test_every_command_that_prints_a_report_has_an_output(run: Run) -> None:
    """Those without are named: they write to a folder or a database, or serve."""
    without = set()

    def look(command: click.Command, path: str) -> None:
        if isinstance(command, click.Group):
            for name, inner in command.commands.items():
                look(inner, f"{path} {name}".strip())
        elif not any("--output" in option.opts for option in command.params):
            without.add(path)

    look(cli.cli, "")
    assert without == {
        "init", "check", "sync", "demo", "judge", "enrich", "import", "decide", "decisions import", "serve", "publish",
        "backup", "backfill", "rewind",
    }  # fmt: skip


def test_quiet_and_verbose_are_taken_after_the_command_too(run: Run) -> None:
    before = logging.getLogger().level
    loud = run("export", "-o", "a.csv").err
    assert "written to a.csv" in loud
    for arguments in (
        ("-q", "export", "-o", "b.csv"),
        ("export", "-o", "b.csv", "-q"),
        ("export", "--quiet", "-o", "b.csv"),
    ):
        assert run(*arguments).err == ""
    assert run("report", "-q", "prisma").code == run("report", "prisma", "-v").code == 0
    assert logging.getLogger().level == before, "a command's level outlives it"
    assert Path("a.csv").read_bytes() == Path("b.csv").read_bytes()


def test_a_level_after_the_command_is_the_level_of_the_log(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def noticed(found: object) -> str:
        seen.append(logging.getLogger().level)
        return "x"

    monkeypatch.setattr("evidence.export.prisma_report.flow_report", noticed)
    run("report", "prisma", "-v")
    run("report", "prisma", "-q")
    assert seen == [logging.INFO, logging.ERROR]


class Stdin:
    """stdin with these bytes."""

    def __init__(self, data: bytes) -> None:
        self.buffer = io.BytesIO(data)


LINES = "".join(json.dumps(work) + "\n" for work in WORKS).encode()


@pytest.mark.slow
@pytest.mark.parametrize(
    "data", [LINES, gzip.compress(LINES), b"\xef\xbb\xbf" + LINES], ids=["plain", "gzipped", "with a mark"]
)
def test_records_come_from_stdin(run: Run, monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    Path("evidence.db").unlink()
    Path("records.jsonl").write_bytes(LINES)
    assert run("--db", "other.db", "sync", "--from", "records.jsonl", "--all").code == 0
    monkeypatch.setattr(sys, "stdin", Stdin(data))
    said = run("sync", "--from", "-", "--all")
    assert said.code == 0, said.err
    assert run("export", "--verdict", "all", "--columns", "doi,title,verdict").out == (
        run("--db", "other.db", "export", "--verdict", "all", "--columns", "doi,title,verdict").out
    )


def test_decisions_go_through_a_pipe(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("decide", "10.1002/cpp.1774", "exclude", "--because", "a test", "--by", "A. Reader")
    exported = run("decisions", "export", "-o", "-").out
    Path("decisions.db").unlink()
    monkeypatch.setattr(sys, "stdin", Stdin(exported.encode()))
    assert "1 decision added" in run("decisions", "import", "-").out
    assert run("decisions", "export").out == exported
    monkeypatch.setattr(sys, "stdin", Stdin(b"nonsense\n"))
    said = run("decisions", "import", "-")
    assert said.code == 2 and "stdin.csv:1: the format is not known" in said.err


# ---------------------------------------------------------------- completion


def completed(db: Path, words: list[str], shell: str = "bash") -> list[str]:
    """What the program answers a completion script."""
    environment = {
        **os.environ, "EVIDENCE_DB": str(db), "PYTHONPATH": str(Path(__file__).parents[1]),
        shell_completion.VARIABLE: f"{shell}_complete",
        "COMP_WORDS": "\n".join(words), "COMP_CWORD": str(len(words) - 1) if shell != "fish" else words[-1],
    }  # fmt: skip
    command = [sys.executable, "-c", "import sys; sys.argv[0] = 'evidence'; from evidence.cli import main; main()"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stderr == "", done.stderr
    return done.stdout.split("\n")[:-1] if done.stdout.strip() else []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["evidence", "export", "--ta"], ["plain,--tag"]),
        (["evidence", "export", "--for", "ra"], ["plain,rayyan"]),
        (["evidence", "export", "--tag", "desi"], ["plain,design:rct"]),
        (["evidence", "export", "--tag", "design", ":", "rc"], ["plain,rct"]),
        (["evidence", "export", "--tag", "design", ":", ""], ["plain,rct"]),
        (["evidence", "export", "--tag", "design", ":", "rct,clus"], ["plain,rct,cluster-rct"]),
        (["evidence", "export", "--tag", "variant", ":", "ipt", "--tag", "design", ":", "rc"], ["plain,rct"]),
        (["evidence", "decide", "10.1/x", "--untag", "nothing", ":", "x"], []),
    ],
)
def test_commands_and_tags_are_completed(sample: Path, words: list[str], wanted: list[str]) -> None:
    answered = completed(sample, words)
    assert set(wanted) <= set(answered)
    if wanted == []:
        assert answered == []


@pytest.mark.slow
def test_zsh_and_fish_get_the_label_of_a_tag(sample: Path) -> None:
    assert "design\\:rct" in completed(sample, ["evidence", "export", "--tag", "design:rct"], "zsh")
    assert any(
        line.startswith("plain,design:rct\t")
        for line in completed(sample, ["evidence", "export", "--tag", "design:rct"], "fish")
    )


@pytest.mark.slow
def test_a_topic_without_a_database_completes_its_tags(tmp_path: Path) -> None:
    assert "plain,rct" in completed(tmp_path / "none.db", ["evidence", "export", "--tag", "design", ":", "rc"])
    broken = tmp_path / "broken.db"
    broken.write_text("no database")
    assert completed(broken, ["evidence", "export", "--tag", "design", ":", "rc"]) == []


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_bash_itself_completes_a_tag(sample: Path, tmp_path: Path) -> None:
    program = tmp_path / "evidence"
    root = Path(__file__).parents[1]
    program.write_text(f'#!/bin/sh\nPYTHONPATH={root} exec {sys.executable} -c "import sys; sys.argv[0] = \'evidence\'; '
                       'from evidence.cli import main; main()" "$@"\n')  # fmt: skip
    program.chmod(0o755)
    typed = 'COMP_WORDS=(evidence export --tag design : rc); COMP_CWORD=5; _evidence_completion evidence; echo "${COMPREPLY[@]}"'
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "EVIDENCE_DB": str(sample)}
    script = f'eval "$(evidence completion bash)"; {typed}'
    done = subprocess.run(
        ["bash", "--norc", "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["rct"], done.stderr


def test_the_names_on_the_command_line_are_those_of_what_they_name() -> None:
    """They are written twice, because the help needs them before anything else is imported."""
    assert set(cli.TOOLS) == set(tool_presets.PRESETS)
    assert cli.METHODS == sources.METHODS
    assert tuple(file_formats.FORMATS) == cli.EXPORT_FORMATS
    assert cli.SHAPES == columns.SHAPES
    assert cli.VARIABLE == shell_completion.VARIABLE
    (shell,) = (each for each in cli.completion_.params if each.name == "shell")
    assert isinstance(shell.type, click.Choice) and set(shell.type.choices) == set(shell_completion.COMPLETIONS)


# ---------------------------------------------------------------- ports


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which another program listens."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


@pytest.mark.slow
def test_a_site_takes_a_free_port_and_says_so(run: Run, taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[int] = []

    def served(db: Path, host: str, port: int, **_: Any) -> int:
        used.append(port)
        return 0

    monkeypatch.setattr(serve, "run", served)
    said = run("serve", "--port", str(taken))
    assert said.code == 0 and used[0] != taken
    assert f"Port {taken} is taken by another program; the site is at http://127.0.0.1:{used[0]}/" in said.err
    said = run("demo", "--port", str(taken), "--no-open")
    assert said.code == 0, said.err
    assert f"The site is at http://127.0.0.1:{used[1]}/" in said.out and used[1] != taken
    assert run("serve", "--port", str(used[0])).err == ""


@pytest.mark.parametrize("hosted", [["--public"], ["--accounts", "people.yaml"]])
def test_a_hosted_site_keeps_its_port(run: Run, taken: int, hosted: list[str]) -> None:
    """A proxy in front asks for that port."""
    Path("people.yaml").write_text("A. Reader: 'pbkdf2_sha256$260000$x$y'\n")
    said = run("serve", "--port", str(taken), *hosted)
    assert said.code != 0 and "taken by another" not in said.out


def test_when_all_near_ports_are_taken_any_free_one_is(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "_PORTS_TRIED", 0)
    port = serve.free_port("127.0.0.1", taken)
    assert port not in (0, taken)
    assert serve.free_port("127.0.0.1", port) == port
