"""The requests, bytes and seconds of a first and a second sync, against a loopback server.

    python -m benchmarks.full_sync CROSSREF_WORKS.jsonl.gz [--works 3000] [--share 0.1]

The server holds real records under new DOIs, complete with references, licences and links, which make most of their size. A share
of them gets a title about IPT. The bytes are compared with those of complete records for every ranked row that the searches read.
Seconds include the pauses that the server's rate limit asks for (here: none).
"""

from __future__ import annotations

import argparse
import gzip
import json
import sqlite3
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evidence import strict_yaml
from evidence.harvest import sources
from evidence.harvest.locked_run import run_sync
from evidence.harvest.progress import NoProgress
from evidence.harvest.run_outcome import Outcome
from evidence.rules import taxonomy
from tests.loopback import LoopbackCrossref

LIMIT = 0.25
"""Highest acceptable ratio of the bytes of a first sync to those of complete records."""
SEARCHES = """
sources:
  - id: by-name
    kind: search
    label: By name
    query: {bibliographic: interpersonal psychotherapy}
    phrases: [interpersonal psychotherap*]
    years: 1974-
  - id: perinatal
    kind: search
    label: Perinatal
    query: {bibliographic: interpersonal psychotherapy postpartum depression}
    phrases: [interpersonal psychotherap*]
    also: [postpartum, perinatal]
    years: 1974-
"""


def works(file: Path, count: int, share: float) -> dict[str, Any]:
    """Real records under new DOIs; `share` of them have a title about IPT, the others a title that the search ranks but that does
    not match."""
    with gzip.open(file, "rt") as lines:
        real = [r.get("work", r) for r in map(json.loads, filter(str.strip, lines))]
    real = [r for r in real if "indexed" in r and "issued" in r]
    result = {}
    for n in range(count):
        record = dict(real[n % len(real)])
        ours = n < count * share
        record["title"] = [
            f"Interpersonal psychotherapy for group {n}" if ours else f"Interpersonal violence in place {n}"
        ]
        record["DOI"] = f"10.5555/{n}.{record['DOI'].lower().replace('/', '-')}"
        record["indexed"] = {"date-time": "2026-11-01T00:00:00Z", "date-parts": [[2026, 11, 1]]}
        record["issued"] = record["published"] = {"date-parts": [[1980 + n % 45, 1 + n % 12]]}
        result[record["DOI"]] = record
    return result


def scanned(db: Path) -> int:
    """The number of ranked rows that the searches have read."""
    with closing(sqlite3.connect(db)) as conn:
        return int(conn.execute("select sum(scanned) from requests").fetchone()[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--works", type=int, default=3000)
    parser.add_argument("--share", type=float, default=0.1)
    arguments = parser.parse_args()
    held = works(arguments.file, arguments.works, arguments.share)
    checked, book = sources.check(strict_yaml.parse(SEARCHES, "benchmark")), taxonomy.load()
    with LoopbackCrossref(held) as server, tempfile.TemporaryDirectory() as folder:
        db = Path(folder) / "evidence.db"

        def sync() -> tuple[Outcome, float]:
            start = time.perf_counter()
            outcome = run_sync(
                db,
                db.with_name("d.db"),
                checked,
                book,
                lambda: datetime.now(UTC),
                NoProgress(),
                files=None,
                url=server.url,
            )
            return outcome, time.perf_counter() - start

        for name in ("first", "second"):
            outcome, seconds = sync()
            print(
                f"{name} sync: {outcome.requests} requests, {outcome.bytes / 1e6:.2f} MB, {seconds:.1f} s; "
                f"{len(outcome.matched)} matched, {outcome.written.new} new"
            )
            if name == "first":
                moved = outcome.bytes
                rows = scanned(db)
    whole = rows * sum(len(json.dumps(w).encode()) for w in held.values()) / len(held)
    print(f"complete records for {rows} ranked rows: {whole / 1e6:.2f} MB; ratio {moved / whole:.3f} (at most {LIMIT})")


if __name__ == "__main__":
    main()
