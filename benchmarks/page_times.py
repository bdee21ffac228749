"""The speed of the published site on a large database, and of plain Datasette on the same file.

    python -m benchmarks.page_times [--works 100000] [--db FILE] [--rounds 20]

It makes a synthetic database (`benchmarks.synthetic_database`; `--db` keeps or reuses the file), publishes it and serves
the copy as a visitor would find it. It requests each page `--rounds` times, one request at a time, each time for other
works, tags, words or years, so that the cache of the site helps little. `first` is the first request for a page; `CPU` is the
processor time of the server, which other programs on the machine change less than the time on the clock. Then it
downloads every work as CSV, and prints the memory of the server. Targets: p95 below 200 ms and 20,000 rows/s at 100,000
works, p95 below 1 s at 1,000,000.

    python -m benchmarks.page_times --beside [--works 100000] [--db FILE] [--rounds 20]

This serves the copy and plain Datasette (no plugins, templates or metadata, and more time for a query) at once, asks both in turn
for the same rows, and prints the median processor time of each and their ratio as a table for docs/publishing.md.
"""

from __future__ import annotations

import argparse
import http.client
import random
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, urlencode

from datasette.utils import tilde_encode

from benchmarks import synthetic_database
from evidence.publish.immutable_copy import publish

T = TypeVar("T")
Address = Callable[[], str]

COMMON, MIDDLE, RARE = 0, 12, 400
"""Ranks of words in the synthetic vocabulary: words of most works, of some, and of few."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """A sample of the database, from which the addresses are made: DOIs, tags by facet, words by rank."""

    dois: list[str]
    tags: dict[str, list[str]]
    words: list[str]
    chance: random.Random

    def tag(self, facet: str) -> str:
        return f"{facet}:{self.chance.choice(self.tags[facet])}"

    def word(self, rank: int) -> str:
        return self.words[min(rank + self.chance.randrange(max(3, rank // 2)), len(self.words) - 1)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--works", type=int, default=100_000)
    parser.add_argument("--db", type=Path, help="keep the database here, or use the one that is")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--only", default="", help="only pages whose name has this in it")
    parser.add_argument(
        "--beside", action="store_true", help="the same rows from the site and from plain Datasette, in turn"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        db = arguments.db or Path(folder) / "evidence.db"
        if not db.exists():
            print(f"made in {timed(lambda: synthetic_database.make(db, arguments.works))[0]:.1f} s")
        seconds, done = timed(lambda: publish(db, Path(folder) / "site", now=lambda: datetime.now(UTC)))
        copy = done.folder / "evidence.db"
        print(
            f"{done.works:,} works; {db.stat().st_size / 1e6:,.0f} MB, published {done.size / 1e6:,.0f} MB in {seconds:.1f} s"
        )
        corpus = read(copy)
        if arguments.beside:
            beside(done.folder, corpus, arguments.rounds, arguments.only)
            return
        print("\nThe published site")
        with served(["sh", str(done.folder / "start")], environment=True) as server:
            server.report(ours(corpus), arguments.rounds, arguments.only)
            for name, address in (
                ("CSV of the list", "/evidence/works.csv?_stream=on&_size=max"),
                ("CSV export", "/download/csv"),
            ):
                if arguments.only in name:
                    server.stream(name, address)
        print("\nPlain Datasette, same file")
        inspected = str(done.folder / "inspect.json")
        plain = [sys.executable, "-m", "datasette", "serve", "-i", str(copy), "--inspect-file", inspected]
        with served(plain, environment=False) as server:
            server.report(theirs(corpus), arguments.rounds, arguments.only)
            if arguments.only in "CSV of the list":
                server.stream("CSV of the list", "/evidence/works.csv?_stream=on")


def ours(c: Corpus) -> dict[str, Address]:
    """Addresses of the site's pages, by name; each call returns another address."""
    works = "/evidence/works?"

    def year() -> int:
        return c.chance.randint(1980, 2024)

    def facets() -> list[str]:
        return c.chance.sample(sorted(c.tags), 2)

    def listed(*pairs: tuple[str, str]) -> str:
        return works + urlencode([("verdict", "include"), *pairs])

    return {
        "front page": lambda: "/",
        "map": lambda: "/map",
        "map, filtered": lambda: f"/map?{urlencode({'condition': c.tag('condition').split(':')[1], 'since': year()})}",
        "map, two facets": lambda: (
            f"/map?{urlencode({**dict(zip(('rows', 'columns'), facets(), strict=True)), 'until': year()})}"
        ),
        "map, a cell": lambda: (
            f"/map/panel?row={c.tag('variant').split(':')[1]}&column={c.tag('outcome').split(':')[1]}&since={year()}"
        ),
        "works": lambda: f"{works}_facet_size={c.chance.randint(3, 12)}",
        "works, included": lambda: listed(("year__gte", str(year()))),
        "works, one tag": lambda: listed(("_tag", c.tag("condition"))),
        "works, two tags": lambda: listed(("_tag", c.tag("variant")), ("_tag", c.tag("outcome"))),
        "works, by title": lambda: listed(("_sort", "title"), ("year__gte", str(year()))),
        "works, by citations": lambda: listed(("_sort_desc", "cited_by"), ("year__lte", str(year()))),
        "works, further on": lambda: listed(("_next", f"{year()},{tilde_encode(c.chance.choice(c.dois))}")),
        "works, title has": lambda: listed(("title__contains", c.word(MIDDLE))),
        "search, common word": lambda: f"{works}_search={c.word(COMMON)}",
        "search, some works": lambda: f"{works}_search={c.word(MIDDLE)}",
        "search, rare word": lambda: f"{works}_search={c.word(RARE)}",
        "search, two words": lambda: f"{works}verdict=include&_search={c.word(COMMON)}+{c.word(MIDDLE)}",
        "search page, common": lambda: f"/search?q={c.word(COMMON)}+{c.word(COMMON)}",
        "search page, words": lambda: f"/search?q={c.word(COMMON)}+{c.word(MIDDLE)}+{c.word(MIDDLE)}+{year()}",
        "search page, rare": lambda: f"/search?q={c.word(MIDDLE)}+{c.word(RARE)}",
        "search page, misspelt": lambda: f"/search?q={misspelt(c)}+{c.word(MIDDLE)}",
        "search page, filtered": lambda: (
            "/search?"
            + urlencode(
                [("q", f"{c.word(COMMON)} {c.word(MIDDLE)}"), ("_tag", c.tag("variant")), ("year__gte", str(year()))]
            )
        ),
        "search as a list": lambda: f"{works}_q={c.word(COMMON)}+{c.word(MIDDLE)}",
        "a work": lambda: f"/evidence/works/{tilde_encode(c.chance.choice(c.dois))}",
        "a short address": lambda: f"/doi/{quote(c.chance.choice(c.dois))}",
        "studies": lambda: f"/evidence/studies?year={year()}",
        "tags": lambda: f"/evidence/tags?value={c.tag('design').split(':')[1]}",
        "an author": lambda: f"/evidence/work_authors?author={quote(f'Author {c.chance.randrange(5000)}, A')}",
        "reasons": lambda: "/evidence/reasons",
        "reasons, one facet": lambda: f"/evidence/reasons?facet={c.chance.choice(list(c.tags))}",
        "map as a view": lambda: f"/evidence/evidence_map?variant={c.tag('variant').split(':')[1]}",
        "waiting": lambda: f"/evidence/to_check?year={year()}",
        "query: trials": lambda: f"/evidence/trials?variant={c.tag('variant').split(':')[1]}",
        "query: a cell": lambda: f"/evidence/map_cell?variant={c.tag('variant').split(':')[1]}",
        "query: all trials": lambda: "/evidence/trials",
        "query: all cells": lambda: "/evidence/map_cell",
        "query: waiting": lambda: "/evidence/waiting",
        "query: search": lambda: f"/evidence/search?q={c.word(MIDDLE)}",
        "query: missing": lambda: f"/evidence/cited_but_missing?at_least={c.chance.randint(1, 5)}",
        "query: two facets": lambda: (
            "/evidence/cooccurrence?" + urlencode(dict(zip(("rows", "columns"), facets(), strict=True)))
        ),
        "query: untagged": lambda: f"/evidence/untagged?facet={facets()[0]}",
        "query: rules": lambda: "/evidence/rules_at_work",
        "query: sources": lambda: "/evidence/yield_of_sources",
        "query: new": lambda: f"/evidence/new_in_last_run?run={c.chance.randint(2, synthetic_database.RUNS)}",
        "what is new": lambda: "/changes",
        "feed": lambda: f"/feed.atom?_tag={c.tag('outcome')}",
        "feed of a list": lambda: (
            "/feed.atom?" + urlencode([("verdict", "include"), ("_tag", c.tag("variant")), ("year__gte", str(year()))])
        ),
        "feed of a search": lambda: f"/feed.atom?_q={c.word(MIDDLE)}+{c.word(RARE)}",
        "works, added since": lambda: listed(
            ("_since", f"2026-{c.chance.randint(1, 9):02}-{c.chance.randint(1, 28):02}")
        ),
        "PRISMA": lambda: f"/prisma?as_of=2026-{c.chance.randint(1, 9):02}-{c.chance.randint(1, 28):02}",
        "method": lambda: "/method",
        "the article": lambda: "/article/list",
        "data": lambda: "/evidence",
        "one work as RIS": lambda: f"/download/ris?doi={quote(c.chance.choice(c.dois))}",
        "JSON": lambda: f"/evidence/works.json?_shape=array&year={year()}",
    }


def misspelt(c: Corpus) -> str:
    """A common word with two letters in the wrong order."""
    word = c.chance.choice([word for word in synthetic_database.DOMAIN.split() if len(word) > 6 and word.isalpha()])
    place = c.chance.randrange(1, len(word) - 2)
    return word[:place] + word[place + 1] + word[place] + word[place + 2 :]


def theirs(c: Corpus) -> dict[str, Address]:
    """Addresses of plain Datasette that correspond to the site's pages."""
    works = "/evidence/works?"
    return {
        "front page": lambda: "/",
        "works": lambda: f"{works}_size={c.chance.randint(50, 100)}",
        "works, facets": lambda: f"{works}_facet=verdict&_facet=year&year__gte={c.chance.randint(1980, 2024)}",
        "search, common word": lambda: f"{works}_search={c.word(COMMON)}",
        "search, some works": lambda: f"{works}_search={c.word(MIDDLE)}",
        "search, rare word": lambda: f"{works}_search={c.word(RARE)}",
        "a work": lambda: f"/evidence/works/{tilde_encode(c.chance.choice(c.dois))}",
        "map as a view": lambda: "/evidence/evidence_map",
        "studies": lambda: f"/evidence/studies?year={c.chance.randint(1980, 2024)}",
        "data": lambda: "/evidence",
    }


SORTED = "_sort_desc=year&_nosuggest=1"
"""What plain Datasette is told so that a list has the site's order; it need not look for facets."""
COUNTED = f"{SORTED}&_size=25&_facet=verdict&_facet=year"
"""The same for a page, with two of the site's facets; the site counts those of the taxonomy too. A whole list it gives in the
order of its keys: sorted by a column with equal values, its pages lose and repeat rows."""
TAGGED = "doi in (select doi from tags where facet = '{}' and value = '{}' and strength <> 'implied')"
CELLS = """
    select a.value as variant, b.value as outcome, count(*) as works from works w
    join tags a on a.doi = w.doi and a.facet = 'variant' and a.strength <> 'implied'
    join tags b on b.doi = w.doi and b.facet = 'outcome' and b.strength <> 'implied'
    where w.verdict = 'include' and w.year >= {} group by 1, 2
"""
STREAMED = "_stream=on&_size=max"
STREAMS = 3
"""Times that a whole list is streamed, whatever the rounds."""


def both(c: Corpus) -> dict[str, Callable[[], tuple[str, str]]]:
    """Addresses of the site and of plain Datasette that give the same rows, by name; those of files begin with `CSV`."""
    works, file = "/evidence/works?", "/evidence/works.csv?"

    def same(form: str, *values: Callable[[], object]) -> Callable[[], str]:
        return lambda: form.format(*(value() for value in values))

    def pair(of_both: Callable[[], str], ours: str, theirs: str) -> Callable[[], tuple[str, str]]:
        def addresses() -> tuple[str, str]:
            said = of_both()
            return f"{ours}{said}", f"{theirs}{said}"

        return addresses

    def tagged(ours: str, theirs: str) -> tuple[str, str]:
        facet, _, value = c.tag("condition").partition(":")
        where = urlencode({"_where": TAGGED.format(facet, value)})
        return f"{ours}verdict=include&_tag={facet}:{value}", f"{theirs}&verdict=include&{where}"

    def cells() -> tuple[str, str]:
        since = c.chance.randint(1980, 2024)
        return f"/map?since={since}", f"/evidence?{urlencode({'sql': CELLS.format(since)})}"

    def year() -> int:
        return c.chance.randint(1980, 2024)

    json, rows = "/evidence/works.json?", "_size=100&_nofacet=1"
    included = same("&verdict=include&year__gte={}", year)
    return {
        "list of works": pair(same("&year__gte={}", year), f"{works}_size=25", works + COUNTED),
        "list of included works": pair(included, f"{works}_size=25", works + COUNTED),
        "list of works with a tag": lambda: tagged(works, works + COUNTED),
        "list, search for a common word": pair(same("&_search={}", lambda: c.word(COMMON)), works, works + COUNTED),
        "list, search for a rare word": pair(same("&_search={}", lambda: c.word(RARE)), works, works + COUNTED),
        "a work": pair(same("/{}", lambda: tilde_encode(c.chance.choice(c.dois))), works[:-1], works[:-1]),
        "map of two facets": cells,
        "reasons of a facet": pair(
            same("facet={}", lambda: c.chance.choice(list(c.tags))),
            "/evidence/reasons?",
            "/evidence/reasons?_nosuggest=1&",
        ),
        "JSON, 100 works": pair(included, json + rows, f"{json}{rows}&{SORTED}"),
        "JSON, 100 works with a tag": lambda: tagged(f"{json}{rows}&", f"{json}{rows}&{SORTED}"),
        "CSV of all works": pair(str, file + STREAMED, file + STREAMED),
        "CSV of included works since a year": pair(included, file + STREAMED, file + STREAMED),
        "CSV of works with a tag": lambda: tagged(f"{file}{STREAMED}&", file + STREAMED),
        "CSV of all tags": pair(str, f"/evidence/tags.csv?{STREAMED}", f"/evidence/tags.csv?{STREAMED}"),
        "CSV of all studies": pair(str, f"/evidence/studies.csv?{STREAMED}", f"/evidence/studies.csv?{STREAMED}"),
    }


def beside(folder: Path, corpus: Corpus, rounds: int, only: str) -> None:
    """Print the table of `both`."""
    copy = str(folder / "evidence.db")
    plain = [sys.executable, "-m", "datasette", "serve", "-i", copy, "--inspect-file", str(folder / "inspect.json")]
    for limit in ("sql_time_limit_ms", "facet_time_limit_ms"):
        plain += ["--setting", limit, "60000"]
    plain += ["--setting", "max_csv_mb", "0"]  # it ends a file at 100 MB without a word, in the middle of 300,000 works
    with served(["sh", str(folder / "start")], environment=True) as site, served(plain, environment=False) as datasette:
        print("\n| | rows | this site | plain Datasette | ratio |\n|---|---|---|---|---|")
        for name, addresses in both(corpus).items():
            if only not in name:
                continue
            is_file = name.startswith("CSV")
            took: tuple[list[float], list[float]] = ([], [])
            lines: tuple[int, int] = (0, 0)
            for number in range(STREAMS if is_file else rounds + 1):
                asked = addresses()
                counted = []
                for server, address, known in zip((site, datasette), asked, took, strict=True):
                    before = server.processor()
                    counted.append(server.lines(address))
                    if number or is_file:  # the first page is the first of its kind
                        known.append(server.processor() - before)
                lines = (counted[0], counted[1])
            if is_file and lines[0] != lines[1]:
                raise SystemExit(f"{name}: {lines[0]:,} lines and {lines[1]:,}")
            ours, theirs = map(statistics.median, took)
            rows = f"{lines[0] - 1:,}" if is_file else ""
            print(f"| {name} | {rows} | {ours:,.0f} ms | {theirs:,.0f} ms | {theirs / ours:.1f} |", flush=True)


class RefusedError(Exception):
    """An error in place of a page, most likely because the time limit of a query was reached."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"refused after {seconds:.1f} s")
        self.seconds = seconds


class Server:
    """A running server on a loopback port."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process, self.port = process, port

    def report(self, pages: dict[str, Address], rounds: int, only: str) -> None:
        """Print a line for each page: first request, p50 and p95 in milliseconds, p50 and p95 of the server's processor time, and
        its size. The first requests of all pages are sent before the others. An error counts with the time it took."""
        wanted = {name: address for name, address in pages.items() if only in name}
        first = {name: self.ask(address()) for name, address in wanted.items()}
        print(f"{'':22}{'first':>9}{'p50':>9}{'p95':>9}{'CPU p50':>10}{'CPU p95':>10}  ms{'kB':>9}{'refused':>9}")
        for name, address in wanted.items():
            took, worked, refused = [], [], 0
            for _ in range(rounds):
                before = self.processor()
                seconds, size = self.ask(address())
                worked.append(self.processor() - before)
                took.append(seconds * 1000)
                refused += size is None
            seconds, size = first[name]
            numbers = (seconds * 1000, statistics.median(took), p95(took), statistics.median(worked), p95(worked))
            columns = "".join(f"{number:{width}.0f}" for number, width in zip(numbers, (9, 9, 9, 10, 10), strict=True))
            print(f"{name:22}{columns}{(size or 0) / 1000:13.0f}{refused or '':>9}", flush=True)
        print(f"memory {self.memory():.0f} MB")

    def ask(self, address: str) -> tuple[float, int | None]:
        """Seconds until the response was complete, and its bytes; None for an error."""
        try:
            return timed(lambda: self.get(address))
        except RefusedError as error:
            return error.seconds, None

    def get(self, address: str) -> int:
        """The bytes of a response; RefusedError unless it is a page or a redirect."""
        start = time.perf_counter()
        conn = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        conn.request("GET", address)
        answer = conn.getresponse()
        size = len(answer.read())
        conn.close()
        if answer.status not in (200, 302):
            raise RefusedError(time.perf_counter() - start)
        return size

    def lines(self, address: str) -> int:
        """The line breaks of a response, which is read as it comes; SystemExit unless it is a page."""
        conn = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        conn.request("GET", address)
        answer = conn.getresponse()
        found = 0
        while chunk := answer.read1(1 << 20):
            found += chunk.count(b"\n")
        conn.close()
        if answer.status != 200:
            raise SystemExit(f"{address}: {answer.status}")
        return found

    def stream(self, name: str, address: str) -> None:
        """Print the rows per second of a CSV (no value here has a line break), the time to the first byte, and the memory before
        and at its peak."""
        before = self.memory()
        conn = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        start, worked = time.perf_counter(), self.processor()
        conn.request("GET", address)
        answer = conn.getresponse()
        lines = size = 0
        first = peak = 0.0
        while chunk := answer.read1(1 << 20):
            first = first or time.perf_counter() - start
            lines += chunk.count(b"\n")
            if size // 10_000_000 != (size + len(chunk)) // 10_000_000:
                peak = max(peak, self.memory())
            size += len(chunk)
        seconds, worked = time.perf_counter() - start, (self.processor() - worked) / 1000
        conn.close()
        print(
            f"{name}: {lines - 1:,} rows, {(lines - 1) / seconds:,.0f} rows/s ({(lines - 1) / worked:,.0f} a second of "
            f"processor), {size / 1e6 / seconds:.0f} MB/s, first byte "
            f"after {first * 1000:.0f} ms, memory {before:.0f} MB, at most {max(peak, self.memory()):.0f} MB",
            flush=True,
        )

    def memory(self) -> float:
        """Resident MB of the server process and its children; `start` is a shell, and the server its child."""
        kilobytes = 0
        for pid in self.pids():
            status = Path(f"/proc/{pid}/status").read_text()
            kilobytes += sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
        return kilobytes / 1000

    def processor(self) -> float:
        """Milliseconds for which the threads of the server and its children have had a processor."""
        nanoseconds = 0
        for pid in self.pids():
            with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
                for thread in Path(f"/proc/{pid}/task").iterdir():
                    nanoseconds += int((thread / "schedstat").read_text().split()[0])
        return nanoseconds / 1e6

    def pids(self) -> list[int]:
        """The process and its descendants."""
        found = [self.process.pid]
        for pid in found:
            with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
                found += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        return found


def p95(values: Sequence[float]) -> float:
    return sorted(values)[min(len(values) - 1, round(0.95 * len(values)))]


@contextmanager
def served(command: list[str], *, environment: bool) -> Iterator[Server]:
    """A server that answers. The port is passed in the environment or as an option. Prints the seconds until it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    told = {"env": {"PORT": str(port), "PATH": "/usr/bin:/bin"}} if environment else {}
    start = time.perf_counter()
    line = command if environment else [*command, "--port", str(port)]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(line, stdout=quiet, stderr=quiet, **told) as process:  # type: ignore[call-overload]
        try:
            while process.poll() is None:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    time.sleep(0.01)
            print(f"answers after {time.perf_counter() - start:.2f} s")
            server = Server(process, port)
            while environment and any(b"warm.py" in Path(f"/proc/{pid}/cmdline").read_bytes() for pid in server.pids()):
                time.sleep(0.1)
            print(f"warm after {time.perf_counter() - start:.2f} s")
            yield server
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def read(db: Path) -> Corpus:
    """A sample of the database, the same at every call."""
    chance = random.Random(7)
    with closing(sqlite3.connect(f"{db.absolute().as_uri()}?immutable=1", uri=True)) as conn:
        count = conn.execute("select max(rowid) from works").fetchone()[0]
        marks = [chance.randint(1, count) for _ in range(500)]
        dois = [
            doi for mark in marks for (doi,) in conn.execute("select doi from works where rowid >= ? limit 1", (mark,))
        ]
        tags: dict[str, list[str]] = {}
        for facet, value in conn.execute("select facet, value from tags group by 1, 2 having count(*) > 20"):
            tags.setdefault(facet, []).append(value)
        conn.execute("create virtual table temp.vocabulary using fts5vocab(main, works_fts, row)")
        words = [
            word
            for (word,) in conn.execute(
                "select term from vocabulary where term glob '[a-z]*' order by doc desc, term limit 2000"
            )
        ]
    return Corpus(dois, tags, words, chance)


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """Seconds that the call took, and its result."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


if __name__ == "__main__":
    main()
