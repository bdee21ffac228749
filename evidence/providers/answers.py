"""What is asked of a provider, and what it answers: frozen values that every provider shares.

A provider is asked about works that are known already. It answers about each of them: found, none, or that it could not be
asked. An error is never "none". No parsing, no network and no database here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from evidence.data_model import Fact, Identifier, Notice, ProviderName

State = Literal["found", "none", "refused", "failed"]
"""What came of asking about one subject. `found`: a record about it. `none`: the provider has no record. `refused`: the provider
answered with a record of another work, which is not taken. `failed`: it could not be asked, so nothing is known."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One subject that a provider is asked about: the DOI of a work or, for ClinicalTrials.gov, a registration number. `title`,
    `year` and `kind` (Crossref's type) are the work's, to check that an answer is about it; `pmid` is its PubMed identifier,
    where it is known already."""

    subject: str
    title: str | None = None
    year: int | None = None
    kind: str | None = None
    pmid: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer about one subject. `record` is the provider's record as text, exactly as sent (JSON or XML), of a found one.
    `problem` is a sentence: why an answer was refused or could not be had. `retry_after` is how many seconds the provider asks to
    wait, where it says so."""

    subject: str
    state: State
    record: str | None = None
    problem: str | None = None
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """The answers that one step of asking gave: every subject of the step once. `asked` describes the step for the log (route and
    size, no key and no e-mail address), `requests` is how many requests it took, retries too."""

    answers: tuple[Answer, ...]
    asked: str
    requests: int


@dataclass(frozen=True, slots=True)
class Registration:
    """What a trial registry says about a study: its official title, status, enrolment, dates (ISO), the outcomes that were
    registered, and the PubMed identifiers of the results that it lists itself (not those derived by matching)."""

    number: str
    title: str | None
    status: str | None
    enrolment: int | None
    started: str | None
    completed: str | None
    primary_outcomes: tuple[str, ...] = ()
    secondary_outcomes: tuple[str, ...] = ()
    result_pmids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Described:
    """What a provider's record says, read. `doi` and `title` are the record's own; `record_id` is the provider's identifier of
    it; `abstract` is plain text, each labelled section a paragraph that begins with its label; `preprint` says that the record
    is one of a preprint. `kind`, `container` and `published` (ISO) are given by DataCite."""

    provider: ProviderName
    record_id: str | None = None
    doi: str | None = None
    title: str | None = None
    abstract: str | None = None
    preprint: bool = False
    kind: str | None = None
    container: str | None = None
    published: str | None = None
    identifiers: tuple[Identifier, ...] = ()
    facts: tuple[Fact, ...] = ()
    notices: tuple[Notice, ...] = ()
    registration: Registration | None = None


class Provider(Protocol):
    """A service that can be asked about known works. Failures are answers (`failed`), never exceptions; ConfigError only for an
    unusable address."""

    name: ProviderName
    edition: str | None
    """Which edition of a file this is, as `Batch.asked` says it; None for a service, which always has today's."""

    @property
    def requests(self) -> int:
        """Requests sent so far, retries too."""
        ...

    @property
    def bytes(self) -> int:
        """Bytes of their responses, compressed as received."""
        ...

    def ask(self, wanted: Sequence[Wanted]) -> Iterator[Batch]:
        """Ask about all of these, a batch at a time. A service answers about every subject exactly once. Files leave out what
        they do not hold: it was not asked about."""
        ...

    def close(self) -> None:
        """Close the connection; the counters stay."""
        ...
