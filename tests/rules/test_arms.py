"""The arms of a study as its text names them, and which of them is given the studied treatment."""

from __future__ import annotations

from pathlib import Path

import pytest

from evidence.rules.signs import NAMES, numbers
from evidence.rules.tag import read
from evidence.rules.taxonomy import Taxonomy
from tests.rules.small_topic import FACETS, small_taxonomy

Arm = tuple[frozenset[str], bool]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Taxonomy:
    return small_taxonomy(tmp_path_factory.mktemp("small"))


def arms(book: Taxonomy, abstract: str, title: str | None = None) -> set[Arm]:
    """The values of each arm, and whether the studied treatment is among them."""
    reading = read(title, abstract, book)
    return {(frozenset(book.keys[number][1] for number in arm.values), arm.studied) for arm in reading.arms}


def arm(*values: str, studied: bool = False) -> Arm:
    return frozenset(values), studied


def roles(book: Taxonomy, abstract: str, value: str, title: str | None = None) -> set[str]:
    reading = read(title, abstract, book)
    number = next(place for place, key in enumerate(book.keys) if key[1] == value and key[0] in ("therapy", "versus"))
    return {mention.role for mention in reading.mentions.get(number, ())}


IPT = arm("ipt", studied=True)


@pytest.mark.parametrize(
    ("abstract", "expected"),
    [
        (
            "METHODS: Patients were randomised to interpersonal psychotherapy, cognitive therapy or a waiting list.",
            {IPT, arm("cbt"), arm("waiting-list")},
        ),
        ("METHODS: Patients were randomly assigned to IPT or usual care.", {IPT, arm("usual-care")}),
        ("AIM: To compare IPT with CBT.", {IPT, arm("cbt")}),
        ("METHODS: IPT was compared with CBT.", {IPT, arm("cbt")}),
        ("AIM: IPT versus CBT for depression.", {IPT, arm("cbt")}),
        ("METHODS: Usual care was compared with IPT with fluoxetine.", {arm("usual-care"), arm("ipt", "drug", studied=True)}),
        (
            "METHODS: Patients were randomised to IPT plus fluoxetine or to fluoxetine alone.",
            {arm("ipt", "drug", studied=True), arm("drug")},
        ),
        ("METHODS: Patients were randomised to CBT (CBT, n = 30); cognitive therapy was given weekly.", set()),
        ("METHODS: Women received interpersonal psychotherapy.", set()),
        ("BACKGROUND: IPT and CBT are widely used.", set()),
    ],
)  # fmt: skip
def test_the_arms_of_a_sentence(small: Taxonomy, abstract: str, expected: set[Arm]) -> None:
    assert arms(small, abstract) == expected


def test_what_an_arm_is_compared_with_is_a_comparator(small: Taxonomy) -> None:
    abstract = "METHODS: Patients were randomised to interpersonal psychotherapy or to usual care."
    assert roles(small, abstract, "ipt") == {"arm"}
    assert roles(small, abstract, "usual-care") == {"comparator"}


def test_what_is_given_with_the_studied_treatment_is_no_comparator(small: Taxonomy) -> None:
    abstract = "METHODS: Patients were randomised to IPT plus fluoxetine or to a waiting list."
    assert "comparator" not in roles(small, abstract, "drug")
    assert roles(small, abstract, "waiting-list") == {"comparator"}


def test_what_every_arm_has_is_shared(small: Taxonomy) -> None:
    abstract = "METHODS: Patients were randomised to fluoxetine plus IPT or to fluoxetine plus CBT."
    assert roles(small, abstract, "drug") == {"shared by both arms"}


def test_where_the_topic_is_not_named_the_first_treatment_is_the_studied_one(small: Taxonomy) -> None:
    found = arms(
        small, "METHODS: Patients were randomised to cognitive therapy or usual care.", "Cognitive therapy for mothers"
    )
    assert found == {arm("cbt", studied=True), arm("usual-care")}


def signs_of(book: Taxonomy, value: str, abstract: str, title: str | None = None) -> set[str]:
    reading = read(title, abstract, book)
    number = next(place for place, key in enumerate(book.keys) if key == ("versus", value))
    return {NAMES[sign] for sign in numbers(reading.signs[number])}


def test_two_treatments_of_one_kind_are_two_arms(small: Taxonomy) -> None:
    """The second is a comparator, although the first of its kind is the studied treatment; neither is shared."""
    title, abstract = "Cognitive therapy for mothers", "METHODS: Mothers were randomised to cognitive therapy or CBT."
    assert "comparator" not in roles(small, abstract, "cbt", title), "the long and the short form name one treatment"
    abstract = "METHODS: Mothers were randomised to cognitive therapy or prolonged exposure."
    assert roles(small, abstract, "cbt", title) == {"arm", "comparator"}
    assert "treatment another-of-its-kind in methods" in signs_of(small, "cbt", abstract, title)


def test_the_order_of_the_arms_is_a_sign(small: Taxonomy) -> None:
    abstract = (
        "METHODS: We randomised to IPT plus fluoxetine, CBT or usual care. RESULTS: CBT was better than usual care."
    )
    found = signs_of(small, "usual-care", abstract)
    assert {"treatment later-arm in methods", "treatment alone in methods", "an arm of its own"} <= found
    assert "another arm in two sentences" in found
    assert "treatment alone in methods" not in signs_of(small, "drug", abstract)
    assert "studied, and another treatment is compared" not in found


def test_a_studied_treatment_is_known_by_what_it_is_compared_with(small: Taxonomy) -> None:
    abstract = "METHODS: Mothers were randomised to cognitive therapy or usual care."
    assert "studied, and another treatment is compared" in signs_of(
        small, "cbt", abstract, "Cognitive therapy for mothers"
    )


def test_an_arm_is_quoted_where_it_is_named(small: Taxonomy) -> None:
    abstract = "METHODS: Patients were randomised to IPT plus fluoxetine or to usual care."
    quotes = {abstract[found.start : found.stop] for found in read(None, abstract, small).arms}
    assert quotes == {"IPT plus fluoxetine", "usual care"}


def test_another_treatment_of_the_studied_kind_is_compared(small: Taxonomy) -> None:
    """Where the topic is not named, the studied treatment is known by its words: prolonged exposure is a kind of it, and another
    one."""
    title = "Cognitive therapy for mothers"
    abstract = "METHODS: Mothers were randomised to cognitive therapy or usual care; some were compared with prolonged exposure."
    found = signs_of(small, "cbt", abstract, title)
    assert {"treatment studied in methods", "treatment another-of-its-kind in methods"} <= found
    assert {"studied, and another treatment is compared", "another arm in one sentence"} <= found
    found = signs_of(small, "cbt", "METHODS: Mothers were randomised to cognitive therapy or usual care.", title)
    assert "treatment another-of-its-kind in methods" not in found


def test_the_words_of_one_treatment_side_by_side_are_one_arm(small: Taxonomy) -> None:
    assert arms(small, "METHODS: Mothers were randomised to IPT antidepressants or usual care.") == {
        arm("ipt", "drug", studied=True),
        arm("usual-care"),
    }
    several = arms(small, "METHODS: Mothers were randomised to IPT, antidepressants or usual care.")
    assert several == {IPT, arm("drug"), arm("usual-care")}, "a comma separates two treatments"


def test_a_comparison_in_the_background_counts_if_the_study_is_the_texts_own(small: Taxonomy) -> None:
    sentence = "cognitive therapy will be compared with usual care"
    title = "Cognitive therapy for mothers"
    found = arms(small, f"BACKGROUND: In this trial, {sentence}.", title)
    assert found == {arm("cbt", studied=True), arm("usual-care")}
    assert arms(small, "BACKGROUND: Cognitive therapy was compared with usual care in Uganda.", title) == set()


def test_loose_words_alone_do_not_name_the_topics_treatment(tmp_path: Path) -> None:
    """The form of a treatment ("group sessions") is not the treatment: what the title names is studied."""
    facets = FACETS | {
        "therapy": {
            "about": "treatment",
            "general": "ipt",
            "values": {"ipt": {"words": ["IPT"]}, "ipt-group": {"words": ["group IPT"], "loose": ["group sessions"]}},
        }
    }
    book = small_taxonomy(tmp_path, facets)
    abstract = (
        "METHODS: Women were randomised to cognitive therapy or usual care. RESULTS: They had ten group sessions."
    )
    assert arms(book, abstract, "Cognitive therapy for women") == {arm("cbt", studied=True), arm("usual-care")}
    assert arms(book, f"{abstract} IPT was given too.", "Cognitive therapy for women") == {
        arm("cbt"),
        arm("usual-care"),
    }
