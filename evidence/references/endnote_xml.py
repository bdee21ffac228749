"""EndNote's XML (`<xml><records><record>…`) → the fields of each record, one at a time.

Pure: bytes in, values out. Expat opens nothing by itself; an entity is refused where it is declared, before anything could be
expanded, as in `providers.pubmed_records`. Depth and the size of one record are limited, so memory does not grow with the file.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator
from typing import Any, Final, NoReturn
from xml.parsers import expat

from evidence.errors import ConfigError
from evidence.references import field_values
from evidence.references.given_reference import Fields

MAX_DEPTH: Final = 40
LONGEST: Final = 8_000_000
"""Characters of text in one record that are read."""

_KINDS: Final = {"dissertation": "dissertation", "thesis": "dissertation"}


def records(parts: Iterable[bytes], name: str) -> Iterator[tuple[int, Fields]]:
    """The records of a file given in parts, each with the line on which it begins. ConfigError for what is not whole, or not
    EndNote's XML."""
    reader = _Reader(name)
    for part in parts:
        yield from reader.feed(part)
    yield from reader.feed(b"", final=True)


class _Reader:
    def __init__(self, name: str) -> None:
        self._name = name
        self._done: list[tuple[int, Fields]] = []
        self._depth = self._size = self._line = 0
        self._is_endnote = False
        self._tree: ET.TreeBuilder | None = None
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.EntityDeclHandler = self._refuse
        self._parser.SkippedEntityHandler = self._refuse
        self._parser.StartElementHandler = self._opened
        self._parser.EndElementHandler = self._closed
        self._parser.CharacterDataHandler = self._text

    def feed(self, part: bytes, *, final: bool = False) -> list[tuple[int, Fields]]:
        try:
            self._parser.Parse(part, final)
        except expat.ExpatError as error:
            raise self._error(
                f"the XML cannot be read ({error}): is the file whole? export it again", error.lineno
            ) from None
        if final and not self._is_endnote:
            raise self._error("this is not EndNote's XML, which has <records>; export as EndNote XML or RIS", 1)
        done, self._done = self._done, []
        return done

    def _error(self, text: str, line: int | None = None) -> ConfigError:
        return ConfigError(f"{self._name}:{line or self._parser.CurrentLineNumber}: {text}")

    def _refuse(self, name: str, *_: Any) -> NoReturn:
        raise self._error(
            f"the XML declares or uses an entity ({name[:40]}), which EndNote never does; export it again"
        )

    def _opened(self, name: str, attributes: dict[str, Any]) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._error(f"the XML has more than {MAX_DEPTH} levels; export it again")
        self._is_endnote = self._is_endnote or name == "records"
        if self._tree is None and name == "record" and self._is_endnote:
            self._tree, self._size, self._line = ET.TreeBuilder(), 0, self._parser.CurrentLineNumber
        if self._tree is not None:
            self._tree.start(name, attributes)

    def _closed(self, name: str) -> None:
        self._depth -= 1
        if self._tree is None:
            return
        self._tree.end(name)
        if name == "record":
            self._done.append((self._line, fields(self._tree.close())))
            self._tree = None

    def _text(self, text: str) -> None:
        if self._tree is None:
            return
        self._size += len(text)
        if self._size > LONGEST:
            raise self._error("a record is longer than any record of a reference manager; export the file again")
        self._tree.data(text)


def fields(record: ET.Element) -> Fields:
    """The fields of one `<record>`."""

    def text(*paths: str) -> str | None:
        found = (" ".join("".join(node.itertext()).split()) for path in paths for node in record.findall(path))
        return next(filter(None, found), None)

    def every(*paths: str) -> list[str]:
        found = (" ".join("".join(node.itertext()).split()) for path in paths for node in record.findall(path))
        return list(filter(None, found))

    reference = record.find("ref-type")
    type_name = (reference.get("name") if reference is not None else None) or ""
    kind = _KINDS.get(type_name.lower()) or field_values.kind(type_name)
    notes = every("notes", "research-notes", "custom1", "custom2", "custom7")
    urls = every("urls/related-urls/url", "urls/web-urls/url", "urls/pdf-urls/url")
    number = text("accession-num")
    years = every("dates/year")
    days = [f"{day} {year}" for day in every("dates/pub-dates/date") for year in years[:1]]
    database = " ".join(every("remote-database-name", "remote-database-provider", "database")).lower()
    is_pubmed = "pubmed" in database or "medline" in database or "nlm" in database
    return Fields(
        authors=field_values.names(every("contributors/authors/author")),
        year=field_values.year(*years),
        title=text("titles/title"),
        container=text("titles/secondary-title", "periodical/full-title", "alt-periodical/full-title"),
        volume=text("volume"),
        issue=text("number"),
        pages=text("pages"),
        publisher=text("publisher"),
        doi=text("electronic-resource-num") or next((url for url in urls if "doi.org/" in url), None),
        date=field_values.date(*years, *days),
        kind=kind,
        abstract=field_values.abstract(text("abstract")),
        language=field_values.language(text("language")),
        url=field_values.web_address(*urls),
        editors=field_values.names(every("contributors/secondary-authors/author")) if kind != "journal-article" else (),
        issn=field_values.issns(every("isbn")),
        isbn=field_values.isbns(every("isbn")),
        keywords=field_values.keywords(every("keywords/keyword")),
        notes=tuple(notes),
        edition=text("edition") if kind != "journal-article" else None,
        place=text("pub-location"),
        pmid=(number if number and number.isdigit() and is_pubmed else None) or field_values.pmid(*notes, *urls),
        pmcid=field_values.pmcid(*every("custom2"), *notes, *urls),
        accession=number,
    )
