"""What is read in a text → tags: which values, with which places, and a sentence that says how."""

from __future__ import annotations

import pytest

from evidence.data_model import Doi, Fact, Match, Tag, Work
from evidence.rules import taxonomy
from evidence.rules.decide import FULL, RIVAL_SIGNS, TITLE, Model
from evidence.rules.mention_roles import ROLES
from evidence.rules.signs import KINDS, NAMES
from evidence.rules.tag import MATCHES_PER_TAG, tag, why_without
from evidence.rules.taxonomy import Taxonomy
from tests.rules.small_topic import FACETS, small_taxonomy

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
    assert chapter.matches == (Match("fact", "kind", 0, len("book-chapter"), "book-chapter"),)
    assert chapter.how is not None and "type of the record" in chapter.how
    assert tag(Work(doi=DOI, title="Research note", kind="journal-article"), book) == ()
    assert tag(Work(doi=DOI, kind="book-chapter"), book) == (chapter,), "a record without words"


WITH_FACTS = FACETS | {
    "design": {
        "about": "design",
        "values": {
            "rct": {
                "words": ["randomised (trial|controlled trial)"],
                "publication_types": ["Randomized Controlled Trial"],
                "gives_way_to": ["follow-up", "protocol"],
            },
            "follow-up": {"words": ["follow-up of a trial"]},
            "protocol": {"words": ["study protocol"], "publication_types": ["Clinical Trial Protocol"]},
            "comment": {"words": ["comment"], "records": ["peer-review"], "publication_types": ["Letter", "Comment"]},
        },
    },
    "disorder": {
        "about": "condition",
        "values": {"depression": {"words": ["major depression"], "mesh": ["Depressive Disorder, Major"]}},
    },
}
RCT, DEPRESSION = ("design", "rct"), ("disorder", "depression")
TRIAL = Fact("publication-type", "Randomized Controlled Trial", "pubmed")
BY_TYPE = Match("fact", "publication-type", 0, 27, "Randomized Controlled Trial")


@pytest.fixture(scope="module")
def with_facts(tmp_path_factory: pytest.TempPathFactory) -> Taxonomy:
    return small_taxonomy(tmp_path_factory.mktemp("facts"), WITH_FACTS)


def tags_by(book: Taxonomy, title: str | None, *facts: Fact, kind: str | None = None) -> dict[tuple[str, str], Tag]:
    return {(t.facet, t.value): t for t in tag(Work(doi=DOI, title=title, kind=kind, facts=facts), book)}


def test_a_publication_type_states_a_value(with_facts: Taxonomy) -> None:
    how = "Rct: PubMed's publication type (“Randomized Controlled Trial”)."
    expected = {RCT: Tag(*RCT, (BY_TYPE,), "rule", "stated", 1.0, how)}
    assert tags_by(with_facts, "A note on trains", TRIAL) == expected
    assert tags_by(with_facts, None, TRIAL) == expected, "a work without words"
    assert tags_by(with_facts, "A note on trains", Fact("publication-type", "Clinical Trial", "pubmed")) == {}
    assert tags_by(with_facts, "A note on trains", Fact("mesh", "Randomized Controlled Trial", "pubmed")) == {}


def test_a_heading_states_a_value_only_as_a_main_topic(with_facts: Taxonomy) -> None:
    major = tags_by(with_facts, None, Fact("mesh", "Depressive Disorder, Major/therapy", "europepmc", major=True))
    assert (major[DEPRESSION].strength, major[DEPRESSION].certainty) == ("stated", 1.0)
    assert major[DEPRESSION].how == "Depression: Europe PMC's main topic (“Depressive Disorder, Major”)."
    minor = tags_by(with_facts, None, Fact("mesh", "Depressive Disorder, Major", "europepmc"))
    assert (minor[DEPRESSION].strength, minor[DEPRESSION].certainty) == ("likely", 0.7)
    assert minor[DEPRESSION].how == "Depression: Europe PMC's MeSH heading (“Depressive Disorder, Major”)."


def test_facts_of_several_fields_state_one_value_together(with_facts: Taxonomy) -> None:
    facts = (Fact("publication-type", "Comment", "pubmed"), Fact("publication-type", "Letter", "pubmed"))
    for order in (facts, facts[::-1]):
        (found,) = tags_by(with_facts, None, *order, kind="peer-review").values()
        assert found.how == (
            "Comment: the type of the record (“peer-review”), PubMed's publication type (“Comment”, “Letter”)."
        )
        assert [match.quote for match in found.matches] == ["peer-review", "Comment", "Letter"]


def test_a_tag_of_text_and_fact_has_the_places_of_both(with_facts: Taxonomy, monkeypatch: pytest.MonkeyPatch) -> None:
    title = "A randomised trial, and a randomised controlled trial, and randomised trials"
    use(monkeypatch, leaning(title_alone=1.0))
    alone, both = tags_by(with_facts, title)[RCT], tags_by(with_facts, title, TRIAL)[RCT]
    assert (alone.strength, both.strength, both.certainty) == ("likely", "stated", 1.0)
    assert len(alone.matches) == MATCHES_PER_TAG
    assert both.matches == (*alone.matches, BY_TYPE), "the text comes first"
    assert both.how == (
        "Rct: in the title (“randomised trial”, “randomised controlled trial”), "
        "PubMed's publication type (“Randomized Controlled Trial”)."
    )


def test_the_text_keeps_its_strength_where_the_fact_says_less(with_facts: Taxonomy, sure: None) -> None:
    heading = Fact("mesh", "Depressive Disorder, Major", "pubmed")
    alone = tags_by(with_facts, "Major depression")[DEPRESSION]
    both = tags_by(with_facts, "Major depression", heading)[DEPRESSION]
    assert (alone.strength, both.strength, both.certainty) == ("stated", "stated", alone.certainty)
    assert len(both.matches) == 2 and both.how is not None and "MeSH heading" in both.how


def test_a_fact_only_implies_a_value_that_gives_way_to_another_that_applies(with_facts: Taxonomy, sure: None) -> None:
    by_text = tags_by(with_facts, "A follow-up of a trial", TRIAL)
    assert (by_text["design", "follow-up"].strength, by_text[RCT].strength) == ("stated", "implied")
    protocol = Fact("publication-type", "Clinical Trial Protocol", "pubmed")
    by_fact = tags_by(with_facts, "A note on trains", TRIAL, protocol)
    assert (by_fact["design", "protocol"].strength, by_fact[RCT].strength) == ("stated", "implied")
    said_too = tags_by(with_facts, "Study protocol of a randomised trial", TRIAL)
    assert said_too[RCT].strength == "stated", "what the text says by itself stays"


def test_an_implied_value_takes_nothing_from_a_fact(with_facts: Taxonomy, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, leaning(title_alone=-0.5))
    found = tags_by(with_facts, "A follow-up of a trial", TRIAL)
    assert (found["design", "follow-up"].strength, found[RCT].strength) == ("implied", "stated")


def test_tags_of_text_and_facts_come_in_the_order_of_the_taxonomy(with_facts: Taxonomy, sure: None) -> None:
    found = list(
        tags_by(with_facts, "Anxiety and a comment", TRIAL, Fact("mesh", "Depressive Disorder, Major", "pubmed"))
    )
    assert found == [("outcome", "anxiety"), DEPRESSION, RCT, ("design", "comment")]


@pytest.mark.parametrize("topic", ["ipt", "mindfulness"])
@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("Randomized Controlled Trial", "rct"),
        ("Clinical Trial Protocol", "protocol"),
        ("Observational Study", "cohort"),
        ("Case Reports", "case-report-series"),
        ("Meta-Analysis", "meta-analysis"),
        ("Systematic Review", "systematic-review"),
        ("Review", "narrative-review"),
        ("Practice Guideline", "guideline"),
        ("Editorial", "commentary"),
        ("Randomized Controlled Trial, Veterinary", None),
        ("Controlled Clinical Trial", None),
        ("Pragmatic Clinical Trial", None),
        ("Journal Article", None),
    ],
)
def test_what_the_publication_types_of_medline_state(topic: str, written: str, value: str | None) -> None:
    found = tags_by(taxonomy.load(topic), None, Fact("publication-type", written, "pubmed"))
    assert [key for key in found if found[key].strength == "stated"] == ([("design", value)] if value else [])


def test_a_systematic_review_is_no_narrative_review_because_it_is_a_review(book: Taxonomy) -> None:
    types = [Fact("publication-type", written, "pubmed") for written in ("Review", "Systematic Review")]
    found = tags_by(book, "Psychotherapies for depression", *types)
    assert found["design", "narrative-review"].strength == "implied"


@pytest.mark.parametrize("heading", ["Adolescent", "Adult", "Aged", "Female", "Pregnancy", "Child"])
def test_check_tags_say_nothing(book: Taxonomy, heading: str) -> None:
    assert tags_by(book, None, Fact("mesh", heading, "pubmed")) == {}


TO_COME = "CONCLUSIONS: Interpersonal psychotherapy helped. It should be studied in adolescents with bulimia nervosa."


def test_who_is_yet_to_be_studied_took_no_part(book: Taxonomy) -> None:
    abstract = (
        "METHODS: 80 women with major depression were randomised to interpersonal psychotherapy or usual care. "
        + TO_COME
    )
    work = Work(Doi("10.5555/x"), title="Interpersonal psychotherapy for depressed women: a trial", abstract=abstract)
    given = {(found.facet, found.value) for found in tag(work, book)}
    assert ("condition", "depression") in given
    assert not given & {("population", "adolescents"), ("condition", "eating-disorder")}
    why = why_without(work.title, work.abstract, ("population", "adolescents"), book)
    assert why == "The text names it as something yet to be studied: named in the conclusions (“adolescents”)."


def test_why_a_text_does_not_get_a_tag(small: Taxonomy) -> None:
    key = ("outcome", "depression")
    assert why_without("A study of sleep", None, key, small) == "No word of it stands in title or abstract."
    assert why_without("A study of sleep", None, ("outcome", "gone"), small) == "There is no such value any more."
    background = why_without(
        "Sleep", "BACKGROUND: Depressive symptoms are common. METHODS: We measured sleep.", key, small
    )
    assert background == "Too little for a tag: what others report (“Depressive symptoms”)."
