"""What is kept on disk is read only as it was written, by nobody else; whatever is in doubt is made again."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from evidence.kept_on_disk import MOST, cache_folder, kept

pytestmark = pytest.mark.skipif(not hasattr(os, "getuid"), reason="files have no owners here")


class Maker:
    """Makes a list, and counts how often."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> list[str]:
        self.times += 1
        return ["made"]


@pytest.fixture
def make() -> Maker:
    return Maker()


def file_of(folder: Path, digest: str = "ab") -> Path:
    return folder / "things" / f"{digest}.pickle"


def test_a_thing_is_made_once(tmp_path: Path, make: Maker) -> None:
    folder = tmp_path / "user" / "cache"
    assert [kept(folder, "things", "ab", make) for _ in range(3)] == [["made"]] * 3
    assert make.times == 1
    assert file_of(folder).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file_of(folder).parent.iterdir()] == ["ab.pickle"], "no unfinished file is left"
    kept(folder, "things", "cd", make)
    assert make.times == 2, "another digest is another thing"


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def forge(path: Path) -> None:
    path.write_bytes(hashlib.sha256(b"no pickle").digest() + b"no pickle")


def link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


@pytest.mark.parametrize(
    "harm",
    [
        damage,
        forge,
        link,
        lambda path: path.write_bytes(path.read_bytes()[:-5]),
        lambda path: path.write_bytes(b""),
        lambda path: path.chmod(0o620),
        lambda path: path.chmod(0o602),
    ],
)
def test_what_is_in_doubt_is_made_again(tmp_path: Path, make: Maker, harm: Callable[[Path], object]) -> None:
    kept(tmp_path, "things", "ab", make)
    harm(file_of(tmp_path))
    assert kept(tmp_path, "things", "ab", make) == ["made"]
    assert make.times == 2
    kept(tmp_path, "things", "ab", make)
    assert make.times == 2, "what was made again is kept"


def test_nothing_is_read_or_kept_where_others_may_write(tmp_path: Path, make: Maker) -> None:
    kept(tmp_path, "things", "ab", make)
    file_of(tmp_path).parent.chmod(0o770)
    kept(tmp_path, "things", "ab", make)
    kept(tmp_path, "things", "cd", make)
    assert make.times == 3
    assert not file_of(tmp_path, "cd").exists()


def test_without_a_folder_things_are_made(tmp_path: Path, make: Maker) -> None:
    (tmp_path / "file").touch()
    assert kept(tmp_path / "file", "things", "ab", make) == kept(None, "things", "ab", make) == ["made"]
    assert make.times == 2


def test_the_oldest_go(tmp_path: Path, make: Maker) -> None:
    for number in range(MOST + 3):
        kept(tmp_path, "things", f"{number:02}", make)
        os.utime(file_of(tmp_path, f"{number:02}"), (number, number))
    there = sorted(path.stem for path in (tmp_path / "things").iterdir())
    assert there == [f"{number:02}" for number in range(3, MOST + 3)]


def test_the_user_chooses_the_folder(tmp_path: Path) -> None:
    assert cache_folder({"EVIDENCE_CACHE": str(tmp_path / "answers.db")}) == tmp_path
    assert cache_folder({"EVIDENCE_CACHE": "no"}) is None
    found = cache_folder({"XDG_CACHE_HOME": str(tmp_path), "LOCALAPPDATA": str(tmp_path)})
    assert found is not None and found.name == "evidence"


def test_what_cannot_be_kept_is_still_made(tmp_path: Path) -> None:
    assert not kept(tmp_path, "things", "ab", threading.Lock).locked()
    assert not (tmp_path / "things").exists()
