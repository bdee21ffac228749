"""The charts in a real browser: their text is whole, apart and of one size on every screen. Skipped without chromium."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests import site_sample
from tests.publish.site_server import served

pytestmark = pytest.mark.slow

TEXTS = """
() => [...document.querySelectorAll('svg.chart')].filter(svg => svg.getBoundingClientRect().width).map(svg =>
    [...svg.querySelectorAll('text')].map(text => {
        const box = text.getBoundingClientRect();
        return {text: text.textContent, size: parseFloat(getComputedStyle(text).fontSize) * text.getScreenCTM().a,
            x: box.left, right: box.right, y: box.top, bottom: box.bottom};
    }))
"""


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_the_text_of_charts_is_whole_and_apart_on_every_screen(browser: Any, tmp_path: Path, width: int) -> None:
    db = site_sample.make_sample(tmp_path / "evidence.db")
    with closing(sqlite3.connect(db)) as conn, conn:  # fifty years, to the newest
        conn.execute("update works set year = 1974 where doi = '10.1001/archpsyc.56.6.573'")
        conn.execute("update works set year = 2026 where doi = '10.1001/archgenpsychiatry.2011.67'")
    with served(db, {}) as address:
        page = browser.new_page(viewport={"width": width, "height": 900})
        for path in ("/", "/method"):
            page.goto(address + path)
            drawings = page.evaluate(TEXTS)
            assert len(drawings) >= 3
            for texts in drawings:
                for one in texts:
                    assert one["size"] >= 11, one
                    assert one["x"] >= 0, one
                    assert one["right"] <= width, one
                for one in texts:
                    for other in texts:
                        apart = (one["right"] <= other["x"] or other["right"] <= one["x"]
                                 or one["bottom"] <= other["y"] + 3 or other["bottom"] <= one["y"] + 3)  # fmt: skip
                        assert one is other or apart, (one, other)
        page.close()


def test_no_pattern_is_printed(browser: Any, tmp_path: Path) -> None:
    """Chromium turns each into a picture: 6 MB and 10 s for the front page, which takes 1 s without."""
    with served(site_sample.make_sample(tmp_path / "evidence.db"), {}) as address:
        page = browser.new_page()
        page.goto(address + "/")
        fills = "all => all.map(one => getComputedStyle(one).fill)"
        hatched = page.eval_on_selector_all(".chart .hatched", fills)
        assert hatched
        assert all("url(" in fill for fill in hatched)
        page.emulate_media(media="print")
        assert not [fill for fill in page.eval_on_selector_all(".chart *", fills) if "url(" in fill]
        assert page.pdf().startswith(b"%PDF")
        page.close()
