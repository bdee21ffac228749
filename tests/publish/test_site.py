"""The site through Datasette's own client, and the command that serves it."""

from __future__ import annotations

import base64
import csv
import hashlib
import html
import io
import json
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any, get_args
from urllib.parse import parse_qsl, urlencode, urljoin
from xml.etree import ElementTree

import pytest
from datasette.app import Datasette
from datasette.utils import escape_fts
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlite_utils import Database

from evidence.data_model import CitationStatus
from evidence.database import prisma_flow, read_queries, schema
from evidence.errors import ConfigError, StoreError
from evidence.publish import serve, site_metadata, work_page_text
from evidence.rules import topic
from tests import site_sample
from tests.module_from_file import module_from_file
from tests.publish import map_cells

SITE = serve.site_folder()
METADATA = site_metadata.read(SITE, topic.load())
TABLES: dict[str, Any] = METADATA["databases"]["evidence"]["tables"]
QUERIES: dict[str, Any] = METADATA["databases"]["evidence"]["queries"]

PAGES = (
    "/", "/map", "/map?condition=depression&since=2000", "/article/article-references", "/evidence",
    "/evidence/works", "/evidence/works?verdict=include&_tag=variant:ipt", "/evidence/works?_search=interpersonal",
    "/evidence/works/10~2E1002~2Fcpp~2E1774", "/evidence/studies", "/evidence/tags", "/evidence/runs/1",
    "/evidence?sql=select+1", "/evidence/trials", "/evidence/search?q=grief", "/evidence/trials?_show_sql=1",
    "/changes", "/prisma", "/prisma?as_of=2026-11-21", "/past?as_of=2026-11-21", "/method", "/currency",
    "/currency?row=ipt&column=depressive-symptoms", "/evidence/no-such-table",
)  # fmt: skip


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return site_sample.make_sample(tmp_path_factory.mktemp("site") / "evidence.db")


_served: dict[Path, Datasette] = {}


async def served(path: Path, **options: Any) -> Datasette:
    """The site over `path`; kept between tests, as a server is between requests, unless it has options of its own."""
    if path in _served and not options:
        return _served[path]
    ds = Datasette([str(path)], config_dir=SITE, **options)
    await ds.invoke_startup()
    if not options:
        _served[path] = ds
    return ds


async def get(path: Path, address: str) -> Any:
    ds = await served(path)
    return await ds.client.get(address)


def plugin(name: str) -> ModuleType:
    return module_from_file(SITE / "plugins" / f"{name}.py", f"site_{name}")


def rows_of(text: str) -> int:
    """The count of rows that a list's page states."""
    found = re.search(r'role="status"><strong>([\d,]+) (?:row|work)', text)
    assert found is not None, text[:2000]
    return int(found[1].replace(",", ""))


# ---------------------------------------------------------------------- the folder and what describes it


def test_the_folder_is_no_package() -> None:
    assert not (SITE / "__init__.py").exists()
    assert not list(SITE.rglob("__init__.py"))


def test_every_table_view_and_column_is_described() -> None:
    db = Database(memory=True)
    schema.evidence.apply(db)
    with db.conn:
        schema.make_views(db.conn)
    shadow = re.compile(r"works_fts_|sqlite_")
    names = [name for name in [*db.table_names(), *db.view_names()] if not shadow.match(name)]
    missing = []
    for name in names:
        about = TABLES.get(name, {})
        missing += [f"{name}.{key}" for key in ("title", "description") if not about.get(key)]
        columns = {row[1] for row in db.conn.execute(f"pragma table_info([{name}])")}
        described = {column for column, text in about.get("columns", {}).items() if text}
        missing += [f"{name}.{column}" for column in sorted(columns - described)]
        missing += [f"{name}.{column} is no column" for column in sorted(described - columns)]
    assert missing == []
    assert sorted(set(TABLES) - set(names)) == []


def test_every_question_has_words_and_hides_its_sql() -> None:
    assert len(QUERIES) >= 12
    for name, query in QUERIES.items():
        assert query["title"], name
        assert query["description"], name
        assert query["hide_sql"] is True, name
        assert "order by" in query["sql"], name


async def test_every_question_answers_without_and_with_parameters(sample: Path) -> None:
    ds = await served(sample)
    for name, query in QUERIES.items():
        answer = await ds.client.get(f"/evidence/{name}.json?_shape=array")
        assert answer.status_code == 200, (name, answer.text)
        page = await ds.client.get(f"/evidence/{name}")
        assert page.status_code == 200, name
        with closing(sqlite3.connect(sample)) as conn:
            conn.create_function("escape_fts", 1, lambda text: f'"{text}"')
            stated = set(re.findall(r"(?<!:):([a-z_]+)", query["sql"]))
            assert stated == set(query.get("params", [])), name
            conn.execute(f"explain {query['sql']}", dict.fromkeys(stated, ""))


EXPECTED = {
    "trials": 3, "trials?variant=ipt-a": 1, "reviews": 1, "retracted_or_corrected": 2, "waiting": 3,
    "new_in_last_run": 1, "new_in_last_run?run=1": 12, "changed_in_last_run": 2,
    "map_cell?variant=ipt&outcome=depressive-symptoms": 2, "why_here?doi=10.1002/CPP.1774": 5,
    "search?q=grief": 1, "article_citations": 9, "citations_for_a_person": 2, "searches_as_run": 1,
    "prisma_numbers": len(prisma_flow.BOXES), "cited_but_missing": 1, "cited_but_missing?at_least=3": 0, "recent_runs": 2,
    "decided_by_people": 0, "untagged?facet=variant": 0,
}  # fmt: skip


async def test_questions_find_what_is_there(sample: Path) -> None:
    ds = await served(sample)
    found = {}
    for question in EXPECTED:
        name, _, args = question.partition("?")
        found[question] = len((await ds.client.get(f"/evidence/{name}.json?_shape=array&{args}")).json())
    assert found == EXPECTED


# ---------------------------------------------------------------------- lists


async def test_search_filters(sample: Path) -> None:
    ds = await served(sample)
    everything = (await ds.client.get("/evidence/works.json?_shape=array&_size=max")).json()
    found = (await ds.client.get("/evidence/works.json?_shape=array&_search=adolescent")).json()
    assert len(everything) == len(site_sample.WORKS)
    assert [work["doi"] for work in found] == ["10.1001/archpsyc.56.6.573"]


TYPED = (
    "IPT-A", '"interpersonal psychotherapy"', "depress*", '"unclosed', "a AND", "AND", "NEAR(a b)", "title:a", "^a", "'; --",
    "(", ")", "*", '"', '""', "", "   ", "\n", '"a\nb"', '"\n', "a\0b", "\0", "a " * 1500, '("' * 1500, "x" * 3000,
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["", "&_searchmode=raw"])
async def test_search_takes_what_people_type(sample: Path, mode: str) -> None:
    ds = await served(sample)
    for typed in TYPED:
        for address in (
            f"/evidence/works?{urlencode({'_search': typed})}{mode}",
            f"/evidence/works?{urlencode({'_search_title': typed, 'year__gte': '1990'})}{mode}",
            f"/evidence/search?{urlencode({'q': typed})}",
        ):
            page = await ds.client.get(address)
            assert page.status_code == 200, (typed, address)
            assert "fts5" not in page.text
            assert "message-error" not in page.text


async def test_an_empty_search_lists_everything(sample: Path) -> None:
    ds = await served(sample)
    everything = (await ds.client.get("/evidence/works?verdict=include")).text
    for empty in ("", "+", "%20%20", "%22", "%0A", "%00"):
        assert rows_of((await ds.client.get(f"/evidence/works?_search={empty}&verdict=include")).text) == rows_of(
            everything
        )
        assert (await ds.client.get(f"/download/csv?_search={empty}")).text == (
            await ds.client.get("/download/csv")
        ).text
        feed = await ds.client.get(f"/feed.atom?_search={empty}")
        assert feed.status_code == 200
    empty_question = (await ds.client.get("/evidence/search.json?q=%22&_shape=array")).json()
    assert empty_question == (await ds.client.get("/evidence/search.json?_shape=array")).json() != []


@pytest.mark.slow
@given(st.text(alphabet='a" \n*\t\0\r)(A\u2028:^-+{}', max_size=12))
@settings(max_examples=200, deadline=None)
def test_whatever_is_typed_is_a_search(typed: str) -> None:
    search_query = plugin("search_box")
    query = search_query.valid_search("/evidence/works", urlencode({"_search": typed, "verdict": "include"}).encode())
    kept = dict(parse_qsl(query.decode(), keep_blank_values=True))
    assert kept["verdict"] == "include"
    if "_search" in kept:
        assert search_query.is_valid(escape_fts(kept["_search"]))
    else:
        assert not typed.replace("\0", " ").replace('"', " ").strip()


def test_other_addresses_stay_as_they_are() -> None:
    search_query = plugin("search_box")
    for path, query in (
        ("/evidence/works", b"verdict=include&_tag=variant%3aipt&x"), ("/evidence/works", b"_search=IPT-A+%C3%A9"),
        ("/evidence/works", b"_search=grief+OR+loss&_searchmode=raw"), ("/evidence/works", b"q="), ("/", b""),
    ):  # fmt: skip
        assert search_query.valid_search(path, query) == query


async def walk(ds: Datasette, name: str, args: str) -> list[str]:
    """Every row of every page of a list, as text."""
    found: list[str] = []
    address: str | None = f"/evidence/{name}.json?_size=3&{args}"
    while address:
        page = (await ds.client.get(address)).json()
        found += [json.dumps(row) for row in page["rows"]]
        address = page["next_url"] and page["next_url"].replace("http://localhost", "")
    return found


@pytest.mark.slow
@pytest.mark.parametrize("filters", ["", "&verdict=include", "&_search=interpersonal", "&_tag=variant:ipt"])
@pytest.mark.parametrize("direction", ["_sort", "_sort_desc"])
async def test_every_page_of_every_order_holds_every_work_once(sample: Path, direction: str, filters: str) -> None:
    ds = await served(sample)
    count = (await ds.client.get(f"/evidence/works.json?_size=0{filters}")).json()["filtered_table_rows_count"]
    for column in TABLES["works"]["sortable_columns"]:
        found = await walk(ds, "works", f"{direction}={column}{filters}")
        assert len(found) == len(set(found)) == count, column


@pytest.mark.slow
@pytest.mark.parametrize("direction", ["_sort", "_sort_desc"])
async def test_other_lists_are_whole_in_every_order_too(sample: Path, direction: str) -> None:
    ds = await served(sample)
    for name in ("tags", "reasons", "citations", "sightings", "studies", "to_check", "history", "evidence_map"):
        with closing(sqlite3.connect(sample)) as conn:
            count = conn.execute(f"select count(*) from [{name}]").fetchone()[0]
        for column in TABLES[name]["columns"]:
            found = await walk(ds, name, f"{direction}={column}")
            assert len(found) == len(set(found)) == count, (name, column)


async def test_a_list_as_csv_is_whole(sample: Path) -> None:
    ds = await served(sample)
    for args in ("", "&_sort=year", "&_sort_desc=container", "&_sort=verdict"):
        lines = (await ds.client.get(f"/evidence/works.csv?_stream=on&_size=2{args}")).text.splitlines()
        assert len(lines) == len(set(lines)) == len(site_sample.WORKS) + 1


async def test_orders_of_ones_own_sql_are_left_alone(sample: Path) -> None:
    ds = await served(sample)
    assert (await ds.client.get("/evidence/tags")).status_code == 200  # a list of its own order, just before
    answer = await ds.client.get("/evidence.json?sql=select+year+from+works+group+by+year+order+by+year+limit+3")
    assert [row[0] for row in answer.json()["rows"]] == [1989, 1999, 2011]


async def test_tags_narrow_by_facet_and_value(sample: Path) -> None:
    ds = await served(sample)

    async def dois(args: str) -> set[str]:
        return {row["doi"] for row in (await ds.client.get(f"/evidence/works.json?_shape=array&{args}")).json()}

    trials = await dois("_tag=design:rct,cluster-rct")
    assert trials == {doi for doi, facet, value, _ in site_sample.TAGS if (facet, value) == ("design", "rct")}
    assert await dois("_tag=design:rct&_tag=variant:ipt-a") == {"10.1001/archpsyc.56.6.573"}
    assert await dois("_tag=design:rct&_tag=variant:ipt-a&year=1999&title__contains=adolescents") == {
        "10.1001/archpsyc.56.6.573"
    }
    assert await dois("_tag=design:+rct,+cluster-rct") == trials
    studies = (await ds.client.get("/evidence/studies.json?_shape=array&_tag=variant:dit")).json()
    assert [row["doi"] for row in studies] == ["10.1017/s0033291719000928"]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ("_tag=design:rtc", "did you mean 'rct'?"),
        ("_tag=design:rct,cluster_rct", "did you mean 'cluster-rct'?"),
        ("_tag=design:grief", "design has no 'grief'"),  # a condition and a problem area, but no design
        ("_tag=nonsense", "write it as facet:value"),
    ],
)
async def test_a_tag_that_could_not_be_said_is_refused_with_the_nearest(sample: Path, args: str, says: str) -> None:
    """As `evidence export --tag` refuses it: a list, a file and a feed that are empty for a slip would be believed."""
    ds = await served(sample)
    for address in ("/evidence/works.json", "/evidence/works", "/download/ris", "/feed.atom"):
        answer = await ds.client.get(f"{address}?{args}")
        assert (answer.status_code, says in html.unescape(answer.text)) == (400, True), (address, answer.text)


async def test_facets_count_what_their_links_find(sample: Path) -> None:
    ds = await served(sample)
    page = (await ds.client.get("/evidence/works.json?verdict=include")).json()
    assert {"variant", "outcome", "design", "verdict", "year"} <= set(page["facet_results"])
    for facet in page["facet_results"].values():
        assert facet["results"], facet["name"]
        for value in facet["results"]:
            listed = (await ds.client.get(html.unescape(value["toggle_url"]).replace("http://localhost", ""))).text
            counted = re.search(r'"filtered_table_rows_count": (\d+)', listed)
            assert counted is not None
            expected = value["count"] if not value["selected"] else len(site_sample.WORKS)
            assert int(counted[1]) == expected, (facet["name"], value)


async def test_lists_leave_abstracts_out_and_data_keeps_them(tmp_path: Path) -> None:
    path = site_sample.make_sample(tmp_path / "evidence.db")
    words = "Sixty patients were seen for twelve weeks."
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("update works set abstract = ?", (words,))
    ds = await served(path)
    assert words not in (await ds.client.get("/evidence/works")).text
    assert words in (await ds.client.get("/evidence/works.csv?_stream=on")).text
    assert words in (await ds.client.get("/evidence/works/10~2E1002~2Fcpp~2E1774")).text


async def test_everything_comes_as_csv_and_json(sample: Path) -> None:
    ds = await served(sample)
    for name in TABLES:
        with closing(sqlite3.connect(sample)) as conn:
            rows = conn.execute(f"select count(*) from [{name}]").fetchone()[0]
        table = csv.reader(io.StringIO((await ds.client.get(f"/evidence/{name}.csv?_stream=on")).text))
        assert len(list(table)) == rows + 1, name
        assert len((await ds.client.get(f"/evidence/{name}.json?_shape=array&_size=max")).json()) == rows, name
        assert (await ds.client.get(f"/evidence/{name}")).status_code == 200, name


# ---------------------------------------------------------------------- pages


async def test_every_number_on_the_front_page_is_the_length_of_its_list(sample: Path) -> None:
    ds = await served(sample)
    front = (await ds.client.get("/")).text
    numbers = re.findall(r'<li><a href="([^"]+)"><b>([\d,]+)</b>', front)
    assert [int(n) for _, n in numbers] == [9, 3, 1, 2, 3, 1]
    for address, n in numbers:
        page = await ds.client.get(html.unescape(address))
        assert rows_of(page.text) == int(n), address


async def test_the_front_page_tells_how_the_last_sync_went(tmp_path: Path) -> None:
    path = site_sample.make_sample(tmp_path / "evidence.db")
    front = (await get(path, "/")).text
    assert "the server kept answering 504" in front
    assert "Search health" not in front
    for found, words in ((5, "all 5 known works were found"), (4, "<strong>4 of 5</strong> known works found")):
        with closing(sqlite3.connect(path)) as conn, conn:
            conn.execute(
                "update runs set counts = json_set(counts, '$.known', json_array(?, 5)) where run = 2", (found,)
            )
        assert words in (await get(path, "/")).text


async def test_every_cell_of_the_map_is_the_length_of_its_list(sample: Path) -> None:
    ds = await served(sample)
    for args in ("", "?condition=depression", "?since=2012&until=2020", "?population=adolescents&until=1999"):
        page = (await ds.client.get(f"/map{args}")).text
        cells = map_cells.cells_of(page)
        assert cells, args
        for address, n in cells:
            listed, shown = await map_cells.list_of(ds, address)
            assert rows_of((await ds.client.get(listed)).text) == n == shown, (args, address)
        assert '<td class="empty ' in page


async def test_the_map_agrees_with_the_view_in_every_form(sample: Path) -> None:
    ds = await served(sample)
    view = (await ds.client.get("/evidence/evidence_map.json?_shape=array&_size=max")).json()
    lines = (await ds.client.get("/map.csv")).text.splitlines()[1:]
    cells = {tuple(line.split(",")[:2]): int(line.split(",")[2]) for line in lines}
    assert {key: n for key, n in cells.items() if n} == {(row["variant"], row["outcome"]): row["works"] for row in view}
    svg = await ds.client.get("/map.svg")
    assert svg.headers["content-type"].startswith("image/svg+xml")
    assert svg.text.count("<g><title>") == len(view)


@pytest.mark.slow
async def test_every_link_on_the_pages_leads_somewhere(sample: Path) -> None:
    ds = await served(sample)
    seen: dict[str, str] = {}
    for address in PAGES[:-1]:
        if "?" in address:
            continue
        text = (await ds.client.get(address)).text
        for link in re.findall(r'href="([^"]+)"', text):
            target = urljoin(address, html.unescape(link)).replace("http://localhost", "").split("#")[0]
            if target.startswith("/"):
                seen.setdefault(target, address)
    broken = [(target, seen[target]) for target in seen if (await ds.client.get(target)).status_code not in (200, 302)]
    assert broken == []


async def test_titles_and_dois_in_answers_lead_to_their_works(sample: Path) -> None:
    ds = await served(sample)
    for address in ("/evidence/trials", "/evidence/waiting", "/evidence/to_check", "/evidence/history"):
        page = (await ds.client.get(address)).text
        links = re.findall(r'<a class="work-title" href="([^"]+)"><bdi>([^<]+)</bdi></a>', page)
        assert links, address
        for link, title in links:
            assert title[:40] in re.sub(r"</?mark[^>]*>", "", (await ds.client.get(html.unescape(link))).text), link
    cited = (await ds.client.get("/evidence/cited_but_missing")).text
    assert f'<a href="https://doi.org/{site_sample.CITED_BY_TWO}" rel="noreferrer">' in cited


async def test_the_article_shows_each_citation_with_its_verdict(sample: Path) -> None:
    page = (await get(sample, "/article/article-references")).text
    assert len(re.findall(r'<li id="citation-\d+"', page)) == 9
    assert "1017/S0033291719000928" in page
    assert "10.1017/s0033291719000928" in page
    assert page.count('class="before"') == 1
    assert (await get(sample, "/article/nothing")).status_code == 404


SOURCES = """
sources:
  - id: article-references
    kind: references
    label: References of “What Is Interpersonal Therapy for Depression?”
    citations:
      - text: Whisman M, Beach S. Couple therapy for depression. J Clin Psy. 2012;68(5):526-35.
      - text: Lipsitz J, Markowitz J. Mechanisms of change in interpersonal therapy (IPT). Clin Psychol Rev. 2013.
      - text: International Society of Interpersonal Psychotherapy. Overview of IPT.
articles:
  - id: what-is-ipt
    title: What Is Interpersonal Therapy for Depression?
    references: article-references
    claims:
      - id: eases
        says: IPT eases <i>depression</i>
        cites: [2, 3]
        looks_at: {variant: [ipt, ipt-a, dit], outcome: [depressive-symptoms]}
      - id: none
        says: IPT raises the quality of life
        cites: []
        looks_at: {outcome: [quality-of-life]}
"""


async def test_a_claim_stands_beside_what_it_cites_and_what_is_known(
    sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "review.yaml"
    path.write_text(SOURCES, encoding="utf-8")
    monkeypatch.setenv("EVIDENCE_SOURCES", str(path))
    ds = await served(sample)
    page = (await ds.client.get("/article/article-references")).text
    claims = page.split('<li id="claim-')[1:]
    assert [claim.partition('"')[0] for claim in claims] == ["eases", "none"]
    assert "IPT eases &lt;i&gt;depression" in claims[0]
    assert "Couple Therapy for Depression" in claims[0]
    assert "no DOI" in claims[0]
    assert "Comprehensive Meta-Analysis" in claims[0].split("Newest review")[1]

    path.write_text("sources: nonsense", encoding="utf-8")
    assert "`evidence check`" in (await ds.client.get("/article/article-references")).text
    path.unlink()
    page = (await ds.client.get("/article/article-references")).text
    assert "claim-" not in page
    assert page.count('id="citation-') == 9


async def test_a_work_is_shown_with_its_words_notices_and_sources(sample: Path) -> None:
    ds = await served(sample)
    page = (await ds.client.get("/doi/10.1371/JOURNAL.PONE.0019044", follow_redirects=True)).text
    assert "<mark" in page
    assert "Correction" in page
    assert "10.1371/annotation/d74286e2-e872-4a7b-87d1-dfa230ff612d" in page
    assert "Interpersonal psychotherapy by name" in page
    assert (await ds.client.get("/doi/10.1000/182")).status_code == 404


async def test_a_work_says_how_sure_each_tag_is_and_lists_leave_out_what_is_implied(sample: Path) -> None:
    page = (await get(sample, "/evidence/works/10~2E1001~2Farchpsyc~2E56~2E6~2E573")).text
    assert "<bdi>Title only.</bdi>" in page
    assert '<span class="strength">implied</span>' in page
    assert "depressive-symptoms-named" not in page, "the rules and roles behind a tag are not for readers"
    listed = "/evidence/works?verdict=include&_tag=outcome:anxiety"
    assert "573" not in (await get(sample, f"{listed}&_size=max")).text
    widened = (await get(sample, f"{listed}&_strength=stated,likely,implied")).text
    assert '<span class="unseen"> (implied)</span>' in widened
    assert "tags: stated or likely or implied ✕" in widened
    chart = (await get(sample, "/map.svg?implied=1")).text
    assert ">only implied: its words are there, but the text hardly says it about this study</text>" in chart
    assert re.search(r"<title>[^<]* and 1 by implied tags", chart)
    assert "implied" not in (await get(sample, "/map.svg")).text


async def test_a_work_shows_the_other_records_of_it(tmp_path: Path) -> None:
    path = site_sample.make_sample(tmp_path / "evidence.db")
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute(
            "update works set verdict = 'duplicate', same_as = '10.1016/j.cpr.2013.09.002' where doi = '10.1002/cpp.1774'"
        )
    ds = await served(path)
    page = (await ds.client.get("/doi/10.1002/cpp.1774", follow_redirects=True)).text
    assert "The work is represented by" in page
    assert "Possibly the same work" in page
    assert "The titles differ in a word." in page


async def test_an_old_doi_leads_to_the_page_of_its_work(tmp_path: Path) -> None:
    path = site_sample.make_sample(tmp_path / "evidence.db")
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("insert into aliases (alias, doi, first_run) values ('10.5555/old.1', '10.1002/cpp.1774', 2)")
        conn.execute(
            "insert into aliases (alias, doi, first_run, last_run) values ('10.5555/own', '10.1002/cpp.1774', 1, 2)"
        )
    page = "/evidence/works/10~2E1002~2Fcpp~2E1774"
    for old, new in (
        ("/evidence/works/10~2E5555~2Fold~2E1", page),
        ("/evidence/works/10~2E5555~2Fold~2E1.json", f"{page}.json"),
        ("/evidence/works/10~2E5555~2FOLD~2E1", page),
        ("/doi/10.5555/old.1", page),
    ):
        answer = await get(path, old)
        assert (answer.status_code, answer.headers.get("location")) == (302, new), old
    for none in ("/evidence/works/10~2E5555~2Fown", "/evidence/works/10~2E5555~2Fnone", "/doi/10.5555/own"):
        assert (await get(path, none)).status_code == 404
    shown = (await get(path, page)).text
    assert "10.5555/old.1 redirects to this DOI" in shown
    assert "10.5555/own" not in shown


async def test_a_work_gone_from_crossref_says_so(tmp_path: Path) -> None:
    path = site_sample.make_sample(tmp_path / "evidence.db")
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("update works set gone = '2026-11-24' where doi = '10.1002/cpp.1774'")
        conn.execute(
            "insert into changes (run, doi, what, after, verdict) values (2, '10.1002/cpp.1774', 'gone', '2026-11-24', 'include')"
        )
    assert (
        "No longer in Crossref</strong> since 2026-11-24"
        in (await get(path, "/evidence/works/10~2E1002~2Fcpp~2E1774")).text
    )
    assert "<h4>No longer in Crossref</h4>" in (await get(path, "/changes")).text
    assert "In Crossref again" not in (await get(path, "/changes")).text


async def test_a_work_describes_itself_to_reference_managers(tmp_path: Path) -> None:
    sample = site_sample.make_sample(tmp_path / "evidence.db")
    with closing(sqlite3.connect(sample)) as conn, conn:
        conn.execute(
            "insert or ignore into authors values ('Weissman, Myrna', 'Weissman, Myrna', 'W', 'M', null, 'person')"
        )
        conn.execute(
            "insert or ignore into work_authors values ('10.1002/cpp.1774', 2, 'Weissman, Myrna', 'Weissman, Myrna', "
            "'Weissman', 'Myrna', 'author', null, 'III', null)"
        )
    page = (await get(sample, "/evidence/works/10~2E1002~2Fcpp~2E1774")).text
    facts = re.search(r'<script type="application/ld\+json">(.*?)</script>', page, re.S)
    assert facts is not None
    said = json.loads(facts[1])
    assert said["sameAs"] == "https://doi.org/10.1002/cpp.1774"
    assert said["author"] == [{"@type": "Person", "name": "Weissman, Myrna, III"}]
    assert '<meta name="citation_doi" content="10.1002/cpp.1774">' in page
    assert '<meta name="citation_author" content="Weissman, Myrna, III">' in page
    assert "citation_lastpage" not in page


async def test_a_work_says_how_it_was_published(tmp_path: Path) -> None:
    path = site_sample.make_sample(tmp_path / "evidence.db")
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute(
            """
            update works set original_title = 'Titel', isbn = '9780195170603; 9780195170610', edition = '2',
                event = 'Congress', event_place = 'Lisbon', event_dates = '2018-06-06', publisher = 'A & B'
            where doi = '10.1002/cpp.1774'
            """
        )
        conn.executemany("insert into funders values ('10.1002/cpp.1774', ?, ?, ?, ?)", [
            (1, "NIMH", "10.13039/100000025", '["R01 <1>"]'), (2, None, None, '["T-7"]'), (3, "A Trust", None, "[]"),
        ])  # fmt: skip
        conn.executemany("insert into licences values ('10.1002/cpp.1774', ?, ?, ?, ?, 0)", [
            (1, "https://creativecommons.org/licenses/by/4.0/", "vor", "2019-01-01"), (2, "javascript:alert(1)", "tdm", None),
        ])  # fmt: skip
        conn.execute("insert into authors values ('Doe, Ann', 'Doe, Ann', 'Doe', 'Ann', null, 'person')")
        conn.execute(
            "insert into work_authors values ('10.1002/cpp.1774', 9, 'Doe, Ann', 'Doe, Ann', 'Doe', 'Ann', 'editor', "
            "null, 'II', null)"
        )
    page = (await get(path, "/evidence/works/10~2E1002~2Fcpp~2E1774")).text
    facts = re.search(r'<dl class="facts">(.*?)</dl>', page, re.S)
    assert facts is not None
    said = re.sub(r"<dt>", " | ", facts[1])
    assert html.unescape(re.sub(r"<dd>", ": ", said).replace("</dt>", "")).replace("</dd>", "").split(" | ")[1:] == [
        "Original title: <bdi>Titel</bdi>", "Edition: <bdi>2</bdi>", "ISBN: <bdi>9780195170603; 9780195170610</bdi>",
        "Publisher: <bdi>A & B</bdi>", "Conference: <bdi>Congress, Lisbon, 2018-06-06</bdi>",
        "Editors: <bdi>Ann Doe, II</bdi>",
        ('Funding: <a href="https://doi.org/10.13039/100000025" rel="noreferrer"><bdi>NIMH (R01 <1>)</bdi></a>'
         ": <bdi>Funder not named (T-7)</bdi>: <bdi>A Trust</bdi>"),
        ('Licence: <a href="https://creativecommons.org/licenses/by/4.0/" rel="noreferrer"><bdi>'
         "https://creativecommons.org/licenses/by/4.0/ (version of record, from 2019-01-01)</bdi></a>"
         ": <bdi>javascript:alert(1) (text mining)</bdi>"),
    ]  # fmt: skip
    assert '<meta name="citation_isbn" content="9780195170610">' in page


async def test_a_works_page_says_first_and_last_page_as_the_files_do(tmp_path: Path) -> None:
    path = site_sample.make_sample(tmp_path / "evidence.db")
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("update works set pages = '1134–47' where doi = '10.1002/cpp.1774'")
        conn.execute("update works set pages = 'e0-12' where doi = '10.1001/archpsyc.56.6.573'")
    page = (await get(path, "/evidence/works/10~2E1002~2Fcpp~2E1774")).text
    assert '<meta name="citation_firstpage" content="1134">' in page
    assert '<meta name="citation_lastpage" content="1147">' in page
    page = (await get(path, "/evidence/works/10~2E1001~2Farchpsyc~2E56~2E6~2E573")).text
    assert '<meta name="citation_firstpage" content="e0-12">' in page and "citation_lastpage" not in page


@pytest.mark.parametrize("args", ["", "verdict=include", "_tag=design:rct&_sort=title", "_search=interpersonal"])
async def test_a_list_as_a_file_holds_the_works_of_the_list_in_its_order(sample: Path, args: str) -> None:
    ds = await served(sample)
    listed = [row["doi"] for row in (await ds.client.get(f"/evidence/works.json?_shape=array&{args}")).json()]
    table = await ds.client.get(f"/download/csv?{args}&_size=2")
    assert [row["doi"] for row in csv.DictReader(io.StringIO(table.text))] == listed
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    assert [item["DOI"] for item in (await ds.client.get(f"/download/csl-json?{args}")).json()] == listed
    assert (await ds.client.get(f"/download/ris?{args}")).text.count("ER  - ") == len(listed)


async def test_a_file_that_cannot_be_made_says_why(sample: Path) -> None:
    ds = await served(sample)
    unknown = await ds.client.get("/download/docx")
    assert unknown.status_code == 404
    assert "csl-json" in unknown.text
    assert (await ds.client.get("/download/csv?_sort=abstract")).status_code == 400


ATOM = "{http://www.w3.org/2005/Atom}"


async def test_the_feed_is_valid_atom_of_the_newest_works(sample: Path) -> None:
    ds = await served(sample)
    answer = await ds.client.get("/feed.atom")
    assert answer.headers["content-type"] == "application/atom+xml; charset=utf-8"
    feed = ElementTree.fromstring(answer.text)
    entries = feed.findall(f"{ATOM}entry")
    assert len(entries) == 11  # nine works, a notice, and a decision to look at again
    assert entries[0].findtext(f"{ATOM}title", "").startswith("Cognitive therapy vs interpersonal")
    ids = [part.findtext(f"{ATOM}id") for part in (feed, *entries)]
    assert len(set(ids)) == len(ids)
    for part in (feed, *entries):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", part.findtext(f"{ATOM}updated", ""))
        assert part.findtext(f"{ATOM}title")
        assert part.find(f"{ATOM}author/{ATOM}name") is not None
    assert feed.find(f"{ATOM}link[@rel='self']") is not None
    assert feed.findtext(f"{ATOM}updated") == max(entry.findtext(f"{ATOM}updated", "") for entry in entries)


async def test_a_feed_follows_a_filter(sample: Path) -> None:
    ds = await served(sample)
    feed = ElementTree.fromstring((await ds.client.get("/feed.atom?_tag=design:rct,protocol&_tag=variant:ipt-a")).text)
    assert [entry.findtext(f"{ATOM}title") for entry in feed.findall(f"{ATOM}entry")] == [
        "Efficacy of interpersonal psychotherapy for depressed adolescents"
    ]
    assert not [i for entry in feed.findall(f"{ATOM}entry") if "localhost" in (i := entry.findtext(f"{ATOM}id", ""))]
    link = feed.find(f"{ATOM}link[@rel='self']")
    assert link is not None
    assert (await ds.client.get(link.attrib["href"].replace("http://localhost", ""))).status_code == 200


async def test_what_is_new_names_each_run(sample: Path) -> None:
    page = (await get(sample, "/changes")).text
    assert re.findall(r'<h3 id="run-(\d+)">', page) == ["2", "1"]
    last, first = page.split('id="run-1"')
    assert "Cognitive therapy vs interpersonal psychotherapy" in last
    assert "1 notice, 1 decision to look at again, 1 new work (1 included, 0 waiting for a decision)." in last
    noticed, reopened = last.split("Retractions, corrections and expressions of concern")[1].split(
        "Decisions to look at again"
    )
    assert "The Effect of Interpersonal Psychotherapy and other Psychodynamic Therapies" in noticed
    assert "Couple Therapy for Depression" in reopened.split("</ol>")[0]
    assert "Retractions, corrections" not in first


NUMBER = re.compile(r"<text[^>]*>([^<(]+)\(n = (?:<a[^>]*>)?([\d,]+)")
LINKED = re.compile(r'<a href="(/(?:evidence/|past\?)[^"]*)">([\d,]+)</a>')


def enrich(path: Path) -> None:
    """Everything that the flow tells apart, in the sample: duplicates, what cannot be understood, a source that is gone, verdicts
    that were others in the first run, words of people."""
    with closing(sqlite3.connect(path)) as conn, conn:
        dois = [
            doi
            for (doi,) in conn.execute(
                "select doi from works where verdict = 'include' and first_run = 1 order by doi limit 4"
            )
        ]
        conn.execute(
            "insert into sources (source, kind, label, spec, first_run, retired) values ('old', 'search', 'Old', '{}', 1, 2)"
        )
        conn.executemany(
            "insert into source_history (source, first_run, last_run, kind, label, retired) "
            "values ('old', ?, ?, 'search', 'Old', ?)",
            [(0, 2, 0), (2, None, 1)],
        )
        conn.executemany("insert or ignore into sightings (source, doi, via, first_run, last_run) values (?, ?, 'search', ?, 2)",
                         [("old", dois[0], 1), ("old", dois[1], 2), ("article-references", dois[1], 1)])  # fmt: skip
        conn.executemany("insert into snapshots (doi, version, digest, message, first_run) values (?, 1, 'd', '{}', ?)",
                         [("10.5555/odd", 1), ("10.5555/moved", 2)])  # fmt: skip
        conn.executemany("insert into rejects (digest, doi, source, reason, message, first_run) values (?, ?, ?, 'r', '{}', ?)",
                         [("a", None, "ipt-by-name", 1), ("b", None, "old", 2), ("c", "10.5555/odd", "old", 1)])  # fmt: skip
        conn.executemany(
            "insert into verdict_history (doi, first_run, last_run, verdict, decided, why, same_as, conflict) "
            "values (?, ?, ?, ?, ?, ?, ?, ?)",
            [("10.5555/odd", 1, None, "not-understood", "rule", None, None, 0),
             ("10.5555/moved", 2, None, "not-understood", "rule", None, None, 0),
             (dois[0], 2, None, "duplicate", "rule", None, dois[1], 0), (dois[2], 2, None, "exclude", "person", None, None, 1),
             (dois[3], 2, None, "include", "rule", None, None, 1)],
        )  # fmt: skip
        conn.executemany(
            "update verdict_history set last_run = 2 where doi = ? and first_run = 1",
            [(dois[0],), (dois[2],), (dois[3],)],
        )
        conn.execute("update works set verdict = 'duplicate', same_as = ? where doi = ?", (dois[1], dois[0]))
        conn.execute(
            "update works set verdict = 'exclude', decided = 'person', conflict = 'Look.' where doi = ?", (dois[2],)
        )
        conn.execute("update works set conflict = 'Look.' where doi = ?", (dois[3],))


async def count_at(ds: Datasette, address: str) -> int:
    path, _, query = html.unescape(address).partition("?")
    answer = await ds.client.get(f"{path}.json?{'' if path == '/past' else '_shape=objects&_size=1&'}{query}")
    assert answer.status_code == 200, (address, answer.text)
    if path == "/past":
        page = (await ds.client.get(html.unescape(address))).text
        assert f"<strong>{len(answer.json()['rows'])} record" in page
        return len(answer.json()["rows"])
    return int(answer.json()["filtered_table_rows_count"])


@pytest.mark.slow
@pytest.mark.parametrize("day", ["", "2026-11-21", "2026-11-24", "1999-01-01"])
async def test_each_number_of_the_flow_leads_to_as_many_rows_and_every_form_says_the_same(
    tmp_path: Path, day: str
) -> None:
    path = site_sample.make_sample(tmp_path / "evidence.db")
    enrich(path)
    ds = await served(path)
    query = f"?as_of={day}" if day else ""
    page = (await ds.client.get(f"/prisma{query}")).text
    linked = LINKED.findall(page)
    assert len(linked) >= {"2026-11-21": 12, "1999-01-01": 5}.get(day, 15)
    for address, n in linked:
        assert await count_at(ds, address) == int(n.replace(",", "")), (day, address)
    shown = [(label.strip(), int(n)) for label, n in NUMBER.findall(page)]
    number = r'\(n = (?:<a href="([^"]+)">)?([\d,]+)'
    drawn = re.findall(rf"<text[^>]*>([^<]+) {number}", page)
    assert drawn and drawn == re.findall(rf'<li class="depth-\d">([^<]+) <span>{number}', page), "for a narrow screen"
    picture = await ds.client.get(f"/prisma.svg{query}")
    assert [(label.strip(), int(n)) for label, n in NUMBER.findall(picture.text)] == shown
    assert ElementTree.fromstring(picture.text).tag == "{http://www.w3.org/2000/svg}svg"
    data = (await ds.client.get(f"/prisma.json{query}")).json()
    boxes = {box["box"]: box["n"] for box in data["boxes"]}
    designs = ("randomised trials", "systematic reviews and meta-analyses")
    assert all(boxes[label] == n for label, n in shown if label not in designs)
    table = list(csv.DictReader(io.StringIO((await ds.client.get(f"/prisma.csv{query}")).text)))
    assert {row["box"]: int(row["n"]) for row in table if not row["key"].startswith("source:")} == boxes
    assert sum(int(row["n"]) for row in table if row["key"].startswith("source:")) == boxes["Records identified"]
    with closing(sqlite3.connect(path)) as conn:
        found = read_queries.flow(conn, day or None)
    assert {box["box"]: box["n"] for box in found.boxes} == boxes


BAD_QUESTIONS = {
    "/prisma?as_of=nonsense": "not a valid date",
    "/prisma.csv?as_of=2026-02-31": "not a valid date",
    "/prisma.json?as_of=2026-2-1": "not a valid date",
    "/prisma.svg?as_of=20260201": "not a valid date",
    "/past": "not a valid date",
    "/past?as_of=2026-13-01": "not a valid date",
    "/past/csv?as_of=": "not a valid date",
    "/past?as_of=2026-11-21&verdict=maybe": "choose one of include, exclude",
    "/past?as_of=2026-11-21&_search=grief": "has no parameter '_search'",
    "/past?as_of=2026-11-21&_tag=design:none": "design has no",
    "/past?as_of=2026-11-21&page=0": "pages are counted from 1",
    "/past?as_of=2026-11-21&decided=me": "rule or person",
}


async def test_a_page_that_has_only_today_is_not_shown_as_of_another_day(sample: Path) -> None:
    ds = await served(sample)
    for path in ("/", "/map", "/article", "/currency", "/evidence/tags", "/doi/10.1002/cpp.1774"):
        answer = await ds.client.get(f"{path}?as_of=2026-11-21")
        assert (answer.status_code, "only the state of today" in answer.text) == (400, True), path


async def test_a_past_list_refuses_in_a_sentence_what_it_cannot_show(sample: Path) -> None:
    ds = await served(sample)
    for address, said in BAD_QUESTIONS.items():
        answer = await ds.client.get(address)
        assert answer.status_code == 400, address
        assert said in html.unescape(answer.text), address
    assert (await ds.client.get("/past/docx?as_of=2026-11-21")).status_code == 404


async def test_a_list_of_today_that_is_asked_for_a_day_leads_to_the_list_of_that_day(sample: Path) -> None:
    ds = await served(sample)
    for asked, leads_to in (("/evidence/works", "/past"), ("/evidence/works.json", "/past.json"),
                            ("/evidence/works.csv", "/past/csv"), ("/download/ris", "/past/ris")):  # fmt: skip
        answer = await ds.client.get(f"{asked}?as_of=2026-11-21&verdict=include")
        assert (answer.status_code, answer.headers["location"]) == (302, f"{leads_to}?as_of=2026-11-21&verdict=include")


async def test_what_waits_is_one_number_everywhere(tmp_path: Path) -> None:
    path = site_sample.make_sample(tmp_path / "evidence.db")
    enrich(path)
    ds = await served(path)
    with closing(sqlite3.connect(path)) as conn:
        state, found = read_queries.status(conn), read_queries.flow(conn)
    shown = re.findall(r"<b>([\d,]+)</b> <span>([^<]+)</span>", (await ds.client.get("/")).text)
    front = {label: int(n) for n, label in shown}
    view = {row["key"]: row["n"] for row in (await ds.client.get("/evidence/prisma.json?_shape=array")).json()}
    lists = {name: len((await ds.client.get(f"/evidence/{name}.json?_shape=array&_size=max")).json())
             for name in ("waiting", "to_check", "decisions_to_check")}  # fmt: skip
    assert {3} == {
        front["waiting for a decision"],
        view["waiting"],
        state["waiting"],
        found["waiting"],
        lists["waiting"],
        lists["to_check"],
    }
    assert {2} == {front["decisions to look at again"], view["decisions_to_check"], state["decisions_to_check"],
                   found["decisions_to_check"], lists["decisions_to_check"]}  # fmt: skip


async def test_the_method_page_names_every_search_and_value(sample: Path) -> None:
    page = (await get(sample, "/method")).text
    for _, _, label, meaning in site_sample.FACETS:
        assert label in page
        assert meaning in page
    assert "Interpersonal psychotherapy by name" in page
    assert "the server kept answering 504" in page
    assert "read 10,000 of 12,345 ranked records; last match at rank 9,876; 12 of the last 1,000 matched" in page
    assert "not complete: 2,345 that match the query were not read" in page
    assert "not yet read completely at Crossref" in page  # the search that stopped


async def test_the_database_is_called_evidence_whatever_the_file_is_called(tmp_path: Path) -> None:
    path = site_sample.make_sample(tmp_path / "my review, 2026.db")
    ds = await served(path)
    assert (await ds.client.get("/evidence/works.json?_shape=array")).status_code == 200
    assert (await ds.client.get("/")).status_code == 200


async def test_an_immutable_copy_is_served_too_and_can_be_taken_whole(tmp_path: Path) -> None:
    path = site_sample.make_sample(tmp_path / "published.db")
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("pragma journal_mode = delete")
    ds = Datasette([], immutables=[str(path)], config_dir=SITE)
    await ds.invoke_startup()
    for address in ("/", "/evidence", "/evidence/works", "/map", "/evidence/trials", "/download/ris"):
        assert (await ds.client.get(address)).status_code == 200, address
    whole = await ds.client.get("/evidence.db")
    assert whole.content.startswith(b"SQLite format 3")
    assert "Download the whole database (SQLite)" in (await ds.client.get("/evidence")).text


@pytest.mark.slow
async def test_an_empty_database_has_every_page(tmp_path: Path) -> None:
    path = tmp_path / "evidence.db"
    db = Database(path)
    schema.evidence.apply(db)
    with closing(db.conn) as conn, conn:
        schema.make_views(conn)
    ds = await served(path)
    for address in ("/", "/map", "/map.csv", "/map.svg", "/evidence", "/evidence/works", "/evidence/studies", "/changes",
                    "/feed.atom", "/prisma", "/method"):  # fmt: skip
        assert (await ds.client.get(address)).status_code == 200, address
    for name in QUERIES:
        assert (await ds.client.get(f"/evidence/{name}")).status_code == 200, name
    assert (await ds.client.get("/article")).status_code == 404


@given(st.text(max_size=40), st.lists(st.tuples(st.integers(0, 45), st.integers(0, 45)), max_size=6))
@settings(max_examples=150)
def test_marking_never_changes_the_text(text: str, places: list[tuple[int, int]]) -> None:
    reasons = [{"facet": "f", "value": "v", "rule": "r", "start": a, "stop": b, "quote": text[a:b]} for a, b in places]
    pieces = HIGHLIGHTED(text, reasons)
    assert "".join(piece for piece, _ in pieces) == text
    fitting = {i for a, b in places if a < b <= len(text) for i in range(a, b)}
    marked = [bool(names) for piece, names in pieces for _ in piece]
    assert {i for i, on in enumerate(marked) if on} >= fitting


HIGHLIGHTED = work_page_text.highlighted


async def test_a_citation_that_files_do_not_hold_is_not_called_wrong(tmp_path: Path) -> None:
    assert set(plugin("fact_check_page").STATUS_MEANINGS) == set(get_args(CitationStatus))
    path = site_sample.make_sample(tmp_path / "evidence.db")
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute(
            "update citations set status = 'not-in-files', doi = null, text = 'https://doi.org/10.1/x' where position = 5"
        )
    ds = await served(path)
    page = (await ds.client.get("/article", follow_redirects=True)).text
    assert '<p class="as-printed"><bdi>https://doi.org/10.1/x</bdi></p>' in page
    assert "not in files</span> The DOI is not in the files read; Crossref was not queried" in page
    assert "1 not in files" in (await ds.client.get("/")).text


async def test_the_short_address_of_a_doi_folds_case_as_the_database_does(tmp_path: Path) -> None:
    path = site_sample.make_sample(tmp_path / "evidence.db")
    with closing(sqlite3.connect(path)) as conn, conn:
        site_sample.add_work(
            conn, ("10.1000/Åbc.1", "T", "A", "J", "2021", "journal-article", "include", None), first_run=2
        )
    ds = await served(path)
    assert (await ds.client.get("/doi/10.1000/%C3%85BC.1", follow_redirects=True)).status_code == 200


# ---------------------------------------------------------------------- hostile text and limits

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&lt;\u202egnitset\u2066\x0b"


async def test_hostile_text_is_inert_everywhere(tmp_path: Path) -> None:
    path = site_sample.make_sample(tmp_path / "evidence.db")
    doi = '10.1000/<script>"onmouseover=alert(3)'
    with closing(sqlite3.connect(path)) as conn, conn:
        work = (doi, HOSTILE, HOSTILE, HOSTILE, "2020", HOSTILE, "include", HOSTILE)
        site_sample.add_work(conn, work, first_run=2, abstract=HOSTILE * 2)
        conn.execute(
            "update works set why = ?, url = 'javascript:alert(4)', pages = ? where doi = ?", (HOSTILE, HOSTILE, doi)
        )
        conn.execute("insert into facets values ('variant', 'x', ?, ?, 99)", (HOSTILE, HOSTILE))
        conn.execute(
            "insert into tags (doi, facet, value, decided) values (?, 'variant', 'x', 'rule'), (?, 'outcome', 'anxiety', 'rule')",
            (doi, doi),
        )
        conn.execute("insert into reasons values (?, 'variant', 'x', ?, 'title', 0, 8, '<script>')", (doi, HOSTILE))
        conn.execute(
            "insert into notices values (?1, ?2, ?2, ?2, 'record', ?2, ?2, 'title', 1, ?2),"
            " (?1, 'removal', ?2, ?2, 'own', ?2, ?2, 'update-to', 0, ?2)",
            (doi, HOSTILE),
        )
        conn.execute("insert into updates values (?1, ?2, ?2, ?2, ?2, ?2, 'title', ?2)", (doi, HOSTILE))
        conn.execute("insert into relations values (?, ?, ?, ?)", (doi, HOSTILE, HOSTILE, HOSTILE))
        conn.execute("insert into identifiers values (?1, 'registration', ?2, ?2)", (doi, HOSTILE))
        conn.execute(
            "insert into facts values (?1, 'mesh', ?2, ?2, 0), (?1, 'licence', ?2, 'europepmc', 0)", (doi, HOSTILE)
        )
        conn.execute(
            "insert into provider_answers values ('europepmc', ?1, 'asked', 0, ?2, '2026-11-24T00:00:00Z', null, null, 2)",
            (doi, HOSTILE),
        )
        conn.execute(
            "update works set abstract_source = ?2, open_access = 'javascript:alert(4)' where doi = ?1", (doi, HOSTILE)
        )
        conn.execute(
            "update citations set text = ?, stated_doi = ?, problem = ?, doi = ? where position = 5",
            (HOSTILE, HOSTILE, HOSTILE, doi),
        )
        conn.execute("update sources set label = ?, trouble = ?", (HOSTILE, HOSTILE))
        conn.execute("insert into works_fts(works_fts) values ('rebuild')")
    ds = await served(path)
    row = (await ds.client.get("/evidence/works.json?_shape=array&year=2020&_size=max")).json()
    assert [r["title"] for r in row if r["doi"] == doi] == [HOSTILE]
    redirect = await ds.client.get("/doi/" + "10.1000/%3Cscript%3E%22onmouseover=alert(3)")
    addresses = [*PAGES, redirect.headers["location"], "/map.svg", "/feed.atom", "/evidence/notices", "/evidence/reasons",
                 "/evidence/updates", "/evidence/identifiers", "/evidence/facts", "/evidence/provider_answers",
                 "/evidence/relations", *(f"/evidence/{name}" for name in QUERIES)]  # fmt: skip
    shown = 0
    for address in addresses:
        text = (await ds.client.get(address)).text
        shown += "&lt;script&gt;alert(1)" in text
        assert "<script>alert" not in text, address
        assert "<img" not in text, address
        assert 'href="javascript' not in text, address
        assert not re.search(r"<[^>]*\son\w+=", re.sub(r'"[^"]*"', '""', text)), address
    assert shown >= 10
    feed = ElementTree.fromstring((await ds.client.get("/feed.atom")).text)
    titles = [entry.findtext(f"{ATOM}title", "") for entry in feed.findall(f"{ATOM}entry")]
    assert any("<script>alert(1)" in title for title in titles)  # as text, once read
    assert not any("\u202e" in title or "\x0b" in title for title in titles)


@pytest.mark.slow
async def test_a_kilometre_of_title_stays_in_its_place(tmp_path: Path) -> None:
    path = site_sample.make_sample(tmp_path / "evidence.db")
    with closing(sqlite3.connect(path)) as conn, conn:
        work = ("10.1000/182", "long " * 50_000, "A" * 50_000, "J" * 50_000, "2021", "k" * 5_000, "include", None)
        site_sample.add_work(conn, work, first_run=2, abstract="\u202eabstract " * 50_000)
        conn.execute("insert into works_fts(works_fts) values ('rebuild')")
    ds = await served(path)
    for address in ("/", "/changes", "/evidence/works", "/evidence/new_in_last_run", "/evidence/search?q=long"):
        page = await ds.client.get(address)
        assert page.status_code == 200, address
        assert len(page.text) < 80_000, address
    page = await ds.client.get("/doi/10.1000/182", follow_redirects=True)
    assert page.text.count("<bdi>") >= 3
    titles = re.findall(r"(?:<bdi>)?\u202eabstract", page.text)
    assert titles[0].startswith("<bdi>")  # a direction mark ends where its element ends


def inline_scripts(text: str) -> list[str]:
    return re.findall(r"<script>(.*?)</script>", text, re.S)


async def test_the_policy_allows_the_scripts_we_ship_and_no_other(sample: Path) -> None:
    ds = await served(sample)
    found = set()
    for address in PAGES:
        answer = await ds.client.get(address)
        for script in inline_scripts(answer.text):
            digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
            found.add(f"sha256-{digest}")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        policy = answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        script_source = re.search(r"script-src ([^;]*)", policy)
        assert script_source is not None
        assert "unsafe" not in policy
        assert not re.search(r"<[^>]*\sstyle=", answer.text), address
        for style in re.findall(r"<style[^>]*>(.*?)</style>", answer.text, re.S):
            digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
            assert f"'sha256-{digest}'" in policy, address
        loaded = re.findall(r'<(?:script|img|iframe)[^>]*\ssrc="([^"]*)"', answer.text)
        loaded += re.findall(r'<link rel="stylesheet" href="([^"]*)"', answer.text)
        assert loaded
        assert [source for source in loaded if not re.match(r"/(?!/)", source)] == [], address
    assert found == set(plugin("security_headers").INLINE_SCRIPTS)


async def test_a_query_cannot_take_all_memory_or_another_file(sample: Path) -> None:
    ds = await served(sample)
    for sql in ("select length(hex(zeroblob(400000000)))", "select zeroblob(20000000)"):
        answer = await ds.client.get("/evidence.json", params={"sql": sql, "_shape": "array"})
        assert answer.status_code == 400, sql
        assert "too big" in answer.text


async def test_a_mistyped_address_is_a_short_answer(sample: Path, capfd: pytest.CaptureFixture[str]) -> None:
    ds = await served(sample)
    for address in (
        "/no/such/page/at/all",
        "/nothing",
        "/evidence/nothing",
        "/evidence/works/nothing",
        "/article/nothing",
    ):
        page = await ds.client.get(address)
        assert page.status_code == 404, address
        assert "Page not found" in page.text
        assert 'href="/map"' in page.text
    assert capfd.readouterr().err == ""


async def test_a_public_site_takes_no_sql(sample: Path) -> None:
    command = serve.command(sample, "127.0.0.1", 8001, open_browser=False, public=True)
    chosen = {command[i + 1]: command[i + 2] for i, word in enumerate(command) if word == "--setting"}
    assert chosen["default_allow_sql"] == "off"
    assert chosen["allow_download"] == "off"
    site = json.loads((SITE / "settings.json").read_text(encoding="utf-8"))
    ds = await served(sample, settings={**site, "default_allow_sql": False, "allow_download": False})
    assert (await ds.client.get("/evidence?sql=select+1")).status_code == 403
    assert (await ds.client.get("/evidence/works?_where=1")).status_code == 403
    assert (await ds.client.get("/evidence.db")).status_code == 403
    for address in ("/", "/map", "/evidence", "/evidence/works?_search=grief", "/evidence/trials"):
        assert (await ds.client.get(address)).status_code == 200, address


# ---------------------------------------------------------------------- serving


def test_the_command_names_files_that_exist_and_every_setting(sample: Path) -> None:
    command = serve.command(sample, "0.0.0.0", 8123, open_browser=True, immutable=True)
    assert command[:4] == [sys.executable, "-m", "datasette", "serve"]
    assert command[command.index("--immutable") + 1] == str(sample)
    assert command[-1] == "--open"
    for flag in ("--metadata", "--template-dir", "--plugins-dir"):
        assert Path(command[command.index(flag) + 1]).exists(), flag
    assert Path(command[command.index("--static") + 1].partition(":")[2]).is_dir()
    told = {command[i + 1]: command[i + 2] for i, word in enumerate(command) if word == "--setting"}
    wanted = json.loads((SITE / "settings.json").read_text(encoding="utf-8"))
    assert {name: {"on": True, "off": False}.get(text, text) for name, text in told.items()} == {
        name: value if isinstance(value, bool) else str(value) for name, value in wanted.items()
    }


def test_a_wheel_finds_the_site_inside_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "evidence" / "site"
    folder.mkdir(parents=True)
    monkeypatch.setattr(serve, "__file__", str(tmp_path / "evidence" / "publish" / "serve.py"))
    with pytest.raises(ConfigError, match="install evidence again"):
        serve.site_folder()
    (folder / "metadata.yaml").touch()
    assert serve.site_folder() == folder


def test_what_cannot_be_served_is_said_before_a_server_starts(sample: Path, tmp_path: Path) -> None:
    def run(db: Path, port: int = 0, host: str = "127.0.0.1") -> int:
        return serve.run(db, host, port, open_browser=False)

    with pytest.raises(ConfigError, match="no database yet; `evidence demo`"):
        run(tmp_path / "none.db")
    (tmp_path / "text.db").write_text("not a database, but a line of text that is long enough to be looked at")
    with pytest.raises(StoreError, match="cannot be read"):
        run(tmp_path / "text.db")
    with closing(sqlite3.connect(tmp_path / "other.db")) as conn:
        conn.execute("create table works (doi)")
    with pytest.raises(StoreError, match="was not made by evidence"):
        run(tmp_path / "other.db")
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"port {port} on 127\.0\.0\.1 is taken.*--port"):
            run(sample, port)
    with pytest.raises(ConfigError, match="a port is a number"):
        run(sample, 70000)
    with pytest.raises(ConfigError, match=r"--host 203\.0\.113|cannot listen on 203\.0\.113"):
        run(sample, 0, "203.0.113.7")


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_stopped_and_ends_well(sample: Path, stop: signal.Signals) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    code = (
        # A shell that starts the tests in the background has its children ignore SIGINT.
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from pathlib import Path; from evidence.publish import serve; "
        f"sys.exit(serve.run(Path({str(sample)!r}), '127.0.0.1', {port}, open_browser=False))"
    )
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True) as server:
        try:
            page = wait_for(f"http://127.0.0.1:{port}/map.csv")
        finally:
            server.send_signal(stop)
            _, said = server.communicate(timeout=60)
    assert page.startswith("variant,outcome,works")
    assert server.returncode == 0, said
    assert "Traceback" not in said
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1).close()


def wait_for(address: str) -> str:
    deadline = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(address, timeout=30) as answer:
                return str(answer.read().decode())
        except urllib.error.URLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
