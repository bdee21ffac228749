"""The taxonomy as a file: SKOS in Turtle and in JSON-LD for vocabulary tools, and CSV for spreadsheets.

Each facet is a concept scheme; each of its values is a concept, with the groups of the topic as broader concepts. The ids of
facets and values never change, and the names (IRIs) of concepts are made of them (`concept_iris`). A word of the rules is a label
only if it is literal text that names the value outright; everything else that is looked for is in notes, since a pattern is no
label and an instrument is not what it measures. Pure: a taxonomy in, text out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from evidence.export import concept_iris
from evidence.export.columns import Column
from evidence.export.csv_files import csv_table
from evidence.rules.taxonomy import OLDEST, Facet, Taxonomy, Value
from evidence.rules.topic import Topic
from evidence.rules.word_finder import spelt_out

SKOS = "http://www.w3.org/2004/02/skos/core#"
DCTERMS = "http://purl.org/dc/terms/"

_NO_TAG = "A heading for the tags below it. No work has it as a tag."
_PATTERN = re.compile(r"[*()\[\]]")
_FACTS = {"kind": "type of record", "publication-type": "publication type", "mesh": "MeSH heading"}


@dataclass(frozen=True, slots=True)
class Resource:
    """A concept scheme or a concept: its name, and what is said of it. `texts`: property → (text, language or ""); `links`:
    property → names. Properties are written with their prefixes."""

    iri: str
    kind: str
    texts: tuple[tuple[str, str, str], ...]
    links: tuple[tuple[str, str], ...]


def resources(book: Taxonomy, address: str | None) -> Iterator[Resource]:
    """The schemes, each followed by its concepts. `address` is that of the site, None where it is not known."""
    base = concept_iris.base(book.topic.id, address)
    related = _related(book)
    for facet in book.facets:
        grouped = [(label, values) for label, values in _groups(book.topic, facet) if label]
        above = {value: concept_iris.group(base, facet.facet, label) for label, values in grouped for value in values}
        tops = [concept_iris.group(base, facet.facet, label) for label, _ in grouped]
        tops += [concept_iris.value(base, facet.facet, value.id) for value in facet.values if value.id not in above]
        scheme = concept_iris.facet(base, facet.facet)
        yield _scheme(book.topic, facet, scheme, tops)
        for label, values in grouped:
            below = [("skos:narrower", concept_iris.value(base, facet.facet, value)) for value in values]
            yield Resource(
                concept_iris.group(base, facet.facet, label),
                "skos:Concept",
                (("skos:prefLabel", label, "en"), ("skos:scopeNote", _NO_TAG, "en")),
                (("skos:inScheme", scheme), ("skos:topConceptOf", scheme), *below),
            )
        for value in facet.values:
            iri = concept_iris.value(base, facet.facet, value.id)
            place = ("skos:broader", above[value.id]) if value.id in above else ("skos:topConceptOf", scheme)
            others = [
                ("skos:related", concept_iris.value(base, *key)) for key in related.get((facet.facet, value.id), ())
            ]
            yield Resource(
                iri, "skos:Concept", tuple(_texts(facet, value)), (("skos:inScheme", scheme), place, *others)
            )


def _groups(topic: Topic, facet: Facet) -> list[tuple[str, list[str]]]:
    return topic.in_groups(facet.facet, [value.id for value in facet.values])


def _related(book: Taxonomy) -> dict[tuple[str, str], list[tuple[str, str]]]:
    """Values that make another one together with the general value of its facet (`with`), and the other way round."""
    found: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for facet in book.facets:
        for value in facet.values:
            for other in value.with_:
                if other in book.tags:
                    found.setdefault((facet.facet, value.id), []).append(other)
                    found.setdefault(other, []).append((facet.facet, value.id))
    return {key: sorted(set(others)) for key, others in found.items()}


def _scheme(topic: Topic, facet: Facet, iri: str, tops: Iterable[str]) -> Resource:
    about = topic.facet(facet.facet)
    texts = (
        ("dcterms:title", f"{about.name[:1].upper()}{about.name[1:]}", "en"),
        ("dcterms:description", f"{about.holds} ({topic.title}).", "en"),
        ("skos:prefLabel", facet.label, "en"),
        ("skos:notation", facet.facet, ""),
    )
    return Resource(iri, "skos:ConceptScheme", texts, tuple(("skos:hasTopConcept", top) for top in tops))


def _texts(facet: Facet, value: Value) -> Iterator[tuple[str, str, str]]:
    yield "skos:prefLabel", value.label, "en"
    yield "skos:notation", f"{facet.facet}:{value.id}", ""
    yield "skos:definition", value.means, "en"
    names, found = labels(value)
    # The language of a word is not stated: some are German or Japanese.
    yield from (("skos:altLabel", word, "") for word in names)
    yield from (("skos:hiddenLabel", word, "") for word in found)
    yield from (("skos:scopeNote", note, "en") for note in notes(facet, value))
    if patterns := [word for word in value.words if _PATTERN.search(word)]:
        yield "skos:editorialNote", f"Patterns: {'; '.join(patterns)}", "en"
    yield from (("skos:example", example, "") for example in value.examples)


def labels(value: Value) -> tuple[list[str], list[str]]:
    """The words that name a value: those written out in its file, and those that its alternatives and optional words stand for.
    None is its label, and none occurs in both. A word with any ending (`*`) is no literal text."""
    names = [word for word in dict.fromkeys(value.words) if not _PATTERN.search(word) and word != value.label]
    spelt = [phrase for word in value.words if _PATTERN.search(word) for phrase in spelt_out(word)]
    known = {value.label, *names}
    return names, [phrase for phrase in dict.fromkeys(spelt) if phrase not in known and not _PATTERN.search(phrase)]


def notes(facet: Facet, value: Value) -> Iterator[str]:
    """What else the rules look for, each in one sentence."""
    if value.id == facet.general:
        yield "Given where no other value of this facet is."
    if value.instruments:
        yield f"Measured with: {'; '.join(value.instruments)}."
    if value.loose:
        yield f"Also meant by these words, in a fitting place: {'; '.join(value.loose)}."
    if value.never:
        yield f"Not meant by: {'; '.join(value.never)}."
    if value.ages:
        yield f"Ages: {_ages(value.ages)}."
    if value.facts:
        yield f"Stated by: {'; '.join(f'{_FACTS.get(kind, kind)} “{fact}”' for kind, fact in value.facts)}."
    if value.counterexamples:
        yield f"Not, for example: {'; '.join(value.counterexamples)}."


def _ages(ages: tuple[float, float]) -> str:
    first, last = ages
    return f"{first:g} to {last:g} years" if last < OLDEST else f"{first:g} years and older"


# ---------------------------------------------------------------- Turtle


def turtle(book: Taxonomy, address: str | None) -> Iterator[str]:
    """SKOS as Turtle."""
    yield f"@prefix skos: <{SKOS}> .\n@prefix dcterms: <{DCTERMS}> .\n"
    for each in resources(book, address):
        said: dict[str, list[str]] = {}
        for name, text, language in each.texts:
            said.setdefault(name, []).append(turtle_literal(text, language))
        for name, iri in each.links:
            said.setdefault(name, []).append(f"<{iri}>")
        lines = [f"a {each.kind}", *(f"{name} {', '.join(objects)}" for name, objects in said.items())]
        yield f"\n<{each.iri}> " + " ;\n    ".join(lines) + " .\n"


_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def turtle_literal(text: str, language: str) -> str:
    """A text as Turtle writes it."""
    escaped = "".join(_ESCAPES.get(char, char) for char in text)
    return f'"{escaped}"' + (f"@{language}" if language else "")


# ---------------------------------------------------------------- JSON-LD

_IN_ENGLISH = ("prefLabel", "definition", "scopeNote", "editorialNote")
_LINKS = ("inScheme", "topConceptOf", "hasTopConcept", "broader", "narrower", "related")
CONTEXT: Mapping[str, Any] = {
    "skos": SKOS,
    "dcterms": DCTERMS,
    "id": "@id",
    "type": "@type",
    "Concept": "skos:Concept",
    "ConceptScheme": "skos:ConceptScheme",
    "title": {"@id": "dcterms:title", "@language": "en"},
    "description": {"@id": "dcterms:description", "@language": "en"},
    **{name: {"@id": f"skos:{name}", "@language": "en"} for name in _IN_ENGLISH},
    **{name: f"skos:{name}" for name in ("notation", "altLabel", "hiddenLabel", "example")},
    **{name: {"@id": f"skos:{name}", "@type": "@id"} for name in _LINKS},
}


def json_ld(book: Taxonomy, address: str | None) -> Iterator[str]:
    """SKOS as JSON-LD, with its context."""
    graph = []
    for each in resources(book, address):
        said: dict[str, list[str]] = {}
        for name, text in (*((name, text) for name, text, _ in each.texts), *each.links):
            said.setdefault(name.partition(":")[2], []).append(text)
        facts = {name: texts[0] if len(texts) == 1 else texts for name, texts in said.items()}
        graph.append({"id": each.iri, "type": each.kind.partition(":")[2], **facts})
    yield json.dumps({"@context": CONTEXT, "@graph": graph}, ensure_ascii=False, indent=1) + "\n"


# ---------------------------------------------------------------- CSV

COLUMNS = (
    Column("iri", "The name of the tag in linked data."),
    Column("facet", "The facet."),
    Column("value", "The id of the value, which never changes."),
    Column("label", "What it is called."),
    Column("means", "Its definition."),
    Column("group", "The heading under which it is shown, if there is one."),
    Column("words", "Words that name it, in the rule language.", kind="list"),
    Column("instruments", "Instruments that measure it.", kind="list"),
    Column("loose", "Words that mean it in a fitting place only.", kind="list"),
    Column("not", "Words that do not mean it.", "never", kind="list"),
    Column("examples", "Titles that get the tag.", kind="list"),
    Column("counterexamples", "Titles that do not.", kind="list"),
)


def csv(book: Taxonomy, address: str | None) -> Iterator[str]:
    """A row a tag."""
    base = concept_iris.base(book.topic.id, address)

    def rows() -> Iterator[dict[str, Any]]:
        for facet in book.facets:
            group = {value: label for label, values in _groups(book.topic, facet) for value in values}
            for value in facet.values:
                of = {column.key: getattr(value, column.key, None) for column in COLUMNS}
                named = {"iri": concept_iris.value(base, facet.facet, value.id), "value": value.id}
                yield of | named | {"facet": facet.facet, "group": group[value.id]}

    return csv_table(COLUMNS, rows())


@dataclass(frozen=True, slots=True)
class TaxonomyFormat:
    """A format of the taxonomy: what writes it, the ending of its name, and its media type."""

    write: Callable[[Taxonomy, str | None], Iterator[str]]
    extension: str
    media_type: str


FORMATS: dict[str, TaxonomyFormat] = {
    "turtle": TaxonomyFormat(turtle, "ttl", "text/turtle; charset=utf-8"),
    "jsonld": TaxonomyFormat(json_ld, "jsonld", "application/ld+json"),
    "csv": TaxonomyFormat(csv, "csv", "text/csv; charset=utf-8"),
}
"""The formats, by the names that `evidence taxonomy --format` takes."""
