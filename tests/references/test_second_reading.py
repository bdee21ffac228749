"""What a list as a whole says of a place, where the words around it do not."""

from __future__ import annotations

import json

import pytest

from evidence.references import reference_shapes, second_reading
from evidence.references.second_reading import SecondReading
from evidence.references.split_references import split

SPRINGER = (
    "Cuijpers P, Donker T (2016) Interpersonal psychotherapy for mental health problems. Am J Psychiatry 173:680–687",
    "Weissman MM (2006) A brief history of interpersonal psychotherapy. Cambridge University Press",
    "Markowitz JC, Weissman MM (2012) Interpersonal psychotherapy: past and future. Clin Psychol 19:99–105",
    "van Bentum JS, Huibers MJH (2021) Process of change in therapy. Depress Anxiety 38:940–949",
)


def texts(pasted: str) -> list[str]:
    return [reference.text for reference in split(pasted)]


def reading(references: tuple[str, ...]) -> tuple[SecondReading, list[int], list[int]]:
    """The second reading of references that were divided rightly, the words that begin one, and all words."""
    words = " ".join(references).split()
    starts = [0]
    for text in references[:-1]:
        starts.append(starts[-1] + len(text.split()))
    letters = [0]
    for word in words:
        letters.append(letters[-1] + len(word) + 1)
    shapes = reference_shapes.Shapes(words)
    reads = {at: shapes.score(at) for at in range(1, len(words)) if shapes.may_begin(at)}
    return SecondReading(shapes, reads, starts, letters), starts, list(range(len(words)))


def test_boundaries_score_higher_than_all_other_places() -> None:
    again, starts, words = reading(SPRINGER)
    scores = {at: again.score(at, at) for at in words[1:]}
    assert min(scores[at] for at in starts[1:]) > max(score for at, score in scores.items() if at not in starts)


def test_the_trees_ask_for_features_that_there_are() -> None:
    again, _, words = reading(SPRINGER)
    lengths = {len(again.features(at, min(at + 1, len(words)))) for at in range(len(words) + 1)}
    asked = {number for tree in json.loads(second_reading.FILE.read_text())["trees"] for number in _asked(tree)}
    assert len(lengths) == 1
    assert asked
    assert max(asked) < min(lengths)


def _asked(tree: second_reading.Tree) -> set[int]:
    return {tree[0]} | _asked(tree[2]) | _asked(tree[3]) if isinstance(tree, list) else set()


def test_one_reference_has_no_others_to_be_like() -> None:
    again, _, words = reading(SPRINGER[:1])
    assert all(again.score(at, at) < 0 for at in words[1:])


def test_what_is_learnt_is_small() -> None:
    assert reference_shapes.FILE.stat().st_size + second_reading.FILE.stat().st_size < 500_000


@pytest.mark.parametrize(
    "odd",
    [
        "38 Sam, D. L. & Oppedal, B. (2002) Acculturation as a developmental pathway. Child Dev 3:1–9",
        "Lonner WJ, Dinnel DL (2002) Acculturation. In: Lonner WJ, Hayes SA (eds) Readings in culture. Springer, Berlin, pp 1–9",
        "Schleifer KH (2006) Micrococcus. In The Prokaryotes. Volume 7. Edited by: Dworkin M, Falkow S. Springer, Berlin",
    ],
)
def test_numbers_and_editors_inside_of_a_list_divide_nothing(odd: str) -> None:
    assert texts(" ".join((SPRINGER[0], odd, *SPRINGER[1:]))) == [SPRINGER[0], odd, *SPRINGER[1:]]


def test_pages_that_count_on_by_chance_are_no_markers() -> None:
    pasted = [f"{text[: text.rindex(' ')]}, p. {number}." for number, text in enumerate(SPRINGER, 509)] + list(
        SPRINGER
    ) * 3
    assert texts(" ".join(pasted)) == pasted
