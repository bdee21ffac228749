"""The only code that writes to the databases: one method for each transaction, without network and without judging.

`Store` holds the harvest (`evidence.db`) and the ledger of people's decisions (`decisions.db`) open together. No transaction
spans both, and no harvest writes to the ledger. An unchanged record costs no write: a record is added only when the digest of
its content differs, a derived row is replaced only when it differs.

The SQL is in the `write_…` modules, one for each subject; they are called from here alone. Reading is in `read_queries`,
`select_works` and `read_decisions`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import astuple
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from evidence.data_model import Decision, Doi
from evidence.database import (
    connection,
    read_decisions,
    rewound,
    schema,
    write_aliases,
    write_backfill,
    write_changes,
    write_copied_records,
    write_decisions,
    write_exports,
    write_history,
    write_imports,
    write_judgements,
    write_notices,
    write_past_state,
    write_provider_answers,
    write_records,
    write_sources,
    write_versions,
    write_watches,
    write_works,
)
from evidence.database.sql_helpers import Row, chunks, placeholders
from evidence.database.values_for_writer import (
    BackfilledFile,
    CapsuleRow,
    DataciteRow,
    Export,
    FoundRecord,
    HarvestedPage,
    ImportedRow,
    JudgedRecord,
    NewVersion,
    ProviderStep,
    SourceRow,
    SourceState,
    TagUpdate,
    Written,
)
from evidence.errors import ConfigError, StoreError
from evidence.providers.answers import Registration
from evidence.rules import topic as topics
from evidence.rules.topic import Topic

EXPORT_WAIT = 5.0
"""Seconds that the record of an export waits for another program: the file itself is written already."""

_INSERT_DECISION = """
    insert into decisions (doi, action, verdict, facet, value, reason, reviewer, made_at, rules, record, rule_said, seen)
    values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


def open_store(path: Path, decisions: Path | None = None, *, wait: float = connection.WAIT) -> Store:
    """Open (or make) both databases for writing and bring them up to date. `wait` is how many seconds a write waits for
    another program. StoreError when one is not ours, newer, damaged or read-only; then neither was written to."""
    ledger_path = decisions or path.with_name("decisions.db")
    with ExitStack() as opened:
        db = connection.open_for_writing(path, schema.evidence, wait)
        opened.callback(db.close)
        ledger = connection.open_for_writing(ledger_path, schema.decisions, wait)
        opened.callback(ledger.close)
        connection.bring_up_to_date(ledger, ledger_path, schema.decisions)
        connection.bring_up_to_date(db, path, schema.evidence)
        opened.pop_all()
    return Store(db, ledger, path, ledger_path)


def append_to_ledger(path: Path, decisions: Sequence[Decision], *, wait: float = connection.WAIT) -> None:
    """Append decisions to the ledger and touch no other file. When it returns they are on the disk; StoreError when they are
    not kept."""
    with closing(connection.open_for_writing(path, schema.decisions, wait)) as ledger:
        connection.bring_up_to_date(ledger, path, schema.decisions)
        try:
            with ledger.atomic():
                ledger.conn.executemany(_INSERT_DECISION, map(_decision_row, decisions))
        except sqlite3.Error as error:
            raise connection.store_error(path, error) from error
        connection.checkpoint(ledger.conn)


def record_export(path: Path, entry: Export, *, wait: float = EXPORT_WAIT) -> None:
    """Record what was exported or published from the database at `path`, in a transaction of its own; a run may be going on.
    StoreError when it cannot be: the file is read-only, of an older version, or held by another program."""
    with _recording(path, wait) as conn:
        write_exports.add_export(conn, entry)


def record_capsule(path: Path, entry: CapsuleRow, *, wait: float = EXPORT_WAIT) -> None:
    """Record a capsule that was written from the database at `path`, as `record_export` does."""
    with _recording(path, wait) as conn:
        write_exports.add_capsule(conn, entry)


@contextmanager
def _recording(path: Path, wait: float) -> Iterator[sqlite3.Connection]:
    """A transaction of its own on the database at `path`."""
    with closing(connection.open_for_writing(path, schema.evidence, wait)) as db, _store_errors(path):
        if connection.examine(db.conn, path, schema.evidence) != "current":
            raise StoreError(f"{path}: made by an older version of evidence; `evidence judge` brings it up to date")
        with db.atomic():
            yield db.conn
        connection.checkpoint(db.conn)


def copy_cut_back(source: Path, target: Path, version: Row) -> None:
    """Copy the database at `source` to the new file `target`, its records cut back to a version of it. StoreError when later runs
    have written over what there was then."""
    with (
        _store_errors(source),
        closing(connection.open_read_only(source)) as conn,
        closing(sqlite3.connect(target)) as copy,
    ):
        conn.backup(copy)
        if unknown := list(write_past_state.unknown_of_then(copy, version["run"])):
            more = f" (and {len(unknown) - 1} more)" if unknown[1:] else ""
            raise StoreError(
                f"{source}: version {version['name']} cannot be brought back whole: {unknown[0]}{more}; "
                f"`evidence export`, `report prisma` and `report changes` still answer `--as-of {version['name']}`"
            )
        copy.execute("begin immediate")
        with copy:
            write_past_state.cut(copy, version)


def mark_rewound(*paths: Path) -> None:
    """Mark these databases as taken back to a version: from now on they are only read."""
    for path in paths:
        with _store_errors(path), closing(sqlite3.connect(path)) as conn:
            conn.execute("pragma journal_mode = delete")
            conn.execute(f"pragma user_version = {rewound.MARK}")


def note_watches(path: Path, lists: Sequence[tuple[str, str, Sequence[str]]], *, wait: float = connection.WAIT) -> None:
    """Note the works of each watch (name, filter, DOIs), in a transaction of its own; a run may be going on. StoreError when it
    cannot be: the file is read-only, of an older version, or held by another program."""
    with closing(connection.open_for_writing(path, schema.evidence, wait)) as db, _store_errors(path):
        if connection.examine(db.conn, path, schema.evidence) != "current":
            raise StoreError(f"{path}: made by an older version of evidence; `evidence judge` brings it up to date")
        with db.atomic():
            for watch, filters, dois in lists:
                write_watches.note(db.conn, watch, filters, dois)
        connection.checkpoint(db.conn)


class Store:
    """Both databases, open for writing. Use `open_store`; close it, or use it in a `with`."""

    def __init__(self, db: Database, ledger: Database, path: Path, ledger_path: Path) -> None:
        self._db, self._ledger = db, ledger
        self.path, self.ledger_path = path, ledger_path
        self._checkpointed = 0

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Write both logs back into their files, where there is something to write, and close them."""
        for db, written in ((self._db, self._checkpointed), (self._ledger, 0)):
            if db.conn.total_changes != written:
                connection.checkpoint(db.conn)
            db.close()

    @property
    def conn(self) -> sqlite3.Connection:
        """The connection to `evidence.db`, for reading."""
        return self._db.conn

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """A transaction on `evidence.db`; StoreError when SQLite fails in it."""
        with _store_errors(self.path), self._db.atomic():
            yield

    # ------------------------------------------------------------------ runs

    def start_run(self, door: str, version: str, now: str) -> int:
        """Open a run and return its number. The caller holds the lock, so a run that is still `running` has crashed."""
        with self.transaction():
            self.conn.execute("update runs set outcome = 'crashed' where outcome = 'running'")
            cursor = self.conn.execute(
                "insert into runs (started, outcome, door, version) values (:now, 'running', :door, :version)",
                {"now": now, "door": door, "version": version},
            )
            return int(cursor.lastrowid or 0)

    def finish_run(
        self, run: int, outcome: str, counts: dict[str, Any], now: str, *, apart: Collection[str] = ()
    ) -> dict[str, int]:
        """Close a run with its outcome and counts, and write the log back, so that the one file has everything.

        A run that ended (`complete` or `partial`) announces in the same transaction all that has changed since the last
        announcement, but for the works `apart`, and returns how many changes there are of each kind, which the counts say too
        (`changes`). When it returns, the run is on the disk: what was announced, and perhaps mailed, is not announced anew after
        a power cut.
        """
        with connection.on_the_disk(self.conn), self.transaction():
            found = write_changes.announce(self.conn, run, apart) if outcome in ("complete", "partial") else {}
            counts = counts | {"changes": found}
            self.conn.execute(
                "update runs set finished = :now, outcome = :outcome, counts = :counts where run = :run",
                {"now": now, "outcome": outcome, "counts": json.dumps(counts, ensure_ascii=False), "run": run},
            )
        connection.checkpoint(self.conn)
        self._checkpointed = self.conn.total_changes
        return found

    def unannounced(self) -> set[Doi]:
        """The works of which something may have changed since the last announcement."""
        return write_changes.unannounced(self.conn)

    def any_unannounced(self) -> bool:
        """Whether there is any such work."""
        return write_changes.any_unannounced(self.conn)

    def announce_contents(self) -> None:
        """After an upgrade: what was announced before contents were known is taken to have had today's content."""
        with self.transaction():
            write_changes.announce_contents(self.conn)

    # ------------------------------------------------------------------ sources

    def register_sources(self, run: int, entries: Sequence[SourceRow]) -> dict[str, SourceState]:
        """Make `sources` agree with sources.yaml. Returns the state of every source."""
        with self.transaction():
            return write_sources.register(self.conn, run, entries)

    def register_import(self, run: int, entry: SourceRow) -> None:
        """Add a source of imported files by command, or bring it up to date."""
        with self.transaction():
            write_sources.register_import(self.conn, run, entry)

    def add_imported(self, run: int, rows: Sequence[ImportedRow], asked: bool) -> None:
        """Keep records of imported files, before their works are written in the same transaction: an abstract of theirs is read
        with the work. Works that were here are to be judged again."""
        with self.transaction():
            write_imports.add(self.conn, run, rows, asked)

    def set_imported(self, run: int, rows: Sequence[ImportedRow]) -> None:
        """Write what records of imported files are now known to describe, after asking once more."""
        with self.transaction():
            write_imports.resolve(self.conn, run, rows)

    def forget_bookmark(self, source: str) -> None:
        """A source is read from the beginning: it has no bookmark until some run has read it to its end."""
        with self.transaction():
            write_sources.forget_bookmark(self.conn, source)

    def complete_source(self, run: int, source: str, bookmark: str, warning: str | None) -> None:
        """This source was harvested to its end: move its bookmark. `warning` is what a person should look at."""
        with self.transaction():
            write_sources.complete(self.conn, run, source, bookmark, warning)

    def set_trouble(self, source: str, trouble: str) -> None:
        """Note why the source stopped; its bookmark stays where it was."""
        with self.transaction():
            write_sources.set_trouble(self.conn, source, trouble)

    def end_sightings(self, run: int, source: str, seen: Iterable[Doi]) -> int:
        """After a complete harvest: end the sightings of all works but `seen`. Returns how many ended."""
        with self.transaction():
            return write_sources.end_sightings(self.conn, run, source, seen)

    def retire_citations(self, run: int, source: str, length: int) -> None:
        """A reference list has become shorter: retire the lines after `length`."""
        with self.transaction():
            write_sources.retire_citations(self.conn, run, source, length)

    # ------------------------------------------------------------------ records

    def digests_and_bases(self, dois: Sequence[Doi]) -> dict[Doi, tuple[str, str]]:
        """Of those of these DOIs that have a current record: its digest, and the basis of its judgement (`""`: none)."""
        found: dict[Doi, tuple[str, str]] = {}
        for chunk in chunks(dois):
            rows = self.conn.execute(
                f"""
                select s.doi, s.digest, coalesce(w.basis, '') from snapshots s left join works w on w.doi = s.doi
                where s.last_run is null and s.doi in ({placeholders(chunk)})
                """,  # noqa: S608 - only question marks are pasted
                chunk,
            )
            found.update({doi: (digest, basis) for doi, digest, basis in rows})
        return found

    def write_page(self, run: int, source: str, page: HarvestedPage) -> Written:
        """Write what one page brought, and every row derived from it, in one transaction."""
        written = Written()
        aliased = [doi for pair in page.aliases for doi in pair]
        dois = [record.doi for record in page.records]
        conn = self.conn
        with self.transaction():
            touched = write_notices.connected_dois(conn, [*dois, *aliased, *page.absent, *page.present])
            write_records.add_requests(conn, run, source, page.requests)
            write_records.add_records(conn, run, page.records, written)
            write_records.update_absences(conn, run, page, written)
            write_aliases.end_aliases(conn, run, page.records)
            write_records.update_unread(conn, page.records)
            write_works.write_works(conn, run, page.records)
            write_records.update_counters(conn, run, page.counted)
            write_works.show_absences(conn, run, (*written.gone, *written.back))
            write_aliases.follow_aliases(conn, run, page.aliases, written)
            written.sightings = write_records.add_sightings(conn, run, source, page.sightings)
            written.rejects = write_records.add_rejects(conn, run, source, page.rejects)
            write_records.set_citations(conn, run, page.citations)
            write_history.note_verdicts(conn, run, [*dois, *aliased])
            write_notices.update_notices(conn, run, touched)
        return written

    def add_backfilled(self, found: list[FoundRecord], file: BackfilledFile | None) -> None:
        """Keep the records that were found in a file of Crossref's public data file, and that it was read to its end (None:
        it was not), in one transaction."""
        with self.transaction():
            write_backfill.add(self.conn, found, file)

    def forget_backfill_records(self, last: int) -> None:
        """Remove the records of a backfill up to this one, which have become works."""
        with self.transaction():
            write_backfill.forget_records(self.conn, last)

    # ------------------------------------------------------------------ other providers

    def write_provider_step(self, run: int, step: ProviderStep) -> list[str]:
        """Write what one step of asking a provider brought, in one transaction; returns the subjects whose record is new or has
        changed. Their works have no basis any more: they are judged again by whoever judges next."""
        with self.transaction():
            return write_provider_answers.write_step(self.conn, run, step)

    def set_provider_tables(
        self, studies: Mapping[str, Sequence[Registration]], datacite: Sequence[DataciteRow]
    ) -> None:
        """Replace what registries (by provider) say about studies, and what DataCite says about DOIs that are not Crossref's."""
        with self.transaction():
            for source, found in studies.items():
                write_provider_answers.set_registered_studies(self.conn, source, found)
            write_provider_answers.set_datacite_works(self.conn, datacite)

    # ------------------------------------------------------------------ judgements

    def write_judgements(self, run: int, records: Sequence[JudgedRecord], unread: Sequence[JudgedRecord] = ()) -> None:
        """Replace the derived rows of works whose records did not change. `unread` are current records that today's code
        cannot understand: they are noted, and not tried again by the same code."""
        dois = [record.doi for record in records]
        with self.transaction():
            touched = write_notices.connected_dois(self.conn, dois)
            write_records.update_unread(self.conn, (*records, *unread))
            write_works.write_works(self.conn, run, records)
            write_notices.update_notices(self.conn, run, touched)
            write_history.note_verdicts(self.conn, run, dois)

    def notice_targets(self, dois: Sequence[Doi]) -> dict[Doi, tuple[tuple[str, Doi], ...]]:
        """Of the records that state an update of another work: what they are notices of, judged by all records in the
        database (empty for a study). Records that state no update are left out: they are judged by themselves."""
        return write_notices.notice_targets(self.conn, dois)

    def update_tags(
        self,
        run: int,
        basis: str,
        touched: Collection[tuple[str, str]],
        judged: Sequence[Doi],
        changed: Sequence[TagUpdate],
    ) -> None:
        """After an edit of a few rules: the works `judged` have the basis `basis` now, and those `changed` have other tags or
        reasons among the values `touched`. No other row is written."""
        with self.transaction():
            write_judgements.update_tags(self.conn, run, basis, touched, judged, changed)

    def set_rule_marks(self, basis: str, version: str, marks: Mapping[tuple[str, str], str]) -> None:
        """Note by which rules every work that no person decided on has been judged: (facet, value) → a text that changes
        with what its tags depend on."""
        with self.transaction():
            write_judgements.set_rule_marks(self.conn, basis, version, marks)

    def set_topic(self, topic: Topic) -> None:
        """Keep the topic that the works are judged by, and make the views for it. ConfigError when the database has works of
        another topic: their tags and the decisions on them speak of other facets."""
        stored = schema.read_topic(self.conn)
        if stored == topic:
            return
        if stored.id != topic.id and self.conn.execute("select exists (select 1 from works)").fetchone()[0]:
            raise ConfigError(topics.another_topic(self.path, stored.id, topic.id))
        with self.transaction():
            schema.write_topic(self.conn, topic)
            schema.make_views(self.conn)

    def set_facets(self, rows: Sequence[tuple[str, str, str, str, int]]) -> None:
        """Replace the taxonomy: (facet, value, label, meaning, position). A value that is not in it stays while a tag has
        it."""
        with self.transaction():
            write_judgements.set_facets(self.conn, rows)

    def set_duplicates(
        self, run: int, pairs: Iterable[tuple[str, str, str, str, str]], same_as: Mapping[str, str]
    ) -> int:
        """Replace all pairs and clusters: pairs are (doi, other, verdict, decided, reason) with doi < other, `same_as` leads
        from a record to the one that represents its work. Returns how many works changed."""
        with self.transaction():
            return write_judgements.set_duplicates(self.conn, run, pairs, same_as)

    # ------------------------------------------------------------------ versions

    def add_version(self, version: NewVersion) -> None:
        """Give the state of now a name, and keep its tags. The caller holds the lock, so no run is going on."""
        with self.transaction():
            write_versions.add(self.conn, version)

    # ------------------------------------------------------------------ records of another database

    def copy_records(self, source: Path) -> None:
        """Copy all records of the database at `source`, of today's schema, into this one, which has none yet."""
        with _store_errors(source):
            # Rows are checked by the database they come from, and the order of tables does not matter then.
            self.conn.execute("pragma foreign_keys = off")
            self.conn.execute("attach ? as copied", (str(source),))
            try:
                with self._db.atomic():
                    write_copied_records.copy_records(self.conn)
            finally:
                self.conn.execute("detach copied")
                self.conn.execute("pragma foreign_keys = on")

    def restore_past(self, cut: Path, version: Row) -> None:
        """Bring what was judged anew to what the histories in `cut`, whose records this database has, say of a version.
        StoreError when they do not go together."""
        with _store_errors(self.path):
            self.conn.execute("pragma foreign_keys = off")
            self.conn.execute("attach ? as cut", (str(cut),))
            try:
                with self._db.atomic():
                    missing = write_past_state.restore(self.conn, version)
                    wrong = [table for table, *_ in self.conn.execute("pragma main.foreign_key_check")]
                    if missing or wrong:
                        about = (
                            f"{missing[0]} cannot be read as it was then"
                            if missing
                            else f"{wrong[0]} has rows of later"
                        )
                        raise StoreError(f"version {version['name']} cannot be brought back whole: {about}")
            finally:
                self.conn.execute("detach cut")
                self.conn.execute("pragma foreign_keys = on")

    # ------------------------------------------------------------------ people's decisions

    def append_decisions(self, decisions: Sequence[Decision]) -> None:
        """Append to the ledger; nothing there is ever changed or removed."""
        with _store_errors(self.ledger_path), self._ledger.atomic():
            self._ledger.conn.executemany(_INSERT_DECISION, map(_decision_row, decisions))

    def decisions(self, *, works: Collection[Doi] | None = None, facet: str | None = None) -> tuple[Decision, ...]:
        """The decisions of the ledger, oldest first: all, or as `read_decisions.select_decisions` selects them."""
        return read_decisions.select_decisions(self._ledger.conn, works=works, facet=facet)

    def unshown_decisions(self) -> write_decisions.Unshown:
        """In what the decisions in `evidence.db` differ from those of the ledger."""
        with _store_errors(self.path):
            return write_decisions.unshown(self.conn, self._ledger.conn, self.path, self.ledger_path)

    def show_decisions(self, found: write_decisions.Unshown | None = None) -> int:
        """Copy what `unshown_decisions` found to `decisions` in `evidence.db`, for readers; returns how many rows that changed.
        The digests, which no reader needs, are left out; a decision on an alias is shown at the DOI that the work is kept
        under."""
        found = found or self.unshown_decisions()
        if found.rows:
            with self.transaction():
                write_decisions.show(self.conn, found)
        return len(found.rows)


@contextmanager
def _store_errors(path: Path) -> Iterator[None]:
    """What SQLite raises inside becomes a StoreError about this file."""
    try:
        yield
    except sqlite3.Error as error:
        raise connection.store_error(path, error) from error


def _decision_row(decision: Decision) -> tuple[Any, ...]:
    return (*astuple(decision)[:-1], json.dumps(decision.seen))
