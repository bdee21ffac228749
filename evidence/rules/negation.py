"""Is a mention negated ("no suicidal ideation", "patients without depression", "non-randomised") or hypothetical ("should be
studied in adolescents")?

Cue words inside its clause say so (NegEx: Chapman et al. 2001, doi:10.1006/jbin.2001.1029; ConText: Harkema et al. 2009,
doi:10.1016/j.jbi.2009.05.002). A negated effect is a finding and negates no mention: "no difference in anxiety", "did not reduce
anxiety". It may not know facets or values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from evidence.rules.annotated_text import NEAR, AnnotatedText
from evidence.rules.cues import cue_reader
from evidence.rules.mentions import Mention

_BIT = cue_reader().bit
NEGATING = _BIT["negated"] | _BIT["exclude"]
"""The cues without which a clause negates nothing."""
_NEGATED = _BIT["negated"]
_FINDING = sum(_BIT[kind] for kind in ("change", "effect", "difference", "predict", "associate"))
"""Kinds of cue words that a negation may belong to instead."""
_EFFECTS = frozenset(("affect", "affected", "alter", "altered", "influence", "influenced"))
"""Words that say an effect and are no cue of one, because they are often nouns."""
_LINKING = frozenset(("or", "and", "p"))
"""Words that are cues of a finding only as part of statistics ("OR = 2", "p = .03")."""
_AWAY = frozenset(("as", "at", "by", "during", "for", "in", "on", "than", "to", "with"))
"""Words that a negation does not reach beyond: "not shared by", "no guidelines for", "improved, but not in"."""
_NO_LIMIT = frozenset(("only", "just", "merely", "solely", "simply"))
"""Words that turn a negation before them into its opposite: "not only"."""
_OF_AN_EFFECT = frozenset(("fail", "failed", "unrelated", "none"))
"""Negations of what is said of the mention, never of what it names: "none of the patients relapsed"."""
_PREFIXES = frozenset(("non", "never"))
"""Negations of the next word alone: "non-remitting depression" is depression."""
_INFERIOR = "inferior"
"""The beginning of words that make a finding of "non-": "non-inferiority"."""
_WITHOUT = "without"
"""Cue words count it among exclusions; before a mention it negates."""


def named_places(mentions: Iterable[Mention]) -> dict[int, int]:
    """The words of a field that belong to a mention, each with the place where the longest such mention ends. A negation
    among them is part of a name ("no treatment", "non-directive") and negates nothing behind it."""
    named: dict[int, int] = {}
    for mention in mentions:
        for place in range(mention.first, mention.last):
            named[place] = max(mention.last, named.get(place, 0))
    return named


def hypothetical_clauses(text: AnnotatedText) -> frozenset[int]:
    """The clauses of the conclusions that speak of a study yet to be done: "should be studied in adolescents". Before the
    conclusions such a clause tells why this study was done."""
    return frozenset(
        text.clause_of[place]
        for place in text.cues.further_study(text.normal)
        if text.sentences[text.sentence_of[place]].role == "conclusions"
    )


def negated(text: AnnotatedText, mention: Mention, named: Mapping[int, int]) -> bool:
    """Whether the text says of the mention that it is not so. `named` is of `named_places`, for the mentions of this
    field."""
    masks, words = text.masks, text.normal.words
    clause = text.clause_of[mention.first]
    if not text.clause_masks[clause] & NEGATING:
        return False
    start, _ = text.enclosing_list(mention.first, mention.last)
    link = False  # whether a word such as "who" or "received" stands between the mention and the place
    for place in range(mention.first - 1, max(0, start - NEAR) - 1, -1):
        word, name_ends = words[place], named.get(place, mention.last)
        if text.clause_of[place] != clause or word in _AWAY or text.separator[place] in ("(", ")", "[", "]"):
            return False
        if text.separator[place] == "," and name_ends == mention.last:  # a comma that no list of names has
            return False
        if name_ends <= mention.first:  # a name before the mention: only a list goes on past it
            if link:
                return False
        elif (masks[place] & _NEGATED and word not in _OF_AN_EFFECT) or word == _WITHOUT:
            follows = words[place + 1]
            if follows in _NO_LIMIT or follows.startswith(_INFERIOR):
                return False
            if word in _PREFIXES and place + 1 < mention.first:
                return False
            return not _says_finding(text, mention, word)
        elif (masks[place] & _FINDING and word not in _LINKING) or word in _EFFECTS:
            return False
        else:
            link |= word in text.cues.auxiliaries
    return False


def _says_finding(text: AnnotatedText, mention: Mention, word: str) -> bool:
    """Whether "neither A nor B" is the subject of a finding: "neither A nor B improved"."""
    return word in ("neither", "nor") and bool(text.after(mention.last) & _FINDING)
