"""The generated parts of README.md and docs/: cog puts what these functions return into the pages.

    cog -r README.md CONTRIBUTING.md docs/*.md        # after a change of a command, a table, a module or a figure

A test compares the pages with what is generated today. Each function returns Markdown that ends with a line break.
"""

from __future__ import annotations

import ast
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from evidence.evaluation.published_accuracy import Figure, measured_earlier, read_table

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
    """The accuracy of tags on abstracts at first sight, a column for each set of them, and that of screening and of trials."""
    from evidence.rules import taxonomy

    figures = read_table()
    earlier = measured_earlier(figures, taxonomy.load().digest)
    of_tags = [figure for figure in figures if figure.question in taxonomy.load().topic.facet_ids and not figure.value]
    sets = list(dict.fromkeys(figure.labelled for figure in of_tags if "genuine abstracts" in figure.labelled))
    rows = []
    for question in dict.fromkeys(figure.question for figure in of_tags):
        found = {(f.labelled, f.strength): f for f in of_tags if f.question == question and f.labelled in sets}
        by_strength = [
            [f for (labelled, each), f in found.items() if each == strength and labelled not in earlier]
            for strength in ("stated", "likely")
        ]
        rows.append((
            question.replace("_", " "),
            *(f"{_share(found[one, ''], 'precision')}, {_share(found[one, ''], 'recall')}" if (one, "") in found else ""
              for one in sets),
            *(f"{sum(f.right for f in some)} of {sum(f.said for f in some)}" if some else "" for some in by_strength),
        ))  # fmt: skip
    heads = [one.partition(",")[0] + (", with earlier words and weights" if one in earlier else "") for one in sets]
    others = "\n".join(
        f"* {f'screening by {f.value}'.replace('+', ' and ') if f.question == 'screening' else f.question}, {f.labelled}: "
        f"{_share(f, 'precision')}, {_share(f, 'recall')}"
        for f in figures
        if f.question in ("screening", "randomised trial") and "condensed" not in f.labelled
    )
    return "\n" + table(("", *heads, "stated", "likely"), rows) + "\n" + others + "\n"


def _share(figure: Figure, name: str) -> str:
    """`0.84 (0.79 to 0.88)`."""
    low, _, high = getattr(figure, f"{name}_range").partition("-")
    return f"{float(getattr(figure, name)):.2f} ({float(low):.2f} to {float(high):.2f})"


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
