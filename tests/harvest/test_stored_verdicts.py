"""A stored reference list: the verdicts of the command from the tables alone; accepted citations compared anew at each sync."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from evidence import strict_yaml
from evidence.data_model import Resolution
from evidence.database import read_queries
from evidence.database.writer import Store
from evidence.export import sync_summary
from evidence.harvest import reference_lists, sources, stored_verdicts
from evidence.harvest.check_references import check
from evidence.harvest.run_outcome import Outcome
from evidence.harvest.sync import sync
from evidence.rules.taxonomy import Taxonomy
from tests.builders import FONAGY, LIPSITZ, STANGIER, WORKS, FakeRecordSource, decision
from tests.database.test_writer import dump
from tests.harvest.test_check_references import (
    DATASET_DOI,
    LIPSITZ_TEXT,
    MARKOWITZ_TEXT,
    RETRACTED,
    RETRACTED_TEXT,
    STANGIER_TEXT,
    given,
)

OTHER_TITLE = LIPSITZ_TEXT.replace(
    "Mechanisms of change in interpersonal therapy (IPT)", "Grief and mourning in primates"
)
LISTED: tuple[tuple[str, str | None], ...] = (
    (LIPSITZ_TEXT, str(LIPSITZ["DOI"])),
    (STANGIER_TEXT.replace("2011", "2003"), str(STANGIER["DOI"])),
    (LIPSITZ_TEXT, "1016/j.cpr.2013.09.002"),
    (RETRACTED_TEXT, None),
    (MARKOWITZ_TEXT, str(STANGIER["DOI"])),
    ("Nobody N. A treatise on matters that no record has ever touched. J Nowhere. 2001;1:1-2.", None),
    (OTHER_TITLE, str(LIPSITZ["DOI"])),
    ("Somebody A. A data set about sleep. Zenodo; 2019.", DATASET_DOI),
    (MARKOWITZ_TEXT.replace("99-105", "99-108"), None),
    (str(FONAGY["DOI"]), str(FONAGY["DOI"])),
    (MARKOWITZ_TEXT, "10.1002/cpp.17749"),  # a DOI that leads nowhere
)

Go = Callable[..., Outcome]


def crossref(*more: Any) -> FakeRecordSource:
    source = FakeRecordSource((*WORKS, RETRACTED, *more))
    source.agencies[DATASET_DOI] = "DataCite"
    return source


@pytest.fixture
def go(store: Store, book: Taxonomy, clock: Callable[[], datetime]) -> Go:
    lines = "".join(f"      - {json.dumps({'text': text} | ({'doi': doi} if doi else {}))}\n" for text, doi in LISTED)
    text = f"sources:\n  - id: article\n    kind: references\n    label: The list\n    citations:\n{lines}"
    config = sources.check(strict_yaml.parse(text, "sources.yaml"))

    def run(source: FakeRecordSource) -> Outcome:
        return sync(config, store, source, book, now=clock)

    return run


def stored(store: Store) -> list[Resolution]:
    return read_queries.current_resolutions(store.conn, "article")


def test_the_page_has_the_verdicts_and_errors_of_the_command(store: Store, go: Go) -> None:
    go(crossref())
    asked = list(check(given(*((text, doi) if doi else text for text, doi in LISTED)), crossref()))
    told = stored_verdicts.of_list(store.conn, "article")
    assert [each.verdict for each in told] == [
        "found", "found-with-errors", "found-with-errors", "retracted", "other-work", "nothing-agrees", "other-work",
        "could-not-ask", "found-with-errors", "found", "found-with-errors",
    ]  # fmt: skip
    assert [(e.verdict, e.errors, e.work and e.work.doi, e.given.doi) for e in told] == [
        (e.verdict, e.errors, e.work and e.work.doi, e.given.doi) for e in asked
    ]
    assert [(e.field, e.given, e.found) for e in told[8].errors] == [("page", "99-108", "99-105")]
    assert [(n.kind, n.issued) for n in told[3].notices] == [("retraction", "2019-03-01")]
    assert "DataCite" in told[7].reason


def test_comparing_anew_changes_and_asks_nothing_where_nothing_changed(store: Store, go: Go) -> None:
    go(crossref())
    before, source = dump(store), crossref()
    outcome = go(source)
    assert dump(store) == before
    assert outcome.compared_anew == []
    accepted = {each.doi for each in stored(store) if each.doi}
    asked = {doi for kind, *what in source.asked if kind == "lookup" and what[1] is None for doi in what[0]}
    assert asked.isdisjoint(
        accepted - {LIPSITZ["DOI"], STANGIER["DOI"]}
    )  # those two stand in citations that are not accepted


def test_what_an_earlier_version_accepted_is_compared_anew_and_announced_once(store: Store, go: Go) -> None:
    go(crossref())
    store.append_decisions([decision(str(LIPSITZ["DOI"]), "include")])
    go(crossref())
    verdict = "select verdict, decided from works where doi = ?"
    decided = store.conn.execute(verdict, (LIPSITZ["DOI"],)).fetchall()
    ended = stored(store)
    with store.conn:  # as a version did that took author, year and pages for enough, and named no year
        store.conn.execute(
            "update citations set doi = ?, status = 'resolved', problem = null where position = 7", (LIPSITZ["DOI"],)
        )
        store.conn.execute("update citations set problem = null where position = 2")
    told = stored_verdicts.of_list(store.conn, "article")
    assert [told[6].verdict, told[1].verdict] == ["other-work", "found-with-errors"]
    assert "does not agree any more" in told[6].reason
    outcome = go(crossref())
    assert [(source, text.partition(":")[0]) for source, text in outcome.compared_anew] == [
        ("article", f"citation 2 ({STANGIER['DOI']}) is found with errors"),
        ("article", f"citation 7 no longer agrees with {LIPSITZ['DOI']}"),
    ]
    assert "Compared anew, article: citation 7 no longer agrees" in sync_summary.sync_summary(outcome)
    assert stored(store) == ended
    assert store.conn.execute(verdict, (LIPSITZ["DOI"],)).fetchall() == decided == [("include", "person")]
    before = dump(store)
    assert go(crossref()).compared_anew == []
    assert dump(store) == before


def test_a_record_that_its_publisher_corrected_is_compared_anew(store: Store, go: Go) -> None:
    go(crossref())
    corrected = LIPSITZ | {"volume": "34", "indexed": {"date-time": "2026-11-20T00:00:00Z"}}
    outcome = go(crossref(corrected))
    now = stored(store)[0]
    assert (now.status, now.doi) == ("resolved", LIPSITZ["DOI"])
    assert now.problem == "found with errors: it prints the volume 33 (the record: 34)"
    assert next(text for _, text in outcome.compared_anew) == f"citation 1 ({LIPSITZ['DOI']}) is {now.problem}"
    assert go(crossref(corrected)).compared_anew == []


def test_a_citation_that_was_accepted_by_its_doi_alone_stays(store: Store, go: Go) -> None:
    go(crossref())
    only = stored(store)[9]
    work = next(w for w in stored_verdicts.of_list(store.conn, "article") if w.given.number == 9).work
    assert work is not None
    assert reference_lists.compared_again(only, work) == only
