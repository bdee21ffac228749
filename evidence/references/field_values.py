"""Values of fields as databases and reference managers write them → the values of `given_reference.Fields`.

Pure: text in, text out. It may not guess: what cannot be read is None, and the text stays where it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from evidence.plain_text import plain_line, plain_text

KINDS: Mapping[str, str] = {
    "jour": "journal-article",
    "jfull": "journal-article",
    "ejour": "journal-article",
    "mgzn": "journal-article",
    "news": "journal-article",
    "abst": "journal-article",
    "inpr": "journal-article",
    "article": "journal-article",
    "article-journal": "journal-article",
    "article-magazine": "journal-article",
    "journal article": "journal-article",
    "journalarticle": "journal-article",
    "magazinearticle": "journal-article",
    "electronic article": "journal-article",
    "j": "journal-article",
    "review": "journal-article",
    "chap": "book-chapter",
    "echap": "book-chapter",
    "chapter": "book-chapter",
    "incollection": "book-chapter",
    "inbook": "book-chapter",
    "book section": "book-chapter",
    "booksection": "book-chapter",
    "book": "book",
    "ebook": "book",
    "edbook": "edited-book",
    "b": "book",
    "conf": "proceedings-article",
    "cpaper": "proceedings-article",
    "inproceedings": "proceedings-article",
    "conference": "proceedings-article",
    "paper-conference": "proceedings-article",
    "conference proceedings": "proceedings-article",
    "conference paper": "proceedings-article",
    "conferencepaper": "proceedings-article",
    "thes": "dissertation",
    "thesis": "dissertation",
    "phdthesis": "dissertation",
    "mastersthesis": "dissertation",
    "rprt": "report",
    "report": "report",
    "techreport": "report",
    "unpb": "posted-content",
    "unpd": "posted-content",
    "preprint": "posted-content",
    "ency": "reference-entry",
    "encyc": "reference-entry",
    "dict": "reference-entry",
    "data": "dataset",
    "dataset": "dataset",
    "stand": "standard",
}
"""Types of RIS, BibTeX, CSL, EndNote and Zotero, in lower case → Crossref's types. What is not here has no type."""

_MONTHS = {name: n for n, name in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), start=1)}  # noqa: SIM905
_LANGUAGES = {
    name: code
    for code, names in {
        "en": "en eng english",
        "de": "de ger deu german",
        "fr": "fr fre fra french",
        "es": "es spa spanish",
        "pt": "pt por portuguese",
        "it": "it ita italian",
        "nl": "nl dut nld dutch",
        "zh": "zh chi zho chinese",
        "ja": "ja jpn japanese",
        "ru": "ru rus russian",
        "pl": "pl pol polish",
        "tr": "tr tur turkish",
        "sv": "sv swe swedish",
        "fa": "fa per fas persian",
        "ko": "ko kor korean",
    }.items()
    for name in names.split()
}
_YEAR = re.compile(r"(?<!\d)(1[4-9]\d\d|20\d\d)(?!\d)")
_NUMBERS = re.compile(r"(1[4-9]\d\d|20\d\d)(?:[-/.](\d{1,2})(?!\d)(?:[-/.](\d{1,2})(?!\d))?)?")
_COMPACT = re.compile(r"(?<!\d)(1[4-9]\d\d|20\d\d)(0[1-9]|1[0-2])([0-2]\d|3[01])(?!\d)")
_DAY_FIRST = re.compile(r"(?:(\d{1,2})\s+)?([A-Za-z]{3,9})\.?\s+(1[4-9]\d\d|20\d\d)")
_YEAR_FIRST = re.compile(r"(1[4-9]\d\d|20\d\d)[\s/-]+([A-Za-z]{3,9})\.?(?:[\s/-]+(\d{1,2})(?!\d))?")
_PMID = re.compile(
    r"(?:\bPMID:?\s*|pubmed\.ncbi\.nlm\.nih\.gov/|ncbi\.nlm\.nih\.gov/pubmed/)(\d{4,9})\b|\b(\d{4,9})\[pmid\]", re.I
)
_PMCID = re.compile(r"\b(PMC\d{3,9})\b", re.I)
_ISSN = re.compile(r"(?<![\dX])(\d{4})-?(\d{3}[\dX])(?![\dX])", re.I)
_ISBN = re.compile(r"(?<!\d)(?:97[89][- ]?)?\d[\d -]{8,12}[\dX](?!\d)", re.I)


def kind(stated: str | None) -> str | None:
    """Crossref's word for a type of publication; None for one that it has no word for."""
    words = (stated or "").strip().lower()
    return KINDS.get(words) or (KINDS.get(words.split()[0]) if words else None)


def year(*dates: str | None) -> str | None:
    """The first year in the dates, from 1400 to 2099."""
    return next((found[1] for text in dates if text and (found := _YEAR.search(text) or _COMPACT.search(text))), None)


def date(*stated: str | None) -> str | None:
    """The most precise ISO date that the dates give: `2019`, `2019-05` or `2019-05-03`. Days of another year than the first are
    not taken; a month or day of `00` or out of range is left out."""
    first = year(*stated)
    found = [iso for text in stated if text and (iso := _iso(text)) and iso[:4] == first]
    return max(found, key=len, default=first)


def _iso(text: str) -> str | None:
    if named := _YEAR_FIRST.search(text):
        parts = (named[1], _month(named[2]), named[3])
    elif named := _DAY_FIRST.search(text):
        parts = (named[3], _month(named[2]), named[1])
    elif numbers := _COMPACT.search(text) or _NUMBERS.search(text):
        parts = (numbers[1], numbers[2], numbers[3])
    else:
        return None
    first, month, day = parts
    if not month or not 1 <= int(month) <= 12:
        return first
    if not day or not 1 <= int(day) <= 31:
        return f"{first}-{int(month):02}"
    return f"{first}-{int(month):02}-{int(day):02}"


def _month(word: str) -> str | None:
    number = _MONTHS.get(word[:3].lower())
    return str(number) if number else None


def language(stated: str | None) -> str | None:
    """The code of a language where it is one that databases often name, else the word as stated."""
    word = (plain_line(stated) or "").strip()
    return _LANGUAGES.get(word.lower(), word) or None


def pmid(*texts: str | None) -> str | None:
    """The PubMed identifier that one of the texts names as such (`PMID: 123`, `123[pmid]`, an address of PubMed)."""
    for text in texts:
        if text and (found := _PMID.search(text)):
            return found[1] or found[2]
    return None


def pmcid(*texts: str | None) -> str | None:
    """The identifier in PubMed Central that one of the texts names."""
    return next((found[1].upper() for text in texts if text and (found := _PMCID.search(text))), None)


def issns(texts: Iterable[str]) -> tuple[str, ...]:
    """The ISSNs in the texts, each once, with their hyphen."""
    found = (match for text in texts for match in _ISSN.finditer(_ISBN_13.sub(" ", text)))
    return tuple(dict.fromkeys(f"{match[1]}-{match[2]}".upper() for match in found))


_ISBN_13 = re.compile(r"(?<!\d)97[89][- ]?\d[\d -]{7,12}[\dX](?!\d)", re.I)


def isbns(texts: Iterable[str]) -> tuple[str, ...]:
    """The ISBNs in the texts, each once, without hyphens."""
    plain = (re.sub(r"[ -]", "", found.group()) for text in texts for found in _ISBN.finditer(text))
    return tuple(dict.fromkeys(isbn.upper() for isbn in plain if len(isbn) in (10, 13)))


def names(texts: Iterable[str]) -> tuple[str, ...]:
    """The names in the texts, of which one may hold several separated by semicolons, in order."""
    listed = (plain_line(name) for text in texts for name in text.split(";"))
    return tuple(name.strip(" ,") for name in listed if name and name.strip(" ,."))


def keywords(texts: Iterable[str]) -> tuple[str, ...]:
    """The keywords in the texts, each once."""
    found = (plain_line(word) for text in texts for word in re.split(r"[;\n]", text))
    return tuple(dict.fromkeys(word for word in found if word))


def abstract(*texts: str | None) -> str | None:
    """The first text that is not empty, without markup."""
    return next((plain for text in texts if (plain := plain_text(text)) and plain.strip()), None)


def web_address(*texts: str | None) -> str | None:
    """The first of the texts that is a web address."""
    return next(
        (text.strip() for text in texts if text and re.fullmatch(r"https?://[^\s\"<>]+", text.strip(), re.I)), None
    )
