"""Trains the model of `evidence/rules/sentence_roles.py` and writes `evidence/rules/weights/sentence_roles.txt`.

usage: python scripts/train_sentence_roles.py [FOLDER] [--report]

FOLDER (default: ../shared/data) has
* `reading/sentence-roles.jsonl.gz`: gzipped JSON lines with `abstract` (headings taken out) and `sections` (start, stop, role,
  heading), the structured abstracts of Evidence Inference;
* `ipt-labelled.csv.gz` and `rct-labelled.csv.gz`, whose abstracts with run-in headings are further examples: their headings give
  the roles and are taken out;
* `reading/findings.jsonl.gz`, which is never learnt from.
An article in several of them counts once. Needs the extra `train` (numpy and SciPy); about five minutes.

Printed and written into the file's header, always of abstracts that the model had not seen, with weights as they would be shipped
(rounded and pruned): the share of characters in the right class on structured abstracts without their headings, by ten-fold
cross-validation over articles and by halves; the share of the quotes of findings in results or conclusions. `--report` writes
nothing. The same files give the same weights. The weights hold single words and pairs of neighbouring words that occur in several
abstracts, never a sentence.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csr_matrix

from evidence.rules import sentence_roles

NAMES = ("BACKGROUND", "OBJECTIVE", "METHODS", "RESULTS", "CONCLUSIONS")
"""The roles in the data, in the order of `sentence_roles.ROLES`."""
AT_LEAST = {"1": 3, "2": 3, "-": 4, "+": 4, "a": 3, "b": 3, "c": 3, "@": 1}
"""Abstracts that a feature of each kind must occur in."""
STRENGTH = 0.05
"""Inverse strength of the L2 penalty on the weights."""
STRENGTH_MOVES = 10.0
STEPS = 100
SCALE = 40
"""A weight of 1 in the file's integers."""
MOST_BYTES = 480_000
"""Features with the smallest weights are left out until the file is no larger."""
FOLDS = 10
ROOT = Path(__file__).resolve().parents[1]
WEIGHTS = ROOT / "evidence" / "rules" / "weights" / "sentence_roles.txt"


Sections = list[tuple[int, int, set[int]]]
"""Start and stop in code points, and the roles that the section's heading names."""


class Example:
    """An abstract without headings: its sentences, the features of each, and the roles its section allows as a set of bits."""

    def __init__(self, text: str, sections: Sections, article: str) -> None:
        self.text = text
        self.sections = sections
        self.article = article
        self.spans = sentence_roles.split_sentences(self.text)
        self.truth = [
            sum(1 << role for role in max(self.sections, key=lambda s: min(stop, s[1]) - max(start, s[0]))[2])
            for start, stop in self.spans
        ]
        self.features: list[list[tuple[str, str]]] = features([self.text[start:stop] for start, stop in self.spans])


def features(sentences: list[str]) -> list[list[tuple[str, str]]]:
    """The (kind, feature) of each sentence, as `sentence_roles` looks them up."""
    words = [sentence_roles.tokens(sentence) for sentence in sentences]
    places = sentence_roles.places(sentences, words)
    found = []
    for number, own in enumerate(words):
        line = [("1", word) for word in set(own)]
        line += [("2", f"{left} {right}") for left, right in set(pairwise(own))]
        line += [(kind, word) for kind, word in zip("abc", own, strict=False)]
        line += [("@", place) for place in places[number]]
        if number:
            line += [("-", word) for word in set(words[number - 1])]
        if number + 1 < len(words):
            line += [("+", word) for word in set(words[number + 1])]
        found.append(line)
    return found


def vocabulary(examples: list[Example]) -> dict[tuple[str, str], int]:
    """The features to learn, with their columns."""
    seen: Counter[tuple[str, str]] = Counter()
    for example in examples:
        seen.update({feature for line in example.features for feature in line})
    kept = sorted(feature for feature, count in seen.items() if count >= AT_LEAST[feature[0]])
    return {feature: column for column, feature in enumerate(kept)}


def matrix(examples: list[Example], columns: dict[tuple[str, str], int]) -> csr_matrix:
    """One row a sentence, one column a feature."""
    places: list[int] = []
    ends = [0]
    for example in examples:
        for line in example.features:
            places += sorted(columns[feature] for feature in line if feature in columns)
            ends.append(len(places))
    return csr_matrix((np.ones(len(places)), places, ends), shape=(len(ends) - 1, len(columns)))


class Chain:
    """A linear-chain conditional random field over the sentences of each abstract, trained by L-BFGS.

    Where a section's heading names two roles, either is right: the likelihood sums over both.
    """

    def __init__(self, examples: list[Example], columns: dict[tuple[str, str], int]) -> None:
        self.inputs = matrix(examples, columns)
        self.turned = self.inputs.T.tocsr()
        lengths = np.array([len(example.spans) for example in examples])
        ends = np.concatenate([[0], np.cumsum(lengths)])
        order = np.argsort(-lengths, kind="stable")
        self.lengths = lengths[order]
        self.longest = int(self.lengths[0])
        self.rows = np.full((len(examples), self.longest), -1)
        for line, number in enumerate(order):
            self.rows[line, : lengths[number]] = np.arange(ends[number], ends[number + 1])
        self.active = [(self.rows[:, step] >= 0).sum() for step in range(self.longest)]
        right = np.array(
            [[truth >> role & 1 for role in range(5)] for example in examples for truth in example.truth], bool
        )
        self.wrong = np.where(right, 0.0, -1e9)

    def train(self) -> tuple[np.ndarray, np.ndarray]:
        """The weights of the features (columns, 5) and of the moves from role to role (5, 5)."""
        size = self.inputs.shape[1] * 5
        found = minimize(
            self._loss, np.zeros(size + 25), jac=True, method="L-BFGS-B", options={"maxiter": STEPS, "maxcor": 10}
        )
        return found.x[:size].reshape(-1, 5), found.x[size:].reshape(5, 5)

    def _loss(self, flat: np.ndarray) -> tuple[float, np.ndarray]:
        """The penalised negative log-likelihood and its gradient."""
        size = self.inputs.shape[1] * 5
        weights, moves = flat[:size].reshape(-1, 5), flat[size:].reshape(5, 5)
        scores = self.inputs @ weights
        free, nodes, edges = self._sums(scores, moves)
        bound, right_nodes, right_edges = self._sums(scores + self.wrong, moves)
        slope = self.turned @ (nodes - right_nodes) + weights / STRENGTH
        slope_moves = edges - right_edges + moves / STRENGTH_MOVES
        penalty = 0.5 * (weights**2).sum() / STRENGTH + 0.5 * (moves**2).sum() / STRENGTH_MOVES
        return free - bound + penalty, np.concatenate([slope.ravel(), slope_moves.ravel()])

    def _sums(self, scores: np.ndarray, moves: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Forward and backward: log of the partition sum, and the expected counts of roles and moves."""
        step_weights = np.exp(moves)
        forward = np.empty((self.longest, len(self.rows), 5))
        forward[0] = scores[self.rows[:, 0]]
        for step in range(1, self.longest):
            active = self.active[step]
            before = forward[step - 1, :active]
            top = before.max(1, keepdims=True)
            moved = np.log(np.exp(before - top) @ step_weights + 1e-300)
            forward[step, :active] = top + moved + scores[self.rows[:active, step]]
        ends = forward[self.lengths - 1, np.arange(len(self.rows))]
        top = ends.max(1)
        total = top + np.log(np.exp(ends - top[:, None]).sum(1))
        nodes, edges, backward = np.zeros(scores.shape), np.zeros((5, 5)), np.zeros((len(self.rows), 5))
        for step in range(self.longest - 1, -1, -1):
            active = self.active[step]
            nodes[self.rows[:active, step]] = np.exp(forward[step, :active] + backward[:active] - total[:active, None])
            if step:
                after = backward[:active] + scores[self.rows[:active, step]]
                top = after.max(1, keepdims=True)
                scaled = np.exp(after - top)
                before = np.exp(forward[step - 1, :active] + top - total[:active, None])
                edges += step_weights * (before.T @ scaled)
                backward = np.zeros_like(backward)
                backward[:active] = top + np.log(scaled @ step_weights.T + 1e-300)
        return float(total.sum()), nodes, edges


def lines(columns: dict[tuple[str, str], int], weights: np.ndarray, moves: np.ndarray) -> list[str]:
    """The weights as lines of the file: rounded, without the smallest."""
    rounded = np.rint(weights * SCALE).astype(int)
    sizes = abs(rounded).max(1)
    text = {
        (kind, feature): f"{kind}\t{feature}\t{numbers(rounded[column])}" for (kind, feature), column in columns.items()
    }
    order = sorted(columns, key=lambda feature: (feature[0] != "@", -abs(weights[columns[feature]]).max(), feature))
    room = MOST_BYTES
    kept = []
    for feature in order:
        if sizes[columns[feature]]:
            room -= len(text[feature].encode("utf-8")) + 1
            if room < 0:
                break
            kept.append(feature)
    names = sentence_roles.ROLES
    return [
        *(text[feature] for feature in sorted(kept)),
        *(f">\t{names[role]}\t{numbers(np.rint(moves[role] * SCALE).astype(int))}" for role in range(5)),
    ]


def numbers(line: np.ndarray) -> str:
    """Five numbers with blanks between."""
    return " ".join(map(str, line))


def learn(examples: list[Example]) -> list[str]:
    """The lines of weights learnt from `examples`."""
    columns = vocabulary(examples)
    return lines(columns, *Chain(examples, columns).train())


class Shares:
    """Characters in the right class: of five, and of four with background and aim as one."""

    def __init__(self) -> None:
        self.five = self.four = self.all = self.abstracts = 0

    def add(self, model: Any, examples: Sequence[Example]) -> None:
        """Counts what `model` says of `examples`."""
        for example in examples:
            sentences = [example.text[start:stop] for start, stop in example.spans]
            said = sentence_roles.best_roles(sentences, [31] * len(sentences), model)
            self.abstracts += 1
            for (start, stop), role in zip(example.spans, said, strict=True):
                for first, last, truth in example.sections:
                    common = max(0, min(stop, last) - max(start, first))
                    self.all += common
                    self.five += common * (role in truth)
                    self.four += common * (role in truth or (role < 2 and bool(truth & {0, 1})))

    def __str__(self) -> str:
        five, four = self.five / self.all, self.four / self.all
        return f"five classes {five:.4f}, four {four:.4f} of {self.all} characters in {self.abstracts} abstracts"


# Data


def plain(text: str) -> str:
    """Letters and digits only, in lower case: what two copies of a title or an abstract have in common."""
    return re.sub(r"\W+", "", text.lower())


def articles(row: dict[str, Any]) -> Iterator[str]:
    """What tells that two rows are of the same article: DOI, title, the beginning of the abstract."""
    if row.get("doi"):
        yield row["doi"].lower()
    yield plain(row["title"])
    yield plain(row["abstract"])[:100]


def json_lines(path: Path) -> list[dict[str, Any]]:
    """The rows of a gzipped file of JSON lines."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def structured(text: str) -> tuple[str, Sections] | None:
    """An abstract without its run-in headings, and its sections; nothing where the headings leave parts of it open."""
    headings = sentence_roles.headings(text)
    if not headings or headings[0].start > 12 or any(heading.weak for heading in headings):
        return None
    parts: list[str] = []
    sections: Sections = []
    at = 0
    for heading, stop in zip(headings, [*(after.start for after in headings[1:]), len(text)], strict=True):
        body = text[heading.body : stop].strip()
        if body:
            sections.append((at, at + len(body), {role for role in range(5) if heading.roles >> role & 1}))
            parts.append(body)
            at += len(body) + 1
    roles = set().union(*(names for _, _, names in sections))
    whole = 2 in roles and roles & {3, 4} and roles & {0, 1} and len(sections) > 2
    if not whole or any(len(names) > 2 for _, _, names in sections):
        return None
    return " ".join(parts), sections


def further(folder: Path, known: set[str]) -> list[Example]:
    """The structured abstracts of the labelled studies that are not `known` articles."""
    csv.field_size_limit(10**9)
    found = []
    seen = set(known)
    for name in ("ipt-labelled.csv.gz", "rct-labelled.csv.gz"):
        with gzip.open(folder / name, "rt", encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                said = structured(row["abstract"] or "")
                if said is None:
                    continue
                keys = {*articles(row), plain(said[0])[:100]}
                if not keys & seen:
                    seen |= keys
                    found.append(Example(*said, plain(row["title"])))
    return found


def quotes_found(model: Any, findings: list[dict[str, Any]]) -> str:
    """How many of the quotes of findings lie in results or conclusions with most of their characters."""
    right = total = 0
    for row in findings:
        said = sentence_roles.read_sentences(row["abstract"], model)
        for finding in row["findings"]:
            start, stop = finding["start"], finding["stop"]
            common = Counter({True: 0, False: 0})
            for sentence in said:
                ends = sentence.role in ("results", "conclusions")
                common[ends] += max(0, min(stop, sentence.stop) - max(start, sentence.start))
            total += 1
            right += common[True] > common[False]
    return f"{right / total:.4f} of {total} quotes in {len(findings)} abstracts"


def figures(examples: list[Example], others: list[Example], findings: list[dict[str, Any]]) -> Iterator[str]:
    """What is measured, a line each, on abstracts that the model had not seen."""
    folds = Shares()
    for fold in range(FOLDS):
        apart = examples[fold::FOLDS]
        rest = [example for number, example in enumerate(examples) if number % FOLDS != fold]
        folds.add(sentence_roles.parse_weights("\n".join(learn(rest + others))), apart)
    yield f"{FOLDS}-fold cross-validation: {folds}"
    half = Shares()
    half.add(sentence_roles.parse_weights("\n".join(learn(examples[0::2] + others))), examples[1::2])
    yield f"learnt from the even rows and the others, tried on the odd rows: {half}"
    marked = {row["pmcid"].removeprefix("PMC") for row in findings}
    rest = [example for example in examples if example.article not in marked]
    model = sentence_roles.parse_weights("\n".join(learn(rest + others)))
    yield f"findings in results or conclusions, none of their articles learnt from: {quotes_found(model, findings)}"


def main(folder: Path, report: bool) -> None:
    """Prints the figures and writes the weights learnt from all rows."""
    source = folder / "reading" / "sentence-roles.jsonl.gz"
    rows, findings = json_lines(source), json_lines(folder / "reading" / "findings.jsonl.gz")
    examples = [
        Example(
            row["abstract"],
            [
                (start, stop, {NAMES.index(name) for name in role.split("+")})
                for start, stop, role, _ in row["sections"]
            ],
            row["pmcid"].removeprefix("PMC"),
        )
        for row in rows
    ]
    others = further(folder, {key for row in rows + findings for key in articles(row)})
    said = []
    for line in figures(examples, others, findings):
        print(line, flush=True)
        said.append(f"# {line}")
    if report:
        return
    learnt = "\n".join(learn(examples + others)) + "\n"
    digest = hashlib.sha256(gzip.decompress(source.read_bytes())).hexdigest()
    header = [
        "# Weights of evidence/rules/sentence_roles.py, written by scripts/train_sentence_roles.py.",
        "# A kind, a feature, and a weight for each role: background, aim, methods, results, conclusions.",
        f"# data: {len(examples)} structured abstracts of trials of Evidence Inference ({source.name}, unpacked sha256",
        f"# {digest})",
        f"# and {len(others)} abstracts with run-in headings of ipt-labelled.csv.gz and rct-labelled.csv.gz",
        "# measured on abstracts that were not learnt from (the weights below are learnt from all of these abstracts):",
        *said,
        f"# sha256 of what follows this line: {hashlib.sha256(learnt.encode('utf-8')).hexdigest()}",
    ]
    text = "\n".join(header) + "\n" + learnt
    WEIGHTS.write_text(text, encoding="utf-8", newline="\n")
    print(f"{WEIGHTS.name}: {len(text.encode())} bytes")


if __name__ == "__main__":
    given = [argument for argument in sys.argv[1:] if argument != "--report"]
    main(Path(given[0]) if given else ROOT.parent / "shared" / "data", "--report" in sys.argv)
