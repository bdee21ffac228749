"""Files of Crossref records → their lines, and each line → the records in it, as far as it takes to tell whether they are wanted.

Read are JSON Lines (plain or gzip), the older `{"items": […]}` files of Crossref's public data file, saved responses of the API,
and plain lists. What is made of a line is the same in whatever process. May not decide what is kept.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any, NamedTuple

from evidence import plain_text
from evidence.crossref import normalise
from evidence.data_model import Doi, Message
from evidence.errors import ConfigError, RecordError
from evidence.http.json_body import parse_json

Accepts = Callable[[Message, str | None, str | None], bool]
"""Whether a record, with its title and abstract, matches a search."""

PART_LINES, PART_BYTES = 500, 4_000_000
"""Lines that are looked at together are so many, or have so many bytes."""

_WORD = re.compile(r"[^\W\d_]{4,}|\d{4}")


class RawLine(NamedTuple):
    """A line of a file, or all of a file that is one JSON document (`whole`), with its place."""

    place: str
    raw: bytes
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A line or entry that is no record or cannot be read: file and line, reason, text, and DOI if any."""

    where: str
    reason: str
    text: str
    doi: Doi | None = None


class LookedAt(NamedTuple):
    """A record of a file: its place and DOI, when it was indexed, the words of its title, and the numbers of the searches that it
    matches. `message` is the record, where this process has parsed it; where another has, `text` and `digest` are what it would
    be stored with, if a search finds it or every record is wanted."""

    place: str
    doi: Doi
    indexed: str | None
    words: frozenset[str]
    found: tuple[int, ...]
    message: Message | None = None
    text: str | None = None
    digest: str | None = None

    def written(self) -> tuple[str, str]:
        """The text and the digest with which the record would be stored."""
        if self.message is not None:
            return normalise.serialise_whole(self.message)
        assert self.text is not None and self.digest is not None  # noqa: S101 (one of both is always there)
        return self.text, self.digest


def parts_of(lines: Iterable[RawLine]) -> Iterator[list[RawLine]]:
    """The lines, some at a time; a whole document by itself."""
    part: list[RawLine] = []
    size = 0
    for line in lines:
        if part and line.whole:
            yield part
            part, size = [], 0
        part.append(line)
        size += len(line.raw)
        if line.whole or len(part) == PART_LINES or size >= PART_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part


def lines_of(paths: Iterable[Path]) -> Iterator[RawLine]:
    """The lines of these files; ConfigError for a file that cannot be read."""
    return chain.from_iterable(map(_lines_of, paths))


def _lines_of(path: Path) -> Iterator[RawLine]:
    with open_unzipped(path) as file:
        lines = ((number, line) for number, line in enumerate(file, start=1) if line.strip())
        begun = list(islice(lines, 2))
        if len(begun) == 2 and not _is_line(*(line for _, line in begun)):
            yield RawLine(str(path), b"".join([*(line for _, line in begun), file.read()]), whole=True)
            return
        for number, line in chain(begun, lines):
            yield RawLine(f"{path}:{number}", line, whole=len(begun) == 1)


def _is_line(first: bytes, second: bytes) -> bool:
    """Whether the first line of a file is JSON by itself, and not the beginning of a document."""
    if len(first) < PART_BYTES:
        return isinstance(_parsed(first), (dict, list))
    # Too long to be parsed for this alone: after a value, a document goes on with a comma or a bracket that closes.
    return first.rstrip().endswith((b"}", b"]")) and second.lstrip().startswith((b"{", b"["))


def read_records(path: Path) -> Iterator[Message | Unreadable]:
    """The records of one file, one at a time; other entries come as `Unreadable`."""
    return (entry for line in _lines_of(path) for _, entry in entries_in(line))


def look(
    line: RawLine, searches: Sequence[Accepts] = (), known: Collection[Doi] = ()
) -> Iterator[LookedAt | Unreadable]:
    """What is in a line, but for the records of known DOIs; ConfigError for a whole document that is no JSON."""
    for place, entry in entries_in(line):
        if not (known and normalise.doi_of(entry) in known):
            yield _looked_at(place, entry, searches)


def look_and_write(line: RawLine, searches: Sequence[Accepts], everything: bool) -> list[LookedAt | Unreadable]:
    """What is in a line, for another process: with the text of a record where a search accepts it or `everything` is wanted."""
    found: list[LookedAt | Unreadable] = []
    for one in look(line, searches):
        if isinstance(one, LookedAt):
            text, digest = one.written() if everything or one.found else (None, None)
            one = one._replace(message=None, text=text, digest=digest)
        found.append(one)
    return found


def entries_in(line: RawLine) -> Iterator[tuple[str, Message | Unreadable]]:
    """The records in a line, each with its place; ConfigError where a whole document is none."""
    value = _parsed(line.raw)
    if isinstance(value, (dict, list)):
        yield from entries_of(value, line.place)
    elif line.whole:
        raise ConfigError(
            f"{line.place}: this is not JSON; give Crossref records as .jsonl, .jsonl.gz, or a .json(.gz) with a list of them"
        )
    else:
        said = line.raw.decode(errors="replace").strip()
        yield line.place, Unreadable(line.place, "this line is not a JSON record", said)


def entries_of(value: Any, where: str) -> Iterator[tuple[str, Message | Unreadable]]:
    """Each with its place: the records in a value: a record, a list, or a wrapper (`message` of the API, `items`, or a
    labelled `work`)."""
    if isinstance(value, list):
        for number, item in enumerate(value, start=1):
            yield from entries_of(item, f"{where}, entry {number}")
    elif not isinstance(value, dict):
        yield where, Unreadable(where, "this entry is not a JSON object", normalise.serialise_any(value)[0])
    elif "DOI" not in value and (inner := next((k for k in ("message", "items", "work") if k in value), None)):
        yield from entries_of(value[inner], where)
    else:
        yield where, value


def title_words(text: str) -> frozenset[str]:
    """The words of a text by which a title is found: longer ones and years, without case and accents."""
    return frozenset(_WORD.findall(plain_text.fold(text)))


def _looked_at(where: str, entry: Message | Unreadable, searches: Sequence[Accepts]) -> LookedAt | Unreadable:
    if isinstance(entry, Unreadable):
        return entry
    doi = normalise.doi_of(entry)
    try:
        if doi is None:
            raise RecordError(normalise.missing_doi_reason(entry))
        title, abstract = normalise.title_and_abstract(entry)
        found = tuple(number for number, accepts in enumerate(searches) if accepts(entry, title, abstract))
    except RecordError as error:
        return Unreadable(where, str(error), normalise.serialise_any(entry)[0], doi)
    return LookedAt(where, doi, normalise.indexed_at(entry), title_words(title or ""), found, entry)


def _parsed(raw: bytes) -> Any:
    try:
        return parse_json(raw)
    except (ValueError, RecursionError):
        return None


@contextmanager
def open_unzipped(path: Path) -> Iterator[IO[bytes]]:
    """Open a file, unzipped if it is gzipped; ConfigError when it cannot be read or is cut off."""
    try:
        with path.open("rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            with gzip.open(raw) if zipped else raw as file:
                yield file  # type: ignore[misc]
    except (EOFError, gzip.BadGzipFile) as error:
        raise ConfigError(f"{path}: the gzip file is cut off or damaged ({error}); get it again") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror or error}); check the path") from None
