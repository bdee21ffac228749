"""The splitter: each layout that people paste, nothing lost, and the level that was measured."""

from __future__ import annotations

import json
import random
import textwrap
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence.references.split_references import GivenText, _layout, _Line, divide, split
from tests.module_from_file import script

HERE = Path(__file__).parent
ONE = "Weissman MM, Markowitz JC. Interpersonal psychotherapy: past, present, and future. Clin Psychol. 2012;19(2):99-105."
TWO = "van Bentum, J. S., & Huibers, M. J. H. (2021). Interpersonal psychotherapy. Depress Anxiety, 38(9), 940–949."
BOOK = "World Health Organization. Group interpersonal therapy for depression. Geneva: World Health Organization; 2016."
THREE = (ONE, TWO, BOOK)


def texts(pasted: str) -> list[str]:
    return [reference.text for reference in split(pasted)]


@pytest.mark.parametrize("separator", ["\n", "\n\n", "\r\n", "\r", " ", "\n \t\n", "\u2028"])
def test_references_are_found_however_they_are_separated(separator: str) -> None:
    assert texts(separator.join(THREE)) == list(THREE)


@pytest.mark.parametrize("marker", ["[{}] ", "[{}]", "({}) ", "{}. ", "{}.", "{}.\t", "{}) ", "{} ", "{}.\n", "[{}]\n"])
@pytest.mark.parametrize("first", [1, 98])
def test_a_marker_is_removed_and_its_number_kept(marker: str, first: int) -> None:
    pasted = "\n".join(marker.format(number) + text for number, text in enumerate(THREE, first))
    assert split(pasted) == tuple(GivenText(text, number) for number, text in enumerate(THREE, first))


def test_superscript_digits_are_markers() -> None:
    assert split(f"¹{ONE}\n²{TWO}\n³ {BOOK}") == tuple(map(GivenText, THREE, (1, 2, 3)))


@pytest.mark.parametrize("marker", ["[{}] ", "({}) ", "{}. "])
def test_markers_in_one_paragraph_are_found(marker: str) -> None:
    pasted = " ".join(marker.format(number) + text for number, text in enumerate(THREE, 1))
    assert split(pasted) == tuple(GivenText(text, number) for number, text in enumerate(THREE, 1))


@pytest.mark.parametrize("bullet", "•-–*·▪\uf0b7")
def test_bullets_are_removed(bullet: str) -> None:
    assert split("\n".join(f"{bullet} {text}" for text in THREE)) == tuple(GivenText(text, None) for text in THREE)


def test_the_number_of_a_single_reference_is_read_and_a_year_is_none() -> None:
    assert split(f"[12] {ONE}") == (GivenText(ONE, 12),)
    assert split("1984. Orwell, G. London: Secker & Warburg.")[0].number is None


def test_a_hanging_indent_and_an_indented_first_line_are_the_same_to_it() -> None:
    halves = [(text[:at], text[at + 1 :]) for text in THREE * 2 for at in (text.index(" ", 50),)]
    for first, rest in (("", "    "), ("    ", ""), ("", "\t"), ("\u00a0\u00a0\u00a0", "")):
        assert texts("\n".join(f"{first}{one}\n{rest}{two}" for one, two in halves)) == list(THREE * 2)


def test_a_hyphenation_is_undone_and_a_compound_kept() -> None:
    assert texts("1. Smith J. A trial of psycho-\ntherapy. Lancet. 2010;1:13-\n7.") == [
        "Smith J. A trial of psychotherapy. Lancet. 2010;1:13-7."
    ]
    assert "evidence-based" in texts("Smith J. An evidence-\nbased review. Lancet. 2010;1:1-7.")[0]
    assert "Swaab-Barneveld" in texts("Smith J, Swaab-\nBarneveld H. A review. Lancet. 2010;1:1-7.")[0]
    assert "co-morbid" in texts("Smith J. The co-morbid and the co-\nmorbid. Lancet. 2010;1:1-7.")[0], (
        "the text itself shows the hyphen"
    )
    assert texts("Smith J. Psycho\u00adtherapy and thera\u00ad\npists. Lancet. 2010.") == [
        "Smith J. Psychotherapy and therapists. Lancet. 2010."
    ]


@pytest.mark.parametrize(
    ("broken", "whole"),
    [
        ("https://doi.org/10.1016/\nj.jad.2010.05.001", "https://doi.org/10.1016/j.jad.2010.05.001"),
        ("doi:10.1016/j.jad.2010.\n05.001", "doi:10.1016/j.jad.2010.05.001"),
        ("https://\ndoi.org/10.1002/cpp.1774", "https://doi.org/10.1002/cpp.1774"),
        ("https://doi.org/10.1007/\nBF02289263", "https://doi.org/10.1007/BF02289263"),
        ("https://www.who.int/\npublications/i/item", "https://www.who.int/publications/i/item"),
        ("https://www.who.int/\nAccessed 3 May 2020.", "https://www.who.int/ Accessed 3 May 2020."),
        ("https://doi.org/10.1097/01.pra.0000462604.79606.\n4e", "https://doi.org/10.1097/01.pra.0000462604.79606.4e"),
        (
            "doi:10.1002/1097-0274(200102)39:2<218:\n:aid-ajim1009>3.0.co;2-4",
            "doi:10.1002/1097-0274(200102)39:2<218::aid-ajim1009>3.0.co;2-4",
        ),
        ("doi:10.1111/j.1365-2524.\n1997.tb00123.x", "doi:10.1111/j.1365-2524.1997.tb00123.x"),
        ("https://doi.org/10.32614/cran.package.\nrfishbase.", "https://doi.org/10.32614/cran.package.rfishbase."),
    ],
)
def test_a_doi_or_address_that_a_line_break_cut_is_joined(broken: str, whole: str) -> None:
    lead = "Smith J. A review of psychotherapy. Lancet. 2010;1:1-7. "
    assert texts(f"{lead}{broken}\n{BOOK}") == [lead + whole, BOOK]


def test_headings_and_what_follows_the_list_are_left_out() -> None:
    division = divide(
        f"7. References\n\n1. {ONE}\n2. {TWO}\n\nFigure legends\nFigure 1. Flow of participants.\nFigure 2. Change over time."
    )
    assert [reference.text for reference in division.references] == [ONE, TWO]
    assert division.left_out == (
        "7. References",
        "Figure legends",
        "Figure 1. Flow of participants.",
        "Figure 2. Change over time.",
    )


@pytest.mark.parametrize(
    "heading", ["Literatur", "Bibliography:", "R E F E R E N C E S", "Список литературы", "参考文献", "Références"]
)
def test_headings_of_other_languages_are_known(heading: str) -> None:
    assert divide(f"{heading}\n{ONE}\n{TWO}").left_out == (heading,)


@pytest.mark.parametrize("heading", ["References", "References:", "Bibliography:"])
def test_a_heading_in_the_line_of_the_first_reference_is_left_out(heading: str) -> None:
    division = divide(f"{heading} {ONE} {TWO}")
    assert ([reference.text for reference in division.references], division.left_out) == ([ONE, TWO], (heading,))


def test_wide_gaps_of_justified_text_are_no_page_headers() -> None:
    justified = "\n".join(
        text.replace(" ", "   ", 9)[:70] + "\n" + text.replace(" ", "   ", 9)[70:] for text in THREE * 3
    )
    assert divide(justified).left_out == ()
    assert (
        divide(f"{ONE}\nSmith J. A review of psychotherapy. Am   J   Psychiatry   168\n(6):581-92.\n{BOOK}").left_out
        == ()
    )


def test_references_after_another_heading_are_kept() -> None:
    assert texts(f"References\n{ONE}\n{TWO}\nAppendix\n{BOOK}\n{ONE}\n{TWO}")[-2:] == [ONE, TWO]


def test_page_headers_between_are_left_out() -> None:
    lines = [line for text in THREE * 8 for line in (text[:60], text[60:])]
    for page, at in ((12, 36), (11, 12)):
        lines[at:at] = [f"Journal of Affective Disorders 123 (2020) 45–67   {page}"]
    division = divide("\n".join(lines))
    assert [len(division.references), len(division.left_out)] == [24, 2]
    assert all("45–67" not in reference.text for reference in division.references)


def test_a_reference_given_twice_is_no_page_header() -> None:
    assert len(texts("\n\n".join([*THREE * 5, ONE, ONE]))) == 17


def test_a_number_that_belongs_to_a_reference_is_no_page_number() -> None:
    assert texts(f"{ONE}\nSmith J. A review of psychotherapy. Lancet. 2010;1:13-\n17\n{BOOK}")[1].endswith(
        "2010;1:13-17"
    )


def test_dashes_for_the_same_author_begin_a_reference() -> None:
    dash = "———. 2010. Another book on psychotherapy. London: Sage."
    assert texts(f"{ONE}\n{dash}\n{BOOK}") == [ONE, dash, BOOK]


def test_other_scripts() -> None:
    cyrillic = (
        "Иванов И. И., Петров А. А. Межличностная психотерапия депрессии. Вопросы психологии. 2010. № 3. С. 45–52."
    )
    chinese = "王伟, 李明. 人际心理治疗对抑郁症的疗效[J]. 中国心理卫生杂志, 2015, 29(3): 161-166."
    assert texts(f"{cyrillic}\n{chinese}\n{ONE}") == [cyrillic, chinese, ONE]
    assert texts(f"[1] {chinese[:20]}\n{chinese[20:]}\n[2] {ONE}") == [chinese, ONE]


def test_references_without_a_year_are_kept_whole_between_others() -> None:
    odd = (
        "Klerman GL. Interpersonal psychotherapy of depression (in press).",
        "Depression. (n.d.). https://www.who.int/depression",
    )
    assert texts("\n".join((ONE, odd[0], TWO, odd[1], BOOK))) == [ONE, odd[0], TWO, odd[1], BOOK]


def test_nothing_gives_nothing() -> None:
    assert split("") == split(" \n\t\r\n\u00a0") == ()


WITHOUT_A_CLEAR_END = (
    ("Smith RJ (1994) Ecology. Chapman & Hall, London", "Rowe F, Silva JS Jr (2009) A new species. Int J Primatol 30:533-551"),
    ("Smith R (2015) Charts. In: Proc. of the conference. Rome", "Roberts, B. W., & Viech, W. (2006). Change. Bull, 132, 1-25."),
    ("Smith, D. 2009. Lipids. Annu. Rev. Biochem. 78:827-6. doi: .biochem.78.08", "Eric D (2008) Data. Proteomics 8:2776-7"),
    ("Huang, J. 2010. Cells. Nature. 464:932-936. doi:10 .1038/nature08944", "Stone JW, Sisco PN (2007) Rods. Nano Lett 7:116-9"),
    ("O'Brien MJ (2007) Polyps. Gastroenterol Clin 36(4):947-968, viii", "Leyk D, Erley O (2007) Changes. Int J Med 28:513-517"),
)  # fmt: skip


@pytest.mark.parametrize(("end", "beginning"), WITHOUT_A_CLEAR_END)
def test_authors_and_their_year_begin_a_reference_whatever_stands_before(end: str, beginning: str) -> None:
    pasted = " ".join((ONE, end, beginning, TWO))
    assert texts(pasted) == [ONE, end, beginning, TWO]


@pytest.mark.parametrize(
    "one",
    [
        "Freeman A (2013) Using the Tabs Widget. In: Pro jQuery 2.0. Apress, Berkeley, CA, pp 527–554",
        "Lee MH, Kim S (2019) Brain activity in Cluster N of the hippocampus. Neurosci Lett 30(4 Suppl):S3-S47",
    ],
)
def test_what_only_looks_like_an_end_divides_nothing(one: str) -> None:
    assert texts(f"{ONE} {one} {TWO}") == [ONE, one, TWO]


def test_the_last_number_of_a_doi_alone_in_a_line_is_no_marker() -> None:
    lead = "Angelcos, N. La Dignidad De Los Pobladores. EURE 2023, 49 (148). https://doi.org/10.7764/eure.49.148."
    given = split(f"{lead}\n14.\n{TWO}")
    assert [(each.text, each.number) for each in given] == [(f"{lead}14.", None), (TWO, None)]


def test_a_header_that_cuts_references_in_two_is_left_out_at_every_page() -> None:
    lines = [line for text in THREE * 6 for line in textwrap.wrap(text, 60)]
    for at in (31, 15):
        lines[at:at] = [f"Page {at} of 40", "Depression in primary care"]
    division = divide("\n".join(lines))
    assert [r.text for r in division.references] == list(THREE * 6)
    assert division.left_out == (
        "Page 15 of 40",
        "Depression in primary care",
        "Page 31 of 40",
        "Depression in primary care",
    )


def test_the_number_of_a_page_that_cuts_a_reference_in_two_is_left_out() -> None:
    lines = [line for text in THREE for line in textwrap.wrap(text, 60)]
    at = next(number for number, line in enumerate(lines) if line[-1].islower())
    division = divide("\n".join([*lines[: at + 1], "236", *lines[at + 1 :], "237"]))
    assert ([r.text for r in division.references], division.left_out) == (list(THREE), ("236", "237"))


def test_a_line_of_a_reference_beside_a_page_number_is_kept() -> None:
    lead = "Smith J. A review of the ecology of marine fishes and of what is known about them"
    for line in ("Wiley (2008)", "49:334-345", "in the sea, and of their migration"):
        pasted = "\n".join([*textwrap.wrap(ONE, 50), *textwrap.wrap(lead, 50), line, "- 12 -", *textwrap.wrap(TWO, 50)])
        assert [r.text for r in divide(pasted).references] == [ONE, f"{lead} {line}", TWO]


# What may be lost -----------------------------------------------------------------------------------------------------

PARTS = (
    *THREE, "\n", "\n\n", " ", "\t", "    ", "[1] ", "[2] ", "1. ", "2.", "(3) ", "4) ", "5 ", "12", "2010.", "(2012)",
    "-\n", "\f", "References", "Figure 1. Flow.", "Page 3 of 9", "https://doi.org/10.1016/\n", "j.jad.2010.05.001", "• ", "– ",
    "———. ", "Smith, J.", "\u00ad", "\u200b", "\ufeff", "\x1c", "[Smi10] ", "Journal of X   7", "0079.", "psycho-", "therapy",
    ",", ".", '"',
)  # fmt: skip


def characters(text: str, digits: bool) -> Counter[str]:
    return Counter(char for char in text if (char.isdigit() if digits else char.isalpha()))


@given(st.lists(st.sampled_from(PARTS) | st.text("ab1.A \n[", max_size=6), max_size=40).map("".join))
def test_every_letter_and_digit_is_in_exactly_one_reference_or_was_left_out(pasted: str) -> None:
    division = divide(pasted)
    kept = "".join([*(reference.text for reference in division.references), *division.left_out])
    numbers = "".join(str(reference.number) for reference in division.references if reference.number is not None)
    assert characters(kept, digits=False) == characters(pasted, digits=False)
    lost = characters(pasted, digits=True) - characters(kept + numbers, digits=True)
    assert not lost or all(text for text in lost), lost
    assert set(lost) <= set("0"), "a leading zero of a marker at most"
    assert all(reference.text == " ".join(reference.text.split()) != "" for reference in division.references)


@given(st.text())
def test_any_text_can_be_pasted(pasted: str) -> None:
    division = divide(pasted)
    kept = "".join([*(reference.text for reference in division.references), *division.left_out])
    assert characters(kept, digits=False) == characters(pasted, digits=False)


# The measured level ---------------------------------------------------------------------------------------------------


LISTS = script("pasted_lists")
STYLED = [json.loads(line) for line in (HERE / "styled_references.jsonl").read_text(encoding="utf-8").splitlines()]


def whole(name: str, references: Sequence[str]) -> list[bool]:
    rng = random.Random(name)
    came: list[bool] = []
    for start in range(0, len(references), 40):
        pasted = LISTS.LAYOUTS[name](references[start : start + 40], rng)
        got = Counter((LISTS.squashed(given.text), given.number) for given in split(pasted.text))
        for key in zip(map(LISTS.squashed, pasted.texts), pasted.numbers, strict=True):
            came.append(got[key] > 0)
            got[key] -= 1
    return came


@pytest.mark.parametrize(
    "name", [name if n % 8 == 0 else pytest.param(name, marks=pytest.mark.slow) for n, name in enumerate(LISTS.LAYOUTS)]
)
def test_bundled_records_in_twelve_styles_come_whole_out_of_every_layout(name: str) -> None:
    """`scripts/measure_splitter.py` measures on others; this holds the level on facts that the project may carry."""
    one_style = [row["text"] for row in STYLED]
    mixed = random.Random(1).sample(one_style, len(one_style))
    came = [*whole(name, one_style), *whole(name, mixed)]
    assert sum(came) / len(came) >= 0.99, f"{sum(came)} of {len(came)}"


def test_every_style_is_in_the_test_set() -> None:
    assert {row["style"] for row in STYLED} == set(LISTS.STYLES)


@pytest.mark.parametrize(
    "page_end",
    [
        ("", "242", "Depression in primary care", ""),
        ("", "237 Interpersonal psychotherapy: a systematic review", ""),
        ("", "242", ""),
        ("Page 371 of 411", "Journal of Affective Disorders 123 (2020) 45–67"),
    ],
)
def test_the_header_of_the_only_page_is_left_out(page_end: tuple[str, ...]) -> None:
    """A short list has one page end, so nothing repeats or counts on: what stands there says it."""
    lines = [line for text in THREE for line in textwrap.wrap(text, 60)]
    wanted = tuple(line for line in page_end if line)
    division = divide("\n".join([*lines, *page_end]))
    assert (tuple(map(str, division.left_out)), [r.text for r in division.references]) == (wanted, list(THREE))
    if "" in page_end:
        middle = divide("\n".join([*lines[:4], *page_end, *lines[4:]]))
        assert (middle.left_out, [r.text for r in middle.references]) == (wanted, list(THREE))


def test_a_page_number_ends_a_list_with_blank_lines() -> None:
    division = divide("\n\n".join([*THREE, "326"]))
    assert (division.left_out, [r.text for r in division.references]) == (("326",), list(THREE))


@pytest.mark.parametrize(
    "last", ["12 Smith J. A note on grief. Lancet. 2010;1:1-7.", "Smith J. A note on grief", "2012;1:12-\n\n14"]
)
def test_what_may_be_a_reference_is_kept_at_the_end(last: str) -> None:
    assert divide(f"{ONE}\n\n{TWO}\n\n{last}").left_out == ()


def test_an_address_that_was_broken_twice_is_whole() -> None:
    lead = "Willsher K. Immigration at the forefront of the campaign. The Guardian. 2012."
    address = "https://www.example.org/world/french-election-blog-2012/2012/apr/19/immigration-forefront"
    broken = address.replace("blog-2012/", "blog-2012/\n").replace("apr/19/", "apr/19/\n")
    assert texts(f"{lead}\n{broken}\n{BOOK}") == [f"{lead} {address}", BOOK]
    path = "http://example.org/IBMBPM/\nWhitepapers/IBM-Report.pdf"
    assert texts(f"{lead} {path}\n{BOOK}") == [f"{lead} {path.replace(chr(10), '')}", BOOK]


def test_the_room_above_an_address_that_was_broken_says_nothing() -> None:
    """The whole address would not have fitted there, though its first part would."""
    above = _Line(1, "no. 1 (2009): 7–13.", 0)
    assert _layout(_Line(2, "https://doi.org/10.1001/", 0), above, 0, 60) == (0, "full")
    assert _layout(_Line(2, "https://doi.org/10.1001/a", 0), above, 0, 60) == (0, "much")
    assert _layout(_Line(2, "Barth, R., N. Leclair,", 0), above, 0, 60) == (0, "much")
