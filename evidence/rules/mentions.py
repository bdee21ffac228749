"""Every place in a title or an abstract where a word of the taxonomy stands, or an abbreviation that the text defines as one.

It finds; it may not decide what a mention means (`mention_roles`, `decide`).
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import NamedTuple

from evidence.rules.ages import age_statements, fits
from evidence.rules.normal_forms import Normalised, normal_form
from evidence.rules.word_finder import WordFinder

NAME, INSTRUMENT, LOOSE, AGE = range(4)
FAMILIES = ("words", "instruments", "loose", "ages")
"""The kinds of words of a value, in the order of how surely they name it; `ages` are statements of age."""

_ABBREVIATION = re.compile(r"[(\[]\s{0,2}([A-Z][\w‐-]{1,9}?)s?\s{0,2}(?:[)\];,]|\s?=)")
_HEADS = frozenset(
    map(normal_form, ("therapy", "psychotherapy", "treatment", "intervention", "program", "training", "counselling"))
)
"""Words that end the name of a treatment and are often left out of the taxonomy's words for it."""
_MEASURES = frozenset(
    map(
        normal_form,
        ("scale", "questionnaire", "inventory", "index", "interview", "schedule", "checklist", "list", "impression", "assessment",
         "survey", "measure", "test", "evaluation"),
    )
)  # fmt: skip
"""Words that end the name of an instrument."""
_BREAK, _COMMA = re.compile(r"[(:;]|\.\s|s,\s"), re.compile(r"(?<!ed),\s(?!and\b|or\b)")
"""Marks beyond which no term goes on: "two groups (intervention and control)" are no group intervention. Nor do two words go on
beyond a comma, but for adjectives ("randomized, controlled") and lists ("anxiety, and depression")."""


class Mention(NamedTuple):
    """A word of value number `value` (of the vocabulary), of the kind `family`, at the words `first` to `last` (exclusive) of a
    field. `inside` is the number of a value of another facet whose longer mention covers this one, or -1. `short`: an
    abbreviation that the text defines."""

    value: int
    family: int
    first: int
    last: int
    inside: int = -1
    inside_family: int = -1
    short: bool = False


_mention: Callable[[tuple[int, int, int, int, int, int, bool]], Mention] = partial(tuple.__new__, Mention)
"""A mention of all its fields, in half the time of calling the class."""


@dataclass(frozen=True, slots=True)
class Words:
    """The words of one value as the vocabulary needs them."""

    facet: str
    value: str
    words: tuple[str, ...]
    instruments: tuple[str, ...]
    loose: tuple[str, ...]
    never: tuple[str, ...]
    ages: tuple[float, float] | None


class Vocabulary:
    """The words of all values, prepared to be found together. A value's number is its place in `values`."""

    def __init__(self, values: Sequence[Words]) -> None:
        self.values = tuple(values)
        self.facets = tuple(value.facet for value in values)
        owners: dict[str, list[tuple[int, int]]] = {}
        for number, value in enumerate(values):
            for family, terms in enumerate((value.words, value.instruments, value.loose)):
                for term in terms:
                    owners.setdefault(term, []).append((number, family))
            for term in value.never:
                owners.setdefault(term, []).append((number, -1))
        self._finder = WordFinder(list(owners))
        self._owners = list(owners.values())
        self._ages = [(number, value.ages) for number, value in enumerate(values) if value.ages]

    def mentions(self, fields: Sequence[Normalised]) -> list[list[Mention]]:
        """The mentions in each field, in reading order. Abbreviations defined in one field count in the others too."""
        found = [self._found(text) for text in fields]
        defined: dict[str, tuple[int, int] | None] = {}
        for text, mentions in zip(fields, found, strict=True):
            defined.update(self._abbreviations(text, mentions))
        return [
            self._settled(self._with_abbreviations(text, mentions, defined))
            for text, mentions in zip(fields, found, strict=True)
        ]

    def _found(self, text: Normalised) -> list[Mention]:
        mentions: list[Mention] = []
        never: dict[int, list[tuple[int, int]]] = {}
        folded, starts, stops, gaps = text.folded, text.starts, text.stops, text.gaps
        owners = self._owners
        for first, minus_last, term in sorted(set(self._finder.spans(text))):
            last = -minus_last
            size = last - first
            if size > 1 and not (size == 2 and gaps[first] == " " and stops[first + 1] - starts[first + 1] > 2):
                if _BREAK.search(folded, starts[first], starts[last - 1]):
                    continue
                if size == 2 and _COMMA.search(folded, starts[first], stops[first] + 4):
                    continue
            for number, family in owners[term]:
                if family < 0:
                    never.setdefault(number, []).append((first, last))
                else:
                    mentions.append(_mention((number, family, first, last, -1, -1, False)))
        if never:
            covers = {number: _Cover(spans) for number, spans in never.items()}
            mentions = [m for m in mentions if m.value not in covers or not covers[m.value].holds(m.first, m.last)]
        if self._ages:
            for statement in age_statements(text):
                first = bisect_left(text.starts, statement.start)
                last = bisect_left(text.starts, statement.stop)
                for number, ages in self._ages:
                    if ages and first < last and fits(statement, *ages):
                        mentions.append(Mention(number, AGE, first, last))
        return mentions

    def _abbreviations(self, text: Normalised, mentions: Iterable[Mention]) -> dict[str, tuple[int, int] | None]:
        """What the text's own abbreviations stand for: (value, family), or None for something that is no word of the taxonomy."""
        if "(" not in text.text and "[" not in text.text:
            return {}
        ending: dict[int, Mention] = {}
        starting: dict[int, list[Mention]] = {}
        defined: dict[str, tuple[int, int] | None] = {}
        for found in _ABBREVIATION.finditer(text.folded):
            short = found[1].rstrip("s") if found[1][:-1].isupper() else found[1]
            if sum(map(str.isupper, short)) < 2:
                continue
            if not starting:
                for mention in mentions:
                    starting.setdefault(mention.first, []).append(mention)
                    if mention.last not in ending or mention.first < ending[mention.last].first:
                        ending[mention.last] = mention
            before = bisect_left(text.starts, found.start())
            if self._explained(text, before, short, starting):
                continue
            long_form = _long_form(text, before, short, ending)
            if long_form is not None:
                # "anxiety disorders (OR 2.1)" explains nothing: the letters must be those of the words.
                first = text.words[max(0, long_form.first - 2) : before]
                stands_for = any(word[:1] == short[0].lower() for word in first)
                if stands_for and (before - long_form.first > 1 or long_form.family == INSTRUMENT):
                    defined.setdefault(short, (long_form.value, long_form.family))
            elif _initials(text, before, short):
                defined.setdefault(short, None)
        return defined

    def _explained(self, text: Normalised, before: int, short: str, starting: Mapping[int, Sequence[Mention]]) -> bool:
        """Whether the words before this place explain an abbreviation as the taxonomy means it, though in other words than the
        taxonomy's: they name its value ("post-traumatic stress disorder (PTSD)", where "post-traumatic stress" is a word of
        it), or they are the name of a scale and so is the abbreviation. `starting`: the mentions by their first words."""
        own = starting.get(before, ())
        if not own:
            return False
        begin = max(0, before - sum(map(str.isalpha, short)) - 1)
        beside = {m.value for place in range(begin, before) for m in starting.get(place, ())}
        if any(m.value in beside for m in own):
            return True
        if _MEASURES.isdisjoint(text.words[max(0, before - 3) : before]):
            return False
        facets = {self.facets[value] for value in beside}
        return any(m.family == INSTRUMENT and self.facets[m.value] not in facets for m in own)

    def _with_abbreviations(
        self, text: Normalised, mentions: list[Mention], defined: dict[str, tuple[int, int] | None]
    ) -> list[Mention]:
        if not defined:
            return mentions
        meant: dict[tuple[int, int], tuple[int, int] | None] = {}
        longest = max(map(len, defined))
        folded, initials = text.folded, {short[0] for short in defined}
        for place in [place for place, start in enumerate(text.starts) if folded[start] in initials]:
            start = text.starts[place]
            for stop in range(start + 2, start + longest + 1):
                short = folded[start:stop]
                if short in defined and not folded[stop : stop + 1].isalpha():
                    size = max(1, len([part for part in re.split(r"[-‐\d]+", short) if part]))
                    meant[place, place + size] = defined[short]
        kept = []
        for mention in mentions:
            span = (mention.first, mention.last)
            if span in meant:
                meaning = meant[span]
                if meaning is None or mention.value != meaning[0]:
                    continue
            kept.append(mention)
        there = {(m.value, m.first, m.last) for m in kept}
        return kept + [
            Mention(meaning[0], meaning[1], *span, short=True)
            for span, meaning in sorted(meant.items(), key=lambda entry: entry[0])
            if meaning is not None and (meaning[0], *span) not in there
        ]

    def _settled(self, mentions: list[Mention]) -> list[Mention]:
        """Of mentions inside longer ones: those of the same facet are dropped, those of other facets say what they are inside."""
        mentions.sort(key=_reading_order)
        kept: list[Mention] = []
        reach = 0  # the furthest word of those before: a mention that goes beyond is inside none
        for mention in mentions:
            if mention.last > reach:
                reach = mention.last
                kept.append(mention)
                continue
            cover: Mention | None = None
            dropped = False
            for other in reversed(kept):
                if other.first < mention.first - 14:
                    break
                if other.first <= mention.first and mention.last <= other.last:
                    longer = other.last - other.first > mention.last - mention.first
                    if self.facets[other.value] == self.facets[mention.value]:
                        if longer or other.value == mention.value:
                            dropped = True
                            break
                    elif longer and cover is None:
                        cover = other
            if dropped:
                continue
            if cover is not None:
                mention = mention._replace(inside=cover.value, inside_family=cover.family)
            kept.append(mention)
        return kept


def _reading_order(mention: Mention) -> tuple[int, int, int]:
    return mention.first, -mention.last, mention.family


class _Cover:
    """Spans of words, in reading order. The question whether one of them holds a span takes the logarithm of their number."""

    def __init__(self, spans: Sequence[tuple[int, int]]) -> None:
        self._firsts = [first for first, _ in spans]
        self._reach = list(accumulate((last for _, last in spans), max))

    def holds(self, first: int, last: int) -> bool:
        """Whether one of the spans begins at `first` or before and ends at `last` or after."""
        before = bisect_right(self._firsts, first)
        return before > 0 and self._reach[before - 1] >= last


def _long_form(text: Normalised, before: int, short: str, ending: Mapping[int, Mention]) -> Mention | None:
    """The mention that an abbreviation at this place stands for. `ending`: the longest mention that ends at each place."""
    found = ending.get(before)
    if found is None and before > 1 and text.words[before - 1] in _HEADS:
        found = ending.get(before - 1)  # "acceptance and commitment therapy (ACT)" without its last word
        if found is not None and (found.family != NAME or not _initials(text, before, short)):
            return None
    return found


def _initials(text: Normalised, before: int, short: str) -> bool:
    """Whether the words before this place begin with the letters of the abbreviation: it is defined here."""
    letters = [letter.lower() for letter in short if letter.isalpha()]
    words = text.words[max(0, before - len(letters) - 3) : before]
    at = 0
    for word in words:
        if at < len(letters) and word[:1] == letters[at]:
            at += 1
    return at == len(letters)
