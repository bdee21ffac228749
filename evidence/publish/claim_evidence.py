"""The evidence on each claim of an article: the cited works, and the included works with the tags that the claim names.

Counted in sets of works (`bitset_counts`), for the fact-check page and `evidence report claims`; the words are
`claim_wording`'s. Every count comes with the filters of the list of works that has exactly these works. Nothing is judged here:
what is “about” a claim is what has its tags.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evidence.database import read_citations, schema
from evidence.export.claim_wording import ClaimCounts, ClaimEvidence, Count, Filters, YearCounts
from evidence.harvest.sources import Article, Claim
from evidence.linkage.retraction_notices import GRAVITY, RETRACTIONS
from evidence.publish import bitset_counts
from evidence.publish.bitset_counts import WorkSets, read_notices, read_sets, retracted_of, rowids_of
from evidence.rules.topic import Topic

Row = dict[str, Any]

LABELS = "select facet, value, label from facets"


@dataclass(frozen=True, slots=True)
class Known:
    """What is read once for all claims: the sets of works, the retracted ones, the topic, the labels of the tags."""

    sets: WorkSets
    retracted: int
    topic: Topic
    labels: Mapping[tuple[str, str], str]


def read(
    conn: sqlite3.Connection,
    articles: Sequence[Article],
    sets: WorkSets,
    noticed: Mapping[str, int],
    topic: Topic,
) -> list[tuple[str, list[ClaimEvidence]]]:
    """(title, its claims) of each article that has claims and whose reference list was read. `noticed`: kind of notice → the
    works of which it is the gravest."""
    labels = {(facet, value): label for facet, value, label in map(tuple, conn.execute(LABELS))}
    known = Known(sets, retracted_of(noticed), topic, labels)
    found = []
    for article in articles:
        rows = read_citations.citations(conn, article.references, design=topic.design, intervention=topic.intervention)
        if rows and article.claims:
            counted = [_Counted(known, claim, {row["position"]: row for row in rows}) for claim in article.claims]
            found.append((article.title, _with_newest(conn, counted)))
    return found


def read_all(conn: sqlite3.Connection, articles: Sequence[Article]) -> list[tuple[str, list[ClaimEvidence]]]:
    """The same where no sets of works have been read yet."""
    sets = read_sets(conn)
    return read(conn, articles, sets, read_notices(conn, sets), schema.read_topic(conn))


@dataclass(frozen=True, slots=True)
class ClaimSets:
    """A claim as sets of works: the included works about it, all works with its tags, and those that it cites."""

    article: str
    claim: Claim
    works: int
    tagged: int
    cited: int


def sets_of_claims(
    conn: sqlite3.Connection, articles: Sequence[Article], sets: WorkSets, topic: Topic
) -> list[ClaimSets]:
    """The claims that `read` counts, as sets of works."""
    labels = {(facet, value): label for facet, value, label in map(tuple, conn.execute(LABELS))}
    known = Known(sets, 0, topic, labels)
    found = []
    for article in articles:
        rows = read_citations.citations(conn, article.references, design=topic.design, intervention=topic.intervention)
        if rows:
            counted = [_Counted(known, claim, {row["position"]: row for row in rows}) for claim in article.claims]
            found += [ClaimSets(article.title, each.claim, each.works, each.tagged, each.cited_set) for each in counted]
    return found


def untexted(sets: WorkSets) -> tuple[Count, Count]:
    """The included works of which no abstract could be read, and all included works."""
    included = sets.columns["verdict"].get("include", 0)
    unread = included & ~sets.columns["judged_on"].get(bitset_counts.READ, 0)
    listed = (("verdict", "include"),)
    return Count(unread.bit_count(), (*listed, ("judged_on__not", bitset_counts.READ))), Count(
        included.bit_count(), listed
    )


class _Counted:
    """One claim, counted."""

    def __init__(self, known: Known, claim: Claim, rows: Mapping[int, Row]) -> None:
        self.known, self.claim = known, claim
        sets, topic = known.sets, known.topic
        self.unknown = tuple(
            f"{facet}:{value}"
            for facet, values in claim.looks_at
            for value in values
            if (facet, value) not in known.labels
        )
        countable = bool(claim.looks_at) and not self.unknown
        tagged = sets.works if countable else 0
        for facet, values in claim.looks_at:
            tagged &= sets.either(facet, *values)
        self.tagged = tagged
        self.tags: Filters = tuple(("_tag", f"{facet}:{','.join(values)}") for facet, values in claim.looks_at)
        self.works = tagged & sets.columns["verdict"].get("include", 0)
        self.trials = sets.either(topic.design, *topic.trials) if topic.trial_filter else None
        self.reviews = sets.either(topic.design, *topic.reviews) if topic.review_filter else None
        self.citations = [rows[position] for position in claim.cites if position in rows]
        # One work may be cited twice, or under two of its DOIs.
        self.cited = {row["number"]: row for row in self.citations if row["number"] is not None}
        self.cited_set = sets.set_of((number,) for number in self.cited)
        years = [year for row in self.cited.values() for year in (row["year"], row["record_year"]) if year is not None]
        self.since = max(years, default=None)
        self.newer = self.known.sets.in_years(self.since + 1, None) & self.works if self.since is not None else 0

    # ------------------------------------------------------------------ counts with their lists

    def _included(self, works: int, *more: tuple[str, str]) -> Count:
        """Included works about the claim, of which `more` narrows the list."""
        return Count(works.bit_count(), (("verdict", "include"), *self.tags, *more))

    def _kind(self, works: int, which: int | None, tag: str, *more: tuple[str, str]) -> Count | None:
        return None if which is None else self._included(works & which, ("_tag", tag), *more)

    def _retracted(self, works: int, *more: tuple[str, str]) -> Count:
        return self._included(works & self.known.retracted, ("notice__in", ",".join(RETRACTIONS)), *more)

    def _cited_count(self, numbers: Sequence[int], *more: tuple[str, str]) -> Count:
        return Count(len(numbers), (_in([self.cited[number]["record"] for number in numbers]), *more))

    def about(self, row: Mapping[str, Any]) -> bool | None:
        """Whether a cited work is about the claim; None where that is not known, because it could not be read whole."""
        if row["number"] is None or not self.claim.looks_at or self.unknown:
            return None
        if self.tagged >> row["number"] & 1:
            return True
        return False if row["read_by_person"] or row["judged_on"] == bitset_counts.READ else None

    def counts(self) -> ClaimCounts:
        """All that is counted for the claim."""
        sets, topic, works = self.known.sets, self.known.topic, self.works
        after = (("year__gt", str(self.since)),)
        newer = self.newer
        cited_dois = [row["record"] for row in self.cited.values()]
        apart = (_in(cited_dois, "doi__notin"),) if cited_dois else ()
        about = [number for number, row in self.cited.items() if self.about(row)]
        unread = works & ~sets.columns["judged_on"].get(bitset_counts.READ, 0)
        with_year = sets.in_years(None, None)
        same_year = sets.columns["year"].get(self.since, 0) & works & ~self.cited_set
        waiting = self.tagged & sets.columns["verdict"].get("unsure", 0) & ~self.cited_set
        named = (self.trials or 0) | (self.reviews or 0)
        return ClaimCounts(
            citations=len(self.citations),
            cited=self._cited_count(list(self.cited)),
            cited_about=self._cited_count(about, *self.tags),
            cited_unread=sum(1 for row in self.cited.values() if self.about(row) is None),
            unidentified=sum(1 for row in self.citations if row["number"] is None),
            notices=self._notices(),
            since=self.since,
            works=self._included(works),
            cited_among=(works & self.cited_set).bit_count(),
            trials=self._kind(works, self.trials, topic.trial_filter),
            reviews=self._kind(works, self.reviews, topic.review_filter),
            retracted=self._retracted(works),
            newer=self._included(newer, *after),
            newer_trials=self._kind(newer, self.trials, topic.trial_filter, *after),
            newer_reviews=self._kind(newer, self.reviews, topic.review_filter, *after),
            newer_others=(newer & ~named).bit_count(),
            newer_retracted=self._retracted(newer, *after),
            same_year=self._included(same_year, ("year", str(self.since)), *apart),
            undated=self._included(works & ~with_year, ("year__isnull", "1")),
            untexted=self._included(unread, ("judged_on__not", bitset_counts.READ)),
            waiting=Count(waiting.bit_count(), (("verdict", "unsure"), *self.tags, *apart)),
            unknown_tags=self.unknown,
            tagged=bool(self.claim.looks_at),
        )

    def _notices(self) -> tuple[tuple[str, Count], ...]:
        """The cited works by their gravest notice, whoever states it."""
        by_kind: dict[str, list[int]] = {}
        for number, row in self.cited.items():
            if row["notice"]:
                by_kind.setdefault(row["notice"], []).append(number)
        return tuple((kind, self._cited_count(by_kind[kind])) for kind in GRAVITY if kind in by_kind)

    # ------------------------------------------------------------------ years

    def years(self) -> tuple[YearCounts, ...]:
        """The newer works year by year, newest first, and those before in one row."""
        topic, columns = self.known.topic, self.known.sets.columns["year"]
        since = self.since
        apart = [year for year in columns if since is None or year > since]
        rows: list[tuple[int | None, int, tuple[tuple[str, str], ...]]] = [
            (year, columns[year], (("year", str(year)),)) for year in sorted(apart, reverse=True)
        ]
        if since is not None:
            rows.append((None, self.known.sets.in_years(None, since), (("year__lte", str(since)),)))
        return tuple(
            YearCounts(
                year,
                self._included(these, *filters),
                self._kind(these, self.trials, topic.trial_filter, *filters),
                self._kind(these, self.reviews, topic.review_filter, *filters),
                self._retracted(these, *filters),
            )
            for year, works, filters in rows
            if (these := works & self.works)
        )

    def marks(self) -> tuple[tuple[int, str, int], ...]:
        """(year, kind of mark, how many works) for the timeline: the cited works, and the included ones about the claim."""
        found = [
            (row["year"], "cited-retracted" if row["notice"] in RETRACTIONS else "cited", 1)
            for row in self.cited.values()
            if row["year"] is not None
        ]
        others = self.works & ~self.cited_set
        trials, reviews = self.trials or 0, (self.reviews or 0) & ~(self.trials or 0)
        for year, of_year in sorted(self.known.sets.columns["year"].items()):
            left = others & of_year
            newer = self.since is not None and year > self.since
            parts = {"retracted": left & self.known.retracted}
            left &= ~self.known.retracted
            if newer:
                parts |= {"trial": left & trials, "review": left & reviews, "newer": left & ~trials & ~reviews}
            else:
                parts |= {"earlier": left}
            found += [(year, kind, n) for kind, works in parts.items() if (n := works.bit_count())]
        return tuple(found)

    def newest(self) -> tuple[tuple[str, int], ...]:
        """(what it is, the works of the latest year that are it), where there are any."""
        found = []
        for kind, which in (("review", self.reviews), ("trial", self.trials)):
            works = (which or 0) & self.works
            year = max((year for year, _ in self.known.sets.by_column("year", works)), default=None)
            if year is not None:
                found.append((kind, works & self.known.sets.columns["year"][year]))
        return tuple(found)

    def cells(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """The tags of the claim as people read them."""
        return tuple(
            (facet.replace("_", " "), tuple(self.known.labels.get((facet, value), value) for value in values))
            for facet, values in self.claim.looks_at
        )


def _with_newest(conn: sqlite3.Connection, counted: Sequence[_Counted]) -> list[ClaimEvidence]:
    """The claims with the newest work of each kind, of which the texts are read at once."""
    newest = [[(kind, rowids_of(works)) for kind, works in claim.newest()] for claim in counted]
    dois = read_citations.dois_by_number(conn, sorted({one for kinds in newest for _, found in kinds for one in found}))
    chosen = [[(kind, min(found, key=dois.__getitem__)) for kind, found in kinds] for kinds in newest]
    rows = read_citations.works_by_number(conn, sorted({number for kinds in chosen for _, number in kinds}))
    found = []
    for claim, kinds in zip(counted, chosen, strict=True):
        first = tuple((kind, rows[number]) for kind, number in kinds)
        cited = tuple({**row, "about": claim.about(row)} for row in claim.citations)
        found.append(
            ClaimEvidence(
                claim.claim.id,
                claim.claim.says,
                claim.cells(),
                cited,
                claim.counts(),
                claim.years(),
                first,
                claim.marks(),
            )
        )
    return found


def _in(dois: Sequence[str], parameter: str = "doi__in") -> tuple[str, str]:
    """The filter for works with one of these DOIs, which may have commas in them."""
    return (parameter, json.dumps(list(dois), ensure_ascii=False))
