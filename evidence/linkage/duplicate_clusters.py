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

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import combinations, islice, pairwise, product

from evidence.data_model import Work
from evidence.linkage import field_comparison
from evidence.linkage.same_work import (
    NOTICE,
    Candidate,
    ComparableRecord,
    Comparison,
    PairVerdict,
    comparable_record,
    contradiction,
    explanation,
    verdict,
)

__all__ = ["Candidate", "Cluster", "Pair", "build_clusters", "candidate_of_work", "find_pairs", "pairs_to_check"]

MAX_BLOCK = 40
"""Records of one block are compared each with each. A block with more records than this is divided by author, year and place."""
RARE_WORDS = 3
"""The number of a title's rarest words that are used as keys, two at a time."""


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


def find_pairs(candidates: Iterable[Candidate]) -> tuple[Pair, ...]:
    """Every pair that is one work or may be, sorted by keys. ValueError when two candidates have the same key.

    Only records that share one of their `_keys` are compared, so the cost does not grow with the square of the records.
    """
    records = [comparable_record(candidate) for candidate in candidates]
    key, times = next(iter(Counter(record.source.key for record in records).most_common(1)), ("", 0))
    if times > 1:
        raise ValueError(f"the key {key!r} stands for {times} candidates; keys must be unique")
    found = (_pair(records[one], records[two]) for one, two in _blocked(records))
    return tuple(sorted(filter(None, found), key=lambda pair: (pair.first, pair.second)))


def _pair(one: ComparableRecord, two: ComparableRecord) -> Pair | None:
    first, second = sorted((one, two), key=lambda record: record.source.key)
    of = Comparison(first, second)
    found = verdict(of)
    return None if found is None else Pair(first.source.key, second.source.key, found, explanation(of))


# --- which records are compared ---------------------------------------------------------------------------------------


def _blocked(records: Sequence[ComparableRecord]) -> set[tuple[int, int]]:
    """Index pairs worth comparing."""
    rarity = Counter(word for record in records if record.title for word in record.title.telling)
    blocks: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for number, record in enumerate(records):
        for key in set(_keys(record, rarity)):
            blocks[key].append(number)
    found: set[tuple[int, int]] = set()
    for members in blocks.values():
        for part in _divided(members, records):
            found.update(combinations(part, 2))
    return found


def _keys(record: ComparableRecord, rarity: Counter[str]) -> Iterator[tuple[str, ...]]:
    """Keys of which two records of one work share at least one, even if one field is misspelt or missing."""
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


_DIVISIONS: tuple[Callable[[ComparableRecord], object], ...] = (
    lambda record: record.people[:1],
    lambda record: record.year,
    lambda record: (record.volume, record.pages),
)


def _divided(members: list[int], records: Sequence[ComparableRecord]) -> Iterator[list[int]]:
    """The block, or its parts if it is too large. A part that is still too large agrees in everything: each of its records
    is compared with the next."""
    parts = [members]
    for division in _DIVISIONS:
        smaller = []
        for part in parts:
            if len(part) <= MAX_BLOCK:
                smaller.append(part)
                continue
            divided: dict[object, list[int]] = defaultdict(list)
            for number in part:
                divided[division(records[number])].append(number)
            smaller += divided.values()
        parts = smaller
    for part in parts:
        yield from [part] if len(part) <= MAX_BLOCK else map(list, pairwise(part))


# --- which pairs make one work ---------------------------------------------------------------------------------------


def build_clusters(
    pairs: Iterable[Pair], candidates: Iterable[Candidate], apart: Collection[tuple[str, str]] = ()
) -> tuple[Cluster, ...]:
    """Works with two records or more, sorted by the preferred key. KeyError when a pair names no candidate.

    `same` pairs are taken in order of their keys. Two groups are joined only if no record of one contradicts a record of the
    other, so that a vague record cannot join Part 1 and Part 2. `apart` are pairs of keys, the smaller first, that a person
    decided are two works; they count as contradictions. Pairs that were not joined are among `pairs_to_check`.
    """
    same = sorted((pair for pair in pairs if pair.verdict == "same"), key=lambda pair: (pair.first, pair.second))
    named = {key for pair in same for key in (pair.first, pair.second)}
    records = {candidate.key: comparable_record(candidate) for candidate in candidates if candidate.key in named}
    group = {key: _Group(key, record) for key, record in records.items()}
    set_apart: dict[str, list[str]] = defaultdict(list)
    for first, second in apart:
        set_apart[first].append(second)
        set_apart[second].append(first)
    for pair in same:
        fewer, more = sorted((group[pair.first], group[pair.second]), key=lambda one: len(one.members))
        if fewer is more:
            continue
        if any(group.get(other) is more for key in fewer.members for other in set_apart.get(key, ())):
            continue
        if fewer.contradicts(more):
            continue
        more.take(fewer)
        group.update(dict.fromkeys(fewer.members, more))
    # Groups that contradict each other are never joined later, so a pair within one group is one that joined it.
    reasons: dict[int, list[str]] = defaultdict(list)
    for pair in same:
        if group[pair.first] is group[pair.second]:
            reasons[id(group[pair.first])].append(pair.reason)
    made = []
    for one in {id(one): one for one in group.values() if len(one.members) > 1}.values():
        preferred = _preferred([records[key] for key in one.members])
        made.append(Cluster(preferred, tuple(sorted(one.members)), tuple(reasons[id(one)])))
    return tuple(sorted(made, key=lambda cluster: cluster.preferred))


MOST_DESCRIPTIONS = 40
"""Different descriptions of one work that are compared with another group's. No work has so many; a source that repeats a record
thousands of times, each time a little changed, must not cost the square of them."""


class _Group:
    """Records that were found to be one work. Records that differ in nothing but key and DOI are compared as one description: a
    work registered a thousand times costs as much as one registered twice."""

    def __init__(self, key: str, record: ComparableRecord) -> None:
        self.members = [key]
        self.descriptions: dict[Candidate, _SameDescription] = {
            replace(record.source, key="", doi=None, registered=None): {_stem(record): {record.doi: record}}
        }

    def take(self, other: _Group) -> None:
        """Join the records of another group."""
        self.members += other.members
        for description, by_stem in other.descriptions.items():
            ours = self.descriptions.setdefault(description, by_stem)
            if ours is not by_stem:
                for stem, records in by_stem.items():
                    ours[stem] = ours.get(stem, {}) | records

    def contradicts(self, other: _Group) -> bool:
        """Whether a record of one group is clearly another work than a record of the other."""
        ours, theirs = (islice(group.descriptions.values(), MOST_DESCRIPTIONS) for group in (self, other))
        return any(_contradict(*pair) for one, two in product(ours, theirs) for pair in _examples(one, two))


_SameDescription = dict[str | None, dict[str | None, ComparableRecord]]
"""Records by DOI without its version, and by DOI; None for no DOI."""


def _stem(record: ComparableRecord) -> str | None:
    return field_comparison.doi_without_version(record.doi) if record.doi else None


def _examples(one: _SameDescription, two: _SameDescription) -> Iterator[tuple[ComparableRecord, ComparableRecord]]:
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


def _any(records: dict[str | None, ComparableRecord]) -> ComparableRecord:
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


def _preferred(records: Sequence[ComparableRecord]) -> str:
    """The key of the record that represents the work. In this order: records with a DOI, articles, other kinds, posted content;
    the latest version of a document; the most fields; the first registered; the earliest year; the smallest key."""

    def rank(record: ComparableRecord) -> tuple[bool, int, int, int, str, int, str]:
        source = record.source
        kind = 2 if record.posted else 0 if (source.kind or "").lower() in _ARTICLES else 1
        filled = sum(getattr(source, field.name) is not None for field in fields(source))
        registered, year = source.registered or "9999", record.year or 9999
        return not source.doi, kind, -field_comparison.doi_version(record.doi), -filled, registered, year, source.key

    return min(records, key=rank).source.key


_ARTICLES = frozenset(("journal-article", "article"))
