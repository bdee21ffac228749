"""Is this record the cited work, and which of several candidates is?

The relevance score of a search is not evidence: Crossref's first hit is the wrong work for 13–23 % of real references. So each
candidate is validated field by field, as in search-based matching with validation (Tkaczyk 2018; Crossref's `crossref-matcher`):
title, first author, year, volume, issue, first page and container are each found in the printed citation, missing from it, or
contradicted by it. The result is the same work, another work, or a case for a person.

This module compares text. It may not use the network or a database, and it never accepts a candidate only because there is no
better one. It is long because the verdict weighs every comparison in it. `evaluation/citation_accuracy.py` measures it.
"""

from __future__ import annotations

import itertools
import re
from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Literal

from rapidfuzz import fuzz, process

from evidence import page_ranges
from evidence.data_model import Author, CitationError, Doi, Work
from evidence.plain_text import fold, without_accents

Field = Literal["title", "author", "year", "volume", "issue", "page", "container"]

WEIGHTS: Mapping[Field, float] = {
    "title": 0.40,
    "author": 0.16,
    "year": 0.12,
    "page": 0.12,
    "volume": 0.10,
    "container": 0.07,
    "issue": 0.03,
}
"""How much each field counts for the score, which is their weighted mean. They add up to 1."""
SILENT = 0.35
"""The grade of a field that record or citation do not have: less than agreement, more than contradiction."""

TITLE_SAME = 0.88
"""Similarity (0–1) from which a title counts as printed in the citation: allows for typing errors and line breaks."""
TITLE_EXACT = 0.97
"""Similarity from which only the spelling differs. Below, a word may differ (`electrical` and `mechanical responses`)."""
TITLE_LIKE = 0.72
"""Similarity below which the citation prints another title, or none."""
YEAR_ONE_OFF = 0.5
"""The grade of a year that is one off. It supports the match: web edition and printed issue often differ by one."""
LONG_TITLE_WORDS, LONG_TITLE_LETTERS = 4, 22
"""Two works seldom share a title of at least this length."""
TITLE_RUN = 2
"""Longer words in a row, without a mark between them, that read as a title."""
TIE = 0.04
"""Two candidates whose scores differ by less than this are ambiguous (as in Crossref's preprint matching)."""
LONGEST = 3000
"""Characters of a citation or title that are compared, because the cost grows with the square. The longest of 9,500 real
citations has 2,945."""
NEAREST = 3
"""Candidates that are shown to a person where none is accepted."""
MIN_RELEVANCE = 0.4
"""Relevance per character of the citation below which a hit other than the first is ignored (Tkaczyk 2018)."""
NOT_WORKS = frozenset(
    ["component", "journal-issue", "journal-volume", "journal", "peer-review", "book-series", "dataset", "database"]
)
"""Crossref types that are not what a reference list means when it cites a study."""

_HYPHENATED = re.compile(r"(?<=[a-z])-\s*\n\s*(?=[a-z])")
_NOISE = re.compile(
    r"https?\s?:\s?//\S+|www\.\S+|(?:doi:?\s*)?10\.\d{4,9}/\S+|\b(?:PMID|PMCID|doi)\b:?\s*(?:PMC)?\d*|arXiv:\S+"
    r"|\[(?:PubMed|CrossRef|Google Scholar|Medline|Web of Science|ISI|PMC free article)\]|[´`¨ˆ˜¸]",
    re.IGNORECASE,
)
_MARKER = re.compile(r"^\s*[\[(]?\d{1,3}[\]).]+\s+")
_PARTS = re.compile(r"[^\s\w'’\-‐‑]")
_ENDS_A_PART = frozenset('.,;()[]"“”„»«?!')
_WORD = re.compile(r"[^\W_]+")
_STATUS = re.compile(r"^\W*(?:retracted|withdrawn|removed)(?: (?:article|chapter|paper))?\W+", re.IGNORECASE)
# The same before a citation, as reference managers print it. Without capitals or punctuation it may be part of the title.
_PRINTED_STATUS = re.compile(
    r"^\W*(?:(?i:retracted|withdrawn|removed)(?: (?i:article|chapter|paper))?\s*[^\w\s]\W*"
    r"|(?:RETRACTED|WITHDRAWN|REMOVED)(?: (?:ARTICLE|CHAPTER|PAPER))?\s+)"
)
_NOTICE = re.compile(
    r"^\W*(?:(?:author|publisher)(?:'s|’s|s)? )?(correction|corrigend|errat|addend|retraction|withdrawal|repl(?:y|ies)|response"
    r"|comment|re:|letter|discussion|expression of concern|editor|book review|review of|notice)",
    re.IGNORECASE,
)
_PRINTED_NOTICE = re.compile(
    r"\b(?:correction|corrigendum|erratum|addendum|retraction|(?:reply|response|comment|commentary|correction)"
    r"(?: to| on)?|review of)(?: the)?$"
)
_YEAR = re.compile(r"(?:1[5-9]|20)\d\d[a-z]?")
_RANGE = re.compile(
    r"(?<![\w\-–])(?<!\d\.)([A-Za-z]{0,4}\d{1,6})\s?[-‐‑–—−]{1,2}\s*([A-Za-z]{0,4}\d{1,6})(?![\w\-‐‑–—−])"
)
WEB_AND_PRINT = 3
"""Years that web edition and printed issue may be apart. A greater distance is that of an old article put on the web."""
_STOP = frozenset("a an and the of for in on de la le les des du der die das und fur et y e del di to".split(" "))  # noqa: SIM905


@dataclass(frozen=True, slots=True)
class CitationComparison:
    """A citation compared with a record. `score` in 0…1; `support` and `against` are the fields that agree and contradict;
    `sentence` explains it to a person.

    `same`: the record of a DOI that the citation states may be accepted as the cited work. `other`: it is another work.
    Neither: a person must look. `errors`: what a citation of the same work prints wrongly.
    """

    score: float
    support: tuple[Field, ...]
    against: tuple[Field, ...]
    same: bool
    other: bool
    sentence: str
    errors: tuple[CitationError, ...] = ()


@dataclass(frozen=True, slots=True)
class CitationMatch:
    """The result of matching a citation: `doi` only when matched, with the `errors` of the citation. `runner_up` is the next
    best candidate, `nearest` the best few, whatever the result."""

    status: Literal["matched", "ambiguous", "none"]
    doi: Doi | None
    score: float | None
    sentence: str
    runner_up: Doi | None
    nearest: tuple[Doi, ...] = ()
    errors: tuple[CitationError, ...] = ()


@dataclass(frozen=True, slots=True)
class _Printed:
    """A parsed citation: its folded words, the offset of each in `folded`, and the punctuation before each (`parted`).

    `numbers` has each word with a digit, without leading zeros, and None for the others. `letters` are the longer words
    without a digit. `ranges` are the ranges as printed, by what they begin with. `begins` says which words begin a part.
    """

    words: tuple[str, ...]
    starts: tuple[int, ...]
    parted: tuple[str, ...]
    folded: str
    numbers: tuple[str | None, ...]
    letters: tuple[str, ...]
    ranges: Mapping[str, Sequence[str]]
    begins: tuple[bool, ...]
    _outside: dict[tuple[int, int], _Outside] = field(default_factory=dict, compare=False)

    def outside(self, span: tuple[int, int]) -> _Outside:
        """What is printed outside the words (from, to) of a title. Most candidates have none, so it is kept."""
        if (found := self._outside.get(span)) is None:
            found = self._outside[span] = _read_outside(self, *span)
        return found


@dataclass(frozen=True, slots=True)
class _Outside:
    """The words of a citation outside a title, the numbers among them, and the volume and first page as it prints them.
    `names` are the words among which authors are searched; None where there are none."""

    words: tuple[str, ...]
    numbers: tuple[str, ...]
    place: Mapping[str, str]
    names: _Names | None


@dataclass(frozen=True, slots=True)
class _Title:
    """A record's title in the citation: similarity 0…1, and the words (from, to) that it covers there."""

    likeness: float
    span: tuple[int, int]
    same: bool
    long: bool
    contradicted: bool


FieldGrade = tuple[float | None, str]
"""(1 found, 0.5 nearly found, 0 contradicted, None missing; a fragment of a sentence for a person)"""


def compare_citation(citation: str, work: Work, *, structured: Mapping[str, str] | None = None) -> CitationComparison:
    """Compare a printed citation with the record of the DOI that it states, or that it may mean.

    `structured` has the fields of a deposited reference under Crossref's names (`article-title`, `first-page`, …). They are
    compared in addition to `citation`, which may then be empty.
    """
    return _compare(_parse(citation, structured or {}), work)[0]


def match_citation(citation: str, candidates: Sequence[tuple[Work, float | None]]) -> CitationMatch:
    """The cited work among search results (best first, each with the server's relevance score where there is one).

    Every candidate is validated, whatever its rank. A doubtful one of low relevance is not shown to a person.
    """
    printed = _parse(citation, {})
    judged: list[tuple[CitationComparison, Work, bool]] = []
    for rank, (work, relevance) in enumerate(candidates):
        if work.kind in NOT_WORKS:
            continue
        agreement, certain = _compare(printed, work)
        noise = rank and relevance is not None and relevance / max(len(citation), 1) < MIN_RELEVANCE
        if certain or not noise:
            judged.append((agreement, work, certain))
    judged.sort(key=lambda each: (each[0].same, each[0].score), reverse=True)
    if not judged:
        return CitationMatch("none", None, None, "The search found no work like it.", None)
    best, work, certain = judged[0]
    runner_up = judged[1][1].doi if len(judged) > 1 else None
    nearest = tuple(each[1].doi for each in judged if each[0].same or _plausible(each[0]))[:NEAREST]
    if certain:
        rival = next((each for each in judged[1:] if not each[0].other and best.score - each[0].score < TIE), None)
        if rival is None:
            return CitationMatch("matched", work.doi, best.score, best.sentence, runner_up, nearest, best.errors)
        sentence = f"Both {work.doi} and {rival[1].doi} agree with it; which one is meant needs a person."
        return CitationMatch("ambiguous", None, best.score, sentence, rival[1].doi, nearest)
    if best.other or not _plausible(best):
        sentence = f"The best candidate, {work.doi}, is another work. {best.sentence}"
        return CitationMatch("none", None, best.score, sentence, work.doi, nearest)
    return CitationMatch("ambiguous", None, best.score, f"Perhaps {work.doi}. {best.sentence}", work.doi, nearest)


def _parse(citation: str, fields: Mapping[str, str]) -> _Printed:
    """The citation without identifiers, links and hyphenation. The fields of a structured reference are joined to it."""
    if fields:
        order = ("author", "year", "article-title", "volume-title", "journal-title", "volume", "issue", "first-page")
        citation = ". ".join(filter(None, (citation, *(fields.get(key) for key in order))))
    text = _NOISE.sub(" ", _HYPHENATED.sub("", citation[:LONGEST]))
    text = _PRINTED_STATUS.sub("", _MARKER.sub("", text))
    ranges: dict[str, list[str]] = {}
    for found in _RANGE.finditer(text):
        ranges.setdefault(_number(found.group(1).lower()), []).append(" ".join(found.group().split()))
    text = without_accents(text)
    words, starts, parted = [], [], []
    end = length = 0
    for match in _WORD.finditer(text):
        words.append(match.group())
        starts.append(length)
        parted.append("".join(_PARTS.findall(text, end, match.start())) if end else "^")
        length += len(match.group()) + 1
        end = match.end()
    numbers = tuple(_number(word) if any(map(str.isdigit, word)) else None for word in words)
    letters = tuple(word for word, number in zip(words, numbers, strict=True) if number is None and len(word) > 3)
    begins = tuple(bool(set(mark) & _ENDS_A_PART) for mark in parted)
    return _Printed(tuple(words), tuple(starts), tuple(parted), " ".join(words), numbers, letters, ranges, begins)


def _compare(printed: _Printed, work: Work) -> tuple[CitationComparison, bool]:
    """The comparison, and whether it is certain enough to accept a record that only a search found."""
    title = _title(printed, work)
    first, last = title.span
    outside = printed.outside(title.span)
    numbers = list(outside.numbers)
    grades: dict[Field, FieldGrade] = {
        "title": _title_grade(title, work),
        "author": _author(outside.names, title, work),
    }
    grades |= _numbers(numbers, work, outside.place.values())
    grades["container"] = _container(printed.words[last:] or printed.words[:first], work.container)
    score = sum(WEIGHTS[name] * (SILENT if grade is None else grade) for name, (grade, _) in grades.items())
    support = tuple(name for name, (grade, _) in grades.items() if grade is not None and grade >= 0.5)
    against = tuple(name for name, (grade, _) in grades.items() if grade == 0)
    agrees = _same(title, support, against) and _may_be_its_title(printed, title, work)
    same = agrees or _same_with_errors(title, support)
    other = not same and _other(printed, title, support, against, work)
    errors: tuple[CitationError, ...] = ()
    if same:
        errors = (*_errors(printed, title, outside, against, work), *_close_errors(printed, grades, outside, work))
    sentence = _sentence(grades, same, other)
    agreement = CitationComparison(round(score, 3), support, against, same, other, sentence, errors)
    unplaced = work.kind == "posted-content" and sum(not _YEAR.fullmatch(number) for number in numbers) >= 2
    return agreement, agrees and not unplaced and _enough(title, agreement, grades, work)


def _same(title: _Title, support: tuple[Field, ...], against: tuple[Field, ...]) -> bool:
    """Whether the record agrees well enough to accept a DOI that the citation states."""
    found = set(support) - {"title", "issue"}
    if title.contradicted:
        return False
    if title.same and title.long and (title.likeness >= TITLE_EXACT or not against):
        if against:
            return len(against) == 1 and len(found) >= 3 and bool({"volume", "page"} & found)
        return bool(found) or title.likeness >= TITLE_EXACT
    if title.same:
        return len(found) >= (2 if "author" in found else 3) and not against
    # Citations in physics and chemistry have no title. Where one is printed and differs, volume and page must agree.
    placed = {"volume", "page"} <= found and bool({"author", "container", "year"} & found)
    return placed and len(found) >= (3 if title.likeness >= TITLE_LIKE else 4) and not set(against) - {"title"}


def _same_with_errors(title: _Title, support: tuple[Field, ...]) -> bool:
    """Whether title and first author alone identify the work whose DOI the citation states. What else it prints may be wrong.

    Not enough for a record that a search found: an abstract of a congress and an article may share both.
    """
    return (
        title.same and title.long and title.likeness >= TITLE_EXACT and not title.contradicted and "author" in support
    )


def _read_outside(printed: _Printed, first: int, last: int) -> _Outside:
    words = printed.words[:first] + printed.words[last:]
    numbers = (number for number in printed.numbers[:first] + printed.numbers[last:] if number is not None)
    place = _printed_place(words, printed.parted[:first] + printed.parted[last:])
    zone = (printed.words[:first] if last else printed.words) or printed.words[last:]
    names = [word for word in zone if not word.isdigit() and len(word) > 1]
    return _Outside(words, tuple(numbers), place, _Names(names) if names else None)


def _may_be_its_title(printed: _Printed, title: _Title, work: Work) -> bool:
    """Whether the citation prints this title, none, or one with other words that place and author outweigh."""
    if title.same:
        return True
    # A record whose title ends at the first markup has the beginning of the printed one, word for word.
    another = title.likeness < TITLE_SAME and _prints_another(printed, title, work)
    return not (another or _prints_a_title(printed, work)) or (not another and _telling(title, work))


def _errors(
    printed: _Printed, title: _Title, outside: _Outside, against: tuple[Field, ...], work: Work
) -> tuple[CitationError, ...]:
    """What the citation prints in the place of each field that contradicts the record. The title is judged as a whole, and the
    container is never contradicted, because nobody lists all abbreviations."""
    before_title = printed.words[: title.span[0] or len(printed.words)]
    printed_author = next((word for word in before_title if len(word) > 1), None)
    years = _years(outside.words, outside.place.values())
    people = [author for author in work.authors if author.role == "author"] or list(work.authors)
    given: Mapping[str, str | None] = {
        "author": printed_author.capitalize() if printed_author else None,
        "year": min(years, key=lambda year: abs(int(year[:4]) - (work.year or 0)), default=None),
        **outside.place,
    }
    recorded: Mapping[str, str | None] = {
        "author": _surname(people[0]) if people else None,
        "year": str(work.year),
        "volume": work.volume,
        "page": work.pages,
    }
    return tuple(CitationError(name, given.get(name), value) for name in against if (value := recorded.get(name)))


def _close_errors(
    printed: _Printed, grades: Mapping[Field, FieldGrade], outside: _Outside, work: Work
) -> Iterator[CitationError]:
    """What a citation of the work prints nearly right: a year one off in which it cannot have been published, and another last
    page. They do not speak for another work, so nothing but the list of errors knows of them."""
    if grades["year"][0] == YEAR_ONE_OFF:
        nearest, _ = _nearest_year(_years(outside.words, outside.place.values()), work)
        if not _may_be_its_year(int(nearest[:4]), work):
            yield CitationError("year", nearest, str(work.year))
    if grades["page"][0] == 1 and (given := _other_last_page(printed, work)) is not None:
        yield CitationError("page", given, work.pages or "")


def _other_last_page(printed: _Printed, work: Work) -> str | None:
    """The pages as printed, where they begin like those of the record and end elsewhere; None where either has no end.
    Abbreviated ends are completed: `1134-47` ends on page 1147."""
    recorded = page_ranges.spans(work.pages)
    ends = {_digits(span.last) for span in recorded if span.last}
    if not ends:
        return None
    given = [
        (pages, _digits(last))
        for pages in printed.ranges.get(_number(recorded[0].first.lower()), ())
        if (last := page_ranges.first_last(pages)[1])
    ]
    return given[0][0] if given and all(last not in ends for _, last in given) else None


def _digits(page: str) -> str:
    """The number of a page: `S20` may be printed as `20`, and `240.e2` as `240`."""
    found = re.search(r"\d+", page)
    return found.group().lstrip("0") if found else page


def _printed_place(words: Sequence[str], marks: Sequence[str]) -> dict[str, str]:
    """Volume and first page as a citation prints them: `99:496-7`, `68(5), 526–535`, `vol. 68, pp. 526`. Only what is certain."""
    place: dict[str, str] = {}
    for number, word in enumerate(words):
        before = words[number - 1] if number else ""
        if before in {"vol", "volume"}:
            place.setdefault("volume", word)
        elif before in {"p", "pp", "page", "pages"}:
            place.setdefault("page", word)
    years = sum(1 for word in words if _YEAR.fullmatch(word))
    for number, word in enumerate(words):
        following = number + 1
        if following < len(words) and marks[following] == "(" and words[following][:1].isdigit():
            following += 1  # the issue
        if following >= len(words) or not (word[-1:].isdigit() and words[following][-1:].isdigit()):
            continue
        mark = marks[following]
        if ":" in mark or ("," in mark and (years > 1 or not _YEAR.fullmatch(word))):
            place.setdefault("volume", word)
            place.setdefault("page", words[following])
            break
    return place


def _other(
    printed: _Printed, title: _Title, support: tuple[Field, ...], against: tuple[Field, ...], work: Work
) -> bool:
    """Whether the record is clearly not the cited work."""
    found = set(support) - {"title", "issue", "container"}
    if title.contradicted or title.same:
        return len(against) >= 2 and not found - {"year"}
    if title.likeness >= TITLE_LIKE:
        return len(found) < 2 and ("author" in against or len(against) >= 2)
    if _prints_a_title(printed, work) or _prints_another(printed, title, work):
        return not {"volume", "page"} <= found or "author" in against
    return len(set(support) - {"title", "issue"}) < 2 or "author" in against


def _telling(title: _Title, work: Work) -> bool:
    """Whether place and author may outweigh a title that is printed with other words (a damaged deposit).

    Only with a page number of three digits or with a letter: small numbers occur in many titles.
    """
    return title.likeness >= TITLE_LIKE or bool(re.match(r"\W*(?:[A-Za-z]+\d|\d{3})", work.pages or ""))


def _prints_another(printed: _Printed, title: _Title, work: Work) -> bool:
    """Whether a stretch of the citation between two marks reads as a title: several longer words that are neither a name nor
    the container, nor in the place of the record's title. An author list has a mark after every name."""
    names = " ".join(filter(None, (work.container, *map(_surname, work.authors))))
    known = tuple(fold(names).split())
    first, last = title.span
    run = 0
    for at, (word, number, begins) in enumerate(zip(printed.words, printed.numbers, printed.begins, strict=True)):
        if number or begins or first <= at < last:
            run = 0
        if first <= at < last:
            continue
        if number is None and len(word) > 3 and not any(name.startswith(word) for name in known):
            run += 1
        if run >= TITLE_RUN:
            return True
    return False


def _prints_a_title(printed: _Printed, work: Work) -> bool:
    """Whether the citation has enough words for a title, besides this record's authors and container."""
    known = tuple(fold(" ".join(filter(None, (work.container, *map(_surname, work.authors))))).split())
    strange = (word for word in printed.letters if not any(name.startswith(word) for name in known))
    return sum(1 for _ in itertools.islice(strange, 4)) == 4


def _enough(title: _Title, agreement: CitationComparison, grades: Mapping[Field, FieldGrade], work: Work) -> bool:
    """Whether enough fields agree, counted as Crossref's matcher does: four for an article, three for other works and for records
    with few fields."""
    held = (work.title, work.authors, work.year, work.volume, work.pages, work.container)
    full = work.kind in {None, "journal-article"} and sum(map(bool, held)) >= 5
    count = sum(1 if grades[name][0] != 0.5 and name != "issue" else 0.5 for name in agreement.support)
    return count >= (3 if not full and (title.long or not title.same) else 4)


def _plausible(agreement: CitationComparison) -> bool:
    return agreement.same or "title" in agreement.support or len(agreement.support) >= 3


def _title(printed: _Printed, work: Work) -> _Title:
    """The place of the record's title in the citation, or else of its main part before a colon."""
    whole = _without_status(work.title or "")
    best = _locate(fold(whole), printed)
    if not best.same:
        main, subtitle = _subtitled(whole)
        shorter = _locate(main, printed)
        if shorter.likeness >= max(TITLE_EXACT, best.likeness):
            # A short main part is not yet a title, and another subtitle means another work.
            same = shorter.same and shorter.long and not _other_subtitle(printed, shorter.span[1], subtitle)
            likeness = shorter.likeness if same else TITLE_SAME - 0.01
            best = replace(shorter, likeness=likeness, same=same)
    if best.likeness < TITLE_LIKE:
        return replace(best, span=(0, 0))
    if best.same and _notice_word(whole, printed, best.span[0]):
        return replace(best, contradicted=True)
    return best


@lru_cache(maxsize=4096)
def _without_status(title: str) -> str:
    return _STATUS.sub("", title[:LONGEST])


@lru_cache(maxsize=4096)
def _subtitled(title: str) -> tuple[str, str]:
    """Main title and subtitle, folded; both empty where there is no subtitle."""
    parts = re.split(r"\s*[:?!.]\s+|\s[–—-]\s", title, maxsplit=1)
    return (fold(parts[0]), fold(parts[1])) if len(parts) == 2 else ("", "")


def _other_subtitle(printed: _Printed, start: int, subtitle: str) -> bool:
    """Whether the citation continues after a colon with words other than the record's subtitle."""
    if start >= len(printed.words) or not set(printed.parted[start]) & set(":?!–—"):
        return False
    return fuzz.partial_ratio(subtitle, " ".join(printed.words[start:])[: len(subtitle) + 10]) < 100 * TITLE_LIKE


def _locate(title: str, printed: _Printed) -> _Title:
    """The best place of `title` among the citation's words, in whole words."""
    fits = bool(title) and len(title) <= len(printed.folded)
    alignment = fuzz.partial_ratio_alignment(title, printed.folded, score_cutoff=60) if fits else None
    if alignment is None:
        return _Title(0, (0, 0), False, False, False)
    first = max(0, bisect_right(printed.starts, alignment.dest_start) - 1)
    last = bisect_right(printed.starts, alignment.dest_end - 1)
    # The window has the title's length; an insertion (a hyphenated word) moves its edges by a word or so.
    spans = [
        (begin, end)
        for begin in range(max(0, first - 1), first + 2)
        for end in range(max(begin + 1, last - 1), min(last + 1, len(printed.words)) + 1)
    ]
    likeness, best = 0.0, spans[0]
    for begin, end in spans:
        found = _likeness(title, printed.words[begin:end], likeness)
        if (found, (begin, end)) > (likeness, best):
            likeness, best = found, (begin, end)
    first, last = best
    alone = bool(printed.parted[first] and (last == len(printed.words) or printed.parted[last]))
    same = likeness >= TITLE_SAME and (alone or (likeness >= TITLE_EXACT and _is_long(title)))
    contradicted = same and _ordinals(title) != _ordinals(" ".join(printed.words[first:last]))
    return _Title(likeness, (first, last), same, _is_long(title) and alone, contradicted)


def _likeness(title: str, words: Sequence[str], least: float) -> float:
    """Similarity 0…1; what is below `least` may be 0. Blanks are ignored if that helps: line breaks and hyphens leave some."""
    cutoff = 100 * least - 1e-6
    joined = fuzz.ratio(title.replace(" ", ""), "".join(words), score_cutoff=cutoff)
    return max(fuzz.ratio(title, " ".join(words), score_cutoff=cutoff), joined) / 100


def _is_long(title: str) -> bool:
    return title.count(" ") + 1 >= LONG_TITLE_WORDS and len(title) >= LONG_TITLE_LETTERS


def _ordinals(text: str) -> list[str]:
    """The numbers and Roman numerals of a title, which distinguish `Part I` from `Part II`."""
    return [word for word in text.split() if word.isdigit() or re.fullmatch(r"i{2,3}|iv|vi{0,3}|ix|x", word)]


def _notice_word(title: str, printed: _Printed, first: int) -> bool:
    """Whether one of the two, record or citation, is a notice about the other, or a reply to it.

    `first` is the index of the citation's word at which the title begins.
    """
    recorded = _NOTICE.match(title)
    if recorded:
        kind = fold(recorded.group(1))
        if " " in kind:
            return kind not in printed.folded
        return not any(word == kind or (len(kind) > 2 and word.startswith(kind)) for word in printed.words)
    before = " ".join(printed.words[max(0, first - 3) : first])
    return bool(_PRINTED_NOTICE.search(before))


def _title_grade(title: _Title, work: Work) -> FieldGrade:
    if not work.title:
        return None, "the record has no title"
    if title.contradicted:
        return 0, "the title differs in its number or is that of a notice"
    if title.same:
        return title.likeness, "the title agrees"
    if title.likeness >= TITLE_LIKE:
        return title.likeness / 2 - 0.01, "the title agrees in part"
    return 0, f"the title “{work.title[:80]}” is not in it"


def _author(names: _Names | None, title: _Title, work: Work) -> FieldGrade:
    """The record's first author, or several others, among the words outside the title."""
    people = [author for author in work.authors if author.role == "author"] or list(work.authors)
    if not people or names is None:
        return None, "no author to compare"
    if _named(people[0], names):
        return 1, f"the first author {_surname(people[0])} agrees"
    others = sum(_named(author, names) for author in people[1:8])
    if others >= 2 or (others and len(people) == 2):
        return 0.7, f"the authors agree, but not the first ({_surname(people[0])})"
    if others or (title.span[1] and not title.span[0]):
        return None, "the authors agree in part"
    return 0, f"the first author {_surname(people[0])} is not in it"


def _surname(author: Author) -> str:
    return author.name or author.family or author.given or ""


class _Names:
    """Words among which authors are searched, in the forms that `_named` needs."""

    def __init__(self, words: Sequence[str]) -> None:
        self.single = set(words)
        self.text = " ".join(words)
        self.all = (*words, *(first + second for first, second in itertools.pairwise(words)))


def _named(author: Author, names: _Names) -> bool:
    """Whether the family (or group) name is among `names`. One or two letters of a long name may be wrong."""
    parts = fold(author.name or author.family or "").split()
    if len("".join(parts)) <= 2 and author.given:  # the depositor swapped initials and family name
        parts = max(parts, fold(author.given).split(), key=lambda words: len("".join(words)))
    if not parts:
        return False
    if author.name:
        return fuzz.partial_ratio(" ".join(parts), names.text) >= 88
    family, joined = " ".join(parts), "".join(parts)
    if family in names.text and names.single.issuperset(parts):
        return True
    if len(joined) < 5:
        return joined in names.all
    return process.extractOne(joined, names.all, scorer=fuzz.ratio, score_cutoff=82) is not None


def _numbers(numbers: list[str], work: Work, place: Collection[str]) -> dict[Field, FieldGrade]:
    """Grades of page, year, volume and issue, searched among the numbers outside the title. Each number is used once and removed
    from `numbers`."""
    grades: dict[Field, FieldGrade] = {"year": _year(numbers, work, place)}
    first_page = re.match(r"\W*([A-Za-z]{0,4}\d+[A-Za-z]?)", work.pages or "")
    wanted: tuple[tuple[Field, str | None], ...] = (
        ("page", first_page.group(1) if first_page else None),
        ("volume", work.volume),
        ("issue", work.issue),
    )
    missing: list[tuple[Field, str]] = []
    for name, value in wanted:
        options = _spellings(value)
        hit = next((number for number in numbers if number in options), None)
        if not options:
            grades[name] = (None, f"the record has no {name}")
        elif hit is not None:
            numbers.remove(hit)
            grades[name] = (1, f"{name} {value} agrees")
        else:
            missing.append((name, value or ""))
    for name, value in missing:
        contradicts = name != "issue" and not all(map(_YEAR.fullmatch, numbers))
        grades[name] = (0, f"{name} {value} is not in it") if contradicts else (None, f"it prints no {name}")
    return grades


def _number(word: str) -> str:
    return word.lstrip("0") or word


@lru_cache(maxsize=4096)
def _spellings(value: str | None) -> frozenset[str]:
    """The ways in which a volume, issue or page may be printed: `S41` also as `41`, `101-B` as `101`."""
    folded = fold(value or "")
    digits = re.findall(r"\d+", folded)
    options = (folded, folded.replace(" ", ""), *digits[:1])
    return frozenset(_number(option) for option in options if any(map(str.isdigit, option)))


def _years(numbers: Sequence[str], place: Collection[str]) -> list[str]:
    """The numbers that may be the year. One in the place of volume or page counts only if there is no other."""
    years = [number for number in numbers if _YEAR.fullmatch(number)]
    for number in tuple(years):
        if number in place and len(years) > 1:
            years.remove(number)
    return years


def _year(numbers: list[str], work: Work, place: Collection[str]) -> FieldGrade:
    years = _years(numbers, place)
    if work.year is None:
        return None, "the record has no year"
    if not years:
        return None, "it prints no year"
    nearest, distance = _nearest_year(years, work)
    if distance > 1:
        return 0, f"it prints {nearest}, the record {work.year}"
    numbers.remove(nearest)
    if distance:
        return YEAR_ONE_OFF, f"the year is one off ({work.year})"
    return 1, f"the year {nearest[:4]} agrees"


def _nearest_year(years: Sequence[str], work: Work) -> tuple[str, int]:
    """The printed year that is nearest to one in which the work was published, on the web or in print, and how far off it is."""
    stated = (int(date[:4]) for date in (work.published_print, work.published_online) if date)
    first = work.year or 0
    known = {first, *(year for year in stated if abs(year - first) <= WEB_AND_PRINT)}
    distances = [(min(abs(int(year[:4]) - each) for each in known), number) for number, year in enumerate(years)]
    distance, number = min(distances)
    return years[number], distance


def _may_be_its_year(year: int, work: Work) -> bool:
    """Whether a year one off the recorded ones may be right: the next year, where the record does not say when the article was
    printed. Of what is no journal article no year is known well enough to call the one beside it wrong."""
    return work.kind != "journal-article" or (work.published_print is None and year == (work.year or 0) + 1)


def _container(rest: Sequence[str], container: str | None) -> FieldGrade:
    """The journal or book, written out or abbreviated in either of the two."""
    wanted = [word for word in fold(container or "").split() if word not in _STOP]
    words = [word for word in rest if word not in _STOP and not word.isdigit()]
    if not wanted:
        return None, "the record names no container"
    initials = "".join(word[0] for word in wanted)
    if len(initials) >= 3 and initials in words:
        return 1, f"{container} agrees"
    if len(wanted) == 1:
        agrees = any(word == wanted[0] or (len(word) >= 4 and _abbreviates(word, wanted[0])) for word in words)
        return (1, f"{container} agrees") if agrees else (None, "the container is not recognised in it")
    letter = wanted[0][0]
    for start, word in enumerate(words):
        if word[0] != letter:  # neither an abbreviation of it nor abbreviated by it
            continue
        length = _run(words[start:], wanted)
        telling = max(map(len, words[start : start + length]), default=0) >= 3
        if telling and length >= max(2, len(wanted) - (len(wanted) > 3)):
            return 1, f"{container} agrees"
    return None, "the container is not recognised in it"


def _run(words: Sequence[str], wanted: Sequence[str]) -> int:
    """The number of words from the start that abbreviate the wanted ones, or are abbreviated by them."""
    length = 0
    for word, want in zip(words, wanted, strict=False):
        if not (_abbreviates(word, want) or _abbreviates(want, word)):
            break
        length += 1
    return length


def _abbreviates(short: str, full: str) -> bool:
    """`j` for `journal`, `psychother` for `psychotherapy`, `natl` for `national`, `behav` for `behaviour`."""
    if short[0] != full[0] or len(short) > len(full):
        return False
    letters = iter(full)
    return full.startswith(short) or (len(short) >= 3 and all(letter in letters for letter in short))


def _sentence(grades: Mapping[Field, FieldGrade], same: bool, other: bool) -> str:
    """One sentence: what agrees, then what does not."""
    good = [words for grade, words in grades.values() if grade is not None and grade >= 0.5]
    bad = [words for grade, words in grades.values() if grade is not None and grade < 0.5]
    verdict = "The same work" if same else "Another work" if other else "Not certain"
    agreeing = ", ".join(good) or "nothing agrees"
    return f"{verdict}: {agreeing}{'; but ' + ', '.join(bad) if bad else ''}."
