"""Deposited markup → plain text: JATS, HTML, MathML, double-escaped or plain, all through one door.

This room decides how deposited text reads; it does not judge, translate or repair it (no mojibake guessing, nothing
invented). Built on the standard library's HTML parser, which bears unclosed tags, unknown names and `n < 5`; what is
not a well-formed tag of a known vocabulary (`If a<b, then c>d.`) is text.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from html import unescape
from html.parser import HTMLParser


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

_TAG = re.compile(
    r"<(?:(?P<close>/)?(?P<prefix>[A-Za-z][\w.-]*:)?(?P<name>[A-Za-z][\w.-]*)"
    r"(?:\s+[\w:.-]+(?:\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s\"'<>=]+))?)*\s*/?>"
    r"|!--(?:(?!<!--).)*?-->|!\[CDATA\[(?:(?!<!\[CDATA).)*?\]\]>|\?[A-Za-z].{0,2000}?\?>|!DOCTYPE[^<>]*>)",
    re.DOTALL | re.IGNORECASE,
)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_TEX_DOCUMENT = re.compile(r"\\documentclass.*?\\begin\{document\}(.*?)\\end\{document\}", re.DOTALL)

# Directional and zero-width marks, byte-order mark, soft hyphen, C0/C1 controls and specials: never part of a text.
_UNWANTED = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
)
_ODD = re.compile(f"{_UNWANTED.pattern}|[<&\ue000-\ue002]")
_SOFT = "\ue000"  # white space of a pretty-printed source beside a tag; private use, removed from every input first
_BREAK = "\ue001"  # the end of a block
_COLON = "\ue002"  # the end of a heading
_PRIVATE = re.compile("[\ue000-\ue002]|&#(?:x0*e00[0-2]|0*5734[4-6]);?", re.IGNORECASE)
_INDENTED = re.compile(r"\s*\n\s*|\s{2,}")
_SOFT_RUN = re.compile(rf"{_SOFT}{_SOFT}+")
_TIGHT_AFTER = re.compile(rf"{_SOFT}(?=[.,;:!?)\]}}%’”\-–/])")
_TIGHT_BEFORE = re.compile(rf"(?<=[(\[{{‘“/]){_SOFT}")
_CAPITALISED = re.compile(r"[^\W\d_a-zà-öø-ÿ][^\W\d_A-ZÀ-ÖØ-Þ]{2}")
_LOWER_END = re.compile(r"(?<![^\W\d_])[^\W\d_]+[^\W\d_A-ZÀ-ÖØ-Þ]$")
_HEADING_END = re.compile(rf"[ ]*(?:[:.\-–—][ ]*)?{_COLON}[\s{_BREAK}{_SOFT}]*")

_ABSTRACT = r"(?:structured |author |graphical )?(?:abstract|summary)|zusammenfassung|résumé|resumen|resumo|riassunto"
_LEADING_HEADING = re.compile(rf"^(?:{_ABSTRACT})(?:\s*[:.\-–—]\s*\n?|\s*\n)\s*(?=\S)", re.IGNORECASE)
_TRIVIAL = re.compile(
    r"[\W_]*(?:n\.?/?a\.?|none|null|nil|undefined|abstract|not available|abstract (?:is )?not (?:available|provided)"
    r"|(?:there is )?no abstract(?: is)?(?: available| provided)?(?: for this (?:article|paper|chapter))?)?[\W_]*",
    re.IGNORECASE,
)

_PASSES = 3
"""Crossref holds text escaped twice (`&amp;lt;scp&amp;gt;`); more than that has not been seen."""


def plain(markup: str | None) -> str | None:
    """The text a reader sees, one line per block and `Heading: text` for sections; None when nothing is left of it."""
    if markup is None:
        return None
    text = _LEADING_HEADING.sub("", _read(markup))
    return None if _TRIVIAL.fullmatch(text) else text


def line(markup: str | None) -> str | None:
    """The same on one line, for names and short fields: only emptiness is None (`Na` and `None` are surnames)."""
    if markup is None:
        return None
    if (
        markup.isascii() and markup.isprintable() and "<" not in markup and "&" not in markup
    ):  # most fields of most records
        return (" ".join(markup.split()) if "  " in markup else markup.strip()) or None
    if not _ODD.search(markup):
        return unicodedata.normalize("NFC", " ".join(markup.split())) or None
    return _read(markup).replace("\n", " ") or None


def flat(text: str) -> str:
    """`text` without accents and capitals; punctuation stays."""
    if text.isascii():
        return text.lower()
    text = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(char for char in text if not unicodedata.combining(char)).translate(_LETTERS)


@lru_cache(maxsize=4096)
def fold(text: str) -> str:
    """`text` for comparing: accents, case, dashes, quotes and punctuation aside, words parted by one blank."""
    return " ".join(_WORD.findall(flat(text)))


_LETTERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h"})
_WORD = re.compile(r"[^\W_]+")


def _read(markup: str) -> str:
    """Tags and entities undone until none is left, or as often as they are nested in practice."""
    text = _UNWANTED.sub("", _PRIVATE.sub("", markup))
    for _ in range(_PASSES):
        if _TAG.search(text):
            text = _strip(text)
        elif _ENTITY.search(text):
            text = unescape(text)
        else:
            break
    return _tidy(_UNWANTED.sub("", text))


def _strip(text: str) -> str:
    """One pass of tags taken away, entities undone."""
    reader = _Reader()
    end = 0
    for tag in _TAG.finditer(text):
        name = (tag["name"] or "").lower()
        if name and not tag["prefix"] and name not in _KNOWN:
            continue
        reader.feed(text[end : tag.start()].replace("<", "&lt;"))
        if name:
            reader.feed(tag.group())
        elif tag.group().startswith("<![CDATA["):
            reader.feed(tag.group()[9:-3].replace("&", "&amp;").replace("<", "&lt;"))
        end = tag.end()
    reader.feed(text[end:].replace("<", "&lt;"))
    reader.close()
    return "".join(reader.parts)


class _Reader(HTMLParser):
    """Collects text into `parts`, with marks where blocks and headings end and where white space is only layout."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._silent: list[str] = []
        self._math = 0
        self._after_tag = False
        self._left_math = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        name = tag.rpartition(":")[2]
        if name in _SILENT:
            self._silent.append(name)
        elif name == "math":
            self._part()
            self._math += 1
        elif name in _BLOCK or name in _HEADING:
            self.parts.append(_BREAK)
        elif name in {"sub", "sup"} and self.parts and self.parts[-1] == _SOFT:
            self.parts.pop()
        self._after_tag = True

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        name = tag.rpartition(":")[2]
        if name in _BLOCK:
            self.parts.append(_BREAK)
        self._after_tag = True

    def handle_endtag(self, tag: str) -> None:
        name = tag.rpartition(":")[2]
        if name in _SILENT:
            if name in self._silent:
                self._silent.remove(name)
        elif name == "math":
            self._math = max(0, self._math - 1)
            self._left_math = True
        elif name in _HEADING:
            self.parts.append(_COLON)
        elif name in _BLOCK:
            self.parts.append(_BREAK)
        self._after_tag = True

    def handle_data(self, data: str) -> None:
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
            data = _TEX_DOCUMENT.sub(r"\1", data)
        lead = _INDENTED.match(data) if self._after_tag else None
        if lead:
            self.parts.append(_SOFT)
            data = data[lead.end() :]
        tail = _INDENTED.search(data, len(data.rstrip()))
        self.parts.extend((data[: tail.start()], _SOFT) if tail else (data,))
        self._after_tag = False

    def _glued(self, data: str) -> bool:
        """Did the deposit lose a blank here: after a formula, or where a tag parts `in vitro` from `Culture`?"""
        if self._left_math and data[0].isalpha():
            return True
        if not self._after_tag or not self.parts or not _CAPITALISED.match(data):
            return False
        before = _LOWER_END.search(self.parts[-1])
        return before is not None and before.group().casefold() not in {"mc", "mac"}

    def set_cdata_mode(self, *_: object, **__: object) -> None:
        """Never: newer parsers read `<title>` as raw text, but in JATS a title holds markup."""

    def _part(self) -> None:
        """A formula is a word of its own: several publishers deposit none of the blanks around it."""
        if not self._math and self.parts and self.parts[-1][-1:].isalpha():
            self.parts.append(_SOFT)


def _tidy(text: str) -> str:
    """Marks made into colons, lines and blanks; white space collapsed; NFC."""
    text = _TIGHT_BEFORE.sub("", _TIGHT_AFTER.sub("", _SOFT_RUN.sub(_SOFT, text)))
    text = text.replace(_SOFT, " ")
    if _COLON in text:
        text = _headings(text)
    lines = (" ".join(line.split()) for line in text.split(_BREAK))
    return unicodedata.normalize("NFC", "\n".join(line for line in lines if line))


def _headings(text: str) -> str:
    """Headings joined to the text below them: `Background: …`; one that ends the text stands alone."""
    head, *rest = _HEADING_END.split(text)
    for part in rest:
        bare = head.rpartition(_BREAK)[2].strip()
        if not bare or not part.strip():
            head += _BREAK + part
        elif re.fullmatch(_ABSTRACT, bare, re.IGNORECASE):
            head = head[: len(head) - len(head.rpartition(_BREAK)[2])] + part
        else:
            head += ("" if bare[-1] in "?!" else ":") + " " + part
    return head
