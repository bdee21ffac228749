"""Rules and people's decisions → one judgement on one work.

The rules speak first; a person's newest word beats them and survives every re-run. It reads no clock and no database:
the decisions are handed in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from evidence.decisions import contradictions, current_decisions
from evidence.model import SAME_WORK, Decision, Doi, Judgement, Match, Tag, Work
from evidence.rules.screen import Verdict, screen
from evidence.rules.tag import Texts, tag
from evidence.rules.taxonomy import SCREEN, Rulebook, Ruleset, Said


@dataclass(frozen=True, slots=True)
class Again:
    """What a work says of edited rules' values: `matches` are those of its verdict, if screening was edited."""

    why: str
    matches: tuple[Match, ...]
    tags: tuple[Tag, ...]


def judge(work: Work, book: Rulebook, decisions: Sequence[Decision] = ()) -> Judgement:
    """The judgement on `work`; `decisions` are those on any record of it, and on pairs
    of records that are one now, in any order. Excluded works get no tags by rule,
    nor do those whose title speaks of something else. Of a value that the taxonomy no longer has nothing is said: the
    decision on it is a conflict."""
    one_work = {Doi(d.doi): work.doi for d in decisions}
    one_work |= {Doi(d.value): work.doi for d in decisions if d.facet == SAME_WORK and d.value}
    stand = current_decisions(decisions, one_work)
    ordered = [d for d in stand if d.facet != SAME_WORK]
    texts = Texts(work)
    ruled = screen(work, book, texts)
    verdict, decided, why = ruled.verdict, "rule", ruled.why
    person = next((d for d in reversed(ordered) if d.verdict), None)
    if person is not None and person.verdict:
        verdict, decided = person.verdict, "person"
        because = person.reason.strip().rstrip(".")
        why = f"{person.reviewer} decided this on {person.made_at[:10]}: {because or 'no reason given'}."
    tags = tag(work, book, texts) if verdict != "exclude" and (decided == "person" or _speaks(ruled)) else ()
    # Of tags the rules are asked whatever the verdict is: that a person excluded the work does not turn a rule.
    said = tag(work, book, texts) if any(d.facet for d in ordered) else ()
    conflict = None
    if decisions:
        # In a fixed order: two copies of the review with the same decisions have the same text.
        conflicts = [
            *_not_in_taxonomy(ordered, book),
            *_divided(contradictions(decisions, one_work), book),
            *_one_record(stand),
            *_conflicts(work, ruled.verdict, {(t.facet, t.value) for t in said}, ordered, book),
        ]
        conflict = " ".join(dict.fromkeys(conflicts)) or None
    return Judgement(
        verdict,
        "person" if decided == "person" else "rule",
        why,
        ruled.judged_on,
        ruled.matches,
        _corrected(tags, [d for d in ordered if (d.facet, d.value) in book.values]),
        conflict,
    )


def judge_again(
    work: Work, verdict: str, why: str, book: Rulebook, part: Ruleset, touched: frozenset[Said]
) -> Again | None:
    """What the rules say now of the values `touched`, of a work without a person's word whose other tags stand. `part` is
    the ruleset that says these values. None when its verdict turns or may: then everything has to be judged again."""
    texts = Texts(work)
    matches: tuple[Match, ...] = ()
    if any(facet == SCREEN for facet, _ in touched):
        ruled = screen(work, book, texts)
        if ruled.verdict != verdict or verdict == "unsure":  # an unsure work may begin, or cease, to speak
            return None
        why, matches = ruled.why, ruled.matches
    tags: tuple[Tag, ...] = ()
    if verdict != "exclude" and (verdict != "unsure" or _speaks(screen(work, book, texts))):
        tags = tuple(t for t in tag(work, part, texts) if (t.facet, t.value) in touched)
    return Again(why, matches, tags)


def _speaks(ruled: Verdict) -> bool:
    """Whether any word says, or leaves open, that the work is about the therapy. A tag is a claim about a study of it; of a
    work whose title speaks of something else nothing is claimed before a person has looked."""
    return ruled.verdict == "include" or bool(ruled.matches)


def text_digest(work: Work) -> str:
    """16 hex digits of the title and abstract: what a person reads who decides."""
    read = f"{work.title or ''}\n{work.abstract or ''}"
    return hashlib.sha256(read.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _not_in_taxonomy(ordered: Sequence[Decision], book: Rulebook) -> list[str]:
    """The decisions on tags that the taxonomy does not have any more."""
    return sorted(
        f"{decision.reviewer} decided on {_about(decision)}: this value no longer exists."
        for decision in ordered
        if not _exists(decision, book)
    )


def _divided(found: Sequence[tuple[Decision, ...]], book: Rulebook) -> list[str]:
    """One reviewer, two decisions: on two copies of the review, or on two records that are one work."""
    conflicts = []
    for decisions in found:
        last = decisions[-1]
        if last.facet == SAME_WORK or _exists(last, book):
            decided = ", ".join(f"{d.verdict or d.action} ({d.doi}, {d.made_at[:10]})" for d in decisions)
            conflicts.append(
                f"{last.reviewer} decided twice on {_about(last)}, without having seen the other: {decided}."
            )
    return sorted(conflicts)


def _one_record(stand: Sequence[Decision]) -> list[str]:
    """Records that a person set apart, of which one leads to the other since: they cannot be shown as two."""
    pair = next((d for d in reversed(stand) if d.facet == SAME_WORK), None)
    if pair is None or pair.action != "untag":
        return []
    return [
        f"{pair.reviewer} decided that {pair.doi} and {pair.value} are two works: both DOIs lead to one record now."
    ]


def _conflicts(
    work: Work, ruled: str, said: set[tuple[str, str]], ordered: Sequence[Decision], book: Rulebook
) -> list[str]:
    """Why people should look again, of each subject: they disagree, the text they read has changed, or a rule that agreed no
    longer does. The verdict comes first, then the tags by name."""
    by_subject: dict[tuple[str, str], list[Decision]] = {}
    for decision in ordered:
        if _exists(decision, book):
            by_subject.setdefault((decision.facet or "", decision.value or ""), []).append(decision)
    conflicts = []
    for (facet, value), decisions in sorted(by_subject.items()):
        last = decisions[-1]
        about = _about(last)
        if len({d.verdict or d.action for d in decisions}) > 1:
            said_by = ", ".join(sorted(f"{d.reviewer}: {d.verdict or d.action}" for d in decisions))
            conflicts.append(f"People disagree on {about} ({said_by}).")
        if last.doi != work.doi:  # of another record of this work, whose text was the one that was read
            continue
        if last.record is not None and last.record != text_digest(work):
            conflicts.append(f"The title or abstract has changed since {last.reviewer} decided on {about}.")
            continue
        now = "said" if (facet, value) in said else "unsaid" if facet else ruled
        agreed = {"tag": "said", "untag": "unsaid"}.get(last.action, last.verdict)
        if last.rule_said == agreed and now != agreed:
            conflicts.append(f"The rules agreed with {last.reviewer} on {about}, and now say {now}.")
    return conflicts


def _about(decision: Decision) -> str:
    return f"{decision.facet}:{decision.value}" if decision.facet else "this work"


def _exists(decision: Decision, book: Rulebook) -> bool:
    """Whether what was decided on can still be said: a verdict, or a tag of the taxonomy."""
    return decision.facet is None or (decision.facet, decision.value) in book.values


def _corrected(tags: tuple[Tag, ...], ordered: Sequence[Decision]) -> tuple[Tag, ...]:
    """The rules' tags with what people added and took away; the newest word on each tag counts."""
    kept = {(t.facet, t.value): t for t in tags}
    for decision in ordered:
        if decision.facet is None or decision.value is None:
            continue
        key = (decision.facet, decision.value)
        if decision.action == "untag":
            kept.pop(key, None)
        elif decision.action == "tag":
            words = kept[key].matches if key in kept else ()
            kept[key] = Tag(*key, words, "person")
    return tuple(kept.values())
