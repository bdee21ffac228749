"""Which lines of a file of Crossref records may be wanted, told from their bytes before anything is parsed.

A line is kept when its title, subtitle or abstract may hold a phrase, or when it may be the record of a wanted DOI. However a
text is written (escapes, entities, tags inside words, accents, wrong encodings), a line that the phrases match is kept; most
lines that are kept are not wanted after all, and whoever asked parses them. The keys `title`, `subtitle` and `abstract` are
found wherever they stand in a line, and what follows a key may be read too far and never too short. May not parse a record.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Iterable, Sequence

import ahocorasick_rs
import orjson

from evidence.data_model import Doi
from evidence.plain_text import quick_text
from evidence.rules.phrase_letters import NOT_BARE, Letters, bare

_JOINT, _TITLE, _SUBTITLE, _ABSTRACT = range(4)
_KEYS = (b"}\n{", b'"title"', b'"subtitle"', b'"abstract"')
_NEVER = (b"\x00\x01\x02", b"\x03\x04\x05", b"\x06\x07\x0e", b"\x0f\x10\x11")
"""No JSON has these. With four more first bytes the automaton compares many bytes at once, which is five times as fast."""
_UNSAFE = re.compile(rb"[^\x21\x23-\x25\x28-\x3b\x3d\x3f-\x5b\x5d-\x7e]")
"""Bytes that JSON or its writer may escape: quotation marks, `<`, `>`, `&`, backslashes, what is not ASCII."""
_LONGEST_PART = 18
_BACKSLASH = 0x5C
_TEXT = ((b':"', b'"'), (b': "', b'"'))
_TEXTS = ((b':["', b'"]'), (b': ["', b'"]'))
"""How the text of an abstract, and a list of titles, begin and end. What begins otherwise is read to the end of its line."""
_BETWEEN = bytes(byte for byte in NOT_BARE if byte != 0x0A)


class RawFilter:
    """Finds lines that may be wanted: `letters` of the phrases (None: any text may match), and DOIs."""

    def __init__(self, letters: Collection[Letters] | None, dois: Iterable[Doi] = ()) -> None:
        self._everything = letters is None
        letters = letters or ()
        self._cased = _automaton([one.text.encode() for one in letters if one.cased])
        self._lower = _automaton([one.text.encode() for one in letters if not one.cased])
        parts = sorted({part for doi in dois for part in _parts_of(doi)})
        self._dois = _automaton(parts)

    def lines(self, block: bytes) -> tuple[list[tuple[int, int]], bool]:
        """The lines (start, end) of `block` that may be wanted, in order, and whether each of its lines looks like a record.
        The block holds whole lines, each with its line break."""
        places: list[int] = []
        clean: list[bytes] = []
        clean_at: list[int] = []
        read: list[str] = []
        read_at: list[int] = []
        joints = 0
        for which, start, stop in _FINDS_KEYS.find_matches_as_indexes(block):
            if which == _JOINT:
                joints += 1
            elif which <= _ABSTRACT:
                text = _value(block, stop, which == _ABSTRACT)
                if not (b"\\" in text or b"<" in text or b"&" in text) and text.isascii() and text.count(b'"') % 2 == 0:
                    clean.append(text)
                    clean_at.append(start)
                elif (shown := _shown(text)) is None:
                    places.append(start)
                else:
                    read.append(shown)
                    read_at.append(start)
        whole = block.startswith(b"{") and block.endswith(b"}\n") and joints == block.count(b"\n") - 1
        if self._everything:
            return _lines(block, range(len(block))), whole
        places += self._held(b"\n".join(clean).replace(b"\r", b"\n"), clean_at)
        places += self._held("\n".join(read).encode("ascii", "ignore"), read_at)
        if self._dois is not None:
            places += [start for _, start, _ in self._dois.find_matches_as_indexes(block)]
        return _lines(block, places), whole

    def _held(self, texts: bytes, at: list[int]) -> list[int]:
        """The places (of `at`) of the texts, a line each, that hold some of the letters."""
        texts = texts.translate(None, _BETWEEN)
        found: list[int] = []
        for automaton, searched in ((self._cased, texts), (self._lower, texts.lower() if self._lower else b"")):
            if automaton is not None and (hits := automaton.find_matches_as_indexes(searched)):
                ends = [0]
                for text in searched.split(b"\n"):
                    ends.append(ends[-1] + len(text) + 1)
                found += [at[bisect_right(ends, start) - 1] for _, start, _ in hits]
        return found


def _automaton(words: Sequence[bytes]) -> ahocorasick_rs.BytesAhoCorasick | None:
    """An automaton for these words; None for none."""
    if not words:
        return None
    return ahocorasick_rs.BytesAhoCorasick(
        words,
        matchkind=ahocorasick_rs.MatchKind.LeftmostFirst,
        implementation=ahocorasick_rs.Implementation.ContiguousNFA,
    )


_FINDS_KEYS = ahocorasick_rs.BytesAhoCorasick(
    [*_KEYS, *_NEVER],
    matchkind=ahocorasick_rs.MatchKind.LeftmostFirst,
    implementation=ahocorasick_rs.Implementation.ContiguousNFA,
)


def _parts_of(doi: Doi) -> set[bytes]:
    """Bytes of which a record's own DOI, which Crossref writes in lower case, holds some in whatever JSON: the slash after
    its prefix and what follows, in small letters or capitals, and with further slashes as JSON may have them. All begin with
    the slash, a rare byte, so the automaton skips the rest."""
    suffix = doi.lower().encode().partition(b"/")[2] + b'"'
    part = _UNSAFE.split(suffix[:-1], maxsplit=1)[0]
    part = (part if len(part) < len(suffix) - 1 else suffix)[:_LONGEST_PART]
    return {b"/" + case.replace(b"/", slash) for case in (part, part.upper()) for slash in (b"/", rb"\/")}


def _value(block: bytes, at: int, abstract: bool) -> bytes:
    """The JSON after a key that ends at `at`, at least to the end of its value, without the colon."""
    for opening, closing in _TEXT if abstract else _TEXTS:
        if block.startswith(opening, at):
            if (end := _end(block, closing, at + len(opening))) > 0:
                return block[at + 1 : end]
            break
    return block[at + 1 : block.find(b"\n", at)]


def _end(block: bytes, closing: bytes, at: int) -> int:
    """Where the value ends whose last bytes are `closing`: after the first that no backslash is before; -1 without one."""
    # It may be too early where a text begins with a bracket: what was read then is no JSON, or has an odd number of marks.
    while (at := block.find(closing, at)) >= 0:
        if block[at - 1] != _BACKSLASH:
            return at + len(closing)
        at += 1
    return -1


def _shown(value: bytes) -> str | None:
    """The letters that readers see of the text or texts in a JSON value; None where only the whole record tells."""
    try:
        texts = orjson.loads(value)
    except orjson.JSONDecodeError:
        return None
    if isinstance(texts, str):
        texts = [texts]
    if not isinstance(texts, list):
        return None
    shown: list[str] = []
    for text in texts:
        quick = quick_text(text) if isinstance(text, str) else None
        if quick is None:
            return None
        shown.append(quick if quick.isascii() else bare(quick))
    return " ".join(shown).replace("\n", " ")


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
