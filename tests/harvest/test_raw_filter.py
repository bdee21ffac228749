"""The filter on bytes never loses a record that the phrases match, however its text is written."""

from __future__ import annotations

import html.entities
import json
import random
import re
import string
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence.crossref.normalise import title_and_abstract
from evidence.data_model import Doi
from evidence.errors import RecordError
from evidence.harvest import sources
from evidence.harvest.raw_filter import RawFilter
from evidence.harvest.sources import Search
from evidence.harvest.wanted_words import WantedWords
from evidence.rules.phrase_letters import bare, letters_of
from evidence.rules.phrase_matching import Phrases
from tests.data import FOLDERS, SAMPLES, json_lines

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


def test_many_long_phrases_are_found_together() -> None:
    """More than one expression can take."""
    chance = random.Random(19)
    words = ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randint(5, 45))) for _ in range(200)]
    together = RawFilter(letters_of([f"about {word} here" for word in words]))
    assert together.lines(b'{"DOI":"10.5555/a","title":["About nothing of it here"]}\n')[0] == []
    for word in words:
        for written in (word, f"{word[:3]}<i>{word[3:]}</i>", f"&#{ord(word[0])};{word[1:]}"):
            line = json.dumps({"DOI": "10.5555/a", "title": [f"About {written} here"]}).encode() + b"\n"
            assert together.lines(line)[0] == [(0, len(line))], written


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


def passes_as_it_matches(phrase: str, record: dict[str, Any]) -> bool:
    """Whether a record passes the filter for one phrase, in every JSON; the phrase must match it."""
    assert any(map(Phrases([phrase]).first_hit, title_and_abstract(record)))
    alone = RawFilter(letters_of([phrase]))
    found = True
    for ascii_only in (False, True):
        for separators in ((",", ":"), (", ", ": ")):
            line = json.dumps(record, ensure_ascii=ascii_only, separators=separators)
            for written in (line, line.replace("/", "\\/")):
                found = found and bool(alone.lines(written.encode() + b"\n")[0])
    return found


FORMULA = "<mml:math><mml:mi>inter\u2009</mml:mi>\n <mml:mi>\u00a0personal</mml:mi></mml:math> psychotherapy"


@pytest.mark.parametrize(
    ("phrase", "title"),
    [
        ("interpersonal psychotherap*", "".join(f"<i>{char}</i>" for char in "interpersonal psychotherapy")),
        (
            "interpersonal psychotherap*",
            "".join(f"&lt;b&gt;{char}&lt;/b&gt;" for char in "interpersonal psychotherapy"),
        ),
        ("interpersonal psychotherap*", "".join(f"{char}\u00ad" for char in "interpersonal psychotherapy")),
        ("interpersonal psychotherap*", "".join(f"{char}&#8203;" for char in "interpersonal psychotherapy")),
        ("interpersonal psychotherap*", "Ìńtèŕṕèŕśòńàĺ ṕśýćħ psychótherapy ínterpersonal psychotherapy"),
        ("interpersonal psychotherap*", "&iacute;nter&shy;perso&amp;ntilde;al psychotherapý"),
        ("interpersonal psychotherap*", "→ínterpersonal psychotherapy"),
        ("interpersonal psychotherap*", FORMULA),
        ("inter-personal counsel*", "Interpersonal counselling"),
        ("inter-personal counsel*", "interþersonal interṕersonal counselling"),
        ("FB-IPT", "FBÍPT"),
        ("recolecció*", "La recolección"),
        ("recolecci*", "La recolectśẃ recolećçíón"),
        ("social rhythm therap*", "Social\\n social\u2013rhythm <i>therapy</i>"),
        ("cognitive and interpersonal", "Cognitive and\ninterpersonal"),
        ("cognitive and interpersonal", "Cognitive&nbsp;and <b>\n interpersonal"),
        ("psicoterapia interpersonal*", "PsicoterÃ pia interpersonal psicoterÃ¡pia interpersonal"),
        ("Pearson-χ2-test", "The Pearson Ï‡2 test statistic of CastaÃ±o"),
        ("tele IPT", "tele<sc>IPT</sc>-A tele <sc>I</sc>PT"),
        ("changes", "On \u201c\u00e7hanges)"),
        ("lipoprotein", "lipoprotei&#110;\u2013x"),
        ("asthma o*", "asthm&amp;#x61;</p><p> of."),
        (
            "interpersonal therapy",
            "&#105;&#110;&#116;&#101;&#114;&#112;&#101;&#114;&#115;&#111;&#110;&#97;&#108; therapy",
        ),
        ("interpersonal therapy", "inter&lt;b class=&quot;x y&quot;&gt;personal&amp;lt;/b&amp;gt; therapy"),
        ("interpersonal therapy", "interp&#38;eacute;rsonal therapy interp&ampeacute;rsonal therapy"),
        ("rhythm therapy", "\\rhythm therapy \\n<i>rh</i>ythm therapy"),
        ("pneumonoultramicroscopicsilicovolcanoconiosis", "pneumonoultramicroscop<b>icsilico</b>volcanoconiosis"),
        ("pneumonoultramicroscopicsilicovolcanoconiosis", "pńeumonoultramicroscopicsilicovolcanoconiosis"),
    ],
)
def test_whatever_stands_in_a_word_it_is_found(phrase: str, title: str) -> None:
    assert passes_as_it_matches(phrase, {"DOI": "10.5555/a", "title": [title]})
    assert passes_as_it_matches(phrase, {"DOI": "10.5555/a", "title": ["Other"], "abstract": f"<p>{title}</p>"})


@pytest.mark.parametrize(
    ("phrase", "match"),
    [
        ("IPSRT", "IPSRT"),
        ("interpersonal therapy", "interpersonal therapy"),
        ("inter-personal counsel*", "interpersonal counselling"),
        ("IPT-A", "IPT-A"),
        ("recolecci*", "recolección"),
        ("COVID-19 fear", "COVID-19 fear"),
    ],
)
def test_whatever_stands_beside_or_between_words_they_are_found(phrase: str, match: str) -> None:
    alone, finder, hits = RawFilter(letters_of([phrase])), Phrases([phrase]), 0
    for mark in (
        *string.punctuation,
        "\n",
        "\u00a0",
        "\u200b",
        "–",
        "’",
        "1",
        "s",
        "’s",
        "\x0b",
        "\x1f",
        "\x85",
        " ; ",
    ):
        spelled = {match + mark, mark + match, f"x{mark}{match}", f"{match}{mark}x", f"1{mark}{match}{mark}1"}
        spelled |= {match.replace(" ", mark), match.replace("-", mark), match.upper() + mark, mark + match.title()}
        spelled |= {match[:at] + mark + match[at:] for at in range(1, len(match))}
        for text in spelled:
            record = {"DOI": "10.5555/a", "title": [text]}
            if finder.first_hit(title_and_abstract(record)[0]):
                hits += 1
                for ascii_only in (False, True):
                    assert alone.lines(json.dumps(record, ensure_ascii=ascii_only).encode() + b"\n")[0], text
    assert hits > 150


@pytest.mark.parametrize(
    "record",
    [
        {"title": ["Health"], "subtitle": ["An overview"]},
        {"title": ["", '] Health: an "overview"']},
        {"title": ['["Health: an overview\\"']},
        {"abstract": '"\\" ] \\\\ Health: an overview'},
    ],
)
def test_however_a_text_is_divided_or_quoted_it_is_found(record: dict[str, Any]) -> None:
    assert passes_as_it_matches("health: an", {"DOI": "10.5555/a", **record})


@pytest.mark.slow
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: "sample" if folder == SAMPLES else "full")
def test_phrases_taken_from_real_texts_are_found_in_their_records(folder: Path) -> None:
    chance = random.Random(19)
    works = [row["work"] for row in json_lines(folder, "crossref-works.jsonl")]
    tried = 0
    while tried < 200:
        record = chance.choice(works)
        try:
            title, abstract = title_and_abstract(record)
        except RecordError:
            continue
        text = chance.choice([title or "", abstract or ""])
        words = list(re.finditer(r"[^\W\d_]+", text))
        odd = [at for at, word in enumerate(words) if not word[0].isascii()]  # where the deposit may be odd
        if len(words) < 3:
            continue
        first = min(chance.choice(odd or range(len(words))), len(words) - 2)
        phrase = text[words[first].start() : words[min(first + chance.choice((1, 2, 3)), len(words)) - 1].end()]
        phrase = chance.choice((phrase, phrase, f"{phrase[:-1]}*", phrase.replace(" ", "-")))
        if set(phrase) & set("()[]{}<>|/") or "*" in phrase[:-1] or len(phrase) < 4:
            continue
        try:
            letters, finder = letters_of([phrase]), Phrases([phrase])
        except ValueError:
            continue
        if letters is not None and (finder.first_hit(title) or finder.first_hit(abstract)):
            tried += 1
            assert passes_as_it_matches(phrase, record), (phrase, record["DOI"])


def test_references_are_passed_over_and_what_follows_them_is_found() -> None:
    cited = {"key": "1", "unstructured": "Interpersonal psychotherapy [Internet] {x]. [2001]", "DOI": "10.5555/b"}
    nested: dict[str, object] = {"a": [1, {"b": []}]}
    lists: list[list[object]] = [[cited], [cited, cited], [{"key": "]"}], [nested, cited], [cited, "x"], [cited, 1]]
    wanted = RawFilter(letters_of(["interpersonal psychotherap*"]), [Doi("10.5555/b"), Doi("10.5555/d")])
    for references in lists:
        for rest in ({"title": ["Interpersonal psychotherapy"]}, {"DOI": "10.5555/d"}):
            cites = json.dumps({"DOI": "10.5555/a", "reference": references, "title": ["x"]}, separators=(",", ":"))
            found = json.dumps({"reference": references, **rest}, separators=(",", ":"))
            block = f"{cites}\n{found}\n{cites}\n{found}\n".encode()
            lines, count, whole = wanted.lines(block)
            assert {block[start:end].decode() for start, end in lines} >= {f"{found}\n"}, found
            assert len([1 for start, end in lines if block[start:end].decode() == f"{found}\n"]) == 2
            assert (count, whole) == (4, True)
    only_cites = {"DOI": "10.5555/a", "reference": [{"unstructured": "An [Internet] {x]", "DOI": "10.5555/b"}]}
    assert wanted.lines(json.dumps(only_cites, separators=(",", ":")).encode() + b"\n")[0] == []


def test_a_line_that_is_cut_off_in_its_references_hides_no_other() -> None:
    block = b'{"DOI":"10.5555/a","reference":[{"key":"1"\n{"DOI":"10.5555/b","title":["x"]}\n'
    assert RawFilter(letters_of(["x"]), [Doi("10.5555/b")]).lines(block)[0] == [(43, len(block))]


def test_a_word_passes_only_with_the_letters_of_its_phrase() -> None:
    texts = (
        "Social work",
        "Antisocial; rhythm",
        "A social and rhythmic therapy",
        "IPT – A",
        "Personal. Counselling",
    )
    block = b"".join(json.dumps({"title": [text]}, ensure_ascii=False).encode() + b"\n" for text in texts)
    alone = RawFilter(letters_of(["social rhythm therap*", "inter-personal counsel*", "tele-IPT"]))
    words = b"\n".join([json.dumps(text, ensure_ascii=False).encode() for text in texts] + [b""])
    assert alone.lines(block)[0] == []
    assert list(WantedWords(letters_of(["social rhythm therap*", "inter-personal counsel*"]) or ()).places(words)) == []


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
