"""`evidence check` says when a search and the screening rules speak of different things."""

from __future__ import annotations

from pathlib import Path

import pytest

from evidence import strict_yaml
from evidence.errors import ConfigError
from evidence.harvest import phrases_and_screening, sources
from evidence.harvest.sources import Search
from evidence.rules import taxonomy
from evidence.rules.taxonomy import Taxonomy

ONE = """
sources:
  - id: one
    kind: search
    label: One
    query: {{bibliographic: {query}}}
    phrases: {phrases}
    also: {also}
"""


def search(phrases: list[str], query: str = "words", also: list[str] | None = None) -> Search:
    (found,) = sources.check(
        strict_yaml.parse(ONE.format(query=query, phrases=phrases, also=also or []), "sources.yaml")
    ).sources
    assert isinstance(found, Search)
    return found


@pytest.mark.parametrize(
    ("phrases", "query", "also", "fits"),
    [
        (["interpersonal psychotherap*"], "words", [], True),
        (["interpersonal counsel*"], "words", [], True),
        (["cognitive and interpersonal"], "interpersonal psychotherapies", [], True),
        (["IPT"], "words", ["depress*"], True),
        (["mindfulness", "tinnitus"], "mindfulness tinnitus", [], False),
        (["mindfulness-based cognitive therap*"], "mindfulness", ["depress*"], False),
        (["psychotherapy for tinnitus"], "tinnitus", [], False),
    ],
)
def test_a_search_fits_the_screening_rules(
    book: Taxonomy, phrases: list[str], query: str, also: list[str], fits: bool
) -> None:
    assert phrases_and_screening.speaks_of_topic(search(phrases, query, also), book) == fits


def test_the_complaint_names_the_search_and_the_remedy(book: Taxonomy) -> None:
    config = sources.check(
        strict_yaml.parse(
            ONE.format(query="mindfulness tinnitus", phrases="[mindfulness, tinnitus]", also="[]"), "s.yaml"
        )
    )
    with pytest.raises(ConfigError) as caught:
        phrases_and_screening.refuse_other_topics(config, book, Path("s.yaml"))
    message = str(caught.value)
    assert message.startswith("s.yaml: the search 'one' and the screening rules speak of different things")
    assert "“mindfulness”, “tinnitus”" in message
    assert "name another with `topic:`, or edit" in message and message.endswith("screen.yaml")


def test_reference_lists_are_not_asked(book: Taxonomy) -> None:
    lists = "sources:\n  - {id: a, kind: references, label: A, citations: [{text: Tinnitus and mindfulness. 2019.}]}\n"
    phrases_and_screening.refuse_other_topics(sources.check(strict_yaml.parse(lists, "s.yaml")), book, Path("s.yaml"))


def test_two_topics_do_not_take_each_other() -> None:
    for name, other in (("ipt", "mindfulness"), ("mindfulness", "ipt")):
        with pytest.raises(ConfigError):
            phrases_and_screening.refuse_other_topics(
                sources.load(
                    Path(__file__).parents[2] / "sources.yaml"
                    if name == "ipt"
                    else taxonomy.load(name).topic.folder / "sources.yaml"
                ),
                taxonomy.load(other),
                Path("s.yaml"),
            )
