"""The taxonomy's files are checked as they are read, and every complaint names file, line and remedy."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from evidence.errors import ConfigError
from evidence.rules import taxonomy

BUNDLED = taxonomy.BUNDLED


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(BUNDLED, tmp_path / "taxonomy"))


def edit(folder: Path, name: str, before: str, after: str) -> None:
    path = folder / name
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), encoding="utf-8")


def test_the_bundled_book_is_the_default() -> None:
    book = taxonomy.load()
    assert book.digest == taxonomy.load(BUNDLED).digest
    assert len(book.digest) == 16 and int(book.digest, 16)
    assert [facet.facet for facet in book.facets] == list(taxonomy.FACETS)
    assert all(facet.label and value.label and value.means for facet in book.facets for value in facet.values)


def test_facets_are_found_by_name() -> None:
    book = taxonomy.load()
    design = book.facet("design")
    assert design is not None and {value.id for value in design.values} >= {"rct", "protocol"}
    assert book.facet("screen") is book.verdicts
    assert book.facet("colour") is None


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("shared_phrases.yaml", "- psycho-therap*", "- psycho-therapies"),
        ("therapy_variant.yaml", "IPT-CM", "IPT-CMX"),
        ("screen.yaml", "because: it names the therapy\n", "because: the therapy is named\n"),
        ("design.yaml", "means: The results", "means: All the results"),
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
            "unknown key 'meens'",
        ),
        ("therapy_variant.yaml", "  - id: ipt-g\n", "  - id: IPT G\n", "is no id; write it like"),
        ("therapy_variant.yaml", "  - id: ipt-g\n", "  - id: ipt\n", "stands here and on line"),
        ("therapy_variant.yaml", "IPT-CM, ", '"(IPT-CM", ', "never closed"),
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
            "unknown key 'colour'",
        ),
        ("shared_phrases.yaml", "- psycho-therap*", "- psycho*therap", "stands at the end of a word"),
        ("shared_phrases.yaml", "lists:", "list:", "write it like `lists:"),
        ("problem_area.yaml", "    counterexamples:\n", "    counterexample:\n", "unknown key 'counterexample'"),
    ],
)
def test_a_complaint_names_file_line_and_remedy(
    folder: Path, name: str, before: str, after: str, complaint: str
) -> None:
    edit(folder, name, before, after)
    with pytest.raises(ConfigError) as caught:
        taxonomy.load(folder)
    said = str(caught.value)
    assert f"{name}:" in said
    assert int(said.split(f"{name}:")[1].split(":")[0]) > 0
    assert complaint in said


def test_a_rule_that_asks_for_nothing_is_refused(folder: Path) -> None:
    edit(folder, "delivery_format.yaml", "      - id: named\n", "      - id: empty\n      - id: named\n")
    with pytest.raises(ConfigError, match="asks for nothing"):
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
