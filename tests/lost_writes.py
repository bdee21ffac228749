"""What a power cut leaves of the files that a command was writing: everything that was not synced is lost, or some of it.

A command runs under tests/record_writes.c, which notes each write, sync, name and printed line. `Disk` plays the notes up to any
point, and `Disk.leave` writes the folder that a cut at this point would leave, in one of three ways (`LOSSES`). No command runs
twice for that. A file that was synced has its name on the disk, as every file system with a journal does it; a rename or a
removal is on the disk when its folder was synced.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).parents[1]

Loss = Literal["data", "names", "some"]
LOSSES: tuple[Loss, ...] = ("data", "names", "some")
"""`data`: names and lengths are on the disk at once, content when it was synced. `names`: these too only when they were synced.
`some`: as `data`, and of the content that was not synced some is there, in any order and torn."""

_UNTOLD = ("-shm", ".lock")
"""What SQLite makes anew, and what has no content."""


@dataclass
class File:
    """`now` is what the program sees; `synced` what it synced last, and `cut` the same with the lengths that it gave since;
    `loose` is what was written since."""

    now: bytearray = field(default_factory=bytearray)
    synced: bytes = b""
    cut: bytes = b""
    loose: list[tuple[int, bytes]] = field(default_factory=list)

    def write(self, place: int, content: bytes) -> None:
        _put(self.now, place, content)
        self.loose.append((place, content))

    def resize(self, size: int) -> None:
        self.now = bytearray(self.now[:size].ljust(size, b"\0"))
        self.cut = self.cut[:size]
        self.loose = [(place, content[: size - place]) for place, content in self.loose if place < size]

    def sync(self, content: bytes) -> None:
        self.now, self.synced, self.cut, self.loose = bytearray(content), content, content, []

    def left(self, loss: Loss, dice: random.Random) -> bytes:
        if loss == "names":
            return self.synced
        found = bytearray(self.cut)
        for place, content in self.loose if loss == "some" else ():
            if fate := dice.choice((0, 0, 1, 2)):
                _put(found, place, content if fate == 1 else content[: dice.randrange(len(content) + 1)])
        return bytes(found)


@dataclass
class Folder:
    """Its entries as the program sees them, and as they are on the disk; a link is its target."""

    now: dict[str, File | Folder | str] = field(default_factory=dict)
    synced: dict[str, File | Folder | str] = field(default_factory=dict)


class Disk:
    """The folder `root` as it is, all of it on the disk; then what the notes say."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.said = ""
        self._inodes: dict[int, File] = {}
        self._top = self._read(root)

    def _read(self, path: Path) -> Folder:
        found = Folder()
        for entry in sorted(path.iterdir()):
            if entry.is_symlink():
                found.now[entry.name] = str(entry.readlink())
            elif entry.is_dir():
                found.now[entry.name] = self._read(entry)
            else:
                made = self._inodes[entry.stat().st_ino] = File()
                made.sync(entry.read_bytes())
                found.now[entry.name] = made
        found.synced = dict(found.now)
        return found

    def _names(self, path: str) -> tuple[list[Folder], list[str]]:
        """The folders that lead to a path, and the names on the way."""
        names = list(Path(path).relative_to(self.root).parts)
        folders = [self._top]
        for name in names[:-1]:
            inner = folders[-1].now[name]
            assert isinstance(inner, Folder)
            folders.append(inner)
        return folders, names

    def _entry(self, path: str) -> tuple[dict[str, File | Folder | str], str]:
        folders, names = self._names(path)
        return folders[-1].now, names[-1]

    def play(self, kind: str, words: str, content: bytes) -> None:
        """What one note says."""
        match kind:
            case "say":
                self.said += content.decode()
            case "write" | "size" | "sync":
                self._change(kind, [int(number) for number in words.split()], content)
            case "folder":
                self._sync_folder(words)
            case _:
                self._name(kind, words)

    def _name(self, kind: str, words: str) -> None:
        first, _, path = words.partition(" " if kind == "create" else "\t")
        entries, name = self._entry(path or first)
        match kind:
            case "create":
                entries[name] = self._inodes[int(first)] = File()
            case "move":
                before, old = self._entry(first)
                entries[name] = before.pop(old)
            case "link":
                entries[name] = first
            case "make":
                entries[name] = Folder()
            case "remove":
                entries.pop(name, None)

    def _change(self, kind: str, numbers: list[int], content: bytes) -> None:
        file = self._inodes.setdefault(numbers[0], File())  # made here: a temporary file that never had a name
        if kind == "write":
            file.write(numbers[1], content)
        elif kind == "size":
            file.resize(numbers[1])
        else:
            file.sync(content)
            self._keep_name(self._top, file)

    def _sync_folder(self, path: str) -> None:
        inner: File | Folder | str = self._top
        if Path(path) != self.root:
            folders, names = self._names(path)
            for folder, name in zip(folders, names, strict=True):
                folder.synced[name] = inner = folder.now[name]
        assert isinstance(inner, Folder)
        inner.synced = dict(inner.now)

    def _keep_name(self, folder: Folder, file: File) -> bool:
        for name, entry in folder.now.items():
            if entry is file or (isinstance(entry, Folder) and self._keep_name(entry, file)):
                folder.synced[name] = entry
                return True
        return False

    def leave(self, target: Path, loss: Loss, dice: random.Random) -> Path:
        """Write what a cut would leave now into a new folder."""
        self._leave(self._top, target, loss, dice)
        return target

    def _leave(self, folder: Folder, target: Path, loss: Loss, dice: random.Random) -> None:
        target.mkdir()
        for name, entry in (folder.synced if loss == "names" else folder.now).items():
            if isinstance(entry, str):
                (target / name).symlink_to(entry)
            elif isinstance(entry, Folder):
                self._leave(entry, target / name, loss, dice)
            elif not name.endswith(_UNTOLD):
                (target / name).write_bytes(entry.left(loss, dice))


def notes(log: Path) -> Iterator[tuple[str, str, bytes]]:
    """What was noted, in order: kind, words, content."""
    held, place = log.read_bytes(), 0
    while place < len(held):
        end = held.index(b"\n", place)
        kind, _, words = held[place:end].decode().partition(" ")
        place = end + 1
        size = int(words.split()[-1]) if kind in ("write", "sync", "say") else 0
        yield kind, words, held[place : place + size]
        place += size


def run(
    shim: str, folder: Path, command: Sequence[str], *, log: Path | None = None, room: int | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `evidence` in a folder under the shim: its writes are noted in `log`, or the disk has room for so many bytes more."""
    more = {
        "LD_PRELOAD": shim,
        "EVIDENCE_DISK_FOLDER": str(folder),
        "EVIDENCE_ENRICH": "no",
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    more |= {"EVIDENCE_DISK_LOG": str(log)} if log else {}
    more |= {"EVIDENCE_DISK_ROOM": str(room)} if room is not None else {}
    line = [sys.executable, "-m", "evidence", *command]
    return subprocess.run(
        line, cwd=folder, env=os.environ | more, capture_output=True, text=True, check=False, timeout=300
    )


def _put(held: bytearray, place: int, content: bytes) -> None:
    if len(held) < place:
        held.extend(bytes(place - len(held)))
    held[place : place + len(content)] = content
