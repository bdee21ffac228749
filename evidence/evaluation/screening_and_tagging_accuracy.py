"""How accurate are the rules? Labelled records and a taxonomy → precision, recall, F1, and every disagreement with the text
behind it.

It measures and prints. It may not change a rule or a database. Labelled records come from files (`.csv`, `.csv.gz`, `.jsonl`,
`.jsonl.gz`) in the shapes that `labelled_records` reads, so that others can bring sets of their own.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evidence.data_model import SHOWN_STRENGTHS, Doi, Match, Strength, VerdictName, Work
from evidence.errors import ConfigError
from evidence.evaluation.metrics import Counts, decimal, f1, percent, ratio
from evidence.rules.judge import judge, said
from evidence.rules.screen import screen
from evidence.rules.tag import tag
from evidence.rules.taxonomy import Taxonomy

LABELS = {
    **dict.fromkeys(("1", "1.0", "true", "t", "yes", "y", "include", "included", "relevant"), True),
    **dict.fromkeys(("0", "0.0", "false", "f", "no", "n", "exclude", "excluded", "irrelevant", "not relevant"), False),
}
"""How people and their programs write a verdict. Anything else is refused: a label read wrongly makes every figure wrong."""


@dataclass(frozen=True, slots=True)
class LabelledRecord:
    """One labelled record. `relevant` has the verdict of each reader, `readers` the tags of each reader (facet → values),
    `randomised` whether its index says that it is a randomised trial (None: it does not say)."""

    id: str
    work: Work
    relevant: tuple[bool, ...] = ()
    readers: tuple[Mapping[str, frozenset[str]], ...] = ()
    randomised: bool | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One record on which rules and readers differ. `problem` goes into a sentence: "given by the rules alone". `matches` are
    the text that made the rules apply."""

    row: str
    facet: str
    value: str
    problem: str
    title: str
    matches: tuple[Match, ...]


@dataclass(frozen=True, slots=True)
class Screening:
    """Screening measured on one kind of record (`title+abstract` or `title`): how many records there are, how many are
    relevant, right and wrong inclusions, how many are unsure, how many relevant ones were excluded. An unsure record counts as
    missed when it is relevant, and else not at all."""

    basis: str
    rows: int
    relevant: int
    counts: Counts
    unsure: int
    relevant_excluded: int
    disagreements: tuple[Disagreement, ...]


@dataclass(frozen=True, slots=True)
class Tagging:
    """Tags measured: for each value (counts for precision against tags of either reader, counts for recall of tags of
    both). `facets` are those of the topic, in its order."""

    rows: int
    facets: tuple[str, ...]
    values: Mapping[tuple[str, str], tuple[Counts, Counts]]
    disagreements: tuple[Disagreement, ...] = field(repr=False)

    def facet(self, name: str) -> tuple[float | None, float | None]:
        """(precision, recall) of a whole facet."""
        given, expected = self.facet_counts(name)
        return given.precision, expected.recall

    def facet_counts(self, name: str) -> tuple[Counts, Counts]:
        """The counts of a whole facet: (for precision, for recall)."""
        pairs = [pair for (facet, _), pair in self.values.items() if facet == name]
        given = Counts(sum(p.right for p, _ in pairs), sum(p.wrong for p, _ in pairs))
        return given, Counts(sum(r.right for _, r in pairs), 0, sum(r.missed for _, r in pairs))


@dataclass(frozen=True, slots=True)
class Trials:
    """How well randomised trials are distinguished from other records: a measurement of the topic's `trials`."""

    counts: Counts
    disagreements: tuple[Disagreement, ...] = field(repr=False)


def measure_screening(rows: Iterable[LabelledRecord], taxonomy: Taxonomy) -> tuple[Screening, ...]:
    """Screening of the records on whose verdict all readers agree: those with an abstract, and those with a title alone."""
    tallies: dict[str, list[tuple[LabelledRecord, VerdictName, tuple[Match, ...]]]] = {
        "title+abstract": [],
        "title": [],
    }
    for row in rows:
        if row.relevant and len(set(row.relevant)) == 1 and (row.work.title or row.work.abstract):
            ruled = screen(row.work, taxonomy)
            tallies[ruled.judged_on].append((row, ruled.verdict, ruled.matches))
    return tuple(_screened(basis, judged) for basis, judged in tallies.items() if judged)


def _screened(basis: str, judged: Sequence[tuple[LabelledRecord, VerdictName, tuple[Match, ...]]]) -> Screening:
    right = wrong = unsure = lost = relevant = 0
    disagreements = []
    for row, verdict, matches in judged:
        truth = row.relevant[0]
        relevant += truth
        right += truth and verdict == "include"
        wrong += (not truth) and verdict == "include"
        lost += truth and verdict == "exclude"
        unsure += verdict == "unsure"
        if (truth and verdict != "include") or (not truth and verdict == "include"):
            problem = f"{verdict}, but the readers say {'relevant' if truth else 'not relevant'}"
            disagreements.append(Disagreement(row.id, "screen", verdict, problem, row.work.title or "", matches))
    counts = Counts(right, wrong, relevant - right)
    return Screening(basis, len(judged), relevant, counts, unsure, lost, tuple(disagreements))


def measure_tagging(
    rows: Iterable[LabelledRecord], taxonomy: Taxonomy, strengths: Collection[Strength] = SHOWN_STRENGTHS
) -> Tagging:
    """Tags of these strengths on the relevant records that readers labelled. A facet counts on the records on which every reader
    labelled it.

    Where some records have two readers, those with one are left out, because nobody checked what that reader left out. With
    one reader throughout, "either" and "both" are that reader.
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
        tags = {(t.facet, t.value): t.matches for t in tag(row.work, taxonomy) if t.strength in strengths}
        for facet in taxonomy.topic.facet_ids:
            if any(facet not in reader for reader in row.readers):
                continue
            given = [reader[facet] for reader in row.readers]
            either, both = frozenset[str]().union(*given), frozenset.intersection(*given)
            by_rules = {value for name, value in tags if name == facet}
            for value in sorted(by_rules | both):
                tally = counts.setdefault((facet, value), [0, 0, 0, 0])
                tally[0] += value in by_rules and value in either
                tally[1] += value in by_rules and value not in either
                tally[2] += value in by_rules and value in both
                tally[3] += value not in by_rules
                if value not in by_rules or value not in either:
                    problem = "given by both readers, not by the rules" if value in both else "given by the rules alone"
                    matches = tags.get((facet, value), ())
                    title = row.work.title or row.work.abstract or ""
                    disagreements.append(Disagreement(row.id, facet, value, problem, title, matches))
    values = {key: (Counts(a, b), Counts(c, 0, d)) for key, (a, b, c, d) in sorted(counts.items())}
    return Tagging(seen, taxonomy.topic.facet_ids, values, tuple(disagreements))


def measure_trials(rows: Iterable[LabelledRecord], taxonomy: Taxonomy) -> Trials:
    """Whether the rules tag randomised trials as such, on records of any field of medicine (which are therefore not screened)."""
    right = wrong = missed = 0
    disagreements = []
    for row in rows:
        if row.randomised is None:
            continue
        found = [
            t
            for t in tag(row.work, taxonomy)
            if t.facet == taxonomy.topic.design and t.value in taxonomy.topic.trials and t.strength in SHOWN_STRENGTHS
        ]
        right += bool(found) and row.randomised
        wrong += bool(found) and not row.randomised
        missed += row.randomised and not found
        if bool(found) != row.randomised:
            problem = "tagged, but not indexed so" if found else "not tagged, but indexed so"
            matches = found[0].matches if found else ()
            disagreements.append(
                Disagreement(row.id, taxonomy.topic.design, "rct", problem, row.work.title or "", matches)
            )
    return Trials(Counts(right, wrong, missed), tuple(disagreements))


@dataclass(frozen=True, slots=True)
class Ranking:
    """How many records a person reads, likeliest first, until the `share` of the relevant ones is found.

    `read` of `rows` in that order, `random` on average in any order. `queue_…` are the same for the records that the rules
    leave unsure; the whole set has what the rules include first, then the unsure, then what they exclude.
    """

    share: float
    rows: int
    relevant: int
    read: int
    random: int
    queue_rows: int
    queue_relevant: int
    queue_read: int


def measure_ranking(rows: Iterable[LabelledRecord], taxonomy: Taxonomy, share: float = 0.95) -> Ranking:
    """Labelled records in the order of the view `to_check`, by their text alone: a labelled file has no sources and no
    citations."""
    order: list[tuple[tuple[float, ...], bool, bool]] = []
    for row in rows:
        if row.relevant and len(set(row.relevant)) == 1 and (row.work.title or row.work.abstract):
            judged = judge(row.work, taxonomy)
            place = {"include": 0, "unsure": 1, "exclude": 2}[judged.verdict]
            likely = 4.0 * bool(judged.matches) + 0.5 * min(len(said(judged.tags)), 6)
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
    """The figures as lines for a terminal; then, unless `disagreements` is False, each disagreement with the text behind it."""
    if isinstance(measured, Tagging):
        lines = _tag_lines(measured)
        differing: Sequence[Disagreement] = measured.disagreements
    elif isinstance(measured, Trials):
        lines = [f"randomised trials: {_figures(measured.counts)}"]
        differing = measured.disagreements
    else:
        lines = [line for part in measured for line in _screening_lines(part)]
        differing = [found for part in measured for found in part.disagreements]
    if disagreements and differing:
        lines += ["", f"{len(differing)} disagreements:"]
        for found in differing:
            quotes = ", ".join(dict.fromkeys(f"“{match.quote}”" for match in found.matches[:4]))
            title = found.title if len(found.title) <= 90 else found.title[:89] + "…"
            lines.append(
                f"  {found.row}  {found.facet}:{found.value} {found.problem}: {title}{f' ({quotes})' if quotes else ''}"
            )
    return "\n".join(lines) + "\n"


def _screening_lines(part: Screening) -> list[str]:
    basis = "title and abstract" if part.basis == "title+abstract" else "title alone"
    unsure = percent(ratio(part.unsure, part.rows), 1)
    lost = percent(ratio(part.relevant_excluded, part.relevant), 1)
    return [
        f"{basis}: {part.rows} works, {part.relevant} relevant; {_figures(part.counts)}",
        f"  unsure {part.unsure} ({unsure}), relevant but excluded {part.relevant_excluded} ({lost})",
    ]


def _tag_lines(measured: Tagging) -> list[str]:
    lines = [f"{measured.rows} works; precision against what either reader gave, recall of what both gave"]
    for facet in measured.facets:
        precision, recall = measured.facet(facet)
        lines.append(
            f"{facet}: precision {decimal(precision)}, recall {decimal(recall)}, F1 {decimal(f1(precision, recall))}"
        )
        for (name, value), (given, expected) in measured.values.items():
            if name == facet:
                lines.append(
                    f"  {value:<26} precision {decimal(given.precision)} ({given.right}/{given.given})"
                    f"  recall {decimal(expected.recall)} ({expected.right}/{expected.expected})"
                    f"  F1 {decimal(f1(given.precision, expected.recall))}"
                )
    return lines


def _figures(counts: Counts) -> str:
    return (
        f"precision {decimal(counts.precision)} ({counts.right}/{counts.given}), "
        f"recall {decimal(counts.recall)} ({counts.right}/{counts.expected}), F1 {decimal(counts.f1)}"
    )


def labelled_records(path: Path) -> list[LabelledRecord]:
    """The labelled records of a file. ConfigError when it cannot be read, has no labels, or a label that means nothing.

    CSV: `label_relevant`, or `is_rct_medline`. JSON Lines: `relevant` and `labels` (facet → values), and the same with
    `_second_reader`. Both: `title`, `abstract`, `container` or `journal`, `type`, `doi`, `id` or `pmid`.
    """
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
    """(number, place, record). A line ends at a line feed only: texts may contain other line breaks."""
    number = 0
    for line_number, line in enumerate(text.split("\n"), start=1):
        where = f"{path}:{line_number}"
        if not line.strip():
            continue
        number += 1
        try:
            record = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            raise ConfigError(f"{where}: not a JSON Lines file ({error}); each line must be one object") from None
        if not isinstance(record, dict):
            raise ConfigError(
                f'{where}: not a record; each line must be an object such as {{"title": …, "relevant": 1}}'
            )
        yield number, where, record


def _csv(text: str, path: Path) -> Iterator[tuple[int, str, dict[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    try:
        for number, record in enumerate(reader, start=1):
            yield number, f"{path}:{reader.line_num}", record
    except csv.Error as error:
        raise ConfigError(f"{path}:{reader.line_num + 1}: not a CSV file ({error}); check the quotes there") from None


def _label(raw: object, field: str, where: str) -> bool | None:
    """A reader's verdict; None where the field is empty. JSON may have true, 1 or "yes"."""
    text = "" if raw is None else str(raw).strip().casefold()
    if not text:
        return None
    if text not in LABELS:
        raise ConfigError(
            f"{where}: {field} is {raw!r}, which is not a label; write 1, true, yes or include, or 0, false, no or exclude"
        )
    return LABELS[text]


def _row(number: int, where: str, record: Mapping[str, Any]) -> LabelledRecord | None:
    work = Work(
        doi=Doi(record.get("doi") or f"10.0/row-{number}"),
        title=None if record.get("title_is_placeholder") else record.get("title") or None,
        abstract=record.get("abstract") or None,
        container=record.get("container") or record.get("journal") or None,
        kind=record.get("type") or None,
    )
    name = str(record.get("id") or record.get("pmid") or record.get("doi") or number)

    def verdicts(*fields: str) -> tuple[bool, ...]:
        labels = (_label(record.get(field), field, where) for field in fields)
        return tuple(label for label in labels if label is not None)

    if "label_relevant" in record:
        return LabelledRecord(name, work, verdicts("label_relevant"), note=record.get("hard_negative") or None)
    if "is_rct_medline" in record:
        return LabelledRecord(name, work, randomised=_label(record["is_rct_medline"], "is_rct_medline", where))
    if "labels" not in record and "relevant" not in record:
        return None
    readers = [record.get("labels"), record.get("labels_second_reader")]
    return LabelledRecord(
        name,
        work,
        verdicts("relevant", "relevant_second_reader"),
        tuple(_values(labels, where) for labels in readers if labels),
        note=record.get("notes") or None,
    )


def _values(labels: object, where: str) -> dict[str, frozenset[str]]:
    if not isinstance(labels, dict) or not all(isinstance(values, list) for values in labels.values()):
        raise ConfigError(f'{where}: the labels must be an object of lists; write them like {{"design": ["rct"]}}')
    return {facet: frozenset(map(str, values)) for facet, values in labels.items()}
