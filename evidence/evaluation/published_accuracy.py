"""The published accuracy of the rules: one table beside the rules of a topic, `accuracy.csv`, shown on the method page.

`scripts/measure_accuracy.py` makes the table from labelled sets. This module turns measurements into rows, writes the table
and reads it. It may not measure anything. Figures are rounded down, and the counts behind each are in the same row.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from evidence.evaluation.metrics import Counts, rounded_down
from evidence.evaluation.screening_and_tagging_accuracy import Screening, Tagging, Trials
from evidence.rules import topic

TABLE = topic.SHIPPED / topic.DEFAULT / topic.ACCURACY_FILE


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the table; the fields are its columns. `precision` is `right` of `said`, `recall` is `found` of `sought`,
    both with three decimals and empty over nothing. `labelled` describes the labelled set, `rules` is the taxonomy's digest."""

    question: str
    value: str
    labelled: str
    precision: str
    recall: str
    right: int
    said: int
    found: int
    sought: int
    note: str
    rules: str


def screening_figures(measured: Iterable[Screening], labelled: str, rules: str) -> Iterator[Figure]:
    """The rows of a screening measurement, one for each kind of record."""
    for part in measured:
        note = f"{part.unsure} of {part.rows} waiting for a decision; {part.relevant_excluded} relevant excluded"
        yield _figure("screening", part.basis, labelled, part.counts, part.counts, note, rules)


def trial_figure(measured: Trials, labelled: str, rules: str) -> Figure:
    """The row of a measurement of randomised trials."""
    return _figure("randomised trial", "", labelled, measured.counts, measured.counts, "any field of medicine", rules)


def tag_figures(measured: Tagging, labelled: str, rules: str) -> Iterator[Figure]:
    """The rows of a measurement of tags: each facet as a whole, then its values."""
    note = "precision counts a tag as correct if either reader gave it; recall counts the tags that both gave"
    for facet in measured.facets:
        pairs = [(value, *pair) for (of, value), pair in measured.values.items() if of == facet]
        yield _figure(facet, "", labelled, *measured.facet_counts(facet), note, rules)
        for value, precision, recall in sorted(pairs):
            yield _figure(facet, value, labelled, precision, recall, "", rules)


def write_table(figures: Iterable[Figure], path: Path = TABLE) -> None:
    """Write the table."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in fields(Figure))
        writer.writerows(astuple(figure) for figure in figures)


def read_table(path: Path = TABLE) -> tuple[Figure, ...]:
    """The rows of the published table; empty when there is no table."""
    if not path.exists():
        return ()
    counts = {"right", "said", "found", "sought"}
    with path.open(encoding="utf-8", newline="") as file:
        rows = [{k: int(v) if k in counts else v for k, v in row.items()} for row in csv.DictReader(file)]
    return tuple(Figure(**row) for row in rows)  # type: ignore[arg-type]


def _figure(question: str, value: str, labelled: str, given: Counts, expected: Counts, note: str, rules: str) -> Figure:
    return Figure(
        question,
        value,
        labelled,
        rounded_down(given.precision),
        rounded_down(expected.recall),
        given.right,
        given.given,
        expected.right,
        expected.expected,
        note,
        rules,
    )
