"""sources.yaml: what is right is frozen, what is wrong is said with file, line and remedy, before any request."""

from __future__ import annotations

from pathlib import Path

import pytest

from evidence import strict_yaml
from evidence.errors import ConfigError
from evidence.harvest import sources
from evidence.harvest.sources import ReferenceList, Search
from tests.builders import SMALL_YAML

SHIPPED = Path(__file__).parents[2] / "sources.yaml"

SEARCH = """
sources:
  - id: a
    kind: search
    label: A
    query: {bibliographic: interpersonal psychotherapy}
    phrases: [interpersonal psychotherap*]
"""

LIST = "sources:\n  - id: a\n    kind: references\n    label: A\n"
CLAIM = "articles:\n  - {id: x, title: T, references: article, claims: [{id: c, says: S, cites: [4]}]}\n"


def check(text: str) -> sources.Config:
    return sources.check(strict_yaml.parse(text, "s.yaml"))


def test_the_shipped_file_holds_the_nine_citations_with_their_faults() -> None:
    shipped = sources.load(SHIPPED)
    article = shipped.sources[0]
    assert isinstance(article, ReferenceList)
    assert len(article.citations) == 9
    assert article.citations[4].stated_doi == "1017/S0033291719000928"
    assert article.citations[2].stated_doi is None
    assert article.citations[1].text.startswith(
        "Whisman M, Beach S. Couple therapy for depression. J Clin Psy. 2012;68(5)"
    )
    assert shipped.contact is None
    assert sum(isinstance(s, Search) for s in shipped.sources) >= 15
    assert {c for claim in shipped.articles[0].claims for c in claim.cites} <= set(range(1, 10))


def test_claims_of_the_shipped_article_speak_of_cells_that_exist(book: object) -> None:
    known = {(f.facet, v.id) for f in book.facets for v in f.values}  # type: ignore[attr-defined]
    for claim in sources.load(SHIPPED).articles[0].claims:
        for facet, values in claim.looks_at:
            assert {(facet, value) for value in values} <= known, claim.id


def test_years_are_read_open_and_closed() -> None:
    for written, expected in {
        "1974-": (1974, None),
        "-2020": (None, 2020),
        "1990–1999": (1990, 1999),
        "2019": (2019, 2019),
    }.items():
        (source,) = check(SEARCH + f"    years: {written}\n").sources
        assert isinstance(source, Search)
        assert source.years == expected


def test_usual_field_queries_are_among_those_of_crossref() -> None:
    assert sources.field_query_names() > sources._USUAL_FIELDS


def test_filters_are_crossrefs_own_spelling() -> None:
    names = sources.filter_names()
    assert {
        "type",
        "has-abstract",
        "from-pub-date",
        "relation.type",
        "license.url",
        "full-text.type",
        "award.funder",
    } <= names
    (source,) = check(SEARCH + "    filter: {type: [journal-article, book-chapter], has-abstract: true}\n").sources
    assert isinstance(source, Search)
    assert source.query.filters == (("type", ("journal-article", "book-chapter")), ("has-abstract", ("true",)))


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("", 1, "sources"),
        ("- a\n", 1, "sources"),
        ("sources: []\n", 1, "empty"),
        ("contact: me@example.org\n" + SEARCH.lstrip(), 1, "example"),
        ("contact: nobody\n" + SEARCH.lstrip(), 1, "not an e-mail"),
        (SEARCH + "    flter: {type: x}\n", 8, "did you mean 'filter'"),
        (SEARCH + "    filter: {typ: x}\n", 8, "did you mean 'type'"),
        (SEARCH + "    filter: {has_abstract: true}\n", 8, "did you mean 'has-abstract'"),
        (SEARCH + "    filter: {from-pub-date: 2010}\n", 8, "years:"),
        (SEARCH + "    filter: {until-created-date: 2010}\n", 8, "set by the program itself"),
        (SEARCH + "    filter: {type: 'a,b'}\n", 8, "comma"),
        (SEARCH + "    years: recent\n", 8, "1974-"),
        (SEARCH + "    years: 2020-1990\n", 8, "1990-2020"),
        (SEARCH.replace("bibliographic", "bibliografic"), 6, "did you mean 'bibliographic'"),
        (SEARCH.replace("kind: search", "kind: serch"), 4, "did you mean 'search'"),
        (SEARCH.replace("    kind: search\n", ""), 3, "kind"),
        (SEARCH.replace("id: a", "id: A b"), 3, "lower-case"),
        (SEARCH.replace("id: a", "id: known-works"), 3, "is reserved for the program"),
        (SEARCH.replace("    label: A\n", ""), 3, "`label:` is missing"),
        (SEARCH.replace("[interpersonal psychotherap*]", "[]"), 7, "empty"),
        (SEARCH.replace("[interpersonal psychotherap*]", "['/(/']"), 7, ""),
        (SEARCH + SEARCH.replace("sources:\n", "", 1).lstrip("\n"), 8, "line 3"),
        ("sources:\n  - {id: a, kind: references, label: A}\n", 2, "citations"),
        ("sources:\n  - {id: a, kind: references, label: A, of: none}\n", 2, "not a valid DOI"),
        (LIST + "    citations:\n      - {text: T, doi: nonsense}\n", 6, "no DOI"),
        (LIST + "    citations:\n      - {text: T}\n      - {}\n", 7, "`text:` as printed, its `doi:`"),
        (LIST + "    citations:\n      - {text: '', doi: 10.1/x}\n", 6, "`text:` is empty"),
        (SEARCH + "known: [10.1002/cpp.1774, what]\n", 8, "not a valid DOI"),
        (SEARCH + "articles:\n  - {id: x, title: T, references: b}\n", 9, "no reference list"),
        (SMALL_YAML + CLAIM, 20, "3 citations"),
    ],
)  # fmt: skip
def test_a_mistake_is_said_with_its_line_and_a_remedy(text: str, line: int, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check(text)
    assert str(caught.value).startswith(f"s.yaml:{line}: "), str(caught.value)
    assert says in str(caught.value)


def test_the_text_of_a_citation_may_be_left_out_beside_its_doi() -> None:
    stated = ["10.1002/CPP.1774", "https://doi.org/10.1016/j.cpr.2013.09.002", "1017/S0033291719000928", "10.5555/a b"]
    (source,) = check(LIST + "    citations:\n" + "".join(f"      - doi: {doi}\n" for doi in stated)).sources
    assert isinstance(source, ReferenceList)
    assert [c.stated_doi for c in source.citations] == stated
    assert [c.text for c in source.citations] == [
        "https://doi.org/10.1002/cpp.1774",
        "https://doi.org/10.1016/j.cpr.2013.09.002",
        "1017/S0033291719000928",
        "10.5555/a b",
    ]


def test_an_edited_search_has_another_spec_and_a_relabelled_one_has_not() -> None:
    (before,) = check(SEARCH).sources
    (relabelled,) = check(SEARCH.replace("label: A", "label: B")).sources
    (edited,) = check(SEARCH.replace("psychotherap*", "therap*")).sources
    assert before.spec == relabelled.spec
    assert before.spec != edited.spec
