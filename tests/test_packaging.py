"""The wheel: it carries the site, the taxonomy and the snapshot, works elsewhere, and never lays a hand on Datasette."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

import evidence
from tests.module_from_file import script

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as pip builds it from this checkout, without the network."""
    if importlib.util.find_spec("hatchling") is None:
        pytest.skip(
            "hatchling is not installed here, and fetching it needs the network; `pip install -e .[test]` has it"
        )
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    command += ["--disable-pip-version-check", "--wheel-dir", str(out), str(ROOT)]
    environment = {**os.environ, "GITHUB_SERVER_URL": "https://git.example", "GITHUB_REPOSITORY": "a-team/evidence"}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    (built,) = out.glob("ipt_evidence-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel's files, as an installer lays them out."""
    folder = tmp_path_factory.mktemp("installed")
    with ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def run(installed: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("EVIDENCE_")}
    environment["PYTHONPATH"] = str(installed)
    command = [sys.executable, "-m", "evidence", *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def test_the_wheel_ships_no_datasette(wheel: Path) -> None:
    """A top-level `datasette/` in the wheel would overwrite Datasette's own files (and uninstalling would delete them)."""
    with ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0] for name in names} == {"evidence", wheel.name.rsplit("-", 3)[0] + ".dist-info"}
    assert not [name for name in names if "__pycache__" in name or name.endswith((".db", ".pyc"))]


def test_the_wheel_names_the_repository_it_was_built_in(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        lines = archive.read(name).decode().splitlines()
    assert {line.removeprefix("Project-URL: ") for line in lines if line.startswith("Project-URL: ")} == {
        "Source, https://git.example/a-team/evidence",
        "Documentation, https://git.example/a-team/evidence/tree/main/docs",
        "Issues, https://git.example/a-team/evidence/issues",
        "Changelog, https://git.example/a-team/evidence/blob/main/CHANGELOG.md",
    }


def test_no_address_is_claimed_where_none_is_known() -> None:
    assert script("project_urls").project_urls({}) == {}


def test_the_wheel_carries_what_the_program_needs(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = set(archive.namelist())
    wanted = {
        f"evidence/{path.relative_to(ROOT / 'evidence')}" for path in (ROOT / "evidence").rglob("*.*") if kept(path)
    }
    wanted |= {
        f"evidence/site/{path.relative_to(ROOT / 'datasette')}"
        for path in (ROOT / "datasette").rglob("*.*")
        if kept(path)
    }
    wanted |= {"evidence/topics/ipt/sources.yaml"}
    assert wanted <= names
    assert {
        "evidence/site/metadata.yaml",
        "evidence/topics/ipt/bundled_records/records.jsonl.gz",
        "evidence/py.typed",
    } <= names
    assert any(name.startswith("evidence/topics/ipt/") for name in names)


def kept(path: Path) -> bool:
    return path.is_file() and "__pycache__" not in path.parts


def test_the_wheel_says_what_it_is(installed: Path) -> None:
    (folder,) = installed.glob("*.dist-info")
    metadata = (folder / "METADATA").read_text(encoding="utf-8")
    assert f"Name: {evidence.DISTRIBUTION}" in metadata.splitlines()
    assert "Requires-Python: >=3.11" in metadata and "License-Expression: Apache-2.0" in metadata
    assert "evidence = evidence.cli:main" in (folder / "entry_points.txt").read_text(encoding="utf-8")
    assert (folder / "licenses" / "LICENSE").exists()


INSTALLS = re.compile(r"\b(?:pip3?|pipx|uv|uvx|poetry|pdm|conda)\b[^\n`|]*?\b(?:install|add|run|tool)\b([^\n`]*)")
OTHERS_PACKAGE = re.compile(
    r"""(?<![\w./-])["']?(?:ipt-)?evidence(?:\[[\w,]*\])?(?:[=<>~!]=?[\w.*]+)?["']?(?=[\s;,.)"']|$)(?!\s*@)"""
)


def advised(text: str) -> list[str]:
    """Commands that would fetch `evidence`, or this project's own name, from an index: on PyPI that is a stranger's package,
    or whoever registers it first."""
    return [found[0] for found in INSTALLS.finditer(text) if OTHERS_PACKAGE.search(found[1].split("#")[0])]


def test_nobody_is_told_to_install_a_strangers_package() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("this is no clone with its git")
    kinds = {".py", ".md", ".toml", ".yaml", ".yml", ".html", ".sh", ".txt", ""}
    paths = [ROOT / name for name in listed.stdout.split("\n") if name and Path(name).suffix in kinds]
    found = {str(path.relative_to(ROOT)): advised(path.read_text(encoding="utf-8")) for path in paths if path.is_file()}
    assert len(found) > 100
    assert {name: said for name, said in found.items() if said and name != "tests/test_packaging.py"} == {}


@pytest.mark.parametrize(
    ("text", "advises"),
    [
        ("upgrade with pip install -U evidence", True),
        ('pip install "evidence[accounts]"  # x', True),
        ("`pip install evidence`", True),
        ("python -m pip install evidence==0.1.0", True),
        ("pip install ipt-evidence", True),
        ("uv tool install evidence", True),
        ("pip install .          # or the place you install evidence from", False),
        ('pip install ".[accounts]"', False),
        ("pip install ipt_evidence-0.1.0-py3-none-any.whl", False),
        ('pip install "ipt-evidence @ git+https://example.org/evidence.git"', False),
        ("pip install git+https://example.org/evidence.git", False),
    ],
)
def test_what_counts_as_such_advice(text: str, advises: bool) -> None:
    assert bool(advised(text)) == advises


def test_the_folder_datasette_is_not_a_package() -> None:
    """An `__init__.py` there would hide Datasette from everything run at the root of the checkout."""
    assert not list((ROOT / "datasette").rglob("__init__.py"))


@pytest.mark.slow
def test_the_wheel_works_elsewhere(installed: Path, tmp_path: Path) -> None:
    """No checkout in sight: it starts, writes a starter file that it accepts, and finds its snapshot and its rules."""
    version = run(installed, tmp_path, "--version")
    assert version.returncode == 0 and version.stdout.startswith("evidence"), version.stderr
    assert run(installed, tmp_path, "init").returncode == 0
    starter = (tmp_path / "sources.yaml").read_text(encoding="utf-8")
    assert starter == (ROOT / "sources.yaml").read_text(encoding="utf-8")
    check = run(installed, tmp_path, "check")
    assert check.returncode == 0, check.stderr
    demo = run(installed, tmp_path, "--db", "demo.db", "demo", "--no-serve")
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert (tmp_path / "demo.db").exists()
