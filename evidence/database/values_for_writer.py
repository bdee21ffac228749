"""What a harvest hands to the store, and what the store returns: frozen values, no SQL and no database.

Names and order of the fields follow the columns of the tables they are written to (`schema`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal, NamedTuple

from evidence.data_model import Doi, ProviderName, Resolution, Tag
from evidence.providers.answers import Batch

BOOKMARK_OVERLAP = timedelta(days=2)
"""A bookmark (`sources.bookmark`) is this long before the start of its run: index dates have day resolution and clocks differ."""


class WorkRows(NamedTuple):
    """A judged work as rows: the values of `work_rows.WORK_COLUMNS`, and the rows of each table that belongs to a work. Of
    `cites` only what is cited and who says so: the cited work may be kept under another DOI."""

    work: tuple[Any, ...]
    work_authors: Sequence[tuple[Any, ...]]
    funders: Sequence[tuple[Any, ...]]
    licences: Sequence[tuple[Any, ...]]
    updates: Sequence[tuple[Any, ...]]
    relations: Sequence[tuple[Any, ...]]
    identifiers: Sequence[tuple[Any, ...]]
    facts: Sequence[tuple[Any, ...]]
    cites: Sequence[tuple[Doi, str | None]]
    tags: Sequence[tuple[Any, ...]]
    reasons: Sequence[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class JudgedRecord:
    """A record ready to be written: the message as deposited (JSON text), its digest, and what today's code makes of it.

    `basis` is the digest of what the judgement was made from (code, rules, decisions). A record that cannot be understood has
    no `rows`, and `basis` is the reason: it is kept in `snapshots` all the same.
    """

    doi: Doi
    digest: str
    message: str
    rows: WorkRows | None
    basis: str


@dataclass(frozen=True, slots=True)
class Sighting:
    """A source found a work: `via` says how; `rank` (1-based) and `score` are those of the first time."""

    doi: Doi
    via: str
    rank: int | None = None
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that could not be understood, whole, with the reason. `place` says where it was: a file and line, a rank in
    the results of a search, or the DOI it was asked for by."""

    digest: str
    doi: str | None
    reason: str
    message: str
    place: str | None = None


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """One page of a search as run, for PRISMA-S: the query, its limits, and how far its window was read afterwards (see
    `search.SearchPage`). `spec` is the search as sources.yaml had it."""

    query: str
    filters: str
    spec: str
    created_from: str | None
    created_until: str | None
    indexed_from: str | None
    offset: int
    sort: str
    asked_at: str
    total: int
    scanned: int
    matched: int
    reached: int
    last_match: int | None
    recent: int
    ended: str | None
    unread: int


Counted = tuple[Doi, str | None, int | None]
"""A row of `counters`: DOI, when Crossref indexed the record, how often the work is cited; None where Crossref did not say."""

ReasonRow = tuple[str, str, str, str, int, int, str]
"""A row of `reasons` without its DOI: facet, value, rule, field, start, stop, quote."""

TagRow = tuple[str, str, str, float | None, str | None]
"""A row of `tags` without its DOI and who decided: facet, value, strength, certainty, how."""


def tag_row(tag: Tag) -> TagRow:
    """The row of a tag. Its certainty is kept to three digits: smaller differences are no change of a work."""
    return tag.facet, tag.value, tag.strength, None if tag.certainty is None else round(tag.certainty, 3), tag.how


@dataclass(frozen=True, slots=True)
class TagUpdate:
    """The tags and reasons that a work has now, of the values that edited rules can give; `why` explains its verdict."""

    doi: Doi
    why: str
    tags: Sequence[TagRow]
    reasons: Sequence[ReasonRow]


@dataclass(frozen=True, slots=True)
class HarvestedPage:
    """All that one page of results brought, written in one transaction.

    `aliases` are (alias, DOI it leads to). `counted` is what Crossref said of records whose content did not change; `absent`
    are known works of which Crossref has no record, and `present` those of which it has one.
    """

    records: Sequence[JudgedRecord] = ()
    sightings: Sequence[Sighting] = ()
    aliases: Sequence[tuple[Doi, Doi]] = ()
    rejects: Sequence[Reject] = ()
    citations: Sequence[Resolution] = ()
    requests: Sequence[SearchRequest] = ()
    counted: Sequence[Counted] = ()
    absent: Sequence[Doi] = ()
    present: Sequence[Doi] = ()


DataciteRow = tuple[str, str | None, str | None, str | None, str | None]
"""A row of `datacite_works`: DOI, title, kind, container, date of publication."""


@dataclass(frozen=True, slots=True)
class ProviderStep:
    """What one step of asking a provider brought, written in one transaction: the batch of answers, when it was asked (ISO time),
    and for each subject that could not be asked the time of the next try."""

    provider: ProviderName
    batch: Batch
    asked_at: str
    next_tries: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class BackfilledFile:
    """A row of `backfilled_files`: what recognises a file of Crossref's public data file, a digest of what was asked of it,
    and how many records it has and matched."""

    name: str
    size: int
    modified: int
    asked: str
    records: int
    matched: int


@dataclass(frozen=True, slots=True)
class FoundRecord:
    """A row of `backfill_records`: file and line, and the record as JSON."""

    place: str
    message: str


@dataclass(slots=True)
class Written:
    """What writing a page changed: how many works are new, how many have another record now, and how many sightings and rejects
    are new.

    `moved`: works known under a DOI that now leads to another, as (old DOI, new DOI); such a work is not new. `gone` and
    `back`: works that Crossref has no record of any more, or has again.
    """

    new: int = 0
    changed: int = 0
    sightings: int = 0
    rejects: int = 0
    moved: list[tuple[Doi, Doi]] = field(default_factory=list)
    gone: list[Doi] = field(default_factory=list)
    back: list[Doi] = field(default_factory=list)

    def __iadd__(self, other: Written) -> Written:
        """Add up the pages of a run."""
        self.new += other.new
        self.changed += other.changed
        self.sightings += other.sightings
        self.rejects += other.rejects
        self.moved += other.moved
        self.gone += other.gone
        self.back += other.back
        return self


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A source as sources.yaml or a command names it. `spec` is canonical JSON; `method` is that of PRISMA, of imported files
    only."""

    source: str
    kind: str
    label: str
    spec: str
    method: str | None = None


@dataclass(frozen=True, slots=True)
class ImportedRow:
    """A record of an imported file. `record` recognises it in its source, `doi` is the DOI or the local id of its work,
    `citation` is what is compared with other records, `message` is the record in Crossref's shape (JSON), `place` is file and
    line."""

    source: str
    record: str
    doi: Doi
    stated_doi: str | None
    status: str
    problem: str | None
    score: float | None
    citation: str
    message: str
    place: str


@dataclass(frozen=True, slots=True)
class SourceState:
    """What the database holds of a source: its bookmark (None: not yet harvested to its end), and the warning on it."""

    bookmark: str | None
    warning: str | None


@dataclass(frozen=True, slots=True)
class Export:
    """Works that left the tracker: a file that was exported, or a published copy. `name` is the file's name without its folders
    (None: standard output), or the copy's version. `dois` are the works in it; of a published copy, the included ones."""

    made_at: str
    kind: Literal["export", "publish"]
    name: str | None
    format: str | None
    filters: Mapping[str, object]
    dois: Iterable[Doi]
    version: str


@dataclass(frozen=True, slots=True)
class NewVersion:
    """A named state of the review, as it is stored: the state after the run `run`. `rules` and `decisions_digest` are digests of
    what the works were judged by, `decisions` the number of decisions that count."""

    name: str
    run: int
    made_at: str
    made_by: str | None
    note: str | None
    topic: str
    rules: str
    program: str
    decisions: int
    decisions_digest: str
    included: int
    excluded: int
    unsure: int


@dataclass(frozen=True, slots=True)
class CapsuleRow:
    """A capsule that was written: `kind` says whether it has everything or may be passed on, `name` is its folder's name without
    the folders above, `digest` is that of its manifests, `version` the named version that it is."""

    made_at: str
    kind: Literal["whole", "public"]
    name: str
    digest: str
    files: int
    size: int
    run: int
    version: str | None
    program: str
