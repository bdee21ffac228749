"""Add a reference list to sources.yaml, as text at the end of its sources, so that comments and order stay.

The new file is checked before it replaces the old one. It may not change any other line.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import yaml

from evidence.errors import ConfigError
from evidence.export import atomic_output
from evidence.export.wording import count_noun
from evidence.harvest import sources
from evidence.references.given_reference import GivenReference


def add(path: Path, name: str, label: str, given: Sequence[GivenReference]) -> str:
    """Add the references as the list `name` to the sources.yaml at `path`; a sentence says what was added.

    ConfigError when there is no such file, when it has a source of that id, or when the id is not allowed.
    """
    known = sources.load(path)
    if any(source.id == name for source in known.sources):
        raise ConfigError(f"{path} has a source {name!r} already; choose another id")
    old = path.read_text(encoding="utf-8")
    lines = old.splitlines(keepends=True)
    end, indent = _end_of_sources(old, path)
    entry = [f"- id: {name}", "  kind: references", f"  label: {_quoted(label)}", "  citations:"]
    for reference in given:
        entry.append(f"    - text: {_quoted(reference.text)}")
        if reference.doi:
            entry.append(f"      doi: {_quoted(reference.doi)}")
    block = "".join(f"{indent}{line}\n" for line in entry)
    if end and not lines[end - 1].endswith("\n"):
        lines[end - 1] += "\n"
    new = "".join((*lines[:end], "\n", block, *lines[end:]))
    _check(new, path)
    atomic_output.write_whole(path, [new.encode()])
    return f"Added {count_noun(len(given), 'reference')} to {path} as {name}. Then: evidence check && evidence sync"


def _end_of_sources(text: str, path: Path) -> tuple[int, str]:
    """The line after the last source, and the indent of a source."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if isinstance(root, yaml.MappingNode):
        for key, value in root.value:
            if key.value == "sources" and isinstance(value, yaml.SequenceNode) and not value.flow_style and value.value:
                last = value.value[-1]
                end = last.end_mark.line + (1 if last.end_mark.column else 0)
                lines = text.splitlines()
                while end > 0 and (
                    end > len(lines) or not lines[end - 1].strip() or lines[end - 1].lstrip()[:1] == "#"
                ):
                    end -= 1
                return end, " " * value.start_mark.column
    raise ConfigError(f"{path} has no list `sources:` to which a reference list can be added")


def _quoted(text: str) -> str:
    """A YAML scalar for any text: JSON's strings are YAML's."""
    return json.dumps(" ".join(text.split()), ensure_ascii=False)


def _check(text: str, path: Path) -> None:
    trial = path.with_name(f".{path.name}.new")
    try:
        trial.write_text(text, encoding="utf-8")
        sources.load(trial)
    except ConfigError as error:
        raise ConfigError(str(error).replace(str(trial), str(path))) from None
    finally:
        trial.unlink(missing_ok=True)
