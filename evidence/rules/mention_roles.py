"""What part a mention plays in the study: aim, eligibility, participants, arm, comparator, measure, finding, predictor, …

The role follows from the role of the sentence, the cues around the mention and, for treatments, the arms. It may not know
values: a facet says with `about` whether its words name treatments, people, conditions, measures or kinds of study.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from evidence.rules import arms
from evidence.rules.annotated_text import AnnotatedText
from evidence.rules.cues import cue_reader
from evidence.rules.mentions import INSTRUMENT, Mention

About = Literal["treatment", "comparison", "delivery", "people", "condition", "measure", "design", "theme"]
TextKind = Literal["plan", "review", "trial", "observation"]
"""What kind of text a design is reported in: a plan, a review of studies, a trial whose participants are assigned, an
observation."""
TREATMENTS: tuple[About, ...] = ("treatment", "comparison")
"""The kinds of facets whose words name treatments: those studied, and those they are compared with."""
MentionRole = Literal[
    "aim", "eligibility", "participants", "arm", "comparator", "shared by both arms", "measure", "finding", "secondary finding",
    "predictor or moderator", "prior treatment", "background", "other people's", "implication or plan", "design",
]  # fmt: skip
ROLES: tuple[MentionRole, ...] = MentionRole.__args__  # type: ignore[attr-defined]
_BIT = cue_reader().bit
_OTHERS, _HISTORY, _PREDICT, _PLAN, _ELIGIBLE, _MEASURE = (
    _BIT[kind] for kind in ("others", "history", "predict", "plan", "eligible", "measure")
)
_WHO_TAKES_PART = _ELIGIBLE | _BIT["exclude"]


def mention_role(
    text: AnnotatedText, mention: Mention, about: About, signs: int, near: int, around: int
) -> MentionRole:
    """The role of one mention. `signs` is what the arms say of it, `near` the cues near it, `around` those of its clause."""
    sentence = text.sentences[text.sentence_of[mention.first]].role
    if about in TREATMENTS:
        role = _treatment_role(signs)
        if role is not None and sentence != "background":
            return role
    if sentence == "background":
        return "other people's" if around & _OTHERS else "background"
    if about in _MAY_BE_EARLIER and near & _HISTORY:
        return "prior treatment"
    if about == "measure" and near & _PREDICT:
        return "predictor or moderator"
    if about == "design":
        return "design" if text.field == "title" else _DESIGN_ROLES[sentence]
    if sentence == "aim":
        return "aim"
    if sentence == "methods":
        return _role_in_methods(mention, about, near, around)
    if about in ("condition", "people"):
        return "participants"
    if sentence == "results":
        return "finding" if about in ("measure", "theme") else "arm"
    if around & _PLAN:
        return "implication or plan"
    return _ROLES_IN_CONCLUSIONS.get(about, "implication or plan")


_MAY_BE_EARLIER: frozenset[About] = frozenset((*TREATMENTS, "condition", "delivery"))
"""The kinds of facets whose words may name what people had before the study."""
_DESIGN_ROLES: Mapping[str, MentionRole] = {
    "aim": "design",
    "methods": "design",
    "results": "finding",
    "conclusions": "implication or plan",
}
_ROLES_IN_CONCLUSIONS: Mapping[About, MentionRole] = {
    "measure": "secondary finding",
    "treatment": "arm",
    "comparison": "arm",
    "delivery": "arm",
}


def _role_in_methods(mention: Mention, about: About, near: int, around: int) -> MentionRole:
    if about == "measure":
        eligible = near & _ELIGIBLE and mention.family != INSTRUMENT and not around & _MEASURE
        return "eligibility" if eligible else "measure"
    if about in ("condition", "people"):
        return "eligibility" if around & _WHO_TAKES_PART else "participants"
    return "arm"


def _treatment_role(signs: int) -> MentionRole | None:
    if signs & arms.SHARED:
        return "shared by both arms"
    if signs & arms.STUDIED:
        return "arm"
    if signs & (arms.CONTROL | arms.AFTER_VERSUS) and not signs & arms.WITH_STUDIED:
        return "comparator"
    if signs & arms.OTHER and signs & arms.COMPARED:
        return "comparator"
    return "arm" if signs & (arms.WITH_STUDIED | arms.COMPARED) else None
