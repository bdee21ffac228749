"""Measure `evidence check-references` on the reference benchmark.

    python scripts/measure_references.py [--every N]

Each citation is checked against an index of the works in `benchmarks/references/index.txt`, as if that were all of Crossref.
Prints, for each kind of citation, how often each verdict was given, and the share of right ones with its 95 % interval.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from evidence.crossref.entries_of_files import read_records
from evidence.crossref.normalise import doi_of
from evidence.evaluation.metrics import wilson
from evidence.harvest import check_references
from evidence.harvest.check_references import CheckedReference
from evidence.references.given_reference import GivenReference
from evidence.rules import topic

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks" / "references"

NAMED: Mapping[str, frozenset[str]] = {
    "authors of another": frozenset({"author"}),
    "year seven off": frozenset({"year"}),
    "place of another": frozenset({"volume", "page"}),
    "a year early": frozenset({"year"}),
    "another last page": frozenset({"page"}),
}
"""For each kind of citation that is wrong and still means the same work: the fields of which at least one must be named."""


def citations() -> list[dict[str, Any]]:
    """The rows of the benchmark."""
    with gzip.open(FOLDER / "citations.jsonl.gz", "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def is_right(row: Mapping[str, Any], checked: CheckedReference) -> bool:
    """Whether the verdict is the one that the kind of citation calls for."""
    found = checked.work.doi if checked.work else None
    kind = row["kind"]
    clean = checked.verdict == "found" or (checked.verdict == "retracted" and not checked.errors)
    if kind in ("right", "right, no DOI"):
        return clean and found == row["truth"]
    if kind in NAMED:
        fields = {error.field for error in checked.errors}
        return bool(fields & NAMED[kind]) and found == row["truth"]
    if kind == "absent from the index":
        return found is None
    return checked.verdict == "other-work"


def measured(every: int = 1) -> dict[str, tuple[Counter[str], int, int]]:
    """By kind: the verdicts, how many are right, and how many there are."""
    rows = citations()[::every]
    index = set((FOLDER / "index.txt").read_text(encoding="utf-8").split())
    with TemporaryDirectory() as folder:
        file = Path(folder) / "index.jsonl"
        with file.open("w", encoding="utf-8") as out:
            for message in read_records(topic.load().records_path):
                if isinstance(message, dict) and doi_of(message) in index:
                    out.write(json.dumps(message) + "\n")
        given = [GivenReference(number, row["text"]) for number, row in enumerate(rows, start=1)]
        checked = check_references.run(given, files=[file])
    verdicts: dict[str, Counter[str]] = defaultdict(Counter)
    right: Counter[str] = Counter()
    for row, one in zip(rows, checked, strict=True):
        verdicts[row["kind"]][one.verdict] += 1
        right[row["kind"]] += is_right(row, one)
    return {kind: (counts, right[kind], counts.total()) for kind, counts in verdicts.items()}


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1, help="only every Nth citation")
    for kind, (verdicts, right, number) in measured(parser.parse_args().every).items():
        low, high = wilson(right, number) or (0.0, 0.0)
        shown = ", ".join(f"{name} {count}" for name, count in verdicts.most_common())
        print(f"{kind}: {right} of {number} right ({right / number:.1%}, {low:.1%} to {high:.1%}); {shown}")


if __name__ == "__main__":
    main()
