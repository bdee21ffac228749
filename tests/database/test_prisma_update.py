"""The flow in two columns and the flow of an update: they add up in every history, agree with the whole flow, and agree with a
slow recount of the tables."""

from __future__ import annotations

import sqlite3
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence.database import prisma_flow
from evidence.database.values_for_writer import HarvestedPage, Reject, Sighting, SourceRow
from evidence.database.writer import Store, open_store
from evidence.export import prisma_report
from tests.database.test_prisma_flow import (
    DOIS,
    SOURCES,
    adds_up,
    judgement,
    month,
    record,
    start,
    take_step,
)

KINDS = dict(SOURCES)


def true_after(row: dict[str, Any], run: int) -> bool:
    return row["first_run"] <= run and (row["last_run"] is None or row["last_run"] > run)


def table(conn: sqlite3.Connection, name: str) -> list[dict[str, Any]]:
    cursor = conn.execute(f"select * from {name}")
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def recount(conn: sqlite3.Connection, run: int) -> dict[str, int]:
    """The boxes after a run, counted record by record from the tables of records, by PRISMA's definitions alone."""
    history, sightings = table(conn, "verdict_history"), table(conn, "sightings")
    kinds = {
        (row["source"], number): row["kind"]
        for row in table(conn, "source_history")
        for number in range(run + 1)
        if true_after(row, number)
    }
    found = [row for row in sightings if row["first_run"] <= run]
    landed: dict[str, int] = {}
    for row in history:
        landed[row["doi"]] = min(row["first_run"], landed.get(row["doi"], row["first_run"]))
    landed = {doi: first for doi, first in landed.items() if first <= run}
    verdicts = {row["doi"]: row for row in history if true_after(row, run)}
    rejects = [
        row
        for row in table(conn, "rejects")
        if row["first_run"] <= run and (row["doi"] is None or landed.get(row["doi"], run + 1) > run)
    ]
    first_found = {
        doi: min(row["first_run"] for row in found if row["doi"] == doi) for doi in {row["doi"] for row in found}
    }
    by_itself = [doi for doi, first in landed.items() if first_found.get(doi, run + 1) > first]
    methods = Counter(kinds.get((row["source"], row["first_run"]), "files") for row in (*found, *rejects))
    count = Counter(row["verdict"] for row in verdicts.values())
    return {
        "identified": len(found) + len(by_itself) + len(rejects),
        "searches": methods["search"],
        "lists": methods["references"],
        "unusable": len(rejects),
        "pending": len(first_found.keys() - landed.keys()),
        "again": len(found) - len(first_found) + sum(doi in first_found for doi in by_itself),
        "same_work": count["duplicate"],
        "not_understood": count["not-understood"],
        "aliases": count["alias"],
        "screened": count["include"] + count["exclude"] + count["unsure"],
        "included": count["include"],
        "excluded": count["exclude"],
        "waiting": count["unsure"],
        "reports": count["include"]
        + sum(
            row["verdict"] == "duplicate" and verdicts.get(row["same_as"], {}).get("verdict") == "include"
            for row in verdicts.values()
        ),
    }


def columns_agree(conn: sqlite3.Connection, run: int) -> None:
    """The two columns together are the whole flow, and each adds up by PRISMA's arithmetic."""
    whole, split = prisma_flow.read_flow(conn, run), prisma_flow.read_split(conn, run)
    for column in split.columns:
        assert column.identified.total() - column.duplicates - column.removed_otherwise == column.screened
        assert min(column.duplicates, column.removed_otherwise, column.screened) >= 0
        assert column.reasons.total() == column.excluded and column.anew == 0
    for key, name in (("duplicates", "duplicates"), ("removed_otherwise", "removed_otherwise"), ("screened", "screened"),
                      ("excluded", "excluded"), ("waiting", "waiting"), ("included", "included")):  # fmt: skip
        assert whole[key] == sum(getattr(column, name) for column in split.columns), key
    assert split.databases.identified.total() == whole["searches"] + whole["databases"] + whole["registers"]
    assert prisma_flow.most_first(split.databases.reasons + split.others.reasons) == whole.excluded
    assert (split.previous, split.gone.total(), split.total) == (0, 0, whole["included"])
    assert split.new_reports == split.total_reports == whole["reports"]


def update_adds_up(conn: sqlite3.Connection, run: int, since: int) -> prisma_flow.Flow:
    """Previous + new - gone = total, and what came after adds up to the new studies."""
    then, now = prisma_flow.read_flow(conn, since), prisma_flow.read_flow(conn, run)
    flow = prisma_flow.read_update(conn, run, since)
    n = {box["key"]: box["n"] for box in flow.boxes}
    assert all(value >= 0 for value in n.values()), n
    assert (n["previous_studies"], n["previous_reports"]) == (then["included"], then["reports"])
    assert (n["total_studies"], n["total_reports"]) == (now["included"], now["reports"])
    assert n["previous_studies"] + n["included"] - n["gone"] == n["total_studies"]
    assert n["previous_reports"] + n["reports"] - n["gone_reports"] == n["total_reports"]
    assert n["gone"] == n["gone_excluded"] + n["gone_waiting"] + n["gone_merged"]
    assert n["identified"] == now["identified"] - then["identified"] == sum(row["n"] for row in flow.sources)
    assert n["identified"] - n["removed"] + n["anew"] == n["screened"]
    assert n["screened"] == n["excluded"] + n["waiting"] + n["included"]
    assert n["excluded"] == sum(number for _, number in flow.excluded)
    return flow


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.lists(month, min_size=1, max_size=5))
def test_columns_and_updates_add_up_in_every_history(history: list[list[tuple[Any, ...]]]) -> None:
    with TemporaryDirectory() as folder, open_store(Path(folder) / "evidence.db") as store:
        shown: dict[tuple[int, int], Any] = {}
        for months, steps in enumerate(history, start=1):
            run = store.start_run("crossref", "0", f"2026-{months:02d}-01T00:00:00Z")
            store.register_sources(run, [SourceRow(source, kind, source, "{}") for source, kind in SOURCES])
            for number, what in enumerate(steps):
                take_step(store, run, months * 100 + number, what)
            store.finish_run(run, "complete", {}, f"2026-{months:02d}-01T00:01:00Z")
            for since in range(run):
                shown[run, since] = update_adds_up(store.conn, run, since)
        for run in range(1, len(history) + 1):
            columns_agree(store.conn, run)
            flow = prisma_flow.read_flow(store.conn, run)
            adds_up(flow)
            counted = recount(store.conn, run)
            assert {key: flow[key] for key in counted} == counted
        for (run, since), before in shown.items():
            assert prisma_flow.read_update(store.conn, run, since).boxes == before.boxes


def test_an_update_says_what_is_new_what_was_decided_anew_and_what_is_gone(store: Store) -> None:
    run = start(store, 1)
    verdicts = ["include", "include", "include", "include", "unsure", "exclude"]
    works = [record(DOIS[n], "d", judgement(v)) for n, v in enumerate(verdicts)]
    store.write_page(run, "by-name", HarvestedPage(works, [Sighting(w.doi, "search") for w in works]))
    run = start(store, 2)
    new = [record(DOIS[6], "d", judgement("include")), record(DOIS[7], "d", judgement("exclude", why="children"))]
    store.write_page(run, "by-name", HarvestedPage(new[:1], [Sighting(DOIS[6], "search")]))
    store.write_page(
        run,
        "article",
        HarvestedPage(
            new[1:],
            [Sighting(DOIS[7], "resolved"), Sighting(DOIS[0], "resolved")],
            rejects=[Reject("r", None, "no DOI", "{}")],
        ),
    )
    store.write_judgements(
        run, [record(DOIS[4], "d", judgement("include")), record(DOIS[1], "d", judgement("exclude"))]
    )
    store.write_judgements(run, [record(DOIS[2], "d", judgement("unsure"))])
    store.set_duplicates(run, [], {DOIS[3]: DOIS[0]})
    flow = update_adds_up(store.conn, run, 1)
    expected = {
        "previous_studies": 4, "previous_reports": 4, "identified": 4, "searches": 1, "lists": 3, "duplicates": 1,
        "removed_otherwise": 1, "anew": 1, "screened": 3, "excluded": 1, "included": 2, "reports": 2, "gone": 3,
        "gone_excluded": 1, "gone_waiting": 1, "gone_merged": 1, "gone_reports": 2, "total_studies": 3, "total_reports": 4,
    }  # fmt: skip
    assert {key: flow[key] for key in expected} == expected
    assert flow.excluded == (("Excluded: children", 1),)
    said = prisma_report.flow_report(flow)
    assert "      4  Studies included in previous version of review" in said
    assert "      1    found to be the same study as another" in said
    split = prisma_flow.read_split(store.conn, run, 1)
    assert (split.databases.included, split.others.included) == (2, 0)
    assert split.others.reasons == Counter({"Excluded: children": 1})


def test_a_doi_that_leads_to_another_record_is_neither_a_new_study_nor_a_gone_one(store: Store) -> None:
    run = start(store, 1)
    work = record(DOIS[0], "d", judgement("include"))
    store.write_page(run, "by-name", HarvestedPage([work], [Sighting(DOIS[0], "search")]))
    run = start(store, 2)
    store.write_page(
        run, "by-name", HarvestedPage([record(DOIS[1], "d", judgement("include"))], aliases=[(DOIS[0], DOIS[1])])
    )
    flow = update_adds_up(store.conn, run, 1)
    assert [flow[key] for key in ("previous_studies", "included", "gone", "total_studies")] == [1, 0, 0, 1]
    assert flow["identified"] == flow["duplicates"] == 1
