"""The texts of a topic's YAML files → a checked `Taxonomy`. Every error names file, line and remedy.

A facet file has values made of words and facts: `facet, label, about, values: [{id, label, means, words, instruments, loose,
not, ages, with, gives_way_to, text, records, publication_types, mesh, examples, counterexamples}]`; `word_finder` describes a
term, `stated_facts` a fact. `screen.yaml` has verdicts made of rules, whose language `phrase_matching` describes;
`shared_phrases.yaml` holds the named lists that these rules share.

`taxonomy` imports this module only when rules are not kept on disk: pydantic and YAML take longer to import than a short
command. This module may not open files but `topic.yaml`, whose lines it names.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from evidence import strict_yaml
from evidence.rules import phrase_matching
from evidence.rules.decide import weights_digest
from evidence.rules.mention_roles import About, TextKind
from evidence.rules.stated_facts import FactField, FactKey, fact_key
from evidence.rules.taxonomy import (
    FIELDS,
    OLDEST,
    SCREEN,
    TEXT_FIELDS,
    Facet,
    Learnt,
    Rule,
    Ruleset,
    Taxonomy,
    Texts,
    Value,
    ValueKey,
    Verdict,
    Verdicts,
    digest_of,
    weights_path,
)
from evidence.rules.topic import Topic
from evidence.rules.topic_file import check_values
from evidence.rules.word_finder import term_forms
from evidence.strict_yaml import Id, Loc, YamlText, nearest, validated

_TERM_KEYS = ("any", "all", "none", "except", "title", "not_title")
_NOTHING_LEARNT = Learnt("", ())


def read(topic: Topic, files: Texts, weights: Texts) -> Taxonomy:
    """The taxonomy of these files: the named lists, screening, then the facets of the topic in its order; `weights` are the files
    of what was learnt about values. ConfigError with file, line and remedy."""
    by_path = {path: _by_facet(written) for path, written in weights}
    learnt = [
        (facet.id, by_path.get(str(weights_path(facet)), {}).get(facet.id, _NOTHING_LEARNT)) for facet in topic.facets
    ]
    phrases, screen, *texts = (strict_yaml.parse(text, name) for name, text in files)
    lists = _phrase_lists(phrases)
    terms = _TermNumbers(lists)
    verdicts = _verdicts(screen, terms)
    facets = tuple(_facet(text, name) for text, name in zip(texts, topic.facet_ids, strict=True))
    _check_references(texts, facets, frozenset(facet.id for facet in topic.facets if facet.borrowed))
    check_values(topic, {facet.facet: [value.id for value in facet.values] for facet in facets})
    source = json.dumps([text.data for text in (phrases, screen, *texts)], ensure_ascii=False, sort_keys=True)
    by_key = {(SCREEN, value.id): value for value in verdicts.values}
    used = {field for value in verdicts.values for rule in value.rules for field in (*rule.fields, "title")}
    rules = json.dumps([phrases.data, screen.data], ensure_ascii=False, sort_keys=True)
    return Taxonomy(
        digest_of(
            source + topic.intervention + weights_digest() + repr(tuple([(facet, of.written) for facet, of in learnt]))
        ),
        facets,
        verdicts,
        Ruleset(by_key, phrase_matching.Finder(terms.terms), tuple(field for field in FIELDS if field in used)),
        topic,
        dict.fromkeys(by_key, digest_of(rules)),
        {facet: of for facet, of in learnt if of.written},
    )


def _by_facet(written: str) -> Mapping[str, Learnt]:
    """The text of a file of weights → what it has for each facet. One file serves all facets of a folder."""
    return {
        facet: Learnt(json.dumps(entries, ensure_ascii=False), entries)
        for facet, entries in json.loads(written).items()
        if entries
    }


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
    fields: list[_Sentence] = list(TEXT_FIELDS)
    because: _Sentence | None = None


class _VerdictEntry(_Strict):
    id: Id
    label: _Sentence
    means: _Sentence
    rules: list[_RuleEntry] = Field(min_length=1)
    examples: list[_Sentence] = Field(min_length=2)
    counterexamples: list[_Sentence] = Field(min_length=1)


class _ScreenFile(_Strict):
    facet: _Sentence
    label: _Sentence
    values: list[_VerdictEntry] = Field(min_length=1)


_Years = Annotated[float, Field(strict=False, ge=0, le=OLDEST)]


class _AgesEntry(_Strict):
    from_: _Years = Field(default=0, alias="from")
    to: _Years = OLDEST


class _ValueEntry(_Strict):
    id: Id
    label: _Sentence
    means: _Sentence
    words: list[_Sentence] = []
    instruments: list[_Sentence] = []
    loose: list[_Sentence] = []
    not_: list[_Sentence] = Field(default=[], alias="not")
    ages: _AgesEntry | None = None
    with_: list[_Sentence] = Field(default=[], alias="with")
    gives_way_to: list[_Sentence] = []
    text: TextKind | None = None
    records: list[_Sentence] = []
    publication_types: list[_Sentence] = []
    mesh: list[_Sentence] = []
    examples: list[_Sentence] = Field(min_length=2)
    counterexamples: list[_Sentence] = Field(min_length=1)


class _FacetFile(_Strict):
    facet: _Sentence
    label: _Sentence
    about: About
    general: _Sentence | None = None
    values: list[_ValueEntry] = Field(min_length=1)


class _PhrasesFile(_Strict):
    lists: dict[Id, list[_Sentence]]


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
