"""The taxonomy's YAML files → a checked, frozen `Taxonomy`. Every error names file, line and remedy.

A facet file has values made of words and facts: `facet, label, about, values: [{id, label, means, words, instruments, loose,
not, ages, with, gives_way_to, text, records, publication_types, mesh, examples, counterexamples}]`; `word_finder` describes a
term, `stated_facts` a fact. `screen.yaml` has verdicts made of rules, whose language `phrase_matching` describes;
`shared_phrases.yaml` holds the named lists that these rules share. Which files there are, `topic` knows.

This module reads files and prepares words and rules. It may not apply them: `rule_matches`, `screen`, `abstract_reader` and
`tag` do.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Any

from evidence import strict_yaml
from evidence.kept_on_disk import cache_folder, kept
from evidence.rules import phrase_matching
from evidence.rules import topic as topics
from evidence.rules.abstract_reader import FacetReading
from evidence.rules.decide import ValueWeights, models, weights_digest
from evidence.rules.mention_roles import About, TextKind
from evidence.rules.mentions import Vocabulary, Words
from evidence.rules.signs import NAMES
from evidence.rules.stated_facts import FactField, FactKey, fact_key
from evidence.rules.topic import Topic, TopicFacet
from evidence.rules.word_finder import WordFinder, term_forms
from evidence.strict_yaml import Between, Id, Least, Loc, Shape, YamlText, nearest, validated

SCREEN = "screen"
"""The facet name of the verdicts, and of the rules that lead to them."""

FIELDS = ("title", "abstract", "kind", "container")
"""The fields of a work that a screening rule may read."""

TEXT_FIELDS = ("title", "abstract")
"""The fields that a screening rule reads unless it names others."""

_TERM_KEYS = ("any", "all", "none", "except", "title", "not_title")

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


_NOTHING_LEARNT = Learnt("", ())


@dataclass(frozen=True, slots=True)
class Ruleset:
    """The screening rules by verdict, with the finder of their terms and the fields that they read."""

    values: Mapping[ValueKey, Verdict]
    finder: phrase_matching.Finder
    fields: tuple[str, ...]


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
                        _digest(learnt.written if (learnt := self.learnt.get(facet.facet)) else ""),
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
    beside = dict.fromkeys(_weights_path(facet) for facet in topic.facets)
    weights = tuple([(str(path), strict_yaml.read_text(path)) for path in beside if path.exists()])
    return _taxonomy(topic, files, weights)


def _read(path: Path, remedy: str, topic: Topic) -> str:
    """The text of a file of the topic. A topic may do without named lists."""
    if path == topic.phrases_path and not path.exists():
        return "lists: {}"
    return strict_yaml.read_text(path, remedy)


def _weights_path(facet: TopicFacet) -> Path:
    """The file of what was learnt about the values of the facets in a folder; there may be none."""
    return facet.path.with_name(topics.VALUE_WEIGHTS_FILE)


def _by_facet(written: str) -> Mapping[str, Learnt]:
    """The text of a file of weights → what it has for each facet. One file serves all facets of a folder."""
    return {
        facet: Learnt(json.dumps(entries, ensure_ascii=False), entries)
        for facet, entries in json.loads(written).items()
        if entries
    }


_Texts = tuple[tuple[str, str], ...]


@lru_cache(maxsize=4)
def _taxonomy(topic: Topic, files: _Texts, weights: _Texts) -> Taxonomy:
    """The taxonomy of these files, each its name and its text: the named lists, screening, then the facets; `weights` are the
    files of what was learnt about values. It is kept on disk, since reading the rules takes longer than a short command."""
    made_of = repr((sys.version, _sources_digest(), weights_digest(), topic, files, weights))
    digest = hashlib.sha256(made_of.encode(errors="surrogatepass")).hexdigest()

    def make() -> Taxonomy:
        made = _made(topic, files, weights)
        made.vocabulary  # noqa: B018 - made here, it is kept too
        return made

    return kept(cache_folder(os.environ), "taxonomies", digest, make)


@cache
def _sources_digest() -> str:
    """A digest of the program that reads rules, and of what it reads them into."""
    folder = Path(__file__).parent
    files = [*sorted(folder.glob("*.py")), *(folder.with_name(name) for name in ("strict_yaml.py", "data_model.py"))]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _made(topic: Topic, files: _Texts, weights: _Texts) -> Taxonomy:
    by_path = {path: _by_facet(written) for path, written in weights}
    learnt = [
        (facet.id, by_path.get(str(_weights_path(facet)), {}).get(facet.id, _NOTHING_LEARNT)) for facet in topic.facets
    ]
    phrases, screen, *texts = (strict_yaml.parse(text, name) for name, text in files)
    lists = _phrase_lists(phrases)
    terms = _TermNumbers(lists)
    verdicts = _verdicts(screen, terms)
    facets = tuple(_facet(text, name) for text, name in zip(texts, topic.facet_ids, strict=True))
    _check_references(texts, facets, frozenset(facet.id for facet in topic.facets if facet.borrowed))
    topic.check_values({facet.facet: [value.id for value in facet.values] for facet in facets})
    source = json.dumps([text.data for text in (phrases, screen, *texts)], ensure_ascii=False, sort_keys=True)
    by_key = {(SCREEN, value.id): value for value in verdicts.values}
    read = {field for value in verdicts.values for rule in value.rules for field in (*rule.fields, "title")}
    rules = json.dumps([phrases.data, screen.data], ensure_ascii=False, sort_keys=True)
    return Taxonomy(
        _digest(
            source + topic.intervention + weights_digest() + repr(tuple([(facet, of.written) for facet, of in learnt]))
        ),
        facets,
        verdicts,
        Ruleset(by_key, phrase_matching.Finder(terms.terms), tuple(field for field in FIELDS if field in read)),
        topic,
        dict.fromkeys(by_key, _digest(rules)),
        {facet: of for facet, of in learnt if of.written},
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class _TermNumbers:
    """The terms of a ruleset, each once. A term's number is its place in `terms`."""

    def __init__(self, lists: Mapping[str, Sequence[str]]) -> None:
        self.lists, self.terms, self._numbers = lists, list[phrase_matching.Term](), dict[str, int]()
        self._parsed_lists: phrase_matching.ParsedLists = {}

    def number(self, source: str) -> int:
        """The number of this term; ValueError when it cannot be read."""
        if source not in self._numbers:
            self.terms.append(phrase_matching.parse_term(source, self.lists, self._parsed_lists))
            self._numbers[source] = len(self.terms) - 1
        return self._numbers[source]


_Sentence = Annotated[str, Least(1)]
_Sentences = Sequence[_Sentence]


class _RuleEntry(Shape):
    id: Id
    any: _Sentences = ()
    all: _Sentences = ()
    none: _Sentences = ()
    except_: _Sentences = ()
    title: _Sentences = ()
    not_title: _Sentences = ()
    fields: _Sentences = TEXT_FIELDS
    because: _Sentence | None = None


class _VerdictEntry(Shape):
    id: Id
    label: _Sentence
    means: _Sentence
    rules: Annotated[Sequence[_RuleEntry], Least(1)]
    examples: Annotated[_Sentences, Least(2)]
    counterexamples: Annotated[_Sentences, Least(1)]


class _ScreenFile(Shape):
    facet: _Sentence
    label: _Sentence
    values: Annotated[Sequence[_VerdictEntry], Least(1)]


_Years = Annotated[float, Between(0, OLDEST)]


class _AgesEntry(Shape):
    from_: _Years = 0
    to: _Years = OLDEST


class _ValueEntry(Shape):
    id: Id
    label: _Sentence
    means: _Sentence
    words: _Sentences = ()
    instruments: _Sentences = ()
    loose: _Sentences = ()
    not_: _Sentences = ()
    ages: _AgesEntry | None = None
    with_: _Sentences = ()
    gives_way_to: _Sentences = ()
    text: TextKind | None = None
    records: _Sentences = ()
    publication_types: _Sentences = ()
    mesh: _Sentences = ()
    examples: Annotated[_Sentences, Least(2)]
    counterexamples: Annotated[_Sentences, Least(1)]


class _FacetFile(Shape):
    facet: _Sentence
    label: _Sentence
    about: About
    general: _Sentence | None = None
    values: Annotated[Sequence[_ValueEntry], Least(1)]


class _PhrasesFile(Shape):
    lists: Mapping[Id, _Sentences]


_PHRASES_SHAPE = "write it like `lists: {name: [term, term]}`"
_SCREEN_SHAPE = (
    "write it like `values: [{id, label, means, rules: [{id, any, all, none, except, title, not_title, fields, because}], "
    "examples: two or more, counterexamples: one or more}]`"
)
_FACET_SHAPE = (
    "write it like `about: measure` and `values: [{id, label, means, words, instruments, loose, not, ages, with, "
    "gives_way_to, text, records, publication_types, mesh, examples: two or more, counterexamples: one or more}]`"
)


def _phrase_lists(text: YamlText) -> Mapping[str, Sequence[str]]:
    lists = validated(_PhrasesFile, text, remedy=_PHRASES_SHAPE).lists
    parsed: phrase_matching.ParsedLists = {}
    for name, listed in lists.items():
        for i, term in enumerate(listed):
            try:
                phrase_matching.parse_term(term, lists, parsed)
            except ValueError as error:
                raise text.complain(("lists", name, i), str(error)) from None
    return lists


def _verdicts(text: YamlText, numbers: _TermNumbers) -> Verdicts:
    file = validated(_ScreenFile, text, remedy=_SCREEN_SHAPE)
    _check_name(text, file.facet, SCREEN)
    values: list[Verdict] = []
    lines: dict[str, int] = {}
    for i, entry in enumerate(file.values):
        _refuse_repeated(text, ("values", i, "id"), entry.id, lines)
        rules = []
        for j, rule in enumerate(entry.rules):
            _refuse_repeated(text, ("values", i, "rules", j, "id"), f"{entry.id}/{rule.id}", lines)
            rules.append(_rule(text, ("values", i, "rules", j), rule, numbers))
        texts = (tuple(entry.examples), tuple(entry.counterexamples))
        values.append(Verdict(entry.id, entry.label, entry.means, tuple(rules), *texts))
    return Verdicts(SCREEN, file.label, tuple(values))


def _facet(text: YamlText, name: str) -> Facet:
    file = validated(_FacetFile, text, remedy=_FACET_SHAPE)
    _check_name(text, file.facet, name)
    values: list[Value] = []
    lines: dict[str, int] = {}
    stated: dict[FactKey, int] = {}
    for i, entry in enumerate(file.values):
        _refuse_repeated(text, ("values", i, "id"), entry.id, lines)
        facts = _facts(text, i, entry, stated)
        for key, terms in (
            ("words", entry.words),
            ("instruments", entry.instruments),
            ("loose", entry.loose),
            ("not", entry.not_),
        ):
            for j, term in enumerate(terms):
                try:
                    term_forms(term)
                except ValueError as error:
                    raise text.complain(("values", i, key, j), str(error)) from None
        if not (entry.words or entry.instruments or entry.loose or entry.ages or entry.with_ or facts):
            raise text.complain(
                ("values", i),
                f"the value {entry.id!r} has no words; give it `words:`, `instruments:`, `loose:`, `ages:` or `with:`",
            )
        ages = (float(entry.ages.from_), float(entry.ages.to)) if entry.ages else None
        if ages and ages[0] > ages[1]:
            raise text.complain(("values", i, "ages"), "`from:` is greater than `to:`; swap them")
        values.append(
            Value(
                entry.id,
                entry.label,
                entry.means,
                tuple(entry.words),
                tuple(entry.instruments),
                tuple(entry.loose),
                tuple(entry.not_),
                ages,
                tuple(_value_key(written, name) for written in entry.with_),
                tuple(entry.gives_way_to),
                entry.text,
                facts,
                tuple(entry.examples),
                tuple(entry.counterexamples),
            )
        )
    return Facet(name, file.label, tuple(values), file.about, file.general)


def _facts(text: YamlText, place: int, entry: _ValueEntry, lines: dict[FactKey, int]) -> tuple[FactKey, ...]:
    """The facts that state this value. `lines` has those of the facet so far: a fact states one value of a facet."""
    by_field: dict[FactField, tuple[str, Sequence[str]]] = {
        "kind": ("records", entry.records),
        "publication-type": ("publication_types", entry.publication_types),
        "mesh": ("mesh", entry.mesh),
    }
    found = []
    for name, (key, written) in by_field.items():
        for j, fact in enumerate(written):
            loc = ("values", place, key, j)
            if name == "mesh" and "/" in fact:
                heading = fact.partition("/")[0].strip()
                raise text.complain(loc, f"a MeSH heading is named without its qualifier; write {heading!r}")
            stated = fact_key(name, fact)
            if not stated[1]:
                raise text.complain(loc, "this is empty; name what is stated, or take the line away")
            if stated in lines:
                raise text.complain(
                    loc,
                    f"{fact!r} already states a value of this facet on line {lines[stated]}; leave it in one of them",
                )
            lines[stated] = text.line(loc)
            found.append(stated)
    return tuple(found)


def _check_name(text: YamlText, written: str, name: str) -> None:
    if written != name:
        raise text.complain(("facet",), f"this file is the facet {name!r}; write `facet: {name}`")


def _refuse_repeated(text: YamlText, loc: Loc, name: str, lines: dict[str, int]) -> None:
    if name in lines:
        raise text.complain(loc, f"the id {name!r} is already on line {lines[name]}; ids must differ, choose another")
    lines[name] = text.line(loc)


def _rule(text: YamlText, loc: Loc, entry: _RuleEntry, numbers: _TermNumbers) -> Rule:
    if not (entry.any or entry.all or entry.title):
        raise text.complain(loc, f"the rule {entry.id!r} requires nothing; give it `any:`, `all:` or `title:`")
    for i, name in enumerate(entry.fields):
        if name not in FIELDS:
            raise text.complain((*loc, "fields", i), f"there is no field {name!r}; the fields are {', '.join(FIELDS)}")
    by_key: dict[str, tuple[int, ...]] = {}
    lists = (entry.any, entry.all, entry.none, entry.except_, entry.title, entry.not_title)
    for key, written in zip(_TERM_KEYS, lists, strict=True):
        found = []
        for i, term in enumerate(written):
            try:
                found.append(numbers.number(term))
            except ValueError as error:
                raise text.complain((*loc, key, i), str(error)) from None
        by_key[key] = tuple(found)
    return Rule(
        id=entry.id,
        any=by_key["any"],
        all=by_key["all"],
        none=by_key["none"],
        except_=by_key["except"],
        title=by_key["title"],
        not_title=by_key["not_title"],
        fields=tuple(entry.fields),
        because=entry.because,
    )


def _value_key(written: str, facet: str) -> ValueKey:
    """`design:rct` → ("design", "rct"); without a facet it is a value of this one."""
    name, colon, value = written.strip().rpartition(":")
    return (name if colon else facet, value)


def _check_references(texts: Sequence[YamlText], facets: tuple[Facet, ...], borrowed: Collection[str]) -> None:
    """ConfigError unless `general`, `with` and `gives_way_to` name values that exist. `borrowed` facets of another topic may name
    values of facets that this topic does not have: these never apply."""
    known = {(facet.facet, value.id) for facet in facets for value in facet.values}
    for text, facet in zip(texts, facets, strict=True):
        own = [value.id for value in facet.values]
        if facet.general is not None and facet.general not in own:
            raise text.complain(("general",), f"there is no value {facet.general!r}{nearest(facet.general, own)}")
        for i, value in enumerate(facet.values):
            for j, other in enumerate(value.gives_way_to):
                if other not in own:
                    raise text.complain(
                        ("values", i, "gives_way_to", j), f"there is no value {other!r}{nearest(other, own)}"
                    )
            for j, key in enumerate(value.with_):
                name = ":".join(key)
                if facet.facet in borrowed and key[0] not in {other.facet for other in facets}:
                    continue
                if key not in known:
                    raise text.complain(
                        ("values", i, "with", j), f"there is no value {name!r}{nearest(name, map(':'.join, known))}"
                    )
                if facet.general is None or key[0] == facet.facet:
                    raise text.complain(
                        ("values", i, "with", j),
                        "`with` needs `general:` in its facet, and names a value of another facet",
                    )
