"""Taking a database back to a version: what is refused, and that the copy is only read."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from datasette.app import Datasette

from evidence.database import backup, read_queries, rewound, schema, write_past_state
from evidence.database.connection import reading
from evidence.database.values_for_writer import Export
from evidence.database.writer import open_store, record_export
from evidence.errors import ConfigError, StoreError
from evidence.harvest.progress import NoProgress
from evidence.harvest.rewind import Rewound, rewind
from evidence.publish import immutable_copy, serve
from evidence.review import reviewer_desk
from evidence.rules.taxonomy import Taxonomy
from tests.builders import LIPSITZ, MARKOWITZ, STANGIER
from tests.harvest.test_named_versions import Review


@pytest.fixture
def review(tmp_path: Path, book: Taxonomy) -> Review:
    made = Review(tmp_path, book)
    made.sync(LIPSITZ, MARKOWITZ, STANGIER)
    made.decide(STANGIER["DOI"], "exclude", because="not randomised")
    made.freeze("3")
    return made


def back(review: Review, name: str = "3", folder: str = "then") -> Rewound:
    return rewind(review.db, review.ledger, review.book, name, review.db.parent / folder, NoProgress())


def test_every_record_table_says_how_it_is_cut_back() -> None:
    assert set(write_past_state.CUTS) == set(schema.RECORD_TABLES)


def test_the_decisions_of_then_are_in_the_copy_alone(review: Review) -> None:
    review.decide(STANGIER["DOI"], "include", because="it is, on second thoughts")
    made = back(review)
    with reading(made.db) as conn:
        assert read_queries.verdict_counts(conn)["exclude"] == 1
        assert [reason for (reason,) in conn.execute("select reason from decisions")] == ["not randomised"]
    with closing(sqlite3.connect(made.ledger)) as conn:
        assert conn.execute("select count(*) from decisions").fetchone() == (1,)
    with reading(review.db) as conn:
        assert read_queries.verdict_counts(conn).get("exclude", 0) == 0


def test_a_copy_says_what_it_shows_and_is_only_read(review: Review, tmp_path: Path) -> None:
    made = back(review)
    shown = rewound.shown_version(made.db)
    assert shown is not None and shown.startswith("version 3 (2026-01-0")
    assert rewound.shown_version(review.db) is rewound.shown_version(tmp_path / "none.db") is None
    copy = Review(made.db.parent, review.book)
    before = made.db.read_bytes(), made.ledger.read_bytes()
    for act in (
        lambda: open_store(made.db, made.ledger),
        lambda: copy.sync(LIPSITZ),
        lambda: copy.freeze("4"),
        lambda: copy.decide(LIPSITZ["DOI"], "include"),
        lambda: backup.backup(made.db, made.ledger, tmp_path / "copy.db"),
        lambda: immutable_copy.publish(made.db, tmp_path / "site", now=review.clock),
        lambda: reviewer_desk.local_desk(made.db, made.ledger, "Ann"),
    ):
        with pytest.raises(StoreError, match="is only read"):
            act()
    assert (made.db.read_bytes(), made.ledger.read_bytes()) == before


def test_a_decision_on_a_copy_does_not_reach_the_ledger_of_the_review(review: Review) -> None:
    made = back(review)
    copy = Review(made.db.parent, review.book)
    copy.ledger, before = review.ledger, review.ledger.read_bytes()
    with pytest.raises(StoreError, match="is only read"):
        copy.decide(LIPSITZ["DOI"], "include")
    assert review.ledger.read_bytes() == before


def test_what_cannot_be_brought_back_is_refused_and_nothing_is_written(review: Review, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the versions are: 3"):
        back(review, "4")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(ConfigError, match="already exists"):
        back(review, folder="full")
    with open_store(review.db, review.ledger) as store, store.transaction():
        run = store.start_run("crossref", "1", "2026-03-01T00:00:00Z")
        store.conn.execute("update citations set text = 'Another line', first_run = ? where position = 1", (run,))
    with pytest.raises(StoreError, match="the lines of the reference list article were read anew since"):
        back(review)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["full"]


def test_a_ledger_without_the_decisions_of_then_is_refused(review: Review) -> None:
    review.ledger.unlink()
    with pytest.raises(StoreError, match="its 1 decisions are not in the ledger"):
        back(review)


PAGES = ("/", "/map", "/currency", "/changes", "/method", "/prisma", "/evidence/article", "/evidence/works?verdict=include",
         "/search?q=interpersonal", "/evidence/works/10~2E1001~2Farchgenpsychiatry~2E2011~2E67")  # fmt: skip


async def pages(db: Path) -> dict[str, str]:
    site = Datasette([str(db)], config_dir=serve.site_folder())
    await site.invoke_startup()
    found = {page: await site.client.get(page, follow_redirects=True) for page in PAGES}
    return {page: answer.text for page, answer in found.items() if answer.status_code == 200}


@pytest.mark.slow
async def test_every_page_is_the_one_of_then_and_says_so(review: Review) -> None:
    before = await pages(review.db)
    assert len(before) >= len(PAGES) - 1
    review.decide(STANGIER["DOI"], "include", because="it is, on second thoughts")
    assert await pages(review.db) != before
    says = re.compile(r'<p class="message-info">This is the review as of version 3 \(2026-01-0\d\)[^<]*</p>\n')
    for page, shown in (await pages(back(review).db)).items():
        assert says.search(shown), page
        assert says.sub("", shown) == before[page], page


def test_exports_of_then_are_told_from_later_ones_also_within_a_second(review: Review) -> None:
    with reading(review.db) as conn:
        (second,) = conn.execute("select made_at from versions").fetchone()
    entry = Export(second, "export", "then.csv", "csv", {}, [STANGIER["DOI"]], "1")
    record_export(review.db, entry)
    review.decide(STANGIER["DOI"], "include", because="after all")
    record_export(review.db, Export(second, "export", "later.csv", "csv", {}, [STANGIER["DOI"], LIPSITZ["DOI"]], "1"))
    with reading(back(review).db) as conn:
        assert conn.execute("select name from exports").fetchall() == [("then.csv",)]
        assert conn.execute("select doi, last_export from exported_works").fetchall() == [(STANGIER["DOI"], None)]
