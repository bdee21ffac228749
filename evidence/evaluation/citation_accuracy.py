"""How accurate is `linkage/citation_matching.py`? Citations whose work is known → precision, recall, and how many were linked
although their work is not in the index.

It reads labelled files and measures. It may not use the network or a database. Each line of a file is one JSON object. There
are two shapes:

* a citation with the fields of its work: `{"reference", "doi", "atitle", "firstAuthor", "jtitle", "volume", "firstPage"}`.
  All these works together are the index, so each citation meets real wrong candidates. Every citation is looked up twice:
  with its work in the index, and without it, when every link is wrong.
* a citation that people at Crossref checked by hand: `{"kind", "record": {"ref_string" | "reference", "target_gt", "target_test",
  "score"}}`. It comes without a record of the true work, so only wrong links are counted. For comparison, the answers of
  Crossref's own matcher are scored at its published thresholds.

Some labels of the first shape are wrong: the citation prints neither first author nor volume nor page of its work. Such
citations are counted apart, by that test alone and whatever the program answered. Figures are shown with and without them.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evidence import doi as dois
from evidence.crossref import entries_of_files, normalise
from evidence.data_model import Doi, Work
from evidence.errors import ConfigError, RecordError
from evidence.evaluation.metrics import Counts, percent, ratio
from evidence.linkage.citation_matching import match_citation
from evidence.plain_text import fold

CANDIDATES = 20
"""How many ranked candidates a citation is compared with, as in a search of Crossref."""
TARGET_PRECISION, TARGET_RECALL, TARGET_ABSENT = 0.995, 0.93, 0.01
CROSSREF_THRESHOLDS: Mapping[str, tuple[float, ...]] = {"unstructured": (0.34, 0.43, 0.50), "structured": (0.76, 0.90)}
"""The published thresholds of Crossref's search-based matching with validation (0.34, 0.76), and higher ones."""
COMMON = 0.25
"""A word in more than this share of all records does not count for ranking."""


@dataclass(frozen=True, slots=True)
class LabelledCitation:
    """One citation with its true work: `truth` may have several DOIs of one work, or none; `work` is the record. `answered` and
    `answer_score` are the answer of Crossref's matcher."""

    text: str
    truth: tuple[Doi, ...]
    work: Work | None = None
    kind: str = "unstructured"
    answered: Doi | None = None
    answer_score: float | None = None

    @property
    def doubtful(self) -> bool:
        """Whether the citation prints neither first author nor volume nor page of the work it is labelled with."""
        if self.work is None:
            return False
        words = {word.lstrip("0") for word in fold(re.sub(r"-\s*\n\s*", "", self.text)).split()}
        numbers = (fold(self.work.volume or "").lstrip("0"), fold(self.work.pages or "").lstrip("0"))
        author = fold(self.work.authors[0].family or "").split()[-1:] if self.work.authors else []
        return not any(number in words for number in numbers if number) and not set(author) & words


@dataclass(frozen=True, slots=True)
class Tally:
    """Citations by outcome: linked to the right work, to a wrong one, ambiguous (left to a person), or not linked."""

    right: int = 0
    wrong: int = 0
    ambiguous: int = 0
    none: int = 0

    @property
    def counts(self) -> Counts:
        """Every citation has a work: one that is not linked to it is missed."""
        return Counts(self.right, self.wrong, self.wrong + self.ambiguous + self.none)

    @property
    def citations(self) -> int:
        """How many citations were looked up."""
        return self.right + self.wrong + self.ambiguous + self.none

    @property
    def linked(self) -> float | None:
        """The share of citations that were linked, rightly or wrongly."""
        return ratio(self.right + self.wrong, self.citations)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """`present`, `absent`: with the true work in the index, and without it; `…_sure`: without doubtful labels.

    `foreign`: hand-checked citations looked up in the same index. `crossref`: Crossref's own answers as (kind, threshold,
    outcomes). `mistakes`: every wrong link as (citation, its DOIs, linked DOI, reason), doubtful labels last.
    """

    present: Tally
    absent: Tally
    present_sure: Tally
    absent_sure: Tally
    doubtful: int
    foreign: Tally
    crossref: tuple[tuple[str, float, Tally], ...]
    mistakes: tuple[tuple[str, tuple[Doi, ...], Doi, str], ...]

    @property
    def met(self) -> bool:
        """Whether the targets are met on the citations whose labels are not doubtful."""
        present, absent = self.present_sure.counts, self.absent_sure.linked
        precision, recall = present.precision, present.recall
        if precision is None or recall is None or absent is None:
            return False
        return precision >= TARGET_PRECISION and recall >= TARGET_RECALL and absent <= TARGET_ABSENT


class Index:
    """A small search engine: ranks records for a citation by the rarity of the words they share with it."""

    def __init__(self, works: Iterable[Work]) -> None:
        self.works = tuple(works)
        self._postings: dict[str, list[int]] = defaultdict(list)
        for number, work in enumerate(self.works):
            names = (author.family or author.name for author in work.authors)
            fields = (work.title, work.container, work.volume, work.pages, *names, str(work.year or ""))
            for word in set(fold(" ".join(filter(None, fields))).split()):
                self._postings[word].append(number)

    def search(self, text: str, rows: int = CANDIDATES, without: Collection[Doi] = ()) -> list[Work]:
        """The best `rows` works for a citation, best first; works with a DOI in `without` are left out."""
        scores: Counter[int] = Counter()
        for word in set(fold(re.sub(r"-\s*\n\s*", "", text)).split()):
            postings = self._postings.get(word, ())
            if len(postings) <= max(COMMON * len(self.works), 10):
                rarity = math.log(1 + len(self.works) / (len(postings) or 1))
                for number in postings:
                    scores[number] += rarity  # type: ignore[assignment]  # a Counter of floats
        ranked = (self.works[number] for number, _ in scores.most_common(rows + len(without)))
        return [work for work in ranked if work.doi not in without][:rows]


def lines(path: Path) -> Iterator[str]:
    """The lines of a text file, plain or gzipped; ConfigError when it cannot be read."""
    with entries_of_files.open_unzipped(path) as file:
        yield from (line.decode(errors="replace") for line in file)


def labelled_citations(lines: Iterable[str], name: str = "the file") -> tuple[LabelledCitation, ...]:
    """The citations of a file, of either shape. ConfigError names the first line that has neither shape."""
    rows = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            rows.append(_row(json.loads(line)))
        except (ValueError, KeyError, TypeError, AttributeError, RecordError) as error:
            raise ConfigError(
                f"{name}:{number}: not a citation with its DOI ({type(error).__name__}: {error}); each line is an object"
                " with `reference` and `doi`, or with `kind` and `record`"
            ) from None
    return tuple(rows)


def _row(entry: Mapping[str, Any]) -> LabelledCitation:
    if "record" in entry:
        return _checked(entry["kind"], entry["record"])
    doi = dois.candidates(entry["doi"])[:1]
    if not doi:
        raise ValueError(f"{entry['doi']!r} is not a valid DOI")
    fields = {
        key: entry[key].strip() for key in ("atitle", "firstAuthor", "jtitle", "volume", "firstPage") if entry.get(key)
    }
    work = normalise.normalise(
        {
            "DOI": doi[0],
            "type": "journal-article",
            "title": fields.get("atitle"),
            "container-title": fields.get("jtitle"),
            "author": [{"family": fields["firstAuthor"]}] if "firstAuthor" in fields else None,
            "volume": fields.get("volume"),
            "page": fields.get("firstPage"),
        }
    )
    return LabelledCitation(entry["reference"], doi, work)


def _checked(kind: str, record: Mapping[str, Any]) -> LabelledCitation:
    """A citation of Crossref's own evaluation. A structured reference is printed as `normalise.references` prints it."""
    truth = record["target_gt"]["DOI"] or []
    text = record.get("ref_string")
    if text is None:
        text = normalise.references({"reference": [record["reference"]]})[0].text or ""
    answered = (record.get("target_test") or {}).get("DOI")
    return LabelledCitation(
        text,
        tuple(doi for stated in ([truth] if isinstance(truth, str) else truth) if (doi := dois.exact(stated))),
        kind=kind,
        answered=dois.exact(answered) if answered else None,
        answer_score=record.get("score"),
    )


def evaluate(rows: Sequence[LabelledCitation], every: int = 1) -> Evaluation:
    """Look up every Nth citation (N is `every`) in the index of all works, with its own work in the index and without it."""
    index = Index({row.work.doi: row.work for row in rows if row.work}.values())
    mistakes: list[tuple[bool, tuple[str, tuple[Doi, ...], Doi, str]]] = []
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows[::every]:
        if row.work is None:
            outcome, mistake = _look_up(row, index.search(row.text))
            counts["foreign"][outcome] += 1
            mistakes += [(False, mistake)] if mistake else []
            continue
        passes = (("present", index.search(row.text)), ("absent", index.search(row.text, without=row.truth)))
        for name, found in passes:
            outcome, mistake = _look_up(row, found)
            for key in (name,) if row.doubtful else (name, f"{name}_sure"):
                counts[key][outcome] += 1
            mistakes += [(row.doubtful, mistake)] if mistake else []
    tallies = {name: Tally(**counts[name]) for name in ("present", "absent", "present_sure", "absent_sure", "foreign")}
    wrong_links = tuple(dict.fromkeys(mistake for _, mistake in sorted(mistakes, key=lambda each: each[0])))
    doubtful = sum(row.doubtful for row in rows[::every])
    return Evaluation(**tallies, doubtful=doubtful, crossref=_crossref(rows), mistakes=wrong_links)


def _look_up(row: LabelledCitation, found: Sequence[Work]) -> tuple[str, tuple[str, tuple[Doi, ...], Doi, str] | None]:
    choice = match_citation(row.text, [(work, None) for work in found])
    if choice.status != "matched" or choice.doi is None:
        return choice.status, None
    if choice.doi in row.truth:
        return "right", None
    return "wrong", (" ".join(row.text.split()), row.truth, choice.doi, choice.sentence)


def _crossref(rows: Sequence[LabelledCitation]) -> tuple[tuple[str, float, Tally], ...]:
    """Crossref's own answers, accepted from each threshold on: (kind, threshold, outcomes). `none` counts the citations that
    have a DOI and were not linked to it."""
    found = []
    for kind, thresholds in CROSSREF_THRESHOLDS.items():
        checked = [row for row in rows if row.work is None and row.kind == kind]
        for threshold in thresholds if checked else ():
            linked = [row for row in checked if row.answered and (row.answer_score or 0) >= threshold]
            right = sum(row.answered in row.truth for row in linked)
            missed = sum(bool(row.truth) for row in checked) - right
            found.append((kind, threshold, Tally(right=right, wrong=len(linked) - right, none=missed)))
    return tuple(found)


def render(evaluation: Evaluation, show: int = 20) -> str:
    """The figures as text, with the first `show` wrong links and the reason for each."""
    lines = ["Citations looked up in the index of all works listed"]
    for title, tally, absent in (
        ("work present", evaluation.present, evaluation.absent),
        ("without doubtful labels", evaluation.present_sure, evaluation.absent_sure),
    ):
        lines.append(
            f"  {title}: {tally.citations} citations, precision {percent(tally.counts.precision)},"
            f" recall {percent(tally.counts.recall)}, {tally.ambiguous} left to a person; without their work in the index:"
            f" {percent(absent.linked)} linked, {absent.ambiguous} left to a person"
        )
    lines.append(
        f"  {evaluation.doubtful} labels are doubtful: the citation prints neither first author nor volume nor page"
    )
    verdict = "met" if evaluation.met else "not met"
    lines.append(
        f"  targets {verdict}: precision {TARGET_PRECISION:.1%}, recall {TARGET_RECALL:.1%}, linked without their work"
        f" in the index at most {TARGET_ABSENT:.1%}; doubtful labels left out"
    )
    if evaluation.foreign.citations:
        foreign = evaluation.foreign
        lines.append(
            f"Hand-checked citations in the same index: {foreign.citations}, linked rightly {foreign.right},"
            f" wrongly {foreign.wrong} ({percent(ratio(foreign.wrong, foreign.citations))}),"
            f" {foreign.ambiguous} left to a person"
        )
    lines += [
        f"Crossref's own matcher, {kind}, from {threshold:.2f}: precision {percent(tally.counts.precision)},"
        f" recall {percent(ratio(tally.right, tally.right + tally.none))}"
        for kind, threshold, tally in evaluation.crossref
    ]
    lines += [
        f"wrong: {text[:200]}\n  labelled {', '.join(truth) or 'none'}, linked to {doi}: {why}"
        for text, truth, doi, why in evaluation.mistakes[:show]
    ]
    return "\n".join(lines)
