"""How current the reviews of the evidence map's cells are, in words and as files: text, Markdown, CSV and JSON.

`evidence report currency` and the site say it with these words. Values in, text out: no SQL, no terminal, no clock. It says what
was published when and what is in which list, never how good a review is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from evidence.doi import is_local
from evidence.export.csv_files import csv_line
from evidence.export.currency_values import (
    CAUTION,
    METHOD,
    STATES,
    CellDetail,
    CellNumbers,
    Overlap,
    ReviewNumbers,
    State,
    WorkText,
    band,
    per_cent,
)
from evidence.export.wording import count_noun, notice_participle

LACKS = "Trials shortly before a review are often not in it, because its searches end months before it appears."
MOST_LINES = 400
"""Trials that the text of one cell names; JSON and CSV have them all."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for: the facets of rows and columns, and the filters in words (empty: none). `split_by_design`: works of one
    design alone are left in a cell, so that it cannot have both trials and reviews."""

    rows: str
    columns: str
    filters: str = ""
    split_by_design: bool = False

    @property
    def names(self) -> str:
        """The two facets in running text."""
        return f"{self.rows} and {self.columns}".replace("_", " ")


# ---------------------------------------------------------------------- in words


def newest_in_words(numbers: CellNumbers) -> str:
    """Which review is the newest, and what stands against it."""
    if numbers.newest is None:
        if not numbers.reviews:
            return "No review."
        all_of = "The review was" if numbers.reviews == 1 else f"All {numbers.reviews:,} reviews were"
        return f"{all_of} retracted or withdrawn, so there is none to compare with."
    parts = [f"Newest review: {numbers.newest.doi}, {numbers.newest.date or 'date unknown'}."]
    return " ".join([*parts, *against_newest(numbers)])


def against_newest(numbers: CellNumbers) -> list[str]:
    """What makes it doubtful that the newest review is the newest, in sentences."""
    found = []
    if numbers.as_new:
        found.append(
            f"{count_noun(numbers.as_new, 'other review')} may be as new or newer: the dates do not tell, and one with a "
            "deposited list was chosen if there is one."
        )
    if numbers.newest is not None and numbers.retracted_newer:
        them = "a review that was" if numbers.retracted_newer == 1 else f"{numbers.retracted_newer} reviews that were"
        found.append(f"Not older, and left aside: {them} retracted or withdrawn.")
    return found


def list_in_words(review: ReviewNumbers) -> str:
    """What is known of the review's reference list."""
    if not review.has_list:
        return "No reference list was deposited for it, so what it lacks is not known."
    if review.entries is None:
        return "Its deposited list has been read, but not how many of its references have no DOI."
    if not review.tells:
        return (
            f"Its deposited list has {count_noun(review.entries, 'reference')}, and none of them has a DOI or was matched, "
            "so what it lacks is not known."
        )
    if not review.unmatched:
        return f"Its deposited list has {count_noun(review.entries, 'reference')}; what each of them cites is known."
    which = "has" if review.unmatched == 1 else "have"
    return (
        f"Its deposited list has {count_noun(review.entries, 'reference')}, of which {review.unmatched:,} {which} no DOI and "
        f"{'was' if review.unmatched == 1 else 'were'} not matched: they may be trials that were not found in it."
    )


def trials_in_words(trials: Mapping[State, int]) -> str:
    """`20 trials: 9 in its reference list, 6 newer than the review, …`."""
    total = sum(trials.values())
    parts = [f"{trials[state]:,} {words}" for state, words in STATES.items() if trials.get(state)]
    return f"{count_noun(total, 'trial')}{': ' if parts else ''}{'; '.join(parts)}."


def not_known(numbers: CellNumbers) -> list[str]:
    """What cannot be known of a cell, in sentences; empty where nothing is missing."""
    found = []
    if numbers.without_list:
        if numbers.without_list == numbers.reviews:
            found.append(
                "No reference list was deposited for the only review, so what it lacks cannot be told."
                if numbers.reviews == 1
                else f"No reference list was deposited for any of the {numbers.reviews:,} reviews, so what they lack and how "
                "much they overlap cannot be told."
            )
        else:
            found.append(
                f"{numbers.without_list:,} of {count_noun(numbers.reviews, 'review')} "
                f"{'has' if numbers.without_list == 1 else 'have'} no deposited reference list."
            )
    if numbers.without_dois:
        found.append(
            f"The list of {count_noun(numbers.without_dois, 'review')} has no DOI, so it tells nothing."
            if numbers.without_dois == 1
            else f"The lists of {count_noun(numbers.without_dois, 'review')} have no DOI, so they tell nothing."
        )
    if numbers.silent:
        found.append(
            f"The {'list' if numbers.silent == 1 else 'lists'} of {count_noun(numbers.silent, 'review')} "
            f"{'names' if numbers.silent == 1 else 'name'} none of the trials."
        )
    if numbers.undated_reviews:
        found.append(f"{count_noun(numbers.undated_reviews, 'review')} without a date.")
    if numbers.undated_trials:
        found.append(f"{count_noun(numbers.undated_trials, 'trial')} without a date.")
    return found


def overlap_in_words(overlap: Overlap) -> str:
    """The corrected covered area and what it is made of."""
    made_of = (
        f"{count_noun(overlap.reviews, 'review')} with a list that names one of the trials, "
        f"{count_noun(overlap.trials, 'different trial')}, {count_noun(overlap.listed, 'listing')}"
    )
    if overlap.cca is None:
        return "Overlap: not told, because fewer than two reviews have a deposited list that names one of the trials."
    text = f"Overlap: corrected covered area {per_cent(overlap.cca)} ({band(overlap.cca)}); {made_of}."
    if not overlap.later:
        return f"{text} No trial appeared after one of these reviews, so there is nothing to adjust for."
    adjusted = "not defined" if overlap.adjusted is None else f"{per_cent(overlap.adjusted)} ({band(overlap.adjusted)})"
    later = count_noun(overlap.later, "pair")
    return f"{text} Adjusted for {later} of a review and a later trial: {adjusted}."


def counted_in_words(numbers: CellNumbers) -> list[str]:
    """How the numbers of trials and reviews come from the map's."""
    found = []
    if numbers.both:
        found.append(
            f"{count_noun(numbers.both, 'work')} tagged as a trial and as a review {'counts' if numbers.both == 1 else 'count'} "
            "as a review."
        )
    together = numbers.trial_works - numbers.both - numbers.trials + numbers.review_works - numbers.reviews
    if together:
        are = "is" if together == 1 else "are"
        found.append(f"{count_noun(together, 'work')} {are} another version of a report that is counted.")
    for n, noun in ((numbers.retracted_trials, "trial"), (numbers.retracted_reviews, "review")):
        if n:
            were = "was" if n == 1 else "were"
            found.append(f"{count_noun(n, noun)} {were} retracted, and counted as on the map.")
    return found


def label_of(numbers: CellNumbers) -> str:
    """`IPT-A × Depressive symptoms`."""
    return f"{numbers.row[1]} × {numbers.column[1]}"


# ---------------------------------------------------------------------- text and Markdown


def cells_text(cells: Iterable[CellNumbers], asked: Asked) -> Iterator[str]:
    """Two lines for each cell, then what the words mean."""
    filters = f" ({asked.filters})" if asked.filters else ""
    yield f"How current the reviews are, by {asked.names}{filters}\n"
    n = 0
    for n, numbers in enumerate(cells, start=1):  # noqa: B007 - counted for the end
        yield f"\n{label_of(numbers)}: {count_noun(numbers.trials, 'trial')}, {count_noun(numbers.reviews, 'review')}\n"
        yield f"  {newest_in_words(numbers)}\n"
        if numbers.newest is not None:
            yield f"  {trials_in_words(numbers.newest.trials)}\n"
        if numbers.overlap.reviews > 1:
            yield f"  {overlap_in_words(numbers.overlap)}\n"
        for sentence in not_known(numbers):
            yield f"  {sentence}\n"
    if not n:
        yield "\nNo cell has a trial or a review.\n"
    yield from ("\n", *(f"{line}\n" for line in _meaning(asked)))


def cells_markdown(cells: Iterable[CellNumbers], asked: Asked) -> Iterator[str]:
    """A table of the cells."""
    yield f"# How current the reviews are, by {asked.names}\n\n"
    if asked.filters:
        yield f"{asked.filters}\n\n"
    head = (
        asked.rows, asked.columns, "trials", "reviews", "newest review", "date", "in its list", "newer", "older, lacking",
        "older, not known", "same time", "undated", "without a list", "CCA", "adjusted CCA",
    )  # fmt: skip
    yield _markdown_row(head)
    yield _markdown_row(["---"] * len(head))
    for numbers in cells:
        newest = numbers.newest
        yield _markdown_row(
            (
                numbers.row[1], numbers.column[1], numbers.trials, numbers.reviews, newest.doi if newest else "none",
                newest.date if newest else "",
                *(numbers.of(state) for state in ("listed", "newer", "lacking", "list-unknown", "same-time", "undated")),
                numbers.without_list, _share_words(numbers.overlap.cca), _share_words(numbers.overlap.adjusted),
            )
        )  # fmt: skip
    yield "\n"
    yield from (f"{line}\n\n" for line in _meaning(asked))


def cell_text(detail: CellDetail, asked: Asked) -> Iterator[str]:
    """One cell with its reviews and trials."""
    numbers = detail.numbers
    filters = f" ({asked.filters})" if asked.filters else ""
    yield f"How current the reviews are: {label_of(numbers)}{filters}\n"
    for sentence in said(detail):
        yield f"{sentence}\n"
    yield f"\nReviews, newest first: {numbers.reviews:,}\n"
    for review in detail.reviews:
        mark = "> " if detail.compared is not None and review.numbers.number == detail.compared.numbers.number else "  "
        yield f"{mark}{work_line(review.work)}\n"
        length = "" if review.numbers.has_list else "no deposited list; "
        yield f"    {length}{trials_in_words(review.numbers.trials)}\n"
    yield f"\nTrials: {numbers.trials:,}\n"
    state: State | None = None
    for line in detail.trials[:MOST_LINES]:
        if line.state != state:
            state = line.state
            yield f"  {_capital(STATES[state])}\n"
        names = [detail.matrix[place].work.name for place in sorted(line.listed_by)]
        in_lists = f" [in the list of {', '.join(names)}]" if names else ""
        yield f"    {work_line(line.work)}{in_lists}\n"
    if len(detail.trials) > MOST_LINES:
        yield f"    … and {len(detail.trials) - MOST_LINES:,} more: -f csv or -f json has them all\n"
    if detail.pairs:
        yield "\nOverlap of each two reviews\n"
        for pair in detail.pairs:
            first, second = detail.matrix[pair.first].work.name, detail.matrix[pair.second].work.name
            adjusted = f", adjusted {per_cent(pair.adjusted)}" if pair.later else ""
            yield f"  {first} and {second}: {pair.shared} of {pair.together}, {per_cent(pair.cca)}{adjusted}\n"
    yield from ("\n", *(f"{line}\n" for line in _meaning(asked)))


def cell_markdown(detail: CellDetail, asked: Asked) -> Iterator[str]:
    """One cell: the reviews, and the citation matrix with a row for each trial."""
    numbers = detail.numbers
    yield f"# How current the reviews are: {label_of(numbers)}\n\n"
    if asked.filters:
        yield f"{asked.filters}\n\n"
    yield from (f"{sentence}\n\n" for sentence in said(detail))
    yield "## Reviews\n\n"
    yield _markdown_row(("review", "date", "list", *(STATES[state] for state in _STATES_OF_REVIEW)))
    yield _markdown_row(["---"] * (3 + len(_STATES_OF_REVIEW)))
    for review in detail.reviews:
        counts = (review.numbers.trials.get(state, 0) for state in _STATES_OF_REVIEW)
        length = "none deposited" if not review.numbers.has_list else review.numbers.entries or "deposited"
        yield _markdown_row((_link(review.work), review.work.date, length, *counts))
    yield "\n## Trials\n\n"
    yield _markdown_row(("trial", "date", "compared with the review", *(line.work.name for line in detail.matrix)))
    yield _markdown_row(["---"] * (3 + len(detail.matrix)))
    for line in detail.trials:
        marks = _marks(line.listed_by, line.later_than, len(detail.matrix))
        yield _markdown_row((_link(line.work), line.work.date, STATES[line.state], *marks))
    if detail.matrix:
        yield "\n✓: in the review's reference list. –: the trial appeared after the review.\n"
    yield from ("\n", *(f"{line}\n\n" for line in _meaning(asked)))


_STATES_OF_REVIEW: tuple[State, ...] = ("listed", "newer", "lacking", "list-unknown", "same-time", "undated")


def said(detail: CellDetail) -> list[str]:
    """The cell in sentences."""
    numbers, compared = detail.numbers, detail.compared
    found = [newest_in_words(numbers)]
    if compared is not None:
        if numbers.newest is None or compared.numbers.number != numbers.newest.number:
            found.append(f"Compared with {compared.work.doi}, {compared.work.date or 'date unknown'}, as asked.")
        found += [list_in_words(compared.numbers), trials_in_words(compared.numbers.trials)]
        if compared.numbers.trials.get("lacking"):
            found.append(LACKS)
    elif numbers.trials:
        found.append(f"{count_noun(numbers.trials, 'trial')}.")
    found += counted_in_words(numbers)
    found.append(overlap_in_words(numbers.overlap))
    return [*found, *not_known(numbers)]


def work_line(work: WorkText) -> str:
    """A work on one line: date, title, DOI, and what was done to it."""
    notice = f" [{notice_participle(work.notice)}]" if work.notice else ""
    versions = f" (also {', '.join(work.versions)})" if work.versions else ""
    versions += f" (first version {work.first})" if work.first else ""
    return f"{work.date or 'undated'}  {work.title}. {work.doi}{versions}{notice}"


def _meaning(asked: Asked) -> list[str]:
    split = (
        "Works of one design alone are counted here, so a cell cannot have both trials and reviews; leave the design out."
        if asked.split_by_design
        else ""
    )
    return [line for line in (split, CAUTION, METHOD) if line]


def _share_words(share: Fraction | None) -> str:
    return "" if share is None else f"{per_cent(share)} ({band(share)})"


def _marks(listed_by: frozenset[int], later_than: frozenset[int], columns: int) -> list[str]:
    return ["✓" if place in listed_by else "–" if place in later_than else "" for place in range(columns)]


def _link(work: WorkText) -> str:
    notice = f" ({notice_participle(work.notice)})" if work.notice else ""
    if is_local(work.doi):
        return f"{_plain(work.title)}{notice}"
    return f"[{_plain(work.title)}](https://doi.org/{work.doi.replace('(', '%28').replace(')', '%29')}){notice}"


def _plain(text: object) -> str:
    escaped = " ".join(str(text).split())
    for sign in "\\`*_[]<>|":
        escaped = escaped.replace(sign, f"\\{sign}")
    return escaped


def _markdown_row(cells: Iterable[object]) -> str:
    # A link has been escaped already.
    return f"| {' | '.join(str(cell) if str(cell).startswith('[') else _plain(cell) for cell in cells)} |\n"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


# ---------------------------------------------------------------------- CSV and JSON

_NUMBERS: tuple[tuple[str, Callable[[CellNumbers], Any]], ...] = (
    ("works", lambda n: n.works),
    ("retracted", lambda n: n.retracted),
    ("trial_works", lambda n: n.trial_works),
    ("review_works", lambda n: n.review_works),
    ("both", lambda n: n.both),
    ("trials", lambda n: n.trials),
    ("reviews", lambda n: n.reviews),
    ("retracted_trials", lambda n: n.retracted_trials),
    ("retracted_reviews", lambda n: n.retracted_reviews),
    ("undated_trials", lambda n: n.undated_trials),
    ("undated_reviews", lambda n: n.undated_reviews),
    ("newest_review", lambda n: n.newest.doi if n.newest else None),
    ("newest_date", lambda n: (n.newest.date or None) if n.newest else None),
    ("listed", lambda n: n.of("listed")),
    ("newer", lambda n: n.of("newer")),
    ("lacking", lambda n: n.of("lacking")),
    ("list_unknown", lambda n: n.of("list-unknown")),
    ("same_time", lambda n: n.of("same-time")),
    ("undated", lambda n: n.of("undated")),
    ("no_review", lambda n: n.of("no-review")),
    ("references", lambda n: n.newest.entries if n.newest else None),
    ("references_unmatched", lambda n: n.newest.unmatched if n.newest else None),
    ("as_new", lambda n: n.as_new),
    ("retracted_newer", lambda n: n.retracted_newer),
    ("reviews_without_list", lambda n: n.without_list),
    ("reviews_with_list_without_dois", lambda n: n.without_dois),
    ("reviews_listing_none", lambda n: n.silent),
    ("cca_reviews", lambda n: n.overlap.reviews),
    ("cca_trials", lambda n: n.overlap.trials),
    ("cca_listed", lambda n: n.overlap.listed),
    ("cca_structural_zeros", lambda n: n.overlap.later),
    ("cca", lambda n: _number(n.overlap.cca)),
    ("cca_band", lambda n: _band(n.overlap.cca)),
    ("cca_adjusted", lambda n: _number(n.overlap.adjusted)),
    ("cca_adjusted_band", lambda n: _band(n.overlap.adjusted)),
)
"""Columns of the CSV and keys of the JSON of a cell, in order."""


def cells_csv(cells: Iterable[CellNumbers], asked: Asked) -> Iterator[str]:
    """A row for each cell; the first two columns are called as the facets are."""
    yield csv_line([asked.rows, asked.columns, *(name for name, _ in _NUMBERS)])
    for numbers in cells:
        yield csv_line([numbers.row[0], numbers.column[0], *(value(numbers) for _, value in _NUMBERS)])


def cell_csv(detail: CellDetail, asked: Asked) -> Iterator[str]:
    """The citation matrix: a row for each trial, a column for each review that lists one of them: 1, 0, or NA where the trial
    appeared after the review."""
    head = ["trial", "title", "date", "first_version", "notice", "state", "versions"]
    yield csv_line([*head, *(f"{line.work.name} ({line.work.doi})" for line in detail.matrix)])
    for line in detail.trials:
        marks = (
            1 if place in line.listed_by else "NA" if place in line.later_than else 0
            for place in range(len(detail.matrix))
        )
        work = line.work
        yield csv_line(
            [work.doi, work.title, work.date, work.first, work.notice, line.state, " ".join(work.versions), *marks]
        )


def cells_json(cells: Iterable[CellNumbers], asked: Asked) -> Iterator[str]:
    """A list of cells."""
    yield (
        json.dumps({**_asked(asked), "cells": [cell_numbers(numbers) for numbers in cells]}, ensure_ascii=False) + "\n"
    )


def cell_json(detail: CellDetail, asked: Asked) -> Iterator[str]:
    """One cell with its reviews, trials and pairs."""
    compared = detail.compared
    reviews = [
        {
            **_work(line.work),
            "retracted": line.work.retracted,
            "list_deposited": line.numbers.has_list,
            "list_tells": line.numbers.tells,
            "references": line.numbers.entries,
            "references_unmatched": line.numbers.unmatched,
            "trials": {state.replace("-", "_"): line.numbers.trials.get(state, 0) for state in _STATES_OF_REVIEW},
            "in_matrix": line.column is not None,
        }
        for line in detail.reviews
    ]
    trials = [
        {
            **_work(line.work),
            "retracted": line.work.retracted,
            "state": line.state,
            "listed_by": [detail.matrix[place].work.doi for place in sorted(line.listed_by)],
            "appeared_after": [detail.matrix[place].work.doi for place in sorted(line.later_than)],
        }
        for line in detail.trials
    ]
    pairs = [
        {
            "reviews": [detail.matrix[pair.first].work.doi, detail.matrix[pair.second].work.doi],
            "shared": pair.shared,
            "together": pair.together,
            "structural_zeros": pair.later,
            "cca": _number(pair.cca),
            "cca_adjusted": _number(pair.adjusted),
        }
        for pair in detail.pairs
    ]
    found = {
        **_asked(asked),
        **cell_numbers(detail.numbers),
        "compared_with": compared.work.doi if compared else None,
        "review_list": reviews,
        "trial_list": trials,
        "pairs": pairs,
    }
    yield json.dumps(found, ensure_ascii=False) + "\n"


def cell_numbers(numbers: CellNumbers) -> dict[str, Any]:
    """The numbers of a cell for programs, under the names of the CSV's columns."""
    return {
        "row": numbers.row[0],
        "column": numbers.column[0],
        "label": label_of(numbers),
        **{name: value(numbers) for name, value in _NUMBERS},
    }


def _asked(asked: Asked) -> dict[str, Any]:
    return {
        "rows": asked.rows,
        "columns": asked.columns,
        "filters": asked.filters,
        "caution": CAUTION,
        "method": METHOD,
    }


def _work(work: WorkText) -> dict[str, Any]:
    return {
        "doi": work.doi,
        "title": work.title,
        "authors": work.authors,
        "container": work.container,
        "date": work.date or None,
        "first_version": work.first or None,
        "notice": work.notice,
        "designs": list(work.designs),
        "versions": list(work.versions),
    }


def _number(share: Fraction | None) -> float | None:
    return None if share is None else round(float(share), 6)


def _band(share: Fraction | None) -> str | None:
    return None if share is None else band(share)


CellsWriter = Callable[[Iterable[CellNumbers], Asked], Iterator[str]]
CellWriter = Callable[[CellDetail, Asked], Iterator[str]]

WRITERS: Mapping[str, tuple[CellsWriter, CellWriter]] = {
    "text": (cells_text, cell_text),
    "csv": (cells_csv, cell_csv),
    "json": (cells_json, cell_json),
    "markdown": (cells_markdown, cell_markdown),
}
"""Format → what writes all cells, and what writes one."""
