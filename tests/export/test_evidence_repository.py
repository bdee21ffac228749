"""Works in the vocabulary of evidence-repository.org: its shapes are kept, and every tag and identifier reads back."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from evidence.data_model import Doi, Message
from evidence.database.select_works import Selection, full_rows, labels_of_values
from evidence.database.writer import open_store
from evidence.export import evidence_repository, linked_data
from evidence.export.columns import Layout
from evidence.export.export_works import Wanted, export_works
from evidence.publish import immutable_copy
from evidence.rules.taxonomy import Taxonomy
from tests import linked_data as read
from tests.data import SAMPLES, json_lines
from tests.export.test_file_formats import FULL, TAG, row

EVREPO = "https://vocab.evidence-repository.org/"
TERMS, FACETS = "urn:evidence:terms/", "urn:evidence:facets/"
ALL = Selection(("include", "exclude", "unsure", "duplicate"), strengths=("stated", "likely", "implied"))


@pytest.fixture(scope="module")
def bundled(tmp_path_factory: pytest.TempPathFactory, book: Taxonomy) -> Path:
    return read.bundled(tmp_path_factory.mktemp("bundled") / "evidence.db", book)


@pytest.fixture(scope="module")
def text(bundled: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("out") / "works.jsonld"
    export_works(bundled, ALL, Wanted("jsonld"), out)
    return out.read_text(encoding="utf-8")


def written(rows: list[dict[str, Any]], layout: Layout | None = None) -> str:
    return "".join(evidence_repository.json_ld(rows, layout))


def values(graph: Any, subject: Any, name: str) -> list[str]:
    return sorted(str(found) for found in graph.objects(subject, read.rdflib().URIRef(name)))


# ---------------------------------------------------------------- the shapes


@pytest.mark.parametrize("ontology", [pytest.param(True, marks=pytest.mark.slow), False])
def test_the_bundled_works_keep_to_the_shapes(text: str, ontology: bool) -> None:
    good, report = read.conforms(text, ontology=ontology)
    assert good, report
    assert len(read.members(text, "@graph")) > 250


@pytest.mark.slow
@pytest.mark.parametrize(
    ("said", "instead"),
    [
        ('"@type":"Outcome"', '"@type":"Context"'),
        ('"@type":["ControlCondition","Condition"]', '"@type":"Outcome"'),
        ('"@type":["Intervention","Condition"]', '"@type":"Outcome"'),
        ('"@type":"Context"', '"@type":"Outcome"'),
        ('"@type":"Investigation"', '"@type":"Finding"'),
        ('"@type":"Concept"', '"@type":"Context"'),
        ('"hasInvestigation":', '"about":'),
        ('"hasFinding":[{', '"hasFinding":[{"@type":"Finding"},{'),
    ],
)
def test_the_shapes_can_be_broken(bundled: Path, said: str, instead: str) -> None:
    with closing(sqlite3.connect(bundled)) as conn:
        of = "exists (select 1 from tags t where t.doi = w.doi and t.facet = '{}' and t.value <> 'none')"
        facets = (of.format(facet) for facet in ("outcome", "comparator", "variant", "condition"))
        (doi,) = conn.execute(f"select doi from works w where {' and '.join(facets)} order by doi").fetchone()
        rows = list(full_rows(conn, [Doi(doi)], ALL.strengths, tag_rows=True))
        whole = written(rows, Layout(labels=labels_of_values(conn)))
    assert read.conforms(whole)[0] and said in whole
    assert not read.conforms(whole.replace(said, instead))[0]


@pytest.mark.slow
def test_real_records_keep_to_the_shapes(tmp_path: Path, data: Path, book: Taxonomy) -> None:
    """Every record of the collection, whatever is odd in it, with tags on every third."""
    messages: list[Message] = [
        each["work"] for each in json_lines(data, "crossref-works.jsonl") if "DOI" in each["work"]
    ]
    path = tmp_path / "evidence.db"
    with open_store(path) as store:
        read.store_messages(store, book, messages, ())
        keys = [doi for (doi,) in store.conn.execute("select doi from works")]
        store.conn.executemany(
            "insert or ignore into tags values (?, ?, ?, 'rule', 'stated', 0.9, 'It says “so”.')",
            [
                (doi, *tag)
                for doi in keys[::3]
                for tag in (("outcome", "cost"), ("comparator", "tau"), ("comparator", "none"), ("variant", "ipt-a"))
            ],
        )
        store.conn.commit()
    out = tmp_path / "works.jsonld"
    done = export_works(path, ALL, Wanted("jsonld"), out)
    assert done.works == len(keys) > (75 if data == SAMPLES else 1400)
    found = out.read_text(encoding="utf-8")
    assert read_back(found) == stored(path)
    good, report = read.conforms(found)
    assert good, report


# ---------------------------------------------------------------- round trip


def read_back(text: str) -> dict[str, Any]:
    """DOI → its identifiers and tags, as rdflib reads them."""
    graph, rdf = read.graph(text), read.rdflib()
    found: dict[str, Any] = {}
    about, has = rdf.URIRef("https://schema.org/about"), rdf.URIRef(f"{EVREPO}hasInvestigation")
    for whole, reference in graph.subject_objects(about):
        identifiers = Counter(
            (values(graph, one, "https://schema.org/propertyID")[0], values(graph, one, "https://schema.org/value")[0])
            for one in graph.objects(reference, rdf.URIRef("https://schema.org/identifier"))
        )
        (doi,) = (value for kind, value in identifiers if kind == "doi")
        (investigation,) = graph.objects(whole, has)
        (verdict,) = graph.objects(investigation, rdf.URIRef(f"{TERMS}verdict"))
        found[doi] = {
            "identifiers": identifiers,
            "title": values(graph, reference, "https://schema.org/name"),
            "verdict": values(graph, verdict, f"{EVREPO}codedValue"),
            "tags": dict(tags_below(graph, investigation)),
            "applied": {
                tuple(iri.rsplit("/", 2)[1:]) for iri in values(graph, investigation, f"{EVREPO}hasAppliedConcept")
            },
        }
    return found


def tags_below(graph: Any, node: Any) -> Any:
    """(facet, value) → strength, who decided, certainty, quotes of every coding in or below a node."""
    rdf = read.rdflib()
    for name, child in graph.predicate_objects(node):
        if str(name).startswith(FACETS):
            (concept,) = values(graph, child, f"{EVREPO}codedValue")
            facet, value = concept.rsplit("/", 2)[1:]
            assert str(name) == FACETS + facet
            assert values(graph, child, f"{EVREPO}status") == [f"{EVREPO}coded"]
            certainty = [float(one) for one in values(graph, child, f"{TERMS}certainty")]
            yield (facet, value), (
                values(graph, child, f"{TERMS}strength"), values(graph, child, f"{TERMS}decided"), certainty,
                values(graph, child, f"{EVREPO}supportingText"),
            )  # fmt: skip
        elif isinstance(child, rdf.BNode) and str(name) != f"{TERMS}verdict":
            yield from tags_below(graph, child)


def stored(path: Path) -> dict[str, Any]:
    """The same from the tables."""
    kinds = {"pmid", "pmcid", "openalex", "registration"}
    with closing(sqlite3.connect(path)) as conn:
        found: dict[str, Any] = {}
        for doi, title, verdict, registrations in conn.execute("select doi, title, verdict, registrations from works"):
            own = {("registration", number) for number in (registrations or "").split("; ") if number}
            of = conn.execute("select distinct kind, identifier from identifiers where doi = ?", (doi,))
            own |= {(kind, value) for kind, value in of if kind in kinds}
            found[doi] = {
                "identifiers": Counter([("doi", doi), *own]),
                "title": [title] if title else [],
                "verdict": [verdict],
                "tags": {},
                "applied": set(),
            }
        quotes: dict[tuple[str, str, str], set[str]] = {}
        for doi, facet, value, quote in conn.execute("select doi, facet, value, quote from reasons"):
            quotes.setdefault((doi, facet, value), set()).add(quote)
        for (doi, facet, value), (strength, decided, certainty) in read.tags_in(conn).items():
            said = sorted(quotes.get((doi, facet, value), ()))
            sure = [] if certainty is None else [certainty]
            found[doi]["applied"].add((facet, value))
            found[doi]["tags"][facet, value] = ([strength], [decided], sure, said)
    return found


@pytest.mark.slow
def test_every_tag_and_identifier_reads_back(text: str, bundled: Path) -> None:
    back = read_back(text)
    assert back == stored(bundled)
    assert sum(len(work["tags"]) for work in back.values()) > 1400
    assert ("pmcid", "PMC11") in {one for work in back.values() for one in work["identifiers"]}


@pytest.mark.slow
def test_a_lost_tag_is_noticed(text: str, bundled: Path) -> None:
    assert read_back(text.replace("urn:evidence:ipt/design/rct", "urn:evidence:ipt/design/protocol", 1)) != stored(
        bundled
    )


# ---------------------------------------------------------------- what is said, and what is not


def test_no_finding_joins_an_outcome_and_a_comparator(text: str) -> None:
    """Tags do not say which outcome was found in which comparison, and nothing says a result."""
    outcomes = comparators = 0
    for member in read.members(text, "@graph"):
        study = member["hasInvestigation"]
        for finding in study.get("hasFinding", ()):
            assert not {"hasOutcome", "comparedTo"} <= finding.keys()
            assert finding.keys() <= {"@type", "evaluates", "hasContext", "hasOutcome", "comparedTo"}
            outcomes, comparators = outcomes + ("hasOutcome" in finding), comparators + ("comparedTo" in finding)
            assert "/comparator/none" not in json.dumps(finding)
    assert outcomes > 300 and comparators > 50
    assert "EffectEstimate" not in text and "ObservedResult" not in text and "pointEstimate" not in text


def test_a_study_without_a_comparison_has_no_control() -> None:
    tag = TAG | {"facet": "comparator", "value": "none"}
    study = json.loads(written([row(tag_rows=[tag])]))["@graph"][0]["hasInvestigation"]
    assert "hasFinding" not in study and len(study["facet:comparator"]) == 1


def test_a_reviewer_is_named_without_an_address(text: str) -> None:
    assert "@example.org" not in text and "B. Reader" in text
    (study,) = (m["hasInvestigation"] for m in read.members(text, "@graph") if read.STANGIER in m["about"]["@id"])
    intervention = next(f["evaluates"] for f in study["hasFinding"] if "@type" in f.get("evaluates", {}))
    (group,) = (c for c in intervention["facet:format"] if c["codedValue"]["@id"].endswith("/group"))
    assert (group["codedBy"], group["decided"], group["comment"]) == ("B. Reader", "person", "Groups")
    (design,) = study["facet:design"]
    assert (design["codedBy"], design["codedValue"]["prefLabel"]) == ("A. Reader", "Randomised trial")
    assert "/comparator/cbt" not in json.dumps(study), "a reviewer took it off"


@pytest.mark.slow
def test_a_copy_that_hides_reviewers_names_none(bundled: Path, tmp_path: Path, clock: Callable[[], datetime]) -> None:
    done = immutable_copy.publish(
        bundled, tmp_path / "site", decisions=bundled.with_name("decisions.db"), reviewers="hidden", now=clock
    )
    (copy,) = done.folder.rglob("evidence.db")
    for form in ("jsonld", "annotations"):
        out = tmp_path / form
        export_works(copy, ALL, Wanted(form), out)
        found = out.read_text(encoding="utf-8")
        assert '"A reviewer"' in found and '"person"' in found
        assert "A. Reader" not in found and "B. Reader" not in found and "example.org" not in found


def test_a_retraction_is_said() -> None:
    study = json.loads(written([row(tag_rows=[], notice="retraction")]))["@graph"][0]
    assert study["about"]["creativeWorkStatus"] == "Retracted" and study["hasInvestigation"]["notice"] == "retraction"


@pytest.mark.slow
def test_no_context_has_to_be_fetched(text: str) -> None:
    context = json.loads(text)["@context"]
    assert isinstance(context, dict)
    graph = read.graph(text)
    lost = {str(name) for name in graph.predicates() if "//" not in str(name) and not str(name).startswith("urn:")}
    assert lost == set(), "every key is a term of the context"


def test_each_work_is_a_line_and_none_is_an_empty_graph() -> None:
    assert json.loads(written([]))["@graph"] == []
    whole = written([row(tag_rows=[TAG]), FULL | {"tag_rows": [TAG]}])
    assert [json.loads(line.rstrip(","))["@type"] for line in whole.splitlines()[2:-1]] == ["LinkedDataEnhancement"] * 2
    broken = "".join(list(evidence_repository.json_ld([row(tag_rows=[TAG])] * 3))[:2])
    with pytest.raises(json.JSONDecodeError):
        json.loads(broken)


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ("A. Reader", "A. Reader"),
        ("A. Reader <a@b.org>", "A. Reader"),
        ("a.reader@b.org", ""),
        ("A (a@b.org) Reader", "A Reader"),
    ],
)
def test_addresses_are_taken_out(given: str, left: str) -> None:
    assert linked_data.without_addresses(given) == left
