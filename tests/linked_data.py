"""A database for the tests of linked data, and what other people's programs (rdflib, pyshacl) make of the files.

The database has the bundled works, judged by the rules, with decisions of reviewers and identifiers; or other records.
"""

from __future__ import annotations

import gzip
import json
import sqlite3
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from evidence.crossref.normalise import doi_of, serialise
from evidence.data_model import Decision, Doi, Message
from evidence.database.values_for_writer import HarvestedPage, SourceRow
from evidence.database.writer import Store, open_store
from evidence.errors import RecordError
from evidence.harvest import rejudge
from evidence.harvest.judge_records import RecordToJudge, judge_record
from evidence.rules.taxonomy import Taxonomy
from tests.builders import decision, tagging
from tests.data import FULL

EVREPO = FULL / "evrepo"
"""The vocabulary of evidence-repository.org, where it has been put beside the checkout."""
WITH_MAIL = "B. Reader <b.reader@example.org>"


def rdflib() -> Any:
    """rdflib, of the extra `test`."""
    return pytest.importorskip("rdflib", reason="needs rdflib (pip install -e '.[test]')")


def graph(text: str, format_: str = "json-ld") -> Any:
    """A file as rdflib reads it. No test may open the network, so a context that has to be fetched is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # rdflib's own use of what it deprecates
        return rdflib().Graph().parse(data=text, format=format_)


def conforms(text: str, *, ontology: bool = True) -> tuple[bool, str]:
    """Whether a file of JSON-LD keeps to the shapes of evidence-repository.org, as pyshacl sees it, and its report; with their
    ontology, which says what is a kind of what, or without."""
    if not EVREPO.is_dir():
        pytest.skip("needs the shapes of evidence-repository.org, which may not be in the repository")
    pyshacl = pytest.importorskip("pyshacl", reason="needs pyshacl (pip install -e '.[test]')")
    read = rdflib().Graph
    shapes = read().parse(EVREPO / "evrepo-core-shapes.ttl")
    known = read().parse(EVREPO / "evrepo-core.ttl") if ontology else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        good, _, report = pyshacl.validate(graph(text), shacl_graph=shapes, ont_graph=known)
    return good, report


def store_messages(store: Store, book: Taxonomy, messages: Iterable[Message], decisions: Sequence[Decision]) -> None:
    """Judge and store the messages; those that cannot be read are left out."""
    store.set_topic(book.topic)
    store.set_facets(rejudge.facet_rows(book))
    by_work: dict[Doi, tuple[Decision, ...]] = {}
    for each in decisions:
        by_work[each.doi] = (*by_work.get(each.doi, ()), each)
    records = {}
    for item in messages:
        try:
            raw, digest = serialise(item)
        except RecordError:
            continue
        if (doi := doi_of(item)) is None:
            continue
        found = judge_record(RecordToJudge(doi, digest, raw, by_work.get(doi, ())), book, item)
        if found.rows is not None:
            records[doi] = found
    run = store.start_run("files", "0", "2026-11-01T00:00:00Z")
    store.register_sources(run, [SourceRow("files", "files", "Files", "{}")])
    store.write_page(run, "files", HarvestedPage(list(records.values())))
    store.append_decisions(decisions)
    store.show_decisions()


def bundled(path: Path, book: Taxonomy) -> Path:
    """The bundled works with two reviewers' decisions on some of them, and with identifiers."""
    with gzip.open(book.topic.records_path, "rt", encoding="utf-8") as file:
        messages = [json.loads(line) for line in file]
    with open_store(path) as store:
        store_messages(store, book, messages, DECISIONS)
        conn = store.conn
        dois = [doi for (doi,) in conn.execute("select doi from works order by doi limit 30")]
        conn.executemany(
            "insert into identifiers values (?, ?, ?, 'pubmed')",
            [(doi, "pmid", str(1000 + n)) for n, doi in enumerate(dois)]
            + [(doi, "registration", f"NCT{n:08}") for n, doi in enumerate(dois[::3])]
            + [(dois[0], "pmcid", "PMC11"), (dois[0], "openalex", "W11")],
        )
        conn.commit()
    return path


STANGIER = "10.1001/archgenpsychiatry.2011.67"
COUPLES = "10.1002/jclp.21857"
DECISIONS = (
    tagging(STANGIER, "format", "group", reason="Groups, says Mail@example.org", made_at="2026-11-20T10:00:00Z"),
    tagging(STANGIER, "format", "group", by=WITH_MAIL, reason="Groups", made_at="2026-11-21T10:00:00Z"),
    tagging(STANGIER, "design", "rct", reason="Confirmed", made_at="2026-11-22T10:00:00Z"),
    tagging(STANGIER, "comparator", "cbt", untag=True, reason="No", made_at="2026-11-22T10:00:00Z"),
    decision(COUPLES, "include", by=WITH_MAIL, reason="IPT for couples", made_at="2026-11-23T10:00:00Z"),
)
"""Two reviewers gave one tag, the second signs with an e-mail address; a tag of the rules was confirmed and one removed."""


def tags_in(conn: sqlite3.Connection) -> dict[tuple[str, str, str], tuple[str, str, float | None]]:
    """(DOI, facet, value) → strength, who decided, and certainty, of all tags in a database."""
    rows = conn.execute("select doi, facet, value, strength, decided, certainty from tags")
    return {
        (doi, facet, value): (strength, decided, certainty) for doi, facet, value, strength, decided, certainty in rows
    }


def members(text: str, key: str) -> list[dict[str, Any]]:
    """The array of a JSON-LD document."""
    found: list[dict[str, Any]] = json.loads(text)[key]
    return found
