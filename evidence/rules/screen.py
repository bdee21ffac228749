"""A work's text and the screening rules → a verdict, its reason, and the matches behind it.

An exclusion beats an inclusion. Where no rule applies, a work whose abstract does not name the topic is excluded, and a work
with a title alone is `unsure`: many key trials do not name the therapy in their titles.

It may not know people's decisions (`judge` does), the database or the network.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from evidence.data_model import Match, VerdictName, Work
from evidence.rules.rule_matches import TITLE, RuleMatches, WorkTexts
from evidence.rules.taxonomy import SCREEN, Taxonomy

Basis = Literal["title", "title+abstract", "nothing"]

SUFFICIENT_ABSTRACT = 100
"""Characters from which an abstract is long enough to name the topic. Shorter ones are lines such as "No abstract
available"."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict of the rules on one work. `why` is one sentence that quotes the text, `matches` say where it stands."""

    verdict: VerdictName
    why: str
    judged_on: Basis
    matches: tuple[Match, ...]


def screen(work: Work, taxonomy: Taxonomy) -> Verdict:
    """The verdict of the screening rules on `work`."""
    basis: Basis = "title+abstract" if work.abstract else "title" if work.title else "nothing"
    if work.notice_of:
        kind, other = work.notice_of[0]
        about = other or "another work"
        return Verdict("exclude", f"This is a notice ({kind}) about {about}, not the study itself.", basis, ())
    if basis == "nothing":
        return Verdict("unsure", "There is neither a title nor an abstract to judge.", basis, ())
    found = RuleMatches(WorkTexts(work), taxonomy.screening)
    sufficient = len(work.abstract or "") >= SUFFICIENT_ABSTRACT
    for verdict in ("exclude", "include", "unsure"):
        for rule, matches in found.rules_for((SCREEN, verdict)):
            if verdict == "unsure" and sufficient and rule.fields == TITLE:
                continue  # the abstract has settled what the title leaves open
            return Verdict(verdict, _why(verdict, rule.because, matches), basis, matches)
    if sufficient:
        return Verdict("exclude", f"Neither the title nor the abstract names {taxonomy.topic.about}.", basis, ())
    if work.abstract:
        return Verdict(
            "unsure", f"Title and abstract are too short to tell whether it is about {taxonomy.topic.about}.", basis, ()
        )
    return Verdict("unsure", f"No abstract; the title does not mention {taxonomy.topic.about}.", basis, ())


_PARTICIPLES = {"include": "Included", "exclude": "Excluded", "unsure": "Unsure"}


def _why(verdict: VerdictName, because: str | None, matches: tuple[Match, ...]) -> str:
    """`Included: it names the therapy: “interpersonal psychotherapy” in the title.`"""
    quotes = " and ".join(f"“{quote}”" for quote in list(dict.fromkeys(match.quote for match in matches))[:3])
    fields = " and ".join(dict.fromkeys(match.field for match in matches))
    reason = (because or "it names the topic").rstrip(". \n")
    return f"{_PARTICIPLES[verdict]}: {reason}" + (f": {quotes} in the {fields}." if quotes else ".")
