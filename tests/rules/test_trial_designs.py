"""Everything that counts trials and reviews goes by one list of designs."""

from __future__ import annotations

import re
from pathlib import Path

from evidence.rules import trial_designs
from evidence.rules.taxonomy import Taxonomy

METADATA = Path(__file__).parents[2] / "datasette" / "metadata.yaml"


def test_the_designs_are_values_of_the_taxonomy(book: Taxonomy) -> None:
    assert {(trial_designs.FACET, design) for design in (*trial_designs.TRIALS, *trial_designs.REVIEWS)} <= set(
        book.tags
    )
    assert not set(trial_designs.TRIALS) & set(trial_designs.REVIEWS)


def test_the_sites_queries_list_the_same_designs() -> None:
    """YAML cannot import the list."""
    lists = re.findall(r"value in \(('[^()]*')\)", METADATA.read_text(encoding="utf-8"))
    found = {tuple(re.findall(r"'([^']*)'", one)) for one in lists}
    assert found == {trial_designs.TRIALS, trial_designs.REVIEWS}


def test_a_filter_for_designs() -> None:
    assert trial_designs.tag_filter(trial_designs.TRIALS) == "design:rct,cluster-rct"
