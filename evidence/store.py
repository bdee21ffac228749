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
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from evidence import schema
from evidence.errors import StoreError
from evidence.model import Decision, Doi, Judgement, Resolution, Work
from evidence.normalise import cite_authors

NOTICE_GRAVITY = (
    "retraction",
    "partial-retraction",
    "withdrawal",
    "removal",
    "expression-of-concern",
    "reinstatement",
    "correction",
    "corrigendum",
    "erratum",
)
"""Kinds of notices worth a banner, gravest first; `works.notice` holds the gravest. Others are only listed."""

REINSTATEMENT = "reinstatement"
_UNDONE = frozenset({"retraction", "partial-retraction", "withdrawal", "removal", "expression-of-concern"})

_SQL_VARIABLES = 500
"""Values bound in one `in (…)`: below SQLite's oldest limit of 999."""

_BUSY_SECONDS = 30.0

_CACHE_KIB, _LOG_PAGES = 65_536, 32_000
"""A harvest comes back to the same index pages with every page it lands: kept in memory, and written back less often."""


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
    """One search as run, for PRISMA-S."""

    query: str
    filters: str
    window_by: str | None
    since: str | None
    until: str | None
    asked_at: str
    total: int
    scanned: int
    matched: int
    truncated: bool


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
    """All that one page brought: it lands in one transaction, whole or not at all."""

    records: Sequence[Record] = ()
    sightings: Sequence[Sighting] = ()
    aliases: Sequence[tuple[Doi, Doi]] = ()
    rejects: Sequence[Reject] = ()
    citations: Sequence[Resolution] = ()
    asked: Sequence[Asked] = ()


@dataclass(slots=True)
class Landed:
    """What a landing changed: DOIs of works that are new, whose record changed, and how many sightings were new."""

    new: list[Doi] = field(default_factory=list)
    changed: list[Doi] = field(default_factory=list)
    sightings: int = 0
    rejects: int = 0

    def __iadd__(self, other: Landed) -> Landed:
        """Add up the pages of a run."""
        self.new += other.new
        self.changed += other.changed
        self.sightings += other.sightings
        self.rejects += other.rejects
        return self


@dataclass(frozen=True, slots=True)
class SourceState:
    """What the database knows of a source: its bookmark (None: not yet harvested whole), and the warning on it."""

    bookmark: str | None
    warning: str | None


def open_store(path: Path, decisions: Path | None = None) -> Store:
    """Open (or make) both databases for writing, migrated; StoreError when one is not ours, newer, damaged or read-only."""
    ledger = decisions or path.with_name("decisions.db")
    return Store(_open(path, schema.evidence), _open(ledger, schema.decisions), path, ledger)


class Store:
    """Both databases, open for writing. Use `open_store`; close it, or use it in a `with`."""

    def __init__(self, db: Database, ledger: Database, path: Path, ledger_path: Path) -> None:
        self._db, self._ledger = db, ledger
        self.path, self.ledger_path = path, ledger_path

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close both files."""
        self._db.close()
        self._ledger.close()

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

    def finish_run(self, run: int, outcome: str, counts: dict[str, Any], now: str) -> None:
        """Close a run with its outcome and counts."""
        with self._writing():
            self.conn.execute(
                "update runs set finished = :now, outcome = :outcome, counts = :counts where run = :run",
                {"now": now, "outcome": outcome, "counts": json.dumps(counts, ensure_ascii=False), "run": run},
            )

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
        rows = self.conn.execute("select source, bookmark, warning from sources").fetchall()
        return {source: SourceState(bookmark, warning) for source, bookmark, warning in rows}

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
            self._land_requests(run, source, landing.asked)
            self._land_snapshots(run, landing.records, result)
            self._derive(run, [r for r in landing.records if r.work is not None])
            self._land_links(run, source, landing, result)
        return result

    def rejudge(self, run: int, records: Sequence[Record]) -> None:
        """Replace the derived rows of works whose records did not change."""
        with self._writing():
            self._derive(run, records)

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
            insert into requests (run, source, query, filters, window_by, since, until, asked_at, total, scanned,
                matched, truncated) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            [
                (run, source, a.query, a.filters, a.window_by, a.since, a.until, a.asked_at, a.total, a.scanned,
                 a.matched, int(a.truncated))
                for a in asked
            ],
        )  # fmt: skip

    def _land_snapshots(self, run: int, records: Sequence[Record], result: Landed) -> None:
        standing: dict[str, tuple[str, int]] = {}
        for chunk in _chunks([r.doi for r in records]):
            rows = self.conn.execute(
                f"select doi, digest, version from snapshots where last_run is null and doi in ({_marks(chunk)})",  # noqa: S608
                chunk,
            )
            standing.update({doi: (digest, version) for doi, digest, version in rows})
        fresh: list[tuple[Any, ...]] = []
        closed: list[tuple[int, str]] = []
        for record in records:
            digest, version = standing.get(record.doi, ("", 0))
            if digest == record.digest:
                continue
            if version:
                closed.append((run, record.doi))
                result.changed.append(record.doi)
            else:
                result.new.append(record.doi)
            fresh.append((record.doi, version + 1, record.digest, record.message, run))
        self.conn.executemany("update snapshots set last_run = ? where doi = ? and last_run is null", closed)
        self.conn.executemany(
            "insert into snapshots (doi, version, digest, message, first_run) values (?, ?, ?, ?, ?)", fresh
        )

    def _land_links(self, run: int, source: str, landing: Landing, result: Landed) -> None:
        self.conn.executemany(
            """
            insert into aliases (alias, doi, first_run) values (?, ?, ?)
            on conflict (alias) do update set doi = excluded.doi, first_run = excluded.first_run
            where doi is not excluded.doi
            """,
            [(alias, doi, run) for alias, doi in landing.aliases],
        )
        before = self.conn.total_changes
        self.conn.executemany(
            """
            insert into sightings (source, doi, via, rank, score, first_run) values (?, ?, ?, ?, ?, ?)
            on conflict (source, doi) do update set last_run = null where last_run is not null
            """,
            [(source, s.doi, s.via, s.rank, s.score, run) for s in landing.sightings],
        )
        result.sightings = self.conn.total_changes - before
        before = self.conn.total_changes
        self.conn.executemany(
            """
            insert into rejects (digest, doi, source, place, reason, message, first_run) values (?, ?, ?, ?, ?, ?, ?)
            on conflict (digest) do update set reason = excluded.reason where reason is not excluded.reason
            """,
            [(r.digest, r.doi, source, r.place, r.reason, r.message, run) for r in landing.rejects],
        )
        result.rejects = self.conn.total_changes - before
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
        rows = [_work_row(run, r, work, judgement) for r, work, judgement in pairs]
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
        for table in ("work_authors", "notices", "relations", "cites", "tags", "reasons"):
            self.conn.executemany(f"delete from {table} where doi = ?", again)  # noqa: S608 - our own table names
        authors: list[tuple[Any, ...]] = []
        credited_as: list[tuple[Any, ...]] = []
        notices: list[tuple[Any, ...]] = []
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
                    (doi, position, key, credited, author.family, author.given, author.role, author.affiliation)
                )
            notices += [(doi, n.kind, n.notice_doi or doi, n.issued, n.source, n.evidence) for n in work.notices]
            relations += [(doi, r.kind, r.other, r.asserted_by) for r in work.relations]
            cites += [(doi, cited, asserted_by) for cited, asserted_by in work.cites if cited != doi]
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
        run_many(_UPSERT_AUTHOR, authors)
        run_many("insert into work_authors values (?, ?, ?, ?, ?, ?, ?, ?)", credited_as)
        run_many("insert or ignore into notices values (?, ?, ?, ?, ?, ?)", notices)
        run_many("insert or ignore into relations values (?, ?, ?, ?)", relations)
        run_many(
            "insert into cites values (?, ?, ?)", sorted(cites)
        )  # in the order of the key: fewer pages are touched
        run_many("insert into tags values (?, ?, ?, ?)", tags)
        run_many("insert or ignore into reasons values (?, ?, ?, ?, ?, ?, ?, ?)", reasons)
        if known:
            self.conn.execute("delete from authors where author not in (select author from work_authors)")

    def set_duplicates(self, pairs: Sequence[tuple[str, str, str, str, str]], same_as: Mapping[str, str]) -> int:
        """The whole of what is known of duplicates: pairs (doi, other, verdict, decided, reason) with doi < other, and which
        record stands for which. A record that another stands for is a `duplicate`; one that no longer is gets back what
        screening said of it. Returns how many works changed."""
        with self._writing():
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
                """
            )
            changed = cursor.rowcount
            self.conn.execute("drop table standing")
            return changed

    # ------------------------------------------------------------------ people's decisions

    def decide(self, decisions: Sequence[Decision]) -> None:
        """Append to the ledger; nothing there is ever changed or removed."""
        with self._guarded(self.ledger_path), self._ledger.atomic():
            self._ledger.conn.executemany(
                """
                insert into decisions
                    (doi, action, verdict, facet, value, reason, reviewer, made_at, rules, record, rule_said)
                values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """,
                [astuple(decision) for decision in decisions],
            )

    def decisions(self) -> tuple[Decision, ...]:
        """The whole ledger, oldest first."""
        rows = self._ledger.conn.execute(
            """
            select doi, action, verdict, facet, value, reason, reviewer, made_at, rules, record, rule_said
            from decisions order by decision
            """
        )
        return tuple(Decision(*row) for row in rows)

    def show_decisions(self) -> int:
        """Copy the ledger to `decisions` in `evidence.db`, for readers; returns how many rows that changed. The digests,
        which no reader needs, stay where they are."""
        columns = "decision, doi, action, verdict, facet, value, reason, reviewer, made_at, rule_said"
        select = f"select {columns} from decisions order by decision"  # noqa: S608 - our own column names
        kept, shown = set(self._ledger.conn.execute(select)), set(self.conn.execute(select))
        if kept != shown:
            with self._writing():
                gone = [(row[0],) for row in shown - kept]
                self.conn.executemany("delete from decisions where decision = ?", gone)
                marks = _marks(columns.split(", "))
                insert = f"insert into decisions ({columns}) values ({marks})"  # noqa: S608
                self.conn.executemany(insert, sorted(kept - shown))
        return len(kept ^ shown)

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
            raise _explained(path, error) from error


_WORK_COLUMNS = tuple(
    """
    title abstract authors container issued year kind verdict screened decided why judged_on conflict notice notice_of language
    publisher volume issue pages issn registrations cited_by url basis
    """.split()  # noqa: SIM905 - one list to read beside the DDL
)

_SAID = _WORK_COLUMNS[:-1]
"""All but `basis`: a work that is judged again to the same words has not changed."""

_UPSERT_WORK = f"""
    insert into works (doi, {", ".join(_WORK_COLUMNS)}, first_run, changed_run)
    values (:doi, {", ".join(":" + c for c in _WORK_COLUMNS)}, :run, :run)
    on conflict (doi) do update set {", ".join(f"{c} = excluded.{c}" for c in _WORK_COLUMNS)},
        changed_run = case when ({", ".join(_SAID)}) is
            ({", ".join("excluded." + c for c in _SAID)}) then changed_run else excluded.changed_run end
    where ({", ".join(_WORK_COLUMNS)}) is not ({", ".join("excluded." + c for c in _WORK_COLUMNS)})
"""  # noqa: S608 - built from our own column names

# The fullest name wins, then the alphabet: which record landed first must not matter, or a resumed run would differ
# from an undisturbed one.
_UPSERT_AUTHOR = """
    insert into authors (author, name, family, given, orcid, kind) values (?, ?, ?, ?, ?, ?)
    on conflict (author) do update set
        name = excluded.name, family = excluded.family, given = excluded.given, kind = excluded.kind
    where length(excluded.name) > length(name)
        or (length(excluded.name) = length(name) and excluded.name < name)
"""


def _work_row(run: int, record: Record, work: Work, judgement: Judgement) -> dict[str, Any]:
    return {
        "doi": record.doi,
        "run": run,
        "title": work.title,
        "abstract": work.abstract,
        "authors": cite_authors(work.authors),
        "container": work.container,
        "issued": work.issued,
        "year": work.year,
        "kind": work.kind,
        "verdict": judgement.verdict,
        "screened": judgement.verdict,
        "decided": judgement.decided,
        "why": judgement.why,
        "judged_on": judgement.judged_on,
        "conflict": judgement.conflict,
        "notice_of": f"{work.notice_of[0][0]}:{work.notice_of[0][1]}" if work.notice_of else None,
        "notice": _gravest(work),
        "language": work.language,
        "publisher": work.publisher,
        "volume": work.volume,
        "issue": work.issue,
        "pages": work.pages,
        "issn": "; ".join(work.issn) or None,
        "registrations": "; ".join(work.registrations) or None,
        "cited_by": work.cited_by,
        "url": work.url,
        "basis": record.basis,
    }


def _gravest(work: Work) -> str | None:
    """The kind of the gravest notice that stands: a reinstatement undoes what was said before it."""
    undone = max((n.issued or "" for n in work.notices if n.kind == REINSTATEMENT), default=None)
    standing = {n.kind for n in work.notices if undone is None or n.kind not in _UNDONE or (n.issued or "") > undone}
    return next((kind for kind in NOTICE_GRAVITY if kind in standing), None)


def _open(path: Path, migrations: Any) -> Database:
    fresh = not path.exists() or path.stat().st_size == 0
    if not fresh:
        try:
            with path.open("rb") as file:
                head = file.read(16)
        except OSError as error:
            raise StoreError(f"{path}: cannot be read ({error.strerror}); name another file with --db") from None
        if head != b"SQLite format 3\x00":
            raise StoreError(f"{path}: this file is no SQLite database; name another with --db")
    try:
        conn = sqlite3.connect(path, timeout=_BUSY_SECONDS)
    except sqlite3.Error as error:
        raise _explained(path, error) from error
    try:
        _check_ours(conn, path, migrations, fresh)
        conn.execute("pragma journal_mode = wal")
        conn.execute("pragma synchronous = normal")
        conn.execute(f"pragma cache_size = -{_CACHE_KIB}")
        conn.execute(f"pragma wal_autocheckpoint = {_LOG_PAGES}")
        conn.execute("pragma foreign_keys = on")
        db = Database(conn, execute_plugins=False)
        migrations.apply(db)
        with db.atomic():
            conn.execute(f"pragma application_id = {schema.APPLICATION_ID}")
            if migrations is schema.evidence:
                schema.make_views(conn)
    except sqlite3.Error as error:
        conn.close()
        raise _explained(path, error) from error
    except BaseException:
        conn.close()
        raise
    return db


def _check_ours(conn: sqlite3.Connection, path: Path, migrations: Any, fresh: bool) -> None:
    """Look before touching: a stranger's or a newer database is left exactly as it was."""
    if fresh:
        return
    tables = {name for (name,) in conn.execute("select name from sqlite_master where type = 'table'")}
    if not tables:
        return
    (application_id,) = conn.execute("pragma application_id").fetchone()
    if application_id != schema.APPLICATION_ID or "_sqlite_migrations" not in tables:
        raise StoreError(f"{path}: this SQLite database was not made by evidence; name another file with --db")
    applied = dict(conn.execute("select name, migration_set from _sqlite_migrations").fetchall())
    if migrations.name not in applied.values():
        raise StoreError(
            f"{path}: this is evidence's other database; --db is for the harvest, --decisions for people's"
        )
    known = {migration.name for migration in migrations.pending(Database(memory=True))}
    if newer := sorted(set(applied) - known):
        raise StoreError(
            f"{path}: made by a newer version of evidence (it has {newer[-1]}); upgrade with pip install -U evidence"
        )


def _explained(path: Path, error: sqlite3.Error) -> StoreError:
    text = str(error)
    if "disk is full" in text:
        return StoreError(f"{path}: the disk is full; nothing of this page was written. Make room and run it again")
    if "readonly" in text or "read-only" in text:
        return StoreError(f"{path}: cannot be written (read-only); check the permissions of the file and its folder")
    if "unable to open" in text:
        return StoreError(f"{path}: cannot be opened or made; check that the folder exists and may be written to")
    if "locked" in text:
        return StoreError(f"{path}: another program holds this database; close it and run again")
    if "malformed" in text or "not a database" in text:
        return StoreError(
            f"{path}: the database is damaged ({text}); restore a backup, or move it away and run `evidence sync`: "
            "everything but decisions.db can be harvested again"
        )
    return StoreError(f"{path}: SQLite says: {text}")


def _chunks(items: Sequence[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(items), _SQL_VARIABLES):
        yield list(items[start : start + _SQL_VARIABLES])


def _marks(items: Sequence[Any]) -> str:
    return ", ".join("?" * len(items))
