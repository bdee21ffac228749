"""Writing what people asked for: to a file that stands whole or as it was, or to stdout. Bytes in, errors with a remedy out.

One writer for every command with a file to write, so that all of them treat links, pipes, modes and full disks alike. It
knows no records and no formats.
"""

from __future__ import annotations

import errno
import io
import os
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from evidence.errors import ConfigError, EvidenceError

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""What is wrong with the disk and not with the name that was given."""
_LINKS = 40
"""As many symbolic links as Linux follows."""
_ACL = "system.posix_acl_access"


class OutputError(EvidenceError):
    """The result could not be written to its end: the disk is full, or broken (exit 1)."""


class PipeClosedError(EvidenceError):
    """Whoever read the output has stopped (`… | head`): nobody needs a message. The exit code is a shell's for SIGPIPE."""

    exit_code = 128 + 13


def write(output: Path | None, chunks: Iterable[bytes]) -> None:
    """Write to a file (see `write_whole`), or with None to stdout."""
    if output is not None:
        write_whole(output, chunks)
        return
    if sys.stdout is None:
        raise OutputError("stdout: is closed; name a file with -o")
    sys.stdout.flush()
    for chunk in chunks:
        sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()


def write_whole(output: Path, chunks: Iterable[bytes]) -> None:
    """Write a file so that a reader sees all of it or what stood there before.

    A symbolic link stays, and its target is replaced. Mode, owner and access list of a file that is there stay; a new file
    follows the umask. What is no regular file (a named pipe, `/dev/stdout`, `/dev/null`) is written into. ConfigError when
    the name is no good, OutputError when there is no room, PipeClosedError when a pipe's reader has gone.
    """
    try:
        _write(output, chunks)
    except BrokenPipeError:
        raise PipeClosedError(f"{output}: nobody reads it any more") from None
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise OutputError(
                f"{output}: cannot be written ({error.strerror}); make room, or name another file"
            ) from None
        raise ConfigError(f"{output}: cannot be written ({error.strerror}); name another file") from None


def _write(output: Path, chunks: Iterable[bytes]) -> None:
    number = _descriptor(output)
    if number is not None:
        # Opening it by its name would begin again at the top of a file that the shell appends to.
        _into(os.dup(number), chunks)
        return
    try:
        found = output.stat()
    except FileNotFoundError:
        _beside(Path(os.path.realpath(output)), chunks, None)
        return
    if not stat.S_ISREG(found.st_mode):
        _into(os.open(output, os.O_WRONLY), chunks)
        return
    os.close(os.open(output, os.O_WRONLY))  # a file that is read-only is not replaced behind its owner's back
    _beside(Path(os.path.realpath(output)), chunks, found)


def _descriptor(path: Path) -> int | None:
    """The open descriptor that a name such as `/dev/stdout` or `/dev/fd/3` stands for."""
    folders = {os.path.realpath("/dev/fd"), os.path.realpath("/proc/self/fd")}
    for _ in range(_LINKS):
        if path.name.isdecimal() and os.path.realpath(path.parent) in folders:
            return int(path.name)
        if not path.is_symlink():
            return None
        path = path.parent / path.readlink()
    return None


def _into(descriptor: int, chunks: Iterable[bytes]) -> None:
    with os.fdopen(descriptor, "wb") as file:
        for chunk in chunks:
            file.write(chunk)


def _beside(target: Path, chunks: Iterable[bytes], found: os.stat_result | None) -> None:
    """Into a new file beside `target`, that then takes its name. Where that cannot be, or the new file could not be given the
    owner that `target` has, everything is made ready elsewhere and then written into `target` itself."""
    try:
        descriptor, name = _temporary(target.parent, 0o666 if found is None else 0o600)
    except PermissionError:
        if found is None:
            raise
        with tempfile.TemporaryFile() as ready:
            _fill(ready, chunks)
            _pour(ready, target)
        return
    try:
        with os.fdopen(descriptor, "w+b") as file:
            _fill(file, chunks)
            if found is not None and not _make_like(file.fileno(), target, found):
                _pour(file, target)
                name.unlink()
                return
            os.fsync(file.fileno())  # or a power cut could leave the name leading to nothing
        name.replace(target)
    except BaseException:
        name.unlink(missing_ok=True)
        raise


def _temporary(folder: Path, mode: int) -> tuple[int, Path]:
    """A new file that nobody else has, as open as the umask and `mode` let it be."""
    while True:
        name = folder / f".evidence-{os.urandom(6).hex()}"
        with suppress(FileExistsError):
            return os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode), name


def _make_like(descriptor: int, target: Path, found: os.stat_result) -> bool:
    """Give the new file owner, access list and mode of the one it will replace, in this order, so that it is never more open;
    False when the system does not allow it."""
    try:
        made = os.fstat(descriptor)
        if (made.st_uid, made.st_gid) != (found.st_uid, found.st_gid):
            os.fchown(descriptor, found.st_uid, found.st_gid)
        if hasattr(os, "listxattr") and _ACL in os.listxattr(target):
            os.setxattr(descriptor, _ACL, os.getxattr(target, _ACL))
        os.fchmod(descriptor, stat.S_IMODE(found.st_mode))
    except OSError:
        return False
    return True


def _fill(file: IO[bytes], chunks: Iterable[bytes]) -> None:
    for chunk in chunks:
        file.write(chunk)
    file.flush()


def _pour(ready: IO[bytes], target: Path) -> None:
    ready.seek(0)
    with target.open("r+b") as file:
        while block := ready.read(1 << 20):
            file.write(block)
        file.truncate()


# ---------------------------------------------------------------------- stdout


class _Stdout(io.FileIO):
    """The file under stdout, whose errors can be told from those of any other file."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            raise PipeClosedError("stdout: nobody reads it any more") from None
        except OSError as error:
            raise OutputError(
                f"stdout: cannot be written ({error.strerror}); make room, or name a file with -o"
            ) from None


@contextmanager
def told() -> Iterator[None]:
    """Within it, and when it ends, what cannot be written to stdout is an OutputError or PipeClosedError, whoever wrote it.
    After one, stdout leads nowhere: the interpreter would try again when it ends, and complain itself."""
    before = sys.stdout
    if before is None or not _is_descriptor(before, 1):
        yield
        return
    before.flush()
    file = io.BufferedWriter(_Stdout(1, "wb", closefd=False))
    sys.stdout = io.TextIOWrapper(file, before.encoding, before.errors, line_buffering=before.isatty())
    try:
        yield
        sys.stdout.flush()
    except (OutputError, PipeClosedError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.close(nowhere)
        raise
    finally:
        sys.stdout = before


def _is_descriptor(file: IO[str], number: int) -> bool:
    try:
        return file.fileno() == number
    except OSError:  # a test's, that is no file
        return False
