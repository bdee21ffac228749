"""The page of a work in a real browser: reasons by keyboard, without JavaScript and on paper; the drawing; a phone."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests import site_sample
from tests.publish.site_server import served

pytestmark = pytest.mark.slow

HUB = "10.1001/archpsyc.56.6.573"
AUTHORS = ("Doe AB", "Gunlicks-Stoessel MM", "")
PHONE = {"width": 360, "height": 780}

NARROWER_THAN_A_WORD = """
() => {
    // The width of the longest word of each text, against the width of the box that it has.
    const canvas = document.createElement("canvas").getContext("2d");
    const found = [];
    for (const node of document.querySelectorAll("main :is(p, li, dd, dt, td, th, h1, h2, h3, a, summary)")) {
        const box = node.getBoundingClientRect();
        const style = getComputedStyle(node);
        if (!box.width || style.position === "absolute" || node.closest("svg, .unseen")) continue;
        canvas.font = style.font;
        const words = (node.innerText || "").split(/[\\s/.\\-]+/).filter((word) => word.length < 24);
        const widest = Math.max(0, ...words.map((word) => canvas.measureText(word).width));
        if (box.width + 1 < Math.floor(widest)) found.push([node.tagName, box.width, widest, node.innerText.slice(0, 60)]);
    }
    return found;
}
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page of a retracted work that forty works cite, in a process of its own."""
    db = site_sample.make_sample(tmp_path_factory.mktemp("work") / "evidence.db")
    with closing(sqlite3.connect(db)) as conn, conn:
        for number in range(40):
            work = (
                f"10.5555/{number:02}",
                f"Work {number} of many",
                AUTHORS[number % 3],
                "J",
                str(2000 + number % 20),
                "journal-article",
                "include",
            )
            site_sample.add_work(conn, (*work, "retraction" if number == 7 else None))
            conn.execute("insert into cites values (?, ?, 'publisher')", (f"10.5555/{number:02}", HUB))
        conn.execute("insert into cites values (?, '10.1016/j.cpr.2013.09.002', 'publisher')", (HUB,))
        conn.execute("update works set notice = 'retraction' where doi = ?", (HUB,))
        conn.execute(
            "insert into notices (doi, kind, notice_doi, stands_on, relation, issued, source, evidence, undone) "
            "values (?1, 'retraction', '10.1/n', ?1, 'own', '2019', 'publisher', 'updated-by', 0)",
            (HUB,),
        )
    with served(db, {}) as found:
        yield f"{found}/evidence/works/10~2E1001~2Farchpsyc~2E56~2E6~2E573"


def test_reasons_open_by_keyboard_one_by_one_or_all_and_stay_open(page: Any, address: str) -> None:
    page.goto(address)
    reasons = page.locator("details.why .reasons")
    assert not reasons.first.is_visible()
    page.locator("details.why summary").first.focus()
    page.keyboard.press("Enter")
    assert reasons.first.is_visible()
    page.locator("details.why summary").nth(1).focus()
    page.keyboard.press("Space")
    assert reasons.first.is_visible() and reasons.nth(1).is_visible(), "the next does not close the one before"
    control = page.locator(".all-reasons")
    control.focus()
    page.keyboard.press("Enter")
    assert all(one.is_visible() for one in reasons.all())
    assert control.inner_text() == "Hide the text behind all tags"
    page.locator("h1").click()
    assert all(one.is_visible() for one in reasons.all()), "a click elsewhere closes menus, not text"
    control.click()
    assert not any(one.is_visible() for one in reasons.all())


def test_without_javascript_all_reasons_open_and_the_citation_can_be_selected(browser: Any, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    plain = context.new_page()
    plain.goto(address)
    assert not plain.locator(".reasons").first.is_visible()
    plain.click(".all-reasons")
    assert all(one.is_visible() for one in plain.locator(".reasons").all())
    plain.click(".all-reasons")
    assert not plain.locator(".reasons").first.is_visible()
    assert "Record of “Efficacy" in plain.locator(".to-copy").inner_text()
    assert plain.locator(".to-copy + button").count() == 0
    context.close()


@pytest.mark.parametrize("scripts", [True, False])
def test_paper_shows_the_reasons_and_the_ribbon(browser: Any, address: str, scripts: bool) -> None:
    context = browser.new_context(java_script_enabled=scripts)
    printed = context.new_page()
    printed.goto(address)
    printed.emulate_media(media="print")
    assert printed.locator(".ribbon-word").is_visible()
    assert not printed.locator(".all-reasons").is_visible()
    heights = [one.bounding_box()["height"] for one in printed.locator("details.why .reasons").all()]
    assert len(heights) == 4
    assert min(heights) > 10
    context.close()


def test_a_click_beside_an_open_menu_closes_it(page: Any, address: str) -> None:
    page.goto(address)
    menu = page.locator(".nav-menu")
    menu.locator("summary").click()
    assert menu.get_attribute("open") is not None
    page.locator("h1").click()
    assert menu.get_attribute("open") is None


def test_the_works_of_the_drawing_are_reached_by_keyboard(page: Any, address: str) -> None:
    page.goto(address)
    page.locator("#citations-heading").evaluate("one => { one.tabIndex = -1; one.focus(); }")
    reached = []
    for _ in range(14):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate("document.activeElement.getAttribute('aria-label') || document.activeElement.textContent")
        )
    assert reached[0].startswith("Lipsitz 2013: ")
    assert "Gunlicks-Stoessel 2007: Work 7 of many, retraction" in reached
    assert reached[13] == "and 29 more"
    page.locator("svg.network a").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/works/10~2E1016*")


@pytest.mark.parametrize("width", [320, 360, 768, 1280, 1920])
def test_nothing_is_narrower_than_a_word_and_nothing_runs_out_of_the_page(
    browser: Any, address: str, width: int
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900})
    looked = context.new_page()
    looked.goto(f"{address}?why=all")
    assert looked.evaluate("document.documentElement.scrollWidth") <= width
    assert looked.evaluate(NARROWER_THAN_A_WORD) == []
    drawing = looked.locator("svg.network").bounding_box()
    for text in looked.locator("svg.network text").all():
        box = text.bounding_box()
        if box is not None and box["width"]:
            assert box["x"] >= drawing["x"] - 1, text.inner_html()
            assert box["x"] + box["width"] <= drawing["x"] + drawing["width"] + 1, text.inner_html()
    context.close()


def test_links_of_the_drawing_are_large_enough_for_a_finger(browser: Any, address: str) -> None:
    context = browser.new_context(viewport=PHONE, has_touch=True)
    phone = context.new_page()
    phone.goto(address)
    for link in phone.locator("svg.network a:has(.node) .hit").all():
        box = link.bounding_box()
        assert box["height"] >= 24 and box["width"] >= 24
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_barrier_on_a_retracted_work(browser: Any, address: str, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
    script = (Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
    context = browser.new_context(color_scheme=scheme, bypass_csp=True)
    looked = context.new_page()
    looked.goto(f"{address}?why=all")
    looked.evaluate(script)
    result = looked.evaluate("axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']})")
    assert [(rule["id"], [node["html"][:200] for node in rule["nodes"]]) for rule in result["violations"]] == []
    context.close()
