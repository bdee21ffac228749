"""Which texts may hold the letters of a phrase, told from their JSON: one regular expression for all phrases.

A word of a phrase is in a text as it is, or something stands inside it that readers do not see, or see as letters: a tag, an
entity, an accented letter, a wrong encoding. The letters beside the word are compared with the phrase, as far as they can be
read without parsing. Whatever a phrase matches is found, if one letter of its word is of ASCII; most of what is found is no
match. May not read a text.

The expression is run by RE2, whose time grows with the text, not with the phrases. It has no look-around, and its memory is
bounded; phrases that are too many for it get a second one.
"""

from __future__ import annotations

import html.entities
import re
from collections.abc import Iterable, Iterator, Sequence

import ahocorasick_rs
import re2

from evidence.rules.phrase_letters import Letters

NEVER = (b"\x00\x01\x02", b"\x03\x04\x05", b"\x06\x07\x0e", b"\x0f\x10\x11")
"""No JSON has these. With four more first bytes an automaton of few words compares many bytes at once: five times as fast."""

# What stands inside a word and is not seen, any number of times; and what may be seen as one letter. A character that is not of
# ASCII begins with one byte of `_LETTER`.
_BLANKS = r"(?:\s|\\[nrt])*"
_TAG = rf"{_BLANKS}<[^<>\n]*>{_BLANKS}"
_ENTITIES = r"&[#\w;]+;"
"""One, or one that is escaped: `&amp;amp;eacute;`."""
_ESCAPED_TAG = r"&[#\w;]*(?:lt|LT|60|3[cC]);[A-Za-z/!?\\&][^\n]*?[;>]"
_HIDDEN = rf"(?:[\x80-\xff]|{_TAG}|{_ENTITIES}|{_ESCAPED_TAG})*"
_ENTITY = r"&[#\w;]*(?:[^\Wt]|[^\Wlg]t);"
"""`&lt;` and `&gt;` are no letters."""
_LETTER = rf"(?:[\xc2-\xf4]|{_ENTITY})"
_SEEN = rf"(?:%s|{_ENTITY})"
"""A letter that is as it is; an entity may be one of ASCII."""
_MOST_COUNTED, _MOST_NEXT = 3, 8
"""Of the letters that are hidden where a word begins, so many are counted; after the first that is not, so many are compared."""

# What stands between the letters beside a word, and what ends the comparison, forwards and backwards.
_BETWEEN = r"[^A-Za-z0-9<&\\\x80-\xff\n]"
_UNREAD = r"[<&\\\x80-\xff]"
_UNREAD_BEFORE = r"(?:[<>&;\x80-\xff]|\\[a-z]?)"
_NO_LETTER_BEFORE = r"(?:[^A-Za-z]|\\[nrt])"
_NO_LETTER = r"[^A-Za-z]"
_LONGEST_WORD, _MOST_AFTER = 30, 6
"""So many letters of a word, and of those after it, are compared."""

# What only a reader understands, wherever it stands in a text.
_SILENT = "annotation|script|style|object|noscript|template"
_LEGACY = "|".join(sorted(name for name in html.entities.html5 if not name.endswith(";")))
_ODD = (
    rf"(?i:documentclass|<(?:[\w.-]+:)?(?:{_SILENT})\W)",
    r"<[!?]",
    r"\\[bf]",
    r"\x7f",
    # A value in a tag that seems to end it.
    r"""=\s*(?:\\"(?:[^"\\<>\n]|\\[^"\n])*[<>]|'[^'"<>\n]*[<>])""",
    # An entity that is read as such without a semicolon, and the one that is two letters.
    rf"&(?:(?:amp|AMP|#0*38|#x0*26);)*(?:#|{_LEGACY})\w*[^\w;]",
    "&fjlig;",
    # A letter in a wrong encoding whose second byte is 0xA0 begins with one of ÃÄÅÆĂĹĆГДЕΓΔΕ; a blank may stand for the byte.
    r"(?:\xc3[\x83-\x86]|\xc4[\x82\x86\xb9]|[\xce\xd0][\x93-\x95])\x20[A-Za-z<&\x80-\xff]",
)

_LARGEST = 20_000
"""Squares of the lengths of the words in one expression: its size grows with them. A search of 53 phrases has 7,000."""
_MEMORY = 192 << 20
"""Bytes that an expression may take, a third of it for what it has learnt of texts; beyond that it forgets and learns again."""
_ESCAPE = re.compile(rb"\\(?:u([0-9A-Fa-f]{4})|.)", re.DOTALL)


class WantedWords:
    """Finds the texts that may hold `letters`. Those without a word are looked for by nobody."""

    def __init__(self, letters: Iterable[Letters]) -> None:
        found = sorted((one for one in letters if one.word), key=lambda one: (one.cased, one.text, one.word))
        self._patterns = [_compiled([*_ODD, *_expressions(part)]) for part in _parts(found)]

    def places(self, texts: bytes) -> Iterator[int]:
        """Which of these texts, each a line of JSON, may be wanted: the first is 0. One may be named more than once."""
        if _FINDS_ESCAPES.find_matches_as_indexes(texts):
            texts = _ESCAPE.sub(_unescaped, texts)
        for pattern in self._patterns:
            number = begin = 0
            while found := pattern.search(texts, begin):
                last = found.end() - 1
                number += texts.count(b"\n", begin, last)
                yield number
                number += 1
                begin = texts.find(b"\n", last) + 1
                if not begin:
                    break


def _parts(letters: Iterable[Letters]) -> Iterator[list[Letters]]:
    """As many of these together as an expression can take."""
    part: list[Letters] = []
    size = 0
    for one in letters:
        part.append(one)
        size += len(one.word[:_LONGEST_WORD]) ** 2
        if size > _LARGEST:
            yield part
            part, size = [], 0
    if part:
        yield part


def _expressions(letters: Iterable[Letters]) -> Iterator[str]:
    """Expressions that match wherever one of these may be."""
    as_begun: dict[tuple[bool, str, str, bool], set[str]] = {}
    for one in letters:
        for at in range(len(one.text)):
            if one.text.startswith(one.word, at):
                what = (one.cased, one.word[:_LONGEST_WORD], one.text[:at], one.before)
                rest = "" if len(one.word) > _LONGEST_WORD else one.text[at + len(one.word) :]
                as_begun.setdefault(what, set()).add(_after(rest, one.after or len(one.word) > _LONGEST_WORD))
    first_hidden: dict[bool, dict[tuple[bool, str], set[str]]] = {False: {}, True: {}}
    for (cased, word, before, joined), rests in as_begun.items():
        first = word[0] if len(word) > 1 else _SEEN % word
        expression = f"{_before(before, joined)}{first}{_continued(word[1:])}(?:{'|'.join(sorted(rests))})"
        yield expression if cased else f"(?i:{expression})"
        first_hidden[joined].setdefault((cased, word), set()).update(rests)
    for joined, words in first_hidden.items():
        if words:
            expression = _hidden_first(words, 1)
            yield expression if joined else f"{_NO_LETTER_BEFORE}{expression}"


def _continued(letters: str) -> str:
    """The other letters of a word, each as it is or seen as that, with anything hidden before it."""
    return "".join(f"{_HIDDEN}(?:{letter}|{_LETTER})" for letter in letters)


def _hidden_first(words: dict[tuple[bool, str], set[str]], hidden: int) -> str:
    """Words of which so many of the first letters are hidden, or more, and then one is not. The letters before them are not
    compared."""
    most = hidden == _MOST_COUNTED
    found = []
    for (cased, word), rests in words.items():
        for at in range(hidden, len(word) if most else min(hidden + 1, len(word))):
            end = at + 1 + _MOST_NEXT
            rest = f"(?:{'|'.join(sorted(rests))})" if end >= len(word) else ""
            expression = f"{_SEEN % word[at]}{_continued(word[at + 1 : end])}{rest}"
            found.append(expression if cased else f"(?i:{expression})")
    if not most:
        found.append(_hidden_first(words, hidden + 1))
    return f"{_LETTER}{_HIDDEN}(?:{'|'.join(found)})"


def _before(letters: str, joined: bool) -> str:
    """The last of these letters before a word, or what is not read. `joined`: it may stand right before the word."""
    if not letters:
        return "" if joined else _NO_LETTER_BEFORE
    return f"(?:{letters[-1]}{_BETWEEN}{'*' if joined else '+'}|{_UNREAD_BEFORE}{_BETWEEN}*)"


def _after(letters: str, joined: bool) -> str:
    """These letters after a word, up to what is not read. `joined`: they, or others, may stand right after it."""
    if not letters:
        return "" if joined else _NO_LETTER
    found = ""
    for letter in reversed(letters[:_MOST_AFTER]):
        found = f"{_BETWEEN}*(?:{letter}{found}|{_UNREAD})"
    return found if joined else f"(?:{_BETWEEN}{found}|{_UNREAD})"


def _compiled(expressions: Sequence[str]) -> re2._Regexp:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.max_mem = _MEMORY
    options.never_capture = True
    return re2.compile("|".join(expressions).encode("ascii"), options)


def _unescaped(escape: re.Match[bytes]) -> bytes:
    """The character that an escape with a number stands for, if it is of use here; other escapes as they are."""
    if escape[1] is None:
        return escape[0]
    char = chr(int(escape[1], 16))
    if char in '"\\':
        return b"\\" + char.encode()
    if char < " ":
        return b" " if char.isspace() else b"\x80"
    return char.encode(errors="surrogatepass")


def automaton(words: Sequence[bytes]) -> ahocorasick_rs.BytesAhoCorasick:
    """An automaton for these words, which prefers the first of them."""
    return ahocorasick_rs.BytesAhoCorasick(
        words,
        matchkind=ahocorasick_rs.MatchKind.LeftmostFirst,
        implementation=ahocorasick_rs.Implementation.ContiguousNFA,
    )


_FINDS_ESCAPES = automaton([rb"\u", *NEVER])
