"""A work's words and the screening rules → a verdict with the words behind it.

An exclusion beats an inclusion. Silence is an exclusion where an abstract had the chance to name the therapy, and
`unsure` on a title alone: many key trials do not name it in their titles. The letters "IPT" alone never include. It
knows no people's decisions (`judge` does), no database and no network.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from evidence.model import Match, VerdictName, Work
from evidence.rules import tag
from evidence.rules.taxonomy import Rulebook, spoken

Basis = Literal["title", "title+abstract", "nothing"]

SPEAKING_LENGTH = 100
"""Characters an abstract must have before its silence counts: below that it is a line such as "No abstract available"."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rules say of one work: `why` is one sentence with the words that decided, `matches` their places."""

    verdict: VerdictName
    why: str
    judged_on: Basis
    matches: tuple[Match, ...]


def screen(work: Work, book: Rulebook, texts: tag.Texts | None = None) -> Verdict:
    """The rules' verdict on `work`. `texts` is `work` made ready before, if it was."""
    basis: Basis = "title+abstract" if work.abstract else "title" if work.title else "nothing"
    if work.notice_of:
        kind, other = work.notice_of[0]
        about = other or "another work"
        return Verdict("exclude", f"This is a notice ({kind}) about {about}, not the study itself.", basis, ())
    if basis == "nothing":
        return Verdict("unsure", "There is neither a title nor an abstract to judge.", basis, ())
    said = tag.Reading(texts or tag.Texts(work), book.screening)
    spoke = len(work.abstract or "") >= SPEAKING_LENGTH
    for verdict in ("exclude", "include", "unsure"):
        for rule, matches in said.fired(("screen", verdict)):
            if verdict == "unsure" and spoke and rule.fields == tag.TITLE:
                continue  # what a title leaves open, the abstract has settled
            return Verdict(verdict, _because(verdict, rule.because, matches), basis, matches)
    if spoke:
        return Verdict("exclude", "Neither the title nor the abstract names the therapy.", basis, ())
    if work.abstract:
        return Verdict("unsure", "Title and abstract are too short to tell whether it is about the therapy.", basis, ())
    return Verdict("unsure", "There is no abstract to ask, and the title speaks of something else.", basis, ())


def _because(verdict: VerdictName, because: str | None, matches: tuple[Match, ...]) -> str:
    quotes = list(dict.fromkeys(match.quote for match in matches))[:3]
    words = " and ".join(f"“{quote}”" for quote in quotes)
    place = " and ".join(dict.fromkeys(match.field for match in matches))
    reason = spoken(because or "it names the therapy")
    return f"{'Included' if verdict == 'include' else 'Excluded' if verdict == 'exclude' else 'Unsure'}: " + (
        f"{reason}: {words} in the {place}." if quotes else f"{reason}."
    )
