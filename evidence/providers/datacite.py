"""DataCite: asks for DOIs that are not Crossref's (preprints and protocols at OSF, theses, data), and reads their records."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from evidence import doi as dois
from evidence.data_model import Author, Doi, ProviderName, Work
from evidence.errors import RecordError
from evidence.http.transport import Service
from evidence.plain_text import plain_text
from evidence.providers.agreement import why_not_about
from evidence.providers.answers import Described, Wanted
from evidence.providers.record_values import at, facts, iso_date, line, objects, read_object
from evidence.providers.single_records import SingleRecordClient

SERVICE: Final = Service(
    "DataCite",
    "https://api.datacite.org",
    # 500 requests in five minutes are allowed from one address, more for those who say who they are.
    intervals={"doi": 0.65},
    absent_routes=frozenset({"doi"}),
)


class DataCiteClient(SingleRecordClient):
    """See `SingleRecordClient`. `mailto` is sent in the User-Agent only."""

    name: ProviderName = "datacite"
    service = SERVICE
    route = "doi"

    def path(self, subject: str) -> str:
        """`/dois/…`."""
        return f"/dois/{quote(subject, safe='', errors='replace')}"

    def describe(self, text: str) -> Described:
        """See `describe`."""
        return describe(text)

    def problem(self, wanted: Wanted, described: Described) -> str | None:
        """DOI equal and, where the subject has a title, title agreeing; or the reason."""
        return why_not_about(wanted, described.doi, described.title)


def describe(text: str) -> Described:
    """What a record of DataCite says. RecordError for what is no record of a DOI."""
    data = read_object(text).get("data")
    about = at(data, "attributes")
    if not isinstance(about, dict):
        raise RecordError("the record is no DOI of DataCite: it has no attributes")
    doi = line(about.get("doi")) or line(at(data, "id"))
    kind = line(at(about, "types", "resourceTypeGeneral"))
    return Described(
        "datacite",
        record_id=line(at(data, "id")),
        doi=dois.literal(doi) if doi else None,
        title=_title(about.get("titles")),
        abstract=_abstract(about.get("descriptions")),
        preprint=kind == "Preprint",
        kind=kind or line(at(about, "types", "bibtex")),
        container=line(at(about, "container", "title")),
        published=_published(about),
        facts=facts("licence", "datacite", map(_licence, objects(about.get("rightsList")))),
    )


def work(text: str) -> Work:
    """The record as a work, with what a citation of it is compared with; where nothing contains it, its publisher counts as its
    container (`Zenodo`, `arXiv`). RecordError for what is no record of a DOI."""
    described = describe(text)
    if described.doi is None:
        raise RecordError("the record of DataCite states no DOI")
    about = at(read_object(text).get("data"), "attributes")
    publisher = about.get("publisher")
    first, last = (line(at(about, "container", name)) for name in ("firstPage", "lastPage"))
    year = iso_date(str(about.get("publicationYear"))) or described.published
    return Work(
        Doi(described.doi),
        title=described.title,
        container=described.container or line(publisher) or line(at(publisher, "name")),
        issued=described.published or year,
        year=int(year[:4]) if year else None,
        published_online=described.published,
        volume=line(at(about, "container", "volume")),
        issue=line(at(about, "container", "issue")),
        pages="-".join(filter(None, (first, last))) or None,
        authors=tuple(author for one in objects(about.get("creators")) if (author := _author(one))),
    )


def _author(creator: dict[str, Any]) -> Author | None:
    """A creator: with a family name; else one stated as `Family, Given`, where it is a person; else a group."""
    name, family, given = (line(creator.get(key)) for key in ("name", "familyName", "givenName"))
    if family:
        return Author(family=family, given=given)
    if name is None:
        return None
    family, comma, given = name.partition(",")
    if comma and creator.get("nameType") != "Organizational":
        return Author(family=family.strip(), given=given.strip() or None)
    return Author(name=name)


def _title(titles: Any) -> str | None:
    """The first title that is not marked as another one (subtitle, alternative or translated); else the first."""
    named = [(one.get("titleType"), title) for one in objects(titles) if (title := line(one.get("title")))]
    return next((title for kind, title in named if not kind), named[0][1] if named else None)


def _abstract(descriptions: Any) -> str | None:
    parts = [one.get("description") for one in objects(descriptions) if one.get("descriptionType") == "Abstract"]
    return next((text for part in parts if isinstance(part, str) and (text := plain_text(part))), None)


def _published(about: dict[str, Any]) -> str | None:
    """The date of issue; else when it became available, was published, or its year."""
    dates = objects(about.get("dates"))
    stated = [one.get("date") for kind in ("Issued", "Available") for one in dates if one.get("dateType") == kind]
    year = about.get("publicationYear")
    return next(filter(None, map(iso_date, (*stated, about.get("published"), str(year)))), None)


def _licence(rights: dict[str, Any]) -> str | None:
    """The identifier of a licence, else its address or name; None for a statement of access, which is none."""
    identifier, address, name = (line(rights.get(key)) for key in ("rightsIdentifier", "rightsUri", "rights"))
    if any(stated and stated.startswith("info:eu-repo") for stated in (identifier, address, name)):
        return None
    return identifier.lower() if identifier else address or name
