"""Letters that every match of a phrase holds, for skipping texts that cannot match without reading them.

A text is compared as its bare letters and digits (`bare`): without accents, blanks, hyphens and punctuation. Whatever text a
phrase matches, its bare form holds one of the phrase's `Letters`. The reverse is not true: what holds them is still to be
matched. May not decide that a text matches.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from evidence.rules.phrase_matching import fold_same_length, is_case_sensitive, parse_term

_PIECES = re.compile(
    r"(?P<open>[(\[])|(?P<close>[)\]])|(?P<cut><\d+>|\{[^}]*\}\+?|\|)|(?P<word>[^\s()\[\]{}<>|]+)|\s+|."
)
_PLAIN = re.compile(r"[A-Za-z]+")
_CUT = re.compile(r"(?<=[:?!])|[^\x00-\x7f]+")
_LONG = 6
NOT_BARE = bytes(code for code in range(256) if not (chr(code).isascii() and chr(code).isalnum()))
"""Every byte that a bare text does not have."""


@dataclass(frozen=True, slots=True)
class Letters:
    """Letters and digits of ASCII, without blanks. `cased`: they stand in the text in exactly this case; else they are in lower
    case here, and in any case there."""

    text: str
    cased: bool
    word: str = ""
    """Of these, letters that stand side by side in the text."""
    before: bool = False
    """Whether other letters may stand right before the word."""
    after: bool = False
    """Whether other letters may stand right after the word."""


def bare(text: str) -> str:
    """The letters and digits of a text, without accents and anything between them; in the case they have."""
    if not text.isascii():
        text = fold_same_length(text).replace("ı", "i").replace("ſ", "s")  # `re` takes them for i and s
    return text.encode("ascii", "ignore").translate(None, NOT_BARE).decode()


def letters_of(phrases: Iterable[str]) -> frozenset[Letters] | None:
    """Letters of which the bare form of every text that one of these phrases matches holds some; None where that cannot be
    said of a phrase. ValueError for what is no phrase."""
    found: set[Letters] = set()
    for phrase in phrases:
        letters = _of_phrase(phrase)
        if letters is None:
            return None
        found |= letters
    return frozenset(found)


def _of_phrase(phrase: str) -> set[Letters] | None:
    term = parse_term(phrase)
    if not term.whole and not term.stems:  # a regular expression
        literal = bare(term.literal).lower()
        return {Letters(literal, False, _word_of(term.literal)[0].lower(), True, True)} if literal else None
    if runs := [run for run in _runs(phrase) if run.text]:
        return {max(runs, key=lambda run: (len(run.text), run.cased))}
    first = {bare(word).lower() for word in (*term.whole, *term.stems)}
    return None if "" in first else {Letters(word, False, _word_of(word)[0], True, True) for word in first}


def _runs(phrase: str) -> list[Letters]:
    """The words of a phrase that stand side by side in every match, joined: outside brackets, and cut at gaps, lists, open
    endings, letters that are not of ASCII (in a wrong encoding they look like others), and where a title may end and its
    subtitle begin, which are deposited as two texts."""
    runs: list[list[str]] = [[]]
    depth = 0
    for piece in _PIECES.finditer(phrase.strip()):
        kind, text = piece.lastgroup, piece[0]
        depth += (kind == "open") - (kind == "close")
        if kind in ("open", "close", "cut"):
            runs.append([])
        elif kind == "word" and depth == 0:
            first, *others = _CUT.split(fold_same_length(text))
            runs[-1].append(first)
            runs += [[other] for other in others]
            if text.endswith("*"):
                runs.append([])
    return [_joined(run) for run in runs if run]


def _joined(words: list[str]) -> Letters:
    cased = all(map(is_case_sensitive, words))
    text, (word, before, after) = bare("".join(words)), _word_of(" ".join(words))
    return (
        Letters(text, True, word, before, after) if cased else Letters(text.lower(), False, word.lower(), before, after)
    )


def _word_of(text: str) -> tuple[str, bool, bool]:
    """The longest run of letters of ASCII in a text, as whoever uses no accents deposits it, and whether other letters may stand
    right before and right after it: a hyphen is nothing in some texts, and an asterisk any ending. A run without is preferred."""
    folded = fold_same_length(text)
    runs = [
        (
            run[0],
            folded[max(0, run.start() - 1) : run.start()].strip() != "",
            folded[run.end() : run.end() + 1].strip() != "",
        )
        for run in _PLAIN.finditer(folded)
    ]

    def rank(run: tuple[str, bool, bool]) -> tuple[bool, int]:
        return len(run[0]) >= _LONG and not run[1] and not run[2], len(run[0])

    return max(runs, key=rank, default=("", False, False))
