"""Asking other providers: what is due, what is written of the answers, and that no error reads as "none"."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from evidence import strict_yaml
from evidence.data_model import Doi, Message
from evidence.database import read_queries
from evidence.database.connection import open_evidence
from evidence.database.select_works import Selection
from evidence.database.writer import open_store
from evidence.export import explanation, status_report, sync_summary
from evidence.export.works_as_of_date import selected_as_of
from evidence.harvest import enrich, sources
from evidence.harvest.progress import NoProgress
from evidence.harvest.run_outcome import Outcome
from evidence.harvest.sync import sync
from evidence.review.record_decision import add_decisions
from evidence.rules.taxonomy import Taxonomy
from tests.builders import FakeRecordSource, message, person
from tests.provider_records import ABSTRACT, FakeProvider, europepmc, pubmed

SEARCH = """
sources:
  - id: by-name
    kind: search
    label: By name
    query: {bibliographic: interpersonal psychotherapy}
    phrases: [interpersonal psychotherap*]
"""
CONFIG = sources.check(strict_yaml.parse(SEARCH, "sources.yaml"))
GRIEF = Doi("10.5555/grief")
TEENS = Doi("10.5555/teens")
TITLES = {
    GRIEF: "Interpersonal psychotherapy for grief: a study of bereaved adults",
    TEENS: "Interpersonal psychotherapy for adolescents in schools",
}
START = datetime(2026, 11, 2, 6, tzinfo=UTC)
DERIVED = (
    "works",
    "tags",
    "reasons",
    "identifiers",
    "facts",
    "notices",
    "updates",
    "provider_records",
    "provider_answers",
)


def records(**more: Any) -> list[Message]:
    place = {"container-title": ["Journal of Grief"], "author": [person("Klerman", "Gerald")], "volume": "9"}
    return [message(doi, title, 2012, page=str(n), **place, **more) for n, (doi, title) in enumerate(TITLES.items())]


class Review:
    """A database, a Crossref and a clock; each sync a day later."""

    def __init__(self, folder: Path, book: Taxonomy) -> None:
        self.db, self.ledger = folder / "evidence.db", folder / "decisions.db"
        self.book, self.now = book, START
        self.crossref = FakeRecordSource(records())

    def sync(self, *providers: FakeProvider, days: float = 1) -> Outcome:
        self.now += timedelta(days=days)
        with open_store(self.db, self.ledger) as store:
            return sync(CONFIG, store, self.crossref, self.book, now=lambda: self.now, providers=providers)

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with closing(open_evidence(self.db)) as conn:
            return conn.execute(sql, values).fetchall()

    def contents(self, tables: Sequence[str] = DERIVED) -> dict[str, list[tuple[Any, ...]]]:
        return {table: sorted(self.rows(f"select * from {table}"), key=repr) for table in tables}

    def tags(self, doi: Doi, facet: str) -> set[str]:
        return {value for (value,) in self.rows("select value from shown_tags where (doi, facet) = (?, ?)", doi, facet)}

    def changes(self) -> list[tuple[str, str, str | None, str | None]]:
        return self.rows(
            "select doi, what, before, after from changes where run = (select max(run) from changes) order by 1, 2"
        )

    def explained(self, doi: Doi) -> str:
        with closing(open_evidence(self.db)) as conn:
            work = read_queries.work_details(conn, doi)
        assert work is not None
        return explanation.work_explanation(work)


@pytest.fixture
def review(tmp_path: Path, book: Taxonomy) -> Review:
    return Review(tmp_path, book)


def both(**more: Any) -> FakeProvider:
    return FakeProvider(
        "pubmed", {doi: pubmed(doi, title, str(n), **more) for n, (doi, title) in enumerate(TITLES.items(), 1)}
    )


def test_a_work_is_judged_on_the_abstract_that_a_provider_has_and_says_whose_it_is(review: Review) -> None:
    review.sync()
    assert "depressive-symptoms" not in review.tags(GRIEF, "outcome")
    outcome = review.sync(both())
    assert review.rows("select abstract_source, abstract_at, judged_on from works where doi = ?", GRIEF) == [
        ("pubmed", "2026-11-04T06:00:00Z", "title+abstract")
    ]
    assert "depressive-symptoms" in review.tags(GRIEF, "outcome")
    ((text,),) = review.rows("select abstract from works where doi = ?", GRIEF)
    for start, stop, quote in review.rows(
        "select start, stop, quote from reasons where field = 'abstract' and doi = ?", GRIEF
    ):
        assert text[start:stop] == quote
    assert {(doi, what, after) for doi, what, _, after in review.changes() if what == "abstract"} == {
        (GRIEF, "abstract", "pubmed"),
        (TEENS, "abstract", "pubmed"),
    }
    said = sync_summary.sync_summary(outcome)
    assert "PubMed: 2 asked about, 2 with a record, 0 without, 1 request." in said
    assert "Abstract: PubMed, 2026-11-04." in review.explained(GRIEF)
    assert review.rows(
        "select doi from works_fts f join works w on w.rowid = f.rowid where works_fts match 'beck'"
    ) == [
        (GRIEF,),
        (TEENS,),
    ]


def test_a_second_run_with_nothing_new_asks_nothing_and_changes_no_row(review: Review) -> None:
    review.sync(both())
    before = review.contents()
    again = both()
    outcome = review.sync(again)
    assert again.asked == [] and outcome.providers == {}
    assert review.contents() == before
    assert sync_summary.sync_summary(outcome).startswith("2 records matched")


def test_after_some_days_it_is_asked_again_and_the_same_answer_changes_nothing_about_the_works(review: Review) -> None:
    review.sync(both())
    tables = [table for table in DERIVED if table != "provider_answers"]
    before = review.contents(tables)
    again = both()
    outcome = review.sync(again, days=8)
    assert len(again.asked) == 2
    assert review.contents(tables) == before
    assert outcome.changes.counts == {}


def test_what_could_not_be_asked_is_said_and_asked_again_and_never_counts_as_none(review: Review) -> None:
    provider = both()
    provider.failing, provider.retry_after = "503, out of order", 3600
    outcome = review.sync(provider)
    answer = "select state, found, problem, asked_at, failed_since, next_try from provider_answers where subject = ?"
    since = "2026-11-03T06:00:00Z"
    assert review.rows(answer, GRIEF) == [
        ("could not ask", None, "503, out of order", None, since, "2026-11-03T07:00:00Z")
    ]
    assert outcome.outcome == "complete"
    assert "Warning, PubMed: 2 could not be asked about" in sync_summary.sync_summary(outcome)
    said = "PubMed could not be asked since 2026-11-03: 503, out of order; next try at the next sync."
    assert said in review.explained(GRIEF)
    with closing(open_evidence(review.db)) as conn:
        status = status_report.status_report(read_queries.status(conn))
    assert (
        "PubMed: 0 works with a record, 0 without, 2 could not be asked about since 2026-11-03 (503, out of order)."
        in status
    )
    early = both()
    review.sync(early, days=0.01)
    assert early.asked == []
    review.sync(provider, days=0.1)
    assert review.rows(answer, GRIEF)[0][4] == since
    provider.failing = None
    review.sync(provider)
    assert review.rows(answer, GRIEF)[0][:2] == ("asked", 1)
    assert review.rows("select count(*) from works where abstract_source = 'pubmed'") == [(2,)]


def test_a_provider_that_fails_later_takes_nothing_away(review: Review) -> None:
    review.sync(both())
    before = review.rows("select doi, abstract from works order by doi")
    failing = both()
    failing.failing = "no answer"
    review.sync(failing, days=8)
    assert review.rows("select state, found, asked_at from provider_answers where subject = ?", GRIEF) == [
        ("could not ask", 1, "2026-11-03T06:00:00Z")
    ]
    review.sync(FakeProvider("pubmed", {}), days=8)
    assert review.rows("select state, found from provider_answers where subject = ?", GRIEF) == [("asked", 0)]
    assert review.rows("select doi, abstract from works order by doi") == before


def test_an_answer_about_another_work_is_refused_and_said(review: Review) -> None:
    provider = both()
    provider.refusing = {GRIEF: "the record has another title (“Bridges”)"}
    outcome = review.sync(provider)
    assert review.rows("select state, found, problem from provider_answers where subject = ?", GRIEF) == [
        ("asked", 0, "the record has another title (“Bridges”)")
    ]
    assert "1 with the record of another work, which was refused" in sync_summary.sync_summary(outcome)
    assert review.rows("select abstract from works where doi = ?", GRIEF) == [(None,)]


def test_the_best_text_is_taken_and_the_publishers_before_all(review: Review) -> None:
    epmc = FakeProvider("europepmc", {GRIEF: europepmc(GRIEF, TITLES[GRIEF], abstract="Depression fell.")})
    review.sync(epmc)
    source = "select abstract_source from works where doi = ?"
    assert review.rows(source, GRIEF) == [("europepmc",)]
    medline = FakeProvider("pubmed", {GRIEF: pubmed(GRIEF, TITLES[GRIEF])})
    review.sync(epmc, medline)
    assert medline.asked[0].pmid == "12345678"
    assert review.rows(source, GRIEF) == [("pubmed",)]
    assert (GRIEF, "abstract", "europepmc", "pubmed") in review.changes()
    deposited = records(abstract="<jats:p>Anxiety was measured.</jats:p>")
    for record in deposited:
        record["indexed"] = {"date-time": "2026-11-06T00:00:00Z"}
    review.crossref.messages = {Doi(record["DOI"]): record for record in deposited}
    review.sync(epmc, medline)
    assert review.rows(source, GRIEF) == [("publisher",)]
    assert review.rows("select abstract from works where doi = ?", GRIEF) == [("Anxiety was measured.",)]
    assert [what for doi, what, *_ in review.changes() if doi == GRIEF and what != "tags"] == ["content"]


def test_a_decision_is_offered_again_only_if_the_text_that_was_read_has_changed(review: Review) -> None:
    review.sync()
    for doi in TITLES:
        add_decisions(
            review.db, review.ledger, review.book, lambda: review.now, doi, "include", (), (), "fits", "A. Reader"
        )
    review.sync(
        FakeProvider("pubmed", {GRIEF: pubmed(GRIEF, TITLES[GRIEF]), TEENS: pubmed(TEENS, TITLES[TEENS], abstract=())})
    )
    conflicts = dict(review.rows("select doi, conflict from works"))
    assert conflicts[TEENS] is None
    assert "has changed since A. Reader decided" in conflicts[GRIEF]
    add_decisions(
        review.db, review.ledger, review.book, lambda: review.now, GRIEF, "include", (), (), "read it all", "A. Reader"
    )
    assert review.rows("select conflict from works where doi = ?", GRIEF) == [(None,)]


# ---------------------------------------------------------------------- notices

RETRACTED: dict[str, Any] = {
    "types": ("Journal Article", "Retracted Publication"),
    "comments": (("RetractionIn", "J Grief. 2019 Mar 1;16(3):1. doi: 10.5555/notice.", "31000001"),),
}


def test_a_retraction_that_only_pubmed_knows_marks_the_work_everywhere(review: Review) -> None:
    review.sync()
    outcome = review.sync(FakeProvider("pubmed", {GRIEF: pubmed(GRIEF, TITLES[GRIEF], **RETRACTED)}))
    shown = "select kind, notice_doi, issued, source, evidence, notice_id from notices where doi = ?"
    assert review.rows(shown, GRIEF) == [
        ("retraction", "10.5555/notice", "2019-03-01", "PubMed", "comments-corrections", "PMID:31000001")
    ]
    assert review.rows("select notice from works where doi = ?", GRIEF) == [("retraction",)]
    assert (GRIEF, "notice", None, "retraction 10.5555/notice") in review.changes()
    assert "NOTICE retraction of included work" in sync_summary.sync_summary(outcome)
    assert (
        "retraction 2019-03-01 10.5555/notice PMID:31000001 (from comments-corrections) stated by PubMed"
        in review.explained(GRIEF)
    )


def test_witnesses_of_one_retraction_are_one_notice_that_is_announced_once(review: Review) -> None:
    update = {
        "DOI": "10.5555/notice",
        "type": "retraction",
        "updated": {"date-parts": [[2019, 4]]},
        "source": "publisher",
    }
    review.crossref = FakeRecordSource([{**record, "updated-by": [update]} for record in records()])
    review.sync()
    epmc = FakeProvider(
        "europepmc", {GRIEF: europepmc(GRIEF, TITLES[GRIEF], pubTypeList={"pubType": ["Retracted Publication"]})}
    )
    outcome = review.sync(FakeProvider("pubmed", {GRIEF: pubmed(GRIEF, TITLES[GRIEF], **RETRACTED)}), epmc)
    assert review.rows("select kind, notice_doi, issued, source from notices where doi = ?", GRIEF) == [
        ("retraction", "10.5555/notice", "2019-03-01", "Europe PMC; PubMed; publisher")
    ]
    assert "notice" not in outcome.changes.counts
    assert {source for (source,) in review.rows("select source from updates where said_by = ?", GRIEF)} == {
        "publisher", "PubMed", "Europe PMC",
    }  # fmt: skip


# ---------------------------------------------------------------------- identifiers and facts


def test_identifiers_and_facts_are_kept_with_their_source(review: Review) -> None:
    review.sync(both(registrations=("NCT01234567",), types=("Randomized Controlled Trial",)))
    found = set(review.rows("select kind, identifier, source from identifiers where doi = ?", GRIEF))
    assert {("pmid", "1", "pubmed"), ("registration", "NCT01234567", "pubmed")} <= found
    assert review.rows("select kind, fact, source from facts where doi = ?", GRIEF) == [
        ("publication-type", "Randomized Controlled Trial", "pubmed")
    ]
    with closing(open_evidence(review.db)) as conn:
        assert read_queries.works_with_identifier(conn, "pmid", "2") == [TEENS]
        assert read_queries.works_with_identifier(conn, "registration", "NCT01234567") == [GRIEF, TEENS]
    assert "Also known as: PMID 1" in review.explained(GRIEF)


def test_a_publication_type_is_a_reason_of_its_own(review: Review) -> None:
    review.sync(both(abstract=(), types=("Randomized Controlled Trial",)))
    tags = review.rows("select strength, how from tags where (doi, facet, value) = (?, 'design', 'rct')", TEENS)
    assert [strength for strength, _ in tags] == ["stated"]
    assert "PubMed's publication type (“Randomized Controlled Trial”)" in tags[0][1]
    reason = "select field, start, stop, quote from reasons where (doi, facet, value) = (?, 'design', 'rct')"
    assert review.rows(reason, TEENS) == [("publication-type", 0, 27, "Randomized Controlled Trial")]


def test_registries_are_asked_about_the_numbers_that_the_same_run_brought(review: Review) -> None:
    registry = FakeProvider("clinicaltrials", {})
    review.sync(both(registrations=("NCT01234567", "ISRCTN12345678")), registry)
    assert [one.subject for one in registry.asked] == ["NCT01234567"]
    assert review.rows("select state, found from provider_answers where provider = 'clinicaltrials'") == [("asked", 0)]


# ---------------------------------------------------------------------- over time


def test_a_work_keeps_its_text_when_its_doi_leads_to_another(review: Review) -> None:
    review.sync(both())
    old, new = records()[0], {**records()[0], "DOI": "10.5555/moved"}
    review.crossref.messages = {Doi("10.5555/moved"): new, TEENS: records()[1]}
    review.crossref.aliases = {Doi(old["DOI"]): "10.5555/moved"}
    medline = FakeProvider("pubmed", {})
    outcome = review.sync(medline)
    assert outcome.changes.counts == {"moved": 1}
    assert review.rows("select doi, abstract_source from works order by doi") == [
        ("10.5555/moved", "pubmed"), (TEENS, "pubmed"),
    ]  # fmt: skip
    assert [one.subject for one in medline.asked] == ["10.5555/moved"]


def test_excluded_works_are_not_asked_about(review: Review) -> None:
    review.sync()
    add_decisions(
        review.db, review.ledger, review.book, lambda: review.now, GRIEF, "exclude", (), (), "no", "A. Reader"
    )
    provider = both()
    review.sync(provider)
    assert [one.subject for one in provider.asked] == [TEENS]


class Killed(BaseException):
    """The program was killed."""


def test_a_run_that_is_killed_asks_the_rest_the_next_time_and_loses_nothing(review: Review) -> None:
    review.sync()
    provider = both()
    provider.batch = 1

    def kill(number: int) -> None:
        if number == 1:
            raise Killed

    provider.before_batch = kill
    with pytest.raises(Killed):
        review.sync(provider)
    first = provider.asked[0].subject
    rest = both()
    outcome = review.sync(rest)
    assert [one.subject for one in rest.asked] == [doi for doi in sorted(TITLES) if doi != first]
    assert review.rows("select count(*) from works where abstract_source = 'pubmed'") == [(2,)]
    assert outcome.changes.counts["abstract"] == 2
    assert sorted(doi for doi, what, *_ in review.changes() if what == "abstract") == sorted(TITLES)


def test_the_states_of_a_provider_add_up_to_the_works_of_the_review(review: Review) -> None:
    provider = FakeProvider("pubmed", {GRIEF: pubmed(GRIEF, TITLES[GRIEF])})
    review.sync(provider)
    with closing(open_evidence(review.db)) as conn:
        states = {row["provider"]: row for row in read_queries.provider_states(conn)}
    assert list(states) == ["europepmc", "pubmed", "openalex", "retraction-watch"]
    assert {states[name]["not_asked"] for name in states if name != "pubmed"} == {2}
    row = states["pubmed"]
    counted = ("found", "none", "refused", "could_not_ask", "not_asked")
    assert [row[name] for name in counted] == [1, 1, 0, 0, 0]
    assert review.rows("select run, found, none, failed, requests from provider_requests") == [(1, 1, 1, 0, 1)]


def test_a_list_of_a_past_day_has_the_abstract_of_that_day(review: Review) -> None:
    review.sync()
    day = review.now.date().isoformat()
    review.sync(both())
    with closing(open_evidence(review.db)) as conn:
        then = {row["doi"]: row["abstract"] for row in selected_as_of(conn, Selection(), day)}
        now = {row["doi"]: row["abstract"] for row in selected_as_of(conn, Selection(), review.now.date().isoformat())}
    assert set(then.values()) == {None}
    assert ABSTRACT[0][1] in now[GRIEF]


def test_rules_are_applied_again_to_the_stored_records_without_asking(review: Review) -> None:
    review.sync(both())
    before = review.contents()
    with open_store(review.db, review.ledger) as store, store.transaction():
        store.conn.execute("update works set basis = ''")
        for table in ("tags", "reasons", "identifiers", "facts"):
            store.conn.execute(f"delete from {table}")
    review.sync()
    assert review.contents() == before


def test_asking_needs_no_sync(review: Review, book: Taxonomy) -> None:
    review.sync()
    with open_store(review.db, review.ledger) as store:
        outcome = Outcome(store.start_run("providers", "0", "2026-11-05T00:00:00Z"))
        run = enrich.EnrichRun(outcome.run, store, book, lambda: review.now, NoProgress(), outcome)
        assert enrich.ask_providers(run, [both()]) == 2
        store.finish_run(outcome.run, "complete", outcome.counts(), "2026-11-05T00:00:01Z")
    assert json.loads(review.rows("select counts from runs where run = ?", outcome.run)[0][0])["providers"] == {
        "pubmed": {"found": 2, "requests": 1}
    }
