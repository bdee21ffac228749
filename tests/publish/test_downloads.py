"""A list as a file: the works of the list's pages in their order, and every author in one cell."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from datasette.app import Datasette

from evidence.author_names import full_names
from evidence.data_model import Doi
from evidence.database.connection import open_evidence
from evidence.database.select_works import full_rows
from evidence.export import file_formats, parquet_file
from evidence.publish import serve
from tests import exported_files, site_sample

SITE = serve.site_folder()


async def test_a_file_follows_a_list_of_many_pages_and_refuses_what_the_list_refuses(tmp_path: Path) -> None:
    """The statement of the list is asked once; it must be the list that its pages make."""
    sample = site_sample.make_sample(tmp_path / "evidence.db")
    ds = Datasette([str(sample)], config_dir=SITE)
    await ds.invoke_startup()
    for args in (
        "_sort=notice",
        "_sort_desc=container",
        "_sort=doi",
        "_sort_desc=notice&verdict__not=exclude",
        "_where=year>2000",
    ):
        pages: list[str] = []
        address: str | None = f"/evidence/works.json?_size=3&{args}"
        while address:
            page = (await ds.client.get(address)).json()
            pages += [row[0] for row in page["rows"]]
            address = page["next_url"] and page["next_url"].replace("http://localhost", "")
        table = csv.DictReader(io.StringIO((await ds.client.get(f"/download/csv?{args}")).text))
        assert [row["doi"] for row in table] == pages, args
    assert (await ds.client.get("/download/csv?_where=nonsense")).status_code == 400
    forever = "(with recursive c(n) as (select 1 union all select n+1 from c) select count(*) from c)>0"
    site = json.loads((SITE / "settings.json").read_text(encoding="utf-8"))
    ds = Datasette([str(sample)], config_dir=SITE, settings={**site, "sql_time_limit_ms": 50})
    await ds.invoke_startup()
    assert (await ds.client.get("/download/csv", params={"_where": forever})).status_code == 400


async def test_a_cell_of_authors_is_the_names_one_by_one(tmp_path: Path) -> None:
    path = site_sample.make_sample(tmp_path / "evidence.db")
    people = [("Ng", "A", "author"), ("Group", None, "author"), (None, None, "author"), ("", "Solo", "editor"),
              ("", "", "author"), (None, "Given", "editor"), ("Last", "", "author")]  # fmt: skip
    with closing(sqlite3.connect(path)) as conn, conn:
        for number, (family, given, role) in enumerate(people):
            conn.execute("insert into authors values (?, 'x', null, null, null, 'person')", (f"person {number}",))
            conn.execute(
                "insert into work_authors values ('10.1002/cpp.1774', ?, ?, ?, ?, ?, ?, null, null, null)",
                (9 - number, f"person {number}", f"Credited {number}", family, given, role),
            )
    with closing(open_evidence(path)) as conn:
        dois = [Doi(work[0]) for work in site_sample.WORKS]
        whole, flat = list(full_rows(conn, dois)), list(full_rows(conn, dois, flat=True))
    assert [row | {"authors_full": full_names(row["authors_full"])} for row in whole] == flat
    assert "Credited 2; " in next(row["authors_full"] for row in flat if row["doi"] == "10.1002/cpp.1774")
    assert list(file_formats.csv_rows(whole)) == list(file_formats.csv_rows(flat))


async def test_a_list_comes_as_a_workbook_and_in_every_shape(tmp_path: Path) -> None:
    """Bytes are sent as they are; the shapes have the works, and the tags, of the list."""
    sample = site_sample.make_sample(tmp_path / "evidence.db")
    ds = Datasette([str(sample)], config_dir=SITE)
    await ds.invoke_startup()
    listed = list(csv.DictReader(io.StringIO((await ds.client.get("/download/csv?verdict=include")).text)))
    book = await ds.client.get("/download/xlsx?verdict=include")
    assert book.headers["content-type"] == "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    assert book.headers["content-disposition"] == 'attachment; filename="works.xlsx"'
    assert [row["doi"] for row in exported_files.sheet(book.content)] == [row["doi"] for row in listed]
    wide = await ds.client.get("/download/csv-wide?verdict=include")
    assert wide.headers["content-disposition"] == 'attachment; filename="works-wide.csv"'
    cells = list(csv.DictReader(io.StringIO(wide.text)))
    long = list(csv.DictReader(io.StringIO((await ds.client.get("/download/csv-long?verdict=include")).text)))
    designs = {(row["doi"], value) for row in listed for value in row["design"].split("; ") if value}
    assert designs and {(row["doi"], row["value"]) for row in long if row["facet"] == "design"} == designs
    flagged = {
        (row["doi"], name) for row in cells for name, cell in row.items() if name.startswith("design_") and cell == "1"
    }
    assert flagged == {(doi, f"design_{value.replace('-', '_')}") for doi, value in designs}
    lines = (await ds.client.get("/download/jsonl?verdict=include")).text.splitlines()
    assert [json.loads(line)["doi"] for line in lines] == [row["doi"] for row in listed]


async def test_parquet_is_offered_where_it_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sample = site_sample.make_sample(tmp_path / "evidence.db")
    ds = Datasette([str(sample)], config_dir=SITE)
    await ds.invoke_startup()
    monkeypatch.setattr(parquet_file, "available", lambda: False)
    missing = await ds.client.get("/download/parquet")
    assert missing.status_code == 404 and "csv-wide" in missing.text
    assert "/download/parquet" not in (await ds.client.get("/evidence/works")).text
    monkeypatch.undo()
    exported_files.needs("pyarrow")
    found = await ds.client.get("/download/parquet")
    assert len(exported_files.parquet(found.content)) == len(site_sample.WORKS)
