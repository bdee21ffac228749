"""Learns what the splitter knows of boundaries: `python scripts/train_splitter.py [FOLDER] [PRINTED]`.

FOLDER (default: ../shared/data) has the strings and records, of which only the half is used that is not measured. PRINTED is the
file in which `measure_splitter.py --printed` keeps the measured styles; what is not there is printed first, which needs
citeproc-py. The same records are also printed in styles made at random (`random_styles`). References are joined at random, in one
style or in several, and two things are learnt:

- `boundary_weights.json`, by logistic regression: how much the words around a place read like a boundary.
- `boundary_trees.json`, by gradient boosting: the same once the text was divided. The references are parted in halves, and each
  is divided with weights learnt from the other, so that first divisions are as wrong here as they are in texts nobody saw.

Layout is not learnt: the splitter estimates it in each text. Needs the `train` extra (scikit-learn, scipy, numpy).
"""

from __future__ import annotations

import hashlib
import json
import math
import random
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pasted_lists
import random_styles
from scipy.sparse import csr_matrix
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from evidence.references import reference_shapes, second_reading
from evidence.references.reference_shapes import BASE, Shapes
from evidence.references.split_references import _Block, _Line

SEED = 17
EVERY = 12
"""Of the places that no reference begins at inside a line, every how-manieth is learnt from: one may begin a line."""
NEAR = 3
"""Places this many words from a boundary are all learnt from."""
DITTOED = 0.1
"""The share of lists with dashes for authors printed before."""
TAILED = 0.06
TAILS = (
    " PMID: 27032627.",
    " PMID: 16633477; PMCID: PMC1414693.",
    " Epub 2016 Apr 1. PMID: 27032627.",
    " [PubMed] [Google Scholar]",
    " [CrossRef] [PubMed]",
    " [Google Scholar] [CrossRef]",
    " View Article PubMed/NCBI Google Scholar",
    " Accessed 3 May 2020.",
    " Accessed May 3, 2020.",
    " Available from: https://www.who.int/publications/i/item",
    " Retrieved from https://www.nice.org.uk/guidance/ng222",
    " [Accessed 12 June 2019].",
    " (in press).",
)
"""What databases and web pages print after a reference, and the share of references that get one of them."""
ODD, ROUNDS, MIXED, STYLES = 0.18, 5, 0.25, 8
"""Of the records in styles made at random: the share that is made odd, how often each is printed, the share of lists that are in
several styles, and in how many."""
AGAIN = 2
"""How often the strings and the measured styles are put into lists of one style and of all."""
SEEN = 4
"""Times that a feature must be seen."""
STRENGTH = 1.0
"""Inverse of the regularisation (scikit-learn's C)."""
LEAST = 0.02
"""Weights closer to zero are left out."""
TREES, LEAVES, RATE = 200, 20, 0.08
"""Trees, leaves of each, and how much of each is believed."""


DAMAGED = 0.15
"""The share of references that are learnt from without a part: their end, last words, punctuation or beginning. What is left of a
boundary must be enough, because real references are often printed oddly at one side of it."""
ODD_BEGINNINGS = ("(", "1 ", "12. ", "“", "[", "R. ", "9", "and ", ": ")


def damaged(text: str, rng: random.Random) -> str:
    """A reference as it is printed now and then: with a part of it missing or odd."""
    words, kind = text.split(), rng.random()
    if len(words) < 8:
        return text
    if kind < 0.35:
        words = words[: rng.randrange(len(words) // 2, len(words))]
    elif kind < 0.65:
        words = words[: -rng.randrange(1, 4)]
    elif kind < 0.8:
        words[-1] = words[-1].rstrip(".,;)") or words[-1]
        return " ".join(words)
    elif kind < 0.9:
        found = re.search(r"\(?(?:19|20)\d\d[a-z]?\)?[.,:]? ", text)
        if found and found.end() < len(text) * 0.6:
            return text[found.start() if rng.random() < 0.3 else found.end() :]
        return " ".join(words[rng.randrange(1, 4) :])
    else:
        return text[0].lower() + text[1:] if rng.random() < 0.3 else rng.choice(ODD_BEGINNINGS) + text
    bare = words[-1].rstrip(".,;:") or words[-1]
    if rng.random() < 0.7:
        words[-1] = bare + ("." if rng.random() < 0.3 else "")
    return " ".join(words)


def part(key: str) -> int:
    """One of six parts, by which references are kept apart."""
    return hashlib.sha256(key.encode()).digest()[1] % 6


def texts(folder: Path, printed: Path | None, wanted: Callable[[int], bool]) -> Iterator[list[str]]:
    """Lists of references of the wanted parts of the half that is not measured, each on one line: the strings and the measured
    styles in lists of one style and of all, and records in styles made at random."""
    rng = random.Random(SEED)
    titles = {item["id"]: item["title"] for item in pasted_lists.records(folder)}
    found = [
        *(one for one in pasted_lists.real_strings(folder) if not pasted_lists.holds_several(one.text)),
        *pasted_lists.styled(folder, printed),
    ]
    found = [one for one in found if not one.unseen and wanted(part(titles.get(one.key, one.key)))]
    items = [item for item in pasted_lists.learnt_items(folder) if wanted(part(item["title"]))]
    made = [one for _ in range(AGAIN) for mixed in (False, True) for one in pasted_lists.lists(found, rng, mixed)]
    for _ in range(ROUNDS):
        made += in_random_styles(items, rng)
    for one in made:
        one = [text + rng.choice(TAILS) if rng.random() < TAILED else text for text in one]
        one = [damaged(text, rng) if rng.random() < DAMAGED else text for text in one]
        yield pasted_lists.dittoed(one, rng) if rng.random() < DITTOED else one


def in_random_styles(items: Sequence[dict[str, Any]], rng: random.Random) -> Iterator[list[str]]:
    """Each record once, in lists of one style or of several."""
    items = rng.sample(items, len(items))
    while items:
        size = rng.choice((3, 6, 12, 25, 60))
        styles = [random_styles.drawn(rng) for _ in range(STYLES if rng.random() < MIXED else 1)]
        made = []
        for item in items[:size]:
            item = random_styles.odd(item, rng.choice(items), rng) if rng.random() < ODD else item
            made.append(" ".join(rng.choice(styles).printed(item, rng).split()))
        yield [text for text in made if text]
        items = items[size:]


def places(lists: Sequence[Sequence[str]], rng: random.Random) -> Iterator[tuple[list[str], bool, float]]:
    """The features of each place, whether it is a boundary, and how many places it stands for."""
    for texts in lists:
        words: list[str] = []
        starts = set()
        for text in texts:
            starts.add(len(words))
            words += text.split()
        shapes = Shapes(words)
        for at in range(1, len(words)):
            if at in starts or shapes.may_begin(at) or not starts.isdisjoint(range(at - NEAR, at + NEAR + 1)):
                yield [*map(sys.intern, shapes.features(at))], at in starts, 1.0
            elif rng.random() < 1 / EVERY:
                yield [*map(sys.intern, shapes.features(at))], False, float(EVERY)


def learn(lists: Sequence[Sequence[str]]) -> dict[str, float]:
    """The weight of each feature."""
    made = list(places(lists, random.Random(SEED)))
    seen = Counter(feature for features, _, _ in made for feature in features)
    names = {name: number for number, name in enumerate(sorted(name for name, times in seen.items() if times >= SEEN))}
    columns = [[names[feature] for feature in features if feature in names] for features, _, _ in made]
    ends = np.cumsum([0, *map(len, columns)])
    data = csr_matrix((np.ones(ends[-1]), np.concatenate(columns), ends), shape=(len(made), len(names)))
    truth = np.array([boundary for _, boundary, _ in made])
    counts = np.array([count for _, _, count in made])
    model = LogisticRegression(
        l1_ratio=1, C=STRENGTH, solver="liblinear", fit_intercept=False, random_state=SEED, max_iter=60
    )
    model.fit(data, truth, sample_weight=counts)
    learnt = {name: round(float(model.coef_[0, number]), 2) for name, number in names.items()}
    learnt["bias"] = round(learnt["bias"] + _shift(counts[truth].sum() / counts.sum()), 2)
    kept = {name: weight for name, weight in learnt.items() if abs(weight) >= LEAST}
    print(f"{len(made)} places, {len(names)} features, {len(kept)} kept", flush=True)
    return kept


def _shift(share: float) -> float:
    """What turns the odds of a sample in which this share is boundaries into those of a text in which `BASE` is."""
    return math.log(BASE / (1 - BASE)) - math.log(share / (1 - share))


def read_again(lists: Sequence[Sequence[str]], weights: dict[str, float]) -> Iterator[tuple[list[float], bool, float]]:
    """The same as `places`, for the second reading, in texts that are divided with these weights. Places that are not read again
    have no features."""
    rng = random.Random(SEED)
    reference_shapes._weights = cache(lambda: weights)
    for texts in lists:
        boundaries, letters = set(), 0
        for text in texts:
            boundaries.add(letters)
            letters += len(text.replace(" ", ""))
        block = _Block([_Line(0, " ".join(texts), 0)], twice=False)
        reading, letters = block.second_reading(), 0
        for at, word in enumerate(block.words):
            boundary, tried = letters in boundaries, block.shapes.may_begin(at) if at else False
            letters += len(word)
            if at and (boundary or tried or rng.random() < 1 / EVERY):
                again = block.shapes.score(at) > second_reading.LEAST
                yield reading.features(at, at) if again else [], boundary, 1.0 if boundary or tried else float(EVERY)


def grow(made: Sequence[tuple[list[float], bool, float]]) -> dict[str, Any]:
    """The trees, and what is added to the sum of theirs."""
    share = sum(count for _, boundary, count in made if boundary) / sum(count for _, _, count in made)
    again = [each for each in made if each[0]]
    data = np.array([features for features, _, _ in again], dtype=np.float32)
    model = HistGradientBoostingClassifier(
        max_iter=TREES, max_leaf_nodes=LEAVES, learning_rate=RATE, l2_regularization=5, min_samples_leaf=30, max_features=0.5,
        early_stopping=False, max_bins=64, random_state=SEED,
    )  # fmt: skip
    model.fit(data, [boundary for _, boundary, _ in again], sample_weight=[count for _, _, count in again])
    trees = [_nested(tree.nodes, 0) for (tree,) in model._predictors]
    bias = float(model._baseline_prediction.ravel()[0]) + _shift(share)
    print(f"{len(made)} places, {len(again)} read again", flush=True)
    return {"bias": round(bias, 3), "trees": trees}


def _nested(nodes: Any, at: int) -> second_reading.Tree:
    node = nodes[at]
    if node["is_leaf"]:
        return round(float(node["value"]), 3)
    branches = _nested(nodes, node["left"]), _nested(nodes, node["right"])
    return [int(node["feature_idx"]), round(float(node["num_threshold"]), 3), *branches]


def learn_all(
    folder: Path, printed: Path | None, wanted: Callable[[int], bool]
) -> tuple[dict[str, float], dict[str, Any]]:
    """The weights and the trees, learnt from the wanted parts."""
    halves = [
        list(texts(folder, printed, lambda part: part % 2 == 0 and wanted(part))),
        list(texts(folder, printed, lambda part: part % 2 == 1 and wanted(part))),
    ]
    weights = [learn(half) for half in halves]
    made = [place for half, other in zip(halves, weights[::-1], strict=True) for place in read_again(half, other)]
    trees = grow(made)
    return learn(list(texts(folder, printed, wanted))), trees


def main() -> None:
    arguments = sys.argv[1:]
    folder = Path(arguments[0]) if arguments else Path(__file__).parents[2] / "shared" / "data"
    weights, trees = learn_all(folder, Path(arguments[1]) if arguments[1:] else None, lambda part: True)
    reference_shapes.FILE.write_text(
        "{\n" + ",\n".join(f"{json.dumps(k, ensure_ascii=False)}: {v}" for k, v in sorted(weights.items())) + "\n}\n"
    )
    rows = ",\n".join(json.dumps(tree, separators=(",", ":")) for tree in trees["trees"])
    second_reading.FILE.write_text(f'{{"bias": {trees["bias"]}, "trees": [\n{rows}\n]}}\n')


if __name__ == "__main__":
    main()
