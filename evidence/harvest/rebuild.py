"""The derived tables made anew: from records, rules and decisions alone, or, where records are left out, from works' texts.

`rebuild` gives a new database the records of another one and judges every work as `rejudge` does. `read_again` judges the
works of a published copy, which has titles and abstracts but no records, and compares. Neither asks a record source or reads
a clock, and both leave the database that they read as it is.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from evidence import __version__
from evidence.crossref.normalise import record_digest
from evidence.data_model import VerdictName
from evidence.database import compare_tables, read_queries
from evidence.database.compare_tables import Difference
from evidence.database.sql_helpers import Row
from evidence.database.values_for_writer import tag_row
from evidence.database.writer import open_store
from evidence.errors import RecordError
from evidence.harvest import rejudge
from evidence.harvest.progress import Progress
from evidence.harvest.reader_processes import reduce_garbage_collection
from evidence.rules.judge import judge
from evidence.rules.taxonomy import Taxonomy

NO_TIME = "1970-01-01T00:00:00Z"
"""When the run of the rebuilt database began: nothing that is rebuilt depends on it."""


def rebuild(records: Path, ledger: Path, taxonomy: Taxonomy, target: Path, progress: Progress) -> int:
    """Make the database `target` from the records of the database `records`, the decisions in `ledger` and these rules; returns
    how many works were judged. All three are the caller's own copies: `ledger` is opened for writing."""
    with open_store(target, ledger) as store:
        store.copy_records(records)
        store.set_topic(taxonomy.topic)
        store.show_decisions()
        store.set_facets(rejudge.facet_rows(taxonomy))
        reduce_garbage_collection()
        run = store.start_run("judge", __version__, NO_TIME)
        judged, _ = rejudge.rejudge_and_deduplicate(store, taxonomy, run, progress, moved=True)
        store.set_facets(rejudge.facet_rows(taxonomy))
    return judged


def changed_records(conn: sqlite3.Connection, show: int) -> list[Difference]:
    """For each table of records as supplied: how many are not what they were when they came, by the digest noted then."""
    counts: dict[str, list[str]] = {}
    rows: dict[str, int] = {}
    for table, name, message, digest in compare_tables.records_with_digests(conn):
        rows[table] = rows.get(table, 0) + 1
        if _digest(table, message) != digest:
            counts.setdefault(table, []).append(f"{name}: is not the record that was fetched")
    return [
        Difference(table, n, len(counts.get(table, ())), tuple(counts.get(table, ())[:show]))
        for table, n in rows.items()
    ]


def _digest(table: str, message: str) -> str | None:
    if table == "provider_records":
        return hashlib.blake2b(message.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    try:
        return record_digest(json.loads(message))
    except (ValueError, RecordError):
        return None


# ---------------------------------------------------------------------- published copies


@dataclass(slots=True)
class ReadAgain:
    """What reading the works of a published copy again gave: how many were read, how many could not be because their abstract
    is left out, on how many people decided, and in what they differ."""

    read: int = 0
    without_text: int = 0
    decided: int = 0
    differ: int = 0
    first: list[str] = field(default_factory=list)


def read_again(conn: sqlite3.Connection, taxonomy: Taxonomy, progress: Progress, show: int) -> ReadAgain:
    """Judge the works of a published copy by the titles and abstracts it has, and compare verdicts, tags and reasons. Left
    out are works whose abstract is not in the copy, and those on which people decided, because the ledger is not."""
    found = ReadAgain()
    verdicts = [("verdict", verdict) for verdict in get_args(VerdictName)]
    compared = sorted({*taxonomy.tags, *verdicts, *read_queries.tag_values(conn)})
    listed = read_queries.texts_in_copy(conn)
    for start in range(0, len(listed), rejudge.JUDGE_PART):
        progress.step("judging", start, len(listed))
        part = listed[start : start + rejudge.JUDGE_PART]
        found.without_text += sum(not decided and withheld for _, withheld, decided in part)
        found.decided += sum(decided for *_, decided in part)
        dois = [doi for doi, withheld, decided in part if not (withheld or decided)]
        for row in read_queries.judged_works(conn, dois, compared):
            found.read += 1
            if differences := ", ".join(_differences(row, taxonomy)):
                found.differ += 1
                if len(found.first) < show:
                    found.first.append(f"{row['doi']}: {differences}")
    return found


def _differences(row: Row, taxonomy: Taxonomy) -> Iterator[str]:
    """In what a work differs from what the rules make of it."""
    again = judge(rejudge.as_read(row), taxonomy)
    if again.verdict != row["screened"]:
        yield f"verdict is {row['screened']} in the capsule and {again.verdict} by the rules"
    elif again.why != row["why"]:
        yield "the sentence behind the verdict"
    if {tag_row(tag) for tag in again.tags} != row["tags"]:
        now = {(tag.facet, tag.value) for tag in again.tags}
        kept = {(facet, value) for facet, value, *_ in row["tags"]}
        named = ", ".join(sorted(f"{facet}:{value}" for facet, value in now ^ kept))
        yield f"tags ({named})" if named else "how sure its tags are"
    matches = [("verdict", str(again.verdict), match) for match in again.matches]
    matches += [(tag.facet, tag.value, match) for tag in again.tags for match in tag.matches]
    if {(facet, value, m.rule, m.field, m.start, m.stop, m.quote) for facet, value, m in matches} != row["reasons"]:
        yield "the text behind its verdict or tags"
