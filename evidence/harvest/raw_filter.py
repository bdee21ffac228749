"""Which lines of a file of Crossref records may be wanted, told from their bytes before anything is parsed.

A line is kept when its title, subtitle or abstract may hold a phrase, or when it may be the record of a wanted DOI. However a
text is written (escapes, entities, tags inside words, accents, wrong encodings), a line that the phrases match is kept; most
lines that are kept are not wanted after all, and whoever asked parses them. May not parse a record.

The lists of references are passed over. The texts of a block are then looked at together, in three steps, each for the few that
the one before could not settle:

1. One expression for all phrases names the texts that may have a word of one, with anything inside it (`wanted_words`).
2. Of these texts, the letters that readers see are read, quickly.
3. What `quick_text` cannot read is kept.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

import ahocorasick_rs
import orjson

from evidence.crossref.normalise import doi_of
from evidence.data_model import Doi
from evidence.doi import caseless
from evidence.harvest.wanted_words import NEVER, WantedWords, automaton
from evidence.http.json_body import parse_json
from evidence.plain_text import quick_text
from evidence.rules.phrase_letters import Letters, bare

_KEYS = (
    b'"DOI":"', b'"title":["', b'"subtitle":["', b'"abstract":"', b'"title"', b'"subtitle"', b'"abstract"', b'"DOI"'
)  # fmt: skip
_DOI, _TITLES, _SUBTITLES, _ABSTRACTS, _TITLE, _SUBTITLE, _ABSTRACT, _OTHER_DOI = range(len(_KEYS))
_REFERENCES = b'"reference":[{'
_MAY_END_A_LIST = frozenset(b'}]["0123456789el \t\r\n')
"""What can stand before the bracket that ends a list; after anything else it stands inside a text."""
_IN_PLAIN_DOIS = bytes(byte for byte in range(0x21, 0x7F) if byte != ord("\\")) + b"\n"
_BACKSLASH, _OPENS, _CLOSES = b"\\{}"
_EMPTY = (b":[]", b":null", b": []", b": null")
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_TEXTS = re.compile(rb":\s*(?:\[(?:\s*%b\s*,?)*+\s*\]|%b)" % (_STRING, _STRING), re.DOTALL)
_VALUE = re.compile(rb":\s*(%b)" % _STRING, re.DOTALL)


class RawFilter:
    """Finds lines that may be wanted: `letters` of the phrases (None: any text may match), and DOIs."""

    def __init__(self, letters: Collection[Letters] | None, dois: Iterable[Doi] = ()) -> None:
        self._everything = letters is None
        letters = letters or ()
        glued = [sorted({one.text.encode() for one in letters if one.cased is cased}) for cased in (False, True)]
        self._glued, self._glued_cased = (automaton(texts) if texts else None for texts in glued)
        self._all_read = not all(one.word for one in letters)  # a phrase in another script: every text is read
        self._words = WantedWords(letters) if letters else None
        self._dois = frozenset(map(caseless, dois))
        self._plain_dois = frozenset(doi.encode() for doi in self._dois)

    def lines(self, block: bytes) -> tuple[list[tuple[int, int]], int, bool]:
        """The lines (start, end) of `block` that may be wanted, in order; how many lines it has; and whether each of them looks
        like a record. The block holds whole lines, each with its line break."""
        rest, cuts = _without_references(block)
        found = _found(rest)
        count, whole = _counted(rest)
        if self._everything:
            return _lines(block, range(len(block))), count, whole
        places = [found.starts[which] for which in self._to_read(found.texts) if self._may_match(found.texts[which])]
        if self._dois:
            if self._any_wanted(found.dois):
                places += [at for at in _after(rest, _KEYS[_DOI]) if self._any_wanted([rest[at : rest.find(b'"', at)]])]
            values = ((at, _VALUE.match(rest, at)) for at in found.odd_dois)
            places += [at for at, value in values if value and self._is_wanted(value[1])]
        return _lines(block, [place + _cut_before(cuts, place) for place in places]), count, whole

    def _to_read(self, texts: Sequence[bytes]) -> Iterable[int]:
        """The numbers of the texts that may have a word of a phrase."""
        if self._all_read or not texts:
            return range(len(texts))
        return sorted(set(self._words.places(b"\n".join(texts)))) if self._words else ()

    def _may_match(self, value: bytes) -> bool:
        """Whether the text or texts in a JSON value hold the letters of a phrase, or cannot be read quickly."""
        try:
            texts = orjson.loads(value)
        except orjson.JSONDecodeError:
            return True
        texts = [texts] if isinstance(texts, str) else texts
        if not isinstance(texts, list):
            return True
        for text in texts:
            quick = quick_text(text) if isinstance(text, str) else None
            if quick is None:
                return True
            shown = bare(quick).encode()
            if self._glued is not None and self._glued.find_matches_as_indexes(shown.lower()):
                return True
            if self._glued_cased is not None and self._glued_cased.find_matches_as_indexes(shown):
                return True
        return False

    def _any_wanted(self, dois: list[bytes]) -> bool:
        """Whether one of these DOIs, as JSON has them, may be wanted."""
        stated = b"\n".join([b"", *dois]).lower()
        joined = stated.translate(None, b"\\")
        if not self._plain_dois.isdisjoint(joined.split(b"\n")):
            return True
        # Those that may be read as another DOI.
        only_slashes = len(stated) - len(joined) == stated.count(rb"\/")
        if (
            only_slashes
            and not joined.translate(None, _IN_PLAIN_DOIS)
            and joined.count(b"\n10.") == len(dois)
            and b"/10." not in joined
        ):
            return False
        return any(
            self._is_wanted(b'"%b"' % stated)
            for stated in dois
            if stated.replace(rb"\/", b"/").translate(None, _IN_PLAIN_DOIS)
            or not stated.startswith(b"10.")
            or b"/10." in stated
        )

    def _is_wanted(self, value: bytes) -> bool:
        """Whether a JSON text is a wanted DOI, in whatever spelling."""
        try:
            stated = parse_json(value)
        except ValueError:
            return True
        return not self._dois.isdisjoint(map(caseless, filter(None, (stated, doi_of({"DOI": stated})))))


@dataclass(slots=True)
class _Found:
    """What is in a block: the JSON of every title, subtitle and abstract, and where these stand; the DOIs without their quotation
    marks; and where those stand that are written in another way."""

    texts: list[bytes]
    starts: list[int]
    dois: list[bytes]
    odd_dois: list[int]


_FINDS_KEYS = ahocorasick_rs.BytesAhoCorasick([*_KEYS, *NEVER], matchkind=ahocorasick_rs.MatchKind.LeftmostFirst)
_FINDS_REFERENCES = ahocorasick_rs.BytesAhoCorasick([_REFERENCES])


def _counted(block: bytes) -> tuple[int, bool]:
    """How many lines a block has, and whether each looks like a record. `bytes.count` looks at each byte, which takes longer."""
    find, last = block.find, len(block) - 1
    count, at = 1, 0
    whole = block.startswith(b"{") and block.endswith(b"}\n")
    while at := find(b"\n", at, last) + 1:
        count += 1
        if block[at] != _OPENS or block[at - 2] != _CLOSES:
            whole = False
    return count, whole


def _without_references(block: bytes) -> tuple[bytes, list[tuple[int, int]]]:
    """The block without most of its lists of references, which are more than half of it; and where something was left out: the
    place in what is left, and how many bytes in all until there. Only what is surely inside a list is left out."""
    cuts: list[tuple[int, int]] = []
    pieces: list[memoryview] = []
    view, find = memoryview(block), block.find
    done = left_out = 0
    for _, start, begin in _FINDS_REFERENCES.find_matches_as_indexes(block):
        if start < done:
            continue
        end = find(b"]", begin)
        while end > 0 and block[end - 1] not in _MAY_END_A_LIST:
            end = find(b"]", end + 1)
        if end < 0 or find(b"\n", begin, end) >= 0:  # a line that is cut off
            continue
        pieces.append(view[done:begin])
        left_out += end - begin
        cuts.append((end - left_out, left_out))
        done = end
    if not pieces:
        return block, cuts
    pieces.append(view[done:])
    return b"".join(pieces), cuts


def _after(block: bytes, key: bytes) -> Iterator[int]:
    """The places after this key."""
    at = 0
    while (at := block.find(key, at)) >= 0:
        at += len(key)
        yield at


def _cut_before(cuts: list[tuple[int, int]], place: int) -> int:
    """How many bytes were left out before a place."""
    which = bisect_right(cuts, place, key=lambda cut: cut[0])
    return cuts[which - 1][1] if which else 0


def _end_of_text(block: bytes, at: int) -> int:
    """Where a JSON text ends that begins at a place, with its quotation mark; 0 where that takes a closer look."""
    while (at := block.find(b'"', at)) > 0 and block[at - 1] == _BACKSLASH:
        if block[at - 2] == _BACKSLASH:
            return 0
        at += 1
    return at + 1


def _found(block: bytes) -> _Found:
    """What a block has."""
    texts: list[bytes] = []
    starts: list[int] = []
    dois: list[bytes] = []
    odd_dois: list[int] = []
    find, add_text, add_start, add_doi = block.find, texts.append, starts.append, dois.append
    for which, start, stop in _FINDS_KEYS.find_matches_as_indexes(block):
        if which == _DOI:
            add_doi(block[stop : find(b'"', stop)])
        elif which <= _SUBTITLES and block.startswith(b'"]', end := find(b'"', stop)) and block[end - 1] != _BACKSLASH:
            add_text(block[stop - 2 : end + 2])  # nearly always one text
            add_start(start)
        elif which == _ABSTRACTS and (end := _end_of_text(block, stop)):
            add_text(block[stop - 1 : end])
            add_start(start)
        elif which <= _ABSTRACT:
            at = stop - (3 if which <= _SUBTITLES else 2 if which == _ABSTRACTS else 0)
            if not block.startswith(_EMPTY, at):
                value = _TEXTS.match(block, at)
                add_text(value[0][1:] if value else block[at + 1 : find(b"\n", at)])
                add_start(start)
        elif which == _OTHER_DOI:
            odd_dois.append(stop)
    return _Found(texts, starts, dois, odd_dois)


def _lines(block: bytes, places: Iterable[int]) -> list[tuple[int, int]]:
    """The lines (start, end) on which these places are, each once and in order."""
    found: list[tuple[int, int]] = []
    end = -1
    for place in places if isinstance(places, range) else sorted(places):
        if place >= end:
            start = block.rfind(b"\n", 0, place) + 1
            end = block.find(b"\n", place) + 1 or len(block)
            found.append((start, end))
    return found
