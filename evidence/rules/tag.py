"""A work's title, abstract and stated facts → its tags: each with its strength, its words and a sentence that says how.

It reads one work at a time. It may not know the verdict, people's decisions, the database or the network.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from evidence.data_model import SHOWN_STRENGTHS, STRENGTHS, Match, Strength, Tag, Work
from evidence.rules.abstract_reader import FacetReading, Reading, read_abstract
from evidence.rules.decide import FULL, TITLE, Model, ValueWeights, models
from evidence.rules.mention_roles import MentionRole
from evidence.rules.mentions import LOOSE
from evidence.rules.signs import TEXT_SIGN, ReadMention
from evidence.rules.stated_facts import StatedFact, said_by, stated_facts
from evidence.rules.taxonomy import Taxonomy, ValueKey

MATCHES_PER_TAG = 2
"""How many places in the text show a tag: enough to check it, few enough to read."""

_FACT_CERTAINTY: Mapping[Strength, float] = {"stated": 1.0, "likely": 0.7, "implied": 0.4}
"""The certainty of a tag that facts give: set, not measured, so that such tags have a place among those of the text."""

_SAID: Mapping[MentionRole, str] = {
    "aim": "named in the aim", "eligibility": "who could take part", "participants": "who took part",
    "arm": "a treatment of the study",
    "comparator": "a comparison", "shared by both arms": "given to both arms", "measure": "measured", "finding": "a finding",
    "secondary finding": "a further finding", "predictor or moderator": "a predictor", "prior treatment": "earlier treatment",
    "background": "named in the background", "other people's": "what others report",
    "implication or plan": "named in the conclusions",
    "design": "the design",
}  # fmt: skip
_BEST: tuple[MentionRole, ...] = (
    "measure", "finding", "design", "comparator", "arm", "participants", "eligibility", "aim", "shared by both arms",
    "secondary finding", "implication or plan", "predictor or moderator", "prior treatment", "background", "other people's",
)  # fmt: skip
_MEASURES: frozenset[MentionRole | None] = frozenset(("measure", "finding"))
OFTEN_NAMED = 4
"""Mentions from which a tag is often named."""
_PLACE = {role: place for place, role in enumerate(_BEST)}


def tag(work: Work, taxonomy: Taxonomy) -> tuple[Tag, ...]:
    """Every tag of `work` by its title, its abstract and its facts (type of record, publication types, MeSH headings), in the
    taxonomy's order."""
    given = tags_of(read(work.title, work.abstract, taxonomy), taxonomy) if work.title or work.abstract else ()
    by_value: dict[int, list[StatedFact]] = {}
    for key, fact in stated_facts(work).items():
        for number in taxonomy.of_facts.get(key, ()):
            by_value.setdefault(number, []).append(fact)
    return _with_facts(given, by_value, taxonomy) if by_value else given


def _with_facts(
    given: tuple[Tag, ...], by_value: Mapping[int, Sequence[StatedFact]], taxonomy: Taxonomy
) -> tuple[Tag, ...]:
    """The tags that the text gives, and those that facts give. A tag of both has the places of both and the stronger strength.

    Where a value applies to which another one gives way, a fact of that other one only implies it: PubMed calls the protocol
    and the follow-up of a trial a randomised trial too, and a systematic review a review.
    """
    by_text = {(tag.facet, tag.value): tag for tag in given}
    found = dict(by_text)
    applying = by_value.keys() | {
        number
        for number, key in enumerate(taxonomy.keys)
        if key in by_text and by_text[key].strength in SHOWN_STRENGTHS
    }
    gives_way_to = {number: to for facet in taxonomy.readings for number, to in facet.gives_way_to.items()}
    for number, facts in by_value.items():
        key = taxonomy.keys[number]
        strength = min((fact.strength for fact in facts), key=STRENGTHS.index)
        if applying.intersection(gives_way_to[number]):
            strength = "implied"
        certainty = _FACT_CERTAINTY[strength]
        matches = tuple(fact.match for fact in facts)
        said = said_by(facts)
        if text := by_text.get(key):
            strength, certainty = min(
                (strength, certainty),
                (text.strength, text.certainty or 0.0),
                key=lambda sure: (STRENGTHS.index(sure[0]), -sure[1]),
            )
            said = f"{_said(text.matches)}, {said}"
            matches = text.matches + matches
        how = f"{taxonomy.values[number].label}: {said}."
        found[key] = Tag(*key, matches, "rule", strength, certainty, how)
    return tuple(found[key] for key in taxonomy.keys if key in found)


def read(title: str | None, abstract: str | None, taxonomy: Taxonomy) -> Reading:
    """What is read in a title and an abstract with the words of this taxonomy."""
    return read_abstract(title, abstract, taxonomy.vocabulary, taxonomy.readings, taxonomy.about, taxonomy.studied)


def tags_of(reading: Reading, taxonomy: Taxonomy) -> tuple[Tag, ...]:
    """The tags that follow from what was read."""
    text = FULL if any(field.field == "abstract" for field in reading.fields) else TITLE
    given: dict[int, Tag] = {}
    known, title = models(), title_words(reading)
    for facet in taxonomy.readings_in_turn:
        model, own = known[facet.about, text], taxonomy.value_weights.get((facet.facet, text))
        given.update(_of_facet(facet, model, own, reading, title, taxonomy, given))
    return tuple(given[number] for number in sorted(given))


def why_without(title: str | None, abstract: str | None, key: ValueKey, taxonomy: Taxonomy) -> str:
    """Why a text does not get this tag: a sentence for whoever misses it."""
    if key not in taxonomy.tags:
        return "There is no such value any more."
    number = taxonomy.keys.index(key)
    reading = read(title, abstract, taxonomy)
    mentions = reading.mentions.get(number, ())
    affirmed = reading.affirmed.get(number, ())
    if not mentions:
        return "No word of it stands in title or abstract."
    if not affirmed:
        how = (
            "negates it" if any(mention.negated for mention in mentions) else "names it as something yet to be studied"
        )
        return f"The text {how}: {_said(_matches(mentions, reading))}."
    return f"Too little for a tag: {_said(_matches(affirmed, reading))}."


def _of_facet(
    facet: FacetReading,
    model: Model,
    own: ValueWeights | None,
    reading: Reading,
    title: Collection[str],
    taxonomy: Taxonomy,
    given: Mapping[int, Tag],
) -> dict[int, Tag]:
    found: dict[int, Tag] = {}
    shown = {number: tag for number, tag in given.items() if tag.strength in SHOWN_STRENGTHS} if facet.made else {}
    possible = candidates(facet, reading, shown)
    if not possible:
        return found
    if own is None:
        first = {number: model.first(candidate.signs) for number, candidate in possible.items()}
    else:
        first = {
            number: own.probability(
                number, candidate.signs, phrases(candidate, reading) if number in own.words else (), title
            )
            for number, candidate in possible.items()
        }
    for number, probability in (own or model).beside_rivals(first, facet.gives_way_to).items():
        candidate, strength = possible[number], model.strength(probability)
        if strength is not None:
            matches = _matches(candidate.mentions, reading)
            if candidate.made_with is not None:
                matches = (matches + shown[candidate.made_with].matches)[:MATCHES_PER_TAG]
            how = _how(taxonomy.values[number].label, matches)
            found[number] = Tag(*taxonomy.keys[number], matches, "rule", strength, round(probability, 3), how)
    return found


@dataclass(frozen=True, slots=True)
class Candidate:
    """A value that may apply: the signs for and against it, its mentions, and the value of another facet that helped to make
    it."""

    signs: int
    mentions: tuple[ReadMention, ...]
    made_with: int | None = None


def candidates(facet: FacetReading, reading: Reading, given: Collection[int]) -> dict[int, Candidate]:
    """The values of a facet for which anything speaks. `given` are the tags of the other facets, with some of which the general
    value makes a special one."""
    general = facet.general if facet.general in reading.signs else None
    made = {}
    if general is not None:
        made = {value: other for value, others in facet.made.items() for other in others if other in given}
    affirmed = reading.affirmed
    found = {}
    for number in facet.values if made else [number for number in facet.values if number in reading.signs]:
        signs = reading.signs.get(number, 0)
        if not signs and number not in made:
            continue
        mentions = affirmed.get(number, ())
        if number in made and general is not None:
            signs |= reading.signs[general] | _made_signs(affirmed[general], affirmed.get(made[number], ()))
            mentions += affirmed[general]
        elif number == general and made:
            signs |= TEXT_SIGN["a value made of it applies"]
            if any(_in_title(affirmed.get(other, ())) for other in made.values()):
                signs |= TEXT_SIGN["a value made of it stands in the title"]
        if signs:
            found[number] = Candidate(signs, mentions, made.get(number))
    return found


def _made_signs(general: Sequence[ReadMention], other: Sequence[ReadMention]) -> int:
    """The signs for a value that the general one makes with a tag of another facet: how firmly the text joins the two."""
    signs = TEXT_SIGN["made with a tag of another facet"]
    if _in_title(other):
        signs |= TEXT_SIGN["made with a tag that the title has"]
    if len(other) >= OFTEN_NAMED:
        signs |= TEXT_SIGN["made with a tag named four times or more"]
    if {m.place for m in general} & {m.place for m in other}:
        signs |= TEXT_SIGN["made with words of one sentence"]
    return signs


def _in_title(read: Sequence[ReadMention]) -> bool:
    return any(mention.sentence == 0 for mention in read)


def phrases(candidate: Candidate, reading: Reading) -> frozenset[str]:
    """The words that name a value in a text, in their normal forms."""
    texts = [field.normal for field in reading.fields]
    return frozenset([texts[m.field].phrase(m.mention.first, m.mention.last) for m in candidate.mentions])


def title_words(reading: Reading) -> frozenset[str]:
    """The words of the title, in their normal forms."""
    return frozenset([word for field in reading.fields if field.field == "title" for word in field.normal.words])


def _matches(mentions: Sequence[ReadMention], reading: Reading) -> tuple[Match, ...]:
    """The places that say it best, each word once: those of the best role, names before loose words.

    What is measured and what is found are both reasons; of other roles one is enough.
    """
    best = min([mention.role for mention in mentions], key=_PLACE.__getitem__, default=None)
    roles = _MEASURES if best in _MEASURES else (best,)
    telling = [mention for mention in mentions if mention.role in roles]
    telling = [mention for mention in telling if mention.mention.family != LOOSE] or telling
    telling.sort(key=lambda m: (_PLACE[m.role], m.field, m.mention.first))
    kept: dict[str, Match] = {}
    for mention in telling:
        text = reading.fields[mention.field]
        start, stop = text.normal.starts[mention.mention.first], text.normal.stops[mention.mention.last - 1]
        quote = text.normal.text[start:stop]
        if quote.lower() not in kept and len(kept) < MATCHES_PER_TAG:
            kept[quote.lower()] = Match(mention.role, text.field, start, stop, quote)
    return tuple(kept.values())


def _how(label: str, matches: Iterable[Match]) -> str:
    """`Depressive symptoms: measured (“HAM-D”), a finding (“depression”).`"""
    return f"{label}: {_said(matches)}."


def _said(matches: Iterable[Match]) -> str:
    """`measured (“HAM-D”), a finding (“depression”)`"""
    by_role: dict[str, list[str]] = {}
    for match in matches:
        said = "in the title" if match.field == "title" else _SAID[match.rule]  # type: ignore[index]
        by_role.setdefault(said, []).append(f"“{match.quote}”")
    return ", ".join(f"{said} ({', '.join(quotes)})" for said, quotes in by_role.items())
