"""The characters of a deposited string: entities decoded, damaged encodings repaired, composed forms.

`text` and `doi` both use it. Every function takes time in proportion to its input, also where the
standard library does not: a run of combining marks is sorted in quadratic time there, and a numeric entity of thousands of
digits is refused with an exception.
"""

from __future__ import annotations

import html
import re
import sys
import unicodedata
from collections.abc import Iterator
from functools import cache

from ftfy import TextFixerConfig, fix_encoding
from ftfy.badness import is_bad

_LONG_NUMBER = re.compile(r"&#([0-9]{20,}+);?")
"""More digits than any character has; Python refuses to read a number of thousands of digits."""
_LONE_HALF = re.compile("[\ud800-\udfff]")
_MARKS = 30
"""Combining marks in a row that are read (the Stream-Safe Text Format of Unicode's UAX #15); no language has more than a few."""

_NOT_ASCII_RUN = re.compile(rf"[^\x00-\x7f]{{{_MARKS}}}")

_PIECE = 10_000
"""Characters whose encoding is repaired at once: one of ftfy's decoders takes quadratic time."""
_PIECES = re.compile(rf"[^\n\ufffd]{{1,{_PIECE}}}+\n?|[\n\ufffd]")  # ftfy would take U+FFFD for a control character

_SUSPICIOUS = re.compile("[^\x00-\x7f]{2}|[\x80-\x9f]|[À-ÿ] ")
"""Without one of these nothing was read in a wrong encoding: there a character becomes two or more. Much quicker to ask."""

# Only a wrong encoding is undone. What was lost on the way stays lost (`Ã�` is not replaced by another mark), and nothing
# typographic is touched: quotes, ligatures, widths and entities are not ftfy's business here.
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
    """HTML entities undone, once. A number that stands for no character becomes U+FFFD, however long it is."""
    if "&#" in text:
        text = _LONG_NUMBER.sub(_number, text)
    return html.unescape(text)


def _number(entity: re.Match[str]) -> str:
    digits = entity[1].lstrip("0") or "0"
    return f"&#{digits};" if len(digits) < 20 else "\ufffd"


def whole(text: str) -> str:
    """Halves of surrogate pairs replaced by U+FFFD: alone they are no character, and no file or database can hold them."""
    return text if text.isascii() else _LONE_HALF.sub("\ufffd", text)


def repaired(text: str) -> str:
    """`CastaÃ±o` → `Castaño`: text that was written in one encoding and read in another. Other text is left as it is."""
    if text.isascii() or not _SUSPICIOUS.search(text) or not is_bad(text):
        return text
    return "".join(fix_encoding(piece, _ENCODING_ONLY) if is_bad(piece) else piece for piece in _PIECES.findall(text))


def composed(text: str) -> str:
    """Normalisation form C; of marks that combine with one letter the first `_MARKS`."""
    return text if text.isascii() else unicodedata.normalize("NFC", _few_marks(text))


def decomposed(text: str) -> str:
    """Normalisation form KD; of marks that combine with one letter the first `_MARKS`."""
    return text if text.isascii() else unicodedata.normalize("NFKD", _few_marks(text))


def _few_marks(text: str) -> str:
    return _too_many_marks().sub(r"\1", text) if _NOT_ASCII_RUN.search(text) else text


@cache
def _too_many_marks() -> re.Pattern[str]:
    """More combining marks in a row than `_MARKS`. Worked out once: the characters are those that Python's Unicode knows."""
    marks = "".join(f"{chr(first)}-{chr(last)}" for first, last in _combining())
    return re.compile(rf"([{marks}]{{{_MARKS}}})[{marks}]++")


def _combining() -> Iterator[tuple[int, int]]:
    """The ranges of characters with a combining class."""
    first = None
    for code in range(0x300, min(sys.maxunicode, 0x20000)):  # none lies beyond the supplementary multilingual plane
        if unicodedata.combining(chr(code)):
            first = code if first is None else first
        elif first is not None:
            yield first, code - 1
            first = None
