"""What changed between a past state of the review and now, read from the database: the values of `export.change_note`.

One function for the report, the mail and the JSON, so that they say the same. Every number is of runs that have ended: what a
run that was killed did is said by the next one. It may not write.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from evidence.data_model import SHOWN_STRENGTHS
from evidence.database import (
    read_net_change,
    read_queries,
    read_searches,
    read_versions,
    schema,
)
from evidence.database.prisma_flow import read_flow
from evidence.database.read_net_change import NetChange
from evidence.export.change_note import CellChange, ClaimChange, Note, WatchNews
from evidence.export.search_report import strategies
from evidence.harvest.review_statements import Statements
from evidence.harvest.sources import Article
from evidence.publish import bitset_counts, claim_evidence, evidence_map, ripple
from evidence.publish.bitset_counts import WorkSets
from evidence.publish.evidence_map import Line, Values, View
from evidence.rules.topic import Topic

Pair = tuple[str, str]
"""A value of the map's rows and one of its columns."""


@dataclass(frozen=True, slots=True)
class Since:
    """The earlier state: what the review was after `run`. `label` names it in a sentence, `day` is its date, `version` is the
    number of the version whose tags are kept, if it is one."""

    run: int
    label: str
    day: str | None = None
    version: int | None = None


def since_named(conn: sqlite3.Connection, text: str | None, until: int | None = None) -> Since:
    """The state that `--since` names: a date (the changes of that day and later ones), a run, a version, or (None) the state
    before the last sync that ended (by the run `until`). ConfigError for anything else."""
    if text is None:
        last = read_queries.last_finished_sync(conn, until)
        if last is None:
            return Since(0, "the beginning")
        day = read_queries.day_of_run(conn, last)
        return Since(last - 1, f"the state before the sync of {day}", day)
    if read_versions.is_date(text.strip()):
        day = text.strip()
        return Since(read_net_change.run_before_day(conn, day), f"the state before {day}", day)
    state = read_versions.state_named(conn, text, "--since")
    return Since(state.run, state.label, state.day, state.version)


def since_mail(conn: sqlite3.Connection, run: int) -> Since:
    """The state that the last mail was about."""
    day = read_queries.day_of_run(conn, run)
    return Since(run, f"the state of the last mail, of {day}", day)


def read(
    conn: sqlite3.Connection,
    since: Since,
    articles: Sequence[Article] | None,
    stated: Statements,
    *,
    until: int | None = None,
    tags: bool = False,
    watches: Sequence[WatchNews] = (),
    only: str | None = None,
) -> Note:
    """What changed after `since`, up to the run `until` (None: the last that ended; cells, claims
    and what a notice touches are counted for today only). `articles` are those of sources.yaml, None
    where it could not be read; `only` is the one watch that was asked for."""
    last = read_net_change.last_finished_run(conn) if until is None else until
    start = min(since.run, last)
    net = read_net_change.net_change(conn, start, last)
    rows = read_queries.changes(conn, after=start, until=last, tags=tags)
    past = until is not None and until < read_net_change.last_finished_run(conn)
    if not past:  # what a notice touched then is not known
        ripple.add_touches(conn, [*rows, *(row for watch in watches for row in watch.changes)], articles)
    topic = schema.read_topic(conn)
    notices = {row["doi"] for row in rows if row["what"] == "notice"}
    cells: tuple[CellChange, ...] = ()
    claims: tuple[ClaimChange, ...] | None = None if articles is None else ()
    untagged = 0
    anything = net.came or net.left or notices or since.version is not None
    if anything and not past:  # else no cell and no claim has changed, or only today's are known
        sets = bitset_counts.read_sets(conn)
        came, left = (sets.set_of_numbers(_numbers(part)) for part in (net.came, net.left))
        noticed = sets.set_of_numbers(read_net_change.row_numbers(conn, notices))
        then = _tags_then(conn, net, since)
        cells = tuple(_cells(topic, sets, read_queries.labelled_values(conn), came, left, noticed, then))
        untagged = 0 if then is not None else _untagged(sets, left, len(net.left))
        if articles is not None:
            claims = tuple(_claims(conn, articles, sets, topic, came, left, noticed))
    windows = read_searches.search_windows(conn, start, last)
    named = next((row for row in reversed(read_versions.versions(conn)) if row["run"] == last), None)
    return Note(
        title=topic.title,
        day=named["made_at"][:10] if named else read_queries.day_of_run(conn, last),
        version=named["name"] if named else None,
        since=since.label,
        since_day=since.day,
        net=net,
        changes=tuple(rows),
        cells=cells,
        then_tags=since.version is not None,
        untagged=untagged,
        claims=claims,
        searches=strategies(windows, read_searches.works_found(conn)),
        sync_days=tuple(read_net_change.sync_days(conn, start, last)),
        sources=tuple(read_net_change.source_changes(conn, start, last)),
        programs=read_net_change.program_versions(conn, start, last),
        flows=(read_flow(conn, start), read_flow(conn, last)),
        stated=stated,
        watches=tuple(watches),
        only=only,
        past=past,
    )


def _cells(
    topic: Topic,
    sets: WorkSets,
    values: Values,
    came: int,
    left: int,
    noticed: int,
    then: tuple[Counter[Pair], Counter[Pair]] | None,
) -> Iterable[CellChange]:
    """The cells of the topic's map that changed. What is in a cell now is what the map shows."""
    view = View(*topic.map, filters={})

    def without(facet: str, line: Line) -> int:
        return bitset_counts.either(sets.tags, facet, *line.values) & left

    for cell in evidence_map.cell_sets(topic, sets, 0, values, view):
        entered = cell.works & came
        gone = without(view.rows, cell.row) & without(view.columns, cell.column)
        notices = (cell.works & noticed).bit_count()
        now, n_came, n_left = cell.works.bit_count(), entered.bit_count(), gone.bit_count()
        before = now - n_came + n_left
        if then is not None:
            before, n_left = (part[cell.row.key, cell.column.key] for part in then)
        if n_came or n_left or notices or before != now:
            yield CellChange(cell.row.label, cell.column.label, before, now, n_came, n_left, notices)


def _claims(
    conn: sqlite3.Connection,
    articles: Sequence[Article],
    sets: WorkSets,
    topic: Topic,
    came: int,
    left: int,
    noticed: int,
) -> Iterable[ClaimChange]:
    for each in claim_evidence.sets_of_claims(conn, articles, sets, topic):
        entered, gone = (each.works & came).bit_count(), (each.tagged & left).bit_count()
        notices = ((each.works | each.cited) & noticed).bit_count()
        if entered or gone or notices:
            now = each.works.bit_count()
            yield ClaimChange(
                each.article, each.claim.id, each.claim.says, now - entered + gone, now, entered, gone, notices
            )


def _tags_then(conn: sqlite3.Connection, net: NetChange, since: Since) -> tuple[Counter[Pair], Counter[Pair]] | None:
    """For each value of the rows with one of the columns, the studies that were included with both tags, and those of them that
    left; None where the tags of then are not kept."""
    if since.version is None:
        return None
    rows, columns = schema.read_topic(conn).map
    gone = {row["doi"] for row in net.left}
    found: tuple[Counter[Pair], Counter[Pair]] = (Counter(), Counter())
    tags = read_versions.tags_in_version(conn, since.version, read_net_change.included_in(conn, net.since))
    for doi, of_work in groupby(tags, lambda row: row[0]):
        values = [(facet, value) for _, facet, value, strength, _ in of_work if strength in SHOWN_STRENGTHS]
        pairs = [(row, column) for f, row in values if f == rows for g, column in values if g == columns]
        found[0].update(pairs)
        if doi in gone:
            found[1].update(pairs)
    return found


def _untagged(sets: WorkSets, left: int, all_left: int) -> int:
    """How many works that left have no tag today, or are no works any more."""
    tagged = 0
    for works in sets.tags.values():
        tagged |= works & left
    return all_left - tagged.bit_count()


def _numbers(rows: Iterable[Mapping[str, object]]) -> list[int]:
    return [int(str(row["number"])) for row in rows if row["number"] is not None]
