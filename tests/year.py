"""A year of a living review over a small Crossref that changes, and a small model of what must be announced of it.

`Copy` is one copy of the review: a reviewer with databases, rules, sources.yaml and a clock. `Announced` is the model: what
this copy has announced so far, from which it knows what a complete sync must announce next. `shown` reads the same numbers
from every place that shows them and compares them. The model knows nothing of the code under test but the names of the kinds
of changes."""

from __future__ import annotations

import csv
import io
import json
import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from click.testing import CliRunner
from datasette.app import Datasette

from evidence import strict_yaml
from evidence.cli import cli
from evidence.data_model import SAME_WORK, Doi, Message
from evidence.database import changes_since_last_run, read_net_change, read_queries
from evidence.database.changes_since_last_run import RunChanges
from evidence.database.connection import reading
from evidence.database.prisma_flow import read_flow, read_update
from evidence.database.read_decisions import read_ledger
from evidence.database.sql_helpers import Row
from evidence.database.writer import open_store
from evidence.errors import ConfigError
from evidence.export import changes_report
from evidence.harvest import sources
from evidence.harvest.locked_run import rejudge_database
from evidence.harvest.run_outcome import Outcome
from evidence.harvest.sync import sync
from evidence.publish import serve
from evidence.review import decisions_csv
from evidence.review.record_decision import add_decisions, import_decisions
from evidence.rules.taxonomy import Taxonomy
from tests.provider_records import FakeProvider, pubmed
from tests.world import REFERENCE_LIST, Killed, World, copy_databases, put_back

VERDICTS = ("include", "exclude", "unsure", "duplicate")
ATOM = "{http://www.w3.org/2005/Atom}"
FEED_LENGTH = 100
"""How many changes a feed holds."""

YAML = (
    REFERENCE_LIST
    + """  - id: by-name
    kind: search
    label: By name
    query: {bibliographic: interpersonal psychotherapy}
    phrases: [interpersonal psychotherap*, interpersonal therap*]
    years: 1974-
"""
)
SECOND = """
  - id: counselling
    kind: search
    label: Counselling
    query: {bibliographic: interpersonal counselling}
    phrases: [interpersonal counsel*]
    years: 1974-
"""
ASKED = ("interpersonal psychotherap", "interpersonal therap")
SOURCES: dict[str, tuple[str, tuple[str, ...]]] = {
    "as it was": (YAML, ASKED),
    "label": (YAML.replace("label: By name", "label: By its name"), ASKED),
    "phrase": (YAML.replace("therap*]", "therap*, interpersonal counsel*]"), (*ASKED, "interpersonal counsel")),
    "second search": (YAML + SECOND, (*ASKED, "interpersonal counsel")),
    "no list": (YAML[: YAML.index("  - id: list")] + YAML[YAML.index("  - id: by-name") :], ASKED),
}
"""Each sources.yaml of a year, and how the titles begin that its searches look for."""

Notice = tuple[str, str]
"""A kind of notice, and the DOI of the notice."""


def text(record: Message) -> str:
    """What readers call the content of a record."""
    return json.dumps([record["title"], record.get("author"), record["type"], record.get("issued")], sort_keys=True)


@dataclass
class Announced:
    """What one copy has announced of the world, DOI by DOI, and what it must announce now."""

    news: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    moved: set[str] = field(default_factory=set)
    content: dict[str, str] = field(default_factory=dict)
    notices: dict[Notice, str] = field(default_factory=dict)
    abstracts: set[str] = field(default_factory=set)

    def led(self, world: World) -> set[str]:
        """The known DOIs that lead to another record now, which was not announced yet."""
        return {
            d
            for d in self.news - self.moved
            if d not in world.records and d in world.aliases and world.prime(d) in world.records
        }

    def due(
        self, world: World, phrases: Iterable[str], notices: Mapping[Notice, str], led: set[str]
    ) -> dict[str, set[Any]]:
        """What a complete sync announces: DOIs new, gone, back or changed, old ones that moved (`led`), notices that came or
        went. A new DOI goes on from the state announced of the old one: if that was gone, the work is back."""
        records = world.records
        asked = {d for d, m in records.items() if any(p in m["title"][0].lower() for p in phrases)}
        taken_over = {world.prime(d): d for d in sorted(led)}
        standing = self.news - self.moved - led
        return {
            "new": asked - self.news - taken_over.keys(),
            "gone": standing - records.keys() - self.gone,
            "back": (standing & self.gone & records.keys())
            | {new for new, old in taken_over.items() if new not in self.news and old in self.gone},
            "moved": led,
            "content": {
                d
                for d in (standing | taken_over.keys()) & records.keys()
                if text(records[d]) != self.content[d if d in self.content else taken_over[d]]
            },
            "abstract": world.abstracts.keys() & (standing | asked) - self.abstracts,
            "notice": notices.keys() - self.notices.keys(),
            "notice-ended": self.notices.keys() - notices.keys(),
        }

    def take(self, world: World, rows: list[Row], notices: Mapping[Notice, str]) -> dict[str, set[Any]]:
        """Note what was announced; returns it in the form of `due`. That a new preprint shows the notices of its article is
        left out."""
        said: dict[str, set[Any]] = defaultdict(set)
        new = {row["doi"] for row in rows if row["what"] == "new"}
        for row in rows:
            what, doi = row["what"], row["doi"]
            if what in ("new", "gone", "back", "content", "abstract"):
                said[what].add(doi)
            elif what == "moved":
                said[what].add(row["before"])
                self.news.add(doi)
                self.content.setdefault(doi, self.content[row["before"]])
            elif what in ("notice", "notice-ended"):
                found = changes_since_last_run.parse_notice(row["after"] or row["before"], doi)
                notice = found.kind, found.notice_doi
                if not (doi in new and notice in self.notices):
                    said[what].add(notice)
        self.news |= said["new"]
        self.abstracts |= said["abstract"]
        self.gone = (self.gone | said["gone"]) - said["back"] - said["moved"]
        self.moved |= said["moved"]
        for doi in said["new"] | said["content"]:
            self.content[doi] = text(world.records[doi])
        for notice in said["notice"]:
            self.notices[notice] = notices.get(notice, "")
        for notice in said["notice-ended"]:
            self.notices.pop(notice, None)
        return said


@dataclass(frozen=True)
class Given:
    """A verdict that a person gave: on which DOI, and which verdicts on the work that person had seen."""

    number: int
    who: str
    doi: str
    verdict: str
    seen: frozenset[int]


class PubMed(FakeProvider):
    """PubMed in this world: it has abstracts of the studies in `world.abstracts`, under the titles that they have now."""

    def __init__(self, world: World) -> None:
        known = {doi: text for doi, text in world.abstracts.items() if doi in world.records}
        titled = {doi: world.records[doi]["title"][0] for doi in known}
        records = {doi: pubmed(doi, titled[doi], abstract=(("RESULTS", text),)) for doi, text in known.items()}
        super().__init__("pubmed", records, batch=50)


@dataclass
class Copy:
    """One copy of the review. `known` are the numbers of the verdicts that are in its ledger; `waits` are the works that are gone
    and lead to another record, which it does not know yet, with how many syncs passed since."""

    folder: Path
    who: str
    world: World
    book: Taxonomy
    sources: str = "as it was"
    skew: timedelta = timedelta(0)
    ticks: int = 0
    announced: Announced = field(default_factory=Announced)
    known: set[int] = field(default_factory=set)
    waits: Counter[str] = field(default_factory=Counter)
    open_site: Datasette | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir()

    @property
    def db(self) -> Path:
        return self.folder / "evidence.db"

    @property
    def ledger(self) -> Path:
        return self.folder / "decisions.db"

    def clock(self) -> datetime:
        self.ticks += 1
        return self.world.now + self.skew + timedelta(seconds=self.ticks % 50)

    def sync(self) -> Outcome:
        checked = sources.check(strict_yaml.parse(SOURCES[self.sources][0], "sources.yaml"))
        with open_store(self.db, self.ledger) as store:
            outcome = sync(checked, store, self.world, self.book, now=self.clock, providers=(PubMed(self.world),))
            new = store.conn.execute("select count(*) from works where first_run = ?", (outcome.run,))
            assert new.fetchone() == (outcome.written.new,)
            return outcome

    def killed_sync(self, at: int) -> bool:
        """The program is killed at its request `at`; what was on disk then is what there is. False when it ended before."""
        aside = self.folder / "aside"
        self.world.kill_at = self.world.requests + at
        self.world.before_kill = lambda: copy_databases(self.folder, aside)
        try:
            self.sync()
        except Killed:
            put_back(aside, self.folder)
            self.open_site = None  # it holds the file that was there before
            return True
        finally:
            self.world.kill_at = None
        return False

    async def site(self) -> Datasette:
        """The site over this copy, which stays open while the review goes on."""
        if self.open_site is None:
            self.open_site = await site_of(self.db)
        return self.open_site

    def judge(self) -> tuple[int, RunChanges]:
        return rejudge_database(self.db, self.ledger, self.book, self.clock)

    def decide(self, doi: str, verdict: str | None = None, **more: Any) -> bool:
        """False when there is no such work here."""
        said = (more.get("tags", ()), more.get("untags", ()), "it was read", self.who)
        try:
            add_decisions(self.db, self.ledger, self.book, self.clock, Doi(doi), verdict, *said)  # type: ignore[arg-type]
        except ConfigError:
            return False
        return True

    def exported(self) -> Path:
        """The ledger as CSV, as `decisions export` writes it."""
        file = self.folder / "ledger.csv"
        words = read_ledger(self.ledger)
        file.write_text("".join(decisions_csv.csv_lines(words)), encoding="utf-8", newline="")
        return file

    def take(self, file: Path) -> int:
        return import_decisions(self.db, self.ledger, self.book, self.clock, decisions_csv.read_csv(file))

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return rows(self.db, sql)

    def heads(self) -> dict[str, str]:
        """Each record → the one that represents its work."""
        return dict(self.rows("select doi, coalesce(same_as, doi) from works"))

    def last_run(self) -> int:
        ((run,),) = self.rows("select coalesce(max(run), 0) from runs") if self.db.exists() else ((0,),)
        return int(run)

    def changes(self, since: int) -> list[Row]:
        """The changes of the runs after `since`."""
        with reading(self.db) as conn:
            return [row for run in range(since + 1, self.last_run() + 1) for row in read_queries.changes(conn, run=run)]

    def command(self, *words: str) -> str:
        """What the command line prints."""
        return command(self.db, *words)


def rows(db: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(db)) as conn:
        return conn.execute(sql).fetchall()


def command(db: Path, *words: str) -> str:
    done = CliRunner().invoke(cli, ["--db", str(db), *words])
    assert done.exit_code == 0, (words, done.output, done.exception)
    return done.stdout


# ---------------------------------------------------------------------- what is shown, and where


def listed(db: Path, day: str | None = None) -> dict[str, tuple[str, ...]]:
    """The export of all works: DOI → verdict, title, authors, notice, gone."""
    asked = [word for verdict in VERDICTS for word in ("--verdict", verdict)]
    of_a_day = ["--as-of", day] if day else []
    lines = list(csv.DictReader(io.StringIO(command(db, "export", *asked, *of_a_day))))
    found = {
        one["doi"]: tuple(one[name] for name in ("verdict", "title", "authors", "notice", "gone")) for one in lines
    }
    assert len(found) == len(lines)
    return found


async def site_of(db: Path, *, immutable: bool = False) -> Datasette:
    files = {"immutables": [str(db)]} if immutable else {"files": [str(db)]}
    ds = Datasette(**files, config_dir=serve.site_folder())
    await ds.invoke_startup()
    return ds


async def shown(db: Path, ds: Datasette) -> dict[str, Any]:
    """The numbers of today, which are compared wherever they are shown: front page, `status`, export and PRISMA flow."""
    works = listed(db)
    verdicts = Counter(row[0] for row in works.values())
    front = await front_page(ds)
    status = json.loads(command(db, "status", "--json"))
    boxes = {box["key"]: box["n"] for box in json.loads(command(db, "report", "prisma", "--json"))}
    page = (await ds.client.get("/prisma.csv")).text
    assert {k: n for k, n in status["works"].items() if n} == {k: n for k, n in verdicts.items() if n}
    for verdict, label, box in (
        ("include", "works included", "included"),
        ("exclude", "excluded", "excluded"),
        ("unsure", "waiting for a decision", "waiting"),
    ):
        assert verdicts[verdict] == front[label] == boxes[box], verdict
        answer = await ds.client.get(f"/evidence/works.json?verdict={verdict}&_shape=array&_size=1000")
        assert {row["doi"] for row in answer.json()} == {d for d, row in works.items() if row[0] == verdict}
    assert verdicts["duplicate"] == boxes["same_work"]
    assert boxes["identified"] - boxes["removed"] == boxes["screened"]
    assert boxes["screened"] == boxes["included"] + boxes["excluded"] + boxes["waiting"]
    assert boxes["removed"] == boxes["duplicates"] + boxes["removed_otherwise"]
    assert status["waiting"] == front["waiting for a decision"]
    assert status["decisions_to_check"] == front.get("decisions to look at again", 0) == boxes["decisions_to_check"]
    noticed = Counter(row[3] for row in works.values() if row[3] and row[0] == "include")
    assert sum(noticed.values()) == front["retracted or corrected"]
    assert Counter(status["notices"]) == Counter(row[3] for row in works.values() if row[3] and row[0] in VERDICTS[::2])
    assert {gone["doi"] for gone in status["gone"]} == {d for d, row in works.items() if row[4]}
    return {"works": works, "boxes": boxes, "prisma.csv": page}


async def front_page(ds: Datasette) -> dict[str, int]:
    """The numbers of the front page by the text under them."""
    page = (await ds.client.get("/")).text
    found = re.findall(r"<li><a href=[^>]+><b>([\d,]+)</b> <span>([^<]+)</span>", page)
    return {label: int(n.replace(",", "")) for n, label in found}


def net_changes_add_up(db: Path) -> None:
    """Between any two states, what was included, what came and what left give what is included, as PRISMA counts it."""
    with reading(db) as conn:
        runs = [
            run for (run,) in conn.execute("select run from runs where outcome in ('complete', 'partial') order by run")
        ]
        counted = {run: read_flow(conn, run)["included"] for run in (0, *runs)}
        for later in runs[-3:]:
            for earlier in (0, *runs):
                found = read_net_change.net_change(conn, min(earlier, later), later)
                assert (found.before, found.now) == (counted[min(earlier, later)], counted[later])
                assert found.before + len(found.came) - len(found.left) == found.now
                both = {row["doi"] for row in found.came} & {row["doi"] for row in found.left}
                assert not both, both
                update = read_update(conn, later, min(earlier, later))
                assert (len(found.came), len(found.left)) == (update["included"], update["gone"]), (earlier, later)


async def changes_shown(db: Path, ds: Datasette, runs: Iterable[int], first_day: str) -> None:
    """The changes of these runs, all that there are since `first_day`, are the same in table, report, page and feed."""
    page, feed = (await ds.client.get("/changes")).text, (await ds.client.get("/feed.atom")).text
    with reading(db) as conn:
        by_run = {run: read_queries.changes(conn, run=run) for run in runs}
        since = read_queries.changes(conn, first_day)
        doors = dict(conn.execute("select run, door from runs where outcome in ('complete', 'partial')"))
    told = [row for found in by_run.values() for row in found]
    assert sorted(row["change"] for row in told) == sorted(row["change"] for row in since)
    said = command(db, "report", "changes", "--since", first_day)
    assert sum(line.startswith("  ") and line[2:3] != " " for line in said.splitlines()) == len(told)
    as_json = json.loads(command(db, "report", "changes", "--since", first_day, "-f", "json"))
    assert [{key: v for key, v in row.items() if key != "touches"} for row in as_json["changes"]] == since
    net_changes_add_up(db)
    included = as_json["included"]
    assert included["before"] + len(included["came"]) - len(included["left"]) == included["now"]
    assert included["now"] == as_json["flow"]["included"]["now"]
    assert included["before"] == as_json["flow"]["included"]["before"]
    for run, found in by_run.items():
        if not found and doors.get(run) == "judge":
            assert f'id="run-{run}"' not in page
        elif run in doors:
            words = changes_report.change_counts(changes_since_last_run.counts_by_kind(found))
            section = page.split(f'id="run-{run}"')[1].split("</section>")[0]
            assert f"<p>{words[:1].upper()}{words[1:]}" in section, (run, words)
    titles = [entry.findtext(f"{ATOM}title") for entry in ElementTree.fromstring(feed).findall(f"{ATOM}entry")]
    assert titles == list(entries(db))[:FEED_LENGTH]


def entries(db: Path) -> Iterator[str]:
    """The titles of the entries of a feed, the latest change first, from the table `changes` alone."""
    now = dict(rows(db, "select alias, doi from aliases where last_run is null"))
    titles = dict(rows(db, "select doi, title from works"))
    for doi, what, before, after, verdict in rows(
        db, "select doi, what, before, after, verdict from changes order by change desc"
    ):
        doi = now.get(doi, doi)
        if what != "tags" and "include" in (verdict, before) and doi in titles:
            row = {"doi": doi, "what": what, "before": before, "after": after}
            yield titles[doi] if what == "new" else f"[{changes_report.change_label(row)}] {titles[doi]}"


def same_work(doi: str) -> tuple[tuple[str, str], ...]:
    """What says that a record is another one of the work `doi`."""
    return ((SAME_WORK, doi),)
