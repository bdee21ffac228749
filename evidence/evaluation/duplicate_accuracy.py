"""How accurate is `linkage/duplicate_clusters.py`? Records whose duplicates are known → precision and recall of pairs, and
every disagreement.

It measures and prints. It may not change a database. Three kinds of files are read:

* a CSV of records (`.csv`, `.csv.gz`) with any of the columns of `COLUMNS`, in any order and case. The gold standard is a CSV
  beside it, `merged_record_ids.csv`, with one work per line (`merged_ids`: the records' ids, separated by `;`), or a column of
  the records themselves (`cluster`, `cluster_id`, `duplicate_id`) that is equal for records of one work. Records that the gold
  standard does not name are works of their own.
* a `.tar.gz` with both, as the bib-dedupe sets are published.
* a `.json` of pairs: `{"cases": [{"id", "record_a", "record_b", "expected_duplicate"}]}`, each judged by itself.

Pairs are counted after clustering: a pair counts as merged when both records are in one cluster.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import tarfile
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from evidence.errors import ConfigError
from evidence.evaluation.metrics import Counts, percent
from evidence.linkage import duplicate_clusters
from evidence.linkage.duplicate_clusters import Candidate

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "key": ("id", "key", "record_id", "recordid"),
    "doi": ("doi",),
    "title": ("title", "ti", "primary_title"),
    "authors": ("author", "authors", "au"),
    "year": ("year", "publication_year", "py", "date"),
    "container": (
        "journal",
        "container",
        "container_title",
        "booktitle",
        "source",
        "secondary_title",
        "publication_title",
    ),
    "volume": ("volume", "vol"),
    "issue": ("number", "issue"),
    "pages": ("pages", "page", "start_page"),
    "abstract": ("abstract", "ab"),
    "kind": ("entrytype", "type", "kind"),
    "isbn": ("isbn",),
    "issn": ("issn",),
}
"""A candidate's fields and the columns they are read from: the first that is filled. A record without a key has its line
number as key."""
CLUSTER_COLUMNS = ("cluster", "cluster_id", "duplicate_id")
RECORDS, GOLD = "records_pre_merged.csv", "merged_record_ids.csv"
_BROKEN = (OSError, EOFError, zlib.error, tarfile.TarError, UnicodeDecodeError)

Gold = frozenset[tuple[str, str]]
"""Pairs of keys that are one work, the smaller first."""


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Two records on which gold standard and program differ. `reason` is the program's sentence, None when it did not pair
    them; `waits`: the program leaves the pair to a person."""

    first: Candidate
    second: Candidate
    reason: str | None
    waits: bool


@dataclass(frozen=True, slots=True)
class Result:
    """`right`, `wrong` and `missed` pairs among `records` records; `doubtful` pairs are left to a person.

    `unknown` are ids in the gold standard that no record has. `judged` is False when there is no gold standard; then `wrong`
    has all pairs that would be merged, and there are no figures.
    """

    name: str
    records: int
    right: int
    wrong: tuple[Disagreement, ...]
    missed: tuple[Disagreement, ...]
    doubtful: int
    unknown: tuple[str, ...] = ()
    judged: bool = True

    @property
    def counts(self) -> Counts:
        """Pairs: merged rightly, merged wrongly, not merged. Without a gold standard there are none."""
        return Counts(self.right, len(self.wrong), len(self.missed)) if self.judged else Counts()


def evaluate_file(path: Path, gold: Path | None = None) -> Result:
    """The result for one file. `gold` is the file of the gold standard (None: the one beside it). ConfigError when a file
    cannot be read."""
    if path.name.lower().endswith(".json"):
        return _evaluate_cases(path)
    if path.name.lower().endswith((".tar.gz", ".tgz")):
        texts = _unpacked(path)
        rows, beside = texts[RECORDS], texts.get(GOLD)
    else:
        rows = _text(path)
        beside = _text(path.parent / GOLD) if gold is None and (path.parent / GOLD).is_file() else None
    if gold is not None:
        beside = _text(gold)
    records, clusters = read_records(rows, str(path))
    if beside is not None:
        clusters = _gold_rows(beside, str(gold or GOLD))
    return evaluate(records, clusters, path.name)


def read_records(text: str, name: str = "the file") -> tuple[tuple[Candidate, ...], tuple[tuple[str, ...], ...] | None]:
    """CSV text → candidates, and the clusters (ids) by its cluster column, None without that column. ConfigError names the
    line."""
    reader = csv.DictReader(io.StringIO(text, newline=""))
    candidates: dict[str, Candidate] = {}
    clusters: dict[str, list[str]] = defaultdict(list)
    try:
        columns = {column: re.sub(r"[\s\-]+", "_", column.strip().lower()) for column in reader.fieldnames or ()}
        if not set(columns.values()) & {*COLUMNS["title"], *COLUMNS["doi"]}:
            raise ConfigError(f"{name}:1: no column with titles or DOIs; name one `title` or `doi`")
        for row in reader:
            plain = {columns[column]: value.strip() for column, value in row.items() if column in columns and value}
            candidate = _candidate(plain, str(reader.line_num))
            if candidate.key in candidates:
                raise ConfigError(
                    f"{name}:{reader.line_num}: the id {candidate.key!r} is already on an earlier line; ids must be unique"
                )
            candidates[candidate.key] = candidate
            if cluster := next((plain[column] for column in CLUSTER_COLUMNS if plain.get(column)), None):
                clusters[cluster].append(candidate.key)
    except csv.Error as error:
        raise ConfigError(f"{name}:{reader.line_num + 1}: not CSV ({error}); check the quotes there") from None
    clustered = set(CLUSTER_COLUMNS) & set(columns.values())
    return tuple(candidates.values()), tuple(map(tuple, clusters.values())) if clustered else None


def _candidate(row: Mapping[str, Any], key: str) -> Candidate:
    """A row with lower-case columns; `key` is its key when it has none."""
    fields = {
        field: next((value for name in names if (value := str(row.get(name) or "").strip())), None)
        for field, names in COLUMNS.items()
    }
    return Candidate(**fields | {"key": fields["key"] or key})  # type: ignore[arg-type]  # the key is never None


def evaluate(
    candidates: Sequence[Candidate], clusters: Iterable[Sequence[str]] | None, name: str = "records"
) -> Result:
    """The duplicates found among `candidates`, compared with the true `clusters` of keys (None: not known)."""
    by_key = {candidate.key: candidate for candidate in candidates}
    true = _pairs(clusters or ())
    known = frozenset(pair for pair in true if pair[0] in by_key and pair[1] in by_key)
    found = duplicate_clusters.find_pairs(candidates)
    made = duplicate_clusters.build_clusters(found, candidates)
    merged = _pairs(cluster.members for cluster in made)
    waiting = duplicate_clusters.pairs_to_check(found, made)
    preferred = {key: cluster.preferred for cluster in made for key in cluster.members}
    left = {frozenset(preferred.get(key, key) for key in (pair.first, pair.second)) for pair in waiting}
    reasons = {(pair.first, pair.second): pair.reason for pair in found}

    def disagreements(pairs: Gold) -> tuple[Disagreement, ...]:
        return tuple(
            Disagreement(
                by_key[a],
                by_key[b],
                reasons.get((a, b)),
                frozenset((preferred.get(a, a), preferred.get(b, b))) in left,
            )
            for a, b in sorted(pairs)
        )

    return Result(
        name=name,
        records=len(candidates),
        right=len(known & merged),
        wrong=disagreements(merged - known),
        missed=disagreements(known - merged),
        doubtful=len(waiting),
        unknown=tuple(sorted({key for pair in true for key in pair} - set(by_key))),
        judged=clusters is not None,
    )


def _pairs(clusters: Iterable[Sequence[str]]) -> Gold:
    """Every pair of keys within one cluster, the smaller first."""
    return frozenset(pair for keys in clusters for pair in combinations(sorted(set(keys)), 2))


def _evaluate_cases(path: Path) -> Result:
    """A file of pairs, each judged by itself. The keys of its two records name the case."""
    try:
        cases = json.loads(_text(path))["cases"]
        judged = [_evaluate_case(case, str(number)) for number, case in enumerate(cases, start=1)]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{path}: not a list of cases ({type(error).__name__}: {error}); each needs `record_a`, `record_b` and"
            " `expected_duplicate` under `cases`"
        ) from None
    return Result(
        name=path.name,
        records=2 * len(judged),
        right=sum(result.right for result in judged),
        wrong=tuple(each for result in judged for each in result.wrong),
        missed=tuple(each for result in judged for each in result.missed),
        doubtful=sum(result.doubtful for result in judged),
    )


def _evaluate_case(case: Mapping[str, Any], number: str) -> Result:
    name = str(case.get("id") or number)
    sides = []
    for side in ("record_a", "record_b"):
        row = {column.lower(): value for column, value in case[side].items() if column.lower() not in COLUMNS["key"]}
        sides.append(_candidate(row, f"{name}/{side}"))
    return evaluate(sides, [[side.key for side in sides]] if case["expected_duplicate"] else [], name)


def _gold_rows(text: str, name: str) -> tuple[tuple[str, ...], ...]:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    if "merged_ids" not in (reader.fieldnames or ()):
        raise ConfigError(f"{name}:1: no column `merged_ids`; it has the ids of one work, separated by `;`")
    return tuple(tuple(key.strip() for key in row["merged_ids"].split(";")) for row in reader if row["merged_ids"])


def _unpacked(path: Path) -> dict[str, str]:
    """The CSV files of an archive by their bare names."""
    found: dict[str, str] = {}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isfile() and member.name.endswith(".csv") else None
                if content is not None:
                    found[Path(member.name).name] = content.read().decode("utf-8-sig")
    except _BROKEN as error:
        raise ConfigError(f"{path}: cannot be read ({error}); it should be a .tar.gz of {RECORDS} and {GOLD}") from None
    if RECORDS not in found:
        raise ConfigError(f"{path}: holds no {RECORDS}; name a CSV of records instead")
    return found


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
        return (gzip.decompress(data) if path.name.lower().endswith(".gz") else data).decode("utf-8-sig")
    except _BROKEN as error:
        raise ConfigError(f"{path}: cannot be read ({error}); check the path, and save it as UTF-8") from None


def render(result: Result, show: int = 20) -> str:
    """The figures as text, then the first `show` wrong merges and the first `show` missed pairs, each with its reason."""
    merged = result.right + len(result.wrong)
    lines = [f"{result.name}: {result.records} records, {merged} pairs merged, {result.doubtful} left to a person"]
    if result.judged:
        lines.append(
            f"  precision {percent(result.counts.precision)} ({len(result.wrong)} wrong),"
            f" recall {percent(result.counts.recall)} ({len(result.missed)} missed), F1 {percent(result.counts.f1)}"
        )
    else:
        lines.append(
            f"  without a gold standard nothing is measured: put {GOLD} beside the file, or add a column `cluster`"
        )
    if result.unknown:
        lines.append(
            f"  {len(result.unknown)} {'id' if len(result.unknown) == 1 else 'ids'} of the gold standard"
            f" {'is' if len(result.unknown) == 1 else 'are'} not among the records: {', '.join(result.unknown[:5])}"
        )
    for title, pairs in (("wrong" if result.judged else "merged", result.wrong), ("missed", result.missed)):
        lines += [_lines(title, pair) for pair in pairs[:show]]
        if len(pairs) > show:
            lines.append(f"{title}: and {len(pairs) - show} more")
    return "\n".join(lines)


def _lines(title: str, pair: Disagreement) -> str:
    why = pair.reason or (
        "joined through other records" if title != "missed" else "not compared, or taken for two works"
    )
    waits = " (left to a person)" if pair.waits else ""
    return f"{title}{waits}: {why}\n  {_line(pair.first)}\n  {_line(pair.second)}"


def _line(candidate: Candidate) -> str:
    place = " ".join(filter(None, (candidate.volume, candidate.issue and f"({candidate.issue})", candidate.pages)))
    parts = (candidate.authors, candidate.year, candidate.title, candidate.container, place, candidate.doi)
    return f"[{candidate.key}] " + " | ".join(" ".join(part.split())[:100] for part in parts if part)
