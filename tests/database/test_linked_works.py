"""Works of one study: which registration numbers are kept, and which works that were left out are offered."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from datasette.app import Datasette
from sqlite_utils import Database

from evidence.data_model import Doi
from evidence.database import schema
from evidence.database.writer import open_store
from evidence.harvest import sources
from evidence.harvest.locked_run import FileInput, run_sync
from evidence.harvest.progress import NoProgress
from evidence.publish import serve
from evidence.review import reviewer_desk
from evidence.rules.taxonomy import Taxonomy
from tests.builders import SMALL_YAML, message

TRIAL, PROTOCOL, BLOOD, REPLY, DIGEST, LONG, OTHER, FIGURE, SECOND = (
    f"10.5555/{name}" for name in ("trial", "protocol", "blood", "reply", "digest", "long", "other", "figure", "second")
)
SILENT = "We took blood from the participants of a trial and rated nothing else; what was found is told in the text. "


def references(*dois: str) -> list[dict[str, str]]:
    return [{"key": str(n), "DOI": doi} for n, doi in enumerate(dois)]


RECORDS: list[dict[str, Any]] = [
    message(
        TRIAL,
        "Interpersonal psychotherapy for depression: a randomised trial",
        2010,
        **{
            "clinical-trial-number": [
                {"clinical-trial-number": "nct 01234567", "registry": "10.18810/clinical-trials-gov"}
            ]
        },
    ),
    message(PROTOCOL, "Talking in the clinic: a protocol", 2008, abstract=f"{SILENT} ClinicalTrials.gov: NCT01234567."),
    message(BLOOD, "Cortisol after talking", 2012, abstract=f"{SILENT * 2} (NCT01234567)"),
    message(
        REPLY,
        "Talking in the clinic: a reply",
        2011,
        abstract=SILENT * 2,
        relation={"is-comment-on": [{"id-type": "doi", "id": TRIAL.upper(), "asserted-by": "subject"}]},
    ),
    message(DIGEST, "Talking helped the patients of a clinic", 2011, abstract=SILENT * 2, reference=references(TRIAL)),
    message(
        LONG,
        "Talking in many clinics",
        2015,
        abstract=SILENT * 2,
        reference=references(TRIAL, *(f"10.5555/x{n}" for n in range(9))),
    ),
    message(OTHER, "Walking in the clinic", 2012, abstract=f"{SILENT * 2} NCT07654321"),
    message(
        FIGURE, "Figure 1", 2010, type="component", relation={"is-supplement-to": [{"id-type": "doi", "id": TRIAL}]}
    ),
    message(SECOND, "Interpersonal psychotherapy and sleep", 2013, abstract=f"{SILENT * 2} NCT01234567"),
]


@pytest.fixture
def db(tmp_path: Path, book: Taxonomy) -> Path:
    (tmp_path / "sources.yaml").write_text(SMALL_YAML)
    file = tmp_path / "records.jsonl"
    file.write_text("".join(json.dumps(record) + "\n" for record in RECORDS))
    path = tmp_path / "evidence.db"
    config = sources.load(tmp_path / "sources.yaml")
    files = FileInput("files", (file,), everything=True)
    run_sync(path, tmp_path / "decisions.db", config, book, lambda: datetime.now(UTC), NoProgress(), files=files)
    return path


@pytest.fixture
def rows(db: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(db)) as conn:
        yield conn


def test_a_number_is_kept_whether_deposited_or_named_in_the_text(rows: sqlite3.Connection) -> None:
    found = rows.execute(
        "select doi, identifier, source from identifiers where kind = 'registration' order by doi"
    ).fetchall()
    assert found == [
        (BLOOD, "NCT01234567", "text"),
        (OTHER, "NCT07654321", "text"),
        (PROTOCOL, "NCT01234567", "text"),
        (SECOND, "NCT01234567", "text"),
        (TRIAL, "NCT01234567", "crossref"),
    ]


def test_works_that_were_left_out_are_offered_when_they_belong_to_an_included_one(rows: sqlite3.Connection) -> None:
    found = rows.execute(
        "select doi, link from linked_to_included where included = ? order by doi", (TRIAL,)
    ).fetchall()
    assert found == [
        (BLOOD, "registration NCT01234567"),
        (DIGEST, "one of at most 3 references"),
        (PROTOCOL, "registration NCT01234567"),
        (REPLY, "is-comment-on"),
    ]


async def test_the_desk_offers_them_and_says_why(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told, _ = reviewer_desk.local_desk(db, db.with_name("decisions.db"), "A. Reader")
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    desk = reviewer_desk.desk_from_environment()
    assert desk is not None
    assert desk.queue("linked", "A. Reader") == [BLOOD, PROTOCOL, DIGEST, REPLY]
    site = Datasette([str(db)], config_dir=serve.site_folder())
    await site.invoke_startup()
    cookies = {"ds_actor": site.sign({"a": {"id": "A. Reader"}}, "actor")}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=site.app()), base_url="http://site", cookies=cookies
    ) as browser:
        page = (await browser.get("/desk?queue=linked")).text
        assert "Belongs to an included work" in page
        assert "registered under the same number, NCT01234567" in page
        assert "Interpersonal psychotherapy for depression: a randomised trial" in page
        shown = (await browser.get(f"/doi/{TRIAL}", follow_redirects=True)).text
        assert (
            'registered as <a href="https://clinicaltrials.gov/study/NCT01234567" rel="noreferrer">NCT01234567</a>'
            in shown
        )
        same = shown.partition("Same study")[2].partition("</section>")[0]
        assert "Interpersonal psychotherapy and sleep" in same and "Cortisol after talking" in same
        assert "Walking in the clinic" not in same
    assert desk.decide("A. Reader", reviewer_desk.Submission(Doi(BLOOD), "exclude", (), (), "blood alone"))
    assert desk.queue("linked", "B. Reader") == [PROTOCOL, DIGEST, REPLY]


def test_an_earlier_database_learns_the_numbers_when_its_works_are_judged_again(tmp_path: Path) -> None:
    path = tmp_path / "evidence.db"
    first = Database(path)
    schema.evidence.apply(first, stop_before="m014_registrations")
    first.conn.execute(f"pragma application_id = {schema.APPLICATION_ID}")
    first.conn.executescript(
        """
        insert into runs (run, started, outcome, door, version) values (1, '2026-11-24', 'complete', 'files', '0');
        insert into works (doi, title, verdict, screened, decided, why, judged_on, first_run, changed_run, basis)
            values ('10.1/a', 'T', 'include', 'include', 'rule', 'so', 'title', 1, 1, 'b1');
        """
    )
    first.close()
    with open_store(path, tmp_path / "decisions.db") as store:
        assert store.conn.execute("select basis from works").fetchall() == [("",)]
        assert store.conn.execute("select count(*) from registrations").fetchall() == [(0,)]
