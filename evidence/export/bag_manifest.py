"""The files around the payload of a bag (BagIt 1.0, RFC 8493): manifests as `sha256sum -c` reads them, and what they say of
the whole.

A manifest has one form only: a line `checksum, two blanks, name` for each file, in the order of the names. So a byte that was
changed anywhere in it is found: what it lists differs, or its form does. Facts in, text out, and back; no files are read
here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

BAGIT = "bagit.txt"
BAG_INFO = "bag-info.txt"
README = "README.txt"
MANIFEST = "manifest-sha256.txt"
TAG_MANIFEST = "tagmanifest-sha256.txt"
PAYLOAD = "data"
"""The folder of the payload; everything beside it is about the bag."""

TAG_FILES = frozenset({BAGIT, BAG_INFO, README, MANIFEST})
"""The files that the second manifest lists. The digest of that manifest is the digest of the whole."""

DECLARATION = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"

_LINE = re.compile(r"([0-9a-f]{64})  (\S.*)")
_ESCAPED = {"%": "%25", "\n": "%0A", "\r": "%0D"}


def manifest(checksums: Mapping[str, str]) -> str:
    """The text of a manifest: name → SHA-256 as 64 hexadecimal digits."""
    return "".join(f"{checksums[name]}  {_escaped(name)}\n" for name in sorted(checksums))


def read_manifest(text: str) -> tuple[dict[str, str], list[int]]:
    """The checksums that a manifest lists, and the numbers of the lines that are not of its form or that repeat a name."""
    found: dict[str, str] = {}
    wrong = []
    lines = text.split("\n")
    for number, line in enumerate(lines[:-1] if lines[-1] == "" else lines, 1):
        matched = _LINE.fullmatch(line)
        name = _unescaped(matched[2]) if matched else ""
        if matched is None or name in found:
            wrong.append(number)
        else:
            found[name] = matched[1]
    return found, wrong


def bag_info(facts: Mapping[str, str]) -> str:
    """The text of `bag-info.txt`; line breaks in a value become blanks."""
    return "".join(f"{name}: {' '.join(value.split())}\n" for name, value in facts.items())


def _escaped(name: str) -> str:
    return "".join(_ESCAPED.get(character, character) for character in name)


def _unescaped(name: str) -> str:
    return name.replace("%0A", "\n").replace("%0D", "\r").replace("%25", "%")
