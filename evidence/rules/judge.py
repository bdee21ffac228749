"""Rules and reviewers' decisions → one judgement on one work.

The rules judge first. A person's latest decision overrides them, in every later run too. This module may not read a clock, a
file or a database: the decisions are handed in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from evidence.current_decisions import contradictions, current_decisions
from evidence.data_model import SAME_WORK, SHOWN_STRENGTHS, Decision, Doi, Judgement, Match, Tag, Work
from evidence.rules.screen import Verdict, screen
from evidence.rules.tag import tag
from evidence.rules.taxonomy import SCREEN, Taxonomy, ValueKey


@dataclass(frozen=True, slots=True)
class PartialJudgement:
    """What edited rules make of a work whose verdict stays: the new `why`; `matches` behind the verdict, if screening rules
    were edited; its tags."""

    why: str
    matches: tuple[Match, ...]
    tags: tuple[Tag, ...]


def judge(work: Work, taxonomy: Taxonomy, decisions: Sequence[Decision] = ()) -> Judgement:
    """The judgement on `work`. `decisions` are those on any record of it, and on pairs of records that are one record now,
    in any order.

    Rules give no tags to excluded works, nor to works whose title is about something else. A decision on a tag that the
    taxonomy no longer has changes no tags: it is a conflict.
    """
    one_work = {Doi(d.doi): work.doi for d in decisions}
    one_work |= {Doi(d.value): work.doi for d in decisions if d.facet == SAME_WORK and d.value}
    latest = current_decisions(decisions, one_work)
    on_work = [d for d in latest if d.facet != SAME_WORK]
    ruled = screen(work, taxonomy)
    verdict, decided, why = ruled.verdict, "rule", ruled.why
    person = next((d for d in reversed(on_work) if d.verdict), None)
    if person is not None and person.verdict:
        verdict, decided = person.verdict, "person"
        because = person.reason.strip().rstrip(".")
        why = f"{person.reviewer} decided this on {person.made_at[:10]}: {because or 'no reason given'}."
    tagged = verdict != "exclude" and (decided == "person" or _may_be_about_therapy(ruled))
    # Decisions on tags are compared with the rules whatever the verdict is: that a person excluded the work changes no rule.
    compared = any(d.facet for d in on_work)
    tags = tag(work, taxonomy) if tagged or compared else ()
    conflict = None
    if decisions:
        # In a fixed order: two copies of the review with the same decisions have the same text.
        conflicts = [
            *_not_in_taxonomy(on_work, taxonomy),
            *_unaware_contradictions(contradictions(decisions, one_work), taxonomy),
            *_one_record(latest),
            *_conflicts(work, ruled.verdict, said(tags), on_work, taxonomy),
        ]
        conflict = " ".join(dict.fromkeys(conflicts)) or None
    return Judgement(
        verdict,
        "person" if decided == "person" else "rule",
        why,
        ruled.judged_on,
        ruled.matches,
        _corrected(tags if tagged else (), [d for d in on_work if (d.facet, d.value) in taxonomy.tags]),
        conflict,
    )


def judge_changed_values(
    work: Work, verdict: str, why: str, taxonomy: Taxonomy, changed: frozenset[ValueKey]
) -> PartialJudgement | None:
    """Judge a work anew after an edit of the values `changed`. `verdict` and `why` are those it has; nobody has decided on it.
    None when its verdict changes or may change: then it has to be judged as a whole."""
    rescreened = any(facet == SCREEN for facet, _ in changed)
    if rescreened and verdict == "unsure":  # edited rules may also change whether it gets tags at all
        return None
    ruled = screen(work, taxonomy) if rescreened or verdict == "unsure" else None
    if ruled is not None and ruled.verdict != verdict:
        return None
    tagged = verdict != "exclude" and (ruled is None or _may_be_about_therapy(ruled))
    tags = tag(work, taxonomy) if tagged else ()
    if rescreened and ruled is not None:
        return PartialJudgement(ruled.why, ruled.matches, tags)
    return PartialJudgement(why, (), tags)


def _may_be_about_therapy(ruled: Verdict) -> bool:
    """Whether any screening rule applied that includes the work or leaves it open. A tag says something about a study of the
    therapy. No tags are given to a work whose title is about something else before a person has looked at it."""
    return ruled.verdict == "include" or bool(ruled.matches)


def said(tags: Sequence[Tag]) -> set[ValueKey]:
    """The values that the rules say, for comparing them with a decision: those that lists show. What is only implied is not
    said, so a person who never saw it is not asked again because of it."""
    return {(tag.facet, tag.value) for tag in tags if tag.strength in SHOWN_STRENGTHS}


def text_digest(work: Work) -> str:
    """16 hexadecimal digits of the title and abstract, which people read before they decide."""
    read = f"{work.title or ''}\n{work.abstract or ''}"
    return hashlib.sha256(read.encode("utf-8", "surrogatepass")).hexdigest()[:16]


# The texts below are stored as a work's conflict. A changed wording would be announced as a new conflict of every such work.


def _not_in_taxonomy(on_work: Sequence[Decision], taxonomy: Taxonomy) -> list[str]:
    """The decisions on tags that the taxonomy does not have any more."""
    return sorted(
        f"{decision.reviewer} decided on {_about(decision)}: this value no longer exists."
        for decision in on_work
        if not _exists(decision, taxonomy)
    )


def _unaware_contradictions(found: Sequence[tuple[Decision, ...]], taxonomy: Taxonomy) -> list[str]:
    """One reviewer, two decisions: on two copies of the review, or on two records that are one work."""
    conflicts = []
    for decisions in found:
        last = decisions[-1]
        if last.facet == SAME_WORK or _exists(last, taxonomy):
            decided = ", ".join(f"{d.verdict or d.action} ({d.doi}, {d.made_at[:10]})" for d in decisions)
            conflicts.append(
                f"{last.reviewer} decided twice on {_about(last)}, without having seen the other: {decided}."
            )
    return sorted(conflicts)


def _one_record(latest: Sequence[Decision]) -> list[str]:
    """A person decided that two records are two works, and one DOI leads to the other now: they cannot be shown as two."""
    pair = next((d for d in reversed(latest) if d.facet == SAME_WORK), None)
    if pair is None or pair.action != "untag":
        return []
    return [
        f"{pair.reviewer} decided that {pair.doi} and {pair.value} are two works: both DOIs lead to one record now."
    ]


def _conflicts(
    work: Work, ruled: str, tags: set[ValueKey], on_work: Sequence[Decision], taxonomy: Taxonomy
) -> list[str]:
    """Why people should look again, for each subject: they disagree, the text they read has changed, or a rule that agreed
    with a person no longer does. `ruled` and `tags` are what the rules alone make of the work. The verdict comes first, then
    the tags by name."""
    by_subject: dict[tuple[str, str], list[Decision]] = {}
    for decision in on_work:
        if _exists(decision, taxonomy):
            by_subject.setdefault((decision.facet or "", decision.value or ""), []).append(decision)
    conflicts = []
    for (facet, value), decisions in sorted(by_subject.items()):
        last = decisions[-1]
        about = _about(last)
        if len({d.verdict or d.action for d in decisions}) > 1:
            by_person = ", ".join(sorted(f"{d.reviewer}: {d.verdict or d.action}" for d in decisions))
            conflicts.append(f"People disagree on {about} ({by_person}).")
        if last.doi != work.doi:  # made on another record of this work, whose text the person read
            continue
        if last.record is not None and last.record != text_digest(work):
            conflicts.append(f"The title or abstract has changed since {last.reviewer} decided on {about}.")
            continue
        # A decision's `rule_said` holds `said` or `unsaid` for a tag, and a verdict for a verdict.
        now = "said" if (facet, value) in tags else "unsaid" if facet else ruled
        agreed = {"tag": "said", "untag": "unsaid"}.get(last.action, last.verdict)
        if last.rule_said == agreed and now != agreed:
            conflicts.append(f"The rules agreed with {last.reviewer} on {about}, and now say {now}.")
    return conflicts


def _about(decision: Decision) -> str:
    return f"{decision.facet}:{decision.value}" if decision.facet else "this work"


def _exists(decision: Decision, taxonomy: Taxonomy) -> bool:
    """Whether the decision is on a verdict, or on a tag that the taxonomy has."""
    return decision.facet is None or (decision.facet, decision.value) in taxonomy.tags


def _corrected(tags: tuple[Tag, ...], on_tags: Sequence[Decision]) -> tuple[Tag, ...]:
    """The rules' tags with those that people added and without those they removed; the latest decision on a tag counts. What a
    person added or confirmed is stated."""
    kept = {(t.facet, t.value): t for t in tags}
    for decision in on_tags:
        if decision.facet is None or decision.value is None:
            continue
        key = (decision.facet, decision.value)
        if decision.action == "untag":
            kept.pop(key, None)
        elif decision.action == "tag":
            matches = kept[key].matches if key in kept else ()
            kept[key] = Tag(*key, matches, "person")
    return tuple(kept.values())
