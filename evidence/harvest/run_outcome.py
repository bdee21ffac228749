"""One sync run: what its stages share, and what it did. No SQL, no requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from evidence.data_model import Clock, Decision, Doi, ProviderName, RecordSource
from evidence.database.changes_since_last_run import RunChanges
from evidence.database.values_for_writer import BOOKMARK_OVERLAP, Written
from evidence.database.writer import Store
from evidence.harvest import standing_searches
from evidence.harvest.progress import Progress
from evidence.rules.taxonomy import Taxonomy


@dataclass(slots=True)
class Outcome:
    """What a run did, for the summary and the exit code.

    `outcome` is `complete`, `partial` (a source failed) or `crashed`. `gone` counts sightings that ended, and `unfound` are
    their works (doi, title). `changes` are those that the run announced, without changes of tags.
    `troubles` and `warnings` are (source id, sentence); `read` is the number of records read from files, None over HTTP.
    `compared_anew` are the citations that were accepted before and have another result now, as (source id, sentence).
    `backfill` is what was read of Crossref's public data file: files, records, records that match, and the day of the newest
    file. `providers` has for each other provider how many works were found, none, refused and failed, and the requests it took;
    `provider_problems` the first reason why one could not be asked.
    """

    run: int
    outcome: str = "complete"
    citations: Counter[str] = field(default_factory=Counter)
    compared_anew: list[tuple[str, str]] = field(default_factory=list)
    matched: set[Doi] = field(default_factory=set)
    written: Written = field(default_factory=Written)
    rejudged: int = 0
    gone: int = 0
    unfound: tuple[tuple[Doi, str | None], ...] = ()
    refreshed: int = 0
    read: int | None = None
    changes: RunChanges = field(default_factory=RunChanges)
    troubles: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[tuple[str, str]] = field(default_factory=list)
    verdicts: dict[str, int] = field(default_factory=dict)
    known_found: int = 0
    known_total: int = 0
    known_missing: tuple[str, ...] = ()
    requests: int = 0
    bytes: int = 0
    providers: dict[ProviderName, Counter[str]] = field(default_factory=dict)
    provider_problems: dict[ProviderName, str] = field(default_factory=dict)
    backfill: dict[str, Any] = field(default_factory=dict)

    def counts(self) -> dict[str, Any]:
        """What the `runs` row keeps; `changes` are numbers by kind."""
        counts = {
            "citations": dict(sorted(self.citations.items())),
            "matched": len(self.matched),
            "changes": self.changes.counts,
            "sightings": self.written.sightings,
            "rejects": self.written.rejects,
            "rejudged": self.rejudged,
            "gone": self.gone,
            "troubles": len(self.troubles),
            "verdicts": self.verdicts,
            "known": [self.known_found, self.known_total],
            "requests": self.requests,
            "bytes": self.bytes,
        }
        if self.providers:
            counts["providers"] = {name: dict(sorted(states.items())) for name, states in self.providers.items()}
        if self.backfill:
            counts["backfill"] = self.backfill
        return counts


@dataclass(frozen=True, slots=True)
class SyncRun:
    """What every stage of one run needs. `number` is the run's in the database; `decisions` are those at its start, by work;
    `full` forgets the bookmarks and reads searches twice as deep. Stages add to `outcome`."""

    number: int
    store: Store
    records: RecordSource
    taxonomy: Taxonomy
    now: Clock
    started: datetime
    decisions: Mapping[Doi, tuple[Decision, ...]]
    progress: Progress
    full: bool
    outcome: Outcome

    @property
    def today(self) -> date:
        """The day the run started, UTC."""
        return self.started.date()

    @property
    def quiet_pages(self) -> int:
        """How many pages in a row without a match end the reading of a search."""
        return standing_searches.QUIET_FULL if self.full else standing_searches.QUIET

    @property
    def bookmark(self) -> str:
        """From which index date (ISO) a source that this run harvests to its end may be read next time. Index dates are the
        provider's, so its clock counts where ours is ahead of it."""
        began = min(self.started, self.records.date or self.started)
        return (began.date() - BOOKMARK_OVERLAP).isoformat()
