"""One work and one ruleset → which rules apply, and the places in the text that made them apply.

It may not decide what follows from that: `screen` makes a verdict of it. No database, no network, no
decisions of people.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate

from evidence.data_model import Match, Work
from evidence.rules.phrase_matching import Span, Text
from evidence.rules.taxonomy import Rule, Ruleset, ValueKey

MATCHES_PER_RULE = 6
"""How many places one rule shows at most: enough to check it, few enough to read."""

TITLE = ("title",)

AppliedRule = tuple[Rule, tuple[Match, ...]]
"""A rule that applies to a work, with its matches in the work's text."""


class WorkTexts(dict[str, Text | None]):
    """The fields of one work prepared for matching, each when first asked for; None where the work has none."""

    def __init__(self, work: Work) -> None:
        super().__init__()
        self._work = work

    def __missing__(self, field: str) -> Text | None:
        written: str | None = getattr(self._work, field)
        self[field] = text = Text(written) if written else None
        return text


class RuleMatches:
    """One ruleset applied to one work: where every term occurs, and which rules apply. A value's rules are tried when it is
    first asked for, and once."""

    def __init__(self, texts: WorkTexts, ruleset: Ruleset) -> None:
        self._texts = {field: text for field in ruleset.fields if (text := texts[field])}
        self._hits = {field: ruleset.finder.hits(text) for field, text in self._texts.items()}
        self._found = frozenset(number for hits in self._hits.values() for number in hits)
        self._values = ruleset.values
        self._triggers = ruleset.triggers
        self._applied: dict[ValueKey, tuple[AppliedRule, ...]] = {}
        self._covers: dict[tuple[str, tuple[int, ...]], tuple[list[int], list[int]]] = {}

    def values(self) -> tuple[ValueKey, ...]:
        """The verdicts to which a rule leads."""
        return tuple(key for key in self._values if self.rules_for(key))

    def rules_for(self, key: ValueKey) -> tuple[AppliedRule, ...]:
        """The rules of this verdict that apply to the work, with their matches; empty when none does."""
        if self._found.isdisjoint(self._triggers[key]):  # nearly every work
            return ()
        if key not in self._applied:
            found = ((rule, self._matches(rule)) for rule in self._values[key].rules)
            self._applied[key] = tuple((rule, matches) for rule, matches in found if matches is not None)
        return self._applied[key]

    def _matches(self, rule: Rule) -> tuple[Match, ...] | None:
        """The matches of a rule that applies; None when it does not."""
        if not self._has_required_terms(rule):
            return None
        found = self._found
        if any(number in found and self._first(rule, number, rule.fields) for number in rule.none):
            return None
        if any(number in found and self._first(rule, number, TITLE) for number in rule.not_title):
            return None
        matches: list[Match] = []
        for number in rule.all:
            first = self._first(rule, number, rule.fields)
            if first is None:
                return None
            matches.append(first)
        for choice, fields in ((rule.any, rule.fields), (rule.title, TITLE)):
            if choice:
                hits = [match for number in choice if number in found and (match := self._first(rule, number, fields))]
                if not hits:
                    return None
                matches += hits
        return tuple(dict.fromkeys(matches))[:MATCHES_PER_RULE]

    def _has_required_terms(self, rule: Rule) -> bool:
        """Whether the rule's terms occur anywhere in the work: a quick test that nearly every rule fails."""
        found = self._found
        if (rule.any and found.isdisjoint(rule.any)) or (rule.title and found.isdisjoint(rule.title)):
            return False
        return found.issuperset(rule.all)

    def _first(self, rule: Rule, number: int, fields: tuple[str, ...]) -> Match | None:
        """The first place in these fields where this term counts for this rule; None when there is none."""
        for field in fields:
            spans = self._hits.get(field, {}).get(number)
            if spans:
                for start, stop in sorted(spans) if len(spans) > 1 else spans:
                    if not (rule.except_ and self._inside(rule, field, (start, stop))):
                        return Match(rule.id, field, start, stop, self._texts[field].text[start:stop])
        return None

    def _inside(self, rule: Rule, field: str, span: Span) -> bool:
        """Whether a hit of one of the rule's `except` terms covers this span. Of the hits that begin at its start or before, the
        one that reaches furthest tells."""
        key = (field, tuple(rule.except_))
        if key not in self._covers:
            hits = self._hits[field]
            covers = sorted(span for number in rule.except_ for span in hits.get(number, ()))
            starts, stops = [start for start, _ in covers], [stop for _, stop in covers]
            self._covers[key] = (starts, list(accumulate(stops, max)))
        starts, reach = self._covers[key]
        before = bisect_right(starts, span[0])
        return before > 0 and reach[before - 1] >= span[1]
