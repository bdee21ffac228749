"""Names of authors as cited and in full."""

from __future__ import annotations

from typing import Any

import pytest

from evidence.author_names import cite_authors, full_names
from evidence.data_model import Author


def person(family: str, given: str | None = None, **more: Any) -> Author:
    return Author(family=family, given=given, **more)


@pytest.mark.parametrize(
    ("authors", "cited"),
    [
        ((), None),
        ((person("Cuijpers", "Pim"), person("Weissman", "Myrna M.")), "Cuijpers P, Weissman MM"),
        ((person("Sartre", "Jean-Paul"), person("Shea", "M. Tracie")), "Sartre JP, Shea MT"),
        (
            (person("Schulberg", "HC"), person("Clark", "D. M."), person("Wilfley", "D.E.")),
            "Schulberg HC, Clark DM, Wilfley DE",
        ),
        ((person("Frank", "ELLEN"),), "Frank E"),
        ((person("Öst", "Lars‐Göran"),), "Öst LG"),
        ((person("Kupfer", "David", suffix="Jr"),), "Kupfer D Jr"),
        ((person("张", "三丰"),), "张 三丰"),
        ((person("Sukarno"), Author(given="Plato")), "Sukarno, Plato"),
        ((Author(name="STAR*D Group"), person("Rush", "A J", role="author")), "STAR*D Group, Rush AJ"),
        ((person("Editor", "Ann", role="editor"), person("Frank", "Ellen")), "Frank E"),
        ((person("Editor", "Ann", role="editor"),), "Editor A"),
    ],
)
def test_authors_as_cited(authors: tuple[Author, ...], cited: str | None) -> None:
    assert cite_authors(authors) == cited


def test_contributors_in_full_with_their_roles() -> None:
    people: list[dict[str, Any]] = [
        {"family": "Weissman", "given": "Myrna M.", "suffix": None, "name": None, "role": "author"},
        {"name": "STAR*D Group", "role": "author"},
        {"family": "Klerman", "given": "Gerald", "suffix": "Jr", "role": "editor"},
    ]
    assert full_names(people) == "Weissman, Myrna M.; STAR*D Group; Klerman, Gerald, Jr (ed.)"
