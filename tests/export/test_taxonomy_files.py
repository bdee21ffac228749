"""The taxonomy as SKOS and CSV: SKOS's integrity conditions hold, and nothing of the taxonomy is lost."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from evidence.database.select_works import Selection
from evidence.export import concept_iris, taxonomy_files
from evidence.export.export_works import Wanted, export_works
from evidence.rules import taxonomy, topic
from evidence.rules.taxonomy import Taxonomy
from evidence.rules.word_finder import spelt_out, term_forms
from tests import linked_data as read
from tests.command_line import runner

SITE = "https://ipt.example.org"

CONDITIONS = {
    "S9: no concept is a scheme": "{ ?x a skos:Concept, skos:ConceptScheme }",
    "S13: no label of a concept is of two kinds": """{
        { ?x skos:prefLabel ?l ; skos:altLabel ?l } union { ?x skos:prefLabel ?l ; skos:hiddenLabel ?l }
        union { ?x skos:altLabel ?l ; skos:hiddenLabel ?l } }""",
    "the same, whatever their languages": """{
        ?x ?p ?a ; ?q ?b . filter (str(?a) = str(?b) && str(?p) < str(?q)
            && ?p in (skos:prefLabel, skos:altLabel, skos:hiddenLabel)
            && ?q in (skos:prefLabel, skos:altLabel, skos:hiddenLabel)) }""",
    "S14: one preferred label a language": """{
        ?x skos:prefLabel ?a, ?b . filter (?a != ?b && lang(?a) = lang(?b)) }""",
    "S27: what is related is not above or below": "{ ?x skos:related ?y ; (skos:broader|^skos:narrower)+ ?y }",
    "nothing is above itself": "{ ?x (skos:broader|^skos:narrower)+ ?x }",
    "each concept has a preferred label": "{ ?x a skos:Concept . filter not exists { ?x skos:prefLabel ?l } }",
    "each concept is in one scheme": """{
        ?x a skos:Concept . filter not exists { ?x skos:inScheme ?s . ?s a skos:ConceptScheme } }""",
    "no two concepts of a scheme have one label": """{
        ?x skos:inScheme ?s ; skos:prefLabel ?l . ?y skos:inScheme ?s ; skos:prefLabel ?l . filter (?x != ?y) }""",
    "a top concept is of its scheme, and both say so": """{
        { ?x skos:topConceptOf ?s . filter not exists { ?s skos:hasTopConcept ?x . ?x skos:inScheme ?s } }
        union { ?s skos:hasTopConcept ?x . filter not exists { ?x skos:topConceptOf ?s } } }""",
    "a top concept has nothing above it, and every other has": """{
        { ?x skos:topConceptOf ?s ; skos:broader ?y }
        union { ?x a skos:Concept . filter not exists { ?x skos:topConceptOf ?s } filter not exists { ?x skos:broader ?y } } }""",
    "broader and narrower agree": """{
        { ?x skos:broader ?y . filter not exists { ?y skos:narrower ?x } }
        union { ?y skos:narrower ?x . filter not exists { ?x skos:broader ?y } } }""",
    "related goes both ways": "{ ?x skos:related ?y . filter not exists { ?y skos:related ?x } }",
    "what is linked is there": """{
        ?x skos:broader|skos:narrower|skos:related|skos:hasTopConcept ?y . filter not exists { ?y a skos:Concept } }""",
}
"""What may not be in SKOS, or in this taxonomy: its name → a pattern of SPARQL."""


def broken(graph: Any) -> list[str]:
    """The conditions that a graph does not keep."""
    prefix = "prefix skos: <http://www.w3.org/2004/02/skos/core#> ask "
    return [name for name, pattern in CONDITIONS.items() if graph.query(prefix + pattern).askAnswer]


def turtle(book: Taxonomy, address: str | None = None) -> str:
    return "".join(taxonomy_files.turtle(book, address))


@pytest.fixture(scope="module")
def text(book: Taxonomy) -> str:
    return turtle(book)


@pytest.mark.parametrize("name", topic.shipped())
@pytest.mark.parametrize("address", [None, SITE])
def test_the_conditions_of_skos_hold(name: str, address: str | None) -> None:
    assert broken(read.graph(turtle(taxonomy.load(name), address), "turtle")) == []


@pytest.mark.parametrize(
    ("condition", "more"),
    [
        ("S9", "<urn:evidence:ipt/design> a skos:Concept ."),
        ("S13", '<urn:evidence:ipt/design/rct> skos:altLabel "Randomised trial"@en .'),
        ("whatever", '<urn:evidence:ipt/design/rct> skos:altLabel "Randomised trial" .'),
        ("S14", '<urn:evidence:ipt/design/rct> skos:prefLabel "RCT"@en .'),
        ("S27", "<urn:evidence:ipt/outcome/anxiety> skos:related <urn:evidence:ipt/outcome/group/symptoms> ."),
        ("nothing", "<urn:evidence:ipt/outcome/group/symptoms> skos:broader <urn:evidence:ipt/outcome/anxiety> ."),
        ("each concept has", "<urn:x> a skos:Concept ."),
        ("one label", '<urn:evidence:ipt/design/cohort> skos:prefLabel "Randomised trial"@en .'),
        ("both say so", "<urn:evidence:ipt/design> skos:hasTopConcept <urn:evidence:ipt/outcome/cost> ."),
        ("every other", "<urn:evidence:ipt/design/rct> skos:broader <urn:evidence:ipt/outcome/group/course> ."),
        ("agree", "<urn:evidence:ipt/outcome/group/course> skos:narrower <urn:evidence:ipt/outcome/cost> ."),
        ("both ways", "<urn:evidence:ipt/design/rct> skos:related <urn:evidence:ipt/outcome/cost> ."),
        ("is there", "<urn:evidence:ipt/design/rct> skos:related <urn:evidence:ipt/design/rtc> ."),
    ],
)
def test_the_conditions_can_be_broken(text: str, condition: str, more: str) -> None:
    assert any(condition in name for name in broken(read.graph(f"{text}\n{more}\n", "turtle")))


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


def test_the_names_in_an_export_are_those_of_the_taxonomy(tmp_path: Path, book: Taxonomy) -> None:
    db = read.bundled(tmp_path / "evidence.db", book)
    for address in (None, SITE):
        known = read.graph(turtle(book, address), "turtle")
        rdf = read.rdflib()
        for form in ("jsonld", "annotations"):
            out = tmp_path / form
            every = Selection(("include", "exclude", "unsure"), strengths=read.STRENGTHS)
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
    assert json.loads((tmp_path / "tags.jsonld").read_text(encoding="utf-8"))["@graph"][0]["id"] == "urn:evidence:ipt/variant"
    with (tmp_path / "sources.yaml").open("a", encoding="utf-8") as file:
        file.write(f"\nsite: {{address: {SITE}}}\n")
    assert f"<{SITE}/taxonomy/design/rct> a skos:Concept" in run("taxonomy").out
    assert run("taxonomy", "--topic", "mindfulness", "-f", "csv").out.count("/taxonomy/programme/") > 3
    unknown = run("taxonomy", "--topic", "nothing")
    assert unknown.code == 2 and "nothing" in unknown.err
    assert run("taxonomy", "-o", "missing/t.ttl").code == 2
