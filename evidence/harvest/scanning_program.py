"""Which program this is: its code and the packages that a match depends on. Two that differ may find different records.

Asks nobody else and writes nothing.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from evidence import __version__

_PACKAGES = ("ahocorasick-rs", "distributed", "ftfy", "google-re2", "orjson")
"""Packages that a match depends on, and the one that passes it on. The decompressor does not count: it gives the same bytes."""


@cache
def code_digest() -> str:
    """16 hexadecimal digits of the program's code and weights: two programs of one version may differ."""
    package = Path(__file__).resolve().parents[1]
    found = hashlib.sha256()
    kept = [path for end in ("*.py", "*.yaml", "*.json") for path in package.rglob(end)]
    kept += (package / "rules" / "weights").iterdir()
    others = {"topics", "site", "publish"}  # they judge nothing
    for path in sorted({path for path in kept if not others & set(path.relative_to(package).parts)}):
        found.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()[:16]


@cache
def scanning_program() -> Mapping[str, str]:
    """What counts, with its version."""
    python = ".".join(platform.python_version_tuple()[:2])
    packages = {name: _version(name) for name in _PACKAGES}
    return {"evidence": __version__, "the digest of its code": code_digest(), "Python": python, **packages}


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def difference(there: Mapping[str, str], here: Mapping[str, str]) -> str | None:
    """In what a program elsewhere differs from the one here, as a clause; None where they are the same."""
    for name, version in here.items():
        if there.get(name) != version:
            return f"{name} is {there.get(name, 'not known')} there and {version} here"
    return None
