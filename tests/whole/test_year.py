"""A year of a living review: twelve monthly syncs, two reviewers on two copies, and every number compared every month.

`YEAR` is written down; random years follow. EVIDENCE_YEARS is how many random years of twelve months are played (unset: a
short one), EVIDENCE_YEAR_SEED the seed of the first. A failure names the seed.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from evidence.database import changes_since_last_run
from evidence.database.changes_since_last_run import RunChanges
from evidence.publish import immutable_copy
from evidence.rules import taxonomy
from evidence.rules.taxonomy import Taxonomy
from tests import year as showing
from tests.builders import summarised
from tests.edited_topic import edited, only_psychotherapy
from tests.world import DAY, World
from tests.year import SOURCES, VERDICTS, Copy, Given, Notice, same_work

RECORDS = 60
"""How many studies there are in January."""

DIFFER = ("People disagree on this work", "decided twice on this work")
"""What a conflict says where verdicts of people differ."""

ASKED_WITHIN = 10
"""Complete syncs after which a work that is gone has been asked for by its own DOI, at the latest."""

KINDS = ("retraction", "correction", "expression-of-concern")
SEED = int(os.environ.get("EVIDENCE_YEAR_SEED", "1"))
YEARS = int(os.environ.get("EVIDENCE_YEARS", "0"))


@cache
def books() -> tuple[Taxonomy, Taxonomy]:
    """The rules, and rules for which `interpersonal therapy` is no name of the therapy."""
    with tempfile.TemporaryDirectory() as folder:
        narrower = edited(Path(folder) / "rules", screen=only_psychotherapy)
    return taxonomy.load(), narrower


class Year:
    """The world, both copies of the review, and what happened so far."""

    def __init__(self, folder: Path, records: int) -> None:
        self.folder = folder
        self.world = World()
        self.ann, self.bob = (Copy(folder / who, who, self.world, books()[0]) for who in ("Ann", "Bob"))
        self.notices: dict[Notice, str] = {}
        self.about: dict[Notice, str] = {}
        self.family: dict[str, str] = {}
        self.kinds: dict[str, set[str]] = defaultdict(set)
        self.given: list[Given] = []
        self.kept: dict[str, dict[str, Any]] = {}
        self.number = 0
        for _ in range(records):
            self.add("psychotherapy")

    # ------------------------------------------------------------------ the world; each returns the DOI it made or changed

    def add(self, kind: str = "psychotherapy") -> str:
        """A new study of `psychotherapy`, `therapy`, `counselling`, or (`other`) of something else."""
        doi = self.world.add(relevant=kind != "other")
        title = self.world.records[doi]["title"][0]
        self.world.records[doi]["title"] = [title.replace("Interpersonal psychotherapy", f"Interpersonal {kind}")]
        self.family[doi] = doi
        self.kinds[kind].add(doi)
        return doi

    def twin(self, doi: str) -> str:
        return self._join(self.world.twin(doi), doi)

    def preprint(self, doi: str) -> str:
        """A preprint of the study, which says so."""
        copy = self.twin(doi)
        record = self.world.records[copy]
        for key in ("volume", "page", "container-title"):
            record.pop(key, None)
        record |= {"type": "posted-content", "subtype": "preprint"}
        record["relation"] = {"is-preprint-of": [{"id-type": "doi", "id": doi, "asserted-by": "subject"}]}
        return copy

    def edit(self, doi: str) -> None:
        self.world.edit(doi)

    def abstract(self, doi: str) -> None:
        """PubMed has an abstract of the study from now on."""
        self.world.abstracts[doi] = "We compared interpersonal psychotherapy with a waiting list."

    def notice(self, doi: str, kind: str, said_by: str) -> Notice:
        """`said_by`: the notice's own record, the study's record, or both."""
        if said_by == "record":
            self.world.made += 1
            name = f"10.6666/elsewhere.{self.world.made}"
        else:
            name = self.world.notice(doi, kind)
        if said_by != "notice":
            self.world.say(doi, name, kind)
        self.notices[kind, name] = self.about[kind, name] = doi
        return kind, name

    def unsay(self, notice: Notice) -> None:
        """The records that state this notice no longer do; other notices of the study stay."""
        doi = self.notices.pop(notice)
        for one, other in ((doi, notice[1]), (notice[1], doi)):
            record = self.world.records.get(one, {})
            if any(said["DOI"] == other for said in [*record.get("updated-by", []), *record.get("update-to", [])]):
                self.world.unsay(one, other)

    def move(self, doi: str, *, listed: bool) -> str:
        """The study is registered anew, and its DOI becomes an alias of the new one."""
        new = self.twin(doi)
        self.world.alias(doi, new, listed=listed)
        return new

    def vanish(self, doi: str) -> None:
        self.world.vanish(doi)

    def back(self, doi: str) -> None:
        self.world.come_back(doi)

    def _join(self, new: str, old: str) -> str:
        self.family[new] = self.family[old]
        for kind in self.kinds.values():
            if old in kind:
                kind.add(new)
        return new

    # ------------------------------------------------------------------ reviewers

    def decide(self, copy: Copy, doi: str, verdict: str) -> None:
        """A verdict comes after all that the reviewer has seen of the work, and replaces the same reviewer's earlier ones."""
        of_the_work, heads = self.of_the_work(copy, doi), copy.heads()
        if copy.decide(doi, verdict):
            known = [w for w in self.given if w.number in copy.known]
            seen = {w.number for w in known if (w.doi if w.doi in heads else self.world.prime(w.doi)) in of_the_work}
            self.given.append(Given(len(self.given), copy.who, doi, verdict, frozenset(seen)))
            copy.known.add(len(self.given) - 1)

    def of_the_work(self, copy: Copy, doi: str) -> set[str]:
        """All records of the work, as this copy groups them."""
        heads = copy.heads()
        head = self.head(heads, doi)
        return {one for one, its in heads.items() if its == head}

    def head(self, heads: dict[str, str], doi: str) -> str | None:
        """The record that represents the work of `doi`, which may be an alias that a copy does not know to be one."""
        return heads.get(doi) or heads.get(self.world.prime(doi))

    def exchange(self, first: Copy, second: Copy, *, at_once: bool) -> None:
        """Both take the other's ledger; `at_once`: both files are written before either is read."""
        files = [one.exported() for one in (first, second) if one.ledger.exists()]
        if len(files) < 2:
            return
        second.take(files[0])
        first.take(files[1] if at_once else second.exported())
        first.known |= second.known
        second.known |= first.known
        assert first.take(second.exported()) == second.take(first.exported()) == 0

    # ------------------------------------------------------------------ a month

    def begin(self, *, skew: int = 0) -> None:
        """The first days of the next month; Ann's clock is so many days ahead."""
        self.number += 1
        first = datetime(2026 + (self.number - 1) // 12, (self.number - 1) % 12 + 1, 2, 6, tzinfo=UTC)
        self.world.now = max(self.world.now, first)
        self.ann.skew = skew * DAY
        self.before = {copy.who: copy.last_run() for copy in (self.ann, self.bob)}

    @property
    def day(self) -> str:
        """The last day of the month that is looked back at."""
        return f"{self.world.now:%Y-%m}-28"

    def harvest(self, copy: Copy, *, fail_at: int | None = None, kill_at: int | None = None) -> bool:
        """A sync, which announces what it should; then another one, which announces nothing. Whether it was complete."""
        since = copy.last_run()
        if killed := kill_at is not None and copy.killed_sync(kill_at):
            assert copy.changes(since) == [], "a killed sync announced something"
        if fail_at is not None:
            self.world.fail_at, self.world.fail_for = self.world.requests + fail_at, 10**6
        outcome = copy.sync()
        self.world.fail_at = None
        told = [row for row in copy.changes(since) if row["run"] == outcome.run]
        assert outcome.changes == summarised(told)
        complete = outcome.outcome == "complete"
        assert complete or fail_at is not None, outcome.troubles
        if killed or not complete:
            copy.waits.clear()
        self._compare_announced(copy, since, complete=complete)
        if complete:
            since = copy.last_run()
            again = copy.sync()
            assert again.changes.counts or (again.written.new, again.written.changed, again.rejudged) == (0, 0, 0)
            self._compare_announced(copy, since, complete=True)
            self._compare_works(copy)
        return complete

    def _compare_announced(self, copy: Copy, since: int, *, complete: bool) -> None:
        """The runs after `since` announced what they should have. A work that is gone is asked for in turn only, and so it
        may take several syncs until it is known to lead to another record."""
        changes = copy.changes(since)
        led = copy.announced.led(self.world)
        late = led & copy.announced.gone - {row["before"] for row in changes if row["what"] == "moved"}
        due = copy.announced.due(self.world, SOURCES[copy.sources][1], self.notices, led - late)
        self._compare_notices(copy, since)
        said = copy.announced.take(self.world, changes, self.notices)
        if not complete:  # a record may be found under its new DOI, and where the old one leads not be known yet
            due["new"] |= {self.world.prime(doi) for doi in due["moved"]}
        to_one = Counter(self.world.prime(doi) for doi in due["moved"])
        for doi in (doi for doi, n in to_one.items() if n > 1):  # with which of the two the new one is compared is open
            for kind in ("content", "back"):
                due[kind].discard(doi)
                said[kind].discard(doi)
        for kind, expected in due.items():
            if kind in ("notice", "notice-ended"):
                expected, said[kind] = self._undecided(expected), self._undecided(said[kind])
            missing, more = expected - said[kind], said[kind] - expected
            assert not more and not (complete and missing), (copy.who, kind, missing, more)
        if complete:
            copy.waits = Counter({doi: copy.waits[doi] + 1 for doi in late})
            assert all(n < ASKED_WITHIN for n in copy.waits.values()), (copy.who, copy.waits)

    def _undecided(self, notices: set[Notice]) -> set[Notice]:
        """Those on works that nobody decided on: a notice on an excluded work is announced only when it is included again."""
        decided = {self.family[word.doi] for word in self.given}
        return {notice for notice in notices if self.family[self.about[notice]] not in decided}

    def _compare_notices(self, copy: Copy, since: int) -> None:
        for row in copy.changes(since):
            if row["what"] == "notice":
                kind, name = row["after"].split(" ")[:2]
                assert self.family.get(row["doi"]) == self.family[self.about[kind, name]], row
                assert row["verdict"] in ("include", "unsure")

    def _compare_works(self, copy: Copy) -> None:
        """After a complete sync the works are those that were announced, under the DOIs of today."""
        works = {doi: (gone, verdict) for doi, gone, verdict in copy.rows("select doi, gone, verdict from works")}
        assert works.keys() == copy.announced.news - copy.announced.moved
        assert {doi for doi, (gone, _) in works.items() if gone} == copy.announced.gone
        heads = copy.heads()
        for doi, verdict in ((doi, verdict) for doi, (_, verdict) in works.items()):
            assert self.family.get(doi) == self.family.get(heads[doi]), "records of two studies are one work"
            assert (verdict == "duplicate") == (heads[doi] != doi)

    def look(self, *, exchanged: bool) -> None:
        """Everything that is shown at the end of the month, on both copies."""
        for copy in (self.ann, self.bob):
            self._compare_verdicts(copy)
            assert copy.judge() == (0, RunChanges()), "something was left to judge"
        if exchanged and not (self.ann.waits or self.bob.waits):
            self._compare_copies()
        self.kept[self.day] = asyncio.run(self._look(self.ann))

    async def _look(self, copy: Copy) -> dict[str, Any]:
        ds = await copy.site()
        runs = range(self.before[copy.who] + 1, copy.last_run() + 1)
        await showing.changes_shown(copy.db, ds, runs, f"{self.world.now:%Y-%m}-01")
        return await showing.shown(copy.db, ds)

    def _compare_verdicts(self, copy: Copy) -> None:
        """The verdict of each work is the last one that people gave, having seen the others; people who disagree are named."""
        known = [w for w in self.given if w.number in copy.known]
        after = {(number, w.who) for w in known for number in w.seen}
        heads = copy.heads()
        last: dict[str, set[str]] = defaultdict(set)
        own: dict[str, set[str]] = defaultdict(set)
        for word in known:
            head = self.head(heads, word.doi)
            if head is None:
                continue
            if (word.number, word.who) not in after:
                own[head].add(word.verdict)
            if not any(number == word.number for number, _ in after):
                last[head].add(word.verdict)
        found = {doi: told for doi, *told in copy.rows("select doi, verdict, decided, conflict from works")}
        for doi, verdicts in last.items():
            verdict, decided, conflict = found[doi]
            assert (verdict in verdicts, decided) == (True, "person"), (copy.who, doi, verdicts, verdict)
            split = any(words in (conflict or "") for words in DIFFER)
            assert split == (len(own[doi]) > 1), (copy.who, doi, own[doi], conflict)
        by_person = {d for d, (verdict, decided, _) in found.items() if decided == "person" and verdict != "duplicate"}
        assert by_person == last.keys(), (copy.who, by_person ^ last.keys())
        narrower = copy.book is books()[1]
        for doi in (self.kinds["therapy"] | self.kinds["psychotherapy"]) & found.keys() - by_person:
            if found[doi][0] != "duplicate":
                wanted = "include" if doi in self.kinds["psychotherapy"] or not narrower else "unsure"
                assert found[doi][0] == wanted, (copy.who, doi)

    def _compare_copies(self) -> None:
        """Two copies that have harvested and exchanged the same show the same."""
        for sql in (
            "select doi, verdict, decided, same_as, conflict, notice, why from works",
            "select doi, facet, value from tags",
            "select doi, kind, notice_doi, stands_on, relation from notices",
            "select doi, action, verdict, facet, value, reason, reviewer, made_at from decisions",
        ):
            ann, bob = (sorted(copy.rows(sql), key=repr) for copy in (self.ann, self.bob))
            assert ann == bob, sql

    def publish(self) -> None:
        """The published copy shows what the working database shows."""
        done = immutable_copy.publish(self.ann.db, self.folder / "site", decisions=self.ann.ledger, now=self.ann.clock)
        copied = done.folder / "evidence.db"
        for sql in (
            "select doi, title, authors, verdict, decided, why, same_as, conflict, notice, gone from works",
            "select doi, kind, notice_doi, stands_on, relation, undone from notices",
            "select doi, facet, value from tags",
            "select run, doi, what, before, after, verdict from changes",
            "select doi, action, verdict, reviewer from decisions",
        ):
            assert sorted(showing.rows(copied, sql), key=repr) == sorted(self.ann.rows(sql), key=repr), sql

        async def look() -> dict[str, Any]:
            return await showing.shown(copied, await showing.site_of(copied, immutable=True))

        assert asyncio.run(look()) == self.kept[self.day]

    def look_back(self) -> None:
        """At the end: every month is shown as it was shown then."""
        for day, before in self.kept.items():
            works = showing.listed(self.ann.db, day)
            boxes = showing.command(self.ann.db, "report", "prisma", "--as-of", day, "--json")
            assert works == before["works"], day
            assert {box["key"]: box["n"] for box in json.loads(boxes)} == before["boxes"], day

    # ------------------------------------------------------------------ what may be chosen

    def known(self, *, kind: str = "psychotherapy") -> list[str]:
        """Studies of this kind that Crossref has and both copies know."""
        both = self.ann.announced.news & self.bob.announced.news
        return sorted(self.kinds[kind] & self.world.records.keys() & both)

    def plain(self, *, kind: str = "psychotherapy") -> list[str]:
        """Those of them with no notice and no verdict on any record of the study, and nothing else that is one of a study's."""
        marked = {self.family[doi] for doi in self.notices.values()} | {self.family[w.doi] for w in self.given}
        return [doi for doi in self.known(kind=kind) if self.family[doi] not in marked]


# ---------------------------------------------------------------------- a year that is written down


def retracted(year: Year) -> list[tuple[Notice, str]]:
    """Retractions and their studies, in the order in which they came."""
    return [(notice, doi) for notice, doi in year.notices.items() if notice[0] == "retraction"]


def january(year: Year) -> None:
    for _ in range(4):
        year.add("therapy")
        year.add("counselling")
        year.add("other")


def february(year: Year) -> None:
    study = year.plain()
    year.edit(study[2])
    year.twin(study[3])
    year.notice(study[4], "retraction", "notice")
    year.notice(study[5], "retraction", "record")
    year.add()


def march(year: Year) -> None:
    study = year.plain()
    year.move(study[10], listed=True)
    year.vanish(study[11])
    year.preprint(study[12])
    for copy, doi, verdict in (
        (year.ann, study[13], "exclude"),
        (year.bob, study[14], "exclude"),
        (year.ann, study[15], "exclude"),
        (year.bob, study[15], "unsure"),
    ):
        year.decide(copy, doi, verdict)
    assert year.bob.decide(study[16], tags=(("outcome", "cost"),))


def april(year: Year) -> None:
    """Ann saw in March's exchange that Bob says otherwise, and decides once more."""
    disputed = year.given[2].doi
    year.decide(year.ann, disputed, "include")
    year.back(min(year.world.gone))
    year.move(year.given[0].doi, listed=False)
    year.twin(year.given[1].doi)
    for _ in range(6):
        year.add()


def may(year: Year) -> None:
    """Crossref fails for Ann all month."""
    study = year.plain()
    for _ in range(5):
        year.add()
    year.notice(study[8], "retraction", "both")
    year.edit(study[9])
    year.notice(retracted(year)[1][1], "correction", "record")


def june(year: Year) -> None:
    study = year.plain()
    year.move(study[20], listed=False)
    year.notice(study[21], "correction", "notice")
    for notice, _ in retracted(year)[:2]:  # the second study keeps its correction
        year.unsay(notice)


def july(year: Year) -> None:
    """Ann's clock is a day ahead; what she says in August corrects it."""
    study = year.plain()
    year.edit(study[0])
    year.decide(year.ann, study[25], "exclude")
    year.decide(year.bob, study[26], "include")
    year.abstract(study[30])
    year.add("therapy")


def august(year: Year) -> None:
    year.decide(year.ann, year.given[-2].doi, "include")
    study = year.plain()
    assert year.ann.decide(study[5], tags=same_work(study[6])) and year.ann.decide(study[5], untags=same_work(study[6]))
    year.twin(study[7])


def september(year: Year) -> None:
    """The rules are edited: the next judgement turns the works that only the old rules name."""
    for copy in (year.ann, year.bob):
        heads = copy.heads()
        turned = {doi for doi in year.kinds["therapy"] if heads.get(doi) == doi}
        copy.book = books()[1]
        _, changes = copy.judge()
        told = {(row["doi"], row["before"]) for row in changes.named if row["what"] == "verdict"}
        assert told == {(doi, "include") for doi in turned} and turned


def sources(name: str) -> Callable[[Year], None]:
    def change(year: Year) -> None:
        year.ann.sources = year.bob.sources = name
        year.add()
        year.vanish(year.plain()[-1])

    return change


YEAR: tuple[tuple[Callable[[Year], None], dict[str, Any]], ...] = (
    (january, {}),
    (february, {}),
    (march, {}),
    (april, {"kill_at": 9}),
    (may, {"fail_at": 3}),
    (june, {}),
    (july, {"skew": 1}),
    (august, {}),
    (september, {}),
    (sources("label"), {}),
    (sources("phrase"), {"kill_at": 4}),
    (sources("no list"), {}),
)


def play(year: Year, happens: Callable[[Year], None], *, skew: int = 0, exchange: bool = True, **sync: int) -> None:
    """One month: the world changes, both copies are synced, the ledgers exchanged, everything is looked at."""
    year.begin(skew=skew)
    happens(year)
    complete = year.harvest(year.ann, **sync)
    year.harvest(year.bob)
    first, second = (year.ann, year.bob) if year.number % 2 else (year.bob, year.ann)
    if exchange:
        year.exchange(first, second, at_once=year.number % 3 == 0)
    year.look(exchanged=exchange and complete)
    if year.number % 3 == 0:
        year.publish()


@pytest.mark.slow
def test_a_year_that_is_written_down(tmp_path: Path) -> None:
    year = Year(tmp_path, RECORDS)
    for happens, how in YEAR:
        play(year, happens, **how)
    year.look_back()
    assert len(year.kept) == 12
    happened = {what for (what,) in year.ann.rows("select what from changes")}
    assert happened == set(changes_since_last_run.KINDS), "a kind of change that no month had"
    outcomes = Counter(outcome for (outcome,) in year.ann.rows("select outcome from runs"))
    assert (outcomes["partial"], outcomes["crashed"], outcomes["running"]) == (1, 2, 0), outcomes
    assert year.kept["2026-12-28"]["boxes"]["same_work"] > 2


# ---------------------------------------------------------------------- random years


Chance = Callable[["Year", random.Random, list[str]], object]
"""What may happen, given the studies that both copies know and that have no notice."""


def decide(year: Year, dice: random.Random, dois: list[str]) -> None:
    year.decide(copy_of(year, dice), dice.choice(year.known()), dice.choice(VERDICTS[:3]))


def tag(year: Year, dice: random.Random, dois: list[str]) -> None:
    cost = (("outcome", "cost"),)
    tags, untags = dice.choice(((cost, ()), ((), cost)))
    copy_of(year, dice).decide(dice.choice(dois), tags=tags, untags=untags)


def apart(year: Year, dice: random.Random, dois: list[str]) -> None:
    if pairs := twins(year, dois):
        one, other = dice.choice(pairs)
        copy_of(year, dice).decide(one, untags=same_work(other))


def merge(year: Year, dice: random.Random, dois: list[str]) -> None:
    """One record of a study becomes an alias of another one."""
    if pairs := twins(year, dois):
        old, new = dice.choice(pairs)
        year.world.alias(old, new, listed=dice.random() < 0.5)


def other_rules(year: Year, dice: random.Random, dois: list[str]) -> None:
    for copy in (year.ann, year.bob):
        copy.book = books()[copy.book is books()[0]]
        copy.judge()


def other_sources(year: Year, dice: random.Random, dois: list[str]) -> None:
    year.ann.sources = year.bob.sources = dice.choice(sorted(SOURCES))


def notice(year: Year, dice: random.Random, dois: list[str]) -> None:
    if known := [doi for doi in year.known() if dice.random() < 0.5 or doi in year.plain()]:
        year.notice(dice.choice(known), dice.choice(KINDS), dice.choice(("notice", "record", "both")))


def unsay(year: Year, dice: random.Random, dois: list[str]) -> None:
    if standing := sorted(notice for notice, doi in year.notices.items() if doi in year.world.records):
        year.unsay(dice.choice(standing))


def vanish(year: Year, dice: random.Random, dois: list[str]) -> None:
    """Nobody has read what a record states of notices in the month in which it vanishes: only announced notices stay."""
    told = year.ann.announced.notices.keys() & year.bob.announced.notices.keys() & year.notices.keys()
    untold = {year.family[year.about[notice]] for notice in year.about.keys() - told}
    if known := [doi for doi in year.known() if year.family[doi] not in untold]:
        year.vanish(dice.choice(known))


def back(year: Year, dice: random.Random, dois: list[str]) -> None:
    if year.world.gone:
        year.back(dice.choice(sorted(year.world.gone)))


def new(year: Year, dice: random.Random, dois: list[str]) -> None:
    year.add(dice.choice(("psychotherapy", "psychotherapy", "therapy", "counselling", "other")))


def copy_of(year: Year, dice: random.Random) -> Copy:
    return dice.choice((year.ann, year.bob))


CHANCES: tuple[tuple[int, Chance], ...] = (
    (4, new),
    (2, lambda year, dice, dois: year.edit(dice.choice(year.known()))),
    (1, lambda year, dice, dois: year.twin(dice.choice(year.known()))),
    (1, lambda year, dice, dois: year.preprint(dice.choice(year.known()))),
    (2, notice),
    (1, unsay),
    (1, lambda year, dice, dois: year.move(dice.choice(dois), listed=dice.random() < 0.5)),
    (1, merge),
    (1, vanish),
    (1, back),
    (3, decide),
    (1, tag),
    (1, apart),
    (1, other_rules),
    (1, other_sources),
)
"""What may happen to Crossref or a reviewer, and how often."""


def something(year: Year, dice: random.Random) -> None:
    noticed = {year.family[doi] for doi in year.notices.values()}
    quiet = [doi for doi in year.known() if year.family[doi] not in noticed]
    if len(quiet) > 3:
        (chance,) = dice.choices([chance for _, chance in CHANCES], [weight for weight, _ in CHANCES])
        chance(year, dice, quiet)


def twins(year: Year, dois: list[str]) -> list[tuple[str, str]]:
    """The pairs of records of one study among these."""
    return [(a, b) for a in dois for b in dois if a != b and year.family[a] == year.family[b]]


def random_year(folder: Path, seed: int, *, months: int, records: int, kind: type[Year] = Year) -> Year:
    dice = random.Random(seed)
    year = kind(folder, records)
    for number in range(months):
        how: dict[str, Any] = {"exchange": dice.random() < 0.7}
        if number and dice.random() < 0.3:
            how["kill_at"] = dice.randint(1, 25)
        if number and dice.random() < 0.2:
            how["fail_at"] = dice.randint(1, 25)
        if dice.random() < 0.15:
            how["skew"] = dice.choice((-1, 1))

        def happens(year: Year, number: int = number) -> None:
            for _ in range(dice.randint(0, 12) if number else 0):
                something(year, dice)

        play(year, happens, **how)
    year.look_back()
    return year


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(SEED, SEED + max(YEARS, 1)))
def test_a_random_year(tmp_path: Path, seed: int) -> None:
    random_year(tmp_path, seed, months=12 if YEARS else 4, records=25)
