"""A small public data file of Crossref, and what a backfill of it gives."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evidence.data_model import Message
from evidence.harvest.backfill import BackfillCounts
from evidence.harvest.run_outcome import Outcome
from tests.builders import FONAGY, LIPSITZ, MALARIA, MARKOWITZ, STANGIER, message
from tests.whole.test_crash import contents

Run = Callable[..., tuple[Outcome, BackfillCounts]]

NOISE = [message(f"10.5555/noise.{n}", f"Interpersonal violence in district {n}", 1990 + n % 30) for n in range(40)]
FIELD = [message(f"10.5555/ipt.{n}", f"Interpersonal psychotherapy in setting {n}", 1980 + n) for n in range(12)]
OLD = message("10.5555/old", "Interpersonal psychotherapy before its years", 1960)
CITING = message(
    "10.5555/citing", "A review", 2015, reference=[{"key": "1", "article-title": "Interpersonal psychotherapy"}]
)
ALL = [*NOISE[:20], LIPSITZ, FONAGY, OLD, *FIELD[:6], CITING, *NOISE[20:], MARKOWITZ, STANGIER, MALARIA, *FIELD[6:]]


def now() -> datetime:
    return datetime(2026, 11, 24, 12, tzinfo=UTC)


def lines(records: Iterable[Message]) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def works(folder: Path) -> dict[str, Any]:
    """What a database has, but for which files were read."""
    return {table: rows for table, rows in contents(folder).items() if table != "backfilled_files"}
