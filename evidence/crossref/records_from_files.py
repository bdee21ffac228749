"""Crossref records from files: a record source like the client, without a network.

One pass over the files (`entries_of_files`) copies the records that will be requested to a temporary file; only their positions
and an index of their titles' words stay in memory, so a file of any size can be read. May not judge a record or write a database.
"""

from __future__ import annotations

import heapq
import json
import math
import tempfile
from array import array
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from itertools import islice
from operator import and_
from pathlib import Path
from typing import IO, Any, overload

from evidence.crossref import normalise
from evidence.crossref.entries_of_files import (
    Accepts,
    LookedAt,
    RawLine,
    Unreadable,
    entries_in,
    lines_of,
    look,
    parts_of,
    title_words,
)
from evidence.data_model import Doi, LookupResult, Message, Page, Query, RecordStatus, RecordText, Window

SNAPSHOT = "records.jsonl.gz"
_BATCH = 50
_ENOUGH_OF_A_TITLE = 0.8
_RARE = 256
"""A word that fewer than one record in so many has is rare."""


@dataclass(frozen=True, slots=True)
class ExpectedQuery:
    """A search that will be run: `accepts` says whether a record matches."""

    query: Query
    accepts: Accepts


Looks = Callable[[Iterable[list[RawLine]]], Iterable[Iterable[Iterable[LookedAt | Unreadable]]]]
"""What looks at the lines of each part (`entries_of_files.look`, with the searches that will be run), in their order."""


class RecordFiles:
    """A record source over files (see `data_model.RecordSource`). Use as a context manager: the temporary file goes with it.

    `dois` are the works that will be looked up, `citations` the texts that will be searched for without a DOI, and
    `everything` keeps every record. `lines` gives the records where they are not in `paths`. `looks` looks at them, in other
    processes where these are many. ConfigError when a file is missing or holds no JSON.
    """

    authoritative = False

    def __init__(
        self,
        paths: Sequence[Path],
        *,
        name: str = "files",
        questions: Sequence[ExpectedQuery] = (),
        dois: Collection[Doi] = (),
        citations: Sequence[str] = (),
        everything: bool = False,
        lines: Callable[[], Iterable[RawLine]] | None = None,
        looks: Looks | None = None,
    ) -> None:
        self.name = name
        self._lines = lines or partial(lines_of, tuple(paths))
        self._queries = [question.query for question in questions]
        self._everything = everything
        self.requests = self.bytes = 0
        self.date = None
        self.read_count = 0
        self.unreadable: list[Unreadable] = []
        self._spool: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__
        self._at: dict[Doi, int] = {}
        """The number of each kept record, which is that of its title."""
        self._starts, self._lengths = array("Q"), array("Q")
        """By number: where a record begins in the temporary file, and its length."""
        self._hits: dict[Query, dict[Doi, None]] = {question.query: {} for question in questions}
        self._titles = _Titles()
        try:
            self._keep(
                looks or _looking_here([question.accepts for question in questions]), dois, citations, count=True
            )
        except BaseException:
            self._spool.close()
            raise

    def __enter__(self) -> RecordFiles:
        return self

    def __exit__(self, *_: object) -> None:
        self._spool.close()

    def lookup(self, dois: Sequence[Doi], since: str | None = None) -> Iterator[tuple[LookupResult, ...]]:
        """See `data_model.RecordSource.lookup`. A record without an `indexed` date may have changed at any time, so it is
        included."""
        asked = list(dict.fromkeys(dois))
        for start in range(0, len(asked), _BATCH):
            batch: list[LookupResult] = []
            for doi in asked[start : start + _BATCH]:
                where, message = self._located(doi) if doi in self._at else (None, None)
                if since is None:
                    batch.append(LookupResult(doi, doi if message else None, message, where))
                elif message and (normalise.indexed_at(message) or since) >= since:
                    batch.append(LookupResult(doi, doi, message, where))
            yield tuple(batch)

    def check(self, dois: Sequence[Doi]) -> Iterator[tuple[RecordStatus, ...]]:
        """See `data_model.RecordSource.check`; what the files do not hold is left out."""
        asked = [doi for doi in dict.fromkeys(dois) if doi in self._at]
        for start in range(0, len(asked), _BATCH):
            held = ((doi, self._load(doi)) for doi in asked[start : start + _BATCH])
            yield tuple(RecordStatus(doi, normalise.indexed_at(m), normalise.cited_by(m)) for doi, m in held)

    def scan(self, query: Query, window: Window | None = None, offset: int = 0, *, by_creation: bool = False) -> Page:
        """See `data_model.RecordSource.scan`; always complete, so there is no second page and no other order. A query that is not
        expected is ranked by the words it shares with titles."""
        if query in self._hits:
            hits = list(self._hits[query])
            return Page(_Spooled(self, hits), len(hits))
        best = self._titles.best(title_words(" ".join(value for _, value in query.fields)), query.rows)
        return Page(_Ranked(self, best), len(best), tuple(best))

    def agency(self, doi: Doi) -> str | None:
        """None: files do not know who registers a DOI."""
        return None

    def keep_also(self, dois: Collection[Doi], citations: Collection[str]) -> None:
        """Read the files a second time for these: what is wanted may be known only from a record in them, such as one whose
        reference list is followed. Nothing is counted or reported again."""
        if not self._everything:
            self._keep(_looking_here((), known=frozenset(self._at)), dois, citations, count=False)

    @property
    def kept_records(self) -> Iterator[RecordText]:
        """Every record in the temporary file, read one at a time."""
        for doi in list(self._at):
            _, digest, text = self._read(doi)
            yield RecordText(doi, digest, text)

    def _keep(self, looks: Looks, dois: Collection[Doi], citations: Iterable[str], *, count: bool) -> None:
        """One pass over the files, in which records and what is unreadable are counted or not."""
        wanted, cited = frozenset(dois), _Citations(map(title_words, citations))
        given: deque[list[RawLine]] = deque()
        """The parts that are not used yet: of a record that turns out to be wanted, the line is parsed again."""

        def parts() -> Iterator[list[RawLine]]:
            for part in parts_of(self._lines()):
                given.append(part)
                yield part

        for looked_at in looks(parts()):
            for line, entries in zip(given.popleft(), looked_at, strict=True):
                parsed: list[Any] = []
                for number, entry in enumerate(entries):
                    self.read_count += count
                    if isinstance(entry, Unreadable):
                        self.unreadable += [entry] if count else []
                    elif self._everything or entry.found or entry.doi in wanted or cited.may_mean(entry.words):
                        if entry.message is None and entry.text is None:
                            parsed = parsed or [found for _, found in entries_in(line)]
                            entry = entry._replace(message=parsed[number])
                        self._put(entry)

    def _put(self, entry: LookedAt) -> None:
        """Of two records with one DOI keep the one indexed later, and of equals the one read later."""
        doi = entry.doi
        if doi in self._at:
            if (normalise.indexed_at(self._load(doi)) or "") > (entry.indexed or ""):
                return
            self._titles.drop(self._at[doi])
        for number in entry.found:
            self._hits[self._queries[number]].setdefault(doi)
        text, digest = entry.written()
        raw = f"{json.dumps(entry.place)}\n{digest}\n{text}".encode()
        self._at[doi] = self._titles.add(doi, entry.words)
        self._starts.append(self._spool.seek(0, 2))
        self._lengths.append(len(raw))
        self._spool.write(raw)

    def _load(self, doi: Doi) -> Message:
        return self._located(doi)[1]

    def _located(self, doi: Doi) -> tuple[str, Message]:
        """File and line of a kept record, and the record."""
        where, _, text = self._read(doi)
        return json.loads(where), json.loads(text)

    def _read(self, doi: Doi) -> tuple[str, str, str]:
        """File and line (as JSON), digest and text of a kept record."""
        number = self._at[doi]
        self._spool.seek(self._starts[number])
        where, digest, text = self._spool.read(self._lengths[number]).decode().split("\n")
        return where, digest, text


def _looking_here(searches: Sequence[Accepts], known: Collection[Doi] = ()) -> Looks:
    """Looks at one line after the other, in this process."""
    return lambda parts: (map(partial(look, searches=searches, known=known), part) for part in parts)


class _Spooled(Sequence[Message]):
    """Records in the temporary file, loaded one at a time."""

    def __init__(self, archive: RecordFiles, dois: list[Doi]) -> None:
        self._archive, self._dois = archive, dois

    def __len__(self) -> int:
        return len(self._dois)

    @overload
    def __getitem__(self, index: int) -> Message: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Message]: ...
    def __getitem__(self, index: int | slice) -> Message | Sequence[Message]:
        if isinstance(index, slice):
            return _Spooled(self._archive, self._dois[index])
        return self._archive._load(self._dois[index])


class _Ranked(_Spooled):
    """The same, each record with its score."""

    def __init__(self, archive: RecordFiles, best: Sequence[tuple[Doi, float]]) -> None:
        super().__init__(archive, [doi for doi, _ in best])
        self._scores = [score for _, score in best]

    @overload
    def __getitem__(self, index: int) -> Message: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Message]: ...
    def __getitem__(self, index: int | slice) -> Message | Sequence[Message]:
        if isinstance(index, slice):
            return _Ranked(self._archive, list(zip(self._dois[index], self._scores[index], strict=True)))
        return {**super().__getitem__(index), "score": self._scores[index]}


class _Citations:
    """An index of the words of citations: which titles may be cited by one of them?

    A citation with enough of a title's words lacks at most k of them, so it has one of any k + 1. Only the citations with one
    of the k + 1 rarest words are compared, so the time grows with records plus citations.
    """

    def __init__(self, texts: Iterable[frozenset[str]]) -> None:
        self._texts = tuple(texts)
        self._with: defaultdict[str, list[int]] = defaultdict(list)
        for number, words in enumerate(self._texts):
            for word in words:
                self._with[word].append(number)

    def may_mean(self, title: frozenset[str]) -> bool:
        """Whether a citation has at least `_ENOUGH_OF_A_TITLE` of these words."""
        if not title or not self._texts:
            return False
        enough = math.ceil(_ENOUGH_OF_A_TITLE * len(title))
        places = sorted((self._with.get(word, ()) for word in title), key=len)[: len(title) - enough + 1]
        return any(len(title & self._texts[number]) >= enough for number in {n for place in places for n in place})


class _Titles:
    """An index of kept records by the words of their titles; about fifty bytes a record besides its DOI. The first question after
    a change makes a `_Ranking`, which takes as much again."""

    def __init__(self) -> None:
        self.having: defaultdict[str, array[int]] = defaultdict(partial(array, "I"))
        """The numbers of the records with a word."""
        self.lengths = array("I")
        self.dois: list[Doi] = []
        self._ranking: _Ranking | None = None

    def add(self, doi: Doi, words: frozenset[str]) -> int:
        """Add a record; returns its number."""
        self._ranking = None
        number = len(self.dois)
        self.dois.append(doi)
        self.lengths.append(len(words))
        for word in words:
            self.having[word].append(number)
        return number

    def drop(self, number: int) -> None:
        """Discard a record that another has replaced."""
        self._ranking = None
        self.lengths[number] = 0

    def best(self, wanted: frozenset[str], rows: int) -> list[tuple[Doi, float]]:
        """The records that share most of their title with these words, best first, each with its score: the share of the title's
        words plus a hundredth for each shared word. Of equals the one whose DOI sorts first."""
        self._ranking = self._ranking or _Ranking(self)
        return self._ranking.best(wanted & self.having.keys(), rows)


class _Ranking:
    """The records in the order of their titles' numbers of words, then of their DOIs, and for each word the set of the records
    that have it, as the bits of an integer: bit I is the record in place I.

    A score depends on two numbers alone: of the title's words, and of those that are shared. The shared ones are counted for all
    records at once, in binary. Of the records with the same count the first are the best, so only the first bits are looked at.
    A common word costs one bit a record. Passing over records by an upper bound of their score would save nothing: a title of one
    common word scores more than 1, and the last of twenty places is often won with a quarter of a title.
    """

    def __init__(self, titles: _Titles) -> None:
        self._titles = titles
        lengths, dois = titles.lengths, titles.dois
        order = sorted(range(len(dois)), key=lambda number: (lengths[number], dois[number]))
        self._left_out = lengths.count(0)
        """The records that were dropped or have no words. They stand first and get no bit."""
        self._order = array("I", order[self._left_out :])
        self._rank = array("I", [0]) * len(order)
        for rank, number in enumerate(order):
            self._rank[number] = rank
        self._common: dict[str, int] = {}
        """The sets of words that are common enough to be kept."""

    def best(self, words: Collection[str], rows: int) -> list[tuple[Doi, float]]:
        """See `_Titles.best`; each word is in the index."""
        counts = self._counts(words)
        ranked = heapq.merge(*(self._sharing(n, _with_count(counts, n)) for n in range(1, 1 << len(counts))))
        return [(doi, -score) for score, doi in islice(ranked, rows)]

    def _counts(self, words: Collection[str]) -> list[int]:
        """How many of the words each record has, in binary: integer J holds bit J of each count."""
        counts: list[int] = []
        for word in words:
            carry = self._having(word)
            for power, bits in enumerate(counts):
                counts[power], carry = bits ^ carry, bits & carry
                if not carry:
                    break
            else:
                counts.append(carry)
        return counts

    def _having(self, word: str) -> int:
        """A bit for each record with this word."""
        known = self._common.get(word)
        if known is None:
            numbers = self._titles.having[word]
            ranks = bytearray(len(self._rank) // 8 + 1)
            for number in numbers:
                rank = self._rank[number]
                ranks[rank >> 3] |= 1 << (rank & 7)
            known = int.from_bytes(ranks, "little") >> self._left_out
            if len(numbers) * _RARE >= len(self._order):
                self._common[word] = known
        return known

    def _sharing(self, n: int, places: int) -> Iterator[tuple[float, Doi]]:
        """The negative score and the DOI of each record whose bit is set, best first; they share n words."""
        lengths, dois = self._titles.lengths, self._titles.dois
        while places:
            rest = places & (places - 1)
            number = self._order[(places ^ rest).bit_length() - 1]
            yield -(n / lengths[number] + n / 100), dois[number]
            places = rest


def _with_count(counts: Sequence[int], n: int) -> int:
    """A bit for each record whose count is n, which is at least 1."""
    found = reduce(and_, (bits for power, bits in enumerate(counts) if n >> power & 1))
    for power, bits in enumerate(counts):
        if not n >> power & 1:
            found ^= found & bits
    return found
