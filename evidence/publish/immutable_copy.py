"""Publishes the site: an immutable copy of the working database with the files that serve it.

`publish` writes a folder with the public part of the database, compact and analysed; the site's files; the `evidence` package
that its plugins call; `start`, a Dockerfile and a systemd unit. It never changes the working database, and it changes nothing in
the target folder that it did not write. A server that runs from the folder switches to the new copy by itself.

    DIR/current -> versions/20261124T120000Z     the link, replaced in one step
    DIR/versions/…                               the new copy and the one before it

What is public and how it is published are kept in one module so that they can be reviewed as a whole.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import yaml
from filelock import FileLock, Timeout
from sqlite_utils import Database

from evidence import DISTRIBUTION, INSTALL, strict_yaml
from evidence.data_model import Doi
from evidence.database import connection, rewound, schema
from evidence.database.connection import open_evidence
from evidence.database.read_decisions import check_ledger, read_ledger
from evidence.errors import BusyError, ConfigError, StoreError
from evidence.export import abstract_rights, atomic_output
from evidence.harvest import sources
from evidence.publish import precomputed_counts, serve, site_metadata

MARKER = ".made-by-evidence-publish"
"""The file that marks a folder that `publish` may change."""

LEFT_OUT = {
    ("snapshots", "message"): "iif(json_extract(message, '$.imported') is null, json_object('DOI', doi), "
    "json_object(iif(doi like 'local-%', 'local-id', 'DOI'), doi, 'imported', json('true')))",
    ("rejects", "message"): "'{}'",
    ("provider_records", "message"): "''",
    ("imported_records", "message"): "''",
}
"""Columns that are not published, and the SQL of the value published instead. Crossref and the other providers have the records
themselves, and they are most of a working database. The rows are copied, so that versions, counts and views are unchanged."""

ONLY_PUBLISHED = {
    "exports": "kind = 'publish'",
    "exported_works": "list in (select export from working.exports where kind = 'publish')",
    "capsules": "kind = 'public'",
}
"""Tables of which only these rows are published: the names and filters of exported files, and of capsules for oneself, are the
reviewers' own."""

NOT_COPIED = ("announced", "unannounced", *schema.WORKING_TABLES)
"""Tables whose rows are not published: only the next run needs them. The table `changes` has what they led to."""

OWN_TABLES = ("works_fts", "_sqlite_migrations")
"""Tables of a copy besides those of the schema's lists; a table that is in neither is not published."""

INDEXES = {
    "published_lists": "works (verdict, year, doi, first_run, changed_run, notice, judged_on, conflict)",
    "published_newest": "works (year desc, doi, verdict)",
    "published_titles": "works (title, doi)",
    "published_cited": "works (cited_by desc, doi)",
    "published_runs": "works (first_run)",
    "published_sightings": "sightings (source, first_run, doi, last_run)",
    "published_decided": "works (doi) where decided = 'person'",
    "published_tagged": "tags (doi) where decided = 'person'",
}
"""Indexes of the copy, on the columns that lists, facets and counts read, so that SQLite need not read past the abstracts. At
100,000 works they are 6 % of the file. Every list of the site is ordered by a work's key last; otherwise an index on a column
with equal values would make its pages overlap."""

WARM = (
    "/",
    "/evidence/works",
    "/evidence/works?verdict=include",
    "/prisma",
    "/changes",
    "/method",
    "/search?q=therapy",
    "/currency",
)
"""Pages that the server computes once and then has in its cache (`evidence.publish.query_cache`)."""

_VERSION = re.compile(r"\.?\d{8}T\d{6}Z(?:-\d+)?")
"""Name of a version; it begins with a dot while the version is being written."""
_LEFT_OUT_NOTE = "Left out of the published copy: Crossref has the record."
_PROVIDER_NOTE = "Left out of the published copy: the provider has the record."
_SIGNED = re.compile(r"(.*?)( decided this on \d{4}-\d{2}-\d{2}: )(.*)", re.DOTALL)
_SIGNED_PAIR = re.compile(r"(.*?)(: )(.*)", re.DOTALL)
"""How a person's verdict on a work is signed in `works.why`, and a decision on a pair in `duplicates.reason`: the name, the text
after it, the reason."""
_ANONYMOUS = "A reviewer"
_CONFLICT = "The decisions on this work need a second look."


@dataclass(frozen=True, slots=True)
class Published:
    """A published copy. `folder` is the new version, `current` the link to it; `works` is the number of works, `size` the bytes
    of the database; `removed` are the old versions that were deleted, `stuck` those that could not be, each with the system's
    error; `unfinished` is the number of a run that had not finished, or None; `included` are the included works."""

    folder: Path
    current: Path
    works: int
    size: int
    removed: tuple[str, ...]
    stuck: tuple[tuple[str, str], ...]
    unfinished: int | None
    included: tuple[Doi, ...]


def publish(
    db: Path,
    target: Path,
    *,
    decisions: Path | None = None,
    reviewers: Literal["named", "hidden"] = "named",
    sources: Path | None = None,
    now: Callable[[], datetime],
) -> Published:
    """Write a new version of the site into `target` and point `current` to it.

    `decisions` is the decisions database; it is not published, but read for the names to remove when `reviewers` is "hidden".
    `sources` is the sources.yaml whose fact-checked claims the site shows (None: no claims); it is published without the contact
    address.

    A sync may be running: the copy has every transaction that was committed when it began, and the sync need not wait.
    ConfigError when there is no database or `target` is not a folder of this program, BusyError when another process publishes
    there, StoreError when the database is damaged or the target cannot be written. After an error the target is unchanged.
    """
    rewound.refuse(db)
    open_evidence(db, older=True).close()
    claims = None if sources is None else without_contact(sources)
    if decisions:
        check_ledger(decisions)
    names: list[str] | None = None
    if reviewers == "hidden":
        names = sorted({decision.reviewer for decision in read_ledger(decisions)} if decisions else ())
    with _locked_target(target), _translated_errors(db, target):
        versions = target / "versions"
        _remove(path for path in _version_folders(versions) if path.name.startswith("."))
        name = _unused_name(versions, now().astimezone(UTC).strftime("%Y%m%dT%H%M%SZ"))
        unfinished = versions / f".{name}"
        unfinished.mkdir()
        try:
            works, run = copy(db, unfinished / "evidence.db", hidden=names)
            _write_site(unfinished, target, claims)
            size = (unfinished / "evidence.db").stat().st_size
            included = _included(unfinished / "evidence.db")
            before = _swap(target, unfinished, name)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        # The new version is being served from here on. Failing to delete an old one is reported, but is not an error.
        removed, stuck = _remove(path for path in _version_folders(versions) if path.name not in {name, before})
    folder = versions / name
    return Published(folder, target / "current", works, size, removed, stuck, run, included)


# ---------------------------------------------------------------------- the database


def copy(source: Path, copied: Path, *, hidden: Sequence[str] | None) -> tuple[int, int | None]:
    """Write the public part of `source` to the new file `copied`; returns the number of works and the unfinished run, if any.

    `hidden` None leaves reviewers named; otherwise every signature is removed, and so are these names from the reasons. The rows
    are copied to a draft in one read transaction, so the draft never holds what is left out; `VACUUM INTO` makes it compact. The
    full-text index is made from what was copied. It is checked afterwards, because it refers to row numbers and VACUUM may change
    them.
    """
    draft = copied.with_suffix(".draft")
    with closing(sqlite3.connect(draft.absolute().as_uri(), uri=True, isolation_level=None)) as conn:
        conn.execute("pragma journal_mode = off")
        conn.execute("pragma synchronous = off")
        conn.execute("attach ? as working", (f"{source.absolute().as_uri()}?mode=ro",))
        conn.execute("begin")
        _copy_rows(conn, source)
        conn.execute("commit")
        conn.execute("detach working")
        # A database of an older version is migrated in the copy; the working database stays unchanged.
        schema.evidence.apply(Database(conn, execute_plugins=False))
        conn.execute("begin")
        _drop_other_tables(conn)
        if hidden is not None:
            _hide_reviewers(conn, hidden)
        for table in NOT_COPIED:  # the migration of an older database fills them
            conn.execute(f"delete from {table}")  # noqa: S608 - our own names
        schema.make_views(conn)
        conn.execute("commit")
        conn.execute(f"pragma application_id = {schema.APPLICATION_ID}")
        conn.execute("insert into works_fts (works_fts) values ('rebuild')")
        conn.execute("insert into works_fts (works_fts) values ('optimize')")
        for index, columns in INDEXES.items():
            conn.execute(f"create index {index} on {columns}")
        conn.execute("analyze")
        conn.execute("begin")
        metadata = site_metadata.read(serve.site_folder(), schema.read_topic(conn))
        precomputed_counts.add(conn, metadata["databases"]["evidence"])
        conn.execute("commit")
        conn.execute("vacuum into ?", (str(copied.absolute()),))
    draft.unlink()
    with closing(sqlite3.connect(copied, isolation_level=None)) as conn:
        # An immutable file must not be in WAL mode: SQLite would look for a log file beside it.
        (mode,) = conn.execute("pragma journal_mode = delete").fetchone()
        if mode != "delete":
            raise StoreError(f"{copied}: stays in journal mode {mode}; please report this as a bug")
        conn.execute("insert into works_fts (works_fts) values ('integrity-check')")
        (works,) = conn.execute("select count(*) from works").fetchone()
        (run,) = conn.execute("select max(run) from runs where outcome = 'running'").fetchone()
    return int(works), run


def _included(copied: Path) -> tuple[Doi, ...]:
    """The included works of a copy."""
    with closing(open_evidence(copied)) as conn:
        return tuple(Doi(doi) for (doi,) in conn.execute("select doi from works where verdict = 'include'"))


def _copy_rows(conn: sqlite3.Connection, source: Path) -> None:
    """Copy tables, rows and indexes of the attached database `working`. The full-text table is created empty; its shadow tables
    and the views are not copied. Of the works, abstracts that may not be passed on are not copied."""
    made = conn.execute("select type, name, sql from working.sqlite_master where sql is not null").fetchall()
    virtual = {name for _, name, sql in made if sql.lower().startswith("create virtual table")}
    shadow = tuple(f"{name}_" for name in virtual)
    kept = [row for row in made if not row[1].startswith(("sqlite_", *shadow))]
    tables = [name for kind, name, _ in kept if kind == "table" and name not in virtual]
    _check_not_newer(conn, source, tables)
    _list_withheld(conn)
    for kind, _, sql in kept:
        if kind == "table":
            conn.execute(sql)
    left_out = LEFT_OUT | {("works", "abstract"): "iif(doi in (select doi from temp.withheld), null, abstract)"}
    for table in tables:
        if table in NOT_COPIED:
            continue
        columns = [name for _, name, *_ in conn.execute(f'pragma working.table_info("{table}")')]
        values = ", ".join(left_out.get((table, column), f'"{column}"') for column in columns)
        rows = f'"{table}" where {ONLY_PUBLISHED.get(table, "true")}'
        conn.execute(f'insert into main."{table}" select {values} from working.{rows}')  # noqa: S608 - names of ours
    for kind, _, sql in kept:
        if kind == "index":
            conn.execute(sql)


def _drop_other_tables(conn: sqlite3.Connection) -> None:
    """Remove every table that is not one of this program's: another tool, such as a plugin, may have made it in the working
    database, and nobody has said that it is public. Done after the migration, which may need tables of an older version."""
    ours = {*schema.RECORD_TABLES, *schema.DERIVED_TABLES, *schema.WORKING_TABLES, *OWN_TABLES}
    made = conn.execute("select name, sql from main.sqlite_master where type = 'table'").fetchall()
    virtual = [name for name, sql in made if (sql or "").lower().startswith("create virtual table")]
    shadow = tuple(f"{name}_" for name in virtual)
    for name, _ in made:
        if name not in ours and not name.startswith(("sqlite_", *shadow)):
            conn.execute('drop table main."{}"'.format(name.replace('"', '""')))


def _list_withheld(conn: sqlite3.Connection) -> None:
    """Fill the temporary table `withheld` with the works whose abstract may not be passed on. Called while `main` has no tables,
    so that the names mean those of `working`."""
    conn.execute("create temp table withheld (doi text primary key not null)")
    columns = {name for _, name, *_ in conn.execute("pragma working.table_info(works)")}
    if "abstract_source" in columns:  # before there was this column, every abstract was one deposited with Crossref
        conn.executemany("insert into withheld values (?)", [(doi,) for doi in abstract_rights.withheld(conn)])


def _check_not_newer(conn: sqlite3.Connection, source: Path, tables: Sequence[str]) -> None:
    """StoreError for a database of a newer version. It is checked inside the transaction too, because another program may have
    migrated the working database since it was opened."""
    applied = conn.execute("select name from working._sqlite_migrations") if "_sqlite_migrations" in tables else ()
    connection.refuse_newer(source, schema.evidence, (name for (name,) in applied))


def _hide_reviewers(conn: sqlite3.Connection, names: Sequence[str]) -> None:
    """Remove reviewers' names from everything that was derived from their decisions. Dates are kept, and reasons if their form is
    known."""
    decided = conn.execute("select doi, why from main.works where decided = 'person'").fetchall()
    pairs = conn.execute("select doi, other, reason from main.duplicates where decided = 'person'").fetchall()
    signed = {found[1] for _, why in decided if (found := _SIGNED.fullmatch(why))}
    signed |= {found[1] for *_, reason in pairs if (found := _SIGNED_PAIR.fullmatch(reason))}
    signed |= {name for (name,) in conn.execute("select distinct reviewer from main.decisions")}
    signed |= {name for (name,) in conn.execute("select made_by from main.versions where made_by is not null")}
    everybody = sorted({name for name in (*names, *signed) if name.strip()}, key=len, reverse=True)
    conn.executemany(
        "update main.works set why = ? where doi = ?",
        [(_without_signature(_SIGNED, why, everybody), doi) for doi, why in decided],
    )
    conn.executemany(
        "update main.duplicates set reason = ? where doi = ? and other = ?",
        [(_without_signature(_SIGNED_PAIR, reason, everybody), doi, other) for doi, other, reason in pairs],
    )
    conn.execute(f"update main.works set conflict = '{_CONFLICT}' where conflict is not null")  # noqa: S608 - ours
    conn.execute(f"update main.changes set after = '{_CONFLICT}' where what = 'reopened'")  # noqa: S608 - ours
    reasons = conn.execute("select decision, reason from main.decisions").fetchall()
    conn.executemany(
        "update main.decisions set reviewer = ?, reason = ? where decision = ?",
        [(_ANONYMOUS, _without_names(reason, everybody), decision) for decision, reason in reasons],
    )
    conn.execute("delete from main.reasons where field = 'person'")
    excluded = conn.execute(
        "select rowid, why from main.verdict_history where decided = 'person' and why is not null"
    ).fetchall()
    conn.executemany(
        "update main.verdict_history set why = ? where rowid = ?",
        [(_without_names(reason, everybody), row) for row, reason in excluded],
    )
    _hide_makers_of_versions(conn, everybody)


def _hide_makers_of_versions(conn: sqlite3.Connection, names: Sequence[str]) -> None:
    """Remove who made a version, and reviewers' names from its note."""
    versions = conn.execute("select version, made_by, note from main.versions").fetchall()
    conn.execute("drop trigger if exists main.versions_stay_update")  # only a copy that was migrated has it
    conn.executemany(
        "update main.versions set made_by = ?, note = ? where version = ?",
        [
            (made_by and _ANONYMOUS, note and _without_names(note, names), version)
            for version, made_by, note in versions
        ],
    )


def _without_signature(form: re.Pattern[str], sentence: str, names: Iterable[str]) -> str:
    """The sentence without its signature and without these names. A sentence of another form is replaced as a whole."""
    found = form.fullmatch(sentence)
    if found is None:
        return f"{_ANONYMOUS} decided this."
    return f"{_ANONYMOUS}{found[2]}{_without_names(found[3], names)}"


def _without_names(reason: str, names: Iterable[str]) -> str:
    for name in names:
        reason = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", _ANONYMOUS.lower(), reason)
    return reason


# ---------------------------------------------------------------------- the site around it


def _write_site(folder: Path, target: Path, claims: str | None) -> None:
    """Write everything except the database into `folder`, which will be served from `target`."""
    # A published site is read-only, so the reviewer's desk is not copied.
    junk = shutil.ignore_patterns("__pycache__", "*.pyc", "*desk*")
    site = serve.site_folder()
    shutil.copytree(site, folder / "site", ignore=junk)
    package = Path(__file__).resolve().parents[1]
    # The bundled snapshot is only for `evidence demo`, and the site of an installed package has been copied above.
    junk = shutil.ignore_patterns("__pycache__", "*.pyc", "bundled_records", "site")
    shutil.copytree(package, folder / "code" / "evidence", ignore=junk)
    _update_metadata(folder)
    if claims is not None:
        (folder / "sources.yaml").write_text(claims, encoding="utf-8")
    (folder / "requirements.txt").write_text("".join(f"{pin}\n" for pin in requirements()), encoding="utf-8")
    hosting = package / "publish" / "hosting"
    fill_template(
        hosting / "start_site.sh",
        folder / "start",
        python=_shell_quoted(sys.executable),
        options=_serve_options(site),
        warm=" ".join(map(_shell_quoted, WARM)),
    )
    shutil.copy(hosting / "warm_pages.py", folder / "warm.py")
    fill_template(hosting / "Dockerfile", folder / "Dockerfile", version="{}.{}".format(*sys.version_info))
    start = str(target.absolute() / "current" / "start").replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    fill_template(
        hosting / "evidence-site.service", folder / "evidence-site.service", start=f'"{start.replace("$", "$$")}"'
    )
    _write_table_counts(folder)


def fill_template(template: Path, output: Path, **values: str) -> None:
    """Write `template` to `output` with each `@name@` replaced by the value of that name."""
    text = template.read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    output.write_text(text, encoding="utf-8")


def requirements() -> list[str]:
    """The lines of requirements.txt: the dependencies of this package and the installed Datasette plugins, each with the version
    that is installed here."""
    try:
        needed = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        raise ConfigError(
            f"evidence is not installed in this Python, so its dependencies are not known; {INSTALL}"
        ) from None
    names = [re.split(r"[^\w.-]", need, maxsplit=1)[0] for need in needed if "extra ==" not in need]
    plugins = {point.dist.name for point in importlib.metadata.entry_points(group="datasette") if point.dist}
    plugins.discard("datasette-auth-passwords")  # only the reviewer's desk needs it, and it adds a password form
    return [f"{name}=={importlib.metadata.version(name)}" for name in sorted({*names, *plugins}, key=str.lower)]


def _serve_options(site: Path) -> str:
    """The options of `serve.command` for a public, immutable database, with the files of the published folder; quoted for sh."""
    line = serve.command(Path("evidence.db"), "", 0, open_browser=False, immutable=True, public=True)
    words = line[line.index("serve") + 1 :]
    for option in ("--host", "--port"):
        at = words.index(option)
        del words[at : at + 2]
    words = [_shell_quoted(word.replace(str(site), "site")) for word in (*words, "--inspect-file", "inspect.json")]
    return " ".join(words).replace(" --", " \\\n    --")


def _shell_quoted(word: str) -> str:
    return '"' + re.sub(r'([\\"$`])', r"\\\1", word) + '"' if re.search(r"[^\w./:-]", word) else word


def _update_metadata(folder: Path) -> None:
    """Describe the left-out columns in the site's metadata.yaml, and let its queries read the precomputed results."""
    with closing(open_evidence(folder / "evidence.db")) as conn:
        about = site_metadata.read(folder / "site", topic := schema.read_topic(conn))
        ours = about["databases"]["evidence"]
        for table, column in LEFT_OUT:
            note = _PROVIDER_NOTE if table == "provider_records" else _LEFT_OUT_NOTE
            ours["tables"][table]["columns"][column] = note
        precomputed_counts.describe(conn, ours, topic)
    text = yaml.safe_dump(about, allow_unicode=True, sort_keys=False, width=120)
    (folder / "site" / "metadata.yaml").write_text(text, encoding="utf-8")


def without_contact(path: Path) -> str:
    """The text of sources.yaml, checked, without the contact address, which is for Crossref only, and without comments."""
    sources.load(path)
    data = strict_yaml.parse_file(path).data
    return yaml.safe_dump(
        {key: value for key, value in data.items() if key != "contact"}, allow_unicode=True, sort_keys=False
    )


def _write_table_counts(folder: Path) -> None:
    """Count the rows of every table once (`datasette inspect`), so that the server need not count at each start."""
    command = [sys.executable, "-m", "datasette", "inspect", "evidence.db", "--inspect-file", "inspect.json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        raise StoreError(f"{folder}: datasette cannot read the copy: {done.stderr.strip()[-500:]}")


# ---------------------------------------------------------------------- the folder


@contextmanager
def _locked_target(target: Path) -> Iterator[None]:
    """Create or check the target folder, and hold its lock. A folder that was created for this and has no version at the end is
    removed again."""
    if target.is_file():
        raise ConfigError(f"{target}: is a file; name a folder to publish into")
    if target.is_dir() and not (target / MARKER).is_file() and any(target.iterdir()):
        raise ConfigError(f"{target}: holds other files; name an empty folder, or one that `evidence publish` made")
    made = not target.exists()
    try:
        (target / "versions").mkdir(parents=True, exist_ok=True)
        atomic_output.write_whole(
            target / MARKER, [b"`evidence publish` writes this folder and removes old versions in it.\n"]
        )
        lock = FileLock(target / ".lock")
        lock.acquire(timeout=0)
    except Timeout:
        raise BusyError(
            f"{target}: another `evidence publish` is running there; try again when it has finished"
        ) from None
    except OSError as error:
        raise StoreError(f"{target}: cannot be written ({error.strerror}); check its place and permissions") from None
    try:
        yield
    finally:
        lock.release()
        if not (target / "current").is_symlink():
            for path in (target / ".lock", target / MARKER):
                path.unlink(missing_ok=True)
            with suppress(OSError):  # folders that hold other files are not removed
                (target / "versions").rmdir()
                if made:
                    target.rmdir()


@contextmanager
def _translated_errors(db: Path, target: Path) -> Iterator[None]:
    """Turn errors of SQLite and of the system into StoreError with a remedy."""
    try:
        yield
    except sqlite3.Error as error:
        if "malformed" in str(error) or "not a database" in str(error):
            raise StoreError(
                f"{db}: the database is damaged ({error}); run `evidence sync`, which names the remedy"
            ) from error
        if "disk" in str(error):
            raise StoreError(f"{target}: cannot be written ({error}); free disk space and publish again") from error
        raise StoreError(f"{db}: cannot be published to {target}: SQLite error: {error}") from error
    except shutil.Error as error:  # of a whole folder: each of its files with its source, its target and the reason
        raise StoreError(f"{target}: cannot be written ({error.args[0][0][2]}); nothing was changed") from error
    except OSError as error:
        raise StoreError(
            f"{target}: cannot be written ({error.strerror}: {error.filename}); nothing was changed"
        ) from error


def _unused_name(versions: Path, name: str) -> str:
    """`name`, with a number appended if a version of this second exists already."""
    number, free = 1, name
    while any(os.path.lexists(versions / taken) for taken in (free, f".{free}")):
        number += 1
        free = f"{name}-{number}"
    return free


def _swap(target: Path, unfinished: Path, name: str) -> str | None:
    """Give the version its final name and point `current` to it, each in one step; returns the name of the previous version."""
    # Without it, a power cut could leave `current` pointing to a version with empty files.
    atomic_output.sync_below(unfinished)
    current, link = target / "current", target / ".next"
    before = current.readlink().name if current.is_symlink() else None
    finished = unfinished.rename(unfinished.with_name(name))
    try:
        atomic_output.sync_names(finished.parent)
        link.unlink(missing_ok=True)
        link.symlink_to(Path("versions") / name)
        link.replace(current)
        atomic_output.sync_names(target)
    except OSError:
        shutil.rmtree(finished)
        link.unlink(missing_ok=True)
        raise
    return before


def _version_folders(versions: Path) -> list[Path]:
    """The folders of versions that `publish` wrote, including unfinished ones (with a dot)."""
    return sorted(
        path for path in versions.iterdir() if _VERSION.fullmatch(path.name) and path.is_dir() and not path.is_symlink()
    )


def _remove(versions: Iterable[Path]) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Delete versions; returns the names of those deleted, and of those that could not be, each with the system's error."""
    gone, stuck = [], []
    for path in versions:
        try:
            shutil.rmtree(path)
            gone.append(path.name)
        except OSError as error:
            stuck.append((path.name, error.strerror or str(error)))
    return tuple(gone), tuple(stuck)
