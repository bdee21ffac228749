"""Linked data on the site: the files of the command line with the right media types, and names of tags that can be opened."""

from __future__ import annotations

from pathlib import Path

import pytest
from datasette.app import Datasette

from evidence.data_model import Doi
from evidence.database.select_works import Selection
from evidence.export import concept_iris, taxonomy_files
from evidence.export.export_works import Wanted, export_works
from evidence.publish import serve, site_topic
from evidence.rules import taxonomy
from tests import site_sample
from tests.builders import SMALL_YAML

ADDRESS = "https://ipt.example.org"
MEDIA_TYPES = {
    "ttl": "text/turtle; charset=utf-8",
    "jsonld": "application/ld+json",
    "csv": "text/csv; charset=utf-8",
}


@pytest.fixture
def sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A database, and a sources.yaml that says where the site is."""
    sources = tmp_path / "sources.yaml"
    sources.write_text(f"{SMALL_YAML}\nsite: {{address: {ADDRESS}}}\n", encoding="utf-8")
    monkeypatch.setenv("EVIDENCE_SOURCES", str(sources))
    return site_sample.make_sample(tmp_path / "evidence.db")


async def site(path: Path) -> Datasette:
    ds = Datasette([str(path)], config_dir=serve.site_folder())
    await ds.invoke_startup()
    return ds


async def test_downloads_are_the_files_of_the_command_line(sample: Path, tmp_path: Path) -> None:
    ds = await site(sample)
    listed = (await ds.client.get("/evidence/works.json?verdict=include&_size=max&_shape=array")).json()
    dois = [Doi(row["doi"]) for row in listed]
    for name, media_type, file in (
        ("jsonld", "application/ld+json", "works.jsonld"),
        ("annotations", 'application/ld+json; profile="http://www.w3.org/ns/anno.jsonld"', "annotations.jsonld"),
    ):
        answer = await ds.client.get(f"/download/{name}?verdict=include")
        assert answer.headers["content-type"] == media_type
        assert answer.headers["content-disposition"] == f'attachment; filename="{file}"'
        export_works(sample, Selection(), Wanted(name, address=ADDRESS), tmp_path / file, dois=dois)
        assert answer.text == (tmp_path / file).read_text(encoding="utf-8")
        assert f"{ADDRESS}/taxonomy/" in answer.text and "urn:evidence:ipt" not in answer.text
        assert f"/download/{name}?" in (await ds.client.get("/evidence/works?verdict=include")).text


async def test_the_method_page_offers_the_taxonomy(sample: Path) -> None:
    ds = await site(sample)
    page = (await ds.client.get("/method")).text
    for form in taxonomy_files.FORMATS.values():
        assert f'href="/taxonomy.{form.extension}"' in page
        answer = await ds.client.get(f"/taxonomy.{form.extension}")
        assert answer.headers["content-type"] == MEDIA_TYPES[form.extension] == form.media_type
        assert answer.text == "".join(form.write(taxonomy.load(), ADDRESS))
    assert (await ds.client.get("/taxonomy.xml")).status_code == 404


async def test_without_the_files_of_the_topic_there_is_no_taxonomy_and_no_link(
    sample: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site_topic, "with_files", lambda topic: None)
    ds = await site(sample)
    assert (await ds.client.get("/taxonomy.ttl")).status_code == 404
    assert "/taxonomy.ttl" not in (await ds.client.get("/method")).text


async def test_the_name_of_a_tag_leads_to_its_works(sample: Path) -> None:
    ds = await site(sample)
    found = await ds.client.get("/taxonomy/design/rct")
    assert found.status_code == 303
    works = await ds.client.get(found.headers["location"])
    assert works.status_code == 200 and "_tag=design%3Arct" in found.headers["location"]
    for name in ("/taxonomy/design", "/taxonomy/outcome/group/course"):
        assert (await ds.client.get(name)).headers["location"] == "/method#tags"
    for name in ("/taxonomy/design/rtc", "/taxonomy/desing", "/taxonomy/desing/group/x", "/taxonomy/a/b/c"):
        assert (await ds.client.get(name)).status_code == 404
    base = concept_iris.base("ipt", ADDRESS)
    for row in (await ds.client.get("/evidence/facets.json?_shape=array&_size=max")).json():
        name = concept_iris.value(base, row["facet"], row["value"])
        assert (await ds.client.get(name.removeprefix(ADDRESS))).status_code == 303


async def test_machines_are_led_to_the_linked_data(sample: Path) -> None:
    ds = await site(sample)
    for page, query in (
        ("/evidence/works/10~2E1002~2Fcpp~2E1774", "doi=10.1002%2Fcpp.1774"),
        ("/evidence/works?verdict=include", "verdict=include"),
    ):
        link = (await ds.client.get(page)).headers["link"]
        assert f'<{ADDRESS}/download/jsonld?{query}>; rel="describedby"; type="application/ld+json"' in link
