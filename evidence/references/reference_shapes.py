"""How much a place between two words reads like the boundary of two references, by the shapes of the words around it.

It knows words only, neither lines nor layout, and may not decide. A word's shape is what it would be in any reference list
(a surname's form, initials, a year, pages, a DOI), with the punctuation around it; no name of a person or journal is known.
The weights are learnt by `scripts/train_splitter.py` from printed references.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from itertools import accumulate, repeat
from pathlib import Path

from evidence.references.author_lists import EDGE, AuthorLists

_LONGEST = 80
"""Characters of a word that are looked at: a line without blanks may be megabytes long."""
_LEAD = re.compile(r"""[(\[{"“”„«‹‘’'<¿¡*]+""")
_TAIL = re.compile(r"""[.,:;!?)\]}"”“’'»›>…*、。，；：）】]*\Z""")
_TAIL_SHAPES = str.maketrans({
    **dict.fromkeys("\"”“’'»›", '"'), **dict.fromkeys(")]}>）】", ")"), **dict.fromkeys("!?", "?"),
    "…": ".", "。": ".", "，": ",", "；": ";", "：": ":", "、": ",", "*": None,
})  # fmt: skip
_SHAPES = tuple(
    (name, re.compile(pattern))
    for name, pattern in (
        ("y", r"(?:n\.?d|o\.?J|s\.?a|forthcoming|in-press|б\.г)"),
        ("Y", r"(?:1[5-9]\d\d|20[0-4]\d)[a-z]?(?:[-–/](?:\d{2}|\d{4}))?"),
        ("U", r"(?i:(?:https?|ftp)://?.*|www\..*|[\w-]+\.(?:org|com|net|edu|gov)(?:/.*)?)"),
        ("D", r"(?i:(?:doi[:.]?/?)?(?:https?://)?10\.\d{4,9}(?:/.*)?|doi[:./].*\d.*)"),
        ("T", r"(?:1[89]\d\d|20[0-4]\d)(?:[A-Z][a-z]{2})?\d{0,2};\S*\d.*"),
        ("N", r"\d{1,4}|\d\.\d|[ivx]{2,5}"),
        ("R", r"[A-Za-z]?\d+[-–—‐−]+[A-Za-z]?\d*|[ivxlc]+[-–—‐−]+[ivxlc]+"),
        ("Z", r"[A-Z]?\d+(?:(?:[-–—:;,./(]|\)[:,.]?)+[A-Za-z]?\d*)+"),
        ("x", r"[^\W\d_a-z]{2,}\w*[-–]?\d.*"),
        ("X", r"\w*\d.*"),
        ("I", r"(?:[^\W\d_a-z][a-z]?\.[-‐–]?)*[^\W\d_a-z](?:\.[-‐–]?[^\W\d_a-z])*"),
    )
)
_KEYWORDS = {
    word: name
    for name, words in {
        "P": "van von de der den des du da das do dos di del della la le el ten ter te zu zur af av bin ibn 't d' vom zum",
        "&": "and & und et y e и og och en",
        "L": "al others colleagues др",
        "n": "in",
        "o": "of for the a an with to as or by on from into dans pour sur avec con para por für",
        "p": "pp p s vol no bd nr jg h t n° nº v iss issue volume vols с т",
        "e": "ed eds hrsg hg éd dir red editor editors edited edition aufl trans",
        "b": "press verlag publishers publisher publications publishing publ books university universität universitet université"
        " universidad verlag springer elsevier wiley routledge sage academic guilford institute wissenschaft",
        "j": "journal j zeitschrift revista revue rev review annals ann archives arch proceedings proc bulletin bull acta"
        " transactions trans letters lett reports advances",
        "M": "jan feb mar apr may jun jul aug sep sept oct nov dec january february march april june july august september"
        " october november december januar februar märz mai juni juli oktober dezember",
        "v": "available retrieved accessed access cited url from at last abgerufen verfügbar zugriff online internet",
        "d": "doi pmid pmcid pmc arxiv isbn issn",
        "g": "york london berlin cambridge oxford paris boston washington chicago philadelphia heidelberg stuttgart amsterdam"
        " dordrecht basel wien münchen göttingen geneva москва",
        "h": "thesis dissertation diss unpublished submitted forthcoming",
    }.items()
    for word in words.split()
}  # fmt: skip
_NO_NAMES = frozenset(
    word
    for words in (
        "the an on of for to with how what why when where who is are do does can not no as at by or if we it its his her their",
        "our some this that these those two three four five six one first second new old after before between among under over",
        "into using use toward towards against during through beyond about more most all both",
        "die das der ein eine zur zum über aus bei les la le un une el los las una sobre sur pour",
    )
    for word in words.split()
)
"""Words that a title may begin with and a name does not."""
_DASHES = re.compile(r"[-–—―_⸺⸻]{2,}|[—―⸺⸻]")
_CJK = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


@lru_cache(maxsize=1 << 16)
def _shape(word: str) -> str:
    lead = _LEAD.match(word)
    start = lead.end() if lead else 0
    tail = _TAIL.search(word, start)
    stop = tail.start() if tail else len(word)
    core = word[start:stop]
    opened = ("(" if "(" in word[:start] or "[" in word[:start] else '"') if start else ""
    return f"{opened}{_kind(core)}{word[stop:].translate(_TAIL_SHAPES)[-2:]}"


def _kind(core: str) -> str:
    if not core:
        return "."
    if _DASHES.match(core):
        return "—"
    # `E.` and `S.` are initials more often than words, and a capitalised particle begins a reference as a name does.
    if (keyword := _KEYWORDS.get(core.lower())) and (len(core) > 1 or not core.isupper()):
        if keyword == "o" and not core.islower():
            return "S" if core.lower() in _NO_NAMES else "C"
        return keyword if keyword != "P" or core[0].islower() else "Q"
    for name, pattern in _SHAPES:
        if pattern.fullmatch(core):
            return name
    if _CJK.search(core):
        return "K"
    if core[0].isupper():
        if core.isupper():
            return "i" if len(core) <= 3 else "A"
        return "S" if core.lower() in _NO_NAMES else "C"
    return "c" if core.islower() else "m"


def shape(word: str) -> str:
    """The shape of a word: what opens before it, its kind in one letter, and the punctuation after it."""
    return _shape(word if len(word) <= _LONGEST else word[: _LONGEST // 2] + word[-_LONGEST // 2 :])


def kind(shape: str) -> str:
    """The one letter of a shape."""
    return shape[1] if shape[0] in '("' and len(shape) > 1 else shape[0]


class Shapes:
    """The shapes of the words of a text, and what else is asked about each place: where years, locators, authors are."""

    def __init__(self, words: Sequence[str]) -> None:
        self.shapes = list(_in_context(words))
        self.kinds = [kind(made) for made in self.shapes]
        self.since_year = list(_distances(self.kinds, "YyT"))
        self.since_locator = list(_distances(self.kinds, "RZTUD"))
        self.since_link = list(_distances(self.kinds, "UD"))
        self.to_year = list(_distances(self.kinds[::-1], "YyT"))[::-1]
        self.to_locator = list(_distances(self.kinds[::-1], "RZTUD"))[::-1]
        self.to_link = list(_distances(self.kinds[::-1], "UD"))[::-1]
        self.depth = list(_depths(words))
        self.opens = ["(" in word and word.rindex("(") > word.rfind(")") for word in words]
        ends = list(map(_ends_sentence, self.shapes, self.kinds))
        self.since_end = list(_distances(["."[: int(end)] or "-" for end in ends], "."))
        self.to_end = list(_distances(["."[: int(end)] or "-" for end in ends[::-1]], "."))[::-1]
        self.ends = [0, *accumulate(ends)]
        lists = AuthorLists(self.shapes, self.kinds)
        self.authors, self.listed = lists.said, lists.place
        self.repeated = list(_repetitions(words))

    def begins(self, at: int, counted: bool = False) -> bool:
        """Whether word `at` is of a kind that references begin with. After a marker that may count on, most are."""
        return self.kinds[at] not in _NEVER_BEGINS if counted else self.kinds[at] in _BEGINS

    def may_begin(self, at: int) -> bool:
        """Whether a reference could begin with word `at` inside a line, by the two words at the place alone."""
        made, before, kind_before = self.shapes[at], self.shapes[at - 1], self.kinds[at - 1]
        return (
            (
                (self.begins(at) and made[0] != "(")
                or (self.kinds[at] in _RARELY_BEGINS and (kind_before in "UDTRZ" or before in _ENDS_WITH_NUMBER))
                or (self.kinds[at] in "NXYZ" and "".join(self.authors[at + 1 : at + 2]) != "")
            )
            and (before[-1] != "," or kind_before in _LOCATES)
            and not (kind_before in _GOES_ON and before[-1] == kind_before)
            and before not in _ANNOUNCES
            and not self.opens[at - 1]
        )

    def score(self, at: int, after: int | None = None) -> float:
        """The logarithm of the odds that the place before word `at` is a boundary, where one of `BASE` places is."""
        return sum(map(_weights().get, self.features(at, after), repeat(0.0)))

    def features(self, at: int, after: int | None = None) -> list[str]:
        """What is seen around the place before word `at`. With `after`, a marker stands between and the text goes on there."""
        shapes, kinds = self.shapes, self.kinds
        after = at if after is None else after
        left = [*([EDGE] * (3 - at)), *shapes[max(0, at - 3) : at]]
        right = [*shapes[after : after + 5], *([EDGE] * 5)][:5]
        l3, l2, l1 = left
        r1, r2, r3, r4, r5 = right
        k1, k2, k3, k4, k5, k6 = (kinds[after : after + 6] + [EDGE] * 6)[:6]
        past, future = (
            _bucket(self.since_year[at - 1] if at else 99),
            _bucket(self.to_year[after] if after < len(kinds) else 99),
        )
        locator = _bucket(self.since_locator[at - 1] if at else 99)
        depth = self.depth[at - 1] if at else 0
        authors = self.authors[after] if after < len(kinds) else ""
        listed = self.listed[after] if after < len(kinds) else 0
        to_locator = _bucket(self.to_locator[after] if after < len(kinds) else 99)
        ended, ending = (
            _bucket(self.since_end[at - 2] if at > 1 else 99),
            _bucket(self.to_end[after] if after < len(kinds) else 99),
        )
        since = self.since_year[at - 1] if at else 99
        sentences = min(4, self.ends[at] - self.ends[at - since]) if since < 99 else 5
        found = [
            "bias",
            f"l{l1}",
            f"l{l2} {l1}",
            f"l{l3} {l2} {l1}",
            f"r{r1}",
            f"r{r1} {r2}",
            f"r{r1} {r2} {r3}",
            f"r{r1} {r2} {r3} {r4}",
            f"r{r1} {r2} {r3} {r4} {r5}",
            f"k{k1}{k2}{k3}",
            f"k{k1}{k2}{k3}{k4}",
            f"k{k1}{k2}{k3}{k4}{k5}{k6}",
            f"b{l1} {r1}",
            f"b{l2} {l1} {r1}",
            f"b{l1} {r1} {r2}",
            f"m{l1} {k1}{k2}{k3}",
            f"p{past}",
            f"f{future}",
            f"pf{past}{future}",
            f"fr{future} {r1} {r2}",
            f"o{locator}",
            f"ol{locator} {l1}",
            f"op{locator}{past}",
            f"or{locator} {k1}{k2}",
            f"d{depth}",
            f"a{authors}",
            f"al{authors} {l1}",
            f"af{authors} {future}",
            f"n{listed}",
            f"na{listed} {authors}",
            f"t{to_locator}{future}",
            f"tk{to_locator}{future} {k1}",
            f"e{ended}",
            f"e{ended} {l1} {k1}",
            f"g{ending} {k1}",
            f"gt{ending}{to_locator}{future}",
            f"s{sentences}{past}",
            f"so{sentences}{locator}",
            f"sa{sentences}{authors[:2]}",
        ]
        if repeated := (self.repeated[after] if after < len(kinds) else ""):
            found += (f"u{repeated} {k1}{k2}", f"u{repeated} {authors[:1]}")
        return found


_RARELY_BEGINS = frozenset("XNYxcm.")
"""Kinds of words that a reference begins with now and then, after what can only be the end of another."""
_ENDS_WITH_NUMBER = frozenset({"Y.", "Y).", "(Y).", "(Y)", "N.", "X."})
_ANNOUNCES = frozenset({"n:", "o:", "v:"})
"""`In:`, `Edited by:`, `Available at:`: what follows is of the same reference."""
_BEGINS = frozenset("CSAiIPQK—mbjgenxM&")
_NEVER_BEGINS = frozenset("RZUDTp")
_GOES_ON = frozenset("&Pcvon")
_LOCATES = frozenset("YRZ")
"""Kinds of words that a reference may begin with, that none begins with, that none ends with unless punctuation follows, and that
one may end with although a comma follows."""
BASE = 1 / 30
"""The share of places that are boundaries where nothing is known of the layout."""
FILE = Path(__file__).with_name("boundary_weights.json")


@cache
def _weights() -> dict[str, float]:
    return dict(json.loads(FILE.read_text(encoding="utf-8")))


def _in_context(words: Sequence[str]) -> Iterator[str]:
    """The shapes of words, but what follows `doi:`, or only the prefix of a DOI, is a DOI, however it was damaged."""
    goes_on = False
    for word in words:
        made = shape(word)
        own = kind(made)
        broken = goes_on and own in "RZXNxc.DU" and len(word) > 1
        if broken and own == ".":
            made = "D"
        elif broken:
            made = "D" + (made if own == "D" else made.lstrip('("'))[1:]
        announced = own == "d" and word[0] in "dD" and not broken
        goes_on = announced or bool((broken or own == "D") and _DOI_PREFIX.fullmatch(word))
        yield made


_DOI_PREFIX = re.compile(r"(?:doi:?)?(?:https?://(?:dx\.)?doi\.org/)?10[.\d]*/?", re.IGNORECASE)


def _ends_sentence(shape: str, kind: str) -> bool:
    """Whether a word is the last of a sentence: initials and abbreviated words are not."""
    return shape[-1] in '.?"' and kind not in "I&LpnevdS.P" and len(shape) > 1


_AGO = 80
"""Words after which a repetition says nothing."""


def _repetitions(words: Sequence[str]) -> Iterator[str]:
    """For each word, how long ago the same three words began: a title that is printed twice, or the same authors again."""
    seen: dict[tuple[str, ...], int] = {}
    bare = [word[:_LONGEST].strip("“”\"'‘’.,;:()[]").lower() for word in words]
    for at in range(len(words)):
        key = tuple(bare[at : at + 3])
        ago = at - seen.get(key, -_AGO)
        seen[key] = at
        yield _bucket(ago) if ago < _AGO and len(key) == 3 else ""


def _distances(kinds: Sequence[str], wanted: str) -> Iterator[int]:
    """For each word, how many words ago one of the wanted kinds was: 0 for such a word itself."""
    distance = 99
    for made in kinds:
        distance = 0 if made in wanted else min(distance + 1, 99)
        yield distance


def _bucket(distance: int) -> str:
    return "0123"[distance] if distance < 4 else "abcdefgh"[min(7, int(math.log2(distance / 4) * 2))]


_REACH = 60
"""Words after which a bracket or quote that was never closed is forgotten."""


def _depths(words: Sequence[str]) -> Iterator[int]:
    """For each word, which brackets and quotes are open after it: 0 none, 1 brackets, 2 quotes, 3 both."""
    brackets = quotes = 0
    forget = 0
    for number, word in enumerate(words):
        if any(char in word for char in "([)]“”„«»"):
            brackets = max(0, brackets + sum(map(word.count, "([")) - sum(map(word.count, ")]")))
            quotes = max(0, quotes + sum(map(word.count, "“„«")) - sum(map(word.count, "”»")))
            forget = number + _REACH
        elif number > forget:
            brackets = quotes = 0
        yield (brackets > 0) + 2 * (quotes > 0)
