"""The house rules that a machine can watch: who imports whom, what the linter catches, what every file must and may not say."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "evidence"
MODULES = sorted(PACKAGE.rglob("*.py"))
PURE = (
    *(
        "doi",
        "plain_text",
        "unicode_repair",
        "data_model",
        "current_decisions",
        "page_ranges",
        "author_names",
        "strict_yaml",
        "text_files",
    ),
    *(
        "crossref/normalise",
        "crossref/responses",
        "http/failures",
        "http/json_body",
        "providers/agreement",
        "providers/answers",
        "providers/countries",
        "providers/record_values",
        "export/bag_manifest",
        "export/capsule_summary",
        "export/columns",
        "export/csv_files",
        "export/data_package",
        "export/file_formats",
        "export/json_lines",
        "export/nbib_endnote",
        "export/parquet_file",
        "export/ris_bibtex_csl",
        "export/ro_crate",
        "export/tool_presets",
        "export/workbook",
        "database/changes_since_last_run",
        "database/values_for_writer",
        "database/tag_filter",
    ),
    *(
        f"{room}/{path.stem}"
        for room in ("rules", "linkage", "references")
        for path in sorted((PACKAGE / room).glob("*.py"))
    ),
)
CLOCKS = {"now", "utcnow", "today", "time", "monotonic", "perf_counter", "fromtimestamp"}
TEXTS = {".py", ".md", ".yaml", ".yml", ".toml", ".html", ".css", ".js", ".json", ".csv", ".sh", ".txt", ".service", ""}
GENERATED = {"__pycache__", "node_modules", "htmlcov", "build", "dist"}


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imported(path: Path) -> Iterator[str]:
    """The full dotted names that a module imports, wherever in it."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def project_files() -> Iterator[Path]:
    """Every text file that belongs to the project; what tools leave behind is hidden or generated."""
    for folder, names, files in os.walk(ROOT):
        hidden = {name for name in names if name.startswith(".") and name not in (".ci", ".github")}
        names[:] = [name for name in names if name not in hidden | GENERATED and not name.endswith(".egg-info")]
        yield from (Path(folder, name) for name in files if Path(name).suffix in TEXTS and not name.startswith(".cov"))


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-cache"]
    environment = {**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "200"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_import_contracts_hold() -> None:
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("plain_text", "import sqlite3", "The middle is pure"),
        ("export/file_formats", "import httpx", "The middle is pure"),
        ("doi", "from evidence.database import writer", "Imports run one way"),
        ("a_new_module", "", "not listed as layers"),
    ],
)
def test_a_planted_import_is_caught(tmp_path: Path, module: str, line: str, contract: str) -> None:
    """The contracts are read and bite: a linter whose configuration is not found passes everything."""
    shutil.copytree(PACKAGE, tmp_path / "evidence", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    planted = tmp_path / "evidence" / f"{module}.py"
    text = planted.read_text(encoding="utf-8") if planted.exists() else ""
    planted.write_text(f"{text}\n{line}\n", encoding="utf-8")
    result = lint_imports(tmp_path)
    assert result.returncode == 1
    assert contract in " ".join(result.stdout.split()), result.stdout


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ("F401", "import json\n"),
        ("BLE001", "try:\n    x = 1\nexcept Exception:\n    x = 2\n"),
        ("T201", "print('x')\n"),
        ("DTZ005", "import datetime\n\nNOW = datetime.datetime.now()\n"),
        ("PTH123", "with open('x') as file:\n    TEXT = file.read()\n"),
        ("S608", 'def ask(name: str) -> str:\n    return f"select * from works where doi = {name}"\n'),
        ("E501", f"X = '{'x' * 140}'\n"),
    ],
)
def test_a_planted_lint_error_is_caught(rule: str, code: str) -> None:
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format", "concise"]
    command += ["--stdin-filename", str(PACKAGE / "planted.py"), "-"]
    result = subprocess.run(command, cwd=ROOT, input=code, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert f" {rule} " in result.stdout


@pytest.mark.slow
def test_one_module_opens_the_network() -> None:
    """`http/transport` alone imports httpx; httpx2 is habanero's, and its errors are known where habanero is called."""

    def users(*packages: str) -> set[str]:
        return {path.stem for path in MODULES if {name.split(".")[0] for name in imported(path)} & set(packages)}

    assert users("httpx") == {"transport"}
    assert users("httpx2", "habanero") <= {"client", "sources"}
    assert users("requests", "aiohttp", "urllib3") == set()
    assert users("distributed", "dask") == {"scan_cluster"}
    assert users("fsspec") == {"addresses"}
    # `warm_pages` belongs to a published copy, where it asks the copy's own server for its first pages.
    assert [path.stem for path in MODULES if {"urllib.request", "http.client"} & set(imported(path))] == ["warm_pages"]


@pytest.mark.parametrize("name", PURE)
def test_the_middle_reads_no_clock(name: str) -> None:
    path = PACKAGE / f"{name}.py"
    calls = {
        node.func.attr
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert not calls & CLOCKS


@pytest.mark.slow
def test_only_the_writer_and_the_schema_write_sql_that_changes_rows() -> None:
    """`writer` and its parts (`write_…`) write, `schema` shapes; `immutable_copy` thins out its own copy and
    `precomputed_counts` writes answers into it; `works_as_of_date` and `search_works` fill a full-text index in memory;
    `answer_cache` has a file of its own. Nobody else changes a database."""
    # In lower case, as SQL is written here: a docstring may begin with "Drop".
    changes = re.compile(r"\s*(?:insert (?:or \w+ )?into|update \w+\s+set|delete from|drop \w+|alter table)\b")
    writers = {
        path.relative_to(PACKAGE).with_suffix("").as_posix()
        for path in MODULES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and changes.match(node.value)
    }
    parts = {f"database/{path.stem}" for path in (PACKAGE / "database").glob("write_*.py")}
    ours = {"database/writer", "database/schema"} | parts
    assert ours == {name for name in writers if name.startswith("database/")}
    others = {"publish/immutable_copy", "publish/precomputed_counts", "crossref/answer_cache"}
    in_memory = {"export/works_as_of_date", "publish/search_works"}
    assert writers - ours <= others | in_memory


def test_only_the_writer_calls_its_parts() -> None:
    """So that every change is made inside a transaction of `writer`."""
    users = {
        path.relative_to(PACKAGE).as_posix()
        for path in MODULES
        if any(name.startswith("evidence.database.write_") for name in imported(path))
    }
    assert {user for user in users if not user.startswith("database/writ")} == set()


@pytest.mark.slow
def test_generated_docs_are_current() -> None:
    """What cog writes into the pages (help texts, columns, tables) is what the program says today."""
    pages = [str(page.relative_to(ROOT)) for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]]
    assert "docs/exports.md" in pages
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "cogapp", "--check", "--diff", *pages]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"run: cog -r README.md docs/*.md\n{result.stdout}{result.stderr}"


def test_contributing_names_files_that_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = re.findall(r"(?:evidence|tests|scripts|datasette)/[\w./-]*\w", text)
    assert len(named) > 10
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_module_says_what_it_is_for() -> None:
    folders = ("evidence", "tests", "scripts", "benchmarks", "datasette/plugins")
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    assert len(paths) > len(MODULES)
    silent = [str(path.relative_to(ROOT)) for path in paths if not ast.get_docstring(tree(path))]
    assert silent == []


def test_nothing_is_caught_wholesale() -> None:
    """A failure is raised or named, never swallowed: no `except:` and no `except Exception`, in the plugins neither."""
    found = []
    for path in [*MODULES, *(ROOT / "datasette" / "plugins").glob("*.py")]:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ExceptHandler):
                names = {n.id for n in ast.walk(node.type) if isinstance(n, ast.Name)} if node.type else {"Exception"}
                if "Exception" in names:
                    found.append(f"{path.name}:{node.lineno}")
    assert found == []


@pytest.mark.slow
def test_no_file_names_a_machine() -> None:
    """No checkout's own path, no package registry's address: the project works wherever it is put."""
    # Spelt in parts, or this file would be the one that names them.
    forbidden = re.compile(
        r"(?<![\w.-])/wo" + r"rk/(?:main|shared|\.library)|(?<![\w.-])/ro" + r"ot/|index-u" + r"rl|PIP_IN" + r"DEX"
    )
    found = []
    for path in project_files():
        text = path.read_text(encoding="utf-8")
        found += [f"{path.relative_to(ROOT)}: {match[0]}" for match in forbidden.finditer(text)]
    assert found == []


def test_a_planted_path_would_be_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    (tmp_path / "notes.md").write_text("see /ro" + "ot/notes", encoding="utf-8")
    with pytest.raises(AssertionError, match=r"notes\.md"):
        test_no_file_names_a_machine()


def test_every_script_can_be_run() -> None:
    for script in (ROOT / ".ci" / "run", ROOT / "scripts" / "run_all_checks"):
        assert os.access(script, os.X_OK)
        assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0
