"""What `evidence read` shows of a record."""

from __future__ import annotations

import json

import pytest

from evidence.data_model import Doi, Work
from evidence.export.read_text import TextRead, json_line, page, pages, read_record
from evidence.export.texts_to_read import GivenRecord
from evidence.rules import taxonomy, topic
from evidence.rules.mention_roles import ROLES
from evidence.rules.tag import tag
from evidence.rules.taxonomy import Taxonomy

TITLE = "Interpersonal psychotherapy versus cognitive behavioural therapy for major depression: a randomised controlled trial"
ABSTRACT = (
    "BACKGROUND: Major depression is common. METHODS: We randomly assigned 100 adults with major depression and without "
    "psychosis to interpersonal psychotherapy or cognitive behavioural therapy. Depressive symptoms were measured with the "
    "Hamilton Rating Scale for Depression. RESULTS: Depressive symptoms fell in both groups. CONCLUSIONS: Both treatments are "
    "effective."
)


@pytest.fixture(scope="module")
def rules() -> Taxonomy:
    return taxonomy.load(topic.load())


def given(title: str | None, abstract: str | None, rules: Taxonomy) -> TextRead:
    return read_record(GivenRecord("a", title, abstract), rules)


def quotes(found: TextRead, value: str) -> set[str]:
    return {found.fields[m.field][m.start : m.stop] for m in found.mentions if m.value == value}


def test_a_line_has_exactly_the_documented_keys(rules: Taxonomy) -> None:
    line = json.loads(json_line(given(TITLE, ABSTRACT, rules)))
    assert list(line) == ["id", "verdict", "sentences", "arms", "mentions", "tags"]
    keys = {
        "sentences": ["field", "start", "stop", "role"],
        "arms": ["field", "start", "stop", "values", "studied"],
        "mentions": ["facet", "value", "field", "start", "stop", "role", "negated", "strength"],
        "tags": ["facet", "value", "strength"],
    }
    for name, expected in keys.items():
        assert line[name], name
        assert all(list(entry) == expected for entry in line[name]), name
    assert line["verdict"] == "include"
    assert {m["role"] for m in line["mentions"]} <= set(ROLES)
    assert {m["strength"] for m in line["mentions"]} <= {"stated", "likely", "implied", None}


def test_sentences_have_the_five_roles_and_hold_the_whole_text(rules: Taxonomy) -> None:
    found = given(TITLE, ABSTRACT, rules)
    roles = [(s.field, s.role) for s in found.sentences]
    assert roles[0] == ("title", "aim")
    assert dict.fromkeys(role for field, role in roles if field == "abstract") == dict.fromkeys(
        ("background", "methods", "results", "conclusions")
    )
    assert "".join(ABSTRACT[s.start : s.stop] for s in found.sentences[1:]).replace(" ", "") == ABSTRACT.replace(
        " ", ""
    )


def test_a_mention_has_the_strength_of_its_tag_or_none(rules: Taxonomy) -> None:
    found = given(TITLE, ABSTRACT, rules)
    strength = {(tag.facet, tag.value): tag.strength for tag in found.tags}
    assert all(m.strength == strength.get((m.facet, m.value)) for m in found.mentions)


def test_negation_is_shown(rules: Taxonomy) -> None:
    found = given(TITLE, ABSTRACT, rules)
    assert {m.negated for m in found.mentions if m.value == "psychosis"} == {True}
    assert {m.negated for m in found.mentions if m.value == "depression"} == {False}


def test_arms_name_their_treatments(rules: Taxonomy) -> None:
    arms = {value: arm for arm in given(TITLE, None, rules).arms for value in arm.values}
    assert arms["variant:ipt"].studied
    assert not arms["comparator:cbt"].studied
    assert TITLE[arms["comparator:cbt"].start : arms["comparator:cbt"].stop].startswith("cognitive behavioural")


@pytest.mark.parametrize(("title", "abstract"), [(TITLE, ABSTRACT), (TITLE, None), (None, ABSTRACT)])
def test_the_tags_are_those_that_a_harvest_gives(title: str | None, abstract: str | None, rules: Taxonomy) -> None:
    assert given(title, abstract, rules).tags == tag(Work(Doi("10.1/x"), title=title, abstract=abstract), rules)


def test_tags_are_given_whatever_the_verdict(rules: Taxonomy) -> None:
    found = given(None, ABSTRACT.replace("interpersonal psychotherapy", "yoga"), rules)
    assert found.verdict.verdict == "exclude"
    assert ("condition", "depression") in {(tag.facet, tag.value) for tag in found.tags}


@pytest.mark.parametrize(
    "changed",
    [
        ABSTRACT.replace(". ", ".\r\n"),
        ABSTRACT.replace(" ", "\u00a0"),
        "😀 " + ABSTRACT.replace("100", "👩\u200d⚕️ e\u0301le\u0300ve ﬁnds 100"),
        "".join(f"<jats:p>{part}.</jats:p>\n  " for part in ABSTRACT.split(". ")),
        ABSTRACT.replace("Hamilton", "<i>Hamilton</i>").replace(" and ", " &amp; "),
        "\ufeff" + ABSTRACT.replace("psycho", "psycho\u00ad"),
    ],
    ids=["line ends", "hard blanks", "emoji and accents", "blocks", "markup and entities", "soft hyphens"],
)
def test_offsets_are_those_of_the_text_as_given(changed: str, rules: Taxonomy) -> None:
    found = given(None, changed, rules)
    expected = given(None, ABSTRACT, rules)
    for value in ("ipt", "cbt", "psychosis", "depressive-symptoms", "adults"):
        plain = {
            q.replace("\u00a0", " ").replace("\u00ad", "").replace("<i>", "").replace("</i>", "")
            for q in quotes(found, value)
        }
        assert plain == quotes(expected, value), value
    assert [
        s.role
        for s in found.sentences
        if "Depressive symptoms fell" in changed[s.start : s.stop].replace("\u00a0", " ")
    ] == ["results"]


def test_nothing_to_read_is_a_record_too(rules: Taxonomy) -> None:
    line = json.loads(json_line(read_record(GivenRecord(5, None, None), rules)))
    assert line == {"id": 5, "verdict": "unsure", "sentences": [], "arms": [], "mentions": [], "tags": []}
    assert given("", "No abstract available", rules).sentences == ()


def test_an_id_with_half_a_character_can_be_written(rules: Taxonomy) -> None:
    line = json_line(read_record(GivenRecord("a\ud83d", "thérapie", None), rules))
    assert json.loads(line.encode()).get("id") == "a\ud83d"


def test_a_page_shows_mentions_in_their_sentences_and_fits_the_width(rules: Taxonomy) -> None:
    text = page(given(TITLE, ABSTRACT, rules), 72)
    assert max(map(len, text.splitlines())) <= 72
    words = " ".join(text.split())
    assert "Verdict: Included: it names the therapy" in words
    assert "without [psychosis] to [interpersonal psychotherapy]" in words
    assert (
        "condition:psychosis (eligibility, negated)" in words or "condition:psychosis (participants, negated)" in words
    )
    assert "comparator:cbt" in words.partition("Arms:")[2]
    assert "Tags:" in words


def test_pages_are_separated(rules: Taxonomy) -> None:
    found = list(pages([given(TITLE, None, rules)] * 2, 60))
    assert not found[0].startswith("─")
    assert found[1].startswith("─" * 60 + "\n")
