"""Makes the screenshots of the site for the README and the documentation, from the bundled snapshot.

Run it in the project's virtual environment: `python scripts/take_screenshots.py [DATABASE]`. It needs Debian's chromium and the
PyPI package `playwright`. Without DATABASE it runs the demo in a temporary folder. It writes only docs/site-*.png, and fails when
a file is larger than the limit.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from evidence.publish import serve
from evidence.review import reviewer_desk

DOCS = Path(__file__).resolve().parents[1] / "docs"
LIMIT = 400_000
"""Highest size of a file in bytes; every clone of the repository contains it."""

DESK = {"width": 1200, "height": 900}
PHONE = {"width": 390, "height": 844}
PICTURES: dict[str, tuple[str, dict[str, Any], int]] = {
    # name: address, options of the browser's context, height of the picture
    "front": ("/", {"viewport": DESK}, 1180),
    "map": ("/map?row=ipt-a&column=depressive-symptoms", {"viewport": {"width": 1440, "height": 900}}, 1000),
    "works": ("/evidence/works?verdict=include&_tag=variant:ipt-a", {"viewport": DESK}, 900),
    "work": ("/doi/10.1017/s0033291719000928", {"viewport": DESK}, 1000),
    "article": ("/article/article-references", {"viewport": DESK}, 1100),
    "desk": ("/desk?doi=10.1017/s0033291719000928", {"viewport": DESK}, 640),
    "prisma": ("/prisma", {"viewport": DESK}, 800),
    "front-dark": ("/", {"viewport": DESK, "color_scheme": "dark"}, 1180),
    "works-phone": ("/evidence/works?verdict=include", {"viewport": PHONE, "device_scale_factor": 2}, 844),
}


def main() -> None:
    chromium = shutil.which("chromium") or sys.exit("chromium is not installed (Debian: apt-get install chromium)")
    with tempfile.TemporaryDirectory() as folder:
        db = Path(sys.argv[1]) if len(sys.argv) > 1 else demo(Path(folder))
        with closing(socket.create_server(("127.0.0.1", 0))) as free:
            port = free.getsockname()[1]
        environment, link = reviewer_desk.local_desk(db, db.with_name("decisions.db"), "A. Reader")
        command = serve.command(db, "127.0.0.1", port, open_browser=False)
        server = subprocess.Popen(command, stderr=subprocess.DEVNULL, env={**os.environ, **environment})
        try:
            wait_for(port)
            DOCS.mkdir(exist_ok=True)
            shoot(chromium, f"http://127.0.0.1:{port}", link)
        finally:
            server.terminate()
            server.wait()


def demo(folder: Path) -> Path:
    """Run the demo in `folder`; returns its database."""
    db = folder / "evidence.db"
    subprocess.run([sys.executable, "-m", "evidence", "--db", str(db), "demo", "--no-serve"], check=True, cwd=folder)
    return db


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def shoot(chromium: str, site: str, link: str) -> None:
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, (address, options, height) in PICTURES.items():
            page = browser.new_context(**options).new_page()
            if name == "desk":  # the only page that needs a login
                page.goto(site + link)
            answer = page.goto(site + address)
            if answer is None or answer.status != 200:
                sys.exit(f"{address}: the page was not found")
            path = DOCS / f"site-{name}.png"
            width = options["viewport"]["width"]
            page.screenshot(path=path, full_page=True, clip={"x": 0, "y": 0, "width": width, "height": height})
            size = path.stat().st_size
            print(f"{path.name}: {size:,} bytes")
            if size > LIMIT:
                sys.exit(f"{path.name} is larger than {LIMIT:,} bytes; lower its height")
        browser.close()


if __name__ == "__main__":
    main()
