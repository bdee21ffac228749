"""Which records are compared: every pair that shares a key and may be one work, read from where the records are kept."""

from __future__ import annotations

import random
import tracemalloc
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations, pairwise
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from benchmarks.duplicate_detection import synthetic_works
from evidence.linkage import field_comparison, shared_keys
from evidence.linkage.duplicate_clusters import Candidate, Pair, Records, _contradict, build_clusters, find_pairs
from evidence.linkage.same_work import ComparableRecord, Comparison, comparable_record, verdict
from evidence.linkage.shared_keys import MAX_BLOCK, RARE_WORDS, Outlines

WORDS = (
    "interpersonal",
    "psychotherapy",
    "psychotherapies",
    "for",
    "depression",
    "in",
    "adolescents",
    "trial",
    "vs",
    "part",
    "1",
    "12",
    "2",
)
PHRASES = (
    "Editorial", "Erratum: Interpersonal psychotherapy for depression", "Interpersonal psychotherapy for depression: reply",
    "Interpersonal psychotherapy (IPT) for depression", "Therapy A vs therapy B: a randomised trial in adolescents",
    "Therapy A versus therapy B", "A randomised trial in adolescents", "Interpersonal psychotherapy for depression (3)",
    "Interpersonal psychotherapy for depression: a trial in 12 adolescents", "Veränderung in der Psychotherapie", "UNKNOWN",
    "Psychotherapy for depression 1 2 in adolescents", "Psychotherapy for depression 12 in adolescents",
)  # fmt: skip
ROWS = st.fixed_dictionaries(
    {"title": st.sampled_from(PHRASES) | st.lists(st.sampled_from(WORDS), min_size=1, max_size=9).map(" ".join)},
    optional={
        "authors": st.sampled_from(["Lipsitz, J.; Markowitz, J. C.", "Markowitz JC", "Weissman, M. M.", "The Study Group"]),
        "year": st.sampled_from(["2013", "2014", "2019", "0000", "n.d."]),
        "container": st.sampled_from(["Clinical Psychology Review", "Clin Psychol Rev", "FOCUS"]),
        "volume": st.sampled_from(["1", "33", "2013", "Jul"]),
        "issue": st.sampled_from(["1", "2"]),
        "pages": st.sampled_from(["1134-47", "1134", "s1134-47", "e12", "1-9", "1-900", "1140-1147"]),
        "abstract": st.sampled_from(["word " * 60, "other " * 60]),
        "doi": st.sampled_from(["10.1016/j.cpr.2013.09.002", "10.1002/cpp.1774", "none"])
        | st.sampled_from([f"10.1002/14651858.cd1{end}" for end in ("", ".pub2", ".pub3")]),
        "kind": st.sampled_from(["journal-article", "posted-content", "notice", "inproceedings"]),
        "issn": st.sampled_from(["0272-7358", "1541-4094"]),
    },
)  # fmt: skip
NOTHING: dict[str, str | None] = {"title": None}


def _judged(one: ComparableRecord, two: ComparableRecord) -> str | None:
    first, second = sorted((one, two), key=lambda record: record.source.key)
    return verdict(Comparison(first, second))


@settings(max_examples=400, deadline=None)
@given(st.lists(ROWS | st.just(NOTHING), min_size=2, max_size=8))
def test_only_what_is_certainly_two_works_is_left_out(rows: list[dict[str, str]]) -> None:
    records = [Candidate(key=f"{number}", **row) for number, row in enumerate(rows)]
    parsed, outlines = [comparable_record(record) for record in records], Outlines(records)
    for one, two in combinations(range(len(records)), 2):
        assert not outlines._two_works(one, two) or _judged(parsed[one], parsed[two]) is None


PLACED = Candidate(
    "a",
    title="Mechanisms of change in therapy",
    authors="Lipsitz, J.",
    year="2013",
    container="CPR",
    volume="33",
    pages="1134-1147",
)
TITLES = (
    PLACED.title, "Mechanisms of change", "Veränderung in der Psychotherapie", "Mechanisms of chance in therapies",
    "Mechanisms of change in therapy: a trial", "Mechanisms of change vs therapy: a trial", "Mechanisms of change versus therapy",
    "Mechanisms of change in therapy 1 2", "Mechanisms of change in therapies 12", "Mechanisms of change in therapy 3",
    "A trial", "Reply: mechanisms of change in therapy", "Editorial", None,
)  # fmt: skip
NEAR = st.fixed_dictionaries(
    {"title": st.sampled_from(TITLES)},
    optional={
        "authors": st.sampled_from(["Lipsitz, J.; Weissman, M. M.", "Weissman, M. M.", None]),
        "year": st.sampled_from(["2014", "2019", None]),
        "container": st.sampled_from(["CPR", "FOCUS", None]),
        "volume": st.sampled_from(["34", None]),
        "issue": st.sampled_from(["1", "2"]),
        "pages": st.sampled_from(["s1134-47", "1134-1150", "1-900", None]),
        "doi": st.sampled_from([f"10.1002/14651858.cd1{end}" for end in ("", ".pub2", ".pub3")]),
    },
)
"""Records that are nearly one work."""


@settings(max_examples=1500, deadline=None)
@given(NEAR, NEAR)
def test_records_that_may_be_one_work_are_compared(one: dict[str, Any], two: dict[str, Any]) -> None:
    records = [replace(PLACED, **one), replace(PLACED, key="b", **two)]
    found = _judged(*map(comparable_record, records))
    assert found is None or not Outlines(records)._two_works(0, 1)


OTHER = "Veränderung in der Psychotherapie"


@pytest.mark.parametrize(
    ("one", "two", "why"),
    [
        ({"doi": "10.1002/1.pub2", "pages": None}, {"doi": "10.1002/1.pub3", "title": OTHER, "pages": None}, "versions"),
        ({}, {"title": OTHER}, "a translation on the same pages"),
        ({}, {"title": OTHER, "year": "2014"}, "a translation, and the year is near"),
        ({}, {"title": OTHER, "volume": None}, "a translation, and no volume"),
        ({"title": "Editorial"}, {"title": "Editorial"}, "a title that many works have, in one place"),
        ({"title": "Therapy A vs B: a new controlled trial"}, {"title": "Therapy A vs B"}, "a title and its beginning"),
        ({"title": "Mechanisms of change: authors reply", "pages": "1134"}, {"title": "Authors reply", "pages": "1134"},
            "a part of the title that its parsed form lacks"),
        ({"title": "A new trial: mechanisms 1 2", "pages": None}, {"title": "A new trial of mechanisms 12", "pages": None},
            "numbers that are divided otherwise"),
        ({"title": "Mechanisms of change 1"}, {"title": "Mechanisms of change 2"}, "other numbers on the same pages"),
        ({"pages": None}, {"pages": None, "title": "Mechanisms of chnge in terapy"}, "misspellings"),
    ],
)  # fmt: skip
def test_what_is_compared(one: dict[str, Any], two: dict[str, Any], why: str) -> None:
    records = [replace(PLACED, **one), replace(PLACED, key="b", **two)]
    assert _judged(*map(comparable_record, records)), why
    assert not Outlines(records)._two_works(0, 1), why


@pytest.mark.parametrize(
    "other",
    [
        {"title": OTHER, "year": "2019"},
        {"title": OTHER, "volume": "34"},
        {"title": OTHER, "pages": "1134-1148"},
        {"title": OTHER, "year": "2014", "volume": None},
        {"title": None, "pages": None},
        {"title": "Mechanisms of change in therapy 2", "pages": "1-9"},
    ],
)
def test_what_is_left_out(other: dict[str, Any]) -> None:
    numbered = replace(PLACED, title="Mechanisms of change in therapy 1")
    assert Outlines([numbered, replace(numbered, key="b", **other)])._two_works(0, 1)


# --- beside a plain implementation -----------------------------------------------------------------------------------


def _plain_keys(record: ComparableRecord, rarity: Counter[str]) -> Iterator[tuple[str, ...]]:
    if record.doi:
        yield "doi", field_comparison.doi_without_version(record.doi)
    names = record.people[0].names[:2] if record.people else ()
    if record.pages and record.volume:
        yield "place", record.volume, str(record.pages.first)
    if record.pages and record.year:
        for name in names:
            yield "page", name[:4], str(record.year), str(record.pages.first)
    if record.title is None:
        return
    yield "start", record.title.glued[:24]
    yield "end", record.title.glued[-24:]
    rare = sorted(record.title.telling, key=lambda word: (rarity[word], word))[:RARE_WORDS]
    for one, two in combinations(sorted(rare), 2):
        yield "words", one, two
    for name in names:
        for word in rare[:2]:
            yield "author", name[:5], word


def _plain_parts(block: list[int], records: Sequence[ComparableRecord], largest: int) -> Iterator[Sequence[int]]:
    divisions: tuple[Callable[[ComparableRecord], object], ...] = (
        lambda record: record.people[:1],
        lambda record: record.year,
        lambda record: (record.volume, record.pages),
    )
    parts = [block]
    for division in divisions:
        smaller: list[list[int]] = []
        for part in parts:
            divided: dict[object, list[int]] = defaultdict(list)
            for number in part:
                divided[division(records[number]) if len(part) > largest else None].append(number)
            smaller += divided.values()
        parts = smaller
    for part in parts:
        yield from [part] if len(part) <= largest else pairwise(part)


def _plain_pairs(
    candidates: Iterable[Candidate], largest: int = MAX_BLOCK
) -> tuple[set[tuple[int, int]], list[tuple[str, str]]]:
    """The pairs that share a block, and the keys of those among them that are one work or may be, with everything in memory."""
    records = [comparable_record(candidate) for candidate in candidates]
    rarity = Counter(word for record in records if record.title for word in record.title.telling)
    blocks: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for number, record in enumerate(records):
        for key in set(_plain_keys(record, rarity)):
            blocks[key].append(number)
    shared = {
        pair
        for block in blocks.values()
        for part in _plain_parts(block, records, largest)
        for pair in combinations(part, 2)
    }
    found = (
        sorted((records[a].source.key, records[b].source.key)) for a, b in shared if _judged(records[a], records[b])
    )
    return shared, sorted((first, second) for first, second in found)


@settings(max_examples=150, deadline=None)
@given(st.lists(ROWS | st.just(NOTHING), min_size=2, max_size=16), st.integers(1, 6))
@example([{"title": "Editorial", "year": "2013"}] * 6, 2)
@example([{"title": "Editorial", "year": "2013"}] * 3, 2)
def test_the_pairs_are_those_of_comparing_all_that_share_a_key(rows: list[dict[str, str]], largest: int) -> None:
    candidates = [Candidate(key=f"{number:02}", **row) for number, row in enumerate(rows)]
    shared, found = _plain_pairs(candidates, largest)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(shared_keys, "MAX_BLOCK", largest)
        assert {(one, two) for one, others in Outlines(candidates)._shared.pairs() for two in others} == shared
        assert [(pair.first, pair.second) for pair in find_pairs(candidates)] == found


@pytest.mark.slow
def test_nothing_is_lost_among_thousands() -> None:
    works = list(synthetic_works(3000))
    _, found = _plain_pairs(works)
    assert [(pair.first, pair.second) for pair in find_pairs(works)] == found
    assert len(found) > 200


# --- records that are kept elsewhere ---------------------------------------------------------------------------------


class _Elsewhere(Records):
    """Counts how often each record is read."""

    def __init__(self, candidates: Iterable[Candidate]) -> None:
        self._by_key = {candidate.key: candidate for candidate in candidates}
        self.reads: Counter[str] = Counter()

    def outlines(self) -> Iterator[Candidate]:
        for candidate in self._by_key.values():
            yield replace(candidate, issue=None, abstract=None, kind=None, isbn=None, issn=None, registered=None)

    def read(self, key: str) -> Candidate:
        self.reads[key] += 1
        return self._by_key[key]


@settings(max_examples=100, deadline=None)
@given(st.lists(ROWS, min_size=2, max_size=8))
def test_records_kept_elsewhere_are_compared_in_all_their_fields(rows: list[dict[str, str]]) -> None:
    candidates = [Candidate(key=f"{number}", **row) for number, row in enumerate(rows)]
    found = find_pairs(candidates)
    assert find_pairs(_Elsewhere(candidates)) == found
    assert build_clusters(found, _Elsewhere(candidates)) == build_clusters(found, candidates)


def test_each_record_is_read_once_to_find_the_pairs_and_others_are_not_read() -> None:
    works = list(synthetic_works(2000))
    random.Random(1).shuffle(works)
    kept = _Elsewhere(works)
    pairs = find_pairs(kept)
    assert max(kept.reads.values()) == 1
    assert {key for pair in pairs for key in (pair.first, pair.second)} <= kept.reads.keys()
    assert len(kept.reads) < len(works) / 2


def test_a_pair_of_a_record_that_is_not_there() -> None:
    with pytest.raises(KeyError, match="gone"):
        build_clusters([Pair("a", "gone", "same", "Titles agree.")], [PLACED])


def _peak(work: Callable[[], object]) -> int:
    tracemalloc.start()
    kept = work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    del kept
    return peak


@pytest.mark.slow
def test_a_record_that_is_not_compared_takes_a_fraction_of_its_parsed_form() -> None:
    works = list(synthetic_works(2000))
    list(Outlines(works).pairs())  # fills the caches of names and words
    parsed = _peak(lambda: [comparable_record(work) for work in works])
    outlines = _peak(lambda: list(Outlines(works).pairs()))
    assert outlines < 0.4 * parsed


@settings(max_examples=300, deadline=None)
@given(st.lists(ROWS, min_size=2, max_size=6))
def test_two_records_found_to_be_one_work_do_not_contradict_each_other(rows: list[dict[str, str]]) -> None:
    """So `build_clusters` need not compare two single records again."""
    by_key = {f"k{number}": Candidate(key=f"k{number}", **(NOTHING | row)) for number, row in enumerate(rows)}
    for pair in find_pairs(by_key.values()):
        if pair.verdict == "same":
            assert not _contradict(*(comparable_record(by_key[key]) for key in (pair.first, pair.second)))
