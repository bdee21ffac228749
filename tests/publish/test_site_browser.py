"""The site in a real browser: Debian's chromium, driven by Playwright. Skipped where one of them is missing."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evidence.database.read_decisions import read_ledger
from evidence.harvest import sources
from evidence.harvest.locked_run import FileInput, run_sync
from evidence.harvest.progress import NoProgress
from evidence.review import reviewer_desk
from evidence.rules import topic
from evidence.rules.taxonomy import Taxonomy
from tests import site_sample
from tests.publish.site_server import served

pytestmark = pytest.mark.slow

SHIPPED = Path(__file__).resolve().parents[2] / "sources.yaml"

PAGES = (
    "/", "/article/article-references", "/evidence", "/method", "/evidence/works?verdict=include",
    "/doi/10.1371/journal.pone.0019044", "/evidence/trials", "/prisma", "/map", "/changes", "/evidence/tags",
    "/evidence/runs/1", "/search?q=depression", "/evidence?sql=select+doi,+title+from+works", "/about", "/api",
    "/currency", "/currency?row=ipt&column=depressive-symptoms",
)  # fmt: skip
PHONE = {"width": 360, "height": 780}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The site over the sample database, in a process of its own."""
    db = site_sample.make_sample(tmp_path_factory.mktemp("browser") / "evidence.db")
    with served(db, {}) as found:
        yield found


def test_no_page_complains_or_asks_another_host(page: Any, address: str) -> None:
    said: list[str] = []
    page.on("console", lambda message: said.append(f"{page.url}: {message.text}"))
    page.on("pageerror", lambda error: said.append(f"{page.url}: {error}"))
    page.on("request", lambda request: said.extend([] if request.url.startswith(address) else [request.url]))
    for path in PAGES:
        answer = page.goto(address + path)
        assert answer.status == 200, path
        assert page.evaluate("document.documentElement.lang") == "en"
        assert page.locator("h1").count() == 1, path
        assert page.locator("main").count() == 1, path
    assert said == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_a_phone_and_follow_the_colour_scheme(browser: Any, address: str, scheme: str) -> None:
    context = browser.new_context(viewport=PHONE, color_scheme=scheme)
    phone = context.new_page()
    for path in PAGES:
        phone.goto(address + path)
        assert phone.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], path
        shade = phone.evaluate("getComputedStyle(document.body).backgroundColor")
        light = sum(int(n) for n in shade[4:-1].split(",")) > 380
        assert light == (scheme == "light"), path
    context.close()


@pytest.mark.parametrize("path", ["/", "/map"])
def test_nothing_that_is_slow_to_print_is_printed(page: Any, address: str, path: str) -> None:
    """A repeating gradient in hundreds of cells takes minutes and gigabytes; the page must end as a PDF."""
    page.goto(address + path)
    page.emulate_media(media="print")
    backgrounds = page.eval_on_selector_all("*", "all => all.map(one => getComputedStyle(one).backgroundImage)")
    assert [one for one in backgrounds if "gradient" in one] == []
    assert page.pdf().startswith(b"%PDF")
    page.emulate_media(media="screen")


@pytest.fixture(scope="module")
def bundled_address(tmp_path_factory: pytest.TempPathFactory, book: Taxonomy) -> Iterator[str]:
    """The site over the bundled records, with the claims of the starter file."""
    folder = tmp_path_factory.mktemp("bundled")
    files = FileInput("snapshot", topic.load().snapshot())
    db = folder / "evidence.db"
    run_sync(db, folder / "decisions.db", sources.load(SHIPPED), book, reviewer_desk._now, NoProgress(), files=files)
    with served(db, {"EVIDENCE_SOURCES": str(SHIPPED)}) as found:
        yield found


def test_the_fact_check_prints_on_at_most_four_pages(page: Any, bundled_address: str) -> None:
    page.goto(bundled_address + "/article/article-references")
    assert page.locator(".claims > li").count() == 10
    printed = page.pdf(format="A4")
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b", printed)) <= 4
    page.emulate_media(media="print")
    for shown in (".strip", ".claim-verdict", ".timeline", ".citations"):
        assert page.locator(shown).first.is_visible(), shown
    page.emulate_media(media="screen")


def test_a_square_leads_to_its_citation_and_a_timeline_has_its_table(browser: Any, bundled_address: str) -> None:
    """On a phone and by keyboard."""
    context = browser.new_context(viewport=PHONE)
    phone = context.new_page()
    phone.goto(bundled_address + "/article/article-references")
    assert phone.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    for square in phone.locator(".strip a").all():
        assert square.bounding_box()["height"] >= 24
    phone.locator(".strip a").nth(4).press("Enter")
    assert phone.url.endswith("#citation-5")
    table = phone.locator(".years-table").first
    assert not table.is_visible()
    phone.locator("#claim-treats-depression summary").press("Enter")
    table = phone.locator("#claim-treats-depression .years-table")
    assert table.is_visible()
    assert phone.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    context.close()


@pytest.mark.parametrize(
    ("width", "seen", "hidden"),
    [(360, ".flow-steps", "svg.flow"), (768, ".flow-steps", "svg.flow"), (1280, "svg.flow", ".flow-steps")],
)
def test_the_flow_is_a_diagram_or_on_a_phone_a_column(
    browser: Any, address: str, width: int, seen: str, hidden: str
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800})
    page = context.new_page()
    page.goto(address + "/prisma")
    assert page.locator(seen).is_visible() and not page.locator(hidden).is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    box = page.locator(seen).bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= width, "all of it can be seen without scrolling sideways"
    context.close()


def test_the_keyboard_reaches_search_and_a_cell_of_the_map(page: Any, address: str) -> None:
    page.goto(address + "/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "big-search"
    page.keyboard.type("adolescents")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search?q=adolescents")
    assert page.locator(".works-list li").count() == 1
    page.goto(address + "/map")
    page.locator(".map td a").first.focus()
    page.keyboard.press("ArrowRight")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none"
    page.keyboard.press("Enter")
    page.wait_for_url("**/map?row=*")
    assert page.evaluate("document.activeElement.id") == "map-panel"


def test_everything_reads_without_javascript(browser: Any, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    plain = context.new_page()
    plain.goto(address + "/map")
    plain.select_option("select[name=condition]", "depression")
    plain.click("button:has-text('Show')")
    assert "condition=depression" in plain.url
    plain.goto(address + "/evidence/works")
    plain.fill("#_search", "adolescents")
    plain.click(".search-row button")
    assert plain.locator(".works-table tbody tr").count() == 1
    context.close()


def test_a_hidden_script_does_not_run(page: Any, address: str) -> None:
    page.goto(address + "/map")
    page.evaluate("""() => { const s = document.createElement('script'); s.textContent = 'window.ran = 1';
        document.body.append(s); }""")
    assert page.evaluate("window.ran") is None


def test_the_sql_editor_and_the_column_menu_work(page: Any, address: str) -> None:
    page.goto(address + "/evidence?sql=select+1+as+n")
    assert page.locator(".CodeMirror").count() == 1
    page.click("button:has-text('Format SQL')")
    assert page.locator(".CodeMirror-line").count() > 1
    page.goto(address + "/evidence/tags")
    page.locator("th .dropdown-menu-icon").first.click()
    assert page.locator(".dropdown-menu").is_visible()


def test_print_leaves_the_controls_out(page: Any, address: str) -> None:
    page.emulate_media(media="print")
    page.goto(address + "/evidence/works?verdict=include")
    assert page.locator(".works-table").is_visible()
    for control in (".site-header nav", ".filters", ".facet-results", ".export-links"):
        assert not page.locator(control).first.is_visible(), control


def test_the_map_as_a_picture_draws(page: Any, address: str, tmp_path: Path) -> None:
    page.goto(address + "/map.svg")
    marks = page.evaluate("document.querySelectorAll('g title').length")
    assert marks == len({(v[2], o[2]) for v in site_sample.TAGS if v[1] == "variant" for o in site_sample.TAGS
                         if o[1] == "outcome" and o[0] == v[0]})  # fmt: skip


@pytest.mark.parametrize(("scheme", "paths"), [("light", PAGES[:8]), ("dark", PAGES[4:6])])
def test_axe_finds_no_barrier(browser: Any, address: str, scheme: str, paths: tuple[str, ...]) -> None:
    axe = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
    script = (Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
    # The policy would refuse this script too, so it is set aside for the check alone.
    context = browser.new_context(color_scheme=scheme, bypass_csp=True)
    looked = context.new_page()
    found = []
    for path in paths:
        looked.goto(address + path)
        looked.evaluate(script)
        result = looked.evaluate(
            "axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']})"
        )
        found += [(path, problem["id"], problem["nodes"][0]["html"][:200]) for problem in result["violations"]]
    context.close()
    assert found == []


# ---------------------------------------------------------------------- the reviewer's desk

DESK_PAGES = (
    "/desk",
    "/desk?queue=second",
    "/desk?queue=again",
    "/desk/pairs",
    "/desk/tags",
    "/desk/several",
    "/desk/said",
)


@pytest.fixture
def desk_address(tmp_path: Path, book: Taxonomy) -> Iterator[tuple[str, str, Path]]:
    """A desk over the bundled works: its address, the link that lets in, and the ledger."""
    db, ledger = tmp_path / "evidence.db", tmp_path / "decisions.db"
    files = FileInput("snapshot", topic.load().snapshot())
    run_sync(db, ledger, sources.load(SHIPPED), book, reviewer_desk._now, NoProgress(), files=files)
    told, page = reviewer_desk.local_desk(db, ledger, "A. Reader")
    with served(db, told) as address:
        yield address, address + page, ledger


def test_a_reviewer_works_through_the_queue_by_keyboard(page: Any, desk_address: tuple[str, str, Path]) -> None:
    _, link, ledger = desk_address
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(link)
    first = page.locator("#desk-title").inner_text()
    page.keyboard.press("e")
    assert page.locator("input[value=exclude]").is_checked()
    assert page.locator(".standard-reasons:visible").count() == 1
    page.keyboard.press("1")
    assert page.input_value("#reason") == topic.load().reasons_for("exclude")[0]
    page.keyboard.press("Enter")
    page.wait_for_selector("#undo-form")
    second = page.locator("#desk-title").inner_text()
    assert second != first
    page.keyboard.press("s")
    page.wait_for_selector(f"#desk-title:not(:has-text('{second[:40]}'))")
    page.keyboard.press("i")
    page.keyboard.press("r")
    page.keyboard.type("seen in the full text")  # letters are text here, and no keys
    page.keyboard.press("Enter")
    page.wait_for_selector(".last-decision p:has-text('Included')")
    page.keyboard.press("z")
    page.wait_for_selector(".last-decision p:has-text('Excluded')")
    words = read_ledger(ledger)
    assert [(word.action, word.verdict, word.reason) for word in words[:2]] == [
        ("verdict", "exclude", topic.load().reasons_for("exclude")[0]),
        ("verdict", "include", "seen in the full text"),
    ]
    assert [word.action for word in words[2:]] == ["withdraw"]
    assert said == []


PRESS_WHILE_SAVING = """() => document.addEventListener("submit", () => setTimeout(() => {
    for (const key of ["z", "s", "e", "1", "Enter"])
        document.body.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
    document.getElementById("undo").click();
    document.getElementById("decision").requestSubmit();
    sessionStorage.setItem("seen", JSON.stringify({
        last: document.querySelector(".last-decision").innerText,
        status: document.getElementById("saving").innerText,
        live: [...document.querySelectorAll("main a, main button, main input:not([type=hidden]), main summary")]
            .filter((control) => !control.closest("[inert]")).map((control) => control.outerHTML),
        verdict: document.querySelector("input[name=verdict]:checked").value,
        reason: document.getElementById("reason").value,
    }));
}, 200), {once: true})"""


def slowly(route: Any) -> None:
    time.sleep(1)
    route.continue_()


def test_keys_and_buttons_do_nothing_while_a_decision_is_saved(page: Any, desk_address: tuple[str, str, Path]) -> None:
    _, link, ledger = desk_address
    page.goto(link)
    first = decide(page, "e")
    page.route("**/desk/decide", slowly)
    page.evaluate(PRESS_WHILE_SAVING)
    page.keyboard.press("i")
    page.keyboard.press("r")
    page.keyboard.type("the second")
    page.keyboard.press("Enter")
    page.wait_for_selector(".last-decision p:has-text('Included')")
    seen = json.loads(page.evaluate("sessionStorage.getItem('seen')"))
    assert first in seen.pop("last")  # "Undo" was still that of the first
    assert seen == {"status": "Saving…", "live": [], "verdict": "include", "reason": "the second"}
    assert [(word.action, word.verdict) for word in read_ledger(ledger)] == [
        ("verdict", "exclude"),
        ("verdict", "include"),
    ]
    page.keyboard.press("z")  # and now it undoes the second, which the page shows
    page.wait_for_selector(".last-decision p:has-text('Excluded')")
    assert [word.action for word in read_ledger(ledger)] == ["verdict", "verdict", "withdraw"]


def test_after_a_lost_connection_the_desk_works_again(page: Any, desk_address: tuple[str, str, Path]) -> None:
    _, link, ledger = desk_address
    page.goto(link)
    page.route("**/desk/decide", lambda route: route.abort("connectionreset"), times=1)
    address = page.url
    page.keyboard.press("e")
    page.keyboard.press("1")
    with page.expect_event("requestfailed"):
        page.keyboard.press("Enter")
    page.wait_for_url("chrome-error://**")
    page.goto(address)
    assert read_ledger(ledger) == ()
    decide(page, "e")
    assert len(read_ledger(ledger)) == 1


def test_an_undo_of_another_window_leaves_what_it_does_not_show(page: Any, desk_address: tuple[str, str, Path]) -> None:
    address, link, ledger = desk_address
    page.goto(link)
    decide(page, "e")
    old = page.context.new_page()
    old.goto(f"{address}/desk")
    decide(page, "i")
    old.keyboard.press("z")
    old.wait_for_selector("h1:has-text('Nothing was undone')")
    assert [word.action for word in read_ledger(ledger)] == ["verdict", "verdict"]
    old.click("main a:text-is('Your decisions')")
    old.wait_for_selector(".decisions-table")
    assert old.locator(".decisions-table tbody tr").count() == 2


def test_several_works_are_chosen_saved_and_undone_without_javascript(
    browser: Any, desk_address: tuple[str, str, Path]
) -> None:
    address, link, ledger = desk_address
    context = browser.new_context(java_script_enabled=False)
    plain = context.new_page()
    plain.goto(link)
    plain.goto(f"{address}/desk/several")
    boxes = plain.locator(".choices input")
    titles = [plain.locator(".choices li bdi").nth(0).inner_text()]
    for place in range(2):
        boxes.nth(place).check()
    plain.check("input[name=verdict][value=exclude]")
    plain.fill("#reason", "the same for both")
    plain.click("text=Look at the chosen works")
    assert titles[0] in plain.locator(".several ol").inner_text()
    plain.click("text=Save 2 decisions")
    assert [word.reason for word in read_ledger(ledger)] == ["the same for both"] * 2
    assert plain.locator(".choices input").count() == 1
    plain.click("#undo")
    assert plain.locator(".choices input").count() == 3
    assert [word.action for word in read_ledger(ledger)] == ["verdict"] * 2 + ["withdraw"] * 2
    context.close()


def decide(page: Any, verdict: str) -> str:
    """Decide on the work shown with its first standard reason; its title."""
    title: str = page.locator("#desk-title").inner_text()
    page.keyboard.press(verdict)
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    page.wait_for_selector(f".last-decision a:has-text({json.dumps(title[:60])})")
    return title[:60]


def test_single_keys_can_be_switched_off_and_stay_off(page: Any, desk_address: tuple[str, str, Path]) -> None:
    _, link, _ = desk_address
    page.goto(link)
    page.uncheck("#keys")
    page.reload()
    page.keyboard.press("e")
    assert not page.locator("input[value=exclude]").is_checked()
    assert not page.locator("#keys").is_checked()


def test_tags_are_corrected_without_javascript(browser: Any, desk_address: tuple[str, str, Path]) -> None:
    address, link, ledger = desk_address
    context = browser.new_context(java_script_enabled=False)
    plain = context.new_page()
    plain.goto(link)
    plain.goto(f"{address}/desk?doi=10.1002/cpp.1774")
    plain.click(".tags-form summary")
    plain.uncheck("input[name=tag][value='variant:ipt']")
    plain.fill("#reason", "not the standard form")
    plain.click(".send button")
    assert not plain.locator("input[name=tag][value='variant:ipt']").is_checked()
    (word,) = read_ledger(ledger)
    assert (word.action, word.value) == ("untag", "ipt")
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_desk_has_no_barrier_and_fits_a_phone(
    browser: Any, desk_address: tuple[str, str, Path], scheme: str
) -> None:
    axe = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
    script = (Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
    address, link, _ = desk_address
    context = browser.new_context(color_scheme=scheme, bypass_csp=True)
    for width in (1280, 360):
        page = context.new_page()
        page.set_viewport_size({"width": width, "height": 800})
        page.goto(link)
        page.check("input[value=exclude]")
        page.fill("#reason", "x")
        page.click(".send button")
        page.wait_for_selector("#undo-form")
        for path in DESK_PAGES:
            page.goto(address + path)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path
            if page.locator(".tags-form").count():
                page.click(".tags-form summary")
            page.evaluate(script)
            found = page.evaluate(
                "axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']})"
            )
            assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in found["violations"]] == [], path
    context.close()


# ---------------------------------------------------------------------- the evidence map


def test_a_cell_opens_and_filters_apply_without_a_reload(page: Any, address: str) -> None:
    page.goto(address + "/map")
    page.evaluate("window.notReloaded = true")
    page.locator('.map td a:has(svg)[tabindex="0"], .map td a:has(svg)').first.click()
    page.wait_for_selector("#panel-heading")
    assert page.evaluate("document.activeElement.id") == "map-panel"
    assert page.locator('.map td a[aria-current="true"]').count() == 1
    opened = page.url
    page.select_option("#f-condition", "depression")
    page.wait_for_url("**condition=depression**")
    page.wait_for_selector("#panel-heading")
    assert page.evaluate("document.activeElement.id") in ("map-panel", "f-condition")
    assert "work" in page.locator("#map-status").text_content()
    page.click("#fold-1")
    page.wait_for_url("**folded=Symptoms**")
    assert page.evaluate("document.activeElement.id") == "fold-1"
    page.go_back()
    page.go_back()
    page.wait_for_url(opened)
    page.wait_for_selector("#panel-heading")
    page.keyboard.press("Escape")
    page.wait_for_url(address + "/map")
    assert page.locator("#panel-heading").count() == 0
    assert page.evaluate("window.notReloaded")
    page.goto(opened)
    assert page.locator("#panel-heading").is_visible(), "the link can be shared"


def test_all_cells_are_one_tab_stop_and_arrows_move_among_them(page: Any, address: str) -> None:
    for path in ("/map", "/"):
        page.goto(address + path)
        assert page.locator(".map td a").count() > page.locator('.map td a[tabindex="0"]').count() == 1
        page.locator('.map td a[tabindex="0"]').focus()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowRight")
        assert page.evaluate("document.activeElement.closest('.map td') !== null")
        assert page.locator('.map td a[tabindex="0"]').count() == 1


def test_a_cell_and_a_group_open_and_close_without_javascript(browser: Any, address: str) -> None:
    context = browser.new_context(java_script_enabled=False, viewport={"width": 1280, "height": 900})
    plain = context.new_page()
    plain.goto(address + "/map")
    plain.locator(".map td a:has(svg)").first.click()
    assert plain.locator("#panel-heading").is_visible() and "row=" in plain.url
    plain.click("#panel-close")
    assert plain.url == address + "/map"
    plain.click("#fold-all")
    assert "folded=" in plain.url and plain.locator('.fold[aria-expanded="false"]').count() > 2
    plain.select_option("#f-rows", "population")
    plain.click("#f-go")
    assert "rows=population" in plain.url and "folded=" in plain.url
    context.close()


def test_head_and_first_column_stay_in_sight_and_no_number_is_covered(page: Any, address: str) -> None:
    page.set_viewport_size({"width": 900, "height": 700})
    page.goto(address + "/map?implied=1")
    before = page.locator(".map tbody th").nth(3).bounding_box()
    head = page.locator(".map thead tr:last-child th").nth(3).bounding_box()
    page.evaluate("document.getElementById('map-scroll').scrollTo(300, 200)")
    assert abs(page.locator(".map tbody th").nth(3).bounding_box()["x"] - before["x"]) < 1
    assert abs(page.locator(".map thead tr:last-child th").nth(3).bounding_box()["y"] - head["y"]) < 1
    for path in ("/map?implied=1", "/"):
        page.goto(address + path)
        gaps = page.evaluate("""() => [...document.querySelectorAll('.map td a')].filter(a => a.querySelector('svg')).map(a => {
            const n = a.querySelector('.n').getBoundingClientRect();
            const marks = [...a.querySelectorAll('svg rect')].map(one => one.getBoundingClientRect());
            return Math.min(...marks.map(one => Math.max(n.top - one.bottom, one.left - n.right)));
        })""")
        assert gaps and min(gaps) >= 2, path


def test_a_phone_gets_a_list_with_bars_and_a_printer_the_table(browser: Any, address: str) -> None:
    context = browser.new_context(viewport=PHONE)
    phone = context.new_page()
    for path in ("/map", "/"):
        phone.goto(address + path)
        assert not phone.locator(".map-scroll").is_visible()
        phone.locator(".map-list details:not([open]) summary").first.click()
        link = phone.locator(".map-list details[open] li a").first
        assert link.is_visible() and link.locator("svg").bounding_box()["width"] > 200
        link.click()
        phone.wait_for_selector("#panel-heading")
        phone.wait_for_load_state("load")  # before that it may have no style yet
        assert phone.locator("#panel-heading").is_visible()
        assert phone.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    phone.emulate_media(media="print")
    phone.goto(address + "/map")
    assert phone.locator(".map").is_visible() and not phone.locator(".map-list").is_visible()
    context.close()


def test_every_text_of_the_picture_is_inside_it(page: Any, address: str) -> None:
    for path in ("/map.svg", "/map.svg?rows=population&columns=condition&implied=1"):
        page.goto(address + path)
        outside = page.evaluate("""() => { const all = document.documentElement.getBoundingClientRect();
            return [...document.querySelectorAll('text')].filter(one => { const box = one.getBoundingClientRect();
                return box.left < all.left || box.right > all.right || box.top < all.top || box.bottom > all.bottom;
            }).map(one => one.textContent); }""")
        assert outside == [], path
