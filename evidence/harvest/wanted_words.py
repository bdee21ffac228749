"""Where the letters of a phrase may stand in the JSON of a text, told from bytes: as they are, or with something in between.

A word of a phrase is in a text as it is, or something stands inside it that readers do not see, or see as letters: a tag, an
entity, an escape, an accented letter, a wrong encoding. In the first case the letters beside it are compared with the phrase, in
the second those around what stands inside, as far as they can be read without parsing. Whatever a phrase matches is found, if one
letter of each of its words is of ASCII; most of what is found is no match. May not read a text.
"""

from __future__ import annotations

import html.entities
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

import ahocorasick_rs

from evidence.plain_text import may_hide_a_letter
from evidence.rules.phrase_letters import NOT_BARE, Letters

NEVER = (b"\x00\x01\x02", b"\x03\x04\x05", b"\x06\x07\x0e", b"\x0f\x10\x11")
"""No JSON has these. With four more first bytes an automaton of few words compares many bytes at once: five times as fast."""

# What may stand inside a word. The first of it in a word has a letter before it, or is seen as the first letter. The end of a
# paragraph is the end of a word; in a formula, white space beside a tag is nothing.
_BLANKS = rb"(?:\s|\\[nrt])*+"
_TAGS = rb"(?:%b<[^<>]*+>%b)*+" % (_BLANKS, _BLANKS)
_TAG_IN_A_WORD = re.compile(
    rb"<(?<=[A-Za-z]<)(?<!\\[nrt]<)(?!\\?/(?:jats:)?(?:p|title|sec)>)[^<>]*+>%b%b(?=[A-Za-z&\x80-\xff]|\\u)"
    % (_BLANKS, _TAGS)
)
_ENTITY_IN_A_WORD = re.compile(
    rb"&(?!gt;|quot;|apos;|lt;(?![A-Za-z/!?\\&])|amp;(?![A-Za-z#<&]))"
    rb"(?:(?<=[A-Za-z]&)|(?!nbsp;)(?=#?\w{1,40}+;[A-Za-z&#<\\\x80-\xff])|(?=[A-Za-z#]\w*+(?!;)))(?:#?\w{1,40}+;)?"
)
_ESCAPE_IN_A_WORD = re.compile(
    rb"\\u(?!00[aA]0|20(?:0[0-9aA]|1[0-9cCdD]))"
    rb"(?:(?<=[A-Za-z]\\u)|(?=[0-9A-Fa-f]{4}(?:\\u[0-9A-Fa-f]{4})*+%b[A-Za-z&]))"
    rb"[0-9A-Fa-f]{4}(?:\\u[0-9A-Fa-f]{4})*+" % _TAGS
)
_HIGH = bytes(range(0x80, 0x100))
_MARKED = bytes(0x80 if byte in _HIGH else 0 for byte in range(256))
_ENDS_A_WORD = re.compile(rb"\xc2\xa0|\xe2\x80[\x80-\x8a\x90-\x99\x9c\x9d]")
_ENDS_IN_A_BREAK = re.compile(rb"(?:%b)\Z" % _ENDS_A_WORD.pattern)
"""Blanks, dashes and quotation marks."""

# What only a reader understands, wherever it stands in a text.
_ODD_TAG = re.compile(rb"""=\s*+(?:\\"(?:[^"\\<>]|\\[^"])*+[<>]|'[^'"<>]*+[<>])""")
"""A value in a tag that seems to end it."""
_ESCAPED_BLANK = re.compile(rb"\\u(?:00[aA]0|200[0-9aA])")
"""White space, which is nothing beside a tag in a formula."""
_LONGEST_PREFIX = 80
_SILENT = ("annotation", "script", "style", "object", "noscript", "template")
_WITH_PREFIX = tuple(f":{name}".encode() for name in _SILENT)
_PREFIX = re.compile(rb"<[\w.-]++\Z")
_FORMULA = (b"<math", b":math")
_LONG = (b"documentclass", *(f"<{name}".encode() for name in _SILENT), *_WITH_PREFIX, *_FORMULA)
_PAIR, _ESCAPE = rb"\\", rb"\u"
"""A backslash of the text: what follows is no escape; and the begin of one."""
_LOOKS_BLANK = (b"n<", b"r<", b"t<")
_SHORT = (_PAIR, _ESCAPE, b"\\b", b"\\f", b"<!", b"<?")

_APART = bytes(byte if chr(byte).isascii() and chr(byte).isalpha() else 0x20 for byte in range(256))
_RUN = re.compile(rb"[A-Za-z]*+")
_HIDDEN = re.compile(rb"(?:[\x80-\xff]|\\u[0-9A-Fa-f]{4}|%b<[^<>]*+>%b)*+" % (_BLANKS, _BLANKS))
"""What may stand inside a word, but for entities."""
_MORE = re.compile(rb"[&\x80-\xff]|\\u|%b<" % _BLANKS)
_BEFORE_A_TAG = re.compile(rb"%b<" % _BLANKS)
_ENTITY = re.compile(rb"&(?:(?:amp|AMP);)*(#?\w{1,40}+);")
"""An entity, or an escaped one."""
_ESCAPED_TAG = re.compile(rb"&lt;(?:\\?/)?[A-Za-z][^<>&]*+&gt;")
_ESCAPED_TAGS = (b"&lt;", b"&amp;lt;", b"&amp;gt;")
"""They hide no letter."""
_NO_LETTERS = frozenset({b"gt", b"quot", b"apos"})
"""Entities that end a word."""
_OPENS_A_TAG = re.compile(rb"lt|#0*60|#x0*3c")
_OPENS_AN_ENTITY = re.compile(rb"amp|#0*38|#x0*26")
"""These end a word, unless a tag or another entity follows."""
_TAG_BEGINS = re.compile(rb"[A-Za-z/!?\\&]")
_ENTITY_BEGINS = re.compile(rb"[A-Za-z#<&]")
_WITHOUT_SEMICOLON = (b"#", *(name.encode() for name in html.entities.html5 if not name.endswith(";")))
"""Entities that are read as such also without a semicolon, whatever follows."""
_BEFORE_A0 = frozenset(char.encode() for char in "ÃÄÅÆĂĹĆГДЕΓΔΕ")
"""A letter in a wrong encoding whose second byte is 0xA0 begins with one of these; a blank may stand for the byte."""

_ESCAPE_BEFORE = re.compile(rb"(?<!\\)(?:\\\\)*+\\(?:u[0-9A-Fa-f]{4}|[nrtbf])(?=[A-Za-z]*+\Z)")
_UNREAD = re.compile(rb"[<&\\\x80-\xff]")
_UNREAD_BEFORE = re.compile(rb".*([<>&;\\\x80-\xff])", re.DOTALL)
_LONGEST_ESCAPE = len(rb"\u0000")
_ESCAPED_LETTERS = (b"n", b"r", b"t", b"b", b"f")
_WIDE = 3
"""For how many bytes of text each letter beside a word may stand; beyond that it is not compared."""
_HEAD = 5
"""Bytes after something in a word that are looked at first."""
_FEW = 6
"""Bytes of characters that are not of ASCII of which it is told once what they are."""
_MANY = 3
"""So many hidden letters, or more."""
_ANSWERS_KEPT = 1 << 17


class WantedWords:
    """Finds where `letters` may stand. Those without a word are looked for by nobody."""

    def __init__(self, letters: Iterable[Letters]) -> None:
        uncased, cased = ([one for one in letters if one.word and one.cased is each] for each in (False, True))
        self._uncased, self._cased = _AsTheyAre(uncased), _AsTheyAre(cased)
        self._broken = [_Broken(uncased, cased=False), _Broken(cased, cased=True)]
        self._tails = _Kept(self._may_begin)
        self._open_tails = _Kept(self._may_be_all_but)
        self._heads, *self._whole_heads = (_Kept(partial(self._may_continue, hidden)) for hidden in range(_MANY + 1))
        self._hide = _Kept(_may_hide_a_letter)
        self._longest = max((len(one.word) for one in (*uncased, *cased)), default=0) + len(rb"\u0000")

    def places(self, texts: bytes) -> Iterator[int]:
        """Where in these texts, each a line of JSON, something may be; not in order."""
        lower = texts.lower()
        formula = escapes = False
        for which, at, _ in _FINDS_LONG.find_matches_as_indexes(lower):
            what = _LONG[which]
            if what in _FORMULA:
                formula = True
            elif what not in _WITH_PREFIX or _PREFIX.search(lower, max(0, at - _LONGEST_PREFIX), at):
                yield at
        for which, at, stop in _FINDS_SHORT.find_matches_as_indexes(lower):
            if _SHORT[which] == _ESCAPE:
                escapes = True
            elif _SHORT[which] != _PAIR or lower.startswith(_LOOKS_BLANK, stop):
                yield at
        at = -1
        while (at := texts.find(b"\x7f", at + 1)) >= 0:
            yield at
        for found in _ODD_TAG.finditer(texts):
            yield found.start()
        yield from self._uncased.places(lower)
        yield from self._cased.places(texts)
        yield from self._inside_words(texts, lower, escapes)
        if not texts.isascii():
            yield from self._bytes_inside_words(texts, lower, formula, escapes)
        if formula and escapes:
            yield from (found.start() for found in _ESCAPED_BLANK.finditer(texts))

    def _inside_words(self, texts: bytes, lower: bytes, escapes: bool) -> Iterator[int]:
        """Where a tag, an entity or an escape stands inside a word that may be wanted."""
        tails = self._tails
        for found in _TAG_IN_A_WORD.finditer(texts):
            at = found.start()
            if (escapes or tails[lower[max(0, at - 3) : at]]) and self._may_be_inside(texts, lower, at, escapes):
                yield at
        for found in _ENTITY_IN_A_WORD.finditer(texts):
            at = found.start()
            if (escapes or tails[lower[max(0, at - 3) : at]] or not texts.startswith(_ESCAPED_TAGS, at)) and (
                self._may_be_inside(texts, lower, at, escapes)
            ):
                yield at
        if escapes:
            for found in _ESCAPE_IN_A_WORD.finditer(texts):
                if self._may_be_inside(texts, lower, found.start(), escapes):
                    yield found.start()

    def _bytes_inside_words(self, texts: bytes, lower: bytes, formula: bool, escapes: bool) -> Iterator[int]:
        """Where characters that are not of ASCII stand inside a word that may be wanted. Bytes of ASCII are skipped, many at
        once, and most characters by what is right beside them."""
        find, tails, heads, whole_heads = texts.translate(_MARKED).find, self._tails, self._heads, self._whole_heads
        hide, open_tails = self._hide, self._open_tails
        end = 0
        while (at := find(b"\x80", end)) >= 0:
            end = find(b"\x00", at)
            head = lower[end : end + _HEAD]
            many = end - at > 2 * _MANY
            tail = lower[max(0, at - 3) : at]
            if not (many or heads[head] or open_tails[tail]):
                continue
            apart = not (formula and _BEFORE_A_TAG.match(texts, end))
            if (
                (
                    ((escapes or tails[tail]) and not (apart and _ENDS_A_WORD.match(texts, at)))
                    or (
                        whole_heads[min((end - at) // 2, _MANY) - 1][head]
                        and not (apart and _ENDS_IN_A_BREAK.search(texts, max(at, end - 3), end))
                    )
                )
                and (end - at > _FEW or hide[texts[at:end]])
                and self._may_be_inside(texts, lower, at, escapes, after_others=True)
            ):
                yield at

    def _may_be_inside(self, texts: bytes, lower: bytes, at: int, escapes: bool, *, after_others: bool = False) -> bool:
        """Whether a word that is wanted may be spelled around what stands at a place. `after_others`: characters that are not its
        letters may stand there first, so that it begins behind them."""
        hidden = _hidden(texts, at)
        if hidden == (at, 0):
            return False
        begun = not_begun = True
        if hidden is not None and texts[hidden[0] : hidden[0] + 1] != b" ":  # what is right beside it tells most
            end, most = hidden
            head = lower[end : end + _HEAD]
            tail = lower[max(0, at - 3) : at]
            begun = (escapes or self._tails[tail]) and (most > _MANY or self._heads[head] or self._open_tails[tail])
            not_begun = most > 0 and self._whole_heads[min(most, _MANY) - 1][head]
            if not begun and not not_begun:
                return False
        run = _run_before(texts, at, self._longest) if begun else b""
        for broken in self._broken:
            rests = broken.begun(run) if run else set()
            if not_begun:
                rests = rests | (
                    broken.whole if after_others or not _is_letter(texts[at - 1 : at]) else broken.whole_inside
                )
            if rests and broken.may_follow(rests, texts, at):
                return True
        return False

    def _may_begin(self, tail: bytes) -> bool:
        """Whether a word that is wanted may have begun where these bytes end, the last three before something in a word."""
        return b"\\" in tail or any(broken.may_begin(tail) for broken in self._broken)

    def _may_be_all_but(self, tail: bytes) -> bool:
        """Whether these bytes may be followed by the last letters of a word, hidden, and by any others then."""
        return b"\\" in tail or any(tail.endswith(last) for broken in self._broken for last in broken.open_tails)

    def _may_continue(self, hidden: int, head: bytes) -> bool:
        """Whether these bytes, the first after something in a word, may continue a word that is wanted; if some are `hidden`, one
        of which only so many are, and none comes before."""
        run = _RUN.match(head)[0]  # type: ignore[index]  # it matches nothing, too
        rest, spaced = head[len(run) :], head[len(run) :].lstrip()
        more = not spaced or rest[0] >= 0x80 or rest.startswith(b"&") or spaced.startswith((b"<", b"\\"))
        if not run:
            return more or not hidden
        return any(broken.may_continue(hidden, run, more) for broken in self._broken)


class _AsTheyAre:
    """Words as they are, with the letters of the phrase around them."""

    def __init__(self, letters: Sequence[Letters]) -> None:
        self._words = sorted({one.word.encode() for one in letters})
        self._automaton = automaton(self._words) if self._words else None
        around = [
            (one.word.encode(), one.text[:at].encode(), one.text[at + len(one.word) :].encode())
            for one in letters
            for at in range(len(one.text))
            if one.text.startswith(one.word, at)
        ]
        # A word that begins inside another one is not found by itself.
        self._around = [
            [
                (*each, at)
                for each in around
                for at in range(len(found))
                if found[at:].startswith(each[0]) or each[0].startswith(found[at:])
            ]
            for found in self._words
        ]

    def places(self, texts: bytes) -> Iterator[int]:
        """Where a word stands that may be in its phrase, as far as the letters around it can be read."""
        if self._automaton is None:
            return
        for which, at, _ in self._automaton.find_matches_as_indexes(texts):
            for word, before, after, offset in self._around[which]:
                start = at + offset
                stop = start + len(word)
                if texts.startswith(word, start) and _ends(texts, start, before) and _begins(texts, stop, after):
                    yield at
                    break


def _begins(texts: bytes, start: int, wanted: bytes) -> bool:
    """Whether the letters and digits after a place are these, up to what cannot be read."""
    piece = texts[start : start + _WIDE * len(wanted) + _WIDE]
    unread = _UNREAD.search(piece)
    letters = piece[: unread.start() if unread else len(piece)].translate(None, NOT_BARE)
    return letters.startswith(wanted) if len(letters) >= len(wanted) else wanted.startswith(letters)


def _ends(texts: bytes, stop: int, wanted: bytes) -> bool:
    """Whether the letters and digits before a place are these, down to what cannot be read."""
    start = max(0, stop - _WIDE * len(wanted) - _WIDE - _LONGEST_ESCAPE)
    piece = texts[start:stop]
    unread = _UNREAD_BEFORE.match(piece)
    if unread and unread[1] in b"<&":
        return True
    if unread:
        escape = piece[unread.end() :] if unread[1] == b"\\" else b""
        piece = piece[unread.end() + (_LONGEST_ESCAPE - 1 if escape.startswith(b"u") else bool(escape)) :]
    elif start:
        piece = piece[_LONGEST_ESCAPE:]  # it may begin inside an escape
    letters = piece.translate(None, NOT_BARE)
    return letters.endswith(wanted) if len(letters) >= len(wanted) else wanted.endswith(letters)


_Rest = tuple[bytes, bool, bool]
"""Letters that are missing; whether more may follow the word; whether they are all of it: then some must be hidden, some not."""


class _Broken:
    """Words in which something stands: the letters before it, and which are then missing."""

    def __init__(self, letters: Iterable[Letters], *, cased: bool) -> None:
        self._cased = cased
        self._begun: dict[bytes, set[_Rest]] = {}
        self._begun_inside: dict[bytes, set[_Rest]] = {}
        self.whole: set[_Rest] = set()
        self.whole_inside: set[_Rest] = set()
        self._tails: set[bytes] = set()
        self.open_tails: set[bytes] = set()
        self._first: set[bytes] = set()
        self._first_inside: set[bytes] = set()
        words = {(one.word.encode(), one.before, one.after) for one in letters}
        for word, before, after in words:
            self.whole.add((word, after, True))
            if before:
                self.whole_inside.add((word, after, True))
            for at in range(1, len(word)):
                for begun in (self._begun, self._begun_inside) if before else (self._begun,):
                    begun.setdefault(word[:at], set()).add((word[at:], after, False))
            lower = word.lower()
            if after:
                self.open_tails |= {lower[:at][-3:] for at in range(max(1, len(lower) - _MANY), len(lower))}
            self._tails |= {lower[at - 3 : at] for at in range(3, len(lower))}
            (self._first_inside if before else self._first).update(lower[:at] for at in (1, 2) if at < len(lower))
        self._continued = [_continued(words, hidden) for hidden in range(_MANY + 1)]

    def begun(self, run: bytes) -> set[_Rest]:
        """What may be missing of words after these letters of a text."""
        run = run if self._cased else run.lower()
        found = self._begun.get(run, set())
        if self._begun_inside:
            found = found.union(*(self._begun_inside.get(run[at:], ()) for at in range(1, len(run))))
        return found

    def may_follow(self, rests: set[_Rest], texts: bytes, at: int) -> bool:
        """Whether one of these may be spelled from a place on: first comes something that is hidden or seen as letters, and more
        of the kind may stand between its letters."""
        while rests:
            hidden = _hidden(texts, at)
            if hidden is None:
                return True
            end, most = hidden
            if end == at:
                return False
            if texts.startswith(b" ", end) and texts[end - 2 : end] in _BEFORE_A0:
                done, left, stop = self._read(rests, texts, end + 1, most)
                if done or self.may_follow(left, texts, stop):
                    return True
            done, rests, at = self._read(rests, texts, end, most)
            if done:
                return True
        return False

    def _read(self, rests: set[_Rest], texts: bytes, at: int, most: int) -> tuple[bool, set[_Rest], int]:
        """Whether one of these is read to its end by the letters here, before which `most` of it may be hidden; else what may be
        missing after them, and where they end."""
        run: bytes = _RUN.match(texts, at)[0]  # type: ignore[index]  # it matches nothing, too
        stop = at + len(run)
        run = run if self._cased else run.lower()
        more = _MORE.match(texts, stop) is not None
        left: set[_Rest] = set()
        first = run[0] if run else -1
        for rest, after, whole in rests:
            for hidden in range(whole, min(most, len(rest) - whole) + 1):
                if hidden < len(rest) and first != rest[hidden] and first >= 0:
                    continue
                missing = rest[hidden:]
                if run == missing or (after and run.startswith(missing)):
                    return True, set(), stop
                if more and missing.startswith(run):
                    left.add((missing[len(run) :], after, whole and not run))
        return False, left, stop

    def may_begin(self, tail: bytes) -> bool:
        """Whether a word may have begun in these three bytes (in lower case): with them, or in them after what is no letter."""
        if tail in self._tails:
            return True
        for length in (1, 2):
            first, before = tail[-length:], tail[-length - 1 : -length]
            apart = not _is_letter(before) or (length == 2 and before in _ESCAPED_LETTERS)
            if first in self._first_inside or (apart and first in self._first):
                return True
        return False

    def may_continue(self, hidden: int, run: bytes, more: bool) -> bool:
        """Whether letters (in lower case) may be in a word, up to its end or to something inside it (`more`)."""
        ends, open_ends, pieces = self._continued[hidden]
        return run in ends or (more and run in pieces) or any(run[:n] in open_ends for n in range(1, len(run) + 1))


def _continued(words: Iterable[tuple[bytes, bool, bool]], hidden: int) -> tuple[set[bytes], set[bytes], set[bytes]]:
    """What may come after something in a word, or after so many of its first letters if some are `hidden` (`_MANY`: all but one):
    its end; its end if more may follow; and parts of it."""
    ends: set[bytes] = set()
    open_ends: set[bytes] = set()
    pieces: set[bytes] = set()
    for word, _, after in words:
        lower = word.lower()
        for at in range(1, len(lower) if hidden in (0, _MANY) else min(hidden + 1, len(lower))):
            ends.add(lower[at:])
            pieces |= {lower[at : at + length] for length in range(1, _HEAD + 1)}
            if after:
                open_ends.add(lower[at:])
    return ends, open_ends, pieces


def _hidden(texts: bytes, at: int) -> tuple[int, int] | None:
    """Where what is hidden or seen as letters ends, from a place on, and as how many letters it may be seen; None where this
    cannot be told."""
    most, end = 0, at
    while True:
        hidden: bytes = _HIDDEN.match(texts, end)[0]  # type: ignore[index]  # it matches nothing, too
        if hidden:
            most += (len(hidden) - len(hidden.translate(None, _HIGH))) // 2 + hidden.count(_ESCAPE)
            end += len(hidden)
        if not texts.startswith(b"&", end):
            return None if texts.startswith(_ESCAPE, end) else (end, most)
        if tag := _ESCAPED_TAG.match(texts, end):
            end = tag.end()
            continue
        entity = _ENTITY.match(texts, end)
        if entity is None:
            return None if texts.startswith(_WITHOUT_SEMICOLON, end + 1) else (end, most)
        name, stop = entity[1].lower(), entity.end()
        if name in _NO_LETTERS:
            return end, most
        for opens, begins in ((_OPENS_A_TAG, _TAG_BEGINS), (_OPENS_AN_ENTITY, _ENTITY_BEGINS)):
            if opens.fullmatch(name):
                return None if begins.match(texts, stop) else (end, most)
        most, end = most + 2, stop


def _may_hide_a_letter(chars: bytes) -> bool:
    try:
        return any(map(may_hide_a_letter, chars.decode()))
    except UnicodeDecodeError:
        return True


def _run_before(texts: bytes, at: int, longest: int) -> bytes:
    """The letters right before a place, so many at most."""
    start = max(0, at - longest)
    run = texts[start:at].translate(_APART).rpartition(b" ")[2]
    begins = at - len(run)
    if b"\\" not in texts[max(0, begins - _LONGEST_ESCAPE) : begins]:
        return run
    escape = _ESCAPE_BEFORE.search(texts, max(0, begins - longest), at)
    return texts[escape.end() : at] if escape else run


class _Kept(dict[bytes, bool]):
    """Answers for a few bytes, each found once."""

    def __init__(self, answer: Callable[[bytes], bool]) -> None:
        super().__init__()
        self._answer = answer

    def __missing__(self, key: bytes) -> bool:
        if len(self) >= _ANSWERS_KEPT:
            self.clear()
        self[key] = answer = self._answer(key)
        return answer


def _is_letter(byte: bytes) -> bool:
    return byte.isalpha()


def automaton(words: Sequence[bytes]) -> ahocorasick_rs.BytesAhoCorasick:
    """An automaton for these words, which prefers the first of them."""
    return ahocorasick_rs.BytesAhoCorasick(
        words,
        matchkind=ahocorasick_rs.MatchKind.LeftmostFirst,
        implementation=ahocorasick_rs.Implementation.ContiguousNFA,
    )


_FINDS_LONG = automaton([*_LONG, *NEVER])
_FINDS_SHORT = automaton([*_SHORT, *NEVER])
