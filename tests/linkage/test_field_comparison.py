"""People, containers, pages, volumes, issues and DOIs: what is one thing written two ways, and what is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence.linkage import field_comparison
from evidence.linkage.field_comparison import Pages


@pytest.mark.parametrize(
    "raw",
    [
        "Weissman, Myrna M.; Markowitz, John C.; Klerman, Gerald L.",
        "Weissman, M. M. and Markowitz, J. C. and Klerman, G. L.",
        "Weissman MM, Markowitz JC, Klerman GL",
        "M. M. Weissman; J. C. Markowitz; G. L. Klerman",
        "Weissman M. M.Markowitz J. C.Klerman G. L.",
        "Weissman Myrna M. and Markowitz John C. and Klerman Gerald L.",
        "WEISSMAN, MYRNA M.; MARKOWITZ, JOHN C.; KLERMAN, GERALD L.",
        "Weissman, M.; Markowitz, J.; Klerman, G.; et al.",
        "Weissman, M.\nMarkowitz, J.\nKlerman, G.",
        "Weisman, M. M.; Markowitz, J. C.; Klerman, G. L.",
    ],
)
def test_one_list_of_authors_in_many_forms(raw: str) -> None:
    people = field_comparison.read_people("Weissman, Myrna M.; Markowitz, John C.; Klerman, Gerald L.")
    assert len(field_comparison.read_people(raw)) == 3
    assert field_comparison.compare_people(people, field_comparison.read_people(raw)) == "same"
    assert field_comparison.compare_people(field_comparison.read_people(raw), people) == "same"


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("Wu, Z. and Liang, C.", "Wu, Zhenhua and Liang, Chen", "same"),
        ("Xu, T. and Gao, H.", "T. Xu; H. Gao", "same"),
        ("O'Donnell, C. P.", "O’Donnell CP", "same"),
        ("Hoffart, Asle; Abrahamsen, Gun; Bonsaksen, Tore", "Hoffart, A.; Abrahamsen, G.", "same"),
        ("Stahl, Bernd Carsten and Elbeltagi, Ibrahim", "Stahl, Bernd-Carsten", "some"),
        ("Hall, Laura L", "Hall, Gillian", "some"),
        ("Kneese, T.", "Tamara, K.", "some"),
        ("Lipsitz, Joshua D.", "Whisman, Mark A.", "other"),
        ("Lipsitz, Joshua D.", "UNKNOWN", "unknown"),
        ("", "", "unknown"),
    ],
)
def test_people(first: str, second: str, expected: field_comparison.PeopleGrade) -> None:
    assert (
        field_comparison.compare_people(field_comparison.read_people(first), field_comparison.read_people(second))
        == expected
    )


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("Journal of Clinical Psychology", "J Clin Psychol", "same"),
        ("The American Journal of Psychiatry", "Am J Psychiatry", "same"),
        ("Proceedings of the National Academy of Sciences", "Proc. Natl. Acad. Sci.", "same"),
        ("BMJ (Clinical research ed.)", "BMJ", "same"),
        ("PLoS ONE [Electronic Resource]", "PLOS ONE", "same"),
        ("Chest : the official journal of the American College of Chest Physicians", "Chest", "same"),
        (
            "Gan to Kagaku Ryoho [Japanese Journal of Cancer & Chemotherapy]",
            "Japanese Journal of Cancer and Chemotherapy",
            "same",
        ),
        ("Americas Conference on Information Systems", "Amcis 2017 Proceedings", "same"),
        ("The Journal of trauma", "Journal of Trauma-Injury Infection & Critical Care", "near"),
        ("53rd ASH Annual Meeting", "54th ASH Annual Meeting", "other"),
        ("Proceedings of the 2016 CHI Conference", "Proceedings of the 2017 CHI Conference", "other"),
        ("Blood", "Haematologica", "other"),
        ("Journal of Psychiatry", "Journal of Psychology", "other"),
        ("Blood", None, "unknown"),
    ],
)
def test_containers(first: str, second: str | None, expected: field_comparison.Grade) -> None:
    one, two = field_comparison.read_container(first), field_comparison.read_container(second)
    assert field_comparison.compare_containers(one, two) == expected
    assert field_comparison.compare_containers(two, one) == expected


def test_a_shared_issn_outweighs_the_names() -> None:
    one = field_comparison.read_container("Jinko Chino Gakkai Ronbunshi", "1346-0714 (Print)\n1346-0714")
    two = field_comparison.read_container(
        "Transactions of the Japanese Society for Artificial Intelligence", "13460714"
    )
    assert field_comparison.compare_containers(one, two) == "same"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("1134-47", Pages("", 1134, 1147)),
        ("1134--1147", Pages("", 1134, 1147)),
        ("pp. 9–15", Pages("", 9, 15)),
        ("S534-S535", Pages("s", 534, 535)),
        ("e12724", Pages("e", 12724, None)),
        ("CD002273", Pages("cd", 2273, None)),
        ("viii108", Pages("viii", 108, None)),
        ("0123-0129", Pages("", 123, 129)),
        ("616-616", Pages("", 616, None)),
        ("100A-101A", Pages("", 100, 101)),
        ("Article No. 358", Pages("", 358, None)),
        ("1" * 5000, None),
        ("t-8", None),
        ("Suppl-6", None),
        ("215 p", None),
        ("01-Jun", None),
        ("no pagination", None),
        (None, None),
    ],
)
def test_pages(raw: str | None, expected: Pages | None) -> None:
    assert field_comparison.read_pages(raw) == expected


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("1134-47", "1134", "same"),
        ("S534", "534", "same"),
        ("969-972", "a1754", "unknown"),
        ("488", "487-488", "overlap"),
        ("2297-2108", "2097-2108", "overlap"),
        ("246-250", "250-254", "overlap"),
        ("125-128", "2-8", "other"),
        ("e3", "e8-e9", "other"),
        ("12", "n.p.", "unknown"),
    ],
)
def test_pages_compared(first: str, second: str, expected: field_comparison.PagesGrade) -> None:
    assert (
        field_comparison.compare_pages(field_comparison.read_pages(first), field_comparison.read_pages(second))
        == expected
    )
    assert (
        field_comparison.compare_pages(field_comparison.read_pages(second), field_comparison.read_pages(first))
        == expected
    )


def test_numbers_and_issues() -> None:
    assert field_comparison.read_number("4 (1) (no pagination)") == field_comparison.read_number("04") == "4"
    assert field_comparison.read_number("Suppl. 1") == "s1"
    assert field_comparison.read_number("(Jul)") is None
    for first, second, expected in (
        ("3", "3", "same"),
        ("Pt 3", "3", "same"),
        ("May", "5", "same"),
        ("May", "2", "unknown"),
        ("3", "4", "other"),
        ("Suppl 1", "4 SUPPL. 1", "unknown"),
        ("Suppl 1", "Suppl 2", "other"),
        ("1907", "1908", "unknown"),
        (None, "4", "unknown"),
    ):
        assert (
            field_comparison.compare_issues(field_comparison.read_issue(first), field_comparison.read_issue(second))
            == expected
        ), (first, second)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("10.1016/J.CPR.2013.09.002", "https://doi.org/10.1016/j.cpr.2013.09.002", "same"),
        ("10.1037//0022-006X.61.2.296", "10.1037/0022-006x.61.2.296", "same"),
        ("10.1002/14651858.CD002273.pub2", "10.1002/14651858.CD002273.pub3", "version"),
        ("10.1002/14651858.CD002273.pub2", "10.1002/14651858.CD002273", "other"),
        ("10.31234/osf.io/abcde_v1", "10.31234/osf.io/abcde", "version"),
        ("10.6084/m9.figshare.12345.v1", "10.6084/m9.figshare.12345.v2", "version"),
        ("10.12688/f1000research.7431.1", "10.12688/f1000research.7431.2", "version"),
        ("10.12688/f1000research.7431.1", "10.12688/f1000research.7432.1", "other"),
        ("10.1176/ajp.148.8.1", "10.1176/ajp.148.8.2", "other"),
        ("10.1176/ajp.148.8.1", "10.1176/ajp.148.8.10", "other"),
        ("10.1176/ajp.148.8.1", "none", "unknown"),
    ],
)
def test_dois(first: str, second: str, expected: field_comparison.DoiGrade) -> None:
    assert (
        field_comparison.compare_dois(field_comparison.read_doi(first), field_comparison.read_doi(second)) == expected
    )
    assert (
        field_comparison.compare_dois(field_comparison.read_doi(second), field_comparison.read_doi(first)) == expected
    )


def test_the_version_at_the_end() -> None:
    assert field_comparison.doi_version("10.1002/14651858.cd002273.pub3") == 3
    assert field_comparison.doi_version("10.12688/f1000research.7431.2") == 2
    assert field_comparison.doi_version("10.1176/ajp.148.8.997") == 0
    assert field_comparison.doi_version(None) == 0


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=40), st.text(max_size=40))
def test_any_text_is_read_and_compared_both_ways(first: str, second: str) -> None:
    fields: tuple[tuple[Callable[[str], Any], Callable[[Any, Any], str]], ...] = (
        (field_comparison.read_people, field_comparison.compare_people),
        (field_comparison.read_container, field_comparison.compare_containers),
        (field_comparison.read_pages, field_comparison.compare_pages),
        (field_comparison.read_number, field_comparison.compare_numbers),
        (field_comparison.read_issue, field_comparison.compare_issues),
        (field_comparison.read_doi, field_comparison.compare_dois),
    )
    for read, compare in fields:
        one, two = read(first), read(second)
        assert compare(one, two) == compare(two, one)
        assert compare(one, one) in {"same", "unknown"}
