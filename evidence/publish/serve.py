"""The site's front door: which folder it is, the `datasette` command that serves it, and running that until Ctrl-C.

It reads no table and writes nothing: the pages are Datasette's, configured by the site's folder, and the database is only
opened once to say clearly why it cannot be served.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import time
import webbrowser
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

from evidence.database.connection import open_evidence
from evidence.errors import ConfigError
from evidence.review.desk import ENVIRONMENT as DESK_ENVIRONMENT

PUBLIC_SETTINGS = {"default_allow_sql": "off", "allow_download": "off"}
"""What a site for strangers must not offer: SQL of their own (memory, processor) and the file as a whole."""

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGHUP)
"""What a service manager sends, and a terminal that is closed; Ctrl-C is KeyboardInterrupt already."""

_STOP_SECONDS = 5.0
"""How long open requests may take to finish after Ctrl-C before the server is killed."""

_LISTEN_SECONDS = 20.0
"""How long the server may take until it answers, before the browser is opened all the same."""


def site_folder() -> Path:
    """The folder with metadata.yaml, templates, plugins and static files: inside a wheel, or beside the package in a checkout."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "site", package.parent / "datasette"):
        if (folder / "metadata.yaml").is_file():
            return folder
    raise ConfigError(
        f"{package / 'site'}: the site's files are missing from this installation; install evidence again"
    )


def command(
    db: Path, host: str, port: int, *, open_browser: bool, immutable: bool = False, public: bool = False
) -> list[str]:
    """The `datasette serve` command line for `db`, with every setting spelled out (settings.json is read only in tests).

    `immutable` promises that nobody writes to the file while it is served. `public` is for strangers: no SQL of their own,
    no download of the file. `open_browser` is Datasette's `--open`, which opens the database page.
    """
    site = site_folder()
    settings = {**_settings(site), **(PUBLIC_SETTINGS if public else {})}
    line = [sys.executable, "-m", "datasette", "serve", *(["--immutable"] if immutable else []), str(db)]
    line += ["--host", host, "--port", str(port)]
    line += ["--metadata", str(site / "metadata.yaml")]
    line += ["--template-dir", str(site / "templates")]
    line += ["--plugins-dir", str(site / "plugins")]
    line += ["--static", f"static:{site / 'static'}"]
    for name, value in settings.items():
        line += ["--setting", name, value]
    return [*line, "--open"] if open_browser else line


def run(
    db: Path,
    host: str,
    port: int,
    *,
    open_browser: bool,
    immutable: bool = False,
    public: bool = False,
    sources: Path | None = None,
    desk: Mapping[str, str] | None = None,
    page: str = "/",
) -> int:
    """Serve `db` until Ctrl-C (SIGTERM, SIGHUP) and return the exit code: 0 when it was stopped, else the server's own.

    `sources` is the sources.yaml whose articles' claims the site shows (None: `EVIDENCE_SOURCES`, else the working folder's).
    `desk` are the variables that open the reviewer's desk (`desk.told`; None: the site has no route that writes). `page` is
    what the browser is opened at.
    The front page is opened here, once the server answers: Datasette's `--open` would do it too early. ConfigError when
    the database is missing or the port is taken, StoreError when the file is not ours.
    """
    check(db, host, port)
    line = command(db, host, port, open_browser=False, immutable=immutable, public=public)
    previous = {number: signal.signal(number, _stop) for number in _STOP_SIGNALS}
    told = {name: value for name, value in os.environ.items() if not name.startswith(DESK_ENVIRONMENT)}
    told |= {} if sources is None else {"EVIDENCE_SOURCES": str(sources.absolute())}
    server = subprocess.Popen(line, start_new_session=True, stdout=2, env={**told, **(desk or {})})  # noqa: S603 (our own interpreter)
    try:
        if open_browser and _listens(server, host, port):
            webbrowser.open(address(host, port, page))
        return server.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        _shut_down(server)
        for number, handler in previous.items():
            signal.signal(number, handler)


def check(db: Path, host: str, port: int) -> None:
    """ConfigError or StoreError when `db` cannot be served there."""
    open_evidence(db).close()
    _check_port(host, port)


def address(host: str, port: int, page: str = "/") -> str:
    """Where a browser on this machine finds a page of the site."""
    return f"http://{_browsable(host)}:{port}{page}"


def _settings(site: Path) -> dict[str, str]:
    """settings.json as the command line writes it: on, off or the number."""
    values = json.loads((site / "settings.json").read_text(encoding="utf-8"))
    return {
        name: {True: "on", False: "off"}.get(value, str(value)) if isinstance(value, bool) else str(value)
        for name, value in values.items()
    }


def _check_port(host: str, port: int) -> None:
    """ConfigError when the server could not listen there; nothing listens afterwards."""
    if not 0 <= port <= 65535:
        raise ConfigError(f"--port {port}: a port is a number from 0 to 65535")
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[
            0
        ]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except socket.gaierror as error:
        raise ConfigError(
            f"--host {host}: no such address ({error.strerror}); 127.0.0.1 is this machine alone"
        ) from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(
                f"port {port} on {host} is taken by another program; choose another, such as "
                f"--port {port + 1 if port < 65535 else 8001}"
            ) from None
        raise ConfigError(
            f"cannot listen on {host}, port {port}: {error.strerror}; choose another --host or --port"
        ) from None


def _listens(server: subprocess.Popen[bytes], host: str, port: int) -> bool:
    """Whether the server answers; it may take a while, and it may end before it does."""
    deadline = time.monotonic() + _LISTEN_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        try:
            with socket.create_connection((_browsable(host), port), timeout=1):
                return True
        except OSError:
            time.sleep(0.05)
    return server.poll() is None


def _browsable(host: str) -> str:
    """A host that listens everywhere is reached on this machine."""
    return {"0.0.0.0": "127.0.0.1", "::": "localhost", "": "127.0.0.1"}.get(host, host)  # noqa: S104 (a comparison)


def _shut_down(server: subprocess.Popen[bytes]) -> None:
    """Ask, wait, and only then kill; a second Ctrl-C does not wait."""
    if server.poll() is not None:
        return
    server.send_signal(signal.SIGINT)
    try:
        server.wait(_STOP_SECONDS)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        server.kill()
        server.wait()


def _stop(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
