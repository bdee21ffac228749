"""Where the test data are: the samples in the repository, and the full sets where somebody has put them beside it."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

SAMPLES = Path(__file__).parent / "samples"
FULL = Path(__file__).parents[2] / "shared" / "data"
FOLDERS = (SAMPLES, FULL) if FULL.is_dir() else (SAMPLES,)
"""A guard runs on each of these. tests/samples/README.md says what they hold."""


PROVIDERS = FULL / "doors"
"""Recorded answers of providers, a folder for each; only where the full sets are."""


def recorded(provider: str, host: str) -> Iterator[tuple[str, str]]:
    """The address and the body of each answer of `host` in a provider's recordings (cassettes of vcr)."""
    for path in sorted((PROVIDERS / provider).glob("*.yaml")):
        for exchange in yaml.safe_load(path.read_text(encoding="utf-8"))["interactions"]:
            if urlsplit(exchange["request"]["uri"]).hostname == host:
                yield exchange["request"]["uri"], exchange["response"]["body"]["string"]


def find(folder: Path, name: str) -> Path:
    """A set in `folder` by its unpacked name; the full sets are gzipped, the samples are not."""
    packed = folder / f"{name}.gz"
    return packed if packed.exists() else folder / name


def read(folder: Path, name: str) -> str:
    """The text of a set."""
    path = find(folder, name)
    raw = path.read_bytes()
    return (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8-sig")


def json_lines(folder: Path, name: str) -> list[dict[str, Any]]:
    """The objects of a JSON Lines set. A line ends at a line feed and nowhere else."""
    return [json.loads(line) for line in read(folder, name).split("\n") if line.strip()]


def table(folder: Path, name: str) -> Iterator[dict[str, str]]:
    """The rows of a CSV set."""
    return csv.DictReader(io.StringIO(read(folder, name), newline=""))
