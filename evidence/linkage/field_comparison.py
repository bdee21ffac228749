"""Fields of two records compared: people, containers, pages, volumes, issues, DOIs.

Every field is parsed once into a comparable form, and two forms are compared with a grade. A missing field is `unknown`, which
is never taken for agreement. Databases abbreviate journals and given names, join author lists in their own ways and put values
into the wrong fields; none of that counts as a difference.

This module compares text. It may not decide what the grades mean for a pair: `same_work` does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from rapidfuzz import fuzz

from evidence import doi as dois
from evidence.linkage.title_similarity import STOP_WORDS
from evidence.plain_text import fold

Grade = Literal["same", "near", "other", "unknown"]
PeopleGrade = Literal["same", "some", "other", "unknown"]
"""`same`: the shorter list is in the longer and is no mere fraction of it; `some`: they share a name."""
PagesGrade = Literal["same", "overlap", "other", "unknown"]
DoiGrade = Literal["same", "version", "other", "unknown"]

_NOTHING = re.compile(r"(?:unknown|n/?a|none|nan|null|no authors? listed|anon(?:ymous)?|\W*)", re.IGNORECASE)


def _value(raw: str | None) -> str | None:
    """The field without outer white space; None where it is empty or a placeholder (`n/a`, `unknown`)."""
    text = (raw or "").strip()
    return None if _NOTHING.fullmatch(text) else text


# --- people ----------------------------------------------------------------------------------------------------------

_AND = re.compile(r"(?<!\s)\s++(?:and|&)\s+|;|\n", re.IGNORECASE)
_VANCOUVER = re.compile(r"[^,]+ [A-Z]{1,3}(?:, *+[^,]+ [A-Z]{1,3})+\.?")
_UNSPACED = re.compile(r"(?<=[A-ZÀ-Þ]\.)(?=[A-ZÀ-Þ][\w'’\-]+)")
_ET_AL = re.compile(r"(?<![\s,;])[\s,;]*+\b(?:et\.? al\.?|and others)\s*$", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]+(?:['’`][^\W\d_]+)*")
_TITLES = frozenset(("jr", "sr", "phd", "md"))
_MAX_PEOPLE = 40
"""People of a list that are compared; a collaboration has thousands."""
_LONGEST_LIST = 10_000
"""Characters of a list of people that are parsed; forty names have a tenth of that."""
_LONGEST_NAME = 200
_SUFFICIENT_SHARE = 0.6
"""The share of the shorter list that must be in the longer one; databases swap and misspell the rest."""


@dataclass(frozen=True, slots=True)
class Person:
    """Full names in printed order, and the initials of all names. Which one is the family name is not assumed."""

    names: tuple[str, ...]
    initials: frozenset[str]


def read_people(raw: str | None) -> tuple[Person, ...]:
    """The authors on one line, however a database joins them: `A, B and C, D`; `A B; C D`; `A B, C D`; `A. B.C. D.`."""
    return tuple(_people(raw))


def read_first_person(raw: str | None) -> Person | None:
    """The first of `read_people`; None where there is none. The others are not parsed."""
    return next(_people(raw), None)


def _people(raw: str | None) -> Iterator[Person]:
    text = _value(raw)
    if text is None:
        return
    if len(text) > _LONGEST_LIST:  # up to its last whole name
        text = re.split(r"[,;\n][^,;\n]*\Z", text[:_LONGEST_LIST], maxsplit=1)[0]
    parts = [part for part in _AND.split(_ET_AL.sub("", text)) if part.strip()]
    if len(parts) == 1:
        parts = parts[0].split(",") if _VANCOUVER.fullmatch(parts[0]) else _UNSPACED.split(parts[0])
    for part in parts[:_MAX_PEOPLE]:
        if (person := _person(part[:_LONGEST_NAME])).names:
            yield person


@lru_cache(maxsize=65536)
def _person(text: str) -> Person:
    """Capitals on their own (`JC`, `J.-C.`) are initials, unless the whole name is in capitals."""
    family, comma, _ = text.partition(",")
    shouted = text.upper() == text
    names, initials = [], []
    for word in _WORD.findall(text):
        folded = "".join(fold(word).split())
        if not folded or folded in _TITLES:
            continue
        if len(folded) > 1 and not (word.isupper() and len(word) <= 3 and not shouted):
            names.append(folded)
            initials.append(folded[0])
        else:
            initials += folded
    if comma:
        names.append("".join(fold(family).split()))
    return Person(tuple(dict.fromkeys(filter(None, names))) or tuple(initials[:1]), frozenset(initials))


def compare_people(first: Sequence[Person], second: Sequence[Person]) -> PeopleGrade:
    """Two lists of authors compared. A list may be cut short, have another order, or have a name split in the wrong place."""
    if not first or not second:
        return "unknown"
    if first == second:
        return "same"
    short, long = sorted((first, second), key=len)
    found = sum(any(_same_person(one, two) for two in long) for one in short)
    if not found:
        shared = {name for person in first for name in person.names} & {
            name for person in second for name in person.names
        }
        return "some" if shared or sum(map(_swapped, first, second)) >= _SUFFICIENT_SHARE * len(short) else "other"
    share = found / len(short)
    fraction = len(short) < 3 and len(short) * 2 <= len(long)
    if share < _SUFFICIENT_SHARE or fraction or not (_same_person(first[0], second[0]) or share >= 0.75):
        return "some"
    return "same"


@lru_cache(maxsize=65536)
def _same_person(one: Person, two: Person) -> bool:
    """Whether they have a name in common, or nearly, and no contradicting initial (`Hall, Laura` and `Hall, Gillian`)."""
    shared = set(one.names) & set(two.names)
    if not shared:
        near = any(fuzz.ratio(a, b) >= 80 for a in one.names for b in two.names if min(len(a), len(b)) > 3)
        if not near and "".join(sorted(one.names)) != "".join(sorted(two.names)):
            return False
        return bool(one.initials & two.initials)
    known = {name[0] for name in shared}
    rest_one, rest_two = one.initials - known, two.initials - known
    return not rest_one or not rest_two or bool(rest_one & two.initials) or bool(rest_two & one.initials)


def _swapped(one: Person, two: Person) -> bool:
    """Whether family name and initials may be swapped (`Kneese, T.` and `Tamara, K.`): both have the same initials."""
    return min(len(one.initials), len(two.initials)) > 1 and (
        one.initials <= two.initials or two.initials <= one.initials
    )


# --- containers ------------------------------------------------------------------------------------------------------

_NEGLIGIBLE = STOP_WORDS | {"proceedings", "proc", "annual"}
_LONGEST_CONTAINER = 1000
"""Characters of a container that are compared; no name is longer."""
_REMARK = re.compile(r"\([^)]*\)|\[[^\]]*\]")
_PARTS = re.compile(r"\s*(?:\bConference:|[:=;.])\s*")
_YEAR_OR_ORDINAL = re.compile(r"\d+(?=st|nd|rd|th)|(?:19|20)\d\d$")
_ISSN = re.compile(r"\b\d{4}-?\d{3}[\dXx]\b")


@dataclass(frozen=True, slots=True)
class Container:
    """A container's names, whole and in parts, without remarks in brackets; the years or ordinals of a congress; ISSNs."""

    names: tuple[tuple[str, ...], ...]
    counted: frozenset[str]
    issns: frozenset[str]


def read_container(raw: str | None, numbers: str | None = None) -> Container:
    """A journal, book or congress as printed. `numbers` is any text with its ISSNs."""
    names, counted = _names(_value(raw[:_LONGEST_CONTAINER] if raw else None))
    issns = frozenset(found.replace("-", "").upper() for found in _ISSN.findall(numbers)) if numbers else frozenset()
    return Container(names, counted, issns)


@lru_cache(maxsize=16384)
def _names(text: str | None) -> tuple[tuple[tuple[str, ...], ...], frozenset[str]]:
    if text is None:
        return (), frozenset()
    plain = _REMARK.sub(" ", text)
    names = [plain, *(part for part in (*_PARTS.split(plain), *_REMARK.findall(text)) if len(part) > 3)]
    split = [tuple(word for word in fold(name).split() if word not in _NEGLIGIBLE) for name in names]
    counted = (match.group() for word in split[0] if (match := _YEAR_OR_ORDINAL.match(word)))
    bare = (tuple(word for word in name if not word[0].isdigit()) for name in split)
    return tuple(dict.fromkeys(name for name in bare if name)), frozenset(counted)


def compare_containers(first: Container, second: Container) -> Grade:
    """`same` when they share an ISSN, or one name of each is the other, its abbreviation or its acronym; `near` when the
    names are alike or one begins with the other."""
    if first.issns & second.issns:
        return "same"
    if not first.names or not second.names:
        return "unknown"
    if first.counted and second.counted and not first.counted & second.counted:
        return "other"  # another year's congress
    return _compare_names(first.names, second.names)


@lru_cache(maxsize=65536)
def _compare_names(first: tuple[tuple[str, ...], ...], second: tuple[tuple[str, ...], ...]) -> Grade:
    if any(_same_name(one, two) for one in first for two in second):
        return "same"
    one, two = sorted((first[0], second[0]), key=len)
    likeness = fuzz.token_sort_ratio(" ".join(one), " ".join(two))
    if likeness >= 90:
        return "same"
    return "near" if likeness >= 85 or (len(one) > 1 and all(map(_abbreviates, one, two))) else "other"


def _same_name(one: tuple[str, ...], two: tuple[str, ...]) -> bool:
    if one == two:
        return True
    short, long = sorted((one, two), key=len)
    if len(short) == 1 and len(long) > 1:
        return _acronym(short[0], long)
    if len(short) == len(long):
        return all(map(_abbreviates, short, long))
    rest = iter(long)
    return len(short) > 2 and all(any(_abbreviates(word, other) for other in rest) for word in short)


@lru_cache(maxsize=65536)
def _abbreviates(one: str, two: str) -> bool:
    """Whether one abbreviates the other (`natl` for `national`): the same first letter and the other letters in order."""
    short, long = sorted((one, two), key=len)
    if long.startswith(short):
        return True
    if short[0] != long[0] or len(short) < 3:
        return fuzz.ratio(one, two) >= 85
    letters = iter(long)
    return all(char in letters for char in short)


def _acronym(short: str, words: Sequence[str]) -> bool:
    """Whether `short` consists of the beginnings of all the words, in order (`jama`, `plos`)."""
    reached = {0}
    for word in words:
        begins = [word[:size] for size in range(1, min(len(word), 3) + 1)]
        reached = {at + len(begin) for at in reached for begin in begins if short.startswith(begin, at)}
    return len(short) in reached


# --- pages, volumes, issues ------------------------------------------------------------------------------------------

_PAGES = re.compile(
    r"\W*(?:pp?\.? *|art(?:icle)?\.? (?:no\.? |number )?)?([a-z]{0,4})\.? ?0*(\d{1,9})[a-z]?"
    r"(?: *[-–—‐−]+ *[a-z]{0,4}0*(\d{1,9})[a-z]?)?(?!\w|-[a-z]{3}|\d* ?pp?\b)",
    re.IGNORECASE,
)
_MONTH = re.compile(r"\W*(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)", re.IGNORECASE)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MAX_ISSUES = 60
"""No journal has more issues a year. A larger number is counted through the years, or is a database's own."""


@dataclass(frozen=True, slots=True)
class Pages:
    """The first page as a number, the letters before it (`s`, `e`), and the last page where a range is printed."""

    letters: str
    first: int
    last: int | None

    @property
    def span(self) -> int:
        """The number of pages in the range; 1 for a single page."""
        return max(1, (self.last or self.first) - self.first + 1)


def read_pages(raw: str | None) -> Pages | None:
    """`1134-47` → 1134 to 1147; `S12`, `e123` keep their letter; None for what is not a page (`t-8`, `215 p`, `01-Jun`).

    Not the reader of `page_ranges`: that one keeps what a publisher deposited and refuses what is not plainly pages. This one
    reads the first number that any database puts there, also before remarks (`A540 [Poster 909]`, `44-+`), because two records
    that begin on the same page are worth comparing.
    """
    if raw is None or not (match := _PAGES.match(raw)):
        return None
    letters, first, last = match.groups()
    if last and len(last) < len(first):
        last = first[: len(first) - len(last)] + last
    return Pages(letters.lower(), int(first), int(last) if last and last != first else None)


def compare_pages(first: Pages | None, second: Pages | None) -> PagesGrade:
    """Pages compared. Print pages and an online article number are never compared: one article may have both."""
    if first is None or second is None:
        return "unknown"
    if first.first == second.first and (first.letters == second.letters or not (first.letters and second.letters)):
        return "same"
    if first.letters != second.letters:
        return "unknown"
    if first.last is not None and first.last == second.last:
        return "overlap"
    ends = [(each.first, each.first + each.span - 1) for each in (first, second)]
    return "other" if ends[0][0] > ends[1][1] or ends[1][0] > ends[0][1] else "overlap"


def read_number(raw: str | None) -> str | None:
    """The first number of a volume or issue (`4 (1)` → `4`, `Suppl. 1` → `s1`); None without one (`Jul`)."""
    if raw is None or not (digits := re.search(r"\d{1,9}", raw)):
        return None
    return ("s" if raw.strip()[0] in "sS" else "") + (digits.group().lstrip("0") or "0")


def read_issue(raw: str | None) -> str | None:
    """As `read_number`; a month becomes `m5`, because monthly journals are numbered by it."""
    month = _MONTH.match(raw or "")
    return f"m{_MONTHS.index(month.group(1).lower()) + 1}" if month else read_number(raw)


def compare_numbers(first: str | None, second: str | None) -> Grade:
    """Volumes compared."""
    if first is None or second is None:
        return "unknown"
    return "same" if first == second else "other"


def compare_issues(first: str | None, second: str | None) -> Grade:
    """Issues compared. They contradict only where both can be issues, or supplements, of one year."""
    if first is None or second is None:
        return "unknown"
    if first.removeprefix("m") == second.removeprefix("m"):
        return "same"
    counted_apart = "m" in first + second or first.startswith("s") != second.startswith("s")
    if counted_apart or max(int(each.lstrip("s")) for each in (first, second)) > _MAX_ISSUES:
        return "unknown"
    return "other"


# --- DOIs ------------------------------------------------------------------------------------------------------------

_VERSION = re.compile(r"(?:\.pub|[-./_]v)(\d{1,4})$|^(?=10\.12688/).*(?<=\.)(\d{1,4})$")
"""Cochrane's `.pub3`, `.v2`, `/v2`, `_v2`, `-v2` of preprints, and the last number of an F1000 platform's DOI."""
_COCHRANE = "10.1002/14651858."


def read_doi(raw: str | None) -> str | None:
    """The DOI in canonical form, with a double slash made single; None when the field is not a DOI."""
    found = dois.parse(_value(raw))
    return found.replace("//", "/") if found else None


def doi_version(found: str | None) -> int:
    """The version number at the end of a DOI; 0 without one."""
    match = _VERSION.search(found or "")
    return int(match.group(1) or match.group(2)) if match else 0


def compare_dois(first: str | None, second: str | None) -> DoiGrade:
    """DOIs compared: `version` when they differ only in a version number at the end.

    A Cochrane DOI without `.pub` is often the protocol, another document than the review: `other`.
    """
    if first is None or second is None:
        return "unknown"
    if first == second:
        return "same"
    protocol = first.startswith(_COCHRANE) and 0 in {doi_version(first), doi_version(second)}
    return "version" if doi_without_version(first) == doi_without_version(second) and not protocol else "other"


def doi_without_version(found: str) -> str:
    """The DOI without its version number: the same for all versions of a document."""
    match = _VERSION.search(found)
    return found[: match.start(1) if match.group(1) else match.start(2)].rstrip("./_-vpub") if match else found
