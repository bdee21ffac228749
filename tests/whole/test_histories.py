"""Histories of a review in which everything may happen in any order, and a kill at any moment.

Each history is a random series of syncs that end, fail or are killed, decisions, imports of decisions and of records, judgements,
published copies, notices that arrive and vanish, DOIs that become aliases, and clocks that jump. The model is that of
`test_year`: what this copy announced, from which it knows what is due; to it come the ledger as it was confirmed, and the
imported records. A kill stops the program before one of its calls of SQLite, and leaves what was on the disk then.

EVIDENCE_HISTORIES is how many histories are played, a hundred for each seed from EVIDENCE_HISTORIES_SEED on. A failure names
its seed; a seed that found a mistake is kept in tests/samples/history_seeds.txt, which every long run plays again.
"""

from __future__ import annotations

import atexit
import copy as copying
import json
import os
import shutil
import sqlite3
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from evidence.data_model import Decision, Doi, iso_time
from evidence.database import read_queries
from evidence.database.changes_since_last_run import RunChanges
from evidence.database.connection import reading
from evidence.database.prisma_flow import read_flow
from evidence.database.read_decisions import read_ledger
from evidence.database.sql_helpers import Row
from evidence.harvest.locked_run import run_import
from evidence.harvest.progress import NoProgress
from evidence.harvest.run_outcome import Outcome
from evidence.harvest.sources import Imported, imported_by_command
from evidence.publish import immutable_copy
from evidence.review.record_decision import import_decisions
from tests import year as showing
from tests.builders import summarised
from tests.data import SAMPLES
from tests.whole.test_year import KINDS, Year, books, twins
from tests.world import DAY, Killed, copy_databases, put_back
from tests.year import VERDICTS, Copy, Given, same_work

HISTORIES = int(os.environ.get("EVIDENCE_HISTORIES", "0"))
SEED = int(os.environ.get("EVIDENCE_HISTORIES_SEED", "1"))
A_SEED = 100
"""How many histories are played for each seed of a long run."""
STEPS = 12
AT_FIRST = 5
"""How many studies there are when a history begins."""
KEPT = tuple(int(line.split()[0]) for line in (SAMPLES / "history_seeds.txt").read_text("utf-8").splitlines()
             if line[:1].isdigit())  # fmt: skip

MEMORY = Path("/dev/shm")
"""A file system in memory, where there is one: thousands of histories need not wait for a disk."""

pick = st.integers(0, 30)
verdict = st.sampled_from(VERDICTS[:3])


class OneCopy(Copy):
    """A copy of the review of which the model of `test_year` sees the works that Crossref has: those of imported files only are
    counted apart."""

    def changes(self, since: int) -> list[Row]:
        return [row for row in super().changes(since) if not row["doi"].startswith("local-")]

    def sync(self) -> Outcome:
        outcome = super().sync()
        outcome.changes = summarised(self.changes(outcome.run - 1))
        return outcome

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return [row for row in super().rows(sql) if not (isinstance(row[0], str) and row[0].startswith("local-"))]


class OneYear(Year):
    """The world and one copy of the review."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, AT_FIRST)
        self.ann.folder.rmdir()
        self.ann = OneCopy(folder / "Ann", "Ann", self.world, books()[0])

    def known(self, *, kind: str = "psychotherapy") -> list[str]:
        return sorted(self.kinds[kind] & self.world.records.keys() & self.ann.announced.news)


@cache
def begun() -> Copy:
    """The copy after the first sync, as every history begins."""
    folder = Path(tempfile.mkdtemp(prefix="histories-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    year = OneYear(folder)
    year.harvest(year.ann)
    return year.ann


def killed(folder: Path, number: int, command: Callable[[], object]) -> bool:
    """Kill a command before its call of SQLite with this number; what was on the disk then is what there is. False when it ended
    before."""
    aside, count, here = folder / "aside", 0, sys.getprofile()

    def profile(_: FrameType, event: str, called: Any) -> None:
        nonlocal count
        if event == "c_call" and isinstance(getattr(called, "__self__", None), sqlite3.Connection | sqlite3.Cursor):
            count += 1
            if count == number:
                sys.setprofile(here)
                copy_databases(folder, aside)
                raise Killed

    sys.setprofile(profile)
    try:
        command()
    except Killed:
        pass
    finally:
        sys.setprofile(here)
    if count < number:
        return False
    put_back(aside, folder)
    return True


class Histories(RuleBasedStateMachine):
    """See above. `torn`: a command was killed, and no sync has ended since."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="history-", dir=MEMORY if MEMORY.is_dir() else None))
        self.year = OneYear(self.folder)
        self.copy = self.year.ann
        shutil.copytree(begun().folder, self.copy.folder, dirs_exist_ok=True)
        self.copy.announced = copying.deepcopy(begun().announced)
        self.torn = False
        self.ledger: list[Decision] = []
        self.theses: list[str] = []
        self.pending = ""

    def teardown(self) -> None:
        try:
            if not self.torn:
                self.lists_agree()
        finally:
            shutil.rmtree(self.folder)

    # ------------------------------------------------------------------ the world changes

    def quiet(self) -> list[str]:
        noticed = {self.year.family[doi] for doi in self.year.notices.values()}
        return [doi for doi in self.year.known() if self.year.family[doi] not in noticed]

    whole = precondition(lambda self: not self.torn)

    @whole
    @rule(kind=st.sampled_from(("psychotherapy", "therapy", "other")))
    def a_record_appears(self, kind: str) -> None:
        self.year.add(kind)

    @whole
    @rule(which=pick, twin=st.booleans())
    def a_record_changes_or_gets_a_twin(self, which: int, twin: bool) -> None:
        if known := self.year.known():
            (self.year.twin if twin else self.year.edit)(known[which % len(known)])

    @whole
    @rule(which=pick, kind=st.sampled_from(KINDS), said_by=st.sampled_from(("notice", "record", "both")))
    def a_notice_arrives(self, which: int, kind: str, said_by: str) -> None:
        if known := self.year.known():
            self.year.notice(known[which % len(known)], kind, said_by)

    @whole
    @rule(which=pick)
    def a_notice_vanishes(self, which: int) -> None:
        if standing := sorted(n for n, doi in self.year.notices.items() if doi in self.year.world.records):
            self.year.unsay(standing[which % len(standing)])

    @whole
    @rule(which=pick, listed=st.booleans(), merge=st.booleans())
    def a_doi_becomes_an_alias(self, which: int, listed: bool, merge: bool) -> None:
        if merge and (pairs := twins(self.year, self.quiet())):
            self.year.world.alias(*pairs[which % len(pairs)], listed=listed)
        elif quiet := self.quiet():
            self.year.move(quiet[which % len(quiet)], listed=listed)

    @whole
    @rule(which=pick)
    def a_record_vanishes(self, which: int) -> None:
        year = self.year
        told = year.ann.announced.notices.keys() & year.notices.keys()
        untold = {year.family[year.about[notice]] for notice in year.about.keys() - told}
        known = [doi for doi in year.known() if year.family[doi] not in untold]
        if len(known) > 1:
            year.vanish(known[which % len(known)])

    @whole
    @rule(which=pick)
    def a_record_comes_back(self, which: int) -> None:
        if gone := sorted(self.year.world.gone):
            self.year.back(gone[which % len(gone)])

    @rule(days=st.integers(-40, 40))
    def the_clock_jumps(self, days: int) -> None:
        """Time passes for everybody, and back it goes for this copy alone."""
        if days > 0:
            self.year.world.now += days * DAY
        else:
            self.copy.skew = days * DAY

    # ------------------------------------------------------------------ the review

    @rule()
    def sync(self) -> None:
        self.year.harvest(self.copy)
        self.torn = False
        assert self.copy.judge() == (0, RunChanges()), "something was left to judge"
        self.compare()
        self.notices_stand()

    @whole
    @rule(at=st.integers(1, 12))
    def sync_fails(self, at: int) -> None:
        self.torn = not self.year.harvest(self.copy, fail_at=at)
        self.compare()

    @rule(at=st.integers(1, 700))
    def sync_is_killed(self, at: int) -> None:
        self.kill(at, self.copy.sync)

    @rule(at=st.integers(1, 12))
    def sync_is_killed_at_a_request(self, at: int) -> None:
        since = self.copy.last_run()
        self.torn |= self.copy.killed_sync(at)
        self.after(since)

    @rule(which=pick, verdict=verdict)
    def decide(self, which: int, verdict: str) -> None:
        since = self.copy.last_run()
        if known := self.decidable():
            before = len(read_ledger(self.copy.ledger))
            self.year.decide(self.copy, known[which % len(known)], verdict)
            self.confirmed(before)
        self.after(since)

    @rule(which=pick, verdict=verdict, at=st.integers(1, 150))
    def decide_is_killed(self, which: int, verdict: str, at: int) -> None:
        """The decision is kept or not; if the ledger has it, it counts from the next judgement on."""
        if not (known := self.decidable()):
            return
        before, given = len(read_ledger(self.copy.ledger)), len(self.year.given)
        doi = known[which % len(known)]
        heads, works = self.copy.heads(), self.year.of_the_work(self.copy, doi)
        if not self.kill(at, lambda: self.copy.decide(doi, verdict)):
            self.torn = True  # judged, but the model is told of the decision below
        if len(read_ledger(self.copy.ledger)) > before:
            assert len(self.year.given) == given
            here = [w for w in self.year.given if w.number in self.copy.known]
            prime = self.year.world.prime
            seen = {w.number for w in here if (w.doi if w.doi in heads else prime(w.doi)) in works}
            self.year.given.append(Given(given, self.copy.who, doi, verdict, frozenset(seen)))
            self.copy.known.add(given)
            self.confirmed(before)

    @whole
    @rule(which=pick, away=st.booleans(), apart=st.booleans())
    def tag_or_part(self, which: int, away: bool, apart: bool) -> None:
        since, quiet = self.copy.last_run(), self.quiet()
        before = len(read_ledger(self.copy.ledger))
        if apart and (pairs := twins(self.year, quiet)):
            one, other = pairs[which % len(pairs)]
            self.copy.decide(one, untags=same_work(other))
        elif quiet:
            said: dict[str, Any] = {"untags" if away else "tags": (("outcome", "cost"),)}
            self.copy.decide(quiet[which % len(quiet)], **said)
        self.confirmed(before)
        self.after(since)

    @rule(which=pick, verdict=verdict, twice=st.booleans())
    def import_decisions(self, which: int, verdict: str, twice: bool) -> None:
        """Bob decided on a copy that had not seen what was decided here."""
        if not (known := self.decidable()):
            return
        since, before = self.copy.last_run(), len(read_ledger(self.copy.ledger))
        doi, made = known[which % len(known)], iso_time(self.copy.clock() + timedelta(minutes=len(self.ledger)))
        word = Decision(Doi(doi), "verdict", verdict, None, None, "it was read", "Bob", made, None, None)  # type: ignore[arg-type]
        given = (self.copy.db, self.copy.ledger, self.copy.book, self.copy.clock)
        assert import_decisions(*given, [word, word] if twice else [word]) == 1
        assert import_decisions(*given, [word]) == 0
        self.year.given.append(Given(len(self.year.given), "Bob", doi, verdict, frozenset()))
        self.copy.known.add(len(self.year.given) - 1)
        self.confirmed(before)
        self.after(since)

    @rule(which=pick, known=st.booleans(), at=st.one_of(st.none(), st.integers(1, 400)))
    def import_records(self, which: int, known: bool, at: int | None) -> None:
        """A file with a thesis that only it has, and perhaps the record of a study that is here; then the same file again."""
        title = f"Loneliness in lighthouse {len(self.theses)}: interpersonal psychotherapy in a thesis"
        text = f"TY  - THES\nAU  - Doe, Jane\nTI  - {title}\nPY  - {1980 + len(self.theses)}\nER  -\n"
        if known and (here := self.year.known()):
            doi = here[which % len(here)]
            text += f"TY  - JOUR\nTI  - {self.year.world.records[doi]['title'][0]}\nDO  - {doi}\nER  -\n"
        file = self.folder / f"theses-{len(self.theses)}.ris"
        file.write_text(text, encoding="utf-8")
        self.pending = title
        since, runs = self.copy.last_run(), self.copy.last_run()
        if at is not None and self.kill(at, lambda: self.imported(file)):
            runs = self.copy.last_run()
        since = self.copy.last_run() if at is not None else since
        self.imported(file)
        self.theses.append(title)
        self.pending = ""
        assert self.copy.last_run() > runs or at is not None
        runs = self.copy.last_run()
        self.imported(file)
        assert self.copy.last_run() == runs, "the same file again opened a run"
        self.after(since)

    def imported(self, file: Path) -> None:
        found = imported_by_command("theses", "Theses", (file,), "other", Imported(()), None)
        copy = self.copy
        run_import(copy.db, copy.ledger, copy.book, copy.clock, NoProgress(), found, ask=False)

    @rule()
    def judge(self) -> None:
        since = self.copy.last_run()
        self.copy.judge()
        assert self.copy.judge() == (0, RunChanges()), "judged twice"
        self.after(since)

    @rule(at=st.integers(1, 300))
    def judge_is_killed(self, at: int) -> None:
        self.kill(at, self.copy.judge)

    @whole
    @rule(one_in_four=st.integers(0, 3))
    def publish(self, one_in_four: int) -> None:
        """The published copy equals the database it was made from. Made in one of four cases, for it takes its time."""
        if one_in_four:
            return
        copy = self.copy
        done = immutable_copy.publish(copy.db, self.folder / "site", decisions=copy.ledger, now=copy.clock)
        copied = done.folder / "evidence.db"
        for sql in (
            "select doi, title, authors, verdict, decided, why, same_as, conflict, notice, gone from works",
            "select doi, kind, notice_doi, stands_on, relation, undone from notices",
            "select doi, facet, value, decided from tags",
            "select run, doi, what, before, after, verdict from changes",
            "select doi, action, verdict, reviewer from decisions",
        ):
            here, there = (sorted(showing.rows(db, sql), key=repr) for db in (copy.db, copied))
            assert here == there, sql
        assert counts(copied) == counts(copy.db)
        assert (self.folder / "site" / "current").resolve() == done.folder.resolve()

    # ------------------------------------------------------------------ what should be true

    def decidable(self) -> list[str]:
        """Works that are here under the DOI that they have today."""
        return [doi for doi in self.year.known() if doi in self.copy.heads()]

    def kill(self, at: int, command: Callable[[], object]) -> bool:
        since = self.copy.last_run()
        works = set(self.copy.heads())
        if was := killed(self.copy.folder, at, command):
            self.torn = True
            prime = self.year.world.prime
            assert {prime(doi) for doi in works} <= {prime(doi) for doi in self.copy.heads()}, "a work was lost"
        self.after(since)
        return was

    def confirmed(self, before: int) -> None:
        """What was appended to the ledger since is confirmed, and has to stay."""
        self.ledger += read_ledger(self.copy.ledger)[before:]

    def after(self, since: int) -> None:
        """What holds after every command: the changes that were announced were due and are now told, and the rest agrees."""
        self.year._compare_announced(self.copy, since, complete=False)
        self.compare()

    def compare(self) -> None:
        copy = self.copy
        for path in (copy.db, copy.ledger) if self.torn else ():
            with closing(sqlite3.connect(path)) as conn:
                assert conn.execute("pragma quick_check").fetchone() == ("ok",)
                assert conn.execute("pragma foreign_key_check").fetchall() == []
        held = read_ledger(copy.ledger)
        assert [replace(word, seen=()) for word in held[: len(self.ledger)]] == [
            replace(word, seen=()) for word in self.ledger
        ], "the ledger lost a decision, or has another"
        counts(copy.db)
        news = Counter(doi for (doi,) in copy.rows("select doi from changes where what = 'new'"))
        assert all(n == 1 for n in news.values()), "a work was new twice"
        if not self.torn:
            self.year._compare_verdicts(copy)
        theses = showing.rows(
            copy.db,
            """select title, (select count(*) from changes c where c.doi = w.doi and c.what = 'new')
            from works w where doi like 'local-%'""",
        )
        told = sorted((title, n) for title, n in theses if title != self.pending)
        assert told == sorted((title, 1) for title in self.theses), "an imported record was lost, or not told"

    def notices_stand(self) -> None:
        """After a complete sync: a notice that stands at its witness stands here, and no other does."""
        shown = set(self.copy.rows("select kind, notice_doi from notices"))
        works = self.copy.heads()
        family = self.year.family
        here = {family[doi] for doi in works if doi in family}
        stands = {notice for notice, doi in self.year.notices.items() if family[doi] in here}
        assert shown == stands, shown ^ stands

    def lists_agree(self) -> None:
        """At the end: the lists that a person takes away hold exactly the works that are counted."""
        found = counts(self.copy.db)
        for verdict in VERDICTS:
            lines = showing.command(self.copy.db, "export", "--verdict", verdict, "-f", "jsonl").splitlines()
            asked = showing.rows(self.copy.db, f"select doi, title from works where verdict = '{verdict}'")
            wanted = sorted(("" if doi.startswith("local-") else doi, title) for doi, title in asked)
            listed = [json.loads(line) for line in lines]
            assert sorted((one["doi"] or "", one["title"]) for one in listed) == wanted
            assert len(lines) == found.get(verdict, 0)


def counts(db: Path) -> Counter[str]:
    """The works by verdict, which are the same in the table, in `status` and in the boxes of PRISMA."""
    with reading(db) as conn:
        works: Counter[str] = Counter(
            dict(conn.execute("select verdict, count(*) from works group by verdict").fetchall())
        )
        flow, status = read_flow(conn), read_queries.status(conn)
    assert {k: n for k, n in status["works"].items() if n} == works
    for verdict, box in (("include", "included"), ("exclude", "excluded"), ("unsure", "waiting")):
        assert flow[box] == works[verdict], (box, flow[box], works)
    assert flow["same_work"] == works["duplicate"]
    assert flow["identified"] - flow["removed"] == flow["screened"]
    assert flow["screened"] == flow["included"] + flow["excluded"] + flow["waiting"]
    return works


def play(number: int, histories: int, *phases: Phase) -> None:
    """So many histories of one seed."""
    chosen = settings(
        max_examples=histories,
        stateful_step_count=STEPS,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
        print_blob=False,
        phases=(Phase.generate, *phases),
    )
    run_state_machine_as_test(seed(number)(Histories), settings=chosen)


@pytest.mark.slow
def test_a_few_histories() -> None:
    play(SEED, 12)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(not HISTORIES, reason="EVIDENCE_HISTORIES says how many histories are played, as before a release")
@pytest.mark.parametrize("number", (*KEPT, *range(SEED, SEED + (max(HISTORIES, A_SEED) + A_SEED - 1) // A_SEED)))
def test_histories(number: int) -> None:
    play(number, A_SEED, Phase.shrink)


@pytest.mark.slow
def test_some_histories() -> None:
    play(SEED + 1, 40, Phase.shrink)
