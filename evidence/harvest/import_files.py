"""Records of files → works: read to the end, resolved with the care of a reference list, and written in one transaction.

A file that is damaged anywhere brings nothing. What is in the database answers before Crossref is asked; what has no DOI, or a
wrong one, is kept under a local id and asked about again in later syncs. A record is recognised when its file is read again, so
that importing twice is importing once. No SQL here, and no request while a transaction is open.
"""

from __future__ import annotations

import json
import logging
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from evidence import doi as dois
from evidence.crossref.normalise import doi_of, serialise_any
from evidence.data_model import Citation, Doi, Message, RecordSource, Resolution
from evidence.database import read_queries
from evidence.database.values_for_writer import ImportedRow, Reject, Sighting, SourceRow
from evidence.errors import ConfigError, RejectedError, SourceError
from evidence.harvest import reference_lists, sources
from evidence.harvest.ingest import ingest
from evidence.harvest.run_outcome import SyncRun
from evidence.harvest.sources import FileSource
from evidence.harvest.stored_records import StoredRecords
from evidence.references import imported_record
from evidence.references.given_reference import Fields, citation

log = logging.getLogger(__name__)

PART = reference_lists.PART
ASK_AGAIN_EVERY = 10
"""Every so many syncs an imported record for which no work was found is asked about again."""
NO_CONTENT = "the entry has no title, no abstract, no DOI and no authors with a place in print"
_NOT_ASKED = "Crossref was not asked yet"


@dataclass(slots=True)
class ImportCounts:
    """What an import did. `read` are the records of the files, `known` those imported before, `with_doi` and `local` the new ones
    kept under a DOI and under a local id; `not_asked` of them are still to be asked about. `unusable` and `doubts` are sentences
    with file and line."""

    read: int = 0
    known: int = 0
    with_doi: int = 0
    local: int = 0
    not_asked: int = 0
    works: set[Doi] = field(default_factory=set)
    new_works: int = 0
    unusable: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    trouble: str | None = None


@dataclass(frozen=True, slots=True)
class _Read:
    """A record as read: `record` recognises it in its source."""

    record: str
    fields: Fields
    place: str
    doubts: tuple[str, ...]


class ReadFiles:
    """All records of the files, in a temporary file. Use as a context manager. ConfigError where any file is damaged."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.count = 0
        self.rejects: list[Reject] = []
        self.formats: Counter[str] = Counter()
        self._spool: IO[str] = tempfile.TemporaryFile("w+", encoding="utf-8", errors="surrogatepass")  # noqa: SIM115 - in __exit__
        try:
            self._read(paths)
        except BaseException:
            self._spool.close()
            raise

    def __enter__(self) -> ReadFiles:
        return self

    def __exit__(self, *_: object) -> None:
        self._spool.close()

    def _read(self, paths: Sequence[Path]) -> None:
        from evidence.references.record_files import read_records  # a tenth of a sync's start: only when a file is read

        times: Counter[str] = Counter()
        for path in paths:
            found = 0
            try:
                with path.open("rb") as stream:
                    kind, records = read_records(stream, str(path))
                    for record in records:
                        found += 1
                        place = f"{path.name}:{record.line}"
                        if not record.fields.has_content:
                            self._reject(record.fields, record.row, place)
                            continue
                        digest = imported_record.record_digest(record.fields)
                        times[digest] += 1
                        name = digest if times[digest] == 1 else f"{digest}-{times[digest]}"
                        self._spool.write(json.dumps([name, asdict(record.fields), place, record.doubts]) + "\n")
                        self.count += 1
            except OSError as error:
                raise ConfigError(f"{path}: cannot be read ({error.strerror}); check the path") from None
            if not found:
                raise ConfigError(f"{path} has no record in it (read as {kind}); export it again")
            self.formats[kind] += 1

    def _reject(self, fields: Fields, row: Any, place: str) -> None:
        text, digest = serialise_any(dict(row) or {k: v for k, v in asdict(fields).items() if v} or {"place": place})
        self.rejects.append(Reject(digest, None, NO_CONTENT, text, place))

    def parts(self) -> Iterator[list[_Read]]:
        """The records, some at a time."""
        self._spool.seek(0)
        part: list[_Read] = []
        for line in self._spool:
            name, held, place, doubts = json.loads(line)
            values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in held.items()}
            fields = Fields(**values)
            part.append(_Read(name, fields, place, tuple(doubts)))
            if len(part) == PART:
                yield part
                part = []
        if part:
            yield part


@dataclass(frozen=True, slots=True)
class _Resolved:
    """A part of an import, ready to be written."""

    rows: list[ImportedRow]
    messages: list[Message]
    aliases: list[tuple[Doi, Doi]]


def source_row(source: FileSource) -> SourceRow:
    """The source as the database keeps it."""
    return SourceRow(source.id, source.kind, source.label, source.spec, source.method)


def harvest_files(run: SyncRun, source: FileSource, records: RecordSource | None) -> ImportCounts:
    """Read the files of a source and write what is new. `records` is asked about what the database does not have (None: nobody
    is). RejectedError where a file cannot be read; then nothing of the source is written."""
    try:
        with ReadFiles(source.paths) as files:
            return import_read(run, source, files, records)
    except ConfigError as error:
        raise RejectedError(str(error)) from error


def import_read(run: SyncRun, source: FileSource, files: ReadFiles, records: RecordSource | None) -> ImportCounts:
    """Resolve and write the records of files that were read."""
    counts = ImportCounts(read=files.count + len(files.rejects))
    counts.unusable = [f"{reject.place}: {reject.reason}" for reject in files.rejects]
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="surrogatepass") as spool:
        done = 0
        for part in files.parts():
            done += len(part)
            run.progress.step(source.id, done, files.count)
            new = _new_ones(run, source, part)
            counts.known += len(part) - len(new)
            counts.doubts += [f"{each.place}: {doubt}" for each in new for doubt in each.doubts]
            if new:
                resolved = _resolve(run, source, new, records if counts.trouble is None else None, counts)
                spool.write(
                    json.dumps([[asdict(row) for row in resolved.rows], resolved.messages, resolved.aliases]) + "\n"
                )
        spool.seek(0)
        run = replace(run, records=StoredRecords(run.store.conn))  # nobody is asked while the transaction is open
        with run.store.transaction():
            run.store.register_import(run.number, source_row(source))
            before = run.outcome.written.new
            for line in spool:
                rows, messages, aliases = json.loads(line)
                made = [ImportedRow(**{**row, "doi": Doi(row["doi"])}) for row in rows]
                _write(
                    run, source.id, made, messages, [(Doi(a), Doi(b)) for a, b in aliases], asked=records is not None
                )
                for row in made:
                    counts.works.add(row.doi)
                    counts.local += dois.is_local(row.doi)
                    counts.with_doi += not dois.is_local(row.doi)
                    counts.not_asked += row.status == "not-asked"
            ingest(run, source.id, rejects=files.rejects)
            counts.new_works = run.outcome.written.new - before
    return counts


def citations_in(source: FileSource) -> list[Citation]:
    """What the records of a source state, to be looked for in files of Crossref's records; nothing where a file is damaged, which
    the import itself reports."""
    try:
        with ReadFiles(source.paths) as files:
            return [
                Citation(
                    source.id, 0, citation(each.fields) or each.fields.doi or reference_lists.NO_TEXT, each.fields.doi
                )
                for part in files.parts()
                for each in part
            ]
    except ConfigError:
        return []


def continued(source: FileSource, held: dict[str, Any] | None) -> FileSource:
    """The source with the imports before this one. ConfigError when its id is that of a source which sources.yaml names."""
    if held is None:
        return source
    earlier = sources.imports_of(held["spec"]) if held["method"] else ()
    if held["method"] is None or json.loads(held["spec"]).get("by") != source.by:
        raise ConfigError(f"{source.id!r} is a source of sources.yaml ({held['label']}); give this import another --id")
    return replace(source, earlier=earlier)


def anything_new(run_conn: Any, source: FileSource, files: ReadFiles, spec: str | None) -> bool:
    """Whether an import would change anything: a record that is not here, or another description of the source."""
    if spec != source.spec:
        return True
    for part in files.parts():
        here = read_queries.imported_digests(run_conn, source.id, [each.record for each in part])
        if len(here) < len(part):
            return True
    return bool(files.rejects) and not read_queries.rejects_here(run_conn, [reject.digest for reject in files.rejects])


def _new_ones(run: SyncRun, source: FileSource, part: Sequence[_Read]) -> list[_Read]:
    here = read_queries.imported_digests(run.store.conn, source.id, [each.record for each in part])
    return [each for each in part if each.record not in here]


# ---------------------------------------------------------------------- which work a record describes


def _resolve(
    run: SyncRun, source: FileSource, part: Sequence[_Read], records: RecordSource | None, counts: ImportCounts
) -> _Resolved:
    stored = StoredRecords(run.store.conn)
    by_pmid = _dois_of_pmids(run, part)
    citations = [
        Citation(
            source.id, number, citation(each.fields) or each.fields.doi or reference_lists.NO_TEXT, each.fields.doi
        )
        for number, each in enumerate(part)
    ]
    asked_here = [replace(c, stated_doi=c.stated_doi or by_pmid.get(c.position)) for c in citations]
    found: dict[int, Resolution] = {}
    messages: list[Message] = []
    aliases: list[tuple[Doi, Doi]] = []
    for resolved in reference_lists.resolve(asked_here, stored, {}, deposited=True):
        found |= {r.citation.position: r for r in resolved.resolutions if r.doi or r.leads_to}
    left = [c for c in citations if c.position not in found or not found[c.position].doi]
    asked: set[int] = set()
    if records is not None and left:
        try:
            for resolved in reference_lists.resolve(left, records, {}, deposited=True):
                found |= {r.citation.position: r for r in resolved.resolutions}
                asked |= {r.citation.position for r in resolved.resolutions} if records.authoritative else set()
                messages += resolved.messages
                aliases += resolved.aliases
        except SourceError as error:
            counts.trouble = str(error)
            log.warning("%s; the records that are left are asked about in the next sync", error)
    rows = []
    for number, each in enumerate(part):
        row = _row(source.id, each, citations[number], found.get(number), is_asked=number in asked)
        rows.append(row)
        if row.status not in reference_lists.ACCEPTED:
            messages.append(imported_record.with_key(json.loads(row.message), row.doi))
    return _Resolved(rows, messages, aliases)


def _dois_of_pmids(run: SyncRun, part: Sequence[_Read]) -> dict[int, str]:
    """The DOIs of works that are here, by the PubMed identifiers of records without a DOI; the texts must still agree."""
    found = {}
    for number, each in enumerate(part):
        if each.fields.pmid and not each.fields.doi:
            works = read_queries.works_with_identifier(run.store.conn, "pmid", each.fields.pmid)
            if len(works) == 1 and not dois.is_local(works[0]):
                found[number] = str(works[0])
    return found


def _row(source: str, each: _Read, asked: Citation, found: Resolution | None, *, is_asked: bool) -> ImportedRow:
    message = imported_record.message_of(each.fields)
    key, status, problem = _key(Doi(message[imported_record.LOCAL_ID]), asked, found, is_asked=is_asked)
    text = json.dumps(message, ensure_ascii=False)
    return ImportedRow(
        source, each.record, key, each.fields.doi, status, problem, found.score if found else None, asked.text, text, each.place
    )  # fmt: skip


def _key(local: Doi, asked: Citation, found: Resolution | None, *, is_asked: bool) -> tuple[Doi, str, str | None]:
    """The DOI or local id that a record is kept under, the status and the problem. A stated DOI is trusted until somebody has
    been asked; one that leads to another work, or nowhere, is not."""
    stated = dois.parse(asked.stated_doi) if asked.stated_doi else None
    stated = stated if stated and not dois.is_short(stated) else None
    if found is not None and found.doi is not None:
        return found.doi, found.status, found.problem
    if found is not None and found.status in ("mismatch", "ambiguous"):
        return local, found.status, found.problem
    if found is None or not is_asked or found.status == "not-in-files":
        return stated or local, "not-asked", _NOT_ASKED
    if found.status == "not-in-crossref" and stated:
        return stated, found.status, found.problem
    return local, found.status, found.problem


def _write(
    run: SyncRun,
    source: str,
    rows: Sequence[ImportedRow],
    messages: Sequence[Message],
    aliases: Sequence[tuple[Doi, Doi]],
    *,
    asked: bool,
) -> None:
    """Write a part: the records first, so that their abstracts are read with the works. A record of an imported file never takes
    the place of one of Crossref."""
    moved = read_queries.alias_targets(run.store.conn, [row.doi for row in rows if dois.is_local(row.doi)])
    rows = [replace(row, doi=moved.get(row.doi, row.doi)) for row in rows]
    run.store.add_imported(run.number, rows, asked)
    own = [key for message in messages if imported_record.is_imported(message) and (key := doi_of(message))]
    here = read_queries.indexed_times(run.store.conn, own)
    brought = {doi_of(message) for message in messages if not imported_record.is_imported(message)}
    kept: dict[Doi | None, Message] = {}
    for message in messages:
        key = doi_of(message)
        if imported_record.is_imported(message) and (key in here or key in brought or key in kept):
            continue
        kept[key] = message
    sightings = [Sighting(doi, "import") for doi in dict.fromkeys(row.doi for row in rows)]
    ingest(run, source, list(kept.values()), sightings, aliases)


# ---------------------------------------------------------------------- asking again


def ask_again(run: SyncRun) -> None:
    """Ask about the imported records that no work was found for: all that were not asked about yet, and some of the others in
    each sync. A record that gets a DOI keeps everything that is known under its local id."""
    held = read_queries.imported_to_ask_about(run.store.conn)
    due = [row for row in held if row.status == "not-asked" or (run.records.authoritative and _is_due(run, row))]
    number = 0
    for start in range(0, len(due), PART):
        part = due[start : start + PART]
        run.progress.step("imported records", start, len(due))
        citations = [Citation(row.source, number + n, row.citation, row.stated_doi) for n, row in enumerate(part)]
        for resolved in reference_lists.resolve(citations, run.records, {}, deposited=True):
            _rewrite(run, part, citations, resolved)


def _is_due(run: SyncRun, row: ImportedRow) -> bool:
    turn = zlib.crc32(row.record.encode()) + read_queries.sync_count(run.store.conn)
    return run.full or turn % ASK_AGAIN_EVERY == 0


def _rewrite(
    run: SyncRun, part: Sequence[ImportedRow], citations: Sequence[Citation], resolved: reference_lists.ResolvedPart
) -> None:
    by_position = {r.citation.position: r for r in resolved.resolutions}
    alone = read_queries.imported_keys(run.store.conn, [row.doi for row in part])
    changed: dict[str, list[ImportedRow]] = {}
    messages, aliases = list(resolved.messages), list(resolved.aliases)
    for row, asked in zip(part, citations, strict=True):
        found = by_position[asked.position]
        message = json.loads(row.message)
        key, status, problem = _key(
            Doi(message[imported_record.LOCAL_ID]), asked, found, is_asked=run.records.authoritative
        )
        if status == "not-asked":
            continue
        changed.setdefault(row.source, []).append(
            replace(row, doi=key, status=status, problem=problem, score=found.score)
        )
        if key != row.doi:
            if status not in reference_lists.ACCEPTED:
                messages.append(imported_record.with_key(message, key))
            if row.doi in alone:
                aliases.append((row.doi, key))
    for source, rows in changed.items():
        sightings = [Sighting(row.doi, "import") for row in rows]
        ingest(run, source, messages, sightings, aliases)
        # Last, so that a run that is killed before asks about these once more.
        run.store.set_imported(run.number, rows)
        messages, aliases = [], []
