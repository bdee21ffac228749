"""The processor time of starting the command line (`--version`, `--help`, the help of commands), and to the first tag.

    python -m benchmarks.startup_time [--runs 10]

Each is the user and system time of a new process, the median of the runs. The floor is an interpreter that imports only click.
Limits: 0.25 s for `--version` and `--help`, and 0.5 s until the first work is judged. The rules are kept on disk (in a folder of
this benchmark) by the first run, which is not counted; what they take without that is shown too.
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

LIMIT = 0.25
TAG_LIMIT = 0.5

FLOOR = ("-c", "import click")
FIRST_TAG = (
    "-c",
    """
from evidence.data_model import Doi, Work
from evidence.rules import taxonomy
from evidence.rules.judge import judge
title = "Interpersonal psychotherapy for depressed adolescents: a randomised trial"
abstract = "METHODS: 48 adolescents had interpersonal therapy or usual care. RESULTS: Depressive symptoms fell."
assert judge(Work(Doi("10.5555/x"), title=title, abstract=abstract), taxonomy.load()).tags
""",
)
LOADING = ("-c", "from evidence.rules import taxonomy; taxonomy.load()")
HELP = (
    ("--version",),
    ("--help",),
    ("export", "--help"),
    ("sync", "--help"),
    ("evaluate", "--help"),
    ("status", "--help"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10)
    runs = parser.parse_args().runs
    floor = median(FLOOR, runs)
    print(f"an interpreter with click: {floor:.3f} s of processor")
    missed = False
    for words in HELP:
        took = median(("-m", "evidence", *words), runs)
        missed |= words in HELP[:2] and took > LIMIT
        print(f"evidence {' '.join(words)}: {took:.3f} s, {took / floor:.1f} times the floor (at most {LIMIT} s)")
    with tempfile.TemporaryDirectory() as folder:
        cache = str(Path(folder) / "answers.db")
        print(f"the taxonomy: {median(LOADING, runs, cache):.3f} s; not kept on disk: {median(LOADING, runs):.3f} s")
        took = median(FIRST_TAG, runs, cache)
    missed |= took > TAG_LIMIT
    print(f"the first tag: {took:.3f} s, {took / floor:.1f} times the floor (at most {TAG_LIMIT} s)")
    took = median(FIRST_TAG, runs)
    print(f"the first tag, with rules that are not kept on disk: {took:.3f} s, {took / floor:.1f} times the floor")
    sys.exit(missed)


def median(words: tuple[str, ...], runs: int, cache: str = "no") -> float:
    """The median processor time, user and system, in seconds, of an interpreter with these arguments. `cache`: EVIDENCE_CACHE."""
    once(words, cache)  # not counted: it compiles the modules and fills the disk cache
    return statistics.median(once(words, cache) for _ in range(runs))


def once(words: tuple[str, ...], cache: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "EVIDENCE_CACHE": cache}
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
