"""The processor time of starting the command line (`--version`, `--help`, the help of commands), and of loading the rules.

    python -m benchmarks.startup_time [--runs 10]

Each is the user and system time of a new process, the median of the runs. The floor is an interpreter that imports only click.
Limits: 0.25 s for `--version` and `--help`, 3 s for the rules (on an idle core they take half a second).
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys

LIMIT = 0.25
RULES_LIMIT = 3.0

FLOOR = ("-c", "import click")
RULES = ("-c", "from evidence.rules import taxonomy; taxonomy.load()")
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
    took = median(RULES, runs)
    missed |= took > RULES_LIMIT
    print(f"the taxonomy: {took:.3f} s (at most {RULES_LIMIT:.0f} s)")
    sys.exit(missed)


def median(words: tuple[str, ...], runs: int) -> float:
    """The median processor time, user and system, in seconds, of an interpreter with these arguments."""
    once(words)  # not counted: it compiles the modules and fills the disk cache
    return statistics.median(once(words) for _ in range(runs))


def once(words: tuple[str, ...]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
