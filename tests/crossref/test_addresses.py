"""Files at addresses: listed and read as those on a disk are, through fsspec's stores in memory and on the disk."""

from __future__ import annotations

import gzip
import sys
import tarfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from evidence.crossref import addresses
from evidence.crossref.public_data_file import blocks, parts_of
from evidence.errors import ConfigError, SourceError, UnavailableError

LINE = b'{"DOI":"10.5555/1"}\n'


@pytest.fixture
def store() -> Iterator[Any]:
    """An object store in this process, at `memory://`."""
    fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed (extra `cluster`)")
    memory = fsspec.filesystem("memory")
    for name, data in {
        "b/2.jsonl": LINE, "b/10.jsonl.gz": gzip.compress(LINE), "b/deep/1.jsonl": LINE, "b/README.txt": b"x",
        "b/.hidden.jsonl": LINE, "b/odd.data": LINE,
    }.items():  # fmt: skip
        memory.pipe(f"/{name}", data)
    yield memory
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]


def names(*paths: str) -> list[str]:
    return [part.place for part in parts_of(paths)]


def test_a_folder_a_file_and_a_pattern_are_listed(store: Any) -> None:
    assert names("memory:///b") == ["memory:///b/10.jsonl.gz", "memory:///b/2.jsonl", "memory:///b/deep/1.jsonl"]
    assert names("memory:///b/") == names("memory:///b")
    assert names("memory:///b/*.jsonl") == ["memory:///b/2.jsonl"]
    assert names("memory:///b/**/*.jsonl*") == names("memory:///b")
    assert names("memory:///b/odd.data") == ["memory:///b/odd.data"]
    assert names("memory:///b/2.jsonl", "memory:///b") == [
        "memory:///b/2.jsonl", "memory:///b/10.jsonl.gz", "memory:///b/deep/1.jsonl",
    ]  # fmt: skip


def test_a_file_is_read_and_known_by_name_size_and_time(store: Any) -> None:
    for part in parts_of(["memory:///b"]):
        assert b"".join(blocks(part)) == LINE
        assert part.size == store.size(part.file)
        assert part.modified == int(store.modified(part.file).timestamp()) > 0
        assert part.name == part.place.rpartition("/")[2]


def test_at_an_address_of_this_disk_files_are_those_of_their_path(store: Any, tmp_path: Path) -> None:
    for name in ("a.jsonl", "c/b.jsonl.gz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(LINE)
    here, there = parts_of([tmp_path]), parts_of([tmp_path.as_uri()])
    assert [(part.name, part.size, part.modified) for part in here] == [
        (part.name, part.size, part.modified) for part in there
    ]
    assert [b"".join(blocks(part)) for part in there] == [LINE, LINE]


def test_the_members_of_a_tar_are_read_where_they_lie(store: Any) -> None:
    with store.open("/tars/all.tar", "wb") as file, tarfile.open(fileobj=file, mode="w") as tar:
        for name in ("x/2.jsonl", "x/1.jsonl"):
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(LINE), 1_700_000_000
            tar.addfile(member, BytesIO(LINE))
    parts = parts_of(["memory:///tars/all.tar"])
    assert [(part.name, part.modified) for part in parts] == [
        ("x/1.jsonl", 1_700_000_000),
        ("x/2.jsonl", 1_700_000_000),
    ]
    assert [b"".join(blocks(part)) for part in parts] == [LINE, LINE]
    assert parts[0].place == "memory:///tars/all.tar, x/1.jsonl"
    store.pipe("/tars/bad.tar", b"no tar" * 200)
    with pytest.raises(ConfigError, match=r"memory:///tars/bad\.tar: this is no tar"):
        parts_of(["memory:///tars/bad.tar"])


def test_what_is_not_there_is_named(store: Any) -> None:
    with pytest.raises(ConfigError, match=r"memory:///gone/1\.jsonl: cannot be read \(there is no such file\); check"):
        parts_of(["memory:///gone/1.jsonl"])
    with pytest.raises(ConfigError, match=r"memory:///b/\*\.xml: there are no files of records in it"):
        parts_of(["memory:///b/*.xml"])
    part = parts_of(["memory:///b/2.jsonl"])[0]
    store.rm("/b/2.jsonl")
    with pytest.raises(UnavailableError, match=r"memory:///b/2\.jsonl: cannot be read \(there is no such file\)"):
        list(blocks(part))


def test_a_file_that_has_changed_since_is_not_read_as_the_one_listed(store: Any, tmp_path: Path) -> None:
    (tmp_path / "1.jsonl").write_bytes(LINE)
    parts = parts_of(["memory:///b/2.jsonl", tmp_path])
    store.pipe("/b/2.jsonl", LINE * 2)
    (tmp_path / "1.jsonl").write_bytes(LINE * 2)
    for part in parts:
        with pytest.raises(SourceError, match="this is not the file that was listed"):
            list(blocks(part))


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("s3://bucket/x.jsonl", r"s3://bucket/x\.jsonl: Install s3fs .*; pip install 'fsspec\[s3\]'"),
        ("gs://bucket/x.jsonl", r"pip install 'fsspec\[gs\]'"),
        ("nonsense://x/x.jsonl", r"nonsense://x/x\.jsonl: .*addresses begin like s3://, gs:// or https://"),
    ],
)
def test_an_address_that_cannot_be_read_says_what_to_install(
    store: Any, monkeypatch: pytest.MonkeyPatch, address: str, said: str
) -> None:
    for package in ("s3fs", "gcsfs"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigError, match=said):
        parts_of([address])


def test_without_fsspec_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("fsspec", "fsspec.core"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        ConfigError, match=r"s3://b: addresses are read by fsspec, .* the extra `cluster` \(in the clone"
    ):
        parts_of(["s3://b"])


def test_what_a_server_or_its_package_says_is_one_sentence(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Unreached(Exception):  # noqa: N818 - as botocore's
        """It is no OSError."""

    botocore = ModuleType("botocore.exceptions")
    monkeypatch.setattr(botocore, "BotoCoreError", Unreached, raising=False)
    monkeypatch.setitem(sys.modules, "botocore.exceptions", botocore)
    for raised in (Unreached("Unable to\nlocate credentials"), PermissionError("Unable to locate credentials")):
        with (
            pytest.raises(
                UnavailableError, match=r"^memory:///b/2\.jsonl: cannot be read \(Unable to locate credentials\)$"
            ),
            addresses.opened("memory:///b/2.jsonl"),
        ):
            raise raised


def test_names_are_the_last_parts_of_addresses() -> None:
    assert addresses.name_of("s3://bucket/a/b.jsonl.gz") == "b.jsonl.gz"
    assert addresses.name_of("https://host/a%20b.jsonl?signature=x/y") == "a b.jsonl"
    assert addresses.name_of("s3://bucket/a/b%20c?d#1.jsonl") == "b%20c?d#1.jsonl"
    assert addresses.name_of("s3://bucket/") == "bucket"
    assert addresses.is_address("s3://b") and not addresses.is_address("/data/crossref:2026")


@pytest.fixture
def undated(store: Any) -> str:
    """A store that does not say when files were modified, as most web servers' listings do not."""
    import fsspec
    from fsspec.implementations.memory import MemoryFileSystem

    class Undated(MemoryFileSystem):  # type: ignore[misc]
        protocol = "undated"

        def modified(self, path: str) -> Any:
            raise NotImplementedError

        @classmethod
        def _strip_protocol(cls, path: str) -> str:
            return str(super()._strip_protocol(path.replace("undated://", "memory://")))

    fsspec.register_implementation("undated", Undated, clobber=True)
    return "undated://b"


def test_a_server_that_gives_no_time_is_read_without_one(undated: str) -> None:
    assert [part.modified for part in parts_of([undated])] == [0, 0, 0]
