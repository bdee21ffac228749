"""One record of Europe PMC (an object of `resultList.result`, result type `core`) → what it says about a work.

Pure: text in, values out. What a record lacks is absent; what has another shape than Europe PMC gives it is a `RecordError`,
because a list of notices that cannot be read must not read as "no notices". It may not decide whether the record is about a
work: `agreement` does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from evidence.data_model import Doi, Fact, Identifier
from evidence.errors import RecordError
from evidence.plain_text import plain_line, plain_text
from evidence.providers import medline
from evidence.providers.answers import Described
from evidence.providers.record_values import facts

LONGEST = 8 * 1024 * 1024
"""Characters of one record that are read; the longest abstract with a thousand authors has a tenth of them."""

_PMCID = re.compile(r"PMC\d{1,10}", re.ASCII)
_URL = re.compile(r"https?://[^\s<>\"]{4,2000}")
_STYLES = ("html", "pdf")
"""Forms of the full text, the best one to link to first."""


def describe(text: str) -> Described:
    """What one record says; RecordError with a sentence for text that is no record."""
    if len(text) > LONGEST:
        raise RecordError(f"the record has {len(text):,} characters, more than any record of Europe PMC")
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"the record is not JSON ({error})") from error
    if not isinstance(record, dict):
        raise RecordError("the record is not a JSON object")
    source, number = _line(record, "source"), _line(record, "id")
    pmid = medline.pmid(_line(record, "pmid")) or (medline.pmid(number) if source == "MED" else None)
    types = _texts(record, "pubTypeList", "pubType")
    return Described(
        provider="europepmc",
        record_id=f"{source}:{number}" if source and number else None,
        doi=record_doi(record),
        title=_line(record, "title"),
        abstract=plain_text(_text(record, "abstractText")),
        preprint=is_preprint(record),
        identifiers=_identifiers(pmid, _line(record, "pmcid")),
        facts=(
            *facts("publication-type", "europepmc", types),
            *_headings(record),
            *facts("funder", "europepmc", _grants(record)),
            *facts("open-access", "europepmc", [_open_access(record)]),
            *facts("licence", "europepmc", [_line(record, "license")]),
        ),
        notices=medline.notices(_links(record), types, "Europe PMC"),
    )


def record_doi(record: Mapping[str, Any]) -> Doi | None:
    """The DOI of a record; None without one."""
    return medline.stated_doi(_text(record, "doi"))


def is_preprint(record: Mapping[str, Any]) -> bool:
    """Whether the record is one of a preprint (source `PPR`)."""
    return record.get("source") == "PPR"


def _identifiers(pmid: str | None, pmcid: str | None) -> tuple[Identifier, ...]:
    found = [Identifier("pmid", pmid, "europepmc")] if pmid else []
    if pmcid and _PMCID.fullmatch(pmcid.upper()):
        found.append(Identifier("pmcid", pmcid.upper(), "europepmc"))
    return tuple(found)


def _headings(record: Mapping[str, Any]) -> tuple[Fact, ...]:
    found: dict[Fact, None] = {}
    for item in _objects(record, "meshHeadingList", "meshHeading"):
        descriptor = _line(item, "descriptorName")
        qualifiers = _objects(item, "meshQualifierList", "meshQualifier")
        names = [name for qualifier in qualifiers if (name := _line(qualifier, "qualifierName"))]
        major = any(part.get("majorTopic_YN") == "Y" for part in (item, *qualifiers))
        if descriptor:
            found.setdefault(Fact("mesh", medline.heading(descriptor, names), "europepmc", major))
    return tuple(found)


def _grants(record: Mapping[str, Any]) -> list[str | None]:
    return [
        medline.grant(_line(item, "agency"), _line(item, "grantId")) for item in _objects(record, "grantsList", "grant")
    ]


def _links(record: Mapping[str, Any]) -> list[medline.Link]:
    found = []
    for item in _objects(record, "commentCorrectionList", "commentCorrection"):
        number = _line(item, "id") if _line(item, "source") in (None, "MED") else None
        found.append(medline.Link(_line(item, "type") or "", _line(item, "reference"), medline.pmid(number)))
    return found


def _open_access(record: Mapping[str, Any]) -> str | None:
    """The address of the open-access copy. Text that is free to read without an open licence is none (`isOpenAccess` N)."""
    if record.get("isOpenAccess") != "Y":
        return None
    places: list[tuple[int, str]] = []
    for item in _objects(record, "fullTextUrlList", "fullTextUrl"):
        address, style = _line(item, "url"), _line(item, "documentStyle")
        if item.get("availabilityCode") == "OA" and address and _URL.fullmatch(address):
            places.append((_STYLES.index(style) if style in _STYLES else len(_STYLES), address))
    return min(places)[1] if places else None


def _objects(record: Mapping[str, Any], outer: str, inner: str) -> list[Mapping[str, Any]]:
    """The objects of a list such as `grantsList.grant`."""
    items = _items(record, outer, inner)
    if not all(isinstance(item, dict) for item in items):
        raise RecordError(f"`{outer}.{inner}` holds something else than objects")
    return items


def _texts(record: Mapping[str, Any], outer: str, inner: str) -> list[str]:
    """The texts of a list such as `pubTypeList.pubType`, without markup."""
    items = _items(record, outer, inner)
    if not all(isinstance(item, str) for item in items):
        raise RecordError(f"`{outer}.{inner}` holds something else than texts")
    return [text for item in items if (text := plain_line(item))]


def _items(record: Mapping[str, Any], outer: str, inner: str) -> list[Any]:
    """What a list holds; one item may stand there without a list."""
    holder = record.get(outer)
    if holder is None:
        return []
    if not isinstance(holder, dict):
        raise RecordError(f"`{outer}` is not an object")
    items = holder.get(inner)
    return [] if items is None else items if isinstance(items, list) else [items]


def _line(record: Mapping[str, Any], key: str) -> str | None:
    return plain_line(_text(record, key))


def _text(record: Mapping[str, Any], key: str) -> str | None:
    """A text or a number as text; None where it is absent."""
    value = record.get(key)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise RecordError(f"`{key}` is not a text")
