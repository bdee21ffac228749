"""The sentences of an abstract and their roles: background, aim, methods, results, conclusions.

Headings decide where there are any. Sentences without one get their role from a linear model over their words, their neighbours'
words and their place, with one pass over the abstract for the best sequence (a linear-chain conditional random field). The
weights are in `weights/sentence_roles.txt`, made by `scripts/train_sentence_roles.py`; their header names the data and figures.

It knows nothing of a topic or its words, decides no tag, and may not import from another module of the rules.
Time grows in proportion to the text.
"""

from __future__ import annotations

import re
import struct
from functools import cache
from importlib.resources import files
from itertools import pairwise, repeat
from operator import add
from typing import Literal, NamedTuple

Role = Literal["background", "aim", "methods", "results", "conclusions"]
ROLES: tuple[Role, ...] = ("background", "aim", "methods", "results", "conclusions")
"""In the order of the weights."""
_BACKGROUND, _AIM, _METHODS, _RESULTS, _CONCLUSIONS = (1 << n for n in range(5))
_ANY = 31
"""Roles as a set: one bit each, in the order of `ROLES`."""


class Sentence(NamedTuple):
    """One sentence: `text[start:stop]`, in code points, without blanks around it.

    A heading belongs to the sentence that follows it. `heading` tells whether a heading decided the role.
    """

    start: int
    stop: int
    role: Role
    heading: bool


def read_sentences(abstract: str, model: Model | None = None) -> tuple[Sentence, ...]:
    """The sentences of an abstract, in order; together they hold all of the text but blanks.

    `model` is for trying other weights than the shipped ones.
    """
    spans, bodies, allowed = _parts(abstract)
    if not spans:
        return ()
    if all(roles & (roles - 1) == 0 for roles in allowed):
        found = [roles.bit_length() - 1 for roles in allowed]
    else:
        found = best_roles([abstract[start:stop] for start, stop in bodies], allowed, model or _model())
    return tuple(
        Sentence(start, stop, ROLES[role], roles != _ANY)
        for (start, stop), role, roles in zip(spans, found, allowed, strict=True)
    )


def split_sentences(text: str) -> list[tuple[int, int]]:
    """The sentences of any text as (start, stop), without blanks around them; in order, all of the text but blanks."""
    spans: list[tuple[int, int]] = []
    _split(text, 0, len(text), spans)
    return spans


def _words(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Sentences

_STOP = re.compile(r"[.!?…][.!?…]*+[\"'”’»)\]]*+|\n\s*+")
_ABBREVIATIONS = _words(
    "al approx art ca cf ch chap dept dr ed eds eg eq esp est etc fig figs hr hrs ie incl inst int jr lit max med min"
    " mr mrs ms no nos nr op p par pp prof ref refs resp rev sec sect st sr suppl tab univ viz vol vols vs v bzw ggf"
    " inkl sog vgl z.b d.h u.a z d u e.g i.e i.v p.o s.c i.m b.i.d t.i.d q.d a.m p.m n.s ph.d m.d u.s u.k"
)
_BEGINNINGS = _words(
    "a after all an although as at because both by compared conclusion conclusions data each finally findings for"
    " four from further furthermore group half however in it mean method methods most no of on one only our outcomes"
    " participants patients results secondary since six subjects ten that the their there these they this those three"
    " to treatment twelve two under using we when while with women"
)
"""Words that begin a sentence even after an abbreviation or a capital letter (`vitamin D. We …`)."""
_NEXT_WORD = re.compile(r"[\"'“‘«(\[]*+([^\W_]++)")
_BULLET = re.compile(r"(?:[-–—*•·‣▪●○◦]|\(?\d{1,2}[.)]|\(?[a-z]\))\s")


def _split(text: str, start: int, stop: int, spans: list[tuple[int, int]]) -> None:
    """Adds the sentences of `text[start:stop]` to `spans`."""
    begin = start
    for found in _STOP.finditer(text, start, stop):
        at, after = found.span()
        if text[at] in ".!?…":
            if after < stop and not _ends(text, begin, at, after, stop):
                continue
        elif not _line_ends(text, at, after, stop, found.group()):
            continue
        _add(text, begin, after, spans)
        begin = after
    _add(text, begin, stop, spans)


def _add(text: str, start: int, stop: int, spans: list[tuple[int, int]]) -> None:
    """Adds `text[start:stop]` without the blanks around it, if anything is left."""
    while start < stop and text[start].isspace():
        start += 1
    while stop > start and text[stop - 1].isspace():
        stop -= 1
    if start < stop:
        spans.append((start, stop))


def _line_ends(text: str, at: int, after: int, stop: int, gap: str) -> bool:
    """Whether a line break ends a sentence: always but where the next line goes on in lower case."""
    before = text[max(0, at - 3) : at].rstrip()
    if after >= stop or gap.count("\n") > 1 or before.endswith((".", "!", "?", ":", ";")):
        return True
    return not text[after].islower() or bool(_BULLET.match(text, after))


def _ends(text: str, begin: int, at: int, after: int, stop: int) -> bool:
    """Whether the stop `text[at:after]` ends the sentence that began at `begin`."""
    follows = text[after]
    if not follows.isspace():
        return _ends_without_blank(text, begin, at, after, stop)
    word = _NEXT_WORD.match(text, _past_blanks(text, after, stop), stop)
    if not word:
        return True
    first = word[1]
    if first[0].islower() and not any(map(str.isupper, first[:3])):
        return False
    if text[at] != "." or after - at > 1:
        return True
    before = _word_before(text, begin, at)
    if not before:
        return at > begin
    if _no_end(before, text, begin, at):
        return first.lower() in _BEGINNINGS
    return True


def _past_blanks(text: str, at: int, stop: int) -> int:
    while at < stop and text[at].isspace():
        at += 1
    return at


def _word_before(text: str, begin: int, at: int) -> str:
    """The word that ends at `at`, with the stops inside it (`i.e`); at most 12 characters are looked at."""
    least = max(begin, at - 12)
    word = text[least:at].rpartition(" ")[2]
    if word.isalnum():
        return word
    start = at
    while start > least and (text[start - 1].isalnum() or text[start - 1] == "."):
        start -= 1
    return text[start:at].lstrip(".")


def _no_end(before: str, text: str, begin: int, at: int) -> bool:
    """Whether a stop after this word seldom ends a sentence: an abbreviation, an initial, a number that counts points."""
    if before.lower() in _ABBREVIATIONS:
        return (before != "no" and before != "p") or at - 2 <= begin or text[at - 3 : at] != " no"
    if len(before) == 1 and before.isalpha():
        return True
    return before.isdigit() and len(before) <= 2 and at - len(before) <= begin + 1


def _ends_without_blank(text: str, begin: int, at: int, after: int, stop: int) -> bool:
    """Whether a blank was lost after the stop: `care.Methods`."""
    if text[at] != "." or not text[after].isupper() or at == begin:
        return False
    last = text[at - 1]
    if not (last.islower() or last.isdigit() or last in ")]%"):
        return False
    if after + 1 < stop and not (
        text[after + 1].islower() or text[after + 1] == " " or text[after : after + 4].isupper()
    ):
        return False
    before = _word_before(text, begin, at)
    return last in ")]%" or (len(before) > 2 and "." not in before.strip("0123456789."))


# Headings

_WORDS_OF_HEADINGS: dict[str, int] = {}


def _heading_words(roles: int, words: str) -> None:
    _WORDS_OF_HEADINGS.update(dict.fromkeys(words.split(), roles))


_heading_words(
    _BACKGROUND,
    "background backgrounds introduction context rationale importance funding sponsorship keywords hintergrund einleitung"
    " antecedentes introducción fundamento contexte contexto introdução contesto achtergrond",
)
_heading_words(
    _AIM,
    "objective objectives aim aims purpose purposes goal goals hypothesis hypotheses question questions ziel ziele zielsetzung"
    " fragestellung objetivo objetivos objectif objectifs propósito but obiettivo obiettivi doel",
)
_heading_words(
    _METHODS,
    "method methods methodology methodologies materials material patients patient participants participant subjects"
    " subject sample design designs setting settings intervention interventions measurement measurements measure"
    " measures instruments procedure procedures randomisation randomization exclusions inclusion analysis analyses"
    " registration approach outcome outcomes sources selection extraction collection strategy criteria methode"
    " methoden methodik método métodos participantes pacientes stichprobe patienten metodología méthode méthodes"
    " metodi probanden",
)
_heading_words(
    _RESULTS,
    "result results finding findings synthesis ergebnis ergebnisse resultate resultados résultats risultati resultaten",
)
_heading_words(
    _CONCLUSIONS,
    "conclusion conclusions discussion interpretation interpretations implication implications significance relevance limitation"
    " limitations recommendations schlussfolgerung schlussfolgerungen diskussion fazit conclusión conclusiones discusión"
    " conclusão conclusões discussão discussione considerações conclusioni conclusie summary zusammenfassung",
)
_ADJECTIVES = _words(
    "main key principal primary secondary study trial clinical statistical research data search outcome specific"
    " public health methodological major other overall trials hauptergebnisse author's authors' authors’ author’s"
    " practical additional general eligibility selection patient patients level current review"
)
"""Words that may stand before another word of a heading without a connection between them."""
_CONNECTIONS = re.compile(
    r"\s?+[/&,+]\s?+(?:(?:and|&)\s)?+|\s(?:and|und|y|et|e|en|of|of the|and the|for)\s", re.IGNORECASE
)
_SPECIAL = {
    "background data": _BACKGROUND,
    "summary of background data": _BACKGROUND,
    "data synthesis": _RESULTS,
    "measurements and main results": _RESULTS,
    "primary outcomes": _RESULTS,
    "outcomes": _RESULTS,
    "outcome": _RESULTS,
    "results and limitations": _RESULTS | _CONCLUSIONS,
    "significance of results": _CONCLUSIONS,
    "significance of the results": _CONCLUSIONS,
}
_CORE = _words(
    "background backgrounds introduction rationale result context objective objectives aim aims purpose method"
    " methods results findings conclusion conclusions discussion interpretation hintergrund einleitung ziel"
    " fragestellung zielsetzung methoden methode methodik ergebnisse schlussfolgerung schlussfolgerungen fazit"
    " diskussion introducción antecedentes introdução objetivo objetivos método métodos resultados conclusión"
    " conclusiones conclusão conclusões contexte objectif objectifs méthode méthodes résultats"
)
_CAPITALISED = re.compile(
    r"[^\W\d_a-zß-öø-ÿ]"
    r"(?:[a-zß-öø-ÿ]++|[A-ZÀ-ÖØ-Þ]+(?<=[SNDE])(?=A\s)|[A-ZÀ-ÖØ-Þ]++(?![a-zß-öø-ÿ])|[A-ZÀ-ÖØ-Þ]+(?=[A-ZÀ-ÖØ-Þ][a-zß-öø-ÿ]))"
)
_ASCII_CAPITALISED = re.compile(r"[A-Z](?:[a-z]++|[A-Z]+(?<=[SNDE])(?=A\s)|[A-Z]++(?![a-z])|[A-Z]+(?=[A-Z][a-z]))")
"""A capitalised word or one in capitals; a word glued to the next ends before it (`MethodsWe`, `METHODSWe`, `METHODSA total`).
The second is for ASCII text, and faster."""
_WORD = re.compile(r"(?:[^\W\d_a-zß-öø-ÿ]?[a-zß-öø-ÿ]++|[^\W\d_a-zß-öø-ÿ]++)(?:['’]s\b|['’](?=\s))?+")
_COLON = re.compile(r"\s?+[:：]++\s*+|\s?+[—–]\s*+|\s-{1,2}\s++|[ \t\r]{0,3}\n\s*+")
_LONE = re.compile(r"\.\s++(?=[^\W_a-z])")
_WEAK = re.compile(r"\s++(?=[\"“'‘(\[]?[^\W_a-zß-öø-ÿ])")
_ENDS_OF_SECTIONS = '.!?)]%”"'
"""What stands right before a heading where the blanks on both its sides were lost (`disorder.DesignRandomised trial.`)."""


class Heading(NamedTuple):
    """A heading: where it begins, where the text below it begins, its roles as a set, whether it needs others beside it."""

    start: int
    body: int
    roles: int
    weak: bool


def _parts(text: str) -> tuple[list[tuple[int, int]], list[tuple[int, int]], list[int]]:
    """The sentences with their headings, the same without, and the roles that the headings allow each."""
    spans: list[tuple[int, int]] = []
    bodies: list[tuple[int, int]] = []
    allowed: list[int] = []
    found = headings(text)
    at, roles = 0, _ANY
    start = -1
    for number, heading in enumerate([*found, Heading(len(text), len(text), _ANY, False)]):
        first = len(bodies)
        _split(text, at, heading.start, bodies)
        if len(bodies) > first:
            spans += bodies[first:]
            if start >= 0:
                spans[first] = (start, bodies[first][1])
            last = number == len(found) and number and roles in (_BACKGROUND, _AIM, _METHODS)
            allowed += [roles, *repeat(_ANY if last else roles, len(bodies) - first - 1)]
            start = -1
        if heading.start < len(text):
            if start < 0:
                start = heading.start
            at, roles = heading.body, heading.roles
    if start >= 0:  # a heading with nothing below it
        _split(text, start, len(text), bodies)
        allowed += repeat(roles, len(bodies) - len(spans))
        spans += bodies[len(spans) :]
    return spans, bodies, allowed


def headings(text: str) -> list[Heading]:
    """The headings, in order."""
    found: list[Heading] = []
    words = _WORDS_OF_HEADINGS
    at = 0
    for word in (_ASCII_CAPITALISED if text.isascii() else _CAPITALISED).finditer(text):
        start = word.start()
        if start < at:
            continue
        lower = word.group().lower()
        if lower in words or lower in _ADJECTIVES:
            heading = _heading_at(text, start)
            if heading:
                found.append(heading)
                at = heading.body
    if len({heading.roles for heading in found}) < 2:
        return [heading for heading in found if not heading.weak]
    return found


def _heading_at(text: str, start: int) -> Heading | None:
    """The heading that begins at `start`, if one does."""
    begins = _begins(text, start)
    capitals = text[start : start + 3].isupper()
    for stop, roles, core in reversed(_phrases(text, start, capitals)):
        if start and text[start - 1].isalpha() and not core:
            return None
        colon = _COLON.match(text, stop)
        if colon and (begins or (core and ":" in colon.group())):
            return Heading(start, colon.end(), roles, False)
        if not begins and not core:
            continue
        if begins and (lone := _LONE.match(text, stop)):
            return Heading(start, lone.end(), roles, not core)
        glued = text[stop : stop + 1].isupper() or text[stop : stop + 1].isdigit()
        if glued and core and (begins or capitals or text[start - 1].islower()):
            return Heading(start, stop, roles, False)
        if glued and begins and start and text[start - 1] in _ENDS_OF_SECTIONS:
            return Heading(start, stop, roles, True)
        gap = _WEAK.match(text, stop)
        if gap and capitals and (core or begins):
            return Heading(start, gap.end(), roles, not core)
        if gap and begins:
            return Heading(start, gap.end(), roles, True)
    return None


def _begins(text: str, start: int) -> bool:
    """Whether a sentence or a line may begin at `start`."""
    before = start
    while before and text[before - 1] in " \t\xa0[(":
        before -= 1
    return (
        not before
        or text[before - 1] in '.!?:;)]\n\r"”'
        or (text[max(0, before - 8) : before] in ("Abstract", "ABSTRACT"))
    )


def _phrases(text: str, start: int, capitals: bool) -> list[tuple[int, int, bool]]:
    """Where a heading that begins at `start` may stop, with its roles and whether it is a usual heading or of several words."""
    found: list[tuple[int, int, bool]] = []
    at, roles, adjective = start, 0, True
    for _ in range(10):
        word = _CAPITALISED.match(text, at) if at == start else _WORD.match(text, at)
        if not word:
            break
        lower = word.group().lower()
        if capitals and not word.group().isupper():
            break
        role = _WORDS_OF_HEADINGS.get(lower)
        if role is None and lower not in _ADJECTIVES and lower not in ("the", "used"):
            break
        if role:
            roles |= role
            whole = text[start : word.end()].lower()
            found.append(
                (word.end(), _SPECIAL.get(whole, roles), text[start : word.end()].lower() in _CORE or len(found) > 0)
            )
        at = word.end()
        adjective = lower in _ADJECTIVES or lower == "the"
        gap = _CONNECTIONS.match(text, at)
        if gap:
            at = gap.end()
        elif adjective and text[at : at + 1] == " ":
            at += 1
        else:
            break
    return found


# The model

_TOKEN = re.compile(r"[^\W\d_]+|\d[\d.,]*|[%=<>≤≥±]")
_ASCII_TOKEN = re.compile(r"[a-z]+|[0-9][0-9.,]*|[%=<>]")
"""The same in lower-case ASCII text, found in two thirds of the time."""
_BITS = 32
_FIELDS = 15
"""Five roles each for the sentence itself, for the one before it and for the one after it."""
_MIDDLE = sum(1 << (_BITS * n + _BITS - 1) for n in range(_FIELDS))
_UNPACK = struct.Struct(f"<{_FIELDS}I").unpack
_NOTHING = _UNPACK(_MIDDLE.to_bytes(_BITS * _FIELDS // 8, "little"))
"""The sums of a sentence without a weight."""


def tokens(sentence: str) -> list[str]:
    """The words of a sentence in lower case; every number is `0`; signs that go with numbers are words."""
    lower = sentence.lower()
    found = (_ASCII_TOKEN if lower.isascii() else _TOKEN).findall(lower)
    return ["0" if word[0].isdigit() else word for word in found]


def places(sentences: list[str], words: list[list[str]]) -> list[list[str]]:
    """What each sentence's place and length say: its number, its share of the abstract's sentences and characters, its words."""
    count = len(sentences)
    whole = sum(map(len, sentences)) or 1
    found = []
    start = 0
    size = f"@/{min(count, 20) // 2}"
    for number, sentence in enumerate(sentences):
        middle = start + len(sentence) / 2
        found.append(
            [
                f"@{10 * number // count}",
                f"@+{min(number, 5)}",
                f"@-{min(count - 1 - number, 5)}",
                f"@c{int(20 * middle / whole)}",
                f"@s{10 * start // whole}",
                f"@l{min(len(words[number]) // 5, 12)}",
                size,
            ]
        )
        start += len(sentence)
    return found


def best_path(scores: list[list[float]], moves: list[list[float]], allowed: list[int]) -> list[int]:
    """The sequence of roles with the highest sum of scores and moves among those that `allowed` (sets of roles) permits."""
    forbidden = -1e9
    into = list(zip(*moves, strict=True))
    value = [score if allowed[0] >> role & 1 else forbidden for role, score in enumerate(scores[0])]
    values = [value]
    for line, roles in zip(scores[1:], allowed[1:], strict=True):
        value = [
            max(map(add, value, into[role])) + (score if roles >> role & 1 else forbidden)
            for role, score in enumerate(line)
        ]
        values.append(value)
    path = [max(range(5), key=value.__getitem__)]
    for value in reversed(values[:-1]):  # where the best way came from is asked along the path alone
        ways = list(map(add, value, into[path[-1]]))
        path.append(ways.index(max(ways)))
    return path[::-1]


class Model(NamedTuple):
    """Weights, packed: one integer holds a word's weights for all roles and neighbours, so that one sum adds them all."""

    words: dict[str, int]
    pairs: dict[tuple[str, str], int]
    first: tuple[dict[str, int], ...]
    places: dict[str, int]
    moves: list[list[float]]


def _packed(weights: list[int], field: int = 0) -> int:
    return sum(weight << (_BITS * (field + n)) for n, weight in enumerate(weights))


@cache
def _model() -> Model:
    """The bundled weights."""
    return parse_weights(files("evidence.rules").joinpath("weights/sentence_roles.txt").read_text(encoding="utf-8"))


def parse_weights(text: str) -> Model:
    """The model of a file of weights: after lines of `# …`, a kind, a feature and five weights a line, separated by tabs."""
    words: dict[str, int] = {}
    pairs: dict[tuple[str, str], int] = {}
    first: tuple[dict[str, int], ...] = ({}, {}, {})
    place: dict[str, int] = {}
    moves: list[list[float]] = []
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        kind, feature, numbers = line.split("\t")
        weights = [int(number) for number in numbers.split(" ")]
        if kind == "2":
            left, _, right = feature.partition(" ")
            pairs[left, right] = _packed(weights)
        elif kind in "1-+":
            words[feature] = words.get(feature, 0) + _packed(weights, 5 * "1-+".index(kind))
        elif kind in "abc":
            first["abc".index(kind)][feature] = _packed(weights)
        elif kind == "@":
            place[feature] = _packed(weights)
        else:
            moves.append([float(weight) for weight in weights])
    return Model(words, pairs, first, place, moves)


def best_roles(sentences: list[str], allowed: list[int], model: Model) -> list[int]:
    """The best sequence of roles (places in `ROLES`) among those allowed (sets of bits)."""
    word_weights, pair_weights, place_weights = model.words, model.pairs, model.places
    words_known, pairs_known, places_known = word_weights.keys(), pair_weights.keys(), place_weights.keys()
    count = len(sentences)
    # A sentence weighs on its own role and on its neighbours'. Where headings decide all three it is not looked at: their
    # scores are the same for every sequence that is allowed.
    open_ = [False, *(roles & (roles - 1) != 0 for roles in allowed), False]
    weighs = list(map(any, zip(open_, open_[1:], open_[2:], strict=False)))
    words = [tokens(sentence) if is_weighed else [] for sentence, is_weighed in zip(sentences, weighs, strict=True)]
    sums = []
    for own, where, is_weighed in zip(words, places(sentences, words), weighs, strict=True):
        if not is_weighed:
            sums.append(_NOTHING)
            continue
        # Each word and pair counts once in a sentence; whole numbers add up to the same in any order.
        total = sum(map(word_weights.__getitem__, words_known & own), _MIDDLE)
        total += sum(map(pair_weights.__getitem__, pairs_known & pairwise(own)))
        total += sum(map(place_weights.__getitem__, places_known & where))
        for weights, token in zip(model.first, own, strict=False):
            total += weights.get(token, 0)
        sums.append(_UNPACK(total.to_bytes(_BITS * _FIELDS // 8, "little")))
    middle = 1 << (_BITS - 1)
    scores = []
    for number, own_sum in enumerate(sums):
        before = sums[number - 1][5:10] if number else (middle,) * 5
        after = sums[number + 1][10:15] if number + 1 < count else (middle,) * 5
        scores.append([float(a + b + c - 3 * middle) for a, b, c in zip(own_sum, before, after, strict=False)])
    return best_path(scores, model.moves, allowed)
