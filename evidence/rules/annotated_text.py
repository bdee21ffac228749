"""A title or an abstract with everything that reading needs at each word: normal form, cues, sentence, role and clause.

It may not know facets, values or mentions.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from evidence.rules.cues import CueReader
from evidence.rules.normal_forms import Normalised
from evidence.rules.sentence_roles import Sentence, read_sentences

NEAR = 5
"""Words on either side of a mention that are near it."""
LONGEST_LIST_PART = 6
"""Words between two commas of a list."""

_ENDS = frozenset(";:!?")
_INSIDE_PARTS = frozenset(("of", "in", "with", "to", "for", "from"))


class AnnotatedText:
    """One field of a work. `sentence_of[i]` is the number of the sentence that word `i` belongs to, `clause_of[i]` that of the
    clause (numbered through the field), `separator[i]` what stands between word `i` and the next: `,` or `/` or `(` … or
    nothing."""

    __slots__ = (
        "_lists",
        "_near",
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
        self._near: dict[tuple[int, int], int] = {}
        self._lists: tuple[list[int], list[int]] | None = None
        self.cues = cues
        self.normal = normal = Normalised(text)
        self.masks = masks = cues.masks(normal)
        self.sentences = (Sentence(0, len(text), "aim", False),) if field == "title" else tuple(read_sentences(text))
        folded, starts, stops, words = normal.folded, normal.starts, normal.stops, normal.words
        sentence_of = self._sentences_of(starts)
        separator = [
            (folded[stop] if follows == stop + 1 else folded[stop:follows].strip()[:1]).strip()
            for stop, follows in zip(stops, starts[1:], strict=False)
        ]
        separator.append(".")
        clause_of: list[int] = []
        clause = sentence = 0
        between = ""
        clause_starts = cues.clause_starts
        for word, now, after in zip(words, sentence_of, separator, strict=False):
            if clause_of and (now != sentence or between in _ENDS or (word in clause_starts and between != "(")):
                clause += 1
            sentence, between = now, after
            clause_of.append(clause)
        self.sentence_of, self.clause_of, self.separator = sentence_of, clause_of, separator
        clause_masks = [0] * (clause + 1)
        sentence_masks = [0] * (len(self.sentences) or 1)
        for place, mask in enumerate(masks):
            if mask:
                clause_masks[clause_of[place]] |= mask
                sentence_masks[sentence_of[place]] |= mask
        self.clause_masks, self.sentence_masks = clause_masks, sentence_masks

    def _sentences_of(self, starts: Sequence[int]) -> list[int]:
        """The number of the sentence of each word."""
        found: list[int] = []
        for number, sentence in enumerate(self.sentences[1:]):
            found += [number] * (bisect_left(starts, sentence.start) - len(found))
        return found + [max(0, len(self.sentences) - 1)] * (len(starts) - len(found))

    def before(self, first: int, size: int = NEAR) -> int:
        """The cues in the last `size` words before this place, inside its sentence."""
        asked = first, -size
        if asked not in self._near:
            mask, sentence = 0, self.sentence_of[first]
            for place in range(first - 1, max(-1, first - 1 - size), -1):
                if self.sentence_of[place] != sentence:
                    break
                mask |= self.masks[place]
            self._near[asked] = mask
        return self._near[asked]

    def after(self, last: int, size: int = NEAR) -> int:
        """The cues in the first `size` words from this place on, inside the sentence of the word before it."""
        asked = last, size
        if asked not in self._near:
            mask, sentence = 0, self.sentence_of[last - 1]
            for place in range(last, min(len(self.masks), last + size)):
                if self.sentence_of[place] != sentence:
                    break
                mask |= self.masks[place]
            self._near[asked] = mask
        return self._near[asked]

    def enclosing_list(self, first: int, last: int) -> tuple[int, int]:
        """The words of the list ("A, B and C") that these words stand in, or these words: what is said of one is said of all."""
        if self._lists is None:
            self._lists = self._find_lists()
        starts, stops = self._lists
        return min(starts[first], first), max(stops[last], last)

    def _find_lists(self) -> tuple[list[int], list[int]]:
        """For each word, where the list begins that it stands in; for each place between words, where the list ends that goes
        on there.

        A comma, a slash, "and" or "or" begins a part of a list. A verb, a preposition, the end of the sentence or a part of
        more than `LONGEST_LIST_PART` words ends the list; to the right of a part, prepositions belong to it ("severity of
        depression").
        """
        words, sentence_of, auxiliaries = self.normal.words, self.sentence_of, self.cues.auxiliaries
        count = len(words)
        begins = [
            between in (",", "/") or word == "and" or word == "or"
            for between, word in zip(["", *self.separator], words, strict=False)
        ]
        starts = list(range(count))
        leftmost, since, sentence = -1, 0, -1
        for place, word in enumerate(words):
            if sentence_of[place] != sentence:
                leftmost, since, sentence = -1, 0, sentence_of[place]
            elif begins[place]:
                leftmost, since = place if leftmost < 0 else leftmost, 0
            if leftmost >= 0:
                starts[place] = leftmost
            since += 1
            if word in auxiliaries or since > LONGEST_LIST_PART:
                leftmost = -1
        stops = list(range(count + 1))
        follows, goes_on = count, False
        for place in range(count - 1, -1, -1):
            new = place == 0 or sentence_of[place] != sentence_of[place - 1]
            ends = new or (words[place] in auxiliaries and words[place] not in _INSIDE_PARTS and not begins[place])
            if not ends and follows - place <= LONGEST_LIST_PART:
                stops[place] = stops[follows] if goes_on else follows
            if ends or begins[place]:
                follows, goes_on = place, not ends
        return starts, stops
