"""The verdicts of `check_references` on a reference list that is in the database, without asking anybody.

A citation that was accepted is compared with the stored work as today's program compares; of the others the result of the last
sync is told in the same words. It writes nothing, so until the next sync it may know more than the status of a citation.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import replace

from evidence.data_model import Doi, Resolution, Work
from evidence.database import read_citations, read_queries
from evidence.harvest import reference_lists
from evidence.harvest.check_references import CheckedReference, verdict_on
from evidence.references.given_reference import GivenReference


def of_list(conn: sqlite3.Connection, source: str) -> tuple[CheckedReference, ...]:
    """The verdict on each citation of a list, in order."""
    works = read_citations.cited_works(conn, source)
    notices = read_citations.notices_by_work(conn, [work.doi for work in works.values()])
    elsewhere = read_citations.works_at_datacite(conn, source)
    deposited = read_citations.follows_a_deposited_list(conn, source)
    checked = []
    for before in read_queries.current_resolutions(conn, source):
        citation = before.citation
        now = _compared(before, works, elsewhere, deposited)
        given = GivenReference(citation.position, citation.text, citation.stated_doi)
        checked.append(verdict_on(given, now, {**elsewhere, **works}, lambda work: notices.get(work.doi, ())))
    return tuple(checked)


def _compared(
    before: Resolution, works: Mapping[Doi, Work], elsewhere: Mapping[Doi, Work], deposited: bool
) -> Resolution:
    """The result of a citation, with its errors and with the DOI of the other work to which its own leads."""
    citation = before.citation
    if before.doi is not None:
        work = works.get(before.doi)
        again = before if work is None else reference_lists.compared_again(before, work, deposited)
        if again is not None:
            return again
        problem = f"the record of {before.doi} does not agree any more; the next sync looks for the work anew"
        led = before.doi if citation.stated_doi else None
        return replace(before, status="ambiguous", doi=None, problem=problem, leads_to=led, candidates=(before.doi,))
    read = reference_lists.possible_dois(citation)
    if before.status == "not-in-crossref" and (known := next((doi for doi in read if doi in elsewhere), None)):
        now = reference_lists.by_record(citation, known, elsewhere[known])
        return before if now.status == "ambiguous" else now
    led = next((doi for doi in read if (before.problem or "").startswith(f"{doi}: ")), None)
    return replace(before, leads_to=led)
