"""What is news: the difference between what was last announced of the works and what stands. One definition for all.

The summary of a run, `evidence report changes`, the page and the feed say what the table `changes` holds, and `changes` holds
what this module finds. So a change is said once, whichever run made it: what a killed run did is announced by the next run
that ends, and what was taken back before it was announced is no news.

Pure: states are handed in, nothing is stored.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from evidence.model import Work

What = Literal[
    "notice", "notice-ended", "reopened", "gone", "back", "verdict", "duplicate", "moved", "content", "new", "tags"
]
KINDS: tuple[What, ...] = (
    "notice",
    "notice-ended",
    "reopened",
    "gone",
    "back",
    "verdict",
    "duplicate",
    "moved",
    "content",
    "new",
    "tags",
)
"""Kinds of changes, gravest first: the order in which they are said."""

ASIDE = "tags"
"""The kind that is told on request only: an edited rule that touches a hundred works is not a hundred pieces of news."""

SHOWN = ("include", "unsure")
"""Verdicts of works whose notices readers see."""

_SAID = re.compile(r"(\S+) (.+?)(?: \((own|record|article|preprint) (.+)\))?", re.DOTALL)


class Standing(NamedTuple):
    """A notice on a work: its kind, the notice's DOI, the DOI it was issued for, and how that belongs to the work
    (`notices.Relation`)."""

    kind: str
    notice_doi: str
    stands_on: str
    relation: str


@dataclass(frozen=True, slots=True)
class State:
    """What readers are told of one record. `content` is its digest, None where it is not known; `same_as` is the record that
    represents a duplicate; `notices` are those that stand; `gone` is the day since which Crossref has no record of it;
    `conflict` is why its decisions should be looked at again, sentence by sentence; `tags` are `facet:value`."""

    verdict: str
    content: str | None = None
    same_as: str | None = None
    notices: tuple[Standing, ...] = ()
    gone: str | None = None
    conflict: str | None = None
    tags: tuple[str, ...] = ()

    @property
    def shown(self) -> State:
        """The state without what is not shown: no notices where the work is left out, no conflict where another record
        represents it."""
        notices = self.notices if self.verdict in SHOWN else ()
        return replace(self, notices=notices, conflict=None if self.verdict == "duplicate" else self.conflict)


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a work. `verdict` is that of the work after it. `before` and `after` depend on `what`:

    new: after is the verdict (`duplicate 10.1000/x`: of which record); verdict: both verdicts; duplicate: after is the DOI that
    represents the work, before the verdict or the DOI that did; notice: after is `kind DOI`, with `(relation DOI)` where it
    was issued for another DOI; notice-ended: before, likewise; reopened: after is the reason; gone: after is the day; back:
    before is the day; moved: before is the old DOI; tags: what was taken away and what was added. Content has neither.
    """

    doi: str
    what: What
    before: str | None = None
    after: str | None = None
    verdict: str | None = None


def content_digest(work: Work) -> str:
    """16 hex digits of what counts as a work's content: title, abstract, container, date, type, and the authors with full
    names, suffixes and roles. An ORCID or an affiliation that is added later is none."""
    authors = [(a.family, a.given, a.suffix, a.name, a.role) for a in work.authors]
    said = [work.title, work.abstract, work.container, work.issued, work.kind, authors]
    return hashlib.sha256(json.dumps(said, ensure_ascii=True).encode()).hexdigest()[:16]


def changes(
    before: Mapping[str, State],
    now: Mapping[str, State | None],
    aliases: Mapping[str, str],
    verdicts: Mapping[str, str],
) -> list[Change]:
    """What changed of the works of `now` (None: no record any more), in order of their DOIs, each work's gravest first.

    `before` is what was announced: of these works, of their other records, and of the DOIs that lead to them now. `aliases`
    lead from an old DOI to the one that answers for it. `verdicts` are those of works that are not in `now` but have taken
    over an old DOI.
    """
    known = _Announced(before, now, aliases)
    found: list[Change] = []
    for doi in sorted(now):
        state = now[doi]
        if state is None:
            led_to = aliases.get(doi)
            if doi in before and led_to is not None:
                its = now.get(led_to)
                found.append(Change(led_to, "moved", before=doi, verdict=its.verdict if its else verdicts.get(led_to)))
            continue
        found += [replace(change, verdict=state.verdict) for change in _of_one(doi, state.shown, known)]
    return sorted(found, key=lambda change: (change.doi, KINDS.index(change.what)))


def counted(found: Iterable[Change | Mapping[str, str]]) -> dict[str, int]:
    """How many changes there are of each kind, gravest first; kinds without one are left out."""
    counts = Counter(change.what if isinstance(change, Change) else change["what"] for change in found)
    return {kind: counts[kind] for kind in KINDS if counts[kind]}


def said(notice: Standing, doi: str) -> str:
    """How a change names a notice on a work: `retraction 10.1000/y`, and for which DOI it was issued where that is not the
    work's own."""
    where = "" if notice.stands_on == doi else f" ({notice.relation} {notice.stands_on})"
    return f"{notice.kind} {notice.notice_doi}{where}"


def read(text: str, doi: str) -> Standing:
    """The notice that a change names (see `said`) on the work `doi`."""
    found = _SAID.fullmatch(text)
    if found is None:  # no change of ours is written like this
        return Standing(text, doi, doi, "own")
    kind, notice_doi, relation, stands_on = found.groups()
    return Standing(kind, notice_doi, stands_on or doi, relation or "own")


class _Announced:
    """What was announced, made ready: by work, by its other records, and under old DOIs."""

    def __init__(
        self, before: Mapping[str, State], now: Mapping[str, State | None], aliases: Mapping[str, str]
    ) -> None:
        self._before, self._aliases = before, aliases
        self.led: dict[str, list[str]] = defaultdict(list)
        self._records: dict[str, list[str]] = defaultdict(list)
        for doi in sorted(before):
            if aliases.get(doi):
                self.led[aliases[doi]].append(doi)
            state = now.get(doi, before[doi])
            if state is not None and state.same_as:
                self._records[self.canonical(state.same_as)].append(doi)

    def canonical(self, doi: str) -> str:
        return self._aliases.get(doi, doi)

    def of(self, doi: str) -> State | None:
        """What was announced of the work, under this DOI or one that leads to it now."""
        return next((self._before[one] for one in (doi, *self.led.get(doi, ())) if one in self._before), None)

    def of_all(self, doi: str) -> Iterator[State]:
        """What was announced of any record of the work: that another record represents it now is no news of a notice."""
        for one in (doi, *self._records.get(doi, ())):
            for name in (one, *self.led.get(one, ())):
                if name in self._before:
                    yield self._before[name]

    def key(self, notice: Standing) -> tuple[str, str]:
        """By what a notice is known again, wherever in the work's cluster it shows."""
        return notice.kind, self.canonical(notice.notice_doi)


def _of_one(doi: str, state: State, known: _Announced) -> Iterator[Change]:
    base = known.of(doi)
    if base is None:
        of = f" {state.same_as}" if state.verdict == "duplicate" else ""
        yield Change(doi, "new", after=state.verdict + of)
    elif state.verdict == "duplicate":
        if base.verdict != "duplicate" or known.canonical(base.same_as or "") != state.same_as:
            was = base.same_as if base.verdict == "duplicate" else base.verdict
            yield Change(doi, "duplicate", was, state.same_as)
    elif base.verdict != state.verdict:
        yield Change(doi, "verdict", base.verdict, state.verdict)
    yield from _of_notices(doi, state, known)
    if state.conflict and not _sentences(state.conflict) <= {
        sentence for one in known.of_all(doi) if one.conflict for sentence in _sentences(one.conflict)
    }:
        yield Change(doi, "reopened", after=state.conflict)
    if state.gone and not (base and base.gone):
        yield Change(doi, "gone", after=state.gone)
    if base is None:
        return
    if base.gone and not state.gone:
        yield Change(doi, "back", before=base.gone)
    if base.content and state.content and base.content != state.content:
        yield Change(doi, "content")
    if base.tags != state.tags and {base.verdict, state.verdict} <= set(SHOWN):
        lost, added = {*base.tags} - {*state.tags}, {*state.tags} - {*base.tags}
        yield Change(doi, "tags", "; ".join(sorted(lost)) or None, "; ".join(sorted(added)) or None)


def _sentences(conflict: str) -> set[str]:
    """The reasons that a conflict gives, to compare two conflicts: that one of several reasons is gone is no news. A full stop
    in a reviewer's name cuts a sentence in two, in both of them."""
    return set(conflict.removesuffix(".").split(". "))


def _of_notices(doi: str, state: State, known: _Announced) -> Iterator[Change]:
    if state.verdict not in SHOWN:
        return
    before = {known.key(notice): notice for one in known.of_all(doi) for notice in one.notices}
    now = {known.key(notice): notice for notice in state.notices}
    for key in sorted(now.keys() - before.keys()):
        yield Change(doi, "notice", after=said(now[key], doi))
    for key in sorted(before.keys() - now.keys()):
        yield Change(doi, "notice-ended", before=said(before[key], doi))
