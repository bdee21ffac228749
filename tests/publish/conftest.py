"""A real browser for the tests of the site: Debian's chromium, driven by Playwright. Tests that use it are skipped without it.
And the database of the demo, made once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import runner


class _Silent:
    """Stands in for pytest's capture, which a fixture of a session cannot have."""

    def readouterr(self) -> Any:
        return type("Captured", (), {"out": "", "err": ""})()


@pytest.fixture(scope="session")
def bundled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's database. Whoever changes it copies it first."""
    folder = tmp_path_factory.mktemp("bundled")
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert runner(folder, monkeypatch, _Silent())("demo", "--no-serve").code == 0  # type: ignore[arg-type]
    return folder / "evidence.db"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed (Debian: apt-get install chromium)")
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed (pip install playwright)"
    )
    with playwright.sync_playwright() as driver:
        # No sandbox: the tests may run as root in a container; they open our own pages only.
        opened = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        new_context = opened.new_context

        def patient(**options: Any) -> Any:
            context = new_context(**options)
            context.set_default_timeout(90_000)  # milliseconds: on a busy machine a page takes its time
            return context

        opened.new_context = patient
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield context.new_page()
    context.close()
