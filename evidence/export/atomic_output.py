"""Writes the output of a command to stdout, or to a file that is replaced completely or not at all.

Every command that writes a file uses this module, so that all of them treat links, pipes, file modes and full disks alike. It
takes bytes and knows nothing about records or formats. Errors name the file and a remedy.
"""

from __future__ import annotations

import errno
import io
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from evidence.errors import ConfigError, EvidenceError

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""Errors of the disk, not of the file name."""
_LINKS = 40
"""How many symbolic links are followed: as many as Linux follows."""
_ACL = "system.posix_acl_access"


class OutputError(EvidenceError):
    """The output could not be written completely: the disk is full or broken (exit 1)."""


class PipeClosedError(EvidenceError):
    """The program that read the output has stopped (`… | head`); no message is printed. The exit code is that of SIGPIPE."""

    exit_code = 128 + 13


def write(output: Path | None, chunks: Iterable[bytes]) -> None:
    """Write the chunks to a file (see `write_whole`), or with None to stdout."""
    if output is not None:
        write_whole(output, chunks)
        return
    if sys.stdout is None:
        raise OutputError("stdout is closed; name a file with -o")
    sys.stdout.flush()
    for chunk in chunks:
        sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()


def write_whole(output: Path, chunks: Iterable[bytes]) -> None:
    """Write a file so that a reader sees either the new or the old content, complete.

    A symbolic link is kept, and its target is replaced. An existing file keeps its mode, owner and access list; a new file
    follows the umask. What is not a regular file (a named pipe, `/dev/stdout`, `/dev/null`) is written to directly. ConfigError
    when the file cannot be written, OutputError when the disk is full or broken, PipeClosedError when a pipe has no reader.
    """
    try:
        _write(output, chunks)
    except BrokenPipeError:
        raise PipeClosedError(f"{output}: its reader has stopped") from None
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise OutputError(
                f"{output}: cannot be written ({error.strerror}); make room, or name another file"
            ) from None
        raise ConfigError(f"{output}: cannot be written ({error.strerror}); name another file") from None


def _write(output: Path, chunks: Iterable[bytes]) -> None:
    number = _descriptor_of(output)
    if number is not None:
        # Opening it by its name would overwrite a file that the shell appends to.
        _write_to_descriptor(os.dup(number), chunks)
        return
    try:
        found = output.stat()
    except FileNotFoundError:
        _replace(Path(os.path.realpath(output)), chunks, None)
        return
    if not stat.S_ISREG(found.st_mode):
        _write_to_descriptor(os.open(output, os.O_WRONLY), chunks)
        return
    os.close(os.open(output, os.O_WRONLY))  # raises for a read-only file, which must not be replaced
    _replace(Path(os.path.realpath(output)), chunks, found)


def _descriptor_of(path: Path) -> int | None:
    """The open file descriptor that a name such as `/dev/stdout` or `/dev/fd/3` means; None for any other name."""
    folders = {os.path.realpath("/dev/fd"), os.path.realpath("/proc/self/fd")}
    for _ in range(_LINKS):
        if path.name.isdecimal() and os.path.realpath(path.parent) in folders:
            return int(path.name)
        if not path.is_symlink():
            return None
        path = path.parent / path.readlink()
    return None


def _write_to_descriptor(descriptor: int, chunks: Iterable[bytes]) -> None:
    with os.fdopen(descriptor, "wb") as file:
        for chunk in chunks:
            file.write(chunk)


def _replace(target: Path, chunks: Iterable[bytes], found: os.stat_result | None) -> None:
    """Write a new file in the folder of `target` and rename it. Where that is not allowed, or the new file cannot be given the
    owner of `target`, the chunks are collected in a temporary file and then copied into `target`."""
    try:
        descriptor, name = _new_file(target.parent, 0o666 if found is None else 0o600)
    except PermissionError:
        if found is None:
            raise
        import tempfile  # seldom needed, and every start of the command line would wait for it

        with tempfile.TemporaryFile() as ready:
            _write_chunks(ready, chunks)
            _copy_into(ready, target)
        return
    try:
        with os.fdopen(descriptor, "w+b") as file:
            _write_chunks(file, chunks)
            if found is not None and not _copy_permissions(file.fileno(), target, found):
                _copy_into(file, target)
                name.unlink()
                return
            os.fsync(file.fileno())  # without it, a power cut could leave an empty file
        name.replace(target)
    except BaseException:
        name.unlink(missing_ok=True)
        raise
    sync_names(target.parent)


def sync_below(folder: Path) -> None:
    """Put everything below a folder on the disk, content and names, so that the folder can be given its final name: after a power
    cut it has all of it. OSError when that fails."""
    for below, _, files in os.walk(folder, topdown=False):
        for name in files:
            path = Path(below, name)
            if path.is_file() and not path.is_symlink():
                with path.open("rb") as file:
                    os.fsync(file.fileno())
        sync_names(Path(below))


def sync_names(folder: Path) -> None:
    """Put the names in a folder on the disk, so that what was renamed or removed stays so after a power cut. Where the system
    cannot do that, they are there a little later."""
    if os.name != "posix":
        return
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _new_file(folder: Path, mode: int) -> tuple[int, Path]:
    """A new file with a name of its own, its mode limited by the umask and `mode`; returns descriptor and path."""
    while True:
        name = folder / f".evidence-{os.urandom(6).hex()}"
        with suppress(FileExistsError):
            return os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode), name


def _copy_permissions(descriptor: int, target: Path, found: os.stat_result) -> bool:
    """Give the new file the owner, access list and mode of the file it will replace. In this order it is never more accessible
    than that file. False when the system does not allow it."""
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


def _write_chunks(file: IO[bytes], chunks: Iterable[bytes]) -> None:
    for chunk in chunks:
        file.write(chunk)
    file.flush()


def _copy_into(ready: IO[bytes], target: Path) -> None:
    ready.seek(0)
    with target.open("r+b") as file:
        while block := ready.read(1 << 20):
            file.write(block)
        file.truncate()


# ---------------------------------------------------------------------- stdout


class _Stdout(io.FileIO):
    """The file behind stdout; its errors are told apart from those of other files."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            raise PipeClosedError("stdout: its reader has stopped") from None
        except OSError as error:
            raise OutputError(
                f"stdout: cannot be written ({error.strerror}); make room, or name a file with -o"
            ) from None


@contextmanager
def stdout_errors() -> Iterator[None]:
    """Inside this context, an error of writing to stdout is an OutputError or PipeClosedError, whichever code writes. After such
    an error stdout is /dev/null, because the interpreter tries to write the rest when it exits, and would print a traceback."""
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
    except OSError:  # a test replaces stdout by an object without a descriptor
        return False
