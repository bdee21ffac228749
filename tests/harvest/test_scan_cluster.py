"""A backfill by a Dask cluster: the same database as from this machine, or a stop that the next run continues."""

from __future__ import annotations

import logging
import signal
import socket
import sqlite3
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from evidence.crossref.public_data_file import Part, parts_of
from evidence.errors import ConfigError, UnavailableError
from evidence.harvest import backfill, scan_cluster
from evidence.harvest.scan_cluster import scan_on_worker
from evidence.harvest.scan_parts import ScannedPart, Scanner, Wanted
from evidence.harvest.scanning_program import difference, scanning_program
from evidence.harvest.sources import Config, Search
from tests import dask_cluster
from tests.backfill_files import ALL, FIELD, Run, lines
from tests.builders import SMALL_YAML
from tests.command_line import runner
from tests.whole.test_crash import contents

HERE = "no cluster: distributed is not installed (extra `cluster`)"


@pytest.fixture
def cluster() -> Iterator[Any]:
    """Three workers in this process."""
    distributed = pytest.importorskip("distributed", reason=HERE)
    with distributed.LocalCluster(
        n_workers=3,
        threads_per_worker=1,
        processes=False,
        protocol="tcp://",
        host="127.0.0.1",
        dashboard_address=":0",
        silence_logs=logging.CRITICAL,
    ) as local:
        yield local


@pytest.fixture
def wanted(small: Config) -> Wanted:
    return Wanted(tuple(each for each in small.sources if isinstance(each, Search)), frozenset())


def kept(folder: Path) -> int:
    conn = sqlite3.connect(folder / "evidence.db")
    count = conn.execute("select count(*) from backfilled_files").fetchone()[0]
    conn.close()
    return int(count)


def test_the_database_is_that_of_a_run_on_this_machine(tmp_path: Path, data: Path, go: Run, cluster: Any) -> None:
    go(data, "here")
    outcome, counts = go(data, "there", cluster=cluster.scheduler_address)
    assert (outcome.outcome, counts.files, counts.records, counts.matched) == ("complete", 5, len(ALL), 16)
    assert contents(tmp_path / "there") == contents(tmp_path / "here")
    outcome, counts = go(data, "there", cluster=cluster.scheduler_address)
    assert (outcome.run, counts.before, counts.records) == (0, 5, 0)


begun: list[str] = []


def noted(part: Part, wanted: Wanted, here: Mapping[str, str]) -> ScannedPart:
    """On a worker in this process: notes that the part was given to it."""
    begun.append(part.name)
    return scan_on_worker(part, wanted, here)


def test_few_files_are_given_out_before_the_first_is_taken(
    tmp_path: Path, cluster: Any, wanted: Wanted, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        (tmp_path / f"{number:02}.jsonl").write_bytes(lines(FIELD))
    begun.clear()
    monkeypatch.setattr(scan_cluster, "scan_on_worker", noted)
    monkeypatch.setattr(scan_cluster, "AHEAD", 1)
    names = []
    for taken, (part, scanned) in enumerate(
        scan_cluster.scanned_by_cluster(parts_of([tmp_path]), wanted, cluster.scheduler_address), start=1
    ):
        names.append(part.name)
        assert scanned.matched == len(FIELD)
        assert len(begun) <= taken - 1 + 3
    assert names == sorted(names) and len(names) == len(begun) == 20


# ---------------------------------------------------------------- files that cannot be read


@pytest.mark.parametrize("name", ["0.jsonl.gz", "3.json"])
def test_a_file_that_no_worker_can_read_is_named_with_its_worker(
    data: Path, go: Run, cluster: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def vanishing(paths: Any) -> Any:
        parts = parts_of(paths)
        (data / name).unlink()
        return parts

    monkeypatch.setattr(backfill, "parts_of", vanishing)
    outcome, counts = go(data, cluster=cluster.scheduler_address)
    assert outcome.outcome == "partial"
    assert len(counts.troubles) == 1
    assert f"{name}: cannot be read (No such file or directory) [read by worker tcp://127.0.0.1:" in counts.troubles[0]
    assert outcome.backfill["files"] == 4


failed: list[str] = []


def out_of_reach_once(part: Part, wanted: Wanted, here: Mapping[str, str]) -> ScannedPart:
    """On a worker in this process: each part is out of reach at first."""
    if part.name not in failed:
        failed.append(part.name)
        raise UnavailableError(f"{part.place}: cannot be read (the network is away)")
    return scan_on_worker(part, wanted, here)


@pytest.mark.slow
def test_a_file_that_is_out_of_reach_for_a_moment_is_tried_again(
    tmp_path: Path, data: Path, go: Run, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    go(data, "here")
    failed.clear()
    monkeypatch.setattr(scan_cluster, "scan_on_worker", out_of_reach_once)
    outcome, _ = go(data, "there", cluster=cluster.scheduler_address)
    assert (outcome.outcome, len(failed)) == ("complete", 5)
    assert contents(tmp_path / "there") == contents(tmp_path / "here")


def not_on_workers(part: Part) -> None:
    """As `check_same`, where only the machine of the client has the files."""
    if threading.current_thread() is not threading.main_thread():  # the workers' in this process
        raise UnavailableError(f"{part.place}: cannot be read (No such file or directory)")


def test_a_path_that_workers_do_not_have_is_refused_before_anything_is_read(
    tmp_path: Path, data: Path, go: Run, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan_cluster, "check_same", not_on_workers)
    with pytest.raises(
        ConfigError, match=r"worker tcp://.*0\.jsonl\.gz: cannot be read .*a path that all of them have"
    ):
        go(data, cluster=cluster.scheduler_address)
    assert kept(tmp_path / "a") == 0


def test_a_file_that_every_worker_dies_of_is_named(data: Path) -> None:
    distributed = pytest.importorskip("distributed", reason=HERE)
    part = parts_of([data])[0]
    killed = distributed.KilledWorker("key", SimpleNamespace(address="tcp://x:1"), 3)
    assert scan_cluster._failed(part, killed).trouble == (
        f"{part.place}: 4 workers were lost while they read it; the next run tries it again"
    )
    odd = scan_cluster._failed(part, MemoryError("no more"))
    assert odd.trouble == f"{part.place}: MemoryError: no more; the next run tries it again"


# ---------------------------------------------------------------- other programs


def of_another_program(part: Part) -> tuple[Mapping[str, str], str | None]:
    """What a worker with an older version says of itself."""
    return {**scanning_program(), "evidence": "0.0.1"}, None


def asked_by_another_program(part: Part, wanted: Wanted, here: Mapping[str, str]) -> ScannedPart:
    """What a worker does that came later and has other code."""
    return scan_on_worker(part, wanted, {**here, "the digest of its code": "0123456789abcdef"})


@pytest.mark.parametrize(
    ("asked", "does", "said"),
    [
        (
            "describe_worker",
            of_another_program,
            r"worker tcp://.* might find other records: evidence is 0\.0\.1 there and ",
        ),
        ("scan_on_worker", asked_by_another_program, r"the digest of its code is .* there and 0123456789abcdef here"),
    ],
    ids=["before the first file", "a worker that came later"],
)
def test_a_worker_with_another_program_is_refused(
    tmp_path: Path, data: Path, go: Run, cluster: Any, monkeypatch: pytest.MonkeyPatch, asked: str, does: Any, said: str
) -> None:
    monkeypatch.setattr(scan_cluster, asked, does)
    with pytest.raises(ConfigError, match=said):
        go(data, cluster=cluster.scheduler_address)
    assert kept(tmp_path / "a") == 0


def test_programs_differ_in_what_a_match_depends_on() -> None:
    here = scanning_program()
    assert difference(here, here) is None
    packages = {"orjson", "ahocorasick-rs", "ftfy", "google-re2"}
    assert {"evidence", "the digest of its code", "Python"} | packages <= set(here)
    for name in here:
        assert (said := difference({**here, name: "other"}, here)) and said.startswith(f"{name} is other there")
    assert difference({}, here) == f"evidence is not known there and {here['evidence']} here"


# ---------------------------------------------------------------- schedulers


def test_without_workers_it_waits_and_says_so(
    data: Path, go: Run, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The workers come when it has said so, as those of a cluster with a queue do."""
    cluster.scale(0)
    dask_cluster.wait_for(lambda: not cluster.scheduler.workers)
    monkeypatch.setattr(scan_cluster, "PATIENCE", 0.01)
    said: list[str] = []

    class Comes(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())
            cluster.scale(1)

    handler = Comes()
    monkeypatch.setattr(scan_cluster._log, "handlers", [handler])
    outcome, _ = go(data, cluster=cluster.scheduler_address)
    assert outcome.outcome == "complete"
    assert said and said[0].startswith(f"{cluster.scheduler_address} has no workers; waiting for one")


def test_where_no_scheduler_answers_it_stops(data: Path, go: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason=HERE)
    monkeypatch.setattr(scan_cluster, "TO_CONNECT", 0.2)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(UnavailableError, match="no Dask scheduler answers there") as stopped:
            go(data, cluster=address)
    assert stopped.value.exit_code == 1


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("head-node", "missing port number"),
        ("scheduler.json", "missing port number"),
        ("nonsense://head-node:8786", "unknown address scheme"),
        ("tcp://head-node:port", "invalid literal"),
    ],
)
def test_an_address_that_is_none_is_refused(data: Path, go: Run, address: str, said: str) -> None:
    pytest.importorskip("distributed", reason=HERE)
    with pytest.raises(ConfigError, match=rf"{said}.*; write the scheduler's address like tcp://host:8786"):
        go(data, cluster=address)


def test_the_command_says_what_to_install_and_what_goes_together(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = runner(tmp_path, monkeypatch, capsys)
    (tmp_path / "sources.yaml").write_text(SMALL_YAML)
    both = run("backfill", str(data), "--dask", "tcp://127.0.0.1:8786", "--workers", "2")
    assert both.code == 2 and "--workers counts processes on this machine" in both.err
    monkeypatch.setitem(sys.modules, "distributed", None)
    without = run("backfill", str(data), "--dask", "tcp://127.0.0.1:8786")
    assert without.code == 2
    assert without.err.strip() == (
        "evidence: --dask needs Dask, which is not installed; install the extra `cluster` (in the clone: pip install "
        "'.[cluster]')"
    )


# ---------------------------------------------------------------- clusters of processes, and what befalls them


@pytest.fixture
def apart() -> None:
    """Skips where there can be no cluster of processes."""
    pytest.importorskip("distributed", reason=HERE)
    if not hasattr(signal, "SIGKILL"):
        pytest.skip("needs SIGKILL")


@pytest.mark.slow
@pytest.mark.usefixtures("apart")
def test_a_worker_that_is_killed_with_a_file_costs_no_record(
    tmp_path: Path, data: Path, go: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    go(data, "here")
    monkeypatch.setattr(scan_cluster, "scan_on_worker", dask_cluster.killed_once)
    with dask_cluster.running(tmp_path / "cluster") as cluster:
        (tmp_path / "cluster" / "deadly").touch()
        outcome, counts = go(data, "there", cluster=cluster.address)
        dask_cluster.wait_for(lambda: any(worker.poll() is not None for worker in cluster.workers))
        ended = [worker.poll() for worker in cluster.workers]
    assert sorted(ended, key=str) == [-signal.SIGKILL, None, None]
    assert (outcome.outcome, counts.records) == ("complete", len(ALL))
    assert contents(tmp_path / "there") == contents(tmp_path / "here")


@pytest.mark.slow
@pytest.mark.usefixtures("apart")
def test_a_slow_worker_changes_no_order(tmp_path: Path, data: Path, go: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    go(data, "here")
    monkeypatch.setattr(scan_cluster, "scan_on_worker", dask_cluster.slow_with_the_first)
    with dask_cluster.running(tmp_path / "cluster") as cluster:
        outcome, _ = go(data, "there", cluster=cluster.address)
    assert (tmp_path / "cluster" / "first").exists()
    assert outcome.outcome == "complete"
    assert contents(tmp_path / "there") == contents(tmp_path / "here")


@pytest.mark.slow
@pytest.mark.usefixtures("apart")
def test_when_the_scheduler_is_lost_what_was_read_is_kept_and_the_rest_is_read_next(
    tmp_path: Path,
    data: Path,
    go: Run,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    go(data, "here")
    (tmp_path / "there").mkdir()
    (tmp_path / "cluster").mkdir()
    (tmp_path / "cluster" / "evidence.db").symlink_to(tmp_path / "there" / "evidence.db")
    with monkeypatch.context() as deadly, dask_cluster.running(tmp_path / "cluster") as cluster:
        deadly.setattr(scan_cluster, "scan_on_worker", dask_cluster.scheduler_killed_at_the_fourth)
        with pytest.raises(UnavailableError, match=r"the Dask scheduler .* was lost; .* the same command continues"):
            go(data, "there", cluster=cluster.address)
        assert cluster.scheduler.wait() == -signal.SIGKILL
    assert not [record for record in caplog.records if record.name.startswith("distributed")]
    assert kept(tmp_path / "there") == 3
    with dask_cluster.running(tmp_path / "cluster", workers=1) as cluster:
        outcome, counts = go(data, "there", cluster=cluster.address)
    assert (outcome.outcome, counts.before, counts.files) == ("complete", 3, 5)
    assert contents(tmp_path / "there") == contents(tmp_path / "here")


def test_a_scanner_is_made_once_for_what_is_wanted(
    data: Path, wanted: Wanted, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker would spend more time on making one for each file than on reading the file."""
    made: list[Wanted] = []

    def counted(wanted: Wanted) -> Scanner:
        made.append(wanted)
        return Scanner(wanted)

    monkeypatch.setattr(scan_cluster, "Scanner", counted)
    cluster.scale(1)
    dask_cluster.wait_for(lambda: len(cluster.scheduler.workers) == 1)
    assert len(list(scan_cluster.scanned_by_cluster(parts_of([data]), wanted, cluster.scheduler_address))) == 5
    assert len(made) == 1
