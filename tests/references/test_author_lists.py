"""Lists of authors among the words of a text: the three forms of a name, where a list begins, and what only looks like one."""

from __future__ import annotations

import pytest

from evidence.references.reference_shapes import Shapes


def read(text: str) -> dict[str, tuple[str, int]]:
    """What is said of the list that begins with each word, and which author of a list begins there."""
    words = text.split()
    shapes = Shapes(words)
    return dict(zip(words, zip(shapes.authors, shapes.listed, strict=True), strict=True))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Putman RJ, Melas D (1994) Ecology", "v2(Y"),
        ("Putman RJ, Melas D, Lykoudis S, et al. Ecology", "v3L.C"),
        ("van Berg F, Powers SJ: Ecology", "v2:C"),
        ("Phipps, M. G., Raker, C. A. & Zlotnick, C. (2013) Ecology", "l3.(Y"),
        ("B. F. Drake, Y. M. Khan, “Ecology", 'f2,"C'),
        ("Rowe, F. 2009. Ecology", "l1.Y"),
        ("Ecology of marine fishes", ""),
    ],
)
def test_a_list_of_authors_is_read_with_what_follows_it(text: str, said: str) -> None:
    first = text.split()[0]
    assert read(text)[first] == (said, 1 if said else 0)


def test_a_later_author_begins_no_list() -> None:
    found = read("Phipps, M. G., Raker, C. A., de Boer, T., Zlotnick, B. (2013) Ecology")
    assert [found[word][1] in {2, 3} for word in ("Phipps,", "Raker,", "de", "Zlotnick,")] == [False, True, True, True]


def test_the_last_word_before_a_list_may_belong_to_a_surname() -> None:
    """A place before the authors reads like the first word of a surname, and each of them may begin the list."""
    found = read("Freeman, York Gomez CR, Pinna L (2008) Ecology")
    assert (found["York"], found["Gomez"]) == (("", 0), ("v2(Y", 1)), "a place that is known is no name"
    found = read("Press, Maidenhead Gomez CR, Pinna Rossi L (2008) Ecology")
    assert (found["Maidenhead"], found["Gomez"]) == (("V2(Y", 1), ("v2(Y", 5))
    assert (found["Pinna"][1] in {2, 3}, found["Rossi"][1]) == (True, 4)
