"""The rules of a topic as a frozen `Taxonomy`: its facets with their values, its verdicts, what was learnt about them.

What `taxonomy_file` read is kept on disk, so that pydantic and YAML are imported only for rules that are new. Which files there
are, `topic` knows. This module prepares words and rules. It may not apply them: `rule_matches`, `screen`, `abstract_reader` and
`tag` do.
"""

from __future__ import annotations

import gc
import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from evidence.rules import phrase_matching
from evidence.rules import topic as topics
from evidence.rules.abstract_reader import FacetReading
from evidence.rules.decide import ValueWeights, models, weights_digest
from evidence.rules.kept_rules import kept_reading
from evidence.rules.mention_roles import About, TextKind
from evidence.rules.mentions import Vocabulary, Words
from evidence.rules.signs import NAMES
from evidence.rules.stated_facts import FactKey
from evidence.rules.topic import Topic, TopicFacet
from evidence.rules.word_finder import WordFinder
from evidence.text_files import read_text

SCREEN = "screen"
"""The facet name of the verdicts, and of the rules that lead to them."""

FIELDS = ("title", "abstract", "kind", "container")
"""The fields of a work that a screening rule may read."""

TEXT_FIELDS = ("title", "abstract")
"""The fields that a screening rule reads unless it names others."""

OLDEST = 120
"""Years of age at which a range ends that names no end."""

ValueKey = tuple[str, str]
"""(facet, value id), which names one value of the taxonomy; a verdict is `("screen", "include")`."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One screening rule. Its terms are numbers: places in the finder of the ruleset. The names are those of the rule language,
    but for `except_`."""

    id: str
    any: tuple[int, ...]
    all: tuple[int, ...]
    none: tuple[int, ...]
    except_: tuple[int, ...]
    title: tuple[int, ...]
    not_title: tuple[int, ...]
    fields: tuple[str, ...]
    because: str | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """One verdict: its id, label and meaning, and the rules that lead to it."""

    id: str
    label: str
    means: str
    rules: tuple[Rule, ...]
    examples: tuple[str, ...]
    counterexamples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Value:
    """One tag: its id, label and meaning, and its words.

    `words` name it outright, `instruments` measure it, `loose` ones mean it only in a fitting role, and nothing counts inside
    one of `never` (`not` in the file). `ages` is a range of years. `with_`: the general value of the facet together with one of
    these tags is this value. `gives_way_to`: values of the facet that, where they apply, speak against this one. `text`: the
    kind of text in which it is reported. `facts`: the types of record, publication types and MeSH headings that state this value,
    whatever the text says.
    """

    id: str
    label: str
    means: str
    words: tuple[str, ...]
    instruments: tuple[str, ...]
    loose: tuple[str, ...]
    never: tuple[str, ...]
    ages: tuple[float, float] | None
    with_: tuple[ValueKey, ...]
    gives_way_to: tuple[str, ...]
    text: TextKind | None
    facts: tuple[FactKey, ...]
    examples: tuple[str, ...]
    counterexamples: tuple[str, ...]

    @property
    def terms(self) -> tuple[str, ...]:
        """Every term of the value, those of `not` included."""
        return (*self.words, *self.instruments, *self.loose, *self.never)


@dataclass(frozen=True, slots=True)
class Facet:
    """One property of a study (variant of the therapy, design, …) and its possible values. `about` says what its words name;
    `general` is the value that gives way to every other one of the facet, where there is one."""

    facet: str
    label: str
    values: tuple[Value, ...]
    about: About
    general: str | None = None


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The verdicts of screening."""

    facet: str
    label: str
    values: tuple[Verdict, ...]


@dataclass(frozen=True, slots=True)
class Learnt:
    """What was learnt about the values of a facet: as JSON, by which it is compared, and the same read."""

    written: str
    entries: Sequence[Mapping[str, Any]] = field(compare=False, repr=False)


@dataclass(frozen=True)
class Ruleset:
    """The screening rules by verdict, with the finder of their terms and the fields that they read."""

    values: Mapping[ValueKey, Verdict]
    finder: phrase_matching.Finder
    fields: tuple[str, ...]

    @cached_property
    def triggers(self) -> Mapping[ValueKey, frozenset[int]]:
        """The terms without any of which no rule of a verdict applies."""
        return {
            key: frozenset(number for rule in verdict.rules for number in rule.any or rule.title or rule.all)
            for key, verdict in self.values.items()
        }


@dataclass(frozen=True)
class Taxonomy:
    """All facets of a topic and its screening rules. `digest` (16 hexadecimal digits) changes with any edit but that of a
    comment, and with the reader's weights; `value_marks` has for each value a text that changes with what its tags depend on.
    `learnt`: facet → what was learnt about its values (`value_weights` has it by numbers)."""

    digest: str
    facets: tuple[Facet, ...]
    verdicts: Verdicts
    screening: Ruleset
    topic: Topic
    screening_marks: Mapping[ValueKey, str]
    learnt: Mapping[str, Learnt] = field(default_factory=dict)

    @cached_property
    def keys(self) -> tuple[ValueKey, ...]:
        """Every tag there is, in the taxonomy's order: a value's place here is its number in `vocabulary`."""
        return tuple((facet.facet, value.id) for facet in self.facets for value in facet.values)

    @cached_property
    def tags(self) -> Collection[ValueKey]:
        """Every tag there is; verdicts are not among them."""
        return frozenset(self.keys)

    @cached_property
    def values(self) -> tuple[Value, ...]:
        """The values by number."""
        return tuple(value for facet in self.facets for value in facet.values)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The words of all values, prepared to be found. Made when first asked for."""
        return Vocabulary(
            [
                Words(facet.facet, v.id, v.words, v.instruments, v.loose, v.never, v.ages)
                for facet in self.facets
                for v in facet.values
            ]
        )

    @cached_property
    def readings(self) -> tuple[FacetReading, ...]:
        """How each facet's mentions are read."""
        numbers = {key: number for number, key in enumerate(self.keys)}
        found = []
        for facet in self.facets:
            own = {value.id: numbers[facet.facet, value.id] for value in facet.values}
            yields: dict[int, tuple[int, ...]] = {}
            for value in facet.values:
                to = [own[other] for other in value.gives_way_to if other in own]
                if value.id == facet.general:
                    to += [number for name, number in own.items() if name != value.id]
                yields[own[value.id]] = tuple(dict.fromkeys(to))
            made = {
                own[value.id]: tuple(numbers[key] for key in value.with_ if key in numbers)
                for value in facet.values
                if value.with_
            }
            general = own.get(facet.general) if facet.general else None
            text = {own[value.id]: value.text for value in facet.values if value.text}
            found.append(FacetReading(facet.facet, facet.about, tuple(own.values()), yields, general, made, text))
        return tuple(found)

    @cached_property
    def readings_in_turn(self) -> tuple[FacetReading, ...]:
        """The same in the order in which tags are given: last those that are made with tags of others."""
        return tuple(sorted(self.readings, key=lambda facet: bool(facet.made)))

    @cached_property
    def about(self) -> Mapping[int, About]:
        """What the words of each value name."""
        return {number: facet.about for facet in self.readings for number in facet.values}

    @cached_property
    def value_weights(self) -> Mapping[tuple[str, str], ValueWeights]:
        """What the topic has learnt about its values: (facet, kind of text) → weights."""
        found = {}
        place_of = {name: place for place, name in enumerate(NAMES)}
        for facet in self.readings:
            numbers = {self.keys[number][1]: number for number in facet.values}
            for entry in self.learnt[facet.facet].entries if facet.facet in self.learnt else ():
                words, titles = (
                    {
                        numbers[value]: {word: weight / 1000 for word, weight in of_value.items()}
                        for value, of_value in entry[kind].items()
                        if value in numbers
                    }
                    for kind in ("words", "title_words")
                )
                signs: dict[int, dict[int, float]] = {}
                rows = [(place_of[name], of_sign) for name, of_sign in entry["signs"].items() if name in place_of]
                for value, of_value in zip(
                    entry["values"], zip(*(row for _, row in rows), strict=True), strict=bool(rows)
                ):
                    if value in numbers and any(of_value):
                        signs[numbers[value]] = {
                            place: weight / 100 for (place, _), weight in zip(rows, of_value, strict=True) if weight
                        }
                beside = {
                    numbers[value]: {
                        numbers[other]: weight / 1000 for other, weight in of_value.items() if other in numbers
                    }
                    for value, of_value in entry.get("beside", {}).items()
                    if value in numbers
                }
                found[facet.facet, entry["text"]] = ValueWeights(
                    models()[facet.about, entry["text"]],
                    entry["bias"] / 1000,
                    entry["score"] / 1000,
                    words,
                    signs,
                    titles,
                    tuple(weight / 1000 for weight in entry.get("rivals", ())),
                    beside,
                )
        return found

    @cached_property
    def of_facts(self) -> Mapping[FactKey, tuple[int, ...]]:
        """For each fact the numbers of the values that it states."""
        found: dict[FactKey, tuple[int, ...]] = {}
        for number, value in enumerate(self.values):
            for fact in value.facts:
                found[fact] = (*found.get(fact, ()), number)
        return found

    @cached_property
    def studied(self) -> frozenset[int]:
        """The numbers of the interventions that the topic is about."""
        return frozenset(number for number, (facet, _) in enumerate(self.keys) if facet == self.topic.intervention)

    @cached_property
    def value_marks(self) -> Mapping[ValueKey, str]:
        """For each verdict and tag a text that changes with what it depends on: rules, or words and weights. That of a tag is
        JSON, with its terms by family under `terms` (`TouchedTexts` reads them)."""
        marks = dict(self.screening_marks)
        for facet in self.facets:
            for value in facet.values:
                mark = {
                    "terms": [value.words, value.instruments, value.loose, value.never],
                    "ages": value.ages,
                    "with": value.with_,
                    "gives_way_to": value.gives_way_to,
                    "text": value.text,
                    "facts": value.facts,
                    "facet": [facet.about, facet.general],
                    "label": value.label,
                    "intervention": self.topic.intervention,
                    "weights": [
                        weights_digest(),
                        digest_of(learnt.written if (learnt := self.learnt.get(facet.facet)) else ""),
                    ],
                }
                marks[facet.facet, value.id] = json.dumps(mark, ensure_ascii=False, sort_keys=True)
        return marks

    def values_changed_since(self, before: Mapping[ValueKey, str]) -> frozenset[ValueKey]:
        """The verdicts and tags whose mark is another than in `before`."""
        marks = self.value_marks
        return frozenset(key for key in before.keys() | marks.keys() if before.get(key) != marks.get(key))

    def facet(self, name: str) -> Facet | Verdicts | None:
        """The facet of that name (`screen`: the verdicts); None when there is no such facet."""
        every: tuple[Facet | Verdicts, ...] = (self.verdicts, *self.facets)
        return next((facet for facet in every if facet.facet == name), None)


class TouchedTexts:
    """Which texts hold a word of values that have changed? Only their tags can be others than before: a reading is made of
    mentions.

    `before` and `after` are the marks of the values then and now; `changed` names the values.
    """

    def __init__(
        self, changed: Collection[ValueKey], before: Mapping[ValueKey, str], after: Mapping[ValueKey, str]
    ) -> None:
        terms: dict[str, None] = {}
        self._all = False
        for key in changed:
            if key[0] == SCREEN:
                continue
            marks = [json.loads(side[key]) for side in (before, after) if key in side]
            words = [[frozenset(family) for family in mark["terms"]] for mark in marks]
            if len(marks) == 2 and words[0] != words[1] and _but_for_terms(marks[0]) == _but_for_terms(marks[1]):
                # A text that has none of the words that came or went is read as before.
                for old, new in zip(*words, strict=True):
                    terms.update(dict.fromkeys(old ^ new))
                continue
            for mark in marks:
                # Ages and facts are no words, and a value made with another tag has none of its own.
                self._all = self._all or bool(mark["ages"] or mark["with"] or mark.get("facts"))
                terms.update(dict.fromkeys(term for family in mark["terms"] for term in family))
        self._finder = WordFinder(list(terms)) if terms else None

    def touched(self, title: str | None, abstract: str | None) -> bool:
        """Whether the tags of a work with this text may have changed."""
        if self._all:
            return True
        return self._finder is not None and any(self._finder.any_hit(text) for text in (title, abstract) if text)


def _but_for_terms(mark: Mapping[str, Any]) -> dict[str, Any]:
    return {name: entry for name, entry in mark.items() if name != "terms"}


def load(of: Topic | Path | str = topics.DEFAULT) -> Taxonomy:
    """The taxonomy of a topic, of the topic in this folder, or of the shipped topic with this name; ConfigError with file,
    line and remedy.

    Files with the same text give the same taxonomy, made once a process.
    """
    with _without_collections():
        return _load(of)


@contextmanager
def _without_collections() -> Iterator[None]:
    """No garbage collections: nearly all that reading rules makes is kept, and to look for garbage among it would take a sixth of
    the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _load(of: Topic | Path | str) -> Taxonomy:
    topic = of if isinstance(of, Topic) else topics.load(of)
    remedy = "write it, or name another file in topic.yaml"
    paths = (topic.phrases_path, topic.screen_path, *(facet.path for facet in topic.facets))
    files = tuple([(str(path), _read(path, remedy, topic)) for path in paths])
    beside = dict.fromkeys(weights_path(facet) for facet in topic.facets)
    weights = tuple([(str(path), read_text(path)) for path in beside if path.exists()])
    return _taxonomy(topic, files, weights)


def _read(path: Path, remedy: str, topic: Topic) -> str:
    """The text of a file of the topic. A topic may do without named lists."""
    if path == topic.phrases_path and not path.exists():
        return "lists: {}"
    return read_text(path, remedy)


def weights_path(facet: TopicFacet) -> Path:
    """The file of what was learnt about the values of the facets in a folder; there may be none."""
    return facet.path.with_name(topics.VALUE_WEIGHTS_FILE)


Texts = tuple[tuple[str, str], ...]
"""Files, each its name and its text."""


@lru_cache(maxsize=4)
def _taxonomy(topic: Topic, files: Texts, weights: Texts) -> Taxonomy:
    """The taxonomy of these files: the named lists, screening, then the facets; `weights` are the
    files of what was learnt about values. It is kept on disk, since reading the rules takes longer than a short command."""

    def read() -> Taxonomy:
        from evidence.rules import taxonomy_file  # imports pydantic and YAML

        made = taxonomy_file.read(topic, files, weights)
        made.vocabulary  # noqa: B018 - made here, it is kept too
        return made

    return kept_reading("taxonomies", (weights_digest(), topic, files, weights), read)


def digest_of(text: str) -> str:
    """The digest of a text: 16 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]
