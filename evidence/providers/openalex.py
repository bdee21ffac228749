"""OpenAlex: asks for single works by DOI, and reads what a record adds.

Only single works: these are free, lists cost credits. When the credit of a day is spent, OpenAlex answers 429 with a
`Retry-After` of hours; all that are left are then answered `failed` with that wait, and nothing more is sent.

It says whether a work is retracted (`is_retracted`), but takes that from others and errs, so no notice is made of it. An abstract
is a list of places for each word, and only where the publisher allows: that one is missing does not say that there is none.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Final
from urllib.parse import quote

from evidence import doi as dois
from evidence.data_model import Identifier, ProviderName
from evidence.errors import RecordError
from evidence.http.transport import Service
from evidence.plain_text import plain_text
from evidence.providers.agreement import why_not_about
from evidence.providers.answers import Described, Wanted
from evidence.providers.countries import country_name
from evidence.providers.record_values import at, facts, line, link, objects, read_object, texts
from evidence.providers.single_records import SingleRecordClient

SERVICE: Final = Service(
    "OpenAlex",
    "https://api.openalex.org",
    # A hundred requests a second are allowed, ten were for years. The `x-ratelimit-…` headers count the credit of a day.
    intervals={"work": 0.12},
    absent_routes=frozenset({"work"}),
    blocked_by=frozenset({401, 403}),
    when_blocked="Check its API key",
)

FIELDS: Final = "id,doi,title,type,ids,open_access,best_oa_location,authorships,abstract_inverted_index"
"""The fields that are requested: a whole record has a hundred kilobytes, mostly of topics and references."""

MAX_WORDS: Final = 20_000
"""Words of an abstract; an index with more is no abstract's."""

_ID = re.compile(r"(?:https?://(?:api\.)?openalex\.org/(?:works/)?)?(W\d{1,15})", re.IGNORECASE | re.ASCII)
_PMID = re.compile(
    r"(?:https?://(?:pubmed\.ncbi\.nlm\.nih\.gov|www\.ncbi\.nlm\.nih\.gov/pubmed)/)?([1-9]\d{0,8})/?", re.ASCII
)
_PMCID = re.compile(r"(?:https?://\S{1,80}/)?(?:PMC)?([1-9]\d{0,9})/?", re.IGNORECASE | re.ASCII)


class OpenAlexClient(SingleRecordClient):
    """See `SingleRecordClient`. `key` is an API key of OpenAlex."""

    name: ProviderName = "openalex"
    service = SERVICE
    route = "work"
    params = (("select", FIELDS),)

    def service_for(self, mailto: str | None, key: str | None) -> Service:
        """With the address and the key as parameters."""
        private = tuple((name, value) for name, value in (("mailto", mailto), ("api_key", key)) if value)
        return replace(SERVICE, private_params=private)

    def path(self, subject: str) -> str:
        """`/works/doi:…`."""
        return f"/works/doi:{quote(subject, safe='', errors='replace')}"

    def describe(self, text: str) -> Described:
        """See `describe`."""
        return describe(text)

    def problem(self, wanted: Wanted, described: Described) -> str | None:
        """DOI equal and title agreeing, or the reason."""
        return why_not_about(wanted, described.doi, described.title)


def describe(text: str) -> Described:
    """What a work of OpenAlex says. RecordError for what is no work: it needs an OpenAlex identifier or a DOI."""
    work = read_object(text)
    own = _named(_ID, work.get("id")) or _named(_ID, at(work, "ids", "openalex"))
    doi = work.get("doi")
    if own is None and not isinstance(doi, str):
        raise RecordError("the record is no work of OpenAlex: it has neither identifier nor DOI")
    best = work.get("best_oa_location")
    location = next(
        filter(None, map(link, (at(work, "open_access", "oa_url"), at(best, "pdf_url"), at(best, "landing_page_url")))),
        None,
    )
    return Described(
        "openalex",
        record_id=own.upper() if own else None,
        doi=dois.literal(doi) if isinstance(doi, str) else None,
        title=line(work.get("title")) or line(work.get("display_name")),
        abstract=plain_text(abstract_text(work.get("abstract_inverted_index"))),
        preprint=work.get("type") == "preprint",
        identifiers=_identifiers(work, own),
        facts=(
            *facts("open-access", "openalex", [location]),
            *facts("licence", "openalex", [line(at(best, "license"))]),
            *facts("country", "openalex", map(country_name, _countries(work))),
        ),
    )


def abstract_text(index: Any) -> str | None:
    """The words of an inverted index (word → its places) in their order. Places that are none, or taken, are left out; None for
    what is no index, or has more than `MAX_WORDS` places."""
    if not isinstance(index, dict):
        return None
    words: dict[int, str] = {}
    count = 0
    for word, places in index.items():
        if not isinstance(places, list):
            continue
        count += len(places)
        if count > MAX_WORDS:
            return None
        for place in places:
            if type(place) is int and place >= 0:
                words.setdefault(place, word)
    return " ".join(words[place] for place in sorted(words)) or None


def _identifiers(work: dict[str, Any], own: str | None) -> tuple[Identifier, ...]:
    pmid, pmcid = _named(_PMID, at(work, "ids", "pmid")), _named(_PMCID, at(work, "ids", "pmcid"))
    return (
        *([Identifier("openalex", own.upper(), "openalex")] if own else []),
        *([Identifier("pmid", pmid, "openalex")] if pmid else []),
        *([Identifier("pmcid", f"PMC{pmcid}", "openalex")] if pmcid else []),
    )


def _named(form: re.Pattern[str], value: Any) -> str | None:
    match = form.fullmatch(str(value).strip()) if isinstance(value, str | int) else None
    return match[1] if match else None


def _countries(work: dict[str, Any]) -> list[str]:
    """The codes of the countries of all authors' institutions, as often as they are given."""
    codes: list[str] = []
    for authorship in objects(work.get("authorships")):
        codes += texts(authorship.get("countries"))
        codes += texts([institution.get("country_code") for institution in objects(authorship.get("institutions"))])
    return codes
