"""`evidence enrich` and its options on the command line, from files and over a loopback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evidence.rules import topic
from tests.command_line import Run, runner
from tests.provider_records import pubmed

TITLE = "Cognitive therapy vs interpersonal psychotherapy in social anxiety disorder: a randomized controlled trial"
DOI = "10.1001/archgenpsychiatry.2011.67"
RETRACTIONS = (
    "Record ID,Title,Subject,Institution,Journal,Publisher,Country,Author,URLS,ArticleType,RetractionDate,RetractionDOI,"
    "RetractionPubMedID,OriginalPaperDate,OriginalPaperDOI,OriginalPaperPubMedID,RetractionNature,Reason,Paywalled,Notes\n"
    f'7,"{TITLE}",,,,,,,,Research Article;,3/1/2019 0:00,10.5555/notice,0,7/1/2011 0:00,{DOI},0,Retraction,+Error;,No,\n'
)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command line in a folder with the bundled works of the default topic."""
    run = runner(tmp_path, monkeypatch, capsys)
    assert topic.load().records_path.exists()
    assert run("init", ".").code == 0
    assert run("sync", "--offline").code == 0
    return run


def test_records_from_files_are_taken_and_shown(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "pubmed.xml"
    file.write_text(f"<PubmedArticleSet>{pubmed(DOI, TITLE, '21747004')}</PubmedArticleSet>", encoding="utf-8")
    first = run("enrich", "--from", str(file))
    assert first.code == 0, first.err
    assert "PubMed: 1 asked about, 1 with a record, 0 without." in first.out
    assert "1 work judged again with what they answered." in first.out
    explained = run("explain", "PMID:21747004").out
    assert explained.startswith(TITLE)
    assert "Abstract: PubMed, " in explained and "PubMed has a record (asked " in explained
    assert run("explain", "https://pubmed.ncbi.nlm.nih.gov/21747004/").out == explained
    status = run("status").out
    assert "PubMed: 1 work with a record, 0 without" in status
    assert "Not asked about any work: Europe PMC, OpenAlex and Retraction Watch." in status
    assert "Abstracts of included works and those waiting: 1 from PubMed, 256 without one." in status
    again = run("enrich", "--from", str(file), "--json")
    assert json.loads(again.out)["outcome"] == "complete" and "providers" not in json.loads(again.out)


def test_a_file_about_another_work_is_refused_and_said(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "wrong.xml"
    file.write_text(
        f"<PubmedArticleSet>{pubmed(DOI, 'Bridges and their builders')}</PubmedArticleSet>", encoding="utf-8"
    )
    said = run("enrich", "--from", str(file))
    assert "1 with the record of another work, which was refused" in said.out
    assert "PubMed answered with another work, which was refused" in run("explain", DOI).out


@pytest.mark.slow
def test_the_file_of_retraction_watch_marks_works_and_is_read_again_only_when_it_has_changed(
    run: Run, tmp_path: Path
) -> None:
    file = tmp_path / "retraction_watch.csv"
    file.write_text(RETRACTIONS, encoding="utf-8")
    said = run("enrich", "--only", "datacite", "--retraction-watch", str(file))
    assert f"NOTICE retraction of included work {DOI}" in said.out
    assert "Retraction Watch: 2" in said.out
    assert (
        "retraction 2019-03-01 10.5555/notice RW:7 (from retraction-watch) stated by Retraction Watch"
        in run("explain", DOI).out
    )
    assert "Nothing new" in run("enrich", "--only", "datacite", "--retraction-watch", str(file)).out
    file.write_text(RETRACTIONS.replace("Retraction,+", "Expression of concern,+"), encoding="utf-8")
    assert "NOTICE expression-of-concern" in run("enrich", "--only", "datacite", "--retraction-watch", str(file)).out


def test_what_cannot_be_read_is_an_error_with_the_file(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("no record", encoding="utf-8")
    said = run("enrich", "--from", str(file))
    assert said.code == 2 and "notes.txt, line 1: neither JSON nor XML" in said.err
    bomb = tmp_path / "bomb.xml"
    bomb.write_text('<!DOCTYPE a [<!ENTITY b "bbbb">]><PubmedArticleSet>&b;</PubmedArticleSet>', encoding="utf-8")
    assert run("enrich", "--from", str(bomb)).code == 2
    assert run("enrich", "--from", str(tmp_path / "nowhere.json")).code == 2
    assert run("enrich", "--from", str(file), "--only", "pubmed").code == 2


def test_a_provider_that_cannot_be_reached_is_said_and_the_exit_code_tells(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    monkeypatch.setenv("EVIDENCE_EUROPEPMC_URL", "http://127.0.0.1:9")
    said = run("enrich", "--only", "europepmc")
    assert said.code == 1
    assert "Warning, Europe PMC: " in said.out and "could not be asked about" in said.out
    assert "Europe PMC: 0 works with a record, 0 without, " in run("status").out
    assert "Europe PMC could not be asked since" in run("explain", DOI).out


@pytest.mark.slow
@pytest.mark.parametrize("written", ["maybe", "[pubmed, webofscience]"])
def test_a_mistake_in_sources_yaml_names_its_line(run: Run, tmp_path: Path, written: str) -> None:
    path = tmp_path / "sources.yaml"
    path.write_text(f"enrich: {written}\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    said = run("check")
    assert said.code == 2 and "sources.yaml:1: " in said.err
