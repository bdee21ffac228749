"""What records of PubMed and of Europe PMC have in common, since both carry MEDLINE's: notices, MeSH headings, funders, DOIs.

Pure: values in, values out. It may not read JSON or XML, and may not ask anybody.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from evidence import doi as dois
from evidence.data_model import Doi, Notice

NOTICE_KINDS = {
    "retractionin": "retraction",
    "retractedandrepublishedin": "retraction",
    "partialretractionin": "partial-retraction",
    "expressionofconcernin": "expression-of-concern",
    "correctedandrepublishedin": "correction",
    "republishedin": "correction",
    "erratumin": "erratum",
}
"""Links that say that something was done to this record → the kind of notice, spelled as in `GRAVITY` of
`linkage.retraction_notices`. Those in the other direction (`Retraction of`, `Erratum for`, `Comment on`) are about another work;
`Update in` is a new version."""

RETRACTED = "retracted publication"
"""The publication type of a work that was retracted. That of the notice itself is `Retraction Notice`, formerly
`Retraction of Publication`."""

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NOT_A_RANGE = r"(?![\w/-])"
_DATE = re.compile(
    r"(?:^|[.,;)\]]\s)(?P<year>(?:18|19|20)\d\d)(?!\d)"
    rf"(?:\s(?P<month>{'|'.join(_MONTHS)})[a-z]{{0,6}}{_NOT_A_RANGE}(?:\s(?P<day>\d{{1,2}}){_NOT_A_RANGE})?)?",
    re.IGNORECASE,
)
_PMID = re.compile(r"[1-9]\d{0,8}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Link:
    """A link to another record: `relation` as the provider writes it (`Retraction in`, `RetractionIn`), `reference` the
    citation of the other record, `pmid` its PubMed identifier."""

    relation: str
    reference: str | None
    pmid: str | None


def notices(links: Iterable[Link], publication_types: Iterable[str], source: str) -> tuple[Notice, ...]:
    """The notices on a work, each once: from its links, and from its publication type where no link names the retraction."""
    found: dict[Notice, None] = {}
    for link in links:
        kind = NOTICE_KINDS.get(re.sub(r"[\W_]", "", link.relation).lower())
        if kind is not None:
            found.setdefault(
                Notice(
                    kind=kind,
                    notice_doi=next(iter(dois.find(link.reference or "")), None),
                    issued=date_of(link.reference),
                    source=source,
                    evidence="comments-corrections",
                    notice_id=f"PMID:{link.pmid}" if pmid(link.pmid) else None,
                )
            )
    if is_retracted(publication_types) and all(notice.kind != "retraction" for notice in found):
        found.setdefault(Notice("retraction", None, None, source, "publication-type"))
    return tuple(found)


def is_retracted(publication_types: Iterable[str]) -> bool:
    """Whether these publication types say that the work was retracted."""
    return any(stated.strip().lower() == RETRACTED for stated in publication_types)


def date_of(reference: str | None) -> str | None:
    """The ISO date in a citation, as precise as it stands there: `Lancet. 2019 Mar 1;…` → `2019-03-01`. Of a range
    (`2019 Jan-Feb`) only what both ends share is taken."""
    found = _DATE.search(reference or "")
    if found is None:
        return None
    year, month, day = found["year"], found["month"], found["day"]
    if month is None:
        return year
    number = _MONTHS.index(month.lower()) + 1
    if day is not None:
        try:
            return date(int(year), number, int(day)).isoformat()
        except ValueError:  # 31 February: the month still stands
            pass
    return f"{year}-{number:02d}"


def heading(descriptor: str, qualifiers: Sequence[str]) -> str:
    """A MeSH heading as MEDLINE writes it: `Depressive Disorder/therapy`."""
    return "/".join((descriptor, *qualifiers))


def grant(agency: str | None, number: str | None) -> str | None:
    """A funder with its grant: `NIMH NIH HHS R01 MH012345`; None when neither is known."""
    return " ".join(part for part in (agency, number) if part) or None


def stated_doi(raw: str | None) -> Doi | None:
    """The DOI in a record's field, which is exactly one; None without one."""
    return (dois.exact(raw) or dois.parse(raw)) if raw else None


def pmid(raw: str | None) -> str | None:
    """A PubMed identifier; None for what is none, such as the `0` that stands for an unknown one."""
    text = (raw or "").strip()
    return text if _PMID.fullmatch(text) else None
