"""Duplicates: which records are one work, why, and which record represents it.

It proposes pairs and clusters and explains them. It may not store anything or read a database. `same_work` judges one pair; the
policy is:

* Title and year alone are never enough, and records without a title are merged only if their DOI is the same. The authors must
  agree too, and the place in print (volume and pages, or container and year) must not contradict. Two records with *two* DOIs
  must agree in their place in print; otherwise a person decides.
* A notice (erratum, retraction, reply, comment, book review) is never the study. Part 2 is not Part 1, a protocol not its review,
  a conference abstract not the later article, another edition or a reprint elsewhere not the original: such pairs are
  doubtful at most. An article with a translated title is the same work: nothing else fills its pages.
* A preprint is related to its article, but is not a duplicate: doubtful. A *posted copy* of a work that was in print in an
  earlier year is the same text (some registrants do this for famous papers) and is merged into it.
* Versions of one document (Cochrane's `.pub2` and `.pub3`, a preprint's `.v1` and `.v2`) are one work, represented by the
  latest. A Cochrane DOI without `.pub` is often the protocol: doubtful.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from itertools import islice, product

from evidence.data_model import Work
from evidence.linkage import field_comparison
from evidence.linkage.same_work import (
    NOTICE,
    POSTED,
    Candidate,
    ComparableRecord,
    Comparison,
    PairVerdict,
    comparable_record,
    contradiction,
    explanation,
    place_in_print,
    verdict,
)
from evidence.linkage.shared_keys import Outlines

__all__ = [
    "Candidate",
    "Cluster",
    "Pair",
    "Records",
    "build_clusters",
    "candidate_of_work",
    "find_pairs",
    "pairs_to_check",
]

RECENT = 2000
"""Records kept as they were read for comparing: the pairs of one record come one after the other, and many share the other
record too."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two keys, the smaller first, with a verdict. `reason` is a sentence: what agrees and what does not."""

    first: str
    second: str
    verdict: PairVerdict
    reason: str


@dataclass(frozen=True, slots=True)
class Cluster:
    """Records of one work: `members` sorted, `preferred` among them; `reasons` of the pairs that joined them."""

    preferred: str
    members: tuple[str, ...]
    reasons: tuple[str, ...]


def candidate_of_work(work: Work) -> Candidate:
    """A Crossref record as a candidate; its key is its DOI."""
    authors = (
        ", ".join(filter(None, (author.family, author.given))) or author.name
        for author in work.authors
        if author.role == "author"
    )
    return Candidate(
        key=work.doi,
        doi=work.doi,
        title=work.title,
        authors="; ".join(filter(None, authors)) or None,
        year=str(work.year) if work.year is not None else None,
        container=work.container,
        volume=work.volume,
        issue=work.issue,
        pages=work.pages,
        abstract=work.abstract,
        kind=NOTICE if work.notice_of else work.kind,
        isbn=" ".join(work.isbn) or None,
        issn=" ".join(work.issn) or None,
    )


class Records(ABC):
    """Candidates that are kept elsewhere and read when they are needed: a million of them need not be in memory."""

    @abstractmethod
    def outlines(self) -> Iterator[Candidate]:
        """Every candidate once. Only key, DOI, title, authors, year, container, volume and pages must be filled."""

    @abstractmethod
    def read(self, key: str) -> Candidate:
        """The candidate with this key and all its fields. KeyError when there is none."""


class _Held(Records):
    """Candidates in memory."""

    def __init__(self, candidates: Iterable[Candidate]) -> None:
        held = list(candidates)
        key, times = next(iter(Counter(candidate.key for candidate in held).most_common(1)), ("", 0))
        if times > 1:
            raise ValueError(f"the key {key!r} stands for {times} candidates; keys must be unique")
        self._by_key = {candidate.key: candidate for candidate in held}

    def outlines(self) -> Iterator[Candidate]:
        return iter(self._by_key.values())

    def read(self, key: str) -> Candidate:
        return self._by_key[key]


def _records(candidates: Iterable[Candidate] | Records) -> Records:
    return candidates if isinstance(candidates, Records) else _Held(candidates)


def find_pairs(candidates: Iterable[Candidate] | Records) -> tuple[Pair, ...]:
    """Every pair that is one work or may be, sorted by keys. ValueError when two candidates have the same key.

    Only records that `shared_keys` finds worth it are compared, so the cost does not grow with the square of the records.
    """
    records = _records(candidates)
    outlines = Outlines(records.outlines())

    @lru_cache(maxsize=RECENT)
    def record(number: int) -> ComparableRecord:
        return comparable_record(records.read(outlines.keys[number]))

    found = (_pair(record(one), record(two)) for one, two in outlines.pairs())
    return tuple(sorted(filter(None, found), key=lambda pair: (pair.first, pair.second)))


def _pair(one: ComparableRecord, two: ComparableRecord) -> Pair | None:
    first, second = sorted((one, two), key=lambda record: record.source.key)
    of = Comparison(first, second)
    found = verdict(of)
    return None if found is None else Pair(first.source.key, second.source.key, found, explanation(of))


# --- which pairs make one work ---------------------------------------------------------------------------------------


def build_clusters(
    pairs: Iterable[Pair], candidates: Iterable[Candidate] | Records, apart: Collection[tuple[str, str]] = ()
) -> tuple[Cluster, ...]:
    """Works with two records or more, sorted by the preferred key. KeyError when a pair names no candidate.

    `same` pairs are taken in order of their keys. Two groups are joined only if no record of one contradicts a record of the
    other, so that a vague record cannot join Part 1 and Part 2. `apart` are pairs of keys, the smaller first, that a person
    decided are two works; they count as contradictions. Pairs that were not joined are among `pairs_to_check`.
    """
    records = _records(candidates)
    same = sorted((pair for pair in pairs if pair.verdict == "same"), key=lambda pair: (pair.first, pair.second))
    set_apart: dict[str, list[str]] = defaultdict(list)
    for first, second in apart:
        set_apart[first].append(second)
        set_apart[second].append(first)
    made = (cluster for connected in _connected(same) for cluster in _joined(connected, records, set_apart))
    return tuple(sorted(made, key=lambda cluster: cluster.preferred))


def _connected(pairs: Sequence[Pair]) -> Iterable[list[Pair]]:
    """The pairs in parts that have no record in common, each in the order of the pairs: one part at a time is read."""
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        above = parent.setdefault(key, key)
        while above != key:
            parent[key] = parent[above]
            key, above = above, parent[above]
        return key

    for pair in pairs:
        parent[root(pair.second)] = root(pair.first)
    parts: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        parts[root(pair.first)].append(pair)
    return parts.values()


def _joined(same: Sequence[Pair], source: Records, set_apart: Mapping[str, Sequence[str]]) -> Iterator[Cluster]:
    """The clusters of connected pairs."""
    parse = lru_cache(maxsize=RECENT)(comparable_record)
    candidates = {
        key: source.read(key) for key in dict.fromkeys(key for pair in same for key in (pair.first, pair.second))
    }
    group = {key: _Group(candidate) for key, candidate in candidates.items()}
    for pair in same:
        fewer, more = sorted((group[pair.first], group[pair.second]), key=lambda one: len(one.members))
        if fewer is more:
            continue
        if any(group.get(other) is more for key in fewer.members for other in set_apart.get(key, ())):
            continue
        # Two single records do not contradict each other: they were compared when the pair was found.
        if len(more.members) > 1 and fewer.contradicts(more, parse):
            continue
        more.take(fewer)
        group.update(dict.fromkeys(fewer.members, more))
    # Groups that contradict each other are never joined later, so a pair within one group is one that joined it.
    reasons: dict[int, list[str]] = defaultdict(list)
    for pair in same:
        if group[pair.first] is group[pair.second]:
            reasons[id(group[pair.first])].append(pair.reason)
    for one in {id(one): one for one in group.values() if len(one.members) > 1}.values():
        preferred = _preferred([candidates[key] for key in one.members])
        yield Cluster(preferred, tuple(sorted(one.members)), tuple(reasons[id(one)]))


MOST_DESCRIPTIONS = 40
"""Different descriptions of one work that are compared with another group's. No work has so many; a source that repeats a record
thousands of times, each time a little changed, must not cost the square of them."""


class _Group:
    """Records that were found to be one work. Records that differ in nothing but key and DOI are compared as one description: a
    work registered a thousand times costs as much as one registered twice."""

    def __init__(self, candidate: Candidate) -> None:
        doi = field_comparison.read_doi(candidate.doi)
        stem = field_comparison.doi_without_version(doi) if doi else None
        self.members = [candidate.key]
        self.descriptions: dict[Candidate, _SameDescription] = {
            replace(candidate, key="", doi=None, registered=None): {stem: {doi: candidate}}
        }

    def take(self, other: _Group) -> None:
        """Join the records of another group."""
        self.members += other.members
        for description, by_stem in other.descriptions.items():
            ours = self.descriptions.setdefault(description, by_stem)
            if ours is not by_stem:
                for stem, records in by_stem.items():
                    ours[stem] = ours.get(stem, {}) | records

    def contradicts(self, other: _Group, parse: Callable[[Candidate], ComparableRecord]) -> bool:
        """Whether a record of one group is clearly another work than a record of the other."""
        ours, theirs = (islice(group.descriptions.values(), MOST_DESCRIPTIONS) for group in (self, other))
        examples = (pair for one, two in product(ours, theirs) for pair in _examples(one, two))
        return any(_contradict(parse(one), parse(two)) for one, two in examples)


_SameDescription = dict[str | None, dict[str | None, Candidate]]
"""Records by DOI without its version, and by DOI; None for no DOI."""


def _examples(one: _SameDescription, two: _SameDescription) -> Iterator[tuple[Candidate, Candidate]]:
    """Pairs of records, one of each description, in which their DOIs relate in every way that occurs: no DOI, the same or a
    version of it, another."""
    first, second = next(iter(one)), next(iter(two))
    if None in one or None in two:
        yield _any(one[None] if None in one else one[first]), _any(two[None] if None in two else two[second])
    shared = [
        stem for stem in (one if len(one) < len(two) else two) if stem is not None and stem in one and stem in two
    ]
    for stem in shared[:MOST_DESCRIPTIONS]:
        yield from product(one[stem].values(), two[stem].values())
    stems = [[stem for stem in islice(of, 3) if stem is not None] for of in (one, two)]
    for this, that in product(*stems):
        if this != that:
            yield _any(one[this]), _any(two[that])
            return


def _any(records: dict[str | None, Candidate]) -> Candidate:
    return next(iter(records.values()))


def pairs_to_check(pairs: Iterable[Pair], clusters: Iterable[Cluster]) -> tuple[Pair, ...]:
    """The pairs for a person to check: doubtful pairs, and `same` pairs that a contradiction kept apart.

    Of the pairs between two clusters only one is returned: that of their preferred records, or else the first.
    """
    preferred = {key: cluster.preferred for cluster in clusters for key in cluster.members}
    chosen: dict[tuple[str, ...], Pair] = {}
    for pair in pairs:
        ends = tuple(sorted((preferred.get(pair.first, pair.first), preferred.get(pair.second, pair.second))))
        if ends[0] != ends[1] and (ends not in chosen or ends == (pair.first, pair.second)):
            chosen[ends] = pair
    return tuple(sorted(chosen.values(), key=lambda pair: (pair.first, pair.second)))


def _contradict(first: ComparableRecord, second: ComparableRecord) -> bool:
    """Whether the two are clearly two works, as a person would say who sees them side by side."""
    of = Comparison(first, second)
    if contradiction(of):
        return True
    if verdict(of) == "same":
        return False
    if of.title in {"words", "other"} or of.people == "other" or (of.formula and of.issue == "other"):
        return True
    if of.doi == "other" and not (first.posted or second.posted):
        return True
    return of.elsewhere


def _preferred(records: Sequence[Candidate]) -> str:
    """The key of the record that represents the work. In this order: records with a DOI, articles, other kinds, posted content;
    the latest version of a document; the most fields; the first registered; the earliest year; the smallest key."""

    def rank(record: Candidate) -> tuple[bool, int, int, int, str, int, str]:
        stated = (record.kind or "").lower()
        kind = 2 if stated in POSTED else 0 if stated in _ARTICLES else 1
        version = field_comparison.doi_version(field_comparison.read_doi(record.doi))
        filled = sum(getattr(record, field.name) is not None for field in fields(record))
        registered, year = record.registered or "9999", place_in_print(record).year or 9999
        return not record.doi, kind, -version, -filled, registered, year, record.key

    return min(records, key=rank).key


_ARTICLES = frozenset(("journal-article", "article"))
