"""The cost of judging a large database again after an edit of a rule, as a ratio to searching plain regular expressions.

    python -m benchmarks.rejudge_after_edit [--works 100000]

The database is synthetic (`benchmarks.synthetic_database`) and is marked as judged by the bundled rules; then a rule of one
value gets another term. The floor is measured in the same run: read every title and abstract, and search one compiled
regular expression for each value of the taxonomy.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sqlite3
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import evidence
from benchmarks import synthetic_database
from evidence import __version__
from evidence.database.writer import open_store
from evidence.harvest import rejudge
from evidence.harvest.locked_run import rejudge_database
from evidence.rules import taxonomy

LIMIT = 60.0
"""Highest acceptable number of seconds."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--works", type=int, default=100_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        db = Path(folder) / "evidence.db"
        synthetic_database.make(db, arguments.works)
        book = taxonomy.load()
        with open_store(db) as store:
            basis = rejudge.basis(book, ())
            store.set_rule_digests(basis, __version__, book.value_digests)
            store.conn.execute("update works set basis = ?", (basis,))
            store.conn.commit()
        rules = Path(folder) / "ipt"
        shutil.copytree(Path(evidence.__file__).parent / "topics" / "ipt", rules)
        outcome = rules / "outcome.yaml"
        written = outcome.read_text(encoding="utf-8")
        assert "any: [" in written
        outcome.write_text(written.replace("any: [", "any: [follow-up, ", 1), encoding="utf-8")
        edited = taxonomy.load(rules)
        start = time.perf_counter()
        count, _ = rejudge_database(db, Path(folder) / "decisions.db", edited, lambda: datetime.now(UTC))
        ours = time.perf_counter() - start
        with sqlite3.connect(db) as conn:
            written = conn.execute(
                "select count(*) from works where changed_run = (select max(run) from runs)"
            ).fetchone()[0]
        conn.close()
        floor = floor_seconds(db, [value.label for facet in book.facets for value in facet.values])
    touched = len(edited.values_changed_since(book.value_digests))
    print(
        f"{count} works judged again in {ours:.1f} s (at most {LIMIT:.0f}), {touched} values affected, {written} works changed"
    )
    print(f"floor (reading, one regex per value): {floor:.1f} s; ratio {ours / floor:.2f}")


def floor_seconds(db: Path, labels: list[str]) -> float:
    """Seconds for reading every text and searching it for the label of every value."""
    patterns = [re.compile(re.escape(label.split(" (")[0]), re.IGNORECASE) for label in labels]
    start = time.perf_counter()
    with sqlite3.connect(db) as conn:
        for title, abstract in conn.execute("select title, abstract from works"):
            text = f"{title or ''}\n{abstract or ''}"
            for pattern in patterns:
                pattern.search(text)
    conn.close()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
