"""Crossref records → works: on real records nothing is raised, lost or invented."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence.author_names import cite_authors
from evidence.crossref import normalise
from evidence.data_model import Author, Message, Notice, Reference, Relation, Work
from evidence.errors import RecordError
from tests.data import SAMPLES, json_lines, table

MARKUP_LEFT = re.compile(r"</?(?:jats:|mml:)?[a-z]+(?: [^<>]*)?/?>|&(?:#\d+|#x[0-9a-f]+|[a-z]+[0-9]*);", re.IGNORECASE)


def message(**fields: Any) -> Message:
    return {"DOI": "10.1002/cpp.1774", "type": "journal-article", **fields}


def work(**fields: Any) -> Work:
    return normalise.normalise(message(**{key.replace("_", "-"): value for key, value in fields.items()}))


@pytest.fixture(scope="module")
def records(data: Path) -> list[tuple[list[str], Message]]:
    return [(row["tags"], row["work"]) for row in json_lines(data, "crossref-works.jsonl")]


def test_every_real_record_becomes_a_work_or_a_plain_reason(records: list[tuple[list[str], Message]]) -> None:
    reasons = []
    for _, deposited in records:
        before = json.dumps(deposited)
        try:
            read = normalise.normalise(deposited)
        except RecordError as error:
            reasons.append(str(error))
            continue
        assert json.dumps(deposited) == before, "the record was changed"
        assert read.doi == deposited["DOI"].lower()
        texts = [read.title, read.abstract, read.container, read.publisher]
        texts += [part for author in read.authors for part in (author.family, author.given, author.name)]
        assert not [text for text in texts if text is not None and (not text.strip() or MARKUP_LEFT.search(text))]
        assert read.issued is None or re.fullmatch(r"\d{4}(-\d\d(-\d\d)?)?", read.issued)
        assert len(set(read.authors)) == len(read.authors)
        stated = [item for item in deposited.get("reference", ()) if item.get("DOI")]
        listed = [item.doi for item in normalise.references(deposited) if item.doi]
        assert len(listed) == len(stated)
        assert [doi for doi, _ in read.cites] == list(dict.fromkeys(listed))
        entries = len(deposited.get("reference", ())) or None
        assert read.references_deposited == entries
        assert read.references_without_doi == (None if entries is None else entries - len(listed))
    assert reasons == ["'<<DOI>>' is not a valid DOI"]


def test_real_dates_keep_their_precision(records: list[tuple[list[str], Message]]) -> None:
    lengths = {"date_issued_ymd": 10, "date_issued_ym": 7, "date_issued_y": 4}
    seen = set()
    for tags, deposited in records:
        for tag in set(tags) & set(lengths):
            if deposited["DOI"] != "<<DOI>>":
                assert len(normalise.normalise(deposited).issued or "") == lengths[tag]
                seen.add(tag)
    assert seen == set(lengths)


def test_groups_stay_groups(records: list[tuple[list[str], Message]], data: Path) -> None:
    groups = 0
    for _, deposited in records:
        named = [
            person["name"] for person in deposited.get("author", ()) if "name" in person and "family" not in person
        ]
        if named:
            found = {author.name for author in normalise.normalise(deposited).authors if author.name}
            assert len(found) == len(set(named))
            groups += len(found)
    assert groups > (1 if data == SAMPLES else 20)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({}, "the record has no DOI"),
        ({"DOI": None}, "the record has no DOI"),
        ({"DOI": "none"}, "'none' is not a valid DOI"),
        ([], "the record is a list, not a JSON object"),
        ("10.1002/cpp.1774", "the record is text, not a JSON object"),
        (None, "the record is null, not a JSON object"),
        (message(title={"en": "Grief"}), "`title` holds an object where text belongs"),
        (message(abstract=[["Grief"]]), "`abstract` holds a list where text belongs"),
        (message(author={"family": "Frank"}), "`author` is an object, not a list"),
        (message(issued=7), "a date is a number, not an object with date-parts"),
    ],
)
def test_what_cannot_be_understood_says_why(record: Any, reason: str) -> None:
    with pytest.raises(RecordError) as raised:
        normalise.normalise(record)
    assert str(raised.value) == reason


def test_a_whole_record() -> None:
    read = work(
        title=["Interpersonal psychotherapy: <i>past</i>, present, and future", "Another language"],
        subtitle=[""],
        container_title=["Clinical Psychology &amp; Psychotherapy", "Clin Psychol Psychother"],
        publisher="Wiley",
        issued={"date-parts": [[2012, 2, 14]]},
        language="en",
        volume="19",
        issue="2",
        page="99-105",
        ISSN=["1063-3995", "1099-0879"],
        ISBN=["http://id.crossref.org/isbn/9780195309416"],
        author=[
            {
                "given": "John C.",
                "family": "Markowitz",
                "ORCID": "http://orcid.org/0000-0002-1825-009x",
                "affiliation": [],
            },
            {"given": "Myrna M.", "family": "Weissman", "affiliation": [{"name": "Columbia"}, {"name": "NYSPI"}]},
            {"given": "Myrna M.", "family": "Weissman", "affiliation": [{"name": "Columbia"}, {"name": "NYSPI"}]},
            {"name": "The IPT <b>Group</b>", "sequence": "additional"},
        ],
        editor=[{"given": "A.", "family": "Editor"}],
        is_referenced_by_count=12,
        clinical_trial_number=[{"clinical-trial-number": "nct03797326"}, {"clinical-trial-number": "isrctn 12345678"}],
    )
    assert read == Work(
        doi=read.doi,
        title="Interpersonal psychotherapy: past, present, and future",
        container="Clinical Psychology & Psychotherapy",
        publisher="Wiley",
        issued="2012-02-14",
        year=2012,
        kind="journal-article",
        language="en",
        volume="19",
        issue="2",
        pages="99-105",
        url="https://doi.org/10.1002/cpp.1774",
        issn=("1063-3995", "1099-0879"),
        isbn=("9780195309416",),
        authors=(
            Author(family="Markowitz", given="John C.", orcid="0000-0002-1825-009X"),
            Author(family="Weissman", given="Myrna M.", affiliation="Columbia; NYSPI"),
            Author(name="The IPT Group"),
            Author(family="Editor", given="A.", role="editor"),
        ),
        cited_by=12,
        registrations=("NCT03797326", "ISRCTN12345678"),
    )
    assert read.doi == "10.1002/cpp.1774"


def test_an_empty_record_is_a_bare_doi() -> None:
    assert normalise.normalise({"DOI": "10.1002/CPP.1774"}) == Work(
        doi=normalise.normalise(message()).doi, url="https://doi.org/10.1002/cpp.1774"
    )


def test_csl_json_is_understood() -> None:
    read = work(
        type="article-journal",
        title="Couple therapy for depression",
        container_title="Journal of Clinical Psychology",
        ISSN="0021-9762",
        author=[{"literal": "The Group"}, {"family": "Beach", "given": "S", "non-dropping-particle": "van der"}],
        issued={"raw": "2012-5-1"},
    )
    assert (read.title, read.container, read.kind) == (
        "Couple therapy for depression",
        "Journal of Clinical Psychology",
        "journal-article",
    )
    assert (read.issn, read.issued) == (("0021-9762",), "2012-05-01")
    assert read.authors == (Author(name="The Group"), Author(family="van der Beach", given="S"))


@pytest.mark.parametrize(
    ("titles", "subtitles", "expected"),
    [
        (["Grief"], ["a trial"], "Grief: a trial"),
        (["Grief: a Trial"], ["A trial"], "Grief: a Trial"),
        (["Grief?"], ["A trial"], "Grief? A trial"),
        (["Grief:"], ["a trial"], "Grief: a trial"),
        ([], ["A trial"], "A trial"),
        (["", "Grief"], [], "Grief"),
        (["n/a"], [], None),
        (["Grief\n   and <i>loss</i>"], [], "Grief and loss"),
    ],
)
def test_titles_and_subtitles(titles: list[str], subtitles: list[str], expected: str | None) -> None:
    assert work(title=titles, subtitle=subtitles).title == expected
    assert normalise.title_and_abstract({"title": titles, "subtitle": subtitles}) == (expected, None)


@pytest.mark.parametrize(
    ("fields", "pages"),
    [
        ({"page": "5-9", "article_number": "e12"}, "5-9"),
        ({"article_number": "e12"}, "e12"),
        ({"page": "5"}, "5"),
        ({}, None),
    ],
)
def test_an_article_number_stands_for_the_pages_that_are_not_there(fields: dict[str, str], pages: str | None) -> None:
    assert (work(**fields).pages, work(**fields).article_number) == (pages, fields.get("article_number"))


def test_a_selected_row_is_searchable_without_a_doi() -> None:
    row = {
        "title": ["Grief &amp; loss"],
        "abstract": "<jats:title>Abstract</jats:title><jats:p>IPT.</jats:p>",
        "score": 9.1,
    }
    assert normalise.title_and_abstract(row) == ("Grief & loss", "IPT.")
    assert normalise.title_and_abstract({}) == (None, None)


@pytest.mark.parametrize(
    ("dates", "expected"),
    [
        ({"issued": {"date-parts": [[2019]]}}, "2019"),
        ({"issued": {"date-parts": [[2019, 5]]}}, "2019-05"),
        ({"issued": {"date-parts": [[2019, 13, 2]]}}, "2019"),
        ({"issued": {"date-parts": [[2019, 2, 31]]}}, "2019-02"),
        ({"issued": {"date-parts": [["2019", "5", "3"]]}}, "2019-05-03"),
        ({"issued": {"date-parts": [[2019, 5, None]]}}, "2019-05"),
        ({"issued": {"date-parts": [[None]]}}, None),
        ({"issued": {"date-parts": []}}, None),
        ({"issued": {"date-parts": [[0]]}}, None),
        ({"issued": None}, None),
        ({"issued": {"date-parts": [[None]]}, "published-print": {"date-parts": [[2020, 3]]}}, "2020-03"),
        (
            {"published-print": {"date-parts": [[2020]]}, "published-online": {"date-parts": [[2019, 12, 1]]}},
            "2019-12-01",
        ),
    ],
)
def test_dates(dates: dict[str, Any], expected: str | None) -> None:
    read = normalise.normalise(message(**dates))
    assert read.issued == expected
    assert read.year == (int(expected[:4]) if expected else None)
    assert (read.year in normalise.years_of(message(**dates))) is (expected is not None)


def test_all_years_of_publication_count_and_what_is_no_date_says_nothing() -> None:
    dates = {
        "issued": {"date-parts": [[2013]]},
        "published-print": {"date-parts": [[2014, 1]]},
        "published-online": {"date-parts": [["2013", "12"]]},
        "published-other": {"date-parts": [[2011]]},
        "posted": ["2009"],
        "content-created": "2010-01-01",
        "created": {"date-parts": [[1999]]},
        "indexed": {"date-parts": [[2026]]},
    }
    assert normalise.years_of(message(**dates)) == {2010, 2011, 2013, 2014}
    assert normalise.years_of(message(issued={"date-parts": [[None]]}, published=7)) == frozenset()


def test_date_parts(data: Path) -> None:
    rows = [row for row in table(data, "dates/date_cases.csv") if row["input"].startswith("{")]
    shaped = [(json.loads(row["input"]), row["expected"] or None) for row in rows if "date-parts" in row["input"]]
    assert len(shaped) >= 5
    for deposited, expected in shaped:
        assert normalise.normalise(message(issued=deposited)).issued == expected


def update(doi: str, kind: str, **more: Any) -> dict[str, Any]:
    return {"DOI": doi, "type": kind, "updated": {"date-parts": [[2021, 10, 28]]}, "source": "publisher", **more}


def test_a_notice_on_the_work_names_its_kind_date_and_source() -> None:
    read = work(
        updated_by=[update("10.1/X".replace("10.1", "10.1234"), "expression_of_concern", source="retraction-watch")]
    )
    assert read.notices == (
        Notice(
            "expression-of-concern",
            normalise.normalise({"DOI": "10.1234/x"}).doi,
            "2021-10-28",
            "retraction-watch",
            "updated-by",
        ),
    )
    assert read.notice_of == ()


@pytest.mark.parametrize(
    ("fields", "notices", "notice_of"),
    [
        ({"update_to": [update("10.1234/study", "retraction")]}, [], [("retraction", "10.1234/study")]),
        ({"update_to": [update("10.1002/CPP.1774", "retraction")]}, [("retraction", "update-to")], []),
        (
            {
                "update_to": [update("10.1002/cpp.1774", "new_version")],
                "updated_by": [update("10.1002/cpp.1774", "new_version")],
            },
            [("new-version", "updated-by"), ("new-version", "update-to")],
            [],
        ),
        (
            {
                "updated_by": [
                    update("10.1234/a", "correction"),
                    update("10.1234/b", "retraction"),
                    update("10.1234/c", "reinstatement"),
                ]
            },
            [("correction", "updated-by"), ("retraction", "updated-by"), ("reinstatement", "updated-by")],
            [],
        ),
        ({"title": ["RETRACTED: Grief in adults"]}, [("retraction", "title")], []),
        ({"title": ["RETRACTED ARTICLE: Grief in adults"]}, [("retraction", "title")], []),
        ({"title": ["[Retracted] Grief in adults"]}, [("retraction", "title")], []),
        ({"title": ["WITHDRAWN: Grief in adults"]}, [("withdrawal", "title")], []),
        ({"title": ["Removed: Grief in adults"]}, [("removal", "title")], []),
        ({"title": ["Grief in adults (Retracted Article)"]}, [("retraction", "title")], []),
        (
            {"title": ["RETRACTED: Grief"], "updated_by": [update("10.1234/b", "retraction")]},
            [("retraction", "updated-by")],
            [],
        ),
        (
            {"title": ["Retracted: Grief"], "update_to": [update("10.1234/b", "retraction")]},
            [("retraction", "title")],
            [("retraction", "10.1234/b")],
        ),
        (
            {
                "title": ["RETRACTED: Grief in adults"],
                "update_to": [update("10.1234/b", "retraction")],
                "updated_by": [update("10.1234/b", "retraction")],
            },
            [("retraction", "updated-by")],
            [],
        ),
        (
            {
                "title": ["RETRACTED: Grief in adults"],
                "update_to": [update("10.1234/b", "retraction")],
                "updated_by": [update("10.1234/c", "correction")],
            },
            [("correction", "updated-by"), ("retraction", "title")],
            [],
        ),
        (
            {
                "title": ["Retraction of: Grief"],
                "update_to": [update("10.1234/b", "retraction")],
                "updated_by": [update("10.1234/c", "correction")],
            },
            [("correction", "updated-by")],
            [("retraction", "10.1234/b")],
        ),
        (  # published years before the notice that it states to be
            {"title": ["Grief"], "update_to": [update("10.1234/b", "retraction")], "issued": {"date-parts": [[2012]]}},
            [],
            [],
        ),
        (
            {"title": ["Grief"], "update_to": [update("10.1234/b", "correction")], "issued": {"date-parts": [[2021]]}},
            [],
            [("correction", "10.1234/b")],
        ),
        ({"title": ["Grief"], "type": "posted-content", "update_to": [update("10.1234/b", "correction")]}, [], []),
        ({"title": ["Grief"], "update_to": [update("10.1234/b", "new_version")]}, [], []),
        ({"title": ["Grief"], "update_to": [{"type": "retraction"}]}, [("retraction", "update-to")], []),
        ({"title": ["Retraction: Grief"], "update_to": [{"type": "retraction"}]}, [], [("retraction", None)]),
        (
            {"update_to": [update("10.1234/b", "correction", label="Expression of Concern")]},
            [],
            [("expression-of-concern", "10.1234/b")],
        ),
        ({"title": ["Retraction: Grief in adults"]}, [], [("retraction", None)]),
        ({"title": ["Withdrawal of treatment: grief in adults"]}, [], []),
        (
            {
                "title": ["Retracted: Grief"],
                "author": [{"given": "Grief", "family": "Matters"}],
                "container_title": ["Grief Matters"],
            },
            [("retraction", "title")],
            [("retraction", None)],
        ),
        ({"title": ["Retracted memories in grief"]}, [], []),
        ({"title": ["Withdrawn behaviour in adolescents"]}, [], []),
        ({"title": ["Withdrawn - a story of grief"]}, [("withdrawal", "title")], []),
    ],
)
def test_notices_point_the_right_way(
    fields: dict[str, Any], notices: list[tuple[str, str]], notice_of: list[tuple[str, str]]
) -> None:
    read = work(**fields)
    assert [(notice.kind, notice.evidence) for notice in read.notices] == notices
    assert list(read.notice_of) == notice_of


def test_relations_hold_canonical_dois_and_may_be_single() -> None:
    read = work(
        relation={
            "is-preprint-of": [{"id-type": "doi", "id": "https://doi.org/10.1234/ABC", "asserted-by": "subject"}] * 2,
            "has-part": {"id-type": "uri", "id": "https://example.org/a", "asserted-by": "object"},
            "broken": [None, {"id": 3}],
        }
    )
    assert read.relations == (  # by kind, as the stored record has them
        Relation("has-part", "https://example.org/a", "object"),
        Relation("is-preprint-of", "10.1234/abc", "subject"),
    )


def test_a_reference_is_put_together_from_the_fields_that_are_text() -> None:
    fields = {
        "author": "Lipsitz",
        "year": 2013,
        "journal-title": "Clin Psychol Rev",
        "volume": "33",
        "first-page": ["1134"],
    }
    (reference,) = normalise.references(message(reference=[fields]))
    assert reference.text == "Lipsitz. Clin Psychol Rev 33"


@pytest.mark.parametrize(
    ("deposited", "expected"),
    [
        ({}, (None, None)),
        ({"reference": None, "reference-count": 12}, (None, None)),
        ({"reference": [], "reference-count": 12}, (None, None)),
        (
            {
                "reference": [
                    {"key": "a"},
                    {"DOI": "10.1000/a"},
                    {"DOI": "10.1000/A"},
                    {"DOI": "n/a"},
                    "Frank E. IPT. 2005",
                ]
            },
            (5, 3),
        ),
        ({"reference": [{"unstructured": "Frank E. IPT. 2005"}]}, (1, 1)),
    ],
)
def test_how_long_a_deposited_list_is_and_how_much_of_it_has_no_doi(
    deposited: dict[str, Any], expected: tuple[int | None, int | None]
) -> None:
    work = normalise.normalise(message(**deposited))
    assert (work.references_deposited, work.references_without_doi) == expected


def test_references_keep_place_and_heal_their_dois() -> None:
    record = message(
        reference=[
            {"key": "a", "DOI": "10.1126/science. 1109070", "doi-asserted-by": "crossref"},
            {"key": "b", "unstructured": "Frank E.\n <i>IPT</i> manual, 2005"},
            {"key": "c"},
            {
                "key": "d",
                "author": "Frank",
                "year": "1990a",
                "article-title": "Three-year outcomes",
                "journal-title": "Arch Gen Psychiatry",
            }
            | {"volume": "47", "issue": "12", "first-page": "1093", "DOI": "10.1001/ARCHPSYC.1990.01810240013002"},
        ]
    )
    assert normalise.references(record) == (
        Reference(
            1, normalise.normalise({"DOI": "10.1126/science.1109070"}).doi, "crossref", None, "10.1126/science. 1109070"
        ),
        Reference(2, None, None, "Frank E. IPT manual, 2005"),
        Reference(3, None, None, None),
        Reference(
            4,
            normalise.normalise({"DOI": "10.1001/archpsyc.1990.01810240013002"}).doi,
            None,
            "Frank. (1990a). Three-year outcomes. Arch Gen Psychiatry 47(12):1093",
        ),
    )


@pytest.mark.parametrize(
    ("indexed", "expected"),
    [
        (
            {"date-parts": [[2026, 6, 14]], "date-time": "2026-06-14T09:12:33Z", "timestamp": 1781428353000},
            "2026-06-14T09:12:33Z",
        ),
        ({"date-parts": [[2026, 6, 14]]}, "2026-06-14"),
        (None, None),
    ],
)
def test_when_a_record_was_indexed(indexed: dict[str, Any] | None, expected: str | None) -> None:
    assert normalise.indexed_at(message(indexed=indexed)) == expected
    assert normalise.indexed_at({}) is None


def shuffled(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: shuffled(value[key]) for key in reversed(value)}
    return [shuffled(item) for item in value] if isinstance(value, list) else value


def test_the_digest_is_blind_to_counters_and_key_order_and_to_nothing_else(
    records: list[tuple[list[str], Message]], data: Path
) -> None:
    step = 1 if data == SAMPLES else 10
    digests = set()
    for _, deposited in records[::step]:
        digest = normalise.record_digest(deposited)
        digests.add(digest)
        assert re.fullmatch(r"[0-9a-f]{32}", digest)
        later = shuffled(copy.deepcopy(deposited))
        for key in normalise.VOLATILE:
            later[key] = {"date-time": "2031-01-01T00:00:00Z"}
        assert normalise.record_digest(later) == digest
        for key in set(deposited) - normalise.VOLATILE:
            assert normalise.record_digest({**deposited, key: "edited"}) != digest
    assert len(digests) == len(records[::step])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 3000) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["date-parts", "DOI", "id", "name", "family", "type"]), inner, max_size=3)
    ),
    max_leaves=6,
)
KEYS = [
    "title",
    "subtitle",
    "abstract",
    "author",
    "editor",
    "issued",
    "published",
    "container-title",
    "ISSN",
    "ISBN",
    "page",
    "volume",
]
KEYS += [
    "update-to",
    "updated-by",
    "relation",
    "reference",
    "clinical-trial-number",
    "is-referenced-by-count",
    "type",
    "language",
]


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS), JSON, max_size=5))
def test_any_json_is_a_work_or_a_record_error(fields: dict[str, Any]) -> None:
    try:
        read = normalise.normalise(message(**fields))
    except RecordError as error:
        assert str(error)
    else:
        assert read.doi == "10.1002/cpp.1774"
        assert cite_authors(read.authors) != ""
    assert normalise.record_digest(fields) == normalise.record_digest(shuffled(fields))


@given(
    st.dictionaries(
        st.sampled_from(["DOI", "title", "indexed", "score", "type", "é"]),
        st.recursive(
            st.none() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])), st.lists, max_leaves=5
        ),
    )
)
def test_what_is_written_is_the_record_and_its_digest_sees_the_content_only(record: dict[str, Any]) -> None:
    text, digest = normalise.serialise(record)
    assert json.loads(text) == {key: value for key, value in record.items() if key != "score"}
    assert digest == normalise.record_digest(record | {"score": 7.5, "indexed": {}})
    assert digest != normalise.record_digest(record | {"publisher": "Another"})


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["DOI", "title", "indexed", "score", "type", "é"]),
        st.recursive(st.none() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=5),
    ),
    st.integers(0, 400),
)
def test_a_record_that_is_read_again_is_written_as_before(record: dict[str, Any], levels: int) -> None:
    """Nested so deep; with half characters, numbers that JSON does not have, and such as two programs write differently."""
    deep: Any = [1e-7, record]
    for _ in range(levels):
        deep = [deep]
    text, digest = normalise.serialise_whole(record | {"deep": deep, "small": 1e-7})
    assert normalise.serialise(json.loads(text)) == (text, digest)
