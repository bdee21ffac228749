"""Decisions from exports of Rayyan, Covidence, ASReview and EPPI-Reviewer: what is read, where it is placed, what is counted."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from evidence.database import read_queries
from evidence.database.connection import reading
from evidence.database.read_decisions import read_ledger
from evidence.errors import ConfigError
from evidence.harvest.locked_run import run_import
from evidence.harvest.progress import NoProgress
from evidence.harvest.sources import FileSource, Imported
from evidence.review import tool_decisions
from evidence.review.tool_decisions import time_of
from evidence.rules.taxonomy import Taxonomy
from tests.command_line import Run, runner
from tests.data import FULL, SAMPLES

IMPORTS = SAMPLES / "imports"
DOI = "10.1001/archgenpsychiatry.2011.67"
TITLE = "Cognitive therapy vs interpersonal psychotherapy in social anxiety disorder: a randomized controlled trial"
BOOK = "Interpersonal psychotherapy of depression"
EPPI: dict[str, Any] = {
    "CodeSets": [
        {
            "SetName": "Screening on title",
            "Attributes": {
                "AttributesList": [
                    {"AttributeId": 1, "AttributeName": "EXCLUDE on design", "AttributeType": "Exclude"},
                    {"AttributeId": 2, "AttributeName": "INCLUDE", "AttributeType": "Include"},
                    {
                        "AttributeId": 3, "AttributeName": "Country", "AttributeType": "Selectable (show checkbox)",
                        "Attributes": {"AttributesList": [{"AttributeId": 4, "AttributeName": "Germany"}]},
                    },
                ]
            },
        }
    ],
    "References": [
        {
            "ItemId": 7, "Title": "Cognitive therapy vs interpersonal psychotherapy in social anxiety disorder", "Year": "2011",
            "Authors": "Stangier U; Schramm E;", "DOI": f"https://doi.org/{DOI}", "EditedBy": "A. Reader",
            "DateEdited": "20/11/2026", "Codes": [{"AttributeId": 2, "AdditionalText": "a trial"}, {"AttributeId": 4}],
        },
        {
            "ItemId": 8, "Title": BOOK, "Year": "1984", "Authors": "Klerman GL; Weissman MM; Rounsaville BJ; Chevron ES;",
            "DOI": "", "CreatedBy": "B. Reader", "DateCreated": "03/11/2026", "Codes": [{"AttributeId": 1}],
        },
        {"ItemId": 9, "Title": "Never screened", "ItemStatus": "I", "Codes": []},
    ],
}  # fmt: skip


@pytest.fixture
def run(
    tmp_path: Path, book: Taxonomy, clock: Callable[[], datetime], monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:  # fmt: skip
    """The command line beside a database of two works: one with a DOI, one without."""
    path = IMPORTS / "ovid.ris"
    source = FileSource("psycinfo", "PsycINFO", (path,), "database", Imported((path.name,)), "command")
    db = tmp_path / "evidence.db"
    run_import(db, tmp_path / "decisions.db", book, clock, NoProgress(), source, ask=False)
    return runner(tmp_path, monkeypatch, capsys)


def ledger(folder: Path) -> list[tuple[str, str | None, str, str]]:
    """(work, verdict or tag, reason, reviewer) of each decision; a local id is cut to its kind."""
    return [
        (d.doi if d.doi.startswith("10.") else "local", d.verdict or f"{d.facet}:{d.value}", d.reason, d.reviewer)
        for d in read_ledger(folder / "decisions.db")
    ]


def test_rayyan_of_several_reviewers(run: Run, tmp_path: Path) -> None:
    said = run("decisions", "import", str(IMPORTS / "rayyan.csv"))
    assert (said.code, said.out) == (
        0, "3 decisions from Rayyan added, 0 were there already, 0 rows without a decision.\n"
    )  # fmt: skip
    assert ledger(tmp_path) == [
        (DOI, "include", "label adults", "A. Reader"),
        (DOI, "exclude", "wrong population | note: label adults", "B. Reader"),
        ("local", "unsure", "maybe in Rayyan", "A. Reader"),
    ]
    again = run("decisions", "import", str(IMPORTS / "rayyan.csv"))
    assert again.out.startswith("0 decisions from Rayyan added, 3 were there already")
    assert len(ledger(tmp_path)) == 3
    with reading(tmp_path / "evidence.db") as conn:
        (row,) = read_queries.works_with_conflicts(conn)
    assert row["doi"] == DOI  # the two disagree


def test_covidence_needs_a_name_and_its_lists_a_verdict(run: Run, tmp_path: Path) -> None:
    path = str(IMPORTS / "covidence.csv")
    said = run("decisions", "import", path)
    assert said.code == 2
    assert "covidence.csv:2: the file does not say who decided; name the reviewer with --by" in said.err
    said = run("decisions", "import", path, "--as", "exclude", "--by", "C. Reader")
    assert said.code == 0
    assert ledger(tmp_path) == [
        (DOI, "exclude", "Wrong comparator | note: A. Reader: not usual care", "C. Reader"),
        ("local", "exclude", "excluded in Covidence", "C. Reader"),
    ]
    assert read_ledger(tmp_path / "decisions.db")[0].made_at == "2026-11-20T10:15:00Z"


def test_exclusion_reasons_are_in_the_flow_with_their_numbers(run: Run, tmp_path: Path) -> None:
    run("decisions", "import", str(IMPORTS / "covidence.csv"), "--as", "exclude", "--by", "C. Reader")
    text = run("report", "prisma").out
    assert "      1  By a reviewer: Wrong comparator\n      1  By a reviewer: excluded in Covidence\n" in text
    with reading(tmp_path / "evidence.db") as conn:
        assert sum(n for _, n in read_queries.flow(conn).excluded) == 2


def test_asreview_as_table_and_as_ris(run: Run, tmp_path: Path) -> None:
    assert run("decisions", "import", str(IMPORTS / "asreview.csv"), "--by", "A. Reader").code == 0
    assert ledger(tmp_path) == [
        (DOI, "include", "a trial", "A. Reader"),
        ("local", "exclude", "excluded in ASReview", "A. Reader"),
    ]
    assert read_ledger(tmp_path / "decisions.db")[0].made_at == "2026-11-20T10:15:00Z"
    assert run("decisions", "import", str(IMPORTS / "asreview.csv"), "--by", "A. Reader").out.startswith("0 decisions")
    ris = f"TY  - JOUR\nTI  - x\nDO  - {DOI}\nN1  - ASReview_irrelevant. More.\nER  - \n"
    tmp_path.joinpath("a.ris").write_text(ris.replace("TI  - x\n", ""), encoding="utf-8")
    run("decisions", "import", "a.ris", "--by", "B. Reader")
    assert ledger(tmp_path)[-1] == (DOI, "exclude", "excluded in ASReview", "B. Reader")


def test_eppi_reviewer(run: Run, tmp_path: Path) -> None:
    tmp_path.joinpath("eppi.json").write_text(json.dumps(EPPI), encoding="utf-8-sig")
    said = run("decisions", "import", "eppi.json")
    assert said.out.startswith("2 decisions from EPPI-Reviewer added, 0 were there already, 1 row without a decision.")
    assert ledger(tmp_path) == [
        (DOI, "include", "a trial; label Germany", "A. Reader"),
        ("local", "exclude", "EXCLUDE on design", "B. Reader"),
    ]
    assert [d.made_at[:10] for d in read_ledger(tmp_path / "decisions.db")] == ["2026-11-20", "2026-11-03"]


def test_items_of_eppi_reviewer_without_a_code_get_the_verdict_that_is_named(run: Run, tmp_path: Path) -> None:
    uncoded = {**EPPI, "References": [{**EPPI["References"][0], "Codes": []}]}
    tmp_path.joinpath("eppi.json").write_text(json.dumps(uncoded), encoding="utf-8-sig")
    assert run("decisions", "import", "eppi.json").code == 2
    assert run("decisions", "import", "eppi.json", "--as", "include").out.startswith("1 decision from EPPI-Reviewer")
    assert ledger(tmp_path) == [(DOI, "include", "included in EPPI-Reviewer", "A. Reader")]


def test_our_own_export_comes_back_screened(run: Run, tmp_path: Path) -> None:
    """A work without a DOI is found by its id; a label that is a tag of the taxonomy becomes one."""
    with reading(tmp_path / "evidence.db") as conn:
        ((local,),) = conn.execute("select doi from works where doi like 'local-%'").fetchall()
    table = f"record_id,title,verdict,reviewer,reason,labels\n{local},another title,Include,A. Reader,,design:book\n"
    facet, value = "design", next(v for f, v in _values(tmp_path) if f == "design")
    tmp_path.joinpath("t.csv").write_text(table.replace("design:book", f"{facet}:{value}"), encoding="utf-8")
    run("decisions", "import", "t.csv")
    assert ledger(tmp_path) == [
        ("local", "include", "included in a table", "A. Reader"),
        ("local", f"{facet}:{value}", "labelled in a table", "A. Reader"),
    ]


def _values(folder: Path) -> list[tuple[str, str]]:
    with reading(folder / "evidence.db") as conn:
        return read_queries.values_of(conn, ["design"])


def test_every_row_that_cannot_be_placed_is_named(run: Run, tmp_path: Path) -> None:
    rows = [
        "title,authors,year,doi,included,reviewer",
        f'"{TITLE}","Stangier, U.; Schramm, E.",2011,,1,A. Reader',
        f"Quite another work about gardens,Nobody N,1999,{DOI},0,A. Reader",
        "A work that is not here,Nobody N,1999,10.5555/none,0,A. Reader",
        ",,,,0,A. Reader",
        "Something,Nobody N,1999,,perhaps,A. Reader",
    ]
    tmp_path.joinpath("t.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    said = run("decisions", "import", "t.csv")
    assert said.code == 1
    assert [line.split(": ")[1] for line in said.out.splitlines() if line.startswith("Not placed")] == [
        "t.csv:3", "t.csv:4", "t.csv:5"
    ]  # fmt: skip
    assert "Look at: t.csv:6: 'perhaps' is no verdict that is known" in said.out
    assert ledger(tmp_path) == [(DOI, "include", "included in a table", "A. Reader")]


def test_an_older_decision_does_not_replace_a_newer_one(run: Run, tmp_path: Path) -> None:
    run("decide", DOI, "include", "--because", "read the full text", "--by", "A. Reader")
    table = f"doi,title,included,reviewer,made_at\n{DOI},,0,A. Reader,2020-01-01\n"
    tmp_path.joinpath("t.csv").write_text(table, encoding="utf-8")
    assert run("decisions", "import", "t.csv").out.startswith("1 decision from a table added")
    with closing(_connection(tmp_path)) as conn:
        assert conn.execute("select verdict, decided from works where doi = ?", (DOI,)).fetchone() == (
            "include",
            "person",
        )


def _connection(folder: Path) -> Any:
    import sqlite3

    return sqlite3.connect(folder / "evidence.db")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"title,colour\nA,red\n", "no decision in it"),
        (b'{"References": [', "the JSON is damaged"),
        (b"PK\x03\x04", "save the sheet as"),
        (b"title,included\nA,1,2,3\n", "t.csv:2: the row has 4 cells"),
    ],
)
def test_a_damaged_file_adds_nothing(run: Run, tmp_path: Path, data: bytes, said: str) -> None:
    tmp_path.joinpath("t.csv").write_bytes(data)
    answer = run("decisions", "import", "t.csv", "--by", "A. Reader")
    assert answer.code == 2
    assert said in answer.err
    assert not read_ledger(tmp_path / "decisions.db")


@pytest.mark.parametrize(
    ("stated", "day_first", "time"),
    [
        ("2026-11-20", None, "2026-11-20T00:00:00Z"),
        ("2026-11-20T10:15:00+02:00", None, "2026-11-20T08:15:00Z"),
        ("1763633700.5", None, "2025-11-20T10:15:00Z"),
        ("20/11/2026 10:15", True, "2026-11-20T10:15:00Z"),
        ("11/20/2026 1:05 PM", False, "2026-11-20T13:05:00Z"),
        ("20.11.2026", True, "2026-11-20T00:00:00Z"),
        ("20-Nov-2026", None, "2026-11-20T00:00:00Z"),
        ("Nov 20, 2026", None, "2026-11-20T00:00:00Z"),
        ("03/04/2026", None, None),
        ("31/02/2026", True, None),
        ("yesterday", None, None),
    ],
)
def test_times(stated: str, day_first: bool | None, time: str | None) -> None:
    assert time_of(stated, day_first) == time


@pytest.mark.skipif(not (FULL / "formats").is_dir(), reason="the full sets are not here")
def test_the_labels_in_files_of_other_projects() -> None:
    folder = FULL / "formats" / "asreview"
    counts = {}
    for name in ("baseline_tag-notes_labels.ris", "generic_labels.csv", "generic_partial_labels.csv"):
        made = tool_decisions.read(folder / name).decisions
        counts[name] = (len(made), sum(each.verdict == "include" for each in made))
    assert counts["generic_labels.csv"][0] == 6
    assert 0 < counts["generic_partial_labels.csv"][0] < 6
    assert counts["baseline_tag-notes_labels.ris"][0] > 0
    with pytest.raises(ConfigError, match="no decision in it"):
        tool_decisions.read(folder / "embase.ris")
