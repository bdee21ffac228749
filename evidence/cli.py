"""Arguments in, one call, text and exit code out. No command here decides anything.

Results go to stdout, the log to stderr; a progress bar appears on a terminal only.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evidence import __version__
from evidence.database import tag_filter
from evidence.errors import ConfigError, EvidenceError
from evidence.export import formats, output_file

if TYPE_CHECKING:
    from evidence.evaluation import screening
    from evidence.harvest import sources
    from evidence.model import Doi, VerdictName
    from evidence.rules.taxonomy import Taxonomy

# What a command needs is imported when it runs: `evidence --help` needs none of it, and the network, the database and the
# rules together take longer to import than most answers to make.

VERDICTS = ("include", "exclude", "unsure")
SHOWN_VERDICTS = (*VERDICTS, "duplicate", "all")


@dataclass(frozen=True, slots=True)
class Settings:
    """The global options."""

    db: Path
    decisions: Path
    sources: Path
    quiet: bool


def _writes_to(_: click.Context, __: click.Parameter, value: str) -> Path | None:
    return None if value == "-" else Path(value)


_to = click.option("-o", "--output", "to", type=click.Path(dir_okay=False, readable=False, allow_dash=True), default="-",
                   callback=_writes_to, help="Default: stdout.")  # fmt: skip
_as_json = click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")


class Bar:
    """`reconsider.Progress` as a bar on a terminal's stderr; elsewhere silence."""

    def __init__(self, quiet: bool) -> None:
        from tqdm import tqdm

        self._bar = tqdm(disable=quiet or not sys.stderr.isatty(), leave=False, unit="", file=sys.stderr)

    def step(self, label: str, done: int, total: int | None) -> None:
        """Show how far `label` is."""
        self._bar.set_description_str(label, refresh=False)
        self._bar.total = total
        self._bar.n = done
        self._bar.refresh()

    def close(self) -> None:
        """Take the bar away."""
        self._bar.close()


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--db", type=click.Path(path_type=Path), default="evidence.db", envvar="EVIDENCE_DB", show_default=True,
              help="The database of what was harvested. [env: EVIDENCE_DB]")  # fmt: skip
@click.option("--decisions", type=click.Path(path_type=Path), envvar="EVIDENCE_DECISIONS",
              help="The database of what people decided; default: decisions.db beside it. [env: EVIDENCE_DECISIONS]")  # fmt: skip
@click.option("--sources", type=click.Path(path_type=Path), default="sources.yaml", envvar="EVIDENCE_SOURCES",
              show_default=True, help="What is harvested. [env: EVIDENCE_SOURCES]")  # fmt: skip
@click.option("-v", "--verbose", is_flag=True, help="Say every request and wait on stderr.")
@click.option("-q", "--quiet", is_flag=True, help="Say only results and errors.")
@click.version_option(__version__, prog_name="evidence")
@click.pass_context
def cli(ctx: click.Context, db: Path, decisions: Path | None, sources: Path, verbose: bool, quiet: bool) -> None:
    """The living evidence tracker for interpersonal psychotherapy.

    It resolves a reference list and runs standing searches through Crossref, screens and tags every study with the words
    that earned the tag, and publishes the result through Datasette.
    """
    level = logging.INFO if verbose else logging.ERROR if quiet else logging.WARNING
    logging.basicConfig(stream=sys.stderr, level=level, format="%(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    ctx.obj = Settings(db, decisions or db.with_name("decisions.db"), sources, quiet)


@cli.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=".")
def init(folder: Path) -> None:
    """Write a starter sources.yaml into FOLDER (default: here)."""
    target = folder / "sources.yaml"
    if target.exists():
        raise ConfigError(f"{target}: is already there; edit it, or name another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be written ({error.strerror}); name another folder") from None
    output_file.write_whole(target, [starter().read_bytes()])
    click.echo(f"Wrote {target}. Edit it, then: evidence check && evidence sync")


@cli.command()
@click.option("--online", is_flag=True, help="Also ask Crossref how many records each search matches.")
@click.pass_obj
def check(settings: Settings, online: bool) -> None:
    """Check sources.yaml and the rules, without a request unless --online."""
    from evidence.harvest import sources
    from evidence.harvest.run import counts
    from evidence.rules import taxonomy

    checked, book = sources.load(settings.sources), taxonomy.load()
    rules = sum(len(value.rules) for facet in book.facets for value in facet.values)
    click.echo(f"{settings.sources}: {len(checked.sources)} sources, nothing wrong.")
    click.echo(f"Rules: {len(book.facets)} facets, {rules} rules, digest {book.digest}.")
    if online:
        for label, count in counts(checked, _crossref_url(), _mailto(checked)):
            click.echo(f"{count:>12,}  {label}")


@cli.command()
@click.option("--offline", is_flag=True, help="Read the bundled snapshot instead of asking Crossref.")
@click.option("--from", "files", multiple=True, type=click.Path(path_type=Path), metavar="FILE",
              help="Read Crossref records from FILE (.jsonl, .json, either .gz); may be given more than once.")  # fmt: skip
@click.option(
    "--all", "everything", is_flag=True, help="With --from: take every record, not only those a source asks for."
)
@click.option(
    "--full",
    is_flag=True,
    help="Forget the bookmarks: harvest every source whole, search twice as deep, and notice what vanished.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
@click.pass_obj
def sync(
    settings: Settings, offline: bool, files: tuple[Path, ...], everything: bool, full: bool, as_json: bool
) -> None:
    """Harvest, normalise, screen and tag: the whole way.

    Exit code 0 when every source was harvested to its end, 1 when one stopped, 2 for a mistake in sources.yaml, 75 when
    another sync is running.
    """
    if everything and not files:
        raise ConfigError("--all goes with --from FILE: it takes every record of those files")
    if offline and files:
        raise ConfigError("give --offline or --from, not both: --offline is the bundled snapshot")
    from evidence.export import report
    from evidence.harvest import sources

    checked = sources.load(settings.sources)
    outcome = _run(settings, checked, offline, files, everything, full)
    click.echo(json.dumps(outcome.counts() | {"outcome": outcome.outcome}) if as_json else report.summary(outcome))
    if outcome.outcome != "complete":
        raise SystemExit(1)


@cli.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Where the site listens.")
@click.option("--port", default=8001, show_default=True, help="Where the site listens.")
@click.option("--no-serve", is_flag=True, help="Stop after the run, for scripts.")
@click.option(
    "--open/--no-open", "open_browser", default=None, help="Open a browser; default: where there is a screen."
)
@click.pass_obj
def demo(settings: Settings, host: str, port: int, no_serve: bool, open_browser: bool | None) -> None:
    """Run the whole way on the bundled snapshot (no network) and open the site until Ctrl-C."""
    from evidence.export import report
    from evidence.harvest import sources
    from evidence.publish import serve

    path = settings.sources if settings.sources.exists() else starter()
    outcome = _run(settings, sources.load(path), True, (), False, False)
    click.echo(report.summary(outcome))
    if not no_serve:
        opened = _has_screen() if open_browser is None else open_browser
        click.echo(f"The site is on http://{host}:{port}/ until Ctrl-C.")
        raise SystemExit(serve.run(settings.db, host, port, open_browser=opened, sources=path))


@cli.command()
@click.pass_obj
def judge(settings: Settings) -> None:
    """Screen and tag again, offline, what changed rules or decisions touch."""
    from evidence.database import change_log
    from evidence.export import report
    from evidence.harvest.run import judge_stale
    from evidence.rules import taxonomy

    with _bar(settings) as bar:
        count, changes = judge_stale(settings.db, settings.decisions, taxonomy.load(), _now, bar)
    click.echo(f"{count} works judged again." if count else "Nothing to judge: rules and decisions are as before.")
    for line in report.turned(changes):
        click.echo(line)
    if count or changes:
        click.echo(f"Changes: {report.counted(change_log.counts_by_kind(changes))}.")


@cli.command()
@click.argument("doi_", metavar="DOI")
@click.option("--json", "as_json", is_flag=True, help="Print the whole record as JSON.")
@click.pass_obj
def explain(settings: Settings, doi_: str, as_json: bool) -> None:
    """Say why a work is in or out, with the words behind its verdict and every tag."""
    from evidence.database import queries
    from evidence.database.connection import reading
    from evidence.export import report

    asked = _doi(doi_)
    with reading(settings.db) as conn:
        work = queries.work_details(conn, queries.canonical_doi(conn, asked))
    if work is None:
        raise ConfigError(f"{doi_}: no such work in {settings.db}; `evidence status` says what is there")
    click.echo(json.dumps(work, ensure_ascii=False) if as_json else report.explanation(work))


@cli.command()
@click.argument("doi_", metavar="DOI")
@click.argument("verdict", type=click.Choice(VERDICTS), required=False)
@click.option("--tag", "tags", multiple=True, metavar="FACET:VALUE", help="Say this of the work.")
@click.option("--untag", "untags", multiple=True, metavar="FACET:VALUE", help="Take this away from the work.")
@click.option("--same", multiple=True, metavar="DOI", help="This record is another one of the same work.")
@click.option("--apart", multiple=True, metavar="DOI", help="This record is of another work, whatever the rules think.")
@click.option("--withdraw", "withdrawn", multiple=True, metavar="verdict|FACET:VALUE",
              help="Take back what you said of this before; the rules, or other people, decide again.")  # fmt: skip
@click.option("--because", required=True, help="The reason, kept beside the decision.")
@click.option("--by", "reviewer", envvar="EVIDENCE_REVIEWER", required=True,
              help="Who decides. [env: EVIDENCE_REVIEWER]")  # fmt: skip
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
    """Record a person's verdict or tag on a work; it beats the rules and survives every run."""
    from evidence.model import SAME_WORK
    from evidence.review.decide import add_decisions
    from evidence.rules import taxonomy

    pairs = (
        [*map(_pair, tags), *((SAME_WORK, _doi(other)) for other in same)],
        [*map(_pair, untags), *((SAME_WORK, _doi(other)) for other in apart)],
    )
    words, _ = add_decisions(
        settings.db,
        settings.decisions,
        taxonomy.load(),
        _now,
        _doi(doi_),
        verdict,
        *pairs,
        because,
        reviewer,
        withdrawn=[None if subject == "verdict" else _pair(subject) for subject in withdrawn],
    )
    if not words:
        click.echo(f"Nothing to add: this is what {reviewer} has decided already, for the same reason.")
        return
    click.echo(f"{len(words)} decided on {words[0].doi} by {reviewer}; kept in {settings.decisions}.")


@cli.group()
def decisions() -> None:
    """People's decisions as CSV, so that they can live in version control."""


@decisions.command("export")
@_to
@click.pass_obj
def decisions_export(settings: Settings, to: Path | None) -> None:
    """Write the whole ledger as CSV, oldest first."""
    from evidence.review import decisions_csv
    from evidence.review.decide import read_decisions

    output_file.write(to, (line.encode() for line in decisions_csv.csv_lines(read_decisions(settings.decisions))))


@decisions.command("import")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.pass_obj
def decisions_import(settings: Settings, file: Path) -> None:
    """Append the decisions of FILE that the ledger does not hold yet, then judge what they touch."""
    from evidence.database import queries
    from evidence.database.connection import reading
    from evidence.export import report
    from evidence.review import decisions_csv
    from evidence.review.decide import import_decisions
    from evidence.rules import taxonomy

    count = import_decisions(settings.db, settings.decisions, taxonomy.load(), _now, decisions_csv.read_csv(file))
    click.echo(f"{count} decision{'' if count == 1 else 's'} added.")
    with reading(settings.db) as conn:
        if without := queries.decided_but_not_here(conn):
            click.echo(report.without_work(without))


@decisions.command("conflicts")
@click.pass_obj
def decisions_conflicts(settings: Settings) -> None:
    """List the works whose decisions people should look at again, and why."""
    from evidence.database import queries
    from evidence.database.connection import reading
    from evidence.export import report

    with reading(settings.db) as conn:
        found, without = queries.works_with_conflicts(conn), queries.decided_but_not_here(conn)
    for row in found:
        click.echo(f"https://doi.org/{row['doi']}  {row['conflict']}")
    if without:
        click.echo(report.without_work(without))
    if not found and not without:
        click.echo("No conflicts.")


@decisions.command("agreement")
@click.pass_obj
def decisions_agreement(settings: Settings) -> None:
    """Say how far each two reviewers agree: percent, and Cohen's kappa."""
    from evidence.review import agreement
    from evidence.review.decide import current_decisions, read_decisions

    _, words = current_decisions(settings.db, read_decisions(settings.decisions))
    found = agreement.pairwise_agreement(words)
    for pair in found:
        kappa = "not defined" if pair.kappa is None else f"{pair.kappa:.2f}"
        click.echo(f"{pair.first} and {pair.second}: {pair.works} works, {pair.observed:.0%} agreement, kappa {kappa}")
    if not found:
        click.echo("No work has been decided by two reviewers.")


@cli.command("export")
@click.option("--format", "format_", type=click.Choice(sorted(formats.FORMATS)), default="csv", show_default=True,
              help="csv has every column; ris is for Zotero, Rayyan and Covidence.")  # fmt: skip
@click.option("--tag", "tags", multiple=True, metavar="FACET:VALUE[,…]",
              help="Only works with this tag (design:rct,cluster-rct: either); given more than once, all must hold.")  # fmt: skip
@click.option("--verdict", "verdicts", multiple=True, type=click.Choice(SHOWN_VERDICTS), default=("include",),
              show_default=True, help="Only works with this verdict; given more than once, either.")  # fmt: skip
@click.option("--since", metavar="DATE", help="Only works that are new or changed since this day (YYYY-MM-DD).")
@click.option("--query", "text", metavar="TEXT", help="Only works with all of these words (full-text search).")
@click.option("--as-of", metavar="DATE",
              help="As they stood at the end of this day (YYYY-MM-DD): verdicts and records of then, tags of today.")  # fmt: skip
@click.option("--excel", is_flag=True, help="Begin the CSV with a byte order mark, so that Excel reads UTF-8.")
@click.option("--encoding", default="utf-8", show_default=True, help="The encoding of the file.")
@_to
@click.pass_obj
def export_(
    settings: Settings,
    format_: str,
    tags: tuple[str, ...],
    verdicts: tuple[str, ...],
    since: str | None,
    text: str | None,
    as_of: str | None,
    excel: bool,
    encoding: str,
    to: Path | None,
) -> None:
    """Write the works, one row each, as CSV, RIS, BibTeX, CSL-JSON or for ASReview."""
    from evidence.database.selection import Selection
    from evidence.export.works import export_works

    chosen = SHOWN_VERDICTS if "all" in verdicts else verdicts
    selection = Selection(chosen, tuple(map(tag_filter.parse, tags)), _day(since), text)
    day = _day(as_of, "--as-of")
    count = export_works(settings.db, selection, format_, excel, encoding, to, day)
    if to is not None and not settings.quiet:
        click.echo(f"{count} works written to {to}.", err=True)


@cli.group("report")
def reports() -> None:
    """What a review must report: the flow of records, the searches as run, what changed."""


@reports.command("prisma")
@click.option(
    "--as-of", metavar="DATE", help="As it stood at the end of this day (YYYY-MM-DD); default: as it stands now."
)
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@click.pass_obj
def report_prisma(settings: Settings, as_of: str | None, as_json: bool) -> None:
    """Print the boxes of the PRISMA 2020 flow diagram."""
    from evidence.database import queries
    from evidence.database.connection import reading
    from evidence.export import report

    day = _day(as_of, "--as-of")
    with reading(settings.db) as conn:
        found = queries.flow(conn, day)
    click.echo(json.dumps(found.boxes, ensure_ascii=False) if as_json else report.flow(found))


@reports.command("prisma-s")
@_as_json
@click.pass_obj
def report_prisma_s(settings: Settings, as_json: bool) -> None:
    """Print every search as it was run, as PRISMA-S asks for it."""
    from evidence.database import queries
    from evidence.database.connection import reading
    from evidence.export import report

    with reading(settings.db) as conn:
        rows = queries.searches_as_run(conn)
    click.echo(json.dumps(rows, ensure_ascii=False) if as_json else report.searches(rows))


@reports.command("changes")
@click.option(
    "--since",
    metavar="DATE",
    help="Since this day (YYYY-MM-DD); default: in the last sync and what was judged after it.",
)
@click.option("--tags", is_flag=True, help="With changes of tags, which are left out else.")
@_as_json
@click.pass_obj
def report_changes(settings: Settings, since: str | None, tags: bool, as_json: bool) -> None:
    """Print what changed, notices first: new works, verdicts that turned, changed records, duplicates, what is gone."""
    from evidence.database import queries
    from evidence.database.connection import reading
    from evidence.export import report

    day = _day(since)
    with reading(settings.db) as conn:
        rows = queries.changes(conn, day, tags=tags)
    click.echo(json.dumps(rows, ensure_ascii=False) if as_json else report.changes(rows))


@cli.command()
@click.option(
    "-k", "--least", default=2, show_default=True, type=click.IntRange(min=1), help="Cited by at least so many."
)
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON, with the works that cite.")
@click.pass_obj
def snowball(settings: Settings, least: int, as_json: bool) -> None:
    """List works that several included works cite and that are not in the database, most cited first.

    Only deposited reference lists are seen, and of these the entries with a DOI. To follow one, add it to a reference list
    in sources.yaml.
    """
    from evidence.database import queries
    from evidence.database.connection import reading
    from evidence.export import report

    with reading(settings.db) as conn:
        found = queries.cited_but_not_here(conn, least)
    click.echo(json.dumps(found, ensure_ascii=False) if as_json else report.snowball(found, least))


@cli.command()
@click.argument("doi_", metavar="DOI")
@click.option(
    "--style", default="apa", show_default=True, help="A CSL style, such as vancouver or american-medical-association."
)
def cite(doi_: str, style: str) -> None:
    """Print a work's formatted citation, asked from Crossref."""
    from evidence.crossref import client

    click.echo(client.bibliography(_doi(doi_), style, _crossref_url()))


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.pass_obj
def status(settings: Settings, as_json: bool) -> None:
    """Say how the database stands: last run, works, sources with trouble, citations that need a person."""
    from evidence.database import queries
    from evidence.database.connection import reading
    from evidence.export import report

    with reading(settings.db) as conn:
        state = queries.status(conn)
    click.echo(json.dumps(state, ensure_ascii=False) if as_json else report.status(state))


@cli.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where the site listens.")
@click.option("--port", default=8001, show_default=True, help="Where the site listens.")
@click.option("--open/--no-open", "open_browser", default=False, help="Open the site in a browser.")
@click.option(
    "--public", is_flag=True, help="For strangers: no SQL of their own, no download of the database, no desk."
)
@click.option("--reviewer", metavar="NAME", help="Open the reviewer's desk for NAME, on this machine.")
@click.option("--accounts", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Open the desk for the people in FILE (YAML, name: hash of a password); else as --public.")  # fmt: skip
@click.pass_obj
def serve_(
    settings: Settings,
    host: str,
    port: int,
    open_browser: bool,
    public: bool,
    reviewer: str | None,
    accounts: Path | None,
) -> None:
    """Open the site over the database until Ctrl-C.

    Nobody can write through it, unless a reviewer's desk is opened.
    """
    from evidence.publish import serve
    from evidence.review import desk

    if sum((public, reviewer is not None, accounts is not None)) > 1:
        raise ConfigError("--public, --reviewer and --accounts exclude each other: a site for strangers has no desk")
    opened: Mapping[str, str] = {}
    page = "/"
    if reviewer is not None:
        opened, page = desk.local_desk(settings.db, settings.decisions, reviewer)
    elif accounts is not None:
        opened, page = desk.accounts_desk(settings.db, settings.decisions, accounts)
    if opened:
        serve.check(settings.db, host, port)
        click.echo(f"The desk: {serve.address(host, port, page)}", err=True)
    raise SystemExit(
        serve.run(
            settings.db,
            host,
            port,
            open_browser=open_browser,
            public=public or accounts is not None,
            sources=settings.sources,
            desk=opened,
            page=page,
        )
    )


@cli.command("publish")
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--hide-reviewers", is_flag=True, help="Leave the names of those who decided out of the copy.")
@click.pass_obj
def publish_(settings: Settings, folder: Path, hide_reviewers: bool) -> None:
    """Write an immutable copy of the database with its site into DIR, and swap it in while a server runs.

    `sh DIR/current/start` serves it; a unit for systemd and a Dockerfile lie beside. Raw records stay out.
    """
    from evidence.publish import site_copy

    done = site_copy.publish(
        settings.db,
        folder,
        decisions=settings.decisions if settings.decisions.exists() else None,
        sources=settings.sources if settings.sources.exists() else None,
        reviewers="hidden" if hide_reviewers else "named",
        now=_now,
    )
    click.echo(f"{done.works} works, {done.size / 1e6:.1f} MB, in {done.folder}. Serve them: sh {done.current}/start")
    for name, reason in done.stuck:
        click.echo(
            f"The old version {done.current.parent / 'versions' / name} could not be removed ({reason}).", err=True
        )
    if done.unfinished:
        click.echo(
            f"Run {done.unfinished} was under way: the copy holds what had landed of it. Publish again when it ends."
        )


@cli.command("backup")
@click.argument("target", type=click.Path(path_type=Path), metavar="FILE")
@click.option("--force", is_flag=True, help="Overwrite FILE even where it is no backup.")
@click.pass_obj
def backup_(settings: Settings, target: Path, force: bool) -> None:
    """Copy both databases, whatever else is at work on them, and check the copies.

    FILE gets the harvest; the decisions go beside it, to decisions.db where FILE is called evidence.db and to NAME-decisions.db
    otherwise. A folder gets evidence.db and decisions.db.
    """
    from evidence.database import backup

    for copied in backup.backup(settings.db, settings.decisions, target, force=force):
        kind = "work" if "works" in copied.rows else "decision"
        held = f"{copied.rows[f'{kind}s']} {kind}{'s' * (copied.rows[f'{kind}s'] != 1)}"
        click.echo(f"{copied.source}: {held}, {copied.size / 1e6:.1f} MB, copied to {copied.file} and checked.")
        if copied.unfinished:
            click.echo(f"Run {copied.unfinished} was under way: the copy holds what had landed of it.")


@cli.group("evaluate")
def evaluations() -> None:
    """Measure the rules and the matching on labelled files of your own."""


_labelled = click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
_brief = click.option("--brief", is_flag=True, help="Only the figures, without the disagreements.")


@evaluations.command("screening")
@_labelled
@_brief
def evaluate_screening(file: Path, brief: bool) -> None:
    """Screen the labelled records of FILE: precision, recall, what waits, and every disagreement with its words.

    FILE (.csv or .jsonl, gzipped or not) has title, abstract and label_relevant (0 or 1), or `relevant` and perhaps
    `relevant_second_reader`.
    """
    from evidence.evaluation import screening

    _measure(file, screening.screening, "nobody's verdict is in it (label_relevant, relevant)", brief)


@evaluations.command("tags")
@_labelled
@_brief
def evaluate_tags(file: Path, brief: bool) -> None:
    """Tag the labelled works of FILE: recall on what all readers gave, precision against what any gave, per value.

    FILE (.jsonl, gzipped or not) has title, abstract and `labels` (facet → values), perhaps `labels_second_reader`.
    """
    from evidence.evaluation import screening

    _measure(file, screening.tags, "no labels are in it (labels)", brief)


@evaluations.command("rct")
@_labelled
@_brief
def evaluate_rct(file: Path, brief: bool) -> None:
    """Tell randomised trials among the records of FILE, which has title, abstract and is_rct_medline (0 or 1)."""
    from evidence.evaluation import screening

    _measure(file, screening.rct, "no record says whether it is a trial (is_rct_medline)", brief)


@evaluations.command("ranking")
@_labelled
def evaluate_ranking(file: Path) -> None:
    """Say how many records of FILE a person reads, likeliest first, to find 95 % of the relevant; and in random order."""
    from evidence.evaluation import screening
    from evidence.rules import taxonomy

    found = screening.ranking(screening.read(file), taxonomy.load())
    click.echo(
        f"{found.rows} records, {found.relevant} relevant: {found.read} read for {found.share:.0%} of them, "
        f"{found.random} in random order."
    )
    click.echo(
        f"Of these {found.queue_rows} wait for a person, {found.queue_relevant} of them relevant: "
        f"{found.queue_read} read for {found.share:.0%}."
    )


def _measure(file: Path, measure: Callable[[list[screening.Row], Taxonomy], Any], none: str, brief: bool) -> None:
    from evidence.evaluation import screening
    from evidence.rules import taxonomy

    measured = measure(screening.read(file), taxonomy.load())
    text = screening.render(measured, disagreements=not brief)
    if not text.strip():
        raise ConfigError(f"{file}: {none}; `evidence evaluate --help` says what each measure reads")
    click.echo(text)


@evaluations.command("duplicates")
@_labelled
@click.option("--gold", type=click.Path(dir_okay=False, path_type=Path), help="The true clusters, where FILE has none.")
def evaluate_duplicates_(file: Path, gold: Path | None) -> None:
    """Find the duplicates of FILE (any CSV with title, author, year and a cluster): wrong and missed pairs, with reasons."""
    from evidence.evaluation import duplicates

    click.echo(duplicates.render(duplicates.evaluate_file(file, gold)))


@evaluations.command("matching")
@click.argument("files", nargs=-1, required=True, type=click.Path(dir_okay=False, path_type=Path), metavar="FILE…")
@click.option("--every", default=1, show_default=True, type=click.IntRange(min=1), help="Read only every Nth citation.")
@click.option("--show", default=20, show_default=True, help="How many disagreements to print.")
def evaluate_matching_(files: tuple[Path, ...], every: int, show: int) -> None:
    """Match citations against a local index of all their works, and again with the true work taken out.

    Each line of FILE (.jsonl, .jsonl.gz) is an object with `reference` (the text), `doi` (the true one or null) and facts of that
    work: atitle, firstAuthor, jtitle, volume, firstPage, year. Exit code 1 when the targets are missed: precision .995,
    recall .93, at most 1 % of absent works linked.
    """
    from evidence.evaluation import matching

    rows = [row for file in files for row in matching.read(matching.lines(file), str(file))]
    evaluation = matching.evaluate(rows, every)
    click.echo(matching.render(evaluation, show))
    if not evaluation.met:
        raise SystemExit(1)


def starter() -> Path:
    """The starter sources.yaml: in a wheel beside the package, in a checkout at its top."""
    bundled = Path(str(resources.files("evidence") / "starter" / "sources.yaml"))
    return bundled if bundled.exists() else Path(__file__).parents[1] / "sources.yaml"


def main() -> None:
    """The console script: errors raised on purpose become one sentence and an exit code."""
    try:
        with output_file.told():
            code = _status()
    except output_file.PipeClosedError as error:
        code = error.exit_code
    except output_file.OutputError as error:
        code = _complain(error)
    sys.exit(code)


def _status() -> int:
    """Run the command line and give its exit code."""
    try:
        cli(standalone_mode=False)
    except (output_file.OutputError, output_file.PipeClosedError):
        raise
    except EvidenceError as error:
        return _complain(error)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        with suppress(OSError):
            error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        with suppress(OSError):
            click.echo("evidence: stopped by you; run it again to go on", err=True)
        return 130
    return 0


def _complain(error: EvidenceError) -> int:
    with suppress(OSError):  # when stderr is full too, the exit code says it
        click.echo(f"evidence: {error}", err=True)
    return error.exit_code


def _run(
    settings: Settings,
    checked: sources.Config,
    offline: bool,
    files: tuple[Path, ...],
    everything: bool,
    full: bool,
) -> Any:
    from evidence.crossref import record_files
    from evidence.harvest.run import Files, run_sync
    from evidence.rules import taxonomy

    paths = record_files.snapshot_files() if offline else files
    with _bar(settings) as bar:
        return run_sync(
            settings.db,
            settings.decisions,
            checked,
            taxonomy.load(),
            _now,
            bar,
            files=Files("snapshot" if offline else "files", paths, everything) if paths else None,
            url=_crossref_url(),
            mailto=None if paths else _mailto(checked),
            full=full,
        )


@contextmanager
def _bar(settings: Settings) -> Iterator[Bar]:
    bar = Bar(settings.quiet)
    try:
        yield bar
    finally:
        bar.close()


def _doi(raw: str) -> Doi:
    from evidence import doi

    parsed = doi.parse(raw)
    if parsed is None:
        raise ConfigError(f"{raw!r} is no DOI; write it like 10.1176/appi.ajp.2015.15091141")
    return parsed


def _pair(raw: str) -> tuple[str, str]:
    facet, colon, value = raw.partition(":")
    if not (facet and colon and value):
        raise ConfigError(f"{raw!r} is no tag; write it as facet:value, such as variant:ipt-a")
    return facet, value


def _day(raw: str | None, option: str = "--since") -> str | None:
    if raw is None:
        return None
    try:
        return datetime.strptime(raw, "%Y-%m-%d").replace(tzinfo=UTC).date().isoformat()
    except ValueError:
        raise ConfigError(f"{option} {raw!r} is no day; write it like 2026-01-31") from None


def _has_screen() -> bool:
    """Whether a person sits at this machine: a terminal, and something to show a browser on."""
    windowed = sys.platform in ("darwin", "win32") or any(os.environ.get(n) for n in ("DISPLAY", "WAYLAND_DISPLAY"))
    return sys.stdout.isatty() and windowed


def _crossref_url() -> str | None:
    return os.environ.get("EVIDENCE_CROSSREF_URL") or None


def _mailto(checked: sources.Config) -> str | None:
    from evidence.harvest import sources

    raw = os.environ.get("EVIDENCE_MAILTO")
    if not raw:
        return checked.contact
    try:
        return sources.contact_address(raw)
    except ValueError as error:
        raise ConfigError(f"EVIDENCE_MAILTO: {error}") from None


def _now() -> datetime:
    return datetime.now(UTC)
