"""What leaves the tracker is recorded: which works were in which file or published copy, without paths, and never at the cost of
the file itself."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence.cli import cli
from evidence.data_model import Doi
from evidence.database import connection, schema, write_exports, writer
from evidence.database.select_works import Selection
from evidence.database.tag_filter import TagFilter
from evidence.database.values_for_writer import Export
from evidence.export import record_exports
from tests import site_sample

NOW = datetime(2026, 11, 28, 9, tzinfo=UTC)
HELD = """
    select e.export, x.doi from exports e join exported_works x on x.list = e.list
        and x.first_export <= e.export and (x.last_export is null or x.last_export > e.export)
"""


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return site_sample.make_sample(tmp_path / "evidence.db")


def run(db: Path, *arguments: str) -> Any:
    done = CliRunner().invoke(cli, ["--db", str(db), *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done


def rows(db: Path, sql: str) -> list[Any]:
    with closing(sqlite3.connect(db)) as conn:
        return conn.execute(sql).fetchall()


def test_an_export_is_recorded_with_its_works_and_no_path(db: Path, tmp_path: Path) -> None:
    target = tmp_path / "for the board" / "trials.csv"
    target.parent.mkdir()
    run(db, "export", "--tag", "design:rct", "--query", "interpersonal", "-o", str(target))
    written = {line.split(",")[0] for line in target.read_text().splitlines()[1:] if line.startswith("10.")}
    ((kind, name, format_, filters, works, run_, unfinished),) = rows(
        db, "select kind, name, format, filters, works, run, unfinished from exports"
    )
    assert (kind, name, format_, works, run_, unfinished) == ("export", "trials.csv", "csv", 3, 2, None)
    assert json.loads(filters) == {"verdict": ["include"], "tag": ["design:rct"], "query": "interpersonal"}
    assert {doi for _, doi in rows(db, HELD)} == written
    assert len(written) == 3
    assert str(tmp_path) not in str(rows(db, "select * from exports"))


def test_a_second_export_of_the_same_works_adds_one_row(db: Path) -> None:
    run(db, "export", "--format", "ris")
    before = rows(db, "select * from exported_works")
    run(db, "export", "--verdict", "include")
    assert rows(db, "select * from exported_works") == before != []
    assert rows(db, "select export, list, name from exports") == [(1, 1, None), (2, 1, None)]


@pytest.mark.slow
def test_a_published_copy_is_recorded_with_its_included_works_and_exported_files_stay_here(
    db: Path, tmp_path: Path
) -> None:
    run(db, "export", "-o", str(tmp_path / "private.csv"))
    run(db, "publish", str(tmp_path / "site"))
    run(db, "publish", str(tmp_path / "site"))
    first, second = (
        version for (version,) in rows(db, "select name from exports where kind = 'publish' order by export")
    )
    assert (tmp_path / "site" / "current").readlink().name == second
    included = {doi for (doi,) in rows(db, "select doi from works where verdict = 'include'")}
    assert {doi for export, doi in rows(db, HELD) if export == 3} == included
    copy = tmp_path / "site" / "current" / "evidence.db"
    assert rows(copy, "select kind, name from exports") == [("publish", first)]
    assert {doi for _, doi in rows(copy, HELD)} == included
    assert b"private.csv" not in copy.read_bytes()


def test_a_database_that_cannot_be_written_is_exported_all_the_same(
    db: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer.record_export, "__kwdefaults__", {"wait": 0.1})
    with closing(sqlite3.connect(db, isolation_level=None)) as other:
        other.execute("pragma journal_mode = wal")
        other.execute("begin immediate")
        done = run(db, "export", "-o", str(tmp_path / "works.csv"))
    assert "Not recorded among the exports" in done.stderr
    assert "another program holds this database" in done.stderr
    assert len((tmp_path / "works.csv").read_text().splitlines()) == 10
    assert rows(db, "select * from exports") == []


@pytest.mark.slow
def test_a_database_of_an_older_version_is_published_and_not_migrated(tmp_path: Path) -> None:
    db = tmp_path / "evidence.db"
    with writer.open_store(db):
        pass
    with closing(sqlite3.connect(db)) as conn, conn:
        conn.execute("drop table exported_works")
        conn.execute("drop table exports")
        conn.execute("delete from _sqlite_migrations where name = 'm017_exports'")
    done = run(db, "publish", str(tmp_path / "site"))
    assert "Not recorded among the exports" in done.stderr
    assert "older version" in done.stderr
    with closing(connection.open_read_only(db)) as conn:
        assert connection.examine(conn, db, schema.evidence) == "behind"
    assert rows(tmp_path / "site" / "current" / "evidence.db", "select count(*) from exports") == [(0,)]


def test_a_name_and_a_query_that_are_not_utf8_are_written_out(db: Path, tmp_path: Path) -> None:
    run(db, "export", "--query", "depression\udc80", "-o", str(tmp_path / "b\udcffr.csv"))
    assert (tmp_path / "b\udcffr.csv").exists()
    ((name, filters),) = rows(db, "select name, filters from exports")
    assert (name, json.loads(filters)["query"]) == ("b\\udcffr.csv", "depression\\udc80")


def test_an_unfinished_run_is_named(db: Path) -> None:
    with closing(sqlite3.connect(db)) as conn, conn:
        conn.execute(
            "insert into runs (run, started, outcome, door, version) "
            "values (3, '2026-11-28T06:00:00Z', 'running', 'crossref', '1')"
        )
    run(db, "export")
    assert rows(db, "select run, unfinished from exports") == [(2, 3)]


def test_the_order_in_which_filters_are_named_makes_no_difference() -> None:
    one, other = TagFilter("design", ("rct",)), TagFilter("outcome", ("anxiety",))
    assert record_exports.filters_of(Selection(("include", "unsure"), (one, other))) == record_exports.filters_of(
        Selection(("unsure", "include"), (other, one))
    )
    assert record_exports.filters_of(Selection(strengths=("stated",)), "2026-01-31") == {
        "verdict": ["include"],
        "strength": ["stated"],
        "as-of": "2026-01-31",
    }


DOIS = st.sets(st.sampled_from([Doi(f"10.5555/{n}") for n in range(6)]))


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exports") / "evidence.db"
    writer.open_store(path).close()
    return path


@settings(max_examples=60)
@given(made=st.lists(st.tuples(st.sampled_from(["export", "publish"]), st.sampled_from("abc"), DOIS), max_size=9))
def test_every_export_is_known_to_hold_exactly_its_works(made: list[tuple[Any, str, set[Doi]]], empty: Path) -> None:
    """Works come, go and come back between exports of several lists."""
    with closing(sqlite3.connect(empty)) as conn:
        conn.execute("pragma foreign_keys = on")
        for kind, query, dois in made:
            export = Export("2026-11-28T09:00:00Z", kind, None, None, {"query": query}, sorted(dois), "1")
            write_exports.add_export(conn, export)
        assert sorted(conn.execute(HELD)) == sorted((n, doi) for n, (_, _, dois) in enumerate(made, 1) for doi in dois)
        counted = [works for (works,) in conn.execute("select works from exports order by export")]
        assert counted == [len(dois) for _, _, dois in made]
        conn.rollback()
