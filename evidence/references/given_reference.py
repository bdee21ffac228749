"""One reference as a person gave it, in one shape for every format.

Pure: values in, values out. It may not read files and may not judge whether a reference is right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from evidence.plain_text import plain_line


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of a reference from a reference manager or a database, in plain text. `authors` and `editors` are as written, in
    order. From `date` on, fields that a check of references does not compare: `date` is ISO, as precise as given; `kind` is the
    type in Crossref's words; `pmid` and `pmcid` are bare numbers of PubMed; `accession` is the database's own number."""

    authors: tuple[str, ...] = ()
    year: str | None = None
    title: str | None = None
    container: str | None = None
    volume: str | None = None
    issue: str | None = None
    pages: str | None = None
    publisher: str | None = None
    doi: str | None = None
    date: str | None = None
    kind: str | None = None
    abstract: str | None = None
    language: str | None = None
    url: str | None = None
    editors: tuple[str, ...] = ()
    issn: tuple[str, ...] = ()
    isbn: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    edition: str | None = None
    place: str | None = None
    pmid: str | None = None
    pmcid: str | None = None
    accession: str | None = None

    @property
    def has_content(self) -> bool:
        """Whether there is anything to know a publication by: a title, an abstract, an identifier, or authors with a place in
        print."""
        named = self.title or self.abstract or self.doi or self.pmid
        return bool(named or ((self.authors or self.editors) and (self.container or self.year)))


@dataclass(frozen=True, slots=True)
class GivenReference:
    """One reference. `number` counts from 1 in the file; `text` is what is compared with a record, for a file of fields a
    citation made of them; `doi` is the DOI stated in a field of its own, errors included. `key` is the file's own name for it
    (BibTeX key, printed number), `raw` its own text in a BibTeX file, `line` where that begins
    (from 1). `file` is the file it is from."""

    number: int
    text: str
    doi: str | None = None
    key: str | None = None
    fields: Fields = field(default_factory=Fields)
    raw: str = ""
    line: int | None = None
    file: str | None = None


def citation(fields: Fields) -> str:
    """A citation made of fields, without the DOI: `Frank E, Kupfer DJ. Title. Journal. 1990;47(12):1093-1099.`"""
    place = (fields.volume or "") + (f"({fields.issue})" if fields.issue else "")
    numbers = ":".join(filter(None, (place, fields.pages)))
    when = ";".join(filter(None, (fields.year, numbers)))
    parts = (_names(fields.authors), fields.title, fields.container, fields.publisher, when)
    return " ".join(f"{part.rstrip('.')}." for part in map(plain_line, parts) if part)


def _names(authors: Sequence[str]) -> str | None:
    """`Frank, Ellen` → `Frank E`; a name without a comma stays as it is."""
    shown = []
    for author in authors:
        family, comma, given = author.partition(",")
        initials = "".join(part[0] for part in given.replace(".", " ").split())
        shown.append(f"{family.strip()} {initials}".strip() if comma else author.strip())
    return ", ".join(name for name in shown if name) or None
