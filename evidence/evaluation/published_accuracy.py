"""The published accuracy of the rules: one table beside the rules of a topic, `accuracy.csv`, shown on the method page.

`scripts/measure_accuracy.py` makes the table from labelled sets. This module turns measurements into rows, writes the table
and reads it. It may not measure anything. Figures are rounded down, and the counts behind each are in the same row.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import get_args

from evidence.data_model import Strength
from evidence.evaluation.metrics import Counts, rounded_down, wilson
from evidence.evaluation.screening_and_tagging_accuracy import (
    LabelledRecord,
    Screening,
    Trials,
    measure_tagging,
)
from evidence.rules import topic
from evidence.rules.taxonomy import Taxonomy

TAGS_NOTE = "precision counts a tag as correct if either reader gave it; recall counts the tags that both gave"
TABLE = topic.SHIPPED / topic.DEFAULT / topic.ACCURACY_FILE


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the table; the fields are its columns. `precision` is `right` of `said`, `recall` is `found` of `sought`,
    both with three decimals and empty over nothing; `precision_range` and `recall_range` are their 95 % confidence intervals
    (`0.812-0.901`). `strength` is empty for the tags that lists show, or the one strength that the row counts. `labelled`
    describes the labelled set, `rules` is the taxonomy's digest."""

    question: str
    value: str
    strength: str
    labelled: str
    precision: str
    recall: str
    precision_range: str
    recall_range: str
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


def tag_figures(
    rows: Sequence[LabelledRecord], taxonomy: Taxonomy, labelled: str, facets: Collection[str]
) -> Iterator[Figure]:
    """The rows of a measurement of tags: each of these facets as a whole, by strength, then its values."""
    shown = measure_tagging(rows, taxonomy)
    by_strength = {strength: measure_tagging(rows, taxonomy, [strength]) for strength in get_args(Strength)}
    for facet in shown.facets:
        if facet not in facets:
            continue
        pairs = [(value, *pair) for (of, value), pair in shown.values.items() if of == facet]
        yield _figure(facet, "", labelled, *shown.facet_counts(facet), TAGS_NOTE, taxonomy.digest)
        for strength, measured in by_strength.items():
            given, _ = measured.facet_counts(facet)
            yield _figure(facet, "", labelled, given, Counts(), "", taxonomy.digest, strength)
        for value, precision, recall in sorted(pairs):
            yield _figure(facet, value, labelled, precision, recall, "", taxonomy.digest)


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


def measured_earlier(figures: Iterable[Figure], rules: str) -> list[str]:
    """The labelled sets that were measured with other rules than these (a digest): their texts were not at hand since."""
    return sorted({figure.labelled for figure in figures if figure.rules != rules})


def _figure(
    question: str, value: str, labelled: str, given: Counts, expected: Counts, note: str, rules: str, strength: str = ""
) -> Figure:
    return Figure(
        question,
        value,
        strength,
        labelled,
        rounded_down(given.precision),
        rounded_down(expected.recall),
        _range(given.right, given.given),
        _range(expected.right, expected.expected),
        given.right,
        given.given,
        expected.right,
        expected.expected,
        note,
        rules,
    )


def _range(part: int, whole: int) -> str:
    interval = wilson(part, whole)
    return "" if interval is None else f"{rounded_down(interval[0])}-{rounded_down(interval[1])}"
