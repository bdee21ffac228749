"""What a sync did, as text. An `Outcome` in, text out; no SQL, no terminal, no clock."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from evidence.data_model import PROVIDER_LABELS
from evidence.export.changes_report import change_counts, notable_changes
from evidence.export.wording import MOST_NAMED, count_noun, first_few, work_name

if TYPE_CHECKING:
    from evidence.harvest.run_outcome import Outcome

_REQUEST = re.compile(r" \((?:asked \S+(?:, [\w ]+)?|not asked again in this run)\)")
"""What the client appends to a message: the address it asked, which differs from source to source."""

CITATION_STATUSES = {
    "resolved": "resolved",
    "repaired": "repaired",
    "matched": "found by their text",
    "mismatch": "with the DOI of another work",
    "ambiguous": "ambiguous",
    "not-in-crossref": "registered elsewhere",
    "not-found": "with a DOI that leads nowhere",
    "not-in-files": "not in these files",
    "no-doi": "without a DOI",
}
"""What follows the count of citations with each status."""


def sync_summary(outcome: Outcome, watched: Sequence[str] = ()) -> str:
    """What a run did: notable changes first, then citations, records, verdicts, warnings and the sources that stopped. `watched`
    are lines on the watches that have news."""
    lines = notable_changes(outcome.changes.named)
    parts = [citation_counts(outcome.citations)] if outcome.citations else []
    if outcome.read is not None:
        parts.append(f"{count_noun(outcome.read, 'record')} read")
    parts.append(f"{count_noun(len(outcome.matched), 'record')} matched the searches")
    lines.append("; ".join(parts) + ".")
    lines += [f"Compared anew, {source}: {text.rstrip('.')}." for source, text in outcome.compared_anew]
    if outcome.changes.counts:
        lines.append(f"Changes: {change_counts(outcome.changes.counts)}.")
    elif outcome.outcome == "complete":
        lines.append(f"Nothing new: {_what_was_written(outcome)}.")
    lines += watched
    if rejects := outcome.written.rejects:
        lines.append(f"{count_noun(rejects, 'record')} could not be read; the reason is in the table `rejects`.")
    if outcome.unfound:
        works = [work_name(doi, title) for doi, title in outcome.unfound]
        lines.append(
            f"{count_noun(len(works), 'work')} no longer found by a source that found {'it' if len(works) == 1 else 'them'} "
            f"before (kept and marked): {first_few(works)}."
        )
    if outcome.rejudged:
        lines.append(f"{count_noun(outcome.rejudged, 'work')} judged again, because rules or decisions changed.")
    lines.append(_verdict_counts(outcome))
    if outcome.known_total:
        missing = f"; not found: {', '.join(outcome.known_missing)}" if outcome.known_missing else ""
        lines.append(f"Search health: {outcome.known_found} of {outcome.known_total} known works found{missing}.")
    lines += _providers(outcome)
    if outcome.requests:
        lines.append(f"{count_noun(outcome.requests, 'request')} to Crossref, {outcome.bytes / 1e6:.1f} MB.")
    lines += [f"Warning, {source}: {text}" for source, text in outcome.warnings]
    lines += _stopped_sources(outcome.troubles)
    if outcome.outcome != "complete":
        lines.append(f"The run ended as {outcome.outcome}: the next sync harvests the stopped sources again.")
    return "\n".join(lines)


def enrich_summary(outcome: Outcome) -> str:
    """What asking other providers did: notable changes first, then what each provider answered, then the works."""
    lines = notable_changes(outcome.changes.named)
    lines += _providers(outcome) or ["Nothing new: every work was asked about lately, or the files hold none of them."]
    if outcome.rejudged:
        lines.append(f"{count_noun(outcome.rejudged, 'work')} judged again with what they answered.")
    if outcome.changes.counts:
        lines.append(f"Changes: {change_counts(outcome.changes.counts)}.")
    lines.append(_verdict_counts(outcome))
    return "\n".join(lines)


def _providers(outcome: Outcome) -> list[str]:
    """What each provider answered: `PubMed: 9 asked about, 7 with a record, 2 without, 3 requests.`"""
    lines = []
    for name, counts in outcome.providers.items():
        asked = counts["found"] + counts["none"] + counts["refused"]
        parts = [f"{asked:,} asked about"]
        if asked:
            parts += [f"{counts['found']:,} with a record", f"{counts['none']:,} without"]
        if counts["refused"]:
            parts.append(f"{counts['refused']:,} with the record of another work, which was refused")
        if counts["requests"]:
            parts.append(count_noun(counts["requests"], "request"))
        label = PROVIDER_LABELS[name]
        lines.append(f"{label[:1].upper()}{label[1:]}: {', '.join(parts)}.")
        if counts["failed"]:
            problem = outcome.provider_problems.get(name)
            lines.append(
                f"Warning, {label}: {counts['failed']:,} could not be asked about, so nothing is known of them there; the next "
                f"sync asks again." + (f" Reason: {problem}." if problem else "")
            )
    return lines


def citation_counts(counts: Counter[str]) -> str:
    """`9 citations: 7 resolved, 1 repaired, 1 without a DOI`."""
    phrases = [f"{counts[status]:,} {words}" for status, words in CITATION_STATUSES.items() if counts[status]]
    return f"{count_noun(counts.total(), 'citation')}: {', '.join(phrases)}"


def _what_was_written(outcome: Outcome) -> str:
    """What a run without changes wrote: nothing about works, or only what does not count as a change."""
    written = outcome.written
    wrote = written.new or written.changed or written.moved or written.gone or written.back or written.sightings
    if wrote or outcome.rejudged or outcome.gone:
        return "records were updated, but nothing that counts as a change of a work"
    return "no record, verdict or tag has changed"


def _verdict_counts(outcome: Outcome) -> str:
    counts = outcome.verdicts
    duplicates = f", {count_noun(counts['duplicate'], 'duplicate record')}" if counts.get("duplicate") else ""
    return (
        f"{count_noun(sum(counts.values()), 'work')} in the database: {counts.get('include', 0):,} included, "
        f"{counts.get('exclude', 0):,} excluded, {counts.get('unsure', 0):,} waiting for a decision{duplicates}."
    )


def _stopped_sources(troubles: Sequence[tuple[str, str]]) -> list[str]:
    """Why sources stopped: one line for each reason, without the addresses that were asked."""
    reasons: dict[str, list[str]] = {}
    for source, text in troubles:
        reasons.setdefault(_REQUEST.sub("", text), []).append(source)
    return [f"Stopped, {_source_names(sources)}: {text}" for text, sources in reasons.items()]


def _source_names(sources: Sequence[str]) -> str:
    """The first names of a long list, and how many more there are; `evidence status` has the whole list."""
    more = len(sources) - MOST_NAMED
    return ", ".join(sources) if more < 2 else f"{', '.join(sources[:MOST_NAMED])} and {more} more"
