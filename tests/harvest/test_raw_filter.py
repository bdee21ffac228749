"""The filter on bytes never loses a record that the phrases match, however its text is written."""

from __future__ import annotations

import html.entities
import json
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence.crossref.normalise import title_and_abstract
from evidence.data_model import Doi
from evidence.harvest import sources
from evidence.harvest.raw_filter import RawFilter
from evidence.harvest.sources import Search
from evidence.rules.phrase_letters import bare, letters_of
from evidence.rules.phrase_matching import Phrases

PHRASES = (
    "interpersonal psychotherap*",
    "inter-personal therap*",
    "IPT-A",
    "IPSRT",
    "FB-IPT",
    "cognitive behavio* and interpersonal",
    "(group|brief) social rhythm",
    "psychothérapie interpersonnelle",
    "[modified] counsel* <2> mothers",
    "/conversational.{0,3}model/",
)
MATCHES = (
    "interpersonal psychotherapy",
    "Interpersonal – psychotherapies",
    "INTER-PERSONAL THERAPY",
    "interpersonal therapeutic",
    "IPT-A",
    "IPT A",
    "IPSRT",
    "FB‐IPT",
    "cognitive behavioural and interpersonal",
    "brief social rhythm",
    "Psychothérapie  interpersonnelle",
    "counselling of young mothers",
    "conversational model",
)
TAGS = ("<i>", "</i>", "<jats:italic>", "</jats:italic>", '<b class="x">', "<sc/>", "<!-- x -->", "<x:y z='1'>")
SHIPPED = sorted(
    {
        phrase
        for source in sources.load(Path(__file__).parents[2] / "sources.yaml").sources
        if isinstance(source, Search)
        for phrase in source.phrases
    }
)
WRITTEN = [re.sub(r"\*", "y", phrase) for phrase in SHIPPED if not set(phrase) & set("()[]{}<>|/")]
"""A text for each of these phrases that is nothing but words."""
FILTERS = {name: RawFilter(letters_of(phrases)) for name, phrases in (("here", PHRASES), ("shipped", SHIPPED))}
FINDERS = {"here": Phrases(PHRASES), "shipped": Phrases(SHIPPED)}
FILTER, FINDER = FILTERS["here"], FINDERS["here"]
NAMED = {text: name for name, text in html.entities.html5.items() if name.endswith(";") and len(text) == 1}


def spellings(char: str, draw_plain: int) -> st.SearchStrategy[str]:
    """Ways in which a character may be deposited."""
    forms = [
        char,
        char,
        char,
        f"&#{ord(char)};",
        f"&#x{ord(char):x};",
        f"&amp;#{ord(char)};",
        unicodedata.normalize("NFD", char),
    ]
    if char in NAMED:
        forms += [f"&{NAMED[char]}", f"&amp;{NAMED[char]}"]
    if char.isalpha():
        forms += [
            f"{char}\u00ad",
            f"{char}&shy;",
            f"\u200b{char}",
            f"{char}\u0301",
            f"&lt;i&gt;{char}&lt;/i&gt;",
            f"<mml:mi>{char}</mml:mi>",
        ]
        forms += [char + tag for tag in TAGS]
    if not char.isascii() or char in "Iilot":
        forms += [char.translate(str.maketrans("Iilot", "Íïłöť"))]
        wrong = [
            forms[-1].encode().decode(name, "ignore") for name in ("latin-1", "cp1252", "cp1251", "mac_roman", "cp437")
        ]
        wrong = [each for each in wrong if len(each) == len(forms[-1].encode()) > 1]
        forms += [
            hidden for each in wrong for hidden in (each, f"{each[0]}\u00ad{each[1:]}", f"{each[0]}<i>{each[1:]}</i>")
        ]
    if char == " ":
        forms += ["\n  ", "\u00a0", "\u2009", "<jats:p>\n</jats:p>", "-"]
    return st.sampled_from([*[char] * draw_plain, *forms])


@st.composite
def texts(draw: st.DrawFn, matches: Sequence[str]) -> str:
    """A text with a match, spelled in any way."""
    words, plain = draw(st.sampled_from(matches)), draw(st.sampled_from((0, 20, 200, 200)))
    before, after = (
        draw(st.sampled_from(("", "A ", "é ", '"] ', "x\\", "<p>", "] "))),
        draw(st.sampled_from(("", " & more", '"', " <", ">"))),
    )
    return before + "".join(draw(spellings(char, plain)) for char in words) + after


@st.composite
def records(draw: st.DrawFn, matches: Sequence[str] = MATCHES) -> dict[str, Any]:
    """A record with such a text as title, subtitle or abstract."""
    text = draw(texts(matches))
    record: dict[str, Any] = {
        "reference": [{"key": "1", "article-title": "Other"}],
        "DOI": "10.5555/a",
        "title": ["Other"],
    }
    record |= draw(
        st.sampled_from(
            (
                {"title": [text]},
                {"title": ["", text]},
                {"title": text},
                {"subtitle": [text]},
                {"abstract": text},
                {"abstract": f"<jats:p>{text}</jats:p>"},
                {"abstract": [text]},
            )
        )
    )
    return dict(sorted(record.items(), reverse=draw(st.booleans())))


@pytest.mark.slow
@pytest.mark.parametrize(("searched", "matches"), [("here", MATCHES), ("shipped", WRITTEN)], ids=["here", "shipped"])
def test_a_record_that_a_phrase_matches_always_passes(searched: str, matches: Sequence[str]) -> None:
    before = b'{"DOI":"10.5555/x","title":["Other"]}\n'

    @settings(max_examples=600, deadline=None)
    @given(records(matches), st.booleans(), st.sampled_from(((",", ":"), (", ", ": "))), st.booleans())
    def passes(record: dict[str, Any], ascii_only: bool, separators: tuple[str, str], slashes: bool) -> None:
        if not any(map(FINDERS[searched].first_hit, title_and_abstract(record))):
            return  # what is joined or cut on the way is no match after all
        line = json.dumps(record, ensure_ascii=ascii_only, separators=separators)
        raw = (line.replace("/", "\\/") if slashes else line).encode()
        lines, _, whole = FILTERS[searched].lines(before + raw + b"\n")
        assert len(before) in [start for start, _ in lines]
        assert whole

    passes()


@pytest.mark.parametrize("title", WRITTEN)
def test_every_phrase_of_the_shipped_searches_is_found_as_it_is_written(title: str) -> None:
    line = json.dumps({"DOI": "10.5555/a", "title": [title]}).encode() + b"\n"
    assert FINDERS["shipped"].first_hit(title) is not None
    assert FILTERS["shipped"].lines(line)[0] == [(0, len(line))]


def test_phrases_with_the_same_letters_do_not_stand_for_each_other() -> None:
    """They are searched for by another word each: "inter-personal" does not hold "interpersonal"."""
    alike = RawFilter(letters_of(["interpersonal psychotherap*", "inter-personal psychotherap*"]))
    for title in ("Interpersonal psychotherapy", "Inter-personal psychotherapy"):
        line = json.dumps({"DOI": "10.5555/a", "title": [title]}).encode() + b"\n"
        assert alike.lines(line)[0] == [(0, len(line))], title


def test_most_spellings_are_still_matches() -> None:
    """The test above says nothing of records that are no matches, so most must be."""
    hits = 0

    @settings(max_examples=200, deadline=None, database=None)
    @given(records())
    def count(record: dict[str, Any]) -> None:
        nonlocal hits
        title, abstract = title_and_abstract(record)
        hits += bool(FINDER.first_hit(title) or FINDER.first_hit(abstract))

    count()
    assert hits > 60


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.text(max_size=80).filter(str.strip), st.sampled_from(MATCHES), st.text(max_size=20))
def test_the_letters_of_a_phrase_are_in_every_match(before: str, match: str, after: str) -> None:
    text = f"{before} {match} {after}"
    letters = letters_of(PHRASES)
    assert letters is not None
    if FINDER.first_hit(text) is not None:
        assert any(one.text in (bare(text) if one.cased else bare(text).lower()) for one in letters)


def test_what_has_nothing_of_the_kind_does_not_pass() -> None:
    record = {
        "DOI": "10.5555/a",
        "title": ["Interpersonal relations"],
        "abstract": "<jats:p>The IPT of <i>x</i> – an été.</jats:p>",
    }
    cites = {"DOI": "10.5555/b", "title": ["x"], "reference": [{"article-title": "Interpersonal psychotherapy"}]}
    block = b"".join(json.dumps(one).encode() + b"\n" for one in (record, cites))
    assert FILTER.lines(block) == ([], 2, True)


@pytest.mark.parametrize(
    "doi",
    [
        "10.1016/j.cpr.2013.09.002",
        "10.1002/(sici)1097-4679(199901)55:1<1::aid-jclp1>3.0.co;2-a",
        "10.1/a/b/c",
        "10.1234/é",
    ],
)
def test_a_wanted_doi_passes_in_whatever_json(doi: str) -> None:
    wanted = RawFilter(letters_of(["nothing like it"]), [Doi(doi)])
    for ascii_only in (False, True):
        line = json.dumps({"title": ["x"], "DOI": doi}, ensure_ascii=ascii_only)
        for written in (line, line.replace("/", "\\/"), line.replace("<", "\\u003c"), line.replace(doi, doi.upper())):
            block = b'{"DOI":"10.9/other"}\n' + written.encode() + b"\n"
            assert 21 in [start for start, _ in wanted.lines(block)[0]], written


def test_without_phrases_only_wanted_dois_pass() -> None:
    block = b'{"DOI":"10.5555/a","title":["<!-- x -->A"]}\n{"DOI":"10.5555/b"}\n'
    assert RawFilter(letters_of([]), [Doi("10.5555/b")]).lines(block)[0] == [(44, 64)]


def test_a_phrase_of_which_no_letters_are_known_lets_everything_pass() -> None:
    assert letters_of(["/[a-z]+ [0-9]+/"]) is None
    lines, _, _ = RawFilter(None).lines(b'{"title":["a"]}\n{"title":["b"]}\n')
    assert lines == [(0, 16), (16, 32)]


@pytest.mark.parametrize("block", [b'{"a":1}\nno json\n', b'{"a":1}\n\n{"b":1}\n', b"x\n", b'{"a":1}\r\n{"b":1}\r\n'])
def test_a_block_that_is_not_one_record_a_line_is_told(block: bytes) -> None:
    assert FILTER.lines(block)[2] is False
