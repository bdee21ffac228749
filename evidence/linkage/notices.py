"""Retractions, corrections and other notices: which record is the notice, which the study, and which work a notice shows on.

A record says what was done to it (`updated-by`, its title) or to another work (`update-to`); publishers turn the direction
round, give a notice the title of its study, and assert a notice on one of several records of a work. Here the statements
of a set of records that hang together become the notices of each work. Pure: the records are handed in, nothing is stored.
"""

from __future__ import annotations

import calendar
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Literal

Evidence = Literal["updated-by", "update-to", "title"]
Relation = Literal["own", "record", "article", "preprint"]
"""How the DOI that a notice was issued for belongs to the work it is shown on: it is the work's own DOI, another record of
the same work, the article of which the work is a preprint, or a preprint of the work."""

GRAVITY = (
    "retraction",
    "partial-retraction",
    "withdrawal",
    "removal",
    "expression-of-concern",
    "reinstatement",
    "correction",
    "corrigendum",
    "erratum",
)
"""Kinds of notices worth a banner, gravest first; `works.notice` holds the gravest. Others are only listed."""

REINSTATEMENT = "reinstatement"
_UNDONE = frozenset({"retraction", "partial-retraction", "withdrawal", "removal", "expression-of-concern"})
"""Kinds that a later reinstatement undoes."""
VERSIONS = frozenset({"new-version", "new-edition", "version-of-record", "preprint"})
"""Kinds of updates that are studies themselves: a record that is a new version of another is no notice."""
_NEVER_NOTICES = frozenset(
    {
        "posted-content",
        "book",
        "monograph",
        "edited-book",
        "reference-book",
        "dissertation",
        "dataset",
        "report",
        "grant",
    }
)
"""Crossref types that a notice has only when its title says so."""

_STRENGTH: tuple[Evidence, ...] = ("updated-by", "update-to", "title")
_NEARNESS: tuple[Relation, ...] = ("own", "record", "article", "preprint")
_SLACK = timedelta(days=183)
"""Online and print dates of one publication may lie this far apart: less is no evidence of which came first."""

# What publishers put before or after the title of the *work* that was retracted; a notice says "Retraction of".
_STATUS = re.compile(
    r"^\W*(?P<before>retracted|withdrawn|removed|temporary removal)\b(?:\s+(?:article|chapter|paper|manuscript))?\s*"
    r"(?:[:—–|\])]|-\s)|[(\[]\s*(?P<after>retracted|withdrawn|removed)\b(?:\s+article)?[^()\[\]]{0,80}[)\]]\W*$",
    re.IGNORECASE,
)
_STATUS_KIND = {
    "retracted": "retraction",
    "withdrawn": "withdrawal",
    "temporary removal": "removal",
    "removed": "removal",
}

_NAMES = (
    ("retraction", r"(?:partial )?retraction"),
    ("expression-of-concern", r"expression of concern"),
    ("correction", r"corrections?"),
    ("corrigendum", r"corrigend(?:um|a)"),
    ("erratum", r"errat(?:um|a)"),
    ("addendum", r"addend(?:um|a)"),
    ("withdrawal", r"withdrawal"),
    ("removal", r"removal"),
    ("reinstatement", r"reinstatement"),
)
_BY = r"^\W*(?:(?:author|publisher|editor|editorial|article)(?:['’]?s)?\s+)?"
_ANY_HEAD = tuple(
    (kind, re.compile(rf"{_BY}(?:{name}\b|(?:notice|statement|note) of (?:\w+ )?{name}\b)", re.IGNORECASE))
    for kind, name in _NAMES
)
"""A title that may be a study's too ("Withdrawal of antidepressants")."""
_FORMAL = r"\s+(?:notice|note|statement)\b"
_FOLLOWS = {
    "corrigendum": r"\b",
    "erratum": r"\b",
    "withdrawal": _FORMAL,
    "removal": _FORMAL,
    "reinstatement": _FORMAL,
}
_ELSE = rf"{_FORMAL}|\s*(?:(?:to|of|for|in|about|regarding)\b\s*)?(?:[:—–]|-\s|[\"“‘'«\[]|$)"
_HEAD = (
    ("expression-of-concern", re.compile(r"^\W*editorial expression of concern\b", re.IGNORECASE)),
    *(
        (
            kind,
            re.compile(
                rf"{_BY}(?:{name}(?:{_FOLLOWS.get(kind, _ELSE)})|(?:notice|statement) of (?:\w+ )?{name}\b)",
                re.IGNORECASE,
            ),
        )
        for kind, name in _NAMES
    ),
)
"""A title that only a notice has, whatever the record says."""


@dataclass(frozen=True, slots=True)
class Said:
    """One statement of a record: that the work `doi` was updated by the notice `notice_doi`, both as stated."""

    said_by: str
    doi: str
    kind: str
    notice_doi: str
    issued: str | None
    source: str | None
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one record: `same_as` is the record that represents the work, where another does; `notice_of` what
    the record was taken to be a notice of, when it was judged: (kind, DOI or None where it is not known)."""

    doi: str
    title: str | None = None
    kind: str | None = None
    issued: str | None = None
    same_as: str | None = None
    notice_of: tuple[tuple[str, str | None], ...] = ()


@dataclass(frozen=True, slots=True)
class Shown:
    """A notice as a work shows it. `stands_on` is the DOI it was issued for, `issued` the earliest date stated, `source`
    all who stated it; `undone`: a later reinstatement of the same record takes it back."""

    doi: str
    kind: str
    notice_doi: str
    stands_on: str
    relation: Relation
    issued: str | None
    source: str | None
    evidence: Evidence
    undone: bool


@dataclass(frozen=True, slots=True)
class World:
    """Records that hang together: `works` by DOI; `aliases` lead from a DOI to the one that answers for it; `said` are the
    statements of all records; `preprints` are (preprint, article).

    `silent` are records that no longer stand. What they said of others does not count. What they said of their own work
    does, unless another record answers for it now: nobody has said anything else of it since.
    """

    works: Mapping[str, Facts]
    said: Sequence[Said]
    aliases: Mapping[str, str]
    preprints: Collection[tuple[str, str]]
    silent: Collection[str] = ()

    def counts(self, said: Said) -> bool:
        """Whether a statement is to be shown."""
        return said.said_by not in self.silent or (said.doi == said.said_by and said.said_by not in self.aliases)


def kind_of(stated: Iterable[str | None]) -> str:
    """The kind of an update from what a record calls it (type, label): the gravest, in our spelling; `update` when nothing
    is said."""
    said = [re.sub(r"[\s_]+", "-", text.strip().lower()) for text in stated if text]
    return next((kind for kind in GRAVITY if kind in said), said[0] if said else "update")


def status(title: str | None) -> str | None:
    """What a publisher wrote into a study's title: `RETRACTED: …` → retraction."""
    found = _STATUS.search(title or "")
    return _STATUS_KIND[(found["before"] or found["after"]).lower()] if found else None


def heading(title: str | None, *, certain: bool = False) -> str | None:
    """The kind of notice that a title heads (`Retraction notice to: …`); `certain`: only where no study is called so."""
    heads = _HEAD if certain else _ANY_HEAD
    return next((kind for kind, head in heads if head.search(title or "")), None)


def notice_of(record: Facts, said: Sequence[Said], world: World | None = None) -> tuple[tuple[str, str], ...]:
    """What `record` is a notice of, (kind, DOI as stated) each; nothing when it is a study. `said` are its own statements;
    `world` holds the other records, as far as they are known.

    A title that names a notice settles it. Else a record that was itself updated, that is of a type notices do not have, or
    that was published long before the update it states, is the study, and its relation points the wrong way.
    """
    return _notice_of(record, said, _Known(world or World({}, said, {}, ())))


def _notice_of(record: Facts, said: Sequence[Said], known: _Known) -> tuple[tuple[str, str], ...]:
    others = [s for s in said if _of_another(s) and known.canonical(s.doi) != known.canonical(record.doi)]
    return tuple(dict.fromkeys((s.kind, s.doi) for s in others)) if _is_notice(record, others, said, known) else ()


def _of_another(said: Said) -> bool:
    return said.evidence == "update-to" and said.doi != said.said_by and said.kind not in VERSIONS


def _is_notice(record: Facts, others: Sequence[Said], said: Sequence[Said], known: _Known) -> bool:
    if not others or heading(record.title, certain=True):
        return bool(others)
    targets = [target for s in others if (target := known.work(s.doi))]
    if any(heading(t.title, certain=True) or _long_before(record.issued, t.issued) for t in targets):
        return False
    titled = status(record.title)
    if not titled and any(known.names(target, record) for target in targets):
        return True
    updated = {s.kind for s in said if s.doi == record.doi and s.evidence != "title"} - VERSIONS
    if heading(record.title):  # the title is more a notice's than a study's: a correction of a correction is no wonder
        updated &= _UNDONE
    elif not titled and record.kind in _NEVER_NOTICES:
        return False
    if updated:
        return False
    return not all(_long_before(record.issued, s.issued) for s in others)


def _long_before(first: str | None, second: str | None) -> bool:
    """Is the first date certainly, and by more than `_SLACK`, before the second? Unknown dates are not."""
    if not first or not second:
        return False
    return _day(first, last=True) + _SLACK < _day(second, last=False)


def _day(iso: str, *, last: bool) -> date:
    """The first or last day that a date of reduced precision may mean."""
    year, month, day = (*map(int, iso[:10].split("-")), 0, 0)[:3]
    month = month or (12 if last else 1)
    return date(year, month, day or (calendar.monthrange(year, month)[1] if last else 1))


# --- from statements to what each work shows ---------------------------------------------------------------------------


def decided(world: World) -> dict[str, tuple[tuple[str, str], ...]]:
    """For each record that states an update of another work: what it is a notice of, judged with all records at hand."""
    return _decided(_Known(world))


def _decided(known: _Known) -> dict[str, tuple[tuple[str, str], ...]]:
    return {
        doi: _notice_of(known.works[doi], said, known)
        for doi, said in known.said_by.items()
        if doi in known.works and any(map(_of_another, said))
    }


def shown(world: World) -> dict[str, list[Shown]]:
    """The notices of every work of `world`, in no order; a work without one is not in it."""
    known = _Known(world)
    for doi, of in _decided(known).items():
        known.works[doi] = replace(known.works[doi], notice_of=of)
    facts = _facts([said for said in world.said if world.counts(said)], known)
    if not facts:
        return {}
    near: dict[str, set[tuple[Relation, str]]] = defaultdict(set)
    for preprint, article in ((known.home(one), known.home(other)) for one, other in world.preprints):
        if preprint != article:
            near[preprint].add(("article", article))
            near[article].add(("preprint", preprint))
    found: dict[str, list[Shown]] = {}
    for doi in world.works:
        own = known.canonical(doi)
        rows = [
            replace(fact, doi=doi, relation="own" if fact.doi == own else "record")
            for fact in facts.get(known.home(doi), ())
        ]
        rows += [
            replace(fact, doi=doi, relation=relation)
            for relation, group in near.get(known.home(doi), ())
            for fact in facts.get(group, ())
        ]
        if rows:
            found[doi] = _once(rows)
    return found


def gravest(rows: Iterable[Shown]) -> str | None:
    """The kind of the gravest notice that stands on the work. One on its preprint is shown, but is not the work's own."""
    kinds = {row.kind for row in rows if not row.undone and row.relation != "preprint"}
    return next((kind for kind in GRAVITY if kind in kinds), None)


class _Known:
    """A world made ready: which DOI a DOI leads to, which record represents its work, who said what."""

    def __init__(self, world: World) -> None:
        self.works = dict(world.works)
        self.said_by: dict[str, list[Said]] = defaultdict(list)
        for said in world.said:
            self.said_by[said.said_by].append(said)
        self._aliases = world.aliases

    def canonical(self, doi: str) -> str:
        """The end of the chain of aliases; of a ring, its smallest DOI."""
        seen = [doi]
        while (doi := self._aliases.get(doi, doi)) not in seen:
            seen.append(doi)
        return doi if doi == seen[-1] else min(seen[seen.index(doi) :])

    def work(self, doi: str) -> Facts | None:
        """The record that a DOI leads to, if it is here."""
        return self.works.get(self.canonical(doi))

    def home(self, doi: str) -> str:
        """The DOI of the record that represents the work."""
        found = self.work(doi)
        return self.canonical(found.same_as) if found and found.same_as else self.canonical(doi)

    def names(self, record: Facts, notice: Facts) -> bool:
        """Does the record name this notice itself?"""
        return any(
            said.evidence == "updated-by"
            and said.kind not in VERSIONS
            and self.canonical(said.notice_doi) == self.canonical(notice.doi)
            for said in self.said_by.get(record.doi, ())
        )


def _facts(said: Sequence[Said], known: _Known) -> dict[str, list[Shown]]:
    """What was stated, each fact once however many told it, by the record that represents the work."""
    told: dict[tuple[str, str, str], list[tuple[str, Said]]] = defaultdict(list)
    for one in said:
        if one.evidence == "title" and known.works[one.said_by].notice_of:
            continue  # some journals head the notice itself "Retracted: …"
        about, notice = _settled(one, known)
        told[known.canonical(about), one.kind, known.canonical(notice)].append((about, one))
    facts: dict[str, list[Shown]] = defaultdict(list)
    for (doi, kind, notice), witnesses in told.items():
        dates = [one.issued for _, one in witnesses if one.issued]
        sources = sorted({one.source for _, one in witnesses if one.source})
        abouts = {about for about, _ in witnesses}
        facts[known.home(doi)].append(
            Shown(
                doi,
                kind,
                notice,
                stands_on=doi if doi in abouts else min(abouts),
                relation="own",
                issued=min(dates, key=lambda iso: (_day(iso, last=False), -len(iso)), default=None),
                source="; ".join(sources) or None,
                evidence=min((one.evidence for _, one in witnesses), key=_STRENGTH.index),
                undone=False,
            )
        )
    return {home: _reinstated(_without_weak(rows)) for home, rows in facts.items()}


def _settled(said: Said, known: _Known) -> tuple[str, str]:
    """(work, notice) of a statement: as stated, unless the relation points the wrong way between these two records."""
    one = known.works[said.said_by]
    as_stated, turned = (said.doi, said.notice_doi), (said.notice_doi, said.doi)
    if (
        said.evidence == "title"
        or known.canonical(said.doi) == known.canonical(said.notice_doi)
        or said.kind in VERSIONS
    ):
        return as_stated
    other = known.work(said.doi if said.evidence == "update-to" else said.notice_doi)
    if said.evidence == "update-to" and not _a_notice(one):
        if other is None:
            return turned if _long_before(one.issued, said.issued) else as_stated
        return turned if _a_notice(other) or _long_before(one.issued, other.issued) else as_stated
    if said.evidence == "updated-by" and other and _a_notice(one) and not _a_notice(other):
        return turned if _long_before(other.issued, one.issued) else as_stated
    return as_stated


def _a_notice(record: Facts) -> bool:
    return bool(record.notice_of) or heading(record.title, certain=True) is not None


def _without_weak(rows: list[Shown]) -> list[Shown]:
    """A title is believed only where nobody states such a notice."""
    stated = {row.kind for row in rows if row.evidence != "title"}
    return [row for row in rows if row.evidence != "title" or row.kind not in stated]


def _reinstated(rows: list[Shown]) -> list[Shown]:
    """What a reinstatement of the same record takes back: all but what is known to be later."""
    since: dict[str, str] = {}
    for row in rows:
        if row.kind == REINSTATEMENT:
            since[row.doi] = max(since.get(row.doi, ""), row.issued or "")
    return [
        replace(row, undone=True)
        if row.kind in _UNDONE and row.doi in since and not _after(row.issued or "", since[row.doi])
        else row
        for row in rows
    ]


def _after(first: str, second: str) -> bool:
    """Is the first date later, as far as both are known? A dated notice is later than an undated one."""
    known = min(len(first), len(second)) or len(first)
    return first[:known] > second[:known]


def _once(rows: list[Shown]) -> list[Shown]:
    """One row for each notice, however many of the work's records it was issued for: what stands first, then the nearest."""
    best: dict[tuple[str, str], Shown] = {}
    for row in sorted(rows, key=lambda r: (r.undone, _NEARNESS.index(r.relation), r.stands_on)):
        best.setdefault((row.kind, row.notice_doi), row)
    return list(best.values())
