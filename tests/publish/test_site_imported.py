"""The site of a review with a work that has no DOI: it is on every page and in every file, and nowhere called a DOI."""

from __future__ import annotations

import html
import json
import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from datasette.app import Datasette

from evidence.database.select_works import asked_days
from evidence.harvest.locked_run import run_import
from evidence.harvest.progress import NoProgress
from evidence.harvest.sources import FileSource, Imported
from evidence.publish import immutable_copy, serve
from evidence.rules.taxonomy import Taxonomy
from tests.data import SAMPLES

OVID = SAMPLES / "imports" / "ovid.ris"
ABSTRACT = "waiting came first for some"
TITLE = "Interpersonal psychotherapy of depression"
SITE = """
site: {address: "https://ipt.example.org/"}
sources:
  - {id: one, kind: search, label: A search, query: {bibliographic: ipt}, phrases: [interpersonal psychotherap*]}
"""


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory, book: Taxonomy) -> Path:
    """A database of an imported file: a work with a DOI and one without."""
    db = tmp_path_factory.mktemp("imported") / "evidence.db"
    source = FileSource("psycinfo", "PsycINFO (Ovid)", (OVID,), "register", Imported((OVID.name,)), "command")
    moment = datetime(2026, 11, 28, 9, tzinfo=UTC)
    run_import(db, db.with_name("decisions.db"), book, lambda: moment, NoProgress(), source, ask=False)
    with closing(sqlite3.connect(db)) as conn:
        conn.execute("pragma journal_mode = delete")
    return db


@pytest.fixture(scope="module")
def local(imported: Path) -> str:
    with closing(sqlite3.connect(imported)) as conn:
        ((key,),) = conn.execute("select doi from works where doi like 'local-%'").fetchall()
    return str(key)


@pytest.fixture(scope="module")
def site(imported: Path) -> Datasette:
    return Datasette([str(imported)], config_dir=serve.site_folder())


PAGES = (
    "/evidence/works/{key}",
    "/evidence/works/{key}.json",
    "/evidence/works?verdict=include",
    "/evidence/works",
    "/evidence/imported_records",
    "/evidence/sightings",
    "/search?q=interpersonal",
    "/search?q={key}",
    "/past?as_of=2026-11-28&verdict=include",
    "/prisma",
    "/changes",
    "/feed.atom",
    "/linkset.json?verdict=include",
    "/download/csv?doi={key}",
    "/download/ris?doi={key}",
    "/download/bibtex?doi={key}",
    "/download/csl-json?doi={key}",
    "/download/nbib?doi={key}",
    "/download/endnote-xml?doi={key}",
    "/download/jsonl?doi={key}",
    "/download/csv-long?doi={key}",
    "/past/csv?as_of=2026-11-28&verdict=include",
    "/ripple/{key}",
    "/ripple.csv?doi={key}",
    "/ripple.json?doi={key}",
    "/ripple.md?doi={key}",
    "/currency",
    "/method",
    "/",
)


@pytest.mark.slow
@pytest.mark.parametrize("path", PAGES)
async def test_no_page_calls_a_local_id_a_doi(site: Datasette, local: str, path: str) -> None:
    answer = await site.client.get(path.replace("{key}", local), follow_redirects=True)
    assert answer.status_code == 200, answer.text[:300]
    text = answer.text + str(answer.headers)
    assert not re.search(
        r"doi\.org/local-|doi:local-|doi/local-|doi%2Flocal|citation_doi\" content=\"local", text, re.IGNORECASE
    )


async def test_the_page_of_a_work_without_a_doi(site: Datasette, local: str) -> None:
    page = await site.client.get(f"/evidence/works/{local}")
    assert page.status_code == 200
    assert TITLE in page.text
    assert f"No DOI; here known as {local}" in page.text
    assert "PsycINFO (Ovid)" in page.text
    assert "No abstract: an imported file has none." in page.text
    assert 'rel="cite-as"' not in page.headers.get("link", "")
    found = json.loads(re.findall(r'<script type="application/ld\+json">(.*?)</script>', page.text, re.S)[0])
    assert "identifier" not in found or "doi" not in str(found["identifier"])
    assert found["headline"] == TITLE


@pytest.mark.slow
async def test_every_link_on_the_page_of_a_work_without_a_doi_leads_somewhere(site: Datasette, local: str) -> None:
    page = (await site.client.get(f"/evidence/works/{local}")).text
    links = {html.unescape(link) for link in re.findall(r'href="(/[^"#]*)', page)}
    assert f"/ripple/{local}" in links and len(links) > 15
    lost = [link for link in links if (await site.client.get(link, follow_redirects=True)).status_code != 200]
    assert not lost


async def test_the_sitemap_has_the_address_that_the_work_has(
    imported: Path, local: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sources.yaml").write_text(SITE)
    monkeypatch.setenv("EVIDENCE_SOURCES", str(tmp_path / "sources.yaml"))
    for name, value in serve.environment("127.0.0.1", public=True).items():
        monkeypatch.setenv(name, value)
    site = Datasette([str(imported)], config_dir=serve.site_folder())
    answer = await site.client.get("/sitemap.xml", headers={"host": "localhost"})
    parts = re.findall(r"<loc>https://ipt\.example\.org(/sitemap[^<]*)</loc>", answer.text)
    texts = [(await site.client.get(part, headers={"host": "localhost"})).text for part in parts]
    assert f"<loc>https://ipt.example.org/evidence/works/{local}</loc>" in "".join(texts)
    assert f"/doi/{local}" not in "".join(texts)


async def test_a_work_with_a_doi_has_its_link_and_the_abstract_of_the_file(site: Datasette) -> None:
    page = await site.client.get("/evidence/works/10~2E1001~2Farchgenpsychiatry~2E2011~2E67")
    assert page.status_code == 200
    assert 'href="https://doi.org/10.1001/archgenpsychiatry.2011.67"' in page.text
    assert ABSTRACT in page.text


async def test_registers_have_their_box_with_its_list(site: Datasette) -> None:
    page = (await site.client.get("/prisma")).text
    assert "from registers: imported records" in page
    listed = await site.client.get("/evidence/prisma_records.json?found_by=register&_shape=array")
    assert len(listed.json()) == 2
    csv = (await site.client.get("/prisma.csv")).text
    assert "registers,from registers: imported records,2,identified,register_results" in csv
    assert "source:psycinfo,PsycINFO (Ovid),2,registers," in csv
    assert "from registers: imported records" in (await site.client.get("/prisma.svg")).text
    boxes = {box["key"]: box["n"] for box in (await site.client.get("/prisma.json")).json()["boxes"]}
    assert boxes["registers"] == boxes["identified"] == 2


def test_a_published_copy_has_no_abstract_and_no_record_of_a_file(imported: Path, tmp_path: Path) -> None:
    done = immutable_copy.publish(imported, tmp_path / "site", now=lambda: datetime(2026, 11, 28, 10, tzinfo=UTC))
    copy = done.folder / "evidence.db"
    assert ABSTRACT.encode() not in copy.read_bytes()
    with closing(sqlite3.connect(copy)) as conn:
        assert conn.execute("select distinct message from imported_records").fetchall() == [("",)]
        assert conn.execute("select count(*), count(abstract) from works").fetchone() == (2, 0)
        messages = [json.loads(message) for (message,) in conn.execute("select message from snapshots")]
        days = asked_days(conn, [doi for (doi,) in conn.execute("select doi from works")])
    assert all(message.keys() <= {"DOI", "local-id", "imported"} for message in messages)
    assert [each["asked_crossref"] for each in days.values()] == [None, None]
