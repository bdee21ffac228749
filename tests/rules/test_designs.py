"""Everything that counts trials and reviews goes by one list of designs."""

from __future__ import annotations

import re
from pathlib import Path

from evidence.rules import designs
from evidence.rules.taxonomy import Taxonomy

METADATA = Path(__file__).parents[2] / "datasette" / "metadata.yaml"


def test_the_designs_are_values_of_the_taxonomy(book: Taxonomy) -> None:
    assert {(designs.FACET, design) for design in (*designs.TRIALS, *designs.REVIEWS)} <= set(book.tags)
    assert not set(designs.TRIALS) & set(designs.REVIEWS)


def test_the_sites_queries_list_the_same_designs() -> None:
    """YAML cannot import the list."""
    lists = re.findall(r"value in \(('[^()]*')\)", METADATA.read_text(encoding="utf-8"))
    found = {tuple(re.findall(r"'([^']*)'", one)) for one in lists}
    assert found == {designs.TRIALS, designs.REVIEWS}


def test_a_filter_for_designs() -> None:
    assert designs.tag_filter(designs.TRIALS) == "design:rct,cluster-rct"
