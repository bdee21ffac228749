"""Asking other providers what they add to the works: which works are due at which provider, and what is written of the answers.

A work is asked about until a provider has answered, and again after some days, because records change and retractions come. What
could not be asked is due again in the next run. Every batch of answers is one transaction, so a run that is killed loses
nothing and asks nothing twice. May not read a provider's record beyond the PubMed identifier that the next provider needs; no
SQL here, no HTTP, no printing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from evidence.data_model import ABOUT_WORKS, Clock, Doi, ProviderName, iso_time
from evidence.database import read_queries
from evidence.database.values_for_writer import ProviderStep
from evidence.database.writer import Store
from evidence.errors import RecordError
from evidence.harvest import rejudge
from evidence.harvest.progress import Progress
from evidence.harvest.run_outcome import Outcome
from evidence.providers.answers import Provider, Wanted
from evidence.providers.combine import describe
from evidence.rules.taxonomy import Taxonomy

RECHECK_DAYS: Mapping[ProviderName, int] = {
    "europepmc": 6,
    "pubmed": 6,
    "openalex": 90,
    "datacite": 90,
    "clinicaltrials": 30,
}
"""Days after which a work is asked about again. The two that report retractions cost one request or less for a hundred works, so
a weekly sync asks them each time; OpenAlex costs one request a work."""

_NEVER_STALE = ""
_ALWAYS_STALE = "9999"


@dataclass(frozen=True, slots=True)
class EnrichRun:
    """What asking needs of a run: its number, the database, the rules, the clock. Counts are added to `outcome`."""

    number: int
    store: Store
    taxonomy: Taxonomy
    now: Clock
    progress: Progress
    outcome: Outcome


def ask_providers(run: EnrichRun, providers: Sequence[Provider], *, again: bool = False) -> int:
    """Ask these providers about every work that is due, and judge the works again that got a new record. `again`: all works are
    due, whenever they were last asked about. Returns how many works were judged again."""
    judged = 0
    pmids: dict[Doi, str] = {}
    about_works = [p for name in ABOUT_WORKS for p in providers if p.name == name]
    if sum(_ask(run, p, due(run.store, p, run.now(), pmids, again=again), pmids) for p in about_works):
        judged = rejudge.rejudge_and_deduplicate(run.store, run.taxonomy, run.number, run.progress, moved=True)[0]
        run.outcome.verdicts = read_queries.verdict_counts(run.store.conn)
    for provider in providers:
        if provider not in about_works:
            _ask(run, provider, due(run.store, provider, run.now(), again=again), {})
    rejudge.read_provider_tables(run.store)
    return judged


def due(
    store: Store,
    provider: Provider,
    now: datetime,
    pmids: Mapping[Doi, str] | None = None,
    *,
    again: bool = False,
) -> list[Wanted]:
    """What this provider is to be asked about at this moment, in order. `pmids` are PubMed identifiers that are newer than those
    in the database."""
    times = (iso_time(now), _ALWAYS_STALE if again else _stale_before(store, provider, now))
    if provider.name == "clinicaltrials":
        return [Wanted(number) for number in read_queries.registrations_to_ask_about(store.conn, provider.name, *times)]
    if provider.name == "datacite":
        return [Wanted(doi) for doi in read_queries.foreign_dois_to_ask_about(store.conn, provider.name, *times)]
    known = pmids or {}
    return [
        Wanted(row["doi"], row["title"], row["year"], row["kind"], known.get(row["doi"]) or row["pmid"])
        for row in read_queries.works_to_ask_about(store.conn, provider.name, *times)
    ]


def _stale_before(store: Store, provider: Provider, now: datetime) -> str:
    """The time (ISO) before which an answer is too old. A file is asked again when it has changed."""
    if provider.name in RECHECK_DAYS and provider.edition is None:
        return iso_time(now - timedelta(days=RECHECK_DAYS[provider.name]))
    unchanged = read_queries.last_step_of(store.conn, provider.name) == provider.edition
    return _NEVER_STALE if unchanged else _ALWAYS_STALE


def _ask(run: EnrichRun, provider: Provider, wanted: Sequence[Wanted], pmids: dict[Doi, str]) -> int:
    """Ask about these subjects and write the answers; adds the PubMed identifiers that Europe PMC states to `pmids`. Returns how
    many records are new or have changed."""
    if not wanted:
        return 0
    counts: Counter[str] = Counter()
    requests, received = provider.requests, provider.bytes
    changed = done = 0
    for batch in provider.ask(wanted):
        asked_at = run.now()
        next_tries = {
            answer.subject: iso_time(asked_at + timedelta(seconds=answer.retry_after or 0))
            for answer in batch.answers
            if answer.state == "failed"
        }
        step = ProviderStep(provider.name, batch, iso_time(asked_at), next_tries)
        changed += len(run.store.write_provider_step(run.number, step))
        counts.update(answer.state for answer in batch.answers)
        for answer in batch.answers:
            if answer.state == "failed" and answer.problem:
                run.outcome.provider_problems.setdefault(provider.name, answer.problem)
            if provider.name == "europepmc" and answer.record is not None and (pmid := _pmid(answer.record)):
                pmids[Doi(answer.subject)] = pmid
        done += len(batch.answers)
        run.progress.step(provider.name, done, len(wanted))
    counts["requests"] += provider.requests - requests
    if counts.total():
        run.outcome.providers[provider.name] = counts
    run.outcome.bytes += provider.bytes - received
    return changed


def _pmid(record: str) -> str | None:
    try:
        found = describe("europepmc", record).identifiers
    except RecordError:
        return None
    return next((one.value for one in found if one.kind == "pmid"), None)
