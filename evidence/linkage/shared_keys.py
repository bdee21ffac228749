"""Which pairs of records are worth comparing, found with a few hundred bytes for each record.

Records of one work share at least one of their keys (a DOI, the place in print, the rarest words of the title, …), and only
records that share one are looked at. Of these pairs, most are plainly two works: their titles are nothing alike, and they do not
fill the same pages. `Outlines` keeps just what shows that, in arrays, so that the records themselves need not be held.

It may leave out a pair only if `same_work.verdict` is certain to say nothing about it. It does not judge pairs, and reads no
database.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

from rapidfuzz import fuzz

from evidence.linkage import field_comparison, title_similarity
from evidence.linkage.same_work import FILLS_PAGES, LONGEST, Candidate, place_in_print

MAX_BLOCK = 40
"""Records of one block are compared each with each. A block with more records than this is divided by author, year and place."""
RARE_WORDS = 3
"""The number of a title's rarest words that are used as keys, two at a time."""
NEARLY_ALIKE = title_similarity.ALIKE - 1
"""Similarity under which titles are certainly `other`: below the limit by more than any error of rounding."""

_PARTITIONS = 256
"""Parts of the keys, by the last bits of their digests. Grouping takes more memory than storing, so it is done part by part."""
_NONE = 0xFFFFFFFF
"""No entry: the end of a list."""
_NO_YEAR = -1


class _Texts:
    """A list of texts without the 50 bytes and more that each string takes."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._ends = array("q", [0])

    def append(self, text: str) -> None:
        # A lone surrogate cannot be encoded otherwise.
        self._bytes += text.encode(errors="surrogatepass")
        self._ends.append(len(self._bytes))

    def __getitem__(self, number: int) -> str:
        return self._bytes[self._ends[number] : self._ends[number + 1]].decode(errors="surrogatepass")

    def __len__(self) -> int:
        return len(self._ends) - 1


class _Numbered:
    """Numbers for texts, counted from 0 in the order in which they are first seen."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def number(self, text: str) -> int:
        return self.numbers.setdefault(text, len(self.numbers))

    def texts(self) -> list[str]:
        return list(self.numbers)


class _Keys:
    """(digest of a key, number of a record), in partitions."""

    def __init__(self) -> None:
        self._parts = [(array("q"), array("I")) for _ in range(_PARTITIONS)]

    def add(self, key: int, record: int) -> None:
        keys, records = self._parts[key % _PARTITIONS]
        keys.append(key)
        records.append(record)

    def take_blocks(self) -> Iterator[list[int]]:
        """The records that share a key, for each key that two have or more. The keys are gone after that."""
        while self._parts:
            keys, records = self._parts.pop()
            blocks: dict[int, list[int]] = defaultdict(list)
            for key, record in zip(keys, records, strict=True):
                blocks[key].append(record)
            yield from (block for block in blocks.values() if len(block) > 1)


@dataclass(frozen=True, slots=True)
class _Shared:
    """The blocks that each record is in, as entries in arrays.

    An entry is a record in a block; those of a block stand together, in the order of the records. `members` gives the record of
    an entry, `left` how many entries of the block come after it, `following` the record's next entry; `first` gives each record's
    first entry.
    """

    members: array[int]
    left: array[int]
    following: array[int]
    first: array[int]

    def pairs(self) -> Iterator[tuple[int, set[int]]]:
        """Each record with the later ones that share a block with it; records without any are left out."""
        members, left, following = self.members, self.left, self.following
        for record, entry in enumerate(self.first):
            others: set[int] = set()
            while entry != _NONE:
                others.update(members[entry + 1 : entry + 1 + left[entry]])
                entry = following[entry]
            if others:
                yield record, others


class Outlines:
    """What is kept of each record: its keys, and what shows that it is another work than one with the same key.

    Fields that `same_work` reads are kept as it reads them. Digests and numbers stand for values; 0 stands for none.
    """

    def __init__(self, candidates: Iterable[Candidate]) -> None:
        self.keys = _Texts()
        """Of candidates, by the number of the record."""
        self._titles = _Texts()
        """Titles without blanks; empty for none."""
        self._halves: dict[int, frozenset[str]] = {}
        """Title and subtitle, where one of them is not a part of the title without its notes."""
        self._numbers = array("I")
        """Numbers in titles."""
        self._formulas = bytearray()
        self._documents = array("q")
        """DOIs without their versions."""
        self._ranges = array("q")
        """First and last page, where an article fills them."""
        self._starts = array("q")
        """Volume and first page."""
        self._years = array("h")
        self._first_people = array("q")
        self._places = array("q")
        """Volume and pages, with their letters."""
        self._shared = self._share_keys(candidates)

    def pairs(self) -> Iterator[tuple[int, int]]:
        """The pairs worth comparing, as numbers of records, the smaller first. Pairs that are connected by records come one after
        the other, so that each record need be read only once."""
        firsts, seconds = array("I"), array("I")
        above = array("I", range(len(self.keys)))

        def root(record: int) -> int:
            while (parent := above[record]) != record:
                above[record] = above[parent]
                record = parent
            return record

        for one, others in self._shared.pairs():
            for two in sorted(others):
                if not self._two_works(one, two):
                    firsts.append(one)
                    seconds.append(two)
                    above[root(two)] = root(one)
        for number in sorted(range(len(firsts)), key=lambda number: root(firsts[number])):
            yield firsts[number], seconds[number]

    def _two_works(self, one: int, two: int) -> bool:
        """Whether `same_work.verdict` is None for the two, whatever their other fields say.

        Without one DOI or versions of one, it needs titles that are not `other`, or an article that fills the same pages in
        a year at most one away. Titles that many works have must be equal, and volume, first page and year too. Titles
        with other numbers that are merely alike are those of two works, unless they fill the same pages.
        """
        if (document := self._documents[one]) and document == self._documents[two]:
            return False
        pages, fill_pages = self._ranges[one], False
        if pages and pages == self._ranges[two]:
            starts, years = (self._starts[one], self._starts[two]), (self._years[one], self._years[two])
            # Without a volume in one of them, the year takes its place.
            fill_pages = starts[0] == starts[1] if all(starts) else _NO_YEAR != years[0] == years[1]
            if fill_pages and (_NO_YEAR in years or abs(years[0] - years[1]) <= 1):
                return False
        title, other = self._titles[one], self._titles[two]
        if not title or not other:
            return True
        if self._formulas[one] or self._formulas[two]:
            start, year = self._starts[one], self._years[one]
            known = start and year != _NO_YEAR
            return not (known and title == other and start == self._starts[two] and year == self._years[two])
        if title in other or other in title or title in self._halves.get(two, ()) or other in self._halves.get(one, ()):
            return False
        numbered = self._numbers[one] != self._numbers[two] and not fill_pages
        return numbered or not fuzz.ratio(title, other, score_cutoff=NEARLY_ALIKE)

    def _share_keys(self, candidates: Iterable[Candidate]) -> _Shared:
        keys = _Keys()
        words, beginnings = _Numbered(), _Numbered()
        times = array("I")
        telling, telling_ends = array("I"), array("q", [0])
        names, names_ends = array("I"), array("q", [0])
        for candidate in candidates:
            title, people = self._add(candidate, keys)
            for word in title.telling if title else ():
                number = words.number(word)
                if number == len(times):
                    times.append(0)
                times[number] += 1
                telling.append(number)
            telling_ends.append(len(telling))
            names.extend(beginnings.number(name[:5]) for name in (people if title else ()))
            names_ends.append(len(names))
        spelled, begun = words.texts(), beginnings.texts()
        del words, beginnings
        for record, (start, end) in enumerate(pairwise(telling_ends)):
            rare = sorted((times[number], spelled[number]) for number in telling[start:end])[:RARE_WORDS]
            rarest = [each for _, each in rare]
            by = [begun[number] for number in names[names_ends[record] : names_ends[record + 1]]]
            found = {_digest("words", *two) for two in combinations(sorted(rarest), 2)}
            found |= {_digest("author", name, each) for name in by for each in rarest[:2]}
            for key in found:
                keys.add(key, record)
        del spelled, begun, times, telling, telling_ends, names, names_ends
        return self._blocks(keys)

    def _add(self, candidate: Candidate, keys: _Keys) -> tuple[title_similarity.Title | None, tuple[str, ...]]:
        """Keep what is needed of a record, and the keys that do not depend on other records. Returns its title, and the names
        of its first author that are part of keys."""
        record = len(self.keys)
        doi = field_comparison.read_doi(candidate.doi)
        title = title_similarity.read_title(candidate.title, candidate.container)
        author = field_comparison.read_first_person(candidate.authors)
        place = place_in_print(candidate)
        pages, volume, year = place.pages, place.volume, place.year
        document = _digest("doi", field_comparison.doi_without_version(doi)) if doi else 0
        start = _digest("place", volume, str(pages.first)) if pages and volume else 0
        names = author.names[:2] if author else ()
        found = {document, start}
        if pages and year:
            found.update(_digest("page", name[:4], str(year), str(pages.first)) for name in names)
        if title is not None:
            found |= {_digest("start", title.glued[:24]), _digest("end", title.glued[-24:])}
        for key in found - {0}:
            keys.add(key, record)
        self.keys.append(candidate.key)
        self._titles.append(title.glued if title else "")
        if title and (halves := frozenset(half for half in title.halves if half not in title.glued)):
            self._halves[record] = halves
        self._numbers.append(_digest("".join(title.numbers)) & _NONE if title else 0)
        self._formulas.append(title is not None and title.formula)
        self._documents.append(document)
        fills = pages is not None and pages.last is not None and FILLS_PAGES <= pages.span <= LONGEST
        self._ranges.append(pages.first * (LONGEST + 1) + pages.span if pages and fills else 0)
        self._starts.append(start)
        self._years.append(_NO_YEAR if year is None else year)
        described = (*author.names, "", *sorted(author.initials)) if author else ()
        self._first_people.append(_digest("person", *described))
        at = (pages.letters, str(pages.first), str(pages.last)) if pages else ()
        self._places.append(_digest("at", str(volume), *at))
        return title, names

    def _blocks(self, keys: _Keys) -> _Shared:
        members, left, following = array("I"), array("B"), array("I")
        first = array("I", [_NONE]) * len(self.keys)
        for block in keys.take_blocks():
            for part in self._divided(block):
                for after, record in zip(reversed(range(len(part))), part, strict=True):
                    following.append(first[record])
                    first[record] = len(members)
                    members.append(record)
                    left.append(after)
        return _Shared(members, left, following, first)

    def _divided(self, block: list[int]) -> Iterator[Sequence[int]]:
        """The block, or its parts if it is too large. A part that is still too large agrees in everything: each of its records
        is compared with the next."""
        parts = [block]
        columns: tuple[array[int], ...] = (self._first_people, self._years, self._places)
        for column in columns:
            if all(len(part) <= MAX_BLOCK for part in parts):
                break
            smaller = []
            for part in parts:
                if len(part) <= MAX_BLOCK:
                    smaller.append(part)
                    continue
                divided: dict[int, list[int]] = defaultdict(list)
                for record in part:
                    divided[column[record]].append(record)
                smaller += divided.values()
            parts = smaller
        for part in parts:
            if len(part) > MAX_BLOCK:
                yield from pairwise(part)
            elif len(part) > 1:
                yield part


def _digest(*values: str) -> int:
    """A number of 64 bits for the values, never 0. Among ten million keys, two have the same with a probability of 0.000003, and
    then pairs are compared that need not be."""
    return hash(values) or 1
