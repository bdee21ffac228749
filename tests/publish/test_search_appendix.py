"""`evidence report prisma-s`: the appendix, the table and the search files say the same, and what is logged."""

from __future__ import annotations

import csv
import io
import json
import re
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from evidence.export import search_report
from evidence.harvest.review_statements import ITEMS
from tests.builders import SMALL_YAML
from tests.command_line import Run, runner
from tests.loopback import LoopbackCrossref

FILTERED = SMALL_YAML.replace(
    "    years: 1974-\n", "    years: 1974-\n    filter: {type: [journal-article, book-chapter]}\n"
)
STATED = {
    "authors": [{"name": "Reader, A.", "orcid": "0000-0002-1825-0097"}],
    "question": "Does IPT | help?",
    "protocol": "https://osf.io/abcde",
    **{key: f"About {key} *here*" for key in ITEMS},
}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    (tmp_path / "sources.yaml").write_text(FILTERED)
    return runner(tmp_path, monkeypatch, capsys)


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def items(markdown: str) -> dict[int, str]:
    return {int(n): text for n, text in re.findall(r"^\*\*Item (\d+)\. [^*]+\*\* ?(.*)$", markdown, re.MULTILINE)}


def test_the_appendix_has_the_16_items_and_marks_those_that_nobody_stated(run: Run, crossref: LoopbackCrossref) -> None:
    run("sync", "--no-enrich")
    said = run("report", "prisma-s", "-f", "markdown")
    assert said.code == 0, said.err
    found = items(said.out)
    assert list(found) == list(range(1, 17))
    assert "Crossref, through the Crossref REST API" in found[1]
    open_items = {n for n, text in found.items() if "Not stated: add `" in text}
    assert open_items == {3, 4, 6, 7, 9, 10, 11, 14}
    assert "**Not stated: add `peer_review` to prisma-s.yaml.**" in found[14]
    boxes = {box["key"]: box["n"] for box in json.loads(run("report", "prisma", "--json").out)}
    assert f"{boxes['identified']} records were identified" in found[15]
    assert f"{boxes['screened']} were screened" in found[15]
    assert f"{boxes['duplicates']} duplicate records: {boxes['again']} found by several sources" in found[16]
    assert "query.bibliographic=interpersonal psychotherapy&filter=type:journal-article,type:book-chapter" in said.out
    assert run("report", "prisma-s").out.endswith("Add them to prisma-s.yaml beside sources.yaml.\n")


def test_the_text_and_the_table_say_the_same_of_every_search(run: Run, crossref: LoopbackCrossref) -> None:
    for _ in range(2):
        run("sync", "--no-enrich")
    text = run("report", "prisma-s").out
    by_source: dict[str, Counter[str]] = {}
    for row in rows(run("report", "prisma-s", "-f", "csv").out):
        if row["method"] == "search":
            by_source.setdefault(row["source"], Counter()).update(
                requests=int(row["requests"]), scanned=int(row["rows_scanned"])
            )
    told = re.findall(r"\((\S+)\)\n(?:  .*\n)*?  run: .*, ([\d,]+) requests?, ([\d,]+) records? read", text)
    assert {source: (int(requests), int(scanned)) for source, requests, scanned in told} == {
        source: (counts["requests"], counts["scanned"]) for source, counts in by_source.items()
    }
    assert told


def test_what_people_state_completes_every_item(run: Run, crossref: LoopbackCrossref) -> None:
    run("sync", "--no-enrich")
    Path("prisma-s.yaml").write_text(json.dumps(STATED))
    said = run("report", "prisma-s", "-f", "markdown").out
    found = items(said)
    assert "Not stated" not in said
    for key in ITEMS:
        assert said.count(f"About {key.replace('_', chr(92) + '_')} \\*here\\*") == 1, key
    assert "Does IPT \\| help?" in said
    assert "peer\\_review" in found[14]
    assert "Not stated" not in run("report", "prisma-s").out
    assert "12 items of PRISMA-S stated" in run("check").out


def test_a_mistake_in_what_is_stated_stops_check_and_report(run: Run, crossref: LoopbackCrossref) -> None:
    run("sync", "--no-enrich")
    Path("prisma-s.yaml").write_text("contacts: none\npeer_reveiw: PRESS\n")
    for command in (("check",), ("report", "prisma-s", "-f", "csv")):
        said = run(*command)
        assert said.code == 2
        assert said.err.startswith("evidence: prisma-s.yaml:2: ")
        assert "peer_review" in said.err


def test_the_table_has_every_request_and_agrees_with_the_appendix(run: Run, crossref: LoopbackCrossref) -> None:
    run("sync", "--no-enrich")
    run("sync", "--no-enrich")
    run("sync", "--no-enrich", "--full")
    Path("sources.yaml").write_text(FILTERED.replace("interpersonal therap*]", "interpersonal treat*]"))
    run("sync", "--no-enrich")
    table = [row for row in rows(run("report", "prisma-s", "-f", "csv").out) if row["method"] == "search"]
    with closing(sqlite3.connect("evidence.db")) as conn:
        logged = conn.execute("select count(*), sum(scanned), sum(matched) from requests").fetchone()
        runs = conn.execute("select count(distinct run) from requests").fetchone()[0]
    assert runs >= 3
    sums = [sum(int(row[name]) for row in table) for name in ("requests", "rows_scanned", "matched")]
    assert tuple(sums) == logged
    assert {row["filters"] for row in table} == {"type:journal-article; type:book-chapter"}
    assert any(row["window"].startswith("indexed from ") for row in table)
    phrases = Counter(row["kept_if"] for row in table)
    assert len(phrases) == 2, "a search is reported with the phrases that it had when it was run"
    markdown = run("report", "prisma-s", "-f", "markdown").out
    told = re.findall(
        r"^\* Run from .*: ([\d,]+) requests?, ([\d,]+) rows? scanned, ([\d,]+) matched$", markdown, re.MULTILINE
    )
    assert len(told) == 2
    assert tuple(sum(int(n.replace(",", "")) for n in numbers) for numbers in zip(*told, strict=True)) == logged
    files = json.loads(run("report", "prisma-s", "-f", "json").out)
    assert sum(each["evidence"]["rows_scanned"] for each in files) == logged[1]
    assert sum(each["evidence"]["matched"] for each in files) == logged[2]


EXAMPLE_KEYS = [
    "record_info", "authors", "date", "string_name", "keywords", "related_records", "parent_record", "platform", "database",
    "search_string", "search_field", "database_time_coverage", "search_time_span", "search_language", "settings",
    "quality_assurance", "validation_report", "peer_review", "description", "review_question", "review_type", "linked_protocol",
    "linked_report",
]  # fmt: skip
"""The names in the example of the authors of the data structure (github.com/nealhaddaway/searchrecorder), in its order."""


def test_search_files_have_the_names_of_the_published_structure(run: Run, crossref: LoopbackCrossref) -> None:
    run("sync", "--no-enrich")
    Path("prisma-s.yaml").write_text(json.dumps(STATED))
    (found,) = json.loads(run("report", "prisma-s", "-f", "json").out)
    assert list(found) == [*EXAMPLE_KEYS, "evidence"]
    assert found["authors"] == [{"name": "Reader, A.", "ORCID": "0000-0002-1825-0097"}]
    assert found["platform"].startswith("Crossref REST API")
    assert found["database"] == ["Crossref"]
    assert found["search_string"]["full_string"] == (
        "https://api.crossref.org/works?query.bibliographic=interpersonal+psychotherapy"
        "&filter=type%3Ajournal-article%2Ctype%3Abook-chapter"
    )
    assert re.fullmatch(r"\d{4}\.\d\d\.\d\d", found["date"]["search_conducted"])
    assert found["peer_review"] == ["About peer_review *here*"]
    assert found["linked_protocol"] == ["https://osf.io/abcde"]


def test_an_imported_search_is_in_every_format(run: Run) -> None:
    Path("psycinfo.ris").write_text("TY  - JOUR\nTI  - Interpersonal psychotherapy for grief\nPY  - 2020\nER  - \n")
    said = run(
        "import", "psycinfo.ris", "--name", "PsycINFO", "--database", "APA PsycInfo (Ovid)", "--date", "2026-11-20",
        "--search", "exp interpersonal psychotherapy/ | `tw`", "--offline",
    )  # fmt: skip
    assert said.code == 0, said.err
    (row,) = [each for each in rows(run("report", "prisma-s", "-f", "csv").out) if each["files"]]
    assert (row["database"], row["last_request"], row["query"]) == (
        "APA PsycInfo (Ovid)", "2026-11-20", "exp interpersonal psychotherapy/ | `tw`",
    )  # fmt: skip
    markdown = run("report", "prisma-s", "-f", "markdown").out
    assert "`` exp interpersonal psychotherapy/ | `tw` ``" in markdown
    assert "Searched elsewhere and imported: APA PsycInfo (Ovid)." in items(markdown)[1]
    assert "Not stated" in items(markdown)[2]
    (found,) = json.loads(run("report", "prisma-s", "-f", "json").out)
    assert found["search_string"] == {"full_string": "exp interpersonal psychotherapy/ | `tw`"}
    assert found["date"]["search_conducted"] == "2026.11.20"
    assert found["platform"] is None


def test_a_search_that_was_cut_short_says_so() -> None:
    window = {
        "source": "s", "label": "S", "retired": 0, "run": 1, "door": "crossref", "query": "query.title=x", "filters": "",
        "spec": {"phrases": ["x"], "query": {"title": "x"}, "years": [None, None]}, "created_from": None, "created_until": None,
        "indexed_from": None, "other_from": None, "other_until": None, "window_by": None, "first_asked": "2026-11-01T00:00:00Z",
        "last_asked": "2026-11-01T00:10:00Z", "requests": 3, "total": 9000, "scanned": 2000, "matched": 3, "ended": "cut",
        "cut": 1,
        "not_read": 7000,
    }  # fmt: skip
    (found,) = search_report.strategies([window], {"s": 3})
    text = "".join(search_report._strategy_markdown(1, found))
    assert "* Truncated: 1 window cut short, 7,000 records not read" in text
    assert "| all dates | 2026-11-01 | 9,000 | 2,000 | 3 | 7,000 | cut short |" in text
    (quiet,) = search_report.strategies([window | {"ended": "quiet", "cut": 0}], {})
    assert "reading stopped where matches had become rare, 7,000 records not read" in "".join(
        search_report._strategy_markdown(1, quiet)
    )


def test_a_database_without_searches_has_an_appendix(run: Run) -> None:
    run("sync", "--from", "nothing.jsonl")
    Path("nothing.jsonl").write_text("")
    run("sync", "--from", "nothing.jsonl")
    assert list(items(run("report", "prisma-s", "-f", "markdown").out)) == list(range(1, 17))
