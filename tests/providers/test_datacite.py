"""DataCite: its records read, recorded and made up."""

from __future__ import annotations

import json
from typing import Any

import pytest

from evidence.data_model import Author, Fact
from evidence.errors import RecordError
from evidence.providers.answers import Described, Wanted
from evidence.providers.datacite import DataCiteClient, describe, work
from tests.data import PROVIDERS, recorded
from tests.provider_loopback import ProviderLoopback
from tests.providers.asking import answers

ABOUT = {
    "doi": "10.5555/OSF.IO/AB12",
    "titles": [
        {"title": "Ein Protokoll", "titleType": "TranslatedTitle"},
        {"title": "A protocol of <i>talking</i>"},
    ],
    "types": {"resourceTypeGeneral": "Preprint", "bibtex": "article"},
    "container": {"title": "A series of protocols"},
    "dates": [{"date": "2020-01", "dateType": "Created"}, {"date": "2021-03-04/2021-05-01", "dateType": "Issued"}],
    "published": "2022",
    "publicationYear": 2023,
    "descriptions": [
        {"description": "How it was done.", "descriptionType": "Methods"},
        {"description": "<p>We will ask.</p>", "descriptionType": "Abstract"},
    ],
    "rightsList": [
        {"rights": "Open Access", "rightsUri": "info:eu-repo/semantics/openAccess"},
        {"rights": "Attribution 4.0", "rightsIdentifier": "CC-BY-4.0"},
        {"rightsUri": "https://example.org/terms"},
        {"rights": "Attribution 4.0", "rightsIdentifier": "cc-by-4.0"},
    ],
}


def read(**changed: Any) -> Described:
    return describe(json.dumps({"data": {"id": "10.5555/osf.io/ab12", "attributes": ABOUT | changed}}))


def test_a_record_is_read() -> None:
    assert read() == Described(
        "datacite",
        record_id="10.5555/osf.io/ab12",
        doi="10.5555/osf.io/ab12",
        title="A protocol of talking",
        abstract="We will ask.",
        preprint=True,
        kind="Preprint",
        container="A series of protocols",
        published="2021-03-04",
        facts=(Fact("licence", "cc-by-4.0", "datacite"), Fact("licence", "https://example.org/terms", "datacite")),
    )


@pytest.mark.parametrize(
    ("changed", "published"),
    [
        ({"dates": [{"date": "2021-02-30", "dateType": "Issued"}]}, "2022"),
        ({"dates": [{"date": "2021-02-03T10:00:00Z", "dateType": "Available"}]}, "2021-02-03"),
        ({"dates": None, "published": None}, "2023"),
        ({"dates": [None, {}], "published": "soon", "publicationYear": None}, None),
        ({"dates": [{"date": 2021, "dateType": "Issued"}], "published": "2019-07"}, "2019-07"),
        ({"dates": [], "published": "20191", "publicationYear": "2018"}, "2018"),
    ],
)
def test_the_date_of_publication(changed: dict[str, Any], published: str | None) -> None:
    assert read(**changed).published == published


@pytest.mark.parametrize(
    "odd", [None, [], {}, 7, "text", [None], [[1]], [{"title": None, "description": 5}], {"title": []}]
)
def test_odd_fields_say_nothing(odd: Any) -> None:
    """A record whose other fields have any shape keeps its DOI, so that it is not taken for another work's."""
    found = read(titles=odd, types=odd, container=odd, dates=odd, descriptions=odd, rightsList=odd, published=odd)
    assert (found.doi, found.title, found.abstract, found.kind, found.container, found.facts) == (
        "10.5555/osf.io/ab12",
        *(None,) * 4,
        (),
    )


def test_kinds_without_a_general_type() -> None:
    found = read(types={"bibtex": "phdthesis"})
    assert (found.kind, found.preprint) == ("phdthesis", False)


@pytest.mark.parametrize(
    "text", ["", "null", "{}", '{"data": []}', '{"data": {"id": "10.5555/a"}}', '{"data": {"attributes": 5}}']
)
def test_what_is_no_record_is_said(text: str) -> None:
    with pytest.raises(RecordError, match="the record is"):
        describe(text)


def test_a_subject_without_a_title_is_compared_by_doi_only() -> None:
    record = {"data": {"id": "10.5555/a", "attributes": ABOUT | {"doi": "10.5555/A"}}}
    with (
        ProviderLoopback({"/dois/10.5555/a": record}) as server,
        DataCiteClient(server.url, sleep=lambda _: None) as client,
    ):
        assert answers(client, ["10.5555/a"])["10.5555/a"].state == "found"
        other = answers(client, [Wanted("10.5555/a", "Soil temperature in northern peatlands")])["10.5555/a"]
        assert other.state == "refused"
        assert {request.path for request in server.requests} == {"/dois/10.5555%2Fa"}


def test_recorded_records_are_read() -> None:
    if not PROVIDERS.is_dir():
        pytest.skip("the recorded answers are not here")
    found = {one.doi: one for _, body in recorded("datacite", "api.datacite.org") for one in [describe(body)]}
    assert set(found) == {
        "10.5061/dryad.8515",
        "10.4230/lipics.tqc.2013.93",
        "10.6084/m9.figshare.1449060",
        "10.5281/zenodo.48440",
    }
    paper = found["10.4230/lipics.tqc.2013.93"]
    assert (paper.title, paper.kind) == ("The Minimum Size of Qubit Unextendible Product Bases", "ConferencePaper")
    assert (paper.container, paper.published) == ("LIPIcs, Volume 22, TQC 2013", "2013")
    assert [fact.value for fact in paper.facts] == ["cc by 3.0"]
    assert all(one.title and one.published and one.kind for one in found.values())
    assert paper.abstract


def test_a_record_as_a_work_that_citations_are_compared_with() -> None:
    creators = [
        {"name": "Miller, Ann", "nameType": "Personal", "familyName": "Miller", "givenName": "Ann"},
        {"name": "Brown, Bob"},
        {"name": "Group, Sleep and Grief", "nameType": "Organizational"},
        {"name": "World Health Organization"},
        {},
    ]
    container = {"title": "A series", "volume": "3", "issue": "2", "firstPage": "10", "lastPage": "19"}
    more = {"creators": creators, "container": container, "publisher": {"name": "A publisher"}}
    made = work(json.dumps({"data": {"id": "x", "attributes": ABOUT | more}}))
    assert (made.doi, made.title) == ("10.5555/osf.io/ab12", "A protocol of talking")
    assert (made.container, made.volume, made.issue, made.pages) == ("A series", "3", "2", "10-19")
    assert (made.year, made.published_online) == (2023, "2021-03-04")
    assert made.authors == (
        Author(family="Miller", given="Ann"),
        Author(family="Brown", given="Bob"),
        Author(name="Group, Sleep and Grief"),
        Author(name="World Health Organization"),
    )
    for publisher in ({"name": "Zenodo"}, "Zenodo"):
        bare = work(json.dumps({"data": {"attributes": {"doi": "10.5555/a", "publisher": publisher}}}))
        assert (bare.container, bare.year, bare.authors) == ("Zenodo", None, ())
    with pytest.raises(RecordError, match="states no DOI"):
        work(json.dumps({"data": {"attributes": {}}}))
