"""How right are the rules? Labelled records and a taxonomy → precision, recall, F1 and every disagreement with its words.

It measures and prints; it changes no rule and no database. Rows come from `.csv`, `.csv.gz`, `.jsonl` and `.jsonl.gz`
files in the shapes described at `Row`; whoever else labels a set can bring it in the same shape.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evidence.errors import ConfigError
from evidence.model import Doi, Match, VerdictName, Work
from evidence.rules.judge import judge
from evidence.rules.screen import screen
from evidence.rules.tag import tag
from evidence.rules.taxonomy import FACETS, Taxonomy

LABELS = {
    **dict.fromkeys(("1", "1.0", "true", "t", "yes", "y", "include", "included", "relevant"), True),
    **dict.fromkeys(("0", "0.0", "false", "f", "no", "n", "exclude", "excluded", "irrelevant", "not relevant"), False),
}
"""How people and their programs write a verdict; anything else is refused, for a label that is misread is a false figure."""
RANDOMISED = ("rct", "cluster-rct")
"""What a MEDLINE indexer means by "Randomized Controlled Trial" as a publication type."""


@dataclass(frozen=True, slots=True)
class Row:
    """One labelled record. `readers` hold each reader's labels, facet → values; `relevant` each reader's verdict."""

    id: str
    work: Work
    relevant: tuple[bool, ...] = ()
    readers: tuple[Mapping[str, frozenset[str]], ...] = ()
    randomised: bool | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Count:
    """Agreements and disagreements on one question; a figure over nothing is None."""

    right: int = 0
    wrong: int = 0
    missed: int = 0

    @property
    def precision(self) -> float | None:
        """The share of what was said that is right."""
        return self.right / (self.right + self.wrong) if self.right + self.wrong else None

    @property
    def recall(self) -> float | None:
        """The share of what should be said that is said."""
        return self.right / (self.right + self.missed) if self.right + self.missed else None

    @property
    def f1(self) -> float | None:
        """The harmonic mean of precision and recall."""
        return _f1(self.precision, self.recall)


def _f1(precision: float | None, recall: float | None) -> float | None:
    if precision is None or recall is None:
        return None
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One record on which rules and readers differ: `problem` is a fragment such as "said, by neither reader"."""

    row: str
    facet: str
    value: str
    problem: str
    title: str
    words: tuple[Match, ...]


@dataclass(frozen=True, slots=True)
class Screening:
    """Screening measured on one kind of record (`title+abstract` or `title`). Unsure is neither right nor wrong."""

    basis: str
    rows: int
    relevant: int
    counts: Count
    unsure: int
    relevant_excluded: int
    disagreements: tuple[Disagreement, ...]


@dataclass(frozen=True, slots=True)
class Tagging:
    """Tags measured: per value and per facet, precision against what either reader gave, recall on what both gave."""

    rows: int
    values: Mapping[tuple[str, str], tuple[Count, Count]]
    disagreements: tuple[Disagreement, ...] = field(repr=False)

    def facet(self, name: str) -> tuple[float | None, float | None]:
        """(precision, recall) of a whole facet."""
        pairs = [pair for (facet, _), pair in self.values.items() if facet == name]
        said = Count(sum(p.right for p, _ in pairs), sum(p.wrong for p, _ in pairs))
        sought = Count(sum(r.right for _, r in pairs), 0, sum(r.missed for _, r in pairs))
        return said.precision, sought.recall


@dataclass(frozen=True, slots=True)
class Trials:
    """How well randomised trials are told from other records."""

    counts: Count
    disagreements: tuple[Disagreement, ...] = field(repr=False)


def screening(rows: Iterable[Row], rules: Taxonomy) -> tuple[Screening, ...]:
    """Screening on the rows that carry a verdict all readers share, with abstract and on the title alone."""
    tallies: dict[str, list[tuple[Row, VerdictName, tuple[Match, ...]]]] = {"title+abstract": [], "title": []}
    for row in rows:
        if row.relevant and len(set(row.relevant)) == 1 and (row.work.title or row.work.abstract):
            said = screen(row.work, rules)
            tallies[said.judged_on].append((row, said.verdict, said.matches))
    return tuple(_screened(basis, judged) for basis, judged in tallies.items() if judged)


def _screened(basis: str, judged: Sequence[tuple[Row, VerdictName, tuple[Match, ...]]]) -> Screening:
    right = wrong = unsure = lost = relevant = 0
    disagreements = []
    for row, verdict, words in judged:
        truth = row.relevant[0]
        relevant += truth
        right += truth and verdict == "include"
        wrong += (not truth) and verdict == "include"
        lost += truth and verdict == "exclude"
        unsure += verdict == "unsure"
        if (truth and verdict != "include") or (not truth and verdict == "include"):
            problem = f"{verdict}, but the readers say {'relevant' if truth else 'not relevant'}"
            disagreements.append(Disagreement(row.id, "screen", verdict, problem, row.work.title or "", words))
    counts = Count(right, wrong, relevant - right)
    return Screening(basis, len(judged), relevant, counts, unsure, lost, tuple(disagreements))


def tags(rows: Iterable[Row], rules: Taxonomy) -> Tagging:
    """Tags on the relevant rows that readers labelled.

    Where some rows have two readers, those with one are left out: nobody checked what that one left unsaid. With one
    reader throughout, "either" and "both" are that reader.
    """
    rows = list(rows)
    readers = max((len(row.readers) for row in rows), default=0)
    counts: dict[tuple[str, str], list[int]] = {}
    disagreements: list[Disagreement] = []
    seen = 0
    for row in rows:
        if not row.readers or len(row.readers) < readers or (row.relevant and not all(row.relevant)):
            continue
        seen += 1
        said = {(t.facet, t.value): t.matches for t in tag(row.work, rules.tagging)}
        for facet in FACETS:
            given = [reader.get(facet, frozenset()) for reader in row.readers]
            either, both = frozenset[str]().union(*given), frozenset.intersection(*given)
            spoken = {value for name, value in said if name == facet}
            for value in sorted(spoken | both):
                tally = counts.setdefault((facet, value), [0, 0, 0, 0])
                tally[0] += value in spoken and value in either
                tally[1] += value in spoken and value not in either
                tally[2] += value in spoken and value in both
                tally[3] += value not in spoken
                if value not in spoken or value not in either:
                    problem = "not said, but by both readers" if value in both else "said, but by neither reader"
                    words = said.get((facet, value), ())
                    title = row.work.title or row.work.abstract or ""
                    disagreements.append(Disagreement(row.id, facet, value, problem, title, words))
    values = {key: (Count(a, b), Count(c, 0, d)) for key, (a, b, c, d) in sorted(counts.items())}
    return Tagging(seen, values, tuple(disagreements))


def rct(rows: Iterable[Row], rules: Taxonomy) -> Trials:
    """Is it a randomised trial? On any field of medicine, so without screening."""
    right = wrong = missed = 0
    disagreements = []
    for row in rows:
        if row.randomised is None:
            continue
        found = [t for t in tag(row.work, rules.tagging) if t.facet == "design" and t.value in RANDOMISED]
        right += bool(found) and row.randomised
        wrong += bool(found) and not row.randomised
        missed += row.randomised and not found
        if bool(found) != row.randomised:
            problem = "said, but not indexed so" if found else "not said, but indexed so"
            words = found[0].matches if found else ()
            disagreements.append(Disagreement(row.id, "design", "rct", problem, row.work.title or "", words))
    return Trials(Count(right, wrong, missed), tuple(disagreements))


@dataclass(frozen=True, slots=True)
class Ranking:
    """How far a person reads down a list that is ordered by likelihood until so much of the relevant is found.

    `read` of `rows` in this order, `random` on average in any order. The queue alone, and the whole set (what the rules
    include first, then the queue, then what they exclude).
    """

    share: float
    rows: int
    relevant: int
    read: int
    random: int
    queue_rows: int
    queue_relevant: int
    queue_read: int


def ranking(rows: Iterable[Row], rules: Taxonomy, share: float = 0.95) -> Ranking:
    """Order labelled rows by words alone, as `to_check` does (sources and citations are not in a labelled file)."""
    order: list[tuple[tuple[float, ...], bool, bool]] = []
    for row in rows:
        if row.relevant and len(set(row.relevant)) == 1 and (row.work.title or row.work.abstract):
            judged = judge(row.work, rules)
            place = {"include": 0, "unsure": 1, "exclude": 2}[judged.verdict]
            likely = 4.0 * bool(judged.matches) + 0.5 * min(len(judged.tags), 6)
            order.append(((place, -likely), row.relevant[0], judged.verdict == "unsure"))
    order.sort(key=lambda entry: entry[0])
    everything = [relevant for _, relevant, _ in order]
    queue = [relevant for _, relevant, unsure in order if unsure]
    needed = math.ceil(share * sum(everything))
    by_chance = round(needed * (len(everything) + 1) / (sum(everything) + 1)) if everything else 0
    return Ranking(
        share,
        len(everything),
        sum(everything),
        _read_until(everything, needed),
        by_chance,
        len(queue),
        sum(queue),
        _read_until(queue, math.ceil(share * sum(queue))),
    )


def _read_until(order: Sequence[bool], needed: int) -> int:
    found = 0
    for number, relevant in enumerate(order, start=1):
        found += relevant
        if found >= needed:
            return number if needed else 0
    return len(order)


def render(measured: Sequence[Screening] | Tagging | Trials, disagreements: bool = True) -> str:
    """The figures as lines for a terminal, the disagreements with their words after them (or without them)."""
    if isinstance(measured, Tagging):
        lines = _tag_lines(measured)
        apart: Sequence[Disagreement] = measured.disagreements
    elif isinstance(measured, Trials):
        lines = [f"randomised trials: {_figures(measured.counts)}"]
        apart = measured.disagreements
    else:
        lines = [line for part in measured for line in _screening_lines(part)]
        apart = [found for part in measured for found in part.disagreements]
    if disagreements and apart:
        lines += ["", f"{len(apart)} disagreements:"]
        for found in apart:
            words = ", ".join(dict.fromkeys(f"“{match.quote}”" for match in found.words[:4]))
            title = found.title if len(found.title) <= 90 else found.title[:89] + "…"
            lines.append(
                f"  {found.row}  {found.facet}:{found.value} {found.problem}: {title}{f' ({words})' if words else ''}"
            )
    return "\n".join(lines) + "\n"


def _screening_lines(part: Screening) -> list[str]:
    basis = "title and abstract" if part.basis == "title+abstract" else "title alone"
    unsure, lost = _share(part.unsure, part.rows), _share(part.relevant_excluded, part.relevant)
    return [
        f"{basis}: {part.rows} works, {part.relevant} relevant; {_figures(part.counts)}",
        f"  unsure {part.unsure} ({unsure}), relevant but excluded {part.relevant_excluded} ({lost})",
    ]


def _tag_lines(measured: Tagging) -> list[str]:
    lines = [f"{measured.rows} works; precision against what either reader gave, recall of what both gave"]
    for facet in FACETS:
        precision, recall = measured.facet(facet)
        lines.append(
            f"{facet}: precision {_number(precision)}, recall {_number(recall)}, F1 {_number(_f1(precision, recall))}"
        )
        for (name, value), (said, sought) in measured.values.items():
            if name == facet:
                lines.append(
                    f"  {value:<26} precision {_number(said.precision)} ({said.right}/{said.right + said.wrong})"
                    f"  recall {_number(sought.recall)} ({sought.right}/{sought.right + sought.missed})"
                    f"  F1 {_number(_f1(said.precision, sought.recall))}"
                )
    return lines


def _figures(counts: Count) -> str:
    return (
        f"precision {_number(counts.precision)} ({counts.right}/{counts.right + counts.wrong}), "
        f"recall {_number(counts.recall)} ({counts.right}/{counts.right + counts.missed}), F1 {_number(counts.f1)}"
    )


def _number(figure: float | None) -> str:
    return "  –  " if figure is None else f"{figure:.3f}"


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "–"


def read(path: Path) -> list[Row]:
    """The labelled rows of a file; ConfigError when it cannot be read, has no labels we know, or a label that is none."""
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}); give a .csv or .jsonl file, gzipped or not") from None
    entries = _jsonl(text, path) if ".jsonl" in path.suffixes else _csv(text, path)
    rows = [row for number, where, record in entries if (row := _row(number, where, record))]
    if not rows:
        raise ConfigError(
            f"{path}: no labels; a row needs `label_relevant` or `is_rct_medline` (CSV), or `relevant` and `labels` (JSON Lines)"
        )
    return rows


def _jsonl(text: str, path: Path) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """(number, place, record). A line ends at a line feed and nowhere else: other breaks may stand in a text."""
    number = 0
    for line_number, line in enumerate(text.split("\n"), start=1):
        where = f"{path}:{line_number}"
        if not line.strip():
            continue
        number += 1
        try:
            record = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            raise ConfigError(f"{where}: is no JSON Lines file ({error}); each line is one object") from None
        if not isinstance(record, dict):
            raise ConfigError(f'{where}: is no record; each line is an object such as {{"title": …, "relevant": 1}}')
        yield number, where, record


def _csv(text: str, path: Path) -> Iterator[tuple[int, str, dict[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    try:
        for number, record in enumerate(reader, start=1):
            yield number, f"{path}:{reader.line_num}", record
    except csv.Error as error:
        raise ConfigError(f"{path}:{reader.line_num + 1}: is no CSV file ({error})") from None


def _label(raw: object, field: str, where: str) -> bool | None:
    """What a reader said; None for nothing. JSON may say it as true, 1 or "yes"."""
    text = "" if raw is None else str(raw).strip().casefold()
    if not text:
        return None
    if text not in LABELS:
        raise ConfigError(
            f"{where}: {field} is {raw!r}, which is no label; write 1, true, yes or include, or 0, false, no or exclude"
        )
    return LABELS[text]


def _row(number: int, where: str, record: Mapping[str, Any]) -> Row | None:
    work = Work(
        doi=Doi(record.get("doi") or f"10.0/row-{number}"),
        title=None if record.get("title_is_placeholder") else record.get("title") or None,
        abstract=record.get("abstract") or None,
        container=record.get("container") or record.get("journal") or None,
        kind=record.get("type") or None,
    )
    name = str(record.get("id") or record.get("pmid") or record.get("doi") or number)

    def said(*fields: str) -> tuple[bool, ...]:
        labels = (_label(record.get(field), field, where) for field in fields)
        return tuple(label for label in labels if label is not None)

    if "label_relevant" in record:
        return Row(name, work, said("label_relevant"), note=record.get("hard_negative") or None)
    if "is_rct_medline" in record:
        return Row(name, work, randomised=_label(record["is_rct_medline"], "is_rct_medline", where))
    if "labels" not in record and "relevant" not in record:
        return None
    readers = [record.get("labels"), record.get("labels_second_reader")]
    return Row(
        name,
        work,
        said("relevant", "relevant_second_reader"),
        tuple(_values(labels, where) for labels in readers if labels),
        note=record.get("notes") or None,
    )


def _values(labels: object, where: str) -> dict[str, frozenset[str]]:
    if not isinstance(labels, dict) or not all(isinstance(values, list) for values in labels.values()):
        raise ConfigError(f'{where}: the labels are no object of lists; write them like {{"design": ["rct"]}}')
    return {facet: frozenset(map(str, values)) for facet, values in labels.items()}
