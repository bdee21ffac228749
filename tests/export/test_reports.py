"""The texts of the reports: complete, in order, singular and plural right."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from evidence.database.values_for_writer import Written
from evidence.export import explanation, prisma_report, status_report, sync_summary
from evidence.export.wording import count_noun
from evidence.harvest.run_outcome import Outcome
from tests.builders import changes_text, summarised


def test_the_summary_of_a_run_without_changes() -> None:
    outcome = Outcome(
        7, citations=Counter(resolved=7, repaired=1, **{"no-doi": 1}), verdicts={"include": 3, "unsure": 1}
    )
    assert sync_summary.sync_summary(outcome).splitlines() == [
        "9 citations: 7 resolved, 1 repaired, 1 without a DOI; 0 records matched the searches.",
        "Nothing new: no record, verdict or tag has changed.",
        "4 works in the database: 3 included, 0 excluded, 1 waiting for a decision.",
    ]


def row(what: str, doi: str, title: str | None, before: str | None = None, after: str | None = None) -> dict[str, Any]:
    return {"what": what, "doi": doi, "title": title, "before": before, "after": after, "verdict": "include"}


CHANGES = [
    row("notice", "10.1/a", "A trial", None, "retraction 10.1/n"),
    row("notice", "10.1/p", "A review", None, "correction 10.1/m (record 10.1/twin)"),
    row("notice-ended", "10.1/b", "Another", "removal 10.1/b"),
    row("reopened", "10.1/c", "Doubted", None, "The title has changed."),
    row("gone", "10.1/d", None, None, "2026-11-24"),
    row("verdict", "10.1/e", "Out", "include", "exclude"),
    row("verdict", "10.1/f", None, "include", "exclude"),
    row("verdict", "10.1/g", "In", "unsure", "include"),
    row("duplicate", "10.1/h", "Twice", "include", "10.1/a"),
    row("moved", "10.1/new", "Moved", "10.1/old"),
    row("content", "10.1/i", "Completed"),
    row("new", "10.1/j", "First seen", None, "include"),
    row("new", "10.1/k", None, None, "duplicate 10.1/j"),
]


def test_a_summary_has_notable_changes_first_and_counts_all() -> None:
    lines = sync_summary.sync_summary(Outcome(7, changes=summarised(CHANGES))).splitlines()
    assert lines == [
        "NOTICE retraction of included work 10.1/a: A trial",
        "NOTICE correction of included work 10.1/p: A review (issued for 10.1/twin, another record of this work)",
        "Removal withdrawn: 10.1/b: Another",
        "1 decision to look at again (`evidence decisions conflicts`): 10.1/c.",
        "No longer in Crossref since 2026-11-24: 10.1/d (kept and marked).",
        "2 works changed from included to excluded: 10.1/e: Out; 10.1/f.",
        "1 work changed from waiting for a decision to included: 10.1/g: In.",
        "1 new duplicate: 10.1/h: Twice (of 10.1/a).",
        "10.1/old is now 10.1/new: Moved.",
        "0 records matched the searches.",
        f"Changes: {changes_text(CHANGES).splitlines()[0]}",
        "0 works in the database: 0 included, 0 excluded, 0 waiting for a decision.",
    ]


def test_the_changes_report_has_a_line_per_change_and_the_counts_of_the_summary() -> None:
    lines = changes_text(CHANGES).splitlines()
    assert lines[0] == (
        "2 notices, 1 withdrawn notice, 1 decision to look at again, 1 no longer in Crossref, 3 changed verdicts, "
        "1 new duplicate, 1 changed DOI, 1 changed record, 2 new works."
    )
    assert len([line for line in lines if line.startswith("  ")]) == len(CHANGES)
    assert lines[1:4] == [
        "",
        "Retractions, corrections and expressions of concern (2):",
        "  NOTICE retraction of included work 10.1/a: A trial",
    ]
    for said in ("included → excluded: 10.1/e: Out", "Duplicate of 10.1/a (before: included): 10.1/h: Twice",
                 "duplicate record: 10.1/k", "Changed verdicts (3):"):  # fmt: skip
        assert any(said in line for line in lines), said


def test_what_a_work_touches_stands_below_its_notice_in_summary_and_report() -> None:
    touched = [{**CHANGES[0], "touches": "It touches 2 claims."}, *CHANGES[1:]]
    below = "  It touches 2 claims."
    assert sync_summary.sync_summary(Outcome(7, changes=summarised(touched))).splitlines()[:3] == [
        "NOTICE retraction of included work 10.1/a: A trial",
        below,
        "NOTICE correction of included work 10.1/p: A review (issued for 10.1/twin, another record of this work)",
    ]
    lines = changes_text(touched).splitlines()
    assert lines[lines.index("  NOTICE retraction of included work 10.1/a: A trial") + 1] == f"  {below}"
    assert sum("touches" in line for line in lines) == 1


def test_updated_records_without_a_change_of_a_work() -> None:
    said = sync_summary.sync_summary(Outcome(7, written=Written(changed=1)))
    assert "Nothing new: records were updated, but nothing that counts as a change of a work." in said


def test_sources_that_stopped_for_the_same_reason_share_a_line() -> None:
    text = (
        "the server cannot be reached (asked http://127.0.0.1:9/works?query=a(b)c,d&rows=1{}, 3 times); use --offline"
    )
    outcome = Outcome(
        7, outcome="partial", troubles=[("one", text.format(1)), ("two", text.format(2)), ("three", "refused")]
    )
    said = sync_summary.sync_summary(outcome)
    assert "Stopped, one, two: the server cannot be reached; use --offline" in said
    assert "Stopped, three: refused" in said
    assert "The run ended as partial" in said
    assert "Nothing new" not in said


def test_health_warnings_and_duplicates() -> None:
    outcome = Outcome(
        1, known_total=3, known_found=2, known_missing=("10.1/x",), verdicts={"include": 1, "duplicate": 2}
    )
    outcome.warnings = [("by-name", "it leads to no work at all; look at its phrases")]
    said = sync_summary.sync_summary(outcome)
    assert "2 of 3 known works found; not found: 10.1/x." in said
    assert "Warning, by-name: it leads to no work at all" in said
    assert "2 duplicate records." in said


def test_a_search_is_reported_as_it_was_run() -> None:
    row: dict[str, Any] = {
        "label": "By name", "source": "by-name", "door": "crossref", "query": "query.bibliographic=interpersonal",
        "filters": "", "years": "[1974, null]", "also": '["child*"]', "phrases": '["interpersonal psychotherap*"]',
        "first_asked": "2026-11-01", "last_asked": "2026-11-02", "requests": 1, "scanned": 20, "works": 3, "depth": None,
    }  # fmt: skip
    assert prisma_report.searches_report([row]).splitlines() == [
        "By name (by-name)",
        "  database: Crossref REST API",
        "  query: query.bibliographic=interpersonal",
        "  limits: no filter; years 1974–",
        "  title or abstract contains: interpersonal psychotherap*; and also: child*",
        "  run: 2026-11-01 to 2026-11-02, 1 request, 20 records read",
        "  works found: 3",
    ]
    assert "years –1999" in prisma_report.searches_report([row | {"years": "[null, 1999]"}])
    assert "years any" in prisma_report.searches_report([row | {"years": "[null, null]"}])


def test_an_explanation_names_the_other_record_of_a_pair_and_of_a_notice() -> None:
    notice = {
        "doi": "10.1/b",
        "kind": "retraction",
        "issued": "2026",
        "notice_doi": "10.1/n",
        "evidence": "updated-by",
        "undone": 0,
        "source": None,
        "notice_id": None,
    }
    work: dict[str, Any] = {
        "doi": "10.1/b", "title": "A trial", "authors": None, "container": None, "issued": None, "url": None,
        "verdict": "include", "decided": "rule", "judged_on": "title", "why": "It says so.", "reasons": [], "gone": None,
        "aliases": [], "same_as": None, "tags": [], "sources": [], "identifiers": [], "asked": [],
        "abstract_source": None, "abstract_at": None,
        "duplicates": [
            {"doi": a, "other": b, "verdict": "doubtful", "decided": "rule", "reason": "alike"}
            for a, b in (("10.1/a", "10.1/b"), ("10.1/b", "10.1/c"))
        ],
        "notices": [
            notice | {"stands_on": "10.1/b", "relation": "own"},
            notice | {"stands_on": "10.1/twin", "relation": "record", "notice_doi": "10.1/m"},
        ],
    }  # fmt: skip
    said = explanation.work_explanation(work)
    assert "doubtful (by the rules): 10.1/a: alike" in said
    assert "doubtful (by the rules): 10.1/c: alike" in said
    lines = [line for line in said.splitlines() if "retraction" in line]
    assert "on 10.1/b" not in lines[0]
    assert "issued for 10.1/twin, another record of this work" in lines[1]


@pytest.mark.parametrize(("count", "written"), [(0, "0 works"), (1, "1 work"), (2, "2 works"), (1200, "1,200 works")])
def test_a_noun_is_singular_for_one(count: int, written: str) -> None:
    assert count_noun(count, "work") == written


@pytest.mark.parametrize(
    ("rejects", "line"),
    [
        (1, "1 record could not be read; the reason is in the table `rejects`."),
        (2, "2 records could not be read; the reason is in the table `rejects`."),
    ],
)
def test_verbs_agree_with_the_number_of_records(rejects: int, line: str) -> None:
    assert line in sync_summary.sync_summary(Outcome(7, written=Written(rejects=rejects))).splitlines()


def test_decisions_without_a_work_are_named() -> None:
    assert status_report.decisions_without_work(["10.1/a"]) == (
        "There are decisions on a DOI that no work in the database has: 10.1/a. "
        "They are kept and apply once that work is harvested."
    )
    assert status_report.decisions_without_work([f"10.1/{n}" for n in range(7)]) == (
        "There are decisions on 7 DOIs that no work in the database has: 10.1/0; 10.1/1; 10.1/2; 10.1/3; 10.1/4 and 2 more. "
        "They are kept and apply once those works are harvested."
    )
