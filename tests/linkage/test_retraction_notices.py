"""Notices: whoever states one, in whatever order records come, the work that it is about shows it, and nobody else."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlite_utils import Database

from evidence import strict_yaml
from evidence.crossref.normalise import serialise
from evidence.data_model import SAME_WORK, Doi, Message
from evidence.database import changes_since_last_run, read_queries, schema, write_notices
from evidence.database.select_works import Selection, selected_works
from evidence.database.values_for_writer import HarvestedPage, SourceRow
from evidence.database.writer import Store, open_store
from evidence.export import explanation, sync_summary
from evidence.harvest import rejudge, sources
from evidence.harvest.judge_records import RecordToJudge, judge_record
from evidence.harvest.run_outcome import Outcome
from evidence.harvest.sources import Config
from evidence.harvest.sync import sync
from evidence.linkage import retraction_notices
from evidence.linkage.retraction_notices import Facts, RecordGroup, Statement
from evidence.review.record_decision import add_decisions
from evidence.rules.taxonomy import Taxonomy
from tests.builders import SMALL_YAML, FakeRecordSource, message, person, tagging
from tests.publish.test_site import served

NOW = "2026-11-24T12:00:00Z"
STUDY = "10.5555/study"
NOTICE = "10.5555/notice"
TITLE = "Interpersonal psychotherapy for grief: a randomized trial"


def update(doi: str, kind: str = "retraction", issued: tuple[int, ...] = (2020, 5, 3), **more: Any) -> dict[str, Any]:
    return {"DOI": doi, "type": kind, "updated": {"date-parts": [list(issued)]}, "source": "publisher"} | more


def study(doi: str = STUDY, title: str = TITLE, year: int = 2012, **more: Any) -> Message:
    place = {
        "container-title": ["Journal of Grief"],
        "volume": "9",
        "page": "11-20",
        "author": [person("Jones", "Ann")],
    }
    return message(doi, title, year, **{**place, **{key.replace("_", "-"): value for key, value in more.items()}})


def notice(doi: str = NOTICE, about: str = STUDY, kind: str = "retraction", **more: Any) -> Message:
    """A record that says of another work that it retracts it."""
    more = {key.replace("_", "-"): value for key, value in more.items()}
    return message(doi, f"{kind.capitalize()}: {TITLE}", 2020, **{"update-to": [update(about, kind)], **more})


SIDES: dict[str, list[Message]] = {
    "updated-by": [study(updated_by=[update(NOTICE)])],
    "update-to": [study(), notice()],
    "both": [study(updated_by=[update(NOTICE)]), notice()],
}


class Bench:
    """A store, and messages to land in it, each landing a run of its own."""

    def __init__(self, path: Path, book: Taxonomy) -> None:
        self.store, self.book = open_store(path), book
        self.store.set_facets(rejudge.facet_rows(book))

    def land(self, *messages: Message, aliases: Sequence[tuple[str, str]] = ()) -> None:
        records = []
        for one in messages:
            text, digest = serialise(one)
            records.append(judge_record(RecordToJudge(Doi(one["DOI"]), digest, text), self.book, one))
        pairs = [(Doi(alias), Doi(doi)) for alias, doi in aliases]
        self.store.write_page(self.run(), "s", HarvestedPage(records, aliases=pairs))

    def run(self) -> int:
        number = self.store.start_run("crossref", "0", NOW)
        self.store.register_sources(number, [SourceRow("s", "search", "S", "{}")])
        return number

    def judge(self) -> None:
        class Quiet:
            def step(self, label: str, done: int, total: int | None) -> None: ...

        rejudge.rejudge_stale(self.store, self.book, self.run(), {}, Quiet())

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        return self.store.conn.execute(sql, values).fetchall()

    def shown(self, columns: str = "doi, kind, notice_doi") -> list[tuple[Any, ...]]:
        return self.rows(f"select {columns} from notices order by doi, kind, notice_doi")

    def gravest(self) -> dict[str, str]:
        return dict(self.rows("select doi, notice from works where notice is not null"))

    def derived(self) -> dict[str, Any]:
        works = "select doi, verdict, why, notice, notice_of, basis from works order by doi"
        return {"works": self.rows(works), "notices": self.rows("select * from notices order by doi, kind, notice_doi")}


@pytest.fixture(scope="session")
def new_bench(tmp_path_factory: pytest.TempPathFactory, book: Taxonomy) -> Callable[[], Bench]:
    """Makes an empty bench; hypothesis would write a whole rulebook into its reports."""
    return lambda: Bench(tmp_path_factory.mktemp("bench") / "evidence.db", book)


@pytest.fixture
def bench(tmp_path: Path, book: Taxonomy) -> Iterator[Bench]:
    made = Bench(tmp_path / "evidence.db", book)
    with made.store:
        yield made


# --- whoever states it, in whatever order ------------------------------------------------------------------------------


@pytest.mark.parametrize("sides", SIDES.values(), ids=SIDES)
@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("turned", [True, False])
def test_a_retraction_shows_whoever_states_it_and_whoever_comes_first(
    bench: Bench, sides: list[Message], together: bool, turned: bool
) -> None:
    ordered = sides[::-1] if turned else sides
    for page in [ordered] if together else [[one] for one in ordered]:
        bench.land(*page)
    assert bench.shown() == [(STUDY, "retraction", NOTICE)]
    assert bench.gravest() == {STUDY: "retraction"}
    assert bench.rows("select verdict from works where doi = ?", STUDY) == [("include",)]


def test_what_a_notice_says_goes_when_it_says_so_no_more(bench: Bench) -> None:
    bench.land(study())
    bench.land(notice())
    assert bench.gravest() == {STUDY: "retraction"}
    bench.land(notice(kind="correction"))
    assert bench.shown() == [(STUDY, "correction", NOTICE)]
    bench.land(notice(about="10.5555/another"))
    assert bench.shown() == []
    assert bench.gravest() == {}
    bench.land(notice())
    assert bench.gravest() == {STUDY: "retraction"}


def test_a_notice_that_is_gone_says_nothing_but_a_work_that_is_gone_stays_retracted(bench: Bench) -> None:
    """Nobody has said anything else of a work that is gone; a notice that is gone is no notice."""
    bench.land(study(), notice(), study("10.5555/two", updated_by=[update("10.5555/n2")], title="Another IPT trial"))
    with bench.store.transaction():
        bench.store.conn.execute("update snapshots set last_run = 1 where doi in (?, '10.5555/two')", (NOTICE,))
        write_notices.update_notices(bench.store.conn, 1, [Doi(NOTICE), Doi("10.5555/two")])
    assert bench.shown() == [("10.5555/two", "retraction", "10.5555/n2")]
    assert bench.rows("select notice_of, basis = '' from works where doi = ?", NOTICE) == [(f"retraction:{STUDY}", 0)]
    assert bench.store.notice_targets([Doi(NOTICE)]) == {NOTICE: (("retraction", STUDY),)}


def test_one_fact_told_by_both_sides_counts_once_with_its_earliest_date_and_all_who_told_it(bench: Bench) -> None:
    told = [update(NOTICE, issued=(2020, 6)), update(NOTICE, issued=(2020, 5, 4), source="retraction-watch")]
    bench.land(notice(), study(updated_by=told))
    assert bench.shown("doi, kind, notice_doi, issued, source, evidence, stands_on, relation, undone") == [
        (STUDY, "retraction", NOTICE, "2020-05-03", "publisher; retraction-watch", "updated-by", STUDY, "own", 0)
    ]
    assert len(bench.rows("select * from updates")) == 3


def test_a_title_is_believed_only_where_nobody_states_it(bench: Bench) -> None:
    bench.land(study(title=f"RETRACTED: {TITLE}"))
    assert bench.shown("kind, notice_doi, evidence") == [("retraction", STUDY, "title")]
    bench.land(notice())
    assert bench.shown("kind, notice_doi, evidence") == [("retraction", NOTICE, "update-to")]
    bench.land(notice(about="10.5555/another"))
    assert bench.shown("kind, notice_doi, evidence") == [("retraction", STUDY, "title")]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_reinstatement_takes_back_what_was_said_before_it(bench: Bench, order: tuple[int, ...]) -> None:
    back = message("10.5555/back", f"Reinstatement notice: {TITLE}", 2021)
    back["update-to"] = [update(STUDY, "reinstatement", (2021, 2))]
    pages = [study(), notice(), back]
    for number in order:
        bench.land(pages[number])
    assert bench.gravest() == {STUDY: "reinstatement"}
    assert bench.shown("kind, undone") == [("reinstatement", 0), ("retraction", 1)]
    bench.land(back | {"update-to": [update(STUDY, "reinstatement", (2020,))]})
    assert bench.gravest() == {STUDY: "reinstatement"}, "in the same year: it can only follow"
    bench.land(back | {"update-to": [update(STUDY, "reinstatement", (2019,))]})
    assert bench.gravest() == {STUDY: "retraction"}, "an earlier one was of an earlier retraction"


def test_judging_again_and_building_anew_change_nothing(bench: Bench) -> None:
    bench.land(notice())
    bench.land(study(), study("10.5555/two", f"RETRACTED: {TITLE}", update_to=[update("10.5555/w", issued=(2015,))]))
    bench.judge()
    settled = bench.derived()
    assert bench.gravest() == {STUDY: "retraction", "10.5555/two": "retraction"}
    with bench.store.transaction():
        bench.store.conn.execute("update works set basis = ''")
    bench.judge()
    assert bench.derived() == settled
    with bench.store.transaction():
        bench.store.conn.execute("delete from works")
        bench.store.conn.execute("insert into works_fts (works_fts) values ('delete-all')")
    assert bench.shown() == []
    bench.judge()
    assert bench.derived() == settled


# --- aliases, duplicates and preprints ---------------------------------------------------------------------------------


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_notice_about_an_old_doi_shows_on_the_work_it_leads_to(bench: Bench, order: tuple[int, ...]) -> None:
    steps: list[Callable[[], None]] = [
        lambda: bench.land(study()),
        lambda: bench.land(notice(about="10.5555/oldest")),
        lambda: bench.land(aliases=[("10.5555/oldest", "10.5555/older"), ("10.5555/older", STUDY)]),
    ]
    for number in order:
        steps[number]()
    assert bench.shown("doi, kind, notice_doi, stands_on") == [(STUDY, "retraction", NOTICE, "10.5555/oldest")]
    assert bench.gravest() == {STUDY: "retraction"}
    bench.land(aliases=[("10.5555/oldest", "10.5555/elsewhere")])
    assert bench.gravest() == {}


def test_a_ring_of_aliases_ends(bench: Bench) -> None:
    bench.land(study(), notice(about="10.5555/a"), aliases=[("10.5555/a", "10.5555/b"), ("10.5555/b", "10.5555/a")])
    assert bench.gravest() == {}


@pytest.mark.parametrize("first", ["cluster", "notice"])
def test_a_retraction_of_one_record_is_a_retraction_of_the_work(bench: Bench, first: str) -> None:
    twin = "10.5555/twin"
    bench.land(study(), study(twin))
    steps: list[Callable[[], Any]] = [
        lambda: bench.store.set_duplicates(1, [(STUDY, twin, "same", "rule", "")], {twin: STUDY}),
        lambda: bench.land(notice(about=twin)),
    ]
    for step in steps if first == "cluster" else steps[::-1]:
        step()
    assert bench.shown("doi, notice_doi, stands_on, relation") == [
        (STUDY, NOTICE, twin, "record"),
        (twin, NOTICE, twin, "own"),
    ]
    assert bench.gravest() == {STUDY: "retraction", twin: "retraction"}
    assert bench.store.finish_run(1, "complete", {}, NOW)["notice"] == 1
    told = bench.store.conn.execute("select doi, after from changes where what = 'notice'")
    assert told.fetchall() == [(STUDY, f"retraction {NOTICE} (record {twin})")]
    bench.store.set_duplicates(1, [(STUDY, twin, "apart", "person", "")], {})
    assert bench.gravest() == {twin: "retraction"}


@pytest.mark.parametrize("side", ["preprint", "article"])
@pytest.mark.parametrize("turned", [True, False])
def test_an_articles_retraction_is_its_preprints_and_a_preprints_is_shown_as_that(
    bench: Bench, side: str, turned: bool
) -> None:
    pre = "10.5555/pre"
    to_article = {"is-preprint-of": [{"id-type": "doi", "id": STUDY}]} if side == "preprint" else {}
    to_preprint = {"has-preprint": [{"id-type": "doi", "id": pre}]} if side == "article" else {}
    pages = [study(relation=to_preprint), study(pre, type="posted-content", relation=to_article), notice()]
    for page in pages[::-1] if turned else pages:
        bench.land(page)
    assert bench.shown("doi, stands_on, relation") == [(pre, STUDY, "article"), (STUDY, STUDY, "own")]
    assert bench.gravest() == {STUDY: "retraction", pre: "retraction"}
    bench.land(notice(about=pre, kind="withdrawal"))
    assert bench.shown("doi, kind, stands_on, relation") == [
        (pre, "withdrawal", pre, "own"),
        (STUDY, "withdrawal", pre, "preprint"),
    ]
    assert bench.gravest() == {pre: "withdrawal"}


def test_the_preprint_of_a_retracted_article_that_no_source_led_to(bench: Bench) -> None:
    bench.land(study("10.5555/pre", relation={"is-preprint-of": [{"id-type": "doi", "id": STUDY}]}), notice())
    assert bench.gravest() == {"10.5555/pre": "retraction"}


# --- study or notice ---------------------------------------------------------------------------------------------------


def test_a_study_marked_retracted_that_carries_both_relations_is_the_study(bench: Bench) -> None:
    both = study(title=f"RETRACTED: {TITLE}", updated_by=[update(NOTICE)], update_to=[update(NOTICE)])
    for page in ([both], [notice()], [both]):
        bench.land(*page)
        if page[0] is both:
            assert bench.rows("select verdict, notice, notice_of from works where doi = ?", STUDY) == [
                ("include", "retraction", None)
            ]
    assert bench.shown() == [(STUDY, "retraction", NOTICE)]
    assert bench.rows("select verdict, notice_of from works where doi = ?", NOTICE) == [
        ("exclude", f"retraction:{STUDY}")
    ]


@pytest.mark.parametrize("turned", [True, False])
def test_a_relation_that_points_the_wrong_way_is_turned_by_titles_and_dates(bench: Bench, turned: bool) -> None:
    """The study names its notice as what it updates; with the notice at hand, everybody sees which is which."""
    wrong = study(update_to=[update(NOTICE, issued=(2012,))])
    plain = message(NOTICE, f"Retraction: {TITLE}", 2020)
    for page in [plain, wrong] if turned else [wrong, plain]:
        bench.land(page)
    bench.judge()
    assert bench.shown("doi, kind, notice_doi, evidence") == [(STUDY, "retraction", NOTICE, "update-to")]
    assert bench.rows("select doi, verdict, notice_of from works order by doi") == [
        (NOTICE, "exclude", "retraction:"),
        (STUDY, "include", None),
    ]
    assert bench.rows("select count(*) from works where basis = ''") == [(0,)]


def test_a_journals_notice_under_the_studys_title_is_the_notice(bench: Bench) -> None:
    """Some journals head the notice itself "Retracted: …" """
    bench.land(notice() | {"title": [f"Retracted: {TITLE}"]}, study())
    assert bench.shown() == [(STUDY, "retraction", NOTICE)]
    assert bench.rows("select verdict from works where doi = ?", NOTICE) == [("exclude",)]


def test_a_new_version_is_a_study(bench: Bench) -> None:
    bench.land(study("10.5555/v2", year=2013, update_to=[update(STUDY, "new_version", (2013,))]), study())
    assert bench.rows("select doi, verdict, notice from works order by doi") == [
        (STUDY, "include", None),
        ("10.5555/v2", "include", None),
    ]
    assert bench.shown() == [(STUDY, "new-version", "10.5555/v2")]


def said(by: str, about: str, notice_doi: str, issued: str | None = "2020", evidence: Any = "update-to") -> Statement:
    return Statement(by, about, "retraction", notice_doi, issued, None, evidence)


@pytest.mark.parametrize(
    ("this", "statements", "others", "is_notice"),
    [
        (Facts("a", "Grief", issued="2020"), [said("a", "b", "a")], [], True),
        (Facts("a", "Grief", issued="2012"), [said("a", "b", "a")], [], False),
        (Facts("a", "Grief", issued="2019-12"), [said("a", "b", "a")], [], True),
        # The last day that "2015-06" may mean, and half a year: up to there the one may be the other's notice.
        (Facts("a", "Grief", issued="2015-06"), [said("a", "b", "a", "2015-12-30")], [], True),
        (Facts("a", "Grief", issued="2015-06"), [said("a", "b", "a", "2015-12-31")], [], False),
        (Facts("a", "Grief"), [said("a", "b", "a", None)], [], True),
        (Facts("a", "Retraction of: Grief", issued="2012"), [said("a", "b", "a")], [], True),
        (
            Facts("a", "Grief", issued="2012"),
            [said("a", "b", "a", None)],
            [Facts("b", "Grief", issued="2019")],
            False,
        ),
        (Facts("a", "Grief"), [said("a", "b", "a", None)], [Facts("b", "Retraction: Grief")], False),
        (
            Facts("a", "Grief", issued="2020"),
            [said("a", "b", "a")],
            [Facts("b", "Grief", issued="2012")],
            True,
        ),
        (Facts("a", "Grief", "book"), [said("a", "b", "a")], [], False),
        (Facts("a", "Erratum", "book"), [said("a", "b", "a")], [], True),
        (Facts("a", "Correction for Smith et al.", "report"), [said("a", "b", "a")], [], True),
        (
            Facts("a", "Withdrawal of a drug"),
            [said("a", "b", "a"), said("a", "a", "c", "2021", "updated-by")],
            [],
            False,
        ),
        (Facts("a", "Grief"), [said("a", "b", "a"), said("a", "a", "c", "2021", "updated-by")], [], False),
    ],
)
def test_study_or_notice(this: Facts, statements: list[Statement], others: list[Facts], is_notice: bool) -> None:
    group = RecordGroup({f.doi: f for f in [this, *others]}, statements, {}, ())
    assert bool(retraction_notices.notice_of(this, statements, group)) is is_notice


@pytest.mark.parametrize(
    ("this", "shown"),
    [
        (Facts("a", "Grief", issued="2012"), {"a": ["n"]}),  # out long before: the relation points the wrong way
        (Facts("a", "Grief", "book", issued="2020"), {}),  # nothing says so: it is about "n", which is not here
        (Facts("a", "Retraction: Grief", issued="2012"), {}),
    ],
)
def test_which_of_two_a_retraction_shows_on_where_one_is_not_here(this: Facts, shown: dict[str, list[str]]) -> None:
    found = retraction_notices.notices_of_works(RecordGroup({"a": this}, [said("a", "n", "a")], {}, ()))
    assert {doi: [row.notice_doi for row in rows] for doi, rows in found.items()} == shown


@pytest.mark.parametrize("earlier", ["2019", "2020-03-01", None])
@pytest.mark.parametrize("turned", [False, True])
def test_a_retraction_after_a_reinstatement_stands_whoever_states_an_earlier_one(
    earlier: str | None, turned: bool
) -> None:
    """Crossref knows the reinstatement and what followed; a provider names the first retraction without a DOI of its notice."""
    statements = [
        replace(said("a", "a", "back", "2021", "updated-by"), kind="reinstatement"),
        said("a", "a", "again", "2022", "updated-by"),
        said("a", "a", "a", earlier, "retraction-watch"),
    ]
    group = RecordGroup({"a": Facts("a", "Grief")}, statements[::-1] if turned else statements, {}, ())
    rows = retraction_notices.notices_of_works(group)["a"]
    assert retraction_notices.gravest_kind(rows) == "retraction"
    first = [(row.notice_doi, row.undone) for row in rows if row.kind == "retraction" and row.issued == earlier]
    assert first == ([("a", True)] if earlier else [])


def test_the_corrected_work_itself_says_which_is_its_notice() -> None:
    """A notice without a notice's title, later corrected itself: the work it is about names it."""
    mine = [said("a", "b", "a"), said("a", "a", "c", "2021", "updated-by")]
    group = RecordGroup({"a": Facts("a", "Grief"), "b": Facts("b", "Grief")}, [*mine, said("b", "b", "a", None, "updated-by")],
                  {}, ())  # fmt: skip
    assert retraction_notices.notice_of(group.works["a"], mine, group) == (("retraction", "b"),)


@pytest.mark.parametrize(
    ("title", "certain", "perhaps"),
    [
        ("Retraction: Grief", "retraction", "retraction"),
        ("Retraction notice to “Grief” [J. Loss 3 (2001) 4]", "retraction", "retraction"),
        ("Notice of Retraction and Replacement. Grief", "retraction", "retraction"),
        ("Author Correction: Grief", "correction", "correction"),
        ("Correction to: Grief", "correction", "correction"),
        ("Correction for Smith et al., Grief", None, "correction"),
        ("Correction of cognitive bias in grief", None, "correction"),
        ("Corrections officers and grief", None, "correction"),
        ("Erratum to Grief", "erratum", "erratum"),
        ("Editorial Expression of Concern for Grief", "expression-of-concern", "expression-of-concern"),
        ("Expression of concern by therapists", None, "expression-of-concern"),
        ("Expression of Concern: Grief", "expression-of-concern", "expression-of-concern"),
        ("Withdrawal: a qualitative study", None, "withdrawal"),
        ("Withdrawal notice to Grief", "withdrawal", "withdrawal"),
        ("Reinstatement of extinguished fear", None, "reinstatement"),
        ("RETRACTED: Grief", None, None),
        ("Grief and its retraction", None, None),
        (None, None, None),
    ],
)
def test_what_a_notice_is_called(title: str | None, certain: str | None, perhaps: str | None) -> None:
    assert (retraction_notices.title_notice(title, certain=True), retraction_notices.title_notice(title)) == (
        certain,
        perhaps,
    )


# --- any order, against a model ----------------------------------------------------------------------------------------

DOIS = [f"10.5555/{letter}" for letter in "abcd"]
OLD = [f"10.5555/old-{letter}" for letter in "abcd"]


@st.composite
def steps(draw: st.DrawFn) -> list[tuple[Any, ...]]:
    made = draw(st.lists(st.one_of(
        st.tuples(st.just("land"), st.sampled_from(DOIS), st.sampled_from(["Study", "Retraction: study", "RETRACTED: study"]),
                  st.sampled_from([2012, 2020]),
                  st.lists(st.tuples(st.sampled_from(["updated-by", "update-to"]), st.sampled_from(DOIS + OLD),
                                     st.sampled_from(["retraction", "correction", "reinstatement"]),
                                     st.sampled_from([2013, 2020, 2021])), max_size=2),
                  st.sampled_from([None, *DOIS])),
        st.tuples(st.just("alias"), st.sampled_from(OLD + DOIS[:1]), st.sampled_from(DOIS + OLD)),
        st.tuples(st.just("gone"), st.sampled_from(DOIS)),
        st.tuples(st.just("cluster"), st.dictionaries(st.sampled_from(DOIS[:2]), st.sampled_from(DOIS[2:]))),
        st.tuples(st.just("judge")),
    ), min_size=1, max_size=9))  # fmt: skip
    return list(made)


def perform(bench: Bench, step: tuple[Any, ...]) -> None:
    match step:
        case ("land", doi, title, year, updates, article):
            fields: dict[str, Any] = (
                {"relation": {"is-preprint-of": [{"id-type": "doi", "id": article}]}} if article else {}
            )
            for key, other, kind, when in updates:
                fields.setdefault(key, []).append(update(other, kind, (when,)))
            with bench.store.transaction():  # a record that comes back continues the versions it had
                bench.store.conn.execute(
                    "update snapshots set last_run = null where doi = ?1 and not exists (select 1 from snapshots "
                    "where doi = ?1 and last_run is null) and version = (select max(version) from snapshots where doi = ?1)",
                    (doi,),
                )
            bench.land(message(doi, title, year, **fields))
        case ("alias", alias, doi):
            bench.land(aliases=[(alias, doi)])
        case ("gone", doi):
            with bench.store.transaction():
                bench.store.conn.execute("update snapshots set last_run = 1 where doi = ? and last_run is null", (doi,))
                write_notices.update_notices(bench.store.conn, 1, [doi])
        case ("cluster", same_as):
            known = {doi for (doi,) in bench.rows("select doi from works")}
            same = {doi: best for doi, best in same_as.items() if {doi, best} <= known}
            bench.store.set_duplicates(1, [], same)
        case ("judge",):
            bench.judge()


def anew(bench: Bench) -> tuple[dict[str, Any], dict[str, str]]:
    """What everything in the database, looked at at once, comes to: nothing that was derived before is used."""
    conn = bench.store.conn
    stands = {doi for (doi,) in conn.execute("select doi from snapshots where last_run is null")}
    aliases = dict(conn.execute("select alias, doi from aliases where last_run is null").fetchall())
    told = [Statement(*row) for row in conn.execute("select * from updates")]
    works = {}
    for doi, title, kind, issued, same_as in conn.execute("select doi, title, kind, issued, same_as from works"):
        heads = retraction_notices.title_notice(title, certain=True)
        alone = retraction_notices.notice_of(Facts(doi, title, kind, issued), [s for s in told if s.stated_by == doi])
        works[doi] = Facts(doi, title, kind, issued, same_as, alone or (((heads, None),) if heads else ()))
    preprints = conn.execute("select doi, other from relations where kind = 'is-preprint-of'").fetchall()
    found = retraction_notices.notices_of_works(
        RecordGroup(works, told, aliases, preprints, {s.stated_by for s in told} - stands)
    )
    gravest = {doi: kind for doi, rows in found.items() if (kind := retraction_notices.gravest_kind(rows))}
    return found, gravest


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@example(
    history=[  # an alias that has a record of its own later is one no longer
        ("land", "10.5555/b", "Study", 2012, [("updated-by", "10.5555/a", "retraction", 2013)], None),
        ("alias", "10.5555/a", "10.5555/b"),
        ("land", "10.5555/a", "Study", 2012, [], None),
    ]
)
@given(steps())
def test_whatever_came_in_whatever_order_the_notices_are_those_of_all_records_at_once(
    new_bench: Callable[[], Bench], history: list[tuple[Any, ...]]
) -> None:
    bench = new_bench()
    with bench.store:
        for step in history:
            perform(bench, step)
        found, gravest = anew(bench)
        wanted = {
            (r.doi, r.kind, r.notice_doi, r.stands_on, r.relation, r.undone) for rows in found.values() for r in rows
        }
        assert set(bench.shown("doi, kind, notice_doi, stands_on, relation, undone")) == wanted
        assert bench.gravest() == gravest
        bench.judge()
        assert read_queries.works_to_judge_again(bench.store.conn) == []


told = st.lists(
    st.tuples(st.sampled_from(["updated-by", "update-to"]), st.sampled_from(["a", "b", "old-a"]),
              st.sampled_from(["retraction", "correction", "reinstatement"]), st.sampled_from("mn"),
              st.sampled_from([2020, 2021])),
    max_size=6,
)  # fmt: skip


def as_records(facts: list[tuple[str, str, str, str, int]]) -> dict[str, Message]:
    """Two studies and two notices that are called so, each fact told by the one side or the other."""
    records = {doi: study(f"10.5555/{doi}", year=2012) for doi in "ab"}
    records |= {doi: message(f"10.5555/{doi}", f"Correction: {TITLE}", 2020) for doi in "mn"}
    for side, about, kind, by, year in facts:
        holder, other = (about.removeprefix("old-"), by) if side == "updated-by" else (by, about)
        records[holder].setdefault(side, []).append(update(f"10.5555/{other}", kind, (year,)))
    return records


@pytest.mark.slow
@settings(max_examples=80, deadline=None)
@given(told, told, st.booleans(), st.randoms(use_true_random=False))
def test_records_in_any_order_show_what_either_side_says(
    new_bench: Callable[[], Bench], before: Any, facts: Any, twins: bool, chance: Any
) -> None:
    """The sum of what the records say in the end, no more: records, their corrections, an alias and a cluster in any order."""
    first, last = as_records(before), as_records(facts)
    order = [(doi, number) for doi in "abmn" for number in (0, 1)] + [("alias", 0), ("cluster", 0)] * 2
    chance.shuffle(order)
    landed: set[str] = set()
    bench = new_bench()
    with bench.store:
        for doi, _ in [*order, ("cluster", 0)]:
            if doi == "alias":
                bench.land(aliases=[("10.5555/old-a", "10.5555/a")])
            elif doi == "cluster":
                both = {"10.5555/b": "10.5555/a"} if twins and {"a", "b"} <= landed else {}
                bench.store.set_duplicates(bench.run(), [], both)
            else:
                bench.land((last if doi in landed else first)[doi])
                landed.add(doi)
        said = {(about.removeprefix("old-"), kind, by) for _, about, kind, by, _ in facts}
        years = {
            key: {y for _, about, kind, by, y in facts if (about.removeprefix("old-"), kind, by) == key} for key in said
        }
        undone = {
            (about, kind, by)
            for about, kind, by in said
            if kind == "retraction"
            and any(a == about and k == "reinstatement" and min(years[a, k, b]) >= min(years[about, kind, by])
                    for a, k, b in said)
        }  # fmt: skip
        shows = {doi: {f for f in said if f[0] == doi or twins} for doi in "ab"}
        assert set(bench.shown()) == {
            (f"10.5555/{doi}", kind, f"10.5555/{by}") for doi, found in shows.items() for _, kind, by in found
        }
        stand = {doi: {kind for _, kind, _ in found - undone} for doi, found in shows.items()}
        assert bench.gravest() == {
            f"10.5555/{doi}": next(kind for kind in ("retraction", "reinstatement", "correction") if kind in kinds)
            for doi, kinds in stand.items() if kinds
        }  # fmt: skip


# --- what readers see --------------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_the_site_shows_a_notice_on_every_record_of_the_work_and_says_where_it_stands(
    bench: Bench, tmp_path: Path
) -> None:
    twin, pre = "10.5555/twin", "10.5555/pre"
    relation = {"has-preprint": [{"id-type": "doi", "id": pre}]}
    bench.land(study(relation=relation), study(twin), notice(about=twin), notice("10.5555/w", pre, "withdrawal"))
    bench.store.set_duplicates(bench.run(), [(STUDY, twin, "same", "rule", "")], {twin: STUDY})
    bench.store.finish_run(2, "complete", {}, NOW)
    bench.store.conn.commit()
    ds = await served(tmp_path / "evidence.db")

    async def text(address: str) -> str:
        return str((await ds.client.get(address, follow_redirects=True)).text)

    page = " ".join((await text(f"/doi/{STUDY}")).split())
    (grave,) = re.findall(r'<div class="ribbon ribbon-bad".*?</div>', page)
    (mild,) = re.findall(r'<p class="banner banner-(?:grave|mild)" role="note">.*?</p>', page)
    assert "<strong>Retraction</strong> of another record of" in grave
    assert f">{twin}</a>, 2020-05-03, stated by <bdi>the publisher</bdi>: <a" in grave
    assert f">{NOTICE}</a>" in grave
    assert mild.startswith('<p class="banner banner-mild" role="note"><strong>Withdrawal</strong> of its preprint <a')
    assert f'href="https://doi.org/{pre}"' in mild
    listed = await text("/evidence/works?verdict=include")
    assert '<span class="badge notice-grave">retraction</span>' in listed
    assert "[retraction]" in await text("/feed.atom")
    front = " ".join(re.sub(r"<[^>]+>", " ", await text("/")).split())
    assert "1 retracted or corrected" in front
    rows = list(csv.DictReader(io.StringIO(await text("/download/csv?verdict=include"))))
    assert [(row["doi"], row["notice"]) for row in rows] == [(STUDY, "retraction")]
    assert rows[0]["notice_details"] == (
        f"retraction 2020-05-03 {NOTICE} (on another record, {twin}) [stated by publisher]; "
        f"withdrawal 2020-05-03 10.5555/w (on its preprint, {pre}) [stated by publisher]"
    )
    ready = json.loads(await text("/evidence/retracted_or_corrected.json?_shape=array"))
    assert [(row["kind"], row["doi"], row["stands_on"]) for row in ready] == [
        ("retraction", STUDY, twin),
        ("withdrawal", STUDY, pre),
    ]


async def test_a_retraction_that_was_taken_back_is_shown_as_that(bench: Bench, tmp_path: Path) -> None:
    back = message("10.5555/back", f"Reinstatement notice: {TITLE}", 2021)
    bench.land(study(), notice(), back | {"update-to": [update(STUDY, "reinstatement", (2021,))]})
    bench.store.conn.commit()
    ds = await served(tmp_path / "evidence.db")
    page = (await ds.client.get(f"/doi/{STUDY}", follow_redirects=True)).text
    assert "banner-grave" not in page
    assert "ribbon-bad" not in page
    assert "2020-05-03, reversed by a later reinstatement, stated by <bdi>the publisher</bdi>" in page


# --- the summary and the old database ----------------------------------------------------------------------------------


@pytest.fixture
def go(tmp_path: Path, book: Taxonomy, clock: Callable[[], datetime]) -> Iterator[Callable[..., Outcome]]:
    small: Config = sources.check(strict_yaml.parse(SMALL_YAML, "s.yaml"))
    with open_store(tmp_path / "evidence.db") as store:

        def run(crossref: FakeRecordSource, **more: Any) -> Outcome:
            return sync(small, store, crossref, book, now=clock, **more)

        run.__dict__["store"] = store
        yield run


def noticed(outcome: Outcome) -> list[tuple[str, str]]:
    """(work, DOI the notice was issued for)"""
    return [
        (c["doi"], changes_since_last_run.parse_notice(c["after"], c["doi"]).stands_on)
        for c in outcome.changes.named
        if c["what"] == "notice"
    ]


def test_a_sync_says_once_that_a_work_is_retracted_though_only_its_notice_lands(go: Callable[..., Outcome]) -> None:
    assert noticed(go(FakeRecordSource([study()]))) == []
    outcome = go(FakeRecordSource([study(), notice(indexed={"date-time": "2026-11-24T09:00:00Z"})]))
    assert outcome.written.changed == 0
    assert sync_summary.sync_summary(outcome).startswith(f"NOTICE retraction of included work {STUDY}: {TITLE}\n")
    assert noticed(outcome) == [(STUDY, STUDY)]
    assert go(FakeRecordSource([study(), notice()])).changes.counts == {}


def test_a_sync_says_on_which_record_of_an_included_work_a_retraction_stands(go: Callable[..., Outcome]) -> None:
    twin = study("10.5555/twin") | {"updated-by": [update("10.5555/elsewhere")]}
    outcome = go(FakeRecordSource([study(), twin]))
    line = f"NOTICE retraction of included work {STUDY}: {TITLE} (issued for 10.5555/twin, another record of this work)"
    assert [said for said in sync_summary.sync_summary(outcome).splitlines() if said.startswith("NOTICE")] == [line]
    store: Store = go.__dict__["store"]
    assert [dict(store.conn.execute("select doi, notice from works where verdict = 'include'"))] == [
        {STUDY: "retraction"}
    ]
    row = next(selected_works(store.conn, Selection()))
    assert (row["doi"], row["notice"]) == (STUDY, "retraction")
    explained = read_queries.work_details(store.conn, Doi(STUDY))
    assert explained is not None
    assert "(from updated-by) issued for 10.5555/twin, another record of this work" in explanation.work_explanation(
        explained
    )
    assert go(FakeRecordSource([study(), twin])).changes.counts == {}
    run = store.start_run("judge", "0", "2026-11-25T00:00:00Z")
    store.set_duplicates(run, [(STUDY, "10.5555/twin", "same", "rule", "")], {STUDY: "10.5555/twin"})
    found = store.finish_run(run, "complete", {}, "2026-11-25T00:00:01Z")
    told = "select what from changes where run = ? order by change"
    assert found == {"duplicate": 1, "verdict": 1}, "that another record represents the work is no notice"
    assert store.conn.execute(told, (run,)).fetchall() == [("duplicate",), ("verdict",)]
    store.set_duplicates(run, [(STUDY, "10.5555/twin", "same", "rule", "")], {"10.5555/twin": STUDY})
    found = store.finish_run(run, "complete", {}, "2026-11-25T00:00:02Z")
    assert found == {"duplicate": 1, "verdict": 1}
    assert store.conn.execute(told, (run,)).fetchall()[2:] == [("verdict",), ("duplicate",)]
    parted = tagging("10.5555/twin", SAME_WORK, STUDY, untag=True)
    store.append_decisions([parted])
    outcome = go(FakeRecordSource([study(), twin]))
    assert ("10.5555/twin", "10.5555/twin") in noticed(outcome)


def test_a_preprints_withdrawal_is_not_called_the_articles(go: Callable[..., Outcome]) -> None:
    relation = {"has-preprint": [{"id-type": "doi", "id": "10.5555/pre"}]}
    outcome = go(FakeRecordSource([study(relation=relation), notice(about="10.5555/pre", kind="withdrawal")]))
    assert sync_summary.sync_summary(outcome).startswith(
        f"NOTICE withdrawal of 10.5555/pre, a preprint of included work {STUDY}: {TITLE}\n"
    )


def test_the_rules_are_asked_of_a_study_as_a_study_when_a_person_decides(
    tmp_path: Path, book: Taxonomy, clock: Callable[[], datetime]
) -> None:
    """Alone, this record would be taken for a notice."""
    path = tmp_path / "evidence.db"
    bench = Bench(path, book)
    with bench.store:
        bench.land(study(update_to=[update(NOTICE, issued=(2012,))]), message(NOTICE, f"Retraction: {TITLE}", 2020))
        bench.judge()
    words, _ = add_decisions(
        path, tmp_path / "decisions.db", book, clock, Doi(STUDY), "exclude", [], [], "retracted", "A. Reader"
    )
    assert words[0].rule_said == "include"


def test_a_database_made_before_is_filled_by_judging_it(tmp_path: Path, book: Taxonomy) -> None:
    path = tmp_path / "evidence.db"
    bench = Bench(path, book)
    with bench.store:
        bench.land(study(), notice())
        after = bench.derived()
    older = tmp_path / "older.db"
    made_before = Database(older)
    schema.evidence.apply(made_before, stop_before="m004_updates")
    made_before.conn.execute(f"pragma application_id = {schema.APPLICATION_ID}")
    made_before.conn.execute("attach ? as later", (str(path),))
    for table in ("runs", "snapshots", "works"):
        columns = ", ".join(column.name for column in made_before[table].columns)
        made_before.conn.execute(f"insert into {table} ({columns}) select {columns} from later.{table}")
    made_before.conn.execute("update works set notice = null")
    made_before.conn.commit()
    made_before.close()
    bench = Bench(older, book)
    with bench.store:
        assert bench.rows("select count(*) from works where basis = ''") == [(2,)]
        bench.judge()
        assert bench.derived() == after


def test_counting_notices_leaves_out_what_does_not_count(bench: Bench) -> None:
    bench.land(study(), study("10.5555/twin"), notice(about="10.5555/twin"))
    bench.land(message("10.5555/other", "A survey of bridges", 2012, **{"updated-by": [update("10.5555/n3")]},
                       abstract="x" * 200))  # fmt: skip
    bench.store.set_duplicates(1, [(STUDY, "10.5555/twin", "same", "rule", "")], {"10.5555/twin": STUDY})
    assert bench.rows("select count(*) from works where notice is not null") == [(3,)]
    assert read_queries.status(bench.store.conn)["notices"] == {"retraction": 1}


def test_a_landing_that_says_nothing_new_writes_no_notice(bench: Bench) -> None:
    bench.land(study(), notice())
    before = bench.store.conn.total_changes
    with bench.store.transaction():
        write_notices.update_notices(bench.store.conn, 9, [Doi(STUDY), Doi(NOTICE)])
    assert bench.store.conn.total_changes == before
