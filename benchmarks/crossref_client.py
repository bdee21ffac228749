"""The overhead of the Crossref client per request, measured against a loopback server.

    python -m benchmarks.crossref_client

Three clients request the same small records from the same server, each over one connection if it can: a bare HTTP connection
(the floor: the server's own time), our client, and habanero. Ours minus the floor is the overhead; it should be under 1 ms.
"""

from __future__ import annotations

import http.client
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from habanero import Crossref as Habanero

from evidence.crossref.client import SCAN_FIELDS, CrossrefClient
from evidence.data_model import Doi, Query

ROUNDS = 5
SINGLES = 200
RECORDS = 1000


def main() -> None:
    """Print the milliseconds for a single record, a batch of fifty and a page of a thousand."""
    works = [
        {
            "DOI": f"10.5555/{number}",
            "title": [f"Interpersonal psychotherapy for depression, part {number}"],
            "abstract": "interpersonal psychotherapy " * 40,
            "type": "journal-article",
            "issued": {"date-parts": [[1980 + number % 45]]},
        }
        for number in range(RECORDS)
    ]
    dois = [Doi(f"10.5555/{number}") for number in range(RECORDS)]
    query = Query((("bibliographic", "interpersonal psychotherapy"),))
    with tempfile.TemporaryDirectory() as folder, served(works, Path(folder)) as url, CrossrefClient(url) as crossref:
        theirs = Habanero(base_url=url, timeout=30)
        floor = http.client.HTTPConnection("127.0.0.1", urlsplit(url).port or 80)

        def bare(path: str) -> object:
            floor.request("GET", path)
            return json.loads(floor.getresponse().read())

        single = f"/works/{quote(dois[0], safe='')}"
        page = f"/works?query.bibliographic=interpersonal+psychotherapy&rows=1000&select={SCAN_FIELDS}"
        batch = f"/works?rows=50&filter={quote(','.join(f'doi:{doi}' for doi in dois[:50]))}"
        print(
            f"milliseconds per request, medians of {ROUNDS} rounds; overhead: our processor time minus the bare client's"
        )
        print(f"{'':18}{'wall clock':>20}{'':10}{'processor':>14}")
        print(" " * 18 + "".join(f"{name:>10}" for name in [*("bare", "ours", "habanero") * 2, "overhead"]))
        report(
            "one record",
            SINGLES,
            lambda: bare(single),
            lambda: list(crossref.lookup(dois[:1])),
            lambda: theirs.works(ids=dois[0]),
        )
        report(
            "a batch of 50",
            20,
            lambda: bare(batch),
            lambda: list(crossref.lookup(dois[:50])),
            lambda: theirs.works(filter={"doi": dois[:50]}, limit=50),
        )
        report(
            "a page of 1,000",
            5,
            lambda: bare(page),
            lambda: crossref.scan(query),
            lambda: theirs.works(query_bibliographic="interpersonal psychotherapy", limit=1000),
        )
        print(
            f"{crossref.requests} requests, {crossref.bytes / 1e6:.1f} MB, {crossref.seconds:.2f} s sending and receiving"
        )


@contextmanager
def served(works: list[dict[str, Any]], folder: Path) -> Iterator[str]:
    """The address of a loopback server in another process; in ours it would compete with the client for the interpreter."""
    path = folder / "works.jsonl"
    path.write_text("\n".join(json.dumps(work) for work in works), encoding="utf-8")
    command = [sys.executable, "-m", "tests.loopback", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield (process.stdout.readline() if process.stdout else "").strip()
        finally:
            process.kill()


def report(
    what: str, times: int, floor: Callable[[], object], ours: Callable[[], object], theirs: Callable[[], object]
) -> None:
    """Print one line: wall clock and processor time of this process. The clients take turns, so that a busy moment slows all."""
    clients = (("floor", floor, times), ("ours", ours, times), ("theirs", theirs, max(1, times // 10)))
    wall: dict[str, list[float]] = {name: [] for name, _, _ in clients}
    work: dict[str, list[float]] = {name: [] for name, _, _ in clients}
    for _ in range(ROUNDS):
        for name, ask, count in clients:
            started, worked = time.perf_counter(), time.process_time()
            for _ in range(count):
                ask()
            work[name].append((time.process_time() - worked) / count * 1000)
            wall[name].append((time.perf_counter() - started) / count * 1000)
    columns = [statistics.median(took[name]) for took in (wall, work) for name, _, _ in clients]
    print(f"{what:18}" + "".join(f"{column:10.2f}" for column in [*columns, columns[4] - columns[3]]))


if __name__ == "__main__":
    main()
