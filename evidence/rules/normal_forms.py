"""Words of a text → their normal forms, so that spelling, plural, hyphen and accent do not matter where words are compared.

`Normalised` is a text as a row of words, each with its offsets in the text. A normal form is no word: "diagnosis" and
"diagnoses" are both `diagnos`. The same rules are applied to texts and to the words of a taxonomy; they may not know any facet
or value.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from itertools import accumulate, count
from operator import add

from evidence.rules.phrase_matching import fold_same_length

_UNSPACED = r"\u3040-\u30ff\u3400-\u9fff"
WORD = re.compile(rf"[{_UNSPACED}]|[^\W\d_{_UNSPACED}]+|\d+")
"""A run of letters or of digits; in Chinese and Japanese every character. "PHQ9" and "PHQ-9" are both two words."""
_ASCII_WORD = re.compile(r"[A-Za-z]+|[0-9]+")
"""The same in a text of ASCII characters alone, as most are once accents are folded: found in two thirds of the time."""
_PARTS, _ASCII_PARTS = (re.compile(f"({word.pattern})") for word in (WORD, _ASCII_WORD))

_IRREGULAR = {
    "women": "woman", "men": "man", "children": "child", "wives": "wife", "husbands": "husband", "criteria": "criterion",
    "centre": "center", "centres": "center", "programme": "program", "programmes": "program", "lives": "life", "s": "s",
    "teeth": "tooth", "feet": "foot", "indices": "index", "phenomena": "phenomenon", "theses": "thes", "series": "series",
    "bias": "bias", "analyses": "analys", "crises": "cris", "judgement": "judgment", "judgements": "judgment",
    "sceptical": "skeptical", "tumour": "tumor", "tumours": "tumor", "centred": "centered", "ageing": "aging",
    "enrolment": "enrollment", "enrol": "enroll", "fulfil": "fulfill", "defence": "defens", "defences": "defens",
    "grey": "gray",
}  # fmt: skip
_SPELLING = (
    ("is", re.compile(r"is(ation|ations|e|ed|er|ers|es|ing|able)$"), r"iz\1"),
    ("ys", re.compile(r"ys(e|ed|er|es|ing)$"), r"yz\1"),
    ("our", re.compile(r"(?<=[vbnlmi])our(?=$|s$|al|ed$|ing$|abl|ful|ite|hood|ly$|er|ist)"), "or"),
    ("ll", re.compile(r"ll(?=(?:ing|ed|er|ers|or|ors)$)"), "l"),
    ("ae", re.compile(r"ae(?=[dmnst])"), "e"),
    # Not every word with these letters has another spelling: psychoeducation, coexistence.
    ("oe", re.compile(r"(?:^|(?<=o)|(?<=mph))oe(?=dem|s[ot])|(?<=^f)oe(?=t)|(?:(?<=rrh)|(?<=pn))oe(?=[ai])"), "e"),
)
"""Letters without which a word is spelt alike, what is spelt otherwise, and the American spelling."""
_POSSESSIVE = re.compile(rf"(?<=')[sS](?![^\W\d_{_UNSPACED}])")
"""The mark of a possessive, which is no word."""
_CACHED = 200_000


@lru_cache(maxsize=_CACHED)
def normal_form(word: str) -> str:
    """The normal form of one word (a run of letters or digits, accents folded): lower case, American spelling, singular.
    Joined letters, as in text copied from a PDF, count as the plain ones: `ﬁnding` is `finding`."""
    if not word.isascii():
        word = unicodedata.normalize("NFKC", word)
    lower = word.lower()
    if len(lower) < 3 or not lower.isalpha():
        return lower
    if lower in _IRREGULAR:
        return _IRREGULAR[lower]
    if lower != word and word[:-1].isupper() and word[-1] == "s":  # RCTs
        return lower[:-1]
    if len(lower) > 5:
        for letters, pattern, american in _SPELLING:
            if letters in lower:
                lower = pattern.sub(american, lower)
    return _singular(lower)


def _singular(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("sis", "ses", "zes", "xes", "ches", "shes")):
        return word[:-2]
    if len(word) > 3 and word.endswith(("se", "ze", "che")):
        return word[:-1]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def stem_forms(stem: str) -> tuple[str, ...]:
    """What the normal forms of words with this beginning (lower case, accents folded) begin with: `behaviour` → `behaviour`,
    `behavior`. The last letters of a stem decide its spelling only together with the ending that is not there."""
    forms = [stem]
    for letters, pattern, american in _SPELLING:
        if letters in stem:
            forms.append(pattern.sub(american, stem))
    if stem.endswith(("is", "ys")):
        forms.append(f"{stem[:-1]}z")
    return tuple(dict.fromkeys(forms))


def words_of(folded: str) -> list[str]:
    """The words of a folded text as they are written, marks of possessives (`s`) among them."""
    return (_ASCII_WORD if folded.isascii() else WORD).findall(folded)


def normal_line(text: str) -> str:
    """The `line` of `Normalised(text)`, in less time: without the places of the words."""
    folded = fold_same_length(text)
    first = WORD.search(folded)
    if first is None:
        return ""
    rest = _POSSESSIVE.sub("", folded[first.end() :])
    words = [first[0], *words_of(rest)]
    return f" {' '.join(map(normal_form, words))} "


class _Forms(dict[str, str]):
    """A word → its normal form, asked for in less time than `normal_form` takes to look up what it knows."""

    def __missing__(self, word: str) -> str:
        if len(self) >= _CACHED:
            self.clear()
        self[word] = form = normal_form(word)
        return form


_FORMS = _Forms()


class Normalised:
    """A text as a row of normal forms. `line` holds them with a space between any two and at both ends; word number `i` stands at
    `starts[i]` to `stops[i]` of the text, and at `places[i]` of the line (where its space begins); `word_at` leads from there
    back to `i`. `gaps[i]` is what the text has between word `i` and the next, or its end."""

    __slots__ = ("folded", "gaps", "line", "places", "starts", "stops", "text", "word_at", "words")

    def __init__(self, text: str) -> None:
        self.text = text
        self.folded = folded = fold_same_length(text)
        # One pass: the parts are, in turn, what is no word and what is one.
        parts = (_ASCII_PARTS if folded.isascii() else _PARTS).split(folded)
        ends = list(accumulate(map(len, parts)))
        words = list(map(_FORMS.__getitem__, parts[1::2]))
        self.starts, self.stops, self.gaps = ends[:-1:2], ends[1::2], parts[2::2]
        if "s" in words:
            self._drop_possessives(words)
        self.words = words
        # Before each word stand the letters of those before it, and a space for each of them.
        self.places = list(map(add, accumulate(map(len, words), initial=0), range(len(words))))
        self.line = f" {' '.join(words)} " if words else ""
        self.word_at = dict(zip(self.places, count()))

    def _drop_possessives(self, words: list[str]) -> None:
        """Drop the marks of possessives, which are no words; the places of the others stay as they are."""
        starts, stops, gaps = self.starts, self.stops, self.gaps
        # From the end, so that what is dropped moves no place that is still to be looked at.
        for place in range(len(words) - 1, 0, -1):
            if words[place] == "s" and gaps[place - 1].endswith("'"):
                gaps[place - 1] += self.folded[starts[place] : stops[place]] + gaps[place]
                del words[place], starts[place], stops[place], gaps[place]

    def phrase(self, first: int, last: int) -> str:
        """The words `first` to `last` (exclusive, at least one) with a space between them."""
        return self.line[self.places[first] + 1 : self.places[last - 1] + 1 + len(self.words[last - 1])]
