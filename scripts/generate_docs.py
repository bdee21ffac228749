"""The generated parts of README.md and docs/: cog puts what these functions return into the pages.

    cog -r README.md CONTRIBUTING.md docs/*.md        # after a change of a command, a table, a module or a figure

A test compares the pages with what is generated today. Each function returns Markdown that ends with a line break.
"""

from __future__ import annotations

import ast
import csv
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "evidence"
WIDTH = 120
"""Characters after which a line of an example is cut."""


def table(head: Sequence[str], rows: Iterator[Sequence[str]] | Sequence[Sequence[str]]) -> str:
    """A Markdown table; a `|` in a cell is escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(
        f"| {' | '.join(' '.join(cell.split()).replace('|', chr(92) + '|') for cell in row)} |\n" for row in lines
    )


def commands() -> str:
    """Every command and subcommand with its help, each under a heading of its own."""
    from evidence.cli import cli

    return "".join(_help(cli, "evidence", None, ""))


def _help(command: click.Command, name: str, parent: click.Context | None, path: str) -> Iterator[str]:
    context = click.Context(command, info_name=name, parent=parent, max_content_width=100, terminal_width=100)
    path = f"{path} {name}".strip()
    text = command.get_help(context).replace("Usage: ", "$ ")
    text = text.replace("[[", "[").replace("]]", "]")  # click 8.3 puts an optional choice into two pairs of brackets
    yield f"\n## {path}\n\n```text\n{text}\n```\n"
    if isinstance(command, click.Group):
        for inner in command.commands:
            yield from _help(command.commands[inner], inner, context, path)


def tables() -> str:
    """Every table and view of evidence.db: kind, description, columns. The words are those of datasette/metadata.yaml."""
    from evidence.database import schema
    from evidence.publish import site_metadata
    from evidence.rules import topic

    site = site_metadata.read(ROOT / "datasette", topic.load())
    described: dict[str, Any] = next(iter(site["databases"].values()))["tables"]
    parts = []
    for kind, names in (
        ("Record", schema.RECORD_TABLES),
        ("Derived", schema.DERIVED_TABLES),
        ("View", schema.views(topic.load())),
    ):
        parts.append(f"\n## {kind} tables\n" if kind != "View" else "\n## Views\n")
        for name in names:
            said = described[name]
            rows = [(f"`{column}`", meaning) for column, meaning in said.get("columns", {}).items()]
            parts.append(f"\n### {name}\n\n{' '.join(said['description'].split())}\n")
            if rows:
                parts.append(f"\n{table(('column', 'meaning'), rows)}")
    return "".join(parts)


def modules() -> str:
    """Every module of the package by folder, with the first sentence of its docstring."""
    parts = []
    folders = sorted({path.parent for path in PACKAGE.rglob("*.py")}, key=lambda folder: (folder != PACKAGE, folder))
    for folder in folders:
        rows = []
        for path in sorted(folder.glob("*.py")):
            said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            if path.name != "__init__.py":
                rows.append((f"`{path.relative_to(ROOT).as_posix()}`", said.split("\n\n")[0]))
        if rows:
            parts.append(
                f"\n### {folder.relative_to(ROOT).as_posix()}\n\n{_purpose(folder)}{table(('module', 'what it is for'), rows)}"
            )
    return "".join(parts)


def _purpose(folder: Path) -> str:
    start = folder / "__init__.py"
    said = ast.get_docstring(ast.parse(start.read_text(encoding="utf-8"))) if start.exists() else None
    return f"{' '.join(said.split(chr(10) * 2)[0].split())}\n\n" if said else ""


def accuracy() -> str:
    """The measured accuracy of tags on the set that the table begins with, with that of each strength, and of screening."""
    from evidence.rules import taxonomy

    with (PACKAGE / "topics" / "ipt" / "accuracy.csv").open(encoding="utf-8", newline="") as file:
        measured = list(csv.DictReader(file))
    by_strength = {(row["labelled"], row["question"], row["strength"]): row for row in measured if not row["value"]}
    rules = taxonomy.load().digest
    rows = []
    for row in measured:
        screening = row["question"] == "screening"
        of_tags = not screening and row["question"] != "randomised trial"
        if row["strength"] or (
            (row["value"] or row["labelled"] != measured[0]["labelled"]) if of_tags else "condensed" in row["labelled"]
        ):
            continue  # the rest is on the site's method page
        question = (
            f"screening, {row['value'].replace('+', ' and ')}" if screening else row["question"].replace("_", " ")
        )
        strengths = [
            by_strength.get((row["labelled"], row["question"], strength), {}).get("precision", "")
            for strength in ("stated", "likely")
        ]
        earlier = "" if row["rules"] == rules else "; with earlier words and weights"
        rows.append((question, _share(row, "precision"), _share(row, "recall"), *strengths, row["labelled"] + earlier))
    return "\n" + table(("question", "precision", "recall", "stated", "likely", "measured on"), rows)


def _share(row: dict[str, str], name: str) -> str:
    """`0.840 (0.789 to 0.881)`."""
    return f"{row[name]} ({row[f'{name}_range'].replace('-', ' to ')})"


def examples(*lines: tuple[str, int]) -> str:
    """What each command line prints, cut after so many lines; they run in this order on the bundled sources and records."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "sources.yaml").write_bytes((ROOT / "sources.yaml").read_bytes())
        shown = "\n".join(_example(line, most, Path(folder)) for line, most in lines)
    return f"\n```console\n{shown}```\n"


def _example(line: str, most: int, folder: Path) -> str:
    program, *arguments = shlex.split(line)
    assert program == "evidence", line
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EVIDENCE_")}
    environment |= {"PYTHONPATH": str(ROOT), "COLUMNS": str(WIDTH)}
    command = [sys.executable, "-m", "evidence", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{line}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    said = done.stdout.splitlines()
    cut = [text if len(text) <= WIDTH else f"{text[: WIDTH - 1].rstrip()}…" for text in said[:most]]
    rest = [f"… ({len(said) - most} more lines)"] if len(said) > most else []
    return "".join(f"{text}\n" for text in [f"$ {line}", *cut, *rest])
