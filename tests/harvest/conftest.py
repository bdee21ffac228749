"""A small public data file of Crossref, and a backfill of it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from evidence.harvest.backfill import BackfillCounts, run_backfill
from evidence.harvest.progress import NoProgress
from evidence.harvest.run_outcome import Outcome
from evidence.harvest.sources import Config
from evidence.rules.taxonomy import Taxonomy
from tests.backfill_files import ALL, Run, lines, now


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A public data file in five parts of every shape."""
    folder = tmp_path / "crossref"
    folder.mkdir()
    parts = [ALL[start : start + 13] for start in range(0, len(ALL), 13)]
    (folder / "0.jsonl.gz").write_bytes(gzip.compress(lines(parts[0])))
    (folder / "1.jsonl").write_bytes(lines(parts[1]))
    (folder / "2.json.gz").write_bytes(gzip.compress(json.dumps({"items": parts[2]}).encode()))
    (folder / "3.json").write_text(json.dumps({"items": parts[3]}, indent=2))
    (folder / "4.json").write_text(json.dumps(parts[4]))
    return folder


@pytest.fixture
def go(tmp_path: Path, book: Taxonomy, small: Config) -> Run:
    def run(
        paths: Any, name: str = "a", config: Config = small, workers: int = 1, **more: Any
    ) -> tuple[Outcome, BackfillCounts]:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        given = [paths] if isinstance(paths, Path | str) else paths
        db, ledger = folder / "evidence.db", folder / "decisions.db"
        return run_backfill(db, ledger, config, book, now, NoProgress(), given, workers=workers, **more)

    return run
