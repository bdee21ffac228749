"""The charts: every number drawn is that of the list behind its link and of SQL."""

from __future__ import annotations

import html
import itertools
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree

import pytest
from datasette.app import Datasette
from hypothesis import given
from hypothesis import strategies as st

from evidence.evaluation import published_accuracy
from evidence.publish import charts, serve
from tests.publish.test_bitset_counts import make

TRIALS = "('rct', 'cluster-rct')"
REVIEWS = "('meta-analysis', 'systematic-review')"


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made-up works, some without a year, and one that is older than any axis is long."""
    path = make(tmp_path_factory.mktemp("charts") / "evidence.db", 600, 2)
    with closing(sqlite3.connect(path)) as conn, conn:
        oldest = "select doi from works where verdict = 'include' and year = 1999 limit 3"
        conn.execute(f"update works set year = 1911 where doi in ({oldest})")
        conn.execute("update facets set label = '<i>A & B</i>' where facet = 'variant' and value = 'a'")
    return path


async def page_of(path: Path, address: str) -> str:
    ds = Datasette([str(path)], config_dir=serve.site_folder())
    await ds.invoke_startup()
    answer = await ds.client.get(address)
    assert answer.status_code == 200
    return str(answer.text)


def section(page: str, name: str) -> str:
    return page[page.index(f'aria-labelledby="{name}-heading"') :].partition("</section>")[0]


def drawn(part: str) -> dict[str, tuple[str, int]]:
    """The bars of a section: what each says → (its address, the first number after the colon)."""
    found = re.findall(r'<a href="([^"]*)" aria-label="([^"]*)" tabindex="-1"><title>', part)
    return {
        html.unescape(said): (html.unescape(address), int(re.findall(r": ([\d,]+)", said)[-1]))
        for address, said in found
    }


def tabled(part: str) -> list[tuple[str, int]]:
    """The numbers with a link in a section: (address, number)."""
    behind = part[part.index("<details") :]
    return [
        (html.unescape(address), int(text.rpartition(": ")[2].replace(",", "")))
        for address, text in re.findall(r'<a href="([^"]*)">([^<]*)</a>', behind)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("heading", ["years", "trials"])
async def test_every_number_of_a_chart_is_that_of_the_list_behind_it(crowd: Path, heading: str) -> None:
    ds = Datasette([str(crowd)], config_dir=serve.site_folder())
    await ds.invoke_startup()
    part = section((await ds.client.get("/")).text, heading)
    bars = [pair for pair in drawn(part).values() if pair[1]]
    linked = tabled(part)
    assert len(linked) > 4
    assert len(bars) >= 4 or heading == "trials"
    assert set(bars) <= set(linked)  # the keyboard gets to each of them
    beside = re.findall(
        r'<a href="([^"]*)"[^>]*>(?:[^<]* <b>)?([\d,]+)[^<]*(?:</b>)?</a>', part.partition("<details")[0]
    )
    beside = [(html.unescape(address), int(text)) for address, text in beside]
    assert beside
    for address, n in {*bars, *linked, *beside}:
        rows = await ds.client.get(address.replace("/works?", "/works.json?_size=0&"))
        assert rows.json()["filtered_table_rows_count"] == n, address


async def test_works_per_year_add_up_to_the_included_works(crowd: Path) -> None:
    part = section(await page_of(crowd, "/"), "years")
    with closing(sqlite3.connect(crowd)) as conn:
        tagged = "doi in (select doi from shown_tags where facet = 'design' and value in {})"
        of_year = conn.execute(
            f"""
            select max(year, 1941), count(*), count(*) filter (where {tagged.format(TRIALS)}),
                count(*) filter (where {tagged.format(REVIEWS)} and not {tagged.format(TRIALS)})
            from works where verdict = 'include' and year is not null group by 1 order by 1 desc
            """
        ).fetchall()
        undated, included = conn.execute(
            "select count(*) filter (where year is null), count(*) from works where verdict = 'include'"
        ).fetchone()
    rows = re.findall(r'<tr><th scope="row">(?:to )?(\d+)</th>(.*?)</tr>', part)
    found = [(int(year), *map(int, re.findall(r">(\d+)<", cells))) for year, cells in rows]
    assert [row[:4] for row in found] == of_year
    assert all(works == trials + reviews + others for _, works, trials, reviews, others in found)
    assert undated > 0
    assert f"{included - undated} of {included} included works" in part
    assert f"{undated} works without a year" in part
    assert sum(n for _, n in drawn(part).values()) + undated == included
    assert re.findall(r'text-anchor="(?:middle|end|start)">(\w[^<]*)</text>', part)[-1] == "2020"  # the newest year


async def test_the_heights_of_bars_are_true_to_the_counts(crowd: Path) -> None:
    part = section(await page_of(crowd, "/"), "years")
    svg = ElementTree.fromstring(re.findall(r'<svg class="chart bars".*?</svg>', part, re.DOTALL)[0])
    grid = sorted(float(line.attrib["y1"]) for line in svg.iter("line") if line.attrib["class"] == "grid")
    values = [int(text.text or "") for text in svg.iter("text") if text.attrib.get("class") == "value"]
    of_one = (grid[-1] - grid[0]) / (values[-1] - values[0])
    bars = [link for link in svg.iter("a") if len(list(link)) > 2]
    for bar in bars:
        said = bar.attrib["aria-label"]
        size = sum(float(rect.attrib["height"]) for rect in bar.iter("rect") if rect.attrib["class"] != "hit")
        assert size == pytest.approx(of_one * int(said.partition(": ")[2].split()[0]), rel=0.01), said
    assert {rect.attrib["class"] for rect in svg.iter("rect")} >= {"solid", "hatched", "pale"}


async def test_trials_of_every_variant_are_counted_as_sql_does(crowd: Path) -> None:
    part = section(await page_of(crowd, "/"), "trials")
    with closing(sqlite3.connect(crowd)) as conn:
        expected = dict(
            conn.execute(
                f"""
                select f.label, count(distinct w.doi) from facets f join shown_tags t on t.facet = f.facet and t.value = f.value
                join works w on w.doi = t.doi and w.verdict = 'include'
                where f.facet = 'variant' and w.doi in
                    (select doi from shown_tags where facet = 'design' and value in {TRIALS})
                group by f.label
                """
            ).fetchall()
        )
    for drawing, row in zip(
        re.findall(r'<svg class="chart bars lean".*?</svg>', part, re.DOTALL),
        re.findall(r"<tr><th scope=.row.>.*?</tr>", part, re.DOTALL),
        strict=True,
    ):
        in_bars = re.findall(r"<title>(?:to )?(\d{4}), (\d+) trial", drawing)
        assert in_bars == re.findall(r">(?:to )?(\d{4}): (\d+)<", row)
        assert in_bars
    panels = re.findall(r'<h3><a href="[^"]*" tabindex="-1">([^<]*) <b>(\d+)</b>', part)
    assert {html.unescape(label): int(n) for label, n in panels} == expected
    assert "<i>A & B</i>" in expected
    assert "<i>A" not in part  # labels are text, in drawings too
    assert "&lt;i&gt;A &amp; B" in part


async def test_what_has_no_year_and_no_trials_has_no_chart(tmp_path: Path) -> None:
    path = make(tmp_path / "evidence.db", 30, 3)
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("update works set year = null")
    page = await page_of(path, "/")
    assert "years-heading" not in page
    assert "trials-heading" not in page


async def test_the_method_page_draws_the_published_figures(crowd: Path) -> None:
    page = await page_of(crowd, "/method")
    part = page[page.index("Accuracy of the rules</h2>") : page.index("Tag definitions</h2>")]
    said = set(map(html.unescape, re.findall(r"<title>([^<]*)</title>", part)))
    figures = [
        figure for figure in published_accuracy.read_table() if not figure.value or figure.question == "screening"
    ]
    first_sight = [figure for figure in figures if "at first sight" in figure.labelled]
    assert first_sight
    text = html.unescape(part)
    for figure in figures:
        assert figure.labelled[1:] in text
        for what, share, interval, n, of in (
            ("precision", figure.precision, figure.precision_range, figure.right, figure.said),
            ("recall", figure.recall, figure.recall_range, figure.found, figure.sought),
        ):
            if of and (not figure.strength or figure.labelled == figures[0].labelled):
                ending = f": {what} {share} ({interval.replace('-', ' to ')}), {n:,} of {of:,}"
                name = figure.question.replace("_", " ").capitalize()
                assert [one for one in said if one.startswith(name) and one.endswith(ending)], (figure, what)
            if of:
                assert f"{share} ({interval.replace('-', ' to ')}); {n:,} of {of:,}" in text
    sets = dict.fromkeys(figure.labelled for figure in figures)
    assert part.count("<figure>") == len(sets) + 1
    assert part.count("<summary>The figures as a table") == len(sets) + 1


def test_dots_and_intervals_are_where_their_shares_are() -> None:
    svg = ElementTree.fromstring(charts.dots([("A <b>", [charts.Dot(1, 0.5, (0.25, 0.8), "f", "s & t")])], "all"))
    interval = next(line for line in svg.iter("line") if line.attrib["class"] == "interval")
    ends = [float(interval.attrib[end].rstrip("%")) for end in ("x1", "x2")]
    assert ends == [0.25 * charts.SCALE, 0.8 * charts.SCALE]
    mark = next(one for one in svg.iter("svg") if one.attrib.get("overflow") == "visible")
    assert float(mark.attrib["x"].rstrip("%")) == 0.5 * charts.SCALE
    grid = [float(line.attrib["x1"].rstrip("%")) for line in svg.iter("line") if line.attrib["class"] == "grid"]
    assert grid == [share * charts.SCALE for share in (0, 0.25, 0.5, 0.75, 1)]


def test_series_differ_in_more_than_colour() -> None:
    assert len(set(charts.FILLS)) == len(charts.FILLS)
    assert len({path for _, path in charts.MARKS}) == len(charts.MARKS)


@given(st.integers(0, 10**7))
def test_the_scale_has_few_round_steps_and_room_for_the_highest(most: int) -> None:
    ticks = charts.value_ticks(most)
    steps = {after - before for before, after in itertools.pairwise(ticks)}
    assert ticks[0] == 0
    assert ticks[-1] >= most
    assert 2 <= len(ticks) <= 5
    assert len(steps) == 1
    assert str(min(steps)).rstrip("0") in ("1", "2", "5")


@given(st.integers(1900, 2100), st.integers(0, 200))
def test_the_newest_year_is_always_labelled(first: int, more: int) -> None:
    years = sorted(charts.year_ticks(first, first + more))
    assert years[-1] == first + more
    assert years[0] >= first
    assert len(years) <= 9


def test_no_attribute_ends_before_its_text() -> None:
    bar = charts.Bar('"><script>', (1, 2, 3), '" onload="x', 'https://example.org/?a="&b=<', marked=True)
    svg = charts.bars([bar], "n", 'a "b" <c>', height=10)
    root = ElementTree.fromstring(svg)
    assert {element.tag for element in root.iter()} == {
        "svg",
        "a",
        "title",
        "rect",
        "line",
        "text",
        "defs",
        "pattern",
        "path",
    }
    link = next(root.iter("a"))
    assert (link.attrib["aria-label"], link.attrib["href"]) == (bar.said, bar.address)
    assert not [element for element in root.iter() if {"style", "onload"} & set(element.attrib)]
