"""A review after some months of use, with its files on the disk: what capsules are written of.

`used_review` has studies, twins, notices, works that vanished or moved, abstracts of PubMed that may not be passed on, an
imported file, reviewers' decisions and a sources.yaml with a contact address; `remade` makes the checksums of a capsule anew
after it was changed, as somebody would who wants to hide that.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from evidence.export import bag_manifest, ro_crate
from evidence.export.capsule_summary import Capsule
from evidence.harvest.locked_run import run_import
from evidence.harvest.progress import NoProgress
from evidence.harvest.sources import Imported, imported_by_command
from evidence.publish import capsule
from evidence.rules.taxonomy import Taxonomy
from tests.edited_topic import edited, only_psychotherapy
from tests.world import World
from tests.year import YAML, Copy, same_work

MOMENT = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
CONTACT = "the-librarian@uni-somewhere.edu"
REVIEWER = "R. Eviewer"
SECRET = "words-of-an-abstract-that-may-not-be-passed-on"
RAW = "words-of-a-raw-record"

SITE = """site:
  publisher: Library of Somewhere
  address: https://ipt.uni-somewhere.edu/
  licence: https://creativecommons.org/licenses/by/4.0/
"""

RIS = f"""TY  - THES
AU  - Doe, Jane
TI  - Interpersonal psychotherapy in a thesis without a DOI
PY  - 2019
AB  - Interpersonal psychotherapy was compared with {RAW} in a randomized controlled trial.
ER  -
"""


@dataclass(frozen=True)
class Review:
    """The files of a review, and its rules."""

    folder: Path
    db: Path
    ledger: Path
    sources: Path
    copy: Copy

    @property
    def book(self) -> Taxonomy:
        return self.copy.book

    def write(
        self,
        target: Path,
        kind: Literal["whole", "public"] = "whole",
        *,
        hidden: bool = False,
        version: str | None = None,
    ) -> Capsule:
        """A capsule of it."""
        return capsule.write(
            self.db, self.ledger, self.sources, self.book, target, kind=kind, hide_reviewers=hidden, version=version,
            now=lambda: MOMENT
        )  # fmt: skip


def used_review(folder: Path) -> Review:
    """Make the review in this new folder."""
    folder.mkdir()
    world = World()
    study = [world.add(note=RAW) for _ in range(14)]
    world.add(relevant=False)
    world.abstracts[study[3]] = f"We compared interpersonal psychotherapy with a waiting list. {SECRET} " * 3
    copy = Copy(folder / "copy", REVIEWER, world, edited(folder / "copy-rules"))
    copy.sync()
    twins = [world.twin(study[0]), world.twin(study[1])]
    world.notice(study[2], "retraction")
    world.say(study[4], "10.6666/elsewhere.1", "correction")
    world.edit(study[5])
    assert copy.decide(study[6], "exclude") and copy.decide(study[7], tags=(("outcome", "cost"),))
    copy.sync()
    assert copy.decide(twins[0], untags=same_work(study[0]))
    world.alias(study[8], study[9], listed=True)
    world.vanish(study[10])
    assert copy.decide(study[6], "include")
    world.add()
    copy.sync()
    (folder / "copy" / "theses.ris").write_text(RIS, encoding="utf-8")
    found = imported_by_command("theses", "Theses", (folder / "copy" / "theses.ris",), "other", Imported(()), None)
    run_import(copy.db, copy.ledger, copy.book, copy.clock, NoProgress(), found, ask=False)
    copy.sync()
    copy.judge()
    sources = folder / "copy" / "sources.yaml"
    sources.write_text(f"topic: ../copy-rules\ncontact: {CONTACT}\n{SITE}{YAML}", encoding="utf-8")
    return Review(folder, copy.db, copy.ledger, sources, copy)


def other_rules(folder: Path) -> Taxonomy:
    """The rules, edited: `interpersonal therapy` names the therapy no more."""
    return edited(folder, screen=only_psychotherapy)


@contextmanager
def writing(path: Path) -> Iterator[sqlite3.Connection]:
    """A database opened for writing; what is done is kept."""
    with closing(sqlite3.connect(path)) as conn:
        with conn:
            yield conn
        conn.execute("pragma journal_mode = delete")


def remade(folder: Path, *, described: bool = True) -> None:
    """Make the checksums of a capsule fit its files again; with `described`, in the description of the crate, too."""
    data = folder / bag_manifest.PAYLOAD
    if described:
        path = data / ro_crate.METADATA
        crate = json.loads(path.read_text(encoding="utf-8"))
        for entity in crate["@graph"]:
            if "sha256" in entity:
                entity["sha256"] = digest(data / entity["@id"])
        path.write_text(json.dumps(crate), encoding="utf-8")
    payload = {path.relative_to(folder).as_posix(): digest(path) for path in data.rglob("*") if path.is_file()}
    (folder / bag_manifest.MANIFEST).write_text(bag_manifest.manifest(payload), encoding="utf-8")
    tags = {name: digest(folder / name) for name in bag_manifest.TAG_FILES}
    (folder / bag_manifest.TAG_MANIFEST).write_text(bag_manifest.manifest(tags), encoding="utf-8")


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def described_files(folder: Path) -> dict[str, tuple[str, int]]:
    """What the description of the crate says of each file: path → (SHA-256, size)."""
    crate = json.loads((folder / bag_manifest.PAYLOAD / ro_crate.METADATA).read_text(encoding="utf-8"))
    return {e["@id"]: (e["sha256"], int(e["contentSize"])) for e in crate["@graph"] if e["@type"] == "File"}
