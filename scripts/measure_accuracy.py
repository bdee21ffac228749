"""Measures the rules on labelled records and writes evidence/topics/ipt/accuracy.csv, which the site shows.

    python scripts/measure_accuracy.py [FOLDER]        # default: ../shared/data

Run it after every change of a rule; a test fails when the table was made with other rules. `--check` compares and writes nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from evidence.evaluation import published_accuracy, screening_and_tagging_accuracy
from evidence.evaluation.published_accuracy import Figure
from evidence.rules import taxonomy
from evidence.rules.taxonomy import Taxonomy

LABELLED = "ipt-labelled.csv"
BIBLIOGRAPHY = "ipt-bibliography.jsonl"
TRIALS = "rct-labelled.csv"
SETS = {
    LABELLED: "2,849 records of trial databases, labelled by their sources",
    BIBLIOGRAPHY: "263 works on IPT or similar therapies, labelled by two readers",
    TRIALS: "527 MEDLINE records with publication types",
}


def figures(folder: Path, rules: Taxonomy) -> Iterator[Figure]:
    """The rows of the table."""
    labelled, works, trials = (screening_and_tagging_accuracy.labelled_records(_find(folder, name)) for name in SETS)
    yield from published_accuracy.screening_figures(
        screening_and_tagging_accuracy.measure_screening(labelled, rules), SETS[LABELLED], rules.digest
    )
    yield from published_accuracy.screening_figures(
        screening_and_tagging_accuracy.measure_screening(works, rules), SETS[BIBLIOGRAPHY], rules.digest
    )
    yield published_accuracy.trial_figure(
        screening_and_tagging_accuracy.measure_trials(trials, rules), SETS[TRIALS], rules.digest
    )
    yield from published_accuracy.tag_figures(
        screening_and_tagging_accuracy.measure_tagging(works, rules), SETS[BIBLIOGRAPHY], rules.digest
    )


def _find(folder: Path, name: str) -> Path:
    packed = folder / f"{name}.gz"
    return packed if packed.exists() else folder / name


def main() -> None:
    arguments = [a for a in sys.argv[1:] if a != "--check"]
    folder = Path(arguments[0]) if arguments else Path(__file__).parents[2] / "shared" / "data"
    made = tuple(figures(folder, taxonomy.load()))
    if "--check" in sys.argv:
        raise SystemExit(
            0
            if made == published_accuracy.read_table()
            else "evidence/topics/ipt/accuracy.csv is not what the rules measure today"
        )
    published_accuracy.write_table(made)
    print(f"{published_accuracy.TABLE.name}: {len(made)} lines")


if __name__ == "__main__":
    main()
