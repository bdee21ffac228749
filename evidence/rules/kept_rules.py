"""What is read from the files of rules, kept on disk until a file or the program changes.

`topic`, `taxonomy` and `cues` read their files through this module, and import pydantic and YAML only to read what is not kept:
that takes longer than a short command. This module may not know what is read.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeVar

from evidence.kept_on_disk import cache_folder, kept

_Read = TypeVar("_Read")


def kept_reading(name: str, made_of: tuple[object, ...], read: Callable[[], _Read]) -> _Read:
    """What `read` reads, or the same as it was kept under this name. `made_of` is everything that it depends on beside the
    program, such as the names and texts of files; its `repr` must tell one from another."""
    key = repr((sys.version, _program_digest(), made_of))
    return kept(cache_folder(os.environ), name, hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest(), read)


@cache
def _program_digest() -> str:
    """A digest of the program that reads rules, and of what it reads them into."""
    folder = Path(__file__).parent
    files = [*sorted(folder.glob("*.py")), *(folder.with_name(name) for name in ("strict_yaml.py", "data_model.py"))]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
