"""Are two records one work? A verdict on one pair, and the sentence that explains it to a reviewer.

The verdict is `same`, `doubtful` (a person should look), or None (two works). It rests on title, people, place in print and DOI,
and on what is impossible: a notice is not the study, Part 2 is not Part 1, two articles do not fill the same pages. The policy is
described in `duplicates`.

This module compares two records. It may not look at others, read files or store anything.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from rapidfuzz import fuzz

from evidence.linkage import field_comparison, title_similarity
from evidence.plain_text import fold

PairVerdict = Literal["same", "doubtful"]

ABSTRACT_SAME = 92
"""Similarity (0–100) from which two abstracts are the same text; copies differ in headings and copyright lines."""
ABSTRACT_LENGTH = 200
"""Characters from which an abstract is long enough to be compared."""
FILLS_PAGES = 3
"""Pages from which a range is taken by one article. Abstracts and letters share one or two pages."""
LONGEST = 60
"""Pages of an article at most; a longer range is that of a supplement, which all its abstracts share."""
TELLING, LONG = 3, 5
"""Words of a title, without stop words, from which it identifies a work together with its authors, and from which
it is unique."""
_GROUP = re.compile(
    r"\b(?:group|stud(?:y|ies)|trial|investigators?|consortium|committee|collabora\w+|network|association|society|institutes?"
    r"|organi[sz]ation|team|cent(?:re|er)|alliance|initiative|program(?:me)?)\b",
    re.IGNORECASE,
)
"""Words in the name of a group that is listed in place of its members."""
NOTICE = "notice"
"""The kind of a candidate that Crossref states to be a notice of another work, whatever its title is."""
_CONFERENCE = frozenset(("inproceedings", "proceedings-article", "conference", "conference paper"))
POSTED = frozenset(("posted-content", "preprint"))
"""Kinds of content that was posted, not published in print."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """The bibliographic fields of a record, as its source has them. `key` is unique among the candidates (a DOI, a row's id).

    `authors` on one line as given; `kind` in the words of Crossref or BibTeX, or `NOTICE`; `registered` the ISO date on
    which its DOI was registered, if known; `isbn` and `issn` any text that holds them.
    """

    key: str
    doi: str | None = None
    title: str | None = None
    authors: str | None = None
    year: str | None = None
    container: str | None = None
    volume: str | None = None
    issue: str | None = None
    pages: str | None = None
    abstract: str | None = None
    kind: str | None = None
    isbn: str | None = None
    issn: str | None = None
    registered: str | None = None


@dataclass(frozen=True, slots=True)
class ComparableRecord:
    """A candidate with its fields parsed for comparison. `own_pages`: the number of pages of an article published ahead
    of its issue, which are counted from 1."""

    source: Candidate
    doi: str | None
    title: title_similarity.Title | None
    people: tuple[field_comparison.Person, ...]
    year: int | None
    container: field_comparison.Container
    volume: str | None
    issue: str | None
    pages: field_comparison.Pages | None
    own_pages: int | None
    notice: str | None
    posted: bool
    conference: bool


@dataclass(frozen=True, slots=True)
class PlaceInPrint:
    """Year, volume and pages of a candidate, parsed. `own_pages`: as in `ComparableRecord`."""

    year: int | None
    volume: str | None
    pages: field_comparison.Pages | None
    own_pages: int | None


def place_in_print(source: Candidate) -> PlaceInPrint:
    """Where a candidate was printed, as far as it says so."""
    year, volume, pages = (
        field_comparison.read_number(source.year),
        field_comparison.read_number(source.volume),
        field_comparison.read_pages(source.pages),
    )
    own_pages = pages.last if volume is None and pages and pages.first == 1 else None
    return PlaceInPrint(
        year=int(year) if year and year.isdigit() and len(year) == 4 else None,
        volume=None if volume == year else volume,  # databases put the year where a journal has no volumes
        pages=None if own_pages else pages,
        own_pages=own_pages,
    )


def comparable_record(source: Candidate) -> ComparableRecord:
    """The candidate with its fields parsed."""
    place = place_in_print(source)
    kind = (source.kind or "").lower()
    title = title_similarity.read_title(source.title, source.container)
    return ComparableRecord(
        source=source,
        doi=field_comparison.read_doi(source.doi),
        title=title,
        people=field_comparison.read_people(source.authors),
        year=place.year,
        container=field_comparison.read_container(source.container, f"{source.issn or ''} {source.isbn or ''}"),
        volume=place.volume,
        issue=field_comparison.read_issue(source.issue),
        pages=place.pages,
        own_pages=place.own_pages,
        notice=NOTICE if kind == NOTICE else title.notice if title else None,
        posted=kind in POSTED,
        conference=kind in _CONFERENCE,
    )


class Comparison:
    """The fields of two records compared, each with a grade, and what follows from the grades."""

    def __init__(self, first: ComparableRecord, second: ComparableRecord) -> None:
        self.first, self.second = first, second
        self.title = title_similarity.compare_titles(first.title, second.title)
        self.doi = field_comparison.compare_dois(first.doi, second.doi)
        self.volume = field_comparison.compare_numbers(first.volume, second.volume)
        self.issue = field_comparison.compare_issues(first.issue, second.issue)
        self.pages = field_comparison.compare_pages(first.pages, second.pages)
        self.people = field_comparison.compare_people(first.people, second.people)
        self.container = field_comparison.compare_containers(first.container, second.container)
        self.year: field_comparison.Grade = "unknown"
        if first.year is not None and second.year is not None:
            apart = abs(first.year - second.year)
            self.year = "same" if apart == 0 else "near" if apart == 1 else "other"

    @property
    def placed(self) -> bool:
        """Volume and first page agree: except for abstracts and letters, no other article is there."""
        return self.volume == "same" and self.pages == "same"

    @property
    def elsewhere(self) -> bool:
        """Volume or pages contradict."""
        return self.volume == "other" or self.pages in {"other", "overlap"}

    @property
    def fills_pages(self) -> bool:
        """First and last page agree, in one volume (or one container and year), on enough pages for an article."""
        one, two = self.first.pages, self.second.pages
        if self.pages != "same" or not one or not two or one.last != two.last:
            return False
        where = self.volume == "same" or (self.volume == "unknown" and self.container == self.year == "same")
        return where and FILLS_PAGES <= one.span <= LONGEST

    @cached_property
    def abstract(self) -> field_comparison.Grade:
        """`same` or `unknown`, never `other`: abstracts are rewritten and translated."""
        one, two = (fold((record.source.abstract or "")[:1500]) for record in (self.first, self.second))
        if min(len(one), len(two)) < ABSTRACT_LENGTH:
            return "unknown"
        return "same" if fuzz.ratio(one, two) >= ABSTRACT_SAME else "unknown"

    @property
    def titles(self) -> tuple[title_similarity.Title, ...]:
        """Those of the two titles that could be parsed."""
        return tuple(title for title in (self.first.title, self.second.title) if title)

    @property
    def formula(self) -> bool:
        """Whether either title is one that many works have (`Editorial`)."""
        return any(title.formula for title in self.titles)

    @property
    def telling(self) -> bool:
        """Whether both titles are long enough to identify a work without its place in print."""
        return all(len(title.telling) >= TELLING for title in self.titles)

    @property
    def long(self) -> bool:
        """Whether both titles are so long that no other work has them, not even a regular column."""
        return all(len(title.telling) >= LONG for title in self.titles)


def verdict(of: Comparison) -> PairVerdict | None:
    """Whether the two records are one work: `same`, `doubtful`, or None for two works."""
    if contradiction(of):
        return None
    if of.doi == "same":
        return _one_doi(of)
    found = _by_fields(of)
    if of.doi == "version" and of.people != "other":
        return "same" if of.title in {"same", "spelling"} and of.people in {"same", "some"} else "doubtful"
    return _two_dois(of, found) if of.doi == "other" else found


def contradiction(of: Comparison) -> str | None:
    """Why the two cannot be one work, whatever else agrees (a fragment of a sentence); None when they can."""
    first, second = of.first.notice, of.second.notice
    if first != second and not (first and second and NOTICE in {first, second}):
        return f"only one of them is a {first or second}"
    if len(of.titles) < 2:
        return None
    one, two = of.titles
    if one.numbers != two.numbers and of.title == "words" and not (of.fills_pages and of.issue != "other"):
        return "their titles are numbered differently"
    return None


def _one_doi(of: Comparison) -> PairVerdict | None:
    """One DOI alone is not enough: it may be in the wrong record, or shared by the abstracts of a supplement."""
    if of.title in {"same", "spelling"} and of.telling and not of.formula:
        return "same"
    if of.title in {"same", "spelling", "subtitle", "shorter"}:
        return "same" if of.people != "other" or of.placed else "doubtful"
    if of.title == "unknown":
        return "same" if of.people == "same" and of.year != "other" else "doubtful"
    if of.people == "other":
        return None
    agreed = of.people == "same" and of.year != "other" and of.container != "other"
    return "same" if agreed and (of.fills_pages or (of.title == "words" and of.abstract == "same")) else "doubtful"


def _two_dois(of: Comparison, found: PairVerdict | None) -> PairVerdict | None:
    """Registered twice: `same` for the same place in print, or for a copy posted in a later year than the work."""
    if found == "same" and of.placed and of.container == "same" and of.issue != "other":
        return "same"
    if found and of.first.posted != of.second.posted and of.title in {"same", "spelling"} and of.people == "same":
        posted, printed = (of.first, of.second) if of.first.posted else (of.second, of.first)
        if posted.year and printed.year and posted.year > printed.year:
            return "same"
    return found and "doubtful"


def _by_fields(of: Comparison) -> PairVerdict | None:
    """The verdict without regard to DOIs."""
    if of.title in {"other", "unknown"}:
        return _without_title(of)
    if of.formula:
        exact = of.title == "same" and of.placed and of.container == "same" and of.year == "same"
        return "same" if exact and of.people != "other" and of.issue != "other" else None
    if of.title == "words":
        return _words_differ(of)
    if of.people == "other":
        return _other_people(of)
    if of.placed or of.fills_pages:
        return _placed(of)
    if of.people == "unknown":
        return _nobody(of)
    if of.title in {"subtitle", "shorter"}:
        return _shorter(of)
    return _misprint(of) if of.elsewhere else _by_place(of)


def _without_title(of: Comparison) -> PairVerdict | None:
    """Another title on the same pages by the same people: one article with a translated title, if the issue agrees too."""
    if not of.fills_pages or of.people != "same" or of.container == "other" or of.year == "other":
        return None
    agreed = of.title == "other" and of.container == "same" and of.year == "same"
    supported = of.issue == "same" or (of.issue == "unknown" and of.abstract == "same")
    return "same" if agreed and supported else "doubtful"


def _words_differ(of: Comparison) -> PairVerdict | None:
    if of.people != "same" or of.container == "other":
        return None
    if of.fills_pages and of.year in {"same", "near"} and of.issue != "other":
        return "same"
    return "doubtful" if of.placed else None


def _other_people(of: Comparison) -> PairVerdict | None:
    """Other names: a group in one record and its members in the other. Otherwise letters to the editor under one title."""
    if not of.placed or of.container == "other":
        return None
    group, other = (bool(_GROUP.search(record.source.authors or "")) for record in (of.first, of.second))
    supported = (of.fills_pages and group != other) or of.abstract == "same"
    agreed = of.title in {"same", "spelling"} and of.container == of.year == "same"
    return "same" if agreed and supported else "doubtful"


def _placed(of: Comparison) -> PairVerdict:
    """Title, volume and page agree, and no other people are named."""
    if of.title == "shorter" and not (of.fills_pages and of.people == "same"):
        return "doubtful"  # two abstracts of one group on one page
    if of.title == "subtitle" and of.people != "same":
        return "doubtful"
    if of.issue == "other" and not (of.fills_pages or of.long):
        return "doubtful"  # a column on the same page of every issue
    if of.year == "other":
        return "same" if of.container == of.people == "same" and of.title in {"same", "spelling"} else "doubtful"
    return "doubtful" if of.container == "other" and of.people != "same" else "same"


def _nobody(of: Comparison) -> PairVerdict | None:
    """One record has no authors, and volume and page do not both agree: journal, year, and a volume or page must agree."""
    if of.elsewhere or of.container != "same" or of.title in {"subtitle", "shorter"}:
        return None
    return "same" if of.year == "same" and "same" in {of.volume, of.pages} and of.issue != "other" else "doubtful"


def _shorter(of: Comparison) -> PairVerdict | None:
    """Part of the title is missing: `same` for the same people in one journal, when a volume, issue or page agrees."""
    overlap = of.volume == "same" and of.pages == "overlap"
    if of.people != "same" or of.year == "other" or not of.telling or (of.elsewhere and not overlap):
        return None
    agreed = of.container == of.year == "same" and "same" in {of.volume, of.pages, of.issue}
    one, two = of.titles  # a part or a follow-up has its number in the subtitle
    return "same" if agreed and one.numbers == two.numbers else "doubtful"


def _misprint(of: Comparison) -> PairVerdict | None:
    """Volume or page differs: an error if all else agrees; otherwise an abstract and its article, or a reprint."""
    if of.people == of.container == "same" and of.year != "other" and of.issue != "other":
        slip = of.pages == "overlap" or (of.year == "same" and of.abstract == "same")
        if (of.volume == "same" and slip) or (of.volume == "other" and of.pages == of.year == "same"):
            return "same"
    column = of.container == "same" and of.volume == of.pages == "other" and not of.long  # each year's report
    return "doubtful" if "same" in {of.people, of.container} and not column else None


def _by_place(of: Comparison) -> PairVerdict | None:
    """Title and people agree: `same` if the place in print agrees in something and contradicts in nothing."""
    number = "same" in {of.volume, of.pages}
    if of.people != "same":
        return "same" if number and of.telling and of.container == of.year == "same" else "doubtful"
    if of.year == "other" or (of.pages == "unknown" and of.issue == "other"):
        return "doubtful"
    if not of.telling:
        return "same" if number and of.container == of.year == "same" else "doubtful"
    if of.container != "other" and of.abstract == "same":
        return "same"
    if of.year == "near":
        return "same" if _ahead(of) else "doubtful"
    if of.container == "unknown":
        return "same" if of.first.conference == of.second.conference else "doubtful"
    if of.container == "same" or of.pages == "same":
        return "same"
    if of.container == "near":
        return "same" if of.volume == "same" else "doubtful"
    numbered = of.volume == of.issue == "same" and "s" not in (of.first.issue or "")
    return "same" if numbered else "doubtful"  # a journal known by two names


def _ahead(of: Comparison) -> bool:
    """Whether an article was online in one year and in an issue the next: one journal, and the same volume or as many pages.

    Conferences have no volumes. There a long title in the year before or after is an error in the year, if one record has no
    pages. A preliminary paper and the full one, a year later, would both have some.
    """
    if of.container != "same":
        return False
    if of.first.conference or of.second.conference:
        bare = [record.pages is None and record.own_pages is None for record in (of.first, of.second)]
        return of.title == "same" and of.long and bare[0] != bare[1]
    lengths = {record.own_pages or (record.pages.span if record.pages else None) for record in (of.first, of.second)}
    counted = len(lengths) == 1 and (of.first.own_pages is None) != (of.second.own_pages is None)
    return of.volume == "same" or counted


_COMPARED: tuple[tuple[str, str, str], ...] = (
    ("title", "titles", "title"),
    ("people", "authors", "authors"),
    ("year", "years", "year"),
    ("container", "containers", "container"),
    ("volume", "volumes", "volume"),
    ("issue", "issues", "issue"),
    ("pages", "pages", "pages"),
    ("doi", "DOIs", "doi"),
    ("abstract", "abstracts", "abstract"),
)
_AGREES = frozenset(("same", "spelling"))
_IN_PART = frozenset(("some", "near", "subtitle", "shorter", "words", "overlap"))
_SHOWN = 80


def explanation(of: Comparison) -> str:
    """`Titles, authors and pages agree; the years differ (2003 / 2004).`"""
    agreeing, others = [], []
    for attribute, name, field in _COMPARED:
        grade = getattr(of, attribute)
        if grade in _AGREES:
            agreeing.append(name)
        elif grade == "version":
            others.append("the DOIs are versions of one document")
        elif grade != "unknown":
            values = " / ".join(_short(getattr(record.source, field)) for record in (of.first, of.second))
            others.append(f"the {name} differ{' in part' if grade in _IN_PART else ''} ({values})")
    first = f"{_listed(agreeing)} agree" if agreeing else "nothing agrees in full"
    return "; ".join((first[0].upper() + first[1:], *others)) + "."


def _short(value: str | None) -> str:
    text = " ".join((value or "").split())
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
