"""The level that `scripts/measure_references.py` measured holds on a part of the benchmark, and its script makes its file."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
import make_reference_benchmark
import measure_references


@pytest.mark.slow
def test_every_kind_of_citation_gets_its_verdict() -> None:
    figures = measure_references.measured(every=25)
    assert set(figures) == {row["kind"] for row in measure_references.citations()}
    wrong = {kind: number - right for kind, (_, right, number) in figures.items() if right < number}
    assert sum(wrong.values()) <= 1, wrong


@pytest.mark.slow
def test_the_script_makes_the_file() -> None:
    assert list(make_reference_benchmark.rows()) == measure_references.citations()
