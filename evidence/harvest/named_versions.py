"""Freezing a named state of the review: checks that the database shows today's rules and decisions, and gives the state a name.

It judges nothing itself and prints nothing. A version stands after the newest run; what is decided, judged or harvested later
belongs to later runs.
"""

from __future__ import annotations

from pathlib import Path

from evidence import __version__
from evidence.current_decisions import current_decisions, decisions_digest
from evidence.data_model import Clock, Doi, iso_time
from evidence.database import read_queries, writer
from evidence.database.connection import open_evidence
from evidence.database.prisma_flow import read_flow
from evidence.database.read_versions import checked_name, versions
from evidence.database.run_lock import locked
from evidence.database.schema import read_topic
from evidence.database.sql_helpers import Row
from evidence.database.values_for_writer import NewVersion
from evidence.errors import ConfigError
from evidence.harvest import rejudge
from evidence.harvest.deduplicate import pairs_need_update
from evidence.rules.taxonomy import Taxonomy

_STATE = ("run", "topic", "rules", "decisions_digest")
"""What makes two versions the same state."""


def freeze(
    db: Path, ledger: Path, taxonomy: Taxonomy, now: Clock, name: str, note: str | None, made_by: str | None
) -> tuple[Row, bool]:
    """Name the state of now. Returns the version, and whether it is new: the same name for the same state changes nothing.

    ConfigError when the name has another state, when nothing was harvested yet, or when rules or decisions have changed since
    the works were judged; BusyError when a run is going on."""
    name = checked_name(name)
    open_evidence(db, older=True).close()
    with locked(db), writer.open_store(db, ledger) as opened:
        _check_judged(opened, taxonomy)
        version = _of_now(opened, taxonomy, now, name, note, made_by)
        held = next((row for row in versions(opened.conn) if row["name"] == name), None)
        if held is not None:
            if all(held[key] == getattr(version, key) for key in _STATE):
                return held, False
            raise ConfigError(
                f"version {name} is the state after run {held['run']} ({held['made_at'][:10]}) and is never changed; "
                "give the state of now another name"
            )
        opened.add_version(version)
        return next(row for row in versions(opened.conn) if row["name"] == name), True


def versions_of_now(opened: writer.Store, taxonomy: Taxonomy, now: Clock) -> list[Row]:
    """The versions whose state is still the state of now, oldest first: since then no run, decision or edit of a rule."""
    current = _of_now(opened, taxonomy, now, "", None, None)
    return [row for row in versions(opened.conn) if all(row[key] == getattr(current, key) for key in _STATE)]


def is_judged(opened: writer.Store, taxonomy: Taxonomy) -> bool:
    """Whether what the database shows is what these rules and the decisions say: `judge` would change nothing."""
    return not (
        read_topic(opened.conn).id != taxonomy.topic.id
        or opened.unshown_decisions().rows
        or pairs_need_update(opened)
        or rejudge.any_stale(opened, taxonomy, rejudge.decisions_by_work(opened))
        or opened.any_unannounced()
    )


def _check_judged(opened: writer.Store, taxonomy: Taxonomy) -> None:
    """ConfigError when what the database shows is not what rules and decisions say."""
    if read_queries.newest_run(opened.conn) is None:
        raise ConfigError(f"{opened.path}: nothing was harvested yet; `evidence sync` first, then name the version")
    if not is_judged(opened, taxonomy):
        raise ConfigError(
            "rules or decisions have changed since the works were judged, or a run was killed; `evidence judge` first, "
            "look at the numbers, then name the version"
        )


def _of_now(
    opened: writer.Store, taxonomy: Taxonomy, now: Clock, name: str, note: str | None, made_by: str | None
) -> NewVersion:
    run = read_queries.newest_run(opened.conn) or 0
    decisions = opened.decisions()
    moved = read_queries.alias_targets(opened.conn, [doi for d in decisions for doi in (d.doi, Doi(d.value or ""))])
    counting = current_decisions(decisions, moved)
    flow = read_flow(opened.conn, run)
    return NewVersion(
        name,
        run,
        iso_time(now()),
        (made_by or "").strip() or None,
        (note or "").strip() or None,
        taxonomy.topic.id,
        taxonomy.digest,
        __version__,
        len(counting),
        decisions_digest(counting),
        flow["included"],
        flow["excluded"],
        flow["waiting"],
    )
