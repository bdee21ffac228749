"""Learns the weights of `evidence/rules/decide.py` from labelled abstracts: `python scripts/train_decision.py [FOLDER]`.

FOLDER (default: ../shared/data) has the texts; `labelled_texts` says where the labels are. The same data make the same files: the
reader's weights, and `value_weights.json` of the topic `ipt`. Three logistic regressions follow each other: over signs; over the
words of each value, what signs say of it more or less than of others, and the words of the title; over the rivals of a value, and
in some facets over each of the values beside it.
There are three for title and abstract, and three for titles alone. A tag that one of two readers gave
counts half. The probabilities that the thresholds of strength rest on come from ten-fold cross-validation: no text is judged by
a model that has seen it. Needs the `train` extra (scikit-learn, numpy, scipy). `--report` prints the figures and writes
nothing.
"""

from __future__ import annotations

import json
import math
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np
from labelled_texts import Texts, titles_alone
from scipy.sparse import csr_matrix, hstack, vstack
from sklearn.linear_model import LogisticRegression

from evidence.evaluation.screening_and_tagging_accuracy import LabelledRecord
from evidence.rules import taxonomy, topic
from evidence.rules.abstract_reader import Reading
from evidence.rules.decide import FILE, FULL, RIVAL_SIGNS, TITLE, log_odds, rival_signs
from evidence.rules.signs import NAMES, numbers
from evidence.rules.tag import Candidate, candidates, phrases, title_words
from evidence.rules.tag import read as read_text
from evidence.rules.taxonomy import Taxonomy

FOLDS = 10
SIGN_WEIGHTS, VALUE_WEIGHTS, RIVAL_WEIGHTS = 0.05, 0.2, 1.0
"""Inverse of the regularisation (scikit-learn's C) of the three steps."""
WORD_SCALE, SCORE_SCALE, OWN_SIGN_SCALE, TITLE_SCALE = 2.0, 3.0, 0.4, 1.0
"""Features of the second step are multiplied by these: the higher, the less they are regularised. The score of the first step is
hardly regularised."""
TEXTS_OF_A_WORD, TEXTS_OF_A_SIGN, TEXTS_OF_A_TITLE_WORD = 3, 8, 5
"""Texts with a value that a word, a sign or a word of the title must stand in for a weight of its own."""
STATED = dict.fromkeys(("condition", "population", "comparator", "format"), 0.985)
STATED_OTHERWISE, IMPLIED = 0.97, 0.5
LEAST_STATED, LEAST_STATED_OTHERWISE = {"format": 0.95, "comparator": 0.95}, 0.93
LEAST_LIKELY, LEAST_IMPLIED = 0.42, 0.2
"""Probabilities below which nothing is stated, likely or implied, however precise the tags above were: few tags of a facet may
all be right by chance. Formats of .95 and more were right in cross-validation (50 that two readers labelled, 20 that one did); at
first sight, a limit of .90 let in too many that were not; so did .92 for comparators."""
LIKELY_UNMEASURED = 0.7
"""The least probability of what is likely where too few tags were labelled to measure their precision."""
SHOWN = {"variant": 0.85, "outcome": 0.85, "condition": 0.91, "comparator": 0.82, "format": 0.9, "design": 0.87}
SHOWN_OTHERWISE = 0.86
SHOWN_IN_TITLES = {"condition": 0.9, "outcome": 0.89, "design": 0.89, "comparator": 0.9}
"""The precision wanted of what is stated and likely together, in title and abstract and in titles alone; `STATED` is that of
what is stated, higher where the words fit the texts that they were chosen with better than others. `IMPLIED` is the share of the
least probability of what is likely that suffices for what is implied. Higher precision costs recall: on the genuine abstracts
learnt from, before the last words were added, what is likely is .77 precise, and .84 of all tags are shown; for .80
it would be .79, for .85 .74, for .90 .59."""
FROM_PARAPHRASES = ("variant", "comparator", "condition", "outcome", "problem_area", "population")
"""Facets that learn from condensed paraphrases too, as there are few genuine abstracts. The thresholds of strength rest on
genuine abstracts alone: paraphrases are easier to read."""
WORDS_ALONE = ("condition", "format")
"""Facets whose values have weights of their words alone: signs and words of the title of their own made nothing better."""
BESIDE_OTHERS = ("design", "format", "condition", "variant")
"""Facets that learn which of their values go together. The others were read no better with it."""
TEXTS_OF_A_PAIR = 5
"""Texts in which two values must stand beside each other for a weight of the pair."""
ENOUGH_GENUINE = 100
"""Tags in genuine abstracts from which on the thresholds rest on these alone."""
FEWEST, FEWEST_TO_LEARN = 20, 8
"""Tags below which a precision says nothing, and below which nothing can be learnt."""

Array: TypeAlias = np.ndarray[Any, Any]
Key = TypeVar("Key", tuple[str, str], tuple[str, int])


@dataclass(frozen=True, slots=True)
class Example:
    """A value that may apply to a text, with its number in the vocabulary. `truth` is the share of readers who gave it, or
    not a number where nobody was asked."""

    text: int
    number: int
    value: str
    signs: tuple[int, ...]
    phrases: frozenset[str]
    title: frozenset[str]
    truth: float


@dataclass(frozen=True, slots=True)
class Data:
    """The examples of `facet`; `labelled`: for each text what either reader gave, and what both gave; `checked`: the texts
    that two readers labelled, `genuine`: those of them that are publishers' abstracts."""

    facet: str
    examples: tuple[Example, ...]
    labelled: Mapping[int, tuple[frozenset[str], frozenset[str]]]
    checked: frozenset[int]
    genuine: frozenset[int]
    gives_way_to: Mapping[int, tuple[int, ...]]


_readings: dict[tuple[str | None, str | None], Reading] = {}
"""Title and abstract → what is read there: every facet asks for the same texts."""


def read(title: str | None, abstract: str | None, book: Taxonomy) -> Reading:
    """What is read in a text, once."""
    key = title, abstract
    if key not in _readings:
        _readings[key] = read_text(title, abstract, book)
    return _readings[key]


def data(rows: Sequence[LabelledRecord], book: Taxonomy, facet: str, genuine: int) -> Data:
    """The examples of `facet` in the texts for which readers labelled it. The first `genuine` rows are publishers' abstracts."""
    (reading_of,) = (reading for reading in book.readings if reading.facet == facet)
    number_of = {key: number for number, key in enumerate(book.keys)}
    examples, labelled = [], {}
    for place, row in enumerate(rows):
        if not row.readers or any(facet not in reader for reader in row.readers):
            continue
        given = [reader[facet] for reader in row.readers]
        labelled[place] = (frozenset[str]().union(*given), frozenset.intersection(*given))
        others = {
            number_of[of, value]
            for of, values in row.readers[0].items()
            for value in values
            if of != facet and (of, value) in number_of
        }
        reading = read(row.work.title, row.work.abstract, book)
        for number, candidate in candidates(reading_of, reading, others).items():
            value = book.keys[number][1]
            truth = sum(value in values for values in given) / len(given)
            examples.append(_example(place, number, value, candidate, reading, truth))
    checked = frozenset(place for place in labelled if len(rows[place].readers) > 1)
    of_publishers = frozenset(place for place in checked if place < genuine)
    return Data(facet, tuple(examples), labelled, checked, of_publishers, reading_of.gives_way_to)


def with_trials(of: Data, rows: Sequence[LabelledRecord], first: int, book: Taxonomy) -> Data:
    """The same with records of which only is known whether they are randomised trials. `first` is the number of the first of
    them."""
    (reading_of,) = (reading for reading in book.readings if reading.facet == book.topic.design)
    examples = list(of.examples)
    for place, row in enumerate(rows, start=first):
        if row.randomised is None:
            continue
        reading = read(row.work.title, row.work.abstract, book)
        for number, candidate in candidates(reading_of, reading, ()).items():
            value = book.keys[number][1]
            known = value in book.topic.trials and (value == book.topic.trials[0] or not row.randomised)
            truth = float(row.randomised) if known else math.nan
            examples.append(_example(place, number, value, candidate, reading, truth))
    return replace(of, examples=tuple(examples))


def _example(place: int, number: int, value: str, candidate: Candidate, reading: Reading, truth: float) -> Example:
    signs = tuple(numbers(candidate.signs))
    return Example(place, number, value, signs, phrases(candidate, reading), title_words(reading), truth)


def matrix(examples: Sequence[Example]) -> Any:
    """The signs of the examples as a sparse matrix, one row an example."""
    columns = [sign for example in examples for sign in example.signs]
    ends = np.cumsum([0, *(len(example.signs) for example in examples)])
    return csr_matrix((np.ones(len(columns)), columns, ends), shape=(len(examples), len(NAMES)))


def rivals(of: Data, probabilities: Array) -> Any:
    """What the second step weighs, one row an example, from the probabilities of the first."""
    by_text: dict[int, dict[int, float]] = {}
    for example, probability in zip(of.examples, probabilities, strict=True):
        by_text.setdefault(example.text, {})[example.number] = probability
    return csr_matrix([rival_signs(e.number, by_text[e.text], of.gives_way_to.get(e.number, ())) for e in of.examples])


def fitted(features: Any, truth: Array, strength: float) -> LogisticRegression:
    """A logistic regression. An example on which the readers differ counts half for and half against."""
    asked = ~np.isnan(truth)
    features, truth = features[asked], truth[asked]
    weights = np.concatenate([truth, 1 - truth])
    used = weights > 0
    answers = np.concatenate([np.ones(len(truth)), np.zeros(len(truth))])
    model = LogisticRegression(C=strength, max_iter=1000, solver="liblinear")
    return model.fit(vstack([features, features]).tocsr()[used], answers[used], sample_weight=weights[used])


def cross_validated(of: Data, features: Any, truth: Array, strength: float) -> Array:
    """The probability of each example by a model that has not seen its text."""
    texts = sorted({example.text for example in of.examples})
    fold_of = dict(zip(texts, np.random.RandomState(0).permutation(len(texts)) % FOLDS, strict=True))
    folds = np.array([fold_of[example.text] for example in of.examples])
    found = np.zeros(len(of.examples))
    for fold in range(FOLDS):
        model = fitted(features[folds != fold], truth[folds != fold], strength)
        if (folds == fold).any():
            found[folds == fold] = model.predict_proba(features[folds == fold])[:, 1]
    return found


@dataclass(frozen=True, slots=True)
class Columns:
    """What the second step weighs beside the score: pairs of a value and what belongs to it, each with its column."""

    words: Mapping[tuple[str, str], int]
    signs: Mapping[tuple[str, int], int]
    title_words: Mapping[tuple[str, str], int]


def columns_of(of: Data) -> Columns:
    """The words, signs and words of the title with a weight of their own beside a value. A sign that all texts with a value
    have, or all but a few, says nothing of it."""
    asked = [e for e in of.examples if not math.isnan(e.truth) and of.facet not in WORDS_ALONE]
    texts = Counter(example.value for example in asked)
    words = Counter((example.value, phrase) for example in of.examples for phrase in example.phrases)
    signs = Counter((example.value, sign) for example in asked for sign in example.signs)
    in_titles = Counter((example.value, word) for example in asked for word in example.title)
    return Columns(
        _numbered(key for key, count in words.items() if count >= TEXTS_OF_A_WORD),
        _numbered(
            key for key, count in signs.items() if count >= TEXTS_OF_A_SIGN and texts[key[0]] - count >= TEXTS_OF_A_SIGN
        ),
        _numbered(key for key, count in in_titles.items() if count >= TEXTS_OF_A_TITLE_WORD),
    )


def _numbered(keys: Iterable[Key]) -> dict[Key, int]:
    return {key: column for column, key in enumerate(sorted(keys))}


def beside_values(of: Data, probabilities: Array) -> Any:
    """What the second step weighs, one row an example: the score of the first step, then a column for each word, sign and word of
    the title."""
    columns = columns_of(of)
    scores = SCORE_SCALE * np.array([[log_odds(probability)] for probability in probabilities])
    blocks = [csr_matrix(scores)]
    for numbers_of, kind, scale in (
        (columns.words, "phrases", WORD_SCALE),
        (columns.signs, "signs", OWN_SIGN_SCALE),
        (columns.title_words, "title", TITLE_SCALE),
    ):
        rows = [
            sorted(
                numbers_of[example.value, key] for key in getattr(example, kind) if (example.value, key) in numbers_of
            )
            for example in of.examples
        ]
        places = [place for row in rows for place in row]
        ends = np.cumsum([0, *map(len, rows)])
        blocks.append(csr_matrix((np.full(len(places), scale), places, ends), shape=(len(rows), len(numbers_of))))
    return hstack(blocks).tocsr()


def pairs_of(of: Data) -> dict[tuple[str, str], int]:
    """The pairs of values that stand beside each other in enough texts, each with its column."""
    if of.facet not in BESIDE_OTHERS:
        return {}
    together: dict[int, list[str]] = {}
    for example in of.examples:
        if not math.isnan(example.truth):
            together.setdefault(example.text, []).append(example.value)
    count = Counter(pair for values in together.values() for pair in permutations(values, 2))
    return _numbered(pair for pair, texts in count.items() if texts >= TEXTS_OF_A_PAIR)


def companions(of: Data, probabilities: Array) -> Any:
    """What the last step weighs beside the rivals, one row an example: the probability of each value that it goes in a pair
    with."""
    columns = pairs_of(of)
    by_text: dict[int, list[tuple[str, float]]] = {}
    for example, probability in zip(of.examples, probabilities, strict=True):
        by_text.setdefault(example.text, []).append((example.value, probability))
    entries = [
        (row, columns[example.value, other], probability)
        for row, example in enumerate(of.examples)
        for other, probability in by_text[example.text]
        if (example.value, other) in columns
    ]
    rows, places, found = zip(*entries, strict=True) if entries else ((), (), ())
    return csr_matrix((found, (rows, places)), shape=(len(of.examples), len(columns)))


@dataclass(frozen=True, slots=True)
class Steps:
    """What each step weighs (one row an example), from cross-validated probabilities of the step before, and the last ones.
    `beside`: what the last step weighs with pairs of values, which only the topic knows."""

    truth: Array
    signs: Any
    values: Any
    rivals: Any
    beside: Any
    probabilities: Array


def steps(of: Data) -> Steps:
    """The three steps, cross-validated."""
    truth, signs = np.array([example.truth for example in of.examples]), matrix(of.examples)
    values = beside_values(of, cross_validated(of, signs, truth, SIGN_WEIGHTS))
    by_value = cross_validated(of, values, truth, VALUE_WEIGHTS)
    of_rivals = rivals(of, by_value)
    beside = hstack([of_rivals, companions(of, by_value)]).tocsr()
    return Steps(truth, signs, values, of_rivals, beside, cross_validated(of, beside, truth, RIVAL_WEIGHTS))


def precision_and_recall(of: Data, given: Iterable[Example]) -> tuple[int, int, int, int]:
    """(right, given, found, sought) over the checked texts: precision counts what either reader gave, recall what both gave."""
    by_text: dict[int, set[str]] = {}
    for example in given:
        if example.text in of.checked:
            by_text.setdefault(example.text, set()).add(example.value)
    right = sum(len(values & of.labelled[text][0]) for text, values in by_text.items())
    found = sum(len(of.labelled[text][1] & by_text.get(text, set())) for text in of.checked)
    return right, sum(map(len, by_text.values())), found, sum(len(of.labelled[text][1]) for text in of.checked)


def least_probability(of: Data, probabilities: Array, precision: float) -> float | None:
    """The lowest probability (in hundredths) from which on the tags of the checked texts are this precise; None: there is
    none."""
    for least in np.arange(0.05, 0.99, 0.01):
        right, given, _, _ = _at(of, probabilities, least)
        if given >= FEWEST and right / given >= precision:
            return round(float(least), 2)
    return None


def _at(of: Data, probabilities: Array, least: float) -> tuple[int, int, int, int]:
    return precision_and_recall(of, [e for e, p in zip(of.examples, probabilities, strict=True) if p >= least])


def measured(of: Data) -> Data:
    """The same, checked on genuine abstracts alone where these have enough tags."""
    genuine = replace(of, checked=of.genuine)
    return genuine if sum(len(of.labelled[text][1]) for text in of.genuine) >= ENOUGH_GENUINE else of


def thresholds(of: Data, probabilities: Array, facet: str, text: str) -> dict[str, float]:
    """The least probability of each strength."""
    shown_in = SHOWN if text == FULL else SHOWN_IN_TITLES
    stated, shown = (
        least_probability(of, probabilities, wanted)
        for wanted in (STATED.get(facet, STATED_OTHERWISE), shown_in.get(facet, SHOWN_OTHERWISE))
    )
    least = LEAST_STATED.get(facet, LEAST_STATED_OTHERWISE)
    found = {"stated": max(least, stated if stated is not None else 0.99)}
    found["likely"] = min(found["stated"], max(LEAST_LIKELY, shown if shown is not None else LIKELY_UNMEASURED))
    return {**found, "implied": round(max(LEAST_IMPLIED, IMPLIED * found["likely"]), 2)}


def learnt(of: Data, facet: str, text: str) -> tuple[dict[str, Any], dict[str, Any], Array]:
    """The model of one kind of facet, the weights of its words, both as they are stored, and the cross-validated
    probabilities."""
    through = steps(of)
    first = fitted(through.signs, through.truth, SIGN_WEIGHTS)
    second = fitted(through.values, through.truth, VALUE_WEIGHTS)
    third = fitted(through.rivals, through.truth, RIVAL_WEIGHTS)
    model = {
        "bias": _rounded(first.intercept_[0]),
        "weights": list(map(_rounded, first.coef_[0])),
        "rivals": list(map(_rounded, [third.intercept_[0], *third.coef_[0]])),
        "least": thresholds(measured(of), through.probabilities, facet, text),
    }
    of_values = _of_values(of, text, second)
    if pairs := pairs_of(of):
        of_values |= _of_pairs(pairs, fitted(through.beside, through.truth, RIVAL_WEIGHTS))
    return model, of_values, through.probabilities


def _of_pairs(pairs: Mapping[tuple[str, str], int], step: LogisticRegression) -> dict[str, Any]:
    """The weights of the last step with pairs of values, as they are stored."""
    beside: dict[str, dict[str, int]] = {}
    for (value, other), weight in zip(pairs, step.coef_[0][len(RIVAL_SIGNS) :], strict=True):
        beside.setdefault(value, {})[other] = _rounded(weight)
    rival_weights = [step.intercept_[0], *step.coef_[0][: len(RIVAL_SIGNS)]]
    return {"rivals": list(map(_rounded, rival_weights)), "beside": beside}


def _of_values(of: Data, text: str, step: LogisticRegression) -> dict[str, Any]:
    """The weights of the second step as they are stored: those of signs as a row for each sign, with a column for each value."""
    columns = columns_of(of)
    bias, score = step.intercept_[0], SCORE_SCALE * step.coef_[0][0]
    weights = iter(step.coef_[0][1:])
    words: dict[str, dict[str, int]] = {}
    for (value, phrase), weight in zip(columns.words, weights, strict=False):
        words.setdefault(value, {})[phrase] = _rounded(WORD_SCALE * weight)
    values = sorted({value for value, _ in columns.signs})
    signs: dict[str, list[int]] = {}
    for (value, sign), weight in zip(columns.signs, weights, strict=False):
        row = signs.setdefault(NAMES[sign], [0] * len(values))
        row[values.index(value)] = round(100 * OWN_SIGN_SCALE * float(weight))
    title_words: dict[str, dict[str, int]] = {}
    for (value, word), weight in zip(columns.title_words, weights, strict=True):
        title_words.setdefault(value, {})[word] = _rounded(TITLE_SCALE * weight)
    return {
        "text": text,
        "bias": _rounded(bias),
        "score": _rounded(score),
        "words": words,
        "title_words": title_words,
        "values": values,
        "signs": {name: row for name, row in signs.items() if any(row)},
    }


def _rounded(weight: float) -> int:
    return round(1000 * float(weight))


def report(facet: str, text: str, of: Data, probabilities: Array, least: Mapping[str, float]) -> str:
    """One line: how many texts and tags, how many of them are mentioned, precision and recall at each strength and along the
    curve."""
    _, _, mentioned, sought = precision_and_recall(of, of.examples)
    texts = f"{len(of.checked)} of {len(of.labelled)} texts, {sought} tags, mentioned {mentioned / max(1, sought):.3f}"
    line = [f"{facet:12} {text:18} {texts}"]
    before = (0, 0)
    for strength, at in least.items():
        right, given, found, _ = _at(of, probabilities, at)
        own = (right - before[0]) / max(1, given - before[1])
        line.append(f"{strength}≥{at:.2f} {own:.2f} (to here {right / max(1, given):.2f}/{found / max(1, sought):.2f})")
        before = (right, given)
    curve = []
    for wanted in (0.8, 0.85, 0.88, 0.9, 0.93, 0.95, 0.97):
        at_least = least_probability(of, probabilities, wanted)
        found = _at(of, probabilities, at_least)[2] if at_least is not None else 0
        curve.append(f"{wanted}:{found / max(1, sought):.2f}")
    return "  ".join(line) + "\n             recall at precision " + " ".join(curve)


def main() -> None:
    arguments = [a for a in sys.argv[1:] if not a.startswith("--")]
    folder = Path(arguments[0]) if arguments else Path(__file__).parents[2] / "shared" / "data"
    book, texts = taxonomy.load(), Texts(folder)
    learning = [*texts.genuine(), *texts.labelled("learning"), *texts.labelled("learning_wider")]
    bibliography, trials = texts.bibliography(), texts.trials()
    entries: list[dict[str, Any]] = []
    of_topic: dict[str, list[dict[str, Any]]] = {}
    for facet in book.facets:
        for text, rows in (
            (FULL, [*learning, *(bibliography if facet.facet in FROM_PARAPHRASES else [])]),
            (TITLE, titles_alone([*learning, *bibliography])),
        ):
            of = data(rows, book, facet.facet, len(learning))
            if facet.facet == book.topic.design:
                of = with_trials(of, trials if text == FULL else titles_alone(trials), len(rows), book)
            if sum(example.truth > 0.5 for example in of.examples) < FEWEST_TO_LEARN:
                print(f"{facet.facet}, {text}: too few examples to learn from")
                continue
            entry, of_values, probabilities = learnt(of, facet.facet, text)
            entries.append({"for": facet.about, "text": text, **entry})
            of_topic.setdefault(facet.facet, []).append(of_values)
            print(report(facet.facet, text, measured(of), probabilities, entry["least"]))
    if "--report" not in sys.argv:
        FILE.parent.mkdir(exist_ok=True)
        written = json.dumps({"signs": NAMES, "models": entries}, ensure_ascii=False)
        FILE.write_text(written.replace('{"for"', '\n{"for"') + "\n", encoding="utf-8")
        written = json.dumps(of_topic, ensure_ascii=False, separators=(",", ":")).replace('{"text"', '\n{"text"')
        (book.topic.folder / topic.VALUE_WEIGHTS_FILE).write_text(written + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
