"""Crossref's public data file: tens of thousands of zipped files of records, in a folder or in a tar, read as blocks of lines.

Each file or member of a tar is a `Part`. JSON Lines are read as they are; of the older `{"items": […]}`, and of a list, each item
becomes a line. A part is read in blocks, so memory does not grow with its size. What cannot be read ends the part with a
SourceError that names it. May not look into a record.
"""

from __future__ import annotations

import gzip
import io
import re
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from evidence.errors import ConfigError, SourceError

try:  # three times as fast as zlib
    from isal import igzip, isal_zlib

    _open_gzip: Any = igzip.open
    DECOMPRESSOR = "isal"
    _DAMAGED: tuple[Any, ...] = (EOFError, gzip.BadGzipFile, zlib.error, isal_zlib.error)
except ImportError:
    _open_gzip = gzip.open
    DECOMPRESSOR = "zlib"
    _DAMAGED = (EOFError, gzip.BadGzipFile, zlib.error)

BLOCK = 1 << 20
"""Bytes that are looked at together: they stay in the processor's cache."""

LONGEST_RECORD = 1 << 28
"""Bytes after which a record without an end is taken for damage."""

_ENDINGS = (".jsonl", ".jsonl.gz", ".json", ".json.gz", ".ndjson", ".ndjson.gz")
_GZIP = b"\x1f\x8b"
_DOCUMENT = re.compile(rb'\s*(?:\{\s*"items"\s*:\s*)?\[')
_TO_BRACE = re.compile(rb'(?:[^"{}\[\]]++|"[^"\\]*+(?:\\.[^"\\]*+)*+")*+([{}\[\]])', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Part:
    """A file of records, or a member of a tar: `name` recognises it wherever it is moved to, together with its size and when it
    was modified (seconds). `start` is where its bytes begin in the file at `path`."""

    name: str
    path: Path
    start: int
    size: int
    modified: int

    @property
    def place(self) -> str:
        """What people call it."""
        return f"{self.path}" if self.path.name == self.name else f"{self.path}, {self.name}"


def parts_of(paths: Iterable[Path]) -> list[Part]:
    """The parts in these files, folders and tars, in the order given and by name within each. ConfigError when a path does not
    exist or has no parts, and for a tar that is zipped or damaged."""
    parts: dict[tuple[Path, int], Part] = {}
    for path in paths:
        found = list(_parts_below(path))
        if not found:
            raise ConfigError(
                f"{path}: there are no files of records in it ({', '.join(_ENDINGS)}, or a .tar of these)"
            )
        for part in found:
            parts.setdefault((part.path.resolve(), part.start), part)
    return list(parts.values())


def _parts_below(path: Path) -> Iterator[Part]:
    try:
        if path.is_dir():
            inside = sorted(each for each in path.rglob("*") if each.is_file() and _is_listed(each))
            for each in inside:
                yield from _parts_in(each)
        else:
            yield from _parts_in(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror or error}); check the path") from None


def _is_listed(path: Path) -> bool:
    return path.name.lower().endswith((*_ENDINGS, ".tar")) and not path.name.startswith(".")


def _parts_in(path: Path) -> Iterator[Part]:
    if path.name.lower().endswith((".tar.gz", ".tgz")):
        raise ConfigError(f"{path}: a zipped tar can only be read from its start; unpack it, and name the folder")
    if not path.name.lower().endswith(".tar"):
        about = path.stat()
        yield Part(path.name, path, 0, about.st_size, int(about.st_mtime))
        return
    try:
        with tarfile.open(path, "r:") as tar:
            members = [each for each in tar if each.isfile() and _is_listed(Path(each.name))]
    except tarfile.TarError as error:
        raise ConfigError(f"{path}: this is no tar, or it is cut off ({error}); get it again") from None
    for member in sorted(members, key=lambda each: each.name):
        yield Part(member.name, path, member.offset_data, member.size, int(member.mtime))


class _Bytes(io.RawIOBase):
    """The bytes of a part: a window into its file. `position` counts those read, for progress."""

    def __init__(self, file: IO[bytes], part: Part) -> None:
        self._file, self._left = file, part.size
        file.seek(part.start)

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """The next bytes."""
        read = self._file.read(min(len(buffer), self._left))
        buffer[: len(read)] = read
        self._left -= len(read)
        return len(read)


def blocks(part: Part) -> Iterator[bytes]:
    """The lines of a part, some at a time, each with its line break. SourceError when it is cut off, damaged, gone, or no
    JSON."""
    try:
        with part.path.open("rb") as file, io.BufferedReader(_Bytes(file, part), BLOCK) as raw:
            if raw.peek(2)[:2] == _GZIP:
                with _open_gzip(raw) as unzipped:
                    yield from _blocks(unzipped, part)
            else:
                yield from _blocks(raw, part)
    except _DAMAGED as error:
        raise SourceError(f"{part.place}: the gzip file is cut off or damaged ({error}); get it again") from None
    except OSError as error:
        raise SourceError(f"{part.place}: cannot be read ({error.strerror or error})") from None


def _blocks(file: Any, part: Part) -> Iterator[bytes]:
    first = file.read(BLOCK)
    document = _DOCUMENT.match(first)
    if document:
        yield from _items(file, first[document.end() :], part)
        return
    if not first.lstrip().startswith(b"{"):
        what = "is empty" if not first else "is not JSON"
        raise SourceError(f"{part.place}: this file {what}; it should hold Crossref records, one a line")
    yield from _whole_lines(file, first)


def _whole_lines(file: Any, read: bytes) -> Iterator[bytes]:
    """Blocks that end where a line ends. The last line gets its line break."""
    begun: list[bytes] = []
    while read:
        end = read.rfind(b"\n") + 1
        if end:
            block = b"".join([*begun, memoryview(read)[:end]])
            begun = [read[end:]] if end < len(read) else []
            yield block
        else:
            begun.append(read)
        read = file.read(BLOCK)
    if begun:
        yield b"".join([*begun, b"\n"])


def _items(file: Any, read: bytes, part: Part) -> Iterator[bytes]:
    """The items of a list, each on a line. Where one ends is told by counting brackets, outside of texts."""
    lines: list[bytes] = []
    at = start = depth = size = 0
    while True:
        found = _TO_BRACE.match(read, at)
        if found is None:
            more = file.read(BLOCK)
            if not more or len(read) - start > LONGEST_RECORD:
                raise SourceError(f"{part.place}: its list of records does not end; get it again")
            read, at, start = read[start:] + more, at - start, 0
            continue
        at = found.end()
        bracket = found[1]
        if bracket in b"{[":
            start = at - 1 if depth == 0 else start
            depth += 1
            continue
        depth -= 1
        if depth == 0:
            lines.append(read[start:at].replace(b"\n", b" ").replace(b"\r", b" ") + b"\n")
            size += len(lines[-1])
        if depth == 0 or depth < 0:
            start = at
        if depth < 0 or size > BLOCK:
            if lines:
                yield b"".join(lines)
            lines, size = [], 0
        if depth < 0:
            return
