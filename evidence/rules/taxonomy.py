"""The taxonomy's YAML files → a checked, frozen `Taxonomy`. Every error names file, line and remedy.

A file is a facet: `facet, label, values: [{id, label, means, rules, examples, counterexamples}]`. `screen.yaml` has the same
form, its values are the verdicts. `shared_phrases.yaml` holds the named lists that rules share. Which files there are, `topic`
knows. The rule language is described in `phrase_matching`.

This module reads files and prepares rules. It may not apply them: `rule_matches`, `screen` and `tag` do.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from evidence import strict_yaml
from evidence.rules import phrase_matching
from evidence.rules import topic as topics
from evidence.rules.topic import Topic
from evidence.strict_yaml import Id, Loc, YamlText, nearest, validated

SCREEN = "screen"
"""The facet name of the verdicts, and of the rules that lead to them."""


FIELDS = ("title", "abstract", "kind", "container")
"""The fields of a work that a rule may read."""

TEXT_FIELDS = ("title", "abstract")
"""The fields that a rule reads unless it names others."""

_LIST = re.compile(r"\{([a-z0-9-]+)\}")
_TERM_KEYS = ("any", "all", "none", "except", "title", "not_title")

ValueKey = tuple[str, str]
"""(facet, value id), which names one value of the taxonomy; a verdict is `("screen", "include")`."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. Its terms are numbers: places in the finder of its ruleset. The names are those of the rule language, but for
    `except_`. `given` is a choice of sets: all values of one of these sets must apply to the work."""

    id: str
    any: tuple[int, ...]
    all: tuple[int, ...]
    none: tuple[int, ...]
    except_: tuple[int, ...]
    title: tuple[int, ...]
    not_title: tuple[int, ...]
    given: tuple[tuple[ValueKey, ...], ...]
    unless: tuple[ValueKey, ...]
    fields: tuple[str, ...]
    because: str | None


@dataclass(frozen=True, slots=True)
class Value:
    """One tag (or verdict): its id, label and meaning, and the rules that give it to a work."""

    id: str
    label: str
    means: str
    rules: tuple[Rule, ...]
    examples: tuple[str, ...]
    counterexamples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Facet:
    """One property of a study (variant of the therapy, design, …) and its possible values."""

    facet: str
    label: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Ruleset:
    """Values whose rules are applied together, with the finder of their terms and the fields that are read.

    The rest saves time, as most values can be skipped for most works. `order` has the keys of `values`.
    `values_by_term`: term number → places in `order` of the values that a rule with this term may give. `always_checked`:
    the places of values that a rule gives without any term of its own.
    """

    values: Mapping[ValueKey, Value]
    finder: phrase_matching.Finder
    fields: tuple[str, ...]
    order: tuple[ValueKey, ...]
    values_by_term: Mapping[int, tuple[int, ...]]
    always_checked: tuple[int, ...]

    def values_to_check(self, found: Iterable[int]) -> list[ValueKey]:
        """The values that may apply to a work in which the terms `found` occur, in the taxonomy's order."""
        by_term = self.values_by_term
        places = set(self.always_checked).union(*(by_term[number] for number in found if number in by_term))
        return [self.order[place] for place in sorted(places)]

    def restricted_to(self, wanted: Iterable[ValueKey]) -> Ruleset:
        """The smallest ruleset that can tell whether the `wanted` values apply: these, and the values that their rules name
        under `given` and `unless`. Values that it does not have are left out."""
        kept: set[ValueKey] = set()
        pending = [key for key in wanted if key in self.values]
        while pending:
            key = pending.pop()
            if key not in kept:
                kept.add(key)
                pending += [other for rule in self.values[key].rules for other in _values_named_by(rule)]
        remaining = {key: self.values[key] for key in self.order if key in kept}
        used = sorted(
            {number for value in remaining.values() for rule in value.rules for number in _term_numbers(rule)}
        )
        new_numbers = {number: place for place, number in enumerate(used)}
        values = {
            key: replace(value, rules=tuple(_renumbered(rule, new_numbers) for rule in value.rules))
            for key, value in remaining.items()
        }
        return _ruleset(values, [self.finder.terms[number] for number in used])


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """All facets of a topic and their rules. `digest` (16 hexadecimal digits) changes with any edit but that of a comment;
    `value_digests` has one for each value, of its rules and of the phrase lists that these use."""

    digest: str
    facets: tuple[Facet, ...]
    verdicts: Facet
    screening: Ruleset
    tagging: Ruleset
    value_digests: Mapping[ValueKey, str]
    topic: Topic

    @property
    def tags(self) -> Collection[ValueKey]:
        """Every tag there is; verdicts are not among them."""
        return self.tagging.values.keys()

    def values_changed_since(self, before: Mapping[ValueKey, str]) -> frozenset[ValueKey]:
        """The values that may apply to other works than they did by rules with the value digests `before`: their own rules
        or phrase lists differ, or their rules name a value whose do. Verdicts are among them."""
        digests = self.value_digests
        changed = {key for key in before.keys() | digests.keys() if before.get(key) != digests.get(key)}
        named = {
            key: {other for rule in value.rules for other in _values_named_by(rule)}
            for ruleset in (self.screening, self.tagging)
            for key, value in ruleset.values.items()
        }
        while more := {key for key, others in named.items() if key not in changed and others & changed}:
            changed |= more
        return frozenset(changed)

    def facet(self, name: str) -> Facet | None:
        """The facet of that name (`screen`: the verdicts); None when there is no such facet."""
        return next((facet for facet in (self.verdicts, *self.facets) if facet.facet == name), None)


def load(of: Topic | Path | str = topics.DEFAULT) -> Taxonomy:
    """The taxonomy of a topic, of the topic in this folder, or of the shipped topic with this name; ConfigError with file,
    line and remedy.

    Files with the same text give the same taxonomy, made once a process.
    """
    topic = of if isinstance(of, Topic) else topics.load(of)
    remedy = "write it, or name another file in topic.yaml"
    paths = (topic.phrases_path, topic.screen_path, *(facet.path for facet in topic.facets))
    return _taxonomy(topic, tuple((str(path), _read(path, remedy, topic)) for path in paths))


def _read(path: Path, remedy: str, topic: Topic) -> str:
    """The text of a file of the topic. A topic may do without named lists; a facet of another topic brings its own."""
    if path != topic.phrases_path:
        return strict_yaml.read_text(path, remedy)
    if not any(facet.borrowed for facet in topic.facets):
        return strict_yaml.read_text(path) if path.exists() else "lists: {}"
    files = dict.fromkeys((*(f.path.parent / topics.PHRASES_FILE for f in topic.facets if f.borrowed), path))
    found = [file.read_text(encoding="utf-8").partition("\nlists:")[2] for file in files if file.exists()]
    return "\n".join(("lists:", *found)) if found else "lists: {}"


@lru_cache(maxsize=4)
def _taxonomy(topic: Topic, files: tuple[tuple[str, str], ...]) -> Taxonomy:
    """The taxonomy of these files, each its name and its text: the named lists, screening, then the facets."""
    phrases, *texts = (strict_yaml.parse(text, name) for name, text in files)
    lists = _phrase_lists(phrases)
    screen_terms, tag_terms = _TermNumbers(lists), _TermNumbers(lists)
    verdicts = _facet(texts[0], SCREEN, screen_terms)
    facets = tuple(_facet(text, name, tag_terms) for text, name in zip(texts[1:], topic.facet_ids, strict=True))
    facets = tuple(
        _with_known_references(facet, _by_key(facets)) if about.borrowed else facet
        for facet, about in zip(facets, topic.facets, strict=True)
    )
    _check_references(texts[:1], (verdicts,))
    _check_references(texts[1:], facets)
    topic.check_values({facet.facet: [value.id for value in facet.values] for facet in facets})
    source = json.dumps([text.data for text in (phrases, *texts)], ensure_ascii=False, sort_keys=True)
    return Taxonomy(
        hashlib.sha256(source.encode()).hexdigest()[:16],
        facets,
        verdicts,
        _ruleset(_by_key((verdicts,)), screen_terms.terms),
        _ruleset(_by_key(facets), tag_terms.terms),
        {key: digest for text in texts for key, digest in _value_digests(text.data, lists)},
        topic,
    )


def _with_known_references(facet: Facet, known: Mapping[ValueKey, Value]) -> Facet:
    """A facet of another topic without what its rules say about facets that this topic does not have."""
    values = []
    for value in facet.values:
        rules = []
        for rule in value.rules:
            given = tuple(choice for choice in rule.given if all(key in known for key in choice))
            if given or not rule.given:
                unless = tuple(key for key in rule.unless if key in known)
                rules.append(replace(rule, given=given, unless=unless))
        values.append(replace(value, rules=tuple(rules)))
    return replace(facet, values=tuple(values))


def _by_key(facets: tuple[Facet, ...]) -> dict[ValueKey, Value]:
    return {(facet.facet, value.id): value for facet in facets for value in facet.values}


def _value_digests(data: Any, lists: Mapping[str, Sequence[str]]) -> Iterator[tuple[ValueKey, str]]:
    """Each value of a facet file with a digest of its rules and of the phrase lists they use."""
    for value in data["values"]:
        written = json.dumps(value["rules"], ensure_ascii=False, sort_keys=True)
        used: dict[str, Sequence[str]] = {}
        pending = _LIST.findall(written)
        while pending:
            name = pending.pop()
            if name not in used and name in lists:
                used[name] = lists[name]
                pending += _LIST.findall(json.dumps(lists[name], ensure_ascii=False))
        source = written + json.dumps(used, ensure_ascii=False, sort_keys=True)
        yield (data["facet"], value["id"]), hashlib.sha256(source.encode()).hexdigest()[:16]


def _term_numbers(rule: Rule) -> Iterator[int]:
    for numbers in (rule.any, rule.all, rule.none, rule.except_, rule.title, rule.not_title):
        yield from numbers


def _renumbered(rule: Rule, new: Mapping[int, int]) -> Rule:
    def numbers(old: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(new[number] for number in old)

    return replace(
        rule,
        any=numbers(rule.any),
        all=numbers(rule.all),
        none=numbers(rule.none),
        except_=numbers(rule.except_),
        title=numbers(rule.title),
        not_title=numbers(rule.not_title),
    )


def _ruleset(values: Mapping[ValueKey, Value], parsed: Sequence[phrase_matching.Term]) -> Ruleset:
    read = {field for value in values.values() for rule in value.rules for field in (*rule.fields, "title")}
    by_term: dict[int, dict[int, None]] = {}
    always: dict[int, None] = {}
    for place, value in enumerate(values.values()):
        for rule in value.rules:
            # Without one of these terms the rule cannot apply: one of `any` or `title`, or the first of `all`.
            required = rule.any or rule.title or rule.all[:1]
            for number in required:
                by_term.setdefault(number, {})[place] = None
            if not required:
                always[place] = None
    return Ruleset(
        values,
        phrase_matching.Finder(parsed),
        tuple(field for field in FIELDS if field in read),
        tuple(values),
        {number: tuple(places) for number, places in by_term.items()},
        tuple(always),
    )


class _TermNumbers:
    """The terms of a ruleset, each once. A term's number is its place in `terms`."""

    def __init__(self, lists: dict[str, list[str]]) -> None:
        self.lists, self.terms, self._numbers = lists, list[phrase_matching.Term](), dict[str, int]()
        self._parsed_lists: phrase_matching.ParsedLists = {}

    def number(self, source: str) -> int:
        """The number of this term; ValueError when it cannot be read."""
        if source not in self._numbers:
            self.terms.append(phrase_matching.parse_term(source, self.lists, self._parsed_lists))
            self._numbers[source] = len(self.terms) - 1
        return self._numbers[source]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


_Sentence = Annotated[str, Field(min_length=1)]


class _RuleEntry(_Strict):
    id: Id
    any: list[_Sentence] = []
    all: list[_Sentence] = []
    none: list[_Sentence] = []
    except_: list[_Sentence] = Field(default=[], alias="except")
    title: list[_Sentence] = []
    not_title: list[_Sentence] = []
    given: list[_Sentence] = []
    unless: list[_Sentence] = []
    fields: list[_Sentence] = list(TEXT_FIELDS)
    because: _Sentence | None = None


class _ValueEntry(_Strict):
    id: Id
    label: _Sentence
    means: _Sentence
    rules: list[_RuleEntry] = Field(min_length=1)
    examples: list[_Sentence] = Field(min_length=2)
    counterexamples: list[_Sentence] = Field(min_length=1)


class _FacetFile(_Strict):
    facet: _Sentence
    label: _Sentence
    values: list[_ValueEntry] = Field(min_length=1)


class _PhrasesFile(_Strict):
    lists: dict[Id, list[_Sentence]]


_PHRASES_SHAPE = "write it like `lists: {name: [term, term]}`"
_FACET_SHAPE = (
    "write it like `values: [{id, label, means, rules: [{id, any, all, none, except, title, not_title, given, "
    "unless, fields, because}], examples: two or more, counterexamples: one or more}]`"
)


def _phrase_lists(text: YamlText) -> dict[str, list[str]]:
    lists = validated(_PhrasesFile, text, remedy=_PHRASES_SHAPE).lists
    parsed: phrase_matching.ParsedLists = {}
    for name, listed in lists.items():
        for i, term in enumerate(listed):
            try:
                phrase_matching.parse_term(term, lists, parsed)
            except ValueError as error:
                raise text.complain(("lists", name, i), str(error)) from None
    return lists


def _facet(text: YamlText, name: str, numbers: _TermNumbers) -> Facet:
    file = validated(_FacetFile, text, remedy=_FACET_SHAPE)
    if file.facet != name:
        raise text.complain(("facet",), f"this file is the facet {name!r}; write `facet: {name}`")
    values: list[Value] = []
    lines: dict[str, int] = {}
    for i, entry in enumerate(file.values):
        _refuse_repeated(text, ("values", i, "id"), entry.id, lines)
        rules = []
        for j, rule in enumerate(entry.rules):
            _refuse_repeated(text, ("values", i, "rules", j, "id"), f"{entry.id}/{rule.id}", lines)
            rules.append(_rule(text, ("values", i, "rules", j), rule, numbers, name))
        texts = (tuple(entry.examples), tuple(entry.counterexamples))
        values.append(Value(entry.id, entry.label, entry.means, tuple(rules), *texts))
    return Facet(name, file.label, tuple(values))


def _refuse_repeated(text: YamlText, loc: Loc, name: str, lines: dict[str, int]) -> None:
    if name in lines:
        raise text.complain(loc, f"the id {name!r} is already on line {lines[name]}; ids must differ, choose another")
    lines[name] = text.line(loc)


def _rule(text: YamlText, loc: Loc, entry: _RuleEntry, numbers: _TermNumbers, facet: str) -> Rule:
    if not (entry.any or entry.all or entry.title or entry.given):
        raise text.complain(
            loc, f"the rule {entry.id!r} requires nothing; give it `any:`, `all:`, `title:` or `given:`"
        )
    for i, field in enumerate(entry.fields):
        if field not in FIELDS:
            raise text.complain((*loc, "fields", i), f"there is no field {field!r}; the fields are {', '.join(FIELDS)}")
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
        given=tuple(tuple(_value_key(part, facet) for part in choice.split(" + ")) for choice in entry.given),
        unless=tuple(_value_key(written, facet) for written in entry.unless),
        fields=tuple(entry.fields),
        because=entry.because,
    )


def _value_key(written: str, facet: str) -> ValueKey:
    """`design:rct` → ("design", "rct"); without a facet it is a value of this one."""
    name, colon, value = written.strip().rpartition(":")
    return (name if colon else facet, value)


def _check_references(texts: list[YamlText], facets: tuple[Facet, ...]) -> None:
    """ConfigError unless `given` and `unless` name values that exist, and no value depends on itself."""
    known = _by_key(facets)
    for text, facet in zip(texts, facets, strict=True):
        for i, value in enumerate(facet.values):
            for j, rule in enumerate(value.rules):
                for key in _values_named_by(rule):
                    if key not in known:
                        name = ":".join(key)
                        hint = nearest(name, map(":".join, known))
                        raise text.complain(("values", i, "rules", j), f"there is no value {name!r}{hint}")
            if cycle := _cycle((facet.facet, value.id), known):
                raise text.complain(
                    ("values", i),
                    f"`given` and `unless` run in a circle ({' → '.join(map(':'.join, cycle))}); remove one of them",
                )


def _values_named_by(rule: Rule) -> Iterator[ValueKey]:
    """The values under `given` and `unless`."""
    for choice in rule.given:
        yield from choice
    yield from rule.unless


def _cycle(start: ValueKey, known: dict[ValueKey, Value]) -> list[ValueKey] | None:
    """The values by which `start` depends on itself, from `start` to `start`; None when it does not."""
    done: set[ValueKey] = set()

    def walk(key: ValueKey, path: list[ValueKey]) -> list[ValueKey] | None:
        for rule in known[key].rules if key in known else ():
            for other in _values_named_by(rule):
                if other == start:
                    return [*path, other]
                if other not in done:
                    done.add(other)
                    if found := walk(other, [*path, other]):
                        return found
        return None

    return walk(start, [start])
