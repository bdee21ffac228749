"""The frozen values that pass between the stages, and the interface of a source of records.

No parsing, no I/O, no defaults that hide an absent fact. Absent is `None`, never `""`;
many is a tuple. Dates are ISO text of the precision that was deposited (`2019`, `2019-05`, `2019-05-03`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple, NewType, Protocol

Doi = NewType("Doi", str)
"""A DOI in canonical form: lower case, no prefix, as `doi.parse` makes it; or, of a work of an imported file that has none, its
local id (`doi.is_local`), which stands in its place as the key of every table and is never shown or exported as a DOI."""

Message = dict[str, Any]
"""A Crossref record exactly as deposited; only `normalise` looks inside."""

Clock = Callable[[], datetime]
"""Returns the current time, with its time zone."""

VerdictName = Literal["include", "exclude", "unsure"]
Strength = Literal["stated", "likely", "implied"]
"""How surely a text says a tag about this study: in so many words, probably, or perhaps."""

STRENGTHS: tuple[Strength, ...] = ("stated", "likely", "implied")
SHOWN_STRENGTHS: tuple[Strength, ...] = ("stated", "likely")
"""Tags of these strengths are in lists, counts and exports unless a reader asks for others. The view `shown_tags` has them."""

REASON_NOTES = " | note: "
"""What stands between the reason of a decision, by which PRISMA counts, and the notes that another tool keeps beside it."""

SAME_WORK = "same-work"
"""The facet of a decision on duplicates: `tag` says that two records are one work, `untag` that they are not; the value is
the other DOI. It is no facet of the taxonomy."""

CitationStatus = Literal[
    "resolved", "repaired", "matched", "mismatch", "ambiguous", "not-in-crossref", "not-found", "not-in-files", "no-doi"
]


Role = Literal["author", "editor", "translator", "chair"]


@dataclass(frozen=True, slots=True)
class Author:
    """One contributor as deposited: a person (`family`, perhaps `given`) or a group (`name`)."""

    family: str | None = None
    given: str | None = None
    suffix: str | None = None
    name: str | None = None
    orcid: str | None = None
    role: Role = "author"
    affiliation: str | None = None


@dataclass(frozen=True, slots=True)
class Funder:
    """A funder as deposited: the name, the funder's DOI (Open Funder Registry or ROR) and the numbers of its awards."""

    name: str | None
    doi: Doi | None
    awards: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Licence:
    """A licence for one version of the text: `vor` (version of record), `am` (accepted manuscript), `tdm` (text mining) or
    `unspecified`; `starts` is an ISO date, `delay_days` how long after publication that is."""

    url: str
    version: str | None
    starts: str | None
    delay_days: int | None


@dataclass(frozen=True, slots=True)
class Event:
    """The conference at which a paper was given; `dates` is an ISO date, or two joined by a slash."""

    name: str | None
    place: str | None
    dates: str | None


Evidence = Literal["updated-by", "update-to", "title", "comments-corrections", "publication-type", "retraction-watch"]
"""Where a notice is stated: the first three in a Crossref record, `comments-corrections` and `publication-type` in a record of
PubMed or Europe PMC, `retraction-watch` in the file of Retraction Watch."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A retraction, correction, … as one record states it. `notice_doi` is the notice, None where it is not named; `notice_id`
    is its identifier elsewhere (`PMID:123`, `RW:456`)."""

    kind: str
    notice_doi: Doi | None
    issued: str | None
    source: str | None
    evidence: Evidence
    notice_id: str | None = None


ProviderName = Literal[
    "europepmc", "pubmed", "openalex", "datacite", "clinicaltrials", "retraction-watch", "bundled", "file"
]
"""A service or a file that adds to works which Crossref has. `bundled` are the facts that come with the bundled snapshot, `file`
is a record that a person imported."""

PROVIDER_LABELS: dict[str, str] = {
    "crossref": "Crossref",
    "europepmc": "Europe PMC",
    "pubmed": "PubMed",
    "openalex": "OpenAlex",
    "datacite": "DataCite",
    "clinicaltrials": "ClinicalTrials.gov",
    "retraction-watch": "Retraction Watch",
    "bundled": "the bundled facts",
    "file": "an imported file",
}
"""The names that people read."""

ABOUT_WORKS: tuple[ProviderName, ...] = ("europepmc", "pubmed", "openalex", "retraction-watch", "bundled")
"""The providers that are asked about works, in this order: Europe PMC tells the PubMed identifiers. The others are asked about
registration numbers and foreign DOIs, once the works have been judged with what these brought."""


@dataclass(frozen=True, slots=True)
class Identifier:
    """A name that a work, or the study it reports, has elsewhere. `value` is in the form of `linkage.identifiers`; `source` says
    who states it: a provider, `crossref` (deposited) or `text` (read in title or abstract)."""

    kind: Literal["pmid", "pmcid", "openalex", "registration"]
    value: str
    source: str


FactKind = Literal["publication-type", "mesh", "country", "funder", "open-access", "licence"]


@dataclass(frozen=True, slots=True)
class Fact:
    """What a provider says about a work beside its text: a MEDLINE publication type, a MeSH heading (`major`: a main topic), the
    country of an affiliation, a funder with its grant, a link to an open-access copy, or its licence."""

    kind: FactKind
    value: str
    source: ProviderName
    major: bool = False


@dataclass(frozen=True, slots=True)
class Relation:
    """A deposited link to another work (`is-preprint-of`, `has-version`, …); `other` is a DOI where it is one."""

    kind: str
    other: str
    asserted_by: str | None


@dataclass(frozen=True, slots=True)
class Reference:
    """One entry of a deposited reference list: its DOI if one is asserted, and its readable text. `stated` is the DOI as
    deposited, where its spelling differs."""

    position: int
    doi: Doi | None
    asserted_by: str | None
    text: str | None
    stated: str | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """One work as one Crossref record describes it, in plain text. `title` includes the subtitle; `kind` is Crossref's
    `type`; `authors` in order; `pages` is the article number where there are no pages; `cites` holds the DOIs of its
    deposited references and who asserted each; `references_deposited` is how many entries that list has (None: no list was
    deposited), and `references_without_doi` how many of them have no readable DOI. `notices` are those on this work,
    `updates` those it makes on others; `notice_of` says what it is a notice of, nothing for a study. `abstract_source` is
    `publisher` for an abstract deposited with Crossref, else the provider it is from (`file`: an imported record), and
    `abstract_at` when that one was fetched (ISO time); `identifiers` and `facts` are those that providers state."""

    doi: Doi
    title: str | None = None
    abstract: str | None = None
    container: str | None = None
    publisher: str | None = None
    issued: str | None = None
    year: int | None = None
    kind: str | None = None
    language: str | None = None
    volume: str | None = None
    issue: str | None = None
    pages: str | None = None
    url: str | None = None
    issn: tuple[str, ...] = ()
    isbn: tuple[str, ...] = ()
    authors: tuple[Author, ...] = ()
    cited_by: int | None = None
    registrations: tuple[str, ...] = ()
    notices: tuple[Notice, ...] = ()
    updates: tuple[tuple[Doi, Notice], ...] = ()
    notice_of: tuple[tuple[str, Doi | None], ...] = ()
    relations: tuple[Relation, ...] = ()
    cites: tuple[tuple[Doi, str | None], ...] = ()
    references_deposited: int | None = None
    references_without_doi: int | None = None
    subtitle: str | None = None
    original_title: str | None = None
    short_title: str | None = None
    edition: str | None = None
    article_number: str | None = None
    short_container: str | None = None
    publisher_place: str | None = None
    institution: str | None = None
    published_print: str | None = None
    published_online: str | None = None
    event: Event | None = None
    funders: tuple[Funder, ...] = ()
    licences: tuple[Licence, ...] = ()
    abstract_source: str | None = None
    abstract_at: str | None = None
    identifiers: tuple[Identifier, ...] = ()
    facts: tuple[Fact, ...] = ()


@dataclass(frozen=True, slots=True)
class Match:
    """The text behind a verdict or a tag: `text[start:stop] == quote` of the stored field, offsets in characters. `rule` is
    the id of the screening rule for a verdict, the role of the mention (`measure`, `finding`, `arm`, …) for a tag."""

    rule: str
    field: str
    start: int
    stop: int
    quote: str


@dataclass(frozen=True, slots=True)
class Tag:
    """One value of one facet on a work, with the text behind it (none when a person added it).

    `certainty` is the probability, 0 to 1, that readers of the text would give the tag, and `how` says in one sentence what
    the text says it by. A tag that a person added or confirmed is `stated` and has neither."""

    facet: str
    value: str
    matches: tuple[Match, ...]
    decided: Literal["rule", "person"] = "rule"
    strength: Strength = "stated"
    certainty: float | None = None
    how: str | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the rules and people make of one work. `why` is one sentence; `judged_on` names the text there was;
    `conflict` says why a person should look again at what people decided: one sentence for each reason."""

    verdict: VerdictName
    decided: Literal["rule", "person"]
    why: str
    judged_on: Literal["title", "title+abstract", "nothing"]
    matches: tuple[Match, ...]
    tags: tuple[Tag, ...]
    conflict: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """A person's decision on one work: a verdict, one tag added or removed, or an earlier decision of theirs undone (a
    `withdraw` names the tag, or nothing: the verdict). Append-only; `decisions.current_decisions` says which count.

    `made_at` is an ISO time in UTC. `rules` is the digest of the rules then, `record` that of the title and abstract that
    were read (`judge.text_digest`), `rule_said` what the rules said then: a verdict, or for a tag `said` or `unsaid`. `seen`
    has the identifiers (`decisions.decision_id`) of the decisions on the same subject that the reviewer had before them.
    """

    doi: Doi
    action: Literal["verdict", "tag", "untag", "withdraw"]
    verdict: VerdictName | None
    facet: str | None
    value: str | None
    reason: str
    reviewer: str
    made_at: str
    rules: str | None
    record: str | None
    rule_said: str | None = None
    seen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Citation:
    """One line of a reference list as printed; `stated_doi` is the DOI printed with it, errors included."""

    source: str
    position: int
    text: str
    stated_doi: str | None


@dataclass(frozen=True, slots=True)
class CitationError:
    """One field that a citation of a work prints wrongly: `doi`, `author`, `year`, `volume` or `page`. `given` is what it
    prints, None where that cannot be read; `found` is what the record has."""

    field: str
    given: str | None
    found: str

    def __str__(self) -> str:
        if self.given is None:
            return f"not the {self.field} {self.found}"
        return f"the {self.field} {self.given} (the record: {self.found})"


@dataclass(frozen=True, slots=True)
class Resolution:
    """The result of resolving one citation. `doi` only when accepted; `problem` is a sentence for a person; `score` in 0…1.

    Not stored, and so empty for one read from the database: `errors` of an accepted citation; `leads_to`, the work of the
    stated DOI where it was not accepted; `candidates`, the works that the text may mean, best first; `agency`, with which the
    stated DOI is registered, where that is not Crossref.
    """

    citation: Citation
    status: CitationStatus
    doi: Doi | None = None
    problem: str | None = None
    score: float | None = None
    errors: tuple[CitationError, ...] = ()
    leads_to: Doi | None = None
    candidates: tuple[Doi, ...] = ()
    agency: str | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """A ranked query to Crossref: `fields` such as ("bibliographic", "…"), `filters` such as ("type", ("…",)). `for_citation`:
    the items carry what a citation is compared with, authors and pages among it."""

    fields: tuple[tuple[str, str], ...]
    filters: tuple[tuple[str, tuple[str, ...]], ...] = ()
    rows: int = 1000
    for_citation: bool = False


@dataclass(frozen=True, slots=True)
class Window:
    """The records that one request is limited to. Each limit is a day, ISO `YYYY-MM-DD`, inclusive; None is no limit.

    Every record has one `created` date, which never changes: two adjacent ranges of it share no record and miss none. The
    index date moves while one reads, and clocks differ, so it has no upper limit.
    """

    created_from: str | None = None
    created_until: str | None = None
    indexed_from: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """One page of results. `total` is how many records the server says match; items hold at least the scan fields. An item
    may be any JSON value, though nearly all are records. `ranks`: the DOI and score of each item, where they are known
    without reading the items."""

    items: Sequence[Message]
    total: int
    ranks: tuple[tuple[Doi, float], ...] | None = None

    @property
    def complete(self) -> bool:
        """Whether nothing follows the last row (of a first page)."""
        return self.total <= len(self.items)


@dataclass(frozen=True, slots=True)
class LookupResult:
    """The answer to one requested DOI: `message` is None when there is no such record. `record_doi` is the DOI of the record,
    another one for an alias; None beside a message: it has no DOI, so it cannot be told to be the record. `place` is the
    file and line of a record from files."""

    requested: Doi
    record_doi: Doi | None
    message: Message | None
    place: str | None = None


class RecordText(NamedTuple):
    """A record as it is stored: JSON text and its digest (see `crossref.normalise.serialise`), and the DOI of its work."""

    doi: Doi
    digest: str
    text: str


@dataclass(frozen=True, slots=True)
class RecordStatus:
    """The result of a light check: when the record was indexed (as `normalise.indexed_at`), and how often it is cited."""

    doi: Doi
    indexed: str | None
    cited_by: int | None


class RecordSource(Protocol):
    """Where records come from: Crossref over HTTP or files. Failures are `errors.SourceError`; "no record" is an answer.

    `name` is what the database calls it. Only an `authoritative` source knows every record: what it does not have does not
    exist. Reading any other moves no bookmark, ends no sighting, takes back no verdict on a citation and finds no work gone.
    """

    name: str
    authoritative: bool

    @property
    def requests(self) -> int:
        """Requests sent over the network so far (0 for files)."""
        ...

    @property
    def bytes(self) -> int:
        """Bytes of their responses, compressed as received."""
        ...

    @property
    def date(self) -> datetime | None:
        """The provider's time when it first answered; None while it has not, or where it does not say."""
        ...

    def lookup(self, dois: Sequence[Doi], since: str | None = None) -> Iterator[tuple[LookupResult, ...]]:
        """Whole records, a batch at a time. With `since` (ISO date): only those indexed since; the rest are left out."""
        ...

    def check(self, dois: Sequence[Doi]) -> Iterator[tuple[RecordStatus, ...]]:
        """The status of these DOIs, a batch at a time. Nothing is known of one that is left out: look it up."""
        ...

    def scan(self, query: Query, window: Window | None = None, offset: int = 0, *, by_creation: bool = False) -> Page:
        """`query.rows` records for a query inside a window, after the first `offset`: best first, or `by_creation`
        oldest first, an order that does not change between two requests."""
        ...

    def agency(self, doi: Doi) -> str | None:
        """The registration agency of a DOI that has no record here, or None when nobody registers it."""
        ...


def iso_time(moment: datetime) -> str:
    """A moment in UTC as the databases hold it, to the second: `2026-11-24T09:30:00Z`."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
