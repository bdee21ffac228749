"""A Python file outside of any package (a script, a benchmark, a plugin of the site) as a module that a test can call."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[1]


def module_from_file(path: Path, name: str | None = None) -> ModuleType:
    """The module, run anew, under the name of its file or another."""
    spec = importlib.util.spec_from_file_location(name or path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


def script(name: str) -> ModuleType:
    """A script of the project."""
    return module_from_file(ROOT / "scripts" / f"{name}.py")
