"""What the page of a work says about it to other programs: `citation_…` meta tags (Highwire Press) and JSON-LD (schema.org).

Zotero's translator “Embedded Metadata” and Google Scholar read the tags. Zotero chooses the type of an item by them: with a
journal title it is an article whatever else is said, so only articles get one; a type that no tag tells is named by `z.itemType`.
Unknown facts are left out. Pure: rows in, pairs and dictionaries out; whoever writes them into a page escapes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from evidence import doi as dois
from evidence import page_ranges
from evidence.linkage.retraction_notices import RETRACTIONS

Row = Mapping[str, Any]

CHAPTERS = frozenset({"book-chapter", "book-section", "book-part", "reference-entry"})
BOOKS = frozenset({"book", "monograph", "edited-book", "reference-book"})
LONGEST_ABSTRACT = 10_000
"""Characters. A longer text is no abstract, and would be on the page twice."""
_ZOTERO_TYPES = dict.fromkeys(BOOKS, "book") | {"posted-content": "preprint", "dataset": "dataset"}
_INSTITUTIONS = {
    "dissertation": "citation_dissertation_institution",
    "report": "citation_technical_report_institution",
}
_SCHEMA_TYPES = (
    dict.fromkeys(CHAPTERS, "Chapter")
    | dict.fromkeys(BOOKS, "Book")
    | {"dissertation": "Thesis", "report": "Report", "dataset": "Dataset"}
)


def schema_type(kind: str | None) -> str:
    """Crossref's type of a work → its class in schema.org; `ScholarlyArticle` for all that have no class of their own."""
    return _SCHEMA_TYPES.get(kind or "", "ScholarlyArticle")


def meta_tags(work: Row, people: Sequence[Row], *, pmid: str | None) -> list[tuple[str, str]]:
    """The tags (name, content) of a row of `works`, in order; some names come several times. `people` are its authors and other
    contributors (`read_work_page.credited`). The abstract is among them where the row has it."""
    return [(name, str(content)) for name, content in _tags(work, people, pmid) if content]


def _tags(work: Row, people: Sequence[Row], pmid: str | None) -> Iterator[tuple[str, Any]]:
    kind = work["kind"] or ""
    yield "citation_title", work["title"]
    yield from (("citation_author", written_name(person)) for person in people if person["role"] == "author")
    yield from (("citation_editor", written_name(person)) for person in people if person["role"] == "editor")
    yield "citation_publication_date", (work["issued"] or "").replace("-", "/")
    yield "citation_online_date", (work["published_online"] or "").replace("-", "/")
    if kind in CHAPTERS:
        yield "citation_inbook_title", work["container"]
    elif kind == "proceedings-article":
        # The last of the two tells the type.
        yield "citation_inbook_title", work["container"]
        yield "citation_conference_title", work["event"] or work["container"]
    elif kind in _INSTITUTIONS:
        yield _INSTITUTIONS[kind], work["institution"] or work["publisher"]
    elif kind in BOOKS:
        yield "citation_series_title", work["container"]
    else:
        yield "citation_journal_title", work["container"]
        yield "citation_journal_abbrev", work["short_container"]
    yield "z.itemType", _ZOTERO_TYPES.get(kind)
    yield "citation_volume", work["volume"]
    yield "citation_issue", work["issue"]
    first, last = page_ranges.first_last(work["pages"])
    yield "citation_firstpage", first
    yield "citation_lastpage", last
    yield from (("citation_issn", issn) for issn in parts(work["issn"]))
    yield from (("citation_isbn", isbn) for isbn in parts(work["isbn"]))
    yield "citation_publisher", work["publisher"]
    yield "citation_language", work["language"]
    yield "citation_doi", None if dois.is_local(work["doi"]) else work["doi"]
    yield "citation_pmid", pmid
    # Without it a reference manager would take this site's page for the address of the work.
    yield "citation_public_url", work["url"] if dois.is_local(work["doi"]) else dois.url(work["doi"])
    free = work["open_access"] or ""
    if free.lower().startswith(("https://", "http://")):
        is_pdf = free.partition("?")[0].lower().endswith(".pdf")
        yield ("citation_pdf_url" if is_pdf else "citation_fulltext_html_url"), free
    if len(work["abstract"] or "") <= LONGEST_ABSTRACT:
        yield "citation_abstract", work["abstract"]


def json_ld(work: Row, people: Iterable[Row], *, pmid: str | None) -> dict[str, Any]:
    """The work in the words of schema.org."""
    kind = work["kind"] or ""
    first, last = page_ranges.first_last(work["pages"])
    free = work["open_access"] or ""
    local = dois.is_local(work["doi"])
    identifiers = [*([] if local else [f"doi:{work['doi']}"]), *([f"pmid:{pmid}"] if pmid else [])]
    by_role = {role: [_person(p) for p in people if p["role"] == role] for role in ("author", "editor", "translator")}
    facts = {
        "@context": "https://schema.org",
        "@type": schema_type(kind),
        "identifier": identifiers[0] if len(identifiers) == 1 else identifiers,
        "sameAs": work["url"] if local else dois.url(work["doi"]),
        "headline": work["title"],
        **by_role,
        "datePublished": work["issued"],
        "inLanguage": work["language"],
        "alternateName": work["original_title"],
        "isbn": parts(work["isbn"]),
        "license": work["licence"],
        "publisher": {"@type": "Organization", "name": work["publisher"]} if work["publisher"] else None,
        "pageStart": first,
        "pageEnd": last,
        "creativeWorkStatus": work_status(work["notice"]),
        "isAccessibleForFree": free.lower().startswith(("https://", "http://")),
        "isPartOf": _container(work, kind),
    }
    return {key: value for key, value in facts.items() if value}


def _container(work: Row, kind: str) -> dict[str, Any] | None:
    """What the work is in: the issue of the volume of the journal, as far as they are known, or the book."""
    if not work["container"] or kind in BOOKS:
        return None
    if kind in CHAPTERS:
        return {"@type": "Book", "name": work["container"]}
    found: dict[str, Any] = {"@type": "Periodical", "name": work["container"]}
    if issn := parts(work["issn"]):
        found["issn"] = issn
    if work["volume"]:
        found = {"@type": "PublicationVolume", "volumeNumber": work["volume"], "isPartOf": found}
    if work["issue"]:
        found = {"@type": "PublicationIssue", "issueNumber": work["issue"], "isPartOf": found}
    return found


def work_status(notice: str | None) -> str | None:
    """What is to be said of a work with this notice, as schema.org's `creativeWorkStatus`; None for nothing."""
    if notice in RETRACTIONS:
        return "Retracted"
    return "Expression of concern" if notice == "expression-of-concern" else None


def _person(person: Row) -> dict[str, Any]:
    kind = "Organization" if person["kind"] == "group" else "Person"
    same = {"sameAs": f"https://orcid.org/{person['orcid']}"} if person["orcid"] else {}
    return {"@type": kind, "name": person["name"], **same}


def written_name(person: Row) -> str:
    """A name as reference managers take it apart: at a comma, else before the last word. A comma after the name of a group, which
    has none, keeps its last word from becoming a family name."""
    name = str(person["name"])
    return f"{name}," if person["kind"] == "group" and "," not in name and " " in name.strip() else name


def parts(several: str | None) -> list[str]:
    """The values in one text, as the columns `issn` and `isbn` have them."""
    return [each for each in (several or "").split("; ") if each]
