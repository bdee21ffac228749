"""All five services over a loopback, on the bundled works: whatever goes wrong, the same is known in the end."""

from __future__ import annotations

import json
import random
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from evidence.cli import cli
from evidence.database.connection import open_evidence
from evidence.errors import BusyError
from evidence.harvest.chosen_providers import ChosenProviders
from evidence.harvest.locked_run import run_enrich
from evidence.harvest.progress import NoProgress
from evidence.harvest.run_outcome import Outcome
from evidence.harvest.sources import SERVICES
from evidence.rules import taxonomy
from evidence.rules.taxonomy import Taxonomy
from tests.loopback_server import Fault, Request
from tests.provider_loopback import ProviderLoopback
from tests.provider_records import europepmc, pubmed
from tests.provider_services import europe_pmc, pub_med
from tests.providers.asking import PASSING, copy

KNOWN = (
    "works",
    "tags",
    "reasons",
    "identifiers",
    "facts",
    "notices",
    "registered_studies",
    "provider_records",
)
"""The tables of what is known of the works."""
_TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z?")


class Library:
    """A database of the bundled works, five services that know some of them, and a clock."""

    def __init__(self, folder: Path, book: Taxonomy) -> None:
        self.folder, self.book = folder, book
        self.now = datetime(2026, 11, 2, 6, tzinfo=UTC)
        works = self.rows("select doi, title from works where verdict in ('include', 'unsure') order by doi")
        self.works = dict(works)
        pmids = dict(self.rows("select doi, identifier from identifiers where kind = 'pmid'"))
        epmc, pm = [], []
        routes: dict[str, Any] = {}
        for number, (doi, title) in enumerate(self.works.items(), start=1):
            pmid = pmids.get(doi, str(90_000_000 + number))
            registrations = [f"NCT{number:08}"] if number % 10 == 0 else []
            retracted = [("RetractionIn", "Lancet. 2019 Mar 1;3(1):1", "99999")] if number == 7 else []
            record = pubmed(doi, title, pmid, registrations=registrations, comments=retracted)
            if number % 2:
                epmc.append(europepmc(doi.upper(), title, pmid, "We studied interpersonal psychotherapy."))
            if number % 3:
                pm.append(record)
            routes[f"/openalex/works/doi:{doi}"] = {
                "id": f"https://openalex.org/W{number}",
                "doi": f"https://doi.org/{doi}",
            }
            for nct in registrations:
                routes[f"/clinicaltrials/api/v2/studies/{nct}"] = {
                    "protocolSection": {"identificationModule": {"nctId": nct, "officialTitle": title}}
                }
        routes |= {f"/europepmc{path}": answer for path, answer in europe_pmc(epmc).items()}
        routes |= {f"/pubmed{path}": answer for path, answer in pub_med(pm).items()}
        self.server = ProviderLoopback(routes)
        self.first_run: Counter[str] = Counter()

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(open_evidence(self.folder / "evidence.db")) as conn:
            return conn.execute(sql).fetchall()

    def ask(self, *, again: bool = False) -> Outcome:
        self.now += timedelta(hours=1)
        urls = {f"EVIDENCE_{name.upper()}_URL": f"{self.server.url}/{name}" for name in SERVICES}
        chosen = ChosenProviders(SERVICES, None, urls)
        db, ledger = self.folder / "evidence.db", self.folder / "decisions.db"
        return run_enrich(
            db, ledger, self.book, lambda: self.now, NoProgress(), chosen, again=again, sleep=lambda _: None
        )

    def known(self) -> dict[str, list[str]]:
        """All rows of what is known, without times and the numbers of runs."""
        found = {}
        for table in KNOWN:
            with closing(sqlite3.connect(self.folder / "evidence.db")) as conn:
                conn.row_factory = sqlite3.Row
                rows = [dict(row) for row in conn.execute(f"select * from {table}")]
            for row in rows:
                for key in {"run", "changed_run", "first_run", "last_run"} & row.keys():
                    del row[key]
            found[table] = sorted(_TIME.sub("TIME", json.dumps(row, sort_keys=True, default=repr)) for row in rows)
        return found

    def requests(self) -> Counter[str]:
        return Counter(request.path.split("/")[1] for request in self.server.requests)

    def states(self, name: str) -> Counter[str]:
        sql = (
            f"select coalesce(state, 'not asked'), count(*) from provider_answers where provider = '{name}' group by 1"
        )
        return Counter(dict(self.rows(sql)))


Make = Callable[[str], Library]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Make]:
    """A library in a folder of its own, with its server running."""
    running: list[ProviderLoopback] = []

    def made(name: str) -> Library:
        folder = tmp_path_factory.mktemp(name)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            for arguments in (["init", "."], ["sync", "--offline"]):
                assert CliRunner().invoke(cli, arguments).exit_code == 0
        library = Library(folder, taxonomy.load())
        running.append(library.server.__enter__())
        return library

    yield made
    for server in running:
        server.stop()


@pytest.fixture(scope="module")
def calm(make: Make) -> Library:
    """A library that was asked about once, without faults."""
    library = make("calm")
    outcome = library.ask()
    assert outcome.outcome == "complete", outcome.provider_problems
    library.first_run = library.requests()
    return library


def test_every_work_has_an_answer_of_every_service(calm: Library) -> None:
    count = len(calm.works)
    assert count > 250
    for name in ("europepmc", "pubmed", "openalex"):
        assert calm.states(name) == {"asked": count}
    assert calm.rows("select doi, kind, source from notices where source = 'PubMed'") == [
        (sorted(calm.works)[6], "retraction", "PubMed")
    ]
    sources = Counter(source for (source,) in calm.rows("select abstract_source from works"))
    assert sources["pubmed"] == sum(number % 3 > 0 for number in range(1, count + 1))
    assert sources["europepmc"] == sum(number % 2 and not number % 3 for number in range(1, count + 1))
    numbers = dict(calm.rows("select kind, count(distinct identifier) from identifiers group by kind"))
    assert numbers["openalex"] == count
    assert calm.rows("select count(*) from registered_studies") == [
        (len([n for n in range(10, count + 1, 10) if n % 3]),)
    ]


def test_the_two_main_services_take_few_requests(calm: Library) -> None:
    """Six for a hundred works would be the most that is acceptable."""
    found = calm.first_run
    assert found["europepmc"] + found["pubmed"] <= 0.06 * len(calm.works)


@pytest.mark.slow
def test_a_second_run_asks_nothing_and_changes_nothing(calm: Library) -> None:
    before, known = len(calm.server.requests), calm.known()
    assert calm.ask().outcome == "complete"
    assert len(calm.server.requests) == before
    outcome = calm.ask(again=True)
    assert (outcome.outcome, outcome.changes.counts, outcome.rejudged) == ("complete", {}, 0)
    assert calm.known() == known


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_faults_end_where_a_calm_run_does(make: Make, calm: Library, seed: int) -> None:
    """Of the first requests of a run five of seven fail, each in some way; runs go on until every work was asked about."""
    library = make(f"faults-{seed}")
    chance = random.Random(seed)
    ways = sorted(set(PASSING) - {"gzip", "hang", "huge", "gzip bomb"})
    runs = 0
    while runs < 15:
        runs += 1
        library.server.forget()
        library.server.script(
            fault_when(PASSING[chance.choice(ways)], lambda _: len(library.server.requests) % 7 > 1)
            for _ in range(max(0, 40 - 3 * runs))
        )
        outcome = library.ask()
        for name in ("europepmc", "pubmed", "openalex"):
            states = library.states(name)
            assert states.total() == len(library.works)
        if outcome.outcome == "complete":
            break
    assert runs > 1
    assert outcome.outcome == "complete", outcome.provider_problems
    assert library.known() == calm.known()


def fault_when(fault: Fault, when: Callable[[Request], bool]) -> Fault:
    once = copy(fault, 1)
    once.when = when
    return once


@pytest.mark.slow
def test_a_second_run_beside_the_first_is_turned_away(make: Make, calm: Library) -> None:
    library = make("beside")
    path = "/europepmc/searchPOST"
    honest = library.server.routes[path]
    refused: list[str] = []

    def meanwhile(request: Request) -> Any:
        if not refused:
            try:
                library.ask()
            except BusyError as error:
                refused.append(str(error))
        return honest(request)

    library.server.routes[path] = meanwhile
    assert library.ask().outcome == "complete"
    assert len(refused) == 1
    assert library.known() == calm.known()
