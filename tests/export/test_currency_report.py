"""The report on how current reviews are: from records with reference lists to every format, by the command line."""

from __future__ import annotations

import csv
import io
import json
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from evidence.export import currency_report
from evidence.export.currency_values import CellNumbers, Overlap, ReviewNumbers, per_cent
from tests.builders import message
from tests.command_line import Run, runner

TRIAL = "Interpersonal psychotherapy for {}: a randomized controlled trial of depressive symptoms"
REVIEW = "Interpersonal psychotherapy for depressive symptoms: a {} of randomized trials"
CELL = ("--rows", "variant:ipt", "--columns", "outcome:depressive-symptoms")


def records() -> list[dict[str, Any]]:
    trials = [
        message(f"10.5555/trial.{year}", TRIAL.format(who), year)
        for who, year in (("students", 2001), ("veterans", 2005), ("refugees", 2012), ("teachers", 2018))
    ]

    def cited(*dois: str, unstructured: int = 0) -> list[dict[str, str]]:
        return [{"key": doi, "DOI": doi.upper()} for doi in dois] + [
            {"key": f"u{n}", "unstructured": "A book on grief"} for n in range(unstructured)
        ]

    first = cited("10.5555/trial.2001", "10.5555/trial.2005", "10.5555/review.2010", unstructured=3)
    early = message("10.5555/review.2010", REVIEW.format("meta-analysis"), 2010, reference=first)
    second = cited("10.5555/trial.2005", "10.5555/elsewhere")
    late = message("10.5555/review.2015", REVIEW.format("systematic review"), 2015, reference=second)
    return [*trials, early, late]


class _Silent:
    """Stands in for pytest's capture, which a fixture of a module cannot have."""

    def readouterr(self) -> Any:
        return type("Captured", (), {"out": "", "err": ""})()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A review with these records."""
    made = tmp_path_factory.mktemp("review")
    (made / "records.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records()))
    with pytest.MonkeyPatch.context() as monkeypatch:
        command = runner(made, monkeypatch, _Silent())  # type: ignore[arg-type]
        assert command("init", ".").code == command("sync", "--from", "records.jsonl", "--all").code == 0
    return made


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(folder, monkeypatch, capsys)


def test_from_deposited_lists_to_json(run: Run) -> None:
    found = json.loads(run("report", "currency", *CELL, "-f", "json").out)
    assert (found["newest_review"], found["newest_date"]) == ("10.5555/review.2015", "2015")
    assert (found["references"], found["references_unmatched"]) == (2, 0)
    states = {trial["doi"]: trial["state"] for trial in found["trial_list"]}
    assert states == {
        "10.5555/trial.2001": "lacking", "10.5555/trial.2005": "listed", "10.5555/trial.2012": "lacking",
        "10.5555/trial.2018": "newer",
    }  # fmt: skip
    assert [review["trials"] for review in found["review_list"]][1] == {
        "listed": 2, "newer": 2, "lacking": 0, "list_unknown": 0, "same_time": 0, "undated": 0,
    }  # fmt: skip
    # Three ticks, two trials, two reviews: (3 - 2) / (4 - 2).
    assert (found["cca_listed"], found["cca_trials"], found["cca_reviews"], found["cca"]) == (3, 2, 2, 0.5)
    assert found["pairs"] == [
        {"reviews": ["10.5555/review.2015", "10.5555/review.2010"], "shared": 1, "together": 2, "structural_zeros": 0,
         "cca": 0.5, "cca_adjusted": 0.5}
    ]  # fmt: skip
    other = json.loads(run("report", "currency", *CELL, "-f", "json", "--review", "10.5555/REVIEW.2010").out)
    assert other["compared_with"] == "10.5555/review.2010" and other["newest_review"] == "10.5555/review.2015"
    again = run("sync", "--from", "records.jsonl", "--all")
    assert "Nothing new" in again.out
    assert json.loads(run("report", "currency", *CELL, "-f", "json").out) == found


def test_the_matrix_as_csv_and_the_cells_as_csv(run: Run) -> None:
    matrix = list(csv.DictReader(io.StringIO(run("report", "currency", *CELL, "-f", "csv").out)))
    names = [name for name in matrix[0] if name.endswith(")")]
    assert [re.sub(r".*\(", "(", name) for name in names] == ["(10.5555/review.2015)", "(10.5555/review.2010)"]
    marks = {row["trial"]: "".join(row[name] for name in names) for row in matrix}
    assert marks == {
        "10.5555/trial.2001": "01", "10.5555/trial.2005": "11", "10.5555/trial.2012": "0NA", "10.5555/trial.2018": "NANA",
    }  # fmt: skip
    cells = list(csv.DictReader(io.StringIO(run("report", "currency", "-f", "csv").out)))
    (line,) = [line for line in cells if (line["variant"], line["outcome"]) == ("ipt", "depressive-symptoms")]
    assert (line["listed"], line["newer"], line["lacking"], line["cca_band"]) == ("1", "1", "2", "very high")
    data = json.loads(run("report", "currency", "-f", "json").out)
    assert [(cell["row"], cell["column"]) for cell in data["cells"]] == [(c["variant"], c["outcome"]) for c in cells]


def test_text_and_markdown_say_the_same(run: Run, folder: Path) -> None:
    text = run("report", "currency", *CELL).out
    markdown = run("report", "currency", *CELL, "-f", "markdown").out
    for sentence in (
        "Newest review: 10.5555/review.2015, 2015.",
        "Its deposited list has 2 references; what each of them cites is known.",
        "4 trials: 1 in its reference list; 1 newer than the review; 2 older, and not found in its deposited list.",
        "Overlap: corrected covered area 50.0 % (very high); 2 reviews with a list that names one of the trials, 2 different",
        "A deposited reference list has more than the studies that a review included",
    ):
        assert sentence in text and sentence in markdown
    assert "> 2015  Interpersonal" in text and "3 have no DOI and were not matched" not in text
    tables = [line for line in markdown.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in tables[:4]}) == 1 and "✓" in markdown
    every = run("report", "currency").out
    assert "IPT (standard) × Depressive symptoms: 4 trials, 2 reviews" in every
    assert run("report", "currency", "-f", "markdown", "-o", "out.md").out == ""
    assert "| IPT (standard) | Depressive symptoms | 4 | 2 | 10.5555/review.2015 | 2015 | 1 | 1 | 2 |" in (
        folder / "out.md"
    ).read_text(encoding="utf-8")


def test_filters(run: Run) -> None:
    years = json.loads(run("report", "currency", *CELL, "-f", "json", "--to-year", "2012").out)
    assert (years["newest_review"], years["trials"], years["filters"]) == ("10.5555/review.2010", 3, "to 2012")
    none = json.loads(run("report", "currency", *CELL, "-f", "json", "--tag", "population:couples").out)
    assert (none["trials"], none["reviews"], none["newest_review"]) == (0, 0, None)
    assert "Works of one design alone are counted here" in run("report", "currency", *CELL, "--tag", "design:rct").out


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--rows", "nothing"), "there is no facet 'nothing'"),
        (("--rows", "variant:ipt-x"), "did you mean"),
        (("--rows", "outcome"), "rows and columns are both 'outcome'"),
        (("--tag", "variant:ipt"), "this facet is on the map already"),
        (("--tag", "condition:depression", "--tag", "condition:ptsd"), "is given twice"),
        (("--tag", "condition:deprssion"), "did you mean"),
        (("--review", "10.5555/review.2010"), "--review needs one cell"),
        ((*CELL, "--review", "10.5555/none"), "the cell has no such review"),
        ((*CELL, "--review", "none"), "is not a valid DOI"),
    ],
)
def test_mistakes(run: Run, options: tuple[str, ...], problem: str) -> None:
    said = run("report", "currency", *options)
    assert said.code == 2 and problem in said.err and said.out == ""


def test_a_review_without_trials_and_an_empty_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = runner(tmp_path, monkeypatch, capsys)
    assert command("report", "currency").code != 0  # no database yet
    command("init", ".")
    (tmp_path / "none.jsonl").write_text("")
    command("sync", "--from", "none.jsonl", "--all")
    for format_, expected in (
        ("text", "No cell has a trial or a review."),
        ("json", '"cells": []'),
        ("csv", "variant,outcome"),
    ):
        said = command("report", "currency", "-f", format_)
        assert said.code == 0 and expected in said.out


def cell(**more: Any) -> CellNumbers:
    given: dict[str, Any] = dict.fromkeys(
        ("works", "retracted", "trial_works", "review_works", "both", "trials", "reviews", "retracted_trials",
         "retracted_reviews", "undated_trials", "undated_reviews", "without_list", "without_dois", "silent", "as_new",
         "retracted_newer"), 0,
    )  # fmt: skip
    empty = Overlap(0, 0, 0, 0, None, None)
    return CellNumbers(("a", "A"), ("b", "B"), **({"newest": None, "overlap": empty, **given} | more))


def review(**more: Any) -> ReviewNumbers:
    given = {
        "number": 1,
        "doi": "10.1/r",
        "date": "2010",
        "retracted": False,
        "has_list": True,
        "tells": True,
        "entries": 10,
        "unmatched": 0,
    }
    return ReviewNumbers(**{**given, "trials": {}, **more})


def test_what_is_said_of_a_list() -> None:
    said = currency_report.list_in_words
    assert said(review(has_list=False, entries=None)) == (
        "No reference list was deposited for it, so what it lacks is not known."
    )
    assert said(review()) == "Its deposited list has 10 references; what each of them cites is known."
    assert said(review(tells=False, unmatched=10)) == (
        "Its deposited list has 10 references, and none of them has a DOI or was matched, so what it lacks is not known."
    )
    assert "of which 1 has no DOI and was not matched" in said(review(unmatched=1))
    assert "of which 4 have no DOI and were not matched" in said(review(unmatched=4))
    assert "not how many of its references have no DOI" in said(review(entries=None, unmatched=None))


def test_what_is_said_where_no_review_stands() -> None:
    said = currency_report.newest_in_words
    assert said(cell()) == "No review."
    assert said(cell(reviews=1)) == "The review was retracted or withdrawn, so there is none to compare with."
    assert said(cell(reviews=3)).startswith("All 3 reviews were retracted")
    doubtful = said(cell(reviews=4, newest=review(), as_new=1, retracted_newer=2))
    assert "1 other review may be as new or newer" in doubtful and "2 reviews that were retracted" in doubtful


def test_what_is_said_of_what_is_not_known() -> None:
    said = currency_report.not_known
    assert said(cell(reviews=2)) == []
    assert said(cell(reviews=1, without_list=1)) == [
        "No reference list was deposited for the only review, so what it lacks cannot be told."
    ]
    assert said(cell(reviews=3, without_list=1, without_dois=2, silent=1, undated_trials=2, undated_reviews=1)) == [
        "1 of 3 reviews has no deposited reference list.",
        "The lists of 2 reviews have no DOI, so they tell nothing.",
        "The list of 1 review names none of the trials.",
        "1 review without a date.",
        "2 trials without a date.",
    ]


def test_how_the_numbers_come_from_the_map_s() -> None:
    said = currency_report.counted_in_words(
        cell(trial_works=5, review_works=4, both=1, trials=3, reviews=3, retracted_trials=1)
    )
    assert said == [
        "1 work tagged as a trial and as a review counts as a review.",
        "2 works are another version of a report that is counted.",
        "1 trial was retracted, and counted as on the map.",
    ]


def test_cells_of_a_spreadsheet_are_guarded() -> None:
    table = "".join(currency_report.cells_csv([cell(newest=review(doi="=10.1/r"))], currency_report.Asked("x", "y")))
    assert "'=10.1/r" in table


@pytest.mark.parametrize(
    ("share", "written"),
    [(Fraction(1, 3), "33.3 %"), (Fraction(0), "0.0 %"), (Fraction(1), "100.0 %"), (None, "not defined")],
)
def test_per_cents(share: Fraction | None, written: str) -> None:
    assert per_cent(share) == written
