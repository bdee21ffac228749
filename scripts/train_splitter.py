"""Learns the weights of `evidence/references/boundary_weights.json`: `python scripts/train_splitter.py [FOLDER] [PRINTED MORE]`.

FOLDER (default: ../shared/data) has the strings and records, of which only the half is used that is not measured. PRINTED is the
file in which `measure_splitter.py --printed` keeps the measured styles, MORE the same for the styles and variants that are learnt
from only; what is not there is printed first, which needs citeproc-py and takes long. References are joined at random, in one
style or in all, and a logistic regression learns which places between two words are boundaries. Layout is not learnt: the
splitter estimates it in each text. Needs the `train` extra (scikit-learn, scipy, numpy).
"""

from __future__ import annotations

import json
import random
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pasted_lists
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from evidence.references.reference_shapes import BASE, FILE, Shapes

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
SEEN = 4
"""Times that a feature must be seen."""
STRENGTH = 1.0
"""Inverse of the regularisation (scikit-learn's C)."""
LEAST = 0.02
"""Weights closer to zero are left out."""


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


def texts(folder: Path, files: Sequence[Path]) -> Iterator[list[str]]:
    """Lists of references of the half that is not measured, each on one line: the strings and the measured styles in lists of one
    style and of all, the other styles in lists of one."""
    rng = random.Random(SEED)
    measured, more = [*files, None, None][:2]
    found = [
        *(one for one in pasted_lists.real_strings(folder) if not pasted_lists.holds_several(one.text)),
        *pasted_lists.styled(folder, measured),
    ]
    found = [reference for reference in found if not reference.unseen]
    others = list(pasted_lists.training(folder, more))
    for references, mixed in ((found, False), (found, True), (others, False)):
        for texts in pasted_lists.lists(references, rng, mixed):
            texts = [text + rng.choice(TAILS) if rng.random() < TAILED else text for text in texts]
            texts = [damaged(text, rng) if rng.random() < DAMAGED else text for text in texts]
            yield pasted_lists.dittoed(texts, rng) if rng.random() < DITTOED else texts


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
        l1_ratio=1, C=STRENGTH, solver="liblinear", fit_intercept=False, random_state=SEED, max_iter=200
    )
    model.fit(data, truth, sample_weight=counts)
    learnt = {name: round(float(model.coef_[0, number]), 2) for name, number in names.items()}
    # The odds of the sample become those of a text in which one of `BASE` places is a boundary.
    share = counts[truth].sum() / counts.sum()
    learnt["bias"] = round(learnt["bias"] + np.log(BASE / (1 - BASE)) - np.log(share / (1 - share)), 2)
    kept = {name: weight for name, weight in learnt.items() if abs(weight) >= LEAST}
    guess = data @ model.coef_[0] > 0
    print(f"{len(made)} places, {len(names)} features, {len(kept)} kept; share {share:.4f}")
    print(
        f"missed {np.mean(~guess[truth]):.4f}, false per reference {(guess[~truth] * counts[~truth]).sum() / truth.sum():.4f}"
    )
    return kept


def main() -> None:
    arguments = sys.argv[1:]
    folder = Path(arguments[0]) if arguments else Path(__file__).parents[2] / "shared" / "data"
    kept = learn(list(texts(folder, [Path(name) for name in arguments[1:]])))
    FILE.write_text(
        "{\n" + ",\n".join(f"{json.dumps(k, ensure_ascii=False)}: {v}" for k, v in sorted(kept.items())) + "\n}\n"
    )


if __name__ == "__main__":
    main()
