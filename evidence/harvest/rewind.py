"""A database as it was in a version: every report, export and page can be asked of it.

The records are cut back to the version's run, the derived tables are made anew from them with today's rules and the decisions
of then, and what the histories say of then replaces what today's rules say. Neither the review's database nor its ledger is
written to. What was written over since refuses the version: there is no copy that is nearly one.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from evidence import __version__
from evidence.current_decisions import CurrentDecisions, current_decisions, decisions_digest, parse_time
from evidence.data_model import Decision, Doi
from evidence.database import read_queries, writer
from evidence.database.connection import open_read_only, reading
from evidence.database.prisma_flow import read_flow
from evidence.database.read_decisions import read_ledger
from evidence.database.read_versions import version_named
from evidence.database.sql_helpers import Row
from evidence.errors import ConfigError, StoreError
from evidence.harvest import rebuild
from evidence.harvest.progress import Progress
from evidence.rules.taxonomy import Taxonomy

DATABASE, LEDGER = "evidence.db", "decisions.db"


@dataclass(frozen=True, slots=True)
class Rewound:
    """The copy `db` with its `ledger`, the version (a row of `read_versions.versions`) that they show, and whether its rules and
    program are those of today: then the words behind verdicts and tags are those of then, too."""

    db: Path
    ledger: Path
    version: Row
    same_rules: bool


def rewind(db: Path, ledger: Path, taxonomy: Taxonomy, name: str, folder: Path, progress: Progress) -> Rewound:
    """Write the database and the ledger as they were in the version `name` into `folder`, which is new or empty.

    ConfigError for a name that no version has, or a folder that has something in it; StoreError when the version cannot be
    brought back. Then nothing is written."""
    with reading(db) as conn:
        version = version_named(conn, name)
    if version["topic"] != taxonomy.topic.id:
        raise ConfigError(
            f"version {name} is of the topic {version['topic']}; name its folder in sources.yaml (`topic:`)"
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder}: already exists; name a new folder")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".evidence-rewind-", dir=folder.parent) as made:
            whole = Path(made) / "whole"
            whole.mkdir()
            _make(db, ledger, taxonomy, version, Path(made) / "cut.db", whole, progress)
            whole.replace(folder)
    except OSError as error:
        raise StoreError(
            f"{folder}: cannot be written ({error.strerror}); name a folder that you may write to"
        ) from None
    same = (version["rules"], version["program"]) == (taxonomy.digest, __version__)
    return Rewound(folder / DATABASE, folder / LEDGER, version, same)


def _make(
    db: Path, ledger: Path, taxonomy: Taxonomy, version: Row, cut: Path, folder: Path, progress: Progress
) -> None:
    target, of_then = folder / DATABASE, folder / LEDGER
    writer.copy_cut_back(db, cut, version)
    decisions = _decisions_of(version, read_ledger(ledger), cut)
    writer.append_to_ledger(of_then, decisions)
    rebuild.rebuild(cut, of_then, taxonomy, target, progress)
    with writer.open_store(target, of_then) as store:
        store.restore_past(cut, version)
        flow = read_flow(store.conn, version["run"])
        counts = read_queries.verdict_counts(store.conn)
        for key, box, verdict in (
            ("included", "included", "include"),
            ("excluded", "excluded", "exclude"),
            ("unsure", "waiting", "unsure"),
        ):
            if flow[box] != version[key] or counts.get(verdict, 0) != version[key]:
                raise StoreError(
                    f"version {version['name']} cannot be brought back whole: it had {version[key]} works "
                    f"{key}, and the histories lead to {counts.get(verdict, 0)}. Please report this"
                )
    writer.mark_rewound(target, of_then)


def _decisions_of(version: Row, decisions: Sequence[Decision], cut: Path) -> Sequence[Decision]:
    """The decisions that had been stored when the version was made. A ledger only grows, so they are the first of it: as many as
    have the version's digest. Looked for from those that were made by then on, since decisions are also merged later."""
    with closing(open_read_only(cut)) as conn:
        moved = read_queries.alias_targets(conn, [doi for d in decisions for doi in (d.doi, Doi(d.value or ""))])
    until = parse_time(version["made_at"])
    likely = next((n for n, d in enumerate(decisions) if parse_time(d.made_at) > until), len(decisions))
    if decisions_digest(current_decisions(decisions[:likely], moved)) == version["decisions_digest"]:
        return decisions[:likely]
    known, found = CurrentDecisions(), None
    for number in range(len(decisions) + 1):
        if number:
            known.add(decisions[number - 1 : number], moved)
        if decisions_digest(known.current()) == version["decisions_digest"]:
            found = number
            if number >= likely:
                break
    if found is None:
        raise StoreError(
            f"version {version['name']} cannot be brought back: its {version['decisions']} decisions are not in the ledger as "
            "they were; name the ledger of then with --decisions"
        )
    return decisions[:found]
