"""Decisions of other screening tools → decisions on the works that are here: each is placed, or named with its line.

A row is about the work of its DOI, else of our own id, else of a citation made of its fields, matched with the care of the
harvest. The ledger is appended to by `record_decision`; nothing else is written."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from evidence import current_decisions as deciding
from evidence import doi as dois
from evidence.data_model import Citation, Clock, Decision, Doi, Work, iso_time
from evidence.database import read_queries
from evidence.database.connection import reading
from evidence.database.read_decisions import read_ledger
from evidence.errors import ConfigError
from evidence.harvest import reference_lists
from evidence.harvest.stored_records import StoredRecords
from evidence.linkage.citation_matching import compare_citation
from evidence.references.given_reference import citation
from evidence.references.imported_record import local_id
from evidence.review import record_decision
from evidence.review.tool_decisions import ReadTool, ToolDecision
from evidence.rules.taxonomy import Taxonomy


@dataclass(frozen=True, slots=True)
class Placed:
    """What an import of decisions did: how many were added, how many were there already, and a sentence with the line on each row
    that could not be placed."""

    added: int
    known: int
    not_placed: tuple[str, ...]


def import_tool(
    db: Path, ledger: Path, taxonomy: Taxonomy, now: Clock, name: str, read: ReadTool, reviewer: str | None
) -> Placed:
    """Append the decisions of a file to the ledger, all that can be placed, and judge their works. `reviewer` is who decided
    where the file does not say. ConfigError when it does not and none is given."""
    nobody = next((each for each in read.decisions if not (each.reviewer or reviewer)), None)
    if nobody is not None:
        raise ConfigError(f"{name}:{nobody.line}: the file does not say who decided; name the reviewer with --by")
    held = read_ledger(ledger)
    with reading(db) as conn:
        placed, not_placed = _placed(conn, name, read.decisions)
        aliases = read_queries.alias_targets(conn, [d.doi for d in held])
        moved = read_queries.representatives(conn, sorted({*placed.values(), *(d.doi for d in held)}))
    moment = iso_time(now())
    made: list[Decision] = []
    known = 0
    before = _by_subject(held, aliases | moved)
    ids = {deciding.decision_id(d) for d in held}
    for number, each in enumerate(read.decisions):
        if number not in placed:
            continue
        for decision in _decisions(each, placed[number], read.tool, reviewer, moment, taxonomy):
            about = deciding.subject(decision, aliases | moved)
            earlier = before.setdefault((about, decision.reviewer), [])
            same = any(
                (d.action, d.verdict, d.reason) == (decision.action, decision.verdict, decision.reason) for d in earlier
            )
            if deciding.decision_id(decision) in ids or (same and each.made_at is None):
                known += 1
                continue
            seen = tuple(sorted(deciding.decision_id(d) for d in earlier if d.made_at <= decision.made_at))
            made.append(replace(decision, seen=seen))
            earlier.append(made[-1])
    added = record_decision.import_decisions(db, ledger, taxonomy, now, made) if made else 0
    return Placed(added, known, not_placed)


def _by_subject(
    held: Sequence[Decision], moved: Mapping[Doi, Doi]
) -> dict[tuple[deciding.Subject, str], list[Decision]]:
    found: dict[tuple[deciding.Subject, str], list[Decision]] = {}
    for decision in held:
        found.setdefault((deciding.subject(decision, moved), decision.reviewer), []).append(decision)
    return found


def _decisions(
    each: ToolDecision, doi: Doi, tool: str, reviewer: str | None, moment: str, taxonomy: Taxonomy
) -> list[Decision]:
    """The decisions that a row makes: a verdict, and each label that is a tag of the taxonomy (`facet:value`)."""
    who, when = each.reviewer or reviewer or "", each.made_at or moment
    known = {f"{facet}:{value}": (facet, value) for facet, value in taxonomy.tags}
    tags = [known[label] for label in each.labels if label in known]
    others = [label for label in each.labels if label not in known]
    reason = replace(each, notes=(*each.notes, *(f"label {label}" for label in others))).why
    made = []
    if each.verdict is not None:
        words = {"include": "included", "exclude": "excluded", "unsure": "maybe"}[each.verdict]
        made.append(_decision(doi, "verdict", each.verdict, None, None, reason or f"{words} in {tool}", who, when))
    made += [_decision(doi, "tag", None, *tag, f"labelled in {tool}", who, when) for tag in dict.fromkeys(tags)]
    return made


def _decision(
    doi: Doi, action: str, verdict: str | None, facet: str | None, value: str | None, reason: str, who: str, when: str
) -> Decision:
    # What the reviewer read was the other tool's text, so neither its digest nor what our rules said of it is known.
    return Decision(doi, action, verdict, facet, value, reason, who, when, None, None)  # type: ignore[arg-type]


# ---------------------------------------------------------------------- which work a row is about


def _placed(
    conn: sqlite3.Connection, name: str, decisions: Sequence[ToolDecision]
) -> tuple[dict[int, Doi], tuple[str, ...]]:
    """The work of each row (by its number), and a sentence on each row without one. A DOI whose work is another one places
    nothing."""
    stored = StoredRecords(conn, everything=True)
    placed: dict[int, Doi] = {}
    problems: dict[int, str] = {}
    asked = {
        number: Citation(name, number, citation(each.fields) or reference_lists.NO_TEXT, each.fields.doi)
        for number, each in enumerate(decisions)
    }
    _resolve([c for c in asked.values() if c.stated_doi], stored, placed, problems)
    own = {n: _own_keys(decisions[n]) for n in asked if n not in placed and n not in problems}
    here = read_queries.known_dois(conn, [key for keys in own.values() for key in keys])
    for number, keys in own.items():
        if key := next((key for key in keys if key in here), None):
            placed[number] = read_queries.canonical_doi(conn, key)
    left = [replace(c, stated_doi=None) for n, c in asked.items() if n not in placed and n not in problems]
    _resolve([c for c in left if c.text != reference_lists.NO_TEXT], stored, placed, problems)
    return placed, tuple(_not_placed(name, decisions[n], problems.get(n)) for n in asked if n not in placed)


def _resolve(
    citations: Sequence[Citation], stored: StoredRecords, placed: dict[int, Doi], problems: dict[int, str]
) -> None:
    """Add the works of these citations, and what speaks against one. A screening tool often keeps no more than title, authors and
    year. Where these agree with one work of the database alone and nothing speaks against it, they place a row."""
    for part in reference_lists.resolve(citations, stored, {}, deposited=True):
        works = {work.doi: work for work in part.works}
        for found in part.resolutions:
            agreeing = [doi for doi in found.candidates if doi in works and _agrees(found.citation.text, works[doi])]
            if found.doi or len(agreeing) == 1:
                placed[found.citation.position] = found.doi or agreeing[0]
            elif found.problem and (found.leads_to or found.status == "ambiguous"):
                problems[found.citation.position] = found.problem


def _agrees(text: str, work: Work) -> bool:
    compared = compare_citation(text, work)
    return compared.same and not compared.against and {"title", "author", "year"} <= set(compared.support)


def _own_keys(each: ToolDecision) -> Collection[Doi]:
    """The keys of a row without a usable DOI, the surest first: our own id, and the local id that the record would have."""
    own = dois.parse_key(each.key)
    return [*([own] if own else []), local_id(each.fields)]


def _not_placed(name: str, each: ToolDecision, problem: str | None) -> str:
    called = (each.fields.title or each.fields.doi or "a row without a title")[:100]
    return f"{name}:{each.line}: {called}: {problem or 'no work in the database agrees with it'}"
