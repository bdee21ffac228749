"""The cost of finding duplicates: seconds and clusters for 10,000, 30,000 and 100,000 works, in one process.

    python -m benchmarks.duplicate_detection

The works are synthetic. Words, surnames and journals have Zipf frequencies. A tenth of the works have a second record with a
misprint in the title, initials for given names and an abbreviated journal; one in fifty has a standard title (“Editorial”). Then
records that are all of one work, under different DOIs: the worst case. The cost should be nearly linear: ten times the works
should take little more than ten times the seconds.
"""

from __future__ import annotations

import json
import random
import resource
import sqlite3
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import fields, replace
from itertools import accumulate
from pathlib import Path

from evidence.linkage.duplicate_clusters import Candidate, Records, build_clusters, find_pairs

SIZES = (10_000, 30_000, 100_000)
ALIKE = (2_000, 6_000, 20_000)
"""Numbers of records that are all of one work."""
TWICE = 0.1
"""Share of works with a second record."""
STANDARD_TITLE = 0.02
"""Share of works with a standard title."""
SYLLABLES = (
    "de", "pres", "sion", "ther", "a", "py", "in", "ter", "per", "so", "nal", "cog", "ni", "tive", "tri", "al", "ran", "do",
    "mi", "sed", "les", "cent", "stu", "dy", "out", "come", "mo", "tor",
)  # fmt: skip


def main() -> None:
    """Print a line for every size given on the command line, or for `SIZES`."""
    print(f"{'works':>8} {'seconds':>8} {'clusters':>9} {'doubtful':>9} {'found':>7} {'wrong':>6} {'MB':>6}")
    for size in [int(word) for word in sys.argv[1:]] or SIZES:
        works = list(synthetic_works(size))
        start = time.perf_counter()
        found = find_pairs(works)
        grouped = build_clusters(found, works)
        seconds = time.perf_counter() - start
        true = sum(work.key.endswith("-b") for work in works)
        right = sum(len({key.removesuffix("-b") for key in cluster.members}) == 1 for cluster in grouped)
        doubtful = sum(pair.verdict == "doubtful" for pair in found)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"{size:8,} {seconds:8.1f} {len(grouped):9,} {doubtful:9,} {right / true:7.1%}"
            f" {len(grouped) - right:6,} {memory:6.0f}",
            flush=True,
        )

    print(f"{'alike':>8} {'seconds':>8} {'clusters':>9}")
    for size in ALIKE:
        (work, *_) = synthetic_works(1)
        works = [replace(work, key=f"{number:07d}", doi=f"10.5555/{number:07d}") for number in range(size)]
        start = time.perf_counter()
        grouped = build_clusters(find_pairs(works), works)
        print(f"{size:8,} {time.perf_counter() - start:8.1f} {len(grouped):9,}", flush=True)


def synthetic_works(size: int) -> Iterator[Candidate]:
    """`size` works, the same at every call; a key that ends in `-b` is the second record of a work."""
    chance = random.Random(size)
    words, surnames, journals = (_zipf(chance, count) for count in (30_000, 8_000, 1_500))
    made = 0
    while made < size:
        work = _work(chance, made, words, surnames, journals)
        yield work
        made += 1
        if chance.random() < TWICE and made < size:
            yield _second_record(chance, work)
            made += 1


class StoredWorks(Records):
    """Works in a file of SQLite, as those of a database are."""

    def __init__(self, file: Path, works: Iterable[Candidate]) -> None:
        self._conn = sqlite3.connect(file)
        self._conn.execute("create table works (key text primary key, fields text)")
        rows = ((work.key, json.dumps([getattr(work, name) for name in _FIELDS])) for work in works)
        with self._conn:
            self._conn.executemany("insert into works values (?, ?)", rows)

    def outlines(self) -> Iterator[Candidate]:
        return (Candidate(*json.loads(row)) for (row,) in self._conn.execute("select fields from works order by rowid"))

    def read(self, key: str) -> Candidate:
        (row,) = self._conn.execute("select fields from works where key = ?", (key,)).fetchone()
        return Candidate(*json.loads(row))


_FIELDS = [field.name for field in fields(Candidate)]


def _zipf(chance: random.Random, count: int) -> tuple[list[str], list[float]]:
    made = {"".join(chance.choices(SYLLABLES, k=chance.randint(2, 4))) for _ in range(count)}
    return sorted(made), list(accumulate(1 / rank for rank in range(1, len(made) + 1)))


def _work(chance: random.Random, number: int, *lists: tuple[list[str], list[float]]) -> Candidate:
    words, surnames, journals = ((population, weights) for population, weights in lists)
    title = " ".join(chance.choices(words[0], cum_weights=words[1], k=chance.randint(6, 16)))
    names = chance.choices(surnames[0], cum_weights=surnames[1], k=chance.randint(1, 7))
    year, first = chance.randint(1974, 2026), chance.randint(1, 1800)
    journal = " ".join(chance.choices(journals[0], cum_weights=journals[1], k=3))
    return Candidate(
        key=f"{number:07d}",
        title="Editorial" if chance.random() < STANDARD_TITLE else title,
        authors="; ".join(f"{name.title()}, {chance.choice(SYLLABLES).title()}" for name in names),
        year=str(year),
        container=f"Journal of {journal}".title(),
        volume=str(year - 1960),
        issue=str(chance.randint(1, 12)),
        pages=f"{first}-{first + chance.randint(4, 15)}",
        kind="journal-article",
    )


def _second_record(chance: random.Random, work: Candidate) -> Candidate:
    title, container, authors = work.title or "", work.container or "", work.authors or ""
    at = chance.randrange(len(title))
    people = (person.partition(", ") for person in authors.split("; "))
    return replace(
        work,
        key=f"{work.key}-b",
        title=title if work.title == "Editorial" else title[:at] + title[at + 1 :],
        authors=", ".join(f"{family} {given[:1]}" for family, _, given in people),
        container=" ".join(word[:5] for word in container.split()),
        issue=None,
    )


if __name__ == "__main__":
    main()
