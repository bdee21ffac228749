"""Taxonomy YAML → a checked, frozen `Rulebook`; every complaint names file, line and remedy.

It reads what a reviewer wrote and makes it ready to be matched. It judges nothing: what a rule does to a work is for
`screen` and `tag`. A file is a facet: `facet, label, values: [{id, label, means, rules, examples, counterexamples}]`;
`screen.yaml` is one too, its values being the verdicts; `shared_phrases.yaml` holds the named lists that rules share.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, TypeVar

import pydantic
from pydantic import BaseModel, ConfigDict, Field

from evidence import strict_yaml
from evidence.rules import terms
from evidence.strict_yaml import Loc, YamlText

SCREEN = "screen"
FACETS = ("variant", "outcome", "problem_area", "format", "population", "condition", "comparator", "design")
"""The facets in the order a reader meets them; each is a file beside `screen.yaml`."""

BUNDLED = Path(__file__).parents[1] / "taxonomy"
"""The folder of the taxonomy that comes with the program."""

LISTS_FILE = "shared_phrases.yaml"
"""The file of the named lists that rules share."""

_FILES = {"variant": "therapy_variant.yaml", "format": "delivery_format.yaml"}

FIELDS = ("title", "abstract", "kind", "container")
TEXT_FIELDS = ("title", "abstract")
_LIST = re.compile(r"\{([a-z0-9-]+)\}")
_TERM_KEYS = ("any", "all", "none", "except", "title", "not_title")

Said = tuple[str, str]
"""(facet, value)"""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, its terms as numbers into the finder of its book; `given` is a choice of sets that must all be said."""

    id: str
    any: tuple[int, ...]
    all: tuple[int, ...]
    none: tuple[int, ...]
    but_not: tuple[int, ...]
    title: tuple[int, ...]
    not_title: tuple[int, ...]
    given: tuple[tuple[Said, ...], ...]
    unless: tuple[Said, ...]
    fields: tuple[str, ...]
    because: str | None


@dataclass(frozen=True, slots=True)
class Value:
    """One thing that can be said of a work, what it means, and the rules that say it."""

    id: str
    label: str
    means: str
    rules: tuple[Rule, ...]
    examples: tuple[str, ...]
    counterexamples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Facet:
    """One question asked of every work (its variant, its design, …) and the values that answer it."""

    facet: str
    label: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Ruleset:
    """Facets whose rules are read together: their values by (facet, value), the finder of their terms, the fields read.

    `wakes` leads from a term to the values (by number, in order) that a rule with this term may say; `awake` are those that
    a rule says without a word of its own. Of most works nearly every value sleeps.
    """

    values: Mapping[Said, Value]
    finder: terms.Finder
    fields: tuple[str, ...]
    order: tuple[Said, ...]
    wakes: Mapping[int, tuple[int, ...]]
    awake: tuple[int, ...]

    def woken(self, terms: Iterable[int]) -> list[Said]:
        """The values that may be said of a work in which these terms stand, in the taxonomy's order."""
        numbers = set(self.awake).union(*(self.wakes[term] for term in terms if term in self.wakes))
        return [self.order[number] for number in sorted(numbers)]

    def part(self, wanted: Iterable[Said]) -> Ruleset:
        """The ruleset of these values alone, with those that their rules ask about: what has to be read to say them."""
        kept: dict[Said, None] = {}
        open_ones = [said for said in wanted if said in self.values]
        while open_ones:
            said = open_ones.pop()
            if said not in kept:
                kept[said] = None
                open_ones += [asked for rule in self.values[said].rules for asked in _asked(rule)]
        rulings = {said: self.values[said] for said in self.order if said in kept}
        used = sorted({number for value in rulings.values() for rule in value.rules for number in _numbers(rule)})
        new = {number: place for place, number in enumerate(used)}
        values = {
            said: replace(value, rules=tuple(_renumbered(rule, new) for rule in value.rules))
            for said, value in rulings.items()
        }
        return _ruleset(values, [self.finder.terms[number] for number in used])


@dataclass(frozen=True, slots=True)
class Rulebook:
    """Everything the rules say. `digest` (16 hexadecimal digits) changes with any edit of a rule or a word list."""

    digest: str
    facets: tuple[Facet, ...]
    verdicts: Facet
    screening: Ruleset
    tagging: Ruleset
    marks: Mapping[Said, str]

    @property
    def values(self) -> Collection[Said]:
        """Every facet and value that can be said of a work."""
        return self.tagging.values.keys()

    def touched(self, before: Mapping[Said, str]) -> frozenset[Said]:
        """The values that may be said otherwise than by rules with the marks `before`: their own rules or word lists
        differ, or they ask about a value whose do. Screening's verdicts are among them, as `("screen", "include")`."""
        changed = {said for said in before.keys() | self.marks.keys() if before.get(said) != self.marks.get(said)}
        asking = {
            said: {asked for rule in value.rules for asked in _asked(rule)}
            for ruleset in (self.screening, self.tagging)
            for said, value in ruleset.values.items()
        }
        while more := {said for said, asked in asking.items() if said not in changed and asked & changed}:
            changed |= more
        return frozenset(changed)

    def facet(self, name: str) -> Facet | None:
        """The facet of that name, the screening included; None when there is no such facet."""
        return next((facet for facet in (self.verdicts, *self.facets) if facet.facet == name), None)


def file_of(name: str) -> str:
    """The file that holds the facet (or screening) of that name: `variant` → `therapy_variant.yaml`."""
    return _FILES.get(name, f"{name}.yaml")


def load(folder: Path | None = None) -> Rulebook:
    """The rulebook in `folder` (None: the one that comes with the program); ConfigError with file, line and remedy.

    Files that have not changed give the rulebook that was made of them before.
    """
    paths = [(folder or BUNDLED) / name for name in (LISTS_FILE, *map(file_of, (SCREEN, *FACETS)))]
    return _rulebook(tuple((str(path), strict_yaml.read_text(path)) for path in paths))


@lru_cache(maxsize=4)
def _rulebook(files: tuple[tuple[str, str], ...]) -> Rulebook:
    """The rulebook of these files, each its name and its text: the word lists, screening, then the facets."""
    words, *texts = (strict_yaml.parse(text, name) for name, text in files)
    lists = _lists(words)
    screen_terms, tag_terms = _Terms(lists), _Terms(lists)
    verdicts = _facet(texts[0], SCREEN, screen_terms)
    facets = tuple(_facet(text, name, tag_terms) for text, name in zip(texts[1:], FACETS, strict=True))
    _check_references(texts[:1], (verdicts,))
    _check_references(texts[1:], facets)
    source = json.dumps([text.data for text in (words, *texts)], ensure_ascii=False, sort_keys=True)
    return Rulebook(
        hashlib.sha256(source.encode()).hexdigest()[:16],
        facets,
        verdicts,
        _ruleset(_by_said((verdicts,)), screen_terms.terms),
        _ruleset(_by_said(facets), tag_terms.terms),
        {said: mark for text in texts for said, mark in _marks(text.data, lists)},
    )


def _by_said(facets: tuple[Facet, ...]) -> dict[Said, Value]:
    return {(facet.facet, value.id): value for facet in facets for value in facet.values}


def _marks(data: Any, lists: Mapping[str, Sequence[str]]) -> Iterator[tuple[Said, str]]:
    """Each value of a facet file with a digest of its rules and of the word lists they use."""
    for value in data["values"]:
        written = json.dumps(value["rules"], ensure_ascii=False, sort_keys=True)
        used: dict[str, Sequence[str]] = {}
        open_ones = _LIST.findall(written)
        while open_ones:
            name = open_ones.pop()
            if name not in used and name in lists:
                used[name] = lists[name]
                open_ones += _LIST.findall(json.dumps(lists[name], ensure_ascii=False))
        source = written + json.dumps(used, ensure_ascii=False, sort_keys=True)
        yield (data["facet"], value["id"]), hashlib.sha256(source.encode()).hexdigest()[:16]


def _numbers(rule: Rule) -> Iterator[int]:
    for numbers in (rule.any, rule.all, rule.none, rule.but_not, rule.title, rule.not_title):
        yield from numbers


def _renumbered(rule: Rule, new: Mapping[int, int]) -> Rule:
    def numbers(old: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(new[number] for number in old)

    return replace(
        rule,
        any=numbers(rule.any),
        all=numbers(rule.all),
        none=numbers(rule.none),
        but_not=numbers(rule.but_not),
        title=numbers(rule.title),
        not_title=numbers(rule.not_title),
    )


def _ruleset(values: Mapping[Said, Value], parsed: Sequence[terms.Term]) -> Ruleset:
    read = {field for value in values.values() for rule in value.rules for field in (*rule.fields, "title")}
    wakes: dict[int, dict[int, None]] = {}
    awake: dict[int, None] = {}
    for number, value in enumerate(values.values()):
        for rule in value.rules:
            needed = rule.any or rule.title or rule.all[:1]
            for term in needed:
                wakes.setdefault(term, {})[number] = None
            if not needed:
                awake[number] = None
    return Ruleset(
        values,
        terms.Finder(parsed),
        tuple(field for field in FIELDS if field in read),
        tuple(values),
        {term: tuple(numbers) for term, numbers in wakes.items()},
        tuple(awake),
    )


class _Terms:
    """The terms of a book, each kept once and known by its number."""

    def __init__(self, lists: dict[str, list[str]]) -> None:
        self.lists, self.terms, self._numbers = lists, list[terms.Term](), dict[str, int]()
        self._known: terms.Known = {}

    def number(self, source: str) -> int:
        """The number of this term; ValueError when it cannot be read."""
        if source not in self._numbers:
            self.terms.append(terms.parse(source, self.lists, self._known))
            self._numbers[source] = len(self.terms) - 1
        return self._numbers[source]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


_Id = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
_Sentence = Annotated[str, Field(min_length=1)]


class _RuleEntry(_Strict):
    id: _Id
    any: list[_Sentence] = []
    all: list[_Sentence] = []
    none: list[_Sentence] = []
    but_not: list[_Sentence] = Field(default=[], alias="except")
    title: list[_Sentence] = []
    not_title: list[_Sentence] = []
    given: list[_Sentence] = []
    unless: list[_Sentence] = []
    fields: list[_Sentence] = list(TEXT_FIELDS)
    because: _Sentence | None = None


class _ValueEntry(_Strict):
    id: _Id
    label: _Sentence
    means: _Sentence
    rules: list[_RuleEntry] = Field(min_length=1)
    examples: list[_Sentence] = Field(min_length=2)
    counterexamples: list[_Sentence] = Field(min_length=1)


class _FacetFile(_Strict):
    facet: _Sentence
    label: _Sentence
    values: list[_ValueEntry] = Field(min_length=1)


class _WordsFile(_Strict):
    lists: dict[_Id, list[_Sentence]]


_Model = TypeVar("_Model", bound=BaseModel)


def _validated(model: type[_Model], text: YamlText) -> _Model:
    try:
        return model.model_validate(text.data)
    except pydantic.ValidationError as error:
        errors = error.errors()  # a misspelt key is also a missing one: name what is there
        first = next((found for found in errors if found["type"] == "extra_forbidden"), errors[0])
        loc = tuple(first["loc"])
        raise text.complain(loc, _remedy(model, loc, first)) from None


def _remedy(model: type[BaseModel], loc: Loc, error: Any) -> str:
    key = loc[-1] if loc else "the file"
    if error["type"] == "extra_forbidden":
        return f"unknown key {key!r}; {_shape(model)}"
    if error["type"] == "missing":
        return f"`{key}:` is missing; {_shape(model)}"
    if error["type"] == "string_pattern_mismatch":
        return f"{error['input']!r} is no id; write it like `interpersonal-deficits`: a-z, 0-9 and hyphens"
    if error["type"] == "too_short":
        return f"`{key}:` needs at least {error['ctx']['min_length']}; {_shape(model)}"
    return f"`{key}:` {error['msg'][:1].lower()}{error['msg'][1:]}; {_shape(model)}"


def _shape(model: type[BaseModel]) -> str:
    if model is _WordsFile:
        return "write it like `lists: {name: [term, term]}`"
    return (
        "write it like `values: [{id, label, means, rules: [{id, any, all, none, except, title, not_title, given, "
        "unless, fields, because}], examples: two or more, counterexamples: one or more}]`"
    )


def _lists(text: YamlText) -> dict[str, list[str]]:
    lists = _validated(_WordsFile, text).lists
    known: terms.Known = {}
    for name, listed in lists.items():
        for i, term in enumerate(listed):
            try:
                terms.parse(term, lists, known)
            except ValueError as error:
                raise text.complain(("lists", name, i), str(error)) from None
    return lists


def _facet(text: YamlText, name: str, terms: _Terms) -> Facet:
    file = _validated(_FacetFile, text)
    if file.facet != name:
        raise text.complain(("facet",), f"this file is the facet {name!r}; write `facet: {name}`")
    values: list[Value] = []
    taken: dict[str, int] = {}
    for i, entry in enumerate(file.values):
        _once(text, ("values", i, "id"), entry.id, taken)
        ruled = []
        for j, rule in enumerate(entry.rules):
            _once(text, ("values", i, "rules", j, "id"), f"{entry.id}/{rule.id}", taken)
            ruled.append(_rule(text, ("values", i, "rules", j), rule, terms, name))
        shown = (tuple(entry.examples), tuple(entry.counterexamples))
        values.append(Value(entry.id, entry.label, entry.means, tuple(ruled), *shown))
    return Facet(name, file.label, tuple(values))


def _once(text: YamlText, loc: Loc, name: str, taken: dict[str, int]) -> None:
    if name in taken:
        raise text.complain(loc, f"{name!r} stands here and on line {taken[name]}; ids are keys, give one another")
    taken[name] = text.line(loc)


def _rule(text: YamlText, loc: Loc, entry: _RuleEntry, terms: _Terms, facet: str) -> Rule:
    if not (entry.any or entry.all or entry.title or entry.given):
        raise text.complain(
            loc, f"the rule {entry.id!r} asks for nothing; give it `any:`, `all:`, `title:` or `given:`"
        )
    for i, field in enumerate(entry.fields):
        if field not in FIELDS:
            raise text.complain((*loc, "fields", i), f"there is no field {field!r}; the fields are {', '.join(FIELDS)}")
    numbers: dict[str, tuple[int, ...]] = {}
    lists = (entry.any, entry.all, entry.none, entry.but_not, entry.title, entry.not_title)
    for key, written in zip(_TERM_KEYS, lists, strict=True):
        found = []
        for i, term in enumerate(written):
            try:
                found.append(terms.number(term))
            except ValueError as error:
                raise text.complain((*loc, key, i), str(error)) from None
        numbers[key] = tuple(found)
    given = tuple(tuple(_said(part, facet) for part in choice.split(" + ")) for choice in entry.given)
    unless = tuple(_said(written, facet) for written in entry.unless)
    return Rule(
        id=entry.id,
        any=numbers["any"],
        all=numbers["all"],
        none=numbers["none"],
        but_not=numbers["except"],
        title=numbers["title"],
        not_title=numbers["not_title"],
        given=given,
        unless=unless,
        fields=tuple(entry.fields),
        because=entry.because,
    )


def _said(written: str, facet: str) -> Said:
    name, colon, value = written.strip().rpartition(":")
    return (name if colon else facet, value)


def _check_references(texts: list[YamlText], facets: tuple[Facet, ...]) -> None:
    """`given` and `unless` name values that exist, and no value waits for itself."""
    known = {(facet.facet, value.id): value for facet in facets for value in facet.values}
    for text, facet in zip(texts, facets, strict=True):
        for i, value in enumerate(facet.values):
            for j, rule in enumerate(value.rules):
                for said in _asked(rule):
                    if said not in known:
                        names = [":".join(key) for key in known]
                        near = difflib.get_close_matches(":".join(said), names, 1)
                        hint = f"; did you mean {near[0]!r}?" if near else ""
                        raise text.complain(("values", i, "rules", j), f"no value is called {':'.join(said)!r}{hint}")
            if loop := _loop((facet.facet, value.id), known):
                raise text.complain(
                    ("values", i),
                    f"`given` and `unless` run in a circle: {' → '.join(':'.join(said) for said in loop)}",
                )


def _asked(rule: Rule) -> Iterator[Said]:
    for choice in rule.given:
        yield from choice
    yield from rule.unless


def _loop(start: Said, known: dict[Said, Value]) -> list[Said] | None:
    done: set[Said] = set()

    def walk(said: Said, path: list[Said]) -> list[Said] | None:
        for rule in known[said].rules if said in known else ():
            for asked in _asked(rule):
                if asked == start:
                    return [*path, asked]
                if asked not in done:
                    done.add(asked)
                    if found := walk(asked, [*path, asked]):
                        return found
        return None

    return walk(start, [start])


def spoken(words: str) -> str:
    """A fragment of a `because` or label, without a closing full stop, to go inside a sentence."""
    return re.sub(r"[.\s]+$", "", words)
