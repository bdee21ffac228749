"""A whole sync over HTTP against the loopback Crossref: windows, batches, aliases, faults, kill −9."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from evidence import strict_yaml
from evidence.crossref import client
from evidence.database.connection import reading
from evidence.export import sync_summary
from evidence.harvest import sources
from evidence.harvest.locked_run import FileInput, run_sync
from evidence.harvest.progress import NoProgress
from evidence.harvest.run_outcome import Outcome
from evidence.harvest.sources import Config
from evidence.rules.taxonomy import Taxonomy
from tests.builders import FONAGY, LIPSITZ, MALARIA, MARKOWITZ, SMALL_YAML, WORKS, message
from tests.loopback import Fault, LoopbackCrossref, Request
from tests.whole.test_crash import contents

FEW, MANY = 120, 1300
"""Works of the field beside the five of `records`: a small server, and one with more than a page holds."""


def field(count: int) -> dict[str, Any]:
    """Works of the field, many dated to their year only, and noise that shares a word."""
    works = list(WORKS)
    for n in range(count):
        day = [1980 + n % 40, 1 + n % 12, 1 + n % 28][: 1 + n % 3]
        works.append(
            message(
                f"10.5555/ipt.{n}", f"Interpersonal psychotherapy in setting {n}", day[0], issued={"date-parts": [day]}
            )
        )
    works += [
        message(f"10.5555/noise.{n}", f"Interpersonal violence in district {n}", 1990 + n % 30)
        for n in range(count // 3)
    ]
    return {str(w["DOI"]): w for w in works}


@pytest.fixture
def server() -> Iterator[LoopbackCrossref]:
    with LoopbackCrossref(field(FEW)) as running:
        yield running


@pytest.fixture
def go(
    tmp_path: Path, server: LoopbackCrossref, book: Taxonomy, clock: Callable[[], datetime]
) -> Callable[..., Outcome]:
    small = sources.check(strict_yaml.parse(SMALL_YAML, "s.yaml"))

    def run(folder: str = "a", config: Config = small, files: FileInput | None = None, **more: Any) -> Outcome:
        (tmp_path / folder).mkdir(exist_ok=True)
        db = tmp_path / folder / "evidence.db"
        return run_sync(
            db, db.with_name("decisions.db"), config, book, clock, NoProgress(), files=files, url=server.url, **more
        )

    return run


def test_first_and_second_sync(go: Callable[..., Outcome], server: LoopbackCrossref, tmp_path: Path) -> None:
    server.works = field(MANY)
    first = go()
    assert first.outcome == "complete"
    assert len(first.matched) == MANY + 4  # every work of the field, beyond the first thousand too
    assert first.written.new == MANY + 4
    requests = len(server.requests)
    before = contents(tmp_path / "a")
    second = go()
    assert (second.written.new, second.written.changed, second.written.sightings) == (0, 0, 0)
    assert contents(tmp_path / "a") == before
    again = server.requests[requests:]
    refresh = [r for r in again if r.params.get("select") == client.CHECK_FIELDS]
    assert sum(len(r.dois) for r in refresh) == MANY + 4 == second.refreshed
    assert len(refresh) <= 2 * (first.written.new / 100)
    assert len(again) - len(refresh) <= 4


def test_a_change_an_alias_and_a_retraction_arrive(go: Callable[..., Outcome], server: LoopbackCrossref) -> None:
    go()
    now = {"date-time": "2026-11-24T10:00:00Z", "date-parts": [[2026, 11, 24]]}
    server.works[FONAGY["DOI"]] = FONAGY | {
        "indexed": now,
        "updated-by": [{"DOI": "10.5555/n", "type": "retraction", "source": "retraction-watch"}],
    }
    outcome = go()
    assert outcome.written.changed == 1
    assert [(c["what"], c["doi"], c["after"]) for c in outcome.changes.named] == [
        ("notice", FONAGY["DOI"], "retraction 10.5555/n")
    ]
    assert outcome.counts()["changes"] == {"notice": 1}


@pytest.mark.slow
def test_faults_on_the_way_cost_time_and_nothing_else(
    go: Callable[..., Outcome], server: LoopbackCrossref, tmp_path: Path
) -> None:
    go("clean")
    waits: list[float] = []
    for number, fault in enumerate(
        (
            Fault("429", retry_after="7"),
            Fault("429"),
            Fault("500"),
            Fault("504"),
            Fault("truncated"),
            Fault("html"),
            Fault("drop"),
            Fault("reset"),
            Fault("gzip"),
        )
    ):
        server.script([fault])
        outcome = go(f"faulty{number}", sleep=waits.append)
        assert outcome.outcome == "complete", fault
        assert contents(tmp_path / f"faulty{number}") == contents(tmp_path / "clean"), fault
    assert any(6.9 < wait < 10 for wait in waits)


def test_a_block_stops_at_once_and_is_said(go: Callable[..., Outcome], server: LoopbackCrossref) -> None:
    server.script([Fault("403", times=None)])
    outcome = go()
    assert outcome.outcome == "partial"
    assert len(server.requests) == 1
    assert "403" in outcome.troubles[0][1]


@pytest.mark.slow
@pytest.mark.parametrize("at", [1, 2, 4, 6])
def test_the_program_killed_amid_requests_and_resumed_equals_a_clean_run(
    at: int, go: Callable[..., Outcome], server: LoopbackCrossref, tmp_path: Path
) -> None:
    go("clean")
    folder = tmp_path / "killed"
    folder.mkdir()
    (folder / "sources.yaml").write_text(SMALL_YAML)
    count = 0
    child: subprocess.Popen[bytes] | None = None

    def kill(_: Request) -> bool:
        nonlocal count
        count += 1
        if count == at and child is not None:
            os.kill(child.pid, signal.SIGKILL)
        return False

    server.script([Fault("drop", times=None, when=kill)])
    child = subprocess.Popen(
        [sys.executable, "-m", "evidence", "sync"],
        cwd=folder,
        env={**os.environ, "EVIDENCE_CROSSREF_URL": server.url},
        stdout=subprocess.DEVNULL,
    )
    assert child.wait(60) == -signal.SIGKILL
    server.script([])
    assert go("killed").outcome == "complete"
    assert contents(folder) == contents(tmp_path / "clean")


def test_a_list_that_a_publisher_deposited_is_followed(
    go: Callable[..., Outcome], server: LoopbackCrossref, tmp_path: Path
) -> None:
    server.works[LIPSITZ["DOI"]] = LIPSITZ | {
        "reference": [
            {"key": "1", "DOI": "10.5555/IPT.7", "doi-asserted-by": "crossref"},
            {
                "key": "2",
                "DOI": "10.5281/zenodo.99",
                "doi-asserted-by": "publisher",
                "unstructured": "A data set. 2019.",
            },
            {"key": "3", "unstructured": "A book that nobody registered anywhere. Somewhere: Someone; 1970."},
        ]
    }
    server.agencies["10.5281/zenodo.99"] = "DataCite"
    text = "sources:\n  - {id: mechanisms, kind: references, label: M, of: 10.1016/j.cpr.2013.09.002}\n"
    outcome = go(config=sources.check(strict_yaml.parse(text, "s.yaml")))
    assert dict(outcome.citations) == {"resolved": 1, "not-in-crossref": 1, "no-doi": 1}
    rows = contents(tmp_path / "a")["citations"]
    assert any("DataCite" in str(row) for row in rows)


FOLLOWED = "sources:\n  - {id: mechanisms, kind: references, label: M, of: 10.1016/j.cpr.2013.09.002}\n"


def test_a_followed_list_and_its_works_are_read_from_files(
    go: Callable[..., Outcome], server: LoopbackCrossref, tmp_path: Path
) -> None:
    """The cited works may stand before the work that cites them; all that is asked for is kept without `--all`."""
    text = "Fonagy P, Lemma A. Dynamic interpersonal therapy for moderate to severe depression: a pilot randomized controlled"
    citing = LIPSITZ | {
        "reference": [
            {"key": "1", "DOI": MARKOWITZ["DOI"], "doi-asserted-by": "crossref"},
            {"key": "2", "unstructured": f"{text} and feasibility trial. Psychol Med. 2020;50(6):1010-1019."},
            {"key": "3", "DOI": "10.5555/not.here", "doi-asserted-by": "publisher"},
        ]
    }
    file = tmp_path / "records.jsonl"
    file.write_text("\n".join(json.dumps(m) for m in [{"title": ["x"]}, MARKOWITZ, FONAGY, MALARIA, citing]))
    small = sources.check(strict_yaml.parse(FOLLOWED, "s.yaml"))
    files = FileInput("files", (file,))
    outcome = go(config=small, files=files)
    assert (outcome.troubles, outcome.read, outcome.written.rejects) == ([], 5, 1)
    assert dict(outcome.citations) == {"resolved": 1, "matched": 1, "not-in-files": 1}
    assert outcome.written.new == 2
    with reading(tmp_path / "a" / "evidence.db") as conn:
        assert conn.execute("select count(*) from works where doi = ?", (MALARIA["DOI"],)).fetchone() == (0,)
    assert go("all", config=small, files=FileInput("files", (file,), everything=True)).citations == outcome.citations
    nowhere = tmp_path / "none.jsonl"
    nowhere.write_text(json.dumps(MARKOWITZ))
    (trouble,) = go("none", config=small, files=FileInput("files", (nowhere,))).troubles
    assert "10.1016/j.cpr.2013.09.002: this work is not in these files" in trouble[1]


def test_what_files_do_not_hold_is_asked_of_crossref_by_the_next_sync(
    go: Callable[..., Outcome], server: LoopbackCrossref, tmp_path: Path
) -> None:
    lines = "".join(f"      - {{text: A work that is not here. {n}, doi: 10.5555/ipt.{n}}}\n" for n in range(8))
    text = f"sources:\n  - id: a\n    kind: references\n    label: A\n    citations:\n{lines}"
    small = sources.check(strict_yaml.parse(text, "s.yaml"))
    file = tmp_path / "records.jsonl"
    file.write_text(json.dumps(LIPSITZ))
    outcome = go(config=small, files=FileInput("files", (file,)))
    assert dict(outcome.citations) == {"not-in-files": 8}
    assert "8 citations: 8 not in these files" in sync_summary.sync_summary(outcome)
    for row in contents(tmp_path / "a")["citations"]:
        assert "is not in these files, which does not say whether it exists" in str(row)
    assert "not-in-files" not in go(config=small).citations
    server.works = {}
    assert dict(go("b", config=small).citations) == {"not-found": 8}
    assert dict(go("b", config=small, files=FileInput("files", (file,))).citations) == {"not-found": 8}


def test_a_doi_that_files_do_not_hold_is_never_replaced_by_another(tmp_path: Path, go: Callable[..., Outcome]) -> None:
    text = "Markowitz J, Weissman M. Interpersonal psychotherapy: past, present, and future. 2012;19(2):99-105."
    lines = "".join(f'      - {{text: "{text}", doi: "{doi}"}}\n' for doi in ("10.1002/old.1774", "1002/cpp.9999x"))
    yaml = f"sources:\n  - id: a\n    kind: references\n    label: A\n    citations:\n{lines}"
    file = tmp_path / "records.jsonl"
    file.write_text(json.dumps(MARKOWITZ))
    small = sources.check(strict_yaml.parse(yaml, "s.yaml"))
    outcome = go(config=small, files=FileInput("files", (file,)))
    assert dict(outcome.citations) == {"not-in-files": 1, "repaired": 1}
    assert "the text fits 10.1002/cpp.1774" in str(contents(tmp_path / "a")["citations"])


@pytest.mark.parametrize("registered", ["10.1000/ÅBC.1", "10.1000/åbc.1"])
def test_a_doi_with_a_capital_beyond_ascii_lands_once(
    go: Callable[..., Outcome], server: LoopbackCrossref, tmp_path: Path, registered: str
) -> None:
    """The server folds all of Unicode; what is stored is the record's own spelling, as SQLite's lower() leaves it."""
    server.works["10.1000/åbc.1"] = MARKOWITZ | {"DOI": registered}
    lines = "      - doi: 10.1000/ÅBC.1\n      - doi: https://doi.org/10.1000/%C3%85BC.1\n"
    text = f"sources:\n  - id: a\n    kind: references\n    label: A\n    citations:\n{lines}"
    small = sources.check(strict_yaml.parse(text, "s.yaml"))
    first = go(config=small)
    assert (first.outcome, dict(first.citations)) == ("complete", {"resolved": 2})
    stored = "10.1000/Åbc.1" if registered == "10.1000/ÅBC.1" else registered
    assert first.written.new == 1
    with reading(tmp_path / "a" / "evidence.db") as conn:
        assert conn.execute("select doi from works").fetchall() == [(stored,)]
    before = contents(tmp_path / "a")
    assert go(config=small).written.new == 0
    assert contents(tmp_path / "a") == before
