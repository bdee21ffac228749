"""Characters of deposited strings: entities replaced, wrong encodings repaired, Unicode normal forms.

It knows nothing of markup or DOIs; `plain_text` and `doi` build on it. Every function takes time in proportion to its
input, where the standard library does not: that sorts a run of combining marks in quadratic time, and raises an exception
for a numeric entity of thousands of digits.
"""

from __future__ import annotations

import html
import re
import sys
import unicodedata
from collections.abc import Iterator
from functools import cache

from ftfy import TextFixerConfig, fix_encoding
from ftfy.badness import BADNESS_RE

_LONG_NUMBER = re.compile(r"&#([0-9]{20,}+);?")
"""More digits than any code point has; Python refuses to parse a number of thousands of digits."""
_LONE_HALF = re.compile("[\ud800-\udfff]")
_MAX_MARKS = 30
"""Combining marks in a row that are kept (the Stream-Safe Text Format of Unicode's UAX #15); no language has more than a few."""

_NOT_ASCII_RUN = re.compile(rf"[^\x00-\x7f]{{{_MAX_MARKS}}}")

_PIECE = 10_000
"""Characters that are repaired at once, because one of ftfy's decoders takes quadratic time."""
_PIECES = re.compile(rf"[^\n\ufffd]{{1,{_PIECE}}}+\n?|[\n\ufffd]")  # ftfy would take U+FFFD for a control character

_SUSPICIOUS = re.compile(rb"[\xc2-\xf4](?:[\x80-\xbf]++[\xc2-\xf4]|(?<=\xc2)[\x80-\x9f]|(?<=\xc3)[\x80-\xbf] )")
"""Two characters in a row that are not ASCII, a control character, or one of `À` to `ÿ` and a blank. Text without one of these
was not decoded with a wrong encoding, which makes two or more characters of one. A quick test; in UTF-8, because it finds sets of
bytes faster."""

_BAD_BEGINS = re.compile("[^\x00-\x7f]{2,}|[\x80-\x9f]|[ÃÂ] |[Œœ][^A-Za-z]")
"""A part of whatever ftfy takes for a sign of a wrong encoding."""
_BAD_REACH = 6
"""Characters of the longest sign: so far from that part it may begin or end. Searched there alone, because ftfy's pattern takes
a microsecond for each character."""

# Only wrong encodings are repaired. Lost characters stay lost (`Ã�` is kept), and quotes, ligatures, widths and entities are
# left as they are.
_ENCODING_ONLY = TextFixerConfig(
    unescape_html=False,
    remove_terminal_escapes=False,
    restore_byte_a0=True,
    replace_lossy_sequences=False,
    decode_inconsistent_utf8=True,
    fix_c1_controls=False,
    fix_latin_ligatures=False,
    fix_character_width=False,
    uncurl_quotes=False,
    fix_line_breaks=False,
    fix_surrogates=False,
    remove_control_chars=False,
    normalization=None,
    explain=False,
)


def unescape(text: str) -> str:
    """The text with its HTML entities replaced, once. A number that is no code point becomes U+FFFD, however long it is."""
    if "&#" in text:
        text = _LONG_NUMBER.sub(_number, text)
    return html.unescape(text)


def _number(entity: re.Match[str]) -> str:
    digits = entity[1].lstrip("0") or "0"
    return f"&#{digits};" if len(digits) < 20 else "\ufffd"


def without_surrogates(text: str) -> str:
    """The text with lone surrogates replaced by U+FFFD: they are not characters, and no file or database can hold them."""
    return text if text.isascii() else _LONE_HALF.sub("\ufffd", text)


def repair_encoding(text: str) -> str:
    """Text that was decoded with the wrong encoding, repaired: `CastaÃ±o` → `Castaño`. Other text is returned as it is."""
    if not looks_wrong(text):
        return text
    return "".join(fix_encoding(piece, _ENCODING_ONLY) if is_bad(piece) else piece for piece in _PIECES.findall(text))


def looks_wrong(text: str) -> bool:
    """Whether `repair_encoding` may change the text."""
    if text.isascii() or not _SUSPICIOUS.search(text.encode(errors="surrogatepass")):
        return False
    return is_bad(text)


def is_bad(text: str) -> bool:
    """Whether ftfy sees signs of a wrong encoding in the text: the same answer as that of `ftfy.badness.is_bad`, sooner."""
    return any(
        BADNESS_RE.search(text, max(0, found.start() - _BAD_REACH), found.end() + _BAD_REACH)
        for found in _BAD_BEGINS.finditer(text)
    )


def composed(text: str) -> str:
    """Unicode normal form C, with at most `_MAX_MARKS` combining marks per letter."""
    return text if text.isascii() else unicodedata.normalize("NFC", _few_marks(text))


def decomposed(text: str) -> str:
    """Unicode normal form KD, with at most `_MAX_MARKS` combining marks per letter."""
    return text if text.isascii() else unicodedata.normalize("NFKD", _few_marks(text))


def _few_marks(text: str) -> str:
    beyond_ascii = len(text.encode(errors="surrogatepass")) - len(text)  # at least as many bytes as characters
    if beyond_ascii < _MAX_MARKS or not _NOT_ASCII_RUN.search(text):
        return text
    return _too_many_marks().sub(r"\1", text)


@cache
def _too_many_marks() -> re.Pattern[str]:
    """Matches more than `_MAX_MARKS` combining marks in a row, as known to Python's Unicode database. Built once."""
    marks = "".join(f"{chr(first)}-{chr(last)}" for first, last in _combining())
    return re.compile(rf"([{marks}]{{{_MAX_MARKS}}})[{marks}]++")


def _combining() -> Iterator[tuple[int, int]]:
    """The ranges (first, last) of code points with a combining class."""
    first = None
    for code in range(0x300, min(sys.maxunicode, 0x20000)):  # none lies beyond the supplementary multilingual plane
        if unicodedata.combining(chr(code)):
            first = code if first is None else first
        elif first is not None:
            yield first, code - 1
            first = None
