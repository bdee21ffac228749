"""Versions on the site: pages and files take a version's name, and show what the command line shows."""

from __future__ import annotations

import csv
import html
import io
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import pytest
from datasette.app import Datasette

from evidence.data_model import Doi
from evidence.database import prisma_flow, read_queries
from evidence.database.connection import reading
from evidence.database.values_for_writer import NewVersion
from evidence.database.writer import open_store
from evidence.export import prisma_report, prisma_template
from evidence.publish import immutable_copy, serve
from tests import site_sample
from tests.database.test_prisma_flow import judgement, record

NAME = "3 & more"
NEWER = Doi("10.5555/newer")


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample, of which a version was named; after it a run excludes two included works and finds another."""
    path = site_sample.make_sample(tmp_path_factory.mktemp("versions") / "evidence.db")
    with open_store(path) as store:
        (run,) = store.conn.execute("select max(run) from runs").fetchone()
        flow = prisma_flow.read_flow(store.conn, run)
        counts = (flow["included"], flow["excluded"], flow["waiting"])
        store.add_version(
            NewVersion(NAME, run, "2026-11-25T00:00:00Z", "A. Reader", "as <sent>", "ipt", "r", "0", 0, "d", *counts)
        )
        later = store.start_run("judge", "0", "2026-12-01T00:00:00Z")
        included = [
            doi for (doi,) in store.conn.execute("select doi from works where verdict = 'include' order by doi")
        ]
        store.write_judgements(later, [record(Doi(doi), "d", judgement("exclude")) for doi in included[:2]])
        store.conn.commit()
        store.finish_run(later, "complete", {}, "2026-12-01T00:01:00Z")
    return path


@pytest.fixture
async def site(db: Path) -> Datasette:
    ds = Datasette([str(db)], config_dir=serve.site_folder())
    await ds.invoke_startup()
    return ds


def numbers(text: str) -> dict[str, int]:
    return {
        row["key"]: int(row["n"]) for row in csv.DictReader(io.StringIO(text)) if not row["key"].startswith("source")
    }


async def numbers_are_of_their_lists(site: Datasette, page: str) -> None:
    """Every number that is a link is the number of works in the list behind it."""
    for address, n in re.findall(r'<a href="([^"]+)">([\d,]+)</a>', page):
        path, _, filters = html.unescape(address).partition("?")
        shape = "" if path == "/past" else "_shape=objects&_size=1000&"
        rows = (await site.client.get(f"{path}.json?{shape}{filters}")).json()["rows"]
        assert len(rows) == int(n.replace(",", "")), address


async def test_the_flow_of_a_version_is_the_same_everywhere(site: Datasette, db: Path) -> None:
    query = f"?as_of={quote(NAME)}"
    with reading(db) as conn:
        flow = read_queries.flow(conn, NAME)
        split = read_queries.split_flow(conn, flow)
        now = read_queries.flow(conn)
    assert flow["included"] == now["included"] + 2
    page = (await site.client.get(f"/prisma{query}")).text
    assert f"Studies included in review (n = {flow['included']:,})" in re.sub(r"<a [^>]*>|</a>", "", page)
    boxes = {box["key"]: box["n"] for box in flow.boxes}
    assert numbers((await site.client.get(f"/prisma.csv{query}")).text) == boxes
    data = (await site.client.get(f"/prisma.json{query}")).json()
    assert data == prisma_report.as_json(flow, split, NAME, None) | {
        "boxes": list(flow.boxes),
        "sources": list(flow.sources),
    }
    assert (await site.client.get(f"/prisma2020.csv{query}")).text == prisma_template.template_csv(flow, split)
    picture = (await site.client.get(f"/prisma.svg{query}")).text
    assert f"PRISMA 2020 flow, {html.escape(NAME)}" in picture and f"(n = {flow['included']:,})" in picture
    await numbers_are_of_their_lists(site, page)


async def test_the_update_since_a_version_is_the_same_everywhere(site: Datasette, db: Path) -> None:
    query = f"?since={quote(NAME)}"
    with reading(db) as conn:
        flow = read_queries.flow(conn, None, NAME)
        split = read_queries.split_flow(conn, flow)
    assert (flow["gone"], flow["gone_excluded"], flow["included"]) == (2, 2, 0)
    page = re.sub(r"<a [^>]*>|</a>", "", (await site.client.get(f"/prisma{query}")).text)
    for key in ("previous_studies", "gone", "total_studies"):
        label = next(box["box"] for box in flow.boxes if box["key"] == key)
        assert f"{label} (n = {flow[key]:,})" in page
    assert numbers((await site.client.get(f"/prisma.csv{query}")).text) == {box["key"]: box["n"] for box in flow.boxes}
    assert (await site.client.get(f"/prisma2020.csv{query}")).text == prisma_template.template_csv(flow, split)
    assert (await site.client.get(f"/prisma.json{query}")).json()["since"] == NAME
    assert "no longer included (n = 2)" in (await site.client.get(f"/prisma.svg{query}")).text
    await numbers_are_of_their_lists(site, (await site.client.get(f"/prisma{query}")).text)


async def test_lists_of_a_version_have_its_works_and_its_tags(site: Datasette, db: Path) -> None:
    query = f"?as_of={quote(NAME)}&verdict=include"
    with reading(db) as conn:
        flow = read_queries.flow(conn, NAME)
    page = await site.client.get(f"/past{query}")
    assert page.status_code == 200
    assert (
        html.escape(NAME) in page.text and "of that version" in page.text and f"{flow['included']} record" in page.text
    )
    listed = (await site.client.get(f"/past.json{query}")).json()
    assert (listed["as_of"], len(listed["rows"])) == (NAME, flow["included"])
    answer = await site.client.get(f"/past/csv{query}")
    assert 'filename="works-3-more.csv"' in answer.headers["content-disposition"]
    header = answer.text.splitlines()[0].split(",")
    assert "variant" in header and "variant_today" not in header and "reasons_today" in header
    of_day = await site.client.get("/past/csv?as_of=2026-11-25&verdict=include")
    assert "variant_today" in of_day.text.splitlines()[0]


async def test_the_updates_page_lists_the_versions_with_links_that_work(site: Datasette) -> None:
    page = (await site.client.get("/changes")).text
    section = page[page.index('id="versions"') :].partition("</section>")[0]
    assert "as &lt;sent&gt;" in section and "A. Reader" in section
    links = [html.unescape(address) for address in re.findall(r'href="([^"]+)"', section)]
    assert len(links) == 3
    for link in links:
        assert (await site.client.get(link)).status_code == 200, link
    assert NAME in html.unescape((await site.client.get("/prisma")).text)


@pytest.mark.parametrize(
    "address",
    [
        "/prisma?as_of=4",
        "/prisma?since=4",
        "/prisma.csv?since=2026-02-31",
        "/past?as_of=4",
        "/prisma2020.csv?as_of=run:99",
    ],
)
async def test_a_state_that_is_not_known_is_refused_with_the_versions_there_are(site: Datasette, address: str) -> None:
    answer = await site.client.get(address)
    assert answer.status_code == 400
    assert "is not a valid date, run or version; write a date like 2026-01-31" in html.unescape(answer.text)
    assert f"the versions are: {NAME}" in html.unescape(answer.text)
    answer = await site.client.get(f"/prisma?as_of=2026-11-01&since={quote(NAME)}")
    assert (answer.status_code, "is later than" in html.unescape(answer.text)) == (400, True)


@pytest.mark.slow
async def test_a_published_copy_answers_for_its_versions(db: Path, tmp_path: Path) -> None:
    shutil.copy(db, tmp_path / "evidence.db")
    made = immutable_copy.publish(
        tmp_path / "evidence.db", tmp_path / "site", now=lambda: datetime(2026, 12, 2, tzinfo=UTC)
    ).folder
    ds = Datasette(immutables=[str(made / "evidence.db")], config_dir=serve.site_folder())
    await ds.invoke_startup()
    with reading(db) as conn:
        flow = read_queries.flow(conn, NAME)
        split = read_queries.split_flow(conn, flow)
    query = f"?as_of={quote(NAME)}"
    assert (await ds.client.get(f"/prisma2020.csv{query}")).text == prisma_template.template_csv(flow, split)
    rows = (await ds.client.get(f"/past.json{query}&verdict=include")).json()["rows"]
    assert len(rows) == flow["included"]
