"""Given references → one verdict each: is it real, is it right, and was it retracted?

Each reference is resolved like a citation of a reference list (`reference_lists.py`), and the record of the work is compared
with it field by field. What could not be asked is never counted as found or as not found. This module needs no database and
writes none; the record source may keep Crossref's answers in a cache.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from evidence.crossref import client
from evidence.crossref.answer_cache import CachedRecords
from evidence.crossref.normalise import normalise
from evidence.crossref.records_from_files import RecordFiles
from evidence.data_model import Citation, CitationError, Doi, Message, Notice, RecordSource, Resolution, Work
from evidence.errors import NoReferenceListError, RecordError, SourceError
from evidence.harvest import reference_lists
from evidence.harvest.foreign_dois import ForeignDois
from evidence.harvest.progress import NoProgress, Progress
from evidence.harvest.sources import ReferenceList
from evidence.linkage.retraction_notices import (
    GRAVITY,
    REINSTATEMENT,
    Facts,
    RecordGroup,
    ShownNotice,
    Statement,
    notices_of_works,
)
from evidence.providers import retraction_watch as watch
from evidence.providers.datacite import DataCiteClient
from evidence.references.given_reference import GivenReference

log = logging.getLogger(__name__)

ReferenceVerdict = Literal["found", "found-with-errors", "retracted", "other-work", "nothing-agrees", "could-not-ask"]
"""`retracted` is a work with a notice that readers must know: a retraction, a correction or an expression of concern."""

SOURCE = "given references"
"""The name of the list while it is resolved. It is not stored."""


@dataclass(frozen=True, slots=True)
class CheckedReference:
    """The verdict on one reference. `work` is the found one, with `errors` and `notices`; `leads_to` is the work of the stated
    DOI where that is another one; `candidates` are the works that the text may mean, best first; `reason` is a sentence;
    `asked_at` is when the oldest answer used was given, None where all were given now."""

    given: GivenReference
    verdict: ReferenceVerdict
    reason: str
    work: Work | None = None
    errors: tuple[CitationError, ...] = ()
    notices: tuple[ShownNotice, ...] = ()
    leads_to: Work | None = None
    candidates: tuple[Work, ...] = ()
    asked_at: str | None = None


def citations(given: Iterable[GivenReference]) -> tuple[Citation, ...]:
    """The references in the form that `reference_lists` resolves. Positions count anew: several files may be checked at once."""
    return tuple(
        Citation(SOURCE, position, g.text or g.doi or reference_lists.NO_TEXT, g.doi)
        for position, g in enumerate(given, start=1)
    )


def check(
    given: Sequence[GivenReference],
    records: RecordSource,
    progress: Progress | None = None,
    known_notices: Callable[[Doi], Sequence[Notice]] = lambda _: (),
    foreign: reference_lists.Foreign | None = None,
) -> Iterator[CheckedReference]:
    """The verdicts, in order. `known_notices` are notices that others than the record source state on a work; `foreign` is asked
    for the DOIs of other agencies than Crossref."""
    bar = progress or NoProgress()
    done = 0
    for start in range(0, len(given), reference_lists.PART):
        part = given[start : start + reference_lists.PART]
        for one in _checked(part, records, known_notices, foreign):
            done += 1
            bar.step("references", done, len(given))
            yield one


def run(
    given: Sequence[GivenReference] | None,
    of: Doi | None = None,
    *,
    files: Sequence[Path] = (),
    url: str | None = None,
    mailto: str | None = None,
    datacite_url: str | None = None,
    retraction_watch: Path | None = None,
    cache: Path | None = None,
    fresh: bool = False,
    progress: Progress | None = None,
    sleep: Callable[[float], None] = time.sleep,
    tries: int = 5,
) -> tuple[CheckedReference, ...]:
    """The verdicts on these references, or on the list deposited for the work `of`, from Crossref and, for its DOIs, DataCite; or
    from record files, and then nobody is asked.

    `cache` remembers their answers for a week; with `fresh` it is not asked, only filled. `tries` is how often a request
    that fails is sent.

    ConfigError when a file cannot be read, NoReferenceListError when the list of `of` cannot be had.
    """
    with ExitStack() as stack:
        others = _RetractionWatch(retraction_watch) if retraction_watch else None
        foreign: ForeignDois | None = None
        if files:
            wanted = set(possible_dois(given)) if given else {of} if of else set()
            texts = [citation.text for citation in citations(given or ())]
            records: RecordSource = stack.enter_context(RecordFiles(files, dois=wanted, citations=texts))
        else:
            records = stack.enter_context(
                client.CrossrefClient(url, mailto, sleep=sleep, tries=tries, on_wait=log.info)
            )
            if cache is not None:
                records = stack.enter_context(CachedRecords(records, cache, url or "crossref", fresh=fresh))
            asked = DataCiteClient(datacite_url, mailto, sleep=sleep, tries=tries, on_wait=log.info)
            foreign = ForeignDois(stack.enter_context(asked), records if isinstance(records, CachedRecords) else None)
        if given is None and of is not None:
            given = _deposited(of, records)
            if isinstance(records, RecordFiles):
                records.keep_also(possible_dois(given), [citation.text for citation in citations(given)])
        return tuple(check(given or (), records, progress, others or (lambda _: ()), foreign))


def possible_dois(given: Iterable[GivenReference]) -> set[Doi]:
    """Every DOI that may be looked up for these references, but for those that a search finds."""
    return {doi for citation in citations(given) for doi in reference_lists.possible_dois(citation)}


def _deposited(of: Doi, records: RecordSource) -> tuple[GivenReference, ...]:
    try:
        listed = reference_lists.citations_of(ReferenceList(SOURCE, SOURCE, (), of), records)
    except SourceError as error:
        raise NoReferenceListError(str(error)) from error
    return tuple(GivenReference(c.position, c.text, c.stated_doi) for c in listed)


class _RetractionWatch:
    """The notices that the CSV of Retraction Watch has on a work."""

    def __init__(self, path: Path) -> None:
        self._file = watch.read_file(path)

    def __call__(self, doi: Doi) -> Sequence[Notice]:
        return [n for entry in self._file.about(doi, ()) for n in watch.describe(f"[{entry.record}]").notices]


def _checked(
    part: Sequence[GivenReference],
    records: RecordSource,
    known_notices: Callable[[Doi], Sequence[Notice]],
    foreign: reference_lists.Foreign | None,
) -> Iterator[CheckedReference]:
    """One part in few requests. Where that fails, each reference by itself, so that one failure costs one verdict."""
    try:
        resolved = _resolved(part, records, foreign)
    except SourceError as error:
        if len(part) == 1:
            yield CheckedReference(part[0], "could-not-ask", str(error))
            return
        log.info("%s; each of these %d references is asked about by itself", error, len(part))
        for one in part:
            yield from _checked([one], records, known_notices, foreign)
        return
    for reference, (resolution, works, is_unread) in zip(part, resolved, strict=True):
        if is_unread:
            verdict = CheckedReference(reference, "could-not-ask", "the record of this DOI cannot be read")
        else:
            verdict = verdict_on(
                reference, resolution, works, lambda work: _shown_notices(work, known_notices(work.doi))
            )
        yield replace(verdict, asked_at=_asked_at(resolution, records))


def _asked_at(resolution: Resolution, records: RecordSource) -> str | None:
    """When the oldest answer used was given; None where all were given now."""
    if not isinstance(records, CachedRecords):
        return None
    citation = resolution.citation
    used = (*reference_lists.possible_dois(citation), resolution.doi, reference_lists.search_text(citation))
    return min((at for key in used if key and (at := records.answered_at.get(key))), default=None)


def _resolved(
    part: Sequence[GivenReference], records: RecordSource, foreign: reference_lists.Foreign | None
) -> list[tuple[Resolution, Mapping[Doi, Work], bool]]:
    """Each resolution, the works that it may name, and whether the record of its DOI cannot be read."""
    found: list[tuple[Resolution, Mapping[Doi, Work], bool]] = []
    for resolved in reference_lists.resolve(citations(part), records, {}, foreign=foreign):
        works = {work.doi: work for work in resolved.works} | _works(resolved.messages)
        unread = {doi for doi, _ in resolved.unread}
        for resolution in resolved.resolutions:
            may_be = reference_lists.possible_dois(resolution.citation)
            found.append((resolution, works, resolution.doi is None and not unread.isdisjoint(may_be)))
    return found


def _works(messages: Iterable[Message]) -> dict[Doi, Work]:
    works = {}
    for message in messages:
        try:
            work = normalise(message)
        except RecordError:
            continue  # it is among the unread ones of the part
        works[work.doi] = work
    return works


def verdict_on(
    given: GivenReference,
    resolution: Resolution,
    works: Mapping[Doi, Work],
    notices_of: Callable[[Work], Sequence[ShownNotice]],
) -> CheckedReference:
    """The verdict on a reference that was resolved. `works` are those that the resolution names; `notices_of` has the notices
    that a work shows."""
    candidates = tuple(works[doi] for doi in resolution.candidates if doi in works)
    reason = resolution.problem or "Every field that is printed agrees with the record."
    if resolution.doi is not None:
        work = works.get(resolution.doi) or Work(resolution.doi)
        notices = _in_force(notices_of(work))
        verdict: ReferenceVerdict = "found-with-errors" if resolution.errors else "found"
        return CheckedReference(
            given, "retracted" if notices else verdict, reason, work, resolution.errors, notices, candidates=candidates
        )
    if resolution.status == "not-in-crossref":
        return CheckedReference(given, "could-not-ask", reason, candidates=candidates)
    leads_to = works.get(resolution.leads_to) if resolution.leads_to else None
    if resolution.leads_to:
        return CheckedReference(given, "other-work", reason, leads_to=leads_to, candidates=candidates)
    return CheckedReference(given, "nothing-agrees", reason, candidates=candidates)


def _in_force(shown: Iterable[ShownNotice]) -> tuple[ShownNotice, ...]:
    """The notices that a reader must know, gravest first. One that a later reinstatement revoked is not among them."""
    kept = (n for n in shown if n.kind in GRAVITY and n.kind != REINSTATEMENT and not n.undone)
    return tuple(sorted(kept, key=lambda notice: (GRAVITY.index(notice.kind), notice.issued or "")))


def _shown_notices(work: Work, stated_by_others: Iterable[Notice]) -> Sequence[ShownNotice]:
    """The notices that a work shows by its own record and by what others state."""
    statements = [
        Statement(work.doi, work.doi, n.kind, n.notice_doi or work.doi, n.issued, n.source, n.evidence, n.notice_id)
        for n in (*work.notices, *stated_by_others)
    ]
    facts = Facts(work.doi, work.title, work.kind, work.issued)
    return notices_of_works(RecordGroup({work.doi: facts}, statements, {}, ())).get(work.doi, ())
