"""Months of a review, as random as hypothesis makes them, through real syncs: what was shown in a month is what is shown of it
later, on command line and site; and a sync that changes nothing writes what it must and no more."""

from __future__ import annotations

import asyncio
import copy
import csv
import html
import io
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from datasette.app import Datasette
from hypothesis import example, given, settings
from hypothesis import strategies as st

from evidence import strict_yaml
from evidence.data_model import SAME_WORK, Doi, LookupResult, Message, RecordStatus
from evidence.database import read_queries
from evidence.database.connection import reading
from evidence.database.select_works import Selection, selected_works
from evidence.database.tag_filter import TagFilter
from evidence.database.writer import open_store
from evidence.errors import ConfigError
from evidence.export import file_formats, works_as_of_date
from evidence.export.export_works import Wanted, export_works
from evidence.harvest import sources
from evidence.harvest.locked_run import rejudge_database
from evidence.harvest.sync import sync
from evidence.publish import immutable_copy, serve
from evidence.review.record_decision import add_decisions
from evidence.rules import taxonomy, topic
from evidence.rules.taxonomy import Taxonomy
from tests import exported_files
from tests.builders import FONAGY, LIPSITZ, MARKOWITZ, SMALL_YAML, STANGIER, FakeRecordSource, message, person
from tests.edited_topic import edited, only_psychotherapy

NEW_NAME = SMALL_YAML.replace("label: By name", "label: Anew")
WITHOUT_SEARCH = SMALL_YAML[: SMALL_YAML.index("  - id: by-name")]
ANOTHER_KIND = SMALL_YAML.replace("id: article", "id: by-another").replace("id: by-name", "id: article")
SOURCES = {"as it was": SMALL_YAML, "renamed": NEW_NAME, "no search": WITHOUT_SEARCH, "other kinds": ANOTHER_KIND}

TITLES = (
    "Interpersonal psychotherapy for grief: a trial",
    "Interpersonal psychotherapy in schools",
    "Interpersonal psychotherapy for bulimia nervosa compared with waiting",
    "Interpersonal therapy and the interpersonal circumplex",
)
POOL = tuple(
    message(f"10.5555/new{n}", title, 2010 + n, author=[person("Doe", "Jane"), person("Roe", f"R{n}")], page=f"{n}-9",
            volume=str(n), **{"container-title": ["A Journal"]})
    for n, title in enumerate(TITLES)
)  # fmt: skip
OLD = (LIPSITZ, FONAGY, MARKOWITZ, STANGIER)
KNOWN = tuple(str(m["DOI"]) for m in (*OLD, *POOL))
NOT_OF_THEN = ("cited_by", "why", "reasons", "url")
"""What an export of a past day has of today, or of the record alone: counts, reasons and words."""


RETRACTION = {"type": "retraction", "DOI": "10.5555/notice", "source": "publisher", "updated": {"date-parts": [[2026]]}}
EDITS: dict[str, Callable[..., Message]] = {
    "text": lambda m, title: {**m, "title": [title], "abstract": f"<p>About {title}.</p>"},
    "authors": lambda m: {**m, "author": [person("Poe", "Edgar")]},
    "unreadable": lambda m: {**m, "author": "no list"},
    "retracted": lambda m: {**m, "updated-by": [RETRACTION]},
    "reinstated": lambda m: {key: value for key, value in m.items() if key != "updated-by"},
}
"""The things that can happen to a record."""


class OldRecords(FakeRecordSource):
    """A Crossref that can stop the run after a number of requests."""

    patience: int | None = None

    def _one(self) -> None:
        if self.patience is not None:
            self.patience -= 1
            if self.patience < 0:
                raise KeyboardInterrupt

    def lookup(self, dois: Any, since: str | None = None) -> Iterator[tuple[LookupResult, ...]]:
        self._one()
        yield from super().lookup(dois, since)

    def check(self, dois: Any) -> Iterator[tuple[RecordStatus, ...]]:
        self._one()
        yield from super().check(dois)

    def scan(self, *args: Any, **options: Any) -> Any:
        self._one()
        return super().scan(*args, **options)


@dataclass
class World:
    """A review and a Crossref, month by month; each step changes one of them."""

    folder: Path
    books: tuple[Taxonomy, ...]
    crossref: OldRecords = field(default_factory=lambda: OldRecords([copy.deepcopy(m) for m in OLD]))
    sources: str = "as it was"
    rules: int = 0
    now: datetime = datetime(2026, 1, 2, tzinfo=UTC)

    @property
    def db(self) -> Path:
        return self.folder / "evidence.db"

    @property
    def book(self) -> Taxonomy:
        return self.books[self.rules]

    def clock(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now

    def put(self, record: Message) -> None:
        stamp = (self.now - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.crossref.messages[Doi(record["DOI"])] = {**record, "indexed": {"date-time": stamp}}

    def edit(self, doi: str, change: Callable[[Message], Message]) -> None:
        if (record := self.crossref.messages.get(Doi(doi))) is not None:
            self.put(change(copy.deepcopy(record)))

    def sync(self, *, full: bool = False, kill_after: int | None = None) -> None:
        settings = sources.check(strict_yaml.parse(SOURCES[self.sources], "s.yaml"))
        self.crossref.patience = kill_after
        with open_store(self.db) as store:
            try:
                sync(settings, store, self.crossref, self.book, now=self.clock, full=full)
            except KeyboardInterrupt:
                # As after kill -9: nobody had written how the run ended.
                store.conn.execute("update runs set outcome = 'running' where run = (select max(run) from runs)")
                store.conn.commit()
        self.crossref.patience = None

    def decide(
        self, doi: str, verdict: Any, reviewer: str, tags: tuple[tuple[str, str], ...] = (), *, apart: bool = False
    ) -> None:
        said, unsaid = ((), tags) if apart else (tags, ())
        ledger = self.folder / "decisions.db"
        try:
            add_decisions(self.db, ledger, self.book, self.clock, Doi(doi), verdict, said, unsaid, "read", reviewer)
        except ConfigError:
            return  # no such work yet, or no more

    def twin(self, doi: str) -> None:
        if (record := self.crossref.messages.get(Doi(doi))) is not None:
            self.put({**copy.deepcopy(record), "DOI": "10.5555/twin", "container-title": ["Preprints"]})

    def move(self, doi: str, to: str) -> None:
        if doi != to and not {doi, to} & self.crossref.aliases.keys():
            self.crossref.aliases[doi] = to

    def happen(self, what: tuple[Any, ...]) -> None:
        name, *facts = what
        doi = facts[0] if facts else ""
        if name in EDITS:
            self.edit(doi, lambda m: EDITS[name](m, *facts[1:]))
        elif name == "new":
            self.put(POOL[facts[0]])
        elif name == "twin":
            self.twin(doi)
        elif name == "gone":
            self.crossref.messages.pop(Doi(doi), None)
        elif name == "moves":
            self.move(doi, facts[1])
        elif name == "moves back":
            self.crossref.aliases.pop(Doi(doi), None)
        elif name == "decide":
            self.decide(doi, facts[1], facts[2])
        elif name == "same":
            self.decide(doi, None, "Ann", ((SAME_WORK, facts[1]),), apart=facts[2])
        elif name == "sources":
            self.sources = doi
        elif name == "rules":
            self.rules = 1 - self.rules
            rejudge_database(self.db, self.folder / "decisions.db", self.book, self.clock)
        elif name == "killed":
            self.sync(kill_after=facts[0])
        else:
            self.sync(full=name == "full sync")


works = st.sampled_from((*KNOWN, "10.5555/twin"))
step = st.one_of(
    st.tuples(st.just("new"), st.integers(0, len(POOL) - 1)),
    st.tuples(st.just("text"), works, st.sampled_from([*TITLES, "Malaria in infants"])),
    st.tuples(
        st.sampled_from(["authors", "unreadable", "retracted", "reinstated", "twin", "gone", "moves back"]), works
    ),
    st.tuples(st.just("moves"), works, works),
    st.tuples(
        st.just("decide"), works, st.sampled_from(["include", "exclude", "unsure"]), st.sampled_from(["Ann", "Bob"])
    ),
    st.tuples(st.just("same"), works, works, st.booleans()),
    st.tuples(st.just("sources"), st.sampled_from(sorted(SOURCES))),
    st.tuples(st.just("rules")),
    st.tuples(st.just("killed"), st.integers(0, 6)),
    st.tuples(st.sampled_from(["sync", "full sync"])),
)
HISTORY = st.lists(st.lists(step, max_size=5), min_size=2, max_size=5)
YEAR: list[list[tuple[Any, ...]]] = [
    [],
    [("new", 0), ("sync",), ("decide", STANGIER["DOI"], "exclude", "Ann"), ("twin", MARKOWITZ["DOI"])],
    [("sync",), ("same", "10.5555/twin", MARKOWITZ["DOI"], False), ("retracted", "10.5555/new0"), ("new", 1), ("killed", 4)],
    [("sync",), ("rules",), ("text", LIPSITZ["DOI"], "Malaria in infants")],
    [("sources", "other kinds"), ("gone", STANGIER["DOI"]), ("moves", MARKOWITZ["DOI"], "10.5555/new1"), ("sync",)],
    [("reinstated", "10.5555/new0"), ("sources", "no search"), ("unreadable", "10.5555/new1"), ("full sync",)],
    [("moves back", MARKOWITZ["DOI"]), ("rules",), ("sources", "renamed"), ("sync",), ("decide", KNOWN[1], "unsure", "Bob")],
]  # fmt: skip


def exported(db: Path, day: str | None) -> dict[str, dict[str, str]]:
    """The columns of the CSV that have a history, by DOI."""
    selection = Selection(("include", "exclude", "unsure", "duplicate"))
    with reading(db) as conn:
        rows = works_as_of_date.selected_as_of(conn, selection, day) if day else selected_works(conn, selection)
        text = "".join(file_formats.csv_rows(rows, file_formats.Layout(past=day is not None)))
        same = dict(conn.execute("select doi, coalesce(same_as, '') from works").fetchall())
    leave = {"as_of", "likely_tags", "implied_tags", *NOT_OF_THEN, *topic.load().facet_ids}
    found = {}
    for row in csv.DictReader(io.StringIO(text)):
        found[row["doi"]] = {
            key: said
            for key, said in row.items()
            if key not in leave and not key.startswith("asked_") and not key.endswith("_today")
        }
        if day is None:
            found[row["doi"]]["same_as"] = same[row["doi"]]
    return found


async def flow_on_site(ds: Datasette, day: str | None) -> tuple[str, dict[str, int], dict[str, Any]]:
    """The flow as CSV, the length of each list that its page links to, and the records of the lists of verdicts."""
    query = f"?as_of={day}" if day else ""
    page = (await ds.client.get(f"/prisma{query}")).text
    lists, records = {}, {}
    for address, n in re.findall(r'<a href="([^"]+)">([\d,]+)</a>', page):
        path, _, filters = html.unescape(address).partition("?")
        answer = (
            await ds.client.get(f"{path}.json?{'' if path == '/past' else '_shape=objects&_size=1000&'}{filters}")
        ).json()
        assert len(answer["rows"]) == int(n), (day, address)
    for key in ("include", "exclude", "unsure", "duplicate"):
        if day:
            rows = (await ds.client.get(f"/past.json?as_of={day}&verdict={key}")).json()["rows"]
        else:
            rows = (await ds.client.get(f"/evidence/works.json?verdict={key}&_shape=array&_size=1000")).json()
        columns = ("doi", "title", "authors", "container", "year", "verdict", "decided", "same_as", "notice", "gone")
        records[key] = sorted([row[name] for name in columns] for row in rows)
    for label, n in re.findall(r">([^<>]+) \(n = (?:<a [^>]*>)?([\d,]+)", page):
        if label not in ("randomised trials", "systematic reviews and meta-analyses"):
            lists[label] = int(n)
    return (await ds.client.get(f"/prisma.csv{query}")).text, lists, records


async def shown(db: Path, day: str | None) -> dict[str, Any]:
    with reading(db) as conn:
        found = read_queries.flow(conn, day)
    ds = Datasette([str(db)], config_dir=serve.site_folder())
    await ds.invoke_startup()
    table, lists, records = await flow_on_site(ds, day)
    return {"boxes": found.boxes, "sources": found.sources, "excluded": found.excluded, "csv": table, "lists": lists,
            "records": records, "export": exported(db, day)}  # fmt: skip


@cache
def books() -> tuple[Taxonomy, ...]:
    """The shipped rules, and narrower ones."""
    with TemporaryDirectory() as folder:
        narrower = edited(Path(folder) / "rules", screen=only_psychotherapy)
    return taxonomy.load(), narrower


@pytest.mark.slow
@settings(max_examples=8, deadline=None)
@given(HISTORY)
@example(YEAR)
def test_a_past_month_is_shown_later_as_it_was_shown_then(history: list[list[tuple[Any, ...]]]) -> None:
    with TemporaryDirectory() as folder:
        world = World(Path(folder), books())
        world.sync()
        kept: dict[str, dict[str, Any]] = {}
        for number, steps in enumerate(history, start=1):
            world.now = datetime(2026, number, 2, tzinfo=UTC)
            for what in steps:
                world.happen(what)
            kept[f"2026-{number:02d}-28"] = asyncio.run(shown(world.db, None))
        for day, before in kept.items():
            then = asyncio.run(shown(world.db, day))
            for part, said in before.items():
                assert then[part] == said, (day, part)
        assert exported(world.db, "2025-12-31") == {}


# ---------------------------------------------------------------- the command line, copies, upgrades


@pytest.fixture
def two_months(tmp_path: Path) -> World:
    """In January a trial of grief; in February its record mentions schools, it is retracted, and a reviewer excludes it."""
    world = World(tmp_path, books())
    world.put(POOL[0])
    world.sync()
    world.now = datetime(2026, 2, 2, tzinfo=UTC)
    world.happen(("text", POOL[0]["DOI"], TITLES[1]))
    world.happen(("retracted", POOL[0]["DOI"]))
    world.sync()
    world.decide(POOL[0]["DOI"], "exclude", "Ann")
    return world


def dois(world: World, day: str, **wanted: Any) -> list[str]:
    with reading(world.db) as conn:
        return [row["doi"] for row in works_as_of_date.selected_as_of(conn, Selection(**wanted), day)]


def test_a_record_is_exported_as_it_was(two_months: World) -> None:
    doi = POOL[0]["DOI"]
    with reading(two_months.db) as conn:
        rows = {row["doi"]: row for row in works_as_of_date.selected_as_of(conn, Selection(), "2026-01-31")}
    then = rows[doi]
    assert (then["title"], then["abstract"], then["authors"]) == (TITLES[0], None, "Doe J, Roe R0")
    assert (then["notice"], then["notice_details"], then["judged_on"]) == (None, None, "title")
    assert then["reasons"] is None  # the words of today stand in another title
    assert then["sources"] == ("by-name",)
    assert rows[MARKOWITZ["DOI"]]["reasons"]
    assert rows[MARKOWITZ["DOI"]]["why"].startswith("Included")
    now = exported(two_months.db, "2026-02-28")[doi]
    assert (now["title"], now["verdict"], now["decided"], now["notice"]) == (
        TITLES[1],
        "exclude",
        "person",
        "retraction",
    )


def test_full_text_and_changes_are_those_of_the_past_date(two_months: World) -> None:
    doi = POOL[0]["DOI"]
    everything = ("include", "exclude", "unsure")
    assert dois(two_months, "2026-01-31", text="grief") == [doi]
    assert dois(two_months, "2026-01-31", text="schools") == []
    assert dois(two_months, "2026-02-28", text="schools", verdicts=everything) == [doi]
    assert dois(two_months, "2026-02-28", since="2026-02-01", verdicts=everything) == [doi]
    assert dois(two_months, "2026-01-31", since="2026-02-01", verdicts=everything) == []
    assert len(dois(two_months, "2026-01-31", since="2026-01-01")) == 5
    assert dois(two_months, "2026-01-01") == []
    design = (TagFilter("design", ("rct",)),)
    assert FONAGY["DOI"] in dois(two_months, "2026-01-31", tags=design)


@pytest.mark.parametrize("format_", sorted(name for name, form in file_formats.FORMATS.items() if form.past))
def test_every_format_names_the_date(two_months: World, tmp_path: Path, format_: str) -> None:
    out = tmp_path / "out"
    chosen = Selection(("include", "exclude", "unsure", "duplicate"))
    if format_ == "parquet":
        exported_files.needs("pyarrow")
    done = export_works(two_months.db, chosen, Wanted(format_, as_of="2026-01-31"), out)
    text = exported_files.text_of(format_, out.read_bytes())
    assert (done.works, done.abstracts_left_out) == (5, 0)
    if format_ == "xlsx":
        assert [row["as_of"] for row in exported_files.sheet(out.read_bytes())] == ["2026-01-31"] * 5
    elif format_ in ("jsonl", "parquet"):
        assert text.count('"as_of"') == text.count("2026-01-31") == 5 and "design_today" in text
    elif format_ == "csv":
        rows = list(csv.DictReader(io.StringIO(text)))
        assert {row["as_of"] for row in rows} == {"2026-01-31"}
        assert list(rows[0]) == [column.name for column in file_formats.columns(past=True)]
        assert {"design_today", "reasons_today", "same_as"} <= set(rows[0])
        assert "design" not in rows[0]
    elif format_ != "asreview":
        assert text.count("As of the end of 2026-01-31") == 5
    assert "schools" not in text


async def test_annotations_are_of_today_alone(two_months: World, tmp_path: Path) -> None:
    """Their positions are in the text of today."""
    with pytest.raises(ConfigError, match="--as-of is not for --format annotations"):
        export_works(two_months.db, Selection(), Wanted("annotations", as_of="2026-01-31"), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    ds = Datasette([str(two_months.db)], config_dir=serve.site_folder())
    await ds.invoke_startup()
    assert (await ds.client.get("/past/annotations?as_of=2026-01-31")).status_code == 404
    page = (await ds.client.get("/past?as_of=2026-01-31")).text
    assert "/past/jsonld" in page and "/past/annotations" not in page
    assert (await ds.client.get("/past/jsonld?as_of=2026-01-31")).json()["@graph"]


@pytest.mark.slow
async def test_a_published_copy_shows_past_verdicts_with_the_titles_of_today(two_months: World, tmp_path: Path) -> None:
    done = immutable_copy.publish(two_months.db, tmp_path / "site", now=two_months.clock)
    (copy_,) = done.folder.rglob("evidence.db")
    ds = Datasette([], immutables=[str(copy_)], config_dir=serve.site_folder())
    await ds.invoke_startup()
    rows = (await ds.client.get("/past.json?as_of=2026-01-31&verdict=include")).json()["rows"]
    assert {row["doi"]: row["title"] for row in rows}[POOL[0]["DOI"]] == TITLES[1]
    assert len(rows) == 5
    assert (await ds.client.get("/past?as_of=2026-01-31")).status_code == 200


def test_after_an_upgrade_todays_verdicts_stand_in_for_earlier_ones(two_months: World) -> None:
    with closing(sqlite3.connect(two_months.db)) as conn, conn:
        for (name,) in conn.execute("select name from sqlite_master where type = 'view'").fetchall():
            conn.execute(f"drop view {name}")
        conn.execute("drop trigger sightings_stand_again")
        for table in ("notice_history", "source_history", "sighting_gaps"):
            conn.execute(f"drop table {table}")
        conn.execute("update sources set retired = 2 where source = 'by-name'")
        conn.execute("delete from _sqlite_migrations where name = 'm011_as_of'")
    open_store(two_months.db).close()
    with closing(sqlite3.connect(two_months.db)) as conn, conn:
        conn.execute("alter table notice_history add column notice_id text")  # as later migrations do
        conn.execute("alter table source_history add column method text")
    assert exported(two_months.db, "2026-01-31")[POOL[0]["DOI"]]["notice"] == "retraction"
    with reading(two_months.db) as conn:
        for day, retired in (("2026-01-31", 0), ("2026-02-28", 1)):
            sources = {source["source"]: source["retired"] for source in read_queries.flow(conn, day).sources}
            assert sources == {"by-name": retired, "article": 0}
        noted = conn.execute("select count(*) from notice_history where noted is not null").fetchone()
    assert noted == (1,)


# ---------------------------------------------------------------- a sync that changes nothing


PAGE_TABLES = {"runs", "requests", "requests_run", "requests_source", "sources"}
"""The log of runs and requests, which PRISMA-S needs, and the bookmarks of the sources."""


def pages_of(db: Path) -> list[bytes]:
    size = 4096
    text = db.read_bytes()
    return [text[start : start + size] for start in range(0, len(text), size)]


@pytest.mark.slow
def test_a_sync_without_changes_writes_no_page_of_the_works(tmp_path: Path) -> None:
    world = World(tmp_path, books())
    for _ in range(3):
        world.sync()
    log = Path(f"{world.db}-wal")
    with closing(sqlite3.connect(f"file:{world.db}?mode=ro", uri=True)) as reader:
        if not reader.execute(
            "select 1 from pragma_compile_options where compile_options = 'ENABLE_DBSTAT_VTAB'"
        ).fetchone():
            pytest.skip("this SQLite cannot say which table a page is of")
        before, sizes = pages_of(world.db), [world.db.stat().st_size]
        first = sizes[0]
        for _ in range(50):
            world.now += timedelta(days=1)
            reader.execute("select count(*) from works").fetchall()
            world.sync()
            reader.execute("select count(*) from works").fetchall()
            assert log.stat().st_size == 0
            sizes.append(world.db.stat().st_size)
        owners = dict(reader.execute("select pageno, name from dbstat").fetchall())
        after = pages_of(world.db)
        # Pages of the log that became full are new ones; all others are as they were, but for the header's counters.
        changed = {owners[n] for n, page in enumerate(after, 1) if n > len(before) or before[n - 1] != page} - {
            "sqlite_schema"
        }
        assert changed <= PAGE_TABLES
        assert reader.execute("select count(*) from runs").fetchone() == (53,)
    assert max(later - earlier for earlier, later in pairwise(sizes)) <= 3 * 4096
    assert sizes[-1] - first <= 50 * 1500


@pytest.mark.slow
def test_a_sync_without_changes_writes_little_while_a_reader_is_open(tmp_path: Path) -> None:
    """SQLite cannot shorten the log while a reader needs it, so the log grows, but by a few pages and not by 0.1 MB."""
    world = World(tmp_path, books())
    for _ in range(2):
        world.sync()
    with closing(sqlite3.connect(f"file:{world.db}?mode=ro", uri=True)) as reader:
        reading = reader.execute("select doi from works")
        reading.fetchone()
        for _ in range(5):
            world.sync()
        assert Path(f"{world.db}-wal").stat().st_size <= 5 * 10 * 4200
        reading.close()
