"""The time to judge a large database again after an edit of one word list, beside that of searching plain regular expressions.

    python -m benchmarks.rejudge_after_edit [--works 100000]

The database is synthetic (`benchmarks.synthetic_database`) and is marked as judged by the bundled taxonomy; then one outcome gets
another word, and after that this word is exchanged for another. The floor is measured in the same run: read every title and
abstract, and search one compiled regular expression for each value of the taxonomy.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import synthetic_database
from evidence import __version__
from evidence.database.writer import open_store
from evidence.harvest.judge_records import basis as basis_of
from evidence.harvest.locked_run import rejudge_database
from evidence.rules import taxonomy, topic

LIMIT = 60.0
"""Highest acceptable number of seconds."""

RARE, FREQUENT = "self-compassion", "follow-up"
"""Words that hardly any work has, as most new synonyms are, and that a third of the works have: these are read anew."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--works", type=int, default=100_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        db = Path(folder) / "evidence.db"
        synthetic_database.make(db, arguments.works)
        book = taxonomy.load()
        with open_store(db) as store:
            basis = basis_of(book, ())
            store.set_rule_marks(basis, __version__, book.value_marks)
            store.conn.execute("update works set basis = ?", (basis,))
            store.conn.commit()
        # The first pass finds the duplicates of the synthetic database, which a sync would have found before. It is not counted.
        settling = taxonomy.load(edited_topic(Path(folder) / "settling", "settling"))
        rejudge_database(db, Path(folder) / "decisions.db", settling, lambda: datetime.now(UTC))
        missed = False
        for word in (RARE, FREQUENT):
            edited = taxonomy.load(edited_topic(Path(folder) / word, word))
            start = time.perf_counter()
            count, _ = rejudge_database(db, Path(folder) / "decisions.db", edited, lambda: datetime.now(UTC))
            ours = time.perf_counter() - start
            missed |= ours > LIMIT * max(1.0, arguments.works / 100_000)
            print(
                f"{count} works judged again in {ours:.1f} s (at most {LIMIT:.0f} for 100,000), {holding(db, word)} hold “{word}”"
            )
        floor = floor_seconds(db, [value.label for facet in book.facets for value in facet.values])
    print(f"floor (reading, one regex per value): {floor:.1f} s")
    sys.exit(missed)


def holding(db: Path, word: str) -> int:
    """How many works have this word."""
    with closing(sqlite3.connect(db)) as conn:
        sql = "select count(*) from works where title || ' ' || coalesce(abstract, '') like ?"
        found: int = conn.execute(sql, (f"%{word}%",)).fetchone()[0]
        return found


def edited_topic(folder: Path, word: str) -> Path:
    """A copy of the bundled topic in which the first outcome has this word too."""
    shutil.copytree(topic.load().folder, folder)
    file = folder / topic.load().facet("outcome").path.name
    written = file.read_text(encoding="utf-8")
    edited = re.sub(r"words:\s*(\[|\n\s*- )", lambda found: f"{found[0]}{word}{_after(found[0])}", written, count=1)
    assert edited != written
    file.write_text(edited, encoding="utf-8")
    return folder


def _after(opening: str) -> str:
    """What separates the first entry of a list, opened like this, from the next."""
    return ", " if opening.endswith("[") else opening[opening.index("\n") :]


def floor_seconds(db: Path, labels: list[str]) -> float:
    """Seconds for reading every text and searching it for the label of every value."""
    patterns = [re.compile(re.escape(label.split(" (")[0]), re.IGNORECASE) for label in labels]
    start = time.perf_counter()
    with closing(sqlite3.connect(db)) as conn:
        for title, abstract in conn.execute("select title, abstract from works"):
            text = f"{title or ''}\n{abstract or ''}"
            for pattern in patterns:
                pattern.search(text)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
