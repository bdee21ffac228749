"""The verdicts in each format: the same in all of them, and safe where the text of a reference is not."""

from __future__ import annotations

import csv
import io
import json
from html.parser import HTMLParser

import pytest

from evidence.data_model import CitationError, Doi, Work
from evidence.export.reference_report import (
    REPORTS,
    WITHOUT_LEFT_OUT,
    exit_code,
    left_out_lines,
    summary,
    verdict_words,
)
from evidence.harvest.check_references import CheckedReference, ReferenceVerdict
from evidence.linkage.retraction_notices import ShownNotice
from evidence.references.given_reference import GivenReference

WORK = Work(Doi("10.5555/found"), title="A <b>title</b>", year=2012)
HOSTILE = '=HYPERLINK("x") <script>alert(1)</script> [link](javascript:x) | `code`'


def notice(kind: str) -> ShownNotice:
    return ShownNotice(
        WORK.doi, kind, "10.5555/notice", WORK.doi, "own", "2019-03-01", "publisher", "updated-by", False
    )


CHECKED = (
    CheckedReference(GivenReference(1, "First. 2012.", key="first", line=3), "found", "", WORK),
    CheckedReference(
        GivenReference(2, HOSTILE, line=9, file="refs.bib"),
        "found-with-errors",
        "",
        WORK,
        (CitationError("year", "2005", "2012"),),
    ),
    CheckedReference(GivenReference(3, "Third."), "retracted", "", WORK, notices=(notice("retraction"),)),
    CheckedReference(GivenReference(4, "Fourth."), "other-work", "The DOI is another's.", leads_to=WORK),
    CheckedReference(GivenReference(5, "Fifth."), "nothing-agrees", "No record agrees.", candidates=(WORK,)),
    CheckedReference(GivenReference(6, "Sixth."), "could-not-ask", "Crossref answered 503."),
)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("retraction", "found, but retracted (2019-03-01)"),
        ("expression-of-concern", "found, but under an expression of concern (2019-03-01)"),
        ("corrigendum", "found, but corrected (2019-03-01)"),
        ("withdrawal", "found, but withdrawn (2019-03-01)"),
    ],
)
def test_a_notice_is_named(kind: str, words: str) -> None:
    assert (
        verdict_words(CheckedReference(GivenReference(1, "x"), "retracted", "", WORK, notices=(notice(kind),))) == words
    )


def test_the_exit_code_never_calls_an_unanswered_question_clean() -> None:
    def code(*verdicts: ReferenceVerdict) -> int:
        return exit_code([CheckedReference(GivenReference(1, "x"), verdict, "") for verdict in verdicts])

    assert code() == code("found", "found") == 0
    assert code("found", "found-with-errors") == code("retracted") == code("other-work") == code("nothing-agrees") == 1
    assert code("found", "could-not-ask") == code("retracted", "could-not-ask") == 3


def test_the_summary_counts_each_reference_once() -> None:
    assert summary(CHECKED) == (
        "6 references: 1 found, 1 found, with errors, 1 found, with a notice on them, 1 with the DOI of another work,"
        " 1 with which no record agrees, 1 that could not be asked about."
    )


def test_json_and_csv_say_the_same() -> None:
    rows = json.loads("".join(REPORTS["json"](CHECKED, ())))
    table = list(csv.DictReader(io.StringIO("".join(REPORTS["csv"](CHECKED, ())))))
    assert [(str(r["n"]), r["verdict"], r["doi"] or "") for r in rows] == [
        (r["n"], r["verdict"], r["doi"]) for r in table
    ]
    assert rows[1]["errors"] == [{"field": "year", "given": "2005", "found": "2012"}]
    assert rows[2]["notices"] == [
        {"kind": "retraction", "date": "2019-03-01", "source": "publisher", "doi": "10.5555/notice"}
    ]
    assert table[1]["text"].startswith("'=")
    assert [r["asked_at"] or "" for r in rows] == [r["asked_at"] for r in table]


def test_no_reference_breaks_out_of_its_page() -> None:
    page = "".join(REPORTS["html"](CHECKED, ()))
    seen: list[str] = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            seen.append(tag)

    Tags().feed(page)
    assert "script" not in seen
    assert seen.count("li") >= len(CHECKED)
    assert "\\[link\\]" in "".join(REPORTS["markdown"](CHECKED, ()))


def test_text_never_calls_a_reference_invented() -> None:
    text = "".join(REPORTS["text"](CHECKED, ()))
    assert "does not mean that the reference is invented" in text
    assert "5. NOTHING AGREES" in text


def test_sarif_points_at_the_line_of_each_reference_that_needs_a_look() -> None:
    log = json.loads("".join(REPORTS["sarif"](CHECKED, ())))
    results = log["runs"][0]["results"]
    assert [r["ruleId"] for r in results] == [each.verdict for each in CHECKED[1:]]
    place = results[0]["locations"][0]["physicalLocation"]
    assert (place["artifactLocation"]["uri"], place["region"]["startLine"]) == ("refs.bib", 9)
    assert {r["ruleId"] for r in results} <= {rule["id"] for rule in log["runs"][0]["tool"]["driver"]["rules"]}


LEFT_OUT = ("References", "<b>12</b> | Journal of *Grief*")


@pytest.mark.parametrize("form", sorted(REPORTS))
def test_the_lines_that_were_not_checked_are_said_where_the_format_has_a_place(form: str) -> None:
    said, before = "".join(REPORTS[form](CHECKED, LEFT_OUT)), "".join(REPORTS[form](CHECKED, ()))
    assert "not checked" not in before
    if form in WITHOUT_LEFT_OUT:
        assert said == before
    else:
        assert "2 lines were read as headings, page headers or other text, and not checked:" in said
        assert "References" in said
        assert said.count("Journal of") == before.count("Journal of") + 1
        assert form != "html" or "<b>12" not in said
        assert form != "markdown" or r"\*Grief\*" in said


def test_a_whole_manuscript_of_lines_that_were_not_checked_is_cut_with_its_number() -> None:
    shown = list(left_out_lines(["x" * 300] * 1500))
    assert len(shown) == 101
    assert max(map(len, shown)) < 210
    assert shown[-1] == "… and 1,400 more"
