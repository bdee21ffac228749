"""Writing output files: links, pipes, modes, full disks and closed pipes, for every command that writes."""

from __future__ import annotations

import csv
import io
import os
import shlex
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from evidence.database import tag_filter
from evidence.errors import ConfigError
from evidence.export import atomic_output
from tests import site_sample
from tests.command_line import Run, runner

FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
needs_descriptors = pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="this system has no /dev/stdout")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


# ---------------------------------------------------------------------- files


def test_a_symbolic_link_is_kept_and_its_target_replaced(tmp_path: Path) -> None:
    (tmp_path / "2026").mkdir()
    target, link = tmp_path / "2026" / "works.csv", tmp_path / "latest.csv"
    target.write_text("old")
    link.symlink_to(Path("2026") / "works.csv")
    atomic_output.write_whole(link, [b"n", b"ew"])
    assert link.readlink() == Path("2026") / "works.csv"
    assert target.read_text() == "new"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["2026", "latest.csv", "works.csv"]


def test_a_symbolic_link_to_a_missing_file_creates_it(tmp_path: Path) -> None:
    (tmp_path / "latest.csv").symlink_to("works.csv")
    atomic_output.write_whole(tmp_path / "latest.csv", [b"x"])
    assert (tmp_path / "latest.csv").is_symlink() and (tmp_path / "works.csv").read_text() == "x"


def test_circular_links_are_reported(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(ConfigError, match="cannot be written"):
        atomic_output.write_whole(tmp_path / "a", [b"x"])


@pytest.mark.parametrize("kept", [0o600, 0o640, 0o664, 0o755])
def test_a_file_keeps_its_mode(tmp_path: Path, umask: None, kept: int) -> None:
    path = tmp_path / "works.csv"
    path.write_text("old")
    path.chmod(kept)
    atomic_output.write_whole(path, [b"new"])
    assert (path.read_text(), mode(path)) == ("new", kept)


def test_a_new_file_follows_the_umask(tmp_path: Path, umask: None) -> None:
    atomic_output.write_whole(tmp_path / "works.csv", [b"new"])
    assert mode(tmp_path / "works.csv") == 0o640


def test_the_temporary_file_is_never_more_accessible_than_the_file_it_replaces(tmp_path: Path) -> None:
    path = tmp_path / "secret.csv"
    path.write_text("old")
    path.chmod(0o600)
    seen: list[int] = []

    def chunks() -> Iterator[bytes]:
        seen.extend(mode(each) for each in tmp_path.iterdir())
        yield b"new"
        seen.extend(mode(each) for each in tmp_path.iterdir())

    atomic_output.write_whole(path, chunks())
    assert len(seen) == 4 and set(seen) == {0o600}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_a_file_keeps_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "works.csv"
    path.write_text("old")
    os.chown(path, 4321, 1234)
    atomic_output.write_whole(path, [b"new"])
    assert (path.stat().st_uid, path.stat().st_gid, path.read_text()) == (4321, 1234, "new")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
def test_a_file_keeps_its_owner_where_the_owner_cannot_be_set() -> None:
    """A writable file of another user, in a folder of either user, is written in place."""
    for folder_mode in (0o777, 0o755):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            folder.chmod(folder_mode)
            path = folder / "works.csv"
            path.write_text("a longer old text")
            path.chmod(0o666)
            pid = os.fork()
            if pid == 0:
                os.setgid(4322)
                os.setuid(4322)
                code = 1
                try:
                    atomic_output.write_whole(path, [b"new"])
                    code = 0
                finally:
                    os._exit(code)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
            assert (path.read_text(), path.stat().st_uid, mode(path)) == ("new", 0, 0o666)
            assert list(folder.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "works.csv"
    path.write_text("old")

    def broken() -> Iterator[bytes]:
        yield b"half"
        raise ConfigError("cp1252 cannot write it")

    with pytest.raises(ConfigError, match="cp1252"):
        atomic_output.write_whole(path, broken())
    with pytest.raises(ConfigError, match="cp1252"):
        atomic_output.write_whole(tmp_path / "new.csv", broken())
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("works.csv", "old")]


def test_a_folder_and_a_missing_folder_are_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Is a directory"):
        atomic_output.write_whole(tmp_path, [b"x"])
    with pytest.raises(ConfigError, match="No such file"):
        atomic_output.write_whole(tmp_path / "no" / "works.csv", [b"x"])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_named_pipe_is_written_to_directly(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    atomic_output.write_whole(pipe, [b"a", b"b"])
    reader.join()
    assert read == [b"ab"] and stat.S_ISFIFO(pipe.stat().st_mode)


@needs_full
def test_a_device_is_written_to_directly(tmp_path: Path) -> None:
    with pytest.raises(atomic_output.OutputError, match="No space left"):
        atomic_output.write_whole(FULL, [b"x"])
    atomic_output.write_whole(Path(os.devnull), [b"x"])
    assert stat.S_ISCHR(FULL.stat().st_mode) and stat.S_ISCHR(Path(os.devnull).stat().st_mode)


# ---------------------------------------------------------------------- every command


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a database, one decision, and a program `evidence`."""
    folder = tmp_path_factory.mktemp("place")
    site_sample.make_sample(folder / "evidence.db")
    program = folder / "evidence"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m evidence "$@"\n')
    program.chmod(0o755)
    done = sh(folder, 'evidence decide 10.1002/cpp.1774 include --because "x" --by "A. Reader"')
    assert done.returncode == 0, done.stderr
    assert sh(folder, "evidence init").returncode == 0
    return folder


def sh(folder: Path, line: str) -> subprocess.CompletedProcess[str]:
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": root, "PATH": f"{folder}:{os.environ['PATH']}"}
    return subprocess.run(
        ["bash", "-c", line], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture
def run(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The same command line in this process, for tests that need no shell."""
    return runner(place, monkeypatch, capsys)


COMMANDS = (
    "--help",
    "--version",
    "export",
    "export --format ris --verdict all",
    "decisions export",
    "decisions conflicts",
    "decisions agreement",
    "status",
    "status --json",
    "explain 10.1002/cpp.1774",
    "report prisma",
    "report prisma-s -f json",
    "report changes",
    "snowball",
    "check",
    "export --help",
)


@pytest.mark.slow
@needs_full
@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk_behind_stdout_is_one_sentence(place: Path, command: str) -> None:
    done = sh(place, f"evidence {command} > /dev/full")
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith("evidence: stdout: cannot be written (No space left on device)"), done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("command", ["export --verdict all", "status", "decisions export", "--help"])
def test_a_closed_pipe_ends_quietly(place: Path, command: str) -> None:
    done = sh(place, f"(sleep 0.1; evidence {command}; echo $? >code) | true; sleep 0; cat code")
    assert (done.stdout.strip(), done.stderr) == ("141", "")


@pytest.mark.slow
def test_a_reader_that_stops_early_does_not_fail_the_pipeline(place: Path) -> None:
    done = sh(place, "evidence export | head -n 1")
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("doi,title,")


@pytest.mark.slow
@needs_full
def test_a_full_disk_behind_stderr_too_prints_no_traceback(place: Path) -> None:
    assert sh(place, "evidence status >/dev/full 2>/dev/full").returncode == 1
    assert sh(place, "evidence --db none.db status 2>/dev/full").returncode == 2


@pytest.mark.slow
def test_closed_stdout(place: Path) -> None:
    done = sh(place, "evidence export >&-")
    assert (done.returncode, "stdout is closed" in done.stderr) == (1, True)


@pytest.mark.slow
@needs_full
@pytest.mark.parametrize("command", ["export", "decisions export"])
def test_every_command_with_o_writes_the_file(place: Path, tmp_path: Path, command: str) -> None:
    full = sh(place, f"evidence {command} -o /dev/full")
    assert (full.returncode, full.stderr.count("\n")) == (1, 1) and "No space left" in full.stderr
    secret, link = tmp_path / "secret.csv", tmp_path / "latest.csv"
    secret.write_text("old")
    secret.chmod(0o600)
    link.symlink_to(secret.name)
    assert sh(place, f"evidence -q {command} -o {link}").returncode == 0
    assert link.is_symlink() and mode(secret) == 0o600 and secret.read_text().startswith("doi,")
    piped = sh(place, f"evidence -q {command} -o /dev/stdout")
    assert piped.stdout.startswith("doi,"), piped.stderr
    assert piped.stdout == sh(place, f"evidence -q {command} -o -").stdout == sh(place, f"evidence {command}").stdout


@pytest.mark.slow
@needs_descriptors
def test_dev_stdout_appends_where_the_shell_appends(place: Path, tmp_path: Path) -> None:
    done = sh(place, f"(echo first; evidence -q export -o /dev/stdout; echo last) > {tmp_path / 'all'}")
    assert done.stderr == ""
    lines = (tmp_path / "all").read_text().splitlines()
    assert (lines[0], lines[1][:4], lines[-1]) == ("first", "doi,", "last")


def test_init_writes_through_a_link(place: Path, tmp_path: Path) -> None:
    (tmp_path / "review").mkdir()
    (tmp_path / "review" / "sources.yaml").symlink_to("../mine.yaml")
    assert sh(place, f"evidence init {tmp_path / 'review'}").returncode == 0
    assert (tmp_path / "mine.yaml").is_file() and (tmp_path / "review" / "sources.yaml").is_symlink()


def test_the_command_line_starts_without_slow_imports() -> None:
    """Neither packages that take long, nor modules of the program but those few that every command needs."""
    heavy = "httpx datasette pydantic sqlite_utils rapidfuzz habanero tqdm yaml sqlite3 orjson filelock ftfy wcwidth tempfile"
    code = f"""if True:
        import sys, evidence.cli
        own = {{name for name in sys.modules if name.startswith("evidence.")}}
        allowed = {{"cli", "database", "database.rewound", "errors", "export", "export.atomic_output", "export.wording"}}
        print(*sorted(set("{heavy}".split()) & set(sys.modules)), *sorted(own - {{f"evidence.{{name}}" for name in allowed}}))
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


# ---------------------------------------------------------------------- which works


def test_a_tag_filter_takes_any_of_its_values_and_all_filters_hold(run: Run) -> None:
    def count(*tags: str) -> int:
        done = run("export", "--verdict", "all", *(word for tag in tags for word in ("--tag", tag)))
        assert done.code == 0, done.err
        return len(list(csv.reader(io.StringIO(done.out)))) - 1

    trials, reviews = count("design:rct"), count("design:meta-analysis")
    both = count("design:rct", "design:meta-analysis")
    assert trials > 0 and reviews > 0
    assert count("design:rct,meta-analysis") == count("design: rct, meta-analysis") == trials + reviews - both
    assert both < min(trials, reviews)
    said = run("export", "--help").out
    assert "several values: any of them; several --tag: all of them" in " ".join(said.split())


def test_an_unknown_tag_is_refused_with_the_nearest_one(run: Run) -> None:
    for tag, nearest in (("design:rtc", "rct"), ("desing:rct", "design"), ("design:rct,cluster_rct", "cluster-rct")):
        done = run("export", "--tag", tag)
        assert (done.code, done.out) == (2, ""), tag
        assert f"did you mean {nearest!r}?" in done.err, done.err
    assert run("export", "--tag", "design:rct,").code == 2


@pytest.mark.parametrize("text", ["variant", "variant:", ":ipt", "variant:a,,b", ",", ""])
def test_an_invalid_tag_filter_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is not a valid tag"):
        tag_filter.parse(text)


BAD_BYTE = "\udc80"
"""How Python represents a byte in an argument that is not UTF-8."""


@pytest.mark.parametrize("query", ['"', "", "  ", "-", "'", "*", '""', "!?", BAD_BYTE])
def test_a_query_without_a_word_is_refused(run: Run, query: str) -> None:
    done = run("export", "--query", query)
    assert (done.code, done.out) == (2, ""), done.err
    assert "there is no word in it" in done.err and "backup" not in done.err


@pytest.mark.parametrize(
    "query",
    ['depression"', "(depression", "depression AND", "NOT depression", "depression*", "^depression", "title:depression",
     "NEAR(depression", "+ depression", "depression - ", "{depression", "'depression", f"depression{BAD_BYTE}"],
)  # fmt: skip
def test_operators_in_a_query_are_plain_words(run: Run, query: str) -> None:
    done = run("export", "--verdict", "all", "--query", query)
    assert (done.code, done.err) == (0, ""), done.err


@pytest.mark.slow
def test_an_invalid_byte_in_an_argument_is_accepted(place: Path) -> None:
    assert "there is no word in it" in sh(place, "evidence export --query $'\\x80'").stderr
    assert sh(place, "evidence export --verdict all --query $'depression\\x80'").returncode == 0
