"""The measured accuracy of the rules, as published: one table in the repository, which the site shows on its method page.

`scripts/measure.py` makes the table from labelled sets; this room turns measurements into rows and reads them back. It
measures nothing itself, and it never rounds in the rules' favour: counts stand beside every figure.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from evidence.evaluation.screening import Count, Screening, Tagging, Trials
from evidence.rules.taxonomy import FACETS

TABLE = Path(__file__).with_name("accuracy.csv")


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. `precision` is `right` of `said`, `recall` is `found` of `sought`; empty over nothing."""

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


def screening(measured: Iterable[Screening], labelled: str, rules: str) -> Iterator[Figure]:
    """Lines of a screening measurement, one for each kind of text there was to judge."""
    for part in measured:
        note = f"{part.unsure} of {part.rows} wait for a person; {part.relevant_excluded} relevant excluded"
        yield _figure("screening", part.basis, labelled, part.counts, part.counts, note, rules)


def trials(measured: Trials, labelled: str, rules: str) -> Figure:
    """The line of a measurement of randomised trials."""
    return _figure("randomised trial", "", labelled, measured.counts, measured.counts, "any field of medicine", rules)


def tags(measured: Tagging, labelled: str, rules: str) -> Iterator[Figure]:
    """Lines of a measurement of tags: each facet as a whole, then its values."""
    note = "precision against what either reader gave, recall of what both gave"
    for facet in FACETS:
        pairs = [(value, *pair) for (of, value), pair in measured.values.items() if of == facet]
        said = Count(sum(p.right for _, p, _ in pairs), sum(p.wrong for _, p, _ in pairs))
        sought = Count(sum(r.right for _, _, r in pairs), 0, sum(r.missed for _, _, r in pairs))
        yield _figure(facet, "", labelled, said, sought, note, rules)
        for value, precision, recall in sorted(pairs):
            yield _figure(facet, value, labelled, precision, recall, "", rules)


def write(figures: Iterable[Figure], path: Path = TABLE) -> None:
    """Write the table."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in fields(Figure))
        writer.writerows(astuple(figure) for figure in figures)


def read(path: Path = TABLE) -> tuple[Figure, ...]:
    """The published table; empty where none was made."""
    if not path.exists():
        return ()
    counts = {"right", "said", "found", "sought"}
    with path.open(encoding="utf-8", newline="") as file:
        rows = [{k: int(v) if k in counts else v for k, v in row.items()} for row in csv.DictReader(file)]
    return tuple(Figure(**row) for row in rows)  # type: ignore[arg-type]


def _figure(question: str, value: str, labelled: str, said: Count, sought: Count, note: str, rules: str) -> Figure:
    return Figure(
        question,
        value,
        labelled,
        _share(said.precision),
        _share(sought.recall),
        said.right,
        said.right + said.wrong,
        sought.right,
        sought.right + sought.missed,
        note,
        rules,
    )


def _share(value: float | None) -> str:
    return "" if value is None else f"{int(value * 1000) / 1000:.3f}"
