"""The signs for a value → how probable it is that the value applies, and how strongly the text says so.

One linear model for each kind of facet, and another for titles alone, learnt by `scripts/train_decision.py` from abstracts that
two readers labelled. The weights are on signs (`signs.NAMES`), never on values: a new value, or another topic's, is judged by
the same weights. What a topic has learnt about its own values (`ValueWeights`, in its folder) comes on top: weights of their
words, of signs beside them and of words of the title; what has no weight there counts nothing. A last, small step weighs each
value of a facet beside its rivals: a protocol of a trial is no trial. It may not read a text or a taxonomy.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import compress
from operator import getitem, mul
from pathlib import Path

from evidence.data_model import Strength
from evidence.rules.cues import FILE as CUE_WORDS
from evidence.rules.signs import NAMES

FILE = Path(__file__).with_name("weights") / "decision.json"
FULL, TITLE = "title and abstract", "title alone"


RIVAL_SIGNS = (
    "own score",
    "score of the best rival",
    "sum of the rivals",
    "best value that it gives way to",
    "a value that it gives way to is likelier than not",
    "a rival is likelier",
    "a value that it gives way to is likelier",
    "likely rivals",
)
"""What the last step weighs: how the values of a facet stand to each other after the first."""
_LOWEST, _HIGHEST, _NONE = 0.003, 1 - 0.003, 1e-12
_DIGITS = bytes.maketrans(b"0123456789abcdef", bytes(range(16)))
"""A hexadecimal digit, as written → its number."""


Tables = tuple[tuple[float, ...], ...]
"""For each four signs: those that are there, as a number below 16 → the sum of their weights. Tables for eight signs each take
half as many steps and are slower: 16 models of them are too large for a processor's cache."""


def _tables(weights: Sequence[float]) -> Tables:
    tables = []
    for start in range(0, len(weights), 4):
        table = [0.0]
        for weight in weights[start : start + 4]:
            table += [known + weight for known in table]
        tables.append(tuple(table))
    return tuple(tables)


def _sum(tables: Tables, signs: int) -> float:
    """The weights of these signs together."""
    fours = f"{signs:x}".encode().translate(_DIGITS)[::-1]
    return sum(map(getitem, compress(tables, fours), filter(None, fours)))  # two in three are zero


@dataclass(frozen=True, slots=True)
class Model:
    """The weights of one kind of facet for one kind of text: `bias` and a weight a sign for the first step, `rivals` (bias,
    then a weight for each of `RIVAL_SIGNS`) for the last, and the least probabilities for each strength."""

    bias: float
    weights: tuple[float, ...]
    rivals: tuple[float, ...]
    least: Mapping[Strength, float]
    _made: list[Tables] = field(default_factory=list, init=False, repr=False, compare=False)

    @property
    def tables(self) -> Tables:
        """The tables of the weights. Made when first asked for: a topic that has learnt weights of its own asks for few."""
        if not self._made:
            self._made.append(_tables(self.weights))
        return self._made[0]

    def first(self, signs: int) -> float:
        """How probable (0…1) a value with these signs is, by itself."""
        return _probability(self.bias + _sum(self.tables, signs))

    def beside_rivals(self, first: Mapping[int, float], gives_way_to: Mapping[int, Sequence[int]]) -> dict[int, float]:
        """How probable each value of a facet is (number → 0…1) beside its rivals, from how probable each is by itself."""
        return {
            number: _probability(_beside_rivals(self.rivals, number, first, gives_way_to.get(number, ())))
            for number in first
        }

    def strength(self, probability: float) -> Strength | None:
        """How strongly the text says so; None below the least probability of any strength."""
        for strength in ("stated", "likely", "implied"):
            if strength in self.least and probability >= self.least[strength]:
                return strength
        return None


@dataclass(frozen=True, slots=True)
class ValueWeights:
    """What a topic has learnt about the values of a facet, for one kind of text, beside the weights `of` the model that are the
    same for all: value (its number) → word as found in texts → weight, value → number of a sign → weight, and value → word of the
    title → weight. What is without a weight here counts nothing more, so a new word, or a new value, is judged by its signs
    alone. `beside`: value → another value → weight of how probable that one is, where the facet has learnt what goes together (a
    pilot study may be a randomised trial, a protocol is none); `rivals` are then the weights of the last step beside them."""

    of: Model
    bias: float
    score: float
    words: Mapping[int, Mapping[str, float]]
    signs: Mapping[int, Mapping[int, float]] = field(default_factory=dict)
    title_words: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    rivals: tuple[float, ...] = ()
    beside: Mapping[int, Mapping[int, float]] = field(default_factory=dict)
    _tables: dict[int, Tables] = field(default_factory=dict, init=False, repr=False, compare=False)

    def probability(self, number: int, signs: int, phrases: Iterable[str], title: Collection[str]) -> float:
        """How probable (0…1) a value is that has these signs and is named by these words, in a text with these words of the
        title."""
        known = number if number in self.signs else -1
        tables = self._tables.get(known) or self._prepared(known)
        total = self.bias + self.score * self.of.bias + _sum(tables, signs)
        if own := self.words.get(number):
            total += sum(filter(None, map(own.get, phrases)))
        if in_title := self.title_words.get(number):
            total += sum(filter(None, map(in_title.get, title)))
        return _probability(total)

    def beside_rivals(self, first: Mapping[int, float], gives_way_to: Mapping[int, Sequence[int]]) -> dict[int, float]:
        """How probable each value of a facet is beside its rivals, as `Model.beside_rivals`."""
        if not self.rivals:
            return self.of.beside_rivals(first, gives_way_to)
        found = {}
        for number in first:
            total = _beside_rivals(self.rivals, number, first, gives_way_to.get(number, ()))
            if own := self.beside.get(number):
                total += sum([own[other] * probability for other, probability in first.items() if other in own])
            found[number] = _probability(total)
        return found

    def _prepared(self, number: int) -> Tables:
        """The weights of the signs for one value: those of all values, as this step counts them, and its own; made once."""
        own = self.signs.get(number, {})
        weights = [self.score * weight + own.get(sign, 0.0) for sign, weight in enumerate(self.of.weights)]
        self._tables[number] = _tables(weights)
        return self._tables[number]


def rival_signs(number: int, first: Mapping[int, float], gives_way_to: Iterable[int]) -> tuple[float, ...]:
    """The numbers behind `RIVAL_SIGNS` for one value, from the probabilities of the first step."""
    own = first[number]
    if len(first) == 1:
        return score_of(own), _LOWEST_SCORE, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    rivals = [probability for other, probability in first.items() if other != number]
    best = max(rivals)
    before = max([first[other] for other in gives_way_to if other in first], default=0.0)
    return (
        score_of(own),
        score_of(best),
        sum(rivals),
        before,
        float(before > 0.5),
        float(best > own),
        float(before > own),
        float(sum([probability > 0.4 for probability in rivals])),
    )


def _beside_rivals(
    rivals: Sequence[float], number: int, first: Mapping[int, float], gives_way_to: Iterable[int]
) -> float:
    """The score of a value from the last step."""
    found: float = rivals[0] + sum(map(mul, rivals[1:], rival_signs(number, first, gives_way_to)))
    return found


def _probability(score: float) -> float:
    return 1 / (1 + math.exp(-score if -30.0 < score < 30.0 else -30.0 if score > 0 else 30.0))


def log_odds(probability: float) -> float:
    """The logarithmic odds of a probability."""
    inside = min(1 - _NONE, max(_NONE, probability))
    return math.log(inside / (1 - inside))


def score_of(probability: float) -> float:
    """The score of a probability: its logarithmic odds, within limits."""
    inside = probability if _LOWEST < probability < _HIGHEST else _LOWEST if probability < 0.5 else _HIGHEST
    return math.log(inside / (1 - inside))


_LOWEST_SCORE = score_of(0.0)


@cache
def weights_digest() -> str:
    """16 hexadecimal digits of the shipped weights and cue words, those of sentence roles included: others give other tags."""
    files = [CUE_WORDS, *sorted(FILE.parent.iterdir())]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files if file.is_file())).hexdigest()[:16]


@cache
def models() -> Mapping[tuple[str, str], Model]:
    """The shipped models: (what a facet is about; `FULL` or `TITLE`) → model."""
    data = json.loads(FILE.read_text(encoding="utf-8"))
    places = {name: place for place, name in enumerate(data["signs"])}
    order = [places.get(name, -1) for name in NAMES]  # a sign that has no weight takes the nought after the last
    found: dict[tuple[str, str], Model] = {}
    for entry in data["models"]:
        known = [weight / 1000 for weight in entry["weights"]] + [0.0]
        weights = tuple([known[place] for place in order])
        rivals = tuple(weight / 1000 for weight in entry["rivals"])
        found[entry["for"], entry["text"]] = Model(entry["bias"] / 1000, weights, rivals, entry["least"])
    # Where too few titles are labelled for a model of their own, the one for title and abstract judges them.
    return {(about, TITLE): model for (about, text), model in found.items() if text == FULL} | found
