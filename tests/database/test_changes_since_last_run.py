"""A change is announced once, with the same text and numbers everywhere: summary, report, page, feed and front page."""

from __future__ import annotations

import copy
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from datasette.app import Datasette
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence import strict_yaml
from evidence.data_model import Author, Doi, Work
from evidence.database import changes_since_last_run, read_queries, write_changes
from evidence.database.changes_since_last_run import Change, WorkNotice, WorkState
from evidence.database.connection import reading
from evidence.database.select_works import Selection, selected_works
from evidence.database.sql_helpers import Row
from evidence.database.writer import Store, open_store
from evidence.errors import SourceError
from evidence.export import changes_report, sync_summary
from evidence.harvest import sources
from evidence.harvest.locked_run import rejudge_database
from evidence.harvest.run_outcome import Outcome
from evidence.harvest.sync import sync
from evidence.publish import serve
from evidence.review.record_decision import add_decisions
from evidence.rules.taxonomy import Taxonomy
from tests.builders import (
    FONAGY,
    LIPSITZ,
    MARKOWITZ,
    SMALL_YAML,
    STANGIER,
    WORKS,
    FakeRecordSource,
    changes_text,
    message,
    person,
    summarised,
)
from tests.edited_topic import add, edited, only_psychotherapy

CONFIG = sources.check(strict_yaml.parse(SMALL_YAML, "s.yaml"))
ATOM = "{http://www.w3.org/2005/Atom}"
LATER = {"date-time": "2026-11-24T09:00:00Z"}
RETRACTED = STANGIER | {"indexed": LATER, "updated-by": [{"DOI": "10.5555/retraction", "type": "retraction"}]}
REWORDED = MARKOWITZ | {"indexed": LATER, "title": ["Interpersonal psychotherapy: past, present, and the future"]}
MORE = tuple(
    message(f"10.5555/work.{n}", f"Interpersonal psychotherapy for group {n}", 2000 + n, indexed=LATER)
    for n in range(9)
)
TWIN = STANGIER | {"DOI": "10.5555/twin", "indexed": LATER}


class Review:
    """A database with its ledger, rules and clock, and what is announced of it."""

    def __init__(self, folder: Path, book: Taxonomy, clock: Callable[[], datetime]) -> None:
        self.db, self.ledger, self.book, self.clock = folder / "evidence.db", folder / "decisions.db", book, clock

    def sync(self, *messages: Any, crossref: FakeRecordSource | None = None) -> Outcome:
        with open_store(self.db, self.ledger) as store:
            return sync(CONFIG, store, crossref or FakeRecordSource(messages or WORKS), self.book, now=self.clock)

    def judge(self) -> list[Row]:
        changes = rejudge_database(self.db, self.ledger, self.book, self.clock)[1]
        return self.told(changes, tags=True) if changes.counts else []

    def told(self, changes: changes_since_last_run.RunChanges, *, tags: bool = False) -> list[Row]:
        """What the last run announced, which is what its summary counts and names."""
        with reading(self.db) as conn:
            ((last,),) = conn.execute("select max(run) from runs").fetchall()
            rows = read_queries.changes(conn, run=last, tags=tags)
        assert changes == summarised(rows)
        return rows

    def decide(self, doi: str, verdict: str) -> None:
        add_decisions(self.db, self.ledger, self.book, self.clock, Doi(doi), verdict, (), (), "why", "A")  # type: ignore[arg-type]

    def changes(self, **more: Any) -> list[Row]:
        with reading(self.db) as conn:
            return read_queries.changes(conn, **more)

    async def page(self, address: str) -> str:
        site = Datasette([str(self.db)], config_dir=serve.site_folder())
        await site.invoke_startup()
        return str((await site.client.get(address)).text)

    async def feed(self) -> list[tuple[str, str]]:
        """(title, id) of each entry."""
        feed = ElementTree.fromstring(await self.page("/feed.atom"))
        return [(e.findtext(f"{ATOM}title", ""), e.findtext(f"{ATOM}id", "")) for e in feed.findall(f"{ATOM}entry")]

    async def same_everywhere(self, rows: list[Row]) -> str:
        """Report, page, front page and feed say these changes, which one run announced; returns the page of that run."""
        (run,) = {row["run"] for row in rows}
        assert self.changes(run=run) == rows
        words = changes_report.change_counts(changes_since_last_run.counts_by_kind(rows))
        assert changes_text(rows).startswith(f"{words}.\n")
        shown = (await self.page("/changes")).split(f'id="run-{run}"')[1].split("</section>")[0]
        assert words[1:] in shown  # the page begins with a capital
        kinds = changes_since_last_run.counts_by_kind(rows)
        for what, n in kinds.items():
            part = shown.split(f"<h4>{changes_report.HEADINGS[what]}</h4>")[1].split("</ol>")[0]
            assert part.count("<li>") == n, what
        titles = [title for title, _ in await self.feed()]
        for row in rows:
            if "include" in (row["verdict"], row["before"]):
                happened = "" if row["what"] == "new" else f"[{changes_report.change_label(row)}] "
                assert titles.count(f"{happened}{row['title']}") == 1, row
        return shown


@pytest.fixture
def review(tmp_path: Path, book: Taxonomy, clock: Callable[[], datetime]) -> Review:
    return Review(tmp_path, book, clock)


def announced(rows: list[Row]) -> set[tuple[str, str, str | None, str | None]]:
    assert len({(row["what"], row["doi"], row["before"], row["after"]) for row in rows}) == len(rows)
    return {(row["what"], row["doi"], row["before"], row["after"]) for row in rows}


class DyingSource(FakeRecordSource):
    """Kills the program at the light check of the known works, after the searches were written."""

    def check(self, dois: Any) -> Iterator[Any]:
        raise KeyboardInterrupt


class FailingSource(FakeRecordSource):
    """A server that answers the light check with nothing but errors, after the searches have been read."""

    def check(self, dois: Any) -> Iterator[Any]:
        raise SourceError("Crossref kept failing")


# ---------------------------------------------------------------------- killed and failed runs


@pytest.mark.slow
async def test_the_next_sync_announces_what_a_killed_sync_did(review: Review) -> None:
    review.sync()
    review.decide(MARKOWITZ["DOI"], "include")
    world = [LIPSITZ, FONAGY, REWORDED, RETRACTED, *MORE]
    with pytest.raises(KeyboardInterrupt):
        review.sync(crossref=DyingSource(world))
    with closing(sqlite3.connect(review.db)) as conn:
        assert conn.execute("select outcome from runs order by run desc limit 1").fetchone() == ("crashed",)
        assert conn.execute("select count(*) from works where doi like '10.5555/work.%'").fetchone() == (9,)
    outcome = review.sync(*world)
    assert outcome.changes.counts == {
        "notice": 1,
        "reopened": 1,
        "content": 1,
        "new": 9,
    }
    said = sync_summary.sync_summary(outcome)
    assert said.startswith(f"NOTICE retraction of included work {STANGIER['DOI']}")
    assert f"1 decision to look at again (`evidence decisions conflicts`): {MARKOWITZ['DOI']}." in said
    assert "Changes: 1 notice, 1 decision to look at again, 1 changed record, 9 new works." in said
    assert review.changes() == review.told(outcome.changes)
    await review.same_everywhere(review.changes())
    assert "9 new works</a>" in await review.page("/")
    assert "3 changes to known works</a>" in await review.page("/")
    again = review.sync(*world)
    assert (again.changes.counts, review.changes()) == ({}, [])
    assert "Nothing new: no record, verdict or tag has changed." in sync_summary.sync_summary(again)


def test_judge_announces_what_a_killed_sync_did_and_a_decision_does_not(review: Review) -> None:
    review.sync()
    with pytest.raises(KeyboardInterrupt):
        review.sync(crossref=DyingSource([*WORKS, MORE[0], TWIN]))
    review.decide(LIPSITZ["DOI"], "exclude")
    assert announced(review.changes()) == {
        *((("new", w["DOI"], None, "include")) for w in WORKS[:4]),
        ("verdict", LIPSITZ["DOI"], "include", "exclude"),
    }
    assert announced(review.judge()) == {
        ("new", MORE[0]["DOI"], None, "include"),
        ("new", TWIN["DOI"], None, f"duplicate {STANGIER['DOI']}"),
    }, "also clustered, which the killed run had no time for"
    assert review.judge() == []


def test_after_a_month_of_failures_everything_is_announced_once(review: Review) -> None:
    review.sync()
    world = [LIPSITZ, FONAGY, MARKOWITZ, RETRACTED, *MORE]
    partial = review.sync(crossref=FailingSource(world))
    assert (partial.outcome, partial.changes.counts) == (
        "partial",
        {"notice": 1, "new": 9},
    )
    assert review.sync(crossref=FailingSource(world)).changes.counts == {}
    gone = review.sync(LIPSITZ, FONAGY, RETRACTED, *MORE)
    assert announced(review.told(gone.changes)) == {("gone", MARKOWITZ["DOI"], None, "2026-11-24")}
    assert review.sync(LIPSITZ, FONAGY, RETRACTED, *MORE).changes.counts == {}


# ---------------------------------------------------------------------- each kind, the same everywhere


async def test_judge_announces_verdicts_and_reopened_decisions(review: Review, tmp_path: Path) -> None:
    two = [message(f"10.5555/t.{n}", f"Interpersonal therapy for depression {n}", 2001) for n in range(2)]
    review.sync(*WORKS, *two)
    review.decide(LIPSITZ["DOI"], "include")
    review.book = edited(tmp_path / "rules", screen=only_psychotherapy)
    changes = review.judge()
    assert {row["doi"] for row in changes if row["what"] == "verdict"} == {"10.5555/t.0", "10.5555/t.1"}
    assert [row["doi"] for row in changes if row["what"] == "reopened"] == [LIPSITZ["DOI"]]
    assert {row["before"] for row in changes if row["what"] == "verdict"} == {"include"}
    assert any(line.startswith("2 works changed from included to ") for line in changes_report.notable_changes(changes))
    await review.same_everywhere([row for row in changes if row["what"] != "tags"])
    assert {row["run"] for row in changes} < {row["run"] for row in review.changes()}, "since the last sync: both runs"
    assert review.judge() == []
    assert review.sync(*WORKS, *two).changes.counts == {}


@pytest.mark.slow
async def test_changes_of_tags_are_shown_on_request_and_are_not_in_the_feed(review: Review, tmp_path: Path) -> None:
    many = [message(f"10.5555/n.{n}", f"Interpersonal psychotherapy in Ruritania {n}", 2001) for n in range(100)]
    review.sync(*WORKS, *many)
    feed, page = await review.feed(), await review.page("/changes")
    review.book = edited(tmp_path / "rules", population=add("veterans", "words", "Ruritania"))
    changes = review.judge()
    assert changes_since_last_run.counts_by_kind(changes) == {"tags": 100}
    assert all(row["before"] is None and row["after"].startswith("population:veterans") for row in changes)
    assert await review.feed() == feed
    assert re.sub(r"\d+", "", await review.page("/changes")) == re.sub(r"\d+", "", page)
    assert len(review.changes()) == 104
    assert len(review.changes(tags=True)) == 204


async def test_a_completed_given_name_is_one_change_everywhere(review: Review) -> None:
    review.sync()
    named = STANGIER | {"indexed": LATER, "author": [person("Stangier", "Ulrich"), person("Schramm", "E.")]}
    outcome = review.sync(LIPSITZ, FONAGY, MARKOWITZ, named)
    assert announced(review.told(outcome.changes)) == {("content", STANGIER["DOI"], None, None)}
    assert "Changes: 1 changed record." in sync_summary.sync_summary(outcome)
    await review.same_everywhere(review.told(outcome.changes))
    assert "1 change to known works</a>" in await review.page("/")
    with reading(review.db) as conn:
        exported = [w["doi"] for w in selected_works(conn, Selection(since="2026-11-24"))]
        changed = conn.execute("select doi from works where changed_run = 2").fetchall()
    assert STANGIER["DOI"] in exported
    assert changed == [(STANGIER["DOI"],)]


async def test_a_record_that_becomes_a_duplicate_names_the_one_that_represents_it(review: Review) -> None:
    other = TWIN | {"title": ["Interpersonal psychotherapy of another kind altogether"], "author": []}
    review.sync(*WORKS, other)
    outcome = review.sync(*WORKS, TWIN | {"indexed": {"date-time": "2026-11-25T09:00:00Z"}})
    (joined,) = (row for row in outcome.changes.named if row["what"] == "duplicate")
    assert {joined["doi"], joined["after"]} == {TWIN["DOI"], STANGIER["DOI"]}
    assert joined["before"] == "include"
    assert f"(of {joined['after']})" in sync_summary.sync_summary(outcome)
    await review.same_everywhere(review.told(outcome.changes))


def test_what_was_undone_before_it_was_announced_is_not_announced(review: Review) -> None:
    review.sync()
    with pytest.raises(KeyboardInterrupt):
        review.sync(crossref=DyingSource([LIPSITZ, FONAGY, REWORDED, STANGIER]))
    back = MARKOWITZ | {"indexed": {"date-time": "2026-11-25T09:00:00Z"}}
    outcome = review.sync(LIPSITZ, FONAGY, back, STANGIER)
    assert outcome.changes.counts == {}
    assert "Nothing new: records were updated" in sync_summary.sync_summary(outcome)


async def test_ids_in_the_feed_depend_on_no_host_and_on_no_later_run(review: Review) -> None:
    review.sync()
    before = dict(await review.feed())
    review.sync(*WORKS, *MORE)
    after = dict(await review.feed())
    assert before.items() <= after.items()
    assert len(set(after.values())) == len(after)
    assert all(value.startswith("urn:uuid:") for value in after.values())


def test_an_upgrade_announces_nothing_and_the_first_sync_after_it_all(review: Review) -> None:
    review.sync()
    with closing(sqlite3.connect(review.db)) as conn, conn:  # as an older version left it: contents were not kept
        conn.execute("update announced set content = null")
        conn.execute("update works set content = null, basis = ''")
        conn.execute("delete from unannounced")
    kept = copy.copy(review)
    assert kept.judge() == []
    with closing(sqlite3.connect(review.db)) as conn, conn:
        conn.execute("update announced set content = null")
        conn.execute("update works set content = null, basis = ''")
        conn.execute("delete from unannounced")
    outcome = review.sync(LIPSITZ, FONAGY, REWORDED, STANGIER)
    assert announced(review.told(outcome.changes)) == {("content", MARKOWITZ["DOI"], None, None)}


# ---------------------------------------------------------------------- the definition


@pytest.mark.parametrize(
    ("other", "differs"),
    [
        ({"given": "Ulrich"}, True),
        ({"suffix": "Jr"}, True),
        ({"role": "editor"}, True),
        ({"orcid": "0000-0001"}, False),
        ({"affiliation": "Somewhere"}, False),
    ],
)
def test_what_counts_as_content_of_an_author(other: dict[str, Any], differs: bool) -> None:
    base = {"family": "Stangier", "given": "U."}
    one, two = (Work(Doi("10.1/a"), title="T", authors=(Author(**said),)) for said in (base, base | other))
    assert (changes_since_last_run.content_digest(one) != changes_since_last_run.content_digest(two)) is differs


def test_what_counts_as_content_of_a_work() -> None:
    work = Work(Doi("10.1/a"), "T", "A", "C", "P", "2020", 2020, "journal-article")
    others = [replace(work, title="x"), replace(work, abstract="x"), replace(work, container="x"),
              replace(work, issued="x"), replace(work, kind="x")]  # fmt: skip
    assert len({changes_since_last_run.content_digest(other) for other in (work, *others)}) == 6
    assert changes_since_last_run.content_digest(
        replace(work, volume="3", publisher="Q", doi=Doi("10.1/b"))
    ) == changes_since_last_run.content_digest(work)


def changed(before: Mapping[str, WorkState], now: Mapping[str, WorkState | None], **aliases: str) -> list[Change]:
    return [
        Change(c.doi, c.what, c.before, c.after)
        for c in changes_since_last_run.find_changes(
            before, now, {key.replace("_", "/"): value for key, value in aliases.items()}, {}
        )
    ]


RETRACTION = WorkNotice("retraction", "10.1/n", "a", "own")


def test_a_notice_is_known_again_wherever_its_work_shows_it() -> None:
    """Another record represents the work, or its DOI has moved: that is announced, and the notice is not announced again."""
    a, b = WorkState("include", notices=(RETRACTION,)), WorkState("duplicate", same_as="a")
    other = WorkNotice("retraction", "10.1/n", "a", "record")
    now = {"a": WorkState("duplicate", same_as="b"), "b": WorkState("include", notices=(other,))}
    assert changed({"a": a, "b": b}, now) == [
        Change("a", "duplicate", "include", "b"),
        Change("b", "verdict", "duplicate", "include"),
    ]
    assert changed({"a": a}, {"a": None, "c": a}, a="c") == [Change("c", "moved", "a")]
    assert changed({"a": a}, {"a": WorkState("include")}) == [Change("a", "notice-ended", "retraction 10.1/n")]
    assert changed({"a": a}, {"a": WorkState("exclude", notices=(RETRACTION,))}) == [
        Change("a", "verdict", "include", "exclude")
    ]


def test_a_work_that_is_new_says_its_notice_and_no_other_change() -> None:
    a = WorkState("include", "c", notices=(RETRACTION,), tags=("design:rct",))
    assert changed({}, {"a": a}) == [
        Change("a", "notice", after="retraction 10.1/n"),
        Change("a", "new", after="include"),
    ]
    assert changed({}, {"a": WorkState("duplicate", "c", "b", (RETRACTION,))}) == [
        Change("a", "new", after="duplicate b")
    ]


def test_only_a_new_reason_to_look_again_is_announced() -> None:
    """Of several conflicts one may be resolved, or the next one come."""
    one, two = "Dr. A disagrees with Dr. B on this work.", "The title has changed since Dr. A decided."
    both = WorkState("include", conflict=f"{one} {two}")
    assert changed({"a": both}, {"a": WorkState("include", conflict=one)}) == []
    assert changed({"a": both}, {"a": WorkState("include", conflict=two)}) == []
    assert changed({"a": both}, {"a": WorkState("include")}) == []
    assert changed({"a": WorkState("include", conflict=one)}, {"a": both}) == [
        Change("a", "reopened", after=both.conflict)
    ]


def test_a_duplicate_of_a_work_that_moved_is_not_announced() -> None:
    assert changed({"a": WorkState("duplicate", same_as="b")}, {"a": WorkState("duplicate", same_as="c")}, b="c") == []


@pytest.mark.parametrize(
    "notice",
    [
        RETRACTION,
        WorkNotice("partial-retraction", "10.1/n(1)", "10.1/s(2)", "record"),
        WorkNotice("x", "a", "b", "preprint"),
    ],
)
def test_the_text_of_a_notice_is_read_back(notice: WorkNotice) -> None:
    assert changes_since_last_run.parse_notice(changes_since_last_run.notice_text(notice, "a"), "a") == notice


# ---------------------------------------------------------------------- any history

DOIS = ("10.1/a", "10.1/b", "10.1/c")
STEP = st.one_of(
    st.tuples(st.just("verdict"), st.sampled_from(DOIS), st.sampled_from(("include", "exclude", "unsure"))),
    st.tuples(st.just("same"), st.sampled_from(DOIS), st.sampled_from((None, *DOIS))),
    st.tuples(st.just("content"), st.sampled_from(DOIS), st.sampled_from(("x", "y"))),
    st.tuples(st.just("gone"), st.sampled_from(DOIS), st.sampled_from((None, "2026-01-01", "2026-02-02"))),
    st.tuples(st.just("conflict"), st.sampled_from(DOIS), st.sampled_from((None, "why", "why else"))),
    st.tuples(st.just("notice"), st.sampled_from(DOIS), st.sampled_from(("10.1/n", "10.1/m"))),
    st.tuples(st.just("end"), st.none(), st.sampled_from(("complete", "partial", "crashed"))),
)


def step(store: Store, what: str, doi: str | None, value: str | None) -> None:
    """Write what a run could have written."""
    if what == "alias":
        if value != doi:
            lead(store, doi, value)
        return
    with store.conn:
        store.conn.execute(
            """insert or ignore into works
            (doi, verdict, screened, decided, why, judged_on, authors, first_run, changed_run, basis, content)
            values (?, 'include', 'include', 'rule', '', 'title', '', 1, 1, '', 'x')""",
            (doi,),
        )
        if what == "verdict":
            store.conn.execute("update works set verdict = ?, same_as = null where doi = ?", (value, doi))
        elif what == "same" and value not in (None, doi):
            store.conn.execute("update works set verdict = 'duplicate', same_as = ? where doi = ?", (value, doi))
        elif what in ("content", "gone", "conflict"):
            store.conn.execute(f"update works set {what} = ? where doi = ?", (value, doi))
        elif (
            what == "notice"
            and not store.conn.execute(
                "delete from notices where doi = ? and notice_doi = ? returning 1", (doi, value)
            ).fetchone()
        ):
            store.conn.execute(
                "insert into notices (doi, kind, notice_doi, stands_on, relation, evidence) values (?1, 'retraction', ?2, ?1,"
                " 'own', 'title')",
                (doi, value),
            )


def lead(store: Store, alias: str | None, doi: str | None) -> None:
    """The DOI leads to another from now on, and there is no work under it any more."""
    with store.conn:
        for table in ("tags", "notices", "works"):
            store.conn.execute(f"delete from {table} where doi = ?", (alias,))
        store.conn.execute("update aliases set last_run = 1 where last_run is null and ? in (alias, doi)", (doi,))
        store.conn.execute("update aliases set last_run = 1 where last_run is null and alias = ?", (alias,))
        store.conn.execute("insert or replace into aliases (alias, doi, first_run) values (?, ?, 1)", (alias, doi))


def replayed(rows: list[tuple[Any, ...]]) -> dict[str, dict[str, Any]]:
    """Every work's state from the changes alone; a change to what is so already is an error."""
    works: dict[str, dict[str, Any]] = {}
    for doi, what, before, after in rows:
        if what == "new":
            assert doi not in works
            verdict, _, same_as = after.partition(" ")
            works[doi] = {"verdict": verdict, "same_as": same_as or None, "gone": False}
        work = works[doi]
        if what == "verdict":
            assert (work["verdict"], before != after) == (before, True)
            work |= {"verdict": after, "same_as": None}
        elif what == "duplicate":
            assert before in (work["same_as"], work["verdict"])
            assert after != work["same_as"]
            work |= {"verdict": "duplicate", "same_as": after}
        elif what in ("gone", "back"):
            assert work["gone"] is (what == "back")
            work["gone"] = what == "gone"
    return works


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(steps=st.lists(STEP, max_size=30))
def test_the_changes_of_any_history_lead_to_the_current_state(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str | None, str | None]]
) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    with open_store(tmp_path_factory.mktemp("news") / "evidence.db") as store:
        run = store.start_run("crossref", "0", moment)
        for what, doi, value in [*steps, ("end", None, "complete")]:
            if what != "end":
                step(store, what, doi, value)
                continue
            assert value is not None
            store.finish_run(run, value, {}, moment)
            if value != "crashed":
                assert store.finish_run(run, value, {}, moment) == {}, "announced once"
            run = store.start_run("crossref", "0", moment)
        told = store.conn.execute(
            "select doi, what, before, after from changes order by run, what <> 'new', change"
        ).fetchall()
        stands = {
            doi: {"verdict": verdict, "same_as": same_as, "gone": gone is not None}
            for doi, verdict, same_as, gone in store.conn.execute("select doi, verdict, same_as, gone from works")
        }
        assert replayed(told) == stands
        shown = store.conn.execute(
            "select w.doi, n.kind || ' ' || n.notice_doi from works w join notices n on n.doi = w.doi"
            " where w.verdict in ('include', 'unsure')"
        ).fetchall()
        said = {after for _, what, _, after in told if what == "notice"}
        assert {notice for _, notice in shown} <= {after.partition(" (")[0] for after in said}


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(
    steps=st.lists(
        st.one_of(STEP, st.tuples(st.just("alias"), st.sampled_from(DOIS), st.sampled_from(DOIS))), max_size=30
    )
)
def test_in_parts_the_same_is_announced_as_at_once(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str | None, str | None]]
) -> None:
    def told(part: int) -> list[list[tuple[Any, ...]]]:
        with (
            pytest.MonkeyPatch.context() as patched,
            open_store(tmp_path_factory.mktemp("news") / "evidence.db") as store,
        ):
            patched.setattr(write_changes, "PART", part)
            run = store.start_run("crossref", "0", "2026-01-01T00:00:00Z")
            for what, doi, value in [*steps, ("end", None, "complete")]:
                if what != "end":
                    step(store, what, doi, value)
                else:
                    assert value is not None
                    counts = store.finish_run(run, value, {}, "2026-01-01T00:00:00Z")
                    assert read_queries.run_changes(store.conn, run, tags=True).counts == counts
                    run = store.start_run("crossref", "0", "2026-01-01T00:00:00Z")
            return [
                store.conn.execute(
                    "select run, doi, what, before, after, verdict from changes order by 1, 2, change"
                ).fetchall(),
                store.conn.execute("select * from announced order by doi").fetchall(),
                store.conn.execute("select * from unannounced").fetchall(),
            ]

    assert told(1) == told(1000)
