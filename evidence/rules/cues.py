"""Cue words in a text: for each word, which kinds of cue stand there (measured, improved, randomised, history of, …).

The kinds and their words are data (`cue_words.yaml`). This module may not know facets, values or roles: `mention_roles` and
`decide` give the cues a meaning.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from evidence import strict_yaml
from evidence.rules.normal_forms import Normalised
from evidence.rules.word_finder import WordFinder, term_forms

FILE = Path(__file__).with_name("cue_words.yaml")


class CueReader:
    """The cue words, prepared. `kinds` are the names of the kinds; a mask has the bit `1 << kinds.index(name)` of each kind."""

    def __init__(self) -> None:
        data = strict_yaml.parse(FILE.read_text(encoding="utf-8"), FILE.name).data
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
        self.clause_starts = frozenset(form.words[0] for term in data["clause_starts"] for form in term_forms(term))
        self.auxiliaries = frozenset(
            form.words[0] for term in map(str, data["auxiliaries"]) for form in term_forms(term)
        )

    def masks(self, text: Normalised) -> list[int]:
        """One mask for each word of the text."""
        single = self._single
        masks = [single.get(word, 0) for word in text.words]
        for hit in self._longer.hits(text):
            bits = self._longer_bits[hit.term]
            for place in range(hit.first, hit.last):
                masks[place] |= bits
        return masks


@cache
def cue_reader() -> CueReader:
    """The cue reader, made once a process."""
    return CueReader()
