"""Reads the bodies of responses: JSON as values that can be stored, what a failure says, and whether a body is a web page.

Pure: bytes in, values out, or an `AttemptError` that says what is wrong with the body. May not know what a service answers.
"""

from __future__ import annotations

import json
import math
import re
from contextlib import suppress
from typing import Any, Final

import orjson

from evidence.http.failures import AttemptError

MAX_ERROR_TEXT: Final = 600
"""Characters of the server's message that go into an error."""

MAX_DIGITS: Final = 4_000
"""Digits of a whole number that is read as one; Python refuses some more."""

MAX_DEPTH: Final = 200
"""Levels of objects and lists that are read as such, where there are too many to read."""

_AS_NUMBERS: Final = bytes.maketrans(b"123456789-:[ \t\r\n", b"000000000" + b"," * 7)
_LONG_NUMBER: Final = b"," + b"0" * 19
"""A whole number of 19 digits, where only digits and what may stand before a number are told apart: in a text, such digits nearly
always stand after a letter or a quotation mark."""
_NO_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")
_LEVELS, _MOST_LEFT = 40, 500
"""After so many levels were taken away, so many brackets may be left, which are not that many levels more."""

_NESTING = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[\]{}]', re.DOTALL)
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<half>\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\."
)
_HTML = re.compile(rb"(?:<\?xml[^>]{0,200}>\s*)?(?:<!doctype\s+html|<html)\b", re.IGNORECASE)
_MESSAGES = ("message", "error", "errors", "detail")


def read_json(body: bytes) -> Any:
    """The JSON of a body under status 200; AttemptError for one that is empty, a web page, cut short or not JSON."""
    try:
        return parse_json(body)
    except (ValueError, RecursionError) as error:
        kind = "empty" if not body.strip() else "a web page" if is_web_page(body) else "cut short or not JSON"
        raise AttemptError(f"200, but the answer is {kind}", fault="unreadable") from error


def is_web_page(body: bytes, *, xml: bool = False) -> bool:
    """Whether a body is a web page: any HTML or XML where a service answers in JSON, only HTML where it answers in `xml`."""
    start = body.lstrip(b"\xef\xbb\xbf \t\r\n")
    return bool(_HTML.match(start)) if xml else start.startswith(b"<")


def error_text(body: bytes) -> str:
    """The server's message about a failure, on one line: what JSON says under `message`, `error`, `errors` or `detail` (a text,
    an object, or a list of either), or the text of a web page."""
    try:
        said = json.loads(body)
        words = next(said[name] for name in _MESSAGES if said.get(name))
    except (ValueError, RecursionError, AttributeError, StopIteration):
        words = re.sub(r"<[^>]*>", " ", body[:4000].decode("utf-8", "replace"))
    if isinstance(words, list):
        words = "; ".join(str(_said(part)) for part in words)
    return " ".join(str(_said(words)).split())[:MAX_ERROR_TEXT] or "no message"


def _said(part: Any) -> Any:
    """The text of one message, which may be an object."""
    if not isinstance(part, dict):
        return part
    return next((part[name] for name in ("description", "message", "detail", "title") if part.get(name)), part)


def parse_json(body: bytes) -> Any:
    """JSON as a value that SQLite can hold; ValueError for what is none, RecursionError for what is nested too deep.

    A value that cannot be stored is replaced, so that the rest of the page is kept: a byte that is no UTF-8 becomes U+FFFD,
    `NaN`, `Infinity` and `1e999`, which JSON does not have, become null, a whole number of thousands of digits and
    what is nested deeper than `MAX_DEPTH` become their text.
    """
    # The quick reader makes a fraction of a whole number of more than 64 bits, and reads deeper than Python can go.
    if _LONG_NUMBER not in b"," + body.translate(_AS_NUMBERS) and not _may_be_deep(body):
        with suppress(orjson.JSONDecodeError):
            return orjson.loads(body)
    return _parsed_with_care(body)


def _may_be_deep(body: bytes) -> bool:
    """Whether there may be more levels of objects and lists than some hundreds. Brackets in texts count, too."""
    brackets = body.translate(None, _NO_BRACKETS)
    for _ in range(_LEVELS):
        if len(brackets) <= _MOST_LEFT:
            return False
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")  # a level less
    return True


def _parsed_with_care(body: bytes) -> Any:
    text = _whole_characters(body).decode("utf-8-sig", "replace")
    try:
        return json.loads(text, parse_constant=_no_number, parse_float=_number)
    except RecursionError:
        text = _shallow(text)
    except ValueError as error:
        if isinstance(error, json.JSONDecodeError):
            raise
    return json.loads(text, parse_constant=_no_number, parse_float=_number, parse_int=_whole_number)


def _number(written: str) -> float | None:
    number = float(written)
    return number if math.isfinite(number) else None


def _no_number(_: str) -> None:
    """`NaN` and the like say that there is no number, which JSON writes as null."""


def _whole_number(written: str) -> int | str:
    return int(written) if len(written) < MAX_DIGITS else written


def _shallow(text: str) -> str:
    """JSON text in which every object or list deeper than `MAX_DEPTH` is a string that holds it."""
    parts, at, depth, start = [], 0, 0, 0
    for token in _NESTING.finditer(text):
        mark = token[0]
        if mark in "[{":
            depth += 1
            if depth == MAX_DEPTH + 1:
                start = token.start()
        elif mark in "]}":
            depth -= 1
            if depth == MAX_DEPTH:
                parts += [text[at:start], json.dumps(text[start : token.end()])]
                at = token.end()
    return "".join([*parts, text[at:]])


def _whole_characters(body: bytes) -> bytes:
    """Halves of surrogate pairs, as a text cut in the middle of one leaves them, become U+FFFD: alone they are legal JSON
    but no character, and neither UTF-8 nor SQLite can hold them."""
    if not _SURROGATE.search(body):
        return body
    return _ESCAPE.sub(lambda escape: rb"\ufffd" if escape["half"] else escape[0], body)
