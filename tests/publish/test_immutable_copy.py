"""Publishing: what the copy contains and leaves out, its server, and the switch to a new version while it serves."""

from __future__ import annotations

import csv
import http.client
import http.server
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from datasette.app import Datasette
from filelock import FileLock
from hypothesis import given, settings
from hypothesis import strategies as st

import evidence
from evidence.database import schema, writer
from evidence.database.values_for_writer import NewVersion
from evidence.errors import BusyError, ConfigError, EvidenceError, StoreError
from evidence.publish import immutable_copy, precomputed_counts, serve
from evidence.publish.immutable_copy import Published
from evidence.rules import topic
from tests import site_sample

MOMENT = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
RAW = "words-of-a-raw-record"
REVIEWER = "R. Eviewer"
WORK = "/evidence/works/10~2E1002~2Fcpp~2E1774"
REPO = Path(__file__).parents[2]


def at_noon() -> datetime:
    return MOMENT


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return make(tmp_path / "work")


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Published]:
    """A database and its published copy, for tests that only read."""
    place = tmp_path_factory.mktemp("known")
    path = make(place / "work")
    before = path.read_bytes()
    done = immutable_copy.publish(path, place / "site", now=at_noon)
    assert path.read_bytes() == before, "the working database is as it was"
    return path, done


def make(folder: Path) -> Path:
    """The sample in WAL mode, with raw records, a reject, decisions, and gaps in the rowids."""
    folder.mkdir()
    path = site_sample.make_sample(folder / "evidence.db")
    with writing(path) as conn:
        conn.execute("pragma journal_mode = wal")
        conn.execute("update works set rowid = rowid + 1000 where rowid > 4")
        conn.execute("insert into works_fts (works_fts) values ('rebuild')")
        conn.execute("update snapshots set message = json_object('DOI', doi, 'abstract', ?)", (RAW * 100,))
        conn.execute(
            "insert into rejects (digest, doi, source, reason, message, first_run) values ('d', null, null, 'no DOI', ?, 1)",
            (json.dumps({"title": RAW}),),
        )
        conn.execute(
            "update works set decided = 'person', why = ? where doi = '10.1002/jclp.21857'",
            (f"{REVIEWER} decided this on 2026-11-20: off topic, {REVIEWER} read the whole text.",),
        )
        conn.execute(
            "insert into duplicates (doi, other, verdict, decided, reason) values "
            "('10.1002/cpp.1774', '10.1002/jclp.21857', 'apart', 'person', ?)",
            (f"{REVIEWER}: two reviews, says {REVIEWER}",),
        )
        conn.execute("update works set conflict = ? where doi = '10.1002/cpp.1774'", (f"{REVIEWER} disagrees.",))
        conn.execute(
            "insert into changes (run, doi, what, after) values (2, '10.1002/cpp.1774', 'reopened', ?)",
            (f"{REVIEWER} disagrees.",),
        )
        conn.execute(
            "insert into decisions (doi, action, verdict, reason, reviewer, made_at) "
            "values ('10.1002/jclp.21857', 'verdict', 'exclude', ?, ?, '2026-11-20T12:00:00Z')",
            (f"off topic, {REVIEWER} read the whole text", REVIEWER),
        )
    return path


@contextmanager
def writing(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path)) as conn, conn:
        yield conn


def rows(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as conn:
        return conn.execute(sql).fetchall()


def bytes_below(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


# ---------------------------------------------------------------------- what is in the copy


def test_the_copy_has_the_rows_of_the_database(known: tuple[Path, Published]) -> None:
    """Every table and view has its rows, except for the columns that are left out."""
    db, done = known
    copy = done.folder / "evidence.db"
    left_out = {table for table, _ in immutable_copy.LEFT_OUT}
    for table in (*schema.RECORD_TABLES, *schema.DERIVED_TABLES, *schema.views(topic.load()), "_sqlite_migrations"):
        sql = f"select * from {table}"
        if table in immutable_copy.NOT_COPIED:
            assert rows(copy, sql) == [], table
            continue
        if table in left_out:
            sql = f"select {'subject' if table == 'provider_records' else 'doi'}, first_run from {table}"
        assert sorted(rows(copy, sql), key=repr) == sorted(rows(db, sql), key=repr), table
    assert done.works == len(site_sample.WORKS)
    assert done.size == copy.stat().st_size
    structure = "select type, name, sql from sqlite_master where name not like 'sqlite_%' order by 1, 2"
    answers = {
        *map(precomputed_counts.table_of, precomputed_counts.ANSWERED),
        *precomputed_counts.TABLES,
    }
    added = [("index", name, f"CREATE INDEX {name} on {columns}") for name, columns in immutable_copy.INDEXES.items()]
    kept = [row for row in rows(db, structure) if row[1] not in precomputed_counts.VIEWS and row[0] != "trigger"]
    found = [row for row in rows(copy, structure) if row[1] not in {*answers, *precomputed_counts.VIEWS}]
    assert found == sorted([*kept, *added], key=lambda row: (str(row[0]), str(row[1])))
    names = {name for _, name, _ in rows(copy, structure)}
    assert {*answers, *precomputed_counts.VIEWS} <= names


def test_the_copy_is_compact_analysed_and_intact(known: tuple[Path, Published]) -> None:
    _, done = known
    copy = done.folder / "evidence.db"
    assert rows(copy, "pragma journal_mode") == [("delete",)]
    assert rows(copy, "pragma freelist_count") == [(0,)]
    assert rows(copy, "pragma integrity_check") == [("ok",)]
    assert rows(copy, "pragma foreign_key_check") == []
    assert rows(copy, "pragma application_id") == [(schema.APPLICATION_ID,)]
    assert {"works", "tags"} <= {name for (name,) in rows(copy, "select tbl from sqlite_stat1")}
    counts = json.loads((copy.parent / "inspect.json").read_text())["evidence"]["tables"]
    assert counts["works"]["count"] == len(site_sample.WORKS)
    assert sorted(path.name for path in copy.parent.glob("evidence.*")) == ["evidence.db"]


def test_full_text_finds_the_same_works(known: tuple[Path, Published]) -> None:
    db, done = known
    copy = done.folder / "evidence.db"
    for words in ("grief", "metacognitive", "therapies", "Weissman"):
        sql = f"""
            select w.doi from works w where w.rowid in (select rowid from works_fts where works_fts match '{words}')
            order by 1
        """
        assert rows(copy, sql) == rows(db, sql) != []


def test_raw_records_are_not_published(known: tuple[Path, Published]) -> None:
    """They are neither in the tables nor anywhere else in the folder."""
    db, done = known
    assert RAW.encode() in bytes_below(db.parent)
    copy = done.folder / "evidence.db"
    assert rows(copy, "select count(*) from snapshots where message <> json_object('DOI', doi)") == [(0,)]
    assert rows(copy, "select distinct message from rejects") == [("{}",)]
    assert RAW.encode() not in bytes_below(done.folder)


@pytest.mark.slow
def test_a_table_of_another_tool_is_not_published(db: Path, tmp_path: Path) -> None:
    with writing(db) as conn:
        conn.execute("create table plugin_notes (note text)")
        conn.execute("insert into plugin_notes values ('a note to ourselves')")
        conn.execute("create index plugin_notes_note on plugin_notes (note)")
        conn.execute('create table "odd name" (note text)')
        conn.execute("create virtual table plugin_search using fts5 (note)")
        conn.execute("insert into plugin_search values ('a note to ourselves')")
    copy = immutable_copy.publish(db, tmp_path / "site", now=at_noon).folder / "evidence.db"
    assert b"a note to ourselves" not in copy.read_bytes()
    names = {str(name) for (name,) in rows(copy, "select name from sqlite_master where type = 'table'")}
    public = {*schema.RECORD_TABLES, *schema.DERIVED_TABLES, *schema.WORKING_TABLES, *immutable_copy.OWN_TABLES}
    others = {name for name in names - public if not name.startswith(("sqlite_", "works_fts_"))}
    assert [name for name in others if not name.startswith("published_")] == []  # what publishing itself adds


@pytest.mark.slow
def test_reviewers_are_hidden_if_asked(db: Path, tmp_path: Path) -> None:
    named = immutable_copy.publish(db, tmp_path / "named", now=at_noon).folder
    assert REVIEWER.encode() in bytes_below(named)
    hidden = immutable_copy.publish(db, tmp_path / "hidden", reviewers="hidden", now=at_noon).folder
    assert REVIEWER.encode() not in bytes_below(hidden)
    ((why,),) = rows(hidden / "evidence.db", "select why from works where decided = 'person'")
    assert why == "A reviewer decided this on 2026-11-20: off topic, a reviewer read the whole text."
    told = """
        select reason from duplicates where decided = 'person'
        union all select conflict from works where conflict is not null
    """
    assert rows(hidden / "evidence.db", told) == [
        ("A reviewer: two reviews, says a reviewer",),
        ("The decisions on this work need a second look.",),
    ]
    assert rows(hidden / "evidence.db", "select verdict, reviewer, reason from decisions") == [
        ("exclude", "A reviewer", "off topic, a reviewer read the whole text")
    ]
    ruled = "select doi, why from works where decided = 'rule' order by 1"
    assert rows(hidden / "evidence.db", ruled) == rows(db, ruled)


@pytest.mark.slow
def test_published_copies_carry_the_versions_and_hide_who_made_them_if_asked(db: Path, tmp_path: Path) -> None:
    with writer.open_store(db) as store:
        for name in ("1", "2"):
            store.add_version(
                NewVersion(
                    name, 1, "2026-11-21T00:00:00Z", REVIEWER, f"for {REVIEWER}", "ipt", "r", "0", 1, "d", 1, 1, 1
                )
            )
    named = immutable_copy.publish(db, tmp_path / "named", now=at_noon).folder / "evidence.db"
    hidden = immutable_copy.publish(db, tmp_path / "hidden", reviewers="hidden", now=at_noon).folder
    for table in ("versions", "version_tags"):
        assert rows(named, f"select * from {table}") == rows(db, f"select * from {table}") != []
    assert rows(hidden / "evidence.db", "select name, run, made_by, note from versions") == [
        ("1", 1, "A reviewer", "for a reviewer"),
        ("2", 1, "A reviewer", "for a reviewer"),
    ]
    assert REVIEWER.encode() not in bytes_below(hidden)


@pytest.mark.slow
def test_names_of_reviewers_with_withdrawn_decisions_are_hidden_too(db: Path, tmp_path: Path) -> None:
    """A reviewer whose verdict was withdrawn is named only in the reason of another; the decisions database is not published."""
    ledger = tmp_path / "decisions.db"
    with writer.open_store(tmp_path / "any.db", ledger):
        pass
    with writing(ledger) as conn:
        conn.execute(
            "insert into decisions (doi, action, verdict, reason, reviewer, made_at) "
            "values ('10.1002/jclp.21857', 'verdict', 'include', 'x', 'S. Econd', '2026-11-19')"
        )
    with writing(db) as conn:
        conn.execute(
            "update works set why = 'R. Eviewer decided this on 2026-11-20: against S. Econd.' where decided = 'person'"
        )
    folder = immutable_copy.publish(db, tmp_path / "site", decisions=ledger, reviewers="hidden", now=at_noon).folder
    assert b"Econd" not in bytes_below(folder)
    assert not list(folder.rglob("decisions.db"))


@given(name=st.text(min_size=1, max_size=12), reason=st.text(max_size=40))
@settings(max_examples=60)
def test_no_signature_is_published(name: str, reason: str) -> None:
    """The text before the date is removed, whatever the name; a sentence of another form is replaced as a whole."""
    said = immutable_copy._without_signature(
        immutable_copy._SIGNED, f"{name} decided this on 2026-11-20: {reason}.", []
    )
    assert said.startswith("A reviewer decided this on 2026-11-20: ")
    assert (
        immutable_copy._without_signature(immutable_copy._SIGNED, f"{name} wrote {reason}", [])
        == "A reviewer decided this."
    )


@pytest.mark.slow
def test_the_contact_address_is_not_published(db: Path, tmp_path: Path) -> None:
    sources = tmp_path / "sources.yaml"
    text = (REPO / "sources.yaml").read_text(encoding="utf-8")
    sources.write_text(f"# a note to ourselves\ncontact: {'librarian@' + 'ipt-review.net'}\n{text}", encoding="utf-8")
    done = immutable_copy.publish(db, tmp_path / "site", sources=sources, now=at_noon)
    everything = bytes_below(done.folder)
    assert b"librarian@" not in everything and b"a note to ourselves" not in everything
    assert (done.folder / "sources.yaml").exists()
    with pytest.raises(ConfigError, match="sources"):
        immutable_copy.publish(db, tmp_path / "site", sources=tmp_path / "no-sources.yaml", now=at_noon)


@pytest.mark.slow
def test_a_running_sync_need_not_wait(db: Path, tmp_path: Path) -> None:
    """The copy has what is committed and names the unfinished run; neither process waits for the other."""
    with closing(sqlite3.connect(db, timeout=0)) as conn:
        conn.execute(
            "insert into runs (run, started, outcome, door, version) values (9, 'now', 'running', 'crossref', '0')"
        )
        conn.commit()
        conn.execute("begin immediate")
        conn.execute("update works set title = 'half a page'")
        done = immutable_copy.publish(db, tmp_path / "site", now=at_noon)
        conn.commit()
    assert done.unfinished == 9
    assert rows(done.folder / "evidence.db", "select count(*) from works where title = 'half a page'") == [(0,)]
    assert rows(db, "select count(distinct title) from works") == [(1,)]


async def test_lists_have_every_row_with_the_added_indexes(known: tuple[Path, Published]) -> None:
    """Page by page in either direction, ordered by indexed columns with many equal values."""
    db, done = known
    copy = done.folder / "evidence.db"
    ds = Datasette([], immutables=[str(copy)], config_dir=serve.site_folder())
    await ds.invoke_startup()
    for order in (
        "_sort=year",
        "_sort_desc=year",
        "_sort=verdict",
        "_sort_desc=first_run",
        "_sort=notice&verdict=include",
    ):
        address: str | None = f"/evidence/works.json?_size=2&_shape=objects&_col=doi&{order}"
        met: list[str] = []
        while address:
            page = (await ds.client.get(address)).json()
            met += [row["doi"] for row in page["rows"]]
            following = urlsplit(page["next_url"] or "")
            address = f"{following.path}?{following.query}" if following.path else None
        wanted = "where verdict = 'include'" if "include" in order else ""
        assert sorted(met) == [doi for (doi,) in rows(db, f"select doi from works {wanted} order by doi")], order


# ---------------------------------------------------------------------- versions


@pytest.mark.slow
def test_all_old_versions_but_one_are_deleted(db: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    done = [immutable_copy.publish(db, site, now=at_noon) for _ in range(3)]
    names = [found.folder.name for found in done]
    assert names == ["20261124T120000Z", "20261124T120000Z-2", "20261124T120000Z-3"]
    assert [found.removed for found in done] == [(), (), (names[0],)]
    assert sorted(path.name for path in (site / "versions").iterdir()) == names[1:]
    assert (site / "current").resolve() == done[2].folder.resolve()
    assert (site / "current").readlink() == Path("versions") / names[2]


@pytest.mark.slow
def test_what_a_killed_publish_left_is_deleted(db: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    immutable_copy.publish(db, site, now=at_noon)
    (site / "versions" / ".20261124T115959Z").mkdir()
    (site / "versions" / ".20261124T115959Z" / "evidence.draft").write_text("half")
    immutable_copy.publish(db, site, now=at_noon)
    assert len(list((site / "versions").iterdir())) == 2


@pytest.mark.slow
def test_the_folder_can_be_read_by_the_server(db: Path, tmp_path: Path) -> None:
    """The service runs as another user: every file must be readable by all."""
    old = os.umask(0o022)
    try:
        done = immutable_copy.publish(db, tmp_path / "site", now=at_noon)
    finally:
        os.umask(old)
    for path in (done.folder, *done.folder.rglob("*")):
        assert path.stat().st_mode & 0o044 == 0o044, path
        assert not path.is_dir() or path.stat().st_mode & 0o011 == 0o011, path


# ---------------------------------------------------------------------- refusals


def _a_file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_text("mine")
    return path


def _others(tmp_path: Path) -> Path:
    path = tmp_path / "others"
    path.mkdir()
    (path / "thesis.odt").write_text("mine")
    return path


@pytest.mark.parametrize(
    ("target", "kind", "says"),
    [
        (_a_file, ConfigError, "is a file"),
        (_others, ConfigError, "holds other files"),
        (lambda tmp_path: _a_file(tmp_path) / "site", StoreError, "Not a directory"),
        (lambda _: Path("/proc/evidence-site"), StoreError, "cannot be written"),
    ],
    ids=["file", "others", "below a file", "no place"],
)
def test_an_invalid_target_is_refused(
    db: Path, tmp_path: Path, target: Callable[[Path], Path], kind: type[EvidenceError], says: str
) -> None:
    place = target(tmp_path)
    before = below(tmp_path)
    with pytest.raises(kind, match=says):
        immutable_copy.publish(db, place, now=at_noon)
    # SQLite leaves an empty log beside a WAL database that was only read.
    assert [path for path in below(tmp_path) if not path.startswith("work/evidence.db-")] == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(db: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir(mode=0o500)
    with pytest.raises(StoreError, match="Permission denied"):
        immutable_copy.publish(db, site, now=at_noon)


def test_an_invalid_database_is_refused(db: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no database yet"):
        immutable_copy.publish(tmp_path / "no.db", tmp_path / "site", now=at_noon)
    strange = tmp_path / "strange.db"
    with writing(strange) as conn:
        conn.execute("create table works (doi)")
    with pytest.raises(StoreError, match="was not made by evidence"):
        immutable_copy.publish(strange, tmp_path / "site", now=at_noon)
    with writing(db) as conn:
        conn.execute(
            "insert into _sqlite_migrations (migration_set, name, applied_at) values ('evidence', 'm999_x', 'now')"
        )
    with pytest.raises(StoreError, match="newer version"):
        immutable_copy.publish(db, tmp_path / "site", now=at_noon)
    assert not (tmp_path / "site").exists()


def test_a_damaged_database_is_not_published(db: Path, tmp_path: Path) -> None:
    with writing(db) as conn:
        conn.execute("pragma wal_checkpoint(truncate)")
    ((root, size),) = rows(db, "select rootpage, page_size from sqlite_master, pragma_page_size where name = 'works'")
    with db.open("r+b") as file:
        file.seek((int(str(root)) - 1) * int(str(size)))
        file.write(b"\xff" * 64)
    with pytest.raises(StoreError, match=re.escape(f"{db}: the database is damaged")):
        immutable_copy.publish(db, tmp_path / "site", now=at_noon)
    assert not (tmp_path / "site").exists()


@pytest.mark.slow
def test_a_full_disk_leaves_the_target_unchanged(db: Path, tmp_path: Path) -> None:
    """A limit on the size of files simulates a full disk: the last version is kept, and no new folder is left."""
    site = tmp_path / "site"
    immutable_copy.publish(db, site, now=at_noon)
    before = below(site)
    code = (
        "import datetime, pathlib, resource, sys; from evidence.publish import immutable_copy\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "now = lambda: datetime.datetime.now(datetime.timezone.utc)\n"
        "immutable_copy.publish(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), now=now)\n"
    )
    for target in (site, tmp_path / "fresh"):
        command = [sys.executable, "-c", code, str(db), str(target)]
        failed = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=False)
        assert "StoreError" in failed.stderr and f"{target}: cannot be written" in failed.stderr, failed.stderr
    assert below(site) == before
    assert not (tmp_path / "fresh").exists()


@pytest.mark.slow
def test_only_one_process_publishes_at_a_time(db: Path, tmp_path: Path) -> None:
    immutable_copy.publish(db, tmp_path / "site", now=at_noon)
    with FileLock(tmp_path / "site" / ".lock"), pytest.raises(BusyError, match="another `evidence publish`"):
        immutable_copy.publish(db, tmp_path / "site", now=at_noon)


# ---------------------------------------------------------------------- it serves


class Site:
    """A server started by `sh start`, and requests to it."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process, self.port = process, port

    def get(self, path: str) -> tuple[int, str]:
        conn = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            conn.request("GET", path)
            answer = conn.getresponse()
            return answer.status, answer.read().decode()
        finally:
            conn.close()

    def wait(self, path: str, ready: Callable[[int, str], bool], seconds: float = 90) -> str:
        deadline = time.monotonic() + seconds
        last: object = None
        while time.monotonic() < deadline:
            assert self.process.poll() is None, "the server ended"
            try:
                status, text = self.get(path)
            except OSError as error:
                last = error
            else:
                if ready(status, text):
                    return text
                last = (status, text[:500])
            time.sleep(0.05)
        raise AssertionError(f"{path}: {last}")


@contextmanager
def started(current: Path) -> Iterator[Site]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "PORT": str(port), "EVIDENCE_WATCH": "0.2"}
    with subprocess.Popen(
        ["sh", "start"], cwd=current, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            site = Site(process, port)
            site.wait("/about", lambda status, _: status == 200)
            yield site
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(60)


@pytest.mark.slow
def test_the_start_script_serves_and_switches_to_the_next_version(db: Path, tmp_path: Path) -> None:
    target = tmp_path / 'a site, of $HOME\'s "public" copies'
    first = immutable_copy.publish(db, target, now=at_noon)
    with started(target / "current") as site:
        status, front = site.get("/")
        assert status == 200 and "interpersonal psychotherapy" in front
        assert {page: site.get(page)[0] for page in immutable_copy.WARM} == dict.fromkeys(immutable_copy.WARM, 200)
        status, page = site.get(WORK)
        assert status == 200 and "Interpersonal Psychotherapy: Past, Present and Future" in page
        status, text = site.get("/evidence/works.csv?_stream=on&_size=max")
        listed = list(csv.DictReader(text.splitlines()))
        assert status == 200 and {row["doi"] for row in listed} == {work[0] for work in site_sample.WORKS}
        assert site.get("/evidence/snapshots.json?doi=10.1002/cpp.1774&_shape=array")[0] == 200
        assert "Left out of the published copy" in site.get("/evidence/snapshots")[1]
        assert site.get("/evidence?sql=select+1")[0] == 403
        assert site.get("/evidence/works?_where=1=1")[0] == 403
        assert site.get("/evidence.db")[0] == 403
        assert site.get("/-/databases.json")[0] == site.get("/-/versions")[0] == 404
        assert "--immutable evidence.db" in (target / "current" / "start").read_text()

        with writing(db) as conn:
            conn.execute("update works set title = 'As it is called now' where doi = '10.1002/cpp.1774'")
        assert "As it is called now" not in site.get(WORK)[1]
        second = immutable_copy.publish(db, target, now=at_noon)
        site.wait(WORK, lambda status, text: status == 200 and "As it is called now" in text)
        assert first.folder.exists() and second.folder != first.folder

        # A publisher in a hurry prunes the very folder that is being served; the server must find its way all the same.
        for number in range(3):
            with writing(db) as conn:
                conn.execute("update works set title = ? where doi = '10.1002/cpp.1774'", (f"Title {number}",))
            immutable_copy.publish(db, target, now=at_noon)
        site.wait(WORK, lambda status, text: status == 200 and "Title 2" in text)

        site.process.send_signal(signal.SIGTERM)
        assert site.process.wait(60) == 0
    with pytest.raises(OSError):
        site.get("/")


@pytest.mark.slow
def test_the_start_script_exits_with_the_code_of_its_server(db: Path, tmp_path: Path) -> None:
    """A service manager needs the exit code to restart a server that could not start."""
    current = immutable_copy.publish(db, tmp_path / "site", now=at_noon).current
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        environment = {**os.environ, "PORT": str(taken.getsockname()[1])}
        done = subprocess.run(["sh", current / "start"], env=environment, capture_output=True, timeout=30, check=False)
    assert done.returncode not in (0, 143)


@pytest.mark.slow
def test_the_copy_needs_no_checkout(db: Path, tmp_path: Path) -> None:
    """The folder contains the code that its plugins call, so it can be served from elsewhere, as in an image."""
    done = immutable_copy.publish(db, tmp_path / "site", now=at_noon)
    moved = tmp_path / "image"
    shutil.copytree(done.folder, moved)
    shutil.rmtree(tmp_path / "site")
    with started(moved) as site:
        assert site.get("/")[0] == 200
    script = "import evidence, sys; sys.stdout.write(evidence.__file__)"
    environment = {**os.environ, "PYTHONPATH": str(moved / "code")}
    found = subprocess.run(
        [sys.executable, "-c", script], cwd=moved, env=environment, capture_output=True, text=True, check=True
    )
    assert found.stdout == str(moved / "code" / "evidence" / "__init__.py")
    assert not (moved / "code" / "evidence" / "bundled_records").exists()


# ---------------------------------------------------------------------- what goes with it


def test_the_start_script_has_the_options_of_serve(known: tuple[Path, Published]) -> None:
    """The start script has every option that `serve` gives a public, immutable instance, with the files of this folder."""
    _, done = known
    script = (done.folder / "start").read_text(encoding="utf-8")
    assert str(serve.site_folder()) not in script
    words = " ".join(script.replace("\\\n", " ").split())
    for name, value in serve.PUBLIC_SETTINGS.items():
        assert f"--setting {name} {value} " in words
    assert "--immutable evidence.db " in words and "--inspect-file inspect.json " in words
    assert subprocess.run(["sh", "-n", done.folder / "start"], check=False).returncode == 0
    assert re.findall(r"@\w+@", script) == []


def test_the_dockerfile_copies_existing_files(known: tuple[Path, Published]) -> None:
    folder = known[1].folder
    text = (folder / "Dockerfile").read_text(encoding="utf-8")
    assert f"FROM python:{sys.version_info.major}.{sys.version_info.minor}-slim" in text
    pins = (folder / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in pins)
    assert {"datasette", "pydantic", "pyyaml", "sqlite-utils"} <= {pin.split("==")[0].lower() for pin in pins}
    assert not [pin for pin in pins if pin.startswith("evidence==")], "on a package index that name may be anybody's"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_the_systemd_unit_is_valid(db: Path, tmp_path: Path) -> None:
    done = immutable_copy.publish(db, tmp_path / "a site of 100 %", now=at_noon)
    unit = done.folder / "evidence-site.service"
    checked = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert "evidence-site" not in checked.stderr, checked.stderr
    assert f'"{tmp_path}/a site of 100 %%/current/start"' in unit.read_text(encoding="utf-8")


def test_a_published_version_has_its_files_and_the_link(known: tuple[Path, Published]) -> None:
    db, done = known
    assert done.current == db.parents[1] / "site" / "current"
    named = {
        "start",
        "warm.py",
        "Dockerfile",
        "evidence-site.service",
        "requirements.txt",
        "inspect.json",
        "evidence.db",
    }
    assert named <= {path.name for path in done.folder.iterdir()}


def test_warming_up_requests_every_page(known: tuple[Path, Published]) -> None:
    """Each page once and in order, although the server does not answer at first; a page with an error is not requested again."""
    asked: list[str] = []

    class Answering(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(500 if self.path == "/prisma" else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, str(known[1].folder / "warm.py"), "0.0.0.0", str(port), "/", "/prisma", "/method"]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as warming:
        time.sleep(0.3)
        with http.server.HTTPServer(("127.0.0.1", port), Answering) as server:
            thread = threading.Thread(target=server.serve_forever, daemon=True)
            thread.start()
            assert warming.wait(60) == 0
            server.shutdown()
            thread.join()
        assert warming.stderr is not None and warming.stderr.read() == b""
    assert asked == ["/", "/prisma", "/method"]


# ---------------------------------------------------------------------- what is not ours


@pytest.mark.slow
def test_other_files_among_the_versions_are_kept(db: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    immutable_copy.publish(db, site, now=at_noon)
    versions = site / "versions"
    (versions / ".DS_Store").write_text("finder")
    (versions / "notes.txt").write_text("mine")
    (versions / "20261124T115959Z").write_text("a file, whatever its name")
    (versions / "backup").mkdir()
    (versions / "backup" / "evidence.db").write_text("mine")
    (versions / ".trash").mkdir()
    (versions / "20261123T120000Z").symlink_to("backup")
    strangers = {".DS_Store", "notes.txt", "20261124T115959Z", "backup", ".trash", "20261123T120000Z"}
    for number in (2, 3):
        done = immutable_copy.publish(db, site, now=at_noon)
        assert done.folder.name == f"20261124T120000Z-{number}"
        assert (site / "current").resolve() == done.folder.resolve()
    assert done.removed == ("20261124T120000Z",) and done.stuck == ()
    assert {path.name for path in versions.iterdir()} == strangers | {"20261124T120000Z-2", "20261124T120000Z-3"}
    assert (versions / "backup" / "evidence.db").read_text() == "mine"


@pytest.mark.slow
def test_a_version_name_that_a_file_has_is_not_used(db: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    (site / "versions").mkdir(parents=True)
    (site / immutable_copy.MARKER).touch()
    (site / "versions" / ".20261124T120000Z").write_text("no folder of ours")
    assert immutable_copy.publish(db, site, now=at_noon).folder.name == "20261124T120000Z-2"


def test_a_failure_in_a_folder_with_other_files_is_reported(db: Path, tmp_path: Path) -> None:
    """The first version fails: the folder is kept with the other files, and the error is the original one."""
    site = tmp_path / "site"
    (site / "versions").mkdir(parents=True)
    (site / immutable_copy.MARKER).touch()
    (site / "versions" / ".DS_Store").write_text("finder")
    with writing(db) as conn:
        conn.execute(
            "insert into _sqlite_migrations (migration_set, name, applied_at) values ('evidence', 'm999_x', 'now')"
        )
    with pytest.raises(StoreError, match="newer version"):
        immutable_copy.publish(db, site, now=at_noon)
    assert below(site) == [immutable_copy.MARKER, "versions", "versions/.DS_Store"]


@pytest.mark.slow
def test_an_old_version_that_cannot_be_deleted_is_reported_and_the_new_one_served(db: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    for _ in range(2):
        immutable_copy.publish(db, site, now=at_noon)
    busy = site / "versions" / "20261124T120000Z"
    code = (
        "import shutil, sys; from evidence import cli\n"
        "remove = shutil.rmtree\n"
        "def held(path, *args, **options):\n"
        "    if str(path) == sys.argv[0]: raise PermissionError(13, 'Permission denied', str(path))\n"
        "    remove(path, *args, **options)\n"
        "shutil.rmtree = held; _, db, site, *_ = sys.argv; sys.argv = [sys.argv[3], '--db', db, 'publish', site]; cli.main()\n"
    )
    command = [sys.executable, "-c", code, str(db), str(site), str(busy)]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"The old version {busy} could not be removed (Permission denied)." in done.stderr
    assert "nothing was changed" not in done.stderr
    newest = max((site / "versions").glob("2*"))
    assert newest != busy and (site / "current").resolve() == newest.resolve() and busy.is_dir()


def test_requirements_do_not_name_the_other_package_called_evidence(known: tuple[Path, Published]) -> None:
    """On PyPI, `evidence` is another project and our name is not registered: the copy contains the program itself."""
    _, done = known
    named = {line.partition("==")[0].lower() for line in (done.folder / "requirements.txt").read_text().splitlines()}
    assert {"datasette", "click"} <= named and not named & {"evidence", evidence.DISTRIBUTION}
