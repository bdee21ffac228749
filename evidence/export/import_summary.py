"""What an import did, as text. Counts in, text out; no SQL, no terminal, no clock."""

from __future__ import annotations

from evidence.export.changes_report import change_counts
from evidence.export.wording import count_noun
from evidence.harvest.import_files import ImportCounts
from evidence.harvest.run_outcome import Outcome

MOST_LINES = 20
"""How many entries that could not be used are named; the table `rejects` has all of them."""


def import_summary(label: str, outcome: Outcome, counts: ImportCounts) -> str:
    """The text of `evidence import`."""
    new = counts.with_doi + counts.local
    lines = [f"{label}: {count_noun(counts.read, 'record')} read, {new:,} new, {counts.known:,} imported before."]
    if new:
        lines.append(
            f"Of the new ones {counts.with_doi:,} have a DOI and {counts.local:,} are kept under a local id; they describe "
            f"{count_noun(len(counts.works), 'work')}, {counts.new_works:,} of them new here."
        )
    if counts.not_asked:
        lines.append(
            f"{count_noun(counts.not_asked, 'record')} still to be asked about at Crossref: the next sync does."
        )
    if counts.trouble:
        lines.append(f"Crossref could not be asked: {counts.trouble}")
    for sentence, said in (("Not usable", counts.unusable), ("Look at", counts.doubts)):
        lines += [f"{sentence}: {text}" for text in said[:MOST_LINES]]
        if more := said[MOST_LINES:]:
            lines.append(f"{sentence}: {len(more):,} more.")
    if outcome.changes.counts:
        lines.append(f"Changes: {change_counts(outcome.changes.counts)}.")
    return "\n".join(lines)


def as_counts(outcome: Outcome, counts: ImportCounts) -> dict[str, object]:
    """The same as values for programs."""
    return outcome.counts() | {
        "outcome": outcome.outcome,
        "read": counts.read,
        "known": counts.known,
        "with_doi": counts.with_doi,
        "local": counts.local,
        "not_asked": counts.not_asked,
        "works": len(counts.works),
        "new_works": counts.new_works,
        "unusable": counts.unusable,
        "doubts": counts.doubts,
    }
