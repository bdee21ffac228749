"""Markup → text: what a reader would see, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ftfy import badness
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence import plain_text, unicode_repair
from tests.data import FULL, SAMPLES, json_lines, table

JATS = [*sorted(SAMPLES.glob("jats/*.xml")), *sorted(FULL.glob("text/*_jats_*.xml"))]
MARKUP_LEFT = re.compile(r"</?(?:jats:|mml:)?[a-z]+(?: [^<>]*)?/?>|&(?:#\d+|#x[0-9a-f]+|[a-z]+[0-9]*);", re.IGNORECASE)
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")


def test_markup_cases(data: Path) -> None:
    for row in table(data, "text/markup_cases.csv"):
        assert plain_text.plain_text(row["input"]) == row["expected"]


def test_no_markup_is_left_in_real_records(data: Path) -> None:
    left = []
    for row in json_lines(data, "crossref-works.jsonl"):
        work = row["work"]
        for field in ("title", "subtitle", "container-title", "abstract"):
            for deposited in [work[field]] if isinstance(work.get(field), str) else work.get(field) or ():
                read = plain_text.plain_text(deposited) or ""
                if MARKUP_LEFT.search(read) or CONTROL.search(read) or "  " in read or read != read.strip():
                    left.append((deposited, read))
    assert left == []


@pytest.mark.parametrize("source", JATS, ids=lambda path: path.stem)
def test_jats_abstracts_keep_every_word(source: Path) -> None:
    wanted = source.with_name(source.stem + "_out.txt").read_text(encoding="utf-8")
    read = plain_text.plain_text(source.read_text(encoding="utf-8")) or ""
    # TeX annotations of MathML are left out, so only words of three and more letters are compared.
    words = [word for word in re.findall(r"[^\W\d_]{3,}", wanted) if word not in {"times", "rightarrow", "infty"}]
    assert re.findall(r"[^\W\d_]{3,}", read) == words


@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        ("Patients with n < 5 and p<0.05", "Patients with n < 5 and p<0.05"),
        ("If a<b, then c>d.", "If a<b, then c>d."),
        ("<p>n < 5 &lt; 6 &amp;lt; 7</p>", "n < 5 < 6 < 7"),
        ("R&D costs at AT&T", "R&D costs at AT&T"),
        ("&lt;jats:p&gt;Grief &amp;amp; loss&lt;/jats:p&gt;", "Grief & loss"),
        ("<i>p</i>53 and H<sub>2</sub>O", "p53 and H2O"),
        ("inter<b>personal</b> <i>therapy</i>", "interpersonal therapy"),
        ("<p>One.</p><p>Two.</p>", "One.\nTwo."),
        ("One<br/>two<br>three", "One\ntwo\nthree"),
        ("<ul><li>a</li><li>b</li></ul>", "a\nb"),
        ("<p>unclosed <i>tag", "unclosed tag"),
        ("a <!-- no --> b <?pi x?> c <![CDATA[<d> & e]]>", "a b c <d> & e"),
        ("XVII\n    <sup>e</sup>\n    -XVIII\n    <sup>e</sup>\n    siècles", "XVIIe-XVIIIe siècles"),
        ("(see\n   <bold>Palmer</bold>\n   )?", "(see Palmer)?"),
        ("withdrawal\u202e reversed\u202c \u200bzero", "withdrawal reversed zero"),
        ("i&#x301;", "í"),
        ("a&nbsp;b\u00a0c\t\nd", "a b c d"),
        ("<scp>DSM</scp>‐5", "DSM‐5"),
        ("<span class='x>y'>quoted</span>", "quoted"),
        ("stray</style> end", "stray end"),
        ("<script>alert(1)</script>text<style>p{}</style>", "text"),
        ("x<math><mi>n</mi> <mo>=</mo> <mn>3</mn></math>participants", "x n=3 participants"),
        ('<mml:math><mml:mi>n</mml:mi><mml:annotation encoding="tex">\\n</mml:annotation></mml:math>', "n"),
        ("<title>A <i>bold</i> title</title>", "A bold title"),
        ("<TITLE>Upper</TITLE>", "Upper"),
        ("<p><bold>Background</bold>Grief is</p>", "Background Grief is"),
        ("growth of<i>Chlamydia</i>Infection", "growth of Chlamydia Infection"),
        ("<sc>Mac</sc>Arthur and Mc<scp>Donald</scp>", "MacArthur and McDonald"),
        ("<scp>IPT</scp>A and <i>i</i>Phone", "IPTA and iPhone"),
        ("<tex-math>\\documentclass{minimal}\\begin{document}$$x$$\\end{document}</tex-math>", "$$x$$"),
    ],
)
def test_what_a_reader_sees(markup: str, expected: str) -> None:
    assert plain_text.plain_text(markup) == expected


@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        (
            (
                "<jats:title>Abstract</jats:title><jats:sec><jats:title>Background</jats:title><jats:p>Grief.</jats:p></jats:sec>"
                "<jats:sec><jats:title>Methods:</jats:title>\n  <jats:p>Trial.</jats:p></jats:sec>"
            ),
            "Background: Grief.\nMethods: Trial.",
        ),
        ("<title>ABSTRACT</title>\n   <p>We asked.</p>", "We asked."),
        ("&lt;title&gt;Abstract&lt;/title&gt;&lt;p&gt;We asked.&lt;/p&gt;", "We asked."),
        ("<p>Abstract</p><p>We asked.</p>", "We asked."),
        ("Abstract: We asked.", "We asked."),
        ("<h2>Why?</h2><p>Because.</p>", "Why? Because."),
        ("<p>Text.</p><title>Trial registration</title>", "Text.\nTrial registration"),
        ("Abstract thinking in depression", "Abstract thinking in depression"),
        ("Abstract Expressionism", "Abstract Expressionism"),
    ],
)
def test_headings(markup: str, expected: str) -> None:
    assert plain_text.plain_text(markup) == expected


@pytest.mark.parametrize(
    "markup",
    [
        None,
        "",
        "  ",
        "-",
        "n/a",
        "N.A.",
        "<jats:p />",
        "<p>.</p>",
        "<p>n/a</p>",
        "Abstract",
        "No abstract available.",
        "&nbsp;",
        "\u200b",
    ],
)
def test_nothing_is_none(markup: str | None) -> None:
    assert plain_text.plain_text(markup) is None


@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        ("Na", "Na"),
        ("None", "None"),
        ("  Müller  ", "Müller"),
        ("O&apos;Hara", "O'Hara"),
        ("a\nb", "a b"),
        ("", None),
        (None, None),
    ],
)
def test_a_line_keeps_names_that_look_like_nothing(markup: str | None, expected: str | None) -> None:
    assert plain_text.plain_line(markup) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Beck’s “Öst–Test”", "becks ost test"),
        ("BEHAVIOUR,  THERAPY", "behaviour therapy"),
        ("Łódź / Køge", "lodz koge"),
        ("IPT-A", "ipt a"),
    ],
)
def test_folding_leaves_words(one: str, other: str) -> None:
    assert plain_text.fold(one).replace("beck s", "becks") == other


@pytest.mark.parametrize(
    ("deposited", "read"),
    [
        ("CastaÃ±o", "Castaño"),
        ("GÃ³mez", "Gómez"),
        ("BÃ©jÃ\xa0", "Béjà"),
        ("Pseudomonasâ\x80\x93Candida", "Pseudomonas–Candida"),
        ("exo-Î²-1,3-glucanase, \u2019 as printed", "exo-β-1,3-glucanase, \u2019 as printed"),
        ("<i>MÃ¼ller</i> &amp; S&Atilde;&para;n", "Müller & Sön"),
        ("Grief â€“ a “study” of ﬁve ½ ＡＢ", "Grief – a “study” of ﬁve ½ ＡＢ"),
    ],
)
def test_an_encoding_read_as_another_is_undone_and_nothing_else(deposited: str, read: str) -> None:
    assert plain_text.plain_text(deposited) == read
    assert plain_text.plain_line(deposited) == read


@pytest.mark.parametrize(
    "printed",
    [
        "Evolu\ufffd\ufffdo Geol\ufffdgica",
        "São Paulo – «ÄÖÜ» ½ ±5 °C × ‰",
        "ÅÄÖ",
        "Ãngelo",
        "“It’s” … ‘so’",
        "ﬁve ＡＢ²",
        "Ελλάδα Привет 中文",
        "Â",
        "naïve café à la",
    ],
)
def test_what_is_no_wrong_encoding_stays(printed: str) -> None:
    assert plain_text.plain_text(printed) == printed
    assert plain_text.plain_line(printed) == printed


@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        ('<p title="n < 5">one</p> two', "one\ntwo"),
        ("<a b=\"<a c='\" d='<i>' e>x</a>", "x"),
        ('<a b="<a b="<a b="', '<a b="<a b="<a b="'),
        ("<?tex a <?b> c?>text", "text"),
        ("half \ud800 a pair", "half \ufffd a pair"),
        ("<p>&#" + "9" * 5000 + "; end", "\ufffd end"),
        ("<p>&#" + "0" * 5000 + "65; end", "A end"),
        ("e" + "\u0301" * 100, "é" + "\u0301" * 29),
    ],
)
def test_odd_text_is_read(markup: str, expected: str) -> None:
    assert plain_text.plain_text(markup) == expected


MARKED = st.lists(
    st.sampled_from(
        ["<p>", "</p>", "<i>", "</i>", "<jats:title>", "</jats:title>", "<", ">", "&lt;", "&amp;", "&#60;", " ", "\n"]
    )
    | st.text("abcÄß 5/-", min_size=1, max_size=8),
    max_size=20,
).map("".join)


@settings(max_examples=200, deadline=None)
@given(MARKED)
def test_reading_ends_clean_and_keeps_its_letters(markup: str) -> None:
    read = plain_text.plain_text(markup)
    if read is not None:
        assert read == read.strip()
        assert "  " not in read
        assert not CONTROL.search(read)
        assert not re.search("[\ue000-\ue00f]", read)
        assert all(line == line.strip() and line for line in read.split("\n"))


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80))
def test_any_text_can_be_read(raw: str) -> None:
    read = plain_text.plain_text(raw)
    assert read is None or read.strip()
    assert plain_text.fold(plain_text.fold(raw)) == plain_text.fold(raw)


def _range(ends: re.Match[str]) -> str:
    return "".join(map(chr, range(ord(ends[1]), ord(ends[2]) + 1)))


MOJIBAKE = "".join(re.sub("(.)-(.)", _range, found) for found in badness.MOJIBAKE_CATEGORIES.values())
ODD_TEXT = st.lists(
    st.one_of(st.sampled_from(MOJIBAKE), st.sampled_from("aZ .,?0\n-ŒœÂÃ \ufffd漢\ud800")), max_size=30
).map("".join)


@settings(max_examples=500, deadline=None)
@given(ODD_TEXT)
def test_wrong_encodings_are_seen_where_ftfy_sees_them(text: str) -> None:
    assert unicode_repair.is_bad(text) == badness.is_bad(text)


@settings(max_examples=500, deadline=None)
@given(
    st.lists(st.one_of(ODD_TEXT, st.sampled_from(["\\begin{document}", "&amp;", "<i>", "\u200b", "\ue001", "  "]))).map(
        "".join
    )
)
def test_one_paragraph_is_read_like_any_other_text(text: str) -> None:
    """Most abstracts are one paragraph, which is read by a shorter way; a second, empty one makes it the long way."""
    assert plain_text.plain_text(f"<jats:p>{text}</jats:p>") == plain_text.plain_text(
        f"<jats:p>{text}</jats:p><jats:p></jats:p>"
    )
