"""The status of the database as text. Values in, text out; no SQL, no terminal, no clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evidence.data_model import PROVIDER_LABELS
from evidence.export.prisma_report import search_depth
from evidence.export.wording import abstract_source_label, count_noun, first_few, in_words, work_name

_VERDICTS = {
    "include": "included",
    "exclude": "excluded",
    "unsure": "waiting for a decision",
    "duplicate": "duplicate records",
}

_RECORD_SOURCES = {
    "crossref": "Crossref",
    "snapshot": "the bundled snapshot",
    "backfill": "Crossref's public data file",
}


def status_report(state: dict[str, Any]) -> str:
    """The text of `evidence status`; `state` is `read_queries.status`."""
    run = state["last_run"]
    records = run and _RECORD_SOURCES.get(run["door"], run["door"])
    lines = [f"Last run: {run['outcome']}, {run['started']}, from {records}." if run else "No sync yet."]
    lines.append(
        f"Works: {_verdict_counts(state['works'])}. "
        f"Decisions to look at again: {state['decisions_to_check']:,}. "
        f"Records that could not be read: {state['rejects']:,}."
    )
    if state["notices"]:
        counts = ", ".join(f"{kind.replace('-', ' ')} {n:,}" for kind, n in state["notices"].items())
        lines.append(f"Works by their most serious notice: {counts}.")
    if state["gone"]:
        lines.append(f"No longer in Crossref: {count_noun(len(state['gone']), 'work')}.")
        lines += [f"  since {row['gone']}: {work_name(row['doi'], row['title'])}" for row in state["gone"]]
    depths = {row["source"]: search_depth(row) for row in state["searches"]}
    lines += [
        f"Source {s['source']}: {count_noun(s['works'], 'work')}"
        + "".join(f" — {text}" for text in (s["trouble"], s["warning"], depths.get(s["source"])) if text)
        for s in state["sources"]
    ]
    never = [row["provider"] for row in state["providers"] if not row["asked_at"] and not row["could_not_ask"]]
    lines += [provider_state(row) for row in state["providers"] if row["provider"] not in never]
    if never:
        lines.append(f"Not asked about any work: {in_words([PROVIDER_LABELS[name] for name in never])}.")
    if state["abstracts"]:
        lines.append(f"Abstracts of included works and those waiting: {_abstract_counts(state['abstracts'])}.")
    if dois := state["decisions_without_work"]:
        lines.append(decisions_without_work(dois))
    for c in state["citations"]:
        status = c["status"].replace("-", " ").replace("doi", "DOI")
        lines.append(f"Citation {c['position']} of {c['source']} ({status}): {c['problem']}")
    return "\n".join(lines)


def _abstract_counts(rows: Sequence[Mapping[str, Any]]) -> str:
    """`12 from PubMed, 242 without one`; rows of `read_queries.abstract_sources`."""
    counts = {row["source"]: row["concerned"] for row in rows if row["concerned"]}
    without = counts.pop(None, 0)
    return ", ".join(
        [f"{n:,} from {abstract_source_label(source)}" for source, n in counts.items()] + [f"{without:,} without one"]
    )


def provider_state(row: Mapping[str, Any]) -> str:
    """What a provider was asked about the included and unsure works; `row` is one of `read_queries.provider_states`."""
    label = PROVIDER_LABELS.get(row["provider"], row["provider"])
    parts = [f"{count_noun(row['found'], 'work')} with a record", f"{row['none']:,} without"]
    if row["refused"]:
        parts.append(f"{row['refused']:,} with the record of another work, which was refused")
    if row["could_not_ask"]:
        parts.append(
            f"{row['could_not_ask']:,} could not be asked about since {row['failed_since'][:10]} "
            f"({(row['problem'] or 'no reason given').rstrip('.')})"
        )
    if row["not_asked"]:
        parts.append(f"{row['not_asked']:,} not asked about")
    when = f", last answer {row['asked_at'][:10]}" if row["asked_at"] else ""
    return f"{label[:1].upper()}{label[1:]}: {', '.join(parts)}{when}."


def decisions_without_work(dois: Sequence[str]) -> str:
    """A sentence on decisions about works that are not in the database; `dois` has at least one."""
    one = len(dois) == 1
    about, when = ("a DOI", "that work is") if one else (f"{len(dois):,} DOIs", "those works are")
    return (
        f"There are decisions on {about} that no work in the database has: {first_few(dois)}. "
        f"They are kept and apply once {when} harvested."
    )


def _verdict_counts(works: Mapping[str, int]) -> str:
    named = [f"{works[verdict]:,} {words}" for verdict, words in _VERDICTS.items() if works.get(verdict)]
    others = [f"{n:,} {verdict}" for verdict, n in works.items() if verdict not in _VERDICTS]
    return ", ".join(named + others) or "none"
