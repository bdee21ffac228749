"""A title and an abstract, read once for all values: sentences and mentions with their roles, arms, and signs for each value.

It may not decide (`decide` does) and may not know people's decisions, the database or the network.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from evidence.rules.annotated_text import AnnotatedText
from evidence.rules.arms import OTHER, Arm, read_arms
from evidence.rules.cues import cue_reader
from evidence.rules.mention_roles import TREATMENTS, About, MentionRole, TextKind, mention_role
from evidence.rules.mentions import Mention, Vocabulary
from evidence.rules.negation import NEGATING, hypothetical_clauses, named_places, negated
from evidence.rules.signs import (
    TEXT_SIGN,
    ReadMention,
    company_signs,
    compared_signs,
    cue_signs,
    mention_signs,
    sentence_number,
    span_signs,
    spread_signs,
    text_kind_signs,
    title_signs,
    together,
)

SHORT_ABSTRACT = 500
"""Characters below which an abstract is short: it rarely says what was measured."""
OFTEN = 3
"""Sentences in which a cue must stand to tell what kind of text this is."""


@dataclass(frozen=True, slots=True)
class FacetReading:
    """How the mentions of one facet are read: what its words are about, and for each of its values (numbers of the vocabulary)
    the values it gives way to. `general` is the value that any other goes before; `made`: a value → values of other facets, any
    of which makes it of the general one. `text`: a value → the kind of text in which it is reported."""

    facet: str
    about: About
    values: tuple[int, ...]
    gives_way_to: Mapping[int, tuple[int, ...]]
    general: int | None = None
    made: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    text: Mapping[int, TextKind] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read in one work: the annotated fields, the arms, the mentions of each value (by number), and the signs for it (a
    number with a bit for each, see `signs`). Mentions that are negated or hypothetical give no signs; `affirmed` are the
    others."""

    fields: tuple[AnnotatedText, ...]
    arms: tuple[Arm, ...]
    mentions: Mapping[int, tuple[ReadMention, ...]]
    affirmed: Mapping[int, tuple[ReadMention, ...]]
    signs: Mapping[int, int]


def read_abstract(
    title: str | None,
    abstract: str | None,
    vocabulary: Vocabulary,
    facets: Sequence[FacetReading],
    about: Mapping[int, About],
    studied: frozenset[int],
) -> Reading:
    """Read a title, an abstract, or both. `about`: what the words of each value name; `studied`: the values that the topic is
    about (its interventions)."""
    cues = cue_reader()
    fields = tuple(AnnotatedText(name, text, cues) for name, text in (("title", title), ("abstract", abstract)) if text)
    found = vocabulary.mentions([field.normal for field in fields])
    treatments = frozenset([number for number, kind in about.items() if kind in TREATMENTS])
    arms = read_arms(fields, found, treatments, studied)
    mentions, shared = _read_mentions(fields, found, arms.signs, about)
    affirmed = {
        number: kept
        for number, of_value in mentions.items()
        if (kept := tuple([mention for mention in of_value if not (mention.negated or mention.hypothetical)]))
    }
    whole, kinds = _text_signs(fields)
    if len(arms.arms) > 1:
        whole |= TEXT_SIGN["a comparison is made"]
    if any(not arm.studied for arm in arms.arms) or any(
        sign & OTHER for signs in arms.signs for sign in signs.values()
    ):
        whole |= TEXT_SIGN["another treatment is compared"]
    if treatments.isdisjoint(affirmed):
        whole |= TEXT_SIGN["no treatment named"]
    compared = compared_signs(arms)
    something_else = TEXT_SIGN["its words name something else too"]
    signs = {}
    for facet in facets:
        of_facet = whole | _cue_signs(fields) if facet.about == "design" else whole
        for number, of_value in _facet_signs(facet, affirmed, kinds).items():
            signs[number] = of_value | of_facet | compared.get(number, 0) | (something_else if number in shared else 0)
    by_value = {number: tuple(of_value) for number, of_value in mentions.items()}
    return Reading(fields, arms.arms, by_value, affirmed, signs)


def _read_mentions(
    fields: Sequence[AnnotatedText],
    found: Sequence[Sequence[Mention]],
    arm_signs: Sequence[Mapping[Mention, int]],
    about: Mapping[int, About],
) -> tuple[dict[int, list[ReadMention]], set[int]]:
    """The mentions with their roles and signs, by value; and the values of which a word names another value too, where the text
    does not negate it."""
    mentions: dict[int, list[ReadMention]] = {}
    shared: set[int] = set()
    for place, (text, of_field, of_arms) in enumerate(zip(fields, found, arm_signs, strict=True)):
        named: Mapping[int, int] | None = None
        yet_to_be_done = hypothetical_clauses(text)
        # What is the same for all mentions of the same words is read once; the last entry is the first value that they name.
        of_spans: dict[tuple[int, int], tuple[int, int, int, int, int, bool, int]] = {}
        # A word for how a treatment is given ("with fluoxetine") stands in the arm of the treatment that it names too.
        arms_of_words: dict[int, int] = {}
        for treatment, sign in of_arms.items():
            for word in range(treatment.first, treatment.last):
                arms_of_words[word] = arms_of_words.get(word, 0) | sign
        for mention in of_field:
            value, _, first, last, inside, _, _ = mention
            read = of_spans.get((first, last))
            if read is None:
                sentence = sentence_number(text, first)
                before, after = text.before(first), text.after(last)
                clause = text.clause_masks[text.clause_of[first]]
                in_work = (place << 20) + text.sentence_of[first]
                signs = span_signs(text, first, last, sentence, before, after)
                no = False
                if clause & NEGATING:
                    if named is None:
                        named = named_places(of_field)
                    no = negated(text, mention, named)
                read = of_spans[first, last] = sentence, before | after, clause, in_work, signs, no, value
            elif not read[5]:
                shared |= {value, read[6]}
            sentence, near, clause, in_work, signs, no, _ = read
            in_arms = arms_of_words.get(last - 1, 0) if about[value] == "delivery" else of_arms.get(mention, 0)
            # A design in such a clause is often this study's own: "these preliminary results warrant controlled trials".
            to_come = text.clause_of[first] in yet_to_be_done and about[value] != "design"
            role: MentionRole = "implication or plan"
            if not to_come:
                role = mention_role(text, mention, about[value], in_arms, near, clause)
            signs |= mention_signs(mention, role, sentence, in_arms, about[inside] if inside >= 0 else None)
            found_here = ReadMention(mention, place, role, sentence, in_work, signs, no, to_come)
            mentions.setdefault(value, []).append(found_here)
    return mentions, shared


def _cue_signs(fields: Sequence[AnnotatedText]) -> int:
    """The signs for the cues anywhere in the abstract: a study's design shows in the whole text."""
    return sum(cue_signs(field) for field in fields if field.field == "abstract")


def _text_signs(fields: Sequence[AnnotatedText]) -> tuple[int, frozenset[TextKind]]:
    """The signs of a text as a whole, and what kinds of text it is."""
    title = next((field for field in fields if field.field == "title"), None)
    abstract = next((field for field in fields if field.field == "abstract"), None)
    signs, in_title = (title_signs(title), title.sentence_masks[0]) if title is not None else (0, 0)
    if abstract is None:
        signs |= TEXT_SIGN["title alone"]
    else:
        if all(sentence.role != "results" for sentence in abstract.sentences):
            signs |= TEXT_SIGN["no results"]
        if len(abstract.normal.text) < SHORT_ABSTRACT:
            signs |= TEXT_SIGN["the abstract is short"]
    bit = cue_reader().bit

    def count(kind: str) -> int:
        return sum(bool(mask & bit[kind]) for field in fields for mask in field.sentence_masks)

    kinds = set[TextKind]()
    if planned := count("future") >= OFTEN:
        signs |= TEXT_SIGN["written as a plan"]
    if planned or in_title & bit["plan-title"]:
        kinds.add("plan")
    if many := count("many-studies") >= OFTEN:
        signs |= TEXT_SIGN["about many studies"]
    if many or in_title & bit["review-title"]:
        kinds.add("review")
    if count("assign"):
        signs |= TEXT_SIGN["people are assigned to arms"]
        kinds.add("trial")
    return signs, frozenset(kinds or {"observation"})


def _facet_signs(
    facet: FacetReading, mentions: Mapping[int, Sequence[ReadMention]], kinds: frozenset[TextKind]
) -> dict[int, int]:
    """The signs for each value of a facet that is mentioned: those of its mentions, and how it stands among its rivals."""
    present = {number: together(mentions[number]) for number in facet.values if number in mentions}
    if not present:
        return {}
    in_title = {number for number, joined in present.items() if joined.sentences & 1}
    outright = {number for number, joined in present.items() if joined.outright}
    if facet.general is not None and not outright:
        return {}  # loose words say which form is meant, and nothing is named that has a form
    values_in = Counter(chain.from_iterable([joined.places for joined in present.values()]))
    instruments_in = {place for joined in present.values() for place in joined.instruments}
    total = sum(len(mentions[number]) for number in present)
    most = max(len(mentions[number]) for number in present)
    first = min(present, key=lambda number: (mentions[number][0].field, mentions[number][0].mention.first))
    of_facet = 0
    if len(present) == 1:
        of_facet |= TEXT_SIGN["the only value"]
    if not outright:
        of_facet |= TEXT_SIGN["no value of its facet is named outright"]
    if facet.general is not None and facet.general not in outright:
        of_facet |= TEXT_SIGN["the general value is not named"]
    found = {}
    for number, joined in present.items():
        count = len(mentions[number])
        signs = of_facet | joined.signs | spread_signs(min(count, 5), joined.sentences, joined.families)
        signs |= company_signs(joined.places, values_in, instruments_in) | _share_signs(count, most, total)
        if number in facet.text:
            signs |= text_kind_signs(facet.text[number], kinds)
        if number == first:
            signs |= TEXT_SIGN["the first of its facet"]
        if in_title - {number}:
            signs |= TEXT_SIGN["a rival in the title"]
        if outright - {number}:
            signs |= TEXT_SIGN["a rival is named outright"]
        for other in present.keys() & facet.gives_way_to.get(number, ()):
            signs |= _yielding_signs(present[other].outright)
        found[number] = signs
    return found


def _share_signs(count: int, most: int, total: int) -> int:
    """The signs for how many of the `total` mentions of a facet are those of one value; `most` has the most mentioned one."""
    signs = TEXT_SIGN["the most mentioned of its facet"] if count == most else 0
    if 2 * count >= total:
        return signs | TEXT_SIGN["half of the mentions of its facet"]
    return signs | TEXT_SIGN["a tenth of the mentions of its facet"] if 10 * count < total else signs


def _yielding_signs(sentences: int) -> int:
    """The signs for a value that gives way to another, from the kinds of sentence that name that one outright."""
    if sentences & 1:
        return TEXT_SIGN["gives way to a value in the title"]
    if sentences & (1 << 2 | 1 << 3):
        return TEXT_SIGN["gives way to a value in aim or methods"]
    return TEXT_SIGN["gives way to a value elsewhere"] if sentences else 0
