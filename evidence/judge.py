"""Rules and people's decisions → one judgement on one work.

The rules speak first; a person's newest word beats them and survives every re-run. It reads no clock and no database:
the decisions are handed in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from evidence.model import SAME_WORK, Decision, Doi, Judgement, Match, Tag, Work
from evidence.rulebook import SCREEN, Rulebook, Ruleset, Said
from evidence.screen import Verdict, screen
from evidence.tag import Texts, tag


@dataclass(frozen=True, slots=True)
class Again:
    """What a work says of edited rules' values: `matches` are those of its verdict, if screening was edited."""

    why: str
    matches: tuple[Match, ...]
    tags: tuple[Tag, ...]


def judge(work: Work, book: Rulebook, decisions: Sequence[Decision] = ()) -> Judgement:
    """The judgement on `work`; `decisions` are those on its DOI, in the ledger's order. Excluded works get no tags by rule,
    nor do those whose title speaks of something else."""
    ordered = standing(decisions)
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
    conflict = _conflict(work, ruled.verdict, {(t.facet, t.value) for t in said}, ordered) if ordered else None
    return Judgement(
        verdict,
        "person" if decided == "person" else "rule",
        why,
        ruled.judged_on,
        ruled.matches,
        _corrected(tags, ordered),
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


def standing(decisions: Sequence[Decision]) -> list[Decision]:
    """The words that stand, oldest first: of each reviewer the newest on a work's verdict and on each of its tags, unless it
    was taken back. `decisions` in the ledger's order, which settles words of the same second."""
    newest: dict[tuple[str, str, str | None, str | None], Decision] = {}
    for decision in sorted(decisions, key=lambda decision: decision.made_at):
        subject = (decision.doi, decision.reviewer, decision.facet, decision.value)
        newest.pop(subject, None)
        if decision.action != "withdraw":
            newest[subject] = decision
    return list(newest.values())


def followed(decisions: Sequence[Decision], moved: Mapping[Doi, Doi]) -> tuple[Decision, ...]:
    """The same words, said of the DOIs that their works are kept under now; `moved` leads from the old ones. The ledger
    stays as it was written. What was said of a pair that has become one record is about nothing any more, and is left out.
    """
    if not moved:
        return tuple(decisions)
    led = []
    for said in decisions:
        doi = moved.get(said.doi, said.doi)
        value = said.value
        if said.facet == SAME_WORK and value:
            value = moved.get(Doi(value), Doi(value))
            if value == doi:
                continue
        led.append(said if (doi, value) == (said.doi, said.value) else replace(said, doi=doi, value=value))
    return tuple(led)


def text_digest(work: Work) -> str:
    """16 hex digits of the title and abstract: what a person reads who decides."""
    read = f"{work.title or ''}\n{work.abstract or ''}"
    return hashlib.sha256(read.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _conflict(work: Work, ruled: str, said: set[tuple[str, str]], ordered: Sequence[Decision]) -> str | None:
    """Why people should look again: they disagree, the text they read has changed, or a rule that agreed no longer does."""
    by_subject: dict[tuple[str | None, str | None], list[Decision]] = {}
    for decision in ordered:
        by_subject.setdefault((decision.facet, decision.value), []).append(decision)
    for (facet, value), words in by_subject.items():
        about = f"{facet}:{value}" if facet else "this work"
        if len({d.verdict or d.action for d in words}) > 1:
            said_by = ", ".join(sorted(f"{d.reviewer}: {d.verdict or d.action}" for d in words))
            return f"People disagree on {about} ({said_by})."
        last = words[-1]
        if last.record is not None and last.record != text_digest(work):
            return f"The title or abstract has changed since {last.reviewer} decided on {about}."
        now = ruled if facet is None else "said" if (facet, value) in said else "unsaid"
        agreed = {"tag": "said", "untag": "unsaid"}.get(last.action, last.verdict)
        if last.rule_said == agreed and now != agreed:
            return f"The rules agreed with {last.reviewer} on {about}, and now say {now}."
    return None


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
