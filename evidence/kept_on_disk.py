"""What takes long to make, kept in the user's cache folder from one run of the program to the next.

An object is kept under a digest of everything that it is made of, so nothing in the folder is ever out of date. It is kept as a
pickle, which runs code when it is read: a file is read only if it and its folder belong to this user and nobody else may write
them, and only if it is as it was written. Whatever is in doubt is made again. Keeping may fail without notice: it may make a run
slower, never wrong. This module may not know what is kept.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import stat
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeVar, cast

VARIABLE = "EVIDENCE_CACHE"
MOST = 8
"""Objects of one name that are kept; the oldest go."""
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_DIGEST = hashlib.sha256().digest_size

_Kept = TypeVar("_Kept")


def cache_folder(environment: Mapping[str, str]) -> Path | None:
    """The folder of what may be lost without harm: that of the file which EVIDENCE_CACHE names, else the user's; None where
    EVIDENCE_CACHE says no, or the user has no folder."""
    chosen = environment.get(VARIABLE)
    if chosen:
        return None if chosen.lower() in ("no", "off", "0") else Path(chosen).parent
    try:
        if sys.platform == "win32":
            base = Path(environment.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
        elif sys.platform == "darwin":
            base = Path.home() / "Library" / "Caches"
        else:
            base = Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        return None
    return base / "evidence"


def kept(folder: Path | None, name: str, digest: str, make: Callable[[], _Kept]) -> _Kept:
    """The object that `make` makes, or the same as it was kept in `folder` under this name and digest (hexadecimal)."""
    if folder is None or not hasattr(os, "getuid"):  # without owners of files nobody can tell who wrote one
        return make()
    folder = folder / name
    path = folder / f"{digest}.pickle"
    content = _read(path)
    if content is not None:
        with suppress(Exception):  # whatever a pickle of another version of some library raises
            return cast(_Kept, pickle.loads(content))  # noqa: S301 - only this user may have written it
    made = make()
    with suppress(OSError, pickle.PicklingError, TypeError, AttributeError):  # the last three: what cannot be pickled
        _write(path, pickle.dumps(made, pickle.HIGHEST_PROTOCOL))
        _drop_oldest(folder)
    return made


def _read(path: Path) -> bytes | None:
    """What was kept at this path; None where nothing was, or others may have had a hand in it."""
    try:
        if not _own(path.parent.lstat(), stat.S_ISDIR):
            return None
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
            if not _own(os.fstat(file.fileno()), stat.S_ISREG):
                return None
            written = file.read()
    except OSError:
        return None
    content = written[_DIGEST:]
    return content if hashlib.sha256(content).digest() == written[:_DIGEST] else None


def _own(found: os.stat_result, is_kind: Callable[[int], bool]) -> bool:
    return is_kind(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & _OTHERS_WRITE


def _write(path: Path, content: bytes) -> None:
    """Write a file that others see whole or not at all."""
    import tempfile  # takes longer to import than most of what is kept to read

    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not _own(path.parent.lstat(), stat.S_ISDIR):
        return
    descriptor, name = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(hashlib.sha256(content).digest() + content)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _drop_oldest(folder: Path) -> None:
    files = sorted(folder.glob("*.pickle"), key=lambda file: file.stat().st_mtime, reverse=True)
    for file in files[MOST:]:
        file.unlink(missing_ok=True)
