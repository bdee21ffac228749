"""How long a reviewer waits at the desk: for a decision to be saved, and for the next work to be shown.

    python -m benchmarks.desk_decisions [--works 100000] [--decisions 20000] [--db FILE]

It makes a synthetic database (`benchmarks.synthetic_database`; `--db` keeps or reuses the file, and a copy is worked on), adds
decisions of two readers to the ledger, and opens the desk in a Datasette of its own process. Then it decides on ten waiting
works. `processor` is the time of the processor alone, which other programs lengthen less. `floor` is one row written to a file
of SQLite and synchronised to the disk, in the same minute. Target: a save below 150 ms, the first one too.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import re
import shutil
import sqlite3
import statistics
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from datasette.app import Datasette

from benchmarks import synthetic_database
from evidence.data_model import Decision, Doi, iso_time
from evidence.database import read_queries
from evidence.database.connection import reading
from evidence.database.writer import append_to_ledger, open_store
from evidence.publish import serve
from evidence.review import reviewer_desk

READERS = ("reading 1", "reading 2")
SAVES = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--works", type=int, default=100_000)
    parser.add_argument("--decisions", type=int, default=20_000)
    parser.add_argument("--db", type=Path, help="keep the database here, or use the one that is")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made = arguments.db or Path(folder) / "made.db"
        if not made.exists():
            synthetic_database.make(made, arguments.works)
        db, ledger = Path(folder) / "evidence.db", Path(folder) / "decisions.db"
        shutil.copy(made, db)
        add_decisions(db, ledger, arguments.decisions)
        asyncio.run(measure(db, ledger))


def add_decisions(db: Path, ledger: Path, count: int) -> None:
    """Decisions on works that do not wait, shown and announced, as a sync leaves them. The waiting works get a title in their
    record, which the rules read."""
    chance = random.Random(1)
    with open_store(db, ledger) as store:
        dois = [doi for (doi,) in store.conn.execute("select doi from works where verdict <> 'unsure' order by doi")]
        facets = store.conn.execute("select facet, value from facets").fetchall()
        with store.transaction():
            store.conn.execute("""
                update snapshots set message = json_object('DOI', doi, 'type', 'journal-article', 'title', json_array(
                    (select title from works w where w.doi = snapshots.doi)))
                where doi in (select doi from works where verdict = 'unsure')
            """)
        start = datetime(2026, 1, 1, tzinfo=UTC)
        decisions = []
        for number in range(count):
            facet, value = chance.choice(facets)
            on = Doi(dois[number // 3 % len(dois)])
            moment = iso_time(start + timedelta(seconds=number))
            decisions.append(
                Decision(
                    on, "tag", None, facet, value, "It is in the abstract", READERS[number % 2], moment, None, None
                )
                if number % 3
                else Decision(
                    on, "verdict", "include", None, None, "It is a trial", READERS[number % 2], moment, None, None
                )
            )
        append_to_ledger(ledger, list({(d.doi, d.facet, d.value, d.reviewer): d for d in decisions}.values()))
        store.show_decisions()
        run = store.start_run("judge", "0", iso_time(start))
        store.finish_run(run, "complete", {}, iso_time(start))


async def measure(db: Path, ledger: Path) -> None:
    told, _ = reviewer_desk.local_desk(db, ledger, READERS[0])
    os.environ.update(told)
    desk = reviewer_desk.desk_from_environment()
    assert desk is not None
    with closing(sqlite3.connect(ledger)) as conn:
        held = conn.execute("select count(*) from decisions").fetchone()[0]
    with reading(db) as conn:
        works, waiting = sum(read_queries.verdict_counts(conn).values()), len(read_queries.waiting_works(conn))
    print(f"{works:,} works, {waiting:,} waiting, {held:,} decisions")
    site = Datasette([str(db)], config_dir=serve.site_folder())
    await site.invoke_startup()
    start = time.perf_counter()
    desk.warm()
    print(f"rules and decisions loaded before the first decision: {time.perf_counter() - start:.2f} s")
    cookies = {"ds_actor": site.sign({"a": {"id": READERS[0]}}, "actor")}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=site.app()), base_url="http://site", cookies=cookies, timeout=600
    ) as client:
        start = time.perf_counter()
        page = (await client.get("/desk")).text
        print(f"first page: {(time.perf_counter() - start) * 1000:,.0f} ms")
        saves, pages, floors, processor = [], [], [], []
        for _ in range(SAVES):
            fields = {name: field(page, name) for name in ("csrftoken", "doi", "shown", "back")}
            start, used = time.perf_counter(), time.process_time()
            answer = await client.post("/desk/decide", data={**fields, "verdict": "exclude", "reason": "Not about it"})
            saved = time.perf_counter()
            processor.append(time.process_time() - used)
            assert answer.status_code == 303, answer.text
            page = (await client.get(answer.headers["location"])).text
            pages.append(time.perf_counter() - saved)
            saves.append(saved - start)
            floors.append(floor(db.parent))
    report("save", saves)
    report("  processor", processor)
    report("next page", pages)
    report("floor", floors)


def field(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    return found[1] if found else ""


def floor(folder: Path) -> float:
    """Seconds for one row, written and synchronised."""
    start = time.perf_counter()
    with closing(sqlite3.connect(folder / "floor.db")) as conn, conn:
        conn.execute("pragma synchronous = full")
        conn.execute("create table if not exists rows (text)")
        conn.execute("insert into rows values ('x')")
    return time.perf_counter() - start


def report(name: str, seconds: list[float]) -> None:
    first, median, worst = (1000 * value for value in (seconds[0], statistics.median(seconds), max(seconds)))
    print(f"{name:12} first {first:7,.0f} ms   median {median:7,.0f} ms   slowest {worst:7,.0f} ms")


if __name__ == "__main__":
    main()
