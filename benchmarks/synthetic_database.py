"""Makes a database of synthetic works for benchmarks, with the proportions of a real one.

    python -m benchmarks.synthetic_database evidence.db --works 100000

Shares, lengths and numbers of links were measured on Crossref records about IPT and on the bundled snapshot. Words, titles and
names come from a seeded generator (`Author 17`); tags are those of the taxonomy. The schema is that of `store.open_store`. Rows
are inserted directly, in one transaction, and the full-text index is built at the end.
"""

from __future__ import annotations

import argparse
import itertools
import random
import sqlite3
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from evidence.database.writer import open_store
from evidence.rules import taxonomy

SHARES = {"include": 0.70, "exclude": 0.25, "unsure": 0.05}
WITH_ABSTRACT = 0.70
TAGGED = {
    "variant": (1.00, 1.12), "outcome": (0.66, 1.29), "design": (0.80, 1.18), "condition": (0.87, 1.12),
    "population": (0.56, 1.30), "comparator": (0.34, 1.05), "format": (0.23, 1.05), "problem_area": (0.05, 1.10),
}  # fmt: skip
"""Facet → the share of included works with a tag of it, and the mean number of tags of those works."""

AUTHORS, CITES, SIGHTINGS, REASONS = 3.7, 14.7, 1.75, 2.4
"""Means per work: authors, cited DOIs, sources; and reasons per tag."""
CITED_HERE = 0.35
"""The share of cited DOIs that are works of the database."""
RECORD_BYTES = 3800
"""Length of a raw record: the median of real records, with their reference lists."""
RUNS, SEARCHES, TOPICS = 60, 20, 20_000

DOMAIN = """
    interpersonal psychotherapy depression patients treatment randomised controlled trial outcome symptoms therapy
    adolescents group postpartum women grief anxiety functioning efficacy major depressive disorder session follow-up
    cognitive behavioural medication remission relapse quality life social support scale baseline months care
"""
COLUMNS = """
    doi, title, abstract, authors, container, issued, year, kind, verdict, screened, decided, why, judged_on, notice, language,
    publisher, volume, issue, pages, issn, cited_by, url, first_run, changed_run, basis
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("db", type=Path)
    parser.add_argument("--works", type=int, default=100_000)
    arguments = parser.parse_args()
    start = time.perf_counter()
    make(arguments.db, arguments.works)
    size = arguments.db.stat().st_size / 1e6
    print(f"{arguments.works:,} works, {size:,.0f} MB, {time.perf_counter() - start:.1f} s")


def make(path: Path, count: int, seed: int = 1) -> None:
    """Write a new database with `count` works to `path`; the same seed gives the same rows."""
    path.unlink(missing_ok=True)
    chance = random.Random(seed)
    with open_store(path, path.with_name("synthetic-decisions.db")) as store:
        conn = store.conn
        conn.execute("pragma foreign_keys = off")
        conn.execute("pragma synchronous = off")
        facets = _facets(conn)
        _runs_and_sources(conn, count)
        sentences = _sentences(chance)
        with conn:
            _works(conn, count, chance, sentences)
            _people(conn, count, chance)
            _links(conn, count, chance)
            _tags(conn, count, chance, facets)
            conn.execute("insert into works_fts (works_fts) values ('rebuild')")


def doi(number: int) -> str:
    """The DOI of a work. The prefix varies, so that DOIs are not in the order of the rows."""
    return f"10.{5000 + number * 7919 % 997}/synthetic.{number}"


def _facets(conn: sqlite3.Connection) -> dict[str, list[str]]:
    """Write the facets of the taxonomy to the database; returns facet → values."""
    book = taxonomy.load()
    rows = [
        (facet.facet, value.id, value.label, value.means, position)
        for facet in book.facets
        for position, value in enumerate(facet.values)
    ]
    with conn:
        conn.executemany("insert into facets (facet, value, label, meaning, position) values (?, ?, ?, ?, ?)", rows)
    return {facet.facet: [value.id for value in facet.values] for facet in book.facets}


def _runs_and_sources(conn: sqlite3.Connection, count: int) -> None:
    """Write weekly runs, a reference list of nine citations, searches and their requests."""
    moments = [f"{2025 + run // 52}-{run % 52 // 5 + 1:02}-{run % 28 + 1:02}T03:00:00Z" for run in range(RUNS)]
    with conn:
        conn.executemany(
            "insert into runs (run, started, finished, outcome, door, version) values (?, ?, ?, 'complete', 'crossref', '0')",
            [(run + 1, moment, moment) for run, moment in enumerate(moments)],
        )
        conn.executemany(
            "insert into sources (source, kind, label, spec, first_run) values (?, ?, ?, ?, 1)",
            [("list", "references", "A reference list", '{"citations": []}')]
            + [
                (f"search-{i}", "search", f"Standing search {i}", '{"query": {"bibliographic": "interpersonal"}}')
                for i in range(SEARCHES)
            ],
        )
        conn.executemany(
            """
            insert into requests (run, source, query, filters, asked_at, total, scanned, matched)
            values (?, ?, 'query.bibliographic=interpersonal', '', ?, 1000, 1000, 40)
            """,
            [(run + 1, f"search-{i}", moments[run]) for run in range(RUNS) for i in range(SEARCHES)],
        )
        conn.executemany(
            "insert into citations (source, position, text, doi, status, first_run) values ('list', ?, ?, ?, 'resolved', 1)",
            [(i, f"A citation of work {i}.", doi(i)) for i in range(1, min(10, count))],
        )


def _sentences(chance: random.Random) -> list[str]:
    """Sentences whose words have Zipf frequencies, as in real text."""
    rare = [
        f"{chance.choice('bcdfglmnprst')}{chance.choice('aeiou')}{n:x}{chance.choice('nrst')}" for n in range(30_000)
    ]
    words = DOMAIN.split() + rare
    weights = list(itertools.accumulate(1 / (rank + 8) for rank in range(len(words))))
    return [" ".join(chance.choices(words, cum_weights=weights, k=chance.randint(8, 30))) for _ in range(TOPICS)]


def _works(conn: sqlite3.Connection, count: int, chance: random.Random, sentences: list[str]) -> None:
    verdicts = chance.choices(list(SHARES), list(SHARES.values()), k=count)
    journals = [f"Journal {n}" for n in range(2000)]

    def rows() -> Iterator[tuple[Any, ...]]:
        for n in range(count):
            abstract = (
                ". ".join(chance.choices(sentences, k=chance.randint(5, 16)))
                if chance.random() < WITH_ABSTRACT
                else None
            )
            year = min(2026, 1974 + int(53 * chance.random() ** 0.5))
            first = 1 if chance.random() < 0.8 else chance.randint(2, RUNS)
            yield (
                doi(n), f"{chance.choice(sentences)[:150]} ({n})", abstract,
                ", ".join(f"Author {_author(chance, count)} A" for _ in range(_many(chance, AUTHORS))),
                journals[int(2000 * chance.random() ** 2)], f"{year}-{chance.randint(1, 12):02}", year, "journal-article",
                verdicts[n], verdicts[n], "rule",
                f"{verdicts[n]}: it names the therapy: “interpersonal psychotherapy” in the title.",
                "title+abstract" if abstract else "title",
                chance.choice(("correction", "retraction", "erratum")) if chance.random() < 0.012 else None,
                "en", f"Publisher {n % 300}", str(n % 90), str(n % 12), f"{n % 900}-{n % 900 + 12}", "1234-5679",
                int(chance.expovariate(1 / 25)), f"https://doi.org/{doi(n)}", first,
                first if chance.random() < 0.9 else chance.randint(first, RUNS), "0123456789abcdef",
            )  # fmt: skip

    marks = ", ".join("?" * len(COLUMNS.split(",")))
    conn.executemany(f"insert into works ({COLUMNS}) values ({marks})", rows())
    conn.execute(
        "insert into notices (doi, kind, notice_doi, stands_on, relation, issued, source, evidence) "
        "select doi, notice, doi || '.notice', doi, 'own', issued, 'publisher', 'updated-by' from works "
        "where notice is not null"
    )
    filler = "x" * RECORD_BYTES
    conn.execute(
        """
        insert into snapshots (doi, version, digest, message, first_run)
        select doi, 1, 'd' || rowid, json_object('DOI', doi, 'text', ?), first_run from works
        """,
        (filler,),
    )


def _people(conn: sqlite3.Connection, count: int, chance: random.Random) -> None:
    people = max(10, int(count * 1.5))
    conn.executemany(
        "insert into authors (author, name, family, given, orcid, kind) values (?, ?, ?, 'A', null, 'person')",
        ((f"Author {n}, A", f"Author {n}, A", f"Author {n}") for n in range(people)),
    )
    conn.executemany(
        "insert into work_authors (doi, position, author, credited, family, given, role) values (?, ?, ?, ?, ?, 'A', 'author')",
        (
            (doi(n), position, f"Author {a}, A", f"Author {a} A", f"Author {a}")
            for n in range(count)
            for position in range(1, _many(chance, AUTHORS) + 1)
            for a in (_author(chance, count),)
        ),
    )


def _links(conn: sqlite3.Connection, count: int, chance: random.Random) -> None:
    def cites() -> Iterator[tuple[str, str]]:
        for n in range(count):
            if chance.random() < 0.4:
                for _ in range(_many(chance, CITES / 0.4)):
                    # A few works are cited by many: the power favours low numbers.
                    here = chance.random() < CITED_HERE
                    yield (
                        doi(n),
                        doi(int(count * chance.random() ** 3)) if here else f"10.1/{int(3e6 * chance.random() ** 2)}",
                    )

    conn.executemany("insert or ignore into cites (doi, cited, asserted_by) values (?, ?, 'publisher')", cites())
    conn.executemany(
        "insert or ignore into sightings (source, doi, via, rank, score, first_run) values (?, ?, 'search', ?, ?, 1)",
        (
            (f"search-{chance.randrange(SEARCHES)}", doi(n), n % 1000 + 1, 40.0)
            for n in range(count)
            for _ in range(_many(chance, SIGHTINGS))
        ),
    )


def _tags(conn: sqlite3.Connection, count: int, chance: random.Random, facets: dict[str, list[str]]) -> None:
    weights = {facet: [1 / (rank + 1) for rank in range(len(values))] for facet, values in facets.items()}
    kept = {d for (d,) in conn.execute("select doi from works where verdict <> 'exclude'")}

    def tags() -> Iterator[tuple[str, str, str]]:
        for name in (name for name in map(doi, range(count)) if name in kept):
            for facet, (share, many) in TAGGED.items():
                if chance.random() < share:
                    times = 1 if chance.random() > many - 1 else 2
                    for value in set(chance.choices(facets[facet], weights[facet], k=times)):
                        yield name, facet, value

    def reasons(tagged: Iterable[tuple[str, str, str]]) -> Iterator[tuple[Any, ...]]:
        for name, facet, value in tagged:
            for place in range(_many(chance, REASONS)):
                yield name, facet, value, f"{value}-by-name", "title", 12 * place, 12 * place + 11, "interpersonal"

    made = list(tags())
    conn.executemany("insert into tags (doi, facet, value, decided) values (?, ?, ?, 'rule')", made)
    conn.executemany("insert into reasons values (?, ?, ?, ?, ?, ?, ?, ?)", reasons(made))


def _author(chance: random.Random, count: int) -> int:
    """The number of an author; a few authors have many works."""
    return int(max(10, count * 1.5) * chance.random() ** 2)


def _many(chance: random.Random, mean: float) -> int:
    """A random number of at least one, `mean` on average, with a long tail."""
    return 1 + int(chance.expovariate(1 / (mean - 0.5)))


if __name__ == "__main__":
    main()
