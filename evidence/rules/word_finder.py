"""Many terms, found together in a text by one automaton over normal forms.

A **term** is what a person writes under `words` (or `instruments`, `loose`, `not`) of a value:

=========================  ==========================================================================================
`depressive symptoms`      these words, in any case, singular or plural, British or American spelling
`post-partum`              a hyphen also matches a space and nothing: post-partum, post partum, postpartum
`postpartum`               the same: a hyphen or a space may follow a prefix (`PREFIXES`)
`psychotherap*`            a last word with any ending
`HAM-D`                    a word with two or more capitals is case-sensitive, with the letters joined to it
`(pregnant|expectant) women`  one of several
`[major] depression`       a word that may be missing
=========================  ==========================================================================================

It may not know facets or roles; `mentions` gives the hits a meaning.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, lru_cache
from typing import NamedTuple

import ahocorasick_rs

from evidence.rules.normal_forms import Normalised, normal_form, normal_line, stem_forms, words_of
from evidence.rules.phrase_matching import fold_same_length

MAX_FORMS = 64
"""Literal phrases that one term may stand for."""

PREFIXES = (
    "ante", "anti", "base", "drop", "gastro", "life", "multi", "neuro", "non", "on", "out", "over", "peri", "post", "pre",
    "psycho", "semi", "socio", "sub", "tele", "wait",
)  # fmt: skip
"""Beginnings of words that texts also write apart or with a hyphen: pre-treatment, psycho-education, drop out, wait-list. "In" is
none: "in patients" is not "inpatients"."""
_PREFIXED = re.compile(rf"(?<![^\s(|-])({'|'.join(PREFIXES)})(?=[a-z]{{3}})")

_PIECE = re.compile(r"\(([^()\[\]]*)\)|\[([^()\[\]]*)\]|([^\s()\[\]]+)|(\s+)|(.)")
_HYPHEN = re.compile(r"(?<=[^\W\d_])-(?=[^\W\d_])")
"""A hyphen between letters."""
_PLAIN = re.compile(r"[a-z]+(?:[ -][a-z]+)*")
"""A phrase of lower-case words without accents, as nearly all are: its words are what stands between blanks and hyphens."""
_SPECIAL = re.compile(r"[<>{}/?^$\\]|\|(?![^(\[]*[)\]])")


class Form(NamedTuple):
    """One literal phrase of a term: its normal forms, whether the last stands for any ending, and the words whose case counts (a
    place in the phrase and the word as written)."""

    words: tuple[str, ...]
    stem: bool
    cased: tuple[tuple[int, str], ...]


_Owner = tuple[int, int, tuple[tuple[int, str], ...]]
"""A term that a literal phrase stands for: its number, the phrase's number of words, and those whose case counts."""


class Hit(NamedTuple):
    """One occurrence of a term: its number, and the first and last word (exclusive) of the text it covers."""

    term: int
    first: int
    last: int


@lru_cache(maxsize=100_000)
def term_forms(term: str) -> tuple[Form, ...]:
    """What is looked for: the phrases of a term in normal forms; ValueError with what is wrong and what to do when it is no
    term."""
    forms: dict[Form, None] = {}
    for phrase in spelt_out(term):
        for variant in _spellings(phrase):
            forms.update(dict.fromkeys(_forms(term, variant)))
    return tuple(forms)


def spelt_out(term: str) -> tuple[str, ...]:
    """The literal phrases that a term stands for, as written: with each of its alternatives, with and without its optional words.
    A `*` stays. ValueError as `term_forms`."""
    if _PLAIN.fullmatch(term):
        return (term,)
    if _SPECIAL.search(term):
        raise ValueError(
            f"{term!r}: a term is plain words, no pattern; write out what `<`, `{{`, `/`, `?`, `^`, `$`, `\\` or a `|` "
            "outside brackets stood for"
        )
    choices: list[Sequence[str]] = []
    for group, optional, word, space, bad in _PIECE.findall(term.strip()):
        if bad:
            raise ValueError(f"{term!r}: a bracket is not closed, or stands inside another; write two terms instead")
        if group:
            choices.append([choice.strip() for choice in group.split("|")])
        elif optional:
            choices.append(["", *[choice.strip() for choice in optional.split("|")]])
        else:
            choices.append((word or space,))
    count = 1
    for choice in choices:
        count *= len(choice)
    if not choices or count > MAX_FORMS:
        raise ValueError(
            f"{term!r} stands for {count if choices else 0} phrases; write 1 to {MAX_FORMS}, or several terms"
        )
    phrases = [""]
    for choice in choices:
        phrases = [phrase + part for phrase in phrases for part in choice]
    return tuple(dict.fromkeys([" ".join(phrase.split()) for phrase in phrases]))


def _spellings(phrase: str) -> Iterator[str]:
    """The phrase; with every hyphen dropped where letters stand on both sides of it; and with a space after every prefix."""
    yield phrase
    if "-" in phrase:
        glued = _HYPHEN.sub("", phrase)
        if glued != phrase:
            yield glued
    apart = _PREFIXED.sub(r"\1 ", phrase)
    if apart != phrase:
        yield apart


def _forms(term: str, phrase: str) -> Iterator[Form]:
    """One literal phrase in normal forms; two or more where its last word is a stem whose spelling its ending decides."""
    if _PLAIN.fullmatch(phrase):
        yield Form(tuple(map(normal_form, phrase.replace("-", " ").split(" "))), False, ())
        return
    stem = phrase.endswith("*")
    if "*" in phrase[:-1]:
        raise ValueError(f"{term!r}: `*` is allowed only at the end of a term")
    written = words_of(fold_same_length(phrase.rstrip("*")))
    if "'s" in phrase:
        written = [word for i, word in enumerate(written) if not (word == "s" and i)]
    if not written:
        raise ValueError(f"{term!r} has no word; write one, or remove it")
    cased: tuple[tuple[int, str], ...] = ()
    if phrase != phrase.lower():
        cased = tuple(
            (i, word)
            for i, word in enumerate(written)
            if not word.islower() and (sum(map(str.isupper, word)) > 1 or _in_abbreviation(word, phrase))
        )
    words = tuple(map(normal_form, written))
    if not stem:
        yield Form(words, False, cased)
        return
    for beginning in stem_forms(written[-1].lower()):
        yield Form((*words[:-1], beginning), True, cased)


def _in_abbreviation(word: str, phrase: str) -> bool:
    """Whether a capital letter is part of a hyphenated abbreviation: the A of "IPT-A" is not the article in "IPT, a therapy"."""
    return (
        len(word) == 1
        and word.isupper()
        and any(word in part.split("-") and part.upper() == part for part in phrase.split())
    )


class WordFinder:
    """Finds many terms at once. A term's number is its place in `terms`."""

    def __init__(self, terms: Sequence[str]) -> None:
        self.terms = tuple(terms)
        by_pattern: dict[str, list[_Owner]] = {}
        for number, term in enumerate(self.terms):
            for form in term_forms(term):
                pattern = " " + " ".join(form.words) + ("" if form.stem else " ")
                by_pattern.setdefault(pattern, []).append((number, len(form.words), form.cased))
        self._owners = list(by_pattern.values())
        self._patterns = list(by_pattern)

    @cached_property
    def _automaton(self) -> ahocorasick_rs.AhoCorasick:
        """Made when first asked for."""
        return ahocorasick_rs.AhoCorasick(self._patterns, implementation=ahocorasick_rs.Implementation.ContiguousNFA)

    def __getstate__(self) -> dict[str, object]:
        """All but the automaton, which cannot be pickled."""
        return {name: of for name, of in self.__dict__.items() if name != "_automaton"}

    def hits(self, text: Normalised) -> list[Hit]:
        """Every occurrence of every term, in reading order; overlapping ones included."""
        return [Hit(number, first, -last) for first, last, number in sorted(set(self.spans(text)))]

    def spans(self, text: Normalised) -> list[tuple[int, int, int]]:
        """The same in any order, some perhaps twice: (first word, minus the word after the last, number of the term)."""
        found = []
        owners, word_at = self._owners, text.word_at
        # Every pattern begins with a space, and so does every word of the line.
        for pattern, start, _ in self._automaton.find_matches_as_indexes(text.line, overlapping=True):
            first = word_at[start]
            for number, size, cased in owners[pattern]:
                if not cased or _same_case(text, first, cased):
                    found.append((first, -first - size, number))
        return found

    def any_hit(self, text: str) -> bool:
        """Whether any term may occur in this text; the case of abbreviations is not looked at."""
        return bool(self._automaton.find_matches_as_indexes(normal_line(text)))


def _same_case(text: Normalised, first: int, cased: Iterable[tuple[int, str]]) -> bool:
    """Whether the text has these words as written; a plural s may follow ("RCTs")."""
    for place, word in cased:
        written = text.folded[text.starts[first + place] : text.stops[first + place]]
        if written not in (word, word + "s"):
            return False
    return True
