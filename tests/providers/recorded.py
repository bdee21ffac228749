"""The recorded answers of providers, where somebody has put them beside the repository; they hold publishers' abstracts."""

from __future__ import annotations

import json
import tarfile
from typing import Any

import pytest

from tests.data import FULL

DOORS = FULL / "doors"


def europepmc(name: str) -> list[dict[str, Any]]:
    """The records of a recorded answer of Europe PMC; skips the test where there is none."""
    path = DOORS / "europepmc" / name
    if not path.is_file():
        pytest.skip("the recorded answers of Europe PMC are not here")
    rows: list[dict[str, Any]] = json.loads(path.read_bytes())["resultList"]["result"]
    return rows


def pubmed() -> list[bytes]:
    """The recorded responses of `efetch`; skips the test where there are none."""
    path = DOORS / "pubmed" / "efetch-164-records.tar.gz"
    if not path.is_file():
        pytest.skip("the recorded answers of PubMed are not here")
    with tarfile.open(path) as archive:
        files = [archive.extractfile(member) for member in archive if member.isfile()]
        return [file.read() for file in files if file is not None]
