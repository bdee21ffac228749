"""How current the reviews of each cell of the evidence map are: the newest review, the trials that are newer or that its
deposited reference list lacks, what cannot be known, and the overlap of the cell's reviews.

Cells are those of the map (`evidence_map`), so they have the map's filters and numbers. What is known of reviews and trials
is read once (`read_currency`). A trial is compared with a review by its list first, then by the dates: listed is listed, and
only what is certainly later or earlier counts as such. This module knows no page and no SQL, and judges no review.
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evidence.database import read_currency, read_queries
from evidence.database.read_currency import ReviewFacts
from evidence.database.tag_filter import TagFilter, check_filters, check_tag
from evidence.errors import ConfigError
from evidence.export.currency_report import Asked
from evidence.export.currency_values import (
    MOST_PAIRED,
    CellDetail,
    CellNumbers,
    ReviewLine,
    ReviewNumbers,
    State,
    TrialLine,
    WorkText,
)
from evidence.export.wording import short_citation
from evidence.linkage.field_comparison import doi_version
from evidence.publish import evidence_map, review_overlap
from evidence.publish.bitset_counts import WorkSets, read_notices, read_sets, retracted_of, rowids_of
from evidence.publish.evidence_map import CellSets, Values, View
from evidence.publish.review_overlap import Span, after, earliest, span_of
from evidence.rules.topic import Topic

ORDER: tuple[State, ...] = ("newer", "lacking", "list-unknown", "same-time", "undated", "no-review", "listed")
"""The order in which trials are shown: first what a reader of the review does not know."""


@dataclass(frozen=True, slots=True)
class Report:
    """A report of a cell: the works that are versions of it there. `number` is the one that stands for it."""

    key: int
    number: int
    members: tuple[int, ...]


class Reviews:
    """What is known of all reviews and trials, prepared for counting cells: `facts` as read, `span` of each report, `lists` of
    reports."""

    def __init__(self, facts: ReviewFacts) -> None:
        self.facts = facts
        self.key = {number: group[0] for number, group in facts.versions.items()}
        self.spans: dict[int, Span | None] = {number: span_of(date) for number, date in facts.dates.items()}
        self.appeared = dict(self.spans)
        for group in set(facts.versions.values()):
            self.appeared[group[0]] = earliest(self.spans.get(number) for number in group)
        # A list of which no reference could be told is as good as none.
        self.listed = {
            number: frozenset(self.key.get(cited, cited) for cited in of.cited)
            for number, of in facts.lists.items()
            if of.cited or of.entries is None or of.entries != of.unmatched
        }

    def reports(self, works: int) -> list[Report]:
        """The reports of these works: versions of one report are one. An article stands for its preprint, a later version for an
        earlier one."""
        found: dict[int, list[int]] = {}
        for number in rowids_of(works):
            if number in self.facts.dois:  # on a site, a work may have been stored after the facts were read
                found.setdefault(self.key.get(number, number), []).append(number)
        return [
            Report(key, max(members, key=self._latest) if len(members) > 1 else members[0], tuple(members))
            for key, members in found.items()
        ]

    def _latest(self, number: int) -> tuple[Any, ...]:
        doi = self.facts.dois[number]
        return (number not in self.facts.preprints, self.spans[number] or ("", ""), doi_version(doi), doi)

    def states(self, review: int, trials: Trials) -> dict[State, int]:
        """How many of the trials stand how to a review."""
        listed = self.listed.get(review)
        found: Counter[State] = Counter({"listed": 0})
        span = self.spans[review]
        if span is None:
            found["undated"] = len(trials.keys)
        else:
            newer = len(trials.starts) - bisect_right(trials.starts, span[1])
            older = bisect_left(trials.ends, span[0])
            found["newer"], found["lacking" if listed is not None else "list-unknown"] = newer, older
            found["same-time"] = len(trials.starts) - newer - older
            found["undated"] = len(trials.keys) - len(trials.starts)
        for key in (listed or frozenset()) & trials.keys:
            found[self._by_dates(key, span, has_list=True)] -= 1
            found["listed"] += 1
        return {state: n for state, n in found.items() if n}

    def state(self, key: int, review: int | None) -> State:
        """How one trial stands to a review."""
        if review is None:
            return "no-review"
        listed = self.listed.get(review)
        if listed is not None and key in listed:
            return "listed"
        return self._by_dates(key, self.spans[review], has_list=listed is not None)

    def _by_dates(self, key: int, review: Span | None, *, has_list: bool) -> State:
        trial = self.appeared[key]
        if trial is None or review is None:
            return "undated"
        if after(trial, review):
            return "newer"
        if after(review, trial):
            return "lacking" if has_list else "list-unknown"
        return "same-time"


class Trials:
    """The trials of a cell: their reports by key, and the days of those with a date, sorted."""

    def __init__(self, known: Reviews, reports: Sequence[Report]) -> None:
        self.reports = reports
        self.keys = frozenset(report.key for report in reports)
        dated = [span for key in self.keys if (span := known.appeared[key])]
        self.starts = sorted(first for first, _ in dated)
        self.ends = sorted(last for _, last in dated)


class _Cell:
    """One cell while it is counted."""

    def __init__(self, known: Reviews, cell: CellSets) -> None:
        self.known, self.cell = known, cell
        both = cell.trials & cell.reviews
        self.reviews = sorted(known.reports(cell.reviews), key=self._newest_first)
        # A version of a review that is tagged as a trial is no trial for it to list.
        of_reviews = {review.key for review in self.reviews}
        trials = [report for report in known.reports(cell.trials & ~both) if report.key not in of_reviews]
        self.trials = Trials(known, trials)
        self.both = both.bit_count()
        self.in_lists = {
            review.number: known.listed[review.number] & self.trials.keys
            for review in self.reviews
            if review.number in known.listed
        }

    def _newest_first(self, report: Report) -> tuple[Any, ...]:
        span = self.known.spans[report.number]
        # Days sort backwards as their digits do from 9; a review without a date comes last.
        backwards = tuple(tuple(-ord(letter) for letter in day) for day in span) if span else ()
        return (span is None, backwards, self.known.facts.dois[report.number])

    def retracted(self, report: Report) -> bool:
        return bool(self.cell.retracted >> report.number & 1)

    def newest(self) -> tuple[Report | None, int, int]:
        """The newest review that was not retracted, how many others may be as new, and how many retracted ones are not older."""
        standing = [review for review in self.reviews if not self.retracted(review)]
        if not standing:
            return None, 0, len(self.reviews)
        spans = [span for review in standing if (span := self.known.spans[review.number])]
        latest = max((first for first, _ in spans), default=None)
        as_new = [review for review in standing if self._may_be_newest(review, latest)]
        dated = [review for review in as_new if self.known.spans[review.number]] or as_new
        # Of those whose order the dates do not tell, one with a list tells more.
        chosen = next((review for review in dated if review.number in self.known.listed), dated[0])
        span = self.known.spans[chosen.number]
        retracted = [
            review
            for review in self.reviews
            if self.retracted(review) and not after(span, self.known.spans[review.number])
        ]
        return chosen, len(as_new) - 1, len(retracted)

    def _may_be_newest(self, review: Report, latest: str | None) -> bool:
        span = self.known.spans[review.number]
        return span is None or latest is None or span[1] >= latest

    def numbers_of(self, review: Report) -> ReviewNumbers:
        of = self.known.facts.lists.get(review.number)
        return ReviewNumbers(
            number=review.number,
            doi=self.known.facts.dois[review.number],
            date=self.known.facts.dates[review.number] or "",
            retracted=self.retracted(review),
            has_list=of is not None,
            tells=review.number in self.known.listed,
            entries=of.entries if of else None,
            unmatched=of.unmatched if of else None,
            trials=self.known.states(review.number, self.trials),
        )

    def lists(self, reviews: Iterable[Report]) -> list[tuple[Span | None, frozenset[int]]]:
        return [(self.known.spans[review.number], self.in_lists[review.number]) for review in reviews]

    def in_matrix(self) -> list[Report]:
        """The reviews whose list names a trial of the cell, newest first."""
        return [review for review in self.reviews if self.in_lists.get(review.number)]

    def numbers(self) -> CellNumbers:
        cell, known = self.cell, self.known
        newest, as_new, retracted_newer = self.newest()
        return CellNumbers(
            row=(cell.row.key, cell.row.label),
            column=(cell.column.key, cell.column.label),
            works=cell.works.bit_count(),
            retracted=cell.retracted.bit_count(),
            trial_works=cell.trials.bit_count(),
            review_works=cell.reviews.bit_count(),
            both=self.both,
            trials=len(self.trials.reports),
            reviews=len(self.reviews),
            retracted_trials=sum(map(self.retracted, self.trials.reports)),
            retracted_reviews=sum(map(self.retracted, self.reviews)),
            undated_trials=len(self.trials.keys) - len(self.trials.starts),
            undated_reviews=sum(1 for review in self.reviews if known.spans[review.number] is None),
            without_list=sum(1 for review in self.reviews if review.number not in known.facts.lists),
            without_dois=sum(
                1 for review in self.reviews if review.number in known.facts.lists and review.number not in known.listed
            ),
            silent=sum(1 for listed in self.in_lists.values() if not listed),
            newest=self.numbers_of(newest) if newest else None,
            as_new=as_new,
            retracted_newer=retracted_newer,
            overlap=review_overlap.overlap(self.lists(self.in_matrix()), known.appeared),
        )


@dataclass(frozen=True, slots=True)
class Loaded:
    """All that counting needs of a database: the topic, the sets of works, the retracted ones, the values of the facets, and
    what is known of reviews."""

    topic: Topic
    sets: WorkSets
    retracted: int
    values: Values
    known: Reviews

    def cells(self, view: View) -> Iterator[CellSets]:
        """The cells of a view (see `evidence_map.cell_sets`)."""
        return evidence_map.cell_sets(self.topic, self.sets, self.retracted, self.values, view)


def of_cells(loaded: Loaded, view: View) -> Iterator[CellNumbers]:
    """The cells of a view that have a trial or a review, row by row."""
    for cell in loaded.cells(view):
        if cell.trials or cell.reviews:
            yield _Cell(loaded.known, cell).numbers()


def of_cell(conn: sqlite3.Connection, loaded: Loaded, view: View, review: str | None = None) -> CellDetail | None:
    """The cell that a view names, with its works. `review` is the DOI of one of its reviews to compare the trials with, in place
    of the newest. None where there is no such cell, or the cell has no such review."""
    cell = next(loaded.cells(view), None) if view.row and view.column else None
    if cell is None:
        return None
    known, counting = loaded.known, _Cell(loaded.known, cell)
    numbers = counting.numbers()
    shown = {number for report in (*counting.reviews, *counting.trials.reports) for number in report.members}
    texts = read_currency.texts(conn, shown, loaded.topic, view.strengths)
    in_matrix = counting.in_matrix()
    columns = {report.number: place for place, report in enumerate(in_matrix)}
    reviews = tuple(
        ReviewLine(_text(texts, report, counting), counting.numbers_of(report), columns.get(report.number))
        for report in counting.reviews
    )
    compared = next((line for line in reviews if line.work.doi == review), None) if review else None
    if review and compared is None:
        return None
    if compared is None and numbers.newest:
        compared = next(line for line in reviews if line.numbers.number == numbers.newest.number)
    against = compared.numbers.number if compared else None
    lists = counting.lists(in_matrix)
    trials = [
        TrialLine(
            work=_text(texts, report, counting),
            state=known.state(report.key, against),
            listed_by=frozenset(place for place, (_, keys) in enumerate(lists) if report.key in keys),
            later_than=frozenset(
                place
                for place, (date, keys) in enumerate(lists)
                if report.key not in keys and after(known.appeared[report.key], date)
            ),
        )
        for report in counting.trials.reports
    ]
    # Two sorts, because the dates run backwards.
    trials.sort(key=lambda line: line.work.date, reverse=True)
    trials.sort(key=lambda line: ORDER.index(line.state))
    return CellDetail(
        numbers=numbers,
        compared=compared,
        reviews=reviews,
        matrix=tuple(line for line in reviews if line.column is not None),
        trials=tuple(trials),
        pairs=tuple(review_overlap.pairs(lists, known.appeared)) if len(lists) <= MOST_PAIRED else (),
    )


def _text(texts: Mapping[int, Mapping[str, Any]], report: Report, counting: _Cell) -> WorkText:
    row = texts[report.number]
    dates = counting.known.facts.dates
    versions = counting.known.facts.versions.get(report.number, ())
    first = min((date for number in versions if (date := dates.get(number))), default="")
    return WorkText(
        doi=row["doi"],
        title=row["title"] or row["doi"],
        authors=row["authors"] or "",
        container=row["container"] or "",
        date=row["date"] or "",
        notice=row["notice"],
        retracted=counting.retracted(report),
        name=short_citation(row["authors"], row["year"], row["title"] or row["doi"]),
        first=first if first != (row["date"] or "") else "",
        designs=tuple((row["designs"] or "").split("; ")) if row["designs"] else (),
        versions=tuple(texts[number]["doi"] for number in report.members if number != report.number),
    )


def asked(topic: Topic, values: Values, view: View) -> Asked:
    """What a view asks for, as the reports say it."""
    facets = {*view.axes, *view.filters}
    words = evidence_map.filters_in_words(topic, values, view)
    return Asked(view.rows, view.columns, words, topic.design in facets)


def view_of_options(
    topic: Topic,
    values: Values,
    rows: str | None,
    columns: str | None,
    tags: Sequence[TagFilter],
    since: int | None,
    until: int | None,
    *,
    implied: bool,
) -> View:
    """The view that a command line asks for. `rows` and `columns` are a facet, or `facet:line` for one row or column.
    ConfigError for a facet, value or group that there is not."""
    known = {facet: [value["value"] for value in of_facet] for facet, of_facet in values.items()}
    axes = [(given or usual).partition(":")[::2] for given, usual in zip((rows, columns), topic.map, strict=True)]
    for facet, key in axes:
        if facet not in topic.facet_ids:
            raise ConfigError(f"there is no facet {facet!r}; the facets are {', '.join(topic.facet_ids)}")
        if key and evidence_map.line_named(topic, facet, values, key) is None:
            check_tag(facet, key, known)
    (row_facet, row), (column_facet, column) = axes
    if row_facet == column_facet:
        raise ConfigError(f"rows and columns are both {row_facet!r}; name two facets with --rows and --columns")
    check_filters(tags, known)
    if twice := [tag.facet for tag in tags if tag.facet in (row_facet, column_facet)]:
        raise ConfigError(
            f"--tag {twice[0]}: this facet is on the map already; name the value with --rows or --columns"
        )
    if twice := [facet for facet, n in Counter(tag.facet for tag in tags).items() if n > 1]:
        raise ConfigError(f"--tag {twice[0]} is given twice; write several values as {twice[0]}:one,other")
    filters = {tag.facet: tag.values for tag in tags}
    return View(row_facet, column_facet, filters, since, until, implied=implied, row=row, column=column)


def load(conn: sqlite3.Connection, topic: Topic) -> Loaded:
    """All of it, where nothing has been read yet."""
    sets = read_sets(conn)
    noticed = read_notices(conn, sets)
    values = read_queries.labelled_values(conn)
    return Loaded(topic, sets, retracted_of(noticed), values, Reviews(read_currency.read(conn, topic)))
