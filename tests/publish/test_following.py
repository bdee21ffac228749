"""Following a list of works: its feed, what was added since a day, and what is new by month."""

from __future__ import annotations

import html
import re
import sqlite3
from contextlib import closing
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

import pytest
from datasette.app import Datasette

from evidence.publish import atom_feed, immutable_copy, listed_works, serve
from tests import site_sample

ATOM = "{http://www.w3.org/2005/Atom}"
TRIAL = "10.1001/archpsyc.56.6.573"
"""An included trial of IPT-A of the first run."""
WAITING = "10.5555/waited"


@pytest.fixture
def db(tmp_path: Path) -> Path:
    """The sample; a work that waited in the first run is included in a third, of June."""
    path = site_sample.make_sample(tmp_path / "evidence.db")
    with closing(sqlite3.connect(path)) as conn, conn:
        work = (WAITING, 'A "waited" <i>trial</i> & 💬', "Éva Ő", "Journal", "2026", "journal-article", "include", None)
        site_sample.add_work(conn, work, first_run=1)
        conn.execute("insert into works_fts (works_fts) values ('rebuild')")
        conn.execute(
            "insert into runs (run, started, finished, outcome, door, version) "
            "values (3, '2027-06-01T08:00:00Z', '2027-06-01T09:00:00Z', 'complete', 'crossref', '1')"
        )
        add_change(conn, 3, WAITING, "verdict", "unsure", "include", "include")
    return path


def add_change(conn: sqlite3.Connection, run: int, doi: str, what: str, before: Any, after: Any, verdict: str) -> None:
    conn.execute(
        "insert into changes (run, doi, what, before, after, verdict) values (?, ?, ?, ?, ?, ?)",
        (run, doi, what, before, after, verdict),
    )


async def site(db: Path, **options: Any) -> Datasette:
    ds = Datasette([str(db)], config_dir=serve.site_folder(), **options)
    await ds.invoke_startup()
    return ds


async def feed_of(ds: Datasette, address: str) -> Any:
    answer = await ds.client.get(address)
    assert answer.status_code == 200, answer.text
    return ElementTree.fromstring(answer.text)


def entries(feed: Any) -> list[tuple[str, str]]:
    """(id, title) of each entry."""
    return [(e.findtext(f"{ATOM}id", ""), e.findtext(f"{ATOM}title", "")) for e in feed.findall(f"{ATOM}entry")]


def dois(feed: Any) -> set[str]:
    return {e.findtext(f"{ATOM}summary", "").rpartition("doi:")[2] for e in feed.findall(f"{ATOM}entry")}


async def listed(ds: Datasette, query: str) -> set[str]:
    answer = await ds.client.get(f"/evidence/works.json?_shape=array&_size=max&{query}")
    assert answer.status_code == 200, answer.text
    return {row["doi"] for row in answer.json()}


@pytest.mark.slow
@pytest.mark.parametrize(
    "query",
    [
        "verdict=include",
        "verdict=include&_tag=variant:ipt-a&_tag=design:rct",
        "verdict=include&year__gte=2010&_sort=title",
        "verdict=include&_search=depression",
        "verdict=include&title__contains=psychotherapy",
        "verdict__in=include,unsure&_tag=variant:ipt",
        "verdict=exclude",
        "verdict=include&_since=2026-11-23",
        "_q=depression&_scope=waiting",
        "_q=depression&_tag=design:rct",
        "_strength=stated&_tag=variant:ipt&verdict=include",
        "_where=title+like+'%25depress%25'+or+year+<+2001",
        "",
    ],
)
async def test_a_list_leads_to_a_feed_of_its_works(db: Path, query: str) -> None:
    """Every work of the list that was announced is in the feed, and no other work but those that were included once."""
    ds = await site(db)
    page = (await ds.client.get(f"/evidence/works?{query}")).text
    links = re.findall(r'<link rel="alternate" type="application/atom\+xml"[^>]* href="([^"]+)"', page)
    assert len(links) == 1
    address = html.unescape(links[0])
    shown = re.search(r'<input id="feed-address"[^>]* value="([^"]+)"', page)
    assert shown is not None
    assert html.unescape(shown[1]).removeprefix("http://localhost") == address
    feed = await feed_of(ds, address)
    with closing(sqlite3.connect(db)) as conn:
        announced = {doi for (doi,) in conn.execute("select doi from changes where what in ('new', 'verdict')")}
        left = "select c.doi from changes c join works w on w.doi = c.doi where c.verdict = 'include' and w.verdict <> 'include'"
        once_included = {doi for (doi,) in conn.execute(left)}
    works = await listed(ds, query)
    assert works
    assert dois(feed) & announced >= works & announced
    assert dois(feed) - works <= once_included, address
    own = feed.find(f"{ATOM}link[@rel='self']")
    assert own is not None and own.attrib["href"] == f"http://localhost{address}"
    other = feed.find(f"{ATOM}link[@rel='alternate']")
    assert other is not None
    assert await listed(ds, other.attrib["href"].partition("?")[2]) == works


async def test_a_work_that_leaves_a_list_is_news_of_it_and_of_a_search(db: Path) -> None:
    with closing(sqlite3.connect(db)) as conn, conn:
        conn.execute("update works set verdict = 'exclude' where doi = ?", (TRIAL,))
        add_change(conn, 3, TRIAL, "verdict", "include", "exclude", "exclude")
    ds = await site(db)
    for query in ("", "?verdict=include&_tag=variant:ipt-a", "?_q=depressed+adolescents"):
        assert entries(await feed_of(ds, f"/feed.atom{query}"))[0][1].startswith("[included → excluded] "), query


async def test_a_retraction_is_a_new_entry_and_the_old_ones_stay_as_they_were(db: Path) -> None:
    address = "/feed.atom?verdict=include&_tag=variant:ipt-a"
    before = entries(await feed_of(await site(db), address))
    with closing(sqlite3.connect(db)) as conn, conn:
        conn.execute(
            "insert into runs (run, started, finished, outcome, door, version) "
            "values (4, '2027-07-01T08:00:00Z', '2027-07-01T09:00:00Z', 'complete', 'crossref', '1')"
        )
        add_change(conn, 4, TRIAL, "notice", None, "retraction 10.5555/notice", "include")
    after = entries(await feed_of(await site(db), address))
    assert after[1:] == before != []
    assert after[0][1].startswith("[retraction] ")


async def test_ids_depend_neither_on_the_host_nor_on_a_doi_that_moves(db: Path) -> None:
    ds = await site(db)
    here = await ds.client.get("/feed.atom?verdict=include")
    there = await ds.client.get("/feed.atom?verdict=include", headers={"host": "evidence.example"})
    assert "http://evidence.example/" in there.text
    parsed = [ElementTree.fromstring(answer.text) for answer in (here, there)]
    ids = [[feed.findtext(f"{ATOM}id"), *(name for name, _ in entries(feed))] for feed in parsed]
    assert ids[0] == ids[1]
    assert all(name is not None and name.startswith("urn:uuid:") for name in ids[0])
    assert len(set(ids[0])) == len(ids[0])
    with closing(sqlite3.connect(db)) as conn, conn:
        conn.execute("insert into aliases (alias, doi, first_run) values (?, '10.5555/new', 3)", (TRIAL,))
        conn.execute("update works set doi = '10.5555/new' where doi = ?", (TRIAL,))
    moved = ElementTree.fromstring((await (await site(db)).client.get("/feed.atom?verdict=include")).text)
    assert "10.5555/new" in dois(moved)
    assert [moved.findtext(f"{ATOM}id"), *(name for name, _ in entries(moved))] == ids[0]


async def test_the_id_of_a_feed_is_that_of_its_filters(db: Path) -> None:
    ds = await site(db)

    async def name(query: str) -> str:
        return str((await feed_of(ds, f"/feed.atom?{query}")).findtext(f"{ATOM}id"))

    same = await name("_tag=variant:ipt-a&verdict=include")
    assert await name("verdict=include&_tag=variant:ipt-a&_sort=title&_size=5") == same
    assert await name("verdict=include&_tag=variant:ipt") != same


async def test_a_reader_that_has_a_feed_is_told_so(db: Path) -> None:
    ds = await site(db)
    first = await ds.client.get("/feed.atom")
    tag, day = first.headers["etag"], first.headers["last-modified"]
    assert parsedate_to_datetime(day).isoformat() == "2027-06-01T09:00:00+00:00"
    for headers in ({"if-none-match": tag}, {"if-none-match": f'"x", W/{tag}'}, {"if-modified-since": day}):
        again = await ds.client.get("/feed.atom", headers=headers)
        assert (again.status_code, again.text, again.headers["etag"]) == (304, "", tag), headers
    for headers in (
        {"if-none-match": '"x"', "if-modified-since": day},
        {"if-modified-since": "Sat, 01 May 2027 00:00:00 GMT"},
        {"if-modified-since": "yesterday"},
    ):
        assert (await ds.client.get("/feed.atom", headers=headers)).status_code == 200, headers
    with closing(sqlite3.connect(db)) as conn, conn:
        add_change(conn, 3, TRIAL, "notice", None, "correction 10.5555/notice", "include")
    assert (await ds.client.get("/feed.atom", headers={"if-none-match": tag})).status_code == 200


async def test_no_abstract_is_in_a_feed(db: Path) -> None:
    with closing(sqlite3.connect(db)) as conn, conn:
        conn.execute("update works set abstract = 'secretabstract', abstract_source = 'pubmed'")
    assert "secretabstract" not in (await (await site(db)).client.get("/feed.atom?verdict__notnull=1")).text


async def test_a_copy_and_the_working_site_have_the_same_entries(db: Path, tmp_path: Path) -> None:
    immutable_copy.copy(db, tmp_path / "copy.db", hidden=["A. Reviewer"])
    (tmp_path / "site").mkdir()
    copied = (tmp_path / "copy.db").rename(tmp_path / "site" / "evidence.db")
    published = Datasette([], immutables=[str(copied)], config_dir=serve.site_folder())
    await published.invoke_startup()
    for query in ("", "?verdict=include&_tag=variant:ipt-a", "?_q=depression"):
        here, there = [await feed_of(ds, f"/feed.atom{query}") for ds in (await site(db), published)]
        assert entries(here) == entries(there) != []
        assert here.findtext(f"{ATOM}id") == there.findtext(f"{ATOM}id")


async def test_many_works_and_few_are_followed_alike(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of few works the changes are looked up; of many, changes are read from the latest."""
    ds = await site(db)
    few = entries(await feed_of(ds, "/feed.atom?verdict=include&year__gte=2000"))
    plugin = next(p for p in __import__("datasette.plugins").plugins.pm.get_plugins() if hasattr(p, "FEW"))
    monkeypatch.setattr(plugin, "FEW", 0)
    assert entries(await feed_of(ds, "/feed.atom?verdict=include&year__gte=2000")) == few != []


async def test_the_map_leads_to_the_feed_of_its_works(db: Path) -> None:
    ds = await site(db)
    page = (await ds.client.get("/map?condition=depression&since=2000")).text
    address = re.search(r'<link rel="alternate" type="application/atom\+xml"[^>]* href="([^"]+)"', page)
    assert address is not None
    works = await listed(ds, "verdict=include&_tag=condition:depression&year__gte=2000")
    feed = await feed_of(ds, html.unescape(address[1]))
    assert works
    assert works - {WAITING} <= dois(feed)


# ---------------------------------------------------------------------- added since


async def test_added_since_is_what_came_or_was_included_on_the_day_or_later(db: Path) -> None:
    ds = await site(db)
    with closing(sqlite3.connect(db)) as conn:
        started = dict(conn.execute("select run, substr(started, 1, 10) from runs"))
        of_run = {
            run: {doi for (doi,) in conn.execute("select doi from works where first_run = ?", (run,))} for run in (1, 2)
        }
    everything = of_run[1] | of_run[2]
    assert started[1] < started[2] < "2027-06-01"
    assert await listed(ds, f"_since={started[1]}") == everything
    assert await listed(ds, f"_since={started[2]}") == of_run[2] | {WAITING}
    assert await listed(ds, "_since=2027-06-01") == {WAITING}
    assert await listed(ds, "_since=2027-06-02") == set()
    assert await listed(ds, "_since=2027-06-01&_tag=design:rct&verdict=include") == set()
    assert await listed(ds, "_since=") == everything


async def test_added_since_holds_for_counts_files_and_views(db: Path) -> None:
    ds = await site(db)
    query = "verdict=include&_since=2026-11-23"
    works = await listed(ds, query)
    page = (await ds.client.get(f"/evidence/works.json?{query}")).json()
    assert page["filtered_table_rows_count"] == len(works) > 1
    by_verdict = page["facet_results"]["verdict"]["results"]
    assert [(value["value"], value["count"]) for value in by_verdict] == [("include", len(works))]
    assert (await ds.client.get(f"/download/ris?{query}")).text.count("ER  - ") == len(works)
    studies = (await ds.client.get("/evidence/studies.json?_shape=array&_size=max&_since=2026-11-23")).json()
    assert {row["doi"] for row in studies} <= works | {WAITING}
    assert "added since 2026-11-23 ✕" in (await ds.client.get(f"/evidence/works?{query}")).text


@pytest.mark.parametrize("address", ["/evidence/works", "/evidence/works.json", "/download/csv", "/feed.atom"])
async def test_a_day_that_is_none_is_refused(db: Path, address: str) -> None:
    answer = await (await site(db)).client.get(f"{address}?_since=last+week")
    assert (answer.status_code, "is not a valid date" in html.unescape(answer.text)) == (400, True)


async def test_a_table_without_works_refuses_the_filter(db: Path) -> None:
    assert (await (await site(db)).client.get("/evidence/runs?_since=2026-11-23")).status_code == 400


async def test_the_form_keeps_the_other_filters_and_shows_the_day(db: Path) -> None:
    ds = await site(db)
    page = (await ds.client.get("/evidence/works?verdict=include&_tag=design:rct&_since=2026-11-23")).text
    form = page.partition('<form class="filters"')[2].partition("</form>")[0]
    assert '<input id="since" type="date" name="_since" value="2026-11-23">' in form
    assert form.count('name="_since"') == 1
    assert '<input type="hidden" name="_tag" value="design:rct">' in form


# ---------------------------------------------------------------------- what is new


async def test_what_is_new_is_grouped_by_month_and_its_numbers_are_those_of_their_lists(db: Path) -> None:
    ds = await site(db)
    page = (await ds.client.get("/changes")).text
    assert re.findall(r'<h2 id="month-([\d-]+)">([^<]+)</h2>', page) == [
        ("2027-06", "June 2027"),
        ("2026-11", "November 2026"),
    ]
    checked = 0
    for line in re.findall(r'<p class="month-added">(.*?)</p>', page):
        for address, n in re.findall(r'<a href="([^"]+)">([\d,]+) ', line):
            works = await listed(ds, html.unescape(address).partition("?")[2])
            assert len(works) == int(n), address
            checked += 1
        glyphs = dict(re.findall(r'glyph (other|unknown)".*?</svg> ([\d,]+) ', line))
        first = re.search(r'<a href="([^"]+)"', line)
        works = await listed(ds, html.unescape(first[1]).partition("?")[2]) if first else set()
        with closing(sqlite3.connect(db)) as conn:
            designs = dict.fromkeys(works, "") | dict(
                conn.execute("select doi, value from shown_tags where facet = 'design'")
            )
        assert int(glyphs.get("unknown", 0)) == sum(not designs[doi] for doi in works)
    assert checked >= 3


async def test_each_work_has_a_glyph_and_words_for_its_design(db: Path) -> None:
    page = (await (await site(db)).client.get("/changes")).text
    line = page.partition("Efficacy of interpersonal psychotherapy for depressed adolescents")
    assert line[0].rpartition("<li>")[2].startswith('<svg class="glyph trial"')
    assert "Randomised trial" in line[2].partition("</li>")[0]
    unknown = page.partition("trial&lt;/i&gt; &amp; 💬")
    assert unknown[0].rpartition("<li>")[2].startswith('<svg class="glyph unknown"')
    assert "design unknown" in unknown[2].partition("</li>")[0]


# ---------------------------------------------------------------------- parts


def test_a_feed_is_read_alike_by_a_parser_whatever_a_title_holds() -> None:
    row = {
        "change": 1, "what": "new", "before": None, "after": "include", "announced": "10.1/a", "doi": "10.1/a",
        "title": "<i>a</i> & \x0b\u202e \ud83d", "authors": None, "container": "J", "year": 2000,
        "started": "2026-01-01T00:00:00Z", "updated": "2026-01-01T00:00:00Z", "tags": None,
    }  # fmt: skip
    about = atom_feed.About("t", "s", "i", [("_tag", "a:b")], "http://h/f?a&b", "http://h/", "2026-01-01T00:00:00Z")
    found = ElementTree.fromstring(atom_feed.feed(about, [row], ["http://h/w"]))
    title = found.findtext(f"{ATOM}entry/{ATOM}title", "")
    assert title.startswith("<i>a</i> & ")
    assert not {"\x0b", "\u202e", "\ud83d"} & set(title)


def test_conditions_on_the_verdict_are_told_from_others() -> None:
    where = "\"verdict\" = :p0 and (doi in (select 1 and 2)) and verdict in (:p1, :p2) and title like 'verdict'"
    assert listed_works.split_verdicts(where) == (
        '"verdict" = :p0 and verdict in (:p1, :p2)',
        "(doi in (select 1 and 2)) and title like 'verdict'",
    )


async def test_a_search_is_a_list_with_the_same_number(db: Path) -> None:
    ds = await site(db)
    for extra in ([], [("_tag", "design:rct")], [("year__gte", "1990"), ("_tag", "variant:ipt-a")], [("scope", "all")]):
        page = (await ds.client.get(f"/search?{urlencode([('q', 'interpersonal depression'), *extra])}")).text
        shown = re.search(r'<h2 id="found">([\d,]+) work', page)
        address = re.search(r'<a href="([^"]+)">Th(?:is|ese) works? as a list', page)
        assert shown is not None and address is not None, extra
        works = await listed(ds, html.unescape(address[1]).partition("?")[2])
        assert len(works) == int(shown[1])
        for tag, n in re.findall(r'<option value="(\w+:[\w-]+)"[^>]*>[^<]*\((\d+)\)</option>', page):
            others = [pair for pair in extra if not pair[1].startswith(tag.partition(":")[0])]
            query = urlencode([("q", "interpersonal depression"), *others, ("_tag", tag)])
            found = re.search(r'<h2 id="found">([\d,]+) work', (await ds.client.get(f"/search?{query}")).text)
            assert int(found[1] if found else 0) == int(n), query


async def test_what_is_no_filter_is_left_out_of_a_search_and_of_the_front_page(db: Path) -> None:
    ds = await site(db)
    assert (await ds.client.get("/?utm_source=letter&_tag=nonsense")).status_code == 200
    plain, more = [(await ds.client.get(f"/search?q=depression{end}")).text for end in ("", "&utm_source=letter")]
    found = re.compile(r'<h2 id="found">([^<]+)')
    assert found.findall(plain) == found.findall(more) != []
    refused = await ds.client.get("/search?q=depression&_tag=design:rtc")
    assert (refused.status_code, "did you mean 'rct'?" in html.unescape(refused.text)) == (400, True)


async def test_the_box_at_the_top_keeps_scope_and_filters(db: Path) -> None:
    page = (await (await site(db)).client.get("/search?q=depression&scope=waiting&_tag=design:rct&year__gte=1990")).text
    box = page.partition('class="site-search"')[2].partition("</form>")[0]
    kept = [("q", "depression"), ("scope", "waiting"), ("_tag", "design:rct"), ("year__gte", "1990")]
    assert re.findall(r'name="(\w+)"[^>]* value="([^"]*)"', box) == kept


async def test_the_front_page_counts_what_its_filters_find(db: Path) -> None:
    ds = await site(db)
    options = re.findall(r'<option value="(\w+:[\w-]+)">[^<]*\((\d+)\)</option>', (await ds.client.get("/")).text)
    assert len(options) > 5
    for tag, n in options:
        assert len(await listed(ds, urlencode([("verdict", "include"), ("_tag", tag)]))) == int(n), tag


async def test_the_address_of_a_search_has_no_empty_fields(db: Path) -> None:
    ds = await site(db)
    sent = "q=a+%26+b&scope=include&_tag=design%3Arct&_tag=&year__gte=&year__lte="
    answer = await ds.client.get(f"/search?{sent}")
    assert (answer.status_code, answer.headers["location"]) == (302, "/search?q=a+%26+b&_tag=design%3Arct")
    assert (await ds.client.get(answer.headers["location"])).status_code == 200
