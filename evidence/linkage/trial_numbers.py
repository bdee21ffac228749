"""Registration numbers of trials and reviews in texts: `NCT03797326`, `ISRCTN12345678`, `CRD42012003331`, …

The numbers are those of the registries of the WHO's platform (ICTRP) and of PROSPERO, in the form in which each registry writes
them. It finds numbers; it may not say what a work is or which works belong together.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

MOST_OWN = 3
"""Numbers in one text from which on they are those of other studies, as in a review."""

_GAP = r"[\s:#№._‐‑–-]{0,3}"
_DIGITS = r"(?!\d)"
_FORMS = (
    rf"(?P<plain>NCT|ISRCTN|DRKS|KCT|RPCEC){_GAP}(?P<plain_number>\d{{7,8}}){_DIGITS}",
    rf"(?P<long>ACTRN|PACTR|TCTR|UMIN|JRCTS?|CRD){_GAP}(?P<long_number>\d{{9,16}}){_DIGITS}",
    rf"(?P<dutch>NTR){_GAP}(?P<dutch_number>\d{{3,5}}){_DIGITS}",
    rf"(?P<chinese>CHICTR)(?P<chinese_number>(?:[-‐‑–][A-Z]{{2,5}})?[-‐‑–]?\d{{8,10}}){_DIGITS}",
    rf"(?P<iranian>IRCT){_GAP}(?P<iranian_number>\d{{8,16}}N\d{{1,3}}){_DIGITS}",
    rf"(?P<slashed>CTRI|SLCTR)(?P<slashed_number>/\d{{4}}(?:/\d{{2,3}})?/\d{{3,6}}){_DIGITS}",
    rf"(?P<european>EUDRA-?CT|EUCTR)(?:\s(?:no|number|nr))?{_GAP}(?P<european_number>\d{{4}}[-‐‑–]\d{{6}}[-‐‑–]\d{{2}}){_DIGITS}",
    r"(?P<brazilian>RBR)(?P<brazilian_number>[-‐‑–][0-9A-Z]{5,10})\b",
)
_NUMBER = re.compile(rf"(?<![^\W_])(?:{'|'.join(_FORMS)})", re.IGNORECASE)
_DASHES = str.maketrans("‐‑–", "---")
_SIZES = {"NCT": 8, "ISRCTN": 8, "DRKS": 8, "KCT": 7, "RPCEC": 8, "ACTRN": 14}
"""Digits of the registries whose numbers all have as many: any other number is a slip."""


def trial_numbers(text: str | None) -> tuple[str, ...]:
    """The registration numbers in a text, in order, each once, in capitals and without blanks: `NCT 0379-7326` is none,
    `ISRCTN: 12345678` is `ISRCTN12345678`."""
    found: dict[str, None] = {}
    for match in _NUMBER.finditer(text or ""):
        parts = [part for part in match.groups() if part]
        registry, number = parts[0].upper().replace("-", ""), parts[1].upper().translate(_DASHES)
        if _SIZES.get(registry, len(number)) == len(number):
            found.setdefault("EUDRACT" + number if registry == "EUCTR" else registry + number)
    return tuple(found)


def own_trial_numbers(deposited: Iterable[str], texts: Iterable[str | None]) -> dict[str, str]:
    """The numbers under which a work's study is registered → `crossref` where they were deposited as such, else `text`.

    `texts` are its title and abstract. More than `MOST_OWN` numbers in them are those of other studies.
    """
    own = {number: "crossref" for stated in deposited for number in trial_numbers(stated) or (stated,)}
    named = dict.fromkeys(number for text in texts for number in trial_numbers(text))
    if len(named) <= MOST_OWN:
        own |= {number: "text" for number in named if number not in own}
    return own
