"""The same work under two DOIs, or in two exports: which pairs, why, and which record stands for the work.

It proposes and explains; it stores nothing, asks nobody, and any cluster can be undone by leaving a pair out. What was
decided once (how, is `identity`'s):

* Title and year alone never merge, and nothing without a title does unless the DOI is the same. The authors must agree as
  well, and where it was printed (volume and pages, or container and year) must not speak against it. Two records with *two*
  DOIs must agree in their place in print; else they wait for a person.
* A notice (erratum, retraction, reply, comment, book review) is never the study. Nor is Part 2 Part 1, a protocol its
  review, a conference abstract the later article, another edition or a reprint elsewhere the original: they are doubtful
  at most. One article whose title was translated is one work: nothing else fills its pages.
* A preprint is a relation of its article, not a duplicate: doubtful, for a person to see. A *posted copy* of a work that was
  in print in an earlier year is the same text (some prefixes register them for famous papers) and is merged into it.
* Versions of one document (Cochrane's `.pub2` and `.pub3`, a preprint's `.v1` and `.v2`) are one work, for which the latest
  stands. A Cochrane DOI without `.pub` is often the protocol: doubtful.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import combinations, pairwise

from evidence.linkage import field_comparison
from evidence.linkage.pairs import NOTICE, Candidate, Comparison, Record, Verdict, conflict, read, sentence, verdict
from evidence.model import Work

__all__ = ["Candidate", "Cluster", "Pair", "clusters", "of_work", "pairs", "waiting"]

MAX_BLOCK = 40
"""Records that share a key and are compared each with each; a larger block is divided by author, year and place first."""
RARE_WORDS = 3
"""How many of its rarest words a title is found by, two at a time."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two keys, the smaller first, and what is thought of them; `reason` is a sentence saying what agrees and what not."""

    first: str
    second: str
    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True)
class Cluster:
    """Records of one work: `members` sorted, `preferred` among them; `reasons` of the pairs that joined them."""

    preferred: str
    members: tuple[str, ...]
    reasons: tuple[str, ...]


def of_work(work: Work) -> Candidate:
    """The candidate a normalised Crossref record makes; its key is its DOI."""
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


def pairs(candidates: Iterable[Candidate]) -> tuple[Pair, ...]:
    """Every pair that is one work or may be, sorted by keys. ValueError when a key stands for two candidates.

    Only records that share a key of `_keys` are compared, so the cost grows with the records, not with their square.
    """
    records = [read(candidate) for candidate in candidates]
    key, times = next(iter(Counter(record.source.key for record in records).most_common(1)), ("", 0))
    if times > 1:
        raise ValueError(f"the key {key!r} stands for {times} candidates; keys must be unique")
    found = (_pair(records[one], records[two]) for one, two in _blocked(records))
    return tuple(sorted(filter(None, found), key=lambda pair: (pair.first, pair.second)))


def _pair(one: Record, two: Record) -> Pair | None:
    first, second = sorted((one, two), key=lambda record: record.source.key)
    of = Comparison(first, second)
    thought = verdict(of)
    return None if thought is None else Pair(first.source.key, second.source.key, thought, sentence(of))


# --- who is compared with whom ---------------------------------------------------------------------------------------


def _blocked(records: Sequence[Record]) -> set[tuple[int, int]]:
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


def _keys(record: Record, rarity: Counter[str]) -> Iterator[tuple[str, ...]]:
    """What a duplicate shares with its twin, whichever one field is misspelt or missing."""
    if record.doi:
        yield "doi", field_comparison.document(record.doi)
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


_DIVISIONS: tuple[Callable[[Record], object], ...] = (
    lambda record: record.people[:1],
    lambda record: record.year,
    lambda record: (record.volume, record.pages),
)


def _divided(members: list[int], records: Sequence[Record]) -> Iterator[list[int]]:
    """A block of bearable size, or its parts; what is still too large agrees in everything, and is chained."""
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


def clusters(
    pairs: Iterable[Pair], candidates: Iterable[Candidate], apart: Collection[tuple[str, str]] = ()
) -> tuple[Cluster, ...]:
    """Works with two records or more, sorted by the preferred key. KeyError when a pair names no candidate.

    `same` pairs are followed in order of their keys; two groups are joined only if no record of one contradicts a record
    of the other, so a vague record cannot glue Part 1 to Part 2. `apart` are pairs of keys, the smaller first, that a person
    says are two works: a contradiction too. What was refused is among `waiting`.
    """
    same = sorted((pair for pair in pairs if pair.verdict == "same"), key=lambda pair: (pair.first, pair.second))
    named = {key for pair in same for key in (pair.first, pair.second)}
    records = {candidate.key: read(candidate) for candidate in candidates if candidate.key in named}
    group = {key: [key] for key in records}
    reasons: dict[int, list[str]] = defaultdict(list)
    for pair in same:
        one, two = group[pair.first], group[pair.second]
        if one is not two:
            if any((min(a, b), max(a, b)) in apart or _contradict(records[a], records[b]) for a in one for b in two):
                continue
            reasons[id(one)] += reasons.pop(id(two), [])
            one.extend(two)
            group.update(dict.fromkeys(two, one))
        reasons[id(one)].append(pair.reason)
    made = []
    for members in {id(members): members for members in group.values() if len(members) > 1}.values():
        preferred = _preferred([records[key] for key in members])
        made.append(Cluster(preferred, tuple(sorted(members)), tuple(reasons[id(members)])))
    return tuple(sorted(made, key=lambda cluster: cluster.preferred))


def waiting(pairs: Iterable[Pair], clusters: Iterable[Cluster]) -> tuple[Pair, ...]:
    """What waits for a person: doubtful pairs, and `same` pairs that a contradiction kept apart.

    Two clusters are one question, asked once: by the pair of their preferred records, else by the first pair.
    """
    home = {key: cluster.preferred for cluster in clusters for key in cluster.members}
    asked: dict[tuple[str, ...], Pair] = {}
    for pair in pairs:
        homes = tuple(sorted((home.get(pair.first, pair.first), home.get(pair.second, pair.second))))
        if homes[0] != homes[1] and (homes not in asked or homes == (pair.first, pair.second)):
            asked[homes] = pair
    return tuple(sorted(asked.values(), key=lambda pair: (pair.first, pair.second)))


def _contradict(first: Record, second: Record) -> bool:
    """Would a person, shown these two side by side, say that they are two works?"""
    of = Comparison(first, second)
    if conflict(of):
        return True
    if verdict(of) == "same":
        return False
    if of.title in {"words", "other"} or of.people == "other" or (of.formula and of.issue == "other"):
        return True
    if of.doi == "other" and not (first.posted or second.posted):
        return True
    return of.elsewhere


def _preferred(records: Sequence[Record]) -> str:
    """The key of the record that stands for the work: an article before other kinds and these before posted content, the
    latest version of one document, the most complete, the first registered, the earliest, the smallest key."""

    def rank(record: Record) -> tuple[int, int, int, str, int, str]:
        source = record.source
        kind = 2 if record.posted else 0 if (source.kind or "").lower() in _ARTICLES else 1
        filled = sum(getattr(source, field.name) is not None for field in fields(source))
        registered, year = source.registered or "9999", record.year or 9999
        return kind, -field_comparison.version(record.doi), -filled, registered, year, source.key

    return min(records, key=rank).source.key


_ARTICLES = frozenset(("journal-article", "article"))
