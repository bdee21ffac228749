"""ClinicalTrials.gov: registrations read, recorded and made up, and numbers that lead to others."""

from __future__ import annotations

import json
from typing import Any

import pytest

from evidence.data_model import Fact, Identifier
from evidence.errors import RecordError
from evidence.providers.answers import Answer, Described, Registration, Wanted
from evidence.providers.clinicaltrials import MAX_OUTCOMES, MODULES, ClinicalTrialsClient, describe
from tests.data import PROVIDERS
from tests.loopback_server import Reply
from tests.provider_loopback import ProviderLoopback
from tests.providers.asking import answers

STUDY: dict[str, Any] = {
    "identificationModule": {
        "nctId": "NCT01234567",
        "briefTitle": "Talking",
        "officialTitle": "Talking, Compared With  Waiting",
    },
    "statusModule": {
        "overallStatus": "COMPLETED",
        "startDateStruct": {"date": "2016-07"},
        "completionDateStruct": {"date": "2019-12-20", "type": "ACTUAL"},
    },
    "sponsorCollaboratorsModule": {
        "leadSponsor": {"name": "A University"},
        "collaborators": [{"name": "A Ministry"}, {"name": "A University"}, {}],
    },
    "designModule": {"enrollmentInfo": {"count": 120}},
    "outcomesModule": {
        "primaryOutcomes": [{"measure": "Depressive symptoms", "timeFrame": "12 weeks"}, {"timeFrame": "1 year"}],
        "secondaryOutcomes": [{"measure": "Functioning"}, {"measure": "Functioning"}, {"measure": "Drop-out"}],
    },
    "contactsLocationsModule": {
        "locations": [{"country": "Uganda"}, {"country": "Turkey"}, {"city": "Kampala", "country": "Uganda"}, {}],
    },
    "referencesModule": {
        "references": [
            {"pmid": "111", "type": "BACKGROUND"},
            {"pmid": "222", "type": "RESULT"},
            {"pmid": "333", "type": "DERIVED"},
            {"pmid": 444, "type": "RESULT"},
            {"pmid": "222", "type": "RESULT"},
            {"pmid": "soon", "type": "RESULT"},
            {"type": "RESULT", "citation": "A report without a number."},
        ]
    },
}


def read(**changed: Any) -> Described:
    return describe(json.dumps({"protocolSection": STUDY | changed}))


def test_a_registration_is_read() -> None:
    assert read() == Described(
        "clinicaltrials",
        record_id="NCT01234567",
        title="Talking, Compared With Waiting",
        identifiers=(Identifier("registration", "NCT01234567", "clinicaltrials"),),
        facts=(
            Fact("funder", "A University", "clinicaltrials"),
            Fact("funder", "A Ministry", "clinicaltrials"),
            Fact("country", "Uganda", "clinicaltrials"),
            Fact("country", "Türkiye", "clinicaltrials"),
        ),
        registration=Registration(
            "NCT01234567",
            "Talking, Compared With Waiting",
            "COMPLETED",
            120,
            "2016-07",
            "2019-12-20",
            ("Depressive symptoms",),
            ("Functioning", "Drop-out"),
            ("222", "444"),
        ),
    )


def test_without_an_official_title_the_brief_one_is_taken() -> None:
    assert read(identificationModule={"nctId": "NCT01234567", "briefTitle": "Talking"}).title == "Talking"


@pytest.mark.parametrize("count", [None, "120", True, -1, 1.5, 2**40])
def test_an_enrolment_that_is_no_count(count: Any) -> None:
    registration = read(designModule={"enrollmentInfo": {"count": count}}).registration
    assert registration is not None
    assert registration.enrolment is None


@pytest.mark.parametrize(
    "odd", [None, [], {}, 7, "text", [None], {"references": {"pmid": "1"}, "primaryOutcomes": [[]]}]
)
def test_odd_modules_say_nothing(odd: Any) -> None:
    found = describe(
        json.dumps({"protocolSection": dict.fromkeys(STUDY, odd) | {"identificationModule": {"nctId": "NCT01234567"}}})
    )
    assert found.registration == Registration("NCT01234567", None, None, None, None, None)
    assert found.facts == ()


def test_a_registration_of_any_length_is_cut() -> None:
    outcomes = {"primaryOutcomes": [{"measure": f"Measure {number}"} for number in range(MAX_OUTCOMES + 5)]}
    registration = read(outcomesModule=outcomes).registration
    assert registration is not None
    assert len(registration.primary_outcomes) == MAX_OUTCOMES


@pytest.mark.parametrize(
    "text",
    ["", "null", "{}", '{"protocolSection": {"identificationModule": {"nctId": "NCT1"}}}', '{"protocolSection": 5}'],
)
def test_what_is_no_study_is_said(text: str) -> None:
    with pytest.raises(RecordError, match="the record is"):
        describe(text)


@pytest.mark.parametrize("subject", ["ISRCTN12345678", "NCT1234567", "nct01234567", "NCT01234567 ", "NCT٠١٢٣٤٥٦٧", ""])
def test_other_numbers_are_the_callers_mistake(subject: str) -> None:
    with ProviderLoopback() as server, ClinicalTrialsClient(server.url) as client:
        with pytest.raises(ValueError, match="is no number of ClinicalTrials"):
            client.ask([Wanted("NCT01234567"), Wanted(subject)])
        assert client.requests == 0


def test_an_obsolete_number_is_refused_with_the_number_it_leads_to() -> None:
    moved = Reply(301, b"", "", {"Location": "/api/v2/studies/NCT00010647?format=json"})
    with ProviderLoopback({"/api/v2/studies/NCT00009113": moved}) as server, ClinicalTrialsClient(server.url) as client:
        answer = answers(client, ["NCT00009113"])["NCT00009113"]
        assert client.requests == 1
    problem = "NCT00009113 is an obsolete number; ClinicalTrials.gov leads it to NCT00010647"
    assert answer == Answer("NCT00009113", "refused", problem=problem)


def test_results_are_not_asked_for() -> None:
    with ProviderLoopback() as server, ClinicalTrialsClient(server.url) as client:
        assert answers(client, ["NCT01234567"])["NCT01234567"].state == "none"
        assert server.requests[0].params == {"format": "json", "fields": ",".join(MODULES)}


def test_recorded_studies_are_read() -> None:
    if not PROVIDERS.is_dir():
        pytest.skip("the recorded answers are not here")
    studies: list[Any] = []
    for path in sorted((PROVIDERS / "clinicaltrials").glob("*.json")):
        answer = json.loads(path.read_text())
        studies += answer.get("studies", [answer])
    registrations = {}
    for study in studies:
        found = describe(json.dumps(study))
        assert found.title
        assert found.registration is not None
        registrations[found.record_id] = found.registration
    old = registrations["NCT02576665"]
    assert (old.status, old.enrolment, old.started, old.completed) == ("TERMINATED", 21, "2016-07", "2019-12-20")
    assert len(registrations) > 10
