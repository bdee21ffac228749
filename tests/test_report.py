"""What a person reads after a run: true, in order, and no longer than it need be."""

from __future__ import annotations

from collections import Counter

from evidence import report
from evidence.catalogue import Noticed
from evidence.model import Doi
from evidence.store import Landed
from evidence.sync import Outcome


def test_the_summary_of_a_quiet_run() -> None:
    outcome = Outcome(
        7, citations=Counter(resolved=7, repaired=1, **{"no-doi": 1}), verdicts={"include": 3, "unsure": 1}
    )
    assert report.summary(outcome).splitlines() == [
        "9 citations: 7 resolved, 1 repaired, 1 without a DOI; 0 records matched the searches, 0 new, 0 changed.",
        "Nothing new: no row of the evidence changed.",
        "4 works in the database: 3 included, 0 excluded, 1 waiting for a person.",
    ]


def test_a_change_of_standing_is_said_first_and_only_of_works_that_count() -> None:
    outcome = Outcome(7, landed=Landed(changed=[Doi("10.1/a")]))
    outcome.notices = [
        Noticed("10.1/b", "correction", "Left out", "exclude"),
        Noticed("10.1/a", "retraction", "A trial", "include"),
    ]
    lines = report.summary(outcome).splitlines()
    assert lines[0] == "NOTICE retraction of included work 10.1/a: A trial"
    assert not any("Left out" in line for line in lines)


def test_sources_that_stopped_for_one_reason_share_a_line_and_nothing_new_is_not_claimed() -> None:
    text = (
        "the server cannot be reached (asked http://127.0.0.1:9/works?query=a(b)c,d&rows=1{}, 3 times); use --offline"
    )
    outcome = Outcome(
        7, outcome="partial", troubles=[("one", text.format(1)), ("two", text.format(2)), ("three", "refused")]
    )
    said = report.summary(outcome)
    assert "Stopped, one, two: the server cannot be reached; use --offline" in said
    assert "Stopped, three: refused" in said
    assert "The run ended partial" in said
    assert "Nothing new" not in said


def test_health_warnings_and_duplicates() -> None:
    outcome = Outcome(
        1, known_total=3, known_found=2, known_missing=("10.1/x",), verdicts={"include": 1, "duplicate": 2}
    )
    outcome.warnings = [("by-name", "it leads to no work at all; look at its phrases")]
    said = report.summary(outcome)
    assert "2 of 3 known works found; not found: 10.1/x." in said
    assert "Warning, by-name: it leads to no work at all" in said
    assert "2 duplicate records." in said
