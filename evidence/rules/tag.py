"""A work's text and the facets' rules → tags, each with the matches behind it.

It reads one work at a time. It may not know the verdict, people's decisions, the database or the network.
"""

from __future__ import annotations

from evidence.data_model import Tag, Work
from evidence.rules.rule_matches import RuleMatches, WorkTexts
from evidence.rules.taxonomy import Ruleset


def tag(work: Work, rules: Ruleset, texts: WorkTexts | None = None) -> tuple[Tag, ...]:
    """Every tag that `rules` (a taxonomy's `tagging`, or a part of it) give to `work`, in the taxonomy's order. `texts` are
    those of `work`, where a caller has them already."""
    found = RuleMatches(WorkTexts(work) if texts is None else texts, rules)
    return tuple(
        Tag(
            facet,
            value,
            tuple(dict.fromkeys(match for _, matches in found.rules_for((facet, value)) for match in matches)),
        )
        for facet, value in found.values()
    )
