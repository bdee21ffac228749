"""The rule language: what a term means, and where it occurs in a text.

This module parses terms and finds them. It may not read files, and it knows no facets and no rules: `taxonomy` reads the
terms, `rule_matches` applies the rules made of them.

A **term** is what a person writes in a rule (or under `phrases` in sources.yaml):

==========================  ===========================================================================================
`interpersonal therapy`     these whole words, in any case; between them any run of spaces and dashes (`-`, `‐`, `–`, `—` …)
`therap*`                   a word with any ending, or none: therapy, therapies, therapist
`post-partum`               a hyphen also matches nothing and a space: post-partum, post partum, postpartum
`IPT-A`                     a word with two or more capitals is case-sensitive (`IPT` does not match "ipt", nor `ROSE` "rose")
`(brief|short term) IPT`    one of several; each may be more than one word
`[group|brief] IPT`         one of several, or nothing
`compared with <3> IPT`     at most three words between the two, inside one sentence
`{ipt} for <2> couples`     `{ipt}` is a list with that name in `shared_phrases.yaml`
`{school}+ therapies`       one or more terms of the list, side by side: "cognitive, supportive and brief dynamic therapies"
`/ipt.{0,9}\\bvs\\b/`       a regular expression, in any case, for what nothing above can say
==========================  ===========================================================================================

Accents do not matter (`Asberg` finds Åsberg). Chinese and Japanese terms are found anywhere, because no spaces separate words
there.

A **rule** applies to a work when every term of `all`, at least one of `any` and none of `none` is found in its `fields` (title
and abstract unless it names others). A hit inside a hit of one of the rule's `except` terms does not count:
`any: [placebo]` with `except: [placebo effect*]`. `title: […]` requires one of these terms in the title, `not_title: […]`
none of them there. `given: [facet:value, facet:value + facet:value, …]` requires that one of these values (or all those
joined by `+`) applies to the work too, `unless: [facet:value, …]` that none does.

Offsets are exact: a text is folded (case, dashes, accents) character by character, and its length never changes.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from itertools import accumulate
from typing import NamedTuple

Span = tuple[int, int]
"""Start and end of a hit: offsets in characters, the end exclusive."""

WordSet = tuple[frozenset[str], frozenset[str]]
"""Whole words, and stems (which stand for every word that begins with them)."""

Hits = dict[int, list[Span]]
"""Term number → where the term occurs, in reading order."""

_UNSPACED = r"\u3040-\u30ff\u3400-\u9fff"  # Japanese and Chinese: every character is a word of its own
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_JOINT = r"[\s-]++"
_LOOSE_JOINT = r"[\s-]*+"
_SERIES = r"(?:\s*+[,;/&+]\s*+|[\s-]++)(?:(?:and|or|vs\.?|versus|v\.?|plus|with|und|oder|y|e|et|ou|en)\s+)?"
_END = r"(?!\w)"
_NO_END = re.compile(rf"[\W_{_UNSPACED}]")
"""A last character that ends a word by itself."""
_LONGEST_BETWEEN = 80
"""Letters of a word inside a gap; anything longer is a web address, or no word."""
_BETWEEN = rf"(?:vs\.|(?:[^\s.;:!?]|[.:](?=\S)){{1,{_LONGEST_BETWEEN}}})"
_LEXEME = re.compile(
    r"(?P<space>\s+)|(?P<gap><\d+>)|(?P<list>\{[a-z0-9-]+\}\+?)|(?P<mark>[()\[\]|])|(?P<word>[^\s()\[\]{}<>|]+)|(?P<bad>.)"
)
_MAX_GAP = 12
_LONGEST_RUN = 8
"""Punctuation marks or blanks in a row inside a gap. The limit keeps the time in proportion to the text: from every start only
so much is looked at."""
_NO_GATE = -1
"""The gate of terms without one: always open."""
_WORDS_CACHED = 100_000
"""Some ten megabytes: more different words than a large harvest has."""


class Text:
    """One text prepared for matching: folded to the same length, and the offsets at which each of its words begins."""

    __slots__ = ("lower", "plain", "starts", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.plain = fold_same_length(text)
        lower = self.plain.lower()
        self.lower = lower if len(lower) == len(text) else "".join(map(_lower, self.plain))
        starts = defaultdict[str, list[int]](list)
        for word in _WORD.finditer(self.lower):
            starts[word[0]].append(word.start())
        self.starts: Mapping[str, list[int]] = starts


def fold_same_length(text: str) -> str:
    """`text` with every dash a hyphen, every blank a space and no accents; as long as before."""
    return text if text.isascii() else _NOT_ASCII.sub(lambda found: _folded(found[0]), text)


@cache
def _folded(char: str) -> str:
    if unicodedata.category(char) == "Pd" or char in "\u00ad\u2212":
        return "-"
    if unicodedata.category(char) in ("Zs", "Cf"):
        return " "
    if char in "\u2018\u2019\u02bc":
        return "'"
    base = unicodedata.normalize("NFD", char)
    return base[0] if len(base) > 1 and all(unicodedata.combining(mark) for mark in base[1:]) else char


@cache
def _lower(char: str) -> str:
    lower = char.lower()
    return lower if len(lower) == 1 else char


@dataclass(frozen=True)
class Term:
    """One parsed term. `whole` and `stems` are the words it can begin with; a regular expression has neither and is searched
    for from every offset.

    The other three only save time. `needs`: one set of words for each further part of the term; a text without any word of
    a set cannot hold the term. `head`: the list that the term begins with, as a term, so that a list is tried once for all
    terms that begin with it. `literal`, of a regular expression: letters that every match holds, where some are known.
    """

    source: str
    pattern: str
    cased: bool
    whole: frozenset[str]
    stems: frozenset[str]
    needs: tuple[WordSet, ...] = ()
    head: Term | None = None
    literal: str = ""

    @cached_property
    def regex(self) -> re.Pattern[str]:
        """The compiled pattern. Compiled on first use, because most terms never meet a text that could hold them."""
        return _compiled(self.pattern, re.IGNORECASE if not self.whole and not self.stems else 0)


@cache
def _compiled(pattern: str, flags: int) -> re.Pattern[str]:
    """Kept for the life of the process: a second taxonomy mostly has the terms of the first. `re` itself keeps 512 only."""
    return re.compile(pattern, flags)


def parse_term(
    source: str, lists: Mapping[str, Sequence[str]] | None = None, parsed: ParsedLists | None = None
) -> Term:
    """The term that a person wrote; ValueError with what is wrong and what to do when it is no term.

    `lists` are the named lists (`{name}`). Callers with many terms hand in the same `parsed`, so that a list is parsed once
    and not for each term that names it.
    """
    parsed = {} if parsed is None else parsed
    stripped = source.strip()
    if not stripped:
        raise ValueError("a term is empty; write a word, or remove the line")
    if len(stripped) > 2 and stripped.startswith("/") and stripped.endswith("/"):
        return _regular_expression(stripped)
    parser = _Parser(stripped, lists or {}, parsed)
    node = parser.alternatives(closing=None)
    if node.optional:
        raise ValueError(f"{source!r} may match nothing at all; make at least one word required")
    head = None
    if len(parser.pieces) > 1 and parser.pieces[0][0] == "list" and not parser.pieces[0][1].endswith("+"):
        first = _Parser(parser.pieces[0][1], lists or {}, parsed)
        first.cased = parser.cased
        head = _term(first.source, first.alternatives(closing=None), parser.cased)
    return _term(source, node, parser.cased, head)


def _term(source: str, node: _Node, cased: bool, head: Term | None = None) -> Term:
    whole = frozenset(word for word in node.whole if not any(word.startswith(stem) for stem in node.stems))
    stems = frozenset(s for s in node.stems if not any(s != stem and s.startswith(stem) for stem in node.stems))
    return Term(source, node.pattern, cased, whole, stems, node.needs, head)


def _regular_expression(source: str) -> Term:
    try:
        found = re.compile(source[1:-1])
    except re.error as error:
        raise ValueError(f"{source!r} is not a regular expression: {error}") from None
    if found.match(""):
        raise ValueError(f"{source!r} matches empty text; make something in it required")
    return Term(source, source[1:-1], True, frozenset(), frozenset(), literal=_literal(source[1:-1]))


def _literal(pattern: str) -> str:
    """Letters that every match of this regular expression holds, in lower case; empty where none are easily found."""
    plain = re.sub(r"\\.|\[\^?\]?[^\]]*\]", " ", pattern)  # escapes and classes
    while plain != (plain := re.sub(r"\([^()]*\)[?*+]?(?:\{[\d,]*\})?\??", " ", plain)):
        pass  # groups, from the inside
    if "|" in plain:
        return ""
    runs: list[str] = re.findall(r"[A-Za-z]+(?![A-Za-z?*{])", plain)
    return max(runs, key=len, default="").lower()


class _Node(NamedTuple):
    """A part of a term: its pattern, the words it can begin with, whether it may match nothing, and whether it may repeat."""

    pattern: str
    whole: frozenset[str]
    stems: frozenset[str]
    optional: bool = False
    repeated: bool = False
    needs: tuple[WordSet, ...] = ()


ParsedLists = dict[tuple[str, bool], _Node]
"""Lists parsed so far: (name, whether for a case-sensitive term) → the parsed list."""


class _Parser:
    """Recursive descent over one term. As soon as one of its words is case-sensitive, the others go into `(?i:…)`.

    `inside` are the lists that are being parsed around this term, so that a list that holds itself is noticed."""

    def __init__(
        self, source: str, lists: Mapping[str, Sequence[str]], parsed: ParsedLists, inside: tuple[str, ...] = ()
    ) -> None:
        self.source, self.lists, self.parsed, self.inside = source, lists, parsed, inside
        self.pieces = [(m.lastgroup or "", m[0]) for m in _LEXEME.finditer(source)]
        self.at = 0
        self.cased = not inside and any(is_case_sensitive(term) for term in _with_lists(source, lists))

    def alternatives(self, closing: str | None) -> _Node:
        """`a b | c`, up to the closing bracket or the end."""
        branches = [self.sequence(closing)]
        while self.at < len(self.pieces) and self.pieces[self.at][1] == "|":
            if closing is None:
                raise ValueError(f"{self.source!r}: `|` is allowed only inside ( ) or [ ]; write two terms instead")
            self.at += 1
            branches.append(self.sequence(closing))
        if closing is not None:
            if self.at >= len(self.pieces) or self.pieces[self.at][1] != closing:
                raise ValueError(f"{self.source!r}: a bracket is not closed; add the missing {closing!r}")
            self.at += 1
        return _either(branches)

    def sequence(self, closing: str | None) -> _Node:
        """Items side by side, until `|`, a closing bracket or the end."""
        items: list[_Node | int] = []
        spaced = True
        while self.at < len(self.pieces):
            kind, piece = self.pieces[self.at]
            if piece in ("|", ")", "]"):
                if piece != "|" and piece != closing:
                    raise ValueError(f"{self.source!r}: {piece!r} closes no bracket; remove it, or add the opening one")
                break
            self.at += 1
            if kind == "space":
                spaced = True
                continue
            if not spaced:
                raise ValueError(f"{self.source!r}: put a space before {piece!r}: brackets hold whole words")
            spaced = False
            items.append(self.item(kind, piece))
        return self.joined(items)

    def item(self, kind: str, piece: str) -> _Node | int:
        """One word, list, group or gap (a gap is its number of words)."""
        if kind == "gap":
            size = int(piece[1:-1])
            if not 1 <= size <= _MAX_GAP:
                raise ValueError(f"{self.source!r}: a gap is from <1> to <{_MAX_GAP}> words, not {piece}")
            return size
        if kind == "list":
            node = self.named(piece.strip("{}+"))
            return (
                _Node(node.pattern, node.whole, node.stems, node.optional, repeated=True)
                if piece.endswith("+")
                else node
            )
        if kind == "word":
            return _word(piece, self.cased)
        if piece in "([":
            node = self.alternatives(")" if piece == "(" else "]")
            return node if piece == "(" else _Node(node.pattern, node.whole, node.stems, optional=True)
        raise ValueError(f"{self.source!r}: {piece!r} means nothing here; remove it")

    def named(self, name: str) -> _Node:
        """The list `{name}` as one of its terms."""
        if name not in self.lists:
            raise ValueError(
                f"{self.source!r}: there is no list {{{name}}}; the lists are {', '.join(sorted(self.lists))}"
            )
        if name in self.inside:
            raise ValueError(f"{self.source!r}: the list {{{name}}} contains itself; remove it there")
        if (name, self.cased) not in self.parsed:
            branches = []
            for term in self.lists[name]:
                parser = _Parser(term, self.lists, self.parsed, (*self.inside, name))
                parser.cased = self.cased
                branches.append(parser.alternatives(closing=None))
            self.parsed[name, self.cased] = _either(branches)
        return self.parsed[name, self.cased]

    def joined(self, items: list[_Node | int]) -> _Node:
        """The items in a row, with the patterns for what may be between them."""
        if not items or isinstance(items[0], int) or isinstance(items[-1], int):
            raise ValueError(f"{self.source!r}: put words on both sides of a gap, and into every alternative")
        pattern, whole, stems, optional, joint = "", frozenset[str](), frozenset[str](), True, ""
        needs: list[WordSet] = []
        for item in items:
            if isinstance(item, int):
                joint = (
                    rf"[^\w\s.;:!?]{{0,{_LONGEST_RUN}}}[\s/-]{{1,{_LONGEST_RUN}}}(?:{_BETWEEN}\s{{1,{_LONGEST_RUN}}}){{0,{item}}}?"
                    rf"(?:[^\w\s.;:!?]{{1,{_LONGEST_RUN}}}|[^\s.;:!?]{{0,{_LONGEST_BETWEEN}}}-)?"
                )
                continue
            if optional:
                whole, stems = whole | item.whole, stems | item.stems
            elif not item.optional and (item.whole or item.stems):
                needs.append((item.whole, item.stems))
            if item.repeated:
                link = f"(?i:{_SERIES})" if self.cased else _SERIES
                first = "" if optional else f"(?:{link}|{joint})"
                pattern += f"{first}{item.pattern}(?:{link}{item.pattern})*"
                joint, optional = link, False
            elif item.optional:  # the joint belongs to the optional item: before it, or after it if it is the first
                pattern += f"(?:{item.pattern}{_JOINT})?" if optional else f"(?:{joint}{item.pattern})?"
            else:
                pattern += joint + item.pattern
                joint = _JOINT
                optional = False
        return _Node(pattern, whole, stems, optional, needs=tuple(needs))


def _either(branches: Sequence[_Node]) -> _Node:
    if len(branches) == 1:
        return branches[0]
    pattern = f"(?:{'|'.join(node.pattern for node in branches)})"
    whole = frozenset[str]().union(*(node.whole for node in branches))
    stems = frozenset[str]().union(*(node.stems for node in branches))
    return _Node(pattern, whole, stems, any(node.optional for node in branches))


@cache
def _word(word: str, cased: bool) -> _Node:
    """A whole word, a `stem*`, or parts joined by hyphens (each hyphen may be a dash, a space or nothing)."""
    body, star = (word[:-1], True) if word.endswith("*") else (word, False)
    parts = [fold_same_length(part) for part in body.split("-") if part]
    if not parts or "*" in body:
        raise ValueError(f"{word!r}: `*` must be at the end of a word, after at least one letter")
    first = _WORD.match(parts[0])
    pattern = _LOOSE_JOINT.join(re.escape(part if is_case_sensitive(word) else part.lower()) for part in parts)
    pattern += r"\w*" if star else "" if _NO_END.match(parts[-1][-1]) else _END
    if cased and not is_case_sensitive(word):
        pattern = f"(?i:{pattern})"
    if first is None:  # "&" or "+": fine inside a term, never the start of one
        return _Node(pattern, frozenset(), frozenset())
    if first[0] != parts[0]:  # "children's": the word of the text ends at the apostrophe
        return _Node(pattern, frozenset([first[0].lower()]), frozenset())
    glued = list(accumulate(part.lower() for part in parts))
    if star:
        return _Node(pattern, frozenset(glued[:-1]), frozenset(glued[-1:]))
    return _Node(pattern, frozenset(glued), frozenset())


@cache
def is_case_sensitive(text: str) -> bool:
    """Whether a word of this text has two or more capitals, which makes it case-sensitive."""
    if text == text.lower():
        return False
    return any(sum(map(str.isupper, word)) > 1 for word in re.split(r"[\s()\[\]|]+", text))


def _with_lists(source: str, lists: Mapping[str, Sequence[str]], inside: tuple[str, ...] = ()) -> Iterator[str]:
    """`source` and the terms of all lists in it, at any depth (a list that holds itself is refused elsewhere)."""
    yield source
    for name in () if "{" not in source else re.findall(r"\{([a-z0-9-]+)\}", source):
        if name not in inside:
            for term in lists.get(name, ()):
                yield from _with_lists(term, lists, (*inside, name))


class Finder:
    """Finds many terms together. One pass over a text's words tries each term only where it can begin."""

    def __init__(self, terms: Sequence[Term]) -> None:
        self.terms = tuple(terms)
        heads: dict[tuple[str, bool], list[int]] = {}
        openers = list[tuple[Term, int]]()
        self._unanchored: list[int] = []  # regular expressions: they may begin anywhere
        self._heads: list[tuple[Term, list[int]]] = []
        for number, term in enumerate(self.terms):
            if term.head is not None:
                heads.setdefault((term.head.source, term.head.cased), []).append(number)
            elif term.whole or term.stems:
                openers.append((term, number))
            else:
                self._unanchored.append(number)
        for numbers in heads.values():
            head = self.terms[numbers[0]].head
            if head is not None:
                self._heads.append((head, numbers))
                openers.append((head, -len(self._heads)))  # negative numbers are those of heads
        needs = {need: number for number, need in enumerate(dict.fromkeys(n for t in self.terms for n in t.needs))}
        self._needs = tuple(frozenset(needs[need] for need in term.needs) for term in self.terms)
        gates = {number: min(term.needs, key=_frequency) for number, term in enumerate(self.terms) if term.needs}
        self._by_first_word = _TermsByFirstWord(openers, {number: needs[need] for number, need in gates.items()})
        self._parts = _Index((whole, stems, number) for (whole, stems), number in needs.items())

    def hits(self, text: Text) -> Hits:
        """Where every term occurs in `text`; terms that do not occur are left out."""
        found: Hits = {}
        headed: dict[int, list[int]] = {}
        there = frozenset([_NO_GATE]).union(*map(self._parts.__getitem__, text.starts))
        for word in filter(self._by_first_word.__getitem__, text.starts):  # nearly no word begins a term
            starts = text.starts[word]
            for gate, numbers in self._by_first_word[word]:
                if gate in there:
                    for number in numbers:
                        if number >= 0:
                            self._try(number, text, starts, there, found)
                        else:
                            head = self._heads[-number - 1][0]
                            subject = text.plain if head.cased else text.lower
                            headed.setdefault(number, []).extend(at for at in starts if head.regex.match(subject, at))
        for head_number, starts in headed.items():
            for number in self._heads[-head_number - 1][1] if starts else ():
                self._try(number, text, starts, there, found)
        for number in self._unanchored:
            if self.terms[number].literal not in text.lower:
                continue
            spans = [hit.span() for hit in self.terms[number].regex.finditer(text.plain)]
            if spans:
                found[number] = spans
        return found

    def _try(self, number: int, text: Text, starts: list[int], there: frozenset[int], found: Hits) -> None:
        if not self._needs[number] <= there:
            return
        term = self.terms[number]
        subject = text.plain if term.cased else text.lower
        match = term.regex.match
        for start in starts:
            hit = match(subject, start)
            if hit:
                found.setdefault(number, []).append(hit.span())


class _Index(dict[str, tuple[int, ...]]):
    """Word → the numbers of the entries that have it as a whole word or begin it with a stem. Computed once for each word, as
    works share their words."""

    def __init__(self, entries: Iterable[tuple[frozenset[str], frozenset[str], int]]) -> None:
        super().__init__()
        self._whole: dict[str, list[int]] = {}
        self._stems: dict[str, list[int]] = {}
        for whole, stems, number in entries:
            for word in whole:
                self._whole.setdefault(word, []).append(number)
            for stem in stems:
                self._stems.setdefault(stem, []).append(number)
        self._lengths = sorted({len(stem) for stem in self._stems})

    def __missing__(self, word: str) -> tuple[int, ...]:
        numbers = list(self._whole.get(word, ()))
        for length in self._lengths:
            if length > len(word):
                break
            numbers += self._stems.get(word[:length], ())
        if len(self) >= _WORDS_CACHED:
            self.clear()
        self[word] = answer = tuple(dict.fromkeys(numbers))
        return answer


class _TermsByFirstWord(dict[str, tuple[tuple[int, tuple[int, ...]], ...]]):
    """Word → (gate, numbers of the terms that can begin with it). A term's gate is its rarest need: in a text that does not
    meet it, none of the terms behind it are tried."""

    def __init__(self, openers: Sequence[tuple[Term, int]], gates: Mapping[int, int]) -> None:
        super().__init__()
        self._index = _Index((term.whole, term.stems, number) for term, number in openers)
        self._gates = gates

    def __missing__(self, word: str) -> tuple[tuple[int, tuple[int, ...]], ...]:
        behind: dict[int, list[int]] = {}
        for number in self._index[word]:
            behind.setdefault(self._gates.get(number, _NO_GATE), []).append(number)
        if len(self) >= _WORDS_CACHED:
            self.clear()
        self[word] = answer = tuple((gate, tuple(numbers)) for gate, numbers in behind.items())
        return answer


def _frequency(need: WordSet) -> int:
    """How often a text may hold one of these words, roughly: a stem counts as three words."""
    return len(need[0]) + 3 * len(need[1])


_prepared = lru_cache(maxsize=4)(Text)
"""Every search asks about the same title and abstract, one after the other."""


class Phrases:
    """A list of terms searched together: does any of them occur in a text, and where first? ValueError for what is no term."""

    def __init__(self, phrases: Sequence[str]) -> None:
        self.phrases = tuple(phrases)
        self._finder = Finder([parse_term(phrase) for phrase in self.phrases])

    def first_hit(self, text: str | None) -> Span | None:
        """The first hit (the longest, where several begin there); None without one."""
        if not text:
            return None
        spans = [span for spans in self._finder.hits(_prepared(text)).values() for span in spans]
        return min(spans, key=lambda span: (span[0], -span[1])) if spans else None
