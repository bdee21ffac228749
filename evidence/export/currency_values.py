"""How current the reviews of a cell of the evidence map are, and how much they overlap: the values, and what they are called.

`evidence.publish.currency` fills them, `currency_report` and the site write them. Values and words only: no SQL, no clock.

A trial here is a work with a design that the topic counts as a trial and none that it counts as a review; a work with both is a
review. Versions of one report (a preprint and its article, the versions of a living review) are one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

State = Literal["listed", "newer", "lacking", "list-unknown", "same-time", "undated", "no-review"]
"""How a trial stands to a review."""

STATES: Mapping[State, str] = {
    "listed": "in its reference list",
    "newer": "newer than the review",
    "lacking": "older, and not found in its deposited list",
    "list-unknown": "older (no list that can be read, so whether it is listed is not known)",
    "same-time": "of the same year or month, so neither newer nor older for certain",
    "undated": "not compared, because the trial or the review has no date",
    "no-review": "without a review to compare with",
}
"""Each trial has one. What is listed is listed, whatever the dates say: articles appear online before their year."""

Band = Literal["slight", "moderate", "high", "very high"]

BANDS: tuple[tuple[int, Band], ...] = ((5, "slight"), (10, "moderate"), (15, "high"))
"""Highest whole per cent of each band; above is very high. Pieper et al. 2014, J Clin Epidemiol 67(4):368-375."""

CAUTION = (
    "A deposited reference list has more than the studies that a review included: works cited for background, and studies "
    "that it excluded. A trial in the list need not be among its included studies, and one whose reference has no DOI is "
    "missing here."
)
METHOD = (
    "Corrected covered area: CCA = (N − r) / (rc − r), where N counts the trials listed, each as often as a review lists it, "
    "r the different trials listed, and c the reviews (Pieper et al. 2014, doi:10.1016/j.jclinepi.2013.11.007). Adjusted for "
    "structural zeros: (N − r) / (rc − r − X), where X counts the pairs of a review and a trial that appeared after it and is "
    "not in its list, as the R package ccaR counts structural missingness (Bougioukas et al. 2021, "
    "doi:10.1016/j.jclinepi.2020.12.004)."
)


def band(cca: Fraction) -> Band:
    """Pieper's band of a CCA. The bands are of whole per cents, so the CCA is rounded, halves up."""
    whole = (200 * cca.numerator + cca.denominator) // (2 * cca.denominator)
    return next((name for highest, name in BANDS if whole <= highest), "very high")


def per_cent(cca: Fraction | None) -> str:
    """`41.4 %`, halves up; `not defined` without one."""
    if cca is None:
        return "not defined"
    tenths = (2000 * cca.numerator + cca.denominator) // (2 * cca.denominator)
    return f"{tenths // 10}.{tenths % 10} %"


@dataclass(frozen=True, slots=True)
class Overlap:
    """The overlap of reviews. `reviews` (c) list at least one of the trials; `trials` (r) are in at least one list; `listed`
    (N) counts each trial as often as it is listed; `later` (X) are the pairs in which the trial appeared after the review and
    is not in its list. `cca` and `adjusted` are None where they are not defined: fewer than two reviews, or none that could
    have listed a trial of another."""

    reviews: int
    trials: int
    listed: int
    later: int
    cca: Fraction | None
    adjusted: Fraction | None


@dataclass(frozen=True, slots=True)
class ReviewNumbers:
    """A review of a cell and how the trials of the cell stand to it. `number` is its rowid, `date` is empty where none is
    known. `has_list`: whether a list was deposited; `entries` of it, and `unmatched`: those that have no DOI and were not
    matched by their text (both None where that is not known). `tells`: whether any reference of it could be told; a list without
    DOIs says nothing of a trial."""

    number: int
    doi: str
    date: str
    retracted: bool
    has_list: bool
    tells: bool
    entries: int | None
    unmatched: int | None
    trials: Mapping[State, int]


@dataclass(frozen=True, slots=True)
class CellNumbers:
    """A cell. `row` and `column`: (key, label) of the lines of the map. `works` and `retracted` are the map's own numbers.

    `trial_works` and `review_works` are the works with these designs as the map's panel counts them, and `both` those that have a
    design of each. `trials` and `reviews` count reports, after versions were put together and `both` taken for reviews;
    `retracted_trials` and `retracted_reviews` among them, and those without a date.

    `newest` is the newest review that was not retracted (None: there is none); `as_new` are reviews that may be as new or
    newer, because dates do not tell; `retracted_newer` are retracted reviews that are not older. `without_list` are reviews
    whose list was not deposited, `without_dois` those of whose list not one reference could be told, `silent` those whose
    list names none of the trials.
    """

    row: tuple[str, str]
    column: tuple[str, str]
    works: int
    retracted: int
    trial_works: int
    review_works: int
    both: int
    trials: int
    reviews: int
    retracted_trials: int
    retracted_reviews: int
    undated_trials: int
    undated_reviews: int
    without_list: int
    without_dois: int
    silent: int
    newest: ReviewNumbers | None
    as_new: int
    retracted_newer: int
    overlap: Overlap

    def of(self, state: State) -> int:
        """How many trials stand so to the newest review; all of them are `no-review` where there is none."""
        if self.newest is None:
            return self.trials if state == "no-review" else 0
        return self.newest.trials.get(state, 0)


@dataclass(frozen=True, slots=True)
class WorkText:
    """What is shown of a work. `date` is as precise as it was deposited; `retracted` as the map counts it; `versions` are the
    DOIs of other versions of the same report, and `first` is when the first of them appeared, if that is not `date`."""

    doi: str
    title: str
    authors: str
    container: str
    date: str
    notice: str | None
    retracted: bool
    name: str
    first: str = ""
    designs: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TrialLine:
    """A trial with its state beside the review it is compared with, and the places (in `CellDetail.matrix`) of the reviews
    that list it; `later_than`: the places of those that do not, and that it appeared after."""

    work: WorkText
    state: State
    listed_by: frozenset[int]
    later_than: frozenset[int]


@dataclass(frozen=True, slots=True)
class ReviewLine:
    """A review with its numbers. `column` is its place in the matrix, None where it is not in it."""

    work: WorkText
    numbers: ReviewNumbers
    column: int | None


@dataclass(frozen=True, slots=True)
class Pair:
    """Two reviews of the matrix by their places: trials that both list, trials that either lists, and of the latter those
    that only one lists and that appeared after the other."""

    first: int
    second: int
    shared: int
    together: int
    later: int

    @property
    def cca(self) -> Fraction:
        """The CCA of two reviews: what they share of what they list together."""
        return Fraction(self.shared, self.together)

    @property
    def adjusted(self) -> Fraction | None:
        """The same without what one of them could not list; None where nothing is left."""
        left = self.together - self.later
        return Fraction(self.shared, left) if left else None


@dataclass(frozen=True, slots=True)
class CellDetail:
    """A cell with its works. `compared` is the review that trials are compared with, the newest one unless a reader chose
    another. `reviews` come newest first, `matrix` are those of them that have a column in the matrix; `trials` by state, then
    newest first; `pairs` is empty where there are more than `MOST_PAIRED` reviews."""

    numbers: CellNumbers
    compared: ReviewLine | None
    reviews: tuple[ReviewLine, ...]
    matrix: tuple[ReviewLine, ...]
    trials: tuple[TrialLine, ...]
    pairs: tuple[Pair, ...]


MOST_PAIRED = 60
"""Reviews up to which every pair is counted: 1,770 pairs."""
