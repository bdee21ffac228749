"""The two files as files: opening an up-to-date one writes nothing, a newer one is refused everywhere, the ledger comes first,
and the one file is the present state."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from datasette.app import Datasette
from datasette.utils import tilde_encode

from evidence import UPGRADE, cli, strict_yaml
from evidence.data_model import Doi
from evidence.database import connection, read_queries
from evidence.database.connection import open_evidence
from evidence.database.read_decisions import read_ledger
from evidence.database.run_lock import locked
from evidence.database.writer import append_to_ledger, open_store
from evidence.errors import LockedError, StoreError
from evidence.harvest import sources
from evidence.harvest.locked_run import FileInput, rejudge_database, run_sync
from evidence.harvest.progress import NoProgress
from evidence.publish import serve
from evidence.review.record_decision import add_decisions
from evidence.rules.taxonomy import Taxonomy
from tests.builders import FONAGY, LIPSITZ, MARKOWITZ, SMALL_YAML, WORKS, decision, message

WORK = Doi(str(MARKOWITZ["DOI"]))
WORD = decision(WORK, reason="not it")
SMALL = sources.check(strict_yaml.parse(SMALL_YAML, "s.yaml"))


def now() -> datetime:
    return datetime(2026, 11, 24, 12, tzinfo=UTC)


def harvest(folder: Path, book: Taxonomy, works: tuple[dict[str, Any], ...] = WORKS) -> Path:
    """A sync from a file of these works; returns the database."""
    (folder / "works.jsonl").write_text("\n".join(json.dumps(work) for work in works))
    db = folder / "evidence.db"
    files = FileInput("files", (folder / "works.jsonl",))
    run_sync(db, folder / "decisions.db", SMALL, book, now, NoProgress(), files=files)
    return db


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, book: Taxonomy) -> Path:
    folder = tmp_path_factory.mktemp("made")
    harvest(folder, book)
    append_to_ledger(folder / "decisions.db", [WORD])
    rejudge_database(folder / "evidence.db", folder / "decisions.db", book, now)
    (folder / "sources.yaml").write_text(SMALL_YAML)
    return folder


@pytest.fixture
def db(made: Path, tmp_path: Path) -> Path:
    """Both databases of a small harvest with one decision, closed; and the sources.yaml they come from."""
    for file in ("evidence.db", "decisions.db", "works.jsonl", "sources.yaml"):
        shutil.copy(made / file, tmp_path / file)
    return tmp_path / "evidence.db"


def bytes_of(*paths: Path) -> dict[str, str]:
    """Digests of the files, and of what SQLite keeps beside them."""
    found = [beside for path in paths for beside in path.parent.glob(f"{path.name}*") if beside.suffix != ".lock"]
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in found}


def rows(path: Path, sql: str) -> list[Any]:
    """What the file alone says, whatever lies beside it."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as conn:
        return conn.execute(sql).fetchall()


# Opening


def test_opening_what_is_up_to_date_writes_nothing(db: Path, book: Taxonomy) -> None:
    ledger = db.with_name("decisions.db")
    before = bytes_of(db, ledger)
    with closing(connection.open_read_only(db)) as watcher:
        version = watcher.execute("pragma data_version").fetchone()
        for _ in range(3):
            with open_store(db) as store:
                assert store.decisions() == (WORD,)
                assert read_queries.current_dois(store.conn)
        rejudge_database(db, ledger, book, now)
        open_evidence(db).close()
        assert read_ledger(ledger) == (WORD,)
        assert watcher.execute("pragma data_version").fetchone() == version
        assert not db.with_name("evidence.db-wal").stat().st_size
    assert {name: digest for name, digest in bytes_of(db, ledger).items() if name.endswith(".db")} == before


def test_views_of_another_text_are_made_anew(db: Path) -> None:
    with closing(sqlite3.connect(db)) as conn:
        conn.execute("drop view studies")
        conn.execute("create view leftover as select 1")
        wanted = {"studies", "to_check"}
    open_store(db).close()
    names = {name for (name,) in rows(db, "select name from sqlite_master where type = 'view'")}
    assert wanted <= names
    assert "leftover" not in names


def test_many_programs_may_make_the_databases_at_once(tmp_path: Path) -> None:
    failed: list[Exception] = []

    def make() -> None:
        try:
            open_store(tmp_path / "evidence.db").close()
        except (StoreError, sqlite3.Error) as error:
            failed.append(error)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    open_evidence(tmp_path / "evidence.db").close()


def test_one_that_is_refused_leaves_the_other_as_it_is(db: Path, tmp_path: Path) -> None:
    newer(db.with_name("decisions.db"), "decisions")
    with pytest.raises(StoreError, match="newer version"):
        open_store(tmp_path / "fresh.db", db.with_name("decisions.db"))
    assert not (tmp_path / "fresh.db").exists() or (tmp_path / "fresh.db").stat().st_size == 0


# A newer version's


def newer(path: Path, name: str) -> None:
    """As if a newer version had brought the file up to its own schema."""
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("insert into _sqlite_migrations (migration_set, name, applied_at) values (?, 'x999', '')", (name,))


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """A command in the folder of the databases: its exit code and its output on stderr."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["evidence", *arguments])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        return int(stopped.value.code or 0), capsys.readouterr().err

    return call


DECIDING = ("decide", WORK, "include", "--because", "yes", "--by", "A. Reader")
READING = [
    ("status",),
    ("export",),
    ("report", "prisma"),
    ("report", "prisma-s"),
    ("report", "changes"),
    ("explain", WORK),
    ("snowball",),
    ("serve",),
    ("decisions", "conflicts"),
    ("publish", "site"),
]
WRITING = [("sync", "--from", "works.jsonl"), ("judge",), DECIDING, ("decisions", "import", "words.csv")]
OF_THE_LEDGER = [
    *WRITING,
    ("decisions", "export"),
    ("decisions", "agreement"),
    ("serve", "--reviewer", "A. Reader"),
    ("publish", "site"),
    ("publish", "site", "--hide-reviewers"),
]


@pytest.mark.parametrize(
    ("name", "command"),
    [
        *(("evidence", command) for command in (*READING, *WRITING)),
        *(("decisions", command) for command in OF_THE_LEDGER),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else value,
)
def test_a_newer_database_is_refused_by_every_command(
    name: str, command: tuple[str, ...], db: Path, run: Callable[..., tuple[int, str]]
) -> None:
    path = db.with_name(f"{name}.db")
    newer(path, name)
    db.with_name("words.csv").write_text("doi,action,verdict,reason,reviewer,made_at\n")
    before = bytes_of(db, db.with_name("decisions.db"))
    code, said = run(*command)
    assert (code, said) == (
        1,
        f"evidence: {path.name}: made by a newer version of evidence (it has x999); {UPGRADE}\n",
    )
    after = bytes_of(db, db.with_name("decisions.db"))
    assert {name: after[name] for name in before} == before
    assert not db.with_name("site").exists()


# The ledger first


def test_a_decision_is_kept_while_another_program_writes_the_harvest(
    db: Path, book: Taxonomy, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = db.with_name("decisions.db")
    with closing(sqlite3.connect(db, isolation_level=None)) as other:
        other.execute("begin immediate")
        before = bytes_of(db)["evidence.db"]
        with caplog.at_level(logging.WARNING):
            words, shows = add_decisions(
                db, ledger, book, now, Doi(str(FONAGY["DOI"])), "exclude", [], [], "No", "B", patience=0.05
            )
        assert not shows
        assert read_ledger(ledger) == (WORD, *words)
        assert rows(ledger, "select count(*) from decisions") == [(2,)]
        assert bytes_of(db)["evidence.db"] == before
        assert "kept" in caplog.text
        assert "another program holds this database" in caplog.text
    assert rejudge_database(db, ledger, book, now)[0] == 1
    assert rows(db, f"select verdict, decided from works where doi = '{FONAGY['DOI']}'") == [("exclude", "person")]


def test_a_decision_that_had_to_wait_shows_with_the_next(db: Path, book: Taxonomy) -> None:
    ledger = db.with_name("decisions.db")
    first, second = (Doi(str(work["DOI"])) for work in (FONAGY, LIPSITZ))
    with locked(db):
        assert not add_decisions(db, ledger, book, now, first, "exclude", [], [], "No", "B", patience=0.0)[1]
    assert add_decisions(db, ledger, book, now, second, "exclude", [], [], "No", "B")[1]
    found = rows(db, "select doi, verdict from works where decided = 'person' order by doi")
    assert found == sorted((doi, "exclude") for doi in (WORK, first, second))


def test_a_decision_that_cannot_be_kept_is_an_error_and_changes_nothing(db: Path, book: Taxonomy) -> None:
    ledger = db.with_name("decisions.db")
    before = bytes_of(db)
    with closing(sqlite3.connect(ledger, isolation_level=None)) as other:
        other.execute("begin immediate")
        with pytest.raises(LockedError, match=r"decisions\.db: another program"):
            append_to_ledger(ledger, [WORD], wait=0.05)
    assert bytes_of(db) == before
    assert read_ledger(ledger) == (WORD,)


# The file one copies


@pytest.fixture
def reader(db: Path) -> Iterator[sqlite3.Connection]:
    """A connection that stays open, as the site's do, between short reads."""
    with closing(sqlite3.connect(f"{db.as_uri()}?mode=ro", uri=True)) as conn:
        assert conn.execute("select count(*) from works").fetchone() == (4,)
        yield conn


def test_after_a_run_the_one_file_is_the_present_state_though_readers_are_open(
    db: Path, book: Taxonomy, reader: sqlite3.Connection
) -> None:
    more = message("10.5555/new", "Interpersonal psychotherapy for a new group", 2026)
    harvest(db.parent, book, (*WORKS, more))
    assert db.with_name("evidence.db-wal").stat().st_size == 0
    assert rows(db, "select count(*) from works") == reader.execute("select count(*) from works").fetchall()
    assert rows(db, "select outcome from runs order by run desc limit 1") == [("complete",)]
    _, shows = add_decisions(db, db.with_name("decisions.db"), book, now, WORK, "include", [], [], "Yes", "B")
    assert shows
    assert rows(db, f"select verdict from works where doi = '{WORK}'") == [("include",)]
    assert rows(db.with_name("decisions.db"), "select count(*) from decisions") == [(2,)]


def test_a_reader_in_the_middle_of_a_question_fails_no_run(
    db: Path, book: Taxonomy, reader: sqlite3.Connection
) -> None:
    """What it still needs stays in the log; the next run, when it has gone on, writes the whole of it back."""
    reader.execute("begin")
    reader.execute("select count(*) from works").fetchone()
    more = [message(f"10.5555/{n}", f"Interpersonal psychotherapy, part {n}", 2026) for n in range(2)]
    harvest(db.parent, book, (*WORKS, more[0]))
    assert rows(db, "select count(*) from works") == [(4,)]
    reader.execute("rollback")
    harvest(db.parent, book, (*WORKS, *more))
    assert rows(db, "select count(*) from works") == [(6,)]
    assert db.with_name("evidence.db-wal").stat().st_size == 0


@pytest.mark.slow
async def test_the_site_lets_go_of_the_log(db: Path, book: Taxonomy) -> None:
    site = Datasette([str(db)], config_dir=serve.site_folder())
    await site.invoke_startup()
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app=site.app()), base_url="http://site")
    async with client:
        work = f"/evidence/works/{tilde_encode(WORK)}"
        for page in ("/", "/evidence/works", work, "/evidence/works.csv?_stream=on", "/prisma", "/evidence"):
            assert (await client.get(page)).status_code == 200, page
        works: tuple[dict[str, Any], ...] = WORKS
        for number in range(3):
            works = (*works, message(f"10.5555/{number}", f"Interpersonal psychotherapy, part {number}", 2026))
            harvest(db.parent, book, works)
            assert db.with_name("evidence.db-wal").stat().st_size == 0
            assert rows(db, "select count(*) from works") == [(5 + number,)]
            answer = await client.get("/evidence.json?sql=select+count(*)+as+n+from+works&_shape=array")
            assert answer.json() == [{"n": 5 + number}]


def test_a_sync_that_changes_nothing_writes_its_run_and_requests_and_no_other_page(db: Path, book: Taxonomy) -> None:
    harvest(db.parent, book)  # the run after a decision may move what is shown
    before, size = pages(db)
    harvest(db.parent, book)
    after, grown = pages(db)
    changed = {number for number, page in after.items() if before.get(number) != page}
    assert {owner(db, number) for number in changed} <= {
        "header",
        "runs",
        "requests",
        "requests_run",
        "requests_source",
    }
    assert grown == size


def pages(path: Path) -> tuple[dict[int, bytes], int]:
    (size,) = rows(path, "pragma page_size")[0]
    raw = path.read_bytes()
    return {n + 1: raw[n * size : (n + 1) * size] for n in range(len(raw) // size)}, len(raw)


def owner(path: Path, number: int) -> str:
    """Whose page it is. The first has the counter of changes in its header, and SQLite's own schema."""
    if number == 1:
        return "header"
    found = rows(path, f"select name from dbstat where pageno = {number}")
    return str(found[0][0]) if found else "free"


# ---------------------------------------------------------------------- a disk without room, a power cut


@pytest.mark.parametrize("said", ["disk I/O error", "database or disk is full"])
def test_an_error_of_the_disk_asks_for_room(said: str) -> None:
    """SQLite says `disk I/O error` too when the files beside a database find no room."""
    told = str(connection.store_error(Path("evidence.db"), sqlite3.OperationalError(said)))
    assert told.startswith("evidence.db: the disk is full")
    assert "ake room" in told


def test_a_run_that_ends_is_put_on_the_disk(tmp_path: Path) -> None:
    """Only its end: the pages before it can be fetched again."""
    set_to = []
    with open_store(tmp_path / "evidence.db") as store:
        run = store.start_run("crossref", "0", "2026-11-24T12:00:00Z")
        store.conn.set_trace_callback(
            lambda sql: set_to.append(sql) if "synchronous" in sql or sql == "COMMIT" else None
        )
        store.finish_run(run, "complete", {}, "2026-11-24T12:01:00Z")
        assert store.conn.execute("pragma synchronous").fetchone() == (1,)
    full, end = set_to.index("pragma synchronous = full"), [sql.upper() for sql in set_to].index("COMMIT")
    assert full < end < set_to.index("pragma synchronous = 1")
