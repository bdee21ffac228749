"""Serves the site: finds its folder, builds the `datasette` command line, and runs it until Ctrl-C.

It writes nothing, and reads no table but to count what visitors should not get. Datasette renders the pages, with the
configuration in the site's folder; the database is opened once before, so that a database that cannot be served is reported in
one sentence.
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
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

from evidence.database.connection import open_evidence, reading
from evidence.errors import ConfigError
from evidence.export import abstract_rights
from evidence.publish import site_access
from evidence.review.reviewer_desk import ENVIRONMENT as DESK_ENVIRONMENT

PUBLIC_SETTINGS = {"default_allow_sql": "off", "allow_download": "off"}
"""Settings of a public site: no SQL from visitors, because it can use up memory and processor, and no download of the file."""

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGHUP)
"""Signals of a service manager and of a closed terminal; Ctrl-C is a KeyboardInterrupt already."""

_STOP_SECONDS = 5.0
"""Seconds that open requests may take to finish after Ctrl-C before the server is killed."""

_PORTS_TRIED = 20
"""How many ports after one that is taken are tried, before any free one is taken."""

_LISTEN_SECONDS = 20.0
"""Seconds to wait for the server to answer; then the browser is opened anyway."""


class PortTakenError(ConfigError):
    """Another program listens on the port."""


def site_folder() -> Path:
    """The folder with metadata.yaml, templates, plugins and static files: in an installed package, or in a checkout."""
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
    """The `datasette serve` command line for `db`, with every setting of settings.json as an option.

    `immutable` promises that nobody writes to the file while it is served. `public` applies `PUBLIC_SETTINGS`. `open_browser` is
    Datasette's `--open`, which opens the database page.
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
    allow_hosts: Sequence[str] = (),
    allow_checks: bool = False,
    page: str = "/",
) -> int:
    """Serve `db` until Ctrl-C (SIGTERM, SIGHUP) and return the exit code: 0 when it was stopped, else the server's own.

    `sources` is the sources.yaml whose fact-checked claims the site shows (None: `EVIDENCE_SOURCES`, else the one in the working
    folder). `desk` has the environment variables that open the reviewer's desk (None: the site is read-only). `allow_hosts` are
    further host names to answer to (`site_access.allowed_hosts`). `allow_checks` lets visitors of a public site check references
    (without it, only those of a site on one's own machine can). `page` is opened in the browser once the server answers;
    Datasette's `--open` would open it too early. ConfigError when the database is missing or the port is taken, StoreError when
    the file is not a database of this program.
    """
    access = environment(host, allow_hosts, public=public)
    if allow_checks or not public:
        access[site_access.CHECKS] = "visitors" if public else "yes"
    check(db, host, port)
    line = command(db, host, port, open_browser=False, immutable=immutable, public=public)
    previous = {number: signal.signal(number, _stop) for number in _STOP_SIGNALS}
    variables = {name: value for name, value in os.environ.items() if not name.startswith(DESK_ENVIRONMENT)}
    variables |= access | ({} if sources is None else {"EVIDENCE_SOURCES": str(sources.absolute())})
    server = subprocess.Popen(line, start_new_session=True, stdout=2, env={**variables, **(desk or {})})  # noqa: S603 (our own interpreter)
    try:
        if open_browser and _wait_until_it_listens(server, host, port):
            webbrowser.open(address(host, port, page))
        return server.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        _shut_down(server)
        for number, handler in previous.items():
            signal.signal(number, handler)


def environment(host: str, allow_hosts: Sequence[str] = (), *, public: bool = False) -> dict[str, str]:
    """The environment variables that tell the site's plugins what is protected. ConfigError for an invalid host name."""
    hosts = site_access.allowed_hosts(host, allow_hosts, public=public)
    return site_access.environment(hosts, public=public)


def check(db: Path, host: str, port: int) -> None:
    """ConfigError or StoreError when `db` cannot be served at this address."""
    open_evidence(db).close()
    _check_port(host, port)


def free_port(host: str, port: int) -> int:
    """The port, or where another program has it, the next free one of `_PORTS_TRIED`, or any free one. ConfigError when nothing
    can listen on the host."""
    if _is_free(host, port):
        return port
    following = range(port + 1, min(port + 1 + _PORTS_TRIED, 65536))
    return next((other for other in following if _is_free(host, other)), 0) or _any_free(host)


def _is_free(host: str, port: int) -> bool:
    try:
        _check_port(host, port)
    except PortTakenError:
        return False
    return True


def _any_free(host: str) -> int:
    family, kind, _, _, address = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    with socket.socket(family, kind) as probe:
        probe.bind(address)
        return int(probe.getsockname()[1])


def withheld_abstracts(db: Path) -> int:
    """How many abstracts the pages of a working database show that may not be passed on to visitors."""
    with reading(db) as conn:
        return len(abstract_rights.withheld(conn))


def address(host: str, port: int, page: str = "/") -> str:
    """The address of a page of the site for a browser on this machine."""
    return f"http://{_browser_host(host)}:{port}{page}"


def _settings(site: Path) -> dict[str, str]:
    """settings.json as values of `--setting`: on, off or the number."""
    values = json.loads((site / "settings.json").read_text(encoding="utf-8"))
    return {
        name: {True: "on", False: "off"}.get(value, str(value)) if isinstance(value, bool) else str(value)
        for name, value in values.items()
    }


def _check_port(host: str, port: int) -> None:
    """ConfigError when no server can listen at this address. The probe is closed again."""
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
            f"--host {host}: no such address ({error.strerror}); 127.0.0.1 is this machine only"
        ) from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortTakenError(
                f"port {port} on {host} is taken by another program; choose another, such as "
                f"--port {port + 1 if port < 65535 else 8001}"
            ) from None
        raise ConfigError(
            f"cannot listen on {host}, port {port}: {error.strerror}; choose another --host or --port"
        ) from None


def _wait_until_it_listens(server: subprocess.Popen[bytes], host: str, port: int) -> bool:
    """Wait until the server answers, for up to `_LISTEN_SECONDS`; False when it has ended."""
    deadline = time.monotonic() + _LISTEN_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        try:
            with socket.create_connection((_browser_host(host), port), timeout=1):
                return True
        except OSError:
            time.sleep(0.05)
    return server.poll() is None


def _browser_host(host: str) -> str:
    """The host for a browser on this machine: 0.0.0.0 and :: mean every address, which no browser can open."""
    return {"0.0.0.0": "127.0.0.1", "::": "localhost", "": "127.0.0.1"}.get(host, host)  # noqa: S104 (a comparison)


def _shut_down(server: subprocess.Popen[bytes]) -> None:
    """Stop the server: ask it, wait, then kill it; a second Ctrl-C does not wait."""
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
