"""The working database → an immutable copy with its site, swapped in while the last one is served.

`publish` writes a folder that serves itself: the public part of the database, compact and analysed; the site's files; the
`evidence` that its plugins call; `start`, a Dockerfile and a systemd unit. It reads the working database and never changes
it, and it touches nothing in the target but what it made.

    DIR/current -> versions/20261124T120000Z     the link that is replaced, in one step
    DIR/versions/…                               the new copy and the one before it

Long for a module: what is public and how it is swapped in are one promise, and belong on one page.
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
from typing import Any, Literal

import yaml
from filelock import FileLock, Timeout
from sqlite_utils import Database

from evidence import DISTRIBUTION, INSTALL, strict_yaml
from evidence.database import connection, queries, schema
from evidence.errors import BusyError, ConfigError, StoreError
from evidence.export import output_file
from evidence.harvest import sources
from evidence.publish import precomputed, serve

MARKER = ".made-by-evidence-publish"
"""The file by which a folder is known to be ours to change."""

LEFT_OUT = {("snapshots", "message"): "json_object('DOI', doi)", ("rejects", "message"): "'{}'"}
"""Columns that are not published, and what stands there instead: Crossref has the records themselves, and they are most of a
working database. The rows stay, so that versions, counts and views are as they were."""

KEPT_HOME = ("announced", "unannounced")
"""Tables whose rows the next run needs and no reader does; `changes` says what they led to."""

INDEXES = {
    "published_lists": "works (verdict, year, doi, first_run, changed_run, notice, judged_on, conflict)",
    "published_newest": "works (year desc, doi, verdict)",
    "published_titles": "works (title, doi)",
    "published_cited": "works (cited_by desc, doi)",
    "published_runs": "works (first_run)",
    "published_sightings": "sightings (source, first_run, doi)",
    "published_decided": "works (doi) where decided = 'person'",
    "published_tagged": "tags (doi) where decided = 'person'",
}
"""What a file that is never written to can afford: the columns that lists, facets and counts ask for, without the abstracts
between them. At 100,000 works they are 6 % of the file. The site's lists end every order in a work's key, or an index on a
column with ties would make pages overlap."""

WARM = (
    "/",
    "/evidence/works",
    "/evidence/works?verdict=include",
    "/prisma",
    "/changes",
    "/method",
)
"""Pages that the server computes once and then has in its cache (`evidence.publish.cache`)."""

_VERSION = re.compile(r"\.?\d{8}T\d{6}Z(?:-\d+)?")
"""How versions are named; with a dot while they are being written."""
_SAID_INSTEAD = "Left out of the published copy: Crossref has the record."
_SIGNED = re.compile(r"(.*?)( decided this on \d{4}-\d{2}-\d{2}: )(.*)", re.DOTALL)
_TOLD = re.compile(r"(.*?)(: )(.*)", re.DOTALL)
"""How `judge` signs a person's verdict on a work, and `sync` a person's word on a pair: name, what follows it, the reason."""
_SOMEBODY = "A reviewer"
_LOOK_AGAIN = "People should look again at what was decided here."


@dataclass(frozen=True, slots=True)
class Published:
    """A copy that is in place. `folder` is the new version, which the link `current` leads to; `works` is how many it has,
    `size` its database's bytes; `removed` are the versions that were pruned, `stuck` those that could not be, each with the
    system's reason; `unfinished` is the run that was under way."""

    folder: Path
    current: Path
    works: int
    size: int
    removed: tuple[str, ...]
    stuck: tuple[tuple[str, str], ...]
    unfinished: int | None


def publish(
    db: Path,
    target: Path,
    *,
    decisions: Path | None = None,
    reviewers: Literal["named", "hidden"] = "named",
    sources: Path | None = None,
    now: Callable[[], datetime],
) -> Published:
    """Write a new version of the site below `target` and lead `current` to it.

    `decisions` is the ledger, which stays where it is; when reviewers are "hidden" it knows their names. `sources` is
    the sources.yaml whose claims the site shows (None: none); it is published without the contact address.

    A sync may be under way: the copy holds the pages that had landed when it began, each whole, and the sync is not held up.
    ConfigError when there is no database or the target is not ours to write to, BusyError when somebody else is publishing
    there, StoreError when the database is damaged or the target cannot be written; then everything there is as it was.
    """
    queries.connect(db, older=True).close()
    claims = None if sources is None else _without_contact(sources)
    if decisions:
        queries.check_ledger(decisions)
    said = queries.words(decisions) if decisions and reviewers == "hidden" else ()
    names = sorted({word.reviewer for word in said}) if reviewers == "hidden" else None
    with _ours(target), _explained(db, target):
        versions = target / "versions"
        _remove(path for path in _made(versions) if path.name.startswith("."))
        name = _unused(versions, now().astimezone(UTC).strftime("%Y%m%dT%H%M%SZ"))
        unfinished = versions / f".{name}"
        unfinished.mkdir()
        try:
            works, run = copy(db, unfinished / "evidence.db", hidden=names)
            _write_site(unfinished, target, claims)
            size = (unfinished / "evidence.db").stat().st_size
            before = _swap(target, unfinished, name)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        # From here on the new version is served: what cannot be tidied up is told, and is no failure.
        removed, stuck = _remove(path for path in _made(versions) if path.name not in {name, before})
    folder = versions / name
    return Published(folder, target / "current", works, size, removed, stuck, run)


# ---------------------------------------------------------------------- the database


def copy(source: Path, copied: Path, *, hidden: Sequence[str] | None) -> tuple[int, int | None]:
    """Write the public part of `source` to the new file `copied`; returns its works and the run under way, if any.

    `hidden` None leaves reviewers named; else no signature stays, and these names are taken out of the reasons they gave.
    The rows go to a draft in one read transaction, so that what is left out was never in the file; `VACUUM INTO` makes the
    draft compact. Its full text is checked afterwards: VACUUM may number rows anew, and the index goes by their numbers.
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
        # A database that an older version made is brought to today's schema here; the working one stays as it is.
        schema.evidence.apply(Database(conn, execute_plugins=False))
        conn.execute("begin")
        if hidden is not None:
            _hide(conn, hidden)
        for table in KEPT_HOME:  # which the migration of an older database fills
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
        precomputed.add(conn, _about(serve.site_folder())["databases"]["evidence"])
        conn.execute("commit")
        conn.execute("vacuum into ?", (str(copied.absolute()),))
    draft.unlink()
    with closing(sqlite3.connect(copied, isolation_level=None)) as conn:
        # An immutable file must not be in WAL mode: its readers would look for a log beside it.
        (mode,) = conn.execute("pragma journal_mode = delete").fetchone()
        if mode != "delete":
            raise StoreError(f"{copied}: stays in journal mode {mode}; report this, it should not be possible")
        conn.execute("insert into works_fts (works_fts) values ('integrity-check')")
        (works,) = conn.execute("select count(*) from works").fetchone()
        (run,) = conn.execute("select max(run) from runs where outcome = 'running'").fetchone()
    with copied.open("rb") as file:
        os.fsync(file.fileno())  # or a power cut could leave `current` leading to pages that were never on the disk
    return int(works), run


def _copy_rows(conn: sqlite3.Connection, source: Path) -> None:
    """Tables, rows and indexes of `working`; the full-text table empty, its hidden tables and the views not."""
    made = conn.execute("select type, name, sql from working.sqlite_master where sql is not null").fetchall()
    virtual = {name for _, name, sql in made if sql.lower().startswith("create virtual table")}
    hidden = tuple(f"{name}_" for name in virtual)
    kept = [row for row in made if not row[1].startswith(("sqlite_", *hidden))]
    tables = [name for kind, name, _ in kept if kind == "table" and name not in virtual]
    _check_not_newer(conn, source, tables)
    for kind, _, sql in kept:
        if kind == "table":
            conn.execute(sql)
    for table in tables:
        if table in KEPT_HOME:
            continue
        columns = [name for _, name, *_ in conn.execute(f'pragma working.table_info("{table}")')]
        values = ", ".join(LEFT_OUT.get((table, column), f'"{column}"') for column in columns)
        conn.execute(f'insert into main."{table}" select {values} from working."{table}"')  # noqa: S608 - names of ours
    for kind, _, sql in kept:
        if kind == "index":
            conn.execute(sql)


def _check_not_newer(conn: sqlite3.Connection, source: Path, tables: Sequence[str]) -> None:
    """Once more inside the transaction: a newer version may have brought the working database up since it was opened."""
    applied = conn.execute("select name from working._sqlite_migrations") if "_sqlite_migrations" in tables else ()
    connection.refuse_newer(source, schema.evidence, (name for (name,) in applied))


def _hide(conn: sqlite3.Connection, names: Sequence[str]) -> None:
    """Reviewers' names out of everything that people's words were made into; days and reasons stay where they can."""
    decided = conn.execute("select doi, why from main.works where decided = 'person'").fetchall()
    pairs = conn.execute("select doi, other, reason from main.duplicates where decided = 'person'").fetchall()
    signed = {found[1] for _, why in decided if (found := _SIGNED.fullmatch(why))}
    signed |= {found[1] for *_, reason in pairs if (found := _TOLD.fullmatch(reason))}
    signed |= {name for (name,) in conn.execute("select distinct reviewer from main.decisions")}
    everybody = sorted({name for name in (*names, *signed) if name.strip()}, key=len, reverse=True)
    conn.executemany(
        "update main.works set why = ? where doi = ?",
        [(_unsigned(_SIGNED, why, everybody), doi) for doi, why in decided],
    )
    conn.executemany(
        "update main.duplicates set reason = ? where doi = ? and other = ?",
        [(_unsigned(_TOLD, reason, everybody), doi, other) for doi, other, reason in pairs],
    )
    conn.execute(f"update main.works set conflict = '{_LOOK_AGAIN}' where conflict is not null")  # noqa: S608 - ours
    conn.execute(f"update main.changes set after = '{_LOOK_AGAIN}' where what = 'reopened'")  # noqa: S608 - ours
    words = conn.execute("select decision, reason from main.decisions").fetchall()
    conn.executemany(
        "update main.decisions set reviewer = ?, reason = ? where decision = ?",
        [(_SOMEBODY, _unnamed(reason, everybody), decision) for decision, reason in words],
    )
    conn.execute("delete from main.reasons where field = 'person'")


def _unsigned(shape: re.Pattern[str], said: str, names: Iterable[str]) -> str:
    """`said` without its signature and without these names; a sentence of another shape is not trusted, and goes."""
    found = shape.fullmatch(said)
    if found is None:
        return f"{_SOMEBODY} decided this."
    return f"{_SOMEBODY}{found[2]}{_unnamed(found[3], names)}"


def _unnamed(reason: str, names: Iterable[str]) -> str:
    for name in names:
        reason = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", _SOMEBODY.lower(), reason)
    return reason


# ---------------------------------------------------------------------- the site around it


def _write_site(folder: Path, target: Path, claims: str | None) -> None:
    """Everything beside the database. `folder` is where it is written, `target` where it will be found."""
    # What is published can be read and nothing else: the reviewer's desk stays at home.
    junk = shutil.ignore_patterns("__pycache__", "*.pyc", "*desk*")
    site = serve.site_folder()
    shutil.copytree(site, folder / "site", ignore=junk)
    package = Path(__file__).resolve().parents[1]
    # The bundled snapshot is for `evidence demo`, and the wheel's own copy of the site is beside us already.
    junk = shutil.ignore_patterns("__pycache__", "*.pyc", "snapshot", "site")
    shutil.copytree(package, folder / "code" / "evidence", ignore=junk)
    _describe(folder)
    if claims is not None:
        (folder / "sources.yaml").write_text(claims, encoding="utf-8")
    (folder / "requirements.txt").write_text("".join(f"{pin}\n" for pin in requirements()), encoding="utf-8")
    forms = package / "publish" / "hosting"
    fill(
        forms / "start.sh",
        folder / "start",
        python=_quoted(sys.executable),
        options=_options(site),
        warm=" ".join(map(_quoted, WARM)),
    )
    shutil.copy(forms / "warm.py", folder / "warm.py")
    fill(forms / "Dockerfile", folder / "Dockerfile", version="{}.{}".format(*sys.version_info))
    begins = str(target.absolute() / "current" / "start").replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    fill(forms / "evidence-site.service", folder / "evidence-site.service", start=f'"{begins.replace("$", "$$")}"')
    _inspect(folder)


def fill(form: Path, made: Path, **blanks: str) -> None:
    """Write `form` to `made` with each `@blank@` filled in."""
    text = form.read_text(encoding="utf-8")
    for name, value in blanks.items():
        text = text.replace(f"@{name}@", value)
    made.write_text(text, encoding="utf-8")


def requirements() -> list[str]:
    """What the site needs to be installed, at the versions it was published with: ours, and Datasette's plugins."""
    try:
        needed = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        raise ConfigError(f"evidence is not installed here, only its files are; {INSTALL}") from None
    names = [re.split(r"[^\w.-]", need, maxsplit=1)[0] for need in needed if "extra ==" not in need]
    plugins = {point.dist.name for point in importlib.metadata.entry_points(group="datasette") if point.dist}
    plugins.discard("datasette-auth-passwords")  # for the desk alone, and it brings a form that takes passwords
    return [f"{name}=={importlib.metadata.version(name)}" for name in sorted({*names, *plugins}, key=str.lower)]


def _options(site: Path) -> str:
    """`serve`'s own command line for a public, immutable database, but with this folder's files; as words of a shell."""
    line = serve.command(Path("evidence.db"), "", 0, open_browser=False, immutable=True, public=True)
    words = line[line.index("serve") + 1 :]
    for option in ("--host", "--port"):
        at = words.index(option)
        del words[at : at + 2]
    words = [_quoted(word.replace(str(site), "site")) for word in (*words, "--inspect-file", "inspect.json")]
    return " ".join(words).replace(" --", " \\\n    --")


def _quoted(word: str) -> str:
    return '"' + re.sub(r'([\\"$`])', r"\\\1", word) + '"' if re.search(r"[^\w./:-]", word) else word


def _describe(folder: Path) -> None:
    """Say beside the columns that are left out that they are, and let the queries read what was computed in advance."""
    about = _about(folder / "site")
    ours = about["databases"]["evidence"]
    for table, column in LEFT_OUT:
        ours["tables"][table]["columns"][column] = _SAID_INSTEAD
    with closing(queries.connect(folder / "evidence.db")) as conn:
        precomputed.describe(conn, ours)
    text = yaml.safe_dump(about, allow_unicode=True, sort_keys=False, width=120)
    (folder / "site" / "metadata.yaml").write_text(text, encoding="utf-8")


def _about(site: Path) -> dict[str, Any]:
    """What the site says of its tables and ready-made queries."""
    about: dict[str, Any] = yaml.safe_load((site / "metadata.yaml").read_text(encoding="utf-8"))
    return about


def _without_contact(path: Path) -> str:
    """sources.yaml for everybody: checked, and without the address that is for Crossref alone; comments go too."""
    sources.load(path)
    data = strict_yaml.read(path).data
    return yaml.safe_dump(
        {key: value for key, value in data.items() if key != "contact"}, allow_unicode=True, sort_keys=False
    )


def _inspect(folder: Path) -> None:
    """Count every table once, so that the server need not at each start."""
    command = [sys.executable, "-m", "datasette", "inspect", "evidence.db", "--inspect-file", "inspect.json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        raise StoreError(f"{folder}: datasette cannot read the copy: {done.stderr.strip()[-500:]}")


# ---------------------------------------------------------------------- the folder


@contextmanager
def _ours(target: Path) -> Iterator[None]:
    """Hold `target` as the only publisher. A folder made for this and left without a version goes again."""
    if target.is_file():
        raise ConfigError(f"{target}: is a file; name a folder to publish into")
    if target.is_dir() and not (target / MARKER).is_file() and any(target.iterdir()):
        raise ConfigError(f"{target}: holds other files; name an empty folder, or one that `evidence publish` made")
    made = not target.exists()
    try:
        (target / "versions").mkdir(parents=True, exist_ok=True)
        output_file.write_whole(
            target / MARKER, [b"`evidence publish` writes this folder and removes old versions in it.\n"]
        )
        lock = FileLock(target / ".lock")
        lock.acquire(timeout=0)
    except Timeout:
        raise BusyError(
            f"{target}: another evidence publish is at work there; try again when it has finished"
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
            with suppress(OSError):  # somebody else's files lie there: they stay, and so do the folders
                (target / "versions").rmdir()
                if made:
                    target.rmdir()


@contextmanager
def _explained(db: Path, target: Path) -> Iterator[None]:
    """What SQLite and the system say, as StoreError with the remedy."""
    try:
        yield
    except sqlite3.Error as error:
        if "malformed" in str(error) or "not a database" in str(error):
            raise StoreError(f"{db}: the database is damaged ({error}); `evidence sync` says what to do") from error
        if "disk" in str(error):
            raise StoreError(f"{target}: cannot be written ({error}); make room there and publish again") from error
        raise StoreError(f"{db}: cannot be published to {target}: SQLite says: {error}") from error
    except OSError as error:
        raise StoreError(
            f"{target}: cannot be written ({error.strerror}: {error.filename}); nothing was changed"
        ) from error


def _unused(versions: Path, name: str) -> str:
    """`name`, or with a number when there was a version in this second already."""
    number, wanted = 1, name
    while any(os.path.lexists(versions / name) for name in (wanted, f".{wanted}")):
        number += 1
        wanted = f"{name}-{number}"
    return wanted


def _swap(target: Path, unfinished: Path, name: str) -> str | None:
    """Give the version its name and lead `current` to it, each in one step; returns the version it led to before."""
    current, link = target / "current", target / ".next"
    before = current.readlink().name if current.is_symlink() else None
    finished = unfinished.rename(unfinished.with_name(name))
    try:
        link.unlink(missing_ok=True)
        link.symlink_to(Path("versions") / name)
        link.replace(current)
    except OSError:
        shutil.rmtree(finished)
        link.unlink(missing_ok=True)
        raise
    return before


def _made(versions: Path) -> list[Path]:
    """The versions that `publish` made, whole or (with a dot) left half-done; what else lies there is not ours."""
    return sorted(
        path for path in versions.iterdir() if _VERSION.fullmatch(path.name) and path.is_dir() and not path.is_symlink()
    )


def _remove(versions: Iterable[Path]) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Remove versions that nobody is served; returns those that are gone, and those that stay with the reason."""
    gone, stuck = [], []
    for path in versions:
        try:
            shutil.rmtree(path)
            gone.append(path.name)
        except OSError as error:
            stuck.append((path.name, error.strerror or str(error)))
    return tuple(gone), tuple(stuck)
