"""The searches of a review as PRISMA-S asks for them: an appendix in Markdown, a table in CSV, and search files in JSON.

Values in, text out; no SQL, no terminal, no clock. What the database knows comes from `database.read_searches` and the PRISMA
flow, what only people know from `harvest.review_statements`. An item that neither states is marked as not stated, never left out.

PRISMA-S: Rethlefsen et al. 2021, doi:10.1186/s13643-020-01542-z. The search file: Haddaway et al. 2022, doi:10.1002/cl2.1288.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any
from urllib.parse import urlencode

from evidence import doi
from evidence.data_model import PROVIDER_LABELS
from evidence.database.prisma_flow import Flow
from evidence.export.csv_files import csv_line
from evidence.export.prisma_report import search_depth
from evidence.export.wording import count_noun
from evidence.harvest.review_statements import FILE, Statements

Row = dict[str, Any]

_DATABASES = {
    "crossref": "Crossref",
    "snapshot": "bundled snapshot of Crossref records",
    "files": "files of Crossref records",
    "backfill": "Crossref's public data file",
}
_PLATFORMS = {"crossref": "Crossref REST API (https://api.crossref.org/works)"}
_ENDED = {
    "complete": "all read",
    "quiet": "stopped where matches had become rare",
    "split": "read in parts",
    "cut": "cut short",
}


@dataclass(frozen=True, slots=True)
class Strategy:
    """One search strategy as it was run: one query with its filters, phrases and years in one database. `windows` are its rows of
    `read_searches.search_windows`, oldest first."""

    source: str
    label: str
    door: str
    query: str
    filters: str
    spec: Mapping[str, Any]
    retired: bool
    windows: tuple[Row, ...]
    works: int
    depth: Row | None = None

    @property
    def database(self) -> str:
        """The database that was searched."""
        return _DATABASES.get(self.door, self.door)

    @property
    def platform(self) -> str | None:
        """The platform of the database; None for files."""
        return _PLATFORMS.get(self.door)

    @property
    def first(self) -> str:
        """The day of the first run (ISO)."""
        return str(self.windows[0]["first_asked"])[:10]

    @property
    def last(self) -> str:
        """The day of the last run (ISO)."""
        return str(max(window["last_asked"] for window in self.windows))[:10]

    @property
    def days(self) -> list[str]:
        """Every day on which it was run, oldest first."""
        return sorted({str(window["first_asked"])[:10] for window in self.windows})

    def total(self, name: str) -> int:
        """The sum of a number over all windows."""
        return sum(window[name] for window in self.windows)

    @property
    def string(self) -> str:
        """The query with its filters, as it was sent, but for the filters of a window of dates."""
        if self.door == "backfill":  # no server ranked the records by the query
            return "none: every record of the file was read"
        return "&".join("=".join(part) for part in self._parameters()) or self.query

    @property
    def address(self) -> str:
        """The address that was asked, without what limits it to a window or pages through it; of files, the query."""
        return f"https://api.crossref.org/works?{urlencode(self._parameters())}" if self.platform else self.string

    @property
    def kept_if(self) -> str:
        """Which of the records read were kept."""
        return kept_if(self.spec)

    def _parameters(self) -> list[tuple[str, str]]:
        # From the entry of sources.yaml of that run: the log separates fields by signs that a text may contain.
        query = self.spec.get("query", {})
        fields = [("query" if name == "query" else f"query.{name}", text) for name, text in query.items()]
        return fields + ([("filter", self.filters.replace("; ", ","))] if fields and self.filters else [])


@dataclass(frozen=True, slots=True)
class Appendix:
    """Everything that the report says. `imports` are of `read_queries.imports_as_run`, `references`, `providers` and `pairs` of
    `read_searches`; `day` is the day of the report, `program` the name and version of the program."""

    title: str
    program: str
    day: str
    strategies: tuple[Strategy, ...]
    imports: tuple[Row, ...]
    references: tuple[Row, ...]
    providers: tuple[Row, ...]
    pairs: Mapping[tuple[str, str], int]
    flow: Flow
    stated: Statements


@dataclass(frozen=True, slots=True)
class Item:
    """An item of PRISMA-S: its number, section and name, what is known of it, and the key of prisma-s.yaml that states the rest.
    `known` comes from the database; `open` says that it is not the whole answer without `said`."""

    number: int
    section: str
    name: str
    key: str | None
    known: tuple[str, ...]
    said: str | None
    open: bool

    @property
    def status(self) -> str:
        """`known`, `stated`, or `not stated` where only a person could say more and nobody has."""
        return "stated" if self.said else "not stated" if self.open else "known"

    @property
    def sentences(self) -> list[str]:
        """What the report says of the item."""
        lines = [*self.known, *([self.said] if self.said else [])]
        if self.status == "not stated":
            lines.append(f"Not stated: add `{self.key}` to {FILE}.")
        return lines


def strategies(windows: Iterable[Row], works: Mapping[str, int], depths: Iterable[Row] = ()) -> tuple[Strategy, ...]:
    """The windows of `read_searches.search_windows` by strategy; `depths` are of `read_queries.search_depths`, each said of the
    newest strategy of its source at Crossref."""

    def key(row: Row) -> tuple[str, str, str, str, str]:
        return row["source"], row["door"], row["query"], row["filters"], json.dumps(row["spec"], sort_keys=True)

    found = []
    for _, group in groupby(sorted(windows, key=key), key=key):  # a stable sort keeps the order of runs
        rows = tuple(sorted(group, key=lambda row: row["run"]))
        first = rows[0]
        found.append(
            Strategy(
                first["source"], first["label"], first["door"], first["query"], first["filters"], first["spec"],
                bool(first["retired"]), rows, works.get(first["source"], 0),
            )
        )  # fmt: skip
    found.sort(key=lambda each: (each.source, each.windows[0]["run"], each.first))
    open_depths = {row["source"]: row for row in depths}
    with_depth = []
    for each in reversed(found):
        depth = open_depths.pop(each.source, None) if each.door == "crossref" else None
        with_depth.append(
            Strategy(
                each.source, each.label, each.door, each.query, each.filters, each.spec, each.retired, each.windows, each.works,
                depth,
            )
        )  # fmt: skip
    return tuple(reversed(with_depth))


def kept_if(spec: Mapping[str, Any]) -> str:
    """Which of the records read a search keeps, from its phrases and years."""
    parts = []
    if phrases := spec.get("phrases"):
        parts.append(f"title or abstract contains one of: {', '.join(phrases)}")
    if also := spec.get("also"):
        parts.append(f"and one of: {', '.join(also)}")
    if years := _years(spec.get("years")):
        parts.append(f"published {years}")
    return "; ".join(parts)


def window_in_words(row: Row) -> str:
    """Which part of the results a window is: `all dates`, `created 2001-01-01 to 2010-12-31`, `indexed from 2026-11-01`."""
    parts = []
    if row["created_from"] or row["created_until"]:
        parts.append(f"created {row['created_from'] or 'any'} to {row['created_until'] or 'any'}")
    if row["indexed_from"]:
        parts.append(f"indexed from {row['indexed_from']}")
    if row["other_from"] or row["other_until"]:
        parts.append(f"{row['window_by']} {row['other_from'] or 'any'} to {row['other_until'] or 'any'}")
    return ", ".join(parts) or "all dates"


def items(found: Appendix) -> list[Item]:
    """The 16 items of PRISMA-S in order."""
    imports = [(row, each) for row in found.imports for each in row["imports"]]

    def item(
        number: int, section: str, name: str, key: str | None, known: Sequence[str], *, needed: bool = True
    ) -> Item:
        said = found.stated.items.get(key) if key else None
        return Item(number, section, name, key, tuple(known), said, needed and key is not None)

    sources, strategy, review, records = (
        "Information sources and methods", "Search strategies", "Peer review", "Managing records",
    )  # fmt: skip
    registers = [_import_name(row, each) for row, each in imports if row["method"] == "register"]
    websites = [_import_name(row, each) for row, each in imports if row["method"] in ("website", "organisation")]
    others = [_import_name(row, each) for row, each in imports if row["method"] == "other"]
    return [
        item(1, sources, "Database name", None, _databases(found)),
        item(2, sources, "Multi-database searching", "multi_database", _multi(found), needed=bool(found.imports)),
        item(
            3, sources, "Study registries", "registries",
            [f"Searched elsewhere and imported: {name}." for name in registers] + _registries(found),
            needed=not registers,
        ),
        item(
            4, sources, "Online resources and browsing", "online_resources",
            [f"Searched or browsed, and imported: {name}." for name in websites], needed=not websites,
        ),
        item(5, sources, "Citation searching", "citation_searching", _citations(found), needed=not found.references),
        item(6, sources, "Contacts", "contacts", []),
        item(7, sources, "Other methods", "other_methods",
             [f"Imported: {name}." for name in others] + _providers(found), needed=not others),
        item(8, strategy, "Full search strategies", None, _where_strategies(found)),
        item(9, strategy, "Limits and restrictions", "limits", _limits(found)),
        item(10, strategy, "Search filters", "search_filters", []),
        item(11, strategy, "Prior work", "prior_work", []),
        item(12, strategy, "Updates", "updates", _updates(found), needed=False),
        item(13, strategy, "Dates of searches", None, _dates(found)),
        item(14, review, "Peer review", "peer_review", []),
        item(15, records, "Total records", None, _totals(found.flow)),
        item(16, records, "Deduplication", "deduplication", _deduplication(found), needed=False),
    ]  # fmt: skip


def not_stated(found: Appendix) -> list[str]:
    """The keys of prisma-s.yaml that would complete an item, in the order of the items."""
    return [each.key for each in items(found) if each.status == "not stated" and each.key]


def missing_in_words(found: Appendix) -> list[str]:
    """What PRISMA-S also asks for and nobody has stated, as the last lines of the text; none where nothing is missing."""
    missing = not_stated(found)
    return ["", f"Not stated: {', '.join(missing)}. Add them to {FILE} beside sources.yaml."] if missing else []


def as_markdown(found: Appendix) -> Iterator[str]:
    """An appendix for a manuscript: the 16 items in order, then each search strategy, import and reference list."""
    yield f"# Search methods: {_plain(found.title)}\n\n"
    yield (
        "Reported by the items of PRISMA-S (Rethlefsen et al. 2021, "
        "[doi:10.1186/s13643-020-01542-z](https://doi.org/10.1186/s13643-020-01542-z)). "
        f"Written on {found.day} by {_plain(found.program)} from its log of requests"
        f"{f' and from {FILE}' if found.stated.given else ''}.\n"
    )
    facts = [
        ("Searches made by", ", ".join(_person(each) for each in found.stated.authors)),
        ("Review question", found.stated.question),
        ("Protocol", found.stated.protocol),
        ("Report", found.stated.report),
    ]
    if given := [f"{name}: {_plain(text)}" for name, text in facts if text]:
        yield "\n" + "".join(f"* {line}\n" for line in given)
    for section, group in groupby(items(found), key=lambda each: each.section):
        yield f"\n## {section}\n"
        for each in group:
            yield f"\n**Item {each.number}. {each.name}.** "
            yield " ".join(_sentence(line) for line in each.sentences) + "\n"
    yield "\n## Search strategies as run\n"
    for number, strategy in enumerate(found.strategies, start=1):
        yield from _strategy_markdown(number, strategy)
    yield from _imports_markdown(found.imports, len(found.strategies))
    if found.references:
        yield "\n## Reference lists\n\n| list | of | citations | with a DOI | works found | first read |\n"
        yield "|---|---|---:|---:|---:|---|\n"
        for row in found.references:
            of = f"[{_plain(row['of'])}]({doi.url(row['of'])})" if row["of"] else "as printed"
            name = f"{row['label']}{_retired(row['retired'])}"
            numbers = (row["citations"], row["with_doi"], row["works"], row["first_read"] or "not yet read")
            yield f"| {_plain(name)} | {of} | {' | '.join(_number(n) for n in numbers)} |\n"


TABLE = (
    "source", "label", "method", "database", "platform", "query", "filters", "kept_if", "window", "first_request",
    "last_request", "requests", "records_in_database", "rows_scanned", "matched", "not_read", "cut", "ended",
    "works_found_by_source", "files", "no_longer_used",
)  # fmt: skip
"""The columns of the CSV."""


def as_csv(found: Appendix) -> Iterator[str]:
    """A row for each run and window of each search, and one for each import and reference list. `works_found_by_source` is the
    same in every row of a source."""
    yield csv_line(TABLE)
    for each in found.strategies:
        for row in each.windows:
            yield csv_line(
                (
                    each.source, each.label, "search", each.database, each.platform, each.query, each.filters, each.kept_if,
                    window_in_words(row), row["first_asked"], row["last_asked"], row["requests"], row["total"], row["scanned"],
                    row["matched"], row["not_read"], _yes(row["cut"]), row["ended"], each.works, None, _yes(each.retired),
                )
            )  # fmt: skip
    for row in found.imports:
        for held in row["imports"]:
            yield csv_line(
                (
                    row["source"], row["label"], row["method"], held["database"], None, held["search"], None, None, None,
                    held["date"], held["date"], None, None, row["records"], row["records"], None, None, None, row["works"],
                    "; ".join(held["files"]), None,
                )
            )  # fmt: skip
    for row in found.references:
        yield csv_line(
            (
                row["source"], row["label"], "citation searching", None, None, row["of"], None, None, None, row["first_read"],
                None, None, None, row["citations"], row["with_doi"], None, None, None, row["works"], None, _yes(row["retired"]),
            )
        )  # fmt: skip


def search_files(found: Appendix) -> list[dict[str, Any]]:
    """A record for each search strategy and each import in the data structure of Haddaway et al. 2022, with the names and the
    order of its authors' example. What is not known is null or an empty list. Under `evidence` stand the numbers, for which the
    structure has no field."""
    stated = found.stated
    shared = {
        "authors": [{"name": each.name} | ({"ORCID": each.orcid} if each.orcid else {}) for each in stated.authors],
        "day": _dotted(found.day),
        "peer_review": [stated.items["peer_review"]] if "peer_review" in stated.items else [],
        "review_question": stated.question,
        "linked_protocol": [stated.protocol] if stated.protocol else [],
        "linked_report": [stated.report] if stated.report else [],
    }
    records = [_search_file(each, found, shared) for each in found.strategies]
    return records + [_import_file(row, held, found, shared) for row in found.imports for held in row["imports"]]


def as_json(found: Appendix) -> Iterator[str]:
    """The search files as one JSON list."""
    yield json.dumps(search_files(found), ensure_ascii=False, indent=2) + "\n"


WRITERS = {"markdown": as_markdown, "csv": as_csv, "json": as_json}


# ---------------------------------------------------------------------- what is known of each item


def _databases(found: Appendix) -> list[str]:
    counts: dict[tuple[str, str | None], int] = {}
    for each in found.strategies:
        counts[each.database, each.platform] = counts.get((each.database, each.platform), 0) + 1
    lines = [
        f"{name[:1].upper()}{name[1:]}{f', through the {platform}' if platform else ''}: {_strategies(n)}."
        for (name, platform), n in counts.items()
    ]
    for row in found.imports:
        if row["method"] == "database":
            lines += [f"Searched elsewhere and imported: {_import_name(row, each)}." for each in row["imports"]]
    return lines or ["No search has been run yet."]


def _import_name(row: Row, each: Row) -> str:
    return each["database"] or f"{row['label']} (database and platform not stated)"


def _multi(found: Appendix) -> list[str]:
    if not found.strategies:
        return []
    return ["Each search of this program went to one database alone."]


def _registries(found: Appendix) -> list[str]:
    asked = {row["provider"]: row for row in found.providers}
    if "clinicaltrials" not in asked:
        return []
    row = asked["clinicaltrials"]
    return [
        (
            f"ClinicalTrials.gov was not searched: it was asked for {count_noun(row['asked'], 'registration')} that works name "
            f"({row['first_asked']} to {row['last_asked']})."
        )
    ]


def _citations(found: Appendix) -> list[str]:
    lines = []
    if found.references:
        citations, works = (sum(row[name] for row in found.references) for name in ("citations", "works"))
        deposited = sum(row["of"] is not None for row in found.references)
        lines.append(
            f"Cited references were examined: {count_noun(len(found.references), 'reference list')} with "
            f"{count_noun(citations, 'citation')}, {deposited} of them as deposited at Crossref and "
            f"{len(found.references) - deposited} as printed; {count_noun(works, 'work')} found by them. Citing references were "
            "not searched for by this program."
        )
    lines += [
        f"Citation searching elsewhere, imported: {_import_name(row, each)}."
        for row in found.imports
        if row["method"] == "citation"
        for each in row["imports"]
    ]
    return lines


def _providers(found: Appendix) -> list[str]:
    asked = [row for row in found.providers if row["provider"] not in ("clinicaltrials", "bundled", "file")]
    if not asked:
        return []
    names = ", ".join(
        f"{PROVIDER_LABELS.get(row['provider'], row['provider'])} ({row['first_asked']} to {row['last_asked']})"
        for row in asked
    )
    return [f"Not searched, but asked about works that were already found: {names}."]


def _where_strategies(found: Appendix) -> list[str]:
    total = len(found.strategies) + sum(len(row["imports"]) for row in found.imports)
    missing = sum(each["search"] is None for row in found.imports for each in row["imports"])
    lines = [f"All {total} strategies are below, as run." if total != 1 else "The strategy is below, as run."]
    if missing:
        lines.append(
            f"Of {count_noun(missing, 'imported search')}, the strategy is not stated: name it with `search:` in sources.yaml or "
            "`evidence import --search`."
        )
    return lines


def _limits(found: Appendix) -> list[str]:
    if not found.strategies:
        return []
    filters = sorted({each.filters for each in found.strategies if each.filters})
    years = sorted({text for each in found.strategies if (text := _years(each.spec.get("years")))})
    none = sum(not each.filters for each in found.strategies)
    lines = [f"Filters at the database: {'; '.join(filters)}."] if filters else []
    lines.append(f"{_strategies(none)} without a filter at the database.")
    lines.append(f"Years of publication: {'; '.join(years)}." if years else "No limit on years of publication.")
    lines.append("No limit on language was set by this program, unless a filter above says so.")
    cut = [each.label for each in found.strategies if each.total("not_read")]
    if cut:
        lines.append(f"Not read to the end: {'; '.join(dict.fromkeys(cut))} (see the strategies).")
    return lines


def _updates(found: Appendix) -> list[str]:
    days = sorted({day for each in found.strategies for day in each.days})
    if len(days) < 2:
        return ["All searches have been run on one day."] if days else []
    return [
        (
            f"The same searches were run again on later days: {len(days)} days with searches from {days[0]} to {days[-1]}. After "
            "the first run, records are asked for that the database has indexed since the last one (see the windows)."
        )
    ]


def _dates(found: Appendix) -> list[str]:
    if not found.strategies:
        return []
    last = {each.source: each.last for each in found.strategies if not each.retired}
    days = sorted(set(last.values()))
    if not days:
        return ["No search is in use any more; the dates are with the strategies."]
    span = f"on {days[0]}" if len(days) == 1 else f"between {days[0]} and {days[-1]}"
    return [f"Each strategy was last run {span}; its own dates are with it."]


def _totals(flow: Flow) -> list[str]:
    sources = "; ".join(f"{row['label']} {row['n']:,}" for row in flow.sources)
    return [
        (
            f"{flow['identified']:,} records were identified{f' ({sources})' if sources else ''}; {flow['removed']:,} were "
            f"removed before screening, and {flow['screened']:,} were screened."
        )
    ]


def _deduplication(found: Appendix) -> list[str]:
    flow, pairs = found.flow, found.pairs
    by_person = sum(n for (_, decided), n in pairs.items() if decided == "person")
    doubtful = pairs.get(("doubtful", "rule"), 0)
    return [
        (
            f"Software: {found.program}. Records with the same DOI are one record, and a DOI that leads to another is followed. "
            "Records with different DOIs, and imported records without one, are compared by title, authors, journal, year, "
            "volume, issue, pages and abstract; what is the same work is merged, and a doubtful pair waits for a reviewer."
        ),
        (
            f"{flow['duplicates']:,} duplicate records: {flow['again']:,} found by several sources, {flow['same_work']:,} "
            f"other records of the same work. {flow['aliases']:,} DOIs led to another record."
        ),
        (
            f"{count_noun(doubtful, 'doubtful pair')} {'waits' if doubtful == 1 else 'wait'} for a reviewer; "
            f"{count_noun(by_person, 'pair')} decided by a reviewer."
        ),
    ]


# ---------------------------------------------------------------------- writing


def _strategy_markdown(number: int, each: Strategy) -> Iterator[str]:
    yield f"\n### {number}. {_plain(each.label)}{_retired(each.retired)}\n\n"
    yield f"* Database: {_plain(each.database)}{f'; platform: {_plain(each.platform)}' if each.platform else ''}\n"
    yield f"* Query, as run: {_code(each.string)}\n"
    if each.kept_if:
        yield f"* Kept from the records read: {_plain(each.kept_if)}\n"
    yield (
        f"* Run from {each.first} to {each.last}: {count_noun(each.total('requests'), 'request')}, "
        f"{count_noun(each.total('scanned'), 'row')} scanned, {each.total('matched'):,} matched\n"
    )
    yield f"* Truncated: {_truncation(each)}\n"
    if each.depth:
        yield f"* Depth: {_plain(search_depth(each.depth))}\n"
    yield f"* Works found by this source now: {each.works:,}\n"
    yield "\n| window | run on | in the database | rows scanned | matched | not read | ended |\n"
    yield "|---|---|---:|---:|---:|---:|---|\n"
    for row in _summed(each.windows):
        yield (
            f"| {_plain(row['window'])} | {row['days']} | {row['total']:,} | {row['scanned']:,} | {row['matched']:,} | "
            f"{row['not_read']:,} | {row['ended']} |\n"
        )


def _summed(windows: Sequence[Row]) -> list[Row]:
    """The windows for a table that can be read: each of the first runs for itself, all updates by date of indexing in one row,
    whose numbers are sums (`total` is that of the newest)."""
    lines = [
        {
            "window": window_in_words(row), "days": str(row["first_asked"])[:10], "total": row["total"],
            "scanned": row["scanned"], "matched": row["matched"], "not_read": row["not_read"], "ended": _ended(row),
        }
        for row in windows if not row["indexed_from"]
    ]  # fmt: skip
    later = [row for row in windows if row["indexed_from"]]
    if later:
        first, last = str(later[0]["first_asked"])[:10], str(later[-1]["first_asked"])[:10]
        lines.append(
            {
                "window": f"{count_noun(len({row['run'] for row in later}), 'update')}: indexed since the run before",
                "days": first if first == last else f"{first} to {last}",
                "total": sum(row["total"] for row in later),
                "scanned": sum(row["scanned"] for row in later),
                "matched": sum(row["matched"] for row in later),
                "not_read": sum(row["not_read"] for row in later),
                "ended": "; ".join(dict.fromkeys(_ended(row) for row in later)),
            }
        )
    return lines


def _imports_markdown(imports: Sequence[Row], before: int) -> Iterator[str]:
    number = before
    for row in imports:
        for held in row["imports"]:
            number += 1
            yield f"\n### {number}. {_plain(row['label'])} (imported)\n\n"
            yield f"* Method: {_plain(row['method'])}; database and platform: {_plain(held['database'] or 'not stated')}\n"
            yield f"* Search, as run: {_code(held['search']) if held['search'] else 'not stated'}\n"
            yield f"* Date of the search: {held['date'] or 'not stated'}; files: {_plain(', '.join(held['files']))}\n"
            yield f"* Records of this source: {row['records']:,}; works found: {row['works']:,}\n"


def _truncation(each: Strategy) -> str:
    unread = each.total("not_read")
    cut = sum(bool(row["cut"]) for row in each.windows)
    if cut:
        return f"{count_noun(cut, 'window')} cut short, {count_noun(unread, 'record')} not read"
    quiet = sum(row["ended"] == "quiet" for row in each.windows)
    if quiet:
        return (
            f"no limit was reached; in {count_noun(quiet, 'window')} reading stopped where matches had become rare"
            + (f", {count_noun(unread, 'record')} not read" if unread else "")
        )
    return "no"


def _ended(row: Row) -> str:
    return "not finished" if row["ended"] is None else _ENDED.get(row["ended"], str(row["ended"]))


def _search_file(each: Strategy, found: Appendix, shared: Mapping[str, Any]) -> dict[str, Any]:
    days = each.days
    dates = {"data_entry": shared["day"], "strategy_exported": shared["day"], "search_conducted": _dotted(days[0])}
    dates |= {f"search_updated_{n}": _dotted(day) for n, day in enumerate(days[1:], start=1)}
    blocks = {"full_string": each.address}
    if each.kept_if:
        blocks["kept from the records read"] = each.kept_if
    years = each.spec.get("years") or [None, None]
    span = {"search_time_from": years[0], "search_time_to": years[1]} if any(years) else None
    truncated = _truncation(each)
    return _record(
        each.source, each.label, found, shared, dates,
        platform=each.platform or each.database,
        database=[each.database],
        string=blocks,
        span=span,
        described=f"{each.label}. {each.total('scanned'):,} records read, {each.total('matched'):,} matched; "
        f"truncated: {truncated}.",
        numbers={
            "requests": each.total("requests"), "rows_scanned": each.total("scanned"), "matched": each.total("matched"),
            "not_read": each.total("not_read"), "works_found_by_source": each.works,
            "filters": each.filters or None, "phrases": list(each.spec.get("phrases") or []),
            "also": list(each.spec.get("also") or []),
        },
    )  # fmt: skip


def _import_file(row: Row, held: Row, found: Appendix, shared: Mapping[str, Any]) -> dict[str, Any]:
    day = _dotted(held["date"]) if held["date"] else None
    return _record(
        row["source"], row["label"], found, shared,
        {"data_entry": shared["day"], "strategy_exported": shared["day"], "search_conducted": day},
        platform=None,
        database=[held["database"]] if held["database"] else [],
        string={"full_string": held["search"]} if held["search"] else None,
        span=None,
        described=f"{row['label']}. Run elsewhere and imported from {', '.join(held['files'])}.",
        numbers={"records_of_source": row["records"], "works_found_by_source": row["works"], "method": row["method"]},
    )  # fmt: skip


def _record(
    identifier: str,
    label: str,
    found: Appendix,
    shared: Mapping[str, Any],
    dates: Mapping[str, str | None],
    *,
    platform: str | None,
    database: list[str],
    string: Mapping[str, str] | None,
    span: Mapping[str, Any] | None,
    described: str,
    numbers: Mapping[str, Any],
) -> dict[str, Any]:
    return {
        "record_info": {"internal_id": identifier},
        "authors": shared["authors"],
        "date": dict(dates),
        "string_name": label,
        "keywords": [],
        "related_records": None,
        "parent_record": None,
        "platform": platform,
        "database": database,
        "search_string": dict(string) if string else None,
        "search_field": None,
        "database_time_coverage": None,
        "search_time_span": dict(span) if span else None,
        "search_language": None,
        "settings": {},
        "quality_assurance": [],
        "validation_report": [],
        "peer_review": shared["peer_review"],
        "description": described,
        "review_question": shared["review_question"],
        "review_type": "living systematic review",
        "linked_protocol": shared["linked_protocol"],
        "linked_report": shared["linked_report"],
        "evidence": {"program": found.program, **numbers},
    }


def _person(each: Any) -> str:
    return f"{each.name} (ORCID {each.orcid})" if each.orcid else str(each.name)


def _retired(retired: object) -> str:
    return " (no longer used)" if retired else ""


def _yes(value: object) -> str:
    return "yes" if value else "no"


def _years(years: Sequence[int | None] | None) -> str | None:
    first, last = years or (None, None)
    if first and last:
        return f"{first} to {last}" if first != last else str(first)
    return f"from {first}" if first else f"until {last}" if last else None


def _dotted(day: str) -> str:
    """A day as the example of the data structure writes it: `2026.11.28`."""
    return day[:10].replace("-", ".")


def _strategies(n: int) -> str:
    return f"{n:,} search {'strategy' if n == 1 else 'strategies'}"


def _number(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _sentence(line: str) -> str:
    if line.startswith("Not stated:"):
        return f"**{line}**"  # the key in it is meant as code
    return _plain(line if line.endswith((".", "!", "?")) else f"{line}.")


def _code(text: str) -> str:
    """A text as code, whatever it contains."""
    fence = "`"
    while fence in text:
        fence += "`"
    flat = " ".join(text.split())
    return f"{fence} {flat} {fence}" if "`" in flat else f"{fence}{flat}{fence}"


def _plain(text: object) -> str:
    escaped = " ".join(str(text).split())
    for sign in "\\`*_[]<>|#":
        escaped = escaped.replace(sign, f"\\{sign}")
    return escaped
