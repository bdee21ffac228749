"""A reference list → one verdict per citation, none dropped.

A stated DOI is believed only when its record agrees with the citation's words; a repaired one likewise; a citation without
a DOI is looked up by its text and accepted only when `matching` says so. This module is handed its door and writes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from evidence import doi as dois
from evidence.config import ReferenceList
from evidence.errors import RecordError, RejectedError, UnreadError
from evidence.matching import Choice, agree, choose
from evidence.model import Citation, CitationStatus, Doi, Door, Found, Message, Query, Resolution, Work
from evidence.normalise import doi_of, normalise, references, score_of

ACCEPTED: frozenset[CitationStatus] = frozenset({"resolved", "repaired", "matched"})
"""The verdicts that carry a DOI."""

CANDIDATES = 20
"""Ranked records looked at for a citation without a DOI (Crossref advises few; its own matcher takes twenty)."""

PART = 100
"""Citations settled, and landed, at once."""

_LINKS = re.compile(r"(https?://\S+|\bdoi\s*:?\s*\S+|\bpmid\s*:?\s*\d+|\bpmc\d+|retrieved\b.*$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Settled:
    """Verdicts of part of a list, with the records of the accepted ones and the aliases met on the way. `unread` are records
    that were asked for and cannot be understood, each with the DOI that was asked."""

    resolutions: tuple[Resolution, ...]
    messages: tuple[Message, ...]
    unread: tuple[tuple[Doi, Message], ...]
    aliases: tuple[tuple[Doi, Doi], ...]


@dataclass(slots=True)
class _Answers:
    """What the door has said so far, by the DOI that was asked."""

    found: dict[Doi, Found] = field(default_factory=dict)
    unread: dict[Doi, Message] = field(default_factory=dict)

    def ask(self, door: Door, wanted: Sequence[Doi]) -> None:
        new = [d for d in dict.fromkeys(wanted) if d not in self.found]
        for batch in door.lookup(new):
            self.found.update({f.asked: f for f in batch})

    def work(self, doi: Doi) -> Work | None:
        found = self.found.get(doi)
        if found is None or found.message is None:
            return None
        try:
            return normalise(found.message)
        except RecordError:
            self.unread[doi] = found.message
            return None


def listed(source: ReferenceList, door: Door) -> tuple[Citation, ...]:
    """The citations of a list: as printed in sources.yaml, or as a publisher deposited them for the work `of`.

    RejectedError when that work has no record or deposited no list, UnreadError when its record cannot be understood.
    """
    if source.of is None:
        return source.citations
    found = next((f for batch in door.lookup([source.of]) for f in batch), None)
    if found is None or found.message is None:
        raise RejectedError(f"{source.of}: {door.name} has no record of this work, so its references are not known")
    try:
        deposited = references(found.message)
    except RecordError as error:
        text = f"{source.of}: its record cannot be understood ({error}), so its references are not known"
        raise UnreadError(text, found.message, found.place) from error
    if not deposited:
        raise RejectedError(f"{source.of}: no reference list was deposited for this work; list the citations yourself")
    return tuple(
        Citation(source.id, number, reference.text or reference.doi or "(no text deposited)", reference.doi)
        for number, reference in enumerate(deposited, start=1)
    )


def settle(
    citations: Sequence[Citation], door: Door, settled: Mapping[int, Resolution], *, deposited: bool = False
) -> Iterator[Settled]:
    """Verdicts for the citations, part by part. Accepted verdicts in `settled` (by position) with the same text and
    stated DOI stand without a new question. `deposited`: the DOIs were asserted by a publisher or Crossref, so a
    record that the text does not contradict is accepted."""
    for start in range(0, len(citations), PART):
        part = citations[start : start + PART]
        answers = _Answers()
        open_ones = [c for c in part if not _stands(c, settled.get(c.position))]
        read = {c.position: readings(c) for c in open_ones}
        answers.ask(door, [r[0] for r in read.values() if r])
        answers.ask(door, [d for r in read.values() if r and answers.work(r[0]) is None for d in r[1:]])
        fresh = {c.position: _verdict(c, read[c.position], door, answers, deposited) for c in open_ones}
        resolutions = tuple(fresh[c.position] if c.position in fresh else settled[c.position] for c in part)
        accepted = [r.doi for r in fresh.values() if r.doi]
        by_answer = {f.answered: f.message for f in answers.found.values() if f.message is not None}
        yield Settled(
            resolutions,
            tuple(by_answer[d] for d in dict.fromkeys(accepted)),
            tuple(answers.unread.items()),
            tuple((f.asked, f.answered) for f in answers.found.values() if f.answered and f.answered != f.asked),
        )


def _stands(citation: Citation, before: Resolution | None) -> bool:
    return before is not None and before.status in ACCEPTED and before.citation == citation


def readings(citation: Citation) -> tuple[Doi, ...]:
    """The DOIs a citation may mean, best first: of the string stated beside it, else those in its text."""
    if citation.stated_doi:
        return dois.candidates(citation.stated_doi)
    return dois.find(citation.text)


def _verdict(citation: Citation, read: Sequence[Doi], door: Door, answers: _Answers, deposited: bool) -> Resolution:
    doubts: list[Resolution] = []
    for reading in read:
        work = answers.work(reading)
        if work is None:
            continue
        agreement = agree(citation.text, work)
        # Most deposited entries print no title, so its absence alone speaks against none of them.
        if agreement.same or (deposited and not set(agreement.against) - {"title"}):
            return _accepted(citation, reading, work, agreement.score)
        status: CitationStatus = "mismatch" if agreement.other else "ambiguous"
        doubts.append(Resolution(citation, status, None, f"{reading}: {agreement.sentence}", agreement.score))
    if doubts:
        return _with_suggestion(doubts[0], door, answers)
    if not read and not citation.stated_doi:
        return _by_text(citation, door, answers)
    return _unknown(citation, read, door, answers)


def _accepted(citation: Citation, reading: Doi, work: Work, score: float) -> Resolution:
    stated = citation.stated_doi
    if stated is None or dois.parse(stated) == reading:
        moved = None if work.doi == reading else f"this DOI now leads to {work.doi}"
        return Resolution(citation, "resolved", work.doi, moved, score)
    return Resolution(
        citation, "repaired", work.doi, f"the list prints {stated}; the DOI of this work is {work.doi}", score
    )


def _by_text(citation: Citation, door: Door, answers: _Answers) -> Resolution:
    choice = _choose(citation, door, answers)
    if choice.status == "matched":
        return Resolution(citation, "matched", choice.doi, choice.sentence, choice.score)
    if choice.status == "ambiguous":
        return Resolution(citation, "ambiguous", None, choice.sentence, choice.score)
    return Resolution(
        citation,
        "no-doi",
        None,
        "no DOI is stated, and no record agrees with the text: a web page, a book or a report?",
    )


def _unknown(citation: Citation, read: Sequence[Doi], door: Door, answers: _Answers) -> Resolution:
    """A stated DOI without a record: another agency's, or a faulty one whose work the text may still find."""
    for reading in read:
        if agency := door.agency(reading):
            return Resolution(
                citation, "not-in-crossref", None, f"{reading} is registered with {agency}, which is not harvested here"
            )
    choice = _choose(citation, door, answers)
    if choice.status == "matched" and choice.doi:
        problem = f"the list prints {citation.stated_doi}, which leads nowhere; the text leads to {choice.doi}"
        return Resolution(citation, "repaired", choice.doi, problem, choice.score)
    if read and dois.is_short(read[0]):
        problem = f"{read[0]} is a short DOI, which only doi.org resolves; write the full DOI it leads to"
        return Resolution(citation, "not-found", None, problem)
    where = "Crossref" if door.name == "crossref" else f"the {door.name}"
    return Resolution(citation, "not-found", None, f"{where} has no record of {citation.stated_doi or read[0]}")


def _with_suggestion(doubt: Resolution, door: Door, answers: _Answers) -> Resolution:
    choice = _choose(doubt.citation, door, answers)
    if choice.status != "matched" or choice.doi is None:
        return doubt
    problem = f"{doubt.problem}; the text fits {choice.doi}"
    return Resolution(doubt.citation, doubt.status, None, problem, doubt.score)


def _choose(citation: Citation, door: Door, answers: _Answers) -> Choice:
    question = " ".join(_LINKS.sub(" ", citation.text).split())
    page = door.scan(Query((("bibliographic", question or citation.text),), rows=CANDIDATES))
    scores: dict[Doi, float | None] = {}
    for message in page.items:
        if reading := doi_of(message):
            scores[reading] = score_of(message)
    answers.ask(door, list(scores))
    works = [(work, score) for d, score in scores.items() if (work := answers.work(d)) is not None]
    return choose(citation.text, works)
