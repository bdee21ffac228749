"""What is read in a text → tags: which values, with which places, and a sentence that says how."""

from __future__ import annotations

import pytest

from evidence.data_model import Doi, Match, Tag, Work
from evidence.rules import taxonomy
from evidence.rules.decide import FULL, RIVAL_SIGNS, TITLE, Model
from evidence.rules.mention_roles import ROLES
from evidence.rules.signs import KINDS, NAMES
from evidence.rules.tag import MATCHES_PER_TAG, tag, why_without
from evidence.rules.taxonomy import Taxonomy
from tests.rules.small_topic import small_taxonomy

DOI = Doi("10.1000/x")
ALONE = (0.0, 1.0, *(0.0 for _ in RIVAL_SIGNS[1:]))
"""A last step in which rivals count nothing."""
SURE = Model(10.0, tuple(0.0 for _ in NAMES), ALONE, {"stated": 0.9, "likely": 0.6, "implied": 0.3})
"""Gives every value whose words are there."""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Taxonomy:
    return small_taxonomy(tmp_path_factory.mktemp("small"))


@pytest.fixture
def sure(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, SURE)


def use(monkeypatch: pytest.MonkeyPatch, model: Model) -> None:
    """Decide with this model, whatever a facet is about."""
    models = {(about, text): model for about in KINDS for text in (FULL, TITLE)}
    monkeypatch.setattr("evidence.rules.tag.models", lambda: models)


def leaning(**weights: float) -> Model:
    """A model that is undecided but for these signs of the text."""
    by_number = {NAMES.index(name.replace("_", " ")): weight for name, weight in weights.items()}
    return Model(0.0, tuple(by_number.get(number, 0.0) for number in range(len(NAMES))), ALONE, SURE.least)


def tags(book: Taxonomy, title: str | None, abstract: str | None = None) -> dict[tuple[str, str], Tag]:
    return {(t.facet, t.value): t for t in tag(Work(doi=DOI, title=title, abstract=abstract), book)}


def test_a_value_needs_its_words(small: Taxonomy, sure: None) -> None:
    assert set(tags(small, "Interpersonal psychotherapy and anxiety")) == {("therapy", "ipt"), ("outcome", "anxiety")}
    assert tags(small, "A note on trains") == {}
    assert tags(small, None) == {}
    assert tags(small, None, "Costs were lower.").keys() == {("outcome", "cost")}


def test_tags_come_in_the_order_of_the_taxonomy(small: Taxonomy, sure: None) -> None:
    found = list(tags(small, "A randomised trial of anxiety, CBT and interpersonal therapy", "IPT for teenagers."))
    assert found == [key for key in small.keys if key in found]
    assert len(found) == 6


def test_the_places_are_those_of_the_text(small: Taxonomy, sure: None) -> None:
    found = tags(small, "A Randomized Trial", "Anxiety was the outcome, and anxiety alone.")
    assert found["design", "rct"].matches == (Match("design", "title", 2, 18, "Randomized Trial"),)
    quotes = [match.quote for match in found["outcome", "anxiety"].matches]
    assert quotes == ["Anxiety"], "a word is shown once"


def test_few_places_are_shown(small: Taxonomy, sure: None) -> None:
    abstract = (
        "METHODS: We measured depressive symptoms by HAM-D, HAM-Ds, Hamilton depression and depressive symptom scores."
    )
    found = tags(small, "Interpersonal psychotherapy", abstract)["outcome", "depression"]
    assert len(found.matches) == MATCHES_PER_TAG


def test_what_stands_in_the_background_is_no_reason_beside_what_was_measured(small: Taxonomy, sure: None) -> None:
    abstract = "BACKGROUND: Depressive symptoms are common. METHODS: We used the HAM-D. RESULTS: HAM-D scores fell."
    found = tags(small, "Interpersonal psychotherapy", abstract)["outcome", "depression"]
    assert [match.quote for match in found.matches] == ["HAM-D"]


def test_how_is_a_sentence_with_the_words(small: Taxonomy, sure: None) -> None:
    abstract = "METHODS: Depressive symptoms were measured with the HAM-D. RESULTS: Depression fell."
    found = tags(small, "Interpersonal psychotherapy", abstract)["outcome", "depression"]
    assert found.how is not None
    assert found.how.startswith("Depression: measured (“Depressive symptoms”, “HAM-D”)") and found.how.endswith(".")
    assert "\n" not in found.how
    assert {match.rule for match in found.matches} <= set(ROLES)


def test_strength_and_certainty_follow_the_probability(small: Taxonomy, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, leaning(title_alone=1.0))
    likely = tags(small, "Anxiety")["outcome", "anxiety"]
    assert (likely.strength, likely.certainty, likely.decided) == ("likely", 0.731, "rule")
    use(monkeypatch, leaning(title_alone=-0.5))
    assert tags(small, "Anxiety")["outcome", "anxiety"].strength == "implied"
    use(monkeypatch, leaning(title_alone=-2.0))
    assert tags(small, "Anxiety") == {}


def test_the_general_value_and_a_group_of_people_make_a_special_one(
    small: Taxonomy, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = {"made_with_a_tag_of_another_facet": 5.0, "a_value_made_of_it_applies": -9.0, "title_alone": 3.0}
    use(monkeypatch, leaning(**weights))
    found = tags(small, "Interpersonal psychotherapy for depressed adolescents")
    assert {value for facet, value in found if facet == "therapy"} == {"ipt-young"}
    quotes = [match.quote for match in found["therapy", "ipt-young"].matches]
    assert quotes == ["Interpersonal psychotherapy", "adolescents"], "both words are behind it"
    alone = tags(small, "Interpersonal psychotherapy for older adults")
    assert {value for facet, value in alone if facet == "therapy"} == {"ipt"}


def test_a_longer_word_of_the_facet_hides_the_one_inside(small: Taxonomy, sure: None) -> None:
    found = tags(small, "Group interpersonal psychotherapy")
    assert {value for facet, value in found if facet == "therapy"} == {"ipt-group"}


def test_what_nobody_could_doubt_is_shown_with_the_shipped_words(book: Taxonomy) -> None:
    abstract = (
        "OBJECTIVE: To compare interpersonal psychotherapy with cognitive behavioural therapy for major depression. "
        "METHODS: In a randomised controlled trial, 120 adult outpatients with major depression were randomly assigned to "
        "interpersonal psychotherapy or cognitive behavioural therapy. The primary outcome was depressive symptoms, measured "
        "with the Hamilton Rating Scale for Depression. RESULTS: Depressive symptoms decreased in both groups."
    )
    title = "Interpersonal psychotherapy versus cognitive behavioural therapy for major depression: randomised controlled trial"
    found = {key for key, t in tags(book, title, abstract).items() if t.strength != "implied"}
    assert {
        ("variant", "ipt"),
        ("comparator", "cbt"),
        ("outcome", "depressive-symptoms"),
        ("condition", "depression"),
        ("design", "rct"),
    } <= found


def test_the_shipped_words_are_read_in_both_topics() -> None:
    found = tags(taxonomy.load("mindfulness"), "Mindfulness-based cognitive therapy for recurrent depression")
    assert ("programme", "mbct") in found


def test_the_type_of_the_record_states_a_value() -> None:
    book = taxonomy.load()
    (chapter,) = tag(Work(doi=DOI, title="Research note", kind="book-chapter"), book)
    assert (chapter.facet, chapter.value, chapter.strength) == ("design", "book-chapter", "stated")
    assert chapter.matches == (Match("design", "kind", 0, len("book-chapter"), "book-chapter"),)
    assert chapter.how is not None and "type of the record" in chapter.how
    assert tag(Work(doi=DOI, title="Research note", kind="journal-article"), book) == ()
    assert tag(Work(doi=DOI, kind="book-chapter"), book) == (chapter,), "a record without words"


def test_why_a_text_does_not_get_a_tag(small: Taxonomy) -> None:
    key = ("outcome", "depression")
    assert why_without("A study of sleep", None, key, small) == "No word of it stands in title or abstract."
    assert why_without("A study of sleep", None, ("outcome", "gone"), small) == "There is no such value any more."
    background = why_without(
        "Sleep", "BACKGROUND: Depressive symptoms are common. METHODS: We measured sleep.", key, small
    )
    assert background == "Too little for a tag: what others report (“Depressive symptoms”)."
