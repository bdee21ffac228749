"""The words of a reference on one line: what a line break stood for.

A break is a blank, nothing (inside a DOI, a URL, a range of pages or a Chinese sentence), or a hyphenation, whose hyphen goes. It
looks at the two words at the break and at the words of the whole text, and may not change anything else.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator

_INVISIBLE = re.compile("[\u00ad\u200b\u2060\ufeff]")
_SOFT = "\u00ad"
_HYPHEN = "-\u2010"
_ADDRESS = re.compile(r"https?:/|www\.|\bdoi\.org|(?<![\d.])10\.\d{4,9}/", re.IGNORECASE)
_OPEN_ADDRESS = re.compile(r"https?:/{0,2}|(?<![\d.])10\.\d{0,9}", re.IGNORECASE)
_GOES_ON = re.compile(
    r"[\w(][\w.()\-:;/%<>+]*\d[\w.()\-:;/%<>+]*|[a-z0-9%._~-]+/[\w./%~?=&#-]*|[a-z]+\.(?:html?|pdf|php|aspx?)\W?"
    r"|\d{1,3}[a-z]{1,2}\W?|[a-z]{3,}\.",
    re.ASCII,
)
_RESUMED = re.compile(r"[./_\-=?&#%][^\W_]|\d{5,}\W?\Z")
_SHORT_NUMBER = re.compile(r"[1-9]\d?\W*")
_NUMBER_ALONE = re.compile(r"\d+\.")
_YEAR_ALONE = re.compile(r"\(?(?:19|20)\d\d[a-z]?[.,;:)]*")
_RANGE = re.compile(r"\d[-–—‐−]\Z")
_WORD = re.compile(r"[^\W\d_]+(?:[-‐][^\W\d_]+)*")
_PART = 200
"""Characters of a broken word that are looked at."""
_CJK = re.compile("[\u3000-\u30ff\u3400-\u9fff\uff00-\uffef]")
_KEEPS_ITS_HYPHEN = frozenset({
    "self", "non", "long", "short", "well", "cross", "follow", "post", "pre", "co", "high", "low", "evidence",
    "community", "school", "web", "internet", "family", "child", "patient", "case", "problem", "double", "single",
    "one", "two", "three", "randomized", "randomised", "meta", "inter", "full", "half", "time", "home", "group",
    "sub", "placebo", "waiting", "trauma", "treatment", "risk", "age", "sex", "gender", "anti", "quasi", "multi",
    "so", "life", "care", "health", "e",
})  # fmt: skip
"""First parts of compounds that are printed with a hyphen wherever they stand, unless the text itself shows otherwise."""


def words_of(lines: Iterable[str]) -> frozenset[str]:
    """The words that stand unbroken in a text, in lower case, compounds whole."""
    return frozenset(word for line in lines for word in _WORD.findall(line.lower()))


def joined(lines: Iterable[str], words: Container[str]) -> str:
    """The lines as one; `words` are those of the whole text."""
    return " ".join(_INVISIBLE.sub("", "".join(_parts(lines, words))).split())


def _parts(lines: Iterable[str], words: Container[str]) -> Iterator[str]:
    before = last = ""
    for line in lines:
        line = " ".join(line.split())
        if not line:
            continue
        if before:
            right = line.partition(" ")[0]
            cut, between = (0, "") if right == line and ends_address(last, right) else _break(last, right, words)
            yield before[: len(before) - cut]
            yield between
            if between or " " in line:
                last = ""
            last = last[: len(last) - cut]
        # An address may be broken more than once.
        before, last = line, (last + line.rpartition(" ")[2])[-_PART:]
    yield before


def _break(left: str, right: str, words: Container[str]) -> tuple[int, str]:
    """How many characters go from the end of the word before a break, and what stands instead of the break."""
    last = left[-1]
    if last == _SOFT:
        return 1, ""
    left, right = left[-_PART:], right[:_PART]
    if in_address(left, right) or (_RANGE.search(left) and right[0].isdigit()):
        return 0, ""
    if last in _HYPHEN and len(left) > 1 and left[-2].isalpha() and right[0].isalpha():
        return (1 if right[0].islower() and _is_hyphenation(left[:-1], right, words) else 0), ""
    if last in _HYPHEN + "–" and len(left) > 1 and left[-2].isalnum() and right[0].isalnum():
        return 0, ""
    if (last == "/" and len(left) > 1 and not _ADDRESS.search(left)) or (_CJK.match(last) and _CJK.match(right)):
        return 0, ""
    return 0, " "


def is_inside_word(left: str, right: str) -> bool:
    """Whether a line break between these two words is inside a word or a range of pages."""
    if left[-1] not in "-‐–\u00ad" or len(left) < 2:
        return False
    return (left[-2].isalpha() and right[0].islower()) or (left[-2].isdigit() and right[0].isdigit())


def ends_address(left: str, right: str) -> bool:
    """Whether a word alone in its line can be the number that a DOI or a URL ends with: `14.` after `10.7764/eure.49.148.`"""
    return left[-1:] == "." and bool(_NUMBER_ALONE.fullmatch(right[:_PART]) and _ADDRESS.search(left[-_PART:]))


def in_address(left: str, right: str) -> bool:
    """Whether a line break between these two words is inside a DOI or a URL."""
    left, right = left[-_PART:], right[:_PART]
    if _OPEN_ADDRESS.fullmatch(left):
        return right[0].isalnum() or right[0] == "/"
    found = _ADDRESS.search(left)
    if not found or (left[-1] in ")]>" and not _RESUMED.match(right)):
        return False
    if left[-1] in "/_-=?&#%:(":
        if "10." not in left and _YEAR_ALONE.fullmatch(right):
            return False
        word = right[0].isupper() and right.rstrip(".,;:)]").isalpha()
        return not word and (right[0].isalnum() or right[0] in "(<%~" or (right[0] == ":" and len(right) > 1))
    if left[-1] == ".":
        return bool(_GOES_ON.fullmatch(right)) and not right[0].isupper() and not _SHORT_NUMBER.fullmatch(right)
    return bool(_RESUMED.match(right))


def _is_hyphenation(left: str, right: str, words: Container[str]) -> bool:
    """Whether the hyphen between two parts of a word is there only because the line ended."""
    first, second = _WORD.findall(left.lower())[-1:], _WORD.match(right.lower())
    if not first or not second:
        return False
    if first[0] + second.group() in words:
        return True
    if f"{first[0]}-{second.group()}" in words:
        return False
    part = re.split("[-‐]", first[0])[-1]
    return part not in _KEEPS_ITS_HYPHEN and not (len(left) > 1 and left.isupper())
