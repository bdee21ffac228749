"""Rules and people's decisions → one judgement on one work.

The rules speak first; a person's newest word beats them and survives every re-run. It reads no clock and no database:
the decisions are handed in.
"""

from __future__ import annotations

from collections.abc import Sequence

from evidence.model import Decision, Judgement, Tag, Work
from evidence.rulebook import Rulebook
from evidence.screen import screen
from evidence.tag import Texts, tag


def judge(work: Work, book: Rulebook, decisions: Sequence[Decision] = ()) -> Judgement:
    """The judgement on `work`; `decisions` are those on its DOI, in any order. Excluded works get no tags by rule."""
    ordered = sorted(decisions, key=lambda decision: decision.made_at)
    texts = Texts(work)
    ruled = screen(work, book, texts)
    verdict, decided, why = ruled.verdict, "rule", ruled.why
    person = next((d for d in reversed(ordered) if d.action == "verdict" and d.verdict), None)
    if person is not None and person.verdict:
        verdict, decided = person.verdict, "person"
        because = person.reason.strip().rstrip(".")
        why = f"{person.reviewer} decided this on {person.made_at[:10]}: {because or 'no reason given'}."
    tags = tag(work, book, texts) if verdict != "exclude" else ()
    return Judgement(
        verdict,
        "person" if decided == "person" else "rule",
        why,
        ruled.judged_on,
        ruled.matches,
        _corrected(tags, ordered),
    )


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
