"""What a public site has besides its data: pages about itself, heads of pages, robots and sitemap, errors, ETags, CORS, typed
links, and examples that work."""

from __future__ import annotations

import html
import json
import math
import re
import shutil
import sqlite3
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest
from datasette.app import Datasette

from evidence.database.tag_filter import parse
from evidence.export.wording import day_in_words
from evidence.publish import list_titles, serve, share_picture, signposts, site_access, site_details, sitemap
from evidence.review import reviewer_desk
from tests import site_sample
from tests.publish.site_server import served

ADDRESS = "https://tracker.university.edu/ipt"
SITE = f"""
site:
  address: {ADDRESS}/
  publisher: "Living Review & Group"
  contact: review@university.edu
  licence: https://creativecommons.org/licenses/by/4.0/
"""
SOURCES = """
sources:
  - id: one
    kind: search
    label: A search
    query: {bibliographic: interpersonal psychotherapy}
    phrases: [interpersonal psychotherap*]
"""
WORK = "/evidence/works/10~2E1002~2Fcpp~2E1774"
HOST = {"host": "localhost"}


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return site_sample.make_sample(tmp_path_factory.mktemp("furniture") / "evidence.db")


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """sources.yaml says where the site is and who publishes it."""
    (tmp_path / "sources.yaml").write_text(SITE + SOURCES)
    monkeypatch.setenv("EVIDENCE_SOURCES", str(tmp_path / "sources.yaml"))


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """sources.yaml says nothing of the site."""
    (tmp_path / "sources.yaml").write_text(SOURCES)
    monkeypatch.setenv("EVIDENCE_SOURCES", str(tmp_path / "sources.yaml"))


@pytest.fixture
def public(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in serve.environment("127.0.0.1", public=True).items():
        monkeypatch.setenv(name, value)


async def site(db: Path, **settings: Any) -> Datasette:
    every = json.loads((serve.site_folder() / "settings.json").read_text()) | settings
    ds = Datasette([str(db)], config_dir=serve.site_folder(), settings=every)
    await ds.invoke_startup()
    return ds


def text_of(page: str) -> str:
    return " ".join(html.unescape(re.sub("<[^>]+>", " ", page)).split())


# ---------------------------------------------------------------------- pages about the server


@pytest.mark.slow
async def test_every_page_about_the_server_is_decided_and_closed_to_visitors(sample: Path, public: None) -> None:
    ds = await site(sample)
    served_pages = {
        f"/-/{name}" for pattern, _ in ds._routes() for name in re.findall(r"^\^?/-/([a-z-]+)", pattern.pattern)
    }
    decided = {*site_access.CLOSED_PAGES, *site_access.OPEN_PAGES, site_access.LOGIN_PAGE}
    assert served_pages - decided == set()
    assert not set(site_access.CLOSED_PAGES) & set(site_access.OPEN_PAGES)
    for page in (*site_access.CLOSED_PAGES, site_access.LOGIN_PAGE):
        for form in ("", ".json"):
            answer = await ds.client.get(page + form, headers=HOST)
            assert answer.status_code == 404, page + form
            assert "sqlite" not in answer.text.lower().replace("sqlite_", "")
    posted = await ds.client.post("/-/password-tool", data={"password": "x"}, headers=HOST)
    assert posted.status_code == 404
    assert (await ds.client.get("/-/metadata.json", headers=HOST)).status_code == 200


async def test_reviewers_of_a_desk_can_log_in(sample: Path, public: None, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("datasette_auth_passwords")
    visitor = await site(sample)
    assert "/-/login" not in (await visitor.client.get("/", headers=HOST)).text
    monkeypatch.setenv(f"{reviewer_desk.ENVIRONMENT}_TEST", "x")
    desk = await site(sample)
    assert (await desk.client.get("/-/login", headers=HOST)).status_code == 200
    assert 'href="/-/login"' in (await desk.client.get("/", headers=HOST)).text
    assert (await desk.client.get("/-/plugins", headers=HOST)).status_code == 404


async def test_on_ones_own_machine_they_are_open(sample: Path) -> None:
    ds = await site(sample)
    for page in ("/-/plugins", "/-/versions", "/-/threads", "/-/settings"):
        assert (await ds.client.get(page)).status_code == 200, page


def test_a_published_copy_knows_that_it_is_for_everybody() -> None:
    start = (Path(site_access.__file__).parent / "hosting" / "start_site.sh").read_text()
    assert f"{site_access.PUBLISHED}=1" in start
    assert site_access.is_shared({site_access.PUBLISHED: "1"})
    assert not site_access.is_shared({})
    desk = {f"{reviewer_desk.ENVIRONMENT}_ACCOUNTS": "x", site_access.PUBLIC: "1"}
    assert site_access.is_public(desk)
    assert not site_access.is_shared(desk)


async def test_visitors_are_told_why_they_get_no_sql(sample: Path, public: None) -> None:
    ds = await site(sample, default_allow_sql=False)
    for address in ("/evidence?sql=select+1", "/evidence/works?_where=1=1"):
        answer = await ds.client.get(address, headers=HOST)
        assert (
            answer.status_code,
            "cannot run SQL" in answer.text,
            "make every other visitor wait" in answer.text,
        ) == (403, True, True)
        assert 'href="/api#sql"' in answer.text
    assert (await ds.client.get("/evidence.json?sql=select+1", headers=HOST)).json()["status"] == 403
    raw = await ds.client.get("/evidence/snapshots", headers=HOST)
    assert (raw.status_code, "Raw records are not shown" in raw.text) == (403, True)
    assert "Visitors cannot run SQL" in (await ds.client.get("/api", headers=HOST)).text
    assert "Read-only SQL is open here" in (await (await site(sample)).client.get("/api", headers=HOST)).text


# ---------------------------------------------------------------------- about and privacy


async def test_about_says_who_publishes_and_how_to_cite(sample: Path, configured: None) -> None:
    ds = await site(sample)
    page = (await ds.client.get("/about")).text
    text = text_of(page)
    edition = await site_details.edition_of(ds.get_database("evidence"))
    assert edition is not None
    assert "Living Review & Group publishes this site" in text
    assert "mailto:review@university.edu" in page
    day = day_in_words(edition.day)
    assert f"Data of {day} (run {edition.run}), made with evidence" in text
    assert text.count(ADDRESS) >= 2
    assert "creativecommons.org/licenses/by/4.0/" in page
    included = (await ds.client.get("/evidence/works.json?verdict=include")).json()["filtered_table_rows_count"]
    assert edition.works == included
    assert f"{included} are included" in text


@pytest.mark.slow
async def test_the_links_of_the_new_pages_lead_somewhere(sample: Path, public: None) -> None:
    ds = await site(sample, default_allow_sql=False)
    seen = set()
    for page in ("/about", "/api", "/nothing", "/evidence?sql=select+1", "/doi/10.1000/xyz"):
        text = (await ds.client.get(page, headers=HOST)).text
        for link in map(html.unescape, re.findall(r'href="(/[^"]*)"', text)):
            address, _, place = link.partition("#")
            answer = await ds.client.get(address, headers=HOST, follow_redirects=True)
            assert answer.status_code == 200, (page, link)
            assert not place or f'id="{place}"' in answer.text, (page, link)
            seen.add(link)
    assert len(seen) > 20


async def test_about_says_plainly_what_is_not_given(sample: Path, bare: None) -> None:
    page = text_of((await (await site(sample)).client.get("/about")).text)
    for sentence in (
        "The publisher of this site is not named here", "No contact address is given", "No public address is set",
        "No licence is stated for what was added here",
    ):  # fmt: skip
        assert sentence in page


async def test_a_visitor_gets_no_cookie_and_nothing_from_another_server(sample: Path, public: None) -> None:
    """What the section on privacy states."""
    ds = await site(sample, default_allow_sql=False)
    pages = ["/", "/map", "/article/article-references", "/changes", "/method", "/prisma", "/about", "/api", "/evidence",
             "/evidence/works?verdict=include", WORK, "/search?q=grief", "/evidence/trials", "/evidence/tags", "/feed.atom",
             "/download/csv", "/past?as_of=2026-11-21", "/nothing", "/-/messages", "/-/metadata"]  # fmt: skip
    for page in pages:
        answer = await ds.client.get(page, headers=HOST)
        assert "set-cookie" not in answer.headers, page
        for link in re.findall(
            r"<(?:script|img|iframe|source|object|embed|video)\b[^>]*\b(?:src|data)=\"([^\"]+)\"", answer.text
        ):
            assert link.startswith(("/static/", "/-/static/")), (page, link)
        for tag in re.findall(r"<link [^>]*>", answer.text):
            if re.search(r'rel="(stylesheet|icon|apple-touch-icon|preload|preconnect)"', tag):
                assert 'href="/' in tag, (page, tag)
        if "html" in answer.headers["content-type"]:
            assert "default-src 'none'" in answer.headers["content-security-policy"]
    for page in (
        "/-/login",
        "/-/logout",
        "/-/messages",
        "/desk",
        "/desk/login",
        "/_internal",
        "/_memory",
        "/evidence.db",
    ):
        assert "set-cookie" not in (await ds.client.get(page, headers=HOST)).headers, page
    assert "sets no cookie" in (await ds.client.get("/about", headers=HOST)).text


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ("address: tracker.example", "not a web address"),
        ("address: https://tracker.university.edu/?a=b", "not a web address"),
        ("licence: CC BY", "not a web address"),
        ("contact: somebody", "neither an e-mail address nor a web address"),
        ("contact: me@example.org", "is an example"),
        ("colour: red", "colour"),
    ],
)
def test_mistakes_in_what_the_site_says_of_itself(tmp_path: Path, written: str, complaint: str) -> None:
    from evidence.errors import ConfigError
    from evidence.harvest import sources

    path = tmp_path / "sources.yaml"
    path.write_text(f"site:\n  {written}\n{SOURCES}")
    with pytest.raises(ConfigError, match=complaint) as caught:
        sources.load(path)
    assert "sources.yaml:2" in str(caught.value)


# ---------------------------------------------------------------------- heads of pages


def meta(page: str, name: str) -> str | None:
    found = re.search(rf'<meta (?:name|property)="{re.escape(name)}" content="([^"]*)">', page)
    return html.unescape(found[1]) if found else None


def canonical(page: str) -> str | None:
    found = re.search(r'<link rel="canonical" href="([^"]+)">', page)
    return html.unescape(found[1]) if found else None


LABELS = {
    ("variant", "ipt"): "IPT (standard)", ("variant", "ipt-a"): "IPT-A (adolescents)", ("variant", "ipt-ast"): "IPT-AST (skills)",
    ("design", "rct"): "Randomised trial", ("design", "meta-analysis"): "Meta-analysis",
    ("design", "case-series"): "Case report or series", ("design", "pilot"): "Pilot or feasibility study",
    ("outcome", "anxiety"): "Anxiety",
}  # fmt: skip


@pytest.mark.parametrize(
    ("tags", "columns", "others", "title"),
    [
        (["design:rct", "variant:ipt-a"], [("verdict", "include")], {}, "Randomised trials of IPT-A, newest first"),
        (["design:rct,meta-analysis", "variant:ipt,ipt-a"], [("verdict", "include")], {},
         "Randomised trials or meta-analyses of IPT (standard) or IPT-A, newest first"),
        (["design:case-series"], [("verdict", "include"), ("year__gte", "2010")], {},
         "Case reports or series since 2010, newest first"),
        (["design:pilot"], [], {"descending": None, "sort": "title"}, "Pilot or feasibility studies, any verdict, by title"),
        ([], [("verdict", "include")], {"search": "grief"}, "Included works with the words “grief”, newest first"),
        ([], [("verdict", "exclude"), ("kind", "book")], {}, "Excluded works (kind: book), newest first"),
        ([], [], {"descending": "cited_by"}, "Works with any verdict, most cited first"),
        (["outcome:anxiety"], [("verdict", "include"), ("notice__notblank", "1")], {},
         "Included works (retracted, corrected or doubted; outcome: anxiety), newest first"),
        (["variant:ipt-a", "variant:ipt"], [("verdict", "include")], {},
         "Included works: IPT-A (variant: ipt (standard)), newest first"),
        ([], [("year", "2011"), ("year", "2012")], {}, "Works with any verdict (year: 2011; year: 2012), newest first"),
    ],
)  # fmt: skip
def test_titles_of_lists(tags: list[str], columns: list[tuple[str, str]], others: dict[str, Any], title: str) -> None:
    options = {"descending": "year", **others}
    found = list_titles.list_title(
        [parse(tag) for tag in tags], columns, [], labels=LABELS, design="design", intervention="variant", **options
    )
    assert found == title


async def test_each_page_has_a_title_a_description_and_a_picture(sample: Path, configured: None) -> None:
    ds = await site(sample)
    pages = ("/", "/map", "/changes", "/method", "/prisma", "/about", "/api", "/evidence", "/evidence/trials", "/evidence/tags",
             "/evidence/works?verdict=include", WORK)  # fmt: skip
    seen: dict[str, str] = {}
    for page in pages:
        text = (await ds.client.get(page)).text
        title = re.search(r"<title>(.*?)</title>", text)
        assert title is not None
        assert html.unescape(title[1]) == meta(text, "og:title"), page
        said = meta(text, "description")
        if page != WORK or said:  # a work without an abstract has none: Zotero would take it for the abstract
            assert said and 20 < len(said) <= 301, (page, said)
        assert said == meta(text, "og:description")
        assert meta(text, "og:image") == f"{ADDRESS}/share.png"
        assert canonical(text) == f"{ADDRESS}{page}", page
        assert text.count("<h1") == 1
        assert title[1] not in seen, (page, seen[title[1]])
        seen[title[1]] = page


async def test_the_canonical_address_is_that_of_the_same_list_however_it_is_shown(
    sample: Path, configured: None
) -> None:
    ds = await site(sample)
    one = (await ds.client.get("/evidence/works?year__gte=2010&verdict=include&_size=5&_facet=kind")).text
    other = (await ds.client.get("/evidence/works?verdict=include&year__gte=2010")).text
    assert canonical(one) == canonical(other) == f"{ADDRESS}/evidence/works?verdict=include&year__gte=2010"
    assert canonical((await ds.client.get("/nothing")).text) is None


async def test_without_a_public_address_there_is_no_canonical_one(sample: Path, bare: None) -> None:
    page = (await (await site(sample)).client.get("/evidence/works?verdict=include")).text
    assert canonical(page) is None
    assert meta(page, "og:url") is None
    assert meta(page, "og:image") == "http://localhost/share.png"


async def test_what_records_hold_cannot_leave_the_head(tmp_path: Path, configured: None) -> None:
    db = site_sample.make_sample(tmp_path / "evidence.db")
    evil = '"><script>alert(1)</script>'
    with closing(sqlite3.connect(db)) as conn, conn:
        conn.execute("update works set title = ?, authors = ?, abstract = ?", (evil, evil, evil))
    ds = await site(db)
    for page in (WORK, f"/evidence/works?_search={evil}", f"/nothing/{evil}"):
        assert "<script>alert" not in (await ds.client.get(page)).text


# ---------------------------------------------------------------------- the whole as data


async def test_the_whole_is_a_dataset_with_downloads_that_exist(sample: Path, configured: None) -> None:
    ds = await site(sample)
    for page in ("/", "/about"):
        found = re.search(r'<script type="application/ld\+json">(.*?)</script>', (await ds.client.get(page)).text)
        assert found is not None
        facts = json.loads(found[1])
        edition = await site_details.edition_of(ds.get_database("evidence"))
        assert edition is not None
        assert (facts["@type"], facts["version"], facts["dateModified"]) == ("Dataset", edition.version, edition.day)
        assert 50 <= len(facts["description"]) <= 5000
        assert "https://creativecommons.org/licenses/by/4.0/" in facts["license"]
        assert facts["publisher"]["name"] == "Living Review & Group"
        assert facts["distribution"]
        for file in facts["distribution"]:
            answer = await ds.client.get(file["contentUrl"].removeprefix(ADDRESS))
            assert answer.status_code == 200
            assert answer.headers["content-type"].partition(";")[0] == file["encodingFormat"]


# ---------------------------------------------------------------------- robots and the sitemap

NAMES = {"s": "http://www.sitemaps.org/schemas/sitemap/0.9"}


def addresses(text: str) -> list[str]:
    return [loc.text or "" for loc in ElementTree.fromstring(text).iterfind(".//s:loc", NAMES)]


async def test_the_sitemap_has_the_included_works_and_the_public_pages(
    sample: Path, configured: None, public: None
) -> None:
    ds = await site(sample)
    found: list[str] = []
    for part in addresses((await ds.client.get("/sitemap.xml", headers=HOST)).text):
        assert part.startswith(f"{ADDRESS}/sitemap-")
        found += addresses((await ds.client.get(part.removeprefix(ADDRESS), headers=HOST)).text)
    works = {address for address in found if "/evidence/works/" in address}
    with closing(sqlite3.connect(sample)) as conn:
        (included,) = conn.execute("select count(*) from works where verdict = 'include'").fetchone()
    assert len(works) == included > 0
    assert len(found) == len(set(found))
    for address in found:
        answer = await ds.client.get(address.removeprefix(ADDRESS) or "/", headers=HOST)
        assert answer.status_code == 200, address
        if address in works:
            assert "verdict-box-include" in answer.text
    assert (await ds.client.get("/sitemap-works-2.xml", headers=HOST)).status_code == 404


async def test_robots_are_sent_to_the_sitemap_of_a_public_site_only(
    sample: Path, configured: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = (await (await site(sample)).client.get("/robots.txt")).text
    assert own.endswith("User-agent: *\nDisallow: /\n")
    assert (await (await site(sample)).client.get("/sitemap.xml")).status_code == 404
    monkeypatch.setenv(site_access.PUBLISHED, "1")
    public_one = (await (await site(sample)).client.get("/robots.txt")).text
    assert f"Sitemap: {ADDRESS}/sitemap.xml\n" in public_one
    assert "Disallow: /*?\n" in public_one
    assert "Disallow: /\n" not in public_one


def test_the_sitemap_is_split_as_the_protocol_asks() -> None:
    assert sitemap.PART <= 50_000
    assert len(addresses(sitemap.index(ADDRESS, 0))) == 1
    assert len(addresses(sitemap.index(ADDRESS, sitemap.PART))) == 2
    assert len(addresses(sitemap.index(ADDRESS, 5 * sitemap.PART + 1))) == 7
    long = [(f"/evidence/works/{'~2E' * 150}&{number}", "2026-11-24") for number in range(sitemap.PART)]
    text = sitemap.urls(ADDRESS, long)
    assert len(text.encode()) < 50_000_000
    assert addresses(text)[7].endswith("&7")


@pytest.mark.slow
async def test_every_work_is_in_exactly_one_part(tmp_path: Path, configured: None, public: None) -> None:
    db = site_sample.make_sample(tmp_path / "evidence.db")
    more = sitemap.PART + 5
    with closing(sqlite3.connect(db)) as conn, conn:
        columns = [row[1] for row in conn.execute("pragma table_info(works)")]
        values = ", ".join("'10.9999/' || n" if column == "doi" else column for column in columns)
        conn.execute(
            f"insert into works ({', '.join(columns)}) with recursive c(n) as (select 1 union all select n + 1 from c "
            f"where n < {more}) select {values} from c, (select * from works where doi = '10.1002/cpp.1774')"
        )
        expected = {doi for (doi,) in conn.execute("select doi from works where verdict = 'include'")}
    ds = await site(db)
    parts = [part for part in addresses((await ds.client.get("/sitemap.xml", headers=HOST)).text) if "works" in part]
    assert len(parts) == 2
    found = [
        address
        for part in parts
        for address in addresses((await ds.client.get(part.removeprefix(ADDRESS), headers=HOST)).text)
    ]
    assert len(found) == len(set(found)) == len(expected)


# ---------------------------------------------------------------------- errors


async def test_an_address_that_leads_nowhere_leads_on(sample: Path) -> None:
    ds = await site(sample)
    for address, words in (
        ("/doi/10.1000/xyz", "10.1000/xyz"),
        ("/evidence/works/10~2E1000~2Fxyz", "10.1000/xyz"),
        ("/grief-after_loss.html", "grief after loss"),
        ("/evidence/no_such_table", "no such table"),
    ):
        answer = await ds.client.get(address)
        assert answer.status_code == 404
        assert f'name="q" value="{words}"' in answer.text, address
        assert ("https://doi.org/10.1000/xyz" in answer.text) == ("10.1000" in words)
        for link in ("/", "/map", "/about", "/evidence/works?verdict=include"):
            assert f'href="{link}"' in answer.text
        assert "Last sync" in answer.text
    assert (await ds.client.get("/nothing.json")).json()["status"] == 404


async def test_a_moved_work_still_leads_to_its_new_page(tmp_path: Path) -> None:
    db = site_sample.make_sample(tmp_path / "evidence.db")
    with closing(sqlite3.connect(db)) as conn, conn:
        columns = [row[1] for row in conn.execute("pragma table_info(aliases)")]
        known = {"alias": "10.1000/old", "doi": "10.1002/cpp.1774", "first_run": 1, "last_run": None}
        conn.execute(
            f"insert into aliases ({', '.join(columns)}) values ({', '.join('?' * len(columns))})",
            [known.get(column, "x") for column in columns],
        )
    answer = await (await site(db)).client.get("/evidence/works/10~2E1000~2Fold")
    assert (answer.status_code, answer.headers["location"]) == (302, WORK)


# ---------------------------------------------------------------------- ETags


@pytest.mark.slow
async def test_an_unchanged_page_is_answered_304(tmp_path: Path) -> None:
    db = site_sample.make_sample(tmp_path / "evidence.db")
    ds = await site(db)
    for page in (
        "/",
        "/map",
        "/map.csv",
        "/evidence/works.json?_shape=array",
        "/evidence/works?verdict=include",
        WORK,
        "/feed.atom",
        "/about",
    ):
        first = await ds.client.get(page)
        etag = first.headers["etag"]
        for sent in (etag, f"W/{etag}", f'"other", {etag}', "*"):
            again = await ds.client.get(page, headers={"if-none-match": sent})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag), (page, sent)
        assert (await ds.client.get(page, headers={"if-none-match": '"other"'})).status_code == 200
    before = (await ds.client.get(WORK)).headers["etag"]
    with closing(sqlite3.connect(db)) as conn, conn:
        conn.execute("update works set title = 'As it is called now' where doi = '10.1002/cpp.1774'")
    after = await ds.client.get(WORK, headers={"if-none-match": before})
    assert (after.status_code, "As it is called now" in after.text) == (200, True)


async def test_what_is_personal_streamed_or_an_error_has_no_etag(sample: Path) -> None:
    ds = await site(sample)
    cookies = {"ds_actor": ds.sign({"a": {"id": "alice"}}, "actor")}
    assert "etag" not in (await ds.client.get("/", cookies=cookies)).headers
    assert "etag" not in (await ds.client.get("/download/csv")).headers
    assert "etag" not in (await ds.client.get("/nothing")).headers
    head = await ds.client.head("/evidence/works")
    assert head.headers.get("etag") in (None, (await ds.client.get("/evidence/works")).headers["etag"])


# ---------------------------------------------------------------------- CORS

ORIGIN = {"origin": "https://elsewhere.edu", **HOST}
OPENED = ("/evidence/works.json", "/evidence/works.csv?_stream=on", "/map.csv", "/prisma.json", "/download/csv",
          "/evidence/trials.json", "/-/metadata.json", "/feed.atom")  # fmt: skip
NOT_OPENED = ("/", "/about", "/desk", "/desk/tags.json", "/-/actor.json", "/-/login", "/evidence/works", WORK)


async def test_scripts_of_other_sites_may_read_data_of_a_public_site(sample: Path, public: None) -> None:
    ds = await site(sample)
    for page in OPENED:
        answer = await ds.client.get(page, headers=ORIGIN)
        assert (answer.status_code, answer.headers.get("access-control-allow-origin")) == (200, "*"), page
        assert "access-control-allow-credentials" not in answer.headers
    for page in NOT_OPENED:
        assert "access-control-allow-origin" not in (await ds.client.get(page, headers=ORIGIN)).headers, page
    for method in ("post", "put", "patch", "delete", "options"):
        answer = await ds.client.request(method.upper(), "/evidence/works.json", headers=HOST)
        assert "access-control-allow-origin" not in answer.headers, method
        assert "access-control-allow-methods" not in answer.headers


@pytest.mark.parametrize("environment", [{}, {site_access.PUBLIC: "1", f"{reviewer_desk.ENVIRONMENT}_ACCOUNTS": "x"}])
async def test_of_a_site_on_ones_own_machine_or_with_a_desk_they_read_nothing(
    sample: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    assert not site_access.is_shared(environment)
    monkeypatch.setattr("os.environ", environment)
    ds = await site(sample)
    for page in (*OPENED, *NOT_OPENED):
        answer = await ds.client.get(page, headers=ORIGIN)
        assert "access-control-allow-origin" not in answer.headers, page


# ---------------------------------------------------------------------- typed links


def link_headers(answer: Any) -> list[str]:
    return [value for name, value in answer.headers.multi_items() if name == "link"]


async def test_a_works_page_has_signposts(tmp_path: Path, configured: None) -> None:
    signposting = pytest.importorskip("signposting", reason="pip install signposting, to check the links")
    db = site_sample.make_sample(tmp_path / "evidence.db")
    with closing(sqlite3.connect(db)) as conn, conn:
        conn.execute(
            "update works set licence = 'https://creativecommons.org/licenses/by/4.0/' where doi = '10.1002/cpp.1774'"
        )
        conn.execute("insert or replace into authors values ('x', 'X', null, null, '0000-0002-1825-0097', 'person')")
        conn.execute("delete from work_authors where doi = '10.1002/cpp.1774'")
        conn.execute(
            "insert into work_authors values ('10.1002/cpp.1774', 1, 'x', 'X', null, null, 'author', null, null, null)"
        )
    ds = await site(db)
    answer = await ds.client.get(WORK)
    found = signposting.find_signposting_http_link(link_headers(answer), f"{ADDRESS}{WORK}")
    assert found.citeAs.target == "https://doi.org/10.1002/cpp.1774"
    assert found.license.target == "https://creativecommons.org/licenses/by/4.0/"
    assert {author.target for author in found.authors} == {"https://orcid.org/0000-0002-1825-0097"}
    assert {kind.target for kind in found.types} == {
        "https://schema.org/ScholarlyArticle",
        "https://schema.org/AboutPage",
    }
    assert {"application/x-bibtex", "application/json", "text/csv"} <= {str(link.type) for link in found.describedBy}
    for link in found.describedBy:
        described = await ds.client.get(link.target.removeprefix(ADDRESS))
        assert described.status_code == 200
        assert described.headers["content-type"].partition(";")[0] == str(link.type)
        assert "10.1002/cpp.1774" in described.text


async def test_a_short_list_names_its_works_and_a_long_one_its_link_set(sample: Path, configured: None) -> None:
    signposting = pytest.importorskip("signposting", reason="pip install signposting, to check the links")
    ds = await site(sample)
    for query in ("?_size=3&verdict=include", "?year=2012"):
        address = f"/evidence/works{query}"
        rows = (await ds.client.get(f"/evidence/works.json{query}&_shape=objects")).json()
        listed = [
            f"{ADDRESS}/evidence/works/{row['doi'].replace('.', '~2E').replace('/', '~2F')}" for row in rows["rows"]
        ]
        answer = await ds.client.get(address)
        found = signposting.find_signposting_http_link(link_headers(answer), ADDRESS + address)
        assert {item.target for item in found.items} == set(listed[: signposts.MOST_ITEMS])
        assert len(found.linksets) == (1 if rows["next"] else 0)
        for link_set in found.linksets:
            text = await ds.client.get(link_set.target.removeprefix(ADDRESS))
            assert text.headers["content-type"].partition(";")[0] == str(link_set.type) == "application/linkset+json"
            parsed = signposting.linkset._parse_linkset_json(
                signposting.linkset.LinksetJSON(text.text, "application/linkset+json", link_set.target, link_set.target)
            )
            (whole,) = [entry for entry in text.json()["linkset"] if "item" in entry]
            all_rows = (await ds.client.get("/evidence/works.json?verdict=include&_size=max&_shape=objects")).json()[
                "rows"
            ]
            assert len(whole["item"]) == len(all_rows) > 3
            assert len(parsed.signposts) >= 2 * len(all_rows)


async def test_a_link_set_names_the_next_one(tmp_path: Path, bare: None) -> None:
    db = site_sample.make_sample(tmp_path / "evidence.db")
    with closing(sqlite3.connect(db)) as conn, conn:
        columns = [row[1] for row in conn.execute("pragma table_info(works)")]
        values = ", ".join("'10.9999/' || n" if column == "doi" else column for column in columns)
        conn.execute(
            f"insert into works ({', '.join(columns)}) with recursive c(n) as (select 1 union all select n + 1 from c "
            f"where n < {signposts.SET_SIZE}) select {values} from c, (select * from works where doi = '10.1002/cpp.1774')"
        )
        (n,) = conn.execute("select count(*) from works where verdict = 'include'").fetchone()
    ds = await site(db)
    found: list[str] = []
    address: str | None = "/linkset.json?verdict=include"
    while address:
        entry = (await ds.client.get(address)).json()["linkset"][0]
        found += [item["href"] for item in entry["item"]]
        address = entry["next"][0]["href"].removeprefix("http://localhost") if "next" in entry else None
    assert len(found) == len(set(found)) == n > signposts.SET_SIZE
    assert (await ds.client.get("/linkset.json?_tag=nonsense:x")).status_code in (400, 404)


async def test_the_header_of_a_list_stays_below_what_proxies_take(tmp_path: Path, configured: None) -> None:
    doi = f"10.1002/{'x.' * 60}"
    works = [f"{ADDRESS}/evidence/works/{doi}{number}" for number in range(25)]
    links = signposts.of_list(works, f"{ADDRESS}/linkset.json", [], longer=True)
    assert len(signposts.header(links)) < 4000
    assert (
        signposts.header([signposts.Link('https://a.edu/"> ,<x', "item")])
        == '<https://a.edu/%22%3E%20,%3Cx>; rel="item"'
    )


async def test_every_link_header_has_brackets(sample: Path, bare: None) -> None:
    ds = await site(sample)
    for page in ("/", "/evidence", "/evidence/tags", "/evidence/trials"):
        for value in link_headers(await ds.client.get(page)):
            assert re.fullmatch(r'<[^>]+>; rel="alternate"; type="application/json"', value), page


# ---------------------------------------------------------------------- pictures


async def test_the_picture_for_links_and_the_sign_of_the_site(sample: Path) -> None:
    ds = await site(sample)
    answer = await ds.client.get("/share.png")
    assert answer.headers["content-type"] == "image/png"
    assert struct.unpack(">II", answer.content[16:24]) == (1200, 630)
    body = answer.content[answer.content.index(b"IDAT") + 4 :]
    assert len(zlib.decompressobj().decompress(body)) == 630 * 1201
    for sign in ("/favicon.ico", "/static/favicon.svg", "/static/favicon.png"):
        assert (await ds.client.get(sign)).status_code == 200


def test_the_area_of_a_disc_is_true_to_its_number() -> None:
    pixels = share_picture.discs([[0] * 6, [0, 100, 0, 0, 25, 0], [0] * 6])
    areas = [sum(sum(row[half]) for row in pixels[share_picture.BAND :]) for half in (slice(600), slice(600, None))]
    assert math.isclose(areas[0] / areas[1], 4, rel_tol=0.02)
    empty = share_picture.discs([])
    assert not any(any(row) for row in empty[share_picture.BAND :])


# ---------------------------------------------------------------------- the examples of the API page


@pytest.fixture(scope="module")
def address(sample: Path) -> Iterator[str]:
    """The address of a public site in a process of its own."""
    with served(
        sample, {**serve.environment("127.0.0.1", public=True), "EVIDENCE_SOURCES": "/nowhere"}, public=True
    ) as found:
        yield found


LANGUAGES = {
    "curl": ["bash", "-eu", "-o", "pipefail", "-c"],
    "Python": [sys.executable, "-W", "error", "-c"],
    "R": ["Rscript", "-e"],
}
OUTPUTS = {
    ("curl", "work"): '"doi": "10.1002/cpp.1774"', ("curl", "cite"): "@article{", ("curl", "unchanged"): "304",
    ("Python", "unchanged"): "304", ("Python", "work"): "Interpersonal Psychotherapy: Past, Present and Future include",
    ("Python", "cite"): "Interpersonal Psychotherapy", ("Python", "map"): "'works': '", ("Python", "list"): " works",
    ("Python", "pages"): " tags", ("Python", "query"): " trials", ("curl", "query"): '"doi"', ("curl", "pages"): '"facet"',
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGES)
def test_each_example_works_as_it_is_printed(address: str, tmp_path: Path, language: str) -> None:
    program = LANGUAGES[language][0]
    if shutil.which(program) is None or (language == "curl" and shutil.which("curl") is None):
        pytest.skip(f"{language} is not installed")
    if (
        language == "R"
        and subprocess.run(["Rscript", "-e", "library(jsonlite)"], capture_output=True, check=False).returncode
    ):
        pytest.skip("R's package jsonlite is not installed")
    page = httpx.get(f"{address}/api").text
    sections = re.findall(r'<h3 id="example-([a-z]+)">.*?</section>', page, re.DOTALL)
    assert len(sections) >= 6
    for name in sections:
        section = page.partition(f'<h3 id="example-{name}">')[2].partition("</section>")[0]
        found = re.search(rf'data-language="{language}">(.*?)</pre>', section, re.DOTALL)
        assert found is not None, name
        code = html.unescape(found[1])
        assert address in code
        done = subprocess.run(
            [*LANGUAGES[language], code], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, (name, done.stderr)
        assert OUTPUTS.get((language, name), "") in done.stdout, (name, done.stdout)
    if language == "curl":
        listed = httpx.get(f"{address}/download/csv?verdict=include").text.splitlines()
        assert 1 < len((tmp_path / "works.csv").read_text().splitlines()) <= len(listed)
        assert (tmp_path / "map.csv").read_text().startswith("variant,outcome,works")


def test_a_published_copy_keeps_what_the_site_says_of_itself_but_not_the_contact_for_providers(tmp_path: Path) -> None:
    from evidence.harvest import sources
    from evidence.publish import immutable_copy

    path = tmp_path / "sources.yaml"
    path.write_text(f"contact: private@university.edu\n{SITE}{SOURCES}")
    text = immutable_copy.without_contact(path)
    assert "private@" not in text
    path.write_text(text)
    assert sources.load(path).site == sources.Published(
        ADDRESS, "Living Review & Group", "review@university.edu", "https://creativecommons.org/licenses/by/4.0/"
    )


@pytest.mark.skipif(
    shutil.which("sqlite3") is None or shutil.which("curl") is None, reason="sqlite3 or curl is not installed"
)
def test_the_data_can_be_queried_at_home_as_it_is_printed(address: str, sample: Path, tmp_path: Path) -> None:
    section = httpx.get(f"{address}/api").text.partition('<h2 id="sql">')[2]
    found = re.search(r'<pre class="code"[^>]*>(.*?)</pre>', section, re.DOTALL)
    assert found is not None
    command = [*LANGUAGES["curl"], html.unescape(found[1])]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    with closing(sqlite3.connect(sample)) as conn:
        expected = conn.execute("select value, count(*) from tags where facet = 'variant' group by value").fetchall()
    assert done.stdout.splitlines() == [f"{value}|{n}" for value, n in expected]
