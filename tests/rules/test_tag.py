"""How rules fire: all, any, none, except, title, given and unless, and the words each leaves behind."""

from __future__ import annotations

import re
import shutil

import pytest

from evidence.data_model import Doi, Match, Work
from evidence.rules import taxonomy, topic
from evidence.rules.rule_matches import MATCHES_PER_RULE
from evidence.rules.tag import tag
from evidence.rules.taxonomy import Taxonomy

BUNDLED = taxonomy.load()

RULES = """facet: format
label: Format
values:
  - {id: alone, label: A, means: M,
     rules: [{id: r, any: [apple, pear]}], examples: [apple, pear], counterexamples: [plum]}
  - {id: both, label: A, means: M,
     rules: [{id: r, all: [apple, pear]}], examples: [apple pear, pear apple], counterexamples: [plum]}
  - {id: not, label: A, means: M,
     rules: [{id: r, any: [apple], none: [pear]}], examples: [apple, apples], counterexamples: [pear]}
  - {id: but, label: A, means: M,
     rules: [{id: r, any: [apple], except: [apple tree]}], examples: [a, b], counterexamples: [c]}
  - {id: headed, label: A, means: M,
     rules: [{id: r, title: [apple], any: [pear], fields: [abstract]}], examples: [a, b], counterexamples: [c]}
  - {id: unheaded, label: A, means: M,
     rules: [{id: r, any: [pear], not_title: [apple]}], examples: [a, b], counterexamples: [c]}
  - {id: after, label: A, means: M,
     rules: [{id: r, given: [both, alone + kind-of]}], examples: [a, b], counterexamples: [c]}
  - {id: without, label: A, means: M,
     rules: [{id: r, any: [apple], unless: [both]}], examples: [a, b], counterexamples: [c]}
  - {id: kind-of, label: A, means: M,
     rules: [{id: r, any: [book], fields: [kind]}], examples: [a, b], counterexamples: [c]}
"""


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Taxonomy:
    """A taxonomy whose facet `format` is the one above; the other facets are empty of meaning."""
    folder = tmp_path_factory.mktemp("fruit")
    ipt = topic.load()
    for path in (ipt.folder / topic.FILE, ipt.phrases_path, ipt.screen_path):
        shutil.copy(path, folder)
    text = (folder / topic.FILE).read_text(encoding="utf-8")
    (folder / topic.FILE).write_text(
        re.sub(r"(?s)    groups:.*?(?=  - \{id: problem)|designs:.*?\n\n", "", text), encoding="utf-8"
    )
    for facet in ipt.facets:
        nothing = "{id: x, label: X, means: X, rules: [{id: r, any: [zzz]}], examples: [a, b], counterexamples: [c]}"
        text = RULES if facet.id == "format" else f"facet: {facet.id}\nlabel: L\nvalues:\n  - {nothing}\n"
        (folder / facet.path.name).write_text(text, encoding="utf-8")
    return taxonomy.load(folder)


def values(book: Taxonomy, title: str | None, abstract: str | None = None, kind: str | None = None) -> set[str]:
    return {t.value for t in tag(Work(doi=Doi("10.1000/x"), title=title, abstract=abstract, kind=kind), book.tagging)}


def test_any_all_none_and_except(book: Taxonomy) -> None:
    assert values(book, "An apple") == {"alone", "not", "but", "without"}
    assert values(book, "An apple and a pear") == {"alone", "both", "but", "after"}
    assert values(book, "An apple", "A pear") == {"alone", "both", "but", "headed", "after"}
    assert values(book, "An apple tree") == {"alone", "not", "without"}
    assert "but" in values(book, "An apple tree has an apple")


def test_title_and_its_negation(book: Taxonomy) -> None:
    assert "headed" not in values(book, "A pear", "An apple and a pear")
    assert "unheaded" in values(book, "A plum", "A pear")
    assert "unheaded" not in values(book, "An apple", "A pear")


def test_given_and_unless_ask_other_values(book: Taxonomy) -> None:
    assert values(book, "An apple", kind="book") == {"alone", "not", "but", "without", "after", "kind-of"}
    assert values(book, None, None, "book") == {"kind-of"}


def test_words_come_with_their_places(book: Taxonomy) -> None:
    work = Work(doi=Doi("10.1000/x"), title="A pear", abstract="An apple, a pear")
    found = {t.value: t.matches for t in tag(work, book.tagging)}
    assert found["both"] == (Match("r", "abstract", 3, 8, "apple"), Match("r", "title", 2, 6, "pear"))
    assert found["after"] == found["both"]


def test_the_words_shown_are_limited() -> None:
    abstract = (
        "grief, bereavement, role disputes, HAM-D, BDI, MADRS, CES-D, EPDS, PHQ-9, GDS, CDI, depressive symptoms."
    )
    work = Work(
        doi=Doi("10.1000/x"), title="Interpersonal psychotherapy for depression: a randomised trial", abstract=abstract
    )
    for found in tag(work, BUNDLED.tagging):
        assert 1 <= len(found.matches) <= MATCHES_PER_RULE * len(rules_of(BUNDLED, found.facet, found.value))


def rules_of(book: Taxonomy, facet: str, value: str) -> tuple[taxonomy.Rule, ...]:
    return book.tagging.values[facet, value].rules


def test_comparator_and_form_are_told_apart() -> None:
    work = Work(
        doi=Doi("10.1000/x"),
        title="Metacognitive interpersonal therapy compared with interpersonal psychotherapy and CBT",
    )
    found = {(t.facet, t.value) for t in tag(work, BUNDLED.tagging)}
    assert {("variant", "mit"), ("comparator", "cbt")} <= found
    protocol = Work(
        doi=Doi("10.1000/x"), title="Interpersonal psychotherapy for depression: study protocol for a randomised trial"
    )
    designs = {t.value for t in tag(protocol, BUNDLED.tagging) if t.facet == "design"}
    assert designs == {"protocol"}
