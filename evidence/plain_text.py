"""Deposited markup (JATS, HTML, MathML, double-escaped or plain) → plain text; and text folded for comparing.

It repairs nothing but text that was decoded with the wrong encoding (`CastaÃ±o`), where the original is certain; the record
itself is kept as it came. Unclosed tags, unknown names and `n < 5` are tolerated: whatever is not a well-formed tag of a known
vocabulary (`If a<b, then c>d.`) is text.

Time grows in proportion to the text, whatever it holds: every pattern is possessive (`*+`) or stops at the next place where it
could begin.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from evidence.unicode_repair import (
    composed,
    decomposed,
    looks_wrong,
    repair_encoding,
    unescape,
    without_surrogates,
)


def _names(words: str) -> frozenset[str]:
    return frozenset(words.split())


_BLOCK = _names(
    "abstract address article blockquote body boxed-text caption center dd def-item disp-formula disp-quote div dl dt"
    " fig figcaption figure footer h1 h2 h3 h4 h5 h6 head header hr html label-block li list list-item main ol p para"
    " pre section sec simplesect speech statement table table-wrap tbody td tfoot th thead tr trans-abstract ul"
    " verse-group verse-line abstract-section br break simplepara"
)
_HEADING = _names("title h1 h2 h3 h4 h5 h6")
_INLINE = _names(
    "a abbr acronym alternatives article-title b bdi bdo big bold bold-italic button chem-struct cite code"
    " collab colspec data dfn del em email emphasis ext-link fixed-case font fn graphic image i img inf inline"
    " inline-formula inline-graphic inline-supplementary-material ins institution it italic kbd label mark media"
    " monospace named-content nobr nlm note overline person-group private-char q related-article related-object roman"
    " rom ruby rb rp rt s samp sans-serif sc scp small smallcaps small-caps source span strike string-name strong"
    " styled-content sub sup subscript superscript tex-math tt u underline uri var xref year time wbr"
)
_MATH = _names(
    "math mi mn mo ms mtext mrow msub msup msubsup mfrac msqrt mroot mover munder munderover mfenced menclose mstyle"
    " mspace mpadded mphantom mtable mtr mtd mlabeledtr mmultiscripts mprescripts none semantics annotation"
    " annotation-xml merror maction mglyph malignmark maligngroup"
)
_SILENT = _names("script style annotation annotation-xml object noscript template")
_KNOWN = _BLOCK | _HEADING | _INLINE | _MATH | _SILENT

# A tag with its attributes. A quoted value may hold `<`, but the pattern stops before it: see `_long_tag`.
_NAME = r"(?P<close>/)?(?P<name>(?P<prefix>[A-Za-z][\w.-]*+:)?[A-Za-z][\w.-]*+)"
_ATTRIBUTE = r"\s++[\w:.-]++(?:\s*+=\s*+(?:\"[^\"<]*+\"|'[^'<]*+'|[^\s\"'<>=]++)|(?!\s*+=))"
_VALUE_BEGINS = r"\s++[\w:.-]++\s*+=\s*+(?=[\"'])"
_TAG = re.compile(
    rf"<(?:{_NAME}(?:{_ATTRIBUTE})*+(?:\s*+(?P<alone>/)?>|(?P<long>{_VALUE_BEGINS}))"
    r"|!--(?:(?!<!--).)*?-->|!\[CDATA\[(?:(?!<!\[CDATA).)*?\]\]>|(?P<order>\?[A-Za-z])|!DOCTYPE[^<>]*+>)",
    re.DOTALL | re.IGNORECASE,
)
_LONGEST_ORDER = 2000
"""Characters of a processing instruction (`<?tex … ?>`) at most."""
_QUOTED = re.compile(r"\"[^\"]*+\"|'[^']*+'")
_MORE = re.compile(rf"(?:{_ATTRIBUTE})*+(?:\s*+(?P<alone>/)?>|(?P<long>{_VALUE_BEGINS}))", re.IGNORECASE)
_SHORT_TAG = re.compile(rf"<{_NAME}(?:{_ATTRIBUTE})*+\s*+/?>", re.IGNORECASE)
"""The tags of `_TAG` without `<` in a value: nearly all, and ten times as fast to find."""
_SILENT_OR_NO_TAG = re.compile(rf"<(?:[!?]|(?:[\w.-]+:)?(?:{'|'.join(_SILENT)})\b)", re.IGNORECASE)
_LONG_TAG = re.compile(r"<[A-Za-z/][^<]*=\s*[\"']")
# A letter of ASCII beside another character, but for blanks, dashes and quotation marks: only there can a word have an accent, a
# wrong encoding or something invisible in it. No wrong encoding of an accented letter begins with one of these marks. In UTF-8,
# because sets of bytes are found faster.
_IN_A_WORD = re.compile(
    rb"[\xc2-\xf4](?!(?<=\xc2)\xa0|(?<=\xe2)\x80[\x80-\x8a\x90-\x99\x9c\x9d])(?:(?<=[A-Za-z].)|[\x80-\xff]*+[A-Za-z])",
    re.DOTALL,
)
_ENCODINGS = ("latin-1", "cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1257", "iso8859-2", "mac_roman", "cp437")
_FIRST_BYTES = bytes([*range(0xC2, 0xCA), 0xCC, 0xCD, *range(0xE1, 0xE3), 0xEF])
_WRONG_ENCODING = re.compile(
    rf"[{''.join(sorted({_FIRST_BYTES.decode(name, 'ignore')[at : at + 1] for name in _ENCODINGS for at in range(13)}))}]"
    "(?:[^\x00-\x7f]| )|[\x80-\x9f]"
)
"""How a letter of Latin script, or something invisible, begins that was decoded with one of the encodings that ftfy knows.
Its own test takes a hundred times as long."""
_WRONG_FIRST = frozenset(char for name in _ENCODINGS for char in _FIRST_BYTES.decode(name, "ignore"))
_PARAGRAPHS = ("<jats:p>", "</jats:p>", "<jats:title>", "</jats:title>", "<jats:sec>", "</jats:sec>", "<p>", "</p>")
"""The tags that most abstracts have and no others: the ends of words."""
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
# Directional and zero-width marks, byte-order mark, soft hyphen, C0/C1 controls and specials: never part of a text.
_HIDDEN = "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
_UNWANTED = re.compile(f"[{_HIDDEN}]")
_UNWANTED_OR_PRIVATE = re.compile(f"[{_HIDDEN}\ue000-\ue002]")
_ODD = re.compile(f"[{_HIDDEN}<&\ue000-\ue002\ud800-\udfff]")
_SOFT = "\ue000"  # white space of a pretty-printed source beside a tag; private use, removed from every input first
_BREAK = "\ue001"  # the end of a block
_COLON = "\ue002"  # the end of a heading
_PRIVATE = re.compile("[\ue000-\ue002]|&#(?:x0*e00[0-2]|0*5734[4-6]);?", re.IGNORECASE)
_INDENTED = re.compile(r"(?=[^\S\n]*+\n)\s++|\s{2,}+")
_SOFT_RUN = re.compile(rf"{_SOFT}{_SOFT}+")
_TIGHT_AFTER = re.compile(rf"{_SOFT}(?=[.,;:!?)\]}}%’”\-–/])")
_TIGHT_BEFORE = re.compile(rf"(?<=[(\[{{‘“/]){_SOFT}")
_CAPITALISED = re.compile(r"[^\W\d_a-zà-öø-ÿ][^\W\d_A-ZÀ-ÖØ-Þ]{2}")
_LOWER_END = re.compile(r"(?<![^\W\d_])[^\W\d_]+[^\W\d_A-ZÀ-ÖØ-Þ]$")
_HEADING_ENDS = ":.-–—"
_AFTER_HEADING = re.compile(rf"[\s{_BREAK}{_SOFT}]*+")

_ABSTRACT = r"(?:structured |author |graphical )?(?:abstract|summary)|zusammenfassung|résumé|resumen|resumo|riassunto"
_LEADING_HEADING = re.compile(rf"^(?:{_ABSTRACT})(?:\s*+[:.\-–—]\s*+|(?=[^\S\n]*+\n)\s++)(?=\S)", re.IGNORECASE)
_LONGEST_HEADING = 40
"""Characters that the heading of a whole abstract has at most."""
_TRIVIAL = re.compile(
    r"[\W_]*+(?:(?:n\.?/?a\.?|none|null|nil|undefined|abstract|not available|abstract (?:is )?not (?:available|provided)"
    r"|(?:there is )?no abstract(?: is)?(?: available| provided)?(?: for this (?:article|paper|chapter))?)[\W_]*+)?",
    re.IGNORECASE,
)

_PASSES = 3
"""Crossref has text that is escaped twice (`&amp;lt;scp&amp;gt;`); text escaped more often has not been seen."""


def plain_text(markup: str | None) -> str | None:
    """The text that a reader sees, one line per block and `Heading: text` for sections. None when nothing is left, or only a
    placeholder (`No abstract available`)."""
    if markup is None:
        return None
    text = _LEADING_HEADING.sub("", _read(markup))
    return None if _TRIVIAL.fullmatch(text) else text


def plain_line(markup: str | None) -> str | None:
    """The text on one line, for names and short fields. None only when it is empty: `Na` and `None` are surnames."""
    if markup is None:
        return None
    if (
        markup.isascii() and markup.isprintable() and "<" not in markup and "&" not in markup
    ):  # most fields of most records
        return (" ".join(markup.split()) if "  " in markup else markup.strip()) or None
    if not _ODD.search(markup):
        return composed(" ".join(repair_encoding(markup).split())) or None
    return _read(markup).replace("\n", " ") or None


def markup_places(text: str) -> Iterator[tuple[int, int]]:
    """Where the tags, comments and the like stand that `plain_text` takes out in its first pass: (start, stop), in order."""
    return ((tag.start, tag.stop) for tag in _tags(text))


def quick_text(markup: str) -> str | None:
    """The letters that `plain_text` and `plain_line` leave, in the same order, at a tenth of the cost and without their
    blanks in the right places: for telling whether a text may hold a word. More may be left than these do. None for the few
    texts that only they can read."""
    text = markup
    if "<" in text:
        for tag in _PARAGRAPHS:
            text = text.replace(tag, " ")
    plain = "<" not in text and "&" not in text
    if not text.isascii():
        if plain and not _IN_A_WORD.search(text.encode(errors="surrogatepass")):
            return text
        text = without_surrogates(text)
        text = _PRIVATE.sub("", repair_encoding(text) if _WRONG_ENCODING.search(text) else text)
        text = _UNWANTED.sub("", text)
        plain = "<" not in text and "&" not in text
    if plain:
        return _repaired(text)
    stages = []
    for _ in range(_PASSES + 1):
        if _SILENT_OR_NO_TAG.search(text) or "\\documentclass" in text:
            return None
        stripped = _SHORT_TAG.sub(_unknown, text) if "<" in text else text
        if _LONG_TAG.search(stripped):
            return None
        shown = unescape(stripped) if "&" in stripped else stripped
        stages.append(shown)
        if shown == text or ("&" not in shown and "<" not in shown):
            break
        text = shown
    last = _repaired(stages.pop())
    return "\n".join([*stages, last]) if "&" in markup else last


def may_hide_a_letter(char: str) -> bool:
    """Whether a character that is not of ASCII may be inside a word of ASCII letters: it is not seen, is taken for such a letter,
    or is the first of those that such a letter becomes in a wrong encoding."""
    return (
        unicodedata.category(char) in _NOT_SEEN
        or char in _WRONG_FIRST
        or char == "ı"
        or any(each.isascii() and each.isalpha() for each in unicodedata.normalize("NFKD", char) + char.casefold())
    )


_NOT_SEEN = frozenset(("Cc", "Cf", "Cn", "Co", "Cs", "Mc", "Me", "Mn", "Zs"))
"""Categories of Unicode: controls, marks, what is no character, and blanks, which formulas lose at their edges."""


def _repaired(text: str) -> str:
    """A text without tags and what is invisible, which may have hidden a wrong encoding: repaired once more."""
    if text.isascii():
        return text
    text = without_surrogates(text)
    return _UNWANTED.sub("", repair_encoding(text) if _WRONG_ENCODING.search(text) else text)


def _unknown(tag: re.Match[str]) -> str:
    """Nothing for a tag of a known vocabulary; else the text that it is."""
    return "" if tag["prefix"] or tag["name"].lower() in _KNOWN else tag[0]


def without_accents(text: str) -> str:
    """`text` in lower case and without accents; punctuation stays."""
    if text.isascii():
        return text.lower()
    text = decomposed(decomposed(text).casefold())
    return "".join(char for char in text if not unicodedata.combining(char)).translate(_LETTERS)


def fold(text: str) -> str:
    """`text` for comparing: its words in lower case and without accents, separated by one blank; no punctuation."""
    return _fold_kept(text) if len(text) <= _KEPT else _folded(text)


def _folded(text: str) -> str:
    return " ".join(_WORD.findall(without_accents(text)))


_KEPT = 10_000
"""Characters of a text whose folded form is cached at most: longer ones would fill the memory."""
_fold_kept = lru_cache(maxsize=4096)(_folded)


_LETTERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h"})
_WORD = re.compile(r"[^\W_]+")


def _read(markup: str) -> str:
    """The text without tags and entities, removed until none is left, `_PASSES` times at most."""
    # What most texts are: without tags, or one paragraph. The rest of this function would give the same.
    inner = markup[8:-9] if markup.startswith("<jats:p>") and markup.endswith("</jats:p>") else markup
    if "<" not in inner and "\\" not in inner and not _ODD.search(inner) and not looks_wrong(markup):
        return composed(" ".join(inner.split()))
    text = _without_marks(repair_encoding(without_surrogates(markup)))
    for _ in range(_PASSES):
        if "<" in text and next(_tags(text), None):
            text = _strip(text)
        elif "&" in text and _ENTITY.search(text):
            text = unescape(text)
        else:
            break
    return _tidy(_UNWANTED.sub("", without_surrogates(repair_encoding(text))))


def _without_marks(text: str) -> str:
    """The text without what is invisible, without the characters that mark places here, and without entities for these."""
    if "&#" in text or _UNWANTED_OR_PRIVATE.search(text):
        return _UNWANTED.sub("", _PRIVATE.sub("", text))
    return text


@dataclass(frozen=True, slots=True)
class _Tag:
    """The place of a tag, a comment or the like. `name` in lower case with its prefix; empty for what is not a tag."""

    start: int
    stop: int
    name: str = ""
    close: bool = False
    alone: bool = False


def _tags(text: str) -> Iterator[_Tag]:
    """The tags of a known vocabulary, comments and the like, in order. Whatever else begins with `<` is text."""
    at = order_ends = 0
    dead: set[int] = set()
    while found := _TAG.search(text, at):
        at, alone = found.end(), bool(found["alone"])
        if found["order"]:
            if order_ends < at:  # searched once, however many begin before it
                order_ends = (text.find("?>", at) + 1 or len(text) + _LONGEST_ORDER + 2) - 1
            if order_ends - at > _LONGEST_ORDER:
                continue
            at = order_ends + 2
        if found["long"]:
            rest = _long_tag(text, at, dead)
            if rest is None:
                at = found.start() + 1
                continue
            at, alone = rest.end(), bool(rest["alone"])
        name = (found["name"] or "").lower()
        if not name:
            yield _Tag(found.start(), at)
        elif found["prefix"] or name in _KNOWN:
            yield _Tag(found.start(), at, name, bool(found["close"]), alone)


def _long_tag(text: str, at: int, dead: set[int]) -> re.Match[str] | None:
    """The end of a tag with `<` in a quoted value, which begins at `at`; None when the tag does not end properly. `dead` has the
    values from which no end is reached, so that a thousand nested tags are read once."""
    walked = []
    while at not in dead:
        walked.append(at)
        value = _QUOTED.match(text, at)
        rest = _MORE.match(text, value.end()) if value else None
        if rest is None:
            break
        if not rest["long"]:
            return rest
        at = rest.end()
    dead.update(walked)
    return None


def _strip(text: str) -> str:
    """The text with its tags removed and its entities replaced, once."""
    reader = _Reader()
    end = 0
    for tag in _tags(text):
        reader.data(unescape(text[end : tag.start]))
        if not tag.name:
            if text.startswith("<![CDATA[", tag.start):
                reader.data(text[tag.start + 9 : tag.stop - 3])
        elif tag.close:
            reader.closed(tag.name)
        elif tag.alone:
            reader.alone(tag.name)
        else:
            reader.opened(tag.name)
        end = tag.stop
    reader.data(unescape(text[end:]))
    return "".join(reader.parts)


class _Reader:
    """Collects text into `parts`, with markers for the ends of blocks and headings and for white space that is only layout."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self._silent: Counter[str] = Counter()
        self._math = 0
        self._after_tag = False
        self._left_math = False

    def opened(self, tag: str) -> None:
        """A tag that opens."""
        name = tag.rpartition(":")[2]
        if name in _SILENT:
            self._silent[name] += 1
        elif name == "math":
            self._part()
            self._math += 1
        elif name in _BLOCK or name in _HEADING:
            self.parts.append(_BREAK)
        elif name in {"sub", "sup"} and self.parts and self.parts[-1] == _SOFT:
            self.parts.pop()
        self._after_tag = True

    def alone(self, tag: str) -> None:
        """A tag that opens and closes: `<br/>`."""
        name = tag.rpartition(":")[2]
        if name in _BLOCK:
            self.parts.append(_BREAK)
        self._after_tag = True

    def closed(self, tag: str) -> None:
        """A tag that closes."""
        name = tag.rpartition(":")[2]
        if name in _SILENT:
            self._silent[name] -= 1
            if self._silent[name] <= 0:
                del self._silent[name]
        elif name == "math":
            self._math = max(0, self._math - 1)
            self._left_math = True
        elif name in _HEADING:
            self.parts.append(_COLON)
        elif name in _BLOCK:
            self.parts.append(_BREAK)
        self._after_tag = True

    def data(self, data: str) -> None:
        """Text between two tags, with its entities replaced."""
        if self._silent or not data:
            return
        if self._math:
            self.parts.append(data.strip())
            self._after_tag = False
            return
        if self._glued(data):
            self.parts.append(_SOFT)
        self._left_math = False
        if "\\begin{document}" in data:
            data = _without_tex(data)
        lead = _INDENTED.match(data) if self._after_tag else None
        if lead:
            self.parts.append(_SOFT)
            data = data[lead.end() :]
        tail = _INDENTED.search(data, len(data.rstrip()))
        self.parts.extend((data[: tail.start()], _SOFT) if tail else (data,))
        self._after_tag = False

    def _glued(self, data: str) -> bool:
        """Whether the deposit lost a blank here: after a formula, or where a tag separates `in vitro` from `Culture`."""
        if self._left_math and data[0].isalpha():
            return True
        if not self._after_tag or not self.parts or not _CAPITALISED.match(data):
            return False
        before = _LOWER_END.search(self.parts[-1])
        return before is not None and before.group().casefold() not in {"mc", "mac"}

    def _part(self) -> None:
        """Separates a formula from the word before it: several publishers deposit no blanks around formulas."""
        if not self._math and self.parts and self.parts[-1][-1:].isalpha():
            self.parts.append(_SOFT)


def _without_tex(data: str) -> str:
    """The text with only the body of each TeX document, between `\\begin{document}` and `\\end{document}`."""
    parts, at = [], 0
    while (start := data.find("\\documentclass", at)) >= 0:
        begin = data.find("\\begin{document}", start)
        end = data.find("\\end{document}", begin)
        if begin < 0 or end < 0:
            break
        parts += [data[at:start], data[begin + 16 : end]]
        at = end + 14
    return "".join([*parts, data[at:]])


def _tidy(text: str) -> str:
    """The markers replaced with colons, line breaks and blanks; white space collapsed; NFC."""
    if _SOFT in text:
        text = _TIGHT_BEFORE.sub("", _TIGHT_AFTER.sub("", _SOFT_RUN.sub(_SOFT, text))).replace(_SOFT, " ")
    if _COLON in text:
        text = _headings(text)
    lines = (" ".join(line.split()) for line in text.split(_BREAK))
    return composed("\n".join(line for line in lines if line))


def _headings(text: str) -> str:
    """Headings joined to the text below them: `Background: …`. A heading at the end of the text stays alone."""
    done: list[str] = []
    line: list[str] = []  # what stands since the last break, before the heading's end that comes next
    parts = text.split(_COLON)
    for number, part in enumerate(parts):
        if number:
            part = part[_AFTER_HEADING.match(part).end() :]  # type: ignore[union-attr]  # it matches nothing, too
        if number < len(parts) - 1:
            part = _without_end(part)
        if number:
            _join(done, line, part)
        broken, mark, rest = part.rpartition(_BREAK)
        if mark:
            done += [*line, broken, mark]
            line = []
        line.append(rest)
    return "".join([*done, *line])


def _without_end(heading: str) -> str:
    """The heading without one punctuation mark at its end."""
    heading = heading.rstrip(" ")
    return heading[:-1].rstrip(" ") if heading[-1:] and heading[-1] in _HEADING_ENDS else heading


def _join(done: list[str], line: list[str], below: str) -> None:
    """Adds what belongs between a heading (`line`) and the text below it."""
    last = next((stripped for piece in reversed(line) if (stripped := piece.rstrip())), "")
    if not last or not below.strip():
        done += [*line, _BREAK]
        line.clear()
    elif (
        len(line) == 1 and len(line[0]) <= _LONGEST_HEADING and re.fullmatch(_ABSTRACT, line[0].strip(), re.IGNORECASE)
    ):
        line.clear()
    else:
        line.append(("" if last[-1] in "?!" else ":") + " ")
