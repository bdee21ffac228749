"""A work's words and the facets' rules → tags, each with the words that earned it.

It reads one work at a time and knows no verdict, no people's decisions, no database and no network.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate

from evidence.model import Match, Tag, Work
from evidence.rules.taxonomy import Rule, Rulebook, Ruleset, Said
from evidence.rules.terms import Span, Text

MATCHES_PER_RULE = 6
"""How many places one rule shows at most: enough to check it, few enough to read."""

TITLE = ("title",)

Fired = tuple[Rule, tuple[Match, ...]]


def tag(work: Work, rules: Rulebook | Ruleset, texts: Texts | None = None) -> tuple[Tag, ...]:
    """Every value the rules say of `work`, in the taxonomy's order. `texts` is `work` made ready before, if it was."""
    reading = Reading(texts or Texts(work), rules if isinstance(rules, Ruleset) else rules.tagging)
    tags = []
    for facet, value in reading.woken:
        fired = reading.fired((facet, value))
        if fired:
            matches = dict.fromkeys(match for _, found in fired for match in found)
            tags.append(Tag(facet, value, tuple(matches)))
    return tuple(tags)


class Texts(dict[str, Text | None]):
    """The fields of one work made ready for matching, each when first asked for; None where the work has none."""

    def __init__(self, work: Work) -> None:
        super().__init__()
        self._work = work

    def __missing__(self, field: str) -> Text | None:
        written: str | None = getattr(self._work, field)
        self[field] = text = Text(written) if written else None
        return text


class Reading:
    """One work read by one ruleset: where every term stands, and which rules fire (worked out when first asked)."""

    def __init__(self, texts: Texts, ruleset: Ruleset) -> None:
        self._texts = {field: text for field in ruleset.fields if (text := texts[field])}
        self._hits = {field: ruleset.finder.hits(text) for field, text in self._texts.items()}
        self.found = frozenset(number for hits in self._hits.values() for number in hits)
        self._values = ruleset.values
        self.woken = dict.fromkeys(ruleset.woken(self.found))
        self._fired: dict[Said, tuple[Fired, ...]] = {}
        self._covers: dict[tuple[str, tuple[int, ...]], tuple[list[int], list[int]]] = {}

    def fired(self, said: Said) -> tuple[Fired, ...]:
        """The rules of this value that fire, with their words; empty when none does."""
        if said not in self.woken:
            return ()
        if said not in self._fired:
            found = ((rule, self._fires(rule)) for rule in self._values[said].rules)
            self._fired[said] = tuple((rule, matches) for rule, matches in found if matches is not None)
        return self._fired[said]

    def _fires(self, rule: Rule) -> tuple[Match, ...] | None:
        if not self._possible(rule):
            return None
        found = self.found
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
        if any(self.fired(said) for said in rule.unless):
            return None
        if rule.given:
            given = self._given(rule)
            if given is None:
                return None
            matches += given
        return tuple(dict.fromkeys(matches))[:MATCHES_PER_RULE]

    def _possible(self, rule: Rule) -> bool:
        """No, for nearly every rule: its words are not in the work at all."""
        found = self.found
        if (rule.any and found.isdisjoint(rule.any)) or (rule.title and found.isdisjoint(rule.title)):
            return False
        return found.issuperset(rule.all)

    def _given(self, rule: Rule) -> list[Match] | None:
        """The words behind the first choice of `given` that is said of the work; None when none is."""
        for choice in rule.given:
            if all(self.fired(said) for said in choice):
                behind = [match for said in choice for match in self.fired(said)[0][1]]
                return [Match(rule.id, match.field, match.start, match.stop, match.quote) for match in behind]
        return None

    def _first(self, rule: Rule, number: int, fields: tuple[str, ...]) -> Match | None:
        """The first place where this term, which is in the work, counts for this rule."""
        for field in fields:
            spans = self._hits.get(field, {}).get(number)
            if spans:
                for start, stop in sorted(spans) if len(spans) > 1 else spans:
                    if not (rule.but_not and self._inside(rule, field, (start, stop))):
                        return Match(rule.id, field, start, stop, self._texts[field].text[start:stop])
        return None

    def _inside(self, rule: Rule, field: str, span: Span) -> bool:
        """Whether a hit of one of the rule's `except` terms covers this span: of those that begin before it or with it, does
        the one that reaches furthest reach its end?"""
        key = (field, tuple(rule.but_not))
        if key not in self._covers:
            hits = self._hits[field]
            covers = sorted(span for number in rule.but_not for span in hits.get(number, ()))
            starts, stops = [start for start, _ in covers], [stop for _, stop in covers]
            self._covers[key] = (starts, list(accumulate(stops, max)))
        starts, reach = self._covers[key]
        before = bisect_right(starts, span[0])
        return before > 0 and reach[before - 1] >= span[1]
