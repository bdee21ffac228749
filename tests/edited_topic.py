"""The bundled topic with some of its files edited, for tests of what follows from an edit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from evidence.rules import taxonomy, topic
from evidence.rules.taxonomy import Taxonomy

Edit = Callable[[Any], object]
"""Changes the content of a file of the taxonomy in place."""


def edited(folder: Path, **edits: Edit) -> Taxonomy:
    """The bundled taxonomy with the content of some files edited, each by its facet or its name: `outcome=lambda file: …`."""
    shutil.copytree(topic.load().folder, folder)
    names = {facet.id: facet.path.name for facet in topic.load().facets}
    for name, edit in edits.items():
        path = folder / names.get(name, f"{name}.yaml")
        before = yaml.safe_load(path.read_text(encoding="utf-8"))
        after = json.loads(json.dumps(before))
        edit(after)
        assert after != before
        path.write_text(yaml.safe_dump(after, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return taxonomy.load(folder)


def of(file: Any, value: str) -> Any:
    """The entry of this value in a facet's file."""
    return next(entry for entry in file["values"] if entry["id"] == value)


def add(value: str, key: str, *terms: str) -> Edit:
    """Give a value more of these."""
    return lambda file: of(file, value).setdefault(key, []).extend(terms)


def drop(value: str, *keys: str) -> Edit:
    """Take all of these from a value."""
    return lambda file: [of(file, value).pop(key) for key in keys]


def only_psychotherapy(file: Any) -> None:
    """In screen.yaml: "interpersonal therapy" in a title names the therapy no more."""
    terms = of(file, "include")["rules"][0]["any"]
    terms[terms.index("{ipt-name}")] = "interpersonal psychotherap*"
