"""ClinicalTrials.gov: asks for registrations of trials by their numbers (`NCT…`), and reads them.

The publications that a registration lists are of three types. Only those that its sponsor calls results are taken: the type
DERIVED is found by matching numbers in PubMed, and is a guess.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from evidence.data_model import Identifier, ProviderName
from evidence.errors import RecordError
from evidence.http.transport import Service
from evidence.providers import medline
from evidence.providers.answers import Batch, Described, Registration, Wanted
from evidence.providers.countries import country_name
from evidence.providers.record_values import at, facts, iso_date, line, objects, read_object
from evidence.providers.single_records import SingleRecordClient

SERVICE: Final = Service(
    "ClinicalTrials.gov",
    "https://clinicaltrials.gov",
    # About fifty requests a minute are known to be tolerated from one address.
    intervals={"study": 1.2},
    absent_routes=frozenset({"study"}),
    redirect_routes=frozenset({"study"}),
)

MODULES: Final = (
    "IdentificationModule", "StatusModule", "SponsorCollaboratorsModule", "DesignModule", "OutcomesModule",
    "ContactsLocationsModule", "ReferencesModule",
)  # fmt: skip
"""The parts of a registration that are requested. The results of a study may take some megabytes."""

MAX_OUTCOMES: Final = 200
"""Outcomes of one rank, or results, that are taken from a registration."""

_NUMBER = re.compile(r"NCT\d{8}", re.ASCII)


class ClinicalTrialsClient(SingleRecordClient):
    """See `SingleRecordClient`; subjects are registration numbers. `mailto` is sent in the User-Agent only."""

    name: ProviderName = "clinicaltrials"
    service = SERVICE
    route = "study"
    params = (("format", "json"), ("fields", ",".join(MODULES)))

    def ask(self, wanted: Sequence[Wanted]) -> Iterator[Batch]:
        """As `SingleRecordClient.ask`. ValueError, before anything is asked, for a subject that is not `NCT` and eight digits:
        whoever asks chooses the numbers of this registry."""
        for one in wanted:
            if not _NUMBER.fullmatch(one.subject):
                raise ValueError(f"{one.subject!r} is no number of ClinicalTrials.gov")
        return super().ask(wanted)

    def path(self, subject: str) -> str:
        """`/api/v2/studies/NCT…`."""
        return f"/api/v2/studies/{subject}"

    def describe(self, text: str) -> Described:
        """See `describe`."""
        return describe(text)

    def problem(self, wanted: Wanted, described: Described) -> str | None:
        """The number equal, or the reason."""
        if described.record_id == wanted.subject:
            return None
        return f"the record is about another study ({described.record_id} instead of {wanted.subject})"

    def moved(self, wanted: Wanted, location: str) -> str:
        """An obsolete number is redirected to the study that it was merged into."""
        other = _NUMBER.search(location)
        return (
            f"{wanted.subject} is an obsolete number; ClinicalTrials.gov leads it to {other[0] if other else location}"
        )


def describe(text: str) -> Described:
    """What a registration says. RecordError for what is no study: it needs a number."""
    study = read_object(text).get("protocolSection")
    number = line(at(study, "identificationModule", "nctId"))
    if number is None or not _NUMBER.fullmatch(number):
        raise RecordError("the record is no study of ClinicalTrials.gov: it has no number")
    names, status, outcomes = (at(study, f"{module}Module") for module in ("identification", "status", "outcomes"))
    title = line(at(names, "officialTitle")) or line(at(names, "briefTitle"))
    count = at(study, "designModule", "enrollmentInfo", "count")
    sponsors = at(study, "sponsorCollaboratorsModule")
    backers = [at(sponsors, "leadSponsor"), *objects(at(sponsors, "collaborators"))]
    places = objects(at(study, "contactsLocationsModule", "locations"))
    return Described(
        "clinicaltrials",
        record_id=number,
        title=title,
        identifiers=(Identifier("registration", number, "clinicaltrials"),),
        facts=(
            *facts("funder", "clinicaltrials", (line(at(backer, "name")) for backer in backers)),
            *facts("country", "clinicaltrials", (country_name(line(place.get("country"))) for place in places)),
        ),
        registration=Registration(
            number,
            title,
            line(at(status, "overallStatus")),
            count if type(count) is int and 0 <= count < 2**31 else None,
            iso_date(at(status, "startDateStruct", "date")),
            iso_date(at(status, "completionDateStruct", "date")),
            _measures(at(outcomes, "primaryOutcomes")),
            _measures(at(outcomes, "secondaryOutcomes")),
            _results(at(study, "referencesModule", "references")),
        ),
    )


def _measures(outcomes: Any) -> tuple[str, ...]:
    """The measures of outcomes, each once."""
    found = dict.fromkeys(measure for one in objects(outcomes) if (measure := line(one.get("measure"))))
    return tuple(found)[:MAX_OUTCOMES]


def _results(references: Any) -> tuple[str, ...]:
    """The PubMed identifiers of the publications that are given as results."""
    stated = (str(one.get("pmid")).strip() for one in objects(references) if one.get("type") == "RESULT")
    return tuple(dict.fromkeys(pmid for pmid in stated if medline.pmid(pmid)))[:MAX_OUTCOMES]
