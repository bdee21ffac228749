"""The flow of records: its boxes add up in every history, agree with every list, and the flow of a past day stays the same."""

from __future__ import annotations

import html
import re
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from datasette.app import Datasette
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence import strict_yaml
from evidence.data_model import SAME_WORK, Doi, Judgement, Work
from evidence.database import prisma_flow, read_queries
from evidence.database.connection import reading
from evidence.database.values_for_writer import HarvestedPage, JudgedRecord, Reject, Sighting, SourceRow
from evidence.database.work_rows import rows_of
from evidence.database.writer import Store, open_store
from evidence.export import prisma_report
from evidence.harvest import sources
from evidence.harvest.sync import sync
from evidence.publish import serve
from evidence.review.record_decision import add_decisions
from evidence.rules.taxonomy import Taxonomy
from tests.builders import MARKOWITZ, SMALL_YAML, STANGIER, FakeRecordSource, message
from tests.edited_topic import edited, only_psychotherapy

SOURCES = (("by-name", "search"), ("by-variant", "search"), ("article", "references"), ("files", "files"))
DOIS = tuple(Doi(f"10.5555/w{n}") for n in range(8))
VERDICTS = ("include", "exclude", "unsure")


def judgement(verdict: str, decided: str = "rule", conflict: bool = False, why: str = "because") -> Judgement:
    return Judgement(verdict, decided, f"Excluded: {why}", "title", (), (), "look again" if conflict else None)  # type: ignore[arg-type]


def record(doi: Doi, digest: str, judged: Judgement | None) -> JudgedRecord:
    rows = rows_of(Work(doi, title=f"Title of {doi}"), judged, "b") if judged else None
    return JudgedRecord(doi, digest, f'{{"DOI": "{doi}", "v": "{digest}"}}', rows, "b" if judged else "no title")


def numbers(conn: sqlite3.Connection, run: int | None = None) -> dict[str, int]:
    return {box["key"]: box["n"] for box in prisma_flow.read_flow(conn, run).boxes}


def adds_up(found: prisma_flow.Flow) -> None:
    n = {box["key"]: box["n"] for box in found.boxes}
    assert all(value >= 0 for value in n.values()), n
    assert n["identified"] == n["searches"] + n["lists"] + n["others"] == sum(s["n"] for s in found.sources)
    assert n["removed"] == n["duplicates"] + n["removed_otherwise"]
    assert n["duplicates"] == n["again"] + n["same_work"]
    assert n["removed_otherwise"] == n["unusable"] + n["not_understood"] + n["aliases"] + n["pending"]
    assert n["identified"] - n["removed"] == n["screened"], n
    assert n["screened"] == n["included"] + n["excluded"] + n["waiting"]
    assert n["excluded"] == n["excluded_by_rule"] + n["excluded_by_person"]
    for most in (0, 1, 8):
        assert sum(count for _, count in found.reasons(most)) == n["excluded"]
    assert n["reports"] >= n["included"]


judged = st.builds(
    judgement,
    st.sampled_from(VERDICTS),
    st.sampled_from(["rule", "person"]),
    st.booleans(),
    st.sampled_from(["a", "b"]),
)
landing = st.tuples(
    st.just("land"),
    st.sampled_from([source for source, _ in SOURCES]),
    st.lists(st.tuples(st.sampled_from(DOIS), st.none() | judged, st.booleans()), max_size=4),
    st.integers(0, 2),
)
step = st.one_of(
    landing,
    st.tuples(st.just("rejudge"), st.lists(st.tuples(st.sampled_from(DOIS), judged), max_size=3)),
    st.tuples(st.just("cluster"), st.dictionaries(st.sampled_from(DOIS[:4]), st.sampled_from(DOIS[4:]), max_size=3)),
    st.tuples(st.just("alias"), st.sampled_from(DOIS), st.sampled_from(DOIS)),
    st.tuples(st.just("close"), st.sampled_from([source for source, _ in SOURCES])),
    st.tuples(st.just("sources"), st.sets(st.sampled_from(SOURCES), min_size=1)),
)
month = st.lists(step, max_size=5)


def take_step(store: Store, run: int, number: int, what: tuple[Any, ...]) -> None:
    if what[0] == "land":
        _, source, works, unusable = what
        records = {doi: record(doi, f"d{number}", judged) for doi, judged, _ in works}
        seen = [Sighting(doi, "search") for doi in dict.fromkeys(doi for doi, _, sighted in works if sighted)]
        rejects = [Reject(f"r{number}.{n}", None, "no DOI", "{}") for n in range(unusable)]
        rejects += [Reject(f"r{number}.{doi}", doi, "no title", "{}") for doi, r in records.items() if r.rows is None]
        store.write_page(run, source, HarvestedPage(list(records.values()), seen, rejects=rejects))
    elif what[0] == "rejudge":
        known = {doi for (doi,) in store.conn.execute("select doi from works")}
        store.write_judgements(run, [record(doi, "d", judged) for doi, judged in dict(what[1]).items() if doi in known])
    elif what[0] == "cluster":
        screened = dict(store.conn.execute("select doi, screened from works where screened <> 'exclude'").fetchall())
        store.set_duplicates(run, [], {a: b for a, b in what[1].items() if a in screened and b in screened})
    elif what[0] == "alias":
        store.write_page(run, "files", HarvestedPage(aliases=[(what[1], what[2])] if what[1] != what[2] else []))
    elif what[0] == "close":
        store.end_sightings(run, what[1], [])
    else:
        store.register_sources(run, [SourceRow(source, kind, source, "{}") for source, kind in sorted(what[1])])


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(st.lists(month, min_size=1, max_size=5))
def test_every_flow_adds_up_and_the_flow_of_a_past_day_stays_the_same(history: list[list[tuple[Any, ...]]]) -> None:
    with TemporaryDirectory() as folder, open_store(Path(folder) / "evidence.db") as store:
        shown: dict[int, Any] = {}
        for months, steps in enumerate(history, start=1):
            run = store.start_run("crossref", "0", f"2026-{months:02d}-01T00:00:00Z")
            store.register_sources(run, [SourceRow(source, kind, source, "{}") for source, kind in SOURCES])
            for number, what in enumerate(steps):
                take_step(store, run, months * 100 + number, what)
                adds_up(prisma_flow.read_flow(store.conn))
            store.finish_run(run, "complete", {}, f"2026-{months:02d}-01T00:01:00Z")
            now = prisma_flow.read_flow(store.conn)
            agrees_with_lists(store.conn, now)
            shown[months] = (now.boxes, now.excluded, {(s["source"], s["found_by"]): s["n"] for s in now.sources})
        for months, before in shown.items():
            then = read_queries.flow(store.conn, f"2026-{months:02d}-28")
            adds_up(then)
            found = (then.boxes, then.excluded, {(s["source"], s["found_by"]): s["n"] for s in then.sources})
            assert found == before
        assert read_queries.flow(store.conn, "2025-12-31")["identified"] == 0


def agrees_with_lists(conn: sqlite3.Connection, found: prisma_flow.Flow) -> None:
    """What the flow says is what the tables that it is linked to hold, and what the view, `status` and the lists say."""

    def count(sql: str) -> int:
        return int(conn.execute(f"select count(*) from {sql}").fetchone()[0])

    assert found["identified"] == count("prisma_records")
    assert found["again"] == count("prisma_records where found = 'again'")
    assert found["searches"] == count("prisma_records where found_by = 'search'")
    assert found["unusable"] == count("prisma_records where doi is null")
    assert found["screened"] == count("works where verdict <> 'duplicate'")
    assert found["same_work"] == count("works where verdict = 'duplicate'")
    assert found["included"] == count("works where verdict = 'include'")
    assert found["excluded"] == count("works where verdict = 'exclude'")
    assert found["excluded_by_person"] == count("works where verdict = 'exclude' and decided = 'person'")
    state = read_queries.status(conn)
    assert found["waiting"] == count("to_check") == count("works where verdict = 'unsure'") == state["waiting"]
    assert found["decisions_to_check"] == count("decisions_to_check") == state["decisions_to_check"]
    assert found["reports"] - found["included"] == count(
        "works d join works i on i.doi = d.same_as where d.verdict = 'duplicate' and i.verdict = 'include'"
    )
    view = dict(conn.execute("select key, n from prisma").fetchall())
    assert view == {box["key"]: box["n"] for box in found.boxes}
    standing = "select doi, verdict, decided, same_as, conflict is not null from works order by doi"
    noted = """
        select doi, verdict, decided, same_as, conflict from verdict_history
        where last_run is null and verdict not in ('not-understood', 'alias') order by doi
    """
    assert conn.execute(standing).fetchall() == conn.execute(noted).fetchall()
    assert not conn.execute(
        "select doi from verdict_history where last_run is null group by doi having count(*) > 1"
    ).fetchall()


def start(store: Store, month: int) -> int:
    run = store.start_run("crossref", "0", f"2026-{month:02d}-01T00:00:00Z")
    store.register_sources(run, [SourceRow(source, kind, source.upper(), "{}") for source, kind in SOURCES])
    return run


def test_each_record_is_counted_in_its_box(store: Store) -> None:
    run = start(store, 1)
    works = [record(DOIS[n], "d", judgement(v)) for n, v in enumerate(["include", "include", "exclude", "unsure"])]
    store.write_page(run, "by-name", HarvestedPage(works, [Sighting(w.doi, "search") for w in works]))
    store.write_page(
        run, "article", HarvestedPage([], [Sighting(DOIS[0], "resolved")], rejects=[Reject("r", None, "no DOI", "{}")])
    )
    store.write_page(run, "refresh", HarvestedPage([record(DOIS[5], "d", None)]))
    store.set_duplicates(run, [], {DOIS[1]: DOIS[0]})
    found = prisma_flow.read_flow(store.conn)
    expected = {
        "identified": 7, "searches": 4, "lists": 2, "others": 1, "duplicates": 2, "again": 1, "same_work": 1,
        "removed_otherwise": 2, "unusable": 1, "not_understood": 1, "screened": 3, "included": 1, "reports": 2,
        "excluded": 1, "waiting": 1, "decisions_to_check": 0,
    }  # fmt: skip
    assert {key: found[key] for key in expected} == expected
    assert [found.depth(key) for key in ("removed", "duplicates", "again")] == [0, 1, 2]
    said = prisma_report.flow_report(found)
    assert "      7  Records identified\n      4    from databases" in said
    assert "DOIs without a record" not in said


def test_a_source_that_is_gone_keeps_what_it_found(store: Store) -> None:
    run = start(store, 1)
    store.write_page(
        run, "by-name", HarvestedPage([record(DOIS[0], "d", judgement("include"))], [Sighting(DOIS[0], "search")])
    )
    run = store.start_run("crossref", "0", "2026-02-01T00:00:00Z")
    store.end_sightings(run, "by-name", [])
    store.register_sources(run, [SourceRow("article", "references", "A", "{}")])
    found = prisma_flow.read_flow(store.conn)
    adds_up(found)
    assert (found["identified"], found["screened"], found["included"]) == (1, 1, 1)
    assert [(s["source"], s["retired"], s["n"]) for s in found.sources] == [("by-name", 1, 1)]
    assert "BY-NAME (no longer used)" in prisma_report.flow_report(found)
    assert prisma_flow.read_flow(store.conn, 1).sources[0]["retired"] == 0


def test_a_verdict_that_a_run_gives_and_takes_back_is_no_history(store: Store) -> None:
    run = start(store, 1)
    both = [record(doi, "d", judgement("include")) for doi in DOIS[:2]]
    store.write_page(run, "by-name", HarvestedPage(both, [Sighting(doi, "search") for doi in DOIS[:2]]))
    store.set_duplicates(run, [], {DOIS[1]: DOIS[0]})
    before = store.conn.execute("select * from verdict_history order by doi").fetchall()
    assert [row[3] for row in before] == ["include", "duplicate"]
    again = start(store, 2)
    store.write_judgements(again, both)  # says include for a while, as screening does
    store.set_duplicates(again, [], {DOIS[1]: DOIS[0]})
    assert store.conn.execute("select * from verdict_history order by doi").fetchall() == before


def test_an_upgrade_takes_the_verdicts_of_its_day_for_those_of_before(tmp_path: Path) -> None:
    path = tmp_path / "evidence.db"
    with open_store(path) as store:
        for month, verdict in ((1, "unsure"), (2, "include")):
            run = start(store, month)
            store.write_page(
                run,
                "by-name",
                HarvestedPage([record(DOIS[0], f"d{month}", judgement(verdict))], [Sighting(DOIS[0], "s")]),
            )
            store.finish_run(run, "complete", {}, f"2026-{month:02d}-01T01:00:00Z")
        store.write_page(run, "by-name", HarvestedPage([record(DOIS[1], "d", None)], [Sighting(DOIS[1], "s")]))
    with closing(sqlite3.connect(path)) as conn, conn:
        as_before_the_upgrade(conn)
    with open_store(path) as store:
        then = read_queries.flow(store.conn, "2026-01-31")
        assert (then["included"], then["waiting"]) == (1, 0)
        assert then.recorded_from == "2026-02-01T00:00:00Z"
        assert "recorded since 2026-02-01" in prisma_report.flow_report(then)
        assert prisma_flow.read_flow(store.conn).recorded_from is None
        adds_up(prisma_flow.read_flow(store.conn))
        run = start(store, 3)
        store.write_page(run, "by-name", HarvestedPage([record(DOIS[0], "d3", judgement("exclude"))]))
        assert Counter(numbers(store.conn)) - Counter(numbers(store.conn, 2)) == {"excluded": 1, "excluded_by_rule": 1}


def as_before_the_upgrade(conn: sqlite3.Connection) -> None:
    """Undo m008, so that it is applied again."""
    for (name,) in conn.execute("select name from sqlite_master where type = 'view'").fetchall():
        conn.execute(f"drop view {name}")
    for name in ("verdict_history", "funders", "licences"):
        conn.execute(f"drop table {name}")
    for column in [
        "subtitle",
        "original_title",
        "short_title",
        "edition",
        "isbn",
        "article_number",
        "short_container",
        "publisher_place",
        "institution",
        "event",
        "event_place",
        "event_dates",
        "published_print",
        "published_online",
        "licence",
    ]:
        conn.execute(f"alter table works drop column {column}")
    for column in ("suffix", "orcid"):
        conn.execute(f"alter table work_authors drop column {column}")
    conn.execute("delete from _sqlite_migrations where name = 'm008_kept_metadata'")


# ---------------------------------------------------------------- months of a review


SOURCES_OF_MAY = SMALL_YAML.replace("  - id: by-name", "  - id: by-another-name").replace(
    "label: By name", "label: Anew"
)


def indexed(month: int) -> dict[str, Any]:
    """Shortly before the sync of this month."""
    return {"date-time": f"2026-{month - 1:02d}-28T00:00:00Z", "date-parts": [[2026, month - 1, 28]]}


async def shown_on_site(db: Path, day: str | None) -> tuple[str, dict[str, int]]:
    """The flow as CSV, and how long each list is that the page's numbers lead to."""
    ds = Datasette([str(db)], config_dir=serve.site_folder())
    await ds.invoke_startup()
    query = f"?as_of={day}" if day else ""
    page = (await ds.client.get(f"/prisma{query}")).text
    lists = {}
    for label, address, n in re.findall(r'>([^<>]+) \(n = <a href="([^"]+)">([\d,]+)</a>', page):
        path, _, filters = html.unescape(address).partition("?")
        past = path == "/past"
        answer = await ds.client.get(f"{path}.json?{'' if past else '_shape=objects&_size=1&'}{filters}")
        lists[label] = len(answer.json()["rows"]) if past else answer.json()["filtered_table_rows_count"]
        assert lists[label] == int(n), (day, label)
    return (await ds.client.get(f"/prisma.csv{query}")).text, lists


@pytest.mark.slow
async def test_each_month_of_a_review_is_shown_later_as_it_was_shown_then(tmp_path: Path, book: Taxonomy) -> None:
    db, ledger = tmp_path / "evidence.db", tmp_path / "decisions.db"
    crossref = FakeRecordSource()
    narrower = edited(tmp_path / "rules", screen=only_psychotherapy)

    def month(number: int, rules: Taxonomy = book, text: str = SMALL_YAML) -> None:
        settings = sources.check(strict_yaml.parse(text, "s.yaml"))
        with open_store(db, ledger) as store:
            sync(settings, store, crossref, rules, now=lambda: datetime(2026, number, 1, tzinfo=UTC))

    def say(number: int, doi: str, verdict: Any, tags: tuple[tuple[str, str], ...] = ()) -> None:
        moment = datetime(2026, number, 9, tzinfo=UTC)
        add_decisions(db, ledger, book, lambda: moment, Doi(doi), verdict, tags, (), "read", "Ann")

    shown: dict[int, Any] = {}

    async def look(number: int) -> None:
        with reading(db) as conn:
            found, works = read_queries.flow(conn), read_queries.verdict_counts(conn)
        adds_up(found)
        assert found["waiting"] == works.get("unsure", 0) and found["included"] == works.get("include", 0)
        csv_text, lists = await shown_on_site(db, None)
        timeless = {
            k: v for k, v in lists.items() if k not in ("randomised trials", "systematic reviews and meta-analyses")
        }
        shown[number] = (found.boxes, found.excluded, csv_text, timeless)

    month(1)
    await look(1)
    crossref.messages[Doi("10.5555/new")] = message(
        "10.5555/new", "Interpersonal psychotherapy for grief: a trial", 2024, indexed=indexed(2)
    )
    month(2)
    say(2, STANGIER["DOI"], "exclude")
    await look(2)
    twin = {**MARKOWITZ, "DOI": "10.5555/twin", "container-title": ["Preprints"], "indexed": indexed(3)}
    crossref.messages[Doi("10.5555/twin")] = twin
    month(3)
    say(3, "10.5555/twin", None, ((SAME_WORK, MARKOWITZ["DOI"]),))
    say(3, "10.5555/new", "unsure")
    await look(3)
    month(4, narrower)
    await look(4)
    crossref.messages[STANGIER["DOI"]] = {
        **STANGIER,
        "title": ["Another title"],
        "indexed": indexed(5),
    }
    month(5, narrower, SOURCES_OF_MAY)
    await look(5)
    say(6, "10.5555/new", "include")
    say(6, STANGIER["DOI"], "include")
    month(6)
    await look(6)

    assert len({tuple(box["n"] for box in boxes) for boxes, *_ in shown.values()}) == 6
    for number, (boxes, excluded, csv_text, lists) in shown.items():
        day = f"2026-{number:02d}-28"
        with reading(db) as conn:
            then = read_queries.flow(conn, day)
        assert (then.boxes, then.excluded) == (boxes, excluded), day
        assert await shown_on_site(db, day) == (csv_text, lists), day
