"""Rebuilding after every month of a year gives what the syncs, judgements and decisions of the months made, row for row.

The year is the one of `test_year`, with records that move, vanish and come back, notices, duplicates, rules that are edited, runs
that fail or are killed, and the decisions of two reviewers. EVIDENCE_YEARS is how many random years follow.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from evidence.database import compare_tables
from evidence.harvest import rebuild
from evidence.harvest.progress import NoProgress
from tests.whole import test_year
from tests.whole.test_year import RECORDS, SEED, YEAR, YEARS
from tests.year import Copy


class Rebuilt(test_year.Year):
    """A year in which both copies are rebuilt each month, in place of looking at them."""

    compared = 0

    def look(self, *, exchanged: bool) -> None:
        for copy in (self.ann, self.bob):
            self.rebuild(copy)

    def rebuild(self, copy: Copy) -> None:
        work = self.folder / "rebuilt"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        shutil.copyfile(copy.db, work / "kept.db")
        if copy.ledger.exists():
            shutil.copyfile(copy.ledger, work / "decisions.db")
        rebuild.rebuild(work / "kept.db", work / "decisions.db", copy.book, work / "evidence.db", NoProgress())
        for table in compare_tables.compare_derived(work / "kept.db", work / "evidence.db", same_program=True, show=3):
            assert not table.differ, f"month {self.number}, {copy.who}: {table}"
            self.compared += table.rows

    def publish(self) -> None:
        """Nothing is published."""

    def look_back(self) -> None:
        """Nothing was kept."""


@pytest.mark.slow
def test_every_month_of_a_year_is_rebuilt_identically(tmp_path: Path) -> None:
    year = Rebuilt(tmp_path, RECORDS)
    for happens, how in YEAR:
        test_year.play(year, happens, **how)
    assert year.compared > 10_000


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(SEED, SEED + max(YEARS, 1)))
def test_every_month_of_a_random_year_is_rebuilt_identically(tmp_path: Path, seed: int) -> None:
    year = test_year.random_year(tmp_path, seed, months=12 if YEARS else 6, records=25, kind=Rebuilt)
    assert isinstance(year, Rebuilt) and year.compared > 1_000
