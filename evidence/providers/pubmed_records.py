"""One record of PubMed (`PubmedArticle` or `PubmedBookArticle`, XML) → what it says about a work; a response → its records.

Pure: text in, values out. It may not decide whether the record is about a work: `agreement` does.

XML is read with the standard library's expat, without defusedxml, which would add a package for what two handlers do: a
declared entity is refused when it is declared, before anything could be expanded (no "billion laughs"), and one that is used
without being declared is refused too. Expat opens nothing by itself: without a handler for external entities it reads no file
and no address, so the DOCTYPE that every response of PubMed begins with is only a name. Depth and size are limited.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable
from typing import Any, Final, NoReturn
from xml.parsers import expat
from xml.sax.saxutils import escape

from evidence.data_model import Doi, Fact, Identifier
from evidence.errors import RecordError
from evidence.linkage.trial_numbers import trial_numbers
from evidence.plain_text import plain_line, plain_text
from evidence.providers import medline
from evidence.providers.answers import Described
from evidence.providers.record_values import facts

LONGEST: Final = 8 * 1024 * 1024
"""Characters of one record that are read; one with a thousand references has a tenth of them."""

MAX_DEPTH: Final = 60
"""Levels of elements; formulas in abstracts are the deepest, with about twenty."""

ARTICLES: Final = frozenset({"PubmedArticle", "PubmedBookArticle"})
_ROOT = "PubmedArticleSet"
_UNLABELLED = frozenset({"UNLABELLED", "UNLABELED"})
"""What PubMed writes as the label of a section without one."""


def split(xml: bytes) -> list[str]:
    """The single records of a response of `efetch`, each exactly as it was sent, in order.

    RecordError for anything but a whole `PubmedArticleSet`: an error document, a web page, XML that is cut short. A part of a
    response never counts as all of it.
    """
    reader = _Reader(keep_places=True)
    reader.read(xml)
    if reader.root != _ROOT:
        raise RecordError(f"the answer is <{reader.root}> instead of <{_ROOT}>: {reader.said}")
    try:
        return [xml[start:stop].decode("utf-8") for start, stop in reader.places]
    except UnicodeDecodeError as error:
        raise RecordError("the answer is not in UTF-8") from error


def describe(text: str) -> Described:
    """What one record says; RecordError with a sentence for text that is no record."""
    if len(text) > LONGEST:
        raise RecordError(f"the record has {len(text):,} characters, more than any record of PubMed")
    root = _Reader().read(text.encode("utf-8", "replace"))
    citation = root.find("MedlineCitation" if root.tag == "PubmedArticle" else "BookDocument")
    if root.tag not in ARTICLES or citation is None:
        raise RecordError(f"<{root.tag}> is no record of PubMed")
    pmid = medline.pmid(citation.findtext("PMID"))
    if pmid is None:
        raise RecordError("the record has no PMID")
    part = citation.find("Article")
    article = citation if part is None else part  # a chapter of a book has no such level
    ids = [*root.findall("PubmedData/ArticleIdList/ArticleId"), *citation.findall("ArticleIdList/ArticleId")]
    types = _lines(article.findall("PublicationTypeList/PublicationType") + article.findall("PublicationType"))
    return Described(
        provider="pubmed",
        record_id=pmid,
        doi=_doi(ids, article),
        title=_line(article.find("ArticleTitle")) or _line(article.find("Book/BookTitle")),
        abstract=_abstract(article),
        preprint=any(stated.lower() == "preprint" for stated in types),
        identifiers=(Identifier("pmid", pmid, "pubmed"), *_pmcids(ids), *_registrations(article)),
        facts=(
            *facts("publication-type", "pubmed", types),
            *_headings(citation),
            *facts("funder", "pubmed", map(_grant, article.iterfind("GrantList/Grant"))),
        ),
        notices=medline.notices(_links(citation), types, "PubMed"),
    )


def _doi(ids: Iterable[ET.Element], article: ET.Element) -> Doi | None:
    """The article's own DOI: the lists of its references have `ArticleIdList` too, further down."""
    stated = [one.text for one in ids if one.get("IdType") == "doi"]
    stated += [
        one.text
        for one in article.findall("ELocationID")
        if one.get("EIdType") == "doi" and one.get("ValidYN", "Y") != "N"
    ]
    return next((doi for text in stated if (doi := medline.stated_doi(text))), None)


def _pmcids(ids: Iterable[ET.Element]) -> list[Identifier]:
    stated = [(one.text or "").strip().upper() for one in ids if one.get("IdType") == "pmc"]
    return [Identifier("pmcid", text, "pubmed") for text in stated[:1] if text[:3] == "PMC" and text[3:].isdecimal()]


def _abstract(article: ET.Element) -> str | None:
    """The abstract as plain text, a paragraph for each section. The copyright notice, which is not an `AbstractText`, and
    other abstracts (translations, plain language) are left out."""
    parts = []
    for section in article.iterfind("Abstract/AbstractText"):
        label = (section.get("Label") or "").strip()
        head = f"<title>{escape(label)}</title>" if label and label.upper() not in _UNLABELLED else ""
        parts.append(f"<sec>{head}{_inner(section)}</sec>")
    return plain_text("".join(parts))


def _registrations(article: ET.Element) -> list[Identifier]:
    """The registration numbers among the accession numbers of data banks. Those of sequences and structures (GenBank, PDB)
    have another form."""
    found: dict[str, None] = {}
    for bank in article.iterfind("DataBankList/DataBank"):
        name = _line(bank.find("DataBankName")) or ""
        for number in _lines(bank.findall("AccessionNumberList/AccessionNumber")):
            found |= dict.fromkeys(trial_numbers(number) or trial_numbers(f"{name} {number}"))
    return [Identifier("registration", number, "pubmed") for number in found]


def _headings(citation: ET.Element) -> list[Fact]:
    found: dict[Fact, None] = {}
    for item in citation.iterfind("MeshHeadingList/MeshHeading"):
        descriptor = _line(item.find("DescriptorName"))
        major = any(part.get("MajorTopicYN") == "Y" for part in item)
        if descriptor:
            value = medline.heading(descriptor, _lines(item.findall("QualifierName")))
            found.setdefault(Fact("mesh", value, "pubmed", major))
    return list(found)


def _grant(item: ET.Element) -> str | None:
    return medline.grant(_line(item.find("Agency")), _line(item.find("GrantID")))


def _links(citation: ET.Element) -> list[medline.Link]:
    return [
        medline.Link(item.get("RefType") or "", _line(item.find("RefSource")), medline.pmid(item.findtext("PMID")))
        for item in citation.iterfind("CommentsCorrectionsList/CommentsCorrections")
    ]


def _lines(elements: Iterable[ET.Element]) -> list[str]:
    return [text for element in elements if (text := _line(element))]


def _line(element: ET.Element | None) -> str | None:
    """The text of an element on one line, without markup."""
    return None if element is None else plain_line(_inner(element))


def _inner(element: ET.Element) -> str:
    """What an element holds, as markup."""
    return escape(element.text or "") + "".join(ET.tostring(child, encoding="unicode") for child in element)


class _Reader:
    """One document read by expat: as a tree or, with `keep_places`, as the places of its records.

    `root` is the name of the outermost element, `said` its first words, `places` where each record begins and ends in the bytes.
    """

    def __init__(self, *, keep_places: bool = False) -> None:
        self.root = ""
        self.places: list[tuple[int, int]] = []
        self._said: list[str] = []
        self._depth = 0
        self._start = 0
        self._tree = None if keep_places else ET.TreeBuilder()
        self._xml = b""
        self._parser = expat.ParserCreate("utf-8")
        self._parser.buffer_text = True
        self._parser.EntityDeclHandler = _refuse_declared
        self._parser.SkippedEntityHandler = _refuse_undeclared
        self._parser.StartElementHandler = self._opened
        self._parser.EndElementHandler = self._closed
        self._parser.CharacterDataHandler = self._data

    @property
    def said(self) -> str:
        """The first words in the document, for an error."""
        return " ".join("".join(self._said).split())[:200] or "no text"

    def read(self, xml: bytes) -> ET.Element:
        """Read a whole document; the root element, which is empty with `keep_places`. RecordError for what is not whole."""
        self._xml = xml
        try:
            self._parser.Parse(xml, True)
        except expat.ExpatError as error:
            raise RecordError(f"the XML cannot be read: {error}") from error
        return ET.Element(self.root) if self._tree is None else self._tree.close()

    def _opened(self, name: str, attributes: dict[str, Any]) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise RecordError(f"the XML has more than {MAX_DEPTH} levels")
        self.root = self.root or name
        if self._tree is not None:
            self._tree.start(name, attributes)
        elif self._depth == 2 and name in ARTICLES:
            self._start = self._parser.CurrentByteIndex

    def _closed(self, name: str) -> None:
        if self._tree is not None:
            self._tree.end(name)
        elif self._depth == 2 and name in ARTICLES:
            self.places.append((self._start, self._xml.index(b">", self._parser.CurrentByteIndex) + 1))
        self._depth -= 1

    def _data(self, text: str) -> None:
        if self._tree is not None:
            self._tree.data(text)
        elif len(self._said) < 5 and text.strip():
            self._said.append(text[:200])


def _refuse_declared(name: str, *_: Any) -> NoReturn:
    raise RecordError(f"the XML declares an entity ({name[:40]}), which no record of PubMed does")


def _refuse_undeclared(name: str, *_: Any) -> NoReturn:
    raise RecordError(f"the XML uses an entity that it does not declare ({name[:40]})")
