"""Citations against records: what agrees, what must not be taken for it, and what is left to a person."""

from __future__ import annotations

import dataclasses
import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence import doi as dois
from evidence.crossref.normalise import normalise
from evidence.data_model import Author, CitationError, Doi, Work
from evidence.linkage.citation_matching import NOT_WORKS, compare_citation, match_citation

SNAPSHOT = Path(__file__).parents[2] / "evidence" / "topics" / "ipt" / "bundled_records" / "records.jsonl.gz"


def people(*names: str) -> tuple[Author, ...]:
    split = (name.rpartition(" ") for name in names)
    return tuple(Author(family=family, given=given or None) for given, _, family in split)


LIPSITZ = Work(
    doi=Doi("10.1016/j.cpr.2013.09.002"),
    title="Mechanisms of change in interpersonal therapy (IPT)",
    container="Clinical Psychology Review",
    issued="2013-12",
    year=2013,
    kind="journal-article",
    volume="33",
    issue="8",
    pages="1134-1147",
    authors=people("Joshua D. Lipsitz", "John C. Markowitz"),
)
WHISMAN = Work(
    doi=Doi("10.1002/jclp.21857"),
    title="Couple Therapy for Depression",
    container="Journal of Clinical Psychology",
    year=2012,
    kind="journal-article",
    volume="68",
    issue="5",
    pages="526-535",
    authors=people("Mark A. Whisman", "Steven R. H. Beach"),
)
CUIJPERS = Work(
    doi=Doi("10.1176/appi.ajp.2015.15091141"),
    title="Interpersonal Psychotherapy for Mental Health Problems: A Comprehensive Meta-Analysis",
    container="American Journal of Psychiatry",
    year=2016,
    kind="journal-article",
    volume="173",
    issue="7",
    pages="680-687",
    authors=people("Pim Cuijpers", "Tara Donker", "Myrna M. Weissman", "Paula Ravitz", "Ioana A. Cristea"),
)
FONAGY = Work(
    doi=Doi("10.1017/s0033291719000928"),
    title="Dynamic interpersonal therapy for moderate to severe depression: a pilot randomized controlled and feasibility trial",
    container="Psychological Medicine",
    issued="2019-04-29",
    year=2019,
    kind="journal-article",
    volume="50",
    issue="6",
    pages="1010-1019",
    authors=people("Peter Fonagy", "Alessandra Lemma", "Mary Target"),
)
MARKOWITZ = Work(
    doi=Doi("10.1002/cpp.1774"),
    title="Interpersonal Psychotherapy: Past, Present and Future",
    container="Clinical Psychology & Psychotherapy",
    year=2012,
    kind="journal-article",
    volume="19",
    issue="2",
    pages="99-105",
    authors=people("John C. Markowitz", "Myrna M. Weissman"),
)
WORKS = (LIPSITZ, WHISMAN, CUIJPERS, FONAGY, MARKOWITZ)
PRINTED = (
    "Lipsitz J, Markowitz J. Mechanisms of change in interpersonal therapy (IPT). Clin Psychol Rev. 2013;33(8):1134-47.",
    "Whisman M, Beach S. Couple therapy for depression. J Clin Psy. 2012;68(5):526-35.",
    (
        "Cuijpers P, Donker T, Weissman M, Ravitz P, Cristea I. Interpersonal psychotherapy for mental health problems:"
        " a comprehensive meta-analysis. Am J Psychiatry. 2016;173(7):680-7."
    ),
    (
        "Fonagy P, Lemma A, Target M, et al. Dynamic interpersonal therapy for moderate to severe depression: a pilot"
        " randomized controlled and feasibility trial. Psychol Med. 2020;50(6):1010-1019."
    ),
    (
        "Markowitz J, Weissman M. Interpersonal psychotherapy: past, present, and future. Clin Psychol Psychother."
        " 2012;19(2):99-105."
    ),
)


@pytest.mark.parametrize(("citation", "work"), [*zip(PRINTED, WORKS, strict=True)])
def test_the_articles_citations_agree_with_their_own_records_only(citation: str, work: Work) -> None:
    agreement = compare_citation(citation, work)
    assert agreement.same
    assert set(agreement.support) == {"title", "author", "year", "volume", "issue", "page", "container"}
    assert agreement.against == ()
    assert agreement.score > 0.9
    for another in set(WORKS) - {work}:
        assert compare_citation(citation, another).other
    choice = match_citation(citation, [(candidate, None) for candidate in WORKS])
    assert (choice.status, choice.doi) == ("matched", work.doi)


def test_a_repaired_doi_is_proved_by_its_record() -> None:
    (repaired,) = dois.candidates("1017/S0033291719000928")
    assert repaired == FONAGY.doi
    agreement = compare_citation(PRINTED[3], FONAGY)
    assert agreement.same
    assert "the year is one off (2019)" in agreement.sentence


@pytest.mark.parametrize(
    "citation",
    [
        (
            "Cuijpers, P., Donker, T., Weissman, M. M., Ravitz, P., & Cristea, I. A. (2016). Interpersonal psychotherapy for"
            " mental health problems: A comprehensive meta-analysis. American Journal of Psychiatry, 173(7), 680–687."
            " https://doi.org/10.1176/appi.ajp.2015.15091141"
        ),
        (
            "[12] P. Cuijpers et al., “Interpersonal psychotherapy for mental health problems,” Amer. J. Psychiat., vol. 173,"
            " pp. 680–687, 2016."
        ),
        (
            "Cuijpers P et al.: Inter-\npersonal psychotherapy for mental health prob-\nlems: a comprehensive meta-\nanalysis."
            " Am J Psychia-\ntry 2016, 173:680"
        ),
        (
            "Cuijpers, Interpersonal psychotheraphy for mental health problems: a comprehensive metaanalysis, Am J Psychiatry 173"
            " (2016)"
        ),
        "CUIJPERS P. INTERPERSONAL PSYCHOTHERAPY FOR MENTAL HEALTH PROBLEMS: A COMPREHENSIVE META-ANALYSIS. AJP 2016.",
    ],
)
def test_other_styles_and_damaged_print(citation: str) -> None:
    assert compare_citation(citation, CUIJPERS).same
    assert match_citation(citation, [(CUIJPERS, None), (MARKOWITZ, None)]).doi == CUIJPERS.doi


@pytest.mark.parametrize(
    "sparse",
    [
        dataclasses.replace(CUIJPERS, authors=()),
        dataclasses.replace(CUIJPERS, authors=(), container=None, issue=None),
        dataclasses.replace(CUIJPERS, volume=None, issue=None, pages=None, container="Am J Psychiatry"),
        Work(CUIJPERS.doi, title=CUIJPERS.title),
        Work(CUIJPERS.doi, title=CUIJPERS.title, year=2016),
        dataclasses.replace(CUIJPERS, year=2015),
        dataclasses.replace(CUIJPERS, title="RETRACTED: " + str(CUIJPERS.title)),
        dataclasses.replace(CUIJPERS, title="Interpersonal psychotherapy for"),
    ],
)
def test_a_stated_doi_is_believed_on_a_sparse_record(sparse: Work) -> None:
    assert compare_citation(PRINTED[2], sparse).same


STATUS = ["RETRACTED: ", "WITHDRAWN: ", "Retracted article: ", "RETRACTED ARTICLE: ", "[Retracted] ", "RETRACTED "]


@pytest.mark.parametrize("before", [*STATUS, "3. RETRACTED: ", "Withdrawn article. "])
@pytest.mark.parametrize("recorded", ["", "RETRACTED: ", "WITHDRAWN: "])
def test_the_status_before_a_citation_is_no_part_of_it(before: str, recorded: str) -> None:
    work = dataclasses.replace(CUIJPERS, title=recorded + str(CUIJPERS.title))
    for citation in (
        PRINTED[2],
        str(CUIJPERS.title),
        f"{CUIJPERS.title} (2016) American Journal of Psychiatry",
        f"{CUIJPERS.title}. Am J Psychiatry 2016;173(7):680-687.",
    ):
        plain, marked = (match_citation(c, [(work, None)]) for c in (citation, before + citation))
        assert (compare_citation(before + citation, work).same, marked.status) == (True, plain.status)
    retraction = dataclasses.replace(CUIJPERS, title="Retraction: " + str(CUIJPERS.title))
    assert not compare_citation(before + PRINTED[2], retraction).same


def test_a_title_that_begins_with_such_a_word_keeps_it() -> None:
    work = dataclasses.replace(CUIJPERS, title="Withdrawn patients in group psychotherapy: who stays and who leaves?")
    assert compare_citation(f"{work.title} American Journal of Psychiatry 2016;173:680.", work).support[0] == "title"


@pytest.mark.parametrize(
    "another",
    [
        dataclasses.replace(CUIJPERS, title="Correction: " + str(CUIJPERS.title)),
        dataclasses.replace(
            CUIJPERS, title="Reply to: Interpersonal psychotherapy for mental health problems", pages="690"
        ),
        dataclasses.replace(
            CUIJPERS, title="Psychotherapy for depression across age groups", year=2020, volume="77", pages="694-702"
        ),
        Work(
            CUIJPERS.doi, "Interpersonal Psychotherapy for Mental Health Problems: A Manual", authors=CUIJPERS.authors
        ),
        dataclasses.replace(
            CUIJPERS,
            title="Interpersonal psychotherapy for depression: a meta-analysis",
            year=2011,
            volume="168",
            pages="581",
        ),
        dataclasses.replace(CUIJPERS, authors=people("Ellen Frank"), volume="9", pages="1", year=1999),
        Work(CUIJPERS.doi, title="Psychotherapy"),
        Work(CUIJPERS.doi),
    ],
)
def test_another_work_is_never_the_same(another: Work) -> None:
    assert not compare_citation(PRINTED[2], another).same
    assert match_citation(PRINTED[2], [(another, 90.0)]).status != "matched"


@pytest.mark.parametrize(
    ("printed", "recorded"),
    [
        (
            "Outcomes of interpersonal therapy in late life: Part I.",
            "Outcomes of interpersonal therapy in late life: Part II",
        ),
        (
            "Outcomes of interpersonal therapy in late life: 12-month results.",
            "Outcomes of interpersonal therapy in late life: 24-month results",
        ),
        (
            "Correction: Outcomes of interpersonal therapy in late life.",
            "Outcomes of interpersonal therapy in late life",
        ),
        (
            "Outcomes of interpersonal therapy in late life: a protocol.",
            "Outcomes of interpersonal therapy in late life: a randomised trial",
        ),
    ],
)
def test_siblings_by_the_same_authors_are_told_apart(printed: str, recorded: str) -> None:
    sibling = Work(
        Doi("10.1234/sibling"), title=recorded, year=2010, kind="journal-article", authors=people("Ann Miller")
    )
    assert not compare_citation(f"Miller A. {printed} 2010.", sibling).same


@pytest.mark.parametrize(
    "title", ["Expression of concern: Grief in late life", "Re: Grief in late life", "Reply to grief in late life"]
)
def test_a_cited_notice_is_itself(title: str) -> None:
    notice = Work(Doi("10.1234/notice"), title=title, year=2010, volume="3", pages="412", authors=people("Ann Miller"))
    assert compare_citation(f"Miller A. {title}. J Grief. 2010;3:412.", notice).same
    assert not compare_citation("Miller A. Grief in late life. J Grief. 2010;3:112-20.", notice).same


@pytest.mark.parametrize(
    ("citation", "same", "other"),
    [
        ("M. A. Whisman, S. R. H. Beach, J. Clin. Psychol. 68, 526 (2012)", True, False),
        ("Whisman et al., J. Clin. Psychol. 2012", False, False),
        ("Frank et al., Arch. Gen. Psychiatry 47, 1093 (1990)", False, True),
        (
            # A translated title is for a person: the place agrees, but so it does in an invented reference.
            "Whisman M. Paartherapie bei depressiven Erkrankungen im Erwachsenenalter. J Clin Psychol. 2012;68(5):526-35.",
            False,
            False,
        ),
        (
            "Whisman M. Marital distress and the course of major depression in women. J Clin Psychol. 2012;68(9):911-9.",
            False,
            True,
        ),
    ],
)
def test_citations_that_print_no_title_or_a_translated_one(citation: str, same: bool, other: bool) -> None:
    agreement = compare_citation(citation, WHISMAN)
    assert (agreement.same, agreement.other) == (same, other)


TITLE = "Couple therapy for depression and marital distress in later life"
RECORD = Work(
    Doi("10.1234/couple"),
    title=TITLE,
    year=2012,
    volume="68",
    issue="5",
    pages="526-535",
    container="Journal of Clinical Psychology",
    kind="journal-article",
    authors=people("Mark Whisman", "Steven Beach"),
)


@pytest.mark.parametrize(
    ("citation", "errors"),
    [
        (f"Whisman M, Beach S. {TITLE}. J Clin Psychol. 2012;68(5):526-35.", []),
        (f"Whisman M, Beach S. {TITLE}. J Clin Psychol. 2005;68(5):526-35.", [("year", "2005", "2012")]),
        (f"Miller A, Jones B. {TITLE}. J Clin Psychol. 2012;68(5):526-35.", [("author", "Miller", "Whisman")]),
        (
            f"Whisman, M., & Beach, S. (2012). {TITLE}. Journal of Clinical Psychology, 71(2), 99–107.",
            [("page", "99", "526-535"), ("volume", "71", "68")],
        ),
        (
            f'M. Whisman and S. Beach, "{TITLE}," J. Clin. Psychol., vol. 2003, pp. 526-535, 2012.',
            [("volume", "2003", "68")],
        ),
    ],
)
def test_what_a_citation_of_the_same_work_prints_wrongly_is_named(
    citation: str, errors: list[tuple[str, str, str]]
) -> None:
    agreement = compare_citation(citation, RECORD)
    assert agreement.same
    assert [(e.field, e.given, e.found) for e in agreement.errors] == errors


@pytest.mark.parametrize(
    ("year", "printed_in", "online_in", "wrong"),
    [
        (2013, "2013-12", "2013-09", False),
        (2014, "2014-02", "2013-09", False),  # print after the web edition
        (2015, "2015-01", "2013-09", False),
        (2013, "2014-02", "2013-09", False),
        (2012, "2014-02", "2013-09", True),
        (2015, "2014-02", "2013-09", True),
        (2012, "2013-12", None, True),
        (2014, "2013-12", None, True),
        (2014, None, "2013-09", False),  # when it was printed is not recorded
        (2012, None, "2013-09", True),
        (2014, None, None, False),
        (2006, "2013-12", "2006-01", True),  # an old article put on the web is not of that year
    ],
)
def test_a_year_one_off_is_an_error_where_the_work_was_not_published_in_it(
    year: int, printed_in: str | None, online_in: str | None, wrong: bool
) -> None:
    work = dataclasses.replace(LIPSITZ, published_print=printed_in, published_online=online_in)
    text = f"Lipsitz J, Markowitz J. {LIPSITZ.title}. Clin Psychol Rev. {year};33(8):1134-47."
    agreement = compare_citation(text, work)
    assert agreement.same
    assert [(e.field, e.given, e.found) for e in agreement.errors] == ([("year", str(year), "2013")] if wrong else [])
    chapter = dataclasses.replace(work, kind="book-chapter")
    assert not compare_citation(text, chapter).errors or abs(year - 2013) > 1


@pytest.mark.parametrize(
    ("pages", "recorded", "given"),
    [
        ("1134-47", "1134-1147", None),
        ("1134–1147", "1134-47", None),
        ("1134 - 1147", "1134-1147", None),
        ("1134-\n1147", "1134-1147", None),
        ("pp.1134-1147", "1134-1147", None),
        ("1134-1174", "1134-1147", "1134-1174"),
        ("1134–49", "1134-1147", "1134–49"),
        ("pp. 1134-1149", "1134-1147", "1134-1149"),
        ("1134", "1134-1147", None),
        ("1134-1147", "1134", None),
        ("S12-S20", "S12-S20", None),
        ("S12-20", "S12-S20", None),
        ("S12-S21", "S12-S20", "S12-S21"),
        ("240-7", "240-247.e2", None),
        ("123-9, 150", "123-129, 150", None),
        ("1134-1147", "e1134", None),
        ("1134-47, 1134-49", "1134-1147", None),  # one of them is right
    ],
)
def test_another_last_page_is_an_error_where_both_have_one(pages: str, recorded: str, given: str | None) -> None:
    work = dataclasses.replace(LIPSITZ, pages=recorded)
    agreement = compare_citation(f"Lipsitz J. {LIPSITZ.title}. Clin Psychol Rev. 2013;33(8):{pages}.", work)
    assert agreement.same
    assert [e for e in agreement.errors if e.found == recorded] == (
        [CitationError("page", given, recorded)] if given else []
    )


def test_a_range_in_the_title_is_no_page() -> None:
    work = dataclasses.replace(LIPSITZ, title="Suicide rates in Europe 1990-1995 and later", pages="12-15")
    assert not compare_citation(
        "Lipsitz J. Suicide rates in Europe 1990-1995 and later. J. 2013;33(8):12-15.", work
    ).errors


@pytest.mark.parametrize(
    "title",
    [
        "Nortriptyline for bereavement in old age",
        "Grief and mourning",
        "The skin as an endocrine target",
        "Sleep: a review",
    ],
)
def test_another_title_in_the_right_place_is_not_the_same_work(title: str) -> None:
    agreement = compare_citation(f"Whisman M, Beach S. {title}. J Clin Psychol. 2012;68(5):526-35.", RECORD)
    assert not agreement.same


def test_a_search_result_with_wrong_place_is_not_accepted_by_title_and_author_alone() -> None:
    abstract = f"Whisman M, Beach S. {TITLE}. Congress of Couple Therapy. 2010;3(2):12."
    assert compare_citation(abstract, RECORD).same  # where it states this record's DOI
    assert match_citation(abstract, [(RECORD, None)]).status == "ambiguous"


def test_a_structured_reference_is_compared_by_its_fields() -> None:
    fields = {
        "author": "Lipsitz",
        "year": "2013",
        "journal-title": "Clin. Psychol. Rev.",
        "volume": "33",
        "first-page": "1134",
    }
    assert compare_citation("", LIPSITZ, structured=fields).same
    assert compare_citation(
        "", LIPSITZ, structured={**fields, "first-page": "99", "volume": "7", "author": "Frank"}
    ).other


def test_a_short_title_needs_more_than_itself() -> None:
    short = dataclasses.replace(WHISMAN, title="Depression")
    assert not compare_citation("Frank E. Depression. Lancet. 1990;1(2):3-4.", short).same
    assert compare_citation("Whisman M. Depression. J Clin Psychol. 2012;68:526.", short).same


def test_groups_and_swapped_names_are_recognised() -> None:
    group = Work(
        Doi("10.1234/g"),
        title="Quality of care in eating disorders",
        year=2004,
        authors=(Author(name="The IPT Study Group"),),
    )
    swapped = dataclasses.replace(group, authors=(Author(family="F", given="Andarkhora"),))
    assert "author" in compare_citation("IPT Study Group. Quality of care in eating disorders. 2004.", group).support
    assert "author" in compare_citation("Andarkhora F. Quality of care in eating disorders. 2004.", swapped).support
    assert "author" in compare_citation("Miller A. Quality of care in eating disorders. 2004.", group).against
    nobody = dataclasses.replace(group, authors=(Author(orcid="0000-0002-1825-0097"),))
    assert compare_citation("Miller A. Quality of care in eating disorders. 2004.", nobody).support == ("title", "year")


def test_types_that_are_no_works_are_passed_over() -> None:
    for kind in NOT_WORKS:
        assert match_citation(PRINTED[0], [(dataclasses.replace(LIPSITZ, kind=kind), 100.0)]).status == "none"
    assert match_citation(PRINTED[0], []).sentence == "The search found no work like it."


def test_two_records_of_one_work_are_left_to_a_person() -> None:
    twin = dataclasses.replace(CUIJPERS, doi=Doi("10.1234/twin"))
    choice = match_citation(PRINTED[2], [(CUIJPERS, 80.0), (twin, 80.0)])
    assert (choice.status, choice.doi) == ("ambiguous", None)
    assert "10.1234/twin" in choice.sentence
    assert CUIJPERS.doi in choice.sentence


def test_a_preprint_or_copy_yields_to_the_printed_article() -> None:
    copy = Work(Doi("10.1234/copy"), title=CUIJPERS.title, year=2016, kind="posted-content", authors=CUIJPERS.authors)
    choice = match_citation(PRINTED[2], [(copy, 120.0), (CUIJPERS, 110.0)])
    assert (choice.doi, choice.runner_up) == (CUIJPERS.doi, copy.doi)
    assert match_citation(PRINTED[2], [(copy, 120.0)]).status == "ambiguous"


def test_a_low_rank_hides_nothing_that_is_certain_and_bothers_nobody_with_doubts() -> None:
    assert match_citation(PRINTED[2], [(MARKOWITZ, 50.0), (CUIJPERS, 1.0)]).doi == CUIJPERS.doi
    doubtful = Work(Doi("10.1234/d"), title=CUIJPERS.title)
    assert match_citation(PRINTED[2], [(doubtful, 50.0)]).status == "ambiguous"
    assert match_citation(PRINTED[2], [(MARKOWITZ, 50.0), (doubtful, 1.0)]).status == "none"


def test_every_known_work_agrees_with_its_citation_and_no_other_does() -> None:
    with gzip.open(SNAPSHOT, "rt", encoding="utf-8") as file:
        works = {work.doi: work for work in map(normalise, map(json.loads, file))}
    printed = {
        doi: f"{', '.join(filter(None, (a.family or a.name for a in work.authors)))}. {work.title}. {work.container or ''}."
        f" {work.year or ''};{work.volume or ''}({work.issue or ''}):{work.pages or ''}."
        for doi, work in works.items()
    }
    assert len(works) > 400
    assert sum(compare_citation(printed[doi], work).same for doi, work in works.items()) >= 0.99 * len(works)
    shifted = [*works][1:] + [*works][:1]
    false = [(a, b) for a, b in zip(works, shifted, strict=True) if compare_citation(printed[a], works[b]).same]
    titles = {doi: (work.title or "").casefold().replace("‐", "-") for doi, work in works.items()}
    assert [pair for pair in false if titles[pair[0]] != titles[pair[1]]] == []


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=80), st.sampled_from(WORKS))
def test_any_text_can_be_compared(citation: str, work: Work) -> None:
    agreement = compare_citation(citation, work)
    assert 0 <= agreement.score <= 1
    assert not (agreement.same and agreement.other)
    assert not set(agreement.support) & set(agreement.against)
    choice = match_citation(citation, [(candidate, None) for candidate in WORKS])
    assert (choice.doi is not None) == (choice.status == "matched")


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(WORKS) - 1), st.integers(0, 9**9))
def test_one_typing_error_in_the_title_changes_nothing(which: int, seed: int) -> None:
    citation, work = PRINTED[which], WORKS[which]
    title = (work.title or "").split(":")[0].casefold().split(" (")[0]
    start = citation.casefold().index(title)
    place = start + seed % len(title)
    damaged = citation[:place] + citation[place + 1 :]
    assert compare_citation(damaged, work).same
