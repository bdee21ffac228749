"""No cell of any CSV of the site is run by a spreadsheet, and every value can be restored."""

from __future__ import annotations

import csv
import html
import io
import json
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from datasette.app import Datasette

from evidence.export.file_formats import unguard
from evidence.publish import serve, whole_lists
from tests import site_sample

BEGINNINGS = ("=", "+", "-", "@", "\t", "\r", "\n", "'=", "\uff1d")
NUMBER = re.compile(r"-?\d+(\.\d+)?")
DANGEROUS = re.compile("[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample, in which the titles of works begin as formulas do."""
    db = site_sample.make_sample(tmp_path_factory.mktemp("csv") / "evidence.db")
    with closing(sqlite3.connect(db)) as conn, conn:
        dois = [doi for (doi,) in conn.execute("select doi from works order by doi")]
        for number, doi in enumerate(dois):
            title = f'{BEGINNINGS[number % len(BEGINNINGS)]}cmd|" /C calc"!A{number}'
            conn.execute("update works set title = ?, container = '=1+1', volume = '-1.5' where doi = ?", (title, doi))
        conn.execute("update sources set label = '@SUM(A1)'")
    return db


async def site(db: Path) -> Datasette:
    ds = Datasette([str(db)], config_dir=serve.site_folder())
    await ds.invoke_startup()
    return ds


def cells(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


def assert_safe(text: str, where: str) -> None:
    for row in cells(text):
        for cell in row:
            assert not DANGEROUS.match(cell) or NUMBER.fullmatch(cell), (where, cell)


@pytest.mark.slow
async def test_every_csv_link_of_the_site_is_safe(sample: Path) -> None:
    ds = await site(sample)
    seen = set()
    pages = [
        "/",
        "/map",
        "/prisma",
        "/changes",
        "/method",
        "/evidence",
        "/past?as_of=2026-11-21",
        "/evidence/works?verdict=include",
    ]
    pages += [f"/evidence/{name}" for name in await ds.get_database("evidence").table_names() if "fts" not in name]
    pages += [f"/evidence/{name}" for name in (await ds.get_canned_queries("evidence", None))]
    for page in pages:
        for link in re.findall(r'href="([^"]*(?:\.csv|/csv)[^"]*)"', (await ds.client.get(page)).text):
            seen.add(html.unescape(link))
    assert len(seen) > 30
    for link in sorted(seen):
        answer = await ds.client.get(link)
        assert answer.status_code == 200, link
        assert_safe(answer.text, link)


async def test_a_streamed_list_is_safe_on_each_of_its_pages_and_can_be_restored(sample: Path) -> None:
    ds = await site(sample)
    with closing(sqlite3.connect(sample)) as conn:
        expected = conn.execute("select doi, title, year from works order by doi").fetchall()
    assert len(expected) > 6
    for size in ("2", "max"):
        answer = await ds.client.get(
            f"/evidence/works.csv?_col=title&_col=year&_sort=doi&_size={size}&_stream=on&_dl=on"
        )
        assert answer.headers["content-disposition"] == 'attachment; filename="works.csv"'
        assert_safe(answer.text, size)
        header, *rows = cells(answer.text)
        assert header[:1] == ["doi"]
        found = [dict(zip(header, map(unguard, row), strict=True)) for row in rows]
        assert [(row["doi"], row["title"], row["year"]) for row in found] == [
            (doi, title, "" if year is None else str(year)) for doi, title, year in expected
        ]


ADDRESSES = (
    "works.csv?_stream=on",
    "works.csv?_stream=on&_size=max&_dl=on",
    "works.csv?_stream=on&_raw=on&_size=max&_dl=on",
    "works.csv?_stream=on&_header=off&_size=3",
    "works.csv?_stream=on&_size=2&_sort=container&_col=title&_col=year",
    "works.csv?_stream=on&_size=2&_sort_desc=notice&_nocol=abstract",
    "works.csv?_stream=on&_size=2&_sort=year&_col=title",
    "works.csv?_stream=on&_size=2&_sort=title&verdict=include&year__gte=2000",
    "works.csv?_stream=on&_size=2&_search=depression&_facet=year",
    "works.csv?_stream=on&_size=2&_tag=variant:ipt&_strength=stated,likely,implied",
    "works.csv?_stream=on&_size=2&_q=depression&_since=2020-01-01",
    "works.csv?_stream=on&_size=2&_where=(year+>+2000+or+year+is+null)",
    "works.csv?_stream=on&title__contains=nothing+like+this",
    "works.csv?_stream=on&_size=0",
    "works.csv?_stream=on&_size=all",
    "works.csv?_stream=on&_size=999999",
    "works.csv?_stream=on&_next=2000,x",
    "works.csv?_stream=on&_sort=abstract",
    "works.csv?_stream=on&_col=nothing",
    "works.csv?_stream=on&_where=no+such+thing",
    "works.csv?_stream=on&_tag=nothing:here",
    "works.csv?_stream=on&_labels=on&_size=max",
    "works.csv?_stream=on&_trace=1",
    "works.csv?_stream=",
    "tags.csv?_stream=on&_size=7",
    "tags.csv?_stream=on&_size=7&_sort_desc=certainty",
    "tags.csv?_stream=on&_size=7&_sort=value&facet=variant&_raw=on",
    "sightings.csv?_stream=on&_size=max&_labels=on",
    "reasons.csv?_stream=on&_size=max",
    "studies.csv?_stream=on&_size=2",
    "trials.csv?_stream=on",
    "no_such_table.csv?_stream=on",
)


@pytest.fixture(scope="module")
def odd(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample with nulls, numbers, and a text that is no UTF-8."""
    db = Path(shutil.copy(sample, tmp_path_factory.mktemp("odd")))
    with closing(sqlite3.connect(db)) as conn, conn:
        dois = [doi for (doi,) in conn.execute("select doi from works order by doi")]
        conn.execute("update works set container = null, year = null, notice = 'retraction' where doi = ?", (dois[1],))
        conn.execute(
            "update works set publisher = cast(x'4fff4b' as text), abstract = ? where doi = ?", ("é\n,", dois[2])
        )
        conn.execute("update tags set certainty = 1e-7 where rowid = (select min(rowid) from tags)")
        conn.execute("update tags set certainty = 0.1 where rowid = (select max(rowid) from tags)")
    return db


@pytest.mark.slow
async def test_a_whole_list_is_what_datasettes_pages_are(odd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Byte for byte, with its headers, for lists that are read without pages and for all that are not."""
    ds = Datasette([], immutables=[str(odd)], config_dir=serve.site_folder())
    await ds.invoke_startup()
    monkeypatch.setattr(whole_lists, "ROWS", 3)
    read = []
    blocks = whole_lists.WholeList.blocks

    def reading(self: whole_lists.WholeList, *args: Any, **options: Any) -> Any:
        read.append(len(self.numbers))
        return blocks(self, *args, **options)

    monkeypatch.setattr(whole_lists.WholeList, "blocks", reading)
    ours = [await ds.client.get(f"/evidence/{address}") for address in ADDRESSES]
    assert len(read) == 16 and max(read) > 10 and min(read) == 0

    async def none(db: Any, table: str) -> bool:
        return False

    monkeypatch.setattr(whole_lists, "has_numbers", none)
    for address, answer in zip(ADDRESSES, ours, strict=True):
        theirs = await ds.client.get(f"/evidence/{address}")
        assert (answer.status_code, answer.content, answer.headers) == (
            theirs.status_code, theirs.content, theirs.headers,
        ), address  # fmt: skip
    assert "O\ufffdK" in ours[0].text and "1e-07" in ours[ADDRESSES.index("tags.csv?_stream=on&_size=7")].text


async def test_a_database_that_changes_is_read_page_by_page(sample: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(whole_lists, "find")
    ds = await site(sample)
    assert (await ds.client.get("/evidence/works.csv?_stream=on&_size=max")).status_code == 200


async def test_a_whole_list_that_cannot_be_read_to_its_end_is_broken_off(
    odd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ds = Datasette([], immutables=[str(odd)], config_dir=serve.site_folder())
    await ds.invoke_startup()
    monkeypatch.setattr(whole_lists, "BATCH", "select no_such_function(1)")
    with pytest.raises(BaseException, match="could not be read to its end"):
        await ds.client.get("/evidence/works.csv?_stream=on&_size=max")


async def test_a_list_that_takes_too_long_to_sort_is_read_page_by_page(
    odd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ds = Datasette([], immutables=[str(odd)], config_dir=serve.site_folder())
    await ds.invoke_startup()
    whole = (await ds.client.get("/evidence/works.csv?_stream=on&_size=2")).content

    def interrupted(*_: Any) -> Any:
        raise sqlite3.OperationalError("interrupted")

    monkeypatch.setattr(whole_lists, "sqlite_timelimit", interrupted)
    assert (await ds.client.get("/evidence/works.csv?_stream=on&_size=2")).content == whole


async def test_numbers_dois_and_headings_of_a_query(sample: Path) -> None:
    ds = await site(sample)
    sql = (
        """select -1.5 as n, '-1.5' as "=text", -2 as whole, '10.1/a' as doi, null as absent, '' as empty, '+x' as x"""
    )
    answer = await ds.client.get(f"/evidence.csv?{urlencode({'sql': sql})}")
    assert cells(answer.text) == [
        ["n", "'=text", "whole", "doi", "absent", "empty", "x"],
        ["-1.5", "'-1.5", "-2", "10.1/a", "", "", "'+x"],
    ]


async def test_the_cells_are_those_of_the_export(sample: Path) -> None:
    ds = await site(sample)
    ours = {row[0]: row[1] for row in cells((await ds.client.get("/evidence/works.csv?_col=title&_size=max")).text)}
    exported = csv.DictReader(io.StringIO((await ds.client.get("/download/csv")).text, newline=""))
    compared = [(row["title"], ours[row["doi"]]) for row in exported]
    assert len(compared) > 6
    assert all(one == other for one, other in compared)


async def test_rows_labels_and_ready_made_queries_are_safe(sample: Path) -> None:
    ds = await site(sample)
    row = await ds.client.get("/evidence/works/10~2E1002~2Fcpp~2E1774.csv")
    labels = await ds.client.get("/evidence/sightings.csv?_labels=on")
    for answer in (
        row,
        labels,
        await ds.client.get("/evidence/trials.csv"),
        await ds.client.get("/evidence/waiting.csv"),
    ):
        assert answer.status_code == 200
        assert_safe(answer.text, str(answer.url))
    assert "'=1+1" in row.text
    assert "'@SUM(A1)" in labels.text


async def test_raw_values_come_only_by_name(sample: Path) -> None:
    ds = await site(sample)
    raw = await ds.client.get("/evidence/works.csv?_col=container&_raw=on&_dl=on&_stream=on")
    assert raw.headers["content-disposition"] == 'attachment; filename="works-raw.csv"'
    assert {row[1] for row in cells(raw.text)[1:]} == {"=1+1"}


async def test_what_the_view_refuses_is_refused_as_before(sample: Path) -> None:
    ds = await site(sample)
    assert (await ds.client.get("/evidence.csv?sql=delete+from+works")).status_code == 400
    assert (await ds.client.get("/evidence/no_such_table.csv")).status_code == 404
    assert (await ds.client.get("/nothing.csv")).status_code == 404
    assert (await ds.client.get("/map.csv")).text.startswith("variant,outcome,works")


async def test_a_stream_that_fails_does_not_look_like_a_whole_file(sample: Path) -> None:
    """The works of the second page take longer than a query may."""
    every = json.loads((serve.site_folder() / "settings.json").read_text())
    ds = Datasette(
        [str(sample)],
        config_dir=serve.site_folder(),
        settings=every | {"max_returned_rows": 2, "sql_time_limit_ms": 100},
    )
    await ds.invoke_startup()
    numbers = "select 1 union all select n + 1 from c where n < 1e12 + length(doi)"
    forever = f"(with recursive c(n) as ({numbers}) select count(*) from c)"
    query = urlencode({"_where": f"iif(doi < '10.1007', 1, {forever})", "_sort": "doi", "_size": "2", "_col": "title"})
    assert len(cells((await ds.client.get(f"/evidence/works.csv?{query}")).text)) == 3
    with pytest.raises(BaseException, match="could not be read to its end"):
        await ds.client.get(f"/evidence/works.csv?{query}&_stream=on")
