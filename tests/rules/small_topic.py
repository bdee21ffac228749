"""A topic of a few values, written where a test wants it: facets made of words, without the shipped ones."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from evidence.rules import taxonomy, topic
from evidence.rules.taxonomy import Taxonomy

FACETS: dict[str, dict[str, Any]] = {
    "therapy": {
        "about": "treatment",
        "general": "ipt",
        "values": {
            "ipt": {"words": ["interpersonal (psychotherapy|therapy)", "IPT"]},
            "ipt-group": {"words": ["group interpersonal (psychotherapy|therapy)", "group IPT"]},
            "ipt-young": {"words": ["IPT-A"], "with": ["people:adolescents"]},
        },
    },
    "versus": {
        "about": "comparison",
        "values": {
            "cbt": {"words": ["cognitive [behavioural] therapy", "CBT", "prolonged exposure"]},
            "drug": {"words": ["fluoxetine", "antidepressants"]},
            "usual-care": {"words": ["usual care"]},
            "waiting-list": {"words": ["waiting list", "wait-list"]},
        },
    },
    "outcome": {
        "about": "measure",
        "values": {
            "depression": {
                "words": ["depressive symptoms"], "instruments": ["Hamilton depression", "HAM-D"],
                "loose": ["depression"], "not": ["depression clinic"],
            },
            "anxiety": {"words": ["anxiety"], "instruments": ["BAI"]},
            "functioning": {"words": ["social functioning"]},
            "cost": {"words": ["cost*"]},
        },
    },
    "people": {
        "about": "people",
        "values": {
            "adolescents": {"words": ["adolescents", "teenagers"], "ages": {"from": 12, "to": 17}},
            "older": {"words": ["older adults"], "ages": {"from": 60}},
        },
    },
    "disorder": {"about": "condition", "values": {"depression": {"words": ["major depression", "depressive disorder"]}}},
    "design": {"about": "design", "values": {"rct": {"words": ["randomised (trial|controlled trial)"]}}},
}  # fmt: skip
"""Facets whose values hardly anybody could misread."""


def small_taxonomy(folder: Path, facets: Mapping[str, Mapping[str, Any]] = FACETS) -> Taxonomy:
    """The taxonomy of these facets, written to `folder`. The first facet names the interventions. What a value does not say
    (label, meaning, examples) is made up from its id."""
    write_topic(folder, facets)
    return taxonomy.load(folder)


def write_topic(folder: Path, facets: Mapping[str, Mapping[str, Any]] = FACETS) -> Path:
    """The folder of such a topic."""
    folder.mkdir(parents=True, exist_ok=True)
    blank = topic.SHIPPED / topic.BLANK
    shutil.copy(blank / topic.SCREEN_FILE, folder)
    written = yaml.safe_load((blank / topic.FILE).read_text(encoding="utf-8"))
    first, second = list(facets)[:2] if len(facets) > 1 else list(facets) * 2
    written |= {
        "facets": [{"id": name, "file": f"{name}.yaml", "holds": name} for name in facets],
        "intervention": first,
        "map": {"rows": first, "columns": second},
    }
    del written["designs"]
    for name, facet in facets.items():
        values = [
            {"id": value, "label": value.capitalize(), "means": f"{value}.", "examples": ["a", "b"], "counterexamples": ["c"]}
            | entry
            for value, entry in facet["values"].items()
        ]  # fmt: skip
        rest = {key: entry for key, entry in facet.items() if key != "values"}
        text = yaml.safe_dump({"facet": name, "label": name, **rest, "values": values}, allow_unicode=True)
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    (folder / topic.FILE).write_text(yaml.safe_dump(written, allow_unicode=True), encoding="utf-8")
    return folder
