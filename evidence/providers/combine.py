"""A work as Crossref's record describes it, with what other providers' records add. Pure.

What a publisher deposited is never replaced. The abstract is the best there is (`ABSTRACT_ORDER`); identifiers, facts and
notices of all providers stand side by side, each with its source. May not decide whether a record is about the work: that was
checked when it was fetched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import import_module

from evidence.data_model import Fact, Identifier, ProviderName, Work
from evidence.errors import RecordError
from evidence.providers.answers import Described

ABSTRACT_ORDER: tuple[ProviderName, ...] = ("pubmed", "europepmc", "openalex", "datacite", "file")
"""Whose abstract is taken where the publisher deposited none, the best first: PubMed has labelled sections, Europe PMC mostly
PubMed's text, OpenAlex a list of words that is put in order again. The abstract of an imported file is taken where nobody else
has one."""

_READERS: dict[str, str] = {
    "europepmc": "europepmc_records",
    "pubmed": "pubmed_records",
    "openalex": "openalex",
    "datacite": "datacite",
    "clinicaltrials": "clinicaltrials",
    "retraction-watch": "retraction_watch",
    "bundled": "bundled_facts",
    "file": "imported_file",
}
"""The module that reads the records of each provider. It is imported when the first record comes: most commands read none."""


@dataclass(frozen=True, slots=True)
class ProviderRecord:
    """A provider's record as stored: whose it is, its text as sent, and when it was fetched (ISO time)."""

    provider: ProviderName
    message: str
    fetched_at: str


def describe(provider: ProviderName, message: str) -> Described:
    """What a provider's record says; RecordError where it cannot be read."""
    read: Callable[[str], Described] = import_module(f"evidence.providers.{_READERS[provider]}").describe
    return read(message)


def combine(work: Work, records: Sequence[ProviderRecord]) -> Work:
    """The work with what these records add, in an order of their own. A record that today's code cannot read adds nothing."""
    described: list[tuple[Described, str]] = []
    for record in sorted(records, key=lambda record: (record.provider, record.fetched_at)):
        try:
            described.append((describe(record.provider, record.message), record.fetched_at))
        except RecordError:
            continue
    if not described:
        return work
    abstract, source, fetched = work.abstract, work.abstract_source, None
    if abstract is None:
        for provider in ABSTRACT_ORDER:
            found = next(((d.abstract, at) for d, at in described if d.provider == provider and d.abstract), None)
            if found:
                (abstract, fetched), source = found, provider
                break
    return replace(
        work,
        abstract=abstract,
        abstract_source=source,
        abstract_at=fetched,
        identifiers=_distinct_identifiers(work, described),
        facts=_distinct_facts(work, described),
        notices=(*work.notices, *dict.fromkeys(notice for one, _ in described for notice in one.notices)),
    )


def _distinct_identifiers(work: Work, described: Sequence[tuple[Described, str]]) -> tuple[Identifier, ...]:
    return tuple(dict.fromkeys((*work.identifiers, *(found for one, _ in described for found in one.identifiers))))


def _distinct_facts(work: Work, described: Sequence[tuple[Described, str]]) -> tuple[Fact, ...]:
    """Each fact of each provider once; a heading that is a main topic somewhere in a record is one."""
    kept: dict[tuple[str, str, str], Fact] = {}
    for fact in (*work.facts, *(fact for one, _ in described for fact in one.facts)):
        key = (fact.kind, fact.value, fact.source)
        if key not in kept or fact.major:
            kept[key] = fact
    return tuple(kept.values())
