"""The signs for a value → how probable it is that the value applies, and how strongly the text says so.

One linear model for each kind of facet, and another for titles alone, learnt by `scripts/train_decision.py` from abstracts that
two readers labelled. The weights are on signs (`signs.NAMES`), never on values: a new value, or another topic's, is judged by
the same weights. What a topic has learnt about single words of its own (`WordWeights`, in its folder) comes on top; a word
without a weight counts nothing. A last, small step weighs each value of a facet beside its rivals: a protocol of a trial is no
trial. It may not read a text or a taxonomy.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
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
_LOWEST = 0.003
_DIGITS = bytes.maketrans(b"0123456789abcdef", bytes(range(16)))
"""A hexadecimal digit, as written → its number."""


@dataclass(frozen=True, slots=True)
class WordWeights:
    """What has been learnt about single words of a facet, for one kind of text: value (its number) → word as found in texts →
    weight. A word without a weight counts nothing, so a new one is judged by its signs alone."""

    bias: float
    score: float
    words: Mapping[int, Mapping[str, float]]

    def probability(self, number: int, first: float, phrases: Iterable[str]) -> float:
        """How probable (0…1) a value is that has the probability `first` by its signs and is named by these words."""
        own = self.words.get(number, {})
        return _probability(
            self.bias + self.score * score_of(first) + sum([own.get(phrase, 0.0) for phrase in phrases])
        )


@dataclass(frozen=True, slots=True)
class Model:
    """The weights of one kind of facet for one kind of text: `bias` and a weight a sign for the first step, `rivals` (bias,
    then a weight for each of `RIVAL_SIGNS`) for the last, and the least probabilities for each strength."""

    bias: float
    weights: tuple[float, ...]
    rivals: tuple[float, ...]
    least: Mapping[Strength, float]
    tables: tuple[tuple[float, ...], ...] = field(init=False, repr=False, compare=False)
    """For each four signs: those that are there, as a number below 16 → the sum of their weights. The four with the highest
    numbers come first, as in a number that is written down. Tables for eight signs each take half as many steps and are
    slower: 16 models of them are too large for a processor's cache."""

    def __post_init__(self) -> None:
        tables = []
        for start in range(0, len(self.weights), 4):
            table = [0.0]
            for weight in self.weights[start : start + 4]:
                table += [known + weight for known in table]
            tables.append(tuple(table))
        object.__setattr__(self, "tables", tuple(reversed(tables)))

    def first(self, signs: int) -> float:
        """How probable (0…1) a value with these signs is, by itself."""
        fours = f"{signs:0{len(self.tables)}x}".encode().translate(_DIGITS)
        there = map(getitem, compress(self.tables, fours), filter(None, fours))  # two in three are zero
        return _probability(self.bias + sum(there))

    def beside_rivals(self, first: Mapping[int, float], gives_way_to: Mapping[int, Sequence[int]]) -> dict[int, float]:
        """How probable each value of a facet is (number → 0…1) beside its rivals, from how probable each is by itself."""
        bias, *weights = self.rivals
        return {
            number: _probability(
                bias + sum(map(mul, weights, rival_signs(number, first, gives_way_to.get(number, ()))))
            )
            for number in first
        }

    def strength(self, probability: float) -> Strength | None:
        """How strongly the text says so; None below the least probability of any strength."""
        for strength in ("stated", "likely", "implied"):
            if strength in self.least and probability >= self.least[strength]:
                return strength
        return None


def rival_signs(number: int, first: Mapping[int, float], gives_way_to: Iterable[int]) -> tuple[float, ...]:
    """The numbers behind `RIVAL_SIGNS` for one value, from the probabilities of the first step."""
    own = first[number]
    if len(first) == 1:
        return score_of(own), _LOWEST_SCORE, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    rivals = [probability for other, probability in first.items() if other != number]
    best = max(rivals)
    earlier = [first[other] for other in gives_way_to if other in first]
    before = max(earlier) if earlier else 0.0
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


def _probability(score: float) -> float:
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, score))))


def score_of(probability: float) -> float:
    """The score of a probability: its logarithmic odds, within limits."""
    inside = min(1 - _LOWEST, max(_LOWEST, probability))
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
    found: dict[tuple[str, str], Model] = {}
    for entry in data["models"]:
        weights = tuple(entry["weights"][places[name]] / 1000 if name in places else 0.0 for name in NAMES)
        rivals = tuple(weight / 1000 for weight in entry["rivals"])
        found[entry["for"], entry["text"]] = Model(entry["bias"] / 1000, weights, rivals, entry["least"])
    # Where too few titles are labelled for a model of their own, the one for title and abstract judges them.
    return {(about, TITLE): model for (about, text), model in found.items() if text == FULL} | found
