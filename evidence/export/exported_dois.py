"""The DOIs of an export, in a temporary file: a million of them would take a hundred megabytes of memory.

It keeps what it is given and knows nothing of works.
"""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Iterator

from evidence.data_model import Doi

_IN_MEMORY = 1 << 20
"""Bytes that are kept in memory before a file is made."""


class ExportedDois:
    """DOIs in the order in which they were added. No DOI has a line break."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - it is read after the export
        weakref.finalize(self, self._file.close)
        self._count = 0

    def add(self, doi: str) -> None:
        """Add a DOI; not while they are read."""
        self._file.write(doi.encode() + b"\n")
        self._count += 1

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Doi]:
        self._file.seek(0)
        for line in self._file:
            yield Doi(line.decode().removesuffix("\n"))
