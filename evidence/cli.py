"""The command line: each command reads its arguments, makes one call, prints text and sets the exit code.

It may not decide anything about records or works. Results go to stdout, the log to stderr; a progress bar appears on a
terminal only. Each command's help ends with an example, and a test parses every example.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from evidence import __version__
from evidence.database import rewound
from evidence.errors import ConfigError, EvidenceError
from evidence.export import atomic_output
from evidence.export.wording import count_noun

if TYPE_CHECKING:
    import sqlite3

    from evidence.data_model import Doi, ProviderName, VerdictName
    from evidence.evaluation import screening_and_tagging_accuracy
    from evidence.export.columns import Shape
    from evidence.harvest import sources
    from evidence.harvest.chosen_providers import ChosenProviders
    from evidence.harvest.sources import Method
    from evidence.rules.taxonomy import Taxonomy
    from evidence.rules.topic import Topic

# A command imports what it needs when it runs: importing the network, the database and the rules takes longer than most
# commands, and `evidence --help` needs none of them. The names that options may have are written out here for the same reason;
# tests compare them with those that the modules know.

VERDICTS = ("include", "exclude", "unsure")
METHODS = ("database", "register", "website", "organisation", "citation", "other")
SERVICES = ("europepmc", "pubmed", "openalex", "datacite", "clinicaltrials")
REFERENCE_REPORTS = ("text", "json", "csv", "markdown", "html", "sarif")
EXPORTED_VERDICTS = (*VERDICTS, "duplicate", "all")
NOTHING_NEW = 4
"""The exit code of `report changes --exit-code` when nothing is new: one that no failure has."""
VARIABLE = "_EVIDENCE_COMPLETE"
EXPORT_FORMATS = (
    "csv", "xlsx", "ris", "bibtex", "csl-json", "nbib", "endnote-xml", "jsonl", "parquet", "jsonld", "annotations", "asreview",
)  # fmt: skip
SHAPES = ("lists", "wide", "long")
TAXONOMY_FORMATS = ("turtle", "jsonld", "csv")
TOOLS = ("rayyan", "covidence", "asreview", "zotero", "eppi", "metapsy")


@dataclass(frozen=True, slots=True)
class Settings:
    """The options that every command has."""

    db: Path
    decisions: Path
    sources: Path
    quiet: bool


def _output_path(_: click.Context, __: click.Parameter, value: str) -> Path | None:
    return None if value == "-" else Path(value)


def _input_path(ctx: click.Context, _: click.Parameter, value: Any) -> Any:
    """The path of an input file, or of each; stdin (`-`) is copied into a file, whose name says what it seems to hold."""
    if isinstance(value, tuple):
        return tuple(_input_path(ctx, _, one) for one in value)
    return _file_of_stdin(ctx) if value == Path("-") and not ctx.resilient_parsing else value


def _file_of_stdin(ctx: click.Context) -> Path:
    import shutil
    import tempfile

    folder = Path(ctx.with_resource(tempfile.TemporaryDirectory(prefix="evidence-")))
    with (folder / "given").open("w+b") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
        file.seek(0)
        begins = file.read(512).removeprefix(b"\xef\xbb\xbf").lstrip()
    packed = begins.startswith(b"\x1f\x8b")
    kind = ".jsonl" if packed or begins.startswith((b"{", b"[")) else ".xml" if begins.startswith(b"<") else ".csv"
    return (folder / "given").rename(folder / f"stdin{kind}{'.gz' if packed else ''}")


_output = click.option("-o", "--output", "to", type=click.Path(dir_okay=False, readable=False, allow_dash=True), default="-",
                       callback=_output_path, help="Write to this file; default: stdout.")  # fmt: skip
_as_of = click.option("--as-of", metavar="STATE",
                      help="As of a date (YYYY-MM-DD), a version or a run (run:12); default: now.")  # fmt: skip
_as_of_version = click.option(
    "--as-of", metavar="VERSION", help="As of a version (see `evidence version`); default: now."
)
_as_json = click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")


def _complete_tag(ctx: click.Context, option: click.Parameter, incomplete: str) -> list[Any]:
    from evidence import shell_completion

    return shell_completion.tags(ctx, option, incomplete)


def _report(text: str, to: Path | None) -> None:
    """Print a report, or write it to a file."""
    if to is None:
        click.echo(text)
    else:
        atomic_output.write_whole(to, [f"{text}\n".encode(errors="replace")])


def _example(*lines: str) -> str:
    """The end of a command's help: the lines as they are."""
    return "\n".join(("\b", "Example:" if len(lines) == 1 else "Examples:", *(f"  {line}" for line in lines)))


def _quieter(ctx: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked:
        ctx.obj = replace(ctx.obj, quiet=True)
        _log_from(logging.ERROR, ctx)


def _more(ctx: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked:
        _log_from(logging.INFO, ctx)


def _log_from(level: int, ctx: click.Context) -> None:
    """Log from this level until the command ends."""
    root = logging.getLogger()
    before = root.level
    root.setLevel(level)
    ctx.call_on_close(lambda: root.setLevel(before))


def _with_quiet_and_verbose(command: click.Command) -> None:
    """Let a command take -q and -v, too; as each has them, no help lists them again."""
    for names, act in ((("-q", "--quiet"), _quieter), (("-v", "--verbose"), _more)):
        command.params.append(click.Option(names, is_flag=True, expose_value=False, hidden=True, callback=act))


class _Command(click.Command):
    """A command of the program."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        _with_quiet_and_verbose(self)


class _Group(click.Group):
    """A group of commands."""

    command_class = _Command

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        _with_quiet_and_verbose(self)


class _Program(click.Group):
    """The program itself, whose -q and -v are in its help."""

    command_class = _Command
    group_class = _Group


class Bar:
    """`progress.Progress` as a progress bar on stderr; nothing is printed where stderr is not a terminal."""

    def __init__(self, quiet: bool) -> None:
        from tqdm import tqdm

        self._bar = tqdm(disable=quiet or not sys.stderr.isatty(), leave=False, unit="", file=sys.stderr)

    def step(self, label: str, done: int, total: int | None) -> None:
        """Show that `done` of `total` steps (None: unknown) of `label` are done."""
        self._bar.set_description_str(label, refresh=False)
        self._bar.total = total
        self._bar.n = done
        self._bar.refresh()

    def close(self) -> None:
        """Remove the bar."""
        self._bar.close()


@click.group(
    cls=_Program,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=_example("evidence demo", "evidence --db review.db sync --offline"),
)
@click.option("--db", type=click.Path(path_type=Path), default="evidence.db", envvar="EVIDENCE_DB", show_default=True,
              help="The database of harvested records. [env: EVIDENCE_DB]")  # fmt: skip
@click.option("--decisions", type=click.Path(path_type=Path), envvar="EVIDENCE_DECISIONS",
              help="Reviewers' decisions; default: decisions.db beside the database. [env: EVIDENCE_DECISIONS]")  # fmt: skip
@click.option("--sources", type=click.Path(path_type=Path), default="sources.yaml", envvar="EVIDENCE_SOURCES",
              show_default=True, help="The reference lists and searches to harvest. [env: EVIDENCE_SOURCES]")  # fmt: skip
@click.option("-v", "--verbose", is_flag=True, help="Log every request and pause to stderr; also after the command.")
@click.option("-q", "--quiet", is_flag=True, help="Print only results and errors; also after the command.")
@click.version_option(__version__, prog_name="evidence")
@click.pass_context
def cli(ctx: click.Context, db: Path, decisions: Path | None, sources: Path, verbose: bool, quiet: bool) -> None:
    """A living evidence tracker.

    It looks up the references of reviews and runs standing searches through Crossref. It screens and tags every work by rules
    and shows the text behind each tag. Datasette publishes the result.
    """
    level = logging.INFO if verbose else logging.ERROR if quiet else logging.WARNING
    logging.basicConfig(stream=sys.stderr, level=level, format="%(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    ctx.obj = Settings(db, decisions or db.with_name("decisions.db"), sources, quiet)
    if not quiet and (shown := rewound.shown_version(db)) is not None:
        click.echo(f"As of {shown}.", err=True)


@cli.command(epilog=_example("evidence init my-review", "evidence init my-review --topic blank"))
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=".")
@click.option("--topic", "name", metavar="NAME", default="ipt", show_default=True,
              help="A topic that comes with the program, or blank for one of your own.")  # fmt: skip
def init(folder: Path, name: str) -> None:
    """Write a first sources.yaml into FOLDER.

    FOLDER is the current folder unless you name another. Edit the file to name your own reference lists and searches. With
    --topic blank, a folder `topic` with the rules of a topic of your own is written beside it.
    """
    from evidence.export import starter_files

    written = starter_files.write(folder, name)
    them = "it" if len(written) == 1 else "them"
    click.echo(f"Wrote {' and '.join(map(str, written))}. Edit {them}, then: evidence check && evidence sync")


@cli.command(epilog=_example("evidence check --online"))
@click.option("--online", is_flag=True, help="Also ask Crossref how many records each search matches.")
@click.pass_obj
def check(settings: Settings, online: bool) -> None:
    """Check sources.yaml and the rules for mistakes.

    The examples of every value are read too.

    Exit code: 0 when everything is in order, 1 when an example does not get its value, 2 for a mistake in a file. No request
    is sent unless you give --online.
    """
    from evidence.harvest import phrases_and_screening, review_statements, sources
    from evidence.harvest.locked_run import count_matches
    from evidence.publish import watching
    from evidence.rules import taxonomy
    from evidence.rules.value_examples import mistaken_examples

    checked = sources.load(settings.sources)
    topic = sources.topic_of(settings.sources)
    book = taxonomy.load(topic)
    phrases_and_screening.refuse_other_topics(checked, book, settings.sources)
    values = sum(len(facet.values) for facet in book.facets)
    rules = sum(len(verdict.rules) for verdict in book.verdicts.values)
    watching.check(checked.watches, book, settings.sources, settings.db)
    watches = len(checked.watches)
    watched = f", {watches} {'watch' if watches == 1 else 'watches'}" if watches else ""
    click.echo(f"{settings.sources}: {count_noun(len(checked.sources), 'source')}{watched}, no mistakes.")
    click.echo(f"Topic: {topic.id}, {topic.title}.")
    click.echo(
        f"Taxonomy: {count_noun(len(book.facets), 'facet')}, {count_noun(values, 'value')}, "
        f"{count_noun(rules, 'screening rule')}, version {book.digest}."
    )
    if (stated := review_statements.beside(settings.sources)).given:
        click.echo(
            f"{review_statements.FILE}: {count_noun(len(stated.items), 'item')} of PRISMA-S stated, no mistakes."
        )
    mistaken = mistaken_examples(book)
    for sentence in mistaken:
        click.echo(sentence)
    if online:
        for label, count in count_matches(checked, _crossref_url(), _mailto(checked)):
            click.echo(f"{count:>12,}  {label}")
    raise SystemExit(1 if mistaken else 0)


_retraction_watch = click.option(
    "--retraction-watch", type=click.Path(path_type=Path, allow_dash=True), metavar="FILE", callback=_input_path,
    help="Read the notices in the CSV of Retraction Watch; default: the file that sources.yaml names.",
)  # fmt: skip


@cli.command(epilog=_example("evidence sync --offline", "evidence sync --from records.jsonl.gz --json"))
@click.option("--offline", is_flag=True, help="Read the bundled snapshot instead of asking Crossref.")
@click.option("--from", "files", multiple=True, type=click.Path(path_type=Path, allow_dash=True), metavar="FILE",
              callback=_input_path,
              help="Read Crossref records from FILE (.jsonl or .json, plain or .gz; - is stdin); may be repeated.")  # fmt: skip
@click.option(
    "--all", "everything", is_flag=True, help="With --from: take every record, not only those that a source asks for."
)
@click.option(
    "--full",
    is_flag=True,
    help="Ignore where the last sync stopped: harvest every source from its start, read searches twice as deep, and find "
    "records that Crossref no longer has.",
)
@click.option(
    "--enrich/--no-enrich",
    default=True,
    envvar="EVIDENCE_ENRICH",
    show_default=True,
    help="Ask other providers about the works, as sources.yaml says (`enrich:`). [env: EVIDENCE_ENRICH]",
)
@_retraction_watch
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
@click.pass_obj
def sync(
    settings: Settings,
    offline: bool,
    files: tuple[Path, ...],
    everything: bool,
    full: bool,
    enrich: bool,
    retraction_watch: Path | None,
    as_json: bool,
) -> None:
    """Harvest every source, then screen and tag the works.

    Then Europe PMC, PubMed and other providers are asked what they add to the works: abstracts, identifiers, retractions and
    registrations. With --offline or --from none is asked.

    Exit code: 0 when every source was harvested completely, 1 when a source stopped, 2 for a mistake in sources.yaml, 75
    when another sync is running.
    """
    if everything and not files:
        raise ConfigError("--all needs --from FILE: it takes every record of those files")
    if offline and files:
        raise ConfigError("give --offline or --from, not both: --offline reads the bundled snapshot")
    from evidence.export import sync_summary
    from evidence.harvest import sources

    checked = sources.load(settings.sources)
    book = _taxonomy(settings)
    if checked.watches:  # importing what lists works takes longer than most commands
        from evidence.publish import watching

        watching.check(checked.watches, book, settings.sources)
    outcome = _run_sync(settings, checked, book, offline, files, everything, full, enrich, retraction_watch)
    _add_touches(settings, outcome.changes.named)
    watched: list[str] = []
    if checked.watches:
        from evidence.publish import news

        watched = news.watch_lines(settings.db, settings.sources, outcome.run)
    click.echo(
        json.dumps(outcome.counts() | {"outcome": outcome.outcome})
        if as_json
        else sync_summary.sync_summary(outcome, watched)
    )
    if outcome.outcome != "complete":
        raise SystemExit(1)


_host = click.option("--host", default="127.0.0.1", show_default=True, help="The address on which the site listens.")
_port = click.option("--port", default=8001, show_default=True,
                     help="The port on which the site listens; another one on your own machine, if it is taken.")  # fmt: skip


@cli.command(epilog=_example("evidence demo --no-serve"))
@_host
@_port
@click.option("--no-serve", is_flag=True, help="Stop before the site is served, for scripts.")
@click.option(
    "--open/--no-open", "open_browser", default=None, help="Open a browser; default: only where there is a screen."
)
@click.option("--without-decisions", is_flag=True, help="Leave out the decisions that come with the snapshot.")
@click.pass_obj
def demo(
    settings: Settings, host: str, port: int, no_serve: bool, open_browser: bool | None, without_decisions: bool
) -> None:
    """Run every step on the bundled records, and serve them.

    The decisions of two readers that come with the snapshot are added to those stored. No network is needed. The site runs
    until Ctrl-C.
    """
    from evidence.export import starter_files, sync_summary
    from evidence.harvest import sources
    from evidence.publish import serve

    path = settings.sources if settings.sources.exists() else starter_files.sources_of(_topic(settings))
    book = _taxonomy(settings)
    outcome = _run_sync(settings, sources.load(path), book, True)
    _add_touches(settings, outcome.changes.named, path)
    click.echo(sync_summary.sync_summary(outcome))
    if book.topic.decisions_path.exists() and not without_decisions:
        click.echo(_add_bundled_decisions(settings, book))
    if not no_serve:
        port = _free_port(host, port)
        opened = _has_screen() if open_browser is None else open_browser
        click.echo(f"The site is at http://{host}:{port}/ until you press Ctrl-C.")
        raise SystemExit(serve.run(settings.db, host, port, open_browser=opened, sources=path))


def _free_port(host: str, port: int) -> int:
    """The port, or a free one where another program has it, which is said."""
    from evidence.publish import serve

    free = serve.free_port(host, port)
    if free != port:
        click.echo(f"Port {port} is taken by another program; the site is at {serve.address(host, free)}", err=True)
    return free


def _add_bundled_decisions(settings: Settings, book: Taxonomy) -> str:
    """Add the decisions that come with the snapshot, and say what people's reading adds."""
    from evidence.database import read_queries
    from evidence.database.connection import reading
    from evidence.review import decisions_csv
    from evidence.review.record_decision import import_on_known_works

    entries = decisions_csv.read_csv(book.topic.decisions_path)
    added = import_on_known_works(settings.db, settings.decisions, book, _now, entries)
    with reading(settings.db) as conn:
        tags, works = read_queries.tags_from_people(conn)
    readers = " and ".join(sorted({entry.reviewer for entry in entries}))
    stored = (
        f"{count_noun(added, 'decision')} by {readers} added" if added else f"Decisions by {readers} were there already"
    )
    return f"{stored}: {count_noun(tags, 'tag')} on {count_noun(works, 'work')} come from people."


@cli.command(epilog=_example("evidence judge --report tags.csv"))
@click.option("--report", "report", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Write every tag that appears, disappears or changes its strength to FILE (CSV), "
                   "and count them by value.")  # fmt: skip
@click.pass_obj
def judge(settings: Settings, report: Path | None) -> None:
    """Screen and tag again after rules or decisions changed.

    Only the works that the changes affect are judged. No request is sent.
    """
    from evidence.export import changes_report, tag_changes
    from evidence.harvest.locked_run import rejudge_database, rejudge_with_tags

    by_value = None
    with _bar(settings) as bar:
        if report is None:
            count, changes = rejudge_database(settings.db, settings.decisions, _taxonomy(settings), _now, bar)
        else:
            count, changes, before, after, why_gone = rejudge_with_tags(
                settings.db, settings.decisions, _taxonomy(settings), _now, bar
            )
            by_value = tag_changes.write_report(before, after, why_gone, report)
    click.echo(
        f"{count_noun(count, 'work')} judged again."
        if count
        else "Nothing to judge: neither rules nor decisions have changed."
    )
    _add_touches(settings, changes.named)
    for line in changes_report.notable_changes(changes.named):
        click.echo(line)
    if count or changes.counts:
        click.echo(f"Changes: {changes_report.change_counts(changes.counts)}.")
    if by_value is not None:
        click.echo(by_value)


@cli.command(
    epilog=_example("evidence enrich", "evidence enrich --only pubmed --again", "evidence enrich --from pubmed.xml")
)
@click.option("--only", "only", multiple=True, type=click.Choice(SERVICES),
              help="Ask only this provider; may be repeated. Default: those that sources.yaml names.")  # fmt: skip
@click.option("--from", "files", multiple=True, type=click.Path(path_type=Path, allow_dash=True), metavar="FILE",
              callback=_input_path,
              help="Read records of these providers from FILE instead of asking: JSON, JSON lines or PubMed's XML, plain or "
                   ".gz; - is stdin; may be repeated.")  # fmt: skip
@_retraction_watch
@click.option("--again", is_flag=True, help="Ask about every work, also about those that were asked about lately.")
@_as_json
@click.pass_obj
def enrich(
    settings: Settings,
    only: tuple[ProviderName, ...],
    files: tuple[Path, ...],
    retraction_watch: Path | None,
    again: bool,
    as_json: bool,
) -> None:
    """Ask other providers what they add to the works.

    Europe PMC and PubMed give abstracts, publication types, identifiers and retractions; OpenAlex an identifier and a free copy;
    DataCite DOIs that are not Crossref's; ClinicalTrials.gov registered studies. Only included works and works waiting for a
    decision are asked about, and only what was not asked about lately. `evidence sync` does the same at its end.

    Exit code: 0 when every due work was asked about, 1 when a provider could not be asked, 2 for a mistake in a file, 75 when
    another run is going on.
    """
    from evidence.export import sync_summary
    from evidence.harvest import sources
    from evidence.harvest.chosen_providers import ChosenProviders
    from evidence.harvest.locked_run import run_enrich

    if files and only:
        raise ConfigError("give --from or --only, not both: files say themselves whose records they hold")
    checked = sources.load(settings.sources) if settings.sources.exists() else None
    if files:
        chosen = ChosenProviders(files=files, retraction_watch=retraction_watch)
    else:
        named = checked.enrich if checked else sources.SERVICES
        watched = retraction_watch or (checked.retraction_watch if checked else None)
        chosen = ChosenProviders(only or named, _mailto(checked), os.environ, watched)
    with _bar(settings) as bar:
        outcome = run_enrich(settings.db, settings.decisions, _taxonomy(settings), _now, bar, chosen, again=again)
    _add_touches(settings, outcome.changes.named)
    click.echo(
        json.dumps(outcome.counts() | {"outcome": outcome.outcome}) if as_json else sync_summary.enrich_summary(outcome)
    )
    if outcome.outcome != "complete":
        raise SystemExit(1)


@cli.command(
    "import",
    epilog=_example(
        'evidence import psycinfo.ris --name "PsycINFO (Ovid)" --database "APA PsycInfo, Ovid" --date 2026-11-20',
        "evidence import rayyan.csv --name Rayyan --offline",
    ),
)
@click.argument("files", nargs=-1, required=True, type=click.Path(dir_okay=False, path_type=Path), metavar="FILE…")
@click.option("--name", "label", required=True, help="The name of the source on the site and in reports.")
@click.option("--id", "identifier", metavar="ID",
              help="The id of the source, to import more files into it later; default: made of the name.")  # fmt: skip
@click.option("--method", type=click.Choice(METHODS), default="database", show_default=True,
              help="Where PRISMA counts the records; citation is citation searching.")  # fmt: skip
@click.option("--database", metavar="TEXT", help="The database and its platform, for PRISMA-S.")
@click.option("--date", "day", metavar="DATE", help="The day of the search (YYYY-MM-DD), for PRISMA-S.")
@click.option(
    "--search", metavar="TEXT|@FILE", help="The search as it was run, for PRISMA-S; @FILE reads it from a file."
)
@click.option("--offline", is_flag=True, help="Do not ask Crossref now; the next sync does.")
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
@click.pass_obj
def import_(
    settings: Settings,
    files: tuple[Path, ...],
    label: str,
    identifier: str | None,
    method: Method,
    database: str | None,
    day: str | None,
    search: str | None,
    offline: bool,
    as_json: bool,
) -> None:
    """Import records of databases and hand searches.

    FILE is RIS, PubMed (.nbib), Web of Science, BibTeX, CSL-JSON, EndNote XML, or a table (CSV, TSV) of Rayyan, Covidence,
    ASReview, Zotero, Embase, PsycINFO, Scopus or PubMed. Each record is matched to its DOI, screened and tagged; a record without
    a DOI is kept under a local id. A damaged file brings nothing, and importing twice adds nothing.

    Exit code: 0 when all is imported, 1 when Crossref could not be asked about some records, 2 when a file cannot be read, 75
    when another run is going on.
    """
    from evidence.export import import_summary
    from evidence.harvest import sources
    from evidence.harvest.locked_run import run_import

    checked = sources.load(settings.sources) if settings.sources.exists() else None
    source = sources.imported_by_command(
        identifier, label, files, method, sources.Imported((), database, day, _text_or_file(search)), checked
    )
    with _bar(settings) as bar:
        outcome, counts = run_import(
            settings.db,
            settings.decisions,
            _taxonomy(settings),
            _now,
            bar,
            source,
            ask=not offline,
            url=_crossref_url(),
            mailto=None if offline else _mailto(checked),
        )
    click.echo(
        json.dumps(import_summary.as_counts(outcome, counts), ensure_ascii=False)
        if as_json
        else import_summary.import_summary(label, outcome, counts)
    )
    if outcome.outcome != "complete":
        raise SystemExit(1)


@cli.command(
    epilog=_example(
        "evidence backfill /data/crossref-2026/",
        "evidence backfill crossref.tar --date 2026-03-10 --workers 8",
        "evidence backfill 's3://my-bucket/crossref-2026/*.jsonl.gz' --dask tcp://head-node:8786",
    )
)
@click.argument("paths", nargs=-1, required=True, type=click.Path(), metavar="PATH…")
@click.option(
    "--workers", type=click.IntRange(1, 1024), metavar="N", help="How many processes read files; default: one a core."
)
@click.option("--dask", "cluster", metavar="ADDRESS",
              help="A Dask scheduler (tcp://…, or its scheduler file) whose workers read the files.")  # fmt: skip
@click.option("--date", "day", metavar="DATE",
              help="The day of the data file (YYYY-MM-DD), for PRISMA-S; default: the day of its newest file.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
@click.pass_obj
def backfill(
    settings: Settings, paths: tuple[str, ...], workers: int | None, cluster: str | None, day: str | None, as_json: bool
) -> None:
    """Run the searches over Crossref's public data file.

    PATH is a folder, a file (.jsonl.gz, or the older .json.gz, also unzipped) or a .tar of such files, on a disk or at an
    address (s3://…, gs://…, https://…, with * as a wildcard). Every record is read, so no match is missed for its rank. Works
    of reference lists with a DOI, and newer records of known works, are taken too. A run that was stopped continues with the
    files that were not read yet; after a change of the searches all files are read again.

    With --dask, the workers of a cluster read the files, which must be there for each of them under the same PATH. Addresses
    and --dask need the extra `cluster`.

    Exit code: 0 when every file was read, 1 when some could not be read or the Dask scheduler was lost, 2 for a mistake in
    sources.yaml or a path, or a worker with another version, 75 when another run is going on.
    """
    from evidence.export import backfill_summary
    from evidence.harvest import sources
    from evidence.harvest.backfill import run_backfill

    if day is not None and not sources.is_day(day):
        raise ConfigError(f"--date {day!r} is not a valid date; write it like 2026-01-31")
    if cluster is not None and workers is not None:
        raise ConfigError(
            "--workers counts processes on this machine; a cluster has the workers that were started there"
        )
    checked = sources.load(settings.sources)
    book = _taxonomy(settings)
    with _bar(settings) as bar:
        outcome, counts = run_backfill(
            settings.db, settings.decisions, checked, book, _now, bar, paths, workers=workers, cluster=cluster, day=day
        )
    _add_touches(settings, outcome.changes.named)
    click.echo(
        json.dumps(backfill_summary.as_counts(outcome, counts), ensure_ascii=False)
        if as_json
        else backfill_summary.backfill_summary(outcome, counts)
    )
    if outcome.outcome != "complete":
        raise SystemExit(1)


def _text_or_file(text: str | None) -> str | None:
    """The text, or that of the file that `@FILE` names."""
    if text is None or not text.startswith("@"):
        return text
    try:
        return Path(text[1:]).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--search {text}: cannot be read ({error}); name a text file in UTF-8") from None


@cli.command(epilog=_example("evidence explain 10.1001/jamapsychiatry.2023.0702", "evidence explain PMID:19411513"))
@click.argument("doi_", metavar="DOI|PMID:…|NCT…|local-…")
@click.option("--json", "as_json", is_flag=True, help="Print everything that is known about the work as JSON.")
@_output
@click.pass_obj
def explain(settings: Settings, doi_: str, as_json: bool, to: Path | None) -> None:
    """Explain why a work is included or excluded.

    The text behind the verdict and behind every tag is quoted. Besides a DOI, the work may be named by a PubMed identifier
    (PMID:…), a PMCID, an OpenAlex identifier, the registration number of its study or, if it is of an imported file and has no
    DOI, its local id.
    """
    from evidence.database import read_queries
    from evidence.database.connection import reading
    from evidence.export import explanation

    named = _parse_name(doi_)
    with reading(settings.db) as conn:
        work = read_queries.work_details(conn, _named_doi(conn, named, settings.db))
    if work is None:
        raise ConfigError(f"{doi_}: no such work in {settings.db}; `evidence export --verdict all` lists the works")
    _report(json.dumps(work, ensure_ascii=False) if as_json else explanation.work_explanation(work), to)


@cli.command(
    "read",
    epilog=_example("evidence read abstract.txt", "evidence read records.jsonl.gz -f jsonl", "evidence read - -f text"),
)
@click.argument("file", metavar="FILE|-")
@click.option("-f", "--format", "format_", type=click.Choice(("text", "jsonl")),
              help="text is a page to read, jsonl a line for programs; default: text on a terminal, else jsonl.")  # fmt: skip
@click.option("--topic", "topic_name", metavar="NAME|FOLDER",
              help="The topic whose words are read; default: that of sources.yaml, else ipt.")  # fmt: skip
@_output
@click.pass_obj
def read_(settings: Settings, file: str, format_: str | None, topic_name: str | None, to: Path | None) -> None:
    """Show what the rules read in titles and abstracts.

    For each record: the verdict, the sentences with their roles, the arms, each mention of a value with its role, and the tags
    with their strength. No database is needed and nothing is stored.

    FILE holds JSON lines with id, title and abstract, or the plain text of one abstract, its title in the first line. It may be
    gzipped; - is stdin. Positions count characters of title and abstract as given.
    """
    import shutil

    from evidence.export import read_text, texts_to_read
    from evidence.rules import taxonomy, topic

    book = taxonomy.load(topic.load(topic_name)) if topic_name else _rules_to_measure()
    found = (read_text.read_record(record, book) for record in texts_to_read.records(file))
    if format_ is None:
        format_ = "text" if to is None and sys.stdout.isatty() else "jsonl"
    lines = (
        read_text.pages(found, shutil.get_terminal_size((100, 24)).columns)
        if format_ == "text"
        else (read_text.json_line(one) + "\n" for one in found)
    )
    atomic_output.write(to, (line.encode(errors="replace") for line in lines))


@cli.command(
    epilog=_example(
        'evidence decide 10.1001/jamapsychiatry.2023.0702 include --because "IPT against usual care" --by "A. Reader"',
        'evidence decide 10.1016/j.jad.2024.09.171 --tag design:rct --because "randomised" --by "A. Reader"',
        'evidence decide 10.1016/j.jad.2024.09.171 --withdraw design:rct --because "a mistake" --by "A. Reader"',
    )
)
@click.argument("doi_", metavar="DOI")
@click.argument("verdict", type=click.Choice(VERDICTS), required=False)
@click.option(
    "--tag",
    "tags",
    multiple=True,
    metavar="FACET:VALUE",
    shell_complete=_complete_tag,
    help="Add this tag to the work.",
)
@click.option(
    "--untag",
    "untags",
    multiple=True,
    metavar="FACET:VALUE",
    shell_complete=_complete_tag,
    help="Remove this tag from the work.",
)
@click.option("--same", multiple=True, metavar="DOI", help="The record with this DOI describes the same work.")
@click.option("--apart", multiple=True, metavar="DOI", help="The record with this DOI describes another work.")
@click.option("--withdraw", "withdrawn", multiple=True, metavar="verdict|FACET:VALUE",
              shell_complete=_complete_tag,
              help="Undo your earlier decision on this; the rules, or other reviewers, decide again.")  # fmt: skip
@click.option("--because", required=True, help="The reason, stored with the decision.")
@click.option("--by", "reviewer", envvar="EVIDENCE_REVIEWER", required=True,
              help="The name of the reviewer. [env: EVIDENCE_REVIEWER]")  # fmt: skip
@click.pass_obj
def decide(
    settings: Settings,
    doi_: str,
    verdict: VerdictName | None,
    tags: tuple[str, ...],
    untags: tuple[str, ...],
    same: tuple[str, ...],
    apart: tuple[str, ...],
    withdrawn: tuple[str, ...],
    because: str,
    reviewer: str,
) -> None:
    """Record a reviewer's decision on a work.

    A decision gives a verdict, adds or removes a tag, or states whether two records describe the same work. It overrides the
    rules and is kept by every sync.
    """
    from evidence.data_model import SAME_WORK
    from evidence.database import tag_filter
    from evidence.review.record_decision import add_decisions

    pairs = (
        [*map(tag_filter.parse_tag, tags), *((SAME_WORK, _parse_key(other)) for other in same)],
        [*map(tag_filter.parse_tag, untags), *((SAME_WORK, _parse_key(other)) for other in apart)],
    )
    made, _ = add_decisions(
        settings.db,
        settings.decisions,
        _taxonomy(settings),
        _now,
        _parse_key(doi_),
        verdict,
        *pairs,
        because,
        reviewer,
        withdrawn=[None if subject == "verdict" else tag_filter.parse_tag(subject) for subject in withdrawn],
    )
    if not made:
        click.echo(f"Nothing to add: {reviewer} has made this decision already, for the same reason.")
        return
    click.echo(f"{count_noun(len(made), 'decision')} by {reviewer} on {made[0].doi}, stored in {settings.decisions}.")


@cli.group(epilog=_example("evidence decisions export -o decisions.csv"))
def decisions() -> None:
    """Export, import and compare reviewers' decisions.

    As CSV they can be kept under version control.
    """


@decisions.command("export", epilog=_example("evidence decisions export -o decisions.csv"))
@_output
@click.pass_obj
def decisions_export(settings: Settings, to: Path | None) -> None:
    """Write every decision as CSV, oldest first."""
    from evidence.review import decisions_csv
    from evidence.review.record_decision import read_existing_ledger

    atomic_output.write(
        to, (line.encode() for line in decisions_csv.csv_lines(read_existing_ledger(settings.decisions)))
    )


@decisions.command(
    "import",
    epilog=_example(
        "evidence decisions import decisions.csv",
        "evidence decisions import rayyan.csv",
        'evidence decisions import covidence-irrelevant.csv --as exclude --by "A. Reader"',
    ),
)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path, allow_dash=True), callback=_input_path)
@click.option("--by", "reviewer", envvar="EVIDENCE_REVIEWER",
              help="Who decided, where the file does not say. [env: EVIDENCE_REVIEWER]")  # fmt: skip
@click.option("--as", "verdict", type=click.Choice(VERDICTS),
              help="The verdict of all records of a file that states none, such as a list of Covidence.")  # fmt: skip
@click.pass_obj
def decisions_import(settings: Settings, file: Path, reviewer: str | None, verdict: VerdictName | None) -> None:
    """Add the decisions of FILE that are not stored yet.

    FILE is a CSV of `evidence decisions export`, or an export of Rayyan, Covidence, ASReview or EPPI-Reviewer (CSV, RIS, JSON),
    or any table with a column of verdicts. A row is placed by its DOI, our own id or its citation; each row that cannot be
    placed is named with its line. The works that the decisions affect are judged again.

    Exit code: 0 when every row was placed, 1 when one was not, 2 when the file cannot be read.
    """
    from evidence.database import read_queries
    from evidence.database.connection import reading
    from evidence.export import status_report
    from evidence.review import decisions_csv, place_decisions, tool_decisions
    from evidence.review.record_decision import import_decisions

    not_placed: tuple[str, ...] = ()
    if decisions_csv.is_own(file):
        entries = decisions_csv.read_csv(file)
        count = import_decisions(settings.db, settings.decisions, _taxonomy(settings), _now, entries)
        click.echo(f"{count_noun(count, 'decision')} added.")
    else:
        read = tool_decisions.read(file, verdict)
        done = place_decisions.import_tool(
            settings.db, settings.decisions, _taxonomy(settings), _now, file.name, read, reviewer
        )
        not_placed = done.not_placed
        click.echo(
            f"{count_noun(done.added, 'decision')} from {read.tool} added, {done.known:,} were there already, "
            f"{count_noun(read.without, 'row')} without a decision."
        )
        for sentence in read.doubts:
            click.echo(f"Look at: {sentence}")
        for sentence in not_placed:
            click.echo(f"Not placed: {sentence}")
    with reading(settings.db) as conn:
        if without := read_queries.decided_but_not_here(conn):
            click.echo(status_report.decisions_without_work(without))
    if not_placed:
        raise SystemExit(1)


@decisions.command("conflicts", epilog=_example("evidence decisions conflicts"))
@_output
@click.pass_obj
def decisions_conflicts(settings: Settings, to: Path | None) -> None:
    """List the works whose decisions need a second look, and why."""
    from evidence import doi
    from evidence.database import read_queries
    from evidence.database.connection import reading
    from evidence.export import status_report

    with reading(settings.db) as conn:
        found, without = read_queries.works_with_conflicts(conn), read_queries.decided_but_not_here(conn)
    lines = [f"{doi.shown(row['doi'])}  {row['conflict']}" for row in found]
    if without:
        lines.append(status_report.decisions_without_work(without))
    _report("\n".join(lines) or "No conflicts.", to)


@decisions.command("agreement", epilog=_example("evidence decisions agreement"))
@_output
@click.pass_obj
def decisions_agreement(settings: Settings, to: Path | None) -> None:
    """Print how far each pair of reviewers agrees.

    The share of works with the same verdict, and agreement beyond chance as Cohen's kappa, Gwet's AC1 and PABAK, each with its
    95 % confidence interval, for the works on which both gave a verdict. Where nearly all works get the same verdict, kappa is
    low or not defined, however well two reviewers agree; AC1 and PABAK are not.
    """
    from evidence.review import agreement
    from evidence.review.record_decision import all_and_current_decisions, read_existing_ledger

    _, latest = all_and_current_decisions(settings.db, read_existing_ledger(settings.decisions))
    found = agreement.pairwise_agreement(latest)
    lines = [
        f"{pair.first} and {pair.second}: {count_noun(pair.works, 'work')}, "
        f"same verdict {agreement.in_words(pair.observed)}, kappa {agreement.in_words(pair.kappa)}, "
        f"AC1 {agreement.in_words(pair.ac1)}, PABAK {agreement.in_words(pair.pabak)}"
        for pair in found
    ]
    _report("\n".join(lines) or "No work has decisions by two reviewers.", to)


@cli.command(
    "export",
    epilog=_example(
        "evidence export --tag design:rct,cluster-rct --tag outcome:depression -o trials.csv",
        "evidence export -f ris -o included.ris",
        "evidence export --for covidence --verdict unsure -o to-screen.ris",
        "evidence export --shape wide --columns doi,year,design,outcome -o coded.csv",
        "evidence export --list 'year__gte=2015&_tag=variant:ipt-a' -f xlsx -o adolescents.xlsx",
        "evidence export -f jsonld -o evidence.jsonld",
        "evidence export -o evidence-export/",
    ),
)
@click.option("-f", "--format", "format_", type=click.Choice(EXPORT_FORMATS), default="csv", show_default=True,
              help="csv, xlsx, jsonl and parquet have every column; ris is for reference managers; jsonld and annotations "
                   "are linked data.")  # fmt: skip
@click.option("--for", "tool", type=click.Choice(TOOLS),
              help="The file that this tool reads: its format, headings, and as many files as it needs.")  # fmt: skip
@click.option("--tag", "tags", multiple=True, metavar="FACET:VALUE[,…]", shell_complete=_complete_tag,
              help="Only works with this tag; several values: any of them; several --tag: all of them.")  # fmt: skip
@click.option("--strength", metavar="STRENGTH[,…]",
              help="Only tags of this strength are exported and count for --tag: stated, likely or implied; "
                   "default: stated,likely.")  # fmt: skip
@click.option("--verdict", "verdicts", multiple=True, type=click.Choice(EXPORTED_VERDICTS), default=("include",),
              show_default=True, help="Only works with this verdict; several --verdict: any of them.")  # fmt: skip
@click.option("--since", metavar="DATE", help="Only works that are new or changed since this date (YYYY-MM-DD).")
@click.option("--query", "text", metavar="TEXT", help="Only works with all of these words (full-text search).")
@click.option("--list", "address", metavar="ADDRESS",
              help="The list of works that the site shows at this address, or with these parameters, in its order.")  # fmt: skip
@click.option("--as-of", metavar="STATE",
              help="The works as of a date (YYYY-MM-DD), a version or a run (run:12), with the verdicts and records of then; the "
                   "tags are those of the version, and else today's.")  # fmt: skip
@click.option("--shape", type=click.Choice(SHAPES), default="lists", show_default=True,
              help="Of a table: lists, a row a work; wide, a column of 0 and 1 a value; long, a row a tag.")  # fmt: skip
@click.option("--columns", metavar="NAME[,…]", help="Of a table: only these columns, in this order.")
@click.option("--with-reasons", is_flag=True, help="Put the text behind verdict and tags into the notes, too.")
@click.option("--with-abstracts", is_flag=True,
              help="Include the abstracts that may not be passed on: for your own screening, not for others.")  # fmt: skip
@click.option("--excel", is_flag=True, help="Start the CSV with a byte order mark, so that Excel reads UTF-8.")
@click.option("--encoding", default="utf-8", show_default=True, help="The encoding of the file.")
@click.option("-o", "--output", "to", type=click.Path(readable=False, allow_dash=True), default="-",
              help="Write to this file, or to a folder (DIR/) with a description of the data; default: stdout.")  # fmt: skip
@click.pass_context
def export_(
    ctx: click.Context,
    format_: str,
    tool: str | None,
    tags: tuple[str, ...],
    strength: str | None,
    verdicts: tuple[str, ...],
    since: str | None,
    text: str | None,
    address: str | None,
    as_of: str | None,
    shape: Shape,
    columns: str | None,
    with_reasons: bool,
    with_abstracts: bool,
    excel: bool,
    encoding: str,
    to: str,
) -> None:
    """Export works for spreadsheets and other programs.

    Included works are exported unless you ask for other verdicts. Abstracts of PubMed, Europe PMC and OpenAlex are left out
    unless an open licence is known: they belong to their publishers.

    A folder (-o DIR/) gets the data and their description: datapackage.json and, of CSV, csv-metadata.json; CSV is two tables
    there, works.csv and tags.csv.
    """
    from evidence.database import tag_filter
    from evidence.database.select_works import Selection
    from evidence.export import file_formats, record_exports
    from evidence.export.export_works import Wanted, export_works

    settings: Settings = ctx.obj
    given = {name for name in ctx.params if ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE}
    if tool and "format_" in given:
        raise ConfigError(f"give --format or --for, not both: --for {tool} says the format")
    if address is not None and (other := given & {"tags", "verdicts", "since", "text", "as_of", "strength"}):
        options = {"tags": "tag", "verdicts": "verdict", "text": "query", "as_of": "as-of"}
        first = sorted(other)[0]
        raise ConfigError(f"--list has all its filters in its address; leave out --{options.get(first, first)}")
    chosen = EXPORTED_VERDICTS if "all" in verdicts else verdicts
    strengths = tag_filter.parse_strengths(strength)
    dois = None
    if address is not None:
        from evidence.publish import list_by_address

        listed = list_by_address.read(settings.db, address)
        dois, strengths = listed.dois, listed.strengths
    selection = Selection(chosen, tuple(map(tag_filter.parse, tags)), _parse_date(since), text, strengths)
    wanted = Wanted(
        format_, tool, shape, tuple(filter(None, (columns or "").replace(" ", "").split(","))), with_reasons, excel, encoding,
        as_of, with_abstracts, _site_address(settings) if file_formats.FORMATS[format_].linked else None,
    )  # fmt: skip
    output = _output_path(ctx, ctx.command.params[0], to)
    folder = output is not None and (to.endswith(("/", os.sep)) or output.is_dir())
    done = export_works(settings.db, selection, wanted, output, folder_made=_now() if folder else None, dois=dois)
    unrecorded = record_exports.record_export(
        settings.db, output, tool or format_, selection, done.dois, _now(), as_of, listed=address
    )
    if settings.quiet:
        return
    if unrecorded:
        click.echo(unrecorded, err=True)
    if done.files:
        works = count_noun(done.works, "work")
        held = f"{works}, {count_noun(done.tags, 'tag')}" if done.tags else works
        names = str(output) if folder else ", ".join(map(str, done.files))
        click.echo(f"{held} written to {names}.", err=True)
    if done.without_pmid:
        click.echo(
            f"Without a PMID: {count_noun(done.without_pmid, 'work')}. Programs that know a record of this format by its PMID "
            "may not see them; ris and endnote-xml have no such limit.",
            err=True,
        )
    if done.abstracts_left_out:
        left_out = count_noun(done.abstracts_left_out, "abstract")
        click.echo(
            f"{left_out} left out, which may not be passed on; for your own screening: --with-abstracts.", err=True
        )


@cli.command("version", epilog=_example('evidence version 3 --note "as submitted"', "evidence version"))
@click.argument("name", required=False)
@click.option("--note", metavar="TEXT", help="What this version is, stored with it.")
@click.option("--by", "made_by", envvar="EVIDENCE_REVIEWER", metavar="NAME",
              help="Who makes the version. [env: EVIDENCE_REVIEWER]")  # fmt: skip
@click.option("--list", "listed", is_flag=True, help="List the versions; so does the command without a name.")
@click.option("-f", "--format", "format_", type=click.Choice(("text", "json")), default="text", show_default=True,
              help="The form of what is printed.")  # fmt: skip
@_output
@click.pass_obj
def version_(
    settings: Settings,
    name: str | None,
    note: str | None,
    made_by: str | None,
    listed: bool,
    format_: str,
    to: Path | None,
) -> None:
    """Freeze the review as it is now, under a name.

    The version keeps the state after the newest run: its works, verdicts, decisions and tags, and which rules they are by.
    Whatever is decided or harvested later, `--as-of NAME` shows this state. A name is used once, and a version is never changed
    or removed.

    Without a name, the versions are listed.
    """
    from evidence.database import read_versions
    from evidence.database.connection import reading
    from evidence.export import version_report

    if name is None or listed:
        if name is not None or note is not None:
            raise ConfigError(
                "to make a version, give its name without --list; to list the versions, give neither name nor note"
            )
        with reading(settings.db) as conn:
            rows = read_versions.versions(conn)
        return _report(version_report.as_json(rows) if format_ == "json" else version_report.listed(rows), to)
    from evidence.harvest.named_versions import freeze

    row, new = freeze(settings.db, settings.decisions, _taxonomy(settings), _now, name, note, made_by)
    return _report(version_report.as_json([row]) if format_ == "json" else version_report.made(row, new=new), to)


@cli.command("rewind", epilog=_example("evidence rewind 3 version-3"))
@click.argument("name", metavar="VERSION")
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.pass_obj
def rewind_(settings: Settings, name: str, folder: Path) -> None:
    """Write the database as it was in a version to DIR.

    DIR is a new folder with evidence.db and decisions.db. Every report, export and page can be asked of it, as with
    `evidence --db DIR/evidence.db serve`. It is only read: no command changes it. Your own databases stay as they are.

    A version is refused where a later sync has written over what it showed, such as the lines of a reference list.
    """
    from evidence.export import version_report
    from evidence.harvest.rewind import rewind

    with _bar(settings) as bar:
        made = rewind(settings.db, settings.decisions, _taxonomy(settings), name, folder, bar)
    click.echo(version_report.rewound(made.version, made.db, same_rules=made.same_rules))


@cli.command("taxonomy", epilog=_example("evidence taxonomy -o taxonomy.ttl", "evidence taxonomy -f csv -o tags.csv"))
@click.option("-f", "--format", "format_", type=click.Choice(TAXONOMY_FORMATS), default="turtle", show_default=True,
              help="turtle and jsonld are SKOS, for vocabulary tools and triple stores; csv is a row a tag.")  # fmt: skip
@click.option(
    "--topic", "topic_name", metavar="NAME|FOLDER", help="The topic; default: that of sources.yaml, else ipt."
)
@_output
@click.pass_obj
def taxonomy_(settings: Settings, format_: str, topic_name: str | None, to: Path | None) -> None:
    """Write all tags with definitions and words.

    In SKOS each facet is a concept scheme and each tag a concept. Tags are named below the address that sources.yaml gives for
    the site (site: address), else by URNs; the names in `evidence export -f jsonld` are the same.
    """
    from evidence.export import taxonomy_files
    from evidence.harvest.chosen_topic import topic_of_review
    from evidence.rules import taxonomy, topic

    chosen = topic.load(topic_name) if topic_name else topic_of_review(settings.sources, settings.db)
    text = taxonomy_files.FORMATS[format_].write(taxonomy.load(chosen), _site_address(settings))
    atomic_output.write(to, (part.encode() for part in text))


def _site_address(settings: Settings) -> str | None:
    """The address of the site in sources.yaml; None where there is none, or no such file."""
    from evidence.harvest import sources

    return sources.load(settings.sources).site.address if settings.sources.exists() else None


@cli.group("report", epilog=_example("evidence report prisma"))
def reports() -> None:
    """Print PRISMA, changes, claims, currency or ripples."""


@reports.command(
    "prisma",
    epilog=_example(
        "evidence report prisma --as-of 2026-12-31",
        "evidence report prisma -f csv -o PRISMA.csv",
        "evidence report prisma --since 3 -f svg -o flow.svg",
    ),
)
@_as_of
@click.option("--since", metavar="STATE",
              help="The update since this version, run or date: its studies, what came after, the total.")  # fmt: skip
@click.option("-f", "--format", "format_", type=click.Choice(("text", "csv", "svg", "json")), default="text", show_default=True,
              help="csv is the file that the R package PRISMA2020 reads; svg is the diagram.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, hidden=True, help="The boxes alone as JSON.")
@_output
@click.pass_obj
def report_prisma(
    settings: Settings, as_of: str | None, since: str | None, format_: str, as_json: bool, to: Path | None
) -> None:
    """Print the numbers of the PRISMA 2020 flow diagram."""
    from evidence.database import read_queries
    from evidence.database.connection import reading
    from evidence.export import prisma_report

    with reading(settings.db) as conn:
        found = read_queries.flow(conn, as_of, since)
        split = read_queries.split_flow(conn, found) if format_ in ("csv", "json") else None
    if as_json:
        text = json.dumps(found.boxes, ensure_ascii=False)
    elif format_ == "svg":
        from evidence.publish import prisma_drawing

        text = prisma_drawing.svg(found, alone=prisma_report.title(as_of, since))
    elif split is None:
        text = prisma_report.flow_report(found)
    elif format_ == "csv":
        from evidence.export import prisma_template

        text = prisma_template.template_csv(found, split).rstrip("\n")
    else:
        text = json.dumps(prisma_report.as_json(found, split, as_of, since), ensure_ascii=False)
    _report(text, to)


@reports.command(
    "prisma-s",
    epilog=_example("evidence report prisma-s", "evidence report prisma-s -f markdown -o search-appendix.md"),
)
@click.option("-f", "--format", "format_", type=click.Choice(("text", "markdown", "csv", "json")), default="text",
              show_default=True, help="markdown is an appendix for a manuscript, json a list of search files.")  # fmt: skip
@_as_of
@_output
@click.pass_obj
def report_prisma_s(settings: Settings, format_: str, as_of: str | None, to: Path | None) -> None:
    """Print every search as it was run, as PRISMA-S asks.

    With markdown, the 16 items of PRISMA-S in order, each with what the database knows and what prisma-s.yaml beside sources.yaml
    states; an item that neither states is marked. csv has a row for each run and window of dates. json has a search file
    (Haddaway et al. 2022) for each search.
    """
    from evidence.database import read_queries
    from evidence.database.connection import reading
    from evidence.export import prisma_report, search_report
    from evidence.publish import search_appendix

    found = search_appendix.read(settings.db, settings.sources, _now(), as_of)
    if format_ == "text":
        with reading(settings.db) as conn:
            run = _run_as_of(conn, as_of)
            rows, imports = read_queries.searches_as_run(conn, run), read_queries.imports_as_run(conn, run)
        lines = [prisma_report.searches_report(rows, imports), *search_report.missing_in_words(found)]
        _report("\n".join(lines), to)
    else:
        atomic_output.write(to, (line.encode(errors="replace") for line in search_report.WRITERS[format_](found)))


@reports.command(
    "changes",
    epilog=_example(
        "evidence report changes --since 2026-11-01",
        "evidence report changes --since 2 -f markdown -o version-3.md",
        "evidence report changes --mail reader@university.edu",
    ),
)
@click.option("--since", metavar="DATE|RUN|VERSION",
              help="Changes since this date (YYYY-MM-DD), run (run:12) or version; default: since the last sync.")  # fmt: skip
@_as_of
@click.option("--tags", is_flag=True, help="Include changes of tags.")
@click.option("-f", "--format", "format_", type=click.Choice(("text", "markdown", "html", "json")), default="text",
              show_default=True, help="markdown and html are fit to paste as a version note.")  # fmt: skip
@click.option("--watch", metavar="NAME", help="Only what is new for this watch of sources.yaml.")
@click.option("--mail", "recipient", metavar="TO",
              help="Mail it to this address, and print nothing; nothing is sent when nothing is new.")  # fmt: skip
@click.option("--exit-code", is_flag=True, help="Exit with 4 when nothing is new, for scripts.")
@_output
@click.pass_obj
def report_changes(
    settings: Settings,
    since: str | None,
    as_of: str | None,
    tags: bool,
    format_: str,
    watch: str | None,
    recipient: str | None,
    exit_code: bool,
    to: Path | None,
) -> None:
    """Print what changed, as a version note.

    It begins with the included studies that came and that left. Then come retractions and other notices, each with what its work
    touches today, changed verdicts, new works, the cells of the evidence map and the claims whose support changed, the searches
    run, and the items of PRISMA-LSR. Changes of tags are left out unless you give --tags.

    With --mail, the changes since the last mail to this address (--since last-mail), through the SMTP server that
    EVIDENCE_SMTP_HOST names, else through sendmail.

    Exit code: 0; 4 with --exit-code when nothing is new; 2 for a mistake in a file or an option; 69 when the mail was not sent:
    the next one has its news.
    """
    from evidence.export import change_note
    from evidence.publish import news

    if recipient is not None:
        if as_of is not None:
            raise ConfigError("give --mail or --as-of, not both: a mail is about what is new now")
        note = news.mail(settings.db, settings.sources, since, recipient, _now(), tags=tags, watch=watch)
        if sys.stderr.isatty() and not settings.quiet:  # cron would mail what is printed
            click.echo(
                f"Mailed to {recipient}: {note.headline}" if note.anything else "Nothing is new; no mail.", err=True
            )
    else:
        note = news.of_now(settings.db, settings.sources, since, as_of=as_of, tags=tags, watch=watch)
    if recipient is None or to is not None:
        atomic_output.write(to, (line.encode(errors="replace") for line in change_note.WRITERS[format_](note)))
    if exit_code and not note.anything:
        raise SystemExit(NOTHING_NEW)


@reports.command("claims", epilog=_example("evidence report claims", "evidence report claims --as-of 3"))
@_as_of_version
@_as_json
@_output
@click.pass_obj
def report_claims(settings: Settings, as_of: str | None, as_json: bool, to: Path | None) -> None:
    """Print what stands behind each claim of an article.

    The claims are those of sources.yaml: whether the cited works are about them, what was retracted or corrected, what is newer,
    and what is not known. It is what the fact-check page shows.
    """
    from evidence.database.connection import reading
    from evidence.export import claim_wording
    from evidence.harvest import sources
    from evidence.publish import claim_evidence

    articles = sources.load(settings.sources).articles
    with _database_as_of(settings, as_of) as db, reading(db) as conn:
        found = claim_evidence.read_all(conn, articles)
    _report(
        json.dumps(claim_wording.as_json(found), ensure_ascii=False) if as_json else claim_wording.report(found), to
    )


@reports.command(
    "currency",
    epilog=_example(
        "evidence report currency",
        "evidence report currency --rows variant:ipt-a --columns outcome:depressive-symptoms",
        "evidence report currency --rows condition --columns population -f csv -o currency.csv",
    ),
)
@click.option("--rows", metavar="FACET[:VALUE]",
              help="The rows of the map, or one of them; default: those of the topic's map.")  # fmt: skip
@click.option("--columns", metavar="FACET[:VALUE]", help="The columns of the map, or one of them.")
@click.option("--tag", "tags", multiple=True, metavar="FACET:VALUE[,…]",
              help="Only works with this tag; several values: any of them; several --tag: all of them.")  # fmt: skip
@click.option("--from-year", type=click.IntRange(1, 9999), metavar="YEAR", help="Only works of this year or later.")
@click.option("--to-year", type=click.IntRange(1, 9999), metavar="YEAR", help="Only works of this year or earlier.")
@click.option("--implied", is_flag=True, help="Count implied tags too.")
@click.option(
    "--review", metavar="DOI", help="With one cell: compare its trials with this review, not with the newest."
)
@click.option("-f", "--format", "format_", type=click.Choice(("text", "csv", "json", "markdown")), default="text",
              show_default=True, help="csv of one cell is its citation matrix.")  # fmt: skip
@_as_of_version
@_output
@click.pass_obj
def report_currency(
    settings: Settings,
    as_of: str | None,
    rows: str | None,
    columns: str | None,
    tags: tuple[str, ...],
    from_year: int | None,
    to_year: int | None,
    implied: bool,
    review: str | None,
    format_: str,
    to: Path | None,
) -> None:
    """Print how current the reviews of each cell of the map are.

    For each cell: its newest review, the trials that are newer, the older trials that its deposited reference list lacks, what
    cannot be known, and how much the reviews overlap (corrected covered area). With a value for rows and one for columns, that
    cell with its works and the citation matrix.
    """
    from evidence.database import read_queries, tag_filter
    from evidence.database.connection import reading
    from evidence.database.schema import read_topic
    from evidence.export import currency_report
    from evidence.publish import currency

    with _database_as_of(settings, as_of) as db, reading(db) as conn:
        found = currency.load(conn, read_topic(conn))
        filters = [tag_filter.parse(tag) for tag in tags]
        view = currency.view_of_options(
            found.topic, found.values, rows, columns, filters, from_year, to_year, implied=implied
        )
        asked = currency.asked(found.topic, found.values, view)
        of_cells, of_cell = currency_report.WRITERS[format_]
        if view.row and view.column:
            chosen = read_queries.canonical_doi(conn, _parse_doi(review)) if review else None
            detail = currency.of_cell(conn, found, view, chosen)
            if detail is None:
                raise ConfigError(
                    f"{review}: the cell has no such review; the report without --review lists its reviews"
                )
            lines = of_cell(detail, asked)
        elif review:
            raise ConfigError("--review needs one cell: give --rows FACET:VALUE and --columns FACET:VALUE")
        else:
            lines = of_cells(currency.of_cells(found, view), asked)
        atomic_output.write(to, (line.encode(errors="replace") for line in lines))


@reports.command(
    "ripple",
    epilog=_example(
        "evidence report ripple 10.1371/journal.pone.0019044",
        "evidence report ripple 10.1371/journal.pone.0019044 -f markdown -o ripple.md",
    ),
)
@click.argument("doi_", metavar="DOI|PMID:…|NCT…|local-…")
@click.option("-f", "--format", "format_", type=click.Choice(("text", "json", "csv", "markdown")), default="text",
              show_default=True, help="How the report is written.")  # fmt: skip
@_output
@click.pass_obj
def report_ripple(settings: Settings, doi_: str, format_: str, to: Path | None) -> None:
    """Print what a work touches, as for a retraction.

    The included reviews and other works that cite it, the reference lists and claims of articles that do, the cells of the
    evidence map with it and without it, the exports and published copies that had it, and the decisions made on it. Where
    something cannot be known, that is said. It works for any work, retracted or not, and for a DOI that is only cited here.
    """
    from evidence.database.connection import reading
    from evidence.export import ripple_report
    from evidence.publish import ripple

    named = _parse_name(doi_)
    with reading(settings.db) as conn:
        doi = _named_doi(conn, named, settings.db)
        found = ripple.read(conn, doi, ripple.known_of(conn, ripple.articles_of(settings.sources)))
    if found is None:
        raise ConfigError(
            f"{doi_}: no such work in {settings.db}, and no work or reference list there cites it; `evidence export --verdict "
            "all` lists the works"
        )
    atomic_output.write(to, (line.encode(errors="replace") for line in ripple_report.REPORTS[format_](found)))


@cli.command(epilog=_example("evidence snowball --least 5"))
@click.option(
    "-k",
    "--least",
    default=2,
    show_default=True,
    type=click.IntRange(min=1),
    help="Minimum number of included works that cite it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON, with the works that cite each.")
@_output
@click.pass_obj
def snowball(settings: Settings, least: int, as_json: bool, to: Path | None) -> None:
    """List cited works that the database does not have.

    The most cited come first. Only reference lists deposited with Crossref are read, and only their entries with a DOI. To add
    such a work, put it into a reference list in sources.yaml.
    """
    from evidence.database import read_queries
    from evidence.database.connection import reading
    from evidence.export import prisma_report

    with reading(settings.db) as conn:
        found = read_queries.cited_but_not_here(conn, least)
    _report(json.dumps(found, ensure_ascii=False) if as_json else prisma_report.cited_works_report(found, least), to)


@cli.command(epilog=_example("evidence cite 10.1001/jamapsychiatry.2023.0702 --style vancouver"))
@click.argument("doi_", metavar="DOI")
@click.option(
    "--style", default="apa", show_default=True, help="A CSL style, such as vancouver or american-medical-association."
)
@_output
def cite(doi_: str, style: str, to: Path | None) -> None:
    """Print a work's citation as Crossref formats it."""
    from evidence.crossref import client

    _report(client.bibliography(_parse_doi(doi_), style, _crossref_url()), to)


@cli.command(
    "check-references",
    epilog=_example(
        "evidence check-references references.bib",
        "evidence check-references manuscript.docx -f markdown -o report.md",
        "evidence check-references - --from records.jsonl.gz -f json",
        "evidence check-references --of 10.1001/jamapsychiatry.2023.0702",
    ),
)
@click.argument("given_files", metavar="FILE|-", nargs=-1)
@click.option("--of", "of", metavar="DOI", help="Check the reference list that was deposited for this work.")
@click.option("-f", "--format", "format_", type=click.Choice(REFERENCE_REPORTS), default="text", show_default=True,
              help="How the verdicts are written.")  # fmt: skip
@click.option("--from", "files", multiple=True, type=click.Path(path_type=Path, allow_dash=True), metavar="FILE",
              callback=_input_path,
              help="Ask these files of Crossref records instead of Crossref; several times if needed.")  # fmt: skip
@click.option("--fix", is_flag=True,
              help="Write FILE with the wrong fields corrected; the changes go to stderr.")  # fmt: skip
@click.option("--add", metavar="ID", help="Add them to sources.yaml as a reference list with this id.")
@click.option("--fresh", is_flag=True, help="Ask again about what was asked in the last seven days.")
@_retraction_watch
@_output
@click.pass_obj
def check_references_(
    settings: Settings,
    given_files: tuple[str, ...],
    of: str | None,
    format_: str,
    files: tuple[Path, ...],
    fix: bool,
    add: str | None,
    fresh: bool,
    retraction_watch: Path | None,
    to: Path | None,
) -> None:
    """Check references: real, right, not retracted?

    FILE holds references: a .bib, .ris, .nbib, CSL-JSON, .docx (its reference list), a saved web page, or text as pasted; - is
    stdin. Each reference is looked up in Crossref, or in DataCite where its DOI is registered there, and compared with the record
    field by field. No database is needed.

    The answers are kept for seven days in a file of your user's cache folder, so that a second check of the same list
    is quick; the summary says how many were asked about earlier, and when. [env: EVIDENCE_CACHE, a file, or no]

    Verdicts: found; found, with errors; found, but retracted, corrected or under concern; the DOI leads to another work;
    nothing agrees; could not ask.

    Exit code: 0 when every reference is found as it is, 1 when one needs a look, 2 for a file that cannot be read, 3 when one
    could not be asked about, or the list of --of cannot be had.
    """
    if bool(given_files) == bool(of):
        raise ConfigError("give a file of references, - for stdin, or --of DOI")
    if fresh and files:
        raise ConfigError("--fresh asks Crossref again, and --from asks files")
    if fix and len(given_files) != 1:
        raise ConfigError("--fix corrects the references of one FILE")
    from evidence.crossref import answer_cache
    from evidence.export import add_reference_list, corrected_references, reference_report
    from evidence.harvest import check_references
    from evidence.references import read_references

    given, left_out, inputs = [], [], [_read_input(file) for file in given_files]
    for data, name in inputs:
        read = read_references.read(data, name)
        given += [replace(each, file=name) for each in read.references]
        left_out += [f"{name}: {line}" if len(inputs) > 1 else line for line in read.left_out]
    with _bar(settings) as bar:
        checked = check_references.run(
            None if of else given,
            _parse_doi(of) if of else None,
            files=files,
            url=_crossref_url(),
            mailto=_mailto(None),
            datacite_url=os.environ.get("EVIDENCE_DATACITE_URL") or None,
            retraction_watch=retraction_watch,
            cache=answer_cache.default_path(os.environ),
            fresh=fresh,
            progress=bar,
        )
    if fix:
        corrected, changes = corrected_references.correct(*inputs[0], checked)
        for change in changes:
            click.echo(change, err=True)
        click.echo(reference_report.summary(checked), err=True)
        lines: Iterator[str] = iter([corrected])
    else:
        lines = reference_report.REPORTS[format_](checked, left_out)
    if left_out and (fix or format_ in reference_report.WITHOUT_LEFT_OUT):
        click.echo(reference_report.left_out_sentence(left_out), err=True)
        for line in reference_report.left_out_lines(left_out):
            click.echo(f"   {line}", err=True)
    if add:
        label = f"References checked on {datetime.now(UTC):%Y-%m-%d}, from {of or given_files[0]}"
        click.echo(add_reference_list.add(settings.sources, add, label, [each.given for each in checked]), err=True)
    atomic_output.write(to, (line.encode(errors="replace") for line in lines))
    raise SystemExit(reference_report.exit_code(checked))


def _read_input(file: str) -> tuple[bytes, str]:
    """The bytes of a file or of stdin, and what to call it."""
    if file == "-":
        return sys.stdin.buffer.read(), "stdin"
    try:
        return Path(file).read_bytes(), file
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror or error}") from None


@cli.command(epilog=_example("evidence status"))
@_as_json
@_output
@click.pass_obj
def status(settings: Settings, as_json: bool, to: Path | None) -> None:
    """Show the status of the database.

    Prints the last run, the number of works, each source, and the citations to check.
    """
    from evidence.database import read_queries
    from evidence.database.connection import reading
    from evidence.export import status_report

    with reading(settings.db) as conn:
        state = read_queries.status(conn)
    _report(json.dumps(state, ensure_ascii=False) if as_json else status_report.status_report(state), to)


@cli.command(
    "serve",
    epilog=_example(
        "evidence serve --open", 'evidence serve --reviewer "A. Reader"', "evidence serve --public --host 0.0.0.0"
    ),
)
@_host
@_port
@click.option("--open/--no-open", "open_browser", default=False, help="Open the site in a browser.")
@click.option(
    "--public",
    is_flag=True,
    help="For public visitors: no SQL of their own, no download of the database, no reviewer's desk.",
)
@click.option("--reviewer", metavar="NAME", help="Open the reviewer's desk for NAME, on this machine only.")
@click.option("--accounts", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Open the desk for the people in FILE (YAML, name: password hash); others as --public.")  # fmt: skip
@click.option(
    "--allow-host", "allow_hosts", multiple=True, metavar="NAME",
    help="Answer to this host name, too, such as that of a proxy in front; may be repeated.",
)  # fmt: skip
@click.option("--allow-checks", is_flag=True,
              help="Let visitors of a public site check references, a few lists an hour from each address.")  # fmt: skip
@click.pass_obj
def serve_(
    settings: Settings,
    host: str,
    port: int,
    open_browser: bool,
    public: bool,
    reviewer: str | None,
    accounts: Path | None,
    allow_hosts: tuple[str, ...],
    allow_checks: bool,
) -> None:
    """Serve the site until Ctrl-C.

    The site is read-only, unless you open the reviewer's desk with --reviewer or --accounts. On this machine's own address it
    answers to localhost and 127.0.0.1 only, and to the names of --allow-host.
    """
    from evidence.database.connection import open_evidence
    from evidence.publish import serve
    from evidence.review import reviewer_desk

    if sum((public, reviewer is not None, accounts is not None)) > 1:
        raise ConfigError("give only one of --public, --reviewer and --accounts: a public site has no reviewer's desk")
    if not public and accounts is None:  # visitors and proxies know the port of the others
        open_evidence(settings.db).close()  # before a site is announced at another port
        port = _free_port(host, port)
    opened: Mapping[str, str] = {}
    page = "/"
    if reviewer is not None:
        opened, page = reviewer_desk.local_desk(settings.db, settings.decisions, reviewer)
    elif accounts is not None:
        opened, page = reviewer_desk.accounts_desk(settings.db, settings.decisions, accounts)
    serve.environment(host, allow_hosts)
    if opened:
        serve.check(settings.db, host, port)
        click.echo(f"Reviewer's desk: {serve.address(host, port, page)}", err=True)
    if (public or accounts is not None) and (withheld := serve.withheld_abstracts(settings.db)):
        click.echo(
            f"Warning: {count_noun(withheld, 'abstract')} in this database may not be passed on; give visitors the site that "
            "`evidence publish` makes, which leaves them out.",
            err=True,
        )
    raise SystemExit(
        serve.run(
            settings.db,
            host,
            port,
            open_browser=open_browser,
            public=public or accounts is not None,
            sources=settings.sources,
            desk=opened,
            allow_hosts=allow_hosts,
            allow_checks=allow_checks,
            page=page,
        )
    )


@cli.command("publish", epilog=_example("evidence publish site --hide-reviewers"))
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--hide-reviewers", is_flag=True, help="Leave the names of reviewers out of the copy.")
@click.pass_obj
def publish_(settings: Settings, folder: Path, hide_reviewers: bool) -> None:
    """Write an immutable copy of database and site to DIR.

    A server that runs from DIR switches to the new copy by itself. Start one with `sh DIR/current/start`; a systemd unit and a
    Dockerfile are in the same folder. The copy leaves out the raw Crossref records.
    """
    from evidence.export import record_exports
    from evidence.publish import immutable_copy

    done = immutable_copy.publish(
        settings.db,
        folder,
        decisions=settings.decisions if settings.decisions.exists() else None,
        sources=settings.sources if settings.sources.exists() else None,
        reviewers="hidden" if hide_reviewers else "named",
        now=_now,
    )
    unrecorded = record_exports.record_published(settings.db, done.folder.name, done.included, _now())
    works = count_noun(done.works, "work")
    click.echo(f"{works}, {done.size / 1e6:.1f} MB, published in {done.folder}. To serve it: sh {done.current}/start")
    for name, reason in done.stuck:
        click.echo(
            f"The old version {done.current.parent / 'versions' / name} could not be removed ({reason}).", err=True
        )
    if done.unfinished:
        click.echo(
            f"Run {done.unfinished} has not finished: the copy has what it had written so far. Publish again when it ends."
        )
    if unrecorded:
        click.echo(unrecorded, err=True)


@cli.command("backup", epilog=_example("evidence backup backups/evidence.db"))
@click.argument("target", type=click.Path(path_type=Path), metavar="FILE")
@click.option("--force", is_flag=True, help="Overwrite FILE even if it is not a backup.")
@click.pass_obj
def backup_(settings: Settings, target: Path, force: bool) -> None:
    """Copy both databases and check the copies.

    Other programs may be writing to the databases at the same time.

    FILE is the copy of the harvested records. The copy of the decisions is written to the same folder: as decisions.db if FILE
    is called evidence.db, else as NAME-decisions.db. If FILE is a folder, it gets evidence.db and decisions.db.
    """
    from evidence.database import backup

    for copied in backup.backup(settings.db, settings.decisions, target, force=force):
        kind = "work" if "works" in copied.rows else "decision"
        held = count_noun(copied.rows[f"{kind}s"], kind)
        click.echo(f"{copied.source}: {held}, {copied.size / 1e6:.1f} MB, copied to {copied.file} and checked.")
        if copied.unfinished:
            click.echo(f"Run {copied.unfinished} has not finished: the copy has what it had written so far.")


@cli.command(
    "capsule",
    epilog=_example(
        "evidence capsule capsule-2026-11", "evidence capsule for-zenodo --public", "evidence capsule --list"
    ),
)
@click.argument("folder", type=click.Path(path_type=Path), metavar="[DIR]", required=False)
@click.option("--public", is_flag=True, help="One to be passed on: without raw records, the ledger of decisions, the contact "
                                             "address and abstracts that may not be passed on.")  # fmt: skip
@click.option("--hide-reviewers", is_flag=True, help="With --public: leave the names of reviewers out.")
@click.option("--version", "name", metavar="NAME",
              help="Only if the state of now is this version (see `evidence version`).")  # fmt: skip
@click.option("--list", "listed", is_flag=True, help="Print the capsules that were written, with their digests.")
@_output
@click.pass_obj
def capsule_(
    settings: Settings,
    folder: Path | None,
    public: bool,
    hide_reviewers: bool,
    name: str | None,
    listed: bool,
    to: Path | None,
) -> None:
    """Write everything that the state of now rests on to DIR.

    Databases, sources, rules with their weights, decisions, searches, exports and the versions of all programs, described as an
    RO-Crate, with the checksum of every file (BagIt). `evidence replay DIR` checks it. DIR is a new folder.

    Without --public it is for yourself: it has abstracts that may not be passed on, and reviewers' decisions.
    """
    from evidence.export import capsule_summary
    from evidence.publish import capsule

    if listed:
        from evidence.database import read_queries
        from evidence.database.connection import reading

        with reading(settings.db) as conn:
            _report(capsule_summary.listed(read_queries.capsules(conn)), to)
        return
    if folder is None:
        raise ConfigError("name a new folder for the capsule: evidence capsule DIR")
    if hide_reviewers and not public:
        raise ConfigError(
            "--hide-reviewers is for --public: a capsule for yourself has the ledger of decisions as it is"
        )
    book = _taxonomy(settings)
    kind: Literal["whole", "public"] = "public" if public else "whole"
    done = capsule.write(
        settings.db,
        settings.decisions,
        settings.sources,
        book,
        folder,
        kind=kind,
        hide_reviewers=hide_reviewers,
        version=name,
        now=_now,
    )
    _report(capsule_summary.written(done), to)
    if done.unrecorded:
        click.echo(done.unrecorded, err=True)


@cli.command(
    "replay",
    epilog=_example("evidence replay capsule-2026-11", "evidence replay capsule-2026-11 --json -o replay.json"),
)
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option(
    "--expect", metavar="DIGEST", help="The digest that `evidence capsule` printed when it wrote the capsule."
)
@_as_json
@_output
@click.pass_obj
def replay_(settings: Settings, folder: Path, expect: str | None, as_json: bool, to: Path | None) -> None:
    """Check every byte of a capsule, and rebuild it.

    Works, verdicts, tags, notices and all other derived tables are made anew from the records, rules and decisions in DIR
    alone, and compared row by row. Nothing in DIR or in your own review is changed.

    Exit code: 0 when nothing differs, 1 when a file or a row does, 2 when DIR is not a capsule.
    """
    from evidence.export import replay_report
    from evidence.publish import replay

    if expect is not None and not re.fullmatch(r"\s*[0-9a-fA-F]{64}\s*", expect):
        raise ConfigError(
            f"--expect {expect!r} is not a digest; it has 64 hexadecimal digits, as `evidence capsule --list` prints them"
        )
    with _bar(settings) as bar:
        found = replay.replay(folder, bar, expected=expect)
    text = json.dumps(replay_report.as_json(found), ensure_ascii=False) if as_json else replay_report.report(found)
    _report(text, to)
    if not found.same:
        raise SystemExit(1)


@cli.command("completion", epilog=_example("evidence completion bash", "evidence completion fish -o evidence.fish"))
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
@_output
def completion_(shell: str, to: Path | None) -> None:
    """Print what completes commands and tags in a shell.

    bash: add `eval "$(evidence completion bash)"` to ~/.bashrc. zsh: the same with zsh in ~/.zshrc, after compinit. fish: write
    it to ~/.config/fish/completions/evidence.fish.
    """
    from evidence import shell_completion

    _report(shell_completion.script(shell, cli), to)


@cli.group("evaluate", epilog=_example("evidence evaluate screening labelled.csv --brief"))
def evaluations() -> None:
    """Measure rules and record linkage on labelled files."""


_labelled = click.argument(
    "file", type=click.Path(dir_okay=False, path_type=Path, allow_dash=True), callback=_input_path
)
_brief = click.option("--brief", is_flag=True, help="Print only the figures, without the disagreements.")


@evaluations.command("screening", epilog=_example("evidence evaluate screening labelled.csv --brief"))
@_labelled
@_brief
@_output
def evaluate_screening(file: Path, brief: bool, to: Path | None) -> None:
    """Measure screening: precision, recall and each disagreement.

    FILE (.csv or .jsonl, plain or gzipped) has the columns title, abstract and label_relevant (0 or 1); or `relevant` and, if
    there was a second reader, `relevant_second_reader`.
    """
    from evidence.evaluation import screening_and_tagging_accuracy

    _measure(
        file,
        screening_and_tagging_accuracy.measure_screening,
        "has no labels of relevance (label_relevant, relevant)",
        brief,
        to,
    )


@evaluations.command("tags", epilog=_example("evidence evaluate tags labelled.jsonl --brief"))
@_labelled
@_brief
@_output
def evaluate_tags(file: Path, brief: bool, to: Path | None) -> None:
    """Measure tagging: precision and recall for each value.

    Recall counts the tags that all readers gave; precision counts those that any reader gave. FILE (.jsonl, plain or gzipped)
    has title, abstract and `labels` (facet → values) and, if there was a second reader, `labels_second_reader`.
    """
    from evidence.evaluation import screening_and_tagging_accuracy

    _measure(file, screening_and_tagging_accuracy.measure_tagging, "has no labels of tags (labels)", brief, to)


@evaluations.command("rct", epilog=_example("evidence evaluate rct labelled.csv --brief"))
@_labelled
@_brief
@_output
def evaluate_rct(file: Path, brief: bool, to: Path | None) -> None:
    """Measure how well randomised trials are found.

    FILE has title, abstract and is_rct_medline (0 or 1).
    """
    from evidence.evaluation import screening_and_tagging_accuracy

    _measure(
        file,
        screening_and_tagging_accuracy.measure_trials,
        "has no labels of randomised trials (is_rct_medline)",
        brief,
        to,
    )


@evaluations.command("ranking", epilog=_example("evidence evaluate ranking labelled.csv"))
@_labelled
@_output
def evaluate_ranking(file: Path, to: Path | None) -> None:
    """Measure the order in which records are shown to a reviewer.

    Prints how many records of FILE a reviewer must read, most likely first, to find 95 % of the relevant ones, and how many in
    random order.
    """
    from evidence.evaluation import screening_and_tagging_accuracy

    found = screening_and_tagging_accuracy.measure_ranking(
        screening_and_tagging_accuracy.labelled_records(file), _rules_to_measure()
    )
    _report(
        f"All {count_noun(found.rows, 'record')}, {found.relevant} relevant: a reviewer reads {found.read} to find "
        f"{found.share:.0%} of them; in random order {found.random}.\n"
        f"{count_noun(found.queue_rows, 'record')} waiting for a decision, {found.queue_relevant} relevant: a person reads "
        f"{found.queue_read} to find {found.share:.0%} of them.",
        to,
    )


def _rules_to_measure() -> Taxonomy:
    """The rules of the topic that sources.yaml names, or of the default one."""
    from evidence.harvest import sources
    from evidence.rules import taxonomy, topic

    path = click.get_current_context().find_object(Settings).sources  # type: ignore[union-attr]
    return taxonomy.load(sources.topic_of(path) if path.exists() else topic.load())


def _measure(
    file: Path,
    measure: Callable[[list[screening_and_tagging_accuracy.LabelledRecord], Taxonomy], Any],
    none: str,
    brief: bool,
    to: Path | None,
) -> None:
    from evidence.evaluation import screening_and_tagging_accuracy

    measured = measure(screening_and_tagging_accuracy.labelled_records(file), _rules_to_measure())
    text = screening_and_tagging_accuracy.render(measured, disagreements=not brief)
    if not text.strip():
        raise ConfigError(f"{file}: {none}; the --help of each `evidence evaluate` command names the columns it reads")
    _report(text, to)


@evaluations.command("duplicates", epilog=_example("evidence evaluate duplicates records.csv --gold clusters.csv"))
@_labelled
@click.option(
    "--gold", type=click.Path(dir_okay=False, path_type=Path), help="The true clusters, if FILE does not have them."
)
@_output
def evaluate_duplicates_(file: Path, gold: Path | None, to: Path | None) -> None:
    """Measure how well duplicate records are found.

    Prints the wrong and the missed pairs, each with the reason. FILE is any CSV with title, author, year and cluster.
    """
    from evidence.evaluation import duplicate_accuracy

    _report(duplicate_accuracy.render(duplicate_accuracy.evaluate_file(file, gold)), to)


@evaluations.command("matching", epilog=_example("evidence evaluate matching citations.jsonl.gz --every 10"))
@click.argument("files", nargs=-1, required=True, type=click.Path(dir_okay=False, path_type=Path, allow_dash=True),
                metavar="FILE…", callback=_input_path)  # fmt: skip
@click.option("--every", default=1, show_default=True, type=click.IntRange(min=1), help="Read only every Nth citation.")
@click.option("--show", default=20, show_default=True, help="How many disagreements to print.")
@_output
def evaluate_matching_(files: tuple[Path, ...], every: int, show: int, to: Path | None) -> None:
    """Measure how well citations are matched to their works.

    Each citation is matched in a local index of all works, and again with the true work removed.

    Each line of FILE (.jsonl, .jsonl.gz) is an object with `reference` (the text), `doi` (the true DOI or null) and facts of
    that work: atitle, firstAuthor, jtitle, volume, firstPage, year. Exit code: 1 when a target is missed (precision .995,
    recall .93, at most 1 % of absent works linked).
    """
    from evidence.evaluation import citation_accuracy

    rows = [
        row for file in files for row in citation_accuracy.labelled_citations(citation_accuracy.lines(file), str(file))
    ]
    evaluation = citation_accuracy.evaluate(rows, every)
    _report(citation_accuracy.render(evaluation, show), to)
    if not evaluation.met:
        raise SystemExit(1)


def main() -> None:
    """The console script: an EvidenceError becomes one sentence on stderr and an exit code."""
    try:
        with atomic_output.stdout_errors():
            code = _run_command_line()
    except atomic_output.PipeClosedError as error:
        code = error.exit_code
    except atomic_output.OutputError as error:
        code = _print_error(error)
    sys.exit(code)


def _run_command_line() -> int:
    """Run the command line and return its exit code."""
    if VARIABLE in os.environ:
        from evidence import shell_completion  # noqa: F401 (completes whole words in bash)
    try:
        cli(standalone_mode=False, complete_var=VARIABLE)
    except (atomic_output.OutputError, atomic_output.PipeClosedError):
        raise
    except EvidenceError as error:
        return _print_error(error)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        with suppress(OSError):
            error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        with suppress(OSError):
            click.echo("evidence: stopped by Ctrl-C; run the command again to continue", err=True)
        return 130
    return 0


def _print_error(error: EvidenceError) -> int:
    with suppress(OSError):  # when stderr cannot be written either, the exit code is all there is
        click.echo(f"evidence: {error}", err=True)
    return error.exit_code


def _run_sync(
    settings: Settings,
    checked: sources.Config,
    book: Taxonomy,
    offline: bool,
    files: tuple[Path, ...] = (),
    everything: bool = False,
    full: bool = False,
    enrich: bool = False,
    retraction_watch: Path | None = None,
) -> Any:
    from evidence.harvest.chosen_providers import ChosenProviders
    from evidence.harvest.locked_run import FileInput, run_sync

    paths = book.topic.snapshot() if offline else files
    with _bar(settings) as bar:
        return run_sync(
            settings.db,
            settings.decisions,
            checked,
            book,
            _now,
            bar,
            files=FileInput("snapshot" if offline else "files", paths, everything) if paths else None,
            url=_crossref_url(),
            mailto=None if paths else _mailto(checked),
            full=full,
            chosen=ChosenProviders(
                files=book.topic.bundled_facts() if offline else (), retraction_watch=retraction_watch
            )
            if paths
            else _chosen(checked, enrich, retraction_watch),
        )


def _chosen(checked: sources.Config, enrich: bool, retraction_watch: Path | None) -> ChosenProviders:
    """The other providers that sources.yaml names, none of them without `enrich`, and the file of Retraction Watch."""
    from evidence.harvest.chosen_providers import ChosenProviders

    if not enrich:
        return ChosenProviders(retraction_watch=retraction_watch)
    return ChosenProviders(checked.enrich, _mailto(checked), os.environ, retraction_watch or checked.retraction_watch)


def _topic(settings: Settings) -> Topic:
    """The topic of the review (see `chosen_topic`)."""
    from evidence.harvest.chosen_topic import topic_of_review

    return topic_of_review(settings.sources, settings.db)


def _taxonomy(settings: Settings) -> Taxonomy:
    """The rules of the review's topic."""
    from evidence.rules import taxonomy

    return taxonomy.load(_topic(settings))


@contextmanager
def _bar(settings: Settings) -> Iterator[Bar]:
    bar = Bar(settings.quiet)
    try:
        yield bar
    finally:
        bar.close()


def _parse_name(raw: str) -> Doi | tuple[str, str]:
    """A DOI, or another identifier of a work as (kind, identifier)."""
    from evidence.linkage.identifiers import read_identifier

    return read_identifier(raw) or _parse_key(raw)


def _named_doi(conn: sqlite3.Connection, named: Doi | tuple[str, str], db: Path) -> Doi:
    """The DOI under which the work is kept that is named so."""
    from evidence.database import read_queries

    if not isinstance(named, tuple):
        return read_queries.canonical_doi(conn, named)
    found = read_queries.works_with_identifier(conn, *named)
    if len(found) != 1:
        many = f"{count_noun(len(found), 'work')} have it; name one by its DOI: {', '.join(found)}"
        raise ConfigError(f"{named[1]}: {many if found else f'no work in {db} has this identifier'}")
    return found[0]


def _add_touches(settings: Settings, changes: Sequence[dict[str, Any]], path: Path | None = None) -> None:
    """Add to the retractions and other notices among the changes what each work touches. `path` is the sources.yaml whose claims
    count."""
    from evidence.database.changes_since_last_run import OF_STANDING

    if not any(row["what"] in OF_STANDING for row in changes):
        return  # importing what counts takes longer than most commands
    from evidence.database.connection import reading
    from evidence.publish import ripple

    with reading(settings.db) as conn:
        ripple.add_touches(conn, changes, ripple.articles_of(path or settings.sources))


def _parse_doi(raw: str) -> Doi:
    from evidence import doi

    parsed = doi.parse(raw)
    if parsed is None:
        raise ConfigError(f"{raw!r} is not a valid DOI; write it like 10.1176/appi.ajp.2015.15091141")
    return parsed


def _parse_key(raw: str) -> Doi:
    """The DOI of a work, or the local id of one without a DOI."""
    from evidence import doi

    return doi.parse_key(raw) or _parse_doi(raw)


def _run_as_of(conn: sqlite3.Connection, as_of: str | None) -> int | None:
    """The run of the state that was asked for; None for now."""
    from evidence.database.read_versions import state_named

    return state_named(conn, as_of).run if as_of is not None else None


@contextmanager
def _database_as_of(settings: Settings, as_of: str | None) -> Iterator[Path]:
    """The database of now, or one as it was in a version, which is there as long as it is read."""
    if as_of is None:
        yield settings.db
        return
    import tempfile

    from evidence.harvest.rewind import rewind

    with tempfile.TemporaryDirectory(prefix="evidence-as-of-") as made, _bar(settings) as bar:
        yield rewind(settings.db, settings.decisions, _taxonomy(settings), as_of, Path(made) / "then", bar).db


def _parse_date(raw: str | None, option: str = "--since") -> str | None:
    if raw is None:
        return None
    try:
        return datetime.strptime(raw, "%Y-%m-%d").replace(tzinfo=UTC).date().isoformat()
    except ValueError:
        raise ConfigError(f"{option} {raw!r} is not a valid date; write it like 2026-01-31") from None


def _has_screen() -> bool:
    """Whether a browser can be shown to a person: stdout is a terminal, and this machine has a screen."""
    windowed = sys.platform in ("darwin", "win32") or any(os.environ.get(n) for n in ("DISPLAY", "WAYLAND_DISPLAY"))
    return sys.stdout.isatty() and windowed


def _crossref_url() -> str | None:
    return os.environ.get("EVIDENCE_CROSSREF_URL") or None


def _mailto(checked: sources.Config | None) -> str | None:
    from evidence.harvest import sources

    raw = os.environ.get("EVIDENCE_MAILTO")
    if not raw:
        return checked.contact if checked else None
    try:
        return sources.contact_address(raw)
    except ValueError as error:
        raise ConfigError(f"EVIDENCE_MAILTO: {error}") from None


def _now() -> datetime:
    return datetime.now(UTC)
