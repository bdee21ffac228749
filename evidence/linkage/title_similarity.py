"""Titles parsed and compared: without notes, with their numbers, and how similar two of them are.

Databases add notes to a title (`[Review] [31 refs]`, `[Erratum appears in …]`, `(vol 360, pg 542, 2009)`), drop its subtitle or
its accents, and misspell it. Notes are removed before titles are compared. Misspelt words are distinguished from other words
one by one, because similarity alone would join `therapy-sensitive` and `therapy-resistant`.

This module compares text. It may not judge records: `same_work` does.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile
from typing import Literal

from rapidfuzz import fuzz
from rapidfuzz.distance import Levenshtein

from evidence.plain_text import fold, plain_line

TitleGrade = Literal["same", "spelling", "subtitle", "shorter", "words", "other", "unknown"]
"""`spelling`: only the spelling differs; `subtitle`: one lacks the subtitle of the other; `shorter`: one is the beginning, the
end or a part of the other; `words`: similar, but a word other than a stop word differs."""

MARK = 1
"""Letters of a footnote mark that may be left at the end of a title."""
LONGEST = 1000
"""Characters of a title that are compared; no title is longer."""
LONGEST_RAW = 10_000
"""Characters of a title with markup that are parsed."""
ALIKE = 80
"""Similarity (0–100) from which two titles with different words are `words`, not `other`."""

ORDERED = 90
"""Similarity from which the same words are in nearly the same order (not `anxiety on depression` and `depression on anxiety`)."""

STOP_WORDS = frozenset((
    "a", "an", "and", "as", "at", "by", "de", "del", "der", "des", "di", "die", "du", "e", "el", "et", "for", "from", "in",
    "into", "is", "la", "le", "les", "of", "on", "or", "the", "to", "und", "van", "via", "with", "y",
))  # fmt: skip

_NEGLIGIBLE = STOP_WORDS - {"by", "from", "into", "via", "with"}
"""Words that may be missing or different in the same title. `with` and `from` may not: they change its meaning."""
_GREEK = str.maketrans(
    {"α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "κ": "kappa", "λ": "lambda", "ω": "omega"}
)
_PLACEHOLDER = re.compile(
    r"(?:unknown|untitled|n/?a|none|nan|null|no title(?: available)?|\[?not available\]?\.?|\W*)?", re.I
)
_LABELS_OF_A_JOURNAL = frozenset(("volume", "vol", "issue", "number", "no", "paper", "article"))

_NOTICE_HEADS = (
    (
        "correction",
        r"(?:(?:author|publisher|editorial) )?(?:errat(?:um|a)|corrigend(?:um|a)|corrections?)(?: notice)?(?: (?:to|for|of|in))?",
    ),
    ("retraction", r"(?:retraction|withdrawal)(?: (?:notice|note|statement))?(?: (?:to|of|for))?"),
    ("expression of concern", r"(?:editorial )?expression of concern(?: (?:to|of|for|about|regarding))?"),
    (
        "reply",
        (
            r"(?:the |in )?(?:(?:authors?|editors?) (?:s )?)?repl(?:y|ies)(?: to)?"
            r"|response to (?:the )?(?:comment|letter|editor)\w*|re"
        ),
    ),
    ("comment", r"(?:invited )?(?:comments?|commentary) (?:on|to)|discussion of|letters? to the editors?"),
    ("book review", r"book reviews?"),
)  # fmt: skip
_NOTICE_TAILS = (
    ("correction", r"errat(?:um|a)|corrigend(?:um|a)"),
    ("reply", r"(?:the )?(?:authors? (?:s )?)?(?:reply|rejoinder)|authors? (?:s )?response"),
    ("comment", r"(?:invited )?(?:comment|commentary)"),
)
"""Names of notices before the title of the work they are about, and after it, folded."""
_HEADS = tuple((name, re.compile(rf"(?:{pattern})(?= |$)")) for name, pattern in _NOTICE_HEADS)
_TAILS = tuple((name, re.compile(rf"(?<= )(?:{pattern})$")) for name, pattern in _NOTICE_TAILS)
_PRINTED_AT = re.compile(
    r"[\[(](?:retraction of )?(?:vol(?:ume)?\.? ?\w+,? (?:pgs?|pp?|pages?)\.? ?[\w\-–]+,? ?\d{0,4}"
    r"|[^()\[\]]+\(\d{4}\),? \w+(?::\w+)? ?\([^()]*\)(?:[^()]*\([^()]*\))*)[\])]\.?$",
    re.IGNORECASE,
)
"""The place of the corrected work, as Web of Science and Scopus add it to the title of a correction."""
_OWN_STATUS = re.compile(r"^\W*(?:retracted|withdrawn)(?: article| paper| chapter)?\s*[:.\-–—\]]+\s*", re.IGNORECASE)
_BRACKETED = re.compile(r"\s*[\[(](?:[^\[\]()]|\([^()]*\))*[\])]\s*\.?\s*$")
_LANGUAGE = (
    "arabic|bulgarian|chinese|croatian|czech|danish|dutch|english|finnish|french|german|greek|hebrew|hungarian|icelandic|italian"
    "|japanese|korean|lithuanian|norwegian|persian|polish|portuguese|romanian|russian|serbian|slovak|slovenian|spanish|swedish"
    "|thai|turkish|ukrainian"
)
_NOTE = re.compile(
    r"\W*(?:\[[^\W\d_]+\]|[\[(]\s*(?:"
    r"(?:see comments?|review(?: article)?|editorial|letter|comment|(?:\w+ )?abstract|corrected|original|\d+ refs?|\d"
    rf"|multiple letters|brief (?:report|communication)|(?:in )?(?:{_LANGUAGE})(?: version)?)\W*"
    r"|(?:(?:\w+ )?abstract (?:no|number)|comment in|corrected and republished|republished|summary for|retracted)\b.*))",
    re.IGNORECASE | re.DOTALL,
)
_LATER_NEWS = re.compile(
    r"\W*[\[(](?:(?:published )?(?:errat(?:um|a)|corrections?|retraction)|comment) (?:appears? )?in\b.*|\s*<original>.*",
    re.IGNORECASE | re.DOTALL,
)
"""What a database appended: a later notice, or the title in its original language."""
_ASIDE = re.compile(r"[\[(](?![IVX]+[\])])([A-Za-z]*[A-Z][A-Za-z]*[A-Z][A-Za-z]*)[\])]")
"""An abbreviation in brackets, which some databases leave out: two capitals or more, and not a Roman numeral."""
_VERSUS = re.compile(r"\bvs\b")
_AFTER_BRACKETS = re.compile(r"^\s*(\[[^\[\]]{20,}\])\.?\s*.{1,10}$", re.DOTALL)
"""A translated title in brackets; the few letters after it are a database's own."""
_CUT_OFF = re.compile(r"(?<=.{40})\s*[\[(][^\[\]()]*(?:\([^()]*)?$", re.DOTALL)
"""A remark that was cut off by a field of fixed length."""
_BREAK = re.compile(r"\s*(?::|\?|\.\s|;|\s[-–—]\s|—)")
_FORMULA = re.compile(
    r"(?:guest |from the )?editor(?:ial)?s?(?: \w+){0,2}|introduction|preface|foreword|abstracts?|(?:book|film|media) reviews?"
    r"|introduction to the (?:special|minitrack|section|issue|theme)\b.*|(?:in|about) this issue"
    r"|(?:president|chair)\w* (?:s )?(?:message|address|column)|letters?(?: to the editor)?|reply|comment(?:ary)?"
    r"|correspondence|in memoriam|obituary|announcements?|news|discussion|index|contents|table of contents|erratum"
    r"|correction|corrigendum|errata|summary|conclusions?|references|acknowledg\w+"
)
_FORMULA_WORDS = 8
"""A title that mentions an editor or editorial and has at most this many words is a formula."""

_ROMAN = {
    roman: value for value, roman in enumerate(("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x"), start=1)
}
_COUNTED = {
    word: value for value, word in enumerate(("one", "two", "three", "four", "five", "six", "seven", "eight"), start=1)
}
_COUNTING = frozenset((
    "part", "parts", "study", "phase", "trial", "chapter", "volume", "vol", "section", "report", "edition", "number", "no",
    "type", "stage",
))  # fmt: skip
_OPPOSITES = (
    ("hyper", "hypo"), ("pre", "post"), ("pre", "peri"), ("peri", "post"), ("ante", "post"), ("intra", "inter"),
    ("intra", "extra"), ("over", "under"), ("micro", "macro"), ("endo", "exo"), ("mono", "poly"), ("uni", "bi"), ("up", "down"),
    ("", "in"), ("", "un"), ("", "non"), ("", "anti"), ("", "ant"), ("", "im"), ("", "dis"), ("", "a"), ("wo", ""), ("fe", ""),
)  # fmt: skip
_SLIPS = ((5, 1), (11, 2))
"""(length of a word, letters that may differ in a misspelling of it)."""


STEM, ENDING = 6, 3
"""Two forms of one word (`effusions`, `effusing`) share at least `STEM` letters, and at most `ENDING` follow."""


@dataclass(frozen=True, slots=True)
class Title:
    """A folded title without its notes.

    `glued` is the title without blanks, `halves` are title and subtitle without blanks; `telling` are the words without stop
    words; `numbers` distinguish Part 1 from Part 2; `asides` are abbreviations in brackets (`(IPT)`); `notice` is the kind of
    notice that the title belongs to, if any; a `formula` (`Editorial`) is the title of many works.
    """

    glued: str
    halves: frozenset[str]
    words: tuple[str, ...]
    telling: frozenset[str]
    numbers: tuple[str, ...]
    asides: frozenset[str]
    notice: str | None
    formula: bool


@lru_cache(maxsize=512)  # records of one work come together, and often have one title
def read_title(raw: str | None, container: str | None = None) -> Title | None:
    """The parsed title; None when there is none, or only a placeholder or the name of its container."""
    if raw is None or _PLACEHOLDER.fullmatch(raw[:LONGEST_RAW].strip()):
        return None
    container = container[:LONGEST] if container else container
    text = _AFTER_BRACKETS.sub(
        r"\1",
        _LATER_NEWS.sub("", _OWN_STATUS.sub("", (plain_line(raw[:LONGEST_RAW]) or "")[:LONGEST].translate(_GREEK))),
    )
    while (note := _BRACKETED.search(text)) and note.start() > 0 and _NOTE.fullmatch(note.group()):
        text = text[: note.start()]
    text = _CUT_OFF.sub("", text)
    printed_at = _PRINTED_AT.search(text)
    text = text[: printed_at.start()] if printed_at else text
    words, notice = _without_notice(_VERSUS.sub("versus", fold(text)))
    folded = " ".join(words)
    bare = folded.replace(fold(container), " ") if container and fold(container) else folded
    if all(word.isdigit() or word in _LABELS_OF_A_JOURNAL for word in bare.split()):
        return None
    editorial = any(word.startswith("editor") for word in words)
    return Title(
        glued="".join(words),
        halves=frozenset("".join(fold(half).split()) for half in _BREAK.split(text, maxsplit=1)),
        words=words,
        telling=frozenset(word for word in words if word not in STOP_WORDS),
        numbers=_numbers(words),
        asides=frozenset(fold(aside) for aside in _ASIDE.findall(text)),
        notice="correction" if printed_at else notice,
        formula=bool(_FORMULA.fullmatch(folded)) or (editorial and len(words) <= _FORMULA_WORDS),
    )


def _without_notice(folded: str) -> tuple[tuple[str, ...], str | None]:
    """(words without the name of a notice, kind of notice or None). All words where fewer than two would be left."""
    for patterns, cut in ((_HEADS, re.Pattern.match), (_TAILS, re.Pattern.search)):
        for name, pattern in patterns:
            if match := cut(pattern, folded):
                rest = (folded[: match.start()] + folded[match.end() :]).split()
                return tuple(rest if len(rest) > 1 else folded.split()), name
    return tuple(folded.split()), None


_DIGITS = re.compile(r"\d+")


def _numbers(words: Sequence[str]) -> tuple[str, ...]:
    """Numbers, Roman numerals and counted parts, in order, as digits, and the letter of `part b`."""
    found: list[str] = []
    for before, word in zip(("", *words), words, strict=False):
        if not word.isalpha():
            found += _DIGITS.findall(word)
        elif word in _ROMAN and (word not in {"i", "v", "x"} or before in _COUNTING):
            found.append(str(_ROMAN[word]))
        elif word in _COUNTED and before in _COUNTING:
            found.append(str(_COUNTED[word]))
        elif len(word) == 1 and before in {"part", "study", "section"}:
            found.append(word)
    return tuple(found)


def compare_titles(first: Title | None, second: Title | None) -> TitleGrade:
    """Two titles compared, by what differs; `unknown` where one is missing."""
    if first is None or second is None:
        return "unknown"
    if first.glued == second.glued:
        return "same"
    likeness = fuzz.ratio(first.glued, second.glued)
    if likeness >= ALIKE and "".join(first.numbers) == "".join(second.numbers) and _spelled(first, second):
        return "spelling"
    short, long = sorted((first, second), key=lambda title: len(title.glued))
    if len(short.telling) > 1 and (short.glued in long.halves or long.glued[:-MARK] == short.glued):
        return "subtitle"
    if _within(short, long):
        return "shorter"
    return "words" if likeness >= ALIKE else "other"


def _within(short: Title, long: Title) -> bool:
    size = len(short.words)
    if short.words in {long.words[:size], long.words[-size:]}:
        return len(short.telling) > 1
    return len(short.telling) > 3 and short.glued in long.glued


def _spelled(first: Title, second: Title) -> bool:
    """Whether every word of one title that is not in the other is a stop word, or another spelling of a word there."""
    left, right = _only_in(first, second), _only_in(second, first)
    if not left and not right:
        return fuzz.ratio(first.glued, second.glued) >= ORDERED
    aside = (not right and set(left) <= first.asides) or (not left and set(right) <= second.asides)
    if aside or "".join(left) == "".join(right):
        return True
    for word in tuple(left):
        match = next((other for other in right if _one_word(word, other)), None)
        if match is not None:
            left.remove(word)
            right.remove(match)
    if not left and not right:
        return True
    return len(left) != len(right) and _one_word("".join(left), "".join(right))  # `micro arrays` for `microarray`


def _only_in(one: Title, other: Title) -> list[str]:
    return [word for word in (Counter(one.words) - Counter(other.words)).elements() if word not in _NEGLIGIBLE]


@lru_cache(maxsize=65536)
def _one_word(one: str, two: str) -> bool:
    """Whether the two are spellings of one word: a misspelling, a plural, British or American. Not numbers, not opposites."""
    if not one or not two or any(char.isdigit() for char in one + two) or _opposed(one, two):
        return False
    short, long = sorted((one, two), key=len)
    stem = sum(1 for _ in takewhile(lambda letters: letters[0] == letters[1], zip(one, two, strict=False)))
    if long in {short + "s", short + "es"} or (stem >= STEM and len(long) - stem <= ENDING):
        return True
    plain_one, plain_two = (word.replace("ae", "e").replace("oe", "e") for word in (one, two))
    if plain_one == plain_two:
        return True
    allowed = max((slips for length, slips in _SLIPS if len(short) >= length), default=0)
    return plain_one[0] == plain_two[0] and Levenshtein.distance(plain_one, plain_two) <= allowed


def _opposed(one: str, two: str) -> bool:
    """Whether the two are opposites: `hypertension` and `hypotension`, `men` and `women`, `treated` and `untreated`."""
    return any(
        a.startswith(left) and b.startswith(right) and a[len(left) :] == b[len(right) :]
        for left, right in _OPPOSITES
        for a, b in ((one, two), (two, one))
    )
