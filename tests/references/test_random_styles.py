"""Styles made at random, that the splitter is trained with: whatever the style, the reference is there."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.module_from_file import script

STYLES = script("random_styles")
ARTICLE = {
    "type": "article-journal",
    "title": "Interpersonal psychotherapy",
    "container-title": "Clin Psychol",
    "volume": "19",
    "issue": "2",
    "page": "99-105",
    "issued": {"date-parts": [[2012]]},
    "author": [{"family": "Weissman", "given": "Myrna M."}, {"family": "Markowitz"}],
}
CHAPTER: dict[str, Any] = ARTICLE | {
    "type": "chapter",
    "editor": [{"literal": "WHO"}],
    "publisher": "Sage",
    "publisher-place": "London",
}


@pytest.mark.parametrize(
    "item", [ARTICLE, CHAPTER, ARTICLE | {"DOI": "10.1016/x"}, CHAPTER | {"URL": "https://www.who.int"}]
)
def test_every_style_prints_the_author_the_year_and_the_place(item: dict[str, Any]) -> None:
    for seed in range(200):
        rng = random.Random(seed)
        text = STYLES.drawn(rng).printed(item, rng)
        assert "weissman" in text.lower()
        assert "2012" in text
        assert "19" in text or "99" in text


def test_an_odd_record_has_a_title_and_changes_nothing_of_what_it_was_made_from() -> None:
    before = repr(ARTICLE)
    made = [STYLES.odd(ARTICLE, CHAPTER, random.Random(seed)) for seed in range(200)]
    assert all(item["title"] for item in made)
    assert any("author" not in item for item in made)
    assert len({item["title"] for item in made}) > 50
    assert repr(ARTICLE) == before
