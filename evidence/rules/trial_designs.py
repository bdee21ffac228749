"""The designs that count as randomised trials and as reviews: one list for the views, the site and the evaluation.

It names values of the bundled taxonomy's facet `design` and may not do anything else.
"""

from __future__ import annotations

FACET = "design"

TRIALS = ("rct", "cluster-rct")
"""Randomised trials."""

REVIEWS = ("meta-analysis", "systematic-review")
"""Systematic reviews and meta-analyses."""


def tag_filter(designs: tuple[str, ...]) -> str:
    """The tag filter for works with any of these designs: `design:rct,cluster-rct`."""
    return f"{FACET}:{','.join(designs)}"
