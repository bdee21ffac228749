"""What a text says for and against a value, as numbered signs: the features of the decision.

A sign says something about mentions (their role, sentence, cues, family of words, arms) or about the whole text (a title alone, a
plan, many studies). No sign names a facet's value, so that one decision serves any topic. `decide` weighs the signs. Several
signs together are one whole number with a bit for each, so that the signs of many mentions are joined by `|`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache, partial
from typing import NamedTuple, get_args

from evidence.rules import arms
from evidence.rules.annotated_text import AnnotatedText
from evidence.rules.cues import cue_reader
from evidence.rules.mention_roles import ROLES, About, MentionRole, TextKind
from evidence.rules.mentions import FAMILIES, INSTRUMENT, LOOSE, Mention

SENTENCES = ("title", "background", "aim", "methods", "results", "conclusions")
_CUES = cue_reader().kinds
_KIND_NUMBER = {kind: number for number, kind in enumerate(get_args(About))}
_SENTENCE_NUMBER = {name: number for number, name in enumerate(SENTENCES)}
_BEFORE_WORDS = (
    "of",
    "with",
    "for",
    "in",
    "on",
    "and",
    "or",
    "to",
    "from",
    "by",
    "a",
    "the",
    "as",
    "using",
    "versus",
    "than",
    "no",
    "non",
    "their",
    "his",
    "her",
    "between",
    "about",
    "during",
    "at",
    "including",
)
_AFTER_WORDS = (
    "was",
    "were",
    "is",
    "and",
    "or",
    "in",
    "at",
    "for",
    "of",
    "with",
    "score",
    "symptom",
    "rate",
    "group",
    "patient",
    "outcome",
    "disorder",
    "treatment",
    "trial",
    "study",
    "scale",
    "who",
    "to",
    "as",
    "among",
    "level",
)


def _names() -> list[str]:
    names = [f"role: {role}" for role in ROLES]
    names += [f"{family} as {role}" for family in FAMILIES for role in ROLES]
    names += [f"{family} in {sentence}" for family in FAMILIES for sentence in SENTENCES]
    for place in ("just before", "just after", "before the list", "after the list"):
        names += [f"{place}: {cue}" for cue in _CUES]
    names += [f"same clause in {sentence}: {cue}" for sentence in SENTENCES for cue in _CUES]
    names += [f"treatment {sign} in {sentence}" for sentence in SENTENCES for sign in arms.ARM_SIGNS]
    names += [f"after “{word}”" for word in _BEFORE_WORDS]
    names += [f"before “{word}”" for word in _AFTER_WORDS]
    names += [f"inside a word of {kind} ({family})" for kind in KINDS for family in FAMILIES]
    names += [f"{company} in {sentence}" for sentence in SENTENCES for company in COMPANY]
    names += [f"the title has: {cue}" for cue in _CUES]
    names += [f"same sentence: {cue}" for cue in _CUES]
    names += [
        f"of a {kind}, in a text that {'is' if there else 'is not'} a {of}"
        for kind in TEXT_KINDS
        for of in TEXT_KINDS
        for there in (True, False)
    ]
    names += ["an abbreviation of the text", "in brackets", "first words of its sentence", "last words of its sentence"]
    names += TEXT_SIGNS
    # Only designs have these. They come last, so that the signs of other facets are shorter numbers.
    return names + [f"anywhere in {sentence}: {cue}" for sentence in SENTENCES[1:] for cue in _CUES]


KINDS: tuple[About, ...] = get_args(About)

TEXT_KINDS: tuple[TextKind, ...] = get_args(TextKind)
COMPANY = (
    "alone of its facet",
    "one other value of its facet",
    "two other values of its facet",
    "more values of its facet",
    "an instrument of its facet",
)
"""Who else stands in the sentence of a mention."""
TEXT_SIGNS = (
    "one mention",
    "two mentions",
    "three or four mentions",
    "five or more mentions",
    "all mentions in the background",
    "all mentions in results or conclusions",
    "title alone",
    "no mention in title or aim",
    "mentioned in title and abstract",
    "people are assigned to arms",
    "written as a plan",
    "about many studies",
    "no results",
    "a rival in the title",
    "a rival is named outright",
    "gives way to a value in the title",
    "gives way to a value in aim or methods",
    "gives way to a value elsewhere",
    "the only value",
    "named outright and loosely",
    "two families",
    "mentioned in three kinds of sentence",
    "no treatment named",
    "a comparison is made",
    "another treatment is compared",
    "the abstract is short",
    "made with a tag of another facet",
    "a value made of it applies",
    "made with a tag that the title has",
    "made with a tag named four times or more",
    "made with words of one sentence",
    "a value made of it stands in the title",
    "the most mentioned of its facet",
    "half of the mentions of its facet",
    "a tenth of the mentions of its facet",
    "the first of its facet",
    "no value of its facet is named outright",
    "the general value is not named",
    "a number after it",
    "per cent after it",
    "its words name something else too",
    "another arm in one sentence",
    "another arm in two sentences",
    "another arm in more sentences",
    "studied, and another treatment is compared",
    "studied, and no other treatment is compared",
    "an arm of its own",
    "studied in two sentences that compare",
)
NAMES: tuple[str, ...] = tuple(_names())
"""The name of each sign; a sign's number is its place here."""

_R = len(ROLES)
_S = len(SENTENCES)
_C = len(_CUES)
_F = len(FAMILIES)
_ROLE_FAMILY = _R
_SENTENCE_FAMILY = _ROLE_FAMILY + _F * _R
_NEAR = _SENTENCE_FAMILY + _F * _S
_CLAUSE = _NEAR + 4 * _C
_ARMS = _CLAUSE + _S * _C
_BEFORE = _ARMS + _S * len(arms.ARM_SIGNS)
_AFTER = _BEFORE + len(_BEFORE_WORDS)
_INSIDE = _AFTER + len(_AFTER_WORDS)
_COMPANY = _INSIDE + len(KINDS) * _F
_TITLE_CUES = _COMPANY + _S * len(COMPANY)
_SENTENCE_CUES = _TITLE_CUES + _C
_KINDS_OF_TEXT = _SENTENCE_CUES + _C
_MORE = _KINDS_OF_TEXT + 2 * len(TEXT_KINDS) ** 2
_TEXT = _MORE + 4
_WHOLE_CUES = _TEXT + len(TEXT_SIGNS)
TEXT_SIGN = {name: 1 << _TEXT + number for number, name in enumerate(TEXT_SIGNS)}
"""Signs of the whole text or of a value, by name."""
# Signs and places that are asked for at every mention.
_ROLE_SIGNS = {
    (family, role): 1 << number | 1 << _ROLE_FAMILY + family * _R + number
    for family in range(_F)
    for number, role in enumerate(ROLES)
}
_SENTENCE_SIGNS = [[1 << _SENTENCE_FAMILY + family * _S + sentence for sentence in range(_S)] for family in range(_F)]
_CLAUSE_IN = [_CLAUSE + sentence * _C for sentence in range(_S)]
_ARMS_IN = [_ARMS + sentence * len(arms.ARM_SIGNS) for sentence in range(_S)]
_BEFORE_SIGN = {word: 1 << _BEFORE + number for number, word in enumerate(_BEFORE_WORDS)}
_AFTER_SIGN = {word: 1 << _AFTER + number for number, word in enumerate(_AFTER_WORDS)}
_FIRST_WORDS, _LAST_WORDS, _SHORT, _BRACKETED = 1 << _MORE + 2, 1 << _MORE + 3, 1 << _MORE, 1 << _MORE + 1
_NUMBER_AFTER, _PER_CENT_AFTER = TEXT_SIGN["a number after it"], TEXT_SIGN["per cent after it"]


class ReadMention(NamedTuple):
    """A mention with its role and the cues around it. `sentence` is the number of its kind of sentence in `SENTENCES`, `place`
    that of the sentence in the work. `negated`: the text says that it is not so ("no suicidal ideation")."""

    mention: Mention
    field: int
    role: MentionRole
    sentence: int
    place: int
    signs: int
    negated: bool = False


read_mention: Callable[[tuple[Mention, int, MentionRole, int, int, int, bool]], ReadMention] = partial(
    tuple.__new__, ReadMention
)
"""A read mention of all its fields, in half the time of calling the class."""


def numbers(signs: int) -> list[int]:
    """The numbers of these signs, in order: their places in `NAMES`."""
    found = []
    while signs:
        low = signs & -signs
        found.append(low.bit_length() - 1)
        signs ^= low
    return found


def sentence_number(text: AnnotatedText, place: int) -> int:
    """The kind of sentence in which a word stands: its number in `SENTENCES`."""
    return 0 if text.field == "title" else _SENTENCE_NUMBER[text.sentences[text.sentence_of[place]].role]


def span_signs(text: AnnotatedText, first: int, last: int, sentence: int, before: int, after: int) -> int:
    """The signs of the words `first` to `last` (exclusive) in a sentence of this kind, whatever they name. `before` and `after`
    are the cues beside them."""
    start, stop = text.enclosing_list(first, last)
    near = before | after << _C  # joined while the numbers are short, then shifted to their place once
    if start != first:
        near |= text.before(start) << 2 * _C
    if stop != last:
        near |= text.after(stop) << 3 * _C
    same = text.sentence_of[first]
    signs = (
        near << _NEAR
        | text.clause_masks[text.clause_of[first]] << _CLAUSE_IN[sentence]
        | text.sentence_masks[same] << _SENTENCE_CUES
    )
    normal = text.normal
    words = normal.words
    if first > text.bounds[same]:
        signs |= _BEFORE_SIGN.get(words[first - 1], 0)
        if text.separator[first - 1] == "(":
            signs |= _BRACKETED
    else:
        signs |= _FIRST_WORDS
    signs |= _AFTER_SIGN.get(words[last], 0) if last < text.bounds[same + 1] else _LAST_WORDS
    for word in words[last : last + 4]:
        if word[0].isdigit():
            signs |= _NUMBER_AFTER
            break
    if "%" in normal.folded[normal.stops[last - 1] : normal.stops[min(last + 4, len(words)) - 1] + 2]:
        signs |= _PER_CENT_AFTER
    return signs


def mention_signs(mention: Mention, role: MentionRole, sentence: int, arm_signs: int, inside: About | None) -> int:
    """The signs of one mention beside those of its words: role, family, arms, and what the longer word is about that it is
    inside."""
    family = mention.family
    signs = _ROLE_SIGNS[family, role] | _SENTENCE_SIGNS[family][sentence]
    if arm_signs:
        signs |= arm_signs << _ARMS_IN[sentence]
    if inside is not None:
        signs |= 1 << _INSIDE + _KIND_NUMBER[inside] * _F + max(mention.inside_family, 0)
    return signs | _SHORT if mention.short else signs


def title_signs(text: AnnotatedText) -> int:
    """The signs that the cues of a title are."""
    return text.sentence_masks[0] << _TITLE_CUES


def cue_signs(text: AnnotatedText) -> int:
    """The signs for the cues that stand anywhere in an abstract, by the kind of sentence."""
    by_role = dict.fromkeys(SENTENCES[1:], 0)
    for sentence, mask in zip(text.sentences, text.sentence_masks, strict=False):
        by_role[sentence.role] |= mask
    return sum(mask << _WHOLE_CUES + place * _C for place, mask in enumerate(by_role.values()))


def text_kind_signs(expected: TextKind, there: Collection[TextKind]) -> int:
    """The signs for a value that is reported in a kind of text, where the text is of the kinds `there`."""
    base = _KINDS_OF_TEXT + 2 * len(TEXT_KINDS) * TEXT_KINDS.index(expected)
    return sum(1 << base + 2 * place + (kind not in there) for place, kind in enumerate(TEXT_KINDS))


def compared_signs(of: arms.Arms) -> dict[int, int]:
    """The signs for treatments from all comparisons of a text: in how many sentences each is another arm, or the studied one."""
    found: dict[int, int] = {}
    other = any(not studied for _, studied in of.compared)
    for (value, studied), count in of.compared.items():
        if studied:
            signs = TEXT_SIGN[f"studied, and {'another' if other else 'no other'} treatment is compared"]
            if count > 1:
                signs |= TEXT_SIGN["studied in two sentences that compare"]
        else:
            signs = TEXT_SIGN[_OTHER_ARM[min(count, 3)]]
        found[value] = found.get(value, 0) | signs
    for arm in of.arms:
        if len(arm.values) == 1:
            found[arm.values[0]] |= TEXT_SIGN["an arm of its own"]
    return found


_OTHER_ARM = ("", "another arm in one sentence", "another arm in two sentences", "another arm in more sentences")


class Together(NamedTuple):
    """The mentions of one value together: their signs, their kinds of sentence (a bit for each of `SENTENCES`), families (a bit
    for each of `FAMILIES`), the kinds of sentence that name the value outright, the sentences (numbers in the work) with their
    kinds, and those of them that have an instrument."""

    signs: int
    sentences: int
    families: int
    outright: int
    places: Mapping[int, int]
    instruments: Collection[int]


def together(read: Sequence[ReadMention]) -> Together:
    """The mentions of one value together."""
    signs = sentences = families = outright = 0
    places: dict[int, int] = {}
    instruments: list[int] = []
    for mention, _, _, sentence, place, of_mention, _ in read:
        signs |= of_mention
        sentences |= 1 << sentence
        families |= 1 << mention.family
        places[place] = sentence
        if mention.family != LOOSE:
            outright |= 1 << sentence
            if mention.family == INSTRUMENT:
                instruments.append(place)
    return Together(signs, sentences, families, outright, places, instruments)


def company_signs(places: Mapping[int, int], values_in: Mapping[int, int], instruments_in: Collection[int]) -> int:
    """The signs for who else stands in the sentences of a value. `places`: these sentences with their kinds; `values_in`: for
    each sentence how many values of the facet are there; `instruments_in`: the sentences with an instrument of the facet."""
    signs = 0
    for place, sentence in places.items():
        base = _COMPANY + sentence * len(COMPANY)
        signs |= 1 << base + min(3, values_in[place] - 1)
        if place in instruments_in:
            signs |= 1 << base + 4
    return signs


@cache
def spread_signs(count: int, sentences: int, families: int) -> int:
    """The signs for how the mentions of a value are spread: how many (5: or more), in which kinds of sentence and families (a bit
    for each)."""
    signs = TEXT_SIGN[_COUNTS[count]]
    kinds = {number for number in range(_S) if sentences >> number & 1}
    if kinds == {1}:
        signs |= TEXT_SIGN["all mentions in the background"]
    if kinds <= {4, 5}:
        signs |= TEXT_SIGN["all mentions in results or conclusions"]
    if not kinds & {0, 2}:
        signs |= TEXT_SIGN["no mention in title or aim"]
    if 0 in kinds and len(kinds) > 1:
        signs |= TEXT_SIGN["mentioned in title and abstract"]
    if len(kinds) > 2:
        signs |= TEXT_SIGN["mentioned in three kinds of sentence"]
    several = families.bit_count() > 1
    if several and families >> LOOSE & 1:
        signs |= TEXT_SIGN["named outright and loosely"]
    if several:
        signs |= TEXT_SIGN["two families"]
    return signs


_COUNTS = (
    "",
    "one mention",
    "two mentions",
    "three or four mentions",
    "three or four mentions",
    "five or more mentions",
)
