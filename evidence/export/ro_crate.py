"""The description of a capsule as an RO-Crate 1.2: `ro-crate-metadata.json`, and the page and the text for people.

Each file of the capsule is an entity with its name, what it holds, its size, format and SHA-256. Facts in, text out; no files, no
database, no clock.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from evidence.export import bag_manifest
from evidence.export.wording import count_noun

METADATA = "ro-crate-metadata.json"
PREVIEW = "ro-crate-preview.html"
SPECIFICATION = "https://w3id.org/ro/crate/1.2"

_MEDIA_TYPES: Mapping[str, str] = {
    ".db": "application/vnd.sqlite3",
    ".yaml": "application/yaml",
    ".json": "application/json",
    ".csv": "text/csv",
}
"""By the end of a file's name; any other file is plain text."""


@dataclass(frozen=True, slots=True)
class File:
    """A file of the capsule: its path below the payload, what it is called and holds, its size and its SHA-256."""

    path: str
    title: str
    description: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Program:
    """What made the capsule: version and digest of the program, of Python and SQLite, of the packages it uses
    (`name==1.0`)."""

    version: str
    code: str
    python: str
    sqlite: str
    packages: tuple[str, ...]
    address: str | None = None


@dataclass(frozen=True, slots=True)
class Crate:
    """What the capsule as a whole is. `state` says of which state of the review it is, `holds` what must be known before it is
    passed on; `licence` is (name, web address), `publisher` (name, web address or None)."""

    title: str
    description: str
    state: str
    holds: str
    public: bool
    made_at: str
    program: Program
    files: Sequence[File]
    licence: tuple[str, str]
    publisher: tuple[str, str | None] | None
    version: str | None = None


# ---------------------------------------------------------------------- metadata


def metadata(crate: Crate) -> str:
    """The text of `ro-crate-metadata.json`."""
    licence = crate.licence[1]
    root: dict[str, Any] = {
        "@id": "./",
        "@type": "Dataset",
        "name": crate.title,
        "description": f"{crate.description} {crate.state} {crate.holds}",
        "datePublished": crate.made_at,
        "license": {"@id": licence},
        "hasPart": [{"@id": _id(file.path)} for file in crate.files],
        "mentions": {"@id": "#made"},
    }
    if crate.version:
        root["version"] = crate.version
    if crate.publisher:
        root["publisher"] = {"@id": crate.publisher[1] or "#publisher"}
    if not crate.public:
        root["conditionsOfAccess"] = crate.holds
    graph = [
        {
            "@id": METADATA,
            "@type": "CreativeWork",
            "name": "What this capsule holds, as an RO-Crate",
            "description": "The description of every file of this capsule.",
            "conformsTo": {"@id": SPECIFICATION},
            "about": {"@id": "./"},
        },
        root,
        *(_file(file) for file in crate.files),
        _licence(crate, licence),
        *_made(crate),
    ]  # fmt: skip
    if crate.publisher:
        name, address = crate.publisher
        organisation = {
            "@id": address or "#publisher",
            "@type": "Organization",
            "name": name,
            "description": "Who keeps the review",
        }
        graph.append(organisation | ({"url": address} if address else {}))
    context = f"{SPECIFICATION}/context"
    return json.dumps({"@context": context, "@graph": graph}, ensure_ascii=False, indent=2) + "\n"


def _id(path: str) -> str:
    return quote(path, safe="/~!$&'()*+,;=:@-._")


def _file(file: File) -> dict[str, Any]:
    media_type = next((kind for end, kind in _MEDIA_TYPES.items() if file.path.endswith(end)), "text/plain")
    return {
        "@id": _id(file.path),
        "@type": "File",
        "name": file.title,
        "description": file.description,
        "encodingFormat": media_type,
        "contentSize": str(file.size),
        "sha256": file.sha256,
    }


def _licence(crate: Crate, licence: str) -> dict[str, Any]:
    name = crate.licence[0]
    return {"@id": licence, "@type": "CreativeWork", "name": name, "description": crate.holds}


def _made(crate: Crate) -> list[dict[str, Any]]:
    """The act of making the capsule, and the programs it was made with."""
    program = crate.program
    packages = [tuple(pin.partition("==")[::2]) for pin in program.packages]
    return [
        {
            "@id": "#made",
            "@type": "CreateAction",
            "name": "The capsule was written",
            "description": crate.state,
            "endTime": crate.made_at,
            "instrument": {"@id": "#evidence"},
            "result": {"@id": "./"},
        },
        {
            "@id": "#evidence",
            # A SoftwareApplication must have an address, and this program may know of none.
            "@type": "SoftwareApplication" if program.address else "CreativeWork",
            "name": "evidence",
            "description": f"The living evidence tracker, digest of its code {program.code}.",
            "version": program.version,
            **({"url": program.address} if program.address else {}),
            "softwareRequirements": [
                {"@id": f"#{name}"} for name in ("python", "sqlite", *(name for name, _ in packages))
            ],
        },
        _software("python", "Python", program.python, "https://www.python.org/"),
        _software("sqlite", "SQLite", program.sqlite, "https://sqlite.org/"),
        *(_software(name, name, version, f"https://pypi.org/project/{name}/") for name, version in packages),
    ]


def _software(key: str, name: str, version: str, url: str) -> dict[str, Any]:
    described = {"description": f"{name} {version}, which the capsule was made with", "version": version, "url": url}
    return {"@id": f"#{key}", "@type": "SoftwareApplication", "name": name, **described}


def stated_checksums(text: str) -> dict[str, str]:
    """What `ro-crate-metadata.json` says of each file: path → SHA-256. ValueError, KeyError or TypeError when it cannot be
    read."""
    return {unquote(entity["@id"]): entity["sha256"] for entity in json.loads(text)["@graph"] if "sha256" in entity}


# ---------------------------------------------------------------------- for people

CHECKING = (
    ("every file, and the list of files",
     f"sha256sum -c {bag_manifest.MANIFEST} && sha256sum -c {bag_manifest.TAG_MANIFEST}"),
    ("whether it is the capsule that was written then: this must print the digest that was noted",
     f"sha256sum {bag_manifest.TAG_MANIFEST}"),
    ("with this program: every file, extra files, and whether the records still lead to the same works, verdicts and tags",
     "evidence replay . --expect DIGEST"),
)  # fmt: skip
"""What is checked, and by which command in the folder of the capsule."""


def readme(crate: Crate) -> str:
    """The text of README.txt, beside the payload."""
    lines = [
        crate.title,
        "=" * len(crate.title),
        "",
        crate.description,
        crate.state,
        "",
        crate.holds,
        "",
        "How to check it",
        "",
    ]
    for what, command in CHECKING:
        lines += [f"  {what[0].upper()}{what[1:]}:", f"      {command}"]
    lines += [
        "",
        "On macOS `shasum -a 256` is what `sha256sum` is on Linux. The files that are checked are those below data/.",
        "",
    ]
    lines += [
        f"Made by evidence {crate.program.version} with Python {crate.program.python} and SQLite {crate.program.sqlite}.",
        "",
    ]
    lines += ["What is in data/", ""]
    for file in crate.files:
        lines += [f"  {file.path}", f"      {file.title}. {file.description}"]
    return "\n".join(lines) + "\n"


def preview(crate: Crate) -> str:
    """The page `ro-crate-preview.html`."""
    escaped = html.escape
    rows = "\n".join(
        f'<tr><td><a href="{escaped(_id(file.path), quote=True)}">{escaped(file.path)}</a></td><td>{escaped(file.title)}. '
        f"{escaped(file.description)}</td><td>{file.size:,}</td><td><code>{file.sha256[:16]}…</code></td></tr>"
        for file in crate.files
    )
    checks = "\n".join(f"<li>{escaped(what)}:<pre>{escaped(command)}</pre></li>" for what, command in CHECKING)
    program = crate.program
    packages = ", ".join(program.packages) or "not known"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escaped(crate.title)}</title>
<style>body {{ font: 1rem/1.5 sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }}
table {{ border-collapse: collapse }}
td, th {{ text-align: left; vertical-align: top; padding: .3rem .6rem; border-bottom: 1px solid #ccc }}
pre {{ overflow-x: auto; background: #f4f4f4; padding: .5rem }}</style>
</head>
<body>
<h1>{escaped(crate.title)}</h1>
<p>{escaped(crate.description)} {escaped(crate.state)}</p>
<p><strong>{escaped(crate.holds)}</strong></p>
<h2>How to check it</h2>
<p>Open a terminal in the folder above this page (the one with {bag_manifest.MANIFEST}). To check</p>
<ul>
{checks}
</ul>
<h2>What is in it</h2>
<p>{count_noun(len(crate.files), "file")}.</p>
<table>
<thead><tr><th>File</th><th>What it holds</th><th>Bytes</th><th>SHA-256</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>
<h2>What made it</h2>
<p>evidence {escaped(program.version)} (digest of its code {escaped(program.code)}), Python {escaped(program.python)},
SQLite {escaped(program.sqlite)}, and these packages: {escaped(packages)}. Licence: {escaped(crate.licence[0])}.</p>
</body>
</html>
"""
