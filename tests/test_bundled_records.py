"""The bundled records: Crossref-shaped, without abstracts, each fact traceable, and rebuilt byte for byte."""

from __future__ import annotations

import csv
import gzip
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from evidence.crossref.normalise import normalise
from evidence.current_decisions import decision_id
from evidence.data_model import Decision
from evidence.linkage.identifiers import identifier_url, read_identifier
from evidence.review import decisions_csv
from evidence.rules import taxonomy, topic
from tests.data import SAMPLES
from tests.module_from_file import script

ROOT = Path(__file__).parents[1]
SNAPSHOT = ROOT / "evidence" / "topics" / "ipt" / "bundled_records"

CITED = (
    "10.1016/j.cpr.2013.09.002",
    "10.1002/jclp.21857",
    "10.1176/appi.ajp.2015.15091141",
    "10.1017/s0033291719000928",
    "10.1097/nmd.0000000000000789",
    "10.1007/s00520-016-3118-1",
    "10.1017/s0033291716002774",
    "10.1002/cpp.1774",
)
WORDS = ("one", "two", "three", "four", "five")
DEPOSITED = {"DOI", "URL", "type", "title", "container-title", "author", "issued", "published", "volume", "issue"}
DEPOSITED |= {"publisher", "language", "page", "source", "updated-by", "update-to"}


@pytest.fixture(scope="module")
def records() -> list[dict[str, Any]]:
    with gzip.open(SNAPSHOT / "records.jsonl.gz", "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


@pytest.fixture(scope="module")
def builder() -> ModuleType:
    return script("build_bundled_records")


def test_every_record_normalises(records: list[dict[str, Any]]) -> None:
    works = [normalise(record) for record in records]
    assert [work.doi for work in works] == sorted({record["DOI"] for record in records})
    for work, record in zip(works, records, strict=True):
        assert work.title and work.abstract is None
        assert len(work.authors) == len(record.get("author", ()))
        assert (work.year is None) == ("issued" not in record)


def test_only_facts_are_in_a_record(records: list[dict[str, Any]]) -> None:
    """No abstract, counter or deposit date; no empty value standing for an absent one."""
    for record in records:
        assert set(record) <= DEPOSITED
        assert all(record.values())
        assert all(author.get("family") for author in record.get("author", ()))
        assert "Crossref" not in record["source"]


def test_at_least_150_works_name_ipt_in_the_title(records: list[dict[str, Any]]) -> None:
    named = re.compile(
        r"interpersonal (?:psychotherap|psychological therap|therap|counsel|and social rhythm)|\bIPT\b", re.I
    )
    elsewhere = re.compile(r"preventive|malaria|isoniazid", re.I)
    titles = [record["title"][0] for record in records]
    assert sum(bool(named.search(title)) and not elsewhere.search(title) for title in titles) >= 150


def test_the_cited_works_are_there_and_complete(records: list[dict[str, Any]]) -> None:
    by_doi = {record["DOI"]: record for record in records}
    for doi in CITED:
        assert by_doi[doi].keys() >= {"title", "author", "issued", "container-title", "volume", "issue", "page"}


def test_a_correction_is_told_in_both_directions(records: list[dict[str, Any]]) -> None:
    by_doi = {record["DOI"]: record for record in records}
    corrected = [record for record in records if "updated-by" in record]
    assert len(corrected) == 3
    for record in corrected:
        notice = by_doi.get(record["updated-by"][0]["DOI"])
        if notice is not None:
            assert notice["update-to"][0]["DOI"] == record["DOI"]
    assert sum("update-to" in record for record in records) == 1


def test_every_record_has_its_provenance(records: list[dict[str, Any]]) -> None:
    with (SNAPSHOT / "where_found.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["doi"]: row for row in csv.DictReader(file)}
    assert list(rows) == [record["DOI"] for record in records]
    for record in records:
        row = rows[record["DOI"]]
        assert row["seen"].strip()
        assert set(row["facts"].split()) == set(record) - {"DOI", "URL", "source"}


def test_what_was_left_out_is_in_no_record(records: list[dict[str, Any]]) -> None:
    by_doi = {record["DOI"]: record for record in records}
    with (SNAPSHOT / "not_bundled.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        assert row["reason"]
        assert row["doi"] not in by_doi if row["fact"] == "record" else row["fact"] not in by_doi[row["doi"]]


def test_the_note_tells_the_right_numbers(records: list[dict[str, Any]]) -> None:
    note = (SNAPSHOT / "README.md").read_text(encoding="utf-8")
    assert f"{len(records)} real works" in note
    with (SNAPSHOT / "where_found.csv").open(encoding="utf-8", newline="") as file:
        seen = {row["doi"]: row["seen"] for row in csv.DictReader(file)}
    nowhere_else = sum(seen[doi].startswith("reference list of the article") for doi in CITED)
    assert nowhere_else == 5 and "Five of the eight cited works" in note


@pytest.mark.parametrize(
    ("name", "facts", "sources"),
    [
        ("ipt", "bibliography-facts.jsonl.gz", ROOT / "sources.yaml"),
        ("mindfulness", "mindfulness-facts.jsonl.gz", topic.SHIPPED / "mindfulness" / "sources.yaml"),
    ],
)
def test_the_same_facts_build_the_same_bytes(builder: ModuleType, name: str, facts: str, sources: Path) -> None:
    folder = topic.load(name).records_path.parent
    built = builder.files(SAMPLES / facts, sources)
    assert built == builder.files(SAMPLES / facts, sources)
    for file in ("where_found.csv", "not_bundled.csv"):
        assert built[file] == (folder / file).read_bytes()
    # Another zlib may pack the same bytes differently, so the committed file is compared unpacked.
    committed = (folder / "records.jsonl.gz").read_bytes()
    assert gzip.decompress(built["records.jsonl.gz"]) == gzip.decompress(committed)
    assert committed[4:8] == bytes(4), "the gzip header carries a time"


@pytest.fixture(scope="module")
def facts() -> list[dict[str, Any]]:
    packed = (SNAPSHOT / "facts.jsonl.gz").read_bytes()
    assert packed[4:8] == bytes(4), "the gzip header carries a time"
    return [json.loads(line) for line in gzip.decompress(packed).decode().splitlines()]


def test_facts_are_of_works_of_the_snapshot_and_nothing_but_facts(
    facts: list[dict[str, Any]], records: list[dict[str, Any]]
) -> None:
    found = [line["doi"] for line in facts]
    assert found == sorted(set(found)) and set(found) <= {record["DOI"] for record in records}
    for line in facts:
        assert list(line) == ["doi", "identifiers", "publication_types", "seen_in"]
        assert line["identifiers"] and line["seen_in"]
        assert all(list(one) == ["kind", "value", "source"] for one in line["identifiers"])
        assert all(re.fullmatch(r"[A-Z][\w ,'()-]{2,80}", name) for name in line["publication_types"])


def test_identifiers_of_the_snapshot_are_in_their_form(facts: list[dict[str, Any]]) -> None:
    for line in facts:
        kinds = [one["kind"] for one in line["identifiers"]]
        assert all(kinds.count(kind) == 1 for kind in set(kinds) - {"registration"})
        for one in line["identifiers"]:
            assert read_identifier(one["value"], bare_pmid=True) == (one["kind"], one["value"])
            assert identifier_url(one["kind"], one["value"])
            assert one["source"] == ("text" if one["kind"] == "registration" else "pubmed")
    identifiers = [one["value"] for line in facts for one in line["identifiers"] if one["kind"] != "registration"]
    assert len(identifiers) == len(set(identifiers)), "two works with one identifier"


def test_the_note_tells_how_many_identifiers_there_are(facts: list[dict[str, Any]]) -> None:
    note = (SNAPSHOT / "README.md").read_text(encoding="utf-8")
    kinds = [one["kind"] for line in facts for one in line["identifiers"]]
    assert f"the {len(facts)} works" in note
    assert f"({kinds.count('pmid')} and {kinds.count('pmcid')} works)" in note
    assert f"({kinds.count('registration')} works)" in note and not any(line["publication_types"] for line in facts)


def test_identifiers_are_taken_only_where_title_and_other_rows_agree(tmp_path: Path) -> None:
    builder = script("build_bundled_facts")
    pmc = "https://pmc.ncbi.nlm.nih.gov/articles/PMC"
    pages = [
        {"doi": "10.5555/a", "title": "A trial of one therapy", "source_url": f"{pmc}11"},
        {"doi": "10.5555/b", "title": "Another thing altogether", "source_url": f"{pmc}12"},
        {"doi": "10.5555/c", "title": "A trial of three therapies", "source_url": f"{pmc}13"},
        {"doi": "10.5555/d", "title": "A trial of four therapies", "source_url": f"{pmc}13"},
        {"doi": "10.5555/e", "title": "A trial of five therapies", "source_url": f"{pmc}15"},
        {"doi": "10.5555/e", "title": "A trial of five therapies", "source_url": f"{pmc}16"},
        {"doi": "10.5555/gone", "title": "A trial", "source_url": f"{pmc}17"},
    ]
    (tmp_path / "bibliography-facts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in pages))
    (tmp_path / "ipt-bibliography.jsonl.gz").write_bytes(gzip.compress(b""))
    labelled = (
        "doi,title,abstract,source,notes\n"
        "10.5555/A,A trial of one therapy,Registered as ISRCTN10804772.,a set,reference list of PMC99.nxml; PMID 7\n"
        "10.5555/b,,,a set,PMID 8\n"
    )
    (tmp_path / "ipt-labelled.csv.gz").write_bytes(gzip.compress(labelled.encode()))
    (tmp_path / "reading").mkdir()
    (tmp_path / "reading" / "sentence-roles.jsonl.gz").write_bytes(gzip.compress(b""))
    titles = {
        f"10.5555/{n}": f"A trial of {word} therap{'y' if n == 'a' else 'ies'}"
        for n, word in zip("abcde", WORDS, strict=True)
    }
    (line,) = builder.build(titles, tmp_path)
    assert line["doi"] == "10.5555/a" and line["seen_in"] == f"{pmc}11 | a set"
    assert [(one["kind"], one["value"]) for one in line["identifiers"]] == [
        ("pmcid", "PMC11"),
        ("pmid", "7"),
        ("registration", "ISRCTN10804772"),
    ]


READERS = ("reading 1", "reading 2")


@pytest.fixture(scope="module")
def decisions() -> list[Decision]:
    return decisions_csv.read_csv(SNAPSHOT / "decisions.csv")


def test_decisions_are_of_two_readers_on_works_of_the_snapshot(
    decisions: list[Decision], records: list[dict[str, Any]]
) -> None:
    known = taxonomy.load(topic.load("ipt")).tags
    assert {decision.doi for decision in decisions} <= {record["DOI"] for record in records}
    assert len({decision_id(decision) for decision in decisions}) == len(decisions)
    verdicts: dict[str, list[str]] = {}
    tags: dict[tuple[str, str, str], dict[str, str]] = {}
    for one in decisions:
        assert one.reviewer in READERS and re.fullmatch(r"Read in the title( and a condensed abstract)?\.", one.reason)
        assert (one.made_at, one.seen, one.record, one.rules, one.rule_said) == (
            "2026-11-01T00:00:00Z",
            (),
            None,
            None,
            None,
        )
        if one.facet and one.value:
            assert (one.facet, one.value) in known
            tags.setdefault((one.doi, one.facet, one.value), {})[one.reviewer] = one.action
        else:
            verdicts.setdefault(one.doi, []).append(one.reviewer)
    assert all(tuple(readers) == READERS for readers in verdicts.values())
    for (doi, facet, _), by_reader in tags.items():
        assert doi in verdicts and tuple(by_reader) == READERS
        assert set(by_reader.values()) == {"tag"} or facet in {"outcome", "design"}
        assert "tag" in by_reader.values()


def test_the_note_tells_how_many_decisions_there_are(decisions: list[Decision]) -> None:
    note = (SNAPSHOT / "README.md").read_text(encoding="utf-8")
    assert f"labelled {len({decision.doi for decision in decisions})} works" in note
    assert f"({sum(decision.action == 'untag' for decision in decisions)} tags)" in note


def test_only_what_both_read_becomes_a_decision() -> None:
    builder = script("build_bundled_decisions")
    read = {"doi": "10.5555/A", "title_is_placeholder": False, "relevant": True, "label_basis": "title"}
    read["labels"] = {"outcome": ["anxiety"], "format": ["group"], "condition": ["depression", "gone"]}
    second = {
        "relevant_second_reader": False,
        "labels_second_reader": {"outcome": [], "format": [], "condition": ["depression"]},
    }
    rows = [
        {**read, **second},
        {**read, "doi": "10.5555/one-reader"},
        {**read, **second, "doi": "10.5555/placeholder", "title_is_placeholder": True},
        {**read, **second, "doi": "10.5555/elsewhere"},
        {**read, **second, "doi": None},
    ]
    snapshot = {"10.5555/a", "10.5555/one-reader", "10.5555/placeholder"}
    known = {("outcome", "anxiety"), ("format", "group"), ("condition", "depression")}
    made = builder.build(rows, snapshot, known)
    assert {decision.doi for decision in made} == {"10.5555/a"}
    assert [(d.reviewer[-1], d.action, d.verdict or f"{d.facet}:{d.value}") for d in made] == [
        ("1", "verdict", "include"),
        ("1", "tag", "condition:depression"),
        ("1", "tag", "outcome:anxiety"),
        ("2", "verdict", "exclude"),
        ("2", "tag", "condition:depression"),
        ("2", "untag", "outcome:anxiety"),
    ]


def test_the_second_topics_records_are_facts_too() -> None:
    with gzip.open(topic.load("mindfulness").records_path, "rt", encoding="utf-8") as file:
        records = [json.loads(line) for line in file]
    note = (topic.load("mindfulness").records_path.parent / "README.md").read_text(encoding="utf-8")
    assert len(records) >= 30 and f"{len(records)} real works" in note
    for record in records:
        assert set(record) <= DEPOSITED and all(record.values())


@pytest.mark.parametrize(
    ("text", "people"),
    [
        ("Doe AB; van der Berg C", [("AB", "Doe"), ("C", "van der Berg")]),
        ("O'Hara MW, Stuart S", [("MW", "O'Hara"), ("S", "Stuart")]),
        ("Doe A. B.; Roe C.", [("A. B.", "Doe"), ("C.", "Roe")]),
        ("Doe, A. B., Roe, C., & Grosse Poe, M", [("A. B.", "Doe"), ("C.", "Roe"), ("M", "Grosse Poe")]),
        ("Doe, A. B.; Roe, C.", [("A. B.", "Doe"), ("C.", "Roe")]),
        ("Doe A, Roe B, et al", None),
        ("Doe, A. B., ... Roe, C.", None),
        ("Smith, Mary Jane", None),
        ("Research Group on Grief", None),
    ],
)
def test_author_text_is_parsed_only_where_it_is_unambiguous(
    builder: ModuleType, text: str, people: list[tuple[str, str]] | None
) -> None:
    parsed = builder._from_text(text)
    assert (parsed and [(person["given"], person["family"]) for person in parsed]) == people


@pytest.mark.parametrize(
    ("given", "family", "turned"),
    [
        ("Mary", "Doe", False),
        ("MJ", "Doe", False),
        ("", "Gao", False),
        ("DOE", "J.", True),
        ("Doe", "LHJM", True),
        ("III", "Charles Doe", True),
        ("WANG", "Yahong", True),
        ("J.", "DOE-ROE", False),
    ],
)
def test_exchanged_names_are_noticed(builder: ModuleType, given: str, family: str, turned: bool) -> None:
    assert builder._exchanged(given, family) is turned


def test_facts_that_look_wrong_make_no_record(builder: ModuleType) -> None:
    good: dict[str, Any] = {"title": "A trial", "type": "journal-article", "seen_in": "a list"}
    rows = [
        {**good, "doi": "10.5555/whole.one", "pages": "12 – 15", "month": "4"},
        {**good, "doi": "10.5555/cut-"},
        {**good, "doi": "10.5555/placeholder", "title": "[A trial (title not displayed)]"},
        {**good, "doi": "10.5555//whole.one"},
    ]
    records, left_out = builder.build(rows, [])
    assert [record.message["DOI"] for record in records] == ["10.5555/whole.one"]
    assert records[0].message["page"] == "12-15" and "issued" not in records[0].message
    assert [(row[0], row[1]) for row in left_out] == [
        ("10.5555//whole.one", "record"),
        ("10.5555/cut-", "record"),
        ("10.5555/placeholder", "record"),
        ("10.5555/whole.one", "issued"),
    ]


def test_a_printed_citation_fills_gaps_and_overrules_nothing(builder: ModuleType) -> None:
    row = {"doi": "10.5555/1", "title": "A Trial: of two", "type": "journal-article", "seen_in": "a page", "year": 2015}
    printed = "Doe J, Roe R, et al. A trial. Of two. J Trials. 2016;3(2):12-9."
    (record,), _ = builder.build([row], [printed])
    assert record.message["issued"] == {"date-parts": [[2015]]}
    assert (record.message["volume"], record.message["issue"], record.message["page"]) == ("3", "2", "12-9")
    assert record.message["container-title"] == ["J Trials"]
    assert "container, volume, issue, pages" in record.seen[1]
