"""Pages of ready-made queries: they show the first rows and the number of all, files have every row, and a change shows."""

from __future__ import annotations

import csv
import io
import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import httpx
import pytest
import yaml
from datasette.app import Datasette
from datasette.utils import to_css_class

from evidence.publish import serve
from tests import site_sample

SITE = serve.site_folder()
MORE = 650
INCLUDED = MORE + sum(work[6] == "include" for work in site_sample.WORKS)


@pytest.fixture
async def site(tmp_path: Path) -> tuple[Datasette, Path]:
    """A site where one query has more rows than its page shows."""
    path = site_sample.make_sample(tmp_path / "evidence.db")
    with closing(sqlite3.connect(path)) as conn, conn:
        for number in range(MORE):
            work = (f"10.1000/w.{number:04}", f"Work {number}", "A", "J", "2001", "journal-article", "include", None)
            site_sample.add_work(conn, work)
    ds = Datasette([str(path)], config_dir=SITE)
    await ds.invoke_startup()
    return ds, path


@pytest.mark.slow
@pytest.mark.parametrize("args", ["", "?_show_sql=1", "?variant=&outcome="])
async def test_a_page_shows_the_first_rows_and_counts_all(site: tuple[Datasette, Path], args: str) -> None:
    ds, _ = site
    rows = (await ds.client.get("/evidence/map_cell.json?_shape=array")).json()
    assert len(rows) == INCLUDED
    for _ in range(2):
        page = (await ds.client.get(f"/evidence/map_cell{args}")).text
        assert f"<strong>{INCLUDED} rows</strong>; the first 300 are shown" in page
        shown = re.findall(r'<td class="col-doi[^"]*"><a href="[^"]*">([^<]+)</a></td>', page)
        assert shown == [row["doi"] for row in rows[:300]]
        assert page.count("<tr>") == 301
    table = csv.DictReader(io.StringIO((await ds.client.get("/evidence/map_cell.csv")).text))
    assert [row["doi"] for row in table] == [row["doi"] for row in rows]


async def test_a_page_says_that_a_list_is_cut(site: tuple[Datasette, Path]) -> None:
    _, path = site
    limits = json.loads((SITE / "settings.json").read_text(encoding="utf-8")) | {"max_returned_rows": 600}
    ds = Datasette([str(path)], config_dir=SITE, settings=limits)
    await ds.invoke_startup()
    assert (
        "<strong>More than 600 rows</strong>: the list ends there" in (await ds.client.get("/evidence/untagged")).text
    )
    assert len((await ds.client.get("/evidence/untagged.json?_shape=array")).json()) == 600


async def test_pages_have_the_columns_and_rows_of_the_files(site: tuple[Datasette, Path]) -> None:
    ds, _ = site
    for name in yaml.safe_load((SITE / "metadata.yaml").read_text(encoding="utf-8"))["databases"]["evidence"][
        "queries"
    ]:
        answer = (await ds.client.get(f"/evidence/{name}.json")).json()
        page = (await ds.client.get(f"/evidence/{name}")).text
        if answer["rows"]:
            assert re.findall(r'<th class="col-([^" ]+)', page) == [
                to_css_class(column) for column in answer["columns"]
            ], name
            assert page.count("<tr>") == min(len(answer["rows"]), 300) + 1, name


async def test_parameters_are_heard_and_a_change_shows(site: tuple[Datasette, Path]) -> None:
    ds, path = site
    assert f"{INCLUDED} rows" in (await ds.client.get("/evidence/map_cell")).text
    assert (
        "<strong>2 rows</strong>"
        in (await ds.client.get("/evidence/map_cell?variant=ipt&outcome=depressive-symptoms")).text
    )
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("update works set verdict = 'exclude' where doi = '10.1000/w.0001'")
    assert f"{INCLUDED - 1} rows" in (await ds.client.get("/evidence/map_cell")).text


@pytest.mark.parametrize("table", ["works", "studies"])
@pytest.mark.parametrize("where", ["year < 1800 or 1 = 1", "year < 1800 or 1 = 1 -- all"])
async def test_a_condition_with_an_or_leaves_the_other_filters_and_the_pages_whole(
    site: tuple[Datasette, Path], table: str, where: str
) -> None:
    """It let rows of other pages in again, so that a CSV had no end."""
    ds, _ = site
    for filters in ({}, {"verdict": "include"}):
        plain = (await ds.client.get(f"/evidence/{table}.csv", params={"_stream": "on", **filters})).text
        page = {"_size": "100", "_shape": "objects", "_where": where, **filters}
        found: list[str] = []
        address: str | None = str(httpx.URL(f"/evidence/{table}.json", params=page))
        while address and len(found) < 2 * (INCLUDED + 100):
            answer = (await ds.client.get(address)).json()
            found += [row["doi"] for row in answer["rows"]]
            address = answer["next_url"] and httpx.URL(answer["next_url"]).raw_path.decode()
        assert found == [row["doi"] for row in csv.DictReader(io.StringIO(plain))]
