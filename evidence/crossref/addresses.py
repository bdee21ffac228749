"""Files at addresses (`s3://…`, `gs://…`, `https://…`), found and opened by fsspec, which the extra `cluster` brings.

Which protocols there are, and how one logs in to them, is fsspec's: its configuration files and variables count. May not look
into a file.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from evidence import CLUSTER
from evidence.errors import ConfigError, SourceError, UnavailableError

_PATTERN = "*["
_EXTRAS = {"gcs": "gs", "https": "http", "s3a": "s3", "abfss": "abfs"}
"""fsspec's extras that are not called as their protocol."""

_OTHERS = (
    ("botocore.exceptions", "BotoCoreError"),
    ("aiohttp", "ClientError"),
    ("google.auth.exceptions", "GoogleAuthError"),
    ("gcsfs.retry", "HttpError"),
    ("azure.core.exceptions", "AzureError"),
)
"""What fsspec's packages raise that is no OSError, by the module it is from: it is loaded when the package is used."""


@dataclass(frozen=True, slots=True)
class AddressedFile:
    """A file at an address: its size in bytes, and when it was modified (seconds; 0 where the server does not say)."""

    address: str
    size: int
    modified: int

    @property
    def name(self) -> str:
        """The last part of the address."""
        return name_of(self.address)


def is_address(path: str) -> bool:
    """Whether this is an address, and not a path."""
    return "://" in path


def name_of(address: str) -> str:
    """The last part of an address. Only those of the web have queries and escapes; elsewhere a name may hold any sign."""
    protocol, _, rest = address.partition("://")
    if protocol in ("http", "https"):
        rest = unquote(urlsplit(address).path) or rest
    return rest.rstrip("/").rpartition("/")[2]


def files_at(address: str, *, is_file: bool) -> list[AddressedFile]:
    """The files that an address names: one (`is_file`: its name says so), those in a folder, those that match a pattern (`*`). In
    the order of their names. ConfigError when there are none, or they cannot be listed."""
    try:
        with _failures(address):
            return list(_listed(address, is_file))
    except SourceError as error:
        raise ConfigError(f"{error}; check the address") from None


def _listed(address: str, is_file: bool) -> Iterator[AddressedFile]:
    files, path = _file_system(address)
    if any(sign in address for sign in _PATTERN):
        found = files.glob(path, detail=True)
    elif not is_file and files.isdir(path):
        found = files.find(path, detail=True)
    else:
        yield _file(files, address, path, files.info(path))
        return
    for name, about in sorted(found.items(), key=lambda each: each[0].split("/")):
        if about.get("type") != "directory":
            yield _file(files, files.unstrip_protocol(name), name, about)


def _file(files: Any, address: str, name: str, about: dict[str, Any]) -> AddressedFile:
    if about.get("size") is None:
        raise ConfigError(f"{address}: the server does not say how long this file is; get it first, and name the copy")
    return AddressedFile(address, int(about["size"]), _modified(files, name))


def _modified(files: Any, name: str) -> int:
    """When a file was modified, as its server says; 0 where it does not."""
    try:
        when = files.modified(name)
    except NotImplementedError:
        return 0
    return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp())


@contextmanager
def opened(address: str, block: int | None = None) -> Iterator[IO[bytes]]:
    """The file at an address, to be read from any place in it. `block`: how many bytes are asked for at once. SourceError when
    it cannot be read, also while it is."""
    with _failures(address):
        files, path = _file_system(address)
        with files.open(path, "rb", **({} if block is None else {"block_size": block})) as file:
            yield file


def _file_system(address: str) -> tuple[Any, str]:
    """fsspec's view of where an address is, and its path there. ConfigError where a package is missing."""
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise ConfigError(
            f"{address}: addresses are read by fsspec, which is not installed; install the extra `cluster` ({CLUSTER})"
        ) from None
    protocol = address.partition("://")[0]
    try:
        files, path = url_to_fs(address)
    except ImportError as error:
        extra = _EXTRAS.get(protocol, protocol)
        raise ConfigError(f"{address}: {error}; pip install 'fsspec[{extra}]'") from None
    except ValueError as error:
        raise ConfigError(f"{address}: {error}; addresses begin like s3://, gs:// or https://") from None
    return files, path


@contextmanager
def _failures(address: str) -> Iterator[None]:
    """Turns what fsspec and its packages raise into a SourceError that names the address."""
    try:
        yield
    except FileNotFoundError:
        raise UnavailableError(f"{address}: cannot be read (there is no such file)") from None
    except _errors() as error:
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise UnavailableError(f"{address}: cannot be read ({' '.join(str(said).split())})") from None


def _errors() -> tuple[type[BaseException], ...]:
    """What may be raised: asked when something was."""
    others = (getattr(sys.modules[module], name) for module, name in _OTHERS if module in sys.modules)
    return (OSError, *others)
