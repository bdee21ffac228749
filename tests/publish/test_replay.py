"""Replaying capsules: one changed byte anywhere is found, and so is what was changed with all checksums made anew."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from evidence import __version__
from evidence.database import compare_tables, schema
from evidence.errors import ConfigError
from evidence.export import bag_manifest, replay_report, ro_crate
from evidence.export.replay_report import Replayed
from evidence.harvest.progress import NoProgress
from evidence.publish import capsule
from evidence.publish.replay import replay, verify
from tests import used_review
from tests.command_line import Run, runner
from tests.used_review import Review, digest, remade, writing

POSITIONS = 25
"""How many bytes of a file are tried, apart from the first and the last; of the small files all are."""

NAMED = "evidence.db"


@pytest.fixture(scope="module")
def review(tmp_path_factory: pytest.TempPathFactory) -> Review:
    return used_review.used_review(tmp_path_factory.mktemp("review") / "used")


@pytest.fixture(scope="module")
def kept(review: Review) -> dict[str, Path]:
    """A capsule of each kind, which no test changes."""
    review.write(review.folder / "whole")
    review.write(review.folder / "public", "public")
    return {"whole": review.folder / "whole", "public": review.folder / "public"}


@pytest.fixture
def whole(kept: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(kept["whole"], tmp_path / "whole"))


@pytest.fixture
def public(kept: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(kept["public"], tmp_path / "public"))


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(tmp_path, monkeypatch, capsys)


def replayed(folder: Path) -> Replayed:
    return replay(folder, NoProgress())


def differing(folder: Path) -> dict[str, int]:
    """The tables that differ after replaying, with the number of rows."""
    return {table.table: table.differ for table in replayed(folder).differences if table.differ}


# ---------------------------------------------------------------------- nothing was changed


def test_a_capsule_of_a_used_review_is_rebuilt_identically(review: Review, whole: Path) -> None:
    found = replayed(whole)
    assert found.same and not found.notes
    compared = {table.table: table.rows for table in found.differences}
    rebuilt = set(schema.DERIVED_TABLES) - set(compare_tables.HISTORY_TABLES)
    assert compared.keys() == {*rebuilt, "works_fts", "views", "snapshots", "provider_records"}
    for table in (
        "works",
        "authors",
        "updates",
        "notices",
        "identifiers",
        "duplicates",
        "tags",
        "reasons",
        "decisions",
    ):
        ((rows,),) = review.copy.rows(f"select count(*) from {table}")
        assert compared[table] == rows > 0, f"{table}: nothing was compared"
    text = replay_report.report(found)
    assert f"Identical: {sum(compared.values()):,} rows of {len(compared)} tables." in text
    assert "Not rebuilt, because they are history: works.first_run, works.changed_run, unannounced" in text


def test_nothing_of_the_capsule_or_of_the_caller_is_changed_or_used(
    whole: Path, run: Run, tmp_path: Path, review: Review
) -> None:
    before = {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()}
    (tmp_path / "sources.yaml").write_text("this: is no sources.yaml\n", encoding="utf-8")
    (tmp_path / NAMED).write_bytes(b"no database")
    said = run("replay", "whole")
    assert said.code == 0, said.err
    assert {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()} == before


@pytest.mark.slow
def test_place_time_zone_locale_hashing_and_read_only_files_make_no_difference(whole: Path, tmp_path: Path) -> None:
    other = tmp_path / "a folder, moved" / "é"
    other.parent.mkdir()
    whole.rename(other)
    for path in (*other.rglob("*"), other):
        path.chmod(0o500 if path.is_dir() else 0o400)
    environment = {**os.environ, "TZ": "Asia/Kathmandu", "LC_ALL": "C", "LANG": "tr_TR.UTF-8", "PYTHONHASHSEED": "7"}
    environment |= {"PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "evidence", "replay", str(other), "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, check=False, cwd=tmp_path)
    for path in (other, *other.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
    assert done.returncode == 0, done.stderr
    there = json.loads(done.stdout)
    assert there["same"] is True
    here = json.loads(json.dumps(replay_report.as_json(replayed(other))))
    assert there["differences"] == here["differences"]


# ---------------------------------------------------------------------- bytes


def places(size: int, dice: random.Random) -> list[int]:
    if size <= 400:
        return list(range(size))
    return sorted({0, size - 1, *(dice.randrange(size) for _ in range(POSITIONS))})


@pytest.mark.parametrize("kind", ["whole", pytest.param("public", marks=pytest.mark.slow)])
def test_one_flipped_bit_anywhere_is_found(kept: dict[str, Path], kind: str, tmp_path: Path) -> None:
    """At many places of every file: databases, rules, description, manifests. The files around the payload are tried byte by byte
    where they are small. Of the databases only the beginning is copied here, so that each try is quick."""
    folder = Path(shutil.copytree(kept[kind], tmp_path / kind))
    for path in folder.rglob("*.db"):
        path.write_bytes(path.read_bytes()[:4096])
    remade(folder)
    assert verify(folder)[0] == []
    dice = random.Random(20261128)
    tried = 0
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        content = path.read_bytes()
        own = path.relative_to(folder).as_posix()
        for place in places(len(content), dice):
            changed = bytearray(content)
            changed[place] ^= dice.choice((1, 2, 4, 8, 16, 32, 64, 128))
            path.write_bytes(changed)
            problems, _, _ = verify(folder)
            assert problems, f"{own}: byte {place} of {len(content)}"
            if own != bag_manifest.TAG_MANIFEST and own != bag_manifest.MANIFEST:
                assert {problem.file for problem in problems} == {own}
            tried += 1
        path.write_bytes(content)
    assert verify(folder)[0] == [] and tried > 1000


def test_every_file_that_differs_is_named_the_first_first(whole: Path, run: Run) -> None:
    for name in ("data/sources.yaml", "data/rules/topic/screen.yaml"):
        path = whole / name
        path.write_bytes(path.read_bytes() + b"\n")
    (whole / "README.txt").unlink()
    said = run("replay", "whole")
    assert said.code == 1 and said.err == ""
    lines = said.out.splitlines()
    assert lines[0] == "NOT what it was: whole/README.txt: is missing; tagmanifest-sha256.txt lists it."
    assert [line.partition(": ")[0].strip() for line in lines[1:3]] == [
        "whole/data/rules/topic/screen.yaml",
        "whole/data/sources.yaml",
    ]
    assert lines[3].startswith("3 problems. Nothing was rebuilt")
    assert "dentical" not in said.out


def swap(one: Path, other: Path) -> None:
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)


def as_link(path: Path) -> None:
    elsewhere = path.parents[2] / "elsewhere"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


def as_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a file more": (lambda c: (c / "data" / "more.txt").write_text("more"), "data/more.txt"),
    "a file more beside the payload": (lambda c: (c / "more.txt").write_text("more"), "more.txt"),
    "a log of SQLite": (lambda c: (c / "data" / "evidence.db-wal").touch(), "data/evidence.db-wal"),
    "a hidden file": (lambda c: (c / "data" / "rules" / ".hidden").touch(), "data/rules/.hidden"),
    "an empty folder": (lambda c: (c / "data" / "empty").mkdir(), "data/empty"),
    "a file less": (lambda c: (c / "data" / "decisions.db").unlink(), "data/decisions.db"),
    "a renamed file": (lambda c: (c / "data" / NAMED).rename(c / "data" / "Evidence.db"), "data/Evidence.db"),
    "two files with each other's names": (
        lambda c: swap(c / "data" / "searches" / "flow.txt", c / "data" / "searches" / "flow.json"),
        "data/searches/flow.json",
    ),
    "a link in place of a file": (lambda c: as_link(c / "data" / NAMED), "data/evidence.db"),
    "a link in place of a folder": (lambda c: as_link(c / "data" / "rules"), "data/rules"),
    "a folder in place of a file": (
        lambda c: as_folder(c / "data" / "sources.yaml"),
        "data/sources.yaml",
    ),
    "no manifest": (lambda c: (c / bag_manifest.MANIFEST).unlink(), bag_manifest.MANIFEST),
    "no second manifest": (lambda c: (c / bag_manifest.TAG_MANIFEST).unlink(), bag_manifest.TAG_MANIFEST),
    "an empty second manifest": (lambda c: (c / bag_manifest.TAG_MANIFEST).write_text(""), bag_manifest.TAG_MANIFEST),
    "a second line for a file": (
        lambda c: (c / bag_manifest.MANIFEST).write_text(
            (c / bag_manifest.MANIFEST).read_text() + f"{'0' * 64}  data/sources.yaml\n"
        ),
        bag_manifest.MANIFEST,
    ),
    "other line ends": (
        lambda c: (c / bag_manifest.TAG_MANIFEST).write_bytes(
            (c / bag_manifest.TAG_MANIFEST).read_bytes().replace(b"\n", b"\r\n")
        ),
        bag_manifest.TAG_MANIFEST,
    ),
    "lines in another order": (
        lambda c: (c / bag_manifest.TAG_MANIFEST).write_text(
            "".join(reversed((c / bag_manifest.TAG_MANIFEST).read_text().splitlines(keepends=True)))
        ),
        bag_manifest.TAG_MANIFEST,
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_does_not_belong_is_found(whole: Path, what: str) -> None:
    change, named = CHANGES[what]
    change(whole)
    found = replayed(whole)
    assert not found.same and named in {problem.file for problem in found.problems}, found.problems
    assert not found.differences, "nothing is rebuilt from what is not whole"


# ---------------------------------------------------------------------- with the checksums made anew


def test_who_makes_the_manifests_anew_has_to_think_of_the_description(whole: Path) -> None:
    path = whole / "data" / "searches" / "searches.txt"
    path.write_text(path.read_text("utf-8") + "one more\n", encoding="utf-8")
    remade(whole, described=False)
    problems, _, _ = verify(whole)
    assert [str(problem.what) for problem in problems] == ["states another checksum of data/searches/searches.txt"]


def test_the_digest_that_was_noted_finds_what_nothing_else_can(review: Review, whole: Path, run: Run) -> None:
    noted = digest(whole / bag_manifest.TAG_MANIFEST)
    assert run("replay", "whole", "--expect", noted.upper()).code == 0
    path = whole / "data" / "searches" / "searches.txt"
    path.write_text(path.read_text("utf-8") + "one more\n", encoding="utf-8")
    remade(whole)
    assert run("replay", "whole").code == 0, "the tables are rebuilt, and texts for people are not"
    said = run("replay", "whole", "--expect", noted)
    assert said.code == 1 and "and not the one that is expected" in said.out


def sql(*statements: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        with writing(folder / "data" / NAMED) as conn:
            for statement in statements:
                assert conn.execute(statement).rowcount != 0, statement

    return change


def edit_rules(folder: Path) -> None:
    narrower = used_review.other_rules(folder.parent / "narrower")
    shutil.copy(narrower.topic.screen_path, folder / "data" / capsule.TOPIC / "screen.yaml")


def withdraw(folder: Path) -> None:
    with writing(folder / "data" / "decisions.db") as conn:
        conn.execute("drop trigger decisions_are_append_only_delete")
        assert conn.execute("delete from decisions where verdict = 'include'").rowcount == 1


TAMPERED: dict[str, tuple[Callable[[Path], None], str]] = {
    "a tag is stronger": (sql("update tags set strength = iif(strength = 'likely', 'stated', 'likely') where rowid = 1"), "tags"),
    "a tag more": (
        sql("insert into tags (doi, facet, value, decided, strength) select doi, 'outcome', 'suicidality', 'rule', 'stated'"
            " from works limit 1"),
        "tags",
    ),
    "a tag less": (sql("delete from tags where rowid = 1"), "tags"),
    "a verdict": (sql("update works set verdict = 'exclude' where doi = '10.5555/work.2'"), "works"),
    "a title": (sql("update works set title = title || '.' where doi = '10.5555/work.2'"), "works"),
    "a work less": (sql("delete from works where doi = '10.5555/work.2'"), "works"),
    "a retraction less": (sql("delete from notices where kind = 'retraction'"), "notices"),
    "what a record states": (sql("delete from updates"), "updates"),
    "a quotation": (sql("update reasons set quote = 'x' where doi = '10.5555/work.2'"), "reasons"),
    "an author": (sql("update authors set name = 'Nobody'"), "authors"),
    "a pair": (sql("update duplicates set verdict = 'same'"), "duplicates"),
    "a decision that is shown": (sql("update decisions set reason = 'another'"), "decisions"),
    "the meaning of a value": (sql("update facets set meaning = 'another' where value = 'cost'"), "facets"),
    "the index for searching": (sql("insert into works_fts (works_fts) values ('delete-all')"), "works_fts"),
    "a record": (
        sql("update snapshots set message = replace(message, 'A Journal', 'B Journal') where doi = '10.5555/work.2'"),
        "snapshots",
    ),
    "what is said of a record": (
        sql("update snapshots set message = json_set(message, '$.note', 'other') where doi = '10.5555/work.2'"),
        "snapshots",
    ),
    "a provider's record": (
        sql("update provider_records set message = replace(message, 'waiting', 'shorter')"), "provider_records"),
    "a view": (
        sql("drop view to_check", "create view to_check as select doi from works"), "views"),
    "a rule": (edit_rules, "rule_marks"),
    "a decision in the ledger": (withdraw, "decisions"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("what", TAMPERED)
def test_what_was_changed_with_all_checksums_made_anew_is_found_by_rebuilding(whole: Path, what: str) -> None:
    change, table = TAMPERED[what]
    change(whole)
    remade(whole)
    found = replayed(whole)
    assert found.problems == ()
    assert table in {each.table for each in found.differences if each.differ}, replay_report.report(found)
    text = replay_report.report(found)
    assert "NOT identical: " in text and "\nIdentical" not in text and not found.same


def test_a_database_that_was_damaged_with_all_checksums_made_anew_is_an_error_in_one_sentence(
    whole: Path, run: Run
) -> None:
    path = whole / "data" / NAMED
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * 40_960 + content[45_056:])
    remade(whole)
    said = run("replay", "whole")
    assert said.code == 1 and "Traceback" not in said.err
    assert said.err.count("\n") == 1 or "NOT identical" in said.out
    path.write_bytes(content[:100])
    remade(whole)
    said = run("replay", "whole")
    assert said.code == 1 and said.err.count("\n") == 1 and "evidence.db" in said.err


def test_nothing_is_rebuilt_from_records_that_are_not_those_that_came(whole: Path) -> None:
    sql("update snapshots set message = 'no JSON' where doi = '10.5555/work.2'")(whole)
    remade(whole)
    found = replayed(whole)
    assert found.judged is None and not found.same
    text = replay_report.report(found)
    assert "Nothing was rebuilt, because the database or a record in it" in text
    assert "10.5555/work.2, version 1: is not the record that was fetched" in text
    assert "NOT identical: 1 row of 1 table differs (snapshots)." in text


def test_an_index_that_does_not_fit_its_table_is_found(public: Path, whole: Path) -> None:
    for folder in (whole, public):
        with writing(folder / "data" / NAMED) as conn:
            conn.execute("pragma writable_schema = on")
            other = "CREATE INDEX tags_value on tags (value, facet, doi, strength)"
            assert conn.execute("update sqlite_master set sql = ? where name = 'tags_value'", (other,)).rowcount == 1
        remade(folder)
        found = replayed(folder)
        assert not found.same and found.differences[0].table == "integrity_check"
        assert "integrity_check" in replay_report.report(found)


@pytest.mark.slow
def test_the_first_rows_that_differ_are_shown_with_both_values(whole: Path) -> None:
    sql("update tags set strength = 'likely' where strength = 'stated'")(whole)
    remade(whole)
    found = replayed(whole)
    tags = next(table for table in found.differences if table.table == "tags")
    assert 5 < tags.differ <= tags.rows and len(tags.first) == 5
    assert "strength is likely in the capsule and stated rebuilt" in tags.first[0]
    text = replay_report.report(found)
    assert f"… and {tags.differ - 5:,} more" in text
    sql("delete from tags")(whole)
    remade(whole)
    found = replayed(whole)
    tags = next(table for table in found.differences if table.table == "tags")
    assert tags.differ == tags.rows and all("only rebuilt" in line for line in tags.first)


# ---------------------------------------------------------------------- other programs


def change_facts(folder: Path, **values: Any) -> None:
    path = folder / "data" / capsule.FACTS
    facts = json.loads(path.read_text("utf-8"))
    for name, value in values.items():
        facts[name] = facts[name] | value if isinstance(value, dict) else value
    path.write_text(json.dumps(facts), encoding="utf-8")
    remade(folder)


@pytest.mark.slow
def test_another_program_is_said_and_what_names_the_program_is_not_compared(whole: Path) -> None:
    change_facts(whole, program={"version": "9.9.9"})
    found = replayed(whole)
    assert found.same and found.notes == (f"The capsule was made with evidence 9.9.9; this is {__version__}.",)
    assert "views" not in {table.table for table in found.differences}
    change_facts(whole, program={"version": __version__, "code": "0" * 16})
    assert "other code of the same version" in replayed(whole).notes[0]
    with writing(whole / "data" / NAMED) as conn:
        conn.execute("update works set basis = 'other'")
    remade(whole)
    assert replayed(whole).same
    with writing(whole / "data" / NAMED) as conn:
        conn.execute("update works set title = 'other'")
    remade(whole)
    assert "replay the capsule with the one that made it" in replay_report.report(replayed(whole))


def test_other_weights_are_said(whole: Path) -> None:
    (whole / "data" / capsule.WEIGHTS / "cue_words.yaml").write_text("other", encoding="utf-8")
    remade(whole)
    assert "The weights by which this program reads texts are not those in the capsule." in replayed(whole).notes


def test_a_capsule_of_an_older_database_is_brought_up_to_date_in_a_copy(whole: Path) -> None:
    """As if it had been written before the table of capsules."""
    with writing(whole / "data" / NAMED) as conn:
        conn.execute("drop table capsules")
        conn.execute("delete from _sqlite_migrations where name = 'm020_capsules'")
    change_facts(whole, program={"version": "0.0.9"})
    found = replayed(whole)
    assert found.same and len(found.differences) > 20
    with closing(sqlite3.connect(whole / "data" / NAMED)) as conn:
        assert conn.execute("select 1 from sqlite_master where name = 'capsules'").fetchone() is None


def test_what_is_no_capsule_is_refused(whole: Path, run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("nowhere", "empty"):
        said = run("replay", name)
        assert said.code == 2 and "is not a capsule; name a folder" in said.err and said.err.count("\n") == 1
    for wrong in ("abc", "g" * 64):
        assert run("replay", "whole", "--expect", wrong).code == 2
    change_facts(whole, format=2)
    with pytest.raises(ConfigError, match="a later version of evidence"):
        replayed(whole)
    (whole / "data" / capsule.FACTS).write_text("{}", encoding="utf-8")
    remade(whole)
    with pytest.raises(ConfigError, match="is not what `evidence capsule` writes"):
        replayed(whole)


# ---------------------------------------------------------------------- public capsules


def test_a_public_capsule_is_read_again_and_never_called_identical(review: Review, public: Path) -> None:
    found = replayed(public)
    assert found.same and found.again is not None
    again = found.again
    ((works,),) = review.copy.rows("select count(*) from works")
    assert again.read + again.without_text + again.decided == works
    assert (again.without_text, again.decided) == (2, 2) and again.read > 10
    text = replay_report.report(found)
    assert "Could not be read again, because their abstract is left out: 2 works." in text
    assert "Not compared, because the ledger of decisions is left out: 2 works" in text
    assert "This is not a proof" in text and "dentical" not in text


PUBLIC_TAMPERED: dict[str, tuple[str, str]] = {
    "a tag": ("delete from tags where doi = '10.5555/work.2' and facet = 'variant'", "tags (variant:"),
    "a strength": ("update tags set strength = 'implied' where doi = '10.5555/work.2'", "how sure its tags are"),
    "a verdict": ("update works set screened = 'exclude' where doi = '10.5555/work.2'", "verdict is exclude in the capsule"),
    "a title": ("update works set title = 'Migraine' where doi = '10.5555/work.2'", "verdict is include in the capsule"),
    "a reason": ("update reasons set start = start + 1 where doi = '10.5555/work.2' and start = 0", "the text behind"),
    "a sentence": ("update works set why = 'It is.' where doi = '10.5555/work.2'", "the sentence behind the verdict"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("what", PUBLIC_TAMPERED)
def test_what_was_changed_in_a_public_capsule_is_found_by_reading_again(public: Path, what: str) -> None:
    statement, said = PUBLIC_TAMPERED[what]
    sql(statement)(public)
    remade(public)
    found = replayed(public)
    assert found.again is not None and found.again.differ == 1 and not found.same
    assert said in replay_report.report(found)


def test_the_description_names_each_file_as_it_is(whole: Path) -> None:
    path = whole / "data" / ro_crate.METADATA
    path.write_text("[]", encoding="utf-8")
    remade(whole, described=False)
    assert [problem.what for problem in verify(whole)[0]] == ["cannot be read as the description of the capsule"]
