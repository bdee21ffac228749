"""Rows → JSON-LD in the core vocabulary of evidence-repository.org, for repositories that exchange codings of studies.

Each work is a linked-data enhancement about a reference, with one investigation. Each tag is a coding annotation: the coded
value, the quoted text, who coded it, its status. The vocabulary's findings have what tags say and no more: tags do not say which
outcome was found in which comparison, so no finding has both, and there are no results. `docs/exports.md` has the table of what
goes where. The context is in the file, so no program has to fetch one. Pure: rows in, text out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from evidence.author_names import full_name
from evidence.export import concept_iris, embedded_metadata, linked_data
from evidence.export.columns import Layout, Row
from evidence.export.linked_data import Concepts, known
from evidence.export.ris_bibtex_csl import as_of_sentence

EVREPO = "https://vocab.evidence-repository.org/"
SCHEMA = "https://schema.org/"
SKOS = "http://www.w3.org/2004/02/skos/core#"

_IRI = {"@type": "@id"}
CONTEXT: Mapping[str, Any] = {
    "evrepo": EVREPO,
    "schema": SCHEMA,
    "skos": SKOS,
    "facet": concept_iris.FACETS,
    "term": concept_iris.TERMS,
    **{
        name: f"evrepo:{name}"
        for name in (
            "LinkedDataEnhancement", "Investigation", "Finding", "Context", "Condition", "Intervention", "ControlCondition",
            "Outcome", "CodingAnnotation", "StringCodingAnnotation", "codedValue", "supportingText", "codedBy",
        )
    },
    **{
        name: {"@id": f"evrepo:{name}", **_IRI}
        for name in (
            "hasInvestigation", "hasFinding", "hasContext", "hasOutcome", "hasAppliedConcept", "evaluates", "comparedTo",
        )
    },
    "status": {"@id": "evrepo:status", "@type": "@vocab"},  # with @id, `coded` would be an address beside the file
    "coded": "evrepo:coded",
    "Concept": "skos:Concept",
    "prefLabel": {"@id": "skos:prefLabel", "@language": "en"},
    "about": {"@id": "schema:about", **_IRI},
    "name": "schema:name",
    "author": "schema:author",
    "datePublished": "schema:datePublished",
    "isPartOf": "schema:isPartOf",
    "identifier": "schema:identifier",
    "propertyID": "schema:propertyID",
    "value": "schema:value",
    "creativeWorkStatus": "schema:creativeWorkStatus",
    **{name: f"term:{name}" for name in ("verdict", "decided", "strength", "certainty", "screenedOn", "notice")},
    "comment": "http://www.w3.org/2000/01/rdf-schema#comment",
}  # fmt: skip
"""The terms of the file. Those of the vocabulary have its names."""

OF_INTERVENTION = frozenset({"format"})
"""Facets about the therapy as it was given, beside the topic's facet of interventions."""
OF_CONTEXT = frozenset({"population", "condition", "problem_area"})
"""Facets about the people that were studied."""
COMPARATOR = "comparator"
NO_COMPARATOR = "none"
"""The value for a study without a comparison: there is no condition to compare with, so it stays with the investigation."""
OUTCOME = "outcome"

# Both are conditions, which the shapes ask for. It is said, so that they hold without the vocabulary beside them.
_INTERVENTION = ["Intervention", "Condition"]
_CONTROL = ["ControlCondition", "Condition"]

IDENTIFIERS = {
    "doi": "doi",
    "local_id": "local-id",
    "pmid": "pmid",
    "pmcid": "pmcid",
    "openalex": "openalex",
    "registrations": "registration",
}
"""Columns of a row → the `propertyID` of their identifiers."""


def json_ld(rows: Iterable[Row], layout: Layout | None = None) -> Iterator[str]:
    """The file: a context, and a graph with one member a work."""
    concepts = Concepts(layout)
    intervention = layout.topic.intervention if layout and layout.topic else "variant"
    head = f'{{"@context": {json.dumps(CONTEXT)},\n"@graph": ['
    members = (_enhancement(row, number, concepts, intervention) for number, row in enumerate(rows, 1))
    return linked_data.document(head, members, "]}")


def _enhancement(row: Row, number: int, concepts: Concepts, intervention: str) -> dict[str, Any]:
    return {
        "@type": "LinkedDataEnhancement",
        "about": _reference(row),
        "hasInvestigation": _investigation(row, number, concepts, intervention),
    }


def _reference(row: Row) -> dict[str, Any]:
    """What was published, in the words of schema.org."""
    listed = [
        {"@type": "schema:PropertyValue", "propertyID": kind, "value": value}
        for column, kind in IDENTIFIERS.items()
        for value in _several(row.get(column))
    ]
    container = {"@type": "schema:CreativeWork", "name": row["container"]} if row["container"] else None
    people = [
        {"@type": "schema:Organization" if person.get("name") else "schema:Person", "name": full_name(person)}
        for person in row["authors_full"]
        if (person.get("role") or "author") == "author"
    ]
    return {
        "@id": concept_iris.work(row["doi"], row.get("local_id")),
        "@type": f"schema:{embedded_metadata.schema_type(row['kind'])}",
    } | known(
        {
            "name": row["title"],
            "author": people,
            "datePublished": row["issued"] or (str(row["year"]) if row["year"] else None),
            "isPartOf": container,
            "identifier": listed,
            "creativeWorkStatus": embedded_metadata.work_status(row["notice"]),
        }
    )


def _several(value: Any) -> Iterable[str]:
    return value if isinstance(value, (tuple, list)) else embedded_metadata.parts(value)


def _investigation(row: Row, number: int, concepts: Concepts, intervention: str) -> dict[str, Any]:
    by_facet: dict[str, list[dict[str, Any]]] = {}
    applied: list[str] = []
    comparators: list[dict[str, Any]] = []
    for tag in row["tag_rows"]:
        compared = tag["facet"] == COMPARATOR and tag["value"] != NO_COMPARATOR
        codings = comparators if compared else by_facet.setdefault(tag["facet"], [])
        codings.append(_coding(row, tag, concepts))
        applied.append(concepts.iri((tag["facet"], tag["value"])))
    outcomes = by_facet.pop(OUTCOME, [])
    of_intervention = {
        facet: by_facet.pop(facet) for facet in (intervention, *sorted(OF_INTERVENTION)) if facet in by_facet
    }
    of_context = {facet: by_facet.pop(facet) for facet in sorted(OF_CONTEXT) if facet in by_facet}
    findings = _findings(
        _node("intervention", number, _INTERVENTION, of_intervention),
        _node("context", number, "Context", of_context),
        outcomes,
        comparators,
    )
    of_day = as_of_sentence(row)
    return {
        "@type": "Investigation",
        "verdict": _verdict(row),
        **known({"screenedOn": row["judged_on"], "notice": row["notice"], "comment": of_day}),
        **known({"hasAppliedConcept": applied}),
        **{f"facet:{facet}": codings for facet, codings in by_facet.items()},
        **known({"hasFinding": findings}),
    }


def _node(
    name: str, number: int, kind: str | list[str], by_facet: Mapping[str, list[dict[str, Any]]]
) -> dict[str, Any] | None:
    """The intervention or the context of a work's findings, which they share; None where no tag is about it."""
    if not by_facet:
        return None
    return {
        "@id": f"_:{name}{number}",
        "@type": kind,
        **{f"facet:{facet}": codings for facet, codings in by_facet.items()},
    }


def _findings(
    intervention: dict[str, Any] | None,
    context: dict[str, Any] | None,
    outcomes: list[dict[str, Any]],
    comparators: list[dict[str, Any]],
) -> list[dict[str, Any]]:
    """A finding for each outcome and one for each comparator; one without either where only the rest is known. The vocabulary's
    finding is one comparison for one outcome, and has one of each at most."""
    parts: list[dict[str, Any]] = [
        *({"hasOutcome": {"@type": "Outcome", f"facet:{OUTCOME}": [coding]}} for coding in outcomes),
        *({"comparedTo": {"@type": _CONTROL, f"facet:{COMPARATOR}": [coding]}} for coding in comparators),
    ]
    shared = known({"evaluates": intervention, "hasContext": context})
    if not parts:
        return [{"@type": "Finding", **shared}] if shared else []
    again = {name: {"@id": node["@id"]} for name, node in shared.items()}
    return [{"@type": "Finding", **(again if place else shared), **part} for place, part in enumerate(parts)]


def _coding(row: Row, tag: Mapping[str, Any], concepts: Concepts) -> dict[str, Any]:
    key = (tag["facet"], tag["value"])
    by_person = tag["tag_decided"] == "person"
    decided = row.get("tag_decisions", {}).get(key) if by_person else None
    quotes = [place.quote for place in row.get("tag_places", {}).get(key, ())]
    return {
        "@type": "CodingAnnotation",
        "codedValue": {"@id": concepts.iri(key), "@type": "Concept", **known({"prefLabel": concepts.label(key)})},
        **known({"supportingText": linked_data.one_or_all(quotes)}),
        "codedBy": linked_data.reviewer(row, key) if by_person else linked_data.RULES,
        "status": "coded",
        **known(
            {
                "decided": tag["tag_decided"],
                "strength": tag["strength"],
                "certainty": tag["certainty"],
                "comment": linked_data.without_addresses(decided.reason) if decided else tag["how"],
            }
        ),
    }


def _verdict(row: Row) -> dict[str, Any]:
    """The verdict as a coding. The text behind it is today's, so it is left out of a row of a past day."""
    key = ("verdict", row["verdict"])
    by_person = row["decided"] == "person"
    places = () if row.get("as_of") or by_person else row.get("tag_places", {}).get(key, ())
    coder = linked_data.REVIEWER if row.get("as_of") else linked_data.reviewer(row, key)
    return {
        "@type": "StringCodingAnnotation",
        "codedValue": row["verdict"],
        **known({"supportingText": linked_data.one_or_all(place.quote for place in places)}),
        "codedBy": coder if by_person else linked_data.RULES,
        "status": "coded",
        "decided": row["decided"],
        **known({"comment": linked_data.without_addresses(row["why"] or "", linked_data.REVIEWER)}),
    }
