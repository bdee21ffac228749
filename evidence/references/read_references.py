"""A file of references, or pasted text → one `GivenReference` each, in order.

Read are BibTeX, RIS, PubMed's format, CSL-JSON, Word documents (.docx), web pages (.html) and plain text. The format follows
from the content where the name does not tell. It may not ask anybody what a reference means.
"""

from __future__ import annotations

import io
import json
import logging
import re
import zipfile
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from pathlib import PurePath
from typing import Any, Literal, NamedTuple
from xml.etree import ElementTree as ET

from evidence.errors import ConfigError
from evidence.references import field_values, tagged_lines
from evidence.references.given_reference import Fields, GivenReference, citation
from evidence.references.split_references import Division, divide

Format = Literal["bibtex", "ris", "nbib", "csl-json", "docx", "html", "text"]

SUFFIXES: dict[str, Format] = {
    ".bib": "bibtex",
    ".ris": "ris",
    ".nbib": "nbib",
    ".json": "csl-json",
    ".docx": "docx",
    ".html": "html",
    ".htm": "html",
    ".txt": "text",
    ".md": "text",
}
LARGEST_PART = 100_000_000
"""Bytes that the text of a Word document may have when it is unpacked: a small file can unpack to many gigabytes."""

_WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_HEADING = re.compile(
    r"\W*(?:\d+\.?\s*)?(?:list of )?(?:references?(?: list| cited)?|bibliography|works cited|literature(?: cited)?|literatur"
    r"(?:verzeichnis)?|bibliographie|références|referencias|bibliografía|referências|riferimenti bibliografici|bibliografia)\W*",
    re.IGNORECASE,
)
_ENTRY = re.compile(r"@\w+\s*\{[^,]*,|\b[\w:-]+\s*=")
_BLOCK_TAGS = "p li dd dt div section article h1 h2 h3 h4 h5 h6 tr blockquote table ol ul dl br header footer nav"
_BLOCKS = frozenset(re.findall(r"\w+", _BLOCK_TAGS))
_UNSEEN = frozenset(("script", "style", "head", "template", "noscript"))


class ReadFile(NamedTuple):
    """What a file held. `left_out` are the lines of a text that were read as headings, page headers, page numbers or other text,
    in order: nobody checks them, so whoever pasted the text is told which they are."""

    format: Format
    references: tuple[GivenReference, ...]
    left_out: tuple[str, ...] = ()


def read(data: bytes, name: str) -> ReadFile:
    """The format of a file and its references. ConfigError when it cannot be read, says what is wrong and what to do."""
    kind = SUFFIXES.get(PurePath(name).suffix.lower())
    division = Division((), ())
    if data[:4] == b"PK\x03\x04":
        division = _divided(_docx(data, name))
        return ReadFile("docx", _split_given(division), division.left_out)
    if PurePath(name).suffix.lower() == ".pdf" or data[:1024].lstrip().startswith(b"%PDF-"):
        raise ConfigError(
            f"{name} is a PDF, which is not read, because a PDF does not say in which order its lines belong; open it, copy the"
            " reference list, and paste it into a .txt file or after `evidence check-references -`"
        )
    if kind == "docx":
        raise ConfigError(f"{name} is not a Word document; save it as .docx, or paste its reference list")
    if PurePath(name).suffix.lower() in (".csv", ".tsv", ".xlsx", ".doc", ".odt", ".rtf"):
        raise ConfigError(
            f"{name}: this format is not read; export .ris or .bib, save as .docx, or paste the reference list"
        )
    text = decoded(data, name)
    kind = kind if kind not in (None, "text") else _sniffed(text)
    if kind == "bibtex":
        found: Iterable[GivenReference] = _bibtex(text)
    elif kind == "ris":
        found = _given((tagged_lines.ris_fields(record), None) for record in tagged_lines.ris_records(text))
    elif kind == "nbib":
        pubmed = tagged_lines.nbib_records(text)
        found = _given(
            (tagged_lines.nbib_fields(record), " ".join(record.get("PMID", ())) or None) for record in pubmed
        )
    elif kind == "csl-json":
        found = _csl_json(text, name)
    elif kind == "html":
        division = _divided(_reference_lines(_html_lines(text)))
        found = _split_given(division)
    else:
        division = divide(text)
        found = _split_given(division)
    references = tuple(found)
    if not references:
        raise ConfigError(
            f"{name} has no reference in it (read as {kind}); give a .bib, .ris, .nbib, .json, .docx, .html or text"
        )
    return ReadFile(kind, references, division.left_out)


def decoded(data: bytes, name: str) -> str:
    """The text of a file, whichever of the usual encodings it has. ConfigError when it is not text."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", errors="replace")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1252", errors="replace")
    if "\0" in text:
        raise ConfigError(f"{name} is not text; give a .bib, .ris, .nbib, .json, .docx, .html or text file")
    return text


def _sniffed(text: str) -> Format:
    start = text[:4000].lstrip()
    if re.match(r"TY\s{1,3}-", start):
        return "ris"
    if re.match(r"PMID\s?-\s", start):
        return "nbib"
    if start[:1] in ("[", "{") and re.match(r"[\[{]\s*[\]{\"]", start):
        return "csl-json"
    if re.search(r"^\s*@[A-Za-z]+\s*[{(]", start, re.MULTILINE):
        return "bibtex"
    if re.match(r"<(?:!doctype html|html|head|body|ol|ul|li|p|div)\b", start, re.IGNORECASE):
        return "html"
    return "text"


def _given(fields: Iterable[tuple[Fields, str | None]]) -> Iterator[GivenReference]:
    for number, (each, key) in enumerate(fields, start=1):
        yield GivenReference(number, citation(each) or each.doi or "", each.doi, key, each)


def _divided(lines: Iterable[str]) -> Division:
    """The references of lines that are paragraphs of their own. One paragraph alone may hold them all."""
    return divide("\n\n".join(" ".join(line.split()) for line in lines if line.strip()))


def _split_given(division: Division) -> tuple[GivenReference, ...]:
    return tuple(
        GivenReference(number, given.text, key=str(given.number) if given.number is not None else None)
        for number, given in enumerate(division.references, start=1)
    )


def _bibtex(text: str) -> Iterator[GivenReference]:
    for number, (line, raw, entry) in enumerate(bibtex_entries(text), start=1):
        if entry is not None:
            fields, key = bibtex_fields(entry), entry.key
            yield GivenReference(number, citation(fields) or fields.doi or "", fields.doi, key, fields, raw, line)
        else:  # a damaged entry still has words to compare
            yield GivenReference(number, _unbraced(_ENTRY.sub(" ", raw)), raw=raw, line=line)


def bibtex_entries(text: str) -> Iterator[tuple[int, str, Any]]:
    """The entries of a BibTeX text in order: the line on which each begins (from 1), its own text, and the entry as bibtexparser
    reads it; None for one that is damaged."""
    # Imported here: it takes longer to import than most commands to run.
    from bibtexparser.entrypoint import parse_string
    from bibtexparser.middlewares import LatexDecodingMiddleware
    from bibtexparser.model import Entry

    logging.getLogger("bibtexparser").setLevel(logging.CRITICAL)  # what it cannot read is in failed_blocks
    library = parse_string(text, append_middleware=[LatexDecodingMiddleware()])
    for block in sorted((*library.entries, *library.failed_blocks), key=lambda block: block.start_line or 0):
        entry = getattr(block, "ignore_error_block", None) or block  # the entry whose key occurs twice
        yield (block.start_line or 0) + 1, block.raw or "", entry if isinstance(entry, Entry) else None


def _unbraced(value: str) -> str:
    return " ".join(value.replace("{", "").replace("}", "").replace("\\&", "&").split())


def bibtex_fields(entry: Any) -> Fields:
    """The fields of an entry that bibtexparser has read."""
    held = {key.lower(): _unbraced(str(value.value)) for key, value in entry.fields_dict.items()}

    def first(*names: str) -> str | None:
        return next((held[name] for name in names if held.get(name)), None)

    def every(*names: str) -> list[str]:
        return [held[name] for name in names if held.get(name)]

    year = re.search(r"\d{4}", first("year", "date") or "")
    doi = first("doi") or next(
        (held[key] for key in ("url", "howpublished", "note") if "doi.org/" in held.get(key, "")), None
    )
    notes = every("note", "annote", "comment", "annotation")
    identifier = first("unique-id", "eprint", "pmid")
    return Fields(
        authors=_bibtex_names(first("author", "editor")),
        year=year.group() if year else None,
        title=first("title"),
        container=first("journal", "journaltitle", "booktitle", "school", "institution"),
        volume=first("volume"),
        issue=first("number", "issue"),
        pages=re.sub(r"-{2,}|–", "-", first("pages", "eid") or "") or None,
        publisher=first("publisher", "organization"),
        doi=doi,
        date=field_values.date(first("date"), f"{first('year') or ''} {first('month') or ''}", first("year")),
        kind=field_values.kind(entry.entry_type),
        abstract=field_values.abstract(first("abstract")),
        language=field_values.language(first("language", "langid")),
        url=field_values.web_address(first("url")),
        editors=_bibtex_names(first("editor")) if first("author") else (),
        issn=field_values.issns(every("issn", "eissn")),
        isbn=field_values.isbns(every("isbn")),
        keywords=field_values.keywords([word.replace(",", ";") for word in every("keywords", "keyword")]),
        notes=tuple(notes),
        edition=first("edition"),
        place=first("address", "location"),
        pmid=first("pmid") or field_values.pmid(*notes, entry.key, first("url")),
        pmcid=first("pmcid") or field_values.pmcid(*notes, first("url")),
        accession=identifier,
    )


def _bibtex_names(names: str | None) -> tuple[str, ...]:
    return tuple(name for name in re.split(r"\s+and\s+", names or "") if name and name != "others")


def _csl_json(text: str, name: str) -> Iterator[GivenReference]:
    try:
        items = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"{name} is not JSON ({error}); export the references again as CSL-JSON") from None
    found = csl_items(items)
    if not all(isinstance(item, dict) for item in found):
        raise ConfigError(f"{name} is not CSL-JSON: a list of references, each an object")
    return _given((csl_fields(item), str(item["id"]) if item.get("id") else None) for item in found)


def csl_items(document: Any) -> list[Any]:
    """The items of a CSL-JSON document: a list, an object that holds one, or a single item."""
    if isinstance(document, dict):
        document = document.get("items") or document.get("references") or document.get("message") or document
    return document if isinstance(document, list) else [document]


def csl_fields(item: dict[str, Any]) -> Fields:
    """The fields of an item of CSL-JSON."""

    def text(*names: str) -> str | None:
        for name in names:
            value = item.get(name)
            value = value[0] if isinstance(value, list) and value else value
            if isinstance(value, str | int) and str(value).strip():
                return str(value).strip()
        return None

    def every(*names: str) -> list[str]:
        held = (item.get(name) for name in names)
        listed = (part for value in held for part in (value if isinstance(value, list) else [value]))
        return [str(part).strip() for part in listed if isinstance(part, str | int) and str(part).strip()]

    authors, editors = (
        tuple(name for person in item.get(role) or () if isinstance(person, dict) and (name := _csl_name(person)))
        for role in ("author", "editor")
    )
    notes = every("note", "annote")
    return Fields(
        authors=authors or editors,
        year=_csl_year(item.get("issued")),
        title=text("title"),
        container=text("container-title", "event-title"),
        volume=text("volume"),
        issue=text("issue"),
        pages=text("page", "article-number", "number"),
        publisher=text("publisher"),
        doi=text("DOI") or next((link for link in (text("URL"),) if link and "doi.org/" in link), None),
        date=_csl_date(item.get("issued")),
        kind=field_values.kind(text("type")),
        abstract=field_values.abstract(text("abstract")),
        language=field_values.language(text("language")),
        url=field_values.web_address(text("URL")),
        editors=editors if authors else (),
        issn=field_values.issns(every("ISSN")),
        isbn=field_values.isbns(every("ISBN")),
        keywords=field_values.keywords([word.replace(",", ";") for word in every("keyword")]),
        notes=tuple(notes),
        edition=text("edition"),
        place=text("publisher-place"),
        pmid=text("PMID") or field_values.pmid(*notes),
        pmcid=text("PMCID") or field_values.pmcid(*notes),
        accession=text("call-number"),
    )


def _csl_date(issued: Any) -> str | None:
    parts = issued.get("date-parts") if isinstance(issued, dict) else None
    first = parts[0] if isinstance(parts, list) and parts and isinstance(parts[0], list) else None
    written = [str(part) for part in first] if first else []
    other = json.dumps(issued) if issued else None
    return field_values.date("-".join(written)) or field_values.date(other)


def _csl_name(person: dict[str, Any]) -> str:
    if literal := person.get("literal") or person.get("name"):
        return str(literal)
    family = " ".join(str(person[key]) for key in ("non-dropping-particle", "family") if person.get(key))
    return f"{family}, {person['given']}" if person.get("given") else family


def _csl_year(issued: Any) -> str | None:
    found = re.search(r"\d{4}", json.dumps(issued)) if issued else None
    return found.group() if found else None


def _docx(data: bytes, name: str) -> list[str]:
    """The paragraphs of a Word document's reference list: those after the last heading such as References, or all of them
    where there is none."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as package:
            part = package.getinfo("word/document.xml")
            if part.file_size > LARGEST_PART:
                raise ConfigError(f"{name} is too large to read when unpacked; paste its reference list")
            xml = package.read(part)
    except (zipfile.BadZipFile, KeyError, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise ConfigError(
            f"{name} is not a Word document ({error}); save it as .docx, or paste its reference list"
        ) from None
    if b"<!DOCTYPE" in xml or b"<!ENTITY" in xml:  # Word writes neither, and an entity can expand without end
        raise ConfigError(f"{name} declares XML entities, which no Word document needs; paste its reference list")
    try:
        root = ET.fromstring(xml)  # noqa: S314  # without a DOCTYPE there is nothing to expand
    except ET.ParseError as error:
        raise ConfigError(f"{name} is damaged ({error}); save it again, or paste its reference list") from None
    return _reference_lines([_paragraph(each) for each in root.iter(f"{_WORD}p")])


def _paragraph(paragraph: ET.Element) -> str:
    """Its text as printed: without what was deleted with changes tracked and without field codes."""
    text = []
    for node in paragraph.iter():
        if node.tag == f"{_WORD}t":
            text.append(node.text or "")
        elif node.tag in (f"{_WORD}tab", f"{_WORD}br"):
            text.append(" ")
        elif node.tag == f"{_WORD}noBreakHyphen":
            text.append("-")
    return "".join(text)


def _reference_lines(lines: list[str]) -> list[str]:
    headings = [number for number, line in enumerate(lines) if len(line) < 60 and _HEADING.fullmatch(line.strip())]
    return lines[headings[-1] + 1 :] if headings else lines


class _Page(HTMLParser):
    """The text of a web page, a line for each block."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.lines: list[list[str]] = [[]]
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _UNSEEN:
            self._unseen += 1
        elif tag in _BLOCKS:
            self.lines.append([])
        elif tag == "a" and self.lines[-1]:
            # The DOI is often only in the link of a word such as CrossRef.
            link = dict(attrs).get("href") or ""
            if re.match(r"https?://(?:dx\.)?doi\.org/10\.", link):
                self.lines[-1].append(f" {link} ")

    def handle_endtag(self, tag: str) -> None:
        if tag in _UNSEEN:
            self._unseen = max(0, self._unseen - 1)
        elif tag in _BLOCKS:
            self.lines.append([])

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.lines[-1].append(data)


def _html_lines(text: str) -> list[str]:
    page = _Page()
    page.feed(text)
    page.close()
    return [line for parts in page.lines if (line := " ".join("".join(parts).split()))]
