"""What happened, in words and tables for people. Pure text from values: no SQL, no terminal, no clock."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from evidence.database import change_log
from evidence.database.prisma_flow import Flow

if TYPE_CHECKING:  # the site says how deep searches were read, and needs nothing of a sync for it
    from evidence.harvest.sync import Outcome

_ASKED = re.compile(r" \((?:asked \S+(?:, [\w ]+)?|not asked again in this run)\)")

CITATION_WORDS = {
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
"""How a summary says each verdict on a citation."""

RELATIONS = {
    "own": "an earlier DOI of it",
    "record": "another record of it",
    "article": "the article it is a preprint of",
    "preprint": "its preprint",
}
"""How the DOI that a notice was issued for belongs to the work that shows it."""


CHANGE_WORDS = {
    "notice": ("notice", "notices"),
    "notice-ended": ("notice taken back", "notices taken back"),
    "reopened": ("decision to look at again", "decisions to look at again"),
    "gone": ("gone from Crossref", "gone from Crossref"),
    "back": ("in Crossref again", "in Crossref again"),
    "verdict": ("verdict turned", "verdicts turned"),
    "duplicate": ("found to be a duplicate", "found to be duplicates"),
    "moved": ("moved to another DOI", "moved to another DOI"),
    "content": ("changed record", "changed records"),
    "new": ("new", "new"),
    "tags": ("with other tags", "with other tags"),
}
"""How a count of each kind of change is said, of one and of more."""

HEADINGS = {
    "notice": "Newly retracted, corrected or doubted",
    "notice-ended": "Notices taken back",
    "reopened": "Decisions to look at again",
    "gone": "No longer in Crossref",
    "back": "In Crossref again",
    "verdict": "Verdicts that turned",
    "duplicate": "Found to be another record of a work",
    "moved": "Moved to another DOI",
    "content": "Changed in title, abstract, authors, journal, date or type",
    "new": "New",
    "tags": "With other tags",
}
"""What stands above the changes of each kind."""

_REASONS = 8
"""How many reasons for exclusion the flow names."""

_NAMED = 5
"""How many DOIs a line of the summary names."""


def summary(outcome: Outcome) -> str:
    """What a run did, for a person: what changed in standing first, then citations, records, verdicts and troubles."""
    lines = turned(outcome.changes)
    parts = [citations(outcome.citations)] if outcome.citations else []
    if outcome.read is not None:
        parts.append(f"{_n(outcome.read, 'record')} read")
    parts.append(f"{_n(len(outcome.matched), 'record')} matched the searches")
    lines.append("; ".join(parts) + ".")
    if outcome.changes:
        lines.append(f"Changes: {counted(change_log.counts_by_kind(outcome.changes))}.")
    elif outcome.outcome == "complete":
        landed = outcome.landed
        wrote = landed.new or landed.changed or landed.moved or landed.gone or landed.back or landed.sightings
        nothing = "no row of the evidence changed" if not (wrote or outcome.rejudged or outcome.gone) else (
            "what was written changes nothing that readers are told"
        )  # fmt: skip
        lines.append(f"Nothing new: {nothing}.")
    if outcome.landed.rejects:
        lines.append(f"{_n(outcome.landed.rejects, 'record')} could not be understood and wait in `rejects`.")
    if outcome.unfound:
        lines.append(
            f"{_n(len(outcome.unfound), 'work')} no longer found by a source that had led to it (kept, and marked): "
            f"{_list([_named(doi, title) for doi, title in outcome.unfound])}."
        )
    if outcome.rejudged:
        lines.append(f"{_n(outcome.rejudged, 'work')} judged again under changed rules or decisions.")
    included, unsure = outcome.verdicts.get("include", 0), outcome.verdicts.get("unsure", 0)
    lines.append(
        f"{sum(outcome.verdicts.values())} works in the database: {included} included, "
        f"{outcome.verdicts.get('exclude', 0)} excluded, {unsure} waiting for a person{_duplicates(outcome)}."
    )
    if outcome.known_total:
        missing = f"; not found: {', '.join(outcome.known_missing)}" if outcome.known_missing else ""
        lines.append(f"Search health: {outcome.known_found} of {outcome.known_total} known works found{missing}.")
    if outcome.requests:
        lines.append(f"{_n(outcome.requests, 'request')} to Crossref, {outcome.bytes / 1e6:.1f} MB.")
    lines += [f"Warning, {source}: {text}" for source, text in outcome.warnings]
    lines += _stopped(outcome.troubles)
    if outcome.outcome != "complete":
        lines.append(f"The run ended {outcome.outcome}: what stopped is asked again by the next sync.")
    return "\n".join(lines)


def turned(rows: Sequence[dict[str, Any]]) -> list[str]:
    """What changed in the standing of works, gravest first: a line for each notice and each work that went, came back or
    moved; works whose verdict turned alike, and decisions to look at again, share one. `rows` are of `catalogue.changes`."""
    lines: list[str] = []
    for what, group in groupby(rows, lambda row: row["what"]):
        found = list(group)
        if what == "verdict":
            lines += _verdicts(found)
        elif what == "reopened":
            again = _n(len(found), "decision")
            lines.append(
                f"{again} to look at again (`evidence decisions conflicts`): {_list([row['doi'] for row in found])}."
            )
        elif what == "duplicate":
            named = [f"{_named(row['doi'], row['title'])} (now {row['after']})" for row in found]
            lines.append(f"{_n(len(found), 'work')} found to be another record of a work: {_list(named)}.")
        elif what not in ("content", "new", "tags"):
            lines += [change(row) for row in found]
    return lines


def counted(counts: Mapping[str, int]) -> str:
    """`1 notice, 2 verdicts turned, 9 new`: numbers of changes by kind, gravest first; `nothing` where there is none."""
    said = [
        f"{counts[what]:,} {CHANGE_WORDS[what][counts[what] != 1]}" for what in change_log.KINDS if counts.get(what)
    ]
    return ", ".join(said) or "nothing"


def change(row: Mapping[str, Any]) -> str:
    """One change of a work as a sentence; `row` is one of `catalogue.changes`."""
    named, before, after = _named(row["doi"], row["title"]), row["before"], row["after"]
    match row["what"]:
        case "notice":
            return _noticed(row)
        case "notice-ended":
            return f"Taken back, {change_log.parse_notice(before, row['doi']).kind}: {named}"
        case "reopened":
            return f"To look at again: {named} ({after})"
        case "gone":
            return f"No longer in Crossref since {after}: {named} (kept, and marked)."
        case "back":
            return f"In Crossref again: {named}."
        case "verdict":
            return f"{before} → {after}: {named}"
        case "duplicate":
            return f"Another record of {after} ({before} before): {named}"
        case "moved":
            return f"{before} leads to {named} now."
        case "tags":
            return f"{'; '.join([*_each('+', after), *_each('−', before)])}: {named}"
        case "new":
            return f"{after.partition(' ')[0]}: {named}"
    return named


def label(row: Mapping[str, Any]) -> str:
    """What happened to a work in a few words, where its title stands beside: `retraction`, `include → exclude`, `changed`."""
    before, after = row["before"], row["after"]
    match row["what"]:
        case "notice":
            notice = change_log.parse_notice(after, row["doi"])
            return f"{notice.kind.replace('-', ' ')}{' of its preprint' if notice.relation == 'preprint' else ''}"
        case "notice-ended":
            return f"{change_log.parse_notice(before, row['doi']).kind.replace('-', ' ')} taken back"
        case "reopened":
            return "decision to look at again"
        case "gone":
            return f"no longer in Crossref since {after}"
        case "back":
            return "in Crossref again"
        case "verdict":
            return f"{before} → {after}"
        case "duplicate":
            return f"another record of {after}"
        case "moved":
            return f"was {before}"
        case "content":
            return "changed"
        case "tags":
            return "; ".join([*_each("+", after), *_each("−", before)])
    return str(row["what"])


def _each(sign: str, tags: str | None) -> list[str]:
    return [f"{sign}{tag}" for tag in (tags or "").split("; ") if tag]


def _verdicts(rows: Sequence[dict[str, Any]]) -> list[str]:
    """`2 works went from include to exclude: …`, a line for each way; that of included works first."""
    ways: dict[tuple[str, str], list[str]] = {}
    for row in sorted(rows, key=lambda row: "include" not in (row["before"], row["after"])):
        ways.setdefault((row["before"], row["after"]), []).append(_named(row["doi"], row["title"]))
    return [
        f"{_n(len(named), 'work')} went from {before} to {after}: {_list(named)}."
        for (before, after), named in ways.items()
    ]


def _list(named: Sequence[str]) -> str:
    """The first few of them; the whole list is what `evidence report changes` and the tables are for."""
    return "; ".join(named[:_NAMED]) + (" …" if len(named) > _NAMED else "")


def _named(doi: str, title: str | None) -> str:
    return f"{doi}: {title}" if title else doi


def _years(spec: str | None) -> str:
    first, last = json.loads(spec or "[null, null]")
    return f"{first or ''}–{last or ''}" if first or last else "any"


def _stopped(troubles: Sequence[tuple[str, str]]) -> list[str]:
    """Why sources stopped: those that stopped for one reason on one line, without the addresses that were asked."""
    reasons: dict[str, list[str]] = {}
    for source, text in troubles:
        reasons.setdefault(_ASKED.sub("", text), []).append(source)
    return [f"Stopped, {_some(sources)}: {text}" for text, sources in reasons.items()]


def _some(sources: Sequence[str]) -> str:
    """The first names of a long list, and how many more: the whole of it is in `evidence status`."""
    more = len(sources) - _NAMED
    return ", ".join(sources) if more < 2 else f"{', '.join(sources[:_NAMED])} and {more} more"


def _duplicates(outcome: Outcome) -> str:
    found = outcome.verdicts.get("duplicate", 0)
    return f", {_n(found, 'duplicate record')}" if found else ""


def citations(counts: Counter[str]) -> str:
    """`9 citations: 7 resolved, 1 repaired, 1 without a DOI`."""
    said = [f"{counts[status]} {words}" for status, words in CITATION_WORDS.items() if counts[status]]
    return f"{_n(counts.total(), 'citation')}: {', '.join(said)}"


def explanation(work: dict[str, Any]) -> str:
    """Why a work is in or out, with the words: the text of `evidence explain`."""
    lines = [f"{work['title'] or '(no title deposited)'}", f"{_source_line(work)}", work["url"] or work["doi"], ""]
    lines.append(f"Verdict: {work['verdict']} ({_by(work['decided'])}, judged on {work['judged_on']}). {work['why']}")
    lines += [f"  {_quoted(work, r)}" for r in work["reasons"] if r["facet"] == "verdict"]
    if work["gone"]:
        lines.append(f"No longer in Crossref since {work['gone']}; kept as it was last deposited.")
    if work["aliases"]:
        lines.append(f"DOIs that lead here: {', '.join(work['aliases'])}.")
    if work["same_as"]:
        lines.append(f"A record of the same work as https://doi.org/{work['same_as']}, which counts.")
    lines += [
        f"  {pair['verdict']} ({_by(pair['decided'])}): {_other(pair, work['doi'])}: {pair['reason']}"
        for pair in work["duplicates"]
    ]
    if work["notices"]:
        lines.append("Notices:")
        lines += [
            " ".join(
                filter(None, (f"  {n['kind']}", n["issued"], n["notice_doi"], f"(from {n['evidence']})", _stands(n)))
            )
            for n in work["notices"]
        ]
    lines.append("Tags:" if work["tags"] else "Tags: none.")
    for tag in work["tags"]:
        lines.append(f"  {tag['facet']}: {tag['value']} ({_by(tag['decided'])})")
        lines += [
            f"      {_quoted(work, r)}"
            for r in work["reasons"]
            if (r["facet"], r["value"]) == (tag["facet"], tag["value"])
        ]
    lines.append("Led here by:")
    lines += [
        f"  {s['label']} ({s['via']}{', rank ' + str(s['rank']) if s['rank'] else ''}), first {s['since'][:10]}"
        + (", no longer" if s["gone"] else "")
        for s in work["sources"]
    ]
    return "\n".join(lines)


def status(state: dict[str, Any]) -> str:
    """The text of `evidence status`."""
    run = state["last_run"]
    lines = [f"Last run: {run['outcome']}, {run['started']}, from {run['door']}." if run else "No run yet."]
    works = ", ".join(f"{n} {verdict}" for verdict, n in state["works"].items()) or "none"
    lines.append(
        f"Works: {works}. Waiting for a person: {state['waiting']}. "
        f"Decisions to look at again: {state['decisions_to_check']}. Not understood: {state['rejects']}."
    )
    if state["notices"]:
        lines.append("Notices: " + ", ".join(f"{n} {kind}" for kind, n in state["notices"].items()) + ".")
    if state["gone"]:
        lines.append(f"No longer in Crossref: {_n(len(state['gone']), 'work')}.")
        lines += [f"  since {row['gone']}: {_named(row['doi'], row['title'])}" for row in state["gone"]]
    depths = {row["source"]: depth(row) for row in state["searches"]}
    lines += [
        f"Source {s['source']}: {s['works']} works"
        + "".join(f" — {text}" for text in (s["trouble"], s["warning"], depths.get(s["source"])) if text)
        for s in state["sources"]
    ]
    if without := state["decisions_without_work"]:
        lines.append(without_work(without))
    lines += [f"Citation {c['source']} {c['position']} is {c['status']}: {c['problem']}" for c in state["citations"]]
    return "\n".join(lines)


def without_work(dois: Sequence[str]) -> str:
    """A sentence on decisions that apply to no work in the database."""
    named = ", ".join(dois[:_NAMED]) + (" …" if len(dois) > _NAMED else "")
    return f"Decisions on {_n(len(dois), 'DOI')} that no work in the database has (kept; they apply when it comes): {named}."


def depth(row: dict[str, Any]) -> str:
    """How deep a search was last read whole, and what that leaves open; `row` is one of `searches_read`."""
    if row["ended"] == "unread":
        return "not yet read to its end at Crossref"
    read = f"{row['reached']:,} of {row['total']:,} ranked records"
    if row["ended"] == "unfinished":
        return f"not yet read to its end: read {read} so far"
    part = ""
    if row["windows"] > 1:
        read, part = f"{read} in {row['windows']} parts by day of creation", " of its part"
    if row["last_match"] is None:
        last = "none matched"
    else:
        last = f"last match at rank {row['last_match']:,}{part}; {row['recent']:,} of the last 1,000 matched"
    left = {
        "complete": "all were read",
        "quiet": "that it ends there is a guess, a match further down would not have been seen",
        "cut": f"not complete: {row['unread']:,} that match the query were not read",
    }
    later = row["quiet_increments"]
    return f"read {read}; {last}; {left[row['ended']]}" + (
        f"; {_n(later, 'later increment')} ended at such a guess too" if later else ""
    )


def searches(rows: Sequence[dict[str, Any]]) -> str:
    """The text of `evidence report prisma-s`: each search as it was run, in the order PRISMA-S asks."""
    lines = []
    for row in rows:
        also = ", ".join(json.loads(row["also"] or "[]"))
        lines += [
            f"{row['label']} ({row['source']})",
            f"  database: {'Crossref REST API' if row['door'] == 'crossref' else row['door']}",
            f"  query: {row['query']}",
            f"  limits: {row['filters'] or 'no filter'}; years {_years(row['years'])}",
            f"  must say: {', '.join(json.loads(row['phrases'] or '[]'))}{f'; and also: {also}' if also else ''}",
            f"  run: {row['first_asked']} to {row['last_asked']}, {_n(row['requests'], 'request')}, {row['scanned']} rows read",
            f"  works it leads to: {row['works']}",
            *([f"  depth: {depth(row['depth'])}"] if row["depth"] else []),
        ]
    return "\n".join(lines) or "No search has been run yet."


def flow(found: Flow) -> str:
    """The text of `evidence report prisma`: the boxes of the PRISMA 2020 flow diagram, parts indented, empty parts left out."""
    lines = [
        f"{box['n']:>7}  {'  ' * found.depth(box['key'])}{box['box']}"
        for box in found.boxes
        if box["n"] or box["part_of"] is None
    ]
    lines += ["", "Identified through:"]
    lines += [f"{s['n']:>7}  {s['label']}{' (no longer a source)' if s['retired'] else ''}" for s in found.sources]
    lines += ["", "Excluded because:"] if found["excluded"] else []
    lines += [f"{n:>7}  {why or 'other reasons'}" for why, n in found.reasons(_REASONS)]
    if found.recorded_from:
        lines += [
            "",
            f"Verdicts have been recorded since {found.recorded_from[:10]}; those of that day stand for earlier ones.",
        ]
    return "\n".join(lines)


def changes(rows: Sequence[dict[str, Any]]) -> str:
    """The text of `evidence report changes`: how many of each kind, then one change a line, gravest first."""
    if not rows:
        return "Nothing is new or changed."
    lines = [f"{counted(change_log.counts_by_kind(rows))}."]
    for what, group in groupby(rows, lambda row: row["what"]):
        found = list(group)
        lines += ["", f"{HEADINGS[what]} ({len(found):,}):", *(f"  {change(row)}" for row in found)]
    return "\n".join(lines)


def snowball(found: Sequence[dict[str, Any]], least: int) -> str:
    """The text of `evidence snowball`: how often cited, and the DOI's address."""
    if not found:
        return f"No work outside the database is cited by {_n(least, 'included work')} or more."
    return "\n".join(f"{row['cited_by']:>5}  https://doi.org/{row['doi']}" for row in found)


def _noticed(row: Mapping[str, Any]) -> str:
    """`NOTICE retraction of included work 10.1000/x: Title`; where the notice was issued for another DOI, which."""
    doi, notice = row["doi"], change_log.parse_notice(row["after"], row["doi"])
    work = {"include": "included work", "unsure": "work waiting for a decision"}.get(row["verdict"], "work")
    if notice.relation == "preprint":
        return f"NOTICE {notice.kind} of {notice.stands_on}, a preprint of {work} {_named(doi, row['title'])}"
    where = "" if notice.stands_on == doi else f" (on {notice.stands_on}, {RELATIONS[notice.relation]})"
    return f"NOTICE {notice.kind} of {work} {_named(doi, row['title'])}{where}"


def _stands(notice: dict[str, Any]) -> str:
    """On which DOI a notice stands, where it is not the work's own, and whether it was taken back."""
    elsewhere = notice["stands_on"] != notice["doi"]
    on = f"on {notice['stands_on']}, {RELATIONS[notice['relation']]}" if elsewhere else ""
    return "; ".join(filter(None, (on, "taken back by a reinstatement" if notice["undone"] else "")))


def _source_line(work: dict[str, Any]) -> str:
    return ". ".join(str(part) for part in (work["authors"], work["container"], work["issued"]) if part)


def _quoted(work: dict[str, Any], reason: dict[str, Any]) -> str:
    """The words in their sentence: a little of the field either side, the quote in brackets."""
    text = work.get(reason["field"])
    if not isinstance(text, str) or text[reason["start"] : reason["stop"]] != reason["quote"]:
        return f"{reason['field']}: “{reason['quote']}” [{reason['rule']}]"
    before, after = text[max(0, reason["start"] - 40) : reason["start"]], text[reason["stop"] : reason["stop"] + 40]
    return f"{reason['field']}: …{before}[{reason['quote']}]{after}… [{reason['rule']}]"


def _other(pair: dict[str, Any], doi: str) -> str:
    return str(pair["other"] if pair["doi"] == doi else pair["doi"])


def _by(decided: str) -> str:
    return "decided by a person" if decided == "person" else "by rule"


def _n(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
