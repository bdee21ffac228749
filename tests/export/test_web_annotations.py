"""Web Annotations: one for each reason, each position holds its quote, and nothing of an abstract but the quotes."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from evidence import doi as dois
from evidence.data_model import STRENGTHS
from evidence.database.select_works import DecidedBy, Place, Selection
from evidence.database.writer import open_store
from evidence.export import data_package, web_annotations
from evidence.export.export_works import Wanted, export_works
from evidence.rules.taxonomy import Taxonomy
from tests import linked_data as read
from tests.builders import decision, message
from tests.data import json_lines, table
from tests.export.test_file_formats import TAG, row

ALL = Selection(("include", "exclude", "unsure", "duplicate"), strengths=STRENGTHS)
OA = "http://www.w3.org/ns/oa#"
RDF_VALUE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#value"
IRI = {"@type": "@id"}
STANDARD: dict[str, Any] = {
    "id": "@id",
    "type": "@type",
    "label": "http://www.w3.org/2000/01/rdf-schema#label",
    "name": "http://xmlns.com/foaf/0.1/name",
    "exact": f"{OA}exact",
    "value": RDF_VALUE,
    "created": {"@id": "http://purl.org/dc/terms/created", "@type": "http://www.w3.org/2001/XMLSchema#dateTime"},
    "creator": {"@id": "http://purl.org/dc/terms/creator", **IRI},
    "motivation": {"@id": f"{OA}motivatedBy", "@type": "@vocab"},
    "purpose": {"@id": f"{OA}hasPurpose", "@type": "@vocab"},
    "classifying": f"{OA}classifying",
    "describing": f"{OA}describing",
    **{name: {"@id": f"{OA}has{name.capitalize()}", **IRI} for name in ("body", "target", "source", "selector")},
    **{name: {"@id": f"{OA}{name}", "@type": "http://www.w3.org/2001/XMLSchema#nonNegativeInteger"} for name in ("start", "end")},
    **{name: f"{OA}{name}" for name in ("Annotation", "SpecificResource", "TextualBody")},
    **{name: f"{OA}{name}" for name in ("TextQuoteSelector", "TextPositionSelector")},
    "Person": "http://xmlns.com/foaf/0.1/Person",
    "Software": "https://www.w3.org/ns/activitystreams#Application",
    "AnnotationPage": "https://www.w3.org/ns/activitystreams#OrderedCollectionPage",
    "AnnotationCollection": "https://www.w3.org/ns/activitystreams#OrderedCollection",
    "items": {"@id": "https://www.w3.org/ns/activitystreams#items", **IRI, "@container": "@list"},
    "partOf": {"@id": "https://www.w3.org/ns/activitystreams#partOf", **IRI},
    "startIndex": "https://www.w3.org/ns/activitystreams#startIndex",
    "total": "https://www.w3.org/ns/activitystreams#totalItems",
}  # fmt: skip
"""Those terms of the standard's context that the files use."""


@pytest.fixture(scope="module")
def bundled(tmp_path_factory: pytest.TempPathFactory, book: Taxonomy) -> Path:
    return read.bundled(tmp_path_factory.mktemp("bundled") / "evidence.db", book)


def exported(db: Path, selection: Selection = ALL) -> str:
    out = db.with_name("annotations.jsonld")
    export_works(db, selection, Wanted("annotations"), out)
    return out.read_text(encoding="utf-8")


def page(rows: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads("".join(web_annotations.annotation_page(rows)))
    return found


def check_places(text: str, db: Path) -> int:
    """Each annotation against the tables: its position holds its quote, and there is one for each reason. The number with a
    position in an abstract."""
    whole = json.loads(text)
    items = whole["items"]
    assert whole["partOf"]["total"] == len(items) == len({item["id"] for item in items})
    found: Counter[tuple[Any, ...]] = Counter()
    in_abstracts = 0
    with closing(sqlite3.connect(db)) as conn:
        texts = {
            dois.url(doi): {"title": title, "abstract": abstract}
            for doi, title, abstract in conn.execute("select doi, title, abstract from works")
        }
        reasons = Counter(
            (dois.url(doi), facet, value, field, start, stop, quote)
            for doi, facet, value, field, start, stop, quote in conn.execute(
                """select r.doi, r.facet, r.value, field, start, stop, quote from reasons r
                join tags t on (t.doi, t.facet, t.value) = (r.doi, r.facet, r.value)"""
            )
            if field in ("title", "abstract")
        )
        silent = conn.execute(
            """select count(*) from tags t
            where not exists (select 1 from reasons r where (t.doi, t.facet, t.value) = (r.doi, r.facet, r.value))"""
        ).fetchone()[0]
    for item in items:
        bodies = item["body"] if isinstance(item["body"], list) else [item["body"]]
        facet, value = bodies[0]["id"].rsplit("/", 2)[1:]
        target = item["target"]
        if isinstance(target, str):
            silent -= 1
            continue
        if "selector" not in target:
            continue
        quote, position = target["selector"]
        assert quote.keys() == {"type", "exact"}, "the quote only"
        place = slice(position["start"], position["end"])
        assert texts[target["source"]][target["field"]][place] == quote["exact"], item
        found[target["source"], facet, value, target["field"], place.start, place.stop, quote["exact"]] += 1
        in_abstracts += target["field"] == "abstract"
    assert found == reasons and silent == 0
    return in_abstracts


def test_every_reason_of_the_bundled_works_has_its_place(bundled: Path) -> None:
    text = exported(bundled)
    assert check_places(text, bundled) == 0
    assert len(json.loads(text)["items"]) > 1700


def test_a_shifted_place_is_noticed(bundled: Path) -> None:
    text = exported(bundled)
    with pytest.raises(AssertionError):
        check_places(text.replace('"start":0,', '"start":1,', 1), bundled)


@pytest.mark.slow
def test_every_reason_of_real_abstracts_has_its_place(tmp_path: Path, full_data: Path, book: Taxonomy) -> None:
    """In code points, also after characters that UTF-16 counts twice. The abstracts stay where they are: nothing of them but the
    quotes is in the file."""
    genuine = json_lines(full_data / "reading", "genuine-labelled.jsonl")
    labelled = [one for one in table(full_data, "ipt-labelled.csv") if one["abstract"] and one["label_relevant"] == "1"]
    texts = {f"10.5555/{one['id'].lower()}": (one["title"], one["abstract"]) for one in (*genuine, *labelled[:300])}
    texts = {doi: (f"𝛼 {title}", f"𝛽 {abstract}") for doi, (title, abstract) in texts.items()}
    messages = [message(doi, title, 2020, abstract=f"<p>{abstract}</p>") for doi, (title, abstract) in texts.items()]
    path = tmp_path / "evidence.db"
    with open_store(path) as store:
        read.store_messages(
            store, book, messages, [decision(doi, "include") for doi in texts]
        )  # so that each has its tags
    text = exported(path)
    assert check_places(text, path) > 1000
    with closing(sqlite3.connect(path)) as conn:
        longest = max(len(quote) for (quote,) in conn.execute("select quote from reasons"))
        abstracts = [abstract for (abstract,) in conn.execute("select abstract from works where abstract <> ''")]
    assert longest < 200
    assert [a for a in abstracts if a[: longest + 50] in text or a[-longest - 50 :] in text] == []


@pytest.mark.slow
def test_it_is_what_the_standard_says(bundled: Path) -> None:
    """The context of the standard first; then the whole as RDF, with the standard's terms."""
    text = exported(bundled)
    whole = json.loads(text)
    assert whole["@context"][0] == "http://www.w3.org/ns/anno.jsonld" and whole["type"] == "AnnotationPage"
    assert whole["id"] and whole["startIndex"] == 0 and whole["partOf"]["type"] == "AnnotationCollection"
    offline = json.dumps(whole | {"@context": [STANDARD, *whole["@context"][1:]]})
    graph, rdf = read.graph(offline), read.rdflib()
    kind = rdf.RDF.type
    assert len(set(graph.subjects(kind, rdf.URIRef(f"{OA}Annotation")))) == len(whole["items"])
    names = {str(name) for name in graph.predicates()} | {str(one) for one in graph.objects(None, kind)}
    known = (
        "http://www.w3.org/",
        "https://www.w3.org/",
        "http://purl.org/dc/terms/",
        "http://xmlns.com/foaf/",
        "urn:evidence:terms/",
    )
    assert [name for name in names if not name.startswith(known)] == []
    assert all(
        str(body).startswith("urn:evidence:ipt/")
        for body in graph.objects(None, rdf.URIRef(f"{OA}hasBody"))
        if isinstance(body, rdf.URIRef)
    )


def test_the_same_reason_has_the_same_name_in_every_export(bundled: Path) -> None:
    every = {item["id"] for item in json.loads(exported(bundled))["items"]}
    included = [item["id"] for item in json.loads(exported(bundled, Selection()))["items"]]
    assert 500 < len(included) < len(every) and set(included) < every


def test_a_reviewer_is_the_creator_without_an_address(bundled: Path) -> None:
    text = exported(bundled)
    items = [item for item in json.loads(text)["items"] if item["decided"] == "person"]
    of = {item["body"]["id"].rsplit("/", 1)[1]: item for item in items if isinstance(item["body"], dict)}
    assert of["group"]["creator"] == {"type": "Person", "name": "B. Reader"}
    assert of["group"]["created"] == "2026-11-21T10:00:00Z" and of["group"]["target"].endswith("2011.67")
    assert of["rct"]["creator"]["name"] == "A. Reader" and "selector" in of["rct"]["target"]
    assert "example.org" not in text
    by_rule = [item for item in json.loads(text)["items"] if item["decided"] == "rule"]
    assert {item["creator"]["type"] for item in by_rule} == {"Software"} and not any(
        "created" in item for item in by_rule
    )


def test_what_is_no_text_has_no_position() -> None:
    work = row(
        tag_rows=[TAG], tag_places={("design", "rct"): [Place("mesh", 0, 5, "Randomized Controlled Trial", "fact")]}
    )
    (item,) = page([work])["items"]
    assert item["target"] == {"type": "SpecificResource", "source": "https://doi.org/10.5555/trial.1", "field": "mesh"}
    assert item["body"][1]["value"] == "Randomized Controlled Trial"


def test_a_work_without_a_doi_and_a_reviewer_with_no_name_but_an_address() -> None:
    tag = TAG | {"tag_decided": "person"}
    given = {("design", "rct"): DecidedBy("a@example.org", "2026-11-24T12:00:00Z", "why")}
    (item,) = page([row(doi=None, local_id="local-0123456789abcdef", tag_rows=[tag], tag_decisions=given)])["items"]
    assert item["target"] == "urn:evidence:works/local-0123456789abcdef"
    assert item["creator"]["name"] == "a reviewer"


def test_no_works_are_an_empty_page() -> None:
    whole = page([])
    assert whole["items"] == [] and whole["partOf"]["total"] == 0


def test_a_folder_names_the_annotations(bundled: Path, tmp_path: Path) -> None:
    export_works(bundled, ALL, Wanted("annotations"), tmp_path, folder_made=datetime(2026, 11, 28, tzinfo=UTC))
    (resource,) = json.loads((tmp_path / data_package.DATA_PACKAGE).read_text(encoding="utf-8"))["resources"]
    assert resource["path"] == "annotations.jsonld" and "records" not in resource
    assert resource["mediatype"] == "application/ld+json"
    assert json.loads((tmp_path / "annotations.jsonld").read_text(encoding="utf-8"))["items"]
