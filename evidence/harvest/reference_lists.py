"""A reference list → one resolution per citation, none dropped.

A stated or repaired DOI is accepted only when its record agrees with the citation's text. A citation without a DOI is
searched for by its text and accepted only when `linkage/citation_matching.py` says so. This module is given its record
source and writes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from evidence import doi as dois
from evidence.crossref.normalise import doi_of, missing_doi_reason, normalise, references, score_of
from evidence.data_model import (
    Citation,
    CitationError,
    CitationStatus,
    Doi,
    LookupResult,
    Message,
    Query,
    RecordSource,
    Resolution,
    Work,
)
from evidence.errors import RecordError, RejectedError, UnreadError
from evidence.harvest.sources import ReferenceList
from evidence.linkage.citation_matching import CitationMatch, compare_citation, match_citation

ACCEPTED: frozenset[CitationStatus] = frozenset({"resolved", "repaired", "matched"})
"""The statuses with a DOI."""

CANDIDATES = 20
"""Ranked records compared for a citation without a DOI (Crossref advises few; its own matcher takes twenty)."""

PART = 100
"""Citations resolved, and written, at once."""

MAX_WORKS = 20_000
"""Works kept for comparison while a list is resolved, about 2 kB each; the least recently used is dropped first."""

NO_TEXT = "(no text deposited)"
"""The text of a deposited reference that has neither text nor DOI."""

NOTHING_TO_COMPARE = "nothing to compare: the citation is only a DOI"

_BY_TEXT = "the text leads to"
"""What the problem of a citation says whose stated DOI led nowhere."""

_WITH_ERRORS = re.compile(r"(?:(?:^|; )found with errors: it prints .*)?\Z", re.DOTALL)
"""The end of the problem of an accepted citation, where it names errors."""

Foreign = Callable[[str, Doi], Work | str]
"""What asks another agency (its name) for the record of a DOI: the work, or a sentence that says why there is none."""

_LINKS = re.compile(r"(https?://\S+|\bdoi\s*:?\s*\S+|\bpmid\s*:?\s*\d+|\bpmc\d+|retrieved\b.*$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ResolvedPart:
    """Resolutions of part of a list, with the records of the accepted ones and the aliases among the lookups. `unread` are
    records that cannot be understood, each with the requested DOI. `works` has the compared fields of the works that a
    resolution names without accepting them."""

    resolutions: tuple[Resolution, ...]
    messages: tuple[Message, ...]
    unread: tuple[tuple[Doi, Message], ...]
    aliases: tuple[tuple[Doi, Doi], ...]
    works: tuple[Work, ...] = ()


@dataclass(slots=True)
class _Lookups:
    """What was looked up so far, by requested DOI: whole results for one part of a list, and for all of the list the compared
    fields of each work, so that none is requested or normalised twice."""

    found: dict[Doi, LookupResult] = field(default_factory=dict)
    unread: dict[Doi, Message] = field(default_factory=dict)
    works: dict[Doi, Work] = field(default_factory=dict)
    returned: set[Doi] = field(default_factory=set)
    limit: int = MAX_WORKS
    foreign: Foreign | None = None

    def look_up(self, records: RecordSource, wanted: Iterable[Doi]) -> None:
        new = []
        for doi in dict.fromkeys(wanted):
            if doi in self.works:
                self.works[doi] = self.works.pop(doi)  # the most recently used is last
            elif doi not in self.found:
                new.append(doi)
        for batch in records.lookup(new) if new else ():
            self.found.update({f.requested: f for f in batch})

    def keep_items(self, items: Iterable[Message]) -> None:
        """Remember the compared fields of search results. One that cannot be understood is left to a lookup."""
        for item in items:
            doi = doi_of(item)
            if doi is None or doi in self.works or doi in self.found:
                continue
            with suppress(RecordError):
                self._remember(doi, _compared(normalise(item)))

    def work(self, doi: Doi) -> Work | None:
        """The compared fields of the record of `doi`, or None when there is none or it cannot be understood."""
        work = self.works.pop(doi, None)
        if work is None:
            found = self.found.get(doi)
            if found is None or found.message is None:
                return None
            try:
                work = _compared(normalise(found.message))
            except RecordError:
                self.unread[doi] = found.message
                return None
        self._remember(doi, work)
        return work

    def _remember(self, doi: Doi, work: Work) -> None:
        if len(self.works) >= self.limit:
            del self.works[next(iter(self.works))]
        self.works[doi] = work

    def messages(self, records: RecordSource, accepted: Iterable[Doi]) -> tuple[Message, ...]:
        """The records of the accepted works that were not returned before."""
        new = [d for d in dict.fromkeys(accepted) if d not in self.returned]
        held: dict[Doi | None, Message] = {
            doi_of(f.message): f.message for f in self.found.values() if f.message is not None
        }
        missing = [d for d in new if d not in held]
        for batch in records.lookup(missing) if missing else ():
            for found in batch:
                if found.message is not None:
                    (self.unread if found.record_doi is None else held)[found.requested] = found.message
        self.returned.update(new)
        return tuple(held[d] for d in new if d in held)

    def forget(self) -> None:
        """Discard the results of a resolved part; the compared fields of each work stay."""
        self.found.clear()
        self.unread.clear()


def _compared(work: Work) -> Work:
    """Only the fields that `linkage/citation_matching.py` compares."""
    return Work(
        work.doi,
        title=work.title,
        container=work.container,
        year=work.year,
        published_print=work.published_print,
        published_online=work.published_online,
        kind=work.kind,
        volume=work.volume,
        issue=work.issue,
        pages=work.pages,
        authors=work.authors,
    )


def citations_of(source: ReferenceList, records: RecordSource) -> tuple[Citation, ...]:
    """The citations of a list: as printed in sources.yaml, or as a publisher deposited them for the work `of`.

    RejectedError when that work has no record or deposited no list, UnreadError when its record cannot be understood.
    """
    if source.of is None:
        return source.citations
    found = next((f for batch in records.lookup([source.of]) for f in batch), None)
    if found is None or found.message is None:
        silence = "Crossref has no record of this work" if records.authoritative else "this work is not in these files"
        raise RejectedError(f"{source.of}: {silence}, so its references are not known")
    try:
        if found.record_doi is None:
            raise RecordError(missing_doi_reason(found.message))
        deposited = references(found.message)
    except RecordError as error:
        text = f"{source.of}: its record cannot be understood ({error}), so its references are not known"
        raise UnreadError(text, found.message, found.place) from error
    if not deposited:
        raise RejectedError(f"{source.of}: no reference list was deposited for this work; list the citations yourself")
    return tuple(
        Citation(source.id, number, reference.text or reference.doi or NO_TEXT, reference.stated or reference.doi)
        for number, reference in enumerate(deposited, start=1)
    )


def resolve(
    citations: Sequence[Citation],
    records: RecordSource,
    before: Mapping[int, Resolution],
    *,
    deposited: bool = False,
    held: Mapping[Doi, Work] | None = None,
    foreign: Foreign | None = None,
) -> Iterator[ResolvedPart]:
    """Resolutions of the citations, part by part. Accepted ones in `before` (by position) with the same text and stated DOI are
    kept without a new request, unless the work in `held` does not agree any more. `deposited`: the DOIs were asserted by a
    publisher or Crossref, so a record that the text does not contradict is accepted. `foreign` is asked for the DOIs of other
    agencies; without it they are `not-in-crossref`."""
    lookups = _Lookups(foreign=foreign)
    for start in range(0, len(citations), PART):
        part = citations[start : start + PART]
        kept = {c.position: r for c in part if (r := _kept(c, before.get(c.position), held or {}, deposited))}
        open_ones = [c for c in part if c.position not in kept]
        read = {c.position: candidate_dois(c) for c in open_ones}
        lookups.look_up(records, [r[0] for r in read.values() if r])
        lookups.look_up(records, [d for r in read.values() if r and lookups.work(r[0]) is None for d in r[1:]])
        fresh = {c.position: _resolve_one(c, read[c.position], records, lookups, deposited) for c in open_ones}
        resolutions = tuple((fresh if c.position in fresh else kept)[c.position] for c in part)
        aliases = tuple(
            (f.requested, f.record_doi) for f in lookups.found.values() if f.record_doi and f.record_doi != f.requested
        )
        messages = lookups.messages(records, [r.doi for r in fresh.values() if r.doi and not r.agency])
        unread = tuple(lookups.unread.items())
        named = dict.fromkeys(
            doi for r in fresh.values() for doi in (r.agency and r.doi, r.leads_to, *r.candidates) if doi
        )
        by_doi = {work.doi: work for work in lookups.works.values()}
        works = tuple(work for doi in named if (work := lookups.work(doi) or by_doi.get(doi)) is not None)
        lookups.forget()
        yield ResolvedPart(resolutions, messages, unread, aliases, works)


def _kept(
    citation: Citation, before: Resolution | None, held: Mapping[Doi, Work], deposited: bool
) -> Resolution | None:
    """What an accepted citation keeps without a request; None for one that is to be resolved."""
    if before is None or before.doi is None or before.status not in ACCEPTED or before.citation != citation:
        return None
    work = held.get(before.doi)
    return before if work is None else compared_again(before, work, deposited)


def compared_again(before: Resolution, work: Work, deposited: bool = False) -> Resolution | None:
    """An accepted citation, compared anew with the record of its work as it is held: an earlier version of the program may have
    accepted it, and the record may have changed. With its errors; its problem changes only where these did. None where the record
    does not agree any more."""
    citation, problem = before.citation, before.problem or ""
    if _only_a_doi(citation):
        return before
    # Where a search found the work, only the text shows that it is the cited one.
    if before.status == "matched" or (before.status == "repaired" and _BY_TEXT in problem):
        choice = match_citation(citation.text, [(work, None)])
        agrees, score, errors = choice.doi is not None, choice.score, choice.errors
    else:
        compared = by_record(citation, work.doi, work, deposited)
        agrees, score = compared.doi is not None, compared.score
        errors = tuple(error for error in compared.errors if error.field != "doi")
    if not agrees:
        return None
    stated = (CitationError("doi", citation.stated_doi or "", before.doi or ""),) if before.status == "repaired" else ()
    now = _with_errors(replace(before, problem=_WITH_ERRORS.sub("", problem) or None, errors=stated), errors)
    return replace(before, errors=now.errors) if now.problem == before.problem else replace(now, score=score)


def named_errors(resolution: Resolution) -> str:
    """What the problem of an accepted citation says about its errors; empty where it names none."""
    found = _WITH_ERRORS.search(resolution.problem or "")
    return found.group().removeprefix("; ") if found else ""


def candidate_dois(citation: Citation) -> tuple[Doi, ...]:
    """The DOIs that a citation may mean, best first: those of the string stated beside it, else those in its text."""
    if citation.stated_doi:
        return dois.candidates(citation.stated_doi)
    return dois.find(citation.text)


def literal_dois(citation: Citation) -> tuple[Doi, ...]:
    """The DOIs exactly as it states them, where they differ from every candidate: the last resort."""
    stated = (
        dois.literal(citation.stated_doi or citation.text) if citation.stated_doi or _only_a_doi(citation) else None
    )
    found = dois.literals(citation.text) if stated is None and not citation.stated_doi else (stated,)
    cleaned = candidate_dois(citation)
    return tuple(d for d in found if d is not None and d not in cleaned)


def possible_dois(citation: Citation) -> tuple[Doi, ...]:
    """Every DOI that may be looked up to resolve a citation, but for those that a search finds."""
    return candidate_dois(citation) + literal_dois(citation)


def _only_a_doi(citation: Citation) -> bool:
    """Whether there is nothing to compare a record with: no text, or only the DOI once more."""
    text, stated = citation.text.strip(), citation.stated_doi
    if text in (NO_TEXT, stated):
        return True
    literal = dois.literal(text)
    said = dois.parse(text) or (literal if literal and len(literal.split()) == 1 else None)
    return said is not None and (stated is None or said in (*dois.candidates(stated), dois.literal(stated)))


def _resolve_one(
    citation: Citation, read: Sequence[Doi], records: RecordSource, lookups: _Lookups, deposited: bool
) -> Resolution:
    if _only_a_doi(citation):
        return _by_doi_alone(citation, read, records, lookups)
    doubts: list[Resolution] = []
    for reading, work in _candidate_works(citation, read, records, lookups):
        compared = by_record(citation, reading, work, deposited)
        if compared.doi:
            return compared
        doubts.append(compared)
    if doubts:
        return _with_suggestion(doubts[0], records, lookups)
    if not read and not citation.stated_doi:
        return _by_text(citation, records, lookups)
    return _without_record(citation, read, records, lookups)


def by_record(citation: Citation, reading: Doi, work: Work, deposited: bool = False) -> Resolution:
    """What the record of one of its DOIs says about a citation: accepted with its errors, or not."""
    agreement = compare_citation(citation.text, work)
    # Most deposited entries have no title, so a missing title alone does not contradict.
    if agreement.same or (deposited and not set(agreement.against) - {"title"}):
        return _with_errors(_accepted(citation, reading, work, agreement.score), agreement.errors)
    status: CitationStatus = "mismatch" if agreement.other else "ambiguous"
    problem = f"{reading}: {agreement.sentence}"
    return Resolution(citation, status, None, problem, agreement.score, leads_to=work.doi)


def _candidate_works(
    citation: Citation, read: Sequence[Doi], records: RecordSource, lookups: _Lookups
) -> Iterator[tuple[Doi, Work]]:
    """Each candidate DOI with its work, where it has one; the literal ones are looked up only when the caller gets to them."""
    for reading in read:
        if (work := lookups.work(reading)) is not None:
            yield reading, work
    for reading in literal_dois(citation):
        lookups.look_up(records, [reading])
        if (work := lookups.work(reading)) is not None:
            yield reading, work


def _by_doi_alone(citation: Citation, read: Sequence[Doi], records: RecordSource, lookups: _Lookups) -> Resolution:
    """Resolve a citation that is only a DOI: its record is accepted, but not a repaired DOI, which nothing can confirm."""
    stated = citation.stated_doi or citation.text
    works = dict(_candidate_works(citation, read, records, lookups))
    as_stated = [d for d in (dois.parse(stated), dois.literal(stated)) if d in works]
    if len({works[d].doi for d in as_stated}) > 1:
        both = " and ".join(as_stated)
        return Resolution(citation, "ambiguous", None, f"{both} are different works, and there is {NOTHING_TO_COMPARE}")
    if as_stated:
        accepted = _accepted(citation, as_stated[0], works[as_stated[0]], None)
        return replace(accepted, problem="; ".join(filter(None, (accepted.problem, NOTHING_TO_COMPARE))))
    if works:
        return Resolution(
            citation, "ambiguous", None, f"perhaps {next(iter(works))}, but there is {NOTHING_TO_COMPARE}"
        )
    if not read and not citation.stated_doi:
        return _without_doi(citation, records)
    return _without_record(citation, read, records, lookups)


def _accepted(citation: Citation, reading: Doi, work: Work, score: float | None) -> Resolution:
    stated = citation.stated_doi
    if stated is None or reading in (dois.parse(stated), dois.literal(stated)):
        moved = None if work.doi == reading else f"this DOI now leads to {work.doi}"
        return Resolution(citation, "resolved", work.doi, moved, score)
    problem = f"the list prints {stated}; the DOI of this work is {work.doi}"
    return Resolution(citation, "repaired", work.doi, problem, score, (CitationError("doi", stated, work.doi),))


def _with_errors(accepted: Resolution, errors: tuple[CitationError, ...]) -> Resolution:
    """The same resolution, saying what the citation prints wrongly."""
    if not errors:
        return accepted
    wrong = f"found with errors: it prints {', '.join(map(str, errors))}"
    problem = "; ".join(filter(None, ((accepted.problem or "").rstrip("."), wrong)))
    return replace(accepted, problem=problem, errors=(*accepted.errors, *errors))


def _by_text(citation: Citation, records: RecordSource, lookups: _Lookups) -> Resolution:
    choice = _choose(citation, records, lookups)
    if choice.status == "matched":
        return _with_errors(Resolution(citation, "matched", choice.doi, choice.sentence, choice.score), choice.errors)
    if choice.status == "ambiguous":
        return Resolution(citation, "ambiguous", None, choice.sentence, choice.score, candidates=choice.nearest)
    return replace(_without_doi(citation, records), candidates=choice.nearest)


def _without_doi(citation: Citation, records: RecordSource) -> Resolution:
    said = "no DOI is stated, and no record agrees with the text: a web page, a book or a report?"
    if not records.authoritative:
        said = "no DOI is stated, and no record in these files agrees with the text"
    return Resolution(citation, "no-doi", None, said)


def _without_record(citation: Citation, read: Sequence[Doi], records: RecordSource, lookups: _Lookups) -> Resolution:
    """Resolve a stated DOI without a record: another agency's, or a faulty one whose work the text may still find."""
    for reading in (*read, *literal_dois(citation)):
        if agency := records.agency(reading):
            return _at_another_agency(citation, reading, agency, records, lookups)
    stated = citation.stated_doi or read[0]
    choice = _choose(citation, records, lookups)
    short = bool(read) and dois.is_short(read[0])
    if not records.authoritative and not short:
        return _not_in_files(citation, stated, choice)
    if choice.doi:
        nowhere = "a short DOI, which only doi.org resolves" if short else "which leads nowhere"
        problem = f"the list prints {stated}, {nowhere}; {_BY_TEXT} {choice.doi}"
        return _repaired(citation, stated, choice, problem)
    if short:
        problem = f"{read[0]} is a short DOI, which only doi.org resolves; write the full DOI it leads to"
        status: CitationStatus = "not-found" if records.authoritative else "not-in-files"
        return Resolution(citation, status, None, problem, candidates=choice.nearest)
    problem = f"Crossref has no record of {stated}"
    return Resolution(citation, "not-found", None, problem, candidates=choice.nearest)


def _at_another_agency(
    citation: Citation, reading: Doi, agency: str, records: RecordSource, lookups: _Lookups
) -> Resolution:
    """Resolve a DOI that another agency registered by its record there, where that can be had."""
    said: Work | str = f"{reading} is registered with {agency}, which is not harvested here"
    if lookups.foreign is not None:
        said = lookups.foreign(agency, reading)
    if isinstance(said, str):
        return Resolution(citation, "not-in-crossref", None, said, agency=agency)
    lookups.works[said.doi] = said
    if _only_a_doi(citation):
        accepted = _accepted(citation, reading, said, None)
        return replace(accepted, problem=NOTHING_TO_COMPARE, agency=agency)
    compared = by_record(citation, reading, said)
    return replace(compared if compared.doi else _with_suggestion(compared, records, lookups), agency=agency)


def _repaired(citation: Citation, stated: str, choice: CitationMatch, problem: str) -> Resolution:
    """The work that the text leads to, where the DOI does not."""
    doi = choice.doi
    errors = (CitationError("doi", stated, doi),) if doi else ()
    return _with_errors(Resolution(citation, "repaired", doi, problem, choice.score, errors), choice.errors)


def _not_in_files(citation: Citation, stated: str, choice: CitationMatch) -> Resolution:
    """The files do not hold the stated DOI. They do not show whether it exists, so a valid one is never replaced."""
    if choice.doi is None:
        problem = f"{stated} is not in these files, which does not say whether it exists"
        return Resolution(citation, "not-in-files", None, problem, candidates=choice.nearest)
    if dois.parse(stated) is None:
        problem = f"the list prints {stated}, which is not a valid DOI; {_BY_TEXT} {choice.doi}"
        return _repaired(citation, stated, choice, problem)
    problem = f"{stated} is not in these files, which does not say whether it exists; the text fits {choice.doi}"
    return Resolution(citation, "not-in-files", None, problem, choice.score, candidates=choice.nearest)


def _with_suggestion(doubt: Resolution, records: RecordSource, lookups: _Lookups) -> Resolution:
    choice = _choose(doubt.citation, records, lookups)
    candidates = tuple(doi for doi in choice.nearest if doi != doubt.leads_to)
    if choice.doi is None:
        return replace(doubt, candidates=candidates)
    return replace(doubt, problem=f"{doubt.problem}; the text fits {choice.doi}", candidates=candidates)


def search_text(citation: Citation) -> str:
    """What is searched for: the text without links and identifiers."""
    return " ".join(_LINKS.sub(" ", citation.text).split()) or citation.text


def _choose(citation: Citation, records: RecordSource, lookups: _Lookups) -> CitationMatch:
    """The work that the text alone matches. Without a text no request is made."""
    if _only_a_doi(citation):
        return match_citation(citation.text, ())
    page = records.scan(Query((("bibliographic", search_text(citation)),), rows=CANDIDATES, for_citation=True))
    ranked = ((doi_of(m), score_of(m)) for m in page.items) if page.ranks is None else page.ranks
    scores: dict[Doi, float | None] = {doi: score for doi, score in ranked if doi}
    if page.ranks is None:  # the items carry the compared fields; only the accepted record is asked for whole
        lookups.keep_items(page.items)
    lookups.look_up(records, list(scores))
    works = [(work, score) for d, score in scores.items() if (work := lookups.work(d)) is not None]
    return match_citation(citation.text, works)
