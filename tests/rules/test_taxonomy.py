"""The taxonomy's files are checked as they are read, and every complaint names file, line and remedy."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from evidence.errors import ConfigError
from evidence.rules import taxonomy, topic

BUNDLED = topic.load().folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(BUNDLED, tmp_path / "ipt"))


def edit(folder: Path, name: str, before: str, after: str) -> None:
    path = folder / name
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), encoding="utf-8")


def test_the_bundled_taxonomy_is_the_default() -> None:
    rules = taxonomy.load()
    assert rules.digest == taxonomy.load(BUNDLED).digest
    assert len(rules.digest) == 16 and int(rules.digest, 16)
    assert [facet.facet for facet in rules.facets] == list(rules.topic.facet_ids)
    assert all(facet.label and value.label and value.means for facet in rules.facets for value in facet.values)


def test_facets_are_found_by_name() -> None:
    rules = taxonomy.load()
    design = rules.facet("design")
    assert design is not None and {value.id for value in design.values} >= {"rct", "protocol"}
    assert rules.facet("screen") is rules.verdicts
    assert rules.facet("colour") is None


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("shared_phrases.yaml", "- psycho-therap*", "- psycho-therapies"),
        ("therapy_variant.yaml", "IPT-CM", "IPT-CMX"),
        ("screen.yaml", "because: it names the therapy\n", "because: the therapy is named\n"),
        ("study_design.yaml", "means: The results", "means: All the results"),
    ],
)
def test_the_digest_changes_with_any_edit(folder: Path, name: str, before: str, after: str) -> None:
    edit(folder, name, before, after)
    assert taxonomy.load(folder).digest != taxonomy.load().digest


def test_a_comment_is_no_edit(folder: Path) -> None:
    edit(folder, "therapy_variant.yaml", "facet: variant", "# a remark\nfacet: variant")
    assert taxonomy.load(folder).digest == taxonomy.load().digest


@pytest.mark.parametrize(
    ("name", "before", "after", "complaint"),
    [
        ("therapy_variant.yaml", "facet: variant", "facet: variation", "write `facet: variant`"),
        ("therapy_variant.yaml", "label: Form of the therapy\n", "", "`label:` is missing; write it like"),
        (
            "therapy_variant.yaml",
            "    means: IPT given to a group.\n",
            "    meens: IPT given to a group.\n",
            "unknown key 'meens'; did you mean 'means'?",
        ),
        ("therapy_variant.yaml", "  - id: ipt-g\n", "  - id: IPT G\n", "is not a valid id; write"),
        ("therapy_variant.yaml", "  - id: ipt-g\n", "  - id: ipt\n", "is already on line"),
        ("therapy_variant.yaml", "IPT-CM, ", '"(IPT-CM", ', "a bracket is not closed"),
        (
            "therapy_variant.yaml",
            'given: ["population:perinatal"]',
            'given: ["population:perinatle"]',
            "did you mean 'population:perinatal'?",
        ),
        (
            "therapy_variant.yaml",
            'given: ["population:perinatal"]',
            'given: ["variant:ipt-perinatal"]',
            "run in a circle",
        ),
        (
            "delivery_format.yaml",
            "      - id: named\n",
            "      - id: named\n        fields: [author]\n",
            "there is no field 'author'",
        ),
        (
            "delivery_format.yaml",
            "      - id: named\n",
            "      - id: named\n        colour: red\n",
            "unknown key 'colour'; the known names are all, any, because",
        ),
        ("shared_phrases.yaml", "- psycho-therap*", "- psycho*therap", "must be at the end of a word"),
        ("shared_phrases.yaml", "lists:", "list:", "unknown key 'list'; did you mean 'lists'?"),
        ("problem_area.yaml", "    counterexamples:\n", "    counterexample:\n", "unknown key 'counterexample'"),
    ],
)
def test_a_complaint_names_file_line_and_remedy(
    folder: Path, name: str, before: str, after: str, complaint: str
) -> None:
    edit(folder, name, before, after)
    with pytest.raises(ConfigError) as caught:
        taxonomy.load(folder)
    message = str(caught.value)
    assert f"{name}:" in message
    assert int(message.split(f"{name}:")[1].split(":")[0]) > 0
    assert complaint in message


def test_a_rule_that_requires_nothing_is_refused(folder: Path) -> None:
    edit(folder, "delivery_format.yaml", "      - id: named\n", "      - id: empty\n      - id: named\n")
    with pytest.raises(ConfigError, match="requires nothing"):
        taxonomy.load(folder)


def test_too_few_examples_are_refused(folder: Path) -> None:
    path = folder / "problem_area.yaml"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    at = next(i for i, line in enumerate(lines) if line == "    examples:\n")
    path.write_text("".join(lines[: at + 1] + lines[at + 2 :]), encoding="utf-8")
    with pytest.raises(ConfigError, match="needs at least 2"):
        taxonomy.load(folder)


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "outcome.yaml").unlink()
    with pytest.raises(ConfigError, match=r"outcome\.yaml"):
        taxonomy.load(folder)
