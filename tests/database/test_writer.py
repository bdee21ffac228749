"""The store: whole pages, honest counts, no write without a change, and strangers' files left alone."""

from __future__ import annotations

import json
import os
import random
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database

from evidence import current_decisions
from evidence.data_model import SAME_WORK, Author, Doi, Judgement, Match, Notice, Relation, Strength, Tag, Work
from evidence.database import read_queries, schema, write_works
from evidence.database.connection import open_evidence
from evidence.database.values_for_writer import (
    HarvestedPage,
    JudgedRecord,
    Reject,
    SearchRequest,
    Sighting,
    SourceRow,
    TagUpdate,
    tag_row,
)
from evidence.database.work_rows import rows_of
from evidence.database.writer import Store, open_store
from evidence.errors import ConfigError, StoreError
from evidence.rules import topic
from tests.builders import decision, tagging

NOW = "2026-11-24T12:00:00Z"
TITLE = "Interpersonal psychotherapy: past, present, and future"
WORK = Work(
    Doi("10.1002/cpp.1774"),
    title=TITLE,
    container="Clin Psychol Psychother",
    issued="2012",
    year=2012,
    authors=(Author("Markowitz", "J"), Author("Weissman", "M"), Author(name="IPT Group")),
    notices=(Notice("correction", Doi("10.5555/notice"), "2013", "publisher", "updated-by"),),
    relations=(Relation("has-preprint", "10.5555/pre", "subject"),),
    cites=((Doi("10.5555/cited"), "publisher"),),
)
JUDGED = Judgement(
    "include",
    "rule",
    "The title names it.",
    "title",
    (Match("screen/name", "title", 0, 27, TITLE[:27]),),
    (Tag("variant", "ipt", (Match("variant/ipt", "title", 0, 27, TITLE[:27]),)),),
)


def record(work: Work = WORK, judgement: Judgement = JUDGED, digest: str = "d1", basis: str = "b1") -> JudgedRecord:
    return JudgedRecord(
        work.doi, digest, json.dumps({"DOI": work.doi, "v": digest}), rows_of(work, judgement, basis), basis
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "evidence.db") as opened:
        opened.set_facets([("variant", "ipt", "IPT", "The therapy", 1), ("variant", "mit", "MIT", "Another", 2)])
        yield opened


def run(store: Store) -> int:
    number = store.start_run("crossref", "0", NOW)
    store.register_sources(number, [SourceRow("s", "search", "S", "{}"), SourceRow("r", "references", "R", "{}")])
    return number


def dump(store: Store, leave: tuple[str, ...] = ("runs",)) -> dict[str, list[Any]]:
    tables = [t for t in (*schema.RECORD_TABLES, *schema.DERIVED_TABLES, "works_fts_docsize") if t not in leave]
    return {t: sorted(store.conn.execute(f"select * from {t}").fetchall(), key=repr) for t in tables}


def found(store: Store, words: str) -> list[str]:
    sql = "select doi from works where rowid in (select rowid from works_fts where works_fts match ?) order by doi"
    return [doi for (doi,) in store.conn.execute(sql, (words,))]


def test_a_page_fills_every_table_and_the_same_page_again_changes_nothing(store: Store) -> None:
    first = run(store)
    page = HarvestedPage([record()], [Sighting(WORK.doi, "search", 3, 1.5)], [(Doi("10.5555/old"), WORK.doi)])
    written = store.write_page(first, "s", page)
    assert (written.new, written.changed, written.sightings) == (1, 0, 1)
    before = dump(store)
    assert len(before["authors"]) == 3
    assert before["cites"] == [(WORK.doi, "10.5555/cited", "publisher")]
    assert len(before["reasons"]) == 2
    again = store.write_page(run(store), "s", page)
    assert (again.new, again.changed, again.sightings) == (0, 0, 0)
    assert dump(store) == before


def test_a_changed_record_keeps_its_history_and_a_return_to_the_old_text_is_history_too(store: Store) -> None:
    for number, digest in enumerate(("d1", "d2", "d1"), start=1):
        written = store.write_page(run(store), "s", HarvestedPage([record(digest=digest)]))
        assert (written.new, written.changed) == ((1, 0) if number == 1 else (0, 1))
    rows = store.conn.execute("select version, digest, first_run, last_run from snapshots order by version").fetchall()
    assert rows == [(1, "d1", 1, 2), (2, "d2", 2, 3), (3, "d1", 3, None)]
    assert store.digests_and_bases([WORK.doi]) == {WORK.doi: ("d1", "b1")}


@pytest.mark.parametrize("seed", range(5))
def test_an_author_has_the_fullest_name_of_all_works_whatever_came_and_went(store: Store, seed: int) -> None:
    chance = random.Random(seed)
    people = [
        Author("Markowitz", "J"), Author("Markowitz", "John C", orcid="0000-0001-2345-6789"),
        Author("Markowitz", "J C", orcid="0000-0001-2345-6789"), Author("Markowitz", None), Author(name="IPT Group"),
        Author("IPT Group", None), Author("Weissman", "Myrna"), Author(None, "Myrna"), Author(name="Weissman, Myrna"),
    ]  # fmt: skip
    for number in range(40):
        dois = chance.sample([Doi(f"10.5555/{n}") for n in range(6)], chance.randint(1, 3))
        if chance.random() < 0.2:
            with store.conn:
                write_works.delete_work(store.conn, dois[0])
        else:
            works = [replace(WORK, doi=doi, authors=tuple(chance.sample(people, chance.randint(0, 4)))) for doi in dois]
            store.write_page(run(store), "s", HarvestedPage([record(work, digest=f"d{number}") for work in works]))
        credited: dict[str, list[tuple[Any, ...]]] = {}
        for author, *name in store.conn.execute("select author, credited, family, given from work_authors"):
            credited.setdefault(author, []).append(tuple(name))
        fullest = {
            author: min(names, key=lambda name: (-len(name[0]), name[0], name[1] or "", name[2] or ""))
            for author, names in credited.items()
        }
        rows = store.conn.execute("select author, name, family, given, kind from authors").fetchall()
        assert {author: tuple(name) for author, *name, _ in rows} == fullest
        assert {author for author, *_, kind in rows if kind == "group"} == {
            author for author, (_, family, given) in fullest.items() if family is None and given is None
        }


def test_a_reinstatement_undoes_the_retraction_before_it_and_not_the_one_after(store: Store) -> None:
    def notice(kind: str, issued: str) -> Notice:
        return Notice(kind, Doi(f"10.5555/{kind}.{issued}"), issued, "retraction-watch", "updated-by")

    for digest, notices, stands in (
        ("r", (notice("retraction", "2019"), notice("correction", "2018")), "retraction"),
        ("rr", (notice("retraction", "2019"), notice("reinstatement", "2020-05")), "reinstatement"),
        ("rrr", (notice("reinstatement", "2020"), notice("retraction", "2021")), "retraction"),
    ):
        store.write_page(run(store), "s", HarvestedPage([record(replace(WORK, notices=notices), digest=digest)]))
        assert store.conn.execute("select notice from works").fetchone() == (stands,)


def test_full_text_follows_every_change(store: Store) -> None:
    store.write_page(run(store), "s", HarvestedPage([record()]))
    assert found(store, "markowitz") == [WORK.doi]
    other = replace(WORK, title="Dynamic therapy", authors=(Author("Müller", "Zoë"),))
    judged = replace(JUDGED, matches=(), tags=())
    store.write_page(run(store), "s", HarvestedPage([record(other, judged, "d2")]))
    assert found(store, "markowitz") == []
    assert found(store, "muller") == [WORK.doi]
    assert found(store, "therapies") == [WORK.doi]
    store.conn.execute("insert into works_fts (works_fts) values ('integrity-check')")
    assert store.conn.execute("select count(*) from authors").fetchone() == (1,)


def test_search_survives_a_vacuum(store: Store) -> None:
    many = [replace(WORK, doi=Doi(f"10.5555/{n}"), title=f"number{n} psychotherapy") for n in range(40)]
    judged = replace(JUDGED, matches=(), tags=())
    store.write_page(run(store), "s", HarvestedPage([record(w, judged, f"d{w.doi}") for w in many]))
    with store.conn:
        store.conn.execute("delete from works where doi in ('10.5555/3', '10.5555/7')")
    store.conn.execute("vacuum")
    assert found(store, "number30") == ["10.5555/30"]


def test_a_page_lands_whole_or_not_at_all(store: Store) -> None:
    number = run(store)
    before = dump(store)
    unknown = replace(JUDGED, tags=(Tag("variant", "no-such-value", ()),))
    good, bad = record(), record(replace(WORK, doi=Doi("10.5555/bad")), unknown, "d9")
    with pytest.raises(StoreError):
        store.write_page(number, "s", HarvestedPage([good, bad], [Sighting(WORK.doi, "search")], requests=[ASKED]))
    assert dump(store) == before


ASKED = SearchRequest(
    "query.title=x", "", "{}", "2002-01-01", "2014-06-30", None, 0, "relevance", NOW, 10, 10, 1, 10, 3, 1, "complete", 0
)


def test_rejudging_replaces_tags_and_keeps_when_the_work_last_changed(store: Store) -> None:
    first = run(store)
    store.write_page(first, "s", HarvestedPage([record()]))
    second = run(store)
    store.write_judgements(second, [record(basis="b2")])
    assert store.conn.execute("select changed_run, basis from works").fetchone() == (first, "b2")
    third = run(store)
    other = replace(JUDGED, verdict="unsure", tags=(Tag("variant", "mit", ()),))
    store.write_judgements(third, [record(judgement=other, basis="b3")])
    assert store.conn.execute("select changed_run, verdict from works").fetchone() == (third, "unsure")
    assert store.conn.execute("select value from tags").fetchall() == [("mit",)]


def test_a_tag_is_written_with_its_strength_certainty_and_sentence(store: Store) -> None:
    likely = Tag("variant", "ipt", (), "rule", "likely", 0.91849, "IPT: arm (“IPT”).")
    confirmed = Tag("variant", "mit", (), "person")
    store.write_page(run(store), "s", HarvestedPage([record(judgement=replace(JUDGED, tags=(likely, confirmed)))]))
    columns = "value, decided, strength, certainty, how"
    assert store.conn.execute(f"select {columns} from tags order by 1").fetchall() == [
        ("ipt", "rule", "likely", 0.918, "IPT: arm (“IPT”)."),
        ("mit", "person", "stated", None, None),
    ]
    implied = replace(likely, strength="implied", certainty=0.5)
    of_ipt = TagUpdate(WORK.doi, "so", [tag_row(implied)], [])
    store.update_tags(run(store), "b2", [("variant", "ipt")], [WORK.doi], [of_ipt])
    (row,) = read_queries.judged_works(store.conn, [WORK.doi], [("variant", "ipt")])
    assert row["tags"] == {tag_row(implied)}
    assert store.conn.execute("select value from shown_tags").fetchall() == [("mit",)]
    with pytest.raises(sqlite3.IntegrityError):
        store.conn.execute("update tags set strength = 'certain'")


def test_only_tags_that_lists_show_are_announced(store: Store) -> None:
    """A tag that becomes implied leaves the lists, and one that is likely instead of stated does not."""
    tag = Tag("variant", "ipt", ())
    announced: list[list[tuple[Any, ...]]] = []
    strengths: tuple[Strength, ...] = ("implied", "likely", "stated", "implied", "implied", "stated")
    for strength in strengths:
        number = run(store)
        judged = record(replace(WORK, notices=()), replace(JUDGED, tags=(replace(tag, strength=strength),)))
        if announced:
            store.write_judgements(number, [judged])
        else:
            store.write_page(number, "s", HarvestedPage([judged]))
        store.finish_run(number, "complete", {}, NOW)
        told = store.conn.execute("select what, before, after from changes where run = ?", (number,))
        announced.append(told.fetchall())
    comes, goes = ("tags", None, "variant:ipt"), ("tags", "variant:ipt", None)
    assert announced == [[("new", None, "include")], [comes], [], [goes], [], [comes]]


def test_a_record_that_cannot_be_understood_is_kept_whole(store: Store) -> None:
    raw = JudgedRecord(Doi("10.5555/odd"), "d", '{"DOI": "10.5555/odd"}', None, "no title")
    page = HarvestedPage([raw], rejects=[Reject("x", "10.5555/odd", "no title", raw.message)])
    assert store.write_page(run(store), "s", page).rejects == 1
    assert store.conn.execute("select message from snapshots").fetchall() == [(raw.message,)]
    assert store.conn.execute("select count(*) from works").fetchone() == (0,)


def test_a_changed_spec_forgets_the_bookmark_and_a_removed_source_is_retired(store: Store) -> None:
    number = run(store)
    store.complete_source(number, "s", "2026-11-22", None)
    assert store.register_sources(number, [SourceRow("s", "search", "Renamed", "{}")])["s"].bookmark == "2026-11-22"
    assert store.conn.execute("select retired from sources where source = 'r'").fetchone() == (number,)
    assert store.register_sources(number, [SourceRow("s", "search", "Renamed", '{"a": 1}')])["s"].bookmark is None
    assert store.register_sources(number, [SourceRow("r", "references", "R", "{}")])["r"].bookmark is None
    assert store.conn.execute("select retired from sources where source = 'r'").fetchone() == (None,)


def test_what_a_whole_harvest_no_longer_finds_is_marked_and_comes_back(store: Store) -> None:
    sighting = [Sighting(WORK.doi, "search", 1, 2.0)]
    store.write_page(run(store), "s", HarvestedPage([record()], sighting))
    assert store.end_sightings(run(store), "s", []) == 1
    assert store.conn.execute("select last_run from sightings").fetchone() == (2,)
    assert store.end_sightings(run(store), "s", []) == 0
    assert store.write_page(run(store), "s", HarvestedPage([], sighting)).sightings == 1
    assert store.conn.execute("select first_run, last_run from sightings").fetchone() == (1, None)


def test_a_run_left_running_is_known_to_have_crashed(store: Store) -> None:
    run(store)
    run(store)
    assert store.conn.execute("select outcome from runs order by run").fetchall() == [("crashed",), ("running",)]


def test_decisions_are_append_only(store: Store) -> None:
    said = decision(WORK.doi, rules="r", record="d")
    store.append_decisions([said])
    assert store.decisions() == (said,)
    ledger = sqlite3.connect(store.ledger_path)
    for sql in ("update decisions set reason = 'x'", "delete from decisions"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            ledger.execute(sql)
    ledger.close()


def test_a_strangers_database_is_left_as_it_was(tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    Database(other).table("mine").insert({"a": 1})
    (tmp_path / "text.db").write_text("not a database, but long enough to be looked at\n")
    for path, says in ((other, "not made by evidence"), (tmp_path / "text.db", "not a SQLite database")):
        before = path.read_bytes()
        with pytest.raises(StoreError, match=says):
            open_store(path)
        assert path.read_bytes() == before


def test_a_newer_database_is_refused_and_untouched(tmp_path: Path) -> None:
    path = tmp_path / "evidence.db"
    open_store(path).close()
    with sqlite3.connect(path) as conn:
        conn.execute("insert into _sqlite_migrations (migration_set, name, applied_at) values ('evidence', 'm999', '')")
    conn.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="newer version"):
        open_store(path)
    assert path.read_bytes() == before


def test_the_two_databases_are_not_mistaken_for_each_other(tmp_path: Path) -> None:
    open_store(tmp_path / "evidence.db").close()
    with pytest.raises(StoreError, match="other database"):
        open_store(tmp_path / "decisions.db", tmp_path / "evidence.db")


def test_a_damaged_database_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "evidence.db"
    open_store(path).close()
    raw = bytearray(path.read_bytes())
    raw[100:4000] = os.urandom(3900)
    path.write_bytes(raw)
    with pytest.raises(StoreError, match="damaged"):
        open_store(path)


def test_a_missing_folder_and_a_folder_in_place_of_a_file_are_reported(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be read"):
        open_store(tmp_path, tmp_path / "d.db")
    with pytest.raises(StoreError, match="folder exists"):
        open_store(tmp_path / "none" / "evidence.db")


def test_a_full_disk_leaves_the_database_as_it_was(store: Store) -> None:
    number = run(store)
    before = dump(store)
    (pages,) = store.conn.execute("pragma page_count").fetchone()
    store.conn.execute(f"pragma max_page_count = {pages}")
    big = [record(replace(WORK, doi=Doi(f"10.5555/{n}"), abstract="x " * 4000), digest=f"d{n}") for n in range(50)]
    with pytest.raises(StoreError, match="disk is full"):
        store.write_page(number, "s", HarvestedPage(big))
    store.conn.execute("pragma max_page_count = 1000000")
    assert dump(store) == before
    assert store.write_page(number, "s", HarvestedPage(big)).new


def test_a_locked_database_is_reported(store: Store) -> None:
    store.conn.execute("pragma busy_timeout = 10")
    other = sqlite3.connect(store.path)
    other.execute("begin immediate")
    with pytest.raises(StoreError, match="another program"):
        store.start_run("crossref", "0", NOW)
    other.rollback()
    other.close()


def test_every_earlier_schema_migrates_to_todays(tmp_path: Path) -> None:
    """Databases of the first schema open and look as a new one does."""
    path = tmp_path / "evidence.db"
    first = Database(path)
    schema.evidence.apply(first, stop_before="m002_decisions_shown")
    first.conn.execute(f"pragma application_id = {schema.APPLICATION_ID}")
    first.close()
    fresh = tmp_path / "fresh.db"
    for file in (path, fresh):
        open_store(file, tmp_path / "decisions.db").close()
    shapes = []
    for file in (path, fresh):
        conn = sqlite3.connect(file)
        shapes.append(conn.execute("select type, name, sql from sqlite_master order by 1, 2").fetchall())
        conn.close()
    assert shapes[0] == shapes[1]
    tables = {name for kind, name, _ in shapes[0] if kind == "table"}
    assert set(schema.RECORD_TABLES) | set(schema.DERIVED_TABLES) <= tables


def test_tags_of_an_earlier_schema_count_as_stated_until_their_works_are_judged_again(tmp_path: Path) -> None:
    path = tmp_path / "evidence.db"
    first = Database(path)
    schema.evidence.apply(first, stop_before="m012_strength")
    first.conn.execute(f"pragma application_id = {schema.APPLICATION_ID}")
    first.conn.executescript(
        """
        insert into runs (run, started, outcome, door, version) values (1, '2026-11-24', 'complete', 'files', '0');
        insert into works (doi, title, verdict, screened, decided, why, judged_on, first_run, changed_run, basis)
            values ('10.1/a', 'T', 'include', 'include', 'rule', 'so', 'title', 1, 1, 'b1');
        insert into facets values ('variant', 'ipt', 'IPT', 'The therapy', 1);
        insert into tags values ('10.1/a', 'variant', 'ipt', 'rule');
        delete from unannounced;
        """
    )
    first.close()
    with open_store(path, tmp_path / "decisions.db") as store:
        assert store.conn.execute("select * from tags").fetchall() == [
            ("10.1/a", "variant", "ipt", "rule", "stated", None, None)
        ]
        assert store.conn.execute("select basis from works").fetchall() == [("",)]
        assert store.unannounced() == set()
        assert store.conn.execute("pragma integrity_check").fetchall() == [("ok",)]
        assert store.conn.execute("pragma foreign_key_check").fetchall() == []


def test_how_long_the_lists_are_is_learnt_when_works_are_judged_again(tmp_path: Path) -> None:
    path = tmp_path / "evidence.db"
    first = Database(path)
    schema.evidence.apply(first, stop_before="m016_deposited_lists")
    first.conn.execute(f"pragma application_id = {schema.APPLICATION_ID}")
    first.conn.executescript(
        """
        insert into runs (run, started, outcome, door, version) values (1, '2026-11-24', 'complete', 'files', '0');
        insert into works (doi, title, verdict, screened, decided, why, judged_on, first_run, changed_run, basis)
            values ('10.1/a', 'T', 'include', 'include', 'rule', 'so', 'title', 1, 1, 'b1');
        delete from unannounced;
        """
    )
    first.close()
    with open_store(path, tmp_path / "decisions.db") as store:
        row = "select references_deposited, references_without_doi, basis from works"
        assert store.conn.execute(row).fetchall() == [(None, None, "")]
        assert store.unannounced() == set()


def test_what_is_not_in_the_files_is_no_longer_reported_as_not_found(tmp_path: Path) -> None:
    path = tmp_path / "evidence.db"
    first = Database(path)
    schema.evidence.apply(first, stop_before="m007_not_in_files")
    first.conn.execute(f"pragma application_id = {schema.APPLICATION_ID}")
    schema.make_views(first.conn)
    first.conn.execute("insert into sources (source, kind, label, spec) values ('a', 'references', 'A', '{}')")
    for run, door in enumerate(("crossref", "files"), start=1):
        first.conn.execute(
            "insert into runs (run, started, outcome, door, version) values (?, ?, 'complete', ?, '0')",
            (run, NOW, door),
        )
        for place, status in enumerate(("not-found", "no-doi")):
            row = ("a", 2 * run + place, "T", "10.1/x", None, status, "P", None, run, None)
            first.conn.execute("insert into citations values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    first.conn.commit()
    first.close()
    with open_store(path, tmp_path / "decisions.db") as store:
        rows = store.conn.execute(
            "select position, text, status, problem, first_run from citations order by 1"
        ).fetchall()
        assert rows == [
            (2, "T", "not-found", "P", 1),
            (3, "T", "no-doi", "P", 1),
            (4, "T", "not-in-files", "P", 2),
            (5, "T", "no-doi", "P", 2),
        ]
        assert store.conn.execute("select count(*) from citations_to_check").fetchone() == (4,)


def test_the_ledger_of_the_first_schema_keeps_every_decision(tmp_path: Path) -> None:
    path = tmp_path / "decisions.db"
    first = Database(path)
    schema.decisions.apply(first, stop_before="d002_withdrawing")
    first.conn.execute(f"pragma application_id = {schema.APPLICATION_ID}")
    row = (3, "10.1/a", "tag", None, "variant", "ipt", "why", "A", NOW, "r", "d", "said")
    first.conn.execute("insert into decisions values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    first.conn.commit()
    first.close()
    with open_store(tmp_path / "evidence.db", path) as store:
        assert store.show_decisions() == 1
        assert store.show_decisions() == 0
        (word,) = store.decisions()
        store.append_decisions([replace(word, action="withdraw", rule_said=None)])
        assert store.show_decisions() == 1
        shown = store.conn.execute("select decision, action, reviewer from decisions order by 1").fetchall()
        assert shown == [(3, "tag", "A"), (4, "withdraw", "A")]
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            store._ledger.conn.execute("delete from decisions")


def test_an_old_ledger_means_what_it_meant(tmp_path: Path) -> None:
    """Undone within the second it was made, stored twice, and with a time that is none: all is kept and read as it was."""
    path = tmp_path / "decisions.db"
    old = Database(path)
    schema.decisions.apply(old, stop_before="d003_what_a_decision_had_seen")
    old.conn.execute(f"pragma application_id = {schema.APPLICATION_ID}")
    columns = "(doi, action, verdict, reason, reviewer, made_at)"
    rows = [
        ("10.1/a", "verdict", "exclude", "why", "A", NOW),
        ("10.1/a", "withdraw", None, "slip", "A", NOW),
        ("10.1/b", "verdict", "include", "why", "A", NOW),
        ("10.1/b", "verdict", "include", "why", "A", NOW),
        ("10.1/c", "verdict", "include", "why", "A", NOW),
        ("10.1/c", "verdict", "exclude", "why", "A", "31/12/2019"),
    ]
    old.conn.executemany(f"insert into decisions {columns} values (?, ?, ?, ?, ?, ?)", rows)
    old.conn.commit()
    old.close()
    with open_store(tmp_path / "evidence.db", path) as store:
        held = store.decisions()
        assert [(d.doi, d.action, d.verdict, d.reason, d.reviewer, d.made_at) for d in held] == rows
        stands = current_decisions.current_decisions(held)
        assert {(d.doi, d.verdict) for d in stands} == {("10.1/b", "include"), ("10.1/c", "include")}
        assert current_decisions.contradictions(held) == []
        store.show_decisions()
        assert store.conn.execute("select count(*) from decisions").fetchone() == (5,)
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            store._ledger.conn.execute("update decisions set reason = 'other'")


def shown_and_kept(store: Store) -> tuple[set[Any], set[Any]]:
    """The decisions that `evidence.db` shows, and those of the ledger as they are to be shown: without number and digests, those
    stored twice once, at the DOIs that works are kept under."""
    columns = "doi, action, verdict, facet, value, reason, reviewer, made_at, rule_said"
    aliases = dict(store.conn.execute("select alias, doi from aliases where last_run is null").fetchall())
    ledger = sqlite3.connect(store.ledger_path)
    kept = ledger.execute(
        f"select min(decision), {columns} from decisions group by {columns}, rules, record"
    ).fetchall()
    ledger.close()
    shown = set(store.conn.execute(f"select decision, {columns} from decisions"))
    return shown, {(number, aliases.get(doi, doi), *rest) for number, doi, *rest in kept}


def test_whatever_happened_to_the_ledger_it_is_shown_as_it_is(tmp_path: Path) -> None:
    """Only what differs is read, found by comparing rows of the same number: also after new aliases, decisions stored twice, and
    another ledger in its place whose numbers stand for other decisions."""
    made = [decision(f"10.1/{n % 5}", "include", "A", reason=f"because {n}") for n in range(12)]
    pairs = [tagging("10.1/1", SAME_WORK, "10.1/2"), tagging("10.1/3", SAME_WORK, "10.1/old")]
    ledgers = [made, [*made[:4], made[2], *pairs, *made[4:], made[9]], made[::-1], [made[3]], []]
    db = tmp_path / "evidence.db"
    with open_store(db, tmp_path / "aliases.db") as store:
        one = run(store)
    for number, decisions in enumerate(ledgers):
        for alias in (None, "10.1/old", "10.1/4"):
            with open_store(db, tmp_path / f"{number}.db") as store:
                if alias is None:
                    store.append_decisions(decisions)
                else:
                    store.conn.execute("update aliases set last_run = ?", (one,))
                    insert = "insert or replace into aliases (alias, doi, first_run) values (?, '10.1/3', ?)"
                    store.conn.execute(insert, (alias, one))
                    before = store.unshown_decisions()
                    store.conn.commit()
                    assert store.unshown_decisions() == before
                shown, kept = shown_and_kept(store)
                unshown = store.unshown_decisions()
                assert unshown.rows == shown ^ kept
                pair = {row for row in unshown.rows if row[4] == SAME_WORK and not (alias and row[5] == "10.1/old")}
                assert set(unshown.works) == {row[1] for row in unshown.rows - pair}
                assert store.show_decisions(unshown) == len(shown ^ kept)
                shown, kept = shown_and_kept(store)
                assert shown == kept
                assert store.unshown_decisions().rows == frozenset()


def test_another_ledger_is_shown_whole(tmp_path: Path) -> None:
    word = decision(WORK.doi, "include", "A")
    for name, reviewer in (("one.db", "A"), ("other.db", "B")):
        with open_store(tmp_path / "evidence.db", tmp_path / name) as store:
            store.append_decisions([replace(word, reviewer=reviewer)])
            store.show_decisions()
            assert store.conn.execute("select reviewer from decisions").fetchall() == [(reviewer,)]


def test_an_older_database_is_not_read_but_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "evidence.db"
    first = Database(path)
    schema.evidence.apply(first, stop_before="m002_decisions_shown")
    first.conn.execute(f"pragma application_id = {schema.APPLICATION_ID}")
    first.close()
    with pytest.raises(StoreError, match="`evidence judge` brings it up to date"):
        open_evidence(path)
    open_evidence(path, older=True).close()
    open_store(path).close()
    open_evidence(path).close()


def test_strict_tables_and_foreign_keys_hold(store: Store) -> None:
    (on,) = store.conn.execute("pragma foreign_keys").fetchone()
    assert on == 1
    strict = {n for n, s in store.conn.execute("select name, strict from pragma_table_list where schema = 'main'") if s}
    assert set(schema.RECORD_TABLES) | set(schema.DERIVED_TABLES) <= strict


def test_a_reader_sees_the_database_while_it_is_written(store: Store) -> None:
    store.write_page(run(store), "s", HarvestedPage([record()]))
    reader = open_evidence(store.path)
    store.write_page(run(store), "s", HarvestedPage([record(digest="d2")]))
    assert read_queries.current_dois(reader) == [WORK.doi]
    reader.close()


def test_searches_of_an_earlier_version_are_read_whole_once_more_and_their_log_stays(tmp_path: Path) -> None:
    """They were read by dates of publication, which lost records."""
    path = tmp_path / "evidence.db"
    old = Database(path)
    schema.evidence.apply(old, stop_before="m003_search_depth")
    old.conn.execute(f"pragma application_id = {schema.APPLICATION_ID}")
    old.conn.execute(
        "insert into runs (run, started, outcome, door, version) values (1, '', 'complete', 'crossref', '')"
    )
    old.conn.executemany(
        "insert into sources (source, kind, label, spec, bookmark) values (?, ?, '', '{}', '2026-11-01')",
        [("s", "search"), ("known-works", "refresh"), ("list", "references")],
    )
    log = (1, 1, "s", "query.title=x", "", "1974-01-01", "2028-12-31", "published", NOW, 9, 9, 1, 1)
    columns = (
        "request, run, source, query, filters, since, until, window_by, asked_at, total, scanned, matched, truncated"
    )
    old.conn.execute(f"insert into requests ({columns}) values ({', '.join('?' * len(log))})", log)
    old.conn.commit()
    old.close()
    with open_store(path) as store:
        bookmarks = dict(store.conn.execute("select source, bookmark from sources").fetchall())
        assert bookmarks == {"s": None, "known-works": "2026-11-01", "list": "2026-11-01"}
        assert store.conn.execute(f"select {columns} from requests").fetchall() == [log]
        assert store.conn.execute("select ended, reached from searches_read").fetchall() == [("unread", None)]


def test_the_topic_is_kept_and_another_is_refused_once_there_are_works(store: Store) -> None:
    ipt, other = topic.load(), topic.load("mindfulness")
    before = store.conn.total_changes
    store.set_topic(ipt)
    assert store.conn.total_changes == before, "a new database has this topic already"
    store.set_topic(other)
    assert schema.read_topic(store.conn) == other
    assert "programme" in [row[1] for row in store.conn.execute("pragma table_info(studies)")]
    store.write_page(run(store), "s", HarvestedPage([record()]))
    with pytest.raises(ConfigError, match=r"its works are of the topic 'mindfulness', and sources\.yaml names 'ipt'"):
        store.set_topic(ipt)
    store.set_topic(replace(other, title="Another title"))
    assert schema.read_topic(store.conn).title == "Another title"
