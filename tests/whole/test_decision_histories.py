"""Histories of two copies of a review, at random: whatever happens to them, no decision is lost, changed or silently ignored.

A history decides, undoes, pairs and parts records, exchanges ledgers, edits the taxonomy, harvests records that changed,
moved or have a twin, publishes, loses files and restores older backups of them. After every step the ledger holds each
decision that was made or imported, and the database shows what a model of the rules says, written here anew and from what
each reviewer had before them rather than from `Decision.seen`.

`EVIDENCE_LEDGER_HISTORIES` sets how many histories are tried, `EVIDENCE_LEDGER_SEED` which.
"""

from __future__ import annotations

import atexit
import functools
import itertools
import json
import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from evidence import current_decisions
from evidence.crossref.normalise import normalise
from evidence.data_model import SAME_WORK, Decision, Doi, Message
from evidence.database.read_decisions import read_ledger
from evidence.database.writer import open_store
from evidence.errors import ConfigError
from evidence.harvest import rejudge
from evidence.harvest.sync import sync
from evidence.publish import immutable_copy
from evidence.review import decisions_csv
from evidence.review.record_decision import import_decisions
from evidence.rules import taxonomy
from evidence.rules.screen import screen
from evidence.rules.taxonomy import Taxonomy
from tests.builders import FONAGY, MALARIA, MARKOWITZ, STANGIER, FakeRecordSource, message, texts
from tests.whole.test_two_reviewers import CONFIG, COPY, TWIN, Clock, Review

pytestmark = pytest.mark.slow

HISTORIES = int(os.environ.get("EVIDENCE_LEDGER_HISTORIES", "40"))
STEPS = 14

THIRD = Doi("10.5555/stangier.third")
ELSEWHERE = Doi("10.5555/markowitz.elsewhere")
NEVER = Doi("10.5555/never.harvested")
WORLD: dict[Doi, Message] = {
    Doi(str(m["DOI"])): m
    for m in (
        STANGIER,
        FONAGY,
        MARKOWITZ,
        MALARIA,
        TWIN,
        {**STANGIER, "DOI": THIRD, "URL": f"https://doi.org/{THIRD}"},
        {**MARKOWITZ, "DOI": ELSEWHERE, "URL": f"https://doi.org/{ELSEWHERE}"},
        message("10.5555/unclear", "Interpersonal psychotherapy", 1999),
    )
}
LATE = (COPY, THIRD, ELSEWHERE)
"""Records that Crossref does not have from the start."""
AT_FIRST = tuple(doi for doi in WORLD if doi not in LATE)
MOVES = {COPY: Doi(str(STANGIER["DOI"])), Doi(str(MARKOWITZ["DOI"])): ELSEWHERE, THIRD: COPY}

Subject = tuple[str | None, str | None]
VERDICT: Subject = (None, None)
COST, DROPPED_OUT = ("outcome", "cost"), ("outcome", "attrition-acceptability")
"""Two values of the taxonomy that come and go; the rules say the second one of FONAGY."""
RENAMED = ("outcome", "costs")
TAGS = (COST, DROPPED_OUT, RENAMED, ("design", "rct"))

copies = st.sampled_from((0, 1))
works = st.sampled_from((Doi(str(STANGIER["DOI"])), Doi(str(FONAGY["DOI"])), COPY, THIRD, *WORLD, NEVER))
twins = st.sampled_from((Doi(str(STANGIER["DOI"])), COPY, THIRD, Doi(str(MALARIA["DOI"]))))
people = st.sampled_from(("A", "B"))
verdicts = st.sampled_from(("include", "exclude", "unsure"))


@functools.cache
def books() -> tuple[Taxonomy, ...]:
    """The bundled rules; with one value renamed; without it; without another that the rules say."""
    whole = taxonomy.load()
    return whole, _renamed(whole, COST, RENAMED), _without(whole, COST), _without(whole, DROPPED_OUT)


def _without(book: Taxonomy, gone: tuple[str, str]) -> Taxonomy:
    facets = tuple(replace(f, values=tuple(v for v in f.values if (f.facet, v.id) != gone)) for f in book.facets)
    return replace(book, facets=facets, digest=f"{gone[1]:0<16.16}")


def _renamed(book: Taxonomy, old: tuple[str, str], new: tuple[str, str]) -> Taxonomy:
    facets = tuple(
        replace(f, values=tuple(replace(v, id=new[1]) if (f.facet, v.id) == old else v for v in f.values))
        for f in book.facets
    )
    return replace(book, facets=facets, digest="e" * 16)


class Copy(Review):
    """One copy of the review, and what the model knows of it: `held` are the decisions by identifier, `settled` whether the
    database has been judged since it, the rules or the ledger were last exchanged."""

    def __init__(self, folder: Path, book: Taxonomy, clock: Clock) -> None:
        super().__init__(folder, book, clock)
        self.folder = folder
        self.held: dict[str, Decision] = {}
        self.settled = self.touched = True
        self.ahead = timedelta()
        self.clock = lambda: clock() + self.ahead
        self.harvests: list[Path] = []
        self.ledgers: list[tuple[Path, dict[str, Decision]]] = []

    def look(self) -> Shown:
        """What the database shows now."""
        with closing(sqlite3.connect(f"file:{self.db}?mode=ro", uri=True)) as conn:
            rows = conn.execute
            return Shown(
                {row[0]: Work(*row[1:]) for row in rows("select doi, verdict, decided, same_as, conflict from works")},
                dict(rows("select alias, doi from aliases where last_run is null").fetchall()),
                {
                    (doi, facet, value): by
                    for doi, facet, value, by in rows("select doi, facet, value, decided from tags")
                },
                {
                    frozenset(pair): (verdict, reason)
                    for *pair, verdict, reason in rows(
                        "select doi, other, verdict, reason from duplicates where decided = 'person'"
                    )
                },
                {moment for (moment,) in rows("select made_at from decisions_without_work")},
                dict(rows("select doi, message from snapshots where last_run is null").fetchall()),
            )

    def kept(self) -> Path:
        """The ledger as a CSV file."""
        file = self.folder / "kept.csv"
        file.write_text("".join(decisions_csv.csv_lines(read_ledger(self.ledger))), encoding="utf-8", newline="")
        return file


@dataclass(frozen=True)
class Work:
    verdict: str
    decided: str
    same_as: str | None
    conflict: str | None


@dataclass(frozen=True)
class Shown:
    """A database as it stands: works by DOI, aliases, who said a tag, the pairs people decided on with verdict and reason,
    when the decisions without a work were made, and the records."""

    works: dict[str, Work]
    aliases: dict[str, str]
    tags: dict[tuple[str, str, str], str]
    pairs: dict[frozenset[str], tuple[str, str]]
    without_work: set[str]
    records: dict[str, str]

    @functools.cached_property
    def homes(self) -> dict[str, str]:
        """Every DOI that is known here → the record that stands for its work."""
        heads = {doi: work.same_as or doi for doi, work in self.works.items()}
        return heads | {old: heads[new] for old, new in self.aliases.items() if new in heads}

    def about(self, said: Decision) -> Any:
        """What a decision is about here: a work with facet and value, or a pair of records."""
        if said.facet == SAME_WORK:
            return frozenset(self.aliases.get(doi, doi) for doi in (said.doi, str(said.value)))
        return self.homes.get(said.doi, said.doi), said.facet, said.value


def action(said: Decision) -> str:
    return said.verdict or said.action


@dataclass
class Group:
    """The decisions on one subject, as the model reads them. `knew` leads from a decision to those on its subject that its
    reviewer had before them."""

    words: dict[str, Decision]
    knew: dict[str, frozenset[str]]

    def place(self, key: str) -> tuple[datetime, int, str]:
        """After all that was known, then by time, then by identifier."""
        own = datetime.fromisoformat(self.words[key].made_at)
        before = [self.place(k) for k in self.knew[key] & self.words.keys()]
        time = max([own, *(place[0] for place in before)])
        return time, 1 + max((place[1] for place in before if place[0] == time), default=-1), key

    def replaced(self, key: str) -> bool:
        """Whether the same person has said something later, who knew this."""
        return any(
            key in self.knew[other] and word.reviewer == self.words[key].reviewer for other, word in self.words.items()
        )

    def last(self, reviewer: str) -> str | None:
        heads = [k for k, word in self.words.items() if word.reviewer == reviewer and not self.replaced(k)]
        return max(heads, key=self.place, default=None)

    def counts(self) -> str | None:
        """The decision that counts; None when nobody's stands."""
        lasts = [self.last(reviewer) for reviewer in {word.reviewer for word in self.words.values()}]
        standing = [key for key in lasts if key and self.words[key].action != "withdraw"]
        return max(standing, key=self.place, default=None)

    def overruled(self) -> list[str]:
        """What nobody has replaced, and says other than what counts; a withdrawal takes nothing away from others."""
        counts = self.counts()
        shown = action(self.words[counts]) if counts else None
        return [
            key
            for key, word in self.words.items()
            if not self.replaced(key) and word.action != "withdraw" and action(word) != shown
        ]


class Histories(RuleBasedStateMachine):
    """See above."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="evidence-histories-"))
        self.seconds = itertools.count()
        self.knew: dict[str, frozenset[str]] = {}
        self.world: dict[str, Message] = {doi: WORLD[doi] for doi in AT_FIRST}
        self.moves: dict[str, str] = {}
        self.edits = itertools.count(1)
        self.published = False
        self.copies = [Copy(self.folder / name, books()[0], self.now) for name in ("one", "two")]
        for copy in self.copies:
            shutil.copyfile(first_harvest(), copy.db)

    def now(self) -> datetime:
        return datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC) + timedelta(seconds=next(self.seconds))

    def at(self, copy: int) -> Copy:
        """A copy, which has to be looked at after this step."""
        self.copies[copy].touched = True
        return self.copies[copy]

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    # ------------------------------------------------------------------ people

    @rule(copy=copies, doi=works, verdict=verdicts, by=people)
    def decide(self, copy: int, doi: Doi, verdict: str, by: str) -> None:
        self.say(self.at(copy), doi, by, ("verdict", None, None), verdict=verdict)

    @rule(copy=copies, doi=works, tag=st.sampled_from(TAGS), by=people, away=st.booleans())
    def tag(self, copy: int, doi: Doi, tag: tuple[str, str], by: str, away: bool) -> None:
        said = {"untags" if away else "tags": [tag]}
        self.say(self.at(copy), doi, by, ("untag" if away else "tag", *tag), **said)

    @rule(copy=copies, doi=twins, other=twins, by=people, apart=st.booleans())
    def pair(self, copy: int, doi: Doi, other: Doi, by: str, apart: bool) -> None:
        said = {"untags" if apart else "tags": [(SAME_WORK, other)]}
        self.say(self.at(copy), doi, by, ("untag" if apart else "tag", SAME_WORK, other), **said)

    @rule(copy=copies, number=st.integers(0, 9), verdict=st.sampled_from(("include", "exclude")), by=people)
    def decide_again(self, copy: int, number: int, verdict: str, by: str) -> None:
        """On a work, or a pair, on which something was said."""
        everything = [*self.copies[0].held.values(), *self.copies[1].held.values()]
        if said := list({(word.doi, word.value): word for word in everything}.values()):
            word = said[number % len(said)]
            if word.facet == SAME_WORK and word.value:
                self.pair(copy, Doi(word.value), word.doi, by, verdict == "exclude")
            else:
                self.decide(copy, word.doi, verdict, by)

    @rule(doi=works, by=people, verdicts=st.tuples(verdicts, verdicts), back=st.booleans(), into=copies)
    def decide_twice(self, doi: Doi, by: str, verdicts: tuple[str, str], back: bool, into: int) -> None:
        """On both copies, neither knowing of the other, and perhaps taken back on the one; then one imports the other's."""
        for copy, verdict in enumerate(verdicts):
            self.decide(copy, doi, verdict, by)
        if back:
            self.say(self.at(1), doi, by, ("withdraw", None, None), withdrawn=[None])
        self.exchange(into)

    @rule(
        doi=twins,
        other=twins,
        by=people,
        aparts=st.tuples(st.booleans(), st.booleans()),
        back=st.booleans(),
        into=copies,
    )
    def pair_twice(self, doi: Doi, other: Doi, by: str, aparts: tuple[bool, bool], back: bool, into: int) -> None:
        """The same for a pair of records."""
        for copy, apart in enumerate(aparts):
            self.pair(copy, doi, other, by, apart)
        if back:
            self.say(self.at(1), doi, by, ("withdraw", SAME_WORK, other), withdrawn=[(SAME_WORK, other)])
        self.exchange(into)

    @rule(copy=copies, number=st.integers(0, 9))
    def undo(self, copy: int, number: int) -> None:
        """Take back something that somebody said here."""
        here = self.at(copy)
        if said := list(here.held.values()):
            word = said[number % len(said)]
            subject = (word.facet, word.value) if word.facet else None
            self.say(here, word.doi, word.reviewer, ("withdraw", word.facet, word.value), withdrawn=[subject])

    def say(self, copy: Copy, doi: str, by: str, what: tuple[str, str | None, str | None], **said: Any) -> None:
        """Decide, and note what was decided and what its reviewer had before them."""
        self.back_up(copy)
        before = copy.look()
        act, facet, value = what
        wanted = Decision(Doi(doi), act, said.get("verdict"), facet, value, "why", by, "", None, None)  # type: ignore[arg-type]
        subject = before.about(wanted)
        group = self.groups(copy, before).get(subject, Group({}, self.knew))
        last = group.last(by)
        stands = group.words[last] if last and group.words[last].action != "withdraw" else None
        impossible = (
            doi not in before.homes
            or (act in ("tag", "untag") and facet != SAME_WORK and (facet, value) not in copy.book.tags)
            or (facet == SAME_WORK and act != "withdraw" and (len(subject) == 1 or value not in before.homes))
            or (act == "withdraw" and stands is None)
        )
        try:
            words = copy.decide(doi, by=by, **said)
        except ConfigError:
            assert impossible
            return
        assert not impossible
        assert words or (stands is not None and (stands.action, stands.verdict) == (act, said.get("verdict")))
        for word in words:
            assert (word.action, word.verdict, word.facet, word.reviewer) == (act, said.get("verdict"), facet, by)
            key = current_decisions.decision_id(word)
            assert key not in copy.held
            self.knew[key] = frozenset(group.words)
            copy.held[key] = word
        if facet != SAME_WORK:
            shown = copy.look()
            self.check_work(copy, shown, shown.homes[doi], self.groups(copy, shown))

    # ------------------------------------------------------------------ ledgers and files

    @rule(copy=copies)
    def exchange(self, copy: int) -> None:
        """Import what the other copy has exported."""
        here, other = self.at(copy), self.at(1 - copy)
        if other.ledger.exists():
            self.take_in(here, other.kept(), other.held)

    def take_in(self, copy: Copy, file: Path, held: dict[str, Decision]) -> None:
        entries = decisions_csv.read_csv(file)
        assert {current_decisions.decision_id(d): d for d in entries} == held
        import_decisions(copy.db, copy.ledger, copy.book, copy.clock, entries)
        copy.held |= {
            current_decisions.decision_id(d): d for d in current_decisions.merged([*copy.held.values(), *held.values()])
        }

    def back_up(self, copy: Copy) -> None:
        """Both files as they are now, before the next decision."""
        for file, name in ((copy.db, "harvest"), (copy.ledger, "ledger")):
            if file.exists():
                target = copy.folder / f"{name}-{next(self.edits)}.db"
                with closing(sqlite3.connect(file)) as conn, closing(sqlite3.connect(target)) as made:
                    conn.backup(made)
                if name == "harvest":
                    copy.harvests.append(target)
                else:
                    copy.ledgers.append((target, dict(copy.held)))

    @rule(copy=copies, judge=st.booleans(), number=st.integers(0, 9))
    def restore_the_harvest(self, copy: int, judge: bool, number: int) -> None:
        here = self.at(copy)
        if here.harvests:
            put(here.harvests[number % len(here.harvests)], here.db)
            here.settled = False
            if judge:
                self.judge(copy)

    @rule(copy=copies, number=st.integers(0, 9), doi=works, verdict=st.sampled_from(("include", "exclude")), by=people)
    def restore_the_ledger(self, copy: int, number: int, doi: Doi, verdict: str, by: str) -> None:
        """An older ledger, on which somebody decides before what was kept is imported."""
        here = self.at(copy)
        if here.ledgers:
            file, kept = here.kept(), here.held
            backup, held = here.ledgers[number % len(here.ledgers)]
            put(backup, here.ledger)
            here.held = dict(held)
            self.decide(copy, doi, verdict, by)
            self.take_in(here, file, kept)

    @rule(copy=copies)
    def rebuild(self, copy: int) -> None:
        """The harvest again, from nothing."""
        here = self.at(copy)
        self.harvest(copy)
        before = here.verdicts()
        for end in ("", "-wal", "-shm"):
            here.db.with_name(here.db.name + end).unlink(missing_ok=True)
        self.harvest(copy)
        self.judge(copy)
        assert here.verdicts() == before

    @precondition(lambda self: not self.published)
    @rule(copy=copies, named=st.booleans())
    def publish(self, copy: int, named: bool) -> None:
        here = self.at(copy)
        target = here.folder / f"published-{next(self.edits)}.db"
        self.published = True  # once in a history: it takes as long as all the rest
        immutable_copy.copy(here.db, target, hidden=None if named else ["A", "B"])
        with closing(sqlite3.connect(target)) as conn:
            found = conn.execute("select doi, verdict, same_as from works").fetchall()
        assert {doi: (verdict, same) for doi, verdict, same in found} == here.verdicts()
        target.unlink()

    # ------------------------------------------------------------------ rules and records

    @rule(copy=copies, number=st.integers(0, 3), judge=st.booleans())
    def edit_the_taxonomy(self, copy: int, number: int, judge: bool) -> None:
        here = self.at(copy)
        here.settled = here.settled and here.book is books()[number]
        here.book = books()[number]
        if judge:
            self.judge(copy)

    @rule(copy=copies)
    def judge(self, copy: int) -> None:
        self.at(copy).judge()
        self.at(copy).settled = True

    @rule(copy=copies)
    def harvest(self, copy: int) -> None:
        here = self.at(copy)
        with open_store(here.db) as store:
            crossref = FakeRecordSource(list(self.world.values()))
            crossref.aliases = dict(self.moves)
            outcome = sync(
                CONFIG, store, crossref, here.book, now=here.clock, full=True, take=texts(self.world.values())
            )
        assert outcome.outcome == "complete"
        here.settled = True

    @rule(doi=st.sampled_from(tuple(WORLD)), event=st.sampled_from(("arrives", "changes", "moves")), here=copies)
    def crossref(self, doi: Doi, event: str, here: int) -> None:
        """A record is new there, its text is corrected, or its DOI leads to another from now on; then one copy harvests."""
        target = MOVES.get(doi)
        if doi not in self.world and doi not in self.moves:
            self.world[doi] = WORLD[doi]
        elif event == "changes" and doi in self.world:
            number = next(self.edits)
            indexed = {"date-time": (datetime(2026, 11, 2, tzinfo=UTC) + timedelta(seconds=number)).isoformat()}
            self.world[doi] = {**self.world[doi], "abstract": f"Corrected for the {number}th time.", "indexed": indexed}
        elif event == "moves" and doi in self.world and target in self.world:
            del self.world[doi]
            self.moves = {old: target if new == doi else new for old, new in self.moves.items()} | {doi: target}
        self.harvest(here)

    @rule(copy=copies, days=st.integers(-2, 2))
    def clock_is_set(self, copy: int, days: int) -> None:
        self.at(copy).ahead = timedelta(days=days)

    # ------------------------------------------------------------------ what must hold

    @invariant()
    def nothing_is_lost_changed_or_ignored(self) -> None:
        for copy in [copy for copy in self.copies if copy.touched]:
            copy.touched = False
            words = current_decisions.merged(read_ledger(copy.ledger))
            assert {current_decisions.decision_id(word): word for word in words} == copy.held
            if copy.settled:
                with open_store(copy.db, copy.ledger) as store:
                    everything = rejudge.decisions_by_work(store)
                    for named in everything:  # what a save reads of the ledger is all that is about its work
                        alone = rejudge.decisions_by_work(store, of=[named])
                        assert named in alone
                        assert alone == {record: everything[record] for record in alone}
                shown = copy.look()
                groups = self.groups(copy, shown)
                for doi, work in shown.works.items():
                    if work.same_as is None:
                        self.check_work(copy, shown, doi, groups)
                self.check_pairs(shown, groups)
                self.check_without_work(copy, shown)

    def groups(self, copy: Copy, shown: Shown) -> dict[Any, Group]:
        found: dict[Any, Group] = {}
        for key, said in copy.held.items():
            found.setdefault(shown.about(said), Group({}, self.knew)).words[key] = said
        return found

    def check_work(self, copy: Copy, shown: Shown, doi: str, groups: dict[Any, Group]) -> None:
        """A work's verdict and tags are those that count, and what was overruled is a conflict."""
        work = shown.works[doi]
        verdicts = groups.get((doi, None, None))
        counts = verdicts.counts() if verdicts else None
        if counts and verdicts:
            assert (work.verdict, work.decided) == (verdicts.words[counts].verdict, "person"), (doi, work)
        else:
            ruled = screen(normalise(json.loads(shown.records[doi])), copy.book).verdict
            assert (work.verdict, work.decided) == (ruled, "rule"), (doi, work)
        for subject, group in groups.items():
            if isinstance(subject, tuple) and subject[0] == doi:
                assert work.conflict or not group.overruled(), (subject, "is overruled")
                counts = group.counts()
                if subject[1] is None or counts is None:
                    continue
                if subject[1:] not in copy.book.tags:
                    assert "no longer exists" in (work.conflict or ""), (subject, work)
                    assert subject not in shown.tags
                elif group.words[counts].action == "tag":
                    assert shown.tags.get(subject) == "person"
                else:
                    assert subject not in shown.tags

    def check_pairs(self, shown: Shown, groups: dict[Any, Group]) -> None:
        """Records that a person set apart are never one work; those that a person joined are one, or it is said why not."""
        for subject, group in groups.items():
            if not isinstance(subject, frozenset) or not subject <= shown.works.keys():
                continue
            counts = group.counts()
            if len(subject) == 1:
                (doi,) = subject
                apart = counts is not None and group.words[counts].action == "untag"
                assert shown.works[shown.homes[doi]].conflict or not (apart or group.overruled()), (
                    subject,
                    "one record",
                )
                continue
            if counts is None:
                asked = shown.pairs[subject][0] == "doubtful" if subject in shown.pairs else False
                assert asked == bool(group.overruled()), (subject, "nothing stands")
                continue
            said, reason = shown.pairs[subject]
            assert said == ("same" if group.words[counts].action == "tag" else "apart")
            one_work = len({shown.homes[doi] for doi in subject}) == 1
            if said == "same":
                assert one_work or "Not joined" in reason, (subject, reason)
            else:
                assert not one_work, (subject, reason)
            for key in group.overruled():
                assert group.words[key].reviewer in reason, (subject, reason)

    def check_without_work(self, copy: Copy, shown: Shown) -> None:
        """What has no work here is listed, and nothing else."""
        lost = {
            said.made_at
            for said in copy.held.values()
            if said.doi not in shown.homes or (said.facet == SAME_WORK and said.value not in shown.homes)
        }
        assert shown.without_work == lost


def put(backup: Path, file: Path) -> None:
    """Restore, as the docs say."""
    for end in ("-wal", "-shm"):
        file.with_name(file.name + end).unlink(missing_ok=True)
    shutil.copyfile(backup, file)


@functools.cache
def first_harvest() -> Path:
    """The database that both copies begin with."""
    folder = Path(tempfile.mkdtemp(prefix="evidence-histories-"))
    atexit.register(shutil.rmtree, folder)
    moments = itertools.count()
    review = Review(folder, books()[0], lambda: datetime(2026, 11, 23, tzinfo=UTC) + timedelta(seconds=next(moments)))
    first = [WORLD[doi] for doi in AT_FIRST]
    with open_store(review.db) as store:
        sync(CONFIG, store, FakeRecordSource(first), review.book, now=review.clock, full=True, take=texts(first))
    return review.db


def test_no_history_loses_changes_or_silently_ignores_a_decision() -> None:
    machine = seed(int(os.environ.get("EVIDENCE_LEDGER_SEED", "12")))(Histories)
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=HISTORIES,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
