"""The rule language: what a term means, and where in a text it was found.

This room turns terms into positions and nothing else. It reads no file, knows no facet and takes no decision; `rulebook`
brings the terms, `screen` and `tag` decide.

A **term** is what a person writes in a rule (or under `phrases` in sources.yaml):

==========================  ===========================================================================================
`interpersonal therapy`     these whole words, in any case; between them any run of spaces and dashes (`-`, `‐`, `–`, `—` …)
`therap*`                   a word with any ending (or none): therapy, therapies, therapist
`post-partum`               a hyphen also matches nothing and a space: post-partum, post partum, postpartum
`IPT-A`                     a word with two or more capitals minds case (so `IPT` never meets "ipt", nor `ROSE` a rose)
`(brief|short term) IPT`    one of several; each may be more than one word
`[group|brief] IPT`         one of several, or nothing
`compared with <3> IPT`     up to three words between, inside one sentence
`{ipt} for <2> couples`     `{ipt}` is a list with that name in `taxonomy/shared_phrases.yaml`
`{school}+ therapies`       one or more of them, side by side: "cognitive, supportive and brief dynamic therapies"
`/ipt.{0,9}\\bvs\\b/`       a regular expression, in any case, where nothing above will do
==========================  ===========================================================================================

Accents do not matter (`Asberg` finds Åsberg). Chinese and Japanese terms are found anywhere, for their words are not spaced.

A **rule** says when these count: it fires when every term of `all`, at least one of `any` and not one of `none` is found
in its `fields` (title and abstract unless it says otherwise). A hit that lies inside a hit of one of the rule's `except`
terms does not count: `any: [placebo]` with `except: [placebo effect*]`. `title: […]` asks for one of these in the title,
`not_title: […]` for none there. `given: [facet:value, facet:value + facet:value, …]` asks that one of these (or both
joined by `+`) is said of the work too, `unless: [facet:value, …]` that none is.

Offsets are exact: a text is folded (case, dashes, accents) character by character and never changes its length.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import accumulate

Span = tuple[int, int]
Keys = tuple[frozenset[str], frozenset[str]]
"""Words, whole and as stems."""

Hits = dict[int, list[Span]]
"""Term number → where it was found, in reading order."""

_UNSPACED = r"\u3040-\u30ff\u3400-\u9fff"  # Japanese and Chinese: every character is a word of its own
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_JOINT = r"[\s-]++"
_LOOSE_JOINT = r"[\s-]*+"
_SERIES = r"(?:\s*+[,;/&+]\s*+|[\s-]++)(?:(?:and|or|vs\.?|versus|v\.?|plus|with|und|oder|y|e|et|ou|en)\s+)?"
_END = r"(?!\w)"
_LONGEST_BETWEEN = 80
"""Letters of a word inside a gap; more is an address, or no word."""
_BETWEEN = rf"(?:vs\.|(?:[^\s.;:!?]|[.:](?=\S)){{1,{_LONGEST_BETWEEN}}})"
_LEXEME = re.compile(
    r"(?P<space>\s+)|(?P<gap><\d+>)|(?P<list>\{[a-z0-9-]+\}\+?)|(?P<mark>[()\[\]|])|(?P<word>[^\s()\[\]{}<>|]+)|(?P<bad>.)"
)
_MAX_GAP = 12
_MARKS = 8
"""Marks or blanks in a row inside a gap. Limits keep the time in proportion to the text: every start looks this far only."""
_NO_GATE = -1
"""Stands open in every text."""
_WORDS_KEPT = 100_000  # some ten megabytes: more different words than a large harvest has


class Text:
    """One text made ready for matching: folded at equal length, and where each of its words begins."""

    __slots__ = ("lower", "plain", "starts", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.plain = fold(text)
        lower = self.plain.lower()
        self.lower = lower if len(lower) == len(text) else "".join(map(_lower, self.plain))
        self.starts: dict[str, list[int]] = {}
        for word in _WORD.finditer(self.lower):
            self.starts.setdefault(word[0], []).append(word.start())


def fold(text: str) -> str:
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
    """One term, parsed: the words it can begin with (whole, or stems; none of either when it must be searched for).

    Three things only save time. `needs`: the words of which a text must hold some for the term to be there at all, one set
    for each further part. `head`: the list the term begins with, as a term, so that lists are tried once for all. And of a
    regular expression `literal`: letters that must be there, if some can be told.
    """

    source: str
    pattern: str
    cased: bool
    whole: frozenset[str]
    stems: frozenset[str]
    needs: tuple[Keys, ...] = ()
    head: Term | None = None
    literal: str = ""

    @cached_property
    def regex(self) -> re.Pattern[str]:
        """Compiled on first use: most terms never meet a text that could hold them."""
        return _compiled(self.pattern, re.IGNORECASE if not self.whole and not self.stems else 0)


@cache
def _compiled(pattern: str, flags: int) -> re.Pattern[str]:
    """Kept for the life of the process: a second rulebook mostly has the terms of the first. `re` itself keeps 512 only."""
    return re.compile(pattern, flags)


def parse(source: str, lists: Mapping[str, Sequence[str]] | None = None, known: Known | None = None) -> Term:
    """The term a person wrote; ValueError with a sentence when it means nothing.

    `known` is handed from term to term of one book, so that a list is read once and not for each term that names it.
    """
    known = {} if known is None else known
    stripped = source.strip()
    if not stripped:
        raise ValueError("a term is empty; write a word, or remove the line")
    if len(stripped) > 2 and stripped.startswith("/") and stripped.endswith("/"):
        return _regular_expression(stripped)
    parser = _Parser(stripped, lists or {}, known)
    node = parser.alternatives(closing=None)
    if node.empty:
        raise ValueError(f"{source!r} matches nothing at all; at least one word must be required")
    head = None
    if len(parser.pieces) > 1 and parser.pieces[0][0] == "list" and not parser.pieces[0][1].endswith("+"):
        first = _Parser(parser.pieces[0][1], lists or {}, known)
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
        raise ValueError(f"{source!r} matches the empty text; make something in it required")
    return Term(source, source[1:-1], True, frozenset(), frozenset(), literal=_literal(source[1:-1]))


def _literal(pattern: str) -> str:
    """Letters that every match of this regular expression holds, in lower case; empty when none can be told at a glance."""
    plain = re.sub(r"\\.|\[\^?\]?[^\]]*\]", " ", pattern)  # escapes and classes
    while plain != (plain := re.sub(r"\([^()]*\)[?*+]?(?:\{[\d,]*\})?\??", " ", plain)):
        pass  # groups, from the inside
    if "|" in plain:
        return ""
    runs: list[str] = re.findall(r"[A-Za-z]+(?![A-Za-z?*{])", plain)
    return max(runs, key=len, default="").lower()


@dataclass(frozen=True, slots=True)
class _Node:
    """A piece of a term: its pattern, the words it can begin with, and whether it may be nothing."""

    pattern: str
    whole: frozenset[str]
    stems: frozenset[str]
    empty: bool = False
    many: bool = False
    needs: tuple[Keys, ...] = ()


Known = dict[tuple[str, bool], _Node]
"""Lists already read: (name, whether case is minded) → what they mean."""


class _Parser:
    """Recursive descent over one term. Insensitive words go into `(?i:…)` as soon as one word minds case."""

    def __init__(
        self, source: str, lists: Mapping[str, Sequence[str]], known: Known, inside: tuple[str, ...] = ()
    ) -> None:
        self.source, self.lists, self.known, self.inside = source, lists, known, inside
        self.pieces = [(m.lastgroup or "", m[0]) for m in _LEXEME.finditer(source)]
        self.at = 0
        self.cased = not inside and any(_minds_case(term) for term in _spelled(source, lists))

    def alternatives(self, closing: str | None) -> _Node:
        """`a b | c`, up to the closing bracket or the end."""
        branches = [self.sequence(closing)]
        while self.at < len(self.pieces) and self.pieces[self.at][1] == "|":
            if closing is None:
                raise ValueError(f"{self.source!r}: `|` stands only inside ( ) or [ ]; write two terms instead")
            self.at += 1
            branches.append(self.sequence(closing))
        if closing is not None:
            if self.at >= len(self.pieces) or self.pieces[self.at][1] != closing:
                raise ValueError(f"{self.source!r}: a bracket is never closed; add the missing {closing!r}")
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
                    raise ValueError(f"{self.source!r}: {piece!r} closes nothing; remove it or open it before")
                break
            self.at += 1
            if kind == "space":
                spaced = True
                continue
            if not spaced:
                raise ValueError(f"{self.source!r}: put a space before {piece!r}; brackets hold whole words")
            spaced = False
            items.append(self.item(kind, piece))
        return self.joined(items)

    def item(self, kind: str, piece: str) -> _Node | int:
        """One word, list, group or gap (a gap is its number of words)."""
        if kind == "gap":
            size = int(piece[1:-1])
            if not 1 <= size <= _MAX_GAP:
                raise ValueError(f"{self.source!r}: a gap is <1> to <{_MAX_GAP}> words, not {piece}")
            return size
        if kind == "list":
            node = self.named(piece.strip("{}+"))
            return _Node(node.pattern, node.whole, node.stems, node.empty, many=True) if piece.endswith("+") else node
        if kind == "word":
            return _word(piece, self.cased)
        if piece in "([":
            node = self.alternatives(")" if piece == "(" else "]")
            return node if piece == "(" else _Node(node.pattern, node.whole, node.stems, empty=True)
        raise ValueError(f"{self.source!r}: {piece!r} has no meaning here")

    def named(self, name: str) -> _Node:
        """The list `{name}` as one of its terms."""
        if name not in self.lists:
            raise ValueError(
                f"{self.source!r}: there is no list {{{name}}}; the lists are {', '.join(sorted(self.lists))}"
            )
        if name in self.inside:
            raise ValueError(f"{self.source!r}: the list {{{name}}} holds itself")
        if (name, self.cased) not in self.known:
            branches = []
            for term in self.lists[name]:
                parser = _Parser(term, self.lists, self.known, (*self.inside, name))
                parser.cased = self.cased
                branches.append(parser.alternatives(closing=None))
            self.known[name, self.cased] = _either(branches)
        return self.known[name, self.cased]

    def joined(self, items: list[_Node | int]) -> _Node:
        """Items with what may stand between them."""
        if not items or isinstance(items[0], int) or isinstance(items[-1], int):
            raise ValueError(f"{self.source!r}: there must be words on both sides of a gap, and in every alternative")
        pattern, whole, stems, empty, joint = "", frozenset[str](), frozenset[str](), True, ""
        needs: list[Keys] = []
        for item in items:
            if isinstance(item, int):
                joint = (
                    rf"[^\w\s.;:!?]{{0,{_MARKS}}}[\s/-]{{1,{_MARKS}}}(?:{_BETWEEN}\s{{1,{_MARKS}}}){{0,{item}}}?"
                    rf"(?:[^\w\s.;:!?]{{1,{_MARKS}}}|[^\s.;:!?]{{0,{_LONGEST_BETWEEN}}}-)?"
                )
                continue
            if empty:
                whole, stems = whole | item.whole, stems | item.stems
            elif not item.empty and (item.whole or item.stems):
                needs.append((item.whole, item.stems))
            if item.many:
                link = f"(?i:{_SERIES})" if self.cased else _SERIES
                first = "" if empty else f"(?:{link}|{joint})"
                pattern += f"{first}{item.pattern}(?:{link}{item.pattern})*"
                joint, empty = link, False
            elif item.empty:  # the joint belongs to the optional item: before it, or after it when it comes first
                pattern += f"(?:{item.pattern}{_JOINT})?" if empty else f"(?:{joint}{item.pattern})?"
            else:
                pattern += joint + item.pattern
                joint = _JOINT
                empty = False
        return _Node(pattern, whole, stems, empty, needs=tuple(needs))


def _either(branches: Sequence[_Node]) -> _Node:
    if len(branches) == 1:
        return branches[0]
    pattern = f"(?:{'|'.join(node.pattern for node in branches)})"
    whole = frozenset[str]().union(*(node.whole for node in branches))
    stems = frozenset[str]().union(*(node.stems for node in branches))
    return _Node(pattern, whole, stems, any(node.empty for node in branches))


@cache
def _word(word: str, cased: bool) -> _Node:
    """A whole word, a `stem*`, or parts joined by hyphens (each hyphen may be a dash, a space or nothing)."""
    body, star = (word[:-1], True) if word.endswith("*") else (word, False)
    parts = [fold(part) for part in body.split("-") if part]
    if not parts or "*" in body:
        raise ValueError(f"{word!r}: `*` stands at the end of a word, after at least one letter")
    first = _WORD.match(parts[0])
    pattern = _LOOSE_JOINT.join(re.escape(part if _minds_case(word) else part.lower()) for part in parts)
    pattern += r"\w*" if star else "" if re.match(rf"[\W_{_UNSPACED}]", parts[-1][-1]) else _END
    if cased and not _minds_case(word):
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
def _minds_case(text: str) -> bool:
    return any(sum(map(str.isupper, word)) > 1 for word in re.split(r"[\s()\[\]|]+", text))


def _spelled(source: str, lists: Mapping[str, Sequence[str]], inside: tuple[str, ...] = ()) -> Iterator[str]:
    """`source` and all that its lists stand for, at any depth (a list that holds itself is refused elsewhere)."""
    yield source
    for name in re.findall(r"\{([a-z0-9-]+)\}", source):
        if name not in inside:
            for term in lists.get(name, ()):
                yield from _spelled(term, lists, (*inside, name))


class Finder:
    """Many terms, found together: one walk over a text's words offers each term only the places where it can begin."""

    def __init__(self, terms: Sequence[Term]) -> None:
        self.terms = tuple(terms)
        heads: dict[tuple[str, bool], list[int]] = {}
        openers = list[tuple[Term, int]]()
        self._free: list[int] = []
        self._heads: list[tuple[Term, list[int]]] = []
        for number, term in enumerate(self.terms):
            if term.head is not None:
                heads.setdefault((term.head.source, term.head.cased), []).append(number)
            elif term.whole or term.stems:
                openers.append((term, number))
            else:
                self._free.append(number)
        for numbers in heads.values():
            head = self.terms[numbers[0]].head
            if head is not None:
                self._heads.append((head, numbers))
                openers.append((head, -len(self._heads)))  # a negative number is a head's
        needs = {need: number for number, need in enumerate(dict.fromkeys(n for t in self.terms for n in t.needs))}
        self._needs = tuple(frozenset(needs[need] for need in term.needs) for term in self.terms)
        gates = {number: min(term.needs, key=_words_of) for number, term in enumerate(self.terms) if term.needs}
        self._openers = _Openers(openers, {number: needs[need] for number, need in gates.items()})
        self._parts = _Index((whole, stems, number) for (whole, stems), number in needs.items())

    def hits(self, text: Text) -> Hits:
        """Where every term stands in `text`; terms that are not there are left out."""
        found: Hits = {}
        headed: dict[int, list[int]] = {}
        there = frozenset([_NO_GATE]).union(*map(self._parts.__getitem__, text.starts))
        for word, starts in text.starts.items():
            for gate, numbers in self._openers[word]:
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
        for number in self._free:
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
    """Word → the numbers of what begins with it, whole or as a stem. Works a word out once: works share their words."""

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
        if len(self) >= _WORDS_KEPT:
            self.clear()
        self[word] = answer = tuple(dict.fromkeys(numbers))
        return answer


class _Openers(dict[str, tuple[tuple[int, tuple[int, ...]], ...]]):
    """Word → the terms that begin with it, behind gates: each with the one of its needs that fewest words meet, so that a text
    without any of these is asked about none of them."""

    def __init__(self, openers: Sequence[tuple[Term, int]], gates: Mapping[int, int]) -> None:
        super().__init__()
        self._index = _Index((term.whole, term.stems, number) for term, number in openers)
        self._gates = gates

    def __missing__(self, word: str) -> tuple[tuple[int, tuple[int, ...]], ...]:
        behind: dict[int, list[int]] = {}
        for number in self._index[word]:
            behind.setdefault(self._gates.get(number, _NO_GATE), []).append(number)
        if len(self) >= _WORDS_KEPT:
            self.clear()
        self[word] = answer = tuple((gate, tuple(numbers)) for gate, numbers in behind.items())
        return answer


def _words_of(need: Keys) -> int:
    return len(need[0]) + 3 * len(need[1])  # a stem meets several words


class Phrases:
    """A list of terms asked as one question: does the text say any of this, and where first?"""

    def __init__(self, phrases: Sequence[str]) -> None:
        self.phrases = tuple(phrases)
        self._finder = Finder([parse(phrase) for phrase in self.phrases])

    def find(self, text: str | None) -> Span | None:
        """Start and stop of the first hit (the longest, where several begin there); None without one."""
        if not text:
            return None
        spans = [span for spans in self._finder.hits(Text(text)).values() for span in spans]
        return min(spans, key=lambda span: (span[0], -span[1])) if spans else None
