"""The processor time of a sync that finds nothing new, beside that of its requests.

    python -m benchmarks.sync_again CROSSREF_WORKS.jsonl.gz [--works 600] [--runs 5]

A loopback server in this process holds real records under new DOIs, all with a title about IPT. The command line fills a new
database with the shipped sources, then syncs again. The floor is a process that sends the same requests with httpx alone and
parses the answers. The first sync leaves compiled modules, as an installation has them. Times are user and system time of the
child processes, the median of the runs.
Limit: 1 second beside the floor.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlencode

from benchmarks.full_sync import works
from tests.loopback import LoopbackCrossref

LIMIT = 1.0

SEND = """
import json, sys
import httpx
with httpx.Client() as client:
    for line in sys.stdin:
        answer = client.get(line.strip(), follow_redirects=True)
        if answer.is_success:
            json.loads(answer.content)
"""


def seconds(command: list[str], folder: Path, url: str, given: str = "") -> float:
    """User and system time of a child process; CalledProcessError when it fails."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = os.environ | {
        "EVIDENCE_CROSSREF_URL": url,
        "EVIDENCE_ENRICH": "no",
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONPYCACHEPREFIX": str(folder / "compiled"),
    }
    subprocess.run(command, cwd=folder, env=environment, input=given, text=True, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--works", type=int, default=600)
    parser.add_argument("--runs", type=int, default=5)
    asked = parser.parse_args()
    evidence = [sys.executable, "-m", "evidence", "-q"]
    with LoopbackCrossref(works(asked.file, asked.works, 1.0)) as server, tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        seconds([*evidence, "init", "."], folder, server.url)
        print(f"first sync: {seconds([*evidence, 'sync'], folder, server.url):.2f} s of processor")
        again, floor = [], []
        for _ in range(asked.runs):
            start = len(server.requests)
            again.append(seconds([*evidence, "sync"], folder, server.url))
            asked_for = (f"{request.path}?{urlencode(request.params)}" for request in server.requests[start:])
            sent = "\n".join(server.url + address for address in asked_for)
            floor.append(seconds([sys.executable, "-c", SEND], folder, server.url, sent))
        requests = sent.count("\n") + 1
    ours, theirs = statistics.median(again), statistics.median(floor)
    print(
        f"sync with nothing new over {asked.works} works: {ours:.2f} s of processor; its {requests} requests alone "
        f"{theirs:.2f} s; beside them {ours - theirs:.2f} s (at most {LIMIT})"
    )


if __name__ == "__main__":
    main()
