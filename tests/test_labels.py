"""The labels that the weights are learnt from and tested on. It reads no text: the repository has none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evidence.rules import taxonomy
from evidence.rules.decide import RIVAL_SIGNS
from evidence.rules.signs import NAMES

ROOT = Path(__file__).parents[1]
LABELS = sorted((ROOT / "tests" / "labels").glob("*.jsonl"))
FIELDS = {"id", "doi", "title", "relevant", "relevant_second_reader", "labels", "labels_second_reader"}
TEST = [path for path in LABELS if path.stem.startswith("first_sight")]
"""The files of the works that nothing is learnt from."""


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("path", LABELS, ids=lambda path: path.stem)
def test_each_label_names_a_value_and_no_abstract_is_kept(path: Path) -> None:
    known = {facet.facet: {"none", *(value.id for value in facet.values)} for facet in taxonomy.load().facets}
    found = rows(path)
    assert found and len({row["id"] for row in found}) == len(found)
    for row in found:
        assert set(row) <= FIELDS, row["id"]
        for reader in ("labels", "labels_second_reader"):
            for facet, values in row.get(reader, {}).items():
                assert set(values) <= known[facet], f"{row['id']}: {facet}"


@pytest.mark.parametrize("path", TEST, ids=lambda path: path.stem)
def test_two_readers_labelled_each_work_of_the_test(path: Path) -> None:
    assert all(row["labels"] and row["labels_second_reader"] for row in rows(path))


def test_no_work_is_both_learnt_from_and_tested() -> None:
    names: dict[bool, set[str]] = {True: set(), False: set()}
    for path in LABELS:
        for row in rows(path):
            names[path in TEST] |= {row["title"].casefold().strip(), (row["doi"] or row["title"]).casefold()}
    assert names[True] and names[False] and not names[True] & names[False]


def test_value_weights_are_of_values_and_signs_that_exist() -> None:
    book = taxonomy.load()
    known = {facet.facet: {value.id for value in facet.values} for facet in book.facets}
    weights = json.loads((book.topic.folder / "value_weights.json").read_text(encoding="utf-8"))
    for facet, models in weights.items():
        for model in models:
            assert {*model["words"], *model["title_words"], *model["values"]} <= known[facet], facet
            assert set(model["signs"]) <= set(NAMES)
            beside = model.get("beside", {})
            assert {*beside, *(other for of_value in beside.values() for other in of_value)} <= known[facet]
            assert len(model.get("rivals", [])) == (1 + len(RIVAL_SIGNS) if beside else 0)
            assert all(len(row) == len(model["values"]) for row in model["signs"].values())
    assert sum(bool(model["signs"]) for models in weights.values() for model in models) > len(known)
