"""Meta tags, JSON-LD and ContextObjects of works of every type, read back as Zotero reads them."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import pytest

from evidence.export import context_objects, embedded_metadata

KEYS = [
    "doi",
    "title",
    "abstract",
    "container",
    "short_container",
    "issued",
    "year",
    "kind",
    "volume",
    "issue",
    "pages",
    "article_number",
    "issn",
    "isbn",
    "publisher",
    "publisher_place",
    "institution",
    "edition",
    "language",
    "published_online",
    "event",
    "open_access",
    "original_title",
    "licence",
    "notice",
]


def work(**values: Any) -> dict[str, Any]:
    return dict.fromkeys(KEYS) | {"doi": "10.1000/x", "title": "A title"} | values


def person(name: str, family: str | None = None, given: str | None = None, **values: Any) -> dict[str, Any]:
    return {"name": name, "family": family, "given": given, "kind": "person", "role": "author", "orcid": None} | values


def zotero_type(tags: list[tuple[str, str]]) -> str | None:
    """The type of item that Zotero's translator “Embedded Metadata” makes of the tags: the last tag that tells one, else that of
    `z.itemType`, else a guess."""
    told = {
        "citation_journal_title": "journalArticle",
        "citation_technical_report_institution": "report",
        "citation_conference_title": "conferencePaper",
        "citation_inbook_title": "bookSection",
        "citation_dissertation_institution": "thesis",
    }
    surest = [told[name] for name, _ in tags if name in told]
    named = dict(tags).get("z.itemType")
    return surest[-1] if surest else named or "journalArticle"


@pytest.mark.parametrize(
    ("values", "kind", "schema_type"),
    [
        ({"kind": "journal-article", "container": "J"}, "journalArticle", "ScholarlyArticle"),
        ({"kind": "journal-article"}, "journalArticle", "ScholarlyArticle"),
        ({"kind": None, "container": "J"}, "journalArticle", "ScholarlyArticle"),
        ({"kind": "book-chapter", "container": "B", "isbn": "9780195170603"}, "bookSection", "Chapter"),
        ({"kind": "reference-entry", "container": "B"}, "bookSection", "Chapter"),
        ({"kind": "book", "isbn": "9780195170603", "container": "Series"}, "book", "Book"),
        ({"kind": "monograph"}, "book", "Book"),
        (
            {"kind": "proceedings-article", "container": "Proc", "event": "Congress"},
            "conferencePaper",
            "ScholarlyArticle",
        ),
        ({"kind": "proceedings-article", "container": "Proc"}, "conferencePaper", "ScholarlyArticle"),
        ({"kind": "dissertation", "institution": "University"}, "thesis", "Thesis"),
        ({"kind": "report", "publisher": "Agency"}, "report", "Report"),
        ({"kind": "posted-content"}, "preprint", "ScholarlyArticle"),
        ({"kind": "dataset"}, "dataset", "Dataset"),
    ],
)
def test_each_type_of_work_is_told_apart(values: dict[str, Any], kind: str, schema_type: str) -> None:
    tags = embedded_metadata.meta_tags(work(**values), [], pmid=None)
    assert zotero_type(tags) == kind
    assert embedded_metadata.json_ld(work(**values), [], pmid=None)["@type"] == schema_type


def test_unknown_facts_are_left_out() -> None:
    assert embedded_metadata.meta_tags(work(), [], pmid=None) == [
        ("citation_title", "A title"),
        ("citation_doi", "10.1000/x"),
        ("citation_public_url", "https://doi.org/10.1000/x"),
    ]
    assert embedded_metadata.json_ld(work(), [], pmid=None) == {
        "@context": "https://schema.org",
        "@type": "ScholarlyArticle",
        "identifier": "doi:10.1000/x",
        "sameAs": "https://doi.org/10.1000/x",
        "headline": "A title",
    }


def test_a_free_text_that_is_not_known_to_be_a_pdf_is_not_called_one() -> None:
    for address, name in (
        ("https://europepmc.org/articles/PMC1", "citation_fulltext_html_url"),
        ("https://example.org/a.pdf", "citation_pdf_url"),
        ("https://example.org/a?file=b.pdf", "citation_fulltext_html_url"),
    ):
        tags = dict(embedded_metadata.meta_tags(work(open_access=address), [], pmid=None))
        assert {key for key in tags if key.endswith("_url")} == {name, "citation_public_url"}
    assert "javascript" not in str(embedded_metadata.meta_tags(work(open_access="javascript:alert(1)"), [], pmid=None))


def test_editors_are_named_as_editors_and_a_group_keeps_its_name_whole() -> None:
    people = [
        person("Doe, Ann", role="editor"),
        person("Roe, Bo"),
        person("STAR*D Study Group", kind="group"),
        person("WHO", kind="group"),
    ]
    tags = embedded_metadata.meta_tags(work(), people, pmid=None)
    assert [pair for pair in tags if pair[0] in ("citation_author", "citation_editor")] == [
        ("citation_author", "Roe, Bo"),
        ("citation_author", "STAR*D Study Group,"),
        ("citation_author", "WHO"),
        ("citation_editor", "Doe, Ann"),
    ]
    facts = embedded_metadata.json_ld(work(), people, pmid="1")
    assert [editor["name"] for editor in facts["editor"]] == ["Doe, Ann"]
    assert facts["identifier"] == ["doi:10.1000/x", "pmid:1"]


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (
            {"kind": "journal-article", "container": "J & K", "pages": "12–9", "issn": "1234-5678; 8765-4321"},
            {"rft_val_fmt": "info:ofi/fmt:kev:mtx:journal", "rft.genre": "article", "rft.atitle": "A title",
             "rft.jtitle": "J & K", "rft.issn": "1234-5678"},
        ),
        (
            {"kind": "book-chapter", "container": "B", "isbn": "978; 979", "publisher": "P", "edition": "2"},
            {"rft_val_fmt": "info:ofi/fmt:kev:mtx:book", "rft.genre": "bookitem", "rft.atitle": "A title", "rft.btitle": "B",
             "rft.isbn": "978", "rft.pub": "P", "rft.edition": "2"},
        ),
        (
            {"kind": "monograph", "container": "Series"},
            {"rft_val_fmt": "info:ofi/fmt:kev:mtx:book", "rft.genre": "book", "rft.btitle": "A title", "rft.series": "Series"},
        ),
        (
            {"kind": "proceedings-article", "container": "Proc"},
            {"rft_val_fmt": "info:ofi/fmt:kev:mtx:book", "rft.genre": "proceeding", "rft.atitle": "A title",
             "rft.btitle": "Proc"},
        ),
        (
            {"kind": "report", "publisher": "Agency"},
            {"rft_val_fmt": "info:ofi/fmt:kev:mtx:book", "rft.genre": "report", "rft.btitle": "A title", "rft.pub": "Agency"},
        ),
        (
            {"kind": "dissertation", "institution": "University"},
            {"rft_val_fmt": "info:ofi/fmt:kev:mtx:dissertation", "rft.title": "A title", "rft.inst": "University"},
        ),
        (
            {"kind": "posted-content", "issued": "2021-03"},
            {"rft_val_fmt": "info:ofi/fmt:kev:mtx:dc", "rft.type": "preprint", "rft.title": "A title", "rft.date": "2021-03"},
        ),
    ],
)  # fmt: skip
def test_a_context_object_holds_the_work_in_the_format_of_its_type(
    values: dict[str, Any], wanted: dict[str, str]
) -> None:
    text = context_objects.context_object(work(**values), [])
    said = {key: found[0] for key, found in parse_qs(text, strict_parsing=True).items()}
    always = {"ctx_ver": "Z39.88-2004", "rft_id": "info:doi/10.1000/x"}
    assert said == wanted | always | {key: said[key] for key in ("rft.pages", "rft.spage", "rft.epage") if key in said}


@pytest.mark.parametrize(
    "title", ["a=b&c;d", "x\"<y>'z", "100 % of “us” +1", "العلاج‏ \u202eabc", "line\nbreak\0", "😀"]
)
def test_any_text_comes_back_from_a_context_object(title: str) -> None:
    text = context_objects.context_object(
        work(title=title, doi="10.1/<a>&b=c#d"), [person("Ø'Neil, A=B&C", "Ø'Neil", "A=B&C")]
    )
    assert not set(text) & set("<>\"' \n#")
    said = parse_qs(text, strict_parsing=True)
    assert said["rft.atitle"] == [title]
    assert said["rft_id"] == ["info:doi/10.1/<a>&b=c#d"]
    assert said["rft.au"] == ["Ø'Neil, A=B&C"]


def test_a_list_does_not_grow_without_limit_with_one_work() -> None:
    people = [person(f"Author{n}, A", f"Author{n}", "A") for n in range(5_000)]
    text = context_objects.context_object(work(title="long " * 50_000), people)
    said = parse_qs(text)
    assert len(said["rft.au"]) == context_objects.MOST_AUTHORS
    assert len(said["rft.atitle"][0]) == context_objects.LONGEST


def test_a_first_author_with_one_name_has_no_half_pair() -> None:
    said = parse_qs(
        context_objects.context_object(work(), [person("Plato", "Plato"), person("Plato, Ann", "Plato", "Ann")])
    )
    assert "rft.aulast" not in said and "rft.aufirst" not in said
    assert said["rft.au"] == ["Plato", "Plato, Ann"]
