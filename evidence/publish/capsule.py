"""Writes a capsule: one folder with everything that a state of the review rests on, described as an RO-Crate, in a bag of
checksums.

    DIR/README.txt                  what it is and how to check it without this program
    DIR/manifest-sha256.txt …       the checksums of every file, and of the list of checksums (BagIt)
    DIR/data/                       the RO-Crate: databases, sources, rules, searches, exports, and what each of them is

A capsule is of the state that the database has now. It is written beside DIR and put in place in one step; an existing DIR is
never changed. A public one has the published copy of the database (`immutable_copy`) in place of both databases, so that what
may be passed on is decided in one place. `replay` checks a capsule.
"""

from __future__ import annotations

import csv
import hashlib
import importlib.metadata
import io
import json
import os
import platform
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from evidence import DISTRIBUTION, __version__
from evidence.data_model import iso_time
from evidence.database import backup, read_queries, read_versions, rewound, writer
from evidence.database.connection import open_evidence, reading
from evidence.database.read_decisions import check_ledger, read_ledger
from evidence.database.run_lock import locked
from evidence.database.select_works import Selection
from evidence.database.values_for_writer import CapsuleRow
from evidence.errors import ConfigError, StoreError
from evidence.export import abstract_rights, atomic_output, bag_manifest, prisma_report, ro_crate
from evidence.export.capsule_summary import Capsule
from evidence.export.export_works import Wanted, export_works
from evidence.export.wording import count_noun
from evidence.harvest import named_versions, review_statements, sources
from evidence.harvest.scanning_program import code_digest
from evidence.harvest.sources import Config, FileSource
from evidence.publish import immutable_copy
from evidence.review import decisions_csv
from evidence.rules import cues, decide
from evidence.rules import topic as topics
from evidence.rules.taxonomy import Taxonomy
from evidence.rules.topic import Topic

Kind = Literal["whole", "public"]

FORMAT: Final = 1
"""Of `capsule.json`: raised when `replay` of an earlier version could not read a capsule of this one."""

FACTS: Final = "capsule.json"
DATABASE: Final = "evidence.db"
LEDGER: Final = "decisions.db"
SOURCES: Final = "sources.yaml"
TOPIC: Final = "rules/topic"
LENDERS: Final = "rules/shared"
WEIGHTS: Final = "rules/weights"

OTHERS_TEXTS: Final[tuple[str, str]] = (
    "In copyright: not to be passed on",
    "https://rightsstatements.org/vocab/InC/1.0/",
)
UNSTATED: Final[tuple[str, str]] = ("No licence is stated", "https://rightsstatements.org/vocab/UND/1.0/")
"""What stands in place of a licence: in a capsule for oneself, and where sources.yaml has no `site: licence:`."""

VERDICTS: Final = ("include", "exclude", "unsure", "duplicate")
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class _Review:
    """What is put into a capsule."""

    db: Path
    ledger: Path
    sources: Path | None
    taxonomy: Taxonomy
    kind: Kind
    hide_reviewers: bool
    version: str | None


def write(
    db: Path,
    ledger: Path,
    sources_file: Path,
    taxonomy: Taxonomy,
    target: Path,
    *,
    kind: Kind,
    hide_reviewers: bool = False,
    version: str | None = None,
    now: Callable[[], datetime],
) -> Capsule:
    """Write a capsule of the review to the new folder `target`, and note its digest in the database.

    ConfigError when there is no database, when `target` exists already, or when works still have to be judged by these rules
    and decisions; BusyError when a sync is at work; StoreError when a database cannot be read or `target` not be written. Then
    nothing is left at `target`.
    """
    rewound.refuse(db)
    open_evidence(db).close()
    if ledger.exists():
        check_ledger(ledger)
    _refuse_existing(target)
    moment = now().astimezone(UTC).replace(microsecond=0)
    review = _Review(
        db, ledger, sources_file if sources_file.exists() else None, taxonomy, kind, hide_reviewers, version
    )
    with _draft(target) as draft:
        data = draft / bag_manifest.PAYLOAD
        data.mkdir()
        with locked(db):
            state = _write_databases(review, draft, data, moment)
        _write_rules(taxonomy.topic, data)
        if review.sources is not None:
            _write_sources(review, review.sources, data)
        _write_reports(review, data, moment)
        _write_json(data / FACTS, _facts(review, moment, state))
        crate = _crate(review, data, moment, state)
        _write_text(data / ro_crate.METADATA, ro_crate.metadata(crate))
        _write_text(data / ro_crate.PREVIEW, ro_crate.preview(crate))
        digest, files, size = _write_bag(draft, crate, moment)
        if kind == "public":
            draft.chmod(0o755)  # one for oneself is readable for nobody else
        _put_in_place(draft, target)
    name = _storable(target.resolve().name)
    entry = CapsuleRow(iso_time(moment), kind, name, digest, files, size, state.run, state.version, __version__)
    return Capsule(
        target,
        kind,
        digest,
        files,
        size,
        state.works,
        state.withheld,
        state.decisions,
        state.sentence,
        _recorded(db, entry),
    )


def program() -> ro_crate.Program:
    """This program, with what it runs on."""
    try:
        packages = tuple(immutable_copy.requirements())
        stated = importlib.metadata.metadata(DISTRIBUTION).get_all("Project-URL") or []
    except ConfigError:  # it is run from a folder, and was not installed
        packages, stated = (), []
    address = next((text.partition(", ")[2] for text in stated if text.startswith("Source,")), None)
    python, sqlite = platform.python_version(), sqlite3.sqlite_version
    return ro_crate.Program(__version__, code_digest(), python, sqlite, packages, address)


def weight_files() -> dict[str, Path]:
    """The program's own weights and cue words, which read every topic: name in a capsule → file."""
    files = [cues.FILE, *sorted(path for path in decide.FILE.parent.iterdir() if path.is_file())]
    return {f"{WEIGHTS}/{path.name}": path for path in files}


# ---------------------------------------------------------------------- databases


@dataclass(frozen=True, slots=True)
class _State:
    """What the copied databases hold: works, abstracts that may not be passed on, decisions, the last run, every named
    version, and those of them that are this very state."""

    works: int
    withheld: int
    decisions: int
    run: int
    ended: str
    versions: tuple[str, ...]
    versions_of_now: tuple[str, ...]

    @property
    def version(self) -> str | None:
        """The name of the newest version that is this state."""
        return self.versions_of_now[-1] if self.versions_of_now else None

    @property
    def sentence(self) -> str:
        """Which state it is."""
        named = f"It is version {self.version}" if self.version else "It is the state of no named version"
        past = [name for name in self.versions if name not in self.versions_of_now]
        also = (
            f" Its database also lists the works and tags of these earlier versions: {', '.join(past)}." if past else ""
        )
        return f"{named}, after run {self.run} of {self.ended}.{also}"


def _write_databases(review: _Review, draft: Path, data: Path, moment: datetime) -> _State:
    """Copy the databases, or the public part of them, after the copies were compared with the rules: a capsule whose works are
    still to be judged could not be rebuilt from its own records."""
    copied = draft / "copied"
    copied.mkdir()
    works = backup.backup(review.db, review.ledger, copied / DATABASE)[0].rows["works"]
    db, ledger = backup.target_files(copied / DATABASE)
    state = _checked_state(review, db, ledger, works, moment)
    decisions = read_ledger(ledger)
    if review.kind == "public":
        names = sorted({decision.reviewer for decision in decisions}) if review.hide_reviewers else None
        immutable_copy.copy(db, data / DATABASE, hidden=names)
    else:
        for path in (db, ledger):
            _as_one_file(path)
            path.replace(data / path.name)
        chunks = (line.encode("utf-8", "surrogatepass") for line in decisions_csv.csv_lines(decisions))
        atomic_output.write_whole(data / "decisions.csv", chunks)
    shutil.rmtree(copied)
    return state


def _checked_state(review: _Review, db: Path, ledger: Path, works: int, moment: datetime) -> _State:
    """The state of the copied databases. ConfigError when nothing was harvested, when it is not judged by today's rules and
    decisions, or when it is not that of the version that is asked for."""
    with writer.open_store(db, ledger) as opened:
        run = read_queries.newest_run(opened.conn)
        if run is None:
            raise ConfigError(f"{review.db}: nothing was harvested yet; `evidence sync` first")
        if not named_versions.is_judged(opened, review.taxonomy):
            raise ConfigError(
                f"{review.db}: rules or decisions have changed since the works were judged, or a run was killed, so the capsule "
                "could not be rebuilt from its own records; `evidence judge` first"
            )
        versions = tuple(row["name"] for row in read_versions.versions(opened.conn))
        current = named_versions.versions_of_now(opened, review.taxonomy, lambda: moment)
        state = _State(
            works,
            len(abstract_rights.withheld(opened.conn)),
            len(opened.decisions()),
            run,
            read_queries.day_of_run(opened.conn, run),
            versions,
            tuple(row["name"] for row in current),
        )
    _refuse_other_version(review, state)
    return state


def _refuse_other_version(review: _Review, state: _State) -> None:
    """ConfigError unless the state is that of the version that is asked for: records and rules of an earlier one are not kept
    apart from what came later, so a capsule of it could not be rebuilt."""
    asked = review.version
    if asked is None or asked in state.versions_of_now:
        return
    if asked not in state.versions:
        there_are = read_versions.known_versions(state.versions)
        raise ConfigError(f"--version {asked!r}: there is no such version; {there_are}")
    raise ConfigError(
        f"--version {asked!r}: runs, decisions or rules have changed since, and a capsule is of the state of now; leave "
        f"--version out (the database in it lists the works and tags of version {asked}), or name a new version first"
    )


def _as_one_file(path: Path) -> None:
    """Leave a database that was opened here without a log beside it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        conn.execute("pragma journal_mode = delete")
        conn.execute(f"pragma user_version = {backup.MARK}")


# ---------------------------------------------------------------------- rules and sources


def _write_rules(topic: Topic, data: Path) -> None:
    """The topic with all its files, those it borrows from other topics, and the weights of the program."""
    for name, path in rule_files(topic).items():
        _copy(path, data / name)
    for name, path in weight_files().items():
        _copy(path, data / name)


def rule_files(topic: Topic) -> dict[str, Path]:
    """Every file that the topic's rules are made of: name in a capsule → file."""
    found: dict[str, Path] = {}
    own = [topic.folder / topics.FILE, topic.screen_path, topic.phrases_path, topic.accuracy_path]
    for facet in topic.facets:
        lender = f"{LENDERS}/{facet.path.parent.name}" if facet.borrowed else None
        beside = facet.path.with_name(topics.VALUE_WEIGHTS_FILE)
        if lender is None:
            own += [facet.path, beside]
        else:
            found |= {f"{lender}/{path.name}": path for path in (facet.path, beside, facet.path.with_name(topics.FILE))}
    for path in own:
        try:
            found[f"{TOPIC}/{path.relative_to(topic.folder).as_posix()}"] = path
        except ValueError:
            raise ConfigError(
                f"{path}: lies outside the topic's folder {topic.folder}; move it there, so that a capsule has it"
            ) from None
    return {name: path for name, path in found.items() if path.exists()}


def _write_sources(review: _Review, path: Path, data: Path) -> None:
    checked = sources.load(path)
    if review.kind == "public":
        _write_text(data / SOURCES, immutable_copy.without_contact(path))
    else:
        _copy(path, data / SOURCES)
    stated = path.with_name(review_statements.FILE)
    if stated.exists():
        review_statements.load(stated)
        _copy(stated, data / review_statements.FILE)
    if files := [*_named_files(checked)]:
        text = io.StringIO(newline="")
        lines = csv.writer(text)
        lines.writerow(("source", "file", "bytes", "sha256"))
        lines.writerows((source, file.name, *_measured_if_there(file)) for source, file in files)
        _write_text(data / "imported-files.csv", text.getvalue())


def _named_files(checked: Config) -> Iterator[tuple[str, Path]]:
    """The files that sources.yaml names, each with its source. They are not copied: they belong to other databases."""
    for source in checked.sources:
        if isinstance(source, FileSource):
            yield from ((source.id, path) for path in source.paths)
    if checked.retraction_watch:
        yield "retraction-watch", checked.retraction_watch


def _measured_if_there(path: Path) -> tuple[str, str]:
    if not path.is_file():
        return "", ""
    digest, size = measured(path)
    return str(size), digest


# ---------------------------------------------------------------------- reports and exports


def _write_reports(review: _Review, data: Path, moment: datetime) -> None:
    """The searches as they were run, the numbers of the flow diagram, and the works as tables with their description: all of the
    database in the capsule, so that a public one says nothing that its database does not."""
    db = data / DATABASE
    with reading(db) as conn:
        searches, imports = read_queries.searches_as_run(conn), read_queries.imports_as_run(conn)
        flow = read_queries.flow(conn)
    _write_text(data / "searches" / "searches.txt", prisma_report.searches_report(searches, imports) + "\n")
    _write_json(data / "searches" / "searches.json", [*searches, *imports])
    _write_text(data / "searches" / "flow.txt", prisma_report.flow_report(flow) + "\n")
    _write_json(data / "searches" / "flow.json", flow.boxes)
    export_works(db, Selection(VERDICTS), Wanted("csv"), data / "exports", folder_made=moment)


_DESCRIBED: Final = {
    DATABASE: ("The database", "Every record, and what the rules made of it: works, tags, reasons, notices, histories"),
    LEDGER: ("The reviewers' decisions", "The ledger as it is: who decided what, when and why; nothing is ever removed from it"),
    "decisions.csv": ("The reviewers' decisions as a table", "The same as decisions.db, for spreadsheets"),
    SOURCES: ("What is harvested", "Reference lists, searches, known works and claims, as the reviewers wrote them"),
    review_statements.FILE: ("What only people know of the searches", "Items of PRISMA-S as the reviewers stated them"),
    "imported-files.csv": (
        "Files that sources.yaml names", "Name, size and SHA-256 of each today; their records are in the database"),
    "searches/searches.txt": ("The searches as they were run", "As PRISMA-S asks: query, limits, dates, works found"),
    "searches/searches.json": ("The searches as they were run, for programs", "The same as searches.txt"),
    "searches/flow.txt": ("The numbers of the PRISMA 2020 flow diagram", "As `evidence report prisma` prints them"),
    "searches/flow.json": ("The boxes of the PRISMA 2020 flow diagram, for programs", "The same numbers as flow.txt"),
    "exports/works.csv": ("The works, one a row", "All verdicts; abstracts that may not be passed on are left out"),
    "exports/tags.csv": ("The tags, one a row", "With the words behind each"),
    "exports/datapackage.json": ("What the tables hold, as a Data Package", "Columns, types, keys and checksums"),
    "exports/csv-metadata.json": ("What the tables hold, as CSV on the Web", "Columns, types and keys"),
    FACTS: ("What made this capsule", "Versions of the program, of Python, SQLite and packages, and the state of the database"),
}  # fmt: skip
_PUBLIC_DATABASE: Final = (
    "The public part of the database",
    "Works, tags, reasons, notices, histories; raw records and abstracts that may not be passed on are left out",
)
_RULES: Final = {
    topics.FILE: ("The topic", "Its facets, the axes of the map, and what the site says"),
    topics.SCREEN_FILE: ("The screening rules", "Which works belong to the topic"),
    topics.PHRASES_FILE: ("Lists of terms", "Those that screening rules share"),
    topics.VALUE_WEIGHTS_FILE: ("Weights of values", "What was learnt about the values of the facets"),
    topics.ACCURACY_FILE: ("Accuracy of the rules", "As it was measured"),
}


def _description(name: str, kind: Kind) -> tuple[str, str]:
    if name == DATABASE and kind == "public":
        return _PUBLIC_DATABASE
    if name in _DESCRIBED:
        return _DESCRIBED[name]
    folder, _, file = name.rpartition("/")
    if folder == WEIGHTS:
        return "A part of the reader of texts", "Weights or cue words that come with the program and read every topic"
    return _RULES.get(file, ("The values of a facet", "Their words and meanings"))


# ---------------------------------------------------------------------- the crate


def _facts(review: _Review, moment: datetime, state: _State) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "kind": review.kind,
        "made_at": iso_time(moment),
        "state": {"run": state.run, "works": state.works, "decisions": state.decisions, "version": state.version},
        "rules": {"topic": review.taxonomy.topic.id, "digest": review.taxonomy.digest},
        "left_out": {
            "abstracts": state.withheld if review.kind == "public" else 0,
            "raw records": review.kind == "public",
        },
        "program": asdict(program()),
    }


def _crate(review: _Review, data: Path, moment: datetime, state: _State) -> ro_crate.Crate:
    topic = review.taxonomy.topic
    site = sources.load(review.sources).site if review.sources is not None else sources.Published()
    licence = OTHERS_TEXTS if review.kind == "whole" else UNSTATED
    if review.kind == "public" and site.licence is not None:
        licence = ("The licence of this review", site.licence)
    return ro_crate.Crate(
        f"{topic.title}: {f'version {state.version}, ' if state.version else ''}capsule of {moment:%Y-%m-%d}",
        f"Everything that a state of the living review “{topic.title}” rests on, with the checksum of every file.",
        state.sentence,
        _holds(review.kind, state.withheld, hidden=review.hide_reviewers),
        review.kind == "public",
        moment.isoformat(),
        program(),
        [_file(data, path, review.kind) for path in _files_below(data)],
        licence,
        (site.publisher, site.address) if site.publisher else None,
        state.version,
    )


def _holds(kind: Kind, abstracts: int, *, hidden: bool) -> str:
    """What must be known before the capsule is passed on."""
    if kind == "whole":
        return (
            "It is for the reviewers themselves and not to be passed on: it holds the raw records, "
            f"{count_noun(abstracts, 'abstract')} that may not be passed on, and the decisions with reviewers' names."
        )
    names = "Reviewers' names are left out, too. " if hidden else ""
    return (
        "It may be passed on as far as its licence says: raw records, the ledger of decisions, the contact address and "
        f"{count_noun(abstracts, 'abstract')} that may not be passed on are left out. {names}"
        "So only verdicts and tags of works whose text is here can be derived again."
    )


def _file(data: Path, path: Path, kind: Kind) -> ro_crate.File:
    name = path.relative_to(data).as_posix()
    digest, size = measured(path)
    return ro_crate.File(name, *_description(name, kind), size, digest)


def _write_bag(draft: Path, crate: ro_crate.Crate, moment: datetime) -> tuple[str, int, int]:
    """Write what stands beside the payload; returns the digest of the second manifest, and how many files and bytes there are."""
    known = {f"{bag_manifest.PAYLOAD}/{file.path}": (file.sha256, file.size) for file in crate.files}
    payload = {}
    for path in _files_below(draft / bag_manifest.PAYLOAD):
        name = path.relative_to(draft).as_posix()
        payload[name] = known.get(name) or measured(path)
    total = sum(size for _, size in payload.values())
    info = {
        "Bagging-Date": f"{moment:%Y-%m-%d}",
        "Bag-Software-Agent": f"evidence {__version__}",
        "External-Description": crate.title,
        "Internal-Sender-Description": f"{crate.state} {crate.holds}",
        "Payload-Oxum": f"{total}.{len(payload)}",
    }
    texts = {
        bag_manifest.BAGIT: bag_manifest.DECLARATION,
        bag_manifest.BAG_INFO: bag_manifest.bag_info(info),
        bag_manifest.README: ro_crate.readme(crate),
        bag_manifest.MANIFEST: bag_manifest.manifest({name: digest for name, (digest, _) in payload.items()}),
    }
    for name, text in texts.items():
        _write_text(draft / name, text)
    about = bag_manifest.manifest({name: measured(draft / name)[0] for name in bag_manifest.TAG_FILES})
    _write_text(draft / bag_manifest.TAG_MANIFEST, about)
    digest, _ = measured(draft / bag_manifest.TAG_MANIFEST)
    tags = [draft / name for name in (*texts, bag_manifest.TAG_MANIFEST)]
    return digest, len(payload) + len(tags), total + sum(path.stat().st_size for path in tags)


def measured(path: Path) -> tuple[str, int]:
    """The SHA-256 of a file and its size, read in blocks."""
    found, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            found.update(block)
            size += len(block)
    return found.hexdigest(), size


def _files_below(folder: Path) -> Sequence[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


# ---------------------------------------------------------------------- the folder


def _refuse_existing(target: Path) -> None:
    if target.name in ("", ".."):
        raise ConfigError(f"{target}: cannot be given to a capsule; name a new folder in it")
    if os.path.lexists(target) and not (target.is_dir() and not target.is_symlink() and not any(target.iterdir())):
        raise ConfigError(f"{target}: already exists, and a capsule is never changed; name a new folder")


@contextmanager
def _draft(target: Path) -> Iterator[Path]:
    """A new folder beside `target`, removed in the end unless it was put in place."""
    parent = target.absolute().parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=parent))
    except OSError as error:
        raise ConfigError(
            f"{target}: cannot be made ({error.strerror}); name a folder in one that you may write to"
        ) from None
    try:
        yield draft
    except StoreError as error:
        raise type(error)(str(error).replace(str(draft), str(target))) from error
    except (OSError, sqlite3.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise StoreError(f"{target}: cannot be written ({reason}); free disk space or name another folder") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _put_in_place(draft: Path, target: Path) -> None:
    """Give the capsule its name in one step. Its files are on the disk by then."""
    atomic_output.sync_below(draft)
    if target.is_dir():
        target.rmdir()
    draft.rename(target)
    atomic_output.sync_names(target.absolute().parent)


def _recorded(db: Path, entry: CapsuleRow) -> str | None:
    """Note the capsule in the database; a sentence where that was not possible."""
    try:
        writer.record_capsule(db, entry)
    except StoreError as error:
        return f"The digest could not be noted in the database, so keep it yourself: {error}"
    return None


def _storable(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode("utf-8", "surrogateescape"))


def _write_json(path: Path, values: Any) -> None:
    _write_text(path, json.dumps(values, ensure_ascii=False, indent=2) + "\n")
