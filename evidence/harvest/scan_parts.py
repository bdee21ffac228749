"""One part of Crossref's public data file → the records in it that a search or a reference list wants, in the order of the file.

What other processes do in a backfill. A block of lines is filtered by its bytes (`raw_filter`); what passes is parsed and
judged by the same code as in a sync. It opens no database and writes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from evidence.crossref import normalise
from evidence.crossref.entries_of_files import Unreadable, entries_of
from evidence.crossref.public_data_file import Part, blocks
from evidence.data_model import Doi, Message
from evidence.database.values_for_writer import FoundRecord
from evidence.errors import RecordError, SourceError, UnavailableError
from evidence.harvest.raw_filter import RawFilter
from evidence.harvest.sources import Search
from evidence.harvest.standing_searches import Matcher
from evidence.http.json_body import parse_json
from evidence.rules.phrase_letters import letters_of
from evidence.rules.phrase_matching import Phrases

_NAMED_LINES = 3
"""How many lines that are no records are named for a part."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What records are wanted for: searches, and DOIs that are known or stated somewhere."""

    searches: tuple[Search, ...]
    dois: frozenset[Doi]


@dataclass(slots=True)
class ScannedPart:
    """What a part holds: the records found, how many it has and how many of them match a search. `trouble` says why it was
    not read to its end, or which lines are no records; it is to be read again then. `unavailable`: it could not be opened or
    read, which may be otherwise a moment later."""

    found: list[FoundRecord] = field(default_factory=list)
    records: int = 0
    matched: int = 0
    trouble: str | None = None
    unavailable: bool = False


class Scanner:
    """Scans parts for what is wanted."""

    def __init__(self, wanted: Wanted) -> None:
        phrases = sorted({phrase for search in wanted.searches for phrase in search.phrases})
        self._dois = wanted.dois
        self._filter = RawFilter(letters_of(phrases), wanted.dois)
        self._any_phrase = Phrases(phrases)
        self._matchers = [Matcher(search) for search in wanted.searches]

    def scan(self, part: Part) -> ScannedPart:
        """Read a part to its end."""
        scanned = ScannedPart()
        no_records: list[int] = []
        is_crossrefs = False
        try:
            first = 1
            for block in blocks(part):
                lines, length, whole = self._filter.lines(block)
                is_crossrefs = is_crossrefs or b'"DOI"' in block
                if whole:
                    scanned.records += length
                else:
                    count, bad = _examine(block, first)
                    scanned.records += count
                    no_records += bad
                counted, number = 0, first
                for start, end in lines:
                    number += block.count(b"\n", counted, start)
                    counted = start
                    if number not in no_records and not self._take(block[start:end], f"{part.place}:{number}", scanned):
                        no_records.append(number)
                first += length
        except SourceError as error:
            return ScannedPart(trouble=str(error), unavailable=isinstance(error, UnavailableError))
        if not is_crossrefs:
            return ScannedPart(
                trouble=f"{part.place}: none of its records has a DOI; it is no file of Crossref records"
            )
        if no_records:
            named = ", ".join(map(str, no_records[:_NAMED_LINES]))
            more = f" and {len(no_records) - _NAMED_LINES} more" if len(no_records) > _NAMED_LINES else ""
            lines_ = "line" if len(no_records) == 1 else "lines"
            scanned.trouble = f"{part.place}: {lines_} {named}{more}: no JSON record; get the file again"
        return scanned

    def _take(self, line: bytes, where: str, scanned: ScannedPart) -> bool:
        """Keep what is wanted of a line; False where it is no JSON."""
        try:
            value = parse_json(line)
        except (ValueError, RecursionError):
            return False
        if not isinstance(value, (dict, list)):
            return False
        for place, entry in entries_of(value, where):
            if isinstance(entry, Unreadable):
                continue
            matches, wanted = self._judged(entry)
            scanned.matched += matches
            if wanted:
                scanned.found.append(FoundRecord(place, normalise.serialise_any(entry)[0]))
        return True

    def _judged(self, message: Message) -> tuple[bool, bool]:
        """Whether a record matches a search, and whether it is wanted at all. One whose text cannot be read is: whoever
        ingests it keeps it with the reason."""
        wanted = normalise.doi_of(message) in self._dois
        try:
            title, abstract = normalise.title_and_abstract(message)
        except RecordError:
            return False, True
        if self._any_phrase.first_hit(title) is None and self._any_phrase.first_hit(abstract) is None:
            return False, wanted
        matches = any(matcher.accepts(message, title, abstract) for matcher in self._matchers)
        return matches, wanted or matches


def _examine(block: bytes, first: int) -> tuple[int, list[int]]:
    """How many records a block has that does not look like one a line, and the lines that are none."""
    count, bad = 0, []
    for number, line in enumerate(block.split(b"\n"), start=first):
        if line := line.strip():
            count += 1
            if not (line.startswith((b"{", b"[", b"\xef\xbb\xbf{")) and line.endswith((b"}", b"]"))):
                bad.append(number)
    return count, bad
