"""Rows → W3C Web Annotations: for each place in a title or an abstract the tag that it speaks for, for annotation tools.

One annotation is one reason: the target is the work's DOI with the quote and its position, the body is the tag. Only the quote is
given, never the text around it: abstracts belong to their publishers. A tag without a place in the text (a reviewer gave it, or
a fact beside the text) has an annotation of the whole work. Tags have no history, so only what a reviewer decided has a date.
Pure: rows in, text out.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from evidence.export import concept_iris, linked_data
from evidence.export.columns import Layout, Row
from evidence.export.linked_data import Concepts, known

CONTEXT = "http://www.w3.org/ns/anno.jsonld"
"""The standard requires this address. Annotation tools know what is behind it and do not fetch it."""
OWN_TERMS: Mapping[str, Any] = {
    "term": concept_iris.TERMS,
    **{name: f"term:{name}" for name in ("field", "role", "strength", "certainty", "decided")},
}
TEXTS = ("title", "abstract")
"""The fields of a work that are texts, in which a place has a position."""


def annotation_page(rows: Iterable[Row], layout: Layout | None = None) -> Iterator[str]:
    """The file: one page with all annotations. Its end has their number and a name that is made from theirs."""
    concepts = Concepts(layout)
    head = f'{{"@context": {json.dumps([CONTEXT, OWN_TERMS])},\n"type": "AnnotationPage", "startIndex": 0, "items": ['
    digest, total = hashlib.sha256(), 0

    def members() -> Iterator[dict[str, Any]]:
        nonlocal total
        for row in rows:
            for made in _of_work(row, concepts):
                total += 1
                digest.update(made["id"].encode())
                yield made

    yield from linked_data.document(head, members(), "],")
    collection = {
        "id": _urn("collection", digest.hexdigest()),
        "type": "AnnotationCollection",
        "label": "Tags of the evidence tracker and the text behind them",
        "total": total,
    }
    end = {"id": _urn("page", digest.hexdigest()), "partOf": collection}
    yield json.dumps(end).removeprefix("{") + "\n"


def _of_work(row: Row, concepts: Concepts) -> Iterator[dict[str, Any]]:
    """The annotations of a work, tag by tag."""
    work = concept_iris.work(row["doi"], row.get("local_id"))
    for tag in row["tag_rows"]:
        places = row.get("tag_places", {}).get((tag["facet"], tag["value"]), ())
        for place in places or (None,):
            yield _annotation(row, tag, place, work, concepts)


def _annotation(row: Row, tag: Mapping[str, Any], place: Any, work: str, concepts: Concepts) -> dict[str, Any]:
    key = (tag["facet"], tag["value"])
    decided = row.get("tag_decisions", {}).get(key) if tag["tag_decided"] == "person" else None
    where = (place.field, str(place.start), str(place.stop), place.role, place.quote) if place else ()
    creator = (
        {"type": "Person", "name": linked_data.reviewer(row, key)}
        if tag["tag_decided"] == "person"
        else {"type": "Software", "name": linked_data.RULES}
    )
    bodies: list[dict[str, Any]] = [{"id": concepts.iri(key), **known({"label": concepts.label(key)})}]
    if place and place.field not in TEXTS:
        bodies.append({"type": "TextualBody", "value": place.quote, "purpose": "describing"})
    return {
        "id": _urn(work, *key, *where),
        "type": "Annotation",
        "motivation": "classifying",
        "creator": creator,
        **({"created": decided.made_at} if decided else {}),
        "body": bodies[0] if len(bodies) == 1 else bodies,
        "target": _target(work, place),
        **known({"role": place.role if place else None}),
        **known({"decided": tag["tag_decided"], "strength": tag["strength"], "certainty": tag["certainty"]}),
    }


def _target(work: str, place: Any) -> Any:
    """The work, or the place in it. A position counts the characters (code points) of the stored field that `field` names."""
    if place is None:
        return work
    if place.field not in TEXTS:
        return {"type": "SpecificResource", "source": work, "field": place.field}
    return {
        "type": "SpecificResource",
        "source": work,
        "field": place.field,
        "selector": [
            {"type": "TextQuoteSelector", "exact": place.quote},
            {"type": "TextPositionSelector", "start": place.start, "end": place.stop},
        ],
    }


def _urn(*parts: str) -> str:
    """A name for what these parts identify, the same in every export."""
    return uuid.uuid5(uuid.NAMESPACE_OID, "|".join(parts)).urn
