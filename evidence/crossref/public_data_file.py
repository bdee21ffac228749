"""Crossref's public data file: tens of thousands of zipped files of records, in a folder or in a tar, read as blocks of lines.

They are on a disk or at an address (`evidence/crossref/addresses.py`). Each file or member of a tar is a `Part`. JSON Lines are
read as they are; of the older `{"items": […]}`, and of a list, each item becomes a line. A part is read in blocks, so memory does
not grow with its size. What cannot be read ends the part with a SourceError that names it. May not look into a record.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from evidence.crossref import addresses
from evidence.errors import ConfigError, SourceError, UnavailableError

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

_HEADERS = 1 << 13
"""Bytes of a tar that are asked for at once where its members are listed."""

_ENDINGS = (".jsonl", ".jsonl.gz", ".json", ".json.gz", ".ndjson", ".ndjson.gz")
_GZIP = b"\x1f\x8b"
_DOCUMENT = re.compile(rb'\s*(?:\{\s*"items"\s*:\s*)?\[')
_TO_BRACE = re.compile(rb'(?:[^"{}\[\]]++|"[^"\\]*+(?:\\.[^"\\]*+)*+")*+([{}\[\]])', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Part:
    """A file of records, or a member of a tar: `name` recognises it wherever it is moved to, together with its size and when it
    was modified (seconds; 0 where a server does not say). `place` is what people call it. Its bytes begin at `start` in `file`,
    an absolute path or an address, which other processes and machines can open too."""

    name: str
    place: str
    file: str
    start: int
    size: int
    modified: int

    @property
    def in_tar(self) -> bool:
        """Whether it is a member of a tar; its file is longer."""
        return self.start > 0


def parts_of(paths: Iterable[Path | str]) -> list[Part]:
    """The parts in these files, folders and tars, in the order given and by name within each. ConfigError when a path does not
    exist or has no parts, and for a tar that is zipped or damaged."""
    parts: dict[tuple[str, int], Part] = {}
    for path in paths:
        found = list(_parts_at(path) if addresses.is_address(str(path)) else _parts_below(Path(path)))
        if not found:
            raise ConfigError(
                f"{path}: there are no files of records in it ({', '.join(_ENDINGS)}, or a .tar of these)"
            )
        for part in found:
            parts.setdefault((_one_name(part.file), part.start), part)
    return list(parts.values())


def _one_name(file: str) -> str:
    """The same for all names of one file."""
    return file if addresses.is_address(file) else str(Path(file).resolve())


def _parts_below(path: Path) -> Iterator[Part]:
    try:
        inside = [path]
        if path.is_dir():
            inside = sorted(each for each in path.rglob("*") if each.is_file() and _is_listed(each.name))
        for each in inside:
            about = each.stat()
            yield from _parts_in(str(each), str(each.absolute()), each.name, about.st_size, int(about.st_mtime))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror or error}); check the path") from None


def _parts_at(address: str | Path) -> Iterator[Part]:
    name = addresses.name_of(str(address))
    for file in addresses.files_at(str(address), is_file=_is_listed(name)):
        if _is_listed(file.name) or file.name == name:
            yield from _parts_in(file.address, file.address, file.name, file.size, file.modified)


def _is_listed(name: str) -> bool:
    return name.lower().endswith((*_ENDINGS, ".tar")) and not name.startswith(".")


def _parts_in(place: str, file: str, name: str, size: int, modified: int) -> Iterator[Part]:
    if name.lower().endswith((".tar.gz", ".tgz")):
        raise ConfigError(f"{place}: a zipped tar can only be read from its start; unpack it, and name the folder")
    if not name.lower().endswith(".tar"):
        yield Part(name, place, file, 0, size, modified)
        return
    try:
        with _opened(file, place, _HEADERS) as opened, tarfile.open(fileobj=opened, mode="r:") as tar:
            members = [each for each in tar if each.isfile() and _is_listed(each.name.rpartition("/")[2])]
    except tarfile.TarError as error:
        raise ConfigError(f"{place}: this is no tar, or it is cut off ({error}); get it again") from None
    except ValueError:  # what fsspec raises
        raise ConfigError(f"{place}: its server does not give parts of a file; get the tar first") from None
    except SourceError as error:
        raise ConfigError(f"{error}; check the path") from None
    for member in sorted(members, key=lambda each: each.name):
        yield Part(member.name, f"{place}, {member.name}", file, member.offset_data, member.size, int(member.mtime))


@contextmanager
def _opened(file: str, place: str, block: int | None = None) -> Iterator[IO[bytes]]:
    """A file at its path or address. SourceError when it cannot be read, also while it is."""
    if addresses.is_address(file):
        with addresses.opened(file, block) as found:
            yield found
        return
    try:
        with Path(file).open("rb") as found:
            yield found
    except OSError as error:
        raise UnavailableError(f"{place}: cannot be read ({error.strerror or error})") from None


class _Bytes(io.RawIOBase):
    """The bytes of a part: a window into its file."""

    def __init__(self, file: IO[bytes], part: Part) -> None:
        self._file, self._left = file, part.size
        file.seek(part.start)

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """The next bytes."""
        read: int = self._file.readinto(memoryview(buffer)[: self._left])  # type: ignore[attr-defined]  # all binary files have it
        self._left -= read
        return read


def blocks(part: Part) -> Iterator[bytes]:
    """The lines of a part, some at a time, each with its line break. SourceError when it is cut off, damaged, gone, another than
    was listed, or no JSON."""
    with _opened(part.file, part.place) as file:
        _check_same(part, file)
        try:
            with io.BufferedReader(_Bytes(file, part), BLOCK) as raw:
                if raw.peek(2)[:2] == _GZIP:
                    with _open_gzip(raw) as unzipped:
                        yield from _blocks(unzipped, part)
                else:
                    yield from _blocks(raw, part)
        except _DAMAGED as error:
            raise SourceError(f"{part.place}: the gzip file is cut off or damaged ({error}); get it again") from None


def check_same(part: Part) -> None:
    """SourceError when the file of a part cannot be opened here, or is another than was listed."""
    with _opened(part.file, part.place) as file:
        _check_same(part, file)


def _check_same(part: Part, file: IO[bytes]) -> None:
    """SourceError when an open file is not the one that was listed, as far as its length and time tell."""
    if addresses.is_address(part.file):
        size, modified = getattr(file, "size", None), None
    else:
        about = os.fstat(file.fileno())
        size, modified = about.st_size, int(about.st_mtime)
    if part.in_tar:
        same = size is None or size >= part.start + part.size
    else:
        same = size in (None, part.size) and modified in (None, part.modified)
    if not same:
        raise SourceError(f"{part.place}: this is not the file that was listed; it has another length or time")


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
