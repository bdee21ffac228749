"""The cost of storing records: normalising, judging, writing and indexing real records, as a ratio to the lowest possible cost.

    python -m benchmarks.store_records CROSSREF_WORKS.jsonl.gz [--works 20000]

Finding duplicates is timed separately, because here nearly every record is a duplicate of another. The lowest possible cost (the
floor) is measured in the same run: parse the same JSON, insert the same rows with one `executemany` per table in one
transaction, and build the same full-text index. Two ratios: time of the clock, while other processes judge on other cores; and
time of the processor, theirs included. Memory is the peak of this process after a quarter of the records and after all.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import os
import resource
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from evidence.crossref.records_from_files import RecordFiles
from evidence.data_model import Doi, LookupResult, Page, Query, RecordStatus, RecordText, Window
from evidence.database import schema
from evidence.database.writer import open_store
from evidence.harvest import rejudge
from evidence.harvest import sync as stages
from evidence.harvest.deduplicate import find_duplicates
from evidence.harvest.read_ahead import look_ahead
from evidence.harvest.reader_processes import RecordReaders, cores
from evidence.harvest.sources import Config
from evidence.rules import taxonomy

LIMIT = 2.0
"""Highest acceptable ratio to the floor, by the clock."""


@dataclass(frozen=True, slots=True)
class Seconds:
    """How long something took: by the clock, and of the processor, with that of processes which have ended."""

    clock: float
    processor: float

    @staticmethod
    def now() -> Seconds:
        times = os.times()
        return Seconds(time.perf_counter(), times.user + times.system + times.children_user + times.children_system)

    def __sub__(self, other: Seconds) -> Seconds:
        return Seconds(self.clock - other.clock, self.processor - other.processor)

    def __add__(self, other: Seconds) -> Seconds:
        return Seconds(self.clock + other.clock, self.processor + other.processor)

    def __str__(self) -> str:
        return f"{self.clock:.1f} s ({self.processor:.1f} s of processor)"

    def over(self, floor: Seconds) -> str:
        return f"{self.clock / floor.clock:.2f} ({self.processor / floor.processor:.2f} of processor)"


class NoSource:
    """A record source without records: they are given to `sync` as `take`."""

    name = "files"
    authoritative = False
    requests = bytes = 0
    date = None

    def lookup(self, dois: Sequence[Doi], since: str | None = None) -> Iterator[tuple[LookupResult, ...]]:
        return iter(())

    def check(self, dois: Sequence[Doi]) -> Iterator[tuple[RecordStatus, ...]]:
        return iter(())

    def scan(self, query: Query, window: Window | None = None, offset: int = 0, *, by_creation: bool = False) -> Page:
        return Page((), 0)

    def agency(self, doi: Doi) -> str | None:
        return None


def lines(file: Path, count: int) -> Iterator[str]:
    """`count` lines: the records of the file, repeated under new DOIs."""
    with gzip.open(file, "rt") as text:
        records = [json.loads(line) for line in text if line.strip()]
    messages = [record.get("work", record) for record in records]
    for number in itertools.islice(itertools.count(), count):
        message = messages[number % len(messages)]
        yield json.dumps(message | {"DOI": f"{message['DOI']}.{number // len(messages)}"}, ensure_ascii=False)


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--works", type=int, default=20_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw.jsonl"
        with raw.open("w") as out:
            out.writelines(line + "\n" for line in lines(arguments.file, arguments.works))
        ours = tracker(Path(folder), raw, arguments.works)
        floor, parts = floor_seconds(Path(folder), raw, "floor.db", tuned=False)
        tuned, _ = floor_seconds(Path(folder), raw, "tuned.db", tuned=True)
    both = ours.reading + ours.storing
    print(f"{arguments.works} works, {cores()} cores: storing {ours.storing}, reading the file {ours.reading}")
    print(f"at most {LIMIT} times the floor is wanted")
    for name, least in ((f"floor ({parts})", floor), ("floor with the cache and log size of the tracker", tuned)):
        print(f"{name}: {least}; ratio of storing {ours.storing.over(least)}, with reading {both.over(least)}")
    print(f"finding duplicates, not included: {ours.duplicates}")
    peaks = f"peak memory {ours.memory[0]:.0f} MB after a quarter, {ours.memory[1]:.0f} MB after all"
    print(f"{arguments.works / ours.storing.clock:.0f} works/s; {peaks}")


@dataclass(frozen=True, slots=True)
class Tracker:
    """What a whole sync over the records takes: reading the file, storing what it holds, and finding duplicates; peak MB after a
    quarter and after all."""

    reading: Seconds
    storing: Seconds
    duplicates: Seconds
    memory: list[float]


def tracker(folder: Path, raw: Path, count: int) -> Tracker:
    """Read and store the records of a file, as `evidence sync --from FILE --all` does."""
    book = taxonomy.load()
    memory: list[float] = []
    duplicates = Seconds(0, 0)
    find = find_duplicates

    def timed(*arguments: Any, **more: Any) -> int:
        nonlocal duplicates
        memory.append(peak())
        begun = Seconds.now()
        found = find(*arguments, **more)
        duplicates += Seconds.now() - begun  # it is called again after other providers were asked
        return found

    rejudge.find_duplicates = timed  # type: ignore[attr-defined]

    def kept(files: RecordFiles) -> Iterator[RecordText]:
        for number, record in enumerate(files.kept_records):
            if number == count // 4:
                memory.append(peak())
            yield record

    start = Seconds.now()
    with (
        RecordReaders(book) as readers,
        RecordFiles([raw], everything=True, looks=partial(look_ahead, readers=readers, everything=True)) as files,
    ):
        read = Seconds.now()
        with open_store(folder / "evidence.db") as store:
            nowhere = Config(None, (), (), ())
            stages.sync(
                nowhere, store, NoSource(), book, now=lambda: datetime.now(UTC), take=kept(files), readers=readers
            )
    return Tracker(read - start, Seconds.now() - read - duplicates, duplicates, memory)


def rows_in_order_of_works(source: sqlite3.Connection, table: str) -> list[Any]:
    """The rows of a table in the order in which their works were stored."""
    names = [row[1] for row in source.execute(f"pragma table_info({table})")]
    if table in ("cites", "reasons"):
        select = f"select t.* from {table} t join works w on w.doi = t.doi order by w.rowid"
    else:
        select = f"select {', '.join(names)} from {table}"
    return source.execute(select).fetchall()


def floor_seconds(folder: Path, raw: Path, name: str, tuned: bool) -> tuple[Seconds, str]:
    """What it takes for parsing, for plain inserts of the same rows, and for the same index, with SQLite's defaults (in
    WAL mode) or, `tuned`, with the cache and log size that `store` sets."""
    source = sqlite3.connect(folder / "evidence.db")
    tables = {t: rows_in_order_of_works(source, t) for t in (*schema.RECORD_TABLES, *schema.DERIVED_TABLES)}
    source.close()
    open_store(folder / name, folder / "floor-decisions.db").close()
    store = open_store(folder / name, folder / "floor-decisions.db") if tuned else None
    conn = store.conn if store else sqlite3.connect(folder / name)
    conn.execute("pragma synchronous = normal")
    conn.execute("pragma foreign_keys = off")
    marks = [Seconds.now()]
    with raw.open() as file:
        for line in file:
            json.loads(line)
    marks.append(Seconds.now())
    conn.execute("begin")
    for table, rows in tables.items():
        if rows:
            conn.executemany(f"insert or ignore into {table} values ({', '.join('?' * len(rows[0]))})", rows)
    conn.execute("commit")
    marks.append(Seconds.now())
    conn.execute("insert into works_fts (works_fts) values ('rebuild')")
    conn.commit()
    marks.append(Seconds.now())
    conn.close()
    names = ("parsing", "inserting", "indexing")
    parts = ", ".join(f"{n} {(b - a).clock:.1f}" for n, a, b in zip(names, marks, marks[1:], strict=False))
    return marks[-1] - marks[0], parts


if __name__ == "__main__":
    main()
