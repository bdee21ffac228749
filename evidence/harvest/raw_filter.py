"""Which lines of a file of Crossref records may be wanted, told from their bytes before anything is parsed.

A line is kept when its title, subtitle or abstract may hold a phrase, or when it may be the record of a wanted DOI. However a
text is written (escapes, entities, tags inside words, accents, wrong encodings), a line that the phrases match is kept; most
lines that are kept are not wanted after all, and whoever asked parses them. May not parse a record.

The texts of a block are looked at together, in three steps, each for the few that the one before could not settle:

1. A text without anything inside a word that readers do not see has the words of a phrase as they are. They are searched for.
2. Of a text with one of these words, or with something inside a word, the letters that readers see are read, quickly.
3. What `quick_text` cannot read is kept.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence

import ahocorasick_rs
import orjson

from evidence.data_model import Doi
from evidence.plain_text import quick_text
from evidence.rules.phrase_letters import Letters, bare

_JOINT, _TITLE, _SUBTITLE, _ABSTRACT = range(4)
_KEYS = (b"}\n{", b'"title"', b'"subtitle"', b'"abstract"')
_NEVER = (b"\x00\x01\x02", b"\x03\x04\x05", b"\x06\x07\x0e", b"\x0f\x10\x11")
"""No JSON has these. With four more first bytes the automaton compares many bytes at once, which is five times as fast."""
_UNSAFE = re.compile(rb"[^\x21\x23-\x25\x28-\x3b\x3d\x3f-\x5b\x5d-\x7e]")
"""Bytes that JSON or its writer may escape: quotation marks, `<`, `>`, `&`, backslashes, what is not ASCII."""
_LONGEST_PART = 18
_QUOTE, _BACKSLASH, _BRACKET = b'"\\]'
_EMPTY = (b":[]", b":null", b": []", b": null")
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_TEXTS = re.compile(rb":\s*(?:\[(?:\s*%b\s*,?)*+\s*\]|%b)" % (_STRING, _STRING), re.DOTALL)

# What may stand inside a word and is not seen, or is seen as a letter: the first of it in a word has a letter before it, or is
# seen as the first letter. With it, the letters that follow. The end of a paragraph is the end of a word.
_TAGS = rb"(?:(?:\s|\\[nrt])*+<[^<>]*+>)*+"
_TAG_IN_A_WORD = re.compile(
    rb"<(?<=[A-Za-z]<)(?<!\\[nrt]<)(?!\\?/(?:jats:)?(?:p|title|sec)>)[^<>]*+>%b(?=[A-Za-z&\x80-\xff]|\\u)([A-Za-z]{0,5})"
    % _TAGS
)
_ENTITY_IN_A_WORD = re.compile(
    rb"&(?:(?<=[A-Za-z]&)|(?!(?:[lg]t|[LG]T|quot|apos|nbsp);)(?=#?\w{1,40}+;[A-Za-z&#<\\\x80-\xff])|(?=[A-Za-z#]\w*+(?!;)))"
    rb"(?:[A-Za-z]{2,40}+(?<!lt)(?<!LT)(?<!amp)(?<!AMP);([A-Za-z]{0,5}))?"
)
_ESCAPE_IN_A_WORD = re.compile(
    rb"\\u(?!00[aA]0|20(?:0[0-9aA]|1[0-9cCdD]))"
    rb"(?:(?<=[A-Za-z]\\u)|(?=[0-9A-Fa-f]{4}(?:\\u[0-9A-Fa-f]{4})*+%b[A-Za-z&]))"
    rb"[0-9A-Fa-f]{4}(?:\\u[0-9A-Fa-f]{4})*+([A-Za-z]{0,5})" % _TAGS
)
_BYTE_IN_A_WORD = re.compile(
    rb"[\xc2-\xf4](?!(?<=\xc2)\xa0|(?<=\xe2)\x80[\x80-\x8a\x90-\x99\x9c\x9d])"
    rb"(?:(?<=[A-Za-z].)|(?=[\x80-\xff]*+%b(?:[A-Za-z&]|\\u)))[\x80-\xff]*+([A-Za-z]{0,5})" % _TAGS,
    re.DOTALL,
)
_HIGH = bytes(0x80 if byte >= 0x80 else 0 for byte in range(256))
_LETTERS_BEFORE = re.compile(rb"(?:\\u[0-9A-Fa-f]{4}|\\[nrtbf])?([A-Za-z]{0,5})\Z")
_PIECE = 5
"""Letters that are compared on either side of what stands inside a word."""
_ODD_TAG = re.compile(rb"""=\s*+(?:\\"(?:[^"\\<>]|\\[^"])*+[<>]|'[^'"<>]*+[<>])""")
"""A value in a tag that seems to end it."""
_ODD = (b"\\\\", b"<!", b"<?", b":math", b"<math", b"documentclass", b"\\b", b"\\f", b"\x7f")
"""What only the second step understands, wherever it stands in a text."""


class RawFilter:
    """Finds lines that may be wanted: `letters` of the phrases (None: any text may match), and DOIs."""

    def __init__(self, letters: Collection[Letters] | None, dois: Iterable[Doi] = ()) -> None:
        self._everything = letters is None
        letters = letters or ()
        self._glued = _automaton(sorted({one.text.encode() for one in letters if not one.cased}))
        self._glued_cased = _automaton(sorted({one.text.encode() for one in letters if one.cased}))
        words = [one for one in letters if one.word]
        self._all_read = len(words) < len(letters)  # a phrase in another script: every text is read
        self._before, self._after = _Beside(words, after=False), _Beside(words, after=True)
        self._words = _automaton(sorted({one.word.encode() for one in words if not one.cased}))
        self._cased = _automaton(sorted({one.word.encode() for one in words if one.cased}))
        self._dois = _automaton(sorted({part for doi in dois for part in _parts_of(doi)}))

    def lines(self, block: bytes) -> tuple[list[tuple[int, int]], int, bool]:
        """The lines (start, end) of `block` that may be wanted, in order; how many lines it has; and whether each of them looks
        like a record. The block holds whole lines, each with its line break."""
        joints, texts, starts = _texts(block)
        count = _line_breaks(block)
        whole = block.startswith(b"{") and block.endswith(b"}\n") and joints == count - 1
        if self._everything:
            return _lines(block, range(len(block))), count, whole
        places = [starts[which] for which in self._to_read(texts) if self._may_match(texts[which])]
        if self._dois is not None:
            places += [start for _, start, _ in self._dois.find_matches_as_indexes(block)]
        return _lines(block, places), count, whole

    def _to_read(self, texts: Sequence[bytes]) -> Iterable[int]:
        """The numbers of the texts that have a word of a phrase, or something inside a word."""
        if self._all_read or not texts:
            return range(len(texts))
        if self._words is None and self._cased is None:
            return ()
        joined = b"\n".join(texts)
        places = [start for _, start, _ in _FINDS_ODD.find_matches_as_indexes(joined)]
        places += [found.start() for found in _ODD_TAG.finditer(joined)]
        places += [found.start() for found in _inside_words(joined) if self._in_a_wanted_word(joined, found)]
        if self._words is not None:
            places += [start for _, start, _ in self._words.find_matches_as_indexes(joined.lower())]
        if self._cased is not None:
            places += [start for _, start, _ in self._cased.find_matches_as_indexes(joined)]
        if not places:
            return ()
        begins, at = [], 0
        for text in texts:
            begins.append(at)
            at += len(text) + 1
        return sorted({bisect_right(begins, place) - 1 for place in places})

    def _in_a_wanted_word(self, texts: bytes, found: re.Match[bytes]) -> bool:
        """Whether the letters around what was found inside a word may be of a word that is searched for."""
        if (after := found[1]) and after.lower() not in self._after:
            return False
        before = _LETTERS_BEFORE.search(texts[max(0, found.start() - _PIECE - 6) : found.start()])
        return before is None or before[1].lower() in self._before

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


class _Beside:
    """The letters that may stand right before (or `after`) the first thing inside the word of one of these: up to `_PIECE` of
    them. Fewer are before it only where the word begins; after it there may be more things. An open word may have letters on
    either side: it is a part of a longer one, or has an ending."""

    def __init__(self, letters: Iterable[Letters], *, after: bool) -> None:
        words = [(one.word.lower().encode(), one.open) for one in letters]
        self._after = after
        self._inner = {word[at : at + _PIECE] for word, _ in words for at in range(len(word) - _PIECE + 1)}
        self._inner |= {word[:n] for word, _ in words for n in range(_PIECE)}
        if after:
            self._inner |= {
                word[at : at + n] for word, _ in words for n in range(_PIECE) for at in range(len(word) - n + 1)
            }
        self._outer = {word[-n:] if after else word[:n] for word, is_open in words if is_open for n in range(1, _PIECE)}

    def __contains__(self, letters: bytes) -> bool:
        if letters in self._inner:
            return True
        cut = (letters[:n] if self._after else letters[-n:] for n in range(1, len(letters) + 1))
        return any(part in self._outer for part in cut)


def _inside_words(texts: bytes) -> Iterator[re.Match[bytes]]:
    yield from _TAG_IN_A_WORD.finditer(texts)
    if b"&" in texts:
        yield from _ENTITY_IN_A_WORD.finditer(texts)
    if b"\\u" in texts:
        yield from _ESCAPE_IN_A_WORD.finditer(texts)
    if not texts.isascii():
        yield from _bytes_in_words(texts)


def _bytes_in_words(texts: bytes) -> Iterator[re.Match[bytes]]:
    """As `_BYTE_IN_A_WORD.finditer`, which looks at each byte in turn; here those of ASCII are skipped many at once."""
    marked, at = texts.translate(_HIGH), 0
    while (at := marked.find(b"\x80", at)) >= 0:
        found = _BYTE_IN_A_WORD.match(texts, at)
        if found is not None:
            yield found
        at = found.end() if found is not None and found.end() > at else at + 1


def _automaton(words: Sequence[bytes]) -> ahocorasick_rs.BytesAhoCorasick | None:
    """An automaton for these words; None for none."""
    if not words:
        return None
    return ahocorasick_rs.BytesAhoCorasick(
        words,
        matchkind=ahocorasick_rs.MatchKind.LeftmostFirst,
        implementation=ahocorasick_rs.Implementation.ContiguousNFA,
    )


_FINDS_KEYS = ahocorasick_rs.BytesAhoCorasick([*_KEYS, *_NEVER], matchkind=ahocorasick_rs.MatchKind.LeftmostFirst)
_FINDS_ODD = ahocorasick_rs.BytesAhoCorasick([*_ODD], matchkind=ahocorasick_rs.MatchKind.LeftmostFirst)


def _parts_of(doi: Doi) -> set[bytes]:
    """Bytes of which a record's own DOI, which Crossref writes in lower case, holds some in whatever JSON: the slash after its
    prefix and what follows, in small letters or capitals, and with further slashes as JSON may have them. All begin with the
    slash, a rare byte, so the automaton skips the rest."""
    suffix = doi.lower().encode().partition(b"/")[2] + b'"'
    part = _UNSAFE.split(suffix[:-1], maxsplit=1)[0]
    part = (part if len(part) < len(suffix) - 1 else suffix)[:_LONGEST_PART]
    return {b"/" + case.replace(b"/", slash) for case in (part, part.upper()) for slash in (b"/", rb"\/")}


def _line_breaks(block: bytes) -> int:
    """How many lines a block has. `bytes.count` looks at each byte, which takes longer than the automaton."""
    count = at = 0
    while at := block.find(b"\n", at) + 1:
        count += 1
    return count


def _texts(block: bytes) -> tuple[int, list[bytes], list[int]]:
    """How often a record follows another on the next line; the JSON of every title, subtitle and abstract; and where these
    stand."""
    joints = 0
    texts: list[bytes] = []
    starts: list[int] = []
    find = block.find
    for which, start, stop in _FINDS_KEYS.find_matches_as_indexes(block):
        if which == _JOINT:
            joints += 1
            continue
        if which > _ABSTRACT:
            continue
        if which != _ABSTRACT and block.startswith(b':["', stop):  # nearly always one text
            end = find(b'"', stop + 3) + 1
            if end and block[end] == _BRACKET and block[end - 2] != _BACKSLASH:
                texts.append(block[stop + 1 : end + 1])
                starts.append(start)
                continue
        if block.startswith(_EMPTY, stop):
            continue
        found = _TEXTS.match(block, stop)
        texts.append(found[0][1:] if found else block[stop + 1 : find(b"\n", stop)])
        starts.append(start)
    return joints, texts, starts


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
