"""Imported files: which works their records become, with and without a DOI, asked at once or later, and what PRISMA counts."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from evidence import strict_yaml
from evidence.data_model import Doi, Message
from evidence.database import prisma_flow, read_queries
from evidence.database.connection import reading
from evidence.database.select_works import asked_days
from evidence.database.writer import open_store
from evidence.errors import ConfigError, RejectedError, UnavailableError
from evidence.harvest import import_files, locked_run, sources
from evidence.harvest import sync as stages
from evidence.harvest.import_files import ImportCounts
from evidence.harvest.progress import NoProgress
from evidence.harvest.run_outcome import Outcome
from evidence.harvest.sources import FileSource, Imported, Method
from evidence.review.record_decision import add_decisions
from evidence.rules.taxonomy import Taxonomy
from tests.builders import FONAGY, LIPSITZ, MALARIA, MARKOWITZ, STANGIER, FakeRecordSource, message, person, texts
from tests.command_line import runner
from tests.loopback import LoopbackCrossref

STATED = str(STANGIER["DOI"])
ABSTRACT = "Adults with social anxiety were randomised to interpersonal psychotherapy. Written for a test."


def ris(*records: Mapping[str, str | list[str]]) -> str:
    """A RIS file of these records."""
    lines = []
    for record in records:
        lines.append("TY  - JOUR")
        for tag, held in record.items():
            lines += [f"{tag}  - {value}" for value in ([held] if isinstance(held, str) else held)]
        lines.append("ER  - \n")
    return "\n".join(lines)


def as_ris(record: Mapping[str, Any], *, doi: bool = False, **more: str) -> dict[str, str | list[str]]:
    """A Crossref record as a database would write it."""
    first, _, last = record["page"].partition("-")
    return {
        "TI": record["title"][0],
        "AU": [f"{one['family']}, {one['given']}" for one in record["author"]],
        "PY": str(record["issued"]["date-parts"][0][0]),
        "JF": record["container-title"][0],
        "VL": record["volume"],
        "IS": record["issue"],
        "SP": first,
        "EP": last,
        **({"DO": record["DOI"]} if doi else {}),
        **more,
    }


HOMEMADE: dict[str, str | list[str]] = {
    "TI": "Interpersonal psychotherapy for depression in a rural clinic: a thesis",
    "AU": ["Student, Grace"],
    "PY": "2004",
    "AB": "Adults with depression were randomised to interpersonal psychotherapy or usual care.",
}
"""A record of a work that no registry knows."""


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "evidence.db"


@pytest.fixture
def bring(db: Path, book: Taxonomy, clock: Callable[[], datetime]) -> Callable[..., tuple[Outcome, ImportCounts]]:
    """Import a text (or bytes) as a file, by command."""

    def run(
        text: str | bytes,
        identifier: str = "psycinfo",
        method: Method = "database",
        name: str = "export.ris",
        url: str | None = None,
    ) -> tuple[Outcome, ImportCounts]:
        path = db.with_name(name)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        imported = Imported((path.name,), "APA PsycInfo", "2026-11-20", "interpersonal ADJ psychotherap*")
        source = FileSource(identifier, identifier.title(), (path,), method, imported, "command")
        return locked_run.run_import(
            db, db.with_name("decisions.db"), book, clock, NoProgress(), source, ask=url is not None, url=url,
            sleep=lambda _: None,
        )  # fmt: skip

    return run


@pytest.fixture
def go(db: Path, book: Taxonomy, clock: Callable[[], datetime]) -> Callable[..., Outcome]:
    """A sync from records in memory."""

    def run(records: FakeRecordSource, text: str = "", take: Sequence[Message] = (), **more: Any) -> Outcome:
        config = sources.check(strict_yaml.parse(text or LISTED, "sources.yaml"))
        with open_store(db) as opened:
            return stages.sync(config, opened, records, book, now=clock, take=texts(take), **more)

    return run


LISTED = """
sources:
  - id: list
    kind: references
    label: A list
    citations: [{text: "Fonagy P. Dynamic interpersonal therapy. 2020.", doi: 10.5555/none}]
"""


def rows(db: Path, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    with reading(db) as conn:
        return conn.execute(sql, values).fetchall()


def everything(db: Path) -> dict[str, list[Any]]:
    """All rows of all tables."""
    conn = sqlite3.connect(db)
    tables = [
        name
        for (name,) in conn.execute(
            "select name from sqlite_master where type = 'table' and name not like 'works_fts%'"
        )
    ]
    return {table: sorted(conn.execute(f"select * from {table}").fetchall(), key=repr) for table in tables}


def boxes(db: Path, day: str | None = None) -> dict[str, int]:
    """The numbers of the PRISMA flow, which must add up."""
    with reading(db) as conn:
        found = read_queries.flow(conn, day)
    n = {box["key"]: box["n"] for box in found.boxes}
    parts = ("searches", "databases", "registers", "lists", "websites", "organisations", "others")
    assert n["identified"] == sum(n[part] for part in parts) == sum(source["n"] for source in found.sources)
    assert n["identified"] - n["removed"] == n["screened"] == n["excluded"] + n["waiting"] + n["included"]
    assert all(count >= 0 for count in n.values()), n
    if day is None:
        counted = rows(db, "select found, count(*) from prisma_records group by found order by found")
        assert sum(count for _, count in counted) == n["identified"]
        assert dict(counted).get("again", 0) == n["again"]
    return n


# ---------------------------------------------------------------------- without a network


def test_a_record_without_a_doi_is_a_work_like_any_other(db: Path, bring: Callable[..., Any]) -> None:
    outcome, counts = bring(ris(HOMEMADE, as_ris(STANGIER, doi=True, AB=ABSTRACT)))
    assert (counts.read, counts.with_doi, counts.local, counts.not_asked, counts.new_works) == (2, 1, 1, 2, 2)
    assert outcome.outcome == "complete"
    found = dict(rows(db, "select doi, abstract_source from works"))
    (local,) = (key for key in found if key.startswith("local-"))
    assert found == {STATED: "file", local: "file"}
    assert rows(db, "select title, authors, year, verdict, judged_on, url from works where doi = ?", local) == [
        (HOMEMADE["TI"], "Student G", 2004, "include", "title+abstract", None)
    ]
    assert rows(db, "select count(*) from tags where doi = ? and facet = 'condition'", local)[0][0] > 0
    assert rows(db, "select source, via from sightings where doi = ?", local) == [("psycinfo", "import")]
    assert rows(db, "select what from changes where doi = ?", local) == [("new",)]
    assert boxes(db)["databases"] == 2


def test_importing_twice_changes_no_row(db: Path, bring: Callable[..., Any]) -> None:
    text = ris(HOMEMADE, HOMEMADE, as_ris(STANGIER, doi=True), {"N1": "nothing to know it by"})
    _, counts = bring(text)
    assert (counts.read, len(counts.unusable)) == (4, 1)
    assert counts.unusable[0].startswith("export.ris:")
    before = everything(db)
    outcome, counts = bring(text)
    assert (outcome.run, counts.known, counts.with_doi + counts.local) == (0, 3, 0)
    assert everything(db) == before
    n = boxes(db)
    assert (n["databases"], n["again"], n["unusable"], n["screened"]) == (4, 1, 1, 2)


def test_the_same_record_in_another_source_is_the_same_work(db: Path, bring: Callable[..., Any]) -> None:
    bring(ris(HOMEMADE))
    shouted = HOMEMADE | {"TI": str(HOMEMADE["TI"]).upper() + ".", "AU": ["Student G"]}
    bring(ris(shouted), "register", "register")
    assert rows(db, "select count(*) from works") == [(1,)]
    n = boxes(db)
    assert (n["databases"], n["registers"], n["again"], n["screened"]) == (1, 1, 1, 1)


def test_a_similar_record_is_clustered_under_the_one_with_a_doi(db: Path, bring: Callable[..., Any]) -> None:
    bring(ris(as_ris(STANGIER, doi=True)))
    bring(ris(as_ris(STANGIER, AB=ABSTRACT, LA="eng")), "other")
    duplicates = rows(db, "select doi, same_as from works where verdict = 'duplicate'")
    assert [(doi[:6], same_as) for doi, same_as in duplicates] == [("local-", STATED)]
    assert boxes(db)["same_work"] == 1


def test_what_is_here_already_answers_before_anybody_is_asked(
    db: Path, bring: Callable[..., Any], go: Callable[..., Outcome]
) -> None:
    records = FakeRecordSource([STANGIER, MARKOWITZ, LIPSITZ])
    go(records, take=[STANGIER, MARKOWITZ, LIPSITZ])
    n = len(rows(db, "select * from works"))
    wrong = as_ris(FONAGY) | {"DO": str(LIPSITZ["DOI"])}
    _, counts = bring(ris(as_ris(STANGIER, AB=ABSTRACT), as_ris(MARKOWITZ, doi=True), wrong))
    assert (counts.with_doi, counts.local) == (2, 1)
    statuses = dict(rows(db, "select doi, status from imported_records"))
    assert statuses[STATED] == "matched"
    assert statuses[str(MARKOWITZ["DOI"])] == "resolved"
    assert statuses.pop(next(key for key in statuses if key.startswith("local-"))) == "mismatch"
    assert len(rows(db, "select * from works")) == n + 1
    # The abstract of the file is read where Crossref has none, and the record of Crossref stands.
    assert rows(db, "select abstract, abstract_source, url from works where doi = ?", STATED) == [
        (ABSTRACT, "file", f"https://doi.org/{STATED}")
    ]


def test_an_imported_abstract_is_never_passed_on(
    db: Path, bring: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bring(ris(HOMEMADE, as_ris(STANGIER, doi=True, AB=ABSTRACT)))
    run = runner(db.parent, monkeypatch, capsys)
    for name in ("csv", "ris", "bibtex", "csl-json", "asreview"):
        said = run("export", "--verdict", "all", "--format", name)
        assert "or usual care" not in said.out, name
        assert "Interpersonal psychotherapy for depression in a rural clinic" in said.out.replace("\\", "")
        assert "2 abstracts left out" in said.err
        assert "doi.org/local" not in said.out
    assert "or usual care" in run("export", "--verdict", "all", "--with-abstracts").out


def test_no_export_calls_a_local_id_a_doi(
    db: Path, bring: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import csv
    import io
    import json

    bring(ris(HOMEMADE))
    run = runner(db.parent, monkeypatch, capsys)
    (row,) = csv.DictReader(io.StringIO(run("export").out))
    key = row["local_id"]
    assert key.startswith("local-")
    assert (row["doi"], row["url"]) == ("", "")
    (item,) = json.loads(run("export", "--format", "csl-json").out)
    assert (item["id"], "DOI" in item) == (key, False)
    assert "\nDO  -" not in run("export", "--format", "ris").out
    assert "doi =" not in run("export", "--format", "bibtex").out
    (row,) = csv.DictReader(io.StringIO(run("export", "--format", "asreview").out))
    assert (row["record_id"], row["doi"]) == (key, "")
    today = rows(db, "select substr(started, 1, 10) from runs")[0][0]
    (row,) = csv.DictReader(io.StringIO(run("export", "--as-of", today).out))
    assert (row["local_id"], row["doi"], row["title"]) == (key, "", HOMEMADE["TI"])
    assert "Verdict: include" in run("explain", key).out
    assert run("cite", key).code == 2
    said = run("decide", key, "exclude", "--because", "a thesis", "--by", "A. Reader")
    assert said.code == 0
    assert rows(db, "select verdict, decided from works") == [("exclude", "person")]
    exported = run("decisions", "export").out
    db.with_name("again.csv").write_text(exported, encoding="utf-8")
    assert run("decisions", "import", "again.csv").out.startswith("0 decisions added")


# ---------------------------------------------------------------------- with Crossref


@pytest.fixture
def crossref() -> Iterator[LoopbackCrossref]:
    known = (LIPSITZ, FONAGY, MARKOWITZ, STANGIER, MALARIA)
    with LoopbackCrossref({str(work["DOI"]): dict(work) for work in known}) as running:
        yield running


def test_records_are_matched_to_their_dois_at_crossref(
    db: Path, bring: Callable[..., Any], crossref: LoopbackCrossref
) -> None:
    wrong = as_ris(FONAGY) | {"DO": str(LIPSITZ["DOI"])}
    nowhere = as_ris(MARKOWITZ) | {"DO": "10.5555/no.such.doi"}
    text = ris(as_ris(STANGIER, AB=ABSTRACT), as_ris(LIPSITZ, doi=True), wrong, nowhere, HOMEMADE)
    outcome, counts = bring(text, url=crossref.url)
    assert (outcome.outcome, counts.trouble, counts.not_asked) == ("complete", None, 0)
    found = {row[0]: row[1:] for row in rows(db, "select place, doi, status from imported_records")}
    statuses = [found[place][1] for place in sorted(found, key=lambda place: int(place.rpartition(":")[2]))]
    assert statuses == ["matched", "resolved", "mismatch", "repaired", "no-doi"]
    assert {doi for doi, _ in found.values() if not doi.startswith("local-")} == {
        STATED, str(LIPSITZ["DOI"]), str(MARKOWITZ["DOI"])
    }  # fmt: skip
    assert rows(db, "select doi from works where gone is not null") == []
    assert boxes(db)["databases"] == 5


def test_what_could_not_be_asked_is_kept_and_asked_in_the_next_sync(
    db: Path, bring: Callable[..., Any], go: Callable[..., Outcome], book: Taxonomy, clock: Callable[[], datetime]
) -> None:
    """A work keeps its decisions and its place in the flow when its local id gets a DOI."""
    bring(ris(as_ris(STANGIER, AB=ABSTRACT), HOMEMADE, as_ris(MARKOWITZ, doi=True)))
    before = boxes(db)
    (local,) = (key for (key,) in rows(db, "select doi from works where title like 'Cognitive%'"))
    ledger = db.with_name("decisions.db")
    add_decisions(db, ledger, book, clock, Doi(local), "exclude", (), (), "not for us", "A. Reader")
    outcome = go(FakeRecordSource([STANGIER, MARKOWITZ, LIPSITZ]))
    assert outcome.outcome == "complete"
    assert rows(db, "select status from imported_records order by status") == [("matched",), ("no-doi",), ("resolved",)]
    assert rows(db, "select verdict, decided, abstract_source from works where doi = ?", STATED) == [
        ("exclude", "person", "file")
    ]
    assert rows(db, "select alias, doi from aliases") == [(local, STATED)]
    assert rows(db, "select count(*) from works where doi = ?", local) == [(0,)]
    # Crossref's record has replaced that of the file.
    sql = "select json_extract(message, '$.imported') from snapshots where doi = ? and last_run is null"
    assert rows(db, sql, str(MARKOWITZ["DOI"])) == [(None,)]
    after = boxes(db)
    same = ("identified", "databases", "again", "screened", "aliases")
    assert {key: after[key] for key in same} == {key: before[key] for key in same}
    with reading(db) as conn:
        days = asked_days(conn, [Doi(doi) for (doi,) in conn.execute("select doi from works order by doi")])
    assert {doi[:6]: days[doi]["asked_crossref"] is not None for doi in days if doi.startswith("local-") or doi == STATED} == {
        "local-": False, STATED[:6]: True
    }  # fmt: skip
    held = everything(db)
    go(FakeRecordSource([STANGIER, MARKOWITZ, LIPSITZ]))
    quiet = ("works", "imported_records", "aliases", "snapshots", "sightings", "verdict_history", "tags")
    assert {table: everything(db)[table] for table in quiet} == {table: held[table] for table in quiet}


def test_a_doi_that_was_trusted_and_is_wrong_leads_to_a_local_id(
    db: Path, bring: Callable[..., Any], go: Callable[..., Outcome]
) -> None:
    bring(ris(as_ris(FONAGY) | {"DO": str(LIPSITZ["DOI"])}))
    assert rows(db, "select doi, title from works") == [(str(LIPSITZ["DOI"]), FONAGY["title"][0])]
    before = boxes(db)
    go(FakeRecordSource([LIPSITZ]))
    ((key, title),) = rows(db, "select doi, title from works")
    assert key.startswith("local-")
    assert title == FONAGY["title"][0]
    after = boxes(db)
    assert (after["databases"], after["screened"], after["aliases"]) == (before["databases"], before["screened"], 0)
    # The true work of that DOI is not lost to the alias when a source finds it.
    go(FakeRecordSource([LIPSITZ]), take=[LIPSITZ])
    assert rows(db, "select doi from works where title = ?", LIPSITZ["title"][0]) == [(str(LIPSITZ["DOI"]),)]
    boxes(db)


def test_a_doi_of_another_agency_is_kept(db: Path, bring: Callable[..., Any], go: Callable[..., Outcome]) -> None:
    bring(ris({**HOMEMADE, "DO": "10.17605/osf.io/abcde"}))
    records = FakeRecordSource([LIPSITZ])
    records.agencies["10.17605/osf.io/abcde"] = "DataCite"
    go(records)
    assert rows(db, "select doi, gone from works") == [("10.17605/osf.io/abcde", None)]
    assert rows(db, "select status from imported_records") == [("not-in-crossref",)]


def test_crossref_that_fails_costs_no_record(
    db: Path, bring: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> Iterator[Any]:
        raise UnavailableError("Crossref did not answer")

    monkeypatch.setattr("evidence.crossref.client.CrossrefClient.lookup", fail)
    outcome, counts = bring(ris(as_ris(STANGIER, doi=True), HOMEMADE), url="http://127.0.0.1:9")
    assert (outcome.outcome, counts.trouble, counts.not_asked) == ("partial", "Crossref did not answer", 2)
    assert rows(db, "select count(*) from works") == [(2,)]


def test_a_record_that_is_asked_about_again_without_result_leaves_its_work_alone(
    db: Path, bring: Callable[..., Any], go: Callable[..., Outcome]
) -> None:
    bring(ris(*(HOMEMADE | {"TI": f"Interpersonal psychotherapy in clinic {n}"} for n in range(12))))
    records = FakeRecordSource([LIPSITZ])
    go(records)
    asked = "select count(*) from imported_records where status = 'no-doi'"
    assert rows(db, asked) == [(12,)]
    assert [go(records).rejudged for _ in range(10)] == [
        0
    ] * 10  # each record is asked about once in ten syncs at least


# ---------------------------------------------------------------------- all or nothing


def test_a_damaged_file_brings_nothing(db: Path, bring: Callable[..., Any]) -> None:
    open_store(db).close()
    before = everything(db)
    with pytest.raises(ConfigError, match=r"export.csv:\d+: .*quotation mark"):
        bring("title,year\n" + "A title,2004\n" * 300 + '"cut', name="export.csv")
    assert everything(db) == before


@pytest.mark.slow
def test_a_program_that_is_killed_while_it_writes_has_written_nothing(
    db: Path, bring: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [HOMEMADE | {"TI": f"Interpersonal psychotherapy in clinic {n}"} for n in range(250)]
    calls = []
    write = import_files._write

    def killed(*parts: Any, **more: Any) -> None:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        write(*parts, **more)

    with monkeypatch.context() as patched:
        patched.setattr(import_files, "_write", killed)
        with pytest.raises(KeyboardInterrupt):
            bring(ris(*many))
    for table in ("works", "snapshots", "imported_records", "sightings", "sources", "verdict_history"):
        assert rows(db, f"select count(*) from {table}") == [(0,)], table
    _, counts = bring(ris(*many))
    assert counts.new_works == 250
    assert boxes(db)["databases"] == 250


def test_the_same_import_after_a_kill_announces_what_the_killed_one_had_written(
    db: Path, bring: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("evidence.harvest.rejudge.rejudge_and_deduplicate", killed)
        with pytest.raises(KeyboardInterrupt):
            bring(ris(HOMEMADE))
    assert (rows(db, "select count(*) from works"), rows(db, "select * from changes")) == ([(1,)], [])
    outcome, counts = bring(ris(HOMEMADE))
    assert (outcome.outcome, counts.known, counts.new_works) == ("complete", 1, 0)
    assert rows(db, "select what from changes") == [("new",)]
    assert bring(ris(HOMEMADE))[0].run == 0


# ---------------------------------------------------------------------- sources


FILE_SOURCE = """
sources:
  - id: hand-search
    kind: file
    label: Searched by hand
    files: [export.ris]
    method: website
    database: The society's site
    date: 2026-11-20
    search: interpersonal psychotherapy
"""


def test_a_source_of_files_in_sources_yaml(
    db: Path, book: Taxonomy, clock: Callable[[], datetime], bring: Callable[..., Any]
) -> None:
    bring(ris(as_ris(MARKOWITZ, doi=True)), "by-command")
    path = db.with_name("sources.yaml")
    path.write_text(FILE_SOURCE, encoding="utf-8")
    db.with_name("export.ris").write_text(ris(HOMEMADE), encoding="utf-8")
    config = sources.load(path)
    for _ in range(2):
        with open_store(db) as opened:
            outcome = stages.sync(config, opened, FakeRecordSource([MARKOWITZ]), book, now=clock)
        assert (outcome.outcome, outcome.troubles) == ("complete", [])
    assert rows(db, "select source, method, retired from sources where method is not null order by 1") == [
        ("by-command", "database", None), ("hand-search", "website", None)
    ]  # fmt: skip
    n = boxes(db)
    assert (n["websites"], n["databases"], n["screened"]) == (1, 1, 2)
    db.with_name("export.ris").write_bytes(b"\0\1\2")
    with open_store(db) as opened:
        outcome = stages.sync(config, opened, FakeRecordSource([MARKOWITZ]), book, now=clock)
    assert outcome.outcome == "partial"
    assert [source for source, _ in outcome.troubles] == ["hand-search"]
    with pytest.raises(ConfigError, match=r"is a source of sources\.yaml"):
        bring(ris(as_ris(MARKOWITZ)), "hand-search")


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (("method: website", "method: webpage"), "unknown method 'webpage'; did you mean 'website'?"),
        (("date: 2026-11-20", "date: 20.11.2026"), "is not a day; write it like 2026-01-31"),
        (("    files: [export.ris]\n", ""), "files"),
        (("kind: file", "kind: files"), "did you mean 'file'?"),
    ],
)
def test_mistakes_in_a_source_of_files(edit: tuple[str, str], said: str) -> None:
    text = FILE_SOURCE.replace(*edit)
    with pytest.raises(ConfigError, match=r"s.yaml:\d+") as error:
        sources.check(strict_yaml.parse(text, "s.yaml"))
    assert said in str(error.value)


def test_the_command_says_what_it_did(
    db: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    db.with_name("a.ris").write_text(ris(HOMEMADE, as_ris(STANGIER, doi=True), {"N1": "x"}), encoding="utf-8")
    run = runner(db.parent, monkeypatch, capsys)
    said = run("import", "a.ris", "--name", "PsycINFO (Ovid)", "--offline", "--date", "2026-11-20")
    assert said.code == 0
    assert said.out.startswith("PsycINFO (Ovid): 3 records read, 2 new, 0 imported before.\n")
    assert "Not usable: a.ris:" in said.out
    assert rows(db, "select source, label, method from sources") == [("psycinfo-ovid", "PsycINFO (Ovid)", "database")]
    assert run("import", "a.ris", "--name", "PsycINFO (Ovid)", "--offline", "--date", "2026-11-20").out.startswith(
        "PsycINFO (Ovid): 3 records read, 0 new, 2 imported before."
    )
    assert run("import", "missing.ris", "--name", "X").code == 2
    assert "write it like 2026-01-31" in run("import", "a.ris", "--name", "X", "--date", "yesterday").err
    assert "is reserved" in run("import", "a.ris", "--name", "Files").err
    assert "from databases: imported records" in run("report", "prisma").out
    assert "date of the search: 2026-11-20; files: a.ris" in run("report", "prisma-s").out


def test_importing_without_a_readable_file_is_refused_as_a_source(tmp_path: Path) -> None:
    source = FileSource("x", "X", (tmp_path / "none.ris",), "database", Imported(("none.ris",)))
    with pytest.raises(RejectedError, match="cannot be read"):
        import_files.harvest_files(None, source, None)  # type: ignore[arg-type]


def test_a_record_is_found_by_its_pubmed_identifier(
    db: Path, bring: Callable[..., Any], go: Callable[..., Outcome]
) -> None:
    long = message(
        "10.5555/pm", "Treating grief", 2001, author=[person("Reader", "Ada")], volume="3", issue="2", page="5-9",
        **{"container-title": ["A Journal"]},
    )  # fmt: skip
    go(FakeRecordSource([long]), take=[long])
    bring(ris({**as_ris(long, doi=True), "N1": "PMID: 1234567"}))
    assert rows(db, "select identifier from identifiers where doi = '10.5555/pm' and kind = 'pmid'") == [("1234567",)]
    bring(ris({"TI": "Treating grief", "AU": ["Reader A"], "PY": "2001", "N1": "PMID: 1234567"}), "other")
    assert rows(db, "select distinct doi from imported_records") == [("10.5555/pm",)]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_the_flow_adds_up_through_any_order_of_imports_and_syncs(
    db: Path, bring: Callable[..., Any], go: Callable[..., Outcome], seed: int
) -> None:
    """And the flow of a past run stays what it was, whatever is found out later."""
    import random

    choose = random.Random(seed)
    known = (STANGIER, MARKOWITZ, LIPSITZ, FONAGY)
    wrong = as_ris(FONAGY) | {"DO": str(LIPSITZ["DOI"])}
    held = [*(as_ris(work) for work in known), *(as_ris(work, doi=True) for work in known), wrong, HOMEMADE, HOMEMADE]
    shown: dict[int, dict[str, int]] = {}

    def flow(run: int | None) -> dict[str, int]:
        with reading(db) as conn:
            found = prisma_flow.read_flow(conn, run)
        n = {box["key"]: box["n"] for box in found.boxes}
        assert n["identified"] - n["removed"] == n["screened"], (seed, run, n)
        assert min(n.values()) >= 0, (seed, run, n)
        return n

    for _ in range(7):
        if choose.random() < 0.6:
            method = choose.choice(["database", "register", "citation"])
            bring(ris(*choose.sample(held, 4)), f"source-{method}", method)
        else:
            answering = choose.sample(known, choose.randint(1, 4))
            go(FakeRecordSource(answering), take=choose.sample(answering, choose.randint(0, 1)))
        boxes(db)
        last = rows(db, "select max(run) from runs")[0][0]
        shown[last] = flow(None)
        for run, before in shown.items():
            assert flow(run) == before, (seed, run)
