"""Histories of a tracker and of a Crossref that changes under it, compared with a small model of works and notices.

Each history is a random series of events (records appear, change, move, vanish; notices arrive and go; syncs that end well,
fail or are killed; clocks that jump). After every sync that says it is complete, the database must hold what `World` holds:
every study found, each under the DOI it has today, every notice shown and no other. EVIDENCE_HISTORIES sets how many are
played (200 in the test run); hypothesis prints the series that fails, and keeps it.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Collection, Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from evidence import strict_yaml
from evidence.data_model import Message
from evidence.database.writer import open_store
from evidence.harvest import sources
from evidence.harvest.run_outcome import Outcome
from evidence.harvest.sync import sync
from evidence.rules import taxonomy
from tests.world import DAY, REFERENCE_LIST, Killed, World, copy_databases, put_back

pytestmark = pytest.mark.slow

YAML = (
    REFERENCE_LIST
    + """  - id: by-name
    kind: search
    label: By name
    query: {bibliographic: interpersonal psychotherapy}
    phrases: [interpersonal psychotherap*]
    years: 1974-
"""
)
CONFIG = sources.check(strict_yaml.parse(YAML, "sources.yaml"))
BOOK = taxonomy.load()
KINDS = ("retraction", "correction", "expression-of-concern", "reinstatement")

pick = st.integers(0, 30)


class Histories(RuleBasedStateMachine):
    """The world, the tracker, and what was known before each sync."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="histories-"))
        self.db = self.folder / "evidence.db"
        self.world = World()
        self.skew = 0 * DAY
        self.landed: dict[str, Message] = {}
        self.known: set[str] = set()
        for _ in range(3):
            self.world.add()

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)

    # ------------------------------------------------------------------ the world changes

    def one(self, which: int, *, studies: bool = False) -> str:
        """One of the records there are; two studies are always left."""
        dois = self.studies() if studies else sorted(self.world.records)
        return dois[which % len(dois)]

    def studies(self) -> list[str]:
        return sorted(d for d in self.world.records if d.startswith(("10.5555", "10.7777")))

    @rule(relevant=st.booleans(), dated=st.booleans())
    def a_record_appears(self, relevant: bool, dated: bool) -> None:
        self.world.add(relevant=relevant, dated=dated)

    @rule(which=pick)
    def a_record_changes(self, which: int) -> None:
        self.world.edit(self.one(which))

    @rule(which=pick)
    def a_record_is_cited(self, which: int) -> None:
        self.world.count(self.one(which))

    @rule(which=pick)
    def a_twin_is_registered(self, which: int) -> None:
        self.world.twin(self.one(which, studies=True))

    @rule(which=pick, kind=st.sampled_from(KINDS), both=st.booleans())
    def a_notice_arrives(self, which: int, kind: str, both: bool) -> None:
        about = self.one(which, studies=True)
        notice = self.world.notice(about, kind)
        if both:
            self.world.say(about, notice, kind)

    @rule(which=pick, kind=st.sampled_from(KINDS))
    def a_study_says_it_was_retracted(self, which: int, kind: str) -> None:
        self.world.say(self.one(which, studies=True), "10.6666/elsewhere", kind)

    @rule(which=pick)
    def a_notice_is_taken_back(self, which: int) -> None:
        self.world.unsay(self.one(which))

    @rule(which=pick, other=pick, listed=st.booleans())
    def a_doi_becomes_an_alias(self, which: int, other: int, listed: bool) -> None:
        old, new = self.one(which, studies=True), self.one(other, studies=True)
        if old != new and len(self.studies()) > 2:
            self.world.alias(old, new, listed=listed)

    @rule(which=pick)
    def a_record_vanishes(self, which: int) -> None:
        if len(self.studies()) > 2:
            self.world.vanish(self.one(which))

    @rule(which=pick)
    def a_record_comes_back(self, which: int) -> None:
        if self.world.gone:
            self.world.come_back(sorted(self.world.gone)[which % len(self.world.gone)])

    @rule(days=st.integers(1, 40))
    def time_passes(self, days: int) -> None:
        self.world.now += days * DAY

    @rule(days=st.integers(-30, 30))
    def the_trackers_clock_jumps(self, days: int) -> None:
        self.skew = days * DAY

    # ------------------------------------------------------------------ the tracker

    def clock(self) -> datetime:
        return self.world.now + self.skew

    def harvest(self, full: bool) -> Outcome:
        with open_store(self.db) as store:
            outcome = sync(CONFIG, store, self.world, BOOK, now=self.clock, full=full)
            new = store.conn.execute("select count(*) from works where first_run = ?", (outcome.run,))
            assert new.fetchone() == (outcome.written.new,)
            return outcome

    def works(self) -> set[str]:
        if not self.db.exists():
            return set()
        with closing(sqlite3.connect(self.db)) as conn:
            return {doi for (doi,) in conn.execute("select doi from works")}

    @rule(full=st.booleans())
    def sync(self, full: bool) -> None:
        before = self.works()
        outcome = self.harvest(full)
        assert outcome.outcome == "complete", outcome.troubles
        self.compare(before)
        again = self.harvest(False)
        assert (again.written.new, again.written.changed, again.changes.counts, again.gone) == (0, 0, {}, 0)
        assert (again.written.moved, again.written.gone, again.written.back) == ([], [], [])

    @rule(at=st.integers(1, 12), lasts=st.integers(1, 40))
    def sync_while_answers_fail(self, at: int, lasts: int) -> None:
        before = self.works()
        self.world.fail_at, self.world.fail_for = self.world.requests + at, lasts
        outcome = self.harvest(False)
        self.world.fail_at = None
        self.nothing_is_lost(before)
        if outcome.outcome == "complete":
            self.compare(before)

    @rule(at=st.integers(1, 12))
    def sync_is_killed(self, at: int) -> None:
        before = self.works()
        aside = self.folder / "aside"
        self.world.kill_at = self.world.requests + at
        self.world.before_kill = lambda: copy_databases(self.folder, aside)
        try:
            self.harvest(False)
        except Killed:
            put_back(aside, self.folder)
            self.nothing_is_lost(before)
        else:
            self.world.kill_at = None
            self.compare(before)

    # ------------------------------------------------------------------ what should be true

    def nothing_is_lost(self, before: set[str]) -> None:
        """Every work that was known is there still, under its DOI or the one it leads to."""
        assert {self.world.prime(doi) for doi in before} <= {self.world.prime(doi) for doi in self.works()}

    def compare(self, before: set[str]) -> None:
        """After a complete sync the database holds what the world holds."""
        world = self.world
        with closing(sqlite3.connect(self.db)) as conn:
            works = {
                row[0]: row for row in conn.execute("select doi, title, authors, cited_by, verdict, notice from works")
            }
            shown: dict[str, set[tuple[str, str]]] = {}
            for doi, kind, notice in conn.execute("select doi, kind, notice_doi from notices"):
                shown.setdefault(doi, set()).add((kind, notice))
            heads = dict(conn.execute("select doi, coalesce(same_as, doi) from works"))
            gone = {doi for (doi,) in conn.execute("select doi from works where gone is not null")}
            announced = dict(conn.execute("select doi, verdict from announced"))
            news = conn.execute("select doi, count(*) from changes where what = 'new' group by doi").fetchall()
        relevant = {d for d, m in world.records.items() if "interpersonal psychotherapy" in m["title"][0].lower()}
        assert relevant <= works.keys(), f"not found: {relevant - works.keys()}"
        assert all(d in works or world.prime(d) in works for d in before), "a known work was lost"
        moved = {old for old in world.aliases if world.prime(old) in world.records}
        assert not moved & works.keys(), "an alias still counts as a work"
        assert gone == works.keys() - world.records.keys(), "gone is not said, or said wrongly"
        for doi in works.keys() & world.records.keys():
            record, row = world.records[doi], works[doi]
            assert row[1] == record["title"][0]
            assert row[3] == record.get("is-referenced-by-count"), f"{doi}: cited_by"
            if record.get("author"):
                assert row[2] == f"{record['author'][0]['family']} {record['author'][0]['given'][0]}"
        assert announced == {doi: row[4] for doi, row in works.items()}, "something was not announced"
        assert all(times == 1 for _, times in news) or world.aliases, "a work was new twice"
        self.known |= works.keys()
        least, most = (
            self.notices_said(works.keys(), self.landed, sure=True),
            self.notices_said(works.keys(), self.landed),
        )
        for doi, more in self.notices_said(works.keys(), world.gone).items():
            most.setdefault(doi, set()).update(more)
        for doi in works:
            of_the_work = set().union(*(most.get(other, set()) for other in works if heads[other] == heads[doi]))
            assert least.get(doi, set()) <= shown.get(doi, set()) <= of_the_work, f"{doi}: notices"
        self.landed = {doi: dict(record) for doi, record in {**self.landed, **world.records}.items()}

    def notices_said(
        self, works: Collection[str], gone: Mapping[str, Message], *, sure: bool = False
    ) -> dict[str, set[tuple[str, str]]]:
        """What the records that stand, and those `gone` of themselves, say of each work: (kind, notice). `sure`: leave out
        what names a DOI that was never known here and became an alias later; that is asked for in turn only."""
        found: dict[str, set[tuple[str, str]]] = {}
        for doi in works:
            record = self.world.records.get(doi)
            if record is None:
                record = gone.get(doi, {})
                said = [(doi, u) for u in record.get("updated-by", [])]
            else:
                said = [(doi, u) for u in record.get("updated-by", [])]
                since = record["indexed"]["date-time"]
                said += [
                    (self.world.prime(u["DOI"]), u | {"DOI": doi})
                    for u in record.get("update-to", [])
                    if not sure or u["DOI"] in self.known or self.world.moved_at.get(u["DOI"], "") < since
                ]
            for about, u in said:
                if about in works:
                    found.setdefault(about, set()).add((u["type"], self.world.prime(u["DOI"])))
        return found

    @invariant()
    def the_databases_are_whole(self) -> None:
        if hasattr(self, "db") and self.db.exists():
            with closing(sqlite3.connect(self.db)) as conn:
                assert conn.execute("pragma foreign_key_check").fetchall() == []


TestHistories = Histories.TestCase
TestHistories.settings = settings(
    max_examples=int(os.environ.get("EVIDENCE_HISTORIES", "200")),
    stateful_step_count=14,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
