"""The only module that writes SQLite: one method per transaction, and no network or judgement inside one.

`Store` holds the harvest (`evidence.db`) and the people's ledger (`decisions.db`) open together, but no transaction spans
both and no harvest writes to the second. Everything is written so that an unchanged record costs no write: a record lands
only when its content digest differs, a derived row is replaced only when its text differs.

Long for a module (the house's limit is about 250 lines): the write path of every table stands here so that no other
module has to know one. Reading for people is `catalogue`'s.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import astuple, dataclass, field, replace
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from evidence import __version__
from evidence.crossref.normalise import cite_authors
from evidence.database import change_log, connection, schema
from evidence.linkage import notices as standing
from evidence.model import SAME_WORK, Decision, Doi, Judgement, Resolution, Work

PREPRINT = ("is-preprint-of", "has-preprint")
"""Relations between a preprint and its article, stated by the one and by the other."""

_SQL_VARIABLES = 500
"""Values bound in one `in (…)`: below SQLite's oldest limit of 999."""

_SHOWN = "decision, doi, action, verdict, facet, value, reason, reviewer, made_at, rule_said"
"""The columns of `decisions` in `evidence.db`."""

_INSERT_DECISION = """
    insert into decisions (doi, action, verdict, facet, value, reason, reviewer, made_at, rules, record, rule_said, seen)
    values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


@dataclass(frozen=True, slots=True)
class Record:
    """A record ready to land: the message as deposited (JSON text), its digest, and what today's code makes of it.

    `work` is None for a record that cannot be understood: it lands in `snapshots` all the same, so nothing is lost.
    """

    doi: Doi
    digest: str
    message: str
    work: Work | None
    judgement: Judgement | None
    basis: str


@dataclass(frozen=True, slots=True)
class Sighting:
    """Which work a source led to, and how; rank (1-based) and score are those of the first sight."""

    doi: Doi
    via: str
    rank: int | None = None
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that could not be understood, whole, with the reason. `place` says where it stood: a file and line, a rank
    among the results of a search, or for which DOI it was answered."""

    digest: str
    doi: str | None
    reason: str
    message: str
    place: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """One page of a search as run, for PRISMA-S: what was asked, limited to what, and how the reading of its window stood
    after it (see `search.Sweep`). `spec` is the search as sources.yaml had it."""

    query: str
    filters: str
    spec: str
    created_from: str | None
    created_until: str | None
    indexed_from: str | None
    offset: int
    sort: str
    asked_at: str
    total: int
    scanned: int
    matched: int
    reached: int
    last_match: int | None
    recent: int
    ended: str | None
    unread: int


Counted = tuple[Doi, str | None, int | None]
"""doi, when Crossref indexed the record, how often the work is cited; None where the answer did not say"""

Reason = tuple[str, str, str, str, int, int, str]
"""facet, value, rule, field, start, stop, quote"""


@dataclass(frozen=True, slots=True)
class Retagged:
    """What a work says now of the values that edited rules touch; `why` is of its verdict."""

    doi: Doi
    why: str
    tags: Sequence[tuple[str, str]]
    reasons: Sequence[Reason]


@dataclass(frozen=True, slots=True)
class Landing:
    """All that one page brought: it lands in one transaction, whole or not at all.

    `aliases` are (alias, DOI it leads to). `counted` is what was said of records whose content stands; `absent` are works of
    which Crossref itself has no record, and `present` those of which it has one.
    """

    records: Sequence[Record] = ()
    sightings: Sequence[Sighting] = ()
    aliases: Sequence[tuple[Doi, Doi]] = ()
    rejects: Sequence[Reject] = ()
    citations: Sequence[Resolution] = ()
    asked: Sequence[Asked] = ()
    counted: Sequence[Counted] = ()
    absent: Sequence[Doi] = ()
    present: Sequence[Doi] = ()


@dataclass(slots=True)
class Landed:
    """What a landing changed: DOIs of works that are new, whose record changed, and how many sightings were new.

    `moved`: works known under a DOI that leads to another now, as (old DOI, new DOI); over a run the new one is not `new`.
    `gone` and `back`: works that Crossref has no record of any more, or has again.
    """

    new: list[Doi] = field(default_factory=list)
    changed: list[Doi] = field(default_factory=list)
    sightings: int = 0
    rejects: int = 0
    moved: list[tuple[Doi, Doi]] = field(default_factory=list)
    gone: list[Doi] = field(default_factory=list)
    back: list[Doi] = field(default_factory=list)

    def __iadd__(self, other: Landed) -> Landed:
        """Add up the pages of a run."""
        self.new += other.new
        self.changed += other.changed
        self.sightings += other.sightings
        self.rejects += other.rejects
        self.moved += other.moved
        moved = {doi for _, doi in self.moved}  # known before, under another DOI
        self.new = [doi for doi in self.new if doi not in moved]
        self.gone += other.gone
        self.back += other.back
        return self


@dataclass(frozen=True, slots=True)
class SourceState:
    """What the database knows of a source: its bookmark (None: not yet harvested whole), and the warning on it."""

    bookmark: str | None
    warning: str | None


def open_store(path: Path, decisions: Path | None = None, *, wait: float = connection.WAIT) -> Store:
    """Open (or make) both databases for writing, migrated; StoreError when one is not ours, newer, damaged or read-only: then
    neither was written to. `wait` is how many seconds a write waits for another program."""
    ledger = decisions or path.with_name("decisions.db")
    with ExitStack() as opened:
        db = connection.connect(path, schema.evidence, wait)
        opened.callback(db.close)
        words = connection.connect(ledger, schema.decisions, wait)
        opened.callback(words.close)
        connection.bring_up(words, ledger, schema.decisions)
        connection.bring_up(db, path, schema.evidence)
        opened.pop_all()
    return Store(db, words, path, ledger)


def append(ledger: Path, decisions: Sequence[Decision], *, wait: float = connection.WAIT) -> None:
    """Append people's words to the ledger and touch no other file. When it returns they are on the disk; StoreError when
    they are not kept."""
    with closing(connection.connect(ledger, schema.decisions, wait)) as words:
        connection.bring_up(words, ledger, schema.decisions)
        try:
            with words.atomic():
                words.conn.executemany(_INSERT_DECISION, map(_decision_row, decisions))
        except sqlite3.Error as error:
            raise connection.explained(ledger, error) from error
        connection.checkpoint(words.conn)


class Store:
    """Both databases, open for writing. Use `open_store`; close it, or use it in a `with`."""

    def __init__(self, db: Database, ledger: Database, path: Path, ledger_path: Path) -> None:
        self._db, self._ledger = db, ledger
        self.path, self.ledger_path = path, ledger_path
        self._written = 0

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close both files, each with all that was written in it: readers may keep the log beside it open."""
        for db, written in ((self._db, self._written), (self._ledger, 0)):
            if db.conn.total_changes != written:
                connection.checkpoint(db.conn)
            db.close()

    @property
    def conn(self) -> sqlite3.Connection:
        """The connection to `evidence.db`, for reading."""
        return self._db.conn

    # ------------------------------------------------------------------ runs and sources

    def start_run(self, door: str, version: str, now: str) -> int:
        """Open a run and return its number. The caller holds the lock, so a run still `running` has crashed."""
        with self._writing():
            self.conn.execute("update runs set outcome = 'crashed' where outcome = 'running'")
            cursor = self.conn.execute(
                "insert into runs (started, outcome, door, version) values (:now, 'running', :door, :version)",
                {"now": now, "door": door, "version": version},
            )
            return int(cursor.lastrowid or 0)

    def finish_run(
        self, run: int, outcome: str, counts: dict[str, Any], now: str, *, apart: Collection[str] = ()
    ) -> list[change_log.Change]:
        """Close a run with its outcome and counts, and write the log back: whoever copies the one file has it whole.

        A run that ended (`complete` or `partial`) announces in the same transaction all that has changed since the last
        announcement, but for the works `apart`, and returns it; the counts say how many changes of each kind (`changes`).
        """
        with self._writing():
            found = self._announce(run, set(apart)) if outcome in ("complete", "partial") else []
            counts = counts | {"changes": change_log.counted(found)}
            self.conn.execute(
                "update runs set finished = :now, outcome = :outcome, counts = :counts where run = :run",
                {"now": now, "outcome": outcome, "counts": json.dumps(counts, ensure_ascii=False), "run": run},
            )
        connection.checkpoint(self.conn)
        self._written = self.conn.total_changes
        return found

    def unannounced(self) -> set[Doi]:
        """The works of which something may have changed since the last announcement."""
        return {doi for (doi,) in self.conn.execute("select doi from unannounced")}

    def announce_contents(self) -> None:
        """After an upgrade: what was announced before contents were known had the content that stands."""
        with self._writing():
            self.conn.execute(
                """
                update announced set content = w.content from works w
                where w.doi = announced.doi and announced.content is null and w.content is not null
                """
            )

    def _announce(self, run: int, apart: set[str]) -> list[change_log.Change]:
        """Note what changed as changes of this run, and what stands as announced. Inside the caller's transaction."""
        if not self.unannounced() - apart:
            return []
        dois = sorted({doi for (doi,) in self.conn.execute(_DIFFERS)} - apart)
        now = self._states(dois)
        led_to = self._each("select alias, doi from {j} join aliases on alias = j.value where last_run is null", dois)
        leading = self._each(
            "select a.alias, a.doi from {j} join aliases a on a.doi = j.value where a.last_run is null", dois
        )
        records = [doi for (doi,) in self._each("select w.doi from {j} join works w on w.same_as = j.value", dois)]
        before = self._announced({*dois, *records, *(alias for alias, _ in leading)})
        named = {state.same_as for state in before.values() if state.same_as}
        named |= {notice.notice_doi for state in before.values() for notice in state.notices}
        aliases = dict(led_to) | dict(leading)
        aliases |= dict(
            self._each(
                "select alias, doi from {j} join aliases on alias = j.value where last_run is null", sorted(named)
            )
        )
        verdicts = dict(
            self._each("select doi, verdict from {j} join works on doi = j.value", sorted({doi for _, doi in led_to}))
        )
        found = change_log.changes(before, now, aliases, verdicts)
        self.conn.executemany(
            "insert into changes (run, doi, what, before, after, verdict) values (?, ?, ?, ?, ?, ?)",
            [(run, c.doi, c.what, c.before, c.after, c.verdict) for c in found],
        )
        self.conn.executemany("delete from announced where doi = ?", [(d,) for d in dois if now[d] is None])
        self.conn.executemany(
            _ANNOUNCE, [_announced_row(doi, state.shown) for doi, state in now.items() if state is not None]
        )
        self.conn.execute(
            "delete from unannounced where doi not in (select value from json_each(?))", (json.dumps(sorted(apart)),)
        )
        return found

    def _states(self, dois: Sequence[str]) -> dict[str, change_log.State | None]:
        """What stands of these records; None of one that is a work no more."""
        found: dict[str, change_log.State | None] = dict.fromkeys(dois)
        notices: dict[str, list[change_log.Standing]] = {}
        for doi, *notice in self._each(
            "select doi, kind, notice_doi, stands_on, relation from {j} join notices on doi = j.value where undone = 0",
            dois,
        ):
            notices.setdefault(doi, []).append(change_log.Standing(*notice))
        tags: dict[str, list[str]] = {}
        for doi, tag in self._each(
            "select t.doi, t.facet || ':' || t.value from {j} join tags t on t.doi = j.value", dois
        ):
            tags.setdefault(doi, []).append(tag)
        for doi, verdict, content, same_as, gone, conflict in self._each(
            "select doi, verdict, content, same_as, gone, conflict from {j} join works on doi = j.value", dois
        ):
            found[doi] = change_log.State(
                verdict,
                content,
                same_as,
                tuple(sorted(notices.get(doi, ()))),
                gone,
                conflict,
                tuple(sorted(tags.get(doi, ()))),
            )
        return found

    def _announced(self, dois: Iterable[str]) -> dict[str, change_log.State]:
        """What was last announced of these records, of those that were."""
        return {
            doi: change_log.State(
                verdict,
                content,
                same_as,
                tuple(sorted(change_log.Standing(*notice) for notice in json.loads(notices))),
                gone,
                conflict,
                tuple(sorted(json.loads(tags))),
            )
            for doi, verdict, content, same_as, notices, gone, conflict, tags in self._each(
                "select doi, verdict, content, same_as, notices, gone, conflict, tags"
                " from {j} join announced on doi = j.value",
                sorted(dois),
            )
        }

    def register(self, run: int, entries: Sequence[tuple[str, str, str, str]]) -> dict[str, SourceState]:
        """Make `sources` agree with sources.yaml. Entries are (id, kind, label, spec JSON).

        A changed spec is another search, so its bookmark is forgotten and it is harvested whole again. An entry that
        is no longer there is retired, never deleted.
        """
        with self._writing():
            self.conn.executemany(
                """
                insert into sources (source, kind, label, spec) values (?, ?, ?, ?)
                on conflict (source) do update set
                    bookmark = case when (kind, spec) is (excluded.kind, excluded.spec) then bookmark end,
                    first_run = case when (kind, spec) is (excluded.kind, excluded.spec) then first_run end,
                    kind = excluded.kind, label = excluded.label, spec = excluded.spec, retired = null
                where (kind, label, spec, retired) is not (excluded.kind, excluded.label, excluded.spec, null)
                """,
                entries,
            )
            names = json.dumps([entry[0] for entry in entries])
            self.conn.execute(
                """
                update sources set retired = :run
                where retired is null and source not in (select value from json_each(:names))
                """,
                {"run": run, "names": names},
            )
            self.conn.execute(
                """
                update citations set retired = :run
                where retired is null and source in (select source from sources where retired is not null)
                """,
                {"run": run},
            )
            self._note_sources(run)
        rows = self.conn.execute("select source, bookmark, warning from sources").fetchall()
        return {source: SourceState(bookmark, warning) for source, bookmark, warning in rows}

    def _note_sources(self, run: int) -> None:
        """Note in `source_history` what sources are now, where that is not what was last noted; of a run, its last."""
        for sql in _NOTE_SOURCES:
            self.conn.execute(sql, {"run": run})

    def begin_source(self, source: str) -> None:
        """A source is read whole from now on: its bookmark is forgotten until that has come to its end, in whichever run."""
        with self._writing():
            self.conn.execute(
                "update sources set bookmark = null where source = :source and bookmark is not null",
                {"source": source},
            )

    def complete_source(self, run: int, source: str, bookmark: str, warning: str | None) -> None:
        """Move the bookmark: this source was harvested to its end. `warning` is what a person should look at."""
        with self._writing():
            self.conn.execute(
                """
                update sources set bookmark = :bookmark, trouble = null, warning = :warning,
                    first_run = coalesce(first_run, :run)
                where source = :source and (bookmark, trouble, warning, first_run) is not
                    (:bookmark, null, :warning, coalesce(first_run, :run))
                """,
                {"bookmark": bookmark, "warning": warning, "run": run, "source": source},
            )

    def trouble_source(self, source: str, trouble: str) -> None:
        """Say on the source why it stopped; its bookmark stays where it was."""
        with self._writing():
            self.conn.execute(
                "update sources set trouble = :trouble where source = :source and trouble is not :trouble",
                {"trouble": trouble, "source": source},
            )

    def close_sightings(self, run: int, source: str, seen: Iterable[Doi]) -> int:
        """After a whole harvest: mark what the source no longer leads to; the works are kept. Returns how many."""
        with self._writing():
            cursor = self.conn.execute(
                """
                update sightings set last_run = :run
                where source = :source and last_run is null and doi not in (select value from json_each(:seen))
                """,
                {"run": run, "source": source, "seen": json.dumps(sorted(seen))},
            )
            return cursor.rowcount

    def retire_citations(self, run: int, source: str, length: int) -> None:
        """A reference list that became shorter: the lines after `length` are retired."""
        with self._writing():
            self.conn.execute(
                """
                update citations set retired = :run
                where source = :source and position > :length and retired is null
                """,
                {"run": run, "source": source, "length": length},
            )

    # ------------------------------------------------------------------ landing

    def current(self, dois: Sequence[Doi]) -> dict[Doi, tuple[str, str]]:
        """Of these works: the digest of the record that stands, and the basis of its judgement (`""`: none)."""
        found: dict[Doi, tuple[str, str]] = {}
        for chunk in _chunks(dois):
            rows = self.conn.execute(
                f"""
                select s.doi, s.digest, coalesce(w.basis, '') from snapshots s left join works w on w.doi = s.doi
                where s.last_run is null and s.doi in ({_marks(chunk)})
                """,  # noqa: S608 - only question marks are pasted
                chunk,
            )
            found.update({doi: (digest, basis) for doi, digest, basis in rows})
        return found

    def land(self, run: int, source: str, landing: Landing) -> Landed:
        """Write one page: requests, records, aliases, sightings, citations, rejects and all derived rows."""
        result = Landed()
        with self._writing():
            touched = self._tied(
                [
                    *(r.doi for r in landing.records),
                    *(doi for pair in landing.aliases for doi in pair),
                    *landing.absent,
                    *landing.present,
                ]
            )
            self._land_requests(run, source, landing.asked)
            self._land_snapshots(run, landing.records, result)
            self._land_absences(run, landing, result)
            self._end_aliases(run, landing.records)
            self._set_unread(landing.records)
            self._derive(run, [r for r in landing.records if r.work is not None])
            self._land_counters(run, landing.counted)
            self._show_absences(run, (*result.gone, *result.back))
            self._follow_aliases(run, landing.aliases, result)
            self._land_links(run, source, landing, result)
            self._note_verdicts(
                run, [*(r.doi for r in landing.records), *(doi for pair in landing.aliases for doi in pair)]
            )
            self._derive_notices(run, touched)
        return result

    def rejudge(self, run: int, records: Sequence[Record], unread: Sequence[Record] = ()) -> None:
        """Replace the derived rows of works whose records did not change. `unread` are records that stand and that today's
        code cannot understand: they are kept in mind, so that they are not tried again for nothing."""
        with self._writing():
            touched = self._tied([record.doi for record in records])
            self._set_unread((*records, *unread))
            self._derive(run, records)
            self._derive_notices(run, touched)
            self._note_verdicts(run, [r.doi for r in records])

    def notices_of(self, dois: Sequence[Doi]) -> dict[Doi, tuple[tuple[str, Doi], ...]]:
        """What those of these records that state an update of another work are notices of, by all records at hand; nothing
        for a study. A record that states none is not in it: it is judged by itself."""
        stating = [
            doi
            for (doi,) in self._each("select distinct said_by from {j} join updates on said_by = j.value"
                                     " where evidence = 'update-to' and doi <> said_by", dois)
        ]  # fmt: skip
        if not stating:
            return {}
        found = standing.decided(self._world(self._tied(stating)))
        return {doi: tuple((kind, Doi(other)) for kind, other in found.get(doi, ())) for doi in stating}

    def retag(
        self,
        run: int,
        basis: str,
        touched: Collection[tuple[str, str]],
        judged: Sequence[Doi],
        changed: Sequence[Retagged],
    ) -> None:
        """After an edit of few rules: the works `judged` stand on `basis` now, and those `changed` say something else of
        the values `touched`. No other row is written."""
        values = json.dumps([list(said) for said in sorted(touched)])
        with self._writing():
            for table in ("tags", "reasons"):
                self.conn.executemany(
                    f"""
                    delete from {table} where doi = ? and (facet, value) in
                        (select json_extract(value, '$[0]'), json_extract(value, '$[1]') from json_each(?))
                    """,  # noqa: S608 - our own table names
                    [(work.doi, values) for work in changed],
                )
            self.conn.executemany(
                "insert into tags (doi, facet, value, decided) values (?, ?, ?, 'rule')",
                [(work.doi, *said) for work in changed for said in work.tags],
            )
            self.conn.executemany(
                "insert or ignore into reasons values (?, ?, ?, ?, ?, ?, ?, ?)",
                [(work.doi, *reason) for work in changed for reason in work.reasons],
            )
            self.conn.executemany(
                "update works set why = ?, changed_run = ? where doi = ?", [(w.why, run, w.doi) for w in changed]
            )
            self.conn.execute(
                "update works set basis = :basis where doi in (select value from json_each(:judged))",
                {"basis": basis, "judged": json.dumps(judged)},
            )
            self._note_verdicts(run, [work.doi for work in changed])

    def set_marks(self, basis: str, version: str, marks: Mapping[tuple[str, str], str]) -> None:
        """By which rules every work without a person's word has been judged: (facet, value) → digest of its rules."""
        with self._writing():
            self.conn.execute("delete from rule_marks")
            self.conn.executemany(
                "insert into rule_marks (facet, value, mark, basis, version) values (?, ?, ?, ?, ?)",
                [(*said, mark, basis, version) for said, mark in sorted(marks.items())],
            )

    def set_facets(self, rows: Sequence[tuple[str, str, str, str, int]]) -> None:
        """What can be said: (facet, value, label, meaning, position). A value that nothing uses any more goes."""
        with self._writing():
            self.conn.executemany(
                """
                insert into facets (facet, value, label, meaning, position) values (?, ?, ?, ?, ?)
                on conflict (facet, value) do update set
                    label = excluded.label, meaning = excluded.meaning, position = excluded.position
                where (label, meaning, position) is not (excluded.label, excluded.meaning, excluded.position)
                """,
                rows,
            )
            keep = json.dumps([f"{row[0]}:{row[1]}" for row in rows])
            self.conn.execute(
                """
                delete from facets where facet || ':' || value not in (select value from json_each(:keep))
                and not exists (select 1 from tags t where t.facet = facets.facet and t.value = facets.value)
                """,
                {"keep": keep},
            )

    def _land_requests(self, run: int, source: str, asked: Sequence[Asked]) -> None:
        self.conn.executemany(
            """
            insert into requests (run, source, truncated, query, filters, spec, created_from, created_until,
                indexed_from, "offset", sort, asked_at, total, scanned, matched, reached, last_match, recent, ended, unread)
            values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            [(run, source, int(a.ended == "cut"), *astuple(a)) for a in asked],
        )

    def _land_snapshots(self, run: int, records: Sequence[Record], result: Landed) -> None:
        standing: dict[str, tuple[str | None, int]] = {}
        works: set[str] = set()
        for chunk in _chunks([r.doi for r in records]):
            rows = self.conn.execute(
                f"""
                select doi, max(digest) filter (where last_run is null), max(version) from snapshots
                where doi in ({_marks(chunk)}) group by doi
                """,  # noqa: S608
                chunk,
            )
            standing.update({doi: (digest, version) for doi, digest, version in rows})
            known = self.conn.execute(f"select doi from works where doi in ({_marks(chunk)})", chunk)  # noqa: S608
            works.update(doi for (doi,) in known)
        fresh: list[tuple[Any, ...]] = []
        closed: list[tuple[int, str]] = []
        for record in records:
            digest, version = standing.get(record.doi, (None, 0))
            if digest == record.digest:
                continue
            if digest is not None:
                closed.append((run, record.doi))
            if record.work is not None:  # one that cannot be understood is among the rejects, and no new work
                (result.changed if record.doi in works else result.new).append(record.doi)
            fresh.append((record.doi, version + 1, record.digest, record.message, run))
        self.conn.executemany("update snapshots set last_run = ? where doi = ? and last_run is null", closed)
        self.conn.executemany(
            "insert into snapshots (doi, version, digest, message, first_run) values (?, ?, ?, ?, ?)", fresh
        )
        # A new record says itself when it was indexed, and mostly how often it is cited.
        landed = {doi for doi, *_ in fresh}
        counts = [(r.doi,) for r in records if r.doi in landed and r.work is not None and r.work.cited_by is not None]
        self.conn.executemany("delete from counters where doi = ?", counts)
        self.conn.executemany(
            "update counters set indexed = null where doi = ? and indexed is not null", [(doi,) for doi in landed]
        )

    def _land_absences(self, run: int, landing: Landing, result: Landed) -> None:
        """A known work without a record at Crossref is absent from this run on; the others of `present` no longer are."""
        for doi in landing.absent:
            cursor = self.conn.execute(
                """
                insert into absences (doi, first_run) select :doi, :run
                where exists (select 1 from snapshots where doi = :doi and last_run is null)
                    and not exists (select 1 from absences where doi = :doi and last_run is null)
                on conflict (doi, first_run) do update set last_run = null
                """,
                {"doi": doi, "run": run},
            )
            result.gone += [doi] * cursor.rowcount
        for doi in landing.present:
            result.back += [doi] * self._end_absence(run, doi)

    def _end_absence(self, run: int, doi: Doi) -> int:
        cursor = self.conn.execute("update absences set last_run = ? where doi = ? and last_run is null", (run, doi))
        return cursor.rowcount

    def _show_absences(self, run: int, dois: Sequence[Doi]) -> None:
        """Bring `works.gone` of these works up to date; that a work went or came back is a change."""
        facts = self._facts(dois)
        self.conn.executemany(
            "update works set gone = :gone, changed_run = :run where doi = :doi and gone is not :gone",
            [{"doi": doi, "gone": facts[doi][1], "run": run} for doi in dois],
        )

    def _land_counters(self, run: int, counted: Sequence[Counted]) -> None:
        """Keep what was said of records that stand, where it is not what is kept already. It is no change of a work."""
        for chunk in _chunks(counted):
            said = json.dumps([list(item) for item in chunk])
            self.conn.execute(
                """
                insert into counters (doi, indexed, cited_by, first_run)
                select said.doi, said.indexed, said.cited_by, :run
                from (select json_extract(value, '$[0]') as doi, json_extract(value, '$[1]') as indexed,
                        json_extract(value, '$[2]') as cited_by from json_each(:said)) said
                left join works w on w.doi = said.doi
                where said.indexed is not null or (w.doi is not null and said.cited_by is not null
                    and said.cited_by is not w.cited_by)
                on conflict (doi) do update set first_run = excluded.first_run,
                    indexed = coalesce(excluded.indexed, indexed), cited_by = coalesce(excluded.cited_by, cited_by)
                where (coalesce(excluded.indexed, indexed), coalesce(excluded.cited_by, cited_by)) is not
                    (indexed, cited_by)
                """,
                {"said": said, "run": run},
            )
            self.conn.executemany(
                "update works set cited_by = :count where doi = :doi and cited_by is not :count",
                [{"doi": doi, "count": count} for doi, _, count in chunk if count is not None],
            )

    def _set_unread(self, records: Sequence[Record]) -> None:
        self.conn.executemany(
            """
            insert into unread (doi, reason, version) values (?, ?, ?)
            on conflict (doi) do update set reason = excluded.reason, version = excluded.version
            where (reason, version) is not (excluded.reason, excluded.version)
            """,
            [(r.doi, r.basis, __version__) for r in records if r.work is None],
        )
        self.conn.executemany("delete from unread where doi = ?", [(r.doi,) for r in records if r.work is not None])

    # ------------------------------------------------------------------ aliases

    def _end_aliases(self, run: int, records: Sequence[Record]) -> None:
        """A DOI that has a record of its own again is no alias: what the source lists led to under it, they lead to again."""
        for record in records:
            ended = self.conn.execute(
                "select doi, first_run from aliases where alias = ? and last_run is null", (record.doi,)
            ).fetchone()
            if ended is None:
                continue
            led_to, moved = ended
            self.conn.execute("update aliases set last_run = ? where alias = ?", (run, record.doi))
            self.conn.execute(
                "update sightings set last_run = null where doi = ? and last_run = ?", (record.doi, moved)
            )
            # Which works cited this DOI and which the other, their records know: they are read again.
            self.conn.execute(
                "update works set basis = '' where doi in (select doi from cites where cited = ?)", (led_to,)
            )

    def _follow_aliases(self, run: int, pairs: Sequence[tuple[Doi, Doi]], result: Landed) -> None:
        """Record the aliases, each with the DOI at the end of its way, and move what is known under them.

        An alias of a known work waits until the work it leads to can be shown: a work is never lost to a record that
        cannot be understood.
        """
        for alias, stated in pairs:
            doi = self._end_of_way(stated)
            stands = self.conn.execute(
                "select 1 from snapshots where doi = ? and last_run is null", (alias,)
            ).fetchone()
            if doi == alias or (not stands and self._end_of_way(alias) == doi):
                continue
            if stands and not self.conn.execute("select 1 from works where doi = ?", (doi,)).fetchone():
                continue
            self.conn.execute(
                """
                insert into aliases (alias, doi, first_run) values (:alias, :doi, :run)
                on conflict (alias) do update set doi = excluded.doi, first_run = excluded.first_run, last_run = null
                """,
                {"alias": alias, "doi": doi, "run": run},
            )
            self.conn.execute("update aliases set doi = ? where doi = ? and last_run is null", (doi, alias))
            self._move(run, alias, doi)
            if stands:
                self._leave(run, alias, doi)
                result.moved.append((alias, doi))

    def _end_of_way(self, doi: Doi) -> Doi:
        row = self.conn.execute("select doi from aliases where alias = ? and last_run is null", (doi,)).fetchone()
        return Doi(row[0]) if row else doi

    def _move(self, run: int, alias: Doi, doi: Doi) -> None:
        """What led to the alias leads to the work: sightings (added and closed, not rewritten), citations, links."""
        names = {"alias": alias, "doi": doi, "run": run}
        self.conn.execute(
            """
            insert into sightings (source, doi, via, rank, score, first_run)
            select source, :doi, via, rank, score, :run from sightings where doi = :alias and last_run is null
            on conflict (source, doi) do update set last_run = null where last_run is not null
            """,
            names,
        )
        self.conn.execute("update sightings set last_run = :run where doi = :alias and last_run is null", names)
        self.conn.execute(
            """
            update citations set doi = :doi,
                problem = case status when 'resolved' then 'this DOI now leads to ' || :doi
                    else replace(problem, :alias, :doi) end
            where doi = :alias and retired is null
            """,
            names,
        )
        self.conn.execute(
            "insert or ignore into cites select doi, :doi, asserted_by from cites where cited = :alias and doi <> :doi",
            names,
        )
        self.conn.execute("delete from cites where cited = :alias", names)

    def _leave(self, run: int, alias: Doi, doi: Doi) -> None:
        """The work is kept under `doi` alone: the record under the alias is closed, its history stays."""
        names = {"alias": alias, "doi": doi, "run": run}
        self.conn.execute("update snapshots set last_run = :run where doi = :alias and last_run is null", names)
        self._end_absence(run, alias)
        self._note_notices(run, alias, ())
        self.conn.execute("delete from unread where doi = :alias", names)
        self.conn.execute(
            """
            update works set changed_run = :run,
                first_run = min(first_run, coalesce((select first_run from works where doi = :alias), first_run))
            where doi = :doi
            """,
            names,
        )
        self.conn.execute(
            "update works set same_as = null, verdict = screened where doi = :doi and same_as = :alias", names
        )
        members = [member for (member,) in self.conn.execute("select doi from works where same_as = ?", (alias,))]
        self.conn.execute("update works set same_as = :doi where same_as = :alias", names)
        self._drop_work(alias)
        self._note_verdicts(run, [doi, *members])

    def _drop_work(self, doi: Doi) -> None:
        """Take one work out of the derived tables; its full text first, which is found by the row's number."""
        authors = self._authors_of([doi])
        for rowid, text in self._indexed_text([doi]).values():
            self.conn.execute(
                "insert into works_fts (works_fts, rowid, title, abstract, authors, container)"
                " values ('delete', ?, ?, ?, ?, ?)",
                (rowid, *text),
            )
        self.conn.execute("delete from works where doi = ?", (doi,))
        self._name_authors(authors)

    def _land_links(self, run: int, source: str, landing: Landing, result: Landed) -> None:
        # The rows of the statement alone: what a trigger writes beside them is not counted.
        written = self.conn.executemany(
            """
            insert into sightings (source, doi, via, rank, score, first_run) values (?, ?, ?, ?, ?, ?)
            on conflict (source, doi) do update set last_run = null where last_run is not null
            """,
            [(source, s.doi, s.via, s.rank, s.score, run) for s in landing.sightings],
        )
        result.sightings = max(written.rowcount, 0)
        written = self.conn.executemany(
            """
            insert into rejects (digest, doi, source, place, reason, message, first_run) values (?, ?, ?, ?, ?, ?, ?)
            on conflict (digest) do update set reason = excluded.reason where reason is not excluded.reason
            """,
            [(r.digest, r.doi, source, r.place, r.reason, r.message, run) for r in landing.rejects],
        )
        result.rejects = max(written.rowcount, 0)
        self.conn.executemany(
            """
            insert into citations (source, position, text, stated_doi, doi, status, problem, score, first_run)
            values (?, ?, ?, ?, ?, ?, ?, ?, ?)
            on conflict (source, position) do update set text = excluded.text, stated_doi = excluded.stated_doi,
                doi = excluded.doi, status = excluded.status, problem = excluded.problem, score = excluded.score,
                first_run = excluded.first_run, retired = null
            where (text, stated_doi, doi, status, problem, score, retired) is not (excluded.text, excluded.stated_doi,
                excluded.doi, excluded.status, excluded.problem, excluded.score, null)
            """,
            [
                (c.citation.source, c.citation.position, c.citation.text, c.citation.stated_doi, c.doi, c.status,
                 c.problem, c.score, run)
                for c in landing.citations
            ],
        )  # fmt: skip

    # ------------------------------------------------------------------ derived rows

    def _derive(self, run: int, records: Sequence[Record]) -> None:
        pairs = [(r, r.work, r.judgement) for r in records if r.work is not None and r.judgement is not None]
        dois = [r.doi for r, _, _ in pairs]
        old = self._indexed_text(dois)
        facts = self._facts(dois)
        rows = [_work_row(run, r, work, judgement, *facts[r.doi]) for r, work, judgement in pairs]
        new_text = {row["doi"]: (row["title"], row["abstract"], row["authors"], row["container"]) for row in rows}
        stale = [(rowid, *text) for doi, (rowid, text) in old.items() if new_text[doi] != text]
        self.conn.executemany(
            "insert into works_fts (works_fts, rowid, title, abstract, authors, container)"
            " values ('delete', ?, ?, ?, ?, ?)",
            stale,
        )
        self.conn.executemany(_UPSERT_WORK, rows)
        self._replace_children(pairs, {doi for doi in dois if doi in old})
        self._index_text([doi for doi in dois if doi not in old or new_text[doi] != old[doi][1]])

    def _facts(self, dois: Sequence[Doi]) -> dict[Doi, tuple[int | None, str | None]]:
        """Of each work: how often it is cited, where Crossref has counted since its record landed (else None), and the day
        since which Crossref has no record of it (None: it has)."""
        counts: dict[str, int | None] = {}
        gone: dict[str, str] = {}
        for chunk in _chunks(dois):
            marks = _marks(chunk)
            counts.update(self.conn.execute(f"select doi, cited_by from counters where doi in ({marks})", chunk))  # noqa: S608
            rows = self.conn.execute(
                f"""
                select a.doi, substr(r.started, 1, 10) from absences a join runs r on r.run = a.first_run
                where a.last_run is null and a.doi in ({marks})
                """,  # noqa: S608
                chunk,
            )
            gone.update(rows)
        return {doi: (counts.get(doi), gone.get(doi)) for doi in dois}

    def _indexed_text(self, dois: Sequence[Doi]) -> dict[str, tuple[int, tuple[Any, ...]]]:
        found: dict[str, tuple[int, tuple[Any, ...]]] = {}
        for chunk in _chunks(dois):
            rows = self.conn.execute(
                f"select doi, rowid, title, abstract, authors, container from works where doi in ({_marks(chunk)})",  # noqa: S608
                chunk,
            )
            found.update({doi: (rowid, tuple(text)) for doi, rowid, *text in rows})
        return found

    def _index_text(self, dois: Sequence[Doi]) -> None:
        for chunk in _chunks(dois):
            self.conn.execute(
                f"""
                insert into works_fts (rowid, title, abstract, authors, container)
                select rowid, title, abstract, authors, container from works where doi in ({_marks(chunk)})
                """,  # noqa: S608
                chunk,
            )

    def _replace_children(self, pairs: Sequence[tuple[Record, Work, Judgement]], known: set[Doi]) -> None:
        again = [(doi,) for doi in sorted(known)]
        touched = self._authors_of(sorted(known))
        moved = dict(self.conn.execute("select alias, doi from aliases where last_run is null").fetchall())
        for table in ("work_authors", "funders", "licences", "relations", "cites", "tags", "reasons"):
            self.conn.executemany(f"delete from {table} where doi = ?", again)  # noqa: S608 - our own table names
        self.conn.executemany("delete from updates where said_by = ?", again)
        authors: list[tuple[Any, ...]] = []
        credited_as: list[tuple[Any, ...]] = []
        updates: list[tuple[Any, ...]] = []
        funders: list[tuple[Any, ...]] = []
        licences: list[tuple[Any, ...]] = []
        relations: list[tuple[Any, ...]] = []
        cites: list[tuple[Any, ...]] = []
        tags: list[tuple[Any, ...]] = []
        reasons: list[tuple[Any, ...]] = []
        for record, work, judgement in pairs:
            doi = record.doi
            for position, author in enumerate(work.authors, start=1):
                credited = author.name or ", ".join(p for p in (author.family, author.given) if p)
                key = author.orcid or credited
                kind = "group" if author.name else "person"
                authors.append((key, credited, author.family, author.given, author.orcid, kind))
                credited_as.append(
                    (doi, position, key, credited, author.family, author.given, author.role, author.affiliation,
                     author.suffix, author.orcid)
                )  # fmt: skip
            funders += [
                (doi, n, f.name, f.doi, json.dumps(f.awards, ensure_ascii=False)) for n, f in enumerate(work.funders, 1)
            ]
            licences += [
                (doi, n, licence.url, licence.version, licence.starts, licence.delay_days)
                for n, licence in enumerate(work.licences, 1)
            ]
            updates += [
                (doi, about, n.kind, n.notice_doi or doi, n.issued, n.source, n.evidence)
                for about, n in [*((doi, notice) for notice in work.notices), *work.updates]
            ]
            relations += [(doi, r.kind, r.other, r.asserted_by) for r in work.relations]
            cites += _cited(work, moved)
            tags += [(doi, t.facet, t.value, t.decided) for t in judgement.tags]
            reasons += [
                (doi, "verdict", judgement.verdict, m.rule, m.field, m.start, m.stop, m.quote)
                for m in judgement.matches
            ]
            reasons += [
                (doi, t.facet, t.value, m.rule, m.field, m.start, m.stop, m.quote)
                for t in judgement.tags
                for m in t.matches
            ]
        run_many = self.conn.executemany
        # Placeholders, for `work_authors` leads to them; what they are called is settled when all rows stand.
        run_many("insert or ignore into authors values (?, ?, ?, ?, ?, ?)", authors)
        run_many("insert into work_authors values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", credited_as)
        run_many("insert into funders values (?, ?, ?, ?, ?)", funders)
        run_many("insert into licences values (?, ?, ?, ?, ?, ?)", licences)
        run_many("insert into updates values (?, ?, ?, ?, ?, ?, ?)", updates)
        run_many("insert or ignore into relations values (?, ?, ?, ?)", relations)
        run_many(
            "insert into cites values (?, ?, ?)", sorted(cites)
        )  # in the order of the key: fewer pages are touched
        run_many("insert into tags values (?, ?, ?, ?)", tags)
        run_many("insert or ignore into reasons values (?, ?, ?, ?, ?, ?, ?, ?)", reasons)
        self._name_authors(touched | {row[0] for row in authors})

    def _authors_of(self, dois: Sequence[str]) -> set[str]:
        found: set[str] = set()
        for chunk in _chunks(dois):
            sql = f"select distinct author from work_authors where doi in ({_marks(chunk)})"  # noqa: S608
            found.update(author for (author,) in self.conn.execute(sql, chunk))
        return found

    def _name_authors(self, touched: Collection[str]) -> None:
        """Name these authors by the works that stand, and drop those that no work names any more."""
        keys = {"touched": json.dumps(sorted(touched), ensure_ascii=False)}
        self.conn.execute(_NAME_AUTHORS, keys)
        self.conn.execute(
            """
            delete from authors where author in (select value from json_each(:touched))
                and not exists (select 1 from work_authors w where w.author = authors.author)
            """,
            keys,
        )

    def set_duplicates(
        self, run: int, pairs: Sequence[tuple[str, str, str, str, str]], same_as: Mapping[str, str]
    ) -> int:
        """The whole of what is known of duplicates: pairs (doi, other, verdict, decided, reason) with doi < other, and which
        record stands for which. A record that another stands for is a `duplicate`; one that no longer is gets back what
        screening said of it. Notices follow the clusters. Returns how many works changed."""
        with self._writing():
            before = dict(self.conn.execute("select doi, same_as from works where same_as is not null").fetchall())
            moved = {doi for doi in before.keys() | same_as.keys() if before.get(doi) != same_as.get(doi)}
            touched = self._tied([*moved, *(before[doi] for doi in moved if doi in before)])
            keep = json.dumps([[pair[0], pair[1]] for pair in pairs])
            self.conn.execute(
                """
                delete from duplicates where (doi, other) not in
                    (select json_extract(value, '$[0]'), json_extract(value, '$[1]') from json_each(:keep))
                """,
                {"keep": keep},
            )
            self.conn.executemany(
                """
                insert into duplicates (doi, other, verdict, decided, reason) values (?, ?, ?, ?, ?)
                on conflict (doi, other) do update set
                    verdict = excluded.verdict, decided = excluded.decided, reason = excluded.reason
                where (verdict, decided, reason) is not (excluded.verdict, excluded.decided, excluded.reason)
                """,
                pairs,
            )
            self.conn.execute("create temp table standing (doi text primary key, same_as text not null) without rowid")
            self.conn.executemany("insert into standing values (?, ?)", sorted(same_as.items()))
            cursor = self.conn.execute(
                """
                update works set same_as = s.same_as, verdict = case when s.same_as is null then screened else 'duplicate' end
                from (select w.doi, t.same_as from works w left join standing t on t.doi = w.doi) s
                where s.doi = works.doi and (works.same_as, works.verdict) is not
                    (s.same_as, case when s.same_as is null then works.screened else 'duplicate' end)
                returning doi
                """
            )
            changed = [doi for (doi,) in cursor]
            self.conn.execute("drop table standing")
            self._derive_notices(run, touched)
            self._note_verdicts(run, changed)
            return len(changed)

    def _note_verdicts(self, run: int, dois: Sequence[str]) -> None:
        """Note in `verdict_history` what now stands of these records, where that is not what was last noted. Called in the
        transaction that may have changed it. A run notes at most one verdict of a work, its last."""
        values = {"run": run, "dois": json.dumps(dois)}
        for sql in _NOTE_VERDICTS:
            self.conn.execute(sql, values)

    # ------------------------------------------------------------------ notices

    def _derive_notices(self, run: int, touched: Iterable[str]) -> None:
        """Bring the notices of these works, and of all that hang together with them, to what the records say now.

        Call it inside the transaction that changed records, aliases, relations or clusters, with the DOIs they touched
        before (`_tied`) and after. Whatever order things came in, the result is the same.
        """
        dois = self._tied(touched)
        world = self._world(dois)
        found = standing.shown(world) if world.said else {}
        held: dict[str, set[tuple[Any, ...]]] = {}
        for row in self._each("select n.* from {j} join notices n on n.doi = j.value", dois):
            held.setdefault(row[0], set()).add(row)
        gravest: list[tuple[Any, ...]] = []
        for doi in found.keys() | held.keys():
            rows = found.get(doi, [])
            wanted = {(*astuple(row)[:-1], int(row.undone)) for row in rows}
            if wanted != held.get(doi, set()):
                self.conn.execute("delete from notices where doi = ?", (doi,))
                self.conn.executemany(
                    f"insert into notices ({_NOTICE_COLUMNS}) values (?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
                    sorted(wanted, key=repr),
                )
                self._note_notices(run, doi, wanted)
            gravest.append((kind := standing.gravest(rows), run, doi, kind))
        self.conn.executemany("update works set notice = ?, changed_run = ? where doi = ? and notice is not ?", gravest)
        # A record that another shows to be a notice, or no notice, was judged as something else: it is judged again.
        taken = [(text := _notice_text(of), doi, text) for doi, of in standing.decided(world).items()]
        self.conn.executemany("update works set notice_of = ?, basis = '' where doi = ? and notice_of is not ?", taken)

    def _note_notices(self, run: int, doi: str, wanted: Collection[tuple[Any, ...]]) -> None:
        """Note in `notice_history` which notices stand on this work now; a run notes at most what stood at its end."""
        self.conn.execute("delete from notice_history where doi = ? and first_run = ?", (doi, run))
        self.conn.execute("update notice_history set last_run = null where doi = ? and last_run = ?", (doi, run))
        sql = f"select {_NOTICE_COLUMNS} from notice_history where doi = ? and last_run is null"  # noqa: S608
        noted = set(self.conn.execute(sql, (doi,)))
        self.conn.executemany(
            "update notice_history set last_run = ? where (doi, kind, notice_doi) = (?, ?, ?) and last_run is null",
            [(run, *row[:3]) for row in noted - set(wanted)],
        )
        self.conn.executemany(
            f"insert into notice_history ({_NOTICE_COLUMNS}, first_run) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
            [(*row, run) for row in sorted(set(wanted) - noted, key=repr)],
        )

    def _tied(self, dois: Iterable[str]) -> list[str]:
        """These DOIs and all that notices can reach from them: by alias, cluster, statement, or as preprint and article."""
        found: set[str] = set()
        new = set(dois)
        while new:
            found |= new
            new = {doi for (doi,) in self._each(_TIES, sorted(new))} - found
        return sorted(found)

    def _world(self, dois: Sequence[str]) -> standing.World:
        """What the database knows of these DOIs, which are all that hang together."""
        said, silent = [], set()
        for *row, stands in self._each(
            """
            select u.said_by, u.doi, u.kind, u.notice_doi, u.issued, u.source, u.evidence,
                exists (select 1 from snapshots s where s.doi = u.said_by and s.last_run is null)
                    and not exists (select 1 from absences a where a.doi = u.said_by and a.last_run is null)
            from {j} join updates u on u.said_by = j.value
            """,
            dois,
        ):
            said.append(standing.Said(*row))
            if not stands:
                silent.add(row[0])
        if not said:
            return standing.World({}, (), {}, ())
        works = {}
        for doi, title, kind, issued, same_as, notice_of in self._each(
            "select doi, title, kind, issued, same_as, notice_of from {j} join works on doi = j.value", dois
        ):
            what, _, about = (notice_of or "").partition(":")
            works[doi] = standing.Facts(doi, title, kind, issued, same_as, ((what, about or None),) if what else ())
        aliases = dict(
            self._each("select alias, doi from {j} join aliases on alias = j.value where last_run is null", dois)
        )
        preprints = {
            (doi, other) if kind == PREPRINT[0] else (other, doi)
            for doi, kind, other in self._each(
                f"select doi, kind, other from {{j}} join relations on doi = j.value where kind in {PREPRINT}",  # noqa: S608
                dois,
            )
        }
        return standing.World(works, said, aliases, preprints, silent)

    def _each(self, sql: str, dois: Sequence[str]) -> list[tuple[Any, ...]]:
        """The rows of a query whose `{j} join` begins at these DOIs, `j.value` being one."""
        # Without `cross`, SQLite may look at a whole table for each page that lands.
        sql = sql.replace("{j} join", "json_each(:dois) j cross join")
        return self.conn.execute(sql, {"dois": json.dumps(list(dois))}).fetchall()

    # ------------------------------------------------------------------ people's decisions

    def decide(self, decisions: Sequence[Decision]) -> None:
        """Append to the ledger; nothing there is ever changed or removed."""
        with self._guarded(self.ledger_path), self._ledger.atomic():
            self._ledger.conn.executemany(_INSERT_DECISION, map(_decision_row, decisions))

    def decisions(self) -> tuple[Decision, ...]:
        """The whole ledger, oldest first."""
        rows = self._ledger.conn.execute(
            """
            select doi, action, verdict, facet, value, reason, reviewer, made_at, rules, record, rule_said, seen
            from decisions order by decision
            """
        )
        return tuple(replace(Decision(*row[:-1]), seen=tuple(json.loads(row[-1]))) for row in rows)

    def unshown(self) -> list[Doi]:
        """The works of words that `evidence.db` does not show yet, or shows and should not (`show_decisions`), in order; pairs
        are not among them, but for those that have become one record. A ledger that was restored gives its numbers anew, so
        the words themselves are compared."""
        kept, shown = self._words()
        moved = self._moved()
        return sorted(
            {
                Doi(doi)
                for _, doi, _, _, facet, value, *_ in kept ^ shown
                if facet != SAME_WORK or moved.get(value, value) == moved.get(doi, doi)
            }
        )

    def show_decisions(self) -> int:
        """Copy the ledger to `decisions` in `evidence.db`, for readers; returns how many rows that changed. The digests,
        which no reader needs, stay where they are; a word on a DOI that leads to another is shown at the work it is about."""
        kept, shown = self._words()
        if kept != shown:
            with self._writing():
                gone = [(row[0],) for row in shown - kept]
                self.conn.executemany("delete from decisions where decision = ?", gone)
                marks = _marks(_SHOWN.split(", "))
                insert = f"insert into decisions ({_SHOWN}) values ({marks})"  # noqa: S608
                self.conn.executemany(insert, sorted(kept - shown))
        return len(kept ^ shown)

    def _moved(self) -> dict[str, str]:
        return dict(self.conn.execute("select alias, doi from aliases where last_run is null").fetchall())

    def _words(self) -> tuple[set[tuple[Any, ...]], set[tuple[Any, ...]]]:
        """The rows of `decisions` as the ledger has them, and as `evidence.db` shows them."""
        said = _SHOWN.partition(", ")[2]
        # A decision that was stored twice (merged from two copies) is shown once.
        each = f"select min(decision), {said} from decisions group by {said}, rules, record order by 1"  # noqa: S608
        select = f"select {_SHOWN} from decisions order by decision"  # noqa: S608 - our own column names
        moved = self._moved()
        kept = {(number, moved.get(doi, doi), *rest) for number, doi, *rest in self._ledger.conn.execute(each)}
        return kept, set(self.conn.execute(select))

    # ------------------------------------------------------------------ inside

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._guarded(self.path), self._db.atomic():
            yield

    @contextmanager
    def _guarded(self, path: Path) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise connection.explained(path, error) from error


_DIFFERS = """
    select u.doi from unannounced u left join works w on w.doi = u.doi left join announced a on a.doi = u.doi
    where w.doi is null or a.doi is null
        or (coalesce(w.content, a.content), w.verdict, w.same_as, w.gone, iif(w.verdict <> 'duplicate', w.conflict, null))
            is not (a.content, a.verdict, a.same_as, a.gone, a.conflict)
        or a.tags <> (select json_group_array(tag) from (
            select facet || ':' || value as tag from tags t where t.doi = u.doi order by 1))
        or a.notices <> iif(w.verdict in ('include', 'unsure'), (
            select json_group_array(json_array(kind, notice_doi, stands_on, relation)) from (
                select * from notices n where n.doi = u.doi and n.undone = 0 order by kind, notice_doi)), '[]')
"""
"""Of the works that were written, those that are not as announced: most of what is judged again is as it was. One too many costs
time and no more, for `news` compares them once more."""

_ANNOUNCE = """
    insert into announced (doi, verdict, content, same_as, notices, gone, conflict, tags) values (?, ?, ?, ?, ?, ?, ?, ?)
    on conflict (doi) do update set verdict = excluded.verdict, content = coalesce(excluded.content, content),
        same_as = excluded.same_as, notices = excluded.notices, gone = excluded.gone, conflict = excluded.conflict,
        tags = excluded.tags
    where (verdict, content, same_as, notices, gone, conflict, tags) is not (excluded.verdict, excluded.content,
        excluded.same_as, excluded.notices, excluded.gone, excluded.conflict, excluded.tags)
"""

_STANDING = "verdict, decided, why, same_as, conflict"
_STANDS = """
    with stands as (
        select doi, verdict, decided, case when verdict = 'exclude' and decided = 'rule' then why end as why, same_as,
            conflict is not null as conflict
        from works where doi in (select value from json_each(:dois))
        union all
        select s.doi, 'not-understood', 'rule', null, null, 0
        from snapshots s where s.last_run is null and s.doi in (select value from json_each(:dois))
            and not exists (select 1 from works w where w.doi = s.doi)
        union all
        select a.alias, 'alias', 'rule', null, null, 0
        from aliases a where a.last_run is null and a.alias in (select value from json_each(:dois))
            and exists (select 1 from snapshots s where s.doi = a.alias)
            and not exists (select 1 from works w where w.doi = a.alias)
    )
"""
# The plus keeps SQLite on the primary key: there are more rows of one run than of a few works.
_NOTE_VERDICTS = (
    "delete from verdict_history where +first_run = :run and doi in (select value from json_each(:dois))",
    "update verdict_history set last_run = null where +last_run = :run and doi in (select value from json_each(:dois))",
    f"""
    {_STANDS} update verdict_history set last_run = :run
    where +last_run is null and doi in (select value from json_each(:dois)) and not exists (
        select 1 from stands s where s.doi = verdict_history.doi
            and (s.verdict, s.decided, s.why, s.same_as, s.conflict) is
                (verdict_history.verdict, verdict_history.decided, verdict_history.why, verdict_history.same_as,
                verdict_history.conflict))
    """,  # noqa: S608 - our own column names, here and below
    f"""
    {_STANDS} insert into verdict_history (doi, {_STANDING}, first_run)
    select doi, {_STANDING}, :run from stands s
    where not exists (select 1 from verdict_history h where h.doi = s.doi and +h.last_run is null)
    """,  # noqa: S608
)
"""Forget what this same run noted earlier, close what no longer stands, and add what stands."""

_NOTE_SOURCES = (
    "delete from source_history where first_run = :run",
    "update source_history set last_run = null where last_run = :run",
    """
    update source_history set last_run = :run where last_run is null and not exists (
        select 1 from sources o where o.source = source_history.source and (o.kind, o.label, o.retired is not null) is
            (source_history.kind, source_history.label, source_history.retired))
    """,
    """
    insert into source_history (source, first_run, kind, label, retired)
    select source, :run, kind, label, retired is not null from sources o
    where not exists (select 1 from source_history h where h.source = o.source and h.last_run is null)
    """,
)
"""As `_NOTE_VERDICTS`, of all sources: they are few."""

_WORK_COLUMNS = tuple(
    """
    title abstract authors container issued year kind verdict screened decided why judged_on conflict notice_of language
    publisher volume issue pages issn registrations url gone
    subtitle original_title short_title edition isbn article_number short_container publisher_place institution
    event event_place event_dates published_print published_online licence content cited_by basis
    """.split()  # noqa: SIM905 - one list to read beside the DDL
)

_SAID = _WORK_COLUMNS[: _WORK_COLUMNS.index("gone") + 1]
"""What counts as a change of a work: neither `cited_by` nor `basis` (a work that is cited once more, or judged again to the
same words, has not changed) nor what is kept for readers and exports alone (an upgrade that fills it would be news of every
work). A `content` that was not known before is no change either."""

_NOTICE_COLUMNS = "doi, kind, notice_doi, stands_on, relation, issued, source, evidence, undone"

_TIES = f"""
    select a.doi from {{j}} join aliases a on a.alias = j.value where a.last_run is null
    union select a.alias from {{j}} join aliases a on a.doi = j.value where a.last_run is null
    union select w.same_as from {{j}} join works w on w.doi = j.value where w.same_as is not null
    union select w.doi from {{j}} join works w on w.same_as = j.value
    union select u.doi from {{j}} join updates u on u.said_by = j.value
    union select u.notice_doi from {{j}} join updates u on u.said_by = j.value
    union select u.said_by from {{j}} join updates u on u.doi = j.value
    union select u.said_by from {{j}} join updates u on u.notice_doi = j.value
    union select r.other from {{j}} join relations r on r.doi = j.value where r.kind in {PREPRINT}
    union select r.doi from {{j}} join relations r on r.other = j.value where r.kind in {PREPRINT}
"""  # noqa: S608 - built from our own words

_UPSERT_WORK = f"""
    insert into works (doi, {", ".join(_WORK_COLUMNS)}, first_run, changed_run)
    values (:doi, {", ".join(":" + c for c in _WORK_COLUMNS)}, :run, :run)
    on conflict (doi) do update set {", ".join(f"{c} = excluded.{c}" for c in _WORK_COLUMNS)},
        changed_run = case when ({", ".join(_SAID)}, coalesce(content, excluded.content)) is
            ({", ".join("excluded." + c for c in _SAID)}, excluded.content) then changed_run else excluded.changed_run end
    where ({", ".join(_WORK_COLUMNS)}) is not ({", ".join("excluded." + c for c in _WORK_COLUMNS)})
"""  # noqa: S608 - built from our own column names

# The fullest name of those that the standing records give, then the alphabet: in which order they landed must not matter.
_NAME_AUTHORS = """
    insert into authors (author, name, family, given, orcid, kind)
    select author, credited, family, given,
        case when author glob '[0-9][0-9][0-9][0-9]-[0-9][0-9][0-9][0-9]-[0-9][0-9][0-9][0-9]-[0-9][0-9][0-9][0-9X]'
            then author end,
        case when family is null and given is null then 'group' else 'person' end
    from (
        select author, credited, family, given,
            row_number() over (partition by author order by length(credited) desc, credited, family, given) as place
        from work_authors where author in (select value from json_each(:touched))
    ) where place = 1
    on conflict (author) do update set name = excluded.name, family = excluded.family, given = excluded.given,
        orcid = excluded.orcid, kind = excluded.kind
    where (name, family, given, orcid, kind) is not
        (excluded.name, excluded.family, excluded.given, excluded.orcid, excluded.kind)
"""


def _announced_row(doi: str, state: change_log.State) -> tuple[Any, ...]:
    return (
        doi,
        state.verdict,
        state.content,
        state.same_as,
        json.dumps(state.notices, ensure_ascii=False, separators=(",", ":")),
        state.gone,
        state.conflict,
        json.dumps(state.tags, ensure_ascii=False, separators=(",", ":")),
    )


def _cited(work: Work, moved: Mapping[str, str]) -> list[tuple[str, str, str | None]]:
    """The rows of `cites`, under the DOIs that the cited works are kept under."""
    direct = {cited: asserted_by for cited, asserted_by in work.cites if cited not in moved}
    led = {moved[cited]: asserted_by for cited, asserted_by in reversed(work.cites) if cited in moved}
    return [(work.doi, cited, asserted_by) for cited, asserted_by in (led | direct).items() if cited != work.doi]


def _work_row(
    run: int, record: Record, work: Work, judgement: Judgement, counted: int | None, gone: str | None
) -> dict[str, Any]:
    return {
        "doi": record.doi,
        "run": run,
        "verdict": judgement.verdict,
        "screened": judgement.verdict,
        "decided": judgement.decided,
        "why": judgement.why,
        "judged_on": judgement.judged_on,
        "conflict": judgement.conflict,
        "notice_of": _notice_text(work.notice_of),
        "gone": gone,
        **content(work),  # its count too, which a later one replaces
        "cited_by": work.cited_by if counted is None else counted,
        "basis": record.basis,
    }


def content(work: Work) -> dict[str, Any]:
    """The columns of `works` that say what the record says, as the rows of `works` and of exports have them."""
    return {
        "title": work.title,
        "abstract": work.abstract,
        "authors": cite_authors(work.authors),
        "container": work.container,
        "issued": work.issued,
        "year": work.year,
        "kind": work.kind,
        "language": work.language,
        "publisher": work.publisher,
        "volume": work.volume,
        "issue": work.issue,
        "pages": work.pages,
        "issn": "; ".join(work.issn) or None,
        "registrations": "; ".join(work.registrations) or None,
        "url": work.url,
        "cited_by": work.cited_by,
        "isbn": "; ".join(work.isbn) or None,
        "event": work.event.name if work.event else None,
        "event_place": work.event.place if work.event else None,
        "event_dates": work.event.dates if work.event else None,
        "licence": _licence_of(work),
        "content": change_log.content_digest(work),
        **{name: getattr(work, name) for name in _KEPT},
    }


_KEPT = (
    "subtitle",
    "original_title",
    "short_title",
    "edition",
    "article_number",
    "short_container",
    "publisher_place",
    "institution",
    "published_print",
    "published_online",
)
"""Columns of `works` that hold a field of the Work as it is."""

_READABLE = ("vor", "unspecified", "am")


def _licence_of(work: Work) -> str | None:
    """The address of the licence a reader wants: that of the version of record first, the one that began last; a licence for
    text mining alone is none."""
    for version in _READABLE:
        found = [licence for licence in work.licences if (licence.version or "unspecified") == version]
        if found:
            return max(found, key=lambda licence: licence.starts or "").url
    return None


def _decision_row(decision: Decision) -> tuple[Any, ...]:
    return (*astuple(decision)[:-1], json.dumps(decision.seen))


def _notice_text(notice_of: Sequence[tuple[str, str | None]]) -> str | None:
    """How `works.notice_of` says what a record is a notice of: `retraction:10.1000/x`; `retraction:` where that is unknown."""
    return f"{notice_of[0][0]}:{notice_of[0][1] or ''}" if notice_of else None


def _chunks(items: Sequence[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(items), _SQL_VARIABLES):
        yield list(items[start : start + _SQL_VARIABLES])


def _marks(items: Sequence[Any]) -> str:
    return ", ".join("?" * len(items))
