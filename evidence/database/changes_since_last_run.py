"""What counts as a change of a work: the difference between its last announced state and its present state. The only definition.

The summary of a run, `evidence report changes`, the page and the feed show the table `changes`, and `changes` holds what this
module finds. So a change is announced once, whichever run made it: what a killed run did is announced by the next run that
ends, and what was undone before it was announced is not announced at all.

Pure: states are handed in, nothing is stored.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

from evidence.data_model import Work

ChangeKind = Literal[
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
    "abstract",
    "tags",
]
KINDS: tuple[ChangeKind, ...] = (
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
    "abstract",
    "tags",
)
"""Kinds of changes, the most serious first: the order in which they are shown."""

ON_REQUEST = "tags"
"""The kind that is shown only on request: an edited rule that changes the tags of a hundred works is not a hundred updates."""

ONLY_COUNTED: tuple[ChangeKind, ...] = ("content", "new", "abstract", "tags")
"""Kinds of which the summary of a run only says how many there are: a first run has as many as works."""

OF_STANDING: tuple[ChangeKind, ...] = ("notice", "notice-ended")
"""Changes of a work's standing: they are announced with what the work touches."""

SHOWN_VERDICTS = ("include", "unsure")
"""Verdicts of works whose notices readers see."""

_NOTICE_TEXT = re.compile(r"(\S+) (.+?)(?: \((own|record|article|preprint) (.+)\))?", re.DOTALL)


class WorkNotice(NamedTuple):
    """A notice that a work shows: its kind, its own DOI, the DOI it was issued for, and how that DOI belongs to the work (see
    `linkage/retraction_notices.py`). The names are those of the columns of `notices`."""

    kind: str
    notice_doi: str
    stands_on: str
    relation: str


@dataclass(frozen=True, slots=True)
class WorkState:
    """What is announced of one record. `content` is its digest, None where it is not known; `same_as` is the record that
    represents a duplicate; `notices` are those not undone; `gone` is the day since which Crossref has no record of it;
    `conflict` is why its decisions should be looked at again, sentence by sentence; `tags` are
    `facet:value`, without the implied ones: a tag that becomes implied is announced as removed, as it leaves the lists.
    `abstract_source` says where the abstract is from, None where there is none."""

    verdict: str
    content: str | None = None
    same_as: str | None = None
    notices: tuple[WorkNotice, ...] = ()
    gone: str | None = None
    conflict: str | None = None
    tags: tuple[str, ...] = ()
    abstract_source: str | None = None

    @property
    def shown(self) -> WorkState:
        """The state as readers see it: without notices where the work is excluded, without conflict where another record
        represents it."""
        notices = self.notices if self.verdict in SHOWN_VERDICTS else ()
        conflict = None if self.verdict == "duplicate" else self.conflict
        if notices == self.notices and conflict == self.conflict:  # nearly every work
            return self
        return replace(self, notices=notices, conflict=conflict)


@dataclass(frozen=True, slots=True)
class RunChanges:
    """The changes that a run announced, as its summary needs them: how many there are of each kind, the most serious first, and
    as rows (see `read_queries.changes`) those of all kinds but `ONLY_COUNTED`."""

    counts: dict[str, int] = field(default_factory=dict)
    named: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a work. `verdict` is that of the work after it. `before` and `after` depend on `what`:

    new: after is the verdict (`duplicate 10.1000/x`: of which record); verdict: both verdicts; duplicate: after is the DOI that
    represents the work, before the verdict or the DOI that did; notice: after is `kind DOI`, with `(relation DOI)` where it
    was issued for another DOI; notice-ended: the same in before; reopened: after is the reason; gone: after is the day; back:
    before is the day; moved: before is the old DOI; tags: those removed and those added; abstract: where it was from and is
    from now (`publisher`, a provider, None for no abstract). Content has neither.
    """

    doi: str
    what: ChangeKind
    before: str | None = None
    after: str | None = None
    verdict: str | None = None


def content_digest(work: Work) -> str:
    """16 hex digits of what counts as a work's content: title, deposited abstract, container, date, type, and the authors with
    full names, suffixes and roles. An ORCID or an affiliation that is added later does not count, nor does the abstract of
    another provider: that it came is a change of its own."""
    authors = [(a.family, a.given, a.suffix, a.name, a.role) for a in work.authors]
    abstract = work.abstract if work.abstract_source in (None, "publisher") else None
    content = [work.title, abstract, work.container, work.issued, work.kind, authors]
    return hashlib.sha256(json.dumps(content, ensure_ascii=True).encode()).hexdigest()[:16]


def find_changes(
    before: Mapping[str, WorkState],
    now: Mapping[str, WorkState | None],
    aliases: Mapping[str, str],
    verdicts: Mapping[str, str],
) -> list[Change]:
    """What changed of the works of `now` (None: no record any more), in order of their DOIs, then the most serious first.

    `before` is what was announced of these works, of their other records, and of the aliases that lead to them now. `aliases`
    are alias → DOI. `verdicts` are those of works that are not in `now` but that an alias leads to now.
    """
    known = _Announced(before, now, aliases)
    found: list[Change] = []
    for doi in sorted(now):
        state = now[doi]
        if state is None:
            target = aliases.get(doi)
            if doi in before and target is not None:
                its = now.get(target)
                found.append(Change(target, "moved", before=doi, verdict=its.verdict if its else verdicts.get(target)))
            continue
        found += [replace(change, verdict=state.verdict) for change in _of_one(doi, state.shown, known)]
    return sorted(found, key=lambda change: (change.doi, KINDS.index(change.what)))


def counts_by_kind(rows: Iterable[Mapping[str, str]]) -> dict[str, int]:
    """How many changes there are of each kind, the most serious first; kinds without one are left out."""
    return in_order(Counter(row["what"] for row in rows))


def in_order(counts: Mapping[str, int]) -> dict[str, int]:
    """The counts of kinds, the most serious first."""
    return {kind: counts[kind] for kind in KINDS if counts.get(kind)}


def notice_text(notice: WorkNotice, doi: str) -> str:
    """A notice as a change names it: `retraction 10.1000/y`, with the DOI it was issued for where that is not the work's own."""
    where = "" if notice.stands_on == doi else f" ({notice.relation} {notice.stands_on})"
    return f"{notice.kind} {notice.notice_doi}{where}"


def parse_notice(text: str, doi: str) -> WorkNotice:
    """The notice that a change names (see `notice_text`) on the work `doi`."""
    found = _NOTICE_TEXT.fullmatch(text)
    if found is None:  # no change is written like this
        return WorkNotice(text, doi, doi, "own")
    kind, notice_doi, relation, stands_on = found.groups()
    return WorkNotice(kind, notice_doi, stands_on or doi, relation or "own")


class _Announced:
    """What was announced, indexed by work, by its other records and by its aliases."""

    def __init__(
        self, before: Mapping[str, WorkState], now: Mapping[str, WorkState | None], aliases: Mapping[str, str]
    ) -> None:
        self._before, self._aliases = before, aliases
        self.aliases_of: dict[str, list[str]] = defaultdict(list)
        self._records: dict[str, list[str]] = defaultdict(list)
        for doi in sorted(before):
            if aliases.get(doi):
                self.aliases_of[aliases[doi]].append(doi)
            state = now.get(doi, before[doi])
            if state is not None and state.same_as:
                self._records[self.canonical(state.same_as)].append(doi)

    def canonical(self, doi: str) -> str:
        return self._aliases.get(doi, doi)

    def of(self, doi: str) -> WorkState | None:
        """What was announced of the work, under this DOI or an alias of it."""
        return next((self._before[one] for one in (doi, *self.aliases_of.get(doi, ())) if one in self._before), None)

    def of_all(self, doi: str) -> Iterator[WorkState]:
        """What was announced of any record of the work: a notice is not new because another record shows it now."""
        for one in (doi, *self._records.get(doi, ())):
            for name in (one, *self.aliases_of.get(one, ())):
                if name in self._before:
                    yield self._before[name]

    def key(self, notice: WorkNotice) -> tuple[str, str]:
        """Identifies a notice, whichever record of the work shows it."""
        return notice.kind, self.canonical(notice.notice_doi)


def _of_one(doi: str, state: WorkState, known: _Announced) -> Iterator[Change]:
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
    elif base.abstract_source != state.abstract_source and {base.verdict, state.verdict} <= set(SHOWN_VERDICTS):
        yield Change(doi, "abstract", base.abstract_source, state.abstract_source)
    if base.tags != state.tags and {base.verdict, state.verdict} <= set(SHOWN_VERDICTS):
        lost, added = {*base.tags} - {*state.tags}, {*state.tags} - {*base.tags}
        yield Change(doi, "tags", "; ".join(sorted(lost)) or None, "; ".join(sorted(added)) or None)


def _sentences(conflict: str) -> set[str]:
    """The reasons that a conflict gives, to compare two conflicts: that one of several reasons is gone is not announced. A full
    stop in a reviewer's name cuts a sentence in two, but in both conflicts."""
    return set(conflict.removesuffix(".").split(". "))


def _of_notices(doi: str, state: WorkState, known: _Announced) -> Iterator[Change]:
    if state.verdict not in SHOWN_VERDICTS:
        return
    before = {known.key(notice): notice for one in known.of_all(doi) for notice in one.notices}
    now = {known.key(notice): notice for notice in state.notices}
    for key in sorted(now.keys() - before.keys()):
        yield Change(doi, "notice", after=notice_text(now[key], doi))
    for key in sorted(before.keys() - now.keys()):
        yield Change(doi, "notice-ended", before=notice_text(before[key], doi))
