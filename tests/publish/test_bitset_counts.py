"""Counting by sets of works gives what SQL gives: on made-up sets, and through the site, page by page and facet by facet."""

from __future__ import annotations

import csv
import html
import io
import json
import random
import re
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from datasette.app import Datasette
from datasette.plugins import pm
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlite_utils import Database

from evidence.data_model import SHOWN_STRENGTHS, STRENGTHS
from evidence.database import schema
from evidence.publish import bitset_counts, serve
from evidence.rules import topic
from tests.publish import map_cells

SITE = serve.site_folder()
FACETS = {"variant": "abcdefg", "outcome": "uvwxyz", "design": ("rct", "cluster-rct", "meta-analysis", "protocol"),
          "population": ("men", "women")}  # fmt: skip
WORDS = ("relapse", "grief", "mother", "group", "trial")


TAGS = "select w.rowid, t.facet, t.value, t.strength from works w join tags t on t.doi = w.doi"


def make(path: Path, count: int, seed: int) -> Path:
    """A database of `count` works with random verdicts, years, titles and tags."""
    chance = random.Random(seed)
    db = Database(path)
    schema.evidence.apply(db)
    # Keys in another order than rows, gaps between rowids, ties and nulls in every column that is sorted by.
    dois = [f"10.{chance.randint(1000, 9999)}/w.{n}" for n in range(count)]
    works = [
        (3 * n + 1, doi, " ".join(chance.choices(WORDS, k=chance.randint(1, 3))) if chance.random() < 0.95 else None,
         chance.choice((None, 1999, 2005, 2005, 2012, 2020)), chance.choice(("include", "include", "exclude", "unsure")),
         chance.randint(0, 5), chance.randint(1, 3))
        for n, doi in enumerate(dois)
    ]  # fmt: skip
    tags = {
        (doi, facet, chance.choice(values))
        for doi in dois
        for facet, values in FACETS.items()
        for _ in range(chance.randint(0, 2))
    }
    with closing(db.conn) as conn:
        conn.execute(f"pragma application_id = {schema.APPLICATION_ID}")
        with conn:
            schema.make_views(conn)
            conn.executemany(
                "insert into runs (run, started, finished, outcome, door, version) values (?, ?, ?, 'complete', 'x', '1')",
                [(run, f"2026-11-0{run}T00:00:00Z", f"2026-11-0{run}T00:00:01Z") for run in (1, 2, 3)],
            )
            conn.executemany(
                "insert into works (rowid, doi, title, year, verdict, screened, decided, why, judged_on, cited_by, "
                "first_run, changed_run, basis) values (?, ?, ?, ?, ?, 'include', 'rule', 'so', 'title', ?, ?, 3, 'b')",
                works,
            )
            conn.executemany(
                "insert into facets values (?, ?, ?, 'what it means', 1)",
                [(facet, value, value.upper()) for facet, values in FACETS.items() for value in values],
            )
            conn.executemany(
                "insert into tags (doi, facet, value, decided, strength) values (?, ?, ?, 'rule', ?)",
                [(*tag, chance.choice(STRENGTHS)) for tag in sorted(tags)],
            )
            conn.execute("insert into works_fts (works_fts) values ('rebuild')")
        conn.execute("pragma journal_mode = delete")
    return path


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1,700 works."""
    return make(tmp_path_factory.mktemp("work_sets") / "evidence.db", 1700, 1)


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Switches the sets off for rows, their number and columns: Datasette's statements run as it wrote them."""
    return lambda off: monkeypatch.setattr(pm.get_plugin("page_queries.py"), "FOR_PEOPLE", 0 if off else 1001)


SEEN = ("rows", "filtered_table_rows_count", "facet_results", "next", "columns")


def tag_counts(db: Path, facets: dict[str, Any], dois: list[str], strengths: Sequence[str] = SHOWN_STRENGTHS) -> None:
    """The tag facets among `facets` of a page say what SQL counts for these works."""
    with closing(sqlite3.connect(db)) as conn:
        for facet in facets.values():
            if facet["type"] != "tags":
                continue
            sql = """
                select value, count(*) as n from tags where facet = ? and doi in (select value from json_each(?))
                and strength in (select value from json_each(?)) group by value order by n desc, value
            """
            expected = conn.execute(sql, (facet["name"], json.dumps(dois), json.dumps(strengths))).fetchall()
            found = [(value["value"], value["count"]) for value in facet["results"]]
            assert found == expected[: len(found)]
            assert (len(found) < len(expected)) == facet["truncated"]


def values_of(facets: dict[str, Any]) -> dict[str, list[tuple[Any, int]]]:
    """Facet → its values and how many works have each."""
    return {name: [(one["value"], one["count"]) for one in facet["results"]] for name, facet in facets.items()}


OR = '_where=year=1999+or+"verdict"+=+:p0&verdict=unsure'
"""Datasette puts no brackets around somebody's SQL, so that the pages after the first are another list; but the same for us."""

FILTERS = (
    "", "verdict=include", "verdict=include&year__gte=2005", "verdict=nonsense", "year__isblank=1&verdict=unsure",
    "_search=relapse", "_search=relapse+grief&verdict=include&title__contains=mother", "_search=nothing",
    "_search_title=grief", "_search=grief+OR+relapse&_searchmode=raw", "_tag=variant:a", "_tag=variant:a,b&_tag=design:rct",
    "_tag=variant:a&_search=group&verdict=include&verdict=include", "verdict=include&verdict=exclude",
    OR, "_where=title+is+null", "verdict__not=exclude", "year=2005&_facet=cited_by",
    "doi__contains=7", "cited_by__in=1,2&_tag=outcome:u", "_facet_tags=condition&_facet_size=2",
    "_tag=variant:a&_strength=stated", "_strength=implied&verdict=include&_tag=variant:a,b",
    "_strength=stated,likely,implied", "_strength=stated&_strength=likely",
)  # fmt: skip


@pytest.mark.parametrize(
    "filters", [f if n % 4 == 0 else pytest.param(f, marks=pytest.mark.slow) for n, f in enumerate(FILTERS)]
)
async def test_every_page_and_facet_is_what_datasette_alone_says(
    crowd: Path, plain: Callable[[bool], None], filters: str
) -> None:
    ds = Datasette([str(crowd)], config_dir=SITE)
    await ds.invoke_startup()
    for order in ("", "&_sort=title", "&_sort_desc=cited_by", "&_sort=year", "&_col=title&_col=year"):
        address: str | None = f"/evidence/works.json?_size=300&{filters}{order}"
        dois: list[str] = []
        facets: list[dict[str, Any]] = []
        while address:
            plain(True)
            expected = await ds.client.get(address)
            plain(False)
            found = await ds.client.get(address)
            assert expected.status_code == found.status_code == 200, (address, expected.text)
            ours, theirs = found.json(), expected.json()
            if dois and filters != OR:  # Datasette counts from page to page fewer: the works from there on
                theirs["facet_results"] = ours["facet_results"]
            assert {key: ours.get(key) for key in SEEN} == {key: theirs.get(key) for key in SEEN}, address
            facets.append(ours["facet_results"])
            dois += [row[ours["columns"].index("doi")] for row in ours["rows"]]
            address = ours["next_url"] and ours["next_url"].replace("http://localhost", "")
        first = await ds.client.get(f"/evidence/works.json?_size=0&{filters}{order}")
        if filters != OR:
            assert len(dois) == len(set(dois)) == first.json()["filtered_table_rows_count"], (filters, order)
            for counted in facets:
                assert values_of(counted) == values_of(facets[0]), (filters, order)
            asked = ",".join(parse_qs(filters).get("_strength", ()))
            tag_counts(crowd, facets[0], dois, asked.split(",") if asked else SHOWN_STRENGTHS)


async def test_views_by_doi_count_tags_as_sql_does(crowd: Path) -> None:
    ds = Datasette([str(crowd)], config_dir=SITE)
    await ds.invoke_startup()
    for address in (
        "studies.json?year=2005",
        "studies.json?_tag=variant:b&_facet_size=2",
        "to_check.json?_facet_tags=design",
    ):
        page = (await ds.client.get(f"/evidence/{address}")).json()
        rows = (await ds.client.get(f"/evidence/{address}&_size=max&_shape=array")).json()
        assert len(rows) == page["filtered_table_rows_count"] > 0
        assert any(facet["results"] for facet in page["facet_results"].values())
        tag_counts(crowd, page["facet_results"], [row["doi"] for row in rows])


async def test_what_is_kept_goes_when_the_database_changes(tmp_path: Path) -> None:
    path = make(tmp_path / "evidence.db", 200, 3)
    ds = Datasette([str(path)], config_dir=SITE)
    await ds.invoke_startup()
    addresses = (
        "to_check.json",
        "studies.json?_facet=year",
        "reasons.json",
        "works.json?verdict=unsure&_facet=decided",
    )

    async def counts() -> list[int]:
        answers = [(await ds.client.get(f"/evidence/{address}")).json() for address in addresses]
        shown = [len(answer["rows"]) for answer in answers if answer["filtered_table_rows_count"] < 25]
        assert shown == [n for n in (answer["filtered_table_rows_count"] for answer in answers) if n < 25]
        return [answer["filtered_table_rows_count"] for answer in answers]

    first = await counts()
    assert await counts() == first
    with closing(sqlite3.connect(path)) as conn, conn:
        (doi,) = conn.execute("select doi from works where verdict = 'include' limit 1").fetchone()
        conn.execute("update works set verdict = 'unsure' where doi = ?", (doi,))
        conn.execute("insert into reasons values (?, 'verdict', 'unsure', 'r', 'title', 0, 1, 'x')", (doi,))
    assert await counts() == [first[0] + 1, first[1] - 1, first[2] + 1, first[3] + 1]


async def test_the_sets_are_what_answers(crowd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests above compare two ways; this one knows that there are two."""
    ds = Datasette([str(crowd)], config_dir=SITE)
    asked: list[str] = []
    execute = type(ds.get_database("evidence")).execute

    async def noting(self: Any, sql: str, *args: Any, **options: Any) -> Any:
        asked.append(" ".join(sql.split()))
        return await execute(self, sql, *args, **options)

    monkeypatch.setattr(type(ds.get_database("evidence")), "execute", noting)
    await ds.invoke_startup()
    for args, among in (
        ("verdict__not=exclude", "substr(:_works"),
        ("_tag=variant:a&_tag=variant:b", "substr(:_works"),
        ("_size=30", "(select rowid from works order by"),
    ):
        asked.clear()
        assert (await ds.client.get(f"/evidence/works.json?{args}")).status_code == 200
        assert [among in sql for sql in asked if re.search(r" order by year desc, doi limit \d+ ?\)", sql)] == [True]
        assert not any(sql.startswith(("select count(*) from works", "select verdict as value")) for sql in asked)


async def test_what_sqlite_does_not_take_is_said_as_before(crowd: Path, plain: Callable[[bool], None]) -> None:
    ds = Datasette([str(crowd)], config_dir=SITE)
    await ds.invoke_startup()
    for args in ("year__in=1&_where=nonsense", "_where=nonsense", "_where=year=1)"):
        plain(True)
        expected = await ds.client.get(f"/evidence/works.json?{args}")
        plain(False)
        found = await ds.client.get(f"/evidence/works.json?{args}")
        assert found.status_code == expected.status_code == 400, args
        assert found.json() == expected.json()


FOREVER = "(with+recursive+c(n)+as+(select+1+union+all+select+n%2B1+from+c)+select+count(*)+from+c)>0"


async def test_time_is_limited_as_before(crowd: Path, plain: Callable[[bool], None]) -> None:
    ds = Datasette([str(crowd)], config_dir=SITE)
    await ds.invoke_startup()
    for off in (True, False):
        plain(off)
        answer = await ds.client.get(f"/evidence/works.json?_timelimit=50&_where={FOREVER}")
        assert answer.status_code == 400
        assert "took too long" in answer.text
        page = await ds.client.get(f"/evidence/works?_timelimit=50&_where={FOREVER}")
        assert page.status_code == 400
        assert "takes too long" in page.text
        assert "/download/csv" in page.text
        assert "sql_time_limit_ms" not in page.text
        assert "<textarea" not in page.text
    limits = json.loads((SITE / "settings.json").read_text(encoding="utf-8")) | {"facet_time_limit_ms": 1}
    ds = Datasette([str(crowd)], config_dir=SITE, settings=limits)
    await ds.invoke_startup()
    for off in (True, False):
        plain(off)
        page = (await ds.client.get("/evidence/studies.json?title__contains=mother")).json()
        assert page["filtered_table_rows_count"]
        assert not {"variant", "outcome", "design"} & set(page["facet_results"])


@pytest.mark.slow
@given(st.integers(0, 2**32), st.integers(0, 40))
@settings(max_examples=15, deadline=None)
def test_sets_count_as_sql_does(tmp_path_factory: pytest.TempPathFactory, seed: int, count: int) -> None:
    path = make(tmp_path_factory.mktemp("sets") / "a.db", count, seed)
    chance = random.Random(seed)
    with closing(sqlite3.connect(path)) as conn:
        known = bitset_counts.read_sets(conn)
        assert known.works.bit_count() == count
        rows = conn.execute("select rowid from works").fetchall()
        few = chance.sample(rows, chance.randint(0, count))
        works = known.set_of([*few, (0,), (-3,), (10**6,)])
        assert bitset_counts.rowids_of(works) == sorted(number for (number,) in few)
        assert [
            n for n, mark in enumerate(bitset_counts.flags_of(works)) if mark == ord("1")
        ] == bitset_counts.rowids_of(works)
        listed = ", ".join(str(number) for (number,) in few)
        for facet in (*FACETS, "nothing"):
            sql = f"""
                select value, count(*) as n from shown_tags join works using (doi)
                where facet = ? and works.rowid in ({listed}) group by value order by n desc, value
            """
            assert known.by_tag(facet, works) == conn.execute(sql, (facet,)).fetchall()
        for column in bitset_counts.COLUMNS:
            sql = f"""
                select {column}, count(*) as n from works where {column} is not null and rowid in ({listed})
                group by 1 order by n desc, 1
            """
            assert known.by_column(column, works) == conn.execute(sql).fetchall()
        for strengths in (("stated",), ("implied",), STRENGTHS):
            counted = Counter(
                value
                for number, facet, value, strength in conn.execute(TAGS)
                if facet == "variant" and strength in strengths and (number,) in few
            )
            assert dict(known.by_tag("variant", works, strengths)) == counted
        sql = "select count(distinct doi) from shown_tags where facet = 'design' and value in ('rct', 'cluster-rct')"
        assert known.either("design", *topic.load().trials).bit_count() == conn.execute(sql).fetchone()[0]


CHANGES = (
    "update tags set strength = 'implied' where doi = :doi",
    "update tags set strength = iif(strength = 'stated', 'likely', 'stated') where doi = :doi and facet = 'variant'",
    "delete from tags where doi = :doi and facet = 'variant'",
    "delete from tags where facet = 'outcome' and value = 'u'",
    "insert or ignore into tags (doi, facet, value, decided) values (:doi, 'design', 'protocol', 'person')",
    "update works set verdict = 'unsure', year = null where doi = :doi",
    "update works set judged_on = 'title+abstract', year = 2026 where doi = :doi",
    "update works set rowid = 1000 + :place where doi = :doi",
    "update works set rowid = rowid + 10000",
    "update tags set doi = :other where doi = :doi and facet = 'design' and doi <> :other",
    "delete from works where doi = :doi",
    """insert or replace into works (doi, verdict, screened, decided, why, judged_on, first_run, changed_run, basis)
    values ('10.1/new.' || :place, 'include', 'include', 'rule', 'so', 'nothing', 3, 3, 'b')""",
    "insert or ignore into tags (doi, facet, value, decided) values ('10.1/new.' || :place, 'variant', 'a', 'rule')",
    "vacuum",
)
"""What happens to a working database; the last but one is a tag without its work, which comes with a later change, if at all."""


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("few") / "a.db", 12, 5)


@pytest.mark.slow
@given(
    st.lists(st.lists(st.tuples(st.sampled_from(CHANGES), st.integers(0, 3)), max_size=3), min_size=1, max_size=8),
)
@settings(max_examples=60, deadline=None)
def test_sets_read_again_are_those_read_anew(
    tmp_path_factory: pytest.TempPathFactory, few: Path, steps: list[list[tuple[str, int]]]
) -> None:
    path = Path(shutil.copy(few, tmp_path_factory.mktemp("again")))
    with closing(sqlite3.connect(path, isolation_level=None)) as writer, closing(sqlite3.connect(path)) as reader:
        known = bitset_counts.read_sets_again(reader, None)
        for changes in steps:
            for sql, place in changes:
                dois = [doi for (doi,) in writer.execute("select doi from works order by doi")] or ["10.1/none"]
                doi, other = dois[place % len(dois)], dois[-1]
                with suppress(sqlite3.IntegrityError):
                    writer.execute(sql, {"doi": doi, "other": other, "place": place} if ":" in sql else {})
            known = bitset_counts.read_sets_again(reader, known)
            anew = bitset_counts.read_sets(reader)
            for name in ("tags", "columns", "works", "top", "by_strength"):
                assert getattr(known, name) == getattr(anew, name), (name, changes)


@pytest.mark.slow
async def test_what_a_change_did_not_touch_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make(tmp_path / "evidence.db", 60, 3)
    ds = Datasette([str(path)], config_dir=SITE)
    await ds.invoke_startup()
    db = ds.get_database("evidence")
    asked: list[Any] = []
    read = bitset_counts._read_tags

    def reading(cursor: sqlite3.Cursor, which: str, params: Any = ()) -> Any:
        asked.append(params)
        return read(cursor, which, params)

    monkeypatch.setattr(bitset_counts, "_read_tags", reading)
    first = await bitset_counts.of_database(db)
    assert asked == [()]
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("update works set verdict = 'exclude' where verdict = 'unsure'")
    second = await bitset_counts.of_database(db)
    assert (second.columns == first.columns, second.tags == first.tags) == (False, True)
    assert asked == [()]
    with closing(sqlite3.connect(path)) as conn, conn:
        (doi,) = conn.execute("select doi from tags where facet = 'variant' and value = 'a'").fetchone()
        conn.execute("delete from tags where doi = ? and facet = 'variant' and value = 'a'", (doi,))
    third = await bitset_counts.of_database(db)
    assert (len(third.by_tag("variant", third.works)), third.tags == second.tags) == (7, False)
    assert asked == [(), ("variant", "a")]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("", []),
        ('"year" = :p0', ['"year" = :p0']),
        ("a = 1 and (b = 2 and (c = 3 or d = 4)) and e in (select x and y)", ["a = 1", "(b = 2 and (c = 3 or d = 4))",
         "e in (select x and y)"]),
    ],
)  # fmt: skip
def test_a_where_clause_is_split_at_its_own_ands(where: str, expected: list[str]) -> None:
    assert bitset_counts.conditions(where) == expected


MAP = """
    with chosen as (
        select doi, doi in (select doi from shown_tags where facet = 'design' and value in ('rct', 'cluster-rct')) as trial,
            doi in (select doi from shown_tags where facet = 'design' and value in ('meta-analysis', 'systematic-review'))
                as review, notice = 'retraction' as retracted
        from works where verdict = 'include' and (:since is null or year >= :since) and (:until is null or year <= :until)
            and (:population is null or doi in (select doi from {tags} where facet = 'population' and value = :population))
    )
    select v.value, o.value, count(*), sum(trial), sum(review and not trial), coalesce(sum(retracted), 0)
    from chosen c join {tags} v on v.doi = c.doi and v.facet = 'variant'
        join {tags} o on o.doi = c.doi and o.facet = 'outcome'
    group by v.value, o.value
"""


@pytest.mark.parametrize(
    "wanted",
    [{}, {"since": 2005}, {"until": 2005, "population": "men"}, {"since": 2000, "until": 2012}, {"population": "no"}],
)
async def test_the_map_counts_as_sql_does(crowd: Path, wanted: dict[str, Any]) -> None:
    ds = Datasette([str(crowd)], config_dir=SITE)
    await ds.invoke_startup()
    table = csv.reader(io.StringIO((await ds.client.get("/map.csv", params=wanted)).text))
    found = {(row[0], row[1]): tuple(map(int, row[2:6])) for row in list(table)[1:]}
    with closing(sqlite3.connect(crowd)) as conn:
        known = {"since": None, "until": None, "population": None} | wanted
        expected = {(row[0], row[1]): row[2:] for row in conn.execute(MAP.format(tags="shown_tags"), known)}
    assert {cell: counts for cell, counts in found.items() if counts[0]} == expected
    assert bool(expected) == (wanted != {"population": "no"})


@pytest.mark.slow
@pytest.mark.parametrize("wanted", [{}, {"until": 2005, "population": "men"}])
async def test_the_map_counts_implied_tags_beside_the_others_and_its_links_lead_to_both(
    crowd: Path, wanted: dict[str, Any]
) -> None:
    ds = Datasette([str(crowd)], config_dir=SITE)
    await ds.invoke_startup()
    table = list(csv.DictReader(io.StringIO((await ds.client.get("/map.csv", params=wanted | {"implied": "1"})).text)))
    with closing(sqlite3.connect(crowd)) as conn:
        known = {"since": None, "until": None, "population": None} | wanted
        shown, together = (
            {(row[0], row[1]): row[2] for row in conn.execute(MAP.format(tags=tags), known)}
            for tags in ("shown_tags", "tags")
        )
    found = {(row["variant"], row["outcome"]): (int(row["works"]), int(row["implied"])) for row in table}
    cells = {cell: (shown.get(cell, 0), n - shown.get(cell, 0)) for cell, n in together.items()}
    assert {cell: counts for cell, counts in found.items() if any(counts)} == cells
    assert any(implied for _, implied in cells.values())
    page = (await ds.client.get("/map", params=wanted | {"implied": "1"})).text
    linked = map_cells.cells_of(page)
    assert len(linked) == len(cells)
    totals = re.findall(r'<a href="(/evidence/works[^"]*)" aria-label="[^"]*"[^>]*>(\d+)<', page)
    assert len(totals) > 3
    for address, n in [*[((await map_cells.list_of(ds, address))[0], n) for address, n in linked], *totals]:
        assert await map_cells.length(ds, address) == int(n), address


async def test_an_unknown_strength_is_refused(crowd: Path) -> None:
    ds = Datasette([str(crowd)], config_dir=SITE)
    await ds.invoke_startup()
    for address in ("/evidence/works?_strength=sure", "/download/csv?_strength=sure", "/feed.atom?_strength=sure",
                    "/past?as_of=2026-11-21&_strength=sure"):  # fmt: skip
        answer = await ds.client.get(address)
        assert answer.status_code == 400, address
        assert "is not a strength of a tag" in html.unescape(answer.text)


async def test_years_on_the_front_page_are_counted_as_sql_does(crowd: Path) -> None:
    ds = Datasette([str(crowd)], config_dir=SITE)
    await ds.invoke_startup()
    bars = re.findall(r"<title>(\d{4}): (\d+)", (await ds.client.get("/")).text)
    with closing(sqlite3.connect(crowd)) as conn:
        sql = "select year, count(*) from works where verdict = 'include' and year is not null group by year"
        assert {int(year): int(n) for year, n in bars if int(n)} == dict(conn.execute(sql).fetchall())
