"""What edited rules change in the tags: every tag that comes, goes or changes its strength, and a count for each value."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from evidence.export import tag_changes


def tag(doi: str, value: str, strength: str = "stated", how: str | None = None) -> dict[str, Any]:
    return {
        "doi": doi, "title": f"=Title of {doi}", "facet": "outcome", "value": value, "strength": strength, "how": how,
    }  # fmt: skip


BEFORE = [tag("10.1/a", "anxiety"), tag("10.1/b", "anxiety"), tag("10.1/c", "cost"), tag("10.1/d", "sleep", "likely")]
AFTER = [
    tag("10.1/a", "anxiety", "implied", "Anxiety: title only."),
    *(tag(f"10.1/{n}", "anxiety", "likely") for n in range(5)),
    tag("10.1/c", "cost", how="Cost: measured."),
    tag("10.1/d", "sleep", "likely", "Sleep: finding."),
]


def test_every_change_is_a_row_and_every_value_that_changed_a_line(tmp_path: Path) -> None:
    file = tmp_path / "tags.csv"
    summary = tag_changes.write_report(BEFORE, AFTER, {("10.1/b", "outcome", "anxiety"): "No word of it."}, file)
    rows = list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8"))))
    assert list(rows[0]) == list(tag_changes.COLUMNS)
    assert [(row["doi"], row["change"], row["before"], row["after"]) for row in rows] == [
        *((f"10.1/{n}", "appeared", "", "likely") for n in range(5)),
        ("10.1/b", "disappeared", "stated", ""),
        ("10.1/a", "strength", "stated", "implied"),
    ]
    assert rows[-1]["how"] == "Anxiety: title only."
    assert rows[-2]["how"] == "No word of it."
    assert {row["title"][:2] for row in rows} == {"'="}, "no spreadsheet runs a title"
    assert summary == (
        "outcome:anxiety: 2 → 5 works; 5 appeared (10.1/0, 10.1/1, 10.1/2, …); 1 disappeared (10.1/b);"
        " 1 with another strength (10.1/a)"
    )


def test_another_sentence_is_no_change(tmp_path: Path) -> None:
    summary = tag_changes.write_report(BEFORE[2:], AFTER[-2:], {}, tmp_path / "tags.csv")
    assert summary == "No tag has appeared, disappeared or changed its strength."
