"""Offsets in a text as given, whatever the tracker makes of it before it reads."""

from __future__ import annotations

import re

import pytest

from evidence.export.given_offsets import GivenText
from evidence.plain_text import plain_text


@pytest.mark.parametrize(
    ("given", "word", "expected"),
    [
        ("Plain words about therapy", "therapy", "therapy"),
        ("  Blanks before therapy ", "therapy", "therapy"),
        ("cafe\u0301 the\u0301rapie", "thérapie", "the\u0301rapie"),
        ("😀 and 👩\u200d⚕️ in therapy 😀", "therapy", "therapy"),
        ("psycho\u00adtherapy\u00a0works", "psychotherapy", "psycho\u00adtherapy"),
        ("line one\r\nline  two of therapy", "therapy", "therapy"),
        ("Tom &amp; Jerry: th&eacute;rapie", "thérapie", "th&eacute;rapie"),
        ("p&lt;0.05 &#x1F600; therapy", "therapy", "therapy"),
        ("CastaÃ±o on therapy", "Castaño", "CastaÃ±o"),
        ("<jats:title>Aim</jats:title><jats:p>A <i>new</i> therapy</jats:p>", "therapy", "therapy"),
        ("<jats:title>Aim.</jats:title> <jats:p>therapy</jats:p>", "Aim", "Aim"),
        ("&amp;lt;p&amp;gt;therapy&amp;lt;/p&amp;gt; again", "again", "again"),
        ("<jats:title>Abstract</jats:title><jats:p>Adults in therapy</jats:p>", "Adults", "Adults"),
        ("Abstract: Adults in therapy", "Adults", "Adults"),
        ("a ﬁnding of therapy", "ﬁnding", "ﬁnding"),
        ("n < 5 and a<b of therapy", "therapy", "therapy"),
    ],
)
def test_a_word_that_was_read_is_found_where_it_was_given(given: str, word: str, expected: str) -> None:
    text = GivenText(given)
    assert text.stored is not None
    at = text.stored.index(word)
    start, stop = text.span(at, at + len(word))
    assert given[start:stop] == expected


def test_every_word_of_a_long_marked_up_text_is_found_in_order() -> None:
    given = "".join(
        f"<jats:sec><jats:title>Part {n}.</jats:title> <jats:p>Word&#39;s <b>w{n}</b>e\u0301 &amp; x</jats:p></jats:sec>"
        for n in range(40)
    )
    text = GivenText(given)
    assert text.stored is not None
    last = 0
    for found in re.finditer(r"w\d+é", text.stored):
        start, stop = text.span(*found.span())
        assert start >= last
        assert given[start:stop] == found[0].replace("é", "</b>e\u0301")
        last = stop


def test_what_is_read_is_what_a_harvest_would_store() -> None:
    given = "<jats:title>Methods</jats:title><jats:p>We  gave\nIPT &amp; CBT.</jats:p>"
    assert GivenText(given).stored == plain_text(given)


def test_the_lines_of_a_text_without_tags_are_kept() -> None:
    assert GivenText("Background\r\nIt is common.").stored == "Background\nIt is common."


def test_a_title_is_one_line() -> None:
    assert GivenText("Therapy\nfor adults", one_line=True).stored == "Therapy for adults"


@pytest.mark.slow
@pytest.mark.parametrize(
    "piece", ["<", "&", "&amp;", "e\u0301", "\u0301", "<i>", "Ã±", "a<b ", "<jats:title>a.</jats:title>"]
)
def test_a_text_of_half_a_megabyte_is_read(piece: str) -> None:
    """Time that grows with the square of the text would run into the time limit of a test."""
    text = GivenText("<p>" + piece * (500_000 // len(piece)) + " therapy</p>")
    text.span(0, len(text.stored or ""))
