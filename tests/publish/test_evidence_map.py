"""The evidence map on the bundled records: every number is that of SQL and the length of the list behind it."""

from __future__ import annotations

import csv
import html
import io
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from shutil import copyfile
from urllib.parse import urlencode
from xml.etree import ElementTree

import pytest
from datasette.app import Datasette

from evidence.publish import evidence_map, serve
from evidence.publish.evidence_map import FOLD_ALL, Cell, View
from evidence.rules import topic
from tests.publish import map_cells

IPT = topic.load()
VALUES = {
    "variant": [{"value": value, "label": value.upper(), "meaning": ""} for value in ("ipt", "ipt-a")],
    "outcome": [
        {"value": value, "label": value.title(), "meaning": ""} for value in ("cost", "anxiety", "suicidality", "new")
    ],
}
PAIRS = (
    ("variant", "outcome"),
    ("population", "outcome"),
    ("variant", "condition"),
    ("outcome", "design"),
    ("comparator", "format"),
)


@pytest.fixture(scope="module")
def demo(bundled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's database. Its bundled records have no abstracts; here the abstracts of some works count as read."""
    db = Path(copyfile(bundled, tmp_path_factory.mktemp("map") / "evidence.db"))
    with closing(sqlite3.connect(db)) as conn, conn:
        conn.execute(
            "update works set judged_on = 'title+abstract' where rowid % 3 > 0 "
            "or doi in (select doi from tags where (facet, value) in (('variant', 'dit'), ('outcome', 'cost')))"
        )
    return db


@pytest.fixture
async def site(demo: Path) -> Datasette:
    ds = Datasette([str(demo)], config_dir=serve.site_folder())
    await ds.invoke_startup()
    return ds


async def text(ds: Datasette, address: str, status: int = 200) -> str:
    answer = await ds.client.get(address)
    assert answer.status_code == status, (address, answer.text)
    return str(answer.text)


# ---------------------------------------------------------------------- what an address asks for


@pytest.mark.parametrize(
    "args",
    [
        {},
        {"rows": ["population"], "condition": ["depression"], "since": ["2000"], "implied": ["1"]},
        {"columns": ["variant"], "design": ["rct,cohort"], "folded": ["Symptoms", "Course"], "hide_empty": ["1"]},
        {"rows": ["outcome"], "columns": ["condition"], "row": ["*Symptoms"], "column": ["grief"], "until": ["1999"]},
    ],
)
def test_an_address_is_read_back_as_it_was_written(args: dict[str, list[str]]) -> None:
    view = evidence_map.read_view(args, IPT)
    again: dict[str, list[str]] = {}
    for name, value in view.pairs(IPT):
        again.setdefault(name, []).append(value)
    assert evidence_map.read_view(again, IPT) == view
    assert bool(again) == bool(args)
    assert evidence_map.read_view({**args, "folded": ["Weather"]}, IPT).folded == ()


def test_two_axes_are_two_facets_and_the_one_asked_for_stays() -> None:
    def axes(**args: str) -> tuple[str, str]:
        return evidence_map.read_view({name: [value] for name, value in args.items()}, IPT).axes

    assert axes() == ("variant", "outcome")
    assert axes(rows="outcome") == ("outcome", "variant")
    assert axes(columns="variant") == ("outcome", "variant")
    assert axes(rows="design", columns="design") == ("design", "variant")
    with pytest.raises(KeyError, match="colour"):
        axes(rows="colour")


def test_boxes_ticked_one_by_one_are_the_same_as_values_with_commas() -> None:
    ticked, listed = ({"design": values} for values in (["rct", "cohort"], ["rct,cohort"]))
    assert evidence_map.read_view(ticked, IPT) == evidence_map.read_view(listed, IPT)
    assert evidence_map.read_view({"outcome": ["cost"]}, IPT).filters == {}, "what is on the map does not narrow it"


# ---------------------------------------------------------------------- lines and cells


def test_groups_fold_into_one_line_each_and_other_facets_have_none() -> None:
    view = View("variant", "outcome", {}, folded=("Symptoms",))
    lines = evidence_map.lines_of(IPT, "outcome", VALUES, view)
    assert [line.key for line in lines] == ["*Symptoms", "cost", "new"]
    assert lines[0].values == ("anxiety", "suicidality")
    every = evidence_map.lines_of(IPT, "outcome", VALUES, View("variant", "outcome", {}, folded=(FOLD_ALL,)))
    assert [line.folded for line in every] == [True, True, False], "a value in no group stays"
    assert [line.key for line in evidence_map.lines_of(IPT, "variant", VALUES, view)] == ["ipt", "ipt-a"]
    named = evidence_map.line_named(IPT, "outcome", VALUES, "*Symptoms")
    assert named is not None and named.values == lines[0].values
    assert evidence_map.line_named(IPT, "outcome", VALUES, "*Other") is None


@pytest.mark.parametrize(
    ("cell", "nothing"),
    [
        (Cell(works=1, near=3, unread=3), "studied"),
        (Cell(implied=1, near=3, unread=3), "studied"),
        (Cell(), "none"),
        (Cell(near=3), "none"),
        (Cell(near=3, unread=1), "partly"),
        (Cell(near=3, unread=3), "titles"),
    ],
)
def test_an_empty_cell_says_whether_abstracts_could_be_read(cell: Cell, nothing: str) -> None:
    assert cell.nothing == nothing


# ---------------------------------------------------------------------- numbers, against SQL and lists

COUNTED = """
    select r.value, c.value, count(distinct w.doi) from works w
    join shown_tags r on r.doi = w.doi and r.facet = ? join shown_tags c on c.doi = w.doi and c.facet = ?
    where w.verdict = 'include' group by 1, 2
"""


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "columns"), PAIRS)
async def test_any_two_facets_count_as_sql_does_and_as_the_lists_behind_them(
    demo: Path, site: Datasette, rows: str, columns: str
) -> None:
    axes = {"rows": rows, "columns": columns}
    with closing(sqlite3.connect(demo)) as conn:
        expected = {(row, column): n for row, column, n in conn.execute(COUNTED, (rows, columns))}
    assert len(expected) > 10
    table = list(csv.DictReader(io.StringIO(await text(site, f"/map.csv?{urlencode(axes)}"))))
    assert {(row[rows], row[columns]): int(row["works"]) for row in table if int(row["works"])} == expected
    page = await text(site, f"/map?{urlencode(axes)}")
    cells = map_cells.cells_of(page)
    assert len(cells) == len(expected)
    for address, n in cells[:: max(len(cells) // 12, 1)]:
        listed, shown = await map_cells.list_of(site, address)
        assert await map_cells.length(site, listed) == shown == n, address
    totals = re.findall(r'<a href="(/evidence/works[^"]*)" aria-label="[^"]*"[^>]*>(\d+)<', page)
    for address, total in totals[::4]:
        assert await map_cells.length(site, address) == int(total), address


@pytest.mark.slow
@pytest.mark.parametrize(
    "asked",
    [
        "folded=*",
        "folded=Symptoms&design=rct&design=pilot-feasibility",
        "rows=outcome&columns=population&folded=*&implied=1",
    ],
)
async def test_folded_groups_count_the_works_with_any_of_their_values(site: Datasette, asked: str) -> None:
    cells = map_cells.cells_of(await text(site, f"/map?{asked}"))
    folded = [cell for cell in cells if "row=%2A" in cell[0] or "column=%2A" in cell[0]]
    assert len(folded) > 10
    for address, n in folded[:: max(len(folded) // 12, 1)]:
        listed, shown = await map_cells.list_of(site, address)
        assert await map_cells.length(site, listed) == shown == n, address


async def test_the_front_page_has_the_folded_map_and_few_tab_stops(site: Datasette) -> None:
    page = await text(site, "/")
    cells = map_cells.cells_of(page.replace(' tabindex="-1"', ""))
    assert len(cells) > 30 and all("folded=%2A" in address for address, _ in cells)
    for address, n in cells[::9]:
        listed, shown = await map_cells.list_of(site, address)
        assert await map_cells.length(site, listed) == shown == n, address
    before = page.split('<footer class="ft"')[0]
    # The list with bars is for phones, where the table is not shown; what is in a closed <details> cannot be reached.
    before = re.sub(r'<div class="map-list".*?<p class="map-key">', "", before, flags=re.DOTALL)
    before = re.sub(r"<details(?![^>]* open)[^>]*>(.*?</summary>).*?</details>", r"\1", before, flags=re.DOTALL)
    stops = re.findall(r"<(?:a|button|input|select|textarea|summary)\b[^>]*>|<[^>]*tabindex=\"0\"[^>]*>", before)
    assert 40 < len([stop for stop in stops if 'tabindex="-1"' not in stop and 'type="hidden"' not in stop]) < 80


async def test_what_is_hidden_has_no_works(site: Datasette) -> None:
    asked = "rows=format&condition=bipolar"
    whole, rest = [await text(site, f"/map?{asked}{more}") for more in ("", "&hide_empty=1")]
    assert map_cells.cells_of(whole) == [
        (address.replace("&hide_empty=1", ""), n) for address, n in map_cells.cells_of(rest)
    ]
    found = re.search(r"Hidden, without works: (\d+) rows? and (\d+) columns?", rest)
    assert found is not None and int(found[1]) + int(found[2]) > 0
    assert "all of them are hidden" in await text(site, "/map?rows=problem_area&condition=bipolar&hide_empty=1")
    table = rest.split('<table class="map">')[1].split("</table>")[0]
    assert table.count("<tr>") + int(found[1]) == whole.split('<table class="map">')[1].split("</table>")[0].count(
        "<tr>"
    )


# ---------------------------------------------------------------------- what could not be read

UNREAD = """
    select count(*) filter (where judged_on <> 'title+abstract'), count(*) from works where verdict = 'include' and doi in
    (select doi from shown_tags where (facet, value) in (('variant', :row), ('outcome', :column)))
"""


async def test_empty_cells_tell_titles_only_from_not_studied_in_map_picture_and_words(
    demo: Path, site: Datasette
) -> None:
    table = list(csv.DictReader(io.StringIO(await text(site, "/map.csv"))))
    words = {"none found": "none", "none found, some read by title only": "partly", "titles only": "titles"}
    kinds = {(row["variant"], row["outcome"]): words[row["empty_because"]] for row in table if row["works"] == "0"}
    with closing(sqlite3.connect(demo)) as conn:
        for (row, column), kind in kinds.items():
            unread, near = conn.execute(UNREAD, {"row": row, "column": column}).fetchone()
            assert kind == ("none" if not unread else "titles" if unread == near else "partly"), (row, column)
    assert set(kinds.values()) >= {"none", "partly"}
    page, picture = await text(site, "/map"), await text(site, "/map.svg")
    for kind, symbol in (("none", "0"), ("partly", "0?"), ("titles", "?")):
        n = list(kinds.values()).count(kind)
        assert page.count(f'<td class="empty {kind}">') == n
        assert len(re.findall(rf'<text class="n"[^>]*>{re.escape(symbol)}</text>', picture)) == n
        if n:
            assert f"<b>{symbol}</b>" in page.split('<p class="map-key">')[1]
    found = re.search(r'<a href="([^"]+)">([\d,]+)</a> of them read by title only', page)
    assert found is not None
    assert await map_cells.length(site, found[1]) == map_cells.number(found[2])


async def test_the_panel_of_an_empty_cell_says_of_how_many_works_only_the_title_was_read(site: Datasette) -> None:
    panel = await text(site, "/map/panel?row=ipt-ap&column=anxiety")
    assert '<td class="empty partly"><a href="/map?row=ipt-ap&amp;column=anxiety" tabindex="-1"' in await text(
        site, "/map"
    )
    assert "That does not mean that nobody studied it" in panel
    feed = re.search(r'<a href="([^"]+)" type="application/atom\+xml">Follow', panel)
    assert feed is not None and "<feed" in await text(site, html.unescape(feed[1])), "a gap can be watched"
    links = re.findall(r'<a href="([^"]+works[^"]+)">([\d,]+)', panel)
    assert len(links) >= 2
    for address, n in links:
        assert await map_cells.length(site, address) == map_cells.number(n), address


# ---------------------------------------------------------------------- the panel


async def test_the_panel_shows_the_newest_works_as_the_list_does(site: Datasette) -> None:
    address = "/map?row=ipt-a&column=depressive-symptoms"
    listed, n = await map_cells.list_of(site, address)
    assert "_sort_desc=year" in listed and n > 5
    first = (await site.client.get(listed.replace("/works?", "/works.json?_shape=array&"))).json()[:5]
    panel = await text(site, address.replace("/map?", "/map/panel?"))
    titles = re.findall(r'<li><a class="work-title" href="[^"]+"><bdi>(.*?)</bdi>', panel)
    assert [html.unescape(title) for title in titles] == [work["title"] for work in first]
    page = await text(site, address)
    assert panel.split("<h3>")[1] in page, "the same with a reload"
    assert page.count('aria-current="true"') == 2, "in the table and in the list for phones"


@pytest.mark.slow
async def test_every_number_of_designs_and_years_is_the_length_of_its_list(site: Datasette) -> None:
    for address in ("/map/panel?row=ipt-a&column=depressive-symptoms", "/map/panel?row=ipt&column=*Course&implied=1"):
        panel = await text(site, address)
        rows = re.findall(
            r'<tr><th scope="row">([^<]+)</th><td>(\d+|no year)</td><td>(?:<a href="([^"]+)">)?(\d+)', panel
        )
        bars = re.findall(r"<title>([^<]+), (\d+): (\d+)</title>", panel)
        assert sorted(bars) == sorted((design, year, n) for design, year, _, n in rows if year != "no year")
        assert len(rows) > 4
        for design, _, listed, n in rows:
            assert bool(listed) == (design != "Study design unknown")
            assert not listed or await map_cells.length(site, listed) == int(n), listed
        counts = panel.split('<p class="panel-count">')[1].split("</p>")[0]
        for listed, n in re.findall(r'<a href="([^"]+)">(?:<b>)?(\d+)', counts):
            assert await map_cells.length(site, listed) == int(n), listed


async def test_a_cell_that_is_not_there_opens_nothing_and_an_unknown_facet_is_refused(site: Datasette) -> None:
    page = await text(site, "/map?row=nobody&column=cost")
    assert 'id="panel-heading"' not in page and "row=nobody" not in page
    assert 'id="panel-heading"' not in await text(site, "/map/panel?row=ipt&column=*Weather")
    said = await text(site, "/map?rows=colour", status=400)
    assert "There is no facet &#39;colour&#39;; the facets are variant, outcome" in said


# ---------------------------------------------------------------------- the picture


async def test_the_picture_has_the_number_of_every_cell_and_room_for_every_label(site: Datasette) -> None:
    for asked in ("", "?rows=population&columns=condition", "?folded=*&since=2010"):
        svg = await text(site, f"/map.svg{asked}")
        numbers = re.findall(r'<text class="n"[^>]*>(\d+)</text>', svg)
        cells = map_cells.cells_of(await text(site, f"/map{asked}"))
        assert [int(n) for n in numbers if n != "0"] == [n for _, n in cells]
        root = ElementTree.fromstring(svg)
        width = float(root.attrib["width"])
        for label in root.iter("{http://www.w3.org/2000/svg}text"):
            assert label.text
            room = evidence_map.width_of(label.text)
            if label.get("text-anchor") == "end":
                assert room <= float(label.attrib["x"]), label.text
            elif turned := re.match(r"translate\(([\d.]+) ([\d.]+)\) rotate\(-60\)", label.get("transform", "")):
                assert 0.5 * room <= width - float(turned[1]), label.text
                assert 0.87 * room <= float(turned[2]) - 46, label.text
