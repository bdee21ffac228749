"""Crossref's public data file, read once: the records that the searches and reference lists want become works as in a sync.

First every file is scanned, and what is found in it is kept in the database together with the mark that it was read, in the
order of the files; a run that was stopped goes on with the others. Then the records found are handed to `sync`, as if they
were a file of their own: so verdicts, tags and sightings are those that `evidence sync --from` gives. An older record never
replaces a newer one. No SQL here, no printing.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from evidence.crossref.entries_of_files import RawLine
from evidence.crossref.public_data_file import Part, parts_of
from evidence.data_model import Clock, Doi
from evidence.database import read_queries, writer
from evidence.database.run_lock import locked
from evidence.database.values_for_writer import BackfilledFile
from evidence.errors import ConfigError
from evidence.harvest import reference_lists, sync
from evidence.harvest.ingest import ingest_unreadable
from evidence.harvest.locked_run import FileInput, followed_citations, record_files, searches_of, wanted_dois
from evidence.harvest.progress import Progress
from evidence.harvest.reader_processes import RecordReaders, cores
from evidence.harvest.run_outcome import Outcome
from evidence.harvest.scan_parts import ScannedPart, Wanted
from evidence.harvest.scan_processes import scanned_in_order
from evidence.harvest.sources import Config, ReferenceList, Search
from evidence.harvest.stored_records import StoredRecords
from evidence.rules.taxonomy import Taxonomy

DOOR = "backfill"
"""What the database calls runs of this kind."""

_READING = 4
"""Raise it when what is found in a file changes for the same searches: all files are read again then."""


@dataclass(slots=True)
class BackfillCounts:
    """What a backfill read: files of all, how many were read before, how many again because other searches are asked, records and
    those that match. `troubles` are sentences on files that could not be read."""

    files: int
    before: int
    again: int = 0
    records: int = 0
    matched: int = 0
    troubles: tuple[str, ...] = ()


def run_backfill(
    db: Path,
    ledger: Path,
    config: Config,
    taxonomy: Taxonomy,
    now: Clock,
    progress: Progress,
    paths: Sequence[Path | str],
    *,
    workers: int | None = None,
    cluster: str | None = None,
    day: str | None = None,
    ticks: Callable[[], float] = time.monotonic,
) -> tuple[Outcome, BackfillCounts]:
    """Scan the files that were not read yet, and take what is found, in a run of its own under the lock; without anything found
    or newly read there is no run (its number is 0). A path may be an address (`s3://…`). `cluster`, a Dask scheduler, has its
    workers scan the files; otherwise so many `workers` do here. `day` is the day of the data file, for PRISMA-S. ConfigError when
    sources.yaml has nothing to look for or a path holds no files; BusyError when another run is going on; UnavailableError when
    the scheduler was lost: what was read is kept."""
    parts = parts_of(paths)
    if day is None and not any(part.modified for part in parts):
        raise ConfigError(
            f"{parts[0].place}: its server does not say of which day it is; name the day of the data file with --date"
        )
    searches = searches_of(config)
    lists = [source for source in config.sources if isinstance(source, ReferenceList)]
    if not searches and not lists:
        raise ConfigError(
            "sources.yaml has no search and no reference list, so there is nothing to look for in the files"
        )
    asked = _digest(searches, lists)
    with locked(db), writer.open_store(db, ledger) as opened:
        opened.set_topic(taxonomy.topic)
        read = read_queries.backfilled(opened.conn, asked)
        due = [part for part in parts if _key(part) not in read]
        counts = BackfillCounts(len(parts), len(parts) - len(due))
        known_files = read_queries.backfilled_keys(opened.conn)
        counts.again = sum(_key(part) in known_files for part in due)
        wanted = Wanted(searches, frozenset(_wanted_dois(config, opened)))
        if cluster is None:
            scanned = scanned_in_order(due, wanted, workers or cores())
        else:
            from evidence.harvest.scan_cluster import scanned_by_cluster

            scanned = scanned_by_cluster(due, wanted, cluster)
        with closing(scanned):
            _keep(opened, due, scanned, asked, counts, progress, ticks)
        last = read_queries.last_backfill_record(opened.conn)
        said = _said_of_files(opened, asked, parts, day)
        before = read_queries.last_backfill(opened.conn) or {}
        if not last and all(
            before.get(key) == said[key] for key in ("asked", "files", "records", *(["dated"] if day else []))
        ):
            verdicts = read_queries.verdict_counts(opened.conn)
            return Outcome(0, "partial" if counts.troubles else "complete", verdicts=verdicts), counts

        def lines() -> Iterator[RawLine]:
            found = read_queries.backfill_records(opened.conn, last)
            return (RawLine(place, text.encode()) for place, text in found)

        with (
            RecordReaders(taxonomy, searches) as readers,
            record_files(FileInput(DOOR, ()), config, opened, readers, lines) as records,
        ):
            outcome = sync.sync(
                config,
                opened,
                records,
                taxonomy,
                now=now,
                progress=progress,
                backfill=said,
                partly=bool(counts.troubles),
            )
            ingest_unreadable(opened, outcome, records.unreadable)
        opened.forget_backfill_records(last)
        return outcome, counts


def _digest(searches: Sequence[Search], lists: Sequence[ReferenceList]) -> str:
    """A digest of what is asked of a file. Known works do not count: each run would change them."""
    asked = [_READING, sorted(search.spec for search in searches), sorted(source.spec for source in lists)]
    return hashlib.blake2b(json.dumps(asked).encode(), digest_size=16).hexdigest()


def _key(part: Part) -> tuple[str, int, int]:
    return part.name, part.size, part.modified


def _wanted_dois(config: Config, opened: writer.Store) -> set[Doi]:
    """Those of any run, and those that followed reference lists state as far as they are known."""
    wanted = wanted_dois(config, opened)
    held = StoredRecords(opened.conn)
    followed = [source for source in config.sources if isinstance(source, ReferenceList) and source.of]
    cited = [citation for source in followed for citation in followed_citations(source, held)]
    return wanted.union(*map(reference_lists.possible_dois, cited))


def _keep(
    opened: writer.Store,
    due: list[Part],
    scanned_parts: Iterable[tuple[Part, ScannedPart]],
    asked: str,
    counts: BackfillCounts,
    progress: Progress,
    ticks: Callable[[], float],
) -> None:
    """Keep what is found in the parts that are due, part by part, as they come."""
    started, read, total = ticks(), 0, sum(part.size for part in due)
    progress.step("files", counts.before, counts.files)
    for number, (part, scanned) in enumerate(scanned_parts, start=counts.before + 1):
        name, size, modified = _key(part)
        done = (
            None if scanned.trouble else BackfilledFile(name, size, modified, asked, scanned.records, scanned.matched)
        )
        opened.add_backfilled(scanned.found, done)
        counts.records += scanned.records
        counts.matched += scanned.matched
        counts.troubles += (scanned.trouble,) if scanned.trouble else ()
        read += part.size
        passed = max(ticks() - started, 1e-9)
        left = (total - read) * passed / max(read, 1)
        rate = counts.records / passed
        progress.step(
            f"files: {counts.records:,} records, {rate:,.0f}/s, {counts.matched:,} matched, {duration(left)} left",
            number,
            counts.files,
        )


def duration(seconds: float) -> str:
    """A time to wait, in the two largest units: `3 h 12 min`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def _said_of_files(opened: writer.Store, asked: str, parts: Sequence[Part], day: str | None) -> dict[str, object]:
    """What PRISMA-S says of the data file: all files of which this was asked, in this run and before."""
    read = read_queries.backfilled(opened.conn, asked)
    newest = max((part.modified for part in parts), default=0)
    return {
        "asked": asked,
        "files": len(read),
        "records": sum(records for records, _ in read.values()),
        "matched": sum(matched for _, matched in read.values()),
        "dated": day or datetime.fromtimestamp(newest, UTC).date().isoformat(),
    }
