"""A title or an abstract with everything that reading needs at each word: normal form, cues, sentence, role and clause.

It may not know facets, values or mentions.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import reduce
from itertools import compress, count, pairwise, repeat
from operator import or_

from evidence.rules.cues import CueReader
from evidence.rules.normal_forms import Normalised
from evidence.rules.sentence_roles import Sentence, read_sentences

NEAR = 5
"""Words on either side of a mention that are near it."""
LONGEST_LIST_PART = 6
"""Words between two commas of a list."""

_ENDS = frozenset(";:!?")
_COMMAS = frozenset(",/")
_CACHED = 100_000

_REST = LONGEST_LIST_PART - 1
_LIST = re.compile(rf"b(?:w{{0,{_REST}}}b)*w{{0,{_REST}}}[wiaA]?")
"""A list, each word as a letter (`CueReader.list_letters`): `b` begins a part, `A` does so and is an auxiliary, `s` is the first
word of a sentence. The last word of a match may end the list."""
_LIST_BACKWARDS = re.compile(rf"[asbA](?:[wi]{{0,{_REST}}}[bA])*[wi]{{0,{LONGEST_LIST_PART}}}")
"""The same to the right of a word, in a line read backwards: where a list ends, and the words from which on it goes on up to
there."""


class _Separators(dict[str, str]):
    """What stands between two words → the mark that separates them. Computed once for each, as texts share them."""

    def __missing__(self, gap: str) -> str:
        if len(self) >= _CACHED:
            self.clear()
        self[gap] = mark = gap.strip()[:1]
        return mark


_SEPARATORS = _Separators()


class AnnotatedText:
    """One field of a work. `sentence_of[i]` is the number of the sentence that word `i` belongs to, `clause_of[i]` that of the
    clause (numbered through the field), `separator[i]` what stands between word `i` and the next: `,` or `/` or `(` … or
    nothing. Words `bounds[n]` to `bounds[n + 1]` are those of sentence `n`. `_fours[i]` are the cues of word `i` and the
    next three, joined once: the cues near a word are asked for most."""

    __slots__ = (
        "_fours",
        "_lists",
        "bounds",
        "clause_masks",
        "clause_of",
        "cues",
        "field",
        "masks",
        "normal",
        "sentence_masks",
        "sentence_of",
        "sentences",
        "separator",
    )

    def __init__(self, field: str, text: str, cues: CueReader) -> None:
        self.field = field
        self._lists: tuple[list[int], list[int]] | None = None
        self.cues = cues
        self.normal = normal = Normalised(text)
        self.masks = masks = cues.masks(normal)
        twos: list[int] = list(map(or_, masks, masks[1:]))
        self._fours: list[int] = list(map(or_, twos, twos[2:]))
        self.sentences = (Sentence(0, len(text), "aim", False),) if field == "title" else tuple(read_sentences(text))
        starts, words = normal.starts, normal.words
        self.bounds = bounds = [
            0,
            *(bisect_left(starts, sentence.start) for sentence in self.sentences[1:]),
            len(words),
        ]
        self.sentence_of = sentence_of = _numbered(bounds)
        self.separator = separator = list(map(_SEPARATORS.__getitem__, normal.gaps))
        separator[-1:] = ["."]
        clauses = {*bounds, *(place + 1 for place in _places(_ENDS, separator))}
        clauses.update(
            place for place in _places(cues.clause_starts, words) if not place or separator[place - 1] != "("
        )
        self.clause_of = _numbered(limits := sorted({0, *clauses}))
        self.clause_masks = [reduce(or_, masks[first:last], 0) for first, last in pairwise(limits)] or [0]
        self.sentence_masks = [0] * (len(self.sentences) or 1)
        for first, mask in zip(limits[:-1], self.clause_masks, strict=False):
            self.sentence_masks[sentence_of[first]] |= mask

    def before(self, first: int, size: int = NEAR) -> int:
        """The cues in the last `size` words before this place, inside its sentence."""
        begins = self.bounds[self.sentence_of[first]]
        if size == NEAR and first - NEAR >= begins:
            return self._fours[first - NEAR] | self.masks[first - 1]
        return reduce(or_, self.masks[max(first - size, begins) : first], 0)

    def after(self, last: int, size: int = NEAR) -> int:
        """The cues in the first `size` words from this place on, inside the sentence of the word before it."""
        ends = self.bounds[self.sentence_of[last - 1] + 1]
        if size == NEAR and last + NEAR <= ends:
            return self._fours[last] | self.masks[last + NEAR - 1]
        return reduce(or_, self.masks[last : min(last + size, ends)], 0)

    def enclosing_list(self, first: int, last: int) -> tuple[int, int]:
        """The words of the list ("A, B and C") that these words stand in, or these words: what is said of one is said of all."""
        if self._lists is None:
            self._lists = self._find_lists()
        starts, stops = self._lists
        return starts[first], stops[last]

    def _find_lists(self) -> tuple[list[int], list[int]]:
        """For each word the first one of the list that it stands in, or itself; and for each place the end of the list that goes
        on there, or itself.

        A comma, a slash, "and" or "or" begins a part of a list. A verb, a preposition, the end of the sentence or a part of
        more than `LONGEST_LIST_PART` words ends the list; to the right of a part, prepositions belong to it ("severity of
        depression").
        """
        letters = list(map(self.cues.list_letters.get, self.normal.words, repeat("w")))
        for place in _places(_COMMAS, self.separator):
            letters[place + 1] = "b" if letters[place + 1] in "wb" else "A"
        for place in self.bounds[:-1]:
            letters[place : place + 1] = "s"
        line = "".join(letters[: len(self.masks)])  # a sentence without words at the end has added a letter
        size = len(line)
        starts, stops = list(range(size)), list(range(size + 1))
        for found in _LIST.finditer(line):
            start, stop = found.span()
            starts[start:stop] = [start] * (stop - start)
        for found in _LIST_BACKWARDS.finditer("s" + line[::-1]):
            start, stop = found.span()
            stops[size - stop + 1 : size - start + 1] = [size - start] * (stop - start)
        return starts, stops


def _numbered(limits: Sequence[int]) -> list[int]:
    """The number of the span that each place belongs to; spans reach from each of the limits to the next."""
    found: list[int] = []
    for number, (first, last) in enumerate(pairwise(limits)):
        found += [number] * (last - first)
    return found


def _places(wanted: frozenset[str], among: Iterable[str]) -> Iterable[int]:
    """The places of these words or marks."""
    return compress(count(), map(wanted.__contains__, among))
