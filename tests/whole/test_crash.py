"""kill −9 at many points of a run, then resume: the database equals that of an undisturbed run, row for row.

The child is forked and kills itself at the nth SQL statement, so the points lie between pages, inside transactions and
inside batches alike. Run numbers and times differ of course, and so does the log of requests.
"""

from __future__ import annotations

import os
import re
import signal
import sqlite3
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from evidence import strict_yaml
from evidence.database import schema
from evidence.database.writer import open_store
from evidence.harvest import sources
from evidence.harvest.sync import sync
from evidence.rules.taxonomy import Taxonomy
from tests.builders import FONAGY, LIPSITZ, SMALL_YAML, WORKS, FakeRecordSource, message
from tests.provider_records import FakeProvider, pubmed

pytestmark = pytest.mark.slow

MORE = tuple(
    message(f"10.5555/work.{n}", f"Interpersonal psychotherapy for group {n}", 2000 + n % 20) for n in range(25)
)
POINTS = 45
APART = re.compile(r"(first|last|changed)_run|run|retired|(asked|fetched|abstract)_at|request|started|finished")


def harvest(folder: Path, book: Taxonomy, clock: Callable[[], datetime], kill_at: int | None = None) -> int:
    """A sync into `folder`; returns how many statements it took, or kills this process at one of them."""
    count = 0

    def trace(_: str) -> None:
        nonlocal count
        count += 1
        if count == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    crossref = FakeRecordSource([*WORKS, *MORE])
    with open_store(folder / "evidence.db") as store:
        store.conn.set_trace_callback(trace)
        records = {
            str(work["DOI"]): pubmed(str(work["DOI"]), work["title"][0], str(n)) for n, work in enumerate(MORE[::2], 1)
        }
        medline = FakeProvider("pubmed", records, batch=5)
        small = sources.check(strict_yaml.parse(SMALL_YAML, "s.yaml"))
        sync(small, store, crossref, book, now=clock, providers=[medline])
        store.conn.set_trace_callback(None)
    return count


def contents(folder: Path) -> dict[str, list[Any]]:
    conn = sqlite3.connect(folder / "evidence.db")
    result = {}
    for table in (*schema.RECORD_TABLES, *schema.DERIVED_TABLES):
        if table in (
            "runs",
            "requests",
            "provider_requests",
        ):  # logs of what was asked and when, not of what was learnt
            continue
        names = [row[1] for row in conn.execute(f"pragma table_info({table})") if not APART.fullmatch(row[1])]
        result[table] = sorted(set(conn.execute(f"select {', '.join(names)} from {table}")), key=repr)
        assert len(result[table]) == conn.execute(f"select count(*) from {table}").fetchone()[0], table
    result["found"] = conn.execute(
        "select doi from works where rowid in (select rowid from works_fts where works_fts match 'psychotherapy') order by 1"
    ).fetchall()
    conn.execute("insert into works_fts (works_fts) values ('integrity-check')")
    assert conn.execute("pragma integrity_check").fetchone() == ("ok",)
    conn.close()
    return result


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_anywhere_and_resumed_equals_an_undisturbed_run(
    tmp_path: Path, book: Taxonomy, clock: Callable[[], datetime]
) -> None:
    (tmp_path / "clean").mkdir()
    statements = harvest(tmp_path / "clean", book, clock)
    clean = contents(tmp_path / "clean")
    assert len(clean["works"]) == 4 + len(MORE)
    died = 0
    for number in range(POINTS):
        folder = tmp_path / str(number)
        folder.mkdir()
        child = os.fork()
        if child == 0:
            harvest(folder, book, clock, kill_at=1 + number * statements // POINTS)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        died += os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        harvest(folder, book, clock)
        assert contents(folder) == clean, f"killed at statement {1 + number * statements // POINTS} of {statements}"
    assert died == POINTS


def test_a_crashed_run_is_recorded(tmp_path: Path, book: Taxonomy, clock: Callable[[], datetime]) -> None:
    with open_store(tmp_path / "evidence.db") as store:
        store.start_run("crossref", "0", "2026-11-24T00:00:00Z")
    harvest(tmp_path, book, clock)
    conn = sqlite3.connect(tmp_path / "evidence.db")
    assert conn.execute("select outcome from runs order by run").fetchall() == [("crashed",), ("complete",)]
    assert {LIPSITZ["DOI"], FONAGY["DOI"]} <= {d for (d,) in conn.execute("select doi from works")}
    conn.close()
