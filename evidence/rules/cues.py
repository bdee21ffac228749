"""Cue words in a text: for each word, which kinds of cue stand there (measured, improved, randomised, history of, …).

The kinds and their words are data (`cue_words.yaml`); once read, they are kept on disk. This module may not know facets, values
or roles: `mention_roles` and `decide` give the cues a meaning.
"""

from __future__ import annotations

from functools import cache
from itertools import repeat
from pathlib import Path

from evidence.rules.kept_rules import kept_reading
from evidence.rules.normal_forms import Normalised
from evidence.rules.word_finder import WordFinder, term_forms

FILE = Path(__file__).with_name("cue_words.yaml")

_BEFORE_LAST_PART = ("and", "or")
_INSIDE_PARTS = frozenset(("of", "in", "with", "to", "for", "from"))


class CueReader:
    """The cue words, prepared. `kinds` are the names of the kinds; a mask has the bit `1 << kinds.index(name)` of each kind.
    `list_letters` says what a word is in a list ("A, B and C"): `b` begins a part; `a` is an auxiliary and ends the list, `A`
    is both; `i` is one that a part may have inside; other words are not there."""

    def __init__(self, written: str) -> None:
        """`written` is the text of the file."""
        from evidence import strict_yaml  # imports pydantic and YAML

        data = strict_yaml.parse(written, FILE.name).data
        self.kinds: tuple[str, ...] = tuple(data["cues"])
        self.bit = {kind: 1 << place for place, kind in enumerate(self.kinds)}
        self._single: dict[str, int] = {}
        longer: list[str] = []
        self._longer_bits: list[int] = []
        for kind, terms in data["cues"].items():
            for term in map(str, terms):
                forms = term_forms(term)
                if all(len(form.words) == 1 and not form.stem for form in forms):
                    for form in forms:
                        self._single[form.words[0]] = self._single.get(form.words[0], 0) | self.bit[kind]
                else:
                    longer.append(term)
                    self._longer_bits.append(self.bit[kind])
        self._longer = WordFinder(longer)
        self._further_study = WordFinder([str(term) for term in data["further_study"]])
        self.clause_starts = frozenset(form.words[0] for term in data["clause_starts"] for form in term_forms(term))
        self.auxiliaries = frozenset(
            form.words[0] for term in map(str, data["auxiliaries"]) for form in term_forms(term)
        )
        self.list_letters = {word: "i" if word in _INSIDE_PARTS else "a" for word in self.auxiliaries}
        self.list_letters |= {word: "A" if word in self.auxiliaries else "b" for word in _BEFORE_LAST_PART}

    def masks(self, text: Normalised) -> list[int]:
        """One mask for each word of the text."""
        masks = list(map(self._single.get, text.words, repeat(0)))
        for first, last, number in self._longer.spans(text):
            bits = self._longer_bits[number]
            for place in range(first, -last):
                masks[place] |= bits
        return masks

    def further_study(self, text: Normalised) -> list[int]:
        """The words of the text at which it speaks of a study that is yet to be done."""
        return [first for first, _, _ in self._further_study.spans(text)]


@cache
def cue_reader() -> CueReader:
    """The cue reader, made once a process."""
    written = FILE.read_text(encoding="utf-8")
    return kept_reading("cue_words", (written,), lambda: CueReader(written))
