"""The frozen values that flow between the stages, and the door's two verbs.

Nothing here does work: no parsing, no I/O, no defaults that hide an absent fact. Absent is `None`, never `""`;
many is a tuple. Dates are ISO text of the precision that was deposited (`2019`, `2019-05`, `2019-05-03`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NewType, Protocol

Doi = NewType("Doi", str)
"""A DOI in canonical form: lower case, no prefix, as `doi.parse` makes it."""

Message = dict[str, Any]
"""A Crossref item exactly as deposited; only `normalise` looks inside."""

VerdictName = Literal["include", "exclude", "unsure"]
SAME_WORK = "same-work"
"""The facet of a decision on duplicates: `tag` says that two records are one work, `untag` that they are not; the value is
the other DOI. It is no facet of the taxonomy."""

CitationStatus = Literal[
    "resolved", "repaired", "matched", "mismatch", "ambiguous", "not-in-crossref", "not-found", "no-doi"
]


@dataclass(frozen=True, slots=True)
class Author:
    """One contributor as deposited: a person (`family`, perhaps `given`) or a group (`name`)."""

    family: str | None = None
    given: str | None = None
    suffix: str | None = None
    name: str | None = None
    orcid: str | None = None
    role: Literal["author", "editor"] = "author"
    affiliation: str | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """A retraction, correction, … about a work. `evidence` says how we know: `updated-by`, `update-to` or `title`."""

    kind: str
    notice_doi: Doi | None
    issued: str | None
    source: str | None
    evidence: Literal["updated-by", "update-to", "title"]


@dataclass(frozen=True, slots=True)
class Relation:
    """A deposited link to another work (`is-preprint-of`, `has-version`, …); `other` is a DOI where it is one."""

    kind: str
    other: str
    asserted_by: str | None


@dataclass(frozen=True, slots=True)
class Reference:
    """One entry of a deposited reference list: its DOI if one is asserted, and the text a person would read."""

    position: int
    doi: Doi | None
    asserted_by: str | None
    text: str | None


@dataclass(frozen=True, slots=True)
class Work:
    """What one Crossref record says of one work, in plain text. `kind` is Crossref's `type`; `authors` in order; `cites`
    holds the DOIs of its deposited references and who asserted each."""

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
    notice_of: tuple[tuple[str, Doi], ...] = ()
    relations: tuple[Relation, ...] = ()
    cites: tuple[tuple[Doi, str | None], ...] = ()


@dataclass(frozen=True, slots=True)
class Match:
    """Where a rule found its words: `text[start:stop] == quote` of the stored field, offsets in characters."""

    rule: str
    field: str
    start: int
    stop: int
    quote: str


@dataclass(frozen=True, slots=True)
class Tag:
    """One value of one facet said of a work, with the words that earned it (none when a person said it)."""

    facet: str
    value: str
    matches: tuple[Match, ...]
    decided: Literal["rule", "person"] = "rule"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the rules and people make of one work. `why` is one sentence; `judged_on` says what text there was;
    `conflict` says why a person should look again at what people decided."""

    verdict: VerdictName
    decided: Literal["rule", "person"]
    why: str
    judged_on: Literal["title", "title+abstract", "nothing"]
    matches: tuple[Match, ...]
    tags: tuple[Tag, ...]
    conflict: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """A person's word on one work: a verdict, one tag added or taken away, or an earlier word of theirs taken back (a
    `withdraw` names the tag, or nothing: the verdict). Append-only; the newest wins.

    `rules` is the digest of the rules then, `record` that of the title and abstract that were read (`judge.text_digest`),
    `rule_said` what the rules said then: a verdict, or for a tag `said` or `unsaid`.
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


@dataclass(frozen=True, slots=True)
class Citation:
    """One line of a reference list as printed; `stated_doi` is the string beside it, faults included."""

    source: str
    position: int
    text: str
    stated_doi: str | None


@dataclass(frozen=True, slots=True)
class Resolution:
    """The verdict on one citation. `doi` only when accepted; `problem` is a sentence for a person; `score` in 0…1."""

    citation: Citation
    status: CitationStatus
    doi: Doi | None = None
    problem: str | None = None
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """A ranked question to Crossref: `fields` such as ("bibliographic", "…"), `filters` such as ("type", ("…",))."""

    fields: tuple[tuple[str, str], ...]
    filters: tuple[tuple[str, tuple[str, ...]], ...] = ()
    rows: int = 1000


@dataclass(frozen=True, slots=True)
class Window:
    """A closed range of days, ISO `YYYY-MM-DD`, by publication date or by the date Crossref indexed the record."""

    by: Literal["published", "indexed"]
    since: str
    until: str


@dataclass(frozen=True, slots=True)
class Page:
    """One ranked answer. `total` is how many records the server says match; items hold at least the scan fields. An item may
    be anything that JSON can say, though nearly all are records."""

    items: Sequence[Message]
    total: int

    @property
    def complete(self) -> bool:
        """Nothing was left behind the last row."""
        return self.total <= len(self.items)


@dataclass(frozen=True, slots=True)
class Found:
    """The answer to one DOI: `message` is None when there is no such record; `answered` differs for an alias. A message
    that was answered by no DOI is an object without one, which cannot be told to be the record. `place` says where a
    record from files stands: file and line."""

    asked: Doi
    answered: Doi | None
    message: Message | None
    place: str | None = None


class Door(Protocol):
    """Where records come from: Crossref over HTTP or files. Failures are `errors.SourceError`; "no record" is an answer."""

    name: str

    @property
    def requests(self) -> int:
        """Questions sent over the network so far (0 for files)."""
        ...

    @property
    def bytes(self) -> int:
        """Bytes of their answers, as they came over the wire."""
        ...

    def lookup(self, dois: Sequence[Doi], since: str | None = None) -> Iterator[tuple[Found, ...]]:
        """Whole records, a batch at a time. With `since` (ISO date): only those indexed since; the rest are left out."""
        ...

    def scan(self, query: Query, window: Window | None = None) -> Page:
        """The best `query.rows` records for a question, best first, inside a window."""
        ...

    def agency(self, doi: Doi) -> str | None:
        """The registration agency of a DOI that has no record here, or None when nobody registers it."""
        ...
