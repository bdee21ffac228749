"""What a backfill did, as text. Counts in, text out; no SQL, no terminal, no clock."""

from __future__ import annotations

from evidence.export.sync_summary import sync_summary
from evidence.export.wording import count_noun
from evidence.harvest.backfill import BackfillCounts
from evidence.harvest.run_outcome import Outcome

MOST_LINES = 20
"""How many files that could not be read are named."""


def backfill_summary(outcome: Outcome, counts: BackfillCounts) -> str:
    """The text of `evidence backfill`."""
    read = counts.files - counts.before - len(counts.troubles)
    lines = [
        f"{count_noun(counts.files, 'file')}: {read:,} read, {counts.before:,} read before"
        + (f", {len(counts.troubles):,} not read to the end" if counts.troubles else "")
        + f"; {count_noun(counts.records, 'record')} read, {counts.matched:,} match the searches."
    ]
    if counts.again:
        lines.append(
            f"{count_noun(counts.again, 'file')} had been read before with other searches or reference lists, so "
            f"{'it was' if counts.again == 1 else 'they were'} read again."
        )
    if outcome.run:
        lines.append(sync_summary(outcome))
        lines.append(
            "References without a DOI are looked for among the records found only; a sync asks Crossref about them."
        )
    elif not counts.troubles:
        lines.append("Nothing new: all files were read before with these searches.")
    lines += [f"Not read: {text}" for text in counts.troubles[:MOST_LINES]]
    if more := counts.troubles[MOST_LINES:]:
        lines.append(f"Not read: {len(more):,} more.")
    return "\n".join(lines)


def as_counts(outcome: Outcome, counts: BackfillCounts) -> dict[str, object]:
    """The same as values for programs."""
    return outcome.counts() | {
        "outcome": outcome.outcome,
        "run": outcome.run or None,
        "files": counts.files,
        "files_read_before": counts.before,
        "files_read_again": counts.again,
        "records": counts.records,
        "matched": counts.matched,
        "not_read": list(counts.troubles),
    }
