"""The arms of a study as its sentences name them: "randomised to A, B or C", "A plus D versus B", "A added to usual care".

It works on mentions of treatments and the words between them. It may not know which treatments there are: which facets name
treatments is handed in, and which of them is the studied one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from evidence.rules.annotated_text import AnnotatedText
from evidence.rules.mentions import LOOSE, Mention

(
    STUDIED, OTHER, WITH_STUDIED, AFTER_VERSUS, BEFORE_VERSUS, SHARED, COMPARED, CONTROL, FIRST_NAMED, FIRST_ARM, LATER_ARM,
    ALONE, ANOTHER,
) = (1 << n for n in range(13))  # fmt: skip
"""What the arms say of a mention: its treatment is the studied one; stands in another arm; in one arm with the studied one;
after or before "versus" or its like; is given to all; stands in a sentence that compares or assigns; is called a control; is
the first treatment that title or aim name; stands in the first arm of such a sentence, or in a later one; is the only
treatment of its arm; has its kind in the first arm too, by other words ("ACT or behavioural activation")."""
ARM_SIGNS = (
    "studied",
    "other-arm",
    "with-studied",
    "after-versus",
    "before-versus",
    "shared",
    "compared",
    "control",
    "first-named",
    "first-arm",
    "later-arm",
    "alone",
    "another-of-its-kind",
)

_JOINED = frozenset(
    [
        "plus",
        "with",
        "and",
        "combined",
        "combination",
        "in",
        "addition",
        "to",
        "added",
        "together",
        "alongside",
        "adjunct",
        "adjunctive",
        "augmented",
        "by",
    ]
)

_INSIDE_A_NAME = " -‐)"
"""What stands between the words of one treatment: "CBT training", "mindfulness-skills training", "dialectical (DBT) skills"."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm: the field and the words it is named with, its treatments (value numbers), whether it holds the studied one."""

    field: str
    start: int
    stop: int
    values: tuple[int, ...]
    studied: bool


@dataclass(frozen=True, slots=True)
class Arms:
    """What was read of the arms: each arm once; for each field the signs (a mask) of each mention of a treatment; and in how many
    sentences that compare each treatment stands, by its value and whether it is the studied one there."""

    arms: tuple[Arm, ...]
    signs: Sequence[Mapping[Mention, int]]
    compared: Mapping[tuple[int, bool], int]


def read_arms(
    fields: Sequence[AnnotatedText],
    mentions: Sequence[Sequence[Mention]],
    treatments: Collection[int],
    studied: Collection[int],
) -> Arms:
    """The arms of a work.

    `treatments` and `studied` are numbers of values: all treatments, and those the topic is about. Where the text names none of
    the latter outright ("group sessions" may be those of any treatment), the first treatment of title or aim is taken for the
    studied one, under the words that it has there: of "metacognitive therapy or relaxation" only the former is studied, though
    both may be one value.
    """
    named = [[m for m in found if m.value in treatments] for found in mentions]
    first, first_words = _first_named(fields, named)
    of_topic = [m for found in named for m in found if m.value in studied]
    outright = any(mention.family != LOOSE for mention in of_topic)
    index = {mention.value for mention in of_topic} if outright else {first.value} if first is not None else set()
    signs: list[dict[Mention, int]] = []
    arms: dict[tuple[int, ...], Arm] = {}
    compared = Counter[tuple[int, bool]]()
    for text, found in zip(fields, named, strict=True):
        signs.append(of_field := {})
        for mention in found:
            if mention.value not in index:
                of_field[mention] = 0
            elif outright or _same_words(text, mention, first_words):
                of_field[mention] = STUDIED | (FIRST_NAMED if first and mention.value == first.value else 0)
            else:
                of_field[mention] = ANOTHER
        by_sentence: dict[int, list[Mention]] = {}
        for mention in found:
            by_sentence.setdefault(text.sentence_of[mention.first], []).append(mention)
        for number, inside in by_sentence.items():
            _read_sentence(text, number, inside, of_field, arms, compared)
    return Arms(tuple(arms.values()), signs, compared)


def _first_named(
    fields: Sequence[AnnotatedText], named: Sequence[Sequence[Mention]]
) -> tuple[Mention | None, frozenset[str]]:
    """The first treatment of title, aim, methods or results, and its words."""
    for wanted in ("title", "aim", "methods", "results"):
        for text, found in zip(fields, named, strict=True):
            for mention in found:
                role = "title" if text.field == "title" else text.sentences[text.sentence_of[mention.first]].role
                if role == wanted and mention.family != LOOSE:
                    return mention, frozenset(text.normal.words[mention.first : mention.last])
    return None, frozenset()


def _same_words(text: AnnotatedText, mention: Mention, words: frozenset[str]) -> bool:
    """Whether a mention names a treatment by one of these words, or is short for them, or they for it."""
    own = text.normal.words[mention.first : mention.last]
    if mention.short or not words.isdisjoint(own):
        return True
    return any(word[0] == own[0][0] for word in words) and (len(own) == 1) != (len(words) == 1)


def _read_sentence(
    text: AnnotatedText,
    number: int,
    inside: Sequence[Mention],
    signs: dict[Mention, int],
    arms: dict[tuple[int, ...], Arm],
    compared: Counter[tuple[int, bool]],
) -> None:
    bit = text.cues.bit
    compares = bool(text.sentence_masks[number] & (bit["assign"] | bit["versus"]))
    if text.sentences[number].role == "background":  # other people's comparisons, unless the sentence says otherwise
        compares = compares and bool(text.sentence_masks[number] & (bit["own"] | bit["future"]))
    groups = _groups(text, inside)
    versus = bit["versus"]
    versus_at = [place for place in range(inside[0].first, inside[-1].last) if text.masks[place] & versus]
    named = [frozenset([m.value for m in group]) for group in groups]
    numbers = _arm_numbers(text, groups, named)
    several = max(numbers) > 0
    twice: set[int] = set()
    for group, values, place in zip(groups, named, numbers, strict=True):
        of_group = _in_order(place, len(values), several) if compares else 0
        studied = any(signs[mention] & STUDIED for mention in group)
        again = compares and place > 0 and values == named[0]
        if again:
            twice |= values
        for mention in group:
            sign = of_group | _around(text, mention, versus_at)
            if again:
                sign |= ANOTHER | OTHER
                signs[mention] &= ~STUDIED
            elif not signs[mention] & STUDIED:
                sign |= WITH_STUDIED if studied else OTHER if several or compares else 0
            signs[mention] |= sign
        key = tuple(sorted(values))
        if compares and several and key not in arms:
            start, stop = text.normal.starts[group[0].first], text.normal.stops[max(m.last for m in group) - 1]
            arms[key] = Arm(text.field, start, stop, key, studied)
    if compares and several:
        everywhere = frozenset.intersection(*named) - twice
        for mention in inside:
            if mention.value in everywhere:
                signs[mention] |= SHARED
    if compares:
        compared.update({(m.value, bool(signs[m] & STUDIED)) for m in inside})


def _in_order(place: int, treatments: int, several: bool) -> int:
    """What the order of the arms in a sentence that compares says of those in the arm at this place."""
    if not several:
        return COMPARED
    return COMPARED | (LATER_ARM if place else FIRST_ARM) | (ALONE if treatments == 1 else 0)


def _arm_numbers(
    text: AnnotatedText, groups: Sequence[Sequence[Mention]], named: Sequence[frozenset[int]]
) -> list[int]:
    """The number of the arm of each group: the same treatments named again, or by their abbreviation, are the same arm."""
    known: dict[frozenset[int], list[tuple[int, Mention]]] = {}
    numbers: list[int] = []
    arms = count()
    for group, values in zip(groups, named, strict=True):
        of_values = known.setdefault(values, [])
        number = next((number for number, first in of_values if not _other_words(text, first, group[0])), None)
        if number is None:
            number = next(arms)
            of_values.append((number, group[0]))
        numbers.append(number)
    return numbers


def _other_words(text: AnnotatedText, one: Mention, other: Mention) -> bool:
    """Whether two mentions of one value name two treatments: they have no word in common, and neither is short for the other
    ("CBT" for "cognitive therapy")."""
    if one.short or other.short:
        return False
    first, second = (text.normal.words[m.first : m.last] for m in (one, other))
    if (len(first) == 1) != (len(second) == 1) and first[0][0] == second[0][0]:
        return False
    return set(first).isdisjoint(second)


def _groups(text: AnnotatedText, inside: Sequence[Mention]) -> list[list[Mention]]:
    """The mentions of a sentence by arm. Two values of one word are in one arm."""
    groups: list[list[Mention]] = []
    for mention in inside:
        before = groups[-1][-1] if groups else None
        if before is not None and (mention.first < before.last or _same_arm(text, before, mention)):
            groups[-1].append(mention)
        else:
            groups.append([mention])
    return groups


def _around(text: AnnotatedText, mention: Mention, versus_at: Sequence[int]) -> int:
    """What the words around a mention say of it. `versus_at`: the places of "versus" or its like among the treatments."""
    bit = text.cues.bit
    there = (
        text.sentence_masks[text.sentence_of[mention.first]] | text.sentence_masks[text.sentence_of[mention.last - 1]]
    )
    if not versus_at and not there & (bit["versus"] | bit["control"] | bit["shared"]):
        return 0
    before, after = text.before(mention.first, 4), text.after(mention.last, 4)
    sign = 0
    if before & bit["versus"] or (versus_at and versus_at[0] < mention.first):
        sign |= AFTER_VERSUS
    if after & bit["versus"] or (versus_at and versus_at[-1] >= mention.last):
        sign |= BEFORE_VERSUS
    if (before | text.after(mention.last, 3)) & bit["control"]:
        sign |= CONTROL
    return sign | SHARED if before & bit["shared"] else sign


def _same_arm(text: AnnotatedText, left: Mention, right: Mention) -> bool:
    """Whether only words such as "plus" or "combined with" stand between two treatments."""
    words = text.normal.words[left.last : right.first]
    between = text.normal.folded[text.normal.stops[left.last - 1] : text.normal.starts[right.first]]
    if len(words) > 4 or any(mark in between for mark in ",;/("):
        return "+" in between and len(words) <= 4
    if not words:
        return "+" in between or not between.strip(_INSIDE_A_NAME)
    if words == ["and"] or (words[0] in ("with", "to") and _being_compared(text, left)):
        return False
    return all(word in _JOINED or word in ("a", "the", "it") for word in words)


def _being_compared(text: AnnotatedText, mention: Mention) -> bool:
    """Whether "compare" or its like has this treatment for its object: what "with" adds is then the other arm."""
    for place in range(mention.first - 1, max(-1, mention.first - 5), -1):
        word = text.normal.words[place]
        if word in ("with", "to") or text.sentence_of[place] != text.sentence_of[mention.first]:
            return False
        if word.startswith("compar"):
            return True
    return False
