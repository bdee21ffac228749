"""A review of another topic, from `evidence init` to the site and its published copy: nothing speaks of the first topic."""

from __future__ import annotations

import csv
import io
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from datasette.app import Datasette

from evidence.database import schema
from evidence.errors import ConfigError
from evidence.harvest.chosen_topic import topic_of_review
from evidence.publish import immutable_copy, serve
from evidence.rules import topic
from tests.command_line import Run, runner

PAGES = (
    "/", "/map", "/map?population=perinatal", "/map.csv", "/map.svg", "/evidence", "/evidence/works?verdict=include",
    "/evidence/works?_tag=programme:mbct", "/evidence/studies", "/evidence/evidence_map", "/evidence/topic", "/evidence/trials",
    "/evidence/trials?programme=mbct", "/evidence/reviews", "/evidence/map_cell?programme=mbct&outcome=anxiety",
    "/evidence/search", "/evidence/cooccurrence", "/evidence/untagged", "/evidence/years_by_design", "/evidence/rules_at_work",
    "/evidence/works/10~2E1001~2Fjamapsychiatry~2E2019~2E4693", "/prisma", "/prisma.svg", "/changes", "/feed.atom", "/method",
    "/past?as_of=2026-12-01", "/download/csv?verdict=include",
)  # fmt: skip

ELSEWHERE = re.compile(
    r"\bIPT\b|psychotherapy \(IPT|interpersonal (?:psycho)?therap|\bvariant|problem area|\$[a-z_]+[a-z]", re.IGNORECASE
)
"""Words of the first topic, and names in metadata.yaml that were not filled in. `interpersonal problems` is an outcome."""


@pytest.fixture(scope="module")
def review(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("mindful")
    with pytest.MonkeyPatch.context() as monkeypatch:
        run = runner(folder, monkeypatch, Silent())  # type: ignore[arg-type]
        assert run("init", "--topic", "mindfulness").code == 0
        assert run("check").code == 0
        assert run("demo", "--no-serve").code == 0
    yield folder


class Silent:
    """Stands in for pytest's capture, which a fixture of a module cannot have."""

    def readouterr(self) -> Any:
        return type("Captured", (), {"out": "", "err": ""})()


async def pages_of(db: Path, config: Path) -> dict[str, str]:
    ds = Datasette([str(db)], config_dir=config)
    await ds.invoke_startup()
    found = {}
    for address in PAGES:
        response = await ds.client.get(address)
        assert response.status_code == 200, address
        found[address] = response.text
    return found


@pytest.mark.slow
async def test_every_page_speaks_of_the_topic_and_of_no_other(review: Path) -> None:
    found = await pages_of(review / "evidence.db", serve.site_folder())
    for address, text in found.items():
        assert not ELSEWHERE.findall(text), address
    assert "<h1>Living evidence on mindfulness-based programmes</h1>" in found["/"]
    assert re.search(r"Mindfulness\s*<span>evidence</span>", found["/"])
    assert "All programmes" in found["/"] and "Trials of a programme" in found["/"]
    assert found["/map.csv"].startswith("programme,outcome,works,trials,reviews")
    assert '<select id="f-population"' in found["/map"] and 'id="f-outcome"' not in found["/map"]
    assert ">Programme</th>" in found["/evidence/works?verdict=include"]


@pytest.mark.slow
async def test_the_published_copy_knows_its_topic(review: Path, tmp_path: Path) -> None:
    done = immutable_copy.publish(
        review / "evidence.db", tmp_path / "site", sources=review / "sources.yaml",
        now=lambda: datetime(2026, 11, 27, 12, tzinfo=UTC),
    )  # fmt: skip
    with closing(sqlite3.connect(done.folder / "evidence.db")) as conn:
        assert schema.read_topic(conn) == topic.load("mindfulness")
    metadata = (done.folder / "site" / "metadata.yaml").read_text(encoding="utf-8")
    assert metadata.startswith("title: Living evidence on mindfulness-based programmes")
    assert not ELSEWHERE.findall(metadata)
    for address, text in (await pages_of(done.folder / "evidence.db", done.folder / "site")).items():
        assert not ELSEWHERE.findall(text), address


def test_views_and_exports_have_a_column_for_each_facet(
    review: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    with closing(sqlite3.connect(review / "evidence.db")) as conn:
        columns = [row[1] for row in conn.execute("pragma table_info(studies)")]
        assert columns[5:11] == ["programme", "outcome", "format", "population", "condition", "design"]
        assert [row[1] for row in conn.execute("pragma table_info(evidence_map)")][:2] == ["programme", "outcome"]
        assert conn.execute("select sum(trials) from evidence_map where programme = 'mbct'").fetchone()[0] > 0
    run: Run = runner(review, monkeypatch, capsys)
    rows = list(csv.DictReader(io.StringIO(run("export").out)))
    assert len(rows) >= 30 and "mbct" in {row["programme"] for row in rows} and "variant" not in rows[0]


def test_a_database_of_another_topic_is_refused_before_anything_is_written(
    review: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    before = (review / "evidence.db").read_bytes()
    run: Run = runner(tmp_path, monkeypatch, capsys)
    assert run("init").code == 0
    for words in (
        ("sync", "--offline"), ("judge",),
        ("decide", "10.1001/jamapsychiatry.2019.4693", "exclude", "--because", "x", "--by", "R"),
    ):  # fmt: skip
        done = run("--db", str(review / "evidence.db"), "--decisions", str(tmp_path / "d.db"), *words)
        assert (done.code, done.err.count("\n")) == (2, 1), done.err
        assert (
            "its works are of the topic 'mindfulness', and sources.yaml names 'ipt'; change `topic:` back" in done.err
        )
    assert (review / "evidence.db").read_bytes() == before and not (tmp_path / "d.db").exists()


def test_without_sources_the_database_says_which_topic(review: Path, tmp_path: Path) -> None:
    assert topic_of_review(tmp_path / "none.yaml", review / "evidence.db").id == "mindfulness"
    assert topic_of_review(tmp_path / "none.yaml", tmp_path / "none.db").id == "ipt"
    db = tmp_path / "own.db"
    db.write_bytes((review / "evidence.db").read_bytes())
    with closing(sqlite3.connect(db)) as conn, conn:
        conn.execute("update topic set content = json_set(content, '$.id', 'my-own')")
    with pytest.raises(ConfigError, match="its topic 'my-own' does not come with the program; name with --sources"):
        topic_of_review(tmp_path / "none.yaml", db)


def test_a_new_title_reaches_the_database_with_the_next_judging(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    run: Run = runner(tmp_path, monkeypatch, capsys)
    assert run("init", "--topic", "blank").code == 0
    (tmp_path / "works.jsonl").write_text(
        '{"DOI": "10.1234/ba", "title": ["Behavioural activation for depressive symptoms: an RCT"], "type": "journal-article"}\n'
        '{"DOI": "10.1234/other", "title": ["Behavioural activation scale, a review"], "type": "journal-article"}\n'
    )
    assert run("check").code == 0
    assert run("sync", "--from", "works.jsonl").code == 0
    file = tmp_path / "topic" / "topic.yaml"
    file.write_text(
        file.read_text()
        .replace("title: Living evidence", "title: All evidence")
        .replace("{id: population, from: ipt}", "{id: population, from: ipt, holds: People}")
    )
    assert run("judge").code == 0
    with closing(sqlite3.connect(tmp_path / "evidence.db")) as conn:
        kept = schema.read_topic(conn)
        assert kept.title.startswith("All evidence") and kept.facet("population").holds == "People"
        assert conn.execute("select intervention, outcome from studies where doi = '10.1234/ba'").fetchone() == (
            "individual", "depressive-symptoms",
        )  # fmt: skip
