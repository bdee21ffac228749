"""What is computed when a copy is published is what its own SQL says, for every page that reads it."""

from __future__ import annotations

import json
import random
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from datasette.app import Datasette

from evidence.database import schema
from evidence.publish import immutable_copy, precomputed_counts, serve
from tests.publish import test_bitset_counts

FACETS = tuple(test_bitset_counts.FACETS)
RULES = tuple(f"rule-{n}" for n in range(7))
PAGES = (
    *(f"/evidence/{name}.json?_shape=objects" for name in precomputed_counts.QUERIES),
    *(f"/evidence/cited_but_missing.json?_shape=objects&at_least={n}" for n in ("0", "1", "2", "3", "9", "-1", "many", "")),
    *(f"/evidence/{view}.json?_shape=objects&_size=7" for view in precomputed_counts.VIEWS),
    *(f"/evidence/{view}.json?_shape=objects&_size=max" for view in precomputed_counts.VIEWS),
    "/evidence/evidence_map.json?variant=a&_sort_desc=works", "/evidence/to_check.json?year=2005&_sort=title",
    "/evidence/reasons.json?facet=variant&_size=2", "/evidence/reasons.json?facet=variant&rule=rule-1",
    "/evidence/tags.json?facet=outcome", "/evidence/tags.json?value=a&decided=rule", "/evidence/sightings.json?via=search",
    "/evidence/reasons.json?facet__not=variant", "/evidence/cooccurrence.json?_shape=objects",
    *(f"/evidence/cooccurrence.json?_shape=objects&rows={a}&columns={b}" for a in FACETS for b in (*FACETS, "")),
    *(f"/evidence/{query}.json?_shape=objects&variant={value}" for query in ("trials", "reviews") for value in "ab"),
    "/evidence/untagged.json?_shape=objects", "/evidence/untagged.json?_shape=objects&facet=unknown",
    *(f"/evidence/untagged.json?_shape=objects&facet={facet}" for facet in FACETS), "/evidence/waiting.json?_shape=objects",
    "/evidence/reasons.json?_size=3", "/evidence/tags.json?_facet_size=2",
    "/evidence/reasons.json?_size=3&_facet=field", "/evidence/reasons.json?facet=variant", "/evidence/sightings.json?_size=5",
    "/evidence/tags.json?_facet=decided&facet=variant", "/evidence/works.json?verdict=include&_tag=variant:a", "/map.csv",
    "/map.csv?rows=population&columns=outcome&implied=1",
)  # fmt: skip


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A database with citations, reasons and sightings in it, and the folder of its published copy."""
    place = tmp_path_factory.mktemp("precomputed")
    db = test_bitset_counts.make(place / "evidence.db", 300, 5)
    fill(db, random.Random(5))
    done = immutable_copy.publish(db, place / "site", now=lambda: datetime(2026, 11, 24, tzinfo=UTC))
    return db, done.folder


def fill(path: Path, chance: random.Random) -> None:
    with closing(sqlite3.connect(path)) as conn, conn:
        dois = [doi for (doi,) in conn.execute("select doi from works order by doi")]
        elsewhere = [f"10.5555/{n}" for n in range(60)]
        conn.executemany(
            "insert or ignore into cites values (?, ?, null)",
            [(chance.choice(dois), chance.choice((*elsewhere, *dois[:60]))) for _ in range(900)],
        )
        conn.execute("insert into aliases (alias, doi, first_run) values ('10.5555/7', ?, 1)", (dois[0],))
        tagged = conn.execute("select doi, facet, value from tags order by 1, 2, 3").fetchall()
        conn.executemany(
            "insert or ignore into reasons values (?, ?, ?, ?, 'title', 0, 1, 'q')",
            [(*tag, chance.choice(RULES)) for tag in tagged],
        )
        conn.executemany(
            "insert into reasons values (?, 'verdict', 'unsure', 'r', 'abstract', 0, 1, 'q')",
            [(doi,) for doi in dois[::3]],
        )
        for source, kind in (("list", "references"), ("find", "search"), ("gone", "search")):
            conn.execute(
                "insert into sources (source, kind, label, spec, first_run, retired) values (?, ?, ?, '{}', 1, ?)",
                (source, kind, source.upper(), 2 if source == "gone" else None),
            )
            conn.executemany(
                "insert into sightings (source, doi, via, first_run, last_run) values (?, ?, ?, 1, ?)",
                [(source, doi, kind, chance.choice((None, None, 2))) for doi in chance.sample(dois, 150)],
            )


async def site(db: Path, folder: Path, *, immutable: bool) -> Datasette:
    files = {"immutables": [str(db)]} if immutable else {"files": [str(db)]}
    ds = Datasette(config_dir=folder, **files)
    await ds.invoke_startup()
    return ds


def seen(answer: Any, address: str) -> Any:
    assert answer.status_code == 200, (address, answer.text)
    if "/map.csv" in address:
        return answer.text
    page = answer.json()
    facets = {
        name: [(value["value"], value["count"]) for value in facet["results"]]
        for name, facet in page.get("facet_results", {}).items()
    }
    return page["rows"], page["columns"], page.get("filtered_table_rows_count"), facets, page.get("next")


@pytest.mark.slow
async def test_pages_of_a_copy_say_what_the_working_database_says(both: tuple[Path, Path]) -> None:
    db, folder = both
    working = await site(db, serve.site_folder(), immutable=False)
    published = await site(folder / "evidence.db", folder / "site", immutable=True)
    for address in PAGES:
        expected = seen(await working.client.get(address), address)
        assert seen(await published.client.get(address), address) == expected, address
        assert expected[0] or any(part in address for part in ("at_least=9", "cooccurrence", "unknown")), address
        plain = address.replace(".json", "")
        assert (await published.client.get(plain)).status_code == 200


async def test_queries_of_a_copy_read_what_was_computed(both: tuple[Path, Path]) -> None:
    _, folder = both
    about = yaml.safe_load((folder / "site" / "metadata.yaml").read_text(encoding="utf-8"))["databases"]["evidence"]
    with closing(sqlite3.connect(folder / "evidence.db")) as conn:
        for name in precomputed_counts.QUERIES:
            sql = about["queries"][name]["sql"]
            plan = conn.execute(f"explain query plan {sql}", {"at_least": "", "variant": ""}).fetchall()
            of_an_intervention = [
                "LIST SUBQUERY 1",
                "SEARCH tags USING COVERING INDEX tags_value (facet=? AND value=?)",
            ]
            narrowed = of_an_intervention if name in ("trials", "reviews") else []
            assert [step[3] for step in plan] == [f"SCAN published_{name}", *narrowed]
        for name in (
            *map(precomputed_counts.table_of, precomputed_counts.ANSWERED),
            *precomputed_counts.TABLES,
        ):
            columns = {row[1] for row in conn.execute(f"pragma table_info({name})")}
            assert about["tables"][name]["hidden"] is True
            assert set(about["tables"][name]["columns"]) == columns


async def test_facets_of_a_whole_table_are_read_from_the_counts(both: tuple[Path, Path], tmp_path: Path) -> None:
    _, folder = both
    path = tmp_path / "evidence.db"
    path.write_bytes((folder / "evidence.db").read_bytes())
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute(f"update {precomputed_counts.VALUES} set n = n + 100000")
    ds = await site(path, folder / "site", immutable=True)
    for args, stored in (
        ("", True),
        ("&_facet_size=3", True),
        ("&facet=variant", True),
        ("&facet__not=variant", False),
        ("&_facet=field", True),
    ):
        found = (await ds.client.get(f"/evidence/reasons.json?_size=1{args}")).json()["facet_results"]
        assert {"facet", "rule"} <= set(found)
        assert all(
            (value["count"] > 100000) == stored for name in ("facet", "rule") for value in found[name]["results"]
        )


async def test_a_copy_that_may_be_written_to_is_counted(both: tuple[Path, Path], tmp_path: Path) -> None:
    _, folder = both
    path = tmp_path / "evidence.db"
    path.write_bytes((folder / "evidence.db").read_bytes())
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("delete from tags where facet = 'variant'")
    ds = await site(path, serve.site_folder(), immutable=False)
    page = (await ds.client.get("/evidence/works.json?_facet_tags=variant")).json()
    assert page["facet_results"]["variant"]["results"] == []
    facets = (await ds.client.get("/evidence/tags.json")).json()["facet_results"]["facet"]["results"]
    assert "variant" not in {value["value"] for value in facets}


@pytest.mark.slow
def test_an_empty_database_can_be_published(tmp_path: Path) -> None:
    db = test_bitset_counts.make(tmp_path / "evidence.db", 0, 1)
    done = immutable_copy.publish(db, tmp_path / "site", now=lambda: datetime(2026, 11, 24, tzinfo=UTC))
    with closing(sqlite3.connect(done.folder / "evidence.db")) as conn:
        for view in precomputed_counts.VIEWS:
            assert conn.execute(f"select count(*) from {view}").fetchone() == (0,)


def test_a_copy_that_is_opened_for_writing_has_its_views_again(both: tuple[Path, Path], tmp_path: Path) -> None:
    _, folder = both
    path = tmp_path / "evidence.db"
    path.write_bytes((folder / "evidence.db").read_bytes())
    with closing(sqlite3.connect(path)) as conn, conn:
        before = [json.dumps(conn.execute(f"select * from {view}").fetchall()) for view in precomputed_counts.VIEWS]
        schema.make_views(conn)
        text = dict(conn.execute("select name, sql from sqlite_master where type = 'view'"))
        assert not any("published_" in sql for sql in text.values())
        assert [
            json.dumps(conn.execute(f"select * from {view}").fetchall()) for view in precomputed_counts.VIEWS
        ] == before
