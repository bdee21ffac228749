"""How current the reviews are: every number against SQL on the bundled records, and each decision on a small database."""

from __future__ import annotations

import csv
import html
import io
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from shutil import copyfile
from typing import Any

import pytest
from datasette.app import Datasette

from evidence.database import schema
from evidence.export.currency_values import CellDetail, CellNumbers, State, band, per_cent
from evidence.publish import currency, evidence_map, immutable_copy, serve
from evidence.publish.evidence_map import View
from evidence.rules import topic
from tests import listed_demo, site_sample
from tests.publish import map_cells

IPT = topic.load()
PAIRS = (("variant", "outcome"), ("condition", "population"))


@pytest.fixture(scope="module")
def demo(bundled: Path) -> Path:
    """The demo's database as it is: its records are bibliographic facts, without reference lists."""
    return bundled


@pytest.fixture(scope="module")
def listed(bundled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with reference lists that are made up."""
    path = Path(copyfile(bundled, tmp_path_factory.mktemp("listed") / "evidence.db"))
    with closing(sqlite3.connect(path)) as conn, conn:
        listed_demo.add_lists(conn)
        # Marked as the writer marks them, so that retracted works are among trials and reviews.
        for doi in ("10.1371/journal.pone.0019044", "10.3389/fpsyt.2023.1160081"):
            conn.execute("update works set notice = 'retraction' where doi = ?", (doi,))
            conn.execute(
                "insert into notices (doi, kind, notice_doi, stands_on, relation, issued, source, evidence) "
                "values (?1, 'retraction', ?1 || '.r', ?1, 'own', '2025', 'publisher', 'updated-by')",
                (doi,),
            )
    return path


async def site_of(path: Path) -> Datasette:
    ds = Datasette([str(path)], config_dir=serve.site_folder())
    await ds.invoke_startup()
    return ds


async def text(ds: Datasette, address: str, status: int = 200) -> str:
    answer = await ds.client.get(address)
    assert answer.status_code == status, (address, answer.text[-3000:])
    return str(answer.text)


# ---------------------------------------------------------------------- against SQL

SQL = """
with tagged as (
    select doi, max(value in ('rct', 'cluster-rct')) as is_trial,
        max(value in ('meta-analysis', 'systematic-review')) as is_review
    from shown_tags where facet = 'design' group by doi
), cell as (
    select w.rowid as id, w.doi, coalesce(g.is_trial, 0) as is_trial, coalesce(g.is_review, 0) as is_review,
        coalesce(w.notice in ('retraction', 'partial-retraction', 'withdrawal', 'removal'), 0) as retracted,
        coalesce(w.issued, w.year) as date,
        coalesce(w.issued, w.year) || substr('-01-01', length(coalesce(w.issued, w.year)) - 3) as lo,
        coalesce(w.issued, w.year) || substr('-12-31', length(coalesce(w.issued, w.year)) - 3) as hi,
        w.references_deposited as entries, w.references_without_doi as unmatched
    from works w left join tagged g on g.doi = w.doi
    where w.verdict = 'include'
        and exists (select 1 from shown_tags t where t.doi = w.doi and (t.facet, t.value) = (:rows, :row))
        and exists (select 1 from shown_tags t where t.doi = w.doi and (t.facet, t.value) = (:columns, :column))
), trial as (select * from cell where is_trial and not is_review
), review as (select * from cell where is_review
), standing as (select * from review where not retracted
), candidate as (select * from standing where hi is null or hi >= coalesce((select max(lo) from standing), '')
), newest as (
    select * from candidate order by lo is null, entries is null, lo desc, hi desc, doi limit 1
), state as (
    select t.doi, case
        when exists (select 1 from cites c where c.doi = n.doi and c.cited = t.doi) then 'listed'
        when t.lo is null or n.lo is null then 'undated'
        when t.lo > n.hi then 'newer'
        when t.hi < n.lo then iif(n.entries is null, 'list_unknown', 'lacking')
        else 'same_time' end as state
    from trial t cross join newest n
), tick as (select r.doi as review, t.doi as trial from review r join cites c on c.doi = r.doi join trial t on t.doi = c.cited
), pair as (
    select r.doi as review, t.doi as trial from review r cross join trial t
    where r.doi in (select review from tick) and t.doi in (select trial from tick)
)
select
    (select count(*) from cell) as works, (select total(retracted) from cell) as retracted,
    (select count(*) from cell where is_trial) as trial_works, (select count(*) from review) as review_works,
    (select count(*) from cell where is_trial and is_review) as both,
    (select count(*) from trial) as trials, (select count(*) from review) as reviews,
    (select total(retracted) from trial) as retracted_trials, (select total(retracted) from review) as retracted_reviews,
    (select count(*) from trial where date is null) as undated_trials,
    (select count(*) from review where date is null) as undated_reviews,
    (select doi from newest) as newest_review, (select date from newest) as newest_date,
    (select count(*) from state where state = 'listed') as listed, (select count(*) from state where state = 'newer') as newer,
    (select count(*) from state where state = 'lacking') as lacking,
    (select count(*) from state where state = 'list_unknown') as list_unknown,
    (select count(*) from state where state = 'same_time') as same_time,
    (select count(*) from state where state = 'undated') as undated,
    (select count(*) from trial where not exists (select 1 from newest)) as no_review,
    (select entries from newest) as "references", (select unmatched from newest) as references_unmatched,
    max((select count(*) from candidate) - 1, 0) as as_new,
    (select count(*) from review x where x.retracted and not exists (select 1 from newest n where n.lo > x.hi))
        as retracted_newer,
    (select count(*) from review where entries is null) as reviews_without_list,
    (select count(*) from review where entries is not null and doi not in (select review from tick)) as reviews_listing_none,
    (select count(distinct review) from tick) as cca_reviews, (select count(distinct trial) from tick) as cca_trials,
    (select count(*) from tick) as cca_listed,
    (select count(*) from pair p join review r on r.doi = p.review join trial t on t.doi = p.trial
        where t.lo > r.hi and not exists (select 1 from tick k where (k.review, k.trial) = (p.review, p.trial)))
        as cca_structural_zeros
"""


def by_sql(path: Path, rows: str, columns: str) -> dict[tuple[str, str], dict[str, Any]]:
    """(row, column) → the numbers of the cell, of each cell that has a trial or a review."""
    found = {}
    with closing(sqlite3.connect(path)) as conn:
        conn.row_factory = sqlite3.Row
        values = {
            facet: [value for (value,) in conn.execute("select value from facets where facet = ?", (facet,))]
            for facet in (rows, columns)
        }
        for row in values[rows]:
            for column in values[columns]:
                named = {"rows": rows, "row": row, "columns": columns, "column": column}
                numbers = dict(conn.execute(SQL, named).fetchone())
                if numbers["trials"] or numbers["reviews"]:
                    found[row, column] = numbers
    return found


def cca(numbers: dict[str, Any], *, adjusted: bool) -> Fraction | None:
    n, r, c = (int(numbers[name]) for name in ("cca_listed", "cca_trials", "cca_reviews"))
    area = r * c - r - (int(numbers["cca_structural_zeros"]) if adjusted else 0)
    return Fraction(n - r, area) if area > 0 else None


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "columns"), PAIRS)
@pytest.mark.parametrize("which", ["demo", "listed"])
async def test_every_number_of_every_cell_is_that_of_sql(
    request: pytest.FixtureRequest, which: str, rows: str, columns: str
) -> None:
    path: Path = request.getfixturevalue(which)
    expected = by_sql(path, rows, columns)
    assert len(expected) > 20
    ds = await site_of(path)
    table = list(csv.DictReader(io.StringIO(await text(ds, f"/currency.csv?rows={rows}&columns={columns}"))))
    assert {(line[rows], line[columns]) for line in table} == set(expected)
    for line in table:
        numbers = expected[line[rows], line[columns]]
        for name, value in numbers.items():
            shown = "" if value is None else str(int(value) if isinstance(value, float) else value)
            assert line[name] == shown, (line[rows], line[columns], name)
        for name, adjusted in (("cca", False), ("cca_adjusted", True)):
            share = cca(numbers, adjusted=adjusted)
            assert line[name] == ("" if share is None else str(round(float(share), 6)))
            assert line[f"{name}_band"] == ("" if share is None else band(share))
    if which == "listed":  # the comparison is of something
        assert sum(int(line["listed"]) for line in table) > 10 and sum(int(line["lacking"]) for line in table) > 5
        assert any(line["cca"] for line in table) and any(line["retracted_newer"] != "0" for line in table)
    else:
        assert all(line["reviews_without_list"] == line["reviews"] for line in table)


CELL_ROW = re.compile(r'<tr><th scope="row"><a href="([^"]+)">[^<]*</a></th>(.*?)</tr>', re.DOTALL)
STATE = re.compile(r'<a href="#trials-([a-z-]+)"><b>([\d,]+)</b>')
HEADING = re.compile(r'<h3 id="trials-([a-z-]+)">[^<]*\(([\d,]+)\)</h3>\s*<ul class="works-list">(.*?)</ul>', re.DOTALL)
REVIEW_ROW = re.compile(r'<td data-label="([^"]+)">(.*?)</td>', re.DOTALL)


def plain(markup: str) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", markup)).strip()


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "columns"), PAIRS)
async def test_every_number_on_the_pages_is_that_of_sql(listed: Path, rows: str, columns: str) -> None:
    expected = by_sql(listed, rows, columns)
    ds = await site_of(listed)
    page = await text(ds, f"/currency?rows={rows}&columns={columns}")
    shown = CELL_ROW.findall(page)
    assert len(shown) == len(expected)
    for (address, cells), numbers in zip(shown, expected_in_order(ds, expected, page), strict=True):
        of = {label: plain(cell) for label, cell in REVIEW_ROW.findall(cells)}
        assert (of["trials"], of["reviews"]) == (f"{numbers['trials']:,}", f"{numbers['reviews']:,}")
        if numbers["newest_review"]:
            has_list = numbers["references"] is not None
            assert of["newer"] == str(numbers["newer"])
            assert of["in its list"] == (str(numbers["listed"]) if has_list else "–")
            assert of["older, not found"] == (str(numbers["lacking"]) if has_list else "–")
            assert of["not known"] == str(sum(numbers[name] for name in ("list_unknown", "same_time", "undated")))
            share = cca(numbers, adjusted=False)
            assert ("overlap" in of) == (share is not None)
            if share is not None:
                assert of["overlap"].startswith(f"{per_cent(share)} ({band(share)})")
        if numbers["trials"] > 3 or numbers["reviews"] > 1:
            check_cell(await text(ds, html.unescape(address)), numbers)


def expected_in_order(ds: Any, expected: dict[tuple[str, str], dict[str, Any]], page: str) -> Iterator[dict[str, Any]]:
    for address, _ in CELL_ROW.findall(page):
        row, column = (re.search(rf"[?&]{name}=([^&]+)", html.unescape(address)) for name in ("row", "column"))
        assert row and column
        yield expected[row[1], column[1]]


def check_cell(page: str, numbers: dict[str, Any]) -> None:
    names = ("listed", "newer", "lacking", "list_unknown", "same_time", "undated", "no_review")
    states = {name.replace("_", "-"): numbers[name] for name in names if numbers[name]}
    assert {state: map_cells.number(n) for state, n in STATE.findall(page)} == states
    lists = {state: (map_cells.number(n), items.count("<li>")) for state, n, items in HEADING.findall(page)}
    assert lists == {state: (n, n) for state, n in states.items()}
    assert page.count('class="listed"') == numbers["cca_listed"]
    assert page.count('class="later"') == numbers["cca_structural_zeros"]
    for name, adjusted in (("corrected covered area", False), ("later trial:", True)):
        share = cca(numbers, adjusted=adjusted)
        if share is not None and (numbers["cca_structural_zeros"] or not adjusted):
            assert f"{name} {per_cent(share)} ({band(share)})" in page
    trials, reviews = numbers["trial_works"], numbers["review_works"]
    assert (
        f"{trials} trial{'' if trials == 1 else 's'}</a>" in page
        and f"{reviews} review{'' if reviews == 1 else 's'}</a>" in page
    )
    of_bars = re.findall(r"<tr><th scope=\"row\">(?:to )?\d{4}[^<]*</th><td>(\d+)</td>", page)
    assert sum(map(int, of_bars)) == numbers["trials"] - numbers["undated_trials"]


@pytest.mark.slow
async def test_the_numbers_are_the_map_s_and_their_lists(listed: Path) -> None:
    ds = await site_of(listed)
    panel = await text(ds, "/map/panel?row=ipt&column=depressive-symptoms")
    link = re.search(r'<a href="(/currency\?[^"]+)" id="panel-currency">', panel)
    assert link is not None
    page = await text(ds, html.unescape(link[1]))
    for kind in ("trial", "review"):
        found = re.search(rf'<a href="([^"]+)">([\d,]+) {kind}s?</a>', page)
        assert found is not None and await map_cells.length(ds, found[1]) == map_cells.number(found[2])
        assert f">{found[2]} {'randomised ' if kind == 'trial' else ''}{kind}s</a>" in panel
    works = re.search(r'<a href="([^"]+)">([\d,]+) works</a> of this cell', page)
    assert works is not None and await map_cells.length(ds, works[1]) == map_cells.number(works[2])
    listing = await text(ds, html.unescape(works[1]))
    back = re.search(r'<p class="currency-link"><a href="([^"]+)">', listing)
    assert back is not None
    again = await text(ds, html.unescape(back[1]))
    assert re.findall(STATE, again) == re.findall(STATE, page)


async def test_comparing_with_another_review(listed: Path) -> None:
    ds = await site_of(listed)
    page = await text(ds, "/currency?row=ipt&column=depressive-symptoms")
    other = re.findall(r'<a href="(/currency\?[^"]*against=([^"&]+))" aria-label="Compare', page)
    assert other
    address, doi = html.unescape(other[-1][0]), other[-1][1].replace("%2F", "/")
    compared = await text(ds, address)
    assert "The review compared with" in compared and STATE.findall(compared) != STATE.findall(page)
    table = list(csv.DictReader(io.StringIO(await text(ds, address.replace("/currency?", "/currency.csv?")))))
    with closing(sqlite3.connect(listed)) as conn:
        cited = {cited for (cited,) in conn.execute("select cited from cites where doi = ?", (doi,))}
    assert {line["trial"] for line in table if line["state"] == "listed"} == cited & {line["trial"] for line in table}
    await text(ds, "/currency?row=ipt&column=depressive-symptoms&against=10.5555/none", 404)


async def test_the_matrix_of_the_csv_is_that_of_the_table_cites(listed: Path) -> None:
    ds = await site_of(listed)
    table = list(csv.reader(io.StringIO(await text(ds, "/currency.csv?row=ipt&column=depressive-symptoms"))))
    reviews = [name[name.index("(10.") + 1 : -1] for name in table[0][7:]]
    with closing(sqlite3.connect(listed)) as conn:
        pairs = set(conn.execute("select doi, cited from cites"))
        years = dict(conn.execute("select doi, year from works"))
    assert len(reviews) > 3
    for line in table[1:]:
        for review, mark in zip(reviews, line[7:], strict=True):
            if (review, line[0]) in pairs:
                assert mark == "1"
            else:
                assert mark in ("0", "NA")
                if mark == "NA":
                    assert years[line[0]] >= years[review]


async def test_without_any_list_the_page_says_so(demo: Path) -> None:
    ds = await site_of(demo)
    page = await text(ds, "/currency")
    assert "No reference list was deposited for any review in these cells" in page
    cell = await text(ds, "/currency?row=ipt&column=depressive-symptoms")
    found = re.search(r"No reference list was deposited for any of the (\d+) reviews", cell)
    assert found and int(found[1]) > 1 and 'class="matrix"' not in cell


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/currency?rows=nothing", 400), ("/currency?row=ipt&column=nothing", 404), ("/currency?rows=design", 200),
        ("/currency?rows=design&row=rct&column=anxiety", 200), ("/currency?since=1&until=0", 200),
        ("/currency?row=ipt&column=*Symptoms", 200), ("/currency?implied=1&folded=*", 200), ("/currency.json", 200),
        ("/currency.csv?row=ipt&column=nothing", 404), ("/currency?row=ipt", 200), ("/currency?condition=depression", 200),
        ("/currency.json?row=ipt&column=*Symptoms&condition=depression&since=2000", 200),
    ],
)  # fmt: skip
async def test_addresses(demo: Path, address: str, status: int) -> None:
    found = await text(await site_of(demo), address, status)
    if "rows=design" in address and status == 200:
        assert "a cell cannot have both trials and reviews" in found


async def test_a_published_copy_has_the_same_numbers(listed: Path, tmp_path: Path) -> None:
    copied = tmp_path / "evidence.db"
    immutable_copy.copy(listed, copied, hidden=[])
    ours, theirs = await site_of(listed), await site_of(copied)
    for address in ("/currency.csv", "/currency.json?row=ipt&column=depressive-symptoms"):
        assert await text(ours, address) == await text(theirs, address)


async def test_a_list_of_a_cell_is_known_by_its_filters(listed: Path) -> None:
    with closing(sqlite3.connect(listed)) as conn:
        loaded = currency.load(conn, schema.read_topic(conn))
    views = [
        View("variant", "outcome", {}, row="ipt", column="anxiety"),
        View(
            "condition", "population", {"variant": ("ipt", "ipt-a")}, 1990, 2020, row="depression", column="adolescents"
        ),
        View("variant", "outcome", {"condition": ("depression",)}, implied=True, row="ipt", column="*Symptoms"),
        View("outcome", "variant", {}, until=2015, row="*Course", column="ipt"),
    ]
    for view in views:
        lines = [
            (facet, line)
            for facet, key in zip(view.axes, (view.row, view.column), strict=True)
            if (line := evidence_map.line_named(IPT, facet, loaded.values, key))
        ]
        pairs = evidence_map.list_pairs(view, lines)
        found = evidence_map.view_of_list(pairs, IPT)
        assert found is not None
        assert [cell.works for cell in loaded.cells(found)] == [cell.works for cell in loaded.cells(view)]
        with_design = evidence_map.view_of_list([*pairs, ("_tag", "design:rct")], IPT)
        assert with_design == found
        assert evidence_map.view_of_list([*pairs, ("_search", "grief")], IPT) is None
        assert evidence_map.view_of_list(pairs[1:], IPT) is None
    assert evidence_map.view_of_list([("verdict", "include"), ("_tag", "variant:ipt")], IPT) is None
    assert (
        evidence_map.view_of_list([("verdict", "include"), ("_tag", "variant:ipt"), ("_tag", "variant:mit")], IPT)
        is None
    )


# ---------------------------------------------------------------------- what counts as what

CELL = View("variant", "outcome", {}, row="ipt-m", column="general-functioning")


class Small:
    """The sample database with works of one cell, which the test adds."""

    def __init__(self, path: Path) -> None:
        self.path = site_sample.make_sample(path)
        self.made = 0

    def add(
        self,
        doi: str,
        date: str | None,
        *designs: str,
        cites: Sequence[str] = (),
        entries: int | None = None,
        without_doi: int = 0,
        kind: str = "journal-article",
        notice: str | None = None,
        same_as: str | None = None,
    ) -> str:
        with closing(sqlite3.connect(self.path)) as conn, conn:
            row = (doi, f"Title of {doi}", "Author A", "A Journal", date or "2000", kind, "include", notice)
            site_sample.add_work(conn, row)
            conn.execute(
                "update works set issued = ?, year = ?, references_deposited = ?, references_without_doi = ?, same_as = ?, "
                "verdict = ? where doi = ?",
                (date, date and int(date[:4]), entries, None if entries is None else without_doi, same_as,
                 "duplicate" if same_as else "include", doi),
            )  # fmt: skip
            if notice:
                conn.execute(
                    "insert into notices (doi, kind, notice_doi, stands_on, relation, evidence) "
                    "values (?1, ?2, ?1 || '.n', ?1, 'own', 'updated-by')",
                    (doi, notice),
                )
            tags = [("variant", CELL.row), ("outcome", CELL.column), *(("design", design) for design in designs)]
            conn.executemany(
                "insert into tags (doi, facet, value, decided) values (?, ?, ?, 'rule')", [(doi, *tag) for tag in tags]
            )
            conn.executemany("insert into cites values (?, ?, 'crossref')", [(doi, cited) for cited in cites])
        return doi

    def run(self, sql: str, *values: Any) -> None:
        with closing(sqlite3.connect(self.path)) as conn, conn:
            conn.execute(sql, values)

    def cell(self, against: str | None = None, view: View = CELL) -> CellDetail:
        with closing(sqlite3.connect(self.path)) as conn:
            loaded = currency.load(conn, schema.read_topic(conn))
            found = currency.of_cell(conn, loaded, view, against)
            assert found is not None
            numbers = [n for n in currency.of_cells(loaded, View("variant", "outcome", {})) if n.row[0] == view.row]
        assert against or not numbers or numbers == [found.numbers]
        if found.compared:
            states: dict[State, int] = {}
            for line in found.trials:
                states[line.state] = states.get(line.state, 0) + 1
            assert states == dict(found.compared.numbers.trials)  # counted one by one, and by sorted dates
        return found

    def states(self, against: str | None = None) -> dict[str, str]:
        return {line.work.doi: line.state for line in self.cell(against).trials}


@pytest.fixture
def small(tmp_path: Path) -> Small:
    return Small(tmp_path / "small.db")


def numbers(small: Small) -> CellNumbers:
    return small.cell().numbers


def test_by_list_first_then_by_dates(small: Small) -> None:
    for doi, date in (
        ("10.5555/old", "2001"), ("10.5555/listed", "2003-02"), ("10.5555/ahead", "2011"), ("10.5555/same", "2010"),
        ("10.5555/may", "2010-05"), ("10.5555/july", "2010-07"), ("10.5555/new", "2010-07-02"), ("10.5555/undated", None),
        ("10.5555/undated-listed", None), ("10.5555/june", "2010-06"),
    ):  # fmt: skip
        small.add(doi, date, "rct")
    small.add("10.5555/review", "2010-06-15", "meta-analysis", entries=9, without_doi=2,
              cites=["10.5555/listed", "10.5555/ahead", "10.5555/undated-listed", "10.5555/elsewhere"])  # fmt: skip
    assert small.states() == {
        "10.5555/old": "lacking", "10.5555/listed": "listed", "10.5555/ahead": "listed", "10.5555/same": "same-time",
        "10.5555/may": "lacking", "10.5555/july": "newer", "10.5555/new": "newer", "10.5555/undated": "undated",
        "10.5555/undated-listed": "listed", "10.5555/june": "same-time",
    }  # fmt: skip
    newest = numbers(small).newest
    assert newest is not None and (newest.entries, newest.unmatched, newest.has_list) == (9, 2, True)


def test_without_a_list_older_trials_are_not_called_lacking(small: Small) -> None:
    small.add("10.5555/old", "2001", "rct")
    small.add("10.5555/review", "2010", "systematic-review")
    assert small.states() == {"10.5555/old": "list-unknown"}
    assert (numbers(small).without_list, numbers(small).of("lacking")) == (1, 0)


def test_a_list_without_a_single_doi_tells_nothing(small: Small) -> None:
    small.add("10.5555/old", "2001", "rct")
    small.add("10.5555/review", "2010", "meta-analysis", entries=30, without_doi=30)
    assert small.states() == {"10.5555/old": "list-unknown"}
    found = numbers(small)
    assert found.newest is not None and (found.newest.unmatched, found.newest.has_list, found.newest.tells) == (
        30,
        True,
        False,
    )
    assert (found.without_list, found.without_dois, found.silent) == (0, 1, 0)
    small.run("update works set references_without_doi = 29 where doi = '10.5555/review'")
    assert small.states() == {"10.5555/old": "lacking"}


def test_a_list_whose_length_is_not_known_yet_is_a_list(small: Small) -> None:
    small.add("10.5555/old", "2001", "rct")
    small.add("10.5555/review", "2010", "meta-analysis", cites=["10.5555/old"])
    newest = numbers(small).newest
    assert newest is not None and newest.has_list and newest.entries is None and newest.unmatched is None
    assert small.states() == {"10.5555/old": "listed"}


def test_a_work_of_both_designs_is_a_review_and_no_review_lists_itself(small: Small) -> None:
    both = small.add("10.5555/both", "2010", "rct", "meta-analysis", entries=1)
    small.run("insert into cites values (?, ?, 'crossref')", both, both)
    small.add("10.5555/later", "2012", "meta-analysis", cites=[both], entries=1)
    found = numbers(small)
    assert (found.trial_works, found.review_works, found.both, found.trials, found.reviews) == (1, 2, 1, 0, 2)
    assert found.overlap.listed == 0 and found.silent == 2


def test_the_preprint_of_a_review_is_no_trial_that_it_lists(small: Small) -> None:
    review = small.add("10.5555/review", "2010", "meta-analysis", cites=["10.5555/pre"], entries=1)
    small.add("10.5555/pre", "2009", "rct", kind="posted-content")
    small.run("insert into relations (doi, kind, other) values ('10.5555/pre', 'is-preprint-of', ?)", review)
    found = numbers(small)
    assert (found.trial_works, found.trials, found.reviews, found.overlap.listed) == (1, 0, 1, 0)


def test_a_citation_of_a_duplicate_record_is_one_of_the_work(small: Small) -> None:
    small.add("10.5555/trial", "2001", "rct")
    small.add("10.7777/copy", "2001", "rct", same_as="10.5555/trial")
    small.add("10.5555/review", "2010", "meta-analysis", cites=["10.7777/copy"], entries=1)
    assert small.states() == {"10.5555/trial": "listed"}


def test_a_list_deposited_for_a_duplicate_record_is_the_review_s(small: Small) -> None:
    small.add("10.5555/trial", "2001", "rct")
    small.add("10.5555/review", "2010", "meta-analysis")
    small.add("10.7777/copy", "2010", "meta-analysis", same_as="10.5555/review", cites=["10.5555/trial"], entries=4)
    assert small.states() == {"10.5555/trial": "listed"}
    newest = numbers(small).newest
    assert newest is not None and newest.entries == 4 and numbers(small).reviews == 1


@pytest.mark.parametrize(
    "stated", [("10.5555/pre", "is-preprint-of", "10.5555/art"), ("10.5555/art", "has-preprint", "10.5555/pre")]
)
@pytest.mark.parametrize("first", ["preprint", "article"])
def test_a_preprint_and_its_article_are_one_report_of_the_earlier_date(
    small: Small, stated: tuple[str, str, str], first: str
) -> None:
    if first == "article":
        small.add("10.5555/art", "2012", "rct")
    small.add("10.5555/pre", "2009-03", "rct", kind="posted-content")
    if first == "preprint":
        small.add("10.5555/art", "2012", "rct")
    small.run("insert into relations (doi, kind, other) values (?, ?, ?)", *stated)
    review = small.add("10.5555/review", "2010", "meta-analysis", entries=1)
    detail = small.cell()
    assert (detail.numbers.trial_works, detail.numbers.trials) == (2, 1)
    (line,) = detail.trials
    assert (line.work.doi, line.work.versions, line.work.first, line.state) == (
        "10.5555/art", ("10.5555/pre",), "2009-03", "lacking",
    )  # fmt: skip
    small.run("insert into cites values (?, '10.5555/pre', 'crossref')", review)
    assert small.states() == {"10.5555/art": "listed"}


def test_a_preprint_outside_the_cell_still_dates_and_finds_the_article(small: Small) -> None:
    small.add("10.5555/pre", "2009", "rct", kind="posted-content")
    small.run("delete from tags where doi = '10.5555/pre'")
    small.add("10.5555/art", "2012", "rct")
    small.run("insert into relations (doi, kind, other) values ('10.5555/pre', 'is-preprint-of', '10.5555/art')")
    small.add("10.5555/review", "2010", "meta-analysis", cites=["10.5555/pre"], entries=1)
    assert small.states() == {"10.5555/art": "listed"}


def test_versions_of_a_living_review_are_one_and_the_newest_list_counts(small: Small) -> None:
    small.add("10.5555/one", "2001", "rct")
    small.add("10.5555/two", "2002", "rct")
    first = small.add(
        "10.1002/14651858.cd000001.pub2", "2010", "systematic-review", cites=["10.5555/one", "10.5555/two"], entries=2
    )
    second = small.add("10.1002/14651858.cd000001.pub3", "2015", "systematic-review", cites=["10.5555/one"], entries=1)
    small.add("10.1002/14651858.cd000001", "2009", "systematic-review")  # often the protocol: another document
    detail = small.cell()
    assert [line.work.doi for line in detail.reviews] == [second, "10.1002/14651858.cd000001"]
    assert detail.reviews[0].work.versions == (first,)
    assert small.states() == {"10.5555/one": "listed", "10.5555/two": "lacking"}
    assert (detail.numbers.review_works, detail.numbers.reviews, detail.numbers.overlap.reviews) == (3, 2, 1)


def test_an_update_to_a_new_version_joins_the_two(small: Small) -> None:
    old = small.add("10.5555/living.a", "2010", "meta-analysis")
    new = small.add("10.5555/living.b", "2012", "meta-analysis")
    small.run("insert into updates (said_by, doi, kind, notice_doi, evidence) values (?, ?, 'new-version', ?, 'update-to')",
              new, old, new)  # fmt: skip
    assert [line.work.doi for line in small.cell().reviews] == [new]


def test_a_retracted_review_is_counted_and_not_compared_with(small: Small) -> None:
    small.add("10.5555/trial", "2012", "rct", notice="retraction")
    small.add("10.5555/standing", "2010", "meta-analysis")
    small.add("10.5555/withdrawn", "2015", "meta-analysis", notice="withdrawal", cites=["10.5555/trial"], entries=1)
    found = numbers(small)
    assert found.newest is not None and found.newest.doi == "10.5555/standing" and found.retracted_newer == 1
    assert (found.reviews, found.retracted_reviews, found.trials, found.retracted_trials, found.retracted) == (
        2,
        1,
        1,
        1,
        2,
    )
    assert found.overlap.reviews == 1 and small.states() == {"10.5555/trial": "newer"}
    assert small.states("10.5555/withdrawn") == {"10.5555/trial": "listed"}
    small.run("update works set notice = 'retraction' where doi = '10.5555/standing'")
    small.run("insert into notices (doi, kind, notice_doi, stands_on, relation, evidence) "
              "values ('10.5555/standing', 'retraction', 'x', '10.5555/standing', 'own', 'updated-by')")  # fmt: skip
    found = numbers(small)
    assert found.newest is None and found.of("no-review") == 1 and found.retracted_newer == 2


def test_an_expression_of_concern_leaves_a_review_standing(small: Small) -> None:
    small.add("10.5555/doubted", "2015", "meta-analysis", notice="expression-of-concern")
    found = numbers(small)
    assert found.newest is not None and found.newest.doi == "10.5555/doubted" and not found.newest.retracted


def test_where_dates_do_not_tell_which_review_is_newer_one_with_a_list_is_taken(small: Small) -> None:
    small.add("10.5555/a", "2015", "meta-analysis")
    small.add("10.5555/b", "2015-03", "meta-analysis", entries=1)
    small.add("10.5555/c", None, "meta-analysis", entries=1)
    small.add("10.5555/d", "2014", "meta-analysis", entries=1)
    found = numbers(small)
    assert found.newest is not None and (found.newest.doi, found.as_new, found.undated_reviews) == ("10.5555/b", 2, 1)
    assert [line.work.doi for line in small.cell().reviews] == ["10.5555/b", "10.5555/a", "10.5555/d", "10.5555/c"]
    small.run(
        "update works set references_deposited = iif(doi = '10.5555/a', 1, null) where doi in ('10.5555/a', '10.5555/b')"
    )
    small.run("update works set references_without_doi = 0 where doi = '10.5555/a'")
    found = numbers(small)
    assert found.newest is not None and (found.newest.doi, found.as_new) == ("10.5555/a", 2)


def test_a_review_without_a_date_is_the_newest_only_where_none_has_one(small: Small) -> None:
    small.add("10.5555/trial", "2001", "rct")
    small.add("10.5555/undated", None, "meta-analysis", entries=1)
    assert small.states() == {"10.5555/trial": "undated"}
    small.add("10.5555/dated", "1990", "meta-analysis")
    assert small.states() == {"10.5555/trial": "newer"}


def test_references_without_a_doi_count_where_their_text_was_matched(small: Small) -> None:
    small.add("10.5555/matched", "2001", "rct")
    small.add("10.5555/missed", "2002", "rct")
    review = small.add("10.5555/review", "2010", "meta-analysis", entries=5, without_doi=3)
    with closing(sqlite3.connect(small.path)) as conn, conn:
        conn.execute("insert into sources (source, kind, label, spec, first_run) values ('followed', 'references', 'x', ?, 1)",
                     (f'{{"of": "{review.upper()}"}}',))  # fmt: skip
        conn.executemany(
            "insert into citations (source, position, text, stated_doi, doi, status, first_run) "
            "values ('followed', ?, 't', ?, ?, ?, 1)",
            [
                (1, None, "10.5555/matched", "matched"),
                (2, None, "10.5555/missed", "ambiguous"),
                (3, None, None, "not-found"),
            ],
        )
    assert small.states() == {"10.5555/matched": "listed", "10.5555/missed": "lacking"}
    newest = numbers(small).newest
    assert newest is not None and newest.unmatched == 2


def test_the_topic_says_what_is_a_trial_and_what_a_review(small: Small) -> None:
    small.add("10.5555/pilot", "2001", "protocol")
    small.add("10.5555/narrative", "2010", "narrative-review")
    with closing(sqlite3.connect(small.path)) as conn:
        loaded = currency.load(conn, schema.read_topic(conn))
        assert [n for n in currency.of_cells(loaded, View("variant", "outcome", {})) if n.row[0] == CELL.row] == []


def test_tags_that_are_only_implied_count_where_they_are_asked_for(small: Small) -> None:
    small.add("10.5555/review", "2010", "meta-analysis")
    small.add("10.5555/trial", "2012", "rct")
    small.run("update tags set strength = 'implied' where doi = '10.5555/trial' and facet = 'design'")
    with closing(sqlite3.connect(small.path)) as conn:
        loaded = currency.load(conn, schema.read_topic(conn))
        for implied, expected in ((False, 0), (True, 1)):
            view = View("variant", "outcome", {}, implied=implied, row=CELL.row, column=CELL.column)
            detail = currency.of_cell(conn, loaded, view)
            assert detail is not None and detail.numbers.trials == expected


def test_a_work_that_came_after_the_facts_were_read_waits_for_the_next_reading(small: Small) -> None:
    small.add("10.5555/trial", "2001", "rct")
    with closing(sqlite3.connect(small.path)) as conn:
        before = currency.load(conn, schema.read_topic(conn))
        small.add("10.5555/later", "2002", "rct")
        after = currency.load(conn, schema.read_topic(conn))
        mixed = replace(after, known=before.known)
        detail = currency.of_cell(conn, mixed, CELL)
        assert detail is not None and [line.work.doi for line in detail.trials] == ["10.5555/trial"]


def test_an_empty_database_has_no_cell(tmp_path: Path) -> None:
    from evidence.database.writer import open_store

    with open_store(tmp_path / "evidence.db"):
        pass
    with closing(sqlite3.connect(tmp_path / "evidence.db")) as conn:
        loaded = currency.load(conn, schema.read_topic(conn))
        assert list(currency.of_cells(loaded, View("variant", "outcome", {}))) == []
