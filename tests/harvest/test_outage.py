"""What an outage costs: a run over twenty sources asks little, waits less than a minute in all, and says it in one line."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

import pytest

from evidence import strict_yaml
from evidence.database import read_queries
from evidence.database.connection import open_evidence, reading
from evidence.export import sync_summary
from evidence.harvest import sources
from evidence.harvest.locked_run import run_sync
from evidence.harvest.progress import NoProgress
from evidence.harvest.run_outcome import Outcome
from evidence.harvest.sources import Config
from evidence.http.rate_limit import STOP_AFTER
from evidence.rules.taxonomy import Taxonomy
from tests.builders import FONAGY, LIPSITZ, MARKOWITZ, STANGIER, WORKS
from tests.loopback import Fault, LoopbackCrossref, Request

LISTS, SEARCHES = 4, 16
TRIES, UNSEEN = 5, 3


def twenty() -> Config:
    """Four reference lists among sixteen searches."""
    listed_sources: list[dict[str, object]] = []
    for number in range(SEARCHES):
        query = {"bibliographic": f"interpersonal psychotherapy {number}"}
        search = {"kind": "search", "label": f"S {number}", "query": query, "phrases": ["interpersonal psychotherap*"]}
        listed_sources.append({"id": f"search-{number}", **search})
    for number in range(LISTS):
        cited = [{"text": "A citation", "doi": work["DOI"]} for work in (LIPSITZ, FONAGY, MARKOWITZ, STANGIER)]
        listed: dict[str, object] = {
            "id": f"list-{number}",
            "kind": "references",
            "label": f"L {number}",
            "citations": cited,
        }
        listed_sources.insert(number * 5, listed)
    return sources.check(strict_yaml.parse(json.dumps({"sources": listed_sources}), "s.yaml"))


@pytest.fixture
def server() -> Iterator[LoopbackCrossref]:
    with LoopbackCrossref(WORKS) as running:
        yield running


Go = Callable[..., Outcome]


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def go(tmp_path: Path, book: Taxonomy, clock: Callable[[], datetime], waits: list[float]) -> Go:
    db = tmp_path / "evidence.db"

    def run(url: str) -> Outcome:
        waits.clear()
        ledger = db.with_name("decisions.db")
        return run_sync(db, ledger, twenty(), book, clock, NoProgress(), files=None, url=url, sleep=waits.append)

    return run


@contextmanager
def nobody() -> Iterator[str]:
    """An address on this machine where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def in_list(request: Request) -> bool:
    return request.route == "list"


def stopped(outcome: Outcome, db: Path) -> None:
    """The run says in one line that all sources stopped, and each says it in the database."""
    assert outcome.outcome == "partial"
    (line,) = [line for line in sync_summary.sync_summary(outcome).splitlines() if line.startswith("Stopped")]
    assert " and " in line
    assert "more: " in line
    assert "http://" not in line
    with reading(db) as conn:
        said = {row["source"]: row["trouble"] for row in read_queries.status(conn)["sources"]}
    assert all(said[source.id] for source in twenty().sources)
    assert "not asked again in this run" in said["search-15"]


def test_a_network_that_is_not_there(go: Go, waits: list[float], tmp_path: Path) -> None:
    with nobody() as url:
        outcome = go(url)
    assert outcome.requests == UNSEEN + STOP_AFTER - 1
    assert sum(waits) < 20
    assert len(outcome.troubles) == LISTS + SEARCHES
    stopped(outcome, tmp_path / "evidence.db")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["500", "504", "html", "empty", "drop"])
def test_a_server_that_fails_everything(
    kind: str, go: Go, waits: list[float], server: LoopbackCrossref, tmp_path: Path
) -> None:
    server.script([Fault(kind, times=None)])  # type: ignore[arg-type]
    outcome = go(server.url)
    assert outcome.requests == len(server.requests) <= TRIES + 2 * STOP_AFTER
    assert sum(waits) < 60
    stopped(outcome, tmp_path / "evidence.db")


@pytest.mark.parametrize("kind", ["500", "html"])
def test_a_server_that_fails_every_list(
    kind: str, go: Go, waits: list[float], server: LoopbackCrossref, tmp_path: Path
) -> None:
    server.script([Fault(kind, times=None, when=in_list)])  # type: ignore[arg-type]
    outcome = go(server.url)
    assert outcome.outcome == "partial"
    assert sum(in_list(request) for request in server.requests) == TRIES + STOP_AFTER - 1
    assert len(server.requests) < 20
    assert sum(waits) < 60


@pytest.mark.slow
def test_known_works_are_not_all_asked_by_themselves_when_lists_fail(
    go: Go, waits: list[float], server: LoopbackCrossref
) -> None:
    more = {f"10.5555/ipt.{n}": {**MARKOWITZ, "DOI": f"10.5555/ipt.{n}"} for n in range(400)}
    server.works |= more
    assert go(server.url).outcome == "complete"
    server.forget()
    server.script([Fault("500", times=None, when=in_list)])
    outcome = go(server.url)
    assert outcome.outcome == "partial"
    assert len(server.requests) < 40
    assert sum(waits) < 60


def test_a_server_that_comes_back_is_used_again(go: Go, waits: list[float], server: LoopbackCrossref) -> None:
    server.script([Fault("500", times=TRIES + 1)])
    outcome = go(server.url)
    assert outcome.outcome == "partial"
    assert len(outcome.troubles) == 1
    assert len(outcome.matched) == 2
    assert go(server.url).outcome == "complete"


def test_once_it_is_back_a_failure_is_forgiven_as_before(go: Go, server: LoopbackCrossref) -> None:
    answered = iter(range(10**6))
    server.script(
        [
            Fault("500", times=TRIES + 1),
            Fault("500", times=TRIES - 1, when=lambda request: in_list(request) and next(answered) >= 3),
        ]
    )
    outcome = go(server.url)
    assert len(outcome.troubles) == 1


def test_a_server_asked_too_fast_is_not_taken_for_one_that_is_down(
    go: Go, waits: list[float], server: LoopbackCrossref
) -> None:
    server.script([Fault("429", times=TRIES)])
    outcome = go(server.url)
    assert len(outcome.troubles) == 1
    assert len(server.requests) > TRIES + LISTS + SEARCHES - 1


def test_what_was_harvested_before_an_outage_stands(go: Go, server: LoopbackCrossref, tmp_path: Path) -> None:
    assert go(server.url).outcome == "complete"
    with closing(open_evidence(tmp_path / "evidence.db")) as conn:
        before = [tuple(row) for row in conn.execute("select source, bookmark from sources order by 1")]
    server.script([Fault("500", times=None)])
    assert go(server.url).outcome == "partial"
    with closing(open_evidence(tmp_path / "evidence.db")) as conn:
        assert [tuple(row) for row in conn.execute("select source, bookmark from sources order by 1")] == before
    server.forget()
    assert go(server.url).outcome == "complete"
