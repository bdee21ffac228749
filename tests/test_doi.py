"""DOI strings: the readings that everybody agrees on, the ones decided here, and what holds for every string."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from evidence import doi
from evidence.data_model import Doi
from tests.data import table

WILEY = "10.1002/(sici)1097-4679(199805)54:3<395::aid-jclp12>3.0.co;2-c"
KATZ = "10.1016/0005-2744(70)90072-0"


def read(mode: str, raw: str) -> tuple[str, ...]:
    if mode.startswith("text"):
        return doi.find(raw)
    parsed = doi.parse(raw)
    return (parsed,) if parsed else ()


def test_core_cases_are_read_right_and_nothing_is_read_where_nothing_is(data: Path) -> None:
    rows = [row for row in table(data, "doi-cases.csv") if row["use"] == "core"]
    wrong = []
    for row in rows:
        expected = tuple(part for part in row["expected"].lower().split(" | ") if part)
        got = read(row["mode"], row["input"])
        assert expected or not got, f"{row['input']!r} holds no DOI but {got} was read"
        if got != expected:
            wrong.append((row["input"], got))
    assert len(rows) > 50
    assert len(wrong) <= 0.03 * len(rows), wrong


def test_real_dois_survive_fields_text_and_links(data: Path) -> None:
    (listed,) = data.glob("crossref-dois*.txt")
    for real in listed.read_text(encoding="utf-8").split():
        folded = real.lower()
        assert doi.parse(real) == folded
        assert doi.exact(real) == folded
        assert doi.find(f"See https://doi.org/{real}, and more.") == (folded,)
        assert doi.parse(doi.url(Doi(folded))) == folded


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("10.1002/cpp.1774", "10.1002/cpp.1774"),
        ("DOI: 10.1002/CPP.1774.", "10.1002/cpp.1774"),
        ("doi:https://doi.org/10.1002/cpp.1774", "10.1002/cpp.1774"),
        ("http://dx.doi.org/doi:10.1002/cpp.1774", "10.1002/cpp.1774"),
        ("https://doi.org/10.1002%252Fcpp.1774", "10.1002/cpp.1774"),
        ("https://doi.org/10.1002/cpp.1774?utm_source=x#abstract", "10.1002/cpp.1774"),
        ("https://onlinelibrary.wiley.com/doi/full/10.1002/cpp.1774", "10.1002/cpp.1774"),
        (
            "https://www.tandfonline.com/doi/pdf/10.1080/15289168.2024.2339523?needAccess=true",
            "10.1080/15289168.2024.2339523",
        ),
        ("https://link.springer.com/article/10.1007/s00520-016-3118-1.pdf", "10.1007/s00520-016-3118-1"),
        ("https://journals.plos.org/plosone/article?id=10.1371/journal.pone.0140771", "10.1371/journal.pone.0140771"),
        ("DOI Link: http://dx.doi.org/10.1002/cpp.1774", "10.1002/cpp.1774"),
        ("doi = {10.1002/cpp.1774},", "10.1002/cpp.1774"),
        ("１０．１００２／cpp.1774", "10.1002/cpp.1774"),
        ("10.1007/978-3-030-02671-4\\_7", "10.1007/978-3-030-02671-4_7"),
        ("10.1002/cpp.1774?via=ihub", "10.1002/cpp.1774"),
        ("info:doi/10.1002/cpp.1774", "10.1002/cpp.1774"),
        ("10.1002/cpp.1774 [doi]", "10.1002/cpp.1774"),
        ("10.1002/cpp.1774PMID:22344812", "10.1002/cpp.1774"),
        ("<10.1002/cpp.1774>", "10.1002/cpp.1774"),
        ("“10.1002/cpp.1774”", "10.1002/cpp.1774"),
        ("(10.1130/2013.2502(04))", "10.1130/2013.2502(04)"),
        (WILEY.upper(), WILEY),
        (WILEY.replace("<", "&lt;").replace(">", "&gt;"), WILEY),
        (doi.url(Doi(WILEY)), WILEY),
        ("10.1002/cpp.1774 10.1002/cpp.1774".replace(" ", ""), "10.1002/cpp.1774"),
        ("10.1002\u200b/cpp\u00ad.1774", "10.1002/cpp.1774"),
        ("10.1007/s00520\u2011016\u20103118-1", "10.1007/s00520-016-3118-1"),
        ("10.1037//0022-3514.49.1.233", "10.1037//0022-3514.49.1.233"),
        ("10.978.8898392/315", "10.978.8898392/315"),
        ("10.6002/ect.2020.häyry", "10.6002/ect.2020.häyry"),
    ],
)
def test_a_field_is_read(raw: str, expected: str) -> None:
    assert doi.parse(raw) == expected


@pytest.mark.parametrize(
    "raw",
    [
        "",
        None,
        "n/a",
        "10.1002",
        "10.1002/",
        "10.1002/.;,",
        "10.12/abc",
        "1017/S0033291719000928",
        "https://www.who.int/publications/10/abcd",
        "see 10.1002/cpp.1774 for details",
        "10.1002/cpp.1774 10.1002/jclp.21857",
        "10.1002/cpp .1774",
        "https://doi.org/10.1002/cpp%20.1774",
        "10.1007/978-{3}-030-02671-4_7",
        "[10.1002/cpp.1774](https://doi.org/10.1002/cpp.1774)",
        "01/10/2021",
        "10/2021",
        "https://doi.org/faq",
    ],
)
def test_a_field_that_is_not_one_doi_is_none(raw: str | None) -> None:
    assert doi.parse(raw) is None


@pytest.mark.parametrize(
    ("raw", "expected"),
    [("10/gf4gqc", "10/gf4gqc"), ("https://doi.org/10/GF4GQC", "10/gf4gqc"), ("doi.org/d8dn", "10/d8dn")],
)
def test_short_dois_are_read_where_they_cannot_be_dates(raw: str, expected: str) -> None:
    parsed = doi.parse(raw)
    assert parsed == expected
    assert doi.is_short(parsed)
    assert not doi.is_short(Doi("10.1002/cpp.1774"))


@pytest.mark.parametrize(
    ("raw", "best"),
    [
        ("1017/S0033291719000928", "10.1017/s0033291719000928"),
        ("doi:1017/S0033291719000928", "10.1017/s0033291719000928"),
        ("101017/S0033291719000928", "10.1017/s0033291719000928"),
        ("10,1017/S0033291719000928", "10.1017/s0033291719000928"),
        ("lO.1017/S0033291719000928", "10.1017/s0033291719000928"),
        ("10.1016/j.cpr.\n2013.09.002", "10.1016/j.cpr.2013.09.002"),
        ("10.1126/science. 1109070", "10.1126/science.1109070"),
        ("10.1016/ j.cpr.2013.09.002", "10.1016/j.cpr.2013.09.002"),
        ("https : / / doi.org / 10 .1016 /j.cpr.20 13.09.002", "10.1016/j.cpr.2013.09.002"),
        ("see 10.1016/j.cpr.2013.09.002 for details", "10.1016/j.cpr.2013.09.002"),
        ("10.1016/j.cpr.2013.09.002 (accessed 3 May 2020)", "10.1016/j.cpr.2013.09.002"),
        ('<a href="https://doi.org/10.1016/j.cpr.2013.09.002">link</a>', "10.1016/j.cpr.2013.09.002"),
    ],
)
def test_a_faulty_string_is_repaired(raw: str, best: str) -> None:
    assert doi.parse(raw) is None
    assert doi.candidates(raw)[0] == best


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        ("10.1037//0022-006X.61.2.296", ("10.1037//0022-006x.61.2.296", "10.1037/0022-006x.61.2.296")),
        ("10.1037/0022-3514.49.1.233", ("10.1037/0022-3514.49.1.233", "10.1037//0022-3514.49.1.233")),
        ("10.1016//j.cpr.2013.09.002", ("10.1016//j.cpr.2013.09.002", "10.1016/j.cpr.2013.09.002")),
        ("10.1026//0012-1924.47.3.111", ("10.1026//0012-1924.47.3.111",)),
        ("10.1007/s00520–016–3118–1", ("10.1007/s00520–016–3118–1", "10.1007/s00520-016-3118-1")),
        ("10.1002/cpp.1774/full", ("10.1002/cpp.1774/full", "10.1002/cpp.1774")),
        ("10.1000/%E0%A4%A", ("10.1000/%e0%a4%a",)),
        ("10.1007/978-{3}-030-02671-4_7", ("10.1007/978-", "10.1007/978-3-030-02671-4_7")),
        ("http://doi.org/10.1006/rwei.1999%20.0001", ("10.1006/rwei.1999", "10.1006/rwei.1999 .0001")),
    ],
)
def test_exact_readings_come_before_repairs(raw: str, wanted: tuple[str, ...]) -> None:
    assert doi.candidates(raw) == wanted


@pytest.mark.parametrize(
    "raw", ["", "none", "2020/01/02", "1990/2000", "12345/67890", "Psychol Med 50(6)", "https://isipt.org"]
)
def test_no_doi_is_made_up(raw: str) -> None:
    assert doi.candidates(raw) == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "(doi:10.1002/cpp.1774), 10.1002/CPP.1774; see 10.1002/jclp.21857.",
            ("10.1002/cpp.1774", "10.1002/jclp.21857"),
        ),
        (f"Smith ({WILEY}).", (WILEY,)),
        ("Lancet. doi:10.1016/S0140-6736(03)14065-2.", ("10.1016/s0140-6736(03)14065-2",)),
        ("<p>https://doi.org/10.1002/cpp.1774</p>", ("10.1002/cpp.1774",)),
        ("doi:10.1007/s10549-\n018-4743-9. Next", ("10.1007/s10549-018-4743-9",)),
        ("doi: 10.1016/\nj.cpr.2013.09.002\n12. Jones", ("10.1016/j.cpr.2013.09.002",)),
        ("https://doi.org/10.1016/j.cpr.\n2013.09.002 and", ("10.1016/j.cpr.2013.09.002",)),
        ("doi:10.1002/cpp.1774.\n12. Smith J. 2013", ("10.1002/cpp.1774",)),
        ("doi:10.1002/cpp.1774.\n2013;19(2):99", ("10.1002/cpp.1774",)),
        ("doi: 10.1002/14651858.\nCD003498.pub2.", ("10.1002/14651858.cd003498.pub2",)),
        ("10.1002/cpp.1774—a review", ("10.1002/cpp.1774",)),
        ("10.1002/cpp.1774.Available online", ("10.1002/cpp.1774",)),
        ("doi:10.1002/cpp.1774。参考", ("10.1002/cpp.1774",)),
        ("10.1002/cpp.1774;10.1002/jclp.21857", ("10.1002/cpp.1774", "10.1002/jclp.21857")),
        ("at https://onlinelibrary.wiley.com/doi/10.1002/cpp.1774/full.", ("10.1002/cpp.1774",)),
        ("10.1002/cpp.1774.PMID: 22344812", ("10.1002/cpp.1774",)),
        ("https://x.org/doi/10.1063/1.881498?token=abc&x=1", ("10.1063/1.881498",)),
        ("short: https://doi.org/gf4gqc1 and doi:10/d8dn", ("10/gf4gqc1", "10/d8dn")),
        ("10.1234/review/10.1002/cpp.1774", ("10.1234/review/10.1002/cpp.1774",)),
        ("doi>10.1002/cpp.1774>next", ("10.1002/cpp.1774",)),
        ("It was 10.1234 of 110.1234/abc", ()),
        ("version 2.10.1234/abc", ()),
        ("ratio 10/12, on 10/10/2020", ()),
    ],
)
def test_dois_in_running_text(text: str, expected: tuple[str, ...]) -> None:
    assert doi.find(text) == expected


@pytest.mark.parametrize(
    ("name", "link"),
    [
        ("10.1002/cpp.1774", "https://doi.org/10.1002/cpp.1774"),
        (KATZ, f"https://doi.org/{KATZ}"),
        ("10.5555/a#b?c%d", "https://doi.org/10.5555/a%23b%3Fc%25d"),
        ("10.5555/a/../b", "https://doi.org/10.5555/a%2F..%2Fb"),
        ("10.5555/ab<c>d e", "https://doi.org/10.5555/ab%3Cc%3Ed%20e"),
        ("10.6002/ect.2020.häyry", "https://doi.org/10.6002/ect.2020.h%C3%A4yry"),
    ],
)
def test_links_hold_the_whole_doi(name: str, link: str) -> None:
    assert doi.url(Doi(name)) == link


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ("10.5488/CMP.", "10.5488/cmp."),
        (" 10.24911/jbcgenetics/ ", "10.24911/jbcgenetics/"),
        ("10.5555/a b", "10.5555/a b"),
    ],
)
def test_a_registered_doi_keeps_its_last_character(stated: str, expected: str) -> None:
    assert doi.exact(stated) == expected
    assert doi.exact("https://doi.org/10.1002/cpp.1774") is None


@pytest.mark.parametrize(
    ("raw", "canonical"),
    [
        ("10.1000/ABC", "10.1000/abc"),
        ("10.1000/ÅBC.1", "10.1000/Åbc.1"),
        ("10.1000/ΑΒΓ-ЖБ", "10.1000/ΑΒΓ-ЖБ"),
    ],
)
def test_case_folds_in_ascii_only_wherever_a_doi_is_made(raw: str, canonical: str) -> None:
    assert doi.lower(raw) == canonical == doi.lower(canonical)
    assert doi.exact(raw) == doi.literal(f"https://doi.org/{raw}") == canonical
    assert doi.parse(raw) == doi.find(f"see {raw} there")[0] == doi.candidates(raw)[0] == canonical
    (by_sqlite,) = sqlite3.connect(":memory:").execute("select lower(?)", (raw,)).fetchone()
    assert by_sqlite == canonical
    assert doi.lower("10.1000/\u212aELVIN") == "10.1000/\u212aelvin"


def test_a_server_may_fold_what_we_do_not() -> None:
    assert doi.caseless("10.1000/ÅBC.1") == doi.caseless("10.1000/åbc.1")
    assert doi.caseless("10.1000/ΣΑΣ") == doi.caseless("10.1000/σας")
    assert doi.caseless("10.1000/straße") != doi.caseless("10.1000/strasse")


@pytest.mark.parametrize(
    ("stated", "literal"),
    [
        ("10.5555/a b", "10.5555/a b"),
        (" https://doi.org/10.5555/X%7EY ", "10.5555/x%7ey"),
        ("doi:10.5555/{a}", "10.5555/{a}"),
        ("DOI: https://dx.doi.org/10.5555/a_b.", "10.5555/a_b."),
        ("10.5555/a/", "10.5555/a/"),
        ("1017/S0033291719000928", None),
        ("Smith 2010, 10.5555/a", None),
        ("", None),
    ],
)
def test_what_a_field_states_letter_by_letter(stated: str, literal: str | None) -> None:
    assert doi.literal(stated) == literal


def test_what_a_text_states_letter_by_letter() -> None:
    text = "See https://doi.org/10.5555/x%7ey, (10.5555/a|b) and doi:10.5555/{a}."
    assert doi.literals(text) == ("10.5555/x%7ey", "10.5555/a|b", "10.5555/{a}")
    assert doi.literals("nothing here") == ()
    assert doi.literals("10.5555/" * 20_000) == doi.literals("10.5555/" + "a" * 3000) == ()
    assert doi.literal("10.5555/" + "a" * 3000) is None


SUFFIX = st.text(st.sampled_from("abcXYZ0189.-_()/;:<>[]%#?&=+,'\" äß–\n"), min_size=1, max_size=24)


@settings(max_examples=300, deadline=None)
@given(SUFFIX)
@example("a%2541")
@example("(a))")
@example("a/../b")
@example("10.1000/a")
@example("?0= [")
def test_parsing_and_linking_are_stable(suffix: str) -> None:
    parsed = doi.parse(f"10.1000/{suffix}")
    if parsed is not None:
        assert doi.parse(parsed) == parsed
        assert doi.parse(doi.url(parsed)) == parsed
        assert parsed == parsed.lower()
        assert not any(char.isspace() for char in parsed)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_any_text_can_be_asked(text: str) -> None:
    assert len(set(doi.find(text))) == len(doi.find(text))
    assert len(doi.candidates(text)) <= doi.MAX_CANDIDATES
    first = doi.parse(text)
    assert first is None or doi.candidates(text)[0] == first


FIELDS = st.lists(
    st.one_of(
        st.from_regex(r"10\.[0-9]{4,9}/[A-Za-z0-9._\-/()]{1,12}", fullmatch=True),
        st.text("10.23/()-aPmMcCiIdD \n<;\u212a", max_size=20),
        st.sampled_from(
            ["10.1/pmid", "10.1234/PMCID1", "10.1234/a10.1", "https://doi.org/10.1234/a", "10.1234/s(12)x", ""]
        ),
    ),
    max_size=8,
)


@settings(deadline=None)
@given(FIELDS)
@example(["10.1234/a", "10.1234/b\n10.1234/c", "10.1234/d;"])
@example(["10.1234/A", "10.1234/b.", "10.1234/PMID12", "10.1234/c"])
def test_many_simple_fields_are_read_as_each_alone(fields: list[str]) -> None:
    found = doi.simple_each(fields)
    assert found == [doi.simple(field) for field in fields]
    assert all(simple in (None, doi.parse(field)) for simple, field in zip(found, fields, strict=True))
