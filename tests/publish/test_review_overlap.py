"""The corrected covered area: published examples with their numbers, and a count pair by pair as the reference."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence.export.currency_values import band, per_cent
from evidence.publish.review_overlap import Span, after, earliest, overlap, pairs, span_of

GESTATIONAL = """
    Guo2016 Gilinsky2015 Morton2014 Peacock2014 Middleton2014 Chasan2014
    Cheung2011 110101 Clark2009 000010 Ferrara2011 110101 Hu2012 110001 Ji2011 100000 Kim2012 110101 Mclntyre2012 110101
    Peterson1995 010000 Ratner2008 111101 Reinhardt2012 110101 Shek2014 111000 Shyam2013 111001 Wein1999 111001 Yu2012 100000
"""
"""Six reviews and fourteen trials on gestational diabetes: `inst/extdata/test.csv` of the R package ccaR
(github.com/thdiakon/ccaR, Bougioukas et al. 2021, J Clin Epidemiol 132:34-45)."""

GESTATIONAL_PAIRS = """
    Chasan2014 Gilinsky2015 9 20 11 81.8; Chasan2014 Guo2016 9 21 12 75.0; Chasan2014 Middleton2014 0 10 10 0.0;
    Chasan2014 Morton2014 3 13 10 30.0; Chasan2014 Peacock2014 6 15 9 66.7; Gilinsky2015 Guo2016 10 23 13 76.9;
    Gilinsky2015 Middleton2014 0 12 12 0.0; Gilinsky2015 Morton2014 4 15 11 36.4; Gilinsky2015 Peacock2014 6 17 11 54.5;
    Guo2016 Middleton2014 0 13 13 0.0; Guo2016 Morton2014 4 16 12 33.3; Guo2016 Peacock2014 6 18 12 50.0;
    Middleton2014 Morton2014 0 5 5 0.0; Middleton2014 Peacock2014 0 7 7 0.0; Morton2014 Peacock2014 1 10 9 11.1
"""
"""Overlap, N, r and CCA in per cent of each two of them: the table in that package's README (`man/figures/cca_table.PNG`)."""

REFLUX_REVIEWS = (2008, 2009, 2011, 2013, 2018, 2019, 2020, 2020, 2020, 2021)
REFLUX = """
    1988 1010000100
    1993 1000000000
    1994 1010000100
    1995 1010000100 1010000100
    1996 1011000100 1000000100
    1997 1001001000
    1998 1010000010
    2000 1011000100
    2001 0000001000
    2002 1010000010 1110000010
    2003 1001001100 1001000000
    2004 0001001000 0000001000 1011001000
    2005 0001001000 1011001100
    2006 0000001000 1110000010 0000010000
    2008 0011001000 0000001000
    2009 X010000100
    2010 XX01000000 XX00101000 XX01000000
    2011 XX01000100 XX00010000 XX00001000 XX10000010
    2012 XXX0101100 XXX0010000 XXX0001000 XXX0001100
    2013 XXX0100011 XXX0001000
    2014 XXXX100101 XXXX100000 XXXX010000 XXXX001001
    2015 XXXX000010 XXXX000100
    2016 XXXX101000 XXXX100011 XXXX000011 XXXX101101 XXXX100000 XXXX001000 XXXX100101 XXXX001000
    2017 XXXX001000 XXXX000011 XXXX001001 XXXX001001
    2018 XXXX001000 XXXX001000 XXXX000011
    2019 XXXXX00001 XXXXX00101
    2020 XXXXXX0001 XXXXXX0001 XXXXXX0001 XXXXXX0001
"""
"""Year of a primary study, and for each of ten reviews on reflux and dental erosion: 1 included, 0 not, X structurally missing.
`inst/extdata/data_gerd_X.xlsx` of the same package."""


def gestational() -> dict[str, set[str]]:
    words = GESTATIONAL.split()
    reviews, rest = words[:6], words[6:]
    rows = list(zip(rest[::2], rest[1::2], strict=True))
    return {review: {study for study, marks in rows if marks[place] == "1"} for place, review in enumerate(reviews)}


def reflux() -> Iterator[tuple[int, str]]:
    """(year, marks) of each study."""
    year = 0
    for word in REFLUX.split():
        if len(word) == 4:
            year = int(word)
        else:
            yield year, word


def test_the_worked_example_of_ccar() -> None:
    found = overlap([(None, studies) for studies in gestational().values()], {})
    assert (found.listed, found.trials, found.reviews) == (43, 14, 6)
    assert found.cca == found.adjusted == Fraction(29, 70)
    assert found.cca is not None and round(float(found.cca), 7) == 0.4142857
    assert per_cent(found.cca) == "41.4 %" and band(found.cca) == "very high"


def test_every_pair_of_the_worked_example_of_ccar() -> None:
    lists = gestational()
    names = sorted(lists)
    found = pairs([(None, lists[name]) for name in names], {})
    expected = [line.split() for line in GESTATIONAL_PAIRS.split(";")]
    assert len(found) == len(expected) == 15
    for pair, (first, second, shared, n, r, share) in zip(found, expected, strict=True):
        assert (names[pair.first], names[pair.second]) == (first, second)
        assert (pair.shared, pair.together) == (int(shared), int(r))
        assert len(lists[first]) + len(lists[second]) == int(n)
        assert per_cent(pair.cca) == f"{share} %"


def test_the_worked_example_of_junor() -> None:
    # juno-evidence-alliance.github.io/junoR/articles/CCA.html: five reviews, of which three studies are included: 41.66667 %.
    lists = [{"1", "2"}, {"2"}, {"1", "3"}, {"1", "3"}, {"2"}]
    found = overlap([(None, studies) for studies in lists], {})
    assert (found.listed, found.trials, found.reviews, found.cca) == (8, 3, 5, Fraction(5, 12))


def test_structural_zeros_are_those_that_the_authors_of_ccar_marked() -> None:
    studies = dict(enumerate(reflux()))
    assert len(studies) == 66
    dates = {number: span_of(str(year)) for number, (year, _) in studies.items()}
    reviews = [span_of(str(year)) for year in REFLUX_REVIEWS]
    for number, (year, marks) in studies.items():
        late = "".join("X" if after(dates[number], review) else "-" for review in reviews)
        assert late == "".join("X" if mark == "X" else "-" for mark in marks), year
    lists = [
        (review, frozenset(number for number, (_, marks) in studies.items() if marks[place] == "1"))
        for place, review in enumerate(reviews)
    ]
    found = overlap(lists, dates)
    # (N - r) / (rc - r - X), the formula of `cca` in the package's R/cca.R.
    assert (found.listed, found.trials, found.reviews, found.later) == (134, 66, 10, 151)
    assert found.cca == Fraction(134 - 66, 660 - 66)
    assert found.adjusted == Fraction(134 - 66, 660 - 66 - 151)
    assert (per_cent(found.cca), per_cent(found.adjusted)) == ("11.4 %", "15.3 %")


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        ((0, 1), "slight"), ((5, 100), "slight"), ((549, 10000), "slight"), ((55, 1000), "moderate"),
        ((10, 100), "moderate"), ((1049, 10000), "moderate"), ((105, 1000), "high"), ((15, 100), "high"),
        ((1549, 10000), "high"), ((155, 1000), "very high"), ((1, 1), "very high"),
    ],
)  # fmt: skip
def test_bands_are_of_whole_per_cents(share: tuple[int, int], expected: str) -> None:
    # Pieper et al. 2014: 0-5 slight, 6-10 moderate, 11-15 high, >15 very high.
    assert band(Fraction(*share)) == expected


def test_no_overlap_is_none_and_the_same_lists_are_all_of_it() -> None:
    assert overlap([(None, {1, 2}), (None, {3})], {}).cca == 0
    assert overlap([(None, {1, 2})] * 3, {}).cca == 1


@pytest.mark.parametrize("lists", [[], [(None, {1})], [(None, {1}), (None, frozenset())], [(None, frozenset())] * 3])
def test_a_single_list_has_no_overlap_to_tell(lists: list[tuple[Span | None, frozenset[int]]]) -> None:
    found = overlap(lists, {})
    assert found.cca is None and found.adjusted is None


def test_where_no_review_could_list_another_s_trials_nothing_is_left_to_adjust_to() -> None:
    dates = {1: span_of("1990"), 2: span_of("2020")}
    found = overlap([(span_of("2000"), frozenset({1})), (span_of("2010"), frozenset({1}))], dates)
    assert found.cca == 1 and found.adjusted == 1
    # The one trial that both could list is in both lists' union, but the second review lists only a later one of its own.
    one = overlap([(span_of("1995"), frozenset({1})), (None, frozenset({2}))], {1: None, 2: span_of("2020")})
    assert one.later == 1 and one.cca == 0 and one.adjusted == 0
    two = overlap(
        [(span_of("1995"), frozenset({1})), (span_of("1996"), frozenset({2}))], {1: span_of("2021"), 2: span_of("2020")}
    )
    assert two.later == 2 and two.cca == 0 and two.adjusted is None


@pytest.mark.parametrize(
    ("one", "other", "later"),
    [
        ("2019", "2018", True), ("2018", "2018", False), ("2018-05", "2018", False), ("2018-05", "2018-04", True),
        ("2018-05-03", "2018-05", False), ("2018-05-03", "2018-05-02", True), ("2018-05-03", "2018-05-03", False),
        ("2018-06", "2018-05-31", True), ("2019-01", "2018", True), (None, "2018", False), ("2018", None, False),
    ],
)  # fmt: skip
def test_later_only_where_the_dates_tell(one: str | None, other: str | None, later: bool) -> None:
    assert after(span_of(one), span_of(other)) is later


def test_a_report_appeared_with_its_first_version() -> None:
    assert earliest([span_of("2020"), span_of("2019-05"), None]) == ("2019-05-01", "2019-05-31")
    assert earliest([span_of("2019"), span_of("2019-05-02")]) == ("2019-01-01", "2019-05-02")
    assert earliest([None]) is None


DATES = st.one_of(
    st.none(),
    st.integers(1998, 2003).map(str),
    st.builds("{}-{:02d}".format, st.integers(1999, 2002), st.integers(1, 12)),
    st.builds("{}-{:02d}-{:02d}".format, st.integers(2000, 2001), st.integers(1, 12), st.integers(1, 28)),
)
REVIEWS = st.lists(st.tuples(DATES, st.frozensets(st.integers(0, 7))), max_size=6)


@given(REVIEWS, st.lists(DATES, min_size=8, max_size=8))
def test_as_counted_cell_by_cell(
    reviews: list[tuple[str | None, frozenset[int]]], study_dates: list[str | None]
) -> None:
    dates = {number: span_of(date) for number, date in enumerate(study_dates)}
    lists = [(span_of(date), studies) for date, studies in reviews]
    found = overlap(lists, dates)
    rows = sorted({study for _, studies in reviews for study in studies})
    columns = [(date, studies) for date, studies in reviews if studies]
    ticks = zeros = possible = 0
    for study, (date, studies) in product(rows, columns):
        ticks += study in studies
        if study in studies:
            possible += 1
        elif date and study_dates[study] and _certainly_later(study_dates[study] or "", date):
            zeros += 1
        else:
            possible += 1
    assert (found.reviews, found.trials, found.listed, found.later) == (len(columns), len(rows), ticks, zeros)
    extra = ticks - len(rows)
    assert found.cca == (Fraction(extra, len(rows) * len(columns) - len(rows)) if len(columns) > 1 else None)
    assert found.adjusted == (Fraction(extra, possible - len(rows)) if possible > len(rows) else None)
    if found.cca is not None and found.adjusted is not None:
        assert 0 <= found.cca <= found.adjusted <= 1
    for pair in pairs([(span_of(date), studies) for date, studies in columns], dates):
        of_pair = overlap(
            [(span_of(date), studies) for date, studies in (columns[pair.first], columns[pair.second])], dates
        )
        assert (pair.cca, pair.adjusted, pair.later) == (of_pair.cca, of_pair.adjusted, of_pair.later)


def _certainly_later(one: str, other: str) -> bool:
    """Compared part by part: later in the first part in which they differ, and not at all where one is less precise."""
    for first, second in zip(one.split("-"), other.split("-"), strict=False):
        if first != second:
            return int(first) > int(second)
    return False
