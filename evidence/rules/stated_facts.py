"""What is stated about a work beside its text → facts that may give a tag: the type of its record, publication types and MeSH
headings.

It brings what several providers say into one form. Which facts state which value, the taxonomy knows. It may not read a title or
an abstract, and gives no tags: `tag` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from evidence.data_model import PROVIDER_LABELS, Match, Strength, Work

FactField = Literal["kind", "publication-type", "mesh"]
"""The fields that may state a value: `kind`, the type of the record at Crossref; `publication-type`; `mesh`, a MeSH heading."""

FactKey = tuple[FactField, str]
"""A field and a fact in the form of `fact_key`."""

RULE = "fact"
"""Stands in a match where the role of a mention would stand."""


@dataclass(frozen=True, slots=True)
class StatedFact:
    """One fact as a work has it. `quote` is written as the first source writes it, a MeSH heading without its qualifier.
    `sources` are those that state it, none for the type of the record; `major`: a main topic by at least one of them."""

    field: FactField
    quote: str
    sources: tuple[str, ...] = ()
    major: bool = False

    @property
    def strength(self) -> Strength:
        """How surely the fact says a value. A heading that is no main topic may name what a study only touches."""
        return "likely" if self.field == "mesh" and not self.major else "stated"

    @property
    def match(self) -> Match:
        """The place: the stored text of such a field is the fact itself."""
        return Match(RULE, self.field, 0, len(self.quote), self.quote)


@lru_cache(maxsize=10_000)
def fact_key(field: FactField, written: str) -> FactKey:
    """The form in which facts are compared: no capitals, hyphens or repeated spaces, and no qualifier of a MeSH heading. Europe
    PMC has `systematic-review` from publishers beside PubMed's `Systematic Review`."""
    return field, " ".join(_heading(field, written).casefold().replace("-", " ").split())


def stated_facts(work: Work) -> dict[FactKey, StatedFact]:
    """The facts of a work that may state a value, each once, in an order that does not depend on that of `work.facts`."""
    said: dict[FactKey, list[tuple[int, str, str, bool]]] = {}
    for fact in work.facts:
        if fact.kind == "publication-type" or fact.kind == "mesh":
            entry = (_place(fact.source), fact.source, _heading(fact.kind, fact.value), fact.major)
            said.setdefault(fact_key(fact.kind, fact.value), []).append(entry)
    found = {fact_key("kind", work.kind): StatedFact("kind", work.kind)} if work.kind else {}
    for key in sorted(said):
        entries = sorted(said[key])
        sources = tuple(dict.fromkeys(source for _, source, _, _ in entries))
        found[key] = StatedFact(key[0], entries[0][2], sources, any(major for *_, major in entries))
    return found


def said_by(facts: Iterable[StatedFact]) -> str:
    """`PubMed and Europe PMC's publication type (“Practice Guideline”, “Guideline”), the type of the record (“book”)`"""
    by_source: dict[str, list[str]] = {}
    for fact in facts:
        by_source.setdefault(_name(fact), []).append(f"“{fact.quote}”")
    return ", ".join(f"{name} ({', '.join(quotes)})" for name, quotes in by_source.items())


_NAMES: Mapping[FactField, str] = {"publication-type": "publication type", "mesh": "MeSH heading"}


def _name(fact: StatedFact) -> str:
    if fact.field == "kind":
        return "the type of the record"
    labels = [PROVIDER_LABELS.get(source, source) for source in fact.sources]
    sources = " and ".join(filter(None, (", ".join(labels[:-1]), labels[-1])))
    return f"{sources}'s {'main topic' if fact.major else _NAMES[fact.field]}"


def _heading(field: FactField, written: str) -> str:
    """`Depressive Disorder/therapy` → `Depressive Disorder`; what other fields hold stays."""
    return (written.partition("/")[0] if field == "mesh" else written).rstrip()


def _place(source: str) -> int:
    """PubMed first, since publication types and headings are its own; then in the order of the labels."""
    order = ("pubmed", *PROVIDER_LABELS)
    return order.index(source) if source in order else len(order)
