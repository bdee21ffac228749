"""Do the examples of a taxonomy's values get their value, and its counterexamples not? What `evidence check` and the tests ask.

It reads single sentences and a taxonomy. It may not change either.
"""

from __future__ import annotations

from collections.abc import Iterator

from evidence.data_model import SHOWN_STRENGTHS, Doi, Strength, Work
from evidence.rules.tag import tag
from evidence.rules.taxonomy import Taxonomy, Value

_NO_DOI = Doi("10.0/example")


def mistaken_examples(taxonomy: Taxonomy) -> tuple[str, ...]:
    """One sentence for each example that does not get its value, and for each counterexample that gets it as stated or likely.

    An example is read as a title, and as an abstract under a title that says nothing; any strength will do. A counterexample
    is read as a title, and may be implied. Facets of another topic are not read: they are tested with that one.
    """
    borrowed = {facet.id for facet in taxonomy.topic.facets if facet.borrowed}
    return tuple(
        sentence
        for facet in taxonomy.facets
        if facet.facet not in borrowed
        for value in facet.values
        for sentence in _mistaken(taxonomy, f"{facet.facet}:{value.id}", value)
    )


def _mistaken(taxonomy: Taxonomy, key: str, value: Value) -> Iterator[str]:
    for text in value.examples:
        if not any(_strengths(taxonomy, key, work) for work in _works(text)):
            yield f"{key}: the example {text!r} does not get it; add the words that name it there"
    for text in value.counterexamples:
        shown = _strengths(taxonomy, key, next(_works(text))) & set(SHOWN_STRENGTHS)
        if shown:
            yield (
                f"{key}: the counterexample {text!r} gets it ({', '.join(sorted(shown))}); make a word narrower, move it to "
                "`loose`, or name the phrase under `not`"
            )


def _works(text: str) -> Iterator[Work]:
    yield Work(doi=_NO_DOI, title=text)
    yield Work(doi=_NO_DOI, title="Research note", abstract=f"{text}.")


def _strengths(taxonomy: Taxonomy, key: str, work: Work) -> set[Strength]:
    return {found.strength for found in tag(work, taxonomy) if f"{found.facet}:{found.value}" == key}
