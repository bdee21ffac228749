"""Versions in histories of a review, also random ones: whatever is synced, decided, judged, imported or named later, each version
shows the numbers, lists and tags that were shown when it was made."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from evidence.database import prisma_flow, read_queries, read_versions
from evidence.database.connection import reading
from evidence.database.select_works import Selection, selected_works
from evidence.errors import ConfigError
from evidence.export import file_formats, prisma_report, prisma_template, works_as_of_date
from evidence.export.columns import Layout, columns_of_facets
from evidence.harvest import locked_run
from evidence.harvest.named_versions import freeze
from evidence.harvest.progress import NoProgress
from evidence.harvest.sources import FileSource, Imported
from evidence.publish import prisma_drawing
from tests.builders import FONAGY, LIPSITZ, MARKOWITZ, STANGIER
from tests.export.test_works_as_of_date import KNOWN, NOT_OF_THEN, POOL, YEAR, World, books, step
from tests.harvest.test_import_files import HOMEMADE, as_ris, ris

ALL = ("include", "exclude", "unsure", "duplicate")
FILES = {
    "psycinfo": ("database", ris(as_ris(STANGIER), HOMEMADE)),
    "register": ("register", ris(as_ris(MARKOWITZ, doi=True))),
    "hand": ("citation", ris({**HOMEMADE, "TI": "Interpersonal counselling in a village: a thesis"})),
    "again": ("database", ris(as_ris(FONAGY), as_ris(LIPSITZ))),
}


def bring(world: World, name: str, *, more: bool = False) -> None:
    """Import a file by command, without asking anybody."""
    method, text = FILES[name]
    path = world.folder / f"{name}{'-more' if more else ''}.ris"
    path.write_text(text + (ris({**HOMEMADE, "TI": "Interpersonal psychotherapy at sea"}) if more else ""))
    imported = Imported((path.name,), "A database", "2026-01-01", "interpersonal")
    source = FileSource(name, name.title(), (path,), method, imported, "command")  # type: ignore[arg-type]
    ledger = world.folder / "decisions.db"
    locked_run.run_import(world.db, ledger, world.book, world.clock, NoProgress(), source, ask=False)


def happen(world: World, what: tuple[Any, ...]) -> None:
    if what[0] == "import":
        bring(world, what[1], more=what[2])
    elif what[0] == "tag":
        world.decide(what[1], None, "Ann", (("outcome", "grief-symptoms"),), apart=what[2])
    else:
        world.happen(what)


def name_version(world: World, name: str) -> bool:
    """Name the state of now, judged by the rules of now. False where nothing was harvested yet."""
    ledger = world.folder / "decisions.db"
    locked_run.rejudge_database(world.db, ledger, world.book, world.clock)
    try:
        return freeze(world.db, ledger, world.book, world.clock, name, None, None)[1]
    except ConfigError:
        return False


def works(world: World, as_of: str | None) -> dict[str, dict[str, str]]:
    """What an export says of each work: all columns that a version keeps, tags among them."""
    selection = Selection(ALL)
    with reading(world.db) as conn:
        rows = works_as_of_date.selected_as_of(conn, selection, as_of) if as_of else selected_works(conn, selection)
        text = "".join(file_formats.csv_rows(rows, Layout(past=as_of is not None, past_tags=True)))
    left_out = {"as_of", "same_as", *NOT_OF_THEN}
    return {
        row["doi"] or row["local_id"]: {
            key: said
            for key, said in row.items()
            if key not in left_out and not key.startswith("asked_") and not key.endswith("_today")
        }
        for row in csv.DictReader(io.StringIO(text))
    }


def shown(world: World, as_of: str | None) -> dict[str, Any]:
    """Every number and list that can be asked as of a version; `as_of` None: as it is now."""
    with reading(world.db) as conn:
        flow = read_queries.flow(conn, as_of)
        split = read_queries.split_flow(conn, flow)
        run = read_versions.state_named(conn, as_of).run if as_of else read_queries.newest_run(conn)
        found = {
            "text": prisma_report.flow_report(flow),
            "csv": prisma_template.template_csv(flow, split),
            "svg": prisma_drawing.svg(flow),
            "json": prisma_report.as_json(flow, split, None, None) | {"run": None},
            "since": [prisma_flow.read_update(conn, run, since).boxes for since in range(run or 0)],
            "changes": sorted(row["change"] for row in read_queries.changes(conn, "2000-01-01", until=run, tags=True)),
            "searches": [
                {
                    key: row[key]
                    for key in ("source", "label", "query", "first_asked", "last_asked", "requests", "works")
                }
                for row in read_queries.searches_as_run(conn, run)
            ],
            "imports": [
                {key: row[key] for key in ("source", "label", "method", "records", "works")}
                for row in read_queries.imports_as_run(conn, run)
            ],
        }
    return found | {"works": works(world, as_of)}


known = st.sampled_from(KNOWN)
more_steps = st.one_of(
    step,
    st.tuples(st.just("import"), st.sampled_from(sorted(FILES)), st.booleans()),
    st.tuples(st.just("tag"), known, st.booleans()),
)
DECISIVE: list[list[tuple[Any, ...]]] = [
    [("decide", STANGIER["DOI"], "exclude", "Ann"), ("tag", LIPSITZ["DOI"], False)],
    [("decide", STANGIER["DOI"], "include", "Bob"), ("rules",), ("new", 0), ("sync",), ("import", "psycinfo", False)],
    [("import", "psycinfo", True), ("tag", LIPSITZ["DOI"], True), ("decide", POOL[0]["DOI"], "exclude", "Ann"), ("rules",)],
    [("retracted", LIPSITZ["DOI"]), ("twin", MARKOWITZ["DOI"]), ("full sync",), ("import", "register", False)],
]  # fmt: skip


def play(history: list[list[tuple[Any, ...]]]) -> None:
    with TemporaryDirectory() as folder:
        world = World(Path(folder), books())
        world.sync()
        kept: dict[str, dict[str, Any]] = {}
        for number, steps in enumerate(history, start=1):
            for what in steps:
                happen(world, what)
            name = f"update {number}"
            if name_version(world, name):
                kept[name] = shown(world, None)
        assert kept
        for name, before in kept.items():
            then = shown(world, name)
            for part, said in before.items():
                assert then[part] == said, (name, part)
        with reading(world.db) as conn:
            named = {row["name"]: row for row in read_versions.versions(conn)}
        for name, before in kept.items():
            boxes = {box["key"]: box["n"] for box in before["json"]["boxes"]}
            row = named[name]
            assert (row["included"], row["excluded"], row["unsure"]) == tuple(
                boxes[key] for key in ("included", "excluded", "waiting")
            )


@pytest.mark.slow
def test_a_version_shows_what_was_shown_when_it_was_made() -> None:
    play(DECISIVE)


@pytest.mark.slow
@pytest.mark.timeout(900)
@settings(max_examples=8, deadline=None)
@given(st.lists(st.lists(more_steps, max_size=5), min_size=2, max_size=4))
@example(YEAR)
def test_versions_stay_in_any_history(history: list[list[tuple[Any, ...]]]) -> None:
    play(history)


def test_the_facets_of_an_export_of_a_version_are_those_of_then(tmp_path: Path) -> None:
    world = World(tmp_path, books())
    world.sync()
    doi = str(LIPSITZ["DOI"])
    assert name_version(world, "1")
    before = works(world, "1")[doi]
    world.decide(doi, None, "Ann", (("outcome", "grief-symptoms"),))
    assert name_version(world, "2")
    assert works(world, "1")[doi] == before
    assert "grief-symptoms" in works(world, "2")[doi]["outcome"] and "grief-symptoms" not in before["outcome"]
    assert set(columns_of_facets(None)) <= set(before)
    with reading(world.db) as conn:
        selection = Selection(tags=())
        rows = {row["doi"]: row for row in works_as_of_date.selected_as_of(conn, selection, "2", tag_rows=True)}
    added = [tag for tag in rows[doi]["tag_rows"] if tag["value"] == "grief-symptoms"]
    assert [(tag["strength"], tag["tag_decided"], tag["words"]) for tag in added] == [("stated", "person", None)]
    assert json.dumps(prisma_report.as_json(*flows(world), None, None))


def flows(world: World) -> tuple[prisma_flow.Flow, prisma_flow.Split]:
    with reading(world.db) as conn:
        flow = read_queries.flow(conn)
        return flow, read_queries.split_flow(conn, flow)
