"""Searches as people type them, over the bundled works. The queries of `search_queries.csv` were written by somebody who saw the
list of works, but neither the program nor a result."""

from __future__ import annotations

import csv
import html
import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from click.testing import CliRunner
from datasette.app import Datasette

from evidence.cli import cli
from evidence.publish import bitset_counts, search_works, serve, vocabulary
from evidence.rules import taxonomy

QUERIES = list(csv.DictReader((Path(__file__).parent / "search_queries.csv").read_text(encoding="utf-8").splitlines()))
INCLUDED = ("include", "unsure")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("search")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        for arguments in (["init", "."], ["sync", "--offline"]):
            assert CliRunner().invoke(cli, arguments).exit_code == 0
    return made


@pytest.fixture(scope="module")
def conn(folder: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(folder / "evidence.db")) as opened:
        yield opened


@pytest.fixture(scope="module")
def words(conn: sqlite3.Connection) -> vocabulary.Vocabulary:
    return vocabulary.read(conn)


def first(conn: sqlite3.Connection, words: vocabulary.Vocabulary, text: str, most: int = 3) -> list[str]:
    """The DOIs of the first works that a search leads to."""
    if named := search_works.works_named(conn, text):
        return named[:most]
    found = search_works.search(conn, text, words, taxonomy.load(), bitset_counts.read_sets(conn), INCLUDED)
    return [conn.execute("select doi from works where rowid = ?", (row,)).fetchone()[0] for row in found.rowids[:most]]


@pytest.mark.slow
def test_the_right_work_is_among_the_first_three(conn: sqlite3.Connection, words: vocabulary.Vocabulary) -> None:
    right = {query["query"]: set(filter(None, query["right"].split("; "))) for query in QUERIES}
    assert len(right) == 60
    found = {text: first(conn, words, text) for text in right}
    missed = [text for text, dois in right.items() if dois and not dois & set(found[text])]
    assert len(missed) <= 0.05 * sum(map(bool, right.values())), missed
    assert [text for text, dois in right.items() if not dois and found[text]] == []


@pytest.mark.parametrize(
    ("typed", "same"),
    [
        ("randomised trial of counselling", "randomized trials of counseling"),
        ("postnatal depression", "post-natal depression"),
        ("Rossello", "Rosselló"),
        ("IPT-A", "ipt-a"),
    ],
)
def test_spelling_does_not_matter(
    conn: sqlite3.Connection, words: vocabulary.Vocabulary, typed: str, same: str
) -> None:
    assert first(conn, words, typed) == first(conn, words, same) != []


def test_a_name_of_a_value_finds_what_is_tagged_with_it(conn: sqlite3.Connection, words: vocabulary.Vocabulary) -> None:
    sql = "select doi from shown_tags where (facet, value) = ('variant', 'ipt-a')"
    tagged = {doi for (doi,) in conn.execute(sql)}
    sets = bitset_counts.read_sets(conn)
    found = search_works.search(conn, "IPT-A", words, taxonomy.load(), sets, INCLUDED)
    dois = "select doi from works where rowid in (select value from json_each(?))"
    assert tagged & included(conn) <= {
        doi for (doi,) in conn.execute(dois, (json.dumps(bitset_counts.rowids_of(found.works)),))
    }


def test_works_tagged_with_a_value_come_before_those_that_have_a_part_of_its_name(
    conn: sqlite3.Connection, words: vocabulary.Vocabulary
) -> None:
    tagged = "select 1 from shown_tags where (doi, facet, value) = (?, 'variant', 'ipt-a')"
    for text in ("IPT-A", "IPT-A depression"):
        found = first(conn, words, text, 10)
        assert len(found) == 10
        assert [doi for doi in found if not conn.execute(tagged, (doi,)).fetchone()] == [], text


def included(conn: sqlite3.Connection) -> set[str]:
    return {doi for (doi,) in conn.execute("select doi from works where verdict in ('include', 'unsure')")}


@pytest.mark.parametrize(
    "typed", ["", " ", '"', "''", "*", "a AND", "NEAR(", "(" * 500, "x" * 5000, "the of and", "%_"]
)
def test_nothing_that_is_typed_is_an_error(conn: sqlite3.Connection, words: vocabulary.Vocabulary, typed: str) -> None:
    sets = bitset_counts.read_sets(conn)
    search_works.search(conn, typed, words, taxonomy.load(), sets, INCLUDED)
    assert search_works.search(conn, typed, words, None, sets, ()).rowids == ()


async def page(folder: Path, **query: str) -> Any:
    ds = Datasette([str(folder / "evidence.db")], config_dir=serve.site_folder())
    await ds.invoke_startup()
    return await ds.client.get(f"/search?{urlencode(query)}")


async def text_of(folder: Path, **query: str) -> str:
    answer = await page(folder, **query)
    assert answer.status_code == 200
    return html.unescape(re.sub(r"<[^>]+>", " ", answer.text.partition("<h1>")[2]))


async def test_the_page_shows_the_works_and_leads_to_them_as_a_list(folder: Path) -> None:
    answer = await page(folder, q="mufson 1999")
    assert ">1 work</h2>" in answer.text
    assert 'href="/evidence/works/10~2E1001~2Farchpsyc~2E56~2E6~2E573"' in answer.text
    assert "This work as a list" in answer.text


async def test_an_identifier_leads_to_its_work(folder: Path) -> None:
    answer = await page(folder, q="https://doi.org/10.1001/archpsyc.56.6.573")
    assert (answer.status_code, answer.headers["location"]) == (
        302,
        "/evidence/works/10~2E1001~2Farchpsyc~2E56~2E6~2E573",
    )


async def test_a_misspelling_is_said(folder: Path) -> None:
    said = " ".join((await text_of(folder, q="interpersnal psychotherapy bulimia")).split())
    assert "No work has all words as typed. Shown are works for interpersonal psychotherapy bulimia ." in said


async def test_nothing_found_says_where_it_was_searched_and_offers_more(folder: Path) -> None:
    answer = (await page(folder, q="ipt autism")).text
    assert "Nothing found" in answer
    assert "Searched in title, abstract, authors, journal, year and tags of included works." in answer
    assert "/search?q=ipt+autism&amp;scope=all" in answer
    assert '/search?q=ipt&amp;scope=include">without it' in answer


async def test_what_is_typed_is_shown_inert(folder: Path) -> None:
    answer = (await page(folder, q="<script>alert(1)</script>")).text
    assert "<script>alert(1)" not in answer


async def test_the_scope_counts(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "evidence.db")) as conn:
        doi, title = conn.execute("select doi, title from works where verdict = 'exclude'").fetchone()
    address = doi.replace(".", "~2E").replace("/", "~2F")
    assert address not in (await page(folder, q=title)).text
    assert address in (await page(folder, q=title, scope="all")).text


@pytest.mark.parametrize("address", ["/", "/method"])
async def test_the_search_boxes_lead_here(folder: Path, address: str) -> None:
    ds = Datasette([str(folder / "evidence.db")], config_dir=serve.site_folder())
    await ds.invoke_startup()
    assert (
        '<form class="site-search" action="/search" method="get" role="search">' in (await ds.client.get(address)).text
    )
