"""How much a place reads like a boundary once the text was divided, by the references around it and what all of them share.

It knows words and a first division, neither lines nor layout, and may not decide. What a person sees who looks at a list a second
time is counted: what either piece would have (years, pages, links, lists of authors, length), whether there is a likelier place
close by, and how many references of this text begin and end as they would here. The trees are learnt by
`scripts/train_splitter.py`, from texts whose first division was made with weights learnt from others.
"""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Any

from evidence.references.author_lists import EDGE
from evidence.references.reference_shapes import Shapes

FILE = Path(__file__).with_name("boundary_trees.json")
LEAST = -7.0
"""The first score below which a place is not read again: hardly any boundary has less."""
_KINDS = {kind: number for number, kind in enumerate("yYTRZNXxUDdvMpeobjghnScCAmKIiPQ&L.—s#")}
"""Kinds of words by what they tell: years, numbers, links, words, names."""
_TAILS = {
    tail: number
    for number, tail in enumerate(("", ".", ",", ";", ":", ")", '"', "?", ").", "),", '."', ',"', ".)", ":)"))
}
_AGO = {bucket: number for number, bucket in enumerate(("", *"0123abcdefgh"), start=-1)}
_FORMS = {"": 0, "f": 1, "v": 2, "V": 3, "l": 4, "L": 5}
_NEAR = 12
"""Words in which a likelier place is looked for."""
_FAR = 60
"""The distance from which a year, page or link is as good as not there."""
_UNLIKELY = -20.0
_WITHIN = (2, 1, 1, 4, 1)
"""Words by which two references may differ in where their year and pages are, to be alike."""


class SecondReading:
    """The places of a text that was divided at `chosen`: `reads` has the first score of each place that was tried, `letters` the
    number of letters before each word."""

    def __init__(
        self, shapes: Shapes, reads: Mapping[int, float], chosen: Sequence[int], letters: Sequence[int]
    ) -> None:
        self._shapes, self._reads, self._letters = shapes, reads, letters
        self._places = sorted(reads)
        self._chosen = list(chosen)
        self._is_chosen = frozenset(chosen)
        kinds = shapes.kinds
        self._counts = (
            running_sums(kind in "YyT" for kind in kinds),
            running_sums(kind in "RZT" for kind in kinds),
            running_sums(kind in "UD" for kind in kinds),
            running_sums(
                at == 1 and said[1:2] in ("2", "3") for at, said in zip(shapes.listed, shapes.authors, strict=True)
            ),
        )
        self._codes = [
            (_KINDS.get(kind, 0), _tail(made, kind)) for made, kind in zip(shapes.shapes, kinds, strict=True)
        ]
        ends = [*self._chosen[1:], len(kinds)]
        lengths = sorted(letters[end] - letters[start] for start, end in zip(self._chosen, ends, strict=True))
        self._usual = max(20, lengths[len(lengths) // 2])
        self._beginnings = _tallied(map(self._beginning, self._chosen))
        self._endings = _tallied(map(self._ending, ends))
        starts_and_ends = [self._distances(end, start) for start, end in zip(self._chosen, ends, strict=True)]
        self._where = [sorted(column) for column in zip(*starts_and_ends, strict=True)]

    def score(self, at: int, after: int) -> float:
        """The logarithm of the odds that the place before word `at` is a boundary, where one of `reference_shapes.BASE` places
        is. The text goes on at word `after`: a marker may stand between."""
        seen = self.features(at, after)
        bias, trees = _trees()
        return bias + sum(_leaf(tree, seen) for tree in trees)

    def features(self, at: int, after: int) -> list[float]:
        """What is seen at a place, in the order that the trees know."""
        return [
            *self._words(at, after),
            *self._distances_of_all(at, after),
            *self._authors(at, after),
            self._reads.get(at, 0.0),
            *self._rivals(at),
            *self._pieces(at, after),
            *self._shared(at, after),
        ]

    def _words(self, at: int, after: int) -> list[int]:
        edge = (_KINDS[EDGE], 0)
        before = [*([edge] * (3 - at)), *self._codes[max(0, at - 3) : at]]
        follow = [*self._codes[after : after + 5], *([edge] * 5)][:5]
        first = self._shapes.shapes[after][0] if after < len(self._codes) else ""
        return [
            *(code for pair in (*before, *follow) for code in pair),
            1 if first == "(" else 2 if first == '"' else 0,
        ]

    def _distances_of_all(self, at: int, after: int) -> list[int]:
        shapes, last = self._shapes, after >= len(self._codes)
        since = shapes.since_year[at - 1] if at else 99
        return [
            since,
            shapes.since_locator[at - 1] if at else 99,
            shapes.since_link[at - 1] if at else 99,
            99 if last else shapes.to_year[after],
            99 if last else shapes.to_locator[after],
            99 if last else shapes.to_link[after],
            shapes.since_end[at - 2] if at > 1 else 99,
            99 if last else shapes.to_end[after],
            min(4, shapes.ends[at] - shapes.ends[at - since]) if since < 99 else 5,
        ]

    def _authors(self, at: int, after: int) -> list[int]:
        """The list of authors that begins here, whether brackets or quotes are open, and how long ago the same words began."""
        said, listed = (
            ("", 0) if after >= len(self._codes) else (self._shapes.authors[after], self._shapes.listed[after])
        )
        depth = self._shapes.depth[at - 1] if at else 0
        ago = _AGO[self._shapes.repeated[after]] if after < len(self._codes) else -1
        if not said:
            return [0, 0, -1, -1, listed, depth, ago]
        form, tail, follows = _FORMS[said[0]], _TAILS.get(said[2:3], len(_TAILS)), _KINDS.get(said[-1], 0)
        return [form, int(said[1]), follows, tail, listed, depth, ago]

    def _rivals(self, at: int) -> list[float]:
        """The best places close by, before and after, and how far they are."""
        here = bisect_left(self._places, at)
        after = here + (here < len(self._places) and self._places[here] == at)
        found: list[float] = []
        for numbers in (range(here - 1, -1, -1), range(after, len(self._places))):
            best, distance = _UNLIKELY, _FAR
            for number in numbers:
                other = self._places[number]
                if abs(other - at) > _NEAR:
                    break
                if self._reads[other] > best:
                    best, distance = self._reads[other], abs(other - at)
            found += (best, distance)
        return found

    def _pieces(self, at: int, after: int) -> list[float]:
        """What the piece before the place and the one after it have, and the scores of the places where they begin and end."""
        start = self._chosen[max(0, bisect_left(self._chosen, at) - 1)]
        following = bisect_right(self._chosen, at)
        last = following == len(self._chosen)
        end = len(self._codes) if last else self._chosen[following]
        begun = min(after, end)
        counted = [number for count in self._counts for number in (count[at] - count[start], count[end] - count[begun])]
        before, behind = self._letters[at] - self._letters[start], self._letters[end] - self._letters[begun]
        usual = self._usual
        return [*counted, before, behind, before / usual, behind / usual, (before + behind) / usual, self._reads.get(start, 0.0),
                5.0 if last else self._reads.get(end, 0.0)]  # fmt: skip

    def _shared(self, at: int, after: int) -> list[float]:
        """The shares of the other references of this text that begin and end as they would here."""
        own = int(at in self._is_chosen)
        others = len(self._chosen) - own
        if not others:
            return [0, *([-1.0] * (len(self._beginnings) + len(self._endings) + len(_WITHIN))), *self._middles()]
        alike = [
            *zip(self._beginnings, self._beginning(after), strict=True),
            *zip(self._endings, self._ending(at), strict=True),
        ]
        near = [
            bisect_right(column, value + within) - bisect_left(column, value - within)
            for column, value, within in zip(self._where, self._distances(at, after), _WITHIN, strict=True)
        ]
        return [
            others,
            *((tally[key] - own) / others for tally, key in alike),
            *((n - own) / others for n in near),
            *self._middles(),
        ]

    def _middles(self) -> list[int]:
        return [column[len(column) // 2] for column in self._where]

    def _beginning(self, at: int) -> tuple[str, ...]:
        """How a reference that begins with this word begins, more and less exactly."""
        shapes, kinds = self._shapes.shapes, self._shapes.kinds
        said = self._shapes.authors[at] if at < len(kinds) else ""
        first = "".join(kinds[at : at + 1])
        return first, " ".join(shapes[at : at + 2]), "".join(kinds[at : at + 2]), said[:1], said[:1] + said[2:]

    def _ending(self, end: int) -> tuple[str, ...]:
        """How a reference that ends before this word ends, more and less exactly."""
        if not end:
            return "", "", ""
        made = self._shapes.shapes[end - 1]
        return made, made[-1] if made[-1] in '.,;:)"' else "", self._shapes.kinds[end - 1]

    def _distances(self, end: int, start: int) -> tuple[int, ...]:
        """How far the first year is from the beginning `start`, the last year and pages from the end `end`, the first pages from
        the beginning, and the last link from the end."""
        shapes, empty = self._shapes, start >= len(self._codes)
        return (
            _FAR if empty else min(_FAR, shapes.to_year[start]),
            min(_FAR, shapes.since_year[end - 1]) if end else _FAR,
            min(_FAR, shapes.since_locator[end - 1]) if end else _FAR,
            _FAR if empty else min(_FAR, shapes.to_locator[start]),
            min(_FAR, shapes.since_link[end - 1]) if end else _FAR,
        )


Tree = Any
"""A number to add, or a list: a feature, the most it may be to go on to the first of two trees, and these trees."""


def _leaf(tree: Tree, seen: Sequence[float]) -> float:
    while type(tree) is list:
        tree = tree[2 if seen[tree[0]] <= tree[1] else 3]
    return float(tree)


@cache
def _trees() -> tuple[float, list[Tree]]:
    read = json.loads(FILE.read_text(encoding="utf-8"))
    return float(read["bias"]), read["trees"]


def _tail(shape: str, kind: str) -> int:
    """The punctuation after a word, as a number."""
    tail = shape[shape.find(kind) + 1 :]
    return _TAILS.get(tail, _TAILS.get(tail[-1:], len(_TAILS)))


def running_sums(values: Iterable[int]) -> list[int]:
    """The sum of the values before each place, and of all."""
    return [0, *accumulate(values)]


def _tallied(rows: Iterable[tuple[str, ...]]) -> list[Counter[str]]:
    """How often each value of each column is."""
    return [Counter(column) for column in zip(*rows, strict=True)]
