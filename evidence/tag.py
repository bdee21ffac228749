"""A work's words and the facets' rules → tags, each with the words that earned it.

It reads one work at a time and knows no verdict, no people's decisions, no database and no network.
"""

from __future__ import annotations

from collections.abc import Sequence

from evidence.model import Match, Tag, Work
from evidence.rulebook import Facet, Rule, Rulebook, Said, Value
from evidence.rules import Finder, Hits, Span, Text

MATCHES_PER_RULE = 6
"""How many places one rule shows at most: enough to check it, few enough to read."""

TITLE = ("title",)

Fired = tuple[Rule, tuple[Match, ...]]


def tag(work: Work, book: Rulebook) -> tuple[Tag, ...]:
    """Every value the rules say of `work`, in the taxonomy's order."""
    reading = Reading(work, book.tag_finder, book.facets)
    tags = []
    for facet in book.facets:
        for value in facet.values:
            fired = reading.fired((facet.facet, value.id))
            if fired:
                matches = dict.fromkeys(match for _, found in fired for match in found)
                tags.append(Tag(facet.facet, value.id, tuple(matches)))
    return tuple(tags)


class Reading:
    """One work read once: where every term stands, and which rules fire. A value is worked out when first asked for."""

    def __init__(self, work: Work, finder: Finder, facets: Sequence[Facet]) -> None:
        self._texts: dict[str, str] = {}
        self._hits: dict[str, Hits] = {}
        for field in ("title", "abstract", "kind", "container"):
            text: str | None = getattr(work, field)
            if text:
                self._texts[field] = text
                self._hits[field] = finder.hits(Text(text))
        self._values: dict[Said, Value] = {(f.facet, value.id): value for f in facets for value in f.values}
        self._fired: dict[Said, tuple[Fired, ...]] = {}

    def fired(self, said: Said) -> tuple[Fired, ...]:
        """The rules of this value that fire, with their words; empty when none does."""
        if said not in self._fired:
            found = ((rule, self._fires(rule)) for rule in self._values[said].rules)
            self._fired[said] = tuple((rule, matches) for rule, matches in found if matches is not None)
        return self._fired[said]

    def _fires(self, rule: Rule) -> tuple[Match, ...] | None:
        if any(self._first(rule, number, rule.fields) for number in rule.none):
            return None
        if any(self._first(rule, number, TITLE) for number in rule.not_title):
            return None
        matches: list[Match] = []
        for number in rule.all:
            first = self._first(rule, number, rule.fields)
            if first is None:
                return None
            matches.append(first)
        for choice, fields in ((rule.any, rule.fields), (rule.title, TITLE)):
            if choice:
                found = [match for number in choice if (match := self._first(rule, number, fields))]
                if not found:
                    return None
                matches += found
        if rule.unless and any(self.fired(said) for said in rule.unless):
            return None
        if rule.given:
            chosen = next((saids for saids in rule.given if all(self.fired(said) for said in saids)), None)
            if chosen is None:
                return None
            matches += [
                Match(rule.id, match.field, match.start, match.stop, match.quote)
                for said in chosen
                for match in self.fired(said)[0][1]
            ]
        return tuple(dict.fromkeys(matches))[:MATCHES_PER_RULE]

    def _first(self, rule: Rule, number: int, fields: tuple[str, ...]) -> Match | None:
        """The first place where this term counts for this rule."""
        for field in fields:
            spans = self._hits.get(field, {}).get(number)
            if spans:
                for start, stop in sorted(spans) if len(spans) > 1 else spans:
                    if not (rule.but_not and self._inside(rule, field, (start, stop))):
                        return Match(rule.id, field, start, stop, self._texts[field][start:stop])
        return None

    def _inside(self, rule: Rule, field: str, span: Span) -> bool:
        hits = self._hits[field]
        return any(
            start <= span[0] and span[1] <= stop for number in rule.but_not for start, stop in hits.get(number, ())
        )
