"""Registration numbers of trials and reviews in texts: `NCT03797326`, `ISRCTN12345678`, `CRD42012003331`, …

The numbers are those of the registries of the WHO's platform (ICTRP) and its predecessors, of PROSPERO, and the WHO's Universal
Trial Number, in the form in which each registry writes them. Their check digits, where they have any, follow rules that no
registry has published, so the form alone is checked: length, year, and the digits that every number of the registry begins with.
It finds numbers; it may not say what a work is or which works belong together.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

MOST_OWN = 3
"""Numbers in one text from which on they are those of other studies, as in a review."""

_DASH = r"[-‐‑–]"
_CLOSE = r"[\s:#№._‐‑–-]{0,3}"
_LOOSE = r"[\s:#№.,;_()‐‑–-]{0,3}(?:(?:numbers?|no|nr|id|identifier)[\s:#№._()‐‑–-]{0,3})?"
"""Between a registry's name and the number: `ISRCTN 12345678`, `(ISRCTN): 12345678`, `NCT number: 01234567`."""

# The registry as written in the result, its names, what may stand before the number, and the number. Case does not matter,
# except where a form says `(?-i:…)`.
_FORMS: tuple[tuple[str, str, str, str], ...] = (
    ("NCT", "NCT", _LOOSE, r"\d{8}"),
    ("ISRCTN", "ISRCTN", _LOOSE, r"\d{8}"),
    ("DRKS", "DRKS", _LOOSE, r"\d{8}"),
    ("KCT", "KCT", _LOOSE, r"\d{7}"),
    ("RPCEC", "RPCEC", _LOOSE, r"\d{8}"),
    ("ACTRN", "ACTRN|ANZCTRN?", _LOOSE, r"126\d{11}"),
    ("PACTR", "PACTR", _LOOSE, r"20\d{13,14}"),
    ("TCTR", "TCTR", _LOOSE, r"20\d{9}"),
    ("ITMCTR", "ITMCTR", _LOOSE, r"\d{10}"),
    ("LBCTR", "LBCTR", _LOOSE, r"20\d{8}"),
    ("UMIN", f"UMIN(?:{_DASH}?CTR)?", _LOOSE, r"\d{9}"),
    ("JRCTS", "JRCTS", _CLOSE, r"\d{9}"),
    ("JRCT", "JRCT", _CLOSE, r"\d{10}"),
    ("JPRN-C", f"JPRN{_DASH}C", "", r"\d{9}"),
    ("JAPICCTI-", rf"Japic(?:{_DASH}|\s)?CTI", _CLOSE, r"\d{6}"),
    ("JMA-IIA", f"JMA{_DASH}IIA", "", r"\d{5}"),
    ("CRD", "CRD|PROSPERO", _LOOSE, r"420[123]\d{7,8}"),
    ("NTR", "NTR", _CLOSE, r"\d{3,5}"),
    ("NL", r"trial\s?regist(?:er|ry)[\s:,()]{0,3}NL", "", r"\d{3,5}(?!\.\d)"),
    ("NL-OMON", f"NL{_DASH}OMON", "", r"\d{5}"),
    ("CHICTR", "CHICTR", rf"(?:{_DASH}|\s)?", r"\d{10}"),
    ("CHICTR-", "CHICTR", rf"(?:{_DASH}|\s)?", rf"[A-Z]{{2,5}}{_DASH}?\d{{8}}"),
    ("IRCT", "IRCT", _CLOSE, r"\d{11,14}N\d{1,3}"),
    ("CTRI/", "CTRI", rf"\s?(?:/|{_DASH})\s?", rf"20\d\d\s?(?:/|{_DASH})\s?\d{{2,3}}\s?(?:/|{_DASH})\s?\d{{6}}"),
    ("SLCTR/", "SLCTR", rf"\s?(?:/|{_DASH})\s?", rf"20\d\d\s?(?:/|{_DASH})\s?\d{{3}}"),
    ("EUDRACT", rf"(?:EUDRA{_DASH}?CT|EUCTR)?", _LOOSE, rf"20[012]\d{_DASH}0\d{{5}}{_DASH}\d\d(?!{_DASH}?\d)"),
    ("CTIS", "(?:CTIS)?", _LOOSE, rf"20[2-4]\d{_DASH}5\d{{5}}{_DASH}\d\d{_DASH}\d\d"),
    ("RBR-", "RBR", f"{_DASH}?", r"(?-i:\d[0-9a-z]{5,7}(?![0-9a-z])|\d[0-9A-Z]{5,7}(?!\w))"),
    ("PER-", "(?-i:PER)", f"{_DASH}?", rf"\d{{3}}{_DASH}\d\d"),
    ("U1111-", "U1111", _DASH, rf"\d{{4}}{_DASH}\d{{4}}"),
)
_ANY = "|".join(rf"(?:{names}){gap}(?P<form{at}>{number})(?!\d)" for at, (_, names, gap, number) in enumerate(_FORMS))
# A digit is one of ASCII, a blank is any.
_BEGINS = r"(?:(?<![^\W_])|(?<=number))"
_NUMBER = re.compile(rf"{_BEGINS}(?:{_ANY})".replace(r"\d", "[0-9]"), re.IGNORECASE)
_RUN = re.compile("[0-9]{3}|[Rr][Bb][Rr]")
"""Every number has three digits in a row, but for those of ReBEC."""
_NAMES = dict.fromkeys(names.removesuffix("?") if re.fullmatch(names, "") else names for _, names, _, _ in _FORMS)
_NAMED = re.compile(rf"{_BEGINS}(?:{'|'.join(_NAMES)}|20[0-4][0-9]{_DASH}[05])", re.IGNORECASE)
"""The name of a registry, or how a number begins that may stand without one."""
_REACH = 50
"""Characters from the beginning of a name to the first three digits of its number, at most."""
_LABELS = re.compile(
    r"(?:trial regist(?:ration|ry)|clinicaltrials\.gov|current controlled trials|JPRN|ICTRP|EU ?CT|PROSPERO|ReBEC|UTN)"
    r"(?: (?:identifier|id|number|no))?[\s:.,‐‑–-]*",
    re.IGNORECASE,
)
_PAGE = re.compile(r"(?:https?://|www\.)\S+", re.IGNORECASE)
_DASHES = str.maketrans("‐‑–", "---")


def trial_numbers(text: str | None) -> tuple[str, ...]:
    """The registration numbers in a text, in order, each once, in capitals and without blanks: `NCT 0379-7326` is none,
    `ISRCTN: 12345678` is `ISRCTN12345678`."""
    if not text or not _may_hold_numbers(text):
        return ()
    return tuple(dict.fromkeys(_written(match) for match in _NUMBER.finditer(text)))


def _may_hold_numbers(text: str) -> bool:
    """Whether `_NUMBER`, which takes far longer, can match anywhere: digits stand behind the name of a registry."""
    return any(_NAMED.search(text, max(0, run.start() - _REACH), run.end() + 3) for run in _RUN.finditer(text))


def trial_number(text: str) -> str | None:
    """The registration number that a whole field is, alone, behind a registry's name, or as the address of its page; else
    None."""
    text = text.strip()
    if _PAGE.fullmatch(text):
        found = trial_numbers(text)
        return found[0] if len(found) == 1 else None
    label = _LABELS.match(text)
    match = _NUMBER.fullmatch(text) or _NUMBER.fullmatch(text, label.end() if label else 0)
    return _written(match) if match else None


def _written(match: re.Match[str]) -> str:
    """A number as this module writes it."""
    form = match.lastgroup or ""
    registry = _FORMS[int(form.removeprefix("form"))][0]
    number = re.sub(r"\s", "", match[form]).translate(_DASHES).upper()
    if registry.endswith("/"):
        number = number.replace("-", "/")
    elif registry == "CHICTR-":
        number = re.sub(r"-?(?=\d{8}$)", "-", number, count=1)
    return registry + number


def own_trial_numbers(deposited: Iterable[str], texts: Iterable[str | None]) -> dict[str, str]:
    """The numbers under which a work's study is registered → `crossref` where they were deposited as such, else `text`.

    `texts` are its title and abstract. More than `MOST_OWN` numbers in them are those of other studies.
    """
    own = {number: "crossref" for stated in deposited for number in trial_numbers(stated) or (stated,)}
    named = dict.fromkeys(number for text in texts for number in trial_numbers(text))
    if len(named) <= MOST_OWN:
        own |= {number: "text" for number in named if number not in own}
    return own
