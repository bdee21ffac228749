"""The taxonomy as SKOS and CSV: SKOS's integrity conditions hold, and nothing of the taxonomy is lost."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from evidence.data_model import STRENGTHS
from evidence.database.select_works import Selection
from evidence.export import concept_iris, taxonomy_files
from evidence.export.export_works import Wanted, export_works
from evidence.rules import taxonomy, topic
from evidence.rules.taxonomy import Taxonomy
from evidence.rules.word_finder import spelt_out, term_forms
from tests import linked_data as read
from tests.command_line import runner

SITE = "https://ipt.example.org"


def broken(graph: Any) -> list[str]:
    """Which of SKOS's integrity conditions (S9, S13, S14, S27) and of our own a graph does not keep."""
    rdf = read.rdflib()
    skos, kind = rdf.SKOS, rdf.RDF.type
    concepts = set(graph.subjects(kind, skos.Concept))
    schemes = set(graph.subjects(kind, skos.ConceptScheme))
    tops, top_of = set(graph.subject_objects(skos.hasTopConcept)), set(graph.subject_objects(skos.topConceptOf))
    above = set(graph.subject_objects(skos.broader)) | {(y, x) for x, y in graph.subject_objects(skos.narrower)}
    far_above = {(x, z) for x, _ in above for z in ancestors(x, above)}
    related = set(graph.subject_objects(skos.related))
    linked = {y for _, y in (*tops, *related, *above)} | {x for x, _ in (*related, *above)}
    by_label = Counter(
        (scheme, label)
        for x in concepts
        for scheme in graph.objects(x, skos.inScheme)
        for label in graph.objects(x, skos.prefLabel)
    )
    kinds = (skos.prefLabel, skos.altLabel, skos.hiddenLabel)
    labels = {x: [{str(one) for one in graph.objects(x, name)} for name in kinds] for x in concepts}
    languages = {x: Counter(one.language for one in graph.objects(x, skos.prefLabel)) for x in concepts | schemes}
    found = {
        "S9: no concept is a scheme": not concepts & schemes,
        "S13: no label of a concept is of two kinds": all(not (a & b or a & c or b & c) for a, b, c in labels.values()),
        "S14: one preferred label a language": all(max(of.values(), default=0) < 2 for of in languages.values()),
        "S27: what is related is not above or below": not related & (far_above | {(y, x) for x, y in far_above}),
        "nothing is above itself": all(x != y for x, y in far_above),
        "each concept has a preferred label": all(of[0] for of in labels.values()),
        "each concept is in a scheme": all(set(graph.objects(x, skos.inScheme)) & schemes for x in concepts),
        "no two concepts of a scheme have one label": max(by_label.values()) == 1,
        "a top concept is of its scheme, and both say so": {(y, x) for x, y in tops} == top_of,
        "each concept is on top or has one above it": all(
            any(x == one for one, _ in top_of) != any(x == one for one, _ in above) for x in concepts
        ),
        "broader and narrower agree": {(y, x) for x, y in graph.subject_objects(skos.narrower)}
        == set(graph.subject_objects(skos.broader)),
        "related goes both ways": related == {(y, x) for x, y in related},
        "what is linked is there": linked <= concepts,
    }
    return [name for name, kept in found.items() if not kept]


def ancestors(start: Any, above: set[tuple[Any, Any]]) -> set[Any]:
    """Everything above a concept."""
    found: set[Any] = set()
    waiting = [start]
    while waiting:
        one = waiting.pop()
        new = {y for x, y in above if x == one} - found
        found |= new
        waiting += new
    return found


def turtle(book: Taxonomy, address: str | None = None) -> str:
    return "".join(taxonomy_files.turtle(book, address))


@pytest.fixture(scope="module")
def text(book: Taxonomy) -> str:
    return turtle(book)


@pytest.mark.slow
@pytest.mark.parametrize("name", topic.shipped())
@pytest.mark.parametrize("address", [None, SITE])
def test_the_conditions_of_skos_hold(name: str, address: str | None) -> None:
    assert broken(read.graph(turtle(taxonomy.load(name), address), "turtle")) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("condition", "more"),
    [
        ("S9", "<urn:evidence:ipt/design> a skos:Concept ."),
        ("S13", '<urn:evidence:ipt/design/rct> skos:altLabel "Randomised trial"@en .'),
        ("S13", '<urn:evidence:ipt/design/rct> skos:altLabel "Randomised trial" .'),
        ("S14", '<urn:evidence:ipt/design/rct> skos:prefLabel "RCT"@en .'),
        ("S27", "<urn:evidence:ipt/outcome/anxiety> skos:related <urn:evidence:ipt/outcome/group/symptoms> ."),
        ("nothing", "<urn:evidence:ipt/outcome/group/symptoms> skos:broader <urn:evidence:ipt/outcome/anxiety> ."),
        ("each concept has", "<urn:x> a skos:Concept ."),
        ("in a scheme", '<urn:x> a skos:Concept ; skos:prefLabel "x"@en .'),
        ("one label", '<urn:evidence:ipt/design/cohort> skos:prefLabel "Randomised trial"@en .'),
        ("both say so", "<urn:evidence:ipt/design> skos:hasTopConcept <urn:evidence:ipt/outcome/cost> ."),
        ("on top", "<urn:evidence:ipt/design/rct> skos:broader <urn:evidence:ipt/outcome/group/course> ."),
        ("agree", "<urn:evidence:ipt/outcome/group/course> skos:narrower <urn:evidence:ipt/outcome/cost> ."),
        ("both ways", "<urn:evidence:ipt/design/rct> skos:related <urn:evidence:ipt/outcome/cost> ."),
        ("is there", "<urn:evidence:ipt/design/rct> skos:related <urn:evidence:ipt/design/rtc> ."),
    ],
)
def test_the_conditions_can_be_broken(text: str, condition: str, more: str) -> None:
    assert any(condition in name for name in broken(read.graph(f"{text}\n{more}\n", "turtle")))


@pytest.mark.slow
@pytest.mark.parametrize("name", topic.shipped())
def test_turtle_and_json_ld_say_the_same(name: str) -> None:
    book = taxonomy.load(name)
    read.rdflib()
    from rdflib.compare import isomorphic

    linked = "".join(taxonomy_files.json_ld(book, SITE))
    first, second = read.graph(turtle(book, SITE), "turtle"), read.graph(linked)
    assert len(first) == len(second) > 1000 and isomorphic(first, second)


def test_every_tag_has_its_label_definition_and_words(book: Taxonomy, text: str) -> None:
    graph, rdf = read.graph(text, "turtle"), read.rdflib()
    skos = rdf.SKOS
    notations = {str(one): concept for concept, one in graph.subject_objects(skos.notation)}
    for facet in book.facets:
        assert (notations[facet.facet], rdf.RDF.type, skos.ConceptScheme) in graph
        for value in facet.values:
            concept = notations[f"{facet.facet}:{value.id}"]
            assert str(concept) == f"urn:evidence:ipt/{facet.facet}/{value.id}"
            assert graph.value(concept, skos.prefLabel) == rdf.Literal(value.label, lang="en")
            assert graph.value(concept, skos.definition) == rdf.Literal(value.means, lang="en")
            said = " ".join(str(one) for _, one in graph.predicate_objects(concept))
            for word in (*value.terms, *value.examples, *value.counterexamples):
                assert word in said, (value.id, word)
    assert len(notations) == len(book.keys) + len(book.facets)


def test_a_label_is_found_by_the_rules_and_no_pattern(book: Taxonomy) -> None:
    """Each word in the file is one that the rules look for, and none has the signs of a pattern in it."""
    for facet in book.facets:
        for value in facet.values:
            names, found = taxonomy_files.labels(value)
            forms = {form for word in value.words for form in term_forms(word)}
            for label in (*names, *found):
                assert not re.search(r"[*()\[\]|]", label)
                assert set(term_forms(label)) <= forms, (value.id, label)


def test_terms_are_spelt_out() -> None:
    assert spelt_out("(IPT|CBT) for [major|mild] depress*") == (
        "IPT for depress*", "IPT for major depress*", "IPT for mild depress*", "CBT for depress*",
        "CBT for major depress*", "CBT for mild depress*",
    )  # fmt: skip


def test_groups_are_broader_concepts(text: str) -> None:
    graph, rdf = read.graph(text, "turtle"), read.rdflib()
    group = rdf.URIRef("urn:evidence:ipt/outcome/group/course")
    below = {str(one).rsplit("/", 1)[1] for one in graph.objects(group, rdf.SKOS.narrower)}
    assert below == {"remission-response", "relapse-recurrence", "onset-prevention"}
    assert graph.value(group, rdf.SKOS.notation) is None, "no work has it as a tag"


@pytest.mark.slow
def test_the_names_in_an_export_are_those_of_the_taxonomy(tmp_path: Path, book: Taxonomy) -> None:
    db = read.bundled(tmp_path / "evidence.db", book)
    for address in (None, SITE):
        known = read.graph(turtle(book, address), "turtle")
        rdf = read.rdflib()
        for form in ("jsonld", "annotations"):
            out = tmp_path / form
            every = Selection(("include", "exclude", "unsure"), strengths=STRENGTHS)
            export_works(db, every, Wanted(form, address=address), out)
            base = re.escape(concept_iris.base("ipt", address))
            used = set(re.findall(rf'"({base}[^"]+)"', out.read_text(encoding="utf-8")))
            assert len(used) > 60
            assert all((rdf.URIRef(iri), rdf.RDF.type, rdf.SKOS.Concept) in known for iri in used)
        (label,) = {
            found["codedValue"]["prefLabel"]
            for member in read.members((tmp_path / "jsonld").read_text(encoding="utf-8"), "@graph")
            for found in member["hasInvestigation"].get("facet:design", ())
            if found["codedValue"]["@id"].endswith("/rct")
        }
        concept = rdf.URIRef(concept_iris.value(concept_iris.base("ipt", address), "design", "rct"))
        assert known.value(concept, rdf.SKOS.prefLabel) == rdf.Literal(label, lang="en")


def test_the_table_has_a_row_a_tag(book: Taxonomy) -> None:
    rows = list(csv.DictReader(io.StringIO("".join(taxonomy_files.csv(book, None)), newline="")))
    assert [(row["facet"], row["value"]) for row in rows] == list(book.keys)
    cost = next(row for row in rows if row["value"] == "cost")
    assert cost["group"] == "Acceptability and cost" and cost["iri"] == "urn:evidence:ipt/outcome/cost"
    assert {row["means"] for row in rows} == {value.means for value in book.values}


def test_odd_characters_are_escaped(book: Taxonomy) -> None:
    assert taxonomy_files.turtle_literal('a "b" \\ c\nd', "en") == '"a \\"b\\" \\\\ c\\nd"@en'
    assert concept_iris.value("urn:evidence:t/", "a b", "c/d>") == "urn:evidence:t/a%20b/c%2Fd%3E"


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run = runner(tmp_path, monkeypatch, capsys)
    assert run("taxonomy").out == turtle(taxonomy.load()), "without a sources.yaml: the default topic"
    assert run("init", ".").code == 0
    assert run("taxonomy", "-f", "jsonld", "-o", "tags.jsonld").code == 0
    assert (
        json.loads((tmp_path / "tags.jsonld").read_text(encoding="utf-8"))["@graph"][0]["id"]
        == "urn:evidence:ipt/variant"
    )
    with (tmp_path / "sources.yaml").open("a", encoding="utf-8") as file:
        file.write(f"\nsite: {{address: {SITE}}}\n")
    assert f"<{SITE}/taxonomy/design/rct> a skos:Concept" in run("taxonomy").out
    assert run("taxonomy", "--topic", "mindfulness", "-f", "csv").out.count("/taxonomy/programme/") > 3
    unknown = run("taxonomy", "--topic", "nothing")
    assert unknown.code == 2 and "nothing" in unknown.err
    assert run("taxonomy", "-o", "missing/t.ttl").code == 2
