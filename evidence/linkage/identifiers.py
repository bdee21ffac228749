"""Identifiers of works and studies beside the DOI: PMID, PMCID, OpenAlex and registration numbers, and their pages.

It reads what people type and what records state, and writes each identifier in one form. It knows forms only and may not ask
whether an identifier exists or which work has it.

| kind | form |
|---|---|
| `pmid` | 1 to 8 digits, without leading zeros: `22018333` |
| `pmcid` | `PMC3308108`, without the version that PMC may add (`.1`) |
| `openalex` | `W2741809807` |
| `registration` | as `trial_numbers` writes it: `NCT03797326`, `CTIS2022-500024-30-00` |
"""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import quote

from evidence.linkage.trial_numbers import trial_number

Kind = Literal["pmid", "pmcid", "openalex", "registration"]

LONGEST = 300
"""Characters of a field that is read as one identifier, with its address."""

_REST = r"(?:\.\d+)?/?(?:[?#]\S*)?"
_PMID = (
    re.compile(r"(?:PMID|PubMed(?: ?ID)?)[\s:#=]*0*([1-9][0-9]{0,7})", re.IGNORECASE),
    re.compile(
        r"(?:https?://)?(?:(?:www\.)?pubmed\.ncbi\.nlm\.nih\.gov/|(?:www\.)?ncbi\.nlm\.nih\.gov/(?:m/)?pubmed/(?:\?term=)?"
        rf"|(?:www\.)?europepmc\.org/(?:article|abstract)/MED/)0*([1-9][0-9]{{0,7}}){_REST}",
        re.IGNORECASE,
    ),
)
_PMCID = (
    re.compile(r"(?:PMCID[\s:#=]*)?PMC[\s:#]*0*([1-9][0-9]{0,8})(?:\.[0-9]+)?", re.IGNORECASE),
    re.compile(r"PMCID[\s:#=]*0*([1-9][0-9]{0,8})", re.IGNORECASE),
    re.compile(
        r"(?:https?://)?(?:pmc\.ncbi\.nlm\.nih\.gov/articles/|(?:www\.)?ncbi\.nlm\.nih\.gov/(?:labs/)?pmc/articles/"
        rf"|(?:www\.)?europepmc\.org/(?:articles?/|article/PMC/))(?:PMC)?0*([1-9][0-9]{{0,8}})(?:/pdf/\S*|{_REST})",
        re.IGNORECASE,
    ),
)
_OPENALEX = (
    re.compile(
        r"(?:OpenAlex[\s:]*)?(?:https?://)?(?:(?:www\.|api\.)?openalex\.org/(?:works/)?)?W([1-9][0-9]{3,11})(?:\?\S*)?",
        re.IGNORECASE,
    ),
)
_BARE = re.compile(r"0*([1-9][0-9]{0,7})")

_PAGES: dict[str, str] = {
    "NCT": "https://clinicaltrials.gov/study/{}",
    "ISRCTN": "https://www.isrctn.com/{}",
    "DRKS": "https://drks.de/search/en/trial/{}",
    "ACTRN": "https://www.anzctr.org.au/{}.aspx",
    "EUDRACT": "https://www.clinicaltrialsregister.eu/ctr-search/search?query=eudract_number:{}",
    "CTIS": "https://euclinicaltrials.eu/ctis-public/view/{}",
    "CRD": "https://www.crd.york.ac.uk/PROSPERO/view/{}",
}
_WITHOUT_PREFIX = frozenset({"EUDRACT", "CTIS"})
"""Registries whose own pages have the number without the letters that this package puts before it."""
_ON_PLATFORM = re.compile(
    r"(?P<japanese>UMIN|JRCT|JAPICCTI|JMA)|KCT|RPCEC|PACTR|TCTR|ITMCTR|LBCTR|IRCT|CTRI/|SLCTR/|RBR-|PER-|CHICTR|JPRN-|NTR|NL"
)


def read_identifier(text: str, *, bare_pmid: bool = False) -> tuple[Kind, str] | None:
    """The identifier that a whole field is, as kind and value, or None. Digits alone are a PMID only with `bare_pmid`: a field
    for PMIDs may hold them, a search box holds years and page numbers too."""
    text = " ".join(text.split()) if len(text) <= LONGEST else ""
    text = text.strip(" .,;<>()[]\"'")
    if bare_pmid and (match := _BARE.fullmatch(text)):
        return "pmid", match[1]
    forms: tuple[tuple[Kind, str, tuple[re.Pattern[str], ...]], ...] = (
        ("pmid", "", _PMID),
        ("pmcid", "PMC", _PMCID),
        ("openalex", "W", _OPENALEX),
    )
    for kind, prefix, patterns in forms:
        for pattern in patterns:
            if match := pattern.fullmatch(text):
                return kind, prefix + match[1]
    number = trial_number(text) if text else None
    return ("registration", number) if number else None


def identifier_url(kind: str, value: str) -> str | None:
    """The page of an identifier in the form of this module; None where it has none that lasts. A registration is shown by its
    registry where that has a lasting address, else by the WHO's platform."""
    if kind == "pmid":
        return f"https://pubmed.ncbi.nlm.nih.gov/{quote(value)}/"
    if kind == "pmcid":
        return f"https://pmc.ncbi.nlm.nih.gov/articles/{quote(value)}/"
    if kind == "openalex":
        return f"https://openalex.org/{quote(value)}"
    return _registration_url(value) if kind == "registration" else None


def _registration_url(number: str) -> str | None:
    for registry, page in _PAGES.items():
        if number.startswith(registry):
            shown = number.removeprefix(registry) if registry in _WITHOUT_PREFIX else number
            return page.format(quote(shown))
    if match := _ON_PLATFORM.match(number):
        name = f"JPRN-{number}" if match["japanese"] else number
        return f"https://trialsearch.who.int/Trial2.aspx?TrialID={quote(name, safe='/')}"
    return None
