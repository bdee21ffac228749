"""Abstracts that may not be passed on, from the sync that brings them to every file that leaves the tracker: the reviewer reads
them, and no export, download or published copy has them."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import sqlite3
import tempfile
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from datasette.app import Datasette

from evidence.data_model import Doi
from evidence.database.connection import open_evidence
from evidence.database.select_works import FACT_COLUMNS, IDENTIFIER_COLUMNS, Selection, selected_works
from evidence.export import file_formats
from evidence.export.works_as_of_date import selected_as_of
from evidence.publish import downloads, immutable_copy, serve
from evidence.rules.taxonomy import Taxonomy
from tests import exported_files
from tests.builders import message
from tests.command_line import Run, runner
from tests.harvest.test_enrich import GRIEF, TEENS, TITLES, Review
from tests.provider_records import FakeProvider, europepmc, pubmed

DEPOSITED = Doi("10.5555/deposited")
DEPOSITED_TITLE = "Interpersonal psychotherapy in a third place"
CLOSED = (
    "Ninety widowers were randomised to interpersonal psychotherapy or a waiting list. "
    "Depressive symptoms were measured with the Beck Depression Inventory every fortnight."
)
CLOSED_RESULT = "Zygomatic smiles returned sooner among the widowers who had been treated."
EARLIER = "Quixotic plans were made in an earlier version of this very abstract."
OPEN = "Forty pupils of two schools were given interpersonal psychotherapy by their own teachers."
OF_PUBLISHER = "Eleven trials of interpersonal psychotherapy are looked at again in this paper."
WITHHELD = (*CLOSED.split(". "), CLOSED_RESULT, EARLIER, "Zygomatic", "Quixotic", "zygomat", "quixot")
"""Sentences of the abstract without a licence, a word of each version, and their stems, as a full-text index keeps them."""


@pytest.fixture
def review(tmp_path: Path, book: Taxonomy) -> Review:
    """Three works: with an abstract of PubMed without a licence, with one under CC BY, and with one that was deposited."""
    made = Review(tmp_path, book)
    deposited = message(DEPOSITED, DEPOSITED_TITLE, 2014, abstract=f"<jats:p>{OF_PUBLISHER}</jats:p>")
    made.crossref.messages[DEPOSITED] = deposited
    made.sync(*providers(EARLIER))
    made.sync(*providers(CLOSED_RESULT), days=8)
    return made


def providers(result: str) -> tuple[FakeProvider, FakeProvider]:
    grief = pubmed(
        GRIEF, TITLES[GRIEF], "11", abstract=(("METHODS", CLOSED), ("RESULTS", result)), registrations=("NCT01234567",),
        types=("Journal Article", "Randomized Controlled Trial"), mesh=(("Grief", True), ("Depressive Disorder, Major", False)),
        comments=(("RetractionIn", "J Grief. 2020", "99"),),
    )  # fmt: skip
    teens = pubmed(TEENS, TITLES[TEENS], "22", abstract=(("METHODS", OPEN),))
    free = {"license": "cc by", "pmcid": "PMC3308108", "isOpenAccess": "Y"}
    return (
        FakeProvider("europepmc", {TEENS: europepmc(TEENS, TITLES[TEENS], "22", **free)}),
        FakeProvider("pubmed", {GRIEF: grief, TEENS: teens}),
    )


def unescaped(text: str) -> str:
    """The text of a file with its line breaks and escapes taken out, so that no sentence hides in them."""
    return " ".join(text.replace("\\n", " ").split())


def exported(run: Run, review: Review, *options: str) -> tuple[str, str]:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out")
        said = run("--db", str(review.db), "export", *options, "-o", str(out))
        assert said.code == 0, said.err
        written, _, rest = said.err.partition("\n")
        assert re.fullmatch(r"\d+ works(, \d+ tags)? written to .*\.", written)
        rest = re.sub("^Without a PMID: .*\n", "", rest, flags=re.M)
        return unescaped(exported_files.text_of(options[1], out.read_bytes())), rest


async def site(path: Path, *, immutable: bool = False) -> Datasette:
    files = {"immutables": [str(path)]} if immutable else {}
    ds = Datasette([] if immutable else [str(path)], config_dir=serve.site_folder(), **files)
    await ds.invoke_startup()
    return ds


def test_the_reviewer_has_the_abstract(review: Review) -> None:
    found = dict(review.rows("select doi, abstract from works"))
    assert CLOSED in found[GRIEF] and CLOSED_RESULT in found[GRIEF]
    assert review.rows("select count(*) from provider_records where instr(message, ?)", EARLIER) == [(1,)]
    assert "depressive-symptoms" in review.tags(GRIEF, "outcome")


@pytest.mark.slow
@pytest.mark.parametrize("format_", [name for name, form in file_formats.FORMATS.items() if form.abstracts])
@pytest.mark.parametrize("past", [False, True])
def test_an_export_leaves_it_out_and_says_so_unless_asked(
    review: Review, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], format_: str,
    past: bool,
) -> None:  # fmt: skip
    run = runner(tmp_path, monkeypatch, capsys)
    options = ["--format", format_, "--verdict", "all", *(["--as-of", review.now.date().isoformat()] if past else [])]
    if format_ == "parquet":
        exported_files.needs("pyarrow")
    text, said = exported(run, review, *options)
    assert OPEN in text and OF_PUBLISHER in text and TITLES[GRIEF] in text
    assert [part for part in WITHHELD if part in text] == []
    assert said == "1 abstract left out, which may not be passed on; for your own screening: --with-abstracts.\n"
    text, said = exported(run, review, *options, "--with-abstracts")
    assert CLOSED in text and CLOSED_RESULT in text and OPEN in text and OF_PUBLISHER in text
    assert said == ""
    assert run("--quiet", "--db", str(review.db), "export", *options, "-o", "quiet").err == ""


@pytest.mark.parametrize("format_", [name for name, form in file_formats.FORMATS.items() if not form.abstracts])
def test_linked_data_have_quotes_and_no_abstract(
    review: Review, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], format_: str
) -> None:
    run = runner(tmp_path, monkeypatch, capsys)
    text, said = exported(run, review, "--format", format_, "--verdict", "all")
    assert [part for part in (*WITHHELD, OPEN, OF_PUBLISHER) if part in text] == [] and said == ""
    assert "widowers" in text or "Beck Depression" in text, "the words behind a tag stay"
    refused = run("--db", str(review.db), "export", "-f", format_, "--with-abstracts")
    assert refused.code == 2 and "--with-abstracts is for formats that have abstracts" in refused.err


async def test_the_downloads_of_the_site_never_have_it_and_its_page_has(review: Review) -> None:
    ds = await site(review.db)
    day = review.now.date().isoformat()
    for name in {*downloads.offered()} - {"csv-long"}:
        past = [f"/past/{name}?as_of={day}"] if name in downloads.offered(past=True) else []
        for address in (f"/download/{name}", *past):
            answer = await ds.client.get(address, follow_redirects=True)
            assert answer.status_code == 200
            text = unescaped(exported_files.text_of(name.removesuffix("-wide"), answer.content))
            assert (OPEN in text and OF_PUBLISHER in text) == downloads.offered()[name].file.abstracts, address
            assert [part for part in WITHHELD if part in text] == [], address
    for address in ("/feed.atom", "/changes", f"/past.json?as_of={day}"):
        text = (await ds.client.get(address)).text
        assert [part for part in WITHHELD if part in text] == [], address
    page = (await ds.client.get(f"/doi/{GRIEF}", follow_redirects=True)).text
    assert "Zygomatic smiles" in page and "not shown here" not in page


@pytest.mark.parametrize(("options", "warned"), [((), False), (("--public",), True)])
def test_whoever_serves_a_working_database_to_visitors_is_warned(
    review: Review, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...], warned: bool,
) -> None:  # fmt: skip
    monkeypatch.setattr(serve, "run", lambda *_, **__: 0)
    said = runner(tmp_path, monkeypatch, capsys)("--db", str(review.db), "serve", *options)
    assert said.code == 0
    assert ("Warning: 1 abstract in this database may not be passed on" in said.err) == warned


def files_below(folder: Path) -> dict[Path, bytes]:
    """Every file, and its content unpacked where it is gzipped."""
    found = {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    return {p: gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data for p, data in found.items()}


async def test_no_published_file_has_it(review: Review, tmp_path: Path) -> None:
    before = review.db.read_bytes()
    done = immutable_copy.publish(review.db, tmp_path / "site", now=lambda: review.now)
    assert review.db.read_bytes() == before
    files = files_below(tmp_path / "site")
    copy = done.folder / "evidence.db"
    assert copy in files
    for path, data in files.items():
        for part in WITHHELD:
            for encoded in (part.encode(), part.lower().encode(), part.encode("utf-16-le")):
                assert encoded not in data, (path, part)
    assert OPEN.encode() in files[copy] and OF_PUBLISHER.encode() in files[copy]
    with closing(sqlite3.connect(copy)) as conn:
        assert conn.execute("select distinct message from provider_records").fetchall() == [("",)]
        words = "select w.doi from works w where rowid in (select rowid from works_fts where works_fts match ?)"
        assert conn.execute(words, ("zygomatic",)).fetchall() == []
        assert conn.execute(words, ("pupils",)).fetchall() == [(TEENS,)]
        # What was read in it stays: the tags, and the few words that are the reason for each.
        kept = "select quote from reasons where doi = ? and field = 'abstract'"
        assert conn.execute(kept, (GRIEF,)).fetchall() == review.rows(kept, GRIEF) != []
        kept = "select facet, value, strength, how from tags where doi = ? order by 1, 2"
        assert conn.execute(kept, (GRIEF,)).fetchall() == review.rows(kept, GRIEF)
        assert conn.execute("select abstract_source, judged_on from works where doi = ?", (GRIEF,)).fetchall() == [
            ("pubmed", "title+abstract")
        ]
    ds = await site(copy, immutable=True)
    page = (await ds.client.get(f"/doi/{GRIEF}", follow_redirects=True)).text
    assert (
        'Abstract: <a href="https://pubmed.ncbi.nlm.nih.gov/11/" rel="noreferrer">PubMed</a>; not shown here because no open '
        "licence is known for it." in page
    )
    assert "not shown here" not in (await ds.client.get(f"/doi/{TEENS}", follow_redirects=True)).text
    for address in (
        f"/download/csv?doi={GRIEF}",
        f"/past/csv?as_of={review.now.date()}",
        "/evidence/works.json?_size=max",
    ):
        assert "Zygomatic" not in (await ds.client.get(address)).text


@pytest.mark.slow
def test_a_licence_that_ends_being_stated_takes_the_abstract_out(review: Review, tmp_path: Path) -> None:
    with closing(sqlite3.connect(review.db)) as conn, conn:
        conn.execute("delete from facts where kind = 'licence'")
    copy = immutable_copy.publish(review.db, tmp_path / "site", now=lambda: review.now).folder / "evidence.db"
    assert OPEN.encode() not in copy.read_bytes() and OF_PUBLISHER.encode() in copy.read_bytes()


@pytest.mark.parametrize(
    ("version", "starts", "passed_on"),
    [("vor", None, True), ("unspecified", "2020-01-01", True), ("vor", "2999-01-01", False), ("tdm", None, False)],
)
def test_the_licence_that_the_publisher_deposited_counts_once_it_has_begun(
    review: Review, version: str, starts: str | None, passed_on: bool
) -> None:
    licence: dict[str, Any] = {"URL": "https://creativecommons.org/licenses/by/4.0/", "content-version": version}
    if starts:
        licence["start"] = {"date-parts": [[int(part) for part in starts.split("-")]]}
    stamp = {"date-time": (review.now + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")}
    review.crossref.messages[GRIEF] = {**review.crossref.messages[GRIEF], "license": [licence], "indexed": stamp}
    review.sync()
    with closing(open_evidence(review.db)) as conn:
        rows = {row["doi"]: row for row in selected_works(conn, Selection())}
        then = {row["doi"]: row for row in selected_as_of(conn, Selection(), review.now.date().isoformat())}
    assert (licence["URL"] in rows[GRIEF]["stated_licences"]) == passed_on
    assert rows[GRIEF]["stated_licences"] == then[GRIEF]["stated_licences"]


# ---------------------------------------------------------------- what else an export says of providers


def test_the_columns_that_providers_fill(review: Review) -> None:
    with closing(open_evidence(review.db)) as conn:
        rows = csv.DictReader(io.StringIO("".join(file_formats.csv_rows(selected_works(conn, Selection())))))
        found = {row["doi"]: row for row in rows}
    grief, teens, deposited = found[GRIEF], found[TEENS], found[DEPOSITED]
    assert (grief["pmid"], grief["registrations"]) == ("11", "NCT01234567")
    assert grief["publication_types"] == "Journal Article; Randomized Controlled Trial"
    assert grief["mesh"] == "Depressive Disorder, Major; Grief"
    assert grief["notice_details"] == "retraction 2020 PMID:99 [stated by PubMed]"
    assert (teens["pmid"], teens["pmcid"], teens["abstract_source"]) == ("22", "PMC3308108", "pubmed")
    assert (deposited["pmid"], deposited["abstract_source"]) == ("", "publisher")


def test_each_witness_has_the_day_of_its_last_answer(review: Review) -> None:
    first, last = (review.now.date() - timedelta(days=8)).isoformat(), review.now.date().isoformat()
    failing = FakeProvider("pubmed", {})
    failing.failing = "503"
    unknown = Doi("10.5555/unknown")
    stamp = {"date-time": (review.now + timedelta(days=7)).strftime("%Y-%m-%dT%H:%M:%SZ")}
    fourth = message(unknown, "Interpersonal psychotherapy in a fourth place", 2015, indexed=stamp)
    review.crossref.messages[unknown] = fourth
    review.sync(failing, days=8)
    today = review.now.date().isoformat()
    with closing(open_evidence(review.db)) as conn:
        rows = {row["doi"]: row for row in selected_works(conn, Selection(("include", "unsure")))}
        text = "".join(file_formats.csv_rows(rows.values()))
        past = "".join(file_formats.csv_rows(selected_as_of(conn, Selection(), first), file_formats.Layout(past=True)))
    names = ("asked_crossref", "asked_pubmed", "asked_europepmc", "asked_retraction_watch")
    assert [rows[GRIEF][name] for name in names] == [today, last, last, None]
    assert [rows[unknown][name] for name in names] == [today, None, None, None]
    assert "could not ask" not in text
    assert {f"{name}_today" for name in names} <= set(next(csv.DictReader(io.StringIO(past))))


def test_a_crossref_that_could_not_be_asked_keeps_its_earlier_day(review: Review) -> None:
    last = review.now.date().isoformat()
    with closing(sqlite3.connect(review.db)) as conn, conn:
        # A later run that did not check the known works to the end, and a work from a file.
        later = "insert into runs (run, started, outcome, door, version) values (?, ?, 'partial', ?, '0')"
        conn.executemany(later, [(8, "2027-01-01T00:00:00Z", "crossref"), (9, "2027-01-02T00:00:00Z", "files")])
        conn.execute("update works set first_run = 9 where doi = ?", (TEENS,))
        conn.execute("update snapshots set first_run = 9 where doi = ?", (TEENS,))
    with closing(open_evidence(review.db)) as conn:
        asked = {row["doi"]: row["asked_crossref"] for row in selected_works(conn, Selection())}
    assert asked[GRIEF] == last and asked[TEENS] is None


def test_a_past_day_has_what_providers_said_then(review: Review) -> None:
    with closing(open_evidence(review.db)) as conn:
        rows = {row["doi"]: row for row in selected_works(conn, Selection())}
        then = {row["doi"]: row for row in selected_as_of(conn, Selection(), review.now.date().isoformat())}
    assert set(rows) == set(then) == {GRIEF, TEENS, DEPOSITED}
    for name in (*IDENTIFIER_COLUMNS.values(), *FACT_COLUMNS.values(), "stated_licences", "abstract_source", "open_access",
                 "notice_details", "abstract"):  # fmt: skip
        assert {doi: row[name] for doi, row in rows.items()} == {doi: row[name] for doi, row in then.items()}, name


def test_reference_managers_get_the_identifiers(review: Review) -> None:
    with closing(open_evidence(review.db)) as conn:
        rows = list(selected_works(conn, Selection()))
    items = {item["DOI"]: item for item in json.loads("".join(file_formats.csl_json(rows)))}
    assert (items[TEENS]["PMID"], items[TEENS]["PMCID"]) == ("22", "PMC3308108")
    assert items[GRIEF]["custom"]["publication-types"] == "Journal Article; Randomized Controlled Trial"
