"""Texts that readers have labelled, for training and measuring: labels from this repository, texts from a folder that you bring.

The repository holds DOIs, titles and labels (tests/labels), and no abstract. `Texts` looks for the texts by DOI and title in the
CSV and JSON Lines files of a folder, gzipped or not.
"""

from __future__ import annotations

import csv
import gzip
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from evidence.evaluation.screening_and_tagging_accuracy import LabelledRecord, labelled_records

LABELS = Path(__file__).resolve().parents[1] / "tests" / "labels"
GENUINE = "reading/genuine-labelled.jsonl.gz"
BIBLIOGRAPHY = "ipt-bibliography.jsonl.gz"
TRIALS = "rct-labelled.csv.gz"
LONGEST_FIELD = 10**9
"""Characters that a field of a CSV file may have; Python's own limit is less than some abstracts have."""
OF_THE_TOPIC = frozenset({"comparator"})
"""Facets that are labelled in some sets only for studies of the topic."""


class Texts:
    """The abstracts in the files of a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def _abstracts(self) -> Mapping[str, str]:
        found: dict[str, str] = {}
        for path in sorted(self.folder.rglob("*")):
            if ".csv" in path.suffixes or ".jsonl" in path.suffixes:
                for record in _records(path):
                    if record.get("abstract_form"):
                        continue  # it says how the publisher's abstract was rewritten
                    abstract, title = record.get("abstract"), record.get("title")
                    if isinstance(abstract, str) and abstract and isinstance(title, str):
                        found.setdefault(_folded(title), abstract)
                        if record.get("doi"):
                            found.setdefault(str(record["doi"]).lower(), abstract)
        return found

    def labelled(self, name: str) -> list[LabelledRecord]:
        """The labelled records of tests/labels/NAME.jsonl whose texts are there."""
        found = []
        for row in labelled_records(LABELS / f"{name}.jsonl"):
            title = row.work.title or ""
            abstract = self._abstracts.get(row.work.doi) or self._abstracts.get(_folded(title))
            if abstract:
                found.append(replace(row, work=replace(row.work, abstract=abstract)))
        return found

    def genuine(self) -> list[LabelledRecord]:
        """Genuine abstracts of psychotherapy studies. The comparator counts only where both readers say that the study is about
        IPT; other studies have no variant."""
        return [
            row if all(row.relevant) else replace(row, relevant=(), readers=_without(row.readers, OF_THE_TOPIC))
            for row in labelled_records(self.folder / GENUINE)
        ]

    def bibliography(self) -> list[LabelledRecord]:
        """Works on IPT with their titles; the abstracts are condensed paraphrases."""
        return [
            row
            for row in labelled_records(self.folder / BIBLIOGRAPHY)
            if len(row.readers) == 2 and row.relevant and all(row.relevant) and row.work.title
        ]

    def trials(self) -> list[LabelledRecord]:
        """Records of any field of medicine that MEDLINE indexes as randomised trials or not, without those measured at first
        sight."""
        kept_apart = {_folded(row.work.title or "") for row in labelled_records(LABELS / "first_sight.jsonl")}
        return [
            row for row in labelled_records(self.folder / TRIALS) if _folded(row.work.title or "") not in kept_apart
        ]


def count_labels(name: str) -> int:
    """How many records tests/labels/NAME.jsonl has."""
    return len(labelled_records(LABELS / f"{name}.jsonl"))


def titles_alone(rows: Iterable[LabelledRecord]) -> list[LabelledRecord]:
    """The same records without their abstracts."""
    return [replace(row, work=replace(row.work, abstract=None)) for row in rows if row.work.title]


def _without(
    readers: Iterable[Mapping[str, frozenset[str]]], facets: frozenset[str]
) -> tuple[dict[str, frozenset[str]], ...]:
    return tuple({facet: values for facet, values in reader.items() if facet not in facets} for reader in readers)


def _records(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        if ".csv" in path.suffixes:
            limit = csv.field_size_limit(LONGEST_FIELD)
            try:
                yield from csv.DictReader(file)
            finally:
                csv.field_size_limit(limit)
        else:
            yield from (record for line in file if line.strip() and isinstance(record := json.loads(line), dict))


def _folded(title: str) -> str:
    return re.sub(r"\W+", "", title.lower())
