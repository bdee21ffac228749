"""PubMed's records, read."""

from __future__ import annotations

import pytest

from evidence.data_model import Fact, Identifier, Notice
from evidence.errors import RecordError
from evidence.providers.answers import Described
from evidence.providers.pubmed_records import describe, split
from evidence.rules.sentence_roles import read_sentences
from tests.providers import recorded

DOCTYPE = (
    b'<?xml version="1.0" ?>\n<!DOCTYPE PubmedArticleSet PUBLIC "-//NLM//DTD PubMedArticle, 1st January 2025//EN" '
    b'"https://dtd.nlm.nih.gov/ncbi/pubmed/out/pubmed_250101.dtd">\n'
)


def article(inside: str = "", *, beside: str = "", ids: str = '<ArticleId IdType="doi">10.5555/ABC</ArticleId>') -> str:
    """A record with these elements in its article, beside it, and in its list of identifiers."""
    return (
        f'<PubmedArticle><MedlineCitation><PMID Version="1">12345</PMID><Article>{inside}</Article>{beside}'
        f"</MedlineCitation><PubmedData><ArticleIdList>{ids}</ArticleIdList>"
        '<ReferenceList><Reference><ArticleIdList><ArticleId IdType="doi">10.5555/cited</ArticleId>'
        '<ArticleId IdType="pubmed">9</ArticleId></ArticleIdList></Reference></ReferenceList>'
        "</PubmedData></PubmedArticle>"
    )


def read(inside: str = "", *, beside: str = "") -> Described:
    return describe(article(inside, beside=beside))


def test_identifiers_are_the_articles_own() -> None:
    ids = '<ArticleId IdType="pmc">PMC678</ArticleId><ArticleId IdType="doi">10.5555/ABC</ArticleId>'
    found = describe(article(ids=ids))
    assert (found.provider, found.record_id, found.doi) == ("pubmed", "12345", "10.5555/abc")
    assert found.identifiers == (Identifier("pmid", "12345", "pubmed"), Identifier("pmcid", "PMC678", "pubmed"))


@pytest.mark.parametrize(
    ("location", "doi"),
    [
        ('<ELocationID EIdType="doi" ValidYN="Y">10.5555/E</ELocationID>', "10.5555/e"),
        ('<ELocationID EIdType="doi" ValidYN="N">10.5555/E</ELocationID>', None),
        ('<ELocationID EIdType="pii" ValidYN="Y">10.5555/E</ELocationID>', None),
        ("", None),
    ],
)
def test_the_doi_may_stand_as_electronic_location(location: str, doi: str | None) -> None:
    assert describe(article(location, ids="")).doi == doi


def test_a_doi_with_angle_brackets() -> None:
    ids = '<ArticleId IdType="doi">10.1002/(SICI)1097-4679(199901)55:1&lt;1::AID-JCLP1&gt;3.0.CO;2-#</ArticleId>'
    assert describe(article(ids=ids)).doi == "10.1002/(sici)1097-4679(199901)55:1<1::aid-jclp1>3.0.co;2-#"


def test_title_keeps_its_brackets_and_loses_its_markup() -> None:
    inside = "<ArticleTitle>[Talking about <i>H. pylori</i> &amp; CO<sub>2</sub>].</ArticleTitle>"
    found = read(inside + "<VernacularTitle>Reden über H. pylori</VernacularTitle>")
    assert found.title == "[Talking about H. pylori & CO2]."


ABSTRACT = """<Abstract>
<AbstractText Label="BACKGROUND" NlmCategory="BACKGROUND">Loss is <i>hard</i>.</AbstractText>
<AbstractText Label="METHOD" NlmCategory="METHODS">We asked 40 people.</AbstractText>
<AbstractText Label="RESULTS" NlmCategory="RESULTS">They felt better (p&lt;0.05).</AbstractText>
<AbstractText Label="CONCLUSION:" NlmCategory="CONCLUSIONS">Talking helps.</AbstractText>
<AbstractText Label="UNLABELLED">It is registered.</AbstractText>
<CopyrightInformation>Copyright 2020 The Publisher.</CopyrightInformation>
</Abstract><OtherAbstract Language="spa"><AbstractText>Hablar ayuda.</AbstractText></OtherAbstract>"""


def test_each_section_of_the_abstract_is_a_paragraph_with_its_label() -> None:
    found = read(ABSTRACT)
    assert found.abstract == (
        "BACKGROUND: Loss is hard.\nMETHOD: We asked 40 people.\nRESULTS: They felt better (p<0.05).\n"
        "CONCLUSION: Talking helps.\nIt is registered."
    )


def test_the_labels_decide_the_roles_of_the_sentences() -> None:
    abstract = read(ABSTRACT).abstract
    assert abstract is not None
    roles = [(sentence.role, sentence.heading) for sentence in read_sentences(abstract)]
    assert roles[:4] == [("background", True), ("methods", True), ("results", True), ("conclusions", True)]


def test_without_an_abstract_another_one_is_not_taken() -> None:
    assert read("<OtherAbstract><AbstractText>Hablar ayuda.</AbstractText></OtherAbstract>").abstract is None
    assert read("<Abstract><AbstractText/></Abstract>").abstract is None


def test_facts() -> None:
    found = read(
        '<PublicationTypeList><PublicationType UI="D016449">Randomized Controlled Trial</PublicationType>'
        "<PublicationType>Journal Article</PublicationType></PublicationTypeList>"
        "<GrantList><Grant><GrantID>R01 MH012345</GrantID><Acronym>MH</Acronym><Agency>NIMH NIH HHS</Agency>"
        "<Country>United States</Country></Grant><Grant/></GrantList>",
        beside='<MeshHeadingList><MeshHeading><DescriptorName MajorTopicYN="N">Humans</DescriptorName></MeshHeading>'
        '<MeshHeading><DescriptorName MajorTopicYN="N">Depressive Disorder</DescriptorName>'
        '<QualifierName MajorTopicYN="N">psychology</QualifierName>'
        '<QualifierName MajorTopicYN="Y">therapy</QualifierName></MeshHeading></MeshHeadingList>',
    )
    assert found.facts == (
        Fact("publication-type", "Randomized Controlled Trial", "pubmed"),
        Fact("publication-type", "Journal Article", "pubmed"),
        Fact("mesh", "Humans", "pubmed"),
        Fact("mesh", "Depressive Disorder/psychology/therapy", "pubmed", major=True),
        Fact("funder", "NIMH NIH HHS R01 MH012345", "pubmed"),
    )


def test_registration_numbers_are_those_of_registries() -> None:
    banks = [("ClinicalTrials.gov", "nct01245062"), ("ISRCTN", "12345678"), ("GenBank", "AF078607"), ("PDB", "1ABC")]
    inside = "".join(
        f"<DataBank><DataBankName>{name}</DataBankName><AccessionNumberList><AccessionNumber>{number}</AccessionNumber>"
        "</AccessionNumberList></DataBank>"
        for name, number in banks
    )
    found = read(f"<DataBankList>{inside}</DataBankList>")
    assert [one for one in found.identifiers if one.kind == "registration"] == [
        Identifier("registration", "NCT01245062", "pubmed"),
        Identifier("registration", "ISRCTN12345678", "pubmed"),
    ]


def test_notices_are_those_on_the_record_itself() -> None:
    found = read(
        "<PublicationTypeList><PublicationType>Retracted Publication</PublicationType></PublicationTypeList>",
        beside='<CommentsCorrectionsList><CommentsCorrections RefType="RetractionIn"><RefSource>Lancet. 2019 Mar;393:1. '
        'doi: 10.5555/N.</RefSource><PMID Version="1">222</PMID></CommentsCorrections>'
        '<CommentsCorrections RefType="ErratumFor"><RefSource>Lancet. 2018</RefSource><PMID>333</PMID>'
        "</CommentsCorrections></CommentsCorrectionsList>",
    )
    (notice,) = found.notices
    assert notice.notice_doi == "10.5555/n"
    assert notice == Notice("retraction", notice.notice_doi, "2019-03", "PubMed", "comments-corrections", "PMID:222")


def test_a_chapter_of_a_book_is_a_record_too() -> None:
    found = describe(
        "<PubmedBookArticle><BookDocument><PMID>777</PMID><ArticleIdList><ArticleId IdType='doi'>10.5555/book</ArticleId>"
        "</ArticleIdList><Book><BookTitle>A book</BookTitle></Book><PublicationType>Review</PublicationType>"
        "<Abstract><AbstractText>It is long.</AbstractText></Abstract></BookDocument></PubmedBookArticle>"
    )
    assert (found.record_id, found.doi, found.title, found.abstract) == ("777", "10.5555/book", "A book", "It is long.")
    assert found.facts == (Fact("publication-type", "Review", "pubmed"),)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no XML",
        "<PubmedArticle>",
        "<PubmedArticle/>",
        "<PubmedArticle><MedlineCitation/></PubmedArticle>",
        "<PubmedArticle><MedlineCitation><PMID>x</PMID></MedlineCitation></PubmedArticle>",
        "<PubmedArticleSet/>",
        "<html><body>Log in</body></html>",
        "<a>" * 100_000,
        "<PubmedArticle>" + "x" * 9_000_000 + "</PubmedArticle>",
        "<PubmedArticle>\ud800</PubmedArticle>",
    ],
    ids=lambda text: text[:30].encode("utf-8", "replace").decode(),
)
def test_what_is_no_record_is_said(text: str) -> None:
    with pytest.raises(RecordError, match=r"\w+ \w+|XML"):
        describe(text)


BOMB = (
    '<!DOCTYPE PubmedArticleSet [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10)).replace("&a0;", "&a;")
    + "]><PubmedArticleSet><PubmedArticle>&a9;</PubmedArticle></PubmedArticleSet>"
)


@pytest.mark.parametrize(
    "xml",
    [
        BOMB.encode(),
        BOMB.encode("utf-16"),
        b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]><PubmedArticleSet>&b;</PubmedArticleSet>',
        b'<!DOCTYPE a [<!ENTITY % b SYSTEM "http://127.0.0.1/x">%b;]><PubmedArticleSet/>',
        DOCTYPE + b"<PubmedArticleSet><PubmedArticle>&undeclared;</PubmedArticle></PubmedArticleSet>",
    ],
    ids=["bomb", "bomb in UTF-16", "file", "parameter", "undeclared"],
)
def test_entities_are_refused_and_never_expanded(xml: bytes) -> None:
    with pytest.raises(RecordError, match=r"entity|cannot be read"):
        split(xml)


def test_a_response_is_split_into_its_records_as_they_were_sent() -> None:
    first = article("<ArticleTitle>Eins &#xfc;ber\n &lt;zwei&gt;</ArticleTitle>")
    book = "<PubmedBookArticle><BookDocument><PMID>7</PMID></BookDocument></PubmedBookArticle >"
    xml = DOCTYPE + f"<PubmedArticleSet>\n{first}\n{book}<DeleteCitation/></PubmedArticleSet>".encode()
    assert split(xml) == [first, book]
    assert split(DOCTYPE + b"<PubmedArticleSet></PubmedArticleSet>") == []


@pytest.mark.parametrize(
    "xml",
    [
        b"",
        b"<ERROR>Cannot process ID list</ERROR>",
        b"<eFetchResult><ERROR>Empty id list</ERROR></eFetchResult>",
        b"<html><body>Log in</body></html>",
        b'{"error":"API rate limit exceeded"}',
        b"<PubmedArticleSet><PubmedArticle>\xff</PubmedArticle></PubmedArticleSet>",
    ],
)
def test_a_response_that_is_no_set_of_records_is_an_error(xml: bytes) -> None:
    with pytest.raises(RecordError):
        split(xml)


def test_a_response_that_is_cut_short_anywhere_is_an_error() -> None:
    whole = DOCTYPE + f"<PubmedArticleSet>{article()}{article()}</PubmedArticleSet>".encode()
    assert len(split(whole)) == 2
    for stop in range(len(whole) - 1):
        with pytest.raises(RecordError):
            split(whole[:stop])


def test_recorded_records_are_read() -> None:
    found = [describe(text) for xml in recorded.pubmed() for text in split(xml)]
    assert len(found) == 163
    assert all(one.doi and one.title and one.record_id for one in found)
    assert sum(one.abstract is not None for one in found) == 145
    assert sum(any(item.kind == "pmcid" for item in one.identifiers) for one in found) == 97
    assert sum(any(fact.kind == "mesh" for fact in one.facts) for one in found) == 112
    assert sorted(notice.notice_id or "" for one in found for notice in one.notices) == [
        "PMID:35767954",
        "PMID:39705317",
    ]
