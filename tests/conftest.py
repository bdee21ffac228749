"""What every test shares: no sockets beyond loopback, no proxies or settings from outside, versions in the header."""

from __future__ import annotations

import os
import socket
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache, partial, partialmethod
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import datasette.app
import jinja2
import pytest
import yaml
from datasette.plugins import pm
from hypothesis import HealthCheck, settings

from evidence import strict_yaml
from evidence.database.writer import Store, open_store
from evidence.harvest import sources
from evidence.harvest.sources import Config
from evidence.rules import taxonomy
from evidence.rules.taxonomy import Taxonomy
from tests.builders import SMALL_YAML, WORKS
from tests.data import FOLDERS, FULL, SAMPLES
from tests.loopback import LoopbackCrossref

os.environ["EVIDENCE_CACHE"] = "no"  # nothing that another run has kept reaches a test

if hasattr(yaml, "CSafeLoader"):  # Datasette reads its metadata with the slow reader, fifty milliseconds for each site
    yaml.safe_load = partial(yaml.load, Loader=yaml.CSafeLoader)


class _Compiled(jinja2.BytecodeCache):
    """Templates of the site, compiled once for all the sites that a process makes."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        """Called by Jinja before it compiles."""
        if kept := self._kept.get(self._name(bucket)):
            bucket.bytecode_from_string(kept)

    def dump_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        """Called by Jinja after it compiled."""
        self._kept[self._name(bucket)] = bucket.bytecode_to_string()

    def _name(self, bucket: jinja2.bccache.Bucket) -> str:
        return f"{bucket.key}{bucket.checksum}{bucket.environment.is_async}"


jinja2.Environment.__init__ = partialmethod(jinja2.Environment.__init__, bytecode_cache=_Compiled())  # type: ignore[method-assign, assignment]


@cache
def _module(path: str, name: str, _changed: int) -> ModuleType:
    module: ModuleType = _read_module(path, name)
    return module


@cache
def _installed_plugins(_registered: int) -> list[dict[str, Any]]:
    plugins: list[dict[str, Any]] = _read_plugins()
    return plugins


# Datasette compiles the files of its plugins for each site and then keeps those of the first; and it looks for each as a package.
_read_module, _read_plugins = datasette.app.module_from_path, datasette.app.get_plugins
datasette.app.module_from_path = lambda path, name: _module(path, name, Path(path).stat().st_mtime_ns)
datasette.app.get_plugins = lambda: _installed_plugins(len(pm.get_plugins()))

settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("repeatable", settings.get_profile("suite"), derandomize=True)
settings.load_profile("suite")
"""No test fails because the machine is busy. `repeatable` draws the same cases for the same code (`make test-all`), so that a
change fails for what it changes; all other runs draw new ones."""

LOOPBACK = {"127.0.0.1", "::1", "localhost"}


def pytest_report_header() -> str:
    names = ("datasette", "sqlite-utils", "httpx", "habanero", "pydantic")
    return ", ".join([f"SQLite {sqlite3.sqlite_version}", *(f"{name} {version(name)}" for name in names)])


@pytest.fixture(autouse=True)
def only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that reaches for the internet fails at once, and says where it wanted to go."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        host = address[0] if isinstance(address, tuple) else "unix socket"
        if isinstance(address, tuple) and host not in LOOPBACK:
            raise AssertionError(f"a test wanted to connect to {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither proxies nor a developer's own settings reach a test."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("EVIDENCE_ENRICH", "no")
    for name in ("DB", "DECISIONS", "SOURCES", "CROSSREF_URL", "MAILTO", "REVIEWER"):
        monkeypatch.delenv(f"EVIDENCE_{name}", raising=False)


@pytest.fixture(scope="session")
def book() -> Taxonomy:
    """The bundled rules, compiled once."""
    return taxonomy.load()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A new database, open for writing."""
    with open_store(tmp_path / "evidence.db") as opened:
        yield opened


@pytest.fixture
def small() -> Config:
    """The sources of `builders.SMALL_YAML`: one list of references and one search."""
    return sources.check(strict_yaml.parse(SMALL_YAML, "s.yaml"))


@pytest.fixture
def clock() -> Callable[[], datetime]:
    """A clock that moves one second a look, from a fixed day."""
    moments = _ticks()
    return lambda: next(moments)


@pytest.fixture(
    scope="session",
    params=[pytest.param(folder, marks=() if folder == SAMPLES else pytest.mark.slow) for folder in FOLDERS],
    ids=lambda folder: "sample" if folder == SAMPLES else "full",
)
def data(request: pytest.FixtureRequest) -> Path:
    """The folder of the samples and, where they are beside the checkout, the folder of the full sets."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(scope="session")
def full_data() -> Path:
    """The folder of the full sets, for a test that no sample can serve."""
    if not FULL.is_dir():
        pytest.skip("needs real abstracts, which may not be in the repository (tests/samples/README.md)")
    return FULL


def _ticks() -> Iterator[datetime]:
    moment = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
    while True:
        yield moment
        moment += timedelta(seconds=1)


@pytest.fixture
def crossref(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackCrossref]:
    """A loopback Crossref with the tests' works at EVIDENCE_CROSSREF_URL, without a rate limit."""
    with LoopbackCrossref() as server:
        server.works = {str(w["DOI"]): w for w in WORKS}
        monkeypatch.setenv("EVIDENCE_CROSSREF_URL", server.url)
        yield server
