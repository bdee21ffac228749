"""Retractions, corrections and other notices: which record is the notice, which is the study, and which works show the notice.

A record states what was done to it (`updated-by`, its title) or to another work (`update-to`). Publishers reverse the
direction, give a notice the title of its study, and state a notice on only one of several records of a work. This module turns
the statements of a group of connected records into the notices of each work.

It may not store anything, read a database or ask Crossref: the records are handed in.
"""

from __future__ import annotations

import calendar
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Literal

from evidence.data_model import Evidence

Relation = Literal["own", "record", "article", "preprint"]
"""How the DOI that a notice was issued for is related to the work that shows it: `own` is the work's own DOI, `record` another
record of the same work, `article` the article of which the work is a preprint, `preprint` a preprint of the work."""

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
"""Kinds of notices that are shown with a warning, gravest first; `works.notice` holds the gravest. Others are only listed."""

REINSTATEMENT = "reinstatement"
GRAVE = frozenset({"retraction", "partial-retraction", "withdrawal", "removal", "expression-of-concern"})
"""Kinds that warn of the work itself. A later reinstatement undoes them."""
VERSIONS = frozenset({"new-version", "new-edition", "version-of-record", "preprint"})
"""Kinds of updates that are studies themselves: a new version of another record is not a notice."""
PREPRINT = ("is-preprint-of", "has-preprint")
"""Relations between a preprint and its article: as the preprint states it, and as the article does."""
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
"""Crossref types that are taken for notices only when the title says so."""

_STRENGTH: tuple[Evidence, ...] = (
    "updated-by",
    "update-to",
    "retraction-watch",
    "comments-corrections",
    "publication-type",
    "title",
)
_OF_PROVIDERS = frozenset(("retraction-watch", "comments-corrections", "publication-type"))
"""Evidence in records of other providers than Crossref. They often name the notice by a number of their own, or not at all."""
RETRACTIONS = ("retraction", "partial-retraction", "withdrawal", "removal")
"""Kinds by which a work, or a part of it, is taken back."""
_SAME_ACT = (frozenset(("correction", "corrigendum", "erratum")), frozenset(RETRACTIONS))
"""Kinds that different providers give one notice."""
_NEARNESS: tuple[Relation, ...] = ("own", "record", "article", "preprint")
_SLACK = timedelta(days=183)
"""Online and print dates of one publication may differ by this much: a smaller difference does not tell which came first."""

# What publishers put before or after the title of the *study* that was retracted. A notice has "Retraction of" instead.
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

_STATUS_WORDS = ("retracted", "withdrawn", "remov")

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
"""Beginnings of notices' titles that a study may have too ("Withdrawal of antidepressants")."""
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
"""Beginnings of titles that only notices have."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What one record states: the work `doi` was updated by the notice `notice_doi`, both as stated. `stated_by` is the DOI of
    the record, `issued` an ISO date, `source` who made the assertion, `notice_id` the notice's identifier elsewhere."""

    stated_by: str
    doi: str
    kind: str
    notice_doi: str
    issued: str | None
    source: str | None
    evidence: Evidence
    notice_id: str | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one record. `same_as` is the record that represents the work, where that is another one. `notice_of` is
    what the record was found to be a notice of when it was judged: (kind, DOI, or None where the DOI is not known)."""

    doi: str
    title: str | None = None
    kind: str | None = None
    issued: str | None = None
    same_as: str | None = None
    notice_of: tuple[tuple[str, str | None], ...] = ()


@dataclass(frozen=True, slots=True)
class ShownNotice:
    """A notice as a work shows it. `stands_on` is the DOI it was issued for, `issued` the earliest date stated, `source` all
    who asserted it, separated by `; `. `undone`: a later reinstatement of the same record revokes it. `notice_id` are the
    notice's identifiers elsewhere (`PMID:123; RW:456`)."""

    doi: str
    kind: str
    notice_doi: str
    stands_on: str
    relation: Relation
    issued: str | None
    source: str | None
    evidence: Evidence
    undone: bool
    notice_id: str | None = None


@dataclass(frozen=True, slots=True)
class RecordGroup:
    """Connected records: `works` by DOI; `statements` of all records; `aliases` from a DOI to the DOI that replaces it;
    `preprints` as (preprint, article).

    `withdrawn` are records that no source holds any more. Their statements on other works do not count. Those on their own work
    do, unless another record has replaced them: no later record says otherwise.
    """

    works: Mapping[str, Facts]
    statements: Sequence[Statement]
    aliases: Mapping[str, str]
    preprints: Collection[tuple[str, str]]
    withdrawn: Collection[str] = ()

    def counts(self, statement: Statement) -> bool:
        """Whether a statement counts."""
        return statement.stated_by not in self.withdrawn or (
            statement.doi == statement.stated_by and statement.stated_by not in self.aliases
        )


def update_kind(stated: Iterable[str | None]) -> str:
    """The kind of an update from the names that a record gives it (type, label): the gravest, spelled as in `GRAVITY`; `update`
    when there are none."""
    names = [re.sub(r"[\s_]+", "-", text.strip().lower()) for text in stated if text]
    return next((kind for kind in GRAVITY if kind in names), names[0] if names else "update")


def title_status(title: str | None) -> str | None:
    """The notice that a publisher wrote into a study's title: `RETRACTED: …` → `retraction`; None without one."""
    if not title or (title.isascii() and not any(word in title.lower() for word in _STATUS_WORDS)):  # nearly all titles
        return None
    found = _STATUS.search(title)
    return _STATUS_KIND[(found["before"] or found["after"]).lower()] if found else None


def title_notice(title: str | None, *, certain: bool = False) -> str | None:
    """The kind of notice that a title belongs to (`Retraction notice to: …` → `retraction`); None for others. With
    `certain`, only titles that no study has."""
    heads = _HEAD if certain else _ANY_HEAD
    return next((kind for kind, head in heads if head.match(title)), None) if title else None


def same_act(kind: str) -> frozenset[str]:
    """The kinds that providers give to one notice, of which this is one."""
    return next((kinds for kinds in _SAME_ACT if kind in kinds), frozenset((kind,)))


def notice_of(
    record: Facts, statements: Sequence[Statement], group: RecordGroup | None = None
) -> tuple[tuple[str, str], ...]:
    """What `record` is a notice of, each as (kind, DOI as stated); empty when it is a study. `statements` are its own; `group`
    has the other records, as far as they are known.

    A record whose title names a notice is one. Otherwise it is the study, with the relation in the wrong direction, when it was
    itself updated, has a type that notices do not have, or was published long before the update it states.
    """
    if not any(map(_of_another, statements)):
        return ()
    return _notice_of(record, statements, _Known(group or RecordGroup({}, statements, {}, ())))


def _notice_of(record: Facts, statements: Sequence[Statement], known: _Known) -> tuple[tuple[str, str], ...]:
    others = [s for s in statements if _of_another(s) and known.canonical(s.doi) != known.canonical(record.doi)]
    return (
        tuple(dict.fromkeys((s.kind, s.doi) for s in others)) if _is_notice(record, others, statements, known) else ()
    )


def _of_another(statement: Statement) -> bool:
    return statement.evidence == "update-to" and statement.doi != statement.stated_by and statement.kind not in VERSIONS


def _is_notice(record: Facts, others: Sequence[Statement], statements: Sequence[Statement], known: _Known) -> bool:
    if not others or title_notice(record.title, certain=True):
        return bool(others)
    targets = [target for s in others if (target := known.work(s.doi))]
    if any(title_notice(t.title, certain=True) or _long_before(record.issued, t.issued) for t in targets):
        return False
    titled = title_status(record.title)
    if not titled and any(known.names(target, record) for target in targets):
        return True
    updated = {s.kind for s in statements if s.doi == record.doi and s.evidence != "title"} - VERSIONS
    if title_notice(record.title):  # the title is rather a notice's, and corrections are corrected too
        updated &= GRAVE
    elif not titled and record.kind in _NEVER_NOTICES:
        return False
    if updated:
        return False
    return not all(_long_before(record.issued, s.issued) for s in others)


def _long_before(first: str | None, second: str | None) -> bool:
    """Whether the first date is certainly more than `_SLACK` before the second; False when one is unknown."""
    if not first or not second:
        return False
    return _day(first, last=True) + _SLACK < _day(second, last=False)


def _day(iso: str, *, last: bool) -> date:
    """The first or last day that a date such as `2019` or `2019-05` may mean."""
    year, month, day = (*map(int, iso[:10].split("-")), 0, 0)[:3]
    month = month or (12 if last else 1)
    return date(year, month, day or (calendar.monthrange(year, month)[1] if last else 1))


# --- from statements to the notices of each work ---------------------------------------------------------------------------


def notice_targets(group: RecordGroup) -> dict[str, tuple[tuple[str, str], ...]]:
    """For each record that states an update of another work: what it is a notice of (see `notice_of`), judged with the whole
    group."""
    return _decided(_Known(group))


def _decided(known: _Known) -> dict[str, tuple[tuple[str, str], ...]]:
    return {
        doi: _notice_of(known.works[doi], statements, known)
        for doi, statements in known.statements_of.items()
        if doi in known.works and any(map(_of_another, statements))
    }


def notices_of_works(group: RecordGroup) -> dict[str, list[ShownNotice]]:
    """Work → its notices, in no order, for every work of the group that has one."""
    known = _Known(group)
    for doi, of in _decided(known).items():
        known.works[doi] = replace(known.works[doi], notice_of=of)
    facts = _facts([statement for statement in group.statements if group.counts(statement)], known)
    if not facts:
        return {}
    near: dict[str, set[tuple[Relation, str]]] = defaultdict(set)
    for preprint, article in (
        (known.representative(one), known.representative(other)) for one, other in group.preprints
    ):
        if preprint != article:
            near[preprint].add(("article", article))
            near[article].add(("preprint", preprint))
    found: dict[str, list[ShownNotice]] = {}
    for doi in group.works:
        own = known.canonical(doi)
        rows = [
            replace(fact, doi=doi, relation="own" if fact.doi == own else "record")
            for fact in facts.get(known.representative(doi), ())
        ]
        rows += [
            replace(fact, doi=doi, relation=relation)
            for relation, other in near.get(known.representative(doi), ())
            for fact in facts.get(other, ())
        ]
        if rows:
            found[doi] = _one_row_each(rows)
    return found


def gravest_kind(rows: Iterable[ShownNotice]) -> str | None:
    """The kind of the gravest notice in force. One on a preprint of the work is shown, but does not count here."""
    kinds = {row.kind for row in rows if not row.undone and row.relation != "preprint"}
    return next((kind for kind in GRAVITY if kind in kinds), None)


class _Known:
    """A record group with lookups: which DOI a DOI leads to, which record represents its work, who stated what."""

    def __init__(self, group: RecordGroup) -> None:
        self.works = dict(group.works)
        self.statements_of: dict[str, list[Statement]] = defaultdict(list)
        for statement in group.statements:
            self.statements_of[statement.stated_by].append(statement)
        self._aliases = group.aliases

    def canonical(self, doi: str) -> str:
        """The DOI at the end of the chain of aliases; the smallest one, if the chain is a ring."""
        seen = [doi]
        while (doi := self._aliases.get(doi, doi)) not in seen:
            seen.append(doi)
        return doi if doi == seen[-1] else min(seen[seen.index(doi) :])

    def work(self, doi: str) -> Facts | None:
        """The record that a DOI leads to; None when it is not in the group."""
        return self.works.get(self.canonical(doi))

    def representative(self, doi: str) -> str:
        """The DOI of the record that represents the work."""
        found = self.work(doi)
        return self.canonical(found.same_as) if found and found.same_as else self.canonical(doi)

    def names(self, record: Facts, notice: Facts) -> bool:
        """Whether the record itself states this notice."""
        return any(
            statement.evidence == "updated-by"
            and statement.kind not in VERSIONS
            and self.canonical(statement.notice_doi) == self.canonical(notice.doi)
            for statement in self.statements_of.get(record.doi, ())
        )


def _facts(statements: Sequence[Statement], known: _Known) -> dict[str, list[ShownNotice]]:
    """The notices that were stated, by the record that represents the work; one that several records state is there once."""
    stated: dict[tuple[str, str, str], list[tuple[str, Statement]]] = defaultdict(list)
    from_providers: list[tuple[str, str, str, Statement]] = []
    for one in statements:
        if one.evidence == "title" and known.works[one.stated_by].notice_of:
            continue  # some journals put "Retracted: …" on the notice itself
        about, notice = _direction(one, known)
        key = (known.canonical(about), one.kind, known.canonical(notice))
        if one.evidence in _OF_PROVIDERS:
            from_providers.append((about, *key[1:], one))
        else:
            stated[key].append((about, one))
    reinstated: dict[str, list[str]] = defaultdict(list)
    for (doi, kind, _), witnesses in stated.items():
        if kind == REINSTATEMENT:
            reinstated[doi] += [one.issued for _, one in witnesses if one.issued]
    for about, kind, _, one in from_providers:
        if kind == REINSTATEMENT and one.issued:
            reinstated[known.canonical(about)].append(one.issued)
    # Those that name the notice first: one that does not is about the same notice.
    for about, kind, notice, one in sorted(
        from_providers, key=lambda row: (row[2] == known.canonical(row[0]), repr(row))
    ):
        doi = known.canonical(about)
        stated[_same_notice(doi, kind, notice, one.issued, stated, reinstated[doi])].append((about, one))
    facts: dict[str, list[ShownNotice]] = defaultdict(list)
    for (doi, kind, notice), witnesses in stated.items():
        dates = [one.issued for _, one in witnesses if one.issued]
        sources = sorted({one.source for _, one in witnesses if one.source})
        abouts = {about for about, _ in witnesses}
        facts[known.representative(doi)].append(
            ShownNotice(
                doi,
                kind,
                notice,
                stands_on=doi if doi in abouts else min(abouts),
                relation="own",
                issued=min(dates, key=lambda iso: (_day(iso, last=False), -len(iso)), default=None),
                source="; ".join(sources) or None,
                evidence=min((one.evidence for _, one in witnesses), key=_STRENGTH.index),
                undone=False,
                notice_id="; ".join(sorted({one.notice_id for _, one in witnesses if one.notice_id})) or None,
            )
        )
    return {doi: _reinstated(_without_titles_alone(rows)) for doi, rows in facts.items()}


def _same_notice(
    doi: str,
    kind: str,
    notice: str,
    issued: str | None,
    stated: Mapping[tuple[str, str, str], Sequence[tuple[str, Statement]]],
    reinstated: Sequence[str],
) -> tuple[str, str, str]:
    """The key in `stated` of the notice that a provider states: one of the same DOI or, where the provider names none, one of its
    kind that is known from elsewhere; else a new key. A retraction before a reinstatement and one after it are two notices: as
    one, the earlier date would make both seem revoked."""
    alike = same_act(kind)
    of_work = sorted(key for key in stated if key[0] == doi and key[1] in alike)
    named = [key for key in of_work if key[2] == notice != doi]
    if named:
        return named[0]
    if notice == doi:
        of_work = [key for key in of_work if not _parted(issued, [one.issued for _, one in stated[key]], reinstated)]
        if of_work:
            return next((key for key in of_work if key[1] == kind), of_work[0])
    return doi, kind, notice


def _parted(issued: str | None, others: Iterable[str | None], reinstated: Iterable[str]) -> bool:
    """Whether a reinstatement lies between a date and these others, as far as they are known."""
    dates = [date for date in others if date]
    if not issued or not dates:
        return False
    return any(_after(issued, day) != _after(date, day) for day in reinstated for date in dates)


def _direction(statement: Statement, known: _Known) -> tuple[str, str]:
    """(work, notice) of a statement: as stated, or reversed where the relation has the wrong direction."""
    one = known.works[statement.stated_by]
    as_stated, reversed_ = (statement.doi, statement.notice_doi), (statement.notice_doi, statement.doi)
    if (
        statement.evidence == "title"
        or known.canonical(statement.doi) == known.canonical(statement.notice_doi)
        or statement.kind in VERSIONS
    ):
        return as_stated
    other = known.work(statement.doi if statement.evidence == "update-to" else statement.notice_doi)
    if statement.evidence == "update-to" and not _a_notice(one):
        if other is None:
            return reversed_ if _long_before(one.issued, statement.issued) else as_stated
        return reversed_ if _a_notice(other) or _long_before(one.issued, other.issued) else as_stated
    if statement.evidence == "updated-by" and other and _a_notice(one) and not _a_notice(other):
        return reversed_ if _long_before(other.issued, one.issued) else as_stated
    return as_stated


def _a_notice(record: Facts) -> bool:
    return bool(record.notice_of) or title_notice(record.title, certain=True) is not None


def _without_titles_alone(rows: list[ShownNotice]) -> list[ShownNotice]:
    """Without notices known from a title alone, where a notice of that kind is also stated."""
    stated = {row.kind for row in rows if row.evidence != "title"}
    return [row for row in rows if row.evidence != "title" or row.kind not in stated]


def _reinstated(rows: list[ShownNotice]) -> list[ShownNotice]:
    """The rows, those marked `undone` that a reinstatement of the same record revokes: all that are not known to be later."""
    since: dict[str, str] = {}
    for row in rows:
        if row.kind == REINSTATEMENT:
            since[row.doi] = max(since.get(row.doi, ""), row.issued or "")
    return [
        replace(row, undone=True)
        if row.kind in GRAVE and row.doi in since and not _after(row.issued or "", since[row.doi])
        else row
        for row in rows
    ]


def _after(first: str, second: str) -> bool:
    """Whether the first date is later, compared at the precision of both. A dated notice is later than an undated one."""
    known = min(len(first), len(second)) or len(first)
    return first[:known] > second[:known]


def _one_row_each(rows: list[ShownNotice]) -> list[ShownNotice]:
    """One row for each notice, however many of the work's records it was issued for: rows in force first, then by relation."""
    best: dict[tuple[str, str], ShownNotice] = {}
    for row in sorted(rows, key=lambda r: (r.undone, _NEARNESS.index(r.relation), r.stands_on)):
        best.setdefault((row.kind, row.notice_doi), row)
    return list(best.values())
