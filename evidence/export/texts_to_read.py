"""A file or stdin → the titles and abstracts in it, one at a time: JSON lines, or the plain text of one abstract, zipped or
not.

It reads; it may not judge a text. What cannot be read is a ConfigError that names the file and the line.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from evidence.errors import ConfigError

STDIN = "-"
LONGEST_TITLE = 300
"""Characters of a first line that is taken for a title at most."""
_WRAPPED_AT = 55
"""Characters from which on a line that ends without a full stop was broken by the width of a page."""
_BOM = b"\xef\xbb\xbf"
_ZIPPED = b"\x1f\x8b"
_HEADING = re.compile(
    r"(?:background|context|introduction|importance|rationale|objectives?|aims?|purpose|methods?|abstract|summary)\b"
    r"(?:\s+and\s+\w+)?(?:\s*[:.–—-]|\s*$)",
    re.IGNORECASE,
)
_TWO_SENTENCES = re.compile(r"[^\W_]{2,}[.]\s+[^\W\d_].*[.]\s*$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class GivenRecord:
    """One title and abstract as given (None: absent). `id` is that of the JSON object, the number of its line where it has
    none, the name of the file for a plain text."""

    id: Any
    title: str | None
    abstract: str | None


def records(name: str) -> Iterator[GivenRecord]:
    """The records of a file, or with `-` of stdin, read as they are asked for.

    A file that begins with `{` holds JSON objects, one a line, with `id`, `title` and `abstract`; other keys are left out.
    Any other file is one text (`split_title`). ConfigError for a file or a line that cannot be read.
    """
    where = "stdin" if name == STDIN else name
    try:
        with _opened(name) as file:
            yield from _records(file, name, where)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ConfigError(f"{where}: the gzip file is cut off or damaged ({error}); get it again") from None
    except OSError as error:
        raise ConfigError(f"{where}: cannot be read ({error.strerror or error}); check the path") from None


def split_title(text: str) -> tuple[str | None, str | None]:
    """The title and the abstract of a plain text.

    The first line, or the first paragraph where a blank line follows it, is the title, and the rest the abstract. All of it
    is the abstract where that line is longer than `LONGEST_TITLE`, begins with a heading such as `Background:`, or goes on in
    the next line. A single line of several sentences is an abstract, any other a title.
    """
    text = text.strip()
    first, rest = _first_part(text)
    is_title = len(first) <= LONGEST_TITLE and not _HEADING.match(first)
    if rest:
        goes_on = text.count("\n", len(first), len(text) - len(rest)) < 2 and rest[:1].islower()
        return (first, rest) if is_title and not goes_on else (None, text)
    return (first, None) if is_title and not _TWO_SENTENCES.search(first) else (None, text or None)


def _first_part(text: str) -> tuple[str, str]:
    """The first paragraph and the rest, or where no blank line is near the first line and the rest; both without blanks
    around them."""
    paragraph = re.search(r"\r?\n[^\S\n]*\n", text)
    if (
        paragraph
        and len(text[: paragraph.start()].strip()) <= LONGEST_TITLE
        and text.count("\n", 0, paragraph.start()) < 5
    ):
        return text[: paragraph.start()].rstrip(), text[paragraph.end() :].lstrip()
    line, _, rest = text.partition("\n")
    return line.rstrip(), rest.lstrip()


def unwrapped(text: str) -> str:
    """The text with a blank for each line break that only the width of a page made; as long as before."""
    parts = re.split(r"(\r?\n)", text)
    for number in range(1, len(parts), 2):
        before, after = parts[number - 1].strip(), parts[number + 1].strip()
        if after and len(before) >= _WRAPPED_AT and before[-1] not in ".:!?":
            parts[number] = " " * len(parts[number])
    return "".join(parts)


@contextmanager
def _opened(name: str) -> Iterator[IO[bytes]]:
    if name == STDIN:
        if sys.stdin is None:
            raise ConfigError("stdin is closed; name a file")
        with _unzipped(sys.stdin.buffer) as file:
            yield file
    else:
        with Path(name).open("rb") as raw, _unzipped(raw) as file:
            yield file


@contextmanager
def _unzipped(raw: Any) -> Iterator[IO[bytes]]:
    if raw.peek(2)[:2] != _ZIPPED:
        yield raw
        return
    with gzip.open(raw) as file:
        yield file  # type: ignore[misc]  # it reads bytes


def _records(file: IO[bytes], name: str, where: str) -> Iterator[GivenRecord]:
    skipped: list[bytes] = []
    for number, raw in enumerate(file, start=1):
        line = raw.removeprefix(_BOM) if number == 1 else raw
        if not line.strip():
            skipped.append(line)
        elif line.lstrip().startswith(b"{"):
            yield _record(line, number, where)
            yield from _later_records(file, number + 1, where)
            return
        else:
            text = unwrapped(_decoded(b"".join([*skipped, line, file.read()]), where, 1))
            yield GivenRecord(name, *split_title(text))
            return
    raise ConfigError(f"{where}: there is no text in it; give the text of an abstract, or JSON lines")


def _later_records(file: IO[bytes], first: int, where: str) -> Iterator[GivenRecord]:
    for number, line in enumerate(file, start=first):
        if line.strip():
            yield _record(line, number, where)


def _record(line: bytes, number: int, where: str) -> GivenRecord:
    place = f"{where}:{number}"
    text = _decoded(line, where, number)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            f'{place}: this line is no JSON ({error}); write {{"id": 1, "title": "…", "abstract": "…"}}, one a line'
        ) from None
    if not isinstance(found, dict):
        raise ConfigError(
            f'{place}: this line is no JSON object; write {{"id": 1, "title": "…", "abstract": "…"}}, one a line'
        )
    fields: dict[str, str | None] = {}
    for key in ("title", "abstract"):
        value = found.get(key)
        if value is not None and not isinstance(value, str):
            raise ConfigError(f"{place}: {key} is {json.dumps(value)[:40]}, which is not text; write a string or null")
        fields[key] = value
    return GivenRecord(number if found.get("id") is None else found["id"], fields["title"], fields["abstract"])


def _decoded(raw: bytes, where: str, line: int) -> str:
    """The text of some lines of which the first has this number."""
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        place = f"{where}:{line + raw.count(bytes([10]), 0, error.start)}"
        raise ConfigError(f"{place}: this is not UTF-8 ({error.reason}); save the file as UTF-8") from None
