"""Checks a capsule: every byte of it, and whether its records, rules and decisions still lead to what it says.

First every checksum is compared, and every file, folder and link that does not belong. Only then is anything read: the
derived tables are made anew in a temporary database from the capsule alone (never from the caller's review), with the
caller's program, and compared row by row. Nothing in the capsule is written to. `export.replay_report` has the words.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evidence.database import compare_tables, schema
from evidence.database.compare_tables import Difference
from evidence.database.connection import open_examined, open_read_only
from evidence.database.writer import open_store
from evidence.errors import ConfigError, StoreError
from evidence.export import bag_manifest, ro_crate
from evidence.export.replay_report import Problem, Replayed
from evidence.harvest import rebuild
from evidence.harvest.progress import Progress
from evidence.publish import capsule
from evidence.rules import taxonomy, topic
from evidence.rules.taxonomy import Taxonomy

SHOWN = 5
"""How many rows of a table that differ are shown."""


def replay(folder: Path, progress: Progress, *, expected: str | None = None) -> Replayed:
    """Check the capsule in `folder`; `expected` is the digest that it must have.

    ConfigError when there is no capsule, or one of a later version of its format; StoreError when it cannot be read. Whatever is
    wrong with a capsule is in the result.
    """
    problems, files, digest = verify(folder)
    if expected is not None and digest is not None and digest != expected.strip().lower():
        problems.append(Problem(bag_manifest.TAG_MANIFEST, f"its digest is {digest}, and not the one that is expected"))
    if problems:
        return Replayed(folder, digest, files, tuple(problems))
    data = folder / bag_manifest.PAYLOAD
    facts = _facts(data)
    rules = taxonomy.load(topic.load_kept(data / capsule.TOPIC, data / capsule.LENDERS))
    notes = tuple(_notes(facts, rules, data))
    found = Replayed(folder, digest, files, (), facts["kind"], facts["made_at"], facts["program"]["version"], notes)
    with tempfile.TemporaryDirectory(prefix="evidence-replay-") as made:
        work = Path(made)
        try:
            shutil.copyfile(data / capsule.DATABASE, work / "kept.db")
            if (data / capsule.LEDGER).exists():
                shutil.copyfile(data / capsule.LEDGER, work / "decisions.db")
            with closing(open_read_only(work / "kept.db")) as conn:
                found.differences = _damage(conn)
                if facts["kind"] == "public":
                    found.again = rebuild.read_again(conn, rules, progress, SHOWN)
                else:
                    found.differences += rebuild.changed_records(conn, SHOWN)
            if found.same and facts["kind"] == "whole":
                _rebuild(found, rules, work, progress)
        except sqlite3.Error as error:
            raise StoreError(
                f"{data / capsule.DATABASE}: cannot be read ({error}); take a copy of the capsule that is whole"
            ) from None
    return found


def _damage(conn: sqlite3.Connection) -> list[Difference]:
    """What SQLite finds wrong inside the database: an index that does not fit its table, for example."""
    wrong = [text for (text,) in conn.execute("pragma integrity_check") if text != "ok"]
    return [Difference("integrity_check", 1, len(wrong), tuple(wrong[:SHOWN]))] if wrong else []


def _rebuild(found: Replayed, rules: Taxonomy, work: Path, progress: Progress) -> None:
    """Rebuild the derived tables in `work`, where the databases of the capsule are, and add the comparison of every table."""
    kept, records, target = (work / name for name in ("kept.db", "records.db", "evidence.db"))
    conn, state = open_examined(kept, schema.evidence)
    conn.close()
    if state == "current":
        records = kept
    else:  # records of an older version are brought up to date, what was derived from them is compared as it is
        shutil.copyfile(kept, records)
        open_store(records, work / "no-decisions.db").close()
    found.judged = rebuild.rebuild(records, work / "decisions.db", rules, target, progress)
    progress.step("comparing", 0, None)
    compared = compare_tables.compare_derived(kept, target, same_program=not found.notes, show=SHOWN)
    found.differences = [*compared, *found.differences]


def _facts(data: Path) -> dict[str, Any]:
    """What `capsule.json` says; ConfigError when this program cannot read such a capsule."""
    path = data / capsule.FACTS
    try:
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        number, kind = facts["format"], facts["kind"]
        facts["made_at"], facts["program"]["version"], facts["program"]["code"], facts["rules"]["digest"]
    except (OSError, ValueError, KeyError, TypeError):
        raise ConfigError(f"{path}: is not what `evidence capsule` writes; name a capsule that it wrote") from None
    if number != capsule.FORMAT or kind not in ("whole", "public"):
        raise ConfigError(f"{path}: a capsule of a later version of evidence; replay it with that version")
    return facts


def _notes(facts: dict[str, Any], rules: Taxonomy, data: Path) -> Iterator[str]:
    """How this program differs from the one that made the capsule: a difference may come from that."""
    here, there = capsule.program(), facts["program"]
    if here.version != there["version"]:
        yield f"The capsule was made with evidence {there['version']}; this is {here.version}."
    elif here.code != there["code"]:
        yield f"The capsule was made with other code of the same version {here.version} ({there['code']}, here {here.code})."
    kept = {f"{capsule.WEIGHTS}/{path.name}": path for path in sorted((data / capsule.WEIGHTS).glob("*"))}
    ours = capsule.weight_files()
    if kept.keys() != ours.keys() or any(kept[name].read_bytes() != ours[name].read_bytes() for name in kept):
        yield "The weights by which this program reads texts are not those in the capsule."
    elif rules.digest != facts["rules"]["digest"]:
        yield f"The rules in the capsule are not those that it names ({facts['rules']['digest']}, read as {rules.digest})."


# ---------------------------------------------------------------------- checksums


@dataclass(slots=True)
class _Listed:
    """The files that a manifest lists, and how it is called."""

    manifest: str
    checksums: dict[str, str]


def verify(folder: Path) -> tuple[list[Problem], int, str | None]:
    """Compare every file of a capsule with its checksums; returns everything that is wrong, in the order of the names, how
    many files there are, and the digest of the second manifest (None: there is none)."""
    if not folder.is_dir() or not any(
        os.path.lexists(folder / name) for name in (*bag_manifest.TAG_FILES, bag_manifest.TAG_MANIFEST)
    ):
        raise ConfigError(f"{folder}: is not a capsule; name a folder that `evidence capsule` wrote")
    problems: list[Problem] = []
    try:
        present = _present(folder, problems)
        tags = _listed(folder, bag_manifest.TAG_MANIFEST, present, problems)
        payload = _listed(folder, bag_manifest.MANIFEST, present, problems)
        problems += [
            Problem(tags.manifest, f"{'lists' if name in tags.checksums else 'does not list'} {name}")
            for name in tags.checksums.keys() ^ bag_manifest.TAG_FILES
        ]
        listed = {bag_manifest.TAG_MANIFEST: ""}
        for manifest in (tags, payload):
            for name, checksum in manifest.checksums.items():
                listed[name] = checksum
                if name not in present:
                    problems.append(Problem(name, f"is missing; {manifest.manifest} lists it"))
                elif capsule.measured(folder / name)[0] != checksum:
                    problems.append(
                        Problem(name, f"is not what it was: its checksum is not the one in {manifest.manifest}")
                    )
        unlisted = "does not belong to the capsule: no manifest lists it"
        problems += [Problem(name, unlisted) for name in present - listed.keys()]
        _check_folders(folder, listed, problems)
        if not problems:
            _check_description(folder, payload, problems)
        there = folder / bag_manifest.TAG_MANIFEST
        digest = capsule.measured(there)[0] if bag_manifest.TAG_MANIFEST in present else None
    except OSError as error:
        raise StoreError(
            f"{error.filename or folder}: cannot be read ({error.strerror}); check its permissions and the disk"
        ) from None
    return sorted(set(problems)), len(present), digest


def _present(folder: Path, problems: list[Problem]) -> set[str]:
    """The names of all regular files below the folder. Links and other special files are problems."""
    found = set()
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(place, name)
            own = path.relative_to(folder).as_posix()
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                problems.append(Problem(own, "is a link; a capsule has none"))
            elif stat.S_ISREG(mode):
                found.add(own)
            elif not stat.S_ISDIR(mode):
                problems.append(Problem(own, "is not a file; a capsule has files only"))
    return found


def _listed(folder: Path, name: str, present: set[str], problems: list[Problem]) -> _Listed:
    """What a manifest lists. It has one form only, so that no byte of it can change unnoticed."""
    if name not in present:
        problems.append(Problem(name, "is missing"))
        return _Listed(name, {})
    content = (folder / name).read_bytes()
    checksums, wrong = bag_manifest.read_manifest(content.decode("utf-8", "surrogateescape"))
    if wrong:
        problems.append(Problem(name, f"line {wrong[0]} is not a checksum and a name that it lists once"))
    elif bag_manifest.manifest(checksums).encode("utf-8", "surrogateescape") != content:
        problems.append(Problem(name, "is not what it was: its lines are not in their order or form"))
    return _Listed(name, checksums)


def _check_folders(folder: Path, listed: dict[str, str], problems: list[Problem]) -> None:
    """A folder without a listed file does not belong to the capsule."""
    known = {parent.as_posix() for name in listed for parent in Path(name).parents}
    for place, folders, _ in os.walk(folder):
        for name in folders:
            path = Path(place, name)
            own = path.relative_to(folder).as_posix()
            if own not in known and not path.is_symlink():
                problems.append(Problem(own, "does not belong to the capsule: a folder without a file of it"))


def _check_description(folder: Path, payload: _Listed, problems: list[Problem]) -> None:
    """Compare what the RO-Crate says of its files with the manifest: who makes the manifests anew may forget it."""
    name = f"{bag_manifest.PAYLOAD}/{ro_crate.METADATA}"
    own = {name, f"{bag_manifest.PAYLOAD}/{ro_crate.PREVIEW}"}
    try:
        stated = ro_crate.stated_checksums((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError):
        problems.append(Problem(name, "cannot be read as the description of the capsule"))
        return
    described = {f"{bag_manifest.PAYLOAD}/{path}": checksum for path, checksum in stated.items()}
    problems += [
        Problem(name, f"{'describes' if file in described else 'does not describe'} {file}")
        for file in (payload.checksums.keys() - own) ^ described.keys()
    ]
    both = described.keys() & payload.checksums.keys()
    other = [file for file in both if described[file] != payload.checksums[file]]
    problems += [Problem(name, f"states another checksum of {file}") for file in other]
