"""Crossref's public data file, read whole: the same works as from `evidence sync --from`, whatever stops it on the way."""

from __future__ import annotations

import gzip
import json
import os
import signal
import sqlite3
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evidence.crossref import public_data_file
from evidence.data_model import Doi
from evidence.database import read_queries, schema
from evidence.database.writer import Store, open_store
from evidence.errors import ConfigError
from evidence.export import backfill_summary, prisma_report, search_report
from evidence.harvest import backfill, scan_processes
from evidence.harvest.backfill import run_backfill
from evidence.harvest.locked_run import FileInput, run_sync
from evidence.harvest.progress import NoProgress
from evidence.harvest.sources import Config, Search
from evidence.publish import immutable_copy, search_appendix, site_access
from evidence.rules.taxonomy import Taxonomy
from tests.backfill_files import ALL, FIELD, Run, lines, now, works
from tests.builders import SMALL_YAML, message
from tests.command_line import runner
from tests.whole.test_crash import contents


def test_the_works_are_those_of_a_sync_from_the_same_files(
    tmp_path: Path, data: Path, go: Run, book: Taxonomy, small: Config
) -> None:
    outcome, counts = go(data)
    assert (outcome.outcome, counts.files, counts.records, counts.matched) == ("complete", 5, len(ALL), 16)
    synced = tmp_path / "synced"
    synced.mkdir()
    files = FileInput("files", tuple(sorted(data.iterdir())))
    run_sync(synced / "evidence.db", synced / "decisions.db", small, book, now, NoProgress(), files=files)
    ours, theirs = works(tmp_path / "a"), works(synced)
    for table in ours:
        # Files rank what they hold by its place; a backfill does so among what it found.
        assert ours[table] == theirs[table], table
    assert len(ours["works"]) > 15


@pytest.mark.slow
def test_the_number_of_processes_changes_nothing(tmp_path: Path, data: Path, go: Run) -> None:
    go(data, "one")
    outcome, _ = go(data, "three", workers=3)
    assert outcome.outcome == "complete"
    assert contents(tmp_path / "one") == contents(tmp_path / "three")


@pytest.mark.slow
def test_a_tar_is_read_member_by_member(tmp_path: Path, data: Path, go: Run) -> None:
    with tarfile.open(tmp_path / "crossref.tar", "w") as tar:
        tar.add(data, arcname="crossref-2026")
    go(data, "folder")
    outcome, counts = go(tmp_path / "crossref.tar", "tar", workers=2)
    assert (outcome.outcome, counts.files) == ("complete", 5)
    assert works(tmp_path / "folder") == works(tmp_path / "tar")


def test_files_at_an_address_give_the_same_works(tmp_path: Path, data: Path, go: Run) -> None:
    memory = pytest.importorskip("fsspec", reason="fsspec is not installed (extra `cluster`)").filesystem("memory")
    for file in data.iterdir():
        memory.pipe(f"/crossref/{file.name}", file.read_bytes())
    go(data, "folder")
    outcome, counts = go("memory://crossref/*.js*", "address")
    assert (outcome.outcome, counts.files) == ("complete", 5)
    assert works(tmp_path / "folder") == works(tmp_path / "address")
    assert go("memory://crossref", "address")[1].before == 5


def test_of_files_without_a_time_the_day_must_be_named(
    tmp_path: Path, data: Path, go: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def undated(paths: Any) -> Any:
        return [replace(part, modified=0) for part in public_data_file.parts_of(paths)]

    monkeypatch.setattr(backfill, "parts_of", undated)
    with pytest.raises(
        ConfigError, match=r"does not say of which day it is; name the day of the data file with --date"
    ):
        go(data)
    assert not (tmp_path / "a" / "evidence.db").exists()


def test_a_second_run_reads_nothing_and_changes_nothing(tmp_path: Path, data: Path, go: Run) -> None:
    go(data)
    before = (tmp_path / "a" / "evidence.db").read_bytes()
    outcome, counts = go(data)
    assert (outcome.run, counts.before, counts.records) == (0, 5, 0)
    assert "Nothing new" in backfill_summary.backfill_summary(outcome, counts)
    assert (tmp_path / "a" / "evidence.db").read_bytes() == before


def test_other_searches_read_the_files_again(data: Path, go: Run, small: Config) -> None:
    go(data)
    wider = replace(small, sources=tuple(
        replace(s, phrases=(*s.phrases, "interpersonal violence")) if isinstance(s, Search) else s for s in small.sources
    ))  # fmt: skip
    outcome, counts = go(data, config=wider)
    assert (counts.before, counts.again, counts.matched) == (0, 5, 56)
    assert len(outcome.matched) == 56
    assert "read before with other searches" in backfill_summary.backfill_summary(outcome, counts)


def test_another_way_of_reading_reads_the_files_again(
    tmp_path: Path, data: Path, go: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill, "_READING", backfill._READING - 1)
    go(data)
    before = works(tmp_path / "a")
    monkeypatch.undo()
    _, counts = go(data)
    assert (counts.before, counts.again, counts.matched) == (0, 5, 16)
    assert works(tmp_path / "a") == before


def test_files_that_came_later_are_read_alone(data: Path, go: Run) -> None:
    go(data)
    (data / "5.jsonl.gz").write_bytes(
        gzip.compress(lines([message("10.5555/new", "Interpersonal psychotherapy anew", 2026)]))
    )
    outcome, counts = go(data)
    assert (counts.before, counts.records, counts.matched) == (5, 1, 1)
    assert outcome.backfill["records"] == len(ALL) + 1


def test_an_older_record_replaces_no_newer_one(
    tmp_path: Path, data: Path, go: Run, book: Taxonomy, small: Config
) -> None:
    newer = FIELD[0] | {
        "indexed": {"date-time": "2026-12-01T00:00:00Z"},
        "title": ["Interpersonal psychotherapy, corrected"],
    }
    (tmp_path / "newer.jsonl").write_bytes(lines([newer]))
    (tmp_path / "a").mkdir()
    files = FileInput("files", (tmp_path / "newer.jsonl",))
    run_sync(
        tmp_path / "a" / "evidence.db", tmp_path / "a" / "decisions.db", small, book, now, NoProgress(), files=files
    )
    go(data)
    with open_store(tmp_path / "a" / "evidence.db") as store:
        assert read_queries.titles(store.conn, [Doi("10.5555/ipt.0")]) == {
            "10.5555/ipt.0": "Interpersonal psychotherapy, corrected"
        }


def test_a_known_work_gets_its_newer_record_though_no_phrase_matches_any_more(
    tmp_path: Path, data: Path, go: Run
) -> None:
    go(data)
    newer = FIELD[0] | {"indexed": {"date-time": "2026-12-01T00:00:00Z"}, "title": ["RETRACTED"]}
    (tmp_path / "later.jsonl").write_bytes(lines([newer]))
    _, counts = go(tmp_path / "later.jsonl")
    assert counts.matched == 0
    with open_store(tmp_path / "a" / "evidence.db") as store:
        assert read_queries.titles(store.conn, [Doi("10.5555/ipt.0")]) == {"10.5555/ipt.0": "RETRACTED"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.jsonl.gz", gzip.compress(lines(FIELD))[:-20], "cut off or damaged"),
        ("x.jsonl.gz", gzip.compress(os.urandom(3000))[:40] + b"\xff" * 400, "cut off or damaged"),
        ("x.jsonl", b"", "is empty"),
        ("x.jsonl", b"a,b\n1,2\n", "is not JSON"),
        ("x.jsonl", b'{"name":"x"}\n', "none of its records has a DOI"),
        ("x.jsonl", lines(FIELD[:2]) + b"no JSON\n" + lines(FIELD[2:]), "line 3: no JSON record"),
        ("x.jsonl", lines(FIELD[:2]) + b'{"title":["Interpersonal psychotherapy"],}\n', "line 3: no JSON record"),
        ("x.json", json.dumps({"items": FIELD}).encode()[:-40], "does not end"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_named_and_the_others_are_read(
    tmp_path: Path, data: Path, go: Run, name: str, content: bytes, said: str
) -> None:
    (data / name).write_bytes(content)
    outcome, counts = go(data)
    assert outcome.outcome == "partial"
    assert len(counts.troubles) == 1
    assert said in counts.troubles[0]
    assert name in counts.troubles[0]
    assert f"Not read: {counts.troubles[0]}" in backfill_summary.backfill_summary(outcome, counts)
    assert outcome.backfill["files"] == 5
    with sqlite3.connect(tmp_path / "a" / "evidence.db") as conn:
        assert conn.execute("select count(*) from works").fetchone()[0] > 15
        assert conn.execute("select count(*) from backfilled_files where name = ?", (name,)).fetchone() == (0,)
    conn.close()
    outcome, counts = go(data)  # it is tried again, and nothing else
    assert (outcome.outcome, counts.before, len(counts.troubles)) == ("partial", 5, 1)


def test_a_file_that_vanishes_is_named(data: Path, go: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    found = public_data_file.parts_of

    def vanishing(paths: Any) -> Any:
        parts = found(paths)
        (data / "3.json").unlink()
        return parts

    monkeypatch.setattr(backfill, "parts_of", vanishing)
    outcome, counts = go(data)
    assert outcome.outcome == "partial"
    assert "3.json: cannot be read (No such file or directory)" in counts.troubles[0]


def test_a_path_without_files_is_refused(tmp_path: Path, go: Run) -> None:
    with pytest.raises(ConfigError, match="no files of records"):
        go(tmp_path)
    with pytest.raises(ConfigError, match=r"gone: cannot be read"):
        go(tmp_path / "gone")
    (tmp_path / "x.tar.gz").touch()
    with pytest.raises(ConfigError, match="unpack it"):
        go(tmp_path / "x.tar.gz")
    (tmp_path / "x.tar").write_bytes(b"no tar" * 200)
    with pytest.raises(ConfigError, match="no tar"):
        go(tmp_path / "x.tar")


def test_prisma_s_names_the_data_file_and_every_record_read(tmp_path: Path, data: Path, go: Run) -> None:
    go(data, day="2026-03-10")
    with open_store(tmp_path / "a" / "evidence.db") as store:
        rows = read_queries.searches_as_run(store.conn)
    text = prisma_report.searches_report(rows)
    assert "database: Crossref's public data file of 2026-03-10" in text
    assert f"5 files, {len(ALL)} records read" in text
    appendix = search_appendix.read(tmp_path / "a" / "evidence.db", tmp_path / "sources.yaml", now())
    markdown = "".join(search_report.as_markdown(appendix))
    assert "Database: Crossref's public data file" in markdown
    assert "none: every record of the file was read" in markdown


def test_what_was_found_does_not_stay_in_the_database(tmp_path: Path, data: Path, go: Run) -> None:
    go(data)
    with sqlite3.connect(tmp_path / "a" / "evidence.db") as conn:
        assert conn.execute("select count(*) from backfill_records").fetchone() == (0,)
    conn.close()


def test_progress_says_how_long_the_rest_takes(data: Path, tmp_path: Path, book: Taxonomy, small: Config) -> None:
    said: list[tuple[str, int, int | None]] = []

    class Told:
        def step(self, label: str, done: int, total: int | None) -> None:
            said.append((label, done, total))

    times = iter(range(0, 1000, 60))
    (tmp_path / "a").mkdir()
    db = tmp_path / "a" / "evidence.db"
    run_backfill(
        db, db.with_name("decisions.db"), small, book, now, Told(), [data], workers=1, ticks=lambda: float(next(times))
    )
    label, done, total = next(each for each in said if each[0].startswith("files:"))
    assert (done, total) == (1, 5)
    assert label.startswith("files: 13 records, 0/s, 0 matched, ")
    assert label.endswith(" left")


def test_the_command_says_what_it_read_and_refuses_a_day_that_is_none(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = runner(tmp_path, monkeypatch, capsys)
    (tmp_path / "sources.yaml").write_text(SMALL_YAML)
    assert "not a valid date" in run("backfill", str(data), "--date", "soon").err
    said = run("backfill", str(data), "--workers", "1")
    assert said.out.startswith("5 files: 5 read, 0 read before; 59 records read, 16 match the searches.")
    counts = json.loads(run("backfill", str(data), "--workers", "1", "--json").out)
    assert (counts["outcome"], counts["run"], counts["files_read_before"]) == ("complete", None, 5)


def test_what_a_stopped_run_found_is_not_published() -> None:
    assert {"backfill_records"} <= {*schema.WORKING_TABLES} <= {*immutable_copy.NOT_COPIED}
    assert {("backfill_records", "message")} <= site_access.RAW_COLUMNS


def test_times_to_wait_are_short() -> None:
    assert [backfill.duration(each) for each in (5, 65, 11_520)] == ["5 s", "1 min 05 s", "3 h 12 min"]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("parts", [0, 1, 3, 5])
def test_killed_between_two_files_it_goes_on_with_the_rest(tmp_path: Path, data: Path, go: Run, parts: int) -> None:
    go(data, "clean")
    child = os.fork()
    if child == 0:
        kept = 0
        keep = Store.add_backfilled

        def counted(*arguments: Any) -> None:
            nonlocal kept
            if kept == parts:
                os.kill(os.getpid(), signal.SIGKILL)
            kept += 1
            keep(*arguments)

        def killed(*_: Any) -> None:
            os.kill(os.getpid(), signal.SIGKILL)

        Store.add_backfilled = counted  # type: ignore[method-assign,assignment]
        if parts == 5:
            Store.forget_backfill_records = killed  # type: ignore[method-assign,assignment]
        go(data, "killed")
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    outcome, counts = go(data, "killed")
    assert (outcome.outcome, counts.before) == ("complete", parts)
    assert contents(tmp_path / "killed") == contents(tmp_path / "clean")


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_process_that_is_killed_costs_no_record(
    tmp_path: Path, data: Path, go: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    go(data, "clean")
    (tmp_path / "deadly").touch()
    monkeypatch.setattr(scan_processes, "scan_in_process", kill_once)
    monkeypatch.setenv("EVIDENCE_TEST_DEADLY", str(tmp_path / "deadly"))
    outcome, _ = go(data, "killed", workers=2)
    assert outcome.outcome == "complete"
    assert not (tmp_path / "deadly").exists()
    assert contents(tmp_path / "killed") == contents(tmp_path / "clean")


@pytest.mark.slow
def test_a_part_that_ends_every_process_is_read_here(
    tmp_path: Path, data: Path, go: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    go(data, "clean")
    monkeypatch.setattr(scan_processes, "scan_in_process", kill_always)
    monkeypatch.setattr(scan_processes, "TRIES", 1)
    outcome, _ = go(data, "killed", workers=2)
    assert outcome.outcome == "complete"
    assert contents(tmp_path / "killed") == contents(tmp_path / "clean")


def kill_once(part: Any) -> Any:
    """In a process of the pool: the first that meets a file of the tests ends itself."""
    deadly = Path(os.environ["EVIDENCE_TEST_DEADLY"])
    try:
        deadly.unlink()
    except FileNotFoundError:
        return scan_processes.scan_in_process(part)
    os.kill(os.getpid(), signal.SIGKILL)
    return None


def kill_always(part: Any) -> Any:
    """In a process of the pool: it ends itself."""
    os.kill(os.getpid(), signal.SIGKILL)
